"""Handwritten digits: 1,797 real 8x8 pictures that come with scikit-learn (Alpaydin and Kaynak, UCI, 1998).

They need no download. Each picture is enlarged smoothly to the size asked for; no detail is added by that.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from course_utils.data.hashing import hashed

if TYPE_CHECKING:
    import datasets

SPLITS = ("train", "validation", "test")
CLASS_NAMES = tuple("0123456789")
HELD_OUT = 0.1  # of each class, for validation and again for test


class Digits(Dataset):
    """The digits of one split as pictures (batch, 1, size, size) in [-1, 1], ink +1 on background -1.

    The split is fixed and stratified: of each class a tenth is `validation`, a tenth `test`, the rest `train`.

    Args:
        split: `train` (1,439 pictures), `validation` or `test`.
        size: height and width in pixels, at least 8.

    Raises:
        ValueError: if there is no such split, or `size` is below 8.
    """

    def __init__(self, split: str = "train", size: int = 32):
        if split not in SPLITS:
            raise ValueError(f"digits has no split {split!r}; it has {', '.join(SPLITS)}")
        if size < 8:
            raise ValueError(f"size is {size}, but the pictures have 8x8 pixels: choose at least 8")
        self.split = split
        self.size = size
        pixels, labels = _load()
        own = split_of(labels) == SPLITS.index(split)
        self.labels = labels[own]
        self.images = enlarged(pixels[own], size)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """A batch: `image` (batch, 1, size, size) float32, `label` (batch,) int64 in 0 .. 9."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        return {"image": self.images[chosen], "label": self.labels[chosen]}

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One example: `image` (1, size, size), `label` ()."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is outside of a split of {len(self)} digits")
        return {name: values[0] for name, values in self.__getitems__([index]).items()}

    def features(self) -> "datasets.Features":
        """Columns for `exposure.to_dataset` and `exposure.stream`."""
        import datasets

        return datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=list(CLASS_NAMES)))


def split_of(labels: Tensor) -> Tensor:
    """The split of each of the 1,797 digits, as (count,) indices into SPLITS, from their `labels` (count,)."""
    splits = torch.zeros_like(labels)
    for label in labels.unique():
        own = (labels == label).nonzero().squeeze(1)
        order = own[hashed("digits split", own).argsort()]
        held_out = round(HELD_OUT * len(own))
        splits[order[:held_out]] = 1
        splits[order[held_out : 2 * held_out]] = 2
    return splits


def enlarged(pixels: Tensor, size: int) -> Tensor:
    """Pictures (batch, 8, 8) in [0, 1] as (batch, 1, size, size) in [-1, 1], interpolated with cubic polynomials."""
    if size == 8:
        return 2 * pixels[:, None] - 1
    return 2 * F.interpolate(pixels[:, None], size=(size, size), mode="bicubic").clamp(0, 1) - 1


@lru_cache(maxsize=1)
def _load() -> tuple[Tensor, Tensor]:
    """All digits: pixels (1797, 8, 8) in [0, 1] and labels (1797,)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return torch.tensor(bunch.images, dtype=torch.float32) / 16, torch.tensor(bunch.target, dtype=torch.int64)
