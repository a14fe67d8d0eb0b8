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
# # Latent diffusion: leave the detail to an autoencoder
#
# | | |
# |---|---|
# | **Time** | 95 minutes of work, 45 of them exercises; the code runs in about 3 minutes on a laptop's CPU |
# | **You need** | notebooks 1 and 2 of this chapter (noising, velocity, DDIM); the VAE's KL (chapter 1); a discriminator of patches (chapter 3, notebook 1) |
# | **Builds on** | ideas of those; nothing that you wrote there is needed here |
# | **Code** | `course_utils/diffusion/latent_diffusion.py`, `unet.py`, `dit.py`, `course_utils/layers/attention.py` |
# | **Papers** | Rombach, Blattmann, Lorenz, Esser and Ommer, *High-resolution image synthesis with latent diffusion models*, CVPR 2022 · Vaswani et al., *Attention is all you need*, NeurIPS 2017 · Peebles and Xie, *Scalable diffusion models with transformers*, ICCV 2023 |
#
# A diffusion model asks its network again and again, and each time the network works on every pixel. Yet most of what makes a picture large is detail that follows from the rest: the inside of a circle is red because its edge is. Let an autoencoder take care of that, and diffuse its *latents* only, a grid that is many times smaller.
# Stable Diffusion is made this way. And because the latents are still a grid, one can tell the model, place by place, what shall stand where. Ten label maps, and three pictures for each that a small model of this kind drew, following its map:

# %%
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import plots, runtime, scale, training, widgets
from course_utils.checks import diffusion as check
from course_utils.data import Scenes, loader
from course_utils.data.scenes import PLACES, SHAPES, SIZES, label_map, render, scene
from course_utils.diffusion import (
    DDIM,
    AutoencoderKL,
    AutoencoderKLConfig,
    DiT,
    DiTConfig,
    UNet,
    UNetConfig,
    inference_timesteps,
    latent_experiments,
    sample,
)
from course_utils.diffusion import latent_recipes as recipes
from course_utils.layers import draw_normal
from course_utils.layers.attention import Attention
from course_utils.metrics import psnr
from course_utils.translation.recipes import other_looks

device = runtime.device()
runtime.seed_everything(0)

autoencoder = training.load(recipes.AUTOENCODER_KL_SCENES)  # both shipped with the course
reference = training.load(recipes.LDM_SCENES_LAYOUT)
held_out = recipes.scenes_with_layouts("test", scale(smoke=24, cpu=300, gpu=2_000))
few = slice(0, 10)
several = [recipes.drawn_to_layout(reference, held_out["layout"][few], runtime.generator(seed), scale(smoke=3, cpu=25, gpu=25)) for seed in (1, 2, 3)]
painted_maps = render(held_out["records"][few], style="labels")
plots.show(
    plots.image_grid({"label map": painted_maps, "drawn": several[0], "with other\nnoise": several[1], "and other": several[2]}, columns=10),
    alt="Four rows of ten scenes. Above, label maps with flat shapes on black; below, three different pictures for each map, with shapes like those of the map at the same places, mostly in other colours and on another ground from row to row.",
)

# %% [markdown]
# pix2pix made *one* answer of a label map, however often it was asked (chapter 3). A diffusion model learns all that may be right, and its noise decides.
#
# ## The idea
#
# Two networks, trained one after the other:
#
#       picture x ──► encoder ──► latents z ──► · scale ──► noise in, step by step ──► z_t        (training)
#       picture   ◄── decoder ◄── latents z ◄── / scale ◄── noise out, step by step ◄── noise     (drawing)
#                                                                 ▲
#                                                             condition
#
# **First the autoencoder.** The encoder gives mean and variance of $q(z \mid x)$, as that of a VAE does, but for a *grid* of latents: here 8 × 8 places of 4 numbers for 32 × 32 pixels of 3. It is trained by
#
# $$ \mathcal L = \underbrace{\lvert x - D(z) \rvert}_{\text{reconstruction}} \;+\; w\, \underbrace{\mathrm{KL}\big(q(z \mid x) \,\Vert\, \mathcal N(0, I)\big)}_{\text{small weight}} \;-\; a\, \underbrace{f\big(D(z)\big)}_{\text{a critic of patches}} $$
#
# - $D(z)$: the decoded picture, $z$ drawn from $q(z \mid x)$. Absolute error and KL are both summed, and divided by the 3,072 values of the picture,
# - $w$: the KL only keeps the latents from running away; it need *not* make them standard normal, since nobody will draw them from there. That will be the business of the diffusion model. In the paper $w$ is a millionth, for pictures of 256 × 256; ours is a hundredth, still a hundredth of a VAE's: so that latents which lie close together decode to pictures which look alike,
# - $f$: the logit of a discriminator of patches, the critic, trained with the hinge loss; it keeps reconstructions sharp. Its weight $a$ is 0 for the first 2,500 steps, in which every reconstruction is a blur and pixels are the better teacher, and 0.01 from then on.
#
# (The paper adds a perceptual distance; its network needs a download, and ours does without.)
#
# **Then it is frozen**, and a diffusion model learns the latents as if they were pictures. Held-out scenes, through the autoencoder, and what lies between:

# %%
latents = recipes.encoded(autoencoder, held_out["image"])  # scaled, see exercise 1
rebuilt = recipes.decoded(autoencoder, latents)
channels = F.interpolate(latents[few].transpose(0, 1).flatten(0, 1)[:, None] / 3, scale_factor=4.0)  # (4 * 10, 1, 32, 32), one row a channel
plots.show(
    plots.image_grid(
        {"scene": held_out["image"][few], "latents": channels.expand(-1, 3, -1, -1), "decoded": rebuilt[few]}, columns=10
    ),
    alt="A row of ten scenes; four rows of coarse grey pictures of 8 by 8 squares, in which the places of the shapes can be made out; and a row of decoded scenes, which look like the first row.",
)
print(f"{held_out['image'][0].numel():,} numbers a picture, {latents[0].numel():,} in its latents; PSNR of what comes back {psnr(rebuilt, held_out['image']).mean():.1f} dB")

# %% [markdown]
# Latents are still a picture of the scene, small and in four strange colours. That is why convolutions, U-Nets and label maps still make sense there. What the autoencoder reached, on held-out scenes:

# %%
# NBVAL_CHECK_OUTPUT
def print_card(recipe: training.Recipe) -> None:
    card = training.read_card(recipe)
    print(f"{recipe.name}, {card['samples']:,} samples, {card['parameters']:,} parameters")
    for name, value in card["metrics"].items():
        beside = [f"{kind} {card[kind][name]:.3g}" for kind in ("chance", "ceiling") if name in card[kind]]
        print(f"  {name} {value:.3g}", f"({', '.join(beside)})" if beside else "")


print_card(recipes.AUTOENCODER_KL_SCENES)

# %% [markdown]
# Chance is the mean picture. `wholly_right` is the share of scenes of which the course's judge reads everything, every shape, colour and size and the background, from the reconstruction; the ceiling is what it reads from the scenes themselves. (`judge_frechet` is the Fréchet distance of chapter 2, in features of the judge; its "ceiling" is a floor, the distance of other real scenes.)
# Whatever is lost here, no diffusion model in these latents can bring back.
#
# ## Exercise 1 · The scale of the latents · *5 minutes, easy, core*
#
# The noise schedule was made for pictures in $[-1, 1]$. How fast noise drowns a picture depends on the picture's own spread, and latents have whatever spread the autoencoder gave them. So they are multiplied by one number before diffusion, and divided by it before the decoder:
#
# $$ \text{scale} = \frac{1}{\text{standard deviation of all numbers of all latents}} $$
#
# One number for all channels and places: if one channel varies less than another, that is because it says less, and the noise may drown it sooner. The answer is a tensor without axes.
#
# <details><summary>Hint</summary>
#
# `Tensor.std()` without a `dim` looks at all numbers.
# </details>
#
# *Stuck? Set `latent_scale = check.latent_scale.reference` and go on. The same works for `cross_attention` and `join`.*

# %% nbgrader={"grade": false, "grade_id": "latent-scale", "locked": false, "schema_version": 3, "solution": true, "task": false}
def latent_scale(latents: Tensor) -> Tensor:
    """What latents (batch, channels, h, w) are multiplied by, so that their standard deviation is 1: a scalar."""
    ### BEGIN SOLUTION
    return 1 / latents.std()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "latent-scale-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.latent_scale(latent_scale)
### BEGIN HIDDEN TESTS
check.latent_scale(latent_scale, hidden=True)
### END HIDDEN TESTS

# %%
with torch.inference_mode():
    raw = autoencoder.encode(held_out["image"].to(device)).mean
factor = latent_scale(raw).item()
print(f"your scale, from {len(raw)} held-out scenes: {factor:.3f}; the one that was saved with the weights: {autoencoder.scaling_factor:.3f}")
print(f"standard deviation of each channel, scaled: {[round(value, 2) for value in (factor * raw).std((0, 2, 3)).tolist()]}")

# %% [markdown]
# (The saved one was measured on training scenes; yours on held-out ones.) Our latents need hardly any scaling, thanks to the weight of the KL. Stable Diffusion's do: its famous 0.18215 is this number, since its latents have a standard deviation of about 5.5.
#
# ## Exercise 2 · A picture looks at a text · *20 minutes, medium, core*
#
# How is the network told what to draw? A class is added to the time, as in notebook 2. For a *list* of things (the words of a text, the boxes of a layout) that will not do: each place of the picture must find what concerns it. In **cross-attention** each place asks a question, each word holds a key by which it is found,
# and a value, which is what it says. (The network of this notebook's training does without; the boxes below use it, and the texts of chapter 6.)
#
# $$ Q = X W_Q, \quad K = C\, W_K, \quad V = C\, W_V, \qquad \text{in each head:} \quad \mathrm{answer} = \mathrm{softmax}\!\left(\frac{Q K^\top}{\sqrt d}\right) V $$
#
# - $X$: the `tokens`, one for each place of the grid, $(n, \text{width})$; $C$: the `context`, one token a word, $(m, \text{context width})$,
# - the softmax runs over the $m$ words: each place shares out its attention,
# - **heads**: the `width` numbers of $Q$, $K$ and $V$ are cut into `num_heads` pieces of $d$ = width / num_heads, which each do all of this for themselves; their answers stand side by side in the result.
#
# The root keeps the scores at a size at which the softmax is undecided: the inner product of two vectors of $d$ independent numbers with mean 0 and variance 1 has variance $d$.
#
# <details><summary>Hint</summary>
#
# `x.unflatten(2, (num_heads, -1)).transpose(1, 2)` cuts (batch, n, width) into (batch, heads, n, d), and `.transpose(1, 2).flatten(2)` puts it together again. `k.mT` exchanges the last two axes.
# </details>

# %% nbgrader={"grade": false, "grade_id": "cross-attention", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cross_attention(tokens: Tensor, context: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, num_heads: int) -> Tensor:
    """What each token learns from the context, (batch, n, width).

    Args:
        tokens: (batch, n, width), the places of a picture.
        context: (batch, m, context_width), what they look at.
        to_q: weights (width, width); queries are tokens @ to_q.
        to_k, to_v: weights (context_width, width).
        num_heads: it divides the width.
    """
    ### BEGIN SOLUTION
    q, k, v = (x.unflatten(2, (num_heads, -1)).transpose(1, 2) for x in (tokens @ to_q, context @ to_k, context @ to_v))  # (batch, heads, n or m, d)
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1)  # (batch, heads, n, m)
    return (weights @ v).transpose(1, 2).flatten(2)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "cross-attention-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.cross_attention(cross_attention)
### BEGIN HIDDEN TESTS
check.cross_attention(cross_attention, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# The same layer stands in the published networks (and in chapter 5 it will read whole texts). With the weights of such a layer, yours gives the same. (`nn.Linear` stores its matrix transposed; a fourth matrix, `to_out`, mixes the heads at the end.)

# %%
# NBVAL_CHECK_OUTPUT
torch.manual_seed(0)
layer = Attention(64, num_heads=8, context_width=24, bias=False)
places, words = torch.randn(2, 256, 64), torch.randn(2, 7, 24)
with torch.no_grad():
    own = cross_attention(places, words, layer.to_q.weight.T, layer.to_k.weight.T, layer.to_v.weight.T, 8)
    difference = (layer.to_out[0](own) - layer(places, words)).abs().max()
print(f"256 places look at 7 words: {tuple(own.shape)}, largest difference from the layer of the published networks {difference:.4f}")
assert difference < 1e-4

# %% [markdown]
# (For the check of the next exercise, which can hand out tensors but no networks: *your* `latent_loss` with an encoder and a network that are made of the weights that come in. Leave this cell as it is.)


# %%
def loss_of_two_networks(
    encoder_weight: Tensor, weight: Tensor, images: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor, scaling_factor: float
) -> Tensor:
    """`latent_loss` of an encoder with one convolution (channels, image channels, 2, 2) and a network of one layer (values + 1, values)."""

    def encode(images: Tensor) -> Tensor:
        return torch.tanh(F.conv2d(images, encoder_weight, stride=2))

    def network(noisy: Tensor, timesteps: Tensor) -> Tensor:
        features = torch.cat([noisy.flatten(1), timesteps[:, None] / 10], dim=1)  # (batch, values + 1)
        return torch.tanh(features @ weight).view_as(noisy)

    return latent_loss(encode, network, images, noise, timesteps, alphas_cumprod, scaling_factor)


# %% [markdown]
# ## Exercise 3 · A training step · *10 minutes, medium, core*
#
# The training step of notebook 1, in latents. The network answers with the velocity $v = \sqrt{\bar\alpha_t}\, \epsilon - \sqrt{1 - \bar\alpha_t}\; z_0$, which met the wanted digits best in notebook 1's comparison of answers:
#
# 1. encode the pictures, *without a gradient*: the autoencoder is frozen. Multiply by the scale: $z_0$,
# 2. noise them, each at its time: $z_t = \sqrt{\bar\alpha_t}\; z_0 + \sqrt{1 - \bar\alpha_t}\; \epsilon$,
# 3. the loss is the mean squared error of the network's answer to $(z_t, t)$.
#
# <details><summary>Hint</summary>
#
# `with torch.no_grad():` around the first step only. `alphas_cumprod[timesteps].view(-1, 1, 1, 1)` is one number a picture.
# </details>
#
# *Stuck? Set `latent_loss = check.latent.latent_loss` and go on.*

# %% nbgrader={"grade": false, "grade_id": "latent-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def latent_loss(encode, network, images: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor, scaling_factor: float) -> Tensor:
    """Mean squared error of the predicted velocity in the latents, a scalar.

    Args:
        encode: pictures (batch, channels, height, width) to latents (batch, latent_channels, h, w); no gradient reaches it.
        network: called as `network(noisy, timesteps)`, gives the velocity, of the shape of `noisy`.
        images: pictures in [-1, 1].
        noise: standard normal, of the shape of the latents.
        timesteps: (batch,) int64 in [0, T).
        alphas_cumprod: (T,), falling from nearly 1 to nearly 0.
        scaling_factor: what latents are multiplied by.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        latents = encode(images) * scaling_factor
    rate = alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    noisy = rate.sqrt() * latents + (1 - rate).sqrt() * noise
    velocity = rate.sqrt() * noise - (1 - rate).sqrt() * latents
    return F.mse_loss(network(noisy, timesteps), velocity)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "latent-loss-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.loss_of_two_networks(loss_of_two_networks)
### BEGIN HIDDEN TESTS
check.loss_of_two_networks(loss_of_two_networks, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 4 · A condition as further channels · *10 minutes, easy, core*
#
# What holds for *places* can be told the network place by place: a label map, one channel a label; a small picture, to be drawn larger (super-resolution); what is left of a damaged picture, and where it is damaged (inpainting). It is brought to the size of the latents and joined to them as further channels; only the network's
# first convolution becomes wider.
#
# Bring the condition to the size of the latents by *means over areas*: a pixel of the grid then says which share of it is covered by a heart. A condition that is smaller than the latents is enlarged by the same call; sizes need not divide one another. The latents come first.
#
# <details><summary>Hint</summary>
#
# `torch.nn.functional.interpolate` has a `mode` that takes means over areas.
# </details>

# %% nbgrader={"grade": false, "grade_id": "join", "locked": false, "schema_version": 3, "solution": true, "task": false}
def join(latents: Tensor, condition: Tensor) -> Tensor:
    """Noisy latents (batch, channels, h, w) with a condition (batch, c, height, width) as further channels: (batch, channels + c, h, w)."""
    ### BEGIN SOLUTION
    return torch.cat([latents, F.interpolate(condition, latents.shape[2:], mode="area")], dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "join-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.join(join)
### BEGIN HIDDEN TESTS
check.join(join, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Train
#
# Your loss, your way to join, a small U-Net on 8 × 8 places, the shipped autoencoder. Each batch of scenes is encoded on the way.

# %%
table = recipes.process().alphas_cumprod  # the cosine schedule, 1,000 steps


def encode(images: Tensor) -> Tensor:
    """The mean of q(z | x): it is so narrow that drawing from it would change nothing that one sees."""
    return autoencoder.encode(images).mean


def drawing_to(network: nn.Module, factor: float) -> training.Player:
    """Your loss for `training.fit`: latents learned together with their label maps."""

    def objective(batch: dict) -> tuple[Tensor, dict]:
        images, layout = batch["image"], recipes.one_hot_map(batch["label_map"])
        noise = torch.randn(len(images), 4, 8, 8, device=images.device)
        timesteps = torch.randint(0, len(table), (len(images),), device=images.device)
        return latent_loss(encode, lambda noisy, t: network(join(noisy, layout), t), images, noise, timesteps, table, factor), {}

    return training.Player("denoiser", network, objective, learning_rate=2e-3, betas=(0.9, 0.99), ema_decay=0.99)


def train_to_layout(name: str, factor: float) -> tuple[UNet, training.History]:
    """A network that draws to label maps, its latents multiplied by `factor`."""
    runtime.seed_everything(1)
    network = UNet(UNetConfig(in_channels=4 + recipes.NUM_LABELS, out_channels=4, image_size=8, widths=(48, 96), num_blocks=1, attention_levels=(1,), num_groups=16)).to(device)
    batches = loader(Scenes("train", fields=("image", "label_map")), 32, seed=1)
    history = training.cached(
        f"03_latent_diffusion/{name}", lambda: training.fit(drawing_to(network, factor), batches, scale(smoke=3, cpu=400, gpu=4_000), schedule="cosine"),
        network, uses=(drawing_to, latent_loss, join, encode),
    )  # fmt: skip
    return network, history


factor = autoencoder.scaling_factor.item()
model, history = train_to_layout("scaled", factor)
plots.show(
    plots.curves({"loss": history["loss"]}, smooth=25),
    alt="The loss over the steps: it falls steeply at first, then slowly.",
)

# %% [markdown]
# To draw, walk from noise to latents by DDIM (notebook 2); the network gets the noisy latents joined with the layout each time. Then divide by the scale, and decode once.


# %%
@torch.inference_mode()
def draw(network: nn.Module, layout: Tensor, factor: float, seed: int = 1) -> Tensor:
    """Pictures (batch, 3, 32, 32) on the CPU for layouts (batch, 7, 32, 32)."""
    made = recipes.process()
    path = made.path(inference_timesteps(1000, scale(smoke=3, cpu=25, gpu=25)))
    noise = draw_normal((len(layout), 4, 8, 8), runtime.generator(seed), device)
    denoise = made.denoiser(lambda noisy, t, condition: network(join(noisy, condition), t), layout.to(device))
    return autoencoder.decode(sample(denoise, DDIM(), noise, path) / factor).clamp(-1, 1).cpu()


drawn = {"yours": draw(model, held_out["layout"], factor), "reference": draw(reference, held_out["layout"], factor)}
plots.show(
    plots.image_grid({"label map": painted_maps, "yours": drawn["yours"][few], "reference": drawn["reference"][few], "a scene\nbehind it": held_out["image"][few]}, columns=10),
    alt="Four rows of ten: label maps; pictures by your network, trained for a minute; by the reference, in nearly the same colours, since both started from the same noise; and the scenes from which the maps were made.",
)

# %% [markdown]
# ## Measure
#
# The judge reads the drawn pictures. **Layout right**: every shape and size at its place, nothing too much; colours are free. **Variety**: the share of objects that have another colour in a second picture of the same layout. **Distance**: Fréchet, in features of the judge, to the scenes behind the layouts; it does not look at which
# picture belongs to which layout. Beside them stand real scenes of other layouts, other right answers, and other right answers sent through the autoencoder, the best that could come out.

# %%
records, layout = held_out["records"], held_out["layout"]
looks = [render(other_looks(records, runtime.generator(seed))) for seed in (1, 2)]
through = [recipes.decoded(autoencoder, recipes.encoded(autoencoder, images)) for images in looks]
others = recipes.scenes_with_layouts("validation", len(layout))["image"]
pairs = {
    "chance: scenes of other layouts": (others, others.roll(1, 0)),
    "yours": (drawn["yours"], draw(model, layout, factor, seed=2)),
    "reference": (drawn["reference"], draw(reference, layout, factor, seed=2)),
    "ceiling: right answers, autoencoded": through,
    "right answers": looks,
}
scores = {
    name: {**recipes.layout_scores(first, records), "variety": recipes.color_variety(first, second), **recipes.scene_quality(first, held_out["image"])}
    for name, (first, second) in pairs.items()
}
plots.table(
    ({"pictures": name, "layout right": row["layout_right"], "shapes": row["shape"], "sizes": row["size"], "variety": row["variety"], "distance": row["judge_frechet"]} for name, row in scores.items()),
    caption=f"{len(layout)} held-out layouts",
)
if runtime.scale_name() != "smoke":
    assert scores["yours"]["shape"] > scores["chance: scenes of other layouts"]["shape"] + 0.2, "your pictures should follow their layouts"
    assert scores["yours"]["variety"] > 0.3, "other noise should give other colours"

# %% [markdown]
# And on more samples, when the reference was trained:

# %%
# NBVAL_CHECK_OUTPUT
print_card(recipes.LDM_SCENES_LAYOUT)

# %% [markdown]
# ## Look: paint layouts
#
# Choose what stands at the four places, and let the noise choose the rest. (Without widgets: the figure below shows some.)

# %%
SHAPE_CHOICES = ["nothing", *(f"{size} {shape}" for size in SIZES for shape in SHAPES)]


def layout_of(*choices: str) -> Tensor:
    """The layout (1, 7, 32, 32) with these things at the four places."""
    chosen = [(*choice.split(), place) for choice, place in zip(choices, PLACES, strict=True) if choice != "nothing"]
    return recipes.one_hot_map(label_map(scene([(size, "red", shape, place) for size, shape, place in chosen])))  # its colour is not looked at


def painted(top_left: str, top_right: str, bottom_left: str, bottom_right: str, noise: int, network: str) -> Tensor:
    """Four pictures of one layout, (4, 3, 32, 32)."""
    wanted = layout_of(top_left, top_right, bottom_left, bottom_right).expand(4, -1, -1, -1)
    return draw({"reference": reference, "yours": model}[network], wanted, factor, noise)


widgets.explorer(
    painted, alt="four pictures that were drawn to the layout", columns=4, zoom=5,
    top_left=SHAPE_CHOICES[7:] + SHAPE_CHOICES[:7], top_right=SHAPE_CHOICES, bottom_left=SHAPE_CHOICES,  # each list begins with what is shown first
    bottom_right=SHAPE_CHOICES[5:] + SHAPE_CHOICES[:5], noise=(1, 50, 1), network=["reference", "yours"],
)  # fmt: skip

# %%
asked = {"a circle": ("large circle", "nothing", "nothing", "nothing"), "star, heart": ("large star", "small heart", "nothing", "nothing"),
         "four shapes": ("large star", "small heart", "large cross", "small triangle"), "four squares": ("small square",) * 4, "nothing": ("nothing",) * 4}  # fmt: skip
plots.show(
    plots.image_grid({name: painted(*choices, 3, "reference") for name, choices in asked.items()}, columns=4, zoom=1.2),
    alt="Five rows of four pictures, one row for each hand-made layout: a large circle; a star and a heart; four different shapes; four small squares; and nothing, which never occurs in training. Within a row shapes and places stay, colours and grounds differ.",
)

# %% [markdown]
# ## Break it: the forgotten scale
#
# One factor, and two places to forget it. Suppose the autoencoder's latents were as wide as Stable Diffusion's, 5.5 times as wide as ours. First, forget the factor only on the way *out*: what reaches the decoder is 5.5 times too small (or, with the factor the wrong way round, too large). Second, forget it in *training*:
# the same network, the same steps, latents that are 5.5 times as wide.

# %%
wide = 5.5
wrong, wrong_history = train_to_layout("unscaled", wide * factor)
spoiled = {
    "reference": drawn["reference"],
    "decoded\ntoo small": draw(reference, layout[few], wide * factor),
    "decoded\ntoo large": draw(reference, layout[few], factor / wide),
    "yours": drawn["yours"],
    "trained\nunscaled": draw(wrong, layout, wide * factor),
}
plots.show(
    plots.image_grid({name: images[few] for name, images in spoiled.items()}, columns=10),
    alt="Five rows of ten pictures: of the reference; of the reference with latents that reach the decoder too small, faint spots on grey; and too large, dark glaring shapes on white or stained grounds; of your network; and of the same network trained on latents without their scale, some of whose shapes are wrong.",
)
broken = recipes.layout_scores(spoiled["trained\nunscaled"], records)
plots.table(
    [{"training": name, "layout right": row["layout_right"], "shapes": row["shape"], "sizes": row["size"]} for name, row in (("scaled", scores["yours"]), ("unscaled", broken))],
    caption=f"{len(layout)} held-out layouts, as above",
)
spread = torch.tensor([1.0, wide])[:, None]
signal_to_noise = 20 * torch.log10(spread * (table.cpu() / (1 - table.cpu())).sqrt())  # in decibels
figure, axes = plots.figure(width=5.6, height=2.6)
for color, name, values in zip(plots.COLORS, ("scaled", "unscaled"), signal_to_noise, strict=False):
    axes[0, 0].plot(values, color=color, label=name)
axes[0, 0].axhline(0, color=plots.COLORS[6], linestyle="--", linewidth=1, label="as much signal as noise")
axes[0, 0].set(xlabel="step of 1,000", ylabel="signal to noise (dB)", ylim=(-60, 60))
axes[0, 0].legend(frameon=False, fontsize=7)
plots.show(figure, alt="Signal to noise over the steps for scaled and unscaled latents: two parallel falling curves, that of the unscaled latents 15 decibels higher. It crosses zero much later.")
even = [int((values > 0).sum()) for values in signal_to_noise]
print(f"steps of 1,000 at which the signal is stronger than the noise: scaled {even[0]}, unscaled {even[1]}")

# %% [markdown]
# The second mistake is the treacherous one: nothing crashes, the loss falls, pictures come out. (Its loss cannot be compared with that of the scaled latents: the velocity to be guessed is wider, too.) Two things are wrong at once. The network gets numbers five times as large as it was made for. And wide latents drown late: at most steps there is hardly any noise to
# find, and the steps with about as much signal as noise, at which it is decided what stands where, are squeezed together at the end. The schedule and the spread belong together: who changes one has to look at the other.
#
# ## What it costs
#
# The paper's argument, which the lecture repeats, is a matter of cost: diffusion among pixels takes hundreds of days of a GPU, in latents the same quality costs far less. The course's experiment trains four models with *equally many operations*, three seeds each, all told the same label maps: in pixels; in pixels folded into channels (squares of 2 × 2 or 4 × 4 pixels become one place: fewer places without an autoencoder); and in latents.
# It counts operations, not seconds, so it comes out alike on every machine.

# %%
cost_rows = training.results(latent_experiments.COST)
plots.show(
    latent_experiments.COST.figure(cost_rows),
    alt="Three panels for pixels, pixels folded by 2, pixels folded by 4, and latents: share of pictures that follow their layout, distance, and operations for one picture.",
)
verdict = latent_experiments.COST.verdict(cost_rows)
print(f"The lecture's claim {verdict.verdict}: {verdict.why}")

# %% [markdown]
# The comparison is honest only with the autoencoder's own bill beside it, the last sentence above: it is paid once, for every model that will ever live in its latents.
#
# <details><summary>How large this gets: the sizes of Stable Diffusion</summary>
#
# Stable Diffusion draws 512 × 512 pixels, 786,432 numbers, by way of 64 × 64 places of 4, 16,384 numbers: a 48th. Attention, whose cost grows with the *square* of the places, would in pixels have to compare each of 262,144 places with each other.
# </details>
#
# ## What a condition tells
#
# The lecture lists ways of conditioning. Seven short trainings try them, on scenes of *one* object, three seeds each:
#
# | told | how it comes in |
# |---|---|
# | nothing | |
# | the class, shape and colour | added to the time |
# | the class, to a **DiT** (Peebles and Xie) | a transformer in place of the U-Net, whose tokens are the places themselves; time and class scale and shift its norms |
# | the layout, as a label map | further channels (exercise 4) |
# | the layout, as a list of boxes | cross-attention (exercise 2): a token a place, with shape and size of what stands there |
# | a picture of 8 × 8 pixels, as in super-resolution | further channels |
# | the left or right half of the picture, as in inpainting | further channels: the mask, and the latents of the half |
#
# The condition is taken from a held-out scene; what of that scene does the drawn picture have?

# %%
condition_rows = training.results(latent_experiments.CONDITIONING)
plots.show(
    latent_experiments.CONDITIONING.figure(condition_rows),
    alt="A table of shares: for each way of conditioning, how often shape, colour, size, place and background of the drawn scene agree with those of the scene behind the condition.",
)

# %% [markdown]
# The first row is chance: a model that is told nothing. What a row adds to it is what its condition tells; what it leaves open, the noise decides. In 500 steps not every network has learned all that it is told. What stands in place is learned at once: the label map says where each pixel of a shape lies, the small picture its colour. The boxes say as much
# as the map, but what a "heart" looks like has to be learned first; so has what a class looks like, and its colour comes before its shape. Half of the picture tells all if the object stands in it, and little if not.
#
# ## The real thing
#
# The networks of Stable Diffusion 1.5 load into our `UNet` and `AutoencoderKL`. Their sizes, counted without making the weights, and beside them the U-Net for inpainting, with nine channels (latents, mask, and the latents of what is known), and the largest DiT of its paper (which answers with a variance beside the noise, hence 8 channels for 4):

# %%
# NBVAL_CHECK_OUTPUT
with torch.device("meta"):
    stable = UNetConfig(in_channels=4, out_channels=4, image_size=64, widths=(320, 640, 1280, 1280), num_blocks=2, attention_levels=(0, 1, 2), num_heads=8, context_width=768)
    networks = {
        "U-Net": UNet(stable),
        "autoencoder": AutoencoderKL(AutoencoderKLConfig(image_size=512, widths=(128, 256, 512, 512), num_blocks=2)),
        "U-Net for inpainting": UNet(UNetConfig(**{**vars(stable), "in_channels": 9})),
        "DiT-XL/2": DiT(DiTConfig(in_channels=4, out_channels=8, image_size=32, patch_size=2, width=1152, depth=28, num_heads=16, num_classes=1000)),
    }
for name, network in networks.items():
    print(f"{name:<22} {sum(parameter.numel() for parameter in network.parameters()):>13,} parameters")

# %% [markdown]
# The autoencoder alone has 335 MB, the U-Net 3.4 GB. The text that the U-Net wants to look at comes in chapters 5 and 6 (`UNet.from_hub("stable-diffusion-v1-5/stable-diffusion-v1-5", "unet")` fetches it); the autoencoder can be tried at once, at scale gpu (`COURSE_SCALE=gpu`). Is its scale the famous one, on our scenes?

# %%
from course_utils.hub import OfflineError

if runtime.scale_name() == "gpu":
    try:
        published = AutoencoderKL.from_hub("stabilityai/sd-vae-ft-mse").to(device)
        large = render(held_out["records"][:4], size=256)
        with torch.inference_mode():
            mean = published.encode(large.to(device)).mean
            back = published.decode(mean).clamp(-1, 1).cpu()
        plots.show(plots.image_grid({"scene": large, "Stable Diffusion's\nautoencoder": back}, columns=4, zoom=3), alt="Four scenes of 256 by 256 pixels, and what the published autoencoder makes of them.")
        print(f"PSNR {psnr(back, large).mean():.1f} dB; your scale on these latents {latent_scale(mean):.3f}, saved with the weights {published.scaling_factor:.5f}")
    except OfflineError as error:
        print(f"No network, so no published weights here ({str(error).split(':')[0]}).")
else:
    print(f"Published weights are fetched at scale gpu; this is scale {runtime.scale_name()}.")

# %% [markdown]
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-frozen", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** Why not train autoencoder and diffusion model together, with the loss of exercise 3 reaching the encoder, too? Suppose the scale is measured anew at every step. What would the encoder do to make that loss small, and which term of the autoencoder's own loss stands against it?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# It would make latents whose velocity is easy to guess: all alike, or varying with nothing but a constant, so that the network knows z without looking. Then the noise can be read off the noisy latents, and the loss is nearly zero, while pictures can no longer be told apart. The reconstruction term stands against it, since from equal latents
# different pictures cannot be decoded; which of the two wins is a matter of their weights. In stages there is no such quarrel.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-kl", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** A VAE of chapter 1 had the KL at full weight, and its samples were blurred. Here it has a hundredth of that. What was it needed for there, who does that work here, and what would go wrong if one drew latents from a standard normal and decoded them?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# There the prior was the only thing to draw from, so the codes of all pictures together had to fill a standard normal, and every code had to carry noise, for which the picture paid with blur. Here the diffusion model learns the distribution of the latents, whatever it is, and draws from that. A standard normal has the right spread after scaling but not the structure:
# neighbouring places would not belong together, and the decoder would make patches of colour of them.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-condition", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **3.** For each of these, would you join channels, use cross-attention, or add to the time: a depth map; the sentence "a red heart above a star"; the month in which a photo was taken; a photo whose lower half is to be continued? Why?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# Depth map and half photo say something about each place, and stand in the same grid as the picture: channels (for the photo with a mask, so that grey and hidden can be told apart). The sentence is a list of words, of varying length, and which place it concerns is to be found out: cross-attention. The month is one fact about the whole picture: an embedding added to the time,
# or a single token of context.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Esser, Rombach and Ommer, *Taming transformers for high-resolution image synthesis*, CVPR 2021: the same autoencoder with a codebook, and a transformer over its codes.
# - Zhang, Rao and Agrawala, *Adding conditional control to text-to-image diffusion models* (ControlNet), ICCV 2023: layouts, edges and poses for a model that was trained without them.
# - Esser et al., *Scaling rectified flow transformers for high-resolution image synthesis*, ICML 2024: what became of it, with sixteen channels of latents.
