"""Galleries from folders and data sets, and indexes of them: what is found, saved, loaded and refused."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from course_utils import layers, runtime
from course_utils.clip import CLIP, CLIPConfig
from course_utils.clip.gallery import (
    KINDS,
    Index,
    dataset_gallery,
    embed_gallery,
    embed_images,
    folder_gallery,
    table_gallery,
)
from course_utils.clip.retrieval import search
from course_utils.data import Scenes, to_dataset
from course_utils.data.exposure import picture
from course_utils.training import CheckpointError

SCENES = Scenes("test", size=16, fields="image")[:5]["image"]


def vectors(count: int, seed: int = 0, dim: int = 16) -> torch.Tensor:
    return F.normalize(layers.draw_normal((count, dim), runtime.generator(seed)), dim=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five pictures, one of them in a folder inside, and a text."""
    (tmp_path / "more").mkdir()
    for number, image in enumerate(SCENES):
        picture(image).save(tmp_path / ("more" if number == 4 else "") / f"{number}.PNG", format="PNG")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def clip() -> CLIP:
    torch.manual_seed(0)
    return CLIP(CLIPConfig(3, 16, 0, 8, 0, 4, 0, 11, 8, 16, 1, 2, 24, 10, 12, image_blocks=(1, 1))).eval()


def test_a_folder_is_a_gallery(folder):
    gallery = folder_gallery(folder)
    assert [str(Path(name).relative_to(folder)) for name in gallery.names] == [
        "0.PNG",
        "1.PNG",
        "2.PNG",
        "3.PNG",
        "more/4.PNG",
    ]
    images = gallery.images(range(5), 16)
    torch.testing.assert_close(images, SCENES, rtol=0, atol=0.01)
    assert gallery.images([1], 16, channels=1).shape == (1, 1, 16, 16)
    wide = Image.new("RGB", (40, 16), "white")
    wide.paste(picture(SCENES[0]), (12, 0))
    wide.save(folder / "0.PNG")
    torch.testing.assert_close(folder_gallery(folder).images([0], 16), SCENES[:1], rtol=0, atol=0.01)


def test_a_data_set_is_a_gallery(folder):
    gallery = dataset_gallery(str(folder))
    assert len(gallery) == 5 and gallery.names[1] == f"{folder}[1]"
    torch.testing.assert_close(gallery.images([0, 4], 16), SCENES[[0, 4]], rtol=0, atol=0.01)
    table = to_dataset(Scenes("test", size=16, fields="image"), indices=range(5))
    torch.testing.assert_close(table_gallery(table, "scenes").images(range(5), 16), SCENES, rtol=0, atol=0.01)


def test_vectors_of_a_gallery_are_those_of_its_pictures(folder, monkeypatch):
    monkeypatch.setattr("course_utils.clip.clip.BATCH", 2)
    model, gallery = clip(), folder_gallery(folder)
    with torch.inference_mode():
        expected = model.encode_image(gallery.images(range(5), 16))
    torch.testing.assert_close(embed_gallery(model, gallery), expected)
    torch.testing.assert_close(embed_images(model, lambda part: SCENES[list(part)], 3), model.encode_image(SCENES[:3]))


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_an_index_finds_the_same(tmp_path, kind):
    gallery, queries = vectors(600), vectors(600)[:20]
    names = [f"{number}.png" for number in range(600)]
    index = Index.build(gallery, names, "clip-scenes", kind)
    found = index.search(queries, 5)
    assert found.indices.shape == (20, 5) and found.indices.dtype == torch.int64
    assert (found.indices[:, 0] == torch.arange(20)).double().mean() > 0.9, "a picture finds itself"
    index.save(tmp_path / "new" / "index")
    loaded = Index.load(tmp_path / "new" / "index", "clip-scenes")
    again = loaded.search(queries, 5)
    assert again.indices.equal(found.indices) and again.scores.equal(found.scores)
    assert loaded.names == tuple(names) and (loaded.model, loaded.kind) == ("clip-scenes", kind)


def test_exact_is_the_matrix_product_and_effort_comes_near_it():
    gallery, queries = vectors(2000), vectors(50, seed=1)
    names, true = list(map(str, range(2000))), search(queries, gallery, 10)
    exact = Index.build(gallery, names, "model").search(queries, 10)
    assert exact.indices.equal(true.indices)
    torch.testing.assert_close(exact.scores, true.scores)
    for kind in ("ivf", "hnsw", "ivf_pq"):
        index = Index.build(gallery, names, "model", kind)
        shares = [
            (index.search(queries, 10, effort).indices[:, :, None] == true.indices[:, None]).any(1).double().mean()
            for effort in (1, 400 if kind == "hnsw" else 51)
        ]
        assert shares[0] < shares[1], kind
        assert kind == "ivf_pq" or shares[1] > 0.99


def test_what_is_not_found_is_minus_one():
    index = Index.build(vectors(100), list(map(str, range(100))), "model", "ivf")
    found = index.search(vectors(1), 100)
    assert (found.indices == -1).any()
    assert found.scores[found.indices == -1].isneginf().all()


def test_a_folder_that_is_not_there_and_one_without_pictures_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere"):
        folder_gallery(tmp_path / "nowhere")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"no picture in .*\.png"):
        folder_gallery(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no picture", "half"])
def test_a_broken_picture_is_named(folder, content):
    whole = (folder / "2.PNG").read_bytes()
    (folder / "2.PNG").write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(ValueError, match=r"2\.PNG is no picture that can be read"):
        embed_gallery(clip(), folder_gallery(folder))


def test_a_data_set_that_cannot_be_had_or_holds_no_pictures_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither on this machine nor"):
        dataset_gallery(str(tmp_path / "nowhere"))
    table = to_dataset(Scenes("test", fields=("caption",)), indices=range(2))
    with pytest.raises(ValueError, match="no column of pictures; its columns: caption"):
        table_gallery(table, "texts")


def test_an_index_of_another_model_or_a_damaged_one_is_refused(tmp_path):
    index = Index.build(vectors(10), list("abcdefghij"), "clip-scenes")
    index.save(tmp_path)
    with pytest.raises(CheckpointError, match="vectors of clip-scenes; those of clip-glyphs lie in another space"):
        Index.load(tmp_path, "clip-glyphs")
    with pytest.raises(ValueError, match=r"\(queries, 16\), as the gallery has, got \(2, 8\)"):
        index.search(vectors(2, dim=8), 1)
    told = (tmp_path / "index.json").read_text()
    for damaged in ("{", json.dumps(json.loads(told) | {"checksum": 1}), "[]"):
        (tmp_path / "index.json").write_text(damaged)
        with pytest.raises(CheckpointError, match="is damaged"):
            Index.load(tmp_path, "clip-scenes")
    with pytest.raises(CheckpointError, match="there is no index"):
        Index.load(tmp_path / "nowhere", "clip-scenes")


def test_what_cannot_be_built_or_searched_is_refused():
    names = list("abcdefghij")
    with pytest.raises(ValueError, match="no kind of index 'flat'; choose one of exact"):
        Index.build(vectors(10), names, "model", "flat")
    with pytest.raises(ValueError, match=r"one for each of 10 names, got \(9, 16\)"):
        Index.build(vectors(9), names, "model")
    with pytest.raises(ValueError, match="at least 256 vectors"):
        Index.build(vectors(10), names, "model", "pq")
    index = Index.build(vectors(10), names, "model")
    with pytest.raises(ValueError, match="k is 11, but must lie between 1 and the size of the gallery, 10"):
        index.search(vectors(1), 11)
    with pytest.raises(ValueError, match="always does the same"):
        index.search(vectors(1), 1, effort=3)
