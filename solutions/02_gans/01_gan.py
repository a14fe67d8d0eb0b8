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
# # Generative adversarial networks: a forger and a detective
#
# | | |
# |---|---|
# | **Time** | 90 minutes of work; the code runs in about 4 minutes on a laptop's CPU |
# | **You need** | chapter 1, notebook 1 (a training loop by hand); the sigmoid; what a probability density is |
# | **Builds on** | nothing that you wrote before |
# | **Code** | `course_utils/gans/losses.py`, `gan.py` |
# | **Papers** | Goodfellow et al., *Generative adversarial nets*, NeurIPS 2014 · Metz et al., *Unrolled generative adversarial networks*, ICLR 2017 · Mao et al., *Least squares GANs*, ICCV 2017 · Gulrajani et al., *Improved training of Wasserstein GANs*, NeurIPS 2017 · Miyato et al., *Spectral normalization for GANs*, ICLR 2018 · Mescheder, Geiger and Nowozin, *Which training methods for GANs do actually converge?*, ICML 2018 |
#
# A VAE is told, picture by picture, what to draw. A GAN's generator never sees a picture. It only hears from a second network, the discriminator, how its drawings could look more real.
# On points of the plane you can watch the two. Green are the data, black the generator's points; the background is the discriminator's opinion, from blue (surely generated) over white (cannot tell) to orange (surely real).

# %%
import base64
import io
import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from IPython.display import HTML, display
from PIL import Image
from torch import Tensor, nn

from course_utils import plots, runtime, scale, training, widgets
from course_utils.autoencoders.recipes import DigitReader
from course_utils.checks import gans as check
from course_utils.data import Digits, loader
from course_utils.gans import DCGAN, GAN, DCGANConfig, GANConfig, gan, losses, plane_experiments
from course_utils.metrics import memorisation, precision_recall

device = runtime.device()
runtime.seed_everything(0)

REACH, SIDE = 3.0, 128  # the plane is shown from -REACH to REACH, on SIDE x SIDE pixels


def picture(judge: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """The plane as a picture (3, SIDE, SIDE): logits of `judge` as background, points (count, 2) real and generated on it."""
    ticks = torch.linspace(-REACH, REACH, SIDE, device=device)
    places = torch.cartesian_prod(-ticks, ticks).flip(1)  # (x, y), row by row from the top
    with torch.inference_mode():
        real_odds = torch.sigmoid(judge(places)).view(SIDE, SIDE).cpu()
    blue, white, orange, green, black = (2 * torch.tensor(color)[:, None] - 1 for color in
                                         ((0.35, 0.65, 0.9), (1.0, 1.0, 1.0), (1.0, 0.65, 0.3), (0.0, 0.6, 0.3), (0.0, 0.0, 0.0)))  # fmt: skip
    towards = torch.where(real_odds > 0.5, orange[..., None], blue[..., None])
    canvas = torch.lerp(white[..., None].expand(3, SIDE, SIDE), towards, (2 * real_odds - 1).abs())
    for points, color in ((real, green), (fake, black)):
        columns, rows = ((points.cpu() * torch.tensor([1, -1]) + REACH) * SIDE / (2 * REACH)).long().clamp(0, SIDE - 2).T
        for down, right in itertools.product((0, 1), (0, 1)):  # each point is two by two pixels
            canvas[:, rows + down, columns + right] = color
    return canvas


def moons(count: int) -> Tensor:
    """Points (count, 2) on two moons, in the middle of the plane."""
    return 1.5 * (gan.two_moons(count) - torch.tensor([0.5, 0.25]))


class Points(torch.utils.data.Dataset):
    """Twenty thousand points that `draw` makes, once."""

    def __init__(self, draw: Callable[[int], Tensor]):
        self.points = draw(20_000)

    def __len__(self) -> int:
        return len(self.points)

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        return {"image": self.points[indices]}


opening, opening_points = GAN(GANConfig()), Points(moons)
training.cached(
    "01_gan/opening",
    lambda: training.fit(gan.gan_players(opening, learning_rate=1e-3), loader(opening_points, 256), scale(smoke=10, cpu=1_500, gpu=1_500),
                         schedule="constant", clip=None),
    opening,
)  # fmt: skip
plots.show(
    plots.image_grid(picture(opening.discriminate, opening_points.points[:300], opening.sample(400, runtime.generator(0, device)))[None], zoom=6),
    alt="Two green half moons of data points, covered by black generated points; around them the background is mostly blue, on them nearly white.",
)

# %% [markdown]
# ## The idea
#
# Two networks with opposite aims:
#
# - the **generator** $G$, a forger, turns noise $z$ into a sample $G(z)$,
# - the **discriminator** $D$, a detective, gives for a sample $x$ the probability $D(x) \in (0, 1)$ that it is *real*.
#
# Both are judged by one number, the *value* of the game, which $D$ wants large and $G$ wants small:
#
# $$ \min_G \max_D\; V(G, D) = \mathbb E_{x \sim p}\big[\log D(x)\big] + \mathbb E_{z \sim \mathcal N(0, I)}\big[\log\big(1 - D(G(z))\big)\big] $$
#
# - $p$: the distribution of the data; $\mathbb E_{x \sim p}$: the mean over real samples,
# - $z \in \mathbb R^k$: noise, drawn from a simple distribution, here the standard normal one (the lecture calls that distribution $p$, and the data's $p_{\text{data}}$),
# - $\log D(x)$: zero where $D$ is sure that $x$ is real, far below zero where it is sure of the opposite; $\log(1 - D(G(z)))$: the other way round.
#
# Each asks for one thing only. $D$ needs samples of both kinds; it is a plain classifier. $G$ needs no data at all, only the gradient of $D$ at its own sample: *in which direction would this point look more real?*
# And nobody needs the density of $G(z)$, which has no formula. That is the whole difference from a VAE: the density is there, since $G$ makes samples, but it is *implicit*.
#
# As in chapter 1 the network ends in a **logit** $a$ (any real number), and $D(x) = s(a) = 1 / (1 + e^{-a})$. So $\log D = \log s(a)$ and $\log (1 - D) = \log s(-a)$, which `F.logsigmoid` computes without rounding $s(a)$ to 0 or 1 first.
#
# ## Exercise 1 · What the discriminator wants · *5 minutes, easy, core*
#
# $D$ makes $V$ large. An optimizer makes losses small, so its loss is $-V$:
#
# $$ \mathcal L_D = -\,\mathbb E_{x}\big[\log D(x)\big] - \mathbb E_{z}\big[\log\big(1 - D(G(z))\big)\big] $$
#
# The expectations are means over a batch, one over the real samples, one over the generated ones.
#
# <details><summary>Hint</summary>
#
# `F.logsigmoid(real_logits).mean()` is the first mean. For the second turn the sign *inside*.
# </details>
#
# *Stuck? Set `discriminator_loss = check.discriminator_loss.reference` and go on. The same works for each exercise below.*

# %% nbgrader={"grade": false, "grade_id": "discriminator-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """What the discriminator minimises, -V: a scalar.

    Args:
        real_logits: of real samples, (real,) or any other shape.
        fake_logits: of generated samples, (fake,) or any other shape.
    """
    ### BEGIN SOLUTION
    return -F.logsigmoid(real_logits).mean() - F.logsigmoid(-fake_logits).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "discriminator-loss-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.discriminator_loss(discriminator_loss)
### BEGIN HIDDEN TESTS
check.discriminator_loss(discriminator_loss, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 2 · What the generator wants, by the game · *5 minutes, easy, core*
#
# $G$ makes $V$ small. Only the second term depends on it:
#
# $$ \mathcal L_G^{\text{saturating}} = \mathbb E_{z}\big[\log\big(1 - D(G(z))\big)\big] $$

# %% nbgrader={"grade": false, "grade_id": "saturating-generator-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def saturating_generator_loss(fake_logits: Tensor) -> Tensor:
    """The generator's part of V: a scalar, from the logits of generated samples (of any shape)."""
    ### BEGIN SOLUTION
    return F.logsigmoid(-fake_logits).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "saturating-generator-loss-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.saturating_generator_loss(saturating_generator_loss)
### BEGIN HIDDEN TESTS
check.saturating_generator_loss(saturating_generator_loss, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 3 · What the generator wants, in practice · *5 minutes, easy, core*
#
# Already the first paper trains $G$ with another loss: instead of making "generated" unlikely, make "real" likely.
#
# $$ \mathcal L_G^{\text{non-saturating}} = -\,\mathbb E_{z}\big[\log D(G(z))\big] $$
#
# Both push $D(G(z))$ up, so they agree on what a good sample is. The figure below the check shows where they differ.

# %% nbgrader={"grade": false, "grade_id": "non-saturating-generator-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def non_saturating_generator_loss(fake_logits: Tensor) -> Tensor:
    """What the generator minimises in practice: a scalar, from the logits of generated samples (of any shape)."""
    ### BEGIN SOLUTION
    return -F.logsigmoid(fake_logits).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "non-saturating-generator-loss-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.non_saturating_generator_loss(non_saturating_generator_loss)
### BEGIN HIDDEN TESTS
check.non_saturating_generator_loss(non_saturating_generator_loss, hidden=True)
### END HIDDEN TESTS

# %%
logits = torch.linspace(-8, 8, 200, requires_grad=True)
figure, axes = plots.figure(width=5.6, height=2.8)
for color, (name, loss) in zip(plots.COLORS, {"saturating": saturating_generator_loss, "non-saturating": non_saturating_generator_loss}.items(), strict=False):
    (gradient,) = torch.autograd.grad(len(logits) * loss(logits), logits)
    axes[0, 0].plot(torch.sigmoid(logits).detach(), gradient.abs(), color=color, label=name)
axes[0, 0].set(xlabel="D(G(z)): how real the sample seems to the discriminator", ylabel="size of the gradient\nby the logit")
axes[0, 0].legend(frameon=False)
plots.show(figure, alt="Size of the gradient by the logit against D(G(z)). Saturating: a line that rises from 0 to 1. Non-saturating: a line that falls from 1 to 0.")

# %% [markdown]
# Soon after the start of a training, when $D$ has learned a little and $G$ next to nothing, every sample is found out: $D(G(z))$ is near 0, at the left. There the game's own loss has a gradient of $D(G(z))$, nearly nothing, just where the generator has most to learn. The other one has $1 - D(G(z))$, nearly 1.
#
# ## Exercise 4 · The best discriminator · *10 minutes, medium, core*
#
# Hold $G$ still, and let $q$ be the density of its samples. At a single point $x$ the discriminator contributes $p(x) \log D + q(x) \log (1 - D)$ to $V$. The derivative by $D$ is zero where
#
# $$ \frac{p(x)}{D} = \frac{q(x)}{1 - D} \quad\Longrightarrow\quad D^*(x) = \frac{p(x)}{p(x) + q(x)} . $$
#
# Compute it from *log* densities, which may be far below zero: away from the data both densities are rounded to 0, and 0/0 is not a number. A tiny $D$ should stay tiny, too: $10^{-18}$ is not 0, as its logarithm would tell.
#
# <details><summary>Hint</summary>
#
# Divide above and below by $p$: $1 / (1 + e^{-(\log p - \log q)})$. You know this function.
# </details>

# %% nbgrader={"grade": false, "grade_id": "optimal-discriminator", "locked": false, "schema_version": 3, "solution": true, "task": false}
def optimal_discriminator(log_p: Tensor, log_q: Tensor) -> Tensor:
    """The best D(x), of the shape and dtype of both arguments, also where exp(log_p) and exp(log_q) are rounded to zero, or D itself is tiny.

    Args:
        log_p, log_q: log densities of data and generator at the same points, any shape.
    """
    ### BEGIN SOLUTION
    return torch.sigmoid(log_p - log_q)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "optimal-discriminator-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.optimal_discriminator(optimal_discriminator)
### BEGIN HIDDEN TESTS
check.optimal_discriminator(optimal_discriminator, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Does a network find it? Two densities on a line that we know, a generator that stands still, and your `discriminator_loss`:

# %%
runtime.seed_everything(0)
data, forger = torch.distributions.Normal(-1.0, 0.5), torch.distributions.Normal(0.5, 1.0)
detective = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1), nn.Flatten(0))
optimizer = torch.optim.Adam(detective.parameters(), 3e-3)
for _ in range(scale(smoke=5, cpu=600, gpu=600)):
    loss = discriminator_loss(detective(data.sample((512, 1))), detective(forger.sample((512, 1))))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

places = torch.linspace(-4, 4, 400)
log_p, log_q = data.log_prob(places), forger.log_prob(places)
best = optimal_discriminator(log_p, log_q)
figure, axes = plots.figure(width=6.0, height=2.8)
axes[0, 0].plot(places, log_p.exp(), color=plots.COLORS[2], label="density p of the data")
axes[0, 0].plot(places, log_q.exp(), color=plots.COLORS[6], label="density q of the generator")
axes[0, 0].plot(places, best, color=plots.COLORS[1], label="best D, p / (p + q)")
with torch.inference_mode():
    axes[0, 0].plot(places, torch.sigmoid(detective(places[:, None])), color=plots.COLORS[0], linestyle="--", label="trained D")
    fresh = torch.cat([data.sample((2_000,)), forger.sample((2_000,))])
    gap = (torch.sigmoid(detective(fresh[:, None])) - optimal_discriminator(data.log_prob(fresh), forger.log_prob(fresh))).abs().mean().item()
axes[0, 0].legend(frameon=False, fontsize=7)
plots.show(figure, alt="Two bell curves, a narrow one of the data at the left and a wide one of the generator. The best discriminator is high under the data's bell and low elsewhere; the dashed trained one follows it.")
print(f"mean difference of trained and best D, on fresh points: {gap:.3f}")
if runtime.scale_name() != "smoke":
    assert gap < 0.05, "the trained discriminator should come near the best one"

# %% [markdown]
# (At the far left the two part. Neither density has points there, so nobody ever told the network what to say.)
#
# With the best $D$ the value of the game becomes a distance between the two distributions, the **Jensen-Shannon divergence**. With $m = (p + q) / 2$, and $\mathrm{KL}(p \Vert m) = \mathbb E_{x \sim p}[\log p(x) - \log m(x)]$, zero if the two are equal and positive otherwise,
#
# $$ V(G, D^*) = 2\, \mathrm{JSD}(p, q) - \log 4, \qquad \mathrm{JSD}(p, q) = \tfrac12 \mathrm{KL}(p \Vert m) + \tfrac12 \mathrm{KL}(q \Vert m), $$
#
# which is smallest, $-\log 4$, where $q = p$: then $D^* = \tfrac12$ everywhere, and the detective can only toss a coin. Computed with your function, by adding up over the line:

# %%
# NBVAL_CHECK_OUTPUT
line = torch.linspace(-8, 8, 4_001, dtype=torch.float64)
p, q = data.log_prob(line).exp(), forger.log_prob(line).exp()
best, middle = optimal_discriminator(data.log_prob(line), forger.log_prob(line)), (p + q) / 2
width = (line[1] - line[0]).item()
value = width * (p * best.log() + q * (1 - best).log()).sum().item()
divergence = width * 0.5 * (p * (p / middle).log() + q * (q / middle).log()).sum().item()
print(f"V(G, best D) = {value:.3f}    2 JSD - log 4 = {2 * divergence - torch.tensor(4.0).log().item():.3f}    if q were p: {-torch.tensor(4.0).log().item():.3f}")

# %% [markdown]
# So a perfect discriminator would make $G$ minimise a true distance. But nobody can wait for a perfect one after each step, and a perfect one saturates. In practice both take turns, one step each.
#
# ## Exercise 5 · One step of each · *15 minutes, hard, core*
#
# The class below holds both networks, `self.generator` and `self.discriminator`, and an optimizer for each. (`generate` and `judge` only let others look at the networks from outside.) Write its `step`, on a batch of real samples and noise:
#
# 1. Make samples $G(z)$.
# 2. *The discriminator's turn.* Its loss on the real samples and on these; zero its gradients, go backward, step. The samples count as *data* here: no gradient may reach the generator, so `detach` them.
# 3. *The generator's turn.* Its non-saturating loss on the same samples, judged by the discriminator *as it is now*; zero, backward, step. Here the gradient has to come through $D$ to $G$, so nothing is detached.
#    ($D$'s weights collect a gradient on the way. Nobody steps along it, and your `zero_grad` wipes it out at the next turn.)
#
# The `betas` say how long Adam remembers: the first, 0.5 in place of the usual 0.9, is that of the gradient's running mean, kept short since an old gradient answers an opponent who has moved on.
#
# <details><summary>Hint</summary>
#
# `fake = self.generator(latents)` once; `self.discriminator(fake.detach())` for the first loss, `self.discriminator(fake)` for the second. Compute the second loss only after the discriminator's step: its graph would otherwise hold weights that have changed since.
# </details>

# %% nbgrader={"grade": false, "grade_id": "game", "locked": false, "schema_version": 3, "solution": true, "task": false}
class Game(nn.Module):
    """Two fully connected networks, and an optimizer for each."""

    def __init__(self, latent_dim: int, features: int, hidden: int = 128, learning_rate: float = 1e-3):
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(latent_dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, features)
        )
        self.discriminator = nn.Sequential(
            nn.Linear(features, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1), nn.Flatten(0)
        )
        settings = {"lr": learning_rate, "betas": (0.5, 0.999)}
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), **settings)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), **settings)

    def play(self, batches) -> Tensor:
        """A step for each batch; the losses of both, (steps, 2)."""
        return torch.tensor([self.step(batch) for batch in batches])

    def generate(self, latents: Tensor) -> Tensor:
        """Samples (batch, features) from noise (batch, latent_dim)."""
        return self.generator(latents)

    def judge(self, samples: Tensor) -> Tensor:
        """Logits (batch,) of samples (batch, features)."""
        return self.discriminator(samples)

    def step(self, batch) -> tuple[float, float]:
        """One step of the discriminator, then one of the generator.

        Args:
            batch: the pair of real samples (batch, features) and noise (batch, latent_dim).

        Returns the losses of the discriminator and the generator, as plain numbers.
        """
        real, latents = batch
        ### BEGIN SOLUTION
        fake = self.generator(latents)
        loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
        self.discriminator_optimizer.zero_grad()
        loss_d.backward()
        self.discriminator_optimizer.step()

        loss_g = non_saturating_generator_loss(self.discriminator(fake))
        self.generator_optimizer.zero_grad()
        loss_g.backward()
        self.generator_optimizer.step()
        return loss_d.item(), loss_g.item()
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "game-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.game(Game)
### BEGIN HIDDEN TESTS
check.game(Game, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Train
#
# Eight narrow Gaussians on a ring: the classical test, for a generator has to get *everywhere*, and noise comes in one piece. `play` trains a `Game` and looks at it thirty-two times on the way.


# %%
class Film(NamedTuple):
    """What was seen of a training."""

    game: Game
    losses: Tensor  # (steps, 2)
    steps: list[int]  # at which it was looked at
    samples: list[Tensor]  # (1000, 2) at each look
    pictures: Tensor  # (looks, 3, SIDE, SIDE)


def play(draw: Callable[[int], Tensor], steps: int, seed: int = 1, discriminator_rate: float = 1e-3) -> Film:
    """Train a `Game` on points that `draw(count)` makes; `discriminator_rate` is the discriminator's learning rate."""
    runtime.seed_everything(seed)
    game, latent_dim = Game(16, 2).to(device), 16
    game.discriminator_optimizer.param_groups[0]["lr"] = discriminator_rate
    shown, noise = draw(300), torch.randn(1_000, latent_dim, device=device)
    batches = ((draw(256).to(device), torch.randn(256, latent_dim, device=device)) for _ in itertools.count())
    found, looks, samples, pictures = [], [], [], []
    for step, batch in enumerate(training.progress(batches, steps), start=1):
        found.append(game.step(batch))
        if step * 32 // steps > len(looks):
            with torch.inference_mode():
                samples.append(game.generate(noise).cpu())
            looks.append(step)
            pictures.append(picture(game.judge, shown, samples[-1][:400]))
    return Film(game, torch.tensor(found), looks, samples, torch.stack(pictures))


ring, lattice = gan.ring(std=0.05), gan.grid(spacing=1.0, std=0.05)
films = {"ring": play(ring.sample, scale(smoke=32, cpu=2_500, gpu=2_500))}
plots.show(
    plots.curves({"discriminator": films["ring"].losses[:, 0], "generator": films["ring"].losses[:, 1],
                  "discriminator that cannot tell (log 4)": [torch.tensor(4.0).log().item()] * len(films["ring"].losses),
                  "its generator (log 2)": [torch.tensor(2.0).log().item()] * len(films["ring"].losses)}, ylabel="loss", smooth=50),
    alt="Losses of both players over the steps: at first both swing up and down, then the discriminator's climbs slowly towards log 4 and the generator's sinks towards log 2.",
)  # fmt: skip

# %% [markdown]
# ## Look
#
# First as a strip, from the top left: one heap wanders about while the discriminator turns after it, spreads over the disc, finds the circle, and gathers at the modes. As it does, the background turns white there: the discriminator cannot tell.

# %%
chosen = torch.linspace(0, len(films["ring"].pictures) - 1, 10).long()
plots.show(
    plots.image_grid(films["ring"].pictures[chosen], columns=5, padding=4, zoom=2.6,
                     title="Steps " + ", ".join(str(films["ring"].steps[i]) for i in chosen)),
    alt="Ten pictures of the plane over the training: black samples start in one heap, spread over the disc, then lie on a circle, and at last on the eight green modes with few points between them; the background turns white around the modes and blue elsewhere.",
)  # fmt: skip


def show_animation(pictures: Tensor, alt: str) -> None:
    """Pictures (frames, 3, height, width) in [-1, 1] as an animated GIF, shown large."""
    frames = [Image.fromarray(frame).quantize(64) for frame in plots.to_display(pictures)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=[150] * (len(frames) - 1) + [2_000], loop=0)
    display(HTML(f'<img alt="{alt}" width="384" src="data:image/gif;base64,{base64.b64encode(file.getvalue()).decode()}">'))


show_animation(films["ring"].pictures, "The same as an animation: black samples move onto the green modes, while the blue and orange of the discriminator shift under them.")

# %% [markdown]
# Now a grid of 25 Gaussians, and the two moons. Choose what to look at, and move through the training. (Without widgets: the rows below show the same.)

# %%
films["grid"] = play(lattice.sample, scale(smoke=32, cpu=3_500, gpu=3_500))
films["moons"] = play(moons, scale(smoke=32, cpu=1_500, gpu=1_500))
plots.show(
    plots.image_grid({name: films[name].pictures[chosen[1::2]] for name in ("grid", "moons")}, columns=5, padding=4, zoom=2.6),
    alt="Two rows of five pictures. Above, samples spread over a grid of 25 modes, with many points between them. Below, samples bend into two half moons.",
)
widgets.explorer(
    lambda moment, data: films[data].pictures[moment][None],
    alt="data in green, samples in black, the discriminator's opinion as background, at the chosen moment of the training",
    zoom=3,
    moment=(0, 31, 31),
    data=["ring", "grid", "moons"],
)

# %% [markdown]
# ## Exercise 6 · Which modes are made? · *10 minutes, medium, core*
#
# A mixture of Gaussians lets us count. Each sample belongs to its *nearest* mode. It is **good** if it lies within three standard deviations of it, and a mode is **covered** if it has at least one good sample.
#
# <details><summary>Hint</summary>
#
# `torch.cdist(points, means)` holds all distances, (points, modes). Its `min(dim=1)` gives both the distance to the nearest mode and which one that is.
# </details>

# %% nbgrader={"grade": false, "grade_id": "mode-coverage", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mode_coverage(points: Tensor, means: Tensor, std: float) -> tuple[int, float]:
    """How many modes are covered, and the share of good points, both as plain numbers.

    Args:
        points: samples (points, 2).
        means: centres of the modes (modes, 2).
        std: standard deviation of each mode, in each direction.
    """
    ### BEGIN SOLUTION
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return len(nearest[good].unique()), good.float().mean().item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "mode-coverage-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.mode_coverage(mode_coverage)
### BEGIN HIDDEN TESTS
check.mode_coverage(mode_coverage, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Measure
#
# Both numbers are needed: noise all over the plane covers nearly every mode, and one perfect mode has only good samples. So we put *chance* (points anywhere in the square) and *ceiling* (points of the mixture itself) beside them.
# The ceiling of the good share is not 1: in the plane a round Gaussian has $1 - e^{-9/2}$, 98.9 %, of its points within three standard deviations. (On a line it would be 99.7 %.)

# %%
def coverage_row(name: str, points: Tensor, mixture: gan.GaussianMixture) -> dict:
    modes, good = mode_coverage(points, torch.tensor(mixture.means), mixture.std)
    return {"samples": name, "modes covered": f"{modes} of {len(mixture.means)}", "good": good}


chance = 2 * REACH * torch.rand(1_000, 2, generator=runtime.generator(1)) - REACH
rows = []
for name, mixture in (("ring", ring), ("grid", lattice)):
    rows += [coverage_row(f"{name}: yours", films[name].samples[-1], mixture), coverage_row(f"{name}: chance", chance, mixture),
             coverage_row(f"{name}: ceiling", mixture.sample(1_000, runtime.generator(2)), mixture)]  # fmt: skip
plots.table(rows, caption="1,000 samples each, after training")
if runtime.scale_name() != "smoke":
    covered, good = mode_coverage(films["ring"].samples[-1], torch.tensor(ring.means), ring.std)
    assert covered >= 7 and good > 0.4, "on the ring the samples should have found the modes"

# %% [markdown]
# The points between the modes stay: a continuous network maps a connected cloud of noise to a connected cloud, so it can only make the threads thin.
#
# Do the losses tell how good the samples are? Below are the losses of both players at each look (mean of the steps since the last one) beside the quality on the ring, which is the share of covered modes times the share of good samples.

# %%
film = films["ring"]
quality = [modes / 8 * good for modes, good in (mode_coverage(points, torch.tensor(ring.means), ring.std) for points in film.samples)]
parts = torch.stack([part.mean(dim=0) for part in film.losses.tensor_split(len(film.steps))])  # (looks, 2)
figure, axes = plots.figure(1, 3, width=8.4, height=2.4)
for axis, values, title, color in zip(axes[0], (parts[:, 0], parts[:, 1], quality), ("discriminator's loss", "generator's loss", "quality"), plots.COLORS, strict=False):
    axis.plot(film.steps, values, color=color)
    axis.set(title=title, xlabel="step")
axes[0, 2].set_ylim(0, 1)
plots.show(figure, alt="Three curves over the training. The discriminator's loss swings and then rises, the generator's swings and then sinks slowly, and the quality of samples climbs from 0 to its highest at the end.")
best = int(parts[:, 1].argmin())
print(f"The generator's loss was lowest, {parts[best, 1]:.2f}, at step {film.steps[best]}: quality {quality[best]:.2f}. At the end it is {parts[-1, 1]:.2f}: quality {quality[-1]:.2f}.")

# %% [markdown]
# A loss here is a grade from an opponent who learns as well: it says who is ahead, not how good the forgeries are. So GANs are judged by their samples.
#
# ## Pictures: the paper's digits
#
# In 2014 both networks were fully connected for digits, with convolutions only for the small colour photographs of CIFAR-10. Does the difference show? Real handwritten digits, 16 by 16 pixels, two GANs with your losses. From here on `training.fit` plays the game: it takes a list of
# players, and each moves in turn, the others' weights held still. (The convolutional network is the subject of the next notebook.)


# %%
def players(model: GAN | DCGAN, learning_rate: float) -> list[training.Player]:
    """Your game for `training.fit`."""

    def forged(batch: dict) -> Tensor:
        return model(torch.randn(len(batch["image"]), model.config.latent_dim, device=batch["image"].device))

    def detective(batch: dict) -> tuple[Tensor, dict]:
        return discriminator_loss(model.discriminate(batch["image"]), model.discriminate(forged(batch).detach())), {}

    def forger(batch: dict) -> tuple[Tensor, dict]:
        return non_saturating_generator_loss(model.discriminate(forged(batch))), {}

    adam = {"learning_rate": learning_rate, "betas": (0.5, 0.999)}
    return [training.Player("discriminator", model.discriminator, detective, **adam), training.Player("generator", model.generator, forger, **adam)]


def train_on_digits(name: str, model: GAN | DCGAN, learning_rate: float, steps: int) -> GAN | DCGAN:
    training.cached(
        f"01_gan/{name}",
        lambda: training.fit(players(model, learning_rate), loader(Digits("train", 16), 64), steps, schedule="constant", clip=None),
        model, uses=(players, discriminator_loss, non_saturating_generator_loss),
    )  # fmt: skip
    return model.eval()


runtime.seed_everything(1)
fully_connected = train_on_digits("fully-connected", GAN(GANConfig((1, 16, 16), 32, (256, 256), (256, 256))), 5e-4, scale(smoke=3, cpu=2_000, gpu=4_000))
convolutional = train_on_digits("convolutional", DCGAN(DCGANConfig(1, 16, 32, width=24)), 1e-3, scale(smoke=3, cpu=1_500, gpu=4_000))

held_out = torch.cat([Digits(split, 16).images for split in ("validation", "test")])
samples = {
    "real": held_out,
    "fully\nconnected": fully_connected.sample(len(held_out), runtime.generator(3)).cpu(),
    "convo-\nlutional": convolutional.sample(len(held_out), runtime.generator(3)).cpu(),
}
plots.show(
    plots.image_grid({name: images[::7][:36] for name, images in samples.items()}, columns=18),
    alt="Two rows each of real digits, of samples of the fully connected GAN with speckled edges, and of samples of the convolutional GAN with smoother strokes.",
)

# %% [markdown]
# Counting again, on the 8 by 8 pixels that the originals have:
#
# - **precision**: the share of samples that lie among the real ones (nearer to some held-out digit than that one's third neighbour), **recall**: the share of held-out digits that lie among the samples,
# - **kinds**: a classifier reads each sample; $e^{\text{entropy}}$ of how often it reads which digit, 10 if all are made equally often, 1 if always the same,
# - **nearness**: distance of the samples to their nearest *training* digit, divided by that of held-out digits. Well below 1 would mean copying.

# %%
reader, train_digits = DigitReader(), Digits("train", 16).images


def features(images: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(images, 8).flatten(1)  # (batch, 1, 16, 16) -> (batch, 64)


def digit_row(name: str, images: Tensor, unseen: Tensor) -> dict:
    """How `images` compare with held-out digits; `unseen` are those of them whose distance to the training set is taken."""
    shares = torch.bincount(reader.read(images), minlength=10) / len(images)
    found = precision_recall(features(held_out), features(images))
    nearness = memorisation(features(unseen), features(train_digits), features(held_out)).ratio
    return {"pictures": name, "precision": found.precision, "recall": found.recall,
            "kinds": torch.special.entr(shares).sum().exp().item(), "nearness": nearness}  # fmt: skip


digit_rows = [digit_row(name.replace("-\n", "").replace("\n", " "), images, images) for name, images in list(samples.items())[1:]]
noise = 2 * torch.rand(held_out.shape, generator=runtime.generator(4)) - 1
plots.table(
    [*digit_rows, digit_row("chance: noise", noise, noise), digit_row("ceiling: real digits", train_digits[: len(held_out)], held_out)],
    caption=f"{len(held_out)} pictures of each, against as many held-out digits (nearness of the last row: the held-out digits themselves)",
)
if runtime.scale_name() != "smoke":
    assert all(row["precision"] > 0.3 and row["kinds"] > 6 for row in digit_rows), "samples should look like digits, and not always like the same"
    assert digit_rows[1]["recall"] > digit_rows[0]["recall"], "the convolutional network should reach more of the real digits"

# %% [markdown]
# Each weight of the fully connected network belongs to one pixel, so nothing makes neighbours agree: its samples are speckled. Seen coarsely they lie among real digits, but they are much alike, and hardly a real digit lies among *them*: that is what recall tells.
# The convolutional network draws strokes and more kinds of handwriting, on a background that is not quite black, which costs precision. Both are far from the ceiling, and neither copies: its samples are farther from the training digits than unseen real digits are.
#
# ## A family of games
#
# Later papers kept the two players and changed what they minimise. With $a$ the logit of a real sample, $b$ that of a generated one, means over samples understood:
#
# | game | discriminator minimises | generator minimises |
# |---|---|---|
# | minimax (2014) | $-\log s(a) - \log s(-b)$ | $\log s(-b)$ |
# | non-saturating (2014) | the same | $-\log s(b)$ |
# | least squares (2017) | $\frac12 (a - 1)^2 + \frac12 b^2$ | $\frac12 (b - 1)^2$ |
# | hinge (2017) | $\max(0, 1 - a) + \max(0, 1 + b)$ | $-b$ |
# | Wasserstein (2017) | $b - a$ | $-b$ |
#
# Two penalties are added to the discriminator's loss, both on its slope $\nabla_x$, the gradient of the logit by the *sample*:
#
# - **WGAN-GP**: $\lambda\, (\lVert \nabla_x a(\hat x) \rVert - 1)^2$ at points $\hat x$ between real and generated samples. The Wasserstein loss has no bottom without it; with slope 1 it measures how far the samples have to be carried to become the data.
# - **R1**: $\frac{\gamma}{2} \lVert \nabla_x a(x) \rVert^2$ at real samples: once the generator is there, the discriminator shall not push it away.

# %%
logits, slopes = torch.linspace(-4, 4, 161), torch.linspace(0, 3, 121)
names = dict(zip(losses.LOSSES, ("-", "-", "--", "-.", ":"), strict=True))
figure, axes = plots.figure(1, 4, width=10.0, height=2.6)
zero = torch.zeros(1)
for color, (name, style) in zip(plots.COLORS, names.items(), strict=False):
    discriminator, generator = losses.LOSSES[name]
    drawn = {"color": color, "linestyle": style, "label": name.replace("_", " ")}
    if name != "minimax":  # its discriminator is the next one's
        axes[0, 0].plot(logits, [(discriminator(logit[None], zero) - discriminator(zero, zero)).item() for logit in logits], **drawn)
        axes[0, 1].plot(logits, [(discriminator(zero, logit[None]) - discriminator(zero, zero)).item() for logit in logits], **drawn)
    axes[0, 2].plot(logits, [(generator(logit[None]) - generator(zero)).item() for logit in logits], **drawn)
axes[0, 3].plot(slopes, [losses.gradient_penalty(slope.view(1, 1), 1.0).item() for slope in slopes], color=plots.COLORS[4], linestyle=":", label="WGAN-GP, λ = 1")
axes[0, 3].plot(slopes, [losses.r1_penalty(slope.view(1, 1), 1.0).item() for slope in slopes], color=plots.COLORS[5], label="R1, γ = 1")
for axis, title, label in zip(axes[0], ("D's loss, real sample", "D's loss, generated sample", "G's loss", "penalties on D"), ("logit a", "logit b", "logit b", "slope of the logit"), strict=True):
    axis.set(title=title, xlabel=label, ylim=(-5, 6))
axes[0, 0].set_ylabel("loss, less its value at logit 0")
axes[0, 3].set_ylim(0, 4.5)
axes[0, 2].legend(frameon=False, fontsize=6)
axes[0, 3].legend(frameon=False, fontsize=6)
plots.show(figure, alt="Four panels. The discriminator's loss for a real sample falls with its logit, for a generated one it rises, least squares with a bottom at 1 and 0. The generator's losses all fall as the logit grows up to 1, the saturating one flat for low logits. The penalties: WGAN-GP is smallest at slope 1, R1 at slope 0.")

# %% [markdown]
# Look at the left edge of the third panel, where the discriminator is sure: all slope downwards but the minimax one, which is flat. And at its right edge: least squares turns up again, so a sample that seems *too* real is pulled back. (Hinge and Wasserstein share one straight line.)
#
# Do these losses follow the quality of the samples? The lecture says that the parameters may oscillate or diverge, and that the generator's loss does not follow quality.
# The course's experiment tries six games, three times each: four of the table (hinge is left out), the Wasserstein game with its penalty, and the non-saturating game with R1. Its left panel is the smallest game there is: the data is the number 0, the generator one number, the discriminator a slope.

# %%
rows = training.results(plane_experiments.LOSSES_AND_QUALITY)
plots.show(
    plane_experiments.LOSSES_AND_QUALITY.figure(rows),
    alt="Left, how far the players of the smallest game are from their rest over the steps, for six games. Middle, quality on the ring over the training. Right, the generator's standardised loss over the same time.",
)
verdict = plane_experiments.LOSSES_AND_QUALITY.verdict(rows)
print(f"The lecture's claim {verdict.verdict}: {verdict.why}")

# %% [markdown]
# With logarithms or squares the generator's loss does sink in the end while quality climbs, after a start in which it says nothing. In the Wasserstein game with a penalty it *rises* while quality climbs. A curve that goes down, by itself, is no news.
#
# ## Break it: mode collapse
#
# Nothing in the generator's loss asks for variety. The best answer to a *given* discriminator is a single point: the one that looks most real. What keeps the generator from going there is only that the discriminator learns about it quickly. So let it learn slowly, ten times slower than the generator:

# %%
films["collapse"] = play(ring.sample, scale(smoke=32, cpu=1_500, gpu=1_500), discriminator_rate=1e-4)
late = torch.linspace(16, 31, 10).long()
plots.show(
    plots.image_grid(films["collapse"].pictures[late], columns=5, padding=4, zoom=2.6,
                     title="A slow discriminator, steps " + ", ".join(str(films["collapse"].steps[i]) for i in late)),
    alt="Ten pictures of the plane in the second half of the training. The black samples are one small heap each time, at another place from picture to picture, mostly not on a mode.",
)  # fmt: skip
collapse_rows = []
for name, samples_then in {"as fast as G": films["ring"].samples[16:], "ten times slower": films["collapse"].samples[16:]}.items():
    modes, good = zip(*(mode_coverage(points, torch.tensor(ring.means), ring.std) for points in samples_then), strict=True)
    spread = sum(points.std(dim=0).mean().item() for points in samples_then)
    collapse_rows.append({"discriminator": name, "modes covered": sum(modes) / 16, "good": sum(good) / 16, "spread of samples": spread / 16})
collapse_rows.append({"discriminator": "ceiling: the data", "modes covered": 8, "good": mode_coverage(ring.sample(1_000), torch.tensor(ring.means), ring.std)[1],
                      "spread of samples": ring.sample(1_000).std(dim=0).mean().item()})  # fmt: skip
plots.table(collapse_rows, caption="Means over the second half of the training (16 looks at 1,000 samples); spread: standard deviation in each direction")
if runtime.scale_name() != "smoke":
    assert collapse_rows[1]["modes covered"] < 0.5 * collapse_rows[0]["modes covered"], "a slow discriminator should let the samples collapse"

# %% [markdown]
# All samples sit in one heap, which runs about the ring: as soon as the discriminator has learned that this heap is forged, another place looks more real. It is a race, not a search, and it goes on. The course's experiment provokes collapse with a small discriminator and a high momentum, and tries three remedies over five seeds: more steps of the discriminator for
# each of the generator, the R1 penalty, and the Wasserstein loss with its penalty.

# %%
rows = training.results(plane_experiments.MODE_COLLAPSE)
plots.show(
    plane_experiments.MODE_COLLAPSE.figure(rows),
    alt="Four panels with the eight modes as circles and the samples of the median run as dots: without a remedy, and with each of three remedies.",
)
found = {remedy: {row["seed"]: (row["modes_covered"], row["good_share"]) for row in rows if row["remedy"] == remedy} for remedy in plane_experiments.REMEDIES}
wider = gan.ring(std=0.1)  # the experiment's data
anywhere = [2 * REACH * torch.rand(plane_experiments.POINTS, 2, generator=runtime.generator(seed)) - REACH for seed in range(5)]
found["chance: points anywhere"] = {seed: gan.mode_coverage(points, wider) for seed, points in enumerate(anywhere)}
found["ceiling: the data"] = {seed: gan.mode_coverage(wider.sample(plane_experiments.POINTS, runtime.generator(seed)), wider) for seed in range(5)}
plots.table(
    ({"remedy": remedy, **{f"seed {seed}": f"{modes} modes, {good:.2f} good" for seed, (modes, good) in by_seed.items()}} for remedy, by_seed in found.items()),
    caption=f"Modes of 8 that are covered, and share of good samples; {plane_experiments.POINTS} samples each",
)
verdict = plane_experiments.MODE_COLLAPSE.verdict(rows)
print(f"The lecture's claim {verdict.verdict}: {verdict.why}")

# %% [markdown]
# Read both numbers together: points strewn anywhere cover all eight modes as well. A remedy has brought a mode back only where the good share is clearly above that of chance.
#
# <details><summary>And how sensitive is all this to its settings? (a claim of the lecture)</summary>
#
# The experiment trains the game with nine pairs of learning rate and momentum, and the *same discriminator* with the same nine as a plain classifier, against points that never move. What a game needs beyond a classifier is luck with its settings.
# </details>

# %%
rows = training.results(plane_experiments.SENSITIVITY)
plots.show(
    plane_experiments.SENSITIVITY.figure(rows),
    alt="Two tables of three by three cells over learning rate and beta1, coloured by what was reached: left the game, right the same network as a classifier.",
)
verdict = plane_experiments.SENSITIVITY.verdict(rows)
print(f"The lecture's claim {verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## The real thing
#
# No weights of 2014 are published in a form that torch reads; their networks were not much larger than yours. The next notebook loads the published weights of a DCGAN.
#
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-data", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** The generator never sees a real sample. By which way does it learn about the data all the same, and why must the discriminator for this be more than a black box that says "real" or "generated"?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# Through the gradient of the discriminator's output by its input, evaluated at the generated sample: it says in which direction the sample would look more real, and goes on by the chain rule into the generator's weights. A black box would give the
# verdict without the direction. (A blind search over the generator's weights would still be possible, but hopelessly slow.)
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-coin", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** In a training the discriminator's loss has stayed near $\log 4 \approx 1.39$ for a long time. Does this prove that the generator has learned the data's distribution?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# No. With the best discriminator it would: log 4 means that the Jensen-Shannon divergence is zero. But a real discriminator may be far from the best one, too small or too slow, and then it says 1/2 because it cannot tell, although others could.
# The samples have to be measured by something that did not take part in the game.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-collapse", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **3.** A VAE that left out one of the eight modes would be punished without bound. Why is a GAN's generator hardly punished, and which of the two numbers in your table under "Measure", modes covered and good, would notice?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# The VAE's bound is a mean over the *data*: points of the missing mode get a log-likelihood far below zero. The generator's loss is a mean over its *own samples*, and none of these is at the missing mode, so nothing there reaches it; only the
# discriminator, which sees the data, could make that place attractive. The number of covered modes notices; the share of good samples does not.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Goodfellow, *NIPS 2016 tutorial: Generative adversarial networks*, 2016: by the inventor, with exercises.
# - Mescheder, Geiger and Nowozin, *Which training methods for GANs do actually converge?*, ICML 2018: the smallest game, in closed form.
# - Murphy, *Probabilistic Machine Learning: Advanced Topics*, MIT Press 2023, chapter 26.
