"""Attention, and the transformers that are made of it, under the names by which diffusers stores them.

    attention(q, k, v) = softmax(q k' / sqrt(d)) v

Each token asks (q), all tokens offer what they are found by (k) and what they then say (v). With a context, keys and values come from there:
cross-attention, by which a picture looks at a text.

Papers: Vaswani et al., NeurIPS 2017, section 3.2. Shazeer, "GLU variants improve transformer", 2020 (gated GELU). Rombach et al., CVPR 2022,
section 3.3 and appendix E.2.1 (a picture that looks at a context).
"""

import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN = 4  # how many times wider the feed-forward layer is inside


class Attention(nn.Module):
    """Tokens (batch, n, width) that look at each other, or at a context (batch, m, context_width); the shape stays.

    Args:
        num_heads: it must divide the width.
        context_width: of the context's tokens; 0 for attention among the tokens themselves.
        bias: of the layers that make q, k and v.

    Raises:
        ValueError: if the heads do not divide the width.
    """

    def __init__(self, width: int, num_heads: int = 1, context_width: int = 0, bias: bool = True):
        super().__init__()
        if num_heads < 1 or width % num_heads:
            raise ValueError(
                f"{num_heads} heads cannot share a width of {width}: it must be a multiple of their number"
            )
        self.num_heads = num_heads
        self.to_q = nn.Linear(width, width, bias=bias)
        self.to_k, self.to_v = (nn.Linear(context_width or width, width, bias=bias) for _ in range(2))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, tokens: Tensor, context: Tensor | None = None) -> Tensor:
        context = tokens if context is None else context
        queries, keys, values = (
            # (batch, n, width) -> (batch, heads, n, width / heads)
            layer(source).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for layer, source in ((self.to_q, tokens), (self.to_k, context), (self.to_v, context))
        )
        seen = F.scaled_dot_product_attention(queries, keys, values)
        return self.to_out[0](seen.transpose(1, 2).flatten(2))  # (batch, heads, n, d) -> (batch, n, width)


class GELU(nn.Module):
    """A linear layer and GELU, in the form with tanh: (..., width) to (..., hidden)."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.proj = nn.Linear(width, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        return F.gelu(self.proj(tokens), approximate="tanh")


class GatedGELU(nn.Module):
    """a * GELU(b) with a and b from one linear layer: (..., width) to (..., hidden)."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.proj = nn.Linear(width, 2 * hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        values, gates = self.proj(tokens).chunk(2, dim=-1)
        return values * F.gelu(gates)


class FeedForward(nn.Module):
    """Each token by itself through a wider layer: (batch, n, width), the shape stays.

    Args:
        gated: with a gated GELU, as in the U-Net of latent diffusion; else the plain one, as in DiT.
    """

    def __init__(self, width: int, gated: bool):
        super().__init__()
        hidden = HIDDEN * width
        # the second place is that of a dropout layer, which ours does without
        self.net = nn.Sequential((GatedGELU if gated else GELU)(width, hidden), nn.Identity(), nn.Linear(hidden, width))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.net(tokens)


class TransformerBlock(nn.Module):
    """Tokens (batch, n, width) look at one another, then at a context (batch, m, context_width), then each thinks alone: x + F(x) three times."""

    def __init__(self, width: int, num_heads: int, context_width: int):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attn1 = Attention(width, num_heads, bias=False)
        self.attn2 = Attention(width, num_heads, context_width, bias=False)
        self.ff = FeedForward(width, gated=True)

    def forward(self, tokens: Tensor, context: Tensor) -> Tensor:
        tokens = tokens + self.attn1(self.norm1(tokens))
        tokens = tokens + self.attn2(self.norm2(tokens), context)
        return tokens + self.ff(self.norm3(tokens))


class SpatialTransformer(nn.Module):
    """x + transformer(x) over the places of (batch, channels, h, w), which also look at a context (Rombach et al., section 3.3, appendix E.2.1)."""

    def __init__(self, channels: int, num_heads: int, context_width: int, groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, num_heads, context_width)])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor, context: Tensor) -> Tensor:
        tokens = self.proj_in(self.norm(features)).flatten(2).transpose(1, 2)  # (b, c, h, w) -> (b, h * w, c)
        for block in self.transformer_blocks:
            tokens = block(tokens, context)
        return features + self.proj_out(tokens.transpose(1, 2).unflatten(2, features.shape[2:]))


LEGACY_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def modern_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights under diffusers' present names: files before 2023 call the attention's layers query, key, value, proj_attn."""
    renamed = {}
    for name, tensor in weights.items():
        head, _, last = name.rpartition(".")
        block, _, layer = head.rpartition(".")
        renamed[f"{block}.{LEGACY_ATTENTION[layer]}.{last}" if layer in LEGACY_ATTENTION else name] = tensor
    return renamed
