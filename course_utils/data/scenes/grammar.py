"""The grammar of captions, as one regular expression: which texts are captions of a scene, in form (whether one is true, `facts.holds` says).

Every caption that `captions` can write is accepted, and nothing else, with two liberties: a place or a kind of object may come twice, and objects
may stand in any order.
"""

import functools
from collections.abc import Iterable, Sequence

import regex

from course_utils.data.scenes.captions import NUMBERS, noun
from course_utils.data.scenes.facts import RELATIONS, Pattern
from course_utils.data.scenes.records import BACKGROUNDS, COLORS, PLACES, SHAPES, SIZES

MOST = 4  # objects in a scene


def accepts(text: str) -> bool:
    """Whether a text is a caption in form."""
    return first_wrong_word(text) is None


def first_wrong_word(text: str) -> str | None:
    """The word of a text at which it stops being the beginning of any caption; "" if it only ends too early, None if it is a caption."""
    words = text.split(" ")
    so_far, begins = "", True
    for number, word in enumerate(words):
        if begins != word[:1].isupper():
            return word
        begins = word.endswith(".")
        so_far += word[:1].lower() + word[1:]
        whole = so_far if begins or number == len(words) - 1 else so_far + " "
        if not _grammar().fullmatch(whole, partial=True):
            return word
        so_far += " "
    return None if _grammar().fullmatch(so_far.removesuffix(" ")) else ""


def _any(choices: Iterable[str]) -> str:
    return f"(?:{'|'.join(choices)})"


def _list(part: str, number: int) -> str:
    """ "a", "a and b", "a, b and c": the pattern of a list of so many."""
    return part if number == 1 else ", ".join([part] * (number - 1)) + " and " + part


def _one(things: Iterable[Pattern]) -> str:
    """ "a red circle", "an orange star": the pattern of any of these."""
    return _any(f"{'an' if noun(thing)[0] in 'aeiou' else 'a'} {noun(thing)}" for thing in things)


def _several(number: int, things: Iterable[Pattern]) -> str:
    """ "one red circle", "two red circles": the pattern of so many of any of these."""
    return f"{NUMBERS[number]} {_any(noun(thing, plural=number != 1) for thing in things)}"


def _things(shapes: Sequence[int], colors: Sequence[int], sizes: Sequence[int]) -> list[Pattern]:
    return [Pattern(shape, color, size) for shape in shapes for color in colors for size in sizes]


@functools.cache
def _grammar() -> regex.Pattern:
    """All captions, with a small letter at the beginning of each sentence."""
    none, shapes, colors, sizes = [-1], range(len(SHAPES)), range(len(COLORS)), range(len(SIZES))
    tone, place = f"on a {_any(BACKGROUNDS)} background", f"at the {_any(PLACES)}"
    perhaps = f"(?: {tone})?"
    whole, colored = _one(_things(shapes, colors, sizes)), _one(_things(shapes, colors, none))
    texts = []
    for number in range(1, MOST + 1):
        count, there = _several(number, [Pattern()]), "there is" if number == 1 else "there are"
        groups = [_several(many, _things(shapes, colors, none)) for many in range(2, MOST + 1)]
        parts = [Pattern(), *_things(shapes, none, none), *_things(none, colors, none)]
        texts += [
            # full
            rf"{count} {tone}: {_list(f'{whole} {place}', number)}\.",
            rf"on a {_any(BACKGROUNDS)} background, {count}: {_list(f'{place} {whole}', number)}\.",
            rf"{there} {count}\. " + rf"{whole} is {place}\. " * number + rf"the background is {_any(BACKGROUNDS)}\.",
            # places
            rf"{_list(f'{colored} {place}', number)}\.",
            rf"{_list(f'{colored} is {place}', number)}\.",
            # objects, counting
            rf"only {_list(_any([colored, *groups]), number)}{perhaps}\.",
            rf"(?:{there} )?exactly {_several(number, parts)}{perhaps}\.",
        ]
    said = _one([*_things(shapes, none, none), *_things(none, colors, none), *_things(shapes, none, sizes)])
    texts += [
        # relation
        rf"{colored} is {_any(RELATIONS)} {colored}\.",
        rf"there is {colored} {_any([f'{_any(RELATIONS)} {colored}', place])}\.",
        # partial
        rf"(?:there is )?{_any([said, colored, whole])}{perhaps}\.",
        rf"(?:there is )?{_one(_things(none, colors, none))} {place}{perhaps}\.",
    ]
    return regex.compile(_any(texts))
