"""Every shipped checkpoint is what its card says: measured again, on a small fixed part of the held-out data."""

import pytest

from course_utils import runtime
from course_utils.cli.names import recipes
from course_utils.training import Recipe, Target, evaluate, load, read_card

RECIPES = recipes()
SHIPPED = [recipe for name, recipe in RECIPES.items() if runtime.data_folder("checkpoints", name).is_dir()]
LARGEST = 40.0  # megabytes, of any checkpoint


def of(found: list[Recipe]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("recipe", found, ids=[recipe.name for recipe in found])


def test_every_checkpoint_belongs_to_a_recipe():
    folders = {folder.name for folder in runtime.data_folder("checkpoints").iterdir() if folder.is_dir()}
    assert folders <= set(RECIPES), "delete the folders that no recipe makes"


@of(list(RECIPES.values()))
def test_every_recipe_has_its_checkpoint(recipe):
    assert recipe in SHIPPED, f"run: course train {recipe.name}"


@of(SHIPPED)
def test_the_card_is_of_this_recipe_and_meets_what_it_says(recipe):
    card = read_card(recipe)
    assert card["command"] == f"course train {recipe.name}"
    assert card["scale"] == "cpu"
    assert (card["steps"], card["seed"]) == (recipe.steps["cpu"], recipe.seed)
    assert (card["samples"], card["quick_samples"]) == (recipe.samples, recipe.quick_samples)
    assert {name: Target(**bounds) for name, bounds in card["targets"].items()} == dict(recipe.targets)
    assert card["meets"] == all(target.met(card["metrics"][name]) for name, target in recipe.targets.items())
    assert card["meets"], f"misses a target: {card['metrics']}"
    size = (runtime.data_folder("checkpoints", recipe.name) / "model.safetensors").stat().st_size / 1e6
    assert card["size_mb"] == pytest.approx(size, abs=0.01)
    assert size < LARGEST
    model = load(recipe)
    assert not model.training
    assert card["parameters"] <= sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.timeout(1800)  # a diffusion model draws its samples in many passes, and other tests run beside
@of(SHIPPED)
def test_measured_again_the_quick_metrics_are_those_of_the_card(recipe):
    measured = evaluate(recipe, quick=True)
    assert measured == pytest.approx(read_card(recipe)["quick_metrics"], rel=0.01, abs=0.005)


@pytest.mark.full
@of(SHIPPED)
def test_measured_again_all_metrics_are_those_of_the_card(recipe):
    assert evaluate(recipe) == pytest.approx(read_card(recipe)["metrics"], rel=0.01, abs=0.005)
