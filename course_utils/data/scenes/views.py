"""Other views of the same record: a schematic plan, the aerial view that it is a plan of, and a view from the side."""

import torch
from torch import Tensor

from course_utils.data.pixels import coverage, pixel_centres
from course_utils.data.scenes.drawing import paint, scene_distances
from course_utils.data.scenes.noise import grain, noise
from course_utils.data.scenes.records import SceneRecords
from course_utils.data.scenes.shapes import Layout
from course_utils.data.scenes.styles import (
    ground,
    line,
    moved,
    object_paint,
    position_along,
    signed,
    soft,
    toward_light,
)

_ROAD = 0.065  # width of the two roads that cross in the middle


def _road_distance(size: int, device: torch.device) -> Tensor:
    """(size, size) signed distance to the crossing roads."""
    off = (pixel_centres(size, device) - 0.5).abs() - _ROAD / 2
    return torch.minimum(off, off[:, None])


def plan(scenes: SceneRecords, size: int, where: Layout) -> Tensor:
    """As on a street map: pale ground, white roads, buildings in pale colours with a dark outline."""
    distance = scene_distances(where, size)
    road = _road_distance(size, scenes.device)
    image = 0.55 * ground(scenes) + 0.45
    image = image + coverage(road - 0.012, size) * (0.72 - image)
    image = image + coverage(road, size) * (1 - image)
    color = object_paint(scenes)
    image = paint(image, coverage(distance, size), 0.55 * color + 0.45)
    return signed(paint(image, line(distance + 0.012, 0.024, size), 0.75 * color))


def aerial(scenes: SceneRecords, size: int, where: Layout) -> Tensor:
    """As from an aeroplane: rough ground with bushes, asphalt, roofs lit from one side, long shadows."""
    light = toward_light(scenes)
    distance = scene_distances(where, size)
    image = ground(scenes) * (0.72 + 0.22 * grain(scenes.texture, 70, size, 5, 3)[:, None])
    bushes = soft(0.74 - noise(scenes.texture, 74, size, 11), 0.12)[:, None]
    green = torch.tensor([0.20, 0.36, 0.16], device=scenes.device)[:, None, None]
    image = image + 0.8 * bushes * (green * (0.7 + 0.6 * noise(scenes.texture, 75, size, 32)[:, None]) - image)
    asphalt = 0.36 + 0.05 * grain(scenes.texture, 76, size, 16, 2)[:, None]
    image = image + coverage(_road_distance(size, scenes.device), size) * (asphalt - image)
    centres = pixel_centres(size, scenes.device)
    middle = soft((centres - 0.5).abs() - 0.006, 1 / size) * min(1, 0.012 * size)
    dash = soft(((centres * 5 + 0.5).remainder(1) - 0.5).abs() - 0.25, 0.2)
    marks = torch.maximum(middle * dash[:, None], middle[:, None] * dash)
    image = image + 0.75 * marks * (0.95 - image)
    casts = [coverage(scene_distances(moved(where, -length * light), size), size) for length in (0.02, 0.045, 0.07)]
    image = image * (1 - 0.5 * torch.stack(casts).amax((0, 2))[:, None])
    ridge = position_along(light, where, size)
    tiles = 1 + 0.10 * grain(scenes.texture, 80, size, 20, 2)[:, None]
    shade = (0.82 + 0.20 * (ridge * 12).clamp(-1, 1)) * tiles
    color = 0.88 * object_paint(scenes) + 0.06
    return signed(paint(image, coverage(distance, size), color * shade[:, :, None]))


def _seen_from_the_side(where: Layout) -> tuple[Layout, Tensor]:
    """The objects upright on the ground: what was up is now far. Also (batch, 4) heights of the ground under them."""
    x, y = where.centre[..., 0], where.centre[..., 1]
    scale = 0.55 + 0.5 * y
    foot = 0.335 + 0.78 * y
    radius = where.radius * scale
    standing = torch.stack([0.5 + (x - 0.5) * scale, foot - radius], -1)
    return Layout(where.shape, standing, radius), foot


def side(scenes: SceneRecords, size: int, where: Layout) -> Tensor:
    """From the front and slightly above: thick boards stand on the ground, those of the top row far off."""
    where, foot = _seen_from_the_side(where)
    distance = scene_distances(where, size)
    height = pixel_centres(size, scenes.device)[:, None]
    horizon = 0.36
    sky = torch.tensor([0.62, 0.80, 0.96], device=scenes.device)[:, None, None] + 0.3 * height / horizon
    land = ground(scenes) * (0.80 + 0.2 * (height - horizon) / (1 - horizon))
    land = land * (1 + 0.06 * grain(scenes.texture, 90, size, 12, 2)[:, None])
    image = land + coverage(height - horizon, size) * (sky - land)
    centres = pixel_centres(size, scenes.device)
    across = (centres - where.centre[..., :1]) / where.radius[..., None]
    down = (centres - foot[..., None]) / where.radius[..., None]
    pool = (across[:, :, None].square() + (5 * down[..., None]).square()).sqrt() - 1
    image = image * (1 - 0.45 * (soft(pool, 0.6) * scenes.present[..., None, None]).amax(1, keepdim=True))
    color = object_paint(scenes)
    thick = torch.stack([0.5 - where.centre[..., 0], torch.full_like(foot, -0.12)], -1)  # toward the far middle
    for place in range(4):  # far objects first
        for part in (1.0, 0.5, 0.0):
            at = Layout(where.shape, where.centre + 0.10 * part * thick, where.radius * (1 - 0.06 * part))
            cover = coverage(distance if part == 0 else scene_distances(at, size), size)[:, place, None]
            image = image + cover * (color[:, place] * (0.62 if part else 1.0) - image)
    return signed(image)
