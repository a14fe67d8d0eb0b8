"""How good captions are: by their words against references, and, since the world is known, by whether they are true.

    BLEU-n     n-grams of the caption that a reference has too, times a penalty for short captions
    ROUGE-L    the longest common subsequence with a reference
    CIDEr      cosine of n-gram vectors, in which n-grams count the more the rarer they are among all pictures (times 10)

All three reward likeness. "A red circle above a blue star" and "a blue star above a red circle" are alike.

The first three are by their reference code (`pycocoevalcap`), in which texts are the tokens of a program that needs Java; here they are the words in
small letters, without punctuation.

Papers: Papineni et al., ACL 2002 (BLEU). Lin, 2004 (ROUGE). Vedantam, Zitnick & Parikh, CVPR 2015 (CIDEr).
"""

import re
from collections.abc import Sequence

from course_utils.data.scenes import SceneRecords
from course_utils.data.scenes.captions import NUMBERS
from course_utils.data.scenes.facts import Fact, Pattern, objects
from course_utils.data.scenes.grammar import accepts
from course_utils.data.scenes.parsing import parse, read
from course_utils.data.scenes.records import BACKGROUNDS, COLORS, SHAPES, SIZES


def word_scores(captions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """`bleu_1` to `bleu_4` and `rouge_l` in [0, 1], `cider` in [0, 10], over all pictures.

    Args:
        captions: one for each picture.
        references: several texts for each picture. CIDEr's rarities are of these, so it means little for few pictures.

    Raises:
        ValueError: if there are no pictures, or not as many lists of references, or one is empty.
    """
    # imported only here: nothing else of the chapter waits for it
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    if not captions or len(captions) != len(references) or not all(references):
        raise ValueError(
            f"each picture needs one caption and at least one reference, got {len(captions)} captions and "
            f"{[len(few) for few in references[:5]]} ... references of {len(references)} pictures"
        )
    said = {number: [_words(text)] for number, text in enumerate(captions)}
    wanted = {number: [_words(text) for text in few] for number, few in enumerate(references)}
    bleu, _ = Bleu(4).compute_score(wanted, said, verbose=0)
    return {
        **{f"bleu_{number}": float(score) for number, score in enumerate(bleu, 1)},
        "rouge_l": float(Rouge().compute_score(wanted, said)[0]),
        "cider": float(Cider().compute_score(wanted, said)[0]),
    }


def truth_scores(captions: Sequence[str], scenes: SceneRecords) -> dict[str, float]:
    """Shares of the captions: `grammatical`, `true` (all that it states holds), `complete` (it names every object), and `whole`, true and complete.

    Args:
        scenes: their records, on the CPU.

    Raises:
        ValueError: as `parsing.read`, or if there are no captions.
    """
    if not captions:
        raise ValueError("no captions: a share of nothing is no number")
    readings = read(captions, scenes)
    shares = {
        "grammatical": [reading.caption for reading in readings],
        "true": [reading.true for reading in readings],
        "complete": [reading.names_all for reading in readings],
        "whole": [reading.true and reading.names_all for reading in readings],
    }
    return {name: sum(found) / len(found) for name, found in shares.items()}


def wrong_words(text: str, scene: SceneRecords) -> list[tuple[str, bool]]:
    """The words of a caption that names its objects one by one (as the levels "full" and "places" do), and which of them are wrong.

    An object is held against the one at its place; where none is, all its words are wrong. Of a text that is no caption every word is.

    Args:
        scene: one record, on the CPU.
    """
    words = text.split()
    if not accepts(text):
        return [(word, True) for word in words]
    bare = [word.lower().rstrip(".,:") for word in words]
    things = {thing.place: thing for thing in objects(scene)[0]}
    wrong, next_word = set(), 0
    for fact in parse(text):
        for word, is_wrong in _stated(fact, things, int(scene.background[0])):
            first = next_word if fact.kind == "exists" else 0  # objects come in the order of the text
            found = next((number for number in range(first, len(bare)) if bare[number] == word), None)
            if found is None:
                continue
            if is_wrong:
                wrong.add(found)
            if fact.kind == "exists":
                next_word = found + 1
    return [(word, number in wrong) for number, word in enumerate(words)]


def _stated(fact: Fact, things: dict[int, Pattern], background: int) -> list[tuple[str, bool]]:
    """The words of a fact that can be wrong, in the order of the text, and whether they are."""
    if fact.kind == "background":
        return [(BACKGROUNDS[fact.value], fact.value != background)]
    if fact.kind == "number":
        return [(NUMBERS[fact.value], fact.value != len(things))]
    thing, names = things.get(fact.first.place), (("size", SIZES), ("color", COLORS), ("shape", SHAPES))
    stated = [(getattr(fact.first, name), name, known) for name, known in names]
    return [
        (known[value], thing is None or getattr(thing, name) != value) for value, name, known in stated if value >= 0
    ]


def _words(text: str) -> str:
    return " ".join(re.findall(r"[\w']+", text.lower()))
