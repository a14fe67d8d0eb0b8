"""What notebook 05_clip/01_transformers trains, and how it is measured: models of documents, captions and small tasks, and an encoder-decoder."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from course_utils import runtime
from course_utils.data import Blocks, Documents, loader
from course_utils.data.scenes.grammar import accepts
from course_utils.language import fewshot
from course_utils.language.corruption import IGNORED
from course_utils.language.fewshot import FewShotTasks
from course_utils.language.generation import generate
from course_utils.language.gpt2 import GPT2, GPT2Config
from course_utils.language.ngram import NGram
from course_utils.language.t5 import T5, T5Config
from course_utils.language.texts import (
    DOCS_VOCABULARY,
    END,
    TASK_QUESTIONS,
    Captions,
    SceneTasks,
    decoded,
    docs_tokenizer,
    encoded,
    special,
)
from course_utils.training import Player, Recipe, Target

DOCS = GPT2Config(DOCS_VOCABULARY, max_positions=128, width=128, depth=4, num_heads=4)
SCENES = GPT2Config(480, max_positions=64, width=128, depth=3, num_heads=4)
FEWSHOT = GPT2Config(len(fewshot.VOCABULARY), max_positions=9 * fewshot.LINE, width=64, depth=4, num_heads=4)
T5_SCENES = T5Config(480, width=128, depth=3, decoder_depth=3, num_heads=4, head_dim=32, hidden=512, start_token_id=465)
NOISED = 0.1  # share of a document's tokens that are read wrongly in training: the documents are few, and would be learned by heart
CHUNK = 100  # texts in a pass while measuring
COUNTED = 10_000  # captions that the n-gram models count
LONGEST = 62  # tokens of a caption that is written


def language_player(model: GPT2, learning_rate: float = 2e-3, noised: float = 0.0, ema_decay: float = 0.995) -> Player:
    """A GPT that learns to continue; batches hold `input_ids`, and may hold `attention_mask` and `labels`.

    Args:
        noised: share of the tokens that are replaced, in what is read but not in what is asked for (Xie et al., ICLR 2017).
    """

    def objective(batch: dict) -> tuple[Tensor, dict]:
        read = batch["input_ids"]
        labels = batch.get("labels")
        if noised:
            labels, wrong = read, torch.randint_like(read, model.config.vocab_size)
            read = torch.where(torch.rand(read.shape, device=read.device) < noised, wrong, read)
        return model.loss(read, batch.get("attention_mask"), labels), {}

    return Player(
        "language model", model, objective, learning_rate, (0.9, 0.98), weight_decay=0.05, ema_decay=ema_decay
    )


def t5_player(model: T5, learning_rate: float = 2e-3, ema_decay: float = 0.995) -> Player:
    """A T5 on tasks; batches hold `input_ids`, `attention_mask` and `labels`."""

    def objective(batch: dict) -> tuple[Tensor, dict]:
        return model.loss(batch["input_ids"], batch["labels"], batch["attention_mask"]), {}

    return Player(
        "encoder-decoder", model, objective, learning_rate, (0.9, 0.98), weight_decay=0.05, ema_decay=ema_decay
    )


def device_of(model: torch.nn.Module) -> torch.device:
    return next(model.parameters()).device


@torch.inference_mode()
def perplexity(model: GPT2, input_ids: Tensor, attention_mask: Tensor | None = None) -> float:
    """exp of the mean of -log p over the tokens of texts (count, n), each but the first of its text."""
    total, device = 0.0, device_of(model)
    real = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask
    for ids, mask in zip(input_ids.split(CHUNK), real.split(CHUNK), strict=True):
        total += model.loss(ids.to(device), mask.to(device)).item() * mask[:, 1:].sum().item()
    return torch.tensor(total / real[:, 1:].sum().item()).exp().item()


# --- documents --------------------------------------------------------------------------------------------------------


def _blocks(*splits: str) -> Blocks:
    tokenizer = docs_tokenizer()
    texts = [text for split in splits for text in Documents(split).texts]
    return Blocks(texts, tokenizer.encode, DOCS.max_positions, tokenizer.special_ids[END])


@functools.cache
def doc_blocks(split: str) -> Tensor:
    """The documents of a split (or of both that are held out, "held out") in pieces, (count, 128) int64."""
    return _blocks(*(("validation", "test") if split == "held out" else (split,))).input_ids


@functools.cache
def doc_counts(order: int) -> NGram:
    return NGram(doc_blocks("train"), order, DOCS_VOCABULARY)


def bits_per_byte(perplexity: float, blocks: Tensor) -> float:
    """What a perplexity of tokens costs in bits for each byte of the text, so that other vocabularies can be compared."""
    bytes_in_all = sum(len(docs_tokenizer().decode(block).encode()) for block in blocks[:, 1:].tolist())
    return torch.tensor(perplexity).log2().item() * blocks[:, 1:].numel() / bytes_in_all


def _docs_measures(measure: Callable[[Tensor], float], samples: int) -> dict[str, float]:
    """Perplexity by `measure`, a function of pieces (count, 128), on the first held-out ones, and what follows from it."""
    blocks = doc_blocks("held out")[:samples]
    value = measure(blocks)
    return {
        "perplexity": value,
        "bits_per_byte": bits_per_byte(value, blocks),
        "share_of_trigram": value / doc_counts(3).perplexity(blocks),
    }


def _docs_metrics(model: GPT2, samples: int) -> dict[str, float]:
    train = perplexity(model, doc_blocks("train")[:samples])
    return _docs_measures(lambda blocks: perplexity(model, blocks), samples) | {"training_perplexity": train}


GPT_DOCS = Recipe(
    name="gpt-docs",
    chapter="05_clip",
    notebook="05_clip/01_transformers",
    system="GPT-2",
    paper="Radford et al. 2019",
    data="documents",
    model=lambda: GPT2(DOCS),
    players=lambda model: language_player(model, 1e-3, noised=NOISED),
    loader=lambda: loader(_blocks("train"), 16),
    steps={"smoke": 3, "cpu": 1_200, "gpu": 2_000},
    metrics=_docs_metrics,
    targets={"share_of_trigram": Target(at_most=1.0)},
    samples=130,
    quick_samples=40,
    chance=lambda samples: _docs_measures(doc_counts(1).perplexity, samples),
    minutes=30,
    about="English of a technical manual, 220 thousand letters; whole sections are held out. `share_of_trigram` is the perplexity as a share of that "
    "of a model that counts which token follows which two; chance knows only how frequent each is. `training_perplexity` tells how much was learned "
    "by heart.",
)


# --- captions ---------------------------------------------------------------------------------------------------------


@functools.cache
def caption_counts(order: int) -> NGram:
    train = encoded(Captions("train").texts(range(COUNTED)))
    return NGram(train["input_ids"], order, SCENES.vocab_size, train["attention_mask"])


def written_captions(model: GPT2, count: int, generator: torch.Generator, temperature: float = 1.0) -> list[str]:
    """Captions that the model writes of nothing, from the end token on."""
    start = torch.full((count, 1), special(END), device=device_of(model))
    ids = generate(
        model, start, LONGEST, generator, temperature=temperature, end_token_id=special(END), pad_token_id=special(END)
    )
    return decoded(ids.cpu())


def _share(texts: list[str]) -> float:
    return sum(map(accepts, texts)) / len(texts)


def _captions_metrics(model: GPT2, samples: int) -> dict[str, float]:
    held_out = Captions("test").__getitems__(range(samples))
    value = perplexity(model, **held_out)
    written = written_captions(model, samples, runtime.generator(1))
    return {
        "perplexity": value,
        "share_of_trigram": value / caption_counts(3).perplexity(**held_out),
        "grammatical": _share(written),
        "different": len(set(written)) / len(written),
    }


def _captions_chance(samples: int) -> dict[str, float]:
    """Perplexity of a model that knows how frequent each word is; texts of one that knows which word follows which two."""
    held_out, trigram = Captions("test").__getitems__(range(samples)), caption_counts(3)
    unigram = caption_counts(1).perplexity(**held_out)
    written = decoded(trigram.sample(torch.full((samples,), special(END)), LONGEST, runtime.generator(1)))
    return {
        "perplexity": unigram,
        "share_of_trigram": unigram / trigram.perplexity(**held_out),
        "grammatical": _share(written),
        "different": len(set(written)) / len(written),
    }


def _captions_ceiling(samples: int) -> dict[str, float]:
    texts = Captions("test").texts(range(samples))
    return {"grammatical": _share(texts), "different": len(set(texts)) / len(texts)}


GPT_SCENES = Recipe(
    name="gpt-scenes",
    chapter="05_clip",
    notebook="05_clip/01_transformers",
    system="GPT-2",
    paper="Radford et al. 2019",
    data="captions of scenes",
    model=lambda: GPT2(SCENES),
    players=language_player,
    loader=lambda: loader(Captions("train"), 64),
    steps={"smoke": 3, "cpu": 3_000, "gpu": 10_000},
    metrics=_captions_metrics,
    targets={"share_of_trigram": Target(at_most=0.8), "grammatical": Target(at_least=0.98)},
    samples=2000,
    quick_samples=200,
    chance=_captions_chance,
    ceiling=_captions_ceiling,
    minutes=30,
    about="Captions of all kinds, of no picture: form without content. `grammatical`: the share of captions drawn from it that the grammar accepts. "
    "Chance draws them from a model that counts which word follows which two, and its perplexity is that of the frequencies of words.",
)


# --- an encoder-decoder -----------------------------------------------------------------------------------------------


@torch.inference_mode()
def answered(model: T5, batch: dict[str, Tensor], max_new_tokens: int = LONGEST) -> list[str]:
    """What the model writes, by the likeliest tokens, for a batch of `SceneTasks`."""
    device, texts = device_of(model), []
    for ids, mask in zip(batch["input_ids"].split(CHUNK), batch["attention_mask"].split(CHUNK), strict=True):
        out = generate(
            model,
            ids.to(device),
            max_new_tokens,
            attention_mask=mask.to(device),
            end_token_id=special(END),
            pad_token_id=special(END),
        )
        texts += decoded(out[:, 1:].cpu())
    return texts


def _wanted(batch: dict[str, Tensor]) -> list[str]:
    return decoded(batch["labels"].masked_fill(batch["labels"] == IGNORED, special(END)))


def _kept(batch: dict[str, Tensor]) -> list[str]:
    """The beginnings that task `complete` shows."""
    return [text.removeprefix("complete:") for text in decoded(batch["input_ids"])]


def right_share(written: list[str], wanted: list[str]) -> float:
    """Share of answers that are right to the letter."""
    return sum(a == b for a, b in zip(written, wanted, strict=True)) / len(wanted)


def _t5_metrics(model: T5, samples: int) -> dict[str, float]:
    asked, torn, begun = (
        SceneTasks("test", task=task).__getitems__(range(samples)) for task in ("answer", "mend", "complete")
    )
    blind = {
        name: value.roll(1, 0) for name, value in asked.items() if name != "labels"
    }  # another scene's question and caption
    return {
        "answer_accuracy": right_share(answered(model, asked, 8), _wanted(asked)),
        "blind_accuracy": right_share(answered(model, blind, 8), _wanted(asked)),
        "mend_accuracy": right_share(answered(model, torn), _wanted(torn)),
        "grammatical": _share([a + b for a, b in zip(_kept(begun), answered(model, begun), strict=True)]),
    }


def _t5_chance(samples: int) -> dict[str, float]:
    """The most frequent answer to each kind of question."""
    seen = SceneTasks("train", task="answer").questions(range(COUNTED))
    best = {}
    for kind in TASK_QUESTIONS:
        answers = [asked["answer"] for asked in seen if asked["kind"] == kind]
        best[kind] = max(set(answers), key=answers.count) if answers else ""
    asked = SceneTasks("test", task="answer").questions(range(samples))
    return {"answer_accuracy": right_share([best[one["kind"]] for one in asked], [one["answer"] for one in asked])}


T5_SCENES_RECIPE = Recipe(
    name="t5-scenes",
    chapter="05_clip",
    notebook="05_clip/01_transformers",
    system="T5",
    paper="Raffel et al., JMLR 2020",
    data="captions and questions of scenes",
    model=lambda: T5(T5_SCENES),
    players=t5_player,
    loader=lambda: loader(SceneTasks("train"), 64),
    steps={"smoke": 3, "cpu": 3_000, "gpu": 10_000},
    metrics=_t5_metrics,
    targets={"answer_accuracy": Target(at_least=0.6), "grammatical": Target(at_least=0.95)},
    samples=1000,
    quick_samples=100,
    chance=_t5_chance,
    minutes=30,
    about="Text in, text out: it mends captions with spans taken out, completes them, and answers questions about what a caption says. Chance gives "
    "the most frequent answer to each kind of question; `blind_accuracy` is that with another scene's question and caption. 0.95 of the answers had "
    "been hoped for: the loss is a mean over tokens, in which an answer of one word counts little beside a caption, and training was still gaining.",
)


# --- tasks from examples ----------------------------------------------------------------------------------------------


@torch.inference_mode()
def few_shot_accuracy(model: GPT2, split: str, samples: int, examples: int = 8, seed: int = 0) -> dict[str, Tensor]:
    """How often a model that has read 0, 1, ... examples gives the right answer to the next line.

    Returns:
        accuracy: (examples + 1,) float64: the likeliest of the line's three words is the right answer, as a share.
        free: (examples + 1,) float64: the likeliest of all words is.
    """
    device, last = device_of(model), fewshot.WORDS + fewshot.LINE * torch.arange(examples + 1)  # places of the answers
    tasks, right, free = FewShotTasks(split, samples, examples, seed), [], []
    for start in range(0, samples, CHUNK):
        batch = tasks.__getitems__(range(start, min(start + CHUNK, samples)))
        logits = model(batch["input_ids"].to(device))[
            :, last - 1
        ].cpu()  # (batch, examples + 1, vocab_size), of the answers
        words = batch["input_ids"].unflatten(1, (-1, fewshot.LINE))[:, :, : fewshot.WORDS]
        among = words.gather(2, logits.gather(2, words).argmax(dim=2, keepdim=True))[:, :, 0]
        right.append(among == batch["answers"])
        free.append(logits.argmax(dim=2) == batch["answers"])
    return {"accuracy": torch.cat(right).double().mean(dim=0), "free": torch.cat(free).double().mean(dim=0)}


def _shots(accuracy: Tensor) -> dict[str, float]:
    return {
        f"{name}_shot": accuracy[count].item() for name, count in (("zero", 0), ("one", 1), ("four", 4), ("eight", 8))
    }


def _fewshot_metrics(model: GPT2, samples: int) -> dict[str, float]:
    found, new = (few_shot_accuracy(model, split, samples) for split in ("test", "new kind"))
    return _shots(found["accuracy"]) | {
        "eight_shot_free": found["free"][8].item(),
        "eight_shot_new_kind": new["accuracy"][8].item(),
    }


def _fewshot_chance(samples: int) -> dict[str, float]:
    """One of the three words, by luck."""
    measures = ("zero_shot", "one_shot", "four_shot", "eight_shot", "eight_shot_new_kind")
    return dict.fromkeys(measures, 1 / fewshot.WORDS) | {"eight_shot_free": 1 / len(fewshot.VOCABULARY)}


def _fewshot_ceiling(samples: int) -> dict[str, float]:
    """One who knows the kind of rule and counts for which of its rules most examples speak."""
    best, new = (fewshot.best_accuracy(split, samples) for split in ("test", "new kind"))
    return _shots(best) | {"eight_shot_free": best[8].item(), "eight_shot_new_kind": new[8].item()}


GPT_FEWSHOT = Recipe(
    name="gpt-fewshot",
    chapter="05_clip",
    notebook="05_clip/01_transformers",
    system="GPT-2",
    paper="Brown et al., NeurIPS 2020",
    data="small tasks with examples",
    model=lambda: GPT2(FEWSHOT),
    players=lambda model: language_player(model),
    loader=lambda: loader(FewShotTasks("train"), 64),
    steps={"smoke": 3, "cpu": 3_000, "gpu": 20_000},
    metrics=_fewshot_metrics,
    targets={"eight_shot": Target(at_least=0.9), "zero_shot": Target(at_most=0.36)},
    samples=2000,
    quick_samples=300,
    chance=_fewshot_chance,
    ceiling=_fewshot_ceiling,
    minutes=10,
    about="Which of three words is asked for? Nothing tells but the lines before, and one in five of those is wrong. The families of tasks that "
    "are tested are in no text of training, nor is the new kind of rule (always the first word, or the second, or the third). Of the three words "
    "of the line the likeliest counts; `free` is against all words. The ceiling counts the examples that speak for each rule.",
)

RECIPES: tuple[Recipe, ...] = (GPT_DOCS, GPT_SCENES, T5_SCENES_RECIPE, GPT_FEWSHOT)
"""`course train gpt-docs`, and so on."""
