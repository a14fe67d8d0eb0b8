"""From records to pictures and videos, in any of the styles.

images = render(scenes, size=32)                     # (batch, 3, 32, 32) in [-1, 1]
images = render(scenes, size=64, style="photo")      # the same scenes, seen otherwise, at any resolution
videos = render_video(scenes, size=32, frames=8)     # (batch, 8, 3, 32, 32)
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from course_utils.data.pixels import check_size
from course_utils.data.scenes.drawing import flat
from course_utils.data.scenes.painted import painted
from course_utils.data.scenes.records import SceneRecords
from course_utils.data.scenes.shapes import Layout, layout
from course_utils.data.scenes.styles import day, edges, labels, night, photo, plain, sketch, striped
from course_utils.data.scenes.views import aerial, plan, side

_CHUNK = 256  # scenes at a time: what is computed on stays in the processor's cache
_PATH = 0.25  # how far an object moves in a video, in picture coordinates
_GROWTH = 0.5

_PAINTERS: dict[str, Callable[[SceneRecords, int, Layout], Tensor]] = {
    "flat": flat,
    "photo": photo,
    "sketch": sketch,
    "painted": painted,
    "labels": labels,
    "edges": edges,
    "day": day,
    "night": night,
    "plain": plain,
    "striped": striped,
    "plan": plan,
    "aerial": aerial,
    "side": side,
}
STYLES = tuple(_PAINTERS)


def _check(size: int, style: str) -> None:
    check_size(size)
    if style not in STYLES:
        raise ValueError(f"unknown style {style!r}: choose one of {', '.join(STYLES)}")


def render(scenes: SceneRecords, size: int = 32, style: str = "flat") -> Tensor:
    """Pictures of scenes.

    Args:
        scenes: the records; pictures are made on their device.
        size: side in pixels, at least 8.
        style: one of STYLES.

    Returns:
        (batch, 3, size, size) float32 in [-1, 1]. Each picture depends on its own record alone.

    Raises:
        ValueError: unknown style, or too small a size.
    """
    _check(size, style)
    images = torch.empty(len(scenes), 3, size, size, device=scenes.device)
    for start in range(0, len(scenes), _CHUNK):
        part = slice(start, start + _CHUNK)
        few = scenes[part]
        images[part] = flat(few, size) if style == "flat" else _PAINTERS[style](few, size, layout(few))
    return images


def _mover_last(scenes: SceneRecords) -> tuple[SceneRecords, Layout]:
    """The records and their layout with the places in another order: the mover's comes last, and is painted last."""
    order = ((torch.arange(4, device=scenes.device) == scenes.mover[:, None]).long()).argsort(dim=1, stable=True)
    where = layout(scenes)
    names = {name: getattr(scenes, name).gather(1, order) for name in ("shape", "color", "size")}
    centre = where.centre.gather(1, order[..., None].expand(-1, -1, 2))
    return replace(scenes, **names), Layout(names["shape"], centre, where.radius.gather(1, order))


_STEPS = torch.tensor([[-_PATH, 0.0], [_PATH, 0.0], [0.0, -_PATH], [0.0, _PATH], [0.0, 0.0], [0.0, 0.0]])
_FACTORS = torch.tensor([0.0, 0.0, 0.0, 0.0, _GROWTH, -_GROWTH])


def _at_time(where: Layout, motion: Tensor, time: float) -> Layout:
    """Where the objects are at a time from 0 to 1; the last one moves."""
    mover = torch.tensor([0.0, 0.0, 0.0, 1.0], device=motion.device)
    step, factor = _STEPS.to(motion.device)[motion] * time, _FACTORS.to(motion.device)[motion] * time
    centre = where.centre + step[:, None] * mover[:, None]
    return Layout(where.shape, centre, where.radius * (1 + factor[:, None] * mover))


def render_video(scenes: SceneRecords, size: int = 32, frames: int = 8, style: str = "flat") -> Tensor:
    """Short videos: the mover goes a quarter of the picture, or grows or shrinks by half, in front of the rest.

    The first frame shows the scene as `render` does.

    Args:
        scenes: the records, with `mover` (a place) and `motion` (index into MOTIONS).
        size: side in pixels, at least 8.
        frames: number of frames, at least 2.
        style: one of STYLES.

    Returns:
        (batch, frames, 3, size, size) float32 in [-1, 1].

    Raises:
        ValueError: unknown style, too small a size, too few frames.
    """
    _check(size, style)
    if frames < 2:
        raise ValueError(f"frames is {frames}: a video needs at least 2")
    videos = torch.empty(len(scenes), frames, 3, size, size, device=scenes.device)
    for start in range(0, len(scenes), _CHUNK):
        part = slice(start, start + _CHUNK)
        few, where = _mover_last(scenes[part])
        for frame in range(frames):
            videos[part, frame] = _PAINTERS[style](few, size, _at_time(where, few.motion, frame / (frames - 1)))
    return videos
