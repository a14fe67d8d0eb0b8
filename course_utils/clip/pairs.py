"""Pairs of pictures and texts by the name of a data set, streamed: as many as there are, without having them on the disk first."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from course_utils.clip.losses import in_a_group
from course_utils.data.real import central_square


def streamed_pairs(
    name: str,
    ids: Callable[[Sequence[str]], Tensor],
    image_size: int,
    batch_size: int,
    *,
    split: str = "train",
    text_column: str | None = None,
    shuffle_buffer: int = 1000,
    seed: int = 0,
    num_workers: int = 0,
) -> DataLoader:
    """Batches of `image` (batch, 3, image_size, image_size) in [-1, 1] and `input_ids` (batch, 1, n) int64, as `caption_player` wants them.

    Of pictures the central square is taken, of several texts the first. In a group of processes each gets its own part of the data.

    Args:
        name: of a data set of the Hugging Face hub, or a folder in its layout, with a column of pictures and one of texts or lists of texts.
        ids: texts -> ids (texts, n), such as a tokenizer of CLIP's.
        text_column: by default the first column of texts.
        shuffle_buffer: examples that are waiting, of which the next is drawn.

    Raises:
        FileNotFoundError: if the data set cannot be had.
        ValueError: if it has no pictures, no texts, or not this column.
    """
    import datasets
    from datasets.distributed import split_dataset_by_node

    try:
        table = datasets.load_dataset(name, split=split, streaming=True)
        first = next(iter(table))
    except (FileNotFoundError, ConnectionError, datasets.exceptions.DatasetNotFoundError) as error:
        raise FileNotFoundError(
            f"the data set {name} is neither on this machine nor to be had from the hub ({error}). Streaming needs a network, or a folder."
        ) from error
    pictures = [column for column, value in first.items() if isinstance(value, Image.Image)]
    texts = [column for column, value in first.items() if _is_text(value)]
    if not pictures or text_column not in (None, *texts) or not texts:
        raise ValueError(
            f"expected a column of pictures and one of texts{f' called {text_column!r}' if text_column else ''} in the data set {name}; "
            f"pictures: {', '.join(pictures) or 'none'}; texts: {', '.join(texts) or 'none'}; all columns: {', '.join(first)}"
        )

    def collate(examples: list[dict[str, Any]]) -> dict[str, Tensor]:
        said = [example[text_column or texts[0]] for example in examples]
        images = [central_square(example[pictures[0]].convert("RGB"), image_size) for example in examples]
        return {
            "image": torch.stack(images),
            "input_ids": ids([text if isinstance(text, str) else text[0] for text in said])[:, None],
        }

    table = table.shuffle(seed=seed, buffer_size=shuffle_buffer)
    if in_a_group():
        table = split_dataset_by_node(table, torch.distributed.get_rank(), torch.distributed.get_world_size())
    return DataLoader(table, batch_size, collate_fn=collate, num_workers=num_workers, drop_last=True)


def _is_text(value: object) -> bool:
    """A text, or a list of them."""
    return isinstance(value, str) or (isinstance(value, list) and bool(value) and isinstance(value[0], str))
