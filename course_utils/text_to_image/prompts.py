"""Prompts whose truth is known, and how far pictures follow them.

Prompts are captions of held-out scenes. The scene judge reads the drawn picture, and what it reads is compared with the scene behind the prompt, in
the categories of GenEval (Ghosh, Hajishirzi & Schmidt, NeurIPS 2023), which asks a detector the same of photographs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import runtime
from course_utils.clip.recipes import CLIP_SCENES, embed_pictures, embed_texts, scene_ids, written
from course_utils.data.scenes import SHAPES, Caption, SceneRecords, records, true_of
from course_utils.layers import draw_integers
from course_utils.metrics import scene_agreement
from course_utils.metrics.recipes import SCENE_JUDGE, on_cpu
from course_utils.training import load

BOOTSTRAPS = 1000


class Prompts(NamedTuple):
    """Prompts and the scenes that they describe."""

    captions: list[Caption]
    records: SceneRecords

    @property
    def texts(self) -> list[str]:
        return [caption.text for caption in self.captions]


def prompts(split: str, samples: int, level: str = "full", objects: int | None = None, start: int = 0) -> Prompts:
    """Captions of the scenes of a split, from number `start` on.

    Args:
        split: one of `scenes.SPLITS`; `compositional` has pairs of shape and colour that training never shows.
        level: of the captions, one of `scenes.LEVELS`.
        objects: in each scene; None for 1 to 4.
    """
    scenes = records(split, range(start, start + samples), objects=objects)
    return Prompts(written(scenes, level), scenes)


@torch.inference_mode()
def read(images: Tensor) -> SceneRecords:
    """What the scene judge sees in pictures (batch, 3, 32, 32) in [-1, 1], as records."""
    return on_cpu(load(SCENE_JUDGE).read(images)).records()


def verdicts(images: Tensor, asked: Prompts) -> dict[str, Tensor]:
    """Picture by picture, what is right of it.

    Returns:
        float64 tensors (batch,), in [0, 1], NaN where a question does not arise:
        `single_object`: of one-object prompts, whether its shape is in the picture;
        `two_objects`: of two-object prompts, whether both shapes are;
        `counting`: whether the number of objects is right;
        `color`: of one-object prompts, whether the object has its colour;
        `position`: share of the four places that hold the shape asked for, or nothing where nothing was asked for;
        `attribute_binding`: of prompts with several objects, share of the objects with their own shape, colour and size;
        `attributes`: share of shape, colour and size over all objects, each at its place;
        `background`: whether it is right;
        `all_right`: whether every fact that the prompt states holds, with no object too many where it says how many there are.

    Raises:
        ValueError: not as many pictures as prompts.
    """
    if len(images) != len(asked.captions):
        raise ValueError(f"there are {len(images)} pictures for {len(asked.captions)} prompts: one each is needed")
    scenes = asked.records
    reading = on_cpu(load(SCENE_JUDGE).read(images))
    right = scene_agreement(reading, scenes)
    seen, there, count = reading.records(), scenes.present, scenes.count
    # (batch, 4) -> how many of each shape there are, (batch, shapes)
    found, wanted = (F.one_hot(these.shape + 1, len(SHAPES) + 1)[..., 1:].sum(1) for these in (seen, scenes))
    shapes = (found >= wanted).all(1).double()
    nothing = torch.full((len(images),), torch.nan, dtype=torch.float64)
    per_object = (right["shape"] & right["color"] & right["size"]).sum(1) / count
    attributes = (right["shape"].sum(1) + right["color"].sum(1) + right["size"].sum(1)) / (3 * count)
    places = (right["shape"] | (~there & right["presence"])).double().mean(1)
    color = (seen.color == scenes.color.max(dim=1, keepdim=True).values).any(1)
    return {
        "single_object": shapes.where(count == 1, nothing),
        "two_objects": shapes.where(count == 2, nothing),
        "counting": (seen.count == count).double(),
        "color": color.double().where(count == 1, nothing),
        "position": places,
        "attribute_binding": per_object.double().where(count > 1, nothing),
        "attributes": attributes.double(),
        "background": right["background"].double(),
        "all_right": told_truly(images, asked.captions, seen).double(),
    }


def told_truly(images: Tensor, statements: Sequence[Caption], seen: SceneRecords | None = None) -> Tensor:
    """Whether all that each caption states is true of its picture, (batch,) bool.

    Args:
        images: (batch, 3, 32, 32) in [-1, 1].
        seen: what is read in them, if that is known already.
    """
    seen = read(images) if seen is None else seen
    return true_of([caption.facts for caption in statements], seen).diagonal()


def match(images: Tensor, asked: Prompts) -> dict[str, float]:
    """The means of `verdicts` over the pictures that each question is asked of; what is asked of none is left out."""
    return {
        name: values.nanmean().item() for name, values in verdicts(images, asked).items() if not values.isnan().all()
    }


def clip_score(images: Tensor, texts: Sequence[str]) -> Tensor:
    """Cosine between each picture (batch, 3, 32, 32) and its text, by `clip-scenes`: (batch,) in [-1, 1]."""
    model = load(CLIP_SCENES)
    return F.cosine_similarity(embed_pictures(model, images), embed_texts(model, scene_ids(texts)))


def prompt_scores(images: Tensor, asked: Prompts) -> dict[str, float]:
    """`match`, `all_right` of scenes of up to three objects and of four by themselves, and the mean `clip_score`."""
    right, count = verdicts(images, asked)["all_right"], asked.records.count
    return match(images, asked) | {
        "all_right_to_three": right[count < 4].mean().item(),
        "all_right_four": right[count == 4].mean().item(),
        "clip_score": clip_score(images, asked.texts).mean().item(),
    }


def interval(values: Tensor, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Bootstrap interval of the mean of `values` (batch,), NaN left out: where the means of redrawn sets lie with probability `level`.

    Raises:
        ValueError: there is no value.
    """
    values = values[~values.isnan()]
    if len(values) == 0:
        raise ValueError("an interval needs at least one value that is a number")
    drawn = draw_integers(0, len(values), (BOOTSTRAPS, len(values)), runtime.generator(seed))
    edges = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = values[drawn].double().mean(1).quantile(edges).tolist()
    return low, high
