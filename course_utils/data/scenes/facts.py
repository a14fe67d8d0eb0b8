"""Facts about scenes, as plain numbers that can be counted: which scenes of a gallery is a caption true of?

A `Pattern` describes an object as far as it says ("red circle": shape and colour, any size, any place). A `Fact` is
one statement:

- exists: at least one object fits `first`;
- number: exactly `value` objects fit `first` (an empty pattern fits all: the number of objects in the scene);
- relation: an object that fits `first` is left of (right of, above, below) one that fits `second`;
- background: the background is `value`.

Left and right compare columns of the 2x2 grid, above and below its rows: of two objects on a diagonal, both hold.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils.data.scenes.records import SceneRecords

OWN = 128  # statements that are looked up in each other's scenes at once, to have each in its own
FACT_KINDS = ("exists", "number", "relation", "background")
RELATIONS = ("left of", "right of", "above", "below")
OPPOSITE = (1, 0, 3, 2)

_COLUMN, _ROW = (0, 1, 0, 1), (0, 0, 1, 1)
_PLACE_PAIRS = [(first, second) for first in range(4) for second in range(4)]
RELATED = torch.tensor(
    [
        [_COLUMN[first] < _COLUMN[second] for first, second in _PLACE_PAIRS],
        [_COLUMN[first] > _COLUMN[second] for first, second in _PLACE_PAIRS],
        [_ROW[first] < _ROW[second] for first, second in _PLACE_PAIRS],
        [_ROW[first] > _ROW[second] for first, second in _PLACE_PAIRS],
    ]
).view(4, 4, 4)
"""(relation, place, place) bool: does the relation hold from the first place to the second?"""


class Pattern(NamedTuple):
    """What is said of an object: indices into SHAPES, COLORS, SIZES and PLACES, -1 where nothing is said."""

    shape: int = -1
    color: int = -1
    size: int = -1
    place: int = -1

    def fits(self, thing: "Pattern") -> bool:
        """Is this pattern true of an object (a pattern that says everything)?"""
        return all(said in (-1, is_) for said, is_ in zip(self, thing, strict=True))


ANYTHING = Pattern()


class Fact(NamedTuple):
    """One statement about a scene; see the module for the four kinds."""

    kind: str
    first: Pattern = ANYTHING
    value: int = -1
    second: Pattern = ANYTHING

    def code(self) -> list[int]:
        """Ten integers: kind, value, then shape, color, size and place of `first` and of `second`.

        Raises:
            ValueError: a kind of fact that is not in FACT_KINDS.
        """
        if self.kind not in FACT_KINDS:
            raise ValueError(f"unknown kind of fact {self.kind!r}: there are {', '.join(FACT_KINDS)}")
        return [FACT_KINDS.index(self.kind), self.value, *self.first, *self.second]

    @classmethod
    def from_code(cls, code: Sequence[int]) -> "Fact":
        """The fact of a `code`."""
        return cls(FACT_KINDS[code[0]], Pattern(*code[2:6]), code[1], Pattern(*code[6:10]))


def objects(scenes: SceneRecords) -> list[list[Pattern]]:
    """The objects of each scene in reading order, each as a pattern that says everything."""
    columns = torch.stack([scenes.shape, scenes.color, scenes.size, torch.arange(4).expand(len(scenes), 4)], dim=2)
    return [[Pattern(*thing) for thing in things if thing[0] >= 0] for things in columns.tolist()]


def _fits(patterns: Tensor, scenes: SceneRecords) -> Tensor:
    """(facts, 4) patterns -> (facts, batch, 4 places) float32: 1 where the object at the place fits."""
    fits = scenes.present.expand(len(patterns), -1, -1)
    for attribute, values in enumerate((scenes.shape, scenes.color, scenes.size, torch.arange(4))):
        said = patterns[:, attribute, None, None]
        fits = fits & ((said < 0) | (said == values))
    return fits.float()


def _holds(codes: Tensor, scenes: SceneRecords) -> Tensor:
    """(facts, 10) codes of facts -> (facts, batch) bool."""
    kind, value = codes[:, 0, None], codes[:, 1, None]
    first, second = _fits(codes[:, 2:6], scenes), _fits(codes[:, 6:10], scenes)
    number = first.sum(2).long()
    related = (first @ RELATED[codes[:, 1].clamp(0, 3)].float() * second).sum(2) > 0
    answers = (number > 0, number == value, related, scenes.background == value)
    return torch.stack([answer & (kind == which) for which, answer in enumerate(answers)]).any(0)


def holds(facts: Sequence[Fact], scenes: SceneRecords) -> Tensor:
    """Is each fact true of each scene?

    Args:
        facts: any number of facts.
        scenes: records on the CPU, (batch,).

    Returns:
        (facts, batch) bool.

    Raises:
        ValueError: a kind of fact that is not in FACT_KINDS.
    """
    if not facts:
        return torch.zeros(0, len(scenes), dtype=torch.bool)
    codes = torch.tensor([fact.code() for fact in facts])
    codes, which = codes.unique(dim=0, return_inverse=True)
    step = max(1, 2_000_000 // max(1, len(scenes)))
    return torch.cat([_holds(part, scenes) for part in codes.split(step)])[which]


def true_of(statements: Sequence[Sequence[Fact]], scenes: SceneRecords) -> Tensor:
    """Are all facts of each statement true of each scene? (statements, batch) bool; a statement is a list of facts."""
    facts = [fact for statement in statements for fact in statement]
    owner = torch.tensor([number for number, statement in enumerate(statements) for _ in statement], dtype=torch.int64)
    wrong = torch.zeros(len(statements), len(scenes), dtype=torch.int32)
    wrong.index_add_(0, owner, (~holds(facts, scenes)).int())
    return wrong == 0


def own_truth(statements: Sequence[Sequence[Fact]], scenes: SceneRecords) -> Tensor:
    """Are all facts of statement i true of scene i? (batch,) bool; one that states nothing is true.

    Raises:
        ValueError: if there are not as many scenes as statements.
    """
    if len(statements) != len(scenes):
        raise ValueError(f"each statement belongs to a scene, but there are {len(statements)} and {len(scenes)} scenes")
    parts = [slice(start, start + OWN) for start in range(0, len(statements), OWN)]
    return torch.cat(
        [torch.zeros(0, dtype=torch.bool), *(true_of(statements[part], scenes[part]).diagonal() for part in parts)]
    )


def best_recall(statements: Sequence[Sequence[Fact]], gallery: SceneRecords, k: int = 1) -> float:
    """The recall@k that a perfect reader reaches in expectation when each caption's own scene is to be found.

    The reader knows exactly which scenes of the gallery a caption is true of, and nothing about which of them it was
    written for: of n such scenes, its own is among the first k with probability min(1, k / n).

    Args:
        statements: the facts of each caption (`[caption.facts for caption in ...]`).
        gallery: the scenes searched, which hold each caption's own scene.
        k: how many are looked at.

    Returns:
        The mean over the captions, in [0, 1].

    Raises:
        ValueError: no caption, k below 1, or a caption that is true of no scene of the gallery.
    """
    if not statements or k < 1:
        raise ValueError(f"needs at least one caption and k of at least 1, got {len(statements)} captions and k = {k}")
    fitting = true_of(statements, gallery).sum(1)
    if (fitting == 0).any():
        number = int((fitting == 0).nonzero()[0])
        raise ValueError(f"caption {number} is true of no scene of the gallery: its own scene has to be in it")
    return float((k / fitting).clamp(max=1).mean())
