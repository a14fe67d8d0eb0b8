"""The losses against torch's own, against the distances that they stand for, and penalties against critics of known slope."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.gans import losses
from course_utils.runtime import generator

SHAPES = [(7,), (3, 1, 4, 5)]  # one logit a sample, one a patch


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(shape, dtype=torch.float64, generator=generator(seed))


def cross_entropy(logits: torch.Tensor, target: float) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_minimax_losses_are_cross_entropies(shape):
    real, fake = normal(*shape), normal(*shape, seed=1)
    expected = cross_entropy(real, 1.0) + cross_entropy(fake, 0.0)
    torch.testing.assert_close(losses.minimax_discriminator_loss(real, fake), expected)
    torch.testing.assert_close(losses.minimax_generator_loss(fake), -cross_entropy(fake, 0.0))
    torch.testing.assert_close(losses.non_saturating_generator_loss(fake), cross_entropy(fake, 1.0))


def test_label_smoothing_is_one_sided():
    real, fake = normal(9), normal(9, seed=1)
    expected = cross_entropy(real, 0.9) + cross_entropy(fake, 0.0)
    torch.testing.assert_close(losses.minimax_discriminator_loss(real, fake, 0.9), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_least_squares_is_half_the_mean_squared_error_to_the_labels(shape):
    real, fake = normal(*shape), normal(*shape, seed=1)
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    expected = 0.5 * F.mse_loss(real, ones) + 0.5 * F.mse_loss(fake, zeros)
    torch.testing.assert_close(losses.least_squares_discriminator_loss(real, fake), expected)
    torch.testing.assert_close(losses.least_squares_generator_loss(fake), 0.5 * F.mse_loss(fake, ones))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_hinge_loss_is_a_margin_of_one_on_each_side(shape):
    real, fake = normal(*shape), normal(*shape, seed=1)
    zeros, ones = torch.zeros_like(real), torch.ones_like(real)
    expected = F.margin_ranking_loss(real, zeros, ones, 1.0) + F.margin_ranking_loss(zeros, fake, ones, 1.0)
    torch.testing.assert_close(losses.hinge_discriminator_loss(real, fake), expected)
    torch.testing.assert_close(losses.hinge_generator_loss(fake), -fake.sum() / fake.numel())
    assert losses.hinge_discriminator_loss(1 + real.abs(), -1 - fake.abs()) == 0


def test_with_the_best_critic_the_wasserstein_loss_is_the_distance():
    """Data moved by a vector: the best critic of slope 1 rises along it, and the distance is its length."""
    fake, move = normal(50, 3), torch.tensor([1.0, -2.0, 2.0], dtype=torch.float64)
    slope = move / 3
    loss = losses.wasserstein_critic_loss((fake + move) @ slope, fake @ slope)
    torch.testing.assert_close(loss, torch.tensor(-3.0, dtype=torch.float64))
    assert losses.wasserstein_generator_loss(torch.tensor([1.0, 4.0])) == -2.5


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=2, max_size=6))
def test_the_optimal_discriminator_is_where_the_loss_stands_still(counts):
    """Of places that data and generator visit so often: the best logit is log p - log q, and the game's value 2 JSD - log 4."""
    real_counts, fake_counts = torch.tensor(counts).T
    p, q = (each.double() / each.sum() for each in (real_counts, fake_counts))

    def visits(per_place: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return per_place.repeat_interleave(real_counts), per_place.repeat_interleave(fake_counts)

    logits = (p.log() - q.log()).requires_grad_()
    loss = losses.minimax_discriminator_loss(*visits(logits))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.abs().max() < 1e-12
    middle = (p + q) / 2
    divergence = 0.5 * (p * (p / middle).log()).sum() + 0.5 * (q * (q / middle).log()).sum()
    torch.testing.assert_close(-loss.detach(), 2 * divergence - math.log(4))

    smoothed = (0.9 * p / (p + q)).logit().requires_grad_()  # the same, scaled down (Salimans et al., section 3.4)
    scores = (p / (p + q)).requires_grad_()  # least squares has its optimum at the same p / (p + q), without a sigmoid
    for loss, at in [
        (losses.minimax_discriminator_loss(*visits(smoothed), 0.9), smoothed),
        (losses.least_squares_discriminator_loss(*visits(scores)), scores),
    ]:
        (gradient,) = torch.autograd.grad(loss, at)
        assert gradient.abs().max() < 1e-12


def test_the_minimax_generator_loss_saturates_and_the_other_does_not():
    slopes = []
    for loss in (losses.minimax_generator_loss, losses.non_saturating_generator_loss):
        logits = torch.full((1,), -10.0, requires_grad=True)  # a sure discriminator
        loss(logits).backward()
        slopes.append(logits.grad.item())
    assert -1e-4 < slopes[0] < 0 and slopes[1] < -0.99


def test_the_table_pairs_the_losses_as_the_papers_do():
    assert {name: (pair.discriminator, pair.generator) for name, pair in losses.LOSSES.items()} == {
        "minimax": (losses.minimax_discriminator_loss, losses.minimax_generator_loss),
        "non_saturating": (losses.minimax_discriminator_loss, losses.non_saturating_generator_loss),
        "least_squares": (losses.least_squares_discriminator_loss, losses.least_squares_generator_loss),
        "hinge": (losses.hinge_discriminator_loss, losses.hinge_generator_loss),
        "wasserstein": (losses.wasserstein_critic_loss, losses.wasserstein_generator_loss),
    }
    for (
        pair
    ) in losses.LOSSES.values():  # all pull the same way: D raises real and lowers fake logits, G raises fake ones
        real, fake, own = (torch.zeros(3, requires_grad=True) for _ in range(3))
        (pair.discriminator(real, fake) + pair.generator(own)).backward()
        assert (real.grad < 0).all() and (fake.grad >= 0).all() and (own.grad < 0).all()


def test_the_gradient_penalty_of_a_linear_critic():
    slope = torch.tensor([2.0, -1.0, 2.0], dtype=torch.float64, requires_grad=True)  # of length 3
    points = normal(5, 3).requires_grad_()
    penalty = losses.gradient_penalty(losses.input_gradient(points @ slope, points))
    assert penalty.item() == pytest.approx(10 * (3 - 1) ** 2)
    (gradient,) = torch.autograd.grad(penalty, slope)  # it can be trained away
    torch.testing.assert_close(gradient, 10 * 2 * (3 - 1) * slope.detach() / 3)


def test_the_gradient_penalty_is_a_mean_over_samples_of_norms_over_all_their_values():
    gradient = torch.zeros(2, 1, 2, 2)
    gradient[0], gradient[1, 0, 0, 0] = 1.0, 4.0  # norms 2 and 4
    assert losses.gradient_penalty(gradient, weight=1.0) == (1 + 9) / 2


def test_a_critic_without_slope_is_penalised_and_gives_a_finite_gradient():
    slope, points = torch.zeros(3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    penalty = losses.gradient_penalty(losses.input_gradient(points @ slope, points))
    penalty.backward()
    assert penalty == 10 and slope.grad.isfinite().all()


def test_r1_of_a_quadratic_discriminator():
    """D(x) = x' A x / 2 has the gradient A x, so the penalty is gamma / 2 E |A x|^2."""
    matrix = normal(4, 4)
    matrix = (matrix + matrix.T).requires_grad_()
    points = normal(6, 4, seed=1).requires_grad_()
    penalty = losses.r1_penalty(losses.input_gradient(0.5 * ((points @ matrix) * points).sum(dim=1), points), 3.0)
    images = points.detach() @ matrix.detach()
    torch.testing.assert_close(penalty.detach(), 3.0 / 2 * images.square().sum() / 6)
    (gradient,) = torch.autograd.grad(penalty, matrix)
    inner = 3.0 / 6 * points.detach().T @ images  # d/dA of gamma / 2N |X A|^2 ...
    torch.testing.assert_close(gradient, (inner + inner.T) / 2)  # ... where A counts by its symmetric part alone
    assert losses.r1_penalty(torch.ones(2, 1, 2, 2)) == 10 / 2 * 4


def test_the_input_gradient_is_that_of_each_sample_alone():
    points = normal(5, 3).requires_grad_()
    together = losses.input_gradient(points.square().sum(dim=1), points)
    torch.testing.assert_close(together.detach(), 2 * points.detach())


def test_interpolation_has_one_weight_a_sample():
    real, fake = normal(3, 2, 4, 4), normal(3, 2, 4, 4, seed=1)
    between = losses.interpolate(real, fake, torch.tensor([1.0, 0.0, 0.25], dtype=torch.float64))
    torch.testing.assert_close(between, torch.stack([real[0], fake[1], 0.25 * real[2] + 0.75 * fake[2]]))
