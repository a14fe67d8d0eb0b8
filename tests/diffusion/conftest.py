"""What tests of published weights share, and those of recipes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from course_utils import runtime
from course_utils.training import Recipe

Weights = dict[str, Tensor]


@pytest.fixture
def with_old_names() -> Callable[[Weights], Weights]:
    """Names weights as diffusers did before 2023: an attention's layers are query, key, value, proj_attn."""
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def renamed(weights: Weights) -> Weights:
        stored = {}
        for name, tensor in weights.items():
            for new, legacy in old.items():
                name = name.replace(f".{new}.", f".{legacy}.")
            stored[name] = tensor
        return stored

    return renamed


@pytest.fixture
def shaken() -> Callable[[Recipe], nn.Module]:
    """Makes a recipe's network as after some training: at first the last layer of every sum is zero, and lets nothing through."""

    def make(recipe: Recipe) -> nn.Module:
        torch.manual_seed(0)
        network = recipe.model().to(runtime.device()).eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        return network

    return make
