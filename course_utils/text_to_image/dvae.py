"""The discrete autoencoder of DALL-E: 256 x 256 pixels to 32 x 32 codes of 8,192, and back.

The encoder gives logits of all codes at each place. After training the likeliest is taken; in training a softmax with Gumbel noise stands in for
the choice, as in `autoencoders.vqvae`, and the decoder sees the mixture. Residual blocks add 1/64 of what they compute. Pixels are bounded, so their
likelihood is a Laplace density of their logits, for which they are first squeezed away from 0 and 1:

    f(x | mu, b) = exp(-|logit(x) - mu| / b) / (2 b x (1 - x)),        loss = -log f + beta KL(q(code | picture) || uniform)

What is published are its weights, not the transformer's.

Paper: Ramesh et al., "Zero-shot text-to-image generation", ICML 2021, section 2.1, appendix A (equations 2 and 3), and the authors' package `DALL-E`.
"""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.autoencoders.vqvae import kl_to_uniform
from course_utils.hub import HubModel, WeightsError, config_coders, load_weights, read_weights, renamed

EPSILON = 0.1  # how far pixels stay away from 0 and 1
GROUPS = 4


@dataclass(frozen=True)
class DiscreteVAEConfig:
    """Settings of a `DiscreteVAE`; the defaults are those of the published one.

    Attributes:
        in_channels: 3 for colour.
        num_codes: entries of the codebook.
        width: channels of the first of the encoder's four groups, and the last of the decoder's; a multiple of 4.
        code_dim: numbers in an entry of the codebook.
        num_blocks: residual blocks of a group.
        kl_weight: beta.
    """

    in_channels: int = 3
    num_codes: int = 8192
    width: int = 256
    code_dim: int = 128
    num_blocks: int = 2
    kl_weight: float = 6.6

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the four groups of the encoder."""
        return tuple(self.width * factor for factor in (1, 2, 4, 8))


class Block(nn.Module):
    """x + F(x) / layers^2: (batch, in_width, h, w) to (batch, out_width, h, w).

    Args:
        kernels: of the four convolutions of F.
        num_layers: blocks in the whole network.
    """

    def __init__(self, in_width: int, out_width: int, kernels: tuple[int, ...], num_layers: int):
        super().__init__()
        self.gain = 1 / num_layers**2
        hidden = out_width // 4
        widths = (in_width, hidden, hidden, hidden, out_width)
        layers: list[tuple[str, nn.Module]] = []
        for number, kernel in enumerate(kernels, 1):
            layers.append((f"relu_{number}", nn.ReLU()))
            layers.append((f"conv_{number}", _convolution(widths[number - 1], widths[number], kernel)))
        self.res_path = nn.Sequential(OrderedDict(layers))
        self.id_path = nn.Identity() if in_width == out_width else _convolution(in_width, out_width, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.id_path(features) + self.gain * self.res_path(features)


def _convolution(in_width: int, out_width: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(in_width, out_width, kernel, padding=kernel // 2)


def _groups(widths: tuple[int, ...], num_blocks: int, kernels: tuple[int, ...], between: nn.Module) -> nn.Sequential:
    """Four groups of blocks from widths[0] on to widths[1], ..., widths[4], with `between` after each but the last."""
    groups = []
    for number in range(1, GROUPS + 1):
        sizes = (widths[number - 1], *[widths[number]] * num_blocks)
        layers: list[tuple[str, nn.Module]] = [
            (f"block_{place + 1}", Block(sizes[place], sizes[place + 1], kernels, GROUPS * num_blocks))
            for place in range(num_blocks)
        ]
        if number < GROUPS:
            layers.append(("resize", between))
        groups.append((f"group_{number}", nn.Sequential(OrderedDict(layers))))
    return nn.Sequential(OrderedDict(groups))


class DiscreteEncoder(nn.Module):
    """Mapped pixels (batch, channels, height, width) in [0.1, 0.9] to logits of the codes (batch, num_codes, height / 8, width / 8)."""

    def __init__(self, config: DiscreteVAEConfig):
        super().__init__()
        self.input = _convolution(config.in_channels, config.width, 7)
        self.groups = _groups((config.width, *config.widths), config.num_blocks, (3, 3, 3, 1), nn.MaxPool2d(2))
        self.output = _convolution(config.widths[-1], config.num_codes, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.output(F.relu(self.groups(self.input(pixels))))

    @classmethod
    def from_hub(cls, source: str | Path) -> Self:
        """A published encoder, in evaluation mode: `DiscreteEncoder.from_hub("facebook/flava-image-codebook")`. As for `DiscreteVAE.from_hub`."""
        weights = _own_names(source)
        encoder = cls(_config(weights))
        load_weights(encoder, weights, source)
        return encoder.eval()


class DiscreteDecoder(nn.Module):
    """Codes, or mixtures of them, (batch, num_codes, h, w) to the mean of the pixels' logits and ln b, (batch, 2 * channels, 8 h, 8 w)."""

    def __init__(self, config: DiscreteVAEConfig):
        super().__init__()
        self.input = _convolution(config.num_codes, config.code_dim, 1)
        widths = (config.code_dim, *reversed(config.widths))
        self.groups = _groups(widths, config.num_blocks, (1, 3, 3, 3), nn.Upsample(scale_factor=2, mode="nearest"))
        self.output = _convolution(config.width, 2 * config.in_channels, 1)

    def forward(self, weights: Tensor) -> Tensor:
        return self.output(F.relu(self.groups(self.input(weights))))


class DiscreteVAE(nn.Module, HubModel, coders=config_coders(DiscreteVAEConfig)):
    """Encoder and decoder. Pictures are float32 (batch, channels, height, width) in [-1, 1], with sides that are multiples of 8."""

    def __init__(self, config: DiscreteVAEConfig):
        super().__init__()
        self.config = config
        self.encoder = DiscreteEncoder(config)
        self.decoder = DiscreteDecoder(config)

    def encode(self, images: Tensor) -> Tensor:
        """Logits of q(code | picture), (batch, num_codes, height / 8, width / 8).

        Raises:
            ValueError: if the pictures have another number of channels, or sides that are no multiples of 8.
        """
        if images.ndim != 4 or images.shape[1] != self.config.in_channels or images.shape[2] % 8 or images.shape[3] % 8:
            raise ValueError(
                f"expected pictures (batch, {self.config.in_channels}, height, width) with sides that are multiples of 8, "
                f"got {tuple(images.shape)}"
            )
        return self.encoder(map_pixels(images))

    def indices(self, images: Tensor) -> Tensor:
        """Pictures as grids of codes: (batch, height / 8, width / 8) int64 in [0, num_codes). Errors as for `encode`."""
        return self.encode(images).argmax(dim=1)

    def decode(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and ln b of the pixels' logits, each (batch, channels, height, width) float32, of mixtures (batch, num_codes, h, w)."""
        mean, log_b = self.decoder(weights).float().chunk(2, dim=1)
        return mean, log_b

    def decode_indices(self, indices: Tensor) -> Tensor:
        """Pictures (batch, channels, height, width) in [-1, 1] from grids of codes (batch, h, w)."""
        codes = F.one_hot(indices, self.config.num_codes).movedim(3, 1).to(self.decoder.input.weight.dtype)
        return unmap_pixels(self.decode(codes)[0].sigmoid())

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions (batch, channels, height, width) in [-1, 1] from the likeliest codes. Errors as for `encode`."""
        return self.decode_indices(self.indices(images))

    def loss(self, images: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """-log p(picture | codes) + beta KL, over the number of values of a picture: a scalar (appendix A.2). Errors as for `encode`.

        Args:
            noise: standard Gumbel numbers (batch, num_codes, height / 8, width / 8), see `autoencoders.vqvae.gumbel_noise`.
            temperature: of the softmax that mixes codes.
        """
        logits = self.encode(images).float()
        mean, log_b = self.decode(((logits + noise) / temperature).softmax(dim=1))
        reconstruction = logit_laplace(map_pixels(images), mean, log_b)
        return (self.config.kl_weight * kl_to_uniform(logits).sum() - reconstruction.sum()) / images.numel()

    @classmethod
    def from_hub(cls, encoder: str | Path, decoder: str | Path) -> Self:
        """The published autoencoder from a file, folder or hub id each, in evaluation mode; sizes are read off the weights.

        Names are those of the authors' package (`blocks.group_1.block_1.res_path.conv_1.w`) or of transformers' `FlavaImageCodebook`. The authors'
        `encoder.pkl` and `decoder.pkl` hold Python objects, which can run code when opened, and are refused: store the `state_dict()` of each.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_weights`; WeightsError also for another network.
        """
        parts = [_own_names(source) for source in (encoder, decoder)]
        model = cls(_config(*parts))
        for module, weights, source in zip((model.encoder, model.decoder), parts, (encoder, decoder), strict=True):
            load_weights(module, weights, source)
        return model.eval()


def map_pixels(images: Tensor) -> Tensor:
    """Pictures in [-1, 1] as pixels in [0.1, 0.9]: (1 - 2 epsilon) x + epsilon of x in [0, 1] (equation 3)."""
    return (1 - 2 * EPSILON) * (images + 1) / 2 + EPSILON


def unmap_pixels(pixels: Tensor) -> Tensor:
    """The inverse of `map_pixels`; what lies outside of [0.1, 0.9] becomes -1 or 1."""
    return (2 * (pixels - EPSILON) / (1 - 2 * EPSILON) - 1).clamp(-1, 1)


def logit_laplace(pixels: Tensor, mean: Tensor, log_b: Tensor) -> Tensor:
    """log f(x | mu, b) (equation 2), in nats for each value; all of one shape, pixels in (0, 1), mean of their logits, ln b."""
    apart = (pixels.logit() - mean).abs() * (-log_b).exp()
    return -apart - log_b - (2 * pixels * (1 - pixels)).log()


RENAMED = (
    (r"^blocks\.", ""),
    (r"\.w$", ".weight"),
    (r"\.b$", ".bias"),
    (r"^(group_\d)\.group", r"\1"),
    (r"^group_", "groups.group_"),
    (r"\.res_path\.path", ".res_path"),
    (r"^output\.conv", "output"),
)


def _own_names(source: str | Path) -> dict[str, Tensor]:
    """The weights of a part under our names."""
    try:
        weights = read_weights(source)
    except FileNotFoundError:  # an older repository
        weights = read_weights(source, "pytorch_model.bin")
    named = {name: tensor.float() for name, tensor in renamed(weights, RENAMED).items()}
    for name in ("input.weight", "output.weight"):
        if name not in named or named[name].ndim != 4:
            raise WeightsError(f"{source} is no part of DALL-E's discrete autoencoder: it has no kernel blocks.{name}")
    return named


def _config(encoder: dict[str, Tensor], decoder: dict[str, Tensor] | None = None) -> DiscreteVAEConfig:
    """The settings that weights under our names follow from."""
    num_blocks = len({name.split(".")[2] for name in encoder if name.startswith("groups.group_1.")})
    return DiscreteVAEConfig(
        in_channels=encoder["input.weight"].shape[1],
        num_codes=encoder["output.weight"].shape[0],
        width=encoder["input.weight"].shape[0],
        code_dim=DiscreteVAEConfig.code_dim if decoder is None else decoder["input.weight"].shape[0],
        num_blocks=num_blocks,
    )
