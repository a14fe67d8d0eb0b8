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
# # Sampling and guidance: the same network, in few steps and to order
#
# | | |
# |---|---|
# | **Time** | 90 minutes of work, 40 of them core exercises, 25 optional ones; the code runs in about 1 minute on a laptop's CPU |
# | **You need** | notebook 1 of this chapter: $\bar\alpha_t$, the noise that a network sees, the ancestral step; gradients by autograd |
# | **Builds on** | the ring of chapter 2, notebook 1, as data; nothing that you wrote before |
# | **Code** | `course_utils/diffusion/samplers.py`, `guidance.py`, `score.py`, `sampling_experiments.py` |
# | **Papers** | Song, Meng and Ermon, *Denoising diffusion implicit models*, ICLR 2021 · Song et al., *Score-based generative modeling through stochastic differential equations*, ICLR 2021 · Dhariwal and Nichol, *Diffusion models beat GANs on image synthesis*, NeurIPS 2021 · Ho and Salimans, *Classifier-free diffusion guidance*, 2022 · Karras et al., *Elucidating the design space*, NeurIPS 2022 · Lu et al., *DPM-Solver++*, 2022 · Lugmayr et al., *RePaint*, CVPR 2022 · Lin et al., *Common diffusion noise schedules and sample steps are flawed*, WACV 2024 |
#
# The chain of the last notebook asks its network a thousand times for one picture. It need not. Below, each row starts from one noise and asks for one class (with guidance, see exercise 2), in 1, 2, 3, 5, 10 and 25 steps, from left to right. By the end you will have written the step that does it,
# the trick that makes a picture follow its label, and one that fills in hidden parts. All with one network, trained as in the last notebook; only that in training a tenth of the labels was hidden from it.

# %%
import base64
import io
from itertools import pairwise
from statistics import fmean

import torch
import torch.nn.functional as F
from IPython.display import HTML, display
from PIL import Image
from torch import Tensor

from course_utils import plots, runtime, scale, training, widgets
from course_utils.autoencoders.recipes import labels_of_training, single_objects
from course_utils.checks import diffusion as check
from course_utils.data.scenes import COLORS, NUM_CLASSES, SHAPES
from course_utils.diffusion import (
    DDIM,
    Ancestral,
    DiffusionConfig,
    DPMSolver,
    Euler,
    GaussianDiffusion,
    Heun,
    UNet,
    inference_timesteps,
    recipes,
    sample,
    score,
)
from course_utils.diffusion import sampling_experiments as studies
from course_utils.diffusion.ddpm import predict
from course_utils.gans import gan
from course_utils.layers import draw_normal

device = runtime.device()
runtime.seed_everything(0)

reference = training.load(recipes.DDPM_SCENES)  # shipped with the course: scenes of one object, to order
process = recipes.process()
asked = torch.tensor([SHAPES.index(shape) * len(COLORS) + COLORS.index(color) for color, shape in (
    ("red", "circle"), ("blue", "star"), ("pink", "heart"), ("green", "triangle"), ("black", "cross"), ("cyan", "square"))])  # fmt: skip
few = (1, 2, 3, 5, 10, 25)
pictures = [studies.drawn(reference, DDIM(), scale(smoke=min(passes, 3), cpu=passes, gpu=passes), 3, asked, guidance_scale=2) for passes in few]
plots.show(
    plots.image_grid(torch.stack(pictures, dim=1).flatten(0, 1), columns=len(few), title="Steps: " + ", ".join(map(str, few))),
    alt="Six rows of six pictures. With one pass a grey blur with a faint spot in each of four places, with two or three passes one object or several small ones, from five passes on one clean object: a red circle, a blue star, a pink heart, a green triangle, a black cross, a cyan square. Between 5 and 25 passes at most size and ground still change.",
)

# %% [markdown]
# ## The idea
#
# At step $t$ the network sees in $x_t$ a noise $\hat\epsilon$, and with it a picture. (We write $a_t$ for `alphas_cumprod[t]`, which was $\bar\alpha_t$.)
#
# $$ x_t = \sqrt{a_t}\; \hat x_0 + \sqrt{1 - a_t}\; \hat\epsilon \qquad \Longrightarrow \qquad \hat x_0 = \frac{x_t - \sqrt{1 - a_t}\; \hat\epsilon}{\sqrt{a_t}} $$
#
# The ancestral step kept only a part of $\hat\epsilon$ and drew fresh noise. Song, Meng and Ermon ask: why? In training the network saw single noisy pictures, never two steps of one chain. So only the distribution of $x_s$ at each single level $s$ has to be right; how $x_s$ hangs together with $x_t$ is free. The simplest choice: take the picture and the noise that the network
# sees, and mix them anew, with less noise:
#
# $$ x_s = \sqrt{a_s}\; \hat x_0 + \sqrt{1 - a_s}\; \hat\epsilon, \qquad s < t $$
#
# Nothing here asks that $s$ be $t - 1$. And nothing is random any more: one noise leads to one picture. This is **DDIM**.
#
# Between the two lies a family. Let a part of the noise be fresh, $z \sim \mathcal N(0, I)$, and keep so much less of the old one that the variances still add up to $1 - a_s$:
#
# $$ x_s = \sqrt{a_s}\; \hat x_0 + \sqrt{1 - a_s - \sigma^2}\; \hat\epsilon + \sigma z, \qquad \sigma^2 = \eta^2\, \frac{1 - a_s}{1 - a_t} \left(1 - \frac{a_t}{a_s}\right) $$
#
# - $\eta \in [0, 1]$, in code `eta`: 0 is DDIM; with 1, $\sigma^2$ is the variance of $q(x_s \mid x_t, x_0)$, the posterior of notebook 1, for steps of any length ($1 - a_t / a_s$ is what $\beta_t$ was for one step), and the step is the ancestral one. It is the smaller of that step's two variances; the larger one leaves the first fraction out.
#
# ## Exercise 1 · A step of any length · *15 minutes, medium, core*
#
# From $x_t$ at `timestep` to $x_s$ at `next_timestep`. With ten steps of a thousand, for instance, the network is asked at 999, 899, …, 99 (`inference_timesteps(1000, 10)`). The last step ends at the clean picture, which has no entry in the table: it is asked for as `next_timestep` $-1$, and $a_{-1} = 1$. (Timestep 0 is not clean; it is the least noisy entry.)
#
# <details><summary>Hint</summary>
#
# In a tensor the index -1 fetches the last entry, the noisiest. `torch.ones_like(now)` is a 1 of the right type.
# </details>
#
# *Stuck? Set `ddim_step = check.ddim_step.reference` and go on. The same works for `keep_known` below.*

# %% nbgrader={"grade": false, "grade_id": "ddim-step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ddim_step(
    predicted_noise: Tensor, noisy: Tensor, fresh_noise: Tensor, timestep: int, next_timestep: int, alphas_cumprod: Tensor, eta: float = 0.0
) -> Tensor:
    """x at `next_timestep`, of the shape of `noisy`.

    Args:
        predicted_noise: what the network sees in x_t, (batch, ...).
        noisy: x_t, of the same shape.
        fresh_noise: z, standard normal, of the same shape.
        timestep: t, a plain number in [0, T).
        next_timestep: s, a plain number below t, or -1 for the clean picture.
        alphas_cumprod: (T,).
        eta: the fresh noise's standard deviation, as a share of the posterior's.
    """
    ### BEGIN SOLUTION
    now = alphas_cumprod[timestep]
    after = alphas_cumprod[next_timestep] if next_timestep >= 0 else torch.ones_like(now)
    images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
    variance = eta**2 * (1 - after) / (1 - now) * (1 - now / after)
    return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ddim-step-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.ddim_step(ddim_step)
### BEGIN HIDDEN TESTS
check.ddim_step(ddim_step, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Look: paths in the plane
#
# First where the right answer is known. For points on the ring of eight Gaussians the best possible denoiser has a formula (`score.mixture_denoiser`), so nothing has to be trained, and what we see is due to the *sampler* alone. Some points on their way from the noise, by your step:


# %%
ring = gan.ring(std=0.1)
exact = score.mixture_denoiser(ring)  # (points, level) -> the point and the noise that are behind them, on average
plane = GaussianDiffusion(DiffusionConfig(1000))
table = plane.alphas_cumprod


def noise_on_the_ring(noisy: Tensor, timestep: int) -> Tensor:
    """The noise that the best possible network sees in points (batch, 2)."""
    return exact(noisy, plane.path([timestep])[0]).noise


@torch.no_grad()
def walk(noise_seen, noisy: Tensor, passes: int, table: Tensor, eta: float = 0.0) -> list[Tensor]:
    """The way from noise to data by your step, in so many passes: passes + 1 tensors, the last of them the samples."""
    draw, film = runtime.generator(1), [noisy]
    for timestep, next_timestep in pairwise([*inference_timesteps(len(table), passes), -1]):
        fresh = draw_normal(noisy.shape, draw, noisy.device)
        noisy = ddim_step(noise_seen(noisy, timestep), noisy, fresh, timestep, next_timestep, table, eta)
        film.append(noisy)
    return film


start = draw_normal((600, 2), runtime.generator(2))  # `torch.randn` that comes out alike on every device
ways = {"100 passes, eta 0": (100, 0.0), "10 passes, eta 0": (10, 0.0), "100 passes, eta 1": (100, 1.0)}
films = {name: walk(noise_on_the_ring, start, passes, table, eta) for name, (passes, eta) in ways.items()}
figure, axes = plots.figure(1, 3, width=9.6, height=3.3)
for axis, (name, film), shown in zip(axes[0], films.items(), (16, 16, 3), strict=True):
    axis.scatter(*ring.sample(800, runtime.generator(3)).T, s=2, color=plots.COLORS[4], alpha=0.4, linewidths=0)
    for path in torch.stack(film, dim=1)[:shown]:
        axis.plot(*path.T, color=plots.COLORS[0], linewidth=0.8)
    axis.scatter(*film[0][:shown].T, s=10, color=plots.COLORS[6], zorder=3)
    axis.scatter(*film[-1][:shown].T, s=10, color=plots.COLORS[1], zorder=3)
    axis.set(title=name, xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal")
plots.show(figure, alt="Paths of points from noise, black, to the ring, red. With eta 0 they are smooth curves that end on the modes; in ten passes nearly the same curves with corners; with eta 1 three of the points tremble all the way.")


# %%
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
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=[80] * (len(frames) - 1) + [2_000], loop=0)
    display(HTML(f'<img alt="{alt}" width="640" src="data:image/gif;base64,{base64.b64encode(file.getvalue()).decode()}">'))


show_animation(
    torch.stack([torch.cat([picture(films[name][moment]) for name in ("100 passes, eta 0", "100 passes, eta 1")], dim=2) for moment in range(0, 101, 2)]),
    "Two clouds of points side by side become the ring with its eight heaps: at the left, with eta 0, each point glides on a smooth path; at the right, with eta 1, all points tremble until near the end.",
)

# %% [markdown]
# Left $\eta = 0$, right $\eta = 1$. Both end in the same distribution, by other ways.
#
# The smooth paths are solutions of a **differential equation**. Divide by $\sqrt{a}$: $y = x / \sqrt a = \hat x_0 + \varsigma\, \hat\epsilon$ with $\varsigma = \sqrt{(1 - a)/a}$, noise to signal. DDIM changes $\varsigma$ and nothing else: $y_t = \hat x_0 + \varsigma_t\, \hat\epsilon$ becomes $y_s = \hat x_0 + \varsigma_s\, \hat\epsilon$, and the difference of the two is
#
# $$ y_s = y_t + (\varsigma_s - \varsigma_t)\; \hat\epsilon \qquad \text{or, for ever smaller steps,} \qquad \frac{\mathrm d y}{\mathrm d \varsigma} = \hat\epsilon(y, \varsigma) $$
#
# So DDIM is **Euler's method**: follow the slope at the beginning of the step. Through each point goes one path, so it can be walked in both directions, and paths that start close stay close for a while. Whoever knows better methods may use them. **Heun** goes to the end of the step, asks for the slope there too, goes back, and follows the mean of both: two passes a
# step (in 5 passes three steps, as the last is a plain one). **DPM-Solver++ (2M)** draws a line through the pictures $\hat x_0$ of this step and the last, and uses the one half a step ahead: one pass. (2M: second order, multistep.)
# First: are the points good?

# %%
samplers = {
    "ancestral, larger variance": Ancestral("fixed_large"),  # beta, as in notebook 1
    "ancestral": Ancestral(), "DDIM, eta 1": DDIM(1.0), "DDIM": DDIM(), "Euler": Euler(), "Heun": Heun(), "DPM-Solver++": DPMSolver(),
}  # fmt: skip
budgets = (5, 10, 25, 50, 100)


def by(sampler, passes: int, data: gan.GaussianMixture = ring) -> Tensor:
    """The 600 points at the end, by one of the course's samplers, in so many passes, with the best possible denoiser of `data`."""
    return sample(score.mixture_denoiser(data), sampler, start, studies.path_of(plane, sampler, passes), runtime.generator(1))


ends = {name: {passes: by(sampler, passes) for passes in budgets} for name, sampler in samplers.items()}
real = gan.mode_coverage(ring.sample(600, runtime.generator(4)), ring).good_share
plots.table(
    [{"sampler": name} | {f"{passes} passes": gan.mode_coverage(of[passes], ring).good_share for passes in budgets} for name, of in ends.items()]
    + [{"sampler": "the data themselves"} | {f"{passes} passes": real for passes in budgets}],
    caption="Share of good points: within three standard deviations of a mode",
)

# %% [markdown]
# (More good points than the data have is no better: the heaps are too narrow then. Few steps are hardest on Heun, who has only half as many. The larger variance adds more noise than was there.) And how far are they from the true end of their path? That is found by Heun in 999 steps. Here with wider modes:

# %%
wide = gan.ring(std=0.3)
truth = sample(score.mixture_denoiser(wide), Heun(), start, plane.path(inference_timesteps(1000, 999)))
errors = {name: [(by(samplers[name], passes, wide) - truth).norm(dim=1).median().item() for passes in budgets] for name in ("DDIM", "Heun", "DPM-Solver++")}
figure, axes = plots.figure(width=5.6, height=2.9)
for color, (name, values) in zip(plots.COLORS, errors.items(), strict=False):
    axes[0, 0].plot(budgets, values, color=color, marker="o", label=name)
axes[0, 0].set(xscale="log", yscale="log", xlabel="passes", ylabel="distance from the true end, median")
axes[0, 0].set_xticks(budgets, [str(passes) for passes in budgets])
axes[0, 0].minorticks_off()
axes[0, 0].legend(frameon=False)
plots.show(figure, alt="Distance from the true end of the path against passes, both axes logarithmic: DPM-Solver++ is nearest throughout and falls fastest; Heun starts where DDIM does and then falls faster than it.")
assert errors["DPM-Solver++"][2] < errors["Heun"][2] < errors["DDIM"][2], "with 25 passes the better methods should be nearer to the truth"

# %% [markdown]
# In theory twice the passes halve the error of Euler's method, and quarter that of the others, once the steps are short beside the bends of the path. The narrower the modes, the sharper the bends: with `std=0.1`, 25 passes are not yet enough for the better methods to be better. (Try it, without the `assert`.)
#
# Two rows of the table above stand there twice, under two names each. Are they really the same? And does *your* step give what the course's does?

# %%
# NBVAL_CHECK_OUTPUT
yours = walk(noise_on_the_ring, start, 25, table)[-1]
for one, other, gap in (
    ("DDIM", "Euler", ends["DDIM"][25] - ends["Euler"][25]),
    ("DDIM with eta 1", "ancestral", ends["DDIM, eta 1"][25] - ends["ancestral"][25]),
    ("your DDIM", "the course's", yours - ends["DDIM"][25]),
):
    print(f"{one} and {other}, the largest difference of 600 points: {gap.abs().max().item():.2f}")
    assert gap.abs().max() < 0.005, f"{one} and {other} should lead to the same points"

# %% [markdown]
# ## Trained already: the network of scenes
#
# On the plane the denoiser was perfect. A trained network errs, and its errors add up along the way; fresh noise can wash them out again, since it replaces a part of what the errors have spoiled by noise that is right. So the question has to be asked anew on pictures. The network is the reference of notebook 1: scenes of one object, told the class (shape and colour) along with the time.
# It answers with the velocity (exercise 4, optional); `predict` makes of that the noise that your step wants, and keeps the picture in $[-1, 1]$, as the chain of notebook 1 did.


# %%
pixels_table = process.alphas_cumprod


@torch.no_grad()
def noise_in_pictures(answer: Tensor, noisy: Tensor, timestep: int) -> Tensor:
    """The noise that is meant by the network's answer about x_t, both (batch, 3, 32, 32)."""
    return predict(answer, noisy, process.path([timestep])[0], "v_prediction", clip=True).noise


def in_scenes(labels: Tensor):
    """What the network sees in noisy pictures when it is told these labels (batch,)."""

    def noise_seen(noisy: Tensor, timestep: int) -> Tensor:
        times = torch.full((len(noisy),), timestep, device=noisy.device)
        return noise_in_pictures(reference(noisy, times, labels.to(noisy.device)), noisy, timestep)

    return noise_seen


noise = draw_normal((len(asked), 3, 32, 32), runtime.generator(5), device)
rows = {}
for name, eta in (("eta 0", 0.0), ("eta 0.5", 0.5), ("eta 1", 1.0)):
    for passes in (5, 25):
        film = walk(in_scenes(asked), noise, scale(smoke=2, cpu=passes, gpu=passes), pixels_table, eta)
        rows[f"{name},\n{passes} passes"] = film[-1].clamp(-1, 1).cpu()
plots.show(
    plots.image_grid(rows, columns=len(asked)),
    alt="Six rows of scenes by your step, from the same noise: with eta 0 five passes and 25 agree in most objects, and differ in some sizes and grounds; the more of the noise is fresh, the more they differ.",
)

# %% [markdown]
# ## Measure: are 25 passes enough?
#
# The lecture says that 25 passes give samples as good as the full chain. The course's experiment draws 512 scenes with each sampler, from the same noise and for the labels of as many held-out scenes, in 5, 10 and 25 passes, with two of them in 50 and 100, and by the whole chain of 1,000. The **distance** is the Fréchet distance in features of the scene judge; its
# floor, dashed, is that of other real scenes. *Class right* is the share in which the judge reads one object, of the class that was asked for.

# %%
rows = training.results(studies.STEPS)
plots.show(
    studies.STEPS.figure(rows),
    alt="Left, distance from real scenes against passes through the network, a line for each sampler, with the whole chain as a solid line and the floor of real scenes dashed. Right, the share of scenes with the right class.",
)
verdict = studies.STEPS.verdict(rows)
print(f"The lecture's claim {verdict.verdict}: {verdict.why}")

# %% [markdown]
# The class is right nearly as often after five passes as after a thousand. The distance needs more: in 25 passes no sampler comes within 10 % of the whole chain. The ancestral sampler gets there in 100, a tenth of the chain; DDIM does not, and its curve flattens out above. On the plane, where the denoiser was perfect, the better solver won.
# Here what remains is the network's own error: without fresh noise it stays in the picture, however short the steps are.
#
# So much for speed. The other wish is to be obeyed: how firmly does a picture follow its label, and can that be chosen?
#
# (For the check of the next exercise, which can hand out tensors but no network: *your* `guided_answer` on a tiny network. Leave this cell as it is.)


# %%
def guidance_of_a_network(weight: Tensor, noisy: Tensor, timesteps: Tensor, labels: Tensor, null_label: int, guidance_scale: float) -> Tensor:
    """`guided_answer` of a network of one layer with the weights (values + 1 + labels, values)."""

    def network(noisy: Tensor, timesteps: Tensor, labels: Tensor) -> Tensor:
        known = F.one_hot(labels, null_label + 1)
        features = torch.cat([noisy.flatten(1), timesteps[:, None] / 10, known], dim=1)  # (batch, values + 1 + labels)
        return torch.tanh(features @ weight).view_as(noisy)

    return guided_answer(network, noisy, timesteps, labels, null_label, guidance_scale)


# %% [markdown]
# ## Exercise 2 · Classifier-free guidance · *15 minutes, medium, core*
#
# A picture may follow its label only half-heartedly. Can it be made to follow more firmly, without training it once more? By Bayes' rule $p(x \mid y) \propto p(x)\, p(y \mid x)$, for a picture $x$ and a label $y$. Let the second factor count $w$ times:
#
# $$ p(x)\, p(y \mid x)^w, \qquad \log p(y \mid x) = \log p(x \mid y) - \log p(x) + \text{a number} $$
#
# A network knows the *gradients* of these log densities: they are its noise, times a negative factor that depends on $t$ only (exercise 5 shows it). So
#
# $$ \tilde\epsilon = \underbrace{\epsilon_\theta(x_t, t, \varnothing)}_{\text{without the label}} + \; w\, \big( \epsilon_\theta(x_t, t, y) - \epsilon_\theta(x_t, t, \varnothing) \big) $$
#
# - $\varnothing$: the label that says nothing, one number beyond the last class. One tenth of all labels was replaced by it in training (`recipes.DROPPED`), so that *one* network learned both answers,
# - $w$, the **guidance scale**: 0 ignores the label, 1 is the network as it is, beyond 1 the label is exaggerated. (The paper counts from the other answer: its $w$ is ours minus 1.)
#
# What holds for the noise holds for any answer that is linear in it at a given $x_t$, as the velocity is: it may be guided just so.
#
# *Stuck? `from course_utils.diffusion.guidance import classifier_free`, and*
# `guided_answer = lambda network, noisy, timesteps, labels, null_label, w: classifier_free(network, null_label, w)(noisy, timesteps, labels)`

# %% nbgrader={"grade": false, "grade_id": "guided-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def guided_answer(network, noisy: Tensor, timesteps: Tensor, labels: Tensor, null_label: int, guidance_scale: float) -> Tensor:
    """What the network answers about noisy pictures, guided: of the shape of `noisy`.

    Args:
        network: called as `network(noisy, timesteps, labels)`, gives its answer, of the shape of `noisy`.
        noisy: x_t, (batch, ...).
        timesteps: (batch,).
        labels: (batch,) int64.
        null_label: the label that says nothing, a plain number. The network wants labels (batch,) int64.
        guidance_scale: w.
    """
    ### BEGIN SOLUTION
    nothing = torch.full_like(labels, null_label)
    both = network(torch.cat([noisy, noisy]), torch.cat([timesteps, timesteps]), torch.cat([labels, nothing]))
    with_label, without = both.chunk(2)
    return without + guidance_scale * (with_label - without)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "guided-answer-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.guidance_of_a_network(guidance_of_a_network)
### BEGIN HIDDEN TESTS
check.guidance_of_a_network(guidance_of_a_network, hidden=True)
### END HIDDEN TESTS


# %%
def guided(labels: Tensor, guidance_scale: float):
    """What the network sees when it is guided by these labels (batch,)."""

    def noise_seen(noisy: Tensor, timestep: int) -> Tensor:
        times = torch.full((len(noisy),), timestep, device=noisy.device)
        with torch.no_grad():
            answer = guided_answer(reference, noisy, times, labels.to(noisy.device), NUM_CLASSES, guidance_scale)
        return noise_in_pictures(answer, noisy, timestep)

    return noise_seen


passes = scale(smoke=2, cpu=10, gpu=25)
wanted = labels_of_training(scale(smoke=12, cpu=40, gpu=400))
noise = draw_normal((len(wanted), 3, 32, 32), runtime.generator(6), device)
sheets, counted = {}, []
for w in (0.0, 1.0, 2.0, 4.0):
    drawn = walk(guided(wanted, w), noise, passes, pixels_table)[-1].clamp(-1, 1).cpu()
    sheets[f"scale {w:g}"] = drawn[:12]
    counted.append({"guidance scale": w, "class right": recipes.right_class(drawn, wanted)})
plots.show(
    plots.image_grid(sheets, columns=12),
    alt="Four rows of scenes from the same noise. At scale 0 the labels are ignored and the objects are any; from scale 1 on nearly each column shows the object of its label, at scale 4 once two of them.",
)
plots.table(counted, caption=f"{len(wanted)} scenes of your own, all 40 classes that training shows equally often; by chance about 1 in 40")
if runtime.scale_name() != "smoke":
    assert counted[2]["class right"] > counted[0]["class right"] + 0.3, "guided pictures should follow their labels far more often than unguided ones"

# %% [markdown]
# More careful numbers stand on the reference's card, measured on held-out labels when it was made, in 25 passes. (`unguided` is scale 1, `guided` scale 2. `judge_frechet` is a distance, without guidance; its "ceiling" is the floor, the distance of other real scenes. Distances shrink with the number of scenes that are compared, so compare none across tables.)

# %%
# NBVAL_CHECK_OUTPUT
card = training.read_card(recipes.DDPM_SCENES)
for name in ("unguided_class_accuracy", "class_accuracy", "judge_frechet", "guided_judge_frechet"):
    beside = [f"{kind} {card[kind][name]:.3g}" for kind in ("chance", "ceiling") if name in card[kind]]
    print(f"{name} {card['metrics'][name]:.3g}", f"({', '.join(beside)})" if beside else "", f"on {card['samples']:,} scenes")

# %% [markdown]
# ## Exercise 3 · Fill in what is hidden · *10 minutes, easy, core*
#
# A picture is known in part: `mask` is 1 where it is, 0 where it is hidden. Let the chain draw *all* of it, but after each step put the known part back in. At level $s$ everything is noisy, so the known part has to be noised to that level first (notebook 1, exercise 1, for one time):
#
# $$ x_s \leftarrow m \odot \big( \sqrt{a_s}\; x^{\text{known}} + \sqrt{1 - a_s}\; \epsilon \big) + (1 - m) \odot x_s $$
#
# - $m$: the mask, $\odot$: value by value; $\epsilon$: standard normal. The step ended at `timestep`; $-1$ is again the clean picture, where the known pixels come out exactly as they are. (`.sqrt()` is asked of a tensor: let $a_{-1}$ be `torch.ones(())`.)

# %% nbgrader={"grade": false, "grade_id": "keep-known", "locked": false, "schema_version": 3, "solution": true, "task": false}
def keep_known(images: Tensor, mask: Tensor, noisy: Tensor, noise: Tensor, timestep: int, alphas_cumprod: Tensor) -> Tensor:
    """What a step has reached, with the known part put in, of the shape of `noisy`.

    Args:
        images: clean pictures (batch, ...), of which only the known part counts.
        mask: 1 where they are known, 0 where not, of a shape that broadcasts against `images`.
        noisy: what the step has reached, (batch, ...).
        noise: standard normal, of the same shape.
        timestep: where the step ended, a plain number in [0, T), or -1 for the clean picture.
        alphas_cumprod: (T,).
    """
    ### BEGIN SOLUTION
    rate = alphas_cumprod[timestep] if timestep >= 0 else torch.ones_like(alphas_cumprod[0])
    return mask * (rate.sqrt() * images + (1 - rate).sqrt() * noise) + (1 - mask) * noisy
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "keep-known-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.keep_known(keep_known)
### BEGIN HIDDEN TESTS
check.keep_known(keep_known, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# The network was trained on whole scenes of one object, and nobody tells it the label. If the object stands in the hidden half, it has to be invented; if it stands in the known half, *nothing* may be added, for a second object would be wrong. The drawn half often does not know yet what the known half will say.
# **Resampling** (RePaint) gives it more chances: after each step of the walk go back up, with fresh noise, and take the step again, three times in all, for three times the passes. And whoever knows what the picture shows may tell the network, by its label; the last row does both.


# %%
@torch.no_grad()
def fill_in(images: Tensor, mask: Tensor, passes: int, times: int = 1, labels: Tensor | None = None) -> Tensor:
    """Pictures (batch, 3, 32, 32) whose part with mask 0 is drawn anew, by your two functions, each step taken `times` times.

    Labels (batch,) say what they show; without them the network has to see for itself.
    """
    draw = runtime.generator(7)
    images, mask = images.to(device), mask.to(device)
    noise_seen = in_scenes(torch.full((len(images),), NUM_CLASSES) if labels is None else labels)
    noisy = draw_normal(images.shape, draw, device)
    for timestep, next_timestep in pairwise([*inference_timesteps(1000, passes), -1]):
        rounds = times if next_timestep >= 0 else 1
        for number in range(rounds):
            z, epsilon, back = (draw_normal(images.shape, draw, device) for _ in range(3))
            noisy = ddim_step(noise_seen(noisy, timestep), noisy, z, timestep, next_timestep, pixels_table, eta=1.0)
            noisy = keep_known(images, mask, noisy, epsilon, next_timestep, pixels_table)
            if number < rounds - 1:  # up again, by the forward process
                kept = pixels_table[timestep] / pixels_table[next_timestep]
                noisy = kept.sqrt() * noisy + (1 - kept).sqrt() * back
    return noisy.clamp(-1, 1).cpu()


known = single_objects("test", 12, 32)
whole = known["image"]
for name in studies.MASKS:
    mask, passes = studies.known_part(name), scale(smoke=2, cpu=25, gpu=50)
    once, thrice = (fill_in(whole, mask, passes, times) for times in (1, 3))
    told = fill_in(whole, mask, passes, 3, known["label"])
    plots.show(
        plots.image_grid({"original": whole, f"{name}\nhidden": mask * whole, "put in": once, "resampled": thrice, "and told\nthe class": told}, columns=12),
        alt=f"Twelve scenes, the same with the {name} hidden, filled in by putting in the known part at every step, by taking each step three times, and by telling the class too.",
    )
    shares = ", ".join(f"{how} {studies.valid(filled).float().mean():.2f}" for how, filled in (("put in", once), ("resampled", thrice), ("told the class", told)))
    print(f"{name} hidden: one object, surely read, of {len(whole)}: {shares}")
    assert (mask * once).equal(mask * whole), "known pixels should come out exactly as they went in"

# %% [markdown]
# Counted on more pictures, beside the known part completed by *another* scene's hidden part (which is what chance is here) and the originals:

# %%
rows = training.results(studies.INPAINTING)
plots.show(
    studies.INPAINTING.figure(rows),
    alt="Left, the share of filled-in pictures in which the judge surely reads exactly one object, for both masks: a collage with another picture, the known part put in, resampled, resampled with the class told, and the originals. Right, the share of visible objects that it reads as they were.",
)
verdict = studies.INPAINTING.verdict(rows)
print(f"Filling in works without training for it: {verdict.verdict}. {verdict.why}")

# %% [markdown]
# ## Look: choose for yourself
#
# Guidance, passes, sampler and seed; the six classes of the first figure. (Without widgets: the figure below shows the same.)


# %%
def sheet(guidance: int, passes: int, sampler: str, seed: int) -> Tensor:
    """Six scenes, (6, 3, 32, 32)."""
    return studies.drawn(reference, samplers[sampler], passes, seed, asked, float(guidance))


widgets.explorer(
    sheet, alt="six scenes: a red circle, a blue star, a pink heart, a green triangle, a black cross and a cyan square were asked for", columns=6, zoom=4,
    guidance=(0, 8, 2), passes=(1, 50, scale(smoke=2, cpu=10, gpu=10)), sampler=list(samplers), seed=(0, 20, 3),
)  # fmt: skip

# %%
few = scale(smoke=(2,), cpu=(3, 10), gpu=(3, 10))
plots.show(
    plots.image_grid({f"{name},\n{passes} passes": sheet(2, passes, name, 3) for name in ("ancestral, larger variance", "ancestral", "DDIM", "Heun", "DPM-Solver++") for passes in few}, columns=6),
    alt="Rows of the same six scenes by five samplers in 3 and in 10 passes. With 3 passes several small objects stand where one was asked for, and ancestral sampling with the larger variance leaves strong grain, with 10 passes still some; all others show one clean object then. DDIM, Heun and DPM-Solver++ draw nearly the same pictures.",
)
plots.show(
    plots.image_grid({f"guidance {w}": sheet(w, few[-1], "DDIM", 3) for w in (0, 1, 2, 4, 8)}, columns=6),
    alt="The six scenes with guidance 0, 1, 2, 4 and 8: first any objects, then those asked for; with 4 and 8 there are two hearts, and grain and false colours on the grounds.",
)

# %% [markdown]
# ## Break it: too much guidance
#
# If some guidance makes pictures surer, why not much more of it? Twelve red circles, at scales 1, 2 and 8, and the experiment's numbers. What the label leaves open is place, size and ground, 48 kinds of scene; **variety** is $e^H$, with the entropy $H$ of the kinds that the judge reads: 48 if all are equally often, 1 if one is always drawn. **Recall** is the share of real scenes that lie among
# the drawn ones. *Rescaled* (Lin et al.) brings the guided answer back to the standard deviation of the plain one, by 0.7 of the way, against colours that run away to the ends of the range, which the last panel counts.

# %%
circles = asked[:1].repeat(12)
noise = draw_normal((len(circles), 3, 32, 32), runtime.generator(8), device)
passes = scale(smoke=2, cpu=10, gpu=25)
plots.show(
    plots.image_grid({f"scale {w:g}": walk(guided(circles, w), noise, passes, pixels_table)[-1].clamp(-1, 1).cpu() for w in (1.0, 2.0, 8.0)}, columns=12),
    alt="Three rows of twelve red circles from the same noise: at scales 1 and 2 one circle of two sizes on several grounds, at scale 8 often two circles, and on most grounds grain and a reddish tint.",
)
rows = training.results(studies.GUIDANCE)
plots.show(
    studies.GUIDANCE.figure(rows),
    alt="Against the guidance scale from 1 to 8, plain and rescaled: share of right classes, distance from real scenes, recall, variety, and the share of values near black or white; dashed lines for real scenes.",
)
verdict = studies.GUIDANCE.verdict(rows)
print(f"Guidance buys certainty and pays with diversity: {verdict.verdict}. {verdict.why}")

# %% [markdown]
# A little guidance is pure gain here: scenes come nearer to the real ones, and even recall and variety grow. (Perhaps because the network's plain answers are undecided mixtures now and then, and guidance decides; that was not measured.) Textbooks promise a loss of diversity from the start; on these scenes it comes late, with the loss of everything else. (Rescaling keeps the colours in range, as promised, and pays with distance and variety.)
#
# Why does too much spoil it? $p(x)\,p(y \mid x)^w$ is not $p(x \mid y)$ any more: of all pictures it prefers those that look as much like a red circle as can be, and like nothing else. In the row of scale 8 two circles seem to be better than one, and a reddish ground better than a green one. And what comes out is not even a sample of that density: at each noise level the two answers are extrapolated to where the network was never trained, and contrast
# and colours run away. (Exercise 6 shows that even a perfect network would not help.)
#
# ## Diffusion models, GANs and VAEs
#
# The lecture compares the three. The usual order is: diffusion best in quality and coverage, but slow; GANs sharp and fast, but with gaps; VAEs fast, without gaps, but blurred.
#
# Here is the comparison measured, on the faces of chapter 2: the VAE and the DCGAN from there, and `ddpm-faces`, all trained on the same 50,000 faces, for 18 to 32 minutes of one core. Distance is Fréchet's, in features of the face judge. **Precision** is the share of drawn faces that lie among the real ones, **recall** the share of real faces that lie among the drawn ones, **coverage** the share of real faces
# to which some drawn face comes as near as real ones come to one another. **Readable** is the share of faces in which the judge is sure of all nine attributes.

# %%
rows = training.results(studies.MODELS_COMPARED)


def mean_of(model: str, name: str) -> float | str:
    values = [row[name] for row in rows if row["model"] == model and row.get(name) is not None]
    return fmean(values) if values else "–"


def shown(value: float | str) -> float | str:
    return f"{value:,.0f}" if not isinstance(value, str) and value >= 10_000 else value


columns = {"distance": "judge_frechet", "precision": "precision", "recall": "recall", "coverage": "coverage", "readable": "readable",
           "faces a second": "pictures_per_second", "minutes of training": "training_minutes", "parameters": "parameters"}  # fmt: skip
plots.table(
    [{"model": model} | {title: shown(mean_of(model, name)) for title, name in columns.items()} for model in studies.MODELS],
    caption=f"{studies.SAMPLES} faces each, means of three seeds, against as many held-out faces; speed and training on one thread of a processor (the whole chain of 1,000 passes would be 40 times as slow as 25)",
)
plots.show(studies.MODELS_COMPARED.figure(rows), alt="Four panels of bars: distance on a logarithmic scale, precision, recall and faces a second on a logarithmic scale, for the VAE, the DCGAN, the DDPM in 25 and in 10 passes, and other real faces.")
verdict = studies.MODELS_COMPARED.verdict(rows)
print(f"The lecture's claim {verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Three more views (optional)
#
# ## Exercise 4 · What the velocity says · *5 minutes, easy, optional*
#
# The network of scenes answers neither with the noise nor with the picture but with the velocity, $v = \sqrt{a_t}\, \epsilon - \sqrt{1 - a_t}\; x_0$. Together with $x_t = \sqrt{a_t}\, x_0 + \sqrt{1 - a_t}\; \epsilon$ that makes two equations for two unknowns. Solve them. Since $(\sqrt{a_t})^2 + (\sqrt{1 - a_t})^2 = 1$,
# no division is needed: that is why this answer is good at both ends. (`predict`, above, did this for you.)
#
# *Stuck? Set `from_velocity = check.from_velocity.reference`. The same works for `score_from_noise`.*

# %% nbgrader={"grade": false, "grade_id": "from-velocity", "locked": false, "schema_version": 3, "solution": true, "task": false}
def from_velocity(velocity: Tensor, noisy: Tensor, timestep: int, alphas_cumprod: Tensor) -> tuple[Tensor, Tensor]:
    """The picture and the noise behind a velocity, in this order, both of the shape of `noisy`.

    Args:
        velocity: (batch, ...).
        noisy: x_t, of the same shape.
        timestep: t, a plain number in [0, T).
        alphas_cumprod: (T,).
    """
    ### BEGIN SOLUTION
    signal, rate = alphas_cumprod[timestep].sqrt(), (1 - alphas_cumprod[timestep]).sqrt()
    return signal * noisy - rate * velocity, rate * noisy + signal * velocity
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "from-velocity-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.from_velocity(from_velocity)
### BEGIN HIDDEN TESTS
check.from_velocity(from_velocity, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 5 · The score · *5 minutes, easy, optional*
#
# $x_t$ is normal around $\sqrt{a_t}\, x_0$ with variance $1 - a_t$. If $x_0$ were known, the gradient of the log density of $x_t$ would be $-(x_t - \sqrt{a_t}\, x_0) / (1 - a_t)$: write that with $\epsilon$. It is not known. The true gradient is the mean of these over all $x_0$ that may lie behind $x_t$, and the network's noise
# is the mean of $\epsilon$ over the same $x_0$ (Tweedie's formula). So the noise tells the **score** $\nabla \log p(x_t)$, the direction in which noisy points grow more likely.

# %% nbgrader={"grade": false, "grade_id": "score-from-noise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def score_from_noise(predicted_noise: Tensor, timestep: int, alphas_cumprod: Tensor) -> Tensor:
    """Gradient of log p(x_t), of the shape of `predicted_noise`.

    Args:
        predicted_noise: what the network sees in x_t, (batch, ...).
        timestep: t, a plain number in [0, T).
        alphas_cumprod: (T,).
    """
    ### BEGIN SOLUTION
    return -predicted_noise / (1 - alphas_cumprod[timestep]).sqrt()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "score-from-noise-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.score_from_noise(score_from_noise)
### BEGIN HIDDEN TESTS
check.score_from_noise(score_from_noise, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# On the ring the density of noisy points is known, one more mixture, so autograd can differentiate it. Both agree, and the arrows lead uphill:

# %%
ticks = torch.linspace(-2.6, 2.6, 14)
places = torch.cartesian_prod(ticks, ticks)
figure, axes = plots.figure(1, 3, width=9.0, height=3.1)
for axis, t in zip(axes[0], (250, 500, 800), strict=True):
    level = plane.path([t])[0]
    density = score.noised(ring, level)
    leaf = places.clone().requires_grad_()
    (slope,) = torch.autograd.grad(density.log_density(leaf).sum(), leaf)
    arrows = score_from_noise(noise_on_the_ring(places, t), t, table)
    assert torch.allclose(arrows, slope, atol=1e-3), "the score from the noise should be the gradient of the log density"
    fine = torch.linspace(-2.8, 2.8, 100)
    heights = density.log_density(torch.stack(torch.meshgrid(fine, fine, indexing="xy"), dim=-1)).exp()
    axis.contourf(fine, fine, heights, levels=12, cmap="Greys", alpha=0.5)
    axis.quiver(*places.T, *(arrows / arrows.norm(dim=1, keepdim=True).clamp(min=1)).T, color=plots.COLORS[0], width=0.008, angles="xy", scale_units="xy", scale=2.5)
    axis.set(title=f"step {t} of 1000", aspect="equal")
plots.show(figure, alt="The density of noisy points in grey at three times, eight spots, then a ring, then one round hill, with blue arrows of the score that lead uphill everywhere. (Long arrows are cut to length 1.)")

# %% [markdown]
# ## Exercise 6 · Classifier guidance · *15 minutes, hard, optional*
#
# The older way to steer (Dhariwal and Nichol): leave the diffusion model alone, which knows no labels, and train a *classifier of noisy pictures* beside it. By Bayes' rule its gradient is what is missing in the score:
#
# $$ \nabla \log p(x_t \mid y) = \nabla \log p(x_t) + w\, \nabla \log p(y \mid x_t), \qquad w = 1 $$
#
# (Bayes' rule says $w = 1$. Other values are a choice, as before.) Turn that into noise: $\nabla \log p(x_t)$ is $-\hat\epsilon / \sqrt{1 - a_t}$ (exercise 5), so what is added to the score becomes $\tilde\epsilon = \hat\epsilon - w \sqrt{1 - a_t}\; \nabla_{x_t} \log p(y \mid x_t)$.
#
# <details><summary>Hint</summary>
#
# `leaf = noisy.detach().requires_grad_()`; `classifier(leaf).log_softmax(dim=1)`, choose each picture's label, *sum* over the batch (pictures do not mix, so each gets its own gradient), `(gradient,) = torch.autograd.grad(total, leaf)`. Samplers live under `torch.no_grad()`, so a block `with torch.enable_grad():` is needed around it.
# </details>
#
# *Stuck? Set `classifier_guidance = check.classifier_guidance.reference` and go on.*

# %% nbgrader={"grade": false, "grade_id": "classifier-guidance", "locked": false, "schema_version": 3, "solution": true, "task": false}
def classifier_guidance(
    predicted_noise: Tensor, noisy: Tensor, labels: Tensor, classifier, timestep: int, alphas_cumprod: Tensor, guidance_scale: float
) -> Tensor:
    """The noise that is steered by w times the classifier's gradient, of the shape of `noisy`.

    Args:
        predicted_noise: what the network, which knows no labels, sees in x_t, (batch, ...).
        noisy: x_t, of the same shape.
        labels: (batch,) int64.
        classifier: called as `classifier(noisy)` about pictures at this timestep, gives logits (batch, classes).
        timestep: t, a plain number in [0, T).
        alphas_cumprod: (T,).
        guidance_scale: w.
    """
    ### BEGIN SOLUTION
    with torch.enable_grad():
        leaf = noisy.detach().requires_grad_()
        chosen = classifier(leaf).log_softmax(dim=1).gather(1, labels[:, None])  # (batch, 1)
        (gradient,) = torch.autograd.grad(chosen.sum(), leaf)
    return predicted_noise - guidance_scale * (1 - alphas_cumprod[timestep]).sqrt() * gradient
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "classifier-guidance-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.classifier_guidance(classifier_guidance)
### BEGIN HIDDEN TESTS
check.classifier_guidance(classifier_guidance, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# On the ring the best classifier of noisy points has a formula as well. Ask for mode 1 of the eight:


# %%
def steered(guidance_scale: float, mode: int = 1):
    """What the best possible network sees on the ring when an exact classifier steers it to a mode."""

    def noise_seen(noisy: Tensor, timestep: int) -> Tensor:
        level = plane.path([timestep])[0]
        variance = (level.signal * ring.std) ** 2 + level.noise**2
        centres = level.signal * noisy.new_tensor(ring.means)

        def classifier(points: Tensor) -> Tensor:
            return -(points[:, None] - centres).square().sum(dim=-1) / (2 * variance)  # (batch, modes)

        labels = torch.full((len(noisy),), mode)
        return classifier_guidance(noise_on_the_ring(noisy, timestep), noisy, labels, classifier, timestep, table, guidance_scale)

    return noise_seen


figure, axes = plots.figure(1, 4, width=9.6, height=2.6)
for axis, w in zip(axes[0], (0.0, 0.3, 1.0, 4.0), strict=True):
    end = walk(steered(w), start, 50, table)[-1]
    there = torch.cdist(end, end.new_tensor(ring.means)).argmin(dim=1) == 1
    axis.scatter(*end.T, s=2, color=plots.COLORS[0], linewidths=0)
    axis.set(title=f"scale {w:g}: {there.float().mean():.2f} there", xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    if w == 1:
        assert there.float().mean() > 0.95, "at scale 1 nearly all points should lie at the mode that was asked for"
plots.show(figure, alt="Points on the ring steered to one of eight modes: with scale 0 all modes are alike; with 0.3 more points lie at the chosen one, and the other heaps have moved towards it; with 1 all lie at the chosen one, which keeps its width; with 4 they are a smaller heap farther out.")

# %% [markdown]
# At scale 1 this is exactly the conditional density: both factors of Bayes' rule are known. At the other scales look closely: heaps have moved, and at scale 4 the points lie closer together than the data and farther out. No factor $p(y \mid x)^w$ of clean points could do that: it is nearly 1 in all of the mode. The formula is
# used at every noise *level*, and the densities of these levels do not belong together any more. This is guidance gone too far, without any network that could be blamed.
# With trained networks a classifier has its own blind spots, and its gradient finds them; classifier-free guidance needs no second network, and has taken over.
#
# ## The real thing
#
# Google's model of CIFAR-10 was published with the ancestral chain of a thousand steps. Your step does it in twenty-five. The schedule is the linear one, and it answers with the noise. With a network, this fetches the weights and draws; without, it says so.

# %%
from course_utils.hub import OfflineError

try:
    published = UNet.from_hub("google/ddpm-cifar10-32").to(device)
    original = GaussianDiffusion(DiffusionConfig(1000, "linear", clip_sample=True)).to(device)

    @torch.no_grad()
    def noise_in_photographs(noisy: Tensor, timestep: int) -> Tensor:
        return original.denoiser(published)(noisy, original.path([timestep])[0]).noise

    noise = draw_normal((scale(smoke=1, cpu=8, gpu=64), 3, 32, 32), runtime.generator(9), device)
    photographs = walk(noise_in_photographs, noise, scale(smoke=2, cpu=25, gpu=25), original.alphas_cumprod)[-1].clamp(-1, 1).cpu()
    plots.show(plots.image_grid(photographs, zoom=2), alt="Small photographs of animals and vehicles that do not exist, drawn by the published model in 25 passes.")
except OfflineError as error:
    print(f"No network, so no published weights here ({str(error).split(':')[0]}).")

# %% [markdown]
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-deterministic", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** With $\eta = 0$, two noises that are close lead to pictures that are close, and a picture can be sent back to its noise. Why? Which of this is lost with $\eta = 1$, and what does the fresh noise give in return, if the network is not perfect?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# The step is a smooth function of x_t and nothing else, the Euler method of a differential equation: its solution depends smoothly on the start, and can be followed backwards by taking the steps in the other direction. With eta = 1 the same noise leads to other pictures each time, and there is no way back. In return,
# an error of the network at one level does not stay: a part of x_t is replaced by noise that is right by construction, and the next steps may correct what went wrong. That takes many steps, so with few of them eta = 0 is better.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-guidance", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** A colleague trains a class-conditional model *without* hiding any labels. Its table of labels has one row too many, which training never used, and he tries classifier-free guidance with that one. What will happen, and what could he do with the network that he has?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# The vector of the unused label has its random first value, so the answer "without the label" means nothing, and extrapolating away from it spoils the pictures. He can go on training for a while with a tenth of the labels hidden; or train a classifier of noisy pictures and use its gradient; or, for few classes, take the
# mean of the answers for all classes, each weighted by how probable it is at x_t, which is what the answer without a label should be.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-choice", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **3.** A game needs a new face sixty times a second on a small machine; a museum wants one wall of faces as different from one another as real ones, and has a week. Most textbooks would send the museum to a diffusion model. Does the table above? Which model would you choose for each, and what would you measure before you trust the choice?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# For the game only models with a single pass are quick enough, so by the table the GAN, whose faces lie nearer to the real ones than the VAE's. For the museum recall matters and time does not. By this table that is the GAN again: the diffusion model's faces are the surest of all (precision), but it reaches less of the real ones. Yet all models here were trained for
# about half an hour, and the museum has a week: diffusion models go on improving for long, and that is where the textbooks' sentence comes from. So train both for longer, and measure recall and coverage again, beside other real faces; use no guidance, which would buy likeness with variety; and look for the nearest training face of each, lest the wall show copies.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Karras, Aittala, Aila and Laine, 2022, section 3: what of a sampler is schedule, what is solver, and what is noise.
# - Dieleman, *Guidance: a cheat code for diffusion models*, 2022, and *The geometry of diffusion guidance*, 2023.
# - Kynkäänniemi et al., *Applying guidance in a limited interval improves sample and distribution quality in diffusion models*, NeurIPS 2024: where along the way guidance helps and where it harms.
# - Song et al., *Consistency models*, ICML 2023: a network that is trained to jump to the end of the path at once.
