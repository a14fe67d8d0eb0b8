"""The U-Net against diffusers' UNet2DModel and UNet2DConditionModel, and the sizes of published ones."""

import json

import pytest
import torch
from diffusers import UNet2DConditionModel, UNet2DModel
from safetensors.torch import load_file, save_file
from torch import nn

from course_utils.diffusion import UNet, UNetConfig
from course_utils.hub import WeightsError
from course_utils.layers import draw_normal
from course_utils.runtime import generator

CIFAR = {
    "sample_size": 16, "block_out_channels": (32, 64), "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": None, "norm_eps": 1e-6, "downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1,
}  # fmt: skip
TEXT = {
    "sample_size": 8, "in_channels": 4, "out_channels": 4, "block_out_channels": (32, 64), "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 32, "attention_head_dim": 8,
}  # fmt: skip
THREE = {
    "block_out_channels": (32, 32, 64), "layers_per_block": 2,
    "down_block_types": ("AttnDownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D", "AttnUpBlock2D"),
}  # fmt: skip
GUIDED = {"norm_eps": 1e-5, "downsample_padding": 1, "flip_sin_to_cos": True, "freq_shift": 0}


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return draw_normal(shape, generator(seed))


def published(kind: type, **settings) -> nn.Module:
    """A small model as diffusers makes it, with norms that are not 1 and 0."""
    torch.manual_seed(0)
    model = kind(**settings).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            nn.init.normal_(parameter, 1.0 if name.endswith("weight") else 0.0, 0.2)
    return model


def count(config: UNetConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in UNet(config).parameters())


def the_same(ours: nn.Module, peer: nn.Module, images: torch.Tensor, mine: tuple, theirs: dict) -> None:
    """Equal outputs, and equal gradients (against the largest) of inputs and of every parameter."""
    twin = images.clone().requires_grad_()
    images = images.clone().requires_grad_()
    output, expected = ours(images, *mine), peer(twin, **theirs).sample
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-5)
    assert expected.std() > 0.05
    weights = normal(*expected.shape, seed=9)
    (output * weights).sum().backward()
    (expected * weights).sum().backward()
    others = dict(peer.named_parameters())
    largest = max(parameter.grad.abs().max().item() for parameter in others.values())
    assert largest > 1
    torch.testing.assert_close(images.grad, twin.grad, rtol=0, atol=1e-5 * largest)
    for name, parameter in ours.named_parameters():
        gradient = others[name].grad
        mine = parameter.grad[: len(gradient)]  # ours has a vector for "no class" too
        torch.testing.assert_close(mine, gradient, rtol=0, atol=1e-5 * largest, msg=name)
    ours.zero_grad()
    peer.zero_grad()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"attention_head_dim": 16, **GUIDED},
        THREE,
        {"num_class_embeds": 5},
        {"resnet_time_scale_shift": "scale_shift", "attn_norm_num_groups": 32, **GUIDED},
        {"norm_num_groups": 8, "out_channels": 6},
    ],
    ids=["ddpm", "guided, several heads", "three levels", "classes", "adaptive group norm", "groups, learned variance"],
)
def test_a_published_unet_gives_the_same_here(changes, tmp_path):
    peer = published(UNet2DModel, **CIFAR | changes)
    peer.save_pretrained(tmp_path)
    ours = UNet.from_hub(tmp_path)
    timesteps = torch.tensor([0, 37, 999])
    labels = torch.tensor([4, 0, 2]) if "num_class_embeds" in changes else None
    the_same(ours, peer, normal(3, 3, 16, 16), (timesteps, labels), {"timestep": timesteps, "class_labels": labels})
    the_same(ours, peer, normal(3, 3, 16, 16), (timesteps + 0.3, labels), {"timestep": timesteps + 0.3, "class_labels": labels})  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [{}, {"attention_head_dim": (2, 4)}, {"in_channels": 9}, {"num_class_embeds": 5}],
    ids=["text", "heads by level", "inpainting", "text and classes"],
)
def test_a_published_unet_with_context_gives_the_same_here(changes, tmp_path):
    peer = published(UNet2DConditionModel, **TEXT | changes)
    peer.save_pretrained(tmp_path / "unet")
    ours = UNet.from_hub(tmp_path, "unet")
    timesteps, context = torch.tensor([1, 500, 998]), normal(3, 7, 32, seed=1)
    labels = torch.tensor([4, 0, 2]) if "num_class_embeds" in changes else None
    theirs = {"timestep": timesteps, "encoder_hidden_states": context, "class_labels": labels}
    the_same(ours, peer, normal(3, changes.get("in_channels", 4), 8, 8), (timesteps, labels, context), theirs)


def test_published_sizes():
    cifar = UNetConfig(widths=(128, 256, 256, 256), attention_levels=(1,), convention="ddpm")
    assert count(cifar) == 35_746_307
    text = {"out_channels": 4, "image_size": 64, "widths": (320, 640, 1280, 1280), "attention_levels": (0, 1, 2),
            "num_heads": 8, "context_width": 768}  # fmt: skip
    assert count(UNetConfig(in_channels=4, **text)) == 859_520_964
    assert count(UNetConfig(in_channels=9, **text)) == 859_535_364


def test_names_of_the_first_releases_load_too(tmp_path, with_old_names):
    """google/ddpm-cifar10-32 is stored under these."""
    published(UNet2DModel, **CIFAR).save_pretrained(tmp_path)
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    images, timesteps = normal(2, 3, 16, 16), torch.tensor([3, 900])
    expected = UNet.from_hub(tmp_path)(images, timesteps)
    renamed = with_old_names(load_file(path))
    path.unlink()
    torch.save(renamed, tmp_path / "diffusion_pytorch_model.bin")
    assert UNet.from_hub(tmp_path)(images, timesteps).equal(expected)
    save_file(renamed, path)
    assert UNet.from_hub(tmp_path)(images, timesteps).equal(expected)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"_class_name": "AutoencoderKL"}, "AutoencoderKL"),
        ({"act_fn": "gelu"}, "gelu"),
        ({"freq_shift": 0}, "conventions"),
        ({"up_block_types": ["UpBlock2D", "UpBlock2D"]}, "way up"),
        ({"layers_per_block": 2}, "does not fit UNet"),
    ],
)
def test_other_networks_are_refused(change, words, tmp_path):
    published(UNet2DModel, **CIFAR).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(WeightsError, match=words):
        UNet.from_hub(tmp_path)


# --- on its own --------------------------------------------------------------------------------------------------------

SMALL = {"image_size": 16, "widths": (8, 16), "num_blocks": 1, "num_groups": 4}


def unet(**settings) -> UNet:
    torch.manual_seed(0)
    return UNet(UNetConfig(**SMALL | settings))


def test_at_first_it_predicts_zero_and_learns_all_the_same():
    model = unet(num_classes=3, context_width=6)
    prediction = model(normal(2, 3, 16, 16), torch.tensor([1, 2]), torch.tensor([0, 1]), normal(2, 4, 6))
    assert (prediction == 0).all()
    prediction.sum().backward()
    assert model.conv_out.bias.grad.abs().min() > 0


def trained(model: UNet) -> UNet:
    """With no layer at zero."""
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return model


def test_no_class_is_a_class_of_its_own_and_the_default():
    model = trained(unet(num_classes=3))
    images, timesteps = normal(2, 3, 16, 16), torch.tensor([1.0, 2.5])
    without = model(images, timesteps)
    torch.testing.assert_close(without, model(images, timesteps, torch.tensor([3, 3])))
    assert not without.allclose(model(images, timesteps, torch.tensor([0, 1])), atol=1e-3)


def test_every_condition_matters_and_pictures_do_not_mix():
    model = trained(unet(num_classes=3, context_width=6))
    images, timesteps, labels, context = (
        normal(2, 3, 16, 16),
        torch.tensor([10, 700]),
        torch.tensor([0, 1]),
        normal(2, 4, 6),
    )
    whole = model(images, timesteps, labels, context)
    changed = (
        (images.flip(0), timesteps, labels, context),
        (images, timesteps + 5, labels, context),
        (images, timesteps, labels + 1, context),
        (images, timesteps, labels, context + 1),
    )
    assert all(not whole.allclose(model(*other), atol=1e-3) for other in changed)
    alone = model(images[1:], timesteps[1:], labels[1:], context[1:])
    torch.testing.assert_close(whole[1:], alone, rtol=0, atol=1e-5)


def test_attention_stands_where_it_is_asked_for():
    model = unet(widths=(8, 16, 16), attention_levels=(0, 2), num_heads=(2, 1, 4))
    assert [len(level.attentions) for level in (*model.down_blocks, *model.up_blocks)] == [1, 0, 1, 2, 0, 2]
    assert [level.attentions[0].num_heads for level in (model.down_blocks[0], model.mid_block)] == [2, 4]


def test_unshuffled_pixels_are_four_pictures_of_half_the_size():
    """With the first and last layer alike, the folded network is the plain one on folded pictures."""
    folded, plain = trained(unet(unshuffle=2)), unet(in_channels=12, out_channels=12, image_size=8)
    plain.load_state_dict(folded.state_dict())
    images, timesteps = normal(2, 3, 16, 16), torch.tensor([1, 2])
    pixels = torch.nn.functional.pixel_unshuffle(images, 2)
    expected = torch.nn.functional.pixel_shuffle(plain(pixels, timesteps), 2)
    torch.testing.assert_close(folded(images, timesteps), expected)
    assert folded(normal(1, 3, 8, 24), torch.tensor([0])).shape == (1, 3, 8, 24)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"convention": "other"}, "ddpm, guided"),
        ({"num_groups": 5}, "multiples of num_groups"),
        ({"attention_levels": (2,)}, r"\[0, 2\)"),
        ({"num_heads": (1, 1, 1)}, "each of 2 levels"),
        ({"num_heads": 3}, "3 heads cannot share"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        unet(**change)


@pytest.mark.parametrize(
    ("settings", "inputs", "words"),
    [
        ({}, {"images": normal(2, 3, 15, 16)}, "multiples of 2"),
        ({"unshuffle": 2}, {"images": normal(2, 3, 18, 16)}, "multiples of 4"),
        ({}, {"timesteps": torch.tensor(3)}, r"one time a picture, of shape \(2,\)"),
        ({}, {"labels": torch.tensor([0, 0])}, "num_classes=0"),
        ({"num_classes": 3}, {"labels": torch.tensor([0])}, r"one label a picture, of shape \(2,\)"),
        ({}, {"context": normal(2, 4, 6)}, "context_width=0"),
        ({"context_width": 6}, {}, r"\(2, length, 6\), got None"),
        ({"context_width": 6}, {"context": normal(2, 4, 5)}, r"got \(2, 4, 5\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(settings, inputs, words):
    with pytest.raises(ValueError, match=words):
        unet(**settings)(**{"images": normal(2, 3, 16, 16), "timesteps": torch.tensor([1, 2]), **inputs})
