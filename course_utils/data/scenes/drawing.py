"""What all styles draw with: colours, coverage, masks, and the flat rendering."""

import torch
from torch import Tensor

from course_utils.data.pixels import check_size, coverage, palette, pixel_centres
from course_utils.data.scenes.records import BACKGROUNDS, COLORS, SceneRecords
from course_utils.data.scenes.shapes import Layout, distances, layout

COLOR_RGB: dict[str, tuple[int, int, int]] = {
    "red": (196, 22, 28),
    "orange": (238, 122, 26),
    "yellow": (253, 212, 36),
    "green": (17, 128, 88),
    "cyan": (60, 184, 244),
    "blue": (32, 52, 170),
    "pink": (222, 92, 184),
    "black": (28, 28, 34),
}
"""Red, green and blue, 0 to 255; lightness differs too, so that colour-blind readers can tell most of them apart."""

BACKGROUND_RGB: dict[str, tuple[int, int, int]] = {
    "cream": (252, 246, 220),
    "gray": (160, 168, 172),
    "sand": (216, 194, 146),
    "mint": (180, 222, 188),
    "lavender": (208, 194, 242),
    "sky": (216, 243, 252),
}
"""Six soft tones, light enough for every object colour."""


_COLORS = palette(COLOR_RGB[name] for name in COLORS)
_BACKGROUNDS = palette(BACKGROUND_RGB[name] for name in BACKGROUNDS)


def object_colors(scenes: SceneRecords) -> Tensor:
    """(batch, 4, 3) in [-1, 1]: the colour of each object (any value where a place is empty)."""
    return _COLORS.to(scenes.device)[scenes.color.clamp(min=0)]


def background_colors(scenes: SceneRecords) -> Tensor:
    """(batch, 3) in [-1, 1]."""
    return _BACKGROUNDS.to(scenes.device)[scenes.background]


def scene_distances(where: Layout, size: int) -> Tensor:
    """(batch, 4, size, size) signed distances to each object, in picture coordinates."""
    centres = pixel_centres(size, where.centre.device)
    return distances(where, centres, centres)


def masks(scenes: SceneRecords, size: int = 32) -> Tensor:
    """(batch, 4, size, size) in [0, 1]: how much of each pixel the object at each place covers; 0 where it is empty."""
    check_size(size)
    return coverage(scene_distances(layout(scenes), size), size)


def label_map(scenes: SceneRecords, size: int = 32) -> Tensor:
    """(batch, size, size) int64: 0 on the background, 1 + index into SHAPES where an object covers half a pixel."""
    inside = masks(scenes, size) > 0.501  # just over a half: no tie is left to rounding, which devices do differently
    return (inside * (scenes.shape + 1)[..., None, None]).sum(1)


def _flat_cells(scenes: SceneRecords, size: int) -> Tensor:
    """The flat rendering place by place: each object lies wholly in its quarter, so only that is computed."""
    half = size // 2
    centres = pixel_centres(size, scenes.device).view(2, half)
    place = torch.arange(4, device=scenes.device)
    where = layout(scenes)
    cover = coverage(distances(where, centres[place % 2], centres[place // 2]), size)
    background = background_colors(scenes)
    contrast = object_colors(scenes) - background[:, None]
    image = torch.empty(len(scenes), 3, size, size, device=scenes.device)
    torch.addcmul(
        background[:, None, None, :, None, None],  # (batch, 1, 1, 3, 1, 1)
        contrast.view(-1, 2, 2, 3, 1, 1),
        cover.view(-1, 2, 2, 1, half, half),
        out=image.view(-1, 3, 2, half, 2, half).permute(0, 2, 4, 1, 3, 5),  # (batch, 2, 2, 3, half, half)
    )
    return image


def paint(background: Tensor, cover: Tensor, colors: Tensor) -> Tensor:
    """Lay objects over a background, one place after the other.

    Args:
        background: (batch, 3, size, size), or (batch, 3, 1, 1).
        cover: (batch, 4, size, size) in [0, 1].
        colors: (batch, 4, 3), or (batch, 4, 3, size, size).

    Returns:
        (batch, 3, size, size).
    """
    if colors.dim() == 3:
        colors = colors[..., None, None]
    image = background
    for place in range(4):
        image = image + cover[:, place, None] * (colors[:, place] - image)
    return image


def flat(scenes: SceneRecords, size: int, where: Layout | None = None) -> Tensor:
    """Plain colours on a plain background: (batch, 3, size, size). `where` moves the objects (for videos)."""
    if where is None and size % 2 == 0 and size >= 32:  # below 32 an edge's soft pixel may reach the next quarter
        return _flat_cells(scenes, size)
    cover = coverage(scene_distances(where or layout(scenes), size), size)
    return paint(background_colors(scenes)[..., None, None], cover, object_colors(scenes))
