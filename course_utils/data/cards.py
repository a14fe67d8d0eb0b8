"""The picture books: `python -m course_utils.data.cards` writes the cards of the worlds to `data/cards`.

Each world gets a picture (PNG) and a text (Markdown) with measured figures; `real` gets the text only.
"""

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from course_utils.data import glyphs, real
from course_utils.data.digits import Digits
from course_utils.data.exposure import picture
from course_utils.data.glyphs import GlyphPairs, Glyphs, class_names, font_file
from course_utils.runtime import data_folder

INK = "#202020"
COLORS = 256  # of a picture file, so that it stays small


def sheet(images: Tensor, columns: int, padding: int = 2) -> Image.Image:
    """Pictures (batch, 1 or 3, height, width) in [-1, 1] side by side and row by row."""
    tiles = [picture(image) for image in images]
    width, height = tiles[0].width + padding, tiles[0].height + padding
    page = Image.new("RGB", (columns * width, -(-len(tiles) // columns) * height), "white")
    for position, tile in enumerate(tiles):
        page.paste(tile, (position % columns * width, position // columns * height))
    return page


def named(images: Tensor, names: Sequence[str], columns: int, width: int) -> Image.Image:
    """Pictures, each with its name below, wrapped to `width` pixels."""
    font = _font(9)
    height = images.shape[-1] + 50
    page = Image.new("RGB", (columns * width, -(-len(images) // columns) * height), "white")
    draw = ImageDraw.Draw(page)
    for position, (image, name) in enumerate(zip(images, names, strict=True)):
        left, top = position % columns * width, position // columns * height
        page.paste(picture(image), (left, top))
        lines = textwrap.wrap(name, int(width / 6.6))[:4]
        draw.multiline_text((left, top + images.shape[-1] + 1), "\n".join(lines), fill=INK, font=font, spacing=1)
    return page


def book(parts: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Headed pictures one below the other on a white page."""
    margin, heading = 10, 20
    height = margin + sum(part.height + heading + margin for _, part in parts)
    width = max(part.width for _, part in parts) + 2 * margin
    page = Image.new("RGB", (width, height), "white")
    draw, top = ImageDraw.Draw(page), margin
    for title, part in parts:
        draw.text((margin, top), title, fill=INK, font=_font(12))
        page.paste(part, (margin, top + heading))
        top += heading + part.height + margin
    return page


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures side by side."""
    page = Image.new("RGB", (left.width + right.width, max(left.height, right.height)), "white")
    page.paste(left, (0, 0))
    page.paste(right, (left.width, 0))
    return page


def digits_book() -> Image.Image:
    """Twenty digits of each class as the course uses them, and one as it was scanned."""
    train, raw = Digits("train"), Digits("train", size=8)
    rows = [(train.labels == label).nonzero().squeeze(1)[:20] for label in range(10)]
    scanned = raw.images[torch.stack([row[0] for row in rows])].repeat_interleave(4, 2).repeat_interleave(4, 3)
    return book(
        [
            ("Twenty of each class, training split, enlarged to 32 x 32", sheet(train.images[torch.cat(rows)], 20)),
            ("The first of each class as scanned, 8 x 8 pixels", sheet(scanned, 10)),
        ]
    )


def glyphs_book() -> Image.Image:
    """All letters in all fonts; the jitter; named characters; equal outlines; a pair of styles."""
    plain = Glyphs(size=14, jitter=False)
    by_font = plain.font.argsort(stable=True)
    letter = class_names().index("R")
    train = Glyphs("train")
    same = (train.label[train.entries(range(len(train)))] == letter).nonzero().squeeze(1)[:30]
    letters = train.__getitems__(same.tolist())
    every = Glyphs("train", size=40, characters="all", jitter=False, fields=("image", "caption"))
    batch = every.__getitems__(list(range(3, 33)))
    alike = "AΑАCϹСOΟОՕ"
    sans = Glyphs(size=40, characters="all", fonts=["DejaVuSans"], jitter=False)
    rows = torch.tensor([row for row, code in enumerate(sans.codepoint.tolist()) if chr(code) in alike])
    pairs = GlyphPairs("DejaVuSans", "STIXGeneralItalic", length=60).__getitems__(list(range(30)))
    names = [glyphs.name(code) for code in sans.codepoint[rows].tolist()]
    return book(
        [
            ("characters='alphanumeric': 62 classes in 21 fonts", sheet(plain.draw(by_font, by_font), 62, 2)),
            ("One letter of the training split: font and jitter", sheet(letters["image"], 30)),
            ("characters='all': with official Unicode names", named(batch["image"], batch["caption"], 10, 102)),
            ("One outline, one group: any of its names is right", named(sans.draw(rows, rows), names, 10, 102)),
            ("GlyphPairs: DejaVuSans above, STIXGeneralItalic below",
             sheet(torch.cat([pairs["image"], pairs["target"]]), 30)),
        ]
    )  # fmt: skip


def scenes_book() -> Image.Image:
    """The same scenes in every rendering; captions and questions, videos, masks, pairs of shape and colour."""
    from course_utils.data.scenes.card import picture_book

    return picture_book()


def scenes_text() -> str:
    """The card of the scenes."""
    from course_utils.data.scenes.card import text

    return text()


def faces_book() -> Image.Image:
    """Faces large and small, captions, one face with one thing changed at a time."""
    from course_utils.data.faces.card import picture_book

    return picture_book()


def faces_text() -> str:
    """The card of the faces."""
    from course_utils.data.faces.card import text

    return text()


def digits_text() -> str:
    """The card of the digits."""
    sizes = {split: len(Digits(split)) for split in ("train", "validation", "test")}
    return f"""# digits

![Handwritten digits of each class](digits.png)

**What.** {sum(sizes.values()):,} real handwritten digits of 13 people, 8 x 8 pixels with 17 grey values, enlarged
smoothly (bicubic) to any size. They come with scikit-learn, so nothing is downloaded.

**Source.** E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository,
1998 (CC BY 4.0); the copy is the test part of that set, as `sklearn.datasets.load_digits` gives it.

**Splits.** {_table(sizes)}
Fixed and stratified: of each class a tenth is for validation and a tenth for test.

**A batch.** `image` (batch, 1, size, size) float32 in [-1, 1], ink +1 on background -1; `label` (batch,) int64, 0 to 9.

**Load.**

```python
from course_utils.data import Digits, loader, stream, to_dataset

batches = loader(Digits("train", size=32), batch_size=128)
table = to_dataset(Digits("test"))      # a datasets.Dataset
examples = stream(Digits("train"))      # a datasets.IterableDataset, to be split over nodes and workers
```

**Mind.**
- At 32 x 32 the pictures hold no more detail than at 8 x 8: a blurred sample is not by itself a bad one.
- It is small. A model with many parameters learns the training split by heart: compare with the nearest training
  picture.
- Who wrote which digit is not recorded, so one writer may appear in several splits.
"""


def glyphs_text() -> str:
    """The card of the glyphs."""
    letters = {split: Glyphs(split) for split in glyphs.SPLITS}
    every = {split: Glyphs(split, characters="all") for split in glyphs.SPLITS}
    classes = torch.cat([data.codepoint for data in every.values()]).unique()
    groups = glyphs.groups_of(classes)
    splits = "\n".join(
        f"  | `{split}` | {len(data.codepoint.unique()):,} | {len(data.group.unique()):,} | {len(data.codepoint):,} |"
        for split, data in every.items()
    )
    return f"""# glyphs

![Letters in all fonts, the jitter, named characters, equal outlines and pairs of styles](glyphs.png)

**What.** The characters of the fonts that matplotlib brings along, drawn with their true baseline and relative size
(all fonts scaled to capitals of one height), with a small random shift, scale and slant. Nothing is downloaded: fonts
are drawn once into `data/cache/glyphs`.

**Source.** DejaVu 2.35 (Bitstream Vera licence, changes in the public domain), STIX 1.0 (STIX Font License, near the
SIL Open Font License), Computer Modern in the BaKoMa edition (free to use and distribute). Names: the Unicode
Character Database, as in Python's `unicodedata`. Of the 40 font files {len(glyphs.TEXT_FONTS)} hold usable text; the
others hold symbols only, or draw something else (`LastResortHE` a box for everything, `cmex10` a parenthesis for "A",
`cmmi10` old-style digits).

**Sets.**
- `alphanumeric`: 62 classes 0-9, A-Z, a-z in {len(glyphs.TEXT_FONTS)} fonts, balanced over both. Pictures by default:
  {_table({k: len(v) for k, v in letters.items()})} The splits share characters and fonts and differ in the jitter; for
  letters in an unseen font, give the splits different `fonts`.
- `all`: {len(classes):,} named characters with ink in four upright fonts ({", ".join(glyphs.UPRIGHT_FONTS)}),
  each with its official name as caption: an open-vocabulary set of pictures and texts. The splits hold different
  *outlines*:

  | split | characters | outlines | pictures without jitter |
  | --- | --- | --- | --- |
{splits}

- `GlyphPairs(source, target)`: one letter in two fonts with one jitter.

**A batch.** `image` (batch, 1, size, size) float32 in [-1, 1], ink +1 on background -1; int64 (batch,): `label`
(position in `glyphs.class_names(characters)`), `merged`, `group`, `font` (position in `glyphs.TEXT_FONTS`),
`codepoint`; with `fields=(..., "caption")` also `caption`, a list of names.

**Load.**

```python
from course_utils.data import GlyphPairs, Glyphs, loader, stream, to_dataset

batches = loader(Glyphs("train"), batch_size=128)
named = Glyphs("train", characters="all", fields=("image", "caption", "group"))
unseen = Glyphs("test", fonts=["cmtt10"])
styles = GlyphPairs("DejaVuSans", "STIXGeneralItalic", split="train")
table = to_dataset(Glyphs("test", length=1000))     # a datasets.Dataset
```

**Mind.**
- {len(classes) - len(groups.unique()):,} of the {len(classes):,} characters of `all` look like another one with a
  smaller code (Latin, Greek and Cyrillic A): an answer is right if its `group` is. The groups are listed in
  `course_utils/data/outlines.txt`.
- Capital I and small l are two bars in some fonts. `merged` makes one class of each of `glyphs.LOOKALIKES`
  ({", ".join(" and ".join(group) for group in glyphs.LOOKALIKES)}). Pairs like c and C, o and O are told apart by their
  size: do not crop or rescale the ink.
- Fonts of one family share letters that are nearly equal (oblique faces are slanted upright ones): a held-out face of a
  known family is no unseen font.
- Without jitter all splits of `alphanumeric` hold the same pictures.
- The fonts of Computer Modern keep TeX's encoding beyond letters and digits, so they are not part of `all`.
"""


def real_text() -> str:
    """The card of the real data sets."""
    rows = "\n".join(
        f"| `{name}` | {source.place} | {source.megabytes:,} MB "
        f"| {getattr(source, 'channels', 3)} x {source.size} x {source.size} | `{source.substitute}`"
        f"{'' if source.home == 'course_utils.data' else f' of {source.home}'} |"
        for name, source in real.SOURCES.items()
    )
    return f"""# Real data by name

**What.** Public data sets in the form of the course's own worlds. They need a network once; then they lie in
`data/cache/real`.

| name | from | download | picture | without a network |
| --- | --- | --- | --- | --- |
{rows}

**Source.** MNIST: LeCun, Cortes and Burges (CC BY-SA 3.0). Fashion-MNIST: Xiao, Rasul and Vollgraf, 2017 (MIT).
CIFAR-10: Krizhevsky, 2009 (no licence stated). CelebA: Liu, Luo, Wang and Tang, ICCV 2015 (for research that is not
commercial). Facades: Tylecek and Sara, GCPR 2013. Edges2shoes: photographs of Yu and Grauman, CVPR 2014 (for research
that is not commercial), edges by the network of Xie and Tu, ICCV 2015. Maps: Google Maps. Horse2zebra: ImageNet. These
four as Isola, Zhu, Zhou and Efros (pix2pix, CVPR 2017) and Zhu, Park, Isola and Efros (CycleGAN, ICCV 2017) put them
together, from their server.

**Splits.** `train`, `validation`, `test`. CelebA and facades (400, 100, 106 pairs) have their own; of the others a twelfth
of the training pictures is the validation split, always the same. Of maps (1,096 pairs) and edges2shoes (49,825) the
test split is what the authors call `val` (1,098 and 200). Horse2zebra: 1,067 horses and 1,334 zebras, for the test 120
and 140.

**A batch.** `image` (batch, channels, size, size) float32 in [-1, 1], the central square of the picture; `label`
(batch,) int64, for CelebA `attributes` (batch, 40) int64 of 0 and 1. Of pairs: `input`, a drawing (labels of a facade, a
street map, edges of a shoe), and `image`, its photograph; of collections without pairs: `x` and `y`.

**Load.** `python -m course_utils.data.real mnist` downloads and does nothing else; in Python:

```python
from course_utils.data import loader, real

batches = loader(real.load("mnist", "train", size=32), batch_size=128)
pairs = loader(real.load_pairs("facades"), batch_size=1)  # for pix2pix
collections = loader(real.load_unpaired("horse2zebra"), batch_size=1)  # for CycleGAN; takes maps and others too
```

**Mind.**
- An interrupted download goes on where it stopped, and the cache never holds half a data set. The downloaded files
  themselves lie in the hub's own cache and may be deleted afterwards (`hf cache`). The archives of pairs and collections
  lie in `data/cache/downloads` until they are unpacked, so they need their size twice for a moment.
- Pairs and collections come as they are: the papers also enlarge them to 286 x 286, cut 256 x 256 out at random, and
  mirror them.
"""


BOOKS: dict[str, Callable[[], Image.Image]] = {
    "digits": digits_book,
    "faces": faces_book,
    "glyphs": glyphs_book,
    "scenes": scenes_book,
}
TEXTS: dict[str, Callable[[], str]] = {
    "digits": digits_text,
    "faces": faces_text,
    "glyphs": glyphs_text,
    "real": real_text,
    "scenes": scenes_text,
}


def write(folder: Path) -> None:
    """Write all pictures and texts."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in BOOKS.items():
        make().quantize(COLORS, kmeans=3).save(folder / f"{name}.png", optimize=True)
    for name, text in TEXTS.items():
        (folder / f"{name}.md").write_text(text())


def _table(sizes: dict[str, int]) -> str:
    return ", ".join(f"`{name}` {size:,}" for name, size in sizes.items()) + "."


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_file("DejaVuSans"), size)


if __name__ == "__main__":
    write(data_folder("cards"))
