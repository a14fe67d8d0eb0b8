"""Variational autoencoder: a generative model with a code, trained by a lower bound on its likelihood.

A picture x is made by drawing a code z from a standard normal prior and decoding it. Which code made a given x is not known, so an encoder
guesses a normal distribution q(z|x) of codes. Both are trained together to raise the evidence lower bound (ELBO),

    log p(x)  >=  E_q(z|x)[ log p(x|z) ]  -  KL( q(z|x) || p(z) ),        z = mean(x) + std(x) * noise,  noise ~ N(0, I)

how well a drawn code explains the picture, minus what the code costs. Drawing as mean + std * noise lets gradients through (reparameterisation).

Papers: Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014; Rezende, Mohamed & Wierstra, ICML 2014.
Sohn, Lee & Yan, NeurIPS 2015 (conditional VAE). Burda, Grosse & Salakhutdinov, ICLR 2016 (importance-weighted bound, active units).
Higgins et al., ICLR 2017 (beta). Rybkin, Daniilidis & Levine, ICML 2021 (learned variance of the Gaussian likelihood).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.hub import HubModel, config_coders
from course_utils.layers import check_images, draw_normal, image_decoder, image_encoder

LIKELIHOODS = ("bernoulli", "gaussian")
LABEL_ENTRIES = ("both", "encoder", "decoder", "neither")
SMALLEST_STD = 1 / 255  # half a step between the 256 levels of a stored picture


@dataclass(frozen=True)
class VAEConfig:
    """Settings of a `VAE`.

    Attributes:
        architecture: `fully_connected` or `convolutional`.
        in_channels: 1 for grey pictures, 3 for colour.
        image_size: height and width in pixels.
        widths: of the hidden layers of the encoder; the decoder goes through them backwards. A convolutional network halves
            the picture once a width. `()` with `fully_connected` has no hidden layer: the linear VAE.
        latent_dim: numbers in the code.
        likelihood: p(x|z) of a pixel, `bernoulli` (ink or paper) or `gaussian` (with one learned variance).
        num_classes: 0, or the number of labels of a conditional VAE.
        beta: weight of the KL in the loss; 1 is the ELBO.
        label_into: `both`, `encoder`, `decoder` or `neither`: the networks that see the label, where there is one.
        upsampling: `resize` or `transposed`, how a convolutional decoder doubles the picture.
    """

    architecture: str = "fully_connected"
    in_channels: int = 1
    image_size: int = 32
    widths: tuple[int, ...] = (512, 256)
    latent_dim: int = 2
    likelihood: str = "bernoulli"
    num_classes: int = 0
    beta: float = 1.0
    label_into: str = "both"
    upsampling: str = "resize"


class ELBO(NamedTuple):
    """The two terms of the bound, each (batch,) in nats."""

    log_likelihood: Tensor  # log p(x | z) at the drawn code
    kl: Tensor  # KL( q(z|x) || p(z) )

    @property
    def bound(self) -> Tensor:
        """The ELBO of each picture, (batch,) in nats: log-likelihood minus KL, whatever the beta of the training."""
        return self.log_likelihood - self.kl

    def loss(self, beta: float = 1.0) -> Tensor:
        """beta * KL - log-likelihood, averaged over the batch: a scalar in nats."""
        return (beta * self.kl - self.log_likelihood).mean()


class VAE(nn.Module, HubModel, coders=config_coders(VAEConfig)):
    """Encoder q(z|x), decoder p(x|z), bound and sampler. Pictures are float32 (batch, channels, height, width) in [-1, 1].

    With `num_classes`, all methods take `labels` (batch,) int64: q(z|x, y) and p(x|z, y) (Sohn et al. 2015). As a one-hot vector the
    label joins the features before the encoder's last layer and the code before the decoder's first.

    The Gaussian likelihood has one variance for all pixels and pictures, and learns it. A fixed variance is a hidden beta: with the
    customary 1, a pixel that goes from -1 to 1 costs 2 nats, the code is too dear, and the ELBO says nothing about the data. The learned one
    ends at the mean squared error of the reconstructions, which makes the bound as large as these allow, and the density a true one.
    """

    def __init__(self, config: VAEConfig):
        super().__init__()
        if config.likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood is {config.likelihood!r}, but must be one of {', '.join(LIKELIHOODS)}")
        if config.label_into not in LABEL_ENTRIES:
            raise ValueError(f"label_into is {config.label_into!r}, but must be one of {', '.join(LABEL_ENTRIES)}")
        self.config = config
        labels_in = config.num_classes * (config.label_into in ("both", "encoder"))
        labels_out = config.num_classes * (config.label_into in ("both", "decoder"))
        self.encoder, num_features = image_encoder(
            config.architecture, config.in_channels, config.image_size, config.widths
        )
        self.posterior = nn.Linear(num_features + labels_in, 2 * config.latent_dim)  # mean and log-variance
        self.decoder = image_decoder(
            config.architecture, config.latent_dim + labels_out, config.in_channels, config.image_size, config.widths,
            config.upsampling,
        )  # fmt: skip
        if config.likelihood == "gaussian":
            self.log_std = nn.Parameter(torch.tensor(math.log(0.2)))  # near where it ends, so few steps are lost on it

    def encode(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), each (batch, latent_dim) (Kingma & Welling, equation 9).

        Raises:
            ValueError: if pictures or labels have another shape than the config says, or labels are missing.
        """
        check_images(images, self.config.in_channels, self.config.image_size)
        features = self._with_label(self.encoder(images), labels, "encoder")
        mean, log_variance = self.posterior(features).to(images.dtype).chunk(2, dim=1)
        return mean, log_variance

    def decode_parameters(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """What p(x|z) is made of, (batch, channels, height, width): logits (Bernoulli) or means (Gaussian).

        Args:
            latents: codes (batch, latent_dim).
        """
        return self.decoder(self._with_label(latents, labels, "decoder"))

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """The mean of p(x|z) as pictures (batch, channels, height, width), in [-1, 1], from codes (batch, latent_dim)."""
        parameters = self.decode_parameters(latents, labels).to(latents.dtype)
        return 2 * torch.sigmoid(parameters) - 1 if self.config.likelihood == "bernoulli" else parameters.clamp(-1, 1)

    def forward(self, images: Tensor, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """Reconstructions (batch, channels, height, width) through a drawn code; `noise` (batch, latent_dim) is standard normal."""
        return self.decode(reparameterize(*self.encode(images, labels), noise), labels)

    def elbo(self, images: Tensor, noise: Tensor, labels: Tensor | None = None) -> ELBO:
        """The terms of the ELBO for each picture, in nats, from one draw of the code (Kingma & Welling, equation 10).

        Args:
            images: (batch, channels, height, width) in [-1, 1].
            noise: (batch, latent_dim), standard normal.
            labels: (batch,) int64 in [0, num_classes), for a conditional VAE.
        """
        mean, log_variance = self.encode(images, labels)
        parameters = self.decode_parameters(reparameterize(mean, log_variance, noise), labels)
        return ELBO(self._log_likelihood(parameters, images), kl_divergence(mean, log_variance))

    def loss(self, images: Tensor, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """-(log-likelihood - beta * KL) averaged over the batch, in nats: a scalar. Arguments as for `elbo`."""
        return self.elbo(images, noise, labels).loss(self.config.beta)

    def importance_weighted_bound(self, images: Tensor, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """log of the mean importance weight p(x, z) / q(z|x) over several codes, (batch,) in nats (Burda et al., equation 8).

        One sample gives an estimate of the ELBO; more samples come closer to log p(x) from below.

        Args:
            noise: (samples, batch, latent_dim), standard normal.
        """
        samples = noise.shape[0]
        mean, log_variance = self.encode(images, labels)
        latents = reparameterize(mean, log_variance, noise)  # (samples, batch, latent_dim)
        log_prior = standard_normal_log_density(latents)
        log_posterior = standard_normal_log_density(noise) - 0.5 * log_variance.sum(dim=1)
        # (samples, batch, latent_dim) -> (samples * batch, latent_dim): one batch for the decoder
        repeated = None if labels is None else labels.repeat(samples)
        parameters = self.decode_parameters(latents.flatten(0, 1), repeated)
        log_likelihood = self._log_likelihood(parameters, images.repeat(samples, 1, 1, 1))
        log_weights = log_likelihood.unflatten(0, (samples, -1)) + log_prior - log_posterior  # (samples, batch)
        return log_weights.logsumexp(dim=0) - math.log(samples)

    @torch.inference_mode()
    def sample(self, num_images: int, generator: torch.Generator | None = None, labels: Tensor | None = None) -> Tensor:
        """New pictures (num_images, channels, height, width) in [-1, 1]: the mean of p(x|z) for z drawn from the prior.

        Args:
            labels: (num_images,) int64, what to draw with a conditional VAE.

        Raises:
            ValueError: if labels are missing, too few, or outside [0, num_classes).
        """
        weight = self.posterior.weight
        latents = draw_normal((num_images, self.config.latent_dim), generator, weight.device, weight.dtype)
        if self.config.num_classes and labels is not None:
            if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < self.config.num_classes:
                raise ValueError(
                    f"labels must lie in [0, {self.config.num_classes}), got {int(labels.min())} to {int(labels.max())}"
                )
            labels = labels.to(weight.device)
        return self.decode(latents, labels)

    def _with_label(self, features: Tensor, labels: Tensor | None, network: str) -> Tensor:
        """`features` (batch, d), with the label appended if this network sees it."""
        if not self.config.num_classes:
            if labels is not None:
                raise ValueError("this VAE takes no labels: its config has num_classes=0")
            return features
        if labels is None or labels.shape != features.shape[:1]:
            raise ValueError(
                f"a VAE with num_classes={self.config.num_classes} needs one label a picture, of shape ({len(features)},); "
                f"got {None if labels is None else tuple(labels.shape)}"
            )
        if self.config.label_into not in ("both", network):
            return features
        return append_label(features, labels, self.config.num_classes)

    def _log_likelihood(self, parameters: Tensor, images: Tensor) -> Tensor:
        """log p(x|z), (batch,) in nats."""
        if self.config.likelihood == "bernoulli":
            return bernoulli_log_likelihood(parameters, images)
        return gaussian_log_likelihood(parameters, images, self.log_std)


def reparameterize(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Codes z = mean + std * noise, a draw from N(mean, std^2) with a gradient (Kingma & Welling, section 2.4).

    Args:
        mean, log_variance: (batch, latent_dim).
        noise: (batch, latent_dim) or (samples, batch, latent_dim), standard normal.
    """
    return mean + torch.exp(0.5 * log_variance) * noise


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL( N(mean, diag(exp(log_variance))) || N(0, I) ), (batch,) in nats (Kingma & Welling, appendix B).

    Args:
        mean, log_variance: (batch, latent_dim); the latent dimensions are summed.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


def bernoulli_log_likelihood(logits: Tensor, images: Tensor) -> Tensor:
    """log p(x|z) where each value is ink with probability sigmoid(logit): (batch,) in nats.

    A probability for pictures of pure ink (1) and paper (-1). A grey value counts as its share of ink: the result is then the
    mean over all black-and-white pictures drawn with these shares, so it stays below zero even for the best decoder.

    Args:
        logits: (batch, channels, height, width).
        images: of equal shape, in [-1, 1].
    """
    shares = (images + 1) / 2
    terms = F.binary_cross_entropy_with_logits(logits.to(images.dtype), shares, reduction="none")
    return -terms.flatten(1).sum(dim=1)  # (batch, channels * height * width) -> (batch,)


def gaussian_log_likelihood(means: Tensor, images: Tensor, log_std: Tensor) -> Tensor:
    """log density of N(means, std^2 I) at the pictures: (batch,) in nats; a density, so it may be above zero.

    Args:
        means, images: (batch, channels, height, width), images in [-1, 1].
        log_std: scalar. Half a grey level is added, variance to variance, since pictures are stored no finer: without
            this floor the density of noiseless pictures has no maximum.
    """
    floor = torch.full_like(log_std, 2 * math.log(SMALLEST_STD))
    log_std = 0.5 * torch.logaddexp(2 * log_std, floor)  # log of the root of std^2 + SMALLEST_STD^2
    standardised = (images - means.to(images.dtype)) * torch.exp(-log_std)
    terms = -0.5 * standardised.square() - log_std - 0.5 * math.log(2 * math.pi)
    return terms.flatten(1).sum(dim=1)  # (batch, channels * height * width) -> (batch,)


def standard_normal_log_density(values: Tensor) -> Tensor:
    """log density of N(0, I) at (..., latent_dim), summed over the last dimension: (...) in nats."""
    return (-0.5 * values.square() - 0.5 * math.log(2 * math.pi)).sum(dim=-1)


def active_units(mean: Tensor, threshold: float = 0.01) -> Tensor:
    """How many latents say something about the picture: an int64 scalar (Burda et al., section 5).

    Args:
        mean: posterior means of many pictures (batch, latent_dim). A latent is active if its variance over them exceeds `threshold`.
    """
    return (mean.var(dim=0) > threshold).sum()


def append_label(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Features (batch, d) with a one-hot label appended: (batch, d + num_classes).

    Args:
        labels: (batch,) int64 in [0, num_classes). Not checked here, where a check would break compilation: a label outside gives zeros.
    """
    one_hot = labels[:, None] == torch.arange(num_classes, device=labels.device)  # (batch, num_classes)
    return torch.cat([features, one_hot.to(features.dtype)], dim=1)
