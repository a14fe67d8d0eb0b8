"""Studies of CycleGAN: the lecture's claims C18 and C19, the paper's ablations, and the message hidden in a translation."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from course_utils import plots, runtime, scale
from course_utils.data import Scenes, loader
from course_utils.data.scenes import COLORS, HELD_OUT, SHAPES, SceneRecords, render
from course_utils.layers import draw_normal
from course_utils.metrics import scene_accuracy
from course_utils.metrics.recipes import PHOTO_JUDGE, SCENE_JUDGE, on_cpu
from course_utils.training import Experiment, Verdict, clearly_more, fit, grouped, load, said, spread
from course_utils.translation import recipes
from course_utils.translation.cyclegan import CycleGAN, cyclegan_players
from course_utils.translation.pix2pix_experiments import panels, train_pix2pix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
NOTEBOOK = "03_translation/02_cyclegan"
BATCH = 8
SEEDS = range(3)


def train_cyclegan(data: Dataset, seed: int, steps: int, **settings) -> CycleGAN:
    """A small CycleGAN on batches with `x` and `y`, in evaluation mode; `settings` are of `CycleGANConfig`."""
    runtime.seed_everything(seed)
    model = CycleGAN(replace(recipes.SMALL_CYCLEGAN, **settings))
    players = cyclegan_players(model, learning_rate=1e-3)
    fit(players, loader(data, BATCH, seed=seed), steps, clip=None, seed=seed, progress=False)
    return model.eval()


def know_nothing(x: str, y: str, samples: int) -> dict[str, float]:
    """Absolute errors on held-out scenes of answers that know nothing: the input itself, and the mean pictures of y and of x."""
    batch = recipes.pairs("test", samples, x, y)
    images = {"": (y, batch["image"]), "back_": (x, batch["input"])}
    means = {
        f"{way}mean_picture_l1": F.l1_loss(recipes.mean_picture(style).expand_as(truth), truth).item()
        for way, (style, truth) in images.items()
    }
    return means | {"identity_l1": F.l1_loss(batch["input"], batch["image"]).item()}


# --- C18: without pairs, beside with pairs ---------------------------------------------------------------------------

PAIRED_TASKS = ("day to night", "photo to sketch")
METHODS = ("CycleGAN", "pix2pix", "mean picture", "input itself")


def _pairs_run(task: str, method: str, seed: int) -> dict[str, float]:
    x, y = task.split(" to ")
    steps, paired_steps, samples = scale(smoke=(2, 2, 32), cpu=(1200, 800, 1000), gpu=(60_000, 30_000, 2000))
    batch = recipes.pairs("test", samples, x, y)
    if method == "CycleGAN":
        answers = recipes.translated(train_cyclegan(recipes.Unpaired(x, y), seed, steps), batch["input"])
    elif method == "pix2pix":
        answers = recipes.translated(train_pix2pix(x, y, seed, paired_steps), batch["input"])
    elif method == "mean picture":
        answers = recipes.mean_picture(y).expand_as(batch["image"])
    else:
        answers = batch["input"]
    return recipes.translation_scores(answers, batch["image"], style=y)


def _pairs_verdict(rows: list[Row]) -> Verdict:
    learned, short, numbers = [], [], []
    for task in PAIRED_TASKS:
        error = grouped([row for row in rows if row["task"] == task], "method", "l1")
        without, paired, mean, identity = (error[method] for method in METHODS)
        learned.append(fmean(without) < 0.75 * min(fmean(mean), fmean(identity)))
        short.append(clearly_more(without, paired))
        numbers.append(
            f"{task} {said(without, 3)} without pairs, {said(paired, 3)} with (pix2pix), {fmean(mean):.3f} for the mean "
            f"picture, {fmean(identity):.3f} for the input itself; {fmean(without) / fmean(paired):.2f} times the error with pairs"
        )
    why = f"Absolute error against the hidden truth: {'; '.join(numbers)}."
    if all(learned) and all(short):
        return Verdict("holds here", f"Pairs are not needed, and still better. {why}")
    return Verdict("in part" if any(learned) else "not at our scale", why)


def _pairs_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=7.4, height=2.9)
    for axis, (name, label) in zip(axes[0], (("l1", "absolute error"), ("ssim", "SSIM")), strict=True):
        for number, method in enumerate(METHODS):
            groups = {
                task: [row[name] for row in rows if (row["task"], row["method"]) == (task, method)]
                for task in grouped(rows, "task", name)
            }
            plots.group_bars(axis, groups, method, number, of=len(METHODS))
        axis.set_ylabel(label)
    axes[0, 0].legend(frameon=False, fontsize=8, loc="upper right")
    figure.suptitle("With and without pairs, against the hidden truth", fontsize=10)
    return figure


PAIRS = Experiment(
    name="cyclegan-pairs",
    claim="C18",
    question="How near does a translation learned without pairs come to one learned with pairs?",
    notebook=NOTEBOOK,
    grid=tuple(
        {"task": task, "method": method, "seed": seed} for task in PAIRED_TASKS for method in METHODS for seed in SEEDS
    ),
    run=_pairs_run,
    verdict=_pairs_verdict,
    figure=_pairs_figure,
)


# --- C18: what each part of the loss does ----------------------------------------------------------------------------

PARTS = {
    "all": {},
    "GAN alone": {"forward_weight": 0.0, "backward_weight": 0.0},
    "cycles alone": {"gan_weight": 0.0},
    "GAN, forward cycle": {"backward_weight": 0.0},
    "GAN, backward cycle": {"forward_weight": 0.0},
}


def _ablation_run(loss: str, seed: int) -> dict[str, float]:
    steps, samples = scale(smoke=(2, 32), cpu=(800, 1000), gpu=(60_000, 2000))
    x, y = "labels", "photo"  # both can be read back, as in the paper's tables
    model = train_cyclegan(recipes.Unpaired(x, y), seed, steps, identity_weight=0.0, **PARTS[loss])
    batch = recipes.pairs("test", samples, x, y)
    known = batch["records"], batch["label_map"]
    unchanged = recipes.translation_scores(batch["input"], batch["image"], *known, y)
    back_unchanged = recipes.translation_scores(batch["image"], batch["input"], *known, x)
    return recipes.both_ways(model, x, y, samples) | {
        "unchanged_mean_iou": unchanged["mean_iou"],
        "back_unchanged_mean_iou": back_unchanged["mean_iou"],
    }


def _ablation_verdict(rows: list[Row]) -> Verdict:
    there, back = grouped(rows, "loss", "mean_iou"), grouped(rows, "loss", "back_mean_iou")
    numbers = "; ".join(f"{loss} {said(there[loss])} and {said(back[loss])}" for loss in PARTS)
    unchanged = [fmean([row[f"{way}unchanged_mean_iou"] for row in rows]) for way in ("", "back_")]
    why = (
        f"Overlap with the true labels (mean IoU), as the judge reads the photos, and of the label maps that are made of photos: "
        f"{numbers}; the input itself {unchanged[0]:.2f} and {unchanged[1]:.2f}."
    )
    if fmean(there["all"] + back["all"]) < fmean(unchanged) + 0.1:
        return Verdict("not at our scale", f"The whole loss does not translate. {why}")
    others = [loss for loss in PARTS if loss != "all"]
    worse = [loss for loss in others if any(clearly_more(way["all"], way[loss], 0.02) for way in (there, back))]
    better = [loss for loss in others if any(clearly_more(way[loss], way["all"], 0.02) for way in (there, back))]
    if better:
        return Verdict(
            "does not hold here", f"Better than all parts together in one direction: {', '.join(better)}. {why}"
        )
    if worse == others:
        return Verdict("holds here", f"Each part is needed. {why}")
    if worse:
        return Verdict("in part", f"Clearly worse than all parts together in one direction: {', '.join(worse)}. {why}")
    return Verdict("not at our scale", f"No difference is beyond the spread over seeds. {why}")


def _ablation_figure(rows: list[Row]) -> "Figure":
    names = {
        "mean_iou": "overlap, labels to photo",
        "back_mean_iou": "overlap, photo to labels",
        "cycle_l1": "error of labels, photo, labels",
    }
    levels = {
        f"{way}mean_iou": ("input itself", fmean([row[f"{way}unchanged_mean_iou"] for row in rows]))
        for way in ("", "back_")
    }
    return panels(rows, "loss", names, "What each part of the loss does", levels)


ABLATION = Experiment(
    name="cyclegan-ablation",
    claim="C18",
    question="Are the GAN losses and both cycles needed to translate without pairs?",
    notebook=NOTEBOOK,
    grid=tuple({"loss": loss, "seed": seed} for loss in PARTS for seed in SEEDS),
    run=_ablation_run,
    verdict=_ablation_verdict,
    figure=_ablation_figure,
)


# --- C19: shape and colour -------------------------------------------------------------------------------------------

CHANGES = {
    "red to blue": ("color", "red", "blue"),
    "circle to square": ("shape", "circle", "square"),
    "star to heart": ("shape", "star", "heart"),
}


class Changed(Dataset):
    """Two collections of flat scenes with one object, that differ in one attribute and share all else; `__getitems__` gives `x` and `y`.

    Of all scenes those are taken whose object may have either value (pairs of shape and colour that training never shows are left
    out), in the first half of the split for x, in the second half for y; then the attribute is set.

    Args:
        change: a key of CHANGES.
        split: a key of `scenes.LENGTHS`.
        scenes: how many to choose from.
    """

    def __init__(self, change: str, split: str, scenes: int):
        self.attribute, *values = CHANGES[change]
        known = {"shape": SHAPES, "color": COLORS}
        words, others = known[self.attribute], known["color" if self.attribute == "shape" else "shape"]
        free = [
            index
            for index, other in enumerate(others)
            if not {(value, other) if self.attribute == "shape" else (other, value) for value in values} & set(HELD_OUT)
        ]
        records = Scenes(split, objects=1).records(range(scenes))
        kept = torch.isin(records.color if self.attribute == "shape" else records.shape, torch.tensor(free)).any(1)
        records = records[kept.nonzero()[:, 0]]
        half = len(records) // 2
        self.x = self._with(records[torch.arange(half)], words.index(values[0]))
        self.y = self._with(records[torch.arange(half, 2 * half)], words.index(values[1]))

    def _with(self, records: SceneRecords, value: int) -> SceneRecords:
        old = getattr(records, self.attribute)
        return replace(records, **{self.attribute: torch.where(records.present, value, old)})

    def __len__(self) -> int:
        return len(self.x)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        chosen = torch.as_tensor(indices)
        return {"x": render(self.x[chosen]), "y": render(self.y[chosen])}


def _shape_run(change: str, seed: int) -> dict[str, float]:
    steps, scenes, samples = scale(smoke=(2, 200, 100), cpu=(700, 20_000, 2000), gpu=(60_000, 40_000, 4000))
    model = train_cyclegan(Changed(change, "train", scenes), seed, steps)
    held_out = Changed(change, "test", samples)
    attribute, _, wanted = CHANGES[change]
    wished = held_out._with(held_out.x, {"shape": SHAPES, "color": COLORS}[attribute].index(wanted))
    images, truth = render(held_out.x), render(wished)
    answers = recipes.translated(model, images)
    read = {name: scene_accuracy(on_cpu(load(SCENE_JUDGE).read(pictures)), wished) for name, pictures in
            (("answer", answers), ("input", images), ("truth", truth))}  # fmt: skip
    other = "color" if attribute == "shape" else "shape"
    return {
        "changed": read["answer"][attribute],
        "changed_input": read["input"][attribute],
        "changed_truth": read["truth"][attribute],
        "kept": read["answer"][other],
        "wholly_right": read["answer"]["wholly_right"],
        "l1": F.l1_loss(answers, truth).item(),
        "identity_l1": F.l1_loss(images, truth).item(),
    }


def _shape_verdict(rows: list[Row]) -> Verdict:
    changed, right = grouped(rows, "change", "changed"), grouped(rows, "change", "wholly_right")
    numbers = "; ".join(f"{change} {said(changed[change])}, wholly right {said(right[change])}" for change in CHANGES)
    why = f"Share of held-out objects that the judge sees changed as wanted: {numbers}."
    able = fmean(changed["red to blue"]) > 0.8
    unable = [
        change
        for change in CHANGES
        if change != "red to blue"
        and fmean(changed[change]) < 0.5
        and clearly_more(changed["red to blue"], changed[change], 0.2)
    ]
    if able and len(unable) == 2:
        return Verdict("holds here", f"Colours change, shapes do not. {why}")
    if able and unable:
        return Verdict("in part", f"Colours change; of the shapes, not {unable[0]}. {why}")
    if able:
        return Verdict("does not hold here", f"At this size shapes change too. {why}")
    return Verdict("not at our scale", f"Not even the colour changes. {why}")


def _shape_figure(rows: list[Row]) -> "Figure":
    names = {"changed": "changed as wanted", "kept": "other attribute kept", "wholly_right": "wholly right"}
    return panels(rows, "change", names, "Share of held-out objects after the translation")


SHAPE = Experiment(
    name="cyclegan-shape",
    claim="C19",
    question="Can CycleGAN change a shape as it changes a colour?",
    notebook=NOTEBOOK,
    grid=tuple({"change": change, "seed": seed} for change in CHANGES for seed in SEEDS),
    run=_shape_run,
    verdict=_shape_verdict,
    figure=_shape_figure,
)


# --- C19: inputs from outside the domain -----------------------------------------------------------------------------

INPUTS = ("day", "new pairs", "photo", "painted", "striped", "sketch")
"""What the translation to the night is fed. "new pairs" are day pictures with shapes in colours they never had in training; the others are the
scenes in other styles."""


def _outside_run(inputs: str, seed: int) -> dict[str, float]:
    samples = scale(smoke=16, cpu=1000, gpu=1500)
    split, style = ("compositional", "day") if inputs == "new pairs" else ("test", inputs)
    data = Scenes(split, length=(seed + 1) * samples, fields=(style, "night"))
    batch = data[range(seed * samples, (seed + 1) * samples)]
    model = load(recipes.CYCLEGAN_DAY2NIGHT)
    answers = recipes.translated(model, batch[style])
    scores = recipes.translation_scores(answers, batch["night"], style="night")
    return scores | {
        "identity_l1": F.l1_loss(batch[style], batch["night"]).item(),
        "cycle_l1": F.l1_loss(recipes.translated(model, answers, "y_to_x"), batch[style]).item(),
    }


def _outside_verdict(rows: list[Row]) -> Verdict:
    error = grouped(rows, "inputs", "l1")
    numbers = ", ".join(f"{inputs} {said(error[inputs], 3)}" for inputs in INPUTS)
    why = f"Absolute error of the night that is made of the same scenes, by input: {numbers}."
    foreign = [inputs for inputs in INPUTS if inputs not in ("day", "new pairs")]
    worse = [inputs for inputs in foreign if fmean(error[inputs]) > 1.5 * fmean(error["day"])]
    if len(worse) == len(foreign):
        return Verdict("holds here", f"Every foreign style is translated far worse. {why}")
    return Verdict("in part" if worse else "does not hold here", why)


def _outside_figure(rows: list[Row]) -> "Figure":
    names = {"l1": "absolute error of the night", "ssim": "SSIM", "cycle_l1": "error of the cycle"}
    return panels(rows, "inputs", names, "A translator of day pictures, fed others")


OUTSIDE = Experiment(
    name="cyclegan-outside",
    claim="C19",
    question="What does a CycleGAN do with pictures from outside its domain?",
    notebook=NOTEBOOK,
    grid=tuple({"inputs": inputs, "seed": seed} for inputs in INPUTS for seed in SEEDS),
    run=_outside_run,
    verdict=_outside_verdict,
    figure=_outside_figure,
)


# --- C19: one direction is harder ------------------------------------------------------------------------------------

DOMAINS = ("labels and photo", "plan and aerial")


def _directions_run(domains: str, seed: int) -> dict[str, float]:
    x, y = domains.split(" and ")
    steps, samples = scale(smoke=(2, 32), cpu=(800, 1000), gpu=(60_000, 2000))
    model = train_cyclegan(recipes.Unpaired(x, y), seed, steps)
    unread = {"readback_ratio": math.nan, "back_readback_ratio": math.nan}  # where no judge reads the style
    measured = unread | recipes.both_ways(model, x, y, samples) | know_nothing(x, y, samples)
    shares = {f"{way}share": measured[f"{way}l1"] / measured[f"{way}mean_picture_l1"] for way in ("", "back_")}
    return measured | shares


def _directions_verdict(rows: list[Row]) -> Verdict:
    uneven, learned, numbers = [], [], []
    for domains in DOMAINS:
        x, y = domains.split(" and ")
        there, back = (grouped(rows, "domains", name)[domains] for name in ("share", "back_share"))
        low, high = sorted((there, back), key=fmean)
        learned.append(fmean(low) < 0.75)
        uneven.append(learned[-1] and fmean(high) > 1.2 * fmean(low) and clearly_more(high, low))
        numbers.append(f"{x} to {y} {said(there)}, {y} to {x} {said(back)}")
    why = f"Absolute error against the hidden truth, as a share of the mean picture's: {'; '.join(numbers)}."
    if all(uneven):
        return Verdict("holds here", f"One way is clearly harder than the other. {why}")
    if any(uneven):
        return Verdict("in part", why)
    return Verdict("does not hold here" if any(learned) else "not at our scale", why)


def _directions_figure(rows: list[Row]) -> "Figure":
    there, back = (grouped(rows, "domains", name) for name in ("share", "back_share"))
    figure, axes = plots.figure(1, len(there), width=3.3 * len(there), height=2.9, sharey=True)
    for axis, domains in zip(axes[0], there, strict=True):
        x, y = domains.split(" and ")
        groups = {f"{x} to {y}": there[domains], f"{y} to {x}": back[domains]}
        plots.group_bars(axis, groups, color=plots.COLORS[:2])
        axis.axhline(1, color=plots.COLORS[6], linestyle="--", linewidth=1)
    axes[0, 0].set_ylabel("absolute error\n(1: the mean picture)")
    figure.suptitle("One direction may be harder than the other", fontsize=10)
    return figure


DIRECTIONS = Experiment(
    name="cyclegan-directions",
    claim="C19",
    question="Is one direction of a translation harder than the other?",
    notebook=NOTEBOOK,
    grid=tuple({"domains": domains, "seed": seed} for domains in DOMAINS for seed in SEEDS),
    run=_directions_run,
    verdict=_directions_verdict,
    figure=_directions_figure,
)


# --- The hidden message ----------------------------------------------------------------------------------------------

NOISES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Standard deviations, where pictures lie in [-1, 1]: a step between two of 256 grey levels is 0.008."""


@torch.inference_mode()
def hidden_message(model: CycleGAN, noise: float, seed: int, samples: int) -> dict[str, float]:
    """How well F finds the photo again in the sketch that G drew, and in the true one, both with noise added.

    A true sketch does not tell colours. What F knows of them after G must be hidden in G's sketch (Chu, Zhmoginov & Sandler, 2017).

    Returns:
        `cycle_l1` and `real_l1`, mean absolute error of F(G(x) + noise) and of F(y + noise) against the photo x; `cycle_color` and
        `real_color`, the share of objects that the photo judge reads in their true colour there, and `chance_color`, that share
        for the most frequent colour; `cycle_moved` and `real_moved`, how far the noise alone moved the two photos.
    """
    draw, judge = runtime.generator(seed), load(PHOTO_JUDGE)
    data = Scenes("test", length=(seed + 1) * samples, fields=("photo", "sketch", "record"))
    batch = data[range(seed * samples, (seed + 1) * samples)]
    photos, records = batch["photo"], SceneRecords.from_dict(batch)
    colors = records.color[records.present]
    measured = {"chance_color": colors.bincount().max().item() / len(colors)}
    for name, sketches in (("cycle", recipes.translated(model, photos)), ("real", batch["sketch"])):
        disturbed = sketches + noise * draw_normal(sketches.shape, draw)
        found = recipes.translated(model, disturbed, "y_to_x")
        measured |= {
            f"{name}_l1": F.l1_loss(found, photos).item(),
            f"{name}_color": scene_accuracy(on_cpu(judge.read(found)), records)["color"],
            f"{name}_moved": F.l1_loss(found, recipes.translated(model, sketches, "y_to_x")).item(),
        }
    return measured


def _message_run(noise: float, seed: int) -> dict[str, float]:
    return hidden_message(load(recipes.CYCLEGAN_PHOTO2SKETCH), noise, seed, scale(smoke=16, cpu=1000, gpu=1500))


def _message_verdict(rows: list[Row]) -> Verdict:
    cycle, real, own, other = (
        grouped(rows, "noise", name) for name in ("cycle_l1", "real_l1", "cycle_color", "real_color")
    )
    small = 0.05
    why = (
        f"F finds the colours of {said(own[0.0])} of the objects again in G's sketches, of {said(other[0.0])} in true ones (chance "
        f"{fmean([row['chance_color'] for row in rows]):.2f}); the error of the photo is {said(cycle[0.0])} and {said(real[0.0])}. With "
        f"noise of {small} on the sketch it is {said(own[small])} and {said(other[small])} of the colours, an error of "
        f"{said(cycle[small])} and {said(real[small])}."
    )
    hidden = clearly_more(own[0.0], other[0.0], 0.1)
    broken = fmean(own[0.0]) - fmean(own[small]) > 0.5 * (fmean(own[0.0]) - fmean(other[0.0]))
    if hidden and broken:
        return Verdict("holds here", f"Colours are hidden in the sketch, and little noise wipes them out. {why}")
    return Verdict("in part" if hidden else "does not hold here", why)


def _message_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=7.4, height=2.9)
    measures = (("l1", "absolute error of the photo"), ("color", "colours found again"))
    for axis, (measure, label) in zip(axes[0], measures, strict=True):
        for number, (name, legend) in enumerate((("cycle", "from G's sketch"), ("real", "from the true sketch"))):
            groups = grouped(rows, "noise", f"{name}_{measure}")
            axis.errorbar(
                list(groups), [fmean(group) for group in groups.values()],
                [spread(group) for group in groups.values()], marker="o", capsize=3, color=plots.COLORS[number], label=legend,
            )  # fmt: skip
        axis.set(xlabel="standard deviation of the noise on the sketch", ylabel=label, ylim=(0, None))
    axes[0, 1].axhline(
        fmean([row["chance_color"] for row in rows]), color=plots.COLORS[6], linestyle="--", linewidth=1, label="chance"
    )
    for axis in axes[0]:
        axis.legend(frameon=False, fontsize=8)
    figure.suptitle("What the sketch hides from the eye, noise takes from F", fontsize=10)
    return figure


HIDDEN_MESSAGE = Experiment(
    name="cyclegan-hidden-message",
    question="Does a translation hide what the way back needs, and does a little noise wipe it out?",
    notebook=NOTEBOOK,
    grid=tuple({"noise": noise, "seed": seed} for noise in NOISES for seed in SEEDS),
    run=_message_run,
    verdict=_message_verdict,
    figure=_message_figure,
)

EXPERIMENTS: tuple[Experiment, ...] = (PAIRS, ABLATION, SHAPE, OUTSIDE, DIRECTIONS, HIDDEN_MESSAGE)
"""`course experiment cyclegan-pairs`, and so on."""
