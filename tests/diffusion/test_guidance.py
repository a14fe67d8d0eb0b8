"""Guidance towards conditions whose exact answer is known, and inpainting of points of which one coordinate is known."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from course_utils.diffusion import DDIM, Ancestral, DiffusionConfig, GaussianDiffusion, inference_timesteps, sample
from course_utils.diffusion.guidance import (
    classifier_free,
    classifier_guided,
    drop_labels,
    keep_known,
    resampled,
    rescale_guided,
)
from course_utils.diffusion.schedules import CLEAN, Level
from course_utils.diffusion.score import mixture_denoiser, mixture_network
from course_utils.gans.gan import GaussianMixture
from course_utils.layers import draw_normal, draw_uniform
from course_utils.runtime import generator

quick = settings(deadline=None, max_examples=25)
MODES = ((-1.0, -1.0), (1.0, 0.5), (0.5, 1.5))
ALL = GaussianMixture(MODES, 0.3)
EACH = [GaussianMixture((mode,), 0.3) for mode in MODES]
NOTHING = 3  # the label that says nothing
PROCESS = GaussianDiffusion(DiffusionConfig(200, "cosine"))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return draw_normal(shape, generator(seed))


def conditional_network(noisy: Tensor, timesteps: Tensor, labels: Tensor) -> Tensor:
    """The exact answer for the mode that the label names, or for all of them."""
    answers = torch.stack([mixture_network(mixture, PROCESS)(noisy, timesteps) for mixture in (*EACH, ALL)])
    return answers[labels, torch.arange(len(noisy))]


def classifier(noisy: Tensor, timesteps: Tensor) -> Tensor:
    """Exact logits (batch, 3): the log density of each mode at that noise."""
    at = PROCESS.level(timesteps, 2)
    centres = at.signal[..., None] * noisy.new_tensor(MODES)
    variance = (0.3 * at.signal).square() + at.noise.square()
    return -0.5 * (noisy[:, None] - centres).square().sum(dim=-1) / variance


# --- labels -----------------------------------------------------------------------------------------------------------


def test_labels_are_dropped_as_often_as_asked():
    labels, uniform = torch.arange(3).repeat(4000), draw_uniform((12_000,), generator(0))
    dropped = drop_labels(labels, uniform, 0.1, NOTHING)
    assert abs((dropped == NOTHING).float().mean() - 0.1) < 0.01
    assert dropped.dtype == torch.int64 and dropped[dropped != NOTHING].equal(labels[dropped != NOTHING])
    assert drop_labels(labels, uniform, 0.0, NOTHING).equal(labels)
    assert (drop_labels(labels, uniform, 1.0, NOTHING) == NOTHING).all()


# --- classifier-free --------------------------------------------------------------------------------------------------


def test_scale_zero_ignores_the_condition_and_one_obeys_it():
    noisy, timesteps, labels = normal(6, 2), torch.arange(6) * 30, torch.tensor([0, 1, 2, 0, 1, 2])
    answers = {
        scale: classifier_free(conditional_network, NOTHING, scale)(noisy, timesteps, labels)
        for scale in (0.0, 1.0, 3.0)
    }
    conditional = conditional_network(noisy, timesteps, labels)
    unconditional = conditional_network(noisy, timesteps, torch.full((6,), NOTHING))
    torch.testing.assert_close(answers[0.0], unconditional)
    torch.testing.assert_close(answers[1.0], conditional)
    torch.testing.assert_close(answers[3.0], 3 * conditional - 2 * unconditional)


def test_it_asks_once_about_both_and_takes_conditions_of_any_shape():
    asked = []

    def network(noisy: Tensor, timesteps: Tensor, condition: Tensor) -> Tensor:
        asked.append((noisy, timesteps, condition))
        return noisy * condition.mean(dim=(1, 2))[:, None]

    condition, nothing = normal(4, 5, 3), normal(5, 3, seed=1)
    classifier_free(network, nothing, 2.0)(normal(4, 2), torch.arange(4), condition)
    ((noisy, timesteps, both),) = asked
    assert noisy.shape == (8, 2) and timesteps.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert both[:4].equal(condition) and both[4:].equal(nothing.expand(4, 5, 3))


def test_with_scale_one_samples_are_those_of_the_class():
    labels = torch.tensor([0, 1, 2]).repeat_interleave(500)
    denoise = PROCESS.denoiser(classifier_free(conditional_network, NOTHING, 1.0), labels)
    points = sample(denoise, DDIM(), normal(1500, 2), PROCESS.path(inference_timesteps(200, 50)))
    for label, mode in enumerate(MODES):
        torch.testing.assert_close(points[labels == label].mean(dim=0), torch.tensor(mode), atol=0.06, rtol=0)
        torch.testing.assert_close(points[labels == label].std(dim=0), torch.full((2,), 0.3), atol=0.05, rtol=0)


def test_a_large_scale_goes_beyond_the_class_and_loses_its_variety():
    """Away from the other classes, and nearer together (Ho & Salimans, figure 2)."""
    labels = torch.zeros(1000, dtype=torch.int64)
    path = PROCESS.path(inference_timesteps(200, 50))
    points = {
        scale: sample(
            PROCESS.denoiser(classifier_free(conditional_network, NOTHING, scale), labels),
            DDIM(),
            normal(1000, 2),
            path,
        )
        for scale in (1.0, 4.0)
    }
    others = torch.tensor(MODES[1:]).mean(dim=0)
    distances = {scale: (x - others).norm(dim=1) for scale, x in points.items()}
    assert distances[4.0].mean() > distances[1.0].mean() + 0.1
    assert points[4.0].std(dim=0).mean() < 0.8 * points[1.0].std(dim=0).mean()


@quick
@given(st.floats(1.5, 20), st.integers(0, 2**31))
def test_rescaling_brings_the_standard_deviation_back(scale, seed):
    conditional, unconditional = normal(3, 3, 8, 8, seed=seed), normal(3, 3, 8, 8, seed=seed + 1)
    guided = unconditional + scale * (conditional - unconditional)
    full = rescale_guided(guided, conditional, 1.0)
    torch.testing.assert_close(full.flatten(1).std(dim=1), conditional.flatten(1).std(dim=1))
    torch.testing.assert_close(rescale_guided(guided, conditional, 0.0), guided)
    torch.testing.assert_close(rescale_guided(guided, conditional, 0.7), 0.7 * full + 0.3 * guided)

    def network(noisy: Tensor, timesteps: Tensor, condition: Tensor) -> Tensor:
        known = condition[:, None, None, None] == 1  # of the two halves of the batch, the one with the label
        return torch.where(known, conditional.repeat(2, 1, 1, 1), unconditional.repeat(2, 1, 1, 1))

    answer = classifier_free(network, 0, scale, 0.7)(conditional, torch.arange(3), torch.ones(3, dtype=torch.int64))
    torch.testing.assert_close(answer, 0.7 * full + 0.3 * guided, atol=1e-5, rtol=1e-4)


# --- classifier -------------------------------------------------------------------------------------------------------


@quick
@given(st.integers(0, 199), st.integers(0, 2))
def test_an_exact_classifier_turns_the_exact_denoiser_into_that_of_the_class(timestep, label):
    """Bayes: score(x) + gradient of log p(label | x) = score(x | label)."""
    (at, _) = PROCESS.path([timestep])
    noisy = at.signal * normal(20, 2) + at.noise * normal(20, 2, seed=1)
    guided = classifier_guided(mixture_denoiser(ALL), classifier, torch.full((20,), label))(noisy, at)
    wanted = mixture_denoiser(EACH[label])(noisy, at)
    torch.testing.assert_close(guided.noise, wanted.noise, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(at.signal * guided.images, at.signal * wanted.images, atol=1e-4, rtol=1e-4)
    free = classifier_guided(mixture_denoiser(ALL), classifier, torch.full((20,), label), 0.0)(noisy, at)
    torch.testing.assert_close(free.noise, mixture_denoiser(ALL)(noisy, at).noise)


def test_classifier_guidance_works_inside_a_sampler():
    labels = torch.tensor([0, 1, 2]).repeat_interleave(300)
    denoise = classifier_guided(mixture_denoiser(ALL), classifier, labels)
    points = sample(denoise, DDIM(), normal(900, 2), PROCESS.path(inference_timesteps(200, 50)))
    for label, mode in enumerate(MODES):
        torch.testing.assert_close(points[labels == label].mean(dim=0), torch.tensor(mode), atol=0.08, rtol=0)


# --- inpainting -------------------------------------------------------------------------------------------------------

DIAGONAL = GaussianMixture(((-1.0, -1.0), (1.0, 1.0)), 0.3)


def inpainted(path: list[Level], known: float, sampler=None) -> Tensor:
    images, mask = torch.tensor([[known, 0.0]]).expand(2000, 2), torch.tensor([1.0, 0.0])
    constrain = keep_known(images, mask, generator(1))
    return sample(mixture_denoiser(DIAGONAL), sampler or Ancestral(), normal(2000, 2), path, generator(2), constrain)


def test_what_is_known_stays_exactly_and_the_rest_fits_it():
    """x = 1 is known, so y belongs to the mode at 1: nearly always with resampling, less often without."""
    path = PROCESS.path(inference_timesteps(200, 50))
    fits = {}
    for times in (1, 5):
        points = inpainted(resampled(path, times), 1.0)
        assert (points[:, 0] == 1).all()
        fits[times] = (points[:, 1] > 0).float().mean().item()
    assert fits[1] > 0.75 and fits[5] > 0.97 and fits[5] > fits[1]


def test_resampling_comes_nearer_to_the_true_conditional_density():
    """x = 0.05 leaves some doubt: p(y > 0 | x) = 1 / (1 + exp(-2 * 0.05 / 0.3^2)) = 0.752. Neither way sees that well."""
    path = PROCESS.path(inference_timesteps(200, 50))
    once, often = (inpainted(resampled(path, times), 0.05) for times in (1, 10))
    shares = [(points[:, 1] > 0).float().mean().item() for points in (once, often)]
    assert 0.5 < shares[0] < shares[1] < 1 / (1 + math.exp(-0.1 / 0.09))
    upper = often[often[:, 1] > 0, 1]
    assert upper.mean() == pytest.approx(1.0, abs=0.05) and upper.std() == pytest.approx(0.3, abs=0.05)


def test_with_all_known_or_nothing_known():
    path = PROCESS.path(inference_timesteps(200, 20))
    images = DIAGONAL.sample(50, generator(3))
    for sampler in (Ancestral(), DDIM()):
        kept = sample(
            mixture_denoiser(DIAGONAL), sampler, normal(50, 2), path, generator(2), keep_known(images, torch.ones(2))
        )
        assert kept.equal(images)
        free = sample(
            mixture_denoiser(DIAGONAL),
            sampler,
            normal(50, 2),
            path,
            generator(2),
            keep_known(images, torch.zeros(2), generator(9)),
        )
        torch.testing.assert_close(free, sample(mixture_denoiser(DIAGONAL), sampler, normal(50, 2), path, generator(2)))


def test_the_known_part_is_as_noisy_as_the_step():
    images, level = torch.full((5000, 2), 0.5), Level(10, 0.6, 0.8)
    seen = keep_known(images, torch.tensor([1.0, 0.0]), generator(0))(torch.zeros(5000, 2), level)
    assert seen[:, 0].mean() == pytest.approx(0.3, abs=0.04) and seen[:, 0].std() == pytest.approx(0.8, abs=0.03)
    assert (seen[:, 1] == 0).all()
    assert keep_known(images, torch.ones(2))(torch.zeros(5000, 2), CLEAN).equal(images)


@quick
@given(st.integers(1, 8), st.integers(1, 5))
def test_a_resampled_path_takes_every_step_but_the_last_as_often(steps, times):
    path = PROCESS.path(inference_timesteps(200, steps))
    walk = resampled(path, times)
    down = [pair for pair in pairwise(walk) if pair[1].noise < pair[0].noise]
    up = [pair for pair in pairwise(walk) if pair[1].noise > pair[0].noise]
    assert len(down) + len(up) == len(walk) - 1 and walk[0] == path[0] and walk[-1] == CLEAN
    for number, pair in enumerate(pairwise(path)):
        assert down.count(pair) == (times if number < steps - 1 else 1)
        assert up.count(pair[::-1]) == (times - 1 if number < steps - 1 else 0)
