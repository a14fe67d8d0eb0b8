"""DiT: a transformer in the place of the U-Net.

The noisy picture (or its latents) is cut into patches, each of which becomes a token. Blocks of self-attention and feed-forward layers follow, and
each token at last becomes a patch of the prediction. Time and class c enter only by the norms: a linear layer turns their embedding into six numbers
a channel, a shift, a scale and a gate for each half of a block (adaLN-zero),

    x <- x + gate(c) * F( (1 + scale(c)) * norm(x) + shift(c) ),        F: self-attention, then a feed-forward layer

The layer starts at zero, so every gate is closed, every block is the identity, and depth does no harm at the start.

Papers: Peebles & Xie, "Scalable diffusion models with transformers", ICCV 2023, section 3.2. Cross-attention to a context between the two halves,
as text-conditioned successors have it: Chen et al., "PixArt-alpha", ICLR 2024, section 2.3.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.diffusion.unet import check_conditions
from course_utils.hub import HubModel, WeightsError, config_coders, load_weights, read_diffusers
from course_utils.layers import check_images
from course_utils.layers.attention import Attention, FeedForward
from course_utils.layers.embeddings import ClassEmbedding, TimestepEmbedding, grid_embedding

TIME_DIM = 256  # waves of the time
EPS = 1e-6  # of the layer norms
CONVENTIONS = {
    "paper": {"shift": 0, "second_eps": EPS},
    "diffusers": {"shift": 1, "second_eps": 1e-5},
}


@dataclass(frozen=True)
class DiTConfig:
    """Settings of a `DiT`; the paper's DiT-XL/2 has width 1152, depth 28, 16 heads, patches of 2 and 1000 classes.

    Attributes:
        in_channels: of the noisy picture, and of what is joined to it.
        out_channels: of the prediction.
        image_size: height and width in pixels (or latents).
        patch_size: height and width of a patch.
        width: of a token.
        depth: number of blocks.
        num_heads: of every attention.
        num_classes: 0, or the number of labels.
        context_width: 0, or the width of the tokens that cross-attention looks at.
        convention: `paper`, or `diffusers`, whose port differs in the frequencies of the time (`shift` of `sinusoidal_embedding`) and in the
            eps of each block's second norm.
    """

    in_channels: int = 4
    out_channels: int = 4
    image_size: int = 32
    patch_size: int = 2
    width: int = 384
    depth: int = 12
    num_heads: int = 6
    num_classes: int = 0
    context_width: int = 0
    convention: str = "paper"


class DiTBlock(nn.Module):
    """Tokens (batch, n, width), told time and class as (batch, width) (figure 3, "DiT block with adaLN-zero"); the shape stays."""

    def __init__(self, width: int, num_heads: int, context_width: int = 0, second_eps: float = EPS):
        super().__init__()
        self.modulation = nn.Linear(width, 6 * width)
        self.norm1 = nn.LayerNorm(width, EPS, elementwise_affine=False)
        self.attn1 = Attention(width, num_heads)
        self.attn2 = Attention(width, num_heads, context_width) if context_width else None
        self.norm2 = nn.LayerNorm(width, second_eps, elementwise_affine=False)
        self.ff = FeedForward(width, gated=False)

    def forward(self, tokens: Tensor, condition: Tensor, context: Tensor | None = None) -> Tensor:
        # (batch, width) -> (batch, 6 * width) -> six of (batch, 1, width)
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(F.silu(condition))[:, None].chunk(6, dim=2)
        tokens = tokens + gate1 * self.attn1(modulate(self.norm1(tokens), shift1, scale1))
        if self.attn2 is not None:
            tokens = tokens + self.attn2(tokens, context)
        return tokens + gate2 * self.ff(modulate(self.norm2(tokens), shift2, scale2))


class DiT(nn.Module, HubModel, coders=config_coders(DiTConfig)):
    """A prediction (batch, out_channels, image_size, image_size) from a noisy picture (batch, in_channels, image_size, image_size) and times.

    With `out_channels` twice those of the picture, the second half is for learned variances, as in the paper.
    """

    def __init__(self, config: DiTConfig):
        super().__init__()
        if config.convention not in CONVENTIONS:
            raise ValueError(f"convention is {config.convention!r}, but must be one of {', '.join(CONVENTIONS)}")
        if config.image_size % config.patch_size:
            raise ValueError(f"patches of {config.patch_size} do not divide an image_size of {config.image_size}")
        self.config = config
        width, patch = config.width, config.patch_size
        shift, second_eps = CONVENTIONS[config.convention].values()
        side = config.image_size // patch
        self.patches = nn.Conv2d(config.in_channels, width, patch, stride=patch)
        self.register_buffer("places", grid_embedding(side, side, width), persistent=False)
        self.time_embedding = TimestepEmbedding(TIME_DIM, width, shift)
        self.class_embedding = ClassEmbedding(config.num_classes, width) if config.num_classes else None
        self.blocks = nn.ModuleList(
            DiTBlock(width, config.num_heads, config.context_width, second_eps) for _ in range(config.depth)
        )
        self.norm_out = nn.LayerNorm(width, EPS, elementwise_affine=False)
        self.modulation_out = nn.Linear(width, 2 * width)
        self.to_patches = nn.Linear(width, patch**2 * config.out_channels)
        self._initialize()

    def forward(
        self, images: Tensor, timesteps: Tensor, labels: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        """The prediction (batch, out_channels, image_size, image_size). Arguments and errors as in `UNet.forward`."""
        config = self.config
        check_images(images, config.in_channels, config.image_size)
        check_conditions(len(images), timesteps, labels, context, config.num_classes, config.context_width)
        condition = self.time_embedding(timesteps)
        if self.class_embedding is not None:
            condition = condition + self.class_embedding(labels, len(images))
        # (batch, width, side, side) -> (batch, side * side, width)
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            tokens = block(tokens, condition, context)
        shift, scale = self.modulation_out(F.silu(condition))[:, None].chunk(2, dim=2)
        patches = self.to_patches(modulate(self.norm_out(tokens), shift, scale))
        return self._join(patches).to(images.dtype)

    def _join(self, patches: Tensor) -> Tensor:
        """Patches (batch, side * side, patch * patch * channels) as pictures (batch, channels, side * patch, side * patch)."""
        patch, side = self.config.patch_size, self.config.image_size // self.config.patch_size
        # -> (batch, row of patches, column of patches, row in the patch, column in the patch, channels)
        patches = patches.view(len(patches), side, side, patch, patch, -1)
        return patches.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)

    def _initialize(self) -> None:
        """As the authors do: Xavier for linear layers, small embeddings, zeros for all that modulates and for the last layer."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.xavier_uniform_(module.weight.data.flatten(1))
                nn.init.zeros_(module.bias)
        small = [self.time_embedding.linear_1, self.time_embedding.linear_2]
        for module in small if self.class_embedding is None else [*small, self.class_embedding]:
            nn.init.normal_(module.weight, std=0.02)
        zero = [*(block.modulation for block in self.blocks), self.modulation_out, self.to_patches]
        zero += [block.attn2.to_out[0] for block in self.blocks if block.attn2 is not None]
        for module in zero:
            nn.init.zeros_(module.weight)

    @classmethod
    def from_hub(cls, source: str | Path, subfolder: str = "", convention: str = "diffusers") -> Self:
        """A published DiT in the layout of diffusers' `DiTTransformer2DModel`, in evaluation mode.

        `DiT.from_hub("facebook/DiT-XL-2-256", "transformer")`, for one. There each block holds its own copy of the embeddings of time and class,
        749.8 M numbers in all; they are equal, and one is kept: the paper's 675 M.

        Args:
            convention: `diffusers` computes what diffusers computes; `paper` what the authors trained, for weights that were converted from theirs.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_diffusers`; WeightsError also if the copies differ.
        """
        only = {"norm_type": "ada_norm_zero", "activation_fn": "gelu-approximate", "attention_bias": True,
                "norm_elementwise_affine": False, "norm_eps": CONVENTIONS["diffusers"]["second_eps"]}  # fmt: skip
        settings, weights = read_diffusers(source, subfolder, ("DiTTransformer2DModel", "Transformer2DModel"), only)
        model = cls(published_config(settings, convention))
        load_weights(model, own_names(weights), source)
        return model.eval()


def modulate(tokens: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """(1 + scale) * tokens + shift, of tokens (batch, n, width) with shift and scale (batch, 1, width)."""
    return tokens * (1 + scale) + shift


RENAMED = (
    (r"^pos_embed\.proj", "patches"),
    (r"^transformer_blocks\.\d+\.norm1\.emb\.timestep_embedder", "time_embedding"),
    (r"^transformer_blocks\.\d+\.norm1\.emb\.class_embedder\.embedding_table", "class_embedding"),
    (r"^transformer_blocks\.(\d+)\.norm1\.linear", r"blocks.\1.modulation"),
    (r"^transformer_blocks", "blocks"),
    (r"^proj_out_1", "modulation_out"),
    (r"^proj_out_2", "to_patches"),
)


def own_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of diffusers' layout under our names, with one embedding of time and of class for all blocks.

    Raises:
        WeightsError: if the blocks hold different embeddings.
    """
    named: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        ours = name
        for pattern, replacement in RENAMED:
            ours = re.sub(pattern, replacement, ours)
        if not tensor.equal(named.setdefault(ours, tensor)):
            raise WeightsError(
                f"{name} differs from that of another block, but a DiT of the paper has one {ours} for all"
            )
    return named


def published_config(settings: dict[str, Any], convention: str) -> DiTConfig:
    """Our config for the settings of a diffusers `DiTTransformer2DModel`."""
    heads, in_channels = settings["num_attention_heads"], settings["in_channels"]
    return DiTConfig(
        in_channels=in_channels,
        out_channels=settings.get("out_channels") or in_channels,
        image_size=settings.get("sample_size", 32),
        patch_size=settings.get("patch_size", 2),
        width=heads * settings["attention_head_dim"],
        depth=settings.get("num_layers", 28),
        num_heads=heads,
        num_classes=settings["num_embeds_ada_norm"],
        convention=convention,
    )
