"""BERT's and T5's tasks: shares, by hand, and put back together."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils import layers, runtime
from course_utils.language.corruption import corrupt_spans, corrupt_tokens, random_parts, span_counts

from .conftest import ids

SENTINELS = torch.arange(999, 899, -1)


def restored(inputs: list[int], outputs: list[int], end: int) -> list[int]:
    """The text from which a task was made."""
    sentinels = set(SENTINELS.tolist())
    spans: dict[int, list[int]] = {}
    for token in outputs[:-1]:
        if token in sentinels:
            spans[token] = []
        else:
            spans[next(reversed(spans))].append(token)
    assert inputs[-1] == outputs[-1] == end
    return [piece for token in inputs[:-1] for piece in (spans[token] if token in sentinels else [token])]


@given(st.integers(2, 80), st.integers(0, 10_000), st.sampled_from([0.15, 0.5, 0.9]), st.sampled_from([1.0, 3.0]))
def test_spans_can_be_put_back(length, seed, rate, mean_span):
    text = ids(4, length, vocab_size=100, seed=seed)
    noise = layers.draw_uniform(text.shape, runtime.generator(seed))
    task = corrupt_spans(text, noise, sentinel_ids=SENTINELS, end_token_id=1, rate=rate, mean_span=mean_span)
    hidden, spans = span_counts(length, rate, mean_span)
    assert task.input_ids.shape == (4, length - hidden + spans + 1)
    assert task.labels.shape == (4, hidden + spans + 1)
    for inputs, outputs, original in zip(task.input_ids.tolist(), task.labels.tolist(), text.tolist(), strict=True):
        assert restored(inputs, outputs, 1) == original
        used = [token for token in inputs if token >= 900]
        assert used == SENTINELS[:spans].tolist()


def test_spans_are_everywhere_and_of_the_length_asked_for():
    hidden, spans = span_counts(200)
    assert (hidden, spans) == (30, 10)
    parts = random_parts(layers.draw_uniform((20_000, 6), runtime.generator(0)), 3)
    assert (parts.sum(dim=1) == 6).all() and parts.min() == 1
    cases, counts = parts.unique(dim=0, return_counts=True)
    assert len(cases) == 10  # ways to write 6 as a sum of three positive numbers
    assert (counts / 20_000 - 0.1).abs().max() < 0.01


def test_impossible_spans_are_refused():
    with pytest.raises(ValueError, match="10 spans need as many sentinels, got 3"):
        corrupt_spans(ids(1, 200), torch.rand(1, 200), sentinel_ids=SENTINELS[:3], end_token_id=1)
    with pytest.raises(ValueError, match="two tokens or more"):
        corrupt_spans(ids(1, 1), torch.rand(1, 1), sentinel_ids=SENTINELS, end_token_id=1)


def test_shares_of_corruption():
    text = ids(500, 200, vocab_size=1000)
    noise = layers.draw_uniform((3, *text.shape), runtime.generator(0))
    keep = torch.zeros(text.shape, dtype=torch.bool)
    keep[:, ::10] = True
    corrupted = corrupt_tokens(text, noise, vocab_size=1000, mask_token_id=1, keep=keep)
    chosen = corrupted.labels != -100
    assert corrupted.labels[chosen].equal(text[chosen])
    assert not chosen[keep].any()
    assert corrupted.input_ids[~chosen].equal(text[~chosen])
    assert chosen[~keep].float().mean() == pytest.approx(0.15, abs=0.005)
    masked = corrupted.input_ids[chosen] == 1
    changed = corrupted.input_ids[chosen] != text[chosen]
    assert masked.float().mean() == pytest.approx(0.8, abs=0.01)
    assert (changed & ~masked).float().mean() == pytest.approx(0.1, abs=0.01)
    random = corrupted.input_ids[chosen][changed & ~masked]
    assert 0 <= random.min() < 50 and 950 < random.max() < 1000
    assert random.float().mean() == pytest.approx(500, abs=20)


def test_corruption_by_hand():
    text = torch.tensor([[10, 11, 12, 13, 14]])
    noise = torch.tensor([[[0.1, 0.1, 0.1, 0.15, 0.1]], [[0.79, 0.8, 0.9, 0.0, 0.0]], [[0.0, 0.999, 0.5, 0.5, 0.5]]])
    keep = torch.tensor([[False, False, False, False, True]])
    corrupted = corrupt_tokens(text, noise, vocab_size=20, mask_token_id=3, keep=keep)
    assert corrupted.input_ids.tolist() == [[3, 19, 12, 13, 14]]
    assert corrupted.labels.tolist() == [[10, 11, 12, -100, -100]]
    with pytest.raises(ValueError, match="three numbers a token"):
        corrupt_tokens(text, noise[:2], vocab_size=20, mask_token_id=3)
