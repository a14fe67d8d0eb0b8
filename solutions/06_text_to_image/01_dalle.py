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
# # DALL-E: a picture is a text that goes on
#
# | | |
# |---|---|
# | **Time** | 95 minutes of work, 45 of them exercises; the code runs in about 8 minutes on a laptop's CPU |
# | **You need** | causal transformers and the KV cache (05_clip/01_transformers); codes of pictures (01_autoencoders/03_vqvae); for reranking, what CLIP is (05_clip/02_clip) |
# | **Builds on** | nothing that you wrote before |
# | **Code** | `course_utils/text_to_image/dalle.py`, `dvae.py`, `dalle_recipes.py`, `prompts.py` |
# | **Papers** | Ramesh et al., *Zero-shot text-to-image generation* (DALL-E), ICML 2021 · Gafni et al., *Make-A-Scene*, ECCV 2022 (guidance of logits) · Holtzman et al., *The curious case of neural text degeneration*, ICLR 2020 (top-p) · Ghosh et al., *GenEval*, NeurIPS 2023 (how to count what is right) |
#
# A transformer that has read many texts goes on with any text that you begin. If a picture is a text too, written in a language of little picture pieces, then the same transformer can go on from a caption into the picture that it describes.
# Below, four prompts and what the course's small DALL-E draws to each, the best of four by CLIP on the left. By the end you will have written the sequence that it reads, the loss that taught it, the draw of each piece, and the choice.

# %%
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import plots, runtime, scale, training, widgets
from course_utils.autoencoders.recipes import VQVAE_SCENES, decoded, encoded
from course_utils.checks import text_to_image as check
from course_utils.clip.recipes import CLIP_SCENES, embed_pictures, embed_texts, scene_ids
from course_utils.data import loader
from course_utils.data.scenes import records, render
from course_utils.hub import OfflineError
from course_utils.layers import draw_uniform
from course_utils.text_to_image import Dalle, dalle_experiments, dalle_recipes, prompts
from course_utils.text_to_image.dvae import DiscreteEncoder, map_pixels

device = runtime.device()
runtime.seed_everything(0)

reference = training.load(dalle_recipes.DALLE_SCENES)  # shipped with the course, trained longer than there is time for here
autoencoder = training.load(VQVAE_SCENES)
clip = training.load(CLIP_SCENES)
wanted = [
    "One object on a cream background: a large red circle at the top left.",
    "Two objects on a mint background: a large blue star at the top left and a small yellow heart at the bottom right.",
    "Only a black cross and a cyan triangle.",
    "There is a pink heart.",
]
candidates = dalle_recipes.by_clip(dalle_recipes.drawn(reference, wanted, runtime.generator(0), 4), wanted)
plots.show(plots.image_grid(candidates.flatten(0, 1), columns=4, zoom=3), alt="Four rows of four drawn pictures, a row for each of the prompts that are printed below.")
print("\n".join(f"row {number}: {text}" for number, text in enumerate(wanted, 1)))

# %% [markdown]
# ## The idea
#
# Two steps, trained one after the other.
#
# 1. A **discrete autoencoder** turns a picture into a small grid of codes from a list, and back. The paper's makes 32 x 32 codes out of 256 x 256 pixels, each one of 8,192; ours 8 x 8 codes out of 32 x 32 pixels, each one of 512. So a picture is a text of 64 words.
# 2. **Caption and codes** are put into one row, and a causal transformer learns to continue it, as GPT does:
#
# $$ p(x, y) \;=\; \prod_{i=1}^{L} p(x_i \mid x_{<i}) \;\; \prod_{j=1}^{P} p(y_j \mid y_{<j},\, x) $$
#
# - $x_1, \dots, x_L$: the words of the caption, filled up to the length $L$ (ours: 52, the paper's: 256),
# - $y_1, \dots, y_P$: the codes of the picture, row by row from the top left ($P$ is 64 here, 1,024 in the paper),
# - $x_{<i}$, $y_{<j}$: what stands before; a code sees the whole caption and all codes before it. (Padding is seen too, but not predicted: the first product leaves its positions out.)
#
# To draw, give the caption and let it go on. Nothing in it was made for pictures, except that each code comes with its row and its column.
#
# First the codes. A scene, what the autoencoder makes of it, and the numbers in between, all that the transformer will ever see of it:

# %%
few = records("test", range(6))
grids = encoded(autoencoder, render(few))[0]  # (6, 8, 8)
plots.show(plots.image_grid(torch.cat([render(few), decoded(autoencoder, grids)]), columns=6, zoom=3), alt="Six scenes, and below each the same scene after it went through 64 codes.")
print(grids[0])

# %% [markdown]
# ## Exercise 1 · One sequence · *10 minutes, easy, core*
#
# Words and codes must share one vocabulary, in which no number means two things. With $V$ words, texts of length $L$ and codes from 0 on, DALL-E's is
#
# | ids | what |
# |---|---|
# | $0, \dots, V - 1$ | words |
# | $V + i$, for $i = 0, \dots, L - 1$ | padding at position $i$ of the text |
# | $V + L + k$ | code $k$ |
#
# A caption seldom has $L$ words, and the picture must begin at one fixed place. The gap is filled with padding, and each *position* has a padding token of its own (section 2.2 of the paper), which the codes see like words: it says "here the caption is over". Behind the mask any number may stand. The row is then text, padding, codes.
#
# <details><summary>Hint</summary>
#
# `torch.where(condition, a, b)` takes from `a` where the condition holds. `torch.arange(L)` broadcasts against (batch, L). `grid.flatten(1)` reads a grid row by row.
# </details>
#
# *Stuck? Set `joint_sequence = check.joint_sequence.reference` and go on. The same works for `joint_loss`, `next_code` and `rerank`.*

# %% nbgrader={"grade": false, "grade_id": "joint-sequence", "locked": false, "schema_version": 3, "solution": true, "task": false}
def joint_sequence(text: Tensor, attention_mask: Tensor, codes: Tensor, text_vocabulary: int) -> Tensor:
    """Words, paddings and codes in one row of one vocabulary, (batch, text_length + rows * columns) int64.

    Args:
        text: (batch, text_length) int64; what stands where the mask is False does not matter.
        attention_mask: (batch, text_length) bool, True at words.
        codes: (batch, rows, columns) int64.
        text_vocabulary: number of words, V.
    """
    ### BEGIN SOLUTION
    length = text.shape[1]
    padding = text_vocabulary + torch.arange(length, device=text.device)
    words = torch.where(attention_mask, text, padding)
    return torch.cat([words, text_vocabulary + length + codes.flatten(1)], dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "joint-sequence-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.joint_sequence(joint_sequence)
### BEGIN HIDDEN TESTS
check.joint_sequence(joint_sequence, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# The four prompts from above as the transformer reads them, with the codes of any scenes. One more token stands before all, the *start*, so that the first word too is predicted from something:

# %%
V, L = reference.config.text_vocabulary, reference.config.text_length
ids, mask = dalle_recipes.text_ids(wanted)
sequence = F.pad(joint_sequence(ids, mask, grids[:4], V), (1, 0), value=reference.config.start)
assert sequence.equal(reference.joint_ids(ids, mask, grids[:4].flatten(1)))
kinds = 0 * sequence + (sequence >= V).int() + (sequence >= V + L).int() + (sequence == reference.config.start).int()
figure, axes = plots.figure(width=7.0, height=1.5)
axes[0, 0].imshow(kinds, aspect="auto", cmap="viridis", interpolation="nearest")
axes[0, 0].set(yticks=range(4), yticklabels=["row 1", "row 2", "row 3", "row 4"], xlabel="place in the sequence: start, words, padding, codes")
plots.show(figure, alt="Four rows of 117 tokens: a start token, words, padding up to place 52, and from place 53 on 64 codes. Longer prompts have more words and less padding; the codes begin at one place.")

# %% [markdown]
# ## Exercise 2 · What counts · *10 minutes, easy, core*
#
# For the place of a word only words are predicted, for the place of a code only codes: two output layers, two cross-entropies. As pictures are what is wanted, the paper weighs them 7 to 1 (section 2.2):
#
# $$ \mathcal L \;=\; \frac18 \cdot \frac{1}{|W|} \sum_{(b, i) \in W} -\log p(x_{bi} \mid \dots) \;+\; \frac78 \cdot \frac{1}{B P} \sum_{b=1}^{B} \sum_{j=1}^{P} -\log p(y_{bj} \mid \dots) $$
#
# - $B$: pictures in the batch, $P$: codes of each,
# - $W$: all positions of the batch at which there is a word. Padding is seen, but nobody has to predict it.
#
# The logits are shifted already: those at position $i$ predict word $i$, from what stands before it.
#
# <details><summary>Hint</summary>
#
# A boolean mask picks: `text_logits[attention_mask]` is (words, V). `F.cross_entropy(logits, ids)` takes (n, classes) and (n,) and gives the mean. `code_logits.flatten(0, 1)` is (batch * P, codes).
# </details>

# %% nbgrader={"grade": false, "grade_id": "joint-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def joint_loss(text_logits: Tensor, code_logits: Tensor, text: Tensor, attention_mask: Tensor, codes: Tensor) -> Tensor:
    """1/8 of the words' cross-entropy and 7/8 of the codes', each a mean over its kind: a scalar.

    Args:
        text_logits: (batch, text_length, text_vocabulary), at each position those of its word.
        code_logits: (batch, rows * columns, num_codes), at each place those of its code, row by row.
        text, attention_mask: (batch, text_length), the mask True at words.
        codes: (batch, rows, columns) int64.
    """
    ### BEGIN SOLUTION
    words = F.cross_entropy(text_logits[attention_mask], text[attention_mask])
    pictures = F.cross_entropy(code_logits.flatten(0, 1), codes.flatten())
    return words / 8 + 7 * pictures / 8
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "joint-loss-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.joint_loss(joint_loss)
### BEGIN HIDDEN TESTS
check.joint_loss(joint_loss, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# How sure is the reference of each code? The codes' losses of six held-out scenes with their captions, place by place, and the same with the captions of the *next* scene. They differ where the text tells what the codes before do not:

# %%
asked = prompts.prompts("test", scale(smoke=16, cpu=200, gpu=200))
pictures = render(asked.records)
codes = encoded(autoencoder, pictures)[0]


@torch.no_grad()
def code_losses(model: Dalle, texts: Sequence[str], codes: Tensor) -> Tensor:
    """-log p of each code in nats, (texts, 8, 8)."""
    ids, mask = dalle_recipes.text_ids(texts, model.config.text_length)
    logits = model(ids.to(device), mask.to(device), codes.to(device)).codes.cpu()
    return F.cross_entropy(logits.mT, codes.flatten(1), reduction="none").view_as(codes)


right, wrong = code_losses(reference, asked.texts, codes), code_losses(reference, asked.texts[1:] + asked.texts[:1], codes)
light = 2 * torch.cat([right[:6], wrong[:6]])[:, None].clamp(max=8) / 8 - 1  # as brightness, up to 8 nats
shown = F.interpolate(light.expand(-1, 3, -1, -1), scale_factor=4, mode="nearest")
plots.show(plots.image_grid(torch.cat([pictures[:6], shown]), columns=6, zoom=3), alt="Six scenes, below each the loss of its 64 codes as brightness, with its own caption, and below that with another caption.")
print(f"{len(codes)} scenes: {right.mean():.2f} nats a code with their own captions, {wrong.mean():.2f} with others; codes drawn blindly from 512 would cost {torch.tensor(512.0).log():.2f}")

# %% [markdown]
# ## Train
#
# Time is short here, so your own model has a smaller world, scenes of one object, and half a million parameters. Now and then the caption is left out, all padding: so the model learns what pictures look like when nothing is said, too. That is what guidance will need.

# %%
runtime.seed_everything(1)
SMALL = replace(dalle_recipes.NETWORK, text_length=24, width=96, depth=3)
model = Dalle(SMALL)


class ShortTexts(torch.utils.data.Dataset):
    """Scenes of one object: batches of `codes` (batch, 8, 8), `text` and `attention_mask` (batch, 24)."""

    def __init__(self, count: int):
        self.pairs = dalle_recipes.CaptionedCodes(count, objects=1, levels=("full",))

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        batch = self.pairs.__getitems__(indices)
        return {"codes": batch["codes"]} | {name: batch[name][:, 0, : SMALL.text_length] for name in ("text", "attention_mask")}


def drawing(model: Dalle) -> training.Player:
    """Your sequence and your loss for `training.fit`."""

    def objective(batch: dict) -> tuple[Tensor, dict]:
        text, mask, codes = batch["text"], batch["attention_mask"], batch["codes"]
        dropped = torch.rand(len(text), 1, device=text.device) < 0.1
        dropped[0] = False  # a batch without any word would have no mean over its words
        mask = mask & ~dropped
        sequence = F.pad(joint_sequence(text, mask, codes, SMALL.text_vocabulary), (1, 0), value=SMALL.start)
        features = model.encode(sequence[:, :-1])
        words, pictures = model.to_words(features[:, : SMALL.text_length]), model.to_codes(features[:, SMALL.text_length :])
        return joint_loss(words, pictures, text, mask, codes), {}

    return training.Player("dalle", model, objective, learning_rate=3e-3, betas=(0.9, 0.98), weight_decay=0.05, ema_decay=0.98)


single = ShortTexts(scale(smoke=64, cpu=8000, gpu=50_000))
history = training.cached(
    "01_dalle/single",
    lambda: training.fit(drawing(model), loader(single, 32), scale(smoke=3, cpu=900, gpu=20_000), schedule="cosine"),
    model, uses=(drawing, joint_sequence, joint_loss),  # kept, and trained anew if one of these changes
)  # fmt: skip
plots.show(plots.curves({"loss": history["loss"]}, ylabel="nats, weighted", smooth=20), alt="The weighted loss of your model against steps of training.")

# %% [markdown]
# ## Exercise 3 · A code is drawn · *15 minutes, medium, core*
#
# The model gives logits of the next code; one code has to come of it. Three ideas, in this order.
#
# **Guidance.** Ask the model twice, with the text, $\ell(\text{text})$, and without, $\ell(\varnothing)$, and go from the second through the first and beyond:
#
# $$ \ell \;=\; \ell(\varnothing) + s \left( \ell(\text{text}) - \ell(\varnothing) \right) $$
#
# With $s = 0$ the text is ignored, with $s = 1$ nothing changes; with $s > 1$, codes that the text makes likelier become likelier still.
#
# **Top-k.** Each of many unlikely codes is unlikely, but one of them comes every few draws, and one wrong piece spoils a picture. So all but the $k$ largest logits become minus infinity.
#
# **Temperature**, and the draw. $p = \mathrm{softmax}(\ell / T)$. Then go through the codes from 0 upwards and add up their probabilities: the first code at which the sum *exceeds* the uniform number $u$ is drawn.
#
# <details><summary>Hint</summary>
#
# `logits.topk(k, dim=1).values[:, -1:]` is each row's k-th largest, (batch, 1). `masked_fill(condition, -torch.inf)`. After `cumsum(dim=1)`, the number of sums that are still `<= u` is the number of the code; `.clamp(max=...)`, for rounding may leave the last sum just below 1.
# </details>

# %% nbgrader={"grade": false, "grade_id": "next-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def next_code(conditional: Tensor, null: Tensor, uniform: Tensor, guidance_scale: float, temperature: float, top_k: int) -> Tensor:
    """A code for each row, (batch,) int64.

    Args:
        conditional, null: logits with the text and without, (batch, num_codes).
        uniform: (batch,) in [0, 1), a number for each row's draw.
        guidance_scale: s.
        temperature: T, above 0.
        top_k: k, from 1 to num_codes.
    """
    ### BEGIN SOLUTION
    logits = null + guidance_scale * (conditional - null)
    least = logits.topk(top_k, dim=1).values[:, -1:]
    logits = logits.masked_fill(logits < least, -torch.inf)
    reached = (logits / temperature).softmax(dim=1).cumsum(dim=1)
    return (reached <= uniform[:, None]).sum(dim=1).clamp(max=logits.shape[1] - 1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "next-code-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.next_code(next_code)
### BEGIN HIDDEN TESTS
check.next_code(next_code, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Around it the loop. The keys and values of what was read are kept (notebook 05_clip/01), so the text is read once, and after that each step reads one new code. Both halves of guidance run side by side, as one batch:


# %%
@torch.no_grad()
def draw(
    model: Dalle, texts: Sequence[str], generator: torch.Generator,
    guidance_scale: float = 2.0, temperature: float = 1.0, top_k: int = 30, known: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Pictures (texts, 3, 32, 32), by your `joint_sequence` and `next_code`; `known` (texts, rows, 8) are the first rows of codes, which are kept."""
    config = model.config
    known = torch.zeros(len(texts), 0, config.grid_size, dtype=torch.int64) if known is None else known
    ids, mask = dalle_recipes.text_ids(texts, config.text_length)
    prompt = F.pad(joint_sequence(ids, mask, known, config.text_vocabulary), (1, 0), value=config.start)
    new = torch.cat([prompt, model.without_text(prompt)]).to(device)
    grid = list(known.flatten(1).T)
    _, cache = model.begin(new, None, config.places - len(grid))
    while len(grid) < config.places:
        conditional, null = model.code_logits(new, cache).float().cpu().chunk(2)
        grid.append(next_code(conditional, null, draw_uniform((len(texts),), generator), guidance_scale, temperature, top_k))
        new = (grid[-1] + config.first_code).repeat(2)[:, None].to(device)
    return decoded(autoencoder, torch.stack(grid, dim=1).unflatten(1, (config.grid_size, -1)))


one_object = prompts.prompts("test", scale(smoke=8, cpu=200, gpu=1000), objects=1)
drawn = draw(model, one_object.texts, runtime.generator(1))
found, chance = prompts.match(drawn, one_object), prompts.match(render(one_object.records).roll(1, 0), one_object)
plots.show(plots.image_grid(torch.cat([drawn[:8], render(one_object.records)[:8]]), columns=8, zoom=3), alt="Eight pictures that your model drew to captions of held-out scenes, and below each that scene.")
print("\n".join(one_object.texts[:4]))
plots.table([{"pictures": name} | {key: scores[key] for key in ("attributes", "position", "background", "all_right")} for name, scores in (("your model's", found), ("real ones of other prompts", chance))], caption=f"How far {len(drawn)} held-out prompts of one object are followed, read by the scene judge")
if runtime.scale_name() != "smoke":
    assert found["attributes"] > chance["attributes"] + 0.4, "your pictures should show most of what their prompts name"

# %% [markdown]
# (The **scene judge** is a small network that recovers the record of a picture, what object is where, and its record is compared with that of the scene behind the prompt. So what a picture gets right can be counted, not admired. `attributes`: the share of right sizes, colours and shapes; `position`: of the four places with the right shape, or rightly empty; `all_right`: all that the prompt says is true.)
#
# ## Look
#
# Now your `draw` with the reference, which knows scenes of up to four objects. The same prompt and the same numbers $u$ at three scales of guidance; with 0 the prompt is not heard:

# %%
prompt = "Three objects on a lavender background: a large orange star at the top left, a small green square at the top right and a large black cross at the bottom right."
rows = torch.cat([draw(reference, [prompt] * 6, runtime.generator(2), guidance_scale=s) for s in (0.0, 1.0, 3.0)])
plots.show(plots.image_grid(rows, columns=6, zoom=3), alt="Three rows of six pictures to one prompt: with guidance 0, which takes no notice of it, with 1, and with 3.")
print(prompt)

# %% [markdown]
# Type a prompt of your own, and press Enter. (Without widgets: the figure above is what it shows at three settings.)


# %%
def answer(prompt: str, guidance: float, temperature: float, seed: int) -> Tensor:
    """Six pictures to a prompt, the one that CLIP likes best first."""
    return dalle_recipes.by_clip(draw(reference, [prompt] * 6, runtime.generator(seed), guidance, temperature)[None], [prompt])[0]


widgets.explorer(
    answer, alt="six pictures that the reference draws to the prompt, the one that fits it best by CLIP first", columns=6, zoom=4,
    prompt="two objects: a large red heart at the bottom left and a small blue circle at the top right", guidance=(0.0, 6.0, 2.0), temperature=(0.2, 2.0, 1.0), seed=(0, 20, 0),
)  # fmt: skip

# %% [markdown]
# ## The lower half of a picture
#
# The codes come row by row from the top. So the upper half of a picture can be *given*, as if the model had drawn it, and the model goes on: completion costs nothing new. (The left half cannot be given: the codes to the right of its first row come before its second row.) Each scene, its upper half, and three ways to go on, with the caption:

# %%
halves = codes[:4, :4]
completed = [draw(reference, asked.texts[:4], runtime.generator(seed), known=halves) for seed in (1, 2, 3)]
upper = pictures[:4].clone()
upper[:, :, 16:] = 1
plots.show(plots.image_grid(torch.stack([pictures[:4], upper, *completed], dim=1).flatten(0, 1), columns=5, zoom=3), alt="Four rows: a scene, its upper half, and three pictures with this upper half and a lower half drawn to the caption.")
print("\n".join(asked.texts[:4]))

# %% [markdown]
# ## Exercise 4 · The best of n · *10 minutes, easy, core*
#
# A model that draws is right now and then; a model that *compares* may know when. For every caption the paper draws 512 pictures and lets CLIP choose (section 2.6). Both learned from pictures and their captions, but to tell whether a picture fits is easier than to draw one that does.
#
# For each text, sort its $n$ pictures by the cosine between picture and text, best first.
#
# <details><summary>Hint</summary>
#
# `text_embeddings[:, None]` is (batch, 1, dim), which broadcasts against (batch, n, dim). The vectors come in any length. `argsort(dim=1, descending=True)`.
# </details>

# %% nbgrader={"grade": false, "grade_id": "rerank", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rerank(image_embeddings: Tensor, text_embeddings: Tensor) -> Tensor:
    """The numbers 0 ... n - 1 of each text's pictures, the best first: (batch, n) int64.

    Args:
        image_embeddings: (batch, n, dim), of n pictures for each text, of any length.
        text_embeddings: (batch, dim), of any length.
    """
    ### BEGIN SOLUTION
    cosines = F.cosine_similarity(image_embeddings, text_embeddings[:, None], dim=2)
    return cosines.argsort(dim=1, descending=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "rerank-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.rerank(rerank)
### BEGIN HIDDEN TESTS
check.rerank(rerank, hidden=True)
### END HIDDEN TESTS

# %%
four = prompts.prompts("test", scale(smoke=4, cpu=60, gpu=500), objects=4)
many = torch.stack([draw(reference, four.texts, runtime.generator(seed), guidance_scale=1.0) for seed in range(8)], dim=1)
images = embed_pictures(clip, many.flatten(0, 1)).unflatten(0, many.shape[:2])
order = rerank(images, embed_texts(clip, scene_ids(four.texts)))
ordered = many[torch.arange(len(many))[:, None], order]
plots.show(plots.image_grid(ordered[:3].flatten(0, 1), columns=8, zoom=3), alt="Three rows of eight pictures, each row to one prompt of four objects, in the order that CLIP gives them, the best on the left.")
print("\n".join(four.texts[:3]))
plots.table([{"picture": name} | {key: prompts.match(few, four)[key] for key in ("attributes", "position", "all_right")} for name, few in (("CLIP's best", ordered[:, 0]), ("the first drawn", many[:, 0]), ("CLIP's worst", ordered[:, -1]))], caption=f"{len(four.texts)} prompts of four objects, 8 pictures each, no guidance")

# %% [markdown]
# The experiment has more pictures to choose from. Beside what CLIP chose stands what there *was* to choose: for how many prompts at least one of the $n$ is wholly right. The distance between the two curves is what a better judge than CLIP would still gain.

# %%
rows = training.results(dalle_experiments.RERANK)
plots.show(dalle_experiments.RERANK.figure(rows), alt="Share of prompts that are wholly right, and of right attributes, against the number of pictures that CLIP chooses from, and above them the share for which any of the pictures is wholly right.")
verdict = dalle_experiments.RERANK.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# The choice helps at once, and not for ever: among very many, the one that CLIP likes best is no longer the likeliest to be right, though a right one is there. Question 3 asks why.
#
# ## Measure
#
# The reference's card. Chance: real scenes of *other* prompts. Ceiling: the prompts' own scenes, sent through the autoencoder. Names that begin with `first` are of one picture a prompt, without CLIP's choice. Its sampler is another one than in `draw`: top-p, which is explained below, in place of top-k.

# %%
# NBVAL_CHECK_OUTPUT
card = training.read_card(dalle_recipes.DALLE_SCENES)
print(f"{card['samples']} prompts".ljust(28), *(f"{kind:>10}" for kind in ("measured", "chance", "ceiling")))
for name, value in card["metrics"].items():
    print(name.ljust(28), f"{value:>10.3f}", *(f"{card[kind][name]:>10.3f}" if name in card[kind] else " " * 10 for kind in ("chance", "ceiling")))

# %% [markdown]
# The lecture says that discrete tokens and one transformer over text and picture can draw from a prompt. Does that hold for one object, and for four? And for a pair of shape and colour that no training scene showed? The paper had no record to compare with; it asked people, who found DALL-E's picture to match its caption better than that of the best earlier model 93 times in a hundred (section 3.1).

# %%
rows = training.results(dalle_experiments.PROMPT)
plots.show(dalle_experiments.PROMPT.figure(rows), alt="Share of prompts that are wholly right against the number of objects in them, for held-out scenes and for unseen pairs, one picture and the best of eight, between the line of autoencoded real pictures and that of real ones of other prompts.")
verdict = dalle_experiments.PROMPT.verdict(rows)
print(f"The lecture's claim: {verdict.verdict}: {verdict.why}")

# %% [markdown]
# **Guidance** is to buy agreement with the prompt, and may have to pay with variety: what the prompt leaves open is no longer left to chance. So two things are measured, how far prompts are followed, and how often two pictures of a prompt that names no background have different ones:

# %%
rows = training.results(dalle_experiments.GUIDANCE)
plots.show(dalle_experiments.GUIDANCE.figure(rows), alt="Share of prompts that are wholly right, of right attributes, and how often two pictures of one prompt differ in their background, against the guidance scale.")
verdict = dalle_experiments.GUIDANCE.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# Past its best scale guidance harms, and soon more than it ever helped: what is exaggerated is the difference of two guesses, with the errors of both. In 02_stable_diffusion, where each step corrects the one before, large scales do far less harm.
#
# **Temperature, top-k and top-p** (keep the likeliest codes, just as many as hold the share p of the probability):

# %%
rows = training.results(dalle_experiments.SAMPLING)
plots.show(dalle_experiments.SAMPLING.figure(rows), alt="Left, the share of prompts that are wholly right against temperature, for all codes, the ten likeliest and those that hold 0.9 of the probability; right, the variety of the pictures.")
verdict = dalle_experiments.SAMPLING.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# **Which codes?** Ours takes the nearest code, and codes are running means of what they stand for. DALL-E's draws in training from a softmax over all codes, with Gumbel noise and a temperature that falls: relaxed codes (both in notebook 01_autoencoders/03_vqvae). The experiment trains a small autoencoder of each kind and a small transformer of its codes, in equally many steps:

# %%
rows = training.results(dalle_experiments.CODES_STUDY)
plots.show(dalle_experiments.CODES_STUDY.figure(rows), alt="For codes of running means and for relaxed codes: share of autoencoded real pictures and of prompts that are wholly right, right attributes, and codes in use.")
verdict = dalle_experiments.CODES_STUDY.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Break it: a prompt longer than any that was seen
#
# A transformer with learned positions knows a word where it has met it. Put "a a a a ..." in front of a simple prompt: it says nothing, but no caption of the training begins like that, and the words that count come to stand where they seldom or never stood. And beyond 52 positions there is nothing: what does not fit is cut off, and what is cut off is the *end*.

# %%
simple = "a red circle is at the top left"
pieces = [draw(reference, ["a " * fillers + simple] * 6, runtime.generator(3)) for fillers in (0, 16, 48)]
plots.show(plots.image_grid(torch.cat(pieces), columns=6, zoom=3), alt="Three rows of six pictures of the prompt 'a red circle is at the top left': alone, behind 16 times 'a', and behind 48 times, where the place does not fit any more.")
rows = training.results(dalle_experiments.LONG)
plots.show(dalle_experiments.LONG.figure(rows), alt="Share of prompts of one object that come true, and of right colours and shapes, against the number of tokens.")
verdict = dalle_experiments.LONG.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Break it: whose colour is it?
#
# "Only a red circle and a blue star" and "only a blue circle and a red star" have the same words. CLIP, as a bag of words, could hardly tell them apart (notebook 05_clip/02). Does a transformer that *draws* know which colour belongs to which object? Six pictures to each of the two prompts; then counted over prompts of two objects, for pairs that training shows and for one pair that it never shows:

# %%
swapped = ["Only a red circle and a blue star.", "Only a blue circle and a red star."]
pieces = [draw(reference, [text] * 6, runtime.generator(4)) for text in swapped]
plots.show(plots.image_grid(torch.cat(pieces), columns=6, zoom=3), alt="Two rows of six pictures, to 'only a red circle and a blue star' and to 'only a blue circle and a red star'.")
rows = training.results(dalle_experiments.BINDING)
plots.show(dalle_experiments.BINDING.figure(rows), alt="Share of pictures in which both objects have their own colour, in which the colours are exchanged, in which both shapes and both colours are there, at three scales of guidance, for seen and unseen pairs.")
verdict = dalle_experiments.BINDING.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# Compare *own* with *both shapes*: where both objects are there at all, they nearly always have their own colours. What fails is seldom whose colour it is; it is an object that is missing, for these prompts do not say where it belongs.
#
# In training the model has an advantage over CLIP: it is asked about *each* code, those of the star too, so its loss grows with every colour on a wrong object. CLIP is asked only which of the captions in the batch fits, and seldom meets one with the same words.
#
# ## The real thing
#
# OpenAI published the discrete autoencoder of DALL-E, not the transformer. Its encoder loads into our `DiscreteEncoder` from a copy that transformers' FLAVA uses, so that a picture of 256 x 256 pixels becomes 32 x 32 of its 8,192 codes. (The decoder is published as Python objects, which can run code when opened. `DiscreteVAE.from_hub` says how to get plain weights of it, and then draws pictures of codes.) With a network, this fetches 200 MB; without, it says so.

# %%
try:
    published = DiscreteEncoder.from_hub("facebook/flava-image-codebook").to(device)
    large = F.interpolate(render(few, 64), size=256, mode="bicubic").clamp(-1, 1)
    with torch.no_grad():
        theirs = published(map_pixels(large.to(device))).argmax(dim=1).cpu()  # (6, 32, 32)
    hues = torch.stack([theirs * factor % 256 for factor in (37, 101, 151)], dim=1) / 127.5 - 1  # a colour for each code
    plots.show(plots.image_grid(torch.cat([F.interpolate(large, size=64), F.interpolate(hues, size=64)]), columns=6, zoom=1), alt="Six scenes, and below each its 32 x 32 codes as colours: flat regions share a few codes, edges have many.")
    print(f"{len(theirs.unique())} of 8,192 codes are used by these six scenes, {[len(grid.unique()) for grid in theirs]} by each")
except OfflineError as error:
    print(f"No network, so no published weights here ({str(error).split(':')[0]}).")

# %% [markdown]
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-order", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** The sequence is text first, then codes. What could the same model do if it were trained with the codes first? And if padding were hidden from the codes by a mask: what would they see of a caption that was left out, and is that enough for guidance?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# With the codes first it would write a caption to a picture: each part can be drawn given what stands before it. It could not draw to a prompt, since codes would not see the text. Guidance needs "no caption" as an input of its own. Were padding hidden, the codes would see only the start token there. That is
# enough, if captions are left out in training, for nothing else looks like that; with visible padding it is the text that is all padding.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-guidance", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** A low temperature and a large guidance scale both make pictures less varied. In what do they differ? Name a prompt, or a part of a picture, for which one of them changes much and the other hardly anything.
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# Temperature sharpens all choices alike, whatever made them likely: where the model is unsure, the likeliest code wins. Guidance moves only what the text changes: where logits with and without text are the same, it does nothing. The background of a prompt that names none, or the exact place of an object, becomes monotonous with a low temperature, and guidance does
# not touch it directly (as small differences are multiplied, and later codes follow the earlier ones, it may lose variety all the same: the experiment counts that); the colour of an object that the text names is made surer by guidance even where a drawn code without text would be another.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-rerank", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **3.** With ever more pictures to choose from, the share of prompts for which one of them is right grows on, while that of CLIP's choice may stop growing. Why? What kinds of fault will CLIP overlook, and could more pictures even do harm?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# CLIP chooses what it finds nearest, and it does not see everything: with words in another order, as colours exchanged between objects, it can hardly tell right from wrong. Among many candidates the best by CLIP is more and more one that is good in what CLIP measures, and right or wrong by chance in the rest. Among very many there may be pictures that CLIP
# overrates for faults of its own, and then the choice becomes worse.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# DALL-E 2 and 3 are diffusion models (the next notebook), not transformers over codes.
#
# - Ramesh et al., 2021: section 2.1 and appendix A on the autoencoder, appendix B on the transformer's sparse attention, section 2.4 on what it takes to train one in half precision.
# - Yu et al., *Scaling autoregressive models for content-rich text-to-image generation* (Parti), TMLR 2022: the same idea with an encoder for the text and 20 billion parameters.
# - Chang et al., *Muse: Text-to-image generation via masked generative transformers*, ICML 2023: the codes all at once, in a few rounds, in place of one after the other.
