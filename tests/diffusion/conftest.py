"""What tests of published weights share."""

from collections.abc import Callable

import pytest
from torch import Tensor

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
