"""The grammar of captions: every caption is accepted, and a text with one wrong word is refused at that word."""

import pytest

from course_utils.data import Scenes
from course_utils.data.scenes.grammar import accepts, first_wrong_word


def test_every_caption_of_every_level_is_accepted():
    for split in ("train", "compositional"):
        for few in Scenes(split, fields=("captions",), seed=3)[range(300)]["captions"]:
            for caption in few:
                assert first_wrong_word(caption) is None, caption


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("A red circle is at the top middle.", "middle."),
        ("Two objects on a sand background: a large red circle at the top left.", "left."),
        ("There is one objects.", "objects."),
        ("A orange star.", "orange"),
        ("a red star.", "a"),
        ("Only A red star.", "A"),
        ("There are two objects. a small red star is at the top left.", "a"),
        ("A red circle is above", ""),
        ("A red circle is above a blue star", ""),
        ("", ""),
        ("Exactly two red object.", "object."),
        ("A red circle is above a blue star. A red circle.", "A"),
    ],
)
def test_another_text_is_refused_at_its_first_wrong_word(text, word):
    assert not accepts(text)
    assert first_wrong_word(text) == word
