"""BLIP's text transformer in its three roles, and what a writer needs.

    text encoder                    tokens see all of the text
    image-grounded text encoder     ... and, by cross-attention, the picture's patches
    image-grounded text decoder     tokens see what is before them, and the patches

Which role it plays is said with each call: `causal` or not, with a `context` or without.

Paper: Li, Li, Xiong & Hoi, ICML 2022, section 3.1 and figure 2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.captioning_vqa.image_encoder import initialize
from course_utils.layers.attention import Attention, causal_mask, check_length, check_mask
from course_utils.layers.caching import Cache, KeyValues
from course_utils.layers.embeddings import TokenEmbedding
from course_utils.layers.transformer import MLP

EPS = 1e-12  # of the layer norms


class TextLayer(nn.Module):
    """Tokens (batch, n, width) look at one another, then at a context if there is one, then each thinks alone: norm(x + F(x)) each time."""

    def __init__(self, width: int, num_heads: int, hidden: int, context_width: int):
        super().__init__()
        self.attention = Attention(width, num_heads)
        self.cross_attention = Attention(width, num_heads, context_width)
        self.mlp = MLP(width, hidden, "gelu")
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width, EPS) for _ in range(3))

    def forward(
        self,
        tokens: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
        context: Tensor | tuple[Tensor, Tensor] | None = None,
        context_mask: Tensor | None = None,
        cache: KeyValues | None = None,
    ) -> Tensor:
        """Arguments as for `Attention.forward`; `context_mask` says which of the context's tokens are real."""
        tokens = self.norm1(tokens + self.attention(tokens, mask=mask, causal=causal, cache=cache))
        if context is not None:
            tokens = self.norm2(tokens + self.cross_attention(tokens, context, context_mask))
        return self.norm3(tokens + self.mlp(tokens))


class TextTransformer(nn.Module):
    """Texts, ids (batch, n) int64 in [0, vocab_size), to features (batch, n, width) in any of the three roles.

    Args:
        context_width: of the tokens that cross-attention looks at.
    """

    def __init__(
        self, vocab_size: int, max_positions: int, width: int, depth: int, num_heads: int, hidden: int, context_width: int
    ):  # fmt: skip
        super().__init__()
        self.max_positions = max_positions
        self.tokens = TokenEmbedding(vocab_size, width)
        self.positions = nn.Embedding(max_positions, width)
        self.norm = nn.LayerNorm(width, EPS)
        self.layers = nn.ModuleList(TextLayer(width, num_heads, hidden, context_width) for _ in range(depth))
        initialize(self)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
        *,
        causal: bool = False,
        cache: Cache | None = None,
    ) -> Tensor:
        """The last layer's output for each token.

        Args:
            input_ids: (batch, n); with a `cache` those that are new.
            attention_mask: (batch, n) bool, True at real tokens; padding stands on the right.
            context: what the tokens look at, (batch, m, context_width); without it there is no cross-attention.
            context_mask: (batch, m) bool, which of the context are real.
            causal: tokens see no later ones.
            cache: of the tokens before these and of the context; it is extended.

        Raises:
            ValueError: a text is longer than `max_positions`, a mask has another shape, or ids are outside of the vocabulary.
        """
        batch, new = input_ids.shape
        past = 0 if cache is None else cache.length
        check_length(past + new, self.max_positions)
        attention_mask = check_mask(attention_mask, batch, past + new)
        plain = causal and attention_mask is None and past == 0
        mask = None if attention_mask is None else attention_mask[:, None, None]  # (batch, 1, 1, n)
        if causal and not plain:
            mask = causal_mask(new, past, attention_mask, input_ids.device)
        if context_mask is not None:
            context_mask = context_mask[:, None, None]  # (batch, 1, 1, m): for all heads and queries
        tokens = self.norm(self.tokens(input_ids) + self.positions.weight[past : past + new])
        for number, layer in enumerate(self.layers):
            if cache is None:
                tokens = layer(tokens, mask, plain, context, context_mask)
            else:
                tokens = layer(tokens, mask, plain, cache.context[number], context_mask, cache.layers[number])
        return tokens


class TextDecoder(nn.Module):
    """A text transformer that writes while it looks at a context: logits (batch, n, vocab_size), those at t of token t + 1."""

    def __init__(self, text: TextTransformer):
        super().__init__()
        vocab_size, width = text.tokens.weight.shape
        self.text = text
        self.head = nn.Linear(width, width)
        self.head_norm = nn.LayerNorm(width, EPS)
        self.head_bias = nn.Parameter(torch.zeros(vocab_size))
        initialize(self.head)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """The logits. Arguments and errors as for `TextTransformer.forward`."""
        features = self.text(input_ids, attention_mask, context, context_mask, causal=True, cache=cache)
        features = self.head_norm(F.gelu(self.head(features)))
        return F.linear(features, self.text.tokens.weight, self.head_bias)


class Grounded:
    """What `language.generation` asks of a model: a decoder that looks at a context (batch, m, context_width) while it writes."""

    def __init__(self, decoder: TextDecoder, context: Tensor, context_mask: Tensor | None = None):
        self.decoder, self.context, self.context_mask = decoder, context, context_mask

    def begin(self, input_ids: Tensor, attention_mask: Tensor | None, max_new_tokens: int) -> tuple[Tensor, Cache]:
        """The prompt, and a cache that holds the context's keys and values for each layer.

        Raises:
            ValueError: the text would become longer than the decoder's positions, or the prompt is padded.
        """
        if attention_mask is not None:
            raise ValueError(
                "positions are counted from the left: prompts of one batch must be equally long, no padding"
            )
        layers, length = self.decoder.text.layers, input_ids.shape[1] + max_new_tokens
        check_length(length, self.decoder.text.max_positions)
        keys_values = tuple(layer.cross_attention.keys_values(self.context) for layer in layers)
        return input_ids, Cache(len(layers), length, self.context_mask, keys_values)

    def next_logits(self, input_ids: Tensor, cache: Cache) -> Tensor:
        """Logits (batch, vocab_size) of the token after `input_ids` (batch, n), which follow what is in the cache."""
        return self.decoder(input_ids, context_mask=cache.attention_mask, cache=cache)[:, -1]


def share(decoder: TextTransformer, encoder: TextTransformer) -> None:
    """Give the decoder all of the encoder's parts but self-attention with its norm (section 3.1)."""
    decoder.tokens, decoder.positions, decoder.norm = encoder.tokens, encoder.positions, encoder.norm
    for mine, theirs in zip(decoder.layers, encoder.layers, strict=True):
        mine.cross_attention, mine.norm2 = theirs.cross_attention, theirs.norm2
        mine.mlp, mine.norm3 = theirs.mlp, theirs.norm3
