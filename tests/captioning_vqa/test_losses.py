"""The losses of BLIP by closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F

from course_utils import runtime
from course_utils.captioning_vqa.losses import (
    Keys,
    contrastive_loss,
    enqueue,
    follow,
    hard_negatives,
    keys_of,
    matching_loss,
    soft_targets,
    writing_loss,
)
from course_utils.clip import info_nce
from course_utils.layers import draw_normal, draw_uniform

SCALE = torch.tensor(3.0)


def vectors(number: int, seed: int) -> torch.Tensor:
    return F.normalize(draw_normal((number, 5), runtime.generator(seed)), dim=1)


def keys(batch: int = 4, older: int = 7) -> Keys:
    return Keys(vectors(batch, 3), vectors(batch, 4), vectors(older, 5), vectors(older, 6))


def test_without_slow_copy_and_queue_the_contrast_is_that_of_clip():
    images, texts = vectors(4, 1).requires_grad_(), vectors(4, 2).requires_grad_()
    ours = contrastive_loss(images, texts, SCALE, keys_of(images, texts))
    torch.testing.assert_close(ours, info_nce(images, texts, SCALE))


def test_the_contrast_by_hand():
    """Against the keys of the slow copy and the older ones, targets in part the slow copy's own opinion."""
    images, texts, slow, alpha = vectors(4, 1), vectors(4, 2), keys(), 0.4
    expected = 0.0
    for queries, own, candidates in (
        (images, slow.images, torch.cat([slow.texts, slow.older_texts])),
        (texts, slow.texts, torch.cat([slow.images, slow.older_images])),
    ):
        for row in range(4):
            logs = (3 * queries[row] @ candidates.T).double().log_softmax(0)
            target = alpha * (3 * own[row] @ candidates.T).double().softmax(0)
            target[row] += 1 - alpha
            expected -= float((target * logs).sum()) / 8
    assert contrastive_loss(images, texts, SCALE, slow, alpha).item() == pytest.approx(expected, abs=1e-5)


def test_no_gradient_flows_through_the_keys():
    slow = Keys(*(part.requires_grad_() for part in keys()))
    images, texts = vectors(4, 1).requires_grad_(), vectors(4, 2).requires_grad_()
    scale = torch.tensor(3.0, requires_grad=True)
    contrastive_loss(images, texts, scale, keys_of(images, texts), 0.5).backward()
    assert images.grad.abs().sum() > 0
    targets = soft_targets(scale * images.detach() @ slow.texts.detach().T, 0.5)
    torch.testing.assert_close(targets.sum(1), torch.ones(4))
    own = keys_of(images, texts)
    assert not (own.images.requires_grad or own.texts.requires_grad or len(own.older_images) or len(own.older_texts))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_soft_targets_lie_between_own_key_and_opinion(alpha):
    table = draw_normal((3, 5), runtime.generator(0))
    found = soft_targets(table, alpha)
    torch.testing.assert_close(found.sum(1), torch.ones(3))
    own = torch.eye(3, 5)
    torch.testing.assert_close(found - own, alpha * (table.softmax(1) - own))


def test_negatives_are_drawn_by_their_similarity_and_never_own():
    table = torch.tensor([[9.0, 0.0, 1.0, 2.0], [0.0, 9.0, 0.0, 0.0], [3.0, -3.0, 9.0, 0.0], [0.0, 1.0, 2.0, 9.0]])
    table = table - 9 * torch.eye(4)  # so that the rest is not all rounding
    drawn = torch.stack([hard_negatives(table, draw) for draw in draw_uniform((20_000, 4, 4), runtime.generator(1))])
    for row in range(4):
        shares = drawn[:, row].bincount(minlength=4) / len(drawn)
        weights = table[row].softmax(0) + 1e-4
        weights[row] = 0
        assert shares[row] == 0
        assert (shares - weights / weights.sum()).abs().max() < 0.015


def test_negatives_follow_their_draw_and_need_another_pair():
    draw = draw_uniform((4, 4), runtime.generator(1))
    table = draw_normal((4, 4), runtime.generator(2)).requires_grad_()
    assert hard_negatives(table, draw).equal(hard_negatives(table, draw))
    assert hard_negatives(torch.eye(2), torch.rand(2, 2)).tolist() == [1, 0]
    with pytest.raises(ValueError, match="batch of 1"):
        hard_negatives(torch.zeros(1, 1), torch.zeros(1, 1))


def test_matching_by_hand():
    logits = torch.tensor([[0.0, 2.0], [1.0, 1.0], [3.0, 0.0], [0.0, 1.0], [2.0, 2.0], [0.0, 0.0]])
    yes = [math.log(1 + math.exp(-2)), math.log(2)]
    no = [math.log(1 + math.exp(-3)), math.log(1 + math.exp(1)), math.log(2), math.log(2)]
    assert matching_loss(logits).item() == pytest.approx(sum(yes + no) / 6, abs=1e-6)


def test_writing_predicts_the_next_token_and_leaves_out_what_is_marked():
    logits = draw_normal((2, 4, 6), runtime.generator(0))
    labels = torch.tensor([[1, 2, 3, -100], [5, -100, 0, 4]])
    logs = logits.log_softmax(2)
    chosen = [logs[0, 0, 2], logs[0, 1, 3], logs[1, 1, 0], logs[1, 2, 4]]
    torch.testing.assert_close(writing_loss(logits, labels), -torch.stack(chosen).mean())
    rows = [logs[0, 0], logs[0, 1], logs[1, 1], logs[1, 2]]
    spread = -torch.stack([row.mean() for row in rows]).mean()
    expected = 0.9 * writing_loss(logits, labels) + 0.1 * spread
    torch.testing.assert_close(writing_loss(logits, labels, 0.1), expected)


def test_the_queue_keeps_the_newest():
    queue = torch.zeros(0, 2)
    for number in range(1, 5):
        queue = enqueue(queue, torch.full((2, 2), float(number), requires_grad=True), 5)
    assert queue[:, 0].tolist() == [4, 4, 3, 3, 2]
    assert not queue.requires_grad


def test_the_slow_copy_follows():
    slow, fast = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    before = slow.weight.detach().clone()
    follow(slow, fast, 0.9)
    torch.testing.assert_close(slow.weight.detach(), 0.9 * before + 0.1 * fast.weight.detach())
    follow(slow, fast, 0.0)
    assert slow.bias.equal(fast.bias)
