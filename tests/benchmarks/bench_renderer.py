"""Rendering scenes.

32x32 pictures a second of the same scenes: the course's batched distance functions against drawing each picture with
Pillow at four times the size, reduced for smooth edges. Median of five runs in turns. The last column is the mean
absolute difference between both, of values in [-1, 1].
"""

import json
import math
import statistics
import time

import numpy
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from course_utils.data.scenes import (
    BACKGROUND_RGB,
    BACKGROUNDS,
    COLOR_RGB,
    COLORS,
    SHAPES,
    SceneRecords,
    records,
    render,
)
from course_utils.data.scenes.shapes import layout

LARGER = 4


def polygons(shape: str) -> list[list[tuple[float, float]]]:
    """A shape as polygons, in units of its radius and from its centre; circles are drawn as such."""
    if shape == "square":
        return [[(-0.84, -0.84), (0.84, -0.84), (0.84, 0.84), (-0.84, 0.84)]]
    if shape == "triangle":
        half = 0.5 * (0.78 + 0.95) / math.sqrt(0.75)
        return [[(0, -0.95), (half, 0.78), (-half, 0.78)]]
    if shape == "star":
        corners = [(1.05 if corner % 2 == 0 else 0.47, corner * math.pi / 5) for corner in range(10)]
        return [[(radius * math.sin(angle), 0.1 - radius * math.cos(angle)) for radius, angle in corners]]
    if shape == "heart":
        return [[(1.62 * x, 1.62 * (0.552 - y)) for x, y in ((0, 0), (0.5, 0.5), (0, 1), (-0.5, 0.5))]]
    if shape == "cross":
        return [[(-a, -b), (a, -b), (a, b), (-a, b)] for a, b in ((0.95, 0.34), (0.34, 0.95))]
    return []


def circles(shape: str) -> list[tuple[float, float, float]]:
    """Centre and radius of the circles that a shape is made of."""
    if shape == "circle":
        return [(0, 0, 0.95)]
    if shape == "heart":
        radius = 1.62 * math.sqrt(2) / 4
        return [(side * 1.62 * 0.25, 1.62 * (0.552 - 0.75), radius) for side in (-1, 1)]
    return []


POLYGONS = {shape: polygons(shape) for shape in SHAPES}
CIRCLES = {shape: circles(shape) for shape in SHAPES}


def drawn(scenes: SceneRecords, size: int = 32) -> Tensor:
    """The scenes as one would draw them with Pillow: (batch, 3, size, size) float32 in [-1, 1]."""
    where = layout(scenes)
    centres, radii = where.centre.tolist(), where.radius.tolist()
    shapes, colors, backgrounds = scenes.shape.tolist(), scenes.color.tolist(), scenes.background.tolist()
    side = size * LARGER
    pictures = numpy.empty((len(backgrounds), size, size, 3), dtype=numpy.uint8)
    for scene, background in enumerate(backgrounds):
        image = Image.new("RGB", (side, side), BACKGROUND_RGB[BACKGROUNDS[background]])
        draw = ImageDraw.Draw(image)
        for place in range(4):
            if shapes[scene][place] < 0:
                continue
            shape, color = SHAPES[shapes[scene][place]], COLOR_RGB[COLORS[colors[scene][place]]]
            (x, y), radius = centres[scene][place], radii[scene][place]
            for polygon in POLYGONS[shape]:
                draw.polygon(
                    [((x + u * radius) * side - 0.5, (y + v * radius) * side - 0.5) for u, v in polygon], fill=color
                )
            for u, v, part in CIRCLES[shape]:
                left, top = (x + (u - part) * radius) * side - 0.5, (y + (v - part) * radius) * side - 0.5
                draw.ellipse((left, top, left + 2 * part * radius * side, top + 2 * part * radius * side), fill=color)
        pictures[scene] = numpy.asarray(image.resize((size, size), Image.Resampling.BOX))
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    many, few = records("train", range(20_000)), records("train", range(2_000))
    difference = (render(few) - drawn(few)).abs().mean().item()
    ours, theirs, with_records = [], [], []
    for _ in range(5):
        ours.append(len(many) / seconds(lambda: render(many)))
        with_records.append(len(many) / seconds(lambda: render(records("train", range(20_000)))))
        theirs.append(len(few) / seconds(lambda: drawn(few)))
    pillow = statistics.median(theirs)
    for what, rates in {
        "Pillow": theirs,
        "course_utils.data.scenes.render": ours,
        "the same, from indices to records to pictures": with_records,
    }.items():
        rate = statistics.median(rates)
        row = {"what": what, "pictures_a_second": rate, "times_pillow": rate / pillow}
        print(json.dumps(row | {"difference": 0.0 if what == "Pillow" else difference}))


if __name__ == "__main__":
    main()
