"""Scenes as a torch data set that makes a whole batch at once, and the columns of its Hugging Face form."""

from collections.abc import Callable, Sequence

from torch import Tensor

from course_utils.data.draws import Draws, keys
from course_utils.data.records import index_of
from course_utils.data.rendered import Rendered
from course_utils.data.scenes.captions import LEVELS, Caption, captions
from course_utils.data.scenes.drawing import label_map, masks
from course_utils.data.scenes.questions import questions
from course_utils.data.scenes.records import SceneRecords, records
from course_utils.data.scenes.rendering import STYLES, render, render_video

LENGTHS = {"train": 50_000, "validation": 5_000, "test": 5_000, "compositional": 5_000}
FRAMES = 8
CAPTION_LEVELS = (*LEVELS, "any")


class Scenes(Rendered):
    """Rendered scenes of one split.

        data = Scenes("train", size=32)
        batch = data[range(128)]          # or through `course_utils.data.loader(data, 128)`
        batch["image"], batch["shape"]    # (128, 3, 32, 32) in [-1, 1], (128, 4)

    `course_utils.data.to_dataset(data)` and `stream(data)` give it as Hugging Face `datasets`.

    Args:
        split: a key of LENGTHS.
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
        super().__init__(split, size, length, fields, seed, LENGTHS, FIELDS)
        index_of(style, STYLES, "style")
        index_of(level, CAPTION_LEVELS, "level")
        if objects is not None and not 1 <= objects <= 4:
            raise ValueError(f"a scene has 1 to 4 objects, not {objects}")
        self.style, self.level, self.objects = style, level, objects

    def _records(self, indices: Tensor) -> SceneRecords:
        return records(self.split, indices, self.seed, self.objects)

    def _make(self, field: str, scenes: SceneRecords) -> Tensor | list:
        return _MAKERS[field](self, scenes)

    def _columns(self, field: str) -> dict:
        return _columns(field, self.size)


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
