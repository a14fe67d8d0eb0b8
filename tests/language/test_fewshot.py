"""Few-shot tasks: one rule holds in a text, families are held out whole, nothing can be known beforehand."""

import pytest
import torch

from course_utils.language import fewshot
from course_utils.language.fewshot import FewShotTasks, as_text, families

COUNT = 400


def lines_of(split: str) -> tuple[dict, torch.Tensor]:
    batch = FewShotTasks(split).__getitems__(range(COUNT))
    return batch, batch["input_ids"].view(COUNT, 9, fewshot.LINE)


def category(words: torch.Tensor) -> torch.Tensor:
    return (words - 1) // fewshot.WORDS_IN_CATEGORY


@pytest.mark.parametrize("split", fewshot.SPLITS)
def test_one_rule_holds_for_all_lines_of_a_text(split):
    batch, lines = lines_of(split)
    for kind, first, second, answer in zip(batch["family"][:, 0].tolist(), *lines[:, :, :3].unbind(2), strict=True):
        deciding = {
            0: list(first),
            1: list(second),
            2: list(zip(first, second, strict=True)),
            3: list(first),
            4: list(second),
        }[kind]
        deciding = [tuple(map(int, key)) if isinstance(key, tuple) else int(key) for key in deciding]
        rule = dict(zip(deciding, answer.tolist(), strict=True))
        assert [rule[key] for key in deciding] == answer.tolist(), "equal deciding words have equal answers"
        assert len(set(rule.values())) == len(rule), "and others have others"
        if kind >= len(fewshot.KINDS):
            assert answer.equal((first, second)[kind - len(fewshot.KINDS)])


@pytest.mark.parametrize("split", fewshot.SPLITS)
def test_words_are_of_the_categories_of_their_family(split):
    batch, lines = lines_of(split)
    for place in range(3 if split != "new kinds" else 2):
        assert category(lines[:, :, place]).eq(batch["family"][:, 1 + place, None]).all()
    assert lines[:, :, 3].eq(0).all()
    assert (batch["choices"] == lines[:, -1, 2, None]).sum(dim=1).eq(1).all()


def test_families_are_held_out_whole():
    train, test = ({tuple(row) for row in families(split)[:, 1:].tolist()} for split in ("train", "test"))
    assert not train & test
    assert 0.15 < len(test) / (len(train) + len(test)) < 0.25
    assert families("test").equal(families("validation"))
    seen = {tuple(row) for row in FewShotTasks("train").__getitems__(range(3000))["family"].tolist()}
    assert seen <= {tuple(row) for row in families("train").tolist()}
    new = set(families("new kinds")[:, 0].tolist())
    assert not new & set(families("train")[:, 0].tolist())


def test_known_says_whether_the_examples_decide():
    batch, lines = lines_of("test")
    for row in range(COUNT):
        kind, last = batch["family"][row, 0], lines[row, -1]
        places = {0: [0], 1: [1], 2: [0, 1]}[int(kind)]
        seen = (lines[row, :-1][:, places] == last[places]).all(dim=1).any()
        assert batch["known"][row] == seen
    assert 0.8 < batch["known"].float().mean() < 0.95


def test_without_examples_all_answers_are_equally_likely():
    batch = FewShotTasks("test").__getitems__(range(4000))
    first = batch["input_ids"][:, 2, None] == batch["choices"]
    assert first.float().mean(dim=0).sub(0.25).abs().max() < 0.04


def test_a_text_depends_on_its_index_and_seed_alone():
    data = FewShotTasks("test")
    assert data.__getitems__([5, 9, 5])["input_ids"][2].equal(data[5]["input_ids"])
    assert not FewShotTasks("test", seed=1)[5]["input_ids"].equal(data[5]["input_ids"])
    assert data[-1]["input_ids"].equal(data[len(data) - 1]["input_ids"])
    with pytest.raises(IndexError, match="outside of 10 texts"):
        FewShotTasks("test", 10)[10]


def test_as_text_writes_one_line_a_line():
    text = as_text(FewShotTasks("test", examples=2)[0]["input_ids"])
    assert [len(line.split(" ")) for line in text.split("\n")] == [3, 3, 3]


def test_an_unknown_split_is_named():
    with pytest.raises(ValueError, match="no split 'dev'; they have train, validation, test, new kinds"):
        FewShotTasks("dev")
