"""pix2pix: sizes and layout of the authors' networks, patches, skips, dropout as noise, and the losses in closed form."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset

from course_utils import hub
from course_utils.data import loader
from course_utils.runtime import generator
from course_utils.training import fit
from course_utils.translation import Pix2Pix, Pix2PixConfig
from course_utils.translation.pix2pix import PatchDiscriminator, pix2pix_players, receptive_field

SMALL = {"in_channels": 2, "out_channels": 1, "image_size": 16, "depth": 4, "width": 4, "dropout": (0, 2), "patch_layers": 1}  # fmt: skip


def pix2pix(**settings) -> Pix2Pix:
    torch.manual_seed(0)
    return Pix2Pix(Pix2PixConfig(**{**SMALL, **settings}))


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def as_trained(network: nn.Module) -> nn.Module:
    """Batch norms with factors and statistics that are not 0 and 1, all kernels random; in evaluation mode."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for values in (layer.weight.data, layer.bias.data, layer.running_mean):
                values.normal_(0.5, 0.2)
            layer.running_var.uniform_(0.2, 0.6)
    return network.eval()


# --- the authors' networks, built anew --------------------------------------------------------------------------------


class Joined(nn.Module):
    """A level of the authors' U-Net: what lies in `model` beside its own input."""

    def __init__(self, layers: list[nn.Module]):
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, features):
        return torch.cat([features, self.model(features)], 1)


class AuthorsUNet(nn.Module):
    def __init__(self, into: int, out: int, channels: list[int], norm: str, drops: int = 0):
        """`channels` from the outside in; `drops` levels above the innermost have dropout as their last layer."""
        super().__init__()
        instance = norm == "instance"
        make_norm = nn.InstanceNorm2d if instance else nn.BatchNorm2d

        def down(a, b):
            return nn.Conv2d(a, b, kernel_size=4, stride=2, padding=1, bias=instance)

        def up(a, b):
            return nn.ConvTranspose2d(a, b, kernel_size=4, stride=2, padding=1, bias=instance)

        outer, inner = channels[-2:]
        block = Joined([nn.LeakyReLU(0.2), down(outer, inner), nn.ReLU(), up(inner, outer), make_norm(outer)])
        for level in range(len(channels) - 2, 0, -1):
            outer, inner = channels[level - 1], channels[level]
            layers = [nn.LeakyReLU(0.2), down(outer, inner), make_norm(inner), block, nn.ReLU(), up(2 * inner, outer)]
            layers += [make_norm(outer)] + [nn.Dropout(0.5)] * (len(channels) - 2 - level < drops)
            block = Joined(layers)
        last = nn.ConvTranspose2d(2 * channels[0], out, kernel_size=4, stride=2, padding=1)
        self.model = nn.Module()  # `model.model`: the outermost level joins nothing
        self.model.model = nn.Sequential(down(into, channels[0]), block, nn.ReLU(), last, nn.Tanh())

    def forward(self, images):
        return self.model.model(images)


class AuthorsPatches(nn.Module):
    def __init__(self, into: int, channels: list[int], norm: str):
        super().__init__()
        instance = norm == "instance"
        layers = [nn.Conv2d(into, channels[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for index in range(1, len(channels)):
            stride = 1 if index == len(channels) - 1 else 2
            layers += [nn.Conv2d(channels[index - 1], channels[index], 4, stride, 1, bias=instance)]
            layers += [(nn.InstanceNorm2d if instance else nn.BatchNorm2d)(channels[index]), nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 4, 1, 1))


def convolution_outputs(network: nn.Module, images: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """What every convolution gives, in the order of computation, and the answer."""
    seen, hooks = [], []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            hooks.append(layer.register_forward_hook(lambda module, inputs, output: seen.append(output.clone())))
    answer = network(images)
    for hook in hooks:
        hook.remove()
    return seen, answer


# --- published sizes and weights --------------------------------------------------------------------------------------


def test_the_networks_have_the_published_numbers_of_parameters():
    with torch.device("meta"):
        model = Pix2Pix(Pix2PixConfig())
        assert count(model.generator) == 54_413_955 and count(model.discriminator) == 2_768_705
        assert count(AuthorsUNet(3, 3, [64, 128, 256, *[512] * 5], "batch")) == 54_413_955
        assert count(PatchDiscriminator(3, norm="instance")) == 2_764_737


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(("channels", "drops"), [([4, 8, 16], 0), ([4, 8, 16, 32, 32], 0), ([4, 8, 16, 32, 32, 32], 1)])
def test_published_weights_give_the_published_outputs_layer_by_layer(tmp_path, norm, channels, drops):
    torch.manual_seed(1)
    theirs = as_trained(AuthorsUNet(3, 2, channels, norm, drops))
    torch.save(theirs.state_dict(), tmp_path / "latest_net_G.pth")
    model = Pix2Pix.from_hub(tmp_path)
    config = model.config
    assert (config.in_channels, config.out_channels, config.depth, config.width) == (3, 2, len(channels), 4)
    assert config.norm == norm and config.dropout == tuple(range(1, drops + 1)) and not model.training
    images = normal(2, 3, 64, 64)
    expected, answer = convolution_outputs(theirs, images)
    found, mine = convolution_outputs(model.generator, images)
    assert len(found) == 2 * len(channels)
    for ours, published in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, published, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mine, answer, atol=1e-5, rtol=1e-5)


def test_old_instance_norm_statistics_are_left_out(tmp_path):
    torch.manual_seed(1)
    theirs = AuthorsUNet(3, 3, [4, 8, 16], "instance").eval()
    weights = theirs.state_dict()
    for name, module in theirs.named_modules():
        if isinstance(module, nn.InstanceNorm2d):
            weights[f"{name}.running_mean"] = torch.zeros(module.num_features)
            weights[f"{name}.running_var"] = torch.ones(module.num_features)
    torch.save(weights, tmp_path / "old.pth")
    images = normal(2, 3, 16, 16)
    torch.testing.assert_close(Pix2Pix.from_hub(tmp_path)(images), theirs(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_a_discriminator_of_the_authors_layout_is_loaded_too(tmp_path, norm):
    torch.manual_seed(1)
    theirs = as_trained(AuthorsPatches(6, [4, 8, 16, 32], norm))
    torch.save(AuthorsUNet(3, 3, [4, 8, 16], norm).state_dict(), tmp_path / "G.pth")
    torch.save(theirs.state_dict(), tmp_path / "D.pth")
    model = Pix2Pix.from_hub(tmp_path, "G.pth", "D.pth")
    own = there = normal(2, 6, 64, 64)
    for mine, published in zip(model.discriminator.model, theirs.model, strict=True):
        own, there = mine(own), published(there)
        torch.testing.assert_close(own, there, atol=1e-5, rtol=1e-5)


def test_a_file_of_another_layout_is_refused(tmp_path):
    path = tmp_path / "other.pth"
    weights = AuthorsUNet(3, 3, [4, 8, 16], "batch").state_dict()
    torch.save({"model.0.weight": torch.zeros(3)}, path)
    with pytest.raises(hub.WeightsError, match=r"is no U-Net of pix2pix.*model\.model\.0\.weight"):
        Pix2Pix.from_hub(path)
    for foreign in ("model.model.1.model.9.weight", "other.running_meanness"):
        torch.save({**weights, foreign: torch.zeros(2)}, path)
        with pytest.raises(hub.WeightsError, match=rf"other\.pth does not fit UNet: .*{foreign}"):
            Pix2Pix.from_hub(path)
    del weights["model.model.1.model.2.running_var"]
    torch.save(weights, path)
    with pytest.raises(hub.WeightsError, match=r"Missing.*encoder\.1\.2\.running_var"):
        Pix2Pix.from_hub(path)


# --- patches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layers", "size"), [(0, 1), (1, 16), (2, 34), (3, 70), (4, 142), (5, 286)])
def test_a_patch_is_what_a_logit_depends_on(layers, size):
    """The computed receptive field is where the gradient of a logit in the middle is not zero."""
    torch.manual_seed(0)
    network = PatchDiscriminator(2, width=1, layers=layers).eval().double()
    assert receptive_field(network) == size
    images = torch.randn(1, 2, 2 * size + 40, 2 * size + 40, dtype=torch.float64).requires_grad_()
    logits = network(images)
    middle = logits.shape[-1] // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], images)
    rows, columns = (gradient[0].abs().sum(dim=(0, dim)).nonzero().flatten() for dim in (1, 2))
    for places in (rows, columns):
        assert len(places) == size and places[-1] - places[0] == size - 1
        assert 0 < places[0] and places[-1] < images.shape[-1] - 1, "the patch lies within the picture"


def test_the_logits_of_the_paper_size_form_a_grid_of_30_by_30():
    with torch.device("meta"):
        assert PatchDiscriminator(6)(torch.zeros(1, 6, 256, 256)).shape == (1, 1, 30, 30)


# --- the generator ----------------------------------------------------------------------------------------------------


def test_only_skips_carry_what_the_bottleneck_loses():
    """With the innermost kernel at zero the encoder-decoder says the same to everything; the U-Net still sees its input."""
    inputs = normal(2, 2, 16, 16)
    for skips in (True, False):
        model = pix2pix(skips=skips).eval()
        nn.init.zeros_(model.generator.encoder[-1][-1].weight)
        first, second = model(inputs)
        assert first.equal(second) == (not skips)
        assert model(inputs).shape == (2, 1, 16, 16)


def test_dropout_drops_half_of_the_values_that_its_noise_names_and_doubles_the_rest():
    model = pix2pix().eval()
    noise = model.draw_noise(3, generator(0))
    given, got = {}, {}
    for number, layer in enumerate(model.generator.decoder):
        layer.register_forward_hook(lambda module, inputs, output, number=number: got.update({number: output}))
        layer.register_forward_pre_hook(lambda module, inputs, number=number: given.update({number: inputs[0]}))
    model(normal(3, 2, 16, 16), noise)
    for number, uniform in zip(model.config.dropout, noise, strict=True):
        features = got[number]
        passed = given[number + 1][:, -features.shape[1] :]  # beside the skip, which stays whole
        torch.testing.assert_close(passed, torch.where(uniform < 0.5, 0.0, 2 * features))
    torch.testing.assert_close(given[2][:, -got[1].shape[1] :], got[1])


@pytest.mark.parametrize("dropout", [(), (0,), (0, 1, 2), (2, 1)])
def test_the_noise_fits_the_layers(dropout):
    model = pix2pix(dropout=dropout, in_channels=3, image_size=32).eval()
    inputs, noise = normal(2, 3, 32, 32), model.draw_noise(2, generator(0))
    assert len(noise) == len(dropout) and all(0 <= part.min() and part.max() < 1 for part in noise)
    assert model(inputs, noise).shape == (2, 1, 32, 32)
    assert model(inputs, noise).equal(model(inputs)) == (not dropout), "noise is all that is random, and it is used"
    assert all(not model(inputs, (*noise[:n], 1 - noise[n], *noise[n + 1 :])).equal(model(inputs, noise)) for n in range(len(noise)))  # fmt: skip


def test_samples_are_answers_with_dropout():
    model = pix2pix()
    inputs = normal(2, 2, 16, 16)
    with pytest.raises(RuntimeError, match=r"call \.eval\(\)"):
        model.sample(inputs)
    first, again, other = (model.eval().sample(inputs, generator(seed)) for seed in (1, 1, 2))
    assert first.equal(again) and not first.equal(other) and not first.requires_grad
    assert first.equal(model(inputs, model.draw_noise(2, generator(1)))) and first.abs().max() <= 1
    quiet = pix2pix(dropout=()).eval()
    assert quiet.sample(inputs, generator(1)).equal(quiet.sample(inputs, generator(2)))


# --- losses -----------------------------------------------------------------------------------------------------------


def cross_entropy(logits: torch.Tensor, target: float) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


@pytest.mark.parametrize("conditional", [True, False])
def test_the_losses_are_cross_entropies_of_pairs_and_an_absolute_error(conditional):
    model = pix2pix(conditional=conditional, l1_weight=7.0, gan_weight=0.5)
    inputs, targets, noise = normal(3, 2, 16, 16), normal(3, 1, 16, 16).tanh(), model.draw_noise(3, generator(0))
    fake = model(inputs, noise)
    pairs = [torch.cat([inputs, answers], dim=1) if conditional else answers for answers in (targets, fake)]
    real_logits, fake_logits = (model.discriminator(pair) for pair in pairs)
    loss = model.discriminator_loss(inputs, targets, noise)
    torch.testing.assert_close(loss, 0.5 * (cross_entropy(real_logits, 1.0) + cross_entropy(fake_logits, 0.0)))
    loss.backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())
    terms = model.generator_terms(inputs, targets, noise)
    torch.testing.assert_close(terms.adversarial, cross_entropy(fake_logits, 1.0))
    torch.testing.assert_close(terms.l1, (fake - targets).abs().mean())
    loss = model.generator_loss(inputs, targets, noise)
    torch.testing.assert_close(loss, 0.5 * terms.adversarial + 7.0 * terms.l1)
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_conditional_discriminator_sees_the_input_another_does_not():
    inputs, others, answers = normal(2, 2, 16, 16), normal(2, 2, 16, 16, seed=1), normal(2, 1, 16, 16, seed=2)
    for conditional in (True, False):
        model = pix2pix(conditional=conditional)
        same = model.discriminate(inputs, answers).equal(model.discriminate(others, answers))
        assert same == (not conditional)


def test_a_term_of_weight_zero_costs_nothing():
    inputs, targets = normal(2, 2, 16, 16), normal(2, 1, 16, 16)
    regression = pix2pix(gan_weight=0.0)
    regression.discriminator.register_forward_hook(lambda *_: pytest.fail("the discriminator was asked"))
    torch.testing.assert_close(regression.generator_loss(inputs, targets), 100 * F.l1_loss(regression(inputs), targets))
    adversarial = pix2pix(l1_weight=0.0)
    terms = adversarial.generator_terms(inputs, targets)
    assert terms.l1 == 0 and adversarial.generator_loss(inputs, targets).equal(terms.adversarial)


# --- training ---------------------------------------------------------------------------------------------------------


class Pairs(Dataset):
    """12 random pairs, as batches."""

    def __len__(self) -> int:
        return 12

    def __getitems__(self, indices: list[int]) -> dict:
        return {"edges": normal(12, 2, 16, 16)[indices], "photo": normal(12, 1, 16, 16, seed=1).tanh()[indices]}


@pytest.mark.parametrize(
    ("weights", "playing"),
    [({}, ["discriminator", "generator"]), ({"gan_weight": 0.0}, ["generator"])],
)
def test_the_players_play_and_without_a_gan_term_the_generator_is_alone(weights, playing):
    model = pix2pix(**weights)
    players = pix2pix_players(model, "edges", "photo")
    assert [player.name for player in players] == playing
    before = {name: [p.detach().clone() for p in getattr(model, name).parameters()] for name in ("generator", "discriminator")}  # fmt: skip
    history = fit(players, loader(Pairs(), 4), 3, progress=False)
    assert any(key.endswith("l1") for key in history) and any(key.endswith("adversarial") for key in history)
    for name, old in before.items():
        moved = [not a.equal(b) for a, b in zip(old, getattr(model, name).parameters(), strict=True)]
        assert all(moved) if name in playing else not any(moved)


def test_the_players_objectives_are_the_models_losses_on_drawn_noise():
    model = pix2pix()
    batch = {"input": normal(2, 2, 16, 16), "image": normal(2, 1, 16, 16, seed=1)}
    for player, loss in zip(pix2pix_players(model), (model.discriminator_loss, model.generator_loss), strict=True):
        torch.manual_seed(4)
        found, _ = player.objective(batch)
        torch.manual_seed(4)
        assert found.equal(loss(batch["input"], batch["image"], model.draw_noise(2)))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pix2pix(norm="layer"), "norm is 'layer'"),
        (lambda: pix2pix(image_size=24), "depth 4 needs a multiple of 16"),
        (lambda: pix2pix(dropout=(3,)), r"\[0, 3\)"),
        (lambda: pix2pix()(torch.zeros(2, 1, 16, 16)), r"\(batch, 2, height, width\).*got \(2, 1, 16, 16\)"),
        (lambda: pix2pix()(torch.zeros(2, 2, 16, 24)), "multiples of 16"),
        (lambda: pix2pix()(torch.zeros(2, 2, 16, 16), (torch.zeros(1),)), "noise for 2 layers or none, got 1"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
