"""Studies of notebooks 02_clip and 03_retrieval: a joint space that classifies without training (claim C29), what its training depends on, what it
does not see, and what approximate search gains and misses (claim C30)."""

import dataclasses
import functools
import math
import time
from statistics import fmean
from typing import TYPE_CHECKING

import faiss
import torch
from torch import Tensor

from course_utils import plots, runtime, scale
from course_utils.clip import recipes
from course_utils.clip.clip import CLIP
from course_utils.clip.gallery import Index
from course_utils.clip.recipes import (
    CLIP_SCENES,
    SIZE,
    CaptionedScenes,
    caption_player,
    embed_pictures,
    embed_texts,
    scene_ids,
)
from course_utils.clip.zero_shot import linear_probe
from course_utils.data import Scenes, loader
from course_utils.data.scenes import COLORS, PLACES, SHAPES, Pattern, SceneRecords, records, render
from course_utils.data.scenes.captions import one
from course_utils.layers import draw_uniform
from course_utils.metrics import ranks, recall_at_k
from course_utils.training import Experiment, Verdict, clearly_more, fit, grid, grouped, load, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
CLIP_NOTEBOOK, RETRIEVAL_NOTEBOOK = "05_clip/02_clip", "05_clip/03_retrieval"
CLASSES = len(SHAPES) * len(COLORS)


# --- C29: classes that are texts, against classes that are learned ----------------------------------------------------


def _zero_shot_run(labels_per_class: int, seed: int) -> dict[str, float]:
    test, pool = scale(smoke=(60, 400), cpu=(2000, 4000), gpu=(2000, 4000))
    model = load(CLIP_SCENES)
    batch = Scenes("train", SIZE, fields=("image", "label"), objects=1, seed=100 + seed)[range(pool)]
    # the first few of each class: how often the class of a picture has come before it
    same = batch["label"][:, None] == batch["label"]
    chosen = same.tril(-1).sum(1) < labels_per_class
    held_out = Scenes("test", SIZE, fields=("image", "label"), objects=1)[range(test)]
    features, labels = embed_pictures(model, batch["image"][chosen]), batch["label"][chosen]
    found = linear_probe(features, labels, embed_pictures(model, held_out["image"]))
    return {
        "probe_accuracy": (found == held_out["label"]).double().mean().item(),
        "labels": len(labels),
        "zero_shot_accuracy": recipes.zero_shot_accuracy(model, "test", test),
        "unseen_zero_shot_accuracy": recipes.zero_shot_accuracy(model, "compositional", test),
    }


def _zero_shot_verdict(rows: list[Row]) -> Verdict:
    probe = grouped(rows, "labels_per_class", "probe_accuracy")
    ours, unseen = (fmean(row[name] for row in rows) for name in ("zero_shot_accuracy", "unseen_zero_shot_accuracy"))
    beaten = [few for few, values in probe.items() if ours > fmean(values)]
    numbers = ", ".join(f"{few} labels {said(values)}" for few, values in probe.items())
    why = (
        f"Of scenes of one object the zero-shot classifier names {ours:.2f} rightly among {CLASSES} classes (chance {1 / CLASSES:.2f}), and "
        f"{unseen:.2f} of those whose pair of shape and colour no training scene has. A linear probe on the same vectors, by labels a class: "
        f"{numbers}."
    )
    if ours >= 0.5 and beaten:
        return Verdict(
            "holds here", f"Without any label it does better than the probe with {max(beaten)} a class. {why}"
        )
    return Verdict("in part" if ours > 3 / CLASSES else "does not hold here", why)


def _zero_shot_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=5.6, height=3.0)
    axis = axes[0, 0]
    probe = sorted(grouped(rows, "labels_per_class", "probe_accuracy").items())
    axis.plot(
        [few for few, _ in probe],
        [fmean(values) for _, values in probe],
        color=plots.COLORS[0],
        marker="o",
        label="linear probe",
    )
    axis.scatter(
        [row["labels_per_class"] for row in rows], [row["probe_accuracy"] for row in rows], color=plots.COLORS[0], s=8
    )
    for color, name, label in (
        (plots.COLORS[1], "zero_shot_accuracy", "zero-shot"),
        (plots.COLORS[2], "unseen_zero_shot_accuracy", "zero-shot, unseen pairs"),
    ):
        axis.axhline(fmean(row[name] for row in rows), color=color, linestyle="--", label=label)
    axis.set(xlabel="labels a class", ylabel="accuracy", xscale="log", ylim=(0, 1.03))
    axis.set_xticks([few for few, _ in probe], [str(few) for few, _ in probe])
    axis.minorticks_off()
    axis.legend(frameon=False)
    return figure


ZERO_SHOT = Experiment(
    name="clip-zero-shot",
    claim="C29",
    question="How many labels a class does a linear probe need to do as well as a classifier made of texts?",
    notebook=CLIP_NOTEBOOK,
    grid=grid(labels_per_class=(1, 2, 4, 8, 16), seed=range(3)),
    run=_zero_shot_run,
    verdict=_zero_shot_verdict,
    figure=_zero_shot_figure,
)


# --- what training depends on -----------------------------------------------------------------------------------------


# of the models that the studies train: half as wide as `clip-scenes`, so that many of them can be trained
STUDIED = dataclasses.replace(recipes.SCENES_CLIP, image_width=32, text_width=64, text_hidden=256, dim=64)


@functools.lru_cache(maxsize=2)  # two studies share the trainings with the learned scale
def _short_training(batch_size: int, seed: int, fixed_scale: float | None = None) -> CLIP:
    """A CLIP that has seen a fixed number of pairs, in batches of a size; the scale learned, or fixed."""
    pairs, length = scale(smoke=(2 * batch_size, 2 * batch_size), cpu=(38_400, None), gpu=(1_000_000, None))
    model = CLIP(STUDIED)
    if fixed_scale is not None:
        torch.nn.init.constant_(model.log_scale, math.log(fixed_scale))
        model.log_scale.requires_grad_(False)
    batches = loader(CaptionedScenes("train", length), batch_size, seed=seed)
    fit(caption_player(model, full=1.0), batches, pairs // batch_size, seed=seed, progress=False)
    return model.to(runtime.device()).eval()


def _search_scores(model: CLIP) -> dict[str, float]:
    samples = scale(smoke=40, cpu=1000, gpu=1000)
    scenes = records("test", range(samples))
    texts = embed_texts(model, scene_ids([caption.text for caption in recipes.written(scenes, "full")]))
    found = ranks(texts @ embed_pictures(model, render(scenes, SIZE)).T)
    return {
        "recall_at_1": recall_at_k(found, 1),
        "recall_at_10": recall_at_k(found, 10),
        "scale": model.logit_scale.item(),
    }


def _batch_run(batch_size: int, seed: int) -> dict[str, float]:
    return _search_scores(_short_training(batch_size, seed))


def _batch_verdict(rows: list[Row]) -> Verdict:
    recall = grouped(rows, "batch_size", "recall_at_1")
    small, large = recall[min(recall)], recall[max(recall)]
    numbers = ", ".join(f"{size}: {said(values)}" for size, values in recall.items())
    why = f"Recall@1 among 1,000 held-out scenes after equally many pairs, by pairs in a batch: {numbers}."
    if clearly_more(large, small):
        return Verdict("holds here", f"More wrong answers to choose among teach more. {why}")
    return Verdict(
        "does not hold here",
        f"With equally many pairs, small batches have more steps, and those count for more here. {why}",
    )


def _recall_bars(rows: list[Row], key: str) -> "Figure":
    figure, axes = plots.figure(width=4.8, height=2.8)
    plots.group_bars(axes[0, 0], grouped(rows, key, "recall_at_1"))
    axes[0, 0].set(xlabel=key.replace("_", " "), ylabel="recall@1 of 1,000", ylim=(0, 1))
    return figure


BATCH_SIZE = Experiment(
    name="clip-batch-size",
    question="After equally many pairs, does a larger batch, with more wrong answers in it, find more?",
    notebook=CLIP_NOTEBOOK,
    grid=grid(batch_size=(16, 64, 256), seed=range(2)),
    run=_batch_run,
    verdict=_batch_verdict,
    figure=lambda rows: _recall_bars(rows, "batch_size"),
)


def _temperature_run(temperature: str, seed: int) -> dict[str, float]:
    return _search_scores(_short_training(256, seed, None if temperature == "learned" else 1 / float(temperature)))


def _temperature_verdict(rows: list[Row]) -> Verdict:
    recall = grouped(rows, "temperature", "recall_at_1")
    fixed = {name: values for name, values in recall.items() if name != "learned"}
    numbers = ", ".join(f"{name}: {said(values)}" for name, values in recall.items())
    learned = 1 / fmean(grouped(rows, "temperature", "scale")["learned"])
    why = f"Recall@1 among 1,000 held-out scenes by temperature: {numbers}. The learned one ended at {learned:.3f}."
    worse = [name for name, values in fixed.items() if clearly_more(recall["learned"], values)]
    better = [name for name, values in fixed.items() if clearly_more(values, recall["learned"])]
    if worse and not better:
        return Verdict(
            "holds here",
            f"Badly fixed ({', '.join(worse)}) it finds clearly less, and none does clearly better than the learned. {why}",
        )
    return Verdict("in part" if worse else "does not hold here", why)


TEMPERATURE = Experiment(
    name="clip-temperature",
    question="What does a temperature cost that is fixed badly?",
    notebook=CLIP_NOTEBOOK,
    grid=grid(temperature=("1", "0.07", "0.01", "learned"), seed=range(2)),
    run=_temperature_run,
    verdict=_temperature_verdict,
    figure=lambda rows: _recall_bars(rows, "temperature"),
)


# --- what it does not see ---------------------------------------------------------------------------------------------

SWAPS = ("relation", "colours", "places", "order of all words")


def _two_things(samples: int) -> tuple[SceneRecords, list[tuple[int, int]]]:
    """Scenes of two objects that differ in shape and in colour, and the places of both."""
    scenes = records("test", range(12 * samples), objects=2)
    places = scenes.present.long().topk(2, dim=1).indices.sort(dim=1).values
    shapes, colors = scenes.shape.gather(1, places), scenes.color.gather(1, places)
    rows = ((shapes[:, 0] != shapes[:, 1]) & (colors[:, 0] != colors[:, 1])).nonzero()[:samples, 0]
    return scenes[rows], [tuple(pair) for pair in places[rows].tolist()]


def swapped(scenes: SceneRecords, places: list[tuple[int, int]], swap: str, seed: int) -> tuple[list[str], list[str]]:
    """True captions of scenes of two objects, and wrong ones of the same words.

    Args:
        swap: what is wrong in the second: one of SWAPS.
        seed: of the order of all words.
    """
    true, wrong = [], []
    draw = runtime.generator(seed)
    for row, (first, second) in enumerate(places):
        shapes, colors = scenes.shape[row].tolist(), scenes.color[row].tolist()
        a, b = (one(Pattern(shapes[place], colors[place])) for place in (first, second))
        if (
            swap == "relation"
        ):  # places are in reading order, so the first is not right of the second unless it is above
            relation = "left of" if first % 2 < second % 2 else "above"
            text, other = f"{a} is {relation} {b}", f"{b} is {relation} {a}"
        elif swap == "colours":
            text = f"only {a} and {b}"
            other = (
                f"only {one(Pattern(shapes[first], colors[second]))} and {one(Pattern(shapes[second], colors[first]))}"
            )
        else:
            text = f"{a} is at the {PLACES[first]} and {b} is at the {PLACES[second]}"
            other = f"{a} is at the {PLACES[second]} and {b} is at the {PLACES[first]}"
            if swap == "order of all words":
                words = text.split()
                order = draw_uniform((len(words),), draw).argsort().tolist()
                other = " ".join(words[place] for place in order)
        true.append(text)
        wrong.append(other)
    return true, wrong


def _words_run(swap: str, seed: int) -> dict[str, float]:
    model, samples = load(CLIP_SCENES), scale(smoke=20, cpu=1000, gpu=1000)
    scenes, places = _two_things(samples)
    pictures = embed_pictures(model, render(scenes, SIZE))
    texts = [embed_texts(model, scene_ids(few)) for few in swapped(scenes, places, swap, seed)]
    right, wrong = ((pictures * few).sum(1) for few in texts)
    return {
        "right": (right > wrong).double().mean().item(),
        "similarity_of_texts": (texts[0] * texts[1]).sum(1).mean().item(),
        "similarity_lost": (right - wrong).mean().item(),
    }


def _words_verdict(rows: list[Row]) -> Verdict:
    right = {swap: fmean(values) for swap, values in grouped(rows, "swap", "right").items()}
    numbers = ", ".join(f"{swap} {share:.2f}" for swap, share in right.items())
    why = f"How often the true caption is nearer to the picture than one of the same words, in which is wrong: {numbers} (chance 0.50)."
    blind = [swap for swap, share in right.items() if share < 0.75]
    if len(blind) == len(right):
        return Verdict("holds here", f"It reads its captions as bags of words. {why}")
    if blind:
        return Verdict("in part", f"As a bag of words it reads: {', '.join(blind)}. {why}")
    return Verdict(
        "does not hold here",
        f"Trained on captions that differ in nothing but the order of words, it heeds that order. {why}",
    )


def _words_figure(rows: list[Row]) -> "Figure":
    right = {swap: fmean(values) for swap, values in grouped(rows, "swap", "right").items()}
    return plots.bars(right, "true caption nearer", {"chance": 0.5})


WORD_ORDER = Experiment(
    name="clip-word-order",
    question="Is a caption told from one with the same words in the wrong order?",
    notebook=CLIP_NOTEBOOK,
    grid=grid(swap=SWAPS, seed=range(1)),
    run=_words_run,
    verdict=_words_verdict,
    figure=_words_figure,
)


def _gap_run(model: str, seed: int) -> dict[str, float]:
    samples = scale(smoke=40, cpu=1000, gpu=1000)
    made = load(CLIP_SCENES) if model == "trained" else CLIP_SCENES.model().to(runtime.device()).eval()
    scenes = records("test", range(samples))
    pictures = embed_pictures(made, render(scenes, SIZE))
    texts = embed_texts(made, scene_ids([caption.text for caption in recipes.written(scenes, "full")]))
    middles = pictures.mean(0), texts.mean(0)
    across = (middles[1] - middles[0]) / (middles[1] - middles[0]).norm()
    border = (middles[0] + middles[1]) @ across / 2
    apart = ((pictures @ across < border).double().mean() + (texts @ across > border).double().mean()) / 2
    shifted = torch.nn.functional.normalize(texts - middles[1] + middles[0], dim=1)
    return {
        "gap": (middles[0] - middles[1]).norm().item(),
        "told_apart": apart.item(),
        "own_similarity": (pictures * texts).sum(1).mean().item(),
        "picture_similarity": (pictures @ pictures.T).mean().item(),
        "recall_at_1": recall_at_k(ranks(texts @ pictures.T), 1),
        "recall_at_1_without_gap": recall_at_k(ranks(shifted @ pictures.T), 1),
    }


def _gap_verdict(rows: list[Row]) -> Verdict:
    gap, apart = grouped(rows, "model", "gap"), grouped(rows, "model", "told_apart")
    own = fmean(grouped(rows, "model", "own_similarity")["trained"])
    why = (
        f"The mean picture and the mean text lie {said(gap['trained'])} apart after training ({said(gap['untrained'])} before, where chance chooses "
        f"both); a plane between them tells {said(apart['trained'])} of pictures and texts apart (chance 0.50). A picture and its own caption: "
        f"{own:.2f}."
    )
    if fmean(apart["trained"]) >= 0.95:
        return Verdict("holds here", f"Pictures and texts live in two places of the one space. {why}")
    return Verdict("in part" if fmean(apart["trained"]) > 0.6 else "does not hold here", why)


def _gap_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=6.4, height=2.8)
    for axis, (name, label) in zip(
        axes[0], (("gap", "distance of the means"), ("told_apart", "told apart by a plane")), strict=True
    ):
        plots.group_bars(axis, grouped(rows, "model", name))
        axis.set(ylabel=label)
    return figure


MODALITY_GAP = Experiment(
    name="clip-modality-gap",
    question="Do pictures and texts mix in the one space, or is there a gap between them (Liang et al., NeurIPS 2022)?",
    notebook=CLIP_NOTEBOOK,
    grid=(*({"model": "untrained", "seed": seed} for seed in range(3)), {"model": "trained", "seed": 0}),
    run=_gap_run,
    verdict=_gap_verdict,
    figure=_gap_figure,
)


# --- C30: approximate search ------------------------------------------------------------------------------------------

SIZES = (10_000, 100_000, 1_000_000)
EFFORTS = {"exact": (0,), "ivf": (1, 4, 16, 64), "hnsw": (16, 64, 256), "pq": (0,), "ivf_pq": (1, 4, 16, 64)}
QUERIES = 500
PART = 10_000  # scenes that are rendered at once


@functools.lru_cache(maxsize=1)
def _vectors(model: CLIP, count: int) -> Tensor:
    """Unit vectors (count, dim) of training scenes."""
    parts = [range(start, min(start + PART, count)) for start in range(0, count, PART)]
    return torch.cat([embed_pictures(model, render(records("train", part), SIZE)) for part in parts])


@functools.lru_cache(maxsize=1)
def _model() -> CLIP:
    return load(CLIP_SCENES)


def _index_run(size: int, kind: str) -> dict[str, list[float] | float]:
    size, queries = scale(smoke=(600, 20), cpu=(size, QUERIES), gpu=(size, QUERIES))
    vectors = _vectors(_model(), scale(smoke=600, cpu=max(SIZES), gpu=max(SIZES)))[:size]
    scenes = records("test", range(queries))
    asked = embed_texts(_model(), scene_ids([caption.text for caption in recipes.written(scenes, "full")]))
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # so that the time of the processor is that of the search
    try:
        names = [""] * size
        true = Index.build(vectors, names, "clip-scenes").search(asked, 10).indices
        start = time.process_time()
        index = Index.build(vectors, names, "clip-scenes", kind)
        building, found, speed = time.process_time() - start, [], []
        for effort in EFFORTS[kind]:
            start = time.process_time()
            indices = index.search(asked, 10, effort or None).indices
            speed.append(queries / max(time.process_time() - start, 1e-6))
            found.append((indices[:, :, None] == true[:, None]).any(1).double().mean().item())
    finally:
        faiss.omp_set_num_threads(threads)
    megabytes = faiss.serialize_index(index.faiss_index).nbytes / 1e6
    return {"recall_at_10": found, "queries_per_second": speed, "megabytes": megabytes, "seconds_to_build": building}


def _index_verdict(rows: list[Row]) -> Verdict:
    largest = max(row["size"] for row in rows)
    own = {row["kind"]: row for row in rows if row["size"] == largest}
    exact = own["exact"]["queries_per_second"][0]
    lines, good = [], []
    for kind, row in own.items():
        points = list(zip(row["recall_at_10"], row["queries_per_second"], strict=True))
        if kind == "exact":
            continue
        good += [(speed / exact, recall, kind) for recall, speed in points if recall >= 0.9]
        recall, speed = max(points)
        lines.append(f"{kind} {recall:.2f} at {speed / exact:.0f} times the speed, {row['megabytes']:.0f} MB")
    why = (
        f"Of the 10 true neighbours among {largest:,} vectors, as many as each kind finds: {'; '.join(lines)}. Exact search: {exact:.0f} queries a "
        f"second of one thread, {own['exact']['megabytes']:.0f} MB."
    )
    faster = max(good, default=(0.0, 0.0, ""))
    misses = any(recall < 1 for row in own.values() for recall in row["recall_at_10"])
    if faster[0] >= 10 and misses:
        return Verdict(
            "holds here",
            f"{faster[2]} is {faster[0]:.0f} times as fast and finds {faster[1]:.2f} of the neighbours. {why}",
        )
    return Verdict("in part" if faster[0] > 2 else "does not hold here", why)


def _index_figure(rows: list[Row]) -> "Figure":
    sizes = sorted({row["size"] for row in rows})
    figure, axes = plots.figure(1, len(sizes), width=3.4 * len(sizes) + 0.4, height=3.1, sharey=True)
    for axis, size in zip(axes[0], sizes, strict=True):
        for color, row in zip(plots.COLORS, (row for row in rows if row["size"] == size), strict=False):
            label = f"{row['kind']}, {row['megabytes']:.0f} MB"
            axis.plot(row["queries_per_second"], row["recall_at_10"], marker="o", color=color, label=label)
        axis.set(xlabel="queries a second", title=f"{size:,} vectors", xscale="log", ylim=(0, 1.03))
        axis.legend(frameon=False, fontsize=7)
    axes[0, 0].set_ylabel("recall@10")
    return figure


INDEXES = Experiment(
    name="retrieval-indexes",
    claim="C30",
    question="How much faster is approximate search, in how much memory, and how many of the true neighbours does it miss?",
    notebook=RETRIEVAL_NOTEBOOK,
    grid=grid(size=SIZES, kind=tuple(EFFORTS)),
    run=_index_run,
    verdict=_index_verdict,
    figure=_index_figure,
)

EXPERIMENTS: tuple[Experiment, ...] = (ZERO_SHOT, BATCH_SIZE, TEMPERATURE, WORD_ORDER, MODALITY_GAP, INDEXES)
"""`course experiment clip-zero-shot`, and so on."""
