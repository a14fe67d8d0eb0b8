"""The recipes of the chapter: every function of them on an untrained model, and what the measures mean."""

import itertools

import pytest
import torch

from course_utils import runtime
from course_utils.data import Scenes, loader
from course_utils.data.scenes import ALLOWED, COLORS, SHAPES, label_map, render
from course_utils.training import fit
from course_utils.translation import CycleGAN, recipes

ALL = pytest.mark.parametrize("recipe", recipes.RECIPES, ids=[recipe.name for recipe in recipes.RECIPES])
FEW = 24


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(recipes, "GALLERY", 100)


def untrained(recipe):
    torch.manual_seed(0)
    return recipe.model().eval()


@ALL
def test_what_is_asked_for_is_measured(recipe):
    measured = recipe.metrics(untrained(recipe), FEW)
    assert set(recipe.targets) <= set(measured)
    assert not all(target.met(measured[name]) for name, target in recipe.targets.items()), "untrained, it meets them"
    chance, ceiling = recipe.chance(FEW), recipe.ceiling(FEW)
    for other in (chance, ceiling):
        assert set(other) <= set(measured)
        assert all(isinstance(value, float) for value in other.values())
    for name, target in recipe.targets.items():
        assert target.met(ceiling[name]), "the truth itself misses a target"
        assert not target.met(chance[name]), "the input as the answer meets a target"


@ALL
def test_samples_are_pictures_and_repeat_with_the_seed(recipe):
    model = untrained(recipe)
    first, again, other = (recipe.sample(model, 3, runtime.generator(seed)) for seed in (4, 4, 5))
    assert first.shape == (3, 3, 32, 32)
    assert first.equal(again)
    assert first.equal(other) == isinstance(model, CycleGAN), "only dropout is drawn"
    assert first.abs().max() <= 1


@ALL
def test_every_player_moves_all_of_its_weights(recipe):
    model = recipe.model()
    before = {name: value.clone() for name, value in model.named_parameters()}
    fit(recipe.players(model), recipe.loader(), 2, clip=recipe.clip, schedule=recipe.schedule, progress=False)
    unchanged = [name for name, value in model.named_parameters() if value.equal(before[name])]
    assert not unchanged


@ALL
def test_a_checkpoint_will_be_small(recipe):
    limit = 4e6 if recipe.system == "pix2pix" else 1.5e6  # a narrower U-Net is read back worse (0.81 for 0.91)
    assert 2 * sum(parameter.numel() for parameter in recipe.model().parameters()) < limit


@ALL
def test_training_sees_only_the_training_split(recipe):
    data = recipe.loader().dataset
    parts = (data.x, data.y) if isinstance(data, recipes.Unpaired) else (data,)
    assert {part.split for part in parts} == {"train"}


def test_pairs_are_two_looks_of_the_same_scenes():
    batch = recipes.pairs("test", 5, "labels", "photo")
    records = batch["records"]
    assert batch["input"].equal(render(records, style="labels"))
    assert batch["image"].equal(render(records, style="photo"))
    assert batch["label_map"].equal(label_map(records))
    assert records.shape.equal(Scenes("test").records(range(5)).shape)


def test_two_collections_never_show_the_same_scene():
    data = recipes.Unpaired("day", "night", length=40)
    batch = data.__getitems__([3, 39])
    day, night = Scenes("train", style="day"), Scenes("train", style="night")
    assert batch["x"].equal(day[[3, 39]]["image"])
    assert batch["y"].equal(night[[43, 79]]["image"])
    assert len(recipes.Unpaired("day", "night")) == 25_000
    first, second = ([part["x"] for part in loader(data, 8)] for _ in range(2))
    assert all(a.equal(b) for a, b in zip(first, second, strict=True))
    with pytest.raises(ValueError, match="unknown style"):
        recipes.Unpaired("day", "nights").__getitems__([0])


def test_scores_of_the_truth_and_of_an_error_of_known_size():
    batch = recipes.pairs("test", 30, "labels", "photo")
    truth, known = batch["image"], (batch["records"], batch["label_map"])
    perfect = recipes.translation_scores(truth, truth, *known)
    assert perfect["l1"] == 0 and perfect["ssim"] == pytest.approx(1) and perfect["readback_ratio"] == 1
    assert perfect["pixels"] > 0.98 and perfect["shape"] > 0.98
    shifted = recipes.translation_scores(0.5 * truth + 0.1, 0.5 * truth)
    assert shifted["l1"] == pytest.approx(0.1, abs=1e-5) and shifted["psnr_db"] == pytest.approx(26.02, abs=0.01)
    assert set(shifted) == {"l1", "psnr_db", "ssim"}, "without a label map nothing can be read back"
    others = recipes.translation_scores(truth.roll(1, 0), truth, *known)
    assert others["readback_ratio"] < 0.5 and others["shape"] < 0.5


def test_label_maps_are_read_by_their_colours():
    batch = recipes.pairs("test", 30, "photo", "labels")
    noisy = batch["image"] + 0.1 * torch.randn(batch["image"].shape, generator=runtime.generator(0))
    assert recipes.read_labels(noisy).equal(batch["label_map"])
    scores = recipes.translation_scores(noisy, batch["image"], batch["records"], batch["label_map"], "labels")
    assert scores["pixels"] == scores["mean_iou"] == scores["readback_ratio"] == 1
    assert "shape" not in scores
    assert recipes.translation_scores(noisy, batch["image"], style="night").keys() == {"l1", "psnr_db", "ssim"}


def test_other_looks_keep_what_labels_and_edges_tell():
    records = Scenes("test").records(range(300))
    other = recipes.other_looks(records, runtime.generator(0))
    for style in ("labels", "edges"):
        assert render(other, style=style).equal(render(records, style=style))
    assert not render(other, style="photo").equal(render(records, style="photo"))
    shown = set(zip(other.shape[other.present].tolist(), other.color[other.present].tolist(), strict=True))
    assert shown == {(SHAPES.index(shape), COLORS.index(color)) for shape, color in ALLOWED}
    assert (other.color[~records.present] == -1).all()
    assert (other.color[other.present] == records.color[records.present]).double().mean() < 0.3
    assert other.background.unique().numel() == 6 and other.light.unique().numel() == 8


def test_no_constant_colours_of_labels_beat_the_median():
    batch = Scenes("train", fields=("photo", "label_map"))[range(recipes.GALLERY)]
    answer = recipes.median_answer("photo", batch["label_map"])
    best = (answer - batch["photo"]).abs().mean()
    for label in range(7):
        assert len(answer.movedim(1, -1)[batch["label_map"] == label].unique(dim=0)) == 1
    for label, step in itertools.product((0, 3), (-0.02, 0.02)):
        moved = answer + step * (batch["label_map"] == label)[:, None]
        assert (moved - batch["photo"]).abs().mean() >= best


def test_the_learning_rate_stays_and_then_falls():
    factors = [recipes.falling(step, 10) for step in range(10)]
    assert factors == pytest.approx([1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
