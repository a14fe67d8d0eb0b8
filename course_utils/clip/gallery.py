"""Galleries of pictures, and an index to search them: from a folder or a data set to vectors, to faiss, to files, and back.

Kinds of index (Douze et al., "The Faiss library", 2024; what they do inside says `retrieval`):

- exact: every vector is looked at.
- ivf: inverted lists; `effort` is how many lists a query looks into.
- hnsw: a graph in which one walks from vector to vector, always nearer; `effort` is how many candidates are kept (Malkov & Yashunin, TPAMI 2020).
- pq: product quantisation, a byte for each 4 numbers.
- ivf_pq: both.
"""

import json
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import faiss
import numpy
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from course_utils.clip.clip import CLIP, embed_images
from course_utils.clip.retrieval import Found, check_search
from course_utils.data.real import central_square
from course_utils.training.checkpoints import CheckpointError, write_atomically

if TYPE_CHECKING:
    import datasets

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
KINDS = ("exact", "ivf", "hnsw", "pq", "ivf_pq")
CODES = 256  # of a part, in product quantisation
PART = 4  # numbers of a vector that share a byte
PER_LIST = 39  # vectors a list, which faiss wants at least to learn where a list should be
NEIGHBOURS = 32  # of each vector in the graph


@dataclass(frozen=True)
class Gallery:
    """Pictures by name, opened when they are needed.

    Attributes:
        names: of the pictures: paths, or rows of a data set.
        open: the number of a picture -> the picture.
    """

    names: tuple[str, ...]
    open: Callable[[int], Image.Image]

    def __len__(self) -> int:
        return len(self.names)

    def images(self, indices: Sequence[int], size: int, channels: int = 3) -> Tensor:
        """The central squares of pictures, (count, channels, size, size) float32 in [-1, 1].

        Raises:
            ValueError: if a file is no picture; the message names it.
        """
        return torch.stack([central_square(self._picture(index, channels), size) for index in indices])

    def _picture(self, index: int, channels: int) -> Image.Image:
        try:
            return self.open(index).convert("L" if channels == 1 else "RGB")
        except (UnidentifiedImageError, OSError, SyntaxError) as error:  # Pillow calls a broken PNG a syntax error
            raise ValueError(
                f"{self.names[index]} is no picture that can be read ({error}): take it away, or replace it"
            ) from error


def folder_gallery(folder: Path | str) -> Gallery:
    """All pictures in a folder and the folders in it, in the order of their paths, which are their names.

    Raises:
        FileNotFoundError: if there is no such folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise FileNotFoundError(f"there is no picture in {folder}: looked for files that end in {', '.join(SUFFIXES)}")
    return Gallery(tuple(map(str, files)), lambda index: Image.open(files[index]))


def file_gallery(file: Path | str) -> Gallery:
    """A single picture. Raises FileNotFoundError if there is no such file."""
    if not Path(file).is_file():
        raise FileNotFoundError(f"there is no file {file}")
    return Gallery((str(file),), lambda index: Image.open(file))


def dataset_gallery(name: str, split: str = "train") -> Gallery:
    """The pictures of a data set of the Hugging Face hub, or of a folder in its layout; their names are "NAME[ROW]".

    Raises:
        FileNotFoundError: if it cannot be had.
        ValueError: if it has no such split, or no column of pictures.
    """
    import datasets

    try:
        table = datasets.load_dataset(name, split=split)
    except (FileNotFoundError, ConnectionError, datasets.exceptions.DatasetNotFoundError) as error:
        raise FileNotFoundError(
            f"the data set {name} is neither on this machine nor to be had from the hub ({error}). "
            "With a network, load it once; without one, search a folder of pictures."
        ) from error
    return table_gallery(table, name)


def table_gallery(table: "datasets.Dataset", name: str) -> Gallery:
    """The pictures in the first column of pictures of a table, which is called `name`.

    Raises:
        ValueError: if there is no such column.
    """
    import datasets

    columns = [column for column, feature in table.features.items() if isinstance(feature, datasets.Image)]
    if not columns:
        raise ValueError(f"the data set {name} has no column of pictures; its columns: {', '.join(table.features)}")
    return Gallery(tuple(f"{name}[{row}]" for row in range(len(table))), lambda row: table[row][columns[0]])


def embed_gallery(model: CLIP, gallery: Gallery) -> Tensor:
    """Unit vectors (pictures, dim) of a gallery. Raises ValueError as `Gallery.images`."""
    size, channels = model.config.image_size, model.config.in_channels
    return embed_images(model, lambda part: gallery.images(part, size, channels), len(gallery))


class Index:
    """Vectors of pictures, ready to be searched, and what they are vectors of.

        index = Index.build(embed_gallery(model, gallery), gallery.names, model="clip-scenes", kind="ivf")
        index.save("gallery")
        found = Index.load("gallery", model="clip-scenes").search(model.encode_text(ids), k=9)

    Attributes:
        faiss_index: of the library.
        names: of the pictures, in the order of the vectors.
        model: what made the vectors. Those of another model lie in another space.
        kind: one of KINDS.
    """

    def __init__(self, faiss_index: faiss.Index, names: Sequence[str], model: str, kind: str):
        self.faiss_index, self.names, self.model, self.kind = faiss_index, tuple(names), model, kind

    @classmethod
    def build(cls, vectors: Tensor, names: Sequence[str], model: str, kind: str = "exact") -> Self:
        """An index of unit vectors (n, dim), one a name.

        Raises:
            ValueError: an unknown kind, not one name a vector, or too few vectors or a dimension that does not fit for the kind.
        """
        if kind not in KINDS:
            raise ValueError(f"there is no kind of index {kind!r}; choose one of {', '.join(KINDS)}")
        if vectors.ndim != 2 or len(vectors) != len(names) or not len(names):
            raise ValueError(
                f"expected vectors (n, dim), one for each of {len(names)} names, got {tuple(vectors.shape)}"
            )
        index = faiss.index_factory(vectors.shape[1], _recipe(kind, *vectors.shape), faiss.METRIC_INNER_PRODUCT)
        array = numpy.ascontiguousarray(vectors.detach().cpu().float().numpy())
        index.train(array)
        index.add(array)
        return cls(index, names, model, kind)

    def __len__(self) -> int:
        return len(self.names)

    def search(self, queries: Tensor, k: int, effort: int | None = None) -> Found:
        """The k pictures with the largest product with each query (queries, dim); -1 where an index that does not look everywhere has found fewer.

        Args:
            effort: lists that are looked into, or candidates that are kept; by default as faiss has it (1 and 16). Other kinds have none.

        Raises:
            ValueError: if k is below 1 or larger than the gallery, the queries have another dimension, or the kind knows no effort.
        """
        check_search(queries, self.faiss_index.d, len(self), k)
        if effort is not None:
            setting = {"ivf": "nprobe", "ivf_pq": "nprobe", "hnsw": "efSearch"}.get(self.kind)
            if setting is None or effort < 1:
                raise ValueError(f"effort is {effort}: an index of kind {self.kind} " + (
                    "always does the same" if setting is None else "needs at least 1"
                ))  # fmt: skip
            faiss.ParameterSpace().set_index_parameter(self.faiss_index, setting, effort)
        array = numpy.ascontiguousarray(queries.detach().cpu().float().numpy())
        scores, indices = map(torch.from_numpy, self.faiss_index.search(array, k))
        return Found(scores.masked_fill(indices < 0, -math.inf), indices)

    def save(self, folder: Path | str) -> None:
        """Write `index.faiss`, and `index.json` with the names beside it.

        Raises:
            CheckpointError: if they cannot be written.
        """
        content = faiss.serialize_index(self.faiss_index).tobytes()
        write_atomically(Path(folder, "index.faiss"), content)
        told = {"model": self.model, "kind": self.kind, "checksum": zlib.crc32(content), "names": self.names}
        write_atomically(Path(folder, "index.json"), json.dumps(told, ensure_ascii=False, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path | str, model: str) -> Self:
        """An index that `save` has written, for queries of the model of that name.

        Raises:
            CheckpointError: it is missing or damaged, or holds vectors of another model.
        """
        folder, again = Path(folder), "Make it anew, from the pictures"
        try:
            told = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            content = (folder / "index.faiss").read_bytes()
            if zlib.crc32(content) != told["checksum"]:
                raise ValueError("index.faiss and index.json are not of one index")
            index = faiss.deserialize_index(numpy.frombuffer(content, dtype=numpy.uint8))
        except FileNotFoundError as error:
            raise CheckpointError(f"there is no index in {folder}: {error}. {again}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"the index in {folder} is damaged ({error}). {again}") from error
        if told["model"] != model:
            raise CheckpointError(
                f"the index in {folder} holds vectors of {told['model']}; those of {model} lie in another space. {again}"
            )
        return cls(index, told["names"], told["model"], told["kind"])


def _recipe(kind: str, count: int, dim: int) -> str:
    """What faiss's `index_factory` calls an index for so many vectors.

    Raises:
        ValueError: if the kind cannot be made of them.
    """
    lists = max(1, min(round(4 * math.sqrt(count)), count // PER_LIST))
    if kind.endswith("pq") and (dim % PART or count < CODES):
        raise ValueError(
            f"product quantisation needs at least {CODES} vectors, and a dimension that {PART} divides: "
            f"got {count} of {dim} numbers; take kind='exact'"
        )
    codes = f"PQ{dim // PART}x8np"  # "np": not arranged so that codes can be compared by bits, which takes long and is not used
    return {
        "exact": "Flat",
        "ivf": f"IVF{lists},Flat",
        "hnsw": f"HNSW{NEIGHBOURS}",
        "pq": codes,
        "ivf_pq": f"IVF{lists},{codes}",
    }[kind]
