"""Samplers with the exact denoiser: they reach the exact distribution, deterministic ones at the rate of their order."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from course_utils.diffusion import (
    DDIM,
    Ancestral,
    DiffusionConfig,
    DPMSolver,
    Euler,
    GaussianDiffusion,
    Heun,
    RectifiedFlow,
    inference_timesteps,
    sample,
    trajectory,
)
from course_utils.diffusion.ddpm import Prediction, posterior, step_variance
from course_utils.diffusion.schedules import CLEAN, Level
from course_utils.diffusion.score import mixture_denoiser, mixture_network
from course_utils.gans.gan import GaussianMixture
from course_utils.layers import draw_normal
from course_utils.runtime import generator

quick = settings(deadline=None, max_examples=30)
# Three modes; the first, listed twice, has half of the points.
MIXTURE = GaussianMixture(((-1.0, -0.5), (-1.0, -0.5), (1.0, 0.8), (1.0, -1.2)), 0.25)
MODES = torch.tensor([[-1.0, -0.5], [1.0, 0.8], [1.0, -1.2]])
MEANS = torch.tensor(MIXTURE.means)
POINTS = 4000


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return draw_normal(shape, generator(seed), dtype=dtype)


def check_marginal(points: Tensor) -> None:
    """Mean within 0.04, covariance within 0.06, shares within 0.03 and widths of the modes within 15 %.

    Of true points in this number, the standard errors are 0.016, 0.02, 0.008 and 1 %; the rest is for finite steps.
    """
    assert points.shape == (POINTS, 2) and points.isfinite().all()
    torch.testing.assert_close(points.mean(dim=0), MEANS.mean(dim=0), atol=0.04, rtol=0)
    covariance = torch.cov(MEANS.T, correction=0) + MIXTURE.std**2 * torch.eye(2)
    torch.testing.assert_close(torch.cov(points.T), covariance, atol=0.06, rtol=0)
    nearest = (points[:, None] - MODES).norm(dim=-1).argmin(dim=1)
    shares = nearest.bincount(minlength=3) / POINTS
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.25, 0.25]), atol=0.03, rtol=0)
    for mode in range(3):
        spread = torch.cov((points[nearest == mode] - MODES[mode]).T)
        torch.testing.assert_close(spread.diagonal().sqrt() / MIXTURE.std, torch.ones(2), atol=0.15, rtol=0)
        assert spread[0, 1].abs() < 0.15 * MIXTURE.std**2


def reach(process, sampler, path) -> Tensor:
    denoise = process.denoiser(mixture_network(MIXTURE, process))
    return sample(denoise, sampler, normal(POINTS, 2, seed=1), path, generator(2))


V = {"prediction_type": "v_prediction"}
ZERO = {**V, "zero_terminal_snr": True}
WAYS = [
    *((schedule, {}, DPMSolver(), 100) for schedule in ("linear", "scaled_linear", "cosine", "sigmoid")),
    *(("cosine", {"prediction_type": prediction_type}, Euler(), 100) for prediction_type in ("epsilon", "sample", "v_prediction")),
    *(("linear", {"prediction_type": prediction_type}, DDIM(), 100) for prediction_type in ("epsilon", "sample", "v_prediction")),
    *(("linear", {}, Ancestral(variance_type), 500) for variance_type in ("fixed_small", "fixed_large")),
    *(("cosine", {}, DDIM(eta), 200) for eta in (0.5, 1.0)),
    *((schedule, V, Heun(), 60) for schedule in ("linear", "cosine", "sigmoid")),
    *(("cosine", {"noise_shift": shift}, DPMSolver(), 100) for shift in (0.5, 3.0)),
    *(("scaled_linear", ZERO, sampler, 100) for sampler in (DDIM(), Euler(), Heun(), DPMSolver())),
    *(("scaled_linear", ZERO, sampler, 400) for sampler in (DDIM(1.0), Ancestral())),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "config", "sampler", "steps"), WAYS, ids=str)
def test_samples_of_the_exact_denoiser_are_those_of_the_data(schedule, config, sampler, steps):
    process = GaussianDiffusion(DiffusionConfig(1000, schedule, **config))
    check_marginal(reach(process, sampler, process.path(inference_timesteps(1000, steps))))


@pytest.mark.parametrize(
    ("sampler", "steps"), [(Euler(), 100), (Heun(), 50), (DPMSolver(), 50), (Ancestral(), 300)], ids=str
)
@pytest.mark.parametrize("shift", [1.0, 2.0])
def test_a_rectified_flow_reaches_them_too(sampler, steps, shift):
    flow = RectifiedFlow(shift=shift)
    check_marginal(reach(flow, sampler, flow.path(steps)))


def test_the_check_itself_finds_wrong_samples():
    """A wrong variance, a lost mode, wrong shares: the mistakes that it is there to find."""
    check_marginal(MIXTURE.sample(POINTS, generator(5)))
    wrong = [
        GaussianMixture(MIXTURE.means, 0.32).sample(POINTS, generator(5)),
        GaussianMixture(MIXTURE.means[1:], 0.25).sample(POINTS, generator(5)),
        GaussianMixture(MIXTURE.means[:3], 0.25).sample(POINTS, generator(5)),
        MIXTURE.sample(POINTS, generator(5)) + torch.tensor([0.1, 0.0]),
    ]
    for points in wrong:
        with pytest.raises(AssertionError):
            check_marginal(points)


# --- one Gaussian: everything is known for every single sample ----------------------------------------------------------

ONE = GaussianMixture(((0.6, -0.3),), 0.5)


def even_path(steps: int, highest: float = 8.0, lowest: float = 0.1) -> list[Level]:
    """Levels of equal steps of log sigma, variance preserved."""
    sigmas = [highest * (lowest / highest) ** (step / steps) for step in range(steps + 1)]
    return [Level(0, 1 / math.hypot(1, sigma), sigma / math.hypot(1, sigma)) for sigma in sigmas]


def exact_end(noise: Tensor, path: list[Level]) -> Tensor:
    """Where the differential equation takes each point: its place in the Gaussian stays the same."""
    mean = noise.new_tensor(ONE.means[0])
    start, end = (math.hypot(ONE.std, level.sigma) for level in (path[0], path[-1]))
    return path[-1].signal * (mean + (noise / path[0].signal - mean) * end / start)


@pytest.mark.parametrize(("sampler", "order"), [(DDIM(), 1), (Euler(), 1), (Heun(), 2), (DPMSolver(), 2)], ids=str)
def test_the_error_of_a_solver_falls_with_its_order(sampler, order):
    """Twice the steps, half the error for Euler and DDIM, a quarter for Heun and DPM-Solver++ (2M)."""
    noise, errors = normal(50, 2, dtype=torch.float64), []
    for steps in (40, 80):
        path = even_path(steps)
        errors.append((sample(mixture_denoiser(ONE), sampler, noise, path) - exact_end(noise, path)).abs().max().item())
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.15)
    assert errors[1] < (0.03 if order == 1 else 1e-3)


@pytest.mark.parametrize("steps", [1, 3, 10])
@pytest.mark.parametrize("std", [0.1, 0.7, 1.0])
def test_with_the_true_variance_ancestral_sampling_is_exact_in_any_number_of_steps(std, steps):
    """The chain is linear and normal, so its mean and variance can be followed through it, without any sample."""
    mean = 0.6

    def denoise(noisy: Tensor, level: Level) -> Prediction:
        spread = (level.signal * std) ** 2 + level.noise**2
        noise = level.noise * (noisy - level.signal * mean) / spread
        return Prediction((noisy - level.noise * noise) / level.signal, noise, share(level).expand_as(noisy))

    path = even_path(steps)
    after_of = dict(zip(path[:-1], path[1:], strict=True))

    def share(level: Level) -> Tensor:
        one, zero = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        pull, smallest = posterior(one, zero, level, after_of[level])
        true = smallest + pull**2 * std**2 * level.noise**2 / ((level.signal * std) ** 2 + level.noise**2)
        return 2 * torch.log(true / smallest) / math.log(step_variance(level, after_of[level]) / smallest) - 1

    # x_start = offset + slope * noise; probes at noise 0 and 1 give the mean, and fresh noise of 1 its own share
    first = path[0]
    centre = torch.tensor([[first.signal * mean]], dtype=torch.float64)
    variance = (first.signal * std) ** 2 + first.noise**2
    for now, after in itertools.pairwise(path):
        probes = torch.cat([centre, centre + 1, centre])
        fresh = torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64)
        still, moved, pushed = Ancestral("learned_range").step(denoise, probes, now, after, fresh).noisy
        variance = variance * (moved - still) ** 2 + (pushed - still) ** 2
        centre = still[None]
    last = path[-1]
    assert centre.item() == pytest.approx(last.signal * mean)
    assert variance.item() == pytest.approx((last.signal * std) ** 2 + last.noise**2)


# --- what holds for every network -------------------------------------------------------------------------------------


@st.composite
def steps_down(draw) -> tuple[Level, Level]:
    lower = draw(st.floats(0.05, 0.9))
    upper = draw(st.floats(lower + 0.02, 0.99))
    return tuple(Level(0, math.sqrt(1 - noise**2), noise) for noise in (upper, lower))


def some_denoiser(noisy: Tensor, level: Level) -> Prediction:
    images = torch.tanh(2 * noisy.flip(1)) + 0.1
    return Prediction(images, (noisy - level.signal * images) / level.noise)


@quick
@given(steps_down())
def test_ddim_is_euler_without_and_ancestral_with_all_fresh_noise(pair):
    noisy, fresh = normal(3, 4, dtype=torch.float64), normal(3, 4, seed=1, dtype=torch.float64)
    step = {
        sampler: sampler.step(some_denoiser, noisy, *pair, fresh, None).noisy
        for sampler in (DDIM(), Euler(), DDIM(1.0), Ancestral(), DPMSolver())
    }
    torch.testing.assert_close(step[DDIM()], step[Euler()])
    torch.testing.assert_close(step[DPMSolver()], step[Euler()])
    torch.testing.assert_close(step[DDIM(1.0)], step[Ancestral()])


@quick
@given(steps_down())
def test_euler_is_euler_in_sigma(pair):
    now, after = pair
    noisy = normal(3, 4, dtype=torch.float64)
    y = noisy / now.signal
    slope = (y - some_denoiser(noisy, now).images) / now.sigma  # Karras et al., algorithm 1, line 4
    wanted = y + (after.sigma - now.sigma) * slope
    torch.testing.assert_close(Euler().step(some_denoiser, noisy, now, after).noisy / after.signal, wanted)


@quick
@given(steps_down(), st.floats(0, 1))
def test_a_denoiser_that_knows_the_picture_takes_every_sampler_to_its_noising(pair, eta):
    """x_now = signal * x_0 + noise * epsilon: the step must end with mean signal * x_0 and the noise of the level."""
    now, after = pair
    images, noise = normal(20_000, 1, dtype=torch.float64), normal(20_000, 1, seed=1, dtype=torch.float64)
    noisy = now.signal * images + now.noise * noise

    def know(x: Tensor, level: Level) -> Prediction:
        return Prediction(images, (x - level.signal * images) / level.noise)

    fresh = normal(20_000, 1, seed=2, dtype=torch.float64)
    for sampler in (DDIM(eta), Ancestral(), Euler(), Heun(), DPMSolver()):
        rest = sampler.step(know, noisy, now, after, fresh, None).noisy - after.signal * images
        assert rest.std().item() == pytest.approx(after.noise, rel=0.03) and abs(rest.mean().item()) < 0.03


@pytest.mark.parametrize(
    "sampler", [Ancestral(), Ancestral("fixed_large"), DDIM(), DDIM(1.0), Euler(), Heun(), DPMSolver()], ids=str
)
@pytest.mark.parametrize("start", [Level(9, 0.0, 1.0), Level(9, 0.6, 0.8)])
def test_the_last_step_gives_the_picture_that_is_seen_and_no_noise(sampler, start):
    noisy = normal(3, 4)

    def know(x: Tensor, level: Level) -> Prediction:
        return Prediction(torch.full_like(x, 0.25), x)

    ended = sampler.step(know, noisy, start, CLEAN, 100 * normal(3, 4, seed=1), None).noisy
    torch.testing.assert_close(ended, torch.full((3, 4), 0.25))


@pytest.mark.parametrize("sampler", [Ancestral(), DDIM(), DDIM(0.5), Euler(), Heun(), DPMSolver()], ids=str)
def test_how_often_the_denoiser_is_asked_and_where(sampler):
    asked = []

    def denoise(noisy: Tensor, level: Level) -> Prediction:
        asked.append(level.timestep)
        return some_denoiser(noisy, level)

    process = GaussianDiffusion(DiffusionConfig(100))
    path = process.path(inference_timesteps(100, 4))
    seen = list(trajectory(denoise, sampler, normal(3, 2), path, generator(0)))
    # from the last step of the cosine schedule hardly any signal is left: Heun asks once there, and once at the end
    assert asked == ([99, 74, 49, 49, 24, 24] if isinstance(sampler, Heun) else [99, 74, 49, 24])
    assert [step.level.timestep for step in seen] == [99, 74, 49, 24]
    assert seen[-1].noisy.equal(sample(some_denoiser, sampler, normal(3, 2), path, generator(0)))
    assert not seen[-1].noisy.requires_grad


def test_only_stochastic_samplers_draw():
    path = GaussianDiffusion(DiffusionConfig(100)).path([80, 50, 20])
    for sampler in (DDIM(), Euler(), Heun(), DPMSolver()):
        draws = generator(3)
        before = draws.get_state()
        sample(some_denoiser, sampler, normal(3, 2), path, draws)
        assert draws.get_state().equal(before) and not sampler.stochastic
    for sampler in (Ancestral(), DDIM(0.2)):
        ends = [sample(some_denoiser, sampler, normal(3, 2), path, generator(seed)) for seed in (3, 3, 4)]
        assert ends[0].equal(ends[1]) and not ends[0].equal(ends[2])


def test_an_impossible_eta_is_refused():
    with pytest.raises(ValueError, match=r"in \[0, 1\], got 1.5"):
        DDIM(1.5)
