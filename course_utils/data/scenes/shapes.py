"""The six shapes as signed distance functions, and where in the picture they stand."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.data.scenes.records import SceneRecords

RADII = (4.5 / 32, 6.5 / 32)  # of small and large objects
_JITTER_STEP = 1 / 64


def _circle(u: Tensor, v: Tensor) -> Tensor:
    return (u * u + v * v).sqrt() - 0.95


def _square(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(u.abs(), v.abs()) - 0.84


def _triangle(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(math.sqrt(0.75) * u.abs() - 0.5 * (v + 0.95), v - 0.78)


def _star(u: Tensor, v: Tensor) -> Tensor:
    """Five points: the plane is folded three times onto one half of one point, whose outline is a straight line."""
    outer, inner = 1.05, 0.47
    cosine, sine = math.cos(math.pi / 5), math.sin(math.pi / 5)
    x, y = u.abs(), 0.1 - v
    fold = 2 * (cosine * x - sine * y).clamp(min=0)
    x, y = x - cosine * fold, y + sine * fold
    fold = 2 * (-cosine * x - sine * y).clamp(min=0)
    x, y = (x + cosine * fold).abs(), y + sine * fold
    edge_x, edge_y = inner * sine, inner * cosine - 1  # from the tip to the inner corner, for outer radius 1
    return ((y - outer) * edge_x - x * edge_y) / math.hypot(edge_x, edge_y)


def _heart(u: Tensor, v: Tensor) -> Tensor:
    """Two circles over a corner, after Inigo Quilez (iquilezles.org/articles/distfunctions2d)."""
    scale = 1.62
    x, y = u.abs() / scale, 0.552 - v / scale
    lobe = ((x - 0.25).square() + (y - 0.75).square()).sqrt() - math.sqrt(2) / 4
    along = (x + y).clamp(min=0) * 0.5
    corner = torch.minimum(x.square() + (y - 1).square(), (x - along).square() + (y - along).square()).sqrt()
    return torch.where(x + y > 1, lobe, torch.where(x > y, corner, -corner)) * scale


def _cross(u: Tensor, v: Tensor) -> Tensor:
    x, y = u.abs(), v.abs()
    return torch.maximum(torch.maximum(x, y) - 0.95, torch.minimum(x, y) - 0.34)


OUTLINES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (_circle, _square, _triangle, _star, _heart, _cross)
"""One function for each of SHAPES: (n, 1, width) and (n, height, 1) coordinates, in units of the radius and from the
object's centre, to (n, height, width) distances in the same unit. The shapes fit into -1 ... 1."""


@dataclass(frozen=True)
class Layout:
    """Where objects stand: `shape` (batch, 4); `centre` (batch, 4, 2), `radius` (batch, 4) in picture coordinates."""

    shape: Tensor
    centre: Tensor
    radius: Tensor


def layout(scenes: SceneRecords) -> Layout:
    """The places of a scene's objects; float32, as everything that follows."""
    device = scenes.device
    corner = torch.tensor([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]], device=device)
    radius = torch.tensor(RADII, device=device)[scenes.size.clamp(min=0)]
    return Layout(scenes.shape, corner + scenes.jitter * _JITTER_STEP, radius)


def distances(where: Layout, x: Tensor, y: Tensor, far: float = 10.0) -> Tensor:
    """Signed distances to each object, in picture coordinates.

    Args:
        where: the objects, (batch, 4).
        x: (width,), or (4, width) for a window of its own for each place.
        y: (height,), or (4, height).
        far: what an empty place gets.

    Returns:
        (batch, 4, height, width) float32.
    """
    u = ((x - where.centre[..., 0:1]) / where.radius[..., None]).flatten(0, 1)  # (batch * 4, width)
    v = ((y - where.centre[..., 1:2]) / where.radius[..., None]).flatten(0, 1)
    shape = where.shape.flatten()
    result = torch.full((len(shape), v.shape[1], u.shape[1]), far, device=u.device)
    for number, outline in enumerate(OUTLINES):
        (which,) = torch.where(shape == number)
        radius = where.radius.flatten()[which, None, None]
        result[which] = outline(u[which, None, :], v[which, :, None]) * radius
    return result.unflatten(0, where.shape.shape)
