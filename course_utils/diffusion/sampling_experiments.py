"""Studies of notebook 02_sampling_and_guidance: how few passes are enough (claim C24), what guidance buys and costs, a VAE, a GAN and a
diffusion model on one table (claim C25), and pictures filled in."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from course_utils import plots, runtime, scale
from course_utils.autoencoders.recipes import scene_quality, single_objects
from course_utils.data import Scenes
from course_utils.data.scenes import BACKGROUNDS, SIZES, label_map, render
from course_utils.diffusion import recipes
from course_utils.diffusion.ddpm import GaussianDiffusion, Prediction
from course_utils.diffusion.guidance import classifier_free, keep_known, resampled
from course_utils.diffusion.samplers import DDIM, Ancestral, DPMSolver, Heun, Sampler, sample, sample_many
from course_utils.diffusion.schedules import Level, inference_timesteps
from course_utils.diffusion.unet import UNet
from course_utils.gans.recipes import DCGAN_FACES, VAE_FACES, face_quality, faces
from course_utils.layers import draw_normal
from course_utils.metrics import READABLE, precision_recall
from course_utils.metrics.recipes import FACE_JUDGE, SCENE_JUDGE, on_cpu
from course_utils.training import Experiment, Verdict, clearly_more, grouped, load, read_card, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
NOTEBOOK = "04_diffusion/02_sampling_and_guidance"
SAMPLES = 512  # pictures of a row, where distances are compared
FULL = 1000  # passes of the whole chain
FEW = 25  # passes of the lecture's claim
MORE = (50, 100)


# --- drawing with any sampler -----------------------------------------------------------------------------------------

SAMPLERS: dict[str, Sampler] = {
    "ancestral": Ancestral(),
    "DDIM": DDIM(),
    "Heun": Heun(),
    "DPM-Solver++": DPMSolver(),
}
"""Four ways, and all that there are: Euler's method is DDIM with eta 0 and DDIM with eta 1 is ancestral, number by number."""

NAMES = {"ancestral": "ancestral, DDIM with eta 1", "DDIM": "DDIM with eta 0, Euler"} | {
    name: name for name in ("Heun", "DPM-Solver++")
}


def passes_of(sampler: Sampler, path: list[Level]) -> int:
    """How often the sampler asks the network along a path."""
    asked = 0

    def denoise(noisy: Tensor, level: Level) -> Prediction:
        nonlocal asked
        asked += 1
        return Prediction(noisy, noisy)

    sample(denoise, sampler, torch.zeros(1, 1), path)
    return asked


def path_of(made: GaussianDiffusion, sampler: Sampler, passes: int) -> list[Level]:
    """The longest path, evenly spaced in time, on which the sampler asks the network no more often than `passes`."""
    every = made.config.num_train_timesteps
    for steps in range(min(passes, every), 0, -1):
        path = made.path(inference_timesteps(every, steps))
        if passes_of(sampler, path) <= passes:
            return path
    raise ValueError(f"a sampler asks the network at least once, got passes={passes}")


@torch.inference_mode()
def drawn(
    network: UNet,
    sampler: Sampler,
    passes: int,
    seed: int,
    labels: Tensor | None = None,
    guidance_scale: float = 1.0,
    guidance_rescale: float = 0.0,
    count: int | None = None,
) -> Tensor:
    """Pictures (count, channels, height, width) in [-1, 1] on the CPU, by any sampler.

    Args:
        passes: through the network, at most; with guidance each is over twice the batch.
        seed: of the noise at the start, which is the same for every sampler, and of fresh noise.
        labels: (count,) int64, for a network that takes classes.
        count: where there are no labels.
    """
    device, made, draw = next(network.parameters()).device, recipes.process(), runtime.generator(seed)
    path, size = path_of(made, sampler, passes), network.config.image_size
    shape = (len(labels) if labels is not None else count, network.config.in_channels, size, size)
    noise, asked = draw_normal(shape, draw, device), network
    if guidance_scale != 1:
        asked = classifier_free(network, network.config.num_classes, guidance_scale, guidance_rescale)
    conditions = () if labels is None else (labels,)
    return sample_many(asked, made, sampler, noise, path, *conditions, generator=draw).clamp(-1, 1)


# --- C24: how few passes are enough -----------------------------------------------------------------------------------


def _steps_run(sampler: str, passes: int, seed: int) -> dict[str, float]:
    samples, passes = scale(smoke=(24, min(passes, 3)), cpu=(SAMPLES, passes), gpu=(SAMPLES, passes))
    batch, others = single_objects("test", samples, 32), single_objects("validation", samples, 32)
    images = drawn(load(recipes.DDPM_SCENES), SAMPLERS[sampler], passes, 100 + seed, batch["label"])
    return {
        **scene_quality(images, batch["image"]),
        "class_accuracy": recipes.right_class(images, batch["label"]),
        "floor": scene_quality(others["image"], batch["image"])["judge_frechet"],
        "passes_used": passes_of(SAMPLERS[sampler], path_of(recipes.process(), SAMPLERS[sampler], passes)),
    }


def _of(rows: list[Row], sampler: str, passes: int, name: str) -> list[float]:
    return [row[name] for row in rows if (row["sampler"], row["passes"]) == (sampler, passes)]


def _steps_verdict(rows: list[Row]) -> Verdict:
    whole = fmean(_of(rows, "ancestral", FULL, "judge_frechet"))
    few = {name: _of(rows, name, FEW, "judge_frechet") for name in SAMPLERS}
    numbers = "; ".join(
        f"{NAMES[name]} {said(values, 1)}, {fmean(values) / whole:.2f} times the whole chain"
        for name, values in few.items()
    )
    more = {
        name: " and ".join(f"{fmean(_of(rows, name, passes, 'judge_frechet')):.1f}" for passes in MORE)
        for name in ("ancestral", "DDIM")
    }
    right = _of(rows, "ancestral", FULL, "class_accuracy")
    why = (
        f"Distance of {SAMPLES} drawn scenes from as many held-out ones (floor {fmean(row['floor'] for row in rows):.1f}): by the whole chain of "
        f"{FULL:,} passes {whole:.1f}; in {FEW} passes {numbers}. Of the class asked for, without guidance: whole chain {fmean(right):.2f}, "
        f"DDIM in {FEW} passes {said(_of(rows, 'DDIM', FEW, 'class_accuracy'))}. Distance in {MORE[0]} and in {MORE[1]} "
        f"passes: {'; '.join(f'{NAMES[name]} {values}' for name, values in more.items())}."
    )
    near = [name for name, values in few.items() if fmean(values) <= 1.1 * whole]
    if "DDIM" in near:
        return Verdict("holds here", f"DDIM comes within 10 % of the whole chain's distance. {why}")
    if near:
        return Verdict("in part", f"Within 10 % of the whole chain's distance: {', '.join(near)}, but not DDIM. {why}")
    return Verdict("does not hold here", why)


def _steps_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=8.4, height=3.1)
    for axis, (name, label) in zip(
        axes[0], (("judge_frechet", "distance"), ("class_accuracy", "class right")), strict=True
    ):
        for color, sampler in zip(plots.COLORS, SAMPLERS, strict=False):
            own = [row for row in rows if row["sampler"] == sampler and row["passes"] < FULL]
            points = grouped(own, "passes", name)
            if points:
                used = [fmean(values) for values in grouped(own, "passes", "passes_used").values()]
                axis.plot(
                    used, [fmean(values) for values in points.values()], color=color, marker="o", label=NAMES[sampler]
                )
                axis.scatter([row["passes_used"] for row in own], [row[name] for row in own], color=color, s=8)
        whole = _of(rows, "ancestral", FULL, name)
        if whole:
            axis.axhline(fmean(whole), color=plots.COLORS[6], linewidth=1, label=f"whole chain, {FULL:,} passes")
        axis.set(xlabel="passes through the network", ylabel=label, xscale="log")
        ticks = (5, 10, FEW, *MORE)
        axis.set_xticks(ticks, [str(passes) for passes in ticks])
        axis.minorticks_off()
    axes[0, 0].axhline(
        fmean(row["floor"] for row in rows), color=plots.COLORS[6], linestyle="--", linewidth=1, label="floor"
    )
    axes[0, 0].set_ylim(bottom=0)
    axes[0, 1].set_ylim(0, 1.03)
    axes[0, 0].legend(frameon=False, fontsize=7)
    return figure


STEPS = Experiment(
    name="diffusion-steps",
    claim="C24",
    question="How many passes through the network does each sampler need for pictures as good as those of the whole chain?",
    notebook=NOTEBOOK,
    grid=(
        *({"sampler": sampler, "passes": passes, "seed": seed} for sampler in SAMPLERS for passes in (5, 10, FEW) for seed in range(2)),
        {"sampler": "DDIM", "passes": FEW, "seed": 2},
        *({"sampler": sampler, "passes": passes, "seed": 0} for sampler in ("ancestral", "DDIM") for passes in MORE),
        {"sampler": "ancestral", "passes": FULL, "seed": 0},
    ),
    run=_steps_run,
    verdict=_steps_verdict,
    figure=_steps_figure,
)  # fmt: skip


# --- guidance ---------------------------------------------------------------------------------------------------------

GUIDED_PASSES = 10  # over twice the batch
GUIDED_SAMPLES = 256
KINDS = 4 * len(SIZES) * len(BACKGROUNDS)


def variety(images: Tensor) -> float:
    """Of the kinds of scene that a class leaves open (place, size and background), how many are drawn, counted by the entropy of what the judge
    reads: at most `KINDS`, if all are equally often. Pictures (batch, 3, 32, 32) without exactly one object do not count.
    """
    reading = on_cpu(load(SCENE_JUDGE).read(images))
    one = reading.present.sum(dim=1) == 1
    place, size = reading.present[one].long().argmax(dim=1), reading.size[one].amax(dim=1)
    kinds = (place * len(SIZES) + size) * len(BACKGROUNDS) + reading.background[one]
    counts = torch.bincount(kinds, minlength=KINDS).double()
    return torch.special.entr(counts / counts.sum().clamp(min=1)).sum().exp().item()


def _guidance_run(guidance_scale: float, guidance_rescale: float, seed: int) -> dict[str, float]:
    samples, passes = scale(smoke=(24, 2), cpu=(GUIDED_SAMPLES, GUIDED_PASSES), gpu=(GUIDED_SAMPLES, GUIDED_PASSES))
    batch, others = single_objects("test", samples, 32), single_objects("validation", samples, 32)
    network, judge = load(recipes.DDPM_SCENES), load(SCENE_JUDGE)
    images = drawn(network, DDIM(), passes, 200 + seed, batch["label"], guidance_scale, guidance_rescale)
    real = judge.features(batch["image"])
    return {
        **scene_quality(images, batch["image"]),
        "class_accuracy": recipes.right_class(images, batch["label"]),
        "recall": precision_recall(real, judge.features(images)).recall,
        "variety": variety(images),
        "extreme": (images.abs() > 0.99).double().mean().item(),
        "floor": scene_quality(others["image"], batch["image"])["judge_frechet"],
        "real_recall": precision_recall(real, judge.features(others["image"])).recall,
        "real_variety": variety(batch["image"]),
        "real_extreme": (batch["image"].abs() > 0.99).double().mean().item(),
    }


def _plain(rows: list[Row]) -> list[Row]:
    return [row for row in rows if not row["guidance_rescale"]]


def _guidance_verdict(rows: list[Row]) -> Verdict:
    plain = _plain(rows)
    right, recall, kinds, distance = (
        grouped(plain, "guidance_scale", name) for name in ("class_accuracy", "recall", "variety", "judge_frechet")
    )
    numbers = "; ".join(
        f"scale {at:g}: class right {said(right[at])}, recall {said(recall[at])}, variety {said(kinds[at], 1)}, distance {said(distance[at], 1)}"
        for at in right
    )
    why = (
        f"{GUIDED_SAMPLES} scenes by DDIM in {GUIDED_PASSES} passes. {numbers}. Real scenes: recall {fmean(row['real_recall'] for row in rows):.2f}, "
        f"variety {fmean(row['real_variety'] for row in rows):.1f} of {KINDS}, distance {fmean(row['floor'] for row in rows):.1f}."
    )
    low, high = min(right), max(right)
    surer = any(clearly_more(right[at], right[low]) for at in right if at > low)
    poorer = clearly_more(recall[low], recall[high]) or clearly_more(kinds[low], kinds[high])
    if surer and poorer:
        return Verdict("holds here", f"The class is met more surely, and diversity is lost. {why}")
    return Verdict("in part" if surer or poorer else "does not hold here", why)


def _guidance_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 5, width=12.5, height=2.8)
    panels = (
        ("class_accuracy", "class right", None),
        ("judge_frechet", "distance", "floor"),
        ("recall", "recall", "real_recall"),
        ("variety", f"variety, of {KINDS}", "real_variety"),
        ("extreme", "values near the ends", "real_extreme"),
    )
    for axis, (name, label, real) in zip(axes[0], panels, strict=True):
        for color, rescale in zip(plots.COLORS, sorted({row["guidance_rescale"] for row in rows}), strict=False):
            own = [row for row in rows if row["guidance_rescale"] == rescale or row["guidance_scale"] == 1]
            groups = sorted(grouped(own, "guidance_scale", name).items())
            text = f"rescaled by {rescale:g}" if rescale else "plain"
            axis.plot(
                [at for at, _ in groups], [fmean(values) for _, values in groups], color=color, marker="o", label=text
            )
            axis.scatter([row["guidance_scale"] for row in own], [row[name] for row in own], color=color, s=8)
        if real:
            axis.axhline(
                fmean(row[real] for row in rows),
                color=plots.COLORS[6],
                linestyle="--",
                linewidth=1,
                label="real scenes",
            )
        axis.set(xlabel="guidance scale", title=label, xscale="log")
        axis.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
        axis.minorticks_off()
        axis.set_ylim(0, 1.03 if name in ("class_accuracy", "recall") else None)
    axes[0, 1].legend(frameon=False, fontsize=7)
    return figure


GUIDANCE = Experiment(
    name="diffusion-guidance",
    question="What does classifier-free guidance buy in class accuracy, and what does it cost in quality and diversity, with and without rescaling?",
    notebook=NOTEBOOK,
    grid=tuple(
        {"guidance_scale": guidance_scale, "guidance_rescale": guidance_rescale, "seed": seed}
        for guidance_scale, guidance_rescale in ((1.0, 0.0), (2.0, 0.0), (4.0, 0.0), (8.0, 0.0), (2.0, 0.7), (4.0, 0.7), (8.0, 0.7))
        for seed in range(3)
    ),
    run=_guidance_run,
    verdict=_guidance_verdict,
    figure=_guidance_figure,
)  # fmt: skip


# --- C25: a VAE, a GAN and a diffusion model on faces -----------------------------------------------------------------

MODELS = ("VAE", "DCGAN", f"DDPM, {FEW} passes", "DDPM, 10 passes", "other real faces")
_RECIPES = {"VAE": VAE_FACES, "DCGAN": DCGAN_FACES, "DDPM": recipes.DDPM_FACES}


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with a single thread, and put the number back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def timed(draw: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """Pictures, and how many a second of one thread makes: time of the processor, so that other programs do not count."""
    with one_thread():
        start = time.process_time()
        images = draw()
        return images, len(images) / (time.process_time() - start)


def _models_run(model: str, seed: int) -> dict[str, float]:
    samples = scale(smoke=24, cpu=SAMPLES, gpu=SAMPLES)
    images, draw = faces("test", samples)["image"], runtime.generator(300 + seed)
    if model == "other real faces":
        new, speed = faces("validation", (seed + 1) * samples)["image"][seed * samples :], math.nan
        known = {}
    else:
        recipe = _RECIPES[model.split(",")[0]]
        network, card = load(recipe).cpu(), read_card(recipe)
        passes = scale(smoke=2, cpu=10 if "10" in model else FEW, gpu=10 if "10" in model else FEW)
        sampler = DPMSolver() if "10" in model else DDIM()
        if recipe is recipes.DDPM_FACES:
            new, speed = timed(lambda: drawn(network, sampler, passes, 300 + seed, count=samples))
        else:
            new, speed = timed(lambda: network.sample(samples, draw))
        known = {"training_minutes": card["seconds"] / 60, "parameters": card["parameters"]}
    judge = load(FACE_JUDGE)
    return {
        **face_quality(new, images),
        "precision": precision_recall(judge.features(images), judge.features(new)).precision,
        "pictures_per_second": speed,
        **known,
    }


def _models_verdict(rows: list[Row]) -> Verdict:
    distance, precision, recall, coverage, speed = (
        grouped(rows, "model", name)
        for name in ("judge_frechet", "precision", "recall", "coverage", "pictures_per_second")
    )
    slow = MODELS[2]
    numbers = "; ".join(
        f"{model} {said(distance[model], 0)}, {said(precision[model])}, {said(recall[model])}, {said(coverage[model])}"
        + ("" if model == MODELS[-1] else f", {fmean(speed[model]):,.0f} a second")
        for model in MODELS
    )
    why = f"Distance, precision, recall, coverage and speed (one thread) of {SAMPLES} faces against as many held-out ones: {numbers}."
    parts = {
        "diffusion is best in quality": all(
            fmean(distance[slow]) < fmean(distance[other]) for other in ("VAE", "DCGAN")
        ),
        "diffusion covers most": all(clearly_more(recall[slow], recall[other]) for other in ("VAE", "DCGAN")),
        "diffusion is slowest": all(10 * fmean(speed[slow]) < fmean(speed[other]) for other in ("VAE", "DCGAN")),
        "the GAN draws better than the VAE": clearly_more(distance["VAE"], distance["DCGAN"]),
        "the VAE covers more than the GAN": clearly_more(recall["VAE"], recall["DCGAN"]),
    }
    seen, missed = ([part for part, true in parts.items() if true is wanted] for wanted in (True, False))
    if not missed:
        return Verdict("holds here", f"All of it: {', '.join(parts)}. {why}")
    if not seen:
        return Verdict("does not hold here", why)
    return Verdict("in part", f"Seen: {', '.join(seen)}; not seen: {', '.join(missed)}. {why}")


def _models_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 4, width=12.5, height=2.9)
    panels = (
        ("judge_frechet", "distance"),
        ("precision", "precision"),
        ("recall", "recall"),
        ("pictures_per_second", "faces a second"),
    )
    for axis, (name, title) in zip(axes[0], panels, strict=True):
        groups = {
            model.replace(", ", ",\n").replace("other ", "other\n"): values
            for model, values in grouped(rows, "model", name).items()
            if name != "pictures_per_second" or model != MODELS[-1]
        }
        plots.group_bars(axis, groups, color=plots.COLORS[: len(groups)])
        axis.set_title(title)
        axis.tick_params(axis="x", labelsize=6)
    for axis in (axes[0, 0], axes[0, 3]):
        axis.set_yscale("log")
        axis.minorticks_off()
    axes[0, 0].set_yticks([3, 10, 30, 100, 300], ["3", "10", "30", "100", "300"])
    return figure


MODELS_COMPARED = Experiment(
    name="vae-gan-diffusion",
    claim="C25",
    question="How do a VAE, a GAN and a diffusion model compare in quality, coverage and speed on the same faces?",
    notebook=NOTEBOOK,
    grid=tuple({"model": model, "seed": seed} for model in MODELS for seed in range(3)),
    run=_models_run,
    verdict=_models_verdict,
    figure=_models_figure,
)


# --- inpainting -------------------------------------------------------------------------------------------------------

MASKS = ("right half", "middle")
METHODS = ("another picture", "replacement", "resampling", "resampling with its class", "original")
TIMES = 3  # that each step is taken, with resampling
INPAINTED = 128  # pictures of a row; seeds take others


def known_part(name: str, size: int = 32) -> Tensor:
    """A mask (1, 1, size, size), 1 where the picture is known: all but the right half, or all but a square in the middle."""
    mask = torch.ones(1, 1, size, size)
    if name == "right half":
        mask[..., size // 2 :] = 0
    else:
        mask[..., size // 4 : -(size // 4), size // 4 : -(size // 4)] = 0
    return mask


@torch.inference_mode()
def inpainted(
    network: UNet,
    images: Tensor,
    mask: Tensor,
    seed: int,
    times: int = 1,
    passes: int = FEW,
    labels: Tensor | None = None,
) -> Tensor:
    """Pictures (batch, channels, height, width) in [-1, 1] on the CPU, drawn where `mask` is 0 and as they were where it is 1.

    Args:
        mask: of a shape that broadcasts against `images`.
        times: that each step is taken; more than once is resampling, which makes the drawn part fit better and asks so much more often.
        labels: (batch,) int64, or None to let the network see for itself.
    """
    device, made, draw = next(network.parameters()).device, recipes.process(), runtime.generator(seed)
    path = resampled(path_of(made, Ancestral(), passes), times)
    denoise = made.denoiser(network, *(() if labels is None else (labels.to(device),)))
    constrain = keep_known(images.to(device), mask.to(device), draw)
    noise = draw_normal(images.shape, draw, device)
    return sample(denoise, Ancestral(), noise, path, draw, constrain).clamp(-1, 1).cpu()


def valid(images: Tensor) -> Tensor:
    """Whether the scene judge reads one object, and is sure of all that it reads, (batch,) bool."""
    reading = on_cpu(load(SCENE_JUDGE).read(images))
    return (reading.present.sum(dim=1) == 1) & (reading.confidence >= READABLE)


def _inpainting_run(mask: str, method: str, seed: int) -> dict[str, float]:
    samples, passes = scale(smoke=(16, 2), cpu=(INPAINTED, FEW), gpu=(INPAINTED, FEW))
    records = Scenes("test", objects=1).records(range(seed * samples, (seed + 1) * samples))
    images, known = render(records, 32), known_part(mask)
    network = load(recipes.DDPM_SCENES)
    if method == "original":
        filled = images
    elif method == "another picture":
        filled = known * images + (1 - known) * images.roll(1, 0)
    else:
        times, labels = 1 if method == "replacement" else TIMES, records.label if "class" in method else None
        filled = inpainted(network, images, known, 400 + seed, times, passes, labels)
    inside = (label_map(records, 32) > 0).float()[:, None]  # (batch, 1, 32, 32): 1 on the object
    visible = (inside * known).flatten(1).sum(dim=1) >= 0.5 * inside.flatten(1).sum(dim=1)
    right = recipes.class_scores(filled[visible], records.label[visible])[1]
    return {
        "valid": valid(filled).double().mean().item(),
        "object_kept": right.double().mean().item(),
        "known_error": (known * (filled - images)).abs().max().item(),
    }


def _inpainting_verdict(rows: list[Row]) -> Verdict:
    parts, good, harmonised = [], [], []
    for mask in MASKS:
        own = [row for row in rows if row["mask"] == mask]
        share, kept = grouped(own, "method", "valid"), grouped(own, "method", "object_kept")
        parts.append(
            f"{mask} hidden: "
            + ", ".join(f"{method} {said(share[method])} ({said(kept[method])})" for method in METHODS)
        )
        good.append(max(fmean(share[method]) for method in METHODS[1:-1]) >= 0.9)
        harmonised.append(clearly_more(share["resampling"], share["replacement"]))
    error = max(row["known_error"] for row in rows)
    why = (
        f"Share of pictures in which the judge surely reads one object, wanted 0.9 (and share of objects at least half visible that it reads as they "
        f"were): {'; '.join(parts)}. Largest change of a known pixel: {error:.1g}."
    )
    if error > 0:
        return Verdict("does not hold here", why)
    helps = "Resampling helps. " if any(harmonised) else ""
    if all(good):
        return Verdict("holds here", f"{helps}{why}")
    return Verdict("in part" if any(good) else "not at our scale", f"{helps}{why}")


def _inpainting_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=9.6, height=3.0)
    for axis, (name, title) in zip(
        axes[0], (("valid", "one object, surely read"), ("object_kept", "visible object as it was")), strict=True
    ):
        for number, method in enumerate(METHODS):
            groups = {
                f"{mask} hidden": [row[name] for row in rows if (row["mask"], row["method"]) == (mask, method)]
                for mask in grouped(rows, "mask", name)
            }
            plots.group_bars(axis, groups, method, number, of=len(METHODS))
        axis.set_title(title)
        axis.set_ylim(0, 1.03)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        frameon=False,
        fontsize=8,
        loc="outside lower center",
        ncols=len(METHODS),
    )
    return figure


INPAINTING = Experiment(
    name="inpainting",
    question="Do pictures whose hidden part is drawn by a network that never learned to fill in keep what is known, and hold together?",
    notebook=NOTEBOOK,
    grid=tuple(
        {"mask": mask, "method": method, "seed": seed} for mask in MASKS for method in METHODS for seed in range(3)
    ),
    run=_inpainting_run,
    verdict=_inpainting_verdict,
    figure=_inpainting_figure,
)

EXPERIMENTS: tuple[Experiment, ...] = (STEPS, GUIDANCE, MODELS_COMPARED, INPAINTING)
