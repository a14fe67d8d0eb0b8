"""What the course's language models read: documents and captions as tokens, and tasks for an encoder-decoder.

Documents have a vocabulary of 1,024 tokens, learned from them and kept in `docs_merges.txt`, since another version of Python has slightly other
documents; `python -m course_utils.language.texts` writes it anew. In captions and questions every word is a token.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_utils.data import Documents, Scenes
from course_utils.data.draws import Draws, keys
from course_utils.data.scenes import LENGTHS, QUESTION_KINDS
from course_utils.language.corruption import IGNORED, corrupt_spans
from course_utils.language.tokenizer import BytePairTokenizer, padded

END = "<|endoftext|>"
PAD = "<pad>"
MASK = "<mask>"
SENTINELS = tuple(f"<{number}>" for number in range(10))
DOCS_VOCABULARY = 1024
LEARNED_FROM = 1000  # scenes whose captions and questions hold every word there is
TASKS = ("mend", "complete", "answer")
TASK_QUESTIONS = tuple(kind for kind in QUESTION_KINDS if kind != "comparison")
"""Kinds of the questions that the tokenizer and `t5-scenes` have learned from."""


@functools.cache
def docs_tokenizer() -> BytePairTokenizer:
    """Byte-pair encoding of the documents, 1,024 tokens with the one that ends a text."""
    return BytePairTokenizer.from_hub(Path(__file__).parent, (END,), "docs_merges.txt")


@functools.cache
def scenes_tokenizer() -> BytePairTokenizer:
    """Byte-pair encoding of captions and questions, in which every word is one token; special tokens for all models that read them."""
    batch = Scenes("train", fields=("captions", "questions"))[range(LEARNED_FROM)]
    texts = [caption for few in batch["captions"] for caption in few]
    texts += [text for few in _known(batch["questions"]) for asked in few for text in (asked["text"], asked["answer"])]
    return BytePairTokenizer.train(texts, 4096, (END, PAD, MASK, *SENTINELS, *(f"{task}:" for task in TASKS)))


def _known(asked: list[list[dict[str, str]]]) -> list[list[dict[str, str]]]:
    """The questions that are of `TASK_QUESTIONS`."""
    return [[one for one in few if one["kind"] in TASK_QUESTIONS] for few in asked]


def special(token: str) -> int:
    """The id of a special token of `scenes_tokenizer`."""
    return scenes_tokenizer().special_ids[token]


def encoded(texts: Sequence[str], length: int | None = None) -> dict[str, Tensor]:
    """Captions as a batch for a language model, each between two end tokens: `input_ids` and `attention_mask` (batch, n).

    Args:
        length: n; by default that of the longest.
    """
    end, encode = special(END), scenes_tokenizer().encode
    input_ids, mask = padded([[end, *encode(text), end] for text in texts], end, length=length)
    return {"input_ids": input_ids, "attention_mask": mask}


def decoded(input_ids: Tensor) -> list[str]:
    """The texts of (batch, n) ids, from the first token after an end token at the beginning up to the next end token."""
    end, decode = special(END), scenes_tokenizer().decode
    texts = []
    for ids in input_ids.tolist():
        ids = ids[ids[0] == end :]
        texts.append(decode(ids[: ids.index(end)] if end in ids else ids))
    return texts


class Captions(Dataset):
    """Captions of scenes as tokens: batches as `encoded` makes them.

    Args:
        split, length, seed: as for `Scenes`.
        level: of the captions; "any" for another one from scene to scene.
    """

    def __init__(self, split: str = "train", length: int | None = None, level: str = "any", seed: int = 0):
        self.scenes = Scenes(split, length=length, fields=("caption",), level=level, seed=seed)

    def __len__(self) -> int:
        return len(self.scenes)

    def texts(self, indices: Sequence[int]) -> list[str]:
        """The captions themselves."""
        return self.scenes.__getitems__(indices)["caption"]

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """A batch, as `encoded` makes it."""
        return encoded(self.texts(indices))


class SceneTasks(Dataset):
    """Tasks with text in and text out, as T5 is trained on: each scene's full caption and one of three things to do with it.

        mend: Two objects <0> background: at the top left a small <1> star ...      ->  <0> on a sand <1> red
        complete: Two objects on a sand background: at the top                      ->  left a small red star ...
        answer: What color is the star? Two objects on a sand background: ...       ->  red

    Args:
        split, length, seed: as for `Scenes`.
        task: one of `TASKS`; None for another one from scene to scene.
    """

    def __init__(self, split: str = "train", length: int | None = None, task: str | None = None, seed: int = 0):
        self.scenes = Scenes(
            split, length=length or LENGTHS[split], fields=("record", "caption", "questions"), level="full", seed=seed
        )
        self.split, self.task, self.seed = split, task, seed

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """A batch: `input_ids` and `attention_mask` (batch, n), `labels` (batch, m) with an end token, -100 at padding."""
        pairs = [self._task(*given) for given in self._given(indices)]
        input_ids, mask = padded([source for source, _ in pairs], special(PAD))
        targets, real = padded([target for _, target in pairs], special(PAD))
        return {"input_ids": input_ids, "attention_mask": mask, "labels": targets.masked_fill(~real, IGNORED)}

    def questions(self, indices: Sequence[int]) -> list[dict[str, str]]:
        """The question of each scene that task `answer` asks: kind, text, answer."""
        return [asked for _, asked, _, _ in self._given(indices)]

    def _given(self, indices: Sequence[int]) -> list[tuple[str, dict[str, str], str, Tensor]]:
        """Of each scene the caption, a question, the task, and uniform noise."""
        batch = self.scenes.__getitems__(indices)
        draws = Draws(keys(batch["texture"], self.seed, 7))
        which, tasks = draws.integers(2520)[:, 0].tolist(), draws.integers(len(TASKS))[:, 0].tolist()
        noise = draws.integers(2**24, 128) / 2**24
        known = _known(batch["questions"])
        asked = [few[number % len(few)] for few, number in zip(known, which, strict=True)]
        names = [self.task or TASKS[number] for number in tasks]
        return list(zip(batch["caption"], asked, names, noise, strict=True))

    def _task(self, caption: str, asked: dict[str, str], task: str, noise: Tensor) -> tuple[list[int], list[int]]:
        """Ids of input and output."""
        encode, end = scenes_tokenizer().encode, special(END)
        ids = encode(caption)
        if task == "answer":
            return [special("answer:"), *encode(f"{asked['text']} {caption}"), end], [*encode(asked["answer"]), end]
        if task == "complete":
            kept = int(noise[0] * len(ids))
            return [special("complete:"), *ids[:kept], end], [*ids[kept:], end]
        sentinels = torch.tensor([special(sentinel) for sentinel in SENTINELS])
        spans = corrupt_spans(torch.tensor([ids]), noise[None, : len(ids)], sentinel_ids=sentinels, end_token_id=end)
        return [special("mend:"), *spans.input_ids[0].tolist()], spans.labels[0].tolist()


def write_docs_merges() -> Path:
    """Learn the merges from the training documents of this Python, and write `docs_merges.txt`."""
    path = Path(__file__).parent / "docs_merges.txt"
    BytePairTokenizer.train(Documents("train").texts, DOCS_VOCABULARY, (END,)).save(path)
    return path


if __name__ == "__main__":
    print(write_docs_merges())
