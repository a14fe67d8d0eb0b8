"""What chapter 05 trains to bring pictures and texts together: scenes with their captions, and the world's characters with their names."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_utils import runtime
from course_utils.clip.clip import BATCH, CLIP, CLIPConfig, embed_images
from course_utils.clip.zero_shot import classify, zero_shot_weights
from course_utils.data import Glyphs, Scenes, loader
from course_utils.data.glyphs import name
from course_utils.data.scenes import (
    COLORS,
    LEVELS,
    NUM_CLASSES,
    Caption,
    Pattern,
    SceneRecords,
    best_recall,
    captions,
    records,
    render,
    true_of,
)
from course_utils.data.scenes.captions import one
from course_utils.language.tokenizer import BytePairTokenizer, padded
from course_utils.layers import draw_integers, draw_uniform
from course_utils.metrics import median_rank, ranks, recall_at_k
from course_utils.training import Player, Recipe, Target

SIZE = 32
END = "<|endoftext|>"
SCENE_LENGTH, GLYPH_LENGTH = 64, 32  # tokens of the longest text
SCENE_VOCABULARY, GLYPH_VOCABULARY = 512, 1536
CAPTIONED = 1000  # scenes whose captions teach the tokenizer
FULL = 0.5  # share of the training captions that are of the level "full"; the others are of any
PARTIAL = tuple(level for level in LEVELS if level != "full")
PROMPTS = ("only {}", "there is {}")  # of a zero-shot class
GALLERY = 2000  # scenes that `course search` looks among


def _config(in_channels: int, vocab_size: int, max_positions: int) -> CLIPConfig:
    """A small residual network, since half an hour of two cores is short for a vision transformer, and a text transformer of two layers."""
    return CLIPConfig(
        in_channels=in_channels, image_size=SIZE, patch_size=0, image_width=48, image_depth=0, image_heads=8, image_hidden=0, image_blocks=(1, 1),
        vocab_size=vocab_size, max_positions=max_positions, text_width=128, text_depth=2, text_heads=4, text_hidden=512, end_token_id=vocab_size - 1,
        dim=128, activation="gelu",
    )  # fmt: skip


SCENES_CLIP = _config(3, SCENE_VOCABULARY, SCENE_LENGTH)
GLYPHS_CLIP = _config(1, GLYPH_VOCABULARY, GLYPH_LENGTH)


# --- texts ------------------------------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """Small letters, and no full stop at the end: what one types into a search box."""
    return text.lower().rstrip(". ")


@functools.cache
def scene_tokenizer() -> BytePairTokenizer:
    """In which each word of the captions is a token; another word is a few pieces."""
    scenes = captions(records("train", range(CAPTIONED)))
    texts = [plain(caption.text) for few in scenes for caption in few]
    return BytePairTokenizer.train(texts, SCENE_VOCABULARY, [END])


@functools.cache
def glyph_tokenizer() -> BytePairTokenizer:
    """Learned on the names of the characters in the training split."""
    codepoints = Glyphs("train", SIZE, "all").codepoint.unique().tolist()
    return BytePairTokenizer.train([plain(name(codepoint)) for codepoint in codepoints], GLYPH_VOCABULARY, [END])


def text_ids(texts: Sequence[str], tokenizer: BytePairTokenizer, length: int, end: int) -> Tensor:
    """Ids (texts, length) int64, each text ended by the token `end`, which also fills the rest. A text that is too long is cut."""
    rows = [[*tokenizer.encode(plain(text))[: length - 1], end] for text in texts]
    return padded(rows, end, length=length)[0]


def trimmed(input_ids: Tensor, end_token_id: int) -> Tensor:
    """Ids (batch, n) without the columns that hold nothing but padding."""
    return input_ids[:, : int((input_ids != end_token_id).sum(1).max()) + 1]


def scene_ids(texts: Sequence[str]) -> Tensor:
    """What `clip-scenes` reads of texts, (texts, 64) int64."""
    return text_ids(texts, scene_tokenizer(), SCENE_LENGTH, SCENES_CLIP.end_token_id)


def glyph_ids(texts: Sequence[str]) -> Tensor:
    """What `clip-glyphs` reads of texts, (texts, 32) int64."""
    return text_ids(texts, glyph_tokenizer(), GLYPH_LENGTH, GLYPHS_CLIP.end_token_id)


# --- training ---------------------------------------------------------------------------------------------------------


class CaptionedScenes(Dataset):
    """Scenes with a caption of each level: batches hold `image` (batch, 3, 32, 32) and `input_ids` (batch, levels, 64)."""

    def __init__(self, split: str = "train", length: int | None = None):
        self.scenes = Scenes(split, SIZE, length=length, fields=("image", "captions"))

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        batch = self.scenes[indices]
        ids = scene_ids([text for few in batch["captions"] for text in few])
        return {"image": batch["image"], "input_ids": ids.unflatten(0, (len(indices), len(LEVELS)))}


class NamedGlyphs(Dataset):
    """Characters with their names: batches hold `image` (batch, 1, 32, 32) and `input_ids` (batch, 1, 32)."""

    def __init__(self, split: str = "train"):
        self.glyphs = Glyphs(split, SIZE, "all", fields=("image", "caption"))

    def __len__(self) -> int:
        return len(self.glyphs)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        batch = self.glyphs.__getitems__(indices)
        return {"image": batch["image"], "input_ids": glyph_ids(batch["caption"])[:, None]}


def one_each(texts: Tensor, full: float) -> tuple[Tensor, Tensor]:
    """Picks one of its texts (batch, texts, ...) for each picture, as an index: the first in a share `full` of the cases, else any."""
    count, device = len(texts), texts.device
    chosen = torch.randint(texts.shape[1], (count,), device=device)
    return torch.arange(count, device=device), chosen.masked_fill(torch.rand(count, device=device) < full, 0)


def caption_player(model: CLIP, learning_rate: float = 1e-3, full: float = FULL) -> Player:
    """A CLIP that learns from `image` and `input_ids` (batch, texts, n), of which each picture gets one at a time.

    Args:
        full: share of the pictures that get the first of their texts; the others get any.
    """

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        texts = batch["input_ids"]
        ids = trimmed(texts[one_each(texts, full)], model.config.end_token_id)
        return model.loss(batch["image"], ids), {"scale": model.logit_scale.detach()}

    return Player("clip", model, objective, learning_rate=learning_rate, betas=(0.9, 0.98), weight_decay=0.1)


# --- measuring --------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def embed_texts(model: CLIP, input_ids: Tensor) -> Tensor:
    """Unit vectors (texts, dim) on the CPU."""
    device = next(model.parameters()).device
    ids = trimmed(input_ids, model.config.end_token_id)
    return torch.cat([model.encode_text(part.to(device)).cpu() for part in ids.split(BATCH)])


def embed_pictures(model: CLIP, images: Tensor) -> Tensor:
    """Unit vectors (pictures, dim) on the CPU."""
    return embed_images(model, lambda part: images[part.start : part.stop], len(images))


def written(scenes: SceneRecords, level: str) -> list[Caption]:
    """A caption of that level for each scene."""
    return [few[0] for few in captions(scenes, levels=(level,))]


def _texts(statements: Sequence[Caption]) -> list[str]:
    return [caption.text for caption in statements]


def _facts(statements: Sequence[Caption]) -> list[tuple]:
    return [caption.facts for caption in statements]


def _recalls(compare: Callable[[str], Tensor], scenes: SceneRecords) -> dict[str, float]:
    """The measures of search among scenes, by which each kind of caption is searched with.

    Args:
        compare: level of captions -> similarities (captions, scenes).
    """
    table = compare("full")
    found = ranks(table)
    statements = _facts(written(scenes, "full"))
    partial = [recall_at_k(ranks(compare(level)), min(10, len(scenes))) for level in PARTIAL]
    return {
        "recall_at_1": recall_at_k(found, 1),
        "recall_at_5": recall_at_k(found, 5),
        "share_of_ceiling": recall_at_k(found, 1) / best_recall(statements, scenes),
        "caption_recall_at_1": recall_at_k(ranks(table.T, true_of(statements, scenes).T), 1),
        "partial_recall_at_10": sum(partial) / len(partial),
    }


def class_prompts() -> list[str]:
    """All prompts of each class of single objects, class by class: "only a red circle", "there is a red circle", ..."""
    things = [one(Pattern(label // len(COLORS), label % len(COLORS))) for label in range(NUM_CLASSES)]
    return [prompt.format(thing) for thing in things for prompt in PROMPTS]


def zero_shot_accuracy(model: CLIP, split: str, samples: int) -> float:
    """Share of scenes of one object whose class, of 48, is that of the nearest prompts."""
    batch = Scenes(split, SIZE, fields=("image", "label"), objects=1)[range(samples)]
    prompts = embed_texts(model, scene_ids(class_prompts())).unflatten(0, (NUM_CLASSES, len(PROMPTS)))
    found = classify(embed_pictures(model, batch["image"]), zero_shot_weights(prompts))
    return (found == batch["label"]).double().mean().item()


def _scenes_metrics(model: CLIP, samples: int) -> dict[str, float]:
    scenes = records("test", range(samples))
    pictures = embed_pictures(model, render(scenes, SIZE))

    def compare(level: str) -> Tensor:
        return embed_texts(model, scene_ids(_texts(written(scenes, level)))) @ pictures.T

    return _recalls(compare, scenes) | {
        "zero_shot_accuracy": zero_shot_accuracy(model, "test", samples),
        "unseen_zero_shot_accuracy": zero_shot_accuracy(model, "compositional", samples),
    }


def _scenes_chance(samples: int) -> dict[str, float]:
    """Similarities that are drawn."""
    scenes, draw = records("test", range(samples)), runtime.generator(0)
    return _recalls(lambda level: draw_uniform((samples, samples), draw), scenes) | dict.fromkeys(
        ("zero_shot_accuracy", "unseen_zero_shot_accuracy"), 1 / NUM_CLASSES
    )


def _scenes_ceiling(samples: int) -> dict[str, float]:
    """A reader who knows which scenes each caption is true of and guesses among them. How a caption was chosen tells a little more."""
    scenes = records("test", range(samples))
    full = _facts(written(scenes, "full"))
    partial = [best_recall(_facts(written(scenes, level)), scenes, min(10, samples)) for level in PARTIAL]
    return {
        "recall_at_1": best_recall(full, scenes),
        "recall_at_5": best_recall(full, scenes, 5),
        "share_of_ceiling": 1.0,
        "caption_recall_at_1": 1.0,
        "partial_recall_at_10": sum(partial) / len(partial),
    }


def _held_out_names() -> tuple[list[str], Tensor]:
    """The names of all characters of the test split, and the group of each: what looks the same is the same answer."""
    glyphs = Glyphs("test", SIZE, "all")
    codepoints, where = glyphs.codepoint.sort(stable=True)
    first = torch.cat([torch.tensor([True]), codepoints.diff() > 0])  # a character comes once a font
    return [name(codepoint) for codepoint in codepoints[first].tolist()], glyphs.group[where[first]]


def _glyph_scores(table: Tensor, right: Tensor) -> dict[str, float]:
    """Measures of similarities (pictures, names), where `right` says which names are right."""
    found, asked = ranks(table, right), right.any(0)  # of few pictures not every name has one
    back = ranks(table.T[asked], right.T[asked])
    return {
        "name_recall_at_1": recall_at_k(found, 1),
        "name_recall_at_10": recall_at_k(found, 10),
        "name_median_rank": median_rank(found),
        "picture_recall_at_10": recall_at_k(back, 10),
    }


def right_names(samples: int) -> tuple[Tensor, list[str], Tensor]:
    """Held-out pictures, all held-out names, and which names are right for which picture."""
    names, groups = _held_out_names()
    batch = Glyphs("test", SIZE, "all", fields=("image", "group"), length=samples).__getitems__(range(samples))
    return batch["image"], names, batch["group"][:, None] == groups


def _glyphs_metrics(model: CLIP, samples: int) -> dict[str, float]:
    images, names, right = right_names(samples)
    return _glyph_scores(embed_pictures(model, images) @ embed_texts(model, glyph_ids(names)).T, right)


def _glyphs_chance(samples: int) -> dict[str, float]:
    """Similarities that are drawn."""
    right = right_names(samples)[2]
    return _glyph_scores(draw_uniform(right.shape, runtime.generator(0)), right)


# --- search -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Searchable:
    """How a recipe is searched with: what it reads of texts, and what there is to find where no folder is named.

    Attributes:
        ids: texts -> ids (texts, n) int64.
        gallery: -> pictures (count, channels, 32, 32) in [-1, 1] and the text of each.
    """

    ids: Callable[[Sequence[str]], Tensor]
    gallery: Callable[[], tuple[Tensor, list[str]]]


def _scene_gallery() -> tuple[Tensor, list[str]]:
    scenes = records("test", range(GALLERY))
    return render(scenes, SIZE), _texts(written(scenes, "full"))


def _glyph_gallery() -> tuple[Tensor, list[str]]:
    glyphs = Glyphs("test", SIZE, "all", fields=("image", "caption"))
    batch = glyphs.__getitems__(range(len(glyphs)))
    return batch["image"], batch["caption"]


SEARCHABLE = {
    "clip-scenes": Searchable(scene_ids, _scene_gallery),
    "clip-glyphs": Searchable(glyph_ids, _glyph_gallery),
}
"""Every recipe that `course search` takes."""


def _found_pictures(recipe: str) -> Callable[[CLIP, int, torch.Generator], Tensor]:
    """A sampler for tables: texts of the gallery are drawn, and for each the nearest picture is shown."""

    def sample(model: CLIP, count: int, generator: torch.Generator) -> Tensor:
        images, texts = SEARCHABLE[recipe].gallery()
        drawn = draw_integers(0, len(texts), (count,), generator).tolist()
        queries = embed_texts(model, SEARCHABLE[recipe].ids([texts[number] for number in drawn]))
        return images[(queries @ embed_pictures(model, images).T).argmax(1)]

    return sample


def _clip(**settings) -> Recipe:
    """What both recipes share."""
    return Recipe(
        chapter="05_clip",
        notebook="05_clip/02_clip",
        system="CLIP",
        paper="Radford et al., ICML 2021",
        players=caption_player,
        quick_samples=256,
        **settings,
    )


CLIP_SCENES = _clip(
    name="clip-scenes",
    data="scenes with captions",
    model=lambda: CLIP(SCENES_CLIP),
    loader=lambda: loader(CaptionedScenes(), 256),
    steps={"smoke": 3, "cpu": 2_000, "gpu": 20_000},
    metrics=_scenes_metrics,
    targets={"share_of_ceiling": Target(at_least=0.97)},
    samples=1000,
    chance=_scenes_chance,
    ceiling=_scenes_ceiling,
    sample=_found_pictures("clip-scenes"),
    minutes=60,
    about="Captions of all levels, half of them full ones. `recall_at_1` and `_at_5`: each full caption looks for its own scene among all; "
    "`caption_recall_at_1`: each scene for a caption that is true of it. The ceiling is that of a reader who knows of which scenes a caption is "
    "true, and nothing of how captions are chosen; a network can learn a little of that, and then finds more. `partial_recall_at_10` is a mean over "
    "the other five levels. Zero-shot: one object, 48 classes by their prompts; unseen are pairs of shape and colour that no training scene has.",
)

CLIP_GLYPHS = _clip(
    name="clip-glyphs",
    data="glyphs with their Unicode names",
    model=lambda: CLIP(GLYPHS_CLIP),
    loader=lambda: loader(NamedGlyphs(), 256),
    steps={"smoke": 3, "cpu": 2_000, "gpu": 20_000},
    metrics=_glyphs_metrics,
    targets={"name_recall_at_10": Target(at_least=0.8)},
    samples=1442,
    chance=_glyphs_chance,
    sample=_found_pictures("clip-glyphs"),
    minutes=30,
    about="Characters of four fonts, of which no outline was seen in training, look for their names among those of all held-out characters; "
    "what has the same outline counts as right. There is no ceiling: a name says more than can be seen, and how much more nobody has measured.",
)

RECIPES: tuple[Recipe, ...] = (CLIP_SCENES, CLIP_GLYPHS)
"""`course train clip-scenes`, and so on."""
