"""The recipes of the chapter: every function of them on an untrained model, and what arithmetic counts."""

import math

import pytest
import torch
import torch.nn.functional as F

from course_utils import runtime
from course_utils.data.faces import ATTRIBUTES
from course_utils.gans import recipes
from course_utils.metrics import FaceReading

ALL = pytest.mark.parametrize("recipe", recipes.RECIPES, ids=[recipe.name for recipe in recipes.RECIPES])
FEW = 40


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, value in (("GALLERY", 100), ("KEPT", 200), ("POOL", 300), ("TRIALS", 20)):
        monkeypatch.setattr(recipes, name, value)


def untrained(recipe):
    torch.manual_seed(0)
    return recipe.model().eval()


@ALL
def test_what_is_asked_for_is_measured(recipe):
    measured = recipe.metrics(untrained(recipe), FEW)
    assert set(recipe.targets) <= set(measured)
    assert not all(target.met(measured[name]) for name, target in recipe.targets.items()), "untrained, it meets them"
    for other in (recipe.chance(FEW), recipe.ceiling(FEW)):
        assert set(other) <= set(measured)
        assert all(isinstance(value, float) for value in other.values())


@ALL
def test_samples_are_pictures_and_repeat_with_the_seed(recipe):
    model = untrained(recipe)
    first, again = (recipe.sample(model, 3, runtime.generator(4)) for _ in range(2))
    assert first.shape == (3, 3, 32, 32)
    assert first.equal(again)
    assert first.abs().max() <= 1


@ALL
def test_every_weight_gets_a_gradient(recipe):
    model, batch = recipe.model().train(), next(iter(recipe.loader()))
    players = recipe.players(model)
    for player in players if isinstance(players, list) else [players]:
        player.objective(batch)[0].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@ALL
def test_a_checkpoint_will_be_small(recipe):
    assert 2 * sum(parameter.numel() for parameter in recipe.model().parameters()) < 1.5e6


def test_kept_faces_are_the_rendered_ones_to_half_a_byte():
    kept, batch = recipes.KeptFaces(20).__getitems__([3, 7]), recipes.faces("train", 20)
    assert (kept["image"] - batch["image"][[3, 7]]).abs().max() <= 1 / 255 + 1e-6
    assert kept["label"].equal((batch["hat"] * 3 + batch["glasses"])[[3, 7]])
    assert len(recipes.LABEL_NAMES) == recipes.NUM_LABELS == 12
    assert recipes.LABEL_NAMES[5] == "cap, sunglasses"


class Linear(torch.nn.Module):
    """A generator for which each attribute is a block of the noise: the largest entry says the word."""

    class config:
        latent_dim = sum(len(words) for words in ATTRIBUTES.values())

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, latents):
        return latents


class Reads:
    """Is sure of the largest entry of each block."""

    def __call__(self, latents):
        return [1e4 * block for block in latents.split([len(words) for words in ATTRIBUTES.values()], dim=1)]

    def read(self, latents):
        return FaceReading(*(block.argmax(1) for block in self(latents)), torch.ones(len(latents)))

    def confidence(self, latents):
        return torch.ones(len(latents))


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr(recipes, "load", lambda recipe: Reads())
    return Linear()


def test_arithmetic_on_a_linear_generator_is_right_with_many_exemplars(known):
    few, many = (recipes.arithmetic(known, exemplars, 0, trials=300, pool=6000) for exemplars in (1, 30))
    assert many["right"] > 0.95
    assert few["right"] < many["right"]
    assert many["unmoved"] < 0.05
    assert 0.03 < many["chance"] < 0.15
    assert many["readable"] == 1


def test_exemplars_are_faces_that_the_judge_is_sure_of(known, monkeypatch):
    class Doubtful(Reads):
        def __call__(self, latents):
            return [torch.zeros_like(block) for block in super().__call__(latents)]

    monkeypatch.setattr(recipes, "load", lambda recipe: Doubtful())
    assert math.isnan(recipes.arithmetic(known, 1, 0, trials=20, pool=300)["right"])


def test_a_sum_of_means_of_three_is_as_long_as_the_noise_itself(known):
    lengths = [recipes.arithmetic(known, exemplars, 0, trials=300, pool=6000)["length"] for exemplars in (1, 3)]
    assert lengths[0] == pytest.approx(3**0.5, rel=0.05)
    assert lengths[1] == pytest.approx(1.0, rel=0.1)
    assert recipes.arithmetic(known, 1, 0, 50, 6000, rescale=True)["length"] == pytest.approx(1.0)


def test_a_label_is_hat_and_glasses():
    reading = {"hat": torch.tensor([0, 3]), "glasses": torch.tensor([2, 1])}
    assert recipes.face_label(reading).tolist() == [2, 10]
    assert F.one_hot(recipes.face_label(reading), recipes.NUM_LABELS).shape == (2, 12)
