import pytest
import torch

from course_utils.data import Faces, Scenes
from course_utils.data.faces import ATTRIBUTES
from course_utils.data.scenes import HELD_OUT, SceneRecords
from course_utils.data.scenes.drawing import object_colors
from course_utils.data.scenes.records import COLORS, SHAPES
from course_utils.metrics import recipes as judge_recipes
from course_utils.metrics import training_pictures
from course_utils.metrics.experiments import EXPERIMENTS, dense, draw_confusions
from course_utils.metrics.judges import READABLE
from course_utils.metrics.readings import count_pairs
from course_utils.metrics.recipes import (
    FACE_JUDGE,
    GLYPH_JUDGE,
    PHOTO_JUDGE,
    RECIPES,
    SCENE_JUDGE,
    confusion,
    face_test,
    glyph_test,
    scene_test,
    unreadable_faces,
    unreadable_glyphs,
    unreadable_scenes,
)
from course_utils.training import load

JUDGES = (SCENE_JUDGE, GLYPH_JUDGE, FACE_JUDGE, PHOTO_JUDGE)
TRAINING_FIELDS = ("image", "record", "label_map", "masks")


@pytest.fixture(scope="module")
def batch() -> dict:
    return Scenes("train", fields=TRAINING_FIELDS)[range(256)]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def scene_judge():
    return load(SCENE_JUDGE)


@pytest.fixture(scope="module")
def glyph_judge():
    return load(GLYPH_JUDGE)


# Lessons


def test_targets_are_probabilities_also_of_mixtures(batch):
    images, targets = training_pictures.scene_lesson(batch)
    assert images.shape == batch["image"].shape
    assert images.abs().max() <= 1
    for values, dim in ((targets.shape, -1), (targets.background, -1), (targets.label_map, 1)):
        torch.testing.assert_close(values.sum(dim), torch.ones_like(values.sum(dim)))
    for values in (targets.color, targets.size):
        assert values.sum(-1).max() <= 1 + 1e-6
    mixed = ((targets.background > 0.01) & (targets.background < 0.99)).any(1).double().mean()
    assert 0.1 < mixed < 0.35


def test_lessons_of_photos_ask_for_no_colour_that_was_mixed_anew():
    batch = Scenes("train", style="photo", fields=("image", "record", "label_map"))[range(256)]
    images, targets = training_pictures.photo_lesson(batch)
    assert images.shape == batch["image"].shape
    assert images.abs().max() <= 1
    for values, dim in ((targets.shape, -1), (targets.label_map, 1)):
        torch.testing.assert_close(values.sum(dim), torch.ones_like(values.sum(dim)))
    unasked = targets.background.sum(1) == 0
    assert 0.15 < unasked.double().mean() < 0.45
    assert targets.color[unasked].sum() == 0
    assert targets.size[unasked].sum() > 0


def test_recoloring_mixes_channels_and_keeps_places():
    images = 2 * torch.rand(400, 3, 4, 4) - 1
    recolored, chosen = training_pictures.recolor(images)
    assert torch.equal(recolored[~chosen], images[~chosen])
    assert chosen.double().mean().item() == pytest.approx(1 / 3, abs=0.08)
    pixels, mixed = images[chosen].flatten(2), recolored[chosen].flatten(2)
    weights = torch.linalg.lstsq(pixels.mT.double(), mixed.mT.double()).solution  # (old channels, new channels)
    torch.testing.assert_close(pixels.mT.double() @ weights, mixed.mT.double(), atol=1e-5, rtol=0)
    assert weights.min() > -1e-4
    torch.testing.assert_close(weights.sum(1), torch.ones(len(weights), 3).double(), atol=1e-4, rtol=0)


def test_the_photo_judge_is_shown_and_asked_photos(monkeypatch):
    photos = Scenes("test", style="photo")[range(20)]["image"]
    assert torch.equal(scene_test("test", 20, "photo")[0], photos)
    assert torch.equal(unreadable_scenes(20, "photo")["moved"], photos.roll((8, 8), (2, 3)))
    first = PHOTO_JUDGE.loader().dataset
    assert (first.split, first.style) == ("train", "photo")
    asked = []
    monkeypatch.setattr(
        judge_recipes, "scene_test", lambda *asked_for: asked.append(asked_for) or scene_test(*asked_for)
    )
    PHOTO_JUDGE.metrics(PHOTO_JUDGE.model().eval(), 8)
    assert {style for _, _, style in asked} == {"photo"}


def test_lessons_of_faces_teach_what_is_there():
    batch = Faces("train")[range(512)]
    images, targets = training_pictures.face_lesson(batch)
    assert images.shape == batch["image"].shape
    assert images.abs().max() <= 1
    assert targets._fields == tuple(ATTRIBUTES)
    for name, target in targets._asdict().items():
        torch.testing.assert_close(target.sum(1), torch.ones(512))
        alone = target.amax(1) == 1
        assert 0.7 < alone.double().mean() < 0.95
        assert torch.equal(target.argmax(1)[alone], batch[name][alone])
    nothing = (targets.background - 1 / 6).abs().amax(1) < 1e-6
    assert 0.02 < nothing.double().mean() < 0.12
    kept = images[~nothing] - batch["image"][~nothing]
    assert (images[nothing] - batch["image"][nothing]).abs().mean() > 3 * kept.abs().mean()


def test_a_mixture_mixes_pictures_and_targets_alike():
    mixture = training_pictures.Mixture(
        torch.tensor([[0, 1, 2, 2], [1, 0, 0, 0], [2, 0, 1, 2]]),
        torch.tensor([[0.75, 0.25, 0, 0], [1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]]),
        torch.zeros(3, dtype=torch.bool),
    )
    values = torch.tensor([[0.0, 1.0], [4.0, 5.0], [8.0, 9.0]])
    assert mixture(values).tolist() == [[1, 2], [4, 5], [5, 6]]


def test_drawn_mixtures_have_the_shares_that_are_named():
    mixture = training_pictures.draw_mixture(8000)
    torch.testing.assert_close(mixture.weights.sum(1), torch.ones(8000))
    alone = (mixture.weights[:, 0] == 1) & ~mixture.noise
    assert alone.double().mean().item() == pytest.approx(0.75, abs=0.02)
    assert (mixture.weights == 0.25).all(1).double().mean().item() == pytest.approx(1 / 16, abs=0.01)
    assert mixture.noise.double().mean().item() == pytest.approx(1 / 16, abs=0.01)


def test_repainting_changes_some_objects_and_nothing_else(batch):
    records = SceneRecords.from_dict(batch)
    images, painted = training_pictures.repaint(batch)
    assert not (painted & ~records.present).any()
    assert 0.15 < (painted.sum() / records.present.sum()).item() < 0.35
    elsewhere = (batch["masks"] * painted[..., None, None]).sum(1) == 0
    changed = (images - batch["image"]).abs().amax(1) > 1e-6
    assert not (changed & elsewhere).any()
    assert images.abs().max() <= 1 + 1e-5
    old = object_colors(records)
    inside = (batch["masks"] == 1) & painted[..., None, None]
    scene, place, row, column = inside.nonzero()[0].tolist()
    assert (images[scene, :, row, column] - old[scene, place]).abs().max() > 1e-3


def test_the_scene_judge_is_never_shown_a_held_out_pair_with_its_name():
    held_out = {(SHAPES.index(shape), COLORS.index(color)) for shape, color in HELD_OUT}
    loader = SCENE_JUDGE.loader()
    shown = SceneRecords.from_dict(next(iter(loader)))
    assert held_out.isdisjoint(zip(shown.shape.flatten().tolist(), shown.color.flatten().tolist(), strict=True))
    assert loader.dataset.split == "train"


def test_blur_keeps_constants_and_spreads_a_point():
    point = torch.zeros(1, 2, 5, 5)
    point[:, :, 2, 2] = 16
    expected = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
    assert torch.equal(training_pictures.blur(point)[0, 0, 1:4, 1:4], expected)
    assert torch.allclose(training_pictures.blur(torch.full((1, 1, 4, 4), 0.3)), torch.tensor(0.3))


@pytest.mark.parametrize("count", [1, 3, 64])
def test_noise_has_the_shape_and_range_of_pictures(count):
    images = training_pictures.noise_like(torch.full((count, 3, 16, 16), 7.0))
    assert images.shape == (count, 3, 16, 16)
    assert images.abs().max() <= 1


@pytest.mark.parametrize("recipe", JUDGES, ids=lambda recipe: recipe.name)
def test_the_objective_gives_a_gradient_to_every_parameter(recipe):
    model = recipe.model()
    loss, _ = recipe.players(model).objective(next(iter(recipe.loader())))
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())


# What the shipped judges can do


def test_a_trained_scene_judge_reads_scenes_and_knows_nonsense(scene_judge):
    images, records, truth = scene_test("compositional", 200)
    reading = scene_judge.read(images)
    for name in ("shape", "color", "size", "background"):
        assert (getattr(reading, name) == getattr(records, name)).double().mean() >= 0.99
    assert (scene_judge.segment(images) == truth).double().mean() >= 0.99
    for name, nonsense in unreadable_scenes(100).items():
        assert (scene_judge.confidence(nonsense) >= READABLE).double().mean() <= 0.03, name


def test_a_trained_scene_judge_reads_twice_the_size_and_slightly_spoiled_pictures(scene_judge):
    batch = Scenes("test", size=64)[range(200)]
    reading = scene_judge.read(batch["image"])
    assert (reading.shape == batch["shape"]).double().mean() >= 0.98
    spoiled = training_pictures.blur(scene_test("test", 200)[0])
    assert (scene_judge.read(spoiled).shape == batch["shape"]).double().mean() >= 0.98


def test_a_trained_glyph_judge_reads_characters_and_knows_nonsense(glyph_judge):
    images, labels = glyph_test(300)
    assert (glyph_judge.read(images) == labels).double().mean() >= 0.99
    for name, nonsense in unreadable_glyphs(100).items():
        assert (glyph_judge.confidence(nonsense) >= READABLE).double().mean() <= 0.03, name


# Measuring


def test_ceiling_is_perfect_and_chance_is_the_most_frequent_answer():
    for recipe in JUDGES:
        assert set(recipe.ceiling(100).values()) == {1.0}
        assert all(0 <= value < 0.9 for value in recipe.chance(100).values())
    _, labels = glyph_test(100)
    assert GLYPH_JUDGE.chance(100)["accuracy"] == labels.bincount().max().item() / 100
    _, records, truth = scene_test("test", 100)
    chance = SCENE_JUDGE.chance(100)
    assert chance["color"] == pytest.approx(records.color[records.present].bincount().max() / records.present.sum())
    assert chance["presence"] == pytest.approx(records.present.double().mean())
    assert chance["pixels"] == pytest.approx((truth == 0).double().mean())


def test_a_judge_of_faces_is_measured_on_each_attribute():
    faces = face_test(300)[1]
    chance = FACE_JUDGE.chance(300)
    for name in ATTRIBUTES:
        assert chance[name] == getattr(faces, name).bincount().max().item() / 300
    metrics = FACE_JUDGE.metrics(FACE_JUDGE.model().eval(), 64)
    assert set(FACE_JUDGE.targets) < set(metrics)
    assert set(ATTRIBUTES) < set(FACE_JUDGE.targets)
    assert metrics["wholly_right"] < 0.1  # it is not trained
    assert FACE_JUDGE.loader().dataset.split == "train"
    matrices = confusion(FACE_JUDGE.model().eval(), 50)
    assert {name: int(matrix.sum()) for name, matrix in matrices.items()} == dict.fromkeys(ATTRIBUTES, 50)
    with pytest.raises(ValueError, match="split test"):
        confusion(FACE_JUDGE.model().eval(), 50, "validation")


def test_pictures_of_no_face_are_not_faces():
    images, _ = face_test(40)
    for name, nonsense in unreadable_faces(40).items():
        assert nonsense.shape == images.shape
        assert nonsense.abs().max() <= 1
        assert (nonsense - images).abs().mean() > 0.2, name


def test_confusions_add_up_and_are_drawn(scene_judge, glyph_judge):
    scenes = confusion(scene_judge, 30, "compositional")
    assert scenes["shape"].sum() == 120
    assert scenes["pixels"].sum() == 30 * 32 * 32
    assert confusion(glyph_judge, 30)["character"].sum() == 30
    with pytest.raises(ValueError, match="split test"):
        confusion(glyph_judge, 30, "validation")
    matrix = count_pairs(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0]), 2)
    entries = [[*pair, matrix[tuple(pair)].item()] for pair in matrix.nonzero().tolist()]
    assert torch.equal(dense(entries, 2), matrix)
    rows = [{"judge": "scene-judge", "split": "test", "samples": 3, "size": entries}]
    figure = draw_confusions(rows)
    assert [axis.get_title() for axis in figure.axes] == ["scene-judge, test:\nsize"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["1"]


def test_the_experiment_measures_both_judges():
    (experiment,) = EXPERIMENTS
    row = experiment.run(judge="glyph-judge", split="test", samples=40)
    assert sum(count for _, _, count in row["character"]) == 40
    assert {cell["judge"] for cell in experiment.grid} == {recipe.name for recipe in RECIPES}
