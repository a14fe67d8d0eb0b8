"""Scores of captions and answers, against known values."""

import math
import subprocess
import sys

import pytest
import torch

from course_utils.captioning_vqa.metrics import truth_scores, word_scores, wrong_words
from course_utils.captioning_vqa.vqa import accuracies, accuracy, guess, most_frequent, normalized
from course_utils.data import scenes

REFERENCES = [
    ["A red circle is above a blue star.", "There is a red circle."],
    ["A green heart is at the top left."],
    ["Only two black squares."],
]


def test_the_reference_itself_has_all_points():
    scores = word_scores([few[0] for few in REFERENCES], REFERENCES)
    assert scores["rouge_l"] == pytest.approx(1)
    assert scores["bleu_1"] == pytest.approx(1, abs=1e-6)
    # bleu_4: all that there are; "only two black squares" has one 4-gram
    assert scores["bleu_4"] == pytest.approx(1, abs=1e-6)
    wrong = word_scores(["Nothing like it at all"] * 3, REFERENCES)
    assert wrong["cider"] < 0.5 < scores["cider"] <= 10
    assert wrong["bleu_4"] < 1e-6


def test_words_by_hand():
    """Signs and large letters do not count. Three of four words; the longest common subsequence is 3 of 4 and of 4."""
    scores = word_scores(["a RED circle, here"], [["A red circle there!"]])
    assert scores["bleu_1"] == pytest.approx(0.75, abs=1e-6)
    assert scores["bleu_2"] == pytest.approx(math.sqrt(0.75 * 2 / 3), abs=1e-6)
    assert scores["rouge_l"] == pytest.approx(0.75)


def test_likeness_is_not_truth():
    one = scenes.scene([("large", "red", "circle", "top left"), ("small", "blue", "star", "bottom left")], "sand")
    right, wrong = (
        "A red circle at the top left and a blue star at the bottom left.",
        "A blue circle at the top left and a red star at the bottom left.",
    )
    assert word_scores([wrong], [[right]])["bleu_1"] == pytest.approx(1, abs=1e-6)
    found = truth_scores([right, wrong, "A red circle is above a blue star.", "Hello."], scenes.join([one] * 4))
    assert found == {"grammatical": 0.75, "true": 0.5, "complete": 0.25, "whole": 0.25}


def test_scenes_own_captions_are_wholly_true():
    found = scenes.records("test", torch.arange(100))
    for level in ("full", "places", "objects"):
        texts = [row[0].text for row in scenes.captions(found, 3, [level])]
        assert set(truth_scores(texts, found).values()) == {1.0}


def test_scores_need_captions():
    for captions, references in (([], []), (["a"], []), (["a"], [[]])):
        with pytest.raises(ValueError, match="at least one reference"):
            word_scores(captions, references)
    with pytest.raises(ValueError, match="no captions"):
        truth_scores([], scenes.records("test", range(0)))


def test_the_chapter_needs_no_java_and_does_not_wait_for_the_reference_code():
    code = """
import sys
from course_utils.captioning_vqa import metrics
assert not any("cocoeval" in name for name in sys.modules)
print(metrics.word_scores(["a b"], [["a b"]])["rouge_l"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PATH": "", "PYTHONPATH": ":".join(sys.path)}
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(1)


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The two dogs.", "2 dogs"), ("  YES\n", "yes"), ("none", "0"), ("dont", "don't"), ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"), ("oclock", "o'clock"), ("red/blue", "red blue"), ("red, blue", "red blue"), ("1,000", "1000"),
        ("2.5", "2.5"), ("a.m.", "am"), ("black-and-white", "black and white"), ("what?", "what"), ("twas", "'twas"), ("were", "were"),
        ("yall'd've", "y'all'd've"), ("y'all'dve", "y'all'd've"), ("\"an apple\"", "apple"),
    ],
)  # fmt: skip
def test_spelling_is_made_alike(answer, expected):
    assert normalized(answer) == expected


@pytest.mark.parametrize(("same", "expected"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_accuracy_over_all_nines(same, expected):
    """With one of ten, nine sets of nine have it (1/3 each), one has not; with three, those without one of them count 2/3."""
    given = ["Two"] * same + [f"other {number}" for number in range(10 - same)]
    assert accuracy("2", given) == pytest.approx(expected)


def test_accuracies_by_kind():
    given = [["red"] * 10, ["blue"] * 10, ["yes"] * 10]
    found = accuracies(["red", "red", "Yes."], given, ["color", "color", "exists"])
    assert found == pytest.approx({"all": 2 / 3, "color": 0.5, "exists": 1.0})
    assert accuracies(["red"], given[:1]) == {"all": 1.0}
    with pytest.raises(ValueError, match="2 answers, 3 lists"):
        accuracies(["red", "red"], given)
    with pytest.raises(ValueError, match="at least two"):
        accuracy("red", ["red"])


def test_guesses():
    answers, kinds = ["red", "blue", "blue", "two", "one"], ["color", "color", "color", "count", "count"]
    table = most_frequent(answers, kinds)
    assert table == {None: "blue", "color": "blue", "count": "one"}
    assert guess(table, ["count", "size", "color"]) == ["one", "blue", "blue"]
    assert most_frequent(answers) == {None: "blue"}
    with pytest.raises(ValueError, match="got 5 and 1"):
        most_frequent(answers, ["color"])


def test_a_blind_guess_stays_near_chance():
    """What the balance of the questions is for: by question a guess is hardly better than by kind."""

    def asked(split: str) -> list[scenes.Question]:
        return [question for few in scenes.questions(scenes.records(split, torch.arange(1500))) for question in few]

    train, test = asked("train"), asked("test")
    tables = {
        name: most_frequent([one.answer for one in train], [getattr(one, name) for one in train])
        for name in ("kind", "text")
    }
    for name, table in tables.items():
        found = guess(table, [getattr(one, name) for one in test])
        scores = accuracies(found, [[one.answer] * 10 for one in test], [one.kind for one in test])
        for kind, chance in {"exists": 1 / 2, "relation": 1 / 2, "count": 1 / 4, "color": 1 / 8, "size": 1 / 2}.items():
            assert scores[kind] < chance + 0.1, (name, kind)


TWO = scenes.scene([("large", "red", "circle", "top left"), ("small", "blue", "star", "bottom right")], "sand")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Two objects on a sand background: a large red circle at the top left and a small blue star at the bottom right.", []),
        ("On a sand background, two objects: at the top left a large blue circle and at the bottom right a small blue star.", ["blue"]),
        ("Three objects on a mint background: a small red circle at the top left, a large red star at the bottom right and a small red star at the "
         "bottom left.", ["Three", "mint", "small", "large", "red", "small", "red", "star"]),
        ("A red circle is at the top left and a green star is at the bottom right.", ["green"]),
        ("A red red circle.", ["A", "red", "red", "circle."]),
    ],
)  # fmt: skip
def test_the_words_that_are_wrong_are_found(text, wrong):
    found = wrong_words(text, TWO)
    assert " ".join(word for word, _ in found) == text
    assert [word for word, is_wrong in found if is_wrong] == wrong
