"""Denoising diffusion: a picture is destroyed by noise in many small steps, and a network learns to take each step back.

Forward, nothing is learned: any step is reached in one jump, x_t = signal_t x_0 + noise_t epsilon. The network sees x_t and t and says what the noise
was, or the picture, or a mixture of both; the mean squared error of that answer is, up to a weight for each t, a bound on -log p(x_0):

    L  =  KL( q(x_T|x_0) || N(0, I) )  +  sum over t > 0 of KL( q(x_{t-1}|x_t, x_0) || p(x_{t-1}|x_t) )  -  log p(x_0|x_1)

Sampling starts from noise and draws x_{t-1} from p(x_{t-1}|x_t), the posterior of the forward process with the network's picture in place of x_0.

Everything here takes the network as a callable `(noisy, timesteps, *conditions) -> output`, conditions being labels, or whatever it knows.

Papers: Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020. Sohl-Dickstein et al., ICML 2015 (the idea and the bound).
Nichol & Dhariwal, "Improved DDPM", ICML 2021 (learned variance). Salimans & Ho, "Progressive distillation", ICLR 2022 (velocity).
Hang et al., ICCV 2023 (min-SNR). Lin et al., WACV 2024 (zero terminal SNR).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.diffusion.schedules import CLEAN, Level, find_schedule
from course_utils.layers import draw_normal

PREDICTION_TYPES = ("epsilon", "sample", "v_prediction")
VARIANCE_TYPES = ("fixed_small", "fixed_large", "learned_range")
LOSS_WEIGHTINGS = ("simple", "min_snr")
BOUND_WEIGHT = 0.001  # lambda of Nichol & Dhariwal, section 3.1

Network = Callable[..., Tensor]  # (noisy, timesteps, *conditions) -> output


class Prediction(NamedTuple):
    """What a network's output says, whatever it was trained to say: noisy = signal * images + noise_rate * noise."""

    images: Tensor  # x_0, of the shape of the noisy pictures
    noise: Tensor  # epsilon, of the same shape
    variance: Tensor | None = None  # of the same shape, -1 for the smallest to 1 for the largest, where it is learned


Denoiser = Callable[[Tensor, Level], Prediction]  # (noisy, level) -> prediction


def target(images: Tensor, noise: Tensor, level: Level, prediction_type: str) -> Tensor:
    """What a network of this type should answer about signal * images + noise_rate * noise, of the shape of `images`.

    `epsilon`: the noise. `sample`: the picture. `v_prediction`: signal * noise - noise_rate * picture, the velocity on the circle
    signal^2 + noise_rate^2 = 1 (Salimans & Ho, appendix D). `flow_prediction`: noise - picture, the velocity on the line of a rectified flow.
    """
    if prediction_type == "epsilon":
        return noise
    if prediction_type == "sample":
        return images
    if prediction_type == "v_prediction":
        return level.signal * noise - level.noise * images
    if prediction_type == "flow_prediction":
        return noise - images
    raise ValueError(f"prediction_type is {prediction_type!r}, but must be one of {', '.join(PREDICTION_TYPES)}")


def predict(output: Tensor, noisy: Tensor, level: Level, prediction_type: str, clip: bool = False) -> Prediction:
    """Picture and noise from a network's output: `target` and the equation of x_t, solved for both.

    Args:
        output: of the shape of `noisy`, or of twice its channels, the second half being the learned variance.
        noisy: x_t, (batch, ...).
        level: of `noisy`. `epsilon` says nothing about the picture where the signal is 0, nor `sample` about the noise where there is none.
        clip: keep the picture in [-1, 1]; the noise is then what is left of `noisy`. (In `diffusers` DDIM only with `use_clipped_model_output`.)
    """
    output = output.to(noisy.dtype)
    output, variance = output.chunk(2, dim=1) if output.shape[1] == 2 * noisy.shape[1] else (output, None)
    if prediction_type == "epsilon":
        images, noise = (noisy - level.noise * output) / level.signal, output
    elif prediction_type == "sample":
        images, noise = output, (noisy - level.signal * output) / level.noise
    elif prediction_type == "v_prediction":
        images = level.signal * noisy - level.noise * output
        noise = level.noise * noisy + level.signal * output
    elif prediction_type == "flow_prediction":
        images, noise = noisy - level.noise * output, noisy + level.signal * output
    else:
        raise ValueError(f"prediction_type is {prediction_type!r}, but must be one of {', '.join(PREDICTION_TYPES)}")
    if clip:
        images = images.clamp(-1, 1)
        noise = (noisy - level.signal * images) / level.noise
    return Prediction(images, noise, variance)


def denoiser(network: Network, prediction_type: str, *conditions: Tensor, clip: bool = False) -> Denoiser:
    """The network as samplers want it: asked about a whole batch at one level, it answers with picture and noise.

    Args:
        conditions: given to the network with each question, each (batch, ...).
    """

    def denoise(noisy: Tensor, level: Level) -> Prediction:
        timesteps = torch.full((len(noisy),), level.timestep, device=noisy.device)
        return predict(network(noisy, timesteps, *conditions), noisy, level, prediction_type, clip)

    return denoise


def posterior(images: Tensor, noisy: Tensor, now: Level, before: Level) -> tuple[Tensor, float | Tensor]:
    """Mean and variance of q(x_before | x_now, x_0), a normal distribution (Ho et al., equations 6 and 7; any two levels, not only neighbours).

    Args:
        images: x_0, (batch, ...).
        noisy: x_now, of the same shape.
        before: a level with less noise.
    """
    kept = now.signal / before.signal
    beta = step_variance(now, before)
    mean = before.signal * beta / now.noise**2 * images + kept * before.noise**2 / now.noise**2 * noisy
    return mean, beta * before.noise**2 / now.noise**2


def step_variance(now: Level, before: Level) -> float | Tensor:
    """Variance of q(x_now | x_before), beta_t for neighbours.

    From the noise, not as 1 - (signal / signal)^2, of which float32 would lose the first digits.
    """
    return now.noise**2 - (now.signal / before.signal * before.noise) ** 2


def reverse_variance(
    predicted: Prediction, smallest: float | Tensor, largest: float | Tensor, variance_type: str
) -> float | Tensor:
    """Variance of p(x_before | x_now), by which a network takes a step back.

    `fixed_small` is right if the data are one point, and `fixed_large` if they are standard normal (Ho et al., section 3.2). `learned_range` lies
    between, where the network says, on a logarithmic scale (Nichol & Dhariwal, equation 15).

    Args:
        smallest: that of `posterior`.
        largest: `step_variance`.

    Raises:
        ValueError: an unknown type, or a learned variance from a network that gives none.
    """
    if variance_type == "fixed_small":
        return smallest
    if variance_type == "fixed_large":
        return largest
    if variance_type != "learned_range":
        raise ValueError(f"variance_type is {variance_type!r}, but must be one of {', '.join(VARIANCE_TYPES)}")
    if predicted.variance is None:
        raise ValueError(
            "with variance_type='learned_range' a network gives twice the channels of its input, but this one does not"
        )
    share = (predicted.variance + 1) / 2
    return largest**share * smallest ** (1 - share)


def normal_divergence(mean: Tensor, variance: Tensor, other_mean: Tensor, other_variance: Tensor) -> Tensor:
    """KL( N(mean, variance) || N(other_mean, other_variance) ) of each value, in nats; all of shapes that broadcast."""
    ratio = variance / other_variance
    return 0.5 * (ratio - 1 - ratio.log() + (mean - other_mean).square() / other_variance)


def discretized_log_likelihood(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """log of the probability that N(mean, std^2) gives to the bin of each value, in nats, of the shape of `images` (Ho et al., equation 13).

    Args:
        images: in [-1, 1], on the 256 levels of a stored picture; a bin is 2 / 255 wide, and the first and the last are open.
    """
    half = 1 / 255
    upper, lower = (normal_cdf((images + side - mean) / std) for side in (half, -half))
    upper = torch.where(images > 1 - half, 1.0, upper)
    lower = torch.where(images < -1 + half, 0.0, lower)
    return (upper - lower).clamp(min=1e-12).log()


def normal_cdf(values: Tensor) -> Tensor:
    """Probability that a standard normal number is smaller, of the shape of `values`."""
    return 0.5 * (1 + torch.erf(values / math.sqrt(2)))


class Bound(NamedTuple):
    """The terms of the variational bound for each picture, in bits per dimension."""

    prior: Tensor  # (batch,): what is left of the picture after the last step
    steps: Tensor  # (num_train_timesteps, batch): one for each t, the first being -log p(x_0 | x_1)

    @property
    def total(self) -> Tensor:
        """(batch,): no less than -log2 p(picture) / dimensions, on average over the noise."""
        return self.prior + self.steps.sum(dim=0)


@dataclass(frozen=True)
class DiffusionConfig:
    """Settings of a `GaussianDiffusion`.

    Attributes:
        num_train_timesteps: steps from a picture to noise.
        noise_schedule: a name of `schedules.SCHEDULES`.
        noise_shift: by which its sigmas are multiplied, for instance resolution / 64.
        zero_terminal_snr: whether nothing of the picture is left at the last step. Not with `epsilon`: about pure noise, the noise says nothing.
        prediction_type: `epsilon`, `sample` or `v_prediction`, what the network answers.
        variance_type: `fixed_small`, `fixed_large` or `learned_range`, the variance of a step back. To learn it, a network gives twice the channels.
        loss_weighting: `simple` (the mean squared error of the answer) or `min_snr`.
        min_snr_gamma: the largest signal-to-noise ratio that counts, with `min_snr`.
        clip_sample: whether predicted pictures are kept in [-1, 1], while sampling and in the bound.
    """

    num_train_timesteps: int = 1000
    noise_schedule: str = "cosine"
    noise_shift: float = 1.0
    zero_terminal_snr: bool = False
    prediction_type: str = "epsilon"
    variance_type: str = "fixed_small"
    loss_weighting: str = "simple"
    min_snr_gamma: float = 5.0
    clip_sample: bool = False


class GaussianDiffusion(nn.Module):
    """The process of a config: noising, loss and bound, for any network. It has no weights, only tables, which are not saved.

    Pictures are (batch, channels, height, width) in [-1, 1], or points (batch, dimensions). Timesteps are (batch,) int64 in
    [0, num_train_timesteps): step 0 has the least noise, not none.

    Attributes:
        alphas_cumprod: (num_train_timesteps,) float32, signal^2 at each step.
    """

    def __init__(self, config: DiffusionConfig):
        super().__init__()
        for name, names in [
            ("prediction_type", PREDICTION_TYPES),
            ("variance_type", VARIANCE_TYPES),
            ("loss_weighting", LOSS_WEIGHTINGS),
        ]:
            if getattr(config, name) not in names:
                raise ValueError(f"{name} is {getattr(config, name)!r}, but must be one of {', '.join(names)}")
        if config.zero_terminal_snr and config.prediction_type == "epsilon":
            raise ValueError(
                "with zero_terminal_snr the noise says nothing about the picture at the last step: choose prediction_type 'v_prediction' or 'sample'"
            )
        self.config = config
        self.prediction_type = config.prediction_type
        alphas_cumprod = find_schedule(
            config.noise_schedule, config.num_train_timesteps, config.noise_shift, config.zero_terminal_snr
        )
        # A clean picture comes first, so that step t stands at t + 1 and the step before it at t.
        signal, noise = (
            np.sqrt(np.concatenate([[a], b])) for a, b in ((1.0, alphas_cumprod), (0.0, 1 - alphas_cumprod))
        )
        for name, values in {"alphas_cumprod": alphas_cumprod, "_signal": signal, "_noise": noise}.items():
            self.register_buffer(name, torch.tensor(values.astype(np.float32)), persistent=False)
        self._levels = [
            Level(step - 1, *rates) for step, rates in enumerate(zip(signal.tolist(), noise.tolist(), strict=True))
        ]
        # q(x_0 | x_1, x_0) has no variance, and a likelihood needs one: that of the step above (Nichol & Dhariwal's code)
        now, before = self._levels[2], self._levels[1]
        self._smallest_variance = step_variance(now, before) * before.noise**2 / now.noise**2

    def level(self, timesteps: Tensor, dimensions: int, back: int = 0) -> Level:
        """The level of each timestep (batch,), or `back` steps before it, to broadcast against tensors of so many dimensions."""
        shape = (-1, *[1] * (dimensions - 1))  # (batch,) -> (batch, 1, ...)
        places = timesteps + 1 - back
        return Level(timesteps - back, self._signal[places].view(shape), self._noise[places].view(shape))

    def path(self, timesteps: Sequence[int]) -> list[Level]:
        """The levels that a sampler visits: those of the falling `timesteps`, then that of a clean picture.

        (A Stable Diffusion 1 pipeline ends at the level of step 0 instead, `set_alpha_to_one=False`: replace the last by it.)

        Raises:
            ValueError: if timesteps do not fall, or lie outside [0, num_train_timesteps).
        """
        steps = list(timesteps)
        if not steps or sorted(set(steps), reverse=True) != steps:
            raise ValueError(f"a sampler goes down: expected falling timesteps, got {steps}")
        if not 0 <= steps[-1] <= steps[0] < self.config.num_train_timesteps:
            raise ValueError(f"timesteps must lie in [0, {self.config.num_train_timesteps}), got {steps}")
        return [*(self._levels[step + 1] for step in steps), CLEAN]

    def denoiser(self, network: Network, *conditions: Tensor) -> Denoiser:
        """The network as `samplers.sample` wants it; `conditions` are given to it with each question."""
        return denoiser(network, self.prediction_type, *conditions, clip=self.config.clip_sample)

    def add_noise(self, images: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """x_t ~ q(x_t | x_0), in one jump, of the shape of `images` (Ho et al., equation 4); `noise` is standard normal."""
        level = self.level(timesteps, images.ndim)
        return level.signal * images + level.noise * noise

    def loss(self, network: Network, images: Tensor, noise: Tensor, timesteps: Tensor, *conditions: Tensor) -> Tensor:
        """Mean squared error of what the network answers, weighted: a scalar (Ho et al., equation 14).

        With a learned variance the bound is added, as 0.001 times the sum of its steps in bits per dimension, and moves the variance only
        (L_hybrid of Nichol & Dhariwal, equation 16, as in their code).

        Args:
            images: (batch, ...).
            noise: of the same shape, standard normal.
            timesteps: (batch,) int64, uniform in [0, num_train_timesteps).
        """
        level = self.level(timesteps, images.ndim)
        noisy = level.signal * images + level.noise * noise
        output = network(noisy, timesteps, *conditions).to(images.dtype)
        wanted = target(images, noise, level, self.prediction_type)
        if self.config.variance_type != "learned_range":
            return (self.loss_weights(level) * (output - wanted).square()).mean()
        answer, variance = output.chunk(2, dim=1)
        simple = (self.loss_weights(level) * (answer - wanted).square()).mean()
        bound = self._step_bits(torch.cat([answer.detach(), variance], dim=1), images, noisy, timesteps)
        return simple + BOUND_WEIGHT * self.config.num_train_timesteps * bound.mean()

    def loss_weights(self, level: Level) -> Tensor:
        """The weight of the squared error at a level, of the shape of its rates.

        `min_snr` treats the steps as tasks of equal right: min(SNR, gamma) times the squared error of the *picture*, hence divided by
        SNR or SNR + 1 where the network answers with noise or velocity (Hang et al., section 3.4).
        """
        if self.config.loss_weighting == "simple":
            return torch.ones_like(level.signal)
        ratio = (level.signal / level.noise).square()
        capped = ratio.clamp(max=self.config.min_snr_gamma)
        return (
            capped
            / {"epsilon": ratio, "sample": torch.ones_like(ratio), "v_prediction": ratio + 1}[self.prediction_type]
        )

    def step_bits(
        self, network: Network, images: Tensor, noise: Tensor, timesteps: Tensor, *conditions: Tensor
    ) -> Tensor:
        """The term of the bound that belongs to each picture's timestep, (batch,) in bits per dimension (Ho et al., equation 5).

        KL( q(x_{t-1}|x_t, x_0) || p(x_{t-1}|x_t) ) and at step 0 -log p(x_0|x_1): the probability that a normal distribution gives to the
        pixel's bin, one of 256 in [-1, 1] (equation 13). Arguments as for `loss`.
        """
        noisy = self.add_noise(images, noise, timesteps)
        return self._step_bits(network(noisy, timesteps, *conditions), images, noisy, timesteps)

    def _step_bits(self, output: Tensor, images: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        """`step_bits` from the network's output."""
        now, before = self.level(timesteps, images.ndim), self.level(timesteps, images.ndim, back=1)
        predicted = predict(output, noisy, now, self.prediction_type, self.config.clip_sample)
        mean, variance = posterior(images, noisy, now, before)
        model_mean, _ = posterior(predicted.images, noisy, now, before)
        smallest, largest = (
            values.clamp(min=self._smallest_variance) for values in (variance, step_variance(now, before))
        )
        model_variance = reverse_variance(predicted, smallest, largest, self.config.variance_type)
        divergence = normal_divergence(mean, smallest, model_mean, model_variance)
        likelihood = discretized_log_likelihood(images, model_mean, model_variance.sqrt())
        nats = torch.where((timesteps == 0).view_as(now.signal), -likelihood, divergence)
        return nats.flatten(1).mean(dim=1) / math.log(2)  # (batch, ...) -> (batch, dimensions) -> (batch,)

    @torch.no_grad()
    def bits_per_dimension(
        self, network: Network, images: Tensor, *conditions: Tensor, generator: torch.Generator | None = None
    ) -> Bound:
        """The whole variational bound, which asks the network about every timestep (Ho et al., equation 5).

        Args:
            images: (batch, ...) in [-1, 1], on the 256 levels of a stored picture.
        """
        steps = []
        for step in range(self.config.num_train_timesteps):
            timesteps = torch.full((len(images),), step, device=images.device)
            noise = draw_normal(images.shape, generator, images.device, images.dtype)
            steps.append(self.step_bits(network, images, noise, timesteps, *conditions))
        last = self.level(timesteps, images.ndim)
        one = torch.ones_like(last.noise)
        prior = normal_divergence(last.signal * images, last.noise.square(), torch.zeros_like(images), one)
        return Bound(prior.flatten(1).mean(dim=1) / math.log(2), torch.stack(steps))  # (batch, ...) -> (batch,)
