"""Attention, and the transformers that are made of it, under the names by which diffusers stores them.

    attention(q, k, v) = softmax(q k' / sqrt(d)) v

Each token asks (q), all tokens offer what they are found by (k) and what they then say (v). With a context, keys and values come from there:
cross-attention, by which a picture looks at a text.

Masks, in the whole course: boolean, True where a token may be looked at. `attention_mask` (batch, m) says which tokens of a padded batch are real;
`mask` says who sees whom, (n, m) or with batch and heads before that, as `scaled_dot_product_attention` takes it. That one may also hold numbers,
which are added to q k': minus infinity hides.

Papers: Vaswani et al., NeurIPS 2017, section 3.2. Shazeer, "GLU variants improve transformer", 2020 (gated GELU). Rombach et al., CVPR 2022,
section 3.3 and appendix E.2.1 (a picture that looks at a context).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.layers.caching import KeyValues

HIDDEN = 4  # how many times wider the feed-forward layer is inside


class Attention(nn.Module):
    """Tokens (batch, n, width) that look at each other, or at a context (batch, m, context_width); the shape stays.

    Args:
        num_heads: it must divide the width, unless there is a `head_dim`.
        context_width: of the context's tokens; 0 for attention among the tokens themselves.
        bias: of the layers that make q, k and v.
        head_dim: width of a head; 0 for width / num_heads.
        out_bias: of the last layer.
        scale: of q k'; None for 1 / sqrt(head_dim).

    Raises:
        ValueError: if the heads do not divide the width.
    """

    def __init__(
        self, width: int, num_heads: int = 1, context_width: int = 0, bias: bool = True, *, head_dim: int = 0,
        out_bias: bool = True, scale: float | None = None,
    ):  # fmt: skip
        super().__init__()
        if num_heads < 1 or (width % num_heads and not head_dim):
            raise ValueError(
                f"{num_heads} heads cannot share a width of {width}: it must be a multiple of their number"
            )
        self.num_heads = num_heads
        self.scale = scale
        inner = num_heads * (head_dim or width // num_heads)
        self.to_q = nn.Linear(width, inner, bias=bias)
        self.to_k, self.to_v = (nn.Linear(context_width or width, inner, bias=bias) for _ in range(2))
        self.to_out = nn.ModuleList([nn.Linear(inner, width, bias=out_bias)])

    def forward(
        self,
        tokens: Tensor,
        context: Tensor | tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
        *,
        causal: bool = False,
        cache: KeyValues | None = None,
    ) -> Tensor:
        """What each token has seen, (batch, n, width).

        Args:
            context: tokens (batch, m, context_width), or what `keys_values` made of them.
            mask: who sees whom, as the module's first lines say.
            causal: token i sees the tokens up to i. With a `mask` or an earlier `cache` that is for the mask to say.
            cache: of self-attention: keys and values of the tokens before these, to which theirs are added.
        """
        queries = self._heads(self.to_q(tokens))
        keys, values = self._sources(tokens, context)
        if cache is not None:
            keys, values = cache.extend(keys, values)
        seen = F.scaled_dot_product_attention(queries, keys, values, mask, is_causal=causal, scale=self.scale)
        return self.to_out[0](seen.transpose(1, 2).flatten(2))  # (batch, heads, n, d) -> (batch, n, width)

    def keys_values(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, each (batch, heads, m, head_dim), of tokens (batch, m, width)."""
        return self._heads(self.to_k(source)), self._heads(self.to_v(source))

    def weights(
        self,
        tokens: Tensor,
        context: Tensor | tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
        *,
        causal: bool = False,
    ) -> Tensor:
        """How much each token looks at each other: (batch, heads, n, m), each row with sum 1. Arguments as for `forward`."""
        queries = self._heads(self.to_q(tokens))
        keys, _ = self._sources(tokens, context)
        scores = queries @ keys.transpose(2, 3) * (queries.shape[3] ** -0.5 if self.scale is None else self.scale)
        if causal:
            mask = causal_mask(tokens.shape[1], device=tokens.device)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
        return scores.softmax(dim=3)

    def _sources(self, tokens: Tensor, context: Tensor | tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        return context if isinstance(context, tuple) else self.keys_values(tokens if context is None else context)

    def _heads(self, projected: Tensor) -> Tensor:
        # (batch, n, heads * d) -> (batch, heads, n, d)
        return projected.unflatten(2, (self.num_heads, -1)).transpose(1, 2)


def causal_mask(
    num_tokens: int,
    past: int = 0,
    attention_mask: Tensor | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Who sees whom where each token sees itself and the real tokens before it: bool (num_tokens, m), or (batch, 1, num_tokens, m).

    Padding sees itself too: a softmax over nothing would be NaN.

    Args:
        past: tokens before these, m = past + num_tokens in all.
        attention_mask: (batch, m) bool, which of all are real.
    """
    everything = torch.ones(num_tokens, past + num_tokens, dtype=torch.bool, device=device)
    seen = everything.tril(past)
    if attention_mask is None:
        return seen
    return (seen & attention_mask[:, None, None]) | seen.triu(past)


def check_mask(mask: Tensor | None, batch: int, length: int) -> Tensor | None:
    """An `attention_mask` (batch, length) of booleans, or of zeros and ones, as booleans.

    Raises:
        ValueError: if it has another shape, or holds fractions.
    """
    if mask is None:
        return None
    if tuple(mask.shape) != (batch, length) or mask.is_floating_point():
        raise ValueError(
            f"attention_mask must be bool (batch, tokens) = ({batch}, {length}), True at real tokens; "
            f"got {mask.dtype} {tuple(mask.shape)}"
        )
    return mask.bool()


def check_length(length: int, max_positions: int) -> None:
    """Refuse a text that is longer than the positions which a model has learned.

    Raises:
        ValueError: if so.
    """
    if length > max_positions:
        raise ValueError(
            f"a text of {length} tokens is longer than the {max_positions} positions of this model: cut it"
        )


@torch.inference_mode()
def attention_maps(model: nn.Module, *inputs: Any, **named_inputs: Any) -> dict[str, Tensor]:
    """The weights of every attention in one forward pass of `model`, (batch, heads, n, m) by the name of its module."""
    maps: dict[str, Tensor] = {}
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, Attention):

            def keep(module: Attention, args: tuple, kwargs: dict, name: str = name) -> None:
                maps[name] = module.weights(*args, **{key: value for key, value in kwargs.items() if key != "cache"})

            hooks.append(module.register_forward_pre_hook(keep, with_kwargs=True))
    try:
        model(*inputs, **named_inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return maps


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
