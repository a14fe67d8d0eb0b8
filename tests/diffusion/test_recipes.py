"""The recipes of the chapter: every function of them on an untrained network and a short chain, and what the measures mean."""

from dataclasses import replace

import pytest
import torch

from course_utils import layers, runtime
from course_utils.diffusion import DiffusionConfig, GaussianDiffusion, recipes, samplers
from course_utils.diffusion.ddpm import discretized_log_likelihood
from course_utils.gans import recipes as face_recipes

DDPMS = (recipes.DDPM_SCENES, recipes.DDPM_FACES)
ALL = pytest.mark.parametrize("recipe", DDPMS, ids=[recipe.name for recipe in DDPMS])
FEW = 10


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(recipes, "GALLERY", 50)
    monkeypatch.setattr(face_recipes, "GALLERY", 50)
    monkeypatch.setattr(recipes, "KEPT", 100)

    def short(config: DiffusionConfig = recipes.DIFFUSION) -> GaussianDiffusion:
        return GaussianDiffusion(replace(config, num_train_timesteps=25)).to(runtime.device())

    monkeypatch.setattr(recipes, "process", short)


def untrained(recipe):
    torch.manual_seed(0)
    return recipe.model().to(runtime.device()).eval()


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
    network = untrained(recipe)
    first, again = (recipe.sample(network, 3, runtime.generator(4)) for _ in range(2))
    assert first.shape == (3, 3, 32, 32)
    assert first.equal(again)
    assert first.abs().max() <= 1


@ALL
def test_every_weight_gets_a_gradient(recipe, shaken):
    network, batch = shaken(recipe).train(), next(iter(recipe.loader()))
    recipe.players(network).objective(batch)[0].backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@ALL
def test_a_checkpoint_will_be_small(recipe):
    assert 2 * sum(parameter.numel() for parameter in recipe.model().parameters()) < 8e6


def test_some_labels_are_hidden_while_training(monkeypatch):
    seen = []

    class Network(torch.nn.Linear):
        config = recipes.DDPM_SCENES.model().config

        def forward(self, noisy, timesteps, labels):
            seen.append(labels)
            return noisy

    runtime.seed_everything(0)
    batch = {"image": torch.zeros(4000, 3, 2, 2), "label": torch.arange(4000) % 40}
    recipes.diffusion_player(Network(1, 1)).objective(batch)
    hidden = seen[0] == Network.config.num_classes
    assert hidden.float().mean().item() == pytest.approx(recipes.DROPPED, abs=0.02)
    assert seen[0][~hidden].equal(batch["label"][~hidden])


def test_guidance_one_is_the_network_itself_and_more_asks_without_the_class_too(shaken):
    asked = []
    network = shaken(recipes.DDPM_SCENES)
    network.register_forward_pre_hook(lambda _, arguments: asked.append(arguments[2]))
    labels = torch.tensor([3, 7])
    plain, guided = (
        recipes.drawn(network, 2, runtime.generator(0), labels, scale, num_inference_steps=1) for scale in (1.0, 3.0)
    )
    assert [given.tolist() for given in asked] == [[3, 7], [3, 7, 48, 48]]
    assert not plain.equal(guided)


def test_pictures_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch, shaken):
    network = shaken(recipes.DDPM_SCENES)
    labels = torch.arange(5)
    together = recipes.drawn(network, 5, runtime.generator(0), labels, 2.0, num_inference_steps=2)
    monkeypatch.setattr(samplers, "CHUNK", 2)
    apart = recipes.drawn(network, 5, runtime.generator(0), labels, 2.0, num_inference_steps=2)
    torch.testing.assert_close(together, apart, atol=1e-4, rtol=1e-4)


def test_stored_pictures_have_256_levels():
    images = 2 * layers.draw_uniform((50, 3, 4, 4), runtime.generator(0)) - 1
    stored = recipes.as_stored(images)
    assert (stored - images).abs().max() <= 1 / 255 + 1e-6
    assert (((stored + 1) * 127.5) - ((stored + 1) * 127.5).round()).abs().max() < 1e-4
    assert recipes.as_stored(torch.tensor([-1.0, 1.0])).tolist() == [-1.0, 1.0]


def test_the_constant_model_has_the_bits_of_its_normal_distribution_and_a_better_one_fewer():
    train = (0.3 * layers.draw_normal((4000, 1, 2, 2), runtime.generator(0))).clamp(-1, 1)
    images = (0.3 * layers.draw_normal((4000, 1, 2, 2), runtime.generator(1))).clamp(-1, 1)
    bits = recipes.constant_bits(train, images)
    known = -discretized_log_likelihood(recipes.as_stored(images), torch.zeros(()), torch.tensor(0.3)).mean()
    assert bits == pytest.approx(known.item() / 0.6931472, rel=0.01)
    assert recipes.constant_bits(train, torch.ones_like(images)) > bits


def test_the_class_is_read_right_in_real_scenes_and_by_chance_in_others():
    batch = recipes.single_objects("test", 200, 32)
    assert recipes.right_class(batch["image"], batch["label"]) > 0.99
    assert recipes.right_class(batch["image"], batch["label"].roll(1)) < 0.15
