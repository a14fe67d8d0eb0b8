import pytest
import torch
from torch import Tensor, nn

from course_utils.data import faces
from course_utils.data.faces import ATTRIBUTES
from course_utils.data.scenes import label_map, records, render, scene
from course_utils.metrics import judges, readings
from course_utils.metrics.judges import (
    FaceJudge,
    FaceJudgeConfig,
    GlyphJudge,
    GlyphJudgeConfig,
    SceneJudge,
    SceneJudgeConfig,
)
from course_utils.metrics.readings import FaceReading, SceneReading
from course_utils.runtime import generator

SMALL = SceneJudgeConfig(widths=(8, 8, 8, 8), feature_dim=8, decoder_width=4)


@pytest.fixture
def judge() -> SceneJudge:
    torch.manual_seed(0)
    return SceneJudge(SMALL).eval()


@pytest.fixture
def glyph_judge() -> GlyphJudge:
    torch.manual_seed(0)
    return GlyphJudge(GlyphJudgeConfig(widths=(8, 8), feature_dim=8)).eval()


@pytest.fixture
def face_judge() -> FaceJudge:
    torch.manual_seed(0)
    return FaceJudge(FaceJudgeConfig(widths=(8, 8), feature_dim=8)).eval()


def pictures(batch: int = 5, channels: int = 3, size: int = 32) -> Tensor:
    return torch.randn(batch, channels, size, size, generator=generator(0)).clamp(-1, 1)


# Shapes and modes


@pytest.mark.parametrize("size", [32, 48, 64])
def test_everything_has_one_row_a_picture_at_any_resolution(judge, size):
    images = pictures(size=size)
    logits = judge(images)
    assert [tuple(values.shape) for values in logits] == [(5, 4, 7), (5, 4, 8), (5, 4, 2), (5, 6), (5, 7, size, size)]
    reading = judge.read(images)
    assert [tuple(values.shape) for values in reading] == [(5, 4), (5, 4), (5, 4), (5,), (5,)]
    assert judge.features(images).shape == (5, 4 * SMALL.feature_dim)
    assert judge.segment(images).shape == (5, size, size)
    assert judge.read(images[:0]).shape.shape == (0, 4)


@pytest.mark.parametrize("size", [32, 48])
def test_a_face_has_one_answer_an_attribute_at_any_resolution(face_judge, size):
    images = pictures(size=size)
    logits = face_judge(images)
    assert logits._fields == tuple(ATTRIBUTES)
    assert [tuple(values.shape) for values in logits] == [(5, len(words)) for words in ATTRIBUTES.values()]
    reading = face_judge.read(images)
    assert reading._fields == (*ATTRIBUTES, "confidence")
    for given, found in zip(logits, reading, strict=False):
        assert torch.equal(given.argmax(1), found)
    assert face_judge.features(images).shape == (5, 8)
    assert face_judge.read(images[:0]).smile.shape == (0,)


@pytest.mark.parametrize("method", ["read", "features", "segment", "confidence"])
def test_a_judge_in_training_mode_is_refused(judge, glyph_judge, face_judge, method):
    with pytest.raises(RuntimeError, match=r"SceneJudge is in training mode.*\.eval\(\)"):
        getattr(judge.train(), method)(pictures())
    if method != "segment":
        with pytest.raises(RuntimeError, match="GlyphJudge is in training mode"):
            getattr(glyph_judge.train(), method)(pictures(channels=1))
        with pytest.raises(RuntimeError, match="FaceJudge is in training mode"):
            getattr(face_judge.train(), method)(pictures())


def test_the_guard_protects_from_batch_norm_in_training_mode():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten()).train()
    with pytest.raises(RuntimeError, match="training mode"):
        judges.in_chunks(network, lambda part: (network(part),), pictures())
    (whole,) = judges.in_chunks(network.eval(), lambda part: (network(part),), pictures())
    (pieces,) = judges.in_chunks(network, lambda part: (network(part),), pictures(), size=2)
    assert torch.equal(whole, pieces)


def test_features_of_a_picture_do_not_depend_on_its_batch(judge, glyph_judge, face_judge):
    for model, images in ((judge, pictures(300)), (glyph_judge, pictures(300, 1)), (face_judge, pictures(300))):
        together = model.features(images)
        torch.testing.assert_close(model.features(images[7:8])[0], together[7], atol=1e-5, rtol=1e-4)
        assert not together.requires_grad


@pytest.mark.parametrize("wrong", [torch.zeros(2, 1, 32, 32), torch.zeros(3, 32, 32)])
def test_pictures_of_another_shape_are_refused(judge, face_judge, wrong):
    for model in (judge, face_judge):
        with pytest.raises(ValueError, match=r"expected pictures of shape \(batch, 3, height, width\)"):
            model(wrong)


def test_a_size_that_cannot_be_halved_so_often_is_refused():
    with pytest.raises(ValueError, match="multiple of 16"):
        SceneJudge(SceneJudgeConfig(image_size=24))
    with pytest.raises(ValueError, match="multiple of 8"):
        GlyphJudge(GlyphJudgeConfig(image_size=20))
    with pytest.raises(ValueError, match="3 widths need a multiple of 8"):
        FaceJudge(FaceJudgeConfig(image_size=36))


# Places


def test_the_four_readings_stand_in_the_order_of_places():
    # Without group norm's view of the whole picture, what changes at one place is read at that place.
    torch.manual_seed(0)
    judge = SceneJudge(SMALL).eval()
    for stage in judge.stages:
        stage[1] = nn.Identity()
    images = pictures(1, size=32)
    for place in range(4):
        row, column = divmod(place, 2)
        changed = images.clone()
        changed[..., 16 * row + 7 : 16 * row + 9, 16 * column + 7 : 16 * column + 9] = 1
        difference = (judge(changed).shape - judge(images).shape).abs().sum(-1)[0]
        assert difference.argmax() == place


# Loss


def test_the_loss_is_the_sum_of_cross_entropies_and_ignores_empty_places(judge):
    scenes = records("train", range(6))
    images = render(scenes)
    truth = label_map(scenes, 32)
    logits = judge(images)
    cross_entropy = nn.functional.cross_entropy
    there = scenes.present
    expected = cross_entropy(logits.shape.flatten(0, 1), (scenes.shape + 1).flatten(), reduction="sum")
    expected = expected + cross_entropy(logits.color[there], scenes.color[there], reduction="sum")
    expected = expected + cross_entropy(logits.size[there], scenes.size[there], reduction="sum")
    expected = expected + cross_entropy(logits.background, scenes.background, reduction="sum")
    expected = expected / 6 + 3 * cross_entropy(logits.label_map, truth)
    loss = judge.loss(images, readings.scene_targets(scenes, truth), pixel_weight=3.0)
    torch.testing.assert_close(loss, expected)


def test_a_glyph_judge_takes_labels_or_their_probabilities(glyph_judge):
    images, labels = pictures(channels=1), torch.tensor([1, 2, 3, 4, 5])
    as_shares = nn.functional.one_hot(labels, 62).float()
    torch.testing.assert_close(glyph_judge.loss(images, labels), glyph_judge.loss(images, as_shares))
    assert glyph_judge.text(torch.tensor([0, 10, 61])) == "0Az"


def test_the_loss_of_faces_is_the_sum_of_cross_entropies(face_judge):
    few = faces.records("train", range(6))
    images = faces.render(few)
    expected = sum(
        nn.functional.cross_entropy(logits, getattr(few, name)) for name, logits in face_judge(images)._asdict().items()
    )
    torch.testing.assert_close(face_judge.loss(images, readings.face_targets(few)), expected)


# Confidence


def given(logits: judges.SceneLogits) -> SceneJudge:
    judge = SceneJudge(SMALL).eval()
    judge.forward = lambda images: logits
    return judge


def logits_of(shares: dict[str, Tensor]) -> judges.SceneLogits:
    return judges.SceneLogits(
        *(shares[name].log()[None] for name in ("shape", "color", "size", "background")), pictures(1, 7)
    )


def test_confidence_is_the_least_probability_that_matters():
    def shares(classes: int, best: int, value: float, rows: int = 4) -> Tensor:
        result = torch.full((rows, classes), (1 - value) / (classes - 1))
        result[:, best] = value
        return result

    sure = {
        "shape": shares(7, 0, 0.99),
        "color": shares(8, 2, 0.6),
        "size": shares(2, 1, 0.55),
        "background": shares(6, 3, 0.98, 1)[0],
    }
    empty = given(logits_of(sure)).read(pictures(1))
    assert empty.confidence.item() == 0  # no object at all: no scene
    assert empty.shape.tolist() == empty.color.tolist() == empty.size.tolist() == [[-1] * 4]

    sure["shape"][2] = shares(7, 5, 0.97)[0]
    sure["color"][2], sure["size"][2] = shares(8, 4, 0.95)[0], shares(2, 0, 0.96)[0]
    one = given(logits_of(sure)).read(pictures(1))
    assert one.confidence.item() == pytest.approx(0.95)  # colours of empty places do not count
    assert one.shape.tolist() == [[-1, -1, 4, -1]]
    assert one.color.tolist() == [[-1, -1, 4, -1]]
    assert one.size.tolist() == [[-1, -1, 0, -1]]
    assert one.background.item() == 3

    sure["shape"][0] = shares(7, 0, 0.7)[0]
    assert given(logits_of(sure)).confidence(pictures(1)).item() == pytest.approx(0.7)


def test_confidence_in_a_face_is_that_in_its_least_certain_attribute(face_judge):
    shares = [torch.tensor([[0.97] + [0.03 / (len(words) - 1)] * (len(words) - 1)]) for words in ATTRIBUTES.values()]
    face_judge.forward = lambda images: judges.FaceLogits(*(share.log() for share in shares))
    assert face_judge.confidence(pictures(1)).item() == pytest.approx(0.97)
    shares[4] = torch.tensor([[0.1, 0.7, 0.2]])
    assert face_judge.confidence(pictures(1)).item() == pytest.approx(0.7)
    assert face_judge.read(pictures(1)).hair_length.tolist() == [1]


# Readings


def truth_of(scenes) -> SceneReading:
    return SceneReading(scenes.shape, scenes.color, scenes.size, scenes.background, torch.ones(len(scenes)))


def test_the_truth_is_wholly_right_and_draws_the_same_scene():
    scenes = records("test", range(50))
    reading = truth_of(scenes)
    assert set(readings.scene_accuracy(reading, scenes).values()) == {1.0}
    still = scene([("large", "red", "circle", "top left"), ("small", "blue", "star", "bottom right")], "mint")
    assert torch.equal(render(truth_of(still).records()), render(still))


def test_each_error_counts_where_it_is():
    scenes = scene([("large", "red", "circle", "top left"), ("small", "blue", "star", "bottom right")], "mint")
    right = truth_of(scenes)

    def accuracy(**changes: Tensor) -> dict[str, float]:
        return readings.scene_accuracy(right._replace(**changes), scenes)

    other_color = right.color.clone()
    other_color[0, 0] += 1
    assert accuracy(color=other_color) == {
        "presence": 1, "background": 1, "wholly_right": 0, "shape": 1, "color": 0.5, "size": 1,
    }  # fmt: skip
    unseen = right.shape.clone()
    unseen[0, 3] = -1
    gone = {name: value["value"] for name, value in {
        "shape": {"value": unseen}, "color": {"value": right.color.where(unseen >= 0, -1)},
        "size": {"value": right.size.where(unseen >= 0, -1)},
    }.items()}  # fmt: skip
    assert accuracy(**gone) == {
        "presence": 0.75, "background": 1, "wholly_right": 0, "shape": 0.5, "color": 0.5, "size": 0.5,
    }  # fmt: skip
    extra = right.shape.clone()
    extra[0, 1] = 2
    assert accuracy(shape=extra) | {"presence": 0.75, "wholly_right": 0} == accuracy(shape=extra)
    assert accuracy(shape=extra)["shape"] == 1
    assert accuracy(background=right.background + 1)["wholly_right"] == 0
    with pytest.raises(ValueError, match="at least one scene"):
        readings.scene_accuracy(truth_of(scenes[[]]), scenes[[]])


def test_confusions_count_truth_in_rows_and_readings_in_columns():
    truth, found = torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, 1, 1, 0, 0])
    counts = readings.count_pairs(truth, found, 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [2, 0, 0]]
    assert readings.worst_confusions(counts, ("a", "b", "c")) == [("c", "a", 2), ("a", "b", 1)]
    assert readings.mean_iou(counts) == pytest.approx((1 / 4 + 1 / 2 + 0) / 3)
    scenes = records("test", range(40))
    perfect = readings.scene_confusion(truth_of(scenes), scenes)
    assert all(torch.equal(matrix, matrix.diag().diag()) for matrix in perfect.values())
    assert perfect["shape"].sum() == 160
    assert perfect["color"].sum() == perfect["size"].sum() == scenes.present.sum()


def faces_read(few: faces.FaceRecords) -> FaceReading:
    return FaceReading(*(getattr(few, name) for name in ATTRIBUTES), torch.ones(len(few)))


def test_a_face_that_is_read_right_can_be_drawn_again():
    few = faces.records("test", range(50))
    reading = faces_read(few)
    assert set(readings.face_accuracy(reading, few).values()) == {1.0}
    still = faces.face(smile="smiling", hat="cap", pose="left", background="teal")
    assert torch.equal(faces.render(faces_read(still).records()), faces.render(still))
    targets = readings.face_targets(few)
    for name, target in targets._asdict().items():
        assert torch.equal(target.argmax(1), getattr(few, name))
        assert torch.equal(target.sum(1), torch.ones(50))


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_each_error_in_a_face_counts_where_it_is(name):
    few = faces.records("test", range(4))
    truth = getattr(few, name)
    wrong = faces_read(few)._replace(**{name: torch.cat([(truth[:1] + 1) % len(ATTRIBUTES[name]), truth[1:]])})
    accuracy = readings.face_accuracy(wrong, few)
    assert accuracy == dict.fromkeys(ATTRIBUTES, 1.0) | {name: 0.75, "wholly_right": 0.75}
    confusion = readings.face_confusion(wrong, few)
    assert all(matrix.sum() == 4 for matrix in confusion.values())
    assert confusion[name].diag().sum() == 3
    assert confusion[name][truth[0], (truth[0] + 1) % len(ATTRIBUTES[name])] == 1
    with pytest.raises(ValueError, match="at least one face"):
        readings.face_accuracy(faces_read(few[[]]), few[[]])
