"""Documents: real English that needs no download, the reference of the Python language as the interpreter brings it along (`pydoc_data.topics`).

Its topics repeat each other: whole chapters occur again inside of longer ones. So a document here is one section, each paragraph is kept once only,
in the longest topic that has it, and the splits share none. Grammar, code and tables are left out. The text is that of the running Python: another
version has slightly other documents.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_utils.data.hashing import hashed

if TYPE_CHECKING:
    import datasets

SPLITS = ("train", "validation", "test")
HELD_OUT = 0.1  # of all signs, for validation and again for test
SHORTEST = 8  # words in a paragraph
PLAIN = 0.9  # share of letters and of the signs below in a paragraph that is no code
SIGNS = ' .,"-'
HEADING = re.compile(r"^(\S.*)\n([*=\-^~])\2{2,}$", re.MULTILINE)


class Documents(Dataset):
    """The documents of one split: a title, a blank line, and paragraphs of one line each with blank lines between.

    Args:
        split: `train` (about 80 % of the sections), `validation` or `test`.

    Raises:
        ValueError: if there is no such split.
    """

    def __init__(self, split: str = "train"):
        if split not in SPLITS:
            raise ValueError(f"documents have no split {split!r}; they have {', '.join(SPLITS)}")
        self.split = split
        documents = _load()
        own = [pair for pair, where in zip(documents, splits_of(documents), strict=True) if where == split]
        self.titles = [title for title, _ in own]
        self.texts = [text for _, text in own]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, list[str]]:
        """A batch: `title` and `text`, lists of strings."""
        return {
            "title": [self.titles[index] for index in indices],
            "text": [self.texts[index] for index in indices],
        }

    def __getitem__(self, index: int) -> dict[str, str]:
        """One example: `title` and `text`."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is outside of a split of {len(self)} documents")
        return {"title": self.titles[index], "text": self.texts[index]}

    def features(self) -> "datasets.Features":
        """Columns for `exposure.to_dataset` and `exposure.stream`."""
        import datasets

        return datasets.Features(title=datasets.Value("string"), text=datasets.Value("string"))


class Blocks(Dataset):
    """Texts as pieces of equal length, for a language model: all are joined, each with an end token, and cut; a shorter rest is left out.

    Args:
        texts: strings.
        encode: makes ids of one.
        length: tokens in a piece.
        end_token_id: stands after each text.

    Raises:
        ValueError: if all texts together are shorter than one piece.
    """

    def __init__(self, texts: Iterable[str], encode: Callable[[str], Sequence[int]], length: int, end_token_id: int):
        ids = [number for text in texts for number in (*encode(text), end_token_id)]
        if length < 1 or len(ids) < length:
            raise ValueError(f"{len(ids)} tokens give no piece of {length}")
        count = len(ids) // length
        self.input_ids = torch.tensor(ids[: count * length]).view(count, length)

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """A batch: `input_ids` (batch, length) int64."""
        return {"input_ids": self.input_ids[torch.as_tensor(indices, dtype=torch.int64)]}

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One example: `input_ids` (length,)."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is outside of {len(self)} pieces")
        return {"input_ids": self.input_ids[index].clone()}


def splits_of(documents: Sequence[tuple[str, str]]) -> list[str]:
    """The split of each document: in an order by hash, the first tenth of all signs is for validation, the second for test."""
    order = sorted(range(len(documents)), key=lambda number: int(hashed("documents split", documents[number][1])))
    total = sum(len(text) for _, text in documents)
    splits, before = ["train"] * len(documents), 0
    for number in order:
        if before < 2 * HELD_OUT * total:
            splits[number] = "validation" if before < HELD_OUT * total else "test"
        before += len(documents[number][1])
    return splits


def sections(topic: str) -> Iterator[tuple[str, str]]:
    """Title and body of each section of a topic, in its order; the title is "" where a topic begins without one."""
    start, title = 0, ""
    for heading in HEADING.finditer(topic):
        yield title, topic[start : heading.start()]
        start, title = heading.end(), heading[1]
    yield title, topic[start:]


def paragraphs(body: str) -> list[str]:
    """The paragraphs of English in a section, each on one line."""
    found = (" ".join(block.split()) for block in re.split(r"\n\s*\n", body))
    return [re.sub(r"^(\* |\d+\. )", "", block) for block in found if is_english(block)]


def is_english(paragraph: str) -> bool:
    """Whether this is a sentence or more, and no code, grammar or table."""
    plain = sum(sign.isalpha() or sign in SIGNS for sign in paragraph)
    return len(paragraph.split()) >= SHORTEST and plain >= PLAIN * len(paragraph) and "::=" not in paragraph


@lru_cache(maxsize=1)
def _load() -> list[tuple[str, str]]:
    """Title and text of all documents."""
    from pydoc_data.topics import topics

    documents, seen = [], set()
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        for title, body in sections(topics[name]):
            fresh = [paragraph for paragraph in paragraphs(body) if paragraph not in seen]
            seen.update(fresh)
            fresh = list(dict.fromkeys(fresh))
            if fresh:
                documents.append((title, "\n\n".join([title, *fresh] if title else fresh)))
    return documents
