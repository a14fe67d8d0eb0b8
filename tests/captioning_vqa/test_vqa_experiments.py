"""The experiments of notebook 04_vqa: each runs, its verdict follows its numbers, and the data that it compares are what they say."""

from collections import Counter

import pytest
import torch
from matplotlib.figure import Figure

from course_utils.captioning_vqa import vqa_experiments as experiments
from course_utils.captioning_vqa import vqa_recipes
from course_utils.captioning_vqa.blip_recipes import BLIP_SCENES, blip_on_clip
from course_utils.captioning_vqa.vqa_experiments import FAVOURITE, about_shapes, blip_answerer, prompted, ranked_by_blip
from course_utils.captioning_vqa.vqa_recipes import flat, scores
from course_utils.data.scenes import records, render
from course_utils.training import load
from course_utils.training.experiment import VERDICTS


@pytest.fixture(autouse=True)
def few_are_counted(monkeypatch):
    """In place of the captioner one that knows nothing; guesses from few scenes."""
    monkeypatch.setattr(
        experiments, "load", lambda recipe: blip_on_clip().eval() if recipe is BLIP_SCENES else load(recipe)
    )
    monkeypatch.setattr(vqa_recipes, "COUNTED", 200)
    vqa_recipes.counted.cache_clear()
    yield
    vqa_recipes.counted.cache_clear()


def conditioned_rows(seeing: float, not_seeing: float) -> list[dict]:
    chance = {f"chance_{kind}": 0.25 for kind in ("accuracy", *experiments.FEW_KINDS)}
    return [
        cell | chance
        | dict.fromkeys(("accuracy", *experiments.FEW_KINDS), (seeing if cell["conditioned"] else not_seeing) + 0.01 * cell["seed"])
        for cell in experiments.CONDITIONED.grid
    ]  # fmt: skip


def part_rows(**right: float) -> list[dict]:
    values = dict.fromkeys(experiments.WAYS, 0.5) | {name.replace("_", " "): value for name, value in right.items()}
    chance = {f"chance_{kind}": 0.25 for kind in ("accuracy", *experiments.FEW_KINDS)}
    return [
        {**cell, **chance, **dict.fromkeys(("accuracy", *experiments.FEW_KINDS), values[cell["way"]]), "trained_parameters": 1}
        for cell in experiments.PARTS.grid
    ]  # fmt: skip


def zero_shot_rows(prompt: float, told: float) -> list[dict]:
    whole = {
        "a prompt": ("place", "background"),
        "an unused prompt": ("background",),
        experiments.TOLD: experiments.QUESTION_KINDS[:-1],
    }
    value = {"a prompt": prompt, "an unused prompt": 0.0, experiments.TOLD: told}
    return [
        cell | dict.fromkeys(("accuracy", *whole[cell["way"]]), value[cell["way"]])
        | {f"chance_{name}": 0.3 for name in ("accuracy", *whole[cell["way"]])}
        for cell in experiments.ZERO_SHOT.grid
    ]  # fmt: skip


def counting_rows(beyond: float) -> list[dict]:
    rows = []
    for cell in experiments.COUNTING.grid:
        right = beyond if cell["most"] == 3 else 0.9
        said = {f"said_{number}": [0.0, 0.1, 0.0, 0.9 - right, right] for number in range(1, 5)}
        rows.append({**cell, **said, **{f"right_{number}": right for number in range(1, 5)}})
    return rows


def prior_rows(said_usual: float) -> list[dict]:
    names = ("accuracy", "usual_right", "rare_right", "blind_said_usual")
    return [
        {**cell, **dict.fromkeys(names, 0.5), "rare_said_usual": 0.1 if cell["balanced"] else said_usual}
        for cell in experiments.PRIOR.grid
    ]


@pytest.mark.parametrize(
    ("experiment", "rows", "verdict"),
    [
        ("CONDITIONED", conditioned_rows(0.8, 0.5), "holds here"),
        ("CONDITIONED", conditioned_rows(0.5, 0.5), "does not hold here"),
        ("PARTS", part_rows(as_the_recipe=0.8), "holds here"),
        ("PARTS", part_rows(as_the_recipe=0.8, image_encoder_frozen=0.9), "in part"),
        ("PARTS", part_rows(as_the_recipe=0.4), "does not hold here"),
        ("ZERO_SHOT", zero_shot_rows(0.8, 0.8), "holds here"),
        ("ZERO_SHOT", zero_shot_rows(0.8, 0.3), "in part"),
        ("ZERO_SHOT", zero_shot_rows(0.3, 0.3), "does not hold here"),
        ("COUNTING", counting_rows(0.0), "holds here"),
        ("COUNTING", counting_rows(0.85), "does not hold here"),
        ("PRIOR", prior_rows(0.8), "holds here"),
        ("PRIOR", prior_rows(0.1), "does not hold here"),
    ],
)
def test_the_verdict_follows_the_numbers(experiment, rows, verdict):
    experiment = getattr(experiments, experiment)
    found = experiment.verdict(rows)
    assert found.verdict == verdict
    assert found.verdict in VERDICTS
    assert isinstance(experiment.figure(rows), Figure)


@pytest.mark.parametrize("experiment", experiments.VQA_EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_every_way_runs(experiment, monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    rows = [{**cell, **experiment.run(**cell)} for cell in experiment.grid if cell.get("seed", 0) == 0]
    assert experiment.verdict(rows).verdict in VERDICTS
    assert isinstance(experiment.figure(rows), Figure)


def test_without_balance_most_questions_have_the_usual_answer():
    scenes = records("train", range(600), objects=2)
    balanced, skewed = ([one for few in about_shapes(scenes, skewed) for one in few] for skewed in (False, True))
    for of, low, high in ((balanced, 0.05, 0.3), (skewed, 0.6, 0.95)):
        usual = sum(FAVOURITE[one.text.rstrip("?").split()[-1]] == one.answer for one in of)
        assert low < usual / len(of) < high
    assert set(skewed) <= set(balanced)
    one_scene = about_shapes(scenes[:1])[0]
    assert max(Counter(one_scene).values(), default=1) == 1


def test_prompts_begin_captions_that_go_on_with_the_answer():
    assert prompted("What color is the background?") == "On a"
    assert prompted("What color is the background?", "It is") == "It is"
    assert prompted("Where is the orange star?") == "An orange star is at the"
    assert prompted("Where is the red star?") == "A red star is at the"
    assert prompted("How many objects are there?") is None


def test_what_a_captioner_goes_on_with_ends_where_the_answer_ends(monkeypatch):
    written = ["On a sand background, two objects", "A star is at the top left. There", "On a sky background: at"]
    monkeypatch.setattr(experiments.blip_recipes, "decoded", lambda ids: [written.pop(0)])
    images, about = render(records("test", range(1))), torch.zeros(3, dtype=torch.int64)
    found = experiments.continued(blip_on_clip().eval(), images, ["On a", "A star is at the", "On a"], about)
    assert found == ["sand", "top left", "sky"]


def test_blip_ranks_every_answer():
    torch.manual_seed(0)
    scenes = records("test", range(2))
    of, about = flat(scenes)
    found = ranked_by_blip(blip_answerer().eval(), render(scenes), [one.text for one in of], about)
    assert len(found) == len(of)
    assert 0 <= scores(found, of)["accuracy"] <= 1
