"""Contrastive losses by closed forms; in chunks, and on two processes, equal to the plain ones in value and gradients."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from course_utils.clip import info_nce, siglip_loss


def pairs(batch: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return tuple(F.normalize(torch.randn(2, batch, 5), dim=2).requires_grad_().unbind())


def test_info_nce_by_hand():
    images, texts = pairs()
    scale = torch.tensor(3.0)
    table = (scale * images @ texts.T).double()
    probabilities = table.exp() / table.exp().sum(1, keepdim=True), table.exp() / table.exp().sum(0, keepdim=True)
    expected = -sum(part.diagonal().log().mean() for part in probabilities) / 2
    torch.testing.assert_close(info_nce(images, texts, scale).double(), expected)
    torch.testing.assert_close(info_nce(texts, images, scale), info_nce(images, texts, scale))


def test_info_nce_that_knows_nothing_is_the_log_of_the_batch():
    same = F.normalize(torch.ones(16, 5), dim=1)
    assert info_nce(same, same, torch.tensor(7.0)).item() == pytest.approx(math.log(16), abs=1e-5)
    apart = torch.eye(16)
    assert info_nce(apart, apart, torch.tensor(100.0)) < 1e-6


def test_siglip_by_hand():
    images, texts = (features.detach() for features in pairs())
    scale, bias = torch.tensor(3.0), torch.tensor(-2.0)
    expected = 0.0
    for i in range(8):
        for j in range(8):
            logit = float(scale * images[i] @ texts[j] + bias)
            expected += math.log(1 + math.exp(-logit if i == j else logit)) / 8
    assert siglip_loss(images, texts, scale, bias).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("chunk", [1, 3, 8, 100])
def test_in_chunks_value_and_gradients_are_the_same(chunk):
    images, texts = pairs()
    scale = torch.tensor(3.0, requires_grad=True)
    plain, chunked = info_nce(images, texts, scale), info_nce(images, texts, scale, chunk)
    torch.testing.assert_close(chunked, plain)
    wanted = (images, texts, scale)
    for ours, theirs in zip(torch.autograd.grad(chunked, wanted), torch.autograd.grad(plain, wanted), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_chunks_keep_no_table():
    """What is saved for the backward pass, in numbers."""

    def saved(chunk: int) -> int:
        images, texts = pairs(256)
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda kept: sizes.append(kept.numel()) or kept, lambda kept: kept
        ):
            info_nce(images, texts, torch.tensor(3.0), chunk)
        return max(sizes)

    assert saved(0) == 256 * 256
    assert saved(32) <= 256 * 5


def test_two_processes_are_one_with_the_whole_batch(tmp_path):
    program, file = Path(__file__).with_name("two_processes.py"), tmp_path / "results.pt"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", program, file]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    results = torch.load(file, weights_only=True)
    torch.manual_seed(0)
    network, inputs = torch.nn.Linear(5, 3), torch.randn(2, 8, 5)
    for name, found in results.items():
        network.zero_grad()
        scale, bias = (torch.tensor(value, requires_grad=True) for value in (3.0, -2.0))
        images, texts = F.normalize(network(inputs), dim=2)
        loss = siglip_loss(images, texts, scale, bias) if name == "siglip" else info_nce(images, texts, scale)
        loss.backward()
        for ours, expected in zip(found, (loss.detach(), network.weight.grad, scale.grad), strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


def test_what_are_no_pairs_is_refused():
    with pytest.raises(ValueError, match=r"got \(4, 5\) and \(3, 5\)"):
        info_nce(torch.randn(4, 5), torch.randn(3, 5), torch.tensor(1.0))
