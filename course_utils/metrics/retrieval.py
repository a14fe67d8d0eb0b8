"""How well one finds what one looks for: the rank of the first right answer, and what is read from it.

Manning, Raghavan & Schütze, "Introduction to information retrieval", 2008, chapter 8.
"""

import torch
from torch import Tensor


def ranks(similarities: Tensor, right: Tensor | None = None) -> Tensor:
    """The place of the first right answer in each query's list, 1 for the best: (queries,) int64.

    A wrong answer as similar as the right one stands before it: who says the same of everything finds nothing.

    Args:
        similarities: (queries, gallery), larger for what fits better.
        right: (queries, gallery) bool, which answers are right; by default answer i for query i alone.

    Raises:
        ValueError: shapes that do not fit, or a query without any right answer.
    """
    if right is None:
        right = torch.eye(*similarities.shape, dtype=torch.bool, device=similarities.device)
    if similarities.ndim != 2 or right.shape != similarities.shape:
        raise ValueError(
            f"expected two tables (queries, gallery), got {tuple(similarities.shape)} and {tuple(right.shape)}"
        )
    if not right.any(1).all():
        number = int((~right.any(1)).nonzero()[0])
        raise ValueError(f"query {number} has no right answer in the gallery, so it has no rank")
    best = similarities.masked_fill(~right, float("-inf")).amax(1, keepdim=True)
    return ((similarities >= best) & ~right).sum(1) + 1


def recall_at_k(ranks: Tensor, k: int) -> float:
    """Share of queries with a right answer among the first k; `ranks` (queries,) as the function of that name gives them.

    Raises:
        ValueError: no query, or k below 1.
    """
    if k < 1 or not len(ranks):
        raise ValueError(f"needs at least one query and k of at least 1, got {len(ranks)} queries and k = {k}")
    return (ranks <= k).double().mean().item()


def median_rank(ranks: Tensor) -> float:
    """The middle of the ranks (queries,): half of the queries are answered as early. Of an even number, the mean of the two in the middle."""
    return ranks.double().quantile(0.5).item()
