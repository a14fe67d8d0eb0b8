"""Real public data by name, in the form of the course's worlds.

`load("mnist")` gives pictures, `load_pairs("facades")` pairs for pix2pix, `load_unpaired("horse2zebra")` two collections
for CycleGAN. The first use downloads (`python -m course_utils.data.real mnist` does nothing but that), all later ones
read `data/cache/real`. An interrupted download goes on where it stopped; what lies in the cache is always whole.
"""

import difflib
import errno
import functools
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from course_utils.data import archives
from course_utils.data.hashing import hashed_integers
from course_utils.runtime import cache_folder

if TYPE_CHECKING:
    import datasets

SPLITS = ("train", "validation", "test")
VALIDATION = 12  # where a data set has no validation split of its own, one of so many training pictures is for it


class DataUnavailable(ConnectionError):
    """A data set is neither in the cache nor to be had from the network."""


@dataclass(frozen=True)
class Source:
    """Where a data set comes from, and what its table holds."""

    repository: str  # on the Hugging Face hub
    megabytes: int  # to download
    channels: int
    size: int  # of the pictures, unless another is asked for
    image: str  # column of the pictures
    label: str | None  # column of the class; None: all other columns of integers are attributes
    substitute: str  # what to use without a network
    splits: tuple[str, str | None, str] = ("train", None, "test")  # the table's names of SPLITS
    home: str = "course_utils.data"  # of the substitute

    @property
    def place(self) -> str:
        """Where it is downloaded from."""
        return f"{self.repository} on the Hugging Face hub"


@dataclass(frozen=True)
class Archive:
    """Where the pictures of pix2pix or CycleGAN come from: JPEGs in a folder for each split.

    These are the authors' own archives, and not the copies on the hub (`huggan/facades` and so on): only they are sure
    to have the splits of the papers, and all four can be read in one way.
    """

    url: str
    megabytes: int  # to download
    left: str | None  # what the left half of a file is, "input" or "image"; None: no pairs, but folders ...A and ...B
    substitute: str  # what to use without a network
    splits: tuple[str, str | None, str] = ("train", None, "val")  # the archive's names of SPLITS
    home: str = "course_utils.data"  # of the substitute
    size: int = 256  # of the pictures, unless another is asked for: that of the papers

    @property
    def place(self) -> str:
        """Where it is downloaded from."""
        return self.url


_PIX2PIX = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets"
_CYCLEGAN = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets"

# In the pairs the drawing is the input, the photograph the image: pix2pix' own direction is BtoA for facades (labels on
# the right) and AtoB for edges2shoes (edges on the left); a file of maps has the aerial photograph on the left.
SOURCES: dict[str, Source | Archive] = {
    "mnist": Source("ylecun/mnist", 18, 1, 28, "image", "label", "Digits(split) or Glyphs(split)"),
    "fashion_mnist": Source("zalando-datasets/fashion_mnist", 31, 1, 28, "image", "label", "Glyphs(split)"),
    "cifar10": Source("uoft-cs/cifar10", 144, 3, 32, "img", "label", "Scenes(split)"),
    "celeba": Source(
        "tpremoli/CelebA-attrs", 1424, 3, 64, "image", None, "Faces(split, size=64)", ("train", "validation", "test")
    ),
    "facades": Archive(
        f"{_PIX2PIX}/facades.tar.gz", 30, "image", 'Scenes(split, fields=("labels", "photo"))', ("train", "val", "test")
    ),
    "maps": Archive(f"{_PIX2PIX}/maps.tar.gz", 250, "image", 'Scenes(split, fields=("plan", "aerial"))'),
    "edges2shoes": Archive(
        f"{_PIX2PIX}/edges2shoes.tar.gz", 2150, "input", 'Scenes(split, fields=("edges", "photo"))'
    ),
    "horse2zebra": Archive(
        f"{_CYCLEGAN}/horse2zebra.zip", 117, None, 'Unpaired("plain", "striped", split)',
        ("train", None, "test"), "course_utils.translation.recipes",
    ),
}  # fmt: skip


class RealImages(Dataset):
    """One split of a real data set; made by `load`.

    Pictures (batch, channels, size, size) in [-1, 1]: the central square, resized with anti-aliasing.
    """

    def __init__(self, name: str, split: str, size: int, table: "datasets.Dataset"):
        self.name = name
        self.split = split
        self.size = size
        self.source = SOURCES[name]
        self.table = table
        self.class_names: tuple[str, ...] = ()
        self.attributes: tuple[str, ...] = ()
        if self.source.label is None:
            numbers = {feature: getattr(kind, "dtype", "") for feature, kind in table.features.items()}
            self.attributes = tuple(name for name, dtype in numbers.items() if dtype in ("bool", "int64"))
        else:
            self.class_names = tuple(table.features[self.source.label].names)

    def __len__(self) -> int:
        return len(self.table)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """A batch: `image`, and `label` (batch,) int64 or, for celeba, `attributes` (batch, 40) int64 of 0 and 1."""
        rows = self.table[list(indices)]
        mode = "L" if self.source.channels == 1 else "RGB"
        pictures = [central_square(picture.convert(mode), self.size) for picture in rows[self.source.image]]
        batch = {"image": torch.stack(pictures)}
        if self.source.label is None:
            columns = [torch.tensor(rows[attribute], dtype=torch.int64) for attribute in self.attributes]
            batch["attributes"] = (torch.stack(columns, dim=1) > 0).long()  # some copies write -1 for 0
        else:
            batch["label"] = torch.tensor(rows[self.source.label], dtype=torch.int64)
        return batch

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One example: `image` (channels, size, size), `label` () or `attributes` (40,)."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is outside of a split of {len(self)} pictures")
        return {name: values[0] for name, values in self.__getitems__([index % len(self)]).items()}

    def features(self) -> "datasets.Features":
        """Columns for `exposure.to_dataset` and `exposure.stream`."""
        import datasets

        if self.source.label is None:
            return datasets.Features(
                image=datasets.Image(), attributes=datasets.List(datasets.Value("int64"), length=len(self.attributes))
            )
        return datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=list(self.class_names)))


Half = tuple[Path, str | None]
"""A file, and which half of it is the picture: "left", "right" or None for all of it."""


class RealPictures(Dataset):
    """One split of the pictures of pix2pix or CycleGAN; made by `load_pairs` or `load_unpaired`.

    Pictures (batch, 3, size, size) in [-1, 1]: the central square, resized with anti-aliasing.
    """

    def __init__(self, name: str, split: str, size: int, fields: dict[str, Sequence[Half]]):
        self.name = name
        self.split = split
        self.size = size
        self.fields = fields

    def __len__(self) -> int:
        """Of the longer collection: the pictures of the other one come again."""
        return max(len(halves) for halves in self.fields.values())

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """A batch: `input` and `image`, or `x` and `y`."""
        opened = functools.cache(_opened)  # both pictures of a pair lie in one file
        return {
            name: torch.stack([self._picture(opened, *halves[index % len(halves)]) for index in indices])
            for name, halves in self.fields.items()
        }

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One example: two pictures (3, size, size)."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is outside of a split of {len(self)} pictures")
        return {name: values[0] for name, values in self.__getitems__([index % len(self)]).items()}

    def features(self) -> "datasets.Features":
        """Columns for `exposure.to_dataset` and `exposure.stream`."""
        import datasets

        return datasets.Features({name: datasets.Image() for name in self.fields})

    def _picture(self, opened: Callable[[Path], Image.Image], file: Path, half: str | None) -> Tensor:
        picture = opened(file)
        if half is not None:
            middle = picture.width // 2
            left = 0 if half == "left" else middle
            picture = picture.crop((left, 0, left + middle, picture.height))
        return central_square(picture, self.size)


def _opened(file: Path) -> Image.Image:
    with Image.open(file) as picture:
        return picture.convert("RGB")  # some of ImageNet's are grey


def central_square(picture: Image.Image, size: int) -> Tensor:
    """The central square (channels, size, size) of a picture, in [-1, 1]."""
    side = min(picture.size)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    if picture.size != (size, size):
        box = (left, top, left + side, top + side)
        picture = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    pixels = torch.from_numpy(numpy.array(picture)).view(size, size, len(picture.getbands()))
    return pixels.permute(2, 0, 1).to(torch.float32) / 127.5 - 1


def load(name: str, split: str = "train", size: int | None = None) -> RealImages:
    """A real data set, downloaded at its first use.

    Args:
        name: `mnist`, `fashion_mnist`, `cifar10` or `celeba`.
        split: `train`, `validation` or `test`. MNIST, Fashion-MNIST and CIFAR-10 have no validation split of their own:
            a twelfth of the training pictures is kept for it, always the same.
        size: height and width in pixels; by default 28, 28, 32 and 64.

    Raises:
        ValueError: if there is no such data set or split, or `size` is below 1.
        DataUnavailable: if it has to be downloaded and cannot be; nothing half-written is left behind.
    """
    source = _wanted("load", name, split, size)
    table = _table(download(name), source.splits[SPLITS.index(split)] or "train")
    rows = _rows(len(table), source, split)
    return RealImages(name, split, size or source.size, table if len(rows) == len(table) else table.select(rows))


def load_pairs(name: str, split: str = "train", size: int | None = None) -> RealPictures:
    """Real pairs for pix2pix, downloaded at their first use: a batch holds a drawing, `input`, and its photograph, `image`.

    Args:
        name: `facades` (labels to facades), `maps` (street maps to aerial photographs) or `edges2shoes`.
        split: `train`, `validation` or `test`. Only facades has three of its own: of the others a twelfth of the training
            pairs is kept for validation, always the same, and the `val` of the authors is the test split.
        size: height and width in pixels; by default 256.

    Raises:
        ValueError, DataUnavailable: as `load`.
    """
    source = _wanted("load_pairs", name, split, size)
    return RealPictures(name, split, size or source.size, _pairs(source, download(name), split))


def load_unpaired(name: str, split: str = "train", size: int | None = None) -> RealPictures:
    """Two real collections without pairs for CycleGAN, downloaded at their first use: a batch holds `x` and `y`.

    Which y comes with which x says nothing. An epoch is as long as the larger collection.

    Args:
        name: `horse2zebra` (x: horses, y: zebras), or one of `load_pairs` (x: drawings, y: photographs), whose pairs are
            then torn apart: beside a drawing comes the photograph of another one.
        split: `train`, `validation` or `test`. Of horses and zebras a twelfth of the training pictures is kept for
            validation, always the same.
        size: height and width in pixels; by default 256.

    Raises:
        ValueError, DataUnavailable: as `load`.
    """
    source = _wanted("load_unpaired", name, split, size)
    folder = download(name)
    if source.left is None:
        x, y = ([(file, None) for file in _files(source, folder, split, letter)] for letter in "AB")
    else:
        x, y = _pairs(source, folder, split).values()
        y = y[len(y) // 2 :] + y[: len(y) // 2]
    return RealPictures(name, split, size or source.size, {"x": x, "y": y})


def download(name: str) -> Path:
    """Bring a data set into the cache, unless it is there.

    Returns:
        Its folder in `data/cache/real`.

    Raises:
        ValueError: if there is no such data set.
        DataUnavailable: if it cannot be had.
    """
    from filelock import FileLock

    source = _source(name)
    folder = cache_folder("real", name)
    if folder.exists():
        return folder
    unfinished = folder.with_name(f"{name}.part")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{name}.lock")):
        if folder.exists():  # another process was quicker
            return folder
        shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
        try:
            _fetch(source, unfinished)
            os.replace(unfinished / "table", folder)
        except Exception as error:
            raise DataUnavailable(_message(name, source, error)) from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _fetch(source: Source | Archive, unfinished: Path) -> None:
    """Download and write `unfinished/table`."""
    if isinstance(source, Archive):
        _fetch_archive(source.url, unfinished)
    else:
        _fetch_table(source.repository, unfinished)


def _fetch_archive(url: str, unfinished: Path) -> None:
    """The archive is kept until it has been unpacked, what there is of it after an interruption too."""
    archive = cache_folder("downloads", url.rsplit("/", 1)[1])
    archives.download(url, archive)
    try:
        archives.unpack(archive, unfinished)
        os.replace(unfinished / archive.name.split(".")[0], unfinished / "table")
    except Exception as error:
        if not _disk_is_full(error):
            archive.unlink()  # damaged: the next attempt takes a new one
        raise
    archive.unlink()


def _fetch_table(repository: str, unfinished: Path) -> None:
    """The hub's library keeps the files themselves and resumes within them."""
    from huggingface_hub import HfApi

    # without a network this fails at once, what follows would take half a minute
    HfApi().dataset_info(repository, timeout=20)

    import datasets

    builder = datasets.load_dataset_builder(repository)
    builder.download_and_prepare(str(unfinished / "table"))


def _table(folder: Path, split: str) -> "datasets.Dataset":
    import datasets

    pieces = sorted(folder.glob(f"*-{split}.arrow")) + sorted(folder.glob(f"*-{split}-*-of-*.arrow"))
    if not pieces:
        raise FileNotFoundError(f"{folder} holds no split {split!r}: delete that folder, then load the data again")
    return datasets.concatenate_datasets([datasets.Dataset.from_file(str(piece)) for piece in pieces])


def _files(source: Archive, folder: Path, split: str, letter: str = "") -> list[Path]:
    """The files of a split of an archive, of one collection if it has two."""
    own = folder / f"{source.splits[SPLITS.index(split)] or 'train'}{letter}"
    files = sorted(own.glob("*.jpg"))
    if not files:
        raise FileNotFoundError(f"{own} holds no pictures: delete {folder}, then load the data again")
    return [files[row] for row in _rows(len(files), source, split)]


def _pairs(source: Archive, folder: Path, split: str) -> dict[str, list[Half]]:
    """Both halves of all files of a split, by the names that they have in a batch."""
    input_side, image_side = ("left", "right") if source.left == "input" else ("right", "left")
    files = _files(source, folder, split)
    return {"input": [(file, input_side) for file in files], "image": [(file, image_side) for file in files]}


def _rows(length: int, source: Source | Archive, split: str) -> list[int]:
    """What belongs to `split`: where there is no validation split, train and validation share the training examples."""
    rows = torch.arange(length)
    if source.splits[1] is None and split != "test":
        held_out = hashed_integers(VALIDATION, "real validation", rows) == 0
        rows = rows[held_out if split == "validation" else ~held_out]
    return rows.tolist()


def _wanted(function: str, name: str, split: str, size: int | None) -> Any:
    """The source of a data set that `function` can load."""
    source = _source(name)
    if isinstance(source, Source):
        able = ["load"]
    else:
        able = ["load_pairs", "load_unpaired"] if source.left else ["load_unpaired"]
    if function not in able:
        calls = " or ".join(f"{right}({name!r})" for right in able)
        raise ValueError(f"{function} does not know {name!r}: use {calls}")
    if split not in SPLITS:
        raise ValueError(f"{name} has no split {split!r}; it has {', '.join(SPLITS)}")
    if size is not None and size < 1:
        raise ValueError(f"size is {size}, but must be at least 1")
    return source


def _source(name: str) -> Source | Archive:
    if name not in SOURCES:
        nearest = difflib.get_close_matches(name.lower().replace("-", "_"), SOURCES, n=1, cutoff=0.4)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        raise ValueError(f"there is no real data set {name!r}{hint} Available: {', '.join(SOURCES)}")
    return SOURCES[name]


def _disk_is_full(error: Exception) -> bool:
    return getattr(error, "errno", None) == errno.ENOSPC


def _message(name: str, source: Source | Archive, error: Exception) -> str:
    if _disk_is_full(error):
        reason = "the disk is full"
    else:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
    return (
        f"{name} is not in {cache_folder('real')} and could not be downloaded "
        f"({source.megabytes:,} MB, {source.place}): {reason}.\n"
        f"With a network, run: python -m course_utils.data.real {name}\n"
        f"Without one, use {source.substitute} from {source.home}: no download needed."
    )


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"name what to download: {', '.join(SOURCES)}")
    for wanted in sys.argv[1:]:
        try:
            print(f"{wanted}: {download(wanted)}")
        except (ValueError, DataUnavailable) as error:
            sys.exit(str(error))
