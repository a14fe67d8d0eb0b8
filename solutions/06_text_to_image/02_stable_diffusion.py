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
# # Stable Diffusion: pictures to order
#
# | | |
# |---|---|
# | **Time** | 110 minutes of work, 55 of them exercises; the code runs in about 7 minutes on a laptop's CPU |
# | **You need** | chapter 4 (a DDIM step, guidance, latents, cross-attention); a transformer that reads text (chapter 5, notebook 1) |
# | **Builds on** | ideas of those; nothing that you wrote there is needed here |
# | **Code** | `course_utils/text_to_image/stable_diffusion.py`, `network.py`, `prompts.py`, `course_utils/diffusion/guidance.py` |
# | **Papers** | Rombach, Blattmann, Lorenz, Esser and Ommer, *High-resolution image synthesis with latent diffusion models*, CVPR 2022 · Ho and Salimans, *Classifier-free diffusion guidance*, 2022 · Liu et al., *Compositional visual generation with composable diffusion models*, ECCV 2022 · Meng et al., *SDEdit*, ICLR 2022 · Saharia et al., *Imagen*, NeurIPS 2022 · Ghosh, Hajishirzi and Schmidt, *GenEval*, NeurIPS 2023 |
#
# A sentence goes in, a picture comes out. You have met all the parts: an autoencoder whose latents are small, a diffusion model that draws such latents, cross-attention by which a picture asks a text (all three in chapter 4, notebook 3), and text encoders (chapter 5). This notebook puts them together as Stable Diffusion does,
# and asks of each part what it is good for: what happens without it, and how one knows.
#
# A small model of this kind, made for the course, was given the eight texts below, four times each. No such picture lies in any file; only the noise it began with decides between the four of one text:

# %%
import dataclasses
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import plots, runtime, scale, training, widgets
from course_utils.checks import text_to_image as check
from course_utils.clip import CLIPConfig
from course_utils.clip.recipes import SEARCHABLE
from course_utils.data import loader
from course_utils.data.records import join
from course_utils.data.scenes import BACKGROUNDS, COLORS, SHAPES, captions, records, render, scene
from course_utils.diffusion import DDIM, AutoencoderKL, AutoencoderKLConfig, UNet, UNetConfig, inference_timesteps, sample
from course_utils.diffusion.latent_recipes import autoencoder as load_autoencoder
from course_utils.diffusion.latent_recipes import decoded, encoded
from course_utils.layers import draw_integers, draw_normal
from course_utils.text_to_image import CLIPPromptEncoder, StableDiffusion, experiments, recipes
from course_utils.text_to_image.network import PromptNetwork
from course_utils.text_to_image.prompts import Prompts, clip_score, interval, match, prompts, read, verdicts

device = runtime.device()
runtime.seed_everything(0)

autoencoder = load_autoencoder()  # of chapter 4, shipped with the course
reference = training.load(recipes.T2I_SCENES)  # shipped, too; trained longer than there is time for here
GALLERY = (
    "One object on a cream background: a large red circle at the top left.",
    "Two objects on a sand background: a large red circle at the top left and a small blue star at the bottom right.",
    "Two objects on a sand background: a large blue circle at the top left and a small red star at the bottom right.",
    "Three objects on a mint background: a large black cross at the top left, a small pink heart at the top right and a large cyan square at the bottom left.",
    "A yellow heart is above a pink circle.",
    "Exactly two triangles.",
    "There is a large orange cross.",
    "The background is lavender.",
)
ALIKE = 4  # pictures of one prompt
several = recipes.drawn(reference, [text for text in GALLERY for _ in range(ALIKE)], runtime.generator(1), num_inference_steps=scale(smoke=2, cpu=25, gpu=25))
for number, text in enumerate(GALLERY, 1):
    print(f"{number}  {text}")
rows = several.unflatten(0, (len(GALLERY), ALIKE))  # (prompts * 4, ...) -> (prompts, 4, ...)
plots.show(
    plots.image_grid({f"{number}, {number + 1}": torch.cat([rows[number - 1], rows[number]]) for number in range(1, len(GALLERY), 2)}, columns=2 * ALIKE),
    alt="Four rows of eight pictures, drawn by the course's model: in each row four to one of the texts printed above and four to the next.",
)

# %% [markdown]
# ## The idea
#
# Two parts, joined by a table of vectors alone. One reads, one draws:
#
#       THE READER      prompt ──► tokens ──► text encoder ──► context: a vector for each token
#                                                                 │
#                                                                 │  cross-attention, at every place, in every block, at every step
#                                                                 ▼
#       THE PAINTER     seed ──► noise ──► network ──► less noise ──► network ──► …  ──► latents ──► decoder ──► picture
#                                 8×8×4       ▲ time                     ▲ time            8×8×4                  32×32×3
#
# **The reader.** A prompt is cut into tokens, and a transformer makes one vector of each, in which it has seen the others: "red" means nothing before it is known what is red, and where that stands. Stable Diffusion takes the text encoder of a CLIP (chapter 5), frozen, and its *last hidden state*, all 77 tokens; not the single vector that CLIP compares with pictures. Ours is two layers, trained along with the painter.
#
# **The painter.** A latent diffusion model, in Stable Diffusion a U-Net, here a small diffusion transformer. At each step, each place (here a patch of 2×2 latents) asks the context what belongs there (chapter 4, notebook 3, exercise 2). The painter is trained as there; the only news is that it is told the text:
#
# $$ \mathcal L = \mathbb E \,\big\lVert\, v - v_\theta\big(z_t,\; t,\; \tau(y)\big) \big\rVert^2, \qquad z_t = \sqrt{a_t}\, z_0 + \sqrt{1 - a_t}\,\epsilon, \qquad v = \sqrt{a_t}\,\epsilon - \sqrt{1 - a_t}\, z_0 $$
#
# - $\mathbb E$: the mean over training pictures with their captions, times and noise,
# - $z_0$: the latents of a training picture, $y$ its caption, $\epsilon$: standard normal noise, $t$: a time, drawn for each picture,
# - $a_t$: `alphas_cumprod`, the share of the picture's variance that is left at time $t$,
# - $\tau$: the text encoder, $\tau(y)$ the **context**, (tokens, width); $v_\theta$: the network, which answers with the velocity (Stable Diffusion 1 answers with the noise, $\epsilon$: nothing below depends on it).
#
# Nobody tells the network which word belongs to which place. It has pictures and captions, and must find out.
#
# ## Exercise 1 · Captions that are left out · *5 minutes, easy, core*
#
# To draw well, the network will be asked two questions at every step: what does this look like, given the text, and what would it look like without any? So it must learn both. While it trains, each caption is dropped with a small probability: *all the ids of the empty prompt* stand in its place. (Here these are nothing but 511: this tokenizer's end token, which also fills rows up; it has no start token.) The last training of Stable Diffusion 1.5 dropped a tenth of the captions (its model card); so does ours.
#
# <details><summary>Hint</summary>
#
# `torch.where(condition, a, b)` takes `a` where the condition holds. It has to say so for each *row*: a condition of shape (batch, 1) does.
# </details>
#
# *Stuck? Set `caption_dropout = check.caption_dropout.reference` and go on. The same works for `with_negative`, `image_to_image_start` and `inpainting_step`.*

# %% nbgrader={"grade": false, "grade_id": "caption-dropout", "locked": false, "schema_version": 3, "solution": true, "task": false}
def caption_dropout(input_ids: Tensor, empty_ids: Tensor, uniform: Tensor, probability: float) -> Tensor:
    """Ids of captions (batch, n), those of the empty prompt in the rows whose number is below the probability.

    Args:
        input_ids: (batch, n) int64.
        empty_ids: (n,) int64, of the empty prompt.
        uniform: (batch,), a number for each caption, uniform in [0, 1).
        probability: of being dropped.
    """
    ### BEGIN SOLUTION
    return torch.where((uniform < probability)[:, None], empty_ids, input_ids)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "caption-dropout-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.caption_dropout(caption_dropout)
### BEGIN HIDDEN TESTS
check.caption_dropout(caption_dropout, hidden=True)
### END HIDDEN TESTS

# %%
# NBVAL_CHECK_OUTPUT
shown = recipes.prompt_ids(["A red circle is at the top left.", "There is a blue star.", ""])[:, :12]
dropped = caption_dropout(shown, shown[2], torch.tensor([0.05, 0.7, 0.4]), 0.1)
for name, ids in (("ids", shown), ("one dropped", dropped)):
    print(f"{name}:")
    for row in ids.tolist():
        print("  ", *(f"{number:>4}" for number in row))

# %% [markdown]
# (Leave this cell as it is. The check of the next exercise can hand out only tensors, so it tests your `guided_prediction` through this function, which brings a tiny network along.)


# %%
def prediction_of_a_network(weight: Tensor, noisy: Tensor, timesteps: Tensor, context: Tensor, empty_context: Tensor, guidance_scale: float) -> Tensor:
    """Your `guided_prediction` of a network of one layer, with these weights."""

    def network(noisy: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        features = torch.cat([noisy.flatten(1), timesteps[:, None] / 10, context.flatten(1)], dim=1)
        return torch.tanh(features @ weight).view_as(noisy)

    return guided_prediction(network, noisy, timesteps, context, empty_context, guidance_scale)


# %% [markdown]
# ## Exercise 2 · The guided prediction · *10 minutes, easy, core*
#
# Classifier-free guidance, as for labels (chapter 4, notebook 2): go from the answer without the text towards the answer with it, and on beyond.
#
# $$ \tilde v = v_\theta(z_t, t, \varnothing) + s\, \big( v_\theta(z_t, t, c) - v_\theta(z_t, t, \varnothing) \big) $$
#
# - $c = \tau(y)$: the context of the prompt, $\varnothing = \tau(\text{""})$: that of the empty one; one for all pictures, so it comes with a batch of one,
# - $s$: the **guidance scale**: 0 ignores the text, 1 is the network as it is. The library diffusers draws with 7.5 unless one asks for another, we with 3 (*What guidance buys* compares).
#
# Ask the network *once*, with a batch twice as large: on a GPU that is quicker than two calls (which would be right, too).
#
# <details><summary>Hint</summary>
#
# Everything is doubled with `torch.cat`: latents, times, contexts. `empty_context.expand_as(context)` repeats the one row without copying it. The answers come back in the order of the questions, and `.chunk(2)` cuts them in two.
# </details>
#
# *Stuck? Set* `guided_prediction = lambda network, z, t, c, empty, s: stable_diffusion.guided_prediction(network, z, t, c, empty.expand_as(c), s)` *after* `from course_utils.text_to_image import stable_diffusion`.

# %% nbgrader={"grade": false, "grade_id": "guided-prediction", "locked": false, "schema_version": 3, "solution": true, "task": false}
def guided_prediction(network, noisy: Tensor, timesteps: Tensor, context: Tensor, empty_context: Tensor, guidance_scale: float) -> Tensor:
    """What the network answers about noisy latents, guided towards the text: of the shape of `noisy`.

    Args:
        network: called as `network(noisy, timesteps, context)`, gives its answer, of the shape of `noisy`.
        noisy: z_t, (batch, channels, h, w).
        timesteps: (batch,).
        context: (batch, n, width), of the prompts.
        empty_context: (1, n, width), of the empty prompt.
        guidance_scale: s.
    """
    ### BEGIN SOLUTION
    contexts = torch.cat([context, empty_context.expand_as(context)])
    with_text, without = network(torch.cat([noisy, noisy]), torch.cat([timesteps, timesteps]), contexts).chunk(2)
    return without + guidance_scale * (with_text - without)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "guided-prediction-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.prediction_of_a_network(prediction_of_a_network)
### BEGIN HIDDEN TESTS
check.prediction_of_a_network(prediction_of_a_network, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# With it you can draw. Whatever this notebook draws with the course's networks goes through your function:

# %%
process = recipes.process()
table = process.alphas_cumprod
STEPS = scale(smoke=2, cpu=25, gpu=25)


@torch.inference_mode()
def draw(
    network: PromptNetwork, texts: list[str], negative: str = "", guidance_scale: float = 3.0, seed: int = 1, steps: int = STEPS,
    start: Tensor | None = None, timesteps: list[int] | None = None, constrain=None,
) -> Tensor:  # fmt: skip
    """Pictures (texts, 3, 32, 32) on the CPU, by your guided prediction and DDIM.

    Args:
        negative: its context stands where the empty prompt's does.
        start, timesteps: latents (texts, 4, 8, 8) to begin with, and the times to visit from there on; by default noise, and all of the way.
        constrain: what is done to the latents after each step.
    """
    ids = recipes.prompt_ids([*texts, negative])[:, : network.config.max_positions]  # the small network below reads 16 tokens
    contexts = network.text_encoder(ids.to(device))

    def answer(noisy: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        return network.network(noisy, timesteps, context=context)

    def guided(noisy: Tensor, timesteps: Tensor) -> Tensor:
        return guided_prediction(answer, noisy, timesteps, contexts[:-1], contexts[-1:], guidance_scale)

    noise = draw_normal((len(texts), 4, 8, 8), runtime.generator(seed), device) if start is None else start
    path = process.path(inference_timesteps(len(table), steps) if timesteps is None else timesteps)
    return decoded(autoencoder, sample(process.denoiser(guided), DDIM(), noise, path, constrain=constrain))


held_out = prompts("test", scale(smoke=8, cpu=100, gpu=1000))
sheets, counted = {}, []
for s in (0.0, 1.0, 3.0, 8.0):
    images = draw(reference, held_out.texts, guidance_scale=s)
    sheets[f"scale {s:g}"] = images[:10]
    counted.append({"guidance scale": s, **match(images, held_out)})
sheets["a scene\nbehind it"] = render(held_out.records)[:10]
for number, text in enumerate(held_out.texts[:3], 1):
    print(f"{number}  {text}")
plots.show(
    plots.image_grid(sheets, columns=10),
    alt="Five rows of ten pictures: drawn by your guided prediction to ten held-out prompts with guidance scales 0, 1, 3 and 8, always from the same noise, and the scenes that the prompts describe.",
)
plots.table(
    ({"guidance scale": row["guidance scale"], "attributes right": row["attributes"], "places right": row["position"], "all right": row["all_right"]} for row in counted),
    caption=f"{len(held_out.texts)} held-out prompts, as the scene judge reads the pictures",
)
if runtime.scale_name() != "smoke":
    assert counted[2]["all_right"] > counted[0]["all_right"] + 0.3, "guided pictures should follow their prompts far more often than pictures without a text"

# %% [markdown]
# How is "right" known? A prompt describes a scene of which everything is on record. The **scene judge**, a network that read all of 5,000 held-out scenes without an error, reads the drawn picture, and what it reads is compared with the record:
#
# - *attributes*: of the shapes, colours and sizes of all objects, the share that is found at its object's place; *places* or *position*: the share of the four places that hold the right shape, or nothing,
# - *all right*: whether everything that the prompt states is true of the picture, with nothing too much where it says how many there are.
#
# Whether such a judge can be trusted with *drawn* pictures, question 3 asks.
#
# ## Exercise 3 · Negative prompts · *10 minutes, medium, core*
#
# "A star. *Not* blue, please." A text encoder that has never read a "not" cannot be asked so (see *Break it*). But the painter can be led *away* from a text just as it was led towards one. What a text **adds** is its answer minus the answer without any; add what the prompt adds, and take off what the negative prompt adds (Liu et al. compose texts so, and negate them):
#
# $$ \tilde v = v_\varnothing \;+\; s\, ( v_{+} - v_\varnothing ) \;-\; m\, ( v_{-} - v_\varnothing ) $$
#
# - $v_\varnothing, v_{+}, v_{-}$: the network's answers about the same latents at the same time, without a text, for the prompt, and for the **negative prompt**,
# - $s$: the guidance scale, $m$: the negative one's own scale; 0 does without it.

# %% nbgrader={"grade": false, "grade_id": "with-negative", "locked": false, "schema_version": 3, "solution": true, "task": false}
def with_negative(unconditional: Tensor, positive: Tensor, negative: Tensor, guidance_scale: float, negative_scale: float) -> Tensor:
    """One answer (batch, channels, h, w): towards the prompt, away from the negative prompt.

    Args:
        unconditional, positive, negative: the network's answers without a text, for the prompts, and for the negative prompts, (batch, channels, h, w) each.
        guidance_scale: s, of what the prompt adds.
        negative_scale: m, of what the negative prompt adds.
    """
    ### BEGIN SOLUTION
    towards = guidance_scale * (positive - unconditional)
    away = negative_scale * (negative - unconditional)
    return unconditional + towards - away
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "with-negative-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.with_negative(with_negative)
### BEGIN HIDDEN TESTS
check.with_negative(with_negative, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Three questions a step instead of two. Choose $m = s - 1$, and look where $v_\varnothing$ stands: once by itself, $-s$ times, and $+m$ times, together $1 - s + m = 0$. It drops out:
#
# $$ \tilde v = v_{-} + s\, (v_{+} - v_{-}) $$
#
# This is exercise 2 with the negative prompt *in the place of the empty one*. So no new code is needed, and no third question: this is what the box "negative prompt" of the programs does, and what `negative` does in your `draw`. Below: does it work, and what does it do to the star?

# %%
# NBVAL_CHECK_OUTPUT
u, p, n = draw_normal((3, 2, 4, 8, 8), runtime.generator(1))  # answers without a text, for a prompt, and for a negative prompt


def answers(noisy: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
    """A network that answers p to a context of ones, and n to one of zeros."""
    copies = len(noisy) // len(p)
    return torch.where(context[:, :, :, None] > 0, p.repeat(copies, 1, 1, 1), n.repeat(copies, 1, 1, 1))


for s in (3.0, 7.5):
    two_questions = guided_prediction(answers, u, torch.zeros(2), torch.ones(2, 1, 1), torch.zeros(1, 1, 1), s)
    gap = with_negative(u, p, n, s, s - 1) - two_questions
    print(f"scale {s:g}: largest difference between three questions and two {gap.abs().max().item():.3f}")

# %%
wish = ["There is a star."] * scale(smoke=6, cpu=60, gpu=400)
negatives = {"no negative": "", "not blue": "There is a blue object.", "not sand": "The background is sand.", "no heart": "There is a heart."}
sheets, counted = {}, []
for name, negative in negatives.items():
    images = draw(reference, wish, negative)
    seen = read(images)
    sheets[name] = images[:10]
    counted.append({
        "negative prompt": negative or "(none)",
        "shows a star": (seen.shape == SHAPES.index("star")).any(1).float().mean().item(),
        "something blue": (seen.color == COLORS.index("blue")).any(1).float().mean().item(),
        "sand": (seen.background == BACKGROUNDS.index("sand")).float().mean().item(),
        "a heart": (seen.shape == SHAPES.index("heart")).any(1).float().mean().item(),
    })  # fmt: skip
plots.show(
    plots.image_grid(sheets, columns=10),
    alt="Four rows of ten pictures, all drawn to the prompt that there is a star, from the same noise: without a negative prompt, against a blue object, against a sand background, and against a heart.",
)
plots.table(counted, caption=f'"There is a star.", {len(wish)} pictures each, from the same noise')

# %% [markdown]
# ## Train
#
# Seventy minutes of one core made the reference. In a few minutes a smaller network can learn a smaller task: captions of *one* object, that say its colour, its shape and its place, such as "A red circle is at the top left." (Captions come in **levels**: *places* are such, *full* ones also say sizes and background, *objects* are without places, as in "Only a red circle.") Text encoder and painter learn together, from scratch, with your dropped captions; the encoder is here only a vector for each word and its place, without layers (*Who shall read the prompt?* below says why that will do). The bare ingredients: latents, ids, noise, times, and the loss of chapter 4.

# %%
small = dataclasses.replace(recipes.NETWORK, max_positions=16, text_width=96, text_depth=0, width=96, depth=4)
one_object = recipes.PromptedLatents(scale(smoke=64, cpu=4000, gpu=20_000), objects=1, levels=("places",))
empty = recipes.prompt_ids([""])[0, : small.max_positions].to(device)


def drawing_to_prompts(network: PromptNetwork) -> training.Player:
    """Latents learned together with their captions, for `training.fit`."""

    def objective(batch: dict) -> tuple[Tensor, dict]:
        latents, ids = batch["latents"], batch["input_ids"][:, 0, : small.max_positions]  # axis 1: levels, here one
        ids = caption_dropout(ids, empty, torch.rand(len(ids), device=device), recipes.DROPPED)
        timesteps = torch.randint(0, len(table), (len(latents),), device=device)
        return process.loss(network, latents, torch.randn_like(latents), timesteps, ids), {}

    return training.Player("denoiser", network, objective, learning_rate=2e-3, betas=(0.9, 0.95), ema_decay=0.99)


runtime.seed_everything(1)
model = PromptNetwork(small)
history = training.cached(
    "02_stable_diffusion/one-object",
    lambda: training.fit(drawing_to_prompts(model), loader(one_object, 64, seed=1), scale(smoke=3, cpu=1200, gpu=8_000), schedule="cosine"),
    model, uses=(drawing_to_prompts, caption_dropout),
)  # fmt: skip
plots.show(plots.curves({"loss": history["loss"]}, smooth=25), alt="The loss over the steps: it falls steeply at first, then slowly.")

asked_one = prompts("test", scale(smoke=8, cpu=200, gpu=1000), "places", 1)
by_yours = draw(model, asked_one.texts)
for number, text in enumerate(asked_one.texts[:10], 1):
    print(f"{number:>2}  {text}")
plots.show(
    plots.image_grid({"yours": by_yours[:10], "reference": draw(reference, asked_one.texts[:10]), "a scene\nbehind it": render(asked_one.records)[:10]}, columns=10),
    alt="Three rows of ten pictures of one object each: drawn by the network that you trained to the ten captions printed above, drawn by the reference, and the scenes that were described.",
)
one_scores = {"chance: scenes of other captions": match(render(asked_one.records).roll(1, 0), asked_one), "yours": match(by_yours, asked_one)}
plots.table(
    ({"pictures": name, **{key.replace("_", " "): row[key] for key in ("single_object", "color", "position", "all_right")}} for name, row in one_scores.items()),
    caption=f"{len(asked_one.texts)} held-out captions of one object",
)
if runtime.scale_name() != "smoke":
    assert one_scores["yours"]["all_right"] > one_scores["chance: scenes of other captions"]["all_right"] + 0.3, "your network should follow most of its captions"

# %% [markdown]
# The loss alone would not tell you that it works: it also falls while a network learns what scenes look like in general. That it has begun to read is seen in its pictures.
#
# ## Look: the prompt box
#
# Write what you want to see. The model knows the words of its captions: sizes (small, large), colours (red, orange, yellow, green, cyan, blue, pink, black), shapes (circle, square, triangle, star, heart, cross), the four corners, six backgrounds (cream, gray, sand, mint, lavender, sky), *above*, *below*, *left of*, *right of*, *only*, *exactly*, *there is*, *object(s)*, *background* and the numbers up to four.
# A text counts when you press Enter. (Without widgets: the figure below shows some.)
# The same from the command line: `course sample t2i-scenes --prompt "a red circle at the top left" --negative "the background is sand" -n 9 --out sheet.png`.


# %%
def drawn_to_order(prompt: str, negative_prompt: str, guidance: float, steps: int, seed: int) -> Tensor:
    """Eight pictures of one prompt, (8, 3, 32, 32)."""
    return draw(reference, [prompt] * 8, negative_prompt, guidance, seed, steps)


widgets.explorer(
    drawn_to_order, alt="eight pictures that were drawn to the prompt", columns=4, zoom=4,
    prompt=GALLERY[1], negative_prompt="", guidance=(0.0, 10.0, 3.0), steps=(1, 50, STEPS), seed=(1, 100, 1),
)  # fmt: skip

# %%
orders = (
    ("1", GALLERY[1], ""), ("2", "A green heart is above a green star.", ""), ("3", "Exactly three crosses on a sky background.", ""),
    ("4", "Exactly three crosses on a sky background.", "There is a black object."), ("5", "Only a pink square.", ""), ("6", "", ""),
)  # fmt: skip
for name, prompt, negative in orders:
    print(f"{name}  {prompt or '(the empty prompt)'}{f'  Negative: {negative}' if negative else ''}")
plots.show(
    plots.image_grid({name: drawn_to_order(prompt, negative, 3.0, STEPS, 2) for name, prompt, negative in orders}, columns=8),
    alt="Six rows of eight pictures, one row for each prompt that is printed above.",
)

# %% [markdown]
# ## Exercise 4 · From a picture to a picture · *15 minutes, medium, core*
#
# "Like this one, but with the colours changed." So far sampling began at pure noise, at the first of the times. Begin later: noise the given picture so far that its detail drowns and its layout does not, and let the rest of the way be walked with the prompt (SDEdit).
#
# With `strength` $r \in (0, 1]$ and $N$ times $t_1 > \dots > t_N$, the *last* $k$ times are visited, where $k$ is $r N$ rounded down, `int(r * N)`, and the latents $z_0$ of the picture are noised for the first of these:
#
# $$ z_{t} = \sqrt{a_{t}}\; z_0 + \sqrt{1 - a_{t}}\; \epsilon, \qquad t = t_{N - k + 1} \text{, the first of the last } k $$
#
# - $r = 1$ takes all steps and leaves hardly anything of the picture; a small $r$ leaves the picture and hears little of the prompt. Take $k \ge 1$ for granted.
#
# <details><summary>Hint</summary>
#
# `timesteps[-k:]` are the last k. The table is asked at a *time*, `alphas_cumprod[t]`, not at the number of the step.
# </details>

# %% nbgrader={"grade": false, "grade_id": "image-to-image-start", "locked": false, "schema_version": 3, "solution": true, "task": false}
def image_to_image_start(latents: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Noisy latents (batch, channels, h, w) to begin with, and the times (k,) that are left to visit.

    Args:
        latents: of the pictures, (batch, channels, h, w).
        noise: standard normal, of the same shape.
        timesteps: (N,) int64, falling: those of a whole sampling.
        alphas_cumprod: (T,), the share of the variance that is left of a picture at each time.
        strength: r, the share of the steps that is taken, rounded down.
    """
    ### BEGIN SOLUTION
    count = int(strength * len(timesteps))
    left = timesteps[len(timesteps) - count :]
    rate = alphas_cumprod[left[0]]
    return rate.sqrt() * latents + (1 - rate).sqrt() * noise, left
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "image-to-image-start-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.image_to_image_start(image_to_image_start)
### BEGIN HIDDEN TESTS
check.image_to_image_start(image_to_image_start, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Held-out scenes of two objects, and prompts that describe the same scene with the next colour of the list for each object (which makes some pairs of shape and colour that no training picture showed):


# %%
def described(scenes) -> Prompts:
    """The full captions of scenes."""
    return Prompts([few[0] for few in captions(scenes, levels=("full",))], scenes)


def compared(images: Tensor) -> dict[str, float]:
    return {"prompt all right": match(images, recoloured)["all_right"], "mean change of a value": F.l1_loss(images, originals).item()}


given = records("test", range(scale(smoke=8, cpu=60, gpu=400)), objects=2)
recoloured = described(dataclasses.replace(given, color=torch.where(given.present, (given.color + 1) % len(COLORS), given.color)))
originals = render(given)
known = encoded(autoencoder, originals).to(device)
times = torch.tensor(inference_timesteps(len(table), scale(smoke=4, cpu=25, gpu=25)), device=device)
noise = draw_normal(known.shape, runtime.generator(3), device)
sheets, counted = {"given": originals[:10]}, [{"strength": "autoencoder alone", **compared(decoded(autoencoder, known))}]
for strength in scale(smoke=(0.25, 1.0), cpu=(0.04, 0.08, 0.16, 0.24, 0.5, 1.0), gpu=(0.04, 0.08, 0.16, 0.24, 0.5, 1.0)):
    start, left = image_to_image_start(known, noise, times, table, strength)
    images = draw(reference, recoloured.texts, start=start, timesteps=left.tolist())
    sheets[f"strength {strength:g}"] = images[:10]
    counted.append({"strength": f"{strength:g}", **compared(images)})
print(recoloured.texts[0])
plots.show(
    plots.image_grid(sheets, columns=10),
    alt="Seven rows of ten scenes: the given ones, and what was made of each by image to image with rising strength, with a prompt that asks for other colours.",
)
plots.table(counted, caption=f"{len(originals)} held-out scenes of two objects")

# %% [markdown]
# Compare the two columns: the one asks whether the prompt is followed, the other what of the given picture is left. What one wants lies somewhere between, and where it lies depends on how much is to change.
#
# ## Exercise 5 · Inpainting · *15 minutes, medium, optional*
#
# Only a *part* is to be made anew: the mask $M$ is 1 there. Chapter 4 (notebook 2) filled in pixels: let the chain draw all of it, but after each step put the known part back, noised to the level where the step ended. In latents the mask has to come down to their grid first, and a place of the grid stands for many pixels. It is known only if *all* of them are: if one of its pixels is to go, it is painted.
#
# $$ z_{t'} \leftarrow w \odot z_{t'} + (1 - w) \odot \big( \sqrt{a_{t'}}\; z^{\text{known}} + \sqrt{1 - a_{t'}}\;\epsilon \big), \qquad w_{ij} = \max_{\text{pixels of place } ij} M $$
#
# - The step ended at `timestep`, $t'$; $-1$ is the clean picture, which has no entry in the table: there $a_{-1} = 1$, and the known latents come back exactly. (`.sqrt()` is asked of a tensor: `torch.ones_like(alphas_cumprod[0])` is a 1 of the right type.)
#
# <details><summary>Hint</summary>
#
# `F.adaptive_max_pool2d(x, size)` takes the largest value of each area, for any size that you name: `noisy.shape[2:]`.
# </details>

# %% nbgrader={"grade": false, "grade_id": "inpainting-step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def inpainting_step(noisy: Tensor, known: Tensor, mask: Tensor, noise: Tensor, timestep: int, alphas_cumprod: Tensor) -> Tensor:
    """What a step has reached, with the known latents put back, (batch, channels, h, w).

    Args:
        noisy: z_t', what the step has reached, (batch, channels, h, w).
        known: latents of the picture, of the same shape.
        mask: (batch, 1, height, width) of *pixels*, 1 where the picture is to be made anew, else 0.
        noise: standard normal, of the shape of the latents.
        timestep: t', a plain number in [0, T), or -1 for the clean picture.
        alphas_cumprod: (T,).
    """
    ### BEGIN SOLUTION
    painted = F.adaptive_max_pool2d(mask, noisy.shape[2:])
    rate = alphas_cumprod[timestep] if timestep >= 0 else torch.ones_like(alphas_cumprod[0])
    return painted * noisy + (1 - painted) * (rate.sqrt() * known + (1 - rate).sqrt() * noise)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "inpainting-step-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.inpainting_step(inpainting_step)
### BEGIN HIDDEN TESTS
check.inpainting_step(inpainting_step, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# A scene with one object, and the prompt describes it with a second one, in the corner that the mask covers:

# %%
EXTRAS = [
    *(("large", "blue", shape) for shape in ("star", "heart", "cross")), *(("large", "pink", shape) for shape in ("square", "heart", "cross")),
    ("large", "yellow", "star"), ("large", "orange", "circle"), ("small", "cyan", "square"), ("small", "black", "star"),
]  # fmt: skip
before = join([scene([("large", "red", "triangle", "top left")], background) for background in ("sand", "cream")] * (len(EXTRAS) // 2))
after = described(join([scene([("large", "red", "triangle", "top left"), (*extra, "bottom right")], background) for extra, background in zip(EXTRAS, ("sand", "cream") * (len(EXTRAS) // 2), strict=True)]))
originals = render(before)
mask = torch.zeros(len(originals), 1, 32, 32)
mask[:, :, 16:, 16:] = 1
known, mask = encoded(autoencoder, originals).to(device), mask.to(device)
generator = runtime.generator(5)


def put_back(noisy: Tensor, level) -> Tensor:
    """Your inpainting step, as the sampler calls it."""
    return inpainting_step(noisy, known, mask, draw_normal(known.shape, generator, device), level.timestep, table)


inpainted = draw(reference, after.texts, constrain=put_back)
free = draw(reference, after.texts)
covered = torch.where(mask.cpu() > 0, 0.0, originals)
plots.show(
    plots.image_grid({"given": originals, "hidden": covered, "inpainted": inpainted, "drawn without\nthe picture": free}, columns=len(EXTRAS)),
    alt="Four rows of ten scenes: a red triangle at the top left; the same with the bottom right corner hidden; inpainted, to prompts that ask for another object there; and drawn to the same prompts without the picture.",
)
kept = (1 - mask.cpu()).expand_as(originals).bool()
print(f"prompt all right: inpainted {match(inpainted, after)['all_right']:.2f}, without the picture {match(free, after)['all_right']:.2f}; mean change of a known value {(inpainted - originals).abs()[kept].mean():.3f}, through the autoencoder alone {(decoded(autoencoder, known) - originals).abs()[kept].mean():.3f}")

# %% [markdown]
# What is left of a known value's change beyond the autoencoder's own comes from the decoder, whose layers look across the border. So do the encoder's: what is to go leaks a little into the known latents beside it. Here the corner was empty; who removes something paints it grey before encoding.
#
# <details><summary>A network that was made for it</summary>
#
# At each step the network above learns only from the noisy latents what stands beside the hole. Stable Diffusion also exists with a network that is *shown* the rest: five further channels are joined to the noisy latents (chapter 4, notebook 3, exercise 4), the mask and the latents of the picture with its hidden part grey. In `course_utils`, `StableDiffusion.inpaint` does the one or the other, by the number of its network's channels.
# </details>
#
# ## A small picture, made large
#
# In the same way **super-resolution** is done: a small picture, stretched to the size of the latents, is joined to them as further channels, in training and in sampling (`condition=` of `generate`); the text comes as before. How much is left for it to say? Our small pictures have 4 x 4 pixels: one can tell what colour is where, but hardly whether it is a circle or a star:

# %%
large = render(records("test", range(10), objects=2))
shrunk = F.interpolate(large, 4, mode="area")
plots.show(
    plots.image_grid({"small": F.interpolate(shrunk, 32, mode="nearest"), "large": large}, columns=10),
    alt="Ten scenes of two objects, and above each the same in 4 x 4 pixels: places and colours can be told, shapes cannot.",
)

# %% [markdown]
# Two short trainings from scratch, one of which never hears the text. How many shapes will be right without it, and how many of the colours?

# %%
upscaling_rows = training.results(experiments.UPSCALING)
plots.show(
    experiments.UPSCALING.figure(upscaling_rows),
    alt="Shares of shapes and of colours that are right: in the small pictures stretched, in pictures drawn from the small ones, and in pictures drawn from the small ones and their texts.",
)
verdict = experiments.UPSCALING.verdict(upscaling_rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# (The judge was trained on sharp pictures; what it does not find in a stretched one may still be there. PSNR, the mean squared error in decibels, asks no judge.)
#
# ## Measure
#
# GenEval asks of a picture, by an object detector, whether the prompt's objects are there, how many, in which colours and where. Our judge asks the same in our world. Held-out prompts, and beside the reference: chance, real scenes of *other* prompts; and two ceilings, the scenes that the prompts describe, and these sent through the autoencoder, the best that latents could give.

# %%
asked = prompts("test", scale(smoke=12, cpu=300, gpu=1000))
scenes = render(asked.records)
pictures = {
    "chance: scenes of other prompts": scenes.roll(1, 0),
    "reference": draw(reference, asked.texts),
    "ceiling: autoencoded scenes": decoded(autoencoder, encoded(autoencoder, scenes)),
    "the scenes": scenes,
}
table_rows = []
for name, images in pictures.items():
    right = verdicts(images, asked)
    low, high = interval(right["all_right"])
    row = {"pictures": name} | {key.replace("_", " "): value for key, value in match(images, asked).items()}
    table_rows.append(row | {"all right, 95 %": f"{low:.2f} to {high:.2f}", "CLIP score": clip_score(images, asked.texts).mean().item()})
plots.table(table_rows, caption=f"{len(asked.texts)} held-out prompts of one to four objects; a question that a prompt does not ask is left out of its mean")

# %% [markdown]
# - *single object*, *color* (of the Train table, too): of prompts with one object, is its shape, is its colour in the picture; *two objects*: of prompts with two, are both shapes,
# - *counting*: is the number right; *background*: is it; *position*, *attributes*, *all right*: as after exercise 2,
# - *attribute binding*: of prompts with several objects, the share of objects that have their own shape, colour and size,
# - *95 %*: as many of these prompts are drawn again, with replacement, a thousand times; 95 of 100 of their means lie in this interval (bootstrap),
# - *CLIP score*: the cosine between the picture's vector and the prompt's, by the course's CLIP, as is reported where no judge is at hand.
#
# Could the CLIP score stand in for the judge? To compare them there must be wrong pictures, too. Prompts of level *objects* give them (why, *Many things at once* tells). Of all pairs of a right picture and a wrong one, in how many does the right one have the higher score? A coin would say a half:

# %%
loose = prompts("test", scale(smoke=8, cpu=200, gpu=1000), "objects")
images, scenes = draw(reference, loose.texts), render(loose.records)
right = verdicts(images, loose)["all_right"] == 1
cosine = clip_score(images, loose.texts)
others = clip_score(scenes.roll(1, 0), loose.texts)
means = {"all right": cosine[right], "not all right": cosine[~right], "scenes of other prompts": others}
print("mean CLIP score: " + "; ".join(f"{name} {fmean(values.tolist()):.3f} ({len(values)} pictures)" for name, values in means.items() if len(values)))
wrong = (~right).nonzero()[:, 0]
if 0 < len(wrong) < len(right):
    print(f"The right picture has the higher score in {(cosine[right][:, None] > cosine[wrong]).float().mean():.2f} of all pairs.")
if len(wrong):
    best = wrong[cosine[wrong].argsort(descending=True)][:8]
    for number in best.tolist():
        print(f"{cosine[number]:.2f}  {loose.texts[number]}")
    plots.show(
        plots.image_grid({"wrong, yet\nhigh score": images[best], "a scene\nbehind it": scenes[best]}, columns=8),
        alt="Above, pictures in which the judge finds something wrong, those with the highest CLIP score first; below, the scenes that their prompts describe.",
    )

# %% [markdown]
# The reference was measured on more prompts at the end of its training, *full* ones again; `unseen_pairs_right` is of prompts that name a pair of shape and colour which no training picture showed, `relation_right` of prompts such as "A red circle is above a blue star." about scenes of four objects:


# %%
# NBVAL_CHECK_OUTPUT
def print_card(recipe: training.Recipe) -> None:
    card = training.read_card(recipe)
    print(f"{recipe.name}, {card['samples']:,} samples, {card['parameters']:,} parameters")
    for name, value in card["metrics"].items():
        beside = [f"{kind} {card[kind][name]:.3g}" for kind in ("chance", "ceiling") if name in card[kind]]
        print(f"  {name} {value:.3g}", f"({', '.join(beside)})" if beside else "")


print_card(recipes.T2I_SCENES)

# %% [markdown]
# ## What guidance buys, and what steps buy
#
# The course's experiments draw held-out prompts with seven guidance scales, and in 2 to 50 steps. Expected: with guidance more prompts are followed, and 25 steps are enough. Beside what is right stands the **distance**, Fréchet's, in features of the judge, to the scenes behind the prompts: a picture may follow its prompt and still look like none that was ever rendered.

# %%
guidance_rows = training.results(experiments.GUIDANCE_STUDY)
plots.show(
    experiments.GUIDANCE_STUDY.figure(guidance_rows),
    alt="Against the guidance scale from 1 to 9: left, the share of prompts wholly right and of attributes right; right, the distance to real scenes.",
)
verdict = experiments.GUIDANCE_STUDY.verdict(guidance_rows)
print(f"{verdict.verdict}: {verdict.why}")

# %%
steps_rows = training.results(experiments.STEPS_STUDY)
plots.show(
    experiments.STEPS_STUDY.figure(steps_rows),
    alt="Against the number of steps from 2 to 50: left, the share of prompts wholly right and of attributes right; right, the distance to real scenes.",
)
verdict = experiments.STEPS_STUDY.verdict(steps_rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# So the first expectation was wrong here: a network that follows its prompts without guidance has nothing to gain from it, and with a large scale its pictures move away from real ones. Guidance is a help for networks that read badly. (Is yours from *Train* one? `draw(model, asked_one.texts, guidance_scale=...)` and `match` tell.)
#
# ## Does a negative prompt remove what it names?
#
# The demos in the lecture have a box for it. Prompts that leave something open (a shape, of any colour, on any ground), with and without a negative prompt that names one of the possibilities; every colour, shape and background takes its turn. How often does the picture show what was named?

# %%
negative_rows = training.results(experiments.NEGATIVE_PROMPT)
plots.show(
    experiments.NEGATIVE_PROMPT.figure(negative_rows),
    alt="For colours, objects and backgrounds, the share of pictures that show what is named, without a negative prompt and with one.",
)
verdict = experiments.NEGATIVE_PROMPT.verdict(negative_rows)
print(f"A negative prompt removes what it names: {verdict.verdict}. {verdict.why}")

# %% [markdown]
# ## Many things at once
#
# The lecture shows pictures of a classroom full of students, in which faces melt: are many things at once hard? In our world four things are many. The prompts say everything about each (level *full*), or only colour and shape, not where (level *objects*, "Only a red circle and a blue star."):

# %%
many_rows = training.results(experiments.MANY_THINGS)
plots.show(
    experiments.MANY_THINGS.figure(many_rows),
    alt="Share of prompts that are drawn wholly right against the number of objects they name, from one to four, a line for each level of captions.",
)
verdict = experiments.MANY_THINGS.verdict(many_rows)
print(f"More things are harder: {verdict.verdict}. {verdict.why}")

# %% [markdown]
# A word on the arithmetic: if each object came out right with probability $q$, by itself, all of $k$ objects would with $q^k$. A curve that falls no faster than that says nothing against many things; one that falls faster does.
#
# What do the two curves say? It is not the *number*: where the prompt names each place, four objects are drawn as surely as one. It is what the prompt leaves *open*. Then the network itself must decide which places stay empty, and does that badly: of one object often none is drawn (row 5 in the figure under the prompt box), of two or three too many (compare how often it draws "as many as asked for"); only with four, where no place may stay empty, most come out right again.
# One likely reason: of its training captions only a twelfth were of this kind. Guidance does not mend it: numbers are as wrong with scale 1 as with 3. So whoever wants to know what a model can do asks prompts of more than one kind, and whoever wants a picture from this one says where things are.
#
# ## Who shall read the prompt?
#
# Stable Diffusion takes a text encoder that was trained for something else, and freezes it. Imagen's authors found that a larger frozen language model helps more than a larger painter. In our small world: a text encoder trained along with no layer at all (then words do not look at one another), with one, with two; and the course's CLIP, frozen. Short trainings, on captions of two objects. Expected: an encoder with layers, trained along, beats the frozen one. Read the bars before you go on: half of this is wrong.

# %%
encoder_rows = training.results(experiments.TEXT_ENCODER)
plots.show(
    experiments.TEXT_ENCODER.figure(encoder_rows),
    alt="Share of shapes, colours and whole captions right, for text encoders trained along with 0, 1 and 2 layers, and for the frozen text encoder of the course's CLIP.",
)
verdict = experiments.TEXT_ENCODER.verdict(encoder_rows)
print(f"{verdict.verdict}: {verdict.why}")
plots.table(
    [{"text encoder": name, "parameters": f"{next(row['encoder_parameters'] for row in encoder_rows if row['encoder'] == name):,}"} for name in experiments.ENCODERS],
    caption="Their sizes",
)

# %% [markdown]
# Trained along beats frozen. But *no* layer learned fastest, and each layer cost some: in a caption this simple a word's neighbours say what it belongs to, the vector of each word says which word it is and at which position, and the painter, four blocks deep, finds the neighbours itself. Layers of the reader have to be learned first, and a thousand steps are short. (The reference has two, and seven thousand steps.)
# Of the frozen one remember chapter 5: of two captions with the same words and exchanged colours, CLIP finds the right one no more often than a coin would (*Break it* in its notebook 2). Colours are what its painter, too, gets wrong most.
#
# And does anything else buy something? The same short training with twice the steps, or with one of two ideas that this course does not go into: a rectified flow (straight ways from noise to picture, Liu, Gong and Liu, ICLR 2023) in place of noise schedule and velocity, and weights that keep easy times from ruling the loss (min-SNR, Hang et al., ICCV 2023):

# %%
change_rows = training.results(experiments.IMPROVEMENTS)
plots.show(
    experiments.IMPROVEMENTS.figure(change_rows),
    alt="Share of shapes, colours and whole captions right after the training as it is, with a rectified flow, with min-SNR weights, and with twice the steps.",
)
verdict = experiments.IMPROVEMENTS.verdict(change_rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Symbols by their names
#
# Scenes have some fifty words. Unicode's names of characters have more than a thousand, most of them rare: *latin small letter e with acute*, *cyrillic capital letter zhe*, *black chess knight*. `t2i-glyphs` is the same network in pixels, without an autoencoder (one channel, patches of 4 x 4), trained on such names for as long as half an hour gives. It is asked for characters whose outlines no training showed, and `clip-glyphs` (chapter 5) reads what it drew: is the name that was asked for among its ten nearest, of all held-out ones?

# %%
glyph_network = training.load(recipes.T2I_GLYPHS)
characters, character_names = SEARCHABLE["clip-glyphs"].gallery()
chosen = draw_integers(0, len(characters), (12,), runtime.generator(8))
wanted = [character_names[number] for number in chosen.tolist()]
plots.show(
    plots.image_grid({"drawn": recipes.drawn_glyphs(glyph_network, wanted, runtime.generator(1)), "real": characters[chosen]}, columns=12),
    alt="Twelve characters drawn to their names, and below each the real one.",
)
print("\n".join(f"{number:>2}  {text.lower()}" for number, text in enumerate(wanted, 1)))

# %%
# NBVAL_CHECK_OUTPUT
glyph_card = training.read_card(recipes.T2I_GLYPHS)
print(f"{glyph_card['samples']} held-out characters".ljust(28), *(f"{kind:>10}" for kind in ("measured", "chance", "ceiling")))
for name, value in glyph_card["metrics"].items():
    print(name.ljust(28), f"{value:>10.3f}", *(f"{glyph_card[kind][name]:>10.3f}" for kind in ("chance", "ceiling")))

# %% [markdown]
# (Chance: real characters of other names. Ceiling: the characters themselves.) Far above chance, and far below the ceiling (0.3 of `recall_at_10` had been hoped for). Compare the two rows: is it the letter that it misses, the script, or what stands above and below? A scene's caption is put together from words that each occur ten thousand times; most words in these names occur a few times, and what a word like *zhe* looks like stands in no other word. Try your own: `course sample t2i-glyphs --prompt "latin small letter e with acute" -n 9 --out sheet.png`.
#
# ## Break it: what no caption ever said
#
# **Negation.** No caption of our world says what is *not* there. "No red object": the network knows *red* and *object*. "No" is no word of its tokenizer, which cuts it into the letters n and o, whose vectors were hardly ever trained. Expected: what is denied is drawn more often than what is not named.

# %%
sayings = ("there is a red object", "", "there is no red object", "no red object")
names = ("there is a\nred object", "(empty)", "there is no\nred object", "no red\nobject")
plots.show(
    plots.image_grid({name: draw(reference, [saying] * 10, seed=4) for name, saying in zip(names, sayings, strict=True)}, columns=10),
    alt="Four rows of ten pictures from the same noise: drawn to a text that says there is a red object, to the empty prompt, and to two texts that say there is none.",
)
unsaid_rows = training.results(experiments.UNSAID)
plots.show(experiments.UNSAID.figure(unsaid_rows), alt="Share of pictures that show an object of the named colour: where the prompt says it is there, says nothing, and denies it in two ways.")
verdict = experiments.UNSAID.verdict(unsaid_rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# A negative prompt is the way out, and now it is clear why: its text *says* what is there; that it shall not be there is arithmetic.
#
# **Numbers.** Captions count to four, since there are four places. What is drawn for five, six, ten, words that are cut into letters as well? And what do you expect for zero? (Five cannot be drawn in this world, nor read by the judge. But the network does not know that.)

# %%
counts = ("one", "two", "three", "four", "five", "six", "ten", "zero")
sheets, counted = {}, []
for word in counts:
    images = draw(reference, [f"Exactly {word} object{'' if word == 'one' else 's'}."] * scale(smoke=8, cpu=60, gpu=400), seed=5)
    found = read(images).count
    sheets[word] = images[:8]
    counted.append({"exactly …": word, "mean number drawn": found.float().mean().item()} | {f"{number} drawn": (found == number).float().mean().item() for number in range(5)})
plots.show(plots.image_grid(sheets, columns=8), alt="Eight rows of eight pictures, drawn to texts that ask for exactly one, two, three, four, five, six, ten and zero objects.")
plots.table(counted, caption="As the judge reads them, in shares; no caption says five, six, ten or zero")

# %% [markdown]
# ## Break it: whose colour is it?
#
# A true story: in a first trial for this course a network learned *where* objects belong, and never *which colour is whose*: its measure of places was perfect, that of colours stayed where guessing stays. There was no error in its code. The suspicion fell on its embeddings, those of words having been drawn 50 times larger than those of positions. Add the two, and the sum is nearly the word alone: the "red" in the third place and the "red" in the ninth look the same, and whose colour it is stands only in the positions.
#
# So three short trainings, in which one thing differs: words and positions begin equally large; words begin 50 times larger (`token_std`); there are no positions at all, so that a caption is a bag of words. Before you look: which of them will stay on a plateau, and of which measure? What can a bag of words tell of "A red circle is at the top left, a blue star at the bottom right"?

# %%
start_rows = training.results(experiments.BAD_START)
plots.show(
    experiments.BAD_START.figure(start_rows),
    alt="Shares right over the steps of the training: places, shapes, colours, and all. Left, with words and positions equally large at first; in the middle, with words 50 times larger; right, without positions.",
)
verdict = experiments.BAD_START.verdict(start_rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# The suspicion was convincing, and wrong: Adam moves every number by about the learning rate in each step, however small its gradient; so within some hundred steps positions grow to where they count. (What held back that first trial, which had another network and other captions, is not known.)
# Without positions the plateau is there, and no further step leads off it. A bag of words does tell which shapes and colours are somewhere, and much about the places: of the six pairs of corners four are known by their words ("top" twice, "left", "right": both above), and only the two diagonals have the same words, so five of six places come out right if those are guessed. But which object goes to which corner, and whose colour is whose, is a coin's throw.
#
# Two things to take along. A cause is known when it was changed *alone*, and the effect came with it. And one loss does not say *what* was not learned: measures that ask for one thing each (place, shape, colour) do.
#
# ## The real thing
#
# The sizes of Stable Diffusion 1.5, counted in our own modules without making the weights; the text encoder is that of CLIP ViT-L/14:

# %%
# NBVAL_CHECK_OUTPUT
with torch.device("meta"):
    parts = {
        "text encoder": CLIPPromptEncoder(CLIPConfig(text_width=768, text_depth=12, text_heads=12, text_hidden=3072)),
        "U-Net": UNet(UNetConfig(in_channels=4, out_channels=4, image_size=64, widths=(320, 640, 1280, 1280), num_blocks=2, attention_levels=(0, 1, 2), num_heads=8, context_width=768)),
        "autoencoder": AutoencoderKL(AutoencoderKLConfig(image_size=512, widths=(128, 256, 512, 512), num_blocks=2)),
    }
for name, part in parts.items():
    print(f"{name:<12} {sum(parameter.numel() for parameter in part.parameters()):>13,} parameters")
print(f"ours, text encoder and network: {sum(parameter.numel() for parameter in reference.parameters()):,}")

# %% [markdown]
# `StableDiffusion.from_hub` puts the published parts together, from a folder or from the hub, and draws what the library diffusers draws with the same noise (a test compares them). At scale gpu (`COURSE_SCALE=gpu`) the next cell fetches some 4 GB and draws:

# %%
from course_utils.hub import OfflineError

if runtime.scale_name() == "gpu":
    try:
        published = StableDiffusion.from_hub("stable-diffusion-v1-5/stable-diffusion-v1-5").to(device)
        order = ["a photograph of a red circle above a blue star", "an oil painting of a lighthouse in a storm", "a classroom full of students"]
        images = published.generate(order, guidance_scale=7.5, num_inference_steps=50, generator=runtime.generator(0)).cpu()
        plots.show(plots.image_grid(F.interpolate(images, 256, mode="area"), columns=3, zoom=2), alt="Three pictures drawn by Stable Diffusion 1.5 to the three texts.")
    except OfflineError as error:
        print(f"No network, so no published weights here ({str(error).split(':')[0]}).")
else:
    print(f"Published weights are fetched at scale gpu; this is scale {runtime.scale_name()}.")

# %% [markdown]
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-frozen-reader", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** Stable Diffusion's text encoder was trained to match pictures with texts and is frozen. Name something that it brings along and that an encoder trained together with the painter would have to learn anew, and something that it may have thrown away and the painter would need. When would you train one along?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# It has read hundreds of millions of captions, so it knows rare words and which of them mean alike, also for things of which the painter sees few pictures. It has only ever been asked which text fits which picture, and for that it need not keep who has which colour, how many there are, or what is left of what: a bag of words goes far. With many captions of a small world, as here,
# or where binding matters more than vocabulary, training one along is cheap and pays; with few pictures and a large vocabulary it would forget or never learn the words.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-guidance", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** Somebody proposes to train with *no* dropped captions, and to use for $v_\varnothing$ the answer for the prompt "a picture". Somebody else proposes to drop half of all captions. What would go wrong, or better, in each case?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# "A picture" is a text that the network has seldom or never seen with all kinds of pictures, so its answer is not that of the average picture, and the difference points somewhere: it works as far as the network happens to take that text for "anything". Dropping half teaches what pictures look like in general very well, and leaves half of the training for reading prompts,
# so that the conditional answer, the one that is exaggerated, is worse after equally many steps. A tenth is enough for the easier of the two tasks.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-measure", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **3.** A new model has a higher CLIP score than an old one and a lower share of prompts that are wholly right. How can that be, and which of the two would you ship? What would the judge of this notebook overlook that a person would see at once?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# The score is a cosine to the whole text: it rises if the picture shows more of what is named, glaring and typical, and hardly falls if two colours are exchanged, because CLIP's vector for the exchanged text is nearly the same. Higher guidance does just that. Which one to ship depends on the use; for following orders the share that is right. The judge reads shapes, colours, sizes and places;
# it does not mind smeared edges, wrong textures or that all pictures of a prompt look alike, which the distance and the variety would show.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Chen et al., *PixArt-α: fast training of diffusion transformer for photorealistic text-to-image synthesis*, ICLR 2024: the transformer of this notebook, in large.
# - Esser et al., *Scaling rectified flow transformers for high-resolution image synthesis* (Stable Diffusion 3), ICML 2024: three text encoders, and picture and text in one stream of tokens.
# - Hertz et al., *Prompt-to-prompt image editing with cross-attention control*, ICLR 2023: what cross-attention looks at, and how to change a word without changing the picture.
# - Feng et al., *Training-free structured diffusion guidance for compositional text-to-image synthesis*, ICLR 2023: whose colour is whose, in Stable Diffusion.
