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
# # BLIP-2: queries between two frozen giants
#
# | | |
# |---|---|
# | **Time** | 80 minutes of work, 40 of them exercises; the code runs in about 7 minutes on a laptop's CPU |
# | **You need** | attention with masks (chapter 5, notebook 1), the contrastive loss (chapter 5, notebook 2); what BLIP's three losses are (notebook 2 of this chapter) helps |
# | **Builds on** | nothing that you wrote before |
# | **Code** | `course_utils/captioning_vqa/qformer.py`, `blip2.py`, `losses.py` |
# | **Papers** | Li, Li, Savarese and Hoi, *BLIP-2: bootstrapping language-image pre-training with frozen image encoders and large language models*, ICML 2023 · Dai et al., *InstructBLIP*, NeurIPS 2023 · Alayrac et al., *Flamingo*, NeurIPS 2022 |
#
# The best image encoders and the best language models have billions of weights, and training them together costs more than most can pay. BLIP-2 trains neither. Between the two it puts a small network with a few learned vectors, the **queries**. They look at the picture, fetch what a text would want to know, and pass it on in a language that the language model understands.
#
# Below, held-out scenes, what such a network (made for the course) let its frozen language model say about them, and where each of its queries looked. By the end you will have written the masks by which it learned, the contrast of its queries, and the way in which they come before the words:

# %%
import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import plots, runtime, scale, training, widgets
from course_utils.captioning_vqa import BLIP2, QFormer, QFormerConfig, parameter_counts
from course_utils.captioning_vqa import blip2_experiments as experiments
from course_utils.captioning_vqa import blip2_recipes as recipes
from course_utils.captioning_vqa import qformer as reference_code
from course_utils.captioning_vqa.losses import writing_loss
from course_utils.captioning_vqa.metrics import truth_scores
from course_utils.checks import captioning_vqa as check
from course_utils.data import loader
from course_utils.data.scenes import records, render
from course_utils.hub import OfflineError
from course_utils.language.corruption import real_labels
from course_utils.language.texts import encoded

device = runtime.device()
runtime.seed_everything(0)

reference = training.load(recipes.BLIP2_SCENES)  # both stages; shipped with the course, trained longer than there is time for here
first_stage = training.load(recipes.BLIP2_STAGE1)  # the same network after its first stage
speaker = recipes.clipcap_gpt()  # the frozen language model
scenes = records("test", range(scale(smoke=12, cpu=200, gpu=200)))
pictures = render(scenes, 32)
seen = recipes.image_tokens(pictures)  # what the frozen clip-scenes sees of each: 4 x 4 places, 384 numbers each
written = recipes.described(reference, seen[:6])


def lit(picture: Tensor, shares: Tensor) -> Tensor:
    """A picture (3, 32, 32) as bright as it is looked at, for each of the shares (n, 16): (n, 3, 32, 32)."""
    light = F.interpolate((shares / shares.amax(dim=1, keepdim=True)).unflatten(1, (1, 4, 4)), scale_factor=8, mode="bilinear")
    return (picture + 1) * light - 1


looks = recipes.looked_at(reference, seen[:6])  # (6, queries, 16)
rows = {f"{number + 1}": torch.cat([pictures[number : number + 1], lit(pictures[number], looks[number])]) for number in range(6)}
plots.show(plots.image_grid(rows, columns=9, zoom=2), alt="Six rows: a held-out scene, and then the same scene eight times, each lit only where one of the eight queries looks.")
for number, text in enumerate(written):
    print(f"{number + 1}  {text}")

# %% [markdown]
# ## The idea
#
#        picture ──► image encoder ──► 16 places ──► Q-Former ──► 8 vectors ──► one linear layer ──► language model ──► caption
#                       frozen                       learned                        learned              frozen
#
# The **Q-Former** is a small transformer. Its input are $K$ learned vectors, the queries, the same for every picture. In every second layer they look at the picture's places (cross-attention); in every layer they look at one another; what comes out are $K$ vectors that hold what was fetched. In the paper 257 patches become $K = 32$ vectors, here 16 places become 8.
#
# What should they fetch? A language model that stays as it is cannot tell them in its own words at first. So there are two stages:
#
# 1. **Without a language model.** The Q-Former reads the caption as well (queries and text share its self-attention, and have feed-forward layers of their own). It learns from BLIP's three losses: *contrast* (which caption belongs to which picture?), *matching* (do this picture and this text belong together?) and *writing* (the caption, word by word, from the queries alone). They differ only in **who may see whom**.
# 2. **With it.** The queries' vectors, through one linear layer, stand before the caption like words, and the caption is to become likely:
#
# $$ \mathcal L_1 = \mathcal L_{\mathrm{contrast}} + \mathcal L_{\mathrm{matching}} + \mathcal L_{\mathrm{writing}}, \qquad \mathcal L_2 = -\sum_t \log p_{\mathrm{LM}}\big(c_t \mid W z_1 + b, \dots, W z_K + b,\; c_1, \dots, c_{t-1}\big) $$
#
# - $z_1, \dots, z_K$: what the queries have become, (batch, K, width), a function of the picture,
# - $W, b$: the linear layer from the Q-Former's width to the language model's,
# - $c_1, c_2, \dots$: the tokens of the caption; $p_{\mathrm{LM}}$: the frozen language model. The gradient flows *through* it and changes nothing in it.
#
# ## Exercise 1 · The three masks · *15 minutes, medium, core*
#
# Queries and text stand in one row, the $K$ queries first, then the $n$ tokens of the text. A mask says which place (row) may look at which (column):
#
# | | queries see | the text sees |
# |---|---|---|
# | `"contrast"` | queries | the whole text, and no queries: two vectors that know nothing of each other are compared |
# | `"writing"` | queries | all queries, and the text up to and with itself |
# | `"matching"` | everything | everything |
#
# <details><summary>Hint</summary>
#
# Begin with all True, (K + n, K + n), and set blocks to False: `mask[:K, K:]` are queries that look at the text. `tril()` keeps what is on and below the diagonal.
# </details>
#
# *Stuck? Set `who_sees_whom = check.who_sees_whom.reference` and go on. The same works for `query_contrast` and `prefix_and_labels`.*

# %% nbgrader={"grade": false, "grade_id": "who-sees-whom", "locked": false, "schema_version": 3, "solution": true, "task": false}
def who_sees_whom(num_queries: int, length: int, task: str) -> Tensor:
    """The mask of one task, (num_queries + length, num_queries + length) bool: True where the row's token may look at the column's.

    Args:
        num_queries: they come first.
        length: tokens of the text, which come after them.
        task: "contrast", "writing" or "matching".
    """
    ### BEGIN SOLUTION
    place = torch.arange(num_queries + length)
    looks, seen = place[:, None] < num_queries, place < num_queries  # which rows and which columns are queries
    if task == "matching":
        return torch.ones_like(looks | seen)
    if task == "contrast":
        return looks == seen
    return seen | (~looks & (place <= place[:, None]))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "who-sees-whom-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.who_sees_whom(who_sees_whom)
### BEGIN HIDDEN TESTS
check.who_sees_whom(who_sees_whom, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Your masks for 4 queries and 6 tokens, white where one may look. They are the ones by which the course's Q-Former works:

# %%
shown = torch.stack([who_sees_whom(4, 6, task) for task in ("contrast", "writing", "matching")])
plots.show(plots.image_grid(shown[:, None].float() * 2 - 1, columns=3, zoom=12), alt="Three squares. Contrast: two white blocks on the diagonal, 4 by 4 and 6 by 6. Writing: the first four columns white, and below the diagonal of the text. Matching: all white.")
for task, sight in zip(("contrast", "writing", "matching"), reference_code.SIGHTS, strict=True):
    assert who_sees_whom(8, 20, task).equal(reference_code.who_sees_whom(8, 20, sight)), task

# %% [markdown]
# ## Exercise 2 · The best query · *10 minutes, medium, core*
#
# CLIP compares a text with *one* vector of the picture. Here a picture has $K$. A caption need not fit them all: the similarity is that of the query that fits *best*,
#
# $$ s_{ij} = \max_{k} \; \hat z_{i,k} \cdot \hat u_j, \qquad \mathcal L_{\mathrm{contrast}} = -\frac{1}{2N} \sum_i \left( \log \frac{e^{\tau s_{ii}}}{\sum_j e^{\tau s_{ij}}} + \log \frac{e^{\tau s_{ii}}}{\sum_j e^{\tau s_{ji}}} \right) $$
#
# - $\hat z_{i,k}$: query $k$ of picture $i$ in the space of the comparison, made a unit vector; $\hat u_j$: text $j$ (what became of its first token), a unit vector,
# - $\tau$ = `log_scale.exp()`: one over the temperature; $N$: pairs in the batch.
#
# The pictures are frozen, so their tokens take little memory and batches can be large: all negatives come from the batch, without BLIP's queue and slow copy.
#
# <details><summary>Hint</summary>
#
# `torch.einsum("iqd,td->iqt", ...)` gives all products, `amax(dim=1)` the best query. Then cross-entropy along rows and along columns, with the right answers 0, 1, 2, ...
# </details>

# %% nbgrader={"grade": false, "grade_id": "query-contrast", "locked": false, "schema_version": 3, "solution": true, "task": false}
def query_contrast(query_vectors: Tensor, text_vectors: Tensor, log_scale: Tensor) -> Tensor:
    """The contrastive loss by the best query in nats, a scalar, mean over the pairs and both directions.

    Args:
        query_vectors: (batch, num_queries, dim), of any length.
        text_vectors: (batch, dim), of any length; row i belongs to picture i.
        log_scale: scalar, the logarithm of the scale by which cosines are multiplied.
    """
    ### BEGIN SOLUTION
    queries, texts = F.normalize(query_vectors, dim=2), F.normalize(text_vectors, dim=1)
    logits = log_scale.exp() * torch.einsum("iqd,td->iqt", queries, texts).amax(dim=1)
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "query-contrast-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.query_contrast(query_contrast)
### BEGIN HIDDEN TESTS
check.query_contrast(query_contrast, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# The network after its first stage, and your loss. Which query is the best for its own caption? If it were always the same one, the others would be of no use for the contrast:

# %%
texts = recipes.full_captions(scenes)
ids, mask = (part.to(device) for part in encoded(texts).values())
with torch.no_grad():
    vectors, read = first_stage.encode_image(seen.to(device)), first_stage.encode_text(ids, mask)
    loss = query_contrast(vectors, read, first_stage.log_scale.detach())
best = torch.einsum("iqd,id->iq", vectors, read).argmax(dim=1).cpu()
found = (torch.einsum("iqd,td->tiq", vectors, read).amax(dim=2).argmax(dim=1).cpu() == torch.arange(len(texts))).float().mean()
print(f"your loss of {len(texts)} held-out pairs {loss:.2f} nats, of a guess {math.log(len(texts)):.2f}; captions that find their scene among {len(texts)}: {found:.2f}")
shares = {f"query {number + 1}": (best == number).float().mean().item() for number in range(vectors.shape[1])}
plots.show(plots.bars(shares, ylabel="is the best for its caption"), alt="For each of the eight queries, the share of held-out scenes in which it is the one nearest to the scene's caption.")

# %% [markdown]
# ## Exercise 3 · Words for the language model · *15 minutes, medium, core*
#
# The second stage. A causal language model reads vectors from left to right, and its answer at each place is a guess of the *next* token. Make what it reads, what of it is real, and what it is to be asked for:
#
# - **inputs**: the queries through the linear layer, $W z_k + b$, then the embedded words of the caption,
# - **mask**: all queries are real; of the words, those that `attention_mask` says,
# - **labels**: token $t$ itself at its place (the loss moves them by one), and $-100$, which `cross_entropy` ignores, wherever there is nothing to say: at the queries and at padding. The caption's first word *is* asked for; what predicts it is the last query.
#
# <details><summary>Hint</summary>
#
# `F.linear(queries, weight, bias)`. `F.pad(x, (K, 0), value=...)` puts K values before the last axis. `torch.where(attention_mask, input_ids, -100)`.
# </details>

# %% nbgrader={"grade": false, "grade_id": "prefix-and-labels", "locked": false, "schema_version": 3, "solution": true, "task": false}
def prefix_and_labels(queries: Tensor, weight: Tensor, bias: Tensor, words: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the language model reads, (batch, K + n, language_width), which of it is real, (batch, K + n) bool, and labels (batch, K + n) int64.

    Args:
        queries: what the queries fetched, (batch, K, width).
        weight, bias: of the linear layer, (language_width, width) and (language_width,).
        words: the embedded caption, (batch, n, language_width).
        input_ids: its tokens, (batch, n) int64.
        attention_mask: (batch, n) bool, True where there is a token, False at padding.
    """
    ### BEGIN SOLUTION
    ahead = queries.shape[1]
    inputs = torch.cat([F.linear(queries, weight, bias), words], dim=1)
    mask = F.pad(attention_mask, (ahead, 0), value=True)
    labels = F.pad(torch.where(attention_mask, input_ids, -100), (ahead, 0), value=-100)
    return inputs, mask, labels
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "prefix-and-labels-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.prefix_and_labels(prefix_and_labels)
### BEGIN HIDDEN TESTS
check.prefix_and_labels(prefix_and_labels, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Train
#
# The second stage, by your hands: from the network after its first stage, on scenes of *one* object, whose captions are short. The language model is frozen. It is the GPT of notebook 1, which ClipCap has taught to go on from vectors. That is a choice that the size of our models forces on us: a large language model has met so many kinds of text that it heeds whatever stands before; a GPT that has read nothing but captions has never had a reason to (the experiment below tries it).


# %%
def second_stage(model: QFormer) -> training.Player:
    gpt = speaker.model

    def objective(batch: dict) -> tuple[Tensor, dict]:
        ids, mask = batch["input_ids"][:, 1:], batch["attention_mask"][:, 1:]  # this GPT goes on from vectors at once: no token begins a text
        inputs, real, labels = prefix_and_labels(model(batch["image_tokens"]), model.projection.weight, model.projection.bias, gpt.tokens(ids), ids, mask)
        logits = gpt(ids[:, :0], real, inputs)  # no ids: all is vectors already
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100), {}

    return training.Player("Q-Former", model, objective, learning_rate=1.5e-3, betas=(0.9, 0.98), ema_decay=0.98)


single = recipes.SeenScenes(scale(smoke=64, cpu=5_000, gpu=50_000), objects=1)
runtime.seed_everything(1)
model = recipes.after_first_stage(recipes.untrained()).to(device)
history = training.cached(
    "03_blip2/second-stage",
    lambda: training.fit(second_stage(model), loader(single, 64), scale(smoke=3, cpu=400, gpu=5_000)),
    model, uses=(second_stage, prefix_and_labels),  # kept, and trained anew if one of these changes
)  # fmt: skip
plots.show(plots.curves({"loss": history["loss"]}, ylabel="nats a token", smooth=20), alt="The loss on the captions over the steps of the second stage, in nats a token, smoothed.")

held_out = records("test", range(scale(smoke=6, cpu=200, gpu=1000)), objects=1)
held_out_seen, own = recipes.image_tokens(render(held_out, 32)), recipes.full_captions(held_out)
said = recipes.described(model, held_out_seen)
print(*said[:4], sep="\n")
rows = [{"captions": "yours", **truth_scores(said, held_out)}, {"captions": "of another scene", **truth_scores([*own[1:], own[0]], held_out)}]
plots.table(rows, caption=f"{len(held_out)} held-out scenes of one object; whole: all true, and every object named")
if runtime.scale_name() != "smoke":
    assert rows[0]["whole"] > rows[1]["whole"] + 0.2, "your Q-Former should tell the language model more than another scene's caption does"

# %% [markdown]
# ## Measure
#
# What is trained, and what is frozen? First the course's own, then the published one with OPT-2.7b, counted in our modules without making the weights:

# %%
# NBVAL_CHECK_OUTPUT
asking = dataclasses.replace(recipes.NETWORK, vocab_size=0, dim=0, writes=False)  # the second stage needs nothing that reads texts
ours = BLIP2(recipes.ClipMap(), QFormer(asking), speaker.model)
for name, (trained, frozen) in parameter_counts(ours).items():
    print(f"ours       {name:<15} {trained:>13,} trained {frozen:>15,} frozen")
with torch.device("meta"):
    large = QFormer(QFormerConfig(vocab_size=0, dim=0, writes=False))
print(f"published  qformer         {sum(weight.numel() for weight in large.parameters()):>13,} trained, beside an image encoder of a billion and a language model of 2.7 billion that are frozen")

# %%
# NBVAL_CHECK_OUTPUT
for recipe in (recipes.BLIP2_STAGE1, recipes.BLIP2_SCENES):
    card = training.read_card(recipe)
    print(f"{card['name']}, {card['samples']} held-out scenes")
    for name, value in card["metrics"].items():
        ceiling = f", ceiling {card['ceiling'][name]:.3f}" if name in card["ceiling"] else ""
        print(f"  {name:<22} {value:.3f}, chance {card['chance'][name]:.3f}{ceiling}")

# %% [markdown]
# Chance for captions are those of other scenes. `whole` counts a caption that is true in all that it states and names every object.
#
# **Is the Q-Former alone enough?** In the paper a frozen language model of billions is the point; ours is small enough to try what else could be trained, from the same first stage, with equally many steps:

# %%
rows = training.results(experiments.TRAINED)
plots.show(experiments.TRAINED.figure(rows), alt="Left, captions of one object wholly true when the Q-Former alone is trained, with the language model, and with the image encoder too; right, how many parameters each trains.")
verdict = experiments.TRAINED.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# **How many queries?** They are a bottleneck: what none of them has fetched nobody can say. The first stage, briefly and from nothing, on scenes of two objects:

# %%
rows = training.results(experiments.QUERIES)
plots.show(experiments.QUERIES.figure(rows), alt="Loss of writing and recall of the contrast over the number of queries, from one to eight.")
verdict = experiments.QUERIES.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Look: what each query looks at
#
# Choose a held-out scene: below it, lit, the places that each of the eight queries looks at (a mean over heads and layers), before and after the second stage. (Without widgets: the first figure of the notebook.)


# %%
def watched(scene: int, stage: str) -> Tensor:
    """A held-out scene, and the same lit where each query looks."""
    network = {"after stage 1": first_stage, "after stage 2": reference}[stage]
    return torch.cat([pictures[scene : scene + 1], lit(pictures[scene], recipes.looked_at(network, seen[scene : scene + 1])[0])])


widgets.explorer(
    watched, alt="a held-out scene, and the same eight times, lit only where each of the queries looks", columns=9, zoom=3,
    scene=(0, len(pictures) - 1, 3), stage=["after stage 1", "after stage 2"],
)  # fmt: skip

# %% [markdown]
# ## Break it: a mask that leaks
#
# Writing with the mask of matching: each word sees the words after it. Nothing looks wrong while it trains, quite the contrary. Two small Q-Formers learn to write the captions of one object, one with each mask; then both are asked for the *next* word of held-out captions, when what comes later is not there yet:


# %%
def writer(network: QFormer, sight: str) -> training.Player:
    def objective(batch: dict) -> tuple[Tensor, dict]:
        return written_with(network, sight, batch["image_tokens"], batch["input_ids"], batch["attention_mask"]), {}

    return training.Player("writer", network, objective, learning_rate=2e-3, betas=(0.9, 0.98))


def written_with(network: QFormer, sight: str, tokens: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """-log p of a token of the captions in nats, by the network's own output layer, with one of the three masks."""
    text = network.read(tokens, ids, mask, sight).text
    logits = F.linear(network.head_norm(F.gelu(network.head(text))), network.tokens.weight, network.head_bias)
    return writing_loss(logits, real_labels(ids, mask))


small = dataclasses.replace(recipes.NETWORK, depth=2, output_width=0)
ids, mask = (part.to(device) for part in encoded(own).values())
curves, rows = {}, []
for name, sight in (("causal", "causal"), ("leaking", "everything")):
    runtime.seed_everything(2)
    network = recipes.untrained(small)
    past = training.fit(writer(network, sight), loader(single, 64), scale(smoke=3, cpu=200, gpu=2_000), progress=False)
    curves[name] = past["loss"]
    network = network.to(device).eval()
    with torch.no_grad():
        losses = {kind: written_with(network, kind, held_out_seen.to(device), ids, mask).item() for kind in ("everything", "causal")}
    rows.append({"trained with": name, "nats a token, when later words are seen": losses["everything"], "when they are not there yet": losses["causal"]})
plots.show(plots.curves(curves, ylabel="nats a token", smooth=10), alt="Two losses over the steps: that of the leaking mask falls towards zero, that of the causal mask stays above it.")
plots.table(rows, caption=f"{len(held_out)} held-out captions")
if runtime.scale_name() != "smoke":
    assert rows[1]["when they are not there yet"] > rows[0]["when they are not there yet"], "whoever could copy has not learned to write"

# %% [markdown]
# A word that sees the next one need only copy it. The loss is excellent, and the queries have learned nothing, for nobody ever needed them. A loss that falls *too* fast is a reason to look at the mask.
#
# ## Break it: no first stage
#
# Can the second stage do without the first? Its loss alone must then teach the queries where to look and what to say, through a language model that does not move. In the paper (figure 5, questions without fine-tuning) it does far worse, most of all with the decoder-only OPT. The experiment here, on scenes of one object, with three frozen language models: the GPT that ClipCap has taught, the GPT that has only read captions (decoder-only both), and the T5 of chapter 5 (encoder and decoder):

# %%
rows = training.results(experiments.STAGES)
plots.show(experiments.STAGES.figure(rows), alt="For three frozen language models, captions of one object wholly true, and nats a token, after a second stage that began after the first stage or from nothing.")
verdict = experiments.STAGES.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## The real thing
#
# `BLIP2.from_hub` loads published weights with OPT or Flan-T5 into our own modules. The smallest takes 15 GB on the disk and as much memory, so only at scale gpu, and with a network, does this cell fetch it:

# %%
try:
    if runtime.scale_name() == "gpu":
        published = BLIP2.from_hub("Salesforce/blip2-opt-2.7b").to(device)
        large = F.interpolate(pictures[:4], size=published.image_encoder.image_size, mode="bicubic").clamp(-1, 1)
        start = torch.full((4, 1), 2, device=device)
        print(published.generate(large.to(device), 20, prompt_ids=start, end_token_id=50118).tolist())
    else:
        print("15 GB are not fetched at this scale: COURSE_SCALE=gpu does.")
except OfflineError as error:
    print(f"No network, so no published weights here ({str(error).split(':')[0]}).")

# %% [markdown]
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-masks", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** In writing, the text sees the queries but the queries do not see the text. In matching they do. What would a Q-Former learn if the queries saw the text in writing as well, with the words still causal? Why may they see it in matching?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# The queries would carry the text's later words to the earlier ones, in two steps of attention: the answer leaks although each word sees no later word itself. The loss falls, and the queries fetch words from the text instead of facts from the picture. In matching nothing is predicted from the text: the question is whether the two fit, and for that the queries must know what to look for.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-frozen", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** The language model is frozen, and still its weights take part in every training step. What must be computed through it and what need not, and what does that mean for memory? Why is a frozen image encoder much cheaper still?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# The forward pass and the gradient with respect to its activations, back to the prefix, must be computed; gradients with respect to its weights, and the optimizer's state for them, need not, which saves most of the memory of training. The image encoder stands before what is learned, so no gradient flows through it at all: its outputs can be computed once and stored, as in this notebook.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-bottleneck", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **3.** ClipCap hands over one vector that CLIP made; BLIP-2 hands over what learned queries have fetched from all places. Name a kind of question about a picture that the first can hardly answer and the second can, and one at which both fail because the queries were trained with captions. How does InstructBLIP help?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# Where something small is, or whose attribute is which: the pooled vector was made to tell captions apart and mixes the places. What captions never mention (a serial number, the texture of the ground, the third object from the left) no query was ever rewarded for fetching, and the language model cannot ask back. InstructBLIP lets the queries see the question, so that they fetch what is asked for.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Li et al., 2023, sections 3 and 4.4, and figure 5.
# - Jaegle et al., *Perceiver*, ICML 2021, and Alayrac et al., *Flamingo*, 2022: other small sets of learned vectors that ask a large input.
# - Liu et al., *Visual instruction tuning* (LLaVA), NeurIPS 2023: no queries, all patches through a small network, and a language model that is tuned. It asks what the bottleneck is worth.
