"""Checks of notebook captioning_vqa/blip."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.engine import Case, Check, Draw, Mistake

__all__ = ["bootstrapped", "hard_negatives", "soft_contrast", "three_masks"]

LOOK = "02_blip, exercise"


# --- exercise 1: three masks ------------------------------------------------------------------------------------------


def _roles(
    encoder: Callable[[Tensor], Tensor],
    grounded: Callable[[Tensor], Tensor],
    decoder: Callable[[Tensor], Tensor],
    looks: tuple[bool, bool, bool] = (False, True, True),
    behind: bool = False,
) -> Callable[..., Tensor]:
    """The masks from who sees which word in each role, a function of the attention mask to (batch, n, n), and who looks at the patches.

    Args:
        behind: the patches stand behind the words.
    """

    def three_masks(attention_mask: Tensor, patches: int) -> Tensor:
        batch, n = attention_mask.shape
        rows = []
        for words, seen in zip((encoder, grounded, decoder), looks, strict=True):
            parts = [torch.full((batch, n, patches), seen), words(attention_mask)]
            rows.append(torch.cat(parts[::-1] if behind else parts, dim=2))
        return torch.stack(rows)

    return three_masks


def _real(mask: Tensor) -> Tensor:
    return mask[:, None].expand(-1, mask.shape[1], -1)


def _earlier(mask: Tensor) -> Tensor:
    n = mask.shape[1]
    return torch.ones(n, n).tril().bool() & mask[:, None]


def _every(mask: Tensor) -> Tensor:
    return torch.ones_like(_real(mask))


def _triangle(diagonal: int = 0, upper: bool = False) -> Callable[[Tensor], Tensor]:
    """Who sees whom by a triangle and the padding."""

    def words(mask: Tensor) -> Tensor:
        n = mask.shape[1]
        square = torch.ones(n, n)
        return (square.triu(diagonal) if upper else square.tril(diagonal)).bool() & mask[:, None]

    return words


def _only_triangle(mask: Tensor) -> Tensor:
    n = mask.shape[1]
    return torch.ones(n, n).tril().bool().expand(len(mask), n, n)


def _rows(mask: Tensor) -> Tensor:
    return mask[:, :, None].expand(-1, -1, mask.shape[1])


def _rows_earlier(mask: Tensor) -> Tensor:
    n = mask.shape[1]
    return torch.ones(n, n).tril().bool() & mask[:, :, None]


_three_masks = _roles(_real, _real, _earlier)


def _texts(draw: Draw, batch: int, length: int, patches: int) -> tuple:
    """Texts of different lengths; the first is full, the last one short of it."""
    words = 1 + draw.integers(length - 1, batch, 1)
    words[0], words[-1] = length, length - 1
    return torch.arange(length) < words, patches


three_masks = Check(
    name="three_masks",
    signature=("attention_mask", "patches"),
    reference=_three_masks,
    holds="who reads alone sees all words, who matches the patches too, who writes the patches and no later word, and nobody padding",
    look=f'{LOOK} 1 "Three roles, three masks"',
    hint="Build (batch, n, n) of words for each role, put (batch, n, patches) of one truth value in front of it, stack the three.",
    cases=(
        Case("3 texts of 5, 4 patches", lambda draw: _texts(draw, 3, 5, 4)),
        Case("2 texts of 6, 3 patches", lambda draw: _texts(draw, 2, 6, 3)),
    ),
    hidden_cases=(
        Case("4 texts of 4, 6 patches", lambda draw: _texts(draw, 4, 4, 6)),
        Case("5 texts of 7, 2 patches", lambda draw: _texts(draw, 5, 7, 2)),
    ),
    mistakes=(
        Mistake(
            _roles(_real, _real, _real),
            "The decoder sees words that come later: it would copy the word that it is to guess, and learn nothing of writing.",
        ),
        Mistake(
            _roles(_real, _earlier, _earlier),
            "The grounded *encoder* looks back only: it does not write, so each word may see all the others. The triangle belongs to the decoder.",
        ),
        Mistake(
            _roles(_earlier, _earlier, _earlier),
            "All three roles look back only: the two encoders read, and each of their words may see all the others.",
        ),
        Mistake(
            _roles(_earlier, _real, _earlier),
            "The text encoder looks back only, so that its [CLS], which stands first, would see nothing but itself.",
        ),
        Mistake(
            _roles(_every, _every, _only_triangle),
            "Padding is seen: a text's answer would depend on how long the others of its batch are. Use `attention_mask` in all three roles.",
        ),
        Mistake(
            _roles(_real, _real, _only_triangle),
            "The decoder sees padding: the triangle alone does not hide it from the rows behind a text's end. Combine it with `attention_mask`.",
        ),
        Mistake(
            _roles(_rows, _rows, _rows_earlier),
            "The mask lies on the wrong axis: rows are who *looks*, columns are who *is seen*. Padding must not be seen: attention_mask[:, None].",
        ),
        Mistake(
            _roles(_real, _real, _triangle(-1)),
            "In the decoder a word does not see itself: the diagonal belongs to the triangle (the first word would see no word at all).",
        ),
        Mistake(
            _roles(_real, _real, _triangle(1)),
            "In the decoder each word sees the next one: the triangle ends at the diagonal.",
        ),
        Mistake(
            _roles(_real, _real, _triangle(0, upper=True)),
            "The triangle is the wrong way round: a word sees those *before* it, row i the columns up to i (torch.tril).",
        ),
        Mistake(
            _roles(_real, _real, _earlier, (True, True, True)),
            "The text encoder looks at the picture: its vector would no longer be the text's own, and there would be nothing to compare.",
        ),
        Mistake(
            _roles(_real, _real, _earlier, (False, False, True)),
            "The grounded encoder does not look at the picture: it is to say whether the text belongs to it.",
        ),
        Mistake(
            _roles(_real, _real, _earlier, (False, True, False)),
            "The decoder does not look at the picture: it would write captions of nothing.",
        ),
        Mistake(
            _roles(_real, _real, _earlier, (False, False, False)),
            "Nobody looks at the picture: the grounded encoder and the decoder see all patches.",
        ),
        Mistake(
            _roles(_real, _real, _earlier, behind=True),
            "The patches stand behind the words: the columns are patches first, then words.",
        ),
        Mistake(
            _roles(_earlier, _real, _real),
            "The order of the roles is text encoder, grounded encoder, decoder: your triangle is in the first.",
        ),
        Mistake(
            lambda mask, patches: ~_three_masks(mask, patches),
            "True and False are exchanged: True says that it *is* seen.",
        ),
        Mistake(
            lambda mask, patches: _three_masks(mask, patches).float(),
            "These are numbers: a mask of truth values is asked for, bool.",
        ),
    ),
)


# --- exercise 2: hard negatives ---------------------------------------------------------------------------------------


def _own(table: Tensor) -> Tensor:
    return torch.eye(len(table), dtype=torch.bool)


def _first_above(p: Tensor, uniform: Tensor) -> Tensor:
    """The first whose cumulated probability is above the draw."""
    return (p.cumsum(dim=1) > uniform[:, None]).int().argmax(dim=1)


def _weights(similarities: Tensor) -> Tensor:
    return similarities.masked_fill(_own(similarities), -torch.inf).softmax(dim=1)


def _hard_negatives(similarities: Tensor, uniform: Tensor) -> Tensor:
    return _first_above(_weights(similarities), uniform)


def _by(p: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A draw from other probabilities, a function of the similarities."""
    return lambda similarities, uniform: _first_above(p(similarities), uniform)


def _evenly(similarities: Tensor) -> Tensor:
    others = (~_own(similarities)).float()
    return others / others.sum(dim=1, keepdim=True)


def _shifted(similarities: Tensor, uniform: Tensor) -> Tensor:
    """The number among the others, as if the own one were not there to be counted."""
    rows = [torch.cat([row[:number], row[number + 1 :]]) for number, row in enumerate(similarities)]
    return _first_above(torch.stack(rows).softmax(dim=1), uniform)


def _table(draw: Draw, batch: int) -> tuple:
    """Similarities with the scale; each row's own one is large, one is near it, and draws that are not all in the first half."""
    table = 1.2 * draw.normal(batch, batch) + 2.0 * torch.eye(batch)
    return table, draw.uniform(batch, low=0.05, high=0.9)


hard_negatives = Check(
    name="hard_negatives",
    signature=("similarities", "uniform"),
    reference=_hard_negatives,
    holds="another one's partner, drawn by the softmax of the row without its own",
    look=f'{LOOK} 2 "Hard negatives"',
    hint="masked_fill of the diagonal with -inf, softmax along each row, cumsum, and the first that is above the row's uniform number.",
    cases=(
        Case("8 pictures and texts", lambda draw: _table(draw, 8)),
        Case("12 pictures and texts", lambda draw: _table(draw, 12)),
        Case("24 pictures and texts", lambda draw: _table(draw, 24)),
    ),
    hidden_cases=(
        Case("16 pictures and texts", lambda draw: _table(draw, 16)),
        Case("32 pictures and texts", lambda draw: _table(draw, 32)),
    ),
    mistakes=(
        Mistake(
            _by(lambda s: s.softmax(dim=1)),
            "The own text can be drawn: it is no wrong one, and the model would be told that a pair that fits does not. Take out the diagonal.",
        ),
        Mistake(
            _by(lambda s: s.masked_fill(_own(s), 0.0).softmax(dim=1)),
            "A similarity of 0 is no probability of 0: exp(0) = 1. Before the softmax the own one is -inf.",
        ),
        Mistake(
            _by(lambda s: s.softmax(dim=1).masked_fill(_own(s), 0.0)),
            "The own probability is 0 now, but the others no longer add up to 1, so that a large draw finds nobody: mask before the softmax, or divide by the sum.",
        ),
        Mistake(
            _by(_evenly),
            "All others are equally likely: these are random negatives. The softmax makes the similar ones likelier.",
        ),
        Mistake(
            lambda s, u: s.masked_fill(_own(s), -torch.inf).argmax(dim=1),
            "You always take the most similar. If that one fits as well, the model is told the wrong thing at every step: draw.",
        ),
        Mistake(
            lambda s, u: s.argmax(dim=1),
            "You take the most similar of all, which is mostly the own one: that is no wrong pair. Take out the diagonal, and draw.",
        ),
        Mistake(
            _by(lambda s: (-s).masked_fill(_own(s), -torch.inf).softmax(dim=1)),
            "The *least* similar are the likeliest: these are the easy ones, of which there is nothing to learn.",
        ),
        Mistake(
            _by(lambda s: s.masked_fill(_own(s), -torch.inf).softmax(dim=0)),
            "The softmax runs down the columns: it is each *row* that draws, dim=1.",
        ),
        Mistake(
            _by(lambda s: _weights(s.T)),
            "You draw for the columns: row i of the table holds what i may draw from.",
        ),
        Mistake(
            lambda s, u: (_weights(s).cumsum(dim=1) > 1 - u[:, None]).int().argmax(dim=1),
            "You compare with 1 - uniform: it is the first whose cumulated probability is above `uniform` itself.",
        ),
        Mistake(
            lambda s, u: (_weights(s).cumsum(dim=1) < u[:, None]).int().argmax(dim=1),
            "That is the first whose cumulated probability is *below* the draw, nearly always number 0.",
        ),
        Mistake(
            lambda s, u: _first_above(_weights(s), u[:1].expand(len(u))),
            "All rows use the first draw: each has its own, uniform[:, None].",
        ),
        Mistake(
            _shifted,
            "You took the own one out of the row, so that all numbers behind it are one too low: leave its place there, with probability 0.",
        ),
        Mistake(
            _by(lambda s: (s - s.mean()).masked_fill(_own(s), -torch.inf).softmax(dim=1) ** 2),
            "The probabilities do not add up to 1: each row is one softmax.",
        ),
        Mistake(
            lambda s, u: _weights(s).gather(1, _hard_negatives(s, u)[:, None])[:, 0],
            "These are the probabilities of what was drawn: its *number* is asked for.",
        ),
    ),
)


# --- exercise 3: soft targets -----------------------------------------------------------------------------------------


def _judged(
    targets: Callable[[Tensor, float], Tensor],
    slow: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda scale, queries, keys: scale * queries @ keys.T,
    loss: Callable[[Tensor, Tensor], Tensor] = lambda logits, targets: -(targets * logits.log_softmax(1)).sum(1).mean(),
    fixed: bool = True,
) -> Callable[..., Tensor]:
    """The loss with one of its parts exchanged: targets from the slow copy's logits, those logits, what is made of both, whether they teach."""

    def soft_contrast(features: Tensor, slow_features: Tensor, keys: Tensor, scale: Tensor, alpha: float) -> Tensor:
        wanted = targets(slow(scale, slow_features, keys), alpha)
        return loss(scale * features @ keys.T, wanted.detach() if fixed else wanted)

    return soft_contrast


def _eye(logits: Tensor) -> Tensor:
    return torch.eye(*logits.shape)


def _mixed(logits: Tensor, alpha: float) -> Tensor:
    return alpha * logits.softmax(dim=1) + (1 - alpha) * _eye(logits)


_soft_contrast = _judged(_mixed)


def _without_queue(features: Tensor, slow_features: Tensor, keys: Tensor, scale: Tensor, alpha: float) -> Tensor:
    return _soft_contrast(features, slow_features, keys[: len(features)], scale, alpha)


def _pairs(draw: Draw, batch: int, keys: int, dim: int, scale: float, alpha: float) -> tuple:
    """Unit vectors; the keys of the batch are near its queries, and then come older ones, the first of which the slow copy takes for query 0's."""
    own = draw.normal(batch, dim)
    features, slow = (F.normalize(own + 0.7 * draw.normal(batch, dim), dim=1) for _ in range(2))
    partners = torch.cat([own + 0.7 * draw.normal(batch, dim), slow[:1], draw.normal(keys - batch - 1, dim)])
    return features, slow, F.normalize(partners, dim=1), torch.tensor(scale), alpha


soft_contrast = Check(
    name="soft_contrast",
    signature=("features", "slow_features", "keys", "scale", "alpha"),
    reference=_soft_contrast,
    holds="cross-entropy with targets that the slow copy softens, among all keys, and no gradient through the targets",
    look=f'{LOOK} 3 "Soft targets"',
    hint="Logits are scale * features @ keys.T, targets alpha * softmax of the slow copy's + (1 - alpha) * torch.eye(batch, keys), under torch.no_grad.",
    cases=(
        Case("4 queries, 10 keys, alpha 0.4", lambda draw: _pairs(draw, 4, 10, 6, 5.0, 0.4)),
        Case("6 queries, 9 keys, alpha 0.7", lambda draw: _pairs(draw, 6, 9, 5, 8.0, 0.7)),
    ),
    hidden_cases=(
        Case("3 queries, 12 keys, alpha 0.25", lambda draw: _pairs(draw, 3, 12, 8, 8.0, 0.25)),
        Case("8 queries, 11 keys, alpha 0.9", lambda draw: _pairs(draw, 8, 11, 4, 6.0, 0.9)),
    ),
    gradients="required",
    differentiable=("features", "slow_features", "scale"),
    mistakes=(
        Mistake(
            _judged(lambda logits, alpha: _eye(logits)),
            "These are hard targets, in which only the own text is right: alpha of the weight belongs to the slow copy's opinion.",
        ),
        Mistake(
            _judged(lambda logits, alpha: logits.softmax(dim=1)),
            "The slow copy's opinion alone is the target: the own text, of which we are sure, has weight 1 - alpha.",
        ),
        Mistake(
            _judged(lambda logits, alpha: (1 - alpha) * logits.softmax(dim=1) + alpha * _eye(logits)),
            "The weights are exchanged: alpha is that of the slow copy's opinion, 1 - alpha that of the own text.",
        ),
        Mistake(
            _judged(lambda logits, alpha: alpha * logits.softmax(dim=1) + _eye(logits)),
            "The targets of a row add up to more than 1: the own text has weight 1 - alpha.",
        ),
        Mistake(
            _judged(lambda logits, alpha: alpha * logits + (1 - alpha) * _eye(logits)),
            "The slow copy's similarities are no distribution yet: softmax along each row.",
        ),
        Mistake(
            _judged(lambda logits, alpha: alpha * logits.softmax(dim=0) + (1 - alpha) * _eye(logits)),
            "The softmax of the targets runs down the columns: each *query* has a distribution over the keys, dim=1.",
        ),
        Mistake(
            _judged(_mixed, slow=lambda scale, queries, keys: queries @ keys.T),
            "The scale is missing in the slow copy's similarities: between cosines the softmax is nearly even.",
        ),
        Mistake(
            lambda f, s, k, scale, alpha: _soft_contrast(f, f, k, scale, alpha),
            "The targets are made of `features`: the network would be asked for what it says anyway. They come from `slow_features`.",
        ),
        Mistake(
            lambda f, s, k, scale, alpha: _soft_contrast(s, s, k, scale, alpha),
            "The logits are made of `slow_features`, which nobody trains: they come from `features`.",
        ),
        Mistake(
            lambda f, s, k, scale, alpha: _soft_contrast(s, f, k, scale, alpha),
            "`features` and `slow_features` are exchanged: the slow copy gives the targets, and the network that learns gives the logits.",
        ),
        Mistake(
            _judged(_mixed, fixed=False),
            "The value is right, but gradients flow through the targets: the loss could fall because the target moves. Make them under torch.no_grad().",
        ),
        Mistake(
            _without_queue,
            "Only the batch's own keys are compared: those from the queue are further columns, keys has more rows than features.",
        ),
        Mistake(
            _judged(_mixed, loss=lambda logits, targets: -(targets * logits.log_softmax(1)).mean()),
            "You take the mean over the keys as well: sum over the keys, then the mean over the queries.",
        ),
        Mistake(
            _judged(_mixed, loss=lambda logits, targets: -(targets * logits.log_softmax(1)).sum()),
            "You sum over the batch: the mean over the queries is asked for.",
        ),
        Mistake(
            _judged(_mixed, loss=lambda logits, targets: (targets * logits.log_softmax(1)).sum(1).mean()),
            "The sign is wrong: that rises with what is right. The loss is minus it.",
        ),
        Mistake(
            _judged(_mixed, loss=lambda logits, targets: -(targets * logits.softmax(1)).sum(1).mean()),
            "The logarithm is missing: cross-entropy is -sum of target * log p.",
        ),
        Mistake(
            _judged(
                _mixed, loss=lambda logits, targets: F.kl_div(logits.log_softmax(1), targets, reduction="batchmean")
            ),
            "That is the Kullback-Leibler divergence: its gradients for the features are the same, but the loss of the paper is the cross-entropy.",
        ),
        Mistake(
            _judged(_mixed, loss=lambda logits, targets: F.cross_entropy(logits, targets.argmax(1))),
            "Of the targets only the largest is left: F.cross_entropy takes whole distributions.",
        ),
    ),
)


# --- exercise 4: the filter -------------------------------------------------------------------------------------------


def _rows_of(kept: Tensor) -> Tensor:
    """(picture, source) of what is kept, (sources, pictures) bool, source by source."""
    return kept.nonzero().flip(1)


def _bootstrapped(web_logits: Tensor, own_logits: Tensor, threshold: float) -> Tensor:
    return _rows_of(torch.stack([web_logits, own_logits]).softmax(dim=2)[:, :, 1] > threshold)


def _kept_if(keep: Callable[[Tensor, float], Tensor]) -> Callable[..., Tensor]:
    """The set by another rule, a function of the logits (2, pictures, 2) and the threshold."""
    return lambda web, own, threshold: _rows_of(keep(torch.stack([web, own]), threshold))


def _read(draw: Draw, web: int, threshold: float) -> tuple:
    """Logits of "no" and "yes" for two texts of each picture."""
    return 1.5 * draw.normal(web, 2), 1.5 * draw.normal(web, 2) + torch.tensor([-0.3, 0.3]), threshold


bootstrapped = Check(
    name="bootstrapped",
    signature=("web_logits", "own_logits", "threshold"),
    reference=_bootstrapped,
    holds="both kinds of text go through the filter, and what it takes for true above the threshold stays",
    look=f'{LOOK} 4 "The filter"',
    hint="p = logits.softmax(dim=1)[:, 1] of each, then the numbers of those above the threshold, (p > threshold).nonzero(), with 0 or 1 beside them.",
    cases=(
        Case("8 pictures, threshold 0.5", lambda draw: _read(draw, 8, 0.5)),
        Case("15 pictures, threshold 0.8", lambda draw: _read(draw, 15, 0.8)),
        Case("20 pictures, threshold 0.3", lambda draw: _read(draw, 20, 0.3)),
    ),
    hidden_cases=(
        Case("25 pictures, threshold 0.65", lambda draw: _read(draw, 25, 0.65)),
        Case("30 pictures, threshold 0.4", lambda draw: _read(draw, 30, 0.4)),
    ),
    mistakes=(
        Mistake(
            _kept_if(lambda logits, t: logits.softmax(dim=2)[:, :, 0] > t),
            'You take the share of "no": the second column is "yes".',
        ),
        Mistake(
            _kept_if(lambda logits, t: logits.softmax(dim=2)[:, :, 1] < t),
            "You keep what the filter throws out: it stays if p is *above* the threshold.",
        ),
        Mistake(
            _kept_if(lambda logits, t: logits[:, :, 1] > t),
            'A logit is no probability: softmax over "no" and "yes" first.',
        ),
        Mistake(
            _kept_if(lambda logits, t: logits.softmax(dim=1)[:, :, 1] > t),
            'The softmax runs over the pictures: it is "no" and "yes" of one text that add up to 1, the last axis.',
        ),
        Mistake(
            _kept_if(lambda logits, t: logits[:, :, 1].sigmoid() > t),
            "A sigmoid of the second logit alone forgets the first: with two logits it is their softmax.",
        ),
        Mistake(
            _kept_if(lambda logits, t: logits.argmax(dim=2) == 1),
            "The threshold is not used: the larger of the two logits is a threshold of 1/2.",
        ),
        Mistake(
            lambda web, own, t: torch.cat(
                [
                    _bootstrapped(web, own, t)[_bootstrapped(web, own, t)[:, 1] == 0],
                    torch.stack([torch.arange(len(own)), torch.ones(len(own), dtype=torch.int64)], 1),
                ]
            ),
            "The captioner's own texts are all kept: it errs too, so they go through the filter like those of the web.",
        ),
        Mistake(
            lambda web, own, t: torch.cat(
                [
                    torch.stack([torch.arange(len(web)), torch.zeros(len(web), dtype=torch.int64)], 1),
                    _bootstrapped(web, own, t)[_bootstrapped(web, own, t)[:, 1] == 1],
                ]
            ),
            "The texts of the web are all kept: it is for them that there is a filter.",
        ),
        Mistake(
            lambda web, own, t: (lambda rows: rows[rows[:, 1] == 0])(_bootstrapped(web, own, t)),
            "The captioner's texts are missing: a picture may keep its web text, the captioner's, both, or none.",
        ),
        Mistake(
            lambda web, own, t: (lambda rows: rows[rows[:, 1] == 1])(_bootstrapped(web, own, t)),
            "The texts of the web are missing: what is good among them says more than the captioner knows.",
        ),
        Mistake(
            _kept_if(
                lambda logits, t: torch.stack([(p := logits.softmax(dim=2)[:, :, 1])[0] > t, (p[1] > t) & (p[0] <= t)])
            ),
            "You take the captioner's text only where the web's is thrown out: a picture may keep both.",
        ),
        Mistake(
            _kept_if(lambda logits, t: (logits.softmax(dim=2)[:, :, 1] > t).all(0).expand(2, -1)),
            "You keep a picture only if both of its texts pass: each text is judged for itself.",
        ),
        Mistake(
            _kept_if(lambda logits, t: (logits.softmax(dim=2)[:, :, 1] > t).any(0).expand(2, -1)),
            "You keep both texts of a picture if one of them passes: each text is judged for itself.",
        ),
        Mistake(
            lambda web, own, t: _bootstrapped(web, own, t).flip(1),
            "The columns are exchanged: the picture's number comes first, then 0 for the web's text or 1 for the captioner's.",
        ),
        Mistake(
            lambda web, own, t: (torch.stack([web, own], 1).softmax(dim=2)[:, :, 1] > t).nonzero(),
            "The order is picture by picture: first all texts of the web, then all of the captioner.",
        ),
        Mistake(
            lambda web, own, t: _bootstrapped(own, web, t),
            "0 and 1 are exchanged: 0 is the text of the web, 1 the captioner's.",
        ),
        Mistake(
            _kept_if(lambda logits, t: (p := logits.softmax(dim=2)[:, :, 1]) >= p.quantile(t)),
            "You keep a *share* of the texts: the threshold is one of probability, the same for all.",
        ),
    ),
)
