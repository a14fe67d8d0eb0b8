"""GPT-2: a transformer that reads a text from left to right and says what comes next.

    p(text) = product over t of p(token_t | tokens before t)

Each token looks only at itself and at those before it (a causal mask), so one pass over a text trains as many predictions as it has tokens; and
what has been read need not be read again when a token is added (KV cache). Any task that can be written as a text can be asked of it.

Papers: Radford, Narasimhan, Salimans & Sutskever, "Improving language understanding by generative pre-training", 2018 (GPT-1, which normalises
after each half of a layer, not before); Radford et al., "Language models are unsupervised multitask learners", 2019, section 2.3; Brown et al.,
NeurIPS 2020 (GPT-3). Tied embeddings: Press & Wolf, EACL 2017.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.hub import HubModel, WeightsError, config_coders, load_weights, read_transformers, renamed
from course_utils.language.corruption import IGNORED, real_labels
from course_utils.layers.attention import causal_mask, check_length, check_mask
from course_utils.layers.caching import Cache
from course_utils.layers.embeddings import TokenEmbedding
from course_utils.layers.transformer import PreNormLayer

EPS = 1e-5  # of the layer norms


@dataclass(frozen=True)
class GPT2Config:
    """Settings of a `GPT2`; the defaults are those of the smallest published one, 124 M numbers.

    Attributes:
        vocab_size: number of tokens.
        max_positions: longest text.
        width: of a token; the feed-forward layers are four times as wide.
        depth: number of layers.
        num_heads: of every attention.
        activation: of the feed-forward layers, a name of `layers.transformer.ACTIVATIONS`; OPT has `relu`.
    """

    vocab_size: int = 50257
    max_positions: int = 1024
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    activation: str = "tanh_gelu"


class GPT2(nn.Module, HubModel, coders=config_coders(GPT2Config)):
    """Logits of the next token after each token of a text; texts are `input_ids` (batch, n) int64 in [0, vocab_size).

    Texts of different lengths share a batch with an `attention_mask` (batch, n), True at real tokens. Padding may stand on either side:
    positions are counted from the first real token. Before a text there may be a `prefix` (batch, p, width) of vectors that are no
    words, such as what a picture was made into; the model reads it as if it were embedded tokens.
    """

    def __init__(self, config: GPT2Config):
        super().__init__()
        self.config = config
        self.tokens = TokenEmbedding(config.vocab_size, config.width)
        self.positions = nn.Embedding(config.max_positions, config.width)
        self.layers = nn.ModuleList(
            PreNormLayer(config.width, config.num_heads, 4 * config.width, config.activation, EPS)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width, EPS)
        self._initialize()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, prefix: Tensor | None = None) -> Tensor:
        """Logits (batch, p + n, vocab_size); those at t are of token t + 1. Arguments and errors as for `encode`."""
        return self._logits(self.encode(input_ids, attention_mask, prefix=prefix))

    def encode(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        cache: Cache | None = None,
        prefix: Tensor | None = None,
    ) -> Tensor:
        """The last layer's output for each vector of the prefix and each token, (batch, p + n, width); without a prefix p is 0.

        Args:
            input_ids: (batch, n); with a `cache` those that are new.
            attention_mask: (batch, p + n) bool, True at real tokens; with a `cache` (batch, what was read and what is new).
            cache: of the tokens before these; it is extended.
            prefix: (batch, p, width), what stands before the tokens.

        Raises:
            ValueError: the text is longer than `max_positions`, the mask has another shape, or ids are outside of the vocabulary.
        """
        tokens = self.tokens(input_ids)
        if prefix is not None:
            tokens = torch.cat([prefix, tokens], dim=1)
        batch, new, _ = tokens.shape
        past = 0 if cache is None else cache.length
        check_length(past + new, self.config.max_positions)
        attention_mask = check_mask(attention_mask, batch, past + new)
        plain = attention_mask is None and past == 0  # the case for which there are kernels without a mask in memory
        mask = None if plain else causal_mask(new, past, attention_mask, input_ids.device)
        if attention_mask is None:
            places = torch.arange(past, past + new, device=input_ids.device)
        else:
            places = (attention_mask.cumsum(dim=1) - 1).clamp(min=0)[:, past:]
        tokens = tokens + self.positions(places)
        for number, layer in enumerate(self.layers):
            tokens = layer(tokens, mask, plain, None if cache is None else cache.layers[number])
        return self.norm(tokens)

    def loss(self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """-log p(token | tokens before it) in nats, a mean over all real tokens but the first of each text: a scalar.

        Args:
            labels: (batch, n) int64, the tokens to predict, in the same places as in `input_ids`; -100 where nothing is to be
                predicted. By default the real tokens of `input_ids`.
        """
        logits = self(input_ids, attention_mask)
        if labels is None:
            labels = real_labels(input_ids, attention_mask)
        # (batch, n - 1, vocab_size) -> (batch * (n - 1), vocab_size)
        return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED)

    def begin(
        self, input_ids: Tensor, attention_mask: Tensor | None, max_new_tokens: int, prefix: Tensor | None = None
    ) -> tuple[Tensor, Cache]:
        """What `generation` starts from: the prompt itself, and an empty cache with room for it and `max_new_tokens` more.

        Args:
            input_ids: (batch, n), with a prefix perhaps no tokens at all.
            attention_mask: (batch, n) bool, which of these are real.
            prefix: (batch, p, width), to be read before the prompt.

        Raises:
            ValueError: as `encode`, also where the text would become too long.
        """
        batch, length = input_ids.shape
        mask = check_mask(attention_mask, batch, length)
        if prefix is not None:
            length += prefix.shape[1]
            mask = None if mask is None else F.pad(mask, (prefix.shape[1], 0), value=True)
        check_length(length + max_new_tokens, self.config.max_positions)
        return input_ids, Cache(self.config.depth, length + max_new_tokens, mask, prefix=prefix)

    def next_logits(self, input_ids: Tensor, cache: Cache) -> Tensor:
        """Logits (batch, vocab_size) of the token after `input_ids` (batch, n), which follow what is in the cache."""
        if cache.attention_mask is not None and cache.length:  # all that is generated is real
            cache.attention_mask = F.pad(cache.attention_mask, (0, input_ids.shape[1]), value=True)
        prefix, cache.prefix = cache.prefix, None
        return self._logits(self.encode(input_ids, cache.attention_mask, cache, prefix)[:, -1])

    def _logits(self, features: Tensor) -> Tensor:
        return F.linear(features, self.tokens.weight)

    def _initialize(self) -> None:
        """Normal with 0.02; smaller by sqrt(2 * depth) where a layer adds to the residual stream (Radford et al. 2019, section 2.3)."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                adds = name.endswith(("to_out.0", "mlp.down"))
                nn.init.normal_(module.weight, std=0.02 / (2 * self.config.depth) ** 0.5 if adds else 0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    @classmethod
    def from_hub(cls, source: str | Path) -> Self:
        """A published GPT-2 in the layout of transformers' `GPT2LMHeadModel`, in evaluation mode: `GPT2.from_hub("openai-community/gpt2")`.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_transformers`; WeightsError also if the output layer is not the
                table of tokens.
        """
        only = {"activation_function": "gelu_new", "layer_norm_epsilon": EPS, "scale_attn_weights": True,
                "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False, "tie_word_embeddings": True}  # fmt: skip
        settings, weights = read_transformers(source, "gpt2", only)
        model = cls(published_config(settings))
        load_weights(model, own_names(weights), source)
        return model.eval()


RENAMED = (
    (r"^transformer\.", ""),
    (r"^wte", "tokens"),
    (r"^wpe", "positions"),
    (r"^h\.(\d+)\.ln_(\d)", r"layers.\1.norm\2"),
    (r"^h\.(\d+)\.attn\.c_proj", r"layers.\1.attention.to_out.0"),
    (r"^h\.(\d+)\.mlp\.c_fc", r"layers.\1.mlp.up"),
    (r"^h\.(\d+)\.mlp\.c_proj", r"layers.\1.mlp.down"),
    (r"^h\.(\d+)\.attn", r"layers.\1.attention"),
    (r"^ln_f", "norm"),
)


def own_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of transformers' layout under our names.

    There, matrices are stored (in, out), queries, keys and values are one matrix, and old files hold the causal mask (`attn.bias`).

    Raises:
        WeightsError: if there is an output layer that differs from the table of tokens.
    """
    named: dict[str, Tensor] = {}
    for name, tensor in renamed(weights, RENAMED).items():
        if name.endswith(("attention.bias", "attention.masked_bias")):
            continue
        if tensor.ndim == 2 and name.startswith("layers."):
            tensor = tensor.T
        if ".c_attn." in name:
            for part, piece in zip(("to_q", "to_k", "to_v"), tensor.chunk(3), strict=True):
                named[name.replace("c_attn", part)] = piece.contiguous()
        else:
            named[name] = tensor.contiguous()
    head = named.pop("lm_head.weight", None)
    if head is not None and not head.equal(named["tokens.weight"]):
        raise WeightsError("lm_head.weight differs from wte.weight, but in GPT-2 they are one table")
    return named


def published_config(settings: dict[str, Any]) -> GPT2Config:
    """Our config for the settings of a transformers `GPT2Config`.

    Raises:
        WeightsError: if the feed-forward layers are not four times as wide as a token.
    """
    width = settings["n_embd"]
    if settings.get("n_inner") not in (None, 4 * width):
        raise WeightsError(
            f"n_inner is {settings['n_inner']}, but our feed-forward layers have {4 * width} = 4 * n_embd"
        )
    return GPT2Config(
        settings["vocab_size"], settings["n_positions"], width, settings["n_layer"], settings["n_head"]
    )  # fmt: skip
