"""Generative adversarial network: a generator that learns from a discriminator's attempts to tell its samples from data.

The generator G turns noise z into a sample G(z), the discriminator D gives the probability that a sample is real. D is trained to be right, G to make
D wrong; neither needs a likelihood:

    min over G, max over D of   V(G, D) = E_x[ log D(x) ] + E_z[ log(1 - D(G(z))) ]

For a fixed G with density q the best D is p / (p + q), and V is then 2 JSD(p, q) - log 4, which is smallest where q is p, the data's density.
In practice both take one step in turn, on a few samples, and nothing promises that they arrive: some modes of the data may never be made.

Papers: Goodfellow et al., "Generative adversarial nets", NeurIPS 2014.
Metz et al., "Unrolled GANs", ICLR 2017 (the ring of Gaussians). Srivastava et al., "VEEGAN", NeurIPS 2017 (the grid, and how modes are counted).
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_utils.gans.losses import LOSSES, gradient_penalty, input_gradient, interpolate, r1_penalty
from course_utils.hub import HubModel, config_coders
from course_utils.layers import draw_integers, draw_normal, draw_uniform
from course_utils.training import Player

PENALTIES = ("none", "gradient", "r1")


@dataclass(frozen=True)
class GANConfig:
    """Settings of a `GAN`.

    Attributes:
        sample_shape: (2,) for points of the plane, (1, 28, 28) for pictures.
        latent_dim: numbers of noise that a sample is made of.
        generator_widths, discriminator_widths: of the hidden layers, from the input on.
        loss: a name of `losses.LOSSES`.
    """

    sample_shape: tuple[int, ...] = (2,)
    latent_dim: int = 16
    generator_widths: tuple[int, ...] = (128, 128)
    discriminator_widths: tuple[int, ...] = (128, 128)
    loss: str = "non_saturating"


class GAN(nn.Module, HubModel, coders=config_coders(GANConfig)):
    """Two fully connected networks. Samples are float32 (batch, *sample_shape): points anywhere, or pictures in [-1, 1].

    The generator has ReLUs. The discriminator has leaky ReLUs max(x, 0.2 x) where the paper has maxout, the largest of several learned
    slopes, and dropout. The noise is normal.
    """

    def __init__(self, config: GANConfig):
        super().__init__()
        if config.loss not in LOSSES:
            raise ValueError(f"loss is {config.loss!r}, but must be one of {', '.join(LOSSES)}")
        self.config = config
        values = math.prod(config.sample_shape)
        into, out = (config.latent_dim, *config.generator_widths), (values, *config.discriminator_widths)
        self.generator = nn.Sequential(
            *(layer for a, b in pairwise(into) for layer in (nn.Linear(a, b), nn.ReLU())),
            nn.Linear(into[-1], values),
            nn.Tanh() if len(config.sample_shape) == 3 else nn.Identity(),
            nn.Unflatten(1, config.sample_shape),  # (batch, values) -> (batch, *sample_shape)
        )
        self.discriminator = nn.Sequential(
            nn.Flatten(),  # (batch, *sample_shape) -> (batch, values)
            *(layer for a, b in pairwise(out) for layer in (nn.Linear(a, b), nn.LeakyReLU(0.2))),
            nn.Linear(out[-1], 1),
            nn.Flatten(0),  # (batch, 1) -> (batch,)
        )

    def forward(self, latents: Tensor) -> Tensor:
        """Samples G(z), (batch, *sample_shape), from noise (batch, latent_dim), standard normal."""
        return self.generator(latents).to(latents.dtype)

    def discriminate(self, samples: Tensor) -> Tensor:
        """Logits (batch,) of samples (batch, *sample_shape); with a loss of the paper D(x) = sigmoid(logit).

        Raises:
            ValueError: if the samples have another shape than the config says.
        """
        if samples.shape[1:] != self.config.sample_shape:
            raise ValueError(f"expected samples (batch, *{self.config.sample_shape}), got {tuple(samples.shape)}")
        return self.discriminator(samples).to(samples.dtype)

    def discriminator_loss(self, samples: Tensor, latents: Tensor) -> Tensor:
        """What D minimises, a scalar. No gradient reaches G.

        Args:
            samples: real ones (batch, *sample_shape).
            latents: noise (batch, latent_dim).
        """
        fake = self(latents).detach()
        return LOSSES[self.config.loss].discriminator(self.discriminate(samples), self.discriminate(fake))

    def generator_loss(self, latents: Tensor) -> Tensor:
        """What G minimises, a scalar, for noise (batch, latent_dim). The gradient comes to G through D."""
        return LOSSES[self.config.loss].generator(self.discriminate(self(latents)))

    @torch.inference_mode()
    def sample(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """New samples (num_samples, *sample_shape); the discriminator is not asked."""
        weight = self.generator[0].weight
        return self(draw_normal((num_samples, self.config.latent_dim), generator, weight.device, weight.dtype))


def gan_players(
    model: nn.Module,
    *,
    learning_rate: float = 2e-4,
    betas: tuple[float, float] = (0.5, 0.999),
    penalty: str = "none",
    penalty_weight: float = 10.0,
    discriminator_steps: int = 1,
    ema_decay: float | None = None,
) -> list[Player]:
    """The alternating step for `training.fit`: the discriminator moves, then the generator, each on noise of its own (algorithm 1).

    Args:
        model: a `GAN` or a `DCGAN`. The batches hold `image`, real samples, and for a conditional model `label`.
        learning_rate, betas: of Adam, for both players; by default those of Radford et al., ICLR 2016.
        penalty: `none`, `gradient` (for the loss `wasserstein`) or `r1`, added to the discriminator's loss.
        discriminator_steps: steps of the discriminator for each of the generator.
        ema_decay: of the average of the generator's weights.

    Raises:
        ValueError: an unknown penalty.
    """
    if penalty not in PENALTIES:
        raise ValueError(f"penalty is {penalty!r}, but must be one of {', '.join(PENALTIES)}")
    loss_of = LOSSES[model.config.loss]

    def noise_and_labels(batch: dict) -> tuple[Tensor, tuple[Tensor, ...]]:
        images = batch["image"]
        latents = torch.randn(len(images), model.config.latent_dim, device=images.device)
        return latents, (batch["label"],) if getattr(model.config, "num_classes", 0) else ()

    def discriminator_objective(batch: dict) -> tuple[Tensor, dict[str, Tensor]]:
        latents, labels = noise_and_labels(batch)
        real, fake = batch["image"], model(latents, *labels).detach()  # G is not to be moved: it stands still as data
        if penalty == "r1":
            real = real.detach().requires_grad_()
        real_logits, fake_logits = model.discriminate(real, *labels), model.discriminate(fake, *labels)
        loss = loss_of.discriminator(real_logits, fake_logits)
        logs = {"real_logit": real_logits.mean(), "fake_logit": fake_logits.mean()}
        if penalty == "none":
            return loss, logs
        if penalty == "r1":
            added = r1_penalty(input_gradient(real_logits, real), penalty_weight)
        else:
            between = interpolate(real, fake, torch.rand(len(real), device=real.device)).requires_grad_()
            added = gradient_penalty(input_gradient(model.discriminate(between, *labels), between), penalty_weight)
        return loss + added, {**logs, "penalty": added}

    def generator_objective(batch: dict) -> tuple[Tensor, dict[str, Tensor]]:
        latents, labels = noise_and_labels(batch)
        return model.generator_loss(latents, *labels), {}

    adam = {"learning_rate": learning_rate, "betas": betas}
    return [
        Player("discriminator", model.discriminator, discriminator_objective, **adam),
        Player(
            "generator", model.generator, generator_objective, **adam, ema_decay=ema_decay, every=discriminator_steps
        ),
    ]


def optimal_discriminator(log_p: Tensor, log_q: Tensor) -> Tensor:
    """p(x) / (p(x) + q(x)), the best D against a generator of density q, of the shape of both (proposition 1).

    Args:
        log_p, log_q: log densities of data and generator at the same points. Their difference is the best logit.
    """
    return torch.sigmoid(log_p - log_q)


@dataclass(frozen=True)
class GaussianMixture:
    """Equally likely round Gaussians of the plane, whose density is known.

    Attributes:
        means: centres (x, y) of the modes.
        std: of each, in each direction.
    """

    means: tuple[tuple[float, float], ...]
    std: float

    def sample(self, num_points: int, generator: torch.Generator | None = None) -> Tensor:
        """Points (num_points, 2)."""
        modes = draw_integers(0, len(self.means), (num_points,), generator)
        noise = draw_normal((num_points, 2), generator)
        return torch.tensor(self.means, device=modes.device)[modes] + self.std * noise

    def log_density(self, points: Tensor) -> Tensor:
        """log p, (...) in nats, at points (..., 2)."""
        means = points.new_tensor(self.means)  # (modes, 2)
        squares = (points[..., None, :] - means).square().sum(dim=-1) / self.std**2  # (..., modes)
        return (-0.5 * squares).logsumexp(dim=-1) - math.log(2 * math.pi * self.std**2 * len(self.means))


def ring(num_modes: int = 8, radius: float = 2.0, std: float = 0.02) -> GaussianMixture:
    """Gaussians at equal distances on a circle; by default those of Metz et al."""
    angles = (2 * math.pi * mode / num_modes for mode in range(num_modes))
    return GaussianMixture(tuple((radius * math.cos(angle), radius * math.sin(angle)) for angle in angles), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> GaussianMixture:
    """side * side Gaussians on a square grid around the origin."""
    places = [spacing * (place - (side - 1) / 2) for place in range(side)]
    return GaussianMixture(tuple((x, y) for x in places for y in places), std)


def two_moons(num_points: int, generator: torch.Generator | None = None, std: float = 0.05) -> Tensor:
    """Points (num_points, 2) on two interleaved half circles of radius 1, blurred by `std`; their density has no closed form."""
    angles = math.pi * draw_uniform((num_points,), generator)
    lower = draw_integers(0, 2, (num_points,), generator) == 1
    x = torch.where(lower, 1 - angles.cos(), angles.cos())
    y = torch.where(lower, 0.5 - angles.sin(), angles.sin())
    return torch.stack([x, y], dim=1) + std * draw_normal((num_points, 2), generator)


class ModeCoverage(NamedTuple):
    """How much of a mixture is made (`modes_covered`, of all), and how much of what is made belongs to it (`good_share`)."""

    modes_covered: int
    good_share: float


def mode_coverage(points: Tensor, mixture: GaussianMixture) -> ModeCoverage:
    """Count the modes with a good point: one within three standard deviations of its nearest mode (Srivastava et al., section 5.1).

    Points drawn from the mixture itself are good with probability 1 - exp(-9 / 2) = 0.989, the ceiling of `good_share`.

    Args:
        points: (num_points, 2), on any device.
    """
    # (num_points, modes) -> (num_points,) each
    squares, nearest = (points[:, None] - points.new_tensor(mixture.means)).square().sum(dim=-1).min(dim=1)
    good = squares <= (3 * mixture.std) ** 2
    return ModeCoverage(len(nearest[good].unique()), good.float().mean().item())
