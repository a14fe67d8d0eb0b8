"""Networks between pictures and vectors: the two halves of autoencoders, and the way down and up of later chapters.

Both halves come fully connected or convolutional. The convolutional ones halve or double the picture once a width; group
norm (not batch norm) keeps every picture independent of its batch, so training over several processes gives the same step.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ARCHITECTURES = ("fully_connected", "convolutional")
UPSAMPLINGS = ("resize", "transposed")


class ResizeConvolution(nn.Module):
    """Enlarge (batch, in_channels, h, w) to (batch, out_channels, 2h, 2w): repeat each value 2 x 2 times, then convolve.

    Every output pixel is reached by equally many weights, so no checkerboard appears (Odena et al., Distill 2016).
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return self.convolution(F.interpolate(features, scale_factor=2.0, mode="nearest"))


class ResidualBlock(nn.Module):
    """x + F(x) on (batch, channels, h, w), F = twice [group norm, SiLU, 3 x 3 convolution] (He et al., ECCV 2016).

    The last convolution starts at zero, so the block starts as the identity.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            norm(channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
            norm(channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
        )  # fmt: skip
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


class Standardize(nn.Module):
    """Pictures in [-1, 1] as a published network wants them: brought to [0, 1], then (x - mean) / std; the shape stays.

    Args:
        mean, std: one number for all channels, or one each.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return ((images + 1) / 2 - self.mean) / self.std


def norm(channels: int) -> nn.GroupNorm:
    """Group norm (Wu & He, ECCV 2018) with 8 groups, or as many as divide the channels."""
    return nn.GroupNorm(next(groups for groups in (8, 4, 2, 1) if channels % groups == 0), channels)


def image_encoder(
    architecture: str, in_channels: int, image_size: int, widths: Sequence[int]
) -> tuple[nn.Sequential, int]:
    """A network from pictures (batch, in_channels, image_size, image_size) to features (batch, num_features).

    Args:
        architecture: `fully_connected` (one hidden layer a width; none with `widths=()`, where the features are the pixels) or
            `convolutional` (each width after the picture was halved once).

    Returns:
        the network and num_features.

    Raises:
        ValueError: unknown architecture, or a picture that cannot be halved so often.
    """
    _check(architecture, image_size, widths)
    if architecture == "fully_connected":
        sizes = (in_channels * image_size**2, *widths)
        layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.SiLU())]
        return nn.Sequential(nn.Flatten(), *layers), sizes[-1]
    smallest = image_size // 2 ** len(widths)
    # (batch, widths[-1], smallest, smallest) -> (batch, widths[-1] * smallest^2)
    layers = [*halvings(in_channels, widths), norm(widths[-1]), nn.SiLU(), nn.Flatten()]
    return nn.Sequential(*layers), widths[-1] * smallest**2


def image_decoder(
    architecture: str,
    in_features: int,
    out_channels: int,
    image_size: int,
    widths: Sequence[int],
    upsampling: str = "resize",
) -> nn.Sequential:
    """A network from vectors (batch, in_features) to (batch, out_channels, image_size, image_size), any real numbers.

    Args:
        architecture: as in `image_encoder`; `widths` are those of the encoder and are gone through backwards.
        upsampling: of the convolutional one, `resize` or `transposed` (kernel 4, stride 2: stamps overlap evenly).

    Raises:
        ValueError: unknown architecture or upsampling, or a picture that cannot be halved so often.
    """
    _check(architecture, image_size, widths, upsampling)
    if architecture == "fully_connected":
        sizes = (in_features, *reversed(widths))
        layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.SiLU())]
        shape = (out_channels, image_size, image_size)
        # (batch, channels * size^2) -> (batch, channels, size, size)
        return nn.Sequential(*layers, nn.Linear(sizes[-1], out_channels * image_size**2), nn.Unflatten(1, shape))
    smallest = image_size // 2 ** len(widths)
    layers = [
        nn.Linear(in_features, widths[-1] * smallest**2),
        nn.Unflatten(1, (widths[-1], smallest, smallest)),  # (batch, c * h * w) -> (batch, c, h, w)
    ]
    return nn.Sequential(*layers, *doublings(widths, out_channels, upsampling))


def halvings(in_channels: int, widths: Sequence[int]) -> list[nn.Module]:
    """Layers from (batch, in_channels, h, w) down to (batch, widths[-1], h / 2^n, w / 2^n) for n widths.

    For each width a 4 x 4 convolution with stride 2 and a `ResidualBlock`.
    """
    layers: list[nn.Module] = []
    for wide, wider in pairwise((in_channels, *widths)):
        layers += [nn.Conv2d(wide, wider, 4, stride=2, padding=1), ResidualBlock(wider)]
    return layers


def doublings(widths: Sequence[int], out_channels: int, upsampling: str = "resize") -> list[nn.Module]:
    """The way back: layers from (batch, widths[-1], h, w) up to (batch, out_channels, 2^n h, 2^n w) for n widths."""
    enlarge = ResizeConvolution if upsampling == "resize" else _transposed
    layers: list[nn.Module] = []
    for wider, wide in pairwise((*reversed(widths), out_channels)):
        layers += [ResidualBlock(wider), norm(wider), nn.SiLU(), enlarge(wider, wide)]
    return layers


def _transposed(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1)


def check_images(images: Tensor, channels: int, size: int) -> None:
    """Raise a ValueError unless `images` has the shape (batch, channels, size, size)."""
    if images.ndim != 4 or images.shape[1:] != (channels, size, size):
        raise ValueError(
            f"expected pictures of shape (batch, {channels}, {size}, {size}) as the config says, got {tuple(images.shape)}"
        )


def check_sides(images: Tensor, channels: int, multiple: int) -> None:
    """Raise a ValueError unless `images` is (batch, channels, height, width) with multiples of `multiple` for height and width."""
    if images.ndim != 4 or images.shape[1] != channels or any(side % multiple for side in images.shape[2:]):
        raise ValueError(
            f"expected pictures of shape (batch, {channels}, height, width), height and width multiples of {multiple}, "
            f"got {tuple(images.shape)}"
        )


def _check(architecture: str, image_size: int, widths: Sequence[int], upsampling: str = "resize") -> None:
    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture is {architecture!r}, but must be one of {', '.join(ARCHITECTURES)}")
    if upsampling not in UPSAMPLINGS:
        raise ValueError(f"upsampling is {upsampling!r}, but must be one of {', '.join(UPSAMPLINGS)}")
    if architecture == "convolutional" and (not widths or image_size % 2 ** len(widths)):
        raise ValueError(
            f"a convolutional network halves the picture once a width: {len(widths)} widths need an image_size that is a "
            f"multiple of {2 ** max(1, len(widths))} (and at least one width), got {image_size}"
        )
