"""Diffusion: a training step and 25 steps of sampling, of our U-Net and of its peers.

`ours` and `peer` are milliseconds a training step (noising, forward, backward, AdamW), or for a whole batch of samples by DDIM in 25 steps;
`ratio` is the median of ours / peer over turns, and the goal is at most 0.83 to the faster peer. diffusers' `UNet2DModel` has the same layers
and the same number of parameters; denoising-diffusion-pytorch is taken at the width that comes nearest (`parameters` is the peer's), and has
rows only where it is installed. Eager and compiled, all in channels-last; in bfloat16 on CUDA, where `share_of_peak` is that of our training
step (-1: no known peak).
"""

import importlib.util
import json
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
import turns
from diffusers import DDIMScheduler, UNet2DModel
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from course_utils import runtime
from course_utils.diffusion import DDIM, DiffusionConfig, GaussianDiffusion, UNet, UNetConfig, inference_timesteps
from course_utils.diffusion import sample as sampled
from course_utils.layers import draw_normal

STEPS = 25  # of the samplers
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # bfloat16 operations a second, without sparsity
DEVICE = runtime.device()
LARGE = DEVICE.type == "cuda"
BATCH, SIZE = (128, 32) if LARGE else (16, 16)
WIDTHS = (128, 256, 256) if LARGE else (32, 64)
TRAIN_STEPS, TURNS = (20, 5) if LARGE else (6, 3)

Work = Callable[[], Any]


def on_device(network: nn.Module) -> nn.Module:
    return network.to(DEVICE, memory_format=torch.channels_last)


def autocast() -> torch.autocast:
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=LARGE)


def stepping(network: nn.Module, loss: Callable[[Tensor], Tensor]) -> Work:
    """A function that takes `TRAIN_STEPS` training steps on random pictures."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5, fused=True)
    images = draw_normal((BATCH, 3, SIZE, SIZE), runtime.generator(0), DEVICE).clamp(-1, 1)
    images = images.to(memory_format=torch.channels_last)

    def work() -> None:
        network.train()
        for _ in range(TRAIN_STEPS):
            with autocast():
                value = loss(images)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()

    return work


def ours(compiled: bool) -> tuple[UNet, Work, Work]:
    """Our network, its training steps, its sampling."""
    torch.manual_seed(0)
    network = on_device(UNet(UNetConfig(image_size=SIZE, widths=WIDTHS, num_blocks=1, attention_levels=(1,))))
    asked = torch.compile(network) if compiled else network
    made = GaussianDiffusion(DiffusionConfig(clip_sample=True)).to(DEVICE)

    def loss(images: Tensor) -> Tensor:
        timesteps = torch.randint(0, 1000, (BATCH,), device=DEVICE)
        return made.loss(asked, images, torch.randn_like(images), timesteps)

    @torch.no_grad()
    def sampling() -> None:
        network.eval()
        noise = draw_normal((BATCH, 3, SIZE, SIZE), runtime.generator(0), DEVICE).to(memory_format=torch.channels_last)
        with autocast():
            sampled(made.denoiser(asked), DDIM(), noise, made.path(inference_timesteps(1000, STEPS)))

    return network, stepping(network, loss), sampling


def of_diffusers(compiled: bool) -> tuple[nn.Module, Work, Work]:
    """The same layers in diffusers."""
    torch.manual_seed(0)
    attending = ["Attn" if level == 1 else "" for level in range(len(WIDTHS))]
    network = on_device(
        UNet2DModel(
            sample_size=SIZE, block_out_channels=WIDTHS, layers_per_block=1, attention_head_dim=None,
            down_block_types=tuple(f"{kind}DownBlock2D" for kind in attending),
            up_block_types=tuple(f"{kind}UpBlock2D" for kind in reversed(attending)),
        )
    )  # fmt: skip
    asked = torch.compile(network) if compiled else network
    scheduler = DDIMScheduler(beta_schedule="squaredcos_cap_v2")

    def loss(images: Tensor) -> Tensor:
        timesteps, noise = torch.randint(0, 1000, (BATCH,), device=DEVICE), torch.randn_like(images)
        return F.mse_loss(asked(scheduler.add_noise(images, noise, timesteps), timesteps).sample, noise)

    @torch.no_grad()
    def sampling() -> None:
        network.eval()
        images = draw_normal((BATCH, 3, SIZE, SIZE), runtime.generator(0), DEVICE).to(memory_format=torch.channels_last)
        scheduler.set_timesteps(STEPS)
        with autocast():
            for timestep in scheduler.timesteps:
                images = scheduler.step(asked(images, timestep).sample, timestep, images).prev_sample

    return network, stepping(network, loss), sampling


def of_lucidrains(compiled: bool) -> tuple[nn.Module, Work, Work]:
    """denoising-diffusion-pytorch, at the width that comes nearest to our number of parameters."""
    from denoising_diffusion_pytorch import GaussianDiffusion as Peer
    from denoising_diffusion_pytorch import Unet

    torch.manual_seed(0)
    wanted, multiples = parameters(ours(False)[0]), tuple(width // WIDTHS[0] for width in WIDTHS)
    sizes = range(WIDTHS[0] // 2, 2 * WIDTHS[0], 4)
    width = min(sizes, key=lambda dim: abs(parameters(Unet(dim, dim_mults=multiples)) - wanted))
    network = on_device(Unet(width, dim_mults=multiples))
    made = on_device(
        Peer(network, image_size=SIZE, sampling_timesteps=STEPS, objective="pred_noise", beta_schedule="cosine")
    )
    if compiled:
        network.compile()

    def loss(images: Tensor) -> Tensor:
        return made((images + 1) / 2)

    def sampling() -> None:
        network.eval()
        with autocast():
            made.sample(batch_size=BATCH)

    return network, stepping(network, loss), sampling


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def operations(work: Work) -> int:
    """Floating-point operations of one of `TRAIN_STEPS` training steps."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() // TRAIN_STEPS


def peak() -> float | None:
    name = torch.cuda.get_device_name() if LARGE else ""
    return next((value for known, value in PEAKS.items() if known in name), None)


def main() -> None:
    """Print the rows."""
    peers = {"diffusers UNet2DModel": of_diffusers}
    if importlib.util.find_spec("denoising_diffusion_pytorch") is not None:
        peers["denoising-diffusion-pytorch"] = of_lucidrains
    needed = operations(ours(False)[1])
    for mode in ("eager", "compiled"):
        _, training, sampling = ours(mode == "compiled")
        for peer, make in peers.items():
            network, their_training, their_sampling = make(mode == "compiled")
            for what, mine, theirs, steps in (
                ("training step", training, their_training, TRAIN_STEPS),
                (f"{STEPS} steps of sampling", sampling, their_sampling, 1),
            ):
                row = turns.compare(
                    f"{what}, {mode}", make=lambda: None, ours=lambda _, work=mine: work(),
                    peer=lambda _, work=theirs: work(), steps=steps, turns=TURNS,
                )  # fmt: skip
                seconds = row["ours"] / 1000
                share = needed / seconds / peak() if peak() and steps == TRAIN_STEPS else -1.0
                row |= {"images_per_second": round(BATCH / seconds, 1), "share_of_peak": round(share, 3)}
                print(json.dumps({"with": peer, **row, "parameters": parameters(network)}), flush=True)


if __name__ == "__main__":
    main()
