# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Welcome: everything on one page
#
# | | |
# |---|---|
# | **Time** | 10 minutes of play; the code runs in about 1 minute on a laptop's CPU, less on a GPU |
# | **You need** | nothing: there is nothing to write here |
# | **Builds on** | the trained models that come with the course, one or two of each chapter |
#
# Run all cells (*Run*, *Run All Cells*), and play: move the sliders, type into the boxes and press Enter. In the chapters you write, piece by piece,
# what works here already; each title leads to the notebook that builds it.

# %%
import torch
from torch import Tensor

from course_utils import plots, runtime, scale, training, widgets
from course_utils.autoencoders import recipes as autoencoders
from course_utils.captioning_vqa import blip_recipes
from course_utils.clip import recipes as clip
from course_utils.data.scenes import COLORS, SHAPES, records, render
from course_utils.diffusion import DDIM, Ancestral, inference_timesteps, sample, trajectory
from course_utils.diffusion import recipes as diffusion
from course_utils.gans import recipes as gans
from course_utils.layers import draw_normal
from course_utils.text_to_image import dalle_recipes
from course_utils.text_to_image import recipes as text_to_image
from course_utils.translation import recipes as translation

device = runtime.device()
runtime.seed_everything(0)

# %% [markdown]
# ## Chapter 1: [a map of letters](01_autoencoders/02_vae.ipynb)
#
# A variational autoencoder of two numbers for each character. Every place of the sheet is a pair of numbers; what stands there is decoded from them.

# %%
letters = training.load(autoencoders.VAE_GLYPHS)


def decode(codes: Tensor) -> Tensor:
    """Codes (batch, 2) to pictures (batch, 1, 32, 32)."""
    with torch.inference_mode():
        return letters.decode(codes.to(device)).cpu()


ticks = torch.special.ndtri((torch.arange(14) + 0.5) / 14)  # equally likely steps of a normal distribution
plots.show(
    plots.image_grid(decode(torch.cartesian_prod(ticks.flip(0), ticks).flip(1)), columns=14, padding=0),
    alt="A sheet of fourteen by fourteen letters and digits that change smoothly into their neighbours.",
)
widgets.explorer(
    lambda right, up: decode(torch.tensor([[right, up]])),
    alt="the character at this place of the map", zoom=6, right=(-2.5, 2.5, 0.0), up=(-2.5, 2.5, 0.0),
)  # fmt: skip

# %% [markdown]
# ## Chapter 2: [faces of nobody](02_gans/02_dcgan.ipynb)
#
# Of two networks that play against each other, one has learned to turn noise into faces. Another number is other noise, and other faces.

# %%
faces = training.load(gans.DCGAN_FACES)


def draw_faces(number: int) -> Tensor:
    """Sixteen faces (16, 3, 32, 32) of that seed."""
    with torch.inference_mode():
        return faces.sample(16, generator=runtime.generator(number)).cpu()


plots.show(
    plots.image_grid(draw_faces(0), columns=8),
    alt="Sixteen cartoon faces with different hair, hats, glasses and smiles.",
)
widgets.explorer(draw_faces, alt="sixteen faces drawn from the number", columns=8, zoom=2, number=(0, 99, 1))

# %% [markdown]
# ## Chapter 3: [day to night](03_translation/02_cyclegan.ipynb)
#
# A CycleGAN has seen days, and it has seen nights, but never the same place by day and by night. It translates all the same, and back.

# %%
translator = training.load(translation.CYCLEGAN_DAY2NIGHT)
days = render(records("test", range(100)), 32, "day")


def there_and_back(day: Tensor) -> dict[str, Tensor]:
    """Days (batch, 3, 32, 32), these translated to nights, and the nights translated back to days."""
    night = translation.translated(translator, day)
    return {"day": day, "to night": night, "and back": translation.translated(translator, night, "y_to_x")}


plots.show(
    plots.image_grid(there_and_back(days[:8]), columns=8),
    alt="Eight scenes by day; the same translated to dark blue nights; and translated back to days.",
)
widgets.explorer(
    lambda scene: torch.cat(list(there_and_back(days[scene : scene + 1]).values())),
    alt="a scene by day, translated to night, and back", columns=3, zoom=4, scene=(0, 99, 8),
)  # fmt: skip

# %% [markdown]
# ## Chapter 4: [out of noise](04_diffusion/01_ddpm.ipynb)
#
# A diffusion model takes noise away, a little at a time, until a picture is left: the one that was ordered.

# %%
denoiser = training.load(diffusion.DDPM_SCENES)
process = diffusion.process()


def order(color: str, shape: str) -> Tensor:
    """The class (1,) that draws a shape in a colour."""
    return torch.tensor([SHAPES.index(shape) * len(COLORS) + COLORS.index(color)], device=device)


orders = [("red", "circle"), ("blue", "star"), ("pink", "heart")]
path = process.path(inference_timesteps(1000, scale(smoke=8, cpu=48, gpu=96)))
noise = draw_normal((len(orders), 3, 32, 32), runtime.generator(2), device)
asked = torch.cat([order(*words) for words in orders])
steps = list(trajectory(process.denoiser(denoiser, asked), Ancestral(), noise, path, runtime.generator(3)))
moments = [round(share * (len(steps) - 1)) for share in (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1)]
strip = torch.stack([noise, *(steps[moment].noisy for moment in moments)], dim=1).flatten(0, 1)
plots.show(
    plots.image_grid(strip.clamp(-1, 1).cpu(), columns=8),
    alt="Three rows from coloured noise at the left to a picture at the right: a red circle, a blue star, a pink heart.",
)


def draw_order(color: str, shape: str, number: int) -> Tensor:
    """Four pictures (4, 3, 32, 32) of what was ordered, in twelve steps."""
    start = draw_normal((4, 3, 32, 32), runtime.generator(number), device)
    few = process.path(inference_timesteps(1000, 12))
    return sample(process.denoiser(denoiser, order(color, shape).expand(4)), DDIM(), start, few).clamp(-1, 1).cpu()


widgets.explorer(
    draw_order,
    alt="four pictures of what was ordered",
    zoom=3,
    color=list(COLORS),
    shape=list(SHAPES),
    number=(0, 99, 0),
)

# %% [markdown]
# ## Chapter 5: [find a picture by its description](05_clip/02_clip.ipynb)
#
# CLIP puts pictures and texts into one space. Type what you look for, then Enter.

# %%
reader = training.load(clip.CLIP_SCENES)
gallery = render(records("test", range(scale(smoke=64, cpu=2_000, gpu=10_000))), 32)
vectors = clip.embed_pictures(reader, gallery)


def look_for(text: str) -> Tensor:
    """The eight scenes (8, 3, 32, 32) that fit a text best."""
    words = clip.embed_texts(reader, clip.SEARCHABLE["clip-scenes"].ids([text]))
    return gallery[(words @ vectors.T)[0].topk(8).indices]


wanted = "a black cross and a yellow star"
plots.show(
    plots.image_grid(look_for(wanted), columns=8, title=wanted),
    alt=f"The eight scenes that fit the words {wanted!r} best.",
)
widgets.explorer(look_for, alt="the eight scenes that fit the text best", columns=8, zoom=2, text=wanted)

# %% [markdown]
# ## Chapter 6: [a prompt drawn](06_text_to_image/02_stable_diffusion.ipynb)
#
# Two models draw what you describe: the upper four pictures by diffusion, as Stable Diffusion does; the lower four by a transformer that writes a picture
# token by token, as DALL-E did. They know scenes like these, of one to four shapes, and no other world: ask for a unicorn, and see. The less
# you say, the more they add of their own.

# %%
painter = training.load(text_to_image.T2I_SCENES)
writer = training.load(dalle_recipes.DALLE_SCENES)


def draw_prompt(prompt: str, number: int) -> Tensor:
    """Eight pictures (8, 3, 32, 32): four by diffusion, then four of tokens."""
    diffused = text_to_image.drawn(painter, [prompt] * 4, runtime.generator(number))
    return torch.cat([diffused, dalle_recipes.drawn(writer, [prompt], runtime.generator(number), count=4)[0]])


prompt = "A yellow star at the top left and a blue circle at the bottom right."
plots.show(
    plots.image_grid(draw_prompt(prompt, 0), columns=4, title=prompt),
    alt=f"Two rows of four pictures for the words {prompt!r}: the upper row by diffusion, the lower row of tokens.",
)
widgets.explorer(
    draw_prompt,
    alt="four pictures by diffusion, and four of tokens",
    columns=4,
    zoom=3,
    prompt=prompt,
    number=(0, 99, 0),
)

# %% [markdown]
# ## Chapter 7: [a picture described](07_captioning_vqa/02_blip.ipynb)
#
# BLIP says what it sees. Here it has never seen these pictures, nor the prompts that the first four were drawn to; the others are scenes of the world. It also says how well a text goes with a picture: the last column is the probability that *there is a blue circle* does. Write a text of your own, press Enter, and see to which scenes it belongs.

# %%
speaker = training.load(blip_recipes.BLIP_SCENES)
looked_at = torch.cat([draw_prompt(prompt, 1)[:4], render(records("test", range(20, 24)))])
sentences = blip_recipes.described(speaker, looked_at)
claimed = blip_recipes.matched(speaker, looked_at, ["There is a blue circle."] * len(looked_at))
plots.show(plots.image_grid(looked_at, columns=8), alt="Eight pictures: four that were drawn above to a prompt, and four scenes of the world.")
plots.table(
    ({"picture": number, "BLIP says": sentence, "there is a blue circle": f"{value:.2f}"} for number, (sentence, value) in enumerate(zip(sentences, claimed.tolist(), strict=True), 1)),
    caption="What BLIP says of the eight pictures, from left to right",
)


many = render(records("test", range(scale(smoke=16, cpu=200, gpu=1000))))


def belongs(text: str) -> Tensor:
    """The eight scenes (8, 3, 32, 32) of many that a text belongs to most surely, each read together with it."""
    return many[blip_recipes.matched(speaker, many, [text] * len(many)).topk(8).indices]


widgets.explorer(belongs, alt="the eight scenes that the text belongs to most surely", columns=8, zoom=2, text="A red circle is above a blue object.")

# %% [markdown]
# ## Where to go
#
# To [the first notebook](01_autoencoders/01_autoencoder.ipynb). What you need to know beforehand, with a refresher, stands in `docs/prerequisites.md`.
