"""Language models that only count: what a transformer has to beat.

The probability of a token after the n - 1 before it is its share in the training texts, mixed with that of the shorter context, which weighs the
more the more different tokens were seen to follow:

    p(w | h) = (count(h w) + kinds(h) p(w | h')) / (count(h) + kinds(h))

where h' is h without its first token. Order 1 knows how frequent each token is, and no context.

Paper: Witten & Bell, "The zero-frequency problem", IEEE Transactions on Information Theory 1991 (method C); mixed as in Chen & Goodman, ACL 1996.
"""

import torch
from torch import Tensor

from course_utils.layers import draw_uniform


class NGram:
    """Counts of all sequences of up to `order` tokens in texts.

    Args:
        texts: (count, n) int64 in [0, vocab_size); each begins with a token that is there in every text.
        order: of the longest sequences; 1 is a unigram model.
        vocab_size: number of tokens.
        attention_mask: (count, n) bool, True at real tokens; padding comes last.

    Raises:
        ValueError: if vocab_size ** order does not fit into an integer.
    """

    def __init__(self, texts: Tensor, order: int, vocab_size: int, attention_mask: Tensor | None = None):
        if order < 1 or vocab_size**order >= 2**62:
            raise ValueError(
                f"order {order} with {vocab_size} tokens: choose an order from 1 to {int(62 / vocab_size.bit_length())}"
            )
        self.order, self.vocab_size = order, vocab_size
        real = torch.ones_like(texts, dtype=torch.bool) if attention_mask is None else attention_mask
        self.tables = []  # for each length: codes of the sequences, how often each, codes of contexts, how often, how many kinds of followers
        for length in range(1, order + 1):
            sequences = texts.unfold(1, length, 1)[real[:, length - 1 :]]  # (count of sequences, length)
            if length == 1:
                sequences = texts[:, 1:][real[:, 1:]][:, None]  # the first token is given, never said
            codes, counts = self._codes(sequences).unique(return_counts=True)
            contexts, which = (codes // vocab_size).unique(return_inverse=True)
            total = torch.zeros(len(contexts), dtype=torch.int64).index_add(0, which, counts)
            kinds = torch.bincount(which)
            self.tables.append((codes, counts, contexts, total, kinds))

    def log_likelihood(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """log p of each token but the first after those before it, (count, n - 1) float32; 0 at padding."""
        real = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask
        probabilities = torch.full(input_ids[:, 1:].shape, 1 / self.vocab_size)
        for length in range(1, self.order + 1):
            if length > input_ids.shape[1]:
                break
            sequences = input_ids[:, 1:, None] if length == 1 else input_ids.unfold(1, length, 1)
            longer = self._mix(length, self._codes(sequences), probabilities[:, -sequences.shape[1] :])
            probabilities = torch.cat([probabilities[:, : -sequences.shape[1]], longer], dim=1)
        return probabilities.log().masked_fill(~real[:, 1:], 0.0)

    def perplexity(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> float:
        """exp of the mean of -log p over the real tokens but the first of each text."""
        count = input_ids[:, 1:].numel() if attention_mask is None else int(attention_mask[:, 1:].sum())
        return (-self.log_likelihood(input_ids, attention_mask).double().sum() / count).exp().item()

    def sample(self, start: Tensor, max_new_tokens: int, generator: torch.Generator) -> Tensor:
        """Texts (count, 1 + max_new_tokens) that begin with the tokens `start` (count,)."""
        texts, every = start[:, None], torch.arange(self.vocab_size)
        for _ in range(max_new_tokens):
            context = texts[:, -(self.order - 1) :] if self.order > 1 else texts[:, :0]
            next_ones = every.expand(len(texts), -1)[:, :, None]  # (count, vocab_size, 1)
            probabilities = torch.full(next_ones.shape[:2], 1 / self.vocab_size)
            for length in range(1, min(self.order, context.shape[1] + 1) + 1):
                known = (
                    context[:, context.shape[1] - length + 1 :, None].transpose(1, 2).expand(-1, self.vocab_size, -1)
                )
                probabilities = self._mix(length, self._codes(torch.cat([known, next_ones], dim=2)), probabilities)
            share = probabilities.cumsum(dim=1)
            drawn = draw_uniform((len(texts), 1), generator) * share[:, -1:]
            texts = torch.cat([texts, (share < drawn).sum(dim=1, keepdim=True).clamp(max=self.vocab_size - 1)], dim=1)
        return texts

    def _codes(self, sequences: Tensor) -> Tensor:
        """One number for each sequence: (..., length) -> (...)."""
        codes = torch.zeros(sequences.shape[:-1], dtype=torch.int64)
        for token in sequences.unbind(-1):
            codes = codes * self.vocab_size + token
        return codes

    def _mix(self, length: int, codes: Tensor, shorter: Tensor) -> Tensor:
        """Probabilities of the last tokens of sequences, given those from the context that is one token shorter."""
        known, counts, contexts, total, kinds = self.tables[length - 1]
        count = _looked_up(codes, known, counts)
        total, kinds = (_looked_up(codes // self.vocab_size, contexts, values) for values in (total, kinds))
        return torch.where(total > 0, (count + kinds * shorter) / (total + kinds).clamp(min=1), shorter)


def _looked_up(codes: Tensor, known: Tensor, values: Tensor) -> Tensor:
    """The value of each code, 0 where it is not known; `known` is sorted."""
    place = torch.searchsorted(known, codes).clamp(max=len(known) - 1)
    return torch.where(known[place] == codes, values[place], 0)
