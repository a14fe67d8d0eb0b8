"""Scenes as a torch data set that makes a whole batch at once, and the columns of its Hugging Face form."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_utils.data.scenes.captions import LEVELS, Caption, captions
from course_utils.data.scenes.drawing import check_size, label_map, masks
from course_utils.data.scenes.draws import Draws, keys
from course_utils.data.scenes.questions import questions
from course_utils.data.scenes.records import NUM_INDICES, SPLITS, SceneRecords, records
from course_utils.data.scenes.rendering import STYLES, render, render_video

if TYPE_CHECKING:
    import datasets

LENGTHS = {"train": 50_000, "validation": 5_000, "test": 5_000, "compositional": 5_000}
FRAMES = 8
CAPTION_LEVELS = (*LEVELS, "any")


class Scenes(Dataset):
    """Rendered scenes of one split.

        data = Scenes("train", size=32)
        batch = data[range(128)]          # or through `course_utils.data.loader(data, 128)`
        batch["image"], batch["shape"]    # (128, 3, 32, 32) in [-1, 1], (128, 4)

    `course_utils.data.to_dataset(data)` and `stream(data)` give it as Hugging Face `datasets`.

    Args:
        split: one of SPLITS.
        size: side of the pictures in pixels, at least 8.
        style: the rendering under the key "image" (and "video"), one of STYLES.
        length: how many scenes; by default LENGTHS[split]. A longer set begins with the shorter one.
        fields: what a batch holds, any of FIELDS:
            "image" (batch, 3, size, size) float32 in [-1, 1];
            "video" (batch, 8, 3, size, size) float32 in [-1, 1];
            "record": the tensors of `SceneRecords`: "shape", "color", "size" (batch, 4), "background" (batch,), ...;
            "label" (batch,) int64: `SceneRecords.label`, the shape and colour of the first object as one of 48 classes;
            "label_map" (batch, size, size) int64; "masks" (batch, 4, size, size) in [0, 1];
            "caption": a list of `batch` texts, of the level `level`;
            "captions": for each scene one text of each of LEVELS;
            "facts": for each of those the facts that it states, as the numbers of `Fact.code`;
            "questions": for each scene a list of dicts with "kind", "text" and "answer";
            the name of any style: that rendering of the same scenes, for pairs.
        level: of "caption": one of LEVELS, or "any" for another one from scene to scene.
        seed: another seed is another data set.
        objects: how many objects each scene has; None for 1 to 4. With 1, "label" is the class of the scene.

    Raises:
        ValueError: a split, style, field, level, size or length that there is not; the message names what there is.
    """

    def __init__(
        self,
        split: str = "train",
        size: int = 32,
        style: str = "flat",
        length: int | None = None,
        fields: Sequence[str] = ("image", "record"),
        level: str = "full",
        seed: int = 0,
        objects: int | None = None,
    ) -> None:
        check_size(size)
        fields = (fields,) if isinstance(fields, str) else tuple(fields)
        choices = (("split", split, SPLITS), ("style", style, STYLES), ("level", level, CAPTION_LEVELS))
        for kind, value, known in choices:
            if value not in known:
                raise ValueError(f"unknown {kind} {value!r}: choose one of {', '.join(known)}")
        unknown = [field for field in fields if field not in FIELDS]
        if unknown or not fields:
            raise ValueError(f"unknown fields {unknown}: choose at least one of {', '.join(FIELDS)}")
        length = LENGTHS[split] if length is None else length
        if not 0 < length <= NUM_INDICES:
            raise ValueError(f"length is {length}: it must lie in 1 ... 2**40")
        self.split, self.size, self.style, self.length = split, size, style, length
        if objects is not None and not 1 <= objects <= 4:
            raise ValueError(f"a scene has 1 to 4 objects, not {objects}")
        self.fields, self.level, self.seed, self.objects = fields, level, seed, objects

    def __len__(self) -> int:
        return self.length

    def records(self, indices: Sequence[int] | Tensor) -> SceneRecords:
        """The records at the given indices. Raises IndexError for one below 0 or past the end."""
        indices = torch.as_tensor(indices, dtype=torch.int64).reshape(-1)
        if len(indices) and not (0 <= int(indices.min()) and int(indices.max()) < self.length):
            raise IndexError(
                f"indices must lie in 0 ... {self.length - 1} in this data set ({self.split}), "
                f"got {int(indices.min())} ... {int(indices.max())}"
            )
        return records(self.split, indices, self.seed, self.objects)

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
        """A whole batch, made at once and already collated."""
        scenes = self.records(indices)
        batch = {}
        for field in self.fields:
            if field == "record":
                batch.update(scenes.as_dict())
            else:
                batch[field] = _MAKERS[field](self, scenes)
        return batch

    def features(self) -> "datasets.Features":
        """Columns for `course_utils.data.to_dataset` and `stream`."""
        import datasets

        columns = {}
        for field in self.fields:
            columns.update(_columns(field, self.size))
        return datasets.Features(columns)


def _caption_texts(data: Scenes, scenes: SceneRecords) -> list[str]:
    if data.level != "any":
        return [written[0].text for written in captions(scenes, data.seed, (data.level,))]
    levels = Draws(keys(scenes.texture, data.seed, len(LEVELS))).integers(len(LEVELS))[:, 0].tolist()
    return [written[level].text for written, level in zip(captions(scenes, data.seed), levels, strict=True)]


def _of_captions(take: Callable[[Caption], object]) -> Callable[[Scenes, SceneRecords], list]:
    return lambda data, scenes: [[take(caption) for caption in few] for few in captions(scenes, data.seed)]


def _style(style: str) -> Callable[[Scenes, SceneRecords], Tensor]:
    return lambda data, scenes: render(scenes, data.size, style)


_MAKERS: dict[str, Callable[[Scenes, SceneRecords], Tensor | list]] = {
    "image": lambda data, scenes: render(scenes, data.size, data.style),
    "video": lambda data, scenes: render_video(scenes, data.size, FRAMES, data.style),
    "label": lambda data, scenes: scenes.label,
    "label_map": lambda data, scenes: label_map(scenes, data.size),
    "masks": lambda data, scenes: masks(scenes, data.size),
    "caption": _caption_texts,
    "captions": _of_captions(lambda caption: caption.text),
    "facts": _of_captions(lambda caption: [fact.code() for fact in caption.facts]),
    "questions": lambda data, scenes: [[asked._asdict() for asked in few] for few in questions(scenes, data.seed)],
    **{style: _style(style) for style in STYLES},
}
FIELDS = ("record", *_MAKERS)


def _columns(field: str, size: int) -> dict:
    """The Hugging Face columns that a field makes."""
    from datasets import Array2D, Array3D, Array4D, Image, List, Value

    number, text = Value("int64"), Value("string")
    if field == "record":
        places = {name: List(number, length=4) for name in ("shape", "color", "size")}
        scalars = dict.fromkeys(("background", "mover", "motion", "light", "texture"), number)
        return {**places, "jitter": Array2D((4, 2), "int64"), **scalars}
    types = {
        "video": Array4D((FRAMES, 3, size, size), "float32"),
        "label": number,
        "label_map": Array2D((size, size), "int64"),
        "masks": Array3D((4, size, size), "float32"),
        "caption": text,
        "captions": List(text),
        "facts": List(List(List(number, length=10))),
        "questions": List({"kind": text, "text": text, "answer": text}),
    }
    return {field: types.get(field, Image())}
