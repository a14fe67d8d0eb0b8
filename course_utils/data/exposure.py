"""The worlds as Hugging Face `datasets`: a table (map style) and a stream that shards over nodes and workers."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:
    import datasets

CHUNK = 256  # examples that are rendered at once


def to_dataset(
    torch_dataset: torch.utils.data.Dataset,
    features: "datasets.Features | None" = None,
    indices: Sequence[int] | None = None,
) -> "datasets.Dataset":
    """A map-style `datasets.Dataset` in memory, pictures as lossless 8-bit PNG.

    Args:
        torch_dataset: a data set whose `__getitems__(indices)` returns a dict with one entry a feature.
        features: columns and their types; by default `torch_dataset.features()`.
        indices: examples to take, in this order; by default all of them.
    """
    import datasets

    features = torch_dataset.features() if features is None else features
    indices = range(len(torch_dataset)) if indices is None else indices
    columns: dict[str, list] = {name: [] for name in features}
    for start in range(0, len(indices), CHUNK):
        for example in examples(torch_dataset, features, indices[start : start + CHUNK]):
            for name, column in columns.items():
                column.append(example[name])
    return datasets.Dataset.from_dict(columns, features=features)


def stream(
    torch_dataset: torch.utils.data.Dataset,
    features: "datasets.Features | None" = None,
    num_shards: int = 64,
) -> "datasets.IterableDataset":
    """A `datasets.IterableDataset` that makes its examples while it is read, in the order of the indices.

    The indices are cut into `num_shards` contiguous ranges. `datasets.distributed.split_dataset_by_node` and the
    workers of a torch `DataLoader` divide those among themselves, so that each example comes exactly once.

    Args:
        torch_dataset: as for `to_dataset`.
        features: columns and their types; by default `torch_dataset.features()`.
        num_shards: a multiple of (nodes x workers) divides the work evenly.

    Raises:
        ValueError: if `num_shards` is below 1.
    """
    import datasets

    if num_shards < 1:
        raise ValueError(f"num_shards is {num_shards}, but must be at least 1")
    features = torch_dataset.features() if features is None else features
    length = len(torch_dataset)
    bounds = [length * shard // num_shards for shard in range(num_shards + 1)]
    return datasets.IterableDataset.from_generator(
        _shards,
        features=features,
        gen_kwargs={
            "torch_dataset": torch_dataset,
            "features": features,
            "shards": list(zip(bounds[:-1], bounds[1:], strict=True)),
        },
    )


def examples(
    torch_dataset: torch.utils.data.Dataset, features: "datasets.Features", indices: Sequence[int]
) -> Iterator[dict]:
    """The examples at `indices` as plain dicts: PIL pictures, Python numbers, lists and strings."""
    import datasets

    batch = torch_dataset.__getitems__(list(indices))
    columns = {}
    for name, feature in features.items():
        values = batch[name]
        if isinstance(feature, datasets.Image):
            values = [picture(image) for image in values]
        elif isinstance(values, Tensor):
            values = values.tolist()
        columns[name] = values
    for position in range(len(indices)):
        yield {name: values[position] for name, values in columns.items()}


def picture(image: Tensor) -> Image.Image:
    """One picture (1 or 3 channels, height, width) in [-1, 1] as a PIL picture of 8 bits a channel."""
    pixels = ((image.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()
    # (channels, height, width) -> (height, width) or (height, width, 3)
    array = pixels[0].numpy() if len(pixels) == 1 else pixels.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array)


def _shards(
    torch_dataset: torch.utils.data.Dataset, features: "datasets.Features", shards: list[tuple[int, int]]
) -> Iterator[dict]:
    for start, stop in shards:
        for first in range(start, stop, CHUNK):
            yield from examples(torch_dataset, features, range(first, min(first + CHUNK, stop)))
