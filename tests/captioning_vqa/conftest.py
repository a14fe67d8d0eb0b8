"""What the tests of this chapter share: tiny peers of transformers with random weights, saved to a folder as the hub has them; pictures and texts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from course_utils import runtime
from course_utils.clip.open_clip_layout import MEAN, STD
from course_utils.layers import draw_integers, draw_uniform

Build = Callable[[], Any]


def ids(*shape: int, vocab_size: int = 90, seed: int = 1) -> Tensor:
    return draw_integers(3, vocab_size, shape, runtime.generator(seed))


def pictures(batch: int = 3, size: int = 16) -> Tensor:
    return draw_uniform((batch, 3, size, size), runtime.generator(0)) * 2 - 1


def as_the_peer_sees_them(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return ((images + 1) / 2 - mean) / std


def real(*lengths: int, total: int) -> Tensor:
    """Which tokens are real in texts of these lengths, padded on the right."""
    return torch.arange(total) < torch.tensor(lengths)[:, None]


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


def compare_gradients(theirs: Any, ours: nn.Module, folder: Path, left_out: tuple[str, ...] = ()) -> None:
    """Gradients of equal losses, under our names. The peer's take the place of its weights, and are read like weights.

    Parameters whose names begin with one of `left_out` are not compared.
    """
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
    theirs.save_pretrained(folder)
    expected = dict(type(ours).from_hub(folder).named_parameters())
    for name, parameter in ours.named_parameters():
        if not name.startswith(left_out):
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            size = expected[name].detach().abs().max().clamp(min=1)
            close(gradient / size, expected[name].detach() / size)


def lively(model: nn.Module) -> nn.Module:
    """Larger layers and a smaller table of tokens: a tiny network with tied weights would repeat the last token for ever."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("word_embeddings.weight", "embed_tokens.weight", "shared.weight", "wte.weight")):
                parameter.mul_(0.3)
            elif parameter.ndim == 2:
                parameter.mul_(4)
    return model
