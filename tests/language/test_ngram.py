"""Counting models: probabilities sum to one, follow the formula by hand, fall with order on real texts, and samples follow them."""

import itertools

import pytest
import torch

from course_utils import runtime
from course_utils.language.ngram import NGram

TEXTS = torch.tensor([[0, 1, 2, 1], [0, 1, 1, 2], [0, 2, 2, 2]])


def test_a_bigram_is_what_the_formula_says():
    model = NGram(TEXTS, 2, 3)
    # unigram: of nine tokens 1 comes four times and 2 five times; two kinds; beyond that all three are equally likely
    unigram = [(0 + 2 / 3) / 11, (4 + 2 / 3) / 11, (5 + 2 / 3) / 11]
    # after 1 came 2, 1, 2
    expected = [(0 + 2 * unigram[0]) / 5, (1 + 2 * unigram[1]) / 5, (2 + 2 * unigram[2]) / 5]
    after_one = [model.log_likelihood(torch.tensor([[0, 1, token]]))[0, 1].exp().item() for token in range(3)]
    assert after_one == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_probabilities_of_all_texts_sum_to_one(order):
    model = NGram(TEXTS, order, 3)
    every = torch.tensor([[0, *rest] for rest in itertools.product(range(3), repeat=3)])
    assert model.log_likelihood(every).sum(dim=1).exp().sum().item() == pytest.approx(1, rel=1e-5)


def test_padding_counts_for_nothing():
    padded = torch.cat([TEXTS, torch.full((3, 2), 1)], dim=1)
    mask = torch.arange(6).expand(3, 6) < 4
    plain, masked = NGram(TEXTS, 3, 3), NGram(padded, 3, 3, mask)
    assert masked.perplexity(padded, mask) == pytest.approx(plain.perplexity(TEXTS), rel=1e-6)
    assert masked.log_likelihood(padded, mask)[:, 3:].eq(0).all()


def test_samples_are_as_frequent_as_they_are_likely():
    model = NGram(TEXTS, 3, 3)
    drawn = model.sample(torch.zeros(20_000, dtype=torch.int64), 2, runtime.generator(0))
    for rest in itertools.product(range(3), repeat=2):
        text = torch.tensor([[0, *rest]])
        share = (drawn == text).all(dim=1).double().mean().item()
        assert share == pytest.approx(model.log_likelihood(text).sum().exp().item(), abs=0.012)


def test_a_longer_context_helps_where_there_is_one():
    walk = torch.tensor([[0, *[1 + (row + place) % 5 for place in range(20)]] for row in range(40)])
    perplexities = [NGram(walk[:30], order, 6).perplexity(walk[30:]) for order in (1, 2, 3)]
    assert perplexities[0] > 4 > 1.3 > perplexities[1]


def test_an_order_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="choose an order from 1 to 5"):
        NGram(TEXTS, 9, 1024)
