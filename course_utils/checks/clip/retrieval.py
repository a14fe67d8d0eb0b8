"""Checks of notebook clip/retrieval."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import metrics
from course_utils.checks.engine import Case, Check, Draw, Mistake
from course_utils.clip.retrieval import ProductQuantizer, search

__all__ = ["cosine_search", "kmeans", "pq_distances", "pq_encode", "recall_at_k", "search_lists"]


def _unit(features: Tensor) -> Tensor:
    return F.normalize(features, dim=-1)


def _raw(features: Tensor) -> Tensor:
    return features


def _squared_distances(vectors: Tensor, others: Tensor) -> Tensor:
    """(..., n, dim) and (..., m, dim) to (..., n, m)."""
    return (vectors.unsqueeze(-2) - others.unsqueeze(-3)).square().sum(-1)


Change = Callable[[Tensor], Tensor]
Two = tuple[Tensor, Tensor]


# --- exercise 1: cosine search ----------------------------------------------------------------------------------------


def _cosine_search(queries: Tensor, gallery: Tensor, k: int) -> Two:
    return tuple(search(_unit(queries), _unit(gallery), k))


def _cosines(queries: Tensor, gallery: Tensor) -> Tensor:
    return _unit(queries) @ _unit(gallery).T


def _searching(
    similarities: Callable[[Tensor, Tensor], Tensor] = _cosines,
    chosen: Callable[[Tensor, int], tuple] = lambda table, k: tuple(table.topk(k)),
) -> Callable[..., tuple]:
    """A search with another measure, or that takes others of the table (queries, gallery) and k."""
    return lambda queries, gallery, k: chosen(similarities(queries, gallery), k)


def _places_in_row(table: Tensor, k: int) -> Two:
    order = table.argsort(1, descending=True).argsort(1)
    return table[:, :k], order[:, :k]


def _with_scores(scores: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., tuple]:
    """The right indices with other scores, a function of (queries, gallery, indices)."""

    def found(queries: Tensor, gallery: Tensor, k: int) -> Two:
        indices = _cosine_search(queries, gallery, k)[1]
        return scores(queries, gallery, indices), indices

    return found


def _two_sets(draw: Draw, queries: int, gallery: int, dim: int, k: int) -> tuple:
    """Vectors whose lengths differ a good deal, about a common mean."""
    shift = 0.3 * draw.normal(dim)
    return *(
        draw.uniform(count, 1, low=0.3, high=4.0) * (shift + draw.normal(count, dim)) for count in (queries, gallery)
    ), k


cosine_search = Check(
    name="cosine_search",
    signature=("queries", "gallery", "k"),
    reference=_cosine_search,
    holds="every query against every vector in one product, the best first",
    look='03_retrieval, exercise 1 "Search is a matrix product"',
    hint="Both to length 1 along dim=1; queries @ gallery.T is (queries, gallery); its topk(k) gives values and indices, the largest first.",
    cases=(
        Case("3 queries, 7 vectors of 4 numbers, k = 2", lambda draw: _two_sets(draw, 3, 7, 4, 2)),
        Case("6 queries, 6 vectors of 6 numbers, k = 4", lambda draw: _two_sets(draw, 6, 6, 6, 4)),
    ),
    hidden_cases=(
        Case("1 query, 20 vectors, k = 1", lambda draw: _two_sets(draw, 1, 20, 5, 1)),
        Case("6 queries, 5 vectors, all of them", lambda draw: _two_sets(draw, 6, 5, 8, 5)),
    ),
    mistakes=(
        Mistake(
            _searching(lambda q, g: q @ g.T),
            "Nothing is normalised, so long vectors are found by every query. A cosine is the inner product of vectors of length 1: F.normalize(x, dim=1) for both.",
        ),
        Mistake(
            _searching(lambda q, g: _unit(q) @ g.T),
            "The gallery is not normalised: its long vectors are found by every query.",
        ),
        Mistake(
            _searching(lambda q, g: q @ _unit(g).T),
            "The queries are not normalised. The order is right for all that, but the scores are no cosines: they could not be compared between queries.",
        ),
        Mistake(
            _searching(lambda q, g: F.normalize(q, dim=0) @ F.normalize(g, dim=0).T),
            "You normalise along the vectors, dim=0: it is each *row* that is to have length 1, dim=1.",
        ),
        Mistake(
            _searching(lambda q, g: (q / q.norm()) @ (g / g.norm()).T),
            "norm() without an axis is one length of the whole matrix: each row needs its own, norm(dim=1, keepdim=True).",
        ),
        Mistake(
            _searching(lambda q, g: (q / q.square().sum(1, keepdim=True)) @ (g / g.square().sum(1, keepdim=True)).T),
            "You divide by the *squared* length: take its root.",
        ),
        Mistake(
            _searching(chosen=lambda table, k: tuple(table.topk(k, largest=False))),
            "You take the *smallest* cosines: these are the vectors that fit least. A cosine is a similarity, so the largest come first.",
        ),
        Mistake(
            _searching(chosen=lambda table, k: tuple(x.flip(1) for x in table.topk(k))),
            "The right ones, but in rising order: the best comes first.",
        ),
        Mistake(
            _searching(torch.cdist, lambda table, k: tuple(table.topk(k, largest=False))),
            "You search by Euclidean distance, with long vectors far from everything: asked for are cosines, the largest first.",
        ),
        Mistake(
            _searching(lambda q, g: torch.cdist(_unit(q), _unit(g)), lambda table, k: tuple(table.topk(k, largest=False))),
            "These are the distances of unit vectors: the order is the same, but the scores asked for are the cosines.",
        ),
        Mistake(
            _searching(lambda q, g: 1 - _cosines(q, g), lambda table, k: tuple(table.topk(k, largest=False))),
            "These are cosine *distances*, 1 minus the cosine: the order is the same, but the scores asked for are the cosines.",
        ),
        Mistake(
            _searching(chosen=lambda table, k: tuple(x.T for x in table.topk(k, dim=0))),
            "The vectors search among the queries: the product is the wrong way round, or topk runs along the wrong axis. A row of queries @ gallery.T belongs to a query.",
        ),
        Mistake(
            _searching(chosen=lambda table, k: tuple(table.topk(k, dim=0))),
            "topk runs over the queries, dim=0: each query searches the gallery, a row of queries @ gallery.T, dim=1.",
        ),
        Mistake(
            _searching(lambda q, g: _cosines(q, g).abs()),
            "You take absolute values: a vector that points the other way is not similar at all.",
        ),
        Mistake(
            _searching(lambda q, g: _cosines(q, g).square()),
            "You square the cosines: the order changes, as -0.9 becomes larger than 0.8.",
        ),
        Mistake(
            _searching(lambda q, g: _cosines(q, g).softmax(1)),
            "The scores are a softmax over the gallery: they would change with every vector that is added. Asked for are the cosines.",
        ),
        Mistake(
            _searching(chosen=lambda table, k: tuple(table.topk(k + 1))),
            "One too many: k results a query.",
        ),
        Mistake(
            _searching(chosen=lambda table, k: tuple(x[:, 1:] for x in table.topk(k + 1))),
            "You leave the best one out. That is right where the query is itself in the gallery; here it is not.",
        ),
        Mistake(
            _searching(chosen=lambda table, k: tuple(table.topk(1))),
            "k has no effect, you return the best only: k results a query.",
        ),
        Mistake(
            _searching(chosen=lambda table, k: tuple(table.sort(1, descending=True))),
            "You return the whole gallery, sorted: the k best are asked for.",
        ),
        Mistake(
            _searching(chosen=lambda table, k: tuple(table.topk(k))[::-1]),
            "The two results are swapped: the scores come first.",
        ),
        Mistake(
            _searching(chosen=lambda table, k: table.topk(k).indices),
            "You return the indices alone: scores and indices are asked for.",
        ),
        Mistake(
            _searching(chosen=lambda table, k: table.topk(k).values),
            "You return the scores alone: scores and indices are asked for.",
        ),
        Mistake(
            _searching(chosen=_places_in_row),
            "argsort of argsort gives each vector's *rank*: what is asked for is which vector stands at rank 0, 1, ..., so argsort once.",
        ),
        Mistake(
            _searching(chosen=lambda table, k: (table.argsort(1, descending=True)[:, :k].float(), table.argsort(1, descending=True)[:, :k])),
            "The first result holds indices too: asked for are the cosines at these places.",
        ),
        Mistake(
            lambda q, g, k: tuple(_cosines(q, g).flatten().topk(k)),
            "You take the k best of the whole table: each query has k of its own.",
        ),
        Mistake(
            _with_scores(lambda q, g, indices: (q @ g.T).gather(1, indices)),
            "The right ones, but the scores are inner products of the vectors as they came: asked for are the cosines.",
        ),
        Mistake(
            _with_scores(lambda q, g, indices: _cosines(q, g)[:, : indices.shape[1]]),
            "The indices are right, but the scores are those of the first k vectors: gather(1, indices) picks those of the best.",
        ),
        Mistake(
            _searching(lambda q, g: _unit(q) @ F.normalize(g, dim=0).T),
            "The gallery is normalised along dim=0: each *row* is to have length 1, dim=1.",
        ),
    ),
)  # fmt: skip


# --- exercise 2: recall@k ---------------------------------------------------------------------------------------------


def _top(table: Tensor, k: int) -> Tensor:
    return table.topk(k).indices


def _recall_at_k(similarities: Tensor, matches: Tensor, k: int) -> Tensor:
    return torch.tensor(metrics.recall_at_k(metrics.ranks(similarities, matches), k))


def _measuring(
    hits: Callable[[Tensor, Tensor, int], Tensor] = lambda table, right, k: right.gather(1, _top(table, k)),
    judged: Change = lambda hits: hits.any(1).float().mean(),
) -> Callable[..., Tensor]:
    """A recall of other hits, a function of (similarities, matches, k), or of these judged in another way."""
    return lambda similarities, matches, k: judged(hits(similarities, matches, k))


def _first_rank(table: Tensor, right: Tensor) -> Tensor:
    """Rank of the best right one, the best of all having rank 1, (queries,)."""
    return 1 + (table > table.masked_fill(~right, -math.inf).amax(1, keepdim=True)).sum(1)


def _by_rank(judged: Callable[[Tensor, int], Tensor]) -> Callable[..., Tensor]:
    return lambda similarities, matches, k: judged(_first_rank(similarities, matches), k)


def _table(draw: Draw, queries: int, gallery: int, k: int) -> tuple:
    """Similarities that find the right ones often but not always, of some queries all negative; each query has about three right ones."""
    right = draw.uniform(queries, gallery) < 2 / gallery
    right[torch.arange(queries), draw.integers(gallery, queries)] = True
    return draw.normal(queries, gallery) + 0.9 * right + 3 * draw.normal(queries, 1), right, k


recall_at_k = Check(
    name="recall_at_k",
    signature=("similarities", "matches", "k"),
    reference=_recall_at_k,
    holds="the share of queries with something right among the first k",
    look='03_retrieval, exercise 2 "Recall at k"',
    hint="similarities.topk(k).indices are (queries, k); matches.gather(1, indices) says which of these are right; any(dim=1), and the mean of that as float.",
    cases=(
        Case("6 queries, 24 vectors, k = 6", lambda draw: _table(draw, 6, 24, 6)),
        Case("19 queries, 30 vectors, k = 3", lambda draw: _table(draw, 19, 30, 3)),
        Case("17 queries, 40 vectors, k = 1", lambda draw: _table(draw, 17, 40, 1)),
    ),
    hidden_cases=(
        Case("12 queries, 30 vectors, k = 10", lambda draw: _table(draw, 12, 30, 10)),
        Case("23 queries, 8 vectors, k = 3", lambda draw: _table(draw, 23, 8, 3)),
    ),
    absolute=1e-6,
    mistakes=(
        Mistake(
            _measuring(judged=lambda hits: hits.float().mean()),
            "That is *precision*: the share of results that are right. Recall@k, as retrieval papers mean it, asks of each query whether anything right is among its k results: any(dim=1) before the mean.",
        ),
        Mistake(
            lambda s, m, k: (m.gather(1, _top(s, k)).sum(1) / m.sum(1)).mean(),
            "You count how many of a query's right ones are found. Elsewhere this is what recall means; in papers on pictures and texts recall@k counts a query as found if *one* of them is.",
        ),
        Mistake(
            _measuring(judged=lambda hits: hits.sum(1).float().mean()),
            "You count the right ones among the k, so a query with two of them counts twice: it is found or not, any(dim=1).",
        ),
        Mistake(
            _measuring(judged=lambda hits: hits.all(1).float().mean()),
            "You ask that *all* k results are right: one is enough, any(dim=1).",
        ),
        Mistake(
            _measuring(lambda s, m, k: torch.eye(*m.shape, dtype=torch.bool).gather(1, _top(s, k))),
            "You take vector i for the only right one of query i. Here `matches` says what is right: texts may be true of several pictures, and the gallery may have another order.",
        ),
        Mistake(
            _measuring(lambda s, m, k: F.one_hot(m.int().argmax(1), m.shape[1]).bool().gather(1, _top(s, k))),
            "Only the *first* right one of each query counts with you: whichever is found, any of `matches` will do.",
        ),
        Mistake(
            _measuring(lambda s, m, k: m.T.gather(1, _top(s.T, k))),
            "You search the other way, from the gallery to the queries: each *row* of `similarities` is a query, topk over dim=1.",
        ),
        Mistake(
            _measuring(lambda s, m, k: m.gather(1, s.topk(k, largest=False).indices)),
            "You look at the k *smallest* similarities.",
        ),
        Mistake(
            _measuring(lambda s, m, k: m.gather(1, _top(s, k + 1))),
            "You look at one result too many: ranks 0 to k - 1 are the first k (or, if the best has rank 1: rank <= k).",
        ),
        Mistake(
            _by_rank(lambda rank, k: (rank < k).float().mean()),
            "You look at one result too few: with the best at rank 1 it is rank <= k.",
        ),
        Mistake(
            _measuring(lambda s, m, k: m.gather(1, _top(s, 1))),
            "k has no effect, you look at the best result only: the first k count.",
        ),
        Mistake(
            _measuring(lambda s, m, k: m.gather(1, _top(s, k)[:, -1:])),
            "You look at the result at place k alone: all places up to k count.",
        ),
        Mistake(
            _measuring(lambda s, m, k: m[:, :k]),
            "You look at the first k vectors of the gallery, whatever their similarity: topk finds which k come first.",
        ),
        Mistake(
            _measuring(judged=lambda hits: hits.any(1).float().sum()),
            "You return the number of queries that are found: their share is asked for, the mean.",
        ),
        Mistake(
            _measuring(judged=lambda hits: 100 * hits.any(1).float().mean()),
            "That is in percent: a share is asked for, from 0 to 1.",
        ),
        Mistake(
            _measuring(judged=lambda hits: 1 - hits.any(1).float().mean()),
            "That is the share of queries that are *not* found.",
        ),
        Mistake(
            _measuring(judged=lambda hits: hits.any(0).float().mean()),
            "any runs over the queries: it asks of each *place* whether anybody has something right there. Over the k results, dim=1.",
        ),
        Mistake(
            _measuring(judged=lambda hits: hits.any().float()),
            "You get 1 in every case: any() without an axis asks whether anything at all has been found, any(dim=1) asks each query.",
        ),
        Mistake(
            _measuring(judged=lambda hits: hits.any(1).float().sum() / hits.numel()),
            "You divide by queries times k: by the number of queries.",
        ),
        Mistake(
            _measuring(judged=lambda hits: hits.any(1)),
            "You return whether each query is found: the mean over the queries is asked for.",
        ),
        Mistake(
            _measuring(judged=lambda hits: hits.any(1).float()),
            "You return a number for each query: the mean over the queries is asked for.",
        ),
        Mistake(
            _by_rank(lambda rank, k: (1 / rank).mean()),
            "That is the mean reciprocal rank, another measure: recall@k only asks whether the rank is at most k.",
        ),
        Mistake(
            _by_rank(lambda rank, k: rank.float().median()),
            "That is the median rank, another measure: recall@k asks how many ranks are at most k.",
        ),
        Mistake(
            lambda s, m, k: (1 + (s > s.masked_fill(~m, math.inf).amin(1, keepdim=True)).sum(1) <= k).float().mean(),
            "You take the *worst* of a query's right ones: the best of them decides.",
        ),
        Mistake(
            lambda s, m, k: ((s > (s * m).amax(1, keepdim=True)).sum(1) < k).float().mean(),
            "similarities * matches leaves a 0 for each wrong one, and 0 beats a right one whose similarity is negative: masked_fill(~matches, -math.inf).",
        ),
        Mistake(
            _measuring(lambda s, m, k: (s * m).gather(1, _top(s, k)), lambda hits: (hits.sum(1) > 0).float().mean()),
            "A right answer with a negative similarity does not count with you: whether it is right is told by `matches` alone.",
        ),
        Mistake(
            _measuring(lambda s, m, k: s.topk(k).values > 0),
            "You ask whether the similarities are positive: whether a result is right is told by `matches`.",
        ),
        Mistake(
            lambda s, m, k: m[:, _top(s, k)].any(2).float().mean(),
            "matches[:, indices] looks each query up with the results of *all* queries: matches.gather(1, indices) takes its own.",
        ),
        Mistake(
            lambda s, m, k: (m.gather(1, _top(s, k)).sum(1) / m.sum(1).clamp(max=k)).mean(),
            "You divide by how many right ones could be found: a query counts as found, fully, if *one* of them is.",
        ),
        Mistake(
            _measuring(judged=lambda hits: (hits.sum(1) == 1).float().mean()),
            "A query with two right ones among its k counts as not found: at least one, any(dim=1).",
        ),
        Mistake(
            lambda s, m, k: m.gather(1, _top(s, k)).any(1).float().sum() / m.shape[1],
            "You divide by the size of the gallery: by the number of queries.",
        ),
        Mistake(
            _measuring(lambda s, m, k: m.gather(1, _top(s.abs(), k))),
            "You take absolute values: a negative similarity is a small one.",
        ),
        Mistake(
            _measuring(lambda s, m, k: m.gather(1, _top(s, min(10, s.shape[1])))),
            "k has no effect, ten results count: the first k.",
        ),
        Mistake(
            lambda s, m, k: m[:, _top(s, k).unique()].any(1).float().mean(),
            "What is found by *any* query counts for all of them: matches.gather(1, indices) takes each query's own.",
        ),
    ),
)  # fmt: skip


# --- exercise 3: k-means ----------------------------------------------------------------------------------------------

Move = Callable[[Tensor, Tensor, Tensor], Tensor]
Assign = Callable[[Tensor, Tensor], Tensor]


def _nearest(vectors: Tensor, centroids: Tensor) -> Tensor:
    return _squared_distances(vectors, centroids).argmin(1)


def _moved(means: Move) -> Move:
    """Centroids that move to what `means` makes of (members, counts, old centroids); members is (lists, vectors) of 0 and 1."""

    def move(vectors: Tensor, centroids: Tensor, nearest: Tensor) -> Tensor:
        members = F.one_hot(nearest, len(centroids)).T.to(vectors.dtype)  # (lists, n)
        counts = members.sum(1, keepdim=True)
        return torch.where(counts > 0, means(members @ vectors, counts, centroids), centroids)

    return move


_to_means = _moved(lambda sums, counts, old: sums / counts)


def _grouping(
    assign: Assign = _nearest,
    move: Move = _to_means,
    end: Callable[[Tensor, Tensor, Tensor], tuple] = lambda vectors, centroids, nearest: (centroids, nearest),
    steps: Callable[[int], int] = lambda iterations: iterations,
    at_last: bool = True,
) -> Callable[..., tuple]:
    """k-means with one of its parts exchanged.

    Args:
        at_last: whether the vectors are given to their lists once more, after the last move.
    """

    def kmeans(vectors: Tensor, centroids: Tensor, iterations: int) -> tuple:
        nearest = assign(vectors, centroids)
        for _ in range(steps(iterations)):
            nearest = assign(vectors, centroids)
            centroids = move(vectors, centroids, nearest)
        return end(vectors, centroids, assign(vectors, centroids) if at_last else nearest)

    return kmeans


def _empty_as(value: float) -> Move:
    """Means in which a list without vectors gets `value`."""

    def move(vectors: Tensor, centroids: Tensor, nearest: Tensor) -> Tensor:
        empty = torch.bincount(nearest, minlength=len(centroids))[:, None] == 0
        return torch.where(empty, torch.full_like(centroids, value), _to_means(vectors, centroids, nearest))

    return move


def _medians(vectors: Tensor, centroids: Tensor, nearest: Tensor) -> Tensor:
    members = F.one_hot(nearest, len(centroids)).T[..., None] > 0  # (lists, n, 1)
    middle = torch.where(members, vectors, torch.full_like(vectors, math.nan)).nanmedian(1).values
    return torch.where(members.any(1), middle, centroids)


def _medoids(vectors: Tensor, centroids: Tensor, nearest: Tensor) -> Tensor:
    means = _to_means(vectors, centroids, nearest)
    distances = _squared_distances(means, vectors)
    return torch.where(torch.bincount(nearest, minlength=len(centroids))[:, None] > 0, vectors[distances.argmin(1)], centroids)  # fmt: skip


def _without_minlength(vectors: Tensor, centroids: Tensor, nearest: Tensor) -> Tensor:
    counts = torch.bincount(nearest)[:, None]
    sums = torch.zeros_like(centroids).index_add(0, nearest, vectors)
    return torch.where(counts > 0, sums / counts.clamp(min=1), centroids)


def _one_of_each(vectors: Tensor, centroids: Tensor, nearest: Tensor) -> Tensor:
    sums = torch.zeros_like(centroids)
    sums[nearest] += vectors
    counts = torch.bincount(nearest, minlength=len(centroids))[:, None]
    return torch.where(counts > 0, sums / counts.clamp(min=1), centroids)


def _once_empty(vectors: Tensor, centroids: Tensor, iterations: int) -> Two:
    """k-means in which a list that has been empty never moves again."""
    dead = torch.zeros(len(centroids), 1, dtype=torch.bool)
    for _ in range(iterations):
        nearest = _nearest(vectors, centroids)
        dead = dead | (torch.bincount(nearest, minlength=len(centroids))[:, None] == 0)
        centroids = torch.where(dead, centroids, _to_means(vectors, centroids, nearest))
    return centroids, _nearest(vectors, centroids)


def _back_to_start(vectors: Tensor, centroids: Tensor, iterations: int) -> Two:
    """k-means in which an empty list goes back to where it began."""
    start = centroids
    for _ in range(iterations):
        nearest = _nearest(vectors, centroids)
        empty = torch.bincount(nearest, minlength=len(centroids))[:, None] == 0
        centroids = torch.where(empty, start, _to_means(vectors, centroids, nearest))
    return centroids, _nearest(vectors, centroids)


def _clouds(draw: Draw, count: int, dim: int, lists: int, iterations: int) -> tuple:
    """Vectors in loose groups, and centroids near some of them."""
    groups = 1.5 * draw.normal(lists, dim)
    vectors = groups[draw.integers(lists, count)] + 0.8 * draw.normal(count, dim)
    return vectors, vectors[: 2 * lists : 2] + 0.4 * draw.normal(lists, dim), iterations


def _on_a_line(draw: Draw) -> tuple:
    """Vectors evenly along a line, and all centroids at its beginning: it takes many moves until they have spread."""
    places = torch.arange(40.0)[:, None] + draw.uniform(40, 1, low=-0.3, high=0.3)
    centroids = torch.tensor([[0.0], [1.0], [2.0], [3.0]]) + draw.uniform(4, 1, low=-0.2, high=0.2)
    return (F.pad(places, (0, 1), value=9) + 0.2 * draw.normal(1, 2), F.pad(centroids, (0, 1), value=9), 8)


def _at_rest(draw: Draw) -> tuple:
    """Centroids that are nearly where they belong."""
    vectors, centroids, _ = _clouds(draw, 24, 2, 3, 1)
    return vectors, _grouping()(vectors, centroids, 20)[0] + 0.01 * draw.normal(3, 2), 1


def _with_empty(draw: Draw) -> tuple:
    """Lists on a line: one moves and is empty then, one is always empty, two are empty at first and have one or two vectors then."""
    places = [-2.0] * 6 + [-1.2, 1.2] + [2.0] * 6 + [17.0] * 5 + [22.5] + [37.0] * 5 + [42.5] * 2
    starts = [-3.2, 0.3, 3.2, 20.0, 25.5, 90.0, 40.0, 45.5]
    vectors, centroids = (F.pad(torch.tensor(x)[:, None] + 7, (0, 1), value=9) for x in (places, starts))
    return vectors + 0.03 * draw.normal(len(places), 2), centroids + 0.03 * draw.normal(len(starts), 2), 3


_EMPTY = "A list without vectors has no mean, 0 / 0"

kmeans = Check(
    name="kmeans",
    signature=("vectors", "centroids", "iterations"),
    reference=_grouping(),
    holds="each list's centroid the mean of its vectors, each vector in the list of its nearest centroid",
    look='03_retrieval, exercise 3 "Inverted lists"',
    hint="torch.cdist(vectors, centroids).argmin(dim=1) gives the lists; each centroid becomes the mean of its vectors, or stays if there are none; so `iterations` times; then the lists once more.",
    cases=(
        Case("30 vectors of 3 numbers, 4 lists, 2 iterations", lambda draw: _clouds(draw, 30, 3, 4, 2)),
        Case("40 vectors along a line, 4 lists, 8 iterations", _on_a_line),
        Case(
            "27 vectors of 2 numbers, 8 lists, some of them empty for a time, 3 iterations",
            _with_empty,
            alone=f"{_EMPTY}, and your result is wrong only where there is one: its centroid stays where it is.",
        ),
        Case(
            "24 vectors of 2 numbers, 3 lists, 1 iteration, centroids that hardly move",
            _at_rest,
            alone="Your result is wrong only where the centroids hardly move: do you stop before? Small moves are moves, too.",
        ),
        Case(
            "12 vectors of 4 numbers, 5 lists, no iteration",
            lambda draw: _clouds(draw, 12, 4, 5, 0),
            alone="Your result is wrong only where no iteration is asked for: the centroids come back as they were, with their lists.",
        ),
    ),
    hidden_cases=(
        Case("60 vectors of 5 numbers, 6 lists, 4 iterations", lambda draw: _clouds(draw, 60, 5, 6, 4)),
        Case("24 vectors of 2 numbers, 3 lists, 1 iteration", lambda draw: _clouds(draw, 24, 2, 3, 1)),
    ),
    not_a_number=f"{_EMPTY}: its centroid stays where it is.",
    mistakes=(
        Mistake(
            _grouping(at_last=False),
            "The lists are those of *before* the last move: once the centroids have come to rest, give each vector to its nearest centroid once more.",
        ),
        Mistake(
            _grouping(steps=lambda iterations: 1),
            "You move the centroids once, however many iterations are asked for.",
        ),
        Mistake(
            _grouping(steps=lambda iterations: iterations + 1),
            "The centroids move once too often: `iterations` moves.",
        ),
        Mistake(
            _grouping(steps=lambda iterations: max(0, iterations - 1)),
            "The centroids move once too rarely: `iterations` moves.",
        ),
        Mistake(
            _grouping(steps=lambda iterations: 0),
            "The centroids never move: give the vectors to them, then move each to the mean of its own, and again.",
        ),
        Mistake(
            _grouping(lambda vectors, centroids: _squared_distances(vectors, centroids).argmax(1)),
            "Each vector goes to the *farthest* centroid: argmin of a distance.",
        ),
        Mistake(
            _grouping(lambda vectors, centroids: (vectors @ centroids.T).argmax(1)),
            "You choose by inner product, where a long centroid draws everything to it: choose by distance.",
        ),
        Mistake(
            _grouping(lambda vectors, centroids: (vectors @ centroids.T).argmin(1)),
            "You choose the *smallest* inner product: it is the smallest distance that counts.",
        ),
        Mistake(
            _grouping(lambda vectors, centroids: (_unit(vectors) @ _unit(centroids).T).argmax(1)),
            "You choose by cosine: here it is the Euclidean distance, as a mean is what is nearest to its vectors by *that*.",
        ),
        Mistake(
            _grouping(lambda vectors, centroids: torch.cdist(vectors, centroids, p=1).argmin(1)),
            "You add up absolute differences: the Euclidean distance adds up squares.",
        ),
        Mistake(
            _grouping(lambda vectors, centroids: (vectors[:, None] - centroids).sum(2).square().argmin(1)),
            "The sum comes before the square: differences of other signs cancel. Square first, then add.",
        ),
        Mistake(
            _grouping(move=_moved(lambda sums, counts, old: sums)),
            "A centroid becomes the *sum* of its vectors: divide by how many they are.",
        ),
        Mistake(
            _grouping(move=_moved(lambda sums, counts, old: sums / counts.sum())),
            "You divide by the number of *all* vectors: each list has its own number.",
        ),
        Mistake(
            _grouping(move=_moved(lambda sums, counts, old: sums / (counts + 1))),
            "You divide by one too many: that keeps 0 / 0 away, but moves every centroid towards 0. Leave only the empty ones out.",
        ),
        Mistake(
            _grouping(move=_moved(lambda sums, counts, old: (old + sums) / (counts + 1))),
            "The old centroid counts as one of the vectors: start the sums from zero.",
        ),
        Mistake(
            _grouping(move=_moved(lambda sums, counts, old: (old + sums / counts) / 2)),
            "The centroids go half of the way: they move to the mean itself.",
        ),
        Mistake(
            _grouping(move=_empty_as(0.0)),
            f"{_EMPTY}, and you move it to 0, where it may take away what belongs to others: its centroid stays where it is.",
        ),
        Mistake(
            _grouping(move=_empty_as(math.nan), assign=lambda v, c: torch.cdist(v, c).nan_to_num(math.inf).argmin(1)),
            f"{_EMPTY}: NaN, from which no list ever recovers. Its centroid stays where it is.",
        ),
        Mistake(
            _grouping(move=lambda vectors, centroids, nearest: torch.cat([c for c in _empty_as(math.nan)(vectors, centroids, nearest)[:, None] if c.isfinite().all()])),
            f"{_EMPTY}, and you leave it away, so that fewer come back than were given: its centroid stays where it is.",
        ),
        Mistake(
            _grouping(move=lambda vectors, centroids, nearest: _unit(_to_means(vectors, centroids, nearest))),
            "You bring the centroids to length 1: they are plain means.",
        ),
        Mistake(
            _grouping(move=_medians),
            "A centroid is the *mean* of its vectors, not their median.",
        ),
        Mistake(
            _grouping(move=_medoids),
            "You move each centroid to the vector next to the mean: it is the mean itself.",
        ),
        Mistake(
            lambda vectors, centroids, iterations: _grouping()(vectors, vectors[: len(centroids)], iterations),
            "You begin with the first vectors: begin with the `centroids` that are given.",
        ),
        Mistake(
            lambda vectors, centroids, iterations: _grouping()(vectors, vectors.mean(0) + 0 * centroids, iterations),
            "All centroids begin at the mean: begin with the `centroids` that are given.",
        ),
        Mistake(
            _grouping(lambda vectors, centroids: _squared_distances(vectors, centroids).argmin(0), lambda v, c, nearest: v[nearest]),
            "argmin runs over the vectors: it finds the nearest vector of each centroid. Each *vector* chooses its centroid, dim=1 of (vectors, lists).",
        ),
        Mistake(
            _grouping(end=lambda vectors, centroids, nearest: (centroids, torch.cdist(vectors, centroids).amin(1))),
            "The second result is how *far* the nearest centroid is: asked for is which it is, argmin.",
        ),
        Mistake(
            _grouping(end=lambda vectors, centroids, nearest: (centroids, torch.bincount(nearest, minlength=len(centroids)))),
            "The second result is how many vectors each list has: asked for is the list of each vector, (vectors,).",
        ),
        Mistake(
            _grouping(end=lambda vectors, centroids, nearest: (centroids[nearest], nearest)),
            "The first result has a row for each vector: the centroids themselves are asked for, (lists, dim).",
        ),
        Mistake(
            _grouping(end=lambda vectors, centroids, nearest: (nearest, centroids)),
            "The two results are swapped: the centroids come first.",
        ),
        Mistake(
            _grouping(end=lambda vectors, centroids, nearest: centroids),
            "You return the centroids alone: the list of each vector is asked for as well.",
        ),
        Mistake(
            _grouping(end=lambda vectors, centroids, nearest: nearest),
            "You return the lists alone: the centroids are asked for as well.",
        ),
        Mistake(
            _grouping(steps=lambda iterations: min(1, iterations)),
            "After the first move nothing changes any more: the lists are to be made anew in each iteration (or does a `return` stand within the loop?).",
        ),
        Mistake(
            _grouping(steps=lambda iterations: max(1, iterations)),
            "The centroids move even if no iteration is asked for.",
        ),
        Mistake(
            _grouping(steps=lambda iterations: 100),
            "You go on until nothing moves any more: exactly `iterations` moves.",
        ),
        Mistake(
            _back_to_start,
            f"{_EMPTY}, and you put its centroid back to where it *began*: it stays where it is, also if it has moved before.",
        ),
        Mistake(
            _once_empty,
            "A list that was empty once never moves again with you: as soon as it has vectors, its centroid moves to their mean.",
        ),
        Mistake(
            _grouping(move=_moved(lambda sums, counts, old: torch.where(counts > 1, sums / counts, old))),
            "A list of *one* vector does not move: its mean is that vector, counts > 0.",
        ),
        Mistake(
            _grouping(move=_without_minlength),
            "torch.bincount(nearest) ends at the last list that has a vector: minlength=len(centroids) gives a 0 to the empty ones behind it.",
        ),
        Mistake(
            _grouping(move=_moved(lambda sums, counts, old: (old + sums) / counts)),
            "The sums begin at the old centroids: start them from zero, zeros_like(centroids).index_add(...).",
        ),
        Mistake(
            _grouping(move=_one_of_each),
            "sums[nearest] += vectors adds only *one* vector to each list: index_add adds all.",
        ),
        Mistake(
            _grouping(move=_moved(lambda sums, counts, old: (sums / counts).mean(1, keepdim=True).expand_as(old))),
            "mean() without an axis averages over the numbers of the vectors as well: mean(dim=0).",
        ),
    ),
)  # fmt: skip


# --- exercise 4: search in a few lists --------------------------------------------------------------------------------


def _listed(ids: Tensor, bounds: Tensor, probed: Tensor) -> Tensor:
    """The ids in the lists of these numbers, one list after the other."""
    return torch.cat([ids[bounds[number] : bounds[number + 1]] for number in probed.tolist()])


def _from_query(vectors: Tensor, query: Tensor) -> Tensor:
    return (vectors - query).square().sum(1)


def _probing(
    probed: Callable[[Tensor, Tensor, int], Tensor] = lambda centroids, query, count: (
        _from_query(centroids, query).topk(count, largest=False).indices
    ),
    found: Callable[[Tensor, Tensor, Tensor], Tensor] = _listed,
    measured: Callable[[Tensor, Tensor], Tensor] = _from_query,
    chosen: Callable[[Tensor, int], Two] = lambda distances, k: tuple(
        distances.topk(min(k, len(distances)), largest=False)
    ),
    end: Callable[[Tensor, Tensor, Tensor], tuple] = lambda distances, places, candidates: (
        distances,
        candidates[places],
    ),
) -> Callable[..., tuple]:
    """A search in lists with one of its parts exchanged: which lists, what is in them, how near it is, what of it is taken and told."""

    def search_lists(
        query: Tensor, vectors: Tensor, centroids: Tensor, ids: Tensor, bounds: Tensor, num_probes: int, k: int
    ) -> tuple:
        candidates = found(ids, bounds, probed(centroids, query, num_probes))
        distances, places = chosen(measured(vectors[candidates], query), k)
        return end(distances, places, candidates)

    return search_lists


def _with(change: Callable[..., tuple]) -> Callable[..., tuple]:
    """A right search for other arguments."""
    return lambda *arguments: _probing()(*change(*arguments))


def _rows_for_ids(query: Tensor, vectors: Tensor, centroids: Tensor, ids: Tensor, bounds: Tensor, probes: int, k: int) -> tuple:  # fmt: skip
    places = _listed(torch.arange(len(ids)), bounds, _from_query(centroids, query).topk(probes, largest=False).indices)
    distances, best = _from_query(vectors[places], query).topk(min(k, len(places)), largest=False)
    return distances, ids[places][best]


def _padded(query: Tensor, vectors: Tensor, centroids: Tensor, ids: Tensor, bounds: Tensor, probes: int, k: int) -> tuple:  # fmt: skip
    distances, found = _probing()(query, vectors, centroids, ids, bounds, probes, k)
    return F.pad(distances, (0, k - len(found)), value=math.inf), F.pad(found, (0, k - len(found)), value=-1)


def _by_id(distances: Tensor, places: Tensor, candidates: Tensor) -> Two:
    found, order = candidates[places].sort()
    return distances[order], found


def _inverted(draw: Draw, count: int, dim: int, lists: int, probes: int, k: int, few: bool = False) -> tuple:
    """A query, vectors, centroids, and the lists: ids sorted by list, and where each begins.

    Some vectors stand in another list than that of their nearest centroid. If there are to be `few`, the nearest list is short and the
    second empty.
    """
    centroids = draw.uniform(lists, 1, low=0.4, high=2.0) * draw.normal(lists, dim)
    vectors = centroids[draw.integers(lists, count)] + 1.2 * draw.normal(count, dim)
    nearest = torch.where(draw.uniform(count) < 0.2, draw.integers(lists, count), _nearest(vectors, centroids))
    query = draw.normal(dim)
    if few:
        counts = torch.bincount(nearest, minlength=lists)
        query = centroids[counts.masked_fill(counts < 2, count).argmin()] + 0.05 * draw.normal(dim)
        order = _from_query(centroids, query).argsort()
        nearest = torch.where(nearest == order[1], order[-1], nearest)
    ids = nearest.argsort(stable=True)
    bounds = F.pad(torch.bincount(nearest, minlength=lists).cumsum(0), (1, 0))
    return query, vectors, centroids, ids, bounds, probes, k


def _without_empty(query: Tensor, vectors: Tensor, centroids: Tensor, ids: Tensor, bounds: Tensor, probes: int, k: int) -> tuple:  # fmt: skip
    far = centroids.masked_fill(bounds.diff()[:, None] == 0, 1e6)  # empty lists are never opened
    return _probing()(query, vectors, far, ids, bounds, probes, k)


def _lists_anew(query: Tensor, vectors: Tensor, centroids: Tensor, ids: Tensor, bounds: Tensor, probes: int, k: int) -> tuple:  # fmt: skip
    nearest = _nearest(vectors, centroids)
    own = F.pad(torch.bincount(nearest, minlength=len(centroids)).cumsum(0), (1, 0))
    return _probing()(query, vectors, centroids, nearest.argsort(stable=True), own, probes, k)


def _per_list(query: Tensor, vectors: Tensor, centroids: Tensor, ids: Tensor, bounds: Tensor, probes: int, k: int) -> Two:  # fmt: skip
    """The k best of each list, one list after the other."""
    opened = _from_query(centroids, query).topk(probes, largest=False).indices
    parts = [_probing(lambda *_, one=one: one[None])(query, vectors, centroids, ids, bounds, 1, k) for one in opened]
    return torch.cat([distances for distances, _ in parts]), torch.cat([numbers for _, numbers in parts])


def _per_list_sorted(*arguments: Any) -> Two:
    distances, numbers = _per_list(*arguments)
    order = distances.argsort(stable=True)
    return distances[order], numbers[order]


def _ids_of_places(query: Tensor, vectors: Tensor, centroids: Tensor, ids: Tensor, *rest: Any) -> Two:
    distances, places = _probing(end=lambda distances, places, _: (distances, places))(
        query, vectors, centroids, ids, *rest
    )
    return distances, ids[places]


_FEW = "There are fewer than k vectors in the lists that were looked through"

search_lists = Check(
    name="search_lists",
    signature=("query", "vectors", "centroids", "ids", "bounds", "num_probes", "k"),
    reference=_probing(),
    holds="the nearest of what stands in the nearest lists, called by their numbers in the gallery",
    look='03_retrieval, exercise 4 "Look into a few lists only"',
    hint="The num_probes nearest centroids; list i is ids[bounds[i] : bounds[i + 1]]; candidates = torch.cat of these; distances of vectors[candidates]; the min(k, len(candidates)) smallest; candidates[places].",
    cases=(
        Case("40 vectors of 3 numbers, 2 of 6 lists, k = 4", lambda draw: _inverted(draw, 40, 3, 6, 2, 4)),
        Case("80 vectors of 6 numbers, 3 of 16 lists, k = 9", lambda draw: _inverted(draw, 80, 6, 16, 3, 9)),
        Case(
            "30 vectors of 2 numbers, 2 of 5 lists, one of them empty, fewer than k = 20 in the other",
            lambda draw: _inverted(draw, 30, 2, 5, 2, 20, True),
            alone=f"{_FEW}, one of which is empty, and your result is wrong only there: give back as many as there are.",
        ),
    ),
    hidden_cases=(
        Case("100 vectors of 8 numbers, 4 of 10 lists, k = 1", lambda draw: _inverted(draw, 100, 8, 10, 4, 1)),
        Case("20 vectors of 4 numbers, all 3 lists, k = 6", lambda draw: _inverted(draw, 20, 4, 3, 3, 6)),
    ),
    mistakes=(
        Mistake(
            _probing(end=lambda distances, places, candidates: (distances, places)),
            "Your numbers count within the *candidates*: candidates[places] are the numbers in the gallery.",
        ),
        Mistake(
            _with(lambda q, v, c, ids, bounds, probes, k: (q, v, c, ids, bounds, 1, k)),
            "You look into the nearest list only: num_probes of them. A near neighbour often lies just across the border.",
        ),
        Mistake(
            _with(lambda q, v, c, ids, bounds, probes, k: (q, v, c, ids, bounds, len(c), k)),
            "You look into all lists: that is exact, and no faster than without them. Only the num_probes nearest.",
        ),
        Mistake(
            _with(lambda q, v, c, ids, bounds, probes, k: (q, v, c, ids, bounds, min(k, len(c)), probes)),
            "num_probes and k are swapped: num_probes lists, k results.",
        ),
        Mistake(
            _with(lambda q, v, c, ids, bounds, probes, k: (q, v, c, ids, bounds, min(k, len(c)), k)),
            "You look into k lists: it is num_probes.",
        ),
        Mistake(
            _probing(lambda centroids, query, count: _from_query(centroids, query).topk(count).indices),
            "You look into the *farthest* lists: topk(..., largest=False) for distances.",
        ),
        Mistake(
            _probing(lambda centroids, query, count: torch.arange(count)),
            "You look into the first lists, whatever the query: into those whose centroids are nearest to it.",
        ),
        Mistake(
            _probing(lambda centroids, query, count: (centroids @ query).topk(count).indices),
            "You choose the lists by inner product, where a long centroid is near to everything: by distance.",
        ),
        Mistake(
            _probing(lambda centroids, query, count: _from_query(centroids, query).argsort(stable=True).argsort()[:count]),
            "argsort of argsort gives each list's *rank*: the nearest lists are the first entries of argsort.",
        ),
        Mistake(
            _probing(lambda centroids, query, count: (_from_query(centroids, query).topk(count, largest=False).indices + 1) % len(centroids)),
            "You look into the list after the right one: list i runs from bounds[i] to bounds[i + 1].",
        ),
        Mistake(
            _probing(lambda centroids, query, count: (_from_query(centroids, query).topk(count, largest=False).indices - 1) % len(centroids)),
            "You look into the list before the right one: list i runs from bounds[i] to bounds[i + 1].",
        ),
        Mistake(
            _probing(found=lambda ids, bounds, probed: _listed(torch.arange(len(ids)), bounds, probed)),
            "What stands between the bounds are places in `ids`, not numbers of vectors: ids[bounds[i] : bounds[i + 1]].",
        ),
        Mistake(
            _rows_for_ids,
            "The numbers are taken from `ids`, but the vectors are not: `vectors` is in the gallery's own order, so vectors[candidates].",
        ),
        Mistake(
            _probing(found=lambda ids, bounds, probed: torch.cat([ids[bounds[i] : bounds[i + 1] - 1] for i in probed.tolist()])),
            "The last one of each list is left out: a slice ends *before* its end already.",
        ),
        Mistake(
            _probing(found=lambda ids, bounds, probed: torch.cat([ids[bounds[i] + 1 : bounds[i + 1]] for i in probed.tolist()])),
            "The first one of each list is left out.",
        ),
        Mistake(
            _probing(found=lambda ids, bounds, probed: torch.cat([ids[bounds[i] : bounds[i + 1] + 1] for i in probed.tolist()])),
            "The first one of the next list comes along: a slice ends before its end, so bounds[i + 1] as it is.",
        ),
        Mistake(
            _probing(measured=lambda vectors, query: _from_query(vectors, query).sqrt()),
            "You take the root: squared distances are asked for. The order is the same, and the root costs time.",
        ),
        Mistake(
            _probing(measured=lambda vectors, query: (vectors - query).abs().sum(1)),
            "You add up absolute differences: the Euclidean distance adds up squares.",
        ),
        Mistake(
            _probing(measured=lambda vectors, query: (vectors - query).square().mean(1)),
            "You average the squares of a difference: the distance is their sum.",
        ),
        Mistake(
            _probing(measured=lambda vectors, query: vectors @ query, chosen=lambda s, k: tuple(s.topk(min(k, len(s))))),
            "You compare by inner product: asked for are squared distances, the smallest first.",
        ),
        Mistake(
            _probing(measured=lambda vectors, query: 1 - _unit(vectors) @ _unit(query)),
            "You compare by cosine: asked for are squared distances.",
        ),
        Mistake(
            _probing(chosen=lambda distances, k: tuple(distances.topk(min(k, len(distances))))),
            "You take the *largest* distances: topk(..., largest=False).",
        ),
        Mistake(
            _probing(chosen=lambda distances, k: (distances[:k], torch.arange(min(k, len(distances))))),
            "You take the first k candidates: the k *nearest* of them.",
        ),
        Mistake(
            _probing(chosen=lambda distances, k: tuple(x.flip(0) for x in distances.topk(min(k, len(distances)), largest=False))),
            "The right ones, but the farthest first: the nearest comes first.",
        ),
        Mistake(
            _probing(end=_by_id),
            "The right ones, but sorted by their numbers: the nearest comes first.",
        ),
        Mistake(
            _probing(chosen=lambda distances, k: tuple(distances.topk(k, largest=False))),
            f"{_FEW}, and topk(k) stops there: min(k, len(candidates)).",
        ),
        Mistake(
            _padded,
            f"{_FEW}, and you fill up to k. (FAISS does so, with -1.) Here give back as many as there are.",
        ),
        Mistake(
            _probing(end=lambda distances, places, candidates: (candidates[places], distances)),
            "The two results are swapped: the distances come first.",
        ),
        Mistake(
            _probing(end=lambda distances, places, candidates: candidates[places]),
            "You return the numbers alone: the distances are asked for as well.",
        ),
        Mistake(
            _probing(end=lambda distances, places, candidates: distances),
            "You return the distances alone: the numbers are asked for as well.",
        ),
        Mistake(
            lambda q, v, c, ids, bounds, probes, k: (_from_query(c, q).topk(probes, largest=False).values, _probing()(q, v, c, ids, bounds, probes, k)[1]),
            "The distances are those of the *centroids*: asked for are those of the vectors that were found.",
        ),
        Mistake(
            _probing(
                lambda centroids, query, count: torch.cdist(query[None], centroids).topk(count, largest=False).indices,
                lambda ids, bounds, probed: torch.cat([ids[bounds[j] : bounds[j + 1]] for j in probed]),
            ),
            "The numbers of the lists are (1, num_probes), a row for one query: take its [0] before the loop.",
        ),
        Mistake(
            lambda *arguments: tuple(x[: arguments[-1]] for x in _per_list(*arguments)),
            "You put the best of each list one after the other: the k nearest of *all* candidates are asked for, so sort over the lists.",
        ),
        Mistake(
            _per_list_sorted,
            "You return up to k of each list: k in all.",
        ),
        Mistake(
            _ids_of_places,
            "ids[places] takes places among the candidates for places in `ids`: candidates[places].",
        ),
        Mistake(
            _probing(lambda centroids, query, count: (_unit(centroids) @ _unit(query)).topk(count).indices),
            "You choose the lists by cosine: by distance, for neither the query nor a centroid need have length 1.",
        ),
        Mistake(
            _with(lambda q, v, c, ids, bounds, probes, k: (q, v, c, ids, bounds, min(probes + 1, len(c)), k)),
            "You look into one list too many: num_probes.",
        ),
        Mistake(
            _probing(found=lambda ids, bounds, probed: ids[bounds[probed.min()] : bounds[probed.max() + 1]]),
            "You take everything from the first of the lists to the last: those that stand between them are not among the nearest.",
        ),
        Mistake(
            _without_empty,
            "You pass over empty lists and open others in their place: they count among the num_probes.",
        ),
        Mistake(
            _lists_anew,
            "You make the lists anew from the centroids: they are given, list i is ids[bounds[i] : bounds[i + 1]].",
        ),
        Mistake(
            _probing(measured=lambda vectors, query: 2 - 2 * vectors @ query),
            "2 - 2 q.x is the squared distance of vectors of length 1 only: these have any length.",
        ),
        Mistake(
            _probing(measured=lambda vectors, query: 2 - 2 * _unit(vectors) @ _unit(query)),
            "2 - 2 cos is the squared distance of vectors of length 1 only: these have any length.",
        ),
        Mistake(
            _probing(measured=lambda vectors, query: vectors.square().sum(1) - 2 * vectors @ query),
            "The order is right, but |q|^2 is missing from the distances.",
        ),
        Mistake(
            _probing(chosen=lambda distances, k: (distances[:k], distances.argsort(stable=True)[:k])),
            "The numbers are right, but the distances are those of the first k candidates: take them in the same order.",
        ),
    ),
)  # fmt: skip


# --- exercise 5: a product quantiser ----------------------------------------------------------------------------------


def _parted(vectors: Tensor, parts: int) -> Tensor:
    """(n, dim) -> (parts, n, dim / parts)"""
    return vectors.unflatten(-1, (parts, -1)).transpose(0, 1)


def _every_other(vectors: Tensor, parts: int) -> Tensor:
    """(n, dim) -> (parts, n, dim / parts), where part i has every number whose place leaves i when divided by `parts`."""
    return vectors.unflatten(-1, (-1, parts)).movedim(-1, 0)


def _pq_encode(vectors: Tensor, codebooks: Tensor) -> Tensor:
    return ProductQuantizer(codebooks).encode(vectors)


def _encoding(
    parted: Callable[[Tensor, int], Tensor] = _parted,
    near: Callable[[Tensor, Tensor], Tensor] = _squared_distances,
    choose: Change = lambda distances: distances.argmin(2),
    end: Change = lambda codes: codes.T.to(torch.uint8),
    books: Change = _raw,
) -> Callable[..., Tensor]:
    """An encoder with one of its parts exchanged: how vectors are cut, how near entries are (parts, n, codes), which is chosen, what is told."""
    return lambda vectors, codebooks: end(choose(near(parted(vectors, len(codebooks)), books(codebooks))))


def _decoded(vectors: Tensor, codebooks: Tensor) -> Tensor:
    codes = _encoding()(vectors, codebooks).long()
    return codebooks[torch.arange(len(codebooks)), codes].flatten(1)


def _quantiser(draw: Draw, count: int, parts: int, codes: int, width: int) -> tuple[Tensor, Tensor]:
    """Vectors and codebooks whose entries differ in length and from part to part."""
    scales = draw.uniform(parts, 1, 1, low=0.5, high=1.5)
    codebooks = scales * (draw.normal(parts, codes, width) + 0.5 * draw.normal(parts, 1, width))
    vectors = 1.2 * draw.normal(count, parts * width) + 0.3
    vectors[-1, :width] = codebooks[0, -1]  # so that the last entry is the nearest at least once
    return vectors, codebooks


_SLICES = "part i is the slice from i * dim / parts to (i + 1) * dim / parts, unflatten(1, (parts, -1))"

pq_encode = Check(
    name="pq_encode",
    signature=("vectors", "codebooks"),
    reference=_pq_encode,
    holds="each part of a vector by its own codebook, one byte a part",
    look='03_retrieval, exercise 5 "Vectors in a few bytes"',
    hint="vectors.unflatten(1, (parts, -1)) is (n, parts, width); transpose to (parts, n, width); torch.cdist with the codebooks is (parts, n, codes); argmin, transpose, to(torch.uint8).",
    cases=(
        Case("7 vectors of 6 numbers, 3 parts, 5 codes", lambda draw: _quantiser(draw, 7, 3, 5, 2)),
        Case("9 vectors of 8 numbers, 2 parts, 9 codes", lambda draw: _quantiser(draw, 9, 2, 9, 4)),
        Case("4 vectors of 12 numbers, 4 parts, 256 codes", lambda draw: _quantiser(draw, 4, 4, 256, 3)),
    ),
    hidden_cases=(
        Case("1 vector of 10 numbers, 5 parts, 16 codes", lambda draw: _quantiser(draw, 1, 5, 16, 2)),
        Case("20 vectors of 4 numbers, 1 part, 3 codes", lambda draw: _quantiser(draw, 20, 1, 3, 4)),
        Case("3 vectors of 9 numbers, 3 parts, 3 codes", lambda draw: _quantiser(draw, 3, 3, 3, 3)),
    ),
    mistakes=(
        Mistake(
            _encoding(end=lambda codes: codes.T),
            "The codes are int64, eight bytes each, and the point is to save memory: 256 codes fit one byte, to(torch.uint8).",
        ),
        Mistake(
            _encoding(end=lambda codes: codes.T.int()),
            "The codes are int32, four bytes each: 256 codes fit one byte, to(torch.uint8).",
        ),
        Mistake(
            _encoding(end=lambda codes: codes.T.to(torch.int8)),
            "int8 ends at 127, so the codes from 128 on become negative: take torch.uint8, 0 to 255.",
        ),
        Mistake(
            _encoding(end=lambda codes: codes.T.float()),
            "The codes are floating-point numbers: they are numbers of entries, to(torch.uint8).",
        ),
        Mistake(
            _encoding(_every_other),
            f"Each part takes every parts-th number: {_SLICES}.",
        ),
        Mistake(
            _encoding(lambda vectors, parts: vectors.reshape(parts, len(vectors), -1)),
            f"A reshape to (parts, n, width) tears the vectors apart: {_SLICES}, then transpose(0, 1).",
        ),
        Mistake(
            _encoding(choose=lambda distances: distances.argmax(2)),
            "You choose the *farthest* entry: argmin of a distance.",
        ),
        Mistake(
            _encoding(near=lambda parts, books: -(parts @ books.mT)),
            "You choose by inner product, which prefers long entries: the nearest by distance stands in best for the part.",
        ),
        Mistake(
            _encoding(near=lambda parts, books: -(_unit(parts) @ _unit(books).mT)),
            "You choose by cosine: it is the distance that has to be small, length and all.",
        ),
        Mistake(
            _encoding(near=lambda parts, books: torch.cdist(_unit(parts), books)),
            "You normalise the parts: they are taken as they are. (The whole vector may have length 1, its parts have not.)",
        ),
        Mistake(
            _encoding(near=lambda parts, books: torch.cdist(parts, books, p=1)),
            "You add up absolute differences: the Euclidean distance adds up squares.",
        ),
        Mistake(
            _encoding(near=lambda parts, books: (parts.unsqueeze(2) - books.unsqueeze(1)).sum(-1).square()),
            "The sum comes before the square: differences of other signs cancel. Square first, then add.",
        ),
        Mistake(
            _encoding(books=lambda books: books[:1].expand_as(books)),
            "All parts use the first codebook: each has its own, codebooks[i].",
        ),
        Mistake(
            _encoding(books=lambda books: books.flip(0)),
            "The codebooks run backwards: codebooks[i] belongs to part i.",
        ),
        Mistake(
            _encoding(near=torch.cdist, choose=lambda distances: distances.sum(0).argmin(1).expand(len(distances), -1)),
            "You add the distances of the parts and choose one code for all: each part has a code of its own, that is what makes 256 ^ parts vectors of so few entries.",
        ),
        Mistake(
            _encoding(choose=lambda distances: distances.argmin(1)),
            "argmin runs over the vectors: it finds the nearest vector of each entry. Each part of a *vector* chooses its entry.",
        ),
        Mistake(
            _encoding(choose=lambda distances: distances.amin(2)),
            "That is how *far* the nearest entry is: asked for is which it is, argmin.",
        ),
        Mistake(
            _encoding(end=lambda codes: codes.to(torch.uint8)),
            "The table is turned, (parts, n): a row for each vector.",
        ),
        Mistake(
            _encoding(end=lambda codes: codes.reshape(codes.shape[1], codes.shape[0]).to(torch.uint8)),
            "A reshape of (parts, n) to (n, parts) mixes the vectors: transpose it.",
        ),
        Mistake(
            _encoding(end=lambda codes: (codes.T + 1).to(torch.uint8)),
            "The codes begin at 1: they are counted from 0.",
        ),
        Mistake(
            _encoding(end=lambda codes: codes.T.flip(1).to(torch.uint8)),
            "The parts of the codes run backwards: column i belongs to part i.",
        ),
        Mistake(
            _encoding(end=lambda codes: codes.T.contiguous().flatten().to(torch.uint8)),
            "All codes in one row: (n, parts) is asked for.",
        ),
        Mistake(
            lambda vectors, codebooks: _encoding()(vectors, codebooks).long() + torch.arange(len(codebooks)) * codebooks.shape[1],
            "You count through all codebooks, part after part: each part counts its own from 0, or one byte would not do.",
        ),
        Mistake(
            _decoded,
            "That is the *decoded* vector, the entries themselves: their numbers are asked for.",
        ),
        Mistake(
            lambda vectors, codebooks: vectors - _decoded(vectors, codebooks),
            "That is what is left when the entries are taken away: their numbers are asked for.",
        ),
        Mistake(
            _encoding(near=torch.cdist, choose=lambda distances: distances.amin(2)),
            "That is how *far* the nearest entry is: asked for is which it is, argmin.",
        ),
        Mistake(
            lambda vectors, codebooks: _encoding()(_unit(vectors), codebooks),
            "You normalise the vectors: they are taken as they are.",
        ),
        Mistake(
            _encoding(books=lambda books: books[-1:].expand_as(books)),
            "All parts use the last codebook: each has its own, codebooks[i].",
        ),
        Mistake(
            _encoding(lambda vectors, parts: vectors.unfold(1, vectors.shape[1] // parts, 1)[:, :parts].transpose(0, 1)),
            "Your parts overlap: part i begins at i * width, not at i.",
        ),
        Mistake(
            lambda vectors, codebooks: (_encoding()(vectors, codebooks).long() + torch.arange(len(codebooks)) * codebooks.shape[1]).to(torch.uint8),
            "You count through all codebooks, part after part, and a byte ends at 255: each part counts its own from 0.",
        ),
        Mistake(
            lambda vectors, codebooks: torch.cdist(vectors.unflatten(1, (len(codebooks), -1)), codebooks).argmin(2).to(torch.uint8),
            "torch.cdist takes each entry of the *first* axis by itself, and your vectors are (n, parts, width): transpose(0, 1) brings the parts to the front.",
        ),
    ),
)  # fmt: skip


# --- exercise 6: distances by table -----------------------------------------------------------------------------------


def _by_table(
    entry: Callable[[Tensor, Tensor], Tensor] = lambda part, book: (book - part.unsqueeze(-2)).square().sum(-1),
    parted: Callable[[Tensor, int], Tensor] = lambda query, parts: query.unflatten(0, (parts, -1)),
    codes_of: Change = _raw,
    joined: Change = lambda looked_up: looked_up.sum(1),
    books: Change = _raw,
) -> Callable[..., Tensor]:
    """Distances by table lookup with one of its parts exchanged; what is looked up is (n, parts)."""

    def pq_distances(query: Tensor, codes: Tensor, codebooks: Tensor) -> Tensor:
        table = entry(parted(query, len(codebooks)), books(codebooks))  # (parts, codes)
        return joined(table[torch.arange(len(codebooks)), codes_of(codes.long())])

    return pq_distances


def _with_uint8(looked_up: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """What is made of table (parts, entries) and the codes as they come."""
    return lambda query, codes, codebooks: looked_up(
        (codebooks - query.unflatten(0, (len(codebooks), 1, -1))).square().sum(2), codes
    )


def _symmetric_distances(query: Tensor, codes: Tensor, codebooks: Tensor) -> Tensor:
    return _by_table()(_decoded(query[None], codebooks)[0], codes, codebooks)


def _unlike_columns(query: Tensor, codes: Tensor, codebooks: Tensor) -> Tensor:
    """table[:, codes] for every part, (parts, n, parts), summed."""
    table = (codebooks - query.unflatten(0, (len(codebooks), -1))[:, None]).square().sum(-1)
    return table[:, codes.long()].sum((0, 2))


_MASK = "PyTorch takes an index of uint8 for a mask, not for numbers of entries: codes.long()."


def _coded(draw: Draw, count: int, parts: int, codes: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    vectors, codebooks = _quantiser(draw, count + 1, parts, codes, width)
    return vectors[0], draw.integers(codes, count, parts).to(torch.uint8), codebooks


pq_distances = Check(
    name="pq_distances",
    signature=("query", "codes", "codebooks"),
    reference=_by_table(),
    holds="the squared distances of the query, as it is, to what the codes stand for",
    look='03_retrieval, exercise 6 "Distances by table"',
    hint="table[i, c] is the squared distance of part i of the query and entry c of codebook i; table[torch.arange(parts), codes.long()] is (n, parts); its sum over the parts.",
    cases=(
        Case("7 codes of 3 parts, 5 entries each", lambda draw: _coded(draw, 7, 3, 5, 2)),
        Case("9 codes of 2 parts, 9 entries each", lambda draw: _coded(draw, 9, 2, 9, 4)),
        Case("6 codes of 4 parts, 200 entries each", lambda draw: _coded(draw, 6, 4, 200, 3)),
    ),
    hidden_cases=(
        Case("5 codes of 5 parts, 5 entries each", lambda draw: _coded(draw, 5, 5, 5, 3)),
        Case("12 codes of 1 part, 16 entries", lambda draw: _coded(draw, 12, 1, 16, 6)),
    ),
    mistakes=(
        Mistake(
            _by_table(joined=lambda looked_up: looked_up.sum(1).sqrt()),
            "You take the root: squared distances are asked for. The order is the same, and the root costs time.",
        ),
        Mistake(
            _by_table(lambda part, book: (book - part.unsqueeze(-2)).norm(dim=-1)),
            "You add up the parts' *distances*: it is their squares that add up to the whole's (Pythagoras), so the table holds squared distances.",
        ),
        Mistake(
            _by_table(lambda part, book: (book - part.unsqueeze(-2)).norm(dim=-1), joined=lambda x: x.sum(1).square()),
            "You square the sum of the parts' distances: it is their squares that are added.",
        ),
        Mistake(
            _symmetric_distances,
            "The query is encoded as well, so its own rounding comes on top. Only the gallery is: the table holds the distances of the *exact* query to the entries.",
        ),
        Mistake(
            _by_table(lambda part, book: book @ part.unsqueeze(-1).squeeze(-1) if part.ndim == 1 else (book @ part.unsqueeze(-1)).squeeze(-1)),
            "The table holds inner products: squared distances are asked for.",
        ),
        Mistake(
            _by_table(lambda part, book: (book - part.unsqueeze(-2)).abs().sum(-1)),
            "You add up absolute differences: the Euclidean distance adds up squares.",
        ),
        Mistake(
            _by_table(lambda part, book: (book - part.unsqueeze(-2)).sum(-1).square()),
            "The sum comes before the square: differences of other signs cancel. Square first, then add.",
        ),
        Mistake(
            _by_table(lambda part, book: (book - part.unsqueeze(-2)).square().mean(-1)),
            "You average the squares within a part: they are added.",
        ),
        Mistake(
            _by_table(joined=lambda looked_up: looked_up.mean(1)),
            "You average over the parts: their squared distances add up to the whole's.",
        ),
        Mistake(
            _by_table(joined=lambda looked_up: looked_up.amax(1)),
            "You take the largest of the parts: they are added.",
        ),
        Mistake(
            _by_table(joined=lambda looked_up: looked_up.prod(1)),
            "You multiply the parts: the quantiser is a product, the squared distances are a sum.",
        ),
        Mistake(
            _by_table(joined=lambda looked_up: looked_up[:, 0]),
            "Only the first part counts: add up all of them.",
        ),
        Mistake(
            _by_table(joined=lambda looked_up: looked_up[:, -1]),
            "Only the last part counts: does each one overwrite the one before? Add up all of them.",
        ),
        Mistake(
            _by_table(joined=_raw),
            "The parts are not added up yet, (n, parts): one distance for each code, (n,).",
        ),
        Mistake(
            _by_table(joined=lambda looked_up: looked_up.sum(0)),
            "You add over the codes: it is the parts of each that are added, dim=1.",
        ),
        Mistake(
            _by_table(joined=lambda looked_up: -looked_up.sum(1)),
            "The sign is turned: distances are positive.",
        ),
        Mistake(
            _by_table(parted=lambda query, parts: query.unflatten(0, (-1, parts)).T),
            f"Each part of the query takes every parts-th number: {_SLICES.replace('1, (parts', '0, (parts')}.",
        ),
        Mistake(
            _by_table(codes_of=lambda codes: codes[:, :1].expand_as(codes)),
            "All parts use the first code: column i of `codes` belongs to part i.",
        ),
        Mistake(
            _by_table(codes_of=lambda codes: codes.flip(1)),
            "The parts of the codes run backwards: column i belongs to part i.",
        ),
        Mistake(
            _by_table(books=lambda books: books[:1].expand_as(books)),
            "All parts use the first codebook: each has its own, codebooks[i].",
        ),
        Mistake(
            _by_table(codes_of=lambda codes: codes - 1),
            "You look one entry too early: codes are counted from 0.",
        ),
        Mistake(
            _unlike_columns,
            "table[:, codes] looks *every* part up with every column: part i with column i alone, table[torch.arange(parts), codes.long()], or gather.",
        ),
        Mistake(
            lambda query, codes, codebooks: _by_table(parted=lambda q, parts: torch.zeros(parts, len(q) // parts))(query, codes, codebooks),
            "The query does not come in: the table holds the distances from *its* parts to the entries.",
        ),
        Mistake(
            lambda query, codes, codebooks: _by_table()(_unit(query), codes, codebooks),
            "You normalise the query: it is taken as it is.",
        ),
        Mistake(_with_uint8(lambda table, codes: table[torch.arange(len(table)), codes].sum(1)), _MASK),
        Mistake(_with_uint8(lambda table, codes: sum(table[i][codes[:, i]] for i in range(len(table)))), _MASK),
        Mistake(
            _with_uint8(lambda table, codes: torch.stack([sum(table[i][code] for i, code in enumerate(row)) for row in codes])),
            _MASK,
        ),
        Mistake(
            _with_uint8(lambda table, codes: table.gather(1, codes.T).sum(0)),
            "gather takes an index of int64: codes.long().",
        ),
        Mistake(
            _by_table(codes_of=lambda codes: codes.to(torch.int8).long()),
            "int8 ends at 127, so the codes from 128 on become negative and count from the end: codes.long().",
        ),
        Mistake(
            _by_table(lambda part, book: 2 - 2 * (book @ part.unsqueeze(-1)).squeeze(-1)),
            "2 - 2 q.x is the squared distance of vectors of length 1 only, and parts have not.",
        ),
        Mistake(
            _by_table(lambda part, book: -2 * (book @ part.unsqueeze(-1)).squeeze(-1), joined=lambda x: 2 + x.sum(1)),
            "2 - 2 q.x is the squared distance of vectors of length 1 only: these have any length.",
        ),
        Mistake(
            _by_table(lambda part, book: book.square().sum(-1) - 2 * (book @ part.unsqueeze(-1)).squeeze(-1)),
            "The order is right, but |q|^2 is missing from the distances.",
        ),
        Mistake(
            _by_table(lambda part, book: (book - part.unsqueeze(-2)).square().sum(-1)[:1].expand(len(book), -1)),
            "All parts are looked up in the first row of the table: column i of `codes` in table[i].",
        ),
        Mistake(
            _by_table(books=lambda books: books[-1:].expand_as(books)),
            "All parts use the last codebook: each has its own, codebooks[i].",
        ),
        Mistake(
            _by_table(joined=lambda looked_up: looked_up.amin(1)),
            "You take the smallest of the parts: they are added.",
        ),
    ),
)  # fmt: skip
