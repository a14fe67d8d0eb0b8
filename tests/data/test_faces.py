"""Faces: records, pictures that show what the record says, captions, and the data set that holds them."""

import hashlib
import itertools
import re
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from datasets.distributed import split_dataset_by_node
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.data import DataLoader

from course_utils.data import loader, stream, to_dataset
from course_utils.data.draws import Draws
from course_utils.data.faces import (
    ATTRIBUTES,
    BACKGROUND_RGB,
    HAIR_RGB,
    MAX_JITTER,
    NUISANCES,
    OUTFIT_RGB,
    OUTFITS,
    SKIN_RGB,
    SPLITS,
    FaceRecords,
    Faces,
    captions,
    face,
    join,
    records,
    render,
    visible_code,
)
from course_utils.data.faces.canvas import Canvas, box, ellipse
from course_utils.data.faces.dataset import FIELDS
from course_utils.data.records import RESIDUES, settled
from course_utils.runtime import repository

GOLDEN = {
    "train": "1492f4efacaf526681666235dda7ee5efd7b5ee5336f0a7dff14786171b9ad66",
    "validation": "de07be45f323960552a4f10b471c5ca973841d6c57bff7776e6bc9f30f0e1b16",
    "test": "2fd092564fe1ba37ecd3e89f56d203b0ed7cc19cb2dbde6f5e6e6684d9218670",
}
DIGEST = """
import hashlib
from course_utils.data.faces import records
faces = records({split!r}, [*range(500), 10**6, 2**40 - 1], seed=7)
print(hashlib.sha256(b"".join(part.numpy().astype("<i8").tobytes() for part in faces.as_dict().values())).hexdigest())
"""


def digest(faces: FaceRecords) -> str:
    return hashlib.sha256(
        b"".join(part.numpy().astype("<i8").tobytes() for part in faces.as_dict().values())
    ).hexdigest()


def equal(first: FaceRecords, second: FaceRecords) -> bool:
    return all(torch.equal(value, second.as_dict()[name]) for name, value in first.as_dict().items())


def every_word(faces: FaceRecords, attribute: str) -> FaceRecords:
    """Each face with every word of an attribute, one after the other: (faces * words,)."""
    words = len(ATTRIBUTES[attribute])
    repeated = faces[torch.arange(len(faces)).repeat_interleave(words)]
    return replace(repeated, **{attribute: torch.arange(words).repeat(len(faces))})


# Records


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
    for first, second in itertools.combinations(streams, 2):
        assert (first.background == second.background).float().mean() < 0.35
        assert not (visible_code(first) == visible_code(second)).any()


def test_attributes_are_even_and_independent():
    faces = records("train", range(40_000))
    for name, words in ATTRIBUTES.items():
        values = getattr(faces, name)
        share = values.bincount(minlength=len(words)) / len(values)
        assert share.tolist() == pytest.approx([1 / len(words)] * len(words), rel=0.05), name
    for first, second in itertools.combinations(ATTRIBUTES, 2):
        pairs = len(ATTRIBUTES[first]) * len(ATTRIBUTES[second])
        code = getattr(faces, first) * len(ATTRIBUTES[second]) + getattr(faces, second)
        share = code.bincount(minlength=pairs) / len(code)
        assert share.tolist() == pytest.approx([1 / pairs] * pairs, rel=0.15), (first, second)


def test_small_differences_are_even():
    for split in SPLITS:
        faces = records(split, range(20_000))
        for values in (*(getattr(faces, name) for name in NUISANCES), *faces.jitter.unbind(1), faces.outfit - 2):
            assert ((values + 2).bincount(minlength=5) / len(values)).tolist() == pytest.approx([0.2] * 5, rel=0.07)


def test_no_face_of_a_split_occurs_in_another():
    codes = [set(visible_code(records(split, range(30_000))).tolist()) for split in SPLITS]
    assert min(map(len, codes)) > 29_990
    for first, second in itertools.combinations(codes, 2):
        assert not first & second
    # faces are so many that this would hold by chance; but of the five shifts of a face each belongs to one split
    for split, other in itertools.product(SPLITS, repeat=2):
        faces = records(split, range(500))
        code = visible_code(replace(faces, jitter=faces.jitter * torch.tensor([0, 1])))
        shifts = torch.stack([settled(code, (residue,), Draws(code)) for residue in RESIDUES[other]]) - MAX_JITTER
        assert ((shifts == faces.jitter[:, 0]).any(0) == (split == other)).all()


@pytest.mark.parametrize("name", [*ATTRIBUTES, *NUISANCES, "outfit", "jitter"])
def test_the_code_of_a_face_says_all_that_can_be_seen(name):
    faces = records("train", range(300))
    value = getattr(faces, name)
    changed = replace(faces, **{name: torch.where(value > 0, value - 1, value + 1)})
    assert (visible_code(faces) != visible_code(changed)).all()
    # and all of it is seen: whatever the rest, a pixel of an 8-bit picture changes
    assert ((render(faces) - render(changed)).abs().amax((1, 2, 3)) > 2 / 255).all()


def test_a_face_in_words():
    few = face(smile="smiling", hat="top hat", background="navy")
    assert few.smile.tolist() == [2]
    assert few.hat.tolist() == [3]
    assert ATTRIBUTES["background"][int(few.background)] == "navy"
    assert ATTRIBUTES["pose"][int(few.pose)] == "front"
    for words, message in (
        ({"hat": "crown"}, "none, cap, beanie, top hat"),
        ({"mood": "happy"}, "smile, glasses, hat"),
    ):
        with pytest.raises(ValueError, match=message):
            face(**words)


def test_batches_of_records():
    faces = records("train", range(10))
    assert len(faces[3]) == 1
    assert equal(join([faces[:4], faces[4:]]), faces)
    assert equal(join(list(faces)), faces)
    assert equal(FaceRecords.from_dict({**faces.as_dict(), "image": 1}), faces)
    with pytest.raises(IndexError, match="face 10 of a batch of 10"):
        faces[10]
    with pytest.raises(KeyError, match="lacks jitter"):
        FaceRecords.from_dict({name: value for name, value in faces.as_dict().items() if name != "jitter"})


# Pictures


@pytest.mark.parametrize("size", [8, 31, 32, 64])
def test_pictures(size):
    images = render(records("train", range(20)), size)
    assert images.shape == (20, 3, size, size)
    assert images.dtype == torch.float32
    assert images.is_contiguous()
    assert -1 <= images.min() < images.max() <= 1
    assert render(records("train", []), size).shape == (0, 3, size, size)


def test_a_picture_does_not_depend_on_its_batch():
    faces = records("train", range(300))  # more than are rendered at a time
    together = render(faces, 16)
    for index in (0, 255, 256, 299):
        torch.testing.assert_close(render(faces[index], 16)[0], together[index], atol=1e-6, rtol=0)


def test_another_process_draws_the_same_pictures():
    code = (
        "import torch; from course_utils.data.faces import records, render; "
        "print(render(records('test', range(16, 48)))[::4].double().sum((1, 2, 3)).tolist())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = render(records("test", range(48)))[16::4].double().sum((1, 2, 3))
    assert torch.tensor(eval(run.stdout)) == pytest.approx(here, abs=1e-5 * 3 * 32 * 32)


def test_the_same_picture_at_every_size():
    faces = records("test", range(100))
    small, large = render(faces, 32), render(faces, 64)
    assert (F.avg_pool2d(large, 2) - small).abs().mean() < 0.012
    assert (F.avg_pool2d(render(faces, 256), 8) - small).abs().mean() < 0.015
    assert (render(faces[torch.arange(100).roll(1)]) - small).abs().mean() > 0.3  # the bounds tell pictures apart


@pytest.mark.parametrize("size", [8, 32, 50])
def test_windows_cut_nothing_off(size, monkeypatch):
    faces = records("train", range(2000))
    quick = render(faces, size)
    monkeypatch.setattr(Canvas, "_pixels", lambda self, low, high, axis: slice(None))
    torch.testing.assert_close(render(faces, size), quick, atol=1e-6, rtol=0)


def test_distances_are_those_of_the_shapes():
    line = torch.arange(-200, 201) / 200  # 0 is one of them
    u, v = line[None, None, :], line[None, :, None]
    for shape, area in (
        (lambda u, v: ellipse(u, v, 0.6, 0.3), 3.14159 * 0.6 * 0.3),
        (lambda u, v: box(u, v, 0.6, 0.3, 0.1), 4 * 0.6 * 0.3 - (4 - 3.14159) * 0.01),
    ):
        distance = shape(u, v)
        assert distance.isfinite().all()  # in the middle too
        assert (distance < 0).float().mean() * 4 == pytest.approx(area, rel=0.02)
        slope = torch.stack(torch.gradient(distance[0], spacing=0.005)).norm(dim=0)
        assert slope[distance[0].abs() < 0.03].mean() == pytest.approx(1, abs=0.05)


WHERE = {  # left, top, right, bottom in pixels of 32: where an attribute of a front face without jitter may be seen
    "smile": (12, 21, 20, 27),
    "glasses": (9, 14, 23, 20),
    "hat": (4, 0, 28, 14),
    "hair_color": (5, 6, 27, 32),
    "hair_length": (5, 6, 27, 32),
    "skin": (6, 9, 26, 31),
    "beard": (6, 16, 26, 29),
    "pose": (1, 10, 31, 32),
    "background": (0, 0, 32, 32),
}


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_attribute_changes_what_is_its_own_and_nothing_else(attribute):
    """Seen against all other values of all other attributes, one at a time."""
    still = join([face(**{name: word}) for name, words in ATTRIBUTES.items() for word in words])
    if attribute != "pose":
        still = still[still.pose == 1]
    images = render(every_word(still, attribute)).unflatten(0, (len(still), -1))
    changed = (images - images[:, :1]).abs().amax((1, 2)) > 1e-6  # (faces, 32, 32)
    left, top, right, bottom = WHERE[attribute]
    outside = changed.clone()
    outside[:, top:bottom, left:right] = False
    assert not outside.any()
    rows, columns = changed.any(2).any(0).nonzero(), changed.any(1).any(0).nonzero()
    seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert all(abs(int(pixel) - bound) <= 1 for pixel, bound in zip(seen, WHERE[attribute], strict=True)), seen


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_no_attribute_hides_another(attribute):
    """Whatever the rest of the face, two words of an attribute differ by several pixels' worth of paint."""
    few = records("test", range(400))
    images = render(every_word(few, attribute)).unflatten(0, (len(few), -1))
    for first, second in itertools.combinations(range(images.shape[1]), 2):
        paint = (images[:, first] - images[:, second]).abs().sum((1, 2, 3))
        assert paint.min() > 4, (ATTRIBUTES[attribute][first], ATTRIBUTES[attribute][second])


def color_at(image: Tensor, x: float, y: float) -> Tensor:
    """(3,) in [-1, 1]: the colour at a place in picture coordinates."""
    return image[:, int(y * image.shape[1]), int(x * image.shape[2])]


def named(table: dict[str, tuple[int, int, int]], word: str) -> Tensor:
    return torch.tensor(table[word]) / 127.5 - 1


@pytest.mark.parametrize(
    ("attribute", "table", "places"),
    [
        ("background", BACKGROUND_RGB, [(0.03, 0.03), (0.97, 0.5)]),
        ("skin", SKIN_RGB, [(0.5, 0.4), (0.59, 0.755)]),  # the forehead, and beside the mouth, within the beard
        ("hair_color", HAIR_RGB, [(0.5, 0.28), (0.5, 0.84), (0.44, 0.67)]),  # hair, beard, moustache
    ],
)
def test_colors_are_those_of_the_record(attribute, table, places):
    few = join([face(**{"beard": "full beard", attribute: word}) for word in ATTRIBUTES[attribute]])
    for image, word in zip(render(few, 256), ATTRIBUTES[attribute], strict=True):
        for x, y in places:
            torch.testing.assert_close(color_at(image, x, y), named(table, word))
        if attribute == "hair_color":  # brows are darker
            torch.testing.assert_close(color_at(image, 0.608, 0.44), (named(table, word) + 1) * 0.8 - 1)


def test_hat_and_shirt_have_the_color_of_the_outfit():
    for number, word in enumerate(OUTFITS):
        for hat, height in (("cap", 0.28), ("beanie", 0.28), ("top hat", 0.14)):
            image = render(replace(face(hat=hat), outfit=torch.tensor([number])), 256)[0]
            torch.testing.assert_close(color_at(image, 0.5, height), named(OUTFIT_RGB, word))
            torch.testing.assert_close(color_at(image, 0.35, 0.99), named(OUTFIT_RGB, word))


# Machado, Oliveira and Fernandes, IEEE TVCG 2009: severity 1.0, on linear light
SIGHT = {
    "all": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
XYZ = [[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1094, 0.8729]]  # relative to white


@pytest.mark.parametrize("sight", SIGHT)
def test_colors_can_be_told_apart_by_colour_blind_readers_too(sight):
    for table, least in ((BACKGROUND_RGB, 30), (HAIR_RGB, 25), (SKIN_RGB, 18)):
        light = (torch.tensor(list(table.values())) / 255) ** 2.2 @ torch.tensor(SIGHT[sight], dtype=torch.float32).T
        x, y, z = ((light.clamp(0, 1) @ torch.tensor(XYZ).T) ** (1 / 3)).unbind(1)
        lab = torch.stack([116 * y, 500 * (x - y), 200 * (y - z)], 1)
        assert (torch.cdist(lab, lab) + 1000 * torch.eye(len(lab))).min() > least


def test_a_face_that_turns_left_looks_like_one_that_turns_right_in_a_mirror():
    plain = replace(
        records("train", range(50)),
        jitter=torch.zeros(50, 2, dtype=torch.int64),
        light=torch.zeros(50, dtype=torch.int64),
    )
    plain = replace(plain, glasses=plain.glasses * 0)  # glints and sparks lie on one side
    turned = [render(replace(plain, pose=torch.full((50,), pose))) for pose in (0, 2)]
    difference = (turned[0] - turned[1].flip(3)).abs().amax(1)
    eyes = difference[:, 14:20, 6:26]
    assert eyes.mean() < 0.03
    difference[:, 14:20, 6:26] = 0
    assert difference.max() < 1e-5
    assert (turned[0] - turned[1]).abs().mean() > 0.03


def test_a_face_moves_with_its_jitter():
    still = face()
    moved = render(replace(still, jitter=torch.tensor([[2, -2]])))[:, :, 1:-2, 2:-1]  # a pixel to the right and one up
    torch.testing.assert_close(moved, render(still)[:, :, 2:-1, 1:-2], atol=1e-4, rtol=0)


def test_drawing_is_ready_for_a_gpu():
    faces = records("train", range(5))
    with FakeTensorMode(allow_non_fake_inputs=True):
        there = FaceRecords(
            **{
                name: torch.empty(value.shape, dtype=value.dtype, device="cuda")
                for name, value in faces.as_dict().items()
            }
        )
        images = render(there, 32)
    assert str(images.device) == "cuda:0"
    assert images.dtype == torch.float32


@pytest.mark.gpu
def test_a_gpu_draws_the_same():
    faces = records("train", range(500))
    torch.testing.assert_close(render(faces.to("cuda"), 32).cpu(), render(faces, 32), atol=1e-5, rtol=0)


# Captions


def test_captions_say_all_attributes_and_no_more():
    faces = records("train", range(3000))
    texts = captions(faces)
    for row in range(300):
        words = {name: ATTRIBUTES[name][int(getattr(faces, name)[row])] for name in ATTRIBUTES}
        for name, word in words.items():
            if word != "none" and name != "pose":
                assert re.search(rf"\b{word}\b", texts[row]), (word, texts[row])
        assert ("glasses" in texts[row]) == (words["glasses"] != "none")
        assert ("seen from the front" in texts[row]) == (words["pose"] == "front")
    codes = [tuple(int(getattr(faces, name)[row]) for name in ATTRIBUTES) for row in range(3000)]
    assert len(set(zip(codes, texts, strict=True))) == len(set(codes)) == len(set(texts))


def test_captions_are_sentences():
    assert captions(face()) == [
        "A serious face seen from the front, with light skin and short black hair, on a cream background."
    ]
    wearing = face(smile="smiling", beard="full beard", glasses="sunglasses", hat="cap", pose="left", skin="dark")
    assert captions(wearing) == [
        "A smiling face turned left, with dark skin, short black hair, a full beard, sunglasses and a cap, "
        "on a cream background."
    ]


# The data set


def test_the_data_set_makes_whole_batches():
    data = Faces("test", length=40, fields=FIELDS)
    batch = data[[5, 3, 39]]
    assert batch["image"].shape == (3, 3, 32, 32)
    assert torch.equal(batch["image"], render(records("test", [5, 3, 39])))
    assert batch["caption"] == captions(records("test", [5, 3, 39]))
    single = data[3]
    assert torch.equal(single["image"], batch["image"][1])
    assert single["caption"] == batch["caption"][1]
    assert torch.equal(data[-1]["jitter"], batch["jitter"][2])
    assert torch.equal(data[3:6]["image"][0], single["image"])
    assert torch.equal(Faces("test", length=50)[0:10]["image"], data[0:10]["image"])
    assert not torch.equal(Faces("test", seed=1)[0:10]["image"], data[0:10]["image"])


@pytest.mark.parametrize("workers", [0, 2])
def test_in_a_loader(workers):
    batches = list(loader(Faces("train", length=70), 32, shuffle=False, drop_last=False, num_workers=workers))
    assert [len(batch["image"]) for batch in batches] == [32, 32, 6]
    assert torch.equal(torch.cat([batch["hat"] for batch in batches]), records("train", range(70)).hat)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, "train, validation, test"),
        ({"fields": ("image", "masks")}, "record, image, caption"),
        ({"fields": ()}, "at least one"),
        ({"size": 7}, "at least 8"),
        ({"size": 32.0}, "at least 8"),
        ({"length": 0}, "2\\*\\*40"),
    ],
)
def test_errors_name_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        Faces(**arguments)


def test_what_is_outside_is_refused():
    data = Faces("test", length=10)
    for index in (10, -11):
        with pytest.raises(IndexError, match=r"0 \.\.\. 9"):
            data[index]
    for index in (-1, 2**40):
        with pytest.raises(IndexError, match=r"2\*\*40"):
            records("train", [index])
    with pytest.raises(ValueError, match="train, validation"):
        records("trian", [1])
    with pytest.raises(ValueError, match="at least 8"):
        render(records("train", [1]), 7)


def test_a_table_holds_what_the_batch_holds(tmp_path):
    data = Faces("test", size=16, length=30, fields=FIELDS)
    batch = data[range(30)]
    to_dataset(data).save_to_disk(tmp_path / "faces")
    table = to_dataset(data).load_from_disk(tmp_path / "faces")
    for name in ("smile", "background", "outfit", "jitter"):
        assert table[name][:] == batch[name].tolist()
    assert table["caption"][:] == batch["caption"]
    pixels = torch.stack(list(table.with_format("torch")[:]["image"])).float() / 127.5 - 1
    assert (pixels - batch["image"]).abs().max() <= 1 / 255 + 1e-6
    assert [row["caption"] for row in stream(data, num_shards=4)] == batch["caption"]


def test_nodes_and_workers_share_a_stream_without_duplicate_or_gap():
    data = Faces("train", size=8, length=50, fields=("image", "caption"))
    seen: list[str] = []
    for node in range(2):
        part = split_dataset_by_node(stream(data, num_shards=8), rank=node, world_size=2)
        rows = [
            text
            for batch in DataLoader(part.select_columns(["caption"]), batch_size=4, num_workers=2)
            for text in batch["caption"]
        ]
        assert 20 <= len(rows) <= 30
        seen += rows
    assert len(seen) == 50
    assert sorted(seen) == sorted(data[range(50)]["caption"])


def test_the_code_on_the_card_runs():
    card = (repository() / "data" / "cards" / "faces.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    names: dict = {}
    exec(code, names)
    assert next(iter(names["batches"]))["image"].shape == (128, 3, 32, 32)
    assert len(names["table"]["caption"]) == 100
    assert next(iter(names["examples"]))["smile"] in range(3)
    assert names["picture"].shape == (1, 3, 128, 128)
