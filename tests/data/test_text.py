import pytest
import torch

from course_utils.data import Blocks, Documents, loader, stream, to_dataset
from course_utils.data.text import SPLITS, is_english, paragraphs, sections

TOPIC = """Lambdas
*******

   lambda_expr ::= "lambda" [parameter_list] ":" expression

Lambda expressions are used to create anonymous
functions, and yield a function object.

   def <lambda>(parameters):
       return expression

Further matters
===============

* Functions that are created with lambda expressions cannot contain statements.
"""


def words(text: str, number: int) -> set[tuple[str, ...]]:
    """All runs of that many words."""
    parts = text.split()
    return {tuple(parts[start : start + number]) for start in range(len(parts) - number + 1)}


def test_no_paragraph_comes_twice_and_hardly_a_sentence_in_two_splits():
    seen: set[str] = set()
    for split in SPLITS:
        for text, title in zip(Documents(split).texts, Documents(split).titles, strict=True):
            found = text.split("\n\n")
            found = found[1:] if title else found
            assert not seen & set(found)
            assert len(set(found)) == len(found) > 0
            seen |= set(found)
    train = set().union(*(words(text, 13) for text in Documents("train").texts))
    for split in ("validation", "test"):
        held_out = set().union(*(words(text, 13) for text in Documents(split).texts))
        assert len(held_out & train) < 0.02 * len(held_out), "phrases of the trade may come again, texts may not"


def test_the_splits_have_the_sizes_that_they_should_have():
    sizes = torch.tensor([sum(map(len, Documents(split).texts)) for split in SPLITS]).float()
    assert 150_000 < sizes.sum() < 1_000_000
    assert sizes / sizes.sum() == pytest.approx(torch.tensor([0.8, 0.1, 0.1]), abs=0.05)


def test_a_topic_is_cut_into_sections_of_english():
    found = list(sections(TOPIC))
    assert [title for title, _ in found] == ["", "Lambdas", "Further matters"]
    assert paragraphs(found[1][1]) == [
        "Lambda expressions are used to create anonymous functions, and yield a function object."
    ]
    assert paragraphs(found[2][1]) == ["Functions that are created with lambda expressions cannot contain statements."]


@pytest.mark.parametrize(
    "code",
    [
        ">>> try: ... print(1 / 0) ... except Exception as exc: ... raise RuntimeError('bad') from exc",
        'future_stmt ::= "from" "future" "import" feature as identifier and so on and on',
        "object.__round__(self[, ndigits]) object.__trunc__(self) object.__floor__(self) object.__ceil__(self)",
        "| one | two | three | four | five | six | seven | eight |",
        "Too short to be kept.",
    ],
)
def test_code_is_no_english(code):
    assert not is_english(code)


def test_documents_read_as_english():
    for split in SPLITS:
        for text in Documents(split).texts:
            assert "::=" not in text and ">>>" not in text[:3] and "\n\n\n" not in text
    everything = " ".join(Documents("train").texts).split()
    assert sum(word in ("the", "a", "of", "is", "to", "and") for word in everything) > 0.15 * len(everything)


def test_as_a_data_set():
    test = Documents("test")
    batch = test.__getitems__([0, 2])
    assert batch["text"] == [test[0]["text"], test[2]["text"]]
    assert test[-1] == test[len(test) - 1]
    table = to_dataset(test)
    assert table["text"][:] == test.texts and table.column_names == ["title", "text"]
    assert [row["title"] for row in stream(test)] == test.titles
    with pytest.raises(IndexError, match="documents"):
        test[len(test)]
    with pytest.raises(ValueError, match="'dev'.*train, validation, test"):
        Documents("dev")


def test_blocks_hold_all_texts_in_order():
    texts = ["abc", "d", "efghij"]
    blocks = Blocks(texts, lambda text: [ord(sign) for sign in text], 4, 0)
    joined = [*map(ord, "abc"), 0, ord("d"), 0, *map(ord, "efghij")]
    assert blocks.input_ids.flatten().tolist() == joined[:12]
    (batch,) = loader(blocks, 3, shuffle=False)
    assert batch["input_ids"].equal(blocks.input_ids)
    assert blocks[1]["input_ids"].tolist() == joined[4:8]
    blocks[1]["input_ids"].zero_()
    assert blocks[1]["input_ids"].any()
    with pytest.raises(ValueError, match="13 tokens give no piece of 14"):
        Blocks(texts, lambda text: [ord(sign) for sign in text], 14, 0)
    with pytest.raises(IndexError, match="3 pieces"):
        blocks[3]
