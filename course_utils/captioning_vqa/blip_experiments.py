"""Studies of notebook 02_blip: captions bootstrapped from a noisy web (claim C38), what the filter finds, and from which wrong pairs it learns."""

import functools
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from course_utils import plots, runtime, scale
from course_utils.captioning_vqa import blip_recipes
from course_utils.captioning_vqa.blip import BLIP
from course_utils.captioning_vqa.blip_recipes import (
    BLIP_SCENES,
    CaptionedFeatures,
    blip_on_clip,
    captioned,
    described,
    full_captions,
    matched,
    pretraining_player,
    search,
    trimmed,
)
from course_utils.captioning_vqa.capfilt import DAMAGES, WebText, bootstrap, precision_recall, web_texts
from course_utils.captioning_vqa.losses import writing_loss
from course_utils.captioning_vqa.metrics import truth_scores
from course_utils.data import loader
from course_utils.data.scenes import SceneRecords, records, render
from course_utils.language.corruption import real_labels
from course_utils.metrics import ranks, recall_at_k
from course_utils.training import Experiment, Player, Verdict, clearly_more, fit, grid, grouped, load, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
NOTEBOOK = blip_recipes.NOTEBOOK
WEB_START = 100_000  # the web's pictures are training scenes that no recipe has seen
DAMAGED = 0.6  # share of the web's texts


# --- C38: captions from a noisy web -----------------------------------------------------------------------------------


class Web(NamedTuple):
    """Pictures of the web with their texts, those of the captioner, and what the filter makes of both."""

    scenes: SceneRecords
    features: Tensor
    texts: list[WebText]
    own: list[str]
    web_scores: Tensor
    own_scores: Tensor


@functools.lru_cache(maxsize=1)
def web(seed: int) -> Web:
    """The web of a seed, seen by `blip-scenes` as captioner (with draws from the nucleus) and as filter."""
    count, model = scale(smoke=24, cpu=3000, gpu=50_000), load(BLIP_SCENES)
    start = WEB_START + seed * count
    scenes = records("train", range(start, start + count))
    images, texts = render(scenes), web_texts(scenes, seed, share=DAMAGED)
    own = described(model, images, runtime.generator(seed), temperature=1.0, top_p=0.9)
    data = CaptionedFeatures(model, scenes, [[text] for text in own])
    scores = [matched(model, images, few) for few in ([one.text for one in texts], own)]
    return Web(scenes, data.features, texts, own, *scores)


SETS = ("raw", "filtered", "synthetic", "both", "clean")


def training_pairs(made: Web, which: str) -> list[tuple[int, str]]:
    """Numbers of pictures and their texts of a set of `SETS`: the web's as found, those that the filter keeps, the captioner's that it keeps,
    both, or captions with no damage."""
    found = [one.text for one in made.texts]
    if which == "raw":
        return list(enumerate(found))
    if which == "clean":
        return [(number, one.text) for number, one in enumerate(web_texts(made.scenes, share=0.0))]
    cleaned = bootstrap(found, made.own, made.web_scores, made.own_scores)
    kept_web = int((made.web_scores > 0.5).sum())
    return {"filtered": cleaned[:kept_web], "synthetic": cleaned[kept_web:], "both": cleaned}[which]


def writing_player(model: BLIP, learning_rate: float = 2e-3) -> Player:
    """A captioner alone; batches as `CaptionedFeatures` makes them, with one text a picture."""

    def objective(batch: dict) -> tuple[Tensor, dict]:
        ids, mask = trimmed(batch["input_ids"][:, 0], batch["attention_mask"][:, 0])
        begun = torch.cat([torch.full_like(ids[:, :1], model.config.start_token_id), ids[:, 1:]], dim=1)
        logits = model.text_decoder(begun, mask, model.image_encoder.tokens(batch["features"]))
        return writing_loss(logits, real_labels(begun, mask)), {}

    return Player("captioner", model, objective, learning_rate, (0.9, 0.98), weight_decay=0.05, ema_decay=0.98)


def _capfilt_run(captions: str, seed: int) -> dict[str, float]:
    steps, samples = scale(smoke=(2, 6), cpu=(400, 250), gpu=(10_000, 1000))
    made = web(seed)
    pairs = training_pairs(made, captions)
    numbers = torch.tensor([number for number, _ in pairs])
    texts = [text for _, text in pairs]
    data = CaptionedFeatures.of(made.features[numbers], [[text] for text in texts])
    runtime.seed_everything(seed)
    student = blip_on_clip(encoder=False)
    fit(writing_player(student), loader(data, min(32, len(data)), seed=seed), steps, seed=seed, progress=False)
    student = student.to(runtime.device()).eval()
    scenes = records("validation", range(samples))
    true = truth_scores(texts, made.scenes[numbers])
    return truth_scores(described(student, render(scenes)), scenes) | {"texts": len(texts), "true_texts": true["true"]}


def _capfilt_verdict(rows: list[Row]) -> Verdict:
    whole, true = (grouped(rows, "captions", name) for name in ("whole", "true_texts"))
    numbers = ", ".join(f"{name}: {said(whole[name])}" for name in SETS)
    why = (
        f"Held-out scenes whose greedy caption is true and names every object, by what the captioner learned from: {numbers}. Of the texts "
        f"themselves {', '.join(f'{fmean(true[name]):.2f} ({name})' for name in SETS)} are true."
    )
    better = {name: clearly_more(whole[name], whole["raw"], 0.02) for name in ("filtered", "synthetic", "both")}
    if better["both"]:
        return Verdict("holds here" if better["filtered"] and better["synthetic"] else "in part", why)
    return Verdict("in part" if any(better.values()) else "does not hold here", why)


def _capfilt_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=5.6, height=2.8)
    axis = axes[0, 0]
    names = {"whole": "captions wholly true", "true_texts": "texts learned from that are true"}
    for shift, (color, (name, label)) in enumerate(zip(plots.COLORS, names.items(), strict=False)):
        values = grouped(rows, "captions", name)
        axis.bar(
            [place + 0.38 * shift - 0.19 for place in range(len(SETS))],
            [fmean(values[which]) for which in SETS],
            width=0.36, color=color, label=label,
        )  # fmt: skip
    axis.set(ylim=(0, 1.03), ylabel="share")
    axis.set_xticks(range(len(SETS)), SETS)
    axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(names))  # above, where no bar is
    return figure


CAPFILT = Experiment(
    name="blip-capfilt",
    claim="C38",
    question="How true does a captioner become that learns from raw web texts, from filtered ones, from a captioner's, from both?",
    notebook=NOTEBOOK,
    grid=grid(captions=SETS, seed=range(2)),
    run=_capfilt_run,
    verdict=_capfilt_verdict,
    figure=_capfilt_figure,
)


# --- what the filter finds --------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def _scored() -> tuple[list[WebText], Tensor]:
    scenes = records("validation", range(scale(smoke=12, cpu=1500, gpu=5000)))
    texts = web_texts(scenes, share=0.8)
    return texts, matched(load(BLIP_SCENES), render(scenes), [one.text for one in texts])


def _damage_run(damage: str) -> dict[str, float]:
    texts, scores = _scored()
    chosen = torch.tensor([one.damage == damage for one in texts])
    true = torch.tensor([one.true for one in texts])[chosen]
    kept = scores[chosen] > 0.5
    return {"texts": int(chosen.sum()), "true": true.double().mean().item(), "kept": kept.double().mean().item()}


def _damage_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=5.6, height=2.6)
    axis = axes[0, 0]
    for shift, (color, name) in enumerate(zip(plots.COLORS, ("true", "kept"), strict=False)):
        places = [place + 0.38 * shift - 0.19 for place in range(len(rows))]
        axis.bar(places, [row[name] for row in rows], width=0.36, color=color, label=name)
    axis.set(ylim=(0, 1.03), ylabel="share of the texts")
    axis.set_xticks(range(len(rows)), [row["damage"] for row in rows], fontsize=8)
    axis.legend(frameon=False)
    return figure


def _damage_verdict(rows: list[Row]) -> Verdict:
    found = ", ".join(f"{row['damage']}: {row['kept']:.3f} (true {row['true']:.3f})" for row in rows)
    why = f"Texts that the filter keeps, by what was done to them: {found}."
    good = all(abs(row["kept"] - row["true"]) <= 0.1 for row in rows)
    return Verdict("holds here" if good else "in part", why)


DAMAGE = Experiment(
    name="blip-filter",
    question="Which kinds of damage does the filter find?",
    notebook=NOTEBOOK,
    grid=grid(damage=DAMAGES),
    run=_damage_run,
    verdict=_damage_verdict,
    figure=_damage_figure,
)


# --- from which wrong pairs it learns ---------------------------------------------------------------------------------

TRAININGS = ("rivals", "hard in the batch", "random", "hard, raw web texts")


def _negatives_run(training: str) -> dict[str, float]:
    """A short training of all three roles, and then the filter and the search of what came out."""
    steps, count, samples = scale(smoke=(2, 40, 8), cpu=(300, 4000, 400), gpu=(10_000, 50_000, 1000))
    if training == "hard, raw web texts":
        seen = records("train", range(count))
        texts = [[one.text] for one in web_texts(seen, share=DAMAGED)]
        data = CaptionedFeatures(blip_on_clip(), seen, texts)
    else:
        data = captioned(count, rivals=blip_recipes.RIVALS if training == "rivals" else 0)
    runtime.seed_everything(0)
    model = blip_on_clip()
    player = pretraining_player(model, 2e-3, ema_decay=0.98, hard=training != "random")
    fit(player, loader(data, 32), steps, progress=False)
    model = model.to(runtime.device()).eval()
    scenes = records("validation", range(samples))
    images, found = render(scenes), web_texts(scenes)
    scores = matched(model, images, [one.text for one in found])
    precision, recall = precision_recall(scores > 0.5, torch.tensor([one.true for one in found]))
    recolored = torch.tensor([one.damage == "wrong color" for one in found])
    contrast, again = search(model, images, full_captions(scenes))
    return {
        "filter_precision": precision,
        "filter_recall": recall,
        "wrong_color_kept": (scores[recolored] > 0.5).double().mean().item() if recolored.any() else 0.0,
        "recall_at_1": recall_at_k(ranks(contrast), 1),
        "reranked_recall_at_1": recall_at_k(ranks(again), 1),
    }


def _negatives_verdict(rows: list[Row]) -> Verdict:
    by = {row["training"]: row for row in rows}
    numbers = "; ".join(
        f"{name}: precision {row['filter_precision']:.2f}, recall {row['filter_recall']:.2f}, wrong colours kept {row['wrong_color_kept']:.2f}, "
        f"recall@1 {row['recall_at_1']:.2f} and after matching {row['reranked_recall_at_1']:.2f}"
        for name, row in by.items()
    )
    hard, random = (
        [by[name][measure] for measure in ("filter_precision", "reranked_recall_at_1")] for name in ("rivals", "random")
    )
    better = sum(more > less + 0.02 for more, less in zip(hard, random, strict=True))
    return Verdict(
        ("does not hold here", "in part", "holds here")[better], f"By what matching learned from: {numbers}."
    )


def _negatives_figure(rows: list[Row]) -> "Figure":
    names = ("filter_precision", "filter_recall", "wrong_color_kept", "recall_at_1", "reranked_recall_at_1")
    figure, axes = plots.figure(width=7.0, height=2.8)
    axis = axes[0, 0]
    for shift, (color, row) in enumerate(zip(plots.COLORS, rows, strict=False)):
        places = [place + 0.2 * (shift - 1.5) for place in range(len(names))]
        axis.bar(places, [row[name] for name in names], width=0.18, color=color, label=row["training"])
    axis.set(ylim=(0, 1.3), ylabel="share")
    axis.set_xticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=7)
    axis.legend(frameon=False, fontsize=7, ncol=2)
    return figure


NEGATIVES = Experiment(
    name="blip-negatives",
    question="What does matching learn from random wrong pairs, from hard ones, and from a web in which the right pairs are wrong?",
    notebook=NOTEBOOK,
    grid=grid(training=TRAININGS),
    run=_negatives_run,
    verdict=_negatives_verdict,
    figure=_negatives_figure,
)

BLIP_EXPERIMENTS: tuple[Experiment, ...] = (CAPFILT, DAMAGE, NEGATIVES)
"""`course experiment blip-capfilt`, and so on."""
