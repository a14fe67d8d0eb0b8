"""What notebook 02_blip needs trained: a small BLIP that compares scenes with texts, reads both together, and writes. It sees by `clip-scenes`."""

import copy
import functools
from collections.abc import Sequence
from statistics import fmean
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from course_utils import runtime, scale
from course_utils.captioning_vqa.blip import BLIP, BLIPConfig, rerank
from course_utils.captioning_vqa.capfilt import match_probabilities, precision_recall, web_texts
from course_utils.captioning_vqa.clipcap_recipes import full_captions, others_captions
from course_utils.captioning_vqa.losses import Keys, enqueue, follow
from course_utils.captioning_vqa.metrics import truth_scores
from course_utils.clip.recipes import CLIP_SCENES, SCENES_CLIP, one_each
from course_utils.data import loader
from course_utils.data.scenes import BACKGROUNDS, COLORS, SceneRecords, best_recall, captions, records, render
from course_utils.language.recipes import device_of
from course_utils.language.texts import END, PAD, scenes_tokenizer, special
from course_utils.language.tokenizer import padded
from course_utils.layers import draw_uniform
from course_utils.metrics import ranks, recall_at_k
from course_utils.training import Player, Recipe, Target, load

NOTEBOOK = "07_captioning_vqa/02_blip"
WORDS = 480  # tokens of `scenes_tokenizer`; those of BLIP's roles come after them
READ_ID, MATCH_ID, WRITE_ID = WORDS, WORDS + 1, WORDS + 2  # [CLS], [ENC], [DEC]
TEXT_LENGTH = 56  # the longest caption has 50 tokens, and there are two more
LEVELS = ("full", "places", "objects")  # of captions: those that name every object
FULL = 0.5  # share of the training captions that are of the level "full"; the others are of any
ENCODED = 24_000  # scenes whose features are computed before the training
RIVALS = 16  # nearest neighbours of a scene, one of which may be in its batch
QUEUE = 512  # vectors that wait in the queue
ALPHA = 0.4  # how much the slow copy's opinion counts among the targets of the contrast
CANDIDATES = 8  # that matching ranks again
USUAL = 500  # training scenes that say what is usual
CHUNK = 100  # pictures at once while measuring
LONGEST = 54  # tokens of a caption that is written


def blip_config(**changes) -> BLIPConfig:
    """The settings of `blip-scenes`; its image encoder is that of `clip-scenes`."""
    settings = {
        "image_size": SCENES_CLIP.image_size, "image_width": SCENES_CLIP.image_width, "image_heads": SCENES_CLIP.image_heads,
        "image_blocks": SCENES_CLIP.image_blocks, "dim": SCENES_CLIP.dim, "patch_size": 0, "image_depth": 0, "image_hidden": 0,
        "vocab_size": WORDS + 3, "max_positions": TEXT_LENGTH, "text_width": 128, "text_depth": 2, "text_heads": 4, "text_hidden": 256,
        "encode_token_id": MATCH_ID, "start_token_id": WRITE_ID, "end_token_id": special(END), "pad_token_id": special(PAD), "label_smoothing": 0.0,
    }  # fmt: skip
    return BLIPConfig(**settings | changes)


def blip_on_clip(**changes) -> BLIP:
    """An untrained BLIP whose image encoder is the residual network of `clip-scenes`, frozen."""
    model = BLIP(blip_config(**changes))
    network = model.image_encoder.network
    network.load_state_dict(load(CLIP_SCENES).image_encoder.state_dict())
    network.requires_grad_(False)
    return model


# --- texts and features -----------------------------------------------------------------------------------------------


def text_ids(texts: Sequence[str], length: int | None = None) -> tuple[Tensor, Tensor]:
    """Ids (texts, n) int64, each [CLS], words, [SEP], and `attention_mask` (texts, n) bool. A text that is too long is cut."""
    encode, end = scenes_tokenizer().encode, special(END)
    rows = [[READ_ID, *encode(text)[: TEXT_LENGTH - 2], end] for text in texts]
    return padded(rows, special(PAD), length=length)


def decoded(input_ids: Tensor) -> list[str]:
    """The texts of (batch, n) ids that a BLIP wrote."""
    end, decode = special(END), scenes_tokenizer().decode
    texts = []
    for ids in input_ids.tolist():
        ids = ids[1:]
        words = ids[: ids.index(end)] if end in ids else ids
        texts.append(decode(number for number in words if number < WORDS))
    return texts


@torch.inference_mode()
def features_of(model: BLIP, images: Tensor) -> Tensor:
    """What the frozen network sees of pictures, (pictures, 17, 384) in half precision on the CPU, `CHUNK` at once."""
    device = device_of(model)
    return torch.cat([model.image_encoder.features(part.to(device)).half().cpu() for part in images.split(CHUNK)])


def meanings(scenes: SceneRecords) -> Tensor:
    """What a caption of each of `LEVELS` says, as a number, (scenes, levels) int64: scenes with the same number have the same caption."""
    kinds = (scenes.shape * len(COLORS) + scenes.color + 1).where(scenes.present, 0)  # 0 to 48
    digits = 49 ** torch.arange(4)
    places, objects = (kinds * digits).sum(dim=1), (kinds.sort(dim=1).values * digits).sum(dim=1)
    sizes = ((scenes.size + 1) * 3 ** torch.arange(4)).sum(dim=1)
    return torch.stack([(places * 81 + sizes) * len(BACKGROUNDS) + scenes.background, places, objects], dim=1)


def rivals_of(features: Tensor, number: int = RIVALS) -> Tensor:
    """The nearest others of each picture by what the pooling of `clip-scenes` saw, (pictures, number) int64, the nearest first."""
    seen = F.normalize(features[:, 0].float(), dim=1)
    parts = []
    for part in torch.arange(len(seen)).split(1000):
        table = seen[part] @ seen.T
        table[torch.arange(len(part)), part] = -1
        parts.append(table.topk(number, dim=1).indices)
    return torch.cat(parts)


def with_rivals(chosen: Tensor, rivals: Tensor) -> Tensor:
    """A batch of numbers (batch,) whose second half gave way to near neighbours of the first; rivals as `rivals_of` finds them."""
    half = len(chosen) // 2
    which = chosen[-half:] % rivals.shape[1]  # as good as drawn: the order of the numbers is
    return torch.cat([chosen[:-half], rivals[chosen[:half], which]])


class CaptionedFeatures(Dataset):
    """Scenes as `features` (batch, 17, 384), with `input_ids` and `attention_mask` (batch, texts, 56) of their texts and what these mean,
    `meaning` (batch, texts).

    All are encoded at the start, once. With rivals the second half of a batch are near neighbours of the first: the paper finds hard negatives
    in batches of some thousand pairs, in which each has rivals; in our small ones there would be few.

    Args:
        model: whose image encoder is frozen.
        scenes: to look at.
        texts: for each scene equally many.
        meaning: (scenes, texts) int64, equal where one text fits the other's scene; by default where texts are equal.
        rivals: how many neighbours of a scene can become its rival; 0 for batches as they come.
    """

    def __init__(
        self, model: BLIP, scenes: SceneRecords, texts: Sequence[Sequence[str]], meaning: Tensor | None = None, rivals: int = 0
    ):  # fmt: skip
        parts = torch.arange(len(texts)).split(1000)
        self.features = torch.cat([features_of(model, render(scenes[part])) for part in parts])
        self._hold(texts, meaning, rivals)

    @classmethod
    def of(cls, features: Tensor, texts: Sequence[Sequence[str]]) -> Self:
        """The same of features (scenes, 17, 384) that are there already."""
        data = cls.__new__(cls)
        data.features = features
        data._hold(texts, None, 0)
        return data

    def _hold(self, texts: Sequence[Sequence[str]], meaning: Tensor | None, rivals: int) -> None:
        ids, mask = text_ids([text for few in texts for text in few], TEXT_LENGTH)
        self.ids, self.mask = (rows.unflatten(0, (len(texts), -1)) for rows in (ids.short(), mask))
        self.meaning = ids.unique(dim=0, return_inverse=True)[1].view(len(texts), -1) if meaning is None else meaning
        self.rivals = rivals_of(self.features, rivals) if rivals else None

    def __len__(self) -> int:
        return len(self.features)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        chosen = torch.as_tensor(indices)
        if self.rivals is not None:
            chosen = with_rivals(chosen, self.rivals)
        return {
            "features": self.features[chosen].float(),
            "input_ids": self.ids[chosen].long(),
            "attention_mask": self.mask[chosen],
            "meaning": self.meaning[chosen],
        }


def captioned(count: int, split: str = "train", rivals: int = RIVALS) -> CaptionedFeatures:
    """Scenes of a split with their captions of each of `LEVELS`."""
    scenes = records(split, range(count))
    texts = [[caption.text for caption in few] for few in captions(scenes, levels=LEVELS)]
    return CaptionedFeatures(blip_on_clip(), scenes, texts, meanings(scenes), rivals)


# --- training ---------------------------------------------------------------------------------------------------------


class Pretraining(nn.Module):
    """A BLIP with its slow copy and the queues, as one module, so that an interrupted training goes on with all of them.

    Args:
        model: to be trained.
        queue: vectors that wait in each queue.
        warmup: steps in which alpha rises to its value: at first the slow copy knows nothing.
    """

    def __init__(self, model: BLIP, queue: int = QUEUE, warmup: int = 500):
        super().__init__()
        self.model, self.slow = model, copy.deepcopy(model).requires_grad_(False)
        self.warmup = warmup
        none = torch.zeros(queue, model.config.dim)
        for name in ("images", "texts"):
            self.register_buffer(name, none.clone())
        self.register_buffer("steps", torch.tensor(0))

    @torch.no_grad()
    def keys(self, features: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Keys:
        """The slow copy's vectors of a batch, and those of earlier ones; the queues then take in the new ones."""
        images = self.slow.image_vectors(self.slow.image_encoder.tokens(features))
        texts = self.slow.encode_text(input_ids, attention_mask)
        full = min(len(self.images), int(self.steps) * len(images))
        keys = Keys(images, texts, self.images[:full].clone(), self.texts[:full].clone())
        self.images.copy_(enqueue(self.images, images, len(self.images)))
        self.texts.copy_(enqueue(self.texts, texts, len(self.texts)))
        return keys

    @torch.no_grad()
    def after_step(self, batch: dict) -> None:
        """The slow copy follows."""
        follow(self.slow, self.model)
        self.steps += 1


def pretraining_player(
    model: BLIP, learning_rate: float = 1.5e-3, full: float = FULL, ema_decay: float = 0.995, hard: bool = True
) -> Player:
    """A BLIP that learns to compare, to match and to write, all at once; batches as `CaptionedFeatures` makes them.

    Args:
        full: share of the pictures that get the first of their texts; the others get any.
        hard: wrong pairs are drawn by their similarity; if not, each text is matched with the next picture, which is like a random one.
    """
    state = Pretraining(model)

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        chosen = one_each(batch["input_ids"], full)
        ids, mask = trimmed(batch["input_ids"][chosen], batch["attention_mask"][chosen])
        features = batch["features"]
        keys = state.keys(features, ids, mask)
        alpha = ALPHA * min(1.0, int(state.steps) / state.warmup)
        uniforms = torch.rand(2, len(ids), len(ids), device=ids.device)
        meant, row = batch["meaning"], chosen[1]
        alike = meant[chosen][:, None] == meant[:, row].T  # (texts, pictures), each picture by the level of the text
        if not hard:
            alike = ~torch.eye(len(ids), dtype=torch.bool, device=ids.device).roll(1, 1)
        losses = model.losses_of(model.image_encoder.tokens(features), ids, mask, uniforms, keys, alpha, alike)
        logs = {name: value.detach() for name, value in losses._asdict().items()}
        return torch.stack(losses).sum(), logs

    return Player(
        "blip", state, objective, learning_rate, (0.9, 0.98), weight_decay=0.05, ema_decay=ema_decay, after_step=state.after_step
    )  # fmt: skip


def trimmed(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Both without the columns that are padding in all rows."""
    longest = int(attention_mask.sum(dim=1).max())
    return input_ids[:, :longest], attention_mask[:, :longest]


# --- using ------------------------------------------------------------------------------------------------------------


def described(model: BLIP, images: Tensor, generator: torch.Generator | None = None, **settings: float) -> list[str]:
    """A caption of each picture (pictures, 3, 32, 32) in [-1, 1]: by the likeliest tokens, or as `BLIP.generate` is told."""
    device, texts = device_of(model), []
    for part in images.split(CHUNK):
        texts += decoded(model.generate(part.to(device), LONGEST, generator, **settings).cpu())
    return texts


def matched(model: BLIP, images: Tensor, texts: Sequence[str]) -> Tensor:
    """p("yes") of matching that each text belongs to its picture, (pictures,) on the CPU."""
    device = device_of(model)
    ids, mask = text_ids(texts)
    parts = [
        match_probabilities(model, images[part].to(device), *(rows.to(device) for rows in trimmed(ids[part], mask[part])))
        for part in torch.arange(len(texts)).split(CHUNK)
    ]  # fmt: skip
    return torch.cat(parts).cpu()


@functools.cache
def usual_features() -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of what the frozen network sees of training scenes, (17, 384) each."""
    seen = features_of(blip_on_clip(), render(records("train", range(USUAL)))).float()
    return seen.mean(dim=0), seen.std(dim=0).clamp(min=0.01)


@torch.inference_mode()
def familiarity(model: BLIP, images: Tensor) -> Tensor:
    """How familiar each picture is, (pictures,) on the CPU: low for pictures that are not of the model's world.

    The cosine of the picture with what the model writes about it, divided by how far its features lie from the usual ones, in standard
    deviations (about 1 for scenes): a stranger gets a caption that does not fit, or is seen in a way in which no scene is, mostly both.
    """
    device, found = device_of(model), []
    mean, deviation = usual_features()
    for part in images.split(CHUNK):
        ids, mask = (rows.to(device) for rows in text_ids(described(model, part)))
        features = model.image_encoder.features(part.to(device))
        picture = model.image_vectors(model.image_encoder.tokens(features))
        far = ((features.float().cpu() - mean) / deviation).square().mean(dim=(1, 2)).sqrt()
        found.append((picture * model.encode_text(ids, mask)).sum(dim=1).cpu() / far)
    return torch.cat(found)


@torch.inference_mode()
def search(model: BLIP, images: Tensor, texts: Sequence[str], k: int = CANDIDATES) -> tuple[Tensor, Tensor]:
    """Scores (texts, pictures) of the contrast, with its scale, and after matching has ranked the best k of each text again; both on the CPU.

    The scores of these are the logit of the contrast plus that of matching.
    """
    device = device_of(model)
    ids, mask = (rows.to(device) for rows in text_ids(texts))
    tokens = torch.cat([model.image_encoder(part.to(device)) for part in images.split(CHUNK)])
    vectors = torch.cat([model.encode_text(*rows) for rows in zip(ids.split(CHUNK), mask.split(CHUNK), strict=True)])
    similarities = model.logit_scale * vectors @ model.image_vectors(tokens).T

    def match(queries: Tensor, candidates: Tensor) -> Tensor:
        parts = zip(queries.split(CHUNK), candidates.split(CHUNK), strict=True)
        logits = [model.match(tokens[found], *trimmed(ids[asked], mask[asked])) for asked, found in parts]
        no, yes = torch.cat(logits).float().unbind(dim=1)
        return yes - no  # the probability would be 1 for many

    return similarities.cpu(), rerank(similarities, min(k, len(images)), match).cpu()


# --- measuring --------------------------------------------------------------------------------------------------------


def _filtered(kept: Tensor, true: Tensor) -> dict[str, float]:
    precision, recall = precision_recall(kept, true)
    return {"filter_precision": precision, "filter_recall": recall}


GALLERIES = 3  # among each of which is searched: how much matching gains is a matter of few captions


def _searched(model: BLIP, start: int, samples: int) -> dict[str, float]:
    """Search among held-out scenes with their full captions. `right`: the first scene is one of those that the caption is true of."""
    scenes = records("test", range(start, start + samples))
    found = search(model, render(scenes), full_captions(scenes))
    meant, scores = meanings(scenes)[:, 0], {}
    for before, table in zip(("", "reranked_"), found, strict=True):
        scores[f"{before}recall_at_1"] = recall_at_k(ranks(table), 1)
        scores[f"{before}right_at_1"] = (meant[table.argmax(dim=1)] == meant).double().mean().item()
    return scores | {"gained_by_matching": scores["reranked_recall_at_1"] - scores["recall_at_1"]}


def _blip_metrics(model: BLIP, samples: int) -> dict[str, float]:
    """Captions of held-out scenes, search among them with their full captions, and what the filter makes of web texts."""
    scenes = records("test", range(samples))
    images, found = render(scenes), web_texts(scenes)
    searched = [_searched(model, number * samples, samples) for number in range(GALLERIES)]
    kept = matched(model, images, [one.text for one in found]) > 0.5
    return {
        **truth_scores(described(model, images), scenes),
        **{name: fmean(scores[name] for scores in searched) for name in searched[0]},
        **_filtered(kept, torch.tensor([one.true for one in found])),
        "familiar": familiarity(model, images).quantile(0.01).item(),
    }


def _blip_chance(samples: int) -> dict[str, float]:
    """Another scene's caption; similarities that are drawn; a filter that keeps each text or not by a coin."""
    scenes, draw = records("test", range(samples)), runtime.generator(0)
    recall = recall_at_k(ranks(draw_uniform((samples, samples), draw)), 1)
    true = torch.tensor([one.true for one in web_texts(scenes)])
    return {
        **truth_scores(others_captions(scenes), scenes),
        **dict.fromkeys(("recall_at_1", "right_at_1", "reranked_recall_at_1", "reranked_right_at_1"), recall),
        "gained_by_matching": 0.0,
        **_filtered(draw_uniform((samples,), draw) > 0.5, true),
    }


def _blip_ceiling(samples: int) -> dict[str, float]:
    """The scenes' own captions, a reader who guesses among the scenes that a caption is true of, and a filter that knows the scenes."""
    scenes = records("test", range(samples))
    facts = [few[0].facts for few in captions(scenes, levels=("full",))]
    return {
        **truth_scores(full_captions(scenes), scenes),
        **dict.fromkeys(("recall_at_1", "reranked_recall_at_1"), best_recall(facts, scenes)),
        **dict.fromkeys(("right_at_1", "reranked_right_at_1", "filter_precision", "filter_recall"), 1.0),
    }


BLIP_SCENES = Recipe(
    name="blip-scenes",
    chapter="07_captioning_vqa",
    notebook=NOTEBOOK,
    system="BLIP",
    paper="Li, Li, Xiong & Hoi, ICML 2022",
    data="scenes, as features of clip-scenes, with their captions",
    model=blip_on_clip,
    players=pretraining_player,
    loader=lambda: loader(captioned(scale(smoke=500, cpu=ENCODED, gpu=ENCODED)), 32),
    steps={"smoke": 3, "cpu": 3_000, "gpu": 40_000},
    metrics=_blip_metrics,
    targets={
        "whole": Target(at_least=0.9),
        "gained_by_matching": Target(at_least=0.001),
        "filter_precision": Target(at_least=0.9),
        "filter_recall": Target(at_least=0.9),
    },
    samples=1000,
    quick_samples=64,
    chance=_blip_chance,
    ceiling=_blip_ceiling,
    minutes=30,
    frozen={"image_encoder.network": "clip-scenes"},
    about="One small text transformer in three roles on the frozen image encoder of `clip-scenes`. `whole`: the greedy caption is true and names "
    "every object. `recall_at_1`: each full caption looks for its own scene by the contrast, a mean over three galleries of so many held-out scenes; "
    "`reranked_...`: after matching has ranked the best again. Some captions are true of two scenes: for `right_at_1` either counts. "
    "The filter keeps web texts, half of them damaged, that matching takes for true with more than 1/2. "
    "`familiar`: what 99 of 100 held-out scenes reach by `familiarity`.",
)

BLIP_RECIPES: tuple[Recipe, ...] = (BLIP_SCENES,)
"""`course train blip-scenes`."""
