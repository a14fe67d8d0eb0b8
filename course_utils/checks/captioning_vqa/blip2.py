"""Checks of notebook captioning_vqa/blip2."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.engine import Case, Check, Draw, Mistake

__all__ = ["prefix_and_labels", "query_contrast", "who_sees_whom"]

LOOK = "03_blip2, exercise"
IGNORED = -100


# --- exercise 1: the three masks --------------------------------------------------------------------------------------

Block = Callable[[Tensor, Tensor], Tensor]  # rows and columns, counted from 0 within their kind -> who sees whom


def _all(row: Tensor, column: Tensor) -> Tensor:
    return torch.ones_like(row | column, dtype=torch.bool)


def _none(row: Tensor, column: Tensor) -> Tensor:
    return torch.zeros_like(row | column, dtype=torch.bool)


def _earlier(row: Tensor, column: Tensor) -> Tensor:
    return column <= row


def _later(row: Tensor, column: Tensor) -> Tensor:
    return column >= row


def _strictly(row: Tensor, column: Tensor) -> Tensor:
    return column < row


RIGHT_BLOCKS: dict[str, tuple[Block, Block, Block, Block]] = {
    "contrast": (_all, _none, _none, _all),
    "writing": (_all, _none, _all, _earlier),
    "matching": (_all, _all, _all, _all),
}
"""Of each task: queries see queries, queries see text, text sees queries, text sees text."""


def _masks(**changed: tuple[Block, Block, Block, Block]) -> Callable[[int, int, str], Tensor]:
    """The masks of the three tasks, some of them made of other blocks."""
    blocks = RIGHT_BLOCKS | changed

    def who_sees_whom(num_queries: int, length: int, task: str) -> Tensor:
        queries, words = torch.arange(num_queries), torch.arange(length)
        own, ahead, back, text = blocks[task]
        top = torch.cat([own(queries[:, None], queries), ahead(queries[:, None], words)], dim=1)
        bottom = torch.cat([back(words[:, None], queries), text(words[:, None], words)], dim=1)
        return torch.cat([top, bottom])

    return who_sees_whom


_who_sees_whom = _masks()


def _text_first(num_queries: int, length: int, task: str) -> Tensor:
    order = torch.arange(num_queries + length).roll(length)
    return _who_sees_whom(num_queries, length, task)[order][:, order]


_LEAK = "so the text to be written flows through the queries to its own tokens: the loss falls to nothing, and the queries need not fetch anything from the picture"

who_sees_whom = Check(
    name="who_sees_whom",
    signature=("num_queries", "length", "task"),
    reference=_who_sees_whom,
    holds="two separate groups for contrast; queries and earlier words for writing; everything for matching",
    look=f'{LOOK} 1 "The three masks"',
    hint="Number the places, queries first: place = torch.arange(num_queries + length); a row's place is place[:, None], a column's place. Which of them are queries says place < num_queries.",
    cases=(
        Case("contrast, 3 queries, 4 words", lambda draw: (3, 4, "contrast")),
        Case("writing, 2 queries, 5 words", lambda draw: (2, 5, "writing")),
        Case("matching, 4 queries, 2 words", lambda draw: (4, 2, "matching")),
    ),
    hidden_cases=(
        Case("writing, 6 queries, 3 words", lambda draw: (6, 3, "writing")),
        Case("contrast, 1 query, 7 words", lambda draw: (1, 7, "contrast")),
        Case("matching, 5 queries, 6 words", lambda draw: (5, 6, "matching")),
    ),
    mistakes=(
        Mistake(
            _masks(writing=(_all, _all, _all, _earlier)),
            f"In writing the queries see the text, {_LEAK}.",
        ),
        Mistake(
            _masks(writing=(_all, _all, _all, _all)),
            "Writing sees everything, as matching does: a word must not see the words after it, nor may the queries see any, or the answer stands before the reader's eyes.",
        ),
        Mistake(
            _masks(writing=(_all, _none, _all, _all)),
            "In writing each word sees the words *after* it: it is to predict them. A word sees itself and what stands before it.",
        ),
        Mistake(
            _masks(writing=(_all, _none, _all, _later)),
            "In writing the words look the wrong way: each sees itself and what comes *later*. Rows look, columns are seen: column <= row.",
        ),
        Mistake(
            _masks(writing=(_all, _none, _all, _strictly)),
            "In writing no word sees itself, and so none knows which word it is: column <= row, not column < row.",
        ),
        Mistake(
            _masks(writing=(_all, _none, _none, _earlier)),
            "In writing the text does not see the queries, so the picture plays no part: this is a language model of captions, blind.",
        ),
        Mistake(
            _masks(writing=(_all, _all, _none, _earlier)),
            "In writing it is the text that sees the queries, and not the queries that see the text: rows look, columns are seen.",
        ),
        Mistake(
            _masks(writing=(_earlier, _none, _all, _earlier)),
            "In writing the queries see one another only backwards: they have no order, and all see all of their kind. Only the words are causal.",
        ),
        Mistake(
            _masks(writing=(_all, _none, _none, _all)),
            "Writing has the mask of contrast: words must see the queries, and no later words.",
        ),
        Mistake(
            _masks(contrast=(_all, _all, _all, _all)),
            "In contrast queries and text see each other. Then every picture's vector holds its own text, and the two are found alike without anything being learned.",
        ),
        Mistake(
            _masks(contrast=(_all, _none, _all, _all)),
            "In contrast the text sees the queries, so that its vector holds its own picture: the game is won without looking.",
        ),
        Mistake(
            _masks(contrast=(_all, _all, _none, _all)),
            "In contrast the queries see the text, so that their vectors hold it: the game is won without looking.",
        ),
        Mistake(
            _masks(contrast=(_all, _none, _none, _earlier)),
            "In contrast the text is read backwards only. Nothing is to be predicted here, and the vector is that of the *first* token, which would see itself alone.",
        ),
        Mistake(
            _masks(contrast=(_none, _all, _all, _none)),
            "In contrast each sees only the *other* kind: it is the wrong way round, each sees its own kind.",
        ),
        Mistake(
            _masks(matching=(_all, _none, _none, _all)),
            "In matching queries and text do not see each other: the vote is about whether the two belong together, so both must be read together.",
        ),
        Mistake(
            _masks(matching=(_all, _all, _none, _all)),
            "In matching the text does not see the queries: everything sees everything.",
        ),
        Mistake(
            _masks(matching=(_all, _none, _all, _all)),
            "In matching the queries do not see the text. The queries vote, so they must have read it: everything sees everything.",
        ),
        Mistake(
            _masks(matching=(_all, _none, _all, _earlier)),
            "Matching has the mask of writing. Nothing is predicted word by word here: everything sees everything.",
        ),
        Mistake(
            _masks(contrast=RIGHT_BLOCKS["writing"], writing=RIGHT_BLOCKS["contrast"]),
            "The masks of contrast and of writing are exchanged.",
        ),
        Mistake(
            lambda q, n, task: ~_who_sees_whom(q, n, task),
            "All masks are turned: True is where the row's token *may* look.",
        ),
        Mistake(
            lambda q, n, task: _who_sees_whom(q, n, task).T,
            "Rows and columns are exchanged: the row looks, the column is seen.",
        ),
        Mistake(
            _text_first,
            "The text stands before the queries: queries come first.",
        ),
        Mistake(
            lambda q, n, task: _who_sees_whom(q, n, task).float(),
            "A mask of the course is bool: numbers would be *added* to the attention's logits.",
        ),
        Mistake(
            lambda q, n, task: _who_sees_whom(q, n, task)[q:],
            "These are the rows of the text alone: the queries look too, and their rows come first.",
        ),
    ),
)  # fmt: skip


# --- exercise 2: contrast by the best query ---------------------------------------------------------------------------


def _table(queries: Tensor, texts: Tensor) -> Tensor:
    """Cosines (pictures, queries, texts)."""
    return torch.einsum("iqd,td->iqt", F.normalize(queries, dim=2), F.normalize(texts, dim=1))


def _both_ways(logits: Tensor) -> Tensor:
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


Contrast = Callable[[Tensor, Tensor, Tensor], Tensor]


def _query_contrast(queries: Tensor, texts: Tensor, log_scale: Tensor) -> Tensor:
    return _both_ways(log_scale.exp() * _table(queries, texts).amax(dim=1))


def _pooled(pool: Callable[[Tensor], Tensor]) -> Contrast:
    """A contrast whose similarities are another function of the cosines (pictures, queries, texts)."""
    return lambda queries, texts, log_scale: _both_ways(log_scale.exp() * pool(_table(queries, texts)))


def _of_table(loss: Callable[[Tensor], Tensor]) -> Contrast:
    """Another loss of the table of logits (pictures, texts)."""
    return lambda queries, texts, log_scale: loss(log_scale.exp() * _table(queries, texts).amax(dim=1))


def _scaled(scale: Callable[[Tensor], Tensor]) -> Contrast:
    return lambda queries, texts, log_scale: _both_ways(scale(log_scale) * _table(queries, texts).amax(dim=1))


def _products(queries: Tensor, texts: Tensor, log_scale: Tensor) -> Tensor:
    return _both_ways(log_scale.exp() * torch.einsum("iqd,td->iqt", queries, texts).amax(dim=1))


def _mean_first(queries: Tensor, texts: Tensor, log_scale: Tensor) -> Tensor:
    return _both_ways(log_scale.exp() * F.normalize(queries.mean(dim=1), dim=1) @ F.normalize(texts, dim=1).T)


def _by_own_text(table: Tensor) -> Tensor:
    """The query that is best for the picture's own text, for all texts."""
    row = torch.arange(len(table))
    return table[row, table[row, :, row].argmax(dim=1)]


def _one_for_all(queries: Tensor, texts: Tensor, log_scale: Tensor) -> Tensor:
    table = _table(queries, texts)
    best = table.diagonal(dim1=0, dim2=2).mean(dim=1).argmax()
    return _both_ways(log_scale.exp() * table[:, best])


def _rows(logits: Tensor) -> Tensor:
    return F.cross_entropy(logits, torch.arange(len(logits)))


def _pictures(draw: Draw, batch: int, num_queries: int, dim: int, log_scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors of different lengths; each text is like one query of its picture."""
    queries = draw.normal(batch, num_queries, dim) * (0.5 + 2 * draw.uniform(batch, num_queries, 1))
    chosen = draw.integers(num_queries, batch)
    texts = queries[torch.arange(batch), chosen] + 0.8 * draw.normal(batch, dim)
    return queries, texts * (0.5 + 2 * draw.uniform(batch, 1)), torch.tensor(log_scale)


query_contrast = Check(
    name="query_contrast",
    signature=("query_vectors", "text_vectors", "log_scale"),
    reference=_query_contrast,
    holds="cosines, the best query of each picture for each text, and cross-entropy both ways",
    look=f'{LOOK} 2 "The best query"',
    hint="Unit vectors along the last axis; a table (pictures, queries, texts) of their products, torch.einsum('iqd,td->iqt', ...); the largest over the queries, amax(dim=1); times log_scale.exp(); the mean of F.cross_entropy of the table and of its transpose, right answers 0, 1, 2 ...",
    cases=(
        Case("5 pictures of 3 queries, 6 numbers", lambda draw: _pictures(draw, 5, 3, 6, 1.2)),
        Case("4 pictures of 2 queries, 8 numbers", lambda draw: _pictures(draw, 4, 2, 8, 0.4)),
    ),
    hidden_cases=(
        Case("7 pictures of 8 queries, 4 numbers", lambda draw: _pictures(draw, 7, 8, 4, 0.8)),
        Case("3 pictures of 5 queries, 5 numbers", lambda draw: _pictures(draw, 3, 5, 5, 2.0)),
    ),
    gradients="required",
    differentiable=("query_vectors", "text_vectors", "log_scale"),
    mistakes=(
        Mistake(
            _pooled(lambda table: table.mean(dim=1)),
            "You took the mean over the queries. The text is about one thing, and the other queries may look at other things: the *largest* product counts.",
        ),
        Mistake(
            _mean_first,
            "You took the mean of the queries' vectors first: then there is one vector a picture, as in CLIP. Compare each query, and take the largest product.",
        ),
        Mistake(
            _pooled(lambda table: table.sum(dim=1)),
            "You added over the queries: the *largest* product counts.",
        ),
        Mistake(
            _pooled(lambda table: table.amin(dim=1)),
            "You took the *smallest* product: the query that fits best counts.",
        ),
        Mistake(
            _pooled(lambda table: table[:, 0]),
            "Only the first query is used: the best one of each picture for each text counts.",
        ),
        Mistake(
            _pooled(lambda table: table[:, -1]),
            "Only the last query is used: the best one of each picture for each text counts.",
        ),
        Mistake(
            _pooled(_by_own_text),
            "You chose each picture's query by its *own* text, and kept it for the others: each text has its own best query, and wrong texts would look too far away.",
        ),
        Mistake(
            _one_for_all,
            "One query was chosen for all pictures and texts: the best one differs from pair to pair.",
        ),
        Mistake(
            _pooled(lambda table: table.amax(dim=1).abs()),
            "The sign got lost: opposite vectors are not alike.",
        ),
        Mistake(
            _pooled(lambda table: table.logsumexp(dim=1)),
            "This is a soft maximum (log of a sum of exponentials): the largest product itself counts, amax.",
        ),
        Mistake(
            _products,
            "The vectors are not brought to length 1: these are inner products, in which a long vector is like everything. F.normalize along the last axis.",
        ),
        Mistake(
            lambda q, t, s: _both_ways(s.exp() * torch.einsum("iqd,td->iqt", F.normalize(q, dim=2), t).amax(dim=1)),
            "The texts' vectors are not brought to length 1: F.normalize(text_vectors, dim=1).",
        ),
        Mistake(
            lambda q, t, s: _both_ways(s.exp() * torch.einsum("iqd,td->iqt", q, F.normalize(t, dim=1)).amax(dim=1)),
            "The queries' vectors are not brought to length 1, so a long query is the best for everything: F.normalize(query_vectors, dim=2).",
        ),
        Mistake(
            lambda q, t, s: _both_ways(
                s.exp() * torch.einsum("iqd,td->iqt", F.normalize(q, dim=1), F.normalize(t, dim=1)).amax(dim=1)
            ),
            "F.normalize without dim, or with dim=1, runs over the *queries* of a picture: along the last axis, dim=2.",
        ),
        Mistake(
            _of_table(_rows),
            "Only the pictures choose among texts: the texts choose among pictures too, F.cross_entropy of the transpose; the mean of both.",
        ),
        Mistake(
            _of_table(lambda logits: _rows(logits.T)),
            "Only the texts choose among pictures: the pictures choose among texts too; the mean of both.",
        ),
        Mistake(
            _of_table(lambda logits: 2 * _both_ways(logits)),
            "Both directions are added: the mean of the two is wanted.",
        ),
        Mistake(
            _of_table(lambda logits: len(logits) * _both_ways(logits)),
            "The pairs are summed: a mean over them is wanted.",
        ),
        Mistake(
            _of_table(lambda logits: -_both_ways(logits)),
            "The sign is wrong: -log p is to be made small.",
        ),
        Mistake(
            _of_table(lambda logits: _both_ways(logits.softmax(dim=1))),
            "F.cross_entropy takes logits: it does the softmax itself.",
        ),
        Mistake(
            _of_table(lambda logits: -logits.diagonal().mean()),
            "Own pairs are drawn together, but nothing pushes others apart: all vectors may become one. It takes the cross-entropy among all.",
        ),
        Mistake(
            _scaled(lambda log_scale: log_scale),
            "`log_scale` is the logarithm of the scale: multiply by log_scale.exp().",
        ),
        Mistake(
            _scaled(lambda log_scale: (-log_scale).exp()),
            "You divided by the scale: multiply by log_scale.exp().",
        ),
        Mistake(
            _scaled(lambda log_scale: log_scale.exp().detach()),
            "The scale is cut off from the gradient (detach, .item(), or math.exp of a float): it is learned too.",
        ),
        Mistake(
            _scaled(lambda log_scale: 1 + 0 * log_scale),
            "`log_scale` is not used: multiply the cosines by log_scale.exp().",
        ),
    ),
)  # fmt: skip


# --- exercise 3: words for the language model -------------------------------------------------------------------------

Parts = tuple[Tensor, Tensor, Tensor]


def _projected(queries: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(queries, weight, bias)


def _labels(queries: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    return F.pad(torch.where(attention_mask, input_ids, IGNORED), (queries.shape[1], 0), value=IGNORED)


def _prefixed(
    queries: Tensor, weight: Tensor, bias: Tensor, words: Tensor, input_ids: Tensor, attention_mask: Tensor
) -> Parts:
    return (
        torch.cat([_projected(queries, weight, bias), words], dim=1),
        F.pad(attention_mask, (queries.shape[1], 0), value=True),
        _labels(queries, input_ids, attention_mask),
    )


def _other_inputs(make: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Parts]:
    """Other inputs, made of (queries, weight, bias, words)."""
    return lambda q, w, b, words, ids, mask: (make(q, w, b, words), *_prefixed(q, w, b, words, ids, mask)[1:])


def _other_mask(make: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Parts]:
    """Another mask, made of (queries, attention_mask)."""

    def prefix_and_labels(q: Tensor, w: Tensor, b: Tensor, words: Tensor, ids: Tensor, mask: Tensor) -> Parts:
        inputs, _, labels = _prefixed(q, w, b, words, ids, mask)
        return inputs, make(q, mask), labels

    return prefix_and_labels


def _other_labels(make: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Parts]:
    """Other labels, made of (queries, input_ids, attention_mask)."""

    def prefix_and_labels(q: Tensor, w: Tensor, b: Tensor, words: Tensor, ids: Tensor, mask: Tensor) -> Parts:
        return *_prefixed(q, w, b, words, ids, mask)[:2], make(q, ids, mask)

    return prefix_and_labels


def _without_first(queries: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    labels = _labels(queries, ids, mask)
    labels[:, queries.shape[1]] = IGNORED
    return labels


def _without_last(queries: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    return _labels(queries, ids, F.pad(mask[:, 1:], (0, 1), value=False))


def _moved(queries: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    return torch.cat([_labels(queries, ids, mask)[:, 1:], torch.full_like(ids[:, :1], IGNORED)], dim=1)


def _padding_counts(queries: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    return _labels(queries, ids, torch.ones_like(mask))


def _queries_last(q: Tensor, w: Tensor, b: Tensor, words: Tensor, ids: Tensor, mask: Tensor) -> Parts:
    return tuple(part.roll(-q.shape[1], 1) for part in _prefixed(q, w, b, words, ids, mask))


def _zero_for(queries: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    labels = _labels(queries, ids, mask)
    return labels.masked_fill(labels == IGNORED, 0)


def _captioned(
    draw: Draw, batch: int, num_queries: int, length: int, width: int, language_width: int, vocabulary: int = 20
) -> tuple:
    """Captions of different lengths, the longest in full; each ends with token 0, which padding is too."""
    real = 2 + draw.integers(length - 2, batch, 1)
    real[0] = length
    place = torch.arange(length)
    mask = place < real
    ids = torch.where(place < real - 1, 1 + draw.integers(vocabulary - 1, batch, length), 0)
    return (
        draw.normal(batch, num_queries, width), draw.normal(language_width, width), draw.normal(language_width),
        draw.normal(batch, length, language_width), ids, mask,
    )  # fmt: skip


prefix_and_labels = Check(
    name="prefix_and_labels",
    signature=("queries", "weight", "bias", "words", "input_ids", "attention_mask"),
    reference=_prefixed,
    holds="queries in the language model's width before the words, all of them seen, and the caption's tokens, and no others, asked for",
    look=f'{LOOK} 3 "Words for the language model"',
    hint="F.linear(queries, weight, bias), then torch.cat with `words` along dim=1. F.pad(x, (num_queries, 0), value=...) puts something before the last axis: True for the mask, -100 for the labels. Of the labels, padding is -100 as well.",
    cases=(
        Case("3 captions of up to 5 tokens, 2 queries, width 4 to 6", lambda draw: _captioned(draw, 3, 2, 5, 4, 6)),
        Case("4 captions of up to 7 tokens, 3 queries, width 5 to 5", lambda draw: _captioned(draw, 4, 3, 7, 5, 5)),
    ),
    hidden_cases=(
        Case("2 captions of up to 6 tokens, 4 queries, width 8 to 3", lambda draw: _captioned(draw, 2, 4, 6, 8, 3)),
        Case("6 captions of up to 4 tokens, 1 query, width 3 to 7", lambda draw: _captioned(draw, 6, 1, 4, 3, 7)),
    ),
    gradients="required",
    differentiable=("queries", "weight", "bias"),
    mistakes=(
        Mistake(
            _other_inputs(lambda q, w, b, words: torch.cat([q @ w.T, words], dim=1)),
            "The bias is missing: F.linear(queries, weight, bias).",
        ),
        Mistake(
            _other_inputs(lambda q, w, b, words: torch.cat([words, _projected(q, w, b)], dim=1)),
            "In the inputs the words come before the queries: the language model reads from left to right, and must know the picture before it writes.",
        ),
        Mistake(
            _queries_last,
            "The queries stand behind the caption. A causal model reads from left to right: what comes later cannot tell it what to write.",
        ),
        Mistake(
            _other_inputs(lambda q, w, b, words: torch.cat([_projected(q, w, b).detach(), words], dim=1)),
            "The queries are cut off from the gradient. Frozen are the language model's weights; the gradient must flow *through* it to the queries.",
        ),
        Mistake(
            _other_inputs(lambda q, w, b, words: torch.cat([_projected(q, w, b).mean(1, keepdim=True).expand(-1, q.shape[1], -1), words], 1)),
            "All queries became their mean: each is a word of its own.",
        ),
        Mistake(
            _other_inputs(lambda q, w, b, words: torch.cat([_projected(q, w, b).relu(), words], dim=1)),
            "There is no ReLU here: one linear layer, and no more.",
        ),
        Mistake(
            _other_mask(lambda q, mask: F.pad(mask, (q.shape[1], 0), value=False)),
            "The mask hides the queries, so the language model does not see the picture at all: True for them.",
        ),
        Mistake(
            _other_mask(lambda q, mask: torch.ones(len(mask), q.shape[1] + mask.shape[1], dtype=torch.bool)),
            "The mask says that padding is real: after the queries it is `attention_mask`.",
        ),
        Mistake(
            _other_mask(lambda q, mask: F.pad(mask, (0, q.shape[1]), value=True)),
            "In the mask the queries stand behind the words: F.pad(attention_mask, (num_queries, 0), value=True).",
        ),
        Mistake(
            _other_mask(lambda q, mask: ~F.pad(mask, (q.shape[1], 0), value=True)),
            "The mask is turned: True is what is real.",
        ),
        Mistake(
            _other_mask(lambda q, mask: F.pad(mask, (q.shape[1], 0), value=True).float()),
            "A mask of the course is bool.",
        ),
        Mistake(
            _other_labels(_without_first),
            "The caption's first word is not asked for. What stands before it is the last query, and from there the model must begin: only queries and padding are -100.",
        ),
        Mistake(
            _other_labels(_padding_counts),
            "Padding is asked for: the model would learn to write it. -100 where `attention_mask` is False.",
        ),
        Mistake(
            _other_labels(lambda q, ids, mask: F.pad(_labels(q, ids, mask)[:, q.shape[1] :], (q.shape[1], 0), value=0)),
            "At the queries the labels are 0, a word: nothing is asked for there, -100.",
        ),
        Mistake(
            _other_labels(_zero_for),
            "Where nothing is asked for the labels are 0, a word: cross_entropy ignores -100.",
        ),
        Mistake(
            _other_labels(lambda q, ids, mask: _labels(q, ids, mask)[:, q.shape[1] :]),
            "The labels are as long as the caption alone: -100 for each query stands before them.",
        ),
        Mistake(
            _other_labels(_moved),
            "The labels are moved by one place: here label t is token t itself, and the loss compares it with what was predicted one place before.",
        ),
        Mistake(
            _other_labels(lambda q, ids, mask: F.pad(_labels(q, ids, mask)[:, q.shape[1] :], (q.shape[1], 0), value=-1)),
            "At the queries the labels are -1: cross_entropy ignores -100, and nothing else.",
        ),
        Mistake(
            _other_labels(lambda q, ids, mask: _labels(q, ids, mask).roll(-q.shape[1], 1)),
            "In the labels the queries stand behind the words: F.pad(labels, (num_queries, 0), value=-100).",
        ),
        Mistake(
            _other_labels(_without_last),
            "The caption's last token is not asked for. It is the end token: without it the model never learns to stop.",
        ),
    ),
)  # fmt: skip
