"""What tests against published models share: tiny peers with random weights, saved to a folder as the hub has them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from course_utils import runtime
from course_utils.layers import draw_integers

Build = Callable[[], Any]


def ids(*shape: int, vocab_size: int = 99, seed: int = 1) -> Tensor:
    return draw_integers(3, vocab_size, shape, runtime.generator(seed))


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[[Build, type], tuple[Any, nn.Module]]:
    """`tiny(build, Ours)`: a peer of transformers with random weights, none of which is zero, and ours, read from its folder."""

    def make(build: Build, ours: type) -> tuple[Any, nn.Module]:
        torch.manual_seed(0)
        peer = build().eval()
        with torch.no_grad():
            for parameter in peer.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        peer.save_pretrained(tmp_path)
        return peer, ours.from_hub(tmp_path)

    return make


def compare_gradients(theirs: Any, ours: nn.Module, folder: Path) -> None:
    """Gradients of equal losses, under our names. The peer's take the place of its weights, and are read like weights."""
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
    theirs.save_pretrained(folder)
    expected = dict(type(ours).from_hub(folder).named_parameters())
    for name, parameter in ours.named_parameters():
        close(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad, expected[name].detach())
