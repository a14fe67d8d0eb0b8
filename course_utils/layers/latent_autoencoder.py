"""The encoder and decoder of VQGAN and latent diffusion, which their published autoencoders share.

A picture goes down through levels of residual blocks, each level but the last halving it, through a middle part in which all places
attend to one another, and the decoder goes the same way up. Layers bear the names under which diffusers stores them.

Papers: Esser, Rombach & Ommer, CVPR 2021 (VQGAN); Rombach et al., CVPR 2022 (latent diffusion), appendix E.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-6  # of every group norm of these networks, where torch's default is 1e-5


class ResnetBlock(nn.Module):
    """x + F(x), F = twice [group norm, SiLU, 3 x 3 convolution]: (batch, in_channels, h, w) to (batch, out_channels, h, w)."""

    def __init__(self, in_channels: int, out_channels: int, groups: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, in_channels, EPS)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out_channels, EPS)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.conv1(F.silu(self.norm1(features)))
        return self.conv_shortcut(features) + self.conv2(F.silu(self.norm2(hidden)))


class SpatialAttention(nn.Module):
    """Every place of (batch, channels, h, w) attends to every other, with one head; the result is added."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, EPS)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, features: Tensor) -> Tensor:
        # (batch, channels, h, w) -> (batch, 1 head, h * w, channels)
        places = self.group_norm(features).flatten(2).transpose(1, 2)[:, None]
        seen = F.scaled_dot_product_attention(self.to_q(places), self.to_k(places), self.to_v(places))
        return features + self.to_out[0](seen)[:, 0].transpose(1, 2).unflatten(2, features.shape[2:])


class Middle(nn.Module):
    """Two residual blocks, with attention between them where it is asked for; the shape stays."""

    def __init__(self, channels: int, groups: int, attention: bool):
        super().__init__()
        self.attentions = nn.ModuleList([SpatialAttention(channels, groups)] if attention else [])
        self.resnets = nn.ModuleList(ResnetBlock(channels, channels, groups) for _ in range(2))

    def forward(self, features: Tensor) -> Tensor:
        features = self.resnets[0](features)
        for attention in self.attentions:
            features = attention(features)
        return self.resnets[1](features)


class Downsample(nn.Module):
    """Halve (batch, channels, h, w) by a 3 x 3 convolution with stride 2; zeros are put to the right and below only."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, features: Tensor) -> Tensor:
        return self.conv(F.pad(features, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Double (batch, channels, h, w): repeat each value 2 x 2 times, then a 3 x 3 convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return self.conv(F.interpolate(features, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """The residual blocks of one resolution, then a halving or doubling where there is one."""

    def __init__(self, in_channels: int, out_channels: int, blocks: int, groups: int, **resize: nn.Module):
        super().__init__()
        widths = (in_channels, *[out_channels] * blocks)
        self.resnets = nn.ModuleList(ResnetBlock(wide, wider, groups) for wide, wider in pairwise(widths))
        for name, module in resize.items():  # "downsamplers" or "upsamplers"
            self.add_module(name, nn.ModuleList([module]))
        self.resize = tuple(resize)

    def forward(self, features: Tensor) -> Tensor:
        for block in self.resnets:
            features = block(features)
        for name in self.resize:
            features = getattr(self, name)[0](features)
        return features


class LatentEncoder(nn.Module):
    """Pictures (batch, in_channels, h, w) to (batch, out_channels, h / 2^(n-1), w / 2^(n-1)) for n widths.

    Args:
        widths: channels of each level, from full size down.
        blocks: residual blocks a level; the decoder has one more.
        groups: of the group norms; it must divide every width.
        attention: whether the middle part attends.
    """

    def __init__(
        self, in_channels: int, out_channels: int, widths: Sequence[int], blocks: int, groups: int, attention: bool = True
    ):  # fmt: skip
        super().__init__()
        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            Level(before, width, blocks, groups, **({"downsamplers": Downsample(width)} if left else {}))
            for left, (before, width) in zip(
                range(len(widths) - 1, -1, -1), pairwise((widths[0], *widths)), strict=True
            )
        )
        self.mid_block = Middle(widths[-1], groups, attention)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], EPS)
        self.conv_out = nn.Conv2d(widths[-1], out_channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.conv_in(images)
        for level in self.down_blocks:
            features = level(features)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(features))))


class LatentDecoder(nn.Module):
    """The way back, (batch, in_channels, h, w) to (batch, out_channels, h * 2^(n-1), w * 2^(n-1)); arguments as in `LatentEncoder`."""

    def __init__(
        self, in_channels: int, out_channels: int, widths: Sequence[int], blocks: int, groups: int, attention: bool = True
    ):  # fmt: skip
        super().__init__()
        upwards = (widths[-1], *reversed(widths))
        self.conv_in = nn.Conv2d(in_channels, widths[-1], 3, padding=1)
        self.mid_block = Middle(widths[-1], groups, attention)
        self.up_blocks = nn.ModuleList(
            Level(before, width, blocks + 1, groups, **({"upsamplers": Upsample(width)} if left else {}))
            for left, (before, width) in zip(range(len(widths) - 1, -1, -1), pairwise(upwards), strict=True)
        )
        self.conv_norm_out = nn.GroupNorm(groups, widths[0], EPS)
        self.conv_out = nn.Conv2d(widths[0], out_channels, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        features = self.mid_block(self.conv_in(latents))
        for level in self.up_blocks:
            features = level(features)
        return self.conv_out(F.silu(self.conv_norm_out(features)))


LEGACY_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def modern_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights under diffusers' present names: files before 2023 call the attention's layers query, key, value, proj_attn."""
    renamed = {}
    for name, tensor in weights.items():
        head, _, last = name.rpartition(".")
        block, _, layer = head.rpartition(".")
        renamed[f"{block}.{LEGACY_ATTENTION[layer]}.{last}" if layer in LEGACY_ATTENTION else name] = tensor
    return renamed
