"""BERT: a transformer that reads a text in both directions, trained to fill in words that were taken out.

Some tokens are chosen at random and mostly replaced by a mask. The network, in which each token sees all others, says what stood there:

    minimise  -E[ log p(token_i | corrupted text) ]  over the chosen places i

A tenth of the chosen tokens becomes a random one and a tenth stays, for no mask will be seen after pre-training, and every token might be wrong.
Only 15 % of a text teach anything, where a model that reads from left to right learns from each token; in return each word is seen from both sides.

Paper: Devlin, Chang, Lee & Toutanova, "BERT: pre-training of deep bidirectional transformers for language understanding", NAACL 2019, section 3.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.hub import HubModel, config_coders, load_weights, read_transformers, renamed
from course_utils.language.corruption import IGNORED
from course_utils.layers.attention import Attention, check_length, check_mask
from course_utils.layers.embeddings import TokenEmbedding
from course_utils.layers.transformer import MLP

EPS = 1e-12  # of the layer norms


@dataclass(frozen=True)
class BERTConfig:
    """Settings of a `BERT`; the defaults are those of `bert-base-uncased`.

    Attributes:
        vocab_size: number of tokens.
        max_positions: longest text.
        width: of a token.
        depth: number of layers.
        num_heads: of every attention.
        hidden: width of the feed-forward layers.
        num_segments: kinds of `token_type_ids`: the first and the second sentence.
        next_sentence: has the pooler and the layer that says whether the second sentence follows the first.
    """

    vocab_size: int = 30522
    max_positions: int = 512
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    hidden: int = 3072
    num_segments: int = 2
    next_sentence: bool = True


class PostNormLayer(nn.Module):
    """Tokens (batch, n, width) look at one another, then each thinks alone: norm(x + F(x)) twice, as in the first transformers."""

    def __init__(self, width: int, num_heads: int, hidden: int):
        super().__init__()
        self.attention = Attention(width, num_heads)
        self.norm1, self.norm2 = (nn.LayerNorm(width, EPS) for _ in range(2))
        self.mlp = MLP(width, hidden, "gelu")

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        tokens = self.norm1(tokens + self.attention(tokens, mask=mask))
        return self.norm2(tokens + self.mlp(tokens))


class BERT(nn.Module, HubModel, coders=config_coders(BERTConfig)):
    """Logits of the token in each place of a text; texts are `input_ids` (batch, n) int64 in [0, vocab_size).

    `attention_mask` (batch, n) is True at real tokens, and each text has at least one. `token_type_ids` (batch, n) int64 tell a first sentence (0)
    from a second (1).
    """

    def __init__(self, config: BERTConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.tokens = TokenEmbedding(config.vocab_size, width)
        self.positions = nn.Embedding(config.max_positions, width)
        self.segments = nn.Embedding(config.num_segments, width)
        self.norm = nn.LayerNorm(width, EPS)
        self.layers = nn.ModuleList(PostNormLayer(width, config.num_heads, config.hidden) for _ in range(config.depth))
        self.head = nn.Linear(width, width)
        self.head_norm = nn.LayerNorm(width, EPS)
        self.head_bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.pooler = nn.Linear(width, width) if config.next_sentence else None
        self.follows = nn.Linear(width, 2) if config.next_sentence else None
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Logits (batch, n, vocab_size) of what stands in each place. Arguments and errors as for `encode`."""
        return self._logits(self.encode(input_ids, attention_mask, token_type_ids))

    def encode(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """The last layer's output for each token, (batch, n, width).

        Args:
            attention_mask: by default all tokens are real.
            token_type_ids: by default all are 0.

        Raises:
            ValueError: the text is longer than `max_positions`, mask or types have another shape, or ids are outside of the vocabulary.
        """
        batch, length = input_ids.shape
        check_length(length, self.config.max_positions)
        attention_mask = check_mask(attention_mask, batch, length)
        mask = (
            None if attention_mask is None else attention_mask[:, None, None]
        )  # (batch, 1, 1, n): for all heads and queries
        if token_type_ids is None:
            segments = self.segments.weight[0]
        elif token_type_ids.shape == input_ids.shape:
            segments = self.segments(token_type_ids)
        else:
            raise ValueError(
                f"token_type_ids must have the shape of input_ids, {tuple(input_ids.shape)}, got {tuple(token_type_ids.shape)}"
            )
        tokens = self.norm(self.tokens(input_ids) + self.positions.weight[:length] + segments)
        for layer in self.layers:
            tokens = layer(tokens, mask)
        return tokens

    def pool(self, features: Tensor) -> Tensor:
        """A vector (batch, width) for the whole text: the first token's, [CLS], of `encode`'s (batch, n, width) through a layer and tanh.

        Raises:
            ValueError: if the config says `next_sentence=False`.
        """
        if self.pooler is None:
            raise ValueError("this BERT has no pooler: its config says next_sentence=False")
        return torch.tanh(self.pooler(features[:, 0]))

    def loss(
        self,
        input_ids: Tensor,
        labels: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        next_sentence_labels: Tensor | None = None,
    ) -> Tensor:
        """-log p(token) in nats, a mean over the chosen places; with `next_sentence_labels` plus that of these: a scalar (section 3.1).

        Args:
            input_ids, labels: (batch, n), as `corruption.corrupt_tokens` makes them; labels are -100 where nothing was chosen.
            next_sentence_labels: (batch,) int64, 0 where the second sentence follows the first, 1 where it is from elsewhere.
        """
        features = self.encode(input_ids, attention_mask, token_type_ids)
        logits = self._logits(features).flatten(0, 1).float()  # (batch, n, vocab_size) -> (batch * n, vocab_size)
        loss = F.cross_entropy(logits, labels.flatten(), ignore_index=IGNORED)
        if next_sentence_labels is not None:
            loss = loss + F.cross_entropy(self.follows(self.pool(features)).float(), next_sentence_labels)
        return loss

    def _logits(self, features: Tensor) -> Tensor:
        return F.linear(self.head_norm(F.gelu(self.head(features))), self.tokens.weight, self.head_bias)

    @classmethod
    def from_hub(cls, source: str | Path) -> Self:
        """A published BERT in the layout of transformers' `BertForPreTraining` or `BertForMaskedLM`, in evaluation mode.

        `BERT.from_hub("google-bert/bert-base-uncased")`, for one.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_transformers`.
        """
        only = {"hidden_act": "gelu", "layer_norm_eps": EPS, "position_embedding_type": "absolute", "is_decoder": False}
        settings, weights = read_transformers(source, "bert", only)
        model = cls(published_config(settings, next_sentence="cls.seq_relationship.weight" in weights))
        load_weights(model, own_names(weights), source)
        return model.eval()


RENAMED = (
    (r"gamma$", "weight"),  # files of the first years
    (r"beta$", "bias"),
    (r"^bert\.", ""),
    (r"^embeddings\.word_embeddings", "tokens"),
    (r"^embeddings\.position_embeddings", "positions"),
    (r"^embeddings\.token_type_embeddings", "segments"),
    (r"^embeddings\.LayerNorm", "norm"),
    (r"^encoder\.layer\.(\d+)\.attention\.self\.query", r"layers.\1.attention.to_q"),
    (r"^encoder\.layer\.(\d+)\.attention\.self\.key", r"layers.\1.attention.to_k"),
    (r"^encoder\.layer\.(\d+)\.attention\.self\.value", r"layers.\1.attention.to_v"),
    (r"^encoder\.layer\.(\d+)\.attention\.output\.dense", r"layers.\1.attention.to_out.0"),
    (r"^encoder\.layer\.(\d+)\.attention\.output\.LayerNorm", r"layers.\1.norm1"),
    (r"^encoder\.layer\.(\d+)\.intermediate\.dense", r"layers.\1.mlp.up"),
    (r"^encoder\.layer\.(\d+)\.output\.dense", r"layers.\1.mlp.down"),
    (r"^encoder\.layer\.(\d+)\.output\.LayerNorm", r"layers.\1.norm2"),
    (r"^cls\.predictions\.transform\.dense", "head"),
    (r"^cls\.predictions\.transform\.LayerNorm", "head_norm"),
    (r"^cls\.predictions\.bias", "head_bias"),
    (r"^pooler\.dense", "pooler"),
    (r"^cls\.seq_relationship", "follows"),
)
COPIES = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "embeddings.position_ids")


def own_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of transformers' layout under our names; some files repeat tied tensors and hold the numbers of the positions."""
    return {name: tensor for name, tensor in renamed(weights, RENAMED).items() if name not in COPIES}


def published_config(settings: dict[str, Any], next_sentence: bool) -> BERTConfig:
    """Our config for the settings of a transformers `BertConfig`."""
    return BERTConfig(
        vocab_size=settings["vocab_size"],
        max_positions=settings["max_position_embeddings"],
        width=settings["hidden_size"],
        depth=settings["num_hidden_layers"],
        num_heads=settings["num_attention_heads"],
        hidden=settings["intermediate_size"],
        num_segments=settings["type_vocab_size"],
        next_sentence=next_sentence,
    )
