"""Small tasks to be learned from examples in the context, as GPT-3 is given them: a few lines with their answers, then one without.

A line has two words and an answer, and one rule holds for all lines of a text:

    cat gold Paris
    dog iron Rome
    cat iron Paris
    dog gold                 (Rome: here the first word decides)

Words, answers and which belongs to which are drawn anew for every text, so nothing can be known beforehand: zero examples give chance, and only
the text itself tells the rule. A *family* is a kind of rule with three categories of words. Families are held out whole: training meets no text in
which these three categories stand together. Two further kinds, in which a word is to be repeated, are not trained at all.

Papers: Brown et al., "Language models are few-shot learners", NeurIPS 2020, sections 1 and 2 (and 2.4: among possible answers the likeliest counts).
Chan et al., "Data distributional properties drive emergent in-context learning in transformers", NeurIPS 2022 (why words must change meaning).
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_utils.data.draws import Draws, keys
from course_utils.data.hashing import hashed

CATEGORIES: dict[str, tuple[str, ...]] = {
    "animals": ("cat", "dog", "cow", "horse", "mouse", "wolf"),
    "metals": ("gold", "iron", "tin", "zinc", "copper", "silver"),
    "cities": ("Paris", "Rome", "Cairo", "Lima", "Oslo", "Delhi"),
    "fruits": ("apple", "pear", "plum", "lemon", "grape", "cherry"),
    "tools": ("hammer", "saw", "axe", "drill", "rake", "needle"),
    "clothes": ("hat", "shoe", "coat", "scarf", "shirt", "glove"),
    "trees": ("oak", "elm", "pine", "birch", "maple", "cedar"),
    "weather": ("rain", "snow", "fog", "hail", "wind", "frost"),
}
END_OF_LINE = "\n"
VOCABULARY = (END_OF_LINE, *itertools.chain.from_iterable(CATEGORIES.values()))
WORDS_IN_CATEGORY = 6
VALUES = 4  # words that take turns in a place, and answers of a text
LINE = 4  # tokens: two words, the answer, the end of the line
KINDS = ("first word", "second word", "both words")
NEW_KINDS = ("repeat the first", "repeat the second")
SPLITS = ("train", "validation", "test", "new kinds")
HELD_OUT = 5  # one in so many combinations of categories is in no text of training


def families(split: str) -> Tensor:
    """The families of a split, (count, 4) int64: kind, and the categories of first word, second word and answer, all different.

    Validation and test have the same families, which training has not.

    Raises:
        ValueError: if there is no such split.
    """
    if split not in SPLITS:
        raise ValueError(f"few-shot tasks have no split {split!r}; they have {', '.join(SPLITS)}")
    triples = torch.tensor(list(itertools.permutations(range(len(CATEGORIES)), 3)))
    if split != "new kinds":
        held_out = hashed("few-shot families", triples[:, 0], triples[:, 1], triples[:, 2]) % HELD_OUT == 0
        triples = triples[held_out if split != "train" else ~held_out]
    kinds = range(len(KINDS)) if split != "new kinds" else range(len(KINDS), len(KINDS) + len(NEW_KINDS))
    return torch.cat([torch.cat([torch.full((len(triples), 1), kind), triples], dim=1) for kind in kinds])


class FewShotTasks(Dataset):
    """Texts of one task each, of `examples` lines with their answers and a last line to be answered.

    Args:
        split: `validation`, `test`, `new kinds`, or `train`, where easy tasks are among them: fewer words take turns in a place, down to one
            where it does not count.
        length: number of texts.
        examples: lines before the last.
        seed: another seed gives other texts.

    Raises:
        ValueError: if there is no such split.
    """

    def __init__(self, split: str = "train", length: int = 1_000_000, examples: int = 8, seed: int = 0):
        self.families = families(split)
        self.split, self.length, self.examples, self.seed = split, length, examples, seed

    def __len__(self) -> int:
        return self.length

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """A batch.

        Returns:
            input_ids: (batch, 4 * (examples + 1)) int64: lines of two words, an answer and the end of the line.
            choices: (batch, 4) int64: the possible answers of the text, the right one of the last line among them.
            family: (batch, 4), as `families` has them.
            known: (batch,) bool: whether the lines before tell the last answer to one who knows the kind of rule.
        """
        index = torch.as_tensor(indices, dtype=torch.int64)
        draws = Draws(keys(index, SPLITS.index(self.split), self.seed))
        family = self.families[draws.integers(len(self.families))[:, 0]]
        kind, categories = family[:, 0, None], family[:, 1:]
        # (batch, 3, 4): of each category four words, whose order is the rule: the first decides for the first answer, and so on
        chosen = draws.integers(2**31 - 1, 3 * WORDS_IN_CATEGORY).unflatten(1, (3, -1)).argsort(dim=2)[:, :, :VALUES]
        words = 1 + categories[:, :, None] * WORDS_IN_CATEGORY + chosen
        both, new = kind == KINDS.index("both words"), kind >= len(KINDS)
        deciding_place = kind % len(KINDS)  # 0: the first word, 1: the second; of the new kinds, too
        # (batch, 2): how many words take turns in the first and in the second place, and the fewest that there may be
        values = torch.full((len(index), 2), VALUES)
        if self.split == "train":
            fewest = 1 + (both | (deciding_place == torch.arange(2))).long()
            values = fewest + draws.integers(2520, 2) % (VALUES + 1 - fewest)
        values = torch.where(both, 2, values)  # 2 x 2 pairs have four answers
        first = draws.integers(2520, self.examples + 1) % values[:, :1]  # (batch, lines)
        second = draws.integers(2520, self.examples + 1) % values[:, 1:]
        deciding = torch.where(both, 2 * first + second, torch.where(deciding_place == 0, first, second))
        repeated = words.gather(1, deciding_place[:, :, None].expand(-1, 1, VALUES))[:, 0]  # the words of that place
        answers = torch.where(new, repeated, words[:, 2])
        line = (words[:, 0].gather(1, first), words[:, 1].gather(1, second), answers.gather(1, deciding))
        lines = torch.stack([*line, torch.zeros_like(first)], dim=2)
        return {
            "input_ids": lines.flatten(1),
            "choices": answers,
            "family": family,
            "known": (deciding[:, :-1] == deciding[:, -1:]).any(dim=1),
        }

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One example."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is outside of {len(self)} texts")
        return {name: value[0] for name, value in self.__getitems__([index % len(self)]).items()}


def as_text(input_ids: Tensor) -> str:
    """A text (n,) as words, one line a task's line."""
    return " ".join(VOCABULARY[number] for number in input_ids.tolist()).replace(" \n ", "\n").replace(" \n", "")
