"""What notebook 01_dalle needs trained: a transformer over captions and codes of scenes, which `vqvae-scenes` decodes."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_utils import runtime, scale
from course_utils.autoencoders.recipes import VQVAE_SCENES, decoded, encoded
from course_utils.autoencoders.vqvae import VQVAE
from course_utils.clip.recipes import (
    CLIP_SCENES,
    FULL,
    SCENES_CLIP,
    embed_pictures,
    embed_texts,
    one_each,
    plain,
    scene_ids,
    scene_tokenizer,
)
from course_utils.data import Scenes, loader
from course_utils.data.scenes import LEVELS, render
from course_utils.language.tokenizer import padded
from course_utils.text_to_image.dalle import Dalle, DalleConfig, drop_captions, rerank
from course_utils.text_to_image.prompts import match, prompt_scores, prompts
from course_utils.training import Player, Recipe, Target, load

NOTEBOOK = "06_text_to_image/01_dalle"
NETWORK = DalleConfig(
    text_vocabulary=SCENES_CLIP.vocab_size, text_length=52, num_codes=512, grid_size=8, width=128, depth=5, num_heads=4
)
"""The longest caption has 49 tokens, as `clip.recipes.plain` writes it."""
PAD = -1  # where a stored text has no word
ENCODED = 60_000  # scenes whose codes are computed before the transformer learns them
DROPPED = 0.1  # share of the training captions that are left out, for guidance
GUIDANCE, TOP_P = 2.0, 0.95  # of the sampler
BEST_OF = 8  # pictures among which CLIP chooses
CHUNK = 256  # texts drawn at once


# --- texts and codes --------------------------------------------------------------------------------------------------


def text_ids(texts: Sequence[str], length: int = NETWORK.text_length) -> tuple[Tensor, Tensor]:
    """Ids (texts, length) int64 and `attention_mask` (texts, length) bool. A text that is too long is cut; an empty one is no caption."""
    rows = [scene_tokenizer().encode(plain(text))[:length] for text in texts]
    return padded(rows, 0, length=length)


class CaptionedCodes(Dataset):
    """Training scenes as `codes` (batch, h, w), with `text` and `attention_mask` (batch, levels, 52) of a caption of each level.

    All are encoded at the start, once.

    Args:
        length: number of scenes.
        model: that encodes; by default `vqvae-scenes`.
        objects: in each scene; None for 1 to 4.
        levels: of the captions.
    """

    def __init__(
        self, length: int, model: VQVAE | None = None, objects: int | None = None, levels: Sequence[str] = LEVELS
    ):
        model = model or load(VQVAE_SCENES)
        data = Scenes("train", length=length, fields=("image", "captions"), objects=objects)
        kept, codes, texts = [LEVELS.index(level) for level in levels], [], []
        for start in range(0, length, 1000):
            part = data[range(start, min(start + 1000, length))]
            codes.append(encoded(model, part["image"])[0].short())
            ids, mask = text_ids([few[level] for few in part["captions"] for level in kept])
            texts.append(ids.masked_fill(~mask, PAD).short())
        self.codes = torch.cat(codes)
        self.texts = torch.cat(texts).unflatten(0, (length, len(kept)))  # (length, levels, 52)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        chosen = torch.as_tensor(indices)
        text = self.texts[chosen].long()
        return {"codes": self.codes[chosen].long(), "text": text.clamp(min=0), "attention_mask": text != PAD}


def dalle_player(
    model: Dalle, learning_rate: float = 1.5e-3, ema_decay: float = 0.998, full: float = FULL, dropped: float = DROPPED
) -> Player:
    """A transformer that learns captions and codes; batches as `CaptionedCodes` makes them.

    Args:
        full: share of the pictures that get the first of their captions; the others get any.
        dropped: share of the captions that are left out.
    """

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        codes, device = batch["codes"], batch["codes"].device
        chosen = one_each(batch["text"], full)
        mask = drop_captions(batch["attention_mask"][chosen], torch.rand(len(codes), device=device), dropped)
        losses = model.losses(batch["text"][chosen], mask, codes)
        return losses.joint, {"words": losses.text.detach(), "codes": losses.codes.detach()}

    return Player("dalle", model, objective, learning_rate, (0.9, 0.98), weight_decay=0.05, ema_decay=ema_decay)


# --- drawing ----------------------------------------------------------------------------------------------------------


def drawn_codes(
    model: Dalle,
    texts: Sequence[str],
    generator: torch.Generator,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = TOP_P,
    guidance_scale: float = GUIDANCE,
    known: Tensor | None = None,
) -> Tensor:
    """Codes (texts, 8, 8) on the CPU, one grid for each text; settings as for `Dalle.generate`, `known` (texts, rows, 8)."""
    device = next(model.parameters()).device
    ids, mask = text_ids(texts, model.config.text_length)
    parts = []
    for part in torch.arange(len(ids)).split(CHUNK):
        codes = model.generate(
            ids[part].to(device), mask[part].to(device), generator, temperature=temperature, top_k=top_k, top_p=top_p,
            guidance_scale=guidance_scale, known=None if known is None else known[part].to(device),
        )  # fmt: skip
        parts.append(codes.cpu())
    return torch.cat(parts)


def drawn(
    model: Dalle,
    texts: Sequence[str],
    generator: torch.Generator,
    count: int = 1,
    autoencoder: VQVAE | None = None,
    **settings: float,
) -> Tensor:
    """Pictures (texts, count, 3, 32, 32) in [-1, 1] on the CPU, `count` for each text.

    Args:
        autoencoder: that decodes; by default `vqvae-scenes`.
        settings: as for `drawn_codes`.
    """
    codes = drawn_codes(model, [text for text in texts for _ in range(count)], generator, **settings)
    return decoded(autoencoder or load(VQVAE_SCENES), codes).unflatten(0, (len(texts), count))


def by_clip(images: Tensor, texts: Sequence[str]) -> Tensor:
    """The same pictures (texts, n, 3, 32, 32), those first that `clip-scenes` finds nearest to their text."""
    clip = load(CLIP_SCENES)
    embeddings = embed_pictures(clip, images.flatten(0, 1)).unflatten(0, images.shape[:2])
    order = rerank(embeddings, embed_texts(clip, scene_ids(texts)))
    return images[torch.arange(len(images))[:, None], order]


# --- measuring --------------------------------------------------------------------------------------------------------


def _dalle_metrics(model: Dalle, samples: int) -> dict[str, float]:
    """The best of eight by CLIP; `first_...` without a choice, `unseen_pairs_right` of pairs of shape and colour that training never shows."""
    asked, unseen = prompts("test", samples), prompts("compositional", max(1, samples // 4))
    images = drawn(model, asked.texts, runtime.generator(1), BEST_OF)
    others = by_clip(drawn(model, unseen.texts, runtime.generator(1), BEST_OF), unseen.texts)[:, 0]
    first = match(images[:, 0], asked)
    return prompt_scores(by_clip(images, asked.texts)[:, 0], asked) | {
        "first_attributes": first["attributes"],
        "first_all_right": first["all_right"],
        "unseen_pairs_right": match(others, unseen)["all_right"],
    }


def _real(samples: int, autoencoded: bool) -> dict[str, float]:
    """Measures of the prompts' own scenes, sent through the autoencoder; or of those of other prompts."""
    asked, unseen = prompts("test", samples), prompts("compositional", max(1, samples // 4))
    images, others = render(asked.records), render(unseen.records)
    if autoencoded:
        model = load(VQVAE_SCENES)
        images, others = (decoded(model, *encoded(model, few)) for few in (images, others))
    else:
        images, others = images.roll(1, 0), others.roll(1, 0)
    scores = prompt_scores(images, asked)
    return scores | {
        "first_attributes": scores["attributes"],
        "first_all_right": scores["all_right"],
        "unseen_pairs_right": match(others, unseen)["all_right"],
    }


DALLE_SCENES = Recipe(
    name="dalle-scenes",
    chapter="06_text_to_image",
    notebook=NOTEBOOK,
    system="DALL-E",
    paper="Ramesh et al., ICML 2021",
    data="scenes, as codes of vqvae-scenes, with their captions",
    model=lambda: Dalle(NETWORK),
    players=dalle_player,
    loader=lambda: loader(CaptionedCodes(scale(smoke=500, cpu=ENCODED, gpu=ENCODED)), 32),
    steps={"smoke": 3, "cpu": 5_500, "gpu": 60_000},
    metrics=_dalle_metrics,
    targets={"attributes": Target(at_least=0.85), "all_right": Target(at_least=0.6)},
    samples=1000,
    quick_samples=32,
    chance=lambda samples: _real(samples, autoencoded=False),
    ceiling=lambda samples: _real(samples, autoencoded=True),
    sample=lambda model, count, generator: drawn(model, prompts("test", count).texts, generator)[:, 0],
    minutes=60,
    about="Captions and 8x8 codes as one sequence of 116 tokens. Drawn with guidance 2 from the likeliest codes that hold 0.95; of eight pictures "
    "for each prompt `clip-scenes` chooses one. `first_attributes` and `first_all_right` are without that choice, `unseen_pairs_right` is of "
    "captions that name a pair of shape and colour that training never shows.",
)

DALLE_RECIPES: tuple[Recipe, ...] = (DALLE_SCENES,)
"""`course train dalle-scenes`."""
