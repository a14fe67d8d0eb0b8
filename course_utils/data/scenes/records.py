"""Scene records: what is in a picture, as integers. Pictures, captions and answers are computed from them.

A scene is a 2x2 grid of places on a coloured background, with 1 to 4 objects, at most one a place. An object has a
shape, a colour, a size and a small jitter of its position.

    scenes = records("train", range(8))              # a function of (split, seed, index), and of nothing else
    scenes.shape                                     # (8, 4): index into SHAPES for each place, -1 where it is empty

Three things hold by construction:

- Counts, shapes, colours, sizes, places and backgrounds are balanced.
- No scene of one split occurs in another: a checksum of all that can be seen, modulo 5, is 0, 1 or 2 in `train`,
  3 in `validation`, 4 in `test` (one jitter of the first object is set so that it is).
- The pairs of shape and colour in `HELD_OUT` occur in `compositional` only, and there in every scene.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from course_utils.data.draws import Draws, keys
from course_utils.data.hashing import hashed
from course_utils.data.records import RESIDUES, Records, checked_indices, index_of, settled

SHAPES = ("circle", "square", "triangle", "star", "heart", "cross")
COLORS = ("red", "orange", "yellow", "green", "cyan", "blue", "pink", "black")
SIZES = ("small", "large")
PLACES = ("top left", "top right", "bottom left", "bottom right")
BACKGROUNDS = ("cream", "gray", "sand", "mint", "lavender", "sky")
MOTIONS = ("moves left", "moves right", "moves up", "moves down", "grows", "shrinks")
SPLITS = ("train", "validation", "test", "compositional")

HELD_OUT = (
    ("circle", "green"),
    ("square", "red"),
    ("triangle", "blue"),
    ("star", "pink"),
    ("heart", "cyan"),
    ("cross", "yellow"),
    ("circle", "black"),
    ("square", "orange"),
)
"""Pairs that only the compositional split has: each colour once, each shape once or twice."""

MAX_JITTER = 2  # in steps of 1/64 of the picture's side: one pixel at 32x32
_RESIDUES = {**RESIDUES, "compositional": (0, 1, 2, 3, 4)}
_REPEAT = 6  # one in six further objects repeats the shape and colour of the first: "two red circles"

NUM_CLASSES = len(SHAPES) * len(COLORS)
"""Classes of scenes of one object, as `SceneRecords.label` numbers them; those of HELD_OUT occur in `compositional` only."""

_ALL_PAIRS = tuple((shape, color) for shape in SHAPES for color in COLORS)
ALLOWED = tuple(pair for pair in _ALL_PAIRS if pair not in HELD_OUT)
"""Pairs of shape and colour that every split may show."""


@dataclass(frozen=True, eq=False)
class SceneRecords(Records):
    """A batch of scenes. All fields are int64; an empty place has -1 in shape, color and size, and jitter 0.

    Attributes:
        shape: (batch, 4), index into SHAPES for each of PLACES.
        color: (batch, 4), index into COLORS.
        size: (batch, 4), index into SIZES.
        background: (batch,), index into BACKGROUNDS.
        jitter: (batch, 4, 2), x (right) and y (down), -2 ... 2 in steps of 1/64 of the picture's side.
        mover: (batch,), the place of the object that moves in a video.
        motion: (batch,), index into MOTIONS: what it does.
        light: (batch,), 0 ... 7: the direction that light comes from, in eighths of a turn.
        texture: (batch,), the key of all texture, strokes and phrasing.
    """

    kind: ClassVar[str] = "scene"

    shape: Tensor
    color: Tensor
    size: Tensor
    background: Tensor
    jitter: Tensor
    mover: Tensor
    motion: Tensor
    light: Tensor
    texture: Tensor

    @property
    def present(self) -> Tensor:
        """(batch, 4) bool: is there an object at the place?"""
        return self.shape >= 0

    @property
    def count(self) -> Tensor:
        """(batch,) int64: the number of objects."""
        return self.present.sum(1)

    @property
    def label(self) -> Tensor:
        """(batch,) int64: the class of the first object, index of its shape times 8 plus index of its colour."""
        first = self.present.long().argmax(1, keepdim=True)
        return (self.shape.gather(1, first) * len(COLORS) + self.color.gather(1, first))[:, 0]


def _pair_table(pairs: Sequence[tuple[str, str]]) -> Tensor:
    """(pairs, 2) int64: indices of shape and colour."""
    return torch.tensor([(SHAPES.index(shape), COLORS.index(color)) for shape, color in pairs])


def _code(shape: Tensor, color: Tensor, size: Tensor, background: Tensor, jitter: Tensor) -> Tensor:
    steps = 2 * MAX_JITTER + 1
    place = ((shape + 1) * 9 + color + 1) * 3 + size + 1
    place = (place * steps + jitter[..., 0] + MAX_JITTER) * steps + jitter[..., 1] + MAX_JITTER
    code = background
    for number in range(4):  # under 2**13 values a place: 55 bits in all
        code = code * 8192 + place[:, number]
    return code


def visible_code(scenes: SceneRecords) -> Tensor:
    """(batch,) int64: one number for all that can be seen in the flat rendering; equal codes are equal pictures."""
    return _code(scenes.shape, scenes.color, scenes.size, scenes.background, scenes.jitter)


def records(split: str, indices: Iterable[int] | Tensor, seed: int = 0, objects: int | None = None) -> SceneRecords:
    """The scenes of a split at the given indices.

    Args:
        split: one of SPLITS.
        indices: (batch,) integers from 0 up to (not including) 2**40.
        seed: another seed is another data set.
        objects: how many objects each scene has; None for 1 to 4, all equally often.

    Returns:
        `SceneRecords` on the CPU, in the order of the indices.

    Raises:
        ValueError: unknown split, or a number of objects outside 1 ... 4.
        IndexError: an index that is negative or too large.
    """
    if objects is not None and not 1 <= objects <= len(PLACES):
        raise ValueError(f"a scene has 1 to {len(PLACES)} objects, not {objects}")
    indices = checked_indices(split, SPLITS, indices)
    key = keys(indices, SPLITS.index(split), seed)
    draws = Draws(key)
    rows = torch.arange(len(indices))

    count = draws.integers(4) + 1  # drawn in any case, so that all that follows stays the same
    if objects is not None:
        count = torch.full_like(count, objects)
    order = draws.integers(2**31, 4).argsort(dim=1, stable=True)  # the places in random order
    present = order.argsort(dim=1) < count
    first = order[:, 0]

    table = _pair_table(_ALL_PAIRS if split == "compositional" else ALLOWED)
    pair = table[draws.integers(len(table), 4)]
    if split == "compositional":
        pair[rows, first] = _pair_table(HELD_OUT)[draws.integers(len(HELD_OUT))[:, 0]]
    repeats = draws.integers(_REPEAT, 4) == 0
    pair = torch.where(repeats[..., None], pair[rows, first][:, None], pair)

    shape = pair[..., 0].where(present, -1)
    color = pair[..., 1].where(present, -1)
    size = draws.integers(len(SIZES), 4).where(present, -1)
    background = draws.integers(len(BACKGROUNDS))[:, 0]
    jitter = draws.integers(2 * MAX_JITTER + 1, 8).reshape(-1, 4, 2) - MAX_JITTER
    jitter = jitter.where(present[..., None], 0)

    top = present.long().argmax(1)  # the first place that is not empty
    jitter[rows, top, 0] = 0
    code = _code(shape, color, size, background, jitter)
    jitter[rows, top, 0] = settled(code, _RESIDUES[split], draws) - MAX_JITTER

    return SceneRecords(
        shape=shape,
        color=color,
        size=size,
        background=background,
        jitter=jitter,
        mover=first,
        motion=draws.integers(len(MOTIONS))[:, 0],
        light=draws.integers(8)[:, 0],
        texture=hashed(key),
    )


def scene(objects: Sequence[tuple[str, str, str, str]], background: str = "cream", texture: int = 0) -> SceneRecords:
    """One scene in words, as a batch of one: `scene([("large", "red", "circle", "top left")], "sand")`.

    Args:
        objects: up to four of (size, colour, shape, place).
        background: one of BACKGROUNDS.
        texture: another number is another texture, stroke and phrasing.

    Raises:
        ValueError: a word that is not in SIZES, COLORS, SHAPES, PLACES or BACKGROUNDS, or a place used twice.
    """
    empty = torch.full((1, 4), -1)
    shape, color, size = empty.clone(), empty.clone(), empty.clone()
    place = 0
    for size_word, color_word, shape_word, place_word in objects:
        place = index_of(place_word, PLACES, "place")
        if shape[0, place] >= 0:
            raise ValueError(f"two objects at the {place_word}: a place holds one")
        shape[0, place] = index_of(shape_word, SHAPES, "shape")
        color[0, place] = index_of(color_word, COLORS, "color")
        size[0, place] = index_of(size_word, SIZES, "size")
    zero = torch.zeros(1, dtype=torch.int64)
    return SceneRecords(
        shape=shape,
        color=color,
        size=size,
        background=zero + index_of(background, BACKGROUNDS, "background"),
        jitter=torch.zeros(1, 4, 2, dtype=torch.int64),
        mover=zero + place,
        motion=zero,
        light=zero + 5,
        texture=hashed(zero + texture),
    )
