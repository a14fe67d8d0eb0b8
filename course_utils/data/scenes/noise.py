"""Noise that belongs to a scene: hashed integers on a lattice, so that it is the same on every device.

The lattice is fixed to the picture, not to its pixels: the same texture appears at any resolution.
"""

import torch
from torch import Tensor

from course_utils.data.draws import STEP
from course_utils.data.hashing import hashed
from course_utils.data.pixels import pixel_centres


def lattice(texture: Tensor, channel: int, height: int, width: int) -> Tensor:
    """(batch, height, width) uniform numbers in [0, 1), one for each lattice point, from (batch,) int64 keys."""
    points = torch.arange(height * width, device=texture.device)
    code = hashed(hashed(texture, channel)[:, None] + points * STEP)
    return (((code >> 40) & 0xFFFFFF) / 2.0**24).view(-1, height, width)


def _weights(positions: Tensor, cells: int) -> Tensor:
    """(positions, cells + 1) of smooth interpolation between the lattice points at 0, 1/cells, ... 1."""
    scaled = positions * cells
    left = scaled.floor().clamp(0, cells - 1)
    part = scaled - left
    part = part * part * (3 - 2 * part)
    weights = torch.zeros(len(positions), cells + 1, device=positions.device)
    column = left.long()[:, None]
    return weights.scatter_(1, column, 1 - part[:, None]).scatter_(1, column + 1, part[:, None])


def noise(texture: Tensor, channel: int, size: int, cells: int | tuple[int, int]) -> Tensor:
    """Smooth noise.

    Args:
        texture: (batch,) int64 keys.
        channel: another number is other noise.
        size: side of the picture in pixels.
        cells: lattice cells along a side, or (down, across).

    Returns:
        (batch, size, size) float32 in [0, 1].
    """
    down, across = (cells, cells) if isinstance(cells, int) else cells
    centres = pixel_centres(size, texture.device)
    values = lattice(texture, channel, down + 1, across + 1)
    return _weights(centres, down) @ values @ _weights(centres, across).T


def grain(texture: Tensor, channel: int, size: int, cells: int = 4, octaves: int = 3) -> Tensor:
    """Noise of several scales, each half as strong and twice as fine: (batch, size, size), from -1 to 1."""
    total = torch.zeros(len(texture), size, size, device=texture.device)
    for octave in range(octaves):
        total += (noise(texture, channel + octave, size, cells * 2**octave) * 2 - 1) / 2**octave
    return total / (2 - 2.0 ** (1 - octaves))
