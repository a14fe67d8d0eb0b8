"""The card of the scenes: its picture book and its text. `python -m course_utils.data.cards` writes both."""

import textwrap

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from course_utils.data.cards import INK, beside, book, sheet
from course_utils.data.glyphs import font_file
from course_utils.data.scenes.captions import LEVELS, captions
from course_utils.data.scenes.dataset import FRAMES, LENGTHS
from course_utils.data.scenes.drawing import COLOR_RGB, masks
from course_utils.data.scenes.facts import best_recall
from course_utils.data.scenes.questions import questions
from course_utils.data.scenes.records import (
    BACKGROUNDS,
    COLORS,
    HELD_OUT,
    MOTIONS,
    NUM_CLASSES,
    SHAPES,
    SceneRecords,
    records,
    scene,
)
from course_utils.data.scenes.rendering import STYLES, render, render_video

_SIZE = 64
_GALLERY = 1000


def _all_pairs() -> Tensor:
    """(48, 3, size, size): each shape in each colour; a pair that is held out on a grey ground."""
    return torch.cat(
        [
            render(
                scene([("large", color, shape, "top left")], "gray" if (shape, color) in HELD_OUT else "cream"), _SIZE
            )
            for shape in SHAPES
            for color in COLORS
        ]
    )[:, :, : _SIZE // 2, : _SIZE // 2]


def _written(few: SceneRecords, width: int) -> Image.Image:
    """One scene with its captions and questions."""
    lines = [f"{level}: {caption.text}" for level, caption in zip(LEVELS, captions(few)[0], strict=True)]
    asked = [f"{question.text} {question.answer}" for question in questions(few)[0]]
    lines += [f"questions: {'  '.join(asked)}"]
    text = "\n".join(part for line in lines for part in textwrap.wrap(line, 128, subsequent_indent="    "))
    page = Image.new("RGB", (width, max(_SIZE * 2, 14 * text.count("\n") + 20)), "white")
    page.paste(sheet(render(few, _SIZE * 2), 1), (0, 0))
    font = ImageFont.truetype(font_file("DejaVuSans"), 10)
    ImageDraw.Draw(page).multiline_text((_SIZE * 2 + 10, 0), text, fill=INK, font=font)
    return page


def picture_book() -> Image.Image:
    """The same scenes in every style; videos; masks; all pairs of shape and colour; captions and questions."""
    scenes = records("train", range(6))
    rows = [(style, sheet(render(scenes, _SIZE, style), 6)) for style in STYLES]
    moving = render_video(scenes[torch.tensor([2, 5])], _SIZE, FRAMES).flatten(0, 1)
    inside = masks(scenes[2:4], _SIZE).flatten(0, 1)[:, None] * 2 - 1
    styles = beside(book(rows[0::2]), book(rows[1::2]))
    return book(
        [
            ("The same six scenes in each style", styles),
            ("Captions and questions of the third scene", _written(scenes[2], styles.width)),
            ("Videos: the third scene and the sixth", sheet(moving, FRAMES)),
            ("Masks of the third scene and the fourth, place by place", sheet(inside, FRAMES)),
            ("Every shape in every colour; on grey: only in the compositional split", sheet(_all_pairs(), 24)),
        ]
    )


def text() -> str:
    """The text of the card, with measured figures."""
    gallery = records("test", range(_GALLERY))
    written = captions(gallery)
    example = written[int((gallery.count == 3).long().argmax())]
    recall = "\n".join(
        f"| {level} | {best_recall(facts, gallery, 1):.2f} | {best_recall(facts, gallery, 5):.2f} "
        f"| {best_recall(facts, gallery, 10):.2f} | {example[number].text} |"
        for number, level in enumerate(LEVELS)
        for facts in [[few[number].facts for few in written]]
    )
    splits = ", ".join(f"`{split}` {length:,}" for split, length in LENGTHS.items())
    held_out = ", ".join(f"{color} {shape}" for shape, color in HELD_OUT)
    return f"""# scenes

![The same scenes in each style, captions and questions, videos, masks, all pairs of shape and colour](scenes.png)

**What.** Rendered worlds with exact ground truth. A scene is a 2 x 2 grid of places with 1 to 4 objects, at most one a
place. An object is one of {len(SHAPES)} shapes ({", ".join(SHAPES)}), in one of {len(COLORS)} colours
({", ".join(COLORS)}) and two sizes, and sits a little off the middle of its place. There are {len(BACKGROUNDS)}
backgrounds ({", ".join(BACKGROUNDS)}). All are balanced. One object in six after the first repeats the first one's
shape and colour, so that there are two red circles to count.

**Source.** Made by this course; nothing is downloaded. A record is a function of (split, seed, index), the same
integers on every machine. Pictures are computed from signed distances, at any size from 8 pixels up, on the CPU or the
GPU; texture and brush strokes are hashed from the record.

**Splits.** {splits} by default; any `length` up to 2^40 can be asked for. No scene of one split occurs in another.
`compositional` tests new combinations of known parts: each of its scenes holds at least one pair of shape and colour
that occurs in no other split ({held_out}).

**Styles.** {", ".join(f"`{style}`" for style in STYLES)}. In all of them but `side` every object stays where it is.
`labels` and `edges` do not show colours. `render_video` makes a short video in any style: one object does one of
{len(MOTIONS)} things ({", ".join(MOTIONS)}).

**A batch.** `image` (batch, 3, size, size) float32 in [-1, 1]; int64 `shape`, `color`, `size` (batch, 4), -1 where a
place is empty; `background`, `mover`, `motion`, `light`, `texture` (batch,); `jitter` (batch, 4, 2). On request
`label_map` (batch, size, size), `masks` (batch, 4, size, size), `video`, `caption`, `captions`, `facts`, `questions`,
and the name of any style for an aligned pair. `objects=1` gives scenes of one object only, and `label` (batch,) their
class: one of {NUM_CLASSES}, 8 times the index of the shape plus that of the colour.

**Captions.** Six levels, each caption with the facts that it states. Many scenes fit a partial caption, so no reader
can find the one that it was written for each time. What is reachable (`best_recall`) among the first {_GALLERY:,} test
scenes, by one who knows which scenes each caption is true of and nothing else:

| level | recall@1 | @5 | @10 | of a scene of three |
| --- | --- | --- | --- | --- |
{recall}

**Questions.** Ten kinds. Yes and no come in pairs about one scene, "how many red objects" in threes (zero, one, two);
the others are balanced because the records are. The words alone give nothing away, held-out pairs included.

**Load.**

```python
from course_utils.data import Scenes, loader, stream, to_dataset
from course_utils.data.scenes import captions, questions, records, render, render_video, scene

batches = loader(Scenes("train", size=32), batch_size=128)
pairs = Scenes("train", size=64, fields=("edges", "photo"))
classes = Scenes("train", size=64, fields=("image", "label"), objects=1)
table = to_dataset(Scenes("test", length=100, fields=("image", "record", "captions")))  # a datasets.Dataset
examples = stream(Scenes("train"))                                                      # a datasets.IterableDataset
picture = render(scene([("large", "red", "heart", "top left")], "sky"), size=128, style="photo")
```

**Mind.**
- There are few different scenes of one object: of those in 50,000, a third occurs more than once. A generated picture that equals a
  training scene is not by itself a copy.
- Left and right compare columns, above and below rows: of two objects on a diagonal both hold.
- In `compositional`, a full caption may contain a pair of words that no training caption has side by side.
- The colours are chosen to differ in lightness too; pink on gray and yellow on sand are the hardest for colour-blind
  readers. The red of the records is ({", ".join(map(str, COLOR_RGB["red"]))}) of 255, and so on: `COLOR_RGB`.
"""
