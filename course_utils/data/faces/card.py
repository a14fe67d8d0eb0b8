"""The card of the faces: its picture book and its text. `python -m course_utils.data.cards` writes both."""

from dataclasses import replace

import torch
from PIL import Image

from course_utils.data.cards import book, named, sheet
from course_utils.data.faces.captions import captions
from course_utils.data.faces.dataset import LENGTHS
from course_utils.data.faces.records import ATTRIBUTES, MAX_JITTER, NUISANCES, OUTFITS, FaceRecords, face, records
from course_utils.data.faces.rendering import HAIR_RGB, render
from course_utils.data.records import join

_SIZE = 64
_BASE = {"smile": "smiling", "skin": "tan", "hair_color": "brown", "background": "sky"}
_CELL = 86  # width of a picture with its name


def _each_attribute() -> tuple[list[FaceRecords], list[str]]:
    """One face with every word of every attribute, and what was changed."""
    words = [(name, word) for name, known in ATTRIBUTES.items() for word in known]
    return [face(**_BASE | {name: word}) for name, word in words], [
        f"{name.replace('_', ' ')}: {word}" for name, word in words
    ]


def _each_nuisance() -> tuple[list[FaceRecords], list[str]]:
    """One face with the least and the most of each small difference, and in each outfit."""
    plain = face(**_BASE)
    ends = [(name, torch.tensor([end])) for name in NUISANCES for end in (-MAX_JITTER, MAX_JITTER)]
    ends += [("outfit", torch.tensor([number])) for number in range(len(OUTFITS))]
    return [replace(plain, **{name: value}) for name, value in ends], [
        f"{name.replace('_', ' ')}: {OUTFITS[value] if name == 'outfit' else f'{int(value):+d}'}"
        for name, value in ends
    ]


def picture_book() -> Image.Image:
    """Faces large and small, captions, and one face with one thing changed at a time."""
    many = records("train", range(48))
    few = records("test", range(4))
    changed, words = _each_attribute()
    varied, differences = _each_nuisance()
    return book(
        [
            ("Faces of the training split at 80 x 80", sheet(render(many[:24], 80), 12)),
            ("and at 32 x 32", sheet(render(many, 32), 24)),
            ("With captions", named(render(few, 96), captions(few), 4, 3 * _CELL)),
            ("One attribute changed at a time", named(render(join(changed), _SIZE), words, 12, _CELL)),
            ("What no attribute says", named(render(join(varied), _SIZE), differences, 12, _CELL)),
        ]
    )


def text() -> str:
    """The text of the card."""
    splits = ", ".join(f"`{split}` {length:,}" for split, length in LENGTHS.items())
    rows = "\n".join(f"| `{name}` | {', '.join(words)} |" for name, words in ATTRIBUTES.items())
    (sentence,) = captions(records("test", [0]))
    return f"""# faces

![Faces large and small, captions, one face with one attribute changed at a time](faces.png)

**What.** Rendered cartoon portraits with nine attributes, drawn evenly and independently of each other, so that
"smiling, without glasses" is as frequent as "smiling, with glasses" and a direction in a latent space can mean one thing:

| attribute | words |
| --- | --- |
{rows}

Every attribute can be seen whatever the others are: hair shows below every hat, the mouth through every beard. Small
differences that nobody names make the pictures various: {", ".join(f"`{name}`" for name in NUISANCES)}, each
-{MAX_JITTER} to {MAX_JITTER}; the `outfit`, one colour of hat and shirt ({", ".join(OUTFITS)}); and the `jitter` of the
place, up to a pixel at 32 x 32.

**Source.** Made by this course; nothing is downloaded. A record is a function of (split, seed, index), the same
integers on every machine. Pictures are computed from signed distances, at any size from 8 pixels up, on the CPU or the
GPU.

**Splits.** {splits} by default; any `length` up to 2^40 can be asked for. No face of one split occurs in another.

**A batch.** `image` (batch, 3, size, size) float32 in [-1, 1]; int64 (batch,) all attributes, small differences and
`outfit`; `jitter` (batch, 2). On request `caption`, one sentence a face, which says all attributes: "{sentence}"

**Load.**

```python
from course_utils.data import Faces, loader, stream, to_dataset
from course_utils.data.faces import captions, face, records, render

batches = loader(Faces("train", size=32), batch_size=128)
table = to_dataset(Faces("test", length=100, fields=("image", "record", "caption")))  # a datasets.Dataset
examples = stream(Faces("train"))                                                     # a datasets.IterableDataset
picture = render(face(smile="smiling", hat="top hat", background="navy"), size=128)
```

**Mind.**
- Left and right are those of the picture, not of the person.
- Moustache, beard and brows have the colour of the hair; a cap may hide the brows.
- A caption leaves out what a face does not wear: without "glasses" there are none.
- Backgrounds and hair colours differ in lightness too, for colour-blind readers; neighbouring skin tones are the
  closest colours. The brown of hair is ({", ".join(map(str, HAIR_RGB["brown"]))}) of 255, and so on: `HAIR_RGB`.
"""
