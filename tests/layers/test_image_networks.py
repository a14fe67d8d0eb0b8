"""The way down and up between pictures and vectors."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import layers


@pytest.mark.parametrize("upsampling", ["resize", "transposed"])
@pytest.mark.parametrize(
    ("architecture", "widths"),
    [("fully_connected", ()), ("fully_connected", (12, 6)), ("convolutional", (4,)), ("convolutional", (4, 8, 12))],
)
def test_shapes_down_and_up(architecture, widths, upsampling):
    encoder, num_features = layers.image_encoder(architecture, 3, 16, widths)
    decoder = layers.image_decoder(architecture, 5, 3, 16, widths, upsampling)
    assert encoder(torch.randn(2, 3, 16, 16)).shape == (2, num_features)
    assert decoder(torch.randn(2, 5)).shape == (2, 3, 16, 16)


def test_every_picture_is_independent_of_its_batch():
    torch.manual_seed(0)
    encoder, _ = layers.image_encoder("convolutional", 1, 8, (4, 8))
    images = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(encoder(images)[:1], encoder(images[:1]))


def test_resize_convolution_is_repetition_then_convolution():
    block = layers.ResizeConvolution(2, 3)
    features = torch.randn(2, 2, 4, 5)
    repeated = features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = F.conv2d(repeated, block.convolution.weight, block.convolution.bias, padding=1)
    torch.testing.assert_close(block(features), expected)


def test_a_residual_block_starts_as_the_identity_and_learns():
    block = layers.ResidualBlock(6)
    features = torch.randn(2, 6, 4, 4)
    assert block(features).equal(features)
    block(features).square().sum().backward()
    assert block.layers[-1].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (6, 2), (12, 4), (48, 8)])
def test_norm_has_groups_that_divide_the_channels(channels, groups):
    assert layers.norm(channels).num_groups == groups


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("convoluted", 1, 1, 8, (4,)), "convoluted"),
        (("convolutional", 1, 1, 12, (4, 4, 4)), "multiple of 8"),
        (("convolutional", 1, 1, 12, ()), "at least one width"),
        (("convolutional", 1, 1, 8, (4,), "bilinear"), "bilinear"),
    ],
)
def test_impossible_settings_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        layers.image_decoder(*arguments)


def test_the_encoder_refuses_a_picture_that_cannot_be_halved():
    with pytest.raises(ValueError, match="multiple of 4"):
        layers.image_encoder("convolutional", 1, 10, (4, 4))


def test_check_images_names_both_shapes():
    layers.check_images(torch.zeros(0, 3, 8, 8), 3, 8)
    for shape in [(2, 1, 8, 8), (2, 3, 8, 9), (3, 8, 8)]:
        with pytest.raises(
            ValueError, match=r"\(batch, 3, 8, 8\).*" + str(shape).replace("(", r"\(").replace(")", r"\)")
        ):
            layers.check_images(torch.zeros(shape), 3, 8)


def test_weights_of_both_upsamplings_differ_in_kind():
    kinds = {
        upsampling: {
            type(module) for module in layers.image_decoder("convolutional", 2, 1, 8, (4,), upsampling).modules()
        }
        for upsampling in ("resize", "transposed")
    }
    assert nn.ConvTranspose2d in kinds["transposed"] and nn.ConvTranspose2d not in kinds["resize"]
