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
# # Autoencoders: how a network makes a picture
#
# | | |
# |---|---|
# | **Time** | 60 minutes of work; the code runs in about 2 minutes on a laptop's CPU, 1 on a GPU |
# | **You need** | PyTorch tensors, `nn.Module`, what a gradient is; a little linear algebra |
# | **Builds on** | nothing: this is the first notebook |
# | **Code** | `course_utils/autoencoders/autoencoder.py` |
# | **Papers** | Hinton and Salakhutdinov, *Reducing the dimensionality of data with neural networks*, Science 2006 · Baldi and Hornik, *Neural networks and principal component analysis*, Neural Networks 1989 · Odena, Dumoulin and Olah, *Deconvolution and checkerboard artifacts*, Distill 2016 |
#
# So far networks have turned pictures into labels. Here one turns numbers into pictures. By the end you will have trained
# a network that squeezes a letter into sixteen numbers and draws it again from them, and you will have walked from one
# letter to another through the numbers in between:

# %%
import numpy
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import plots, runtime, scale, training, widgets
from course_utils.autoencoders import autoencoder, recipes
from course_utils.checks import autoencoders as check
from course_utils.data import Glyphs, loader
from course_utils.data.glyphs import class_names

device = runtime.device()
runtime.seed_everything(0)
NAMES = class_names("alphanumeric")

reference = training.load(recipes.AUTOENCODER_GLYPHS)  # the trained network that ships with the course


def walk(model: nn.Module, start: Tensor, end: Tensor, steps: int = 12) -> Tensor:
    """Decode `steps` points on the straight line from the code of `start` to that of `end` (1, 1, height, width)."""
    with torch.inference_mode():
        codes = model.encode(torch.cat([start, end]))  # (2, latent_dim)
        weights = torch.linspace(0, 1, steps, device=codes.device)[:, None]
        return model.decode((1 - weights) * codes[:1] + weights * codes[1:])


held_out = Glyphs("test", characters="alphanumeric")
test_batch = held_out.__getitems__(list(range(scale(smoke=200, cpu=2_000, gpu=2_000))))
test_images, test_labels = test_batch["image"].to(device), test_batch["label"]


def example(character: str, number: int = 0) -> Tensor:
    """The `number`-th held-out picture (1, 1, 32, 32) of a character."""
    where = (test_labels == NAMES.index(character)).nonzero()[:, 0]
    return test_images[where[number % len(where)]][None]


pairs = [("A", "R"), ("3", "8"), ("n", "h"), ("C", "G")]
plots.show(
    plots.image_grid(
        {f"{a} to {b}": walk(reference, example(a), example(b)) for a, b in pairs},
        columns=12,
        title="From one letter to another through the sixteen numbers in between",
    ),
    alt="Four rows of twelve pictures. In each row one character turns step by step into another: A into R, 3 into 8, "
    "n into h, C into G.",
)

# %% [markdown]
# ## The idea
#
# Put two networks one behind the other. The **encoder** turns a picture $x$ into a short list of numbers, its *code* or
# *latents* $z$. The **decoder** turns the code back into a picture $\hat x$:
#
# $$ z = f_\phi(x), \qquad \hat x = g_\theta(z), \qquad
#    \min_{\phi, \theta}\; \frac{1}{N}\sum_{n=1}^{N} \lVert x_n - g_\theta(f_\phi(x_n)) \rVert^2 $$
#
# - $x \in [-1, 1]^{d}$ is a picture of $d$ values (here $32 \times 32 = 1024$; ink is $+1$, paper $-1$),
# - $f_\phi$ is the encoder with weights $\phi$, $g_\theta$ the decoder with weights $\theta$,
# - $z \in \mathbb{R}^k$ is the code; $k$ is much smaller than $d$ (here 16), so the network cannot just copy,
# - $\lVert\cdot\rVert^2$ sums the squared differences over the values of one picture; $N$ is the number of pictures.
#
# Nobody says what the sixteen numbers should mean. The bottleneck forces the network to find out what letters have in
# common. Here are our letters: every character 0-9, A-Z, a-z in the fonts that come with matplotlib, each a little
# shifted, scaled and slanted.

# %%
train_set = Glyphs("train", characters="alphanumeric")
first = train_set.__getitems__(list(range(32)))
print("pictures for training:", len(train_set), "  one batch:", tuple(first["image"].shape), first["image"].dtype)
plots.show(
    plots.image_grid(first["image"], columns=16, title="Training pictures"),
    alt="A sheet of 32 white-on-black letters and digits in various fonts.",
)

# %% [markdown]
# ## Exercise 1 · The network · *10 minutes, easy, core*
#
# Write the two halves and join them. The layers are made for you: `encoder_hidden`, `encoder_out`, `decoder_hidden`,
# `decoder_out`, all linear.
#
# - `encode` flattens each picture, applies the hidden layer, a ReLU, and the output layer. The code itself may be any
#   real number, so nothing comes after.
# - `decode` does the reverse. Its output is a picture in $[-1, 1]$: end with `tanh`, then give it the shape of a picture.
#
# <details><summary>Hint</summary>
#
# `images.flatten(1)` keeps the batch axis and joins the rest. `unflatten(1, (1, size, size))` is its inverse, and the
# side length is stored in `self.image_size`.
# </details>
#
# *Stuck? Set `Autoencoder = autoencoder.FullyConnected` in the cell below and go on.*


# %% nbgrader={"grade": false, "grade_id": "autoencoder", "locked": false, "schema_version": 3, "solution": true, "task": false}
class Autoencoder(nn.Module):
    """A fully connected autoencoder for one-channel pictures.

    Args:
        in_features: values of one picture, height * width.
        hidden_features: width of the hidden layer of each half.
        latent_features: numbers in the code.
    """

    def __init__(self, in_features: int, hidden_features: int, latent_features: int):
        super().__init__()
        self.image_size = int(in_features**0.5)
        self.encoder_hidden = nn.Linear(in_features, hidden_features)
        self.encoder_out = nn.Linear(hidden_features, latent_features)
        self.decoder_hidden = nn.Linear(latent_features, hidden_features)
        self.decoder_out = nn.Linear(hidden_features, in_features)

    def encode(self, images: Tensor) -> Tensor:
        """Pictures (batch, 1, height, width) in [-1, 1] to codes (batch, latent_features)."""
        ### BEGIN SOLUTION
        return self.encoder_out(F.relu(self.encoder_hidden(images.flatten(1))))
        ### END SOLUTION

    def decode(self, latents: Tensor) -> Tensor:
        """Codes (batch, latent_features) to pictures (batch, 1, height, width) in [-1, 1]."""
        ### BEGIN SOLUTION
        pixels = torch.tanh(self.decoder_out(F.relu(self.decoder_hidden(latents))))
        return pixels.unflatten(1, (1, self.image_size, self.image_size))
        ### END SOLUTION

    def forward(self, images: Tensor) -> Tensor:
        """Pictures (batch, 1, height, width) to their reconstructions, of equal shape."""
        ### BEGIN SOLUTION
        return self.decode(self.encode(images))
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "autoencoder-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.autoencoder(Autoencoder)
### BEGIN HIDDEN TESTS
check.autoencoder(Autoencoder, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 2 · The loss · *5 minutes, easy, core*
#
# $$ L = \frac{1}{N} \sum_{n=1}^{N} \sum_{i=1}^{d} (\hat x_{n,i} - x_{n,i})^2 $$
#
# Sum over the $d$ values of a picture, average over the $N$ pictures of the batch. The sum over a picture is a choice
# that pays off in the next notebook, where this term is weighed against another one.

# %% nbgrader={"grade": false, "grade_id": "reconstruction-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def reconstruction_loss(reconstruction: Tensor, images: Tensor) -> Tensor:
    """Squared error of `reconstruction` against `images`, both (batch, channels, height, width).

    Returns a scalar: summed over the values of a picture, averaged over the batch.
    """
    ### BEGIN SOLUTION
    return (reconstruction - images).square().flatten(1).sum(dim=1).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "reconstruction-loss-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.reconstruction_loss(reconstruction_loss)
### BEGIN HIDDEN TESTS
check.reconstruction_loss(reconstruction_loss, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 3 · The bare training loop · *10 minutes, medium, core*
#
# One step of training, as it stands at the heart of every notebook of this course. In order: forget the old gradients,
# reconstruct, measure the loss, compute the gradients, move the weights. Return the loss as a plain Python number: a
# tensor would keep the whole graph of the step alive.
#
# <details><summary>Hint</summary>
#
# The four words are `zero_grad`, `backward`, `step` and `item`. PyTorch *adds* new gradients to those already there:
# that is why they have to be forgotten first.
# </details>

# %% nbgrader={"grade": false, "grade_id": "train-step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor) -> float:
    """One step on `images` (batch, 1, height, width): `model(images)` should come closer to `images`.

    Uses `autoencoder.reconstruction_loss` (or your own). Returns the loss before the step, as a float.
    """
    ### BEGIN SOLUTION
    optimizer.zero_grad()
    loss = autoencoder.reconstruction_loss(model(images), images)
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "train-step-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.train_step(train_step)
### BEGIN HIDDEN TESTS
check.train_step(train_step, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Train
#
# Your network, your loss, your step. The mean picture, drawn for every input, is what a network finds first; your error should fall below
# 0.4 of the error of that.

# %%
runtime.seed_everything(1)
model = Autoencoder(32 * 32, 256, 16).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
losses = []
for step, batch in enumerate(training.progress(loader(train_set, 128, seed=1), steps=scale(smoke=20, cpu=1_500, gpu=1_500))):
    losses.append(train_step(model, optimizer, batch["image"].to(device)))

mean_picture = first["image"].mean(dim=0, keepdim=True).to(device)
mean_error = autoencoder.reconstruction_loss(mean_picture.expand_as(test_images), test_images).item()
plots.show(
    plots.curves({"your training loss": losses, "the mean picture": [mean_error] * len(losses)},
                 ylabel="squared error of a picture", log=True, smooth=20),
    alt="The loss of the training falls quickly at first, then slowly, far below the error of the mean picture.",
)  # fmt: skip

# %%
with torch.inference_mode():
    own_error = autoencoder.reconstruction_loss(model(test_images), test_images).item()
print(f"held-out squared error of a picture: yours {own_error:.0f}, the mean picture {mean_error:.0f}")
if runtime.scale_name() != "smoke":
    assert own_error < 0.4 * mean_error, "the network has hardly learned: look at your loss curve above"

# %%
chosen = torch.cat([example(c, 3) for c in "ABGRaegk23478"])
with torch.inference_mode():
    plots.show(
        plots.image_grid(
            {"held-out": chosen, "yours": model(chosen), "reference": reference(chosen)}, columns=13,
            title="Sixteen numbers are enough to draw most letters again",
        ),
        alt="Three rows of thirteen characters: held-out pictures, your reconstructions, and the reference's, "
        "which are a little sharper.",
    )  # fmt: skip

# %% [markdown]
# ## How to enlarge: transposed or resize-convolution?
#
# A fully connected decoder learns every pixel on its own. A convolutional one starts from a small grid and doubles it
# a few times. There are two usual ways to double:
#
# - a **transposed convolution** of stride 2: every input value stamps a weighted kernel onto the output, two pixels
#   apart from the next stamp;
# - a **resize-convolution**: repeat each value in a 2 by 2 square (nearest neighbour), then convolve as usual.
#
# When the kernel size is no multiple of the stride, stamps overlap unevenly, and a regular pattern comes with the
# architecture before anything has been learned. Count how many stamps reach each pixel:

# %%
# NBVAL_CHECK_OUTPUT
ones = torch.ones(1, 1, 6, 6)
stamps_3 = F.conv_transpose2d(ones, torch.ones(1, 1, 3, 3), stride=2, padding=1, output_padding=1)
stamps_4 = F.conv_transpose2d(ones, torch.ones(1, 1, 4, 4), stride=2, padding=1)
print("kernel 3, stride 2, stamps on a 4 x 4 patch:")
print(stamps_3[0, 0, 4:8, 4:8].int().tolist())
print("kernel 4, stride 2:")
print(stamps_4[0, 0, 4:8, 4:8].int().tolist())

# %% [markdown]
# ## Exercise 4 · Resize-convolution · *10 minutes, easy, optional*
#
# Double the resolution by repeating values, then apply a 3 by 3 convolution with the given weights and one pixel of
# zero padding.

# %% nbgrader={"grade": false, "grade_id": "resize-convolution", "locked": false, "schema_version": 3, "solution": true, "task": false}
def resize_convolution(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Enlarge features (batch, channels, height, width) to (batch, out_channels, 2 * height, 2 * width).

    Args:
        weight: (out_channels, channels, 3, 3).
        bias: (out_channels,).
    """
    ### BEGIN SOLUTION
    enlarged = F.interpolate(features, scale_factor=2, mode="nearest")
    return F.conv2d(enlarged, weight, bias, padding=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "resize-convolution-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.resize_convolution(resize_convolution)
### BEGIN HIDDEN TESTS
check.resize_convolution(resize_convolution, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# See it happen: the same smooth input through three doublings with random weights that nobody has trained. The number under the picture is the share of the finest
# pattern: with second differences $s_i = x_{i+1} - 2x_i + x_{i-1}$, which see an alternation best, and differences across two pixels, which do not see it at all, it is
# $\overline{s^2} / (4\, \overline{(x_{i+1} - x_{i-1})^2} + \overline{s^2})$.

# %%
torch.manual_seed(3)
grid = torch.linspace(-1, 1, 8)
smooth = torch.stack([torch.exp(-2 * (grid[:, None] - y).square() - 2 * (grid - x).square())
                      for y, x in [(-0.4, -0.4), (0.4, 0.2), (0.0, 0.6), (0.5, -0.5)]])[None]  # fmt: skip
weights = [torch.randn(4, 4, 3, 3) / 6 + 0.1 for _ in range(3)]
transposed, resized = smooth, smooth
for weight in weights:
    transposed = F.conv_transpose2d(transposed, weight, stride=2, padding=1, output_padding=1)
    resized = resize_convolution(resized, weight, torch.zeros(4))


def checkerboard(images: Tensor) -> float:
    """Energy of the finest pattern (neighbours that alternate in sign) as a share of the energy of all differences."""
    inner = images[..., 8:-8, 8:-8]
    second = inner[..., 2:] - 2 * inner[..., 1:-1] + inner[..., :-2]
    return (second.square().mean() / (4 * (inner[..., 2:] - inner[..., :-2]).square().mean() + second.square().mean())).item()


def stretched(images: Tensor) -> Tensor:
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    return (2 * (images - low) / (high - low) - 1).transpose(0, 1)  # each channel as a picture


plots.show(
    plots.image_grid({"transposed": stretched(transposed), "resize": stretched(resized)}, columns=4, zoom=2.5),
    alt="Above: four pictures from transposed convolutions, all covered by a regular grid pattern. "
    "Below: four from resize-convolutions, smooth blobs.",
)
print(f"share of the finest pattern: transposed {checkerboard(transposed):.2f}, resize {checkerboard(resized):.2f}")
assert checkerboard(transposed) > 2 * checkerboard(resized)

# %% [markdown]
# The reference network for scenes in the next notebook uses resize-convolution for this reason. (A kernel of size 4 at
# stride 2 overlaps evenly, as the count above shows, and is the other common way out: DCGAN takes it.)
#
# ## When nothing bends: a linear autoencoder is PCA
#
# Remove the ReLUs and the `tanh`. What remains is $\hat x = W_2 W_1 (x - \mu) + \mu$, with $\mu$ the mean picture and two matrices $W_1$ ($k \times d$) and $W_2$ ($d \times k$), and Baldi and Hornik showed in 1989 that the
# best such network projects onto the space of the first $k$ principal components: it need not find the components
# themselves, but their *span*. You can check a theorem with a training run.
#
# ## Exercise 5 · PCA · *10 minutes, medium, core*
#
# Let $X$ hold one picture in each row. Centre it, take the singular value decomposition $X - \mu = U S V^\top$ ($U$ and $V$ with orthonormal columns, $S$ diagonal with the largest value first),
# and keep the first $k$ rows of $V^\top$: the directions in which the pictures vary most.

# %% nbgrader={"grade": false, "grade_id": "pca", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pca(images: Tensor, num_components: int) -> tuple[Tensor, Tensor]:
    """Principal components of pictures (batch, features).

    Returns:
        the mean (features,) and the components (num_components, features): orthonormal rows, largest variance first.
    """
    ### BEGIN SOLUTION
    mean = images.mean(dim=0)
    _, _, components = torch.linalg.svd(images - mean, full_matrices=False)
    return mean, components[:num_components]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "pca-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.pca(pca)
### BEGIN HIDDEN TESTS
check.pca(pca, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 6 · Do two subspaces agree? · *10 minutes, medium, core*
#
# Two $k$-dimensional subspaces are compared by $k$ *principal angles*. Make orthonormal bases $Q_a$, $Q_b$ of the two column
# spans (QR decomposition); the cosines of the angles are the singular values of $Q_a^\top Q_b$. All angles zero: the same space.
#
# <details><summary>Hint</summary>
#
# `torch.linalg.qr(a).Q`, `torch.linalg.svdvals`, `torch.acos`. Rounding can push a cosine a hair above 1, where `acos` is
# NaN: clamp it. Singular values come largest first, so the angles come smallest first.
# </details>

# %% nbgrader={"grade": false, "grade_id": "principal-angles", "locked": false, "schema_version": 3, "solution": true, "task": false}
def principal_angles(a: Tensor, b: Tensor) -> Tensor:
    """Angles between the column spans of `a` and `b`, both (features, k).

    Returns (k,) angles in radians, smallest first.
    """
    ### BEGIN SOLUTION
    cosines = torch.linalg.svdvals(torch.linalg.qr(a).Q.T @ torch.linalg.qr(b).Q)
    return torch.acos(cosines.clamp(max=1))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "principal-angles-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.principal_angles(principal_angles)
### BEGIN HIDDEN TESTS
check.principal_angles(principal_angles, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Now the experiment: train a linear autoencoder on small pictures of letters (8 by 8, so that it converges fully in seconds) and
# measure the angles between what its decoder can reach and the principal components.

# %%
SMALL = 4  # numbers in the code
small = F.avg_pool2d(train_set.__getitems__(list(range(2_000)))["image"], 4).flatten(1).double()  # (2000, 64)
mean, components = pca(small, SMALL)

runtime.seed_everything(2)
down = nn.Parameter(0.1 * torch.randn(64, SMALL, dtype=torch.float64))
up = nn.Parameter(0.1 * torch.randn(SMALL, 64, dtype=torch.float64))
solver = torch.optim.LBFGS([down, up], max_iter=scale(smoke=400, cpu=400, gpu=400), line_search_fn="strong_wolfe")


def linear_error() -> Tensor:
    solver.zero_grad()
    loss = autoencoder.reconstruction_loss((small - mean) @ down @ up, small - mean)
    loss.backward()
    return loss


before = principal_angles(up.detach().T, components.T).max().item()
solver.step(linear_error)
after = principal_angles(up.detach().T, components.T).max().item()
print(f"largest angle to the space of PCA: {before:.2f} rad before training, {after:.4f} rad after")
assert after < 0.02

# %% [markdown]
# The space is the same, yet the axes are not: any invertible mixture of the code, undone by the decoder, has equal error.
# Look at the rows of the decoder beside the components.

# %%
atoms = torch.stack([up.detach() / up.detach().norm(dim=1, keepdim=True), components]).float()
atoms = (atoms / atoms.abs().amax(dim=-1, keepdim=True)).unflatten(-1, (1, 8, 8))
plots.show(
    plots.image_grid({"decoder rows": atoms[0], "components": atoms[1]}, columns=4, zoom=2.0),
    alt="One row with the four rows of the linear decoder, one with four principal components: different patterns that span one space.",
)

# %% [markdown]
# ## Measure: what does bending buy?
#
# All on held-out pictures: the mean picture, which needs no code and is the worst case, then PCA, your network and the reference (your architecture with a second hidden layer, trained eight times as long)
# with sixteen numbers each. And a second question: are the codes any good for *something else*? A **linear probe**, a linear classifier on the frozen codes,
# tells how plainly they say which of the 62 characters it was.

# %%
from sklearn.linear_model import LogisticRegression

probe_batch = train_set.__getitems__(list(range(scale(smoke=400, cpu=6_000, gpu=6_000))))
probe_images, probe_labels = probe_batch["image"].to(device), probe_batch["label"]
pca_mean, pca_components = pca(probe_images.flatten(1), 16)


def probe(code_train: Tensor, code_test: Tensor) -> float:
    """Held-out accuracy of a linear classifier on codes (batch, features), standardised first."""
    center, spread = code_train.mean(0), code_train.std(0) + 1e-6
    classifier = LogisticRegression(max_iter=200)
    classifier.fit(((code_train - center) / spread).cpu(), probe_labels)
    return classifier.score(((code_test - center) / spread).cpu(), test_labels)


with torch.inference_mode():
    pca_code = {name: (x.flatten(1) - pca_mean) @ pca_components.T for name, x in [("train", probe_images), ("test", test_images)]}
    reconstructions = {
        "the mean picture": mean_picture.expand_as(test_images),
        "PCA": (pca_code["test"] @ pca_components + pca_mean).view_as(test_images),
        "your network": model(test_images),
        "reference": reference(test_images),
    }
    accuracies = {
        "the mean picture": numpy.bincount(probe_labels).argmax() == test_labels,
        "PCA": probe(pca_code["train"], pca_code["test"]),
        "your network": probe(model.encode(probe_images), model.encode(test_images)),
        "reference": probe(reference.encode(probe_images), reference.encode(test_images)),
    }
accuracies["the mean picture"] = accuracies["the mean picture"].float().mean().item()  # chance: always the commonest label
errors = {name: autoencoder.reconstruction_loss(images, test_images).item() for name, images in reconstructions.items()}
plots.table(
    ({"sixteen numbers from": name, "squared error of a picture": errors[name], "linear probe": accuracies[name]} for name in errors),
    caption=f"{len(test_images)} held-out pictures; a perfect copy has error 0, a perfect reader of 62 classes accuracy 1",
)
if runtime.scale_name() != "smoke":
    assert errors["reference"] < errors["PCA"], "the reference should beat PCA at equal bottleneck"

# %% [markdown]
# ## Look: walk through the codes
#
# Choose two characters and move the slider. Note where the in-between pictures are letters too, and where they are only
# two letters laid over one another. (Without widgets: the sheet at the top of this notebook shows the same.)

# %%
widgets.explorer(
    lambda start, end, position, model: walk(
        {"reference": reference, "yours": globals()["model"]}[model], example(start), example(end), 41
    )[round(40 * position)][None],
    alt="the picture decoded at the chosen position between two characters",
    zoom=8,
    start=list("ABCDEGHKMRSaegn0123456789"),
    end=list("RBCDEGHKMASaegn0123456789"),
    position=(0.0, 1.0, 0.5),
    model=["reference", "yours"],
)

# %% [markdown]
# ## Break it: draw a code at random
#
# A decoder that draws letters from codes looks like a generator. Is it? Draw codes from a normal distribution with the mean and the covariance of real codes, and decode. The *glyph judge*, a network
# that reads characters, says how often the result can be read at all: its confidence is the probability of the character that it reads.

# %%
from course_utils.metrics.recipes import GLYPH_JUDGE

judge = training.load(GLYPH_JUDGE)
with torch.inference_mode():
    codes = reference.encode(test_images)
    noise = torch.randn(len(codes), codes.shape[1], generator=runtime.generator(0)).to(device)
    root = torch.linalg.cholesky(codes.T.cov().cpu()).to(device)  # root @ root.T is the covariance
    drawn = reference.decode(codes.mean(0) + noise @ root.T)
    readable = {
        "real": judge.confidence(test_images),
        "reconstructed": judge.confidence(reference(test_images)),
        "drawn at random": judge.confidence(drawn),
    }
readable = {name: (confidence > 0.9).float().mean().item() for name, confidence in readable.items()}
plots.show(
    plots.image_grid({"reconstructed": reference(test_images[:16]).detach(), "drawn at random": drawn[:32]}, columns=16),
    alt="Above, sixteen reconstructed letters, readable. Below, thirty-two pictures decoded from random codes: "
    "some letters among strokes that form none.",
)
plots.table(
    ({"pictures": name, "read with confidence above 0.9": share} for name, share in readable.items()),
    caption=f"by the glyph judge, {len(test_images)} pictures each",
)

# %% [markdown]
# Much of the space between the codes of real letters decodes to nothing: the encoder was never asked to leave no gaps, and a normal
# distribution with the right mean and covariance falls into them. The **variational** autoencoder of the next notebook asks for
# exactly that.
#
# ## The real thing
#
# The autoencoder inside Stable Diffusion is this idea with 84 million weights: 512 by 512 pixels become 64 by 64 by 4 numbers. Chapter 4
# builds it, and loads the published weights into our own module.
#
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-bottleneck", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** Someone trains the autoencoder with a code of 2,000 numbers and reports a reconstruction error near zero. What has it
# learned, and which of this notebook's measurements would tell?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# With more numbers in the code than in the picture the network can learn the identity and need not find any structure: the error says
# nothing. A walk between codes would then be a mere cross-fade, a random code would decode to noise, and the linear probe would be no
# better than on the pixels themselves.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-pca", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** Why does the linear autoencoder find the space of the principal components but not the components themselves? How could one change
# the loss so that it does?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# For every invertible matrix A the pair (encoder A, inverse of A decoder) gives the same reconstruction, so the error cannot prefer one basis.
# Something must break the symmetry: for example codes whose later numbers are dropped at random (nested dropout), or different weight decay on each number.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Hinton and Salakhutdinov (2006) show two-dimensional codes of digits beside PCA's: compare with their figure 3.
# - Odena, Dumoulin and Olah (2016) let you move kernel size and stride and watch the checkerboard.
# - Murphy, *Probabilistic Machine Learning: Advanced Topics*, MIT Press 2023, chapter 20, sets autoencoders among the generative models.
