import dataclasses
import errno
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch

from course_utils.data import loader, real, to_dataset

ATTRIBUTES = ["Smiling", "Young", "Eyeglasses"]


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache; pytest compares its content after a failure with nothing."""
    monkeypatch.setattr(real, "cache_folder", lambda *parts: Path(tmp_path, "cache", *parts))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return tmp_path / "cache" / "real"


def pictures(count: int, size: tuple[int, ...], seed: int) -> list:
    from PIL import Image

    bytes_ = numpy.random.default_rng(seed).integers(0, 256, (count, *size), dtype=numpy.uint8)
    return [Image.fromarray(picture) for picture in bytes_]


@pytest.fixture
def hub(cache, monkeypatch, tmp_path):
    """A folder that stands for the hub: small data sets with the columns and splits of the real ones."""
    import datasets
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *arguments, **options: None)
    columns = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=list("0123456789")))
    folder = tmp_path / "mnist"
    folder.mkdir()
    for split, count in (("train", 60), ("test", 12)):
        rows = {"image": pictures(count, (28, 28), count), "label": [i % 10 for i in range(count)]}
        datasets.Dataset.from_dict(rows, features=columns).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    faces = tmp_path / "celeba"
    faces.mkdir()
    for split in ("train", "validation", "test"):
        rows = {"image": pictures(6, (26, 18, 3), 1), "prompt_string": ["a face"] * 6}
        rows |= {name: [[-1, 1][i // (k + 1) % 2] for i in range(6)] for k, name in enumerate(ATTRIBUTES)}
        kinds = {"image": datasets.Image(), "prompt_string": datasets.Value("string")}
        kinds |= dict.fromkeys(ATTRIBUTES, datasets.Value("int64"))
        table = datasets.Dataset.from_dict(rows, features=datasets.Features(kinds))
        table.to_parquet(faces / f"{split}-00000-of-00001.parquet")
    for name in ("mnist", "celeba"):
        local = dataclasses.replace(real.SOURCES[name], repository=str(tmp_path / name))
        monkeypatch.setitem(real.SOURCES, name, local)
    return tmp_path


def test_pictures_and_labels_of_the_table_come_out(hub, cache):
    test = real.load("mnist", "test")
    assert len(test) == 12
    batch = test.__getitems__([0, 11])
    assert batch["image"].shape == (2, 1, 28, 28)
    assert batch["image"].dtype == torch.float32
    assert batch["label"].tolist() == [0, 1]
    expected = numpy.array(pictures(12, (28, 28), 12)[11]) / 127.5 - 1
    assert numpy.abs(batch["image"][1, 0].numpy() - expected).max() < 1e-6
    assert torch.equal(test[11]["image"], batch["image"][1])
    assert test.class_names == tuple("0123456789")
    with pytest.raises(IndexError, match="12 pictures"):
        test[12]


def test_training_pictures_are_parted_into_train_and_validation(hub):
    train, validation = real.load("mnist", "train"), real.load("mnist", "validation")
    assert len(train) + len(validation) == 60
    assert 0 < len(validation) < 15
    both = [data[index]["image"].numpy().tobytes() for data in (train, validation) for index in range(len(data))]
    assert len(set(both)) == 60


def test_another_size_and_the_central_square(hub):
    assert real.load("mnist", "test", size=32)[0]["image"].shape == (1, 32, 32)
    face = real.load("celeba", "validation", size=18)[0]
    expected = torch.from_numpy(numpy.array(pictures(6, (26, 18, 3), 1)[0])[4:22]).permute(2, 0, 1) / 127.5 - 1
    assert (face["image"] - expected).abs().max() < 1e-5
    large = real.load("celeba", "test")[0]["image"]
    assert large.shape == (3, 64, 64)
    assert large.min() >= -1
    assert large.max() <= 1


def test_attributes_are_zero_or_one(hub):
    faces = real.load("celeba", "train")
    assert faces.attributes == tuple(ATTRIBUTES)
    assert faces.__getitems__([0, 1, 2])["attributes"].tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert to_dataset(faces)[1]["attributes"] == [1, 0, 0]


def test_the_same_protocol_as_the_worlds(hub):
    batch = next(iter(loader(real.load("mnist"), 8)))
    assert batch["image"].shape == (8, 1, 28, 28)
    assert to_dataset(real.load("mnist", "test"))[3]["label"] == 3


def test_the_second_load_needs_no_network(hub, monkeypatch):
    real.load("mnist", "test")
    monkeypatch.setattr(real, "_fetch", lambda *arguments: pytest.fail("downloaded again"))
    assert len(real.load("mnist", "test")) == 12


def left(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir() if path.suffix != ".lock"}


def test_a_failure_in_the_middle_leaves_nothing_and_the_next_attempt_works(hub, cache):
    broken = hub / "mnist" / "test-00000-of-00001.parquet"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(real.DataUnavailable, match="mnist"):
        real.load("mnist", "train")  # that split itself was written before the failure
    assert left(cache) == set()
    broken.write_bytes(whole)
    assert len(real.load("mnist", "test")) == 12
    assert left(cache) == {"mnist"}


def test_a_lost_connection_leaves_nothing(hub, cache, monkeypatch):
    def lost(source: real.Source, unfinished: Path) -> None:
        (unfinished / "table").mkdir(parents=True)
        (unfinished / "table" / "mnist-train.arrow").write_bytes(b"half")
        raise TimeoutError("the read operation timed out")

    monkeypatch.setattr(real, "_fetch", lost)
    with pytest.raises(real.DataUnavailable, match="TimeoutError: the read operation timed out"):
        real.load("mnist")
    assert left(cache) == set()


def test_what_a_killed_process_left_is_cleared_away(hub, cache):
    (cache / "mnist.part" / "table").mkdir(parents=True)
    (cache / "mnist.part" / "table" / "mnist-train.arrow").write_bytes(b"half")
    (cache / "mnist.part" / "table" / "dataset_info.json").write_text("{}")
    assert len(real.load("mnist", "test")) == 12
    assert left(cache) == {"mnist"}


def test_a_full_disk_is_called_that(cache, monkeypatch):
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(real, "_fetch", full)
    with pytest.raises(real.DataUnavailable, match="the disk is full"):
        real.load("celeba")


def test_without_a_network_the_error_says_all_that_helps(cache, monkeypatch):
    import huggingface_hub

    def unreachable(*arguments: object, **options: object) -> None:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", unreachable)
    for name, (size, substitute) in {
        "mnist": ("18 MB", "Digits"), "fashion_mnist": ("31 MB", "Glyphs"),
        "cifar10": ("144 MB", "Scenes"), "celeba": ("1,424 MB", "Faces"),
    }.items():  # fmt: skip
        with pytest.raises(real.DataUnavailable) as caught:
            real.load(name)
        message = str(caught.value)
        for part in (name, size, f"python -m course_utils.data.real {name}", substitute, "Name or service not known"):
            assert part in message
        assert isinstance(caught.value, ConnectionError)
    assert left(cache) == set()


def test_the_command_fails_with_the_same_words(tmp_path):
    """In a process of its own, with the hub's library told that there is no network."""
    import os

    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "COURSE_DATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "course_utils.data.real", "mnist"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 1
    assert "With a network, run: python -m course_utils.data.real mnist" in done.stderr
    assert "Traceback" not in done.stderr
    assert left(tmp_path / "cache" / "real") == set()


def test_unknown_names_get_the_nearest_match(cache):
    with pytest.raises(ValueError, match=r"'Fashion-MNST'; did you mean 'fashion_mnist'\?"):
        real.load("Fashion-MNST")
    with pytest.raises(ValueError, match="Available: mnist, fashion_mnist, cifar10, celeba"):
        real.load("zzz")
    with pytest.raises(ValueError, match="'dev'.*train, validation, test"):
        real.load("mnist", "dev")
    with pytest.raises(ValueError, match="size is 0"):
        real.load("mnist", "test", size=0)


def test_a_folder_that_lost_a_file_is_reported(hub, cache):
    real.load("mnist", "test")
    next((cache / "mnist").glob("*test*.arrow")).unlink()
    with pytest.raises(FileNotFoundError, match="delete that folder"):
        real.load("mnist", "test")
