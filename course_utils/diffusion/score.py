"""The score view: a denoiser knows the gradient of the log density of noisy data, and with it the density itself.

The mean picture behind x = signal * x_0 + noise_rate * epsilon says where the density of x rises (Tweedie's formula):

    score(x)  =  gradient of log p(x)  =  -E[ epsilon | x ] / noise_rate

Following the score with some noise samples from p (Langevin). The density of y = x / signal spreads as sigma grows, and points that move by
dy / dsigma = -sigma * score(y) = E[ epsilon | x ] keep step with it: the probability flow, along which log p changes by minus its divergence.

For a mixture of Gaussians all this is known in closed form, so that samplers can be judged without a network. A rectified flow,
today's relative, goes from picture to noise on a straight line, x = (1 - t) x_0 + t epsilon, and learns the velocity epsilon - x_0.

Papers: Vincent, Neural Computation 2011. Song & Ermon, NeurIPS 2019 (annealed Langevin). Song et al., ICLR 2021 (probability flow, likelihood).
Liu, Gong & Liu, ICLR 2023 (rectified flow); Lipman et al., ICLR 2023 (flow matching); Esser et al., ICML 2024 (shift, choice of times).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from course_utils.diffusion.ddpm import Denoiser, GaussianDiffusion, Network, Prediction, denoiser, target
from course_utils.diffusion.schedules import CLEAN, Level
from course_utils.gans.gan import GaussianMixture
from course_utils.layers import draw_normal


def score(predicted: Prediction, level: Level) -> Tensor:
    """Gradient of log p at the noisy pictures from which `predicted` comes, of their shape: -noise / noise_rate (Song et al., section 3.3)."""
    return -predicted.noise / level.noise


def noised(mixture: GaussianMixture, level: Level) -> GaussianMixture:
    """The density of signal * x_0 + noise_rate * epsilon, x_0 from a mixture: one more mixture. `level` is one of numbers."""
    means = tuple((level.signal * x, level.signal * y) for x, y in mixture.means)
    return GaussianMixture(means, math.hypot(level.signal * mixture.std, level.noise))


def mixture_denoiser(mixture: GaussianMixture) -> Denoiser:
    """The best denoiser for data from a mixture: E[x_0 | x] and E[epsilon | x], exactly.

    Each mode explains a point with its own mean and noise, and is believed as much as it makes the point likely. Takes points (batch, 2) at a
    level of numbers, or one of tensors (batch, 1).
    """

    def denoise(noisy: Tensor, level: Level) -> Prediction:
        # () -> (1,), or (batch, 1) -> (batch, 1, 1): against (batch, modes, 2)
        signal, noise = (torch.as_tensor(rate, dtype=noisy.dtype, device=noisy.device)[..., None] for rate in level[1:])
        means = noisy.new_tensor(mixture.means)  # (modes, 2)
        variance = (signal * mixture.std).square() + noise.square()
        offsets = noisy[:, None] - signal * means  # (batch, modes, 2)
        shares = (-0.5 * offsets.square().sum(dim=-1, keepdim=True) / variance).softmax(dim=1)  # (batch, modes, 1)
        pulls = offsets / variance
        images = (shares * (means + signal * mixture.std**2 * pulls)).sum(dim=1)  # (batch, modes, 2) -> (batch, 2)
        return Prediction(images, noise.squeeze(-1) * (shares * pulls).sum(dim=1))

    return denoise


def mixture_network(mixture: GaussianMixture, process: "GaussianDiffusion | RectifiedFlow") -> Network:
    """The network `(noisy, timesteps) -> output` with which a process has the least loss on data from a mixture, in its own parameterisation."""
    denoise = mixture_denoiser(mixture)

    def network(noisy: Tensor, timesteps: Tensor) -> Tensor:
        level = process.level(timesteps, noisy.ndim)
        predicted = denoise(noisy, level)
        return target(predicted.images, predicted.noise, level, process.prediction_type)

    return network


@torch.no_grad()
def annealed_langevin(
    denoise: Denoiser,
    noise: Tensor,
    path: Sequence[Level],
    steps_per_level: int = 100,
    step_size: float = 2e-5,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Samples (batch, ...) by walks uphill with noise, at one level of noise after the other (Song & Ermon, algorithm 1).

    The samples are as noisy as the last level. At high noise the density has one mode and walks cross it; from there each level starts well.

    Args:
        noise: where the walks start, (batch, ...), standard normal.
        path: levels whose sigmas fall, finite and not zero, ten or more.
        step_size: at the last level; at the others it grows with sigma^2.

    Raises:
        ValueError: a level of only signal or only noise.
    """
    sigmas = [level.sigma for level in path]
    if not all(0 < sigma < math.inf for sigma in sigmas):
        raise ValueError(f"Langevin steps need sigmas that are positive and finite, got {sigmas[0]} to {sigmas[-1]}")
    y = sigmas[0] * noise
    for level, sigma in zip(path, sigmas, strict=True):
        size = step_size * (sigma / sigmas[-1]) ** 2
        for _ in range(steps_per_level):
            slope = -denoise(level.signal * y, level).noise / sigma  # score of y
            fresh = draw_normal(y.shape, generator, y.device, y.dtype)
            y = y + size / 2 * slope + math.sqrt(size) * fresh
    return y


def log_likelihood(denoise: Denoiser, points: Tensor, path: Sequence[Level]) -> Tensor:
    """log p of each point in nats, (batch,), by following the probability flow into the noise (Song et al., section 4.3).

    log p(points) = log N(end; 0, I) + integral of the divergence of the flow. Time is the angle whose cosine and sine are signal and noise: in it
    the flow is the velocity cos * noise - sin * picture (Salimans & Ho, appendix D), which is smooth from the picture to pure noise. Both integrals
    are by Heun's method, the divergence by the exact trace, a backward pass for each dimension: for points of the plane, not for pictures.

    Args:
        points: (batch, dimensions). The density is that of the data at the least noisy level of the path.
        path: as for sampling, levels with falling noise; a clean end is left out.
    """
    levels = [level for level in reversed(path) if level.noise > 0]
    scale = _scale(levels[0])
    x, change = points / scale, points.new_full((len(points),), -points.shape[1] * math.log(scale))
    slope, divergence = _flow(denoise, x, levels[0])
    for now, after in pairwise(levels):
        width = _angle(after) - _angle(now)
        slope_there, divergence_there = _flow(denoise, x + width * slope, after)
        x = x + width * (slope + slope_there) / 2
        change = change + width * (divergence + divergence_there) / 2
        slope, divergence = _flow(denoise, x, after)
    return -0.5 * x.square().sum(dim=1) - 0.5 * x.shape[1] * math.log(2 * math.pi) + change


def _angle(level: Level) -> float:
    return math.atan2(level.noise, level.signal)


def _scale(level: Level) -> float:
    """By what x must be divided to be cos * picture + sin * noise; 1 but for a rectified flow."""
    return math.hypot(level.noise, level.signal)


def _flow(denoise: Denoiser, x: Tensor, level: Level) -> tuple[Tensor, Tensor]:
    """Velocity (batch, dimensions) and its divergence (batch,) at x = cos * picture + sin * noise."""
    angle = _angle(level)
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        predicted = denoise(_scale(level) * leaf, level)
        velocity = math.cos(angle) * predicted.noise - math.sin(angle) * predicted.images
        rows = [torch.autograd.grad(column.sum(), leaf, retain_graph=True)[0] for column in velocity.unbind(dim=1)]
    return velocity.detach(), torch.stack([row[:, place] for place, row in enumerate(rows)]).sum(dim=0)


@dataclass(frozen=True)
class RectifiedFlow:
    """Picture and noise joined by a straight line, x = (1 - t) x_0 + t epsilon; the network answers with epsilon - x_0 (Liu et al., equation 1).

    `timesteps` are (batch,) float in (0, num_train_timesteps], t times as many. Any sampler walks along `path`; `samplers.Euler` is
    that of the papers.

    Attributes:
        num_train_timesteps: what a network is told instead of time 1.
        shift: by which sigmas are multiplied on a sampler's path: above 1 for more steps at high noise, as large pictures need.
    """

    num_train_timesteps: int = 1000
    shift: float = 1.0
    prediction_type = "flow_prediction"

    def level(self, timesteps: Tensor, dimensions: int) -> Level:
        """The level of each timestep (batch,), to broadcast against tensors of so many dimensions."""
        times = (timesteps / self.num_train_timesteps).view(-1, *[1] * (dimensions - 1))  # (batch,) -> (batch, 1, ...)
        return Level(timesteps, 1 - times, times)

    def path(self, num_inference_steps: int) -> list[Level]:
        """The levels that a sampler visits, at equal steps of time, then shifted (Esser et al., equation 23)."""
        factor, path = self.shift, []
        for step in range(num_inference_steps, 0, -1):
            time = step / num_inference_steps
            time = factor * time / (1 + (factor - 1) * time)
            path.append(Level(self.num_train_timesteps * time, 1 - time, time))
        return [*path, CLEAN]

    def denoiser(self, network: Network, *conditions: Tensor) -> Denoiser:
        """The network as `samplers.sample` wants it; `conditions` are given to it with each question."""
        return denoiser(network, self.prediction_type, *conditions)

    def add_noise(self, images: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The point of the line at each timestep, of the shape of `images`; `noise` is standard normal."""
        level = self.level(timesteps, images.ndim)
        return level.signal * images + level.noise * noise

    def loss(self, network: Network, images: Tensor, noise: Tensor, timesteps: Tensor, *conditions: Tensor) -> Tensor:
        """Mean squared error of the velocity: a scalar (Liu et al., equation 1).

        Args:
            images: (batch, ...).
            noise: of the same shape, standard normal.
            timesteps: (batch,). num_train_timesteps * sigmoid(a standard normal number) looks most where it is hardest, in the middle
                (Esser et al., section 3.1).
        """
        output = network(self.add_noise(images, noise, timesteps), timesteps, *conditions).to(images.dtype)
        wanted = target(images, noise, self.level(timesteps, images.ndim), self.prediction_type)
        return (output - wanted).square().mean()
