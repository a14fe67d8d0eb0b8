"""Scenes as Hugging Face `datasets`."""

import re

import pytest
import torch
from datasets.distributed import split_dataset_by_node
from torch.utils.data import DataLoader

from course_utils.data import stream, to_dataset
from course_utils.data.scenes import Scenes
from course_utils.runtime import repository

FIELDS = ("image", "record", "label_map", "masks", "photo", "caption", "captions", "facts", "questions")


@pytest.fixture(scope="module")
def data() -> Scenes:
    return Scenes("test", size=16, length=30, fields=FIELDS)


def test_a_table_holds_what_the_batch_holds(data, tmp_path):
    batch = data[range(30)]
    to_dataset(data).save_to_disk(tmp_path / "scenes")
    table = to_dataset(data).load_from_disk(tmp_path / "scenes")
    assert len(table) == 30
    assert table.features["captions"].feature.dtype == "string"
    for name in ("shape", "jitter", "background", "texture", "label_map"):
        assert table[name][:] == batch[name].tolist()
    for name in ("caption", "captions", "facts", "questions"):
        assert table[name][:] == batch[name]
    seen = table.with_format("torch")[:5]
    for name in ("image", "photo"):
        pixels = torch.stack(list(seen[name])).float() / 127.5 - 1
        assert (pixels - batch[name][:5]).abs().max() <= 1 / 255 + 1e-6
    torch.testing.assert_close(torch.stack(list(seen["masks"])).float(), batch["masks"][:5])


def test_a_stream_holds_what_the_table_holds(data):
    assert [row["questions"] for row in stream(data, num_shards=4)] == to_dataset(data)["questions"][:]


def test_nodes_and_workers_share_a_stream_without_duplicate_or_gap():
    data = Scenes("train", size=8, length=50, fields=("image", "record"))
    texture = set(data[range(50)]["texture"].tolist())
    seen: list[int] = []
    for node in range(2):
        part = split_dataset_by_node(stream(data, num_shards=8).with_format("torch"), rank=node, world_size=2)
        rows = [int(row) for batch in DataLoader(part, batch_size=4, num_workers=2) for row in batch["texture"]]
        assert 20 <= len(rows) <= 30
        seen += rows
    assert len(seen) == 50
    assert set(seen) == texture


def test_the_code_on_the_card_runs():
    card = (repository() / "data" / "cards" / "scenes.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    names: dict = {}
    exec(code, names)
    assert next(iter(names["batches"]))["image"].shape == (128, 3, 32, 32)
    assert set(names["pairs"][0]) == {"edges", "photo"}
    assert len(names["table"]["captions"][0]) == 6
    assert next(iter(names["examples"]))["shape"]
    assert names["picture"].shape == (1, 3, 128, 128)
