"""What `fit` costs over the loop that one would write by hand: the same network, batches and optimizer, in one process.

`ours` and `peer` are milliseconds a step, the making of the optimizer included; `ratio` is the median of ours / peer over turns.
`fit` chooses the channels-last layout for convolutions; one row gives that to the loop by hand too, and so shows what
the engine alone costs.
"""

import json
from collections.abc import Callable

import torch
import turns
from torch import Tensor, nn

from course_utils import runtime
from course_utils.autoencoders.vae import VAE, VAEConfig
from course_utils.training import Player, fit


def loop_by_hand(
    module: nn.Module,
    objective: Callable[[dict], tuple[Tensor, dict]],
    batches: list[dict],
    steps: int,
    layout: torch.memory_format,
) -> None:
    """A loop as a notebook has it: clipping, schedule, and the loss written down at every step."""
    device = runtime.device()
    module.to(device, memory_format=layout).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    losses = []
    for step in range(steps):
        batch = {"image": batches[step % len(batches)]["image"].to(device, memory_format=layout)}
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss, _ = objective(batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())


def compare(name: str, config: VAEConfig, steps: int, layout: torch.memory_format = torch.preserve_format) -> dict:
    """One row: `fit` and the loop by hand, on a VAE of this config."""
    batches = pictures(config.in_channels)
    return turns.compare(
        name,
        make=lambda: vae(config),
        ours=lambda made: fit(Player("model", *made), batches, steps, progress=False),
        peer=lambda made: loop_by_hand(*made, batches, steps, layout),
        steps=steps,
        turns=7,
    )


def vae(config: VAEConfig) -> tuple[nn.Module, Callable]:
    """An untrained VAE with its objective."""
    torch.manual_seed(0)
    model = VAE(config)

    def objective(batch: dict) -> tuple[Tensor, dict]:
        noise = torch.randn(len(batch["image"]), config.latent_dim, device=batch["image"].device)
        return model.loss(batch["image"], noise), {}

    return model, objective


def pictures(channels: int, size: int = 64) -> list[dict]:
    """Four batches of random pictures (size, channels, 32, 32) in [-1, 1]."""
    generator = runtime.generator(0)
    return [{"image": torch.rand(size, channels, 32, 32, generator=generator) * 2 - 1} for _ in range(4)]


def main() -> None:
    """Print the rows."""
    convolutional = VAEConfig("convolutional", 3, 32, (12, 24, 24), 32, "gaussian")
    connected = VAEConfig("fully_connected", 1, 32, (512, 256), 2)
    cases = (
        ("convolutional VAE, 32x32 colour", convolutional, 40, torch.preserve_format),
        ("the same, by hand in channels-last", convolutional, 40, torch.channels_last),
        ("fully connected VAE, 32x32 grey", connected, 80, torch.preserve_format),
    )
    for case in cases:
        print(json.dumps(compare(*case)), flush=True)


if __name__ == "__main__":
    main()
