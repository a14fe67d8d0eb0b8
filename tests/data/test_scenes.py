"""Records of scenes, and the data set that holds them."""

import hashlib
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.data import loader
from course_utils.data.scenes import (
    ALLOWED,
    BACKGROUNDS,
    COLORS,
    HELD_OUT,
    MOTIONS,
    SHAPES,
    SIZES,
    SPLITS,
    STYLES,
    SceneRecords,
    Scenes,
    join,
    records,
    render,
    scene,
    visible_code,
)
from course_utils.data.scenes.dataset import FIELDS

GOLDEN = {
    "train": "724d18aaa1a475cc5efab94a871e10188fe78cd2adb2960dfd9c47b9510d21bd",
    "validation": "77d518835a52fcdb8227d70bbf54e321171c8cacd585269fca27ec0714a1dd1d",
    "test": "bc5f5ed0754e74ec4e5452c5712d207eced46c457f4137c5664b28e167e85bd5",
    "compositional": "ded65b216b47b3a44bea2588c34b97b2d6ba9939230e10862513710ed043de59",
}
DIGEST = """
import hashlib
from course_utils.data.scenes import records
scenes = records({split!r}, [*range(500), 10**6, 2**40 - 1], seed=7)
print(hashlib.sha256(b"".join(part.numpy().astype("<i8").tobytes() for part in scenes.as_dict().values())).hexdigest())
"""


def digest(scenes: SceneRecords) -> str:
    return hashlib.sha256(
        b"".join(part.numpy().astype("<i8").tobytes() for part in scenes.as_dict().values())
    ).hexdigest()


def equal(first: SceneRecords, second: SceneRecords) -> bool:
    return all(torch.equal(value, second.as_dict()[name]) for name, value in first.as_dict().items())


def pairs(scenes: SceneRecords) -> list[set[tuple[str, str]]]:
    return [
        {(SHAPES[shape], COLORS[color]) for shape, color in zip(shapes, colors, strict=True) if shape >= 0}
        for shapes, colors in zip(scenes.shape.tolist(), scenes.color.tolist(), strict=True)
    ]


@pytest.mark.parametrize("split", SPLITS)
def test_the_records_of_an_index_never_change(split):
    assert digest(records(split, [*range(500), 10**6, 2**40 - 1], seed=7)) == GOLDEN[split]


def test_another_process_makes_the_same_records():
    run = subprocess.run(
        [sys.executable, "-c", DIGEST.format(split="train")], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == GOLDEN["train"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**40 - 1), min_size=1, max_size=20), st.sampled_from(SPLITS), st.integers(0, 2**31))
def test_a_record_depends_on_its_index_alone(indices, split, seed):
    together = records(split, indices, seed)
    order = torch.arange(len(indices)).flip(0)
    assert equal(together[order], records(split, [indices[i] for i in order.tolist()], seed))
    assert equal(together[0], records(split, indices[:1], seed))


def test_seeds_and_splits_are_other_streams():
    streams = [records(split, range(200), seed) for split in SPLITS for seed in (0, 1)]
    for first in range(len(streams)):
        for second in range(first):
            assert not (streams[first].texture == streams[second].texture).any()
            assert (streams[first].background == streams[second].background).float().mean() < 0.35


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**39), st.sampled_from(SPLITS))
def test_records_are_well_formed(start, split):
    scenes = records(split, range(start, start + 50))
    present = scenes.present
    assert present.any(1).all()
    for values, words in ((scenes.shape, SHAPES), (scenes.color, COLORS), (scenes.size, SIZES)):
        assert ((values >= 0) == present).all()
        assert values.min() >= -1
        assert values.max() < len(words)
    assert (scenes.jitter[~present] == 0).all()
    assert scenes.jitter.abs().max() <= 2
    assert present.gather(1, scenes.mover[:, None]).all()
    assert ((0 <= scenes.background) & (scenes.background < len(BACKGROUNDS))).all()
    assert ((0 <= scenes.motion) & (scenes.motion < len(MOTIONS))).all()


def test_attributes_are_balanced():
    scenes = records("train", range(20_000))
    present = scenes.present
    for values, number in (
        (scenes.count - 1, 4),
        (scenes.background, len(BACKGROUNDS)),
        (scenes.motion, len(MOTIONS)),
        (present.nonzero()[:, 1], 4),
        (scenes.size[present], 2),
        (scenes.color[present], 8),
        (scenes.jitter[present].flatten() + 2, 5),
    ):
        share = values.bincount(minlength=number) / len(values)
        assert share == pytest.approx([1 / number] * number, rel=0.08)
    code = scenes.shape[present] * 8 + scenes.color[present]
    share = code.bincount(minlength=48)
    assert (share > 0).sum() == len(ALLOWED)
    assert (share[share > 0] / len(code)).tolist() == pytest.approx([1 / len(ALLOWED)] * len(ALLOWED), rel=0.15)


def test_held_out_pairs_are_new_but_their_shapes_and_colors_are_not():
    held_out = set(HELD_OUT)
    for split in ("train", "validation", "test"):
        seen = set().union(*pairs(records(split, range(3000))))
        assert not seen & held_out
        assert seen == set(ALLOWED)
    found = pairs(records("compositional", range(3000)))
    assert all(scene & held_out for scene in found)
    assert set().union(*found) == held_out | set(ALLOWED)
    assert {shape for shape, _ in ALLOWED} == set(SHAPES)
    assert {color for _, color in ALLOWED} == set(COLORS)


def test_no_scene_of_a_split_occurs_in_another():
    codes = [set(visible_code(records(split, range(30_000))).tolist()) for split in SPLITS]
    assert min(map(len, codes)) > 20_000
    for first in range(4):
        for second in range(first):
            assert not codes[first] & codes[second]


def test_a_scene_in_words():
    few = scene([("large", "red", "circle", "top left"), ("small", "blue", "star", "bottom right")], "sand")
    assert few.shape.tolist() == [[0, -1, -1, 3]]
    assert few.color.tolist() == [[0, -1, -1, 5]]
    assert few.size.tolist() == [[1, -1, -1, 0]]
    assert BACKGROUNDS[int(few.background)] == "sand"
    for objects, message in (
        ([("large", "red", "hexagon", "top left")], "circle, square"),
        ([("large", "crimson", "star", "top left")], "red, orange"),
        ([("large", "red", "star", "middle")], "top left, top right"),
        ([("large", "red", "star", "top left")] * 2, "a place holds one"),
    ):
        with pytest.raises(ValueError, match=message):
            scene(objects)


def test_batches_of_records():
    scenes = records("train", range(10))
    assert len(scenes[3]) == 1
    assert equal(join([scenes[:4], scenes[4:]]), scenes)
    assert equal(join(list(scenes)), scenes)
    assert equal(SceneRecords.from_dict({**scenes.as_dict(), "image": 1}), scenes)
    with pytest.raises(IndexError, match="scene 10 of a batch of 10"):
        scenes[10]
    with pytest.raises(KeyError, match="lacks texture"):
        SceneRecords.from_dict({name: value for name, value in scenes.as_dict().items() if name != "texture"})


def test_the_data_set_makes_whole_batches():
    data = Scenes("test", length=40, fields=("image", "record", "label_map", "masks", "edges", "caption"))
    batch = data[[5, 3, 39]]
    assert batch["image"].shape == (3, 3, 32, 32)
    assert torch.equal(batch["image"], render(records("test", [5, 3, 39])))
    assert torch.equal(batch["edges"], render(records("test", [5, 3, 39]), style="edges"))
    assert batch["masks"].shape == (3, 4, 32, 32)
    assert len(batch["caption"]) == 3
    single = data[3]
    assert torch.equal(single["image"], batch["image"][1])
    assert single["caption"] == batch["caption"][1]
    assert torch.equal(data[-1]["image"], batch["image"][2])
    assert torch.equal(data[3:6]["image"][0], single["image"])


def test_a_longer_data_set_begins_with_the_shorter_one():
    assert torch.equal(Scenes(length=10)[0:10]["texture"], Scenes(length=20)[0:10]["texture"])


@pytest.mark.parametrize("workers", [0, 2])
def test_in_a_loader(workers):
    batches = list(loader(Scenes("train", length=70), 32, shuffle=False, drop_last=False, num_workers=workers))
    assert [len(batch["image"]) for batch in batches] == [32, 32, 6]
    assert torch.equal(torch.cat([batch["texture"] for batch in batches]), records("train", range(70)).texture)


def test_every_field_can_be_asked_for():
    batch = Scenes("train", length=3, size=16, fields=FIELDS, level="any")[0:3]
    assert all(len(value) == 3 for value in batch.values())
    assert batch["video"].shape == (3, 8, 3, 16, 16)
    assert set(STYLES) <= set(batch)
    assert all({"kind", "text", "answer"} == set(asked) for few in batch["questions"] for asked in few)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, "train, validation, test, compositional"),
        ({"style": "oil"}, "flat, photo, sketch"),
        ({"fields": ("image", "depth")}, "label_map, masks"),
        ({"fields": ()}, "at least one"),
        ({"level": "short"}, "full, places"),
        ({"size": 7}, "at least 8"),
        ({"size": 32.0}, "at least 8"),
        ({"length": 0}, "2\\*\\*40"),
    ],
)
def test_errors_name_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        Scenes(**arguments)


def test_an_index_outside_is_refused():
    data = Scenes("test", length=10)
    for index in (10, -11):
        with pytest.raises(IndexError, match=r"0 \.\.\. 9"):
            data[index]
    with pytest.raises(IndexError, match=r"2\*\*40"):
        records("train", [-1])
    with pytest.raises(ValueError, match="train, validation"):
        records("trian", [1])


@pytest.mark.parametrize("split", SPLITS)
def test_scenes_of_a_given_number_of_objects_with_their_class(split):
    for objects in (1, 3):
        assert (records(split, range(300), objects=objects).count == objects).all()
    data = Scenes(split, fields=("record", "label"), objects=1)
    batch = data[range(2000)]
    shape, color = batch["shape"].amax(1), batch["color"].amax(1)
    assert batch["label"].equal(shape * len(COLORS) + color)
    there = {(SHAPES[s], COLORS[c]) for s, c in zip(shape.tolist(), color.tolist(), strict=True)}
    assert there == set(HELD_OUT if split == "compositional" else ALLOWED)
    assert data[5]["label"].shape == ()


def test_scenes_of_one_object_keep_the_splits_apart():
    codes = {split: set(visible_code(records(split, range(3000), objects=1)).tolist()) for split in SPLITS[:3]}
    assert not codes["train"] & codes["validation"] and not codes["train"] & codes["test"]
    assert not codes["validation"] & codes["test"]


def test_an_impossible_number_of_objects_is_refused():
    for objects in (0, 5):
        with pytest.raises(ValueError, match="1 to 4 objects"):
            Scenes("train", objects=objects)
        with pytest.raises(ValueError, match="1 to 4 objects"):
            records("train", [0], objects=objects)
