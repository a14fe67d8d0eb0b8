"""The recipe of ClipCap: every function of it on an untrained model, what it reads and writes, and what learns."""

import pytest
import torch

from course_utils import runtime
from course_utils.captioning_vqa import clipcap_recipes as recipes
from course_utils.captioning_vqa.clipcap import Mapper
from course_utils.clip.recipes import CLIP_SCENES
from course_utils.data import Scenes
from course_utils.data.scenes import records, render
from course_utils.hub import save_half
from course_utils.language.recipes import GPT_SCENES
from course_utils.language.texts import END, decoded, special
from course_utils.training import load

FEW = 8


@pytest.fixture
def model():
    torch.manual_seed(0)
    return recipes.CLIPCAP_SCENES.model().to(runtime.device()).eval()


def test_what_is_asked_for_is_measured(model):
    recipe = recipes.CLIPCAP_SCENES
    measured, chance, ceiling = recipe.metrics(model, FEW), recipe.chance(FEW), recipe.ceiling(FEW)
    assert set(recipe.targets) <= set(measured) == set(chance) == set(ceiling)
    assert not any(target.met(measured[name]) or target.met(chance[name]) for name, target in recipe.targets.items())
    assert set(ceiling.values()) == {1.0} and chance["grammatical"] == 1.0


def test_vectors_are_what_clip_projects_of_one_size():
    images, encoder = render(records("test", range(3))), load(CLIP_SCENES).image_encoder
    seen = encoder.attention_pool.seen(encoder.features(images.to(runtime.device())))
    own, found = encoder(images.to(runtime.device())), recipes.vectors(images)
    torch.testing.assert_close(encoder.attention_pool.projection(seen), own)
    assert found.shape == (3, recipes.MAPPER.clip_dim) and found.device.type == "cpu"
    for row, vector in zip(seen.cpu(), found, strict=True):
        torch.testing.assert_close(vector, (row - row.mean()) / row.std(correction=0), atol=1e-3, rtol=1e-3)


def test_captions_survive_their_tokens_and_none_is_cut():
    texts = recipes.full_captions(records("train", range(300)))
    ids, mask = recipes.caption_ids(texts)
    assert decoded(ids) == texts and ids.shape[1] <= recipes.LENGTH
    assert (ids[:, 0] != special(END)).all(), "nothing stands between the prefix and the first word"
    last = mask.sum(1) - 1
    assert (ids[torch.arange(300), last] == special(END)).all(), "the end is learned, too"
    assert recipes.caption_ids(texts[:2], recipes.LENGTH)[0].shape == (2, recipes.LENGTH)


def test_stored_scenes_are_those_of_the_split():
    data = recipes.CaptionedVectors(FEW)
    batch = data.__getitems__([3, 5])
    scenes = records("train", range(FEW))
    torch.testing.assert_close(batch["features"], recipes.vectors(render(scenes[[3, 5]])), atol=1e-2, rtol=1e-2)
    full = [few[0] for few in Scenes("train", length=FEW, fields=("captions",))[range(FEW)]["captions"]]
    assert decoded(batch["input_ids"]) == [full[3], full[5]]
    assert batch["attention_mask"].any(0).all(), "no column of nothing but padding"
    other = recipes.CaptionedVectors(3, level="partial").__getitems__([0])
    assert decoded(other["input_ids"])[0] not in full


@pytest.mark.parametrize("frozen", [True, False])
def test_the_language_model_learns_unless_it_is_frozen(frozen):
    torch.manual_seed(0)
    model = recipes.between(Mapper(recipes.MAPPER), frozen).to(runtime.device())
    player = recipes.clipcap_player(model)
    batch = recipes.CaptionedVectors(4).__getitems__(range(4))
    player.objective({name: value.to(runtime.device()) for name, value in batch.items()})[0].backward()
    assert all(weight.grad is not None for weight in model.mapper.parameters())
    reached = [weight.grad is not None for weight in model.language_model.parameters()]
    assert not any(reached) if frozen else all(reached)


def test_training_begins_with_the_language_model_of_captions(model):
    recipes.CLIPCAP_SCENES.players(model)
    own, trained = model.language_model.state_dict(), load(GPT_SCENES).state_dict()
    assert own.keys() == trained.keys() and all(own[name].equal(trained[name]) for name in own)
    assert all(weight.requires_grad for weight in model.parameters())


def test_a_captioner_can_be_saved_and_comes_back(model, tmp_path):
    save_half(model, tmp_path)
    again = load(recipes.CLIPCAP_SCENES, tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size < 2.6e6, "in half precision; a byte a weight is half of that"
    features = recipes.vectors(render(records("test", range(2)))).to(runtime.device())
    torch.testing.assert_close(again.mapper(features), model.mapper(features), atol=2e-2, rtol=2e-2)


def test_what_is_drawn_repeats_with_the_seed(model):
    features = recipes.vectors(render(records("test", range(3))))

    def draw(seed: int) -> list[str]:
        return recipes.described(model, features, runtime.generator(seed), temperature=1.0, top_p=0.9)

    assert draw(1) == draw(1) != draw(2) and len(draw(1)) == 3


def test_a_caption_depends_on_the_picture_alone(model, monkeypatch):
    features = recipes.vectors(render(records("test", range(5))))
    whole = recipes.described(model, features, num_beams=2)
    monkeypatch.setattr(recipes, "CHUNK", 2)
    assert recipes.described(model, features, num_beams=2) == whole
