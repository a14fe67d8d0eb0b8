"""Ranks by hand and by sorting; recall against torchmetrics."""

import pytest
import torch
from torchmetrics.retrieval import RetrievalRecall

from course_utils import layers, runtime
from course_utils.metrics import median_rank, ranks, recall_at_k


def test_ranks_by_hand():
    table = torch.tensor([[0.9, 0.1, 0.5], [0.9, 0.1, 0.5], [0.9, 0.1, 0.5]])
    assert ranks(table).tolist() == [1, 3, 2]
    right = torch.tensor([[False, True, True], [True, True, False], [False, True, False]])
    assert ranks(table, right).tolist() == [2, 1, 3]


def test_who_says_the_same_of_everything_finds_nothing():
    assert ranks(torch.ones(4, 4)).tolist() == [4, 4, 4, 4]


def test_ranks_are_places_in_the_sorted_list():
    table = layers.draw_normal((20, 50), runtime.generator(0))
    order = table.argsort(dim=1, descending=True)
    expected = (order == torch.arange(20)[:, None]).long().argmax(1) + 1
    assert ranks(table).equal(expected)


@pytest.mark.parametrize("k", [1, 5, 30])
def test_recall_is_that_of_torchmetrics(k):
    table = layers.draw_uniform((20, 30), runtime.generator(0)) + 0.1  # the peer takes no answer with a score below 0
    queries = torch.arange(20)[:, None].expand(20, 30)
    peer = RetrievalRecall(top_k=k)(table.flatten(), torch.eye(20, 30).flatten().long(), indexes=queries.flatten())
    assert recall_at_k(ranks(table), k) == pytest.approx(peer.item())


def test_median():
    assert median_rank(torch.tensor([1, 9, 3])) == 3.0
    assert median_rank(torch.tensor([1, 9, 3, 4])) == 3.5


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"got \(2, 3\) and \(3, 2\)"):
        ranks(torch.zeros(2, 3), torch.zeros(3, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="query 2 has no right answer"):
        ranks(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="k = 0"):
        recall_at_k(torch.tensor([1]), 0)
    with pytest.raises(ValueError, match="got 0 queries"):
        recall_at_k(torch.tensor([]), 1)
