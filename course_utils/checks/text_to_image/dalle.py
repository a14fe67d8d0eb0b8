"""Checks of notebook text_to_image/dalle."""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.engine import Case, Check, Draw, Mistake
from course_utils.checks.plain import Seen

__all__ = ["joint_loss", "joint_sequence", "next_code", "rerank"]

LOOK = "01_dalle, exercise"


# --- exercise 1: one sequence -----------------------------------------------------------------------------------------


def _words(text: Tensor, mask: Tensor, vocabulary: int) -> Tensor:
    return torch.where(mask, text, vocabulary + torch.arange(text.shape[1]))


def _joint_sequence(text: Tensor, attention_mask: Tensor, codes: Tensor, text_vocabulary: int) -> Tensor:
    shifted = text_vocabulary + text.shape[1] + codes.flatten(1)
    return torch.cat([_words(text, attention_mask, text_vocabulary), shifted], dim=1)


def _padded_with(padding: Callable[[Tensor, Tensor, int], Tensor]) -> Callable[..., Tensor]:
    """A joint sequence whose padding is a function of (text, mask, vocabulary)."""

    def joint_sequence(text: Tensor, mask: Tensor, codes: Tensor, vocabulary: int) -> Tensor:
        words = torch.where(mask, text, padding(text, mask, vocabulary))
        return torch.cat([words, vocabulary + text.shape[1] + codes.flatten(1)], dim=1)

    return joint_sequence


def _codes_as(code: Callable[[Tensor, Tensor, int], Tensor]) -> Callable[..., Tensor]:
    """A joint sequence whose codes are a function of (codes, text, vocabulary)."""

    def joint_sequence(text: Tensor, mask: Tensor, codes: Tensor, vocabulary: int) -> Tensor:
        return torch.cat([_words(text, mask, vocabulary), code(codes, text, vocabulary)], dim=1)

    return joint_sequence


def _one_padding(first: int) -> Callable[..., Tensor]:
    """A joint sequence with a single padding, `first` behind the words, and the codes behind that."""

    def joint_sequence(text: Tensor, mask: Tensor, codes: Tensor, vocabulary: int) -> Tensor:
        padding = vocabulary + first * text.shape[1]
        return torch.cat([torch.where(mask, text, padding), padding + 1 + codes.flatten(1)], dim=1)

    return joint_sequence


def _words_last(text: Tensor, mask: Tensor, codes: Tensor, vocabulary: int) -> Tensor:
    order = mask.int().argsort(dim=1, stable=True)
    return _joint_sequence(text.gather(1, order), mask.gather(1, order), codes, vocabulary)


def _padding_last(text: Tensor, mask: Tensor, codes: Tensor, vocabulary: int) -> Tensor:
    place = torch.cat([2 * ~mask, torch.ones_like(codes.flatten(1))], dim=1)
    return _joint_sequence(text, mask, codes, vocabulary).gather(1, place.argsort(dim=1, stable=True))


def _pair(
    draw: Draw, batch: int, length: int, rows: int, columns: int, vocabulary: int, num_codes: int, full: bool = False
) -> tuple:
    """Texts without the last word of the vocabulary, of different lengths (the longest is one short of full, the last is empty) or all
    `full`, whose padding holds ids as well; grids of codes."""
    words = draw.integers(length, batch, 1)
    words[0], words[-1] = length - 1, 0
    if batch == 1:
        words[0] = length // 2
    if full:
        words[:] = length
    return (
        draw.integers(vocabulary - 1, batch, length),
        torch.arange(length) < words,
        draw.integers(num_codes, batch, rows, columns),
        vocabulary,
    )


_SAME_PADDING = "All padding is one token. Here each position has a padding of its own: text_vocabulary + i at position i, so that the model can tell how much of the text is lacking."

joint_sequence = Check(
    name="joint_sequence",
    signature=("text", "attention_mask", "codes", "text_vocabulary"),
    reference=_joint_sequence,
    holds="words keep their ids, each position has its own padding, codes follow row by row behind both",
    look=f'{LOOK} 1 "One sequence"',
    hint="Three ranges that do not overlap: words from 0, paddings from text_vocabulary, codes from text_vocabulary + text_length. Then text and codes in one row.",
    cases=(
        Case("4 texts of 6, grids of 2x4", lambda draw: _pair(draw, 4, 6, 2, 4, 10, 9)),
        Case("5 texts of 3 without padding, grids of 3x2", lambda draw: _pair(draw, 5, 3, 3, 2, 7, 12, full=True)),
    ),
    hidden_cases=(
        Case("1 text of 7, a grid of 4x4", lambda draw: _pair(draw, 1, 7, 4, 4, 30, 5)),
        Case("8 texts of 3, grids of 1x5", lambda draw: _pair(draw, 8, 3, 1, 5, 20, 9)),
    ),
    gradients="free",
    mistakes=(
        Mistake(_padded_with(lambda text, mask, v: torch.full_like(text, v)), _SAME_PADDING),
        Mistake(_one_padding(0), _SAME_PADDING),
        Mistake(_one_padding(1), _SAME_PADDING),
        Mistake(
            _padded_with(lambda text, mask, v: v + torch.arange(len(text))[:, None].expand_as(text)),
            "Padding is numbered by the text's place in the batch: it is the position i *in* the text that gives the id, text_vocabulary + i.",
        ),
        Mistake(
            _padded_with(lambda text, mask, v: text + v + torch.arange(text.shape[1])),
            "What stood behind the words is added to the padding's id: it must go, torch.where(attention_mask, text, padding).",
        ),
        Mistake(
            lambda t, m, c, v: _joint_sequence(t, t != 0, c, v),
            "You took id 0 for padding. Word 0 is a word, and at padding any id may stand: `attention_mask` says which is which.",
        ),
        Mistake(
            lambda t, m, c, v: _joint_sequence(t, m.any(0).expand_as(m), c, v),
            "You took one length for all texts, that of the longest or of the first: each has its own number of words, as `attention_mask` says.",
        ),
        Mistake(_words_last, "The padding stands before the words: it comes behind them."),
        Mistake(
            _padding_last,
            "The padding stands behind the codes: it fills the *text* up, so that the codes always begin at position text_length.",
        ),
        Mistake(
            lambda t, m, c, v: _joint_sequence(t, m, c, int(t.max()) + 1),
            "You took the largest id in the batch for the number of words: it is `text_vocabulary`.",
        ),
        Mistake(
            _padded_with(lambda text, mask, v: torch.zeros_like(text)),
            "Padding became id 0, which is a word. It needs ids of its own: text_vocabulary + i at position i.",
        ),
        Mistake(
            _padded_with(lambda text, mask, v: torch.full_like(text, -1)),
            "Padding became -1, for which no table has a row: text_vocabulary + i at position i.",
        ),
        Mistake(
            _padded_with(lambda text, mask, v: text),
            "What stands behind the words was left as it is: where `attention_mask` is False, position i gets text_vocabulary + i.",
        ),
        Mistake(
            _padded_with(lambda text, mask, v: torch.arange(text.shape[1]).expand_as(text)),
            "Padding i has the id i, which is a word: paddings begin where words end, at text_vocabulary.",
        ),
        Mistake(
            _padded_with(lambda text, mask, v: v + (~mask).cumsum(1) - 1),
            "You counted the paddings of each text from 0. A padding belongs to a *position*: at position i it is text_vocabulary + i, however long the text is.",
        ),
        Mistake(
            _padded_with(lambda text, mask, v: v + 1 + torch.arange(text.shape[1]).expand_as(text)),
            "Paddings begin one too high: words are 0 ... text_vocabulary - 1, so text_vocabulary is the first that is free, for position 0.",
        ),
        Mistake(
            _padded_with(lambda text, mask, v: v - 1 + torch.arange(text.shape[1]).expand_as(text)),
            "Paddings begin one too low: text_vocabulary - 1 is the last word.",
        ),
        Mistake(
            _padded_with(lambda text, mask, v: v + text.shape[1] - 1 - torch.arange(text.shape[1]).expand_as(text)),
            "Paddings are numbered from the end of the text: position i, counted from the left, has text_vocabulary + i.",
        ),
        Mistake(
            _padded_with(lambda text, mask, v: v + text),
            "You moved what stood there by text_vocabulary. What stands behind the words does not matter; its *position* i gives the id, text_vocabulary + i.",
        ),
        Mistake(
            lambda t, m, c, v: _joint_sequence(t, ~m, c, v),
            "The mask is the wrong way round: True says that there is a word.",
        ),
        Mistake(
            lambda t, m, c, v: torch.cat([v + torch.arange(t.shape[1]).expand_as(t), v + t.shape[1] + c.flatten(1)], 1),
            "All of the text became padding: where `attention_mask` is True the word stays.",
        ),
        Mistake(
            _codes_as(lambda codes, text, v: codes.flatten(1)),
            "The codes keep their numbers, so that code 3 and word 3 are the same token. In one vocabulary they come behind words and paddings: text_vocabulary + text_length + code.",
        ),
        Mistake(
            _codes_as(lambda codes, text, v: v + codes.flatten(1)),
            "The codes begin at text_vocabulary, where the paddings are: they come behind those, text_vocabulary + text_length + code.",
        ),
        Mistake(
            _codes_as(lambda codes, text, v: text.shape[1] + codes.flatten(1)),
            "The codes were moved by the length of the text alone: words and paddings take text_vocabulary + text_length ids.",
        ),
        Mistake(
            _codes_as(lambda codes, text, v: v + len(text) + codes.flatten(1)),
            "len(text) is the size of the batch: the length of the texts is text.shape[1].",
        ),
        Mistake(
            _codes_as(lambda codes, text, v: v + 52 + codes.flatten(1)),
            "The codes were moved by 52, the length of the texts in this notebook: take it from the argument, text.shape[1].",
        ),
        Mistake(
            lambda t, m, c, v: torch.cat([_words(t, m, v), v + m.sum(1, keepdim=True) + c.flatten(1)], 1),
            "The codes were moved by each text's number of words, so that a code has another id in every row: it is the length of the texts, text.shape[1].",
        ),
        Mistake(
            lambda t, m, c, v: torch.cat([_words(t, m, v), _words(t, m, v).max() + 1 + c.flatten(1)], 1),
            "The codes begin behind the largest id of this batch: they begin at text_vocabulary + text_length, whatever the texts are.",
        ),
        Mistake(
            _codes_as(lambda codes, text, v: v + text.shape[1] + 1 + codes.flatten(1)),
            "The codes begin one too high: the last padding is text_vocabulary + text_length - 1.",
        ),
        Mistake(
            _codes_as(lambda codes, text, v: v + text.shape[1] - 1 + codes.flatten(1)),
            "The codes begin one too low, at the last padding: code 0 is text_vocabulary + text_length.",
        ),
        Mistake(
            _codes_as(lambda codes, text, v: v + text.shape[1] + codes.transpose(1, 2).flatten(1)),
            "The grid is read column by column. Pictures are drawn row by row: flatten(1) of (batch, rows, columns).",
        ),
        Mistake(
            _codes_as(lambda codes, text, v: v + text.shape[1] + codes.flatten(1).flip(1)),
            "The grid is read from its end: the first code is the one at the top left.",
        ),
        Mistake(
            lambda t, m, c, v: torch.cat([v + t.shape[1] + c.flatten(1), _words(t, m, v)], 1),
            "The picture comes first. Each token knows only what stands before it, so the text that a picture is to follow must come first.",
        ),
        Mistake(
            lambda t, m, c, v: _words(t, m, v),
            "This is the text alone: the codes follow it.",
        ),
        Mistake(
            lambda t, m, c, v: v + t.shape[1] + c.flatten(1),
            "These are the codes alone: the text stands before them.",
        ),
        Mistake(
            lambda t, m, c, v: _joint_sequence(t, m, c, v).float(),
            "Ids are integers, int64: yours are floating-point numbers, which no embedding takes.",
        ),
    ),
)


# --- exercise 2: the loss ---------------------------------------------------------------------------------------------


def _each(logits: Tensor, ids: Tensor) -> Tensor:
    """-log p of each token, (batch, n)."""
    return F.cross_entropy(logits.mT, ids, reduction="none")


def _text_loss(logits: Tensor, text: Tensor, mask: Tensor) -> Tensor:
    return (_each(logits, text) * mask).sum() / mask.sum()


def _joint_loss(
    text_logits: Tensor, code_logits: Tensor, text: Tensor, attention_mask: Tensor, codes: Tensor
) -> Tensor:
    return _text_loss(text_logits, text, attention_mask) / 8 + 7 * _each(code_logits, codes.flatten(1)).mean() / 8


def _weighted(weight: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A loss that is a function of the two parts."""
    return lambda tl, cl, t, m, c: weight(_text_loss(tl, t, m), _each(cl, c.flatten(1)).mean())


def _with_text(part: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A loss whose part of the text is a function of (logits, text, mask)."""
    return lambda tl, cl, t, m, c: part(tl, t, m) / 8 + 7 * _each(cl, c.flatten(1)).mean() / 8


def _with_codes(part: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A loss whose part of the codes is a function of (logits, codes)."""
    return lambda tl, cl, t, m, c: _text_loss(tl, t, m) / 8 + 7 * part(cl, c) / 8


def _together(tl: Tensor, cl: Tensor, t: Tensor, m: Tensor, c: Tensor) -> Tensor:
    words, codes = _each(tl, t) * m, _each(cl, c.flatten(1))
    return (words.sum() / 8 + 7 * codes.sum() / 8) / (m.sum() + codes.numel())


def _plain_mean(tl: Tensor, cl: Tensor, t: Tensor, m: Tensor, c: Tensor) -> Tensor:
    words, codes = _each(tl, t) * m, _each(cl, c.flatten(1))
    return (words.sum() + codes.sum()) / (m.sum() + codes.numel())


def _shares(logits: Tensor, ids: Tensor) -> Tensor:
    return logits.softmax(-1).gather(2, ids[..., None])[..., 0]


def _spoken(tl: Tensor, cl: Tensor, t: Tensor, m: Tensor, c: Tensor) -> Tensor:
    said = m.any(1)
    return _joint_loss(tl[said], cl[said], t[said], m[said], c[said])


def _picture_by_picture(tl: Tensor, cl: Tensor, t: Tensor, m: Tensor, c: Tensor) -> Tensor:
    words = (_each(tl, t) * m).sum(1) / m.sum(1)
    return (words / 8 + 7 * _each(cl, c.flatten(1)).mean(1) / 8).sum()


def _read(
    draw: Draw, batch: int, length: int, rows: int, columns: int, vocabulary: int, num_codes: int, fewest: int = 1
) -> tuple:
    """Logits of texts of different lengths, the last with the `fewest` words and the first beginning with word 0, and of grids."""
    words = 1 + draw.integers(length, batch, 1)
    words[0], words[-1] = length, fewest
    if batch == 1:
        words[0] = length // 2
    text = draw.integers(vocabulary, batch, length)
    text[0, 0] = 0
    return (
        2 * draw.normal(batch, length, vocabulary),
        2 * draw.normal(batch, rows * columns, num_codes),
        text,
        torch.arange(length) < words,
        draw.integers(num_codes, batch, rows, columns),
    )


_BY_TEXT = "You took the mean of each text first, so that a word of a short text counts more. It is one mean over all real words of the batch."

joint_loss = Check(
    name="joint_loss",
    signature=("text_logits", "code_logits", "text", "attention_mask", "codes"),
    reference=_joint_loss,
    holds="-log p, a mean over the real words and a mean over the codes, weighted 1 to 7",
    look=f'{LOOK} 2 "What counts"',
    hint="Two cross-entropies: one over the real words only, text_logits[attention_mask], one over all codes. Then 1/8 of the first and 7/8 of the second.",
    cases=(
        Case("3 texts of 5, grids of 2x3", lambda draw: _read(draw, 3, 5, 2, 3, 7, 6)),
        Case("4 texts of 4, one without a word, grids of 2x2", lambda draw: _read(draw, 4, 4, 2, 2, 6, 6, fewest=0)),
    ),
    hidden_cases=(
        Case("1 text of 6, a grid of 3x3", lambda draw: _read(draw, 1, 6, 3, 3, 11, 4)),
        Case("7 texts of 3, grids of 1x4", lambda draw: _read(draw, 7, 3, 1, 4, 5, 9)),
    ),
    gradients="required",
    differentiable=("text_logits", "code_logits"),
    mistakes=(
        Mistake(
            _weighted(lambda words, codes: (words + codes) / 2),
            "Both parts count alike: the text's has weight 1/8, the picture's 7/8, for pictures are what is wanted.",
        ),
        Mistake(
            _weighted(lambda words, codes: words + codes),
            "Both parts are added without weights: the text's has weight 1/8, the picture's 7/8.",
        ),
        Mistake(
            _weighted(lambda words, codes: 7 * words / 8 + codes / 8),
            "The weights are exchanged: 1/8 for the text, 7/8 for the picture.",
        ),
        Mistake(
            _weighted(lambda words, codes: words + 7 * codes),
            "The weights are 1 and 7 where 1/8 and 7/8 belong: they add up to 1.",
        ),
        Mistake(
            _weighted(lambda words, codes: words / 7 + codes),
            "The weights stand as 1 to 7, but they do not add up to 1: 1/8 and 7/8.",
        ),
        Mistake(
            _weighted(lambda words, codes: words / 7 + 6 * codes / 7),
            "1/7 and 6/7 are 1 to 6. Weights of 1 to 7 that add up to 1 are 1/8 and 7/8.",
        ),
        Mistake(
            _weighted(lambda words, codes: words / 8 + codes),
            "The codes have weight 1: it is 7/8.",
        ),
        Mistake(
            _weighted(lambda words, codes: words + 7 * codes / 8),
            "The text has weight 1: it is 1/8.",
        ),
        Mistake(
            _weighted(lambda words, codes: codes + 0 * words),
            "Only the codes count. The paper's model learns the text too, with weight 1/8.",
        ),
        Mistake(
            _weighted(lambda words, codes: words + 0 * codes),
            "Only the words count.",
        ),
        Mistake(
            _weighted(lambda words, codes: -words / 8 - 7 * codes / 8),
            "The sign is wrong: this is the mean of log p, which a training would make as small as it can.",
        ),
        Mistake(
            _together,
            "You divided by the number of all tokens. Each part is a mean over its *own* kind, and only then they are weighted.",
        ),
        Mistake(
            _plain_mean,
            "This is the mean over all tokens of both kinds, as for any text: here each kind has a mean of its own, weighted 1/8 and 7/8.",
        ),
        Mistake(
            _with_text(lambda logits, text, mask: _each(logits, text).mean()),
            "Padding is counted as if it were words: where `attention_mask` is False nothing is to be predicted.",
        ),
        Mistake(
            _with_text(lambda logits, text, mask: (_each(logits, text) * mask).mean()),
            "The losses of padding are 0, but they still count in the mean: divide by the number of real words.",
        ),
        Mistake(
            _with_text(lambda logits, text, mask: ((_each(logits, text) * mask).sum(1) / mask.sum(1)).mean()),
            _BY_TEXT,
        ),
        Mistake(
            _with_text(
                lambda logits, text, mask: ((_each(logits, text) * mask).sum(1) / mask.sum(1).clamp(min=1)).mean()
            ),
            _BY_TEXT,
        ),
        Mistake(
            _picture_by_picture,
            "You took the loss of each picture with its caption and added these up. It is one mean over all real words of the batch, and one over all of its codes.",
        ),
        Mistake(
            _with_text(lambda logits, text, mask: (_each(logits, text) * mask).sum() / len(text)),
            "The words' losses are divided by the number of texts: divide by the number of real words.",
        ),
        Mistake(
            _with_text(
                lambda logits, text, mask: F.cross_entropy(logits.mT, text.masked_fill(~mask, 0), ignore_index=0)
            ),
            "With padding as id 0 and ignore_index=0 the real word 0 is left out as well. Pick by `attention_mask`, or fill with -100, which cross_entropy ignores.",
        ),
        Mistake(
            _spoken,
            "Pictures whose caption is empty are left out. Their codes count: from them the model learns what pictures look like when nothing is said.",
        ),
        Mistake(
            _with_text(lambda logits, text, mask: (_each(logits, text) * ~mask).sum() / (~mask).sum()),
            "The mask is the wrong way round: True says that there is a word.",
        ),
        Mistake(
            _with_text(lambda logits, text, mask: (_each(logits, text) * mask).sum()),
            "The words are summed: a mean over the real words is wanted.",
        ),
        Mistake(
            _with_text(lambda logits, text, mask: _text_loss(logits[:, :-1], text[:, 1:], mask[:, 1:])),
            "You moved the text by one place, as for GPT-2. Here a start token stands before it: what is at position i predicts word i already.",
        ),
        Mistake(
            _with_text(lambda logits, text, mask: _each(logits * mask[..., None], torch.where(mask, text, 0)).mean()),
            "You emptied the padding's logits, and count their loss all the same: leave those places out of the mean.",
        ),
        Mistake(
            _with_codes(lambda logits, codes: _each(logits, codes.flatten(1)).sum(1).mean()),
            "The codes of a picture are summed: a mean over all codes is wanted.",
        ),
        Mistake(
            _with_codes(lambda logits, codes: _each(logits, codes.flatten(1)).sum()),
            "All codes are summed: a mean over them is wanted.",
        ),
        Mistake(
            lambda tl, cl, t, m, c: (_each(tl, t) * m).sum() / 8 + 7 * _each(cl, c.flatten(1)).sum() / 8,
            "Words and codes are summed: a mean over the real words and a mean over the codes are wanted.",
        ),
        Mistake(
            _with_codes(lambda logits, codes: _each(logits, codes.flatten(1)).mean(1).sum()),
            "The codes' losses are divided by the codes of *one* picture: divide by those of the whole batch.",
        ),
        Mistake(
            _with_codes(
                lambda logits, codes: F.cross_entropy(
                    logits.reshape(len(logits), logits.shape[2], -1), codes.flatten(1)
                )
            ),
            "reshape() tears the logits of a code apart. To bring the classes to axis 1, exchange two axes, code_logits.mT, or flatten the batch, code_logits.flatten(0, 1).",
        ),
        Mistake(
            _with_codes(lambda logits, codes: F.cross_entropy(logits.transpose(0, 1).flatten(0, 1), codes.flatten())),
            "The logits stand place by place and the codes picture by picture, so each meets another's: code_logits.flatten(0, 1), without transpose.",
        ),
        Mistake(
            lambda tl, cl, t, m, c: F.cross_entropy(tl[m], t[m]) / 8 + 7 * F.cross_entropy(cl, c) / 8,
            "F.cross_entropy takes (n, classes) with (n,): code_logits.flatten(0, 1) with codes.flatten().",
        ),
        Mistake(
            lambda tl, cl, t, m, c: F.cross_entropy(tl[m], t) / 8 + 7 * F.cross_entropy(cl.flatten(0, 1), c) / 8,
            "F.cross_entropy takes (n, classes) with (n,), flattened alike: text_logits[attention_mask] with text[attention_mask], code_logits.flatten(0, 1) with codes.flatten().",
        ),
        Mistake(
            lambda tl, cl, t, m, c: _joint_loss(tl, cl, t, m, c + tl.shape[2] + t.shape[1]),
            "A target is larger than there are classes. Codes count from 0 here, as `codes` holds them, not as ids of the joint vocabulary.",
        ),
        Mistake(
            _with_codes(lambda logits, codes: _each(logits, codes.transpose(1, 2).flatten(1)).mean()),
            "The grid is read column by column: the logits stand row by row, codes.flatten(1).",
        ),
        Mistake(
            _with_codes(lambda logits, codes: _each(logits[:, :-1], codes.flatten(1)[:, 1:]).mean()),
            "You moved the codes by one place, as for GPT-2. Here what stands at place i predicts code i already.",
        ),
        Mistake(
            lambda tl, cl, t, m, c: (
                (-_shares(tl, t) * m).sum() / m.sum() / 8 - 7 * _shares(cl, c.flatten(1)).mean() / 8
            ),
            "The logarithm is missing: the loss is -log p, not -p.",
        ),
        Mistake(
            lambda tl, cl, t, m, c: F.nll_loss(tl[m], t[m]) / 8 + 7 * F.nll_loss(cl.flatten(0, 1), c.flatten()) / 8,
            "The softmax is missing: nll_loss, or picking by hand, wants logarithms of probabilities. F.cross_entropy makes them of logits.",
        ),
        Mistake(
            lambda tl, cl, t, m, c: _joint_loss(tl.softmax(-1), cl.softmax(-1), t, m, c),
            "F.cross_entropy takes logits: it does softmax and logarithm itself.",
        ),
        Mistake(
            lambda tl, cl, t, m, c: _joint_loss(tl, cl, t, m, c) / torch.tensor(2.0).log(),
            "This is in bits: the loss is in nats, with the natural logarithm.",
        ),
    ),
)


# --- exercise 3: the next code ----------------------------------------------------------------------------------------


def _kept(logits: Tensor, k: int) -> Tensor:
    return logits.masked_fill(logits < logits.topk(k, dim=1).values[:, -1:], float("-inf"))


def _drawn(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """The first code at which the sum of probabilities so far passes the uniform number."""
    return (probabilities.cumsum(1) <= uniform[:, None]).sum(1).clamp(max=probabilities.shape[1] - 1)


def _next_code(
    conditional: Tensor, null: Tensor, uniform: Tensor, guidance_scale: float, temperature: float, top_k: int
) -> Tensor:
    logits = null + guidance_scale * (conditional - null)
    return _drawn((_kept(logits, top_k) / temperature).softmax(1), uniform)


def _guided_by(guide: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[..., Tensor]:
    """A step whose logits are a function of (conditional, null, scale)."""
    return lambda c, n, u, s, t, k: _drawn((_kept(guide(c, n, s), k) / t).softmax(1), u)


def _chosen_by(choose: Callable[[Tensor, Tensor, float, int], Tensor]) -> Callable[..., Tensor]:
    """A step that chooses by a function of (guided logits, uniform, temperature, k)."""
    return lambda c, n, u, s, t, k: choose(n + s * (c - n), u, t, k)


def _from_the_likeliest(logits: Tensor, uniform: Tensor, temperature: float, k: int) -> tuple[Tensor, Tensor]:
    """The number among the k likeliest, from the likeliest on, and their codes."""
    values, codes = logits.topk(k, dim=1)
    return _drawn((values / temperature).softmax(1), uniform), codes


def _rank(logits: Tensor, uniform: Tensor, temperature: float, k: int) -> Tensor:
    return _from_the_likeliest(logits, uniform, temperature, k)[0]


def _sorted_code(logits: Tensor, uniform: Tensor, temperature: float, k: int) -> Tensor:
    rank, codes = _from_the_likeliest(logits, uniform, temperature, k)
    return codes.gather(1, rank[:, None])[:, 0]


def _not_normalised(logits: Tensor, uniform: Tensor, temperature: float, k: int) -> Tensor:
    probabilities = (logits / temperature).softmax(1)
    return _drawn(probabilities.where(_kept(logits, k).isfinite(), 0), uniform)


def _of_the_batch(logits: Tensor, k: int) -> Tensor:
    return logits.masked_fill(logits < logits.flatten().topk(k).values[-1], -1e9)


def _above(threshold: Callable[[Tensor, int], Tensor]) -> Callable[..., Tensor]:
    """A step that keeps what reaches a threshold, a function of (guided logits, k)."""
    return _chosen_by(lambda z, u, t, k: _drawn((z.masked_fill(z < threshold(z, k), float("-inf")) / t).softmax(1), u))


def _filled(fill: Callable[[Tensor], float | Tensor]) -> Callable[..., Tensor]:
    """A step that gives all but the k largest logits another value."""
    return _chosen_by(lambda z, u, t, k: _drawn((z.where(_kept(z, k).isfinite(), fill(z)) / t).softmax(1), u))


def _shares_by(choose: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[..., Tensor]:
    """A step that chooses by a function of (probabilities of the k best, uniform, temperature)."""
    return lambda c, n, u, s, t, k: choose((_kept(n + s * (c - n), k) / t).softmax(1), u, t)


def _in_range(mine: Seen, its: Seen) -> Seen:
    """Where no sum exceeds u, some answers give one more than the last code, and some the last."""
    return replace(mine, data=mine.data.clamp(max=its.data.max()))


def _but_the_first(mine: Seen, its: Seen) -> Seen:
    """1 - u is 1 in the first row, so that rounding decides what comes of it."""
    return replace(mine, data=torch.cat([its.data[:1], mine.data[1:]]))


def _guided_shares(c: Tensor, n: Tensor, u: Tensor, s: float, t: float, k: int) -> Tensor:
    shares = (n.softmax(1) + s * (c.softmax(1) - n.softmax(1))).clamp(min=1e-9)
    return _drawn((_kept(shares.log(), k) / t).softmax(1), u)


def _step(draw: Draw, batch: int, num_codes: int, scale: float, temperature: float, top_k: int) -> tuple:
    """Many rows, so that two rules that are nearly alike differ in some; the text says something, but not all. In the first of them u is 0
    and code 0 is the least likely. Without guidance all logits lie around -100: adding a number to all of them changes nothing."""
    null = 1.5 * draw.normal(batch, num_codes) - 100 * (scale == 0)
    conditional, uniform = null + draw.normal(batch, num_codes), draw.uniform(batch, low=0.01, high=0.99)
    if batch > 1:
        uniform[0] = 0
        null[0, 0] = conditional[0, 0] = null.min()
    return (
        conditional,
        null,
        uniform,
        scale,
        temperature,
        top_k,
    )


_FINITE = "What is cut off gets a number that other logits may be below: only minus infinity is less than all of them."
_LATE_HEAT = "The probabilities are divided by the temperature: it divides the logits, before the only softmax."
_NO_SUM = "You compared single probabilities with u: it is their sum so far, cumsum(dim=1), that has to exceed it."
_FROM_CONDITIONAL = "Too strong by one: this is conditional + s (conditional - null), which other papers write. Here scale 1 is the model as it is: null + s (conditional - null)."

next_code = Check(
    name="next_code",
    signature=("conditional", "null", "uniform", "guidance_scale", "temperature", "top_k"),
    reference=_next_code,
    holds="guided logits, the k largest of them, the temperature, and a draw by the uniform number",
    look=f'{LOOK} 3 "A code is drawn"',
    hint="In this order: null + s (conditional - null); minus infinity outside of each row's k largest; softmax(logits / temperature); the first code at which cumsum exceeds the row's uniform number.",
    cases=(
        Case(
            "300 rows of 12 codes, scale 2.5, temperature 0.7, the best 5",
            lambda draw: _step(draw, 300, 12, 2.5, 0.7, 5),
        ),
        Case(
            "200 rows of 30 codes, scale 0, temperature 1.6, the best 8", lambda draw: _step(draw, 200, 30, 0.0, 1.6, 8)
        ),
    ),
    hidden_cases=(
        Case(
            "250 rows of 20 codes, scale 1.5, temperature 1.3, the best 4",
            lambda draw: _step(draw, 250, 20, 1.5, 1.3, 4),
        ),
        Case("400 rows of 9 codes, scale 4, temperature 0.5, all 9", lambda draw: _step(draw, 400, 9, 4.0, 0.5, 9)),
        Case("1 row of 6 codes, scale 1, temperature 1, the best 2", lambda draw: _step(draw, 1, 6, 1.0, 1.0, 2)),
    ),
    mistakes=(
        Mistake(_guided_by(lambda c, n, s: c + s * (c - n)), _FROM_CONDITIONAL),
        Mistake(
            _guided_by(lambda c, n, s: c + s * (n - c)),
            "`conditional` and `null` are exchanged: you go from the text *towards* nothing. It is null + s (conditional - null).",
        ),
        Mistake(
            _guided_by(lambda c, n, s: s * c - n),
            "s times conditional minus null: without a text's influence that would turn the model round. It is null + s (conditional - null), or s conditional - (s - 1) null.",
        ),
        Mistake(
            _guided_by(lambda c, n, s: n + s * (c - n) if s > 1 else c),
            "With a small s you take the text's logits as they are. The formula holds for every s: with s = 0 it gives `null`.",
        ),
        Mistake(
            _guided_by(lambda c, n, s: n + s * c),
            "The difference is missing: it is null + s (conditional - null), and this is null + s conditional.",
        ),
        Mistake(
            _guided_by(lambda c, n, s: n + s * (n - c)),
            "The difference has the wrong sign, so that you go away from the text: conditional - null.",
        ),
        Mistake(
            _guided_by(lambda c, n, s: n + (s - 1) * (c - n)),
            "Too weak by one: s - 1 belongs to conditional + (s - 1) (conditional - null). From `null` on it is null + s (conditional - null).",
        ),
        Mistake(
            lambda c, n, u, s, t, k: _next_code(_kept(c, k), _kept(n, k), u, s, t, c.shape[1]),
            "You cut off both before guidance, and infinity minus infinity is no number: it is the *guided* logits whose k largest stay.",
        ),
        Mistake(_guided_by(lambda c, n, s: c), "There is no guidance: `null` is not used."),
        Mistake(
            _guided_by(lambda c, n, s: s * c),
            "The logits of the text are multiplied by s: that is a lower temperature, not guidance. `null` is missing.",
        ),
        Mistake(_guided_by(lambda c, n, s: n), "The text is not used: these are draws from the model without it."),
        Mistake(
            _guided_by(lambda c, n, s: s * (c - n)), "`null` is missing at the front: null + s (conditional - null)."
        ),
        Mistake(
            _guided_shares,
            "You guided probabilities, which can become negative. It is logits that are moved apart, before the softmax.",
        ),
        Mistake(
            lambda c, n, u, s, t, k: _drawn(
                ((n + s * (c - n)).masked_fill(_kept(c, k).isinf(), float("-inf")) / t).softmax(1), u
            ),
            "You chose the k best before guidance: it is the *guided* logits whose k largest stay.",
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: _drawn((_kept(z, k) * t).softmax(1), u)),
            "The logits are multiplied by the temperature: they are divided by it, so that a low one makes the likely likelier.",
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: _drawn(_kept(z, k).softmax(1), u)),
            "The temperature is not used, or came after the softmax and went away again: it divides the logits.",
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: _drawn((z / t).softmax(1), u)),
            "`top_k` is not used: all but the k largest logits of each row become minus infinity.",
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: _drawn((_kept(z, k - 1) / t).softmax(1), u)),
            "One too few is kept: the k-th largest stays as well, so mask what is *smaller* than it.",
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: _drawn((_kept(z, min(k + 1, z.shape[1])) / t).softmax(1), u)),
            "One too many is kept: k codes stay in each row.",
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: _drawn((-_kept(-z, k) / t).nan_to_num(posinf=-1e9).softmax(1), u)),
            "You kept the k *least* likely codes.",
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: _drawn((_of_the_batch(z, k) / t).softmax(1), u)),
            "The k largest of the whole batch are kept: each row has its own k, topk(k, dim=1).",
        ),
        Mistake(
            _filled(lambda z: 0),
            "What is cut off has logit 0, and exp(0) = 1: it can still be drawn. Minus infinity gives it no probability.",
        ),
        Mistake(_filled(lambda z: -20), _FINITE),
        Mistake(_filled(lambda z: -100), _FINITE),
        Mistake(_filled(lambda z: z.min()), _FINITE),
        Mistake(
            _above(lambda z, k: z.topk(k, dim=1).values.min()),
            "One threshold for the whole batch: each row has its own k-th largest, values[:, -1:].",
        ),
        Mistake(
            _above(lambda z, k: z.topk(k, dim=1).values[0, -1]),
            "All rows are cut at the threshold of the first one: each has its own k-th largest, values[:, -1:].",
        ),
        Mistake(
            _above(lambda z, k: z.kthvalue(k, dim=1, keepdim=True).values),
            "You cut at the k-th *smallest*, kthvalue and sort count upwards: topk counts from the largest down.",
        ),
        Mistake(
            _chosen_by(
                lambda z, u, t, k: _drawn((z.masked_fill(_kept(z, k).isfinite(), float("-inf")) / t).softmax(1), u)
            ),
            "The mask is the wrong way round: the k largest are cut off, and the others stay.",
        ),
        Mistake(
            _chosen_by(_not_normalised),
            "The probabilities that are left do not add up to 1, so that too often none is reached: cut off before the softmax, or divide by their sum.",
            _in_range,
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: _drawn((z / t).softmax(1).where(_kept(z, k).isfinite(), 0).softmax(1), u)),
            "After cutting off you take a second softmax, which gives what is cut off exp(0) = 1 again. Cut off before the only softmax.",
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: _drawn(_kept(z, k).softmax(1) / t, u)),
            _LATE_HEAT,
            _in_range,
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: _drawn((_kept(z, k).softmax(1) / t).softmax(1), u)),
            _LATE_HEAT,
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: _drawn((_kept(z, k) / t).softmax(0), u)),
            "The softmax runs over the batch: the probabilities of a row's codes add up to 1, dim=1.",
            _in_range,
        ),
        Mistake(
            _shares_by(lambda p, u, t: (p.cumsum(0) <= u[:, None]).sum(1)),
            "You add up along the batch: the sum runs over the codes of a row, cumsum(dim=1).",
            _in_range,
        ),
        Mistake(_shares_by(lambda p, u, t: (p <= u[:, None]).sum(1)), _NO_SUM, _in_range),
        Mistake(_shares_by(lambda p, u, t: (p > u[:, None]).int().argmax(1)), _NO_SUM),
        Mistake(
            _shares_by(lambda p, u, t: (p.cumsum(1) > u[:, None]).sum(1)),
            "You counted the sums that exceed u: the code's number is how many do *not* yet.",
        ),
        Mistake(
            _shares_by(lambda p, u, t: (p.cumsum(1) < u[:, None]).sum(1)),
            "With u = 0 you draw code 0 even where it is cut off: its sum, 0, does not *exceed* u. Count the sums that are <= u.",
        ),
        Mistake(
            _shares_by(lambda p, u, t: (p.cumsum(1) <= u).sum(1)),
            "A number for each row needs a second axis to meet (batch, num_codes): uniform[:, None] or values[:, -1:], which is (batch, 1).",
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: z.argmax(1)),
            "This is always the likeliest code: either nothing is drawn by the row's uniform number, or no more than one code is left. The k-th largest is values[:, -1:].",
        ),
        Mistake(
            _chosen_by(_rank),
            "This is the code's number among the k likeliest: it has to be translated back, by the indices that topk gives.",
        ),
        Mistake(
            _chosen_by(_sorted_code),
            "A fair draw, but not the one that was asked for: you went through the codes from the likeliest on. Go through them in the order of their numbers, so that the same uniform number gives the same code.",
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: _drawn((_kept(z, k) / t).softmax(1), u) + 1),
            "One too high: the first code whose cumulated probability exceeds the uniform number is meant itself.",
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: (_drawn((_kept(z, k) / t).softmax(1), u) - 1).clamp(min=0)),
            "One too low: the last code *before* the uniform number is passed has been drawn.",
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: _drawn((_kept(z, k) / t).softmax(1), u[:1].expand_as(u))),
            "All rows are drawn by the first uniform number: each has its own, uniform[:, None].",
        ),
        Mistake(
            _chosen_by(lambda z, u, t, k: _drawn((_kept(z, k) / t).softmax(1), 1 - u)),
            "You went through the codes from the last on, or took 1 - u: count from code 0 upwards.",
            _but_the_first,
        ),
    ),
)


# --- exercise 4: reranking --------------------------------------------------------------------------------------------


def _cosines(images: Tensor, texts: Tensor) -> Tensor:
    return F.cosine_similarity(images, texts[:, None], dim=2)


def _order(similarities: Tensor) -> Tensor:
    return similarities.argsort(dim=1, descending=True)


def _rerank(image_embeddings: Tensor, text_embeddings: Tensor) -> Tensor:
    return _order(_cosines(image_embeddings, text_embeddings))


def _candidates(draw: Draw, batch: int, count: int, dim: int) -> tuple[Tensor, Tensor]:
    """Vectors of different lengths, so that the inner product would choose otherwise than the angle."""
    lengths = draw.uniform(batch, count, 1, low=0.3, high=3.0)
    return lengths * draw.normal(batch, count, dim), 2 * draw.normal(batch, dim)


_MEAN_TEXT = "All pictures are compared with the mean of the texts: each has its own."
_BEST_ALONE = "This is the best picture alone: the whole order is asked for, (batch, n)."

rerank = Check(
    name="rerank",
    signature=("image_embeddings", "text_embeddings"),
    reference=_rerank,
    holds="the numbers of each text's pictures, the one of the smallest angle first",
    look=f'{LOOK} 4 "The best of n"',
    hint="Unit vectors first; then the inner product of each picture with its own text, (batch, n); then argsort along the pictures, from the largest down.",
    cases=(
        Case("4 texts with 5 pictures each, 6 numbers", lambda draw: _candidates(draw, 4, 5, 6)),
        Case("5 texts with 4 pictures each, 3 numbers", lambda draw: _candidates(draw, 5, 4, 3)),
    ),
    hidden_cases=(
        Case("6 texts with 6 pictures each, 6 numbers", lambda draw: _candidates(draw, 6, 6, 6)),
        Case("1 text with 9 pictures, 8 numbers", lambda draw: _candidates(draw, 1, 9, 8)),
    ),
    mistakes=(
        Mistake(
            lambda i, t: _cosines(i, t).argsort(dim=1),
            "The worst picture comes first: argsort sorts upwards unless it is told descending=True.",
        ),
        Mistake(
            lambda i, t: _order((i * t[:, None]).sum(2)),
            "You compared inner products, which favour long vectors: CLIP compares angles. Divide each picture's vector by its length.",
        ),
        Mistake(
            lambda i, t: _order(-(i - t[:, None]).norm(dim=2)),
            "You compared distances of vectors of any length: CLIP compares angles. Divide the vectors by their lengths first.",
        ),
        Mistake(
            lambda i, t: _order((F.normalize(i, dim=1) * t[:, None]).sum(2)),
            "You normalised along the pictures, dim=1: each vector is to get length 1, along its numbers, the last axis.",
        ),
        Mistake(
            lambda i, t: _order((F.normalize(i, dim=0) * t[:, None]).sum(2)),
            "You normalised along the batch, dim=0: each vector is to get length 1, along its numbers, the last axis.",
        ),
        Mistake(
            lambda i, t: _order(_cosines(i, t)).argsort(dim=1),
            "This is the rank of each picture: asked for are the pictures' numbers, best first, so one argsort is enough.",
        ),
        Mistake(
            lambda i, t: _order((i * t[:, None]).sum(2) / i.square().sum(2)),
            "You divided by the square of the length: divide by the length itself, norm(dim=2).",
        ),
        Mistake(
            lambda i, t: _order((F.normalize(i, p=1, dim=2) * t[:, None]).sum(2)),
            "You divided by the sum of absolute values: a vector's length is the root of its sum of squares.",
        ),
        Mistake(
            lambda i, t: _order(F.normalize(i, dim=2) @ F.normalize(t, dim=1).T),
            "Each picture is compared with the texts of the whole batch, (batch, n, batch): it is to be compared with its own text alone, text_embeddings[:, None].",
        ),
        Mistake(
            lambda i, t: _order(F.cosine_similarity(i, t[:, None])),
            "F.cosine_similarity runs over axis 1 unless told otherwise, and those are the pictures: the numbers of a vector are the last axis, dim=2.",
        ),
        Mistake(lambda i, t: _cosines(i, t).argmax(1), _BEST_ALONE),
        Mistake(lambda i, t: _cosines(i, t).argmax(1, keepdim=True), _BEST_ALONE),
        Mistake(
            lambda i, t: _cosines(i, t),
            "These are the similarities: the order of the pictures is asked for, argsort.",
        ),
        Mistake(
            lambda i, t: _cosines(i, t).sort(dim=1, descending=True).values,
            "These are the similarities in order: it is the *numbers* of the pictures that are asked for, the indices of the sort.",
        ),
        Mistake(
            lambda i, t: _order(_cosines(i, t).abs()),
            "The sign got lost: a picture that points away from its text fits worst, not best.",
        ),
        Mistake(
            lambda i, t: _order(_cosines(i, t[:1].expand_as(t))),
            "All pictures are compared with the first text: each has its own.",
        ),
        Mistake(
            lambda i, t: _order(_cosines(i, t.mean(0, keepdim=True).expand_as(t))),
            _MEAN_TEXT,
        ),
        Mistake(lambda i, t: _order((F.normalize(i, dim=2) @ F.normalize(t, dim=1).T).mean(2)), _MEAN_TEXT),
        Mistake(
            lambda i, t: _order(_cosines(i, t.roll(-1, 0))),
            "The pictures are compared with the text of the next row.",
        ),
        Mistake(
            lambda i, t: _cosines(i, t).argsort(dim=0, descending=True),
            "You sorted along the batch: it is the pictures of *one* text that compete, dim=1.",
        ),
        Mistake(
            lambda i, t: _order(F.cosine_similarity(i, i.mean(1, keepdim=True), dim=2)),
            "The pictures are compared with their own mean: it is the text that says what is wanted.",
        ),
        Mistake(
            lambda i, t: _order(_cosines(i, t)) + 1,
            "Numbers begin at 0: the first picture of a text is number 0.",
        ),
    ),
)
