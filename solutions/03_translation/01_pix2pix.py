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
# # pix2pix: translation from pairs
#
# | | |
# |---|---|
# | **Time** | 75 minutes of work; the code runs in about 3 minutes on a laptop's CPU, 1 on a GPU |
# | **You need** | a GAN's two players and their alternating steps, the non-saturating loss (chapter 2); convolutions |
# | **Builds on** | the GAN and DCGAN; nothing that you wrote there is needed here |
# | **Code** | `course_utils/translation/pix2pix.py` |
# | **Papers** | Isola, Zhu, Zhou and Efros, *Image-to-image translation with conditional adversarial networks*, CVPR 2017 · Ronneberger, Fischer and Brox, *U-Net: convolutional networks for biomedical image segmentation*, MICCAI 2015 · Li and Wand, *Precomputed real-time texture synthesis with Markovian generative adversarial networks*, ECCV 2016 |
#
# A map to a satellite picture, an outline to a shoe, a day to a night: in each task one picture goes in and another comes out. pix2pix learns all of them with one network and one loss, from *pairs*: inputs, each with its right answer.
# By the end you will have turned label maps, which only say what is where, into photographs:

# %%
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from course_utils import plots, runtime, scale, training, widgets
from course_utils.checks import translation as check
from course_utils.data import Scenes, loader, real
from course_utils.data.scenes import PLACES, SHAPES, SIZES, render, scene
from course_utils.gans.dcgan import initialize
from course_utils.translation import experiments, pix2pix, recipes

device = runtime.device()
runtime.seed_everything(0)

reference = training.load(recipes.PIX2PIX_LABELS2PHOTO)  # a pix2pix shipped with the course
held_out = recipes.pairs("test", scale(smoke=32, cpu=500, gpu=2_000), "labels", "photo")
labels, photos = held_out["input"], held_out["image"]
translations = recipes.translated(reference, labels)
plots.show(
    plots.image_grid({"label map": labels[:10], "pix2pix": translations[:10], "a photo\nof it": photos[:10]}, columns=10),
    alt="Three rows of ten scenes: label maps with flat shapes on black; photographs that pix2pix made of them, with shaded, glossy objects on a ground; and real photographs of the same shapes in other colours.",
)

# %% [markdown]
# ## The idea
#
# A label map says "a circle here, a large heart there". It does not say in which colours, in what light, on which ground. So to one input there are many right answers. Three of them, for each of ten maps, and in the last row nearly
# what a network would learn if it were only told to keep its error small:

# %%
other_photos = [render(recipes.other_looks(held_out["records"][:10], runtime.generator(seed)), style="photo") for seed in (1, 2)]
median = recipes.median_answer("photo", held_out["label_map"])
plots.show(
    plots.image_grid(
        {"label map": labels[:10], "right": photos[:10], "right too": other_photos[0], "and this": other_photos[1], "smallest\nerror": median[:10]},
        columns=10,
    ),
    alt="A row of label maps, three rows of photographs that fit them in different colours, and a row with flat brownish grey shapes on a flat light grey ground.",
)

# %% [markdown]
# The last row gives each label one colour, the one with the smallest mean absolute error on training photos. That is their *median*, value by value: half of the right answers are brighter there, half are darker. Nobody would take it for a photograph.
# What is missing is someone who looks at the whole and says "no photo looks like that": a discriminator. It must not only find the answer photographic, but see whether it is an answer *to this input*. So it is shown **pairs**:
#
# $$ G^* = \arg\min_G \max_D \;\; \underbrace{\mathbb E_{x, y}\big[\log D(x, y)\big] + \mathbb E_{x}\big[\log\big(1 - D(x, G(x))\big)\big]}_{\text{conditional GAN}}
#    \;+\; \lambda\, \underbrace{\mathbb E_{x, y}\big[\lVert y - G(x) \rVert_1\big]}_{\text{reconstruction}} $$
#
# - $x$: the input, here a label map; $y$: its true answer, a photo; $G(x)$: the generator's answer,
# - $D(x, y)$: the probability, in the discriminator's eyes, that $x$ and $y$ are a true pair,
# - $\lVert \cdot \rVert_1$: here the *mean* absolute difference of all values (the symbol often means their sum); $\lambda = 100$: how much that mean counts.
#
# The two terms share the work. The L1 term holds what is large: shapes and their places. The discriminator looks after what is small: texture, shading, crisp edges. So it need not see the whole picture, and judges each *patch* of it on its own.
#
# ## Exercise 1 · A U-Net · *15 minutes, medium, core*
#
# The generator is an autoencoder with a short cut. The **encoder** halves the picture a few times, down to a small *bottleneck* that knows what is there; the **decoder** doubles it again. But where exactly each edge runs, the input
# has told already, and to squeeze that through the bottleneck would be a waste. So at each size the decoder is also handed what the encoder had seen *at that size*, its mirror layer: a **skip connection**.
#
#       picture ─► encoder[0] ─┬───────────────────────────────────────────────────────────► ⊕ ─► decoder[2] ─► answer
#                              └─► encoder[1] ┬───────────────────────────► ⊕ ─► decoder[1] ─┘
#                                             └─► encoder[2] ─► decoder[0] ─┘
#
# The sign ⊕ joins two stacks of feature maps of equal size to one with the channels of both: first the encoder's, then the decoder's. The innermost layer has no skip: what it gives *is* the decoder's input.
# All layers are given, activations included; write the way through them, for any `depth` (the picture has 3; with 1 there is no skip at all). Call each layer as a whole, for one of them gets a dropout behind it later.
#
# <details><summary>Hint</summary>
#
# Keep what each layer of the encoder gives in a list. The last one is the bottleneck: take it off, it goes into `decoder[0]` alone. The others are needed in reverse, which is how a list's `pop()` gives them.
# `torch.cat([skip, features], dim=1)` joins along the channels.
# </details>
#
# *Stuck? Set `UNet = check.unet.reference` and go on. The same works for each exercise below.*

# %% nbgrader={"grade": false, "grade_id": "unet", "locked": false, "schema_version": 3, "solution": true, "task": false}
class UNet(nn.Module):
    """Pictures (batch, in_channels, height, width) to answers (batch, out_channels, height, width) in [-1, 1].

    Height and width, which may differ, are multiples of 2^depth. `encoder[i]` halves both, `decoder[i]` doubles both; all layers of the decoder but the first
    take twice as many channels, for the features of the encoder's mirror layer, which come first, and those of the layer before.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int, depth: int):
        super().__init__()
        widths = [width * 2**level for level in range(depth)]
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for level, (taken, given) in enumerate(pairwise((in_channels, *widths))):
            norm = nn.BatchNorm2d(given) if 0 < level < depth - 1 else nn.Identity()
            self.encoder.append(nn.Sequential(nn.Conv2d(taken, given, 4, stride=2, padding=1), norm, nn.LeakyReLU(0.2)))
        for level, (given, taken) in reversed(list(enumerate(pairwise((out_channels, *widths))))):
            taken = taken if level == depth - 1 else 2 * taken
            end = [nn.BatchNorm2d(given), nn.ReLU()] if level else [nn.Tanh()]
            self.decoder.append(nn.Sequential(nn.ConvTranspose2d(taken, given, 4, stride=2, padding=1), *end))

    def forward(self, images: Tensor) -> Tensor:
        """The answers to pictures (batch, in_channels, height, width)."""
        ### BEGIN SOLUTION
        features, seen = images, []
        for layer in self.encoder:
            features = layer(features)
            seen.append(features)
        features = self.decoder[0](seen.pop())
        for layer in self.decoder[1:]:
            features = layer(torch.cat([seen.pop(), features], dim=1))
        return features
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "unet-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.unet(UNet)
### BEGIN HIDDEN TESTS
check.unet(UNet, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Does the short cut matter? The lecture, as the paper, says so. The course's experiment trains U-Nets and the same networks without skips, three seeds each:

# %%
skip_rows = training.results(experiments.SKIPS)
plots.show(
    experiments.SKIPS.figure(skip_rows),
    alt="Scores of translations with and without skip connections, for L1 alone and for L1 with the conditional GAN.",
)
verdict = experiments.SKIPS.verdict(skip_rows)
print(f"The lecture's claim: {verdict}")

# %% [markdown]
# ## Exercise 2 · What one logit sees · *10 minutes, easy, core*
#
# The discriminator is a chain of convolutions without any layer that joins all places. It gives a small map of logits, and each logit depends on a square of pixels only: its **receptive field**. Go backwards from one output value, which is
# a square of side $r = 1$. If a layer with kernel $k$ and stride $s$ made it, then $r$ neighbouring outputs lie $s$ apart, and the last of them reaches a whole kernel:
#
# $$ r \leftarrow (r - 1)\, s + k $$
#
# The paper's discriminator has kernels of 4 and strides 2, 2, 2, 1, 1, and is called the 70 × 70 PatchGAN. Check it.
#
# <details><summary>Hint</summary>
#
# `for kernel, stride in reversed(layers):`
# </details>

# %% nbgrader={"grade": false, "grade_id": "receptive-field", "locked": false, "schema_version": 3, "solution": true, "task": false}
def receptive_field(layers: tuple[tuple[int, int], ...]) -> int:
    """Side in pixels of the square that one output value of a chain of convolutions sees.

    Args:
        layers: (kernel, stride) of each, from the picture to the output.
    """
    ### BEGIN SOLUTION
    size = 1
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel
    return size
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "receptive-field-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.receptive_field(receptive_field)
### BEGIN HIDDEN TESTS
check.receptive_field(receptive_field, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Seventy pixels are about a quarter of the side of the paper's pictures. Ours have sides of 32, so a quarter would be 8. With one layer of stride 2 a patch has 16, and the next smaller one would be a single pixel; so we take 16.

# %%
# NBVAL_CHECK_OUTPUT
for halvings in (0, 1, 2, 3):
    chain = [part for part in pix2pix.PatchDiscriminator(6, width=2, layers=halvings).modules() if isinstance(part, nn.Conv2d)]
    side = receptive_field(tuple((part.kernel_size[0], part.stride[0]) for part in chain))
    print(f"{halvings} layers of stride 2: patches of {side} x {side} pixels")

# %% [markdown]
# ## Exercise 3 · Is this a real pair? · *10 minutes, medium, core*
#
# The discriminator is given pairs as one picture with the channels of both, *the input first*, and returns a logit for each patch; $D$ is the sigmoid of it. It wants 1 for true pairs and 0 for the generator's:
#
# $$ \mathcal L_D = -\tfrac12 \Big( \mathbb E\big[\log D(x, y)\big] + \mathbb E\big[\log\big(1 - D(x, G(x))\big)\big] \Big) $$
#
# The mean runs over patches and pictures alike. The half is the paper's, to slow $D$ down against $G$. (With plain gradient descent it does; Adam, with which we train below, divides such a factor out again.) And this is $D$'s loss alone: no gradient of it may reach $G$.
# $D$ has batch norm, which looks at a whole batch of pairs. True and made pairs may go through it in two calls or in one joined batch: the losses differ a little, and both are right.
#
# <details><summary>Hint</summary>
#
# `F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))` is the mean of $-\log D$; with zeros in place of ones it is that of $-\log(1 - D)$. `detach()` belongs to the *answers*, not to the logits: $D$ has to learn
# from both pairs.
# </details>

# %% nbgrader={"grade": false, "grade_id": "discriminator-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def discriminator_loss(discriminator, inputs: Tensor, targets: Tensor, answers: Tensor) -> Tensor:
    """What the discriminator minimises, a scalar.

    Args:
        discriminator: maps pairs (batch, channels of input and answer, height, width) to logits (batch, 1, h, w), of any size.
        inputs: (batch, in_channels, height, width).
        targets: their true answers, (batch, out_channels, height, width).
        answers: those of the generator, of the same shape; no gradient reaches them.
    """
    ### BEGIN SOLUTION
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
    real_loss = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    fake_loss = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    return 0.5 * (real_loss + fake_loss)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "discriminator-loss-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.discriminator_loss(discriminator_loss)
### BEGIN HIDDEN TESTS
check.discriminator_loss(discriminator_loss, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# A small experiment in thought, and then in code. Let the generator be perfect, $G(x) = y$, and let the discriminator say $\tfrac12$ everywhere. Then nothing is left to learn: what the true pairs ask of $D$'s weights, the made pairs ask back, and the gradient is zero.
# That does not prove the loss right, but that both kinds of pair pull at $D$, and equally.

# %%
# NBVAL_CHECK_OUTPUT
undecided = pix2pix.PatchDiscriminator(6, width=4, layers=1)
nn.init.zeros_(undecided.model[-1].weight)
nn.init.zeros_(undecided.model[-1].bias)  # every logit is 0, so D = 1/2
loss = discriminator_loss(undecided, labels[:8], photos[:8], photos[:8])
loss.backward()
steepest = max(parameter.grad.abs().max().item() for parameter in undecided.parameters())
print(f"loss {loss.item():.4f} (log 2 is 0.6931), steepest slope of D {steepest:.4f}")
assert steepest < 1e-6, "the made pairs do not pull at the discriminator"

# %% [markdown]
# ## Exercise 4 · The generator's loss · *10 minutes, easy, core*
#
# The generator wants its pairs to be taken for true ones, and its answers near the truth. As in chapter 2 it makes $-\log D$ small in place of $\log(1 - D)$, for a strong slope where $D$ is sure:
#
# $$ \mathcal L_G = -\,\mathbb E\big[\log D(x, G(x))\big] + \lambda\, \mathbb E\big[\lVert y - G(x) \rVert_1\big] $$
#
# On its way to the answers the gradient passes through $D$. Leave $D$ as it is, without freezing it and without `eval()`: that this step moves only the generator's weights is the care of the training.
#
# <details><summary>Hint</summary>
#
# Here the gradient must pass through the discriminator to the answers: no `detach()`. `F.l1_loss` is the mean absolute difference.
# </details>

# %% nbgrader={"grade": false, "grade_id": "generator-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def generator_loss(discriminator, inputs: Tensor, targets: Tensor, answers: Tensor, l1_weight: float = 100.0) -> Tensor:
    """What the generator minimises, a scalar.

    Args:
        discriminator, inputs, targets, answers: as for `discriminator_loss`.
        l1_weight: lambda, of the mean absolute difference of answers and targets.
    """
    ### BEGIN SOLUTION
    fake = discriminator(torch.cat([inputs, answers], dim=1))
    return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake)) + l1_weight * F.l1_loss(answers, targets)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "generator-loss-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.generator_loss(generator_loss)
### BEGIN HIDDEN TESTS
check.generator_loss(generator_loss, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Train
#
# Your U-Net against a discriminator of patches, your two losses, one step of each in turn. Like the paper's generator ours gets no noise as input; the only chance in it is a **dropout** layer behind the innermost layer of the decoder, which sets half of the values there to zero at random.
#
# Where there is a network, real pairs are one argument away: `train_pix2pix("facades")`, or `"maps"`, `"edges2shoes"`.


# %%
def training_pairs(data: str) -> tuple[Dataset, str, str]:
    """Our scenes, or by name a real data set; and what a batch calls the drawing and the photograph."""
    if data == "scenes":
        return Scenes("train", fields=("labels", "photo")), "labels", "photo"
    return real.load_pairs(data, size=32), "input", "image"


def train_pix2pix(data: str = "scenes", steps: int = scale(smoke=4, cpu=1_500, gpu=6_000)) -> tuple[UNet, training.History]:
    """Train on `scenes`, or, with a network, on `facades`, `maps` or `edges2shoes`."""
    collection, drawing, photograph = training_pairs(data)
    runtime.seed_everything(1)
    generator, discriminator = UNet(3, 3, width=16, depth=4), pix2pix.PatchDiscriminator(6, width=16, layers=1)
    generator.decoder[0].append(nn.Dropout(0.5))
    networks = [network.apply(initialize).to(device) for network in (generator, discriminator)]

    def discriminator_objective(batch: dict) -> tuple[Tensor, dict]:
        return discriminator_loss(discriminator, batch[drawing], batch[photograph], generator(batch[drawing])), {}

    def generator_objective(batch: dict) -> tuple[Tensor, dict]:
        answers = generator(batch[drawing])
        loss = generator_loss(discriminator, batch[drawing], batch[photograph], answers)
        return loss, {"L1": F.l1_loss(answers, batch[photograph])}

    adam = {"learning_rate": 1e-3, "betas": (0.5, 0.999)}
    players = [
        training.Player("discriminator", discriminator, discriminator_objective, **adam),
        training.Player("generator", generator, generator_objective, **adam),
    ]
    pairs = loader(collection, 16, seed=1)
    history = training.cached(
        f"01_pix2pix/{data}", lambda: training.fit(players, pairs, steps, schedule=recipes.falling, clip=None), networks,
        uses=(UNet, discriminator_loss, generator_loss),
    )  # fmt: skip
    return generator, history


model, history = train_pix2pix()
plots.show(
    plots.curves({"discriminator's loss": history["discriminator/loss"], "L1": history["generator/L1"]}, ylabel="loss", smooth=50),
    alt="Two curves over the steps of training. The L1 term falls steeply in the first steps and then rises slowly. The discriminator's loss falls from log 2 to a third of it and moves about there.",
)

# %% [markdown]
# Look at the L1 curve: after a steep fall it *rises*. First the network finds the flat median. Then the discriminator asks for decided colours and for shading, and a decided colour that is wrong has a larger error than none at all.

# %% [markdown]
# ## Look
#
# Held-out label maps, translated by your network and by the reference, which is twice as wide and was trained six times as long, with $\lambda = 30$:

# %%
with torch.inference_mode():
    own = model(labels.to(device)).cpu()
plots.show(
    plots.image_grid({"label map": labels[10:20], "yours": own[10:20], "reference": translations[10:20], "a photo\nof it": photos[10:20]}, columns=10),
    alt="Four rows of ten scenes: label maps, your translations, those of the reference, and photographs of the same shapes.",
)

# %% [markdown]
# Every shape is where its label was, shaded and in a colour; only the colour is not that of the photo, for who could know it?
#
# Now paint label maps yourself: choose what stands at each of the four places. (Without widgets: the figure below shows some.)

# %%
SHAPE_CHOICES = ["nothing", *(f"{size} {shape}" for size in SIZES for shape in SHAPES)]


def painted(*choices: str) -> Tensor:
    """The label map (1, 3, 32, 32) with these things at the four places."""
    chosen = [(*choice.split(), place) for choice, place in zip(choices, PLACES, strict=True) if choice != "nothing"]
    return render(scene([(size, "red", shape, place) for size, shape, place in chosen]), style="labels")  # labels have no colour


def photographed(top_left: str, top_right: str, bottom_left: str, bottom_right: str, network: str) -> Tensor:
    """The label map, and what the chosen network makes of it."""
    label_map = painted(top_left, top_right, bottom_left, bottom_right)
    with torch.inference_mode():
        answer = {"reference": reference, "yours": model}[network](label_map.to(device)).cpu()
    return torch.cat([label_map, answer])


widgets.explorer(
    photographed, alt="a label map, and the photo that is made of it", columns=2, zoom=6,
    top_left=SHAPE_CHOICES[7:] + SHAPE_CHOICES[:7], top_right=SHAPE_CHOICES, bottom_left=SHAPE_CHOICES,
    bottom_right=SHAPE_CHOICES[5:] + SHAPE_CHOICES[:5], network=["reference", "yours"],
)  # fmt: skip

# %%
maps = [painted("large circle", *(["nothing"] * 3)), painted("small circle", *(["nothing"] * 3)), painted("large circle", "small heart", "nothing", "nothing"),
        painted("large star", "small heart", "nothing", "nothing"), painted("large star", "small heart", "large cross", "nothing"),
        painted("large star", "small heart", "large cross", "small triangle"), painted(*(["small square"] * 4)), painted(*(["nothing"] * 4))]  # fmt: skip
maps = torch.cat(maps)
with torch.inference_mode():
    rows = {"label map": maps, "yours": model(maps.to(device)).cpu(), "reference": reference(maps.to(device)).cpu()}
plots.show(
    plots.image_grid(rows, columns=8, zoom=1.2),
    alt="Eight hand-made label maps, and below them photographs by your network and by the reference: a shape that is moved, enlarged or exchanged in the map is moved, enlarged or exchanged in the photo.",
)

# %% [markdown]
# In your network a shape mostly has the same colour wherever you put it. The reference chooses by the whole map, but the same map always gets the same answer. (The last map, an empty one, never occurs in training.)
#
# The reference `pix2pix-edges2photo` starts from outlines. Inside and outside of a line it has to find out itself:

# %%
edges = recipes.pairs("test", 10, "edges", "photo")
drawn = recipes.translated(training.load(recipes.PIX2PIX_EDGES2PHOTO), edges["input"])
plots.show(
    plots.image_grid({"outlines": edges["input"], "pix2pix": drawn, "a photo\nof it": edges["image"]}, columns=10),
    alt="Three rows of ten scenes: black outlines on white, photographs made of them by pix2pix, and real photographs.",
)

# %% [markdown]
# ## Measure: does someone else recognise it?
#
# How far is an answer from the truth? The mean absolute error (L1) and the structural similarity (SSIM: 1 for equal pictures) compare pixel with pixel. But with many right answers that is not fair, as the row "another right answer" of the table shows. The
# paper's way out is the **FCN score**: let a network that was trained on *real* photographs label the pixels of the translation, and compare with the label map that it was made from. Ours is `photo-judge`. Overlap is the mean over the seven labels of
# intersection over union.

# %%
count = len(labels)
others = render(recipes.other_looks(held_out["records"], runtime.generator(1)), style="photo")
answers = {
    "the label map itself": labels,
    "median colour of each label": median,
    "yours": own,
    "pix2pix-labels2photo": translations,
    "another right answer": others,
    "the true photo": photos,
}
scores = {name: recipes.translation_scores(images, photos, held_out["records"], held_out["label_map"]) for name, images in answers.items()}
plots.table(
    ({"answer": name, "L1": row["l1"], "SSIM": row["ssim"], "overlap": row["mean_iou"]} for name, row in scores.items()),
    caption=f"{count} held-out scenes. Less is better for L1, more for the rest",
)
if runtime.scale_name() != "smoke":
    assert scores["yours"]["mean_iou"] > max(0.6, scores["the label map itself"]["mean_iou"] + 0.2), "the judge should find the shapes in your photos"

# %% [markdown]
# By L1 the flat median beats a real photo of the same labels in other colours: a small error is no sign of a good answer. The judge sees it the other way round.
#
# What was measured when the checkpoints were trained, on 2,000 held-out pairs:

# %%
# NBVAL_CHECK_OUTPUT
for recipe in (recipes.PIX2PIX_LABELS2PHOTO, recipes.PIX2PIX_EDGES2PHOTO):
    metrics = training.read_card(recipe)["metrics"]
    print(recipe.name, {name: round(metrics[name], 3) for name in ("l1", "median_color_l1", "other_truth_l1", "ssim", "mean_iou", "readback_ratio")})

# %% [markdown]
# ## Which part does what?
#
# The paper's tables, made again on our scenes with three seeds each. First the loss: L1 alone, a GAN that sees answers only, the conditional one that sees pairs, and both with L1. The lecture says that the combination beats either alone:

# %%
loss_rows = training.results(experiments.LOSSES)
plots.show(
    experiments.LOSSES.figure(loss_rows),
    alt="Scores of five losses: L1, GAN, conditional GAN, L1 with GAN, and L1 with conditional GAN.",
)
verdict = experiments.LOSSES.verdict(loss_rows)
print(f"The lecture's claim: {verdict}")

# %% [markdown]
# Then the size of the patches, from single pixels to the whole picture:

# %%
patch_rows = training.results(experiments.PATCHES)
plots.show(experiments.PATCHES.figure(patch_rows), alt="Scores of translations for discriminators with patches of different sizes.")

# %% [markdown]
# In the paper 70 of 256 pixels were best. Here, in short trainings, the smaller the patch the better the answers are read; but those for single pixels are grainy, sharper than real photos. A discriminator that sees much also has more to learn before it is of use.
#
# ## One network, six tasks
#
# Nothing in your code knows about labels or photos. The same code, other pairs, two scenes each (inputs above, answers below):

# %%
styles = (("labels", "photo"), ("photo", "labels"), ("edges", "photo"), ("day", "night"), ("plan", "aerial"), ("aerial", "plan"))
figure, axes = plots.figure(1, 6, width=9.0, height=1.9)
for axis, (source, target) in zip(axes[0], styles, strict=True):
    example = recipes.pairs("test", 2, source, target)
    axis.imshow(plots.sheet(torch.cat([example["input"], example["image"]]), columns=2))
    axis.set(title=f"{source} to {target}", xticks=[], yticks=[])
    axis.grid(False)
plots.show(
    figure,
    alt="Six panels, one a task, with two inputs above and their answers below: labels and photo, photo and labels, outlines and photo, day and night, plan and aerial view, aerial view and plan.",
)

# %% [markdown]
# Each task trained briefly, three seeds, with the same settings. Its answers stand beside the input left as it is:

# %%
task_rows = training.results(experiments.TASKS)
plots.show(
    experiments.TASKS.figure(task_rows),
    alt="Scores of six translation tasks: labels to photo, photo to labels, edges to photo, day to night, plan to aerial and aerial to plan, each beside the unchanged input.",
)

# %% [markdown]
# ## Exercise 5 · Dropout as the only noise · *10 minutes, easy, optional*
#
# The paper first fed the generator a noise vector, and found that it learned to ignore it. What it kept as noise is dropout, *at test time too*. Write it with its randomness as an argument: each value is set to zero if its uniform number lies below the `rate`;
# what is left is divided by $1 - \text{rate}$, so that the mean stays.
#
# <details><summary>Hint</summary>
#
# `uniform >= rate` is a mask; a product of numbers with it keeps those where it is true.
# </details>
#
# *Go on without it: set `drop = check.drop.reference`.*

# %% nbgrader={"grade": false, "grade_id": "drop", "locked": false, "schema_version": 3, "solution": true, "task": false}
def drop(features: Tensor, uniform: Tensor, rate: float) -> Tensor:
    """Features with some of their values set to zero and the others scaled up.

    Args:
        features: (batch, channels, height, width).
        uniform: numbers in [0, 1) of the same shape; a value is dropped where its number is below `rate`.
        rate: share of values to drop, in [0, 1).
    """
    ### BEGIN SOLUTION
    return features * (uniform >= rate) / (1 - rate)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "drop-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.drop(drop)
### BEGIN HIDDEN TESTS
check.drop(drop, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Break it: one answer where many are right
#
# Ask for the colour. It is not in the label map, so a model of $p(y \mid x)$, the distribution of answers, would draw a red heart now and a green one then. With your `drop` in place of the dropout layer (which a trained network switches off), draw ten answers to one map; beside them, ten right ones:

# %%
def several(label_map: Tensor, number: int) -> Tensor:
    """Answers of your network to one label map (1, 3, 32, 32), each with other noise."""
    dropout = model.decoder[0][-1]
    noisy = dropout.register_forward_hook(lambda layer, given, features: drop(features, torch.rand_like(features), layer.p))
    with torch.inference_mode():
        answers = model(label_map.expand(number, -1, -1, -1).to(device)).cpu()
    noisy.remove()
    return answers


number, asked = 10, 8
runtime.seed_everything(2)
own_answers = several(labels[asked : asked + 1], number)
right_answers = torch.cat([render(recipes.other_looks(held_out["records"][asked : asked + 1], runtime.generator(seed)), style="photo") for seed in range(number)])
plots.show(
    plots.image_grid({"yours, with\nother noise": own_answers, "right": right_answers}, columns=10),
    alt="Two rows of ten. Above, ten answers of the network to one label map, nearly the same picture ten times. Below, ten right answers in different colours, on different grounds, in different light.",
)
spread = {name: (pictures[1:] - pictures[:-1]).abs().mean().item() for name, pictures in (("yours", own_answers), ("right", right_answers))}
print(f"mean absolute difference between two answers: yours {spread['yours']:.3f}, right ones {spread['right']:.3f}")
if runtime.scale_name() != "smoke":
    assert spread["yours"] < 0.5 * spread["right"], "dropout should hardly change the answer"

# %% [markdown]
# The noise changes hardly anything. Why should it? L1 asks for one answer, the median, and punishes every step away from it. The discriminator asks for *a* true pair, and one is enough. Nothing in the loss rewards variety. The course's
# experiment asks the reference for eight answers to each of three times 500 held-out maps, and lets the judge name the colours:

# %%
mode_rows = training.results(experiments.ONE_MODE)
plots.show(
    experiments.ONE_MODE.figure(mode_rows),
    alt="Spread of the answers over dropout noise, beside the spread of true answers, which is far larger.",
)
verdict = experiments.ONE_MODE.verdict(mode_rows)
print(f"The lecture's claim: {verdict}")

# %% [markdown]
# ## The real thing
#
# `Pix2Pix.from_hub` reads the files of the paper's authors, whose layout our module has. Its two networks at their size, counted without making the weights:

# %%
# NBVAL_CHECK_OUTPUT
with torch.device("meta"):
    paper = pix2pix.Pix2Pix(pix2pix.Pix2PixConfig())  # the defaults are the paper's, for 256 x 256 pixels
for name in ("generator", "discriminator"):
    print(f"{name}: {sum(parameter.numel() for parameter in getattr(paper, name).parameters()):,} parameters")

# %% [markdown]
# The published network makes shoes of outlines. Its file has 218 MB, so it is fetched at scale gpu only (`COURSE_SCALE=gpu`), or taken from `data/cache/weights` if it lies there.

# %%
weights = runtime.cache_folder("weights") / "edges2shoes.pth"
if runtime.scale_name() == "gpu" and not weights.exists():
    try:
        weights.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(f"http://efrosgans.eecs.berkeley.edu/pix2pix/models-pytorch/{weights.name}", str(weights), progress=False)
    except OSError as error:
        print(f"It could not be fetched: {error}.")
if weights.exists():
    published = pix2pix.Pix2Pix.from_hub(weights).to(device)
    outlines = recipes.pairs("test", 4, "edges", "photo", size=256)["input"]
    plots.show(
        plots.image_grid({"outlines": outlines, "published": recipes.translated(published, outlines)}, columns=4, zoom=3),
        alt="Four outlines of scenes at 256 by 256 pixels, and what the published network, which knows shoes, makes of them.",
    )
else:
    print("The published weights are not on this machine.")

# %% [markdown]
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-conditional", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** Suppose the discriminator saw only answers, no inputs, and $\lambda$ were 0. Describe a generator that has reached the best possible loss and is of no use. Which of the two, seeing pairs or the L1 term, rules it out?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# It gives to every label map a perfect photograph of some other scene: $D$ cannot tell these from true photographs, so the loss is at its optimum, but the answer has nothing to do with the input. Either of the two rules it out. A discriminator of
# pairs sees that circle and square do not fit; the L1 term makes the answer to the wrong scene expensive.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-median", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** Half of all hearts in the world are black, half white. Which heart does L1 alone learn, which does the squared error, and what does the discriminator say to each?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# For the squared error the best is the mean, a grey heart. L1 has no preference: every value between black and white has the same expected error, so any grey may come out; with a few more black than white hearts it would be black. The discriminator has
# never seen a grey heart in a true pair and refuses it, but takes a black or a white one: it turns an average into a decision.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-patch", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **3.** A PatchGAN is trained on pictures of 256 pixels. Can it judge, and can the U-Net translate, pictures of 512 by 1024 pixels without being trained again? What could go wrong?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# Both are chains of convolutions, so they run on any size (for the U-Net a multiple of two to the number of halvings), and $D$ just judges more patches. The paper's label maps to large aerial photographs were made like that. But objects that are twice as large in pixels
# look otherwise to kernels that have learned the small ones, and the bottleneck, which saw the whole picture in training, now sees a part of it.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Wang et al., *High-resolution image synthesis and semantic manipulation with conditional GANs* (pix2pixHD), CVPR 2018: two generators, three discriminators, 2048 by 1024 pixels.
# - Park et al., *Semantic image synthesis with spatially-adaptive normalization* (SPADE), CVPR 2019: labels enter at every layer, and photographs of landscapes come out.
# - Zhu et al., *Toward multimodal image-to-image translation* (BicycleGAN), NeurIPS 2017: how to get more than one answer after all.
