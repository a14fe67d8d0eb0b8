"""The experiments of notebook 01_dalle: each runs, its verdict follows its numbers, and what they measure is what they say."""

import pytest
import torch
from matplotlib.figure import Figure

from course_utils.data.scenes import render, scene
from course_utils.text_to_image import Dalle, dalle_experiments
from course_utils.text_to_image.dalle_experiments import DALLE_EXPERIMENTS, two_objects
from course_utils.text_to_image.dalle_recipes import DALLE_SCENES, NETWORK
from course_utils.text_to_image.prompts import Prompts
from course_utils.training import load
from course_utils.training.experiment import VERDICTS

ALL = pytest.mark.parametrize("experiment", DALLE_EXPERIMENTS, ids=[one.name for one in DALLE_EXPERIMENTS])


@pytest.fixture(autouse=True)
def untrained(monkeypatch):
    """In place of the trained model one that knows nothing."""

    def loaded(recipe):
        if recipe is not DALLE_SCENES:
            return load(recipe)
        torch.manual_seed(0)
        return Dalle(NETWORK).eval()

    monkeypatch.setattr(dalle_experiments, "load", loaded)
    dalle_experiments._candidates.cache_clear()
    yield
    dalle_experiments._candidates.cache_clear()


def rows(experiment, numbers) -> list[dict]:
    """A row for every cell of the grid; `numbers(cell)` is what it measured."""
    return [{**cell} | numbers(cell) for cell in experiment.grid]


def prompt_rows(right: float, chance: float = 0.02) -> list[dict]:
    measured = {
        "all_right": right, "attributes": right, "first_all_right": right / 2, "chance_all_right": chance,
        "chance_attributes": 0.2, "autoencoded_all_right": 1.0,
    }  # fmt: skip
    return rows(dalle_experiments.PROMPT, lambda cell: measured)


def rerank_rows(gain: float, many: float = 0.0) -> list[dict]:
    return rows(
        dalle_experiments.RERANK,
        lambda cell: {
            "all_right": 0.5 + gain * (cell["n"] > 1) - many * (cell["n"] > 8),
            "attributes": 0.8,
            "any_right": 0.9,
            "clip_score": 0.6,
        },
    )


def guidance_rows(gain: float) -> list[dict]:
    return rows(
        dalle_experiments.GUIDANCE,
        lambda cell: {"all_right": 0.5 + gain * (cell["guidance_scale"] == 3), "attributes": 0.8, "variety": 0.7},
    )


def sampling_rows(hot: float, saved: float) -> list[dict]:
    def measured(cell):
        right = 0.7 if cell["temperature"] < 1 else hot if cell["kept"] == "all" else saved
        return {"all_right": right, "attributes": 0.8, "variety": 0.7}

    return rows(dalle_experiments.SAMPLING, measured)


def codes_rows(gumbel: float) -> list[dict]:
    return rows(
        dalle_experiments.CODES_STUDY,
        lambda cell: {"autoencoded_all_right": 0.9, "used_codes": 0.9, "nats_a_code": 1.5, "attributes": 0.8,
                      "all_right": gumbel if cell["codes"] == "Gumbel" else 0.7},
    )  # fmt: skip


def long_rows(last: float, fillers: int) -> list[dict]:
    return rows(
        dalle_experiments.LONG,
        lambda cell: {"tokens": 8.0 + cell["fillers"], "all_right": last if cell["fillers"] >= fillers else 0.9,
                      "color": 0.9, "single_object": 0.9},
    )  # fmt: skip


def binding_rows(own: float, exchanged: float) -> list[dict]:
    return rows(
        dalle_experiments.BINDING,
        lambda cell: {"own": own, "exchanged": exchanged, "shapes": 0.9, "colors": 0.9},
    )


VERDICTS_OF = [
    (dalle_experiments.PROMPT, prompt_rows(0.8), "holds here", "1: 0.80"),
    (dalle_experiments.PROMPT, prompt_rows(0.3), "in part", "0.30"),
    (dalle_experiments.PROMPT, prompt_rows(0.03), "does not hold here", "0.03"),
    (dalle_experiments.RERANK, rerank_rows(0.2), "holds here", "32: 0.70"),
    (dalle_experiments.RERANK, rerank_rows(0.2, 0.1), "in part", "most among 2; among more it helps less again"),
    (dalle_experiments.RERANK, rerank_rows(0.0), "does not hold here", "0.90"),
    (dalle_experiments.GUIDANCE, guidance_rows(0.2), "holds here", "most at 3"),
    (dalle_experiments.GUIDANCE, guidance_rows(-0.2), "does not hold here", "as well without"),
    (dalle_experiments.SAMPLING, sampling_rows(0.2, 0.6), "holds here", "saves it"),
    (dalle_experiments.SAMPLING, sampling_rows(0.2, 0.2), "in part", "0.20"),
    (dalle_experiments.SAMPLING, sampling_rows(0.7, 0.7), "does not hold here", "0.70"),
    (dalle_experiments.CODES_STUDY, codes_rows(0.3), "holds here", "VQ is better"),
    (dalle_experiments.CODES_STUDY, codes_rows(0.9), "holds here", "Gumbel is better"),
    (dalle_experiments.CODES_STUDY, codes_rows(0.7), "does not hold here", "Neither"),
    (dalle_experiments.LONG, long_rows(0.1, 40), "holds here", "48 tokens: 0.10"),
    (dalle_experiments.LONG, long_rows(0.1, 48), "does not hold here", "little harm"),  # what is cut off is no argument
    (dalle_experiments.BINDING, binding_rows(0.5, 0.3), "holds here", "wrong object"),
    (dalle_experiments.BINDING, binding_rows(0.5, 0.02), "in part", "at most 0.02"),
    (dalle_experiments.BINDING, binding_rows(0.95, 0.02), "does not hold here", "0.95"),
]


@pytest.mark.parametrize(("experiment", "measured", "verdict", "words"), VERDICTS_OF)
def test_the_verdict_follows_the_numbers(experiment, measured, verdict, words):
    found = experiment.verdict(measured)
    assert found.verdict == verdict
    assert words in found.why
    assert isinstance(experiment.figure(measured), Figure)


@ALL
def test_each_runs_and_measures_what_verdict_and_figure_ask_for(experiment):
    cells = [experiment.grid[0], experiment.grid[-1]]
    first, last = (experiment.run(**cell) for cell in cells)
    assert first.keys() == last.keys()
    assert not set(first) & set(experiment.grid[0])
    measured = rows(experiment, lambda cell: first)
    assert experiment.verdict(measured).verdict in VERDICTS
    assert isinstance(experiment.figure(measured), Figure)


def test_the_more_there_are_to_choose_from_the_likelier_a_right_one_is():
    few = [dalle_experiments._rerank_run(n, 0) for n in (1, 2, 3)]
    assert few[0]["any_right"] <= few[1]["any_right"] <= few[2]["any_right"]
    assert few[0]["clip_score"] <= few[1]["clip_score"] <= few[2]["clip_score"]
    assert few[0]["any_right"] == few[0]["all_right"], "of one there is no choice"


def test_where_colours_landed():
    asked = two_objects("test", 6)
    count = asked.records.count
    assert len(asked.captions) == 6 and (count == 2).all()
    own = dalle_experiments.landed(render(asked.records), asked)
    assert own["own"].all() and own["shapes"].all() and own["colors"].all() and not own["exchanged"].any()
    pair = scene([("large", "red", "circle", "top left"), ("large", "blue", "star", "top right")])
    told = Prompts([asked.captions[0]], pair)
    swapped = scene([("large", "blue", "circle", "bottom left"), ("large", "red", "star", "top right")])
    found = dalle_experiments.landed(render(swapped), told)
    assert found["exchanged"].all() and not found["own"].any() and found["shapes"].all() and found["colors"].all()
    half = scene([("large", "red", "circle", "bottom left"), ("large", "red", "star", "top right")])
    found = dalle_experiments.landed(render(half), told)
    assert not found["own"].any() and not found["exchanged"].any() and not found["colors"].any()
