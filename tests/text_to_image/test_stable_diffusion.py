"""Stable Diffusion against the pipelines of diffusers, on a tiny folder; guidance, negative prompts, image to image and inpainting by themselves."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
import transformers
from diffusers import AutoencoderKL as PeerAutoencoder
from diffusers import (
    DDIMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
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
    Heun,
    RectifiedFlow,
    UNet,
    UNetConfig,
)
from course_utils.hub import WeightsError
from course_utils.layers import draw_normal, draw_uniform
from course_utils.runtime import generator
from course_utils.text_to_image import CLIPPromptEncoder, StableDiffusion
from course_utils.text_to_image.stable_diffusion import (
    caption_dropout,
    guided_prediction,
    image_to_image_start,
    read_scheduler,
)

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


# --- our own ----------------------------------------------------------------------------------------------------------

TOKENIZER = CLIPTokenizer([])
SIZE = {"vocab_size": 514, "max_positions": 16, "text_width": 32, "text_depth": 1, "text_heads": 2, "text_hidden": 64}


def small(
    process: GaussianDiffusion | RectifiedFlow, joined: int = 0, unet: bool = False, context_width: int = 32
) -> StableDiffusion:
    """A model of pictures of 16 x 16 pixels with random weights; `joined` further channels go into its network."""
    torch.manual_seed(0)
    if unet:
        network = UNet(UNetConfig(4 + joined, 4, 4, (8, 16), 1, (1,), 2, context_width=context_width, num_groups=4))
    else:
        network = DiT(DiTConfig(4 + joined, 4, 4, 2, 32, 1, 2, context_width=context_width))
    autoencoder = AutoencoderKL(AutoencoderKLConfig(image_size=16, widths=(8, 8, 8), num_groups=4))
    model = StableDiffusion(
        partial(TOKENIZER, length=16), CLIPPromptEncoder(CLIPConfig(**SIZE)), shaken(network), shaken(autoencoder), process
    )  # fmt: skip
    return model.eval()


PROCESSES = {"diffusion": lambda: GaussianDiffusion(DiffusionConfig()), "flow": RectifiedFlow}
each_process = pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)


@each_process
@pytest.mark.parametrize("unet", [False, True], ids=["dit", "u-net"])
def test_pictures_are_a_function_of_prompt_and_generator(process, unet):
    model = small(process(), unet=unet)
    first, again, other = (
        model.generate(PROMPTS, num_inference_steps=3, generator=generator(seed)) for seed in (1, 1, 2)
    )
    assert first.shape == (2, 3, 16, 16) and first.abs().max() <= 1
    assert first.equal(again) and not first.equal(other)
    noise = normal(1, 4, 4, 4).expand(2, -1, -1, -1)
    asked = model.generate(["a cat", "a dog"], num_inference_steps=3, latents=noise)
    assert not asked[0].allclose(asked[1])


def test_another_size_can_be_asked_for():
    model = small(RectifiedFlow(), unet=True)
    assert model.generate(["a"], num_inference_steps=2, height=32, width=24).shape == (1, 3, 32, 24)


def test_any_sampler_draws():
    model, noise = small(RectifiedFlow()), normal(2, 4, 4, 4)
    by_ddim, by_euler = (
        model.generate(PROMPTS, num_inference_steps=4, latents=noise, sampler=sampler) for sampler in (DDIM(), Euler())
    )
    torch.testing.assert_close(by_ddim, by_euler, rtol=0, atol=1e-5)  # on a flow's line they are the same
    by_heun = model.generate(PROMPTS, num_inference_steps=4, latents=noise, sampler=Heun())
    assert not by_heun.allclose(by_ddim, atol=1e-3)


def test_the_empty_negative_prompt_is_none_at_all():
    model, noise = small(RectifiedFlow()), normal(2, 4, 4, 4)
    plain, empty, named = (
        model.generate(PROMPTS, negative, num_inference_steps=3, latents=noise) for negative in ("", ["", ""], "dull")
    )
    assert plain.equal(empty) and not plain.allclose(named)


def test_with_scale_0_only_the_negative_prompt_is_seen_and_with_scale_1_only_the_prompt():
    model, noise = small(RectifiedFlow()), normal(2, 4, 4, 4)

    def drawn(prompts: list[str], negative: str, scale: float) -> Tensor:
        return model.generate(prompts, negative, guidance_scale=scale, num_inference_steps=3, latents=noise)

    alone = drawn(["dull"] * 2, "", 1.0)
    torch.testing.assert_close(drawn(PROMPTS, "dull", 0.0), alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(drawn(["dull"] * 2, PROMPTS[0], 1.0), alone, rtol=0, atol=0)


@pytest.mark.parametrize(("prompts", "negative"), [("a cat", ""), (["a", "b"], ["c"])], ids=["no list", "one too few"])
def test_prompts_that_do_not_fit_are_refused(prompts, negative):
    with pytest.raises(ValueError, match="one negative prompt for all or for each"):
        small(RectifiedFlow()).generate(prompts, negative, num_inference_steps=1)


def test_a_denoiser_of_several_contexts_joins_the_condition_to_each():
    """A network that is asked twice about each picture must see that picture's condition both times."""
    model = small(RectifiedFlow(), joined=3)
    condition = normal(2, 3, 8, 8)
    both = model.generate(PROMPTS, "dull", num_inference_steps=3, latents=normal(2, 4, 4, 4), condition=condition)
    for number in range(2):
        only = slice(number, number + 1)
        one = model.generate(
            PROMPTS[only], "dull", num_inference_steps=3, latents=normal(2, 4, 4, 4)[only], condition=condition[only]
        )
        torch.testing.assert_close(both[only], one, rtol=0, atol=1e-5)


@each_process
def test_image_to_image_keeps_more_the_weaker_it_is(process):
    model, images, noise = small(process()), normal(2, 3, 16, 16).clamp(-1, 1), normal(2, 4, 4, 4, seed=1)
    rebuilt = model.decode(model.encode(images))
    away = [
        (model.image_to_image(images, PROMPTS, strength=strength, num_inference_steps=10, noise=noise, guidance_scale=1) - rebuilt)
        .square().mean().item()
        for strength in (0.0, 0.1, 1.0)
    ]  # fmt: skip
    assert away[0] == 0 < away[1] < away[2]
    with pytest.raises(ValueError, match="strength is a share of the steps"):
        model.image_to_image(images, PROMPTS, strength=1.5)


@each_process
def test_inpainting_by_any_network_leaves_what_is_known(process):
    model, images = small(process()), normal(2, 3, 16, 16).clamp(-1, 1)
    mask = torch.zeros(2, 1, 16, 16)
    mask[:, :, 5:9, 5:9] = 1  # pixels of the places (1, 1) to (2, 2) of the grid, most of them only in part
    seen = []
    model.decode = lambda latents: seen.append(latents) or StableDiffusion.decode(model, latents)
    model.inpaint(images, mask, PROMPTS, num_inference_steps=3, generator=generator(0))
    changed = (seen[0] - model.encode(images)).abs().amax(dim=1) > 1e-6
    expected = torch.zeros(2, 4, 4, dtype=torch.bool)
    expected[:, 1:3, 1:3] = True
    assert changed.equal(expected)


@each_process
def test_the_loss_trains_text_encoder_and_network_and_nothing_else(process):
    model = small(process()).train()
    ids = TOKENIZER(PROMPTS, 16)
    loss = model.loss(normal(2, 4, 4, 4), ids, normal(2, 4, 4, 4, seed=1), torch.tensor([10, 700]))
    loss.backward()
    trained = {name.split(".")[0] for name, weight in model.named_parameters() if weight.grad is not None}
    assert loss.ndim == 0 and trained == {"text_encoder", "network"}
    expected = model.process.loss(
        lambda noisy, times: model.network(noisy, times, context=model.text_encoder(ids)),
        normal(2, 4, 4, 4), normal(2, 4, 4, 4, seed=1), torch.tensor([10, 700]),
    )  # fmt: skip
    torch.testing.assert_close(loss, expected)


def test_the_text_encoder_of_a_clip_gives_its_tokens():
    torch.manual_seed(0)
    clip = CLIP(CLIPConfig(3, 16, 4, 16, 1, 2, 24, dim=12, **SIZE)).eval()
    ids = TOKENIZER(PROMPTS, 16)
    encoder = CLIPPromptEncoder.from_clip(clip)
    assert encoder(ids).equal(clip.text_encoder.features(ids)) and encoder(ids).shape == (2, 16, 32)
    assert not any("projection" in name for name, _ in encoder.named_parameters())


def test_an_old_text_encoder_loads_too(tmp_path, published):
    pipeline, ours = published
    pipeline.text_encoder.save_pretrained(tmp_path)
    weights = {f"text_model.{name}": tensor for name, tensor in load_file(tmp_path / "model.safetensors").items()}
    save_file({**weights, "text_model.embeddings.position_ids": torch.arange(77)[None]}, tmp_path / "model.safetensors")
    ids = ours.tokenizer(PROMPTS)
    assert CLIPPromptEncoder.from_hub(tmp_path)(ids).equal(ours.text_encoder(ids))


@pytest.mark.parametrize(
    ("settings", "last"),
    [({"_class_name": "PNDMScheduler", "skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1}, 0), ({"set_alpha_to_one": True}, -1)],
    ids=["of Stable Diffusion 1.5", "to a clean picture"],
)  # fmt: skip
def test_the_steps_of_a_published_scheduler(settings, last, tmp_path):
    (tmp_path / "scheduler").mkdir()
    known = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps(known | settings))
    process, path = read_scheduler(tmp_path)
    theirs = DDIMScheduler(**known, steps_offset=settings.get("steps_offset", 0))
    theirs.set_timesteps(4)
    assert [level.timestep for level in path(4)] == [*theirs.timesteps.tolist(), last]
    torch.testing.assert_close(process.alphas_cumprod, theirs.alphas_cumprod, rtol=1e-5, atol=0)


def test_a_foreign_scheduler_is_refused(tmp_path):
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps({"beta_schedule": "linear"}))
    with pytest.raises(WeightsError, match="'beta_schedule': 'linear'"):
        read_scheduler(tmp_path)


# --- the exercises ----------------------------------------------------------------------------------------------------


def test_caption_dropout_replaces_whole_captions_at_its_rate():
    ids, empty = torch.arange(1, 6).repeat(4000, 1), torch.tensor([9, 8, 0, 0, 0])
    dropped = caption_dropout(ids, empty, draw_uniform((4000,), generator(0)), 0.1)
    rows = (dropped == empty).all(dim=1)
    assert dropped[~rows].equal(ids[~rows])
    assert abs(rows.float().mean() - 0.1) < 4 * (0.1 * 0.9 / 4000) ** 0.5
    assert caption_dropout(ids, empty, torch.zeros(4000), 0.0).equal(ids)


def test_guided_prediction_asks_once():
    asked = []

    def network(noisy: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        asked.append((noisy, timesteps, context))
        return noisy + context.mean((1, 2))[:, None, None, None] + timesteps[:, None, None, None]

    noisy, times, context, negative = (
        normal(3, 4, 2, 2),
        torch.tensor([1, 2, 3]),
        normal(3, 5, 6),
        normal(3, 5, 6, seed=1),
    )
    answer = guided_prediction(network, noisy, times, context, negative, 3.0)
    towards, away = network(noisy, times, context), network(noisy, times, negative)
    torch.testing.assert_close(answer, 3 * towards - 2 * away)
    assert len(asked[0][0]) == 6 and len(asked) == 3


def test_image_to_image_starts_at_its_share_of_the_steps():
    latents, noise = normal(2, 4, 4, 4), normal(2, 4, 4, 4, seed=1)
    process = GaussianDiffusion(DiffusionConfig())
    path = process.path(range(900, -1, -100))
    for strength, first in ((1.0, 900), (0.55, 400), (0.1, 0)):
        noisy, rest = image_to_image_start(latents, noise, path, strength)
        assert rest == path[path.index(rest[0]) :] and rest[0].timestep == first
        torch.testing.assert_close(noisy, process.add_noise(latents, noise, torch.full((2,), first)))
    unchanged, nothing = image_to_image_start(latents, noise, path, 0.0)
    assert unchanged.equal(latents) and len(nothing) == 1
