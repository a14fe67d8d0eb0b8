"""How the two judges are trained, and how they are judged themselves."""

import torch
from torch import Tensor, nn

from course_utils.data import Glyphs, Scenes, loader
from course_utils.data.glyphs import class_names
from course_utils.data.scenes.records import SHAPES, SceneRecords
from course_utils.layers import draw_normal, draw_uniform
from course_utils.metrics.judges import READABLE, GlyphJudge, GlyphJudgeConfig, SceneJudge, SceneJudgeConfig
from course_utils.metrics.readings import SceneReading, count_pairs, mean_iou, scene_accuracy, scene_confusion
from course_utils.metrics.training_pictures import glyph_lesson, scene_lesson
from course_utils.runtime import generator
from course_utils.training import Player, Recipe, Target

SCENE_SPLITS = {"test": "", "compositional": "compositional_"}
"""Splits that the scene judge is measured on, and what their metrics' names begin with."""

SCENE_METRICS = ("presence", "shape", "color", "size", "background", "wholly_right", "pixels")


def scene_test(split: str, samples: int) -> tuple[Tensor, SceneRecords, Tensor]:
    """Held-out scenes: pictures `(samples, 3, 32, 32)`, records, label maps `(samples, 32, 32)`."""
    batch = Scenes(split, length=samples, fields=("image", "record", "label_map"))[range(samples)]
    return batch["image"], SceneRecords.from_dict(batch), batch["label_map"]


def glyph_test(samples: int) -> tuple[Tensor, Tensor]:
    """Held-out characters: pictures `(samples, 1, 32, 32)` and merged labels `(samples,)`."""
    batch = Glyphs("test", length=samples, fields=("image", "merged")).__getitems__(range(samples))
    return batch["image"], batch["merged"]


def confusion(judge: SceneJudge | GlyphJudge, samples: int = 2000, split: str = "test") -> dict[str, Tensor]:
    """Confusion matrices of a judge on held-out pictures, int64 counts, a row for each truth.

    Args:
        judge: in evaluation mode.
        samples: held-out pictures.
        split: of scenes; glyphs have `test` only.

    Returns:
        of a scene judge `shape (7, 7)` and `pixels (7, 7)` with 0 for none, `color (8, 8)`, `size (2, 2)`,
        `background (6, 6)`; of a glyph judge `character (62, 62)`.

    Raises:
        ValueError: another split of glyphs.
    """
    if isinstance(judge, GlyphJudge):
        if split != "test":
            raise ValueError(f"the glyph judge is measured on the split test, not on {split!r}")
        images, labels = glyph_test(samples)
        return {"character": count_pairs(labels, judge.read(images).cpu(), judge.config.num_classes)}
    images, records, label_map = scene_test(split, samples)
    pixels = count_pairs(label_map, judge.segment(images).cpu(), len(SHAPES) + 1)
    return {**scene_confusion(on_cpu(judge.read(images)), records), "pixels": pixels}


def unreadable_scenes(samples: int) -> dict[str, Tensor]:
    """Pictures that show no scene, `(samples, 3, 32, 32)` each, by name: a judge must not be sure of any.

    `gray` and `noise`; `mean` of eight scenes; `shuffled` pixels of a scene; scenes moved by half a place (`moved`);
    a `background` without an object.
    """
    images, _, _ = scene_test("test", samples)
    draw = generator(0)
    order = draw_uniform((images[0, 0].numel(),), draw).argsort()
    eight = torch.stack([images.roll(shift, 0) for shift in range(8)]).mean(0)
    return {
        "gray": torch.zeros_like(images),
        "noise": draw_normal(images.shape, draw).clamp(-1, 1),
        "mean": eight,
        "shuffled": images.flatten(2)[:, :, order].view_as(images),  # (samples, 3, 1024) -> (samples, 3, 32, 32)
        "moved": images.roll((8, 8), (2, 3)),
        "background": images[:, :, :1, :1].expand_as(images),
    }


def unreadable_glyphs(samples: int) -> dict[str, Tensor]:
    """Pictures that show no character, `(samples, 1, 32, 32)` each, by name: blank, noise, mean of eight, shuffled."""
    images, _ = glyph_test(samples)
    draw = generator(0)
    order = draw_uniform((images[0, 0].numel(),), draw).argsort()
    return {
        "blank": torch.full_like(images, -1),
        "noise": draw_normal(images.shape, draw).clamp(-1, 1),
        "mean": torch.stack([images.roll(shift, 0) for shift in range(8)]).mean(0),
        "shuffled": images.flatten(2)[:, :, order].view_as(images),  # (samples, 1, 1024) -> (samples, 1, 32, 32)
    }


def readable_share(judge: SceneJudge | GlyphJudge, images: Tensor) -> float:
    """Share of the pictures that the judge calls readable."""
    return (judge.confidence(images) >= READABLE).double().mean().item()


def on_cpu(reading: SceneReading) -> SceneReading:
    """The same reading on the CPU, where the records are."""
    return SceneReading(*(values.cpu() for values in reading))


def _scene_player(judge: nn.Module) -> Player:
    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        images, targets = scene_lesson(batch)
        return judge.loss(images, targets, pixel_weight=4.0), {}

    return Player("judge", judge, objective, learning_rate=3e-3, weight_decay=0.01)


def _glyph_player(judge: nn.Module) -> Player:
    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        images, targets = glyph_lesson(batch["image"], batch["merged"], judge.config.num_classes)
        return judge.loss(images, targets), {}

    return Player("judge", judge, objective, learning_rate=3e-3, weight_decay=0.01)


def _scene_scores(reading: SceneReading, label_map: Tensor, records: SceneRecords, truth: Tensor) -> dict[str, float]:
    """Metrics of one split from what was read and what is there."""
    pixels = count_pairs(truth, label_map, len(SHAPES) + 1)
    shares = {"pixels": (pixels.diag().sum() / pixels.sum()).item(), "mean_iou": mean_iou(pixels)}
    return scene_accuracy(reading, records) | shares


def _scene_metrics(judge: nn.Module, samples: int) -> dict[str, float]:
    metrics = {}
    for split, prefix in SCENE_SPLITS.items():
        images, records, truth = scene_test(split, samples)
        scores = _scene_scores(on_cpu(judge.read(images)), judge.segment(images).cpu(), records, truth)
        scores["readable"] = readable_share(judge, images)
        metrics |= {prefix + name: value for name, value in scores.items()}
    nothing = [readable_share(judge, images) for images in unreadable_scenes(min(samples, 500)).values()]
    return metrics | {"nonsense_readable": max(nothing)}


def _scene_chance(samples: int) -> dict[str, float]:
    """What one gets who names the most frequent answer to each question, measured on the same scenes."""
    metrics = {}
    for split, prefix in SCENE_SPLITS.items():
        _, records, truth = scene_test(split, samples)
        there = records.present
        place = torch.ones_like(records.shape)
        present = there.double().mean() >= 0.5
        guesses = (values[there].mode().values * place for values in (records.shape, records.color, records.size))
        background = records.background.mode().values.expand(samples)
        blind = SceneReading(*guesses, background, torch.zeros(samples))
        empty = SceneReading(-place, -place, -place, background, torch.zeros(samples))
        scores = _scene_scores(blind, torch.zeros_like(truth), records, truth)
        scores["presence"] = scene_accuracy(blind if present else empty, records)["presence"]
        metrics |= {prefix + name: value for name, value in scores.items()}
    return metrics


def _scene_ceiling(samples: int) -> dict[str, float]:
    """What one gets who reads the records themselves."""
    metrics = {}
    for split, prefix in SCENE_SPLITS.items():
        _, records, truth = scene_test(split, samples)
        known = SceneReading(records.shape, records.color, records.size, records.background, torch.ones(samples))
        metrics |= {prefix + name: value for name, value in _scene_scores(known, truth, records, truth).items()}
    return metrics


def _glyph_metrics(judge: nn.Module, samples: int) -> dict[str, float]:
    images, labels = glyph_test(samples)
    nothing = [readable_share(judge, pictures) for pictures in unreadable_glyphs(min(samples, 500)).values()]
    return {
        "accuracy": (judge.read(images).cpu() == labels).double().mean().item(),
        "worst_class": _worst_class(judge.read(images).cpu(), labels),
        "readable": readable_share(judge, images),
        "nonsense_readable": max(nothing),
    }


def _worst_class(found: Tensor, labels: Tensor) -> float:
    """The accuracy of the character that is read worst."""
    counts = count_pairs(labels, found, len(class_names()))
    return (counts.diag() / counts.sum(1))[counts.sum(1) > 0].min().item()


def _glyph_chance(samples: int) -> dict[str, float]:
    _, labels = glyph_test(samples)
    guess = labels.mode().values.expand(samples)
    return {"accuracy": (labels == guess).double().mean().item(), "worst_class": _worst_class(guess, labels)}


def _glyph_ceiling(samples: int) -> dict[str, float]:
    _, labels = glyph_test(samples)
    return {"accuracy": (labels == labels).double().mean().item(), "worst_class": _worst_class(labels, labels)}


SCENE_JUDGE = Recipe(
    name="scene-judge",
    chapter="01_autoencoders",
    notebook="01_autoencoders/02_vae",
    system="scene judge",
    paper="mixup, Zhang et al., ICLR 2018; feature pyramids, Lin et al., CVPR 2017",
    data="scenes",
    model=lambda: SceneJudge(SceneJudgeConfig()),
    players=_scene_player,
    loader=lambda: loader(Scenes("train", fields=("image", "record", "label_map", "masks")), 128),
    steps={"smoke": 3, "cpu": 1300, "gpu": 5000},
    metrics=_scene_metrics,
    targets={
        **{prefix + name: Target(at_least=0.99) for prefix in SCENE_SPLITS.values() for name in SCENE_METRICS},
        "mean_iou": Target(at_least=0.95),
        "compositional_mean_iou": Target(at_least=0.95),
        "nonsense_readable": Target(at_most=0.01),
    },
    samples=5000,
    quick_samples=256,
    chance=_scene_chance,
    ceiling=_scene_ceiling,
    minutes=8,
    about=(
        "Reads shape, colour and size at each place, the background, and the label of every pixel. It never saw "
        "the pairs of shape and colour of the compositional split, but shapes in colours without a name."
    ),
)

GLYPH_JUDGE = Recipe(
    name="glyph-judge",
    chapter="01_autoencoders",
    notebook="01_autoencoders/02_vae",
    system="glyph judge",
    paper="mixup, Zhang et al., ICLR 2018",
    data="glyphs",
    model=lambda: GlyphJudge(GlyphJudgeConfig()),
    players=_glyph_player,
    loader=lambda: loader(Glyphs("train", fields=("image", "merged")), 128),
    steps={"smoke": 3, "cpu": 2000, "gpu": 8000},
    metrics=_glyph_metrics,
    targets={"accuracy": Target(at_least=0.99), "nonsense_readable": Target(at_most=0.01)},
    samples=5000,
    quick_samples=512,
    chance=_glyph_chance,
    ceiling=_glyph_ceiling,
    minutes=4,
    about="Reads the characters 0-9, A-Z and a-z in all 21 text fonts; capital I and small l are one class.",
)

RECIPES: tuple[Recipe, ...] = (SCENE_JUDGE, GLYPH_JUDGE)
"""The judges: `course train scene-judge`, `course train glyph-judge`."""
