"""Painted strokes: the scene as overlapping dabs of a brush.

Each cell of a lattice holds one dab: an ellipse around a shifted centre, in the colour that the scene has there,
turned along the nearest outline. A pixel is reached by the dabs of its own and the eight neighbouring cells only; they
are laid on in reading order, which is the same for all pixels. A coarse layer comes first, a fine one at the objects
on top.
"""

import torch
from torch import Tensor

from course_utils.data.pixels import pixel_centres
from course_utils.data.scenes.drawing import background_colors, object_colors
from course_utils.data.scenes.noise import lattice
from course_utils.data.scenes.records import SceneRecords
from course_utils.data.scenes.shapes import OUTLINES, Layout
from course_utils.data.scenes.styles import signed, unit

_LAYERS = ((11, 0.095, 0.050), (30, 0.030, 0.017))  # cells a side, half length and half width of a dab


def _at_points(where: Layout, points: Tensor) -> Tensor:
    """Signed distances (batch, 4, points) at (batch, points, 2) picture coordinates."""
    local = ((points[:, None] - where.centre[:, :, None]) / where.radius[..., None, None]).flatten(0, 1)
    shape = where.shape.flatten()
    result = torch.full(local.shape[:2], 10.0, device=points.device)
    for number, outline in enumerate(OUTLINES):
        (which,) = torch.where(shape == number)
        result[which] = outline(local[which, :, 0], local[which, :, 1]) * where.radius.flatten()[which, None]
    return result.unflatten(0, where.shape.shape)


def _dabs(scenes: SceneRecords, where: Layout, cells: int, channel: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Centres (batch, dabs, 2), directions (batch, dabs, 2), colours (batch, dabs, 3) and whether at an object (batch,
    dabs), of one layer.

    The lattice has a border of one cell around the picture.
    """
    shift = torch.stack([lattice(scenes.texture, channel + axis, cells + 2, cells + 2) for axis in range(2)], -1)
    grid = torch.arange(cells + 2, device=scenes.device) - 1.0
    corner = torch.stack([grid.expand(cells + 2, -1), grid[:, None].expand(-1, cells + 2)], -1)
    points = ((corner + 0.2 + 0.6 * shift) / cells).flatten(1, 2)

    step = 0.004
    distance = _at_points(where, points)
    nearest = distance.argmin(1, keepdim=True)
    slopes = [
        (_at_points(where, points + torch.tensor(offset, device=points.device)) - distance).gather(1, nearest)[:, 0]
        for offset in ((step, 0.0), (0.0, step))
    ]
    near = (distance.amin(1) < 0.06)[..., None]
    sweep = torch.tensor([0.9, 0.43], device=scenes.device)  # away from objects all dabs go about one way
    unsteady = (lattice(scenes.texture, channel + 2, cells + 2, cells + 2).flatten(1)[..., None] - 0.5) * 0.9
    swept = sweep + unsteady * torch.tensor([-0.43, 0.9], device=scenes.device)
    along = torch.where(near, torch.stack([-slopes[1], slopes[0]], -1) + 1e-6, swept)
    along = along / along.square().sum(-1, keepdim=True).sqrt()

    inside = (distance.amin(1) < -0.002)[..., None]
    color = unit(object_colors(scenes)).gather(1, nearest[:, 0, :, None].expand(-1, -1, 3))
    color = torch.where(inside, color, unit(background_colors(scenes))[:, None])
    light = lattice(scenes.texture, channel + 3, cells + 2, cells + 2).flatten(1)[..., None] - 0.5
    return points, along, color * (1 + 0.18 * light) + 0.05 * light, near[..., 0].float()


def painted(scenes: SceneRecords, size: int, where: Layout) -> Tensor:
    """(batch, 3, size, size) in [-1, 1]: brush strokes; see the module."""
    centres = pixel_centres(size, scenes.device)
    image = unit(background_colors(scenes))[..., None, None].expand(-1, 3, size, size)
    for number, (cells, length, width) in enumerate(_LAYERS):
        points, along, color, near = _dabs(scenes, where, cells, 100 + 10 * number)
        cell = (centres * cells).long() + 1
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                which = ((cell[:, None] + down) * (cells + 2) + cell + right).flatten()  # (size * size,)
                x = centres.repeat(size) - points[:, which, 0]
                y = centres.repeat_interleave(size) - points[:, which, 1]
                first, second = along[:, which, 0], along[:, which, 1]
                forward, across = (x * first + y * second) / length, (y * first - x * second) / width
                reach = (forward.square() + across.square()).sqrt()
                cover = (0.5 + (1 - reach) * width * size).clamp(0, 1)
                cover = cover * near[:, which] if number else cover
                bristles = 1 + 0.10 * (across * 2.5 + forward * 0.3).remainder(1) * (1 - number)
                cover, bristles = cover.unflatten(1, (1, size, size)), bristles.unflatten(1, (1, size, size))
                dab = color.transpose(1, 2)[:, :, which].unflatten(2, (size, size)) * bristles
                image = image + cover * (dab - image)
    return signed(image)
