"""Vision transformer: a picture is a text whose words are patches.

The picture is cut into patches of 16 x 16 pixels, each becomes a token by one linear layer, and is told its place. A further token, [CLS], belongs to
no patch; after layers in which every token sees every other, it alone is asked for the class:

    tokens = [cls, patch_1 E, ..., patch_n E] + places,        class = head(norm(layers(tokens))_cls)

Nothing but the patches and their places says that this is a picture. A convolutional network knows more beforehand and needs less data; with enough
data the transformer is as good or better.

Paper: Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021, section 3.1.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.hub import HubModel, WeightsError, config_coders, load_weights, read_transformers, renamed
from course_utils.layers import check_images
from course_utils.layers.transformer import PreNormLayer

EPS = 1e-12  # of the layer norms


@dataclass(frozen=True)
class ViTConfig:
    """Settings of a `ViT`; the defaults are those of `google/vit-base-patch16-224`.

    Attributes:
        in_channels: 1 for grey pictures, 3 for colour.
        image_size: height and width in pixels.
        patch_size: height and width of a patch; it divides the image size.
        width: of a token.
        depth: number of layers.
        num_heads: of every attention.
        hidden: width of the feed-forward layers.
        num_classes: of the labels.
    """

    in_channels: int = 3
    image_size: int = 224
    patch_size: int = 16
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    hidden: int = 3072
    num_classes: int = 1000


class ViT(nn.Module, HubModel, coders=config_coders(ViTConfig)):
    """Logits of the class of pictures, float32 (batch, channels, image_size, image_size) in [-1, 1]."""

    def __init__(self, config: ViTConfig):
        super().__init__()
        if config.image_size % config.patch_size:
            raise ValueError(f"patches of {config.patch_size} do not divide an image_size of {config.image_size}")
        self.config = config
        width, patch = config.width, config.patch_size
        num_patches = (config.image_size // patch) ** 2
        self.patches = nn.Conv2d(config.in_channels, width, patch, stride=patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, 1 + num_patches, width))
        self.layers = nn.ModuleList(
            PreNormLayer(width, config.num_heads, config.hidden, "gelu", EPS) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width, EPS)
        self.head = nn.Linear(width, config.num_classes)
        self._initialize()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, num_classes). Errors as for `encode`."""
        return self.head(self.encode(images)[:, 0])

    def encode(self, images: Tensor) -> Tensor:
        """The last layer's output, (batch, 1 + patches, width): [CLS], then the patches row by row.

        Raises:
            ValueError: if the pictures have another shape than the config says.
        """
        check_images(images, self.config.in_channels, self.config.image_size)
        # (batch, width, side, side) -> (batch, side * side, width)
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        cls = self.cls.expand(len(images), -1, -1).to(tokens.dtype)
        tokens = torch.cat([cls, tokens], dim=1) + self.positions
        for layer in self.layers:
            tokens = layer(tokens)
        return self.norm(tokens)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """-log p(label | picture) in nats, a mean over the batch: a scalar; `labels` (batch,) int64 in [0, num_classes)."""
        return F.cross_entropy(self(images).float(), labels)

    def _initialize(self) -> None:
        """Small normal numbers; the classes start out equally likely."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.positions, std=0.02)
        nn.init.zeros_(self.head.weight)

    @classmethod
    def from_hub(cls, source: str | Path) -> Self:
        """A published ViT in the layout of transformers' `ViTForImageClassification`, in evaluation mode.

        `ViT.from_hub("google/vit-base-patch16-224")`, for one. Its pictures are in [-1, 1] as ours.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_transformers`.
        """
        only = {"hidden_act": "gelu", "layer_norm_eps": EPS, "qkv_bias": True}
        settings, weights = read_transformers(source, "vit", only)
        if "classifier.bias" not in weights:
            raise WeightsError(f"{source} has no classifier: it is a bare ViTModel, and ours names classes")
        model = cls(published_config(settings, len(weights["classifier.bias"])))
        load_weights(model, renamed(weights, RENAMED), source)
        return model.eval()


RENAMED = (
    (r"^vit\.", ""),
    (r"^embeddings\.cls_token", "cls"),
    (r"^embeddings\.position_embeddings", "positions"),
    (r"^embeddings\.patch_embeddings\.projection", "patches"),
    (r"^encoder\.layer\.(\d+)\.attention\.attention\.query", r"layers.\1.attention.to_q"),
    (r"^encoder\.layer\.(\d+)\.attention\.attention\.key", r"layers.\1.attention.to_k"),
    (r"^encoder\.layer\.(\d+)\.attention\.attention\.value", r"layers.\1.attention.to_v"),
    (r"^encoder\.layer\.(\d+)\.attention\.output\.dense", r"layers.\1.attention.to_out.0"),
    (r"^encoder\.layer\.(\d+)\.intermediate\.dense", r"layers.\1.mlp.up"),
    (r"^encoder\.layer\.(\d+)\.output\.dense", r"layers.\1.mlp.down"),
    (r"^encoder\.layer\.(\d+)\.layernorm_before", r"layers.\1.norm1"),
    (r"^encoder\.layer\.(\d+)\.layernorm_after", r"layers.\1.norm2"),
    (r"^layernorm", "norm"),
    (r"^classifier", "head"),
)


def published_config(settings: dict[str, Any], num_classes: int) -> ViTConfig:
    """Our config for the settings of a transformers `ViTConfig`."""
    return ViTConfig(
        in_channels=settings["num_channels"],
        image_size=settings["image_size"],
        patch_size=settings["patch_size"],
        width=settings["hidden_size"],
        depth=settings["num_hidden_layers"],
        num_heads=settings["num_attention_heads"],
        hidden=settings["intermediate_size"],
        num_classes=num_classes,
    )
