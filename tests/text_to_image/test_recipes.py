"""The recipes of text to image: every function of them on an untrained network, what it reads of texts, and what the measures mean."""

import pytest
import torch

from course_utils import runtime
from course_utils.clip.recipes import SCENES_CLIP
from course_utils.data.scenes import LEVELS, captions, records, render
from course_utils.diffusion.latent_recipes import autoencoder, decoded
from course_utils.text_to_image import recipes
from course_utils.text_to_image.prompts import clip_score, prompts

FEW = 12
END = SCENES_CLIP.end_token_id


@pytest.fixture
def network():
    torch.manual_seed(0)
    return recipes.T2I_SCENES.model().to(runtime.device()).eval()


def test_what_is_asked_for_is_measured(network):
    recipe = recipes.T2I_SCENES
    measured = recipe.metrics(network, FEW)
    assert set(recipe.targets) <= set(measured)
    assert not any(target.met(measured[name]) for name, target in recipe.targets.items())
    ceiling, chance = recipe.ceiling(FEW), recipe.chance(FEW)
    assert set(ceiling) == set(chance) == set(measured)
    assert all(target.met(ceiling[name]) for name, target in recipe.targets.items())
    assert chance["all_right"] == 0 and chance["clip_score"] < 0.3 < ceiling["clip_score"]


def test_prompts_fill_all_places_and_an_empty_one_is_only_ends():
    ids = recipes.prompt_ids(["A red circle.", "", "ein roter Kreis " * 30])
    assert ids.shape == (3, recipes.NETWORK.max_positions)
    assert (ids[0, 3:] == END).all() and (ids[0, :3] != END).all() and (ids[1] == END).all() and ids[2, -1] == END
    longest = max((ids != END).sum(1).max() for ids in map(recipes.prompt_ids, [prompts("test", 300).texts]))
    assert longest < recipes.NETWORK.max_positions, "no caption is cut"


@pytest.mark.parametrize("full", [1.0, 0.0])
def test_scenes_get_captions_of_their_own_and_some_none(network, full, monkeypatch):
    monkeypatch.setattr(recipes, "DROPPED", 0.25)
    data, seen = recipes.PromptedLatents(40), []
    player = recipes.prompt_player(network.train(), full=full)
    monkeypatch.setattr(
        network.text_encoder, "forward", lambda ids: seen.append(ids) or torch.zeros(len(ids), ids.shape[1], 128)
    )
    torch.manual_seed(0)
    player.objective(data.__getitems__(range(40)))
    own = recipes.prompt_ids(
        [caption.text for few in captions(records("train", range(40))) for caption in few]
    ).unflatten(0, (40, len(LEVELS)))
    empty = (seen[0] == END).all(1)
    level = (own == seen[0][:, None]).all(2)  # (40, levels)
    assert 2 <= empty.sum() <= 20 and level[~empty].any(1).all()
    assert level[~empty, 0].double().mean().item() == (1.0 if full else pytest.approx(1 / len(LEVELS), abs=0.2))


def test_latents_are_those_of_the_scenes():
    data = recipes.PromptedLatents(6)
    rebuilt = decoded(autoencoder(), data.__getitems__(range(6))["latents"])
    assert (rebuilt - render(records("train", range(6)))).abs().mean() < 0.05


def test_every_weight_gets_a_gradient(network):
    with torch.no_grad():  # the first step of a DiT reaches only its last layer
        for parameter in network.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    batch = {name: values[:8] for name, values in next(iter(recipes.T2I_SCENES.loader())).items()}
    recipes.T2I_SCENES.players(network.train().requires_grad_()).objective(batch)[0].backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_pictures_repeat_with_the_seed_and_a_negative_prompt_equal_to_the_prompt_is_guidance_of_none(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    texts = prompts("test", 2).texts[:1]

    def draw(**settings) -> torch.Tensor:
        return recipes.drawn(network, texts, runtime.generator(3), num_inference_steps=3, **settings)

    plain = draw(guidance_scale=1.0)
    assert plain.shape == (1, 3, 32, 32) and plain.abs().max() <= 1 and plain.equal(draw(guidance_scale=1.0))
    assert not torch.allclose(plain, draw(), atol=1e-3)
    torch.testing.assert_close(draw(negative=texts[0], guidance_scale=5.0), plain, atol=1e-4, rtol=1e-4)


def test_clip_prefers_the_text_of_a_picture():
    asked = prompts("test", 20)
    own, other = (
        clip_score(render(asked.records), texts) for texts in (asked.texts, asked.texts[1:] + asked.texts[:1])
    )
    assert (own > other).double().mean() > 0.9 and own.abs().max() <= 1.001


def test_drawn_characters_are_read_by_their_names():
    recipe = recipes.T2I_GLYPHS
    torch.manual_seed(0)
    network = recipe.model().to(runtime.device()).eval()
    measured, chance, ceiling = recipe.metrics(network, FEW), recipe.chance(60), recipe.ceiling(60)
    assert set(measured) == set(chance) == set(ceiling)
    assert chance["recall_at_10"] < 0.1 and ceiling["recall_at_10"] > 0.7
    first, again = (recipe.sample(network, 3, runtime.generator(4)) for _ in range(2))
    assert first.shape == (3, 1, 32, 32) and first.equal(again) and first.abs().max() <= 1


def test_characters_learn_from_pictures_and_names(monkeypatch):
    recipe = recipes.T2I_GLYPHS
    network, seen = recipe.model(), []
    monkeypatch.setattr(
        network,
        "forward",
        lambda noisy, timesteps, ids: seen.append(ids) or torch.zeros_like(noisy, requires_grad=True),
    )
    batch = next(iter(recipe.loader()))
    recipe.players(network).objective(batch)
    own = (seen[0] == batch["input_ids"][:, 0]).all(1)
    assert (own | (seen[0] == network.config.end_token_id).all(1)).all() and own.double().mean() > 0.6
