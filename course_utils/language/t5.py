"""T5: every task of language as text in, text out.

An encoder reads the input in both directions; a decoder writes the output from left to right and looks at all of the input while it does so:

    p(output | input) = product over t of p(output_t | output before t, input)

Pre-training takes whole spans out of a text. In the input a span leaves one sentinel behind, and the output lists the sentinels with what they hid:

    Thank you <0> me to your party <1> week.        ->        <0> for inviting <1> last </s>

Layers hold no places: attention is told how far apart two tokens are, by a number a head for each of 32 distances (exact when near, in ever wider
steps when far), which is added to q k'. That product is not divided by sqrt(d); the initial weights are smaller instead.

Paper: Raffel et al., "Exploring the limits of transfer learning with a unified text-to-text transformer", JMLR 2020, sections 2.1 and 3.1.4.
Relative positions: Shaw, Uszkoreit & Vaswani, NAACL 2018. Version 1.1: gated GELU (Shazeer, 2020), output layer of its own.
RMSNorm: Zhang & Sennrich, NeurIPS 2019.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.hub import HubModel, config_coders, load_weights, read_transformers, renamed
from course_utils.language.corruption import IGNORED
from course_utils.layers.attention import Attention, check_mask
from course_utils.layers.caching import Cache, KeyValues
from course_utils.layers.embeddings import TokenEmbedding
from course_utils.layers.transformer import tanh_gelu

EPS = 1e-6  # of the norms


@dataclass(frozen=True)
class T5Config:
    """Settings of a `T5`; the defaults are those of `t5-small`.

    Attributes:
        vocab_size: number of tokens.
        width: of a token.
        depth, decoder_depth: number of layers of encoder and decoder.
        num_heads, head_dim: of every attention; their product may differ from the width.
        hidden: width of the feed-forward layers.
        gated: these have a gated GELU (version 1.1), in place of ReLU.
        tied: the output layer is the table of tokens.
        scaled_output: features are divided by sqrt(width) before the output layer, as with the first version's tied one.
        num_buckets, max_distance: distances that attention tells apart; those from `max_distance` on are one.
        start_token_id: which the decoder reads first; with T5 that of padding.
    """

    vocab_size: int = 32128
    width: int = 512
    depth: int = 6
    decoder_depth: int = 6
    num_heads: int = 8
    head_dim: int = 64
    hidden: int = 2048
    gated: bool = False
    tied: bool = True
    scaled_output: bool = True
    num_buckets: int = 32
    max_distance: int = 128
    start_token_id: int = 0


class FeedForward(nn.Module):
    """Each token by itself through a wider layer, ReLU or gated GELU, no biases: (batch, n, width), the shape stays."""

    def __init__(self, width: int, hidden: int, gated: bool):
        super().__init__()
        self.up = nn.Linear(width, hidden, bias=False)
        self.gate = nn.Linear(width, hidden, bias=False) if gated else None
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        features = self.up(tokens)
        features = F.relu(features) if self.gate is None else features * tanh_gelu(self.gate(tokens))
        return self.down(features)


class Layer(nn.Module):
    """Tokens (batch, n, width) look at one another, in a decoder then at the input's, and each thinks alone: x + F(norm(x)); the shape stays."""

    def __init__(self, config: T5Config, decoder: bool):
        super().__init__()
        width, heads = config.width, {"bias": False, "head_dim": config.head_dim, "out_bias": False, "scale": 1.0}
        self.norm1, self.norm3 = (nn.RMSNorm(width, EPS) for _ in range(2))
        self.attention = Attention(width, config.num_heads, **heads)
        self.norm2 = nn.RMSNorm(width, EPS) if decoder else None
        self.cross_attention = Attention(width, config.num_heads, **heads) if decoder else None
        self.feed_forward = FeedForward(width, config.hidden, config.gated)

    def forward(
        self,
        tokens: Tensor,
        bias: Tensor,
        context: Tensor | tuple[Tensor, Tensor] | None = None,
        context_mask: Tensor | None = None,
        cache: KeyValues | None = None,
    ) -> Tensor:
        """Masks and context as for `Attention.forward`; `bias` (batch or 1, heads, n, m) is added to q k' among the tokens."""
        tokens = tokens + self.attention(self.norm1(tokens), mask=bias, cache=cache)
        if self.cross_attention is not None:
            tokens = tokens + self.cross_attention(self.norm2(tokens), context, context_mask)
        return tokens + self.feed_forward(self.norm3(tokens))


class Stack(nn.Module):
    """Encoder or decoder: layers that share one table of distances (section 2.1)."""

    def __init__(self, config: T5Config, decoder: bool):
        super().__init__()
        self.decoder, self.max_distance = decoder, config.max_distance
        self.distances = nn.Embedding(config.num_buckets, config.num_heads)
        depth = config.decoder_depth if decoder else config.depth
        self.layers = nn.ModuleList(Layer(config, decoder) for _ in range(depth))
        self.norm = nn.RMSNorm(config.width, EPS)

    def forward(
        self,
        tokens: Tensor,
        context: Tensor | None = None,
        attention_mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """The last layer's output for each token, (batch, n, width).

        Args:
            tokens: embedded, (batch, n, width); with a `cache` those that are new.
            context: of a decoder: the encoder's output (batch, m, width), unless the cache has its keys and values.
            attention_mask: (batch, m) bool: which of the encoder's tokens are real.
            cache: of a decoder.
        """
        past = 0 if cache is None else cache.length
        mask = (
            None if attention_mask is None else attention_mask[:, None, None]
        )  # (batch, 1, 1, m): for all heads and queries
        bias = self.bias(tokens.shape[1], past).to(tokens.dtype)
        if not self.decoder and mask is not None:
            bias = bias.masked_fill(~mask, float("-inf"))
        for number, layer in enumerate(self.layers):
            if cache is None:
                tokens = layer(tokens, bias, context, mask)
            else:
                tokens = layer(tokens, bias, cache.context[number], mask, cache.layers[number])
        return self.norm(tokens)

    def bias(self, num_tokens: int, past: int = 0) -> Tensor:
        """What is added to q k' of the last `num_tokens` of past + num_tokens tokens, (1, heads, num_tokens, past + num_tokens).

        In a decoder minus infinity hides what follows.
        """
        places = torch.arange(past + num_tokens, device=self.distances.weight.device)
        offsets = places - places[past:, None]  # (n, past + n): from the token that looks to the one that is looked at
        buckets = distance_buckets(
            offsets, self.distances.num_embeddings, self.max_distance, both_directions=not self.decoder
        )
        bias = self.distances(buckets).movedim(2, 0)[None]  # (n, m, heads) -> (1, heads, n, m)
        return bias.masked_fill(offsets > 0, float("-inf")) if self.decoder else bias


class T5(nn.Module, HubModel, coders=config_coders(T5Config)):
    """Logits of an output text, given an input text; both are ids (batch, n) int64 in [0, vocab_size).

    `attention_mask` (batch, n) is True at real tokens of the input, and each input has at least one. There is no longest text. Before an
    input there may be a `prefix` (batch, p, width) of vectors that are no words; masks then are (batch, p + n).
    """

    def __init__(self, config: T5Config):
        super().__init__()
        self.config = config
        self.tokens = TokenEmbedding(config.vocab_size, config.width)
        self.encoder = Stack(config, decoder=False)
        self.decoder = Stack(config, decoder=True)
        self.output = None if config.tied else nn.Linear(config.width, config.vocab_size, bias=False)
        self._initialize()

    def forward(
        self,
        input_ids: Tensor,
        decoder_input_ids: Tensor,
        attention_mask: Tensor | None = None,
        prefix: Tensor | None = None,
    ) -> Tensor:
        """Logits (batch, m, vocab_size); those at t are of output token t, when the decoder has read `decoder_input_ids` up to t.

        Args:
            input_ids: (batch, n).
            decoder_input_ids: (batch, m), the output one place later, as `shifted` makes it.
            attention_mask: (batch, p + n) bool, True at real tokens of the input.
            prefix: (batch, p, width), what stands before the input; without it p is 0.

        Raises:
            ValueError: the mask has another shape, or ids are outside of the vocabulary.
        """
        context = self.encode(input_ids, attention_mask, prefix)
        mask = check_mask(attention_mask, *context.shape[:2])
        return self._logits(self.decoder(self.tokens(decoder_input_ids), context, mask))

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None, prefix: Tensor | None = None) -> Tensor:
        """The encoder's output for prefix and input, (batch, p + n, width). Arguments and errors as for `forward`."""
        tokens = self.tokens(input_ids)
        if prefix is not None:
            tokens = torch.cat([prefix, tokens], dim=1)
        return self.encoder(tokens, attention_mask=check_mask(attention_mask, *tokens.shape[:2]))

    def loss(self, input_ids: Tensor, labels: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """-log p(output token | output before it, input) in nats, a mean over all tokens of the outputs: a scalar.

        Args:
            labels: (batch, m) int64, the output with its end; -100 where it is padded.
        """
        logits = self(input_ids, shifted(labels, self.config.start_token_id), attention_mask)
        # (batch, m, vocab_size) -> (batch * m, vocab_size)
        return F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED)

    def begin(
        self, input_ids: Tensor, attention_mask: Tensor | None, max_new_tokens: int, prefix: Tensor | None = None
    ) -> tuple[Tensor, Cache]:
        """What `generation` starts from: the start token (batch, 1), and a cache that holds the input's keys and values for each layer.

        Args:
            attention_mask: (batch, n) bool, which tokens of the input are real; all of a prefix (batch, p, width) is.
        """
        mask = check_mask(attention_mask, *input_ids.shape)
        if prefix is not None and mask is not None:
            mask = F.pad(mask, (prefix.shape[1], 0), value=True)
        context = self.encode(input_ids, mask, prefix)
        keys_values = tuple(layer.cross_attention.keys_values(context) for layer in self.decoder.layers)
        start = input_ids.new_full((len(input_ids), 1), self.config.start_token_id)
        return start, Cache(self.config.decoder_depth, 1 + max_new_tokens, mask, keys_values)

    def next_logits(self, input_ids: Tensor, cache: Cache) -> Tensor:
        """Logits (batch, vocab_size) of the output token after `input_ids` (batch, n), which follow what is in the cache."""
        features = self.decoder(self.tokens(input_ids), attention_mask=cache.attention_mask, cache=cache)
        return self._logits(features[:, -1])

    def _logits(self, features: Tensor) -> Tensor:
        if self.config.scaled_output:
            features = features * self.config.width**-0.5
        return F.linear(features, self.tokens.weight if self.output is None else self.output.weight)

    def _initialize(self) -> None:
        """As the authors do: each layer by the number of its inputs, queries smaller by sqrt(head_dim), for attention does not divide by it."""
        config = self.config
        inner = config.num_heads * config.head_dim
        stds = {"to_q": (config.width * config.head_dim) ** -0.5, "to_out.0": inner**-0.5, "down": config.hidden**-0.5}
        nn.init.normal_(self.tokens.weight, std=1.0)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear) or name.endswith("distances"):
                std = next((std for end, std in stds.items() if name.endswith(end)), config.width**-0.5)
                nn.init.normal_(module.weight, std=std)

    @classmethod
    def from_hub(cls, source: str | Path) -> Self:
        """A published T5 in the layout of transformers' `T5ForConditionalGeneration`, in evaluation mode.

        `T5.from_hub("google-t5/t5-small")`, or `google/t5-v1_1-small`, for two.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_transformers`.
        """
        settings, weights = read_transformers(source, "t5", {"layer_norm_epsilon": EPS})
        weights = own_names(weights)
        model = cls(published_config(settings, tied="output.weight" not in weights))
        load_weights(model, weights, source)
        return model.eval()


def distance_buckets(
    offsets: Tensor, num_buckets: int = 32, max_distance: int = 128, both_directions: bool = True
) -> Tensor:
    """The bucket of each distance: (...) int64 in [0, num_buckets) (section 2.1).

    Half of the buckets are for one distance each, the others grow by a constant factor up to `max_distance`.

    Args:
        offsets: (...) int64, from the token that looks to the one that is looked at; negative is back.
        both_directions: half of all buckets are for what follows; else what follows is in bucket 0.
    """
    side = num_buckets // 2 if both_directions else num_buckets
    distances = offsets.abs() if both_directions else (-offsets).clamp(min=0)
    exact = side // 2
    growth = torch.log(distances.clamp(min=1).float() / exact) / math.log(
        max_distance / exact
    )  # 0 at exact, 1 at the end
    far = (exact + (growth * (side - exact)).long()).clamp(max=side - 1)
    buckets = torch.where(distances < exact, distances, far)
    return buckets + side * (offsets > 0) if both_directions else buckets


def shifted(labels: Tensor, start_token_id: int) -> Tensor:
    """What the decoder reads while it writes `labels` (batch, m): the start token, then all but the last; padding (-100) as start token."""
    labels = labels.masked_fill(labels == IGNORED, start_token_id)
    return torch.cat([torch.full_like(labels[:, :1], start_token_id), labels[:, :-1]], dim=1)


RENAMED = (
    (r"^shared", "tokens"),
    (r"^lm_head", "output"),
    (r"\.block\.(\d+)\.layer\.0\.SelfAttention\.relative_attention_bias", ".distances"),
    (r"\.block\.(\d+)\.layer\.0\.SelfAttention", r".layers.\1.attention"),
    (r"\.block\.(\d+)\.layer\.0\.layer_norm", r".layers.\1.norm1"),
    (r"\.block\.(\d+)\.layer\.1\.EncDecAttention", r".layers.\1.cross_attention"),
    (r"^decoder\.block\.(\d+)\.layer\.1\.layer_norm", r"decoder.layers.\1.norm2"),
    (r"\.block\.(\d+)\.layer\.\d\.layer_norm", r".layers.\1.norm3"),
    (r"\.block\.(\d+)\.layer\.\d\.DenseReluDense", r".layers.\1.feed_forward"),
    (r"attention\.q\.", "attention.to_q."),
    (r"attention\.k\.", "attention.to_k."),
    (r"attention\.v\.", "attention.to_v."),
    (r"attention\.o\.", "attention.to_out.0."),
    (r"\.wi\.", ".up."),
    (r"\.wi_0\.", ".gate."),  # the one with GELU
    (r"\.wi_1\.", ".up."),
    (r"\.wo\.", ".down."),
    (r"\.final_layer_norm", ".norm"),
)
COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")


def own_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of transformers' layout under our names.

    Old files repeat the table of tokens, and hold distances of the cross-attention, which are not used.
    """
    kept = {
        name: tensor
        for name, tensor in weights.items()
        if name not in COPIES and not name.endswith("EncDecAttention.relative_attention_bias.weight")
    }
    if "lm_head.weight" in kept and kept["lm_head.weight"].equal(kept["shared.weight"]):
        del kept["lm_head.weight"]
    return renamed(kept, RENAMED)


def published_config(settings: dict[str, Any], tied: bool) -> T5Config:
    """Our config for the settings of a transformers `T5Config`.

    There, a false `tie_word_embeddings` says that the output is not scaled, and version 5 writes `scale_decoder_outputs` in its place.
    """
    return T5Config(
        vocab_size=settings["vocab_size"],
        width=settings["d_model"],
        depth=settings["num_layers"],
        decoder_depth=settings.get("num_decoder_layers") or settings["num_layers"],
        num_heads=settings["num_heads"],
        head_dim=settings["d_kv"],
        hidden=settings["d_ff"],
        gated=settings.get("feed_forward_proj", "relu") == "gated-gelu",
        tied=tied,
        scaled_output=settings.get("scale_decoder_outputs", settings.get("tie_word_embeddings") is not False),
        num_buckets=settings.get("relative_attention_num_buckets", 32),
        max_distance=settings.get("relative_attention_max_distance", 128),
        start_token_id=settings.get("decoder_start_token_id") or 0,
    )
