"""Noise schedules: how much of a picture is left after each step of the forward process, and which steps a sampler visits.

At step t a picture x_0 has become

    x_t = signal_t * x_0 + noise_t * epsilon,    epsilon ~ N(0, I),    signal_t^2 = alphas_cumprod_t,    noise_t^2 = 1 - alphas_cumprod_t

so the whole schedule is one falling sequence, `alphas_cumprod`: the product of all 1 - beta up to t, beta being the share of variance that one
step replaces by noise. The ratio sigma_t = noise_t / signal_t is the noise level of x_t / signal_t = x_0 + sigma_t * epsilon: the one convention in
which all solvers of `samplers` think, and 1 / sigma_t^2 is the signal-to-noise ratio.

Schedules are arrays of NumPy, float64 whatever the device (in float32, 1 - alphas_cumprod loses digits where it is small);
`ddpm.GaussianDiffusion` stores them as float32.

Papers: Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020 (linear). Nichol & Dhariwal, ICML 2021 (cosine).
Jabri, Fleet & Chen, ICML 2023 (sigmoid). Rombach et al., CVPR 2022 (scaled linear). Hoogeboom, Heek & Salimans, "simple diffusion", ICML 2023,
and Esser et al., "Stable Diffusion 3", ICML 2024 (shift for resolution). Lin et al., WACV 2024 (zero terminal SNR, timestep spacings).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from torch import Tensor

MAX_BETA = 0.999  # a beta of 1 would leave nothing of the picture, and no way back


class Level(NamedTuple):
    """A noise level: x = signal * x_0 + noise * epsilon.

    Numbers while sampling, when a whole batch stands at one level. While training, when each picture has its own, tensors of shape
    (batch, 1, ...) that broadcast against pictures, and `timestep` (batch,).
    """

    timestep: int | float | Tensor  # what the network is told; -1 for a clean picture, about which no network is asked
    signal: float | Tensor
    noise: float | Tensor

    @property
    def sigma(self) -> float | Tensor:
        """noise / signal, infinite where no signal is left."""
        if isinstance(self.signal, Tensor) or self.signal > 0:
            return self.noise / self.signal
        return math.inf

    @property
    def log_ratio(self) -> float:
        """log(signal / noise), half the log signal-to-noise ratio (the lambda of DPM-Solver), of a level of numbers."""
        return -math.log(self.sigma) if 0 < self.sigma < math.inf else math.copysign(math.inf, self.signal - self.noise)


CLEAN = Level(-1, 1.0, 0.0)


def linear(num_train_timesteps: int, beta_start: float = 1e-4, beta_end: float = 0.02) -> np.ndarray:
    """`alphas_cumprod` (num_train_timesteps,) of betas that rise on a straight line (Ho et al., section 4).

    Args:
        beta_start, beta_end: for 1000 steps. With fewer steps each must do more to end in the same noise, so betas are scaled by
            1000 / num_train_timesteps (Nichol & Dhariwal's code; `diffusers` does not).
    """
    scale = 1000 / num_train_timesteps
    return _products(np.linspace(scale * beta_start, scale * beta_end, num_train_timesteps))


def scaled_linear(num_train_timesteps: int, beta_start: float = 0.00085, beta_end: float = 0.012) -> np.ndarray:
    """`alphas_cumprod` (num_train_timesteps,) of betas whose roots rise on a straight line: latent diffusion (Rombach et al.'s code).

    Args:
        beta_start, beta_end: for 1000 steps, scaled as in `linear`.
    """
    scale = 1000 / num_train_timesteps
    return _products(scale * np.linspace(beta_start**0.5, beta_end**0.5, num_train_timesteps) ** 2)


def cosine(num_train_timesteps: int, offset: float = 0.008) -> np.ndarray:
    """`alphas_cumprod` (num_train_timesteps,) as a squared cosine of time (Nichol & Dhariwal, equation 17).

    Args:
        offset: the s of the paper, which keeps the first steps from being too small.
    """
    times = np.linspace(0, 1, num_train_timesteps + 1)
    return _clipped(np.cos((times + offset) / (1 + offset) * math.pi / 2) ** 2)


def sigmoid(num_train_timesteps: int, start: float = -3.0, end: float = 3.0, temperature: float = 1.0) -> np.ndarray:
    """`alphas_cumprod` (num_train_timesteps,) as a falling sigmoid of time (Jabri et al., figure 8).

    Not the schedule that `diffusers` calls sigmoid, which has sigmoid betas.

    Args:
        start, end: the piece of the sigmoid that is used, stretched to go from 1 to 0.
        temperature: above 1 for a straighter line.
    """
    values = 1 / (1 + np.exp(-np.linspace(start, end, num_train_timesteps + 1) / temperature))
    return _clipped((values[-1] - values) / (values[-1] - values[0]))


SCHEDULES: dict[str, Callable[[int], np.ndarray]] = {
    "linear": linear,
    "scaled_linear": scaled_linear,
    "cosine": cosine,
    "sigmoid": sigmoid,
}


def _products(betas: np.ndarray) -> np.ndarray:
    return np.cumprod(1 - np.minimum(betas, MAX_BETA))


def _clipped(levels: np.ndarray) -> np.ndarray:
    """`alphas_cumprod` (steps,) from its values at (steps + 1,) times, the first being clean, with no beta above MAX_BETA."""
    return _products(1 - levels[1:] / levels[:-1])


def betas_of(alphas_cumprod: np.ndarray) -> np.ndarray:
    """The beta of each step, (num_train_timesteps,), in (0, 1] (Ho et al., section 2)."""
    return 1 - alphas_cumprod / np.concatenate([[1.0], alphas_cumprod[:-1]])


def sigmas_of(alphas_cumprod: np.ndarray) -> np.ndarray:
    """noise / signal of each step, (num_train_timesteps,); infinite where alphas_cumprod is 0."""
    with np.errstate(divide="ignore"):
        return np.sqrt((1 - alphas_cumprod) / alphas_cumprod)


def shift(alphas_cumprod: np.ndarray, factor: float) -> np.ndarray:
    """The schedule with every sigma multiplied by `factor`, (num_train_timesteps,).

    A large picture shows what it is through more noise, since neighbouring pixels agree and average it away. To hide as much in d pixels a
    side as the schedule hid in 64, choose the factor d / 64 (Hoogeboom et al., section 3.1): the signal-to-noise ratio falls by its square.
    In a rectified flow the same factor turns time t into factor * t / (1 + (factor - 1) * t) (Esser et al., equation 23).
    """
    return alphas_cumprod / (alphas_cumprod + factor**2 * (1 - alphas_cumprod))


def rescale_zero_terminal_snr(alphas_cumprod: np.ndarray) -> np.ndarray:
    """The schedule with nothing of the picture left at the last step, (num_train_timesteps,) (Lin et al., algorithm 1).

    A schedule that ends with some signal trains a network which has never seen pure noise, from which sampling starts: its pictures
    keep the mean brightness of that noise. The roots are shifted and stretched: the first stays, the last becomes 0.
    """
    signal = np.sqrt(alphas_cumprod)
    return (signal[0] * (signal - signal[-1]) / (signal[0] - signal[-1])) ** 2


def find_schedule(
    name: str, num_train_timesteps: int, factor: float = 1.0, zero_terminal_snr: bool = False
) -> np.ndarray:
    """`alphas_cumprod` (num_train_timesteps,) of the schedule of that name, shifted by `factor`, then perhaps rescaled to end in pure noise.

    Raises:
        ValueError: an unknown name, fewer than two steps, or a factor that is not positive.
    """
    if name not in SCHEDULES:
        raise ValueError(f"there is no noise schedule {name!r}: choose one of {', '.join(SCHEDULES)}")
    if num_train_timesteps < 2:
        raise ValueError(f"a schedule needs at least two steps, got num_train_timesteps={num_train_timesteps}")
    if factor <= 0:
        raise ValueError(f"sigmas are multiplied by the shift, so it must be positive, got {factor}")
    alphas_cumprod = shift(SCHEDULES[name](num_train_timesteps), factor)
    return rescale_zero_terminal_snr(alphas_cumprod) if zero_terminal_snr else alphas_cumprod


def inference_timesteps(
    num_train_timesteps: int, num_inference_steps: int, spacing: str = "trailing", steps_offset: int = 0
) -> list[int]:
    """Which timesteps a sampler visits, falling (Lin et al., table 2).

    `trailing` counts down from the last step in equal strides and `linspace` also ends at step 0. `leading` counts up from step
    `steps_offset`, as DDPM and Stable Diffusion 1 (offset 1) did: the first step visited then lies below the noise from which sampling starts.

    Raises:
        ValueError: an unknown spacing, an offset without `leading`, or more steps than there are.
    """
    most = num_train_timesteps - steps_offset
    if not 1 <= num_inference_steps <= most:
        raise ValueError(f"num_inference_steps must lie in [1, {most}], got {num_inference_steps}")
    if steps_offset and spacing != "leading":
        raise ValueError(f"steps_offset belongs to the spacing 'leading', not to {spacing!r}")
    if spacing == "leading":
        stride = num_train_timesteps // num_inference_steps
        if steps_offset >= stride:
            raise ValueError(f"steps_offset must be smaller than the stride {stride}, got {steps_offset}")
        return [steps_offset + stride * step for step in reversed(range(num_inference_steps))]
    if spacing == "trailing":
        stride = num_train_timesteps / num_inference_steps
        return [round(num_train_timesteps - stride * step) - 1 for step in range(num_inference_steps)]
    if spacing == "linspace":
        last = num_train_timesteps - 1
        steps = np.linspace(0, last, num_inference_steps).tolist() if num_inference_steps > 1 else [last]
        return [round(step) for step in reversed(steps)]
    raise ValueError(f"spacing is {spacing!r}, but must be leading, trailing or linspace")
