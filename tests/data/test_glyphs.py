import string
import unicodedata
from pathlib import Path

import pytest
import torch
from scipy import ndimage

from course_utils.data import GlyphPairs, Glyphs, glyphs, loader, outlines, stream, to_dataset

# For tests that need any font, not all.
FEW = ["DejaVuSans", "cmr10"]


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(glyphs, "cache_folder", lambda *parts: Path(tmp_path, *parts))
    return tmp_path / "glyphs"


HOLES = dict.fromkeys("069ADOPRabdeopq", 1) | {"8": 2, "B": 2}
VARIED = set("4Qfgk")  # open or closed, with or without a loop: a matter of style


@pytest.mark.parametrize("font", glyphs.TEXT_FONTS)
def test_each_text_font_draws_each_alphanumeric(font):
    """No blanks, no placeholders: 62 different outlines, each of as many parts and with as many holes as its letter."""
    pixels, codepoints = glyphs.atlas(font, "alphanumeric", 64)
    assert "".join(map(chr, codepoints.tolist())) == string.digits + string.ascii_uppercase + string.ascii_lowercase
    ink = pixels.float().flatten(1) / 255
    assert ink.mean(1).min() > 0.01
    assert ink.max(1).values.min() > 0.9
    distance = torch.cdist(ink, ink) + 999 * torch.eye(62)
    assert distance.min() > 4, f"{font} draws two characters alike"
    for codepoint, picture in zip(codepoints.tolist(), pixels.numpy(), strict=True):
        character = chr(codepoint)
        parts = ndimage.label(picture > 64, structure=[[1] * 3] * 3)[1]
        dotted = character in "ij" or (character == "0" and "Mono" in font)
        assert parts == (2 if dotted else 1), character
        regions, count = ndimage.label(picture <= 64)
        large = ndimage.sum_labels(picture <= 64, regions, range(1, count + 1)) >= 30  # not the notch of an acute angle
        if character not in VARIED:
            assert large.sum() - 1 == HOLES.get(character, 0), character


@pytest.mark.parametrize("font", glyphs.TEXT_FONTS)
def test_each_text_font_names_its_characters_as_their_codes_say(font):
    """The name that the font itself gives to an outline: cmex10 has "parenrightbt" at A, cmmi10 "zerooldstyle" at 0."""
    from fontTools.agl import UV2AGL
    from fontTools.ttLib import TTFont

    with TTFont(glyphs.font_file(font), lazy=True) as file:
        names = file.getBestCmap()
    for character in glyphs.ALPHANUMERIC:
        assert names[ord(character)] == UV2AGL[ord(character)]


@pytest.mark.parametrize("font", ["LastResortHE-Regular", "cmex10", "cmsy10", "STIXSizOneSymReg", "DejaVuSansDisplay"])
def test_fonts_without_text_are_refused(font):
    with pytest.raises(ValueError, match="must be a list of names from DejaVuSans"):
        Glyphs(fonts=[font])


def test_all_fonts_of_matplotlib_were_considered():
    """A font that a later matplotlib adds, or drops, should not go unnoticed."""
    files = {path.stem for path in glyphs.font_file("DejaVuSans").parent.glob("*.ttf")}
    assert set(glyphs.TEXT_FONTS) <= files
    assert len(glyphs.TEXT_FONTS) == len(set(glyphs.TEXT_FONTS)) == 21


@pytest.mark.parametrize("size", [16, 32, 48])
def test_pictures(size):
    batch = Glyphs("test", size=size, fonts=FEW).__getitems__(list(range(50)))
    assert batch["image"].shape == (50, 1, size, size)
    assert batch["image"].dtype == torch.float32
    assert batch["image"].min() == -1
    assert 0.9 < batch["image"].max() <= 1
    for field in ("label", "merged", "group", "font", "codepoint"):
        assert batch[field].dtype == torch.int64
        assert batch[field].shape == (50,)
    names = glyphs.class_names()
    assert [names[label] for label in batch["label"]] == [chr(codepoint) for codepoint in batch["codepoint"]]
    assert {glyphs.TEXT_FONTS[font] for font in batch["font"]} == set(FEW)


def test_the_same_picture_at_every_size():
    small, large = (Glyphs(size=size, fonts=FEW).__getitems__(list(range(40)))["image"] for size in (32, 64))
    assert (torch.nn.functional.avg_pool2d(large, 2) - small).abs().mean() < 0.02


def test_letters_keep_their_size_and_their_baseline():
    plain = Glyphs(size=64, fonts=["DejaVuSans"], jitter=False)
    rows = {chr(codepoint): row for row, codepoint in enumerate(plain.codepoint.tolist())}

    def extent(character: str) -> tuple[int, int]:
        row = torch.tensor([rows[character]])
        ink = (plain.draw(row, row)[0, 0] > 0).any(dim=1).nonzero()
        return ink.min().item(), ink.max().item() + 1

    top, bottom = extent("H")
    assert bottom - top == pytest.approx(glyphs.CAPITAL * 64, abs=1.5)
    assert bottom == pytest.approx(glyphs.BASELINE * 64, abs=1.5)
    assert extent("x")[1] == pytest.approx(bottom, abs=1)
    assert extent("x")[0] > top + 5
    assert extent("p")[1] > bottom + 5


def test_no_ink_is_cut_off():
    for font in glyphs.UPRIGHT_FONTS:
        pixels, _ = glyphs.atlas(font, "all", 32)
        border = torch.cat([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], dim=1)
        assert border.max() == 0, font


def test_index_decides_everything():
    first, second = Glyphs("train", fonts=FEW), Glyphs("train", fonts=FEW)
    assert torch.equal(first.__getitems__([7, 3])["image"], second.__getitems__([3, 7])["image"].flip(0))
    assert torch.equal(first[7]["image"], first.__getitems__([7])["image"][0])
    other = Glyphs("train", fonts=FEW, seed=1).__getitems__(list(range(64)))
    assert (other["codepoint"] != first.__getitems__(list(range(64)))["codepoint"]).any()


def test_the_record_of_an_index_never_changes():
    # written down once: the same on every machine and in every version
    batch = Glyphs("train").__getitems__(list(range(8)))
    assert "".join(map(chr, batch["codepoint"])) == "MAAxeZqI"
    assert batch["font"].tolist() == [7, 3, 16, 16, 1, 1, 15, 11]


def test_a_pass_holds_each_character_of_each_font_once_and_the_next_other_jitter():
    train = Glyphs("train", fonts=FEW)
    assert len(train) == 2 * 62 * 40
    one = train.__getitems__(list(range(124)))
    two = train.__getitems__(list(range(124, 248)))
    assert len(set(zip(one["codepoint"].tolist(), one["font"].tolist(), strict=True))) == 124
    assert torch.equal(one["codepoint"], two["codepoint"])
    assert (one["image"] - two["image"]).abs().flatten(1).amax(1).min() > 0.05


def test_splits_of_the_alphanumerics_share_no_picture():
    batches = [Glyphs(split, fonts=FEW).__getitems__(list(range(400))) for split in glyphs.SPLITS]
    pictures = torch.cat([batch["image"] for batch in batches]).flatten(1)
    assert len(pictures.unique(dim=0)) == 1200


def test_fonts_can_be_held_out():
    train, test = Glyphs("train", fonts=glyphs.TEXT_FONTS[:4]), Glyphs("test", fonts=["cmtt10"])
    assert not set(train.font.tolist()) & set(test.font.tolist())


def test_without_jitter_a_letter_is_always_the_same():
    plain = Glyphs("train", fonts=["cmr10"], jitter=False)
    batch = plain.__getitems__([5, 5 + 62])
    assert torch.equal(batch["image"][0], batch["image"][1])


def test_jitter_is_bounded_and_centred():
    matrices = glyphs.jitter(0, "train", torch.arange(20_000))
    assert matrices.shape == (20_000, 2, 3)
    assert (matrices[:, :, 2].abs() <= 2 * glyphs.SHIFT).all()
    assert (matrices[:, 0, 0] - 1).abs().max() < glyphs.SCALE / (1 - glyphs.SCALE) + 1e-6
    assert (matrices[:, 0, 1] / matrices[:, 0, 0]).abs().max() <= glyphs.SLANT + 1e-6
    assert matrices[:, :, 2].mean(0).abs().max() < 0.002
    varied = matrices.flatten(1).std(0)
    assert (varied[[0, 1, 2, 5]] > 0.03).all()


def test_sampling_positions_are_those_of_affine_grid():
    matrices = glyphs.jitter(0, "train", torch.arange(5)) + torch.rand(
        5, 2, 3, generator=torch.Generator().manual_seed(0)
    )
    theirs = torch.nn.functional.affine_grid(matrices, [5, 1, 24, 24], align_corners=False)
    assert (glyphs._positions(matrices, 24) - theirs).abs().max() < 1e-5


def test_every_named_character_has_its_official_name():
    assert glyphs.name(0x3B1) == "GREEK SMALL LETTER ALPHA"
    every = Glyphs("validation", characters="all", fields=("caption", "codepoint", "label"))
    batch = every.__getitems__(list(range(300)))
    assert batch["caption"] == [unicodedata.name(chr(codepoint)) for codepoint in batch["codepoint"]]
    assert [glyphs.class_names("all")[label] for label in batch["label"]] == [chr(c) for c in batch["codepoint"]]
    with pytest.raises(ValueError, match="no such name"):
        glyphs.name(0xE000)


def test_all_holds_the_named_characters_with_ink_and_no_others():
    names = glyphs.class_names("all")
    assert len(names) > 7000
    assert set(glyphs.ALPHANUMERIC) <= set(names)
    assert not set(names) & set(" \u00a0\u2003\u200b\ue000")
    ink = Glyphs("train", characters="all").pixels.flatten(1).amax(1)
    assert ink.min() > 30


def test_splits_of_all_share_no_outline():
    splits = [Glyphs(split, characters="all") for split in glyphs.SPLITS]
    pictures = [{picture.tobytes() for picture in split.pixels.numpy()} for split in splits]
    groups = [set(split.group.tolist()) for split in splits]
    for i in range(3):
        for j in range(i):
            assert not pictures[i] & pictures[j]
            assert not groups[i] & groups[j]
    sizes = [len(own) for own in groups]
    assert sizes[0] > 7 * sizes[1] > 4 * sizes[2] > 2 * sizes[1]
    # every (character, font) is in exactly one of them
    counted = sum(len(glyphs.named_characters(font)) for font in glyphs.UPRIGHT_FONTS)
    assert sum(len(split.codepoint) for split in splits) == counted


def test_the_split_of_a_character_does_not_depend_on_the_fonts():
    whole, bold = (Glyphs("test", characters="all", fonts=fonts) for fonts in (None, ["DejaVuSans-Bold"]))
    train = Glyphs("train", characters="all")
    assert set(bold.codepoint.tolist()) & set(whole.codepoint.tolist())
    assert not set(bold.codepoint.tolist()) & set(train.codepoint.tolist())


def test_equal_outlines_are_one_group():
    def distinct(characters: str) -> int:
        return len(glyphs.groups_of(torch.tensor([ord(character) for character in characters])).unique())

    for same in ("AΑА", "OΟО", "cсϲ", "gց", "òὸ"):
        assert distinct(same) == 1, same
    for different in ("Il1", "0Oo", "cC", "'’", ",'", "-_", "ΩW", string.digits + string.ascii_letters):
        assert distinct(different) == len(different), different
    groups = glyphs.groups_of(glyphs.codepoints_of("all"))
    assert torch.equal(glyphs.groups_of(groups), groups)
    assert (groups <= glyphs.codepoints_of("all")).all()


@pytest.mark.parametrize("font", glyphs.UPRIGHT_FONTS)
def test_the_table_of_equal_outlines_holds_what_the_font_files_say(font):
    pairs = outlines.same_outline(font)
    assert len(pairs) > 100
    one, other = (glyphs.groups_of(torch.tensor(side)) for side in zip(*pairs, strict=True))
    assert torch.equal(one, other)


def test_the_table_is_up_to_date():
    """Mended by `python -m course_utils.data.outlines`."""
    lines = [" ".join(f"{codepoint:X}" for codepoint in group) for group in outlines.groups()]
    stored = outlines.TABLE.read_text().splitlines()
    # another version of the font renderer may decide otherwise of a few pictures that nearly agree
    assert len(set(lines) ^ set(stored)) < 0.05 * len(stored)


def test_lookalikes_are_one_class_of_merged():
    label = torch.arange(62)
    merged = glyphs.merged_label(label)
    names = glyphs.class_names()
    for group in glyphs.LOOKALIKES:
        assert len({merged[names.index(character)].item() for character in group}) == 1
    expected = 62 - sum(len(group) - 1 for group in glyphs.LOOKALIKES)
    assert len(merged.unique()) == expected
    batch = Glyphs("test", fonts=FEW).__getitems__(list(range(124)))
    assert torch.equal(batch["merged"], merged[batch["label"]])


def test_pairs_are_one_letter_in_two_styles():
    pairs = GlyphPairs("DejaVuSans", "STIXGeneralItalic", split="test")
    batch = pairs.__getitems__(list(range(62)))
    assert batch["image"].shape == batch["target"].shape == (62, 1, 32, 32)
    assert len(batch["label"].unique()) == 62
    assert (batch["image"] - batch["target"]).abs().flatten(1).mean(1).min() > 0.01
    styles = {
        font: {chr(c): picture for c, picture in zip(*reversed(glyphs.atlas(font, "alphanumeric", 32)), strict=True)}
        for font in ("DejaVuSans", "STIXGeneralItalic")
    }
    plain = GlyphPairs("DejaVuSans", "STIXGeneralItalic", jitter=False)[3]
    letter = chr(plain["codepoint"])
    for field, font in (("image", "DejaVuSans"), ("target", "STIXGeneralItalic")):
        expected = torch.nn.functional.avg_pool2d(styles[font][letter][None, None].float() / 127.5 - 1, 2)[0]
        assert (plain[field] - expected).abs().max() < 1e-5
    every = GlyphPairs("DejaVuSans", "STIXGeneral", characters="all", split="validation")
    assert 50 < len(every) < 1000
    assert every.features()["label"].num_classes == len(glyphs.class_names("all"))


def test_the_cache_is_used_and_holds_nothing_unfinished(own_cache, monkeypatch):
    drawn, codepoints = glyphs.atlas("cmr10", "alphanumeric", 16)
    (file,) = own_cache.iterdir()
    monkeypatch.setattr(glyphs, "_rasterised", lambda *arguments: pytest.fail("drawn again"))
    stored, again = glyphs.atlas("cmr10", "alphanumeric", 16)
    assert torch.equal(stored, drawn)
    assert torch.equal(again, codepoints)
    assert file.suffix == ".safetensors"


@pytest.mark.parametrize("damage", ["truncated", "changed", "foreign", "empty"])
def test_a_damaged_cache_is_rebuilt(own_cache, damage):
    drawn, _ = glyphs.atlas("cmr10", "alphanumeric", 16)
    (file,) = own_cache.iterdir()
    content = bytearray(file.read_bytes())
    if damage == "changed":
        content[-1000] ^= 255
    file.write_bytes({"truncated": content[:-9], "changed": content, "foreign": b"not an atlas", "empty": b""}[damage])
    assert torch.equal(glyphs.atlas("cmr10", "alphanumeric", 16)[0], drawn)
    assert torch.equal(glyphs._read(file)["pixels"], drawn)


def test_a_write_that_fails_leaves_nothing(own_cache, monkeypatch):
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(glyphs.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        glyphs.atlas("cmr10", "alphanumeric", 16)
    assert list(own_cache.iterdir()) == []


def test_a_table_and_a_stream_hold_the_same():
    letters = Glyphs("test", fonts=FEW, length=40, fields=("image", "label", "font", "caption"))
    table = to_dataset(letters)
    assert table.features["label"].int2str(table[11]["label"]) == chr(letters.codepoint[letters.entries([11])].item())
    assert table.features["font"].int2str(table[11]["font"]) in FEW
    assert table["caption"][:] == letters.__getitems__(list(range(40)))["caption"]
    assert [row["caption"] for row in stream(letters, num_shards=3)] == table["caption"][:]


def test_in_a_loader_with_workers():
    batches = [list(loader(Glyphs("train", fonts=FEW, length=60), 20, num_workers=count)) for count in (0, 1)]
    for here, there in zip(*batches, strict=True):
        assert torch.equal(here["image"], there["image"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, "'dev'.*train, validation, test"),
        ({"characters": "greek"}, "'greek'.*alphanumeric, all"),
        ({"size": 4}, "at least 8"),
        ({"fonts": "cmr10"}, "must be a list"),
        ({"fonts": []}, "must be a list"),
        ({"fonts": ["cmr10"], "characters": "all"}, "must be a list of names from DejaVuSans"),
        ({"fields": ("image", "colour")}, "'colour'.*image, label"),
    ],
)
def test_errors_name_what_was_expected(arguments, message):
    with pytest.raises(ValueError, match=message):
        Glyphs(**arguments)


def test_an_index_outside_is_refused():
    letters = Glyphs(fonts=FEW, length=10)
    assert torch.equal(letters[-1]["image"], letters[9]["image"])
    with pytest.raises(IndexError, match="10 glyphs"):
        letters[10]
