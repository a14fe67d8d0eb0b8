"""The recipes of notebook 03: every function of them on untrained networks, and what the measures mean."""

from dataclasses import replace

import pytest
import torch

from course_utils import hub, runtime
from course_utils.data.scenes import render
from course_utils.diffusion import AutoencoderKL, UNet, latent_recipes
from course_utils.training import fit
from course_utils.translation.recipes import other_looks

ALL = pytest.mark.parametrize(
    "recipe", latent_recipes.LATENT_RECIPES, ids=[recipe.name for recipe in latent_recipes.LATENT_RECIPES]
)
FEW = 12


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(latent_recipes, "GALLERY", 50)
    monkeypatch.setattr(latent_recipes, "ENCODED", 100)
    monkeypatch.setattr(latent_recipes, "STEPS", 2)
    torch.manual_seed(0)
    model = AutoencoderKL(latent_recipes.AUTOENCODER).eval()
    model.measure_scale(latent_recipes.scenes_with_layouts("train", 20)["image"])
    monkeypatch.setattr(latent_recipes, "autoencoder", lambda: model)
    monkeypatch.setattr(
        latent_recipes, "_through", lambda model, images: images
    )  # the judge would read nothing in its pictures


@ALL
def test_what_is_asked_for_is_measured(recipe, shaken):
    measured = recipe.metrics(shaken(recipe), FEW)
    assert set(recipe.targets) <= set(measured)
    assert not all(target.met(measured[name]) for name, target in recipe.targets.items()), "untrained, it meets them"
    for other in (recipe.chance(FEW), recipe.ceiling(FEW)):
        assert set(other) <= set(measured)
        assert all(isinstance(value, float) for value in other.values())


@ALL
def test_samples_are_pictures_and_repeat_with_the_seed(recipe, shaken):
    network = shaken(recipe)
    first, again = (recipe.sample(network, 3, runtime.generator(4)) for _ in range(2))
    assert first.shape == (3, 3, 32, 32)
    assert first.equal(again)
    assert first.abs().max() <= 1


@ALL
def test_a_step_moves_every_weight_and_the_file_is_small(recipe, tmp_path, shaken):
    network = shaken(recipe)
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    fit(recipe.players(network), recipe.loader(), 2, progress=False)
    moved = {name: not weight.equal(before[name]) for name, weight in network.named_parameters()}
    assert all(moved.values()), [name for name, value in moved.items() if not value]
    hub.save_half(network, tmp_path)
    assert (tmp_path / hub.WEIGHTS).stat().st_size < 4e6


def test_the_scale_follows_the_latents_while_the_autoencoder_trains(monkeypatch):
    recipe = latent_recipes.AUTOENCODER_KL_SCENES
    torch.manual_seed(0)
    model = recipe.model()
    monkeypatch.setattr("course_utils.diffusion.latent_diffusion.SCALE_RATE", 1.0)
    images = latent_recipes.scenes_with_layouts("train", 8)["image"]
    spread = model.encode(images).mean.std().item()
    fit(recipe.players(model), [{"image": images}], 1, progress=False)
    assert model.scaling_factor.item() == pytest.approx(1 / spread, rel=1e-4)


def test_scenes_come_back_from_their_latents_as_the_autoencoder_makes_them():
    model, images = latent_recipes.autoencoder(), latent_recipes.scenes_with_layouts("test", 3)["image"]
    latents = latent_recipes.encoded(model, images)
    assert latents.shape == (3, 4, 8, 8)
    posterior = model.encode(images)
    torch.testing.assert_close(latents, posterior.mean * model.scaling_factor)
    torch.testing.assert_close(latent_recipes.decoded(model, latents), model.decode(posterior.mean).clamp(-1, 1))


def test_encoded_scenes_hold_latents_and_the_shares_of_labels():
    data = latent_recipes.EncodedScenes(5)
    batch, scenes = data.__getitems__([4, 0]), latent_recipes.scenes_with_layouts("train", 5)
    torch.testing.assert_close(
        batch["latents"], latent_recipes.encoded(latent_recipes.autoencoder(), scenes["image"])[[4, 0]]
    )
    shares = scenes["layout"].unflatten(2, (8, 4)).unflatten(4, (8, 4)).mean((3, 5))
    torch.testing.assert_close(batch["layout"], shares[[4, 0]])
    assert batch["layout"].sum(1).allclose(torch.ones(2, 8, 8))


def test_the_layout_reaches_the_picture(shaken):
    network = shaken(latent_recipes.LDM_SCENES_LAYOUT)
    layout = latent_recipes.scenes_with_layouts("test", 2)["layout"]
    one, same, other = (
        latent_recipes.drawn_to_layout(network, wanted, runtime.generator(0))
        for wanted in (layout, layout, layout.flip(0))
    )
    assert one.equal(same) and not one.equal(other)


def test_real_pictures_of_a_layout_follow_it_whatever_their_colours_and_others_do_not():
    batch = latent_recipes.scenes_with_layouts("test", 200)
    first, second = (render(other_looks(batch["records"], runtime.generator(seed))) for seed in (1, 2))
    scores = latent_recipes.layout_scores(first, batch["records"])
    assert scores["layout_right"] > 0.97 and scores["shape"] > 0.99 and scores["size"] > 0.99
    assert latent_recipes.layout_scores(first.roll(1, 0), batch["records"])["layout_right"] < 0.05
    assert latent_recipes.color_variety(first, second) > 0.7
    assert latent_recipes.color_variety(first, first) == 0


def test_an_object_too_many_or_of_the_wrong_size_breaks_a_layout():
    records = latent_recipes.scenes_with_layouts("test", 200)["records"]
    few = records[records.count < 4]
    spare = (~few.present).long().argmax(1, keepdim=True)
    more = replace(few, **{name: getattr(few, name).scatter(1, spare, 0) for name in ("shape", "color", "size")})
    assert latent_recipes.layout_scores(render(more), few)["layout_right"] < 0.05
    grown = replace(records, size=torch.where(records.present, 1 - records.size, -1))
    scores = latent_recipes.layout_scores(render(grown), records)
    assert scores["layout_right"] < 0.05 and scores["size"] < 0.05 and scores["shape"] > 0.95


def test_the_networks_are_those_of_the_configs():
    autoencoder, network = (recipe.model() for recipe in latent_recipes.LATENT_RECIPES)
    assert isinstance(autoencoder, AutoencoderKL) and isinstance(network, UNet)
    assert network.config.in_channels == autoencoder.config.latent_channels + latent_recipes.NUM_LABELS
