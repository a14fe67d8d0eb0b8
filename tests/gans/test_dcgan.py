"""DCGAN: sizes and layout of PyTorch's example, the switches for its rules, labels, and the geometry of the noise."""

import math

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from course_utils import hub
from course_utils.data import loader
from course_utils.gans import DCGAN, DCGANConfig, losses
from course_utils.gans.dcgan import initialize, latent_arithmetic, spherical_interpolation
from course_utils.gans.gan import gan_players
from course_utils.runtime import generator
from course_utils.training import fit


def dcgan(**settings) -> DCGAN:
    torch.manual_seed(0)
    return DCGAN(DCGANConfig(**{"in_channels": 1, "image_size": 16, "latent_dim": 5, "width": 4, **settings}))


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def kinds(module: nn.Module) -> list[type]:
    return [type(part) for part in module.modules()]


# --- the published layout ---------------------------------------------------------------------------------------------


class Published(nn.Module):
    """A network with its layers in `main`, as in PyTorch's example."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.main = nn.Sequential(*layers)
        for layer in self.main:
            if isinstance(layer, nn.BatchNorm2d):  # as after a training, where nothing is 0 or 1
                for values in (layer.weight.data, layer.bias.data, layer.running_mean):
                    values.normal_(0.5, 0.2)
                layer.running_var.uniform_(0.2, 0.6)


def published_generator(noise: int, channels: list[int]) -> Published:
    layers = [nn.ConvTranspose2d(noise, channels[0], 4, 1, 0, bias=False), nn.BatchNorm2d(channels[0]), nn.ReLU()]
    for wide, narrow in zip(channels[:-2], channels[1:-1], strict=True):
        layers += [nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU()]
    return Published(*layers, nn.ConvTranspose2d(channels[-2], channels[-1], 4, 2, 1, bias=False), nn.Tanh())


def published_discriminator(channels: list[int]) -> Published:
    layers = [nn.Conv2d(channels[0], channels[1], 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for narrow, wide in zip(channels[1:-1], channels[2:], strict=True):
        layers += [nn.Conv2d(narrow, wide, 4, 2, 1, bias=False), nn.BatchNorm2d(wide), nn.LeakyReLU(0.2)]
    return Published(*layers, nn.Conv2d(channels[-1], 1, 4, 1, 0, bias=False), nn.Sigmoid())


def test_the_paper_size_has_the_published_number_of_parameters():
    with torch.device("meta"):
        model = DCGAN(DCGANConfig())
        assert count(model.generator) == 3_576_704 and count(model.discriminator) == 2_765_568
        assert count(published_generator(100, [512, 256, 128, 64, 3])) == 3_576_704


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_published_weights_give_the_published_outputs_layer_by_layer(tmp_path, size, suffix):
    torch.manual_seed(1)
    widths = [4, 8, 16, 32][: int(math.log2(size)) - 2]
    theirs = {
        "netG": published_generator(7, [*reversed(widths), 3]).eval(),
        "netD": published_discriminator([3, *widths]).eval(),
    }
    for name, network in theirs.items():
        weights, path = network.state_dict(), tmp_path / f"{name}.{suffix}"
        torch.save(weights, path) if suffix == "pth" else safetensors.torch.save_file(weights, path)
    model = DCGAN.from_hub(tmp_path, f"netG.{suffix}", f"netD.{suffix}")
    assert model.config == DCGANConfig(3, size, 7, 4) and not model.training

    ours = model.generator.main, model.discriminator.main
    features = [normal(3, 7, 1, 1), normal(3, 3, size, size)]
    for number, network in enumerate(theirs.values()):
        own = there = features[number]
        for mine, published in zip(ours[number], network.main, strict=False):  # ours has no sigmoid at its end
            own, there = mine(own), published(there)
            torch.testing.assert_close(own, there, atol=1e-5, rtol=1e-5)
    latents, images = features[0].flatten(1), features[1]
    torch.testing.assert_close(model(latents), theirs["netG"].main(features[0]), atol=1e-5, rtol=1e-5)
    probability = theirs["netD"].main(images).flatten()
    torch.testing.assert_close(model.discriminate(images).sigmoid(), probability, atol=1e-5, rtol=1e-5)


def test_without_its_file_the_discriminator_is_untrained(tmp_path):
    torch.save(published_generator(7, [8, 4, 1]).state_dict(), tmp_path / "netG.pth")
    model = DCGAN.from_hub(tmp_path / "netG.pth")
    assert model.config == DCGANConfig(1, 16, 7, 4)
    assert model.discriminate(model(normal(2, 7))).shape == (2,)


def test_a_file_of_another_layout_is_refused(tmp_path):
    torch.save({"main.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(hub.WeightsError, match=r"no DCGAN generator.*main\.0\.weight"):
        DCGAN.from_hub(tmp_path)
    weights = published_generator(7, [8, 4, 1]).state_dict()
    torch.save({**weights, "extra": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(hub.WeightsError, match=r"other\.pth does not fit Generator.*extra"):
        DCGAN.from_hub(tmp_path / "other.pth")


# --- the rules --------------------------------------------------------------------------------------------------------


def test_weights_start_small_and_normal_and_biases_at_zero():
    model = dcgan(image_size=32, width=16, batch_norm=False, num_classes=3, conditioning="projection")
    weights = torch.cat([parameter.flatten() for name, parameter in model.named_parameters() if "weight" in name])
    assert abs(weights.mean()) < 2e-4 and abs(weights.std() - 0.02) < 2e-4
    assert 0.99 < (weights.abs() < 0.06).double().mean() < 1, "normal, so a few lie beyond three standard deviations"
    assert all(not parameter.any() for name, parameter in model.named_parameters() if "bias" in name)
    factors = nn.BatchNorm2d(4000).apply(initialize).weight
    assert abs(factors.mean() - 1) < 2e-3 and abs(factors.std() - 0.02) < 2e-3


def test_as_the_paper_says_there_is_no_pooling_no_hidden_layer_and_no_norm_at_the_picture():
    model = dcgan(image_size=64)
    assert not {nn.MaxPool2d, nn.Upsample, nn.Linear} & set(kinds(model))
    assert kinds(model.generator).count(nn.BatchNorm2d) == 4 and kinds(model.discriminator).count(nn.BatchNorm2d) == 3
    assert kinds(model.generator).count(nn.ReLU) == 4 and kinds(model.discriminator).count(nn.LeakyReLU) == 4
    assert isinstance(model.generator.main[-1], nn.Tanh) and isinstance(model.discriminator.main[1], nn.LeakyReLU)
    assert model.discriminator.main[1].negative_slope == 0.2


@pytest.mark.parametrize("size", [8, 32, 64])
@pytest.mark.parametrize(
    "switch", [{}, {"strides": False}, {"leaky": False}, {"hidden_width": 6}, {"batch_norm": False}], ids=str
)
def test_each_rule_can_be_broken_and_nothing_else_changes(size, switch):
    model = dcgan(image_size=size, **switch)
    images = model(normal(3, 5))
    assert images.shape == (3, 1, size, size) and images.abs().max() <= 1
    assert model.discriminate(images).shape == (3,)
    parts, convolutions = kinds(model), [part for part in model.modules() if isinstance(part, nn.Conv2d)]
    assert (nn.MaxPool2d in parts and nn.Upsample in parts) == ("strides" in switch)
    assert any(part.stride == (2, 2) for part in convolutions) == ("strides" not in switch)
    assert (nn.LeakyReLU in parts) == ("leaky" not in switch)
    assert (nn.BatchNorm2d in parts) == ("batch_norm" not in switch)
    assert all((part.bias is None) == ("batch_norm" not in switch) for part in convolutions)
    hidden = count(model) - count(dcgan(image_size=size))
    if "hidden_width" in switch:  # noise 5 -> 6 -> map c x 16 and back to 6 -> 1, each with a batch norm of 2 x 6
        last = model.config.width * size // 8
        assert hidden == 5 * 6 + 12 + (6 - 5) * last * 16 + last * 16 * 6 + 12 + 6 - last * 16
    elif "leaky" in switch:
        assert hidden == 0


def test_batch_norm_can_be_left_out_of_the_discriminator_alone():
    model = dcgan(image_size=32, discriminator_norm=False)
    assert nn.BatchNorm2d in kinds(model.generator)
    assert nn.BatchNorm2d not in kinds(model.discriminator)
    images = model.train()(normal(4, 5)).detach()
    torch.testing.assert_close(model.discriminate(images)[:2], model.discriminate(images[:2]))
    assert all(part.bias is not None for part in model.discriminator.modules() if isinstance(part, nn.Conv2d))


def test_a_hidden_layer_is_fully_connected():
    model = dcgan(hidden_width=6, batch_norm=False)
    layer = model.generator.main[0]
    latents = normal(3, 5)
    torch.testing.assert_close(
        layer(latents[:, :, None, None])[:, :, 0, 0], nn.functional.linear(latents, layer.weight[:, :, 0, 0])
    )
    body, features = nn.Sequential(*list(model.discriminator.main)[:-4]), normal(2, 1, 16, 16)
    maps, layer = body(features), model.discriminator.main[-4]
    expected = nn.functional.linear(maps.flatten(1), layer.weight.flatten(1))
    torch.testing.assert_close(layer(maps).flatten(1), expected)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss": "mse"}, "loss is 'mse'"),
        ({"label_into": "all"}, "label_into is 'all'"),
        ({"conditioning": "none"}, "conditioning is 'none'"),
        ({"image_size": 48}, "power of two from 8 on, not 48"),
        ({"image_size": 4}, "not 4"),
    ],
)
def test_a_config_that_cannot_be_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        dcgan(**settings)


# --- losses and samples -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", losses.LOSSES)
def test_the_losses_are_those_of_the_config_and_reach_their_own_player(name):
    model, images, latents = dcgan(loss=name), normal(4, 1, 16, 16).tanh(), normal(4, 5, seed=1)
    fake_logits = model.discriminate(model(latents))
    pair = losses.LOSSES[name]
    loss = model.discriminator_loss(images, latents)
    torch.testing.assert_close(loss, pair.discriminator(model.discriminate(images), fake_logits))
    loss.backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())
    assert all(parameter.grad is not None for parameter in model.discriminator.parameters())
    loss = model.generator_loss(latents)
    torch.testing.assert_close(loss, pair.generator(fake_logits))
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.generator.parameters())


def test_sampling_needs_evaluation_mode_and_leaves_the_model_as_it_was():
    model = dcgan()
    with pytest.raises(RuntimeError, match=r"call \.eval\(\)"):
        model.sample(3)
    before = {name: value.clone() for name, value in model.eval().state_dict().items()}
    drawn = model.sample(3, generator(0))
    assert drawn.shape == (3, 1, 16, 16) and not drawn.requires_grad
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    torch.testing.assert_close(drawn, model(torch.randn(3, 5, generator=generator(0))))


# --- labels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conditioning", ["concatenation", "projection"])
@pytest.mark.parametrize("label_into", ["both", "generator", "discriminator", "neither"])
def test_the_label_reaches_the_networks_that_it_should(conditioning, label_into):
    model = dcgan(num_classes=4, conditioning=conditioning, label_into=label_into)
    latents, images = normal(4, 5), normal(4, 1, 16, 16).tanh()
    labels, others = torch.tensor([0, 1, 2, 3]), torch.tensor([1, 2, 3, 0])
    generator_sees = not model(latents, labels).equal(model(latents, others))
    discriminator_sees = not model.discriminate(images, labels).equal(model.discriminate(images, others))
    assert generator_sees == (label_into in ("both", "generator"))
    assert discriminator_sees == (label_into in ("both", "discriminator"))
    model.discriminator_loss(images, latents, labels).backward()
    model.generator_loss(latents, labels).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    drawn = model.eval().sample(4, generator(0), labels)
    assert drawn.shape == images.shape


def test_by_concatenation_a_label_is_a_map_of_ones_beside_the_picture():
    model, images = dcgan(num_classes=3).eval(), normal(2, 1, 16, 16).tanh()
    maps = torch.zeros(2, 3, 16, 16)
    maps[0, 2] = maps[1, 0] = 1
    expected = model.discriminator.main(torch.cat([images, maps], dim=1)).flatten()
    torch.testing.assert_close(model.discriminate(images, torch.tensor([2, 0])), expected)
    noise = torch.cat([normal(2, 5), torch.tensor([[0.0, 0, 1], [1, 0, 0]])], dim=1)
    expected = model.generator.main(noise[:, :, None, None])
    torch.testing.assert_close(model(normal(2, 5), torch.tensor([2, 0])), expected)


@pytest.mark.parametrize("hidden_width", [0, 6])
def test_the_projection_adds_the_inner_product_of_label_and_summed_features(hidden_width):
    """f(x, y) = y' V phi(x) + psi(phi(x)) (Miyato & Koyama)."""
    model = dcgan(num_classes=3, conditioning="projection", hidden_width=hidden_width).eval()
    images, labels = normal(2, 1, 16, 16).tanh(), torch.tensor([2, 0])
    body, head = list(model.discriminator.main)[:-1], model.discriminator.main[-1]
    features = nn.Sequential(*body)(images)
    one_hot = nn.functional.one_hot(labels, 3).float()
    inner = torch.einsum("bk,kc,bchw->b", one_hot, model.discriminator.embedding.weight, features)
    torch.testing.assert_close(model.discriminate(images, labels), head(features).flatten() + inner)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda plain, conditional: plain(torch.zeros(2, 5), torch.zeros(2).long()), "num_classes=0"),
        (lambda plain, conditional: conditional(torch.zeros(2, 5)), "num_classes=4"),
        (lambda plain, conditional: conditional(torch.zeros(2, 5), torch.zeros(3).long()), r"\(2,\); got \(3,\)"),
        (lambda plain, conditional: plain.discriminate(torch.zeros(2, 3, 16, 16)), r"\(batch, 1, 16, 16\)"),
        (lambda plain, conditional: conditional.discriminate(torch.zeros(2, 1, 16, 16)), "needs one label"),
        (lambda plain, conditional: conditional.sample(2), "needs one label"),
        (lambda plain, conditional: conditional.sample(2, labels=torch.tensor([0, 4])), r"\[0, 4\), got 0 to 4"),
        (lambda plain, conditional: conditional.sample(1, labels=torch.tensor([-1])), "got -1 to -1"),
        (lambda plain, conditional: plain.sample(1, labels=torch.tensor([0])), "num_classes=0"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call(dcgan().eval(), dcgan(num_classes=4).eval())


# --- training ---------------------------------------------------------------------------------------------------------


class Digits(torch.utils.data.Dataset):
    """12 random pictures with labels, as batches."""

    def __len__(self) -> int:
        return 12

    def __getitems__(self, indices: list[int]) -> dict:
        return {"image": normal(12, 1, 16, 16).tanh()[indices], "label": torch.arange(12)[indices] % 4}


@pytest.mark.parametrize("penalty", ["none", "r1", "gradient"])
def test_a_conditional_model_plays_with_every_penalty(penalty):
    model = dcgan(num_classes=4, conditioning="projection", batch_norm=penalty == "none")
    before = [parameter.detach().clone() for parameter in model.parameters()]
    history = fit(gan_players(model, penalty=penalty, ema_decay=0.9), loader(Digits(), 6), 3, progress=False)
    assert len(history["generator/loss"]) == 3 and ("discriminator/penalty" in history) == (penalty != "none")
    assert all(not a.equal(b) for a, b in zip(before, model.parameters(), strict=True))


# --- the geometry of the noise ----------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 50), st.floats(0, 1), st.integers(0, 1000))
def test_spherical_interpolation_walks_along_the_arc_at_constant_speed(dimension, fraction, seed):
    start, end = torch.randn(2, dimension, dtype=torch.float64, generator=generator(seed))
    start, end = start / start.norm(), end / end.norm()
    (middle,) = spherical_interpolation(start, end, torch.tensor([fraction], dtype=torch.float64))
    angle = torch.acos((start @ end).clamp(-1, 1))
    assert middle.norm().item() == pytest.approx(1, abs=1e-6)
    assert (middle @ start).item() == pytest.approx(torch.cos(fraction * angle).item(), abs=1e-6)
    assert (middle @ end).item() == pytest.approx(torch.cos((1 - fraction) * angle).item(), abs=1e-6)


def test_spherical_interpolation_of_batches_starts_and_ends_where_it_should():
    start, end = normal(3, 20), 2 * normal(3, 20, seed=1)
    path = spherical_interpolation(start, end, torch.linspace(0, 1, 5))
    assert path.shape == (5, 3, 20)
    torch.testing.assert_close(path[0], start)
    torch.testing.assert_close(path[-1], end)
    torch.testing.assert_close(path[1, 2], spherical_interpolation(start[2], end[2], torch.tensor([0.25]))[0])


@pytest.mark.parametrize("direction", [[1.0, 2.0, 2.0], [1.0, 0.0, 0.0]])
def test_between_parallel_noises_the_arc_is_the_line(direction):
    start = torch.tensor(direction, requires_grad=True)
    path = spherical_interpolation(start, 3 * start.detach(), torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(path, torch.tensor([[1.0], [2.0], [3.0]]) * start)
    path.sum().backward()
    assert start.grad.isfinite().all()


def test_latent_arithmetic_works_on_means():
    having, lacking, onto = normal(3, 5), normal(2, 5, seed=1), normal(1, 5, seed=2)
    expected = having.sum(0) / 3 - lacking.sum(0) / 2 + onto[0]
    torch.testing.assert_close(latent_arithmetic(having, lacking, onto), expected)
