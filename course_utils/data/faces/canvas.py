"""What faces are drawn with: a canvas that shapes are laid on, each shape a signed distance function of all faces."""

from collections.abc import Callable

import torch
from torch import Tensor

from course_utils.data.faces.records import MAX_JITTER
from course_utils.data.pixels import coverage, pixel_centres

Shape = Callable[[Tensor, Tensor], Tensor]
"""From (batch, 1, width) and (batch, height, 1) coordinates to (batch, height, width) signed distances."""

Window = tuple[float, float, float, float]
"""Left, top, right and bottom of the part of a picture that a shape can reach."""

LINE = 0.012
"""Width of outlines."""

_MIDDLE = (0.5, 0.555)  # of heads without jitter, in sides of the picture
_UNIT = 1.1  # of coordinates and distances, in sides of the picture
_JITTER_STEP = 1 / 64
_FAR = 10.0


def ellipse(u: Tensor, v: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
    """An ellipse of half axes a and b; the distance is exact on its outline and nearly so around it."""
    across, down = (u / a).square() + 1e-8, (v / b).square()
    level = across + down
    return (level - level.sqrt()) / (across / a**2 + down / b**2).sqrt()


def arch(u: Tensor, v: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
    """The upper half of an ellipse, standing on a strip of its width without end."""
    return ellipse(u, v.clamp(max=0), a, b)


def box(u: Tensor, v: Tensor, half_width: Tensor | float, half_height: Tensor | float, radius: float) -> Tensor:
    """A rectangle whose corners are rounded by `radius`."""
    across, down = u.abs() - (half_width - radius), v.abs() - (half_height - radius)
    outside = (across.clamp(min=0).square() + down.clamp(min=0).square()).sqrt()
    return outside + torch.maximum(across, down).clamp(max=0) - radius


def without(distance: Tensor, hole: Tensor) -> Tensor:
    """What is left of a shape outside of a hole."""
    return torch.maximum(distance, -hole)


def only(there: Tensor, distance: Tensor) -> Tensor:
    """A shape that only some faces have: (batch, 1, 1) bool says which."""
    return distance + _FAR * ~there


class Canvas:
    """Pictures in work. Coordinates are from the centre of each head, x right and y down.

    Args:
        ground: (batch, 3) colours in [-1, 1].
        jitter: (batch, 2) steps of the heads, right and down.
        size: side in pixels.
    """

    def __init__(self, ground: Tensor, jitter: Tensor, size: int):
        centres = pixel_centres(size, ground.device)
        shift = jitter * _JITTER_STEP
        self.size, self.scale = size, size * _UNIT
        self.u = ((centres - _MIDDLE[0] - shift[:, :1]) / _UNIT)[:, None, :]  # (batch, 1, size)
        self.v = ((centres - _MIDDLE[1] - shift[:, 1:]) / _UNIT)[:, :, None]  # (batch, size, 1)
        self.image = ground[..., None, None].repeat(1, 1, size, size)

    def lay(
        self, shape: Shape, color: Tensor, window: Window, line: Tensor | None = None, opacity: float = 1.0
    ) -> None:
        """Paint a shape over what is there.

        Args:
            shape: what to paint.
            color: (batch, 3) or (1, 3), in [-1, 1].
            window: that the shape does not leave; nothing else is computed.
            line: (batch, 3) or (1, 3), the colour of its outline, which lies inside.
            opacity: in [0, 1].
        """
        columns, rows = self._pixels(window[0], window[2], 0), self._pixels(window[1], window[3], 1)
        part = self.image[:, :, rows, columns]
        distance = shape(self.u[:, :, columns], self.v[:, rows])
        if line is not None:
            self._blend(part, distance, line, opacity)
            distance = distance + LINE
        self._blend(part, distance, color, opacity)

    def _blend(self, part: Tensor, distance: Tensor, color: Tensor, opacity: float) -> None:
        cover = coverage(distance, self.scale)
        if opacity < 1:
            cover = cover * opacity
        part.lerp_(color.to(part.device)[..., None, None], cover[:, None])

    def _pixels(self, low: float, high: float, axis: int) -> slice:
        """The pixels that a stretch of a face can reach, whatever the jitter, with one to spare for soft edges."""
        reach = MAX_JITTER * _JITTER_STEP
        first = (_MIDDLE[axis] + low * _UNIT - reach) * self.size - 1
        last = (_MIDDLE[axis] + high * _UNIT + reach) * self.size + 1
        return slice(max(int(first), 0), int(last) + 1)
