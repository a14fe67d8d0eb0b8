"""Captions read back: the facts that a text states, so that what a model wrote can be held against its scene."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import regex

from course_utils.data.scenes.captions import NUMBERS
from course_utils.data.scenes.facts import RELATIONS, Fact, Pattern, own_truth
from course_utils.data.scenes.facts import objects as objects_of
from course_utils.data.scenes.grammar import accepts
from course_utils.data.scenes.records import BACKGROUNDS, COLORS, PLACES, SHAPES, SIZES, SceneRecords


def _any(words: Sequence[str]) -> str:
    return "|".join(words)


_PLACE = rf"at the (?P<{{}}>{_any(PLACES)})"
_NOUN = regex.compile(
    rf"(?:{_PLACE.format('before')} )?\b(?P<many>an?|{_any(NUMBERS)}) (?:(?P<size>{_any(SIZES)}) )?(?:(?P<color>{_any(COLORS)}) )?"
    rf"(?P<shape>{_any(SHAPES)}|object)(?:es|s)?\b(?: (?:is )?{_PLACE.format('after')})?"
)
_BACKGROUND = regex.compile(rf"on a (?P<tone>{_any(BACKGROUNDS)}) background|the background is (?P<tone>{_any(BACKGROUNDS)})")
_RELATION = regex.compile(rf"\b({_any(RELATIONS)})\b")


class Reading(NamedTuple):
    """How a text stands to its scene."""

    caption: bool  # it is a caption in form
    true: bool  # and all that it states holds
    names_all: bool  # and it speaks of as many objects of each shape and colour as there are


def parse(text: str) -> tuple[Fact, ...]:
    """The facts that a caption states, in the order in which `captions` lists them.

    Raises:
        ValueError: the text is no caption (`grammar.first_wrong_word` says which word is wrong).
    """
    if not accepts(text):
        raise ValueError(f"no caption: {text!r}")
    words = text.lower()
    things = [(found["many"], _pattern(found)) for found in _NOUN.finditer(words)]
    tone = _BACKGROUND.search(words)
    background = () if tone is None else (Fact("background", value=BACKGROUNDS.index(tone["tone"])),)
    relation = _RELATION.search(words)
    if relation is not None:
        (_, first), (_, second) = things
        return (Fact("relation", first, RELATIONS.index(relation[1]), second), *background)
    counted = [(pattern, _number(many)) for many, pattern in things]
    if words.startswith("only"):
        groups = tuple(Fact("number", pattern, number) for pattern, number in counted)
        return (Fact("number", value=sum(number for _, number in counted)), *groups, *background)
    said = (
        Fact("exists", pattern) if many in ("a", "an") else Fact("number", pattern, _number(many))
        for many, pattern in things
    )
    return (*said, *background)


def read(texts: Sequence[str], scenes: SceneRecords) -> list[Reading]:
    """Each text held against its scene.

    Args:
        scenes: records on the CPU, (texts,).

    Raises:
        ValueError: if there are not as many scenes as texts.
    """
    stated = [parse(text) if accepts(text) else () for text in texts]
    true = own_truth(stated, scenes).tolist()
    things = objects_of(scenes)
    return [
        Reading(bool(facts), bool(facts) and holds, names_all(facts, few))
        for facts, holds, few in zip(stated, true, things, strict=True)
    ]


def names_all(facts: Sequence[Fact], things: Sequence[Pattern]) -> bool:
    """Whether facts speak of as many objects of each shape and colour as there are."""
    named: Counter[tuple[int, int]] = Counter()
    for fact in facts:
        if fact.kind in ("exists", "number") and fact.first.shape >= 0 and fact.first.color >= 0:
            named[fact.first.shape, fact.first.color] += 1 if fact.kind == "exists" else fact.value
    return named == Counter((thing.shape, thing.color) for thing in things)


def _number(many: str) -> int:
    return 1 if many in ("a", "an") else NUMBERS.index(many)


def _pattern(found: regex.Match) -> Pattern:
    """The pattern of a noun and its place."""
    place = found["before"] or found["after"]
    values = (
        (found["shape"], SHAPES),
        (found["color"], COLORS),
        (found["size"], SIZES),
        (place, PLACES),
    )
    return Pattern(*(names.index(word) if word in names else -1 for word, names in values))
