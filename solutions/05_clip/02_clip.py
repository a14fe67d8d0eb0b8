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
# # CLIP: pictures and texts in one space
#
# | | |
# |---|---|
# | **Time** | 95 minutes of work, 60 of them exercises; the code runs in about 6 minutes on a laptop's CPU |
# | **You need** | the softmax and cross-entropy; attention (notebook 1 of this chapter) for the optional exercise 2 |
# | **Builds on** | nothing that you wrote before |
# | **Code** | `course_utils/clip/losses.py`, `clip.py`, `resnet.py`, `zero_shot.py`, `tokenizer.py` |
# | **Papers** | Radford et al., *Learning transferable visual models from natural language supervision* (CLIP), ICML 2021 · van den Oord et al., *Representation learning with contrastive predictive coding* (InfoNCE), 2018 · Zhai et al., *Sigmoid loss for language image pre-training* (SigLIP), ICCV 2023 · Liang et al., *Mind the gap*, NeurIPS 2022 · Yuksekgonul et al., *When and why vision-language models behave like bags-of-words*, ICLR 2023 |
#
# A classifier of pictures knows the classes that it was trained on, and no other. CLIP knows *texts*. It was never told what a class is, only which caption came with which picture, and afterwards it sorts pictures into any classes that you can write down.
# Below, six pictures that the course's small CLIP has never seen, against six texts that nobody trained it to tell apart. Each row is a picture, and the shares in it say which text fits. By the end you will have written the loss that taught it and the classifier that is made of texts:

# %%
import dataclasses
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from course_utils import plots, runtime, scale, training, widgets
from course_utils.checks import clip as check
from course_utils.clip import CLIP, CLIPTokenizer, experiments, recipes, siglip_loss
from course_utils.clip.pairs import streamed_pairs
from course_utils.clip.resnet import AttentionPool
from course_utils.data import Scenes, loader
from course_utils.data.scenes import COLORS, SHAPES, best_recall, captions, records, render, scene
from course_utils.hub import OfflineError
from course_utils.layers import draw_integers, draw_uniform

device = runtime.device()
runtime.seed_everything(0)

reference = training.load(recipes.CLIP_SCENES)  # shipped with the course, trained longer than there is time for here
shown = [
    scene([("large", "red", "circle", "top left")], "sand"),
    scene([("large", "blue", "star", "bottom right")], "cream"),
    scene([("large", "green", "heart", "top right"), ("small", "yellow", "heart", "bottom left")], "cream"),
    scene([("small", "black", "cross", "top left"), ("small", "black", "cross", "bottom left")], "sand"),
    scene([("large", "pink", "square", "bottom left")], "cream"),
    scene([("large", "cyan", "triangle", "top right"), ("large", "red", "star", "bottom right")], "sand"),
]
texts = ("there is a red circle", "there is a blue star", "two hearts", "exactly two black objects", "there is a pink square", "a cyan triangle is above a red star")
pictures = torch.cat([render(one, 32) for one in shown])
table = reference.logit_scale.item() * recipes.embed_pictures(reference, pictures) @ recipes.embed_texts(reference, recipes.scene_ids(texts)).T
plots.show(plots.image_grid(pictures, columns=6, zoom=3), alt="Six scenes: a red circle, a blue star, two hearts, two black crosses, a pink square, a cyan triangle above a red star.")
plots.table([{"picture": number + 1} | dict(zip(texts, row, strict=True)) for number, row in enumerate(table.softmax(dim=1).tolist())], caption="Which of the six texts each picture fits")  # fmt: skip

# %% [markdown]
# ## The idea
#
# Take a batch of $N$ pictures and the caption of each. One network turns every picture into a vector, another every text. Make all vectors of length 1. Then *play a matching game*: hide which text came with which picture, and let each picture choose, by the inner product of its vector with those of the $N$ texts. And each text chooses its picture likewise.
# A wrong choice costs, and both networks learn from it. Nothing else is taught. There are no classes, and no text has to be written from the picture, which would be far harder: the networks need only say which of these $N$ fits best.
#
# What does it take to win? If the batch holds a red circle and a blue one, the vectors must know colour; if there are two red things, shape as well. The larger the batch, the more alike its hardest rivals, and the finer the differences that must be told.
#
# With $u_i$ the unit vector of picture $i$ and $v_j$ that of text $j$, the **contrastive loss** is
#
# $$ \mathcal L = -\frac{1}{2N} \sum_{i=1}^{N} \left( \log \frac{e^{\,s\, u_i \cdot v_i}}{\sum_{j} e^{\,s\, u_i \cdot v_j}} \;+\; \log \frac{e^{\,s\, u_i \cdot v_i}}{\sum_{j} e^{\,s\, u_j \cdot v_i}} \right) $$
#
# - $N$: pairs in the batch; pair $i$ is row $i$ of both,
# - $u_i \cdot v_j$: the cosine of the angle between picture $i$ and text $j$, in $[-1, 1]$,
# - $s = e^{t} > 0$: the **scale**, one over the temperature. Its logarithm $t$, `log_scale`, is a learned parameter that begins at $\log (1 / 0.07)$; $s$ itself may grow to 100,
# - the first term: picture $i$ asks, and the sum in the denominator is over all texts $j$; the second: text $i$ asks, and the sum is over all pictures $j$.
#
# In the table of all logits $s\, u_i \cdot v_j$, a row for each picture and a column for each text, the right answers stand on the diagonal. The first term is a cross-entropy along the rows, the second along the columns.
#
# ## Exercise 1 · The contrastive loss · *10 minutes, easy, core*
#
# The features come as the networks make them, of any length. Exponentials of large numbers overflow, so leave softmax and logarithm to the functions of torch.
#
# <details><summary>Hint</summary>
#
# `F.normalize(x, dim=1)` gives rows of length 1. `F.cross_entropy` takes logits and the *place* of the right answer in each row, which is 0 for the first row, 1 for the second. Columns are the rows of the transpose.
# </details>
#
# *Stuck? Set `contrastive_loss = check.contrastive_loss.reference` and go on. The same works for `attention_pool`, `class_embeddings` and `linear_probe`.*

# %% nbgrader={"grade": false, "grade_id": "contrastive-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def contrastive_loss(image_features: Tensor, text_features: Tensor, log_scale: Tensor) -> Tensor:
    """The symmetric contrastive loss in nats, a scalar, mean over the pairs and both directions.

    Args:
        image_features, text_features: (batch, dim), of any length; row i of both belongs together.
        log_scale: scalar, the logarithm of the scale by which cosines are multiplied.
    """
    ### BEGIN SOLUTION
    images, texts = F.normalize(image_features, dim=1), F.normalize(text_features, dim=1)
    logits = log_scale.exp() * images @ texts.T
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "contrastive-loss-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.contrastive_loss(contrastive_loss)
### BEGIN HIDDEN TESTS
check.contrastive_loss(contrastive_loss, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Whoever holds all $N$ for about equally likely pays $\log N$ (here the scale is 1; at a larger one, vectors drawn by chance are *confident* guesses and pay more). So a loss means little without the batch size beside it:

# %%
# NBVAL_CHECK_OUTPUT
draw = runtime.generator(1)  # for vectors of numbers from -0.5 to 0.5
for size in (4, 32, 256):
    guessed = contrastive_loss(draw_uniform((size, 8), draw) - 0.5, draw_uniform((size, 8), draw) - 0.5, torch.tensor(0.0))
    print(f"{size:>4} pairs drawn by chance: loss {guessed:.1f}, log({size}) = {math.log(size):.1f}")

# %% [markdown]
# ## Two encoders
#
# **Texts** are read by a small GPT (notebook 1): a causal transformer. An end token is put behind each text. As it comes last, it has seen all the other tokens, so what the transformer makes of *it* stands for the text. The paper's has 63 million parameters, the one of this notebook less than half a million.
#
# **Pictures** are read by a ResNet or by a vision transformer, here by a small ResNet. Both encoders end in vectors of 128 numbers. A convolutional network ends in a map of features, one vector for each place, and something must make one vector of these. The usual way is their mean: all places count alike, empty background too. CLIP's ResNet lets *attention* do it.
#
# ## Exercise 2 · Attention pooling · *15 minutes, medium, optional*
#
# The mean of all places asks a question, and all places answer:
#
# $$ x_0 = \frac1n \sum_{i=1}^n x_i, \qquad z_i = x_i + p_i \;\; (i = 0, \dots, n), \qquad u = W_o \sum_{i=0}^{n} a_i\, W_v z_i, \qquad a = \mathrm{softmax}_i\!\left( \frac{(W_q z_0) \cdot (W_k z_i)}{\sqrt d} \right) $$
#
# - $x_1, \dots, x_n$: the features of the $n = h \cdot w$ places, row by row; $x_0$ their mean, taken before positions are added. It asks, and is a key and a value as well,
# - $p_0, \dots, p_n$: position embeddings, the first for the mean,
# - $W_q, W_k, W_v$: the weights of query, keys and values; in code they stand on the right, `tokens @ to_q`, so `to_q` is $W_q$ transposed. $W_o$, `to_out`, leads into the space that pictures and texts share,
# - $a_i$: how much place $i$ counts. All of this in several heads, each with its own $d$ channels of query, keys and values and its own softmax; $d$ is the channels divided by the number of heads. The heads' answers stand side by side before $W_o$.
#
# There is *one* query, so one vector comes out. (The published network has biases too; they are left out here.)
#
# <details><summary>Hint</summary>
#
# `features.flatten(2).transpose(1, 2)` are the places, (batch, n, channels). Put the mean in front with `torch.cat`, then add the positions. The query is made of the first token only, `tokens[:, :1]`. Heads: `unflatten(2, (num_heads, -1)).transpose(1, 2)`; `F.scaled_dot_product_attention` does the rest, the division by $\sqrt d$ too, and the heads are put together again by `transpose(1, 2).flatten(1)`.
# </details>
#
# *Skipped? Set `attention_pool = check.attention_pool.reference` and go on.*

# %% nbgrader={"grade": false, "grade_id": "attention-pool", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention_pool(features: Tensor, positions: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, to_out: Tensor, num_heads: int) -> Tensor:
    """One vector a picture, (batch, dim): what comes back to the mean of its places, which asks.

    Args:
        features: (batch, channels, height, width).
        positions: (1 + height * width, channels), the first for the mean, then row by row.
        to_q, to_k, to_v: (channels, channels), to be multiplied from the right: `tokens @ to_q`.
        to_out: (channels, dim).
        num_heads: a divisor of channels.
    """
    ### BEGIN SOLUTION
    tokens = features.flatten(2).transpose(1, 2)  # (batch, channels, h, w) -> (batch, h * w, channels)
    tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + positions
    query, keys, values = (
        made.unflatten(2, (num_heads, -1)).transpose(1, 2)  # (batch, n, channels) -> (batch, heads, n, d)
        for made in (tokens[:, :1] @ to_q, tokens @ to_k, tokens @ to_v)
    )
    seen = F.scaled_dot_product_attention(query, keys, values)
    return seen.transpose(1, 2).flatten(1) @ to_out  # (batch, heads, 1, d) -> (batch, channels)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "attention-pool-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.attention_pool(attention_pool)
### BEGIN HIDDEN TESTS
check.attention_pool(attention_pool, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# The network of this notebook ends in the same, with biases. Where does the reference look? The share of each of its 4 x 4 places (without that of the mean itself), mean of all heads, as brightness:

# %%
layer = AttentionPool(side=4, channels=32, heads=4, dim=16)
for part in (layer.to_q, layer.to_k, layer.to_v, layer.projection):
    nn.init.zeros_(part.bias)
map_of_features = torch.randn(2, 32, 4, 4)
weights = (layer.to_q.weight.T, layer.to_k.weight.T, layer.to_v.weight.T, layer.projection.weight.T)
assert torch.allclose(layer(map_of_features), attention_pool(map_of_features, layer.positions, *weights, 4), atol=1e-5)


@torch.no_grad()
def looked_at(images: Tensor) -> Tensor:
    """The share of each place in what the reference sees of pictures (batch, 3, 32, 32): (batch, heads, 4, 4)."""
    pool = reference.image_encoder.attention_pool
    tokens = reference.image_encoder.features(images.to(device)).flatten(2).transpose(1, 2)
    tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + pool.positions
    query, keys = (made.unflatten(2, (pool.heads, -1)).transpose(1, 2) for made in (pool.to_q(tokens[:, :1]), pool.to_k(tokens)))
    shares = (query @ keys.mT / math.sqrt(query.shape[-1])).softmax(dim=-1)  # (batch, heads, 1, 1 + 16)
    return shares[:, :, 0, 1:].unflatten(2, (4, 4)).cpu()


def as_light(images: Tensor, shares: Tensor) -> Tensor:
    """Pictures in which only what is looked at is bright; shares (batch, 4, 4)."""
    light = F.interpolate(shares[:, None] / shares.amax(dim=(1, 2)).view(-1, 1, 1, 1), scale_factor=8, mode="bilinear")
    return (images + 1) * light - 1


seen = torch.cat([pictures, as_light(pictures, looked_at(pictures).mean(dim=1))])
plots.show(plots.image_grid(seen, columns=6, zoom=3), alt="The six scenes again, and below each the same, lit only where the attention pooling looks: the objects are bright, the empty background is dark.")

# %% [markdown]
# ## Train
#
# 20,000 scenes, each with its full caption, 256 pairs in a batch, and your loss. The captions are cut into tokens by a tokenizer that was trained on captions (notebook 1 shows how).


# %%
class Pairs(Dataset):
    """Scenes of a split with their full captions: batches of `image` (batch, 3, 32, 32) and `input_ids` (batch, 64)."""

    def __init__(self, split: str, count: int):
        self.records = records(split, range(count))
        self.captions = [few[0] for few in captions(self.records, levels=("full",))]
        self.input_ids = recipes.scene_ids([caption.text for caption in self.captions])
        self.images = render(self.records, 32)

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return {"image": self.images[indices], "input_ids": self.input_ids[indices]}


def matching(model: CLIP) -> training.Player:
    """Your loss for `training.fit`."""

    def objective(batch: dict) -> tuple[Tensor, dict]:
        ids = recipes.trimmed(batch["input_ids"], model.config.end_token_id)
        loss = contrastive_loss(model.image_encoder(batch["image"]), model.text_encoder(ids), model.log_scale)
        return loss, {"scale": model.log_scale.detach().exp()}

    return training.Player("clip", model, objective, learning_rate=1e-3, betas=(0.9, 0.98), weight_decay=0.1)


train_pairs = Pairs("train", scale(smoke=512, cpu=20_000, gpu=200_000))
test_pairs = Pairs("test", scale(smoke=128, cpu=1000, gpu=1000))
print(test_pairs.captions[0].text)
runtime.seed_everything(1)
model = CLIP(recipes.SCENES_CLIP)
history = training.cached(
    "02_clip/scenes",
    lambda: training.fit(matching(model), loader(train_pairs, 256 if len(train_pairs) > 512 else 64), scale(smoke=3, cpu=300, gpu=20_000), schedule="cosine"),
    model, uses=(matching, contrastive_loss),  # kept, and trained anew if one of these changes
)  # fmt: skip
images = recipes.embed_pictures(model, test_pairs.images)
found = recipes.embed_texts(model, test_pairs.input_ids) @ images.T  # (captions, scenes)
rank = 1 + (found > found.diagonal()[:, None]).sum(dim=1)
ceiling = best_recall([caption.facts for caption in test_pairs.captions], test_pairs.records)
print(f"of {len(found)} held-out captions, {(rank == 1).float().mean():.3f} find their scene first, {(rank <= 5).float().mean():.3f} among five; chance {1 / len(found):.3f}, ceiling {ceiling:.3f}")
if runtime.scale_name() != "smoke":
    assert (rank == 1).float().mean() > 0.85, "most captions should find their scene"

# %% [markdown]
# (The ceiling is a reader's who knows exactly which scenes each caption is true of. Where two scenes fit one caption, even that reader can only guess.)
#
# ## Look
#
# The table of cosines for twelve held-out pairs, before and after training. What was all one colour has a bright diagonal. The bright squares beside it are worth a look: they are the near misses.

# %%
runtime.seed_everything(1)
untrained = CLIP(recipes.SCENES_CLIP)
figure, axes = plots.figure(1, 2, width=7.0, height=3.2)
for axis, (name, network) in zip(axes[0], (("before", untrained), ("after", model)), strict=True):
    with torch.no_grad():
        cosines = recipes.embed_pictures(network, test_pairs.images[:12]) @ recipes.embed_texts(network, test_pairs.input_ids[:12]).T
    drawn = axis.imshow(cosines, vmin=-0.3, vmax=1)
    axis.set(title=name, xlabel="text", ylabel="picture", xticks=[], yticks=[])
figure.colorbar(drawn, ax=list(axes[0]), label="cosine")
plots.show(figure, alt="Two tables of twelve pictures by twelve texts. Before training all cosines are about equal; after it the diagonal is bright and most of the rest dark.")
print(f"scale: {untrained.logit_scale:.1f} at the start, {model.logit_scale:.1f} now")

# %% [markdown]
# ## Classes without training
#
# A classifier is a list of vectors, one a class: a picture belongs to the class whose vector fits best. In a network that was trained on classes, these vectors are the weights of its last layer. Here the *text encoder* makes them, from the names of the classes, and no labelled picture is needed: **zero-shot**. A bare name is an unusual caption, so it is put into a
# **prompt** first, a sentence like those of the training, "there is a {}".
#
# $$ w_c = \frac{g(\text{prompt}_c)}{\lVert g(\text{prompt}_c) \rVert}, \qquad p(c \mid \text{picture}) = \mathrm{softmax}_c\,( s\; u \cdot w_c ) $$
#
# - $g$: the text encoder, $w_c$ the vector of class $c$, $u$ the picture's, of length 1,
# - $s$: the scale itself, `logit_scale`, a plain number; not its logarithm as in exercise 1.
#
# The next cell is for the check, and you need not read it: it calls the `zero_shot` that you are about to write, with a stand-in for the text encoder. Messages of the check name it, `zero_shot_by_letters`.


# %%
def zero_shot_by_letters(image_features: Tensor, class_names: Sequence[str], template: str, letters: Tensor, logit_scale: float) -> tuple[Tensor, Tensor]:
    """`zero_shot` with a text encoder that looks letters up in a table (letters, dim)."""

    def encode_text(texts: Sequence[str]) -> Tensor:
        if isinstance(texts, str):
            raise TypeError("encode_text takes a list of texts: hand over all prompts at once")
        rows = [letters[[ord(letter) % len(letters) for letter in text]] for text in texts]
        return torch.stack([row.cumsum(0).sin().sum(0) for row in rows])

    return zero_shot(image_features, class_names, template, encode_text, logit_scale)


# %% [markdown]
# ## Exercise 3 · A classifier made of texts · *10 minutes, easy, core*
#
# Sort pictures into classes by the two formulas above: prompts, their vectors, cosines times the scale, softmax.
#
# <details><summary>Hint</summary>
#
# `template.format("red circle")` puts the text in the place of `{}`. Encode the *list* of all prompts at once. Then it is the table of exercise 1 again, with a row for each picture.
# </details>
#
# *Stuck? Set `zero_shot = check.contrastive.zero_shot` and go on.*

# %% nbgrader={"grade": false, "grade_id": "zero-shot", "locked": false, "schema_version": 3, "solution": true, "task": false}
def zero_shot(
    image_features: Tensor, class_names: Sequence[str], template: str, encode_text: Callable[[list[str]], Tensor], logit_scale: float
) -> tuple[Tensor, Tensor]:
    """Probabilities (pictures, classes), and the most probable class of each picture, (pictures,) int64.

    Args:
        image_features: (pictures, dim), of any length.
        class_names: one text a class.
        template: a text with {} where the name goes.
        encode_text: texts -> features (texts, dim), of any length.
        logit_scale: what cosines are multiplied by (no logarithm).
    """
    ### BEGIN SOLUTION
    prompts = [template.format(name) for name in class_names]
    texts = F.normalize(encode_text(prompts), dim=1)
    probabilities = (logit_scale * F.normalize(image_features, dim=1) @ texts.T).softmax(dim=1)
    return probabilities, probabilities.argmax(dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "zero-shot-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.zero_shot_by_letters(zero_shot_by_letters)
### BEGIN HIDDEN TESTS
check.zero_shot_by_letters(zero_shot_by_letters, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Scenes of one object, 48 classes: six shapes in eight colours. And some pairs of shape and colour are in *no* training scene: the compositional split.

# %%
names = [f"{color} {shape}" for shape in SHAPES for color in COLORS]
count = scale(smoke=96, cpu=1000, gpu=1000)
single = {split: Scenes(split, 32, fields=("image", "label"), objects=1)[range(count)] for split in ("train", "test", "compositional")}
features = {split: recipes.embed_pictures(reference, batch["image"]).clone() for split, batch in single.items()}  # embed_pictures keeps no gradients, and only a copy of its result may take part in learning


def read(texts: Sequence[str]) -> Tensor:
    """The reference's features of texts."""
    return recipes.embed_texts(reference, recipes.scene_ids(texts))


def accuracy(split: str, template: str) -> float:
    """Share of single objects whose class is found by your classifier."""
    _, classes = zero_shot(features[split], names, template, read, reference.logit_scale.item())
    return (classes == single[split]["label"]).float().mean().item()


templates = ("{}", "there is a {}", "only a {}", "exactly one {}", "a photograph of a {}")
plots.table(
    [{"template": template, "seen pairs": accuracy("test", template), "unseen pairs": accuracy("compositional", template)} for template in templates]
    + [{"template": "chance", "seen pairs": 1 / len(names), "unseen pairs": 1 / len(names)}],
    caption=f"Accuracy among 48 classes, {count} scenes each",
)

# %% [markdown]
# It was never told that there are classes, and yet it classifies: the lecture's claim. And colours and shapes are put together anew: pairs that it never saw are found as well. The wording matters: a bare name finds 0.15 of the seen pairs, a sentence nearly all, even the last one, with a word that no caption has. In the paper, "a photo of a {}" in place of the bare name gained 1.3 points on ImageNet (section 3.1.4).
#
# ## Exercise 4 · Many prompts, one classifier · *10 minutes, easy, core*
#
# Which wording is best? There is no need to decide. With $K$ templates each class has $K$ vectors, and their *mean* is a better one than most: what the wordings do not share averages out. The paper used 80 templates on ImageNet, for 3.5 points more; and the classifier is no slower, since the mean is taken once.
#
# $$ w_c = \frac{m_c}{\lVert m_c \rVert}, \qquad m_c = \frac1K \sum_{k=1}^{K} \frac{t_{ck}}{\lVert t_{ck} \rVert} $$
#
# - $t_{ck}$: the feature of class $c$ in template $k$, of any length,
# - $m_c$: the mean of its unit vectors. It is *shorter* than 1, the shorter, the more they disagree, so it is normalised again.
#
# <details><summary>Hint</summary>
#
# Which axis holds the numbers of one vector, and which the templates? `F.normalize` takes `dim=1` unless told otherwise.
# </details>

# %% nbgrader={"grade": false, "grade_id": "class-embeddings", "locked": false, "schema_version": 3, "solution": true, "task": false}
def class_embeddings(prompt_features: Tensor) -> Tensor:
    """One unit vector a class, (classes, dim).

    Args:
        prompt_features: (classes, templates, dim), of any length.
    """
    ### BEGIN SOLUTION
    return F.normalize(F.normalize(prompt_features, dim=-1).mean(dim=1), dim=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "class-embeddings-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.class_embeddings(class_embeddings)
### BEGIN HIDDEN TESTS
check.class_embeddings(class_embeddings, hidden=True)
### END HIDDEN TESTS

# %%
prompt_features = torch.stack([read([template.format(name) for template in templates]) for name in names])  # (48, 5, dim)
together = class_embeddings(prompt_features)
rows = [
    {"classifier": kind} | {f"{split} pairs": ((features[part] @ weights.T).argmax(dim=1) == single[part]["label"]).float().mean().item() for split, part in (("seen", "test"), ("unseen", "compositional"))}
    for kind, weights in [*((template, prompt_features[:, number]) for number, template in enumerate(templates)), ("all five together", together)]
]  # fmt: skip
plots.table(rows, caption=f"Accuracy among 48 classes, {count} scenes each")

# %% [markdown]
# ## Exercise 5 · A linear probe · *15 minutes, medium, core*
#
# How good would a classifier be that *is* shown labelled pictures? The usual question to a network's features is a **linear probe**: leave the network as it is, and fit a logistic regression on its features.
#
# $$ \min_{W, b} \;\; \frac1n \sum_{i=1}^{n} -\log \mathrm{softmax}( W x_i + b )_{y_i} \;+\; \frac{\lambda}{2} \lVert W \rVert^2 $$
#
# - $x_i$, $y_i$: feature and label of training picture $i$; features are taken as they are given,
# - $W$ (classes, dim) and $b$ (classes,): what is fitted; $\lVert W \rVert^2$ is the sum of the squares of all its entries,
# - $\lambda$, `l2`: holds the weights down, $b$ not. Where there are fewer pictures than numbers in a feature, many $W$ make no mistake, and this prefers a small one.
#
# There is one least value (of $b$, only the differences matter), and it is to be reached: L-BFGS does in some dozens of steps. It wants a function that computes the loss and its gradient, as it may ask several times a step:
#
# ```python
# optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")
#
# def closure():
#     optimizer.zero_grad()
#     loss = ...
#     loss.backward()
#     return loss
#
# optimizer.step(closure)
# ```
#
# <details><summary>Hint</summary>
#
# `weight = torch.zeros(num_classes, features.shape[1], requires_grad=True)`, the bias likewise: a class may have no training picture. Judge the *test* features, after `detach()`.
# </details>

# %% nbgrader={"grade": false, "grade_id": "linear-probe", "locked": false, "schema_version": 3, "solution": true, "task": false}
def linear_probe(features: Tensor, labels: Tensor, test_features: Tensor, test_labels: Tensor, num_classes: int, l2: float) -> tuple[Tensor, Tensor]:
    """Probabilities (test pictures, num_classes) of a logistic regression, and the share of test pictures that are right, a scalar tensor.

    Args:
        features, labels: (pictures, dim) and (pictures,) int64, what is fitted.
        test_features, test_labels: of the pictures that are judged.
        l2: weight of half the sum of squares of the weight matrix, beside the mean cross-entropy.
    """
    ### BEGIN SOLUTION
    weight = torch.zeros(num_classes, features.shape[1], requires_grad=True)
    bias = torch.zeros(num_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(features @ weight.T + bias, labels) + l2 / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    logits = (test_features @ weight.T + bias).detach()
    return logits.softmax(dim=1), (logits.argmax(dim=1) == test_labels).float().mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "linear-probe-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.linear_probe(linear_probe)
### BEGIN HIDDEN TESTS
check.linear_probe(linear_probe, hidden=True)
### END HIDDEN TESTS

# %%
order = single["train"]["label"].argsort(stable=True)
place_in_class = torch.zeros_like(order)
place_in_class[order] = torch.cat([torch.arange(number) for number in torch.bincount(single["train"]["label"], minlength=len(names)).tolist()])
live = []
for shots in (1, 2, 4, 8):
    kept = place_in_class < shots
    _, right = linear_probe(features["train"][kept], single["train"]["label"][kept], features["test"], single["test"]["label"], len(names), 1e-3)
    live.append({"labelled pictures a class": shots, "pictures": int(kept.sum()), "linear probe": right.item()})
zero = ((features["test"] @ together.T).argmax(dim=1) == single["test"]["label"]).float().mean().item()
plots.table(live, caption=f"Accuracy of a linear probe; zero-shot, with no picture at all: {zero:.4g}")

# %% [markdown]
# The lecture says that the game in the batch gives a space in which one classifies without training. How many labelled pictures is a sentence worth in it? The experiment draws several sets of each size. (In the paper, zero-shot is on average about as good as a probe on four labelled pictures a class, figure 6.)

# %%
rows = training.results(experiments.ZERO_SHOT)
plots.show(experiments.ZERO_SHOT.figure(rows), alt="Accuracy of a linear probe rising with the number of labelled pictures a class, beside the level lines of the zero-shot classifier, for seen and for unseen pairs.")
verdict = experiments.ZERO_SHOT.verdict(rows)
print(f"The lecture's claim: {verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Measure
#
# The reference was trained on captions of all kinds. Its card, with chance and ceiling:

# %%
# NBVAL_CHECK_OUTPUT
card = training.read_card(recipes.CLIP_SCENES)
print(f"{card['samples']} samples".ljust(28), *(f"{kind:>10}" for kind in ("measured", "chance", "ceiling")))
for name, value in card["metrics"].items():
    print(name.ljust(28), f"{value:>10.3f}", *(f"{card[kind][name]:>10.3f}" if name in card[kind] else " " * 10 for kind in ("chance", "ceiling")))

# %% [markdown]
# The loss asks each picture for its text among $N$, so a larger batch is a harder game. Does it teach more? With equally many *pairs* seen, it also means fewer steps:

# %%
rows = training.results(experiments.BATCH_SIZE)
plots.show(experiments.BATCH_SIZE.figure(rows), alt="Recall at 1 of held-out scenes against the batch size, at equal numbers of pairs seen.")
verdict = experiments.BATCH_SIZE.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# Sixteen teach least. But from 64 on, the fewer steps cost about as much as the harder game gains.
#
# ## A relative: yes or no about each pair
#
# The softmax ties the whole batch together: with a batch spread over many machines, all must know all vectors. **SigLIP** asks about each pair alone, does it belong together?, with a sigmoid:
#
# $$ \mathcal L_{\text{sig}} = -\frac1N \sum_{i, j} \log \frac{1}{1 + e^{-z_{ij}\,( s\, u_i \cdot v_j + b )}}, \qquad z_{ij} = \begin{cases} 1 & i = j \\ -1 & \text{else} \end{cases} $$
#
# - $b$: a learned bias. Of $N^2$ pairs only $N$ belong together, so it begins far below 0, at $-10$ (and $s$ at 10): "no" is the better guess, and the many pairs that do not belong together cost little from the start.

# %%
with torch.no_grad():
    few = [vectors[:64].to(device) for vectors in (images, recipes.embed_texts(model, test_pairs.input_ids))]
    for bias in (0.0, -10.0):
        print(f"SigLIP's loss of 64 held-out pairs under your model, bias {bias:g}: {siglip_loss(*few, torch.tensor(10.0, device=device), torch.tensor(bias, device=device)):.2f}")

# %% [markdown]
# ## Break it: words in the wrong order
#
# "A red circle and a blue star" and "a blue circle and a red star" hold the same words. To win the game, is it necessary to know which word belongs to which? Only if the batch holds both kinds of scene, which seldom happens. So a network may get far with a *bag of words*. The test: scenes of two objects, each against its own caption, and against the caption in which the two colours are exchanged.


# %%
def two_objects(split: str, count: int) -> tuple[Tensor, list[str], list[str]]:
    """Scenes of two objects that differ in shape and colour, their captions, and those with exchanged colours."""
    scenes = records(split, range(4 * count), objects=2)
    first, second = (scenes.present.float() + torch.arange(4) * -1e-3).topk(2, dim=1).indices.T
    row = torch.arange(len(first))
    differ = (scenes.color[row, first] != scenes.color[row, second]) & (scenes.shape[row, first] != scenes.shape[row, second])
    color = scenes.color.clone()
    color[row, first], color[row, second] = scenes.color[row, second], scenes.color[row, first]
    exchanged = dataclasses.replace(scenes, color=color)
    own, other = ([few[0].text for few in captions(of, levels=("objects",))] for of in (scenes, exchanged))
    kept = differ.nonzero()[:count, 0].tolist()
    return render(scenes, 32)[kept], [own[number] for number in kept], [other[number] for number in kept]


def shuffled(text: str, draw: torch.Generator) -> str:
    """The words of a text in another order."""
    words = recipes.plain(text).split()
    return " ".join(words[number] for number in draw_uniform((len(words),), draw).argsort().tolist())


pair_images, own, other = two_objects("test", scale(smoke=32, cpu=500, gpu=500))
print(own[0], "|", other[0])
draw = runtime.generator(3)
rows = []
for name, network in (("yours", model), ("reference", reference)):
    seen = recipes.embed_pictures(network, pair_images)
    right, wrong, mixed = ((seen * recipes.embed_texts(network, recipes.scene_ids(texts))).sum(dim=1) for texts in (own, other, [shuffled(text, draw) for text in own]))
    rows.append({"model": name, "own above exchanged": (right > wrong).float().mean().item(), "own above shuffled": (right > mixed).float().mean().item(),
                 "cosine own": right.mean().item(), "exchanged": wrong.mean().item(), "shuffled": mixed.mean().item()})  # fmt: skip
plots.table(rows, caption=f"{len(own)} held-out scenes of two objects; whoever sees a bag of words can only guess, 0.5")

# %% [markdown]
# Of the two captions with the same words, the reference finds its own no more often than a coin would: as to whose colour is which, it is a bag of words. Not only colours can be exchanged. The experiment asks the reference, whose training held captions of all kinds, about four kinds of wrong order:

# %%
rows = training.results(experiments.WORD_ORDER)
plots.show(experiments.WORD_ORDER.figure(rows), alt="Share of scenes that are nearer to their true caption than to one of the same words, with exchanged sides of a relation, colours, places, or all words in another order, beside the 0.5 of a bag of words.")
verdict = experiments.WORD_ORDER.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Break it: the gap between pictures and texts
#
# "One space" sounds as if a picture and its caption landed at the same spot. Look at the two clouds from the side on which they differ most:

# %%
texts_seen = recipes.embed_texts(reference, test_pairs.input_ids)
images_seen = recipes.embed_pictures(reference, test_pairs.images)
gap = images_seen.mean(dim=0) - texts_seen.mean(dim=0)
direction = F.normalize(gap, dim=0)
both = torch.cat([images_seen, texts_seen])
both = both - both.mean(dim=0)
along = both @ direction
rest = both - along[:, None] * direction
across = torch.linalg.svd(rest, full_matrices=False).Vh[0]  # in which the rest differs most
flat = torch.stack([along, both @ across], dim=1)
kinds = torch.arange(2).repeat_interleave(len(images_seen))
plots.show(plots.scatter(flat, kinds, ["pictures", "texts"], "Along the gap, and across it"), alt="Two clouds of points, pictures and texts, that lie side by side and do not touch.")
middle = (images_seen.mean(dim=0) + texts_seen.mean(dim=0)) / 2
told = torch.cat([(images_seen - middle) @ gap > 0, (texts_seen - middle) @ gap < 0]).float().mean()
own_cosine = (images_seen * texts_seen).sum(dim=1).mean()
print(f"length of the gap {gap.norm():.2f}; {told:.3f} of all vectors are told to be picture or text by one plane; cosine of a picture and its caption {own_cosine:.2f}, of two pictures {(images_seen @ images_seen.T).mean():.2f}")

# %% [markdown]
# A picture that chooses among texts does not mind: a shift that all texts share leaves its choice as it is. Two things make the gap (Liang et al.). An untrained network gives much the same vector for every input, a narrow cone, and the cones of the two networks point in different directions, by chance. And a large scale leaves little reason to close it: it is *differences* that count. It does matter when a picture's vector is to
# stand in for a text's (chapter 6), or when pictures and texts are searched together: then what is of the query's own kind is favoured. The experiment measures the gap before and after training, and what becomes of the search when it is taken out:

# %%
rows = training.results(experiments.MODALITY_GAP)
plots.show(experiments.MODALITY_GAP.figure(rows), alt="Left, the distance of the mean picture and the mean text, right, how well a plane tells the two apart, both for untrained models and for the trained one.")
verdict = experiments.MODALITY_GAP.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Break it: a temperature that is fixed badly
#
# Cosines end at 1. And the wrong ones cannot all be $-1$, as three vectors cannot all be opposite to each other: among $N$ pairs they can at best all be $-\frac{1}{N-1}$. So with temperature 1, $s = 1$, no network gets below a loss of $\log(1 + 255\, e^{-256/255}) \approx 4.55$ nats in a batch of 256, where guessing costs 5.55. It pushes apart what is far apart already and has no eye for the near misses. With a very large scale only the *one* nearest rival counts, and in the beginning that one is chance.

# %%
# NBVAL_CHECK_OUTPUT
for temperature in (1, 0.2, 0.07, 0.01):
    s = 1 / temperature
    print(f"temperature {temperature:>4}, scale {s:>5.1f}: no loss below {math.log1p(255 * math.exp(-s * 256 / 255)):.3f} at batch 256")

# %%
rows = training.results(experiments.TEMPERATURE)
plots.show(experiments.TEMPERATURE.figure(rows), alt="Recall at 1 of held-out scenes for temperatures fixed at 1, 0.07 and 0.01, and for the learned one.")
verdict = experiments.TEMPERATURE.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Look: what each head looks at
#
# Choose a held-out scene, and a head of the attention pooling. (Without widgets: the figure of exercise 2 shows the mean of all heads.)


# %%
def lit(scene: int, head: int) -> Tensor:
    """A held-out scene, and the same lit where that head looks."""
    picture = test_pairs.images[scene : scene + 1]
    return torch.cat([picture, as_light(picture, looked_at(picture)[:, head])])


widgets.explorer(
    lit, alt="a held-out scene, and the same lit only where the chosen head of the attention pooling looks", columns=2, zoom=6,
    scene=(0, 60, 3), head=(0, reference.image_encoder.attention_pool.heads - 1, 0),
)  # fmt: skip

# %% [markdown]
# ## Any word: the characters of the world
#
# Scenes have a small vocabulary. The **glyphs** have a large one: characters of many scripts with their official Unicode names. No outline of the held-out ones was seen in training, and the names of all held-out ones are the classes.

# %%
glyph_clip = training.load(recipes.CLIP_GLYPHS)
glyph_images, glyph_names = recipes.SEARCHABLE["clip-glyphs"].gallery()
chosen = draw_integers(0, len(glyph_images), (8,), runtime.generator(4))
all_names = sorted(set(glyph_names))
read_names = recipes.embed_texts(glyph_clip, recipes.glyph_ids(all_names))
best = (recipes.embed_pictures(glyph_clip, glyph_images[chosen]) @ read_names.T).topk(3, dim=1).indices
plots.show(plots.image_grid(glyph_images[chosen], columns=8, zoom=3), alt="Eight characters of different scripts and symbols.")
plots.table([{"its name": glyph_names[number]} | {f"guess {place + 1}": all_names[index] for place, index in enumerate(row)} for number, row in zip(chosen.tolist(), best.tolist(), strict=True)], caption=f"Nearest of {len(all_names)} names")  # fmt: skip

# %%
# NBVAL_CHECK_OUTPUT
card = training.read_card(recipes.CLIP_GLYPHS)
for name, value in card["metrics"].items():
    print(name.ljust(28), f"{value:>10.3f}, chance {card['chance'][name]:.3f}")

# %% [markdown]
# ## The real thing
#
# OpenAI's ViT-B/32, trained on 400 million pairs from the web, loads into our `CLIP`, and its tokenizer into ours; your `zero_shot` classifies with it. It has never seen our toy scenes. With a network, this fetches 600 MB; without, it says so. (At scale gpu it goes on to 500 photographs, and `streamed_pairs("jxie/flickr8k", ...)` is all that it takes to train on such data: batches for `training.fit`, shared among processes.)

# %%
try:
    published = CLIP.from_hub("openai/clip-vit-base-patch32").to(device)
    tokenize = CLIPTokenizer.from_hub("openai/clip-vit-base-patch32")
    large = F.interpolate(pictures, size=published.config.image_size, mode="bicubic").clamp(-1, 1)
    with torch.no_grad():
        vectors = published.encode_image(large.to(device)).cpu()
        probabilities, _ = zero_shot(vectors, texts, "a drawing: {}", lambda prompts: published.encode_text(tokenize(prompts).to(device)).cpu(), published.logit_scale.item())
    plots.table([{"picture": number + 1} | dict(zip(texts, row, strict=True)) for number, row in enumerate(probabilities.tolist())], caption="The published CLIP on the scenes of the first figure")
    if runtime.scale_name() == "gpu":  # real photographs with what people wrote about them, streamed by the name of the data set
        real = next(iter(streamed_pairs("jxie/flickr8k", tokenize, published.config.image_size, 500, split="test")))
        ranks = (recipes.embed_texts(published, real["input_ids"][:, 0]) @ recipes.embed_pictures(published, real["image"]).T).argsort(dim=1, descending=True)
        print(f"of 500 texts about photographs {(ranks[:, 0] == torch.arange(500)).float().mean():.2f} find theirs first; chance 0.002")
except OfflineError as error:
    print(f"No network, so no published weights here ({str(error).split(':')[0]}).")

# %% [markdown]
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-batch", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** Two trainings end with a held-out loss of 0.5, one with batches of 64 pairs, one with batches of 4,096. Which network knows more, and how do you know? A colleague finds a way to fill each batch with pictures of one kind, all of them red circles. What happens to the loss, and what may be gained?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# A guess costs log 64 = 4.2 nats in the one and log 4,096 = 8.3 in the other: to be as sure among 4,096 rivals takes finer differences, so the second knows more. Batches of one kind make every rival a hard one: the loss rises, since colour and shape no longer help. What is left to tell the pairs apart is place, size, background and
# number, so the networks are made to learn those; but a batch like that never asks about colour and shape, so it must be mixed with others. And two scenes that one caption fits are punished as rivals.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-zero-shot", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** A zero-shot classifier and a linear probe are both one vector a class and an argmax. Where do the vectors come from in each? Name a class of any pictures for which you expect the probe to be better even with few pictures, and one for which you expect the text to be better even than many.
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# The zero-shot vectors come from the text encoder, which has read the class's name in many captions; the probe's from the features of labelled pictures alone. A class whose name says little about how it looks, or is not in any caption (a part number, a person, "sample of type B"), needs pictures. A class that differs from another by something rare in the labelled pictures, or a new combination of known words
# such as a colour and a shape that never came together, is described by a text at once, while the probe has no picture of it at all.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-gap", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **3.** Someone adds one fixed vector to the unit vectors of all texts, so that the clouds of pictures and texts come to lie on top of each other, and makes them unit vectors again. What happens to searching pictures by a text, to a zero-shot classifier, and to a search in a gallery that holds pictures and texts together?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# Without the normalisation nothing changes for a picture that chooses among texts: all logits of a row shift by the same amount. With it each text's vector is scaled by a number of its own, so a few close choices may turn, in a zero-shot classifier too. A text that searches pictures does get another query, so ranks may move more. In a mixed gallery it matters most: before, what is of the query's own kind
# was favoured; afterwards what fits counts alike, picture or text.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Radford et al., 2021, sections 2 and 3: much of it is about prompts, probes and what zero-shot means.
# - Wang and Isola, *Understanding contrastive representation learning through alignment and uniformity on the hypersphere*, ICML 2020: what the two halves of the loss do.
# - Cherti et al., *Reproducible scaling laws for contrastive language-image learning*, CVPR 2023: OpenCLIP, and what more data buys.
