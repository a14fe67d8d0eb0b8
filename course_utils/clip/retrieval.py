"""Search among many vectors: all of them, or only those where an answer is likely, or only a rough copy of each.

A text finds pictures, and a picture texts or other pictures, by the largest inner product of unit vectors, q . x. Three ways:

- *exact*: all products, one matrix product; n d multiplications a query.
- *inverted lists*: k-means puts the vectors into lists, one around each centre; a query looks only into the lists whose centres are nearest. What
  stands in another list is missed.
- *product quantisation*: a vector is cut into parts, and each part is replaced by the nearest of 256 codes: one byte a part. For a query, the
  product of each of its parts with each code is looked up in a table,

      q . x  ~  sum over parts p of  table[p, code_p(x)],

  which is fast, and so small that a million vectors stay in memory; but it is rough.

`gallery.Index` has the same from faiss, whose code is fast; what is here is to be read, and gives the same answers.

Papers: Sivic & Zisserman, "Video Google", ICCV 2003 (inverted lists). Jégou, Douze & Schmid, "Product quantization for nearest neighbor search",
TPAMI 2011. Lloyd, "Least squares quantization in PCM", 1982 (k-means). Douze et al., "The Faiss library", 2024.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.layers import draw_uniform

CHUNK = 65_536  # vectors whose distances are in memory at once
QUERIES = 64  # queries whose lists are in memory at once


class Found(NamedTuple):
    """Answers, the best first; -1 and minus infinity where there are no more.

    Attributes:
        scores: (queries, k) float32, inner products.
        indices: (queries, k) int64, rows of what was searched.
    """

    scores: Tensor
    indices: Tensor


def search(queries: Tensor, gallery: Tensor, k: int) -> Found:
    """The k vectors of the gallery (n, dim) with the largest product with each query (queries, dim), by looking at all of them.

    Raises:
        ValueError: if k is below 1 or larger than the gallery, or the dimensions differ.
    """
    check_search(queries, gallery.shape[1], len(gallery), k)
    found = [(part @ gallery.T).topk(k) for part in queries.split(QUERIES)]
    return Found(torch.cat([part.values for part in found]), torch.cat([part.indices for part in found]))


def kmeans(
    vectors: Tensor, num_centres: int, generator: torch.Generator, iterations: int = 20, spherical: bool = False
) -> Tensor:
    """Centres (num_centres, dim) that are each the mean of the vectors (n, dim) nearest to it (Lloyd's algorithm).

    They begin as vectors drawn by `generator`. A centre that no vector is nearest to begins anew at one that is far from its own.

    Args:
        spherical: centres are made unit vectors, for vectors that are.

    Raises:
        ValueError: if there are fewer vectors than centres.
    """
    if not 1 <= num_centres <= len(vectors):
        raise ValueError(f"{num_centres} centres need at least as many vectors, and at least 1; got {len(vectors)}")
    start = draw_uniform((len(vectors),), generator, vectors.device).topk(num_centres).indices
    centres = vectors[start]
    for _ in range(iterations):
        nearest, distances = assign(vectors, centres)
        counts = nearest.bincount(minlength=num_centres)
        sums = torch.zeros_like(centres).index_add_(0, nearest, vectors)
        centres = sums / counts.clamp(min=1)[:, None]
        empty = counts == 0
        centres[empty] = vectors[distances.topk(int(empty.sum())).indices]
        if spherical:
            centres = F.normalize(centres, dim=1)
    return centres


def assign(vectors: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest centre of each vector, (n,) int64, and its squared distance, (n,)."""
    norms = centres.square().sum(1)
    # |x - c|^2 less |x|^2, which is the same for all centres
    best = [(norms - 2 * part @ centres.T).min(dim=1) for part in vectors.split(CHUNK)]
    distances = torch.cat([part.values for part in best]) + vectors.square().sum(1)
    return torch.cat([part.indices for part in best]), distances


class InvertedLists:
    """Vectors (n, dim) in lists, each around a centre (lists, dim).

    Attributes:
        order: (n,) int64, the rows of the vectors, list after list.
        counts, offsets: (lists,) int64, how many vectors each list has, and where in `order` it begins.
    """

    def __init__(self, vectors: Tensor, centres: Tensor):
        self.centres = centres
        of_list = assign_by_product(vectors, centres)
        self.order = of_list.argsort(stable=True)
        self.vectors = vectors[self.order]
        self.counts = of_list.bincount(minlength=len(centres))
        self.offsets = self.counts.cumsum(0) - self.counts

    def search(self, queries: Tensor, k: int, probes: int = 1) -> Found:
        """The k best (queries, k) of the vectors in the `probes` lists whose centres have the largest product with the query.

        Raises:
            ValueError: as `search`, and if there are not so many lists.
        """
        check_search(queries, self.vectors.shape[1], len(self.vectors), k)
        if not 1 <= probes <= len(self.centres):
            raise ValueError(f"probes is {probes}, but must lie between 1 and the number of lists, {len(self.centres)}")
        found = [self._search(part, k, probes) for part in queries.split(QUERIES)]
        return Found(torch.cat([part.scores for part in found]), torch.cat([part.indices for part in found]))

    def _search(self, queries: Tensor, k: int, probes: int) -> Found:
        lists = (queries @ self.centres.T).topk(probes).indices  # (queries, probes)
        # each list as if it were as long as the longest, and all together long enough for k
        room = torch.arange(max(int(self.counts.max()), math.ceil(k / probes)), device=queries.device)
        inside = room < self.counts[lists][..., None]  # (queries, probes, room)
        rows = (self.offsets[lists][..., None] + room).clamp(max=len(self.order) - 1).flatten(1)
        scores = torch.einsum("qd,qnd->qn", queries, self.vectors[rows]).masked_fill(~inside.flatten(1), float("-inf"))
        best = scores.topk(k)
        indices = self.order[rows.gather(1, best.indices)].masked_fill(best.values.isinf(), -1)
        return Found(best.values, indices)


def assign_by_product(vectors: Tensor, centres: Tensor) -> Tensor:
    """The centre with the largest product with each vector, (n,) int64: for unit centres the nearest."""
    return torch.cat([(part @ centres.T).argmax(dim=1) for part in vectors.split(CHUNK)])


class ProductQuantizer:
    """Vectors as a few bytes each. `codebooks` (parts, codes, dim / parts): what each code of each part stands for."""

    def __init__(self, codebooks: Tensor):
        self.codebooks = codebooks

    @classmethod
    def fit(
        cls, vectors: Tensor, parts: int, generator: torch.Generator, codes: int = 256, iterations: int = 20
    ) -> "ProductQuantizer":
        """The codes of each part are the centres of k-means among that part of the vectors (n, dim).

        Raises:
            ValueError: if the parts do not divide the dimension, there are more codes than a byte can tell apart, or fewer vectors than codes.
        """
        if parts < 1 or vectors.shape[1] % parts:
            raise ValueError(f"{parts} parts do not divide vectors of {vectors.shape[1]} numbers")
        if not 1 <= codes <= 256:
            raise ValueError(f"codes is {codes}, but a byte tells apart 1 to 256")
        pieces = vectors.chunk(parts, dim=1)
        return cls(torch.stack([kmeans(piece, codes, generator, iterations) for piece in pieces]))

    def encode(self, vectors: Tensor) -> Tensor:
        """Codes (n, parts) uint8: for each part the nearest."""
        pieces = vectors.chunk(len(self.codebooks), dim=1)
        nearest = [assign(piece, codebook)[0] for piece, codebook in zip(pieces, self.codebooks, strict=True)]
        return torch.stack(nearest, dim=1).to(torch.uint8)

    def decode(self, codes: Tensor) -> Tensor:
        """The vectors (n, dim) that codes (n, parts) stand for."""
        return torch.cat([book[column.long()] for book, column in zip(self.codebooks, codes.T, strict=True)], dim=1)

    def search(self, queries: Tensor, codes: Tensor, k: int) -> Found:
        """The k of the encoded vectors (n, parts) with the largest product with each query, which is not rounded itself (Jégou et al., III-A).

        Raises:
            ValueError: as `search`.
        """
        parts, _, width = self.codebooks.shape
        check_search(queries, parts * width, len(codes), k)
        found = []
        for part in queries.split(QUERIES):
            # (queries, parts * width) -> (queries, parts, codes)
            table = torch.einsum("qpw,pcw->qpc", part.unflatten(1, (parts, width)), self.codebooks)
            scores = sum(table[:, number, codes[:, number].long()] for number in range(parts))
            found.append(scores.topk(k))
        return Found(torch.cat([part.values for part in found]), torch.cat([part.indices for part in found]))


def check_search(queries: Tensor, dim: int, size: int, k: int) -> None:
    """Refuse what cannot be searched.

    Raises:
        ValueError: if k is below 1 or larger than the gallery, or the queries are not (queries, dim).
    """
    if queries.ndim != 2 or queries.shape[1] != dim:
        raise ValueError(f"expected queries of shape (queries, {dim}), as the gallery has, got {tuple(queries.shape)}")
    if not 1 <= k <= size:
        raise ValueError(f"k is {k}, but must lie between 1 and the size of the gallery, {size}")
