"""How far pictures follow prompts: real scenes do wholly, changed ones in all but what was changed."""

from dataclasses import replace
from itertools import compress

import pytest
import torch
from torch import Tensor

from course_utils.data.scenes import BACKGROUNDS, COLORS, SceneRecords, render
from course_utils.text_to_image.prompts import Prompts, interval, match, prompts, told_truly, verdicts

SAMPLES = 60


def chosen(asked: Prompts, which: Tensor) -> Prompts:
    return Prompts(list(compress(asked.captions, which.tolist())), asked.records[which])


@pytest.fixture(scope="module")
def asked() -> Prompts:
    return prompts("test", SAMPLES)


def test_the_prompts_own_scenes_are_right_in_everything(asked):
    scores = match(render(asked.records), asked)
    assert set(scores) == {
        "single_object", "two_objects", "counting", "color", "position", "attribute_binding", "attributes", "background", "all_right",
    }  # fmt: skip
    assert min(scores.values()) > 0.97, "what is missing is the judge's own error"


def test_scenes_of_other_prompts_are_not(asked):
    scores = match(render(asked.records).roll(1, 0), asked)
    assert scores["all_right"] == 0 and scores["attribute_binding"] < 0.2 and scores["position"] < 0.4
    assert scores["single_object"] < 0.8 and scores["attributes"] < 0.4


def other_colors(scenes: SceneRecords) -> dict:
    return {"color": torch.where(scenes.present, (scenes.color + 1) % len(COLORS), -1)}


def other_background(scenes: SceneRecords) -> dict:
    return {"background": (scenes.background + 1) % len(BACKGROUNDS)}


def other_places(scenes: SceneRecords) -> dict:
    return {name: getattr(scenes, name).roll(1, 1) for name in ("shape", "color", "size")}


@pytest.mark.parametrize(
    ("change", "wrong", "right"),
    [
        (other_colors, ("color", "attribute_binding"), ("position", "counting", "single_object", "two_objects")),
        (other_background, ("background",), ("attributes", "position", "attribute_binding")),
        (other_places, ("position",), ("single_object", "two_objects", "counting", "background", "color")),
    ],
)
def test_what_is_changed_is_found_wrong_and_nothing_else(asked, change, wrong, right):
    few = chosen(asked, asked.records.count < 4)  # four places full of equal things may be right in another order
    scores = match(render(replace(few.records, **change(few.records))), few)
    assert all(scores[name] < 0.7 for name in (*wrong, "all_right")), scores
    assert all(scores[name] > 0.95 for name in right), scores


def test_two_objects_that_swap_colours_are_all_there_and_bound_wrongly():
    asked = prompts("test", SAMPLES, objects=2)
    records = asked.records
    swapped = records.color.clone()
    for row, there in enumerate(records.present):
        swapped[row, there] = records.color[row, there].flip(0)
    differ = (swapped != records.color).any(1)
    scores = match(render(replace(records, color=swapped))[differ], chosen(asked, differ))
    assert scores["attribute_binding"] < 0.05 and scores["two_objects"] > 0.95 and scores["position"] > 0.95


def test_a_question_that_does_not_arise_is_left_out():
    asked = prompts("test", 8, objects=1)
    scores = match(render(asked.records), asked)
    assert "two_objects" not in scores and "attribute_binding" not in scores and scores["single_object"] == 1
    assert verdicts(render(asked.records), asked)["two_objects"].isnan().all()


def test_a_partial_prompt_is_right_in_every_scene_of_which_it_is_true():
    asked = prompts("test", 40, "relation", 4)
    mirrored = replace(
        asked.records, **{name: getattr(asked.records, name)[:, [1, 0, 3, 2]] for name in ("shape", "color", "size")}
    )
    own, other = told_truly(render(asked.records), asked.captions), told_truly(render(mirrored), asked.captions)
    sideways = torch.tensor(["left of" in text or "right of" in text for text in asked.texts])
    assert own.all() and other[~sideways].all() and other[sideways].double().mean() < 0.5
    assert sideways.any() and (~sideways).any()


def test_pictures_and_prompts_must_be_as_many(asked):
    with pytest.raises(ValueError, match="2 pictures for 60 prompts"):
        match(render(asked.records)[:2], asked)


def test_the_interval_holds_the_mean_and_narrows_with_more_samples():
    values = torch.cat([torch.ones(80), torch.zeros(20), torch.full((50,), torch.nan)])
    low, high = interval(values)
    assert low < 0.8 < high and 0.1 < high - low < 0.2, "2 * 1.96 * sqrt(0.8 * 0.2 / 100) = 0.16"
    narrow = interval(values.repeat(16))
    assert narrow[1] - narrow[0] == pytest.approx((high - low) / 4, rel=0.2)
    assert interval(values) == (low, high)
    with pytest.raises(ValueError, match="at least one value"):
        interval(torch.full((3,), torch.nan))
