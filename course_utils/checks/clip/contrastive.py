"""Checks of notebook clip/clip."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.engine import Case, Check, Draw, Mistake
from course_utils.checks.plain import Seen
from course_utils.clip.losses import info_nce
from course_utils.clip.zero_shot import classify, zero_shot_weights

__all__ = ["attention_pool", "class_embeddings", "contrastive_loss", "linear_probe", "zero_shot_by_letters"]


def _unit(features: Tensor) -> Tensor:
    """Vectors along the last axis, each of length 1."""
    return F.normalize(features, dim=-1)


def _raw(features: Tensor) -> Tensor:
    return features


Change = Callable[[Tensor], Tensor]


# --- exercise 1: the contrastive loss ---------------------------------------------------------------------------------


def _contrastive_loss(image_features: Tensor, text_features: Tensor, log_scale: Tensor) -> Tensor:
    return info_nce(_unit(image_features), _unit(text_features), log_scale.exp())


def _own(logits: Tensor) -> Tensor:
    return torch.arange(len(logits))


def _symmetric(logits: Tensor) -> Tensor:
    return (F.cross_entropy(logits, _own(logits)) + F.cross_entropy(logits.T, _own(logits))) / 2


def _contrast(
    judge: Callable[[Tensor], Tensor] = _symmetric,
    scaled: Callable[[Tensor, Tensor], Tensor] = lambda cosines, log_scale: log_scale.exp() * cosines,
    images: Change = _unit,
    texts: Change = _unit,
) -> Callable[..., Tensor]:
    """The loss with one of its parts exchanged: what is made of the table of logits, how that is scaled, how features are normalised."""
    return lambda u, v, log_scale: judge(scaled(images(u) @ texts(v).T, log_scale))


def _with_targets(targets: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """The loss with other targets, a function of the table."""

    def judge(logits: Tensor) -> Tensor:
        return (F.cross_entropy(logits, targets(logits)) + F.cross_entropy(logits.T, targets(logits))) / 2

    return _contrast(judge)


def _of_log_softmax(judge: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """The mean of both directions of `judge`, a function of log probabilities (batch, batch), a distribution a row."""
    return _contrast(lambda logits: (judge(logits.log_softmax(1)) + judge(logits.T.log_softmax(1))) / 2)


def _without_own(logits: Tensor) -> Tensor:
    """-log of e^own / sum of e^others, in both directions."""
    others = logits.masked_fill(torch.eye(len(logits), dtype=torch.bool), -math.inf)
    return ((others.logsumexp(1) + others.logsumexp(0)) / 2 - logits.diagonal()).mean()


def _pairs(draw: Draw, batch: int, dim: int, log_scale: float) -> tuple[Tensor, ...]:
    """Features of all lengths, a picture's and its text's a little alike, about a common mean as a network's are."""
    shared = 0.8 * draw.normal(batch, dim)
    images, texts = (
        draw.uniform(batch, 1, low=0.5, high=3.0) * (shared + draw.normal(batch, dim) + 0.5 * draw.normal(dim))
        for _ in range(2)
    )
    return images, texts, torch.tensor(log_scale)


def _with_an_outlier(draw: Draw) -> tuple[Tensor, ...]:
    """Five pairs at nearly the largest scale of CLIP. The first picture is opposite to its text and close to another: e^logit overflows, a softmax rounds to 0."""
    images, texts, log_scale = _pairs(draw, 5, 5, 4.6)
    images[0] = -texts[0]
    texts[1] = 2 * images[0] + 0.2 * draw.normal(5)
    return images, texts, log_scale


def _but_for_the_outlier(value: Seen, wrong: Seen) -> Seen:
    """What a mistake gives in place of a number lost to rounding, where that is so large that the logarithm of a rounded softmax is lost."""
    return wrong if not value.data.isfinite() and wrong.data.abs() > 10 else value


_ONE_DIRECTION = "The other direction is missing, or stands there twice"

contrastive_loss = Check(
    name="contrastive_loss",
    signature=("image_features", "text_features", "log_scale"),
    reference=_contrastive_loss,
    holds="cosines times exp(log_scale), each picture asked for its text and each text for its picture",
    look='02_clip, exercise 1 "The contrastive loss"',
    hint="Unit vectors u, v; logits = exp(log_scale) * u @ v.T; F.cross_entropy of logits and of logits.T with the targets 0, 1, 2, ...; the mean of the two.",
    cases=(
        Case("6 pairs of 4 numbers", lambda draw: _pairs(draw, 6, 4, 1.3)),
        Case("4 pairs of 8 numbers", lambda draw: _pairs(draw, 4, 8, 2.1)),
        Case("5 pairs of 5 numbers at scale 99, one of them quite wrong", _with_an_outlier),
    ),
    hidden_cases=(
        Case("9 pairs of 3 numbers, a temperature above 1", lambda draw: _pairs(draw, 9, 3, -0.4)),
        Case("3 pairs of 16 numbers, the scale with which CLIP begins", lambda draw: _pairs(draw, 3, 16, math.log(1 / 0.07))),
        Case("1 pair", lambda draw: _pairs(draw, 1, 4, 1.0)),
    ),
    gradients="required",
    differentiable=("image_features", "text_features", "log_scale"),
    not_a_number="Your result is NaN or infinite. At a large scale exp(logit) overflows and a probability rounds to 0, whose logarithm is infinite: F.cross_entropy and log_softmax work from the logits, at any size.",
    mistakes=(
        Mistake(
            _contrast(images=_raw, texts=_raw),
            "The features are not normalised: longer vectors would be more similar to everything. Bring each row to length 1, F.normalize(x, dim=1).",
        ),
        Mistake(
            _contrast(texts=_raw),
            "The texts' features are not normalised: a long one would be similar to every picture. Both need length 1.",
        ),
        Mistake(
            _contrast(images=_raw),
            "The pictures' features are not normalised: a long one would be similar to every text. Both need length 1.",
        ),
        Mistake(
            _contrast(images=lambda u: F.normalize(u, dim=0), texts=lambda v: F.normalize(v, dim=0)),
            "You normalise along the batch, dim=0: it is each *row*, one picture or one text, that is to have length 1, dim=1.",
        ),
        Mistake(
            _contrast(images=lambda u: u / u.norm(), texts=lambda v: v / v.norm()),
            "norm() without an axis is one length of the whole matrix: each row needs its own, norm(dim=1, keepdim=True).",
        ),
        Mistake(
            _contrast(images=lambda u: u / u.square().sum(1, keepdim=True), texts=lambda v: v / v.square().sum(1, keepdim=True)),
            "You divide by the *squared* length: take its root.",
        ),
        Mistake(
            _contrast(images=lambda u: u / u.norm(dim=1), texts=lambda v: v / v.norm(dim=1)),
            "norm(dim=1) without keepdim=True is (batch,), and broadcasting divides *columns* by it.",
        ),
        Mistake(
            _contrast(images=lambda u: F.normalize(u, p=1, dim=1), texts=lambda v: F.normalize(v, p=1, dim=1)),
            "You divide by the sum of absolute values: a cosine needs the Euclidean length, the root of the sum of squares.",
        ),
        Mistake(
            _contrast(images=lambda u: u.softmax(1), texts=lambda v: v.softmax(1)),
            "You make distributions of the features with a softmax: what is asked for is length 1, F.normalize(x, dim=1).",
        ),
        Mistake(
            _contrast(scaled=lambda cosines, log_scale: log_scale * cosines),
            "The scale is left in its logarithm: it is learned as log_scale and multiplied as exp(log_scale), so that it stays positive.",
        ),
        Mistake(
            _contrast(scaled=lambda cosines, log_scale: cosines / log_scale.exp()),
            "You divide by the scale. It is the *temperature* that is divided by, and the scale is one over that: multiply by exp(log_scale).",
        ),
        Mistake(
            _contrast(scaled=lambda cosines, log_scale: cosines / log_scale),
            "You divide by log_scale: exp(log_scale) is one over the temperature, so multiply by that.",
        ),
        Mistake(
            _contrast(scaled=lambda cosines, log_scale: cosines),
            "The scale is missing. Cosines lie in [-1, 1]: without a scale the softmax can never be sure, however well the pairs fit.",
        ),
        Mistake(
            _contrast(scaled=lambda cosines, log_scale: cosines + log_scale.exp()),
            "You add the scale, and a softmax does not notice what is added to all logits alike: multiply.",
        ),
        Mistake(
            _contrast(lambda logits: F.cross_entropy(logits, _own(logits))),
            f"{_ONE_DIRECTION}: yours only asks each picture for its text. Add each text's question, the cross-entropy of the columns, logits.T, and halve the sum.",
            align=_but_for_the_outlier,
        ),
        Mistake(
            _contrast(lambda logits: F.cross_entropy(logits.T, _own(logits))),
            f"{_ONE_DIRECTION}: yours only asks each text for its picture (the softmax runs down the columns). Add the cross-entropy of the rows, and halve the sum.",
            align=_but_for_the_outlier,
        ),
        Mistake(
            _contrast(lambda logits: 2 * _symmetric(logits)),
            "You add both directions: it is their mean, so halve it.",
            align=_but_for_the_outlier,
        ),
        Mistake(
            _contrast(lambda logits: len(logits) * _symmetric(logits)),
            "You sum over the batch: the loss is a mean over the pairs, or a larger batch would take larger steps.",
            align=_but_for_the_outlier,
        ),
        Mistake(
            _contrast(lambda logits: 2 * len(logits) * _symmetric(logits)),
            "You sum over the batch and over both directions: it is the mean of both.",
            align=_but_for_the_outlier,
        ),
        Mistake(
            _of_log_softmax(lambda log_p: -(log_p * torch.eye(len(log_p))).mean()),
            "You divide by the batch twice: F.cross_entropy is a mean already, and of a table that is 0 beside the diagonal, it is the *diagonal* whose mean is taken.",
        ),
        Mistake(
            _of_log_softmax(lambda log_p: -log_p.mean()),
            "You average the log probabilities of *all* pairs: only those on the diagonal belong together.",
        ),
        Mistake(
            _of_log_softmax(lambda log_p: log_p.diagonal().mean()),
            "The sign is wrong: this is the log probability, which is to rise. The loss is minus that.",
            align=_but_for_the_outlier,
        ),
        Mistake(
            _of_log_softmax(lambda log_p: -log_p.exp().diagonal().mean()),
            "The logarithm is missing: that is minus the probability itself. A pair that is quite lost would hardly be pulled together.",
        ),
        Mistake(
            _contrast(lambda logits: (F.cross_entropy(logits.softmax(1), _own(logits)) + F.cross_entropy(logits.T.softmax(1), _own(logits))) / 2),
            "A softmax too many: F.cross_entropy takes logits and does it itself.",
        ),
        Mistake(
            _with_targets(lambda logits: _own(logits).roll(-1)),
            "The targets are shifted by one: row i belongs to column i, and both are counted from 0, torch.arange(batch).",
        ),
        Mistake(
            _with_targets(lambda logits: torch.zeros(len(logits), dtype=torch.int64)),
            "All targets are 0, so everything is called to the first pair. F.cross_entropy takes the *place* of the right answer: row i belongs to column i, torch.arange(batch).",
        ),
        Mistake(
            _with_targets(lambda logits: (torch.arange(len(logits)) > 0).long()),
            "You give a truth value for the target. F.cross_entropy takes the *place* of the right answer in each row: torch.arange(batch).",
        ),
        Mistake(
            _with_targets(lambda logits: logits.argmax(1)),
            "You take the most similar for the right one, so nothing is taught: the right one is known, it stands on the diagonal.",
        ),
        Mistake(
            _with_targets(lambda logits: _own(logits).flip(0)),
            "The targets run backwards: row i belongs to column i, torch.arange(batch).",
        ),
        Mistake(
            _contrast(lambda logits: F.binary_cross_entropy_with_logits(logits, torch.eye(len(logits)))),
            "This judges each pair alone, yes or no, much as SigLIP does. Here each picture *chooses* among all texts: a softmax over its row, F.cross_entropy.",
        ),
        Mistake(
            _contrast(lambda logits: F.mse_loss(logits, torch.eye(len(logits)))),
            "You want the table to be an identity matrix. Here it is a softmax that is asked: the right text has to be *more* similar than the others, by whatever amount.",
        ),
        Mistake(
            _contrast(lambda logits: logits.flatten().logsumexp(0) - logits.diagonal().mean()),
            "Your softmax runs over the whole table: each row is a question of its own, and each column too.",
        ),
        Mistake(
            _contrast(_without_own),
            "The right pair is missing in the sum of the denominator: a softmax is over *all* texts, the right one too.",
        ),
        Mistake(
            _contrast(lambda logits: _symmetric(logits) / math.log(max(2, len(logits)))),
            "You divide by log(batch), the loss by chance: the loss is in nats, as it is.",
        ),
        Mistake(
            lambda u, v, log_scale: _symmetric(log_scale.exp() * _unit(u) @ _unit(u).T) + 0 * v.sum(),
            "You compare pictures with pictures: the columns are the texts.",
        ),
        Mistake(
            lambda u, v, log_scale: _symmetric(-log_scale.exp() * torch.cdist(_unit(u), _unit(v)).square()),
            "You compare squared distances. For unit vectors that is twice the cosine, less a constant, so your scale is twice too large: use the inner product.",
        ),
        Mistake(
            _contrast(images=lambda u: F.normalize(u, dim=0)),
            "You normalise the pictures along the batch, dim=0: it is each *row* that is to have length 1, dim=1.",
        ),
        Mistake(
            lambda u, v, log_scale: _symmetric(log_scale.exp() * _unit(u).T @ _unit(v)),
            "Your table has a row for each *number* of a vector: the transpose belongs to the texts, images @ texts.T, (batch, batch).",
        ),
        Mistake(
            _contrast(scaled=lambda cosines, log_scale: 10**log_scale * cosines),
            "You take 10 to the power of log_scale: it is the natural logarithm, exp(log_scale).",
        ),
        Mistake(
            _contrast(lambda logits: _symmetric(logits.softmax(1))),
            "A softmax too many, before both cross-entropies: F.cross_entropy takes logits and does it itself.",
        ),
        Mistake(
            _contrast(lambda logits: 2 * _symmetric(logits) / len(logits)),
            "You divide the sum of both directions by the batch. F.cross_entropy is a mean over it already: divide by the 2 directions.",
        ),
        Mistake(
            _contrast(lambda logits: -logits.diagonal().mean()),
            "Only the right pairs are in your loss, and nothing pushes the wrong ones apart: the softmax, with all texts in its denominator, is missing.",
        ),
        Mistake(
            lambda u, v, log_scale: (1 - (_unit(u) * _unit(v)).sum(1)).mean(),
            "You only pull each pair together, and nothing pushes the wrong ones apart: all vectors could become the same. A softmax over all texts is asked for.",
        ),
        Mistake(
            _contrast(lambda logits: -(logits.softmax(1).diagonal().mean().log() + logits.softmax(0).diagonal().mean().log()) / 2),
            "You take the logarithm of a mean: it is the mean of the logarithms, log_softmax first, then the mean.",
        ),
        Mistake(
            _contrast(lambda logits: -F.logsigmoid((2 * torch.eye(len(logits)) - 1) * logits).sum() / len(logits)),
            "This is SigLIP's loss, yes or no about each pair alone. Here each picture *chooses* among all texts: a softmax over its row, F.cross_entropy.",
        ),
        Mistake(
            lambda u, v, log_scale: _symmetric(-log_scale.exp() * torch.cdist(_unit(u), _unit(v))),
            "You compare distances: it is the cosine, the inner product of the unit vectors.",
        ),
    ),
)  # fmt: skip


# --- exercise 2: attention pooling ------------------------------------------------------------------------------------


def _places(features: Tensor) -> Tensor:
    """(batch, channels, h, w) -> (batch, h * w, channels)"""
    return features.flatten(2).transpose(1, 2)


def _with_mean(features: Tensor, positions: Tensor) -> Tensor:
    """The mean and the places, (batch, 1 + h * w, channels), with positions."""
    places = _places(features)
    return torch.cat([places.mean(1, keepdim=True), places], dim=1) + positions


def _heads(tokens: Tensor, num_heads: int) -> Tensor:
    """(batch, n, channels) -> (batch, heads, n, d)"""
    return tokens.unflatten(2, (num_heads, -1)).transpose(1, 2)


def _softmax(scores: Tensor) -> Tensor:
    return scores.softmax(-1)


def _pooling(
    tokens: Callable[[Tensor, Tensor], Tensor] = _with_mean,
    asking: Change = lambda tokens: tokens[:, :1],
    keys: Change = _raw,
    values: Change = _raw,
    factor: Callable[[int, int], float] = lambda channels, heads: (channels / heads) ** -0.5,
    weights: Change = _softmax,
    split: Callable[[Tensor, int], Tensor] = _heads,
    join: Change = lambda seen: seen.transpose(1, 2).flatten(2)[:, 0],
) -> Callable[..., Tensor]:
    """Attention pooling with one of its parts exchanged."""

    def attention_pool(
        features: Tensor,
        positions: Tensor,
        to_q: Tensor,
        to_k: Tensor,
        to_v: Tensor,
        to_out: Tensor,
        num_heads: int,
    ) -> Tensor:
        x = tokens(features, positions)
        q = split(asking(x) @ to_q, num_heads)
        k, v = split(keys(x) @ to_k, num_heads), split(values(x) @ to_v, num_heads)
        seen = weights(q @ k.mT * factor(to_q.shape[1], num_heads)) @ v  # (batch, heads, 1, d)
        return join(seen) @ to_out

    return attention_pool


def _exchanged(change: Callable[..., tuple]) -> Callable[..., Tensor]:
    """Attention pooling with other weights or another number of heads, a function of (to_q, to_k, to_v, to_out, num_heads)."""
    return lambda x, positions, *rest: _pooling()(x, positions, *change(*rest))


def _mean_last(features: Tensor, positions: Tensor) -> Tensor:
    places = _places(features)
    return torch.cat([places, places.mean(1, keepdim=True)], dim=1) + positions


def _pool_without_attention(features: Tensor, positions: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, heads: int) -> Tensor:  # fmt: skip
    return features.mean((2, 3)) @ out


def _average_of_values(features: Tensor, positions: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, heads: int) -> Tensor:  # fmt: skip
    return features.mean((2, 3)) @ v @ out


def _without_projection(features: Tensor, positions: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, heads: int) -> Tensor:  # fmt: skip
    return _pooling()(features, positions, q, k, v, torch.eye(len(out)), heads)


def _with_residual(features: Tensor, positions: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, heads: int) -> Tensor:  # fmt: skip
    seen = _without_projection(features, positions, q, k, v, out, heads)
    return (_with_mean(features, positions)[:, 0] + seen) @ out


def _map(draw: Draw, batch: int, channels: int, height: int, width: int, dim: int, heads: int) -> tuple:
    """A map whose channels have other means, positions, four weights and the number of heads; scores are large enough for the softmax to choose."""
    q, k = (1.3 * draw.normal(channels, channels) / math.sqrt(channels) for _ in range(2))
    v, out = (draw.normal(channels, size) / math.sqrt(channels) for size in (channels, dim))
    features = draw.normal(batch, channels, height, width) + draw.normal(channels, 1, 1)
    return features, 0.7 * draw.normal(1 + height * width, channels), q, k, v, out, heads


attention_pool = Check(
    name="attention_pool",
    signature=("features", "positions", "to_q", "to_k", "to_v", "to_out", "num_heads"),
    reference=_pooling(),
    holds="the mean asks, all places and the mean answer, and one vector a picture comes out",
    look='02_clip, exercise 2 "Attention pooling"',
    hint="tokens = features.flatten(2).transpose(1, 2); the mean in front, torch.cat; + positions; query from tokens[:, :1], keys and values from all; heads, softmax(q k' / sqrt(d)) v; heads side by side; @ to_out.",
    cases=(
        Case("2 maps of 8 channels, 2x3, 2 heads", lambda draw: _map(draw, 2, 8, 2, 3, 5, 2)),
        Case("3 maps of 6 channels, 3x3, 1 head, 6 numbers each", lambda draw: _map(draw, 3, 6, 3, 3, 6, 1)),
        Case("1 map of 12 channels, 4x2, 3 heads", lambda draw: _map(draw, 1, 12, 4, 2, 12, 3)),
    ),
    hidden_cases=(
        Case("4 maps of 16 channels, 2x2, 4 heads", lambda draw: _map(draw, 4, 16, 2, 2, 7, 4)),
        Case("2 maps of 4 channels, 1x5, 2 heads", lambda draw: _map(draw, 2, 4, 1, 5, 9, 2)),
    ),
    gradients="required",
    differentiable=("features", "positions", "to_q", "to_k", "to_v", "to_out"),
    mistakes=(
        Mistake(
            _pooling(asking=lambda tokens: tokens[:, 1:2]),
            "The query is the first *place*, not the mean: the mean is token 0, so the query is made of tokens[:, :1] once the mean stands in front.",
        ),
        Mistake(
            _pooling(asking=lambda tokens: tokens[:, -1:]),
            "It is the last place that asks, or its answer that you return: the mean does, which stands in front, tokens[:, :1].",
        ),
        Mistake(
            _pooling(_mean_last),
            "You put the mean behind the places, and let the first place ask: it stands in front, torch.cat([mean, tokens], dim=1), and takes position 0.",
        ),
        Mistake(
            _pooling(_mean_last, lambda tokens: tokens[:, -1:]),
            "You put the mean behind the places, so every token gets its neighbour's position: it stands in front and takes position 0.",
        ),
        Mistake(
            _pooling(keys=lambda tokens: tokens[:, 1:], values=lambda tokens: tokens[:, 1:]),
            "The mean is left out of keys and values: it asks, and may look at itself as well. Keys and values come from all 1 + h * w tokens.",
        ),
        Mistake(
            _pooling(lambda features, positions: _places(features) + positions[1:], lambda tokens: tokens.mean(1, keepdim=True)),
            "The mean is taken after the positions are added, and is no token itself: put the plain mean in front first, then add all positions.",
        ),
        Mistake(
            _pooling(lambda features, positions: torch.cat([(x := _places(features) + positions[1:]).mean(1, keepdim=True), x], dim=1)),
            "You add positions to the places and then take their mean: the mean token has a position of its own, positions[0].",
        ),
        Mistake(
            _pooling(lambda features, positions: _with_mean(features, torch.zeros_like(positions))),
            "The positions are missing: without them the places are a bag, and up and down are the same.",
        ),
        Mistake(
            _pooling(lambda features, positions: _with_mean(features, torch.cat([torch.zeros_like(positions[:1]), positions[1:]]))),
            "The mean gets no position: there are 1 + h * w of them, the first for the mean.",
        ),
        Mistake(
            _pooling(lambda features, positions: _with_mean(features, positions.roll(-1, 0))),
            "The positions are shifted by one: positions[0] belongs to the mean, which stands in front.",
        ),
        Mistake(
            _pooling(lambda features, positions: torch.cat([(x := _places(features)).amax(1, keepdim=True), x], dim=1) + positions),
            "The first token is the largest of each channel: it is the mean over all places.",
        ),
        Mistake(
            _pooling(lambda features, positions: torch.cat([(x := _places(features)).sum(1, keepdim=True), x], dim=1) + positions),
            "The first token is the sum over all places: it is their mean.",
        ),
        Mistake(
            _pooling(lambda features, positions: torch.cat([torch.zeros_like((x := _places(features))[:, :1]), x], dim=1) + positions),
            "The first token is empty, like a vision transformer's [CLS] would be: here it is the mean over all places.",
        ),
        Mistake(
            _pooling(lambda features, positions: _with_mean(features.transpose(2, 3), positions)),
            "The places are read column by column: row by row is what flatten(2) of (batch, channels, height, width) gives.",
        ),
        Mistake(
            _pooling(lambda features, positions: torch.cat([(x := features.reshape(len(features), -1, features.shape[1])).mean(1, keepdim=True), x], dim=1) + positions),
            "A reshape to (batch, h * w, channels) tears the pixels apart: in memory a channel's places lie side by side. flatten(2), then transpose(1, 2).",
        ),
        Mistake(
            _pooling(factor=lambda channels, heads: 1.0),
            "The scores are not divided by sqrt(d): the wider a head, the larger its scores, until the softmax sees one place only.",
        ),
        Mistake(
            _pooling(factor=lambda channels, heads: channels**-0.5),
            "You divide by the root of all channels: a head's inner product has channels / num_heads terms, and it is *their* number whose root divides.",
        ),
        Mistake(
            _pooling(factor=lambda channels, heads: (channels / heads) ** 0.5),
            "You multiply the scores by sqrt(d): they are divided by it.",
        ),
        Mistake(
            _pooling(factor=lambda channels, heads: heads / channels),
            "You divide by d in place of its root, or by the root twice: F.scaled_dot_product_attention does it already.",
        ),
        Mistake(
            _pooling(weights=lambda scores: scores.softmax(-2)),
            "The softmax runs over the queries, of which there is one, so each weight is 1: it belongs over the tokens that are looked at, the last axis.",
        ),
        Mistake(
            _pooling(weights=lambda scores: scores.softmax(1)),
            "The softmax runs over the heads: it belongs over the tokens that are looked at, the last axis of (batch, heads, 1, n).",
        ),
        Mistake(
            _pooling(weights=_raw),
            "The softmax is missing: the weights are to be positive and to add up to 1.",
        ),
        Mistake(
            _pooling(weights=lambda scores: torch.full_like(scores, 1 / scores.shape[-1])),
            "All places count alike, which is average pooling: the weights are the softmax of the scores.",
        ),
        Mistake(
            _exchanged(lambda q, k, v, out, heads: (q, k, v, out, 1)),
            "You took one head: cut queries, keys and values into num_heads pieces, each with a softmax of its own.",
        ),
        Mistake(
            _pooling(
                split=lambda tokens, heads: tokens.unflatten(2, (-1, heads)).movedim(3, 1),
                join=lambda seen: seen.movedim(1, 3).flatten(2)[:, 0],
            ),
            "Each head takes every num_heads-th channel: the first channels / num_heads are the first head's, unflatten(2, (num_heads, -1)).",
        ),
        Mistake(
            _pooling(split=lambda tokens, heads: tokens.reshape(tokens.shape[0], heads, tokens.shape[1], -1)),
            "A reshape to (batch, heads, n, d) tears the tokens apart: each token's heads lie side by side. To (batch, n, heads, d) first, then transpose(1, 2).",
        ),
        Mistake(
            _exchanged(lambda q, k, v, out, heads: (q, k, k, out, heads)),
            "The keys are used as values: these have a weight of their own, `to_v`.",
        ),
        Mistake(
            _exchanged(lambda q, k, v, out, heads: (q, v, k, out, heads)),
            "`to_k` and `to_v` are swapped.",
        ),
        Mistake(
            _exchanged(lambda q, k, v, out, heads: (k, q, v, out, heads)),
            "`to_q` and `to_k` are swapped.",
        ),
        Mistake(
            _exchanged(lambda q, k, v, out, heads: (q.T, k.T, v.T, out, heads)),
            "You transposed the weights, as F.linear does: here they are (channels in, channels out), so it is tokens @ to_q.",
        ),
        Mistake(
            _exchanged(lambda q, k, v, out, heads: (q.T, k.T, v.T, out.T if out.shape[0] == out.shape[1] else out, heads)),
            "You transposed the weights, `to_out` among them: here they are (channels in, channels out), so it is tokens @ to_q.",
        ),
        Mistake(
            _without_projection,
            "`to_out` is missing: it takes the pooled channels into the space that pictures and texts share.",
        ),
        Mistake(
            _pooling(asking=_raw, join=lambda seen: seen.transpose(1, 2).flatten(2).mean(1)),
            "All tokens ask, and you average their answers: only the mean asks, so one query and one answer a picture.",
        ),
        Mistake(
            _pooling(asking=_raw, join=lambda seen: seen.transpose(1, 2).flatten(2)),
            "You return an answer for every token: one vector a picture is asked for, the answer to the mean, token 0.",
        ),
        Mistake(
            _pooling(join=lambda seen: seen.transpose(1, 2).flatten(2)),
            "An axis of length 1 is left, (batch, 1, dim): that of the one query. Take it away, [:, 0] or squeeze(1).",
        ),
        Mistake(
            _pool_without_attention,
            "This is average pooling: nothing is asked, and to_q, to_k and to_v are not used.",
        ),
        Mistake(
            _average_of_values,
            "You average the values: the weights are the softmax of the scores, so that the mean may look where it wants.",
        ),
        Mistake(
            _with_residual,
            "You added the mean to what it has seen, as a transformer's block does: pooling returns the answer alone.",
        ),
        Mistake(
            _exchanged(lambda q, k, v, out, heads: (torch.eye(len(q)), k, v, out, heads)),
            "`to_q` is not used: the query is made of the mean by it, tokens[:, :1] @ to_q.",
        ),
        Mistake(
            _exchanged(lambda q, k, v, out, heads: (q, torch.eye(len(k)), v, out, heads)),
            "`to_k` is not used: the keys are tokens @ to_k.",
        ),
        Mistake(
            _exchanged(lambda q, k, v, out, heads: (q, k, torch.eye(len(v)), out, heads)),
            "`to_v` is not used: the values are tokens @ to_v.",
        ),
        Mistake(
            _exchanged(lambda q, k, v, out, heads: (q, q, v, out, heads)),
            "The keys are made by `to_q`: they have a weight of their own, `to_k`.",
        ),
        Mistake(
            _pooling(lambda features, positions: _with_mean(features, torch.cat([positions[:1], torch.zeros_like(positions[1:])]))),
            "Only the mean gets its position: each place has one too, positions[1:].",
        ),
        Mistake(
            lambda features, positions, *rest: _pooling(values=lambda tokens: tokens - positions)(features, positions, *rest),
            "The values are made without the positions: queries, keys and values all come from z = x + p.",
        ),
        Mistake(
            lambda features, positions, *rest: _pooling(keys=lambda tokens: tokens - positions)(features, positions, *rest),
            "The keys are made without the positions: queries, keys and values all come from z = x + p.",
        ),
        Mistake(
            lambda features, positions, *rest: _pooling(asking=lambda tokens: tokens[:, :1] - positions[:1])(features, positions, *rest),
            "The query is made without the position: queries, keys and values all come from z = x + p.",
        ),
        Mistake(
            _pooling(asking=lambda tokens: tokens.mean(1, keepdim=True)),
            "You average once more to ask: the mean of the places is token 0 already, so the query is made of tokens[:, :1].",
        ),
        Mistake(
            _pooling(split=lambda tokens, heads: tokens.unflatten(2, (-1, heads)).movedim(3, 1)),
            "You cut every num_heads-th channel into a head, but join the heads side by side: cut with unflatten(2, (num_heads, -1)).",
        ),
        Mistake(
            _pooling(join=lambda seen: seen.movedim(1, 3).flatten(2)[:, 0]),
            "The heads are mixed when they are joined: each one's d channels stay together, transpose(1, 2) before flatten.",
        ),
        Mistake(
            _pooling(factor=lambda channels, heads: heads**-0.5),
            "You divide by the root of the number of heads: it is that of d, the channels of one head.",
        ),
        Mistake(
            _pooling(weights=lambda scores: scores.masked_fill(torch.arange(scores.shape[-1]) > 0, -math.inf).softmax(-1)),
            "A causal mask lets the mean, which comes first, see itself only: there is no order here, so no mask (is_causal).",
        ),
        Mistake(
            lambda *given: _unit(_pooling()(*given)),
            "You normalise the result: here it is returned as it is, the loss brings it to length 1.",
        ),
    ),
)  # fmt: skip


# --- exercise 3: a classifier of texts --------------------------------------------------------------------------------

Encoder = Callable[[Sequence[str]], Tensor]


def _letter_encoder(letters: Tensor) -> Encoder:
    """The notebook's stand-in for a text encoder: texts to vectors (texts, dim), in which the order of letters counts."""

    def encode_text(texts: Sequence[str]) -> Tensor:
        if isinstance(texts, str):
            raise TypeError("encode_text takes a list of texts: hand over all prompts at once")
        rows = [letters[[ord(letter) % len(letters) for letter in text]] for text in texts]
        return torch.stack([row.cumsum(0).sin().sum(0) for row in rows])

    return encode_text


def zero_shot(
    image_features: Tensor, class_names: Sequence[str], template: str, encode_text: Encoder, logit_scale: float
) -> tuple[Tensor, Tensor]:
    """The notebook's exercise: probabilities (pictures, classes), and the most probable class of each picture (pictures,)."""
    texts = _unit(encode_text([template.format(name) for name in class_names]))
    images = _unit(image_features)
    return (logit_scale * images @ texts.T).softmax(1), classify(images, texts)


def _zero_shot_by_letters(
    image_features: Tensor, class_names: Sequence[str], template: str, letters: Tensor, logit_scale: float
) -> tuple[Tensor, Tensor]:
    return zero_shot(image_features, class_names, template, _letter_encoder(letters), logit_scale)


def _probabilities(logits: Tensor) -> Tensor:
    return logits.softmax(1)


def _classifying(
    prompts: Callable[[Sequence[str], str], list[str]] = lambda names, template: [
        template.format(name) for name in names
    ],
    images: Change = _unit,
    texts: Change = _unit,
    scaled: Callable[[Tensor, float], Tensor] = lambda cosines, scale: scale * cosines,
    judge: Change = _probabilities,
    answer: Callable[[Tensor, Tensor], tuple] = lambda probabilities, logits: (probabilities, logits.argmax(1)),
) -> Callable[..., tuple]:
    """The notebook's `zero_shot_by_letters` with one of the parts of `zero_shot` exchanged."""

    def zero_shot_by_letters(
        image_features: Tensor, class_names: Sequence[str], template: str, letters: Tensor, logit_scale: float
    ) -> tuple:
        features = texts(_letter_encoder(letters)(prompts(class_names, template)))
        logits = scaled(images(image_features) @ features.T, logit_scale)
        return answer(judge(logits), logits)

    return zero_shot_by_letters


def _named(features: Tensor, class_names: Sequence[str], template: str, letters: Tensor, scale: float) -> tuple:
    probabilities, classes = _classifying()(features, class_names, template, letters, scale)
    return probabilities, [class_names[index] for index in classes.tolist()]


def _scaled_late(features: Tensor, class_names: Sequence[str], template: str, letters: Tensor, scale: float) -> tuple:
    unscaled, classes = _classifying()(features, class_names, template, letters, 1.0)
    return scale * unscaled, classes


def _reread(names: Sequence[str], template: str) -> list[str]:
    return [f"there is a {name}" for name in names]


def _any_class(value: tuple, wrong: tuple) -> tuple:
    """Where probabilities are equal, any class may be called the most probable."""
    return value[0], wrong[1]


def _gallery(draw: Draw, count: int, names: Sequence[str], template: str, dim: int, scale: float) -> tuple:
    return 3 * draw.normal(count, dim) + draw.normal(dim), tuple(names), template, draw.normal(64, dim), scale


def _sure_gallery(draw: Draw) -> tuple:
    """Four pictures, one of which fits its prompt so well that e^logit overflows at the published scale."""
    pictures, names, template, letters, scale = _gallery(
        draw, 4, ("cat", "dog", "Small boat", "car"), "{}, seen from above", 4, 100.0
    )
    pictures[1] = 2 * _letter_encoder(letters)([template.format(names[2])])[0]
    return pictures, names, template, letters, scale


zero_shot_by_letters = Check(
    name="zero_shot_by_letters",
    signature=("image_features", "class_names", "template", "letters", "logit_scale"),
    reference=_zero_shot_by_letters,
    holds="each picture asked which of the prompts it fits, by cosine",
    look='02_clip, exercise 3 "A classifier made of texts"',
    hint="prompts = [template.format(name) for name in class_names]; both features to length 1; (logit_scale * images @ texts.T).softmax(dim=1), and its argmax(dim=1).",
    cases=(
        Case("12 pictures, 3 classes", lambda draw: _gallery(draw, 12, ("circle", "star", "heart"), "a photo of a {}.", 6, 4.0)),
        Case("4 pictures, 4 classes, at scale 100", _sure_gallery),
    ),
    hidden_cases=(
        Case("1 picture, 2 classes", lambda draw: _gallery(draw, 1, ("day", "night"), "a street by {}", 8, 2.0)),
        Case("7 pictures, 5 classes", lambda draw: _gallery(draw, 7, ("red", "green", "blue", "pink", "grey"), "a {} thing", 5, 6.0)),
    ),
    not_a_number="Your probabilities are NaN or infinite: at a large scale exp(logit) overflows. softmax works at any size.",
    mistakes=(
        Mistake(
            _classifying(lambda names, template: list(names)),
            "The bare names are encoded. The network was trained on captions, not on single words: put each name into the template, template.format(name).",
        ),
        Mistake(
            _classifying(lambda names, template: [template] * len(names)),
            "All classes have the same text, so all are equally probable. template.format(name) puts each class's own name into the {}.",
            align=_any_class,
        ),
        Mistake(
            _classifying(lambda names, template: [template + name for name in names]),
            "The name stands behind the template, and the {} is still there: template.format(name) puts the name in its place.",
        ),
        Mistake(
            _classifying(lambda names, template: [f"{template} {name}" for name in names]),
            "The name stands behind the template, after a space, and the {} is still there: template.format(name) puts the name in its place.",
        ),
        Mistake(
            _classifying(lambda names, template: [template.format(name) for name in sorted(names)]),
            "The classes have been sorted: class i is class_names[i], in the order that was given.",
        ),
        Mistake(
            _classifying(lambda names, template: [template.format(index) for index in range(len(names))]),
            "The numbers of the classes are in the prompts, not their names.",
        ),
        Mistake(
            _classifying(texts=_raw),
            "The prompts' features are not normalised: a long one draws all pictures to it. Both need length 1.",
        ),
        Mistake(
            _classifying(images=_raw),
            "The pictures' features are not normalised. The most probable class stays the same, but how sure it is does not: both need length 1.",
        ),
        Mistake(
            _classifying(images=_raw, texts=_raw),
            "The features are not normalised: it is the cosine that was trained, so both need length 1.",
        ),
        Mistake(
            _classifying(texts=lambda v: F.normalize(v, dim=0)),
            "The prompts are normalised along the classes, dim=0: each *row*, one prompt, is to have length 1, dim=1.",
        ),
        Mistake(
            _classifying(images=lambda u: F.normalize(u, dim=0), texts=lambda v: F.normalize(v, dim=0)),
            "You normalise along the batch, dim=0: it is each *row* that is to have length 1, dim=1.",
        ),
        Mistake(
            _classifying(images=lambda u: u / u.norm(), texts=lambda v: v / v.norm()),
            "norm() without an axis is one length of the whole matrix: each row needs its own, norm(dim=1, keepdim=True).",
        ),
        Mistake(
            _classifying(scaled=lambda cosines, scale: cosines),
            "The scale is missing: without it the probabilities are nearly equal, however well a prompt fits.",
        ),
        Mistake(
            _classifying(scaled=lambda cosines, scale: cosines / scale),
            "You divide by the scale: it is one over the temperature, so multiply.",
        ),
        Mistake(
            _classifying(scaled=lambda cosines, scale: math.exp(scale) * cosines),
            "exp once too often: `logit_scale` is the scale itself, not its logarithm.",
            align=_any_class,
        ),
        Mistake(
            _classifying(scaled=lambda cosines, scale: math.log(scale) * cosines),
            "You took the logarithm of the scale: multiply by it as it is.",
        ),
        Mistake(
            _classifying(judge=lambda logits: logits.softmax(0)),
            "The softmax runs over the pictures, which so compete for a class: each picture chooses among the classes, dim=1.",
        ),
        Mistake(
            _classifying(judge=lambda logits: logits.softmax(0), answer=lambda p, logits: (p, p.argmax(1))),
            "The softmax runs over the pictures, and the classes are read off that: each picture chooses among the classes, dim=1.",
        ),
        Mistake(
            _classifying(answer=lambda p, logits: (p, logits.argmax(0))),
            "The argmax runs over the pictures: it names the best picture of each class. What is asked for is the best class of each picture, dim=1.",
            align=_any_class,
        ),
        Mistake(
            _classifying(judge=lambda logits: logits.softmax(0), answer=lambda p, logits: (p, p.argmax(0))),
            "Softmax and argmax run over the pictures: each picture chooses among the classes, dim=1.",
        ),
        Mistake(
            _classifying(answer=lambda p, logits: (p, logits.argmin(1))),
            "You choose the class that fits *least*.",
        ),
        Mistake(
            _classifying(answer=lambda p, logits: (p, p.amax(1))),
            "The second result is how probable the best class is: asked for is *which* it is, argmax.",
        ),
        Mistake(
            _classifying(answer=lambda p, logits: (p, logits.argmax())),
            "argmax without an axis is one place in the whole table: each picture has its own, dim=1.",
            align=_any_class,
        ),
        Mistake(
            _classifying(answer=lambda p, logits: (p, logits.argmax(1, keepdim=True))),
            "An axis of length 1 is left at the classes: (pictures,) is asked for.",
        ),
        Mistake(
            _classifying(answer=lambda p, logits: (p, F.one_hot(logits.argmax(1), logits.shape[1]))),
            "The classes are one-hot: their numbers are asked for, (pictures,).",
        ),
        Mistake(
            _named,
            "You return the *names* of the classes: asked for are their numbers, a tensor (pictures,), which can be compared with labels.",
        ),
        Mistake(
            _classifying(judge=_raw),
            "The first result holds logits: probabilities are asked for, so a softmax over the classes.",
        ),
        Mistake(
            _classifying(judge=lambda logits: logits.log_softmax(1)),
            "The first result holds log probabilities: take softmax in place of log_softmax.",
        ),
        Mistake(
            _classifying(judge=lambda logits: logits.sigmoid()),
            "A sigmoid judges each class alone: the picture chooses *one* of them, a softmax.",
        ),
        Mistake(
            _scaled_late,
            "The scale comes after the softmax: it belongs before it.",
        ),
        Mistake(
            _classifying(answer=lambda p, logits: (p.T, logits.argmax(1))),
            "The table is turned: a row for each picture, a column for each class.",
        ),
        Mistake(
            _classifying(answer=lambda p, logits: (logits.argmax(1), p)),
            "The two results are swapped: the probabilities come first.",
        ),
        Mistake(
            _classifying(answer=lambda p, logits: p),
            "You return the probabilities alone: the most probable class of each picture is asked for as well.",
        ),
        Mistake(
            _classifying(answer=lambda p, logits: logits.argmax(1)),
            "You return the classes alone: probabilities and classes are asked for.",
        ),
        Mistake(
            _classifying(_reread),
            "You typed a template of your own: the texts are made with the argument, template.format(name).",
        ),
        Mistake(
            _classifying(lambda names, template: [template.format(names)]),
            "All names are in one prompt: each class has its own, [template.format(name) for name in class_names].",
        ),
        Mistake(
            _classifying(images=lambda u: F.normalize(u, dim=0)),
            "The pictures are normalised along the batch, dim=0: each *row* is to have length 1, dim=1.",
        ),
        Mistake(
            _classifying(images=lambda u: u / u.norm()),
            "norm() without an axis is one length of all pictures: each row needs its own, norm(dim=1, keepdim=True).",
        ),
        Mistake(
            _classifying(texts=lambda v: v / v.norm()),
            "norm() without an axis is one length of all prompts: each row needs its own, norm(dim=1, keepdim=True).",
        ),
        Mistake(
            _classifying(judge=lambda logits: logits.softmax(1).softmax(1)),
            "A softmax too many: one over the classes gives the probabilities.",
        ),
        Mistake(
            _classifying(answer=lambda p, logits: (p, p.max(1))),
            "max(dim=1) gives two things, the largest values and their places: the places are asked for, argmax(dim=1).",
        ),
        Mistake(
            _classifying(answer=lambda p, logits: (p, logits.argmax(1).tolist())),
            "The classes are a list: a tensor (pictures,) is asked for, which can be compared with labels.",
        ),
    ),
)  # fmt: skip


# --- exercise 4: several prompts a class ------------------------------------------------------------------------------


def _class_embeddings(prompt_features: Tensor) -> Tensor:
    return zero_shot_weights(_unit(prompt_features))


def _ensemble(
    before: Change = _unit, joined: Change = lambda features: features.mean(1), after: Change = _unit
) -> Callable[[Tensor], Tensor]:
    """One vector a class: what is done to each prompt, how they are joined, what is done at the end."""
    return lambda prompt_features: after(joined(before(prompt_features)))


def _prompts(draw: Draw, classes: int, templates: int, dim: int) -> tuple[Tensor]:
    """Features of prompts, far apart in length; those of a class are alike, and all share a direction."""
    features = draw.normal(classes, 1, dim) + draw.normal(templates, dim) + draw.normal(dim)
    return (
        draw.uniform(classes, templates, 1, low=0.3, high=4.0)
        * (features + 0.5 * draw.normal(classes, templates, dim)),
    )


class_embeddings = Check(
    name="class_embeddings",
    signature=("prompt_features",),
    reference=_class_embeddings,
    holds="every prompt counts alike, and each class is a vector of length 1",
    look='02_clip, exercise 4 "Many prompts, one classifier"',
    hint="F.normalize(..., dim=-1), then the mean over the templates, dim=1, then F.normalize once more.",
    cases=(
        Case("3 classes, 5 templates", lambda draw: _prompts(draw, 3, 5, 6)),
        Case("4 classes, 4 templates of 4 numbers", lambda draw: _prompts(draw, 4, 4, 4)),
    ),
    hidden_cases=(
        Case("2 classes, 1 template", lambda draw: _prompts(draw, 2, 1, 5)),
        Case("6 classes, 2 templates", lambda draw: _prompts(draw, 6, 2, 8)),
        Case("1 class, 3 templates", lambda draw: _prompts(draw, 1, 3, 7)),
    ),
    gradients="required",
    differentiable=("prompt_features",),
    mistakes=(
        Mistake(
            _ensemble(before=_raw),
            "The prompts are not normalised each by itself before their mean: a long one would count for more than a short one. norm(dim=-1, keepdim=True), then the mean.",
        ),
        Mistake(
            _ensemble(after=_raw),
            "The mean is not normalised again. A mean of unit vectors is shorter than 1, the shorter, the more they differ, and its class would be chosen less often for that.",
        ),
        Mistake(
            _ensemble(before=_raw, after=_raw),
            "Nothing is normalised: every prompt needs length 1 before the mean, and the mean itself afterwards.",
        ),
        Mistake(
            _ensemble(before=lambda x: F.normalize(x, dim=1)),
            "F.normalize has dim=1 unless told otherwise, and here that is the axis of the *templates*. The numbers of a vector are the last axis, dim=-1.",
        ),
        Mistake(
            _ensemble(before=lambda x: F.normalize(x, dim=1), after=_raw),
            "F.normalize has dim=1 unless told otherwise, the axis of the *templates*; take dim=-1. And the mean is to be normalised again.",
        ),
        Mistake(
            _ensemble(before=lambda x: F.normalize(x, dim=0)),
            "The prompts are normalised along the classes, dim=0: the numbers of a vector are the last axis, dim=-1.",
        ),
        Mistake(
            _ensemble(after=lambda x: F.normalize(x, dim=0)),
            "The mean is normalised along the classes, dim=0: each *row* is to have length 1, dim=-1.",
        ),
        Mistake(
            _ensemble(after=lambda x: x / x.norm()),
            "The means are divided by one length of them all: each row needs its own, norm(dim=-1, keepdim=True).",
        ),
        Mistake(
            _ensemble(joined=lambda x: x.mean(0)),
            "You average over the classes: then each *template* has a vector. The templates are axis 1, and it is they that are averaged.",
        ),
        Mistake(
            _ensemble(before=_raw, joined=lambda x: x.mean(0)),
            "You average over the classes: the templates are axis 1. And every prompt is to be normalised before the mean.",
        ),
        Mistake(
            _ensemble(joined=lambda x: x.mean((0, 1), keepdim=True)[0].expand(len(x), -1)),
            "You average over classes and templates: all classes get the same vector.",
        ),
        Mistake(
            _ensemble(joined=lambda x: x.sum(1), after=_raw),
            "You add the prompts up and leave it at that: a class's vector is to have length 1, so normalise the sum (or the mean, which then is the same).",
        ),
        Mistake(
            _ensemble(joined=lambda x: x[:, 0]),
            "Only the first template is used: average over all of them.",
        ),
        Mistake(
            _ensemble(joined=lambda x: x[:, -1]),
            "Only the last template is used: does each one overwrite the one before? Average over all of them.",
        ),
        Mistake(
            _ensemble(joined=lambda x: x.amax(1)),
            "You take the largest of each number: it is the mean over the templates.",
        ),
        Mistake(
            _ensemble(joined=lambda x: x.median(1).values),
            "You take the median of each number: it is the mean over the templates.",
        ),
        Mistake(
            _ensemble(before=lambda x: x / x.square().sum(-1, keepdim=True)),
            "Each prompt is divided by its *squared* length, so that long ones count for less: take the root.",
        ),
        Mistake(
            _ensemble(after=lambda x: x / x.square().sum(-1, keepdim=True)),
            "The mean is divided by its *squared* length: take the root.",
        ),
        Mistake(
            _ensemble(after=lambda x: x.softmax(-1)),
            "A softmax at the end makes a distribution of the vector: it is to have length 1, F.normalize.",
        ),
        Mistake(
            _ensemble(joined=lambda x: x.mean(1) - x.mean((0, 1))),
            "You take away what all classes share. That may even help, but it is not asked for: the mean over the templates, normalised.",
        ),
        Mistake(
            _ensemble(joined=lambda x: x.reshape(x.shape[1], x.shape[0], -1).mean(0)),
            "A reshape to (templates, classes, dim) mixes the classes: in memory a class's templates lie side by side. mean(dim=1), or transpose(0, 1).",
        ),
        Mistake(
            _ensemble(joined=_raw),
            "The mean over the templates is missing: a class needs one vector, (classes, dim).",
        ),
        Mistake(
            _ensemble(joined=lambda x: x.mean(1, keepdim=True)),
            "An axis of length 1 is left, (classes, 1, dim): the mean over the templates takes it away, without keepdim.",
        ),
        Mistake(
            lambda x: (x * x.norm(dim=-1, keepdim=True).softmax(1)).sum(1),
            "Longer prompts count for more: every template counts alike, a plain mean of unit vectors.",
        ),
        Mistake(
            _ensemble(joined=lambda x: x.mean(1, keepdim=True), after=lambda x: F.normalize(x, dim=1)),
            "keepdim leaves an axis of length 1 at the mean, and it is along that axis that you normalise. Take the mean without it, then dim=-1.",
        ),
        Mistake(
            _ensemble(joined=lambda x: x.mean(2)),
            "You average over the numbers of each vector, axis 2: the templates are axis 1.",
        ),
    ),
)  # fmt: skip


# --- exercise 5: a linear probe ---------------------------------------------------------------------------------------

Objective = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]


def _regression(logits: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, l2: float) -> Tensor:
    return F.cross_entropy(logits, labels) + l2 / 2 * weight.square().sum()


def _shrunk_by(penalty: Callable[[Tensor, Tensor, float], Tensor]) -> Objective:
    """The objective with another penalty, a function of weight, bias and l2."""
    return lambda logits, labels, weight, bias, l2: F.cross_entropy(logits, labels) + penalty(weight, bias, l2)


@torch.enable_grad()
def _fitted(
    features: Tensor, labels: Tensor, num_classes: int, l2: float, objective: Objective, with_bias: bool, steps: int
) -> tuple[Tensor, Tensor]:
    """Weight (classes, dim) and bias (classes,) at the least of the objective."""
    features = features.detach().double()
    weight = torch.zeros(num_classes, features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(num_classes, dtype=torch.float64, requires_grad=with_bias)
    optimizer = torch.optim.LBFGS(
        [weight, bias] if with_bias else [weight], max_iter=steps, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = objective(features @ weight.T + bias, labels, weight, bias, l2)
        value.backward()
        return value

    if steps:
        optimizer.step(loss)
    return weight.detach(), bias.detach()


def _judged(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities and the share of pictures that are right."""
    return logits.softmax(1).float(), (logits.argmax(1) == labels).float().mean()


Four = tuple[Tensor, Tensor, Tensor, Tensor]


def _probing(
    objective: Objective = _regression,
    data: Callable[..., Four] = lambda *given: given,
    judged: Callable[[Tensor, Tensor], tuple] = _judged,
    with_bias: bool = True,
    steps: int = 100,
) -> Callable[..., tuple[Tensor, Tensor]]:
    """A linear probe with one of its parts exchanged; `data` makes others of (features, labels, test_features, test_labels)."""

    def linear_probe(
        features: Tensor, labels: Tensor, test_features: Tensor, test_labels: Tensor, num_classes: int, l2: float
    ) -> tuple[Tensor, Tensor]:
        features, labels, test_features, test_labels = data(features, labels, test_features, test_labels)
        weight, bias = _fitted(features, labels, num_classes, l2, objective, with_bias, steps)
        return judged(test_features.double() @ weight.T + bias, test_labels)

    return linear_probe


def _standardised(features: Tensor, by: Tensor) -> Tensor:
    return (features - by.mean(0)) / by.std(0)


def _labelled(draw: Draw, count: int, tests: int, dim: int, classes: int, l2: float) -> tuple:
    """Features of classes that overlap so much that even without a penalty there is one best fit; away from 0, of several widths.

    Three classes or more: for two, libraries fit one vector, their difference, and shrink that by other numbers.
    """
    centres, shift, widths = (
        0.7 * draw.normal(classes, dim),
        1.5 * draw.normal(dim),
        draw.uniform(dim, low=0.4, high=1.6),
    )
    labels = torch.cat([torch.arange(classes).repeat(3), draw.integers(classes - 1, count - 3 * classes)])
    test_labels = draw.integers(classes, tests)
    features, test_features = (
        shift + widths * (centres[which] + draw.normal(len(which), dim)) for which in (labels, test_labels)
    )
    # what looks like one class and is called the next
    features[classes : 2 * classes] = features[:classes].roll(1, 0)
    return features, labels, test_features, test_labels, classes, l2


_PRESENT = torch.tensor([0, 1, 3])


def _with_absent_classes(draw: Draw) -> tuple:
    """Of five classes two have no picture: the last, and one between."""
    features, labels, test_features, test_labels, _, l2 = _labelled(draw, 50, 12, 2, 3, 0.3)
    return features, _PRESENT[labels], test_features, _PRESENT[test_labels], 5, l2


def _but_for_absent_classes(value: tuple, wrong: tuple) -> tuple:
    """The logit of a class without a picture falls without end, so it may end anywhere: results count as equal that agree about the others."""
    p, q = (v if (v.sum(1) - 1).abs().max() < 1e-3 else v.softmax(1) for v in (value[0].data, wrong[0].data))
    if q.shape[1] != 5:
        return value
    p, q = (v[:, _PRESENT] / v[:, _PRESENT].sum(1, keepdim=True) for v in (p, q))
    return (wrong[0], value[1]) if torch.allclose(p, q, atol=5e-3) else value


def _bias_left_out(features: Tensor, labels: Tensor, test_features: Tensor, test_labels: Tensor, num_classes: int, l2: float) -> tuple:  # fmt: skip
    weight, _ = _fitted(features, labels, num_classes, l2, _regression, True, 100)
    return _judged(test_features.double() @ weight.T, test_labels)


def _stepping(with_what: Any) -> None:
    torch.optim.LBFGS([torch.zeros(1, requires_grad=True)]).step(with_what)


linear_probe = Check(
    name="linear_probe",
    signature=("features", "labels", "test_features", "test_labels", "num_classes", "l2"),
    reference=_probing(),
    holds="fitted on the training pictures, judged on the others, shrunk just so much",
    look='02_clip, exercise 5 "A linear probe"',
    hint="Does the loss stand still at the end? If not, take more steps. Else compare: weight (classes, dim) and bias (classes,), from zero; loss = F.cross_entropy(features @ weight.T + bias, labels) + l2 / 2 * weight.square().sum(); LBFGS until it stands still (max_iter=100, line_search_fn='strong_wolfe'); then test_features.",
    cases=(
        Case("45 pictures of 3 numbers, 3 classes", lambda draw: _labelled(draw, 45, 15, 3, 3, 0.1)),
        Case("50 pictures of 2 numbers, 5 classes, of two of them no picture", _with_absent_classes),
    ),
    hidden_cases=(Case("60 pictures of 4 numbers, 4 classes", lambda draw: _labelled(draw, 60, 10, 4, 4, 0.2)),),
    relative=5e-3,  # so that any optimiser is near enough to the one least value
    absolute=4e-3,
    mistakes=(
        Mistake(
            _probing(data=lambda x, y, tx, ty: (tx, ty, tx, ty)),
            "You fitted the *test* pictures, with their labels. A probe is fitted on `features` and `labels` alone; test labels may only be compared with.",
        ),
        Mistake(
            _probing(data=lambda x, y, tx, ty: (torch.cat([x, tx]), torch.cat([y, ty]), tx, ty)),
            "The test pictures and their labels are among what you fitted: it is `features` and `labels` alone that teach.",
        ),
        Mistake(
            _probing(data=lambda x, y, tx, ty: (x, y, x, y)),
            "You judge the training pictures: the probabilities and the accuracy are those of the *test* pictures.",
        ),
        Mistake(
            lambda x, y, tx, ty, n, l2: (_probing()(x, y, tx, ty, n, l2)[0], _probing()(x, y, x, y, n, l2)[1]),
            "The probabilities are right, but the accuracy is that of the training pictures: compare the test pictures' classes with test_labels.",
        ),
        Mistake(
            _probing(with_bias=False),
            "There is no bias: features lie anywhere, and without one every boundary would have to go through 0.",
        ),
        Mistake(
            _probing(_shrunk_by(lambda w, b, l2: l2 / 2 * (w.square().sum() + b.square().sum()))),
            "The bias is shrunk as well: only the weight is. (An optimiser's weight_decay takes all that it is given.) A bias says how frequent a class is, and may be as large as it likes.",
        ),
        Mistake(
            _probing(data=lambda x, y, tx, ty: (_unit(x), y, _unit(tx), ty)),
            "You normalise the features: they are taken as they are given.",
        ),
        Mistake(
            _probing(data=lambda x, y, tx, ty: (_unit(x), y, tx, ty)),
            "You fit normalised features and judge others: they are taken as they are given, in both places.",
        ),
        Mistake(
            _probing(data=lambda x, y, tx, ty: (_standardised(x, x), y, _standardised(tx, x), ty)),
            "You standardise the features. That changes what the penalty costs: they are taken as they are given.",
        ),
        Mistake(
            _probing(data=lambda x, y, tx, ty: (_standardised(x, x), y, _standardised(tx, tx), ty)),
            "You standardise the features, the test pictures by statistics of their own: they are taken as they are given.",
        ),
        Mistake(
            _probing(_shrunk_by(lambda w, b, l2: torch.zeros(()))),
            "The penalty is missing, or always 0 like the square of the *sum*: add l2 / 2 times the sum of the squares, weight.square().sum(), or with few pictures the weight grows until each of them is certain.",
            align=_but_for_absent_classes,
        ),
        Mistake(
            _probing(_shrunk_by(lambda w, b, l2: l2 * w.square().sum())),
            "The penalty is twice too large: it is l2 / 2 times the sum of squares.",
        ),
        Mistake(
            _probing(_shrunk_by(lambda w, b, l2: l2 * (w.square().sum() + b.square().sum()))),
            "The penalty is twice too large, and shrinks the bias as well: l2 / 2 times the sum of the *weight's* squares.",
        ),
        Mistake(
            _probing(_shrunk_by(lambda w, b, l2: l2 / 2 * w.square().mean())),
            "You average the squares of the weight: it is their sum.",
        ),
        Mistake(
            _probing(_shrunk_by(lambda w, b, l2: l2 * w.square().mean())),
            "You average the squares of the weight: the penalty is l2 / 2 times their sum.",
        ),
        Mistake(
            _probing(_shrunk_by(lambda w, b, l2: l2 / 2 * (w.square().sum() + 1e-12).sqrt())),
            "The penalty is the length of the weight: it is the *squared* length, the sum of squares.",
        ),
        Mistake(
            _probing(lambda z, y, w, b, l2: F.cross_entropy(z, y, reduction="sum") + l2 / 2 * w.square().sum()),
            "The cross-entropy is a sum over the pictures, or the penalty is divided by their number: it is the *mean* cross-entropy, and the whole penalty. (In scikit-learn that is C = 1 / (l2 * number of pictures).)",
        ),
        Mistake(
            _probing(lambda z, y, w, b, l2: F.mse_loss(z, F.one_hot(y, z.shape[1]).double()) + l2 / 2 * w.square().sum()),
            "You fit a line to one-hot labels by squared error: logistic regression takes the cross-entropy of the logits.",
        ),
        Mistake(
            _probing(
                lambda z, y, w, b, l2: F.binary_cross_entropy_with_logits(z, F.one_hot(y, z.shape[1]).double(), reduction="none").sum(1).mean()
                + l2 / 2 * w.square().sum()
            ),
            "You ask yes or no for each class alone: a picture has *one* class, so it is one softmax over all of them, F.cross_entropy.",
        ),
        Mistake(
            _probing(steps=0),
            "Nothing has been learned: weight and bias are still those of the start. Does optimizer.step() get a function that computes the loss *and* calls backward()?",
        ),
        Mistake(
            _probing(judged=lambda z, y: (z.float(), _judged(z, y)[1])),
            "The first result holds logits: probabilities are asked for, so a softmax over the classes.",
            align=_but_for_absent_classes,
        ),
        Mistake(
            _probing(judged=lambda z, y: (z.log_softmax(1).float(), _judged(z, y)[1])),
            "The first result holds log probabilities: take softmax in place of log_softmax.",
            align=_but_for_absent_classes,
        ),
        Mistake(
            _probing(judged=lambda z, y: (z.softmax(0).float(), _judged(z, y)[1])),
            "The softmax of the probabilities runs over the pictures: each picture chooses among the classes, dim=1.",
        ),
        Mistake(
            _probing(judged=lambda z, y: (z.sigmoid().float(), _judged(z, y)[1])),
            "A sigmoid judges each class alone: the probabilities are a softmax over the classes.",
        ),
        Mistake(
            _probing(judged=lambda z, y: (_judged(z, y)[0], 100 * _judged(z, y)[1])),
            "The accuracy is in percent: a share is asked for, from 0 to 1.",
        ),
        Mistake(
            _probing(judged=lambda z, y: (_judged(z, y)[0], 1 - _judged(z, y)[1])),
            "The second result is the share of errors: asked for is what is right.",
        ),
        Mistake(
            _probing(judged=lambda z, y: (_judged(z, y)[0], (z.argmax(1) == y).sum())),
            "The second result is a number of pictures: divide by how many there are, .float().mean().",
        ),
        Mistake(
            _probing(judged=lambda z, y: (_judged(z, y)[0], z.softmax(1)[torch.arange(len(y)), y].mean().float())),
            "The second result is the mean probability of the right class: the accuracy counts how often it is the most probable.",
        ),
        Mistake(
            _probing(judged=lambda z, y: _judged(z, y)[0]),
            "You return the probabilities alone: the accuracy is asked for as well.",
        ),
        Mistake(
            _probing(judged=lambda z, y: _judged(z, y)[1]),
            "You return the accuracy alone: probabilities and accuracy are asked for.",
        ),
        Mistake(
            _probing(judged=lambda z, y: _judged(z, y)[::-1]),
            "The two results are swapped: the probabilities come first.",
        ),
        Mistake(
            lambda x, y, tx, ty, n, l2: _probing()(x, y, tx, ty, int(y.max()) + 1, l2),
            "You count the classes by their labels: there may be classes without a picture, so make weight and bias for num_classes.",
        ),
        Mistake(
            lambda x, y, tx, ty, n, l2: _probing()(x, y, tx, ty, len(y.unique()), l2),
            "You count the classes that occur: there may be classes without a picture, so make weight and bias for num_classes.",
        ),
        Mistake(
            _probing(lambda z, y, w, b, l2: F.cross_entropy(z.softmax(1), y) + l2 / 2 * w.square().sum()),
            "A softmax too many: F.cross_entropy takes logits and does it itself.",
        ),
        Mistake(
            _probing(lambda z, y, w, b, l2: F.nll_loss(z.softmax(1), y) + l2 / 2 * w.square().sum()),
            "F.nll_loss takes *log* probabilities: log_softmax, or F.cross_entropy of the logits.",
        ),
        Mistake(
            _probing(_shrunk_by(lambda w, b, l2: l2 / 2 * b.square().sum())),
            "The bias is shrunk in place of the weight.",
        ),
        Mistake(
            _probing(data=lambda x, y, tx, ty: (x, y, _unit(tx), ty)),
            "You judge normalised features and fit others: they are taken as they are given, in both places.",
        ),
        Mistake(
            _bias_left_out,
            "The bias is left out where you judge: test_features @ weight.T + bias.",
        ),
        Mistake(
            _probing(judged=lambda z, y: (z.softmax(0).float(), (z.softmax(0).argmax(1) == y).float().mean())),
            "The softmax runs over the pictures, and the classes are read off that: each picture chooses among the classes, dim=1.",
        ),
        Mistake(
            lambda *given: _stepping(lambda: None),
            "Your closure returns nothing: L-BFGS needs the loss, so end it with `return loss`.",
        ),
        Mistake(
            lambda *given: _stepping(torch.zeros(())),
            "You call a tensor as if it were a function. optimizer.step wants the closure itself: step(closure), without the second pair of brackets.",
        ),
    ),
)  # fmt: skip
