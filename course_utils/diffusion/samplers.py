"""Samplers: ways from noise to a picture, all with the same network.

A denoiser splits x_t into the picture and the noise that it sees in it. Every sampler here mixes the two anew, with less noise:

    x_after  =  signal_after * picture  +  noise_after * noise

That is one step of DDIM. In the variable y = x / signal = picture + sigma * noise it reads y_after = y + (sigma_after - sigma) * noise: Euler's
method for the ordinary differential equation dy / dsigma = noise. In a rectified flow it is Euler's method too. The others differ in what they
take for noise (Heun: the mean of both ends), for the picture (DPM-Solver++: extrapolated from the last two), or in how much of the noise is
replaced by fresh noise (DDIM with eta, ancestral sampling).

`sample` walks along a path of levels, from `ddpm.GaussianDiffusion.path` or `score.RectifiedFlow.path`.

Papers: Ho, Jain & Abbeel, NeurIPS 2020 (ancestral). Song, Meng & Ermon, "Denoising diffusion implicit models", ICLR 2021.
Karras et al., "Elucidating the design space", NeurIPS 2022 (Euler and Heun in sigma). Lu et al., "DPM-Solver++", 2022.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from course_utils.diffusion.ddpm import (
    Denoiser,
    GaussianDiffusion,
    Network,
    Prediction,
    posterior,
    reverse_variance,
    step_variance,
)
from course_utils.diffusion.schedules import Level
from course_utils.layers import draw_normal

CHUNK = 250  # samples that a network sees at once, where many are drawn


class Step(NamedTuple):
    """Where a step ended, and what was seen at its start."""

    noisy: Tensor  # x at the level where it ended, (batch, ...)
    predicted: Prediction  # what the denoiser saw at the level where it began
    level: Level  # where it began


class Sampler(Protocol):
    """`step` goes from x `noisy` at level `now` to level `after`, which has less noise.

    It is given fresh standard normal `noise` of the shape of `noisy` if the sampler is `stochastic`, and the `last` step, if there was one.
    """

    @property
    def stochastic(self) -> bool: ...

    def step(
        self, denoise: Denoiser, noisy: Tensor, now: Level, after: Level, noise: Tensor | None, last: Step | None
    ) -> Step: ...


@dataclass(frozen=True)
class Ancestral:
    """DDPM's own sampler: a draw from p(x_after | x_now) (Ho et al., algorithm 2). The last step, to a clean picture, adds no noise.

    Attributes:
        variance_type: `fixed_small`, `fixed_large` or `learned_range`.
    """

    variance_type: str = "fixed_small"
    stochastic = True

    def step(
        self, denoise: Denoiser, noisy: Tensor, now: Level, after: Level, noise: Tensor, last: Step | None = None
    ) -> Step:
        predicted = denoise(noisy, now)
        mean, smallest = posterior(predicted.images, noisy, now, after)
        if after.noise == 0:
            return Step(mean, predicted, now)
        variance = reverse_variance(predicted, smallest, step_variance(now, after), self.variance_type)
        return Step(mean + variance**0.5 * noise, predicted, now)


@dataclass(frozen=True)
class DDIM:
    """Picture and noise mixed anew (Song et al., equation 12).

    Attributes:
        eta: how much of the noise is fresh: 0 for none, 1 for as much as ancestral sampling with `fixed_small` has.
    """

    eta: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ValueError(f"eta is a share of the noise, in [0, 1], got {self.eta}")

    @property
    def stochastic(self) -> bool:
        return self.eta > 0

    def step(
        self,
        denoise: Denoiser,
        noisy: Tensor,
        now: Level,
        after: Level,
        noise: Tensor | None = None,
        last: Step | None = None,
    ) -> Step:
        predicted = denoise(noisy, now)
        if not self.stochastic:
            return Step(mix(predicted, after), predicted, now)
        fresh = self.eta**2 * step_variance(now, after) * after.noise**2 / now.noise**2  # equation 16, squared
        kept = mix(predicted, after._replace(noise=max(0.0, after.noise**2 - fresh) ** 0.5))
        return Step(kept + fresh**0.5 * noise, predicted, now)


@dataclass(frozen=True)
class Euler:
    """Euler's method for dy / dsigma = noise, y = x / signal (Karras et al., algorithm 1 without its last lines).

    Written for x instead of y it is DDIM with eta 0, and works where sigma is infinite.
    """

    stochastic = False

    def step(
        self, denoise: Denoiser, noisy: Tensor, now: Level, after: Level, noise: None = None, last: Step | None = None
    ) -> Step:
        predicted = denoise(noisy, now)
        return Step(mix(predicted, after), predicted, now)


@dataclass(frozen=True)
class Heun:
    """Heun's method for the same equation: the noise is the mean of that at both ends (Karras et al., algorithm 1).

    Asks the denoiser twice a step, but once for Euler's steps: to sigma 0, where no noise is defined, and from where hardly any signal is left
    (sigma above 1000, as at the end of `cosine`): nearly all of that width is straight, so the mean of both ends is worse than the start.
    """

    stochastic = False

    def step(
        self, denoise: Denoiser, noisy: Tensor, now: Level, after: Level, noise: None = None, last: Step | None = None
    ) -> Step:
        predicted = denoise(noisy, now)
        reached = mix(predicted, after)
        if now.sigma > 1000 or after.noise == 0:
            return Step(reached, predicted, now)
        change = (denoise(reached, after).noise - predicted.noise) / 2
        return Step(reached + after.signal * (after.sigma - now.sigma) * change, predicted, now)


@dataclass(frozen=True)
class DPMSolver:
    """DPM-Solver++ (2M): DDIM with a picture extrapolated from this step's and the last step's (Lu et al., algorithm 2).

    Asks the denoiser once a step. The first step, and the one to a clean picture, are those of DDIM.
    """

    stochastic = False

    def step(
        self, denoise: Denoiser, noisy: Tensor, now: Level, after: Level, noise: None = None, last: Step | None = None
    ) -> Step:
        predicted = denoise(noisy, now)
        images = predicted.images
        if last is not None and after.noise > 0:
            ratio = (now.log_ratio - last.level.log_ratio) / (after.log_ratio - now.log_ratio)
            images = images + (images - last.predicted.images) / (2 * ratio)
        left = (noisy - now.signal * images) / now.noise
        return Step(mix(Prediction(images, left), after), predicted, now)


def mix(predicted: Prediction, level: Level) -> Tensor:
    """signal * picture + noise_rate * noise: what the same picture and noise look like at a level."""
    return level.signal * predicted.images + level.noise * predicted.noise


@torch.no_grad()
def trajectory(
    denoise: Denoiser,
    sampler: Sampler,
    noise: Tensor,
    path: Sequence[Level],
    generator: torch.Generator | None = None,
    constrain: Callable[[Tensor, Level], Tensor] | None = None,
) -> Iterator[Step]:
    """The steps of a sampler along a path, one at a time.

    Args:
        noise: where it starts, (batch, ...), standard normal.
        path: levels. Where the next has more noise than the last, fresh noise is added and nobody is asked (see `guidance.resampled`).
        generator: of the fresh noise, if there is any.
        constrain: `(noisy, level) -> noisy`, applied to what each step reaches (see `guidance.keep_known`).
    """
    noisy, last = noise, None
    for now, after in pairwise(path):
        if after.noise > now.noise:
            fresh = draw_normal(noisy.shape, generator, noisy.device, noisy.dtype)
            noisy, last = after.signal / now.signal * noisy + step_variance(after, now) ** 0.5 * fresh, None
        else:
            fresh = draw_normal(noisy.shape, generator, noisy.device, noisy.dtype) if sampler.stochastic else None
            last = sampler.step(denoise, noisy, now, after, fresh, last)
            noisy = last.noisy if constrain is None else constrain(last.noisy, after)
            yield last._replace(noisy=noisy)


def sample(
    denoise: Denoiser,
    sampler: Sampler,
    noise: Tensor,
    path: Sequence[Level],
    generator: torch.Generator | None = None,
    constrain: Callable[[Tensor, Level], Tensor] | None = None,
) -> Tensor:
    """Where the `trajectory` ends: samples (batch, ...)."""
    for step in trajectory(denoise, sampler, noise, path, generator, constrain):
        noise = step.noisy
    return noise


@torch.inference_mode()
def sample_many(
    network: Network,
    process: GaussianDiffusion,
    sampler: Sampler,
    noise: Tensor,
    path: Sequence[Level],
    *conditions: Tensor,
    generator: torch.Generator | None = None,
) -> Tensor:
    """`sample` for more than a network sees at once: samples (batch, ...) on the CPU, a `CHUNK` after the other.

    Args:
        network: as `process` asks it, `(noisy, timesteps, *conditions)`.
        noise: (batch, ...) on the network's device.
        conditions: (batch, ...) each, on any device.
    """
    parts = []
    for start in range(0, len(noise), CHUNK):
        chunk = slice(start, start + CHUNK)
        known = (condition[chunk].to(noise.device) for condition in conditions)
        parts.append(sample(process.denoiser(network, *known), sampler, noise[chunk], path, generator).cpu())
    return torch.cat(parts)
