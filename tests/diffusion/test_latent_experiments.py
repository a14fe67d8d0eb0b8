"""The experiments of notebook 03: each runs, its verdict follows its numbers, and what they measure is what they say."""

import pytest
import torch
from matplotlib.figure import Figure

from course_utils.data.scenes import render, scene
from course_utils.diffusion import AutoencoderKL, latent_experiments, latent_recipes
from course_utils.diffusion.latent_experiments import CONDITIONING, CONDITIONS, COST, EXPERIMENTS, PIXELS, SPACES

ALL = pytest.mark.parametrize("experiment", EXPERIMENTS, ids=[experiment.name for experiment in EXPERIMENTS])


@pytest.fixture(autouse=True)
def untrained_autoencoder(monkeypatch):
    torch.manual_seed(0)
    model = AutoencoderKL(latent_recipes.AUTOENCODER).eval().requires_grad_(False)
    model.measure_scale(latent_recipes.scenes_with_layouts("train", 20)["image"])
    monkeypatch.setattr(latent_experiments, "autoencoder", lambda: model)


def cost_rows(right: dict[str, float], distance: dict[str, float]) -> list[dict]:
    return [
        {
            **cell,
            "layout_right": right.get(cell["where"], 0.2) + 0.001 * cell["seed"],
            "judge_frechet": distance.get(cell["where"], 50.0) + 0.1 * cell["seed"],
            "real_layout_right": 0.99,
            "floor": 5.0,
            "gigaflops_a_picture": 1.0,
        }
        for cell in COST.grid
    ]


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (cost_rows({"latents": 0.9}, {"latents": 10.0}), "holds here"),
        (cost_rows({"latents": 0.9, "folded by 4": 0.9}, {"latents": 10.0, "folded by 4": 10.0}), "in part"),
        (cost_rows({"latents": 0.9}, {"latents": 60.0}), "does not hold here"),
        (cost_rows({"latents": 0.1}, {"latents": 10.0}), "does not hold here"),
    ],
)
def test_the_verdict_on_cost_follows_the_numbers(made, verdict):
    assert COST.verdict(made).verdict == verdict
    assert isinstance(COST.figure(made), Figure)


@pytest.mark.parametrize("cell", [0, 3, 6, 9], ids=SPACES)
def test_a_cell_of_the_cost_runs(cell, monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    measured = COST.run(**COST.grid[cell])
    assert {"layout_right", "real_layout_right", "judge_frechet", "floor", "gigaflops_a_picture"} <= set(measured)
    assert measured["real_layout_right"] > 0.9


@pytest.mark.parametrize("told", CONDITIONS)
def test_a_cell_of_the_conditions_runs(told, monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    measured = CONDITIONING.run(told, 0)
    rows = [{**cell, **measured} for cell in CONDITIONING.grid]
    assert isinstance(CONDITIONING.figure(rows[: len(rows) // 2]), Figure)


@ALL
def test_every_setting_has_its_seeds(experiment):
    settings = [tuple(value for name, value in cell.items() if name != "seed") for cell in experiment.grid]
    assert all(settings.count(setting) == 3 for setting in settings)
    assert experiment.claim in ("C26", None)


def test_the_same_budget_is_more_steps_where_a_step_is_cheaper_and_latents_are_cheapest_to_draw():
    steps = {where: latent_experiments.step_operations(where) for where in SPACES}
    pictures = {where: latent_experiments.picture_operations(where) for where in SPACES}
    assert steps["pixels"] > steps["folded by 2"] > steps["folded by 4"]
    assert pictures["pixels"] > pictures["folded by 2"] > pictures["folded by 4"]
    assert steps["latents"] < steps["folded by 2"] and pictures["latents"] < pictures["folded by 2"]
    assert set(PIXELS) | {"latents"} == set(SPACES)


def test_operations_of_a_product_are_counted():
    assert latent_experiments.operations(lambda: torch.ones(3, 4) @ torch.ones(4, 5)) == 2 * 3 * 4 * 5


def test_what_real_scenes_share_with_themselves_and_with_others():
    batch = latent_experiments.one_object("test", 200)
    own = latent_experiments.kept(batch["image"], batch["records"])
    assert min(own.values()) > 0.98
    others = latent_experiments.kept(batch["image"].roll(1, 0), batch["records"])
    assert others["color"] < 0.3 and others["shape"] < 0.35 and others["background"] < 0.35


def test_an_object_at_another_place_keeps_all_but_its_place():
    here, there = (scene([("large", "red", "heart", place)], "sand") for place in ("top left", "bottom right"))
    shares = latent_experiments.kept(render(there), here)
    assert shares == {"shape": 1, "color": 1, "size": 1, "place": 0, "background": 1}
    two = scene([("large", "red", "heart", "top left"), ("large", "red", "heart", "top right")], "sand")
    assert latent_experiments.kept(render(two), here)["shape"] == 0


def test_boxes_say_shape_size_and_place_and_nothing_of_colour():
    red, blue = (scene([("small", color, "star", "bottom left")]) for color in ("red", "blue"))
    tokens = latent_experiments.boxes(red)
    assert tokens.shape == (1, 4, latent_experiments.BOX_WIDTH)
    assert tokens.equal(latent_experiments.boxes(blue))
    assert not tokens.equal(latent_experiments.boxes(scene([("large", "red", "star", "bottom left")])))
    assert tokens[0].sum(1).tolist() == [2, 2, 3, 2]  # none and place; the object also has a size


def test_half_of_each_picture_is_hidden_in_turns():
    mask = latent_experiments.half_hidden(torch.zeros(3, 3, 4, 8))
    assert mask.mean((1, 2, 3)).tolist() == [0.5, 0.5, 0.5]
    assert mask[0, 0, 0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0] and mask[1, 0, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
