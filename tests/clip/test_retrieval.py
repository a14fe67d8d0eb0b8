"""Search from scratch against faiss: the same answers where both have the same centres and codes, as good ones where each learns its own."""

import faiss
import numpy
import pytest
import torch
import torch.nn.functional as F

from course_utils import layers, runtime
from course_utils.clip.retrieval import InvertedLists, ProductQuantizer, assign, kmeans, search

DIM, LISTS, PARTS = 16, 32, 8


def vectors(count: int, seed: int) -> torch.Tensor:
    """Unit vectors in loose clusters, as embeddings are."""
    middles = layers.draw_normal((40, DIM), runtime.generator(99))
    which = layers.draw_integers(0, 40, (count,), runtime.generator(seed))
    return F.normalize(middles[which] + layers.draw_normal((count, DIM), runtime.generator(seed + 1)), dim=1)


GALLERY, QUERIES = vectors(3000, 0), vectors(100, 10)


def recall(found: torch.Tensor, k: int = 10) -> float:
    """Share of the true neighbours that were found."""
    true = search(QUERIES, GALLERY, k).indices
    return (found[:, :k, None] == true[:, None]).any(1).double().mean().item()


def inverted(centres: torch.Tensor | None) -> faiss.IndexIVFFlat:
    """faiss's lists around given centres, or around its own."""
    coarse = faiss.IndexFlatIP(DIM)
    index = faiss.IndexIVFFlat(coarse, DIM, LISTS, faiss.METRIC_INNER_PRODUCT)
    if centres is None:
        index.train(GALLERY.numpy())
    else:
        coarse.add(centres.numpy())
        index.is_trained = True
    index.add(GALLERY.numpy())
    return index


def same(found, scores: numpy.ndarray, indices: numpy.ndarray) -> None:
    """Equal scores; equal rows too, but where two scores differ by rounding only."""
    ours, theirs = found.scores, torch.from_numpy(scores)
    real = torch.from_numpy(indices) >= 0
    torch.testing.assert_close(ours[real], theirs[real], rtol=0, atol=1e-5)
    assert (found.indices < 0).equal(~real)
    assert (found.indices == torch.from_numpy(indices)).double().mean() > 0.98


def test_exact_search_is_that_of_faiss_and_of_sorting():
    index = faiss.IndexFlatIP(DIM)
    index.add(GALLERY.numpy())
    found = search(QUERIES, GALLERY, 10)
    same(found, *index.search(QUERIES.numpy(), 10))
    assert found.indices.equal((QUERIES @ GALLERY.T).argsort(dim=1, descending=True)[:, :10])


def test_kmeans_is_as_good_as_that_of_faiss():
    ours = kmeans(GALLERY, LISTS, runtime.generator(0))
    peer = faiss.Kmeans(DIM, LISTS, niter=20, seed=1, min_points_per_centroid=1)
    peer.train(GALLERY.numpy())
    errors = [assign(GALLERY, centres)[1].mean().item() for centres in (ours, torch.from_numpy(peer.centroids))]
    assert errors[0] == pytest.approx(errors[1], rel=0.03)
    assert assign(GALLERY, ours)[1].mean() < 0.8 * assign(GALLERY, GALLERY[:LISTS])[1].mean()


def test_kmeans_by_hand():
    points = torch.tensor([[0.0], [1.0], [9.0], [10.0]])
    centres = kmeans(points, 2, runtime.generator(0))
    assert sorted(centres.tolist()) == [[0.5], [9.5]]
    nearest, distances = assign(points, centres)
    assert nearest[0] == nearest[1] != nearest[2] == nearest[3]
    torch.testing.assert_close(distances, torch.full((4,), 0.25))


def test_a_centre_without_vectors_begins_anew():
    """Of three centres two begin at the same point: one of them must move away."""
    points = torch.tensor([[3.0, 3.0]] * 5 + [[9.0, 3.0]] * 5 + [[3.0, 9.0]])
    for seed in range(5):
        centres = kmeans(points, 3, runtime.generator(seed))
        assert sorted(centres.tolist()) == [[3.0, 3.0], [3.0, 9.0], [9.0, 3.0]]


def test_spherical_centres_are_unit_vectors_and_draws_are_a_function_of_the_generator():
    first, again, other = (kmeans(GALLERY, 8, runtime.generator(seed), 2, spherical=True) for seed in (0, 0, 1))
    torch.testing.assert_close(first.norm(dim=1), torch.ones(8))
    assert first.equal(again) and not first.equal(other)


@pytest.mark.parametrize("probes", [1, 4, LISTS])
def test_lists_with_the_same_centres_give_the_answers_of_faiss(probes):
    centres = kmeans(GALLERY, LISTS, runtime.generator(0), spherical=True)
    ours, peer = InvertedLists(GALLERY, centres), inverted(centres)
    peer.nprobe = probes
    same(ours.search(QUERIES, 10, probes), *peer.search(QUERIES.numpy(), 10))


def test_lists_of_their_own_find_as_much_as_those_of_faiss():
    ours = InvertedLists(GALLERY, kmeans(GALLERY, LISTS, runtime.generator(0), spherical=True))
    peer = inverted(None)
    found = []
    for probes in (1, 2, 4, 8):
        peer.nprobe = probes
        theirs = recall(torch.from_numpy(peer.search(QUERIES.numpy(), 10)[1]))
        found.append(recall(ours.search(QUERIES, 10, probes).indices))
        assert found[-1] == pytest.approx(theirs, abs=0.05)
    assert found == sorted(found) and found[0] < 0.9 < found[-1]
    assert recall(ours.search(QUERIES, 10, LISTS).indices) == 1.0


def test_lists_that_hold_fewer_say_so():
    lists = InvertedLists(torch.eye(4), torch.eye(4))
    found = lists.search(torch.eye(4)[:1], 3, probes=2)
    assert found.indices[0, 0] == 0 and found.indices[0, 2] == -1
    assert found.scores[0].tolist() == [1.0, 0.0, float("-inf")]


def test_a_quantiser_with_the_same_codes_gives_the_answers_of_faiss():
    ours = ProductQuantizer.fit(GALLERY, PARTS, runtime.generator(0), iterations=5)
    peer = faiss.IndexPQ(DIM, PARTS, 8, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(ours.codebooks.numpy().ravel(), peer.pq.centroids)
    peer.is_trained = True
    peer.add(GALLERY.numpy())
    codes = ours.encode(GALLERY)
    theirs = peer.pq.compute_codes(GALLERY.numpy())
    assert codes.dtype == torch.uint8 and (codes.numpy() == theirs).mean() > 0.999
    torch.testing.assert_close(ours.decode(codes), torch.from_numpy(peer.pq.decode(codes.numpy())))
    same(ours.search(QUERIES, codes, 10), *peer.search(QUERIES.numpy(), 10))


def test_a_quantiser_of_its_own_finds_as_much_as_that_of_faiss():
    ours = ProductQuantizer.fit(GALLERY, PARTS, runtime.generator(0))
    peer = faiss.IndexPQ(DIM, PARTS, 8, faiss.METRIC_INNER_PRODUCT)
    peer.train(GALLERY.numpy())
    peer.add(GALLERY.numpy())
    theirs = recall(torch.from_numpy(peer.search(QUERIES.numpy(), 10)[1]))
    codes = ours.encode(GALLERY)
    assert recall(ours.search(QUERIES, codes, 10).indices) == pytest.approx(theirs, abs=0.05)
    rough = ProductQuantizer.fit(GALLERY, 2, runtime.generator(0))
    coarse = rough.decode(rough.encode(GALLERY))
    assert (ours.decode(codes) - GALLERY).norm() < 0.7 * (coarse - GALLERY).norm()


def test_errors_name_what_is_wrong():
    lists, quantiser = InvertedLists(GALLERY, GALLERY[:4]), ProductQuantizer(torch.zeros(4, 8, 4))
    for call in (
        lambda: search(QUERIES, GALLERY[:5], 6),
        lambda: InvertedLists(GALLERY[:5], GALLERY[:2]).search(QUERIES, 6),
        lambda: quantiser.search(QUERIES, torch.zeros(5, 4, dtype=torch.uint8), 6),
    ):
        with pytest.raises(ValueError, match="k is 6, but must lie between 1 and the size of the gallery, 5"):
            call()
    with pytest.raises(ValueError, match=r"\(queries, 16\), as the gallery has, got \(100, 15\)"):
        search(QUERIES[:, :15], GALLERY, 1)
    with pytest.raises(ValueError, match="number of lists, 4"):
        lists.search(QUERIES, 1, probes=5)
    with pytest.raises(ValueError, match="9 centres need at least as many vectors"):
        kmeans(GALLERY[:8], 9, runtime.generator(0))
    with pytest.raises(ValueError, match="3 parts do not divide"):
        ProductQuantizer.fit(GALLERY, 3, runtime.generator(0))
    with pytest.raises(ValueError, match="codes is 257"):
        ProductQuantizer.fit(GALLERY, 4, runtime.generator(0), codes=257)
