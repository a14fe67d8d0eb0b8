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
# # DDPM: from noise to a picture in small steps
#
# | | |
# |---|---|
# | **Time** | 90 minutes of work, 55 of them exercises; the code runs in about 2 minutes on a laptop's CPU |
# | **You need** | normal distributions (sums of independent ones, the KL divergence between two); chapter 1, notebook 2 (the bound on the likelihood) |
# | **Builds on** | the ring of chapter 2, notebook 1, as data; nothing that you wrote before |
# | **Code** | `course_utils/diffusion/schedules.py`, `ddpm.py`, `samplers.py`, `points.py`, `unet.py` |
# | **Papers** | Sohl-Dickstein et al., *Deep unsupervised learning using nonequilibrium thermodynamics*, ICML 2015 · Ho, Jain and Abbeel, *Denoising diffusion probabilistic models*, NeurIPS 2020 · Nichol and Dhariwal, *Improved denoising diffusion probabilistic models*, ICML 2021 · Salimans and Ho, *Progressive distillation*, ICLR 2022 |
#
# It is easy to turn a picture into noise, and hard to turn noise into a picture. A diffusion model does the hard thing in many steps, each of which is easy: a network that takes away *a little* noise, called again and again.
# These are six of its pictures on their way, one a row. By the end you will have written what leads from the left edge to the right:

# %%
import base64
import io
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from IPython.display import HTML, display
from PIL import Image
from torch import Tensor, nn

from course_utils import plots, runtime, scale, training, widgets
from course_utils.autoencoders.recipes import DigitReader, single_objects
from course_utils.checks import diffusion as check
from course_utils.data import Digits, loader
from course_utils.data.scenes import COLORS, SHAPES
from course_utils.diffusion import (
    Ancestral,
    DiffusionConfig,
    GaussianDiffusion,
    PointDenoiser,
    PointDenoiserConfig,
    UNet,
    UNetConfig,
    ddpm_experiments,
    inference_timesteps,
    recipes,
    sample,
    schedules,
    score,
    trajectory,
)
from course_utils.gans import gan
from course_utils.gans.plane_experiments import PointSet
from course_utils.gans.recipes import DCGAN_FACES, VAE_FACES, faces
from course_utils.layers import draw_normal
from course_utils.metrics import frechet_distance, memorisation, precision_recall

device = runtime.device()
runtime.seed_everything(0)

reference = training.load(recipes.DDPM_SCENES)  # shipped with the course, trained longer than there is time for here
process = recipes.process()
asked = torch.tensor([SHAPES.index(shape) * len(COLORS) + COLORS.index(color) for color, shape in (
    ("red", "circle"), ("blue", "star"), ("pink", "heart"), ("green", "triangle"), ("black", "cross"), ("cyan", "square"))])  # fmt: skip
path = process.path(inference_timesteps(1000, scale(smoke=16, cpu=96, gpu=96)))
noise = draw_normal((len(asked), 3, 32, 32), runtime.generator(2), device)
steps = list(trajectory(process.denoiser(reference, asked.to(device)), Ancestral(), noise, path, runtime.generator(3)))
moments = [round(share * (len(steps) - 1)) for share in (0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)]
strip = torch.stack([noise, *(steps[moment].noisy for moment in moments)], dim=1).flatten(0, 1)  # (6 * 9, 3, 32, 32), one picture a row
plots.show(
    plots.image_grid(strip.clamp(-1, 1).cpu(), columns=9, title="From noise to pictures"),
    alt="Six rows of nine pictures. At the left nothing but coloured noise; to the right a coloured shape on a plain background comes out of it: a red circle, a blue star, a pink heart, a green triangle, a black cross, a cyan square.",
)

# %% [markdown]
# ## The idea
#
# **Forward**, nothing is learned. A clean picture is mixed with a little noise, again and again, $T$ times. We count the steps from 0, as arrays do, so $t = 0, 1, \dots, T - 1$:
#
# $$ x_t = \sqrt{\alpha_t}\; x_{t-1} + \sqrt{\beta_t}\; \epsilon_t, \qquad \epsilon_t \sim \mathcal N(0, I), \qquad \alpha_t = 1 - \beta_t $$
#
# - $\beta_t \in (0, 1)$: the share of the variance that step $t$ replaces by noise; the list of all $\beta_t$ is the **noise schedule**,
# - $\sqrt{\alpha_t}$ and $\sqrt{\beta_t}$: roots, since it is *variances* of independent numbers that add up: $\alpha_t + \beta_t = 1$, so numbers of variance 1 keep variance 1.
#
# **One warning about names.** All papers call the clean picture $x_0$, and so do we, wherever $x_0$ stands by itself. In a chain, $x_t$ is the picture after step $t$, that is after $t + 1$ steps, the last is $x_{T-1}$, and what stands *before* step $t = 0$, "$x_{-1}$", is the clean picture, $x_0$ by its own name.
# In code, `alphas_cumprod[0]` belongs to the picture after the first step; the clean one has no entry.
#
# **Backward**, we want $x_{t-1}$ from $x_t$. There are many pictures that $x_t$ may have come from, so this is a distribution, $q(x_{t-1} \mid x_t)$ ($q$ for all that the forward process makes true, $p$ for the model), and it depends on what pictures there are. Nobody knows it. But if $\beta_t$ is *small*, it is nearly a normal distribution
# with a known variance, and all that is left to learn is its mean. So the model is
#
# $$ p(x_{t-1} \mid x_t) = \mathcal N\big(\mu_\theta(x_t, t),\; \sigma_t^2 I\big), \qquad p(x_{T-1}) = \mathcal N(0, I) $$
#
# with a network behind $\mu_\theta$; $\theta$ are its weights. To draw a picture, draw $x_{T-1}$ from the normal distribution and go back $T$ times. That is why there are many steps: a single big one would not be a normal distribution at all.
#
# ## Exercise 1 · Any step in one jump · *10 minutes, easy, core*
#
# To train the network we need $x_t$ for many $t$. Walking there is not necessary. After two steps the factors of $x_0$ have multiplied to $\sqrt{\alpha_0 \alpha_1}$, and two independent noises have added up to *one* normal noise, whose variance makes the sum 1 again. So with
#
# $$ \bar\alpha_t = \alpha_0\, \alpha_1 \cdots \alpha_t, $$
#
# in code `alphas_cumprod[t]`, any step is reached at once, with a single noise $\epsilon \sim \mathcal N(0, I)$:
#
# $$ x_t = \sqrt{\bar\alpha_t}\; x_0 + \sqrt{1 - \bar\alpha_t}\; \epsilon $$
#
# Each picture of the batch has a time of its own. The function shall serve points of the plane, (batch, 2), as well as pictures, (batch, channels, height, width).
#
# <details><summary>Hint</summary>
#
# `alphas_cumprod[timesteps]` is (batch,). Broadcasting begins at the *last* axis, so give it as many axes of length 1 as `images` has further ones: `.view(-1, *[1] * (images.ndim - 1))`.
# </details>
#
# *Stuck? Set `add_noise = check.add_noise.reference` and go on. The same works for `cosine_schedule`, `posterior_mean` and `ancestral_step`.*

# %% nbgrader={"grade": false, "grade_id": "add-noise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def add_noise(images: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """x_t of each picture at its own time, of the shape of `images`.

    Args:
        images: clean pictures (batch, channels, height, width), or points (batch, dimensions).
        noise: standard normal, of the same shape.
        timesteps: (batch,) int64 in [0, T).
        alphas_cumprod: (T,), falling from nearly 1 to nearly 0.
    """
    ### BEGIN SOLUTION
    rate = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))  # (batch,) -> (batch, 1, ...)
    return rate.sqrt() * images + (1 - rate).sqrt() * noise
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "add-noise-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.add_noise(add_noise)
### BEGIN HIDDEN TESTS
check.add_noise(add_noise, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# The first paper lets $\beta_t$ rise on a straight line from 0.0001 to 0.02 in 1,000 steps: the **linear** schedule. Three scenes, and two thousand points on two moons, on their way into the noise:

# %%
linear = torch.from_numpy(schedules.linear(1000)).float()
times = torch.tensor([0, 50, 100, 200, 300, 500, 700, 999])
scenes = single_objects("test", 64, 32)
few = scenes["image"][[3, 18, 6]].repeat_interleave(len(times), 0)  # each scene at every time
fading = add_noise(few, draw_normal(few.shape, runtime.generator(4)), times.repeat(3), linear)
plots.show(
    plots.image_grid(fading.clamp(-1, 1), columns=len(times), title="Steps " + ", ".join(map(str, times.tolist()))),
    alt="Three rows: a scene is covered by more and more coloured noise from left to right; at step 300 the shape can just be seen, from 700 on nothing is left.",
)
moons = 1.5 * (gan.two_moons(2_000, runtime.generator(5)) - torch.tensor([0.5, 0.25]))
figure, axes = plots.figure(1, len(times), width=9.0, height=1.4)
for axis, t in zip(axes[0], times, strict=True):
    axis.scatter(*add_noise(moons, draw_normal(moons.shape, runtime.generator(6)), t.expand(len(moons)), linear).T, s=0.4, color=plots.COLORS[0], linewidths=0)
    axis.set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), aspect="equal", xticks=[], yticks=[], title=f"step {t}")
plots.show(figure, alt="The two moons as a cloud of points: they grow thick, run into each other, and from step 500 on the cloud is one round blob.")

# %% [markdown]
# ## Exercise 2 · The cosine schedule · *10 minutes, medium, core*
#
# On small pictures the linear schedule is in a hurry: from step 700 on hardly anything is left to destroy, so three tenths of all steps have nothing to undo. Nichol and Dhariwal choose $\bar\alpha$ itself, as a squared cosine of the number $n$ of steps taken:
#
# $$ f(n) = \cos^2\!\left(\frac{n/T + s}{1 + s} \cdot \frac{\pi}{2}\right), \qquad \bar\alpha \text{ after } n \text{ steps} = \frac{f(n)}{f(0)}, \qquad n = 1, \dots, T $$
#
# - $T$, `num_train_timesteps`: how many steps there are,
# - $s = 0.008$, `offset`: an offset, without which the first of 1,000 steps would add noise of a fifth of a grey level, too little to learn from,
# - $f(0)$ belongs to the clean picture, which gets no entry in the table: entry $t$ is the state after $t + 1$ steps, $f(t + 1)/f(0)$.
#
# At the end $f(T) = 0$: the last step would replace *everything*, and no way back from it could be computed. So no single step may: each step's $\beta$, 1 minus the quotient of $\bar\alpha$ after and before the step, is clipped to at most 0.999, and the table is the running product of the $1 - \beta$ after that.
#
# <details><summary>Hint</summary>
#
# Count: how many values of $f$ does it take to have $T$ quotients of neighbours? Once you have the betas, where has $f(0)$ gone? Compute in `float64` (near the end $f$ is tiny), and look up `Tensor.clamp` and `Tensor.cumprod`.
# </details>

# %% nbgrader={"grade": false, "grade_id": "cosine-schedule", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cosine_schedule(num_train_timesteps: int, offset: float = 0.008) -> Tensor:
    """alphas_cumprod (num_train_timesteps,) float32 after 1, 2, ..., T steps; no beta is above 0.999."""
    ### BEGIN SOLUTION
    times = torch.linspace(0, 1, num_train_timesteps + 1, dtype=torch.float64)
    share = torch.cos((times + offset) / (1 + offset) * math.pi / 2).square()
    betas = (1 - share[1:] / share[:-1]).clamp(max=0.999)
    return (1 - betas).cumprod(0).float()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "cosine-schedule-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.cosine_schedule(cosine_schedule)
### BEGIN HIDDEN TESTS
check.cosine_schedule(cosine_schedule, hidden=True)
### END HIDDEN TESTS

# %%
digit = Digits("test", 16).images[6:7].expand(12, -1, -1, -1)
even = torch.linspace(0, 999, 12).long()
noise = draw_normal(digit.shape, runtime.generator(7))
plots.show(
    plots.image_grid({name: add_noise(digit, noise, even, table).clamp(-1, 1) for name, table in (("linear", linear), ("cosine", cosine_schedule(1000)))}, columns=12),
    alt="A handwritten digit of 16 by 16 pixels at twelve times. With the linear schedule it is gone after half of the steps, with the cosine schedule it fades evenly.",
)
figure, axes = plots.figure(width=5.6, height=2.6)
for color, (name, table) in zip(plots.COLORS, (("linear", linear), ("cosine", cosine_schedule(1000))), strict=False):
    axes[0, 0].plot(table.sqrt(), color=color, label=f"{name}: picture")
    axes[0, 0].plot((1 - table).sqrt(), color=color, linestyle="--", label=f"{name}: noise")
axes[0, 0].set(xlabel="step", ylabel="factor of picture and of noise")
axes[0, 0].legend(frameon=False, fontsize=7)
plots.show(figure, alt="Factors of picture and noise over the steps. With the linear schedule the picture's falls early and is nearly 0 from step 700 on; with the cosine schedule it falls evenly to the end.")

# %% [markdown]
# Is it noise in the end? The lecture says: after enough steps, what is left is $\mathcal N(0, I)$. The course's experiment plays detective. It knows five hundred faces, sees one of them through the noise, and names the one that explains it best; if nothing is left, it can only guess.

# %%
rows = training.results(ddpm_experiments.FORWARD)
plots.show(
    ddpm_experiments.FORWARD.figure(rows),
    alt="Share of faces that are found again from their noise, over the steps, for four schedules: 1 for most of the way, then a fall towards chance, early for linear and late for cosine.",
)
verdict = ddpm_experiments.FORWARD.verdict(rows)
print(f"The lecture's claim: {verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## What the network learns
#
# The model is trained as the VAE was, by a bound on $-\log p(x_0)$, which falls into one term for each step: how far is the model's step back from the true one, *if the picture were known*?
#
# $$ \sum_{t > 0} \mathrm{KL}\big(\, q(x_{t-1} \mid x_t, x_0) \,\big\Vert\, p(x_{t-1} \mid x_t) \,\big) \;-\; \log p(\text{clean picture} \mid x_{t=0}) \;+\; \text{a constant} $$
#
# (The step at $t = 0$ ends at the picture itself, so it has a likelihood in place of a KL.) In the sum, both are normal distributions. With equal variances their KL is the squared distance of the means, over twice the variance. And the means differ only in what the network does not know, the picture, or, what comes to the same since $x_t$ is known to both, the *noise* in $x_t$. So let it say the noise,
# $\hat\epsilon = \epsilon_\theta(x_t, t)$. Then each term is a factor that depends on $t$ times $\lVert \epsilon - \hat\epsilon \rVert^2$, and Ho et al. found that pictures become better without the factor:
#
# $$ \mathcal L = \mathbb E_{x_0,\, \epsilon,\, t}\; \big\lVert \epsilon - \epsilon_\theta(x_t, t) \big\rVert^2, \qquad t \text{ uniform in } 0, \dots, T - 1 $$
#
# where in code the square of the norm becomes a *mean* over all values, of each picture and of the batch: a constant factor, which does not matter. That is all: noise a picture, ask for the noise.
#
# The next cell is for the check of exercise 3, and you need not read it: a check can hand over tensors, but no network, so this makes a small network of a matrix and calls the `diffusion_loss` that you are about to write. Messages of the check name it, `loss_of_a_network`.

# %%
def loss_of_a_network(weight: Tensor, images: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """`diffusion_loss` of a network of one layer with the weights (values + 1, values)."""

    def network(noisy: Tensor, timesteps: Tensor) -> Tensor:
        features = torch.cat([noisy.flatten(1), timesteps[:, None] / 10], dim=1)  # (batch, values + 1)
        return torch.tanh(features @ weight).view_as(noisy)

    return diffusion_loss(network, images, noise, timesteps, alphas_cumprod)


# %% [markdown]
# ## Exercise 3 · The training loss · *10 minutes, easy, core*
#
# Noise the pictures, each at its time; show the network what came of it, and the times; compare its answer with the noise.
#
# *Stuck? Set `diffusion_loss = check.ddpm.diffusion_loss` and go on.*

# %% nbgrader={"grade": false, "grade_id": "diffusion-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def diffusion_loss(network: Callable[[Tensor, Tensor], Tensor], images: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Mean squared error of the predicted noise, a scalar.

    Args:
        network: called as `network(noisy, timesteps)`, gives the noise that it sees, of the shape of `noisy`.
        images, noise, timesteps, alphas_cumprod: as for `add_noise`.
    """
    ### BEGIN SOLUTION
    noisy = add_noise(images, noise, timesteps, alphas_cumprod)
    return F.mse_loss(network(noisy, timesteps), noise)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "diffusion-loss-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.loss_of_a_network(loss_of_a_network)
### BEGIN HIDDEN TESTS
check.loss_of_a_network(loss_of_a_network, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Train, on the plane
#
# First the ring of eight narrow Gaussians from chapter 2, in 100 steps. `PointDenoiser` is a small fully connected network that is told the time in each of its blocks. (It gets the time as waves of many lengths, `course_utils/layers/embeddings.py`.)

# %%
ring = gan.ring(std=0.05)
table = cosine_schedule(100).to(device)


def denoising(network: nn.Module, table: Tensor) -> training.Player:
    """Your loss for `training.fit`: each batch gets noise and times of its own."""

    def objective(batch: dict) -> tuple[Tensor, dict]:
        images = batch["image"]
        timesteps = torch.randint(0, len(table), (len(images),), device=images.device)
        return diffusion_loss(network, images, torch.randn_like(images), timesteps, table), {}

    return training.Player("denoiser", network, objective, learning_rate=2e-3, betas=(0.9, 0.99), ema_decay=0.99)


runtime.seed_everything(1)
points = PointDenoiser(PointDenoiserConfig())
history = training.cached(
    "01_ddpm/points",
    lambda: training.fit(denoising(points, table), loader(PointSet(ring, 0), 256), scale(smoke=5, cpu=3_000, gpu=3_000), schedule="cosine"),
    points, uses=(denoising, diffusion_loss, add_noise, cosine_schedule),
)  # fmt: skip


@torch.no_grad()
def held_out_loss(network: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Your loss on 20,000 fresh points."""
    fresh = ring.sample(20_000, runtime.generator(8)).to(device)
    timesteps = torch.arange(len(fresh), device=device) % len(table)
    return diffusion_loss(network, fresh, draw_normal(fresh.shape, runtime.generator(9), device), timesteps, table).item()


best = score.mixture_network(ring, GaussianDiffusion(DiffusionConfig(100)).to(device))  # known exactly, since the density is
yours, least = held_out_loss(points), held_out_loss(best)
print(f"loss on fresh points: {yours:.3f}; the best possible network {least:.3f}; one that says nothing {held_out_loss(lambda noisy, t: torch.zeros_like(noisy)):.3f}")
if runtime.scale_name() != "smoke":
    assert yours < least + 0.05, "the trained network should come near the best one"

# %% [markdown]
# The loss does not fall to zero, and must not. A noisy point may come from several modes, and nobody can know from which; the best answer is the *mean* of all noise that may be in it. For a mixture of Gaussians this mean has a formula. Below are both, as arrows against the noise, at three times:

# %%
figure, axes = plots.figure(1, 3, width=9.0, height=3.1)
ticks = torch.linspace(-2.6, 2.6, 14, device=device)
places = torch.cartesian_prod(ticks, ticks)
for axis, t in zip(axes[0], (20, 50, 80), strict=True):
    timesteps = torch.full((len(places),), t, device=device)
    with torch.no_grad():
        for answer, color, width in ((best, plots.COLORS[4], 0.012), (points, plots.COLORS[0], 0.005)):
            arrows = -answer(places, timesteps).cpu()
            axis.quiver(*places.cpu().T, *arrows.T, color=color, width=width, angles="xy", scale_units="xy", scale=8)
    noisy = add_noise(ring.sample(400, runtime.generator(10)), draw_normal((400, 2), runtime.generator(11)), torch.full((400,), t), table.cpu())
    axis.scatter(*noisy.T, s=2, color=plots.COLORS[2])
    axis.set(title=f"step {t} of 100", xlim=(-2.8, 2.8), ylim=(-2.8, 2.8), aspect="equal")
plots.show(figure, alt="Arrows against the noise at three times, the network's in blue on the best possible in orange, over noisy points in green. Early they point to the nearest mode, later to the ring, last to the centre; blue lies on orange where there are points.")

# %% [markdown]
# (These arrows, divided by the noise's factor $\sqrt{1 - \bar\alpha_t}$, are the *gradient of the log density* of the noisy points, the **score**: they point to where more points are. The next notebook lives on that.)
#
# ## Exercise 4 · One step back, if the picture were known · *10 minutes, medium, core*
#
# Suppose we knew $x_0$. Then $x_{t-1}$ has two witnesses: $x_0$, the clean picture, from which it is $t$ steps away, and $x_t$, one step away. By Bayes' rule $q(x_{t-1} \mid x_t, x_0)$ is again normal, and its mean, called $\tilde\mu_t$ to tell it from the model's $\mu_\theta$, is a weighted sum of both:
#
# $$ \tilde\mu_t(x_0, x_t) = \frac{\sqrt{\bar\alpha_{t-1}}\, \beta_t}{1 - \bar\alpha_t}\; x_0 + \frac{\sqrt{\alpha_t}\, (1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\; x_t, \qquad \alpha_t = \frac{\bar\alpha_t}{\bar\alpha_{t-1}}, \quad \beta_t = 1 - \alpha_t $$
#
# Before the first step stands the clean picture: $\bar\alpha_{-1} = 1$. Check by eye what the two weights are then.
#
# <details><summary>Hint</summary>
#
# Give the four numbers of the formula names first: $\bar\alpha$ now and before, $\alpha$, $\beta$. What does Python fetch at index $-1$? And the number that you need there must be one of which you can take a root (`torch.ones_like`). Nothing has to be kept away from 0: $1 - \bar\alpha_t$ never is.
# </details>

# %% nbgrader={"grade": false, "grade_id": "posterior-mean", "locked": false, "schema_version": 3, "solution": true, "task": false}
def posterior_mean(images: Tensor, noisy: Tensor, timestep: int, alphas_cumprod: Tensor) -> Tensor:
    """Mean of q(x_(t-1) | x_t, x_0), of the shape of `images`; at t = 0 the picture itself.

    Args:
        images: x_0, (batch, ...).
        noisy: x_t, of the same shape.
        timestep: t, the same for the whole batch, a plain number in [0, T).
        alphas_cumprod: (T,).
    """
    ### BEGIN SOLUTION
    now = alphas_cumprod[timestep]
    before = alphas_cumprod[timestep - 1] if timestep > 0 else torch.ones_like(now)
    alpha = now / before
    return before.sqrt() * (1 - alpha) / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "posterior-mean-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.posterior_mean(posterior_mean)
### BEGIN HIDDEN TESTS
check.posterior_mean(posterior_mean, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 5 · One step back, as the network knows it · *15 minutes, medium, core*
#
# We do not know $x_0$, but the network tells the noise, and that is the same knowledge: solve the equation of exercise 1 for $x_0$. Then
#
# 1. the picture that the network sees, $\hat x_0 = \big(x_t - \sqrt{1 - \bar\alpha_t}\; \hat\epsilon\big) / \sqrt{\bar\alpha_t}$,
# 2. your `posterior_mean` with it,
# 3. fresh noise $z$: $\; x_{t-1} = \tilde\mu_t(\hat x_0, x_t) + \sqrt{\beta_t}\; z$. But not at $t = 0$, where the picture is to come out clean.
#
# For the variance $\sigma_t^2$ of this fresh noise we take $\beta_t$, as the paper's algorithm 2 does. This is **ancestral sampling**.
#
# <details><summary>Hint</summary>
#
# For step 3 you need $\beta_t$ once more, `1 - alphas_cumprod[t] / alphas_cumprod[t - 1]`, and its root; but at $t = 0$ the index is $-1$, $\beta$ comes out negative and its root NaN, so keep all of it behind an `if`.
# </details>

# %% nbgrader={"grade": false, "grade_id": "ancestral-step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ancestral_step(predicted_noise: Tensor, noisy: Tensor, fresh_noise: Tensor, timestep: int, alphas_cumprod: Tensor) -> Tensor:
    """x_(t-1), drawn from p(x_(t-1) | x_t), of the shape of `noisy`.

    Args:
        predicted_noise: what the network sees in x_t, (batch, ...).
        noisy: x_t, of the same shape.
        fresh_noise: z, standard normal, of the same shape; not used at t = 0.
        timestep: t, a plain number in [0, T).
        alphas_cumprod: (T,).
    """
    ### BEGIN SOLUTION
    now = alphas_cumprod[timestep]
    images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
    mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
    if timestep == 0:
        return mean
    return mean + (1 - now / alphas_cumprod[timestep - 1]).sqrt() * fresh_noise
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ancestral-step-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.ancestral_step(ancestral_step)
### BEGIN HIDDEN TESTS
check.ancestral_step(ancestral_step, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Look
#
# From noise back to the ring. Below, the points on their way, and the same as an animation.


# %%
@torch.no_grad()
def backwards(
    network: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...], table: Tensor, step: Callable[..., Tensor] = ancestral_step, clip: bool = False
) -> list[Tensor]:
    """The whole way from noise of this shape to the data: T + 1 tensors on the CPU, the last of them the samples.

    Args:
        clip: no pixel can be brighter than white: correct the answer where the picture that it means would be outside of [-1, 1].
    """
    draw = runtime.generator(0)
    noisy = draw_normal(shape, draw, device)
    film = [noisy.cpu()]
    for timestep in reversed(range(len(table))):
        predicted = network(noisy, torch.full(shape[:1], timestep, device=device))
        if clip:
            signal, rate = table[timestep].sqrt(), (1 - table[timestep]).sqrt()
            predicted = (noisy - signal * ((noisy - rate * predicted) / signal).clamp(-1, 1)) / rate
        noisy = step(predicted, noisy, draw_normal(shape, draw, device), timestep, table)
        film.append(noisy.cpu())
    return film


def picture(points: Tensor, side: int = 128, reach: float = 3.0) -> Tensor:
    """Points (count, 2) as dots of 2 x 2 pixels in a picture (3, side, side) of the plane, blue on white."""
    columns, rows = ((points * torch.tensor([1, -1]) + reach) * side / (2 * reach)).long().clamp(0, side - 2).T
    canvas = torch.ones(3, side, side)
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        canvas[:, rows + down, columns + right] = torch.tensor([[-1.0], [-0.1], [0.4]])
    return canvas


def show_animation(pictures: Tensor, alt: str) -> None:
    """Pictures (frames, 3, height, width) in [-1, 1] as an animated GIF, shown large."""
    frames = [Image.fromarray(frame).quantize(16) for frame in plots.to_display(pictures)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=[60] * (len(frames) - 1) + [2_000], loop=0)
    display(HTML(f'<img alt="{alt}" width="384" src="data:image/gif;base64,{base64.b64encode(file.getvalue()).decode()}">'))


film = backwards(points, (2_000, 2), table)
chosen = [0, 30, 50, 60, 70, 80, 90, 100]
plots.show(
    plots.image_grid(torch.stack([picture(film[moment][:600]) for moment in chosen]), columns=8, padding=4, zoom=2.0, title="After " + ", ".join(map(str, chosen)) + " steps back"),
    alt="Eight pictures of the plane: a round cloud of points opens into a ring, the ring breaks into eight heaps, and the heaps draw together.",
)
show_animation(
    torch.stack([picture(points_then[:600]) for points_then in film[::2]]),
    "The same as an animation: a round cloud opens into a ring and gathers in eight heaps.",
)

# %% [markdown]
# Counted as in chapter 2: a sample is *good* within three standard deviations of its nearest mode, and a mode is covered if it has a good sample. The chain with the best possible network shows what is lost to the 100 steps, the ceiling is the data themselves.


# %%
def coverage_row(name: str, samples: Tensor) -> dict:
    """Modes covered, share of good samples, and how wide the samples lie around their modes, the data's width being 1."""
    modes, good = gan.mode_coverage(samples, ring)
    offsets = (samples[:, None] - samples.new_tensor(ring.means))[torch.arange(len(samples)), torch.cdist(samples, samples.new_tensor(ring.means)).argmin(dim=1)]
    return {"samples": name, "modes covered": f"{modes} of 8", "good": good, "width": offsets.abs().median().item() / (0.6745 * ring.std)}


rows = [
    coverage_row("chance: the noise it began with", film[0]),
    coverage_row("yours", film[-1]),
    coverage_row("same chain, best possible network", backwards(best, (2_000, 2), table)[-1]),
    coverage_row("ceiling: the data", ring.sample(2_000, runtime.generator(12))),
]
plots.table(rows, caption="2,000 samples each; width: median distance from the mode in x and y, as a share of the data's")
if runtime.scale_name() != "smoke":
    assert rows[1]["modes covered"] == "8 of 8" and rows[1]["good"] > 0.8, "all modes, and few points between them"

# %% [markdown]
# All modes, after one straight training. There is no game here, and nothing circles: the loss is a mean over the *data*, so a mode that the network forgot would cost it at once.
#
# ## Break it: the wrong noise
#
# Your step with other fresh noise. Handed zeros in place of $z$, `ancestral_step` gives the mean; then we add what we like.


# %%
def step_with(std: Callable[[Tensor, Tensor], Tensor], at_the_end: bool = False) -> Callable[..., Tensor]:
    """Your step with another standard deviation, a function of alphas_cumprod now and before."""

    def step(predicted: Tensor, noisy: Tensor, fresh: Tensor, timestep: int, table: Tensor) -> Tensor:
        mean = ancestral_step(predicted, noisy, torch.zeros_like(noisy), timestep, table)
        before = table[timestep - 1] if timestep > 0 else torch.ones_like(table[0])
        return mean + std(table[timestep], before) * fresh if timestep > 0 or at_the_end else mean

    return step


spoiled = {
    "sqrt(β), exercise 5": ancestral_step,
    "none": step_with(lambda now, before: torch.zeros_like(now)),
    "β, not its root": step_with(lambda now, before: 1 - now / before),
    "sqrt(2 β)": step_with(lambda now, before: (2 * (1 - now / before)).sqrt()),
    "also at the last step": step_with(lambda now, before: (1 - now / before).sqrt(), at_the_end=True),
    "the posterior's own": step_with(lambda now, before: ((1 - now / before) * (1 - before) / (1 - now)).sqrt()),
}
ends = {name: backwards(points, (2_000, 2), table, step)[-1] for name, step in spoiled.items()}
figure, axes = plots.figure(1, 1 + len(ends), width=11.0, height=2.4)
for axis, (name, end) in zip(axes[0], {"the data": ring.sample(2_000, runtime.generator(12)), **ends}.items(), strict=True):
    axis.scatter(*end.T, s=1, color=plots.COLORS[0], linewidths=0)
    axis.set(title=name, xlim=(0.9, 2.5), ylim=(-0.5, 1.9), aspect="equal", xticks=[], yticks=[])
    axis.title.set_fontsize(8)
plots.show(figure, alt="Two of the eight modes, in seven panels: the data, and samples with other fresh noise. With that of exercise 5 they are as wide as the data; without noise, or with too little, they shrink to dots; with twice the variance they are too wide, with noise at the last step a little, with the posterior's own variance a little too narrow.")
broken_rows = [coverage_row(name, end) for name, end in ends.items()]
plots.table(broken_rows, caption="Samples by the fresh noise that was added")
if runtime.scale_name() != "smoke":
    widths = {row["samples"]: row["width"] for row in broken_rows}
    right = widths["sqrt(β), exercise 5"]
    assert widths["none"] < 0.8 * right and widths["sqrt(2 β)"] > 1.2 * right, "the width should follow the noise"
for steps_in_all in (20, 100, 1000):
    last = (1 - cosine_schedule(steps_in_all)[0]).sqrt().item()
    print(f"noise of the last step in a chain of {steps_in_all:>4}: {last:.3f}, {last * 127.5:.1f} of 255 grey levels")

# %% [markdown]
# Without fresh noise each step goes to the *mean*, and the mean of several possible pictures is none of them; the samples are too much alike. With too much noise, steps cannot clean up any more. Noise at the last step is a well-known mistake in published code. In a long chain it is so little that nobody sees it;
# in a short one it is grain.
#
# The last panel is the paper's other choice, the variance of $q(x_{t-1} \mid x_t, x_0)$ itself, $\tilde\beta_t = \beta_t (1 - \bar\alpha_{t-1}) / (1 - \bar\alpha_t)$. It is right if the data are one point, $\beta_t$ if they are standard normal; the truth lies between; with very many steps both agree. (Samples that are too narrow all count as *good*: that is why the width stands beside.)
#
# ## Train, on pictures
#
# The same functions, real handwritten digits of 16 by 16 pixels, 200 steps, and a **U-Net** in place of the fully connected network: it halves the picture, works at both sizes, doubles it again, and what it saw at each size on the way down is handed over to the way up. (To save time it folds squares of 2 by 2 pixels
# into channels first.)

# %%
digit_table = cosine_schedule(200).to(device)
runtime.seed_everything(2)
unet = UNet(UNetConfig(in_channels=1, out_channels=1, image_size=16, widths=(32, 64), num_blocks=1, attention_levels=(1,), unshuffle=2, num_groups=8))
history = training.cached(
    "01_ddpm/digits",
    lambda: training.fit(denoising(unet, digit_table), loader(Digits("train", 16), 64), scale(smoke=3, cpu=800, gpu=8_000), schedule="cosine"),
    unet, uses=(denoising, diffusion_loss, add_noise, cosine_schedule),
)  # fmt: skip
held_out = torch.cat([Digits(split, 16).images for split in ("validation", "test")])[: scale(smoke=40, cpu=358, gpu=358)]
film = backwards(unet, tuple(held_out.shape), digit_table, clip=True)
drawn = film[-1].clamp(-1, 1)
chosen = [0, 60, 100, 120, 140, 150, 160, 170, 180, 190, 195, 200]
plots.show(
    plots.image_grid(torch.stack([film[moment][:5] for moment in chosen], dim=1).flatten(0, 1).clamp(-1, 1), columns=len(chosen), title="After " + ", ".join(map(str, chosen)) + " steps back"),
    alt="Five rows of twelve pictures: noise at the left, in which strokes of a digit appear after about two thirds of the steps and become clean.",
)
plots.show(
    plots.image_grid({"real": held_out[:36], "drawn": drawn[:36]}, columns=18),
    alt="Two rows of real handwritten digits and two of drawn ones, which look much alike.",
)

# %% [markdown]
# ## Measure
#
# The measures of chapter 2, on the 8 by 8 pixels that the originals have:
#
# - **distance**: the Fréchet distance between normal distributions fitted to both sets of pictures. Its floor is not 0: two sets of *real* digits differ as well, by chance,
# - **precision**: the share of samples that lie among the real ones; **recall**: the share of real ones that lie among the samples,
# - **kinds**: how many digits are drawn, counted by the entropy of a classifier's readings: 10 if all equally often,
# - **nearness**: distance to the nearest *training* digit, as a share of that of held-out digits. Well below 1 would mean copying.

# %%
reader, train_digits = DigitReader(), Digits("train", 16).images


def features(images: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(images, 8).flatten(1)  # (batch, 1, 16, 16) -> (batch, 64)


def digit_row(name: str, images: Tensor) -> dict:
    """How `images` compare with held-out digits."""
    shares = torch.bincount(reader.read(images), minlength=10) / len(images)
    found = precision_recall(features(held_out), features(images))
    return {"pictures": name, "distance": frechet_distance(features(images), features(held_out)), "precision": found.precision, "recall": found.recall,
            "kinds": torch.special.entr(shares).sum().exp().item(), "nearness": memorisation(features(images), features(train_digits), features(held_out)).ratio}  # fmt: skip


others = train_digits[torch.randperm(len(train_digits), generator=runtime.generator(19))[: len(held_out)]]
digit_rows = [
    digit_row("chance: noise", 2 * torch.rand(held_out.shape, generator=runtime.generator(13)) - 1),
    digit_row("yours", drawn),
    digit_row("floor and ceiling: real digits", others) | {"nearness": 1.0},
]
plots.table(digit_rows, caption=f"{len(held_out)} pictures of each, against as many held-out digits (nearness of the last row: the held-out digits themselves)")
if runtime.scale_name() != "smoke":
    assert digit_rows[1]["distance"] < 0.1 * digit_rows[0]["distance"], "samples should be far nearer to digits than noise is"
    assert digit_rows[1]["precision"] > 0.5 and digit_rows[1]["recall"] > 0.5 and digit_rows[1]["kinds"] > 8, "samples should look like digits, of all kinds"

# %% [markdown]
# The distance comes near its floor, nothing is copied, and far more of the real digits lie among these samples than among those of the GANs (the table of chapter 2, notebook 1, has the same measures).
#
# And a GAN has no likelihood. A diffusion model has a bound on it, like the VAE: the sum over all steps of the KL from above, and for the last step the probability that it gives to each pixel's grey level, one of 256. Told in **bits per dimension**, it is what a file of the picture would cost per pixel if the model were used for compression.
# A step's share:

# %%
chain = GaussianDiffusion(DiffusionConfig(200, variance_type="fixed_large", clip_sample=True)).to(device)  # your chain, with the bound's formulas
stored = recipes.as_stored(held_out[: scale(smoke=4, cpu=64, gpu=358)])  # rounded to 256 grey levels
bound = chain.bits_per_dimension(unet, stored.to(device), generator=runtime.generator(14))
by_step = bound.steps.mean(dim=1).cpu()
figure, axes = plots.figure(1, 2, width=8.0, height=2.6)
axes[0, 0].semilogy(by_step, color=plots.COLORS[0])
axes[0, 0].set(xlabel="step", ylabel="bits per dimension")
axes[0, 1].plot(by_step.cumsum(0) / by_step.sum(), color=plots.COLORS[0])
axes[0, 1].set(xlabel="step", ylabel="share of all bits up to here", ylim=(0, 1.03))
plots.show(figure, alt="Left, the bits of each step on a logarithmic scale, falling by several orders of magnitude over the first steps. Right, their running share: most bits belong to the first tenth of the steps.")
whole = bound.total.mean().item()
print(f"bits per dimension: {whole:.2f}, of these {by_step[0]:.2f} in the first step and {bound.prior.mean():.4f} at the noisy end")
print(f"beside it: 8 for grey levels drawn evenly, {recipes.constant_bits(train_digits, stored):.2f} for the mean digit with one standard deviation")
if runtime.scale_name() != "smoke":
    assert whole < recipes.constant_bits(train_digits, stored), "the model should know more than the mean digit"

# %% [markdown]
# Most bits are paid in the first few steps, for differences of a few grey levels, which nobody sees. What makes a 3 a 3 is decided in steps that cost next to nothing. The bound weighs the two as they are; the plain loss of exercise 3 weighs the late steps far more than the bound does. In the paper (table 2) its pictures are better for that, and its likelihood is worse.
#
# ## Break it: a schedule in a hurry
#
# Three schedules on 16 by 16 pixels, equally long trainings, three seeds each. In addition the first fifth of the way back is left out: the rest starts from pure noise all the same. If nothing is lost by that, these steps were of no use. (The distance is that of *Measure*; the third schedule, the sigmoid, is much like the cosine.)

# %%
rows = training.results(ddpm_experiments.SCHEDULES)
plots.show(
    ddpm_experiments.SCHEDULES.figure(rows),
    alt="Left, distance of digits for three schedules, by the whole chain and without its first fifth. Right, bits per dimension for the three schedules.",
)
verdict = ddpm_experiments.SCHEDULES.verdict(rows)
print(f"The lecture's claim: {verdict.verdict}: {verdict.why}")

# %% [markdown]
# With the linear schedule nothing is lost: a fifth of its chain was of no use. The other two need theirs. By the *whole* chain, though, all three draw digits about equally well; what differs is the bits. So the lecture is right in part: the schedule decides which steps do some work and what the likelihood is, while samples as
# good came of all of them here.
#
# ## Noise, picture, or velocity?
#
# The lecture says: estimate either the clean image or the noise. Since $x_t$ is known, each gives the other. But errors do not carry over equally. At high noise, $\hat x_0 = (x_t - \sqrt{1 - \bar\alpha_t}\, \hat\epsilon) / \sqrt{\bar\alpha_t}$ divides a small error of the noise by nearly 0; at low noise it is the other way round.
# The **velocity** is meant to be good at both ends:
#
# $$ v = \sqrt{\bar\alpha_t}\; \epsilon - \sqrt{1 - \bar\alpha_t}\; x_0 $$
#
# It is the noise at the clean end, and (minus) the picture at the noisy end. The experiment trains all three equally long, on points and on digits drawn to order:

# %%
rows = training.results(ddpm_experiments.PARAMETERISATIONS)
plots.show(
    ddpm_experiments.PARAMETERISATIONS.figure(rows),
    alt="Left, error of the clean point that a network sees over the steps, for networks that answer with noise, picture and velocity. Middle, share of digits that are read as asked for. Right, distance of digits.",
)
verdict = ddpm_experiments.PARAMETERISATIONS.verdict(rows)
print(f"The lecture's claim: {verdict.verdict}: {verdict.why}")

# %% [markdown]
# At the left, the noise is by far the worst answer at high noise, the picture at low noise, and the velocity is low at both ends. Samples need not follow. Noise and velocity end about equally well: errors at high noise come early on the way back, and later steps can still mend them. The picture's come at the end of the way,
# where nothing can: on the ring's narrow modes it fails, and its digits lie further from real ones, though they are read as asked for. "Either the image or the noise" is true in part, then: each *can* be computed from the other, but they are not learned equally well.
#
# ## Look: 32 by 32 pixels, in colour
#
# The reference of the first figure answers with the velocity. It was trained on scenes of one object, and is told the *class*, shape and colour, along with the time. What does it see in a noisy picture? Move the time. Without the class it is told only the noisy picture. (Without widgets: the figure below shows the same.)


# %%
@torch.no_grad()
def seen(scene: int, time: int, told_the_class: bool) -> Tensor:
    """A held-out scene, the same at a time, and the picture that the reference sees in that: (3, 3, 32, 32)."""
    clean = scenes["image"][scene : scene + 1]
    noisy = add_noise(clean, draw_normal(clean.shape, runtime.generator(15)), torch.tensor([time]), process.alphas_cumprod.cpu())
    known = (scenes["label"][scene : scene + 1].to(device),) if told_the_class else ()
    (level,) = process.path([time])[:-1]
    guess = process.denoiser(reference, *known)(noisy.to(device), level).images.cpu()
    return torch.cat([clean, noisy.clamp(-1, 1), guess])


widgets.explorer(
    seen, alt="a scene, what is left of it at that time, and the picture that the network sees in that", columns=3, zoom=5,
    scene=(0, 30, 3), time=(0, 999, 700), told_the_class=False,
)  # fmt: skip

# %%
few_times = (100, 300, 500, 600, 700, 800, 900, 990)
plots.show(
    plots.image_grid(
        {
            "noisy": torch.cat([seen(3, time, False)[1:2] for time in few_times]),
            "seen without\nthe class": torch.cat([seen(3, time, False)[2:] for time in few_times]),
            "seen with\nthe class": torch.cat([seen(3, time, True)[2:] for time in few_times]),
        },
        columns=len(few_times), title="Steps " + ", ".join(map(str, few_times)),
    ),
    alt="A scene at eight times, noisier from left to right. Below, the picture that the network sees: sharp at low noise, a blur at high noise, and last the mean of all scenes. Told the class, it keeps colour and shape longer.",
)  # fmt: skip

# %% [markdown]
# In one jump from high noise the network can only say the *mean* of all pictures that fit: a blur. That is the VAE's blur. But only a small step is taken towards it, and then it is asked anew, about a picture with less noise, that fewer pictures fit.
#
# Faces, beside the two models of chapter 2 that were trained on the same ones:

# %%
vae, dcgan, ddpm = (training.load(recipe) for recipe in (VAE_FACES, DCGAN_FACES, recipes.DDPM_FACES))
plots.show(
    plots.image_grid(
        {
            "real": faces("test", 14)["image"],
            "VAE": vae.sample(14, runtime.generator(16)).cpu(),
            "DCGAN": dcgan.sample(14, runtime.generator(16)).cpu(),
            "DDPM": recipes.drawn(ddpm, 14, runtime.generator(16)),
        },
        columns=14,
    ),
    alt="Rows of real faces, of samples of the VAE, which are soft, of the DCGAN, sharp with errors in detail, and of the DDPM.",
)

# %%
# NBVAL_CHECK_OUTPUT
names = ("judge_frechet", "coverage", "recall", "sharpness", "readable", "distance_to_training_ratio")
cards = {recipe.name: training.read_card(recipe) for recipe in (VAE_FACES, DCGAN_FACES, recipes.DDPM_FACES)}
columns = {name: card["metrics"] for name, card in cards.items()} | {"other real faces": cards["ddpm-faces"]["ceiling"]}
print(f"{cards['ddpm-faces']['samples']} faces each".ljust(28), *(f"{name:>18}" for name in columns))
for name in names:
    print(name.ljust(28), *(f"{values[name]:>18.3g}" for values in columns.values()))
print("parameters".ljust(28), *(f"{card['parameters']:>18,}" for card in cards.values()))
for recipe in (recipes.DDPM_SCENES, recipes.DDPM_FACES):
    card = training.read_card(recipe)
    print(f"{recipe.name}, {card['samples']} samples")
    for name, value in card["metrics"].items():
        beside = [f"{kind} {card[kind][name]:.3g}" for kind in ("chance", "ceiling") if name in card[kind]]
        print(f"  {name} {value:.3g}", f"({', '.join(beside)})" if beside else "")

# %% [markdown]
# `judge_frechet` is the Fréchet distance in features of the course's judge, and the ceiling's is the floor. The DDPM reaches a little more of the real faces than the GAN (coverage), and yet lies further from them: after half an hour on one core its faces are soft (sharpness), where the GAN's have hard edges and broken details. Neither is beyond doubt in all details (readable). What the table does not show is the price: the VAE and the GAN draw a face in one pass through their network, the DDPM in 25, and by the full chain in a thousand. The next notebook is about that, and about asking for a class more firmly.
#
# ## The real thing
#
# Google's model of CIFAR-10 (small photographs), of the first paper, loads into our `UNet`, with all of its 35.7 million parameters. Its schedule is the linear one, it answers with the noise, and your table of $\bar\alpha_t$ and your step would do. With a network, this fetches it and draws eight pictures; without, it says so.

# %%
from course_utils.hub import OfflineError

try:
    published = UNet.from_hub("google/ddpm-cifar10-32").to(device)
    original = GaussianDiffusion(DiffusionConfig(1000, "linear", clip_sample=True)).to(device)
    path = original.path(inference_timesteps(1000, scale(smoke=2, cpu=50, gpu=1000)))
    noise = draw_normal((scale(smoke=1, cpu=8, gpu=64), 3, 32, 32), runtime.generator(17), device)
    photographs = sample(original.denoiser(published), Ancestral(), noise, path, runtime.generator(18)).clamp(-1, 1).cpu()
    plots.show(plots.image_grid(photographs, zoom=2), alt="Small photographs of animals and vehicles that do not exist, drawn by the published model.")
except OfflineError as error:
    print(f"No network, so no published weights here ({str(error).split(':')[0]}).")

# %% [markdown]
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-steps", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** The network can be asked at $t = T - 1$ for the clean picture, in one pass. Why is what it says no sample, however well it is trained, and why do many small steps with the *same* network lead to one?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# The squared error makes it say the mean of all pictures that fit the noisy one, and nearly pure noise fits all of them: it says the mean picture, a blur. A small step moves only a little towards this mean, and the fresh noise makes a choice; then fewer pictures fit, and their mean
# is sharper. In the end only one fits. Each step's true distribution is nearly normal, so a mean and a variance describe it; that of one big step has as many modes as the data.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-modes", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** A GAN's generator may give up a mode and be hardly punished. What would it cost a diffusion model never to draw points of one of the eight modes? At which times would its loss tell?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# The loss is a mean over the data, an eighth of which lies at that mode. A network that does not know it would take each of their noisy points for one of another mode and name a wrong noise, so its loss would be clearly above the best possible one. It would tell at middle times: at low noise the noisy points
# lie at the mode itself, where the network is trained as well; at high noise the modes cannot be told apart anyway, and forgetting one moves the mean only a little.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-weights", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **3.** You are to compress pictures with a diffusion model, and a colleague wants to print posters with one. Who should train with the bound's own weights for the steps, and who with the plain loss of exercise 3? What does the figure of bits by step say about it?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# For compression the bound is just what a file costs, so it should be minimised as it is. It puts nearly all of its weight on the first steps, on differences of a grey level that nobody sees. For posters these are not worth the network's attention: the plain loss weighs all steps alike, and so more of it goes to
# the noisier steps, in which shapes and colours are decided.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Murphy, *Probabilistic Machine Learning: Advanced Topics*, MIT Press 2023, chapter 25.
# - Luo, *Understanding diffusion models: a unified perspective*, 2022: the bound, step by step.
# - Karras et al., *Elucidating the design space of diffusion-based generative models*, NeurIPS 2022: what of all this is choice, and what is necessary.
