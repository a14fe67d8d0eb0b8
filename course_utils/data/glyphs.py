"""Glyphs: the characters of the fonts that matplotlib brings along, each with its official Unicode name.

A picture shows one character on a square cell: ink +1 on background -1, its baseline and its size relative to the
other characters as in the font (so "c" stays smaller than "C"), all fonts scaled to capitals of one height, the
ink centred from left to right. A small shift, scale and slant (the jitter) make each picture another one.

Which character, font and jitter belong to an index is integer arithmetic on (seed, split, index).
"""

import hashlib
import inspect
import logging
import os
import string
import unicodedata
import zlib
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.utils.data import Dataset

from course_utils.data.hashing import hashed, hashed_integers
from course_utils.runtime import cache_folder

if TYPE_CHECKING:
    import datasets

SPLITS = ("train", "validation", "test")
ALPHANUMERIC = string.digits + string.ascii_uppercase + string.ascii_lowercase

# The fonts whose 62 alphanumeric characters are what they say. The others of the 40 files hold symbols only, a box for
# every character (LastResortHE), old-style digits (cmmi10), a parenthesis for "A" (cmex10) or a prime for it (cmsy10).
TEXT_FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique",
    "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique",
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic",
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
    "cmr10", "cmb10", "cmss10", "cmti10", "cmtt10",
)  # fmt: skip
# Beyond letters and digits the Computer Modern files keep TeX's encoding: their "<" is an inverted exclamation mark.
UNICODE_FONTS = tuple(font for font in TEXT_FONTS if not font.startswith("cm"))
# The default fonts of characters="all": one upright face of each family.
UPRIGHT_FONTS = ("DejaVuSans", "DejaVuSansMono", "DejaVuSerif", "STIXGeneral")

# Characters that one picture alone does not tell apart: the capital I and the small L of DejaVu Sans and cmss10 are two
# bars, and the jitter hides what little they differ in height. (A small network that read 99.7 % of the 62 classes of
# `test` made 11 of its 14 mistakes here and none more than twice elsewhere; c and C, 0 and O are told apart by size.)
LOOKALIKES = ("Il",)

FIELDS = ("image", "label", "merged", "group", "font", "codepoint")
PASSES = {"alphanumeric": {"train": 40, "validation": 4, "test": 4}, "all": {"train": 8, "validation": 1, "test": 1}}
HELD_OUT = 10  # percent of the outlines, for validation and again for test

# The layout of a cell, in parts of its side.
CAPITAL = 0.54  # height of a capital H
BASELINE = 0.73  # distance of the baseline from the top
MARGIN = 0.06  # ink that would come closer to the border is made smaller and moved
SHIFT, SCALE, SLANT = 0.035, 0.08, 0.15  # the largest jitter

OVERSAMPLING = 2  # of the atlas in comparison with the pictures
FONT_PIXELS = 128  # size of the letters before they are averaged down to the atlas


class Glyphs(Dataset):
    """Characters as pictures (batch, 1, size, size) in [-1, 1].

    With `characters="alphanumeric"` the 62 classes 0-9, A-Z, a-z in all 21 text fonts; the splits share characters and
    fonts and differ in the jitter. For letters in an unseen font give the splits different `fonts`.

    With `characters="all"` every named character of the fonts that has ink. The splits differ in the *outline*: a
    character of `test` was never seen in `train`, nor any other character that looks the same in `UPRIGHT_FONTS`
    (Latin, Greek and Cyrillic A are one outline). Characters of one outline share their `group`: an answer is right if
    its group is.

    Args:
        split: `train`, `validation` or `test`.
        size: height and width in pixels, at least 8.
        characters: `alphanumeric` or `all`.
        fonts: names from TEXT_FONTS (for `all` from UNICODE_FONTS); by default all of them, for `all` UPRIGHT_FONTS.
        jitter: False draws each character where the font puts it; then only `all` has splits without common pictures.
        seed: of the order and the jitter.
        length: number of examples; any will do, beyond one pass the characters come again with another jitter. By
            default PASSES passes over the characters of the split.
        fields: what a batch holds: any of FIELDS and `caption`.
        device: where batches are drawn.

    Raises:
        ValueError: if a split, a set of characters, a font or a field is unknown, or `size` is below 8.
    """

    def __init__(
        self,
        split: str = "train",
        size: int = 32,
        characters: str = "alphanumeric",
        fonts: Sequence[str] | None = None,
        jitter: bool = True,
        *,
        seed: int = 0,
        length: int | None = None,
        fields: Sequence[str] = FIELDS,
        device: torch.device | str = "cpu",
    ):
        _check(split, size, characters)
        for field in fields:
            if field not in (*FIELDS, "caption"):
                raise ValueError(f"glyphs have no field {field!r}; they have {', '.join(FIELDS)}, caption")
        self.split = split
        self.size = size
        self.characters = characters
        self.fonts = _fonts(fonts, characters)
        self.jitter = jitter
        self.seed = seed
        self.fields = tuple(fields)

        pixels, codepoints, font = _entries(self.fonts, characters, size)
        group = groups_of(codepoints, characters)
        if characters == "all":
            own = split_of(group) == SPLITS.index(split)
            pixels, codepoints, font, group = pixels[own], codepoints[own], font[own], group[own]
        self.pixels = pixels.to(device)
        self.codepoint = codepoints
        self.font = font
        self.group = group
        self.label = torch.searchsorted(codepoints_of(characters), codepoints)
        self.merged = merged_label(self.label) if characters == "alphanumeric" else group
        self.order = hashed(seed, split, torch.arange(len(codepoints))).argsort(stable=True)
        self.length = len(codepoints) * PASSES[characters][split] if length is None else length

    def __len__(self) -> int:
        return self.length

    def entries(self, indices: Sequence[int] | Tensor) -> Tensor:
        """Which (character, font) belongs to each index: rows of `codepoint`, `font`, `label`, `group`."""
        indices = torch.as_tensor(indices, dtype=torch.int64)
        return self.order[indices % len(self.order)]

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor | list[str]]:
        """A batch.

        `image` (batch, 1, size, size) float32; int64 tensors (batch,): `label` (position in `class_names`), `merged`
        (the label after LOOKALIKES are made one class; for `all` the group), `group` (the smallest codepoint of the
        same outline), `font` (position in TEXT_FONTS), `codepoint`; on request `caption`, a list of Unicode names.
        """
        indices = torch.as_tensor(indices, dtype=torch.int64)
        entries = self.entries(indices)
        batch: dict[str, Tensor | list[str]] = {}
        for field in self.fields:
            if field == "image":
                batch[field] = self.draw(entries, indices)
            elif field == "caption":
                batch[field] = [name(codepoint) for codepoint in self.codepoint[entries].tolist()]
            else:
                batch[field] = getattr(self, field)[entries]
        return batch

    def __getitem__(self, index: int) -> dict[str, Tensor | str]:
        """One example: `image` (1, size, size), numbers as tensors ()."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is outside of a split of {len(self)} glyphs")
        return {name: values[0] for name, values in self.__getitems__([index % len(self)]).items()}

    def draw(self, entries: Tensor, indices: Tensor) -> Tensor:
        """The pictures (batch, 1, size, size) of `entries` (batch,), each with the jitter of its index in `indices`."""
        ink = self.pixels[entries.to(self.pixels.device)].to(torch.float32)[:, None]
        plain = torch.eye(2, 3).expand(len(indices), 2, 3)
        transform = jitter(self.seed, self.split, indices) if self.jitter else plain
        positions = _positions(transform.to(ink.device), self.size)
        drawn = F.grid_sample(ink, positions, mode="bilinear", padding_mode="zeros", align_corners=False)
        return (drawn * (2 / 255) - 1).clamp(-1, 1)

    def features(self) -> "datasets.Features":
        """Columns for `exposure.to_dataset` and `exposure.stream`."""
        import datasets

        types = {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=list(class_names(self.characters))),
            "font": datasets.ClassLabel(names=list(TEXT_FONTS)),
            "caption": datasets.Value("string"),
        }
        return datasets.Features({field: types.get(field, datasets.Value("int64")) for field in self.fields})


class GlyphPairs(Dataset):
    """Two styles of one letter: the same characters in two fonts, with the same jitter (a translation pair).

    A batch holds `image` and `target` (batch, 1, size, size) in [-1, 1], `label` and `codepoint` (batch,) int64.
    With `characters="all"` the outlines of the splits differ; with `alphanumeric` only the jitter does.

    Args:
        source, target: fonts, names from TEXT_FONTS (for `all` from UNICODE_FONTS).
        split, size, characters, jitter, seed: as for `Glyphs`.
        length: number of pairs; by default as many passes as `Glyphs` makes.

    Raises:
        ValueError: as `Glyphs`.
    """

    def __init__(
        self,
        source: str,
        target: str,
        split: str = "train",
        size: int = 32,
        characters: str = "alphanumeric",
        jitter: bool = True,
        *,
        seed: int = 0,
        length: int | None = None,
    ):
        options = {"split": split, "size": size, "characters": characters, "jitter": jitter, "seed": seed}
        self.source = Glyphs(fonts=[source], **options)
        self.target = Glyphs(fonts=[target], **options)
        self.rows = torch.isin(self.source.codepoint, self.target.codepoint).nonzero().squeeze(1)
        self.rows = self.rows[hashed(seed, split, self.rows).argsort(stable=True)]
        # codepoints are sorted within one font
        self.target_rows = torch.searchsorted(self.target.codepoint, self.source.codepoint[self.rows])
        self.length = len(self.rows) * PASSES[characters][split] if length is None else length

    def __len__(self) -> int:
        return self.length

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """A batch of pairs: `image`, `target`, `label`, `codepoint`."""
        indices = torch.as_tensor(indices, dtype=torch.int64)
        position = indices % len(self.rows)
        rows = self.rows[position]
        return {
            "image": self.source.draw(rows, indices),
            "target": self.target.draw(self.target_rows[position], indices),
            "label": self.source.label[rows],
            "codepoint": self.source.codepoint[rows],
        }

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One pair."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is outside of a split of {len(self)} pairs")
        return {name: values[0] for name, values in self.__getitems__([index % len(self)]).items()}

    def features(self) -> "datasets.Features":
        """Columns for `exposure.to_dataset` and `exposure.stream`."""
        import datasets

        return datasets.Features(
            image=datasets.Image(),
            target=datasets.Image(),
            label=datasets.ClassLabel(names=list(class_names(self.source.characters))),
            codepoint=datasets.Value("int64"),
        )


def name(codepoint: int) -> str:
    """The official Unicode name, as in `name(0x3B1) == "GREEK SMALL LETTER ALPHA"`.

    Raises:
        ValueError: if the codepoint has none.
    """
    return unicodedata.name(chr(codepoint))


def class_names(characters: str = "alphanumeric") -> tuple[str, ...]:
    """The characters that the numbers in `label` stand for, in their order."""
    return tuple(map(chr, codepoints_of(characters).tolist()))


@lru_cache(maxsize=2)
def codepoints_of(characters: str) -> Tensor:
    """The codepoints (classes,) of a set of characters, ascending: position is `label`.

    For `all`: every named character with ink in UNICODE_FONTS or, of Computer Modern's, the alphanumeric ones.
    """
    if characters == "alphanumeric":
        return torch.tensor(sorted(map(ord, ALPHANUMERIC)))
    return torch.tensor(sorted(set().union(*map(named_characters, UNICODE_FONTS))))


def merged_label(label: Tensor) -> Tensor:
    """Alphanumeric labels with each of LOOKALIKES made one class, that of its first character; same shape, int64."""
    classes = class_names()
    table = torch.arange(len(classes))
    for group in LOOKALIKES:
        table[[classes.index(character) for character in group]] = classes.index(group[0])
    return table.to(label.device)[label]


def groups_of(codepoints: Tensor, characters: str = "all") -> Tensor:
    """The group of each codepoint (count,): the smallest codepoint that looks the same in one of UPRIGHT_FONTS."""
    if characters == "alphanumeric":
        return codepoints.clone()
    equal = equal_outlines()
    return torch.tensor([equal.get(codepoint, codepoint) for codepoint in codepoints.tolist()], dtype=torch.int64)


def split_of(groups: Tensor) -> Tensor:
    """The split of each group (count,) of outlines, as indices into SPLITS."""
    percent = hashed_integers(100, "glyphs split", groups)
    return (percent < 2 * HELD_OUT).long() + (percent < HELD_OUT).long()


@lru_cache(maxsize=1)
def equal_outlines() -> dict[int, int]:
    """For each codepoint that does not stand alone, the smallest codepoint that looks the same.

    Read from `outlines.txt` beside this file, made by `course_utils.data.outlines`.
    """
    equal = {}
    for line in Path(__file__).with_name("outlines.txt").read_text().splitlines():
        members = [int(member, 16) for member in line.split()]
        equal.update(dict.fromkeys(members, members[0]))
    return equal


def jitter(seed: int, split: str, indices: Tensor) -> Tensor:
    """The jitter of each index as affine matrices (batch, 2, 3), from positions in the output to those in the input."""
    across, down, scale, slant = (
        hashed_integers(2**16, seed, split, "jitter", number, indices).to(torch.float32) / 2**15 - 1
        for number in range(4)
    )
    scale = 1 / (1 + SCALE * scale)
    zero = torch.zeros_like(scale)
    rows = [scale, SLANT * slant * scale, 2 * SHIFT * across, zero, scale, 2 * SHIFT * down]
    return torch.stack(rows, dim=1).view(-1, 2, 3)  # (batch, 6) -> (batch, 2, 3)


def atlas(font: str, characters: str, size: int) -> tuple[Tensor, Tensor]:
    """All characters of one font, drawn once and then read from `data/cache/glyphs`.

    Returns:
        Ink (count, OVERSAMPLING * size, OVERSAMPLING * size) uint8, and codepoints (count,) int64 in ascending order.
    """
    # the cache knows the code that drew it, so a change there is never hidden by an old file
    layout = (CAPITAL, BASELINE, MARGIN, OVERSAMPLING, FONT_PIXELS, Image.__version__, inspect.getsource(_cell))
    file = cache_folder("glyphs", f"{font}-{characters}-{size}-{_key([font], layout)}.safetensors")
    stored = _read(file)
    if stored is None:
        stored = _rasterised(font, characters, size)
        _write(file, stored)
    return stored["pixels"], stored["codepoint"]


def _check(split: str, size: int, characters: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"glyphs have no split {split!r}; they have {', '.join(SPLITS)}")
    if size < 8:
        raise ValueError(f"size is {size}, but a letter needs at least 8 pixels")
    if characters not in PASSES:
        raise ValueError(f"glyphs have no characters {characters!r}; choose one of {', '.join(PASSES)}")


def _fonts(fonts: Sequence[str] | None, characters: str) -> tuple[str, ...]:
    if fonts is None:
        return TEXT_FONTS if characters == "alphanumeric" else UPRIGHT_FONTS
    known = TEXT_FONTS if characters == "alphanumeric" else UNICODE_FONTS
    unknown = [font for font in fonts if font not in known]
    if isinstance(fonts, str) or not fonts or unknown:
        raise ValueError(f"fonts is {fonts!r}, but must be a list of names from {', '.join(known)}")
    return tuple(fonts)


def _entries(fonts: Sequence[str], characters: str, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ink, codepoint and font (position in TEXT_FONTS) of every (character, font)."""
    atlases = [atlas(font, characters, size) for font in fonts]
    font = [torch.full((len(own),), TEXT_FONTS.index(font)) for font, (_, own) in zip(fonts, atlases, strict=True)]
    return torch.cat([pixels for pixels, _ in atlases]), torch.cat([own for _, own in atlases]), torch.cat(font)


def _positions(transform: Tensor, size: int) -> Tensor:
    """Where to sample, (batch, size, size, 2): what `F.affine_grid` gives, by broadcasting in an eighth of its time."""
    axis = (torch.arange(size, device=transform.device, dtype=torch.float32) + 0.5) * (2 / size) - 1
    across, down, shift = transform[:, None, None].unbind(-1)  # each (batch, 1, 1, 2)
    return across * axis[None, None, :, None] + down * axis[None, :, None, None] + shift


def font_file(font: str) -> Path:
    """Where matplotlib keeps a font."""
    import matplotlib

    return Path(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf")


@cache
def named_characters(font: str) -> tuple[int, ...]:
    """The named characters of a font that have ink, ascending."""
    from fontTools.ttLib import TTFont

    logging.getLogger("fontTools").setLevel(logging.ERROR)  # it warns of the creation dates of Computer Modern
    drawn = ImageFont.truetype(font_file(font), FONT_PIXELS, layout_engine=ImageFont.Layout.BASIC)
    with TTFont(font_file(font), lazy=True) as file:
        codepoints = sorted(file.getBestCmap())
    named = [codepoint for codepoint in codepoints if unicodedata.name(chr(codepoint), "")]
    return tuple(codepoint for codepoint in named if drawn.getmask(chr(codepoint)).getbbox() is not None)


def _rasterised(font: str, characters: str, size: int) -> dict[str, Tensor]:
    drawn = ImageFont.truetype(font_file(font), FONT_PIXELS, layout_engine=ImageFont.Layout.BASIC)
    codepoints = sorted(map(ord, ALPHANUMERIC)) if characters == "alphanumeric" else named_characters(font)
    side = OVERSAMPLING * size
    ink = numpy.stack([_cell(drawn, chr(codepoint), side) for codepoint in codepoints])
    return {"pixels": torch.from_numpy(ink), "codepoint": torch.tensor(codepoints)}


def _cell(font: ImageFont.FreeTypeFont, character: str, side: int) -> numpy.ndarray:
    """One character on its cell (side, side) of bytes, averaged exactly from a much larger drawing."""
    left, top, right, bottom = font.getbbox(character, anchor="ls")
    natural = -font.getbbox("H", anchor="ls")[1] / CAPITAL
    extent = max(natural, *(length / (1 - 2 * MARGIN) for length in (right - left, bottom - top)))
    # the border of the cell above the ink: where the baseline wants it, unless ink would leave the margins
    above = -BASELINE * extent
    above = max(min(above, top - MARGIN * extent), bottom - (1 - MARGIN) * extent)
    beside = (left + right - extent) / 2
    # the drawing's origin lies so far in that the cell is all inside
    x, y = (int(max(0.0, -border)) + 1 for border in (beside, above))
    canvas = Image.new("L", (int(x + beside + extent) + 2, int(y + above + extent) + 2))
    ImageDraw.Draw(canvas).text((x, y), character, font=font, fill=255, anchor="ls")
    box = (x + beside, y + above, x + beside + extent, y + above + extent)
    return numpy.asarray(canvas.resize((side, side), Image.Resampling.BOX, box=box))


def _key(fonts: Sequence[str], options: tuple) -> str:
    """A name for what is made from these font files in this way."""
    made_from = hashlib.blake2b(repr(options).encode(), digest_size=8)
    for font in fonts:
        made_from.update(font_file(font).read_bytes())
    return made_from.hexdigest()


def _read(file: Path) -> dict[str, Tensor] | None:
    """Stored tensors, or None where there are none or they are damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        stored = load_file(file)
        checksum = stored.pop("checksum").item()
    except (FileNotFoundError, SafetensorError, KeyError):
        return None
    return stored if checksum == _checksum(stored) else None


def _write(file: Path, tensors: dict[str, Tensor]) -> None:
    """Store tensors: whole or not at all, also when two processes do it at once."""
    from safetensors.torch import save_file

    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        save_file(tensors | {"checksum": torch.tensor(_checksum(tensors))}, unfinished)
        os.replace(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)


def _checksum(tensors: dict[str, Tensor]) -> int:
    checksum = 0
    for name in sorted(tensors):
        checksum = zlib.crc32(tensors[name].numpy(), zlib.crc32(name.encode(), checksum))
    return checksum
