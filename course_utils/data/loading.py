"""Batches for training: a torch `DataLoader` whose order is a function of (seed, epoch) and of nothing else."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from course_utils.data.hashing import hashed


class EpochSampler(Sampler[int]):
    """Indices 0 .. length - 1 in an order that depends on (seed, epoch) only.

    A complete pass moves on to the next epoch; `set_epoch` goes to any. An interrupted pass begins anew.
    """

    def __init__(self, length: int, shuffle: bool = True, seed: int = 0):
        self.length = length
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make `epoch` (counted from 0) the next one to be iterated."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        epoch = self.epoch
        order = torch.arange(self.length)
        if self.shuffle:
            order = hashed(self.seed, "order", epoch, order).argsort(stable=True)
        yield from order.tolist()
        self.epoch = epoch + 1


def collate(batch: Any) -> dict:
    """Hands on a batch that is a dict already; puts a list of examples together as torch does."""
    return batch if isinstance(batch, dict) else default_collate(batch)


def loader(
    dataset: Dataset,
    batch_size: int,
    *,
    shuffle: bool = True,
    seed: int = 0,
    drop_last: bool = True,
    num_workers: int = 0,
) -> DataLoader:
    """A `DataLoader` that asks the data set for whole batches and leaves torch's global random state alone.

    `loader.sampler.set_epoch(epoch)` chooses the epoch; without it each complete pass is the next epoch. Under
    Accelerate, `prepare` splits each epoch over the processes and `skip_first_batches` resumes within one.

    Args:
        dataset: a map-style data set. One with `__getitems__(indices) -> dict` makes a batch at once, as all worlds of
            the course do; any other gives its examples one by one.
        batch_size: pictures in a batch (of each process).
        shuffle: a new order in each epoch; False gives 0, 1, 2, ...
        seed: of the order.
        drop_last: leave out the last batch of an epoch if it is smaller than `batch_size`.
        num_workers: processes that make batches; the batches are the same for every number.

    Raises:
        ValueError: if no batch would come, because the data set is smaller than `batch_size` and `drop_last` is set.
    """
    length = len(dataset)
    if length == 0 or (drop_last and length < batch_size):
        raise ValueError(
            f"a batch of {batch_size} from a data set of {length} examples would leave an epoch without any batch: "
            "choose a smaller batch_size, or drop_last=False"
        )
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=EpochSampler(length, shuffle, seed),
        drop_last=drop_last,
        num_workers=num_workers,
        collate_fn=collate,
        generator=torch.Generator().manual_seed(seed),
        persistent_workers=num_workers > 0,
    )
