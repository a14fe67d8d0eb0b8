"""CycleGAN: size and layout of the authors' generator, the full objective on known functions, and the history of translations."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import Dataset

from course_utils import hub
from course_utils.data import loader
from course_utils.runtime import generator
from course_utils.training import fit
from course_utils.translation import CycleGAN, CycleGANConfig
from course_utils.translation.cyclegan import ImageBuffer, cyclegan_players

SMALL = {"in_channels": 2, "image_size": 16, "width": 4, "blocks": 1, "patch_layers": 1}


def cyclegan(**settings) -> CycleGAN:
    torch.manual_seed(0)
    return CycleGAN(CycleGANConfig(**{**SMALL, **settings}))


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed))


def pictures(seed: int, count: int = 3) -> torch.Tensor:
    return normal(count, 2, 16, 16, seed=seed).tanh()


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# --- the authors' generator, built anew -------------------------------------------------------------------------------


class AuthorsBlock(nn.Module):
    def __init__(self, channels: int, **norm):
        super().__init__()
        layers = []
        for last in (False, True):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, kernel_size=3, padding=0, bias=True)]
            layers += [nn.InstanceNorm2d(channels, affine=False, **norm)] + [nn.ReLU()] * (not last)
        self.conv_block = nn.Sequential(*layers)

    def forward(self, features):
        return features + self.conv_block(features)


def authors_generator(channels: int, width: int, blocks: int, **norm) -> nn.Module:
    def normed(convolution: nn.Module) -> list[nn.Module]:
        return [convolution, nn.InstanceNorm2d(convolution.out_channels, affine=False, **norm), nn.ReLU()]

    layers = [nn.ReflectionPad2d(3), *normed(nn.Conv2d(channels, width, kernel_size=7, padding=0))]
    for factor in (1, 2):
        layers += normed(nn.Conv2d(width * factor, width * factor * 2, kernel_size=3, stride=2, padding=1))
    layers += [AuthorsBlock(4 * width, **norm) for _ in range(blocks)]
    for factor in (4, 2):
        layers += normed(nn.ConvTranspose2d(width * factor, width * factor // 2, 3, 2, padding=1, output_padding=1))
    network = nn.Module()
    network.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Tanh())
    return network


def test_the_networks_have_the_published_numbers_of_parameters():
    with torch.device("meta"):
        model = CycleGAN(CycleGANConfig())
        assert {count(network) for network in model.generators.values()} == {11_378_179}
        assert {count(network) for network in model.discriminators.values()} == {2_764_737}
        assert count(authors_generator(3, 64, 9)) == 11_378_179
        assert count(CycleGAN(CycleGANConfig(blocks=6)).generators["x_to_y"]) == count(authors_generator(3, 64, 6))
        assert not any("running" in name for name in model.state_dict())


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("legacy", [False, True], ids=["", "with running statistics"])
def test_published_weights_give_the_published_outputs_layer_by_layer(tmp_path, blocks, legacy):
    """Old files hold statistics, which the instance norm of that time stored and, like today's, did not use."""
    torch.manual_seed(1)
    theirs = [authors_generator(3, 4, blocks) for _ in range(2)]
    for name, network in zip(("there.pth", "back.pth"), theirs, strict=True):
        weights = network.state_dict()
        if legacy:
            weights = authors_generator(3, 4, blocks, track_running_stats=True).state_dict() | weights
            assert any("conv_block.2.running_mean" in key for key in weights)
        torch.save(weights, tmp_path / name)
    model = CycleGAN.from_hub(tmp_path, "there.pth", "back.pth")
    assert (model.config.in_channels, model.config.width, model.config.blocks) == (3, 4, blocks) and not model.training
    images = normal(2, 3, 32, 24)
    for direction, network in zip(("x_to_y", "y_to_x"), theirs, strict=True):
        own = there = images
        for mine, published in zip(model.generators[direction].model, network.model, strict=True):
            own, there = mine(own), published(there)
            torch.testing.assert_close(own, there, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(model.translate(images, direction), there, atol=1e-5, rtol=1e-5)


def test_a_file_of_another_layout_is_refused(tmp_path):
    path, weights = tmp_path / "other.pth", authors_generator(3, 4, 2).state_dict()
    torch.save({"model.1.weight": torch.zeros(4, 3, 7, 7)}, path)
    with pytest.raises(hub.WeightsError, match=r"no generator of CycleGAN.*model\.10\.conv_block"):
        CycleGAN.from_hub(path)
    torch.save({**weights, "model.4.running_means": torch.zeros(2)}, path)
    with pytest.raises(hub.WeightsError, match=r"other\.pth does not fit ResNetGenerator: .*model\.4\.running_means"):
        CycleGAN.from_hub(path)


def test_with_one_halving_a_translation_takes_any_even_size():
    model = cyclegan(halvings=1, image_size=18)
    convolutions = [layer for layer in model.generators["x_to_y"].model if isinstance(layer, nn.Conv2d)]
    assert [layer.stride for layer in convolutions] == [(1, 1), (2, 2), (1, 1)]
    assert model.translate(torch.zeros(1, 2, 14, 18)).shape == (1, 2, 14, 18)
    with pytest.raises(ValueError, match="multiples of 2"):
        model.translate(torch.zeros(1, 2, 15, 18))


def test_instance_norm_loses_an_even_tint_and_group_norm_keeps_it():
    pattern, tint = 0.3 * pictures(0, 1), torch.tensor([0.4, -0.3])[:, None, None]
    for norm, kept in (("instance", False), ("group", True)):
        first, second = cyclegan(norm=norm).eval().translate(torch.cat([pattern, pattern + tint]))
        assert ((first - second).abs().max() > 1e-3) == kept
    model = cyclegan(norm="group")
    for networks, kind, number in ((model.generators, nn.GroupNorm, 14), (model.discriminators, nn.InstanceNorm2d, 2)):
        norms = [layer for layer in networks.modules() if isinstance(layer, nn.InstanceNorm2d | nn.GroupNorm)]
        assert len(norms) == number and all(isinstance(layer, kind) for layer in norms)
    assert all(layer.num_groups == 1 for layer in model.modules() if isinstance(layer, nn.GroupNorm))


def test_without_a_norm_a_discriminator_judges_each_patch_alone():
    """With instance norm, what lies outside of the patch changes a logit."""
    torch.manual_seed(0)
    pictures, elsewhere = normal(1, 2, 64, 64), 3 * normal(1, 2, 64, 64)
    elsewhere[..., :32, :32] = pictures[..., :32, :32]
    for norm, alike in (("instance", False), ("none", True)):
        model = cyclegan(discriminator_norm=norm)
        corner, other = (model.discriminate(images, "x")[0, 0, 0, 0] for images in (pictures, elsewhere))
        assert torch.isclose(corner, other, atol=1e-6, rtol=0).item() == alike


def test_the_outer_kernels_of_a_generator_can_be_smaller():
    model = cyclegan(kernel=3)
    first, *_, last = (layer for layer in model.generators["y_to_x"].model if isinstance(layer, nn.Conv2d))
    assert first.kernel_size == last.kernel_size == (3, 3)
    assert model.translate(pictures(0, 1)).shape == pictures(0, 1).shape
    with pytest.raises(ValueError, match="kernel is 4, but must be odd"):
        cyclegan(kernel=4)


def test_a_translation_takes_any_multiple_of_four_and_stays_in_range():
    model = cyclegan().eval()
    images = 10 * normal(2, 2, 20, 12)
    assert model.translate(images).shape == images.shape and model.translate(images).abs().max() <= 1
    fake_x, fake_y = model(images, images)
    assert fake_x.equal(model.translate(images, "y_to_x")) and fake_y.equal(model.translate(images, "x_to_y"))
    assert not fake_x.equal(fake_y)


# --- the objective ----------------------------------------------------------------------------------------------------


class Times(nn.Module):
    """A generator that multiplies, or a discriminator that gives the mean of the picture times a factor."""

    def __init__(self, factor: float, judge: bool = False):
        super().__init__()
        self.factor, self.judge = nn.Parameter(torch.tensor(factor)), judge

    def forward(self, images):
        return self.factor * (images.mean(dim=(1, 2, 3), keepdim=True) if self.judge else images)


def known(**settings) -> CycleGAN:
    """G(x) = x / 2, F(y) = 3 y, D_X and D_Y the mean times 2 and times 5."""
    model = cyclegan(**settings)
    model.generators = nn.ModuleDict({"x_to_y": Times(0.5), "y_to_x": Times(3.0)})
    model.discriminators = nn.ModuleDict({"x": Times(2.0, True), "y": Times(5.0, True)})
    return model


def test_the_terms_are_those_of_the_paper_for_known_functions():
    model, x, y = known(), pictures(0), pictures(1)
    terms = model.generator_terms(x, y, *model(x, y))
    mean_x, mean_y = (each.mean(dim=(1, 2, 3)) for each in (x, y))
    expected = {
        "adversarial_y": (5 * 0.5 * mean_x - 1).square().mean(),
        "adversarial_x": (2 * 3 * mean_y - 1).square().mean(),
        "forward_cycle": 0.5 * x.abs().mean(),  # F(G(x)) = 3 x / 2
        "backward_cycle": 0.5 * y.abs().mean(),
        "identity_y": 0.5 * y.abs().mean(),  # G(y) = y / 2
        "identity_x": 2.0 * x.abs().mean(),  # F(x) = 3 x
    }
    assert terms._fields == tuple(expected)
    for name, value in expected.items():
        torch.testing.assert_close(getattr(terms, name), value)


@pytest.mark.parametrize(
    ("settings", "weights"),  # in the order of the terms
    [
        ({}, (1, 1, 10, 10, 5, 5)),
        ({"identity_weight": 0.0}, (1, 1, 10, 10, 0, 0)),
        ({"gan_weight": 0.0, "identity_weight": 0.0}, (0, 0, 10, 10, 0, 0)),  # cycle alone
        ({"forward_weight": 0.0, "backward_weight": 0.0}, (1, 1, 0, 0, 0, 0)),  # GAN alone
        ({"backward_weight": 0.0}, (1, 1, 10, 0, 0, 5)),  # GAN and forward cycle
        ({"gan_weight": 2.0, "forward_weight": 3.0, "backward_weight": 4.0, "identity_weight": 0.1}, (2, 2, 3, 4, 0.4, 0.3)),
    ],
)  # fmt: skip
def test_the_objective_weighs_the_terms_and_leaves_out_those_of_weight_zero(settings, weights):
    x, y = pictures(0), pictures(1)
    full = known().generator_terms(x, y, *known()(x, y))
    model = known(**settings)
    terms = model.generator_terms(x, y, *model(x, y))
    expected = sum(weight * term for weight, term in zip(weights, full, strict=True))
    torch.testing.assert_close(model.generator_loss(x, y), expected)
    assert [term.item() != 0 for term in terms] == [weight != 0 for weight in weights]


def test_generators_that_undo_each_other_have_no_cycle_loss():
    model = known()
    model.generators = nn.ModuleDict({"x_to_y": Times(-1.0), "y_to_x": Times(-1.0)})
    terms = model.generator_terms(pictures(0), pictures(1), *model(pictures(0), pictures(1)))
    assert terms.forward_cycle == terms.backward_cycle == 0 and terms.identity_x > 0 and terms.identity_y > 0


def test_each_discriminator_compares_its_own_domain_by_least_squares():
    model, (x, y, fake_x, fake_y) = known(), (pictures(seed) for seed in range(4))
    fakes = [fake.requires_grad_() for fake in (fake_x, fake_y)]
    loss = model.discriminator_loss(x, y, *fakes)
    means = [each.detach().mean(dim=(1, 2, 3)) for each in (x, y, *fakes)]
    halves = [
        (2 * means[0] - 1).square(),
        (5 * means[1] - 1).square(),
        (2 * means[2]).square(),
        (5 * means[3]).square(),
    ]
    torch.testing.assert_close(loss, sum(half.mean() for half in halves) / 2)
    loss.backward()
    assert all(fake.grad is None for fake in fakes)


def test_the_generators_loss_moves_both_generators_through_the_discriminators():
    model = cyclegan(forward_weight=0.0, backward_weight=0.0)
    model.generator_loss(pictures(0), pictures(1)).backward()
    for network in model.generators.values():
        assert all(parameter.grad is not None for parameter in network.parameters())
        assert sum(parameter.grad.abs().sum() for parameter in network.parameters()) > 0


# --- the history ------------------------------------------------------------------------------------------------------


def numbered(start: int, count: int) -> torch.Tensor:
    """Pictures (count, 1, 1, 1), each of one number."""
    return torch.arange(start, start + count, dtype=torch.float32)[:, None, None, None]


def numbers(images: torch.Tensor) -> list[int]:
    return images.flatten().int().tolist()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 6), st.lists(st.integers(1, 8), min_size=1, max_size=12), st.integers(0, 1000))
def test_the_history_gives_out_each_picture_of_its_own_or_a_new_one_and_loses_none(size, batches, seed):
    """Against a plain list: what is stored and what comes out are together what was stored and what went in."""
    buffer, draws, seen = ImageBuffer(size, (1, 1, 1)), generator(seed), 0
    stored: list[int] = []
    for length in batches:
        given = list(range(seen + 1, seen + 1 + length))
        out = numbers(buffer.query(numbered(seen + 1, length), draws))
        fresh = min(length, size - len(stored))
        assert out[:fresh] == given[:fresh], "while it fills, it hands back what it is given"
        before = stored + given[:fresh]
        stored = numbers(buffer.images)[: len(before)]
        assert int(buffer.count) == len(before) <= size
        assert sorted(stored + out[fresh:]) == sorted(before + given[fresh:])
        assert all(new == mine or new in before for new, mine in zip(out, given, strict=True))
        seen += length


def test_half_of_what_a_full_history_gives_out_is_old():
    buffer, draws = ImageBuffer(50, (1, 1, 1)), generator(0)
    buffer.query(numbered(0, 50), draws)
    old, ages = 0, []
    for step in range(2000):
        given = 50 + step
        (out,) = numbers(buffer.query(numbered(given, 1), draws))
        old += out != given
        ages += [given - out] if out != given else []
    assert abs(old / 2000 - 0.5) < 0.04
    # a picture leaves with probability 1/2 * 1/50 a step: the old ones are 100 steps old on average, some far older
    assert 80 < sum(ages) / len(ages) < 120 and max(ages) > 300


def test_the_history_is_a_function_of_the_generator_and_part_of_the_state():
    outputs = []
    for _ in range(2):
        buffer, draws = ImageBuffer(4, (1, 1, 1)), generator(3)
        buffer.query(numbered(0, 3), draws)
        moved = ImageBuffer(4, (1, 1, 1))
        moved.load_state_dict(buffer.state_dict())
        outputs.append([numbers(moved.query(numbered(3 + 2 * step, 2), draws)) for step in range(6)])
    assert outputs[0] == outputs[1]


def test_the_history_keeps_no_graph_and_gives_back_what_it_got_when_it_has_no_size():
    images = pictures(0).requires_grad_()
    buffer = ImageBuffer(2, (2, 16, 16))
    assert not buffer.query(images * 2).requires_grad and not buffer.images.requires_grad
    for _ in range(3):
        assert ImageBuffer(0, (2, 16, 16)).query(images).equal(images)


# --- training ---------------------------------------------------------------------------------------------------------


class Collections(Dataset):
    """12 random pictures of each domain, as batches."""

    def __len__(self) -> int:
        return 12

    def __getitems__(self, indices: list[int]) -> dict:
        return {"day": pictures(0, 12)[indices], "night": pictures(1, 12)[indices]}


def weights_of(module: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


@pytest.mark.parametrize("accumulate", [1, 2])
def test_both_players_move_and_the_discriminators_see_the_translations_of_the_step(accumulate, monkeypatch):
    asked = []
    monkeypatch.setattr(ImageBuffer, "query", lambda self, images: asked.append(images) or images)
    model = cyclegan()
    before = {name: weights_of(getattr(model, name)) for name in ("generators", "discriminators")}
    with torch.no_grad():
        expected = model(pictures(0, 12), pictures(1, 12))
    players = cyclegan_players(model, "day", "night")
    assert [player.name for player in players] == ["generators", "discriminators"]
    history = fit(players, loader(Collections(), 6), 2, accumulate=accumulate, progress=False)
    assert all(not weights_of(getattr(model, name)).equal(old) for name, old in before.items())
    assert {f"generators/{name}" for name in ("forward_cycle", "identity_x", "adversarial_y")} <= history.keys()
    assert len(asked) == 2 * 2 * accumulate, "two domains, in each of two steps"
    for domain, translated in enumerate(expected):  # of the generators as they were before the first step
        fakes = torch.cat(asked[domain : 2 * accumulate : 2])
        distances = (fakes[:, None] - translated[None]).abs().amax(dim=(2, 3, 4))
        assert distances.amin(dim=1).max() < 1e-5 and len(distances.argmin(dim=1).unique()) == 6 * accumulate


def test_the_history_belongs_to_the_training_not_to_the_model(tmp_path):
    """Interrupted after one of six steps, the training goes on as if it had not been, with the pictures it remembered."""
    weights = {}
    for name, stops in (("whole", [None]), ("in pieces", [0.0, None])):
        for minutes in stops:
            model = cyclegan()
            players = cyclegan_players(model, "day", "night", history=4)
            file = tmp_path / name
            fit(players, loader(Collections(), 3), 6, checkpoint=file, minutes=minutes, progress=False)
        weights[name] = weights_of(model)
    assert weights["whole"].equal(weights["in pieces"])
    assert not any("histor" in key for key in model.state_dict())


def test_without_a_gan_term_only_the_generators_play():
    model = cyclegan(gan_weight=0.0)
    (player,) = cyclegan_players(model, "day", "night")
    before = weights_of(model.discriminators)
    fit(player, loader(Collections(), 6), 2, progress=False)
    assert player.name == "generators" and weights_of(model.discriminators).equal(before)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: cyclegan(image_size=18), "choose a multiple of 4"),
        (lambda: cyclegan(norm="batch"), "one of instance, group"),
        (lambda: cyclegan().translate(torch.zeros(1, 2, 16, 16), "there"), "direction is 'there'"),
        (lambda: cyclegan().translate(torch.zeros(1, 3, 16, 16)), r"\(batch, 2, height, width\).*got \(1, 3, 16, 16\)"),
        (lambda: cyclegan().translate(torch.zeros(1, 2, 16, 18)), "multiples of 4"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
