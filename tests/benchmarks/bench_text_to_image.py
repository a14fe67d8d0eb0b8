"""Text to image: pictures by Stable Diffusion's way in 25 guided steps beside diffusers, and a transformer's codes with and without a cache.

`ours` and `peer` are milliseconds a batch. In the first rows the peer is `StableDiffusionPipeline` with the same weights (both are checked to
draw the same pictures first); the goal is a ratio of at most 1. In the others it is our own transformer, which is asked about the whole sequence
again for each code.
"""

import json
import tempfile
from pathlib import Path

import torch
import turns
from diffusers import AutoencoderKL as PeerAutoencoder
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn

from course_utils import runtime
from course_utils.diffusion import DDIM, AutoencoderKL, DiffusionConfig, GaussianDiffusion, UNet, sample
from course_utils.layers import draw_integers, draw_normal
from course_utils.text_to_image.dalle import Dalle, DalleConfig
from course_utils.text_to_image.stable_diffusion import StableDiffusion, leading_path

STEPS, GUIDANCE, TOKENS, WIDTH = 25, 7.5, 77, 64  # TOKENS, WIDTH: of the context
DEVICE = runtime.device()
LARGE = DEVICE.type == "cuda"
SIZE = 32 if LARGE else 16  # of the latents


@torch.no_grad()
def shaken(model: nn.Module) -> nn.Module:
    """No layer at zero, so that the pictures show whether both compute the same."""
    for parameter in model.parameters():
        parameter.add_(0.02 * torch.randn_like(parameter))
    return model.eval()


def pipelines() -> tuple[StableDiffusionPipeline, StableDiffusion]:
    """The peer, and ours with its weights."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=SIZE, block_out_channels=(64, 128), layers_per_block=1, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=WIDTH, attention_head_dim=8,
    )  # fmt: skip
    vae = PeerAutoencoder(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(32, 64),
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False, steps_offset=1
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        shaken(unet).save_pretrained(Path(folder, "unet"))
        shaken(vae).save_pretrained(Path(folder, "vae"))
        network, autoencoder = UNet.from_hub(folder, "unet"), AutoencoderKL.from_hub(folder, "vae")
    process = GaussianDiffusion(DiffusionConfig(noise_schedule="scaled_linear"))
    ours = StableDiffusion(None, None, network, autoencoder, process).to(DEVICE).eval()
    theirs = StableDiffusionPipeline(vae, None, None, unet, scheduler, None, None, requires_safety_checker=False)
    theirs.set_progress_bar_config(disable=True)
    return theirs.to(DEVICE), ours


def pictures(count: int) -> None:
    """Print the row of so many pictures at once."""
    theirs, ours = pipelines()
    context, nothing = (draw_normal((count, TOKENS, WIDTH), runtime.generator(seed), DEVICE) for seed in (1, 2))
    latents = draw_normal((count, 4, SIZE, SIZE), runtime.generator(0), DEVICE)

    @torch.inference_mode()
    def draw() -> Tensor:
        path = leading_path(ours.process, 1, False, STEPS)
        return ours.decode(sample(ours.denoiser(context, nothing, GUIDANCE), DDIM(), latents, path))

    def draw_by_peer() -> Tensor:
        return theirs(
            prompt_embeds=context, negative_prompt_embeds=nothing, guidance_scale=GUIDANCE, num_inference_steps=STEPS,
            latents=latents, output_type="pt",
        ).images  # fmt: skip

    torch.testing.assert_close(draw(), 2 * draw_by_peer() - 1, rtol=0, atol=1e-3)
    row = turns.compare(
        f"{count} pictures, 25 guided steps", lambda: None, lambda _: draw(), lambda _: draw_by_peer(), 1, 5
    )
    print(json.dumps(row | {"pictures_per_second": 1000 * count / row["ours"]}), flush=True)


@torch.inference_mode()
def without_cache(model: Dalle, text: Tensor, mask: Tensor) -> Tensor:
    """The whole sequence is read again for each code, and the likeliest is taken."""
    codes = text.new_zeros(len(text), model.config.places)
    for place in range(model.config.places):
        logits = model(text, mask, codes.unflatten(1, (model.config.grid_size, -1))).codes
        codes[:, place] = logits[:, place].argmax(dim=1)
    return codes.unflatten(1, (model.config.grid_size, -1))


def codes(count: int) -> None:
    """Print the row of so many grids of codes at once."""
    torch.manual_seed(0)
    model = Dalle(DalleConfig(512, 52, 512, 8, 128, 5, 4)).to(DEVICE).eval()
    text = draw_integers(0, 512, (count, 52), runtime.generator(0)).to(DEVICE)
    mask = torch.ones_like(text, dtype=torch.bool)

    def cached() -> Tensor:
        return model.generate(text, mask, top_k=1)

    assert cached().equal(without_cache(model, text, mask)), "expected both to draw the same"
    row = turns.compare(
        f"{count} grids of 64 codes, cache or none",
        lambda: None,
        lambda _: cached(),
        lambda _: without_cache(model, text, mask),
        1,
        3,
    )
    print(json.dumps(row | {"pictures_per_second": 1000 * count / row["ours"]}), flush=True)


def main() -> None:
    """Print the rows."""
    for count in (1, 8):
        pictures(count)
        codes(count)


if __name__ == "__main__":
    main()
