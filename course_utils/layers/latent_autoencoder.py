"""The encoder and decoder of VQGAN and latent diffusion, which their published autoencoders share.

A picture goes down through levels of residual blocks, each level but the last halving it, through a middle part in which all places
attend to one another, and the decoder goes the same way up. Layers bear the names under which diffusers stores them.

Papers: Esser, Rombach & Ommer, CVPR 2021 (VQGAN); Rombach et al., CVPR 2022 (latent diffusion), appendix E.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.layers.resnet_blocks import EPS, Downsample, ResnetBlock, SpatialAttention, Upsample


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
