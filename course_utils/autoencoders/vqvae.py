"""VQ-VAE: an autoencoder whose code is a grid of numbers from a list, so that a picture becomes a short text of tokens.

The encoder gives a vector z for each place of a small grid; the quantiser replaces it by the nearest entry e_k of a codebook, and the
decoder sees only that. Taking the nearest has no gradient, so the decoder's gradient is handed straight through to the encoder:

    k = argmin_j ||z - e_j||,      q = z + sg[e_k - z],      loss = -log p(x|q) + ||sg[z] - e_k||^2 + beta ||z - sg[e_k]||^2

(sg: stop-gradient). The middle term pulls codes to the vectors that chose them; with running means (EMA) the code simply *is* the mean of
those vectors, and the term is dropped. The last term commits the encoder to its codes. A prior over the grids is learned afterwards
(`pixelcnn`). The relative of DALL-E, relaxed codes, softens the choice itself: a mixture of codes by Gumbel-softmax, ever harder.

Papers: van den Oord, Vinyals & Kavukcuoglu, "Neural discrete representation learning", NIPS 2017 (appendix A.1: EMA).
Jang, Gu & Poole, ICLR 2017 (Gumbel-softmax). Ramesh et al., ICML 2021 (DALL-E). Esser, Rombach & Ommer, CVPR 2021 (VQGAN's network).
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.hub import HubModel, config_coders, load_weights, read_diffusers
from course_utils.layers import ResidualBlock, check_images, doublings, draw_integers, halvings, norm
from course_utils.layers.attention import modern_names
from course_utils.layers.latent_autoencoder import LatentDecoder, LatentEncoder

NETWORKS = ("strided", "vqgan")
QUANTIZERS = ("ema", "gradient", "gumbel")
ROWS = 8192  # vectors compared with the codebook in one go


@dataclass(frozen=True)
class VQVAEConfig:
    """Settings of a `VQVAE`.

    Attributes:
        network: `strided`, as in the paper (a convolution with stride 2 and a residual block a width, then `num_blocks` more residual
            blocks; group norm where the paper has none), or `vqgan`, the network of the published models.
        in_channels: 3 for colour.
        image_size: height and width in pixels.
        widths: channels after each halving (`strided`), or of each level from full size down (`vqgan`: one halving less).
        num_blocks: residual blocks at the grid (`strided`), or at each level (`vqgan`).
        num_codes: entries of the codebook, K.
        code_dim: numbers in an entry.
        quantizer: `ema` (codes are running means), `gradient` (codes learn by the codebook loss) or `gumbel` (relaxed codes).
        commitment: beta, weight of the commitment loss.
        decay: of the running means.
        restart_below: a code that is chosen less often than this in a batch, on average, is moved to a vector of the batch.
        kl_weight: weight of the KL to the uniform distribution (`gumbel`).
        latent_channels: channels before and after the quantiser (`vqgan`).
        num_groups: of the group norms (`vqgan`).
        mid_attention: whether the places attend to one another in the middle (`vqgan`).
    """

    network: str = "strided"
    in_channels: int = 3
    image_size: int = 32
    widths: tuple[int, ...] = (32, 64)
    num_blocks: int = 1
    num_codes: int = 512
    code_dim: int = 16
    quantizer: str = "ema"
    commitment: float = 0.25
    decay: float = 0.99
    restart_below: float = 0.1
    kl_weight: float = 1e-4
    latent_channels: int = 3
    num_groups: int = 32
    mid_attention: bool = True


class Quantized(NamedTuple):
    """What a quantiser makes of the encoder's features."""

    vectors: Tensor  # (batch, code_dim, h, w): what the decoder sees, with a gradient to the features
    indices: Tensor  # (batch, h, w) int64: which codes
    loss: Tensor  # scalar: what the quantiser adds to the loss


class Terms(NamedTuple):
    """Everything that one pass gives."""

    reconstruction: Tensor  # (batch, channels, height, width)
    squared_error: Tensor  # scalar: mean over all values of the batch
    quantizer_loss: Tensor  # scalar
    features: (
        Tensor  # (batch, code_dim, h, w): the encoder's vectors; logits (batch, num_codes, h, w) for relaxed codes
    )
    indices: Tensor  # (batch, h, w) int64

    @property
    def loss(self) -> Tensor:
        """Squared error plus the quantiser's own loss: a scalar."""
        return self.squared_error + self.quantizer_loss


class VectorQuantizer(nn.Module):
    """The codebook, and the replacement of vectors by their nearest code (section 3.1 of the paper).

    With `decay`, codes are running means: call `update` after each training step. Without it they are parameters, learned by the
    codebook loss, which is then part of the quantiser's loss.
    """

    def __init__(
        self, num_codes: int, code_dim: int, commitment: float = 0.25, decay: float | None = 0.99, restart_below: float = 0.0
    ):  # fmt: skip
        super().__init__()
        self.commitment, self.decay, self.restart_below = commitment, decay, restart_below
        if decay is None:
            self.codebook = nn.Parameter(torch.empty(num_codes, code_dim).uniform_(-1 / num_codes, 1 / num_codes))
        else:
            self.register_buffer("codebook", torch.randn(num_codes, code_dim))
            # how often a code is chosen in a batch, and the sum of the vectors that chose it, both averaged
            self.register_buffer("cluster_size", torch.ones(num_codes))
            self.register_buffer("cluster_sum", self.codebook.clone())

    def forward(self, features: Tensor) -> Quantized:
        """Replace each vector of `features` (batch, code_dim, h, w) by its nearest code. Distances are taken in float32."""
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            indices = nearest_codes(_rows(features), self.codebook.detach())
            indices = indices.view(len(features), *features.shape[2:])
            codes = self.lookup(indices)
            loss = self.commitment * F.mse_loss(features, codes.detach())
            if self.decay is None:
                loss = loss + F.mse_loss(codes, features.detach())
            return Quantized(straight_through(features, codes), indices, loss)

    def lookup(self, indices: Tensor) -> Tensor:
        """The codes (batch, code_dim, h, w) of indices (batch, h, w)."""
        return F.embedding(indices, self.codebook).movedim(3, 1)

    @torch.no_grad()
    def start(self, features: Tensor) -> None:
        """Begin with a codebook of encoded data: random vectors of `features` (batch, code_dim, h, w).

        A random codebook lies elsewhere than the vectors: a few codes win them all, and the others are never chosen.
        """
        vectors = _rows(features)
        self.codebook.copy_(_some_of(vectors, len(self.codebook)))
        if self.decay is not None:
            self.cluster_size.fill_(1.0)
            self.cluster_sum.copy_(self.codebook)

    @torch.no_grad()
    def update(self, features: Tensor, indices: Tensor) -> None:
        """Move each code towards the mean of the vectors that chose it (appendix A.1), and restart those that nothing chooses.

        Counts and sums run over the vectors of all processes, so several do what one would do with the joined batch.

        Args:
            features: the encoder's vectors (batch, code_dim, h, w).
            indices: the codes that they chose, (batch, h, w).
        """
        vectors = _rows(features)
        state = ema_update(self.cluster_size, self.cluster_sum, vectors, indices.flatten(), self.decay)
        for buffer, value in zip((self.codebook, self.cluster_size, self.cluster_sum), state, strict=True):
            buffer.copy_(value)
        if self.restart_below:
            replacements = _some_of(vectors, len(self.codebook))
            unused = (self.cluster_size < self.restart_below)[:, None]
            self.codebook.copy_(torch.where(unused, replacements, self.codebook))
            # as if it had been chosen just often enough: it has some batches to prove itself
            self.cluster_size.clamp_(min=self.restart_below)
            self.cluster_sum.copy_(torch.where(unused, self.restart_below * replacements, self.cluster_sum))


class GumbelQuantizer(nn.Module):
    """Relaxed codes: a softmax over the codebook with Gumbel noise, sharper as the temperature falls (Jang et al.; Ramesh et al.)."""

    def __init__(self, num_codes: int, code_dim: int, kl_weight: float):
        super().__init__()
        self.kl_weight = kl_weight
        self.codebook = nn.Parameter(torch.randn(num_codes, code_dim))
        # how far the training is, which sets the temperature: kept here, so that a resumed training knows it
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, logits: Tensor, noise: Tensor | None = None, temperature: float = 1.0) -> Quantized:
        """A mixture of codes for each place.

        Args:
            logits: of q(code | picture), (batch, num_codes, h, w).
            noise: standard Gumbel of the same shape (`gumbel_noise`). None: the most probable code itself, as after training.
            temperature: of the softmax.
        """
        indices = logits.argmax(dim=1)
        if noise is None:
            vectors = self.lookup(indices)
        else:
            weights = ((logits.float() + noise) / temperature).softmax(dim=1)  # (batch, num_codes, h, w)
            vectors = torch.einsum("bkhw,kd->bdhw", weights, self.codebook)
        return Quantized(vectors, indices, self.kl_weight * kl_to_uniform(logits).mean())

    def lookup(self, indices: Tensor) -> Tensor:
        """The codes (batch, code_dim, h, w) of indices (batch, h, w)."""
        return F.embedding(indices, self.codebook).movedim(3, 1)


class VQVAE(nn.Module, HubModel, coders=config_coders(VQVAEConfig)):
    """Encoder, quantiser, decoder. Pictures are float32 (batch, channels, height, width) in [-1, 1].

    p(x|q) is normal with one variance, so -log p is the squared error up to constants. With relaxed codes, training passes
    `noise` and `temperature` to `forward`, `terms` and `loss`; everything else needs neither.
    """

    def __init__(self, config: VQVAEConfig):
        super().__init__()
        if config.network not in NETWORKS:
            raise ValueError(f"network is {config.network!r}, but must be one of {', '.join(NETWORKS)}")
        if config.quantizer not in QUANTIZERS:
            raise ValueError(f"quantizer is {config.quantizer!r}, but must be one of {', '.join(QUANTIZERS)}")
        self.config = config
        relaxed = config.quantizer == "gumbel"
        out_features = config.num_codes if relaxed else config.code_dim
        deepest = config.widths[-1]
        if config.network == "strided":
            if not config.widths or config.image_size % 2 ** len(config.widths):
                raise ValueError(f"image_size {config.image_size} cannot be halved {len(config.widths)} times")
            blocks = [ResidualBlock(deepest) for _ in range(2 * config.num_blocks)]
            self.encoder = nn.Sequential(
                *halvings(config.in_channels, config.widths), *blocks[: config.num_blocks], norm(deepest), nn.SiLU(),
                nn.Conv2d(deepest, out_features, 1),
            )  # fmt: skip
            self.decoder = nn.Sequential(
                nn.Conv2d(config.code_dim, deepest, 3, padding=1), *blocks[config.num_blocks :],
                *doublings(config.widths, config.in_channels),
            )  # fmt: skip
        else:
            sizes = (config.widths, config.num_blocks, config.num_groups, config.mid_attention)
            self.encoder = nn.Sequential(
                LatentEncoder(config.in_channels, config.latent_channels, *sizes),
                nn.Conv2d(config.latent_channels, out_features, 1),
            )
            self.decoder = nn.Sequential(
                nn.Conv2d(config.code_dim, config.latent_channels, 1),
                LatentDecoder(config.latent_channels, config.in_channels, *sizes),
            )
        if relaxed:
            self.quantizer = GumbelQuantizer(config.num_codes, config.code_dim, config.kl_weight)
        else:
            decay = config.decay if config.quantizer == "ema" else None
            self.quantizer = VectorQuantizer(
                config.num_codes, config.code_dim, config.commitment, decay, config.restart_below
            )

    def encode(self, images: Tensor) -> Tensor:
        """The encoder's vectors (batch, code_dim, h, w) before quantisation; logits (batch, num_codes, h, w) for relaxed codes.

        Raises:
            ValueError: if the pictures have another shape than the config says.
        """
        check_images(images, self.config.in_channels, self.config.image_size)
        return self.encoder(images)

    def quantize(self, features: Tensor, noise: Tensor | None = None, temperature: float = 1.0) -> Quantized:
        """The codes of what `encode` gave; `noise` and `temperature` as in `GumbelQuantizer`."""
        if self.config.quantizer == "gumbel":
            return self.quantizer(features, noise, temperature)
        return self.quantizer(features)

    def indices(self, images: Tensor) -> Tensor:
        """Pictures as grids of tokens: (batch, h, w) int64 in [0, num_codes)."""
        return self.quantize(self.encode(images)).indices

    def decode(self, vectors: Tensor) -> Tensor:
        """The mean of p(x|q), (batch, channels, height, width), from codes (batch, code_dim, h, w); a little outside of [-1, 1] at times."""
        return self.decoder(vectors)

    def decode_indices(self, indices: Tensor) -> Tensor:
        """Pictures (batch, channels, height, width) in [-1, 1] from grids of tokens (batch, h, w)."""
        return self.decode(self.quantizer.lookup(indices)).float().clamp(-1, 1)

    def forward(self, images: Tensor, noise: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """Reconstructions (batch, channels, height, width)."""
        return self.decode(self.quantize(self.encode(images), noise, temperature).vectors)

    def terms(self, images: Tensor, noise: Tensor | None = None, temperature: float = 1.0) -> Terms:
        """One pass with all that the loss, and the update of the codebook, are made of (equation 3)."""
        features = self.encode(images)
        vectors, indices, quantizer_loss = self.quantize(features, noise, temperature)
        reconstruction = self.decode(vectors)
        error = F.mse_loss(reconstruction.float(), images)
        return Terms(reconstruction, error, quantizer_loss, features, indices)

    def loss(self, images: Tensor, noise: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """Squared error and the quantiser's loss, both means over values: a scalar."""
        return self.terms(images, noise, temperature).loss

    @torch.no_grad()
    def start(self, images: Tensor) -> None:
        """Begin with a codebook of encoded `images` (batch, channels, height, width)."""
        self.quantizer.start(self.encode(images))

    def update(self, features: Tensor, indices: Tensor) -> None:
        """Move a codebook of running means after a training step (others learn by gradients); arguments as `terms` gives them."""
        if self.config.quantizer == "ema":
            self.quantizer.update(features, indices)

    @classmethod
    def from_hub(cls, source: str | Path, subfolder: str = "") -> Self:
        """A published model in the layout of diffusers' `VQModel`, from a folder or a hub id, in evaluation mode.

        `VQVAE.from_hub("CompVis/ldm-celebahq-256", "vqvae")`, for one.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_weights`; WeightsError also for a model of another kind.
        """
        settings, weights = read_diffusers(source, subfolder, ("VQModel",), {"norm_type": "group", "act_fn": "silu"})
        weights = modern_names(weights)
        model = cls(_published_config(settings))
        names = {"quantize.embedding.weight": "quantizer.codebook"}
        heads = {
            "encoder.": "encoder.0.",
            "quant_conv.": "encoder.1.",
            "post_quant_conv.": "decoder.0.",
            "decoder.": "decoder.1.",
        }
        for name in weights:
            head = next((head for head in heads if name.startswith(head)), None)
            if head:
                names[name] = heads[head] + name.removeprefix(head)
        load_weights(model, {names.get(name, name): tensor.float() for name, tensor in weights.items()}, source)
        return model.eval()


def nearest_codes(vectors: Tensor, codebook: Tensor) -> Tensor:
    """The index of the nearest code for each vector, (n,) int64.

    ||z - e||^2 = ||z||^2 - 2 z.e + ||e||^2, and ||z||^2 is the same for all codes: so the code with the largest
    z.e - ||e||^2 / 2 is looked for, a matrix product, over some thousand vectors at a time.

    Args:
        vectors: (n, code_dim).
        codebook: (num_codes, code_dim).
    """
    half_norms = 0.5 * codebook.square().sum(dim=1)
    return torch.cat([torch.addmm(-half_norms, rows, codebook.T).argmax(dim=1) for rows in vectors.split(ROWS)])


def straight_through(vectors: Tensor, codes: Tensor) -> Tensor:
    """The value of `codes` with the gradient of `vectors` (section 3.2): both, and the result, of one shape."""
    return vectors + (codes - vectors).detach()


def ema_update(
    cluster_size: Tensor, cluster_sum: Tensor, vectors: Tensor, indices: Tensor, decay: float
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of the running means (appendix A.1):

        N <- decay N + (1 - decay) n,      m <- decay m + (1 - decay) s,      e = m / N

    with n the number of vectors that chose a code and s their sum, over all processes.

    Args:
        cluster_size: N, (num_codes,).
        cluster_sum: m, (num_codes, code_dim).
        vectors: (n, code_dim) of this batch.
        indices: the code that each chose, (n,) int64.

    Returns:
        the new codebook e (num_codes, code_dim), N and m. N is `smoothed` before the division.
    """
    counts = torch.zeros_like(cluster_size).index_add_(0, indices, torch.ones_like(vectors[:, 0]))
    sums = torch.zeros_like(cluster_sum).index_add_(0, indices, vectors)
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(counts)
        torch.distributed.all_reduce(sums)
    cluster_size = decay * cluster_size + (1 - decay) * counts
    cluster_sum = decay * cluster_sum + (1 - decay) * sums
    return cluster_sum / smoothed(cluster_size)[:, None], cluster_size, cluster_sum


def smoothed(cluster_size: Tensor) -> Tensor:
    """Laplace smoothing, so that a code that nothing chooses does not divide by zero: (num_codes,) with the same total.

    N' = (N + eps) / (sum N + K eps) * sum N, with eps = 1e-5.
    """
    total = cluster_size.sum()
    return (cluster_size + 1e-5) / (total + len(cluster_size) * 1e-5) * total


def perplexity(indices: Tensor, num_codes: int) -> Tensor:
    """exp(entropy) of how often each code occurs: a scalar from 1 (a single code) to num_codes (all equally often).

    Args:
        indices: int64 of any shape, in [0, num_codes).
    """
    shares = torch.bincount(indices.flatten(), minlength=num_codes) / indices.numel()
    return torch.special.entr(shares).sum().exp()


def used_codes(indices: Tensor, num_codes: int) -> float:
    """Share of the codes that occur at all in `indices`, in [0, 1]."""
    return (torch.bincount(indices.flatten(), minlength=num_codes) > 0).double().mean().item()


def gumbel_noise(uniform: Tensor) -> Tensor:
    """Standard Gumbel numbers -log(-log u) from u uniform in [0, 1); the argmax of logits plus such noise is a draw from their softmax."""
    tiny = torch.finfo(uniform.dtype).tiny
    return -torch.log(-torch.log(uniform.clamp(min=tiny)))


def gumbel_temperature(step: int, steps: int, last: float = 1 / 16) -> float:
    """The temperature of relaxed codes: from 1 along a half cosine down to `last` at three quarters of the training, then constant.

    DALL-E goes from 1 to 1/16 in its first 150,000 updates (Ramesh et al., appendix A.2).
    """
    progress = min(1.0, step / max(1.0, 0.75 * steps))
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * progress))


def kl_to_uniform(logits: Tensor) -> Tensor:
    """KL( softmax(logits) || uniform ) = log K - entropy: (batch, h, w) in nats, from logits (batch, K, h, w)."""
    log_shares = logits.float().log_softmax(dim=1)
    return (log_shares.exp() * log_shares).sum(dim=1) + math.log(logits.shape[1])


def _rows(features: Tensor) -> Tensor:
    """The vectors of all places, without a gradient, float32: (batch, code_dim, h, w) to (batch * h * w, code_dim)."""
    return features.detach().float().movedim(1, 3).flatten(0, 2)


def _some_of(vectors: Tensor, count: int) -> Tensor:
    """`count` random rows of `vectors` (n, d): (count, d), the same in all processes."""
    rows = vectors[draw_integers(0, len(vectors), (count,), device=vectors.device)]
    if torch.distributed.is_initialized():
        rows = rows.contiguous()
        torch.distributed.broadcast(rows, src=0)
    return rows


def _published_config(settings: dict) -> VQVAEConfig:
    """Our config for the settings of a diffusers `VQModel`."""
    latent_channels = settings.get("latent_channels", 3)
    return VQVAEConfig(
        network="vqgan",
        in_channels=settings.get("in_channels", 3),
        image_size=settings.get("sample_size", 32),
        widths=tuple(settings.get("block_out_channels", (64,))),
        num_blocks=settings.get("layers_per_block", 1),
        num_codes=settings.get("num_vq_embeddings", 256),
        code_dim=settings.get("vq_embed_dim") or latent_channels,
        quantizer="gradient",
        latent_channels=latent_channels,
        num_groups=settings.get("norm_num_groups", 32),
        mid_attention=settings.get("mid_block_add_attention", True),
    )
