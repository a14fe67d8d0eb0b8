"""The studies of notebook 03_blip2: each runs, its verdict follows its numbers, and what they measure is what they say."""

import pytest
from matplotlib.figure import Figure

from course_utils.captioning_vqa import blip2_experiments
from course_utils.captioning_vqa.blip2_experiments import (
    BLIP2_EXPERIMENTS,
    EVERYTHING,
    FROZEN,
    QUERIES,
    SPEAKERS,
    SPOKEN,
    STAGES,
    TRAINED,
    WITH,
    PicturedScenes,
)
from course_utils.captioning_vqa.blip2_recipes import Speaker, image_tokens
from course_utils.language.recipes import GPT_SCENES
from course_utils.training import load

ALL = pytest.mark.parametrize("experiment", BLIP2_EXPERIMENTS, ids=[one.name for one in BLIP2_EXPERIMENTS])


@pytest.fixture(autouse=True)
def nothing_trained(monkeypatch):
    """In place of the first stage one that knows nothing, and in place of ClipCap's language model one without pictures."""
    monkeypatch.setattr(blip2_experiments, "after_first_stage", lambda model: model)
    monkeypatch.setattr(blip2_experiments, "clipcap_gpt", lambda: Speaker(load(GPT_SCENES), ()))
    monkeypatch.setitem(SPEAKERS, "GPT that heeds prefixes", lambda: Speaker(load(GPT_SCENES), ()))


def rows(experiment, numbers) -> list[dict]:
    """A row for every cell of the grid; `numbers(cell)` is what it measured."""
    return [{**cell} | numbers(cell) for cell in experiment.grid]


def trained_rows(frozen: float, more: float) -> list[dict]:
    return rows(
        TRAINED,
        lambda cell: {"whole": frozen if cell["trained"] == FROZEN else more, "trained_parameters": 5e5, "chance_whole": 0.05},
    )  # fmt: skip


def stages_rows(*helped: str) -> list[dict]:
    return rows(
        STAGES,
        lambda cell: {
            "whole": 0.6 if cell["start"] == WITH and cell["language_model"] in helped else 0.2, "nats": 0.3, "chance_whole": 0.0,
        },
    )  # fmt: skip


def queries_rows(gain: float) -> list[dict]:
    return rows(
        QUERIES, lambda cell: {"nats": 0.5 - gain * (cell["num_queries"] > 1), "recall_at_1": 0.3, "chance_recall": 0.01}
    )  # fmt: skip


@ALL
def test_one_cell_runs_and_gives_what_the_verdict_reads(experiment):
    measured = experiment.run(**experiment.grid[0])
    few = rows(experiment, lambda cell: measured)
    assert experiment.verdict(few).why and isinstance(experiment.figure(few), Figure)
    shares = {name: value for name, value in measured.items() if "parameters" not in name and name != "nats"}
    assert all(0 <= value <= 1 for value in shares.values()), shares
    assert measured["nats"] > 0


@pytest.mark.parametrize(
    ("experiment", "given", "verdict"),
    [
        (TRAINED, trained_rows(0.8, 0.8), "holds here"),
        (TRAINED, trained_rows(0.6, 0.9), "in part"),
        (TRAINED, trained_rows(0.1, 0.9), "not at our scale"),
        (STAGES, stages_rows(*SPEAKERS), "holds here"),
        (STAGES, stages_rows("T5"), "in part"),
        (STAGES, stages_rows(), "does not hold here"),
        (QUERIES, queries_rows(0.2), "holds here"),
        (QUERIES, queries_rows(0.0), "does not hold here"),
    ],
)
def test_verdicts_follow_the_numbers(experiment, given, verdict):
    assert experiment.verdict(given).verdict == verdict


def test_what_is_said_to_be_trained_is_what_moves(monkeypatch):
    """By the weights before and after, of the Q-Former, the language model and the image encoder."""
    counts, fit = {}, blip2_experiments.fit
    for trained, moves in (
        (FROZEN, (True, False, False)),
        (SPOKEN, (True, True, False)),
        (EVERYTHING, (True, True, True)),
    ):
        parts = []

        def kept(player, *arguments, parts=parts, **settings):
            before = {
                name: {key: w.clone() for key, w in part.named_parameters()} for name, part in player.module.items()
            }
            history = fit(player, *arguments, **settings)
            for name, part in player.module.items():
                parts.append(any(not w.cpu().equal(before[name][key].cpu()) for key, w in part.named_parameters()))
            return history

        with monkeypatch.context() as patched:
            patched.setattr(blip2_experiments, "fit", kept)
            counts[trained] = TRAINED.run(trained=trained, seed=0)
        assert tuple(parts) == moves, trained
    assert (
        counts[FROZEN]["trained_parameters"]
        < counts[SPOKEN]["trained_parameters"]
        < counts[EVERYTHING]["trained_parameters"]
    )
    assert counts[EVERYTHING]["trained_parameters"] == counts[FROZEN]["parameters"]


def test_pictures_of_the_study_are_those_of_its_tokens():
    batch = PicturedScenes(12).__getitems__([3, 7])
    assert (image_tokens(batch["image"]) - batch["image_tokens"]).abs().max() < 0.01


def test_studies_leave_the_shipped_language_model_alone(monkeypatch):
    shared = Speaker(load(GPT_SCENES), ())
    before = {name: weight.clone() for name, weight in shared.model.named_parameters()}
    monkeypatch.setattr(blip2_experiments, "clipcap_gpt", lambda: shared)
    TRAINED.run(trained=SPOKEN, seed=0)
    assert all(weight.equal(before[name]) for name, weight in shared.model.named_parameters())
