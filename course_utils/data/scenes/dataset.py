"""Scenes as a torch data set that renders a whole batch at once."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_utils.data.scenes.records import NUM_INDICES, SPLITS, SceneRecords, records
from course_utils.data.scenes.rendering import STYLES, check_size, label_map, masks, render

LENGTHS = {"train": 50_000, "validation": 5_000, "test": 5_000, "compositional": 5_000}
FIELDS = ("image", "record", "label_map", "masks", *STYLES)


class Scenes(Dataset):
    """Rendered scenes of one split.

        data = Scenes("train", size=32)
        batch = data[range(128)]          # or through `course_utils.data.loader(data, 128)`
        batch["image"], batch["shape"]    # (128, 3, 32, 32) in [-1, 1], (128, 4)

    Args:
        split: one of SPLITS.
        size: side of the pictures in pixels, at least 8.
        style: the rendering under the key "image", one of STYLES.
        length: how many scenes; by default LENGTHS[split]. A longer set begins with the shorter one.
        fields: what a batch holds, any of FIELDS:
            "image" (batch, 3, size, size) float32 in [-1, 1];
            "record": the tensors of `SceneRecords`: "shape", "color", "size" (batch, 4), "background" (batch,), ...;
            "label_map" (batch, size, size) int64; "masks" (batch, 4, size, size) in [0, 1];
            the name of any style: that rendering of the same scenes, for pairs.
        seed: another seed is another data set.

    Raises:
        ValueError: a split, style, field, size or length that there is not; the message names what there is.
    """

    def __init__(
        self,
        split: str = "train",
        size: int = 32,
        style: str = "flat",
        length: int | None = None,
        fields: Sequence[str] = ("image", "record"),
        seed: int = 0,
    ) -> None:
        check_size(size)
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
        if style not in STYLES:
            raise ValueError(f"unknown style {style!r}: choose one of {', '.join(STYLES)}")
        fields = (fields,) if isinstance(fields, str) else tuple(fields)
        unknown = [field for field in fields if field not in FIELDS]
        if unknown or not fields:
            raise ValueError(f"unknown fields {unknown}: choose some of {', '.join(FIELDS)}")
        length = LENGTHS[split] if length is None else length
        if not 0 < length <= NUM_INDICES:
            raise ValueError(f"length is {length}: it must lie in 1 ... 2**40")
        self.split, self.size, self.style, self.length, self.fields, self.seed = split, size, style, length, fields, seed

    def __len__(self) -> int:
        return self.length

    def records(self, indices: Sequence[int] | Tensor) -> SceneRecords:
        """The records at the given indices. Raises IndexError for one below 0 or past the end."""
        indices = torch.as_tensor(indices, dtype=torch.int64).reshape(-1)
        if len(indices) and not (0 <= int(indices.min()) and int(indices.max()) < self.length):
            raise IndexError(
                f"indices must lie in 0 ... {self.length - 1} for this split ({self.split}), "
                f"got {int(indices.min())} ... {int(indices.max())}"
            )
        return records(self.split, indices, self.seed)

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> dict:
        """One scene without the batch dimension for an integer, a batch for anything else."""
        if isinstance(index, int):
            if index < 0:
                index += self.length
            return {name: value[0] for name, value in self.__getitems__([index]).items()}
        if isinstance(index, slice):
            index = range(self.length)[index]
        return self.__getitems__(index)

    def __getitems__(self, indices: Sequence[int] | Tensor) -> dict:
        """A whole batch, rendered at once and already collated."""
        scenes = self.records(indices)
        batch = {}
        for field in self.fields:
            if field == "record":
                batch.update(scenes.as_dict())
            elif field == "label_map":
                batch[field] = label_map(scenes, self.size)
            elif field == "masks":
                batch[field] = masks(scenes, self.size)
            else:
                batch[field] = render(scenes, self.size, self.style if field == "image" else field)
        return batch
