"""What the records of all rendered worlds share: batches of integers, one row a picture."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Self, TypeVar

import torch
from torch import Tensor

from course_utils.data.draws import STEP, Draws
from course_utils.data.hashing import hashed

NUM_INDICES = 2**40
RESIDUES = {"train": (0, 1, 2), "validation": (3,), "test": (4,)}
"""The checksums, modulo 5, of what can be seen in each split: see `settled`."""


@dataclass(frozen=True, eq=False)
class Records:
    """A batch of records: a world derives its own from this, with one tensor (batch, ...) a field."""

    kind: ClassVar[str] = "record"

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self._first.device

    def __len__(self) -> int:
        return self._first.shape[0]

    def __getitem__(self, which: int | slice | Sequence[int] | Tensor) -> Self:
        """The chosen records, always as a batch: `records[3]` is a batch of one. Raises IndexError past the end."""
        if isinstance(which, int):
            if not -len(self) <= which < len(self):
                raise IndexError(f"{self.kind} {which} of a batch of {len(self)}")
            which = [which]
        return type(self)(**{name: value[which] for name, value in self.as_dict().items()})

    def __iter__(self) -> Iterator[Self]:
        return (self[index] for index in range(len(self)))

    def as_dict(self) -> dict[str, Tensor]:
        """The fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, batch: dict) -> Self:
        """The records of a batch of the data set (which may hold other keys too). Raises KeyError where one lacks."""
        missing = [field.name for field in fields(cls) if field.name not in batch]
        if missing:
            raise KeyError(f"the batch lacks {', '.join(missing)}: ask the data set for the field 'record'")
        return cls(**{field.name: batch[field.name] for field in fields(cls)})

    def to(self, device: torch.device | str) -> Self:
        """The same records on another device."""
        return type(self)(**{name: value.to(device) for name, value in self.as_dict().items()})

    @property
    def _first(self) -> Tensor:
        return getattr(self, fields(self)[0].name)


Batch = TypeVar("Batch", bound=Records)


def join(batches: Sequence[Batch]) -> Batch:
    """Several batches of records of one world as one, in order."""
    parts = [batch.as_dict() for batch in batches]
    return type(batches[0])(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})


def checked_indices(split: str, splits: Sequence[str], indices: Iterable[int] | Tensor) -> Tensor:
    """The indices as (batch,) int64 on the CPU.

    Raises:
        ValueError: a split that is not one of `splits`.
        IndexError: an index that is negative, or 2**40 or more.
    """
    index_of(split, splits, "split")
    if not isinstance(indices, Tensor):
        indices = torch.tensor(list(indices), dtype=torch.int64)
    indices = indices.to("cpu", torch.int64).reshape(-1)
    if len(indices) and not (0 <= int(indices.min()) and int(indices.max()) < NUM_INDICES):
        raise IndexError(f"indices must lie in 0 ... 2**40 - 1, got {int(indices.min())} ... {int(indices.max())}")
    return indices


def index_of(word: str, words: Sequence[str], kind: str) -> int:
    """The position of a word. Raises ValueError, with all words, where it is none of them."""
    if word not in words:
        raise ValueError(f"unknown {kind} {word!r}: choose one of {', '.join(words)}")
    return words.index(word)


def settled(code: Tensor, residues: Sequence[int], draws: Draws) -> Tensor:
    """One more visible integer, so that no picture of one split occurs in another.

    A checksum of all that can be seen, modulo 5, decides about the split. This gives the last part of what can be seen,
    so that the checksum is one of the split's own residues.

    Args:
        code: (batch,) int64, one number for all else that can be seen.
        residues: those of the split, out of 0 ... 4; other splits have others.
        draws: of the batch.

    Returns:
        (batch,) int64 in 0 ... 4.
    """
    table = torch.tensor(residues)
    residue = table[draws.integers(len(table))[:, 0]]
    return (residue - hashed(code - STEP).remainder(5)).remainder(5)
