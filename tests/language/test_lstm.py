"""The LSTM for comparison: it reads from left to right, and its loss is that of the real tokens."""

import pytest
import torch
import torch.nn.functional as F

from course_utils.language import LSTM, LSTMConfig

IDS = torch.tensor([[3, 1, 4, 1, 5], [2, 6, 5, 3, 5]])


@pytest.fixture
def model() -> LSTM:
    torch.manual_seed(0)
    return LSTM(LSTMConfig(9, 12, 2)).eval()


def test_a_token_says_nothing_about_those_before_it(model):
    other = IDS.clone()
    other[:, 3] = 7
    changed = (model(other) - model(IDS)).abs().amax(dim=(0, 2)) > 0
    assert changed.tolist() == [False, False, False, True, True]


def test_the_loss_is_the_mean_over_real_tokens_but_the_first(model):
    mask = torch.tensor([[True] * 5, [True, True, True, False, False]])
    log_p = model(IDS)[:, :-1].log_softmax(dim=2).gather(2, IDS[:, 1:, None])[:, :, 0]
    torch.testing.assert_close(model.loss(IDS, mask), -log_p[mask[:, 1:]].mean())
    torch.testing.assert_close(model.loss(IDS), F.cross_entropy(model(IDS)[:, :-1].flatten(0, 1), IDS[:, 1:].flatten()))
    labels = IDS.masked_fill(IDS != 5, -100)
    torch.testing.assert_close(model.loss(IDS, labels=labels), -log_p[IDS[:, 1:] == 5].mean())
