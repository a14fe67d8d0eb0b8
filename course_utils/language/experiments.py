"""Studies of notebook 01_transformers: one architecture for texts and pictures (claim C27), learning from examples and size (C28), what GPT, BERT and
T5 learn from the same text, pre-training and fine-tuning, and the compute of published models."""

import functools
from statistics import fmean
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import plots, runtime, scale
from course_utils.autoencoders.recipes import single_objects
from course_utils.data import Blocks, Digits, Documents, Scenes, loader
from course_utils.data.scenes import NUM_CLASSES
from course_utils.data.scenes.grammar import accepts
from course_utils.language import fewshot
from course_utils.language.bert import BERT, BERTConfig
from course_utils.language.corruption import IGNORED, corrupt_tokens
from course_utils.language.gpt2 import GPT2, GPT2Config
from course_utils.language.lstm import LSTM, LSTMConfig
from course_utils.language.recipes import (
    NOISED,
    device_of,
    doc_blocks,
    doc_counts,
    few_shot_accuracy,
    language_player,
    perplexity,
)
from course_utils.language.t5 import T5, T5Config
from course_utils.language.texts import (
    DOCS_VOCABULARY,
    END,
    MASK,
    PAD,
    SENTINELS,
    Captions,
    docs_tokenizer,
    encoded,
    special,
)
from course_utils.language.vit import ViT, ViTConfig
from course_utils.layers import ResidualBlock, draw_integers, draw_uniform
from course_utils.training import Experiment, Player, Verdict, clearly_more, fit, grouped, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
NOTEBOOK = "05_clip/01_transformers"
SEEDS = range(3)


def count(model: nn.Module) -> int:
    """Numbers that are trained."""
    return sum(parameter.numel() for parameter in model.parameters())


# --- C27: one architecture for texts and pictures ---------------------------------------------------------------------

WIDTH, DEPTH, HEADS = 64, 4, 4  # of the layers, the same for all data
DATA = ("documents", "digits", "scenes")
AS_GOOD = 0.03  # accuracy, or share of the perplexity, that the transformer may fall short by


class Convolutional(nn.Module):
    """A small residual network of as many numbers as the transformer: pictures (batch, channels, side, side) to logits (batch, num_classes)."""

    def __init__(self, in_channels: int, num_classes: int, width: int = 52):
        super().__init__()
        blocks = (nn.Sequential(ResidualBlock(width), ResidualBlock(width), nn.AvgPool2d(2)) for _ in range(2))
        stem = nn.Conv2d(in_channels, width, 3, padding=1)
        self.layers = nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


def picture_model(data: str, architecture: str) -> nn.Module:
    """A classifier of digits (16 x 16 pixels) or scenes (32 x 32), a transformer or a convolutional network."""
    channels, size, classes = (1, 16, 10) if data == "digits" else (3, 32, NUM_CLASSES)
    if architecture == "transformer":
        return ViT(ViTConfig(channels, size, size // 8, WIDTH, DEPTH, HEADS, 4 * WIDTH, classes))
    return Convolutional(channels, classes)


def text_model(architecture: str) -> nn.Module:
    """A language model of documents, a transformer or an LSTM."""
    if architecture == "transformer":
        return GPT2(GPT2Config(DOCS_VOCABULARY, 128, WIDTH, DEPTH, HEADS))
    return LSTM(LSTMConfig(DOCS_VOCABULARY, 102, 2))


def train_classifier(model: nn.Module, batches: object, steps: int, seed: int) -> None:
    def objective(batch: dict) -> tuple[Tensor, dict]:
        return F.cross_entropy(model(batch["image"]), batch["label"]), {}

    player = Player("classifier", model, objective, 2e-3, (0.9, 0.98), weight_decay=0.05)
    fit(player, batches, steps, seed=seed, progress=False)


@torch.inference_mode()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of pictures (batch, ...) whose class is named rightly."""
    device = device_of(model)
    found = torch.cat([model(part.to(device)).argmax(dim=1).cpu() for part in images.split(200)])
    return (found == labels).double().mean().item()


def _one_architecture_run(data: str, architecture: str, seed: int) -> dict[str, float]:
    runtime.seed_everything(seed)
    if data == "documents":
        model, tokenizer = text_model(architecture), docs_tokenizer()
        blocks = Blocks(Documents("train").texts, tokenizer.encode, 128, tokenizer.special_ids[END])
        fit(
            language_player(model, noised=NOISED),
            loader(blocks, 16, seed=seed),
            scale(smoke=2, cpu=500, gpu=2_000),
            seed=seed,
            progress=False,
        )
        held_out = doc_blocks("held out")[: scale(smoke=4, cpu=200, gpu=200)]
        return {
            "parameters": count(model),
            "perplexity": perplexity(model, held_out),
            "unigram_perplexity": doc_counts(1).perplexity(held_out),
            "trigram_perplexity": doc_counts(3).perplexity(held_out),
        }
    model = picture_model(data, architecture)
    if data == "digits":
        batches, held_out = loader(Digits("train", 16), 64, seed=seed), Digits("test", 16)
        images, labels = held_out.images, held_out.labels
    else:
        batches = loader(Scenes("train", fields=("image", "label"), objects=1), 64, seed=seed)
        held_out = single_objects("test", scale(smoke=20, cpu=1_000, gpu=2_000), 32)
        images, labels = held_out["image"], held_out["label"]
    train_classifier(model, batches, scale(smoke=2, cpu=500, gpu=5_000), seed)
    return {
        "parameters": count(model),
        "accuracy": accuracy(model, images, labels),
        "chance": labels.bincount().max().item() / len(labels),
    }


def _of(rows: list[Row], name: str, **cell: object) -> list[float]:
    return [
        row[name] for row in rows if all(row[key] == value for key, value in cell.items()) and row.get(name) is not None
    ]


def _one_architecture_verdict(rows: list[Row]) -> Verdict:
    good, parts = [], []
    for data in DATA:
        name = "perplexity" if data == "documents" else "accuracy"
        ours, special_one = (_of(rows, name, data=data, architecture=which) for which in ("transformer", "specialist"))
        other = "LSTM" if data == "documents" else "convolutional network"
        parts.append(f"{data}: {name} {said(ours, 3)}, {other} {said(special_one, 3)}")
        if data == "documents":
            good.append(
                fmean(ours) <= (1 + AS_GOOD) * fmean(special_one)
                and 2 * fmean(ours) < fmean(_of(rows, "unigram_perplexity"))
            )
        else:
            good.append(
                fmean(ours) >= fmean(special_one) - AS_GOOD and fmean(ours) > 2 * fmean(_of(rows, "chance", data=data))
            )
    why = f"The same {DEPTH} layers of width {WIDTH} beside a network made for the data, of as many numbers and steps: {'; '.join(parts)}."
    if all(good):
        return Verdict("holds here", why)
    return Verdict("in part" if any(good) else "not at our scale", why)


def _one_architecture_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=7.2, height=2.8, width_ratios=(1, 2))
    for axis, name, datas in ((axes[0, 0], "perplexity", DATA[:1]), (axes[0, 1], "accuracy", DATA[1:])):
        for number, which in enumerate(("transformer", "specialist")):
            plots.group_bars(
                axis, {data: _of(rows, name, data=data, architecture=which) for data in datas}, which, number, 2
            )
        axis.set_title(name)
    axes[0, 1].legend(frameon=False, fontsize=7, loc="upper right")
    return figure


ONE_ARCHITECTURE = Experiment(
    name="transformers-one-architecture",
    claim="C27",
    question="Do the same layers learn texts as well as a network made for texts, and pictures as well as one made for pictures?",
    notebook=NOTEBOOK,
    grid=tuple({"data": data, "architecture": which, "seed": seed} for data in DATA for which in ("transformer", "specialist") for seed in SEEDS),
    run=_one_architecture_run,
    verdict=_one_architecture_verdict,
    figure=_one_architecture_figure,
)  # fmt: skip


# --- C28: examples in the context, and size ---------------------------------------------------------------------------

SIZES = {"tiny": (8, 2, 2), "small": (16, 2, 2), "middle": (64, 4, 4)}  # width, depth, heads
GAIN = 0.1  # accuracy by which the largest must gain more than the smallest


def _few_shot_run(size: str, seed: int) -> dict[str, float | list[float]]:
    runtime.seed_everything(seed)
    width, depth, heads = SIZES[size]
    model = GPT2(GPT2Config(len(fewshot.VOCABULARY), 9 * fewshot.LINE, width, depth, heads))
    tasks = loader(fewshot.FewShotTasks("train", seed=1 + seed), 64, seed=seed)
    fit(language_player(model, 3e-3), tasks, scale(smoke=2, cpu=500, gpu=500), seed=seed, progress=False)
    found = few_shot_accuracy(model, "test", scale(smoke=20, cpu=1_000, gpu=5_000))["accuracy"]
    return {
        "parameters": count(model),
        "zero_shot": found[0].item(),
        "eight_shot": found[8].item(),
        "gain": (found[8] - found[0]).item(),
        "over_examples": found.tolist(),
    }


def _few_shot_verdict(rows: list[Row]) -> Verdict:
    gains, numbers = grouped(rows, "size", "gain"), grouped(rows, "size", "parameters")
    parts = "; ".join(f"{numbers[size][0]:,} numbers {said(values)}" for size, values in gains.items())
    best = fewshot.best_accuracy("test", 2000)
    why = (
        f"Accuracy with eight examples minus that with none (best possible {best[8] - best[0]:.2f}), held-out families of tasks, equally many "
        f"steps: {parts}."
    )
    means = [fmean(values) for values in gains.values()]
    if clearly_more(gains[list(SIZES)[-1]], gains["tiny"], GAIN) and means == sorted(means):
        return Verdict("holds here", why)
    if max(means) < GAIN:
        return Verdict("not at our scale", why)
    return Verdict("in part" if max(means) - means[0] > GAIN else "does not hold here", why)


def _few_shot_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=5.6, height=3.0)
    numbers = grouped(rows, "size", "parameters")
    for color, (size, lines) in zip(plots.COLORS, grouped(rows, "size", "over_examples").items(), strict=False):
        means = [fmean(values) for values in zip(*lines, strict=True)]
        axes[0, 0].plot(range(len(means)), means, color=color, marker=".", label=f"{numbers[size][0]:,} numbers")
    axes[0, 0].axhline(1 / fewshot.WORDS, color=plots.COLORS[6], linestyle="--", linewidth=1, label="chance")
    axes[0, 0].set(xlabel="examples in the context", ylabel="right answers", ylim=(0, 1.03))
    axes[0, 0].legend(frameon=False, fontsize=7)
    return figure


FEW_SHOT = Experiment(
    name="transformers-few-shot",
    claim="C28",
    question="Do larger language models gain more from examples in their context?",
    notebook=NOTEBOOK,
    grid=tuple({"size": size, "seed": seed} for size in SIZES for seed in SEEDS),
    run=_few_shot_run,
    verdict=_few_shot_verdict,
    figure=_few_shot_figure,
)


# --- GPT, BERT, T5 and LSTM on the same text --------------------------------------------------------------------------

MODELS = ("GPT", "BERT", "T5", "LSTM")
LEFT_TO_RIGHT = ("GPT", "LSTM")
WORDS = 480  # tokens of captions
BATCH = 32


def objective_model(name: str) -> nn.Module:
    """A model of captions; all four have about a quarter of a million numbers."""
    if name == "GPT":
        return GPT2(GPT2Config(WORDS, 64, 64, 4, 4))
    if name == "BERT":
        return BERT(BERTConfig(WORDS, 64, 64, 4, 4, 256, next_sentence=False))
    if name == "T5":
        return T5(T5Config(WORDS, 64, 2, 2, 4, 16, 256, start_token_id=special(PAD)))
    return LSTM(LSTMConfig(WORDS, 104, 2))


def gaps(input_ids: Tensor, attention_mask: Tensor, noise: Tensor) -> Tensor:
    """A place for each text (batch,), not that of an end token, chosen by `noise` (batch,) uniform in [0, 1)."""
    inner = attention_mask.sum(dim=1) - 2
    return 1 + (noise * inner).long()


def _spans(batch: dict[str, Tensor], places: Tensor) -> dict[str, Tensor]:
    """T5's task: the token at each place is hidden behind the first sentinel, and asked for after it."""
    rows = torch.arange(len(places), device=places.device)
    first, end = special(SENTINELS[0]), special(END)
    hidden = batch["input_ids"][rows, places]
    read = batch["input_ids"].clone()
    read[rows, places] = first
    labels = torch.stack([torch.full_like(hidden, first), hidden, torch.full_like(hidden, end)], dim=1)
    return {"input_ids": read, "attention_mask": batch["attention_mask"], "labels": labels}


def objective_player(name: str, model: nn.Module) -> Player:
    """The model with the objective that it is known for."""
    if name in LEFT_TO_RIGHT:
        return language_player(model)

    def objective(batch: dict) -> tuple[Tensor, dict]:
        ids, mask = batch["input_ids"], batch["attention_mask"]
        if name == "T5":
            return model.loss(**_spans(batch, gaps(ids, mask, torch.rand(len(ids), device=ids.device)))), {}
        ends = (ids == special(END)) | ~mask
        noise = torch.rand(3, *ids.shape, device=ids.device)
        task = corrupt_tokens(ids, noise, vocab_size=WORDS, mask_token_id=special(MASK), keep=ends)
        if task.labels.eq(IGNORED).all():
            return 0 * model(task.input_ids, mask).sum(), {}
        return model.loss(task.input_ids, task.labels, mask), {}

    return Player("language model", model, objective, 2e-3, (0.9, 0.98), weight_decay=0.05, ema_decay=0.995)


@torch.inference_mode()
def filled(name: str, model: nn.Module, batch: dict[str, Tensor], places: Tensor) -> Tensor:
    """The likeliest token for a gap in each text, (batch,): from both sides where the model can see them, else from the left."""
    device, rows = device_of(model), torch.arange(len(places))
    ids, mask = (batch[key].to(device) for key in ("input_ids", "attention_mask"))
    if name == "T5":
        task = _spans({"input_ids": ids, "attention_mask": mask}, places.to(device))
        before = torch.tensor([special(PAD), special(SENTINELS[0])], device=device).expand(len(ids), -1)
        return model(task["input_ids"], before, mask)[:, -1].argmax(dim=1).cpu()
    if name == "BERT":
        torn = ids.clone()
        torn[rows, places] = special(MASK)
        return model(torn, mask)[rows, places].argmax(dim=1).cpu()
    return model(ids)[rows, places - 1].argmax(dim=1).cpu()


def _objectives_run(model: str, seed: int) -> dict[str, float]:
    runtime.seed_everything(seed)
    network = objective_model(model)
    steps = scale(smoke=2, cpu=800, gpu=5_000)
    fit(objective_player(model, network), loader(Captions("train"), BATCH, seed=seed), steps, seed=seed, progress=False)
    batch = Captions("test").__getitems__(range(scale(smoke=20, cpu=1_000, gpu=2_000)))
    ids, mask = batch["input_ids"], batch["attention_mask"]
    places = gaps(ids, mask, draw_uniform((len(ids),), runtime.generator(1)))
    right = filled(model, network, batch, places) == ids[torch.arange(len(ids)), places]
    real = mask[:, 1:].sum().item() / len(ids)
    taught = {"BERT": 0.15 * (real - 1), "T5": 3.0}.get(model, real)
    measured = {"parameters": count(network), "filled": right.double().mean().item(), "tokens_taught": taught}
    return measured | ({"perplexity": perplexity(network, ids, mask)} if model in LEFT_TO_RIGHT else {})


def _objectives_verdict(rows: list[Row]) -> Verdict:
    right = grouped(rows, "model", "filled")
    parts = "; ".join(f"{model} {said(values)}" for model, values in right.items())
    per = {model: _of(rows, "perplexity", model=model) for model in LEFT_TO_RIGHT}
    why = (
        f"Share of gaps in held-out captions that are filled rightly, after equally many texts: {parts}. Perplexity: GPT {said(per['GPT'])}, "
        f"LSTM {said(per['LSTM'])}."
    )
    both = [clearly_more(right[model], right["GPT"]) for model in ("BERT", "T5")]
    if all(both):
        return Verdict("holds here", why)
    return Verdict("in part" if any(both) else "does not hold here", why)


def _objectives_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 3, width=9.4, height=2.6)
    for axis, name, title in zip(
        axes[0],
        ("filled", "tokens_taught", "perplexity"),
        ("gaps filled rightly", "tokens that teach, a text", "perplexity"),
        strict=True,
    ):
        plots.group_bars(
            axis, {model: _of(rows, name, model=model) for model in MODELS if _of(rows, name, model=model)}
        )
        axis.set_title(title)
    return figure


OBJECTIVES = Experiment(
    name="transformers-objectives",
    question="Do models that are trained to mend a text (BERT, T5) fill gaps better than those that read from left to right (GPT, LSTM)?",
    notebook=NOTEBOOK,
    grid=tuple({"model": model, "seed": seed} for model in MODELS for seed in SEEDS),
    run=_objectives_run,
    verdict=_objectives_verdict,
    figure=_objectives_figure,
)


# --- GPT-1's recipe ---------------------------------------------------------------------------------------------------

LABELS = (30, 100, 300, 1000)
AUXILIARY = 0.5  # weight of the language model's loss while fine-tuning (Radford et al. 2018, section 3.2)


def judged_captions(count: int, seed: int, split: str = "train") -> tuple[list[str], Tensor]:
    """Captions of which half have one word exchanged for another, and whether the grammar accepts each: texts and labels (count,) int64."""
    draw = runtime.generator(7919 + seed)
    first = int(draw_integers(0, 1000, (1,), draw)) * count if split == "train" else 0
    texts = Captions(split, length=first + count, level="any").texts(range(first, first + count))
    words = sorted({word for text in texts for word in text.split()})
    spoiled, choices = [], draw_uniform((count, 3), draw).tolist()
    for text, (which, place, word) in zip(texts, choices, strict=True):
        parts = text.split()
        if which < 0.5:
            parts[int(place * len(parts))] = words[int(word * len(words))]
        spoiled.append(" ".join(parts))
    return spoiled, torch.tensor([int(accepts(text)) for text in spoiled])


class JudgingGPT(nn.Module):
    """A GPT with one more layer: from what it makes of the last token, two logits (section 3.2 of Radford et al. 2018)."""

    def __init__(self, gpt: GPT2):
        super().__init__()
        self.gpt = gpt
        self.head = nn.Linear(gpt.config.width, 2)
        nn.init.zeros_(self.head.weight)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits (batch, 2) of "wrong" and "a caption"."""
        features = self.gpt.encode(input_ids, attention_mask)
        last = attention_mask.sum(dim=1) - 1
        return self.head(features[torch.arange(len(features), device=features.device), last])


@functools.cache
def pretrained(seed: int, scale_name: str) -> dict[str, Tensor]:
    """Weights of a small GPT that has learned to continue captions."""
    runtime.seed_everything(seed)
    model = objective_model("GPT")
    steps = scale(smoke=2, cpu=800, gpu=5_000)
    fit(language_player(model), loader(Captions("train"), BATCH, seed=seed), steps, seed=seed, progress=False)
    return {name: value.cpu() for name, value in model.state_dict().items()}


def _finetune_run(start: str, labels: int, seed: int) -> dict[str, float]:
    weights = pretrained(seed, runtime.scale_name()) if start == "pre-trained" else None
    runtime.seed_everything(seed)
    model = JudgingGPT(objective_model("GPT"))
    if weights is not None:
        model.gpt.load_state_dict(weights)
    texts, wanted = judged_captions(labels, seed)
    batch = encoded(texts) | {"label": wanted}

    def objective(few: dict) -> tuple[Tensor, dict]:
        loss = F.cross_entropy(model(few["input_ids"], few["attention_mask"]), few["label"])
        return loss + AUXILIARY * model.gpt.loss(few["input_ids"], few["attention_mask"]), {}

    rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
    player = Player("judge", model, objective, 5e-4 if weights is not None else 2e-3, (0.9, 0.98), weight_decay=0.05)
    fit(
        player,
        loader(rows, min(BATCH, labels), seed=seed),
        scale(smoke=2, cpu=300, gpu=1_000),
        seed=seed,
        progress=False,
    )
    held_out, right = judged_captions(scale(smoke=30, cpu=1_000, gpu=2_000), 0, "test")
    test, device = encoded(held_out), device_of(model)
    with torch.inference_mode():
        said_so = torch.cat([
            model(ids.to(device), mask.to(device)).argmax(dim=1).cpu()
            for ids, mask in zip(test["input_ids"].split(100), test["attention_mask"].split(100), strict=True)
        ])  # fmt: skip
    return {
        "accuracy": (said_so == right).double().mean().item(),
        "majority": max(right.double().mean().item(), 1 - right.double().mean().item()),
    }


def _finetune_verdict(rows: list[Row]) -> Verdict:
    better, parts = [], []
    for number in LABELS:
        first, scratch = (
            _of(rows, "accuracy", labels=number, start=start) for start in ("pre-trained", "from scratch")
        )
        better.append(clearly_more(first, scratch))
        parts.append(f"{number} labels {said(first)} against {said(scratch)}")
    majority = fmean(row["majority"] for row in rows)
    why = f"Share of held-out captions that are judged rightly, pre-trained against from scratch (majority {majority:.2f}): {'; '.join(parts)}."
    if all(better):
        return Verdict("holds here", why)
    return Verdict("in part" if any(better) else "does not hold here", why)


def _finetune_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=5.6, height=2.8)
    for color, (start, marker) in zip(plots.COLORS, (("pre-trained", "o"), ("from scratch", "s")), strict=False):
        known = [number for number in LABELS if _of(rows, "accuracy", labels=number, start=start)]
        means = [fmean(_of(rows, "accuracy", labels=number, start=start)) for number in known]
        axes[0, 0].plot(known, means, color=color, marker=marker, label=start)
    axes[0, 0].axhline(
        fmean(row["majority"] for row in rows), color=plots.COLORS[6], linestyle="--", linewidth=1, label="majority"
    )
    axes[0, 0].set(xscale="log", xlabel="labelled captions", ylabel="judged rightly")
    axes[0, 0].legend(frameon=False, fontsize=7)
    return figure


FINETUNE = Experiment(
    name="transformers-finetune",
    question="GPT-1's recipe: does a model that has learned to continue texts need fewer labels to learn to judge them than one from scratch?",
    notebook=NOTEBOOK,
    grid=tuple(
        {"start": start, "labels": labels, "seed": seed} for seed in SEEDS for start in ("pre-trained", "from scratch") for labels in LABELS
    ),
    run=_finetune_run,
    verdict=_finetune_verdict,
    figure=_finetune_figure,
)  # fmt: skip


# --- compute ----------------------------------------------------------------------------------------------------------

PF_DAY = 1e15 * 24 * 3600  # floating-point operations of a petaflop/s for a day
PUBLISHED = {
    "T5-Small": (2.08, 1000), "T5-Base": (7.64, 1000), "T5-Large": (26.7, 1000), "T5-3B": (104, 1000), "T5-11B": (382, 1000),
    "BERT-Base": (1.89, 250), "BERT-Large": (6.16, 250),
    "GPT-3 Small": (2.60, 300), "GPT-3 Medium": (7.42, 300), "GPT-3 Large": (15.8, 300), "GPT-3 XL": (27.5, 300),
    "GPT-3 2.7B": (55.2, 300), "GPT-3 6.7B": (139, 300), "GPT-3 13B": (268, 300), "GPT-3 175B": (3640, 300),
}  # fmt: skip
"""Petaflop/s-days and billions of tokens of the training (Brown et al. 2020, appendix D)."""

# width, depth, heads (Brown et al. 2020, table 2.1, which has 5140 for the width that is 40 heads of 128)
GPT3 = {"Small": (768, 12, 12), "Medium": (1024, 24, 16), "Large": (1536, 24, 16), "XL": (2048, 24, 16), "2.7B": (2560, 32, 32),
        "6.7B": (4096, 32, 32), "13B": (5120, 40, 40), "175B": (12288, 96, 96)}  # fmt: skip
T5S = {"Small": (512, 6, 8, 64, 2048), "Base": (768, 12, 12, 64, 3072), "Large": (1024, 24, 16, 64, 4096), "3B": (1024, 24, 32, 128, 16384),
       "11B": (1024, 24, 128, 128, 65536)}  # fmt: skip
CLOSE = 0.1  # by which a formula may miss


def published_model(name: str) -> nn.Module:
    """Our model at the published size; make it on the meta device, for the largest has 175 thousand million numbers."""
    if name.startswith("GPT-3"):
        return GPT2(GPT2Config(50257, 2048, *GPT3[name.removeprefix("GPT-3 ")]))
    kind, size = name.split("-")
    if kind == "T5":
        width, depth, heads, head_dim, hidden = T5S[size]
        return T5(
            T5Config(width=width, depth=depth, decoder_depth=depth, num_heads=heads, head_dim=head_dim, hidden=hidden)
        )
    return BERT(BERTConfig() if size == "Base" else BERTConfig(width=1024, depth=24, num_heads=16, hidden=4096))


def _compute_run(model: str) -> dict[str, float]:
    days, tokens = PUBLISHED[model]
    with torch.device("meta"):
        parameters = count(published_model(model))
    return {
        "parameters_millions": parameters / 1e6,
        "published_days": days,
        "six_nd": 6 * parameters * tokens * 1e9 / PF_DAY,
        "three_nd": 3 * parameters * tokens * 1e9 / PF_DAY,
    }


def _compute_verdict(rows: list[Row]) -> Verdict:
    ratios = {row["model"]: row["six_nd"] / row["published_days"] for row in rows}
    decoders = {name: ratio for name, ratio in ratios.items() if not name.startswith("T5")}
    both = {name: ratio / 2 for name, ratio in ratios.items() if name.startswith("T5")}
    off = [f"{name} ({ratio:.2f})" for name, ratio in (decoders | both).items() if abs(ratio - 1) > CLOSE]
    low, high, low_t5, high_t5 = (of(found.values()) for found in (decoders, both) for of in (min, max))
    why = (
        f"6 N D as a share of the published compute, with N counted in our own models: {low:.2f} to {high:.2f} for BERT and GPT-3; half of it, "
        f"since each token meets one of the two stacks, {low_t5:.2f} to {high_t5:.2f} for T5. More than a tenth off: {', '.join(off) or 'none'}."
    )
    if not off:
        return Verdict("holds here", why)
    return Verdict("in part" if len(off) < len(rows) / 2 else "does not hold here", why)


def _compute_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=5.6, height=3.4)
    for color, (kind, factor, name) in zip(
        plots.COLORS, (("BERT", 6, "six_nd"), ("GPT-3", 6, "six_nd"), ("T5", 3, "three_nd")), strict=False
    ):
        own = [row for row in rows if row["model"].startswith(kind)]
        days = [row["published_days"] for row in own]
        axes[0, 0].scatter([row[name] for row in own], days, color=color, s=18, zorder=3, label=f"{kind}: {factor} N D")
    ends = [1, 5000]
    axes[0, 0].plot(ends, ends, color=plots.COLORS[6], linewidth=1)
    axes[0, 0].set(xscale="log", yscale="log", xlabel="by the formula, petaflop/s-days", ylabel="published")
    axes[0, 0].legend(frameon=False, fontsize=7)
    return figure


COMPUTE = Experiment(
    name="transformers-compute",
    question="Does 6 N D (N numbers, D tokens) give the published training compute of BERT and GPT-3, and half of it that of T5?",
    notebook=NOTEBOOK,
    grid=tuple({"model": model} for model in PUBLISHED),
    run=_compute_run,
    verdict=_compute_verdict,
    figure=_compute_figure,
)

EXPERIMENTS: tuple[Experiment, ...] = (ONE_ARCHITECTURE, FEW_SHOT, OBJECTIVES, FINETUNE, COMPUTE)
"""`course experiment transformers-compute`, and so on."""
