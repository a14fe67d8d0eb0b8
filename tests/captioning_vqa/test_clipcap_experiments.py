"""The experiments of notebook 01_clipcap: each runs, its verdict follows its numbers, and what they measure is what they say."""

import pytest
import torch
from matplotlib.figure import Figure

from course_utils import runtime
from course_utils.captioning_vqa import clipcap_experiments as experiments
from course_utils.captioning_vqa.clipcap_experiments import CLIPCAP_EXPERIMENTS
from course_utils.captioning_vqa.clipcap_recipes import CLIPCAP_SCENES, Captioner, full_captions, vectors
from course_utils.captioning_vqa.metrics import truth_scores
from course_utils.data.scenes import render
from course_utils.training import load

ALL = pytest.mark.parametrize("experiment", CLIPCAP_EXPERIMENTS, ids=[one.name for one in CLIPCAP_EXPERIMENTS])


@pytest.fixture(autouse=True)
def untrained(monkeypatch):
    """In place of the trained model one that knows nothing."""

    def loaded(recipe):
        if recipe is not CLIPCAP_SCENES:
            return load(recipe)
        torch.manual_seed(0)
        return Captioner().to(runtime.device()).eval()

    monkeypatch.setattr(experiments, "load", loaded)


def rows(experiment, numbers) -> list[dict]:
    """A row for every cell of the grid; `numbers(cell)` is what it measured."""
    return [{**cell} | numbers(cell) for cell in experiment.grid]


def bridge_rows(frozen: float, tuned: float) -> list[dict]:
    return rows(
        experiments.BRIDGE,
        lambda cell: {
            "whole": frozen if cell["language_model"] == "frozen" else tuned,
            "trained_parameters": 5e5, "chance_whole": 0.02,
        },
    )  # fmt: skip


def drawing_rows(loss: float) -> list[dict]:
    return rows(
        experiments.DRAWING,
        lambda cell: {
            "whole": 0.9 - loss * (cell["way"] == "all tokens"), "true": 0.9, "complete": 0.9, "different": 0.5, "cider": 5.0,
        },
    )  # fmt: skip


def swap_rows(written: float, likelier: float) -> list[dict]:
    measured = {
        "own_likelier": likelier, "written_true": 0.5, "written_swapped": written, "cider_own": 10.0, "cider_swapped": 6.0, "swapped_true": 0.0,
    }  # fmt: skip
    return rows(experiments.SWAPPED, lambda cell: measured)


def vector_rows(vector: float, image_map: float) -> list[dict]:
    whole = {"the vector": vector, "before its projection": vector, "the map": image_map}
    return [
        {"source": source, "whole": value, **{f"whole_of_{number}": value for number in range(1, 5)}}
        for source, value in whole.items()
    ]


@ALL
def test_one_cell_runs_and_gives_what_the_verdict_reads(experiment):
    measured = experiment.run(**experiment.grid[0])
    few = rows(experiment, lambda cell: measured)
    assert experiment.verdict(few).why and isinstance(experiment.figure(few), Figure)
    shares = {name: value for name, value in measured.items() if not name.startswith(("cider", "trained"))}
    assert all(0 <= value <= 1 for value in shares.values()), shares


@pytest.mark.parametrize(
    ("experiment", "given", "verdict"),
    [
        (experiments.BRIDGE, bridge_rows(0.85, 0.95), "holds here"),
        (experiments.BRIDGE, bridge_rows(0.5, 0.5), "holds here"),
        (experiments.BRIDGE, bridge_rows(0.5, 0.95), "in part"),
        (experiments.BRIDGE, bridge_rows(0.1, 0.95), "not at our scale"),
        (experiments.BRIDGE, bridge_rows(0.03, 0.03), "not at our scale"),
        (experiments.VECTOR, vector_rows(0.3, 0.9), "does not hold here"),
        (experiments.VECTOR, vector_rows(0.85, 0.9), "holds here"),
        (experiments.DRAWING, drawing_rows(0.2), "holds here"),
        (experiments.DRAWING, drawing_rows(0.0), "does not hold here"),
        (experiments.SWAPPED, swap_rows(0.2, 0.9), "holds here"),
        (experiments.SWAPPED, swap_rows(0.0, 0.7), "in part"),
        (experiments.SWAPPED, swap_rows(0.0, 0.99), "does not hold here"),
    ],
)
def test_verdicts_follow_the_numbers(experiment, given, verdict):
    assert experiment.verdict(given).verdict == verdict


@pytest.mark.parametrize("swap", experiments.SWAPS)
def test_exchanged_scenes_have_other_captions_of_the_same_words(swap):
    scenes = experiments.two_objects("test", 20)
    other = experiments.swapped(scenes, swap)
    assert len(scenes) == 20 and experiments.swapped(other, swap).color.equal(scenes.color)
    own, wrong = full_captions(scenes), full_captions(other)

    def words(text: str) -> list[str]:
        return sorted(
            text.lower().replace(",", "").replace(".", "").replace(" an ", " a ").replace("an ", "a ").split()
        )

    assert all(words(a) == words(b) for a, b in zip(own, wrong, strict=True))
    assert truth_scores(wrong, scenes)["whole"] == 0 and truth_scores(own, scenes)["whole"] == 1


def test_log_p_of_a_caption_is_the_sum_over_its_words():
    torch.manual_seed(0)
    model, scenes = Captioner().eval(), experiments.two_objects("test", 3)
    seen, texts = vectors(render(scenes)), full_captions(scenes)
    found = experiments.caption_log_p(model, seen, texts)
    ids, mask = experiments.caption_ids(texts[1:2])
    torch.testing.assert_close(found[1], -model.loss(seen[1:2], ids, mask).detach() * mask.sum(), rtol=1e-4, atol=1e-3)


def test_frozen_and_tuned_train_what_they_say():
    learns = {
        (mapper, writer): experiments.BRIDGE.run(mapper=mapper, language_model=writer, seed=0)["trained_parameters"]
        for mapper in ("mlp", "transformer")
        for writer in ("frozen", "tuned")
    }
    for mapper in ("mlp", "transformer"):
        assert learns[mapper, "tuned"] - learns[mapper, "frozen"] == sum(
            w.numel() for w in Captioner().language_model.parameters()
        )
