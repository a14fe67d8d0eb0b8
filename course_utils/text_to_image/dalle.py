"""DALL-E: a picture as a text of codes that goes on where its caption ends, in one causal transformer.

A discrete autoencoder turns a picture into a grid of codes (`autoencoders.vqvae`, or the published `dvae`). Caption and codes become one sequence of
one vocabulary, words first and then the grid row by row, and a transformer learns it as GPT-2 learns a text:

    p(text, codes) = product over i of p(token_i | tokens before i),        loss = 1/8 (-log p of a word) + 7/8 (-log p of a code)

What is lacking of a text of full length is filled with padding that is a token of its own at each position, so that pictures always begin
at one place. Words have a position, codes a row and a column; at a word's place only words are predicted, at a code's only codes. To draw, the text
is given and the codes are sampled; known codes come first where a picture is to be completed. A caption that is left out now and then in training
gives p(codes) too, and

    logits = logits(nothing) + s (logits(text) - logits(nothing))

exaggerates what the text says. Of several pictures, CLIP chooses the one that fits its text best.

Papers: Ramesh et al., "Zero-shot text-to-image generation", ICML 2021, sections 2.2 and 2.6. Its attention is sparse; over a grid as small as ours it
is full. Guidance of logits: Gafni et al., "Make-A-Scene", ECCV 2022, section 3.4, after Ho & Salimans, 2022.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.hub import HubModel, config_coders
from course_utils.language.generation import generate
from course_utils.layers.attention import causal_mask, check_mask
from course_utils.layers.caching import Cache
from course_utils.layers.transformer import PreNormLayer

EPS = 1e-5  # of the layer norms
TEXT_WEIGHT = 1 / 8  # of the loss of the words; the codes have the rest (section 2.2)


@dataclass(frozen=True)
class DalleConfig:
    """Settings of a `Dalle`; sizes of vocabularies, text and grid are by default those of the paper, where width is 3968, depth 64 and heads 62.

    The joint vocabulary is: words, then the paddings of the text's positions, then codes, then the start token.

    Attributes:
        text_vocabulary: number of words (tokens of text).
        text_length: positions of a text.
        num_codes: entries of the autoencoder's codebook.
        grid_size: rows and columns of the grid of codes.
        width: of a token; the feed-forward layers are four times as wide.
        depth: number of layers.
        num_heads: of every attention.
    """

    text_vocabulary: int = 16384
    text_length: int = 256
    num_codes: int = 8192
    grid_size: int = 32
    width: int = 512
    depth: int = 8
    num_heads: int = 8

    @property
    def places(self) -> int:
        """Codes of a picture."""
        return self.grid_size**2

    @property
    def first_code(self) -> int:
        """The id that code 0 has in the joint vocabulary."""
        return self.text_vocabulary + self.text_length

    @property
    def start(self) -> int:
        """The id of the start token, the last of the joint vocabulary."""
        return self.first_code + self.num_codes


class Logits(NamedTuple):
    """Of each token, given all before it."""

    text: Tensor  # (batch, text_length, text_vocabulary)
    codes: Tensor  # (batch, places, num_codes)


class Losses(NamedTuple):
    """Both parts of the loss, in nats a token."""

    text: Tensor  # scalar: mean over the real words
    codes: Tensor  # scalar: mean over all codes

    @property
    def joint(self) -> Tensor:
        """The weighted sum that is trained: a scalar."""
        return TEXT_WEIGHT * self.text + (1 - TEXT_WEIGHT) * self.codes


class Dalle(nn.Module, HubModel, coders=config_coders(DalleConfig)):
    """The transformer. Captions are (batch, text_length) int64 with an `attention_mask` bool, True at words and then False; codes are
    (batch, grid_size, grid_size) int64."""

    def __init__(self, config: DalleConfig):
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.start + 1, config.width)
        self.text_positions = nn.Embedding(1 + config.text_length, config.width)  # the first is that of the start token
        self.rows, self.columns = (nn.Embedding(config.grid_size, config.width) for _ in range(2))
        self.layers = nn.ModuleList(
            PreNormLayer(config.width, config.num_heads, 4 * config.width, "tanh_gelu", EPS)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width, EPS)
        self.to_words = nn.Linear(config.width, config.text_vocabulary)
        self.to_codes = nn.Linear(config.width, config.num_codes)
        self._initialize()

    def forward(self, text: Tensor, attention_mask: Tensor, codes: Tensor) -> Logits:
        """Logits of each word and each code, given all before it.

        Args:
            text: (batch, text_length) int64 in [0, text_vocabulary); what stands where the mask is False does not matter.
            attention_mask: (batch, text_length) bool, True at words.
            codes: (batch, grid_size, grid_size) int64 in [0, num_codes).

        Raises:
            ValueError: if a shape is another one.
        """
        length = self.config.text_length
        ids = self.joint_ids(text, attention_mask, codes.flatten(1))
        features = self.encode(ids[:, :-1])  # what stands at i knows the tokens up to i, and predicts the next
        return Logits(self.to_words(features[:, :length]), self.to_codes(features[:, length:]))

    def losses(self, text: Tensor, attention_mask: Tensor, codes: Tensor) -> Losses:
        """-log p of words and of codes, each a mean over its kind (section 2.2). Arguments and errors as for `forward`."""
        logits = self(text, attention_mask, codes)
        return Losses(
            words_loss(logits.text, text, attention_mask),
            F.cross_entropy(logits.codes.flatten(0, 1).float(), codes.flatten()),
        )

    def loss(self, text: Tensor, attention_mask: Tensor, codes: Tensor) -> Tensor:
        """1/8 of the words' loss and 7/8 of the codes': a scalar. Arguments and errors as for `forward`."""
        return self.losses(text, attention_mask, codes).joint

    def joint_ids(self, text: Tensor, attention_mask: Tensor, codes: Tensor) -> Tensor:
        """Start token, text and codes (batch, n), the first n of a grid in reading order, in the joint vocabulary: (batch, 1 + text_length + n).

        Raises:
            ValueError: if text or mask have another shape, or there are too many codes.
        """
        config = self.config
        if text.ndim != 2 or text.shape[1] != config.text_length or codes.ndim != 2 or codes.shape[1] > config.places:
            raise ValueError(
                f"expected text (batch, {config.text_length}) and at most {config.places} codes for each, "
                f"got {tuple(text.shape)} and {tuple(codes.shape)}"
            )
        mask = check_mask(attention_mask, *text.shape)
        return F.pad(joint_sequence(text, mask, codes, config.text_vocabulary), (1, 0), value=config.start)

    def encode(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """The last layer's output for each token of a joint sequence (batch, n): (batch, n, width).

        Args:
            ids: as `joint_ids` makes them; with a `cache` those that are new.
            cache: of the tokens before these; it is extended.
        """
        past, new = 0 if cache is None else cache.length, ids.shape[1]
        places = (self.rows.weight[:, None] + self.columns.weight).flatten(0, 1)  # (grid_size, grid_size, width)
        positions = torch.cat([self.text_positions.weight, places])[past : past + new]
        tokens = self.tokens(ids) + positions
        # one new token may see all; many do without a mask in memory if they are the first
        mask = causal_mask(new, past, device=ids.device) if past and new > 1 else None
        for number, layer in enumerate(self.layers):
            tokens = layer(tokens, mask, past == 0, None if cache is None else cache.layers[number])
        return self.norm(tokens)

    def begin(self, input_ids: Tensor, attention_mask: Tensor | None, max_new_tokens: int) -> tuple[Tensor, Cache]:
        """What `language.generation` starts from: a joint sequence that holds the whole text, and an empty cache."""
        return input_ids, Cache(self.config.depth, input_ids.shape[1] + max_new_tokens)

    def code_logits(self, ids: Tensor, cache: Cache) -> Tensor:
        """Logits (batch, num_codes) of the code after `ids` (batch, n) of the joint vocabulary, which follow what is in the cache."""
        return self.to_codes(self.encode(ids, cache)[:, -1])

    def next_logits(self, input_ids: Tensor, cache: Cache) -> Tensor:
        """`code_logits` in the joint vocabulary, minus infinity at all that is no code: (batch, first_code + num_codes)."""
        return self.in_joint_vocabulary(self.code_logits(input_ids, cache))

    def in_joint_vocabulary(self, logits: Tensor) -> Tensor:
        return F.pad(logits, (self.config.first_code, 0), value=float("-inf"))

    def without_text(self, ids: Tensor) -> Tensor:
        """Joint sequences (batch, n) whose text is all padding: what is trained as "no caption"."""
        first, length = self.config.text_vocabulary, self.config.text_length
        padding = torch.arange(first, first + length, device=ids.device).expand(len(ids), -1)
        return torch.cat([ids[:, :1], padding, ids[:, 1 + length :]], dim=1)

    def generate(
        self,
        text: Tensor,
        attention_mask: Tensor,
        generator: torch.Generator | None = None,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        guidance_scale: float = 1.0,
        known: Tensor | None = None,
    ) -> Tensor:
        """Codes (batch, grid_size, grid_size), one grid for each text.

        Args:
            text, attention_mask: as for `forward`.
            temperature, top_k, top_p: as for `language.generation.generate`.
            guidance_scale: 1 draws from the model as it is and asks it once; others ask it with and without the text.
            known: the first rows of the grid, (batch, rows, grid_size), which are kept; the rest is drawn.

        Raises:
            ValueError: if a shape is another one, ids are outside of their vocabulary, or a setting is out of its range.
        """
        config = self.config
        if known is None:
            known = text.new_zeros(len(text), 0, config.grid_size)
        if known.shape[0] != len(text) or known.shape[2:] != (config.grid_size,) or known.shape[1] >= config.grid_size:
            raise ValueError(
                f"known must be the first rows of a grid, ({len(text)}, fewer than {config.grid_size}, {config.grid_size}), "
                f"got {tuple(known.shape)}"
            )
        _check_ids(text.masked_fill(~attention_mask.bool(), 0), config.text_vocabulary, "text")
        _check_ids(known, config.num_codes, "known")
        prompt = self.joint_ids(text, attention_mask, known.flatten(1))
        model = self if guidance_scale == 1 else Guided(self, guidance_scale)
        left = config.places - known[0].numel()
        ids = generate(model, prompt, left, generator, temperature=temperature, top_k=top_k, top_p=top_p)
        return (ids[:, 1 + config.text_length :] - config.first_code).unflatten(1, (config.grid_size, -1))

    def _initialize(self) -> None:
        """As GPT-2: normal with 0.02, smaller where a layer adds to the residual stream. Tokens and positions are equally large."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                adds = name.endswith(("to_out.0", "mlp.down"))
                nn.init.normal_(module.weight, std=0.02 / (2 * self.config.depth) ** 0.5 if adds else 0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)


class Guided:
    """A `Dalle` that `language.generation` asks for guided logits: each sequence runs twice, with its text and without."""

    def __init__(self, model: Dalle, guidance_scale: float):
        self.model, self.guidance_scale = model, guidance_scale

    def begin(self, input_ids: Tensor, attention_mask: Tensor | None, max_new_tokens: int) -> tuple[Tensor, Cache]:
        return self.model.begin(input_ids, attention_mask, max_new_tokens)

    def next_logits(self, input_ids: Tensor, cache: Cache) -> Tensor:
        without = input_ids if cache.length else self.model.without_text(input_ids)  # the text is in the first call
        conditional, null = self.model.code_logits(torch.cat([input_ids, without]), cache).chunk(2)
        return self.model.in_joint_vocabulary(guided_logits(conditional, null, self.guidance_scale))


def joint_sequence(text: Tensor, attention_mask: Tensor, codes: Tensor, text_vocabulary: int) -> Tensor:
    """Words and codes as one sequence of one vocabulary, (batch, text_length + n) int64.

    A word keeps its id. Where there is none, at position i, stands text_vocabulary + i; code k is text_vocabulary + text_length + k.

    Args:
        text: (batch, text_length) int64; what stands where the mask is False does not matter.
        attention_mask: (batch, text_length) bool, True at words.
        codes: (batch, n) int64, in reading order.
        text_vocabulary: number of words.
    """
    length = text.shape[1]
    padding = text_vocabulary + torch.arange(length, device=text.device)
    words = torch.where(attention_mask, text, padding)
    return torch.cat([words, text_vocabulary + length + codes], dim=1)


def words_loss(logits: Tensor, text: Tensor, attention_mask: Tensor) -> Tensor:
    """-log p of a word in nats, a mean over the real words of the batch: a scalar; 0 where there are none.

    Args:
        logits: (batch, text_length, text_vocabulary), of the word at each position.
        text, attention_mask: (batch, text_length).
    """
    real = attention_mask.bool()
    losses = F.cross_entropy(logits.mT.float(), text.masked_fill(~real, 0), reduction="none")  # (batch, text_length)
    return (losses * real).sum() / real.sum().clamp(min=1)


def guided_logits(conditional: Tensor, null: Tensor, guidance_scale: float) -> Tensor:
    """Logits (batch, num_codes) moved away from those without a text: null + s (conditional - null)."""
    return null + guidance_scale * (conditional - null)


def drop_captions(attention_mask: Tensor, uniform: Tensor, probability: float) -> Tensor:
    """Masks (batch, text_length), some of which hide the whole text: what is left is padding, "no caption".

    Args:
        uniform: (batch,) in [0, 1).
        probability: of being dropped.
    """
    return attention_mask & (uniform >= probability)[:, None]


def rerank(image_embeddings: Tensor, text_embeddings: Tensor) -> Tensor:
    """Which of n pictures fit their text best, by cosine: (batch, n) int64, best first (section 2.6).

    Args:
        image_embeddings: (batch, n, dim), of n pictures for each text, of any length.
        text_embeddings: (batch, dim).
    """
    similarities = F.cosine_similarity(image_embeddings, text_embeddings[:, None], dim=2)  # (batch, n)
    return similarities.argsort(dim=1, descending=True, stable=True)


def _check_ids(ids: Tensor, vocabulary: int, name: str) -> None:
    """Refuse ids that would mean something else in the joint vocabulary."""
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < vocabulary:
        raise ValueError(f"{name} must lie in [0, {vocabulary}), got {int(ids.min())} to {int(ids.max())}")
