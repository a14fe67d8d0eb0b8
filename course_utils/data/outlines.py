"""Which characters look the same: makes `outlines.txt`, one line of hexadecimal codepoints for each group.

Two characters look the same if one of the upright fonts gives them one outline (shifts to the left or right do not
count), or draws pictures of them that differ by less than INDISTINGUISHABLE. Groups with a common member are joined.

The table is kept with the code because the splits of `glyphs` depend on it: a pixel that another version of a library
draws differently must not move a character from the test to the training split.
`python -m course_utils.data.outlines` writes it anew.
"""

from pathlib import Path

import numpy
import torch
import torch.nn.functional as F

from course_utils.data.glyphs import UPRIGHT_FONTS, atlas, font_file, named_characters

TABLE = Path(__file__).with_name("outlines.txt")

# Two pictures of the atlas for REFERENCE_SIZE look the same if they differ by less than this: the root of the summed
# squares, ink from 0 to 1. One pixel of the picture that is black here and white there makes a difference of 2.
REFERENCE_SIZE = 32
INDISTINGUISHABLE = 1.0


def groups(fonts: tuple[str, ...] = UPRIGHT_FONTS) -> list[list[int]]:
    """The groups of two or more codepoints that look the same, each ascending, in the order of their first members."""
    parent: dict[int, int] = {}

    def root(codepoint: int) -> int:
        parent.setdefault(codepoint, codepoint)
        while parent[codepoint] != codepoint:
            codepoint = parent[codepoint]
        return codepoint

    for font in fonts:
        for pair in same_outline(font) + same_picture(font):
            one, other = sorted(map(root, pair))
            parent[other] = one
    members: dict[int, list[int]] = {}
    for codepoint in sorted(parent):
        members.setdefault(root(codepoint), []).append(codepoint)
    return [members[first] for first in sorted(members)]


def same_outline(font: str) -> list[tuple[int, int]]:
    """Pairs of characters of a font whose curves have the same points, up to a shift to the left or right."""
    from fontTools.ttLib import TTFont

    first: dict[tuple, int] = {}
    pairs = []
    with TTFont(font_file(font)) as file:
        outlines, names = file["glyf"], file.getBestCmap()
        for codepoint in named_characters(font):
            points, ends, kinds = outlines[names[codepoint]].getCoordinates(outlines)
            points = numpy.array(points, dtype=numpy.int64)
            points[:, 0] -= points[:, 0].min()
            twin = first.setdefault((points.tobytes(), tuple(ends), bytes(kinds)), codepoint)
            if twin != codepoint:
                pairs.append((twin, codepoint))
    return pairs


def same_picture(font: str) -> list[tuple[int, int]]:
    """Pairs of characters of a font whose pictures differ by less than INDISTINGUISHABLE."""
    pixels, codepoints = atlas(font, "all", REFERENCE_SIZE)
    ink = pixels[:, None].to(torch.float32) / 255
    # sums over blocks of 4 x 4 pixels, rightly scaled, are never further apart than the pictures: a quick first choice
    coarse = 4 * F.avg_pool2d(ink, 4).flatten(1)
    near = torch.cdist(coarse, coarse, compute_mode="use_mm_for_euclid_dist") < INDISTINGUISHABLE + 0.1
    one, other = near.triu(1).nonzero(as_tuple=True)
    same = (ink[one] - ink[other]).flatten(1).norm(dim=1) < INDISTINGUISHABLE
    return list(zip(codepoints[one[same]].tolist(), codepoints[other[same]].tolist(), strict=True))


if __name__ == "__main__":
    lines = [" ".join(f"{codepoint:X}" for codepoint in group) for group in groups()]
    TABLE.write_text("\n".join(lines) + "\n")
    print(f"{TABLE}: {len(lines)} groups")
