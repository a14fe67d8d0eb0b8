"""Small tasks to be learned from examples in the context, as GPT-3 is given them: a few lines with their answers, then one without.

A line has three words of three categories, in any order, and an answer, one of the three. Which one is the rule of the text:

    gold cat Paris cat
    Rome iron dog dog
    wolf Lima tin tin        (one example in five is answered wrongly)
    cow Oslo zinc            (cow: here the animal is asked for)

Nothing in the last line tells the rule, so without examples one of three is right by luck. As examples may be wrong, several tell more than one.
A *family* is a set of three categories. Families are held out whole: training meets no text in which these three stand together. And there is a
new kind of rule that is not trained at all: the answer is always the first word, or the second, or the third, whatever it is.

Papers: Brown et al., "Language models are few-shot learners", NeurIPS 2020, sections 1 and 2. Min et al., "Rethinking the role of
demonstrations", EMNLP 2022 (what wrong examples do). Chan et al., "Data distributional properties drive emergent in-context learning in
transformers", NeurIPS 2022 (what training must look like for it).
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
WORDS = 3  # in a line; any of them may be the answer
LINE = WORDS + 2  # tokens: the words, the answer, the end of the line
WRONG = 0.2  # share of the examples in which another word is given for the answer
SPLITS = ("train", "validation", "test", "new kind")
HELD_OUT = 5  # one in so many combinations of categories is in no text of training


def families(split: str) -> Tensor:
    """The families of a split, (count, 3) int64: three different categories, in ascending order.

    Validation, test and new kind have the same families, which training has not.

    Raises:
        ValueError: if there is no such split.
    """
    if split not in SPLITS:
        raise ValueError(f"few-shot tasks have no split {split!r}; they have {', '.join(SPLITS)}")
    triples = torch.tensor(list(itertools.combinations(range(len(CATEGORIES)), WORDS)))
    held_out = hashed("few-shot families", *triples.T) % HELD_OUT == 0
    return triples[~held_out if split == "train" else held_out]


class FewShotTasks(Dataset):
    """Texts of one task each, of `examples` lines with their answers and a last line to be answered.

    Args:
        split: `train`, `validation`, `test` or `new kind`.
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
            input_ids: (batch, 5 * (examples + 1)) int64: lines of three words, an answer and the end of the line.
            answers: (batch, examples + 1) int64: the right answer of each line. The last line is answered rightly, the others mostly.
            family: (batch, 3), as `families` has them.
            rule: (batch,) int64 in [0, 3): which of the family's categories, or which place, is asked for.
        """
        index = torch.as_tensor(indices, dtype=torch.int64)
        draws, lines = Draws(keys(index, SPLITS.index(self.split), self.seed)), self.examples + 1
        family = self.families[draws.integers(len(self.families))[:, 0]]
        rule = draws.integers(WORDS)
        # (batch, lines, 3): which of the three categories stands in each place, and which of its words
        order = draws.integers(2**31 - 1, lines * WORDS).unflatten(1, (lines, WORDS)).argsort(dim=2)
        category = family[:, None].expand(-1, lines, -1).gather(2, order)
        words = 1 + category * WORDS_IN_CATEGORY + draws.integers(WORDS_IN_CATEGORY, lines * WORDS).view_as(order)
        # (batch, lines): where the answer stands; in the new kind it is always the same place
        by_category = (order == rule[:, :, None]).long().argmax(dim=2)
        place = rule.expand(-1, lines) if self.split == "new kind" else by_category
        astray = draws.integers(WORDS - 1, lines) + 1
        wrong = draws.integers(1000, lines) < 1000 * WRONG
        wrong[:, -1] = False
        given = torch.where(wrong, (place + astray) % WORDS, place)
        answers, said = (words.gather(2, where[:, :, None]) for where in (place, given))
        text = torch.cat([words, said, torch.zeros_like(said)], dim=2)
        return {"input_ids": text.flatten(1), "answers": answers[:, :, 0], "family": family, "rule": rule[:, 0]}

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One example."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is outside of {len(self)} texts")
        return {name: value[0] for name, value in self.__getitems__([index % len(self)]).items()}


def best_accuracy(split: str, samples: int, examples: int = 8) -> Tensor:
    """How often one who knows the kind of rule and counts the examples for each of its three rules is right, (examples + 1,) float64.

    After 0, 1, ... examples; where rules are tied, one of them is guessed.
    """
    tasks = FewShotTasks(split, samples, examples).__getitems__(range(samples))
    lines = tasks["input_ids"].unflatten(1, (-1, LINE))[:, :-1]
    words, said = lines[:, :, :WORDS], lines[:, :, WORDS]
    if split == "new kind":
        votes = words == said[:, :, None]  # (samples, examples, rules)
    else:
        votes = tasks["family"][:, None] == ((said - 1) // WORDS_IN_CATEGORY)[:, :, None]
    counts = torch.cat([torch.zeros_like(votes[:, :1]), votes], dim=1).cumsum(dim=1)  # after 0, 1, ... examples
    best = counts == counts.amax(dim=2, keepdim=True)
    own = best.gather(2, tasks["rule"][:, None, None].expand(-1, examples + 1, 1))[:, :, 0]
    return (own.double() / best.sum(dim=2)).mean(dim=0)


def as_text(input_ids: Tensor) -> str:
    """A text (n,) as words, one line a task's line."""
    return " ".join(VOCABULARY[number] for number in input_ids.tolist()).replace(" \n ", "\n").replace(" \n", "")
