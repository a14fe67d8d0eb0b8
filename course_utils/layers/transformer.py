"""The layer of which GPT-2, the vision transformer and both towers of CLIP are stacked."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.layers.attention import Attention
from course_utils.layers.caching import KeyValues


def quick_gelu(features: Tensor) -> Tensor:
    """x * sigmoid(1.702 x), a rough GELU that OpenAI's CLIP was trained with."""
    return features * torch.sigmoid(1.702 * features)


def tanh_gelu(features: Tensor) -> Tensor:
    """GELU by a formula with tanh, as in GPT-2 and T5."""
    return F.gelu(features, approximate="tanh")


ACTIVATIONS = {"gelu": F.gelu, "tanh_gelu": tanh_gelu, "quick_gelu": quick_gelu, "relu": F.relu}


class MLP(nn.Module):
    """Each token by itself through a wider layer: (batch, n, width), the shape stays."""

    def __init__(self, width: int, hidden: int, activation: str):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation is {activation!r}, but must be one of {', '.join(ACTIVATIONS)}")
        self.activation = ACTIVATIONS[activation]
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.down(self.activation(self.up(tokens)))


class PreNormLayer(nn.Module):
    """Tokens (batch, n, width) look at one another, then each thinks alone: x + F(norm(x)) twice; the shape stays.

    Args:
        bias: of the layers that make queries, keys and values.
    """

    def __init__(self, width: int, num_heads: int, hidden: int, activation: str, eps: float, bias: bool = True):
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps) for _ in range(2))
        self.attention = Attention(width, num_heads, bias=bias)
        self.mlp = MLP(width, hidden, activation)

    def forward(
        self, tokens: Tensor, mask: Tensor | None = None, causal: bool = False, cache: KeyValues | None = None
    ) -> Tensor:
        """Arguments as for `Attention.forward`."""
        tokens = tokens + self.attention(self.norm1(tokens), mask=mask, causal=causal, cache=cache)
        return tokens + self.mlp(self.norm2(tokens))
