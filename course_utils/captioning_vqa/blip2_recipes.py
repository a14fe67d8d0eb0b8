"""What notebook 03_blip2 needs trained: a Q-Former over the frozen `clip-scenes`, stage by stage, that speaks through the frozen `gpt-scenes`."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from course_utils import runtime, scale
from course_utils.captioning_vqa.blip import rerank
from course_utils.captioning_vqa.blip2 import BLIP2
from course_utils.captioning_vqa.losses import hard_negatives
from course_utils.captioning_vqa.metrics import truth_scores
from course_utils.captioning_vqa.qformer import QFormer, QFormerConfig, best_query
from course_utils.clip.clip import CLIP
from course_utils.clip.recipes import CLIP_SCENES, SIZE, one_each, written
from course_utils.data import Scenes, loader
from course_utils.data.scenes import LEVELS, SceneRecords, best_recall, records, render
from course_utils.language.gpt2 import GPT2
from course_utils.language.recipes import GPT_SCENES
from course_utils.language.t5 import T5
from course_utils.language.texts import END, decoded, encoded, special
from course_utils.layers import draw_uniform
from course_utils.layers.embeddings import grid_embedding
from course_utils.metrics import ranks, recall_at_k
from course_utils.training import Player, Recipe, Target, load

NOTEBOOK = "07_captioning_vqa/03_blip2"
IMAGE_WIDTH = 384  # of the last map of `clip-scenes`, which has 4 x 4 places
LENGTH = 52  # tokens of the longest caption, with an end token on both sides
NETWORK = QFormerConfig(
    num_queries=8, width=96, depth=4, num_heads=4, hidden=256, context_width=IMAGE_WIDTH, vocab_size=480, max_positions=64, dim=64,
    start_token_id=466, output_width=128,
)  # fmt: skip
"""Texts are those of `gpt-scenes`, token by token; one that is written begins with their mask token instead of the end token."""
SEEN = 30_000  # scenes whose maps are computed before anything learns from them
FULL = 0.5  # share of the captions in the first stage that are of the level "full"; in the second all are
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
    """Training scenes as the frozen encoder sees them, once and for all, in half precision, with a caption of each level.

    Batches hold `image_tokens` (batch, 16, 384) float32, `input_ids` and `attention_mask` (batch, levels, 52).

    Args:
        length: number of scenes.
        levels: of the captions.
        objects: in each scene; None for 1 to 4.
    """

    def __init__(self, length: int, levels: Sequence[str] = LEVELS, objects: int | None = None):
        data = Scenes("train", SIZE, length=length, fields=("image", "captions"), objects=objects)
        encoder = ClipMap()
        kept, seen, texts, real = [LEVELS.index(level) for level in levels], [], [], []
        for start in range(0, length, 1000):
            part = data[range(start, min(start + 1000, length))]
            seen.append(image_tokens(part["image"], encoder).half())
            batch = encoded([few[level] for few in part["captions"] for level in kept], LENGTH)
            texts.append(batch["input_ids"].short())
            real.append(batch["attention_mask"])
        self.image_tokens = torch.cat(seen)
        # (length * levels, 52) -> (length, levels, 52)
        self.input_ids, self.attention_mask = (
            torch.cat(few).unflatten(0, (length, len(kept))) for few in (texts, real)
        )

    def __len__(self) -> int:
        return len(self.image_tokens)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        chosen = torch.as_tensor(indices)
        return {
            "image_tokens": self.image_tokens[chosen].float(),
            "input_ids": self.input_ids[chosen].long(),
            "attention_mask": self.attention_mask[chosen],
        }


def chosen_captions(batch: dict[str, Tensor], full: float) -> tuple[Tensor, Tensor]:
    """One caption for each picture of a batch, ids and mask (batch, n), without columns of nothing but padding; `full` as for `one_each`."""
    chosen = one_each(batch["input_ids"], full)
    mask = batch["attention_mask"][chosen]
    length = int(mask.sum(1).max())
    return batch["input_ids"][chosen][:, :length], mask[:, :length]


# --- the two stages ---------------------------------------------------------------------------------------------------


def first_stage_player(
    model: QFormer, learning_rate: float = 1.5e-3, full: float = FULL, ema_decay: float = 0.998
) -> Player:
    """A Q-Former that learns contrast, matching and writing at once; batches as `SeenScenes` makes them, of all levels.

    Args:
        full: share of the pictures that get the first of their captions; the others get any.
    """

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        pictures = batch["image_tokens"]
        ids, mask = chosen_captions(batch, full)
        uniforms = torch.rand(2, len(ids), len(ids), device=ids.device)
        losses = model.losses(pictures, ids, mask, uniforms)
        return sum(losses), {name: value.detach() for name, value in losses._asdict().items()}

    return Player("Q-Former", model, objective, learning_rate, (0.9, 0.98), weight_decay=0.05, ema_decay=ema_decay)


def prompt(language_model: GPT2 | T5, count: int) -> Tensor:
    """What stands between the queries and a caption, (count, n) int64: for GPT the token with which all its texts begin, for T5 its task."""
    words = [special("complete:"), special(END)] if isinstance(language_model, T5) else [special(END)]
    return torch.tensor(words).expand(count, -1)


def second_stage_player(
    model: QFormer, language_model: GPT2 | T5, learning_rate: float = 1.5e-3, ema_decay: float = 0.998
) -> Player:
    """A Q-Former that learns to make the frozen language model write the captions; batches as `SeenScenes` makes them, of full captions."""
    whole = BLIP2(nn.Identity(), model, language_model)  # the pictures are encoded already

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        ids, mask = chosen_captions(batch, full=1.0)
        asked = prompt(language_model, len(ids)).to(ids.device)
        # the prompt takes the place of a caption's first token, which begins every text
        return whole.loss(batch["image_tokens"], asked, ids[:, 1:], answer_mask=mask[:, 1:]), {}

    return Player("Q-Former", model, objective, learning_rate, (0.9, 0.98), weight_decay=0.05, ema_decay=ema_decay)


def after_first_stage(model: QFormer) -> QFormer:
    """The same model with the weights of `blip2-stage1-scenes`."""
    model.load_state_dict(load(BLIP2_STAGE1).state_dict())
    return model


def described(
    model: QFormer,
    tokens: Tensor,
    language_model: GPT2 | T5 | None = None,
    generator: torch.Generator | None = None,
    **settings,
) -> list[str]:
    """A caption for each picture.

    Args:
        tokens: what the frozen encoder saw, (batch, 16, 384), see `image_tokens`.
        language_model: by default `gpt-scenes`.
        generator, settings: as for `BLIP2.generate`; by default the likeliest token is taken each time.
    """
    speaker = language_model or load(GPT_SCENES)
    device = next(model.parameters()).device
    whole, texts = BLIP2(nn.Identity(), model, speaker), []
    for part in tokens.split(CHUNK):
        asked = prompt(speaker, len(part)).to(device)
        out = whole.generate(
            part.to(device), LENGTH - 1, generator, prompt_ids=asked, end_token_id=special(END), pad_token_id=special(END), **settings
        )  # fmt: skip
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


def full_captions(scenes: SceneRecords) -> list[str]:
    """The full caption of each scene."""
    return [caption.text for caption in written(scenes, "full")]


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


def _retrieved(
    compare: Callable[[], Tensor], match: Callable[[Tensor, Tensor], Tensor], scenes: SceneRecords
) -> dict[str, float]:
    """Search among scenes by full captions: the contrast alone, and with matching of its best candidates.

    Args:
        compare: -> similarities (texts, pictures).
        match: numbers of texts and of pictures to scores, as for `rerank`.
    """
    table = compare()
    best = best_recall([caption.facts for caption in written(scenes, "full")], scenes)
    found = recall_at_k(ranks(table), 1)
    again = recall_at_k(ranks(rerank(table, min(RERANKED, len(table)), match)), 1)
    return {"recall_at_1": found, "reranked_recall_at_1": again, "share_of_ceiling": again / best}


@torch.inference_mode()
def _stage1_metrics(model: QFormer, samples: int) -> dict[str, float]:
    scenes = records("test", range(samples))
    tokens, texts = image_tokens(render(scenes, SIZE)), full_captions(scenes)
    table = similarities(model, tokens, texts)

    def match(queries: Tensor, candidates: Tensor) -> Tensor:
        return match_scores(model, tokens[candidates], [texts[number] for number in queries.tolist()]).softmax(1)[:, 1]

    own = torch.arange(samples)
    other = hard_negatives(model.logit_scale.cpu() * table, draw_uniform(table.shape, runtime.generator(1)))
    right = (match(own, own) > 0.5).double().mean() + (match(own, other) <= 0.5).double().mean()
    return _retrieved(lambda: table, match, scenes) | {"matching_accuracy": right.item() / 2}


def _stage1_chance(samples: int) -> dict[str, float]:
    """Similarities and scores that are drawn."""
    draw = runtime.generator(0)
    found = _retrieved(
        lambda: draw_uniform((samples, samples), draw), lambda queries, _: draw_uniform(queries.shape, draw), records("test", range(samples))
    )  # fmt: skip
    return found | {"matching_accuracy": 0.5}


def _stage1_ceiling(samples: int) -> dict[str, float]:
    """A reader who knows which scenes each caption is true of and guesses among them."""
    scenes = records("test", range(samples))
    best = best_recall([caption.facts for caption in written(scenes, "full")], scenes)
    return {"recall_at_1": best, "reranked_recall_at_1": best, "share_of_ceiling": 1.0}


def caption_scores(write: Callable[[SceneRecords], list[str]], samples: int) -> dict[str, float]:
    """`truth_scores` of captions of held-out scenes; `unseen_pairs_whole` of scenes with pairs of shape and colour that training never shows."""
    scenes, unseen = records("test", range(samples)), records("compositional", range(max(1, samples // 4)))
    return truth_scores(write(scenes), scenes) | {"unseen_pairs_whole": truth_scores(write(unseen), unseen)["whole"]}


def _blip2_metrics(model: QFormer, samples: int) -> dict[str, float]:
    encoder = ClipMap()
    return caption_scores(lambda scenes: described(model, image_tokens(render(scenes, SIZE), encoder)), samples)


def _blip2_chance(samples: int) -> dict[str, float]:
    """The captions of other scenes."""
    return caption_scores(lambda scenes: [*full_captions(scenes)[1:], full_captions(scenes)[0]], samples)


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
    data="scenes, as clip-scenes sees them, with captions",
    model=lambda: QFormer(NETWORK),
    players=first_stage_player,
    loader=lambda: loader(SeenScenes(scale(smoke=200, cpu=SEEN, gpu=50_000)), 64),
    steps={"smoke": 3, "cpu": 900, "gpu": 20_000},
    metrics=_stage1_metrics,
    targets={"matching_accuracy": Target(at_least=0.9)},
    chance=_stage1_chance,
    ceiling=_stage1_ceiling,
    minutes=15,
    about="Contrast, matching and writing. Each full caption looks for its own scene: `recall_at_1` by its best query alone, "
    "`reranked_recall_at_1` after matching has looked at the ten nearest, and that as a share of what a reader reaches who knows of which "
    "scenes the caption is true. `matching_accuracy` is of as many true pairs as hard wrong ones.",
)

BLIP2_SCENES = _recipe(
    name="blip2-scenes",
    data="scenes, as clip-scenes sees them, with full captions",
    model=lambda: QFormer(NETWORK),
    players=lambda model: second_stage_player(after_first_stage(model), load(GPT_SCENES)),
    loader=lambda: loader(SeenScenes(scale(smoke=200, cpu=SEEN, gpu=50_000), ("full",)), 64),
    steps={"smoke": 3, "cpu": 2_400, "gpu": 20_000},
    metrics=_blip2_metrics,
    targets={"whole": Target(at_least=0.9)},
    chance=_blip2_chance,
    ceiling=_blip2_ceiling,
    minutes=15,
    about="The second stage, from `blip2-stage1-scenes` on; what the frozen `gpt-scenes` then writes, by its likeliest tokens. `whole`: all that "
    "the caption states is true, and it names every object. What the Q-Former reads texts with is as the first stage left it.",
)

BLIP2_RECIPES: tuple[Recipe, ...] = ()
"""`course train blip2-stage1-scenes`, then `course train blip2-scenes`."""
