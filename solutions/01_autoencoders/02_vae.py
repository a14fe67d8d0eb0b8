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
# # Variational autoencoders: a code space without holes
#
# | | |
# |---|---|
# | **Time** | 75 minutes of work; the code runs in about 3 minutes on a laptop's CPU, 1 on a GPU |
# | **You need** | notebook 1 of this chapter; the normal distribution, expectation, the logarithm of a probability |
# | **Builds on** | the autoencoder; nothing that you wrote there is needed here |
# | **Code** | `course_utils/autoencoders/vae.py` |
# | **Papers** | Kingma and Welling, *Auto-encoding variational Bayes*, ICLR 2014 · Rezende, Mohamed and Wierstra, *Stochastic backpropagation*, ICML 2014 · Sohn, Lee and Yan, *Structured output representation using deep conditional generative models*, NIPS 2015 · Burda, Grosse and Salakhutdinov, *Importance weighted autoencoders*, ICLR 2016 · Higgins et al., *beta-VAE*, ICLR 2017 |
#
# A plain autoencoder draws letters from the codes of letters, and often scribble from any other code. The variational autoencoder (VAE) spreads the codes so that none
# near the origin is left out. By the end you will have drawn this map: each picture is decoded from its place on the sheet, and from
# nothing else.

# %%
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import plots, runtime, scale, training, widgets
from course_utils.autoencoders import experiments, recipes, vae
from course_utils.checks import autoencoders as check
from course_utils.data import Digits, Glyphs, loader

device = runtime.device()
runtime.seed_everything(0)

reference = training.load(recipes.VAE_GLYPHS)  # a VAE with a code of two numbers, shipped with the course


def manifold(decode, side: int = 16) -> Tensor:
    """Pictures decoded from a square lattice of codes, spaced so that each stands for equal prior probability."""
    shares = (torch.arange(side) + 0.5) / side
    ticks = torch.special.ndtri(shares)  # the normal distribution's quantiles: what lies between two ticks is equally likely
    codes = torch.cartesian_prod(ticks.flip(0), ticks).flip(1)  # first latent to the right, second upwards
    with torch.inference_mode():
        return decode(codes.to(device))


plots.show(
    plots.image_grid(manifold(reference.decode), columns=16, padding=0, title="Two numbers, and a letter at every place"),
    alt="A sheet of sixteen by sixteen characters that change smoothly into their neighbours.",
)

# %% [markdown]
# ## The idea
#
# Tell a story of how a picture comes about: first a code $z$ is drawn from a standard normal distribution, then the picture $x$ from a
# distribution that a **decoder** computes from the code.
#
# $$ p_\theta(x) = \int p_\theta(x \mid z)\, \mathcal N(z; 0, I)\, dz $$
#
# To learn $\theta$ we would make the pictures at hand likely. But the integral runs over all codes, and nearly all of them explain a given
# picture badly. So an **encoder** proposes, for each picture, the few codes worth looking at: a normal distribution
# $q_\phi(z \mid x) = \mathcal N(z; \mu_\phi(x), \sigma_\phi^2(x))$. What we can then compute is a lower bound, the **ELBO** (evidence lower bound):
#
# $$ \log p_\theta(x) \;\ge\; \underbrace{\mathbb E_{z \sim q_\phi(z \mid x)}\big[\log p_\theta(x \mid z)\big]}_{\text{reconstruction}}
#    \;-\; \underbrace{\mathrm{KL}\big(q_\phi(z \mid x)\,\Vert\,\mathcal N(0, I)\big)}_{\text{price of the code}} $$
#
# - $x$: a picture; $z \in \mathbb R^k$: its code (the latents),
# - $\mu_\phi(x), \sigma^2_\phi(x)$: mean and variance of the code, one pair for each of the $k$ numbers, computed by the encoder with weights $\phi$,
# - $p_\theta(x \mid z)$: how likely the decoder (weights $\theta$) finds the picture, given the code,
# - $\mathrm{KL}(q \Vert p) = \mathbb E_q[\log q - \log p]$, the Kullback-Leibler divergence: how many nats the code tells about the picture, beyond what the prior $\mathcal N(0, I)$ knew. A *nat* is $1/\ln 2 \approx 1.44$ bits.
#
# Why is it a bound? Write the integral as a mean over the encoder's codes, $p_\theta(x) = \mathbb E_{q}\big[p_\theta(x \mid z)\, \mathcal N(z; 0, I) / q_\phi(z \mid x)\big]$, and take the logarithm: the logarithm of a mean is at least the mean of the logarithms
# (Jensen), and the latter is the right-hand side. What is lost is $\mathrm{KL}(q_\phi(z \mid x) \Vert p_\theta(z \mid x))$: nothing, if the encoder proposes exactly the codes that the picture has.
#
# The first term wants codes that tell pictures apart. The second wants all codes to look like draws from one normal distribution, so that no
# holes remain. The picture below shows six characters, and beside each what is decoded from seven draws of its code: with two numbers for 62 characters, some turn into their neighbours on the map.

# %%
held_out = Glyphs("test", characters="alphanumeric")
test_batch = held_out.__getitems__(list(range(scale(smoke=256, cpu=2_000, gpu=2_000))))
test_images, test_labels = test_batch["image"].to(device), test_batch["label"]
with torch.inference_mode():
    mean, log_variance = reference.encode(test_images[:6])
    draws = mean[:, None] + (log_variance / 2).exp()[:, None] * torch.randn(6, 7, 2, generator=runtime.generator(0)).to(device)
    decoded = reference.decode(draws.flatten(0, 1)).unflatten(0, (6, 7))
plots.show(
    plots.image_grid(torch.cat([test_images[:6, None], decoded], dim=1).flatten(0, 1), columns=8,
                     title="Left: the picture. Then: decoded from seven draws of its code"),
    alt="Six rows. Each starts with a held-out character, followed by seven similar pictures decoded from draws of its code.",
)  # fmt: skip

# %% [markdown]
# ## Exercise 1 · The reparameterisation trick · *5 minutes, easy, core*
#
# The expectation over $q$ is estimated with one draw. But how does a gradient pass through a draw? Move the randomness out: draw
# $\epsilon \sim \mathcal N(0, I)$ first, which depends on nothing, and compute
#
# $$ z = \mu + \sigma \odot \epsilon \qquad (\odot: \text{number by number}). $$
#
# The encoder gives $\log \sigma^2$ in place of $\sigma$, because a logarithm may be any real number.
#
# <details><summary>Hint</summary>
#
# $\sigma = \exp(\tfrac12 \log \sigma^2)$. Use the `noise` that you are given: with a draw of your own nobody could check the result.
# </details>
#
# *Stuck? Set `reparameterize = vae.reparameterize` and go on. The same works for each exercise below.*

# %% nbgrader={"grade": false, "grade_id": "reparameterize", "locked": false, "schema_version": 3, "solution": true, "task": false}
def reparameterize(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """A draw from the normal distribution with `mean` and `log_variance`, made from standard normal `noise`.

    All three and the result are (batch, latent_dim).
    """
    ### BEGIN SOLUTION
    return mean + torch.exp(0.5 * log_variance) * noise
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "reparameterize-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.reparameterize(reparameterize)
### BEGIN HIDDEN TESTS
check.reparameterize(reparameterize, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 2 · The price of the code · *10 minutes, medium, core*
#
# Between two normal distributions with diagonal covariance the Kullback-Leibler divergence has a closed form (appendix B of the paper):
#
# $$ \mathrm{KL} = \frac12 \sum_{j=1}^{k} \left( \mu_j^2 + \sigma_j^2 - \log \sigma_j^2 - 1 \right) $$
#
# One number for each picture. It is zero exactly where $\mu = 0$ and $\sigma = 1$: then the code says nothing.

# %% nbgrader={"grade": false, "grade_id": "kl-divergence", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence in nats from N(mean, exp(log_variance)) to N(0, I).

    Args:
        mean, log_variance: (batch, latent_dim).

    Returns (batch,): summed over the latent dimensions.
    """
    ### BEGIN SOLUTION
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "kl-divergence-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.kl_divergence(kl_divergence)
### BEGIN HIDDEN TESTS
check.kl_divergence(kl_divergence, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 3 · The ELBO · *15 minutes, medium, core*
#
# Our characters are nearly black and white, so let each pixel be a coin: the decoder says with which probability there is ink. It gives *logits* $a_i$
# (any real number), the probability is the sigmoid $s(a_i) = 1 / (1 + e^{-a_i})$, and with ink values $t_i = (x_i + 1) / 2 \in [0, 1]$
#
# $$ \log p_\theta(x \mid z) = \sum_{i=1}^{d} \big( t_i \log s(a_i) + (1 - t_i) \log (1 - s(a_i)) \big), \qquad
#    \mathrm{ELBO}_\beta = \log p_\theta(x \mid z) - \beta\, \mathrm{KL} . $$
#
# $\beta = 1$ is the true bound. Other values buy better reconstructions ($\beta < 1$) or simpler codes ($\beta > 1$).
#
# <details><summary>Hint</summary>
#
# `F.binary_cross_entropy_with_logits(..., reduction="none")` is minus the term in the sum, and does not overflow where $\log s(a)$ by hand would.
# Mind the range: pictures are in $[-1, 1]$, coins in $[0, 1]$.
# </details>

# %% nbgrader={"grade": false, "grade_id": "elbo", "locked": false, "schema_version": 3, "solution": true, "task": false}
def elbo(logits: Tensor, images: Tensor, mean: Tensor, log_variance: Tensor, beta: float = 1.0) -> Tensor:
    """The evidence lower bound of each picture, in nats.

    Args:
        logits: decoder output (batch, channels, height, width).
        images: pictures of the same shape in [-1, 1].
        mean, log_variance: the encoder's (batch, latent_dim).
        beta: weight of the KL divergence.

    Returns (batch,): to be made large.
    """
    ### BEGIN SOLUTION
    targets = (images + 1) / 2
    log_likelihood = -F.binary_cross_entropy_with_logits(logits, targets, reduction="none").flatten(1).sum(dim=1)
    return log_likelihood - beta * kl_divergence(mean, log_variance)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "elbo-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.elbo(elbo)
### BEGIN HIDDEN TESTS
check.elbo(elbo, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Train
#
# Your three functions, two small networks, and the engine that all later notebooks use: `training.fit` runs the loop that you wrote in notebook 1, and
# adds the progress bar, the learning-rate schedule and the history. We learn the ten digits, as the original paper did, with a code of two numbers.
#
# (The result is kept: run the cell again and it is there at once, unless you change one of your functions.)


# %%
class DigitVAE(nn.Module):
    """Two fully connected networks around the functions above."""

    def __init__(self, features: int = 32 * 32, hidden: int = 400, latent_dim: int = 2):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent_dim)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, features), nn.Unflatten(1, (1, 32, 32))
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean, log_variance

    def elbo(self, images: Tensor, beta: float = 1.0) -> tuple[Tensor, Tensor]:
        """The bound of each picture and its price, both (batch,)."""
        mean, log_variance = self.encode(images)
        latents = reparameterize(mean, log_variance, torch.randn_like(mean))
        return elbo(self.decoder(latents), images, mean, log_variance, beta), kl_divergence(mean, log_variance)


from torch.utils.data import Subset


def only_digits(glyphs: Glyphs) -> Subset:
    """The digits among the characters: the first ten classes."""
    labels = glyphs.label[glyphs.entries(range(len(glyphs)))]
    return Subset(glyphs, (labels < 10).nonzero()[:, 0].tolist())


digits = only_digits(Glyphs("train", fields=("image", "label")))


def train_vae(beta: float = 1.0, steps: int = scale(smoke=10, cpu=2_000, gpu=2_000)) -> tuple[DigitVAE, training.History]:
    runtime.seed_everything(1)
    model = DigitVAE().to(device)

    def objective(batch: dict) -> tuple[Tensor, dict]:
        bound, price = model.elbo(batch["image"], beta)
        return -bound.mean(), {"KL": price.mean(), "reconstruction": -(bound + beta * price).mean()}

    player = training.Player("vae", model, objective, learning_rate=2e-3)
    history = training.cached(
        f"02_vae/beta-{beta}", lambda: training.fit(player, loader(digits, 128, seed=1), steps), model,
        uses=(reparameterize, kl_divergence, elbo),
    )  # fmt: skip
    return model, history


model, history = train_vae()
plots.show(
    plots.curves({name: history[name] for name in ("loss", "reconstruction", "KL")}, ylabel="nats a picture", log=True, smooth=50),
    alt="Loss and reconstruction term fall together; the KL term peaks in the first steps, falls, and settles at a few nats.",
)

# %% [markdown]
# ## Exercise 4 · Sampling · *5 minutes, easy, core*
#
# To make a new picture, throw the encoder away: draw a code from the prior, decode it, turn logits into ink. Return the *mean* of each
# pixel's coin, $s(a_i)$, stretched from $[0, 1]$ to the $[-1, 1]$ of all our pictures, and build no graph.

# %% nbgrader={"grade": false, "grade_id": "sample", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sample(decode_logits, noise: Tensor) -> Tensor:
    """New pictures from standard normal noise.

    Args:
        decode_logits: maps latents (batch, latent_dim) to logits (batch, channels, height, width).
        noise: (batch, latent_dim), the draw from the prior.

    Returns pictures (batch, channels, height, width) in [-1, 1], without a gradient.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        return 2 * torch.sigmoid(decode_logits(noise)) - 1
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "sample-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.sample(sample)
### BEGIN HIDDEN TESTS
check.sample(sample, hidden=True)
### END HIDDEN TESTS

# %%
plots.show(
    plots.image_grid(manifold(lambda codes: sample(model.decoder, codes), 14), columns=14, padding=0, title="The map that your VAE has drawn"),
    alt="A sheet of fourteen by fourteen digits; neighbours resemble one another, and regions of each digit are visible.",
)
digit_test = only_digits(Glyphs("test", fields=("image", "label")))
digit_test = digit_test.__getitems__(range(min(len(digit_test), scale(smoke=128, cpu=2_000, gpu=2_000))))
with torch.inference_mode():
    codes, _ = model.encode(digit_test["image"].to(device))
plots.show(
    plots.scatter(codes, digit_test["label"], "0123456789", title="Where held-out digits lie"),
    alt="Scatter plot of two-dimensional codes: ten clouds, one for each digit, around the origin, touching one another.",
)

# %% [markdown]
# Are the holes gone? Let the glyph judge read what your decoder makes of codes drawn from the prior:

# %%
from course_utils.metrics import READABLE
from course_utils.metrics.recipes import GLYPH_JUDGE

judge = training.load(GLYPH_JUDGE)
with torch.inference_mode():
    real_digits = digit_test["image"].to(device)
    kinds = {
        "real": real_digits,
        "rebuilt": sample(model.decoder, model.encode(real_digits)[0]),
        "drawn from the prior": sample(model.decoder, torch.randn(len(real_digits), 2, generator=runtime.generator(2)).to(device)),
    }
plots.table(
    ({"pictures": name, "readable": (judge.confidence(images) >= READABLE).double().mean().item()} for name, images in kinds.items()),
    caption=f"Share that the judge reads with a confidence of at least {READABLE}; {len(real_digits)} pictures each",
)

# %% [markdown]
# With two numbers even reconstructions are often doubtful. But the prior's draws are read nearly as often as these: no code near the origin was left out. (For the plain autoencoder of notebook 1 the two shares were far apart.)
# What is not read lies between two digits, where the map turns from one into the other.
#
# ## Look: the latent explorer
#
# Move the two numbers of the code. (Without widgets: the map above shows the same.)

# %%
widgets.explorer(
    lambda latent_1, latent_2, model: {"reference": reference.decode, "yours": lambda codes: sample(globals()["model"].decoder, codes)}[model](
        torch.tensor([[latent_1, latent_2]], device=device)
    ),
    alt="the picture decoded from the chosen pair of latents",
    zoom=8,
    latent_1=(-2.5, 2.5, 0.0),
    latent_2=(-2.5, 2.5, 0.0),
    model=["yours", "reference"],
)

# %% [markdown]
# ## Exercise 5 · Conditional VAE: say what you want · *5 minutes, easy, core*
#
# To ask for a *seven*, give the label to the networks: to the encoder, so that the code need not spell it out, and to the decoder, so that it
# knows what to draw. Simply append it to the features, as a *one-hot* vector: all zeros but for a one at the label's place. (Appending the integer
# itself would claim that 8 is twice a 4.)

# %% nbgrader={"grade": false, "grade_id": "append-label", "locked": false, "schema_version": 3, "solution": true, "task": false}
def append_label(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Features (batch, d) with the one-hot label appended: (batch, d + num_classes).

    Args:
        labels: (batch,) int64 in [0, num_classes).
    """
    ### BEGIN SOLUTION
    one_hot = F.one_hot(labels, num_classes).to(features.dtype)
    return torch.cat([features, one_hot], dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "append-label-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.append_label(append_label)
### BEGIN HIDDEN TESTS
check.append_label(append_label, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# The reference `cvae-digits` was trained so on real handwritten digits. One code a row, the label from 0 to 9: the code now holds the *handwriting*.

# %%
conditional = training.load(recipes.CVAE_DIGITS)
hand = torch.randn(5, conditional.config.latent_dim, generator=runtime.generator(3)).to(device).repeat_interleave(10, 0)
with torch.inference_mode():
    written = conditional.decode(hand, torch.arange(10, device=device).repeat(5))
real = Digits("test").__getitems__(list(range(20)))["image"]
plots.show(
    plots.image_grid({"real": real, "one code\na row": written}, columns=10),
    alt="Above, two rows of real handwritten digits, which fill their frames. Below, five rows of the digits 0 to 9; each row has its own slant and stroke.",
)

# %% [markdown]
# Does the label have to enter *both* networks, as the lecture says? An experiment of the course tried all four ways (neither network, one of them, both) with three seeds:

# %%
label_rows = training.results(experiments.CVAE_LABEL)
plots.show(
    experiments.CVAE_LABEL.figure(label_rows),
    alt="Share of conditional samples that a classifier reads as the wanted digit, for the label in neither network, one of them, or both.",
)
verdict = experiments.CVAE_LABEL.verdict(label_rows)
print(f"The lecture's claim {verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Exercise 6 · A tighter bound · *10 minutes, medium, optional*
#
# With $S$ draws $z_1, \dots, z_S$ of the code instead of one, the *importance-weighted* bound
#
# $$ \log p(x) \;\ge\; \mathbb E\left[\log \frac1S \sum_{s=1}^{S} \frac{p_\theta(x, z_s)}{q_\phi(z_s \mid x)}\right], \qquad p_\theta(x, z) = p_\theta(x \mid z)\, \mathcal N(z; 0, I), $$
#
# grows with $S$ (on average over the draws) and reaches $\log p(x)$ in the limit. The weights differ by hundreds of nats, so add them up in log space.
#
# <details><summary>Hint</summary>
#
# `torch.logsumexp(log_weights, dim=0)` is the log of a sum; the mean needs $\log S$ taken off.
# </details>

# %% nbgrader={"grade": false, "grade_id": "importance-weighted-bound", "locked": false, "schema_version": 3, "solution": true, "task": false}
def importance_weighted_bound(log_joint: Tensor, log_posterior: Tensor) -> Tensor:
    """The importance-weighted bound on log p(x), in nats.

    Args:
        log_joint: log p(x, z_s), (samples, batch).
        log_posterior: log q(z_s | x), (samples, batch).

    Returns (batch,).
    """
    ### BEGIN SOLUTION
    log_weights = log_joint - log_posterior
    return torch.logsumexp(log_weights, dim=0) - torch.log(torch.tensor(float(len(log_weights))))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "importance-weighted-bound-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.importance_weighted_bound(importance_weighted_bound)
### BEGIN HIDDEN TESTS
check.importance_weighted_bound(importance_weighted_bound, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Measure: nats a picture
#
# The ELBO is a lower bound of the log-likelihood, so models can be compared by it, and with doing nothing: a *constant* model gives every pixel its mean
# probability and needs no code. Below, held-out digits, your model and the constant one; and with your bound of exercise 6, how much the ELBO leaves out.

# %%
def bounds(model: DigitVAE, images: Tensor, samples: int) -> dict[str, float]:
    """ELBO, its two terms and the importance-weighted bound, in nats, averaged over pictures (batch, 1, 32, 32)."""
    with torch.inference_mode():
        mean, log_variance = model.encode(images)
        prior = torch.distributions.Normal(torch.zeros_like(mean), 1.0)
        posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
        noise = torch.randn(samples, *mean.shape, generator=runtime.generator(4)).to(device)
        latents = mean + posterior.scale * noise  # (samples, batch, latent_dim)
        logits = model.decoder(latents.flatten(0, 1))  # (samples * batch, 1, 32, 32)
        log_likelihood = vae.bernoulli_log_likelihood(logits, images.repeat(samples, 1, 1, 1)).view(samples, -1)
        log_joint = log_likelihood + prior.log_prob(latents).sum(2)
        tight = importance_weighted_bound(log_joint.cpu(), posterior.log_prob(latents).sum(2).cpu()).mean().item()
        price = kl_divergence(mean, log_variance).mean().item()
    reconstruction = log_likelihood.mean().item()
    return {"reconstruction": reconstruction, "KL": price, "ELBO": reconstruction - price, f"bound of {samples} draws": tight}


digit_images = digit_test["image"].to(device)[:500]
train_ink = ((digits.__getitems__(list(range(2_000)))["image"] + 1) / 2).mean(0).clamp(1e-3, 1 - 1e-3).to(device)
constant = -F.binary_cross_entropy(train_ink.expand_as(digit_images), (digit_images + 1) / 2, reduction="none").flatten(1).sum(1).mean().item()
measured = bounds(model, digit_images, 50)
plots.table(
    [{"model": "constant", **dict.fromkeys(measured, ""), "ELBO": constant}, {"model": "yours", **measured}],
    caption=f"Nats a picture on {len(digit_images)} held-out digits; larger is better",
)
if runtime.scale_name() != "smoke":
    assert measured["ELBO"] > constant + 20, "the bound should beat a model that ignores the picture by far"
assert measured["bound of 50 draws"] > measured["ELBO"], "more draws can only tighten the bound"

# %% [markdown]
# The grey edges of our characters are no coin flips, so even a perfect decoder pays for them: the entropy of the grey values is a ceiling below zero. The reference
# checkpoints of the chapter, measured on held-out data when they were trained: the bound, its KL, the importance-weighted bound (on the first 128 pictures only), and how many latents are in use.
# (The scenes have a Gaussian likelihood: a *density*, which may be far above one, and its logarithm above zero.)

# %%
# NBVAL_CHECK_OUTPUT
for recipe in (recipes.VAE_GLYPHS, recipes.VAE_SCENES, recipes.CVAE_DIGITS):
    card = training.read_card(recipe)
    print(recipe.name, {name: round(card["metrics"][name], 1) for name in ("elbo_nats", "kl_nats", "iw_bound_nats", "active_units")})

# %% [markdown]
# ## Break it: a price too high, and the blur
#
# **Posterior collapse.** Raise $\beta$, and the code becomes dearer than what it buys. The encoder answers with the prior for every picture, and the code says
# nothing: the *active units* (latents whose mean varies over pictures, with a variance above 0.01) die one by one. The course's experiment with eight latents, five values of $\beta$, three seeds; below it your own network with its two:

# %%
sweep_rows = training.results(experiments.VAE_BETA_SWEEP)
plots.show(
    experiments.VAE_BETA_SWEEP.figure(sweep_rows),
    alt="As beta grows, reconstruction error rises, the KL falls to zero and the number of active units falls to zero.",
)
collapsed, _ = train_vae(beta=200.0, steps=scale(smoke=10, cpu=600, gpu=600))
with torch.inference_mode():
    active = {name: vae.active_units(m.encode(digit_images)[0]) for name, m in [("beta 1", model), ("beta 200", collapsed)]}
print("active units of two, run live:", {name: int(units) for name, units in active.items()})
if runtime.scale_name() != "smoke":
    assert active["beta 1"] == 2 and active["beta 200"] == 0
plots.show(
    plots.image_grid({"beta 1": sample(model.decoder, torch.randn(10, 2, generator=runtime.generator(5)).to(device)),
                      "beta 200": sample(collapsed.decoder, torch.randn(10, 2, generator=runtime.generator(5)).to(device))}, columns=10),
    alt="Above, ten different digits. Below, ten times the same grey blob: the mean of all digits.",
)  # fmt: skip

# %% [markdown]
# **Blur.** A code that names a picture only roughly leaves the decoder unsure where an edge lies, and the best it can do for a sum of squares, or for coins, is the
# average over the possibilities: a soft edge. `vae-scenes` shows it, and sharpness (energy of the finest details against real pictures) measures it.

# %%
scene_vae = training.load(recipes.VAE_SCENES)
from course_utils.data import Scenes
from course_utils.metrics import sharpness

real_scenes = Scenes("test").__getitems__(list(range(256)))["image"].to(device)
with torch.inference_mode():
    mean, log_variance = scene_vae.encode(real_scenes)
    rebuilt = scene_vae.decode(mean)
    drawn = scene_vae.sample(256, generator=runtime.generator(6))
plots.show(
    plots.image_grid({"real": real_scenes[:12], "rebuilt": rebuilt[:12], "drawn": drawn[:12]}, columns=12),
    alt="Three rows of scenes with coloured shapes: real ones with crisp edges, reconstructions a little softer, and "
    "draws from the prior, in which shapes are smeared.",
)
real_sharpness = sharpness(real_scenes).mean().item()
plots.table(
    [{"pictures": name, "sharpness against real": sharpness(images).mean().item() / real_sharpness}
     for name, images in [("real", real_scenes), ("rebuilt", rebuilt), ("drawn", drawn)]],
    caption="256 held-out scenes; 1 is as sharp as real, 0 a plain colour",
)  # fmt: skip

# %% [markdown]
# The lecture says that VAE samples are blurrier than a GAN's. The VAE half of that claim is measured here; the GANs of chapter 2 have to answer it.
#
# ## The real thing
#
# Kingma and Welling published no weights; their 2014 networks were as small as yours. The VAE that everybody uses today sits inside Stable Diffusion (84 million
# weights, a KL with a weight of about a millionth); chapter 4 builds it and loads the published file.
#
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-collapse", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** With a very strong decoder (one that predicts each pixel from its neighbours) a VAE can collapse even at $\beta = 1$. Why is the collapsed state then not even a bad one, by the ELBO?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# If the decoder can model the pictures without the code, the code's information buys no likelihood but still costs its KL. The ELBO is then largest with KL zero: a perfect density
# model that has learned no representation. One has to weaken the decoder or pay for a minimum of information.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-blur", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** `sample` returns the mean of each pixel's coin. What would the pictures look like if you tossed the coins instead, and which of the two is the true sample of the model?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# Speckled: each pixel is tossed independently of its neighbours given the code, so soft edges become salt and pepper. The tossed picture is the true sample of the model; the mean is shown because it looks better, and
# this difference is exactly what the model does not know.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Kingma and Welling, *An introduction to variational autoencoders*, 2019: the same authors, a patient book of ninety pages.
# - Luo, *Understanding diffusion models: a unified perspective*, 2022, sections 2 and 3: from this ELBO to chapter 4 in one line of thought.
# - Murphy, *Probabilistic Machine Learning: Advanced Topics*, MIT Press 2023, chapter 21.
