"""The recipes of the chapter: every function of them on an untrained model, what it reads of texts, and what the measures mean."""

import pytest
import torch

from course_utils import layers, runtime
from course_utils.clip import recipes, zero_shot
from course_utils.data import Glyphs
from course_utils.data.scenes import COLORS, LEVELS, SHAPES, captions, records, true_of

ALL = pytest.mark.parametrize("recipe", recipes.RECIPES, ids=[recipe.name for recipe in recipes.RECIPES])
FEW = 12


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(recipes, "GALLERY", 20)


def untrained(recipe):
    torch.manual_seed(0)
    return recipe.model().to(runtime.device()).eval()


@ALL
def test_what_is_asked_for_is_measured(recipe):
    measured = recipe.metrics(untrained(recipe), FEW)
    assert set(recipe.targets) <= set(measured)
    assert not all(target.met(measured[name]) for name, target in recipe.targets.items()), "untrained, it meets them"
    for other in (recipe.chance(FEW), recipe.ceiling(FEW) if recipe.ceiling else {}):
        assert set(other) <= set(measured)
        assert all(isinstance(value, float) for value in other.values())


@ALL
def test_samples_are_pictures_and_repeat_with_the_seed(recipe):
    model = untrained(recipe)
    first, again = (recipe.sample(model, 3, runtime.generator(4)) for _ in range(2))
    assert first.shape == (3, model.config.in_channels, 32, 32)
    assert first.equal(again) and first.abs().max() <= 1


@ALL
def test_every_weight_that_is_used_gets_a_gradient(recipe):
    model, batch = untrained(recipe).train(), next(iter(recipe.loader()))
    assert batch["image"].shape == (256, model.config.in_channels, 32, 32)
    few = {name: values[:16] for name, values in batch.items()}
    recipe.players(model).objective(few)[0].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_each_word_of_the_captions_is_a_token_and_any_other_text_is_read_too():
    tokenizer = recipes.scene_tokenizer()
    assert len(tokenizer) <= recipes.SCENE_VOCABULARY
    text = recipes.plain("Two objects on a sand background: a large red circle at the top left.")
    assert len(tokenizer.encode(text)) == 15, "14 words and a colon"
    ids = recipes.scene_ids(["A red circle.", "a red circle", "ein roter Kreis " * 30])
    end = recipes.SCENES_CLIP.end_token_id
    assert ids.shape == (3, 64) and ids[0].equal(ids[1]) and (ids[0, 3:] == end).all()
    assert ids[2, -1] == end and (ids[2, :-1] != end).all()
    assert recipes.trimmed(ids[:2], end).shape == (2, 4)
    assert recipes.trimmed(ids, end).equal(ids)
    assert end >= len(tokenizer) - 1, "the end token is no word"
    assert recipes.GLYPHS_CLIP.end_token_id >= len(recipes.glyph_tokenizer()) - 1


@pytest.mark.parametrize("full", [1.0, 0.0])
def test_pictures_get_their_own_captions_of_the_wanted_levels(full):
    recipe = recipes.CLIP_SCENES
    model, batch = untrained(recipe), recipes.CaptionedScenes("train").__getitems__(range(40))
    seen = []
    model.loss = lambda images, ids: seen.append(ids) or torch.tensor(0.0)
    torch.manual_seed(0)
    recipes.caption_player(model, full=full).objective(batch)
    texts = captions(records("train", range(40)))
    levels = []
    for row, few in zip(seen[0], texts, strict=True):
        own = recipes.scene_ids([caption.text for caption in few])[:, : len(row)]
        (level,) = (own == row).all(1).nonzero()[:1, 0].tolist()
        levels.append(LEVELS[level])
    assert (set(levels) == {"full"}) == bool(full)
    assert full or len(set(levels)) >= 4


def test_who_knows_the_scenes_reaches_the_ceiling():
    scenes = records("test", range(300))

    def knows(level: str) -> torch.Tensor:
        """Similarity 1 where the caption is true, and a little more for its own scene: as lucky as can be."""
        statements = [caption.facts for caption in recipes.written(scenes, level)]
        return true_of(statements, scenes).float() + 0.5 * torch.eye(300)

    found, ceiling = recipes._recalls(knows, scenes), recipes._scenes_ceiling(300)
    assert found["recall_at_1"] == found["caption_recall_at_1"] == found["partial_recall_at_10"] == 1.0
    assert 0.9 < ceiling["recall_at_1"] < 1.0
    assert found["share_of_ceiling"] == pytest.approx(1 / ceiling["recall_at_1"])
    assert ceiling["partial_recall_at_10"] < ceiling["recall_at_1"]
    chance = recipes._scenes_chance(300)
    assert chance["recall_at_5"] < 0.05 and chance["partial_recall_at_10"] == pytest.approx(10 / 300, abs=0.03)


def test_held_out_names_are_those_of_outlines_never_seen():
    names, groups = recipes._held_out_names()
    assert len(names) == len(set(names)) == len(groups) > 600
    assert not set(groups.tolist()) & set(Glyphs("train", 32, "all").group.tolist())
    images, again, right = recipes.right_names(40)
    assert again == names and right.shape == (40, len(names)) and right.any(1).all()
    perfect = recipes._glyph_scores(right.float(), right)
    assert perfect == {
        "name_recall_at_1": 1.0,
        "name_recall_at_10": 1.0,
        "name_median_rank": 1.0,
        "picture_recall_at_10": 1.0,
    }
    assert recipes._glyphs_chance(400)["name_recall_at_10"] < 0.06


def test_prompts_stand_class_by_class():
    prompts = recipes.class_prompts()
    label = SHAPES.index("star") * len(COLORS) + COLORS.index("orange")
    assert prompts[2 * label : 2 * label + 2] == ["only an orange star", "there is an orange star"]
    assert len(prompts) == 2 * 48


def test_a_zero_shot_classifier_is_the_mean_of_its_prompts():
    prompts = torch.nn.functional.normalize(layers.draw_normal((3, 4, 8), runtime.generator(0)), dim=2)
    weights = zero_shot.zero_shot_weights(prompts)
    torch.testing.assert_close(weights.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(weights * prompts.mean(1).norm(dim=1, keepdim=True), prompts.mean(1))
    assert zero_shot.classify(weights[[2, 0, 1]], weights).tolist() == [2, 0, 1]
    assert zero_shot.linear_probe(weights, torch.tensor([5, 3, 4]), weights[[1, 0]]).tolist() == [3, 5]
    with pytest.raises(ValueError, match="at least two classes"):
        zero_shot.linear_probe(weights, torch.tensor([1, 1, 1]), weights)
