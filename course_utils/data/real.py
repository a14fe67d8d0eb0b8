"""Real public data by name, in the form of the course's worlds: `load("mnist", "train")`.

The first use downloads (`python -m course_utils.data.real mnist` does nothing but that), all later ones read
`data/cache/real`. An interrupted download goes on where it stopped; what lies in the cache is always whole.
"""

import difflib
import errno
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

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


SOURCES = {
    "mnist": Source("ylecun/mnist", 18, 1, 28, "image", "label", "Digits(split) or Glyphs(split)"),
    "fashion_mnist": Source("zalando-datasets/fashion_mnist", 31, 1, 28, "image", "label", "Glyphs(split)"),
    "cifar10": Source("uoft-cs/cifar10", 144, 3, 32, "img", "label", "Scenes(split)"),
    "celeba": Source(
        "tpremoli/CelebA-attrs", 1424, 3, 64, "image", None, "Faces(split, size=64)", ("train", "validation", "test")
    ),
}


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
        batch = {"image": torch.stack([self._picture(picture) for picture in rows[self.source.image]])}
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

    def _picture(self, picture: Image.Image) -> Tensor:
        picture = picture.convert("L" if self.source.channels == 1 else "RGB")
        side = min(picture.size)
        left, top = (picture.width - side) / 2, (picture.height - side) / 2
        if picture.size != (self.size, self.size):
            box = (left, top, left + side, top + side)
            picture = picture.resize((self.size, self.size), Image.Resampling.BICUBIC, box=box)
        pixels = torch.from_numpy(numpy.array(picture)).view(self.size, self.size, self.source.channels)
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
    source = _source(name)
    if split not in SPLITS:
        raise ValueError(f"{name} has no split {split!r}; it has {', '.join(SPLITS)}")
    if size is not None and size < 1:
        raise ValueError(f"size is {size}, but must be at least 1")
    folder = download(name)
    own = source.splits[SPLITS.index(split)]
    table = _table(folder, own or "train")
    if source.splits[1] is None and split != "test":
        held_out = hashed_integers(VALIDATION, "real validation", torch.arange(len(table))) == 0
        table = table.select((held_out if split == "validation" else ~held_out).nonzero().squeeze(1).tolist())
    return RealImages(name, split, size or source.size, table)


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


def _fetch(source: Source, unfinished: Path) -> None:
    """Download and write `unfinished/table`. The hub's library keeps the files themselves and resumes within them."""
    from huggingface_hub import HfApi

    # without a network this fails at once, what follows would take half a minute
    HfApi().dataset_info(source.repository, timeout=20)

    import datasets

    builder = datasets.load_dataset_builder(source.repository)
    builder.download_and_prepare(str(unfinished / "table"))


def _table(folder: Path, split: str) -> "datasets.Dataset":
    import datasets

    pieces = sorted(folder.glob(f"*-{split}.arrow")) + sorted(folder.glob(f"*-{split}-*-of-*.arrow"))
    if not pieces:
        raise FileNotFoundError(f"{folder} holds no split {split!r}: delete that folder, then load the data again")
    return datasets.concatenate_datasets([datasets.Dataset.from_file(str(piece)) for piece in pieces])


def _source(name: str) -> Source:
    if name not in SOURCES:
        nearest = difflib.get_close_matches(name.lower().replace("-", "_"), SOURCES, n=1, cutoff=0.4)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        raise ValueError(f"there is no real data set {name!r}{hint} Available: {', '.join(SOURCES)}")
    return SOURCES[name]


def _message(name: str, source: Source, error: Exception) -> str:
    if getattr(error, "errno", None) == errno.ENOSPC:
        reason = "the disk is full"
    else:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
    return (
        f"{name} is not in {cache_folder('real')} and could not be downloaded "
        f"({source.megabytes:,} MB, {source.repository} on the Hugging Face hub): {reason}.\n"
        f"With a network, run: python -m course_utils.data.real {name}\n"
        f"Without one, use {source.substitute} from course_utils.data: no download needed."
    )


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"name what to download: {', '.join(SOURCES)}")
    for wanted in sys.argv[1:]:
        try:
            print(f"{wanted}: {download(wanted)}")
        except (ValueError, DataUnavailable) as error:
            sys.exit(str(error))
