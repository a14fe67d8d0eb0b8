"""What notebook 02_stable_diffusion needs trained: a network that draws scenes to a caption, in the latents of `autoencoder-kl-scenes`, and one that
draws a character from its Unicode name, in pixels."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from course_utils import runtime, scale
from course_utils.clip.recipes import (
    CLIP_GLYPHS,
    FULL,
    GLYPHS_CLIP,
    SCENES_CLIP,
    SIZE,
    NamedGlyphs,
    embed_pictures,
    embed_texts,
    glyph_ids,
    one_each,
    right_names,
    scene_tokenizer,
    text_ids,
)
from course_utils.data import Glyphs, Scenes, loader
from course_utils.data.scenes import LEVELS, render
from course_utils.diffusion.ddpm import DiffusionConfig
from course_utils.diffusion.guidance import classifier_free
from course_utils.diffusion.latent_recipes import LATENT_DIFFUSION as PROCESS
from course_utils.diffusion.latent_recipes import autoencoder, decoded, encoded, process
from course_utils.diffusion.samplers import CHUNK, DDIM, sample_many
from course_utils.diffusion.schedules import inference_timesteps
from course_utils.layers import draw_normal
from course_utils.metrics import median_rank, ranks, recall_at_k
from course_utils.text_to_image import dalle_recipes
from course_utils.text_to_image.dalle import Dalle
from course_utils.text_to_image.dalle_recipes import DALLE_RECIPES
from course_utils.text_to_image.network import PromptNetwork, PromptNetworkConfig
from course_utils.text_to_image.prompts import Prompts, match, prompt_scores, prompts
from course_utils.text_to_image.stable_diffusion import StableDiffusion, caption_dropout
from course_utils.training import Player, Recipe, Target, load

NOTEBOOK = "06_text_to_image/02_stable_diffusion"
NETWORK = PromptNetworkConfig(vocab_size=SCENES_CLIP.vocab_size)
ENCODED = 30_000  # scenes whose latents are computed before the network learns them
DROPPED = 0.1  # share of the training prompts that are left empty, for guidance
STEPS, GUIDANCE = 25, 3.0  # of the sampler


# --- texts and pictures -----------------------------------------------------------------------------------------------


def prompt_ids(texts: Sequence[str]) -> Tensor:
    """Ids (texts, 52) int64, each text ended and filled up by the end token; an empty text is nothing else. One that is too long is cut."""
    return text_ids(texts, scene_tokenizer(), NETWORK.max_positions, NETWORK.end_token_id)


class PromptedLatents(Dataset):
    """Training scenes as `latents` (batch, 4, 8, 8), scaled, with `input_ids` (batch, levels, 52) of a caption of each level.

    All are encoded at the start, once.

    Args:
        length: number of scenes.
        objects: in each scene; None for 1 to 4.
        levels: of the captions.
    """

    def __init__(self, length: int, objects: int | None = None, levels: Sequence[str] = LEVELS) -> None:
        model, data = autoencoder(), Scenes("train", length=length, fields=("image", "captions"), objects=objects)
        kept, latents, ids = [LEVELS.index(level) for level in levels], [], []
        for start in range(0, length, 1000):
            part = data[range(start, min(start + 1000, length))]
            latents.append(encoded(model, part["image"]))
            ids.append(prompt_ids([few[level] for few in part["captions"] for level in kept]).short())
        self.latents = torch.cat(latents)
        self.ids = torch.cat(ids).unflatten(0, (length, len(kept)))  # (length, levels, 52)

    def __len__(self) -> int:
        return len(self.latents)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        chosen = torch.as_tensor(indices)
        return {"latents": self.latents[chosen], "input_ids": self.ids[chosen].long()}


def prompt_player(
    network: PromptNetwork,
    learning_rate: float = 1.2e-3,
    ema_decay: float = 0.998,
    full: float = FULL,
    config: DiffusionConfig = PROCESS,
    field: str = "latents",
) -> Player:
    """A network that learns to denoise latents, each with a prompt or none; batches as `PromptedLatents` makes them.

    Args:
        field: of a batch, that holds the latents, or the pictures where there are none.
        full: share of the prompts that are of the first level; the others are of any.
    """
    made = process(config)

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        latents, texts = batch[field], batch["input_ids"]
        made.to(latents.device)  # of several GPUs, the one of this process
        empty = torch.full_like(texts[0, 0], network.config.end_token_id)
        ids = caption_dropout(texts[one_each(texts, full)], empty, torch.rand(len(texts), device=texts.device), DROPPED)
        timesteps = torch.randint(0, made.config.num_train_timesteps, (len(latents),), device=latents.device)
        return made.loss(network, latents, torch.randn_like(latents), timesteps, ids), {}

    return Player("denoiser", network, objective, learning_rate=learning_rate, betas=(0.9, 0.95), ema_decay=ema_decay)


def pipeline(network: PromptNetwork, config: DiffusionConfig = PROCESS) -> StableDiffusion:
    """Text encoder and diffusion network with `autoencoder-kl-scenes`, ready to draw."""
    return StableDiffusion(prompt_ids, network.text_encoder, network.network, autoencoder(), process(config)).eval()


def drawn(
    network: PromptNetwork,
    texts: Sequence[str],
    generator: torch.Generator,
    *,
    negative: str = "",
    guidance_scale: float = GUIDANCE,
    num_inference_steps: int = STEPS,
    config: DiffusionConfig = PROCESS,
) -> Tensor:
    """Pictures (texts, 3, 32, 32) in [-1, 1] on the CPU, one for each text, by DDIM, a `CHUNK` after the other.

    Args:
        negative: what they shall not show; it stands where the empty prompt does in guidance.
        guidance_scale: 1 is the network as it is.
    """
    model = pipeline(network, config)
    parts = [texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
    settings = {"guidance_scale": guidance_scale, "num_inference_steps": num_inference_steps, "generator": generator}
    return torch.cat([model.generate(part, negative, **settings).cpu() for part in parts])


# --- measuring --------------------------------------------------------------------------------------------------------


def _asked(samples: int) -> dict[str, Prompts]:
    """The held-out prompts: full captions, full captions with unseen pairs of shape and colour, and relations among four objects."""
    few = max(1, samples // 4)
    return {
        "": prompts("test", samples),
        "unseen_pairs": prompts("compositional", few),
        "relation": prompts("test", few, "relation", 4),
    }


def _scores(pictures: dict[str, Tensor], asked: dict[str, Prompts]) -> dict[str, float]:
    others = {f"{name}_right": match(pictures[name], asked[name])["all_right"] for name in ("unseen_pairs", "relation")}
    return prompt_scores(pictures[""], asked[""]) | others


@torch.inference_mode()
def _t2i_metrics(network: PromptNetwork, samples: int) -> dict[str, float]:
    asked = _asked(samples)
    return _scores({name: drawn(network, few.texts, runtime.generator(1)) for name, few in asked.items()}, asked)


def _t2i_chance(samples: int) -> dict[str, float]:
    """Real scenes of other prompts."""
    asked = _asked(samples)
    return _scores({name: render(few.records).roll(1, 0) for name, few in asked.items()}, asked)


def _t2i_ceiling(samples: int) -> dict[str, float]:
    """The prompts' own scenes, sent through the autoencoder."""
    asked, model = _asked(samples), autoencoder()
    return _scores({name: decoded(model, encoded(model, render(few.records))) for name, few in asked.items()}, asked)


T2I_SCENES = Recipe(
    name="t2i-scenes",
    chapter="06_text_to_image",
    notebook=NOTEBOOK,
    system="text-to-image latent diffusion",
    paper="Rombach, Blattmann, Lorenz, Esser & Ommer, CVPR 2022; network as Chen et al., ICLR 2024",
    data="scenes, as latents of autoencoder-kl-scenes, with their captions",
    model=lambda: PromptNetwork(NETWORK),
    players=prompt_player,
    loader=lambda: loader(PromptedLatents(scale(smoke=500, cpu=ENCODED, gpu=ENCODED)), 64),
    steps={"smoke": 3, "cpu": 7_000, "gpu": 60_000},
    metrics=_t2i_metrics,
    targets={
        "attributes": Target(at_least=0.98),
        "position": Target(at_least=0.98),
        "all_right_to_three": Target(at_least=0.95),
        "all_right_four": Target(at_least=0.85),
    },
    samples=1000,
    quick_samples=64,
    chance=_t2i_chance,
    ceiling=_t2i_ceiling,
    sample=lambda network, count, generator: drawn(network, prompts("test", count).texts, generator),
    minutes=70,
    about="Draws scenes to a caption, by DDIM in 25 steps with guidance 3. The text encoder is trained along. `unseen_pairs_right` is of captions "
    "that name a pair of shape and colour that training never shows, `relation_right` of captions that say only how two of four objects lie.",
)


# --- characters from their names --------------------------------------------------------------------------------------

GLYPH_NETWORK = PromptNetworkConfig(
    vocab_size=GLYPHS_CLIP.vocab_size, max_positions=GLYPHS_CLIP.max_positions, channels=1, image_size=SIZE, patch_size=4, width=112, depth=4
)  # fmt: skip
GLYPH_PROCESS = DiffusionConfig(prediction_type="v_prediction", clip_sample=True)
GLYPH_GUIDANCE = 4.0


@torch.inference_mode()
def drawn_glyphs(
    network: PromptNetwork,
    names: Sequence[str],
    generator: torch.Generator,
    *,
    negative: str = "",
    guidance_scale: float = GLYPH_GUIDANCE,
    num_inference_steps: int = STEPS,
) -> Tensor:
    """Pictures (names, 1, 32, 32) in [-1, 1] on the CPU, one for each name, by DDIM; what else is given is as for `drawn`."""
    device, made = next(network.parameters()).device, process(GLYPH_PROCESS)
    contexts = torch.cat([network.text_encoder(part.to(device)) for part in glyph_ids(names).split(CHUNK)])
    nothing = network.text_encoder(glyph_ids([negative]).to(device))

    def asked(noisy: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        return network.network(noisy, timesteps, context=context)

    noise = draw_normal((len(names), 1, SIZE, SIZE), generator, device)
    path = made.path(inference_timesteps(made.config.num_train_timesteps, num_inference_steps))
    return sample_many(classifier_free(asked, nothing, guidance_scale), made, DDIM(), noise, path, contexts)


def _glyph_scores(images: Tensor, right: Tensor, names: Sequence[str]) -> dict[str, float]:
    """How well `clip-glyphs` finds the name, among all held-out ones, that a picture (count, 1, 32, 32) was drawn from.

    Args:
        right: (count, names) bool, the names that look the same as the one asked for.
    """
    model = load(CLIP_GLYPHS)
    found = ranks(embed_pictures(model, images) @ embed_texts(model, glyph_ids(names)).T, right)
    return {
        "recall_at_1": recall_at_k(found, 1),
        "recall_at_10": recall_at_k(found, 10),
        "median_rank": median_rank(found),
    }


def _asked_glyphs(samples: int) -> tuple[Tensor, list[str], list[str], Tensor]:
    """Held-out pictures, their names, all held-out names, and which of those are right for which picture."""
    images, every, right = right_names(samples)
    own = Glyphs("test", SIZE, "all", fields=("caption",), length=samples).__getitems__(range(samples))["caption"]
    return images, own, every, right


def _glyph_metrics(network: PromptNetwork, samples: int) -> dict[str, float]:
    _, own, every, right = _asked_glyphs(samples)
    return _glyph_scores(drawn_glyphs(network, own, runtime.generator(1)), right, every)


def _glyph_chance(samples: int) -> dict[str, float]:
    """Real characters of other names."""
    images, _, every, right = _asked_glyphs(samples)
    return _glyph_scores(images.roll(samples // 2, 0), right, every)


def _glyph_ceiling(samples: int) -> dict[str, float]:
    """The characters themselves."""
    images, _, every, right = _asked_glyphs(samples)
    return _glyph_scores(images, right, every)


T2I_GLYPHS = Recipe(
    name="t2i-glyphs",
    chapter="06_text_to_image",
    notebook=NOTEBOOK,
    system="text-to-image diffusion",
    paper="Ho & Salimans, 2022; network as Chen et al., ICLR 2024",
    data="glyphs with their Unicode names",
    model=lambda: PromptNetwork(GLYPH_NETWORK),
    players=lambda network: prompt_player(network, full=0.0, config=GLYPH_PROCESS, field="image"),
    loader=lambda: loader(NamedGlyphs("train"), 64),
    steps={"smoke": 3, "cpu": 4_500, "gpu": 60_000},
    metrics=_glyph_metrics,
    samples=1000,
    quick_samples=64,
    chance=_glyph_chance,
    ceiling=_glyph_ceiling,
    sample=lambda network, count, generator: drawn_glyphs(network, _asked_glyphs(count)[1], generator),
    minutes=30,
    about="Draws a character from its Unicode name, in pixels, by DDIM in 25 steps with guidance 4. The names it is measured on belong to characters "
    "that it never saw: it has to know a letter, and what an accent or a script does to it. `clip-glyphs` reads the drawing back. A `recall_at_10` "
    "of 0.3 had been hoped for: most words of these names occur a few times only, and half an hour is short.",
)


def _prompted(network: PromptNetwork, texts: Sequence[str], generator: torch.Generator, negative: str) -> Tensor:
    return drawn(network, texts, generator, negative=negative)


def _prompted_glyphs(network: PromptNetwork, names: Sequence[str], generator: torch.Generator, negative: str) -> Tensor:
    return drawn_glyphs(network, names, generator, negative=negative)


def _prompted_dalle(model: Dalle, texts: Sequence[str], generator: torch.Generator, negative: str) -> Tensor:
    if negative:
        raise ValueError("dalle-scenes takes no negative prompt: leave it out, or draw with t2i-scenes")
    return dalle_recipes.drawn(model, texts, generator)[:, 0]


PROMPTABLE: dict[str, Callable[[nn.Module, Sequence[str], torch.Generator, str], Tensor]] = {
    "dalle-scenes": _prompted_dalle,
    "t2i-glyphs": _prompted_glyphs,
    "t2i-scenes": _prompted,
}
"""What `course sample NAME --prompt` draws with: (model, texts, generator, negative prompt) -> pictures (texts, channels, height, width)."""

RECIPES: tuple[Recipe, ...] = (*DALLE_RECIPES, T2I_SCENES, T2I_GLYPHS)
