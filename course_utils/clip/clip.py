"""CLIP: a picture and its caption, each encoded by a network of its own, meet as unit vectors in one space.

    similarity(picture, text) = s * u(picture) . v(text)

Both networks learn together, from nothing but which text came with which picture (`losses.info_nce`). A new classifier then needs no training: its
classes are texts, "a photo of a dog", and a picture belongs to the nearest.

The picture is read by a vision transformer, whose [CLS] token becomes u, or by a residual network (`resnet`); the text by a small GPT-2, which at its
end token has seen all that came before: that becomes v.

Paper: Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021, sections 2.3 to 2.5.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.clip.losses import info_nce
from course_utils.clip.open_clip_layout import MEAN, STD, read_open_clip
from course_utils.clip.resnet import ResNetEncoder
from course_utils.hub import HubModel, WeightsError, config_coders, load_weights, read_transformers, renamed
from course_utils.layers import Standardize, check_images
from course_utils.layers.attention import check_length
from course_utils.layers.embeddings import TokenEmbedding
from course_utils.layers.transformer import PreNormLayer

EPS = 1e-5  # of the layer norms
BATCH = 256  # pictures or texts that are encoded at once, where none of them is trained on
LARGEST_SCALE = 100.0


@dataclass(frozen=True)
class CLIPConfig:
    """Settings of a `CLIP`; the defaults are those of `openai/clip-vit-base-patch32`, but for mean and standard deviation.

    Attributes:
        in_channels: 1 for grey pictures, 3 for colour.
        image_size, patch_size: height and width of pictures and patches in pixels.
        image_width, image_depth, image_heads, image_hidden: of the vision transformer: width of a token, layers, heads, width inside of the MLP. Of a
            residual network: channels of its first convolutions, and heads of its pooling; it has no depth, no hidden and no patch size.
        vocab_size: number of tokens.
        max_positions: longest text.
        text_width, text_depth, text_heads, text_hidden: of the text's transformer.
        end_token_id: which ends each text.
        dim: of the common space.
        activation: a name of `layers.transformer.ACTIVATIONS`.
        image_mean, image_std: of pictures in [0, 1], one for all channels or one each: what the network sees is (x - mean) / std.
        image_blocks: how many bottlenecks each stage of a residual network has, (3, 4, 6, 3) for RN50; () for a vision transformer.
    """

    in_channels: int = 3
    image_size: int = 224
    patch_size: int = 32
    image_width: int = 768
    image_depth: int = 12
    image_heads: int = 12
    image_hidden: int = 3072
    vocab_size: int = 49408
    max_positions: int = 77
    text_width: int = 512
    text_depth: int = 12
    text_heads: int = 8
    text_hidden: int = 2048
    end_token_id: int = 49407
    dim: int = 512
    activation: str = "quick_gelu"
    image_mean: tuple[float, ...] = (0.5,)
    image_std: tuple[float, ...] = (0.5,)
    image_blocks: tuple[int, ...] = ()


class ImageEncoder(nn.Module):
    """A vision transformer: pictures in [-1, 1] to vectors (batch, dim), of any length."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        if config.image_size % config.patch_size:
            raise ValueError(f"patches of {config.patch_size} do not divide an image_size of {config.image_size}")
        self.config = config
        width, patch = config.image_width, config.patch_size
        self.standardize = Standardize(config.image_mean, config.image_std)
        self.patches = nn.Conv2d(config.in_channels, width, patch, stride=patch, bias=False)
        self.cls = nn.Parameter(width**-0.5 * torch.randn(width))
        self.positions = nn.Embedding((config.image_size // patch) ** 2 + 1, width)
        self.norm_in = nn.LayerNorm(width, EPS)
        self.layers = transformer(width, config.image_depth, config.image_heads, config.image_hidden, config.activation)
        self.norm = nn.LayerNorm(width, EPS)
        self.projection = nn.Linear(width, config.dim, bias=False)
        nn.init.normal_(self.positions.weight, std=width**-0.5)
        nn.init.normal_(self.projection.weight, std=width**-0.5)

    def forward(self, images: Tensor) -> Tensor:
        return self.projection(self.norm(self.features(images)[:, 0]))

    def features(self, images: Tensor) -> Tensor:
        """The last layer's output, (batch, 1 + patches, width), not normalised: [CLS], then the patches row by row.

        Raises:
            ValueError: if the pictures have another shape than the config says.
        """
        check_images(images, self.config.in_channels, self.config.image_size)
        patches = self.patches(self.standardize(images))
        patches = patches.flatten(2).transpose(1, 2)  # (batch, width, side, side) -> (batch, side * side, width)
        cls = self.cls.to(patches.dtype).expand(len(images), 1, -1)
        tokens = self.norm_in(torch.cat([cls, patches], dim=1) + self.positions.weight)
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens


class TextEncoder(nn.Module):
    """A causal transformer: ids (batch, n) to vectors (batch, dim), of any length, from what stands at the first end token."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        self.config = config
        width = config.text_width
        self.tokens = TokenEmbedding(config.vocab_size, width)
        self.positions = nn.Embedding(config.max_positions, width)
        self.layers = transformer(width, config.text_depth, config.text_heads, config.text_hidden, config.activation)
        self.norm = nn.LayerNorm(width, EPS)
        self.projection = nn.Linear(width, config.dim, bias=False)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.positions.weight, std=0.01)
        nn.init.normal_(self.projection.weight, std=width**-0.5)

    def forward(self, input_ids: Tensor) -> Tensor:
        features = self.features(input_ids)
        end = (input_ids == self.config.end_token_id).int().argmax(dim=1)  # the first, where padding looks like it
        row = torch.arange(len(input_ids), device=input_ids.device)
        return self.projection(features[row, end])

    def features(self, input_ids: Tensor) -> Tensor:
        """The last layer's output for each token, (batch, n, width), normalised.

        Raises:
            ValueError: a text is longer than `max_positions`, or ids are outside of the vocabulary.
        """
        length = input_ids.shape[1]
        check_length(length, self.config.max_positions)
        tokens = self.tokens(input_ids) + self.positions.weight[:length]
        for layer in self.layers:
            tokens = layer(tokens, causal=True)
        return self.norm(tokens)


class CLIP(nn.Module, HubModel, coders=config_coders(CLIPConfig)):
    """Both encoders and the scale. Pictures are float32 (batch, channels, image_size, image_size) in [-1, 1], texts ids (batch, n) int64.

    Each text holds its end token; what comes after that is not seen, so padding needs no mask.
    """

    def __init__(self, config: CLIPConfig):
        super().__init__()
        self.config = config
        self.image_encoder = ResNetEncoder(config) if config.image_blocks else ImageEncoder(config)
        self.text_encoder = TextEncoder(config)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @property
    def logit_scale(self) -> Tensor:
        """s, 1 / temperature, a scalar of at most 100 (section 2.5)."""
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)

    def encode_image(self, images: Tensor) -> Tensor:
        """Unit vectors (batch, dim). Errors as for `features` of the encoder."""
        return F.normalize(self.image_encoder(images).float(), dim=1)

    def encode_text(self, input_ids: Tensor) -> Tensor:
        """Unit vectors (batch, dim). Errors as for `TextEncoder.features`."""
        return F.normalize(self.text_encoder(input_ids).float(), dim=1)

    def forward(self, images: Tensor, input_ids: Tensor) -> Tensor:
        """Similarities of each picture to each text, (pictures, texts): logits of which text belongs to it."""
        return self.logit_scale * self.encode_image(images) @ self.encode_text(input_ids).T

    def loss(self, images: Tensor, input_ids: Tensor, chunk_size: int = 0) -> Tensor:
        """`losses.info_nce` of pictures and their texts, row by row: a scalar in nats."""
        return info_nce(self.encode_image(images), self.encode_text(input_ids), self.logit_scale, chunk_size)

    @classmethod
    def from_hub(cls, source: str | Path) -> Self:
        """A published CLIP in the layout of transformers' `CLIPModel`, in evaluation mode: `CLIP.from_hub("openai/clip-vit-base-patch32")`.

        Its pictures are in [-1, 1] as all ours; the authors' mean and standard deviation are applied inside.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_transformers`.
        """
        settings, weights = read_transformers(source, "clip", {})
        model = cls(published_config(settings))
        kept = {name: tensor for name, tensor in weights.items() if not name.endswith("position_ids")}
        load_weights(model, renamed(kept, RENAMED), source)
        return model.eval()

    @classmethod
    def from_open_clip(cls, source: str | Path) -> Self:
        """A published CLIP in the layout of open_clip, in evaluation mode: `CLIP.from_open_clip("timm/resnet50_clip.openai")`.

        Pictures are in [-1, 1] as all ours; mean and standard deviation of the file are applied inside.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `open_clip_layout.read_open_clip`.
        """
        settings, weights = read_open_clip(source)
        model = cls(CLIPConfig(**settings))
        load_weights(model, weights, source)
        return model.eval()


def transformer(width: int, depth: int, num_heads: int, hidden: int, activation: str) -> nn.ModuleList:
    """The layers of an encoder, with weights as the authors draw them: smaller, the deeper the network, where a layer adds to the others."""
    layers = nn.ModuleList(PreNormLayer(width, num_heads, hidden, activation, EPS) for _ in range(depth))
    for name, module in layers.named_modules():
        if isinstance(module, nn.Linear):
            std = (2 * width) ** -0.5 if name.endswith("mlp.up") else width**-0.5
            if name.endswith(("to_out.0", "mlp.down")):
                std = (2 * width * depth) ** -0.5
            nn.init.normal_(module.weight, std=std)
            nn.init.zeros_(module.bias)
    return layers


RENAMED = (
    (r"^logit_scale", "log_scale"),
    (r"^visual_projection", "image_encoder.projection"),
    (r"^text_projection", "text_encoder.projection"),
    (r"^vision_model\.", "image_encoder."),
    (r"^text_model\.", "text_encoder."),
    (r"\.embeddings\.class_embedding", ".cls"),
    (r"\.embeddings\.patch_embedding", ".patches"),
    (r"\.embeddings\.token_embedding", ".tokens"),
    (r"\.embeddings\.position_embedding", ".positions"),
    (r"\.pre_layrnorm", ".norm_in"),  # so spelt
    (r"\.(post_layernorm|final_layer_norm)", ".norm"),
    (r"\.encoder\.layers\.", ".layers."),
    (r"\.layer_norm(\d)", r".norm\1"),
    (r"\.self_attn\.([qkv])_proj", r".attention.to_\1"),
    (r"\.self_attn\.out_proj", ".attention.to_out.0"),
    (r"\.fc1", ".up"),
    (r"\.fc2", ".down"),
)
KNOWN = ("quick_gelu", "gelu")  # activations of published models


def published_config(settings: dict[str, Any]) -> CLIPConfig:
    """Our config for the settings of a transformers `CLIPConfig`. What a file does not say has the value of ViT-B/32.

    Raises:
        WeightsError: if the activation is unknown, or not the same in both encoders.
    """
    text, vision = settings.get("text_config") or {}, settings.get("vision_config") or {}
    vocab_size = text.get("vocab_size", 49408)
    end = text.get("eos_token_id", 2)
    activation = vision.get("hidden_act", "quick_gelu")
    if activation != text.get("hidden_act", "quick_gelu") or activation not in KNOWN:
        raise WeightsError(f"expected one activation for both encoders, {' or '.join(KNOWN)}; got {activation}")
    return CLIPConfig(
        image_size=vision.get("image_size", 224),
        patch_size=vision.get("patch_size", 32),
        image_width=vision.get("hidden_size", 768),
        image_depth=vision.get("num_hidden_layers", 12),
        image_heads=vision.get("num_attention_heads", 12),
        image_hidden=vision.get("intermediate_size", 3072),
        vocab_size=vocab_size,
        max_positions=text.get("max_position_embeddings", 77),
        text_width=text.get("hidden_size", 512),
        text_depth=text.get("num_hidden_layers", 12),
        text_heads=text.get("num_attention_heads", 8),
        text_hidden=text.get("intermediate_size", 2048),
        end_token_id=vocab_size - 1 if end == 2 else end,  # the first files say 2, and mean the last
        dim=settings.get("projection_dim", 512),
        activation=activation,
        image_mean=MEAN,
        image_std=STD,
    )


@torch.inference_mode()
def embed_images(model: CLIP, images: Callable[[Sequence[int]], Tensor], count: int) -> Tensor:
    """Unit vectors (count, dim) of pictures on the CPU, encoded a batch at a time.

    Args:
        images: numbers of pictures -> those pictures (batch, channels, size, size) in [-1, 1].
    """
    device = next(model.parameters()).device
    parts = [range(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]
    return torch.cat([model.encode_image(images(part).to(device)).cpu() for part in parts])
