"""Studies of pix2pix: the lecture's claims C16 and C17, the paper's patch sizes, and six tasks."""

import math
from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from course_utils import plots, runtime, scale
from course_utils.data import Scenes, loader
from course_utils.data.scenes import COLORS, render
from course_utils.metrics import scene_agreement, sharpness
from course_utils.metrics.recipes import PHOTO_JUDGE, on_cpu
from course_utils.training import Experiment, Verdict, clearly_more, fit, grouped, load, said
from course_utils.translation import recipes
from course_utils.translation.pix2pix import Pix2Pix, Pix2PixConfig, pix2pix_players

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict
NOTEBOOK = "03_translation/01_pix2pix"
WIDTH = 16  # of all networks here: small, so that three seeds of each take minutes
BATCH = 16
SEEDS = range(3)


def train_pix2pix(source: str, target: str, seed: int, steps: int, **settings) -> Pix2Pix:
    """A small pix2pix from style `source` to style `target`, in evaluation mode; `settings` are of `Pix2PixConfig`."""
    runtime.seed_everything(seed)
    small = {"image_size": 32, "depth": 4, "width": WIDTH, "patch_layers": 1, "dropout": (0,)}
    model = Pix2Pix(Pix2PixConfig(**small | settings))
    players = pix2pix_players(model, source, target, learning_rate=1e-3)
    batches = loader(Scenes("train", fields=(source, target)), BATCH, seed=seed)
    fit(players, batches, steps, schedule=recipes.falling, clip=None, seed=seed, progress=False)
    return model.eval()


def scored(model: Pix2Pix, source: str, target: str, samples: int) -> dict[str, float]:
    """`translation_scores` on held-out pairs, and the sharpness of the answers as a share of the truth's."""
    batch = recipes.pairs("test", samples, source, target)
    answers, truth = recipes.translated(model, batch["input"]), batch["image"]
    scores = recipes.translation_scores(answers, truth, batch["records"], batch["label_map"], target)
    return scores | {"sharpness": (sharpness(answers).mean() / sharpness(truth).mean()).item()}


def panels(
    rows: list[Row],
    key: str,
    measures: Mapping[str, str],
    title: str,
    levels: Mapping[str, tuple[str, float]] | None = None,
) -> "Figure":
    """One panel a measure: a dot for each seed, a line for the mean, by the values of `key`.

    Args:
        rows: of an experiment.
        key: of the cells.
        measures: name in the rows -> label of the axis.
        title: of the figure.
        levels: measure -> (name, value) of a dashed line, as the chance level.
    """
    figure, axes = plots.figure(1, len(measures), width=3.1 * len(measures) + 0.4, height=2.9)
    for axis, (name, label) in zip(axes[0], measures.items(), strict=True):
        plots.group_dots(axis, grouped(rows, key, name))
        if name in (levels or {}):
            reference, level = levels[name]
            axis.axhline(level, color=plots.COLORS[6], linestyle="--", linewidth=1, label=reference)
            axis.legend(frameon=False, fontsize=8)
        _slant(axis)
        axis.set_ylabel(label)
        axis.set_ylim(min(0.0, axis.get_ylim()[0]), None)
    figure.suptitle(title, fontsize=10)
    return figure


def _slant(axis: "Axes") -> None:
    """Turn the names below an axis, where they are too long to stand side by side."""
    for name in axis.get_xticklabels():
        name.set(rotation=30, ha="right", fontsize=8)


# --- C17: the parts of the loss --------------------------------------------------------------------------------------

OBJECTIVES = {
    "L1": {"gan_weight": 0.0},
    "GAN": {"l1_weight": 0.0, "conditional": False},
    "cGAN": {"l1_weight": 0.0},
    "L1+GAN": {"conditional": False},
    "L1+cGAN": {},
}


def _losses_run(loss: str, seed: int) -> dict[str, float]:
    steps, samples = scale(smoke=(2, 32), cpu=(800, 1000), gpu=(30_000, 2000))
    return scored(train_pix2pix("labels", "photo", seed, steps, **OBJECTIVES[loss]), "labels", "photo", samples)


def _losses_verdict(rows: list[Row]) -> Verdict:
    l1, read, sharp = (grouped(rows, "loss", name) for name in ("l1", "mean_iou", "sharpness"))
    numbers = "; ".join(
        f"{loss} {said(read[loss])}, error {said(l1[loss])}, sharpness {said(sharp[loss])}" for loss in OBJECTIVES
    )
    why = (
        "Mean IoU of the segmenter on the answers, absolute error, and sharpness as a share of real photos': " + numbers
    )
    beats_l1 = clearly_more(read["L1+cGAN"], read["L1"], 0.02)
    beats_gan = clearly_more(read["L1+cGAN"], read["cGAN"], 0.02)
    if beats_l1 and beats_gan:
        return Verdict("holds here", f"{why}. The sum is read better than either alone.")
    if beats_gan and fmean(sharp["L1+cGAN"]) > 1.2 * fmean(sharp["L1"]):
        return Verdict(
            "in part", f"{why}. The sum beats the GAN alone; over L1 alone it gains sharpness, not readability."
        )
    if beats_l1 or beats_gan:
        return Verdict("in part", f"{why}. The sum is read better than {'L1' if beats_l1 else 'the GAN'} alone only.")
    return Verdict("does not hold here", f"{why}. The sum is read no better than its parts.")


def _losses_figure(rows: list[Row]) -> "Figure":
    names = {"mean_iou": "mean IoU, read back", "l1": "absolute error", "sharpness": "sharpness (1 = real)"}
    return panels(rows, "loss", names, "What each part of the loss does (labels to photo)")


LOSSES = Experiment(
    name="pix2pix-losses",
    claim="C17",
    question="Does a GAN loss with L1 give better photos than either alone, and must the discriminator see the input?",
    notebook=NOTEBOOK,
    grid=tuple({"loss": loss, "seed": seed} for loss in OBJECTIVES for seed in SEEDS),
    run=_losses_run,
    verdict=_losses_verdict,
    figure=_losses_figure,
)


# --- C16: skip connections -------------------------------------------------------------------------------------------


def _skips_run(network: str, loss: str, seed: int) -> dict[str, float]:
    steps, samples = scale(smoke=(2, 32), cpu=(800, 1000), gpu=(30_000, 2000))
    settings = OBJECTIVES[loss] | {"skips": network == "U-Net"}
    return scored(train_pix2pix("labels", "photo", seed, steps, **settings), "labels", "photo", samples)


def _skips_verdict(rows: list[Row]) -> Verdict:
    better, numbers = [], []
    for loss in ("L1", "L1+cGAN"):
        of_loss = [row for row in rows if row["loss"] == loss]
        read = grouped(of_loss, "network", "mean_iou")
        better.append(clearly_more(read["U-Net"], read["encoder-decoder"], 0.02))
        error = grouped(of_loss, "network", "l1")
        numbers.append(
            f"with {loss} {said(read['U-Net'])} with skips, {said(read['encoder-decoder'])} without "
            f"(error {said(error['U-Net'])} and {said(error['encoder-decoder'])})"
        )
    why = f"Mean IoU of the segmenter on the answers: {'; '.join(numbers)}."
    return Verdict("holds here" if all(better) else "in part" if any(better) else "does not hold here", why)


def _skips_figure(rows: list[Row]) -> "Figure":
    named = [{**row, "setting": f"{row['network']},\n{row['loss']}"} for row in rows]
    names = {"mean_iou": "mean IoU, read back", "l1": "absolute error", "ssim": "SSIM"}
    return panels(named, "setting", names, "With and without skip connections (labels to photo)")


SKIPS = Experiment(
    name="pix2pix-skips",
    claim="C16",
    question="How much of the translation's accuracy comes from the skip connections of the U-Net?",
    notebook=NOTEBOOK,
    grid=tuple(
        {"network": network, "loss": loss, "seed": seed}
        for network in ("U-Net", "encoder-decoder")
        for loss in ("L1", "L1+cGAN")
        for seed in SEEDS
    ),
    run=_skips_run,
    verdict=_skips_verdict,
    figure=_skips_figure,
)


# --- Patch sizes -----------------------------------------------------------------------------------------------------

PATCH_LAYERS = {"1x1": 0, "16x16": 1, "34x34": 2, "70x70": 3}
"""Patches of the discriminator. At 32 x 32 pixels the two largest reach over (nearly) all of the picture."""


def _patches_run(patch: str, seed: int) -> dict[str, float]:
    steps, samples = scale(smoke=(2, 32), cpu=(800, 1000), gpu=(30_000, 2000))
    model = train_pix2pix("labels", "photo", seed, steps, patch_layers=PATCH_LAYERS[patch])
    return scored(model, "labels", "photo", samples)


def _patches_verdict(rows: list[Row]) -> Verdict:
    read, sharp = grouped(rows, "patch", "mean_iou"), grouped(rows, "patch", "sharpness")
    numbers = "; ".join(f"{patch} {said(read[patch])}, sharpness {said(sharp[patch])}" for patch in read)
    best = max(("16x16", "34x34"), key=lambda patch: fmean(read[patch]))
    why = f"Mean IoU of the segmenter on the answers, and sharpness as a share of real photos', by patch: {numbers}."
    small, large = (clearly_more(read[best], read[other], 0.01) for other in ("1x1", "70x70"))
    if small and large:
        return Verdict("holds here", f"{why} As in the paper, a patch between one pixel and the whole is read best.")
    if small or large:
        return Verdict(
            "in part", f"{why} {best} is read better than {'single pixels' if small else 'the whole picture'} only."
        )
    return Verdict("not at our scale", f"{why} No difference is beyond the spread over seeds.")


def _patches_figure(rows: list[Row]) -> "Figure":
    names = {"mean_iou": "mean IoU, read back", "l1": "absolute error", "sharpness": "sharpness (1 = real)"}
    return panels(rows, "patch", names, "How much of the picture one logit of the discriminator sees")


PATCHES = Experiment(
    name="pix2pix-patches",
    question="Is a discriminator of patches better than one of single pixels, or of the whole picture?",
    notebook=NOTEBOOK,
    grid=tuple({"patch": patch, "seed": seed} for patch in PATCH_LAYERS for seed in SEEDS),
    run=_patches_run,
    verdict=_patches_verdict,
    figure=_patches_figure,
)


# --- C17: one answer where several are right -------------------------------------------------------------------------

ANSWERS = 8  # to each label map


@torch.inference_mode()
def one_mode(model: Pix2Pix, seed: int, samples: int) -> dict[str, float]:
    """How far the answers to one label map differ with the dropout, beside how far right answers differ.

    Args:
        model: from labels to photos.
        seed: of the dropout, of the true answers, and of which held-out scenes.
        samples: held-out label maps.

    Returns:
        `answers_spread` and `truths_spread`, the mean absolute difference between two answers to the same labels, of the
        model and of photos that have these labels; `answers_colors` and `truths_colors`, how many of the eight colours the
        judge reads for an object in eight answers; `color_right`, the share of objects in the colour of the hidden photo,
        and `color_chance`, that share for another photo of the same labels.
    """
    draw, judge = runtime.generator(seed), load(PHOTO_JUDGE)
    data = Scenes("test", length=(seed + 1) * samples)
    records = data.records(range(seed * samples, (seed + 1) * samples))
    labels = render(records, style="labels")
    answers = torch.stack([recipes.translated(model, labels, generator=draw) for _ in range(ANSWERS)])
    truths = torch.stack([render(recipes.other_looks(records, draw), style="photo") for _ in range(ANSWERS)])
    measured = {}
    for name, images in (("answers", answers), ("truths", truths)):
        readings = [on_cpu(judge.read(one)) for one in images]
        colors = torch.stack([reading.color for reading in readings])  # (answers, samples, 4)
        seen = F.one_hot(colors.clamp(min=0), len(COLORS)) * (colors >= 0)[..., None]
        number = (seen.sum(0) > 0).sum(-1).double()  # (samples, 4)
        right = scene_agreement(readings[0], records)["color"].sum().item() / records.present.sum().item()
        measured |= {
            f"{name}_spread": (images[1:] - images[:-1]).abs().mean().item(),
            f"{name}_colors": number[records.present].mean().item(),
            "color_right" if name == "answers" else "color_chance": right,
        }
    return measured


def _one_mode_run(seed: int) -> dict[str, float]:
    return one_mode(load(recipes.PIX2PIX_LABELS2PHOTO), seed, scale(smoke=16, cpu=500, gpu=1000))


def _one_mode_verdict(rows: list[Row]) -> Verdict:
    values = {name: [row[name] for row in rows] for name in rows[0] if name != "seed"}
    share = fmean(values["answers_spread"]) / fmean(values["truths_spread"])
    why = (
        f"Two answers to the same labels differ by {said(values['answers_spread'], 3)}, two right ones by "
        f"{said(values['truths_spread'], 3)}. Eight answers show an object in {said(values['answers_colors'], 1)} colours, eight "
        f"right ones in {said(values['truths_colors'], 1)}. The colour is that of the hidden photo in {said(values['color_right'])} "
        f"of the objects (another right photo: {said(values['color_chance'])})."
    )
    if share < 0.25:
        return Verdict("holds here", f"The translation is nearly deterministic. {why}")
    return Verdict("in part" if share < 0.5 else "does not hold here", why)


def _one_mode_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=6.6, height=2.8)
    measures = (("spread", "difference between two answers"), ("colors", "colours of an object in 8 answers"))
    for axis, (measure, label) in zip(axes[0], measures, strict=True):
        kinds = {"pix2pix": "answers", "right answers": "truths"}
        groups = {name: [row[f"{kind}_{measure}"] for row in rows] for name, kind in kinds.items()}
        plots.group_bars(axis, groups, color=plots.COLORS[:2])
        axis.set_ylabel(label)
    figure.suptitle("One label map, many right photos, one answer", fontsize=10)
    return figure


ONE_MODE = Experiment(
    name="pix2pix-one-mode",
    claim="C17",
    question="Does pix2pix give different answers where several are right, as to the colour that labels do not tell?",
    notebook=NOTEBOOK,
    grid=tuple({"seed": seed} for seed in SEEDS),
    run=_one_mode_run,
    verdict=_one_mode_verdict,
    figure=_one_mode_figure,
)


# --- Six tasks -------------------------------------------------------------------------------------------------------

PAIRS_OF_STYLES = (
    ("labels", "photo"),
    ("photo", "labels"),
    ("edges", "photo"),
    ("day", "night"),
    ("plan", "aerial"),
    ("aerial", "plan"),
)


def _tasks_run(source: str, target: str, seed: int) -> dict[str, float]:
    steps, samples = scale(smoke=(2, 32), cpu=(600, 1000), gpu=(30_000, 2000))
    scores = scored(train_pix2pix(source, target, seed, steps), source, target, samples)
    batch = recipes.pairs("test", samples, source, target)
    identity = recipes.translation_scores(batch["input"], batch["image"])
    unread = {"mean_iou": math.nan, "readback_ratio": math.nan}  # where no judge reads the style
    return unread | scores | {"identity_l1": identity["l1"], "identity_ssim": identity["ssim"]}


def _by_task(rows: list[Row], name: str) -> dict[str, list[float]]:
    return grouped([{**row, "task": f"{row['source']} to {row['target']}"} for row in rows], "task", name)


def _tasks_verdict(rows: list[Row]) -> Verdict:
    l1, identity, ssim = (_by_task(rows, name) for name in ("l1", "identity_l1", "ssim"))
    numbers = "; ".join(
        f"{task} {said(l1[task])} (the input itself {fmean(identity[task]):.2f}), SSIM {said(ssim[task])}"
        for task in l1
    )
    halved = [fmean(l1[task]) < 0.5 * fmean(identity[task]) for task in l1]
    why = f"Absolute error of the answers: {numbers}."
    return Verdict("holds here" if all(halved) else "in part" if any(halved) else "not at our scale", why)


def _tasks_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=8.4, height=3.0)
    for axis, (name, label) in zip(axes[0], (("l1", "absolute error"), ("ssim", "SSIM")), strict=True):
        plots.group_bars(axis, _by_task(rows, name), "pix2pix", 0, of=2)
        plots.group_bars(axis, _by_task(rows, f"identity_{name}"), "the input itself", 1, of=2)
        _slant(axis)
        axis.set_ylabel(label)
    axes[0, 0].legend(frameon=False, fontsize=8)
    figure.suptitle("One method, six tasks", fontsize=10)
    return figure


TASKS = Experiment(
    name="pix2pix-tasks",
    question="Does one method, with one set of settings, learn six different translations?",
    notebook=NOTEBOOK,
    grid=tuple(
        {"source": source, "target": target, "seed": seed} for source, target in PAIRS_OF_STYLES for seed in SEEDS
    ),
    run=_tasks_run,
    verdict=_tasks_verdict,
    figure=_tasks_figure,
)

EXPERIMENTS: tuple[Experiment, ...] = (LOSSES, SKIPS, PATCHES, ONE_MODE, TASKS)
"""`course experiment pix2pix-losses`, and so on."""
