"""ClipCap: a picture's CLIP vector, translated into a few vectors that a language model reads like words, and continues.

CLIP knows what is in the picture, GPT-2 how sentences go; only a small mapping network between the two is learned:

    p_1 ... p_k = F(CLIP(picture)),        minimise  -E[ sum over t of log p(token_t | p_1 ... p_k, tokens before t) ]

F is an MLP with one hidden layer; or, where the language model stays frozen, better a transformer, which sees the CLIP vector as several tokens and
learned constants beside them: what has become of the constants is the prefix. So it can also learn what to tell the frozen model about the task.

Paper: Mokady, Hertz & Bermano, "ClipCap: CLIP prefix for image captioning", 2021, section 3. Prefix tuning: Li & Liang, ACL 2021.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.hub import HubModel, WeightsError, config_coders, load_weights, read_weights, renamed
from course_utils.language import gpt2
from course_utils.language.corruption import IGNORED, real_labels
from course_utils.language.generation import Prefixed, write
from course_utils.language.gpt2 import GPT2, GPT2Config
from course_utils.layers.attention import check_mask
from course_utils.layers.transformer import PreNormLayer

KINDS = ("mlp", "transformer")
HEAD_WIDTH = 64  # of every published GPT-2
EPS = 1e-5  # of the layer norms


@dataclass(frozen=True)
class MapperConfig:
    """Settings of a `Mapper`; the defaults are those of the paper's transformer.

    Attributes:
        kind: `mlp` or `transformer`.
        clip_dim: of CLIP's vectors.
        width: of the language model's tokens.
        prefix_length: k, vectors before the text.
        clip_length: of a transformer: tokens that the CLIP vector becomes.
        depth, num_heads: of a transformer.
    """

    kind: str = "transformer"
    clip_dim: int = 512
    width: int = 768
    prefix_length: int = 10
    clip_length: int = 10
    depth: int = 8
    num_heads: int = 8


class Mapper(nn.Module, HubModel, coders=config_coders(MapperConfig)):
    """CLIP vectors (batch, clip_dim) to prefixes (batch, prefix_length, width)."""

    def __init__(self, config: MapperConfig):
        super().__init__()
        if config.kind not in KINDS:
            raise ValueError(f"kind is {config.kind!r}, but must be one of {', '.join(KINDS)}")
        self.config = config
        whole = config.prefix_length * config.width
        if config.kind == "mlp":
            self.up, self.down = nn.Linear(config.clip_dim, whole // 2), nn.Linear(whole // 2, whole)
            return
        self.spread = nn.Linear(config.clip_dim, config.clip_length * config.width)
        self.constants = nn.Parameter(torch.randn(config.prefix_length, config.width))
        self.layers = nn.ModuleList(
            PreNormLayer(config.width, config.num_heads, 2 * config.width, "relu", EPS, bias=False)
            for _ in range(config.depth)
        )

    def forward(self, features: Tensor) -> Tensor:
        """The prefixes. As by the authors the vectors are CLIP's own, not unit ones.

        Raises:
            ValueError: if the vectors are not (batch, clip_dim).
        """
        if features.ndim != 2 or features.shape[1] != self.config.clip_dim:
            raise ValueError(f"expected CLIP vectors (batch, {self.config.clip_dim}), got {tuple(features.shape)}")
        if self.config.kind == "mlp":
            whole = self.down(torch.tanh(self.up(features)))
            return whole.unflatten(1, (self.config.prefix_length, -1))  # (batch, k * width) -> (batch, k, width)
        picture = self.spread(features).unflatten(1, (self.config.clip_length, -1))
        constants = self.constants.to(picture.dtype).expand(len(features), -1, -1)
        tokens = torch.cat([picture, constants], dim=1)
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens[:, self.config.clip_length :]


class ClipCap(nn.Module):
    """A mapper and a GPT-2. `features` are CLIP's vectors (batch, clip_dim), captions `input_ids` (batch, n) of GPT-2.

    Args:
        frozen: the language model is not trained (prefix tuning); else both are.

    Raises:
        ValueError: if the mapper's prefixes are not as wide as the language model's tokens.
    """

    def __init__(self, mapper: Mapper, language_model: GPT2, frozen: bool = True):
        super().__init__()
        if mapper.config.width != language_model.config.width:
            raise ValueError(
                f"a prefix stands among tokens of the language model, of width {language_model.config.width}, "
                f"but the mapper's config says width={mapper.config.width}"
            )
        self.mapper = mapper
        self.language_model = language_model.requires_grad_(not frozen)

    def forward(self, features: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Logits (batch, n, vocab_size): those at t are of caption token t, given the prefix and the tokens before t.

        Args:
            attention_mask: (batch, n) bool, True at real tokens; padding stands on the right.

        Raises:
            ValueError: if vectors, captions or mask do not fit.
        """
        prefix = self.mapper(features)
        mask = check_mask(attention_mask, *input_ids.shape)
        if mask is not None:
            mask = F.pad(mask, (prefix.shape[1], 0), value=True)
        logits = self.language_model(input_ids, mask, prefix)
        return logits[:, prefix.shape[1] - 1 : -1]  # the last vector of the prefix predicts the first token

    def loss(self, features: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """-log p(token) in nats, a mean over the captions' real tokens: a scalar (equation 2). Arguments and errors as for `forward`."""
        logits = self(features, input_ids, attention_mask)
        labels = real_labels(input_ids, attention_mask)
        # (batch, n, vocab_size) -> (batch * n, vocab_size)
        return F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED)

    @torch.inference_mode()
    def generate(
        self,
        features: Tensor,
        max_new_tokens: int,
        generator: torch.Generator | None = None,
        *,
        num_beams: int = 1,
        **settings: Any,
    ) -> Tensor:
        """Captions (batch, length) int64.

        Args:
            num_beams: more than 1 for a beam search.
            settings: of `language.generation.generate`, such as `end_token_id` (the authors': that of "."), `temperature` and `top_p`, or of
                `beam_search`.

        Raises:
            ValueError: as there and in `Mapper.forward`.
        """
        nothing = torch.empty(len(features), 0, dtype=torch.int64, device=features.device)
        model = Prefixed(self.language_model, self.mapper(features))
        return write(model, nothing, max_new_tokens, generator, num_beams, **settings)

    @classmethod
    def from_authors(cls, source: str | Path, filename: str | None = None) -> Self:
        """A file of the authors' `train.py` with mapper and GPT-2, in evaluation mode. All sizes are read from the weights' shapes.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_weights`; WeightsError also for a file with another layout.
        """
        weights = read_weights(source, filename)
        words = {name.removeprefix("gpt."): weights[name] for name in weights if name.startswith("gpt.")}
        mapper = {name.removeprefix(OURS): weights[name] for name in weights if name.startswith(OURS)}
        if not words or not mapper:
            raise WeightsError(f"expected {OURS}* and gpt.* in {source}, got {', '.join(list(weights)[:5])}, ...")
        words = gpt2.own_names(words)
        model = cls(Mapper(published_mapper(mapper, words["tokens.weight"].shape[1])), GPT2(published_gpt2(words)))
        load_weights(model.mapper, own_names(mapper), source)
        load_weights(model.language_model, words, source)
        return model.eval()


OURS = "clip_project."
RENAMED = (
    (r"^model\.0\.", "up."),
    (r"^model\.2\.", "down."),
    (r"^linear\.", "spread."),
    (r"^prefix_const$", "constants"),
    (r"^transformer\.layers\.", "layers."),
    (r"\.attn\.to_queries\.", ".attention.to_q."),
    (r"\.attn\.project\.", ".attention.to_out.0."),
    (r"\.mlp\.fc1\.", ".mlp.up."),
    (r"\.mlp\.fc2\.", ".mlp.down."),
)


def own_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A mapper's weights under our names; in the authors' one matrix makes keys and values."""
    named: dict[str, Tensor] = {}
    for name, tensor in renamed(weights, RENAMED).items():
        if name.endswith(".attn.to_keys_values.weight"):
            layer = name.removesuffix("attn.to_keys_values.weight")
            for part, piece in zip(("to_k", "to_v"), tensor.chunk(2), strict=True):
                named[f"{layer}attention.{part}.weight"] = piece.contiguous()
        else:
            named[name] = tensor
    return named


def published_mapper(weights: dict[str, Tensor], width: int) -> MapperConfig:
    """The config of a mapper with weights of these shapes, for a language model of this width; the authors' transformers have 8 heads."""
    if "prefix_const" not in weights:
        whole = len(weights["model.2.weight"])
        return MapperConfig("mlp", weights["model.0.weight"].shape[1], width, whole // width)
    spread, constants = weights["linear.weight"], weights["prefix_const"]
    depth = len({name for name in weights if re.fullmatch(r"transformer\.layers\.\d+\.norm1\.weight", name)})
    return MapperConfig("transformer", spread.shape[1], width, len(constants), len(spread) // width, depth)


def published_gpt2(weights: dict[str, Tensor]) -> GPT2Config:
    """The config of a GPT-2 with weights of these shapes, under our names."""
    vocab_size, width = weights["tokens.weight"].shape
    depth = len({name for name in weights if re.fullmatch(r"layers\.\d+\.norm1\.weight", name)})
    return GPT2Config(vocab_size, len(weights["positions.weight"]), width, depth, max(1, width // HEAD_WIDTH))
