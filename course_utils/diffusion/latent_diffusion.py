"""Latent diffusion: an autoencoder takes care of detail, diffusion of what the picture shows.

Most bits of a picture are detail that nobody notices. A KL autoencoder is trained first. Its latents are a grid a few times smaller than the
picture, kept near a standard normal by a very small weight on the KL only; a discriminator of patches keeps reconstructions sharp:

    loss = |x - D(z)|  +  w KL( q(z|x) || N(0, I) )  -  a Disc( D(z) ),        z = mean(x) + std(x) * noise

Then the autoencoder is frozen, and a diffusion model learns the latents, scaled to variance 1, for a fraction of the cost. What it shall depend on
at every place (a layout, a small picture, what is left of a damaged one) is joined to the noisy latents as further channels; a class or a text enters
as in `unet`.

Paper: Rombach, Blattmann, Lorenz, Esser & Ommer, "High-resolution image synthesis with latent diffusion models", CVPR 2022 (sections 3.1 and 3.3,
appendices D.1 and G). The authors add a perceptual distance (LPIPS) to |x - D(z)|; its network is not among those that need no download.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.autoencoders.vae import kl_divergence, reparameterize
from course_utils.diffusion.unet import UNet
from course_utils.gans.losses import hinge_discriminator_loss, hinge_generator_loss
from course_utils.hub import HubModel, config_coders, load_weights, read_diffusers
from course_utils.layers import check_sides, draw_normal
from course_utils.layers.attention import modern_names
from course_utils.layers.latent_autoencoder import LatentDecoder, LatentEncoder
from course_utils.training import Player

NARROW = -6.0  # log-variance with which q(z|x) begins: noise as wide as the latents would hide from the decoder what the encoder says
SCALE_RATE = 0.02  # by which the scale follows that of a batch, while an autoencoder is trained


@dataclass(frozen=True)
class AutoencoderKLConfig:
    """Settings of an `AutoencoderKL`.

    Attributes:
        in_channels: of a picture.
        image_size: height and width in pixels of the pictures that it is made for; it takes others too.
        widths: channels of each level, from full size down; each but the last is halved.
        num_blocks: residual blocks a level; the decoder has one more.
        latent_channels: numbers at each place of the latent grid.
        num_groups: of the group norms; it must divide every width.
        mid_attention: whether all places attend to one another in the middle.
        kl_weight: w.
    """

    in_channels: int = 3
    image_size: int = 32
    widths: tuple[int, ...] = (32, 64)
    num_blocks: int = 1
    latent_channels: int = 4
    num_groups: int = 32
    mid_attention: bool = True
    kl_weight: float = 1e-6


class Posterior(NamedTuple):
    """q(z|x), normal and independent at every place; both (batch, latent_channels, h, w)."""

    mean: Tensor
    log_variance: Tensor  # between -30 and 20

    def draw(self, noise: Tensor) -> Tensor:
        """Latents mean + std * noise, of the shape of the mean; `noise` too, standard normal."""
        return reparameterize(self.mean, self.log_variance, noise)

    def kl(self) -> Tensor:
        """KL( q(z|x) || N(0, I) ), summed over all latents of a picture: (batch,) in nats."""
        return kl_divergence(self.mean.flatten(1), self.log_variance.flatten(1))


class AutoencoderTerms(NamedTuple):
    """The parts of the autoencoder's loss, scalars, and what they were made of."""

    reconstruction: Tensor  # (batch, channels, height, width)
    l1: Tensor  # mean of |x - D(z)| over all values
    kl: Tensor  # nats a value of the picture, mean over the batch
    adversarial: Tensor  # minus the mean logit of D(z); 0 without a discriminator
    spread: Tensor  # standard deviation of the mean latents, by which they will be divided

    def loss(self, kl_weight: float, adversarial_weight: float | Tensor = 0.0) -> Tensor:
        """Their weighted sum, a scalar."""
        return self.l1 + kl_weight * self.kl + adversarial_weight * self.adversarial


class AutoencoderKL(nn.Module, HubModel, coders=config_coders(AutoencoderKLConfig)):
    """Encoder q(z|x) and decoder D. Pictures are float32 (batch, in_channels, height, width) in [-1, 1].

    `scaling_factor` is what the latents are multiplied by before diffusion, so that their standard deviation is 1 (appendix D.1). It is 1 until
    `measure_scale` has looked at some pictures, and is saved with the weights.
    """

    def __init__(self, config: AutoencoderKLConfig):
        super().__init__()
        self.config = config
        latents = config.latent_channels
        sizes = (config.widths, config.num_blocks, config.num_groups, config.mid_attention)
        self.encoder = LatentEncoder(config.in_channels, 2 * latents, *sizes)
        self.quant_conv = nn.Conv2d(2 * latents, 2 * latents, 1)
        nn.init.constant_(self.quant_conv.bias[latents:], NARROW)
        self.post_quant_conv = nn.Conv2d(latents, latents, 1)
        self.decoder = LatentDecoder(latents, config.in_channels, *sizes)
        self.register_buffer("scaling_factor", torch.ones(()))

    def encode(self, images: Tensor) -> Posterior:
        """q(z|x) of pictures; the grid has height and width divided by 2^(levels - 1).

        Raises:
            ValueError: if the pictures have other channels, or cannot be halved so often.
        """
        check_sides(images, self.config.in_channels, 2 ** (len(self.config.widths) - 1))
        mean, log_variance = self.quant_conv(self.encoder(images)).to(images.dtype).chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(-30, 20))

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures from latents (batch, latent_channels, h, w); a little outside of [-1, 1] at times."""
        return self.decoder(self.post_quant_conv(latents)).to(latents.dtype)

    def forward(self, images: Tensor, noise: Tensor) -> Tensor:
        """Reconstructions through drawn latents; `noise` (batch, latent_channels, h, w) is standard normal."""
        return self.decode(self.encode(images).draw(noise))

    def terms(self, images: Tensor, noise: Tensor, discriminator: nn.Module | None = None) -> AutoencoderTerms:
        """The parts of the loss (section 3.1, equation 25). Arguments as for `forward`; `discriminator` gives logits of any shape."""
        posterior = self.encode(images)
        reconstruction = self.decode(posterior.draw(noise))
        adversarial = images.new_zeros(())
        if discriminator is not None:
            adversarial = hinge_generator_loss(discriminator(reconstruction).to(images.dtype))
        return AutoencoderTerms(
            reconstruction,
            F.l1_loss(reconstruction, images),
            posterior.kl().mean() / images[0].numel(),
            adversarial,
            posterior.mean.std(),
        )

    def loss(self, images: Tensor, noise: Tensor) -> Tensor:
        """Reconstruction and KL, a scalar; with a discriminator see `terms`. Arguments as for `forward`."""
        return self.terms(images, noise).loss(self.config.kl_weight)

    @torch.no_grad()
    def measure_scale(self, images: Tensor) -> None:
        """Set `scaling_factor` to one over the standard deviation of the mean latents of `images` (batch, channels, height, width)."""
        self.scaling_factor.copy_(1 / self.encode(images).mean.std())

    @torch.no_grad()
    def follow_scale(self, spread: Tensor) -> None:
        """Move `scaling_factor` a little towards one over `spread`, the standard deviation of a batch's latents: so it fits when a training ends."""
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(spread)
            spread = spread / torch.distributed.get_world_size()
        self.scaling_factor.lerp_(1 / spread, SCALE_RATE)

    @classmethod
    def from_hub(cls, source: str | Path, subfolder: str = "") -> Self:
        """A published model in the layout of diffusers' `AutoencoderKL`, in evaluation mode.

        `AutoencoderKL.from_hub("stabilityai/sd-vae-ft-mse")`, for one.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_diffusers`.
        """
        only = {"act_fn": "silu", "use_quant_conv": True, "use_post_quant_conv": True, "shift_factor": None,
                "latents_mean": None, "latents_std": None}  # fmt: skip
        settings, weights = read_diffusers(source, subfolder, ("AutoencoderKL",), only)
        model = cls(published_config(settings))
        factor = torch.tensor(settings.get("scaling_factor", 0.18215))
        load_weights(model, {**modern_names(weights), "scaling_factor": factor}, source)
        return model.eval()


class LatentDiffusion(nn.Module):
    """A frozen autoencoder and a network that predicts in its latent space. Only the network is trained, and saved.

    Args:
        autoencoder: whose `scaling_factor` is set.
        network: a `UNet` or `DiT`; its in_channels are those of the latents and of what is joined to them.
    """

    def __init__(self, autoencoder: AutoencoderKL, network: nn.Module):
        super().__init__()
        self.autoencoder = autoencoder.requires_grad_(False)
        self.network = network

    @torch.no_grad()
    def encode(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Scaled latents (batch, latent_channels, h, w) of pictures (batch, channels, height, width) in [-1, 1].

        Args:
            noise: standard normal, of the shape of the latents; None takes the mean of q(z|x).
        """
        posterior = self.autoencoder.encode(images)
        latents = posterior.mean if noise is None else posterior.draw(noise)
        return latents * self.autoencoder.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (batch, channels, height, width) in [-1, 1] of scaled latents (batch, latent_channels, h, w)."""
        return self.autoencoder.decode(latents / self.autoencoder.scaling_factor).clamp(-1, 1)

    def forward(
        self,
        latents: Tensor,
        timesteps: Tensor,
        labels: Tensor | None = None,
        context: Tensor | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """The network's prediction (batch, out_channels, h, w) from noisy latents; what follows is given as to the network.

        Args:
            condition: (batch, channels, height, width), for `concatenate`.
        """
        joined = latents if condition is None else concatenate(latents, condition)
        return self.network(joined, timesteps, labels, context)

    def inpainting_condition(self, images: Tensor, mask: Tensor) -> Tensor:
        """What a network for inpainting is given: (batch, 1 + latent_channels, h, w), as published ones are.

        Args:
            images: (batch, channels, height, width) in [-1, 1]; only what lies outside of the mask is looked at.
            mask: (batch, 1, height, width), 1 where the picture is to be made anew, else 0.
        """
        latents = self.encode(images * (mask < 0.5))  # grey, 0, where it is hidden
        return torch.cat([F.interpolate(mask, latents.shape[2:], mode="nearest"), latents], dim=1)

    @classmethod
    def from_hub(cls, source: str | Path) -> Self:
        """Autoencoder and U-Net of a folder or repository in the layout of Stable Diffusion 1.5, `vae/` and `unet/`, in evaluation mode.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_diffusers`.
        """
        return cls(AutoencoderKL.from_hub(source, "vae"), UNet.from_hub(source, "unet")).eval()


def concatenate(latents: Tensor, *conditions: Tensor) -> Tensor:
    """Noisy latents (batch, channels, h, w) with conditions joined as further channels: (batch, all channels, h, w) (section 3.3).

    Args:
        conditions: (batch, channels, height, width) each, brought to h x w by means over areas: one-hot label maps (their shares), a smaller
            picture for super-resolution, the condition of an inpainting.
    """
    resized = [F.interpolate(condition, latents.shape[2:], mode="area") for condition in conditions]
    return torch.cat([latents, *resized], dim=1)


def autoencoder_players(
    model: AutoencoderKL,
    discriminator: nn.Module | None = None,
    images: str = "image",
    *,
    adversarial_weight: float = 0.1,
    adversarial_start: int = 0,
    learning_rate: float = 1e-3,
) -> list[Player]:
    """The alternating step for `training.fit`: one of the discriminator, then one of the autoencoder; without a discriminator only the latter.

    While it trains, the autoencoder's `scaling_factor` follows the spread of its latents.

    Args:
        discriminator: of patches, as `translation.pix2pix.PatchDiscriminator(in_channels)`. It counts its steps in a buffer, `steps`.
        images: the field of a batch that holds the pictures.
        adversarial_start: for so many steps the discriminator learns, but nobody listens to it: at first any reconstruction gives itself away
            by its blur, and the error of the pixels is the better teacher (the authors' code waits, too).
    """
    spreads = []

    def noise_for(batch: dict) -> Tensor:
        size = [side // 2 ** (len(model.config.widths) - 1) for side in batch[images].shape[2:]]
        return draw_normal((len(batch[images]), model.config.latent_channels, *size), device=batch[images].device)

    def discriminator_objective(batch: dict) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            fake = model(batch[images], noise_for(batch))
        return hinge_discriminator_loss(discriminator(batch[images]), discriminator(fake)), {}

    def autoencoder_objective(batch: dict) -> tuple[Tensor, dict[str, Tensor]]:
        terms = model.terms(batch[images], noise_for(batch), discriminator)
        spreads.append(terms.spread.detach())
        logs = {"l1": terms.l1, "kl": terms.kl, "adversarial": terms.adversarial}
        weight = 0.0 if discriminator is None else adversarial_weight * (discriminator.steps > adversarial_start)
        return terms.loss(model.config.kl_weight, weight), logs

    def after_autoencoder_step(_: dict) -> None:
        model.follow_scale(torch.stack(spreads).mean())  # several, if gradients are accumulated
        spreads.clear()

    def after_discriminator_step(_: dict) -> None:
        discriminator.steps += 1

    players = [
        Player("autoencoder", model, autoencoder_objective, learning_rate, after_step=after_autoencoder_step),
    ]
    if discriminator is None:
        return players
    discriminator.register_buffer("steps", torch.zeros((), dtype=torch.int64))
    critic = Player(
        "discriminator", discriminator, discriminator_objective, learning_rate, (0.5, 0.9), after_step=after_discriminator_step
    )  # fmt: skip
    return [critic, *players]


def published_config(settings: dict[str, Any]) -> AutoencoderKLConfig:
    """Our config for the settings of a diffusers `AutoencoderKL`."""
    return AutoencoderKLConfig(
        in_channels=settings.get("in_channels", 3),
        image_size=settings.get("sample_size", 32),
        widths=tuple(settings.get("block_out_channels", (64,))),
        num_blocks=settings.get("layers_per_block", 1),
        latent_channels=settings.get("latent_channels", 4),
        num_groups=settings.get("norm_num_groups", 32),
        mid_attention=settings.get("mid_block_add_attention", True),
    )
