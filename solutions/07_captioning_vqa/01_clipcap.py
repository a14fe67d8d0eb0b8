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
# # ClipCap: a picture as the beginning of a sentence
#
# | | |
# |---|---|
# | **Time** | 90 minutes of work, 50 of them exercises; the code runs in about 6 minutes on a laptop's CPU |
# | **You need** | attention, language models and how they write (chapter 5, notebook 1); what CLIP is (chapter 5, notebook 2) |
# | **Builds on** | nothing that you wrote before |
# | **Code** | `course_utils/captioning_vqa/clipcap.py`, `metrics.py`, `course_utils/language/gpt2.py`, `generation.py` |
# | **Papers** | Mokady, Hertz and Bermano, *ClipCap: CLIP prefix for image captioning*, 2021 · Li and Liang, *Prefix-tuning: optimizing continuous prompts for generation*, ACL 2021 · Holtzman et al., *The curious case of neural text degeneration*, ICLR 2020 · Vedantam, Zitnick and Parikh, *CIDEr*, CVPR 2015 |
#
# Two finished models lie on the table. One looks at a picture and gives a vector; it has never written a word. The other goes on with a text; it has never seen a picture. What has to be learned so that together they *describe* what they see? ClipCap's answer: a translation, from a vector into a few vectors that look to the language model like words.
#
# Below, held-out scenes with what such a pair, made for the course, wrote about them. In brackets the words that are wrong, found by comparing with the scene's record:

# %%
import math

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from course_utils import plots, runtime, scale, training, widgets
from course_utils.captioning_vqa import ClipCap, Mapper, MapperConfig
from course_utils.captioning_vqa import clipcap_experiments as experiments
from course_utils.captioning_vqa import clipcap_recipes as recipes
from course_utils.captioning_vqa.metrics import truth_scores, word_scores, wrong_words
from course_utils.checks import captioning_vqa as check
from course_utils.data import loader
from course_utils.data.scenes import records, render
from course_utils.language import GPT2, GPT2Config
from course_utils.language.recipes import GPT_SCENES
from course_utils.language.texts import END, decoded, special

device = runtime.device()
runtime.seed_everything(0)

reference = training.load(recipes.CLIPCAP_SCENES)  # shipped with the course, trained longer than there is time for here
scenes = records("test", range(200))
pictures = render(scenes, 32)
seen = recipes.vectors(pictures)  # what clip-scenes has seen of each, (200, 384)
written = recipes.described(reference, seen[:6])


def marked(text: str, scene: int) -> str:
    """A caption with its wrong words in brackets."""
    return " ".join(f"[{word}]" if wrong else word for word, wrong in wrong_words(text, scenes[[scene]]))


plots.show(plots.image_grid(pictures[:6], columns=6, zoom=3), alt="Six held-out scenes of one to four objects, which the captions printed below describe.")
for number, text in enumerate(written):
    print(f"{number + 1}  {marked(text, number)}")

# %% [markdown]
# ## The idea
#
#       picture ──► CLIP ──► a vector ──► mapper ──► p₁ … p_k ──┐
#                  frozen                learned                ▼
#                                              p₁ … p_k  Two objects on a …     ──► language model ──► the next word
#
# A language model reads a table row for each word: a vector. Nothing forces these vectors to come from the table. Put others in front, the **prefix**, and it reads them like words that nobody has ever said. The mapper $F$ is trained so that, after the prefix of a picture, the picture's caption becomes likely:
#
# $$ p_1, \dots, p_k = F(\mathrm{CLIP}(x)), \qquad \mathcal L = -\,\frac{1}{\sum_i n_i} \sum_i \sum_{t=1}^{n_i} \log p\big(c_{i,t} \mid p_1, \dots, p_k,\; c_{i,1}, \dots, c_{i,t-1}\big) $$
#
# - $x_i$: picture $i$; $c_{i,1}, \dots, c_{i,n_i}$: the tokens of its caption, the last of them the end token,
# - $k$: length of the prefix, in the paper 10, here 8,
# - $F$: the **mapper**, the only part that must be trained. The authors compare: a small MLP while the language model is trained along; a transformer where that stays frozen, **prefix tuning**.
#
# The language model is not told what the prefix means. It is told, by gradients that flow *through* it into the mapper, what the prefix has to be so that it says the right thing.
#
# ## Exercise 1 · A vector becomes a prefix · *15 minutes, medium, core*
#
# The transformer mapper reads a single vector. So it first spreads that into $m$ tokens by one large matrix, and puts $k$ learned **constants** beside them, the same for every picture. All look at all (no causal mask). *What has become of the constants* is the prefix: each has asked the picture for something. Here, one layer of it, without norms and MLP:
#
# $$ z = [\, W_s x \;;\; c_1, \dots, c_k \,], \qquad z' = z + \mathrm{attention}(z)\, W_o, \qquad p_j = z'_{m + j} $$
#
# - $x$: the CLIP vector, $W_s$: `spread`, which makes $m$ tokens of `width` numbers, one behind the other,
# - $c_1, \dots, c_k$: `constants`; $W_o$: `to_out`; attention in several heads, each with $d$ = width / heads channels and scores divided by $\sqrt d$.
#
# <details><summary>Hint</summary>
#
# `(features @ spread).unflatten(1, (-1, width))` are the picture's tokens. `constants.expand(batch, -1, -1)` repeats them without copying. Heads: `unflatten(2, (num_heads, -1)).transpose(1, 2)`, then `F.scaled_dot_product_attention`, then `transpose(1, 2).flatten(2)`.
# </details>
#
# *Stuck? Set `mapped_prefix = check.mapped_prefix.reference` and go on. The same works for `prefixed`, `caption_loss` and `beam_step`.*

# %% nbgrader={"grade": false, "grade_id": "mapped-prefix", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mapped_prefix(features: Tensor, spread: Tensor, constants: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, to_out: Tensor, num_heads: int) -> Tensor:
    """Prefixes (batch, k, width): what becomes of the constants after a layer of attention among them and the picture.

    Args:
        features: CLIP vectors, (batch, clip_dim).
        spread: (clip_dim, m * width), to be multiplied from the right; the first `width` numbers are the first token.
        constants: (k, width).
        to_q, to_k, to_v, to_out: (width, width), to be multiplied from the right.
        num_heads: a divisor of width.
    """
    ### BEGIN SOLUTION
    picture = (features @ spread).unflatten(1, (-1, constants.shape[1]))  # (batch, m * width) -> (batch, m, width)
    tokens = torch.cat([picture, constants.expand(len(features), -1, -1)], dim=1)
    q, k, v = ((tokens @ weight).unflatten(2, (num_heads, -1)).transpose(1, 2) for weight in (to_q, to_k, to_v))  # (batch, heads, m + k, d)
    found = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    return (tokens + found @ to_out)[:, -len(constants) :]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "mapped-prefix-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.mapped_prefix(mapped_prefix)
### BEGIN HIDDEN TESTS
check.mapped_prefix(mapped_prefix, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 2 · Vectors among words · *5 minutes, easy, core*
#
# Put the prefix where the language model expects words, and make the mask of real tokens grow with it. Captions of a batch have different lengths, so shorter ones are padded on the right; `attention_mask` is False there.
#
# <details><summary>Hint</summary>
#
# `table[input_ids]` looks all embeddings up at once. `torch.ones(..., dtype=torch.bool)` and `torch.cat` make the mask.
# </details>

# %% nbgrader={"grade": false, "grade_id": "prefixed", "locked": false, "schema_version": 3, "solution": true, "task": false}
def prefixed(prefix: Tensor, input_ids: Tensor, attention_mask: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """What the language model reads: vectors (batch, k + n, width) and which of them are real, (batch, k + n) bool.

    Args:
        prefix: (batch, k, width).
        input_ids: captions, (batch, n) int64; padding too has an id, whose embedding stays as it is.
        attention_mask: (batch, n) bool, True at words.
        table: embeddings of the words, (vocab_size, width).
    """
    ### BEGIN SOLUTION
    real = torch.ones(prefix.shape[:2], dtype=torch.bool, device=prefix.device)
    return torch.cat([prefix, table[input_ids]], dim=1), torch.cat([real, attention_mask], dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "prefixed-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.prefixed(prefixed)
### BEGIN HIDDEN TESTS
check.prefixed(prefixed, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 3 · The loss on the caption · *10 minutes, medium, core*
#
# The language model answers with logits for *every* place, those at $t$ about token $t + 1$. The prefix has no next word to be predicted but at its end: its last vector predicts the first word of the caption. Padding has no loss either.
#
# <details><summary>Hint</summary>
#
# There are $k + n$ places; $k$ is `logits.shape[1] - input_ids.shape[1]`. `F.cross_entropy(..., reduction="none")` wants the vocabulary on axis 1.
# </details>

# %% nbgrader={"grade": false, "grade_id": "caption-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def caption_loss(logits: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """-log p of a word of the captions in nats, a mean over all real words of the batch: a scalar.

    Args:
        logits: (batch, k + n, vocab_size), of prefix and caption; those at a place are of the token after it.
        input_ids: (batch, n) int64.
        attention_mask: (batch, n) bool, True at words.
    """
    ### BEGIN SOLUTION
    k = logits.shape[1] - input_ids.shape[1]
    losses = F.cross_entropy(logits[:, k - 1 : -1].transpose(1, 2), input_ids, reduction="none")
    return (losses * attention_mask).sum() / attention_mask.sum()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "caption-loss-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.caption_loss(caption_loss)
### BEGIN HIDDEN TESTS
check.caption_loss(caption_loss, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Train
#
# Your three functions are all that is new. The small captioner below has your mapper of one layer in front of `gpt-scenes`, the course's GPT-2 that learned from captions *without any picture*: it knows how captions go, and what it says is made up. Scenes of one object, so that it is quick. The language model learns along here.


# %%
class Captioner(nn.Module):
    """Your mapper before a language model: CLIP vectors (batch, 384) and captions (batch, n) to logits (batch, 8 + n, vocab_size)."""

    def __init__(self, language_model: GPT2, length: int = 8, clip_dim: int = 384, clip_length: int = 4):
        super().__init__()
        width = language_model.config.width
        self.spread = nn.Parameter(torch.randn(clip_dim, clip_length * width) / math.sqrt(clip_dim))
        self.constants = nn.Parameter(torch.randn(length, width))
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Parameter(torch.randn(width, width) / math.sqrt(width)) for _ in range(4))
        self.language_model = language_model.requires_grad_()

    def prefix(self, features: Tensor) -> Tensor:
        return mapped_prefix(features, self.spread, self.constants, self.to_q, self.to_k, self.to_v, self.to_out, 4)

    def forward(self, features: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        gpt = self.language_model
        tokens, real = prefixed(self.prefix(features), input_ids, attention_mask, gpt.tokens.weight)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        earlier = places[:, None] >= places  # each token sees itself and what came before ...
        mask = earlier & real[:, None, None]  # ... where that is real: (batch, 1, k + n, k + n)
        tokens = tokens + gpt.positions(places)
        for layer in gpt.layers:
            tokens = layer(tokens, mask)
        return gpt.norm(tokens) @ gpt.tokens.weight.T


def player(model: Captioner) -> training.Player:
    def objective(batch: dict) -> tuple[Tensor, dict]:
        logits = model(batch["features"], batch["input_ids"], batch["attention_mask"])
        return caption_loss(logits, batch["input_ids"], batch["attention_mask"]), {}

    return training.Player("captioner", model, objective, learning_rate=1e-3, betas=(0.9, 0.98), weight_decay=0.05)


data = recipes.CaptionedVectors(scale(smoke=64, cpu=6_000, gpu=50_000), objects=1)
runtime.seed_everything(1)
model = Captioner(training.load(GPT_SCENES)).to(device)
history = training.cached(
    "01_clipcap/one-object",
    lambda: training.fit(player(model), loader(data, 64), scale(smoke=3, cpu=500, gpu=5_000)),
    model, uses=(player, Captioner, mapped_prefix, prefixed, caption_loss),  # kept, and trained anew if one of these changes
)  # fmt: skip
plots.show(plots.curves({name: values for name, values in history.items() if "loss" in name}, ylabel="nats a word", smooth=20), alt="The loss on the captions over the steps of the training, in nats a word, smoothed: it falls steeply at first, then slowly.")

# %% [markdown]
# The loss does not go to 0, and must not: one scene may be described in several ways ("On a sand background, one object: …"), and no picture tells which phrasing its caption happens to have. What is left is that choice.
#
# ## Exercise 4 · A step of beam search · *15 minutes, medium, core*
#
# How to write with it? The likeliest *word* each time (greedy) need not give the likeliest *text*. **Beam search** keeps several texts running. In each step all of them are continued with all tokens, and of all these continuations the best run on:
#
# $$ s_{b,v} = s_b + \log p(v \mid \text{text } b), \qquad \text{keep the } B \text{ largest of all } B \cdot V $$
#
# - $s_b$: log p of text $b$ so far; $v$: a token of the vocabulary of $V$; $B$: the number of beams.
#
# One text may go on in several ways, another not at all; so for each survivor one must know which text it came from.
#
# <details><summary>Hint</summary>
#
# Flatten the table of one picture into a row of $B \cdot V$ numbers, take `topk`, and read beam and token off the place in the row.
# </details>

# %% nbgrader={"grade": false, "grade_id": "beam-step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def beam_step(scores: Tensor, log_p: Tensor, num_beams: int) -> tuple[Tensor, Tensor, Tensor]:
    """The texts that run on, best first: their log p, the beam that each came from, and its new token, (batch, num_beams) each.

    Args:
        scores: log p of the running texts, (batch, beams).
        log_p: of each token after each of them, (batch, beams, vocab_size).
        num_beams: how many run on.
    """
    ### BEGIN SOLUTION
    best, place = (scores[:, :, None] + log_p).flatten(1).topk(num_beams, dim=1)
    return best, place // log_p.shape[2], place % log_p.shape[2]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "beam-step-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.beam_step(beam_step)
### BEGIN HIDDEN TESTS
check.beam_step(beam_step, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# With it, your captioner writes. (A text that has ended goes on with the end token, at no cost. The course's `beam_search` also weighs by length, and keeps what was read in a cache.)


# %%
@torch.inference_mode()
def write(model: Captioner, features: Tensor, num_beams: int = 3) -> tuple[list[list[str]], Tensor]:
    """For each vector the `num_beams` best texts, best first, and log p of each, (vectors, num_beams)."""
    end, batch, length = special(END), len(features), scale(smoke=6, cpu=28, gpu=52)
    texts = torch.zeros(batch, num_beams, 0, dtype=torch.int64, device=device)
    scores = torch.full((batch, num_beams), -1e9, device=device)
    scores[:, 0] = 0.0  # at the start all beams are alike: one is enough
    own = features.to(device).repeat_interleave(num_beams, dim=0)
    rows = torch.arange(batch, device=device)[:, None]
    for _ in range(length):
        so_far = texts.flatten(0, 1)
        log_p = model(own, so_far, torch.ones_like(so_far, dtype=torch.bool))[:, -1].log_softmax(1)
        if texts.shape[2]:
            over = so_far[:, -1] == end
            log_p[over] = -1e9
            log_p[over, end] = 0.0
        scores, beam, token = beam_step(scores, log_p.unflatten(0, (batch, num_beams)), num_beams)
        texts = torch.cat([texts[rows, beam], token[:, :, None]], dim=2)
        if (texts[:, :, -1] == end).all():
            break
    return [decoded(few.cpu()) for few in texts], scores.cpu()


single = records("test", range(scale(smoke=4, cpu=100, gpu=100)), objects=1)
single_seen = recipes.vectors(render(single, 32))
rows = []
for beams in (1, 3):
    texts, scores = write(model, single_seen, beams)
    first = [few[0] for few in texts]
    rows.append({"beams": beams, "log p of the text": scores[:, 0].mean().item(), **truth_scores(first, single)})
print(*texts[0], sep="\n")
plots.table(rows, caption=f"Your captioner on {len(single)} held-out scenes of one object; whole: all true, and every object named")
if runtime.scale_name() != "smoke":
    assert rows[1]["log p of the text"] >= rows[0]["log p of the text"] - 1e-3, "with more beams a likelier text should be found"
    assert rows[0]["grammatical"] > 0.9, "what it writes should be captions"

# %% [markdown]
# ## Measure
#
# On scenes of one to four objects, the reference. `whole` is what counts: all that the caption states is true, *and* it names every object. Either alone is cheap: "There is a circle" is often true, and a list of everything names every object.

# %%
# NBVAL_CHECK_OUTPUT
card = training.read_card(recipes.CLIPCAP_SCENES)
for name, value in card["metrics"].items():
    print(name.ljust(20), f"{value:.3f}, chance {card['chance'][name]:.3f}, ceiling {card['ceiling'][name]:.3f}")
print(f"{card['samples']} held-out scenes; {card['parameters']:,} trained parameters")

# %% [markdown]
# Chance is the caption of another scene.
#
# **What does the vector hold?** All that is written passes through one vector, and CLIP learned it for another purpose: to tell a picture's caption from those of others. That can be done without knowing all of the picture. So here a small MLP is *told* the truth about 16,000 scenes, and tries to read shape, colour, size and place of every object of new scenes: from CLIP's own vector; from what its attention pool has seen, before the last projection makes 128 numbers of 384; and from the whole map, 16 places with 384 numbers each.

# %%
rows = training.results(experiments.VECTOR)
plots.show(experiments.VECTOR.figure(rows), alt="The share of held-out scenes of which everything is read rightly, over the number of objects, from CLIP's vector, from what was there before its projection, and from the map of all places.")
verdict = experiments.VECTOR.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# What a reader who is told everything cannot find in a vector, no mapper can pass on. The published ClipCap takes CLIP's own vector. Ours takes what stands before the projection, which here holds more. (The next two notebooks look at the map.)
#
# **Is the mapper alone enough?** The paper's answer for photographs: with a frozen language model a transformer as mapper does nearly as well as training the language model along. The experiment asks it for scenes of one object: MLP or transformer, language model frozen or trained along, in equally many steps.

# %%
rows = training.results(experiments.BRIDGE)
plots.show(experiments.BRIDGE.figure(rows), alt="Left, the share of captions wholly true for an MLP and a transformer as mapper, each with a frozen and a tuned language model; right, how many parameters each trains.")
verdict = experiments.BRIDGE.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# **Greedy, beams, or drawn?** Drawn captions differ from each other; what is unlikely is drawn as well. A *nucleus* leaves the unlikeliest tokens out: of each step's tokens the fewest that hold 0.9 of the probability.

# %%
rows = training.results(experiments.DRAWING)
plots.show(experiments.DRAWING.figure(rows), alt="For greedy search, three beams, a nucleus of 0.9 and all tokens: the share of captions wholly true, the share true, and the share of a picture's four captions that are different.")
verdict = experiments.DRAWING.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Look
#
# Choose a held-out scene and a way to write; words that are wrong are in red. With `3 beams` the same text comes whatever the seed, at `drawn` the temperature counts. (Without widgets: the first figure and the captions under it.)


# %%
def page(picture: Tensor, caption: list[tuple[str, bool]]) -> Figure:
    """A picture (3, 32, 32) with a caption beside it, its wrong words red."""
    figure, axes = plots.figure(1, 2, width=7.0, height=1.9, gridspec_kw={"width_ratios": (1, 3)})
    axes[0, 0].imshow(plots.to_display(picture[None])[0])
    axes[0, 1].set(xlim=(0, 46), ylim=(-7, 1))
    for axis in axes[0]:
        axis.axis("off")
    column, line = 0, 0
    for word, wrong in caption:
        if column + len(word) > 44:
            column, line = 0, line - 1
        axes[0, 1].text(column, line, word, color="crimson" if wrong else "black", family="monospace", fontsize=9, weight="bold" if wrong else "normal")
        column += len(word) + 1
    return figure


def described(scene: int, way: str, temperature: float, seed: int) -> Figure:
    settings = {"greedy": {}, "3 beams": {"num_beams": 3}, "drawn": {"temperature": temperature, "top_p": 0.95}}[way]
    text = recipes.described(reference, seen[scene : scene + 1], runtime.generator(seed), **settings)[0]
    return page(pictures[scene], wrong_words(text, scenes[[scene]]))


widgets.explorer(
    described, alt="a held-out scene, and what the reference writes about it, with wrong words in red",
    scene=(0, 199, 0), way=["greedy", "3 beams", "drawn"], temperature=(0.1, 2.0, 1.0), seed=(0, 20, 0),
)  # fmt: skip

# %% [markdown]
# ## Break it: two objects exchange what they have
#
# "A red circle … and a blue star" for a blue circle and a red star: every word is right, and the caption is wrong. Does anybody notice? First the *measures*. Captions of two objects against those of the same scene with exchanged colours:

# %%
# NBVAL_CHECK_OUTPUT
two = experiments.two_objects("test", 100)
own, wrong = recipes.full_captions(two), recipes.full_captions(experiments.swapped(two, "colours"))
print(own[0])
print(wrong[0])
for name, texts in (("own", own), ("colours exchanged", wrong)):
    scores = word_scores(texts, [[text] for text in own]) | truth_scores(texts, two)
    print(f"{name:<18}", ", ".join(f"{measure} {scores[measure]:.2f}" for measure in ("bleu_1", "bleu_4", "rouge_l", "cider", "whole")))

# %% [markdown]
# BLEU-1 counts words, and sees next to no difference; the others fall, and none of them to where a false caption belongs. Whoever chooses a captioner by such scores rewards the right words more than the right binding.
# Then the *model*. Its own log p of both captions says whether it notices, and its own captions whether it makes the mistake:

# %%
rows = training.results(experiments.SWAPPED)
plots.show(experiments.SWAPPED.figure(rows), alt="For colours, shapes and places: how often the true caption is likelier than the exchanged one, how many written captions are wholly true, and how many are true but for the exchange; left held-out scenes, right pairs of shape and colour that training never shows.")
verdict = experiments.SWAPPED.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## The real thing
#
# The sizes of the published model, counted in our own modules without making the weights: CLIP ViT-B/32's vectors have 512 numbers, GPT-2 is the small one, the transformer has 8 layers.

# %%
# NBVAL_CHECK_OUTPUT
with torch.device("meta"):
    parts = {"mapper, MLP": Mapper(MapperConfig("mlp")), "mapper, transformer": Mapper(MapperConfig()), "GPT-2": GPT2(GPT2Config())}
for name, part in parts.items():
    print(f"{name:<20} {sum(weight.numel() for weight in part.parameters()):>12,} parameters")

# %% [markdown]
# `ClipCap.from_authors` reads the files that the authors' training writes, with mapper and language model, and reads all sizes off the weights. Their released weights are to be fetched by hand; once you have a file, name it here:

# %%
PUBLISHED = ""  # for example "coco_weights.pt"
if PUBLISHED:
    published = ClipCap.from_authors(PUBLISHED)
    print(f"prefix of {published.mapper.config.prefix_length} vectors, mapper {published.mapper.config.kind}")
else:
    print("No published weights named: nothing to load.")

# %% [markdown]
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-frozen", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** With a frozen language model, where do the gradients flow, and what can the mapper change about the way in which the caption is phrased? Name one thing to gain and one to lose by training the language model along.
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# They flow back through the language model, whose weights stand still, into the prefix and from there into the mapper. The prefix works like a prompt: it can choose among all styles and contents that the language model can already continue with, but it cannot teach it a new word or a new construction. Training it along fits captions faster and better;
# it costs memory and a copy of all weights for each task, and what the model knew besides may be forgotten, or the few captions be learned by heart.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-bottleneck", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** All that the writer learns of the picture passes through one vector that was made for matching. Which kinds of facts do you expect to be lost there, and how would you find out whether it is the vector or the mapper that is to blame for a wrong word?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# What seldom decided between captions in a batch: exact numbers, small things, where something is, whose colour it is. Train a probe (a small network) to read the fact from the vector itself: if it can, the information is there and mapper or writer lose it; if even a large probe with much data cannot, the vector lacks it. Then one must look at more than the vector,
# as BLIP and BLIP-2 do, which give the writer a token for each place.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-beams", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **3.** Beam search finds likelier captions than greedy search. Why need a likelier caption not be a better one? Think of its length, of what many captions have in common, and of what it says where the model is not sure.
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# Every word costs probability, so the likeliest texts are short unless length is weighed. What fits many pictures is likely for each of them: safe, general and dull captions win over specific ones. Where the model is not sure, the likeliest text leaves the doubtful thing out or picks the most frequent value, so it is perhaps true more often, but says less; and if the model is wrong, a better search finds the wrong text more surely.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Li and Liang, 2021: prefixes for language models alone, at every layer, and how few parameters suffice.
# - Tsimpoukelli et al., *Multimodal few-shot learning with frozen language models*, NeurIPS 2021: the other way round, the image encoder is trained to speak to a frozen language model.
# - Merullo et al., *Linearly mapping from image to text space*, ICLR 2023: a single linear layer, and what that says of the two spaces.
# - Rohrbach et al., *Object hallucination in image captioning*, EMNLP 2018: captions that name what is not there, and scores that do not mind.
