"""Captions read back into facts: every phrasing there is, and how texts stand to scenes."""

import pytest
import torch

from course_utils.data import scenes
from course_utils.data.scenes.facts import Fact, Pattern, own_truth, true_of
from course_utils.data.scenes.parsing import names_all, parse, read


@pytest.mark.parametrize("split", ["train", "compositional"])
def test_every_caption_is_read_as_the_facts_it_was_written_from(split):
    found = scenes.records(split, torch.arange(600))
    for seed in range(2):
        for row in scenes.captions(found, seed):
            for caption in row:
                assert parse(caption.text) == caption.facts, caption.text


def test_what_is_no_caption_is_refused():
    for text in ("", "A picture.", "A red circle", "A red circel.", "Only a red circle and.", "a red circle."):
        with pytest.raises(ValueError, match="no caption"):
            parse(text)


def test_a_text_is_held_against_its_scene():
    one = scenes.scene([("large", "red", "circle", "top left"), ("small", "blue", "star", "bottom left")], "sand")
    expected = {
        "Two objects on a sand background: a large red circle at the top left and a small blue star at the bottom left.": (True, True, True),
        "A red circle is at the top left and a blue star is at the bottom left.": (True, True, True),
        "Only a red circle and a blue star.": (True, True, True),
        "Only a red circle and a blue star on a mint background.": (True, False, True),
        "A red circle at the top left and a red star at the bottom left.": (True, False, False),
        "Only two red circles.": (True, False, False),
        "A blue star is below a red circle.": (True, True, False),
        "A blue star is above a red circle.": (True, False, False),
        "There is exactly one red object.": (True, True, False),
        "A red circle at the top left.": (True, True, False),
        "Nothing to see.": (False, False, False),
    }  # fmt: skip
    texts = list(expected)
    assert [tuple(reading) for reading in read(texts, scenes.join([one] * len(texts)))] == list(expected.values())
    assert read([], one[:0]) == []


def test_naming_all_counts():
    red = Pattern(0, 0)
    things = [red._replace(size=0, place=0), red._replace(size=1, place=3)]
    assert names_all([Fact("number", red, 2)], things)
    assert not names_all([Fact("exists", red)], things)
    assert names_all([Fact("exists", red), Fact("exists", red)], things)
    assert not names_all([Fact("number", Pattern(), 2), Fact("exists", Pattern(0))], things)
    assert not names_all([Fact("exists", red), Fact("exists", Pattern(1, 1))], things)


def test_own_truth_is_the_diagonal():
    found = scenes.records("test", torch.arange(300))
    statements = [row[0].facts for row in scenes.captions(found.__class__.from_dict(found.as_dict()), 1, ["partial"])]
    statements = statements[7:] + statements[:7]
    assert own_truth(statements, found).equal(true_of(statements, found).diagonal())
    assert 0 < own_truth(statements, found).float().mean() < 1
    with pytest.raises(ValueError, match="299 and 300"):
        own_truth(statements[:-1], found)
