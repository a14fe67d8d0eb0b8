"""Tasks from plain text: what BERT and T5 are trained to mend.

BERT's text keeps its length, with some tokens replaced, and labels that say what stood there. T5 takes out spans; in the input a span leaves one
sentinel behind, and the output lists the sentinels with what they hid.

Papers: Devlin, Chang, Lee & Toutanova, NAACL 2019, section 3.1. Raffel et al., JMLR 2020, section 3.1.4.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from course_utils.layers.attention import check_mask

IGNORED = -100  # a label that is no label


def real_labels(input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Ids (batch, n) as labels: -100 at padding, where a mask of that shape is False.

    Raises:
        ValueError: if the mask has another shape, or holds fractions.
    """
    mask = check_mask(attention_mask, *input_ids.shape)
    return input_ids if mask is None else input_ids.masked_fill(~mask, IGNORED)


class Corrupted(NamedTuple):
    """A text for BERT to mend, both (batch, n) int64."""

    input_ids: Tensor  # with masks and random tokens in the chosen places
    labels: Tensor  # what stood in the chosen places, -100 elsewhere


def corrupt_tokens(
    input_ids: Tensor,
    noise: Tensor,
    *,
    vocab_size: int,
    mask_token_id: int,
    keep: Tensor | None = None,
    rate: float = 0.15,
) -> Corrupted:
    """Masked-language-model corruption: of the chosen tokens 80 % become a mask, 10 % a random token, 10 % stay (Devlin et al., appendix A.1).

    Args:
        input_ids: (batch, n) int64.
        noise: (3, batch, n) uniform in [0, 1): chosen or not, what becomes of a chosen one, and which random token.
        vocab_size: random tokens lie in [0, vocab_size).
        mask_token_id: of the mask.
        keep: (batch, n) bool, True at tokens that are never chosen: padding, [CLS], [SEP].
        rate: share of tokens that are chosen.

    Raises:
        ValueError: if the noise has another shape.
    """
    if noise.shape != (3, *input_ids.shape):
        raise ValueError(
            f"noise must be (3, *{tuple(input_ids.shape)}), three numbers a token, got {tuple(noise.shape)}"
        )
    chosen = noise[0] < rate
    if keep is not None:
        chosen = chosen & ~keep
    masked = chosen & (noise[1] < 0.8)
    random = chosen & (noise[1] >= 0.8) & (noise[1] < 0.9)
    random_ids = (noise[2] * vocab_size).long()
    corrupted = torch.where(random, random_ids, input_ids.masked_fill(masked, mask_token_id))
    return Corrupted(corrupted, input_ids.masked_fill(~chosen, IGNORED))


class Spans(NamedTuple):
    """A task of span corruption: input (batch, n - hidden + spans + 1) and output (batch, hidden + spans + 1), int64, each with its end."""

    input_ids: Tensor
    labels: Tensor


def corrupt_spans(
    input_ids: Tensor,
    noise: Tensor,
    *,
    sentinel_ids: Tensor,
    end_token_id: int,
    rate: float = 0.15,
    mean_span: float = 3.0,
) -> Spans:
    """Take spans out of texts, and ask for them (Raffel et al., section 3.1.4).

    A text begins with kept tokens and ends with a hidden span, as in the authors' code. All texts have equal length, so all tasks have too.

    Args:
        input_ids: (batch, n) int64 without padding.
        noise: (batch, n) uniform in [0, 1): where spans begin.
        sentinel_ids: (at least as many as spans,) int64.
        end_token_id: is put at the end of input and output.
        rate: share of tokens to hide; at least one is hidden and at least one kept.
        mean_span: tokens in a span.

    Raises:
        ValueError: the noise has another shape, texts have fewer than two tokens, or there are too few sentinels.
    """
    batch, length = input_ids.shape
    if noise.shape != input_ids.shape or length < 2:
        raise ValueError(
            f"expected texts of two tokens or more and noise of their shape, got {tuple(input_ids.shape)} and {tuple(noise.shape)}"
        )
    hidden, spans = span_counts(length, rate, mean_span)
    if spans > len(sentinel_ids):
        raise ValueError(f"{spans} spans need as many sentinels, got {len(sentinel_ids)}")
    # lengths of kept and hidden spans by turns, and from them whether each token is hidden
    kept_lengths = random_parts(noise[:, : length - hidden], spans)
    hidden_lengths = random_parts(noise[:, length - hidden :], spans)
    ends = torch.stack([kept_lengths, hidden_lengths], dim=2).flatten(1).cumsum(dim=1)  # (batch, 2 * spans)
    place = torch.arange(length, device=input_ids.device)
    turn = (place[:, None] >= ends[:, None]).sum(dim=2)  # (batch, n): how many spans have ended before each token
    is_hidden, span = turn % 2 == 1, turn // 2
    sentinels = sentinel_ids.to(input_ids.device)[span]  # of the hidden span that a token is in, or that comes next
    first = torch.cat([torch.ones_like(turn[:, :1], dtype=torch.bool), turn[:, 1:] != turn[:, :-1]], dim=1)
    end = input_ids.new_full((batch, 1), end_token_id)
    # in the input the first of a hidden span is its sentinel, and the rest is dropped
    inputs = torch.where(is_hidden, sentinels, input_ids)[~is_hidden | first].view(batch, -1)
    # in the output the first of a kept span is the sentinel of the hidden span after it
    outputs = torch.where(is_hidden, input_ids, sentinels)[is_hidden | first].view(batch, -1)
    return Spans(torch.cat([inputs, end], dim=1), torch.cat([outputs, end], dim=1))


def span_counts(length: int, rate: float = 0.15, mean_span: float = 3.0) -> tuple[int, int]:
    """How many of `length` tokens are hidden, and in how many spans."""
    hidden = min(max(round(length * rate), 1), length - 1)
    return hidden, min(max(round(hidden / mean_span), 1), hidden, length - hidden)


def random_parts(noise: Tensor, parts: int) -> Tensor:
    """Cut rows of m tokens into `parts` parts, none empty, all ways equally likely: lengths (batch, parts), from `noise` (batch, m)."""
    batch, total = noise.shape
    cuts = (
        noise[:, 1:].argsort(dim=1)[:, : parts - 1].sort(dim=1).values + 1
    )  # (batch, parts - 1) different places in [1, m)
    edges = torch.cat(
        [torch.zeros_like(noise[:, :1], dtype=torch.int64), cuts, cuts.new_full((batch, 1), total)], dim=1
    )
    return edges.diff(dim=1)
