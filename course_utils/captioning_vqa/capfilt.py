"""CapFilt: a captioner and a filter clean a set of web pictures, and so better their own teachers.

Texts that stand beside pictures on the web often do not describe them. From a model trained on few good pairs, two are made:

    captioner   writes a text of its own about each picture, drawn from the nucleus, for variety
    filter      reads picture and text together and throws out what does not match, of the web's texts and of the captioner's

    bootstrapped set = { (picture, web text) kept }  and  { (picture, own text) kept }  and  the good pairs

Here the web is rendered: captions of scenes, damaged in known ways. So it can be counted what the filter finds.

Paper: Li, Li, Xiong & Hoi, "BLIP", ICML 2022, sections 3.3 and 4.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils.captioning_vqa.blip import BLIP
from course_utils.data.draws import Draws, keys
from course_utils.data.scenes import COLORS, Caption, SceneRecords, captions
from course_utils.data.scenes.facts import own_truth

WELL, COLOR, PICTURE, VAGUE, OTHER = DAMAGES = ("none", "wrong color", "wrong picture", "vague", "other text")
STREAM = 200  # keys of these draws are not those of captions and questions
VAGUE_TEXTS = (
    "A picture.",
    "Some shapes on a background.",
    "A nice drawing with many colors.",
    "There is something in this picture.",
    "Just a few simple forms.",
)
OTHER_TEXTS = (
    "Click here to see more.",
    "Free shipping on all orders today.",
    "Sign up for our newsletter.",
    "Copyright, all rights reserved.",
    "Read the full story below.",
)


class WebText(NamedTuple):
    """A text beside a picture, as it is found."""

    text: str
    damage: str  # one of DAMAGES
    true: bool  # it states something about the scene, and that holds


def web_texts(
    scenes: SceneRecords, seed: int = 0, levels: Sequence[str] = ("full", "places", "objects"), share: float = 0.5
) -> list[WebText]:
    """A text for each scene, this share of them damaged, in each of the four ways equally often.

    A wrong colour is that of one object, a wrong picture's caption is that of the next scene: by chance it may be true.

    Args:
        scenes: records on the CPU, (batch,).
        seed: another seed chooses other texts and damages. They depend on the scene, the seed and, for a wrong picture, on the next scene.
        levels: of captions, from which one is drawn. Those by default name the colour of every object.

    Raises:
        ValueError: a share outside of [0, 1], or an unknown level.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}, but a share of the texts lies between 0 and 1")
    draws = Draws(keys(scenes.texture, seed, STREAM))
    damaged = draws.integers(1_000_000)[:, 0] < share * 1_000_000
    way = (1 + draws.integers(len(DAMAGES) - 1)[:, 0]).where(damaged, 0).tolist()
    which = draws.integers(len(levels))[:, 0].tolist()
    words = draws.integers(len(VAGUE_TEXTS))[:, 0].tolist()

    own, repainted = captions(scenes, seed, levels), captions(recolored(scenes, draws), seed, levels)
    found: list[Caption] = []
    for number, damage in enumerate(way):
        choices = {
            WELL: own[number][which[number]],
            COLOR: repainted[number][which[number]],
            PICTURE: own[(number + 1) % len(own)][which[number]],
            VAGUE: Caption(VAGUE_TEXTS[words[number]], ()),
            OTHER: Caption(OTHER_TEXTS[words[number]], ()),
        }
        found.append(choices[DAMAGES[damage]])
    true = own_truth([caption.facts for caption in found], scenes).tolist()
    return [
        WebText(caption.text, DAMAGES[damage], bool(caption.facts) and holds)
        for caption, damage, holds in zip(found, way, true, strict=True)
    ]


def recolored(scenes: SceneRecords, draws: Draws) -> SceneRecords:
    """The scenes with another colour for one object of each, drawn anew."""
    order = draws.integers(2**31, 4).masked_fill(~scenes.present, -1)
    place = order.argmax(dim=1, keepdim=True)
    other = (scenes.color.gather(1, place) + 1 + draws.integers(len(COLORS) - 1)) % len(COLORS)
    return replace(scenes, color=scenes.color.scatter(1, place, other))


@torch.inference_mode()
def match_probabilities(model: BLIP, images: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
    """p("yes") of the filter that each text belongs to its picture, (batch,). Arguments as for `BLIP`."""
    return model.match(model.image_encoder(images), input_ids, attention_mask).float().softmax(dim=1)[:, 1]


def bootstrap(
    web: Sequence[str], own: Sequence[str], web_scores: Tensor, own_scores: Tensor, threshold: float = 0.5
) -> list[tuple[int, str]]:
    """The cleaned set: numbers of pictures and their texts, of the web and of the captioner, that the filter lets through.

    Args:
        web, own: for each picture the text found beside it and that of the captioner.
        web_scores, own_scores: (pictures,) of the filter; what is above the threshold is kept.

    Raises:
        ValueError: if there are not as many of each.
    """
    if not len(web) == len(own) == len(web_scores) == len(own_scores):
        sizes = len(web), len(own), len(web_scores), len(own_scores)
        raise ValueError(f"each picture has two texts and two scores, got {sizes}")
    both = ((web, web_scores), (own, own_scores))
    return [
        (number, text)
        for texts, scores in both
        for number, (text, kept) in enumerate(zip(texts, (scores > threshold).tolist(), strict=True))
        if kept
    ]


def precision_recall(kept: Tensor, good: Tensor) -> tuple[float, float]:
    """Which share of the kept is good, and which share of the good is kept; both (texts,) bool. A share of nothing is 1."""
    right = int((kept & good).sum())
    return (
        right / int(kept.sum()) if kept.any() else 1.0,
        right / int(good.sum()) if good.any() else 1.0,
    )
