"""What the renderers share: where pixels lie, how much of one is covered, and colours by name.

Picture coordinates run from 0 to 1, x to the right and y down; pixel i of n has its centre at (i + 0.5) / n.

A signed distance is negative inside a shape, positive outside, zero on its outline. Coverage of a pixel, and so
anti-aliasing without supersampling, is `0.5 - distance in pixels`, clamped to [0, 1].
"""

from collections.abc import Iterable

import torch
from torch import Tensor

MIN_SIZE = 8


def check_size(size: int) -> None:
    """Raise ValueError unless `size` is a whole number of pixels from 8 up."""
    if not isinstance(size, int) or size < MIN_SIZE:
        raise ValueError(f"size is {size!r}: a picture's side is a whole number of pixels, at least {MIN_SIZE}")


def pixel_centres(size: int, device: torch.device) -> Tensor:
    """(size,) picture coordinates of the centres of a row of pixels."""
    return (torch.arange(size, device=device) + 0.5) / size


def coverage(distance: Tensor, size: float) -> Tensor:
    """How much of each pixel lies inside, in [0, 1], from signed distances of which 1 is `size` pixels."""
    return (0.5 - distance * size).clamp_(0, 1)


def palette(colors: Iterable[tuple[int, int, int]]) -> Tensor:
    """(colours, 3) float32 in [-1, 1] from red, green and blue, 0 to 255."""
    return torch.tensor(list(colors), dtype=torch.float32) / 127.5 - 1
