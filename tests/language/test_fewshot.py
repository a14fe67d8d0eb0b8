"""Few-shot tasks: one rule holds in a text, families are held out whole, only the examples tell the rule."""

import pytest
import torch

from course_utils.language import fewshot
from course_utils.language.fewshot import FewShotTasks, as_text, best_accuracy, families

COUNT = 400


def lines_of(split: str) -> tuple[dict, torch.Tensor]:
    batch = FewShotTasks(split).__getitems__(range(COUNT))
    return batch, batch["input_ids"].view(COUNT, 9, fewshot.LINE)


def category(words: torch.Tensor) -> torch.Tensor:
    return (words - 1) // fewshot.WORDS_IN_CATEGORY


@pytest.mark.parametrize("split", fewshot.SPLITS)
def test_one_rule_holds_for_all_lines_of_a_text(split):
    batch, lines = lines_of(split)
    if split == "new kind":
        right = lines.gather(2, batch["rule"][:, None, None].expand(-1, 9, 1))[:, :, 0]
    else:
        asked = batch["family"].gather(1, batch["rule"][:, None])
        right = (lines[:, :, :3] * (category(lines[:, :, :3]) == asked[:, :, None])).sum(dim=2)
    assert batch["answers"].equal(right)
    assert lines[:, -1, 3].equal(right[:, -1]), "the last line is answered rightly"
    wrong = (lines[:, :-1, 3] != right[:, :-1]).double().mean().item()
    assert wrong == pytest.approx(fewshot.WRONG, abs=0.03)
    assert batch["rule"].bincount().min() > COUNT / 4


@pytest.mark.parametrize("split", fewshot.SPLITS)
def test_a_line_has_a_word_of_each_category_in_any_order_and_one_of_them_for_an_answer(split):
    batch, lines = lines_of(split)
    words = category(lines[:, :, :3])
    assert words.sort(dim=2).values.eq(batch["family"][:, None]).all()
    for place in range(3):
        share = (words[:, :, place] == batch["family"][:, :1]).double().mean().item()
        assert share == pytest.approx(1 / 3, abs=0.04)
    assert (lines[:, :, :3] == lines[:, :, 3:4]).sum(dim=2).eq(1).all()
    assert lines[:, :, 4].eq(0).all()


def test_families_are_held_out_whole():
    train, test = ({tuple(row) for row in families(split).tolist()} for split in ("train", "test"))
    assert not train & test
    assert 0.15 < len(test) / (len(train) + len(test)) < 0.25
    assert families("test").equal(families("validation"))
    seen = {tuple(row) for row in FewShotTasks("train").__getitems__(range(3000))["family"].tolist()}
    assert seen == train


def test_the_best_reader_counts_the_examples():
    best = best_accuracy("test", 4000)
    after_one = 1 - fewshot.WRONG
    assert best[0].item() == pytest.approx(1 / 3)
    assert best[1].item() == pytest.approx(after_one, abs=0.02)
    # two examples agree and are right, or speak for different rules, and one of them for the right one
    assert best[2].item() == pytest.approx(after_one**2 + after_one * fewshot.WRONG, abs=0.02)
    assert best[8] > 0.97
    assert best_accuracy("new kind", 4000).sub(best).abs().max() < 0.03


def test_a_text_depends_on_its_index_and_seed_alone():
    data = FewShotTasks("test")
    assert data.__getitems__([5, 9, 5])["input_ids"][2].equal(data[5]["input_ids"])
    assert not FewShotTasks("test", seed=1)[5]["input_ids"].equal(data[5]["input_ids"])
    assert data[-1]["input_ids"].equal(data[len(data) - 1]["input_ids"])
    with pytest.raises(IndexError, match="outside of 10 texts"):
        FewShotTasks("test", 10)[10]


def test_as_text_writes_one_line_a_line():
    text = as_text(FewShotTasks("test", examples=2)[0]["input_ids"])
    assert [len(line.split(" ")) for line in text.split("\n")] == [4, 4, 4]


def test_an_unknown_split_is_named():
    with pytest.raises(ValueError, match="no split 'dev'; they have train, validation, test, new kind"):
        FewShotTasks("dev")
