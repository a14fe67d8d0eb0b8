"""DCGAN: the rules under which a GAN of convolutional networks trains stably, and with labels the conditional GAN.

The generator turns noise into a 4 x 4 map and doubles it until it is a picture; the discriminator halves a picture back to 4 x 4 and from there to
one logit. The rules that the authors found by trying:

    convolutions with strides, no pooling · batch norm in both networks, but not at the picture · no hidden fully connected layer ·
    ReLU in the generator, tanh at its end · leaky ReLU with slope 0.2 in the discriminator · all weights from N(0, 0.02^2)

The config breaks each of them, for the experiments. Arithmetic on the noise then turns out to be arithmetic on what the pictures show.

Papers: Radford, Metz & Chintala, ICLR 2016. Mirza & Osindero, "Conditional generative adversarial nets", 2014.
Miyato & Koyama, "cGANs with projection discriminator", ICLR 2018. White, "Sampling generative networks", 2016 (spherical interpolation).
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from course_utils.autoencoders.vae import append_label
from course_utils.gans.losses import LOSSES
from course_utils.hub import HubModel, WeightsError, config_coders, load_weights, read_weights
from course_utils.layers import check_images, draw_normal

LABEL_ENTRIES = ("both", "generator", "discriminator", "neither")
CONDITIONINGS = ("concatenation", "projection")


@dataclass(frozen=True)
class DCGANConfig:
    """Settings of a `DCGAN`; the defaults are the paper's.

    Attributes:
        in_channels: 1 for grey pictures, 3 for colour.
        image_size: height and width in pixels, a power of two from 8 on.
        latent_dim: numbers of noise that a picture is made of.
        width: channels of the layers next to the picture; they double with each halving of the map.
        num_classes: 0, or the number of labels of a conditional GAN.
        label_into: `both`, `generator`, `discriminator` or `neither`: the networks that see the label, where there is one.
        conditioning: how the discriminator sees it: `concatenation` (Mirza & Osindero) or `projection` (Miyato & Koyama).
        loss: a name of `losses.LOSSES`.
        strides: halve and double with strides; if not, by max pooling and by repeating pixels, around convolutions of stride 1.
        leaky: leaky ReLU in the discriminator; if not, ReLU.
        hidden_width: units of a hidden fully connected layer between each 4 x 4 map and the vector beside it; 0 for none.
        batch_norm: in both networks.
        discriminator_norm: in the discriminator too; without it a logit depends on its own picture alone, as gradient penalties require.
    """

    in_channels: int = 3
    image_size: int = 64
    latent_dim: int = 100
    width: int = 64
    num_classes: int = 0
    label_into: str = "both"
    conditioning: str = "concatenation"
    loss: str = "non_saturating"
    strides: bool = True
    leaky: bool = True
    hidden_width: int = 0
    batch_norm: bool = True
    discriminator_norm: bool = True


class Generator(nn.Module):
    """Noise (batch, latent_dim [+ num_classes]) to pictures (batch, in_channels, image_size, image_size) in [-1, 1].

    `main` has the layout of the DCGAN among the examples of PyTorch, so that its weights fit.
    """

    def __init__(self, config: DCGANConfig):
        super().__init__()
        norm = config.batch_norm
        bias = not norm  # batch norm would take a bias away at once
        widths = _widths(config)
        channels = config.latent_dim + config.num_classes * (config.label_into in ("both", "generator"))
        layers: list[nn.Module] = []
        if config.hidden_width:  # a 1 x 1 convolution of a 1 x 1 map is a fully connected layer
            layers += [nn.Conv2d(channels, config.hidden_width, 1, bias=bias), _norm(config.hidden_width, norm)]
            layers += [nn.ReLU()]
            channels = config.hidden_width
        layers += [nn.ConvTranspose2d(channels, widths[-1], 4, bias=bias), _norm(widths[-1], norm), nn.ReLU()]
        for wide, narrow in pairwise(reversed(widths)):
            layers += [_doubling(wide, narrow, config, bias), _norm(narrow, norm), nn.ReLU()]
        layers += [_doubling(widths[0], config.in_channels, config, bias), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, latents: Tensor) -> Tensor:
        return self.main(latents[:, :, None, None])  # (batch, d) -> (batch, d, 1, 1)


class Discriminator(nn.Module):
    """Pictures (batch, in_channels, image_size, image_size), and labels (batch,) where it sees them, to logits (batch,)."""

    def __init__(self, config: DCGANConfig):
        super().__init__()
        norm = config.batch_norm and config.discriminator_norm
        bias = not norm
        widths = _widths(config)
        self.num_classes = config.num_classes * (config.label_into in ("both", "discriminator"))
        self.projects = self.num_classes > 0 and config.conditioning == "projection"
        channels = config.in_channels + self.num_classes * (not self.projects)

        def activation() -> nn.Module:
            return nn.LeakyReLU(0.2) if config.leaky else nn.ReLU()

        layers = [_halving(channels, widths[0], config, bias), activation()]
        for narrow, wide in pairwise(widths):
            layers += [_halving(narrow, wide, config, bias), _norm(wide, norm), activation()]
        features, size = widths[-1], 4
        if config.hidden_width:  # a 4 x 4 convolution of a 4 x 4 map is a fully connected layer
            layers += [nn.Conv2d(features, config.hidden_width, 4, bias=bias), _norm(config.hidden_width, norm)]
            layers += [activation()]
            features, size = config.hidden_width, 1
        self.main = nn.Sequential(*layers, nn.Conv2d(features, 1, size, bias=bias))
        if self.projects:
            self.embedding = nn.Embedding(self.num_classes, features)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.num_classes and not self.projects:
            one_hot = append_label(images.new_empty(len(images), 0), labels, self.num_classes)  # (batch, num_classes)
            maps = one_hot[:, :, None, None].expand(-1, -1, *images.shape[2:])  # (batch, num_classes, height, width)
            images = torch.cat([images, maps], dim=1)
        features = self.main[:-1](images)  # (batch, features, 4, 4), or (batch, features, 1, 1) with a hidden layer
        logits = self.main[-1](features).flatten()  # (batch, 1, 1, 1) -> (batch,)
        if self.projects:  # f(x, y) = psi(phi(x)) + y' V phi(x), phi summed over places
            logits = logits + (self.embedding(labels) * features.sum(dim=(2, 3))).sum(dim=1)
        return logits


class DCGAN(nn.Module, HubModel, coders=config_coders(DCGANConfig)):
    """Generator and discriminator. Pictures are float32 (batch, in_channels, image_size, image_size) in [-1, 1].

    With `num_classes`, all methods take `labels` (batch,) int64. As a one-hot vector the label joins the noise, and as constant maps the
    picture; or it enters the discriminator by a projection. The noise is normal, where the paper has it uniform: a normal vector looks the
    same in all directions, which interpolation on a sphere relies on.

    In training mode batch norm makes a sample depend on its batch. Real and generated pictures go through the discriminator as two batches.
    """

    def __init__(self, config: DCGANConfig):
        super().__init__()
        for name, known in (("loss", LOSSES), ("label_into", LABEL_ENTRIES), ("conditioning", CONDITIONINGS)):
            if getattr(config, name) not in known:
                raise ValueError(f"{name} is {getattr(config, name)!r}, but must be one of {', '.join(known)}")
        if config.image_size < 8 or config.image_size & (config.image_size - 1):
            raise ValueError(f"image_size must be a power of two from 8 on, not {config.image_size}")
        self.config = config
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)
        self.apply(initialize)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures G(z), (batch, in_channels, image_size, image_size) in [-1, 1], from noise (batch, latent_dim), standard normal.

        Raises:
            ValueError: if labels are missing, too many or too few.
        """
        self._check_labels(len(latents), labels)
        if labels is not None and self.config.label_into in ("both", "generator"):
            latents = append_label(latents, labels, self.config.num_classes)
        return self.generator(latents).to(latents.dtype)

    def discriminate(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (batch,) of pictures (batch, in_channels, image_size, image_size).

        Raises:
            ValueError: if pictures or labels have another shape than the config says, or labels are missing.
        """
        check_images(images, self.config.in_channels, self.config.image_size)
        self._check_labels(len(images), labels)
        return self.discriminator(images, labels).to(images.dtype)

    def discriminator_loss(self, images: Tensor, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """What D minimises, a scalar. No gradient reaches G.

        Args:
            images: real ones (batch, in_channels, image_size, image_size).
            latents: noise (batch, latent_dim).
            labels: (batch,) int64 in [0, num_classes), for a conditional GAN; the generated pictures take those of the real ones.
        """
        fake = self(latents, labels).detach()
        losses = LOSSES[self.config.loss]
        return losses.discriminator(self.discriminate(images, labels), self.discriminate(fake, labels))

    def generator_loss(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """What G minimises, a scalar, for noise (batch, latent_dim). The gradient comes to G through D."""
        return LOSSES[self.config.loss].generator(self.discriminate(self(latents, labels), labels))

    @torch.inference_mode()
    def sample(self, num_images: int, generator: torch.Generator | None = None, labels: Tensor | None = None) -> Tensor:
        """New pictures (num_images, in_channels, image_size, image_size) in [-1, 1].

        Args:
            labels: (num_images,) int64, what to draw with a conditional GAN.

        Raises:
            RuntimeError: in training mode, where batch norm would make each picture depend on the others, and remember them.
            ValueError: if labels are missing, too few, or outside [0, num_classes).
        """
        if self.generator.training:
            raise RuntimeError("this DCGAN is in training mode: call .eval() on it before you draw samples")
        weight = next(self.generator.parameters())
        latents = draw_normal((num_images, self.config.latent_dim), generator, weight.device, weight.dtype)
        if labels is not None:
            if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < max(1, self.config.num_classes):
                raise ValueError(
                    f"labels must lie in [0, {self.config.num_classes}), got {int(labels.min())} to {int(labels.max())}"
                )
            labels = labels.to(weight.device)
        return self(latents, labels)

    @classmethod
    def from_hub(
        cls, source: str | Path, filename: str | None = None, discriminator_filename: str | None = None
    ) -> Self:
        """A DCGAN in evaluation mode with weights in the layout of PyTorch's example, keys `main.0.weight` and so on.

        All sizes are read off the weights. Published files hold one network each; without its file the discriminator is untrained.

        Args:
            source, filename: the generator's, as for `hub.read_weights`.
            discriminator_filename: another file of the same source.

        Raises:
            WeightsError: the file is damaged or of another layout; further errors as for `hub.read_weights`.
        """
        weights = read_weights(source, filename)
        numbers = sorted(int(key.split(".")[1]) for key in weights if re.fullmatch(r"main\.\d+\.weight", key))
        kernels = [weights[f"main.{n}.weight"] for n in numbers if weights[f"main.{n}.weight"].ndim == 4]
        if len(kernels) < 2:
            raise WeightsError(
                f"{source} holds no DCGAN generator: no keys main.0.weight, main.3.weight, ... of kernels"
            )
        config = DCGANConfig(
            in_channels=kernels[-1].shape[1],  # a transposed kernel is (in, out, 4, 4)
            image_size=4 * 2 ** (len(kernels) - 1),
            latent_dim=kernels[0].shape[0],
            width=kernels[-1].shape[0],
        )
        model = cls(config)
        load_weights(model.generator, weights, source)
        if discriminator_filename:
            load_weights(model.discriminator, read_weights(source, discriminator_filename), source)
        return model.eval()

    def _check_labels(self, count: int, labels: Tensor | None) -> None:
        if not self.config.num_classes:
            if labels is not None:
                raise ValueError("this DCGAN takes no labels: its config has num_classes=0")
        elif labels is None or labels.shape != (count,):
            raise ValueError(
                f"a DCGAN with num_classes={self.config.num_classes} needs one label a picture, of shape ({count},); "
                f"got {None if labels is None else tuple(labels.shape)}"
            )


def initialize(module: nn.Module) -> None:
    """Draw the weights of one layer from N(0, 0.02^2), factors of a batch norm from N(1, 0.02^2), and set biases to 0 (section 4).

    For a whole network: `network.apply(initialize)`. Other modules are left alone.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    else:
        return
    if getattr(module, "bias", None) is not None:
        nn.init.zeros_(module.bias)


def spherical_interpolation(start: Tensor, end: Tensor, fractions: Tensor) -> Tensor:
    """Noise on the arc between two noises (White, section 2.1): shape (steps, ..., latent_dim).

        slerp(a, b; t) = sin((1 - t) w) / sin(w) a + sin(t w) / sin(w) b,    w the angle between a and b

    Normal noise in many dimensions lies near a sphere; a straight line would lead through its inside, where no sample was drawn in training.

    Args:
        start, end: (..., latent_dim), not zero.
        fractions: (steps,) in [0, 1]; 0 gives `start`, 1 gives `end`.
    """
    cosine = nn.functional.cosine_similarity(start, end, dim=-1).clamp(-1, 1)[..., None]  # (..., 1)
    # where noises are parallel the arc is the line; between opposite ones there are many arcs, and this takes none
    straight = cosine.abs() > 1 - 1e-6
    angle = torch.acos(torch.where(straight, 0.0, cosine))
    t = fractions.view(-1, *[1] * start.ndim)  # (steps,) -> (steps, 1, ..., 1)
    first = torch.where(straight, 1 - t, ((1 - t) * angle).sin() / angle.sin())
    second = torch.where(straight, t, (t * angle).sin() / angle.sin())
    return first * start + second * end


def latent_arithmetic(having: Tensor, lacking: Tensor, onto: Tensor) -> Tensor:
    """mean(having) - mean(lacking) + mean(onto), a noise (latent_dim,) (section 6.3.2).

    "Smiling woman - neutral woman + neutral man": what is left of the difference is the smile. Single exemplars give an unstable result,
    the means of three a consistent one, says the paper.

    Args:
        having, lacking, onto: noises (exemplars, latent_dim) whose pictures show, do not show, and shall show an attribute.
    """
    return having.mean(dim=0) - lacking.mean(dim=0) + onto.mean(dim=0)


def _widths(config: DCGANConfig) -> list[int]:
    """Channels of the maps, from the one of half the picture's size to that of 4 x 4."""
    halvings = config.image_size.bit_length() - 3  # 64 pixels -> 4
    return [config.width * 2**halving for halving in range(halvings)]


def _norm(channels: int, batch_norm: bool) -> nn.Module:
    return nn.BatchNorm2d(channels) if batch_norm else nn.Identity()


def _halving(channels: int, out_channels: int, config: DCGANConfig, bias: bool) -> nn.Module:
    """(batch, channels, h, w) to (batch, out_channels, h / 2, w / 2)."""
    if config.strides:
        return nn.Conv2d(channels, out_channels, 4, stride=2, padding=1, bias=bias)
    return nn.Sequential(nn.Conv2d(channels, out_channels, 3, padding=1, bias=bias), nn.MaxPool2d(2))


def _doubling(channels: int, out_channels: int, config: DCGANConfig, bias: bool) -> nn.Module:
    """(batch, channels, h, w) to (batch, out_channels, 2 h, 2 w)."""
    if config.strides:
        return nn.ConvTranspose2d(channels, out_channels, 4, stride=2, padding=1, bias=bias)
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(channels, out_channels, 3, padding=1, bias=bias))
