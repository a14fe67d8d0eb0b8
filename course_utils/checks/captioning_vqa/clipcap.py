"""Checks of notebook captioning_vqa/clipcap."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.engine import Case, Check, Draw, Mistake

__all__ = ["beam_step", "caption_loss", "mapped_prefix", "prefixed"]

LOOK = "01_clipcap, exercise"


# --- exercise 1: the mapping transformer ------------------------------------------------------------------------------


def _spread(features: Tensor, spread: Tensor, width: int) -> Tensor:
    return (features @ spread).unflatten(1, (-1, width))


def _beside(picture: Tensor, constants: Tensor) -> Tensor:
    return torch.cat([picture, constants.expand(len(picture), -1, -1)], dim=1)


def _heads(tokens: Tensor, num_heads: int) -> Tensor:
    return tokens.unflatten(2, (num_heads, -1)).transpose(1, 2)


def _torn(tokens: Tensor, num_heads: int) -> Tensor:
    return tokens.reshape(len(tokens), num_heads, tokens.shape[1], -1)


def _joined(seen: Tensor) -> Tensor:
    return seen.transpose(1, 2).flatten(2)


def _kept(tokens: Tensor, constants: Tensor) -> Tensor:
    return tokens[:, -len(constants) :]


def _mapping(
    picture: Callable[[Tensor, Tensor, int], Tensor] = _spread,
    tokens: Callable[[Tensor, Tensor], Tensor] = _beside,
    keys: Callable[[Tensor, Tensor], Tensor] = lambda tokens, constants: tokens,
    split: Callable[[Tensor, int], Tensor] = _heads,
    factor: Callable[[int, int], float] = lambda width, heads: (width / heads) ** -0.5,
    weights: Callable[[Tensor], Tensor] = lambda scores: scores.softmax(-1),
    added: Callable[[Tensor, Tensor], Tensor] = lambda before, seen: before + seen,
    kept: Callable[[Tensor, Tensor], Tensor] = _kept,
) -> Callable[..., Tensor]:
    """The mapping with one of its parts exchanged."""

    def mapped_prefix(
        features: Tensor,
        spread: Tensor,
        constants: Tensor,
        to_q: Tensor,
        to_k: Tensor,
        to_v: Tensor,
        to_out: Tensor,
        num_heads: int,
    ) -> Tensor:
        x = tokens(picture(features, spread, constants.shape[1]), constants)
        seen = keys(x, constants)
        q, k, v = split(x @ to_q, num_heads), split(seen @ to_k, num_heads), split(seen @ to_v, num_heads)
        found = weights(q @ k.mT * factor(to_q.shape[1], num_heads)) @ v
        return kept(added(x, _joined(found) @ to_out), constants)

    return mapped_prefix


def _exchanged(change: Callable[..., tuple]) -> Callable[..., Tensor]:
    """The mapping with other weights or another number of heads, a function of (to_q, to_k, to_v, to_out, num_heads)."""
    return lambda x, spread, constants, *rest: _mapping()(x, spread, constants, *change(*rest))


def _causal(scores: Tensor) -> Tensor:
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -math.inf).softmax(-1)


def _picture_only(features: Tensor, spread: Tensor, constants: Tensor, *_: object) -> Tensor:
    return _spread(features, spread, constants.shape[1])


def _constants_only(features: Tensor, spread: Tensor, constants: Tensor, *_: object) -> Tensor:
    return constants.expand(len(features), -1, -1)


def _vectors(draw: Draw, batch: int, clip_dim: int, clip_length: int, length: int, width: int, heads: int) -> tuple:
    """CLIP vectors, the matrix that spreads them, the constants, four weights and the number of heads; scores are large enough to choose."""
    spread = draw.normal(clip_dim, clip_length * width) / math.sqrt(clip_dim)
    q, k = (1.3 * draw.normal(width, width) / math.sqrt(width) for _ in range(2))
    v, out = (draw.normal(width, width) / math.sqrt(width) for _ in range(2))
    return draw.normal(batch, clip_dim), spread, draw.normal(length, width), q, k, v, out, heads


mapped_prefix = Check(
    name="mapped_prefix",
    signature=("features", "spread", "constants", "to_q", "to_k", "to_v", "to_out", "num_heads"),
    reference=_mapping(),
    holds="the vector becomes tokens, they and the constants look at each other, and what became of the constants is the prefix",
    look=f'{LOOK} 1 "A vector becomes a prefix"',
    hint="picture = (features @ spread).unflatten(1, (-1, width)); constants behind it, expand to the batch; attention of all tokens to all, in heads; tokens + seen @ to_out; the last len(constants).",
    cases=(
        Case("2 vectors of 5, 3 tokens and 2 constants of 8, 2 heads", lambda draw: _vectors(draw, 2, 5, 3, 2, 8, 2)),
        Case("3 vectors of 8, 2 tokens and 4 constants of 6, 1 head", lambda draw: _vectors(draw, 3, 8, 2, 4, 6, 1)),
        Case("1 vector of 6, 4 tokens and 3 constants of 12, 3 heads", lambda draw: _vectors(draw, 1, 6, 4, 3, 12, 3)),
    ),
    hidden_cases=(
        Case("4 vectors of 4, 1 token and 5 constants of 16, 4 heads", lambda draw: _vectors(draw, 4, 4, 1, 5, 16, 4)),
        Case("2 vectors of 9, 5 tokens and 2 constants of 4, 2 heads", lambda draw: _vectors(draw, 2, 9, 5, 2, 4, 2)),
    ),
    gradients="required",
    differentiable=("features", "spread", "constants", "to_q", "to_k", "to_v", "to_out"),
    mistakes=(
        Mistake(
            _mapping(kept=lambda tokens, constants: tokens[:, : -len(constants)]),
            "You return what became of the picture's tokens. The prefix is what became of the *constants*, the last len(constants) tokens.",
        ),
        Mistake(
            _mapping(kept=lambda tokens, constants: tokens[:, : len(constants)]),
            "You return the first tokens, and there the picture stands: the constants are the last, tokens[:, -len(constants):].",
        ),
        Mistake(
            _mapping(kept=lambda tokens, constants: tokens),
            "All tokens come back, the picture's as well: only the constants' places are the prefix.",
        ),
        Mistake(
            _mapping(tokens=lambda picture, constants: _beside(picture, constants).roll(len(constants), 1)),
            "The constants stand in front of the picture here, and the last tokens are returned: take the places where the constants are.",
        ),
        Mistake(
            _mapping(weights=_causal),
            "A token sees only what stands before it. This is no language model: all tokens look at all, without a causal mask.",
        ),
        Mistake(
            _mapping(added=lambda before, seen: seen),
            "The tokens themselves are lost: what attention finds is *added* to them, tokens + seen @ to_out.",
        ),
        Mistake(
            _mapping(keys=lambda tokens, constants: _kept(tokens, constants)),
            "The constants look only at each other, so the picture never gets in: keys and values come from all tokens.",
        ),
        Mistake(
            _mapping(keys=lambda tokens, constants: tokens[:, : -len(constants)]),
            "Keys and values come from the picture's tokens alone. Here all tokens look at all, the constants at each other, too.",
        ),
        Mistake(
            _mapping(factor=lambda width, heads: 1.0),
            "The scores are not divided by sqrt(d): the wider a head, the larger its scores, until the softmax sees one token only.",
        ),
        Mistake(
            _mapping(factor=lambda width, heads: width**-0.5),
            "You divide by the root of the whole width: a head's inner product has width / num_heads terms, and it is their number whose root divides.",
        ),
        Mistake(
            _mapping(weights=lambda scores: scores.softmax(-2)),
            "The softmax runs over those who ask: the shares of the *keys* add up to 1, dim=-1.",
        ),
        Mistake(
            _mapping(split=_torn),
            "view or reshape to (batch, heads, n, d) tears the tokens apart: unflatten(2, (num_heads, -1)), then transpose(1, 2).",
        ),
        Mistake(
            _exchanged(lambda q, k, v, out, heads: (q, k, v, out, 1)),
            "You took one head: the width is cut into num_heads parts, each with a softmax of its own.",
        ),
        Mistake(
            _mapping(picture=lambda x, spread, width: (x @ spread).unflatten(1, (width, -1)).transpose(1, 2)),
            "The spread numbers are cut the wrong way: the first `width` of them are the first token, unflatten(1, (-1, width)).",
        ),
        Mistake(
            _exchanged(lambda q, k, v, out, heads: (q, k, k, out, heads)),
            "The keys are used as values: values are tokens @ to_v.",
        ),
        Mistake(
            _exchanged(lambda q, k, v, out, heads: (q, k, v, torch.eye(len(out)), heads)),
            "`to_out` is missing: what the heads found goes through it before it is added.",
        ),
        Mistake(
            _exchanged(lambda q, k, v, out, heads: (q.T, k.T, v.T, out.T, heads)),
            "You transposed the weights: they are multiplied from the right as they are, tokens @ to_q (F.linear would transpose).",
        ),
        Mistake(
            _picture_only,
            "This is the spread vector alone: the constants are missing, and nothing has looked at anything.",
        ),
        Mistake(
            _constants_only,
            "These are the constants as they were, the same for every picture: they must look at the picture first.",
        ),
    ),
)


# --- exercise 2: the prefix before the caption ------------------------------------------------------------------------


def _embedded(prefix: Tensor, ids: Tensor, mask: Tensor, table: Tensor) -> Tensor:
    return torch.cat([prefix, table[ids]], dim=1)


def _seen(prefix: Tensor, ids: Tensor, mask: Tensor, table: Tensor) -> Tensor:
    return torch.cat([torch.ones(prefix.shape[:2], dtype=torch.bool), mask], dim=1)


def _with(vectors: Callable[..., Tensor] = _embedded, mask: Callable[..., Tensor] = _seen) -> Callable[..., tuple]:
    """The pair of vectors and mask, each a function of all arguments."""
    return lambda *given: (vectors(*given), mask(*given))


def _prefix_added(prefix: Tensor, ids: Tensor, mask: Tensor, table: Tensor) -> Tensor:
    words = table[ids]
    count = min(prefix.shape[1], words.shape[1])
    return torch.cat([words[:, :count] + prefix[:, :count], words[:, count:]], dim=1)


def _captions(draw: Draw, batch: int, length: int, count: int, width: int, vocabulary: int) -> tuple:
    """Prefixes, captions of different lengths (the first full, the last of one word) and a table of embeddings."""
    words = 1 + draw.integers(length, batch, 1)
    words[0], words[-1] = length, 1
    if batch == 1:
        words[0] = length - 1
    return (
        2 * draw.normal(batch, count, width),
        draw.integers(vocabulary, batch, length),
        torch.arange(length) < words,
        draw.normal(vocabulary, width),
    )


prefixed = Check(
    name="prefixed",
    signature=("prefix", "input_ids", "attention_mask", "table"),
    reference=_with(),
    holds="the prefix stands where words would, before the caption, and the mask lets it be seen",
    look=f'{LOOK} 2 "Vectors among words"',
    hint="table[input_ids] are the words' embeddings, (batch, n, width); torch.cat([prefix, words], dim=1). The mask grows by k times True on the left.",
    cases=(
        Case("3 prefixes of 2, captions of up to 5 words", lambda draw: _captions(draw, 3, 5, 2, 4, 9)),
        Case("2 prefixes of 4, captions of up to 6 words", lambda draw: _captions(draw, 2, 6, 4, 3, 12)),
    ),
    hidden_cases=(
        Case("1 prefix of 3, a caption of 6 words", lambda draw: _captions(draw, 1, 7, 3, 5, 20)),
        Case("6 prefixes of 1, captions of up to 4 words", lambda draw: _captions(draw, 6, 4, 1, 8, 7)),
    ),
    gradients="required",
    differentiable=("prefix", "table"),
    mistakes=(
        Mistake(
            _with(
                lambda p, i, m, t: torch.cat([t[i], p], dim=1),
                lambda p, i, m, t: torch.cat([m, _seen(p, i, m, t)[:, : p.shape[1]]], dim=1),
            ),
            "The prefix stands behind the caption. A language model sees only what came before, so no word could look at it.",
        ),
        Mistake(
            _with(lambda p, i, m, t: torch.cat([t[i], p], dim=1)),
            "The prefix stands behind the caption, and the mask is that of a prefix in front: in front it belongs.",
        ),
        Mistake(
            _with(mask=lambda p, i, m, t: m),
            "The mask has the caption's length: the sequence has grown by the prefix, and so must the mask, by True on the left.",
        ),
        Mistake(
            _with(mask=lambda p, i, m, t: torch.cat([torch.zeros(p.shape[:2], dtype=torch.bool), m], dim=1)),
            "The mask is False at the prefix, as if it were padding: no word could see the picture.",
        ),
        Mistake(
            _with(mask=lambda p, i, m, t: torch.cat([m, torch.ones(p.shape[:2], dtype=torch.bool)], dim=1)),
            "The mask has grown on the right: the prefix stands on the left, and there its True belongs.",
        ),
        Mistake(
            _with(mask=lambda p, i, m, t: torch.ones_like(_seen(p, i, m, t))),
            "The mask is True everywhere: the captions' padding must stay out.",
        ),
        Mistake(
            _with(mask=lambda p, i, m, t: ~_seen(p, i, m, t)),
            "The mask is the wrong way round: True stands where there is something to see.",
        ),
        Mistake(
            _with(mask=lambda p, i, m, t: torch.cat([torch.ones(p.shape[:2], dtype=torch.bool), i != 0], dim=1)),
            "You took id 0 for padding. Word 0 is a word, and at padding any id may stand: `attention_mask` says which is which.",
        ),
        Mistake(
            _with(_prefix_added, lambda p, i, m, t: m),
            "The prefix is added to the first words: it stands *before* them, at places of its own.",
        ),
        Mistake(
            _with(lambda p, i, m, t: torch.cat([p[:1].expand_as(p), t[i]], dim=1)),
            "Every caption got the first picture's prefix: row i of both belongs together.",
        ),
        Mistake(
            _with(lambda p, i, m, t: torch.cat([F.normalize(p, dim=-1), t[i]], dim=1)),
            "You made the prefix's vectors unit ones: it is learned, and how long its vectors are is learned, too.",
        ),
        Mistake(
            _with(lambda p, i, m, t: torch.cat([p.flip(1), t[i]], dim=1)),
            "The prefix is turned around: its first vector comes first.",
        ),
        Mistake(
            _with(lambda p, i, m, t: torch.cat([p, t[i.flip(1)]], dim=1)),
            "The caption is turned around: its first word comes first, behind the prefix.",
        ),
        Mistake(
            _with(lambda p, i, m, t: torch.cat([p, t[i] * m[..., None]], dim=1)),
            "You set the embeddings of padding to zero. It is the mask's business to leave them out: they stay as the table has them.",
        ),
        Mistake(
            lambda p, i, m, t: _embedded(p, i, m, t),
            "Only the vectors come back: return both, vectors and mask.",
        ),
        Mistake(
            lambda p, i, m, t: (_seen(p, i, m, t), _embedded(p, i, m, t)),
            "The mask comes first in your pair: vectors, then mask.",
        ),
    ),
)


# --- exercise 3: the loss on the caption ------------------------------------------------------------------------------


def _each(logits: Tensor, ids: Tensor) -> Tensor:
    """-log p of each token, (batch, n)."""
    return F.cross_entropy(logits.mT, ids, reduction="none")


def _shifted(logits: Tensor, ids: Tensor) -> Tensor:
    return logits[:, -ids.shape[1] - 1 : -1]


def _over_real(losses: Tensor, mask: Tensor) -> Tensor:
    return (losses * mask).sum() / mask.sum()


def _loss(
    aligned: Callable[[Tensor, Tensor], Tensor] = _shifted,
    each: Callable[[Tensor, Tensor], Tensor] = _each,
    mean: Callable[[Tensor, Tensor], Tensor] = _over_real,
) -> Callable[..., Tensor]:
    """The loss with one of its parts exchanged."""
    return lambda logits, ids, mask: mean(each(aligned(logits, ids), ids), mask)


def _without_first_word(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    return _over_real(_each(_shifted(logits, ids)[:, 1:], ids[:, 1:]), mask[:, 1:])


def _with_prefix_counted(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    losses = _each(_shifted(logits, ids), ids) * mask
    return losses.sum() / (mask.sum() + len(ids) * (logits.shape[1] - ids.shape[1]))


def _logits(draw: Draw, batch: int, length: int, count: int, vocabulary: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of prefix and captions, and the captions, of different lengths; the first begins with word 0."""
    words = 1 + draw.integers(length, batch, 1)
    words[0], words[-1] = length, 2
    if batch == 1:
        words[0] = length - 1
    ids = draw.integers(vocabulary, batch, length)
    ids[0, 0] = 0
    return 2 * draw.normal(batch, count + length, vocabulary), ids, torch.arange(length) < words


caption_loss = Check(
    name="caption_loss",
    signature=("logits", "input_ids", "attention_mask"),
    reference=_loss(),
    holds="the last vector of the prefix predicts the first word, and only real words count",
    look=f'{LOOK} 3 "The loss on the caption"',
    hint="k = logits.shape[1] - input_ids.shape[1]; what predicts the caption is logits[:, k - 1 : -1]; -log p of each word, times the mask, summed, divided by the number of real words.",
    cases=(
        Case("3 captions of up to 5 words behind 3 vectors", lambda draw: _logits(draw, 3, 5, 3, 7)),
        Case("4 captions of up to 4 words behind 2 vectors", lambda draw: _logits(draw, 4, 4, 2, 11)),
    ),
    hidden_cases=(
        Case("1 caption of 6 words behind 4 vectors", lambda draw: _logits(draw, 1, 7, 4, 20)),
        Case("6 captions of up to 3 words behind 5 vectors", lambda draw: _logits(draw, 6, 3, 5, 9)),
    ),
    gradients="required",
    differentiable=("logits",),
    mistakes=(
        Mistake(
            _loss(lambda logits, ids: logits[:, -ids.shape[1] :]),
            "The logits are not shifted: what stands at a word predicts the *next* one. The first word is predicted by the last vector of the prefix, logits[:, k - 1].",
        ),
        Mistake(
            _loss(lambda logits, ids: logits[:, : ids.shape[1]]),
            "You took the logits from the beginning, where the prefix stands: those that predict the caption begin at its last vector, logits[:, k - 1 : -1].",
        ),
        Mistake(
            _loss(lambda logits, ids: logits[:, -ids.shape[1] - 2 : -2]),
            "The logits are shifted once too often: the last vector of the prefix, k - 1, predicts the first word.",
        ),
        Mistake(
            _without_first_word,
            "The first word is left out. There is something before it that predicts it: the last vector of the prefix.",
        ),
        Mistake(
            _loss(mean=lambda losses, mask: losses.mean()),
            "Padding counts as well: only where `attention_mask` is True is there a word to be learned.",
        ),
        Mistake(
            _loss(mean=lambda losses, mask: (losses * mask).mean()),
            "You divide by all places, padding too: divide by the number of real words, attention_mask.sum().",
        ),
        Mistake(
            _loss(mean=lambda losses, mask: (losses * mask).sum()),
            "This is the sum over all words: the loss is their mean.",
        ),
        Mistake(
            _loss(mean=lambda losses, mask: (losses * mask).sum() / len(losses)),
            "You divide by the number of captions: the mean is over words, so that long captions do not weigh more a word.",
        ),
        Mistake(
            _loss(mean=lambda losses, mask: ((losses * mask).sum(1) / mask.sum(1)).mean()),
            "You take a mean for each caption, then the mean of these: then a word of a short caption counts more. All words count alike.",
        ),
        Mistake(
            _loss(mean=lambda losses, mask: (losses * ~mask).sum() / (~mask).sum().clamp(min=1)),
            "The mask is the wrong way round: this is the loss of the padding.",
        ),
        Mistake(
            _with_prefix_counted,
            "The places of the prefix count in the number that you divide by: only words have a loss.",
        ),
        Mistake(
            _loss(mean=lambda losses, mask: -_over_real(losses, mask)),
            "The sign is missing: this is log p, which training would make small.",
        ),
        Mistake(
            _loss(each=lambda logits, ids: _each(logits.softmax(-1), ids)),
            "The softmax is taken twice: F.cross_entropy wants logits as they are.",
        ),
        Mistake(
            _loss(each=lambda logits, ids: -logits.softmax(-1).gather(2, ids[..., None])[..., 0]),
            "The logarithm is missing: it is -log p, not -p.",
        ),
        Mistake(
            _loss(each=lambda logits, ids: -logits.gather(2, ids[..., None])[..., 0]),
            "These are the logits of the right words: probabilities come after log_softmax.",
        ),
        Mistake(
            _loss(each=lambda logits, ids: _each(logits, ids) / math.log(2)),
            "This is in bits: the loss is in nats, with the natural logarithm.",
        ),
        Mistake(
            lambda logits, ids, mask: _over_real(_each(_shifted(logits, ids), ids), mask & (ids != 0)),
            "You took id 0 for padding: `attention_mask` says where words are.",
        ),
    ),
)


# --- exercise 4: a step of beam search --------------------------------------------------------------------------------


def _sums(scores: Tensor, log_p: Tensor) -> Tensor:
    return scores[:, :, None] + log_p


def _apart(chosen: Tensor, beams: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    return chosen // vocabulary, chosen % vocabulary


def _step(
    sums: Callable[[Tensor, Tensor], Tensor] = _sums,
    apart: Callable[[Tensor, int, int], tuple] = _apart,
    largest: bool = True,
    best: Callable[[Tensor, Tensor], Tensor] = lambda found, log_p: found,
) -> Callable[..., tuple]:
    """The step with one of its parts exchanged."""

    def beam_step(scores: Tensor, log_p: Tensor, num_beams: int) -> tuple[Tensor, Tensor, Tensor]:
        candidates = sums(scores, log_p).flatten(1)
        found, chosen = candidates.topk(num_beams, dim=1, largest=largest)
        return best(found, log_p), *apart(chosen, *log_p.shape[1:])

    return beam_step


def _each_its_own(scores: Tensor, log_p: Tensor, num_beams: int) -> tuple[Tensor, Tensor, Tensor]:
    found, token = _sums(scores, log_p).max(2)
    origin = torch.arange(scores.shape[1]).expand_as(token)
    return found, origin, token


def _of_the_best(scores: Tensor, log_p: Tensor, num_beams: int) -> tuple[Tensor, Tensor, Tensor]:
    first = scores.argmax(1)
    row = torch.arange(len(scores))
    found, token = _sums(scores, log_p)[row, first].topk(num_beams, dim=1)
    return found, first[:, None].expand_as(token), token


def _of_the_first(scores: Tensor, log_p: Tensor, num_beams: int) -> tuple[Tensor, Tensor, Tensor]:
    found, token = _sums(scores, log_p)[:, 0].topk(num_beams, dim=1)
    return found, torch.zeros_like(token), token


def _news_only(scores: Tensor, log_p: Tensor, num_beams: int) -> tuple[Tensor, Tensor, Tensor]:
    chosen = _sums(scores, log_p).flatten(1).topk(num_beams, dim=1).indices
    return log_p.flatten(1).gather(1, chosen), *_apart(chosen, *log_p.shape[1:])


def _over_all_prompts(scores: Tensor, log_p: Tensor, num_beams: int) -> tuple[Tensor, Tensor, Tensor]:
    found, chosen = _sums(scores, log_p).flatten().topk(num_beams)
    origin, token = _apart(chosen, *log_p.shape[1:])
    return tuple(part.expand(len(scores), -1) for part in (found, origin % scores.shape[1], token))


def _beams(draw: Draw, batch: int, beams: int, vocabulary: int) -> tuple[Tensor, Tensor, int]:
    """Texts that run, in any order, and what each says of its next token."""
    scores = -draw.uniform(batch, beams, low=2.0, high=4.0)
    return scores, (1.5 * draw.normal(batch, beams, vocabulary)).log_softmax(2), beams


beam_step = Check(
    name="beam_step",
    signature=("scores", "log_p", "num_beams"),
    reference=_step(),
    holds="every text is continued with every token, the best run on, and it is known which text each came from",
    look=f'{LOOK} 4 "A step of beam search"',
    hint="(scores[:, :, None] + log_p).flatten(1) holds all continuations of a picture in one row; topk; the flat place // vocab_size is the beam, % vocab_size the token.",
    cases=(
        Case("2 pictures, 3 beams, 5 tokens", lambda draw: _beams(draw, 2, 3, 5)),
        Case("3 pictures, 2 beams, 7 tokens", lambda draw: _beams(draw, 3, 2, 7)),
        Case("2 pictures, 4 beams, 6 tokens", lambda draw: _beams(draw, 2, 4, 6)),
    ),
    hidden_cases=(
        Case("1 picture, 4 beams, 9 tokens", lambda draw: _beams(draw, 1, 4, 9)),
        Case("5 pictures, 3 beams, 4 tokens", lambda draw: _beams(draw, 5, 3, 4)),
    ),
    gradients="free",
    mistakes=(
        Mistake(
            _step(lambda scores, log_p: log_p),
            "Only the last step counts in your choice: a text's log p is that of its beginning *plus* that of the new token.",
        ),
        Mistake(
            _news_only,
            "The choice is right, but the scores that you return are those of the new tokens alone: return the sums, the next step adds to them.",
        ),
        Mistake(
            _each_its_own,
            "Each text goes on with its own best token: that is greedy search several times. All continuations of all texts compete, and a text may go on twice or not at all.",
        ),
        Mistake(
            _of_the_best,
            "Only the best text is continued: the others compete, too.",
        ),
        Mistake(
            _of_the_first,
            "Only the first text is continued: all of them are.",
        ),
        Mistake(
            _step(apart=lambda chosen, beams, vocabulary: (chosen % vocabulary, chosen // vocabulary)),
            "Beam and token are exchanged: in a row of beams * vocab_size numbers the beam is the place // vocab_size, the token the rest.",
        ),
        Mistake(
            _step(apart=lambda chosen, beams, vocabulary: (chosen // beams, chosen % beams)),
            "You divide by the number of beams: a beam's tokens stand side by side, so a beam is vocab_size places wide.",
        ),
        Mistake(
            _step(apart=lambda chosen, beams, vocabulary: (chosen % beams, chosen // beams)),
            "The places are read as if all beams of one token stood side by side: a beam's tokens do, so // vocab_size and % vocab_size.",
        ),
        Mistake(
            _step(apart=lambda chosen, beams, vocabulary: (chosen // vocabulary, chosen)),
            "The token is the place in the long row: it is what is left of it, % vocab_size.",
        ),
        Mistake(
            _step(lambda scores, log_p: scores[:, :, None] * log_p),
            "You multiply logarithms: probabilities are multiplied, their logarithms added.",
        ),
        Mistake(
            _step(lambda scores, log_p: scores[:, :, None].exp() * log_p.exp()),
            "You return probabilities: after some ten words they are too small for a float. Stay with logarithms, and add.",
        ),
        Mistake(
            _step(lambda scores, log_p: scores[:, :, None] + log_p.exp()),
            "log_p is a logarithm already, and you add the probability itself to a logarithm.",
        ),
        Mistake(
            _step(largest=False),
            "The worst run on: log p is negative, and the largest is the best.",
        ),
        Mistake(
            _step(lambda scores, log_p: scores[:, :, None] - log_p),
            "You subtract the new token's log p: a likely one must make the text likelier.",
        ),
        Mistake(
            _step(lambda scores, log_p: _sums(scores, log_p) / 2),
            "You take the mean of old and new: with every step the beginning would count less. Add them.",
        ),
        Mistake(
            _over_all_prompts,
            "The pictures compete with each other: each has num_beams texts of its own, topk along dim=1.",
        ),
        Mistake(
            lambda scores, log_p, num_beams: _step()(scores, log_p, num_beams)[1:],
            "The scores are missing: return scores, beam, token.",
        ),
        Mistake(
            lambda scores, log_p, num_beams: _step()(scores, log_p, 1),
            "One text is left: num_beams of them run on.",
        ),
    ),
)
