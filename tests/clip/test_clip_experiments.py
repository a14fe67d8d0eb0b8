"""The experiments of the chapter: each runs, its verdict follows its numbers, and what they measure is what they say."""

import pytest
import torch
from matplotlib.figure import Figure

from course_utils.clip import CLIP, experiments, recipes
from course_utils.data.scenes import captions, records, true_of
from course_utils.training.experiment import VERDICTS

ALL = pytest.mark.parametrize("experiment", experiments.EXPERIMENTS, ids=[one.name for one in experiments.EXPERIMENTS])


@pytest.fixture
def untrained(monkeypatch):
    """In place of the trained model one that knows nothing."""

    def loaded(recipe) -> CLIP:
        torch.manual_seed(0)
        return recipe.model().eval()

    monkeypatch.setattr(experiments, "load", loaded)
    for cached in (experiments._model, experiments._vectors):
        cached.cache_clear()
    yield
    for cached in (experiments._model, experiments._vectors):
        cached.cache_clear()


def rows(experiment, numbers) -> list[dict]:
    """A row for every cell of the grid; `numbers(cell)` is what it measured."""
    return [{**cell} | numbers(cell) for cell in experiment.grid]


def zero_shot_rows(zero_shot: float, probe: float) -> list[dict]:
    return rows(
        experiments.ZERO_SHOT,
        lambda cell: {
            "probe_accuracy": min(1.0, probe * cell["labels_per_class"]),
            "zero_shot_accuracy": zero_shot,
            "unseen_zero_shot_accuracy": 0.5,
        },
    )


def batch_rows(large: float) -> list[dict]:
    return rows(experiments.BATCH_SIZE, lambda cell: {"recall_at_1": large if cell["batch_size"] == 256 else 0.3})


def temperature_rows(fixed: float, near: float = 0.8) -> list[dict]:
    recall = {"learned": 0.8, "0.07": near, "0.3": near, "0.01": near, "1": fixed}
    return rows(experiments.TEMPERATURE, lambda cell: {"recall_at_1": recall[cell["temperature"]], "scale": 20.0})


def word_rows(relation: float, others: float) -> list[dict]:
    return rows(experiments.WORD_ORDER, lambda cell: {"right": relation if cell["swap"] == "relation" else others})


def gap_rows(apart: float) -> list[dict]:
    return rows(experiments.MODALITY_GAP, lambda cell: {"gap": 0.8, "told_apart": apart, "own_similarity": 0.4})


def index_rows(speed: float, recall: float) -> list[dict]:
    def measured(cell):
        efforts = experiments.EFFORTS[cell["kind"]]
        exact = cell["kind"] == "exact"
        return {
            "recall_at_10": [1.0 if exact else recall] * len(efforts),
            "queries_per_second": [100.0 * (1 if exact else speed)] * len(efforts),
            "megabytes": 5.0,
        }

    return rows(experiments.INDEXES, measured)


VERDICTS_OF = [
    (experiments.ZERO_SHOT, zero_shot_rows(0.9, 0.3), "holds here", "with 2 a class"),
    (experiments.ZERO_SHOT, zero_shot_rows(0.3, 0.4), "in part", "0.30"),
    (experiments.ZERO_SHOT, zero_shot_rows(0.02, 0.4), "does not hold here", "0.02"),
    (experiments.BATCH_SIZE, batch_rows(0.7), "holds here", "256: 0.70"),
    (experiments.BATCH_SIZE, batch_rows(0.2), "does not hold here", "256: 0.20"),
    (experiments.TEMPERATURE, temperature_rows(0.1), "holds here", "fixed (1)"),
    (experiments.TEMPERATURE, temperature_rows(0.1, near=0.9), "in part", "0.050"),
    (experiments.TEMPERATURE, temperature_rows(0.8), "does not hold here", "1: 0.80"),
    (experiments.WORD_ORDER, word_rows(0.5, 0.5), "holds here", "bags of words"),
    (experiments.WORD_ORDER, word_rows(0.5, 0.9), "in part", "reads: relation."),
    (experiments.WORD_ORDER, word_rows(0.9, 0.9), "does not hold here", "heeds that order"),
    (experiments.MODALITY_GAP, gap_rows(1.0), "holds here", "two places"),
    (experiments.MODALITY_GAP, gap_rows(0.7), "in part", "0.70"),
    (experiments.MODALITY_GAP, gap_rows(0.5), "does not hold here", "0.50"),
    (experiments.INDEXES, index_rows(30.0, 0.95), "holds here", "30 times as fast and finds 0.95"),
    (experiments.INDEXES, index_rows(5.0, 0.95), "in part", "1,000,000"),
    (experiments.INDEXES, index_rows(30.0, 0.5), "does not hold here", "0.50"),
]


@pytest.mark.parametrize(("experiment", "made", "verdict", "words"), VERDICTS_OF)
def test_the_verdict_follows_the_numbers(experiment, made, verdict, words):
    found = experiment.verdict(made)
    assert found.verdict == verdict in VERDICTS
    assert words in found.why
    assert isinstance(experiment.figure(made), Figure)


@ALL
def test_it_runs(experiment, untrained, monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    cells = {
        str(cell.get("kind", cell.get("swap", cell.get("model", "")))): dict(cell) for cell in reversed(experiment.grid)
    }
    made = []
    for cell in cells.values():
        torch.manual_seed(0)
        made.append(cell | dict(experiment.run(**cell)))
    shown = {name for row in made for name in row}
    wanted = {name for found, numbers, _, _ in VERDICTS_OF if found is experiment for name in numbers[0]}
    assert wanted <= shown, "the verdict reads what the run measures"


@pytest.mark.parametrize("swap", experiments.SWAPS)
def test_a_swapped_caption_has_the_same_words_and_is_wrong(swap):
    scenes, places = experiments._two_things(30)
    assert len(scenes) == len(places) == 30 and (scenes.count == 2).all()
    true, wrong = experiments.swapped(scenes, places, swap, seed=0)
    for text, other in zip(true, wrong, strict=True):
        assert sorted(text.replace("an ", "a ").split()) == sorted(other.replace("an ", "a ").split())
    assert sum(text != other for text, other in zip(true, wrong, strict=True)) >= 29
    level = {"relation": "relation", "colours": "objects", "places": "places"}.get(swap)
    if level:  # the true ones are captions that the scenes' own writer could have written; what it says is true of them
        few = [[caption] for caption in recipes.written(scenes, level)]
        assert true_of([caption.facts for (caption,) in few], scenes).diagonal().all()
        assert any(recipes.plain(caption.text).startswith(text) for (caption,), text in zip(few, true, strict=True))


def test_more_labels_are_more_labels(untrained, monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    few, many = (experiments._zero_shot_run(number, 0)["labels"] for number in (1, 8))
    assert 30 <= few <= 40 < many <= 8 * 40


def test_the_captions_of_the_records_are_those_that_are_searched_with():
    scenes = records("test", range(3))
    assert [caption.text for caption in recipes.written(scenes, "full")] == [
        few[0].text for few in captions(scenes, levels=("full",))
    ]
