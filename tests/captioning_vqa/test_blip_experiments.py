"""The experiments of notebook 02_blip: each runs, its verdict follows its numbers, and the sets that it compares are what they say."""

import pytest
import torch
from matplotlib.figure import Figure

from course_utils.captioning_vqa import blip_experiments as experiments
from course_utils.captioning_vqa.blip_recipes import blip_on_clip
from course_utils.captioning_vqa.capfilt import DAMAGES, web_texts
from course_utils.data.scenes import records
from course_utils.training.experiment import VERDICTS


@pytest.fixture(autouse=True)
def untrained(monkeypatch):
    """In place of the trained model one that knows nothing, and a filter that keeps every other text."""
    monkeypatch.setattr(experiments, "load", lambda recipe: blip_on_clip().eval())
    monkeypatch.setattr(experiments, "matched", lambda model, images, texts: torch.arange(len(texts)) % 2 * 0.8 + 0.1)
    for cached in (experiments.web, experiments._scored):
        cached.cache_clear()
    yield
    for cached in (experiments.web, experiments._scored):
        cached.cache_clear()


def capfilt_rows(**whole: float) -> list[dict]:
    return [
        {**cell, "whole": whole[cell["captions"]] + 0.01 * cell["seed"], "true_texts": 0.5, "texts": 9.0}
        for cell in experiments.CAPFILT.grid
    ]


def damage_rows(missed: str = "") -> list[dict]:
    kept = dict.fromkeys(DAMAGES, 0.02) | {"none": 0.98}
    return [
        {**cell, "texts": 100.0, "true": float(cell["damage"] == "none"), "kept": 0.5 if cell["damage"] == missed else kept[cell["damage"]]}
        for cell in experiments.DAMAGE.grid
    ]  # fmt: skip


def negative_rows(precision: float, recall: float) -> list[dict]:
    rest = {"filter_recall": 0.9, "wrong_color_kept": 0.1, "recall_at_1": 0.8}
    good = {"filter_precision": 0.9, "reranked_recall_at_1": 0.9}
    bad = {"filter_precision": precision, "reranked_recall_at_1": recall}
    return [{**cell} | rest | (bad if cell["training"] == "random" else good) for cell in experiments.NEGATIVES.grid]


@pytest.mark.parametrize(
    ("experiment", "rows", "verdict"),
    [
        ("CAPFILT", capfilt_rows(raw=0.5, filtered=0.7, synthetic=0.8, both=0.8, clean=0.9), "holds here"),
        ("CAPFILT", capfilt_rows(raw=0.5, filtered=0.5, synthetic=0.8, both=0.8, clean=0.9), "in part"),
        ("CAPFILT", capfilt_rows(raw=0.5, filtered=0.7, synthetic=0.5, both=0.5, clean=0.9), "in part"),
        ("CAPFILT", capfilt_rows(raw=0.5, filtered=0.5, synthetic=0.4, both=0.5, clean=0.9), "does not hold here"),
        ("DAMAGE", damage_rows(), "holds here"),
        ("DAMAGE", damage_rows("vague"), "in part"),
        ("NEGATIVES", negative_rows(0.7, 0.7), "holds here"),
        ("NEGATIVES", negative_rows(0.7, 0.9), "in part"),
        ("NEGATIVES", negative_rows(0.9, 0.9), "does not hold here"),
    ],
)
def test_the_verdict_follows_the_numbers(experiment, rows, verdict):
    study = getattr(experiments, experiment)
    assert study.verdict(rows).verdict == verdict
    assert isinstance(study.figure(rows), Figure)


@pytest.mark.parametrize("experiment", experiments.BLIP_EXPERIMENTS, ids=lambda one: one.name)
def test_each_runs_and_measures_what_verdict_and_figure_ask_for(experiment):
    rows = [dict(cell) | experiment.run(**cell) for cell in experiment.grid[:2]]
    measured = {name for row in rows for name in row}
    rows += [dict(cell) | {name: rows[0][name] for name in measured - set(cell)} for cell in experiment.grid[2:]]
    assert experiment.verdict(rows).verdict in VERDICTS
    assert isinstance(experiment.figure(rows), Figure)


def test_the_sets_hold_what_they_say():
    made = experiments.web(0)
    count = len(made.texts)
    raw = experiments.training_pairs(made, "raw")
    assert raw == [(number, one.text) for number, one in enumerate(made.texts)]
    odd = list(range(1, count, 2))  # what this filter keeps
    filtered, synthetic = (experiments.training_pairs(made, which) for which in ("filtered", "synthetic"))
    assert filtered == [raw[number] for number in odd]
    assert synthetic == [(number, made.own[number]) for number in odd]
    assert experiments.training_pairs(made, "both") == filtered + synthetic
    clean = web_texts(records("train", range(experiments.WEB_START, experiments.WEB_START + count)), share=0.0)
    assert experiments.training_pairs(made, "clean") == [(number, one.text) for number, one in enumerate(clean)]
    assert all(one.true for one in clean)
