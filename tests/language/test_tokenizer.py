"""Our byte-pair tokenizer by hand, on any text, and against the library `tokenizers`: the same merges, ids and texts."""

import unicodedata

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from course_utils.data import Documents
from course_utils.hub import WeightsError
from course_utils.language import BytePairTokenizer
from course_utils.language.tokenizer import byte_signs, learn_merges, merge, padded, written

END = "<|endoftext|>"
TEXTS = Documents("validation").texts
OURS = BytePairTokenizer.train(TEXTS, 700, [END, "<pad>"])
FAST = OURS.fast()
# which signs are letters has grown with Unicode, and libraries are not equally new: those of version 3.2 are known to all
OLD = st.characters(exclude_categories=["Cs"]).filter(lambda sign: unicodedata.ucd_3_2_0.category(sign) != "Cn")
SPECIAL = st.sampled_from([END, "<pad>", " ", "the", "\n\n", "'ll", "def", "Ünïcödé", "日本", "<|endof"])


def texts(characters: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(st.one_of(st.text(characters, max_size=12), SPECIAL), max_size=8).map("".join)


@given(texts(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text):
    assert OURS.decode(OURS.encode(text)) == text


@given(texts(OLD))
def test_ids_are_those_of_tokenizers(text):
    assert OURS.encode(text) == FAST.encode(text).ids


@given(st.lists(st.integers(0, len(OURS) - 1), max_size=20))
def test_any_ids_are_a_text(ids):
    assert OURS.decode(ids) == FAST.decode(ids, skip_special_tokens=False)


def test_documents_are_encoded_alike():
    for text in Documents("test").texts:
        assert OURS.encode(text) == FAST.encode(text).ids
        assert OURS.decode(OURS.encode(text)) == text


def test_the_merges_are_those_that_tokenizers_learns():
    peer = Tokenizer(models.BPE())
    peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    assert sorted(alphabet) == list(byte_signs().values())
    trainer = trainers.BpeTrainer(vocab_size=698, initial_alphabet=alphabet, show_progress=False)
    peer.train_from_iterator(TEXTS, trainer)
    vocabulary = peer.get_vocab()
    assert {written(token): number for token, number in OURS.ids.items()} == vocabulary


def test_merging_by_hand():
    """The example of Sennrich et al., section 3.2."""
    text = "low " * 5 + "lower " * 2 + "newest " * 6 + "widest " * 3
    merges = learn_merges([text], 4)
    assert merges[:2] == [(b"e", b"s"), (b"es", b"t")]
    assert merge([b"a", b"a", b"a", b"b"], (b"a", b"a")) == [b"aa", b"a", b"b"]
    assert merge([b"b"], (b"a", b"a")) == [b"b"]
    assert learn_merges(["ab"], 100) == [(b"a", b"b")]


@given(st.lists(st.sampled_from("aabc "), min_size=1, max_size=60).map("".join), st.integers(1, 30))
def test_fast_counting_is_counting(text, number):
    """Against the algorithm without any index: count all pairs anew before each merge."""
    from course_utils.language.tokenizer import WORDS

    words = [[bytes([byte]) for byte in word.encode()] for word in WORDS.findall(text)]
    age = {bytes([byte]): place for place, byte in enumerate(byte_signs())}
    expected = []
    while len(age) < 256 + number:
        counts: dict = {}
        for word in words:
            for pair in zip(word, word[1:], strict=False):
                counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], age[pair[0]], age[pair[1]]))
        expected.append(best)
        age.setdefault(best[0] + best[1], len(age))
        words = [merge(word, best) for word in words]
    assert learn_merges([text], number) == expected


def test_special_tokens_are_never_cut_and_the_longest_wins():
    tokenizer = BytePairTokenizer([], ["<a>", "<a><b>"])
    assert tokenizer.encode("x<a><b><a>") == [tokenizer.ids[b"x"], 257, 256]
    assert tokenizer.decode([257, 256]) == "<a><b><a>"
    assert len(tokenizer) == 258
    assert OURS.encode(END + "a" + END)[::2] == [OURS.special_ids[END]] * 2


def test_a_saved_tokenizer_is_read_by_us_and_by_transformers(tmp_path):
    OURS.save(tmp_path / "merges.txt")
    loaded = BytePairTokenizer.from_hub(tmp_path, [END, "<pad>"])
    assert loaded.ids == OURS.ids and loaded.merges == OURS.merges
    vocabulary = {written(token): number for token, number in OURS.ids.items()} | {END: len(OURS.ids)}
    merges = [(written(left), written(right)) for left, right in OURS.merges]
    peer = transformers.GPT2Tokenizer(vocab=vocabulary, merges=merges)
    text = "It's 12 o'clock,  in Zürich\n"
    assert BytePairTokenizer.from_hub(tmp_path).encode(text + END) == peer.encode(text + END)


@pytest.mark.parametrize("content", ["a b c\n", "ab c\n", "a €\n"])
def test_a_foreign_file_is_refused(tmp_path, content):
    (tmp_path / "merges.txt").write_text(content)
    with pytest.raises(WeightsError, match="no list of merges"):
        BytePairTokenizer.from_hub(tmp_path)


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="256 bytes and 1 special tokens"):
        BytePairTokenizer.train(TEXTS, 200, [END])
    with pytest.raises(ValueError, match="earlier merge"):
        BytePairTokenizer([(b"ab", b"c")])
    with pytest.raises(ValueError, match="different and not empty"):
        BytePairTokenizer([], ["<a>", "<a>"])
    with pytest.raises(ValueError, match=r"id 700 is outside of the vocabulary, \[0, 700\)"):
        OURS.decode([700])
    with pytest.raises(UnicodeEncodeError):
        OURS.encode("\ud800")


def test_padding():
    ids, mask = padded([[5, 6, 7], [8], []], 0)
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0], [0, 0, 0]]
    assert mask.tolist() == [[True] * 3, [True, False, False], [False] * 3]
    ids, mask = padded([[5, 6, 7], [8]], 1, left=True, length=4)
    assert ids.tolist() == [[1, 5, 6, 7], [1, 1, 1, 8]]
    assert mask.dtype == torch.bool and mask[1].tolist() == [False, False, False, True]
    with pytest.raises(ValueError, match="3 tokens does not fit into 2"):
        padded([[5, 6, 7]], 0, length=2)
