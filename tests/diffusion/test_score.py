"""The score view: exact scores, Langevin walks and densities of Gaussian mixtures; rectified flow."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from course_utils.diffusion import DiffusionConfig, Euler, GaussianDiffusion, RectifiedFlow, sample
from course_utils.diffusion.schedules import CLEAN, Level
from course_utils.diffusion.score import (
    annealed_langevin,
    log_likelihood,
    mixture_denoiser,
    mixture_network,
    noised,
    score,
)
from course_utils.gans.gan import GaussianMixture, grid, ring
from course_utils.layers import draw_normal, draw_uniform
from course_utils.runtime import generator

quick = settings(deadline=None, max_examples=30)
MIXTURE = GaussianMixture(((-1.0, -0.5), (-1.0, -0.5), (1.0, 0.8), (1.0, -1.2)), 0.25)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return draw_normal(shape, generator(seed), dtype=dtype)


# --- the exact denoiser -----------------------------------------------------------------------------------------------


@quick
@given(st.sampled_from([MIXTURE, ring(), grid(3)]), st.floats(0.001, 0.999), st.booleans())
def test_the_exact_score_is_the_gradient_of_the_exact_log_density(mixture, noise, straight):
    level = Level(0, 1 - noise if straight else math.sqrt(1 - noise**2), noise)
    points = (2 * normal(30, 2, dtype=torch.float64)).requires_grad_()
    density = noised(mixture, level).log_density(points)
    (gradient,) = torch.autograd.grad(density.sum(), points)
    predicted = mixture_denoiser(mixture)(points.detach(), level)
    torch.testing.assert_close(score(predicted, level), gradient, atol=1e-8, rtol=1e-6)
    explained = level.signal * predicted.images + level.noise * predicted.noise
    torch.testing.assert_close(explained, points.detach(), atol=1e-8, rtol=1e-8)


def test_the_exact_denoiser_is_the_mean_of_the_data_behind_a_point():
    """By brute force: the mean picture of all noised pairs that end near the point."""
    level, number = Level(0, 0.8, 0.6), 400_000
    images, noise = MIXTURE.sample(number, generator(0)), normal(number, 2, seed=1)
    noisy = level.signal * images + level.noise * noise
    for point in ([0.0, 0.0], [0.5, -0.5], [-1.0, 0.3]):
        near = (noisy - torch.tensor(point)).norm(dim=1) < 0.07
        predicted = mixture_denoiser(MIXTURE)(torch.tensor([point]), level)
        torch.testing.assert_close(predicted.images[0], images[near].mean(dim=0), atol=0.05, rtol=0)
        torch.testing.assert_close(predicted.noise[0], noise[near].mean(dim=0), atol=0.08, rtol=0)


def test_the_exact_denoiser_at_both_ends():
    points = normal(5, 2)
    at_noise = mixture_denoiser(MIXTURE)(points, Level(0, 0.0, 1.0))
    torch.testing.assert_close(at_noise.images, torch.tensor(MIXTURE.means).mean(dim=0).expand(5, 2))
    torch.testing.assert_close(at_noise.noise, points)
    torch.testing.assert_close(mixture_denoiser(MIXTURE)(points, CLEAN).images, points, atol=1e-6, rtol=1e-6)


KINDS = ("epsilon", "sample", "v_prediction")
SMALL = [
    *(GaussianDiffusion(DiffusionConfig(100, "linear", prediction_type=kind)) for kind in KINDS),
    RectifiedFlow(100),
]


@pytest.mark.parametrize("process", SMALL, ids=[*KINDS, "flow"])
def test_the_exact_network_says_the_same_for_each_point_at_its_own_level(process):
    timesteps = torch.tensor([3, 40, 99]) if isinstance(process, GaussianDiffusion) else torch.tensor([3.0, 40.0, 99.0])
    network, points = mixture_network(MIXTURE, process), normal(3, 2)
    together = network(points, timesteps)
    for place in range(3):
        alone = network(points[place : place + 1], timesteps[place : place + 1])
        torch.testing.assert_close(together[place], alone[0])
        at = process.level(timesteps[place : place + 1], 2)
        level = Level(timesteps[place].item(), at.signal.item(), at.noise.item())
        asked = process.denoiser(network)(points[place : place + 1], level)
        torch.testing.assert_close(
            asked.images, mixture_denoiser(MIXTURE)(points[place : place + 1], level).images, atol=1e-4, rtol=1e-4
        )


# --- Langevin ---------------------------------------------------------------------------------------------------------


def sigma_path(highest: float, lowest: float, number: int) -> list[Level]:
    """Levels of falling sigma, as a process has them."""
    sigmas = [highest * (lowest / highest) ** (step / (number - 1)) for step in range(number)]
    return [Level(0, 1 / math.hypot(1, sigma), sigma / math.hypot(1, sigma)) for sigma in sigmas]


def test_annealed_langevin_finds_every_mode_in_its_share():
    points = annealed_langevin(
        mixture_denoiser(MIXTURE), normal(2000, 2), sigma_path(5, 0.1, 12), 100, 2e-3, generator(0)
    )
    modes = torch.tensor([[-1.0, -0.5], [1.0, 0.8], [1.0, -1.2]])
    nearest = (points[:, None] - modes).norm(dim=-1).argmin(dim=1)
    torch.testing.assert_close(nearest.bincount(minlength=3) / 2000, torch.tensor([0.5, 0.25, 0.25]), atol=0.06, rtol=0)
    offsets = points - modes[nearest]
    assert offsets.std().item() == pytest.approx(math.hypot(0.25, 0.1), rel=0.05)


def test_langevin_at_one_low_level_does_not_cross_between_modes():
    """Why it is annealed (Song & Ermon, section 3.2.2): walks which start on one side stay there."""
    start = torch.tensor([-1.0, -0.5]).expand(500, 2) / 0.1
    stuck = annealed_langevin(mixture_denoiser(MIXTURE), start, sigma_path(0.1, 0.09, 2), 100, 1e-3, generator(0))
    assert (stuck[:, 0] < 0).all()
    free = annealed_langevin(mixture_denoiser(MIXTURE), start / 50, sigma_path(5, 0.09, 12), 30, 1e-3, generator(0))
    assert (free[:, 0] < 0).float().mean() < 0.7


def test_langevin_is_a_function_of_the_generator_and_needs_real_levels():
    def walk(seed: int) -> Tensor:
        return annealed_langevin(
            mixture_denoiser(MIXTURE), normal(5, 2), sigma_path(2, 0.1, 3), 2, 1e-3, generator(seed)
        )

    assert walk(0).equal(walk(0)) and not walk(0).equal(walk(1))
    for level in (CLEAN, Level(0, 0.0, 1.0)):
        with pytest.raises(ValueError, match="positive and finite"):
            annealed_langevin(mixture_denoiser(MIXTURE), normal(5, 2), [level])


# --- likelihood -------------------------------------------------------------------------------------------------------


V = {"prediction_type": "v_prediction"}
PROCESSES = [
    *(GaussianDiffusion(DiffusionConfig(300, schedule, **V)) for schedule in ("linear", "cosine", "sigmoid")),
    GaussianDiffusion(DiffusionConfig(300, "linear")),
    GaussianDiffusion(DiffusionConfig(300, "cosine", zero_terminal_snr=True, **V)),
    RectifiedFlow(),
]


@pytest.mark.parametrize("process", PROCESSES, ids=["linear", "cosine", "sigmoid", "noise", "zero snr", "flow"])
def test_the_probability_flow_gives_the_exact_log_density(process):
    """To 0.01 nats where the data are, to 0.3 % of it far outside."""
    path = process.path(300 if isinstance(process, RectifiedFlow) else range(299, -1, -1))
    points = torch.cat([MIXTURE.sample(30, generator(0)), 1.5 * normal(30, 2, seed=1)])
    found = log_likelihood(process.denoiser(mixture_network(MIXTURE, process)), points, path)
    exact = noised(MIXTURE, path[-2]).log_density(points)
    torch.testing.assert_close(found[:30], exact[:30], atol=0.01, rtol=0)
    torch.testing.assert_close(found[30:], exact[30:], atol=0.01, rtol=0.003)


def test_a_density_integrates_to_one():
    process = GaussianDiffusion(DiffusionConfig(100, "cosine"))
    side = torch.linspace(-3, 3, 41)
    points = torch.cartesian_prod(side, side)
    found = log_likelihood(process.denoiser(mixture_network(MIXTURE, process)), points, process.path(range(99, -1, -1)))
    assert found.exp().sum().item() * (6 / 40) ** 2 == pytest.approx(1, abs=0.01)


# --- rectified flow ---------------------------------------------------------------------------------------------------


def test_the_loss_of_a_flow_is_the_error_of_the_velocity():
    flow, images, noise = RectifiedFlow(), normal(6, 3, 4, 4), normal(6, 3, 4, 4, seed=1)
    timesteps = 1000 * draw_uniform((6,), generator(2))
    seen = []

    def network(noisy: Tensor, told: Tensor, label: Tensor) -> Tensor:
        seen.append((noisy, told, label))
        return torch.full_like(noisy, 0.3)

    loss = flow.loss(network, images, noise, timesteps, torch.arange(6))
    torch.testing.assert_close(loss, (0.3 - (noise - images)).square().mean())
    times = timesteps.view(-1, 1, 1, 1) / 1000
    torch.testing.assert_close(seen[0][0], (1 - times) * images + times * noise)
    assert seen[0][1].equal(timesteps) and seen[0][2].equal(torch.arange(6))
    torch.testing.assert_close(flow.loss(lambda *_: noise - images, images, noise, timesteps), torch.tensor(0.0))


def test_the_exact_velocity_has_the_least_loss():
    flow = RectifiedFlow()
    exact = mixture_network(MIXTURE, flow)
    images, noise = MIXTURE.sample(40_000, generator(0)), normal(40_000, 2, seed=1)
    timesteps = 1000 * torch.sigmoid(normal(40_000, seed=2))
    losses = {
        (scale, shift): flow.loss(lambda x, t, a=scale, b=shift: a * exact(x, t) + b, images, noise, timesteps).item()
        for scale in (0.9, 1.0, 1.1)
        for shift in (-0.1, 0.0, 0.1)
    }
    assert min(losses, key=losses.get) == (1.0, 0.0)


@quick
@given(st.integers(1, 50), st.floats(0.2, 5))
def test_the_path_of_a_flow_falls_from_noise_to_a_picture_and_is_shifted_in_sigma(steps, shift):
    path, plain = RectifiedFlow(shift=shift).path(steps), RectifiedFlow().path(steps)
    assert len(path) == steps + 1 and path[-1] == CLEAN
    assert (path[0].signal, path[0].noise, path[0].timestep) == (
        pytest.approx(0),
        pytest.approx(1),
        pytest.approx(1000),
    )
    for shifted, level in zip(path[1:-1], plain[1:-1], strict=True):
        assert shifted.sigma == pytest.approx(shift * level.sigma)
        assert shifted.signal + shifted.noise == pytest.approx(1) and shifted.timestep == pytest.approx(
            1000 * shifted.noise
        )


def test_a_straight_flow_needs_one_step():
    """To one point every line is straight: Euler arrives at once, which is what rectifying a flow is for."""
    flow, point = RectifiedFlow(), GaussianMixture(((0.5, -1.0),), 0.0)
    reached = sample(flow.denoiser(mixture_network(point, flow)), Euler(), normal(10, 2), flow.path(1))
    torch.testing.assert_close(reached, torch.tensor([0.5, -1.0]).expand(10, 2))


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)

    def forward(self, noisy: Tensor, timesteps: Tensor) -> Tensor:
        return self.layer(noisy) + timesteps.view(-1, 1, 1, 1) / 1000


def test_the_loss_of_a_flow_compiles_and_is_ready_for_a_gpu():
    flow, network = RectifiedFlow(), Tiny()
    inputs = normal(4, 3, 8, 8), normal(4, 3, 8, 8, seed=1), 1000 * draw_uniform((4,), generator(2))
    torch.compiler.reset()
    compiled = torch.compile(lambda *tensors: flow.loss(network, *tensors), fullgraph=True, backend="eager")
    assert compiled(*inputs).equal(flow.loss(network, *inputs))
    with FakeTensorMode():
        with torch.device("cuda"):
            network, inputs = Tiny(), [torch.empty(tensor.shape) for tensor in inputs]
        assert str(flow.loss(network, *inputs).device) == "cuda:0"
        assert str(flow.denoiser(network)(inputs[0], flow.path(2)[0]).images.device) == "cuda:0"
