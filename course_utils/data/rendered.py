"""What the data sets of all rendered worlds share: whole batches made at once, one field after the other."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_utils.data.pixels import check_size
from course_utils.data.records import NUM_INDICES, Records, index_of

if TYPE_CHECKING:
    import datasets


class Rendered(Dataset):
    """Rendered pictures of one split. A world says in three methods what its records are and what can be made of them.

    Args:
        split: a key of `lengths`.
        size: side of the pictures in pixels, at least 8.
        length: how many pictures; by default that of the split.
        fields: what a batch holds.
        seed: another seed is another data set.
        lengths: default length of each split.
        known: all fields that there are.

    Raises:
        ValueError: a split, field, size or length that there is not; the message names what there is.
    """

    def __init__(
        self,
        split: str,
        size: int,
        length: int | None,
        fields: Sequence[str],
        seed: int,
        lengths: Mapping[str, int],
        known: Sequence[str],
    ) -> None:
        check_size(size)
        index_of(split, tuple(lengths), "split")
        fields = (fields,) if isinstance(fields, str) else tuple(fields)
        unknown = [field for field in fields if field not in known]
        if unknown or not fields:
            raise ValueError(f"unknown fields {unknown}: choose at least one of {', '.join(known)}")
        length = lengths[split] if length is None else length
        if not 0 < length <= NUM_INDICES:
            raise ValueError(f"length is {length}: it must lie in 1 ... 2**40")
        self.split, self.size, self.length, self.fields, self.seed = split, size, length, fields, seed

    def _records(self, indices: Tensor) -> Records:
        """The records at (batch,) indices of the split."""
        raise NotImplementedError

    def _make(self, field: str, records: Records) -> Tensor | list:
        """A field of a batch, other than "record"."""
        raise NotImplementedError

    def _columns(self, field: str) -> dict:
        """The Hugging Face columns that a field makes."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self.length

    def records(self, indices: Sequence[int] | Tensor) -> Records:
        """The records at the given indices. Raises IndexError for one below 0 or past the end."""
        indices = torch.as_tensor(indices, dtype=torch.int64).reshape(-1)
        if len(indices) and not (0 <= int(indices.min()) and int(indices.max()) < self.length):
            raise IndexError(
                f"indices must lie in 0 ... {self.length - 1} in this data set ({self.split}), "
                f"got {int(indices.min())} ... {int(indices.max())}"
            )
        return self._records(indices)

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> dict:
        """One picture without the batch dimension for an integer, a batch for anything else."""
        if isinstance(index, int):
            if index < 0:
                index += self.length
            return {name: value[0] for name, value in self.__getitems__([index]).items()}
        if isinstance(index, slice):
            index = range(self.length)[index]
        return self.__getitems__(index)

    def __getitems__(self, indices: Sequence[int] | Tensor) -> dict:
        """A whole batch, made at once and already collated."""
        records = self.records(indices)
        batch = {}
        for field in self.fields:
            if field == "record":
                batch.update(records.as_dict())
            else:
                batch[field] = self._make(field, records)
        return batch

    def features(self) -> "datasets.Features":
        """Columns for `course_utils.data.to_dataset` and `stream`."""
        import datasets

        columns = {}
        for field in self.fields:
            columns.update(self._columns(field))
        return datasets.Features(columns)
