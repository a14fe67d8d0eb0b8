"""Faces as a torch data set that makes a whole batch at once, and the columns of its Hugging Face form."""

from collections.abc import Callable, Sequence

from torch import Tensor

from course_utils.data.faces.captions import captions
from course_utils.data.faces.records import ATTRIBUTES, NUISANCES, FaceRecords, records
from course_utils.data.faces.rendering import render
from course_utils.data.rendered import Rendered

LENGTHS = {"train": 50_000, "validation": 5_000, "test": 5_000}


class Faces(Rendered):
    """Rendered faces of one split.

        data = Faces("train", size=32)
        batch = data[range(128)]          # or through `course_utils.data.loader(data, 128)`
        batch["image"], batch["smile"]    # (128, 3, 32, 32) in [-1, 1], (128,)

    `course_utils.data.to_dataset(data)` and `stream(data)` give it as Hugging Face `datasets`.

    Args:
        split: a key of LENGTHS.
        size: side of the pictures in pixels, at least 8.
        length: how many faces; by default LENGTHS[split]. A longer set begins with the shorter one.
        fields: what a batch holds, any of FIELDS:
            "image" (batch, 3, size, size) float32 in [-1, 1];
            "record": the tensors of `FaceRecords`: "smile", "hat", ... (batch,), "jitter" (batch, 2);
            "caption": a list of `batch` texts.
        seed: another seed is another data set.

    Raises:
        ValueError: a split, field, size or length that there is not; the message names what there is.
    """

    def __init__(
        self,
        split: str = "train",
        size: int = 32,
        length: int | None = None,
        fields: Sequence[str] = ("image", "record"),
        seed: int = 0,
    ) -> None:
        super().__init__(split, size, length, fields, seed, LENGTHS, FIELDS)

    def _records(self, indices: Tensor) -> FaceRecords:
        return records(self.split, indices, self.seed)

    def _make(self, field: str, faces: FaceRecords) -> Tensor | list:
        return _MAKERS[field](self, faces)

    def _columns(self, field: str) -> dict:
        from datasets import Image, List, Value

        if field == "record":
            number = Value("int64")
            return dict.fromkeys((*ATTRIBUTES, *NUISANCES, "outfit"), number) | {"jitter": List(number, length=2)}
        return {field: Value("string") if field == "caption" else Image()}


_MAKERS: dict[str, Callable[[Faces, FaceRecords], Tensor | list]] = {
    "image": lambda data, faces: render(faces, data.size),
    "caption": lambda data, faces: captions(faces),
}
FIELDS = ("record", *_MAKERS)
