import numpy
import pytest
import torch
from sklearn.datasets import load_digits

from course_utils.data import Digits, loader, stream, to_dataset
from course_utils.data.digits import SPLITS


def test_the_splits_hold_each_real_digit_exactly_once():
    real = load_digits()
    splits = [Digits(split, size=8) for split in SPLITS]
    assert [len(split) for split in splits] == [1439, 179, 179]
    images = torch.cat([split.images for split in splits])[:, 0]
    ours = ((images + 1) * 8).round().long().flatten(1)
    together = torch.cat([ours, torch.cat([split.labels for split in splits])[:, None]], dim=1)
    theirs = torch.from_numpy(numpy.column_stack([real.images.reshape(1797, 64), real.target])).long()
    assert sorted(together.tolist()) == sorted(theirs.tolist())


@pytest.mark.parametrize("split", SPLITS)
def test_each_split_has_the_same_share_of_each_class(split):
    counts = Digits(split).labels.bincount(minlength=10)
    assert len(counts) == 10
    share = counts / torch.from_numpy(load_digits().target).bincount()
    assert (share - (0.8 if split == "train" else 0.1)).abs().max() < 0.005


def test_no_picture_of_test_or_validation_is_in_train():
    seen = {tuple(row) for row in Digits("train", size=8).images.flatten(1).tolist()}
    for split in ("validation", "test"):
        assert not seen & {tuple(row) for row in Digits(split, size=8).images.flatten(1).tolist()}


@pytest.mark.parametrize("size", [8, 16, 28, 32])
def test_pictures(size):
    batch = Digits("test", size=size).__getitems__([0, 5, 9])
    assert batch["image"].shape == (3, 1, size, size)
    assert batch["image"].dtype == torch.float32
    assert batch["label"].dtype == torch.int64
    assert batch["image"].min() >= -1
    assert batch["image"].max() <= 1
    assert batch["image"].max() > 0.9
    # the border is background
    assert batch["image"][:, :, :, 0].mean() < -0.9


def test_enlarging_keeps_the_picture():
    small, large = Digits("test", size=8).images, Digits("test", size=32).images
    assert (torch.nn.functional.avg_pool2d(large, 4) - small).abs().mean() < 0.1


def test_one_example_equals_its_place_in_a_batch_and_iteration_ends():
    digits = Digits("test")
    batch = digits.__getitems__([3, 178])
    assert torch.equal(digits[178]["image"], batch["image"][1])
    assert digits[-1]["label"] == batch["label"][1]
    assert len(list(digits)) == 179


def test_a_batch_is_a_copy():
    digits = Digits("test")
    digits.__getitems__([0])["image"].zero_()
    assert not (digits[0]["image"] == 0).all()


def test_errors_name_what_was_expected():
    with pytest.raises(ValueError, match="'dev'.*train, validation, test"):
        Digits("dev")
    with pytest.raises(ValueError, match="at least 8"):
        Digits(size=4)
    with pytest.raises(IndexError, match="179"):
        Digits("test")[179]


def test_a_table_of_datasets_holds_the_same():
    digits = Digits("test")
    table = to_dataset(digits, indices=range(20))
    assert len(table) == 20
    assert table.features["label"].names == [str(label) for label in range(10)]
    row = table[7]
    assert row["label"] == digits[7]["label"]
    assert row["image"].mode == "L"
    pixels = torch.from_numpy(numpy.array(row["image"])).float() / 127.5 - 1
    assert (pixels - digits[7]["image"][0]).abs().max() < 1 / 127


def test_a_stream_is_shared_by_nodes_and_workers_without_duplicate_or_gap():
    from datasets.distributed import split_dataset_by_node
    from torch.utils.data import DataLoader

    labels = Digits("test").labels.tolist()
    whole = stream(Digits("test"), num_shards=4)
    assert [row["label"] for row in whole] == labels
    parts = []
    for node in range(2):
        own = split_dataset_by_node(whole, rank=node, world_size=2).with_format("torch")
        parts += [batch["label"].item() for batch in DataLoader(own, batch_size=1, num_workers=2)]
    assert sorted(parts) == sorted(labels)
    assert len(parts) == 179


def test_a_stream_needs_a_shard():
    with pytest.raises(ValueError, match="num_shards is 0"):
        stream(Digits("test"), num_shards=0)


def test_in_a_loader():
    batches = list(loader(Digits("train"), 128))
    assert len(batches) == 11
    assert batches[0]["image"].shape == (128, 1, 32, 32)
