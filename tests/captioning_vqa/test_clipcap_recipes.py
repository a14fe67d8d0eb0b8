"""The recipe of ClipCap: every function of it on an untrained mapper, what it reads and writes, and what learns."""

import pytest
import torch

from course_utils import runtime
from course_utils.captioning_vqa import clipcap_recipes as recipes
from course_utils.captioning_vqa.clipcap import Mapper
from course_utils.clip.recipes import CLIP_SCENES
from course_utils.data import Scenes
from course_utils.data.scenes import records, render
from course_utils.language.recipes import GPT_SCENES
from course_utils.language.texts import END, decoded, special
from course_utils.training import load

FEW = 8


@pytest.fixture
def mapper():
    torch.manual_seed(0)
    return recipes.CLIPCAP_SCENES.model().to(runtime.device()).eval()


def test_what_is_asked_for_is_measured(mapper):
    recipe = recipes.CLIPCAP_SCENES
    measured, chance, ceiling = recipe.metrics(mapper, FEW), recipe.chance(FEW), recipe.ceiling(FEW)
    assert set(recipe.targets) <= set(measured) == set(chance) == set(ceiling)
    assert not any(target.met(measured[name]) or target.met(chance[name]) for name, target in recipe.targets.items())
    assert set(ceiling.values()) == {1.0} and chance["grammatical"] == 1.0


def test_vectors_are_clips_at_a_length_of_the_root_of_their_number():
    images = render(records("test", range(3)))
    own = load(CLIP_SCENES).encode_image(images.to(runtime.device())).cpu()
    torch.testing.assert_close(recipes.vectors(images), 128**0.5 * own, atol=1e-4, rtol=1e-4)


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
def test_only_the_mapper_learns_while_the_language_model_is_frozen(mapper, frozen):
    writer = load(GPT_SCENES)
    before = {name: value.clone() for name, value in writer.state_dict().items()}
    player = recipes.clipcap_player(mapper.train().requires_grad_(), writer, frozen)
    batch = {
        name: value.to(runtime.device()) for name, value in recipes.CaptionedVectors(4).__getitems__(range(4)).items()
    }
    player.objective(batch)[0].backward()
    assert all(weight.grad is not None for weight in mapper.parameters())
    learns = [weight for weight in player.module.parameters() if weight.requires_grad]
    assert len(learns) == len([*mapper.parameters()]) + (0 if frozen else len([*writer.parameters()]))
    assert any(weight.grad is not None for weight in writer.parameters()) is not frozen
    assert all(value.equal(before[name]) for name, value in writer.state_dict().items())


def test_what_is_drawn_repeats_with_the_seed(mapper):
    features = recipes.vectors(render(records("test", range(3))))

    def draw(seed: int) -> list[str]:
        return recipes.described(mapper, features, generator=runtime.generator(seed), temperature=1.0, top_p=0.9)

    assert draw(1) == draw(1) != draw(2) and len(draw(1)) == 3


def test_a_caption_depends_on_the_picture_alone(monkeypatch):
    torch.manual_seed(0)
    mapper, features = Mapper(recipes.MAPPER).eval(), recipes.vectors(render(records("test", range(5))))
    whole = recipes.described(mapper, features, num_beams=2)
    monkeypatch.setattr(recipes, "CHUNK", 2)
    assert recipes.described(mapper, features, num_beams=2) == whole
