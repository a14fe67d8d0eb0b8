"""Face records: what is in a picture, as integers. Pictures and captions are computed from them.

A face has nine attributes, each of which can be seen whatever the others are (hair shows below every hat, the mouth
through every beard), and a number of small differences that are nobody's attribute, as the width of the face.

    faces = records("train", range(8))               # a function of (split, seed, index), and of nothing else
    faces.smile                                      # (8,): index into ATTRIBUTES["smile"]

Two things hold by construction:

- Attributes are drawn evenly and independently of each other.
- No face of one split occurs in another: a checksum of all that can be seen, modulo 5, is 0, 1 or 2 in `train`,
  3 in `validation`, 4 in `test` (the shift to the right is set so that it is).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from course_utils.data.draws import Draws, keys
from course_utils.data.records import RESIDUES, Records, checked_indices, index_of, settled

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "smile": ("frowning", "serious", "smiling"),
    "glasses": ("none", "glasses", "sunglasses"),
    "hat": ("none", "cap", "beanie", "top hat"),
    "hair_color": ("black", "brown", "ginger", "blond", "gray"),
    "hair_length": ("short", "chin-length", "long"),
    "skin": ("light", "tan", "brown", "dark"),
    "beard": ("none", "moustache", "full beard"),
    "pose": ("left", "front", "right"),
    "background": ("cream", "sky", "coral", "teal", "violet", "navy"),
}
"""The values of each attribute, in the order of their numbers. Left and right are those of the picture."""

MAX_JITTER = 2
NUISANCES = ("width", "eye_size", "eye_distance", "mouth_width", "hair_volume", "light")
"""Small differences, each -2 ... 2, that no caption names."""

OUTFITS = ("red", "orange", "green", "blue", "purple")
"""Colours of hat and shirt."""

SPLITS = tuple(RESIDUES)


@dataclass(frozen=True, eq=False)
class FaceRecords(Records):
    """A batch of faces. All fields are int64.

    Attributes:
        smile, glasses, hat, hair_color, hair_length, skin, beard, pose, background: (batch,), index into the words of
            ATTRIBUTES.
        width, eye_size, eye_distance, mouth_width, hair_volume: (batch,), -2 ... 2.
        light: (batch,), -2 ... 2, from the left to the right: where the light comes from.
        outfit: (batch,), index into OUTFITS.
        jitter: (batch, 2), x (right) and y (down), -2 ... 2 in steps of 1/64 of the picture's side.
    """

    kind: ClassVar[str] = "face"

    smile: Tensor
    glasses: Tensor
    hat: Tensor
    hair_color: Tensor
    hair_length: Tensor
    skin: Tensor
    beard: Tensor
    pose: Tensor
    background: Tensor
    width: Tensor
    eye_size: Tensor
    eye_distance: Tensor
    mouth_width: Tensor
    hair_volume: Tensor
    light: Tensor
    outfit: Tensor
    jitter: Tensor


def visible_code(faces: FaceRecords) -> Tensor:
    """(batch,) int64: one number for all that can be seen; equal codes are equal pictures."""
    steps = 2 * MAX_JITTER + 1
    code = torch.zeros_like(faces.smile)
    for name, words in ATTRIBUTES.items():
        code = code * len(words) + getattr(faces, name)
    for name in NUISANCES:
        code = code * steps + getattr(faces, name) + MAX_JITTER
    code = code * len(OUTFITS) + faces.outfit
    for axis in range(2):
        code = code * steps + faces.jitter[:, axis] + MAX_JITTER
    return code


def records(split: str, indices: Iterable[int] | Tensor, seed: int = 0) -> FaceRecords:
    """The faces of a split at the given indices.

    Args:
        split: one of SPLITS.
        indices: (batch,) integers from 0 up to (not including) 2**40.
        seed: another seed is another data set.

    Returns:
        `FaceRecords` on the CPU, in the order of the indices.

    Raises:
        ValueError: unknown split.
        IndexError: an index that is negative or too large.
    """
    indices = checked_indices(split, SPLITS, indices)
    draws = Draws(keys(indices, "faces", SPLITS.index(split), seed))
    drawn = {name: draws.integers(len(words))[:, 0] for name, words in ATTRIBUTES.items()}
    drawn |= {name: draws.integers(2 * MAX_JITTER + 1)[:, 0] - MAX_JITTER for name in NUISANCES}
    outfit = draws.integers(len(OUTFITS))[:, 0]
    jitter = draws.integers(2 * MAX_JITTER + 1, 2) - MAX_JITTER
    jitter[:, 0] = 0
    faces = FaceRecords(**drawn, outfit=outfit, jitter=jitter)
    jitter[:, 0] = settled(visible_code(faces), RESIDUES[split], draws) - MAX_JITTER
    return faces


def face(**attributes: str) -> FaceRecords:
    """One face in words, as a batch of one: `face(smile="smiling", hat="top hat")`.

    Args:
        attributes: words of ATTRIBUTES. What is not named is serious, light, short, black or cream, looks to the front
            and wears nothing; all else is in the middle of its range.

    Raises:
        ValueError: an attribute or a word that there is not.
    """
    plain = {name: words[0] for name, words in ATTRIBUTES.items()} | {"smile": "serious", "pose": "front"}
    for name in attributes:
        index_of(name, tuple(ATTRIBUTES), "attribute")
    chosen = {
        name: torch.tensor([index_of(word, ATTRIBUTES[name], name)]) for name, word in (plain | attributes).items()
    }
    zero = torch.zeros(1, dtype=torch.int64)
    middle = dict.fromkeys((*NUISANCES, "outfit"), zero)
    return FaceRecords(**chosen, **middle, jitter=torch.zeros(1, 2, dtype=torch.int64))
