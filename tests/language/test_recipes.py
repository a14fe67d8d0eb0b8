"""The recipes of language: every function of them on an untrained model, and what the measures mean."""

import math

import pytest
import torch

from course_utils import runtime
from course_utils.data.scenes.grammar import accepts
from course_utils.language import fewshot, recipes, texts
from course_utils.language.texts import Captions, SceneTasks, special

ALL = pytest.mark.parametrize("recipe", recipes.RECIPES, ids=[recipe.name for recipe in recipes.RECIPES])
FEW = 12


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(recipes, "COUNTED", 200)


def untrained(recipe):
    torch.manual_seed(0)
    return recipe.model().to(runtime.device()).eval()


@ALL
def test_what_is_asked_for_is_measured(recipe):
    measured = recipe.metrics(untrained(recipe), FEW)
    assert set(recipe.targets) <= set(measured)
    assert not all(target.met(measured[name]) for name, target in recipe.targets.items()), "untrained, it meets them"
    for other in (recipe.chance, recipe.ceiling):
        found = other(FEW) if other else {}
        assert set(found) <= set(measured)
        assert all(math.isfinite(value) for value in found.values())
    assert all(math.isfinite(value) for value in measured.values())


@ALL
def test_every_weight_gets_a_gradient_and_the_checkpoint_will_be_small(recipe):
    model, batch = untrained(recipe).train(), next(iter(recipe.loader()))
    recipe.players(model).objective(batch)[0].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert 2 * sum(parameter.numel() for parameter in model.parameters()) < 8e6


def test_vocabularies_are_as_large_as_the_configs_say():
    assert len(texts.docs_tokenizer()) == recipes.DOCS.vocab_size
    assert len(texts.scenes_tokenizer()) == recipes.SCENES.vocab_size == recipes.T5_SCENES.vocab_size
    assert special(texts.PAD) == recipes.T5_SCENES.start_token_id


def test_every_word_of_captions_and_questions_is_one_token():
    tokenizer = texts.scenes_tokenizer()
    batch = SceneTasks("compositional", task="answer")
    for index in range(100):
        asked = batch.questions([index])[0]
        for text in (asked["text"], *Captions("compositional").texts([index])):
            pieces = text.replace(".", " .").replace(",", " ,").replace(":", " :").replace("?", " ?").split()
            assert len(tokenizer.encode(text)) == len(pieces)


def test_captions_come_back_from_their_tokens_and_fit_the_model():
    data = Captions("test")
    batch = data.__getitems__(range(200))
    assert texts.decoded(batch["input_ids"]) == data.texts(range(200))
    assert batch["input_ids"].shape[1] <= recipes.SCENES.max_positions
    assert batch["input_ids"][:, 0].eq(special(texts.END)).all()
    assert (
        batch["attention_mask"]
        .sum(dim=1)
        .equal(torch.tensor([2 + len(texts.scenes_tokenizer().encode(text)) for text in data.texts(range(200))]))
    )


@pytest.mark.parametrize("task", texts.TASKS)
def test_tasks_ask_for_what_is_missing(task):
    data = SceneTasks("train", task=task)
    batch = data.__getitems__(range(60))
    decode, captions = texts.scenes_tokenizer().decode, data.scenes[range(60)]["caption"]
    for row, caption in enumerate(captions):
        given = decode(batch["input_ids"][row][batch["attention_mask"][row]]).removesuffix(texts.END)
        wanted = decode(batch["labels"][row][batch["labels"][row] >= 0])
        assert given.startswith(f"{task}:")
        assert wanted.endswith(texts.END)
        given, wanted = given.removeprefix(f"{task}:"), wanted.removesuffix(texts.END)
        if task == "complete":
            assert given + wanted == caption
        elif task == "answer":
            asked = data.questions([row])[0]
            assert (given, wanted) == (f"{asked['text']} {caption}", asked["answer"])
        else:
            for number, part in enumerate(wanted.split("<")[1:]):
                given = given.replace(f"<{number}>", part.split(">", 1)[1])
            assert given == caption


def test_tasks_ask_questions_of_the_kinds_that_were_learned_and_no_later_kind():
    kinds = {asked["kind"] for asked in SceneTasks("train", task="answer").questions(range(500))}
    assert kinds == set(texts.TASK_QUESTIONS)
    assert "comparison" not in kinds


def test_tasks_are_mixed_and_a_batch_does_not_depend_on_its_company():
    data = SceneTasks("train")
    together = data.__getitems__(range(90))
    first = together["input_ids"][:, 0].tolist()
    assert all(20 < first.count(special(f"{task}:")) < 40 for task in texts.TASKS)
    alone = data.__getitems__([17])["input_ids"][0]
    assert together["input_ids"][17, : len(alone)].equal(alone)


def test_a_counting_model_has_the_chance_of_its_name():
    chance = recipes.GPT_SCENES.chance(100)
    held_out = Captions("test").__getitems__(range(100))
    assert chance["perplexity"] == pytest.approx(recipes.caption_counts(1).perplexity(**held_out))
    assert chance["share_of_trigram"] > 3
    assert recipes.GPT_SCENES.ceiling(100)["grammatical"] == 1


def test_perplexity_of_an_untrained_model_is_that_of_equal_chances():
    batch = Captions("test").__getitems__(range(110))  # more than one chunk
    model = untrained(recipes.GPT_SCENES)
    torch.nn.init.zeros_(model.tokens.weight)
    assert recipes.perplexity(model, **batch) == pytest.approx(recipes.SCENES.vocab_size, rel=1e-4)


def test_bits_per_byte_of_equal_chances():
    blocks = recipes.doc_blocks("test")[:5]
    letters = sum(len(texts.docs_tokenizer().decode(block[1:]).encode()) for block in blocks)
    assert recipes.bits_per_byte(1024.0, blocks) == pytest.approx(10 * 5 * 127 / letters)


def test_held_out_documents_are_not_among_the_training_documents():
    train = {tuple(block[:40].tolist()) for block in recipes.doc_blocks("train")}
    windows = {tuple(window.tolist()) for window in recipes.doc_blocks("held out").flatten().unfold(0, 40, 40)}
    assert not train & windows


def test_written_captions_end_at_the_end_token():
    model = untrained(recipes.GPT_SCENES)
    written = recipes.written_captions(model, 5, runtime.generator(0))
    again = recipes.written_captions(model, 5, runtime.generator(0))
    assert written == again
    assert all(texts.END not in text for text in written)
    assert not any(map(accepts, written))


class Counts(torch.nn.Module):
    """Answers as one who counts for which category the examples speak."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, input_ids):
        logits = torch.zeros(*input_ids.shape, len(fewshot.VOCABULARY))
        said = input_ids.unflatten(1, (-1, fewshot.LINE))[:, :, fewshot.WORDS]
        category = (torch.arange(len(fewshot.VOCABULARY)) - 1) // fewshot.WORDS_IN_CATEGORY
        for line in range(said.shape[1]):
            same = (said[:, :line, None] - 1) // fewshot.WORDS_IN_CATEGORY == category
            logits[:, fewshot.LINE * line + fewshot.WORDS - 1] = same.float().sum(dim=1)
        return logits


def test_few_shot_accuracy_of_one_who_counts_is_the_ceiling_and_a_new_kind_is_chance_to_him():
    found = recipes.few_shot_accuracy(Counts(), "test", 1500)
    ceiling = recipes.GPT_FEWSHOT.ceiling(1500)
    assert found["accuracy"][0].item() == pytest.approx(1 / 3, abs=0.04)
    for count, name in ((1, "one_shot"), (4, "four_shot"), (8, "eight_shot")):
        assert found["accuracy"][count].item() == pytest.approx(ceiling[name], abs=0.03), name
    assert found["free"][8] < found["accuracy"][8]
    assert recipes.few_shot_accuracy(Counts(), "new kind", 1500)["accuracy"][8].item() == pytest.approx(1 / 3, abs=0.04)
