"""CLIP's tokenizer against open_clip's and transformers', on a vocabulary made here and, where it lies in open_clip, on the published one."""

import gzip
import json
import unicodedata
from pathlib import Path

import open_clip.tokenizer
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from course_utils.clip import CLIPTokenizer
from course_utils.clip.tokenizer import NUM_MERGES, cleaned
from course_utils.data import Documents
from course_utils.hub import WeightsError
from course_utils.language.tokenizer import learn_merges, written

THEIRS = ("<start_of_text>", "<end_of_text>")  # open_clip's names of the two
OLD = st.characters(exclude_categories=["Cs"]).filter(lambda sign: unicodedata.ucd_3_2_0.category(sign) != "Cn")
PARTS = st.sampled_from(
    [" ", "the", "Photo of 12 cats", "\n\n", "it's", "we'LL", "&amp;lt;", "</w>", "<end_of_text>", "Ünïcödé", "日本", "Ã©", "ſ"]
)  # fmt: skip
ANY_TEXT = st.lists(st.one_of(st.text(OLD, max_size=12), PARTS), max_size=8).map("".join)


def merges() -> list[str]:
    """The lines of a small vocabulary: merges learned on text in small letters, and the words that they make, ended."""
    learned = learn_merges((text.lower() for text in Documents("validation").texts), 300)
    learned = [pair for pair in learned if b" " not in pair[0] + pair[1] and b"\n" not in pair[0] + pair[1]]
    known = {bytes([byte]) for byte in range(256)} | {left + right for left, right in learned}
    lines = [f"{written(left)} {written(right)}" for left, right in learned if {left, right} <= known]
    return lines + [
        f"{written(left)} {written(right)}</w>" for left, right in learned if right in known and len(right) == 1
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    lines = merges()
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *lines]), encoding="utf-8")
    (folder / "vocab.txt.gz").write_bytes(gzip.compress((folder / "merges.txt").read_bytes()))
    tokenizer = CLIPTokenizer.from_hub(folder / "vocab.txt.gz")
    (folder / "vocab.json").write_text(json.dumps(tokenizer.vocabulary()))
    assert len(tokenizer.merges) == len(lines) > 250
    return folder


@pytest.fixture(scope="module")
def pair(folder) -> tuple[CLIPTokenizer, open_clip.tokenizer.SimpleTokenizer]:
    file = folder / "vocab.txt.gz"
    return CLIPTokenizer.from_hub(file, THEIRS), open_clip.tokenizer.SimpleTokenizer(str(file))


def test_the_vocabulary_is_that_of_open_clip(pair):
    ours, peer = pair
    assert ours.vocabulary() == peer.encoder
    assert len(ours) == peer.vocab_size and (ours.start, ours.end) == (peer.sot_token_id, peer.eot_token_id)


@given(text=ANY_TEXT)
def test_any_text_has_the_ids_of_open_clip(pair, text):
    ours, peer = pair
    assert ours.encode(text) == peer.encode(text)
    assert ours([text, "cat " * 100], 20).equal(peer([text, "cat " * 100], 20))


@given(ids=st.lists(st.integers(0, 770), max_size=20))
def test_any_ids_are_the_text_of_open_clip(pair, ids):
    ours, peer = pair
    assert ours.decode(ids) == peer.decode(ids)


def test_words_come_back(pair):
    ours, _ = pair
    assert ours.decode(ours.encode("A  PHOTO of 2 Café-cats")) == "a photo of 2 café - cats "
    assert cleaned(" &amp;amp; ÉCOLE\n") == "& école"


def test_long_texts_lose_words_and_keep_the_end(pair):
    ours, _ = pair
    ids = ours(["cat", "cat " * 30], 10)
    assert ids.shape == (2, 10) and ids.dtype == torch.int64
    assert ids[1, 0] == ours.start and ids[1, -1] == ours.end
    assert (ids[0] == ours.end).nonzero().item() < 9 and ids[0, -1] == 0


def test_the_published_folder_is_read_as_transformers_reads_it(folder):
    ours = CLIPTokenizer.from_hub(folder)
    lines = [tuple(line.split()) for line in (folder / "merges.txt").read_text(encoding="utf-8").split("\n")[1:]]
    peer = transformers.CLIPTokenizer(vocab=ours.vocabulary(), merges=lines)
    for text in ("A photo of a cat, it's 12 o'clock!", "Zürich  at\nnight", "the reference of the language"):
        assert [ours.start, *ours.encode(text), ours.end] == peer(text).input_ids


def test_the_authors_own_vocabulary():
    """It comes with open_clip, and holds more merges than there is room for."""
    path = Path(open_clip.tokenizer.default_bpe())
    ours, peer = CLIPTokenizer.from_hub(path, THEIRS), open_clip.tokenizer.SimpleTokenizer(str(path))
    assert len(ours) == 49408 and len(ours.merges) == NUM_MERGES and (ours.start, ours.end) == (49406, 49407)
    assert ours.vocabulary() == peer.encoder
    texts = Documents("test").texts[:20] + [
        "a diagram",
        "A red ring, left of a star",
        "naïve façade – 日本語 🙂",
        "12 photos of 2021",
    ]
    assert ours(texts).equal(peer(texts))


@pytest.mark.parametrize("content", ["#version\na b c", "#version\nab c", "#version\na €"])
def test_a_foreign_list_is_refused(tmp_path, content):
    (tmp_path / "vocab.gz").write_bytes(gzip.compress(content.encode()))
    with pytest.raises(WeightsError, match="no list of merges as CLIP has it"):
        CLIPTokenizer.from_hub(tmp_path / "vocab.gz")


def test_a_damaged_file_a_missing_one_and_other_ids_are_refused(folder, tmp_path):
    (tmp_path / "vocab.gz").write_bytes((folder / "vocab.txt.gz").read_bytes()[:200])
    with pytest.raises(WeightsError, match="no list of merges as CLIP has it"):
        CLIPTokenizer.from_hub(tmp_path / "vocab.gz")
    (tmp_path / "merges.txt").write_bytes((folder / "merges.txt").read_bytes())
    with pytest.raises(FileNotFoundError, match=r"vocab\.json"):
        CLIPTokenizer.from_hub(tmp_path)
    vocabulary = json.loads((folder / "vocab.json").read_text())
    (tmp_path / "vocab.json").write_text(json.dumps({token: number + 1 for token, number in vocabulary.items()}))
    with pytest.raises(WeightsError, match=r"vocab\.json .* do not follow"):
        CLIPTokenizer.from_hub(tmp_path)
    with pytest.raises(ValueError, match=r"id 90000 is outside of the vocabulary"):
        CLIPTokenizer.from_hub(folder).decode([90000])
