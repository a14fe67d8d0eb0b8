"""The GAN of Goodfellow et al.: its two losses, its players, and the toy distributions on which everything is known."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributions
from torch.utils.data import Dataset

from course_utils.data import loader
from course_utils.gans import GAN, GANConfig, losses
from course_utils.gans.gan import (
    GaussianMixture,
    gan_players,
    grid,
    mode_coverage,
    optimal_discriminator,
    ring,
    two_moons,
)
from course_utils.runtime import generator
from course_utils.training import fit


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed))


def gan(**settings) -> GAN:
    torch.manual_seed(0)
    return GAN(GANConfig(**{"latent_dim": 3, "generator_widths": (8,), "discriminator_widths": (8,), **settings}))


# --- toy distributions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mixture", [ring(), grid(), GaussianMixture(((0.5, -1.0),), 0.3)])
def test_the_density_of_a_mixture_is_that_of_torch_distributions(mixture):
    means = torch.tensor(mixture.means, dtype=torch.float64)
    peer = distributions.MixtureSameFamily(
        distributions.Categorical(torch.ones(len(means), dtype=torch.float64)),
        distributions.Independent(distributions.Normal(means, mixture.std), 1),
    )
    points = means[0] + torch.randn(7, 3, 2, dtype=torch.float64, generator=generator(0)) * mixture.std
    torch.testing.assert_close(mixture.log_density(points), peer.log_prob(points))


def test_the_toy_mixtures_stand_where_they_should():
    eight, twenty_five = torch.tensor(ring().means), torch.tensor(grid().means)
    torch.testing.assert_close(eight.norm(dim=1), torch.full((8,), 2.0))
    torch.testing.assert_close((eight - eight.roll(1, 0)).norm(dim=1), torch.full((8,), 4 * math.sin(math.pi / 8)))
    assert {tuple(mean) for mean in twenty_five.tolist()} == {(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)}


def test_a_mixture_draws_each_mode_equally_often_and_as_widely_as_it_says():
    mixture = grid(3, spacing=10.0, std=0.5)
    points = mixture.sample(20_000, generator(1))
    modes = (points[:, None] - torch.tensor(mixture.means)).norm(dim=-1).argmin(dim=1)
    assert (modes.bincount(minlength=9) / 20_000 - 1 / 9).abs().max() < 0.01
    offsets = points - torch.tensor(mixture.means)[modes]
    covariance = offsets.T @ offsets / 20_000
    torch.testing.assert_close(covariance, 0.25 * torch.eye(2), atol=0.01, rtol=0)


def test_the_moons_are_two_half_circles():
    points = two_moons(4000, generator(0), std=0.0)
    upper = (points.norm(dim=1) - 1).abs() < 1e-5
    lower = ((points - torch.tensor([1.0, 0.5])).norm(dim=1) - 1).abs() < 1e-5
    assert (upper | lower).all() and abs(upper.double().mean() - 0.5) < 0.03
    assert (points[upper & ~lower][:, 1] >= -1e-5).all() and (points[lower & ~upper][:, 1] <= 0.5 + 1e-5).all()
    blurred = two_moons(4000, generator(0), std=0.1) - points
    assert abs(blurred.std() - 0.1) < 0.01


@pytest.mark.parametrize("draw", [ring().sample, grid().sample, two_moons])
def test_points_are_a_function_of_the_generator(draw):
    assert draw(50, generator(3)).equal(draw(50, generator(3)))
    assert not draw(50, generator(3)).equal(draw(50, generator(4)))
    assert draw(50, generator(3)).shape == (50, 2) and draw(50, generator(3)).dtype == torch.float32


@settings(deadline=None, max_examples=30)
@given(st.floats(-2000, 10), st.floats(-5, 5))
def test_the_optimal_discriminator_is_the_share_of_the_data(log_q, log_ratio):
    """Also far out, where both densities are zero in floating point."""
    log_q = torch.tensor(log_q, dtype=torch.float64)
    found = optimal_discriminator(log_q + log_ratio, log_q).item()
    assert found == pytest.approx(math.exp(log_ratio) / (math.exp(log_ratio) + 1), rel=1e-9)


def test_the_optimal_discriminator_beats_others_on_known_densities():
    data, model = GaussianMixture(((0.0, 0.0),), 1.0), GaussianMixture(((1.0, 0.0),), 1.5)
    real, fake = data.sample(4000, generator(0)), model.sample(4000, generator(1))
    best = [data.log_density(points) - model.log_density(points) for points in (real, fake)]
    torch.testing.assert_close(
        optimal_discriminator(data.log_density(real), model.log_density(real)), best[0].sigmoid()
    )
    loss = losses.minimax_discriminator_loss(*best)
    for scale, shift in [(0.5, 0.0), (2.0, 0.0), (1.0, 0.5), (1.0, -0.5), (0.0, 0.0)]:
        assert losses.minimax_discriminator_loss(*(scale * logits + shift for logits in best)) > loss


# --- modes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mixture", [ring(), grid()])
def test_the_data_themselves_cover_every_mode_and_reach_the_ceiling(mixture):
    coverage = mode_coverage(mixture.sample(20_000, generator(0)), mixture)
    assert coverage.modes_covered == len(mixture.means)
    assert abs(coverage.good_share - (1 - math.exp(-4.5))) < 0.003


def test_a_collapsed_generator_and_one_between_the_modes_are_found_out():
    mixture = ring()
    collapsed = torch.tensor(mixture.means[3]) + 0.02 * normal(100, 2).clamp(-2, 2)
    assert mode_coverage(collapsed, mixture) == (1, 1.0)
    assert mode_coverage(torch.zeros(10, 2), mixture) == (0, 0.0)
    at = torch.tensor(mixture.means[0]) + torch.tensor([[2.9], [3.1]]) * torch.tensor([0.6, 0.8]) * mixture.std
    assert mode_coverage(at, mixture) == (1, 0.5)
    assert mode_coverage(torch.tensor(mixture.means)[:5], mixture) == (5, 1.0)


# --- the model --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2,), (1, 28, 28), (1, 32, 32)])
def test_shapes_and_range(shape):
    model = gan(sample_shape=shape)
    samples = model(100 * normal(5, 3))
    assert samples.shape == (5, *shape) and model.discriminate(samples).shape == (5,)
    assert (samples.abs().max() <= 1) == (len(shape) == 3), "pictures end in [-1, 1], points anywhere"
    drawn = model.sample(4, generator(0))
    assert drawn.shape == (4, *shape) and not drawn.requires_grad


@pytest.mark.parametrize("name", losses.LOSSES)
def test_the_losses_are_those_of_the_config_on_logits_of_real_and_generated_samples(name):
    model, samples, latents = gan(loss=name), normal(6, 2), normal(6, 3, seed=1)
    real_logits, fake_logits = model.discriminate(samples), model.discriminate(model(latents))
    pair = losses.LOSSES[name]
    assert model.discriminator_loss(samples, latents).equal(pair.discriminator(real_logits, fake_logits))
    assert model.generator_loss(latents).equal(pair.generator(fake_logits))


def test_each_loss_reaches_the_player_that_it_belongs_to():
    model, samples, latents = gan(), normal(6, 2), normal(6, 3, seed=1)
    model.discriminator_loss(samples, latents).backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())
    assert all(parameter.grad is not None for parameter in model.discriminator.parameters())
    model.generator_loss(latents).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.generator.parameters())


@pytest.mark.parametrize("call", [
    lambda: gan(loss="cross_entropy"),
    lambda: gan_players(gan(), penalty="cross_entropy"),
])  # fmt: skip
def test_an_unknown_name_is_refused(call):
    with pytest.raises(ValueError, match="'cross_entropy', but must be one of"):
        call()


def test_samples_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(2,\)\), got \(4, 3\)"):
        gan().discriminate(torch.zeros(4, 3))


# --- the players ------------------------------------------------------------------------------------------------------


class Points(Dataset):
    """64 points around (1, -0.5), as batches."""

    def __len__(self) -> int:
        return 64

    def __getitems__(self, indices: list[int]) -> dict:
        return {"image": (0.1 * normal(64, 2) + torch.tensor([1.0, -0.5]))[indices]}


def test_without_a_penalty_the_players_objectives_are_the_models_losses():
    model, batch = gan(), {"image": normal(6, 2)}
    discriminator, generator_ = gan_players(model)
    assert (discriminator.module, generator_.module) == (model.discriminator, model.generator)
    assert discriminator.betas == (0.5, 0.999) and discriminator.learning_rate == 2e-4
    torch.manual_seed(3)
    latents = torch.randn(6, 3)
    torch.manual_seed(3)
    loss, logs = discriminator.objective(batch)
    assert loss.equal(model.discriminator_loss(batch["image"], latents))
    assert logs["real_logit"].equal(model.discriminate(batch["image"]).mean())
    assert logs["fake_logit"].equal(model.discriminate(model(latents)).mean())
    loss.backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())
    torch.manual_seed(3)
    assert generator_.objective(batch)[0].equal(model.generator_loss(latents))


@pytest.mark.parametrize("penalty", ["gradient", "r1"])
def test_the_players_penalties_of_a_linear_discriminator(penalty):
    model, batch = gan(discriminator_widths=(), loss="wasserstein"), {"image": normal(6, 2)}
    slope = model.discriminator[1].weight[0]
    loss, logs = gan_players(model, penalty=penalty, penalty_weight=5.0)[0].objective(batch)
    expected = 5 * (slope.norm() - 1) ** 2 if penalty == "gradient" else 2.5 * slope.square().sum()
    torch.testing.assert_close(logs["penalty"], expected)
    torch.testing.assert_close(loss, logs["fake_logit"] - logs["real_logit"] + expected)
    slope_gradient = torch.autograd.grad(logs["penalty"], model.discriminator[1].weight)[0]
    assert slope_gradient.abs().sum() > 0 and not batch["image"].requires_grad


def test_r1_looks_at_real_samples_and_the_gradient_penalty_between_both():
    """D(x) = |x|^2 / 2 has the gradient x: the penalties say where they looked."""

    class Bowl(torch.nn.Module):
        def forward(self, samples):
            return 0.5 * samples.square().sum(dim=1)

    model, batch = gan(loss="wasserstein"), {"image": 10 + normal(6, 2)}
    model.discriminator = Bowl()
    r1 = gan_players(model, penalty="r1")[0].objective(batch)[1]["penalty"]
    torch.testing.assert_close(r1, 5 * batch["image"].square().sum(dim=1).mean())
    torch.manual_seed(1)
    found = gan_players(model, penalty="gradient")[0].objective(batch)[1]["penalty"]
    torch.manual_seed(1)
    fake, weights = model(torch.randn(6, 3)), torch.rand(6)
    norms = (weights[:, None] * batch["image"] + (1 - weights[:, None]) * fake).norm(dim=1)
    torch.testing.assert_close(found, 10 * (norms - 1).square().mean())


def test_the_discriminator_may_take_several_steps_for_each_of_the_generator():
    model = gan()
    history = fit(gan_players(model, discriminator_steps=3), loader(Points(), 16), 7, progress=False)
    assert len(history["discriminator/loss"]) == 7 and len(history["generator/loss"]) == 3


def test_training_moves_the_generator_to_the_data_and_repeats_exactly():
    weights = []
    for _ in range(2):
        model = gan(generator_widths=(16,), discriminator_widths=(16,))
        before = model.sample(500, generator(0)).mean(dim=0)
        players = gan_players(model, learning_rate=5e-3, penalty="r1", penalty_weight=1.0)
        fit(players, loader(Points(), 64), 200, schedule="constant", clip=None, progress=False)
        weights.append(torch.cat([parameter.flatten() for parameter in model.parameters()]))
    assert weights[0].equal(weights[1])
    middle = torch.tensor([1.0, -0.5])
    after = model.sample(500, generator(0)).mean(dim=0)
    assert (before - middle).norm() > 0.8 and (after - middle).norm() < 0.3
