"""How the judges are trained, and how they are judged themselves."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from course_utils.data import Faces, Glyphs, Scenes, loader
from course_utils.data.faces.records import ATTRIBUTES, FaceRecords
from course_utils.data.glyphs import class_names
from course_utils.data.scenes.records import SHAPES, SceneRecords
from course_utils.layers import draw_normal, draw_uniform
from course_utils.metrics.judges import (
    READABLE,
    FaceJudge,
    FaceJudgeConfig,
    GlyphJudge,
    GlyphJudgeConfig,
    SceneJudge,
    SceneJudgeConfig,
)
from course_utils.metrics.readings import (
    FaceReading,
    SceneReading,
    SceneTargets,
    count_pairs,
    face_accuracy,
    face_confusion,
    mean_iou,
    scene_accuracy,
    scene_confusion,
)
from course_utils.metrics.training_pictures import face_lesson, glyph_lesson, photo_lesson, scene_lesson
from course_utils.runtime import generator
from course_utils.training import Player, Recipe, Target

SCENE_SPLITS = {"test": "", "compositional": "compositional_"}
"""Splits that the scene judge is measured on, and what their metrics' names begin with."""

Reading = TypeVar("Reading", SceneReading, FaceReading)

SCENE_METRICS = ("presence", "shape", "color", "size", "background", "wholly_right", "pixels")


def scene_test(split: str, samples: int, style: str = "flat") -> tuple[Tensor, SceneRecords, Tensor]:
    """Held-out scenes in a style: pictures `(samples, 3, 32, 32)`, records, label maps `(samples, 32, 32)`."""
    batch = Scenes(split, style=style, length=samples, fields=("image", "record", "label_map"))[range(samples)]
    return batch["image"], SceneRecords.from_dict(batch), batch["label_map"]


def glyph_test(samples: int) -> tuple[Tensor, Tensor]:
    """Held-out characters: pictures `(samples, 1, 32, 32)` and merged labels `(samples,)`."""
    batch = Glyphs("test", length=samples, fields=("image", "merged")).__getitems__(range(samples))
    return batch["image"], batch["merged"]


def face_test(samples: int) -> tuple[Tensor, FaceRecords]:
    """Held-out faces: pictures `(samples, 3, 32, 32)` and records."""
    batch = Faces("test", length=samples)[range(samples)]
    return batch["image"], FaceRecords.from_dict(batch)


def confusion(
    judge: SceneJudge | GlyphJudge | FaceJudge, samples: int = 2000, split: str = "test", style: str = "flat"
) -> dict[str, Tensor]:
    """Confusion matrices of a judge on held-out pictures, int64 counts, a row for each truth.

    Args:
        judge: in evaluation mode.
        samples: held-out pictures.
        split: of scenes; glyphs and faces have `test` only.
        style: of the scenes: the one that the judge was trained on.

    Returns:
        of a scene judge `shape (7, 7)` and `pixels (7, 7)` with 0 for none, `color (8, 8)`, `size (2, 2)`,
        `background (6, 6)`; of a glyph judge `character (62, 62)`; of a face judge one an attribute.

    Raises:
        ValueError: another split of glyphs or faces.
    """
    if split != "test" and not isinstance(judge, SceneJudge):
        raise ValueError(f"{type(judge).__name__} is measured on the split test, not on {split!r}")
    if isinstance(judge, FaceJudge):
        images, faces = face_test(samples)
        return face_confusion(on_cpu(judge.read(images)), faces)
    if isinstance(judge, GlyphJudge):
        images, labels = glyph_test(samples)
        return {"character": count_pairs(labels, judge.read(images).cpu(), judge.config.num_classes)}
    images, records, label_map = scene_test(split, samples, style)
    pixels = count_pairs(label_map, judge.segment(images).cpu(), len(SHAPES) + 1)
    return {**scene_confusion(on_cpu(judge.read(images)), records), "pixels": pixels}


def unreadable_scenes(samples: int, style: str = "flat") -> dict[str, Tensor]:
    """Pictures that show no scene, `(samples, 3, 32, 32)` each, by name: a judge must not be sure of any.

    `gray` and `noise`; `mean` of eight scenes; `shuffled` pixels of a scene; scenes moved by half a place (`moved`);
    a `background` without an object.
    """
    images, _, _ = scene_test("test", samples, style)
    return _spoiled(images) | {
        "gray": torch.zeros_like(images),
        "moved": images.roll((8, 8), (2, 3)),
        "background": images[:, :, :1, :1].expand_as(images),
    }


def unreadable_glyphs(samples: int) -> dict[str, Tensor]:
    """Pictures that show no character, `(samples, 1, 32, 32)` each, by name: blank, noise, mean of eight, shuffled."""
    images, _ = glyph_test(samples)
    return _spoiled(images) | {"blank": torch.full_like(images, -1)}


def unreadable_faces(samples: int) -> dict[str, Tensor]:
    """Pictures that show no face, `(samples, 3, 32, 32)` each, by name: a judge must not be sure of any.

    `gray` and `noise`; `mean` of eight faces; `shuffled` pixels of a face; faces moved by half a picture (`moved`) and
    `upside_down`; a `background` without a face.
    """
    images, _ = face_test(samples)
    return _spoiled(images) | {
        "gray": torch.zeros_like(images),
        "moved": images.roll((16, 16), (2, 3)),
        "upside_down": images.flip(2),
        "background": images[:, :, :1, :1].expand_as(images),
    }


def _spoiled(images: Tensor) -> dict[str, Tensor]:
    """Noise, means of eight pictures, and pictures whose pixels are shuffled, all alike."""
    draw = generator(0)
    order = draw_uniform((images[0, 0].numel(),), draw).argsort()
    return {
        "noise": draw_normal(images.shape, draw).clamp(-1, 1),
        "mean": torch.stack([images.roll(shift, 0) for shift in range(8)]).mean(0),
        "shuffled": images.flatten(2)[:, :, order].view_as(images),  # (samples, c, 1024) -> (samples, c, 32, 32)
    }


def readable_share(judge: SceneJudge | GlyphJudge | FaceJudge, images: Tensor) -> float:
    """Share of the pictures that the judge calls readable."""
    return (judge.confidence(images) >= READABLE).double().mean().item()


def on_cpu(reading: Reading) -> Reading:
    """The same reading on the CPU, where the records are."""
    return type(reading)(*(values.cpu() for values in reading))


def _scene_player(judge: nn.Module, lesson: Callable[[dict], tuple[Tensor, SceneTargets]] = scene_lesson) -> Player:
    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        images, targets = lesson(batch)
        return judge.loss(images, targets, pixel_weight=4.0), {}

    return Player("judge", judge, objective, learning_rate=3e-3, weight_decay=0.01)


def _glyph_player(judge: nn.Module) -> Player:
    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        images, targets = glyph_lesson(batch["image"], batch["merged"], judge.config.num_classes)
        return judge.loss(images, targets), {}

    return Player("judge", judge, objective, learning_rate=3e-3, weight_decay=0.01)


def _face_player(judge: nn.Module) -> Player:
    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        return judge.loss(*face_lesson(batch)), {}

    return Player("judge", judge, objective, learning_rate=3e-3, weight_decay=0.01)


def _scene_scores(reading: SceneReading, label_map: Tensor, records: SceneRecords, truth: Tensor) -> dict[str, float]:
    """Metrics of one split from what was read and what is there."""
    pixels = count_pairs(truth, label_map, len(SHAPES) + 1)
    shares = {"pixels": (pixels.diag().sum() / pixels.sum()).item(), "mean_iou": mean_iou(pixels)}
    return scene_accuracy(reading, records) | shares


def _scene_metrics(judge: nn.Module, samples: int, style: str = "flat") -> dict[str, float]:
    metrics = {}
    for split, prefix in SCENE_SPLITS.items():
        images, records, truth = scene_test(split, samples, style)
        scores = _scene_scores(on_cpu(judge.read(images)), judge.segment(images).cpu(), records, truth)
        scores["readable"] = readable_share(judge, images)
        metrics |= {prefix + name: value for name, value in scores.items()}
    nothing = [readable_share(judge, images) for images in unreadable_scenes(min(samples, 500), style).values()]
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


def _face_metrics(judge: nn.Module, samples: int) -> dict[str, float]:
    images, records = face_test(samples)
    nothing = [readable_share(judge, pictures) for pictures in unreadable_faces(min(samples, 500)).values()]
    return face_accuracy(on_cpu(judge.read(images)), records) | {
        "readable": readable_share(judge, images),
        "nonsense_readable": max(nothing),
    }


def _face_chance(samples: int) -> dict[str, float]:
    """What one gets who names the most frequent word of each attribute, measured on the same faces."""
    _, records = face_test(samples)
    guesses = [getattr(records, name).mode().values.expand(samples) for name in ATTRIBUTES]
    return face_accuracy(FaceReading(*guesses, torch.zeros(samples)), records)


def _face_ceiling(samples: int) -> dict[str, float]:
    """What one gets who reads the records themselves."""
    _, records = face_test(samples)
    return face_accuracy(FaceReading(*(getattr(records, name) for name in ATTRIBUTES), torch.ones(samples)), records)


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

FACE_JUDGE = Recipe(
    name="face-judge",
    chapter="02_gans",
    notebook="02_gans/02_dcgan",
    system="face judge",
    paper="mixup, Zhang et al., ICLR 2018",
    data="faces",
    model=lambda: FaceJudge(FaceJudgeConfig()),
    players=_face_player,
    loader=lambda: loader(Faces("train"), 128),
    steps={"smoke": 3, "cpu": 2000, "gpu": 8000},
    metrics=_face_metrics,
    targets={
        **{name: Target(at_least=0.99) for name in ATTRIBUTES},
        "nonsense_readable": Target(at_most=0.01),
    },
    samples=5000,
    quick_samples=512,
    chance=_face_chance,
    ceiling=_face_ceiling,
    minutes=4,
    about="Reads smile, glasses, hat, hair colour and length, skin, beard, pose and background of a face.",
)

PHOTO_JUDGE = Recipe(
    name="photo-judge",
    chapter="03_translation",
    notebook="03_translation/01_pix2pix",
    system="scene judge",
    paper="mixup, Zhang et al., ICLR 2018; feature pyramids, Lin et al., CVPR 2017",
    data="scenes, style photo",
    model=lambda: SceneJudge(SceneJudgeConfig()),
    players=partial(_scene_player, lesson=photo_lesson),
    loader=lambda: loader(Scenes("train", style="photo", fields=("image", "record", "label_map")), 128),
    steps={"smoke": 3, "cpu": 1300, "gpu": 5000},
    metrics=partial(_scene_metrics, style="photo"),
    targets={
        **{name: Target(at_least=0.98) for name in SCENE_METRICS},
        "mean_iou": Target(at_least=0.93),
        "nonsense_readable": Target(at_most=0.02),
    },
    samples=5000,
    quick_samples=256,
    chance=_scene_chance,
    ceiling=_scene_ceiling,
    minutes=8,
    about=(
        "Reads photos of scenes as `scene-judge` reads flat pictures, and segments what a translator draws. A third of its "
        "lessons have colours mixed anew, so that it knows a shape in any colour."
    ),
)

RECIPES: tuple[Recipe, ...] = (SCENE_JUDGE, GLYPH_JUDGE, FACE_JUDGE, PHOTO_JUDGE)
"""The judges: `course train scene-judge`, and so on."""
