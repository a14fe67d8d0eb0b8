"""Checks of notebook clip/transformers."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.engine import Case, Check, Draw, Mistake
from course_utils.language.corruption import corrupt_tokens
from course_utils.language.generation import keep_top_k, keep_top_p

__all__ = [
    "attend_with_cache",
    "causal_attention",
    "corrupt",
    "merge_step",
    "multi_head_attention",
    "next_probabilities",
]

NEVER = float("-inf")

# --- exercise 1: attention with a causal mask -------------------------------------------------------------------------


def _causal_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(queries, keys, values, is_causal=True)


Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
Weights = Callable[[Tensor, Tensor, float], Tensor]


def _weighted(weights: Weights) -> Attend:
    """Attention whose weights are made of the inner products (..., n, n), what is hidden (n, n) bool, and sqrt(d)."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        hidden = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool).triu(1)
        return weights(q @ k.mT, hidden, math.sqrt(q.shape[-1])) @ v

    return attend


def _hiding(hide: Callable[[Tensor], Tensor]) -> Attend:
    """Attention that hides something else: a function of what should be hidden, (n, n) bool."""
    return _weighted(lambda scores, hidden, root: (scores / root).masked_fill(hide(hidden), NEVER).softmax(-1))


def _scaling(factor: Callable[[float, int], float]) -> Attend:
    """Attention whose scores have another factor, a function of sqrt(d) and n."""
    return _weighted(
        lambda scores, hidden, root: (scores * factor(root, scores.shape[-1])).masked_fill(hidden, NEVER).softmax(-1)
    )


def _weights_alone(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _causal_attention(q, k, torch.eye(q.shape[-2]).expand(*q.shape[:-1], -1))


def _masking_with(number: float) -> Attend:
    return _weighted(lambda scores, hidden, root: (scores / root).masked_fill(hidden, number).softmax(-1))


def _zero_times_infinity(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _weighted(lambda scores, hidden, root: (scores / root + hidden * NEVER).softmax(-1))(q, k, v)


def _attending(draw: Draw, *shape: int, size: float = 1.5) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of a shape (..., n, d); scores are large enough for the softmax to choose."""
    return size * draw.normal(*shape), size * draw.normal(*shape), draw.normal(*shape)


_NOT_A_NUMBER = "Your result holds NaN. Is a row hidden wholly, so that the softmax has nothing to choose from (each token sees at least itself)? Or is 0 multiplied by infinity?"
_READS_ON = "so it reads the very token that it is to predict, and the loss falls to nothing while nothing is learned"

causal_attention = Check(
    name="causal_attention",
    signature=("queries", "keys", "values"),
    reference=_causal_attention,
    holds="each token looks at itself and at those before it, with weights that add up to 1",
    look='01_transformers, exercise 1 "Attention that cannot look ahead"',
    hint="scores = queries @ keys.mT / sqrt(d), (..., n, n); minus infinity where the key stands later than the query, torch.ones(n, n, dtype=torch.bool).triu(1); softmax over the last axis; times the values.",
    cases=(
        Case("2 texts of 5 tokens, 3 heads of width 6", lambda draw: _attending(draw, 2, 3, 5, 6)),
        Case("3 texts of 4 tokens, width 9, no axis for heads, large scores", lambda draw: _attending(draw, 3, 4, 9, size=3.5)),
        Case("1 text of 1 token", lambda draw: _attending(draw, 1, 2, 1, 6)),
    ),
    hidden_cases=(
        Case("1 text of 9 tokens, 2 heads of width 16", lambda draw: _attending(draw, 1, 2, 9, 16)),
        Case("4 texts of 6 tokens, width 2", lambda draw: _attending(draw, 4, 6, 2)),
    ),
    gradients="required",
    differentiable=("queries", "keys", "values"),
    not_a_number=_NOT_A_NUMBER,
    mistakes=(
        Mistake(
            _hiding(torch.zeros_like),
            f"The mask is missing: every token looks at all of the text, {_READS_ON}.",
        ),
        Mistake(
            _hiding(lambda hidden: ~hidden),
            "The mask is turned: you hide what came before, the token itself too, and keep what comes later. Hidden are keys that stand *after* the query: triu(1).",
        ),
        Mistake(
            _hiding(lambda hidden: hidden.T),
            "The mask is turned: each token sees itself and what comes *later*. Queries are the rows, keys the columns, and hidden is what stands above the diagonal.",
        ),
        Mistake(
            _hiding(lambda hidden: hidden | torch.eye(len(hidden), dtype=torch.bool)),
            "The diagonal is masked: no token sees itself, and the first one sees nothing at all, a softmax over nothing. Hide from the first *above* the diagonal on, triu(1).",
        ),
        Mistake(
            _hiding(lambda hidden: hidden.triu(2)),
            f"The mask begins one place too late: each token sees the next one, {_READS_ON}. triu(1), not triu(2).",
        ),
        Mistake(
            _weighted(lambda scores, hidden, root: (scores / root).softmax(-1).masked_fill(hidden, 0.0)),
            "You mask *after* the softmax: what is hidden has taken its share already, and the weights that are left add up to less than 1. Put minus infinity into the scores, before it.",
        ),
        Mistake(
            _weighted(lambda scores, hidden, root: (scores / root).softmax(-1).masked_fill(hidden, NEVER)),
            "You put minus infinity into the *weights*, after the softmax. It belongs into the scores, before it: the softmax makes 0 of it.",
        ),
        Mistake(
            _weighted(lambda scores, hidden, root: (scores / root).masked_fill(hidden, 0.0).softmax(-1)),
            "Hidden scores are 0 (tril makes zeros, too), and the softmax makes exp(0) = 1 of that, a weight like any other. It has to be minus infinity.",
        ),
        Mistake(
            _weighted(lambda scores, hidden, root: (scores / root + ~hidden).softmax(-1)),
            "You add the mask as numbers: True is 1, so what may be seen gets a little more weight, and nothing is hidden. Use masked_fill with minus infinity.",
        ),
        Mistake(
            _weighted(lambda scores, hidden, root: (scores / root + torch.zeros(hidden.shape).masked_fill(~hidden, NEVER)).softmax(-1)),
            "The mask that you add is minus infinity where a token *may* look, and 0 where it may not: the other way round.",
        ),
        Mistake(
            _scaling(lambda root, n: 1.0),
            "The scores are not divided by sqrt(d): the wider the queries, the larger the scores, until the softmax is all on one token and hardly learns.",
        ),
        Mistake(
            _scaling(lambda root, n: 1 / root**2),
            "You divide by d in place of its root: a sum of d products of independent numbers is about sqrt(d) large.",
        ),
        Mistake(
            _scaling(lambda root, n: root),
            "You multiply the scores by sqrt(d): they are divided by it.",
        ),
        Mistake(
            _scaling(lambda root, n: 1 / math.sqrt(n)),
            "You divide by the root of the number of *tokens*: it is the width d of queries and keys, the last axis.",
        ),
        Mistake(
            _weighted(lambda scores, hidden, root: scores.masked_fill(hidden, NEVER).softmax(-1) / root),
            "You divide by sqrt(d) after the softmax: that shrinks the answer. It is the scores that are divided, before it.",
        ),
        Mistake(
            _weighted(lambda scores, hidden, root: (scores / root).masked_fill(hidden, NEVER).softmax(-2)),
            "The softmax runs over the queries, dim=-2: then the tokens compete for a key. Each *query* divides its attention among the keys, the last axis.",
        ),
        Mistake(
            _weighted(lambda scores, hidden, root: (scores / root).masked_fill(hidden, 0.0)),
            "The softmax is missing: the weights of a token are to be positive and to add up to 1.",
        ),
        Mistake(
            _weighted(lambda scores, hidden, root: (scores / root).masked_fill(hidden, NEVER).sigmoid()),
            "A sigmoid in place of the softmax: the weights of a token do not add up to 1.",
        ),
        Mistake(
            _weighted(lambda scores, hidden, root: torch.zeros_like(scores).masked_fill(hidden, NEVER).softmax(-1)),
            "Every token weighs all before it alike, whatever queries and keys say: the scores, queries @ keys.mT, are missing.",
        ),
        Mistake(
            lambda q, k, v: _causal_attention(k, q, v),
            "Queries and keys are exchanged: row i of the scores belongs to query i, so it is queries @ keys.mT.",
        ),
        Mistake(
            lambda q, k, v: _causal_attention(q, k, k),
            "The keys are used as values. What a token is found by and what it says are different things: multiply the weights by `values`.",
        ),
        Mistake(
            _weights_alone,
            "You return the weights: multiply them by the values.",
        ),
        *(
            Mistake(
                _masking_with(number),
                f"Hidden scores are {number}: that is small, but beside other scores the softmax makes a weight of it. It has to be minus infinity.",
            )
            for number in (-1, -10)
        ),
        Mistake(
            _zero_times_infinity,
            "0 times infinity is NaN, so multiplying a mask of zeros and ones by minus infinity spoils every score that is to stay. Use masked_fill, or torch.full((n, n), -math.inf).triu(1).",
        ),
        Mistake(
            _weighted(lambda scores, hidden, root: (scores / root).masked_fill(hidden | torch.eye(len(hidden), dtype=torch.bool), -1e9).softmax(-1)),
            "The diagonal is masked: no token sees itself. Hide from the first place *above* the diagonal on, triu(1).",
        ),
        Mistake(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool).triu(1)),
            "The mask is turned: for scaled_dot_product_attention True means that a token *may* look, so it is tril().",
        ),
        Mistake(
            _weighted(lambda scores, hidden, root: (scores / root).masked_fill(hidden, NEVER).softmax(2)),
            "The softmax runs over axis 2, which is the last one only where there are three axes: with heads there are four. Count from the end, dim=-1.",
        ),
        Mistake(
            _weighted(lambda scores, hidden, root: (scores / root).masked_fill(hidden, NEVER).softmax(1)),
            "The softmax runs over axis 1, which is that of the queries, or of the heads: each query divides its attention among the *keys*, the last axis, dim=-1.",
        ),
        Mistake(
            _weighted(lambda scores, hidden, root: (scores / root).masked_fill(hidden, NEVER).softmax(-1).mT),
            "The weights are transposed: their rows are the queries, so it is weights @ values.",
        ),
        Mistake(
            lambda q, k, v: _causal_attention(q, k, v) if q.dim() == 3 else q @ k.transpose(1, 2),
            "transpose(1, 2) exchanges the last two axes only where there are three: with heads there are four. Count from the end, keys.mT or transpose(-2, -1).",
        ),
        Mistake(
            lambda q, k, v: q @ k.T,
            "keys.T turns *all* axes round, those of texts and heads as well: keys.mT exchanges the last two.",
        ),
    ),
)  # fmt: skip


# --- exercise 2: several heads ----------------------------------------------------------------------------------------


def _heads(tokens: Tensor, num_heads: int) -> Tensor:
    """(batch, n, width) -> (batch, heads, n, width / heads)"""
    return tokens.unflatten(2, (num_heads, -1)).transpose(1, 2)


def _whole(heads: Tensor) -> Tensor:
    """(batch, heads, n, d) -> (batch, n, heads * d)"""
    return heads.transpose(1, 2).flatten(2)


def _many_headed(
    attend: Attend = _causal_attention,
    split: Callable[[Tensor, int], Tensor] = _heads,
    join: Callable[[Tensor], Tensor] = _whole,
    last: Callable[[Tensor, Tensor], Tensor] = torch.matmul,
) -> Callable[..., Tensor]:
    """Attention with several heads, with one of its parts exchanged."""

    def multi_head_attention(
        tokens: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, to_out: Tensor, num_heads: int
    ) -> Tensor:
        return last(join(attend(*(split(tokens @ weight, num_heads) for weight in (to_q, to_k, to_v)))), to_out)

    return multi_head_attention


_multi_head_attention = _many_headed()


def _of_whole_width(x: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, heads: int) -> Tensor:
    attend = _weighted(
        lambda scores, hidden, root: (scores / math.sqrt(x.shape[2])).masked_fill(hidden, NEVER).softmax(-1)
    )
    return _many_headed(attend)(x, q, k, v, out, heads)


def _uncut_values(x: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, heads: int) -> Tensor:
    seen = _causal_attention(_heads(x @ q, heads), _heads(x @ k, heads), (x @ v)[:, None].expand(-1, heads, -1, -1))
    return seen.mean(1) @ out


def _raw_values(x: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, heads: int) -> Tensor:
    return _whole(_causal_attention(_heads(x @ q, heads), _heads(x @ k, heads), _heads(x, heads))) @ out


def _projected(draw: Draw, batch: int, tokens: int, width: int, heads: int) -> tuple[Tensor | int, ...]:
    """Tokens, four weights and the number of heads."""
    weights = [draw.normal(width, width) / math.sqrt(width) for _ in range(4)]
    return draw.normal(batch, tokens, width), 1.5 * weights[0], 1.5 * weights[1], weights[2], weights[3], heads


multi_head_attention = Check(
    name="multi_head_attention",
    signature=("tokens", "to_q", "to_k", "to_v", "to_out", "num_heads"),
    reference=_multi_head_attention,
    holds="each head looks on its own, at its own part of the width, and all are joined again in their order",
    look='01_transformers, exercise 2 "Several heads"',
    hint="tokens @ to_q is (batch, n, width); unflatten(2, (num_heads, -1)) cuts the last axis, transpose(1, 2) brings the heads to the front. After `causal_attention` the same backwards: transpose(1, 2), flatten(2), @ to_out.",
    cases=(
        Case("2 texts of 5 tokens, 2 heads of width 4", lambda draw: _projected(draw, 2, 5, 8, 2)),
        Case("3 texts of 4 tokens, 4 heads of width 4", lambda draw: _projected(draw, 3, 4, 16, 4)),
        Case("1 text of 6 tokens, 1 head", lambda draw: _projected(draw, 1, 6, 6, 1)),
    ),
    hidden_cases=(
        Case("2 texts of 3 tokens, 3 heads of width 2", lambda draw: _projected(draw, 2, 3, 6, 3)),
        Case("4 texts of 1 token, 2 heads", lambda draw: _projected(draw, 4, 1, 4, 2)),
    ),
    gradients="required",
    differentiable=("tokens", "to_q", "to_k", "to_v", "to_out"),
    mistakes=(
        Mistake(
            lambda x, q, k, v, out, h: _multi_head_attention(x, q, k, v, out, 1),
            "You took one head: cut queries, keys and values into num_heads pieces of width / num_heads each, which look about on their own.",
        ),
        Mistake(
            _many_headed(split=lambda tokens, heads: tokens.unflatten(2, (-1, heads)).transpose(1, 2)),
            "You cut into width / num_heads heads of num_heads numbers each. It is num_heads heads: unflatten(2, (num_heads, -1)), or chunk (split wants the *size* of a piece, chunk their number).",
        ),
        Mistake(
            _many_headed(join=lambda seen: seen.transpose(2, 3).reshape(seen.shape[0], seen.shape[2], -1)),
            "On the way back the wrong axes are exchanged: tokens and heads have to change places, transpose(1, 2), before the last two are flattened.",
        ),
        Mistake(
            _raw_values,
            "`to_v` is not used: the values are tokens @ to_v.",
        ),
        Mistake(
            _many_headed(split=lambda tokens, heads: tokens.reshape(tokens.shape[0], heads, tokens.shape[1], -1)),
            "view(batch, heads, n, d) tears the tokens apart: in memory each token's heads lie side by side, (batch, n, heads, d). Cut the last axis first, then exchange two axes with transpose(1, 2).",
        ),
        Mistake(
            _many_headed(join=lambda seen: seen.reshape(seen.shape[0], seen.shape[2], -1)),
            "The heads are put together wrongly: reshape reads (batch, heads, n, d) in the order of memory, so that a token gets parts of other tokens. Exchange the axes first, transpose(1, 2), then flatten the last two.",
        ),
        Mistake(
            _many_headed(
                split=lambda tokens, heads: tokens.reshape(tokens.shape[0], heads, tokens.shape[1], -1),
                join=lambda seen: seen.reshape(seen.shape[0], seen.shape[2], -1),
            ),
            "Both reshapes tear the tokens apart. They undo each other, so the shapes fit, but each \"head\" is a piece of the *text* with parts of several tokens mixed. Cut the last axis, then transpose(1, 2); and back in the other order.",
        ),
        Mistake(
            _many_headed(
                split=lambda tokens, heads: tokens.unflatten(2, (-1, heads)).movedim(3, 1),
                join=lambda seen: seen.movedim(1, 3).flatten(2),
            ),
            "Each head takes every num_heads-th number. The first width / num_heads numbers are the first head's, the next ones the second's: unflatten(2, (num_heads, -1)).",
        ),
        Mistake(
            _many_headed(split=lambda tokens, heads: tokens.unflatten(2, (heads, -1)), join=lambda seen: seen.flatten(2)),
            "The axis of the heads stands behind that of the tokens, (batch, n, heads, d): heads and positions are swapped, and the *heads* of a token look at one another. Exchange the two, transpose(1, 2), before the attention.",
        ),
        Mistake(
            _many_headed(join=lambda seen: seen.permute(0, 2, 3, 1).flatten(2)),
            "The heads are interleaved when they are put together: (batch, n, heads, d) is the order before you flatten, and yours is (batch, n, d, heads).",
        ),
        Mistake(
            _many_headed(join=lambda seen: _whole(seen.flip(1))),
            "The heads are put together in the reverse order.",
        ),
        Mistake(
            _many_headed(last=lambda seen, out: seen),
            "`to_out` is missing: without it the heads would never get to talk to one another.",
        ),
        Mistake(
            _many_headed(last=lambda seen, out: seen @ out.T),
            "You transposed `to_out`, as F.linear does: here it is (width in, width out), so it is seen @ to_out.",
        ),
        Mistake(
            lambda x, q, k, v, out, h: _multi_head_attention(x, q.T, k.T, v.T, out.T, h),
            "You transposed the weights, as F.linear does: here they are (width in, width out), so it is tokens @ to_q.",
        ),
        Mistake(
            lambda x, q, k, v, out, h: _multi_head_attention(x, q.T, k.T, v.T, out, h),
            "You transposed to_q, to_k and to_v, as F.linear does: here they are (width in, width out), so it is tokens @ to_q.",
        ),
        Mistake(
            lambda x, q, k, v, out, h: _multi_head_attention(x, q, v, k, out, h),
            "`to_k` and `to_v` are swapped.",
        ),
        Mistake(
            lambda x, q, k, v, out, h: _multi_head_attention(x, k, q, v, out, h),
            "`to_q` and `to_k` are swapped.",
        ),
        Mistake(
            lambda x, q, k, v, out, h: _multi_head_attention(x, q, k, k, out, h),
            "The keys are used as values: the values have a weight of their own, `to_v`.",
        ),
        Mistake(
            lambda x, q, k, v, out, h: _multi_head_attention(x, q, q, v, out, h),
            "The queries are used as keys: the keys have a weight of their own, `to_k`.",
        ),
        Mistake(
            _many_headed(_hiding(torch.zeros_like)),
            "The heads look ahead: call your `causal_attention`, or mask as in exercise 1.",
        ),
        Mistake(
            _of_whole_width,
            "The scores are divided by the root of the whole width. Each head's inner product has only width / num_heads terms: let `causal_attention` see the heads, and it takes the root of *their* width.",
        ),
        Mistake(
            _many_headed(_scaling(lambda root, n: 1.0)),
            "The scores are not divided by sqrt(d): call your `causal_attention`, which does that.",
        ),
        Mistake(
            lambda x, q, k, v, out, h: _many_headed(join=lambda seen: seen.mean(1).repeat(1, 1, h))(x, q, k, v, out, h),
            "You averaged over the heads: they stand side by side, (batch, n, heads * d), so that each says something of its own.",
        ),
        Mistake(
            lambda x, q, k, v, out, h: x + _multi_head_attention(x, q, k, v, out, h),
            "You added the tokens to the answer. The layer that calls this function does so: return the attention alone.",
        ),
        Mistake(
            _uncut_values,
            "The values are not cut: every head says all of them, and you average. A head has its own part of the values, as of queries and keys.",
        ),
    ),
)  # fmt: skip


# --- exercise 4: masked language modelling ----------------------------------------------------------------------------


def _corrupt(
    input_ids: Tensor, noise: Tensor, special: Tensor, mask_token_id: int, vocab_size: int, rate: float = 0.15
) -> tuple[Tensor, Tensor]:
    done = corrupt_tokens(input_ids, noise, vocab_size=vocab_size, mask_token_id=mask_token_id, keep=special, rate=rate)
    return done.input_ids, done.labels


def _mending(
    chosen: Callable[[Tensor, Tensor, float], Tensor] = lambda u, special, rate: (u < rate) & ~special,
    masked: Callable[[Tensor], Tensor] = lambda u: u < 0.8,
    random: Callable[[Tensor], Tensor] = lambda u: (u >= 0.8) & (u < 0.9),
    ids: Callable[[Tensor, int], Tensor] = lambda noise, vocab_size: (noise[2] * vocab_size).long(),
    labels: Callable[..., Tensor] = lambda ids, corrupted, chosen, masked, random: ids.masked_fill(~chosen, -100),
) -> Callable[..., tuple[Tensor, Tensor]]:
    """Corruption with a part exchanged; `labels` gets what came in, what came out, and who was chosen, masked, replaced by a random token."""

    def corrupt(
        input_ids: Tensor, noise: Tensor, special: Tensor, mask_token_id: int, vocab_size: int, rate: float = 0.15
    ) -> tuple[Tensor, Tensor]:
        picked = chosen(noise[0], special, rate)
        hidden, replaced = picked & masked(noise[1]), picked & random(noise[1])
        corrupted = torch.where(replaced, ids(noise, vocab_size), input_ids.masked_fill(hidden, mask_token_id))
        return corrupted, labels(input_ids, corrupted, picked, hidden, replaced)

    return corrupt


def _swapped(*arguments: Any) -> tuple[Tensor, Tensor]:
    return _corrupt(*arguments)[::-1]


def _only_if_chosen_for_labels(
    input_ids: Tensor, noise: Tensor, special: Tensor, mask_token_id: int, vocab_size: int, rate: float = 0.15
) -> tuple[Tensor, Tensor]:
    corrupted, _ = _mending(lambda u, special, rate: torch.ones_like(special))(
        input_ids, noise, special, mask_token_id, vocab_size, rate
    )
    return corrupted, _corrupt(input_ids, noise, special, mask_token_id, vocab_size, rate)[1]


def _labels_of_special(
    input_ids: Tensor, noise: Tensor, special: Tensor, mask_token_id: int, vocab_size: int, rate: float = 0.15
) -> tuple[Tensor, Tensor]:
    corrupted, _ = _corrupt(input_ids, noise, special, mask_token_id, vocab_size, rate)
    return corrupted, input_ids.masked_fill(noise[0] >= rate, -100)


def _one_noise(
    input_ids: Tensor, noise: Tensor, special: Tensor, mask_token_id: int, vocab_size: int, rate: float = 0.15
) -> tuple[Tensor, Tensor]:
    return _corrupt(input_ids, noise[[0, 0, 2]] / torch.tensor([1, rate, 1])[:, None, None], special, mask_token_id, vocab_size, rate)  # fmt: skip


def _noise_from(*order: int) -> Callable[..., tuple[Tensor, Tensor]]:
    """The noises in another order."""
    return lambda ids, noise, *others: _corrupt(ids, noise[list(order)], *others)


def _special_for_labels(
    input_ids: Tensor, noise: Tensor, special: Tensor, mask_token_id: int, vocab_size: int, rate: float = 0.15
) -> tuple[Tensor, Tensor]:
    corrupted, _ = _corrupt(input_ids, noise, torch.zeros_like(special), mask_token_id, vocab_size, rate)
    return corrupted, _corrupt(input_ids, noise, special, mask_token_id, vocab_size, rate)[1]


def _sentences(
    draw: Draw, batch: int, length: int, vocab_size: int, rate: float, mask_token_id: int = 3
) -> tuple[Tensor | int | float, ...]:
    """Texts from a first token (1) to a last one (2), with padding (0) behind; noise; what is special."""
    lengths = draw.integers(length // 3, batch) + length - length // 3 + 1
    place = torch.arange(length)
    special = (place == 0) | (place >= lengths[:, None] - 1)
    input_ids = torch.where(place == lengths[:, None] - 1, 2, torch.where(special, 0, 4 + draw.integers(vocab_size - 5, batch, length)))  # fmt: skip
    input_ids[:, 0] = 1
    return input_ids, draw.uniform(3, batch, length), special, mask_token_id, vocab_size, rate


corrupt = Check(
    name="corrupt",
    signature=("input_ids", "noise", "special", "mask_token_id", "vocab_size", "rate"),
    reference=_corrupt,
    holds="chosen tokens, and only they, are asked for; 80 % of them masked, 10 % random, 10 % as they were",
    look='01_transformers, exercise 4 "Words taken out"',
    hint="chosen = (noise[0] < rate) & ~special. Where chosen: the mask if noise[1] < 0.8, the id (noise[2] * vocab_size).long() if it is below 0.9, else the token itself. labels = input_ids where chosen, else -100.",
    cases=(
        Case("8 texts of up to 60 tokens, rate 0.15", lambda draw: _sentences(draw, 8, 60, 500, 0.15)),
        Case("3 texts of up to 40 tokens, rate 0.5", lambda draw: _sentences(draw, 3, 40, 90, 0.5, mask_token_id=89)),
    ),
    hidden_cases=(Case("12 texts of up to 80 tokens, rate 0.3", lambda draw: _sentences(draw, 12, 80, 2000, 0.3)),),
    mistakes=(
        Mistake(
            _mending(lambda u, special, rate: u < rate),
            "Special tokens are masked too: they frame a text or fill it up, say nothing, and asking for them teaches nothing. Choose only where `special` is False.",
        ),
        Mistake(
            _mending(lambda u, special, rate: (u < rate) & special),
            "`special` is turned: it is True where nothing may be chosen.",
        ),
        Mistake(
            _labels_of_special,
            "Special tokens stay, but their labels are asked for all the same: -100 for them too.",
        ),
        Mistake(
            _mending(lambda u, special, rate: (u >= rate) & ~special),
            "You choose the others: a token is chosen where noise[0] is *below* the rate. With yours 85 % of the text are gone.",
        ),
        Mistake(
            _mending(lambda u, special, rate: (u < 0.15) & ~special),
            "The rate is 0.15 always: use the argument `rate`.",
        ),
        Mistake(
            _mending(lambda u, special, rate: ~special),
            "Every token is chosen: a token is chosen where noise[0] is below the rate.",
        ),
        Mistake(
            _mending(masked=lambda u: u >= 0, random=lambda u: u < 0),
            "Every chosen token becomes a mask. But no text in use has masks, so a tenth is replaced by random tokens and a tenth stays. (noise[1] says which: noise[0] of a chosen token is below 0.8 anyway.)",
        ),
        Mistake(
            _mending(random=lambda u: u < 0.9),
            "The random tokens overwrite the masks: where noise[1] is below 0.8 it is below 0.9 as well. Random is from 0.8 to 0.9 only.",
        ),
        Mistake(
            _special_for_labels,
            "Special tokens are not asked for, but they are changed in the text all the same: choose only where `special` is False, for both.",
        ),
        Mistake(
            _mending(lambda u, special, rate: (u > 1 - rate) & ~special),
            "You choose where noise[0] is above 1 - rate: just as many, but it is *below* the rate here. Results are compared token by token.",
        ),
        Mistake(
            _noise_from(1, 0, 2),
            "noise[0] and noise[1] are exchanged: the first says whether a token is chosen, the second what becomes of it.",
        ),
        Mistake(
            _noise_from(0, 2, 1),
            "noise[1] and noise[2] are exchanged: the second says what becomes of a token, the third which random one.",
        ),
        Mistake(
            _mending(ids=lambda noise, vocab_size: torch.zeros_like(noise[2]).long()),
            "All random tokens are token 0: .long() cuts off what comes after the point, so multiply first, (noise[2] * vocab_size).long().",
        ),
        Mistake(
            _mending(random=lambda u: u < 0),
            "No token becomes a random one: of the chosen ones 80 % become a mask, 10 % a random token, 10 % stay.",
        ),
        Mistake(
            _mending(random=lambda u: u >= 0.8),
            "No chosen token stays: of the chosen ones 80 % become a mask, 10 % a random token, and 10 % stay as they are (and are asked for).",
        ),
        Mistake(
            _mending(random=lambda u: u >= 0.9),
            "Random and unchanged tokens are exchanged: random where noise[1] is from 0.8 to 0.9, unchanged above. (The shares are right, but results are compared token by token.)",
        ),
        Mistake(
            _mending(masked=lambda u: u >= 0.2, random=lambda u: u < 0.1),
            "The shares are right, but the order is another: a mask where noise[1] is below 0.8, a random token from 0.8 to 0.9, unchanged above. Results are compared token by token.",
        ),
        Mistake(
            _mending(masked=lambda u: u < 0.1, random=lambda u: (u >= 0.1) & (u < 0.9)),
            "The shares are exchanged: 80 % of the chosen tokens become a *mask*, 10 % a random one. Yours makes 80 % random.",
        ),
        Mistake(
            _mending(masked=lambda u: u < 0.8, random=lambda u: u < 0.1),
            "The random tokens are taken from the masked ones: below 0.1 noise[1] is below 0.8 as well. So 70 % are masked, 10 % random and 20 % stay. Use the part from 0.8 to 0.9.",
        ),
        Mistake(
            _one_noise,
            "One noise decides twice: whether a token is chosen and what becomes of it. As it is below the rate already, that takes another scale, and here noise[1] is meant for it.",
        ),
        Mistake(
            _mending(ids=lambda noise, vocab_size: (noise[1] * vocab_size).long()),
            "The random tokens come from noise[1], which was between 0.8 and 0.9 to get there: always the same tenth of the vocabulary. noise[2] is for them.",
        ),
        Mistake(
            _mending(ids=lambda noise, vocab_size: (noise[2] * (vocab_size - 1)).long()),
            "The last token of the vocabulary never comes: noise[2] is below 1, so (noise[2] * vocab_size).long() lies in [0, vocab_size).",
        ),
        Mistake(
            _mending(ids=lambda noise, vocab_size: (noise[2] * vocab_size).round().long()),
            "You round the random ids: that can give vocab_size, one beyond the last token. `.long()` cuts off what comes after the point.",
        ),
        Mistake(
            _mending(ids=lambda noise, vocab_size: torch.full_like(noise[2], vocab_size - 1).long()),
            "All random tokens are the same one: take (noise[2] * vocab_size).long().",
        ),
        Mistake(
            _only_if_chosen_for_labels,
            "You corrupt the whole text, and choose only what is asked for: what is not chosen must stay as it is.",
        ),
        Mistake(
            _mending(labels=lambda ids, corrupted, chosen, masked, random: ids),
            "The loss would run over all tokens: most stand there to be copied, so the network would learn to copy. Labels are -100 where nothing was chosen, which cross_entropy leaves out.",
        ),
        Mistake(
            _mending(labels=lambda ids, corrupted, chosen, masked, random: ids.masked_fill(~masked, -100)),
            "Only masked tokens are asked for. The random and the unchanged ones are asked for as well: that is what makes the network doubt what it sees.",
        ),
        Mistake(
            _mending(labels=lambda ids, corrupted, chosen, masked, random: ids.masked_fill(~(masked | random), -100)),
            "Tokens that were chosen and stay are not asked for: then a token that is asked for is always a wrong one, and the network learns never to believe what it sees.",
        ),
        Mistake(
            _mending(labels=lambda ids, corrupted, chosen, masked, random: corrupted.masked_fill(~chosen, -100)),
            "The labels hold the corrupted text, masks and all: asked for is what stood there *before*.",
        ),
        Mistake(
            _mending(labels=lambda ids, corrupted, chosen, masked, random: ids.masked_fill(chosen, -100)),
            "The labels are turned: -100 where a token was chosen, and the tokens that anybody can read are asked for.",
        ),
        Mistake(
            _mending(labels=lambda ids, corrupted, chosen, masked, random: ids.masked_fill(~chosen, 0)),
            "Where nothing was chosen the labels are 0, which is a token like any other (padding, here), and would be asked for. cross_entropy leaves out -100.",
        ),
        Mistake(
            _swapped,
            "The two are swapped: first the corrupted text, then the labels.",
        ),
        Mistake(
            lambda *arguments: _corrupt(*arguments)[0],
            "You return the corrupted text alone: the labels are asked for as well.",
        ),
    ),
)  # fmt: skip


# --- exercise 5: a cache ----------------------------------------------------------------------------------------------

Three = tuple[Tensor, Tensor, Tensor]


def _remembering(
    places: Callable[[int, int], Tensor | slice] = lambda past, new: slice(past, past + new),
    append: Callable[[Tensor, Tensor], Tensor] = lambda old, new: torch.cat([old, new], dim=1),
    hidden: Callable[[int, int], Tensor] = lambda past, new: torch.ones(new, past + new, dtype=torch.bool).triu(
        past + 1
    ),
    root: Callable[[int, int], float] = lambda width, length: math.sqrt(width),
    give: Callable[..., tuple] = lambda seen, keys, values, new_keys, new_values: (seen, keys, values),
) -> Callable[..., tuple]:
    """A step with a cache, with a part exchanged; `give` gets the answer, all keys and values, and the new ones."""

    def attend_with_cache(
        tokens: Tensor, positions: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, old_keys: Tensor, old_values: Tensor
    ) -> tuple:  # fmt: skip
        past, new = old_keys.shape[1], tokens.shape[1]
        tokens = tokens + positions[places(past, new)]
        new_keys, new_values = tokens @ to_k, tokens @ to_v
        keys, values = append(old_keys, new_keys), append(old_values, new_values)
        scores = tokens @ to_q @ keys.mT / root(tokens.shape[2], keys.shape[1])
        seen = scores.masked_fill(hidden(past, new)[:, : keys.shape[1]], NEVER).softmax(-1) @ values
        return give(seen, keys, values, new_keys, new_values)

    return attend_with_cache


_attend_with_cache = _remembering()


def _without_positions(
    tokens: Tensor, positions: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, old_keys: Tensor, old_values: Tensor
) -> Three:
    return _attend_with_cache(tokens, torch.zeros_like(positions), to_q, to_k, to_v, old_keys, old_values)


def _positions_again(
    tokens: Tensor, positions: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, old_keys: Tensor, old_values: Tensor
) -> Three:
    past = old_keys.shape[1]
    seen, keys, values = _attend_with_cache(
        tokens, positions, to_q, to_k, to_v, old_keys + positions[:past] @ to_k, old_values + positions[:past] @ to_v
    )
    return seen, keys, values


def _old_only(
    tokens: Tensor, positions: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, old_keys: Tensor, old_values: Tensor
) -> Three:
    past, new = old_keys.shape[1], tokens.shape[1]
    seen, keys, values = _attend_with_cache(tokens, positions, to_q, to_k, to_v, old_keys, old_values)
    queries = (tokens + positions[past : past + new]) @ to_q
    return (queries @ old_keys.mT / math.sqrt(tokens.shape[2])).softmax(-1) @ old_values, keys, values


def _new_only(
    tokens: Tensor, positions: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, old_keys: Tensor, old_values: Tensor
) -> Three:
    past, new = old_keys.shape[1], tokens.shape[1]
    _, keys, values = _attend_with_cache(tokens, positions, to_q, to_k, to_v, old_keys, old_values)
    tokens = tokens + positions[past : past + new]
    return _causal_attention(tokens @ to_q, tokens @ to_k, tokens @ to_v), keys, values


def _last_only(
    tokens: Tensor, positions: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, old_keys: Tensor, old_values: Tensor
) -> Three:
    seen, keys, values = _attend_with_cache(tokens, positions, to_q, to_k, to_v, old_keys, old_values)
    return seen[:, -1:], keys, values


def _placing(parts: str) -> Callable[..., Three]:
    """A step in which only some of queries "q", keys "k" and values "v" get the places."""

    def attend_with_cache(
        tokens: Tensor, positions: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, old_keys: Tensor, old_values: Tensor
    ) -> Three:  # fmt: skip
        past, new = old_keys.shape[1], tokens.shape[1]
        placed = tokens + positions[past : past + new]
        q, k, v = (
            (placed if part in parts else tokens) @ to for part, to in zip("qkv", (to_q, to_k, to_v), strict=True)
        )
        keys, values = torch.cat([old_keys, k], dim=1), torch.cat([old_values, v], dim=1)
        seen = torch.ones(new, past + new, dtype=torch.bool).tril(past)
        return F.scaled_dot_product_attention(q, keys, values, seen), keys, values

    return attend_with_cache


def _placed_afterwards(
    tokens: Tensor, positions: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, old_keys: Tensor, old_values: Tensor
) -> Three:
    past, new = old_keys.shape[1], tokens.shape[1]
    q, k, v = (tokens @ to + positions[past : past + new] for to in (to_q, to_k, to_v))
    keys, values = torch.cat([old_keys, k], dim=1), torch.cat([old_values, v], dim=1)
    return F.scaled_dot_product_attention(q, keys, values, torch.ones(new, past + new).tril(past).bool()), keys, values


def _projected_again(
    tokens: Tensor, positions: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, old_keys: Tensor, old_values: Tensor
) -> Three:
    return _attend_with_cache(tokens, positions, to_q, to_k, to_v, old_keys @ to_k, old_values @ to_v)


def _stepping(draw: Draw, batch: int, past: int, new: int, width: int) -> tuple[Tensor, ...]:
    """New tokens, a table of positions, three weights, and the cache."""
    weights = [draw.normal(width, width) / math.sqrt(width) for _ in range(3)]
    cache = (draw.normal(batch, past, width), draw.normal(batch, past, width))
    return draw.normal(batch, new, width), draw.normal(past + new + 3, width), 1.5 * weights[0], *weights[1:], *cache


attend_with_cache = Check(
    name="attend_with_cache",
    signature=("tokens", "positions", "to_q", "to_k", "to_v", "cached_keys", "cached_values"),
    reference=_attend_with_cache,
    holds="new tokens at their own places see the old ones and one another, and the cache has grown by them",
    look='01_transformers, exercise 5 "Read nothing twice"',
    hint="past = cached_keys.shape[1]; tokens + positions[past : past + new]; keys and values behind the cached ones, torch.cat(dim=1); hide torch.ones(new, past + new, dtype=torch.bool).triu(past + 1).",
    cases=(
        Case("2 texts, 1 token after 4", lambda draw: _stepping(draw, 2, 4, 1, 6)),
        Case("3 texts, 3 tokens after 2", lambda draw: _stepping(draw, 3, 2, 3, 4)),
        Case("1 text, 4 tokens after none", lambda draw: _stepping(draw, 1, 0, 4, 8)),
    ),
    hidden_cases=(
        Case("2 texts, 5 tokens after 1", lambda draw: _stepping(draw, 2, 1, 5, 6)),
        Case("4 texts, 1 token after 9", lambda draw: _stepping(draw, 4, 9, 1, 3)),
    ),
    gradients="required",
    differentiable=("tokens", "to_q", "to_k", "to_v"),
    not_a_number=_NOT_A_NUMBER,
    mistakes=(
        Mistake(
            _remembering(places=lambda past, new: torch.arange(new)),
            "The positions begin at 0 again: a new token stands behind all that is cached, at place cached_keys.shape[1].",
        ),
        Mistake(
            _remembering(places=lambda past, new: torch.full((new,), past)),
            "The position is not advanced: all new tokens get the place of the first of them. They stand at past, past + 1, ...",
        ),
        Mistake(
            _remembering(places=lambda past, new: torch.arange(past + 1, past + 1 + new)),
            "The positions are one too large: with `past` tokens cached, at places 0 to past - 1, the next one is at place past.",
        ),
        Mistake(
            _remembering(places=lambda past, new: slice(past - 1, past - 1 + new)),
            "The positions are one too small: the last cached token stands at place past - 1 already.",
        ),
        Mistake(
            _remembering(places=lambda past, new: slice(-new, None)),
            "The new tokens get the last places of the *table*, positions[-new:]: they stand behind those that are cached, positions[past : past + new].",
        ),
        Mistake(
            _placing("q"),
            "The positions are added to the queries only: keys and values are made of tokens with their places, too.",
        ),
        Mistake(
            _placing("qk"),
            "The positions are missing in the values: add them to the tokens once, before all three are made.",
        ),
        Mistake(
            _placing("kv"),
            "The positions are missing in the queries: add them to the tokens once, before all three are made.",
        ),
        Mistake(
            _placed_afterwards,
            "The positions are added to queries, keys and values: they belong to the *tokens*, before the products.",
        ),
        Mistake(
            _projected_again,
            "Cached keys and values are multiplied by to_k and to_v a second time: they are keys and values already.",
        ),
        Mistake(
            lambda x, places, q, k, v, *cache: _attend_with_cache(x, places, k, q, v, *cache),
            "`to_q` and `to_k` are swapped.",
        ),
        Mistake(
            lambda x, places, q, k, v, *cache: _attend_with_cache(x, places, q.T, k.T, v.T, *cache),
            "You transposed the weights, as F.linear does: here it is tokens @ to_q.",
        ),
        Mistake(
            _without_positions,
            "The positions are missing: add those of the new tokens' places to them before queries, keys and values are made.",
        ),
        Mistake(
            _positions_again,
            "Cached keys and values get their positions a second time: they were made of tokens that had them.",
        ),
        Mistake(
            _remembering(append=lambda old, new: torch.cat([new, old], dim=1)),
            "New keys and values are put *before* the cached ones: a text grows at its end.",
        ),
        Mistake(
            _remembering(hidden=lambda past, new: torch.ones(new, past + new, dtype=torch.bool).triu(1)),
            "The mask forgets the cache: triu(1), as in `causal_attention`, lets the first new token see the first cached one only. Columns are shifted by `past`: triu(past + 1).",
        ),
        Mistake(
            _remembering(hidden=lambda past, new: torch.ones(new, past + new, dtype=torch.bool).triu(new + 1)),
            "The mask is shifted by the number of *new* tokens: it is that of the cached ones, triu(past + 1).",
        ),
        Mistake(
            _remembering(hidden=lambda past, new: torch.ones(new, past + new, dtype=torch.bool).triu(1 if past == 0 else past + new)),
            "The mask is missing where there is a cache: of several new tokens the first would see those after it. Hide triu(past + 1).",
        ),
        Mistake(
            _remembering(hidden=lambda past, new: torch.zeros(new, past + new, dtype=torch.bool)),
            "The mask is missing: of several new tokens the first would see those after it. With one new token nobody notices; a prompt is read many at a time.",
        ),
        Mistake(
            _remembering(hidden=lambda past, new: torch.ones(new, past + new, dtype=torch.bool).triu(past)),
            "The new tokens do not see themselves: hide what comes after, triu(past + 1).",
        ),
        Mistake(
            _remembering(hidden=lambda past, new: torch.ones(new, past + new, dtype=torch.bool).triu(past + 2)),
            "Each new token sees the next one, which it is to predict: triu(past + 1).",
        ),
        Mistake(
            _old_only,
            "The new tokens look at the cached ones only: put their own keys and values into the cache *before* they look.",
        ),
        Mistake(
            _new_only,
            "The new tokens look only at one another: the cached keys and values have to come before theirs.",
        ),
        Mistake(
            _remembering(give=lambda seen, keys, values, new_keys, new_values: (seen, new_keys, new_values)),
            "You return the new keys and values only: the next step needs all of them, the cached ones too.",
        ),
        Mistake(
            _remembering(give=lambda seen, keys, values, new_keys, new_values: (seen, keys[:, : -new_keys.shape[1]], values[:, : -new_keys.shape[1]])),
            "The cache has not grown: return the keys and values with the new ones in them, or the next step will not see this one.",
        ),
        Mistake(
            _remembering(give=lambda seen, keys, values, new_keys, new_values: (seen, values, keys)),
            "Keys and values are returned in the wrong order.",
        ),
        Mistake(
            _remembering(give=lambda seen, keys, values, new_keys, new_values: (seen, keys, keys)),
            "You return the keys twice: the values have a cache of their own.",
        ),
        Mistake(
            _remembering(give=lambda seen, keys, values, new_keys, new_values: seen),
            "You return what was seen alone: the cache, keys and values, has to be handed on as well.",
        ),
        Mistake(
            _remembering(root=lambda width, length: 1.0),
            "The scores are not divided by sqrt(d).",
        ),
        Mistake(
            _remembering(root=lambda width, length: math.sqrt(length)),
            "You divide by the root of the number of tokens: it is the width d of queries and keys.",
        ),
        Mistake(
            _last_only,
            "You return what the last token has seen: asked for is a row for each of the new tokens.",
        ),
    ),
)  # fmt: skip


# --- exercise 6: byte-pair encoding -----------------------------------------------------------------------------------

Words = tuple[tuple[int, ...], ...]
Pair = tuple[int, int]


def _pairs(word: Sequence[int]) -> list[Pair]:
    return list(zip(word, word[1:], strict=False))


def _counted(words: Words, counts: Sequence[int]) -> Counter[Pair]:
    frequency: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in _pairs(word):
            frequency[pair] += count
    return frequency


def _most(frequency: Counter[Pair]) -> Pair:
    """The most frequent pair; of several the one with the smallest ids."""
    return min(frequency, key=lambda pair: (-frequency[pair], pair))


def _merged(word: Sequence[int], pair: Pair, new_id: int, step: int = 2) -> tuple[int, ...]:
    """The word with the pair merged, from the left; after a merge go on `step` places."""
    merged, place = [], 0
    while place < len(word):
        found = tuple(word[place : place + 2]) == pair
        merged.append(new_id if found else word[place])
        place += step if found else 1
    return tuple(merged)


Count = Callable[[Words, Sequence[int]], Counter[Pair]]
Merge = Callable[[Sequence[int], Pair, int], tuple[int, ...]]


def _merging(
    count: Count = _counted, choose: Callable[[Counter[Pair]], Pair] = _most, merge: Merge = _merged
) -> Callable[..., tuple[Pair, Words]]:
    """A step of byte-pair encoding with a part exchanged."""

    def merge_step(words: Words, counts: Sequence[int], new_id: int) -> tuple[Pair, Words]:
        pair = choose(count(words, counts))
        return pair, tuple(merge(word, pair, new_id) for word in words)

    return merge_step


_merge_step = _merging()


def _across(words: Words, counts: Sequence[int]) -> Counter[Pair]:
    whole = [number for word, count in zip(words, counts, strict=True) for _ in range(count) for number in word]
    return Counter(_pairs(whole))


def _unordered(words: Words, counts: Sequence[int]) -> Counter[Pair]:
    frequency: Counter[Pair] = Counter()
    for pair, count in _counted(words, counts).items():
        frequency[min(pair), max(pair)] += count
    return frequency


def _anywhere(words: Words, counts: Sequence[int]) -> Counter[Pair]:
    frequency: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for place, first in enumerate(word):
            for second in word[place + 1 :]:
                frequency[first, second] += count
    return frequency


def _once_a_word(words: Words, counts: Sequence[int]) -> Counter[Pair]:
    frequency: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in set(_pairs(word)):
            frequency[pair] += count
    return frequency


def _around(words: Words, counts: Sequence[int]) -> Counter[Pair]:
    frequency: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for place in range(len(word)):
            frequency[word[place - 1], word[place]] += count
    return frequency


def _but_the_last(words: Words, counts: Sequence[int]) -> Counter[Pair]:
    return _counted([word[:-1] for word in words], counts)


def _latest(words: Words, counts: Sequence[int]) -> Counter[Pair]:
    return Counter({pair: count for word, count in zip(words, counts, strict=True) for pair in _pairs(word)})


def _apart(words: Words, counts: Sequence[int]) -> Counter[Pair]:
    """Of a a a one pair (a, a)."""
    frequency: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in set(_pairs(word)):
            frequency[pair] += count * sum(token is None for token in _merged(word, pair, None))
    return frequency


def _changed_alone(words: Words, counts: Sequence[int], new_id: int) -> tuple[Pair, Words]:
    pair, merged = _merge_step(words, counts, new_id)
    return pair, tuple(word for word in merged if new_id in word)


def _long_alone(words: Words, counts: Sequence[int], new_id: int) -> tuple[Pair, Words]:
    pair, merged = _merge_step(words, counts, new_id)
    return pair, tuple(new for new, word in zip(merged, words, strict=True) if len(word) > 1)


def _first_place(word: Sequence[int], pair: Pair, new_id: int) -> tuple[int, ...]:
    places = [place for place, found in enumerate(_pairs(word)) if found == pair]
    return tuple(word) if not places else (*word[: places[0]], new_id, *word[places[0] + 2 :])


def _from_the_right(word: Sequence[int], pair: Pair, new_id: int) -> tuple[int, ...]:
    return _merged(word[::-1], pair[::-1], new_id)[::-1]


def _either_way(word: Sequence[int], pair: Pair, new_id: int) -> tuple[int, ...]:
    merged, place = [], 0
    while place < len(word):
        found = tuple(word[place : place + 2]) in (pair, pair[::-1])
        merged.append(new_id if found else word[place])
        place += 2 if found else 1
    return tuple(merged)


def _last_lost(word: Sequence[int], pair: Pair, new_id: int) -> tuple[int, ...]:
    merged, place = [], 0
    while place < len(word) - 1:
        found = tuple(word[place : place + 2]) == pair
        merged.append(new_id if found else word[place])
        place += 2 if found else 1
    return tuple(merged)


def _both_replaced(word: Sequence[int], pair: Pair, new_id: int) -> tuple[int, ...]:
    merged, place = [], 0
    while place < len(word):
        found = tuple(word[place : place + 2]) == pair
        merged += [new_id, new_id] if found else [word[place]]
        place += 2 if found else 1
    return tuple(merged)


def _first_word_only(words: Words, counts: Sequence[int], new_id: int) -> tuple[Pair, Words]:
    pair = _most(_counted(words, counts))
    done, merged = False, []
    for word in words:
        changed = word if done else _merged(word, pair, new_id)
        done = done or changed != word
        merged.append(changed)
    return pair, tuple(merged)


def _words_first(words: Words, counts: Sequence[int], new_id: int) -> tuple:
    """Lists where an answer has them when its two parts have been fitted to the right ones."""
    pair, merged = _merge_step(words, counts, new_id)
    return tuple(map(list, merged)), pair


def _words_alone(words: Words, counts: Sequence[int], new_id: int) -> tuple:
    """Likewise."""
    first, second, *others = _merge_step(words, counts, new_id)[1]
    return first, second, *map(list, others)


def _spelled(draw: Draw, words: int, letters: int, length: int, new_id: int) -> tuple[Words, tuple[int, ...], int]:
    """Words of few letters, so that pairs come often, overlap and are tied; the first and the last letter are often the same."""
    lengths = (draw.integers(length, words) + 2).tolist()
    spelled = [(draw.integers(2, size) * draw.integers(letters, size)).tolist() for size in lengths]
    return tuple(tuple(word) for word in spelled), tuple((draw.integers(6, words) + 1).tolist()), new_id


_RUNS: Words = ((7, 7, 7, 2), (2, 7, 7), (5, 2, 5, 2), (2, 5), (9,), (1, 9))
_OFTEN: Words = ((4, 6, 4, 6, 4, 6), (6, 4, 1), (6, 1), (14, 6), (9, 2), (9, 2, 1), (2, 9, 2), (5, 9, 2), (5, 8))
_TIED: Words = ((6, 4, 2, 9), (6, 8, 9, 5), (2, 6), (8, 5), (3, 9, 1), (4, 8))

merge_step = Check(
    name="merge_step",
    signature=("words", "counts", "new_id"),
    reference=_merge_step,
    holds="the most frequent pair, every word as often as it occurs, merged from the left wherever it stands",
    look='01_transformers, exercise 6 "One merge"',
    hint="Add `count` to frequency[pair] for each pair of neighbours, zip(word, word[1:]); min(frequency, key=lambda pair: (-frequency[pair], pair)). To merge, walk with an index: 2 on after a merge, 1 otherwise.",
    cases=(
        Case("6 words with runs of one token", lambda draw: (_RUNS, (5, 1, 4, 1, 20, 1), 10)),
        Case("6 words in which each pair comes once", lambda draw: (_TIED, (1,) * 6, 12)),
        Case("9 words, one of which has a pair three times", lambda draw: (_OFTEN, (2, 1, 1, 1, 1, 1, 1, 1, 5), 7)),
        Case("12 words of few letters", lambda draw: _spelled(draw, 12, 4, 7, 20)),
    ),
    hidden_cases=(
        Case("30 words of three letters", lambda draw: _spelled(draw, 30, 3, 9, 11)),
        Case("4 words, one of them long", lambda draw: _spelled(draw, 4, 2, 40, 5)),
    ),
    mistakes=(
        Mistake(
            _merging(lambda words, counts: _counted(words, [1] * len(words))),
            "`counts` have no effect: a word that comes five times in the text counts five times.",
        ),
        Mistake(
            _merging(_across),
            "You count pairs across the borders of words, the end of one with the beginning of the next: pairs are neighbours *within* a word.",
        ),
        Mistake(
            _merging(_around),
            "You count the last token of a word with its first one: word[i - 1] is the *last* token where i is 0.",
        ),
        Mistake(
            _merging(_but_the_last),
            "The last pair of each word is not counted: a word of n tokens has n - 1 pairs, range(len(word) - 1).",
        ),
        Mistake(
            _merging(_latest),
            "A pair that comes in several words has the count of the last of them: *add* to what was counted before, +=.",
        ),
        Mistake(
            _merging(_apart),
            "You count a a a as one pair (a, a): as neighbours there are two, though only one can be merged.",
        ),
        Mistake(
            _changed_alone,
            "You return only the words that have changed: the others belong to the text as well.",
        ),
        Mistake(
            _long_alone,
            "Words of one token are missing: they have no pair, but belong to the text as well.",
        ),
        Mistake(
            _merging(_once_a_word),
            "A pair that stands in a word twice counts twice: you count it once a word.",
        ),
        Mistake(
            _merging(_unordered),
            "You count (a, b) and (b, a) as one pair: their order matters, \"no\" is not \"on\".",
        ),
        Mistake(
            _merging(_anywhere),
            "You count all pairs of tokens of a word: a pair is two *neighbours*.",
        ),
        Mistake(
            _merging(choose=lambda frequency: min(frequency, key=lambda pair: (frequency[pair], pair))),
            "You take the *rarest* pair: merged is the one that comes most often.",
        ),
        Mistake(
            _merging(choose=lambda frequency: max(frequency, key=lambda pair: (frequency[pair], pair))),
            "Of equally frequent pairs you take the one with the largest ids: the exercise wants the smallest. (It must be some fixed rule, or two machines would learn two vocabularies.)",
        ),
        Mistake(
            _merging(choose=lambda frequency: max(frequency, key=lambda pair: frequency[pair])),
            "Of equally frequent pairs you take the one that was counted first, as max and Counter.most_common do: the exercise wants the one with the smallest ids. (Otherwise the order of the words would decide.)",
        ),
        Mistake(
            _merging(choose=lambda frequency: max(reversed(frequency), key=lambda pair: frequency[pair])),
            "Of equally frequent pairs you take the one that was counted last: the exercise wants the one with the smallest ids.",
        ),
        Mistake(
            _merging(choose=lambda frequency: min(frequency, key=lambda pair: (-frequency[pair], pair[0]))),
            "Of equally frequent pairs with the same first id you do not take the one with the smallest second id.",
        ),
        Mistake(
            _merging(choose=lambda frequency: min(frequency, key=lambda pair: (-frequency[pair], pair[::-1]))),
            "Of equally frequent pairs you compare the *second* ids first: it is the first one, then the second.",
        ),
        Mistake(
            _merging(choose=lambda frequency: min(frequency, key=lambda pair: (-frequency[pair], sum(pair)))),
            "Of equally frequent pairs you compare the *sums* of the ids: it is the first id, then the second.",
        ),
        Mistake(
            _merging(choose=min),
            "You take the pair with the smallest ids, however rare: the smallest ids decide only between equally frequent ones.",
        ),
        Mistake(
            _merging(merge=lambda word, pair, new_id: _merged(word, pair, new_id, step=1)),
            "After a merge you go on one place, so the second token of the pair is used again: a token belongs to one merge at most. Go on two places.",
        ),
        Mistake(
            _merging(merge=_from_the_right),
            "You merge from the right: in a run a a a the *first* two are merged, (a a) a.",
        ),
        Mistake(
            _merging(merge=_first_place),
            "Only the first place in each word is merged: the pair is merged wherever it stands.",
        ),
        Mistake(
            _first_word_only,
            "Only the first word that has the pair is changed: it is merged in all words.",
        ),
        Mistake(
            _merging(merge=_either_way),
            "You merge (b, a) as well as (a, b): the order matters, or the text could not be read back.",
        ),
        Mistake(
            _merging(merge=_last_lost),
            "The last token of a word gets lost where it is not merged: your loop ends one place too early.",
        ),
        Mistake(
            _merging(merge=_both_replaced),
            "Both tokens of the pair become the new one, so it stands there twice: two tokens become *one*.",
        ),
        Mistake(
            _merging(merge=lambda word, pair, new_id: tuple(new_id if token in pair else token for token in word)),
            "You replace each token that is *in* the pair: only where the two stand side by side, in this order, they become the new one.",
        ),
        Mistake(
            _merging(merge=lambda word, pair, new_id: tuple(word)),
            "The words are as they were: replace the pair in them by `new_id`.",
        ),
        Mistake(
            _words_first,
            "The two are swapped: first the pair, then the words.",
        ),
        Mistake(
            _words_alone,
            "You return the words alone: the pair is needed as well, it is the rule that was learned.",
        ),
    ),
)  # fmt: skip


# --- exercise 3: choosing the next token ------------------------------------------------------------------------------


def _next_probabilities(logits: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    return keep_top_p(keep_top_k(logits / temperature, top_k), top_p).softmax(-1)


Keep = Callable[[Tensor, float], Tensor]


def _choosing(
    heat: Callable[[Tensor, float], Tensor] = torch.div,
    k: Callable[[Tensor, int], Tensor] = keep_top_k,
    p: Keep = keep_top_p,
    last: Callable[[Tensor], Tensor] = lambda logits: logits.softmax(-1),
) -> Callable[..., Tensor]:
    """The probabilities with a part exchanged."""
    return lambda logits, temperature, top_k, top_p: last(p(k(heat(logits, temperature), top_k), top_p))


def _nucleus(outside: Callable[[Tensor, Tensor, float], Tensor], descending: bool = True) -> Keep:
    """Top-p with another rule: what is outside, a function of ordered probabilities, their running sum, and p."""

    def keep(logits: Tensor, top_p: float) -> Tensor:
        if top_p >= 1:
            return logits
        ordered, order = logits.sort(dim=-1, descending=descending)
        share = ordered.softmax(-1)
        out = outside(share, share.cumsum(-1), top_p)
        return logits.masked_fill(torch.zeros_like(out).scatter(-1, order, out), NEVER)

    return keep


def _unsorted(logits: Tensor, top_p: float) -> Tensor:
    if top_p >= 1:
        return logits
    ordered = logits.sort(dim=-1, descending=True).values
    share = ordered.softmax(-1)
    return logits.masked_fill(share.cumsum(-1) - share >= top_p, NEVER)


def _as_sorted(logits: Tensor, top_p: float) -> Tensor:
    if top_p >= 1:
        return logits
    ordered = logits.sort(dim=-1, descending=True).values
    share = ordered.softmax(-1)
    return ordered.masked_fill(share.cumsum(-1) - share >= top_p, NEVER)


def _always_as_sorted(logits: Tensor, top_p: float) -> Tensor:
    ordered = logits.sort(dim=-1, descending=True).values
    share = ordered.softmax(-1)
    return ordered.masked_fill(share.cumsum(-1) - share >= top_p, NEVER)


def _never_sorted(logits: Tensor, top_p: float) -> Tensor:
    share = logits.softmax(-1)
    return logits.masked_fill(share.cumsum(-1) - share >= top_p, NEVER) if top_p < 1 else logits


def _gathered(logits: Tensor, top_p: float) -> Tensor:
    if top_p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True)
    share = ordered.softmax(-1)
    return logits.masked_fill((share.cumsum(-1) - share >= top_p).gather(-1, order), NEVER)


def _zeros_outside(logits: Tensor, top_p: float) -> Tensor:
    return logits.where(keep_top_p(logits, top_p) > NEVER, 0.0)


def _of_batch(logits: Tensor, top_k: int) -> Tensor:
    if top_k == 0 or top_k >= logits.shape[-1]:
        return logits
    return logits.masked_fill(logits < logits.topk(top_k).values.min(), NEVER)


def _exactly_k(logits: Tensor, top_k: int) -> Tensor:
    if top_k == 0:
        return logits
    best = logits.topk(min(top_k, logits.shape[-1]), dim=-1).indices
    return torch.full_like(logits, NEVER).scatter(-1, best, logits.gather(-1, best))


def _next_k(offset: int) -> Callable[[Tensor, int], Tensor]:
    return lambda logits, top_k: logits if top_k == 0 else keep_top_k(logits, top_k + offset)


def _of_first_row(logits: Tensor, top_k: int) -> Tensor:
    if top_k == 0 or top_k >= logits.shape[-1]:
        return logits
    return logits.masked_fill(logits < logits[0].topk(top_k).values[-1], NEVER)


def _zeros(logits: Tensor, top_k: int) -> Tensor:
    return keep_top_k(logits, top_k).nan_to_num(neginf=0.0)


def _least_k(logits: Tensor, top_k: int) -> Tensor:
    return -keep_top_k(-logits, top_k) if top_k else logits


def _not_renormalised(logits: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    kept = _next_probabilities(logits, temperature, top_k, top_p) > 0
    return (logits / temperature).softmax(-1) * kept


def _p_not_renormalised(logits: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    kept = _next_probabilities(logits, temperature, top_k, top_p) > 0
    return keep_top_k(logits / temperature, top_k).softmax(-1) * kept


def _either(logits: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    return _next_probabilities(logits, temperature, top_k, 1.0 if top_k else top_p)


def _with_tail(draw: Draw, batch: int, vocab_size: int, temperature: float) -> tuple[Tensor | float, ...]:
    """Everything is kept. The last token is so unlikely that it makes no difference if rounding drops it at p = 1."""
    logits, *settings = _logits_of(draw, batch, vocab_size - 1, temperature, 0, 1.0)
    last = temperature * (logits.div(temperature).logsumexp(-1, keepdim=True) + math.log(9e-7))
    return torch.cat([logits, last], dim=1), *settings


def _logits_of(draw: Draw, batch: int, vocab_size: int, *settings: float) -> tuple[Tensor | float, ...]:
    """Logits of different spread from row to row, with settings (temperature, top_k, top_p)."""
    return (draw.normal(batch, vocab_size) * draw.uniform(batch, 1, low=1.0, high=2.5), *settings)


def _tied(draw: Draw, *settings: float) -> tuple[Tensor | float, ...]:
    """Two rows in which the third and the fourth likeliest token are equally likely."""
    values = torch.tensor([[3.0, 2.5, 1.0, 1.0, 0.2, -0.5, -1.0], [2.0, 1.2, 0.4, 0.4, 0.1, -2.0, -3.0]])
    order = draw.uniform(2, 7).argsort(dim=1)
    return (values.gather(1, order), *settings)


next_probabilities = Check(
    name="next_probabilities",
    signature=("logits", "temperature", "top_k", "top_p"),
    reference=_next_probabilities,
    holds="temperature first, then the k likeliest, then the fewest that hold p, and what is left adds up to 1",
    look='01_transformers, exercise 3 "What to say next"',
    hint="Divide by the temperature. Hide (minus infinity) logits below the k-th largest, logits.topk(k).values[:, -1:]. Sort what is left; hide a token if those *before* it hold p already, cumsum - probabilities >= p; bring the mask back to the tokens' own places with scatter. Softmax.",
    cases=(
        Case("3 texts, 12 tokens, temperature 0.7 alone", lambda draw: _with_tail(draw, 3, 12, 0.7)),
        Case("2 texts, 9 tokens, k 4, p 0.99", lambda draw: _logits_of(draw, 2, 9, 1.0, 4, 0.99)),
        Case("4 texts, 15 tokens, p 0.8", lambda draw: _logits_of(draw, 4, 15, 1.0, 0, 0.8)),
        Case("2 texts, the third and the fourth likeliest token equal, k 3, p 0.97", lambda draw: _tied(draw, 1.0, 3, 0.97)),
        Case("5 texts, 20 tokens, temperature 1.5, k 8, p 0.7", lambda draw: _logits_of(draw, 5, 20, 1.5, 8, 0.7)),
        Case("3 texts, 6 tokens, k 9, p 0.01", lambda draw: _logits_of(draw, 3, 6, 1.0, 9, 0.01)),
    ),
    hidden_cases=(
        Case("6 texts, 30 tokens, temperature 0.5, k 5, p 0.9", lambda draw: _logits_of(draw, 6, 30, 0.5, 5, 0.9)),
        Case("2 texts, 5 tokens, more asked for than there are", lambda draw: _logits_of(draw, 2, 5, 1.0, 9, 0.95)),
    ),
    absolute=1e-6,
    not_a_number="Your result holds NaN: in some text no token is left, and the softmax has nothing to choose from. The likeliest is always kept.",
    mistakes=(
        Mistake(
            _choosing(torch.mul),
            "You multiply by the temperature: a high one is to make all tokens more alike, so the logits are *divided* by it.",
        ),
        Mistake(
            _choosing(lambda logits, temperature: logits),
            "The temperature has no effect: divide the logits by it. (Probabilities that are divided by a number and made to add up to 1 again are what they were.)",
        ),
        Mistake(
            _choosing(heat=lambda logits, temperature: logits.softmax(-1) / temperature),
            "You divide *probabilities* by the temperature, and then take a softmax of them, which makes all nearly equal: it is the logits that are divided.",
        ),
        Mistake(
            _choosing(k=lambda logits, top_k: logits),
            "top_k has no effect: hide all logits below the k-th largest.",
        ),
        Mistake(
            _choosing(p=lambda logits, top_p: logits),
            "top_p has no effect: of the tokens in their order, keep the fewest that hold p together.",
        ),
        Mistake(
            _choosing(k=_next_k(1)),
            "One token too many is kept: the k-th largest is the last of topk(k).values.",
        ),
        Mistake(
            _choosing(k=_next_k(-1)),
            "One token too few is kept: hide what is *below* the k-th largest, with < and not <=.",
        ),
        Mistake(
            _choosing(k=_exactly_k),
            "Of equally likely tokens you keep one and drop the other, as topk's order has it: the exercise keeps all that are as likely as the k-th, so hide what is *below* its logit.",
        ),
        Mistake(
            _choosing(k=_of_first_row),
            "The threshold of the first text is used for all: each text has its own k-th largest logit, topk(k).values[:, -1:].",
        ),
        Mistake(
            _choosing(k=_zeros),
            "What top-k drops has logit 0, and the softmax makes exp(0) = 1 of that: it has to be minus infinity.",
        ),
        Mistake(
            _choosing(k=_least_k),
            "You keep the k *least* likely tokens.",
        ),
        Mistake(
            _choosing(p=_nucleus(lambda share, total, p: (total > p) & (torch.arange(share.shape[-1]) > 0))),
            "Top-p drops the token that crosses the threshold: the fewest that hold p *together* include it. A token is outside if those *before* it hold p already.",
        ),
        Mistake(
            _choosing(p=_nucleus(lambda share, total, p: total > p)),
            "Top-p drops the token that crosses the threshold, even where it is the first, and then nothing is left (NaN). A token is outside if those *before* it hold p already: cumsum - probabilities >= p.",
        ),
        Mistake(
            _choosing(p=_nucleus(lambda share, total, p: total - share >= p, descending=False)),
            "You sort from the least likely on, and keep *those*: the nucleus begins with the likeliest token, descending=True.",
        ),
        Mistake(
            _choosing(p=lambda logits, top_p: logits if top_p >= 1 else logits.masked_fill(logits.softmax(-1) < top_p, NEVER)),
            "You keep tokens that are likelier than p each: it is the *sum* of the likeliest ones that has to reach p.",
        ),
        Mistake(
            _choosing(p=lambda logits, top_p: keep_top_p(logits, 1 - top_p + 1e-12) if top_p < 1 else logits),
            "You keep what holds 1 - p: what is to be kept holds p.",
        ),
        Mistake(
            _choosing(p=_unsorted),
            "The mask is in the order of the sorted tokens, the logits are in their own: bring it back with scatter (or gather with the argsort of the order).",
        ),
        Mistake(
            _choosing(p=_as_sorted),
            "You return the probabilities in sorted order: column i belongs to token i.",
        ),
        Mistake(
            _choosing(p=_always_as_sorted),
            "You return the probabilities in sorted order: column i belongs to token i.",
        ),
        Mistake(
            _choosing(p=_gathered),
            "gather(-1, order) brings the mask into the sorted order once more, not back: use torch.zeros_like(mask).scatter(-1, order, mask), or gather with order.argsort(-1).",
        ),
        Mistake(
            _choosing(p=_never_sorted),
            "The running sum goes through the tokens in their own order: sort them first, the likeliest in front.",
        ),
        Mistake(
            _choosing(p=_zeros_outside),
            "What top-p drops has logit 0, and the softmax makes exp(0) = 1 of that: it has to be minus infinity.",
        ),
        Mistake(
            _either,
            "top_p has no effect where top_k is given: both are applied, first top-k, then top-p to what is left.",
        ),
        Mistake(
            _p_not_renormalised,
            "What top-p leaves does not add up to 1: divide by the sum, or hide with minus infinity and take the softmax at the end.",
        ),
        Mistake(
            lambda logits, temperature, *others: _next_probabilities(logits, temperature**2, *others),
            "The logits are divided by the temperature twice.",
        ),
        Mistake(
            _choosing(k=_of_batch),
            "One threshold is used for all texts, the smallest: each text has its own k-th largest logit, topk(k).values[:, -1:].",
        ),
        Mistake(
            _not_renormalised,
            "What is left does not add up to 1: take the softmax *after* tokens were hidden with minus infinity, or divide by the sum.",
        ),
        Mistake(
            lambda logits, temperature, top_k, top_p: keep_top_k(keep_top_p(logits / temperature, top_p), top_k).softmax(-1),
            "p counts the share of *all* tokens here. Take top-k first, and make the k likeliest add up to 1 (a softmax after the others are hidden): p counts their share.",
        ),
        Mistake(
            _choosing(last=lambda logits: logits.log_softmax(-1)),
            "These are log probabilities: softmax, without the log.",
        ),
        Mistake(
            _choosing(last=lambda logits: logits),
            "These are logits: take the softmax.",
        ),
        Mistake(
            _choosing(last=lambda logits: logits.softmax(0)),
            "The softmax runs over the texts of the batch: it belongs over the tokens, the last axis.",
        ),
        Mistake(
            lambda logits, temperature, top_k, top_p: _next_probabilities(logits, 1.0, top_k, top_p).log().div(temperature).softmax(-1),
            "The temperature comes last: then top-p has counted the probabilities as they were before it. Divide first.",
        ),
    ),
)  # fmt: skip
