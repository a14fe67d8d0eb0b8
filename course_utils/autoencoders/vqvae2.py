"""VQ-VAE-2: two grids of codes, a coarse one for what is where and a fine one for how it looks, and a prior over both.

The picture is encoded twice: down to a bottom grid, and from there on to a top grid of half its size. The top is quantised first; its
codes, decoded, join the bottom features before these are quantised too, so the bottom needs to say only what the top does not. The
decoder sees both. Two autoregressive priors then draw new grids, the coarse one first:

    p(top, bottom | y) = p(top | y) p(bottom | top, y),        y: the class

The top prior is small and attends to everything drawn so far; the bottom prior is larger, and conditioned on the top at every place.
Samples can be weeded out by a classifier that must recognise y in them (classifier-based rejection): fewer, but better ones.

Paper: Razavi, van den Oord & Vinyals, "Generating diverse high-fidelity images with VQ-VAE-2", NeurIPS 2019 (algorithms 1 and 2, section 3.4).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.autoencoders.pixelcnn import PixelCNN, PixelCNNConfig
from course_utils.autoencoders.vqvae import Quantized, VectorQuantizer
from course_utils.hub import HubModel, config_coders
from course_utils.layers import ResidualBlock, ResizeConvolution, check_images, doublings, halvings, norm


@dataclass(frozen=True)
class VQVAE2Config:
    """Settings of a `VQVAE2`.

    Attributes:
        in_channels: 3 for colour.
        image_size: height and width in pixels.
        widths: channels after each halving down to the bottom grid; the top grid comes one halving later, with the last width.
        num_blocks: further residual blocks at each grid.
        num_codes: entries of each codebook.
        code_dim: numbers in an entry.
        commitment, decay, restart_below: as in `VQVAEConfig`.
    """

    in_channels: int = 3
    image_size: int = 64
    widths: tuple[int, ...] = (32, 64)
    num_blocks: int = 1
    num_codes: int = 512
    code_dim: int = 16
    commitment: float = 0.25
    decay: float = 0.99
    restart_below: float = 0.1


class Grids(NamedTuple):
    """One tensor for each of the two grids: indices (batch, h, w), or features (batch, code_dim, h, w)."""

    top: Tensor
    bottom: Tensor


class HierarchicalTerms(NamedTuple):
    """Everything that one pass gives, as `vqvae.Terms`."""

    reconstruction: Tensor
    squared_error: Tensor
    quantizer_loss: Tensor
    features: Grids
    indices: Grids

    @property
    def loss(self) -> Tensor:
        """Squared error plus the commitment losses of both grids: a scalar."""
        return self.squared_error + self.quantizer_loss


class VQVAE2(nn.Module, HubModel, coders=config_coders(VQVAE2Config)):
    """Two encoders, two codebooks of running means, one decoder. Pictures are float32 (batch, channels, height, width) in [-1, 1]."""

    def __init__(self, config: VQVAE2Config):
        super().__init__()
        if not config.widths or config.image_size % 2 ** (len(config.widths) + 1):
            raise ValueError(f"image_size {config.image_size} cannot be halved {len(config.widths) + 1} times")
        self.config = config
        width, code_dim = config.widths[-1], config.code_dim

        def blocks() -> list[nn.Module]:
            return [ResidualBlock(width) for _ in range(config.num_blocks)]

        def quantizer() -> VectorQuantizer:
            return VectorQuantizer(config.num_codes, code_dim, config.commitment, config.decay, config.restart_below)

        self.encode_bottom = nn.Sequential(
            *halvings(config.in_channels, config.widths), *blocks(), norm(width), nn.SiLU()
        )
        self.encode_top = nn.Sequential(
            *halvings(width, (width,)), *blocks(), norm(width), nn.SiLU(), nn.Conv2d(width, code_dim, 1)
        )
        self.quantizer_top = quantizer()
        self.decode_top = nn.Sequential(
            nn.Conv2d(code_dim, width, 3, padding=1), *blocks(), *doublings((width,), width)
        )  # fmt: skip
        self.to_bottom = nn.Conv2d(2 * width, code_dim, 1)
        self.quantizer_bottom = quantizer()
        self.enlarge_top = ResizeConvolution(code_dim, code_dim)
        self.decoder = nn.Sequential(
            nn.Conv2d(2 * code_dim, width, 3, padding=1), *blocks(), *doublings(config.widths, config.in_channels)
        )

    def encode(self, images: Tensor) -> tuple[Quantized, Quantized, Grids]:
        """Both grids quantised, top and bottom, and the features that they were made of (algorithm 1).

        Raises:
            ValueError: if the pictures have another shape than the config says.
        """
        check_images(images, self.config.in_channels, self.config.image_size)
        fine = self.encode_bottom(images)
        top_features = self.encode_top(fine)
        top = self.quantizer_top(top_features)
        bottom_features = self.to_bottom(torch.cat([fine, self.decode_top(top.vectors)], dim=1))
        return top, self.quantizer_bottom(bottom_features), Grids(top_features, bottom_features)

    def terms(self, images: Tensor) -> HierarchicalTerms:
        """One pass with all that the loss, and the updates of the codebooks, are made of."""
        top, bottom, features = self.encode(images)
        reconstruction = self.decode(Grids(top.vectors, bottom.vectors))
        error = F.mse_loss(reconstruction.float(), images)
        indices = Grids(top.indices, bottom.indices)
        return HierarchicalTerms(reconstruction, error, top.loss + bottom.loss, features, indices)

    def indices(self, images: Tensor) -> Grids:
        """Pictures as two grids of tokens, `top` (batch, h, w) and `bottom` (batch, 2h, 2w), int64 in [0, num_codes)."""
        top, bottom, _ = self.encode(images)
        return Grids(top.indices, bottom.indices)

    def decode(self, codes: Grids) -> Tensor:
        """The mean of p(x | codes), (batch, channels, height, width); a little outside of [-1, 1] at times."""
        return self.decoder(torch.cat([self.enlarge_top(codes.top), codes.bottom], dim=1))

    def decode_indices(self, indices: Grids) -> Tensor:
        """Pictures (batch, channels, height, width) in [-1, 1] from the two grids of tokens."""
        codes = Grids(self.quantizer_top.lookup(indices.top), self.quantizer_bottom.lookup(indices.bottom))
        return self.decode(codes).float().clamp(-1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions (batch, channels, height, width)."""
        return self.terms(images).reconstruction

    def loss(self, images: Tensor) -> Tensor:
        """Squared error and both commitment losses, means over values: a scalar (equation 2)."""
        return self.terms(images).loss

    @torch.no_grad()
    def start(self, images: Tensor) -> None:
        """Begin with codebooks of encoded `images` (batch, channels, height, width)."""
        self.quantizer_top.start(self.encode(images)[2].top)
        self.quantizer_bottom.start(self.encode(images)[2].bottom)  # which depend on the top codes

    def update(self, features: Grids, indices: Grids) -> None:
        """Move both codebooks after a training step; arguments as `terms` gives them."""
        self.quantizer_top.update(features.top, indices.top)
        self.quantizer_bottom.update(features.bottom, indices.bottom)


@dataclass(frozen=True)
class HierarchicalPriorConfig:
    """Settings of a `HierarchicalPrior`.

    Attributes:
        num_codes: values of a place in both grids.
        top_size: height and width of the top grid; the bottom grid has twice as many.
        num_classes: 0, or the number of labels.
        top_hidden, top_layers: of the top PixelCNN, which attends every second layer.
        bottom_hidden, bottom_layers: of the bottom PixelCNN.
        kernel_size: of both.
    """

    num_codes: int = 512
    top_size: int = 8
    num_classes: int = 0
    top_hidden: int = 64
    top_layers: int = 8
    bottom_hidden: int = 64
    bottom_layers: int = 6
    kernel_size: int = 3


class HierarchicalPrior(nn.Module, HubModel, coders=config_coders(HierarchicalPriorConfig)):
    """p(top | y) and p(bottom | top, y): two PixelCNNs over the grids of a trained `VQVAE2` (section 3.2).

    With `num_classes` all methods take `labels` (batch,) int64.
    """

    def __init__(self, config: HierarchicalPriorConfig):
        super().__init__()
        self.config = config
        shared = {"num_values": config.num_codes, "kernel_size": config.kernel_size, "num_classes": config.num_classes}
        top, bottom, hidden = config.top_size, 2 * config.top_size, config.bottom_hidden
        self.top = PixelCNN(PixelCNNConfig(
            height=top, width=top, hidden=config.top_hidden, num_layers=config.top_layers, attention_every=2, **shared
        ))  # fmt: skip
        self.condition = nn.Sequential(
            ResidualBlock(hidden), ResidualBlock(hidden), norm(hidden), nn.SiLU(), ResizeConvolution(hidden, hidden)
        )
        self.embedding = nn.Embedding(config.num_codes, hidden)
        self.bottom = PixelCNN(PixelCNNConfig(
            height=bottom, width=bottom, hidden=hidden, num_layers=config.bottom_layers, condition_channels=hidden, **shared
        ))  # fmt: skip

    def seen_from_bottom(self, top: Tensor) -> Tensor:
        """What the bottom prior is conditioned on, (batch, bottom_hidden, 2h, 2w), from top tokens (batch, h, w)."""
        return self.condition(self.embedding(top).movedim(3, 1))

    def forward(self, top: Tensor, bottom: Tensor, labels: Tensor | None = None) -> Grids:
        """Logits of both grids, (batch, num_codes, h, w) and (batch, num_codes, 2h, 2w)."""
        return Grids(self.top(top, labels), self.bottom(bottom, labels, self.seen_from_bottom(top)))

    def log_likelihoods(self, top: Tensor, bottom: Tensor, labels: Tensor | None = None) -> Grids:
        """log p(top | y) and log p(bottom | top, y), each (batch,) in nats."""
        return Grids(
            self.top.log_likelihood(top, labels), self.bottom.log_likelihood(bottom, labels, self.seen_from_bottom(top))
        )

    def loss(self, top: Tensor, bottom: Tensor, labels: Tensor | None = None) -> Tensor:
        """Minus the log-likelihood of each grid in nats a value, added up: a scalar. Each prior learns as if it were alone."""
        return self.loss_of(self.log_likelihoods(top, bottom, labels))

    def loss_of(self, nats: Grids) -> Tensor:
        """The loss, from what `log_likelihoods` gave."""
        return -nats.top.mean() / self.config.top_size**2 - nats.bottom.mean() / (2 * self.config.top_size) ** 2

    @torch.inference_mode()
    def sample(
        self,
        num_samples: int,
        generator: torch.Generator | None = None,
        labels: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Grids:
        """Draw both grids, the top one first (algorithm 2). Arguments as in `PixelCNN.sample`."""
        top = self.top.sample(num_samples, generator, labels, temperature=temperature)
        bottom = self.bottom.sample(num_samples, generator, labels, self.seen_from_bottom(top), temperature)
        return Grids(top, bottom)


def accepted(scores: Tensor, keep: float) -> Tensor:
    """Classifier-based rejection (section 3.4): which samples to keep, indices (kept,) int64 with the best first.

    Args:
        scores: (samples,), the classifier's probability of the class that was asked for.
        keep: share of the samples to keep, in (0, 1]; at least one is kept.

    Raises:
        ValueError: if there are no samples, or `keep` is outside (0, 1].
    """
    if scores.ndim != 1 or not len(scores) or not 0 < keep <= 1:
        raise ValueError(f"expected scores (samples,) and a share in (0, 1], got {tuple(scores.shape)} and {keep}")
    return scores.argsort(descending=True, stable=True)[: max(1, round(keep * len(scores)))]
