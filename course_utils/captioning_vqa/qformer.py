"""Q-Former: learned queries that ask a frozen picture for what a text would want to know.

A picture is hundreds of patch tokens, made by a network that stays frozen. 32 learned vectors, the queries, look at them by cross-attention (in every
second layer), look at each other and at a text by self-attention, and come out as 32 tokens. Queries and text have feed-forward layers of
their own and share all else. Who sees whom is the whole difference between the three tasks of the first stage (rows look, columns are seen):

                      contrast            writing             matching
                   queries  text       queries  text       queries  text
    queries           x       .           x       .           x       x
    text              .       x           x    earlier        x       x

    contrast    largest of the queries' products with the text's [CLS] vector, against other texts and pictures
    writing     the text from the queries alone, token by token: they must have fetched all that it says
    matching    each query votes on "do the two belong together?"

In the second stage the queries' outputs, through one linear layer, are a prefix for a language model (`blip2`).

Papers: Li, Li, Savarese & Hoi, "BLIP-2: bootstrapping language-image pre-training with frozen image encoders and large language models", ICML 2023,
section 3. Dai et al., "InstructBLIP", NeurIPS 2023, section 2.3 (queries that see the question).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.captioning_vqa.blip import TEMPERATURE, BLIPLosses, begun
from course_utils.captioning_vqa.image_encoder import initialize
from course_utils.captioning_vqa.losses import hard_negatives, matching_loss, table_loss, writing_loss
from course_utils.clip.clip import LARGEST_SCALE
from course_utils.hub import HubModel, config_coders
from course_utils.language.corruption import real_labels
from course_utils.layers.attention import Attention, check_length, check_mask
from course_utils.layers.embeddings import TokenEmbedding
from course_utils.layers.transformer import MLP

EPS = 1e-12  # of the layer norms
SIGHTS = ("separate", "causal", "everything")  # for contrast, writing and matching


@dataclass(frozen=True)
class QFormerConfig:
    """Settings of a `QFormer`; the defaults are those of BLIP-2's first stage, and of its second with OPT-2.7b.

    Attributes:
        num_queries: learned vectors.
        width: of a query, and of a token of the text.
        depth: number of layers.
        num_heads: of every attention.
        hidden: width of the feed-forward layers.
        context_width: of the image encoder's tokens.
        cross_every: layers 0, this, twice this ... have cross-attention.
        vocab_size: of texts; 0 for queries only.
        max_positions: longest text.
        dim: of the space of the contrast; 0 for neither contrast nor matching.
        writes: has the output layer of writing.
        start_token_id: [DEC], with which a text begins that is written.
        output_width: of the language model's tokens; 0 without one.
    """

    num_queries: int = 32
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    hidden: int = 3072
    context_width: int = 1408
    cross_every: int = 2
    vocab_size: int = 30523
    max_positions: int = 512
    dim: int = 256
    writes: bool = True
    start_token_id: int = 30522
    output_width: int = 2560


class QFormerOutput(NamedTuple):
    """What comes out of the last layer."""

    queries: Tensor  # (batch, num_queries, width); no queries where no picture was given
    text: Tensor  # (batch, n, width); no tokens where no text was given


class QFormerLayer(nn.Module):
    """Queries and text (batch, q + n, width) look at one another, queries at the picture, then each thinks alone: norm(x + F(x)) each time."""

    def __init__(self, config: QFormerConfig, cross: bool):
        super().__init__()
        width = config.width
        self.attention = Attention(width, config.num_heads)
        self.norm1 = nn.LayerNorm(width, EPS)
        self.cross_attention = Attention(width, config.num_heads, config.context_width) if cross else None
        self.norm2 = nn.LayerNorm(width, EPS) if cross else None
        self.query_mlp = MLP(width, config.hidden, "gelu")
        self.query_norm3 = nn.LayerNorm(width, EPS)
        self.mlp = MLP(width, config.hidden, "gelu") if config.vocab_size else None
        self.norm3 = nn.LayerNorm(width, EPS) if config.vocab_size else None

    def forward(self, tokens: Tensor, num_queries: int, image_tokens: Tensor | None, mask: Tensor | None) -> Tensor:
        """`num_queries` of the tokens are queries and come first; `mask` as for `Attention.forward`."""
        tokens = self.norm1(tokens + self.attention(tokens, mask=mask))
        queries, text = tokens[:, :num_queries], tokens[:, num_queries:]
        if num_queries and self.cross_attention is not None:
            queries = self.norm2(queries + self.cross_attention(queries, image_tokens))
        queries = self.query_norm3(queries + self.query_mlp(queries))
        if self.mlp is not None:
            text = self.norm3(text + self.mlp(text))
        return torch.cat([queries, text], dim=1)


class QFormer(nn.Module, HubModel, coders=config_coders(QFormerConfig)):
    """Queries over pictures that an image encoder has read: `image_tokens` (batch, m, context_width).

    Texts are `input_ids` (batch, n) int64: [CLS], the words, [SEP], padding; `attention_mask` (batch, n) bool is True at real tokens.
    """

    def __init__(self, config: QFormerConfig):
        super().__init__()
        if (config.dim or config.writes) and not config.vocab_size:
            raise ValueError(
                "contrast, matching and writing need texts: with vocab_size=0, dim must be 0 and writes False"
            )
        self.config = config
        width = config.width
        self.queries = nn.Parameter(torch.empty(1, config.num_queries, width))
        self.tokens = TokenEmbedding(config.vocab_size, width) if config.vocab_size else None
        self.positions = nn.Embedding(config.max_positions, width) if config.vocab_size else None
        self.norm = nn.LayerNorm(width, EPS)
        self.layers = nn.ModuleList(
            QFormerLayer(config, cross=number % config.cross_every == 0) for number in range(config.depth)
        )
        if config.dim:
            self.image_projection, self.text_projection = (nn.Linear(width, config.dim) for _ in range(2))
            self.match_head = nn.Linear(width, 2)
            self.log_scale = nn.Parameter(torch.tensor(math.log(1 / TEMPERATURE)))
        if config.writes:
            self.head = nn.Linear(width, width)
            self.head_norm = nn.LayerNorm(width, EPS)
            self.head_bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.projection = nn.Linear(width, config.output_width) if config.output_width else None
        nn.init.normal_(self.queries, std=0.02)
        initialize(self)

    @property
    def logit_scale(self) -> Tensor:
        """1 / temperature of the contrast, a scalar of at most 100."""
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)

    def forward(
        self, image_tokens: Tensor, input_ids: Tensor | None = None, attention_mask: Tensor | None = None
    ) -> Tensor:
        """What the queries fetched, (batch, num_queries, width); with a text, such as a question, they see that too. Errors as for `read`."""
        return self.read(image_tokens, input_ids, attention_mask).queries

    def read(
        self,
        image_tokens: Tensor | None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        sight: str = "everything",
    ) -> QFormerOutput:
        """Queries and text together, or one of them: without `image_tokens` there are no queries.

        Args:
            sight: who sees whom, one of SIGHTS (see `who_sees_whom`).

        Raises:
            ValueError: unknown sight, neither picture nor text, a text without a vocabulary or too long, or a mask of another shape.
        """
        if image_tokens is None and input_ids is None:
            raise ValueError("neither picture nor text: there is nothing to read")
        parts, num_queries, length = [], 0, 0
        if image_tokens is not None:
            num_queries = self.config.num_queries
            parts.append(self.queries.expand(len(image_tokens), -1, -1))
        if input_ids is not None:
            if self.tokens is None or self.positions is None:
                raise ValueError("this Q-Former reads no texts: its config says vocab_size=0")
            length = input_ids.shape[1]
            check_length(length, self.config.max_positions)
            parts.append(self.tokens(input_ids) + self.positions.weight[:length])
        tokens = self.norm(torch.cat(parts, dim=1))
        mask = who_sees_whom(num_queries, length, sight, tokens.device)
        if length:
            attention_mask = check_mask(attention_mask, *input_ids.shape)
        if length and attention_mask is not None:
            seen = F.pad(attention_mask, (num_queries, 0), value=True)
            mask = mask & seen[:, None, None]  # (q + n, q + n) and (batch, 1, 1, q + n) -> (batch, 1, q + n, q + n)
        for layer in self.layers:
            tokens = layer(tokens, num_queries, image_tokens, mask)
        return QFormerOutput(tokens[:, :num_queries], tokens[:, num_queries:])

    def prefix(
        self, image_tokens: Tensor, input_ids: Tensor | None = None, attention_mask: Tensor | None = None
    ) -> Tensor:
        """The queries' outputs as tokens of the language model, (batch, num_queries, output_width). Arguments and errors as for `forward`."""
        if self.projection is None:
            raise ValueError("this Q-Former speaks to no language model: its config says output_width=0")
        return self.projection(self(image_tokens, input_ids, attention_mask))

    def encode_image(self, image_tokens: Tensor) -> Tensor:
        """Unit vectors of the queries, (batch, num_queries, dim)."""
        return self._image_vectors(self(image_tokens))

    def encode_text(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Unit vectors of texts, (batch, dim): what came of [CLS], which sees no queries."""
        features = self.read(None, input_ids, attention_mask).text
        return F.normalize(self.text_projection(features[:, 0]).float(), dim=1)

    def match(self, image_tokens: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Logits (batch, 2) of "no" and "yes", a mean over the queries' votes: does text i belong to picture i?"""
        return self.match_head(self(image_tokens, input_ids, attention_mask)).mean(dim=1)

    def write(self, image_tokens: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Logits (batch, n, vocab_size) of a text, from the queries and the tokens before; those at t are of token t + 1."""
        input_ids = begun(input_ids, self.config.start_token_id)
        return self._logits(self.read(image_tokens, input_ids, attention_mask, "causal").text)

    def losses(
        self, image_tokens: Tensor, input_ids: Tensor, attention_mask: Tensor | None, uniforms: Tensor
    ) -> BLIPLosses:
        """The first stage (section 3.1) on pictures and their texts, row by row.

        The contrast is with the other pairs of the batch, for with frozen pictures it can be large: no slow copy, no queue.

        Args:
            uniforms: (2, batch, batch) in [0, 1), which draw for each picture another's text, and for each text another's picture.

        Raises:
            ValueError: as for `read`, or the batch is a single pair.
        """
        # in the causal mask queries see no text, so one pass gives the queries of the contrast and the text of writing
        written = begun(input_ids, self.config.start_token_id)
        both = self.read(image_tokens, written, attention_mask, "causal")
        best = best_query(self._image_vectors(both.queries), self.encode_text(input_ids, attention_mask))
        table = self.logit_scale * best
        labels = real_labels(written, attention_mask)

        other_text, other_image = hard_negatives(table, uniforms[0]), hard_negatives(table.T, uniforms[1])
        # true pairs, then each text with another picture, then each picture with another text
        pictures = torch.cat([image_tokens, image_tokens[other_image], image_tokens])
        texts = torch.cat([input_ids, input_ids, input_ids[other_text]])
        masks = None
        if attention_mask is not None:
            masks = torch.cat([attention_mask, attention_mask, attention_mask[other_text]])
        matching = matching_loss(self.match(pictures, texts, masks))
        return BLIPLosses(table_loss(table), matching, writing_loss(self._logits(both.text), labels))

    def loss(self, image_tokens: Tensor, input_ids: Tensor, attention_mask: Tensor | None, uniforms: Tensor) -> Tensor:
        """The sum of `losses`, a scalar. Arguments and errors as there."""
        return torch.stack(self.losses(image_tokens, input_ids, attention_mask, uniforms)).sum()

    def _image_vectors(self, queries: Tensor) -> Tensor:
        return F.normalize(self.image_projection(queries).float(), dim=2)

    def _logits(self, features: Tensor) -> Tensor:
        return F.linear(self.head_norm(F.gelu(self.head(features))), self.tokens.weight, self.head_bias)


def who_sees_whom(num_queries: int, length: int, sight: str, device: torch.device | str | None = None) -> Tensor:
    """The mask of one task, bool (q + n, q + n), queries first: True where the row's token may look at the column's (figure 2).

    Args:
        sight: `separate` (queries see queries, text sees text), `causal` (text sees the queries and the text up to itself, queries see queries) or
            `everything`.

    Raises:
        ValueError: an unknown sight.
    """
    if sight not in SIGHTS:
        raise ValueError(f"sight is {sight!r}, but must be one of {', '.join(SIGHTS)}")
    place = torch.arange(num_queries + length, device=device)
    row, column = place[:, None], place
    looking, seen = row < num_queries, column < num_queries
    if sight == "everything":
        return torch.ones_like(looking | seen)
    if sight == "separate":
        return looking == seen
    return seen | (column <= row)


def best_query(image_vectors: Tensor, text_vectors: Tensor) -> Tensor:
    """The similarity of each picture to each text, (pictures, texts): the largest among the picture's queries (section 3.1).

    Args:
        image_vectors: unit vectors (pictures, num_queries, dim).
        text_vectors: unit vectors (texts, dim).
    """
    return torch.einsum("iqd,td->itq", image_vectors, text_vectors).amax(dim=2)
