"""What notebook 03_blip2 needs trained: a Q-Former over the frozen `clip-scenes`, stage by stage, that speaks through a frozen GPT."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from course_utils import runtime, scale
from course_utils.captioning_vqa.blip import rerank
from course_utils.captioning_vqa.blip2 import BLIP2
from course_utils.captioning_vqa.blip_recipes import RIVALS, rivals_of, with_rivals
from course_utils.captioning_vqa.clipcap_recipes import (
    CLIPCAP_SCENES,
    IMAGE_WIDTH,
    caption_scores,
    full_captions,
    others_captions,
)
from course_utils.captioning_vqa.losses import hard_negatives
from course_utils.captioning_vqa.qformer import QFormer, QFormerConfig, best_query
from course_utils.clip.clip import CLIP
from course_utils.clip.recipes import CLIP_SCENES, SIZE, written
from course_utils.data import Scenes, loader
from course_utils.data.scenes import LEVELS, SceneRecords, best_recall, records, render
from course_utils.language.gpt2 import GPT2
from course_utils.language.recipes import GPT_SCENES, T5_SCENES_RECIPE
from course_utils.language.t5 import T5
from course_utils.language.texts import END, decoded, encoded, special
from course_utils.layers import draw_uniform
from course_utils.layers.embeddings import grid_embedding
from course_utils.metrics import ranks, recall_at_k
from course_utils.training import Player, Recipe, Target, load

NOTEBOOK = "07_captioning_vqa/03_blip2"
LENGTH = 52  # tokens of the longest caption, with an end token on both sides
NETWORK = QFormerConfig(
    num_queries=8, width=96, depth=4, num_heads=4, hidden=256, context_width=IMAGE_WIDTH, vocab_size=480, max_positions=64, dim=64,
    start_token_id=466, output_width=128,
)  # fmt: skip
"""Texts are in the tokens of `gpt-scenes`; one that is written begins with their mask token instead of the end token."""
SEEN = 30_000  # scenes whose maps are computed before anything learns from them
RERANKED = 10  # candidates of the contrast that matching looks at
CHUNK = 250  # pictures or texts in a pass


# --- pictures and texts -----------------------------------------------------------------------------------------------


class ClipMap(nn.Module):
    """The image encoder of a CLIP without its pooling: pictures (batch, 3, 32, 32) in [-1, 1] to tokens (batch, 16, 384), row by row.

    Each token is normalised, and a fixed sine and cosine embedding says where it is, which a map of convolutions tells only by its rim.

    Args:
        clip: with a residual network; by default `clip-scenes`.
    """

    def __init__(self, clip: CLIP | None = None):
        super().__init__()
        self.encoder = (clip or load(CLIP_SCENES)).image_encoder

    def forward(self, images: Tensor) -> Tensor:
        features = self.encoder.features(images)
        places = grid_embedding(*features.shape[2:], features.shape[1]).to(features.device)
        tokens = features.flatten(2).transpose(1, 2)  # (batch, 384, 4, 4) -> (batch, 16, 384)
        return F.layer_norm(tokens, tokens.shape[2:]) + places


@torch.inference_mode()
def image_tokens(images: Tensor, encoder: nn.Module | None = None) -> Tensor:
    """What the frozen encoder, by default `ClipMap`, makes of pictures: (batch, 16, 384) on the CPU."""
    encoder = (encoder or ClipMap()).to(runtime.device()).eval()
    return torch.cat([encoder(part.to(runtime.device())).cpu() for part in images.split(CHUNK)])


class SeenScenes(Dataset):
    """Training scenes as the frozen encoder sees them, once and for all, in half precision, with their full captions.

    Batches hold `image_tokens` (batch, 16, 384) float32, `input_ids` and `attention_mask` (batch, n), n as the longest caption of the batch needs.

    Args:
        length: number of scenes.
        rivals: how many neighbours of a scene can come into its batch, see `blip_recipes.CaptionedFeatures`; 0 for batches as they come.
        objects: in each scene; None for 1 to 4.
    """

    def __init__(self, length: int, rivals: int = 0, objects: int | None = None):
        data = Scenes("train", SIZE, length=length, fields=("image", "captions"), objects=objects)
        encoder = ClipMap()
        seen, texts = [], []
        for start in range(0, length, 1000):
            part = data[range(start, min(start + 1000, length))]
            seen.append(image_tokens(part["image"], encoder).half())
            texts += [few[LEVELS.index("full")] for few in part["captions"]]
        batch = encoded(texts, LENGTH)
        self.image_tokens = torch.cat(seen)
        self.input_ids, self.attention_mask = batch["input_ids"].short(), batch["attention_mask"]
        self.rivals = rivals_of(self.image_tokens.float().mean(dim=1, keepdim=True), rivals) if rivals else None

    def __len__(self) -> int:
        return len(self.image_tokens)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        chosen = torch.as_tensor(indices)
        if self.rivals is not None:
            chosen = with_rivals(chosen, self.rivals)
        mask = self.attention_mask[chosen]
        longest = int(mask.sum(dim=1).max())
        return {
            "image_tokens": self.image_tokens[chosen].float(),
            "input_ids": self.input_ids[chosen, :longest].long(),
            "attention_mask": mask[:, :longest],
        }


# --- the two stages ---------------------------------------------------------------------------------------------------


def untrained(config: QFormerConfig = NETWORK) -> QFormer:
    """A Q-Former whose layers keep the size of what they read: weights of 1 / sqrt(inputs).

    The published 0.02 is about such a size for a width of 768. At a width of 96 it makes all signals faint: of two trainings that
    differed in nothing else, 160 steps of the first stage each, one seed, the contrast stood at 1.9 nats with it and at 0.2 without.
    """
    model = QFormer(config)
    for part in model.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=part.in_features**-0.5)
    nn.init.normal_(model.queries, std=config.width**-0.5)
    if model.tokens is not None:
        nn.init.normal_(model.tokens.weight, std=config.width**-0.5)
        nn.init.normal_(model.positions.weight, std=config.width**-0.5)
    return model


def first_stage_player(model: QFormer, learning_rate: float = 1e-3, ema_decay: float = 0.998) -> Player:
    """A Q-Former that learns contrast, matching and writing at once; batches as `SeenScenes` makes them, with rivals."""

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        pictures = batch["image_tokens"]
        uniforms = torch.rand(2, len(pictures), len(pictures), device=pictures.device)
        losses = model.losses(pictures, batch["input_ids"], batch["attention_mask"], uniforms)
        return torch.stack(losses).sum(), {name: value.detach() for name, value in losses._asdict().items()}

    return Player("Q-Former", model, objective, learning_rate, (0.9, 0.98), weight_decay=0.05, ema_decay=ema_decay)


class Speaker(NamedTuple):
    """A frozen language model, and the tokens that stand between the queries and a caption: how it is used to begin one."""

    model: GPT2 | T5
    prompt: tuple[int, ...]


def clipcap_gpt() -> Speaker:
    """The GPT of `clipcap-scenes`, which goes on from vectors at once. It is the one that has learned to heed what stands before a text."""
    return Speaker(load(CLIPCAP_SCENES).language_model, ())


def scenes_gpt() -> Speaker:
    """`gpt-scenes`, which has read captions and nothing else; each begins with the end token."""
    return Speaker(load(GPT_SCENES), (special(END),))


def scenes_t5() -> Speaker:
    """`t5-scenes`, an encoder-decoder, told to complete a caption of which it is given nothing."""
    return Speaker(load(T5_SCENES_RECIPE), (special("complete:"), special(END)))


def prompts(speaker: Speaker, count: int) -> Tensor:
    """The speaker's prompt, (count, n) int64."""
    return torch.tensor(speaker.prompt, dtype=torch.int64).expand(count, -1)


def second_stage_player(
    model: QFormer, speaker: Speaker, learning_rate: float = 1.5e-3, ema_decay: float = 0.998
) -> Player:
    """A Q-Former that learns to make the frozen language model write the captions; batches as `SeenScenes` makes them.

    Weight decay there is none: it would wear away what the first stage knows of texts, which has no gradient here.
    """
    whole = BLIP2(nn.Identity(), model, speaker.model)  # the pictures are encoded already

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        ids, mask = batch["input_ids"], batch["attention_mask"]
        asked = prompts(speaker, len(ids)).to(ids.device)
        # without the token that begins every text
        return whole.loss(batch["image_tokens"], asked, ids[:, 1:], answer_mask=mask[:, 1:]), {}

    return Player("Q-Former", model, objective, learning_rate, (0.9, 0.98), ema_decay=ema_decay)


def after_first_stage(model: QFormer) -> QFormer:
    """The same model with the weights of `blip2-stage1-scenes`, as far as it has such parts."""
    known = load(BLIP2_STAGE1).state_dict()
    model.load_state_dict({name: known[name] for name in model.state_dict()})
    return model


def described(
    model: QFormer, tokens: Tensor, speaker: Speaker | None = None, generator: torch.Generator | None = None, **settings
) -> list[str]:
    """A caption for each picture.

    Args:
        tokens: what the frozen encoder saw, (batch, 16, 384), see `image_tokens`.
        speaker: by default `clipcap_gpt()`.
        generator, settings: as for `BLIP2.generate`; by default the likeliest token is taken each time.
    """
    speaker, end, texts = speaker or clipcap_gpt(), special(END), []
    device = next(model.parameters()).device
    whole = BLIP2(nn.Identity(), model, speaker.model)
    for part in tokens.split(CHUNK):
        asked = prompts(speaker, len(part)).to(device)
        out = whole.generate(
            part.to(device), LENGTH - 1, generator, prompt_ids=asked, end_token_id=end, pad_token_id=end, **settings
        )
        texts += decoded(out.cpu())
    return texts


@torch.inference_mode()
def looked_at(
    model: QFormer, tokens: Tensor, input_ids: Tensor | None = None, attention_mask: Tensor | None = None
) -> Tensor:
    """Where each query looks: its shares of the places, a mean over heads and layers, (batch, num_queries, 16) on the CPU.

    Args:
        tokens: what the frozen encoder saw, (batch, 16, 384).
        input_ids, attention_mask: a text that the queries see too, as for `QFormer.forward`.
    """
    shares = []

    def note(attention: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        queries, context = inputs
        # (batch, n, heads * d) -> (batch, heads, n, d)
        asked, offered = (
            made.unflatten(2, (attention.num_heads, -1)).transpose(1, 2)
            for made in (attention.to_q(queries), attention.to_k(context))
        )
        shares.append((asked @ offered.mT / math.sqrt(asked.shape[-1])).softmax(dim=-1).mean(dim=1).cpu())

    layers = [layer.cross_attention for layer in model.layers if layer.cross_attention is not None]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    device = next(model.parameters()).device
    texts = (None if part is None else part.to(device) for part in (input_ids, attention_mask))
    try:
        model(tokens.to(device), *texts)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(shares).mean(dim=0)


# --- measuring --------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def similarities(model: QFormer, tokens: Tensor, texts: Sequence[str]) -> Tensor:
    """Of each text to each picture, by the picture's best query, (texts, pictures) on the CPU."""
    device, batch = next(model.parameters()).device, encoded(texts)
    pictures = torch.cat([model.encode_image(part.to(device)) for part in tokens.split(CHUNK)])
    rows = zip(batch["input_ids"].split(CHUNK), batch["attention_mask"].split(CHUNK), strict=True)
    vectors = torch.cat([model.encode_text(ids.to(device), mask.to(device)) for ids, mask in rows])
    return torch.cat([best_query(part, vectors).T.cpu() for part in pictures.split(CHUNK)], dim=1)


@torch.inference_mode()
def match_scores(model: QFormer, tokens: Tensor, texts: Sequence[str]) -> Tensor:
    """Logits (pairs, 2) of "no" and "yes" on the CPU, that text i belongs to picture i."""
    device, batch = next(model.parameters()).device, encoded(texts)
    parts = zip(*(few.split(CHUNK) for few in (tokens, batch["input_ids"], batch["attention_mask"])), strict=True)
    return torch.cat([model.match(*(part.to(device) for part in few)).cpu() for few in parts])


def _retrieved(table: Tensor, match: Callable[[Tensor, Tensor], Tensor], scenes: SceneRecords) -> dict[str, float]:
    """Search among scenes by full captions: the contrast alone, and with matching of its best candidates.

    Args:
        table: similarities (texts, pictures).
        match: numbers of texts and of pictures to scores, as for `rerank`.
    """
    best = best_recall([caption.facts for caption in written(scenes, "full")], scenes)
    found = recall_at_k(ranks(table), 1)
    again = recall_at_k(ranks(rerank(table, min(RERANKED, len(table)), match)), 1)
    return {"recall_at_1": found, "reranked_recall_at_1": again, "share_of_ceiling": again / best}


@torch.inference_mode()
def _stage1_metrics(model: QFormer, samples: int) -> dict[str, float]:
    scenes = records("test", range(samples))
    tokens, texts = image_tokens(render(scenes, SIZE)), full_captions(scenes)
    table = model.logit_scale.cpu() * similarities(model, tokens, texts)

    def match(queries: Tensor, candidates: Tensor) -> Tensor:
        no, yes = match_scores(model, tokens[candidates], [texts[number] for number in queries.tolist()]).unbind(dim=1)
        return yes - no  # the probability would be 1 for many

    own, other = torch.arange(samples), hard_negatives(table, draw_uniform(table.shape, runtime.generator(1)))
    right = (match(own, own) > 0).double().mean() + (match(own, other) <= 0).double().mean()
    return _retrieved(table, match, scenes) | {"matching_accuracy": right.item() / 2}


def _stage1_chance(samples: int) -> dict[str, float]:
    """Similarities and scores that are drawn."""
    draw = runtime.generator(0)
    found = _retrieved(
        draw_uniform((samples, samples), draw), lambda queries, _: draw_uniform(queries.shape, draw), records("test", range(samples))
    )  # fmt: skip
    return found | {"matching_accuracy": 0.5}


def _stage1_ceiling(samples: int) -> dict[str, float]:
    """A reader who knows which scenes each caption is true of and guesses among them."""
    scenes = records("test", range(samples))
    best = best_recall([caption.facts for caption in written(scenes, "full")], scenes)
    return {"recall_at_1": best, "reranked_recall_at_1": best, "share_of_ceiling": 1.0}


def _blip2_metrics(model: QFormer, samples: int) -> dict[str, float]:
    encoder = ClipMap()
    return caption_scores(lambda scenes: described(model, image_tokens(render(scenes, SIZE), encoder)), samples)


def _blip2_chance(samples: int) -> dict[str, float]:
    """The captions of other scenes."""
    return caption_scores(others_captions, samples)


def _blip2_ceiling(samples: int) -> dict[str, float]:
    """The captions of the world itself."""
    return caption_scores(full_captions, samples)


def _recipe(**settings) -> Recipe:
    """What both stages share."""
    return Recipe(
        chapter="07_captioning_vqa",
        notebook=NOTEBOOK,
        system="BLIP-2",
        paper="Li et al., ICML 2023",
        samples=1000,
        quick_samples=100,
        **settings,
    )


BLIP2_STAGE1 = _recipe(
    name="blip2-stage1-scenes",
    data="scenes, as clip-scenes sees them, with full captions",
    model=untrained,
    players=first_stage_player,
    loader=lambda: loader(SeenScenes(scale(smoke=200, cpu=SEEN, gpu=50_000), RIVALS), 32),
    steps={"smoke": 3, "cpu": 2_000, "gpu": 40_000},
    metrics=_stage1_metrics,
    targets={"matching_accuracy": Target(at_least=0.9)},
    chance=_stage1_chance,
    ceiling=_stage1_ceiling,
    minutes=15,
    about="Contrast, matching and writing, in batches half of which are near neighbours. Each full caption looks for its own scene: `recall_at_1` "
    "by its best query alone, `reranked_recall_at_1` after matching has looked at the ten nearest, and that as a share of what a reader reaches who "
    "knows of which scenes the caption is true. `matching_accuracy` is of as many true pairs as hard wrong ones.",
)

BLIP2_SCENES = _recipe(
    name="blip2-scenes",
    data="scenes, as clip-scenes sees them, with full captions",
    model=untrained,
    players=lambda model: second_stage_player(after_first_stage(model), clipcap_gpt()),
    loader=lambda: loader(SeenScenes(scale(smoke=200, cpu=SEEN, gpu=50_000)), 64),
    steps={"smoke": 3, "cpu": 2_400, "gpu": 20_000},
    metrics=_blip2_metrics,
    targets={"whole": Target(at_least=0.9)},
    chance=_blip2_chance,
    ceiling=_blip2_ceiling,
    minutes=11,
    about="The second stage, from `blip2-stage1-scenes` on; what the frozen GPT of `clipcap-scenes` then writes, by its likeliest tokens. "
    "`whole`: all that the caption states is true, and it names every object. What the Q-Former reads texts with is as the first stage left it.",
)

BLIP2_RECIPES: tuple[Recipe, ...] = (BLIP2_STAGE1, BLIP2_SCENES)
"""`course train blip2-stage1-scenes`, then `course train blip2-scenes`."""
