"""The data sets of pix2pix and CycleGAN, as small archives that a server on this machine hands out."""

import dataclasses
import errno
import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from course_utils.data import archives, loader, real, to_dataset
from course_utils.training import fit
from course_utils.translation.cyclegan import CycleGAN, CycleGANConfig, cyclegan_players
from course_utils.translation.pix2pix import Pix2Pix, Pix2PixConfig, pix2pix_players

SPLITS = {
    "facades": {"train": 4, "val": 2, "test": 3},
    "maps": {"train": 30, "val": 5},
    "edges2shoes": {"train": 30, "val": 2},
}
COLLECTIONS = {"trainA": 20, "trainB": 30, "testA": 2, "testB": 3}
LEFT, RIGHT = 0.25, 0.75  # grey of the halves; the number of the file comes on top, in steps of 1/255


class Server(ThreadingHTTPServer):
    """Hands out `files`; breaks the next `breaks` answers off in the middle."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.breaks = 0
        self.resumes = True
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        whole = self.server.files.get(self.path.removeprefix("/"))
        asked = self.headers["Range"]
        self.server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.resumes else 0
        if whole is None or (start and start >= len(whole)):
            self.send_error(404 if whole is None else 416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(whole) - start))
        self.end_headers()
        piece = whole[start:]
        if self.server.breaks:
            self.server.breaks -= 1
            piece = piece[: len(piece) // 2]
        self.wfile.write(piece)

    def log_message(self, *_: object) -> None:
        """Keep the output of the tests clean."""


def jpeg(*greys: float, number: int = 0, size: int = 16) -> bytes:
    """Halves of one grey each, side by side."""
    pixels = [numpy.full((size, size, 3), round(grey * 255) + number, numpy.uint8) for grey in greys]
    file = io.BytesIO()
    Image.fromarray(numpy.concatenate(pixels, axis=1)).save(file, "jpeg", quality=95)
    return file.getvalue()


def tar(name: str, splits: dict[str, int]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for split, count in splits.items():
            for number in range(1, count + 1):
                content = jpeg(LEFT, RIGHT, number=number)
                entry = tarfile.TarInfo(f"{name}/{split}/{number}.jpg")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def zipped(name: str, collections: dict[str, int]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for collection, count in collections.items():
            for number in range(1, count + 1):
                content = jpeg(LEFT if collection.endswith("A") else RIGHT, number=number)
                archive.writestr(f"{name}/{collection}/n0_{number}.jpg", content)
    return file.getvalue()


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(real, "cache_folder", lambda *parts: Path(tmp_path, "cache", *parts))
    return tmp_path / "cache"


@pytest.fixture
def server(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with all four archives, in the place of the authors' own."""
    with Server() as serving:
        serving.files = {f"{name}.tar.gz": tar(name, splits) for name, splits in SPLITS.items()}
        serving.files["horse2zebra.zip"] = zipped("horse2zebra", COLLECTIONS)
        for name in (*SPLITS, "horse2zebra"):
            source = real.SOURCES[name]
            local = dataclasses.replace(source, url=f"{serving.url}/{source.url.rsplit('/', 1)[1]}")
            monkeypatch.setitem(real.SOURCES, name, local)
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


def numbers(images: torch.Tensor, grey: float) -> list[int]:
    """The numbers of the files that one-grey pictures were made of."""
    return [round(value) - round(grey * 255) for value in ((images.mean((1, 2, 3)) + 1) * 127.5).tolist()]


def left(cache: Path) -> set[str]:
    """What lies in the cache but for locks, and the number of bytes that a download has brought."""
    return {str(path.relative_to(cache)) for path in cache.glob("*/*") if path.suffix != ".lock"}


@pytest.mark.parametrize("name", SPLITS)
def test_the_drawing_is_the_input_and_the_photograph_the_image(name: str, server: Server) -> None:
    """The photograph is on the left in facades and maps, on the right in edges2shoes."""
    data = real.load_pairs(name, "test", size=8)
    batch = data.__getitems__(range(len(data)))
    assert list(batch) == ["input", "image"]
    greys = (LEFT, RIGHT) if name == "edges2shoes" else (RIGHT, LEFT)
    count = SPLITS[name]["test" if name == "facades" else "val"]
    for images, grey in zip(batch.values(), greys, strict=True):
        assert images.shape == (count, 3, 8, 8)
        assert images.dtype == torch.float32
        assert sorted(numbers(images, grey)) == list(range(1, count + 1))
    assert numbers(batch["input"], greys[0]) == numbers(batch["image"], greys[1])


def test_facades_has_three_splits_and_the_others_keep_a_part_of_training_for_validation(server: Server) -> None:
    assert [len(real.load_pairs("facades", split)) for split in real.SPLITS] == [4, 2, 3]
    train, validation = (real.load_pairs("maps", split, size=2) for split in ("train", "validation"))
    assert 0 < len(validation) < 10
    both = [numbers(data.__getitems__(range(len(data)))["image"], LEFT) for data in (train, validation)]
    assert sorted(both[0] + both[1]) == list(range(1, 31))


def test_two_collections_of_their_own_lengths(server: Server) -> None:
    data = real.load_unpaired("horse2zebra", "test", size=4)
    assert len(data) == 3
    batch = data.__getitems__([0, 1, 2])
    assert numbers(batch["x"], LEFT) == [1, 2, 1]
    assert numbers(batch["y"], RIGHT) == [1, 2, 3]
    parts = [real.load_unpaired("horse2zebra", split, size=4) for split in ("train", "validation")]
    for field, grey, count in (("x", LEFT, 20), ("y", RIGHT, 30)):
        seen = [set(numbers(part.__getitems__(range(len(part)))[field], grey)) for part in parts]
        assert seen[0] | seen[1] == set(range(1, count + 1))
        assert not seen[0] & seen[1]


def test_pairs_can_be_torn_apart(server: Server) -> None:
    data = real.load_unpaired("maps", size=4)
    batch = data.__getitems__(range(len(data)))
    x, y = numbers(batch["x"], RIGHT), numbers(batch["y"], LEFT)
    assert set(x) == set(y)
    assert all(a != b for a, b in zip(x, y, strict=True))


def test_the_size_is_that_of_the_papers_unless_another_is_asked_for(server: Server) -> None:
    assert real.load_pairs("facades")[0]["image"].shape == (3, 256, 256)
    with pytest.raises(IndexError, match="4 pictures"):
        real.load_pairs("facades")[4]


def test_the_central_square_of_a_half(server: Server, cache: Path) -> None:
    real.load_pairs("facades")
    pixels = numpy.zeros((4, 12, 3), numpy.uint8)  # two halves of 4 x 6
    pixels[:, 7:11] = 255
    Image.fromarray(pixels).save(cache / "real" / "facades" / "test" / "1.jpg", quality=100, subsampling=0)
    pair = real.load_pairs("facades", "test", size=4)[0]
    assert (pair["input"] > 0.97).all()
    assert (pair["image"] < -0.97).all()


def test_grey_files_have_three_channels_too(server: Server, cache: Path) -> None:
    real.load_unpaired("horse2zebra")
    Image.new("L", (8, 8), 255).save(cache / "real" / "horse2zebra" / "testA" / "n0_1.jpg")
    assert torch.equal(real.load_unpaired("horse2zebra", "test", size=4)[0]["x"], torch.ones(3, 4, 4))


def test_the_same_protocol_as_the_worlds(server: Server) -> None:
    batch = next(iter(loader(real.load_pairs("maps", size=16), 8)))
    assert batch["input"].shape == batch["image"].shape == (8, 3, 16, 16)
    table = to_dataset(real.load_unpaired("horse2zebra", "test", size=4))
    assert table.column_names == ["x", "y"]


def test_batches_go_straight_into_both_trainings(server: Server) -> None:
    model = Pix2Pix(Pix2PixConfig(image_size=16, depth=3, width=4, dropout=(0,), patch_layers=1))
    history = fit(pix2pix_players(model, "input", "image"), loader(real.load_pairs("facades", size=16), 2), 2)
    assert len(history["generator/loss"]) == 2
    both_ways = CycleGAN(CycleGANConfig(image_size=16, width=4, blocks=1, patch_layers=1))
    history = fit(cyclegan_players(both_ways), loader(real.load_unpaired("horse2zebra", size=16), 2), 2)
    assert len(history["generators/loss"]) == 2


def test_what_is_in_the_cache_needs_no_network_and_no_archive(server: Server, cache: Path) -> None:
    real.load_pairs("facades")
    real.load_pairs("facades", "test")
    real.load_unpaired("facades", "validation")
    assert len(server.asked) == 1
    assert left(cache) == {"real/facades"}


def test_a_broken_connection_leaves_nothing_and_the_next_attempt_goes_on_from_there(
    server: Server, cache: Path
) -> None:
    server.breaks = 1
    whole = len(server.files["maps.tar.gz"])
    with pytest.raises(real.DataUnavailable, match=f"broke off after {whole // 2:,} of {whole:,} bytes"):
        real.load_pairs("maps")
    assert left(cache) == {"downloads/maps.tar.gz.part"}
    assert len(real.load_pairs("maps", "test")) == 5
    assert server.asked == [None, f"bytes={whole // 2}-"]
    assert left(cache) == {"real/maps"}


def test_a_server_that_cannot_resume_sends_all_again(server: Server, cache: Path) -> None:
    server.breaks, server.resumes = 1, False
    with pytest.raises(real.DataUnavailable):
        real.load_pairs("maps")
    assert len(real.load_pairs("maps", "test")) == 5


@pytest.mark.parametrize("surplus", [b"", b"of another file"])
def test_a_part_that_is_no_beginning_is_thrown_away(surplus: bytes, server: Server, cache: Path) -> None:
    part = cache / "downloads" / "maps.tar.gz.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(server.files["maps.tar.gz"] + surplus)
    assert len(real.load_pairs("maps", "test")) == 5
    assert server.asked[-1] is None


@pytest.mark.parametrize("name", ["maps.tar.gz", "horse2zebra.zip"])
def test_a_damaged_archive_is_thrown_away(name: str, server: Server, cache: Path) -> None:
    whole = server.files[name]
    server.files[name] = whole[:60] + bytes(len(whole) // 2)
    load = real.load_pairs if name.startswith("maps") else real.load_unpaired
    with pytest.raises(real.DataUnavailable, match=name.split(".")[0]):
        load(name.split(".")[0])
    assert left(cache) == set()
    server.files[name] = whole
    assert len(load(name.split(".")[0], "test")) > 0


def test_an_archive_of_something_else_is_thrown_away(server: Server, cache: Path) -> None:
    server.files["maps.tar.gz"] = tar("facades", {"train": 1})
    with pytest.raises(real.DataUnavailable, match="maps"):
        real.load_pairs("maps")
    assert left(cache) == set()


def test_nothing_is_written_outside_of_the_folder(tmp_path: Path) -> None:
    archive = tmp_path / "bad.tar.gz"
    archive.write_bytes(tar("..", {"outside": 1}))
    with pytest.raises(tarfile.TarError):
        archives.unpack(archive, tmp_path / "folder")
    assert not (tmp_path / "outside").exists()


def test_a_full_disk_keeps_the_archive(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(archives, "unpack", full)
        with pytest.raises(real.DataUnavailable, match="the disk is full"):
            real.load_pairs("maps")
    assert left(cache) == {"downloads/maps.tar.gz"}
    assert len(real.load_pairs("maps", "test")) == 5
    assert len(server.asked) == 1


def test_without_a_network_the_error_says_all_that_helps(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"facades": "30 MB", "maps": "250 MB", "edges2shoes": "2,150 MB", "horse2zebra": "117 MB"}
    substitutes = {"facades": "labels", "maps": "plan", "edges2shoes": "edges", "horse2zebra": "Unpaired"}
    for name, size in sizes.items():
        closed = dataclasses.replace(
            real.SOURCES[name], url=f"http://127.0.0.1:1/{name}.tar.gz"
        )  # nobody listens there
        monkeypatch.setitem(real.SOURCES, name, closed)
        with pytest.raises(real.DataUnavailable) as caught:
            real.load_unpaired(name)
        for part in (name, size, closed.url, f"python -m course_utils.data.real {name}", substitutes[name], "refused"):
            assert part in str(caught.value)
    assert left(cache) == set()


def test_a_file_that_is_gone_from_the_server(server: Server, cache: Path) -> None:
    del server.files["maps.tar.gz"]
    with pytest.raises(real.DataUnavailable, match="404"):
        real.load_pairs("maps")
    assert left(cache) == set()


@pytest.mark.parametrize("name", ["facades", "maps", "edges2shoes", "horse2zebra"])
def test_the_substitutes_exist(name: str) -> None:
    names = {"split": "train"}
    exec("from course_utils.data import Scenes\nfrom course_utils.translation.recipes import Unpaired", names)
    batch = eval(real.SOURCES[name].substitute, names).__getitems__([0, 1])
    assert [images.shape[:2] for images in batch.values()] == [(2, 3), (2, 3)]
    assert re.match("Unpaired|Scenes", real.SOURCES[name].substitute)[0] in dir(
        __import__(real.SOURCES[name].home, fromlist=["x"])
    )


def test_each_name_has_its_functions(cache: Path) -> None:
    with pytest.raises(
        ValueError, match=r"load does not know 'maps': use load_pairs\('maps'\) or load_unpaired\('maps'\)"
    ):
        real.load("maps")
    with pytest.raises(ValueError, match=r"load_pairs does not know 'horse2zebra': use load_unpaired\('horse2zebra'\)"):
        real.load_pairs("horse2zebra")
    with pytest.raises(ValueError, match=r"load_pairs does not know 'mnist': use load\('mnist'\)"):
        real.load_pairs("mnist")
    with pytest.raises(ValueError, match="did you mean 'facades'"):
        real.load_pairs("facade")
    with pytest.raises(ValueError, match="'val'.*train, validation, test"):
        real.load_pairs("facades", "val")
    with pytest.raises(ValueError, match="size is 0"):
        real.load_unpaired("facades", size=0)


def test_a_folder_that_lost_its_files_is_reported(server: Server, cache: Path) -> None:
    real.load_pairs("facades")
    for file in (cache / "real" / "facades" / "test").iterdir():
        file.unlink()
    with pytest.raises(FileNotFoundError, match="test holds no pictures: delete .*facades"):
        real.load_pairs("facades", "test")
