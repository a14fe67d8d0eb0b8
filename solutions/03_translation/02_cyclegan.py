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
# # CycleGAN: translation without pairs
#
# | | |
# |---|---|
# | **Time** | 75 minutes of work; the code runs in about 3 minutes on a laptop's CPU, 1 on a GPU |
# | **You need** | notebook 1 of this chapter; a GAN's two players and their alternating steps (chapter 2) |
# | **Builds on** | the discriminator of patches; nothing that you wrote there is needed here |
# | **Code** | `course_utils/translation/cyclegan.py` |
# | **Papers** | Zhu, Park, Isola and Efros, *Unpaired image-to-image translation using cycle-consistent adversarial networks*, ICCV 2017 · Mao et al., *Least squares generative adversarial networks*, ICCV 2017 · Shrivastava et al., *Learning from simulated and unsupervised images through adversarial training*, CVPR 2017 · Chu, Zhmoginov and Sandler, *CycleGAN, a master of steganography*, 2017 |
#
# pix2pix learns from pairs: this input, that answer. Who has photographs of one meadow by day and by night, with every flower in its place? Two heaps of pictures are easy to get, days here, nights there.
# By the end you will have turned one into the other and back, having learned from two such heaps:

# %%
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from course_utils import plots, runtime, scale, training, widgets
from course_utils.checks import translation as check
from course_utils.data import loader
from course_utils.data.scenes import records, render
from course_utils.metrics import ssim
from course_utils.translation import CycleGAN, CycleGANConfig, experiments, recipes

device = runtime.device()
runtime.seed_everything(0)

reference = training.load(recipes.CYCLEGAN_DAY2NIGHT)  # a CycleGAN shipped with the course
held_out = records("test", range(scale(smoke=32, cpu=500, gpu=2_000)))
days, nights = (render(held_out, 32, style) for style in ("day", "night"))


def there_and_back(model: CycleGAN, pictures: Tensor, way: str = "x_to_y") -> tuple[Tensor, Tensor]:
    """Translations of pictures (batch, 3, 32, 32), and what comes back when these are translated again."""
    translations = recipes.translated(model, pictures, way)
    return translations, recipes.translated(model, translations, "y_to_x" if way == "x_to_y" else "x_to_y")


def sheet(model: CycleGAN, count: int = 10) -> dict[str, Tensor]:
    """Rows of pictures: days, their translations, and what comes back; nights likewise."""
    rows = {}
    for name, pictures, way in (("day", days, "x_to_y"), ("night", nights, "y_to_x")):
        translated, back = there_and_back(model, pictures[:count], way)
        rows |= {f"a {name}": pictures[:count], f"{name},\ntranslated": translated, f"{name},\nand back": back}
    return rows


plots.show(
    plots.image_grid(sheet(reference), columns=10),
    alt="Six rows of scenes. Days, the same scenes translated to dark blue nights with glowing objects, and back to days; then nights, the same translated to days, and back.",
)

# %% [markdown]
# ## The idea
#
# Given are two collections, $X$ (days) and $Y$ (nights), in no order. Two **generators** translate: $G$ makes a $y$ of an $x$, and $F$ an $x$ of a $y$. Two **discriminators** watch over them: $D_Y$ tells real
# pictures of $Y$ from translations $G(x)$, and $D_X$ does the same for $F(y)$. Here is what they get to see; no picture has a partner.

# %%
collections = recipes.Unpaired("day", "night")  # x: days of the first half of the training scenes, y: nights of the other half
few = collections.__getitems__(range(20))
plots.show(
    plots.image_grid({"X": few["x"], "Y": few["y"]}, columns=10),
    alt="Two collections of twenty pictures: scenes by day, and other scenes by night.",
)

# %% [markdown]
# Is that enough? The discriminators only ask that $G(x)$ look like *some* night. A $G$ that turns every day into the night of *another* scene would please them as well, and so would one that always paints the
# same perfect night. What is missing is the content. The paper's idea: a translation from English to French and back should give the sentence that one began with. So should pictures. That is **cycle consistency**,
# $F(G(x)) \approx x$ and $G(F(y)) \approx y$, and the objective is
#
# $$ \mathcal L(G, F, D_X, D_Y) = \mathcal L_{\text{GAN}}(G, D_Y) + \mathcal L_{\text{GAN}}(F, D_X)
#    + \lambda\, \underbrace{\big( \mathbb E_x \lVert F(G(x)) - x \rVert_1 + \mathbb E_y \lVert G(F(y)) - y \rVert_1 \big)}_{\text{cycle loss}} $$
#
# - $x \in X$, $y \in Y$: pictures; $G: X \to Y$ and $F: Y \to X$: the generators,
# - $D_X, D_Y$: the discriminators; as in pix2pix each gives a *number for every patch* of a picture, and each patch counts,
# - $\mathcal L_{\text{GAN}}$: the adversarial loss. As in chapter 2 one symbol stands for what each player wants; with *least squares* each makes a sum of squares of its own small, with the signs of exercises 4 and 5,
# - $\lVert \cdot \rVert_1$: the mean absolute difference of all values; $\lambda = 10$: how much the way back counts.
#
# $D$ sees patches of some pixels only, so it judges style; the cycle keeps what the style must not touch. Exercise 2 adds one more term, exercise 4 puts all together: the *full objective*.
#
# ## Exercise 1 · There and back · *10 minutes, easy, core*
#
# Write the cycle loss with its weight: $\lambda \big( \lVert F(G(x)) - x \rVert_1 + \lVert G(F(y)) - y \rVert_1 \big)$. The generators come in as functions, `x_to_y` is $G$ and `y_to_x` is $F$.
#
# <details><summary>Hint</summary>
#
# `F.l1_loss(a, b)` is the mean absolute difference. Mind the letters: in code `F` is `torch.nn.functional`.
# </details>
#
# *Stuck? Set `cycle_loss = check.cycle_loss.reference` and go on. The same works for each exercise below.*

# %% nbgrader={"grade": false, "grade_id": "cycle-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cycle_loss(x: Tensor, y: Tensor, x_to_y, y_to_x, weight: float = 10.0) -> Tensor:
    """What is lost on the way there and back, a scalar.

    Args:
        x, y: pictures (batch, channels, height, width) of the two collections, perhaps more of one than of the other.
        x_to_y, y_to_x: translate pictures (batch, channels, height, width) to the other collection.
        weight: lambda.

    Returns `weight` times the sum of both mean absolute differences, with gradient to both generators; x and y are data and need none.
    """
    ### BEGIN SOLUTION
    return weight * (F.l1_loss(y_to_x(x_to_y(x)), x) + F.l1_loss(x_to_y(y_to_x(y)), y))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "cycle-loss-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.cycle_loss(cycle_loss)
### BEGIN HIDDEN TESTS
check.cycle_loss(cycle_loss, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 2 · Leave alone what is right · *5 minutes, easy, core*
#
# What should $G$, which makes nights, do with a picture that is a night already? Nothing. The paper adds this as the **identity loss** where colours must not drift (section 5.2: without it, $G$ liked to turn paintings of noon into
# sunsets):
#
# $$ \mathcal L_{\text{identity}} = \mathbb E_y \lVert G(y) - y \rVert_1 + \mathbb E_x \lVert F(x) - x \rVert_1 $$

# %% nbgrader={"grade": false, "grade_id": "identity-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def identity_loss(x: Tensor, y: Tensor, x_to_y, y_to_x) -> Tensor:
    """How much the generators change pictures that are in their target collection already, a scalar.

    Args:
        x, y: pictures (batch, channels, height, width) of the two collections, perhaps more of one than of the other.
        x_to_y, y_to_x: the generators.

    Returns the sum of both mean absolute differences, with gradient to both generators.
    """
    ### BEGIN SOLUTION
    return F.l1_loss(x_to_y(y), y) + F.l1_loss(y_to_x(x), x)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "identity-loss-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.identity_loss(identity_loss)
### BEGIN HIDDEN TESTS
check.identity_loss(identity_loss, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 3 · A memory for the discriminators · *15 minutes, medium, core*
#
# A discriminator that sees only the newest translations forgets the old ones, and a generator may come back to yesterday's trick: the two run in circles. So each discriminator looks at a mixture of the newest translations and older
# ones, from a **history** of 50. It is shown one picture for each new one:
#
# - while the history is not full, the picture is added to it, and shown to the discriminator;
# - once it is full, a coin is tossed. Heads: an old picture from the history is shown, and the new one takes its place. Tails: the new picture is shown, and not kept.
#
# The randomness comes in as arguments: `swap[i]` is the coin of picture `i` (True for heads), and `places[i]` the place that it would swap with. All places are different, so the swaps may be done in any order, or at once; but
# fill first: a swap may meet a picture that this batch has just added, and until the history is full `places[i]` may lie beyond its end. Pictures in a history carry no gradient: the generator that made them has moved on.
#
# <details><summary>Hint</summary>
#
# How many new pictures still find an empty place? `fresh = min(capacity - len(history), len(images))`. `torch.cat` the first `fresh` of them to the history (that makes a new tensor, also where `fresh` is 0), and set
# `swap` to False for them, in a copy. Then a mask does the rest, with `shown` a clone of `images`: `shown[swap] = history[places[swap]]`, then `images[swap]` goes to these places.
# </details>

# %% nbgrader={"grade": false, "grade_id": "query", "locked": false, "schema_version": 3, "solution": true, "task": false}
def query(history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """Pictures for the discriminator, each new or old, and the history after that.

    Args:
        history: (remembered, channels, height, width) with remembered <= capacity; it may be empty.
        images: new translations (batch, channels, height, width), in their order.
        swap: (batch,) bool, for each new picture whether it swaps, if it finds no empty place.
        places: (batch,) int64, for each new picture the place of the history that it would swap with.
        capacity: how many pictures the history may hold.

    Returns pictures of the shape of `images` and the new history, both without a gradient; the arguments stay as they are.
    """
    ### BEGIN SOLUTION
    images, swap = images.detach(), swap.clone()
    fresh = min(capacity - len(history), len(images))  # new pictures that still find an empty place
    history = torch.cat([history, images[:fresh]])
    swap[:fresh] = False
    shown = images.clone()
    shown[swap] = history[places[swap]]
    history[places[swap]] = images[swap]
    return shown, history
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "query-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.query(query)
### BEGIN HIDDEN TESTS
check.query(query, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 4 · The full objective · *10 minutes, medium, core*
#
# What the generators minimise together. The adversarial terms are least squares: a discriminator should say 1 for real and 0 for translated, as a plain number without a sigmoid, so the generators want 1:
#
# $$ \underbrace{\mathbb E_x (D_Y(G(x)) - 1)^2 + \mathbb E_y (D_X(F(y)) - 1)^2}_{\text{adversarial}}
#    + \underbrace{\lambda (\dots)}_{\text{exercise 1}} + \lambda_{\text{id}}\, \underbrace{\mathcal L_{\text{identity}}}_{\text{exercise 2}} $$
#
# $\mathbb E$ is the mean over pictures *and patches*; $\lambda = 10$ and $\lambda_{\text{id}} = 5$ unless told otherwise. (With $\log(1 - D)$ a generator learns nothing where the discriminator is sure; with squares, the further off, the more.)
#
# <details><summary>Hint</summary>
#
# Which discriminator judges $G(x)$? The one of the collection that it should look like. Use your two functions from above, and hand `cycle_weight` on.
# </details>

# %% nbgrader={"grade": false, "grade_id": "full-objective", "locked": false, "schema_version": 3, "solution": true, "task": false}
def full_objective(
    x: Tensor, y: Tensor, x_to_y, y_to_x, discriminate_x, discriminate_y, cycle_weight: float = 10.0, identity_weight: float = 5.0
) -> Tensor:
    """The loss of both generators, a scalar.

    Args:
        x, y: pictures (batch, channels, height, width) of the two collections, perhaps more of one than of the other.
        x_to_y, y_to_x: the generators.
        discriminate_x, discriminate_y: give pictures a number for each patch, (batch, 1, h, w).
        cycle_weight, identity_weight: of the cycle loss and of the identity loss.

    Returns the sum of all terms, with gradient to both generators, also through the discriminators.
    """
    ### BEGIN SOLUTION
    adversarial_y = (discriminate_y(x_to_y(x)) - 1).square().mean()
    adversarial_x = (discriminate_x(y_to_x(y)) - 1).square().mean()
    cycles = cycle_loss(x, y, x_to_y, y_to_x, cycle_weight)
    return adversarial_y + adversarial_x + cycles + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "full-objective-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.full_objective(full_objective)
### BEGIN HIDDEN TESTS
check.full_objective(full_objective, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 5 · The discriminator · *5 minutes, easy, core*
#
# Each discriminator wants 1 for real pictures and 0 for translated ones. The paper halves its loss, so that it learns more slowly than the generators:
#
# $$ \tfrac12\, \mathbb E (D(\text{real}) - 1)^2 + \tfrac12\, \mathbb E\, D(\text{translated})^2 $$
#
# This step teaches the discriminator alone: no gradient may reach the generator. (The training below hands over pictures without a graph anyway; your function should not rely on that.)

# %% nbgrader={"grade": false, "grade_id": "least-squares-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def least_squares_loss(discriminate, real: Tensor, fake: Tensor) -> Tensor:
    """The loss of one discriminator, a scalar.

    Args:
        discriminate: gives pictures a number for each patch, (batch, 1, h, w).
        real, fake: pictures of its collection and translations into it, (batch, channels, height, width), perhaps more of one than of the other.

    Returns the sum of both halves, with gradient to the discriminator and none to `fake`.
    """
    ### BEGIN SOLUTION
    real_loss = (discriminate(real) - 1).square().mean()
    fake_loss = discriminate(fake.detach()).square().mean()
    return 0.5 * real_loss + 0.5 * fake_loss
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "least-squares-loss-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.least_squares_loss(least_squares_loss)
### BEGIN HIDDEN TESTS
check.least_squares_loss(least_squares_loss, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Train
#
# Your functions around small networks. The paper's generator halves a picture of 256 pixels twice, passes nine *residual blocks* ($v + h(v)$, so that a block need only say what to change), and doubles it twice. For 32 pixels one halving
# and two blocks do. Its borders are mirrored (*reflection padding*): zeros would show as a frame.
#
# One thing differs on purpose. The paper's *instance norm* takes off the mean of each channel of each picture. Of an evenly coloured ground nothing is left then, and our grounds are even, so a generator could neither learn their colour
# nor the way back to it, and a discriminator could hardly see that it is wrong. (Photographs, where everything varies, hardly mind.) So our discriminators have no norm, and the generators `nn.GroupNorm(1, ...)`, which takes one mean over all
# channels together and keeps how they differ. Try instance norm after this.
#
# And $\lambda_{\text{id}}$ is 20 here in place of 5: in a training as short as this one, objects tend to change their colours otherwise. Try that, too.
#
# Where there is a network, horses and zebras are one argument away: `train_cyclegan("horse2zebra", load_unpaired("horse2zebra", size=32), 500)`, with `load_unpaired` of `course_utils.data.real`.

# %%
def convolution(in_channels: int, out_channels: int, stride: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, padding_mode="reflect")
    return [layer, nn.GroupNorm(1, out_channels), nn.ReLU()]


class Block(nn.Module):
    """v + h(v) for features v (batch, channels, height, width)."""

    def __init__(self, channels: int):
        super().__init__()
        self.change = nn.Sequential(*convolution(channels, channels), *convolution(channels, channels)[:-1])

    def forward(self, features: Tensor) -> Tensor:
        return features + self.change(features)


def small_generator(width: int = 16) -> nn.Sequential:
    """Pictures (batch, 3, height, width) in [-1, 1] to pictures of the same shape."""
    doubling = nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(
        *convolution(3, width), *convolution(width, 2 * width, stride=2), Block(2 * width), Block(2 * width),
        doubling, nn.GroupNorm(1, width), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1, padding_mode="reflect"), nn.Tanh(),
    )  # fmt: skip


def train_cyclegan(name: str, collections: Dataset, steps: int, identity_weight: float = 5.0) -> tuple[CycleGAN, training.History]:
    runtime.seed_everything(1)
    model = CycleGAN(CycleGANConfig(image_size=32, width=16, patch_layers=2, discriminator_norm="none"))  # for its discriminators
    model.generators = nn.ModuleDict({way: small_generator() for way in ("x_to_y", "y_to_x")})
    model.to(device)
    x_to_y, y_to_x = model.generators["x_to_y"], model.generators["y_to_x"]
    discriminate_x, discriminate_y = model.discriminators["x"], model.discriminators["y"]
    histories = {domain: torch.zeros(0, 3, 32, 32, device=device) for domain in ("x", "y")}

    def shown(domain: str, translated: Tensor, capacity: int = 50) -> Tensor:
        swap, places = torch.rand(len(translated), device=device) < 0.5, torch.randperm(capacity, device=device)[: len(translated)]
        pictures, histories[domain] = query(histories[domain], translated, swap, places, capacity)
        return pictures

    def generators(batch: dict) -> tuple[Tensor, dict]:
        return full_objective(batch["x"], batch["y"], x_to_y, y_to_x, discriminate_x, discriminate_y, identity_weight=identity_weight), {}

    def discriminators(batch: dict) -> tuple[Tensor, dict]:
        with torch.no_grad():
            fake_x, fake_y = y_to_x(batch["y"]), x_to_y(batch["x"])
        loss_x = least_squares_loss(discriminate_x, batch["x"], shown("x", fake_x))
        return loss_x + least_squares_loss(discriminate_y, batch["y"], shown("y", fake_y)), {}

    adam = {"learning_rate": 1e-3, "betas": (0.5, 0.999)}
    players = [
        training.Player("generators", model.generators, generators, **adam),
        training.Player("discriminators", model.discriminators, discriminators, **adam),
    ]
    batches = loader(collections, 8, seed=1)
    history = training.cached(
        f"02_cyclegan/{name}", lambda: training.fit(players, batches, steps, clip=None), model,
        uses=(cycle_loss, identity_loss, query, full_objective, least_squares_loss),
    )  # fmt: skip
    return model, history


model, history = train_cyclegan("day2night", collections, scale(smoke=3, cpu=500, gpu=5_000), identity_weight=20.0)
plots.show(
    plots.curves({name: history[f"{name}/loss"] for name in ("generators", "discriminators")}, log=True, smooth=20),
    alt="The generators' loss falls steeply and then slowly. The discriminators' loss falls within fifty steps below one half, which is what they would have if they could tell nothing, and wavers there.",
)
plots.show(
    plots.image_grid(sheet(model), columns=10),
    alt="Six rows of scenes: days, translated to nights, and back; nights, translated to days, and back, all by your own functions.",
)

# %% [markdown]
# ## Measure: against the truth that nobody was shown
#
# With photographs one could only ask whether a translation looks right. Our world knows better: each scene of the test split has *both* renderings, and a translation is scored against the true one, where there are objects and where there
# is ground. Beside it stand two answers that need no network: the input unchanged, and one picture for all, the mean of the target collection.

# %%
from course_utils.data.scenes import label_map

objects = (label_map(held_out, 32) > 0)[:, None].expand_as(days)  # True where a value belongs to an object


def score(name: str, translated: Tensor, truth: Tensor) -> dict:
    error = (translated - truth).abs()
    parts = {"L1": error, "L1 on objects": error[objects], "L1 on the ground": error[~objects]}
    return {"translation": name, **{part: values.mean().item() for part, values in parts.items()}, "SSIM": ssim(translated, truth).mean().item()}


training_pictures = collections.__getitems__(range(len(held_out)))
for title, pictures, truth, mean, way in (
    ("day to night", days, nights, training_pictures["y"].mean(0), "x_to_y"),
    ("night to day", nights, days, training_pictures["x"].mean(0), "y_to_x"),
):
    answers = {
        "unchanged": pictures, "the mean picture": mean.expand_as(truth),
        "yours": there_and_back(model, pictures, way)[0], "shipped": there_and_back(reference, pictures, way)[0],
    }  # fmt: skip
    rows = [score(name, translated, truth) for name, translated in answers.items()]
    plots.table(rows, caption=f"{title}: {len(truth)} held-out scenes against their true rendering (L1 of 0 and SSIM of 1 are perfect)")
    if runtime.scale_name() != "smoke":
        assert rows[2]["L1 on objects"] < 0.7 * rows[1]["L1 on objects"], "objects should be translated far better than by one picture for all"
returned = [F.l1_loss(there_and_back(model, pictures, way)[1], pictures).item() for pictures, way in ((days, "x_to_y"), (nights, "y_to_x"))]
print(f"There and back, mean absolute difference: {returned[0]:.3f} for days, {returned[1]:.3f} for nights")
if runtime.scale_name() != "smoke":
    assert max(returned) < 0.2, "what goes there and back should come back nearly as it was"

# %% [markdown]
# On objects the unchanged input is hard to beat, since they look much alike by day and by night: your short training does not, or barely; the longer one of the shipped network does. What has to change is the ground. Compare the grounds of your
# nights, and of your days, with the true ones, a few figures above. They come back nearly as they were, yet some are the grounds of *other* scenes: six kinds of ground here, six there, and any assignment that is one to one pleases
# the discriminators and the cycle (question 1). Cycle consistency makes a translation reversible, not right.
#
# A part of the truth cannot be known: where the stars are does not show by day. What the shipped checkpoints reached when they were trained, longer than yours: against the truth (with `back_`: from night to day, from sketch to photo), and
# after the way there and back (`cycle`).

# %%
# NBVAL_CHECK_OUTPUT
for recipe in (recipes.CYCLEGAN_DAY2NIGHT, recipes.CYCLEGAN_PHOTO2SKETCH):
    metrics = training.read_card(recipe)["metrics"]
    print(recipe.name, {name: round(metrics[name], 3) for name in ("l1", "ssim", "back_l1", "back_ssim", "cycle_l1", "back_cycle_l1")})

# %% [markdown]
# How much is lost by having no pairs? The course's experiment trains pix2pix *with* pairs beside CycleGAN without, three seeds each, all scored against the truth:

# %%
rows = training.results(experiments.PAIRS)
plots.show(
    experiments.PAIRS.figure(rows),
    alt="Absolute error and SSIM against the truth for CycleGAN without pairs, pix2pix with pairs, the mean picture, and the input unchanged, for day to night and photo to sketch.",
)
verdict = experiments.PAIRS.verdict(rows)
print(f"The lecture's claim: {verdict}")

# %% [markdown]
# And does it take all of the loss? As in the paper's tables 4 and 5, labels and photos without pairs, with the adversarial terms alone, the cycles alone, and one cycle only. Overlap (mean IoU) tells how well the labels are found again:

# %%
rows = training.results(experiments.ABLATION)
plots.show(
    experiments.ABLATION.figure(rows),
    alt="Overlap with the true labels from labels to photo and from photo to labels, and the error after the way there and back, for the full objective, the adversarial terms alone, the cycles alone, and one cycle only; a dot for each seed.",
)
verdict = experiments.ABLATION.verdict(rows)
print(f"The lecture's claim: {verdict}")

# %% [markdown]
# ## Look: photographs and sketches, and a hidden message
#
# The second checkpoint turns photographs into pencil sketches and back. A sketch has no colour: dark objects are hatched more densely, and that is all. So a translation *of a sketch* has to guess colours. But look at what comes back of a
# photograph that was made into a sketch first:

# %%
drawing = training.load(recipes.CYCLEGAN_PHOTO2SKETCH)
photos, sketches = (render(held_out, 32, style) for style in ("photo", "sketch"))
drawn, back = there_and_back(drawing, photos)
guessed, _ = there_and_back(drawing, sketches, "y_to_x")
plots.show(
    plots.image_grid({"photo x": photos[:10], "G(x)": drawn[:10], "F(G(x))": back[:10], "true sketch y": sketches[:10], "F(y)": guessed[:10]}, columns=10),
    alt="Five rows: photographs; the sketches made of them; what comes back from these sketches; true sketches of the same scenes; and the photographs made of the true sketches.",
)  # fmt: skip
plots.table(
    [{"made from": "its own sketch, F(G(x))", "L1 to the photo": F.l1_loss(back, photos).item()},
     {"made from": "a true sketch, F(y)", "L1 to the photo": F.l1_loss(guessed, photos).item()}],
    caption=f"{len(photos)} held-out scenes; both rows start from a sketch of the same scene",
)  # fmt: skip
assert F.l1_loss(back, photos) < F.l1_loss(guessed, photos), "a photo that was made into a sketch should come back better than one made of a true sketch"

# %% [markdown]
# Where does $F$ know the colours from, in the first row of the table? The cycle loss asks $G$ to leave nothing out, and the discriminator asks it to look like a sketch. $G$ tries both: it *hides* the colours in its sketch, as faint tints
# and dots that the discriminator lets pass, and $F$ reads them. (Chu and others found this in maps made from aerial photographs, and called it steganography.) If that is so, noise on the sketch should garble the message. A true
# sketch has none, so there noise should do much less harm. How much noise the message stands tells how boldly it is written.

# %%
def noisy(pictures: Tensor, strength: float) -> Tensor:
    """Pictures with normal noise of this standard deviation, the same each time."""
    noise = torch.randn(pictures.shape, generator=runtime.generator(0))
    return (pictures + strength * noise).clamp(-1, 1)


def read_back(model: CycleGAN, pictures: Tensor, strength: float) -> Tensor:
    """What F makes of pictures with noise."""
    return recipes.translated(model, noisy(pictures, strength), "y_to_x")


errors = {
    name: [F.l1_loss(read_back(drawing, start, strength), photos).item() for strength in (0.0, 0.2)]
    for name, start in (("its own sketch, G(x)", drawn), ("a true sketch, y", sketches))
}
plots.table(
    [{"photo made of": name, "without noise": calm, "with noise of 0.2": disturbed} for name, (calm, disturbed) in errors.items()],
    caption=f"L1 to the photo, {len(photos)} held-out scenes",
)
own, true = (disturbed - calm for calm, disturbed in errors.values())
assert own > 0.01 and own > 2 * abs(true), "noise should harm the network's own sketches far more than true ones"
plots.show(
    plots.image_grid({"photo": photos[:10], **{f"noise {strength:g}": read_back(drawing, drawn[:10], strength) for strength in (0.0, 0.05, 0.1, 0.2, 0.4)}}, columns=10),
    alt="Ten photographs, and below what comes back of them from their own sketches, with more and more noise on the sketch.",
)

# %% [markdown]
# Try it: the scene, its sketch or night with the chosen noise, and what is made of that. (Without widgets: the figure above shows the same.)

# %%
def noisy_cycle(scene: int, noise: float, model: str) -> Tensor:
    """A picture, its translation with noise, and what comes back."""
    chosen, pictures = {"photo and sketch": (drawing, photos), "day and night": (reference, days), "yours": (globals()["model"], days)}[model]
    translation, _ = there_and_back(chosen, pictures[[scene]])
    return torch.cat([pictures[[scene]], noisy(translation, noise), read_back(chosen, translation, noise)])


widgets.explorer(
    noisy_cycle, alt="a picture, its translation with noise, and what comes back", columns=3, zoom=6,
    scene=(0, 20, 3), noise=(0.0, 0.5, 0.0), model=["photo and sketch", "day and night", "yours"],
)  # fmt: skip

# %% [markdown]
# The experiment measures it at more strengths, and lets the photo judge read the colours:

# %%
rows = training.results(experiments.HIDDEN_MESSAGE)
plots.show(
    experiments.HIDDEN_MESSAGE.figure(rows),
    alt="Against the strength of the noise: the error of the photo, and the share of objects whose colour is found again, from the network's own sketches and from true ones; a dashed line for guessing the commonest colour.",
)
verdict = experiments.HIDDEN_MESSAGE.verdict(rows)
print(f"That a message is hidden: {verdict}")

# %% [markdown]
# The error grows with the faintest noise, and the pictures show where: the grounds dissolve first. The colours of the objects survive much more. The one is written faintly into the sketch, the other boldly.
#
# ## Break it
#
# The lecture names three limits. Each was provoked, three seeds.
#
# **It cannot change shapes.** Two collections of scenes with one object that differ in nothing but its shape: circles, and squares. First live, with your functions and a short training; are these squares?

# %%
from course_utils.metrics.recipes import SCENE_JUDGE, on_cpu
from course_utils.translation.cyclegan_experiments import Changed

# x: scenes with one circle; y: other scenes, each with one square
shapes, _ = train_cyclegan("circle2square", Changed("circle to square", "train", scale(smoke=500, cpu=20_000, gpu=20_000)), scale(smoke=3, cpu=300, gpu=5_000))
unseen = Changed("circle to square", "test", scale(smoke=500, cpu=3_000, gpu=5_000))
circles = render(unseen.x)
answers, back = there_and_back(shapes, circles)
plots.show(
    plots.image_grid({"circles": circles[:10], "translated": answers[:10], "and back": back[:10], "real squares": render(unseen.y[:10])}, columns=10),
    alt="Scenes with one circle; what the network that was to make squares of them makes; what comes back; and the squares that it was shown, in other scenes.",
)
judge = training.load(SCENE_JUDGE)
wanted = unseen.y.shape[unseen.y.present][0]  # the number of "square": a record's `shape` is the kind of each object, `present` whether there is one
for name, pictures in (("the circles", circles), ("their translations", answers), ("real squares", render(unseen.y))):
    read = on_cpu(judge.read(pictures))
    print(f"read as a square by the scene judge, of {name}: {(read.shape == wanted).any(1).double().mean():.2f}")
if runtime.scale_name() != "smoke":
    assert F.l1_loss(back, circles) < 0.15, "there and back, circles should be what they were"

# %% [markdown]
# And longer, by the experiment, for two changes of shape beside a change of colour:

# %%
rows = training.results(experiments.SHAPE)
plots.show(
    experiments.SHAPE.figure(rows),
    alt="For red to blue, circle to square and star to heart: the share of held-out objects that changed as wanted, that kept their other attribute, and that are wholly right; a dot for each seed.",
)
verdict = experiments.SHAPE.verdict(rows)
print(f"The lecture's claim: {verdict}")

# %% [markdown]
# **It is confused by what it has never seen.** The day-to-night network, given pictures that are no days:

# %%
few = held_out[:10]
strange = {style: render(few, 32, style) for style in ("day", "photo", "painted", "striped", "sketch")}
plots.show(
    plots.image_grid(
        {name: pictures for style, given in strange.items() for name, pictures in ((style, given), (f"{style},\ntranslated", recipes.translated(reference, given)))}
        | {"true night": nights[:10]},
        columns=10,
    ),
    alt="Pairs of rows: scenes in five renderings, each with what the day-to-night network makes of them, and last the true nights.",
)
rows = training.results(experiments.OUTSIDE)
plots.show(experiments.OUTSIDE.figure(rows), alt="Error of the night, SSIM and error of the cycle for days, for days with new pairs of shape and colour, and for four other renderings; a dot for each of three sets of scenes.")
verdict = experiments.OUTSIDE.verdict(rows)
print(f"The lecture's claim: {verdict}")

# %% [markdown]
# **One direction may be harder.** The loss treats both alike. But where one side knows more than the other, one translation is a matter of leaving out, and the other of inventing:

# %%
rows = training.results(experiments.DIRECTIONS)
plots.show(experiments.DIRECTIONS.figure(rows), alt="Error against the truth from labels to photos and back, and from street maps to aerial pictures and back, as a share of the error of the mean picture; all are about 1.")
verdict = experiments.DIRECTIONS.verdict(rows)
print(f"The lecture's claim: {verdict}")

# %% [markdown]
# In trainings as short as these neither way is clearly better than the mean picture (the dashed line), so the experiment cannot tell which is harder.
#
# ## The real thing
#
# The authors published generators for horses and zebras, maps and aerial photographs, and painters' styles; they have the layout of our `ResNetGenerator`. Counted without making the weights:

# %%
# NBVAL_CHECK_OUTPUT
with torch.device("meta"):
    paper = CycleGAN(CycleGANConfig())  # the defaults are the paper's, for 256 x 256 pixels
for name, network in (("generator", paper.generators["x_to_y"]), ("discriminator", paper.discriminators["x"])):
    print(f"{name}: {sum(parameter.numel() for parameter in network.parameters()):,} parameters")

# %% [markdown]
# With a network, this fetches the one that paints like van Gogh (46 MB), and gives it a photograph of ours.

# %%
weights = runtime.cache_folder("weights") / "style_vangogh.pth"
try:
    if not weights.exists():
        weights.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(f"http://efrosgans.eecs.berkeley.edu/cyclegan/pretrained_models/{weights.name}", weights, progress=False)
    published = CycleGAN.from_hub(weights).to(device)
    large = render(held_out[:3], 256, "photo")
    plots.show(
        plots.image_grid({"photo": large, "van Gogh": recipes.translated(published, large)}, columns=3, zoom=4),
        alt="Three scenes of 256 by 256 pixels, and below them the same with the brush strokes and colours of the published network.",
    )
except OSError as error:
    print(f"No network, so no published weights here ({error}).")

# %% [markdown]
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-permutation", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** Suppose $G$ gave each kind of ground the night of another kind, one to one, and $F$ undid that. What do the adversarial terms and the cycle loss say to this? Which term of the full objective keeps the colours of objects from being swapped so, and why can it not do the same for grounds?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# Nothing: each translated night looks like a night that occurs, and the cycle gives back the original, so all losses are as small as for the right assignment; the objective cannot tell them apart. The identity loss asks
# G to leave a night as it is, so also the red of an object in it. An object is much as red by day as by night, and the simplest network that keeps the one keeps the other. A ground by day looks like no ground by night:
# what G does to nights says nothing about it.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-message", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** A small cycle loss is often read as "the translation has kept the content". What have you seen in this notebook that speaks against it, and how would you test a network of your own?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# The sketches have no visible colours, yet the cycle restores them: the content is kept in faint changes that only the other generator reads, so a small cycle loss does not prove that a translation shows the content. One adds a
# little noise (or rounds or compresses the translation) before going back: if the error jumps, much more than with true pictures, a message was hidden.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-medical", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **3.** A hospital wants to turn scans of one kind into another kind, with CycleGAN: heap X holds healthy people only, heap Y holds many with tumours. What can go wrong, and would the losses show it?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# The discriminator of Y expects tumours as often as it sees them there, so G learns to paint tumours into healthy scans, and F to remove them, keeping the cycle by a hidden message. All losses are small, since they compare
# distributions and cycles and never a translation with its truth. Pairs, or a test on people who had both scans, would show it.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Zhu and others, 2017, section 6: the authors' own list of limits and failures.
# - Park, Efros, Zhang and Zhu, *Contrastive learning for unpaired image-to-image translation*, ECCV 2020: one generator, and patches that must stay recognisable, in place of the cycle.
# - Almahairi et al., *Augmented CycleGAN*, ICML 2018, and Huang et al., *Multimodal unsupervised image-to-image translation*, ECCV 2018: several answers to one input, without pairs.
