"""Studies of notebook 01_ddpm: whether noise is all that is left, what a network should answer, and which schedule (claims C21, C22 and C23)."""

import math
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import plots, runtime, scale
from course_utils.autoencoders.recipes import DigitReader
from course_utils.data import Digits, loader
from course_utils.diffusion.ddpm import PREDICTION_TYPES, DiffusionConfig, GaussianDiffusion, normal_divergence
from course_utils.diffusion.points import PointDenoiser, PointDenoiserConfig
from course_utils.diffusion.recipes import bits, diffusion_player, process
from course_utils.diffusion.samplers import Ancestral, sample
from course_utils.diffusion.schedules import Level, inference_timesteps
from course_utils.diffusion.score import mixture_denoiser
from course_utils.diffusion.unet import UNet, UNetConfig
from course_utils.gans.gan import GaussianMixture, ring
from course_utils.gans.plane_experiments import PointSet, quality
from course_utils.gans.recipes import faces
from course_utils.layers import draw_normal, draw_uniform
from course_utils.metrics import frechet_distance, high_frequency_energy
from course_utils.training import Experiment, Player, Verdict, clearly_more, fit, grouped, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
NOTEBOOK = "04_diffusion/01_ddpm"
MOMENTS = 20  # times that are looked at, evenly spaced
STEPS = 100  # of the chains on points and digits
SIZE = 16  # of the digits, in pixels


# --- C21: the end of the forward process ------------------------------------------------------------------------------

CANDIDATES = 500  # pictures, of which one is behind the noise
CLEAN_ENDS = ("linear", "cosine")  # schedules of the lecture


def found_again(noisy: Tensor, candidates: Tensor, level: Level) -> float:
    """Share of noisy pictures whose own picture among all candidates explains them best; nobody can do better.

    Args:
        noisy: (count, ...), the i-th made from candidate i.
        candidates: (count, ...) clean pictures.
    """
    noisy, faded = noisy.flatten(1), level.signal * candidates.flatten(1)
    closeness = noisy @ faded.T - faded.square().sum(dim=1) / 2  # the log likelihood, but for what all have in common
    return (closeness.argmax(dim=1) == torch.arange(len(noisy))).double().mean().item()


def _forward_run(schedule: str, seed: int) -> dict[str, float | list[float]]:
    images = faces("test", scale(smoke=20, cpu=CANDIDATES, gpu=CANDIDATES))["image"]
    made = GaussianDiffusion(DiffusionConfig(noise_schedule=schedule))
    draw = runtime.generator(seed)
    path = made.path(inference_timesteps(1000, MOMENTS))[:-1][::-1]  # from the least noise to the last step
    found = []
    for level in path:
        noisy = level.signal * images + level.noise * draw_normal(images.shape, draw)
        found.append(found_again(noisy, images, level))
    signal, noise = torch.tensor(path[-1].signal), torch.tensor(path[-1].noise)
    left = normal_divergence(signal * images, noise.square(), torch.zeros(()), torch.ones(()))
    return {
        "found_at_the_end": found[-1],
        "found_half_way": found[MOMENTS // 2 - 1],
        "bits_left": left.flatten(1).sum(dim=1).mean().item() / math.log(2),
        "signal_at_the_end": signal.item(),
        "found_over_time": found,
    }


def _forward_verdict(rows: list[Row]) -> Verdict:
    found, left = (grouped(rows, "schedule", name) for name in ("found_at_the_end", "bits_left"))
    chance = 1 / CANDIDATES
    numbers = "; ".join(
        f"{schedule} {said(found[schedule], 3)} ({fmean(left[schedule]):.2g} bits left)" for schedule in found
    )
    why = (
        f"Share of {CANDIDATES} faces that can be told from their noise at the last of 1,000 steps, by whoever knows all of them "
        f"(chance {chance:.3f}), and information that is left of a face: {numbers}."
    )
    clean = [schedule for schedule in CLEAN_ENDS if fmean(found[schedule]) < 5 * chance and fmean(left[schedule]) < 0.1]
    if len(clean) == len(CLEAN_ENDS):
        return Verdict("holds here", why)
    return Verdict("in part" if clean else "does not hold here", why)


def _forward_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=5.6, height=3.0)
    times = [50 * (moment + 1) for moment in range(MOMENTS)]
    for color, (schedule, lines) in zip(
        plots.COLORS, grouped(rows, "schedule", "found_over_time").items(), strict=False
    ):
        means = [fmean(values) for values in zip(*lines, strict=True)]
        axes[0, 0].plot(times[: len(means)], means, color=color, marker=".", label=schedule.replace("_", " "))
    axes[0, 0].axhline(1 / CANDIDATES, color=plots.COLORS[6], linestyle="--", linewidth=1, label="chance")
    axes[0, 0].set(xlabel="step of 1,000", ylabel="faces found again", ylim=(0, 1.03))
    axes[0, 0].legend(frameon=False, fontsize=7)
    return figure


FORWARD = Experiment(
    name="ddpm-forward",
    claim="C21",
    question="Can a picture be told from what the last step of the forward process has left of it?",
    notebook=NOTEBOOK,
    grid=tuple(
        {"schedule": schedule, "seed": seed}
        for schedule in ("linear", "cosine", "sigmoid", "scaled_linear")
        for seed in range(3)
    ),
    run=_forward_run,
    verdict=_forward_verdict,
    figure=_forward_figure,
)


# --- small models, for C22 and C23 ------------------------------------------------------------------------------------


def digit_network() -> UNet:
    """Draws digits of 16x16 to order."""
    return UNet(
        UNetConfig(
            in_channels=1, out_channels=1, image_size=SIZE, widths=(32, 64), num_blocks=1, attention_levels=(1,),
            num_classes=10, unshuffle=2, num_groups=8,
        )
    )  # fmt: skip


def train_on_digits(config: DiffusionConfig, seed: int) -> UNet:
    """A network that denoises handwritten digits, each with its label, in evaluation mode."""
    runtime.seed_everything(seed)
    network = digit_network()
    steps = scale(smoke=3, cpu=450, gpu=10_000)
    player = diffusion_player(network, config, learning_rate=2e-3, ema_decay=0.99)
    fit(player, loader(Digits("train", SIZE), 64, seed=seed), steps, schedule="cosine", seed=seed, progress=False)
    return network


def held_out_digits() -> Tensor:
    """Digits (358, 1, 16, 16) that no training sees; few at scale smoke."""
    images = torch.cat([Digits(split, SIZE).images for split in ("validation", "test")])
    return images[: scale(smoke=40, cpu=len(images), gpu=len(images))]


def digit_features(images: Tensor) -> Tensor:
    """(batch, 1, 16, 16) -> (batch, 64): the 8x8 pixels that the originals have."""
    return F.adaptive_avg_pool2d(images, 8).flatten(1)


@torch.inference_mode()
def draw_digits(network: UNet, config: DiffusionConfig, seed: int, skipped: float = 0.0) -> tuple[Tensor, Tensor]:
    """As many digits to order as are held out, by the whole chain, and the labels asked for.

    Args:
        skipped: share of the chain that is left out at its noisy end; the rest starts from pure noise all the same.
    """
    made, count = process(config), len(held_out_digits())
    labels, draw = torch.arange(count) % 10, runtime.generator(1000 + seed)
    device = next(network.parameters()).device
    timesteps = inference_timesteps(config.num_train_timesteps, scale(smoke=4, cpu=STEPS, gpu=STEPS))
    path = made.path(timesteps[round(skipped * len(timesteps)) :])
    noise = draw_normal((count, 1, SIZE, SIZE), draw, device)
    denoise = made.denoiser(network, labels.to(device))
    return sample(denoise, Ancestral(), noise, path, draw).clamp(-1, 1).cpu(), labels


def digit_quality(drawn: Tensor, labels: Tensor) -> dict[str, float]:
    """How drawn digits (358, 1, 16, 16) stand beside held-out ones, and beside the labels (358,) that were asked for.

    Returns:
        pixel_frechet: Fréchet distance in the 8x8 pixels; label_accuracy: share that a classifier reads as asked for; grain: energy in high
        frequencies, as a share of that of real digits.
    """
    held_out = held_out_digits()
    return {
        "pixel_frechet": frechet_distance(digit_features(drawn), digit_features(held_out)),
        "label_accuracy": (DigitReader().read(drawn) == labels).double().mean().item(),
        "grain": (high_frequency_energy(drawn).mean() / high_frequency_energy(held_out).mean()).item(),
    }


def digit_floor(draws: int = 10) -> float:
    """The distance of held-out digits from as many of the training set, a mean over random choices: no generator falls below, but by luck."""
    held_out, train = digit_features(held_out_digits()), digit_features(Digits("train", SIZE).images)
    choices = (draw_uniform((len(train),), runtime.generator(seed)).argsort()[: len(held_out)] for seed in range(draws))
    return fmean(frechet_distance(train[chosen], held_out) for chosen in choices)


# --- C22: what the network answers ------------------------------------------------------------------------------------

NAMES = {"epsilon": "noise", "sample": "picture", "v_prediction": "velocity"}
GOOD = 0.8  # of what is best possible: then an answer counts as learned


def train_on_points(config: DiffusionConfig, mixture: GaussianMixture, seed: int) -> PointDenoiser:
    """A network that denoises points of a mixture, in evaluation mode."""
    runtime.seed_everything(seed)
    network, made = PointDenoiser(PointDenoiserConfig()), process(config)

    def objective(batch: dict) -> tuple[Tensor, dict]:
        points = batch["image"]
        timesteps = torch.randint(0, config.num_train_timesteps, (len(points),), device=points.device)
        return made.loss(network, points, torch.randn_like(points), timesteps), {}

    player = Player("denoiser", network, objective, learning_rate=2e-3, ema_decay=0.99)
    steps = scale(smoke=3, cpu=3_000, gpu=10_000)
    fit(player, loader(PointSet(mixture, seed), 256, seed=seed), steps, schedule="cosine", seed=seed, progress=False)
    return network


@torch.inference_mode()
def excess_errors(network: PointDenoiser, config: DiffusionConfig, mixture: GaussianMixture) -> list[float]:
    """How far the network's clean point is from the best possible guess, as a root mean square, at `MOMENTS` times."""
    made, best = process(config), mixture_denoiser(mixture)
    device, draw = next(network.parameters()).device, runtime.generator(5)
    points = mixture.sample(2000, draw).to(device)
    denoise, errors = made.denoiser(network), []
    for level in made.path(inference_timesteps(config.num_train_timesteps, MOMENTS))[:-1][::-1]:
        noisy = level.signal * points + level.noise * draw_normal(points.shape, draw, device)
        gap = denoise(noisy, level).images - best(noisy, level).images
        errors.append(gap.square().mean().sqrt().item())
    return errors


def _parameterisation_run(answer: str, seed: int) -> dict[str, float | list[float]]:
    config = DiffusionConfig(STEPS, prediction_type=answer)
    mixture = ring(std=0.1)
    points = train_on_points(config, mixture, seed)
    made, draw = process(config), runtime.generator(seed)
    path = made.path(inference_timesteps(STEPS, scale(smoke=4, cpu=STEPS, gpu=STEPS)))
    device = next(points.parameters()).device
    drawn = sample(made.denoiser(points), Ancestral(), draw_normal((2500, 2), draw, device), path, draw)
    pictures = replace(config, clip_sample=True)
    network = train_on_digits(pictures, seed)
    digits, labels = draw_digits(network, pictures, seed)
    return {
        "plane_quality": quality(drawn.cpu(), mixture),
        **digit_quality(digits, labels),
        "floor": digit_floor(),
        "excess_over_time": excess_errors(points, config, mixture),
    }


def _parameterisation_verdict(rows: list[Row]) -> Verdict:
    plane, right, distance = (
        grouped(rows, "answer", name) for name in ("plane_quality", "label_accuracy", "pixel_frechet")
    )
    numbers = "; ".join(
        f"{NAMES[answer]} {said(plane[answer])}, {said(right[answer])}, {said(distance[answer])}" for answer in plane
    )
    why = (
        f"Quality of points on the ring (best possible 0.99), share of digits that are read as asked for (chance 0.10), and Fréchet distance of "
        f"digits in pixels (floor {fmean(row['floor'] for row in rows):.2f}), after equally long trainings: {numbers}."
    )
    good = [answer for answer in ("epsilon", "sample") if fmean(plane[answer]) > GOOD and fmean(right[answer]) > GOOD]
    if len(good) == 2:
        return Verdict("holds here", why)
    return Verdict("in part" if good else "does not hold here", why)


def _parameterisation_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 3, width=9.4, height=2.8)
    times = [STEPS / MOMENTS * (moment + 1) for moment in range(MOMENTS)]
    for color, (answer, lines) in zip(plots.COLORS, grouped(rows, "answer", "excess_over_time").items(), strict=False):
        means = [fmean(values) for values in zip(*lines, strict=True)]
        axes[0, 0].plot(times[: len(means)], means, color=color, label=NAMES[answer])
    axes[0, 0].set(title="points: error of the picture", xlabel=f"step of {STEPS}", yscale="log")
    axes[0, 0].legend(frameon=False, fontsize=7)
    for axis, name, title in (
        (axes[0, 1], "label_accuracy", "digits read as asked for"),
        (axes[0, 2], "pixel_frechet", "digits: distance"),
    ):
        groups = {NAMES[answer]: values for answer, values in grouped(rows, "answer", name).items()}
        plots.group_dots(axis, groups)
        axis.set_title(title)
        axis.set_ylim(0, 1.05 if name == "label_accuracy" else None)
    axes[0, 2].axhline(fmean(row["floor"] for row in rows), color=plots.COLORS[6], linestyle="--", linewidth=1)
    return figure


PARAMETERISATIONS = Experiment(
    name="ddpm-parameterisations",
    claim="C22",
    question="Does a network that answers with the clean picture, or the velocity, learn as well as one that answers with the noise?",
    notebook=NOTEBOOK,
    grid=tuple({"answer": answer, "seed": seed} for answer in PREDICTION_TYPES for seed in range(3)),
    run=_parameterisation_run,
    verdict=_parameterisation_verdict,
    figure=_parameterisation_figure,
)


# --- C23: schedules ---------------------------------------------------------------------------------------------------

SKIPPED = 0.2  # share of the chain, at its noisy end
BOUND = 64  # held-out digits whose bits are counted


def _schedule_run(schedule: str, seed: int) -> dict[str, float]:
    config = DiffusionConfig(STEPS, schedule, clip_sample=True)
    network = train_on_digits(config, seed)
    whole = digit_quality(*draw_digits(network, config, seed))
    short = digit_quality(*draw_digits(network, config, seed, SKIPPED))
    labels = torch.cat([Digits(split, SIZE).labels for split in ("validation", "test")])
    few = scale(smoke=2, cpu=BOUND, gpu=BOUND)
    return {
        **whole,
        "floor": digit_floor(),
        "skipped_frechet": short["pixel_frechet"],
        "skipped_accuracy": short["label_accuracy"],
        "bits_per_dimension": bits(network, held_out_digits()[:few], labels[:few], config),
    }


def _schedule_verdict(rows: list[Row]) -> Verdict:
    measured = {
        name: grouped(rows, "schedule", name)
        for name in ("pixel_frechet", "skipped_frechet", "label_accuracy", "bits_per_dimension")
    }
    numbers = "; ".join(
        f"{schedule} {said(values)} and {said(measured['skipped_frechet'][schedule])} without the first fifth of the way back "
        f"({said(measured['bits_per_dimension'][schedule])} bits)"
        for schedule, values in measured["pixel_frechet"].items()
    )
    why = (
        f"Fréchet distance of 16x16 digits in pixels (floor {fmean(row['floor'] for row in rows):.2f}), and bits per dimension, after equally "
        f"long trainings: {numbers}."
    )
    linear, cosine = ({name: groups[which] for name, groups in measured.items()} for which in ("linear", "cosine"))

    def differ(name: str) -> bool:
        return clearly_more(linear[name], cosine[name]) or clearly_more(cosine[name], linear[name])

    lost = {
        which: [b - a for a, b in zip(of["pixel_frechet"], of["skipped_frechet"], strict=True)]
        for which, of in (("linear", linear), ("cosine", cosine))
    }
    samples, useless = differ("pixel_frechet"), clearly_more(lost["cosine"], lost["linear"])
    if samples:
        return Verdict("holds here", why)
    return Verdict("in part" if useless or differ("bits_per_dimension") else "does not hold here", why)


def _schedule_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=8.0, height=2.8)
    for number, (name, label) in enumerate(
        (("pixel_frechet", "whole chain"), ("skipped_frechet", "without its first fifth"))
    ):
        plots.group_bars(axes[0, 0], grouped(rows, "schedule", name), label, number, 2)
    floor = fmean(row["floor"] for row in rows)
    axes[0, 0].axhline(floor, color=plots.COLORS[6], linestyle="--", linewidth=1, label="floor")
    axes[0, 0].set_title("digits: distance")
    axes[0, 0].margins(y=0.3)  # room for the legend
    axes[0, 0].legend(frameon=False, fontsize=7, loc="upper center", ncols=3)
    plots.group_dots(axes[0, 1], grouped(rows, "schedule", "bits_per_dimension"))
    axes[0, 1].set_title("bits per dimension")
    return figure


SCHEDULES = Experiment(
    name="ddpm-schedules",
    claim="C23",
    question="On small pictures, do samples and likelihood depend on how the noise grows, and which steps of the way back are of no use?",
    notebook=NOTEBOOK,
    grid=tuple(
        {"schedule": schedule, "seed": seed} for schedule in ("linear", "cosine", "sigmoid") for seed in range(3)
    ),
    run=_schedule_run,
    verdict=_schedule_verdict,
    figure=_schedule_figure,
)

EXPERIMENTS: tuple[Experiment, ...] = (FORWARD, PARAMETERISATIONS, SCHEDULES)
