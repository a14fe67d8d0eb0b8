"""The bank of notebook retrieval: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

SETUP = """
import math
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
"""


def _function(signature: str, body: str) -> str:
    """The source of a function from its signature and its lines."""
    return f"\ndef {signature}:\n" + "".join(f"    {line}\n" for line in body.strip().split("\n"))


def _search(body: str) -> str:
    return _function("cosine_search(queries, gallery, k)", body)


TABLE = "table = F.normalize(queries, dim=1) @ F.normalize(gallery, dim=1).T\n"


def _recall(body: str) -> str:
    return _function("recall_at_k(similarities, matches, k)", body)


HITS = "hits = matches.gather(1, similarities.topk(k, dim=1).indices)\n"


def _kmeans(body: str) -> str:
    return _function("kmeans(vectors, centroids, iterations)", body)


def _rounds(body: str, end: str = "return centroids, torch.cdist(vectors, centroids).argmin(dim=1)") -> str:
    """k-means whose one round is `body`."""
    lines = "".join(f"    {line}\n" for line in body.strip().split("\n"))
    return _kmeans(f"for _ in range(iterations):\n{lines}{end}")


ASSIGN = "nearest = torch.cdist(vectors, centroids).argmin(dim=1)\n"
SUMS = """
counts = torch.bincount(nearest, minlength=len(centroids))[:, None]
sums = torch.zeros_like(centroids).index_add(0, nearest, vectors)
"""
MOVE = "centroids = torch.where(counts > 0, sums / counts.clamp(min=1), centroids)"


def _lists(body: str) -> str:
    return _function("search_lists(query, vectors, centroids, ids, bounds, num_probes, k)", body)


PROBED = "probed = (centroids - query).square().sum(dim=1).topk(num_probes, largest=False).indices\n"
FOUND = PROBED + "candidates = torch.cat([ids[bounds[i]:bounds[i + 1]] for i in probed])\n"
MEASURED = FOUND + "distances = (vectors[candidates] - query).square().sum(dim=1)\n"
BEST = "best, places = distances.topk(min(k, len(candidates)), largest=False)\n"
NAMED = "return best, candidates[places]"
EACH_LIST = (
    PROBED
    + """
best, found = [], []
for i in probed:
    candidates = ids[bounds[i]:bounds[i + 1]]
    distances = (vectors[candidates] - query).square().sum(dim=1)
    nearest = distances.topk(min(k, len(candidates)), largest=False)
    best.append(nearest.values)
    found.append(candidates[nearest.indices])
"""
)


def _encode(body: str) -> str:
    return _function("pq_encode(vectors, codebooks)", body)


PARTS = "parts = vectors.unflatten(1, (len(codebooks), -1)).transpose(0, 1)\n"


def _distances(body: str) -> str:
    return _function("pq_distances(query, codes, codebooks)", body)


QUERY = "parts = query.unflatten(0, (len(codebooks), -1))\n"
LOOKUP = QUERY + "table = (codebooks - parts[:, None]).square().sum(dim=2)\n"
EACH = "torch.arange(len(codebooks))"


# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "cosine_search": [
        (_search("raise NotImplementedError()"), "This is not written yet"),
        (_search("scores, indices = (queries @ gallery.T).topk(k)\nreturn scores, indices"), "Nothing is normalised"),
        (_search("scores, indices = (F.normalize(queries, dim=1) @ gallery.T).topk(k)\nreturn scores, indices"), "The gallery is not normalised"),
        (_search("scores, indices = (queries @ F.normalize(gallery, dim=1).T).topk(k)\nreturn scores, indices"), "The queries are not normalised"),
        (_search("table = F.normalize(queries, dim=0) @ F.normalize(gallery, dim=0).T\nreturn tuple(table.topk(k))"), "You normalise along the vectors"),
        (_search("table = queries @ gallery.T / (queries.norm() * gallery.norm())\nreturn tuple(table.topk(k))"), "norm() without an axis"),
        (_search(TABLE + "return tuple(table.topk(k, largest=False))"), "You take the *smallest* cosines"),
        (_search(TABLE + "scores, indices = table.sort(dim=1)\nreturn scores[:, -k:], indices[:, -k:]"), "in rising order"),
        (_search("scores, indices = torch.cdist(queries, gallery).topk(k, largest=False)\nreturn scores, indices"), "You search by Euclidean distance"),
        (_search(TABLE + "scores, indices = (1 - table).topk(k, largest=False)\nreturn scores, indices"), "These are cosine *distances*"),
        (_search(TABLE + "scores, indices = table.topk(k, dim=0)\nreturn scores, indices"), "topk runs over the queries"),
        (
            _search("table = F.normalize(gallery, dim=1) @ F.normalize(queries, dim=1).T\nreturn tuple(table.topk(k, dim=1))"),
            "The vectors search among the queries",
        ),
        (_search(TABLE + "return tuple(table.abs().topk(k))"), "You take absolute values"),
        (_search(TABLE + "return tuple(table.softmax(dim=1).topk(k))"), "The scores are a softmax over the gallery"),
        (_search(TABLE + "scores, indices = table.topk(k + 1)\nreturn scores[:, 1:], indices[:, 1:]"), "You leave the best one out"),
        (_search(TABLE + "return tuple(table.max(dim=1, keepdim=True))"), "k has no effect"),
        (_search(TABLE + "return tuple(table.sort(dim=1, descending=True))"), "You return the whole gallery, sorted"),
        (_search(TABLE + "scores, indices = table.topk(k)\nreturn indices, scores"), "The two results are swapped"),
        (_search(TABLE + "return table.topk(k).indices"), "You return the indices alone"),
        (_search(TABLE + "return table.topk(k).values"), "You return the scores alone"),
        (
            _search(TABLE + "ranks = table.argsort(dim=1, descending=True).argsort(dim=1)\nreturn table[:, :k], ranks[:, :k]"),
            "argsort of argsort gives",
        ),
        (_search(TABLE + "scores, indices = table.flatten().topk(k)\nreturn scores, indices"), "the k best of the whole table"),
        (_search(TABLE + "scores, indices = table.topk(k)\nreturn scores, indices.int()"), "wrong dtype"),
        (_search(TABLE + "scores, indices = table.topk(k)\nreturn scores.numpy(), indices.numpy()"), "You return a NumPy value"),
        (
            _search("""
gallery /= gallery.norm(dim=1, keepdim=True)
table = F.normalize(queries, dim=1) @ gallery.T
return tuple(table.topk(k))
"""),
            "changes `gallery` in place",
        ),
        (_search("return tuple((queries @ gallery / queries.norm()).topk(k))"), "Your code stops with RuntimeError"),
        (_search("return (queries @ gallery.T).topk(k)"), "Nothing is normalised"),
        (_search(TABLE + "indices = table.topk(k).indices\nreturn (queries @ gallery.T).gather(1, indices), indices"), "the scores are inner products"),
        (_search(TABLE + "return table[:, :k], table.argsort(dim=1, descending=True)[:, :k]"), "the scores are those of the first k vectors"),
        (_search("return (F.normalize(queries, dim=1) @ F.normalize(gallery, dim=0).T).topk(k)"), "The gallery is normalised along dim=0"),
        (_search(TABLE + "best = [row.topk(k) for row in table]\nreturn [x[0] for x in best], [x[1] for x in best]"), "stands where one tensor belongs"),
    ],
    "recall_at_k": [
        (_recall("raise NotImplementedError()"), "This is not written yet"),
        (_recall(HITS + "return hits.float().mean()"), "That is *precision*"),
        (_recall(HITS + "return (hits.sum(dim=1) / matches.sum(dim=1)).mean()"), "You count how many of a query's right ones are found"),
        (_recall(HITS + "return hits.sum(dim=1).float().mean()"), "so a query with two of them counts twice"),
        (_recall(HITS + "return hits.all(dim=1).float().mean()"), "You ask that *all* k results are right"),
        (
            _recall("""
top = similarities.topk(k, dim=1).indices
own = torch.arange(len(similarities))[:, None]
return (top == own).any(dim=1).float().mean()
"""),
            "You take vector i for the only right one of query i",
        ),
        (
            _recall("""
top = similarities.topk(k, dim=1).indices
own = matches.float().argmax(dim=1, keepdim=True)
return (top == own).any(dim=1).float().mean()
"""),
            "Only the *first* right one",
        ),
        (
            _recall("top = similarities.topk(k, dim=0).indices\nreturn matches.gather(0, top).any(dim=0).float().mean()"),
            "You search the other way",
        ),
        (_recall("top = similarities.argsort(dim=1)[:, :k]\nreturn matches.gather(1, top).any(dim=1).float().mean()"), "the k *smallest* similarities"),
        (
            _recall("""
own = similarities.masked_fill(~matches, float("-inf")).amax(dim=1, keepdim=True)
rank = (similarities > own).sum(dim=1)
return (rank <= k).float().mean()
"""),
            "one result too many",
        ),
        (
            _recall("""
own = similarities.masked_fill(~matches, float("-inf")).amax(dim=1, keepdim=True)
rank = (similarities >= own).sum(dim=1)
return (rank < k).float().mean()
"""),
            "one result too few",
        ),
        (_recall("top = similarities.argmax(dim=1, keepdim=True)\nreturn matches.gather(1, top).float().mean()"), "k has no effect"),
        (_recall("last = similarities.topk(k, dim=1).indices[:, -1:]\nreturn matches.gather(1, last).float().mean()"), "at place k alone"),
        (_recall("return matches[:, :k].any(dim=1).float().mean()"), "whatever their similarity"),
        (_recall(HITS + "return hits.any(dim=1).float().sum()"), "the number of queries that are found"),
        (_recall(HITS + "return 100 * hits.any(dim=1).float().mean()"), "in percent"),
        (_recall(HITS + "return hits.any(dim=0).float().mean()"), "any runs over the queries"),
        (_recall(HITS + "return hits.any().float()"), "any() without an axis"),
        (_recall(HITS + "return hits.any(dim=1).float()"), "a number for each query"),
        (_recall(HITS + "return hits.any(dim=1)"), "whether each query is found"),
        (_recall(HITS + "return hits.any(dim=1).mean()"), "Your code stops with RuntimeError"),
        (_recall(HITS + "return hits.any(dim=1).float().mean().item()"), "You return a plain Python number"),
        (
            _recall("""
own = similarities.masked_fill(~matches, float("-inf")).amax(dim=1, keepdim=True)
rank = (similarities >= own).sum(dim=1)
return (1 / rank).mean()
"""),
            "the mean reciprocal rank",
        ),
        (
            _recall("""
top = similarities.neg_().argsort(dim=1)[:, :k]
return matches.gather(1, top).any(dim=1).float().mean()
"""),
            "changes `similarities` in place",
        ),
        (_recall(HITS + "return hits.any(dim=1).double().mean()"), "wrong dtype"),
        (_recall("best = (similarities * matches).amax(dim=1, keepdim=True)\nreturn ((similarities > best).sum(dim=1) < k).float().mean()"), "0 beats a right one"),
        (
            _recall("top = similarities.topk(k).indices\nreturn ((similarities * matches).gather(1, top).sum(dim=1) > 0).float().mean()"),
            "A right answer with a negative similarity does not count",
        ),
        (_recall("return (similarities.topk(k).values > 0).any(dim=1).float().mean()"), "You ask whether the similarities are positive"),
        (_recall("top = similarities.topk(k).indices\nreturn matches[:, top].any(dim=2).float().mean()"), "with the results of *all* queries"),
        (_recall(HITS + "return (hits.sum(dim=1) / matches.sum(dim=1).clamp(max=k)).mean()"), "how many right ones could be found"),
        (_recall(HITS + "return (hits.sum(dim=1) == 1).float().mean()"), "A query with two right ones among its k"),
        (_recall(HITS + "return hits.any(dim=1).sum() / matches.shape[1]"), "You divide by the size of the gallery"),
        (_recall("top = similarities.abs().topk(k).indices\nreturn matches.gather(1, top).any(dim=1).float().mean()"), "You take absolute values"),
        (_recall("top = similarities.topk(min(10, similarities.shape[1])).indices\nreturn matches.gather(1, top).any(dim=1).float().mean()"), "ten results count"),
        (_recall("top = similarities.topk(k).indices.unique()\nreturn matches[:, top].any(dim=1).float().mean()"), "by *any* query counts for all"),
    ],
    "kmeans": [
        (_kmeans("raise NotImplementedError()"), "This is not written yet"),
        (
            _kmeans("nearest = torch.cdist(vectors, centroids).argmin(dim=1)\nfor _ in range(iterations):\n"
                    + "".join(f"    {line}\n" for line in (ASSIGN + SUMS.strip() + "\n" + MOVE).split("\n"))
                    + "return centroids, nearest"),
            "The lists are those of *before* the last move",
        ),
        (_kmeans(ASSIGN + SUMS.strip() + "\n" + MOVE + "\n" + ASSIGN + "return centroids, nearest"), "You move the centroids once, however many"),
        (
            _rounds(ASSIGN + SUMS.strip() + "\n" + MOVE).replace("range(iterations)", "range(iterations + 1)"),
            "once too often",
        ),
        (_kmeans(ASSIGN + "return centroids, nearest"), "The centroids never move"),
        (
            _rounds(
                "nearest = torch.cdist(vectors, centroids).argmax(dim=1)\n" + SUMS.strip() + "\n" + MOVE,
                "return centroids, torch.cdist(vectors, centroids).argmax(dim=1)",
            ),
            "the *farthest* centroid",
        ),
        (
            _rounds(
                "nearest = (vectors @ centroids.T).argmax(dim=1)\n" + SUMS.strip() + "\n" + MOVE,
                "return centroids, (vectors @ centroids.T).argmax(dim=1)",
            ),
            "You choose by inner product",
        ),
        (
            _rounds(
                "nearest = (vectors[:, None] - centroids).abs().sum(dim=2).argmin(dim=1)\n" + SUMS.strip() + "\n" + MOVE,
                "return centroids, (vectors[:, None] - centroids).abs().sum(dim=2).argmin(dim=1)",
            ),
            "You add up absolute differences",
        ),
        (_rounds(ASSIGN + SUMS.strip() + "\ncentroids = torch.where(counts > 0, sums, centroids)"), "the *sum* of its vectors"),
        (
            _rounds(ASSIGN + SUMS.strip() + "\ncentroids = torch.where(counts > 0, sums / len(vectors), centroids)"),
            "You divide by the number of *all* vectors",
        ),
        (_rounds(ASSIGN + SUMS.strip() + "\ncentroids = torch.where(counts > 0, sums / (counts + 1), centroids)"), "by one too many"),
        (_rounds(ASSIGN + SUMS.strip() + "\ncentroids = sums / counts"), "0 / 0"),
        (_rounds(ASSIGN + SUMS.strip() + "\ncentroids = sums / counts.clamp(min=1)"), "and you move it to 0"),
        (
            _rounds(ASSIGN + "centroids = torch.stack([vectors[nearest == i].mean(dim=0) for i in range(len(centroids))])"),
            "0 / 0",
        ),
        (
            _rounds(ASSIGN + "centroids = torch.stack([vectors[nearest == i].mean(dim=0) for i in nearest.unique()])"),
            "and you leave it away",
        ),
        (_rounds(ASSIGN + SUMS.strip() + "\n" + MOVE + "\ncentroids = F.normalize(centroids, dim=1)"), "You bring the centroids to length 1"),
        (
            _rounds(ASSIGN + """
centroids = torch.stack([
    vectors[nearest == i].median(dim=0).values if (nearest == i).any() else centroids[i] for i in range(len(centroids))
])
"""),
            "not their median",
        ),
        (_rounds(ASSIGN + SUMS.strip() + "\n" + MOVE).replace("    for _", "    centroids = vectors[:len(centroids)]\n    for _"), "You begin with the first vectors"),
        (
            _rounds(ASSIGN + SUMS.strip() + "\n" + MOVE).replace(
                "    for _", "    centroids = vectors[torch.randperm(len(vectors))[:len(centroids)]]\n    for _"
            ),
            "draws random numbers of its own",
        ),
        (
            _rounds(ASSIGN + SUMS.strip() + "\n" + MOVE, "return centroids, torch.cdist(vectors, centroids).min(dim=1).values"),
            "how *far* the nearest centroid is",
        ),
        (_rounds(ASSIGN + SUMS.strip() + "\n" + MOVE, "return torch.cdist(vectors, centroids).argmin(dim=1), centroids"), "The two results are swapped"),
        (_rounds(ASSIGN + SUMS.strip() + "\n" + MOVE, "return centroids"), "You return the centroids alone"),
        (
            _rounds(ASSIGN + """
for i in range(len(centroids)):
    if (nearest == i).any():
        centroids[i] = vectors[nearest == i].mean(dim=0)
"""),
            "changes `centroids` in place",
        ),
        (
            _rounds(ASSIGN + SUMS.strip() + "\n" + MOVE, "return centroids, torch.cdist(vectors, centroids).argmin(dim=1).int()"),
            "wrong dtype",
        ),
        (_kmeans(ASSIGN + "for _ in range(iterations):\n" + "".join(f"    {line}\n" for line in (SUMS.strip() + "\n" + MOVE).split("\n")) + ASSIGN + "return centroids, nearest"), "After the first move nothing changes"),
        (_rounds(ASSIGN + SUMS.strip() + "\n" + MOVE + "\n" + ASSIGN + "return centroids, nearest"), "After the first move nothing changes"),
        (_rounds(ASSIGN + SUMS.strip() + "\n" + MOVE).replace("range(iterations)", "range(max(1, iterations))"), "even if no iteration is asked for"),
        (_rounds(ASSIGN + SUMS.strip() + "\n" + MOVE).replace("range(iterations)", "range(100)"), "You go on until nothing moves"),
        (_rounds(ASSIGN + SUMS.strip() + "\n" + MOVE).replace("range(iterations)", "range(min(iterations, 5))"), "the values are not"),
        (_rounds(ASSIGN + SUMS.strip() + "\n" + MOVE.replace(", centroids)", ", start)")).replace("    for _", "    start = centroids\n    for _"), "back to where it *began*"),
        (
            _rounds(ASSIGN + SUMS.strip() + "\ndead = dead | (counts == 0)\ncentroids = torch.where(dead, centroids, sums / counts.clamp(min=1))").replace(
                "    for _", "    dead = torch.zeros(len(centroids), 1, dtype=torch.bool)\n    for _"
            ),
            "empty once never moves again",
        ),
        (_rounds(ASSIGN + SUMS.strip() + "\n" + MOVE.replace("> 0", "> 1")), "A list of *one* vector"),
        (_rounds(ASSIGN + SUMS.strip().replace(", minlength=len(centroids)", "") + "\n" + MOVE), "torch.bincount(nearest) ends at the last list"),
        (_rounds(ASSIGN + SUMS.strip().replace("torch.zeros_like(centroids)", "centroids") + "\n" + MOVE), "The sums begin at the old centroids"),
        (
            _rounds(ASSIGN + SUMS.strip().replace(".index_add(0, nearest, vectors)", "") + "\nsums[nearest] += vectors\n" + MOVE),
            "adds only *one* vector to each list",
        ),
        (
            _rounds(ASSIGN + """
centroids = torch.stack([
    vectors[nearest == i].mean().expand_as(centroids[i]) if (nearest == i).any() else centroids[i] for i in range(len(centroids))
])
"""),
            "mean() without an axis",
        ),
        (_rounds(ASSIGN + SUMS.strip() + "\n" + MOVE.replace("centroids =", "new =") + "\nif (new - centroids).abs().max() < 0.1: break\ncentroids = new"), "do you stop before"),
    ],
    "search_lists": [
        (_lists("raise NotImplementedError()"), "This is not written yet"),
        (_lists(MEASURED + BEST + "return best, places"), "Your numbers count within the *candidates*"),
        (
            _lists("""
nearest = (centroids - query).square().sum(dim=1).argmin()
candidates = ids[bounds[nearest]:bounds[nearest + 1]]
distances = (vectors[candidates] - query).square().sum(dim=1)
""" + BEST + NAMED),
            "You look into the nearest list only",
        ),
        (
            _lists("""
distances = (vectors - query).square().sum(dim=1)
best, found = distances.topk(min(k, len(distances)), largest=False)
return best, found
"""),
            "You look into all lists",
        ),
        (_lists(MEASURED.replace("topk(num_probes", "topk(min(k, len(centroids))") + BEST + NAMED), "You look into k lists"),
        (_lists(MEASURED.replace("topk(num_probes, largest=False)", "topk(num_probes)") + BEST + NAMED), "You look into the *farthest* lists"),
        (_lists(MEASURED.replace(PROBED, "probed = range(num_probes)\n") + BEST + NAMED), "You look into the first lists"),
        (_lists(MEASURED.replace(PROBED, "probed = (centroids @ query).topk(num_probes).indices\n") + BEST + NAMED), "You choose the lists by inner product"),
        (
            _lists(PROBED + """
candidates = torch.cat([torch.arange(bounds[i], bounds[i + 1]) for i in probed])
distances = (vectors[candidates] - query).square().sum(dim=1)
""" + BEST + NAMED),
            "What stands between the bounds are places in `ids`",
        ),
        (
            _lists(PROBED + """
rows = torch.cat([vectors[bounds[i]:bounds[i + 1]] for i in probed])
candidates = torch.cat([ids[bounds[i]:bounds[i + 1]] for i in probed])
distances = (rows - query).square().sum(dim=1)
""" + BEST + NAMED),
            "The numbers are taken from `ids`, but the vectors are not",
        ),
        (_lists(MEASURED.replace("bounds[i + 1]]", "bounds[i + 1] - 1]") + BEST + NAMED), "The last one of each list is left out"),
        (_lists(MEASURED.replace("bounds[i + 1]]", "bounds[i + 1] + 1]") + BEST + NAMED), "The first one of the next list comes along"),
        (_lists(MEASURED + "distances = distances.sqrt()\n" + BEST + NAMED), "You take the root"),
        (_lists(FOUND + "distances = torch.cdist(query[None], vectors[candidates])[0]\n" + BEST + NAMED), "You take the root"),
        (
            _lists(FOUND + "scores, places = (vectors[candidates] @ query).topk(min(k, len(candidates)))\nreturn scores, candidates[places]"),
            "You compare by inner product",
        ),
        (_lists(FOUND + "distances = 1 - F.cosine_similarity(vectors[candidates], query[None])\n" + BEST + NAMED), "You compare by cosine"),
        (_lists(MEASURED + BEST.replace(", largest=False", "") + NAMED), "You take the *largest* distances"),
        (_lists(MEASURED + "return distances[:k], candidates[:k]"), "You take the first k candidates"),
        (_lists(MEASURED + BEST + "order = candidates[places].argsort()\nreturn best[order], candidates[places][order]"), "sorted by their numbers"),
        (_lists(MEASURED + "best, places = distances.topk(k, largest=False)\n" + NAMED), "topk(k) stops there"),
        (
            _lists(MEASURED + BEST + """
missing = k - len(best)
return F.pad(best, (0, missing), value=float("inf")), F.pad(candidates[places], (0, missing), value=-1)
"""),
            "you fill up to k",
        ),
        (_lists(MEASURED + BEST + "return candidates[places], best"), "The two results are swapped"),
        (_lists(MEASURED + BEST + "return candidates[places]"), "You return the numbers alone"),
        (_lists(MEASURED + BEST + "return best, candidates[places].tolist()"), "stands where one tensor belongs"),
        (_lists("vectors -= query\n" + MEASURED.replace("vectors[candidates] - query", "vectors[candidates]") + BEST + NAMED), "changes `vectors` in place"),
        (
            _lists("""
probed = torch.cdist(query[None], centroids).topk(num_probes, largest=False).indices
candidates = torch.cat([ids[bounds[i]:bounds[i + 1]] for i in probed])
distances = (vectors[candidates] - query).square().sum(dim=1)
""" + BEST + NAMED),
            "a row for one query",
        ),
        (_lists(FOUND + "return (vectors[candidates] - query).square().sum(dim=1).topk(min(k, len(candidates)), largest=False)"), "Your numbers count within"),
        (_lists(EACH_LIST + "return torch.cat(best)[:k], torch.cat(found)[:k]"), "one after the other"),
        (_lists(EACH_LIST + "best, order = torch.cat(best).sort()\nreturn best, torch.cat(found)[order]"), "up to k of each list"),
        (_lists(MEASURED + BEST + "return best, ids[places]"), "ids[places] takes places"),
        (
            _lists(MEASURED.replace(PROBED, "probed = F.cosine_similarity(query[None], centroids).topk(num_probes).indices\n") + BEST + NAMED),
            "You choose the lists by cosine",
        ),
        (_lists(MEASURED.replace("topk(num_probes", "topk(min(num_probes + 1, len(centroids))") + BEST + NAMED), "one list too many"),
        (
            _lists(PROBED + """
candidates = ids[bounds[probed.min()]:bounds[probed.max() + 1]]
distances = (vectors[candidates] - query).square().sum(dim=1)
""" + BEST + NAMED),
            "from the first of the lists to the last",
        ),
        (
            _lists("""
order = torch.cdist(query[None], centroids)[0].argsort().tolist()
probed = [i for i in order if bounds[i + 1] > bounds[i]][:num_probes]
""" + MEASURED.replace(PROBED, "") + BEST + NAMED),
            "You pass over empty lists",
        ),
        (
            _lists(PROBED + """
candidates = torch.isin(torch.cdist(vectors, centroids).argmin(dim=1), probed).nonzero()[:, 0]
distances = (vectors[candidates] - query).square().sum(dim=1)
""" + BEST + NAMED),
            "You make the lists anew",
        ),
        (_lists(FOUND + "distances = 2 - 2 * vectors[candidates] @ query\n" + BEST + NAMED), "2 - 2 q.x is"),
        (_lists(FOUND + "distances = 2 - 2 * F.cosine_similarity(vectors[candidates], query[None])\n" + BEST + NAMED), "2 - 2 cos is"),
        (_lists(FOUND + "distances = vectors[candidates].square().sum(dim=1) - 2 * vectors[candidates] @ query\n" + BEST + NAMED), "|q|^2 is missing"),
        (_lists(MEASURED + "return distances[:k], candidates[distances.argsort()[:k]]"), "those of the first k candidates"),
    ],
    "pq_encode": [
        (_encode("raise NotImplementedError()"), "This is not written yet"),
        (_encode(PARTS + "return torch.cdist(parts, codebooks).argmin(dim=2).T"), "The codes are int64"),
        (_encode(PARTS + "return torch.cdist(parts, codebooks).argmin(dim=2).T.int()"), "The codes are int32"),
        (_encode(PARTS + "return torch.cdist(parts, codebooks).argmin(dim=2).T.to(torch.int8)"), "int8 ends at 127"),
        (
            _encode("""
parts = vectors.reshape(len(vectors), -1, len(codebooks)).permute(2, 0, 1)
return torch.cdist(parts, codebooks).argmin(dim=2).T.to(torch.uint8)
"""),
            "Each part takes every parts-th number",
        ),
        (
            _encode("parts = vectors.reshape(len(codebooks), len(vectors), -1)\nreturn torch.cdist(parts, codebooks).argmin(dim=2).T.to(torch.uint8)"),
            "tears the vectors apart",
        ),
        (_encode(PARTS + "return torch.cdist(parts, codebooks).argmax(dim=2).T.to(torch.uint8)"), "You choose the *farthest* entry"),
        (_encode(PARTS + "return (parts @ codebooks.mT).argmax(dim=2).T.to(torch.uint8)"), "You choose by inner product"),
        (
            _encode(PARTS + "return (F.normalize(parts, dim=2) @ F.normalize(codebooks, dim=2).mT).argmax(dim=2).T.to(torch.uint8)"),
            "You choose by cosine",
        ),
        (_encode(PARTS + "return torch.cdist(F.normalize(parts, dim=2), codebooks).argmin(dim=2).T.to(torch.uint8)"), "You normalise the parts"),
        (_encode(PARTS + "return torch.cdist(parts, codebooks, p=1).argmin(dim=2).T.to(torch.uint8)"), "You add up absolute differences"),
        (_encode(PARTS + "return torch.cdist(parts, codebooks[0]).argmin(dim=2).T.to(torch.uint8)"), "All parts use the first codebook"),
        (
            _encode(PARTS + """
code = torch.cdist(parts, codebooks).sum(dim=0).argmin(dim=1)
return code[:, None].repeat(1, len(codebooks)).to(torch.uint8)
"""),
            "choose one code for all",
        ),
        (_encode(PARTS + "return torch.cdist(parts, codebooks).argmin(dim=1).T.to(torch.uint8)"), "argmin runs over the vectors"),
        (_encode(PARTS + "return torch.cdist(parts, codebooks).argmin(dim=2).to(torch.uint8)"), "The table is turned"),
        (
            _encode(PARTS + "return torch.cdist(parts, codebooks).argmin(dim=2).reshape(len(vectors), -1).to(torch.uint8)"),
            "mixes the vectors",
        ),
        (
            _encode(PARTS + """
codes = torch.cdist(parts, codebooks).argmin(dim=2)
return torch.stack([codebooks[i, codes[i]] for i in range(len(codebooks))], dim=1).flatten(1)
"""),
            "That is the *decoded* vector",
        ),
        (
            _encode(PARTS + """
codes = torch.cdist(parts, codebooks).argmin(dim=2).T
return codes + codebooks.shape[1] * torch.arange(len(codebooks))
"""),
            "You count through all codebooks",
        ),
        (_encode(PARTS + "return (torch.cdist(parts, codebooks).argmin(dim=2).T + 1).to(torch.uint8)"), "The codes begin at 1"),
        (
            _encode("vectors -= vectors.mean(dim=0)\n" + PARTS + "return torch.cdist(parts, codebooks).argmin(dim=2).T.to(torch.uint8)"),
            "changes `vectors` in place",
        ),
        (_encode(PARTS + "return torch.cdist(parts, codebooks).argmin(dim=2).T.to(torch.uint8).numpy()"), "You return a NumPy value"),
        (_encode(PARTS + "return torch.cdist(parts, codebooks).min(dim=2).values.T.to(torch.uint8)"), "how *far* the nearest entry"),
        (
            _encode("vectors = F.normalize(vectors, dim=1)\n" + PARTS + "return torch.cdist(parts, codebooks).argmin(dim=2).T.to(torch.uint8)"),
            "You normalise the vectors",
        ),
        (_encode(PARTS + "return torch.cdist(parts, codebooks[-1]).argmin(dim=2).T.to(torch.uint8)"), "All parts use the last codebook"),
        (
            _encode("""
width = codebooks.shape[2]
codes = [torch.cdist(vectors[:, i : i + width], book).argmin(dim=1) for i, book in enumerate(codebooks)]
return torch.stack(codes, dim=1).to(torch.uint8)
"""),
            "Your parts overlap",
        ),
        (
            _encode(PARTS + """
codes = torch.cdist(parts, codebooks).argmin(dim=2).T
return (codes + codebooks.shape[1] * torch.arange(len(codebooks))).to(torch.uint8)
"""),
            "You count through all codebooks",
        ),
        (
            _encode("return torch.cdist(vectors.unflatten(1, (len(codebooks), -1)), codebooks).argmin(dim=2).to(torch.uint8)"),
            "brings the parts to the front",
        ),
        (_encode(PARTS + "return (torch.cdist(parts, codebooks).argmin(dim=2).T % 255).to(torch.uint8)"), "the values are not"),
    ],
    "pq_distances": [
        (_distances("raise NotImplementedError()"), "This is not written yet"),
        (_distances(LOOKUP + f"return table[{EACH}, codes.long()].sum(dim=1).sqrt()"), "You take the root"),
        (
            _distances(QUERY + f"table = torch.cdist(parts[:, None], codebooks)[:, 0]\nreturn table[{EACH}, codes.long()].sum(dim=1)"),
            "You add up the parts' *distances*",
        ),
        (
            _distances(QUERY + f"""
own = torch.cdist(parts[:, None], codebooks)[:, 0].argmin(dim=1)
rounded = codebooks[{EACH}, own]
table = (codebooks - rounded[:, None]).square().sum(dim=2)
return table[{EACH}, codes.long()].sum(dim=1)
"""),
            "The query is encoded as well",
        ),
        (
            _distances(QUERY + f"table = torch.einsum('pd,pcd->pc', parts, codebooks)\nreturn table[{EACH}, codes.long()].sum(dim=1)"),
            "The table holds inner products",
        ),
        (_distances(LOOKUP.replace("square", "abs") + f"return table[{EACH}, codes.long()].sum(dim=1)"), "You add up absolute differences"),
        (_distances(LOOKUP.replace(".sum(dim=2)", ".mean(dim=2)") + f"return table[{EACH}, codes.long()].sum(dim=1)"), "You average the squares within a part"),
        (_distances(LOOKUP + f"return table[{EACH}, codes.long()].mean(dim=1)"), "You average over the parts"),
        (_distances(LOOKUP + f"return table[{EACH}, codes.long()].max(dim=1).values"), "You take the largest of the parts"),
        (_distances(LOOKUP + f"return table[{EACH}, codes.long()].prod(dim=1)"), "You multiply the parts"),
        (_distances(LOOKUP + "return table[0, codes[:, 0].long()]"), "Only the first part counts"),
        (
            _distances(LOOKUP + """
for i in range(len(codebooks)):
    distances = table[i, codes[:, i].long()]
return distances
"""),
            "Only the last part counts",
        ),
        (_distances(LOOKUP + f"return table[{EACH}, codes.long()]"), "The parts are not added up yet"),
        (
            _distances(
                LOOKUP.replace(QUERY, "parts = query.reshape(-1, len(codebooks)).T\n") + f"return table[{EACH}, codes.long()].sum(dim=1)"
            ),
            "Each part of the query takes every parts-th number",
        ),
        (_distances(LOOKUP + "return table[:, codes.long()].sum(dim=(0, 2))"), "looks *every* part up with every column"),
        (_distances(LOOKUP + f"return table[{EACH}, codes.long() - 1].sum(dim=1)"), "You look one entry too early"),
        (
            _distances(
                LOOKUP.replace("codebooks - ", "codebooks[:1] - ") + f"return table[{EACH}, codes.long()].sum(dim=1)"
            ),
            "All parts use the first codebook",
        ),
        (_distances(LOOKUP + f"return table[{EACH}, codes].sum(dim=1)"), "PyTorch takes an index of uint8 for a mask"),
        (_distances(LOOKUP + f"return table[{EACH}, codes.long()].sum(dim=0)"), "You add over the codes"),
        (
            _distances("query = F.normalize(query, dim=0)\n" + LOOKUP + f"return table[{EACH}, codes.long()].sum(dim=1)"),
            "You normalise the query",
        ),
        (
            _distances(QUERY + f"codebooks -= parts[:, None]\ntable = codebooks.square().sum(dim=2)\nreturn table[{EACH}, codes.long()].sum(dim=1)"),
            "changes `codebooks` in place",
        ),
        (_distances(LOOKUP + f"return table[{EACH}, codes.long()].sum(dim=1).tolist()"), "things, but one tensor is asked for"),
        (_distances(LOOKUP + "return sum(table[i][codes[:, i]] for i in range(len(table)))"), "PyTorch takes an index of uint8 for a mask"),
        (_distances(LOOKUP + "return sum(table[i, codes[:, i]] for i in range(len(table)))"), "PyTorch takes an index of uint8 for a mask"),
        (_distances(LOOKUP + "return torch.stack([sum(table[i][c] for i, c in enumerate(row)) for row in codes])"), "PyTorch takes an index of uint8 for a mask"),
        (_distances(LOOKUP + "return table.gather(1, codes.T).sum(dim=0)"), "gather takes an index of int64"),
        (_distances(LOOKUP + f"return table[{EACH}, codes.to(torch.int8).long()].sum(dim=1)"), "int8 ends at 127"),
        (
            _distances(QUERY + f"table = 2 - 2 * torch.einsum('pd,pcd->pc', parts, codebooks)\nreturn table[{EACH}, codes.long()].sum(dim=1)"),
            "and parts have not",
        ),
        (
            _distances(QUERY + f"table = torch.einsum('pd,pcd->pc', parts, codebooks)\nreturn 2 - 2 * table[{EACH}, codes.long()].sum(dim=1)"),
            "2 - 2 q.x is",
        ),
        (
            _distances(QUERY + f"""
table = codebooks.square().sum(dim=2) - 2 * torch.einsum('pd,pcd->pc', parts, codebooks)
return table[{EACH}, codes.long()].sum(dim=1)
"""),
            "|q|^2 is missing",
        ),
        (_distances(LOOKUP + "return table[0][codes.long()].sum(dim=1)"), "in the first row of the table"),
        (
            _distances(LOOKUP.replace("codebooks - ", "codebooks[-1:] - ") + f"return table[{EACH}, codes.long()].sum(dim=1)"),
            "All parts use the last codebook",
        ),
        (_distances(LOOKUP + f"return table[{EACH}, codes.long()].amin(dim=1)"), "You take the smallest of the parts"),
    ],
}  # fmt: skip

RIGHT: dict[str, list[str]] = {
    "cosine_search": [
        _search(TABLE + "return tuple(table.topk(k, dim=1))"),
        _search(TABLE + "scores, indices = table.sort(dim=1, descending=True)\nreturn scores[:, :k], indices[:, :k]"),
        _search("""
table = torch.einsum("qd,gd->qg", queries, gallery)
table = table / queries.norm(dim=1)[:, None] / gallery.norm(dim=1)
indices = table.argsort(dim=1, descending=True)[:, :k]
return table.gather(1, indices), indices
"""),
        _search("""
scores, indices = [], []
for query in queries:
    best = F.cosine_similarity(query[None], gallery, dim=1).topk(k)
    scores.append(best.values)
    indices.append(best.indices)
return torch.stack(scores), torch.stack(indices)
"""),
        _search(TABLE + "return table.topk(k)"),
    ],
    "recall_at_k": [
        _recall(HITS + "return hits.any(dim=1).float().mean()"),
        _recall("""
own = similarities.masked_fill(~matches, float("-inf")).amax(dim=1, keepdim=True)
return ((similarities > own).sum(dim=1) < k).float().mean()
"""),
        _recall("""
found = 0
for row, right in zip(similarities, matches):
    found += any(right[i] for i in row.topk(k).indices.tolist())
return torch.tensor(found / len(similarities))
"""),
        _recall("""
order = similarities.argsort(dim=1, descending=True)[:, :k]
rows = torch.arange(len(order))[:, None]
return (matches[rows, order].sum(dim=1) > 0).to(torch.float32).mean()
"""),
    ],
    "kmeans": [
        _rounds(ASSIGN + SUMS.strip() + "\n" + MOVE),
        _rounds(ASSIGN + """
members = F.one_hot(nearest, len(centroids)).float()
counts = members.sum(dim=0)
means = members.T @ vectors / counts.clamp(min=1)[:, None]
centroids = torch.where((counts > 0)[:, None], means, centroids)
"""),
        _rounds("""
distances = vectors.square().sum(dim=1, keepdim=True) - 2 * vectors @ centroids.T + centroids.square().sum(dim=1)
nearest = distances.argmin(dim=1)
centroids = torch.stack([
    vectors[nearest == i].mean(dim=0) if (nearest == i).any() else centroids[i] for i in range(len(centroids))
])
"""),
        _rounds(ASSIGN + "centroids = centroids.scatter_reduce(0, nearest[:, None].expand_as(vectors), vectors, 'mean', include_self=False)"),
        _rounds(ASSIGN + SUMS.strip() + "\n" + MOVE.replace("centroids =", "new =") + "\nif torch.equal(new, centroids): break\ncentroids = new"),
    ],
    "search_lists": [
        _lists(MEASURED + BEST + NAMED),
        _lists("""
probed = torch.cdist(query[None], centroids)[0].argsort()[:num_probes]
nearest = torch.empty(len(ids), dtype=torch.long)
nearest[ids] = torch.repeat_interleave(torch.arange(len(centroids)), bounds.diff())
candidates = torch.isin(nearest, probed).nonzero()[:, 0]
distances = ((vectors[candidates] - query) ** 2).sum(dim=1)
order = distances.argsort()[:k]
return distances[order], candidates[order]
"""),
        _lists("""
found = []
for i in (centroids - query).norm(dim=1).topk(num_probes, largest=False).indices.tolist():
    for number in ids[bounds[i]:bounds[i + 1]].tolist():
        found.append(((vectors[number] - query).square().sum().item(), number))
found = sorted(found)[:k]
return torch.tensor([d for d, _ in found]), torch.tensor([n for _, n in found])
"""),
        _lists("""
distances = (vectors - query).square().sum(dim=1)
""" + FOUND + """
best, places = distances[candidates].topk(min(k, len(candidates)), largest=False)
""" + NAMED),
    ],
    "pq_encode": [
        _encode(PARTS + "return torch.cdist(parts, codebooks).argmin(dim=2).T.to(torch.uint8)"),
        _encode("""
columns = [torch.cdist(part, book).argmin(dim=1) for part, book in zip(vectors.chunk(len(codebooks), dim=1), codebooks)]
return torch.stack(columns, dim=1).byte()
"""),
        _encode("""
parts = vectors.view(len(vectors), len(codebooks), 1, -1)
return (parts - codebooks).square().sum(dim=-1).argmin(dim=-1).to(torch.uint8)
"""),
        _encode("""
parts = vectors.unflatten(1, (len(codebooks), -1))
scores = torch.einsum("npd,pcd->npc", parts, codebooks) - codebooks.square().sum(dim=2) / 2
return scores.argmax(dim=2).to(torch.uint8)
"""),
    ],
    "pq_distances": [
        _distances(LOOKUP + f"return table[{EACH}, codes.long()].sum(dim=1)"),
        _distances(LOOKUP + "return table.gather(1, codes.T.long()).sum(dim=0)"),
        _distances("""
decoded = torch.cat([book[codes[:, i].long()] for i, book in enumerate(codebooks)], dim=1)
return (decoded - query).square().sum(dim=1)
"""),
        _distances(LOOKUP + """
total = torch.zeros(len(codes))
for i in range(len(codebooks)):
    total = total + table[i][codes[:, i].int()]
return total
"""),
        _distances(LOOKUP + """
chosen = F.one_hot(codes.long(), table.shape[1]).to(table.dtype)
return torch.einsum("npc,pc->n", chosen, table)
"""),
    ],
}  # fmt: skip
