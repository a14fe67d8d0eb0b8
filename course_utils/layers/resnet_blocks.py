"""The convolutional blocks that U-Nets of diffusion and latent autoencoders are made of, under the names by which diffusers stores them."""

import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.layers.attention import Attention

EPS = 1e-6  # of every group norm of the autoencoders, where torch's default is 1e-5


class ResnetBlock(nn.Module):
    """x + F(x), F = twice [group norm, SiLU, 3 x 3 convolution]: (batch, in_channels, h, w) to (batch, out_channels, h, w).

    Args:
        time_width: of the vector that tells the block the time, (batch, time_width); 0 where there is none. A linear layer makes of it a number
            a channel, added between the convolutions (Ho et al. 2020, appendix B).
        scale_shift: or two numbers a channel, by which the second norm's output is scaled and shifted: adaptive group norm
            (Dhariwal & Nichol 2021, section 3.1).
    """

    def __init__(
        self, in_channels: int, out_channels: int, groups: int, eps: float = EPS, time_width: int = 0, scale_shift: bool = False
    ):  # fmt: skip
        super().__init__()
        self.scale_shift = scale_shift
        self.norm1 = nn.GroupNorm(groups, in_channels, eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        if time_width:
            self.time_emb_proj = nn.Linear(time_width, (2 if scale_shift else 1) * out_channels)
        self.norm2 = nn.GroupNorm(groups, out_channels, eps)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, features: Tensor, time: Tensor | None = None) -> Tensor:
        hidden = self.conv1(F.silu(self.norm1(features)))
        told = None if time is None else self.time_emb_proj(time)[:, :, None, None]  # (batch, channels, 1, 1)
        if told is None:
            hidden = self.norm2(hidden)
        elif self.scale_shift:
            scale, shift = told.chunk(2, dim=1)
            hidden = self.norm2(hidden) * (1 + scale) + shift
        else:
            hidden = self.norm2(hidden + told)
        return self.conv_shortcut(features) + self.conv2(F.silu(hidden))


class SpatialAttention(Attention):
    """Every place of (batch, channels, h, w) attends to every other; the result is added."""

    def __init__(self, channels: int, groups: int, eps: float = EPS, num_heads: int = 1):
        super().__init__(channels, num_heads)
        self.group_norm = nn.GroupNorm(groups, channels, eps)

    def forward(self, features: Tensor) -> Tensor:
        places = (
            self.group_norm(features).flatten(2).transpose(1, 2)
        )  # (batch, channels, h, w) -> (batch, h * w, channels)
        return features + super().forward(places).transpose(1, 2).unflatten(2, features.shape[2:])


class Downsample(nn.Module):
    """Halve (batch, channels, h, w) by a 3 x 3 convolution with stride 2.

    Args:
        padding: 0 puts zeros to the right and below only, 1 on all sides.
    """

    def __init__(self, channels: int, padding: int = 0):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=padding)

    def forward(self, features: Tensor) -> Tensor:
        return self.conv(features if self.conv.padding[0] else F.pad(features, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Double (batch, channels, h, w): repeat each value 2 x 2 times, then a 3 x 3 convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return self.conv(F.interpolate(features, scale_factor=2.0, mode="nearest"))
