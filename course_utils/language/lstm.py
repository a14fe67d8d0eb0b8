"""LSTM language model: what read texts before transformers.

One vector is carried from token to token, and gates say what is kept of it, what is taken in, and what is let out:

    c_t = f_t c_(t-1) + i_t g_t,        h_t = o_t tanh(c_t)

All that was read has to fit into (h, c), and tokens are read one after the other. A transformer keeps every token, and reads all of a text at once.

Papers: Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 1997; Gers, Schmidhuber & Cummins, 2000 (the gate f). As a language
model: Zaremba, Sutskever & Vinyals, "Recurrent neural network regularization", 2014.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.language.corruption import IGNORED
from course_utils.layers.attention import check_mask
from course_utils.layers.embeddings import TokenEmbedding


@dataclass(frozen=True)
class LSTMConfig:
    """Settings of an `LSTM`.

    Attributes:
        vocab_size: number of tokens.
        width: of a token, and of the vectors that are carried.
        depth: number of layers, each of which reads what the one below lets out.
    """

    vocab_size: int
    width: int = 128
    depth: int = 2


class LSTM(nn.Module):
    """Logits of the next token after each token of a text; texts are `input_ids` (batch, n) int64 in [0, vocab_size).

    For comparison only, and so no model to be published: torch's own LSTM cannot be compiled without a graph break.
    """

    def __init__(self, config: LSTMConfig):
        super().__init__()
        self.config = config
        self.tokens = TokenEmbedding(config.vocab_size, config.width)
        self.lstm = nn.LSTM(config.width, config.width, config.depth, batch_first=True)
        nn.init.normal_(self.tokens.weight, std=config.width**-0.5)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits (batch, n, vocab_size); those at t are of token t + 1.

        Raises:
            ValueError: if ids are outside of the vocabulary.
        """
        features, _ = self.lstm(self.tokens(input_ids))
        return F.linear(features, self.tokens.weight)  # the table of tokens serves twice, as in GPT-2

    def loss(self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """-log p(token | tokens before it) in nats, a mean over all real tokens but the first of each text: a scalar.

        Args:
            attention_mask: (batch, n) bool, True at real tokens; padding comes last.
            labels: (batch, n) int64, the tokens to predict, in the same places as in `input_ids`; -100 where nothing is to be
                predicted. By default the real tokens of `input_ids`.
        """
        if labels is None:
            mask = check_mask(attention_mask, *input_ids.shape)
            labels = input_ids if mask is None else input_ids.masked_fill(~mask, IGNORED)
        # (batch, n - 1, vocab_size) -> (batch * (n - 1), vocab_size)
        logits = self(input_ids)[:, :-1].flatten(0, 1).float()
        return F.cross_entropy(logits, labels[:, 1:].flatten(), ignore_index=IGNORED)
