"""The recipe of BLIP: every function of it on an untrained network, what it reads and writes, and what its training does."""

import dataclasses

import pytest
import torch

from course_utils import runtime
from course_utils.captioning_vqa import blip_recipes as recipes
from course_utils.captioning_vqa.capfilt import OTHER_TEXTS, VAGUE_TEXTS
from course_utils.clip.recipes import CLIP_SCENES
from course_utils.data import Faces, Glyphs
from course_utils.data.scenes import captions, records, render
from course_utils.layers import draw_uniform
from course_utils.training import load, read_card

FEW = 8


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return recipes.blip_on_clip().to(runtime.device()).eval()


def batch(count: int = FEW) -> dict:
    return recipes.captioned(count, rivals=0).__getitems__(range(count))


def test_what_is_asked_for_is_measured(model):
    recipe = recipes.BLIP_SCENES
    measured, chance, ceiling = recipe.metrics(model, FEW), recipe.chance(FEW), recipe.ceiling(FEW)
    assert (
        set(recipe.targets) <= set(measured)
        and set(chance) == set(measured) - {"familiar"}
        and set(ceiling) <= set(measured)
    )
    assert not all(target.met(measured[name]) for name, target in recipe.targets.items())
    assert ceiling["whole"] == 1.0 and chance["whole"] < 0.5


def test_texts_survive_their_tokens_and_none_is_cut():
    few = captions(records("train", range(200)), levels=recipes.LEVELS)
    texts = [caption.text for row in few for caption in row] + [*VAGUE_TEXTS, *OTHER_TEXTS]
    ids, mask = recipes.text_ids(texts)
    assert (ids[:, 0] == recipes.READ_ID).all() and ids.shape[1] < recipes.TEXT_LENGTH
    assert recipes.decoded(ids) == texts
    assert mask.sum(1).tolist() == [len(recipes.scenes_tokenizer().encode(text)) + 2 for text in texts]
    long, real = recipes.text_ids(["a red circle " * 50])
    assert long.shape == (1, recipes.TEXT_LENGTH) and real.all()


def test_the_eyes_are_those_of_clip_and_are_frozen(model):
    images, clip = render(records("test", range(3))).to(runtime.device()), load(CLIP_SCENES)
    network = model.image_encoder.network
    torch.testing.assert_close(network(images), clip.image_encoder(images))
    assert not any(weight.requires_grad for weight in network.parameters())
    model.train()
    before = model.image_encoder.features(images)
    assert not network.training, "batch norm would change with each batch"
    model.eval()
    torch.testing.assert_close(model.image_encoder.features(images), before)


def test_stored_features_are_those_of_the_scenes(model):
    data = recipes.captioned(FEW, rivals=0)
    scenes = records("train", range(FEW))
    own = model.image_encoder.features(render(scenes).to(runtime.device())).cpu()
    one = data.__getitems__([3])
    torch.testing.assert_close(one["features"], own[3:4], atol=5e-3, rtol=2e-3)
    written = [caption.text for caption in captions(scenes, levels=recipes.LEVELS)[3]]
    assert recipes.decoded(one["input_ids"][0]) == written
    whole = model.image_encoder(render(scenes).to(runtime.device()))
    torch.testing.assert_close(
        model.image_encoder.tokens(one["features"].to(whole)).cpu(), whole[3:4].cpu(), atol=2e-2, rtol=1e-2
    )


@pytest.mark.parametrize("full", [1.0, 0.0])
def test_full_captions_come_as_often_as_asked(monkeypatch, full):
    model, few = recipes.blip_on_clip(), batch(30)
    seen = []
    encode = model.encode_text
    monkeypatch.setattr(model, "encode_text", lambda ids, mask=None: seen.append(ids) or encode(ids, mask))
    torch.manual_seed(0)
    recipes.pretraining_player(model, full=full).objective(few)
    first = recipes.decoded(few["input_ids"][:, 0])
    share = sum(text in first for text in recipes.decoded(seen[0])) / 30
    assert share == 1.0 if full else 0.1 < share < 0.7


def test_a_step_teaches_all_but_the_eyes_and_the_slow_copy_follows():
    model = recipes.blip_on_clip()
    player = recipes.pretraining_player(model)
    loss, logs = player.objective(batch())
    loss.backward()
    assert loss.item() == pytest.approx(sum(value.item() for value in logs.values()), rel=1e-5)
    without = [name for name, weight in model.named_parameters() if weight.requires_grad and weight.grad is None]
    assert without == []
    state = player.module
    assert all(weight.grad is None for weight in state.slow.parameters())
    with torch.no_grad():
        model.text_projection.weight += 1
    before = state.slow.text_projection.weight.clone()
    player.after_step({})
    torch.testing.assert_close(state.slow.text_projection.weight, before + 0.005, atol=1e-5, rtol=0)
    assert int(state.steps) == 1


def test_the_queue_holds_what_came_before_the_newest_in_front():
    state, few = recipes.Pretraining(recipes.blip_on_clip(), queue=6), batch(4)
    rows = few["features"], few["input_ids"][:, 0], few["attention_mask"][:, 0]
    first = state.keys(*rows)
    assert len(first.older_texts) == 0, "nothing has come before"
    state.after_step({})
    second = state.keys(*(row.flip(0) for row in rows))
    torch.testing.assert_close(second.older_images, first.images)
    torch.testing.assert_close(second.older_texts, first.texts)
    state.after_step({})
    third = state.keys(*rows)
    torch.testing.assert_close(third.older_texts, torch.cat([second.texts, first.texts])[:6])
    torch.testing.assert_close(third.older_texts.norm(dim=1), torch.ones(6))


def test_search_ranks_only_the_candidates_again(model):
    scenes = records("test", range(FEW))
    images, texts = render(scenes), recipes.full_captions(scenes)
    contrast, again = recipes.search(model, images, texts, k=3)
    assert contrast.shape == again.shape == (FEW, FEW)
    assert (again.isfinite().sum(1) == 3).all()
    kept = again[0].isfinite().nonzero()[:, 0]
    assert set(kept.tolist()) == set(contrast[0].topk(3).indices.tolist())
    yes = recipes.matched(model, images[kept], [texts[0]] * 3)
    torch.testing.assert_close(again[0, kept], contrast[0, kept] + yes.logit(), atol=1e-4, rtol=1e-4)


def test_familiar_is_what_fits_its_caption_and_is_seen_as_scenes_are(model):
    images = render(records("test", range(3)))
    contrast, _ = recipes.search(model, images, recipes.described(model, images), k=1)
    mean, deviation = recipes.usual_features()
    seen = model.image_encoder.features(images.to(runtime.device())).cpu()
    far = ((seen - mean) / deviation).pow(2).mean((1, 2)).sqrt()
    expected = contrast.diagonal() / model.logit_scale.item() / far
    torch.testing.assert_close(recipes.familiarity(model, images), expected, atol=1e-5, rtol=1e-3)


def test_the_shipped_model_knows_strangers():
    model, card = load(recipes.BLIP_SCENES), read_card(recipes.BLIP_SCENES)
    strangers = {
        "faces": Faces("test", 32)[range(10)]["image"],
        "characters": Glyphs("test", 32, "all").__getitems__(range(10))["image"].expand(-1, 3, -1, -1),
        "noise": draw_uniform((10, 3, 32, 32), runtime.generator(0)) * 2 - 1,
    }
    for name, images in strangers.items():
        assert (recipes.familiarity(model, images) < card["metrics"]["familiar"]).all(), name
    scenes = render(records("validation", range(40)))
    assert (recipes.familiarity(model, scenes) >= card["metrics"]["familiar"]).double().mean() >= 0.9


def test_equal_meanings_are_equal_facts():
    scenes = records("train", range(300), objects=1)
    numbers, said = recipes.meanings(scenes), captions(scenes, levels=recipes.LEVELS)
    for level in range(2):
        facts = [row[level].facts for row in said]
        pairs = [(a, b) for a in range(300) for b in range(a)]
        same = [bool(numbers[a, level] == numbers[b, level]) for a, b in pairs]
        assert same == [facts[a] == facts[b] for a, b in pairs] and any(same)
    many = records("train", range(300), objects=4)
    assert len(recipes.meanings(many)[:, 0].unique()) == 300
    moved = dataclasses.replace(many, shape=many.shape.roll(1, 1), color=many.color.roll(1, 1))
    assert recipes.meanings(moved)[:, 2].equal(recipes.meanings(many)[:, 2])
    assert not recipes.meanings(moved)[:, 1].equal(recipes.meanings(many)[:, 1])


def test_a_rival_is_near_and_never_the_scene_itself():
    data = recipes.captioned(60, rivals=3)
    seen = torch.nn.functional.normalize(data.features[:, 0].float(), dim=1)
    table = (seen @ seen.T).fill_diagonal_(-1)
    assert data.rivals.equal(table.topk(3, dim=1).indices)
    few = data.__getitems__(list(range(10)))
    assert few["features"][:5].equal(data.features[:5].float())
    own = data.features[data.rivals[:5].flatten()].unflatten(0, (5, 3)).float()
    assert (own == few["features"][5:, None]).flatten(2).all(2).any(1).all()


def test_what_fits_as_well_is_no_wrong_partner(monkeypatch):
    model, few, seen = recipes.blip_on_clip(), batch(), []
    few["meaning"][3] = few["meaning"][5]
    losses_of = model.losses_of
    monkeypatch.setattr(model, "losses_of", lambda *given: seen.append(given[-1]) or losses_of(*given))
    recipes.pretraining_player(model).objective(few)
    others = seen[0] & ~torch.eye(FEW, dtype=torch.bool)
    assert others[3, 5] and others[5, 3] and others.sum() == 2
