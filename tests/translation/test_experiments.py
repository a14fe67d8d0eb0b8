"""The chapter's experiments: each runs, its verdict follows its numbers, and measures mean what they say."""

import math

import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from course_utils.data import Scenes
from course_utils.data.scenes import COLORS, HELD_OUT, SHAPES, render
from course_utils.training import load
from course_utils.translation import CycleGAN, Pix2Pix, cyclegan_experiments, experiments, pix2pix_experiments, recipes

ALL = pytest.mark.parametrize("experiment", experiments.EXPERIMENTS, ids=[one.name for one in experiments.EXPERIMENTS])
SCORES = {
    "l1": 0.3,
    "ssim": 0.4,
    "psnr_db": 15.0,
    "pixels": 0.95,
    "mean_iou": 0.8,
    "readback_ratio": 0.9,
    "sharpness": 1.0,
}
BACK = {f"back_{name}": value for name, value in SCORES.items()}


def rows(experiment, **by_setting) -> list[dict]:
    """A row for every cell, seeds apart by a thousandth; `by_setting` is measure -> {value of the first key: number} or a number."""
    key = next(iter(experiment.grid[0]))
    made = []
    for cell in experiment.grid:
        numbers = {
            name: value.get(cell[key]) if isinstance(value, dict) else value for name, value in by_setting.items()
        }
        made.append({**cell, **{name: value * (1 + 0.001 * cell["seed"]) for name, value in numbers.items()}})
    return made


def losses(l1: float, cgan: float, both: float, sharp: float = 1.0) -> list[dict]:
    read = {"L1": l1, "GAN": 0.2, "cGAN": cgan, "L1+GAN": 0.7, "L1+cGAN": both}
    sharpness = dict.fromkeys(read, 1.0) | {"L1": sharp}
    return rows(experiments.LOSSES, **SCORES | {"mean_iou": read, "sharpness": sharpness})


def skips(without: dict[str, float]) -> list[dict]:
    made = rows(experiments.SKIPS, **SCORES)
    return [
        row | {"mean_iou": 0.8 if row["network"] == "U-Net" else without[row["loss"]] + 0.001 * row["seed"]}
        for row in made
    ]


def patches(*read: float) -> list[dict]:
    return rows(
        experiments.PATCHES, **SCORES | {"mean_iou": dict(zip(("1x1", "16x16", "34x34", "70x70"), read, strict=True))}
    )


def one_mode(spread: float) -> list[dict]:
    return rows(
        experiments.ONE_MODE, answers_spread=spread, truths_spread=0.4, answers_colors=1.1, truths_colors=5.0,
        color_right=0.15, color_chance=0.14,
    )  # fmt: skip


def tasks(l1: float, aerial: float) -> list[dict]:
    error = {"labels": l1, "photo": l1, "edges": l1, "day": l1, "plan": l1, "aerial": aerial}
    return rows(experiments.TASKS, **SCORES | {"l1": error, "identity_l1": 0.9, "identity_ssim": 0.1})


def paired(without: float, night: float | None = None) -> list[dict]:
    made = []
    for row in rows(experiments.PAIRS, **SCORES):
        cyclegan = night if night and row["task"] == "day to night" else without
        error = {"CycleGAN": cyclegan, "pix2pix": 0.1, "mean picture": 0.4, "input itself": 0.9}[row["method"]]
        made.append(row | {"l1": error + 0.001 * row["seed"]})
    return made


def ablation(*worse: str, best: float = 0.8, worst: float = 0.4) -> list[dict]:
    read = {loss: worst if loss in worse else best for loss in cyclegan_experiments.PARTS}
    inputs = {"unchanged_mean_iou": 0.3, "back_unchanged_mean_iou": 0.1}
    numbers = {"mean_iou": read, "back_mean_iou": read, "cycle_l1": 0.1, "back_cycle_l1": 0.1}
    return rows(experiments.ABLATION, **SCORES | BACK | inputs | numbers)


def shape(color: float, square: float, heart: float) -> list[dict]:
    changed = {"red to blue": color, "circle to square": square, "star to heart": heart}
    return rows(experiments.SHAPE, changed=changed, kept=0.9, wholly_right=0.1, l1=0.1, identity_l1=0.1)


def outside(*foreign: float) -> list[dict]:
    error = dict(zip(cyclegan_experiments.INPUTS, (0.1, 0.11, *foreign), strict=True))
    return rows(experiments.OUTSIDE, **SCORES | {"l1": error, "cycle_l1": 0.2, "identity_l1": 0.9})


def directions(labels: float, plan: float, there: float = 0.3) -> list[dict]:
    back = {"labels and photo": labels, "plan and aerial": plan}
    return rows(experiments.DIRECTIONS, **SCORES | BACK | {"share": there, "back_share": back})


def message(there: float, disturbed: float) -> list[dict]:
    found = {0.0: there, 0.01: there} | dict.fromkeys((0.02, 0.05, 0.1, 0.2), disturbed)
    return rows(
        experiments.HIDDEN_MESSAGE, cycle_l1=0.1, real_l1=0.4, cycle_color=found, real_color=0.2, chance_color=0.15,
        cycle_moved=0.1, real_moved=0.1,
    )  # fmt: skip


EVERY = [loss for loss in cyclegan_experiments.PARTS if loss != "all"]


@pytest.mark.parametrize(
    ("experiment", "made", "verdict"),
    [
        (experiments.LOSSES, losses(l1=0.7, cgan=0.5, both=0.8), "holds here"),
        (experiments.LOSSES, losses(l1=0.8, cgan=0.5, both=0.8, sharp=0.5), "in part"),
        (experiments.LOSSES, losses(l1=0.7, cgan=0.8, both=0.8), "in part"),
        (experiments.LOSSES, losses(l1=0.8, cgan=0.8, both=0.8), "does not hold here"),
        (experiments.SKIPS, skips({"L1": 0.6, "L1+cGAN": 0.6}), "holds here"),
        (experiments.SKIPS, skips({"L1": 0.8, "L1+cGAN": 0.6}), "in part"),
        (experiments.SKIPS, skips({"L1": 0.8, "L1+cGAN": 0.8}), "does not hold here"),
        (experiments.PATCHES, patches(0.6, 0.8, 0.7, 0.6), "holds here"),
        (experiments.PATCHES, patches(0.6, 0.7, 0.8, 0.8), "in part"),
        (experiments.PATCHES, patches(0.8, 0.8, 0.8, 0.8), "not at our scale"),
        (experiments.ONE_MODE, one_mode(0.02), "holds here"),
        (experiments.ONE_MODE, one_mode(0.15), "in part"),
        (experiments.ONE_MODE, one_mode(0.4), "does not hold here"),
        (experiments.TASKS, tasks(0.3, 0.3), "holds here"),
        (experiments.TASKS, tasks(0.3, 0.8), "in part"),
        (experiments.TASKS, tasks(0.8, 0.8), "not at our scale"),
        (experiments.PAIRS, paired(0.2), "holds here"),
        (experiments.PAIRS, paired(0.8, night=0.2), "in part"),
        (experiments.PAIRS, paired(0.1), "in part"),
        (experiments.PAIRS, paired(0.8), "not at our scale"),
        (experiments.ABLATION, ablation(*EVERY), "holds here"),
        (experiments.ABLATION, ablation("GAN alone"), "in part"),
        (experiments.ABLATION, ablation(*EVERY, worst=0.9), "does not hold here"),
        (experiments.ABLATION, ablation(), "not at our scale"),
        (experiments.ABLATION, ablation(best=0.25), "not at our scale"),
        (experiments.SHAPE, shape(0.95, 0.1, 0.1), "holds here"),
        (experiments.SHAPE, shape(0.95, 0.9, 0.1), "in part"),
        (experiments.SHAPE, shape(0.95, 0.9, 0.9), "does not hold here"),
        (experiments.SHAPE, shape(0.3, 0.1, 0.1), "not at our scale"),
        (experiments.OUTSIDE, outside(0.3, 0.3, 0.3, 0.3), "holds here"),
        (experiments.OUTSIDE, outside(0.1, 0.3, 0.3, 0.3), "in part"),
        (experiments.OUTSIDE, outside(0.1, 0.1, 0.1, 0.1), "does not hold here"),
        (experiments.DIRECTIONS, directions(0.1, 0.1), "holds here"),
        (experiments.DIRECTIONS, directions(0.1, 0.3), "in part"),
        (experiments.DIRECTIONS, directions(0.3, 0.3), "does not hold here"),
        (experiments.DIRECTIONS, directions(2.0, 2.0, there=0.9), "not at our scale"),
        (experiments.HIDDEN_MESSAGE, message(0.9, 0.2), "holds here"),
        (experiments.HIDDEN_MESSAGE, message(0.9, 0.9), "in part"),
        (experiments.HIDDEN_MESSAGE, message(0.2, 0.2), "does not hold here"),
    ],
)
def test_the_verdict_follows_the_numbers(experiment, made, verdict):
    assert experiment.verdict(made).verdict == verdict
    middle = len(made) // 2
    for drawn in (made, made[:middle], made[middle:]):  # a figure bears a grid that is not full
        assert isinstance(experiment.figure(drawn), Figure)


@pytest.fixture
def untrained(monkeypatch):
    """Models of the recipes without training; judges as they are shipped."""

    def fake(recipe):
        return recipe.model().eval() if recipe in recipes.RECIPES else load(recipe)

    monkeypatch.setenv("COURSE_SCALE", "smoke")
    for module in (cyclegan_experiments, pix2pix_experiments):
        monkeypatch.setattr(module, "load", fake)


@ALL
def test_a_cell_runs_and_measures_what_verdict_and_figure_need(experiment, untrained):
    measured = experiment.run(**experiment.grid[-1])
    assert all(isinstance(value, float) for value in measured.values())
    made = [{**cell, **measured} for cell in experiment.grid]
    assert experiment.verdict(made).why
    assert isinstance(experiment.figure(made), Figure)


@ALL
def test_every_setting_has_three_seeds_and_claims_are_the_lectures(experiment):
    settings = [tuple(value for name, value in cell.items() if name != "seed") for cell in experiment.grid]
    assert all(settings.count(setting) == 3 for setting in settings)
    assert experiment.claim in (None, "C16", "C17", "C18", "C19")
    assert experiment.verdict is not None


def test_settings_differ_in_what_they_name():
    for parts, model in ((pix2pix_experiments.OBJECTIVES, Pix2Pix), (cyclegan_experiments.PARTS, CycleGAN)):
        fields = set().union(*parts.values())
        assert all(hasattr(model.__init__.__annotations__["config"], field) for field in fields)
    models = {
        loss: pix2pix_experiments.train_pix2pix("labels", "photo", 0, 1, **settings)
        for loss, settings in pix2pix_experiments.OBJECTIVES.items()
    }
    assert models["L1"].config.gan_weight == 0 and models["L1"].config.l1_weight > 0
    assert models["GAN"].discriminator.model[0].in_channels == models["L1+GAN"].discriminator.model[0].in_channels == 3
    assert models["cGAN"].config.l1_weight == 0 and models["cGAN"].discriminator.model[0].in_channels == 6


@pytest.mark.parametrize("change", cyclegan_experiments.CHANGES)
def test_two_collections_differ_in_one_attribute_and_in_nothing_else(change):
    attribute, first, second = cyclegan_experiments.CHANGES[change]
    words = {"shape": SHAPES, "color": COLORS}[attribute]
    data = cyclegan_experiments.Changed(change, "train", 4000)
    for records, value in ((data.x, first), (data.y, second)):
        assert set(getattr(records, attribute)[records.present].tolist()) == {words.index(value)}
        assert (records.count == 1).all()
        shown = zip(records.shape[records.present].tolist(), records.color[records.present].tolist(), strict=True)
        assert not {(SHAPES[shape], COLORS[color]) for shape, color in shown} & set(HELD_OUT)
    other = "color" if attribute == "shape" else "shape"
    for name in (other, "size"):
        there, back = (getattr(records, name)[records.present].bincount(minlength=9) for records in (data.x, data.y))
        assert (there > 0).equal(back > 0)
        assert (there / there.sum() - back / back.sum()).abs().max() < 0.06
    batch = data.__getitems__([0, 5])
    assert batch["x"].equal(render(data.x[[0, 5]])) and batch["y"].equal(render(data.y[[0, 5]]))
    assert len(data.x) == len(data.y) == len(data) > 800


class Answering(nn.Module):
    """A translator that gives photos of the labels which it knows, in looks of its own."""

    def __init__(self, answer):
        super().__init__()
        self.unused, self.answer = nn.Parameter(torch.zeros(1)), answer

    def sample(self, labels, generator):
        return self.answer(labels, generator)


def test_the_spread_of_one_answer_is_none_and_that_of_right_answers_is_theirs():
    records = Scenes("test").records(range(40, 80))
    photos = render(records, style="photo")
    one = pix2pix_experiments.one_mode(Answering(lambda labels, generator: photos), seed=1, samples=40)
    assert (
        one["answers_spread"] == 0 and one["answers_colors"] == pytest.approx(1, abs=0.02) and one["color_right"] > 0.97
    )
    assert one["truths_spread"] > 0.2 and one["truths_colors"] > 3.5 and one["color_chance"] < 0.35
    many = pix2pix_experiments.one_mode(
        Answering(lambda labels, generator: render(recipes.other_looks(records, generator), style="photo")), 1, 40
    )
    assert many["answers_spread"] == pytest.approx(many["truths_spread"], rel=0.1)
    assert many["answers_colors"] == pytest.approx(many["truths_colors"], rel=0.15)


def test_a_hidden_message_is_found_and_noise_moves_the_photo(monkeypatch):
    class Copying(nn.Module):
        """G hands the photo on as it is; F does nothing either."""

    monkeypatch.setattr(recipes, "translated", lambda model, images, direction="x_to_y": images)
    quiet = cyclegan_experiments.hidden_message(Copying(), 0.0, seed=0, samples=60)
    assert quiet["cycle_l1"] == quiet["cycle_moved"] == quiet["real_moved"] == 0
    assert quiet["cycle_color"] > 0.98 and quiet["real_color"] < 0.6 and quiet["real_l1"] > 0.3
    loud = cyclegan_experiments.hidden_message(Copying(), 0.1, seed=0, samples=60)
    assert loud["cycle_l1"] == pytest.approx(0.1 * math.sqrt(2 / math.pi), rel=0.05)
    assert loud["cycle_moved"] == pytest.approx(loud["real_moved"], rel=0.05)
    assert loud["chance_color"] == quiet["chance_color"]
