"""Styles that keep every object where it is: photo, sketch, labels, edges, day, night, plain and striped.

Each style is a function (scenes, size, where) -> (batch, 3, size, size) in [-1, 1]. Colours are mixed in [0, 1] here.
"""

import math

import torch
from torch import Tensor

from course_utils.data.hashing import hashed
from course_utils.data.pixels import coverage, pixel_centres
from course_utils.data.scenes.drawing import background_colors, object_colors, paint, scene_distances
from course_utils.data.scenes.noise import grain, lattice, noise
from course_utils.data.scenes.records import SceneRecords
from course_utils.data.scenes.shapes import Layout

LABEL_RGB = ((0.10, 0.10, 0.18), (0.95, 0.75, 0.20), (0.30, 0.65, 0.95), (0.90, 0.35, 0.30), (0.55, 0.85, 0.45))
LABEL_RGB += ((0.80, 0.45, 0.85), (0.92, 0.92, 0.92))
"""Colours of label maps: the background, then each of SHAPES."""


def unit(images: Tensor) -> Tensor:
    """From [-1, 1] to [0, 1]."""
    return (images + 1) / 2


def signed(images: Tensor) -> Tensor:
    """From [0, 1] (what lies outside is cut off) to [-1, 1]."""
    return images.clamp(0, 1) * 2 - 1


def toward_light(scenes: SceneRecords) -> Tensor:
    """(batch, 2) unit vectors, x right and y down, to where the light comes from."""
    angles = [math.pi / 4 * eighth for eighth in range(8)]
    table = torch.tensor([[math.cos(angle), math.sin(angle)] for angle in angles], device=scenes.device)
    return table[scenes.light]


def moved(where: Layout, offset: Tensor) -> Layout:
    """The same objects elsewhere; `offset` is (batch, 2) in picture coordinates."""
    return Layout(where.shape, where.centre + offset[:, None], where.radius)


def ground(scenes: SceneRecords) -> Tensor:
    """(batch, 3, 1, 1) in [0, 1]: the colour of the background."""
    return unit(background_colors(scenes))[..., None, None]


def object_paint(scenes: SceneRecords) -> Tensor:
    """(batch, 4, 3, 1, 1) in [0, 1]: the colours of the objects."""
    return unit(object_colors(scenes))[..., None, None]


def soft(distance: Tensor, width: float) -> Tensor:
    """1 inside, 0 outside, with an edge of the given width in picture coordinates, whatever the resolution."""
    return (0.5 - distance / width).clamp(0, 1)


def line(distance: Tensor, width: float, size: int) -> Tensor:
    """A line along distance 0, of a width in picture coordinates, at least a pixel: coverage in [0, 1]."""
    return coverage(distance.abs() - max(width, 1 / size) / 2, size)


def position_along(direction: Tensor, where: Layout, size: int) -> Tensor:
    """(batch, 4, size, size): how far a pixel lies from each object's centre along (batch, 2) directions, in radii."""
    centres = pixel_centres(size, direction.device)
    x = (centres - where.centre[..., :1]) / where.radius[..., None]  # (batch, 4, size)
    y = (centres - where.centre[..., 1:]) / where.radius[..., None]
    return x[:, :, None] * direction[:, None, :1, None] + y[..., None] * direction[:, None, 1:, None]


def _gloss(scenes: SceneRecords, where: Layout, size: int) -> Tensor:
    """(batch, 4, size, size): a round highlight on each object, on the side of the light."""
    centres = pixel_centres(size, scenes.device)
    spot = where.centre + 0.38 * toward_light(scenes)[:, None] * where.radius[..., None]
    x = (centres - spot[..., :1]) / where.radius[..., None]
    y = (centres - spot[..., 1:]) / where.radius[..., None]
    return torch.exp(-7 * (x[:, :, None].square() + y[..., None].square()))


def photo(scenes: SceneRecords, size: int, where: Layout) -> Tensor:
    """Rounded, glossy objects on a rough ground, with soft shadows; the light comes from the record's direction."""
    light = toward_light(scenes)
    distance = scene_distances(where, size)
    shadow_distance = scene_distances(moved(where, -0.04 * light), size)
    slope = scene_distances(moved(where, -0.015 * light), size) - distance  # > 0 where the surface turns to the light
    rough = grain(scenes.texture, 0, size, 6, 3)[:, None]
    centres = pixel_centres(size, scenes.device) - 0.5
    fall = centres * light[:, :1, None] + (centres * light[:, 1:])[..., None]  # (batch, size, size)
    image = ground(scenes) * (0.86 + 0.16 * rough + 0.24 * fall[:, None])
    image = image * (1 - 0.5 * soft(shadow_distance, 0.06).amax(1, keepdim=True))
    rim = (1 + distance / 0.07).clamp(0, 1) * (slope / 0.015)
    shade = 0.84 + 0.3 * rim + 0.14 * position_along(light, where, size)
    shade = shade * (1 + 0.06 * grain(scenes.texture, 8, size, 16, 2)[:, None])
    colors = object_paint(scenes) * shade[:, :, None] + 0.5 * _gloss(scenes, where, size)[:, :, None]
    return signed(paint(image, coverage(distance, size), colors))


def sketch(scenes: SceneRecords, size: int, where: Layout) -> Tensor:
    """Pencil on paper: outlines drawn twice by an unsteady hand; the darker the colour, the denser the hatching."""
    distance = scene_distances(where, size)
    wobble = torch.stack([grain(scenes.texture, channel, size, 8, 2) for channel in (20, 24)])
    first, second = (line(distance + 0.012 * wobble[hand][:, None], 0.022, size) for hand in range(2))
    outline = torch.maximum(first, 0.6 * second)
    centres = pixel_centres(size, scenes.device)
    diagonal = centres + centres[:, None] + 0.02 * wobble[0]
    wave = (diagonal * 9).remainder(1)  # hatching: nine strokes along a side
    weights = torch.tensor([0.3, 0.59, 0.11], device=scenes.device)
    dark = 1 - unit(object_colors(scenes)) @ weights  # (batch, 4)
    stroke = soft((wave - 0.5).abs()[:, None] - 0.08 - 0.4 * dark[..., None, None], 0.3)
    hatching = coverage(distance + 0.01, size) * stroke * (0.2 + 0.5 * dark[..., None, None])
    lead = torch.maximum(0.85 * outline, hatching).amax(1, keepdim=True)
    lead = lead * (0.88 + 0.24 * noise(scenes.texture, 28, size, 32)[:, None])
    paper = 0.97 + 0.025 * grain(scenes.texture, 30, size, 16, 2)[:, None]
    tint = torch.tensor([1.0, 0.99, 0.95], device=scenes.device)[:, None, None]
    return signed(paper * tint * (1 - lead))


def labels(scenes: SceneRecords, size: int, where: Layout) -> Tensor:
    """The label map as a picture: one colour a shape, hard edges."""
    inside = scene_distances(where, size) * size < -0.001
    colors = torch.tensor(LABEL_RGB, device=scenes.device)[scenes.shape + 1]
    base = torch.tensor(LABEL_RGB[0], device=scenes.device).expand(len(scenes), 3)[..., None, None]
    return signed(paint(base, inside.float(), colors))


def edges(scenes: SceneRecords, size: int, where: Layout) -> Tensor:
    """Black outlines on white."""
    ink = line(scene_distances(where, size), 0.03, size).amax(1, keepdim=True)
    return signed(1 - ink).expand(-1, 3, -1, -1).contiguous()


def day(scenes: SceneRecords, size: int, where: Layout) -> Tensor:
    """Warm, bright light from the record's direction, with long clear shadows."""
    light = toward_light(scenes)
    distance = scene_distances(where, size)
    shadow = torch.stack(
        [soft(scene_distances(moved(where, -length * light), size), 0.03) for length in (0.02, 0.045, 0.07)]
    ).amax((0, 2))[:, None]
    warm = torch.tensor([1.04, 1.0, 0.90], device=scenes.device)[:, None, None]
    image = ground(scenes) * warm * (0.98 + 0.07 * grain(scenes.texture, 40, size, 8, 2)[:, None])
    cool = torch.tensor([0.55, 0.58, 0.70], device=scenes.device)[:, None, None]
    image = image * (1 - shadow * (1 - cool))
    shade = 1 + 0.12 * position_along(light, where, size)
    return signed(paint(image, coverage(distance, size), object_paint(scenes) * warm * shade[:, :, None]))


def night(scenes: SceneRecords, size: int, where: Layout) -> Tensor:
    """Dark and blue, with stars on the ground's dew; each object glows in its own colour."""
    distance = scene_distances(where, size)
    blue = torch.tensor([0.16, 0.20, 0.36], device=scenes.device)[:, None, None]
    image = ground(scenes) * blue * (1 + 0.12 * grain(scenes.texture, 40, size, 8, 2)[:, None])
    stars = lattice(scenes.texture, 50, 16, 16)
    stars = ((stars - 0.94) / 0.06).clamp(min=0).repeat_interleave(2, 1).repeat_interleave(2, 2)
    stars[:, 1::2] = 0
    stars[:, :, 1::2] = 0
    image = image + 0.6 * torch.nn.functional.interpolate(stars[:, None], (size, size), mode="bilinear")
    color = object_paint(scenes)
    glow = color + 0.25 * (1 - color.amax(2, keepdim=True))  # something to see of a black object too
    halo = torch.exp(-distance.clamp(min=0) / 0.035)[:, :, None] * scenes.present[:, :, None, None, None]
    image = image + 0.45 * (glow * halo).sum(1)
    rim = (1 + distance / 0.04).clamp(0, 1)
    lit = color * 0.72 + (0.16 + 0.3 * (glow - color)) * rim[:, :, None]
    return signed(paint(image, coverage(distance, size), lit))


def _meadow(scenes: SceneRecords, size: int) -> Tensor:
    """(batch, 3, size, size): grass in a shade of the background."""
    green = torch.tensor([0.50, 0.72, 0.34], device=scenes.device)[:, None, None]
    blades, patches = noise(scenes.texture, 60, size, (12, 40)), noise(scenes.texture, 61, size, 6)
    return (0.45 * ground(scenes) + 0.55 * green) * (0.78 + 0.24 * blades[:, None] + 0.16 * patches[:, None])


def _in_meadow(scenes: SceneRecords, size: int, where: Layout, colors: Tensor) -> Tensor:
    distance = scene_distances(where, size)
    down = torch.tensor([[0.0, 0.03]], device=scenes.device)
    image = _meadow(scenes, size) * (1 - 0.4 * soft(scene_distances(moved(where, down), size), 0.05).amax(1, True))
    shade = 1 - 0.12 * position_along(down / 0.03, where, size)
    return signed(paint(image, coverage(distance, size), colors * shade[:, :, None]))


def plain(scenes: SceneRecords, size: int, where: Layout) -> Tensor:
    """Objects of one colour in a meadow: what `striped` is without its stripes."""
    return _in_meadow(scenes, size, where, object_paint(scenes))


def striped(scenes: SceneRecords, size: int, where: Layout) -> Tensor:
    """Objects in a meadow with stripes of their colour and white, in a direction of each object's own."""
    looks = hashed(scenes.texture[:, None] + (scenes.shape * 8 + scenes.color) * 2 + scenes.size)
    angle = (looks & 0xFFFF) * (math.pi / 65536)  # (batch, 4)
    centres = pixel_centres(size, scenes.device)
    x, y = centres - where.centre[..., :1], centres - where.centre[..., 1:]
    along = (x * angle.cos()[..., None])[:, :, None] + (y * angle.sin()[..., None])[..., None]
    along = along + 0.018 * grain(scenes.texture, 64, size, 8, 2)[:, None]
    period = 0.096
    wave = ((along / period).remainder(1) - 0.5).abs() * period  # distance to the middle of a white stripe
    white = coverage(wave - 0.2 * period, size)[:, :, None]
    color = object_paint(scenes)
    return _in_meadow(scenes, size, where, color + white * (0.97 - color))
