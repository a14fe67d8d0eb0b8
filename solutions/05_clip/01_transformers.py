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
# # Transformers: one architecture for every input
#
# | | |
# |---|---|
# | **Time** | 115 minutes of work, 80 of them exercises (35 for the core ones); the code runs in about 2 minutes on a laptop's CPU |
# | **You need** | matrix products, the softmax, cross-entropy; what an embedding is (a table with a vector for each word) |
# | **Builds on** | nothing that you wrote before |
# | **Code** | `course_utils/layers/attention.py`, `transformer.py`; `course_utils/language/gpt2.py`, `bert.py`, `t5.py`, `vit.py`, `generation.py`, `tokenizer.py` |
# | **Papers** | Vaswani et al., *Attention is all you need*, NeurIPS 2017 · Radford et al., *Improving language understanding by generative pre-training* (GPT-1), 2018 · Devlin et al., *BERT*, NAACL 2019 · Raffel et al., *T5*, JMLR 2020 · Brown et al., *Language models are few-shot learners* (GPT-3), NeurIPS 2020 · Dosovitskiy et al., *An image is worth 16x16 words*, ICLR 2021 |
#
# Until about 2017 each field had its own network: convolutions for pictures, LSTMs for texts. Today one architecture reads texts, pictures, sounds and proteins. It has a single idea: **every token may look at every other token, and learns where to look.**
# This is where a small one looks, head by head, while it reads a text that teaches it a task by examples (printed below the maps: three words and an answer in each line. The answer is the piece of clothing, but in one line of five it is wrong). By the end you will have written what makes such maps:

# %%
import math
from collections import Counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import plots, runtime, scale, training, widgets
from course_utils.checks import clip as check
from course_utils.data import Digits, Documents, loader
from course_utils.data.scenes.grammar import accepts, first_wrong_word
from course_utils.language import GPT2, BytePairTokenizer, experiments, fewshot, generate, recipes
from course_utils.language.fewshot import FewShotTasks, as_text
from course_utils.language.texts import END, MASK, Captions, SceneTasks, decoded, encoded, scenes_tokenizer
from course_utils.language.texts import special as id_of
from course_utils.layers import draw_uniform
from course_utils.layers.attention import attention_maps

device = runtime.device()
runtime.seed_everything(0)

learner = training.load(recipes.GPT_FEWSHOT)  # shipped with the course, trained longer than there is time for here
task = FewShotTasks("test").__getitems__([3])["input_ids"]
maps = attention_maps(learner, task.to(device))
heads = torch.cat([layer[0].cpu() for layer in maps.values()])[:, None]  # (layers * heads, 1, n, n): shares, to be shown dark where they are large
plots.show(
    plots.image_grid(1 - 2 * heads / heads.amax(dim=(2, 3), keepdim=True), columns=heads.shape[0] // len(maps), zoom=1.6, title="Where each head looks (rows: layers)"),
    alt="A grid of square maps, one for each head, dark where a token of the row looks at a token of the column. All are empty above the diagonal. Most show dotted columns at even distances, a few tokens of each earlier line that are looked at again and again; some a stepped line close to the diagonal, the tokens of their own line.",
)  # fmt: skip
print(as_text(task[0]))

# %% [markdown]
# ## The idea
#
# A text is cut into **tokens** (words, or pieces of words). Each gets a vector from a table, and one for its place is added, for otherwise a text would be a bag of words. Then layer after layer the vectors are changed by what the others say:
#
# $$ \mathrm{attention}(Q, K, V) = \mathrm{softmax}\!\left( \frac{Q K^\top}{\sqrt d} + M \right) V $$
#
# Think of a room full of people. Each has
#
# - a **query** $q_i$, a row of $Q$: what token $i$ would like to know,
# - a **key** $k_j$, a row of $K$: what token $j$ can be found by,
# - a **value** $v_j$, a row of $V$: what token $j$ then says.
#
# $q_i \cdot k_j$ tells how well $j$ answers $i$'s question. The **softmax** over $j$ makes shares of these scores, positive and with sum 1, and token $i$ hears the mean of all values, weighted by its shares. $d$ is the width of queries and keys: a sum of $d$ products of independent numbers with mean 0 and variance 1 is about $\sqrt d$ large, and dividing
# by that keeps the softmax from putting everything on one token before anything is learned. $M$ is the **mask**: 0 where $i$ may look at $j$, $-\infty$ where not ($e^{-\infty} = 0$, a share of nothing).
#
# Apart from the softmax these are two matrix products, in which nothing is learned. What is learned are the matrices that make queries, keys and values of the tokens.
#
# ## Exercise 1 · Attention that cannot look ahead · *10 minutes, easy, core*
#
# A model that *writes* says each token from those before it. While it is trained, the whole text is there at once, and every token is asked for its successor in one pass. So it must be kept from looking: token $i$ sees tokens $1, \dots, i$, itself included. That is the **causal mask**.
#
# <details><summary>Hint</summary>
#
# `keys.mT` exchanges the last two axes, whatever axes stand before. `torch.ones(n, n, dtype=torch.bool, device=...).triu(1)` is True strictly above the diagonal: where the key (column) stands later than the query (row). `masked_fill` puts a number where a mask is True. Mask *before* the softmax.
# </details>
#
# *Stuck? Set `causal_attention = check.causal_attention.reference` and go on. Do the same for optional exercises that you leave out: later cells call them.*

# %% nbgrader={"grade": false, "grade_id": "causal-attention", "locked": false, "schema_version": 3, "solution": true, "task": false}
def causal_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """What each token hears from itself and those before it, of the shape of `values`.

    Args:
        queries, keys, values: (..., n, d); there may be axes for texts and heads before the last two.
    """
    ### BEGIN SOLUTION
    n, d = queries.shape[-2:]
    scores = queries @ keys.mT / math.sqrt(d)  # (..., n, n): a row for each query
    later = torch.ones(n, n, dtype=torch.bool, device=scores.device).triu(1)
    return scores.masked_fill(later, float("-inf")).softmax(dim=-1) @ values
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "causal-attention-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.causal_attention(causal_attention)
### BEGIN HIDDEN TESTS
check.causal_attention(causal_attention, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 2 · Several heads · *15 minutes, medium, core*
#
# One softmax makes one choice. But a word may have to ask several things at once: which noun do I belong to? what was the last verb? So the width is cut into `num_heads` pieces, and each piece, a **head**, looks about on its own, with its own queries, keys and values. In the end the heads' answers are put side by side again, and a last matrix
# `to_out` lets them talk.
#
# It is a matter of axes, and the axes are where nearly everybody goes wrong. The tokens come as (batch, n, width). In memory the numbers of one token lie side by side: first those of head 1, then those of head 2. `causal_attention` wants tokens and width last, (batch, heads, n, d). So: cut the last axis in two, *then* exchange two axes. And back in the other order.
#
# <details><summary>Hint</summary>
#
# `x.unflatten(2, (num_heads, -1))` is (batch, n, heads, d), `.transpose(1, 2)` then (batch, heads, n, d). On the way back `.transpose(1, 2).flatten(2)`. What would `x.view(batch, num_heads, n, d)` do? It has the right shape. Try it on `torch.arange(8).view(1, 4, 2)`, with two heads.
# </details>

# %% nbgrader={"grade": false, "grade_id": "multi-head-attention", "locked": false, "schema_version": 3, "solution": true, "task": false}
def multi_head_attention(tokens: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, to_out: Tensor, num_heads: int) -> Tensor:
    """Causal attention of several heads among tokens (batch, n, width); the shape stays.

    Args:
        to_q, to_k, to_v, to_out: (width, width), to be multiplied from the right: `tokens @ to_q`.
        num_heads: divides the width; head h has numbers h * d to (h + 1) * d - 1 of queries, keys and values, d = width / num_heads.
    """
    ### BEGIN SOLUTION
    q, k, v = ((tokens @ weight).unflatten(2, (num_heads, -1)).transpose(1, 2) for weight in (to_q, to_k, to_v))  # (batch, heads, n, d)
    seen = causal_attention(q, k, v)
    return seen.transpose(1, 2).flatten(2) @ to_out  # (batch, heads, n, d) -> (batch, n, width)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "multi-head-attention-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.multi_head_attention(multi_head_attention)
### BEGIN HIDDEN TESTS
check.multi_head_attention(multi_head_attention, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Does it really not look ahead? Change the last token of a text: what the others have heard must stay the same to the last digit. Change the first one, and all may change.

# %%
draw = runtime.generator(1)
tokens, *weights = (2 * draw_uniform(shape, draw) - 1 for shape in ((1, 6, 8), *[(8, 8)] * 4))
heard = multi_head_attention(tokens, *weights, 2)
for changed in (5, 2, 0):
    other = tokens.clone()
    other[0, changed] += 1
    moved = (multi_head_attention(other, *weights, 2) - heard).abs().amax(dim=2)[0] > 0
    print(f"token {changed + 1} changed: what was heard changes at", [place + 1 for place in range(6) if moved[place]])
    assert not moved[:changed].any(), "nobody may hear from the future"

# %% [markdown]
# ## Train a GPT: what it learns from
#
# A layer is attention, then for each token by itself two linear layers with a nonlinearity between (an MLP). Each is *added* to what was there: $x + F(\mathrm{norm}(x))$, with $F$ the attention or the MLP, and a layer norm. So information runs through unhindered, and a layer only adds remarks. Stack some layers; compare the last vectors with the table of tokens by inner products, and there are the scores of the next token. This is GPT-2, but for its size and a few biases.
#
# Below it is made of your functions. It learns captions of the course's scenes, which are pictures of a few coloured shapes ("There is a red circle above a blue star."), by the plainest of all objectives: for each token the cross-entropy, minus the log of the probability that was given to the *next* one.


# %%
class Layer(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)), on (batch, n, width)."""

    def __init__(self, width: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.weights = nn.ParameterList(torch.randn(width, width) * width**-0.5 for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attend(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))

    def attend(self, tokens: Tensor) -> Tensor:
        return multi_head_attention(tokens, *self.weights, self.num_heads)


class SmallGPT(nn.Module):
    """Logits of the next token (batch, n, vocabulary) for `input_ids` (batch, n)."""

    def __init__(self, width: int = 64, depth: int = 2, num_heads: int = 4, layer: type = Layer):
        super().__init__()
        self.tokens = nn.Embedding(len(scenes_tokenizer()), width)
        self.places = nn.Embedding(64, width)
        nn.init.normal_(self.tokens.weight, std=0.1)
        nn.init.normal_(self.places.weight, std=0.1)
        self.layers = nn.Sequential(*(layer(width, num_heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)

    def forward(self, input_ids: Tensor) -> Tensor:
        tokens = self.tokens(input_ids) + self.places.weight[: input_ids.shape[1]]
        return F.linear(self.norm(self.layers(tokens)), self.tokens.weight)

    def loss(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """-log p of each real token but the first, a mean: the logits at t are of token t + 1."""
        labels = input_ids.masked_fill(~attention_mask, -100)[:, 1:]
        return F.cross_entropy(self(input_ids)[:, :-1].flatten(0, 1), labels.flatten(), ignore_index=-100)


def player(model: nn.Module) -> training.Player:
    """The model's own loss, for `training.fit`."""
    return training.Player("language model", model, lambda batch: (model.loss(**batch), {}), learning_rate=3e-3, betas=(0.9, 0.98))


runtime.seed_everything(1)
small = SmallGPT()
history = training.cached(
    "01_transformers/captions",
    lambda: training.fit(player(small), loader(Captions("train"), 32), scale(smoke=3, cpu=700, gpu=3_000)),
    small, uses=(player, Layer, SmallGPT, multi_head_attention, causal_attention),
)  # fmt: skip
held_out = Captions("test").__getitems__(range(scale(smoke=40, cpu=1_000, gpu=1_000)))


@torch.no_grad()
def perplexity(model: nn.Module) -> float:
    """exp of the loss on held-out captions: between how many tokens, equally likely, the model hesitates on average."""
    return model.loss(held_out["input_ids"].to(device), held_out["attention_mask"].to(device)).exp().item()


counted = {f"counts of {order} tokens": recipes.caption_counts(order).perplexity(**held_out) for order in (1, 2, 3)}
rows = [{"model": name, "perplexity": value} for name, value in counted.items()]
plots.table([*rows, {"model": "yours", "perplexity": perplexity(small)}], caption="Held-out captions; the first three only count which tokens come after which")
if runtime.scale_name() != "smoke":
    assert perplexity(small) < counted["counts of 3 tokens"], "attention should beat counting"

# %% [markdown]
# A model of counts of three tokens knows only two when it says the third. Yours looks as far back as it likes: having said "Three objects", it knows after the second one that a third has to come.
#
# ## Exercise 3 · What to say next · *15 minutes, medium, optional*
#
# The model gives a probability to each token. Which one is said? Always the likeliest: then it says the same thing every time, and long texts run in circles. A draw from all: then now and then comes one of hundreds of unlikely tokens, for together they are not so unlikely, and the text goes off the rails. So one draws from the likely ones:
#
# 1. divide the logits by the **temperature**: below 1 the likely become likelier, above 1 all become more alike,
# 2. **top-k**: keep the $k$ likeliest tokens (and any that are exactly as likely as the $k$-th),
# 3. **top-p**: make the probabilities of these add up to 1, and keep the fewest, the likeliest first, that together hold $p$. The token with which $p$ is reached is kept. There is always at least one,
# 4. make what is left add up to 1.
#
# *If you leave it out, set `next_probabilities = check.next_probabilities.reference`: core parts below draw with it.*
#
# <details><summary>Hint</summary>
#
# Dropped tokens get the logit $-\infty$; a softmax then makes the others add up to 1. For step 3 sort the logits, `sort(dim=-1, descending=True)`, and sum up their probabilities with `cumsum`. A token is outside if those *before* it hold $p$ already. The mask that you get is in the order of the sorting: `torch.zeros_like(outside).scatter(-1, order, outside)` takes each entry
# home.
# </details>

# %% nbgrader={"grade": false, "grade_id": "next-probabilities", "locked": false, "schema_version": 3, "solution": true, "task": false}
def next_probabilities(logits: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """Probabilities of the next token, of the shape of `logits`.

    Args:
        logits: (batch, vocabulary).
        temperature: above 0.
        top_k: how many tokens to keep; 0, or more than there are, keeps all.
        top_p: share of the probability of what top_k leaves that is kept, in (0, 1]; 1 keeps all.
    """
    ### BEGIN SOLUTION
    logits = logits / temperature
    if 0 < top_k < logits.shape[-1]:
        logits = logits.masked_fill(logits < logits.topk(top_k, dim=-1).values[:, -1:], float("-inf"))
    if top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True)
        share = ordered.softmax(dim=-1)
        outside = share.cumsum(dim=-1) - share >= top_p
        logits = logits.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), float("-inf"))
    return logits.softmax(dim=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "next-probabilities-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.next_probabilities(next_probabilities)
### BEGIN HIDDEN TESTS
check.next_probabilities(next_probabilities, hidden=True)
### END HIDDEN TESTS


# %%
@torch.no_grad()
def write(model: nn.Module, count: int, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, most: int = 50) -> list[str]:
    """Captions out of nothing, token by token, with your probabilities."""
    end, draw = id_of(END), runtime.generator(2)
    texts = torch.full((count, 1), end, device=device)
    for _ in range(most):
        share = next_probabilities(model(texts)[:, -1].float(), temperature, top_k, top_p).cumsum(dim=1)
        # the first token at which the running sum passes a uniform number
        drawn = (share < draw_uniform((count, 1), draw, device) * share[:, -1:]).sum(dim=1, keepdim=True)
        texts = torch.cat([texts, drawn], dim=1)
    return decoded(texts.cpu())


texts = write(small, scale(smoke=20, cpu=300, gpu=300))
print(*texts[:5], sep="\n")
settings = {"all tokens": {}, "temperature 0.7": {"temperature": 0.7}, "top-k 5": {"top_k": 5}, "top-p 0.9": {"top_p": 0.9}, "temperature 1.5": {"temperature": 1.5}}
written = {name: write(small, scale(smoke=20, cpu=300, gpu=300), **how) for name, how in settings.items()}
plots.table(
    [{"drawn from": name, "grammatical": sum(map(accepts, some)) / len(some), "different": len(set(some)) / len(some)} for name, some in written.items()],
    caption=f"{len(texts)} captions each: share that the grammar of captions accepts, and share of different ones",
)
wrong = [text for text in written["temperature 1.5"] if not accepts(text)]
if wrong:
    print(f"one that is not accepted, from the word {first_wrong_word(wrong[0])!r} on: {wrong[0]}")

# %% [markdown]
# A low temperature, top-k and top-p make captions more correct and less diverse; that trade is all there is to it.
#
# ## Exercise 4 · Words taken out · *10 minutes, medium, core*
#
# BERT does not write. It reads, in both directions at once: no causal mask. But then what shall it be asked? The next token stands there to be seen. So words are taken *out*, and it has to say what stood there. Of all tokens (but the **special** ones, that frame a text or fill it up) 15 % are **chosen**. Of the chosen ones
#
# - 80 % become the token `<mask>`,
# - 10 % become a random token,
# - 10 % stay as they are.
#
# All chosen ones are asked for, and only they: the **labels** hold what stood there, and $-100$ elsewhere, a number that `F.cross_entropy` leaves out. Why not mask all of them? If masks were all that is asked for, the network would learn nothing for other tokens, and a text in use has only others. Now any token may be a wrong one.
#
# Randomness comes in as `noise`, three uniform numbers in $[0, 1)$ for each token: the first says whether it is chosen (below `rate`), the second what becomes of it (below 0.8 a mask, from 0.8 to 0.9 a random token, above that it stays), the third *which* random token, `(noise[2] * vocab_size).long()`.
#
# <details><summary>Hint</summary>
#
# Make three boolean tensors: chosen, masked, random. `torch.where(mask, a, b)` takes from `a` where the mask is True and from `b` elsewhere; a or b may be a plain number. Do not write into `input_ids`: the caller still needs them.
# </details>

# %% nbgrader={"grade": false, "grade_id": "corrupt", "locked": false, "schema_version": 3, "solution": true, "task": false}
def corrupt(input_ids: Tensor, noise: Tensor, special: Tensor, mask_token_id: int, vocab_size: int, rate: float = 0.15) -> tuple[Tensor, Tensor]:
    """The corrupted text and the labels, both (batch, n) int64.

    Args:
        input_ids: (batch, n) int64 in [0, vocab_size).
        noise: (3, batch, n), uniform in [0, 1).
        special: (batch, n) bool, True at tokens that are never chosen.
        mask_token_id: of the token <mask>.
        rate: share of tokens that are chosen.
    """
    ### BEGIN SOLUTION
    chosen = (noise[0] < rate) & ~special
    masked = chosen & (noise[1] < 0.8)
    random = chosen & (noise[1] >= 0.8) & (noise[1] < 0.9)
    corrupted = torch.where(masked, mask_token_id, torch.where(random, (noise[2] * vocab_size).long(), input_ids))
    return corrupted, torch.where(chosen, input_ids, -100)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "corrupt-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.corrupt(corrupt)
### BEGIN HIDDEN TESTS
check.corrupt(corrupt, hidden=True)
### END HIDDEN TESTS

# %%
caption = encoded(["Two objects on a sand background: a large red circle at the top left and a small blue star at the bottom left."])
ids, ends = caption["input_ids"], caption["input_ids"] == id_of(END)
torn, labels = corrupt(ids, draw_uniform((3, *ids.shape), runtime.generator(39)), ends, id_of(MASK), len(scenes_tokenizer()), rate=0.3)
print("BERT reads (30 % chosen):", scenes_tokenizer().decode(torn[0]))
print("and is asked for:        ", [scenes_tokenizer().decode([number]) for number in labels[0].tolist() if number >= 0])

# %% [markdown]
# ## Text in, text out: T5
#
# T5 has both: an **encoder** that reads in both directions as BERT, and a **decoder** that writes as GPT and looks at what the encoder has read (cross-attention: queries from the text that is written, keys and values from the one that was read). It takes out whole spans and asks for them, each behind the *sentinel*, a token `<0>`, `<1>`, …, that stands in its place. And since input and output are just
# texts, *any* task can be put so, with a word in front that says which. Three tasks of `t5-scenes`, a model that comes with the course, and what it answers: to mend a caption with gaps, to complete one that breaks off, to answer a question about one.

# %%
mender = training.load(recipes.T5_SCENES_RECIPE)
for name in ("mend", "complete", "answer"):
    batch = SceneTasks("test", task=name).__getitems__(range(3))
    for source, answer in zip(batch["input_ids"].tolist(), recipes.answered(mender, batch), strict=True):
        print(scenes_tokenizer().decode(source).split(END)[0], "->", answer.strip())
card = training.read_card(recipes.T5_SCENES_RECIPE)
print(f"Of {card['samples']} held-out questions it answers {card['metrics']['answer_accuracy']:.2f} rightly (the most frequent answer to each kind of question: {card['chance']['answer_accuracy']:.2f})")

# %% [markdown]
# GPT, BERT and T5, of equal size, on the same captions, beside an LSTM, as was usual before. Each is trained with its own objective, on as many texts. Then in held-out captions one token is hidden, and each says what it would put there: BERT and T5 from both sides, GPT and the LSTM from the left alone. (The middle panel: how many tokens of a text are asked for in training.)

# %%
rows = training.results(experiments.OBJECTIVES)
plots.show(
    experiments.OBJECTIVES.figure(rows),
    alt="Three panels with a bar for each model: share of gaps filled rightly, tokens of a text that teach something, and perplexity of the two models that read from left to right.",
)
print(f"{experiments.OBJECTIVES.question} {experiments.OBJECTIVES.verdict(rows)}")

# %% [markdown]
# ## Exercise 5 · Read nothing twice · *15 minutes, hard, optional*
#
# To say the next token, `write` above sends the *whole* text through the network, for each token anew. That is wasteful: what a token has heard depends only on those before it, so its key and its value never change again. Keep them (the **KV cache**), and a new token has to compute its own three vectors only. The course's `generate` does so.
#
# Write a step of one head in the first layer, where the places are added: `tokens` are new ones, one or several, and come after those whose keys and values are in the cache. Mind three things: their *places* in the text, the mask among several new ones, and that the cache has to grow.
#
# <details><summary>Hint</summary>
#
# With `past` tokens cached, new token $i$ (from 0) stands at place `past + i`, and may see the columns up to `past + i`. So what is hidden is `torch.ones(new, past + new, dtype=torch.bool, device=...).triu(past + 1)`. A cache may be empty: `past` is 0 then, and everything still fits.
# </details>

# %% nbgrader={"grade": false, "grade_id": "attend-with-cache", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attend_with_cache(
    tokens: Tensor, positions: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, cached_keys: Tensor, cached_values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What the new tokens hear (batch, new, width), and all keys and values up to now, each (batch, past + new, width).

    Args:
        tokens: new ones, (batch, new, width), without their places.
        positions: (longest text, width), a vector for each place, to be added to the token that stands there.
        to_q, to_k, to_v: (width, width).
        cached_keys, cached_values: (batch, past, width), of the tokens before.
    """
    ### BEGIN SOLUTION
    past, new = cached_keys.shape[1], tokens.shape[1]
    tokens = tokens + positions[past : past + new]
    keys = torch.cat([cached_keys, tokens @ to_k], dim=1)
    values = torch.cat([cached_values, tokens @ to_v], dim=1)
    scores = tokens @ to_q @ keys.mT / math.sqrt(tokens.shape[2])  # (batch, new, past + new)
    later = torch.ones(new, past + new, dtype=torch.bool, device=tokens.device).triu(past + 1)
    return scores.masked_fill(later, float("-inf")).softmax(dim=-1) @ values, keys, values
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "attend-with-cache-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.attend_with_cache(attend_with_cache)
### BEGIN HIDDEN TESTS
check.attend_with_cache(attend_with_cache, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Exercise 6 · One merge · *15 minutes, medium, optional*
#
# Where do the tokens come from? Whole words would be too many, and tomorrow there is a new one. Letters are few, but then texts are long. **Byte-pair encoding** lets the text decide: begin with single bytes (256 of them, so that nothing is ever unknown); find the pair of neighbours that comes most often; make it one new token, everywhere; again. Frequent words end up whole, rare ones in
# pieces.
#
# Write one such step. The text comes as its different words, each a tuple of token ids, with how often it occurs. Pairs never cross the border of a word. Of equally frequent pairs take the one with the smallest ids (compare the first, then the second): some rule there must be, or two machines would learn two vocabularies. Merge from the left: three equal tokens in
# a row are counted as two pairs, but only the first two can be merged.
#
# <details><summary>Hint</summary>
#
# `zip(word, word[1:])` gives the pairs of a word; a `Counter` adds up. Python compares tuples by their first entries, then by their second ones. To merge, walk with an index: two places on after a merge, one otherwise.
# </details>

# %% nbgrader={"grade": false, "grade_id": "merge-step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def merge_step(words: tuple[tuple[int, ...], ...], counts: tuple[int, ...], new_id: int) -> tuple[tuple[int, int], list[list[int]]]:
    """The most frequent pair, and the words with each occurrence of it made one token.

    Args:
        words: different words, each the ids of its tokens.
        counts: how often each word comes in the text.
        new_id: of the new token.
    """
    ### BEGIN SOLUTION
    frequency = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in zip(word, word[1:], strict=False):
            frequency[pair] += count
    best = min(frequency, key=lambda pair: (-frequency[pair], pair))
    merged = []
    for word in words:
        tokens, place = [], 0
        while place < len(word):
            found = tuple(word[place : place + 2]) == best
            tokens.append(new_id if found else word[place])
            place += 2 if found else 1
        merged.append(tokens)
    return best, merged
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "merge-step-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.merge_step(merge_step)
### BEGIN HIDDEN TESTS
check.merge_step(merge_step, hidden=True)
### END HIDDEN TESTS

# %%
spelled = Counter(word for text in Documents("train").texts[:20] for word in text.split() if word.isascii())
words, names = tuple(tuple(word.encode()) for word in spelled), {number: chr(number) for number in range(128)}
made = []
for new_id in range(128, 128 + 40):
    (left, right), words = merge_step(tuple(map(tuple, words)), tuple(spelled.values()), new_id)
    names[new_id] = names[left] + names[right]
    made.append(names[new_id])
print("The first forty tokens of the documents (sections of Python's manual):", *made)
tokenizer = BytePairTokenizer.train(Documents("train").texts, 1024)
for text in ("The function returns a dictionary.", "Zwölf Boxkämpfer 🥊"):
    pieces = [tokenizer.decode([number]) for number in tokenizer.encode(text)]
    print(pieces, tokenizer.decode(tokenizer.encode(text)) == text)

# %% [markdown]
# The parts of an emoji are single bytes, which are no text by themselves (shown as �). All the same nothing is lost.
#
# ## Pictures are texts, too
#
# A **vision transformer** cuts a picture into patches. Each patch becomes a token by one linear layer, is told its place, and from there on the same layers do the same thing, without the mask. Here is a handwritten digit as a text of sixteen words. The experiment below trains the very same layers on documents, digits and scenes, and each time a network that was *made* for such data, of equal size and for equally many steps.

# %%
digit = Digits("test", 16).images[6:7]
patches = F.unfold(digit, 4, stride=4).transpose(1, 2).unflatten(2, (1, 4, 4))[0]  # (16 patches, 1, 4, 4)
plots.show(plots.image_grid(patches, columns=16, zoom=0.5, title="A digit, read row by row"), alt="Sixteen small squares in a row, the patches of a handwritten digit.")
rows = training.results(experiments.ONE_ARCHITECTURE)
plots.show(
    experiments.ONE_ARCHITECTURE.figure(rows),
    alt="Left, perplexity on documents of the transformer and of an LSTM. Right, accuracy on digits and on scenes of the transformer and of a convolutional network.",
)
verdict = experiments.ONE_ARCHITECTURE.verdict(rows)
print(f"The lecture's claim: {verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Break it: look ahead
#
# The causal mask is one line. What if it is forgotten? Below is the same model with `F.scaled_dot_product_attention` without a mask. Watch the loss and the perplexity first, and believe them for a moment.


# %%
class SeesAll(Layer):
    """A layer that has no mask."""

    def attend(self, tokens: Tensor) -> Tensor:
        to_q, to_k, to_v, to_out = self.weights
        q, k, v = ((tokens @ weight).unflatten(2, (self.num_heads, -1)).transpose(1, 2) for weight in (to_q, to_k, to_v))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2) @ to_out


runtime.seed_everything(1)
cheat = SmallGPT(layer=SeesAll)
cheated = training.cached(
    "01_transformers/cheat",
    lambda: training.fit(player(cheat), loader(Captions("train"), 32), scale(smoke=3, cpu=500, gpu=3_000)),
    cheat, uses=(player, SeesAll, SmallGPT),
)  # fmt: skip
plots.show(plots.curves({"yours": history["loss"], "without the mask": cheated["loss"]}, ylabel="loss", log=True, smooth=20), alt="Loss over the steps of both models: without the mask it falls far below the other one.")
plots.table(
    [{"model": name, "perplexity": perplexity(model), "grammatical": sum(map(accepts, write(model, 100))) / 100} for name, model in (("yours", small), ("without the mask", cheat))],
    caption="Held-out captions, and 100 written ones each",
)
print(*write(cheat, 3), sep="\n")
if runtime.scale_name() != "smoke":
    assert perplexity(cheat) < perplexity(small), "whoever sees the answer gives it"

# %% [markdown]
# The perplexity is near 1, the best there is: on *held-out* text, too, since the answer stands there as well. But when it writes there is no next token to copy from, and it has learned nothing else. A loss that is too good is a reason to look for a leak.
#
# ## Look: what do the heads look at?
#
# Every head of two models that come with the course, on texts of your choice. Rows are the tokens that look, columns those that are looked at; each row's shares add up to 1. Look for heads that always look at the token before, at the same word earlier in the text, at the first token (which is what heads do that have nothing to say). (Without widgets: the first figure shows the same for one text.)

# %%
writer = training.load(recipes.GPT_SCENES)
chosen = {
    "a task with eight examples": (learner, task),
    "a long caption": (writer, caption["input_ids"]),
    "a short caption": (writer, encoded(["There is a red circle above a blue star."])["input_ids"]),
}


def head_maps(text: str, layer: int) -> Tensor:
    """The maps of all heads of a layer, (heads, 1, n, n), dark where a token looks."""
    model, ids = chosen[text]
    weights = list(attention_maps(model, ids.to(device)).values())[layer - 1][0].cpu()
    return 1 - 2 * weights[:, None] / weights.amax(dim=(1, 2))[:, None, None, None]


widgets.explorer(head_maps, alt="a map for each head of the layer, dark where a token of the row looks at a token of the column", columns=4, zoom=5, text=list(chosen), layer=(1, 3, 2))

# %% [markdown]
# ## Measure: learning from examples, without training
#
# GPT-3's surprise: write a few examples of a task in front of a question, and the model does the task, although not one weight has changed. Can that be had in small? `gpt-fewshot` has learned from small tasks like the one in the first figure. Three words, and one of them is the answer: the animal, say, or the city. *Which* is asked for only the lines before can tell, and one in five of them is wrong.
# Here are **families** that it has never seen (no text of its training held these three categories together), and a **new kind** of rule: always the first word, or the second, or the third, whatever it is. The dotted line is the best that counting can do: take the category that most of the examples agree with.

# %%
found, new = (recipes.few_shot_accuracy(learner, split, scale(smoke=50, cpu=2_000, gpu=5_000))["accuracy"] for split in ("test", "new kind"))
lines = {"held-out families": found, "who counts the examples": fewshot.best_accuracy("test", 2_000), "new kind of rule": new}
figure, axes = plots.figure(width=5.6, height=2.8)
for color, (name, values), (marker, style) in zip((plots.COLORS[0], "black", plots.COLORS[1]), lines.items(), (("o", "-"), ("", ":"), ("s", "-")), strict=True):
    axes[0, 0].plot(values, color=color, marker=marker, linestyle=style, markersize=4, label=name)
axes[0, 0].axhline(1 / fewshot.WORDS, color=plots.COLORS[6], linestyle="--", linewidth=1, label="chance")
axes[0, 0].set(xlabel="examples", ylabel="right answers", ylim=(0, 1.03))
axes[0, 0].legend(frameon=False, fontsize=7)
plots.show(figure, alt="Share of right answers over the number of examples in the text. Held-out families: a third without any, then rising with each, close to the dotted line of counting which category most examples agree with. The new kind of rule stays at a third.")

# %% [markdown]
# After one example about four of five answers are right, as many as one example deserves; eight together are believed nearly always. That is more than copying: it weighs evidence, and nobody told it to. But of a rule that was in no text of its training it learns nothing from any number of examples. What training gave it is the skill of finding out *which category* is asked for. (GPT-3 has read so much that few kinds of rule are new to it.)
#
# Does the size of the model matter? The lecture says so. Three sizes, trained for equally many steps:

# %%
rows = training.results(experiments.FEW_SHOT)
plots.show(experiments.FEW_SHOT.figure(rows), alt="Share of right answers over the number of examples for models of three sizes, with chance as a dashed line.")
verdict = experiments.FEW_SHOT.verdict(rows)
print(f"The lecture's claim: {verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## Further studies
#
# **GPT-1's recipe.** Before examples in the context there was fine-tuning: learn to continue texts, of which there are many, then learn the task from a few labels. The task here is the linguist's: is this a caption, or has a word been exchanged?

# %%
rows = training.results(experiments.FINETUNE)
plots.show(experiments.FINETUNE.figure(rows), alt="Share of captions judged rightly over the number of labels, for a model that was pre-trained and one that begins from scratch.")
print(f"{experiments.FINETUNE.question} {experiments.FINETUNE.verdict(rows)}")

# %% [markdown]
# **What does it cost?** In a forward pass each number of the network is multiplied and added once for each token, two operations; backwards it takes twice as many. So a training of a model of $N$ numbers on $D$ tokens costs about $6 N D$ (half of that for T5, since each token meets only one of its two stacks). The lecture shows the table of GPT-3's paper. Here it is computed anew, with $N$ counted in our own models at the published sizes (on PyTorch's `meta` device, which has shapes
# but no memory).

# %%
rows = training.results(experiments.COMPUTE)
plots.show(experiments.COMPUTE.figure(rows), alt="Published compute over the formula's, both logarithmic: points of BERT, GPT-3 and T5 on the diagonal.")
plots.table(
    [{"model": row["model"], "N in millions": row["parameters_millions"], "6 N D": row["six_nd"], "published": row["published_days"], "ratio": row["six_nd"] / row["published_days"]} for row in rows],
    caption="Training in petaflop/s-days: a day at 10^15 operations a second",
)
print(f"{experiments.COMPUTE.question} {experiments.COMPUTE.verdict(rows)}")

# %% [markdown]
# ## The real thing
#
# The published GPT-2 of 124 million numbers loads into our `GPT2`, and its merges into our tokenizer. With a network, this fetches both and continues a sentence; without, it says so.

# %%
from course_utils.hub import OfflineError

try:
    published = GPT2.from_hub("openai-community/gpt2").to(device)
    official = BytePairTokenizer.from_hub("openai-community/gpt2")
    prompt = torch.tensor([official.encode("A picture is worth")], device=device)
    print(official.decode(generate(published, prompt, 30, runtime.generator(5), temperature=0.8, top_p=0.9)[0].tolist()))
except OfflineError as error:
    print(f"No network, so no published weights here ({str(error).split(':')[0]}).")

# %% [markdown]
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-places", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** Leave out the vectors for the places. For BERT, what would be the same for "a red circle and a blue star" and "a blue circle and a red star"? Why is a GPT, with its causal mask, not quite as blind?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# Attention takes a weighted mean over tokens, which does not depend on their order; so each word would get the same vector in both texts, and nothing could tell which colour belongs to which shape. With a causal mask each token hears only those before it: what it hears depends on *which* words came before, and so a little of the order gets through.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-objectives", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** BERT is asked for 15 % of the tokens, GPT for all of them. What does each gain and lose by that? Which of the two would you take to find wrong words in a text, and which to answer e-mails?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# GPT learns from every token of a text, about six times as many predictions in one pass, but sees each from the left only. BERT sees both sides, and in return learns from few tokens, and cannot write, since it was never asked for what comes next. For wrong words both sides matter: BERT. An e-mail has to be written: GPT.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-examples", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **3.** In the few-shot experiment no weight changes, and yet the model does what it could not do without the examples. Where is what it has "learned"? What would it have learned if in every text of its training the animal had been asked for?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# In the keys and values of the examples: the last line finds the earlier answers by attention, and what they have in common is added to what it knows of its own words. The weights hold the procedure, and what an animal is; the context holds the rule. Had the animal always been asked for, that could have been stored in the weights, which is easier to learn than to look it up: it would answer with the animal whatever the examples say.
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Phuong and Hutter, *Formal algorithms for transformers*, 2022: every variant in exact pseudocode.
# - Olsson et al., *In-context learning and induction heads*, 2022: which heads make examples work.
# - Kaplan et al., *Scaling laws for neural language models*, 2020, section 2.1: where 6 N D comes from.
