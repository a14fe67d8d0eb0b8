"""By which BLIP and BLIP-2 see: as `language.vit`, but every token is wanted, not only the class. Or by the residual network of a CLIP."""

from typing import Self

import torch
from torch import Tensor, nn

from course_utils.clip.resnet import EXPANSION, ResNetEncoder
from course_utils.layers import Standardize, check_images
from course_utils.layers.transformer import PreNormLayer


class ImageEncoder(nn.Module):
    """A vision transformer: pictures (batch, in_channels, image_size, image_size) in [-1, 1] to tokens (batch, 1 + patches, width).

    The first is [CLS], the others are the patches row by row; all are normalised.
    """

    def __init__(
        self, in_channels: int, image_size: int, patch_size: int, width: int, depth: int, num_heads: int, hidden: int,
        mean: tuple[float, ...] = (0.5,), std: tuple[float, ...] = (0.5,), eps: float = 1e-5,
    ):  # fmt: skip
        super().__init__()
        if image_size % patch_size:
            raise ValueError(f"patches of {patch_size} do not divide an image_size of {image_size}")
        self.in_channels, self.image_size, self.width = in_channels, image_size, width
        self.standardize = Standardize(mean, std)
        self.patches = nn.Conv2d(in_channels, width, patch_size, stride=patch_size)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, 1 + (image_size // patch_size) ** 2, width))
        self.layers = nn.ModuleList(PreNormLayer(width, num_heads, hidden, "gelu", eps) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps)
        nn.init.normal_(self.positions, std=0.02)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """The tokens.

        Raises:
            ValueError: if the pictures have another shape than this encoder is for.
        """
        check_images(images, self.in_channels, self.image_size)
        # (batch, width, side, side) -> (batch, side * side, width)
        patches = self.patches(self.standardize(images)).flatten(2).transpose(1, 2)
        cls = self.cls.expand(len(images), -1, -1).to(patches.dtype)
        tokens = torch.cat([cls, patches], dim=1) + self.positions
        for layer in self.layers:
            tokens = layer(tokens)
        return self.norm(tokens)


class ResidualTokens(nn.Module):
    """CLIP's residual network as an image encoder: pictures in [-1, 1] to tokens (batch, 1 + places, width), as `ImageEncoder` gives them.

    The first is what the attention pooling saw before its projection, the others are the places of the last map row by row; `width` is its channels.
    Their norms and positions are learned here, the network is meant to be trained already. Its batch norms always use the statistics they have.

    Args:
        config: with what `clip.resnet.ResNetEncoder` asks for: `image_blocks`, `image_width`, `image_size` and the like.
    """

    def __init__(self, config):
        super().__init__()
        self.network = ResNetEncoder(config).eval()
        stages = len(config.image_blocks)
        self.width = EXPANSION * config.image_width * 2 ** (stages - 1)
        side = config.image_size // 2 ** (stages + 1)
        self.norm = nn.LayerNorm(self.width)
        self.positions = nn.Parameter(torch.randn(1, 1 + side**2, self.width))

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """The tokens. Raises ValueError if the pictures have another shape than this encoder is for."""
        return self.tokens(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """What the network gives, (batch, 1 + places, width): while that is frozen, each picture's need be computed only once."""
        grid = self.network.features(images)
        places = grid.flatten(2).transpose(1, 2)  # (batch, width, side, side) -> (batch, side * side, width)
        return torch.cat([self.network.attention_pool.seen(grid)[:, None], places], dim=1)

    def tokens(self, features: Tensor) -> Tensor:
        """The tokens that `features` become."""
        return self.norm(features) + self.positions


def initialize(module: nn.Module) -> None:
    """Small normal numbers for all layers and tables, zeros for biases."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d | nn.Embedding):
            nn.init.normal_(part.weight, std=0.02)
        if isinstance(part, nn.Linear | nn.Conv2d) and part.bias is not None:
            nn.init.zeros_(part.bias)
