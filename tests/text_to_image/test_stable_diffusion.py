"""Stable Diffusion against the pipelines of diffusers, on a tiny folder; guidance, negative prompts, image to image and inpainting by themselves."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
import transformers
from diffusers import (
    DDIMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers import AutoencoderKL as PeerAutoencoder
from torch import Tensor, nn

from course_utils.clip import CLIP, CLIPConfig, CLIPTokenizer
from course_utils.diffusion import (
    DDIM,
    AutoencoderKL,
    AutoencoderKLConfig,
    DiffusionConfig,
    DiT,
    DiTConfig,
    Euler,
    GaussianDiffusion,
    RectifiedFlow,
    UNet,
)
from course_utils.hub import WeightsError
from course_utils.layers import draw_normal
from course_utils.runtime import generator
from course_utils.text_to_image import PromptEncoder, StableDiffusion
from course_utils.text_to_image.stable_diffusion import caption_dropout, guided_prediction, image_to_image_start

PROMPTS = ["a red circle", "two blue stars on a very large table, seen from above"]
NEGATIVE = ["no good", ""]
MERGES = [("r", "e"), ("re", "d</w>"), ("b", "l"), ("s", "t"), ("o", "n</w>")]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return draw_normal(shape, generator(seed))


@torch.no_grad()
def shaken(model: nn.Module) -> nn.Module:
    """Weights large enough that each part of the network counts."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0.02 if parameter.ndim == 1 else 0, 0.15)
    return model.eval()


def peer(folder: Path, in_channels: int = 4) -> StableDiffusionPipeline:
    """A tiny published model, saved to `folder` as those of Stable Diffusion 1.5 are."""
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer([(left.encode(), right.encode()) for left, right in MERGES])
    vocabulary = tokenizer.vocabulary()
    text = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4,
            bos_token_id=tokenizer.start, eos_token_id=tokenizer.end,
        )
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=in_channels, out_channels=4, block_out_channels=(32, 64), layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32, attention_head_dim=8,
    )  # fmt: skip
    vae = PeerAutoencoder(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(32, 64),
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip
    pipeline = StableDiffusionPipeline(
        shaken(vae), shaken(text), transformers.CLIPTokenizer(vocab=vocabulary, merges=MERGES, model_max_length=77), shaken(unet), scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(folder)
    # as the published folder has it; newer versions of transformers write one other file
    (folder / "tokenizer" / "merges.txt").write_text(
        "\n".join(["#version: 0.2", *map(" ".join, MERGES)]), encoding="utf-8"
    )
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    return pipeline


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[StableDiffusionPipeline, StableDiffusion]:
    folder = tmp_path_factory.mktemp("published")
    pipeline = peer(folder)
    return pipeline, StableDiffusion.from_hub(folder)


def in_range(images: Tensor) -> Tensor:
    """Pictures of diffusers, in [0, 1], as ours."""
    return 2 * images - 1


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    assert (
        0.1 < theirs.std() and (ours.abs() < 1).float().mean() > 0.5
    )  # something is seen, and not all of it at an end
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("negative", ["", "no good", NEGATIVE], ids=["none", "one for all", "one each"])
@pytest.mark.parametrize("scale", [1.0, 7.5])
def test_a_published_model_draws_what_diffusers_draws(published, scale, negative):
    pipeline, ours = published
    latents = normal(2, 4, 8, 8)
    negative_prompts = [negative] * 2 if isinstance(negative, str) else negative
    theirs = pipeline(
        PROMPTS, negative_prompt=negative_prompts, guidance_scale=scale, num_inference_steps=5, latents=latents, output_type="pt"
    ).images  # fmt: skip
    images = ours.generate(PROMPTS, negative, guidance_scale=scale, num_inference_steps=5, latents=latents)
    assert_same(images, in_range(theirs))


@pytest.mark.parametrize("strength", [0.3, 0.8, 1.0])
def test_image_to_image_is_that_of_diffusers(published, strength):
    pipeline, ours = published
    images = normal(2, 3, 16, 16).clamp(-1, 1)
    known = ours.encode(images)  # diffusers would draw from q(z|x)
    theirs = StableDiffusionImg2ImgPipeline(**pipeline.components, requires_safety_checker=False)
    theirs.set_progress_bar_config(disable=True)
    expected = theirs(
        PROMPTS, known, strength, 10, negative_prompt=NEGATIVE, generator=generator(3), output_type="pt"
    ).images  # fmt: skip
    drawn = ours.image_to_image(
        images, PROMPTS, NEGATIVE, strength=strength, num_inference_steps=10, generator=generator(3)
    )
    assert_same(drawn, in_range(expected))


def test_inpainting_with_a_network_trained_for_it_is_that_of_diffusers(tmp_path):
    pipeline = peer(tmp_path, in_channels=9)
    with torch.no_grad():
        pipeline.vae.quant_conv.weight[4:] = 0
        pipeline.vae.quant_conv.bias[4:] = -30.0  # q(z|x), from which diffusers draws, is a point
    pipeline.vae.save_pretrained(tmp_path / "vae")
    ours = StableDiffusion.from_hub(tmp_path)
    theirs = StableDiffusionInpaintPipeline(**pipeline.components, requires_safety_checker=False)
    theirs.set_progress_bar_config(disable=True)
    images, latents = normal(2, 3, 16, 16).clamp(-1, 1), normal(2, 4, 8, 8)
    mask = torch.zeros(2, 1, 16, 16)
    mask[0, :, 3:9, 4:12] = mask[1, :, :, 8:] = 1
    expected = theirs(
        PROMPTS, (images + 1) / 2, mask, negative_prompt=NEGATIVE, num_inference_steps=5, latents=latents, output_type="pt",
        height=16, width=16,
    ).images  # fmt: skip
    drawn = ours.inpaint(images, mask, PROMPTS, NEGATIVE, num_inference_steps=5, latents=latents)
    assert_same(drawn, in_range(expected))
