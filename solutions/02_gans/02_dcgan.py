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
# # DCGAN: rules for a GAN that trains, and arithmetic with faces
#
# | | |
# |---|---|
# | **Time** | 90 minutes of work, 50 of them exercises; the code runs in about 3 minutes on a laptop's CPU, 1 on a GPU |
# | **You need** | notebook 1 of this chapter; convolutions with stride, batch normalisation |
# | **Builds on** | the GAN and its two losses; nothing that you wrote there is needed here |
# | **Code** | `course_utils/gans/dcgan.py`, `losses.py`, `gan.py` |
# | **Papers** | Radford, Metz and Chintala, *Unsupervised representation learning with deep convolutional generative adversarial networks*, ICLR 2016 · Mirza and Osindero, *Conditional generative adversarial nets*, 2014 · White, *Sampling generative networks*, 2016 · Miyato and Koyama, *cGANs with projection discriminator*, ICLR 2018 |
#
# For a year after the first GAN nobody could make a deep one work on pictures. DCGAN is a short list of rules, found by trying, under which it does; and its noise turned out to have a geometry, in which
# one can compute with sunglasses. By the end you will have drawn faces like these, which belong to nobody:

# %%
import math
import tempfile
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import plots, runtime, scale, training, widgets
from course_utils.checks import gans as check
from course_utils.data import loader
from course_utils.data.faces import ATTRIBUTES
from course_utils.gans import DCGAN, DCGANConfig, experiments, recipes
from course_utils.gans.gan import gan_players
from course_utils.gans.losses import LOSSES
from course_utils.layers import draw_integers, draw_normal, draw_uniform
from course_utils.metrics import nearest_images
from course_utils.metrics.recipes import FACE_JUDGE, on_cpu

device = runtime.device()
runtime.seed_everything(0)

reference = training.load(recipes.DCGAN_FACES)  # shipped with the course, trained longer than there is time for here
judge = training.load(FACE_JUDGE)  # reads the nine attributes of a face: hat, glasses, smile, ...
drawn = reference.sample(scale(smoke=48, cpu=1_000, gpu=1_000), runtime.generator(0)).cpu()
plots.show(
    plots.image_grid(drawn[:48], columns=16, title="Faces from noise"),
    alt="A sheet of cartoon faces that no data set holds, with hats, glasses, beards and hair of many kinds; some are clean, some smudged.",
)

# %% [markdown]
# ## The idea
#
# The game is the one of notebook 1, with the loss that is used in practice. A generator $G$ turns noise into pictures, a discriminator $D$ says how probably a picture is real, and they move in turn:
#
# $$ \mathcal L_D = -\,\mathbb E_x\big[\log D(x)\big] - \mathbb E_z\big[\log\big(1 - D(G(z))\big)\big], \qquad \mathcal L_G = -\,\mathbb E_z\big[\log D(G(z))\big] $$
#
# - $x$: a real picture; $z \sim \mathcal N(0, I)$: noise, here 32 numbers,
# - $D(x) = s(a) = 1 / (1 + e^{-a})$, with $a$ the logit in which the discriminator's network ends.
#
# What is new is how the two networks are built. The generator begins with a small map of many channels and doubles its side until it is a picture; the discriminator is its mirror image:
#
# | | | | | |
# |---|---|---|---|---|
# | **generator** | 32 numbers | → 4 × 4, 96 channels | → 8 × 8, 48 → 16 × 16, 24 | → 32 × 32 × 3 |
# | **discriminator** | one logit | ← 4 × 4, 96 channels | ← 8 × 8, 48 ← 16 × 16, 24 | ← 32 × 32 × 3 |
#
# and these are the rules:
#
# 1. No pooling: **strided** convolutions halve, **transposed** ones double. The networks learn how.
# 2. **Batch norm** in both, but neither where pixels come out nor where they go in.
# 3. No hidden fully connected layers: from the noise straight to the 4 × 4 map, and back. (The lecture's "one FC layer before the output" is the last convolution here: a kernel of 4 × 4 on a map of 4 × 4 sees it whole.)
# 4. **ReLU** in the generator, and tanh at its end; **leaky ReLU** with slope 0.2 in the discriminator.
# 5. The weights of all convolutions begin as $\mathcal N(0, 0.02^2)$, the factors of batch norm as $\mathcal N(1, 0.02^2)$; Adam with learning rate $2 \cdot 10^{-4}$ and $\beta_1 = 0.5$.
#
# ## Exercise 1 · The generator's block · *10 minutes, easy, core*
#
# A transposed convolution is a convolution run backwards: each value of the small map paints a kernel into the large one, and where kernels overlap they add up. Its output has
# the side
#
# $$ n_{\text{out}} = (n_{\text{in}} - 1)\, s - 2p + k $$
#
# - $n$: height or width; $k = 4$: the kernel's side; $s = 2$: the stride; $p$: the padding. Choose it so that the side becomes exactly twice as large.
#
# The block is this convolution, batch norm, ReLU. Batch norm subtracts the mean of each channel, so a bias before it would do nothing: leave it out.
#
# <details><summary>Hint</summary>
#
# `nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=..., bias=False)`, `nn.BatchNorm2d`, `nn.ReLU`, in one `nn.Sequential`.
# </details>
#
# *Stuck? Set `generator_block = check.generator_block.reference` and go on. The same works for `discriminator_block` and `with_label_maps`; the others come by
# `from course_utils.gans.dcgan import initialize, spherical_interpolation, latent_arithmetic`. (That `initialize` also serves networks with linear layers, which the check of exercise 3 remarks; the networks here have none.)*

# %% nbgrader={"grade": false, "grade_id": "generator-block", "locked": false, "schema_version": 3, "solution": true, "task": false}
def generator_block(in_channels: int, out_channels: int) -> nn.Sequential:
    """Transposed convolution, batch norm, ReLU: maps (batch, in_channels, h, w) to (batch, out_channels, 2 h, 2 w)."""
    ### BEGIN SOLUTION
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "generator-block-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.generator_block(generator_block)
### BEGIN HIDDEN TESTS
check.generator_block(generator_block, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 2 · The discriminator's block · *5 minutes, easy, core*
#
# The mirror image: a strided convolution with $n_{\text{out}} = \lfloor (n_{\text{in}} + 2p - k) / s \rfloor + 1$, the same $k$, $s$ and $p$ and again `bias=False`, then batch norm, then a *leaky* ReLU, $\max(a, 0.2\,a)$. A plain ReLU
# is flat below zero and lets no gradient through there; and all that the generator ever learns comes as a gradient through the discriminator.
#
# <details><summary>Hint</summary>
#
# `nn.LeakyReLU` has another slope unless you name it.
# </details>

# %% nbgrader={"grade": false, "grade_id": "discriminator-block", "locked": false, "schema_version": 3, "solution": true, "task": false}
def discriminator_block(in_channels: int, out_channels: int) -> nn.Sequential:
    """Strided convolution, batch norm, leaky ReLU: maps (batch, in_channels, h, w) to (batch, out_channels, h / 2, w / 2)."""
    ### BEGIN SOLUTION
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2),
    )
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "discriminator-block-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.discriminator_block(discriminator_block)
### BEGIN HIDDEN TESTS
check.discriminator_block(discriminator_block, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# The next exercise draws at random. How can that be checked? By numbers that hardly vary from draw to draw if only the layer is large. `initialized` makes two equal layers and a linear one, all parameters 1/2, lets your function `initialize`
# at them, and measures what came of it. The check is called `initialized` too, for these measurements are what it looks at.

# %%
def initialized(kind: str, channels: int) -> dict[str, float | bool]:
    """Mean and standard deviation of a layer's weights after `initialize`, the share within one of these, the largest bias; and what has to stay."""

    def layer() -> nn.Module:
        return {
            "convolution": lambda: nn.Conv2d(channels, channels + 8, 4),
            "convolution without bias": lambda: nn.Conv2d(channels, channels + 8, 4, bias=False),
            "transposed convolution": lambda: nn.ConvTranspose2d(channels, channels + 8, 4),
            "batch norm": lambda: nn.BatchNorm2d(channels**2),
        }[kind]()

    network = nn.Sequential(layer(), layer(), nn.LeakyReLU(0.2), nn.Linear(3, 2))
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.5)
    first, second, _, linear = network
    shape, has_bias = first.weight.shape, first.bias is not None
    network.apply(initialize)
    weight = first.weight.detach()
    return {
        "mean": weight.mean().item(),
        "spread": weight.std().item(),
        "within": ((weight - weight.mean()).abs() <= weight.std()).double().mean().item(),
        "bias": 0.0 if first.bias is None else first.bias.abs().max().item(),
        "bias kept": (first.bias is not None) == has_bias,
        "shape kept": first.weight.shape == shape,
        "float32": all(parameter.dtype == torch.float32 for parameter in first.parameters()),
        "learns": all(parameter.requires_grad for parameter in first.parameters()),
        "layers differ": not torch.equal(weight, second.weight.detach()),
        "linear kept": all(bool((parameter == 0.5).all()) for parameter in linear.parameters()),
    }


# %% [markdown]
# ## Exercise 3 · How to begin · *10 minutes, medium, core*
#
# Draw the weights of all convolutions (ordinary and transposed) from $\mathcal N(0, 0.02^2)$, the factors (`weight`) of all batch norms from $\mathcal N(1, 0.02^2)$, and set every bias to 0.
# `network.apply(initialize)` calls your function with each layer of a network in turn, and with the containers around them. Change the parameters of the layer in place: their shape, their dtype and that they learn stay as they are, and
# so does whether there is a bias. Leave all other modules alone: activations, containers, linear layers.
#
# <details><summary>Hint</summary>
#
# `isinstance(module, nn.Conv2d | nn.ConvTranspose2d)`, `nn.init.normal_`, `nn.init.zeros_`. A convolution made with `bias=False` has `bias` None.
# </details>

# %% nbgrader={"grade": false, "grade_id": "initialize", "locked": false, "schema_version": 3, "solution": true, "task": false}
def initialize(module: nn.Module) -> None:
    """Draw the first weights of one layer, in place; leave modules alone that are neither convolution nor batch norm."""
    ### BEGIN SOLUTION
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "initialize-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.initialized(initialized)
### BEGIN HIDDEN TESTS
check.initialized(initialized, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Train
#
# Your blocks, two of them in each network. The first layer of the generator makes a 4 × 4 map of each noise (that is the only fully connected step); the last layers have no batch norm. We are in a hurry: the learning rate is five times the
# paper's, and falls to zero in the end. On the way the generator draws the same ten noises again and again, for the film below. (With a network and a GPU, `train_dcgan("celeba")` takes photographs of celebrities.)

# %%
FRAMES = 6


class SmallDCGAN(nn.Module):
    """32 x 32 pixels from 32 numbers, and back to one logit, made of the blocks above."""

    def __init__(self, latent_dim: int = 32, width: int = 24):
        super().__init__()
        self.config = DCGANConfig(image_size=32, latent_dim=latent_dim, width=width)
        self.generator = nn.Sequential(
            nn.Unflatten(1, (latent_dim, 1, 1)),
            nn.ConvTranspose2d(latent_dim, 4 * width, 4, bias=False), nn.BatchNorm2d(4 * width), nn.ReLU(),
            generator_block(4 * width, 2 * width),
            generator_block(2 * width, width),
            nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1), nn.Tanh(),
        )  # fmt: skip
        self.discriminator = nn.Sequential(
            nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
            discriminator_block(width, 2 * width),
            discriminator_block(2 * width, 4 * width),
            nn.Conv2d(4 * width, 1, 4), nn.Flatten(0),
        )  # fmt: skip
        self.apply(initialize)
        self.register_buffer("noise", draw_normal((10, latent_dim), runtime.generator(1)))
        self.register_buffer("film", torch.zeros(FRAMES, 10, 3, 32, 32))  # a buffer: kept with the weights of a finished training

    def forward(self, latents: Tensor) -> Tensor:
        return self.generator(latents)

    def discriminate(self, images: Tensor) -> Tensor:
        return self.discriminator(images)

    def generator_loss(self, latents: Tensor) -> Tensor:
        return LOSSES["non_saturating"].generator(self.discriminate(self(latents)))


def pictures(data: str) -> torch.utils.data.Dataset:
    """Training pictures of 32 x 32: our faces, or a real data set by name."""
    if data == "faces":
        return recipes.KeptFaces(scale(smoke=128, cpu=10_000, gpu=50_000))
    from course_utils.data.real import load

    return load(data, "train", size=32)


def train_dcgan(data: str = "faces", steps: int = scale(smoke=6, cpu=1_100, gpu=10_000)) -> tuple[SmallDCGAN, training.History]:
    runtime.seed_everything(1)
    model = SmallDCGAN().to(device)
    moments = [math.ceil(steps * (frame / FRAMES) ** 2) for frame in range(1, FRAMES + 1)]
    moved = 0

    def filming(_: dict) -> None:
        nonlocal moved
        moved += 1
        if moved in moments:
            model.generator.eval()
            model.film[moments.index(moved)] = model(model.noise)
            model.generator.train()

    def train() -> training.History:
        discriminator, generator = gan_players(model, learning_rate=1e-3)
        players = [discriminator, replace(generator, after_step=filming)]
        return training.fit(players, loader(pictures(data), 64, seed=1), steps, clip=None)

    uses = (generator_block, discriminator_block, initialize)
    return model, training.cached(f"02_dcgan/{data}", train, model, uses=uses)


model, history = train_dcgan()
plots.show(
    plots.curves({name: history[f"discriminator/{name}"] for name in ("real_logit", "fake_logit")}, ylabel="mean logit", smooth=20),
    alt="The discriminator's mean logits in training: those of real pictures stay above zero, those of generated ones below, and neither settles.",
)

# %% [markdown]
# The two curves stay apart and tell nothing about the pictures: that is the trouble with a GAN's losses (notebook 1). The film does, from left to right the same noise at later and later steps:

# %%
film = model.film.transpose(0, 1).flatten(0, 1)  # (frames, noises, ...) -> (noises * frames, ...), a row for each noise
plots.show(
    plots.image_grid(film[: 6 * FRAMES], columns=FRAMES, zoom=1.3, title="One noise a row, from the first steps to the last"),
    alt="Six rows of six pictures: from a grey texture through a blot with a background to a head with hair, hat and the hint of eyes.",
)
held_out = recipes.faces("test", len(drawn))
with torch.inference_mode():
    noise = draw_normal((len(drawn), model.config.latent_dim), runtime.generator(2), device)
    own = model(noise).cpu()
    untrained = SmallDCGAN().to(device).eval()(noise).cpu()
quality = {
    name: recipes.face_quality(images, held_out["image"])
    for name, images in (
        ("untrained", untrained), ("yours", own), ("reference", drawn),
        ("other real faces", recipes.faces("validation", len(drawn))["image"]),
    )
}  # fmt: skip
plots.table(
    ({"pictures": name, "distance": row["judge_frechet"], "coverage": row["coverage"], "readable": row["readable"]} for name, row in quality.items()),
    caption=f"{len(drawn)} pictures each, beside as many held-out faces",
)
if runtime.scale_name() != "smoke":
    assert quality["yours"]["judge_frechet"] < 0.5 * quality["untrained"]["judge_frechet"], "the pictures should have come much nearer to faces"
    assert quality["yours"]["coverage"] > 0.2, "the pictures should be of many kinds"

# %% [markdown]
# *Distance*: the Fréchet distance in the features of a judge that was trained to read faces. *Coverage*: the share of real faces with a generated one among their neighbours. *Readable*: the share in which the judge
# is 90 % sure of all nine attributes, a hard test: one smudged eye, and a face fails it. The last row is the ceiling.
#
# The reference was trained longer, and without rule 2 in its discriminator: the R1 penalty of notebook 1 takes the place of batch norm there, as in most GANs since 2018. What each is worth stands under *Break it*.
#
# ## Look: does it copy?
#
# A generator could score well by remembering the training set. So look up, for each sample, the training face with the smallest distance in pixels:

# %%
gallery = recipes.faces("train", scale(smoke=200, cpu=5_000, gpu=5_000))["image"]
nearest = gallery[nearest_images(drawn[:14], gallery).indices[:, 0]]
plots.show(
    plots.image_grid({"drawn": drawn[:14], "nearest\nreal face": nearest}, columns=14),
    alt="Above, fourteen drawn faces; below each the nearest of five thousand training faces: much alike in colours and build, but other in some detail of hat, hair, glasses or beard.",
)
copies = recipes.copies(drawn, held_out["image"])
print(f"median distance to the training set, against that of held-out faces: {copies['distance_to_training_ratio']:.2f}; "
      f"nearer than all but 1 % of held-out faces: {copies['copied']:.1%}")  # fmt: skip

# %% [markdown]
# Held-out faces cannot be copies, so their distance is the measure: a ratio near 1 is what an honest generator has, far below 1 would be copying.
#
# ## Exercise 4 · On the sphere · *10 minutes, medium, core*
#
# Walk from one face to another. Noise of $d$ numbers has a length near $\sqrt d$: it lies close to a sphere, and the straight line between two noises leads through its inside, where the generator has never been asked.
# Follow the arc instead (*spherical interpolation*):
#
# $$ \mathrm{slerp}(a, b; t) = \frac{\sin\big((1 - t)\,\omega\big)}{\sin \omega}\, a + \frac{\sin(t\,\omega)}{\sin \omega}\, b, \qquad \cos \omega = \frac{a \cdot b}{\lVert a \rVert \lVert b \rVert} $$
#
# - $a$, $b$: start and end, which keep their lengths; $\omega$: the angle between them; $t$: the fraction of the way, from 0 to 1.
#
# <details><summary>Hint</summary>
#
# `F.cosine_similarity(start, end, dim=-1)` is (batch,). The result has three axes: bring `fractions` to (steps, 1, 1) and the angle to (batch, 1), and let broadcasting do the rest.
# </details>

# %% nbgrader={"grade": false, "grade_id": "spherical-interpolation", "locked": false, "schema_version": 3, "solution": true, "task": false}
def spherical_interpolation(start: Tensor, end: Tensor, fractions: Tensor) -> Tensor:
    """Noises on the arc between each start and its end, (steps, batch, latent_dim).

    Args:
        start, end: (batch, latent_dim), not parallel.
        fractions: (steps,) in [0, 1].
    """
    ### BEGIN SOLUTION
    angle = torch.acos(F.cosine_similarity(start, end, dim=-1))[:, None]  # (batch, 1)
    t = fractions[:, None, None]
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "spherical-interpolation-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.spherical_interpolation(spherical_interpolation)
### BEGIN HIDDEN TESTS
check.spherical_interpolation(spherical_interpolation, hidden=True)
### END HIDDEN TESTS

# %%
def faces_of(latents: Tensor) -> Tensor:
    """Pictures of noises (batch, latent_dim), on the CPU."""
    with torch.inference_mode():
        return reference(latents.to(device)).cpu()


start, end = draw_normal((2, 3, reference.config.latent_dim), runtime.generator(11))
fractions = torch.linspace(0, 1, 11)
arcs = spherical_interpolation(start, end, fractions)
lines = torch.lerp(start, end, fractions[:, None, None])
walks = {f"{way} {pair + 1}": faces_of(path[:, pair]) for pair in range(3) for way, path in (("arc", arcs), ("line", lines))}
plots.show(
    plots.image_grid(walks, columns=11),
    alt="Three pairs of rows. In each a face turns step by step into another; the arc and the straight line pass through nearly the same faces.",
)
ends = torch.cat([start, end]).norm(dim=1).mean()
print(f"length in the middle, against the ends: arc {arcs[5].norm(dim=1).mean() / ends:.2f}, line {lines[5].norm(dim=1).mean() / ends:.2f}")

# %% [markdown]
# The line leaves the sphere, and yet the eye hardly sees a difference: this generator has learned to do without the length. But is what lies between two faces a face? The course's experiment measures 200 walks: how large the largest of sixteen steps is, and what share of the pictures on the way is readable; beside a cross-fade of pixels, and the
# walk of a generator that knows nothing but training pictures.

# %%
rows = training.results(experiments.INTERPOLATION)
plots.show(
    experiments.INTERPOLATION.figure(rows),
    alt="Two bar charts for four kinds of walk. Left, the largest step; right, the share of readable pictures on the way: sphere, straight line, cross-fade, training faces.",
)
verdict = experiments.INTERPOLATION.verdict(rows)
print(f"The lecture's claim {verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Exercise 5 · Arithmetic with noise · *5 minutes, easy, core*
#
# The most cited figure of the paper: *smiling woman − neutral woman + neutral man = smiling man*, computed on the noise. What the first two have in common goes away, and a smile is left; it is added to
# someone who had none. Each term is the mean of the noises of several pictures, the *exemplars*:
#
# $$ z = \bar z_{\text{having}} - \bar z_{\text{lacking}} + \bar z_{\text{onto}} $$
#
# <details><summary>Hint</summary>
#
# A mean over exemplars is a mean over the first axis.
# </details>

# %% nbgrader={"grade": false, "grade_id": "latent-arithmetic", "locked": false, "schema_version": 3, "solution": true, "task": false}
def latent_arithmetic(having: Tensor, lacking: Tensor, onto: Tensor) -> Tensor:
    """One noise (latent_dim,) from those of pictures that have something, that lack it, and that it shall be put onto.

    Args:
        having, lacking, onto: (exemplars, latent_dim) each; how many exemplars there are may differ.
    """
    ### BEGIN SOLUTION
    return having.mean(dim=0) - lacking.mean(dim=0) + onto.mean(dim=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "latent-arithmetic-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.latent_arithmetic(latent_arithmetic)
### BEGIN HIDDEN TESTS
check.latent_arithmetic(latent_arithmetic, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Exemplars need somebody who looks at the pictures: the judge reads some thousand faces, and we take those with sunglasses and short hair, without glasses and with short hair, and without glasses and with long hair. As in the paper, each row shows
# three exemplars and then the picture of their mean; the last row is the result, and three neighbours of it.

# %%
pool = draw_normal((scale(smoke=2_000, cpu=4_000, gpu=4_000), reference.config.latent_dim), runtime.generator(3))
read = on_cpu(judge.read(torch.cat([faces_of(part) for part in pool.split(500)])))


def reads(reading, attribute: str, word: str) -> Tensor:
    """(batch,) bool: in which faces the judge reads this."""
    return getattr(reading, attribute) == ATTRIBUTES[attribute].index(word)


def draw_exemplars(glasses: str, hair: str, trials: int, count: int, seed: int) -> Tensor:
    """Noises (trials, count, latent_dim) of faces with these glasses and hair."""
    fitting = pool[reads(read, "glasses", glasses) & reads(read, "hair_length", hair)]
    return fitting[draw_integers(0, len(fitting), (trials, count), runtime.generator(seed))]


terms = {
    "sunglasses": draw_exemplars("sunglasses", "short", 1, 3, seed=1)[0],
    "− none": draw_exemplars("none", "short", 1, 3, seed=2)[0],
    "+ none,\nlong hair": draw_exemplars("none", "long", 1, 3, seed=3)[0],
}
result = latent_arithmetic(*terms.values())
around = result + 0.25 * (2 * draw_uniform((3, len(result)), runtime.generator(4)) - 1)
sheet = {name: faces_of(torch.cat([noises, noises.mean(0, keepdim=True)])) for name, noises in terms.items()}
plots.show(
    plots.image_grid(sheet | {"= result, and\nneighbours": faces_of(torch.cat([result[None], around]))}, columns=4, zoom=1.4),
    alt="Rows of four faces: three exemplars and the picture of their mean, for sunglasses and short hair, no glasses and short hair, no glasses and long hair. In the last row the result and three neighbours.",
)

# %% [markdown]
# One figure proves nothing; the paper says that single exemplars were unstable, and means of three consistent. Count instead: many sums with your function, and the judge says which results have both sunglasses and long hair.

# %%
trials = scale(smoke=20, cpu=400, gpu=2_000)
counts = []
for count in (1, 3):
    having, lacking, onto = (
        draw_exemplars(*kind, trials, count, seed)
        for seed, kind in enumerate((("sunglasses", "short"), ("none", "short"), ("none", "long")), start=5)
    )
    results = torch.stack([latent_arithmetic(*trial) for trial in zip(having, lacking, onto, strict=True)])
    for name, noises in (("result", results), ("nothing added", onto.mean(dim=1))):
        reading = on_cpu(judge.read(faces_of(noises)))
        both = reads(reading, "glasses", "sunglasses") & reads(reading, "hair_length", "long")
        length = noises.norm(dim=1).mean().item() / math.sqrt(noises.shape[1])
        counts.append({"exemplars": count, "noise": name, "sunglasses and long hair": both.double().mean().item(), "length": length})
by_chance = (reads(read, "glasses", "sunglasses") & reads(read, "hair_length", "long")).double().mean().item()
plots.table(counts, caption=f"Share of {trials} results; of random faces it is {by_chance:.2f}. Length 1: that of a random noise")
if runtime.scale_name() != "smoke":
    assert counts[2]["sunglasses and long hair"] > by_chance + 0.1, "arithmetic should do clearly better than chance"

# %% [markdown]
# Look at the last column. Three single noises added up are $\sqrt 3$ times too long, whatever they show; the means of three have just about the right one. How much of the paper's finding is that? The experiment tries all nine attributes, and
# both ways with the length set right:

# %%
rows = training.results(experiments.ARITHMETIC)
plots.show(
    experiments.ARITHMETIC.figure(rows),
    alt="Bars for sums of single exemplars, single ones rescaled, means of three, means of ten, means of ten rescaled: share of results with both wanted attributes, and share that is readable.",
)
verdict = experiments.ARITHMETIC.verdict(rows)
print(f"The lecture's claim {verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Look: the face explorer
#
# With hundreds of exemplars in place of three, the difference of means is a *direction*. Choose a face, and add some of it. Far out other things change as well: the data keep the attributes apart, but nothing makes the noise do so.
# (Without widgets: the figure below does it for one face.)

# %%
CHANGES = {
    "sunglasses": ("glasses", "sunglasses"), "top hat": ("hat", "top hat"), "smile": ("smile", "smiling"),
    "long hair": ("hair_length", "long"), "full beard": ("beard", "full beard"), "dark skin": ("skin", "dark"),
}  # fmt: skip


lacks = torch.stack([~reads(read, *change) for change in CHANGES.values()]).sum(dim=0)  # how many of the changes a face lacks
plain = pool[lacks.argsort(descending=True, stable=True)[:31]]


def changed(face: int, change: str, strength: float) -> Tensor:
    """One of the plainest faces, and the same with `strength` times a direction added; the noise keeps its length."""
    there = reads(read, *CHANGES[change])
    direction = pool[there].mean(0) - pool[~there].mean(0)
    moved = plain[face] + strength * direction
    return faces_of(torch.stack([plain[face], moved * plain[face].norm() / moved.norm()]))


widgets.explorer(
    changed, alt="a face as it was drawn, and changed", columns=2, zoom=7,
    face=(0, 30, 0), change=list(CHANGES), strength=(-2.0, 6.0, 3.0),
)  # fmt: skip

# %%
strengths = (-2.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
plots.show(
    plots.image_grid({change: torch.cat([changed(0, change, s)[1:] for s in strengths]) for change in CHANGES}, columns=len(strengths), title="Strength -2, 0, 1, 2, 3, 4, 5, 6"),
    alt="Six rows of one and the same face with more and more of a direction: sunglasses, top hat, smile, long hair, full beard, dark skin appear from left to right.",
)

# %% [markdown]
# ## Exercise 6 · The label into both networks · *10 minutes, medium, core*
#
# To *ask* for a top hat, train a **conditional** GAN: the label goes into both networks. For the generator append it to the noise as a one-hot vector, as for the conditional VAE (chapter 1, notebook 2). The
# discriminator sees pictures, so give it one more *map* for each class: ones everywhere on that of the label, zeros on all others. Pictures need not be square, nor have three channels.
#
# Why the discriminator too? It has to say whether this is a real picture *of this class*. If it does not know what was asked for, any real-looking face will do, and the generator has no reason to listen.
#
# <details><summary>Hint</summary>
#
# `F.one_hot(labels, num_classes)` is (batch, num_classes); `[:, :, None, None]` and `.expand(-1, -1, height, width)` make maps of it, and `torch.cat` joins along the channels.
# </details>

# %% nbgrader={"grade": false, "grade_id": "with-label-maps", "locked": false, "schema_version": 3, "solution": true, "task": false}
def with_label_maps(images: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Pictures with a constant map for each class behind their channels: (batch, channels + num_classes, height, width).

    Args:
        images: (batch, channels, height, width).
        labels: (batch,) int64 in [0, num_classes).
    """
    ### BEGIN SOLUTION
    one_hot = F.one_hot(labels, num_classes).to(images.dtype)  # (batch, num_classes)
    maps = one_hot[:, :, None, None].expand(-1, -1, *images.shape[2:])
    return torch.cat([images, maps], dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "with-label-maps-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.with_label_maps(with_label_maps)
### BEGIN HIDDEN TESTS
check.with_label_maps(with_label_maps, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# The reference `cgan-faces` was trained so on twelve classes: four kinds of hat times three of glasses. One noise a row, one class a column:

# %%
conditional = training.load(recipes.CGAN_FACES)
noise = draw_normal((5, conditional.config.latent_dim), runtime.generator(5)).repeat_interleave(12, 0).to(device)
wanted = torch.arange(12).repeat(5)
with torch.inference_mode():
    ordered = conditional(noise, wanted.to(device)).cpu()
plots.show(
    plots.image_grid(ordered, columns=12, title="No hat, cap, beanie, top hat; each with no glasses, glasses, sunglasses"),
    alt="Five rows of twelve faces. Along a row hat and glasses change as ordered, while much of the rest of the face stays.",
)
classes = recipes.face_label(held_out).to(device)
others = (classes + draw_integers(1, 12, (len(classes),), runtime.generator(6)).to(device)) % 12
with torch.inference_mode():
    real = held_out["image"].to(device)
    right, wrong = (conditional.discriminator.main(with_label_maps(real, labels, 12)).flatten() for labels in (classes, others))
print(f"Of {len(real)} held-out faces the discriminator finds {(right > wrong).double().mean():.0%} more real with their own label than with another (chance 50 %).")
print(f"Of the faces drawn to order above, the judge reads the wanted hat and glasses in {recipes.label_accuracy(ordered, wanted):.0%} (chance 8 %).")

# %% [markdown]
# There is a second way into the discriminator, without maps. A **projection discriminator** computes the logit $a(x, y) = \psi(\phi(x)) + v_y \cdot \phi(x)$: $\phi(x)$ are the features below the last layer, $\psi$ that layer, and $v_y$ a
# learned vector for each class $y$. The last term asks whether the picture *looks like* its class, the first whether it looks real at all. (`DCGANConfig(conditioning="projection")`; eight lines in `Discriminator`.) The experiment
# has both ways, and all places that the label could go to, on handwritten digits:

# %%
rows = training.results(experiments.LABEL)
plots.show(
    experiments.LABEL.figure(rows),
    alt="Share of samples that are read as the wanted digit: near one in ten with the label in neither network or only in one, high with it in both.",
)
verdict = experiments.LABEL.verdict(rows)
print(f"The lecture's claim {verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Measure: beside a VAE
#
# Chapter 1 ended with a VAE's blur, and the lecture's claim that a GAN does better. `vae-faces` was trained on the same faces.

# %%
blurred = training.load(recipes.VAE_FACES).sample(len(drawn), runtime.generator(7)).cpu()
plots.show(
    plots.image_grid({"real": held_out["image"][:14], "VAE": blurred[:14], "DCGAN": drawn[:14]}, columns=14),
    alt="Rows of real faces, of samples of the VAE, which are soft, and of the DCGAN, which have edges as sharp as the real ones but errors in detail.",
)
rows = training.results(experiments.AGAINST_VAE)
plots.show(
    experiments.AGAINST_VAE.figure(rows),
    alt="Three bar charts for VAE, DCGAN and other real faces: sharpness, Fréchet distance of the judge's features, recall.",
)
verdict = experiments.AGAINST_VAE.verdict(rows)
print(f"The lecture's claim {verdict.verdict}: {verdict.why}")

# %% [markdown]
# What was measured when the checkpoints were trained, on more samples, with chance and ceiling:

# %%
# NBVAL_CHECK_OUTPUT
for recipe in (recipes.VAE_FACES, recipes.DCGAN_FACES, recipes.CGAN_FACES):
    card = training.read_card(recipe)
    print(f"{recipe.name}, {card['samples']} samples")
    for name, value in card["metrics"].items():
        beside = [f"{kind} {card[kind][name]:.3g}" for kind in ("chance", "ceiling") if name in card[kind]]
        print(f"  {name} {value:.3g}", f"({', '.join(beside)})" if beside else "")

# %% [markdown]
# ## Break it: a rule at a time
#
# The lecture calls the rules "empirically determined to give best training stability". The experiment breaks each of them alone, three seeds each, with the same steps and the same learning rate; and it has R1 in place of the discriminator's batch norm, as our reference:

# %%
rows = training.results(experiments.RULES)
plots.show(
    experiments.RULES.figure(rows),
    alt="The judge's Fréchet distance over training for DCGAN as it is, with one rule broken (pooling, plain ReLU, hidden layers, no batch norm), and with R1 in place of the discriminator's batch norm.",
)
verdict = experiments.RULES.verdict(rows)
print(f"The lecture's claim {verdict.verdict}: {verdict.why}")

# %% [markdown]
# One of them live, for a third of the steps: batch norm left out of both networks, and all else as it was.

# %%
def briefly(**broken: bool) -> Tensor:
    """Pictures of a DCGAN that was trained for a short while, with a rule broken."""
    runtime.seed_everything(3)
    network = DCGAN(DCGANConfig(image_size=32, latent_dim=32, width=16, **broken))
    data = loader(recipes.KeptFaces(scale(smoke=128, cpu=4_000, gpu=4_000)), 64, seed=3)
    training.fit(gan_players(network, learning_rate=1e-3), data, scale(smoke=3, cpu=250, gpu=250), schedule="constant", clip=None, progress=False)
    return network.eval().sample(len(drawn), runtime.generator(8)).cpu()


short = {"with\nbatch norm": briefly(), "without": briefly(batch_norm=False)}
plots.show(
    plots.image_grid({name: images[:14] for name, images in short.items()}, columns=14),
    alt="Above, after a short training with batch norm, blots of many colours with the outline of a head. Below, without, the same stripes fourteen times.",
)
variation = {name: images.std(dim=0).mean().item() for name, images in short.items()}
for name, images in short.items():
    score = recipes.face_quality(images, held_out["image"])
    print(f"{' '.join(name.split())}: distance {score['judge_frechet']:.0f}, coverage {score['coverage']:.3f}, "
          f"variation between pictures {variation[name]:.2f} (real {held_out['image'].std(dim=0).mean():.2f})")  # fmt: skip
if runtime.scale_name() != "smoke":
    assert variation["without"] < variation["with\nbatch norm"], "without batch norm the pictures should hardly differ"

# %% [markdown]
# ## The real thing
#
# At the size of the paper (64 × 64 pixels, 100 numbers of noise), our module has exactly as many parameters as the DCGAN among PyTorch's examples, and the same layout:

# %%
# NBVAL_CHECK_OUTPUT
with torch.device("meta"):  # shapes only, no numbers
    paper = DCGAN(DCGANConfig())
for name, network in (("generator", paper.generator), ("discriminator", paper.discriminator)):
    print(name, f"{sum(parameter.numel() for parameter in network.parameters()):,} parameters")

# %% [markdown]
# So `DCGAN.from_hub(folder_or_repository, filename)` reads weights that were trained with it. The authors of the paper published none in this form; a file that you have trained with PyTorch's example loads as this one does, of a small generator made of PyTorch's own layers:

# %%
# NBVAL_CHECK_OUTPUT
example = nn.ModuleDict({
    "main": nn.Sequential(
        nn.ConvTranspose2d(8, 32, 4, bias=False), nn.BatchNorm2d(32), nn.ReLU(True),
        nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(True),
        nn.ConvTranspose2d(16, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )
})  # fmt: skip
noise = draw_normal((64, 8), runtime.generator(9))
with tempfile.TemporaryDirectory() as folder, torch.no_grad():
    example["main"](noise[:, :, None, None])  # in training mode: the running statistics of batch norm move
    torch.save(example.state_dict(), f"{folder}/netG.pth")
    loaded = DCGAN.from_hub(folder, "netG.pth")
    theirs, ours = example.eval()["main"](noise[:, :, None, None]), loaded(noise)
print("In the file:", ", ".join(list(example.state_dict())[:3]), "...")
print(f"Read off it: pictures of {loaded.config.image_size} x {loaded.config.image_size}, {loaded.config.latent_dim} numbers of noise, width {loaded.config.width}")
print("Both give the same pictures:", torch.allclose(theirs, ours, atol=1e-5), "- and those of other noises differ:", not torch.allclose(theirs, ours.flip(0), atol=1e-2))

# %% [markdown]
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-lengths", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** A noise of $d$ independent standard normal numbers has $\mathbb E \lVert z \rVert^2 = d$. Compute the same for the midpoint $(a + b)/2$ of two noises, for $a - b + c$ with single noises, and for the same with each term the mean of $n$ noises.
# For which $n$ is the last one right, and what would means of ten bring with them?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# Variances of independent numbers add up: the midpoint has d/2 (0.71 of the length), a - b + c has 3d (1.73 times the length), and with means of n it is 3d/n. So n = 3 gives just the length of a noise, and means of ten only 0.55 of it: they hold
# less accident, but lie where the generator was never asked, unless one rescales them. (Exemplars are chosen for what they show, so their means do not shrink quite as much.)
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-copies", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** A generator remembers every training face, but shifts it by two pixels to the right. What would the nearest real face by pixels look like, and what the ratio of distances? How could one find it out nonetheless?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# A shift changes pixels along every edge, so the original may be farther off in pixels than another face of like colours and place: the nearest face would look different, and the ratio would be near 1 or above. Compare in features that
# care little for place (the judge's), or with shifted copies of the training set.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-label", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **3.** The label goes into the discriminator only, and the generator gets noise alone. A real picture comes to the discriminator with its own label, a generated one with that of the real picture at the same place in the batch. What does the best possible generator do, and what does the discriminator's loss say about it?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# It cannot know which label its picture will be shown with, so it draws faces of all classes, as the data have them; one in twelve fits by accident. The discriminator learns to compare picture and label and finds out most of them, so its loss
# stays low, and no move of the generator can change that: the game has no balance.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Murphy, *Probabilistic Machine Learning: Advanced Topics*, MIT Press 2023, chapter 26.
# - Odena, Dumoulin and Olah, *Deconvolution and checkerboard artifacts*, Distill 2016: why the kernel's side should be a multiple of the stride.
# - Brock, Donahue and Simonyan, *Large scale GAN training for high fidelity natural image synthesis*, ICLR 2019: the conditional GAN, with projection, at full size.
