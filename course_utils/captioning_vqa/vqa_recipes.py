"""What notebook 04_vqa needs trained: BLIP-2, tuned to answer questions about scenes through the frozen `t5-scenes`."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from course_utils import scale
from course_utils.captioning_vqa.blip2 import BLIP2
from course_utils.captioning_vqa.blip2_recipes import NETWORK, ClipMap, after_first_stage, untrained
from course_utils.captioning_vqa.qformer import QFormer, QFormerConfig
from course_utils.captioning_vqa.vqa import accuracies, guess, most_frequent
from course_utils.clip.recipes import SIZE
from course_utils.data import loader
from course_utils.data.scenes import ANSWERS, QUESTION_KINDS, Question, SceneRecords, questions, records, render
from course_utils.hub import HubModel, config_coders
from course_utils.language.corruption import IGNORED, real_labels
from course_utils.language.gpt2 import GPT2
from course_utils.language.recipes import T5_SCENES_RECIPE
from course_utils.language.t5 import T5
from course_utils.language.texts import END, PAD, decoded, scenes_tokenizer, special
from course_utils.language.tokenizer import padded
from course_utils.training import Player, Recipe, Target, load

NOTEBOOK = "07_captioning_vqa/04_vqa"
ASKING = replace(NETWORK, dim=0, writes=False)
"""The Q-Former of `blip2-scenes` without the heads that no answer needs."""
ASKED = 30_000  # training scenes
AT_ONCE = 8  # questions about a picture in a step: the picture is encoded once for all
COUNTED = 10_000  # training scenes whose answers are counted, to guess without looking
LENGTH = 24  # tokens of the longest question, with what stands before and behind it
LONGEST = 3  # tokens of the longest answer, with the end token
CHUNK = 500  # questions answered in a pass
PEOPLE = 10  # who answer a question


# --- questions as tokens ----------------------------------------------------------------------------------------------


def asked(texts: Sequence[str], language_model: GPT2 | T5, length: int | None = None) -> tuple[Tensor, Tensor]:
    """Questions as Q-Former and language model read them: ids and mask (questions, n), as the language model has learned to read.

    For T5 its task stands before a question and an end token behind it, and padding is on the right; GPT's texts begin with an end token, and
    padding is on the left.

    Args:
        length: n; by default that of the longest.
    """
    encode, end = scenes_tokenizer().encode, special(END)
    if isinstance(language_model, T5):
        return padded([[special("answer:"), *encode(text), end] for text in texts], special(PAD), length=length)
    ids, mask = padded([[end, *encode(text)][::-1] for text in texts], end, length=length)
    return ids.flip(1), mask.flip(1)


@functools.cache
def answer_ids() -> tuple[Tensor, Tensor]:
    """Every answer that there is, ended by the end token: ids and mask (ANSWERS, 3)."""
    return padded([[*scenes_tokenizer().encode(answer), special(END)] for answer in ANSWERS], special(END))


class AskedScenes(Dataset):
    """Scenes with all questions that are asked of them, made once; those of which none is asked are left out.

    Batches hold `image` (batch, 3, 32, 32), `question` (batch, most), numbers of rows in `texts`, `answer` (batch, most), indices into ANSWERS,
    and `count` (batch,): how many of the `most` columns are questions.

    Args:
        scenes: to look at.
        ask: scenes -> questions about each.

    Attributes:
        texts: every question that is asked, once.
    """

    def __init__(self, scenes: SceneRecords, ask: Callable[[SceneRecords], list[list[Question]]] = questions):
        numbers: dict[str, int] = {}
        pictures, rows, answers = [], [], []
        for part in torch.arange(len(scenes)).split(1000):
            few = ask(scenes[part])
            kept = torch.tensor([bool(found) for found in few])
            pictures.append(((render(scenes[part[kept]], SIZE) + 1) * 127.5).round().to(torch.uint8))
            rows += [[numbers.setdefault(one.text, len(numbers)) for one in found] for found in few if found]
            answers += [[ANSWERS.index(one.answer) for one in found] for found in few if found]
        self.images, self.texts = torch.cat(pictures), list(numbers)
        self.questions, real = padded(rows, 0)
        self.answers, self.count = padded(answers, 0)[0], real.sum(1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        chosen = torch.as_tensor(indices)
        return {
            "image": self.images[chosen] / 127.5 - 1,
            "question": self.questions[chosen],
            "answer": self.answers[chosen],
            "count": self.count[chosen],
        }


# --- the model --------------------------------------------------------------------------------------------------------


def speaking(qformer: QFormer, language_model: GPT2 | T5) -> BLIP2:
    """A BLIP-2 that sees with `clip-scenes`; its image encoder, without the pooling that it does not need, is tuned along."""
    encoder = ClipMap()
    encoder.encoder.attention_pool = nn.Identity()
    model = BLIP2(encoder, qformer, language_model)
    encoder.requires_grad_(True)
    return model


class SceneAnswerer(BLIP2, HubModel, coders=config_coders(QFormerConfig)):
    """`speaking`, as a checkpoint holds it: image encoder and Q-Former. The language model is `t5-scenes`."""

    def __init__(self, config: QFormerConfig):
        whole = speaking(untrained(config), load(T5_SCENES_RECIPE))
        super().__init__(whole.image_encoder, whole.qformer, whole.language_model)
        self.config = config
        self.image_encoder.requires_grad_(True)


def answer_words(language_model: GPT2 | T5) -> Tensor:
    """What the language model reads for each answer, a mean over its words: (ANSWERS, width)."""
    answers, real = answer_ids()
    spoken = (real & (answers != special(END)))[..., None].to(language_model.tokens.weight.device)
    vectors = language_model.tokens.weight.detach()[answers]
    return (vectors * spoken).sum(1) / spoken.sum(1)


def vqa_player(
    model: BLIP2,
    texts: Sequence[str],
    learning_rate: float = 1.5e-3,
    ema_decay: float = 0.998,
    conditioned: bool = True,
    at_once: int = AT_ONCE,
    direct: float = 1.0,
) -> Player:
    """A BLIP-2 that learns to answer; batches as `AskedScenes` makes them, `texts` are its questions.

    To what the language model says a second loss is added, which does not pass through it: the mean of the prefix, by its inner product with
    each answer's own words, shall say which answer it is. For gradients that come through a frozen language model teach a Q-Former slowly that
    knows nothing yet.

    Args:
        conditioned: does the Q-Former read the question, too?
        at_once: questions about a picture in a step.
        direct: weight of the second loss.
    """
    ids, mask = asked(texts, model.language_model)
    answers, real = answer_ids()
    words = answer_words(model.language_model)

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        device = batch["image"].device
        drawn = (torch.rand(len(batch["image"]), at_once, device=device) * batch["count"][:, None]).long()
        question, answer = (batch[name].gather(1, drawn).flatten().cpu() for name in ("question", "answer"))
        length = int(mask[question].sum(1).max())
        kept = slice(0, length) if isinstance(model.language_model, T5) else slice(-length, None)
        prompt, shown = ids[question][:, kept].to(device), mask[question][:, kept].to(device)
        tokens = model.image_encoder(batch["image"]).repeat_interleave(at_once, dim=0)
        prefix = model.qformer.prefix(tokens, *((prompt, shown) if conditioned else (None, None)))
        logits = model.speak(prefix, prompt, answers[answer].to(device), shown, real[answer].to(device))
        labels = real_labels(answers[answer], real[answer]).to(device)
        spoken = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED)
        known = F.cross_entropy(prefix.mean(1) @ words.to(device).T / words.shape[1] ** 0.5, answer.to(device))
        return spoken + direct * known, {"spoken": spoken.detach(), "direct": known.detach()}

    return Player("BLIP-2", model, objective, learning_rate, (0.9, 0.98), weight_decay=0.05, ema_decay=ema_decay)


# --- answering --------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def seen(model: BLIP2, images: Tensor) -> Tensor:
    """What the model's own image encoder makes of pictures, (batch, 16, 384) on the CPU."""
    device = next(model.parameters()).device
    return torch.cat([model.image_encoder(part.to(device)).cpu() for part in images.split(CHUNK)])


def answered(
    model: BLIP2, images: Tensor, texts: Sequence[str], about: Tensor | None = None, conditioned: bool = True
) -> list[str]:
    """The answer to each question, by the likeliest tokens.

    Args:
        images: (pictures, 3, 32, 32) in [-1, 1].
        texts: questions.
        about: (questions,) int64, the number of each question's picture; by default question i is about picture i.
        conditioned: does the Q-Former read the question, too?
    """
    device, tokens = next(model.parameters()).device, seen(model, images)
    about = torch.arange(len(texts)) if about is None else about
    seeing, said = BLIP2(nn.Identity(), model.qformer, model.language_model), []
    for start in range(0, len(texts), CHUNK):
        few = slice(start, start + CHUNK)
        ids, mask = (part.to(device) for part in asked(texts[few], model.language_model))
        read = {"question_ids": ids, "question_mask": mask} if conditioned else {}
        out = seeing.generate(
            tokens[about[few]].to(device), LONGEST, prompt_ids=ids, prompt_mask=mask, end_token_id=special(END), pad_token_id=special(END), **read
        )  # fmt: skip
        said += decoded(out.cpu())
    return said


@torch.inference_mode()
def chances(model: BLIP2, image: Tensor, text: str, conditioned: bool = True) -> dict[str, float]:
    """How likely each of ANSWERS is, the likeliest first; what is missing from a sum of 1 the model would say otherwise.

    Args:
        image: one picture (3, 32, 32) in [-1, 1].
        text: a question about it.
    """
    device = next(model.parameters()).device
    ids, mask = (part.to(device) for part in asked([text], model.language_model))
    answers, real = (part.to(device) for part in answer_ids())
    every = len(answers)
    prefix = model.prefix(image[None].to(device), *((ids, mask) if conditioned else (None, None))).expand(every, -1, -1)
    logits = model.speak(prefix, ids.expand(every, -1), answers, mask.expand(every, -1), real).float()
    said = logits.log_softmax(2).gather(2, answers[:, :, None])[:, :, 0]  # (ANSWERS, 3)
    likely = (said * real).sum(1).exp().cpu()
    return {ANSWERS[number]: likely[number].item() for number in likely.argsort(descending=True).tolist()}


# --- measuring --------------------------------------------------------------------------------------------------------


def flat(scenes: SceneRecords, kinds: Sequence[str] = QUESTION_KINDS) -> tuple[list[Question], Tensor]:
    """All questions about the scenes, and the number of the scene that each is about."""
    few = questions(scenes, kinds=kinds)
    return [one for found in few for one in found], torch.tensor(
        [number for number, found in enumerate(few) for _ in found]
    )


def scores(said: Sequence[str], of: Sequence[Question]) -> dict[str, float]:
    """VQA accuracy by kind, and of the worst kind, as if ten people had answered, who always agree."""
    found = accuracies(said, [[one.answer] * PEOPLE for one in of], [one.kind for one in of])
    accuracy = found.pop("all")
    return {"accuracy": accuracy, "worst_kind": min(found.values()), **found}


@functools.cache
def counted(by: str) -> dict:
    """The answer that questions of a kind, or with a "text", most often have in training."""
    few = flat(records("train", range(COUNTED)))[0]
    return most_frequent([one.answer for one in few], [getattr(one, by) for one in few])


def majority(of: Sequence[Question]) -> list[str]:
    """The most frequent answer to questions of this kind."""
    return guess(counted("kind"), [one.kind for one in of])


def blind(of: Sequence[Question]) -> list[str]:
    """The most frequent answer to this very question; to a new one that to its kind."""
    known = counted("text")
    return [known.get(one.text, fallback) for one, fallback in zip(of, majority(of), strict=True)]


def _vqa_metrics(model: BLIP2, samples: int) -> dict[str, float]:
    scenes, unseen = records("test", range(samples)), records("compositional", range(max(1, samples // 4)))
    of, about = flat(scenes)
    texts, images = [one.text for one in of], render(scenes, SIZE)
    found = scores(answered(model, images, texts, about), of)
    wrong = scores(answered(model, images.roll(1, 0), texts, about), of)["accuracy"]
    without, best = (scores(few, of)["accuracy"] for few in (blind(of), majority(of)))
    new, where = flat(unseen)
    others = scores(answered(model, render(unseen, SIZE), [one.text for one in new], where), new)
    return found | {
        "wrong_picture": wrong,
        "blind": without,
        "blind_gain": max(wrong, without) - best,
        "unseen_pairs": others["accuracy"],
    }


def _vqa_chance(samples: int) -> dict[str, float]:
    """The most frequent answer to each kind of question."""
    of, new = (
        flat(records(split, range(count)))[0]
        for split, count in (("test", samples), ("compositional", max(1, samples // 4)))
    )
    found = scores(majority(of), of)
    return found | {
        "wrong_picture": found["accuracy"],
        "blind": found["accuracy"],
        "unseen_pairs": scores(majority(new), new)["accuracy"],
    }


@functools.lru_cache(maxsize=1)
def _asked_scenes(length: int) -> AskedScenes:
    return AskedScenes(records("train", range(length)))


def _training_data() -> AskedScenes:
    return _asked_scenes(scale(smoke=100, cpu=ASKED, gpu=100_000))


def _player(model: BLIP2) -> Player:
    after_first_stage(model.qformer)
    return vqa_player(model, _training_data().texts)


BLIP2_VQA_SCENES = Recipe(
    name="blip2-vqa-scenes",
    chapter="07_captioning_vqa",
    notebook=NOTEBOOK,
    system="BLIP-2 for questions",
    paper="Li et al., ICML 2023",
    data="scenes with questions of ten kinds",
    model=lambda: SceneAnswerer(ASKING),
    players=_player,
    loader=lambda: loader(_training_data(), 32),
    steps={"smoke": 3, "cpu": 2_600, "gpu": 30_000},
    metrics=_vqa_metrics,
    targets={
        "accuracy": Target(at_least=0.97),
        "worst_kind": Target(at_least=0.9),
        "blind_gain": Target(at_most=0.1),
    },
    samples=1000,
    quick_samples=50,
    chance=_vqa_chance,
    minutes=30,
    frozen={"language_model": "t5-scenes"},
    about="Q-Former (which begins as that of `blip2-stage1-scenes`) and image encoder (as that of `clip-scenes`) are tuned, the language model "
    "stays frozen; both read the question. `accuracy` is over all questions that can be asked of the scenes, by the likeliest tokens; "
    "`worst_kind` is that of the kind of question that it answers worst. Chance gives the most frequent answer to each kind. `blind` is the "
    "most frequent answer to that very question in training, `wrong_picture` the model's own with the picture of another scene, `blind_gain` "
    "by how much the better of the two exceeds chance; `unseen_pairs` is of scenes with pairs of shape and colour that training never shows.",
)

VQA_RECIPES: tuple[Recipe, ...] = (BLIP2_VQA_SCENES,)
"""`course train blip2-vqa-scenes`."""
