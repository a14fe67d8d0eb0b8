"""Questions about scenes, with answers that cannot be guessed from the question.

Balance is built in scene by scene, so that it holds for any batch, in any order:

- yes or no (`exists`, `relation`): asked in pairs, one true, one false, in the same words with other values;
- `count_of` ("How many red objects are there?"): asked in threes, with the answers zero, one and two;
- `comparison` ("Are there more red objects than blue objects?"): asked both ways round, of two colors or two shapes, which are equally frequent;
- `count`, `color`, `shape`, `size`, `place`, `background`: the records are balanced, so the answers are.

A question that has no single answer is not asked: "What color is the circle?" needs exactly one circle.
"""

from collections.abc import Sequence
from typing import NamedTuple

from course_utils.data.draws import Draws, keys
from course_utils.data.scenes.captions import NUMBERS, noun, one
from course_utils.data.scenes.facts import RELATED, RELATIONS, Pattern, objects
from course_utils.data.scenes.records import ALLOWED, BACKGROUNDS, COLORS, HELD_OUT, PLACES, SHAPES, SIZES, SceneRecords

QUESTION_KINDS = ("exists", "relation", "count", "count_of", "color", "shape", "size", "place", "background", "comparison")
ANSWERS = ("yes", "no", *NUMBERS, *COLORS, *SHAPES, *SIZES, *PLACES, *BACKGROUNDS)
"""Every answer that a question can have."""

_RELATED = RELATED.tolist()
_ALLOWED, _HELD_OUT = (
    [Pattern(SHAPES.index(shape), COLORS.index(color)) for shape, color in pairs] for pairs in (ALLOWED, HELD_OUT)
)


class Question(NamedTuple):
    """A question, its kind (one of QUESTION_KINDS) and its answer (one of ANSWERS)."""

    kind: str
    text: str
    answer: str


def _color(thing: Pattern) -> Pattern:
    return Pattern(color=thing.color)


def _shape(thing: Pattern) -> Pattern:
    return Pattern(shape=thing.shape)


def _pair(thing: Pattern) -> Pattern:
    return Pattern(thing.shape, thing.color)


_REDUCTIONS = (_color, _shape, _pair)


def _number(pattern: Pattern, things: list[Pattern]) -> int:
    return sum(pattern.fits(thing) for thing in things)


def _absent(like: Pattern, things: list[Pattern], draw: int) -> Pattern:
    """A pattern that says the same attributes as `like` and fits nothing. Held-out pairs are exchanged for held-out
    pairs only: otherwise a pair never seen in training would give its answer away."""
    if like.shape < 0:
        choices = [Pattern(color=color) for color in range(len(COLORS))]
    elif like.color < 0:
        choices = [Pattern(shape=shape) for shape in range(len(SHAPES))]
    else:
        choices = _HELD_OUT if like in _HELD_OUT else _ALLOWED
    choices = [choice for choice in choices if not _number(choice, things)]
    return choices[draw % len(choices)]


def _turned(asked: list[Question], draw: list[int]) -> list[Question]:
    """Begin anywhere: the order must not give answers away either."""
    start = draw[4] % len(asked)
    return asked[start:] + asked[:start]


def _exists(things: list[Pattern], draw: list[int]) -> list[Question]:
    there = _REDUCTIONS[draw[0] % 3](things[draw[1] % len(things)])
    asked = ((there, "yes"), (_absent(there, things, draw[2]), "no"))
    return _turned([Question("exists", f"Is there {one(pattern)}?", answer) for pattern, answer in asked], draw)


def _relation(things: list[Pattern], draw: list[int]) -> list[Question]:
    """Pairs that stand in a relation one way round, and not the other way round by another object of the same look."""
    choices = []
    for first in things:
        for second in things:
            for relation in range(4):
                if _RELATED[relation][first.place][second.place]:
                    choice = (_pair(first), relation, _pair(second))
                    if not _related(choice[2], relation, choice[0], things):
                        choices.append(choice)
    if not choices:
        return []
    first, relation, second = choices[draw[0] % len(choices)]
    asked = ((first, second, "yes"), (second, first, "no"))
    texts = [f"Is there {one(a)} {RELATIONS[relation]} {one(b)}?" for a, b, _ in asked]
    return _turned([Question("relation", text, turn[2]) for text, turn in zip(texts, asked, strict=True)], draw)


def _related(first: Pattern, relation: int, second: Pattern, things: list[Pattern]) -> bool:
    return any(
        first.fits(a) and second.fits(b) and _RELATED[relation][a.place][b.place] for a in things for b in things
    )


def _count(things: list[Pattern], draw: list[int]) -> list[Question]:
    return [Question("count", "How many objects are there?", NUMBERS[len(things)])]


def _count_of(things: list[Pattern], draw: list[int]) -> list[Question]:
    for offset in range(3):
        reduce = _REDUCTIONS[(draw[0] + offset) % 3]
        seen = {reduce(thing): _number(reduce(thing), things) for thing in things}
        single, double = ([pattern for pattern, times in seen.items() if times == number] for number in (1, 2))
        if single and double:
            there = single[draw[1] % len(single)]
            asked = (_absent(there, things, draw[2]), there, double[draw[3] % len(double)])
            texts = [f"How many {noun(pattern, plural=True)} are there?" for pattern in asked]
            return _turned([Question("count_of", text, NUMBERS[number]) for number, text in enumerate(texts)], draw)
    return []


def _referred(thing: Pattern, by: Pattern, things: list[Pattern], draw: int) -> str:
    """ "red circle" where that says which object is meant, else (and for every other draw) "object at the top left"."""
    if draw % 2 and _number(by, things) == 1:
        return noun(by)
    return f"object at the {PLACES[thing.place]}"


def _comparison(things: list[Pattern], draw: list[int]) -> list[Question]:
    """Of two kinds that are both there where their numbers differ, else of one that is there and one that is not."""
    reduce = (_color, _shape)[draw[0] % 2]
    seen = list(dict.fromkeys(reduce(thing) for thing in things))
    absent = _absent(seen[0], things, draw[1])
    choices = _more(seen, things) or _more([*seen, absent], things)
    more, fewer = choices[draw[2] % len(choices)]
    asked = ((more, fewer, "yes"), (fewer, more, "no"))
    texts = [f"Are there more {noun(a, plural=True)} than {noun(b, plural=True)}?" for a, b, _ in asked]
    return _turned([Question("comparison", text, turn[2]) for text, turn in zip(texts, asked, strict=True)], draw)


def _more(patterns: list[Pattern], things: list[Pattern]) -> list[tuple[Pattern, Pattern]]:
    """Pairs of which the first fits more objects than the second."""
    return [(a, b) for a in patterns for b in patterns if _number(a, things) > _number(b, things)]


def _color_of(things: list[Pattern], draw: list[int]) -> list[Question]:
    thing = things[draw[0] % len(things)]
    words = _referred(thing, _shape(thing), things, draw[1])
    return [Question("color", f"What color is the {words}?", COLORS[thing.color])]


def _shape_of(things: list[Pattern], draw: list[int]) -> list[Question]:
    thing = things[draw[0] % len(things)]
    words = _referred(thing, _color(thing), things, draw[1])
    return [Question("shape", f"What shape is the {words}?", SHAPES[thing.shape])]


def _size_of(things: list[Pattern], draw: list[int]) -> list[Question]:
    thing = things[draw[0] % len(things)]
    words = _referred(thing, _pair(thing), things, draw[1])
    return [Question("size", f"What size is the {words}?", SIZES[thing.size])]


def _place_of(things: list[Pattern], draw: list[int]) -> list[Question]:
    single = [thing for thing in things if _number(_pair(thing), things) == 1]
    if not single:
        return []
    thing = single[draw[0] % len(single)]
    return [Question("place", f"Where is the {noun(_pair(thing))}?", PLACES[thing.place])]


_ASKERS = {
    "exists": _exists,
    "relation": _relation,
    "count": _count,
    "count_of": _count_of,
    "color": _color_of,
    "shape": _shape_of,
    "size": _size_of,
    "place": _place_of,
    "comparison": _comparison,
}


def questions(scenes: SceneRecords, seed: int = 0, kinds: Sequence[str] = QUESTION_KINDS) -> list[list[Question]]:
    """Questions about each scene: those of each kind that can be asked of it.

    Args:
        scenes: records, (batch,).
        seed: another seed asks about other objects. A question depends on its own scene, the seed and its kind alone.
        kinds: any of QUESTION_KINDS.

    Returns:
        One list of `Question` for each scene.

    Raises:
        ValueError: unknown kind.
    """
    unknown = [kind for kind in kinds if kind not in QUESTION_KINDS]
    if unknown:
        raise ValueError(f"unknown kinds {unknown}: choose some of {', '.join(QUESTION_KINDS)}")
    scenes = scenes.to("cpu")
    things, backgrounds = objects(scenes), scenes.background.tolist()
    asked: list[list[Question]] = [[] for _ in things]
    for kind in kinds:
        if kind == "background":
            for found, tone in zip(asked, backgrounds, strict=True):
                found.append(Question("background", "What color is the background?", BACKGROUNDS[tone]))
            continue
        draws = Draws(keys(scenes.texture, seed, 100 + QUESTION_KINDS.index(kind))).integers(2**31, 5).tolist()
        for found, few, draw in zip(asked, things, draws, strict=True):
            found.extend(_ASKERS[kind](few, draw))
    return asked
