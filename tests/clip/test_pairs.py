"""Streamed pairs: every pair once, shared among processes, as a CLIP is trained with."""

from pathlib import Path

import datasets
import pytest
import torch

from course_utils.clip import CLIP, pairs, recipes
from course_utils.clip.pairs import streamed_pairs
from course_utils.data import Scenes, to_dataset
from course_utils.training import fit

COUNT, SHARDS = 12, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Twelve scenes with their captions in four files, in the hub's layout."""
    where = tmp_path_factory.mktemp("pairs")
    table = to_dataset(Scenes("test", 32, length=COUNT, fields=("image", "captions")))
    for shard in range(SHARDS):
        table.shard(SHARDS, shard).to_parquet(where / f"train-{shard:05}-of-{SHARDS:05}.parquet")
    return where


def seen(loader) -> list[int]:
    """Which scenes came, found again by their pixels."""
    images = Scenes("test", 32, length=COUNT)[range(COUNT)]["image"]
    batches = list(loader)
    got = torch.cat([batch["image"] for batch in batches])
    assert got.shape[1:] == (3, 32, 32)
    distances = (got[:, None] - images).abs().amax(dim=(2, 3, 4))
    assert distances.amin(dim=1).max() < 0.01, "8 bits a channel, the same square"
    ids = recipes.scene_ids(
        [few[0] for few in Scenes("test", 32, length=COUNT, fields=("captions",))[range(COUNT)]["captions"]]
    )
    found = distances.argmin(dim=1)
    assert torch.cat([batch["input_ids"] for batch in batches])[:, 0].equal(ids[found]), "each with its own text"
    return found.tolist()


def test_every_pair_comes_once_in_an_order_that_the_seed_draws(folder):
    order = [seen(streamed_pairs(str(folder), recipes.scene_ids, 32, 4, seed=seed)) for seed in (0, 1, 0)]
    assert sorted(order[0]) == list(range(COUNT))
    assert order[0] == order[2] != order[1]


def test_processes_share_the_pairs(folder, monkeypatch):
    monkeypatch.setattr(pairs, "in_a_group", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        parts.append(seen(streamed_pairs(str(folder), recipes.scene_ids, 32, 3)))
    assert sorted(parts[0] + parts[1]) == list(range(COUNT)) and len(parts[0]) == COUNT // 2


def test_a_clip_learns_from_them(folder):
    model = CLIP(recipes.SCENES_CLIP)
    history = fit(
        recipes.caption_player(model), streamed_pairs(str(folder), recipes.scene_ids, 32, 4), 3, progress=False
    )
    assert history.steps == 3


def test_what_is_missing_is_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no-such-set is neither on this machine nor"):
        streamed_pairs("no-such-set", recipes.scene_ids, 32, 4)
    with pytest.raises(
        ValueError,
        match="called 'title' in the data set .*; pictures: image; texts: captions; all columns: image, captions",
    ):
        streamed_pairs(str(folder), recipes.scene_ids, 32, 4, text_column="title")
    datasets.Dataset.from_dict({"number": [1, 2]}).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(ValueError, match="pictures: none; texts: none; all columns: number"):
        streamed_pairs(str(tmp_path), recipes.scene_ids, 32, 4)
