"""Captions of scenes, from full to partial, each with the facts that it states.

The levels, with the caption that a scene of two objects may get:

- full: "Two objects on a sand background: a large red circle at the top left and a small blue star at the bottom left."
- places: "A red circle is at the top left and a blue star is at the bottom left."
- objects: "Only a red circle and a blue star on a sand background."
- counting: "Exactly one red object."
- relation: "A red circle is above a blue star." (of a single object: "A red circle is at the top left.")
- partial: "There is a small star."

"Only" states that there is nothing else; "exactly" and number words are exact; "a red circle" says that there is at
least one. Words come in the order size, colour, shape, place, so that a caption can be parsed back into its facts.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from course_utils.data.draws import Draws, keys
from course_utils.data.scenes.facts import RELATED, RELATIONS, Fact, Pattern, objects
from course_utils.data.scenes.records import BACKGROUNDS, COLORS, PLACES, SHAPES, SIZES, SceneRecords

NUMBERS = ("zero", "one", "two", "three", "four")
_RELATED = RELATED.tolist()


class Caption(NamedTuple):
    """A text and the facts that it states, all of them and no more."""

    text: str
    facts: tuple[Fact, ...]


def noun(pattern: Pattern, plural: bool = False) -> str:
    """ "large red circle", "blue objects": the words of a pattern without its place."""
    shape = SHAPES[pattern.shape] if pattern.shape >= 0 else "object"
    if plural:
        shape += "es" if shape.endswith("s") else "s"
    words = [SIZES[pattern.size]] if pattern.size >= 0 else []
    if pattern.color >= 0:
        words.append(COLORS[pattern.color])
    return " ".join([*words, shape])


def one(pattern: Pattern) -> str:
    """ "a red circle", "an orange star", with the place where the pattern has one: "a star at the top left"."""
    words = noun(pattern)
    words = f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
    return f"{words} at the {PLACES[pattern.place]}" if pattern.place >= 0 else words


def several(number: int, pattern: Pattern) -> str:
    """ "one red circle", "two red circles"."""
    return f"{NUMBERS[number]} {noun(pattern, plural=number != 1)}"


def _listed(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _full(things: list[Pattern], background: int, draw: list[int]) -> Caption:
    count, tone = several(len(things), Pattern()), BACKGROUNDS[background]
    facts = (
        Fact("number", value=len(things)),
        *(Fact("exists", thing) for thing in things),
        Fact("background", value=background),
    )
    if draw[0] % 3 == 0:
        return Caption(_sentence(f"{count} on a {tone} background: {_listed([one(thing) for thing in things])}"), facts)
    bare = [(PLACES[thing.place], one(thing._replace(place=-1))) for thing in things]
    if draw[0] % 3 == 1:
        listed = _listed([f"at the {place} {words}" for place, words in bare])
        return Caption(_sentence(f"on a {tone} background, {count}: {listed}"), facts)
    sentences = [_sentence(f"{words} is at the {place}") for place, words in bare]
    start = _sentence(f"there {'is' if len(things) == 1 else 'are'} {count}")
    return Caption(" ".join([start, *sentences, f"The background is {tone}."]), facts)


def _places(things: list[Pattern], background: int, draw: list[int]) -> Caption:
    said = [thing._replace(size=-1) for thing in things]
    facts = tuple(Fact("exists", thing) for thing in said)
    if draw[0] % 2:
        return Caption(_sentence(_listed([one(thing) for thing in said])), facts)
    words = [f"{one(thing._replace(place=-1))} is at the {PLACES[thing.place]}" for thing in said]
    return Caption(_sentence(_listed(words)), facts)


def _objects(things: list[Pattern], background: int, draw: list[int]) -> Caption:
    groups: dict[Pattern, int] = {}
    for thing in things:
        kind = Pattern(thing.shape, thing.color)
        groups[kind] = groups.get(kind, 0) + 1
    listed = _listed([one(kind) if number == 1 else several(number, kind) for kind, number in groups.items()])
    facts = (
        Fact("number", value=len(things)),
        *(Fact("number", kind, number) for kind, number in groups.items()),
    )
    return _perhaps_background(f"only {listed}", facts, background, draw[0] % 2 == 0)


def _counting(things: list[Pattern], background: int, draw: list[int]) -> Caption:
    pattern = _part(things[draw[1] % len(things)], (Pattern(), Pattern(shape=0), Pattern(color=0))[draw[2] % 3])
    number = sum(pattern.fits(thing) for thing in things)
    start = ("exactly", f"there {'is' if number == 1 else 'are'} exactly")[draw[3] % 2]
    facts = (Fact("number", pattern, number),)
    return _perhaps_background(f"{start} {several(number, pattern)}", facts, background, draw[0] % 2 == 0)


def _relation(things: list[Pattern], background: int, draw: list[int]) -> Caption:
    if len(things) == 1:
        thing = things[0]._replace(size=-1)
        place, words = PLACES[thing.place], one(thing._replace(place=-1))
        text = (f"{words} is at the {place}", f"there is {words} at the {place}")[draw[0] % 2]
        return Caption(_sentence(text), (Fact("exists", thing),))
    first = things.pop(draw[1] % len(things))
    second = things[draw[2] % len(things)]
    true = [number for number in range(4) if _RELATED[number][first.place][second.place]]
    relation = true[draw[3] % len(true)]
    subject, reference = Pattern(first.shape, first.color), Pattern(second.shape, second.color)
    text = (f"{one(subject)} is", f"there is {one(subject)}")[draw[0] % 2]
    fact = Fact("relation", subject, relation, reference)
    return Caption(_sentence(f"{text} {RELATIONS[relation]} {one(reference)}"), (fact,))


_SAID = (
    Pattern(shape=0),
    Pattern(color=0),
    Pattern(shape=0, color=0),
    Pattern(shape=0, size=0),
    Pattern(shape=0, color=0, size=0),
    Pattern(color=0, place=0),
)


def _partial(things: list[Pattern], background: int, draw: list[int]) -> Caption:
    pattern = _part(things[draw[1] % len(things)], _SAID[draw[2] % len(_SAID)])
    start = ("", "there is ")[draw[3] % 2]
    facts = (Fact("exists", pattern),)
    return _perhaps_background(start + one(pattern), facts, background, draw[0] % 2 == 0)


def _part(thing: Pattern, said: Pattern) -> Pattern:
    """What is left of an object when only the attributes that `said` has are named."""
    return Pattern(*(value if keep >= 0 else -1 for value, keep in zip(thing, said, strict=True)))


def _perhaps_background(words: str, facts: tuple[Fact, ...], background: int, with_it: bool) -> Caption:
    if not with_it:
        return Caption(_sentence(words), facts)
    return Caption(
        _sentence(f"{words} on a {BACKGROUNDS[background]} background"), (*facts, Fact("background", value=background))
    )


_WRITERS: dict[str, Callable[[list[Pattern], int, list[int]], Caption]] = {
    "full": _full,
    "places": _places,
    "objects": _objects,
    "counting": _counting,
    "relation": _relation,
    "partial": _partial,
}
LEVELS = tuple(_WRITERS)


def captions(scenes: SceneRecords, seed: int = 0, levels: Sequence[str] = LEVELS) -> list[list[Caption]]:
    """Captions of each scene, one of each level, in the order of `levels`.

    Args:
        scenes: records, (batch,).
        seed: another seed chooses other phrasings, objects and relations. A caption depends on its own scene, the
            seed and its level alone.
        levels: any of LEVELS.

    Returns:
        One list for each scene, of one `Caption` a level.

    Raises:
        ValueError: unknown level.
    """
    scenes = scenes.to("cpu")
    unknown = [level for level in levels if level not in LEVELS]
    if unknown:
        raise ValueError(f"unknown levels {unknown}: choose some of {', '.join(LEVELS)}")
    things, backgrounds = objects(scenes), scenes.background.tolist()
    columns = []
    for level in levels:
        draws = Draws(keys(scenes.texture, seed, LEVELS.index(level))).integers(2520, 4).tolist()
        write = _WRITERS[level]
        written = zip(things, backgrounds, draws, strict=True)
        columns.append([write(list(few), tone, draw) for few, tone, draw in written])
    return [list(row) for row in zip(*columns, strict=True)]
