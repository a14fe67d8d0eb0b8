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
# # Visual question answering: what do you want to know?
#
# | | |
# |---|---|
# | **Time** | 95 minutes of work, 45 of them exercises; the code runs in about 6 minutes on a laptop's CPU |
# | **You need** | the Q-Former and its prefix for a language model (notebook 3 of this chapter); attention with a mask, T5 (chapter 5, notebook 1) |
# | **Builds on** | ideas of those; nothing that you wrote there is needed here |
# | **Code** | `course_utils/captioning_vqa/vqa.py`, `blip2.py`, `qformer.py`, `vqa_recipes.py`, `course_utils/data/scenes/questions.py` |
# | **Papers** | Antol et al., *VQA: visual question answering*, ICCV 2015 · Goyal et al., *Making the V in VQA matter*, CVPR 2017 · Li, Li, Savarese and Hoi, *BLIP-2*, ICML 2023 · Dai et al., *InstructBLIP*, NeurIPS 2023 · Li, Li, Xiong and Hoi, *BLIP*, ICML 2022 |
#
# A caption says what somebody found worth saying. A question says what *you* want to know: one looks at the same picture in another way when asked for a colour than when asked for a number. This notebook tunes a BLIP-2 so that it is asked, and asks of its answers what they are worth: who looks at no picture is often right, too.
#
# Four scenes that the course's model has never seen, each with four of the questions that can be asked of it, and what it answers:

# %%
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from course_utils import plots, runtime, scale, training, widgets
from course_utils.captioning_vqa import BLIP2, QFormer, QFormerConfig, parameter_counts, vqa_experiments, vqa_recipes
from course_utils.captioning_vqa.blip2 import published_image_encoder, published_t5
from course_utils.captioning_vqa.blip2_recipes import looked_at
from course_utils.captioning_vqa.vqa import normalized
from course_utils.checks import captioning_vqa as check
from course_utils.data import loader
from course_utils.data.scenes import ANSWERS, QUESTION_KINDS, questions, records, render
from course_utils.hub import OfflineError
from course_utils.language.recipes import T5_SCENES_RECIPE
from course_utils.language.t5 import T5
from course_utils.layers import draw_integers, draw_uniform

device = runtime.device()
runtime.seed_everything(0)

reference = training.load(vqa_recipes.BLIP2_VQA_SCENES)  # shipped with the course, trained longer than there is time for here
shown = records("test", range(4))
pictures = render(shown)
few = [sorted(asked, key=lambda one: one.kind in ("exists", "background", "size"))[:4] for asked in questions(shown)]
flat = [(number, one) for number, asked in enumerate(few) for one in asked]
said = vqa_recipes.answered(reference, pictures, [one.text for _, one in flat], torch.tensor([number for number, _ in flat]))
plots.show(plots.image_grid(pictures, columns=4, zoom=4), alt="Four held-out scenes, each with one to four coloured shapes on a plain background.")
plots.table(
    ({"scene": number + 1, "question": one.text, "the reference says": answer, "right": one.answer} for (number, one), answer in zip(flat, said, strict=True)),
    caption="Questions about the four scenes, from left to right",
)

# %% [markdown]
# ## The idea
#
# You have the three parts from notebook 3: an image encoder, a Q-Former, a language model. The authors of BLIP-2 tune them for questions as the lecture's slide says: Q-Former *and image encoder* learn, the language model stays frozen. And the question goes in **twice**:
#
#       picture ──► image encoder ──► tokens ──┐ cross-attention
#                      (tuned)                 ▼
#       question ────────────────────────► Q-Former ──► prefix ──┐
#          │                                (tuned)              ▼
#          └──────────────────────────── prompt ─────────► language model ──► answer
#                                                             (frozen)
#
# $$ \min_{\text{Q-Former, image encoder}} \; -\,\mathbb E \Big[ \log p_{\text{LM}} \big( a \;\big|\; \underbrace{W\, Q(x, q)}_{\text{prefix}},\; \underbrace{q}_{\text{prompt}} \big) \Big] $$
#
# - $x$: the picture, $q$: the question, $a$: its answer, a word or two,
# - $Q(x, q)$: what the queries have fetched, (queries, width): they see the picture *and the question*; $W$: the linear layer to the width of the language model,
# - $p_{\text{LM}}$: the frozen language model, here the small T5 of chapter 5, which has answered questions about *captions* and has never seen a picture.
#
# Why twice? The language model needs the question to know what it is asked. But what reaches it of the picture are a few vectors, eight in ours. If the Q-Former does not know what is asked, these must hold everything that might be. If it does, they need to hold one answer. That is a claim (C40), and it is tested below.
#
# Questions of ten kinds are asked here. Look at one scene's:

# %%
# NBVAL_CHECK_OUTPUT
for one in questions(records("test", [2]))[0]:
    print(f"{one.kind:<11} {one.text:<52} {one.answer}")

# %% [markdown]
# Every question of yes and no is asked twice of a scene, once with each answer, every "how many red ..." three times, and the records themselves are balanced. So the words of a question alone tell (nearly) nothing. In the first data sets of real pictures they told much; more of that in exercise 2.
#
# ## Exercise 1 · Ten people, ten answers · *10 minutes, easy, core*
#
# Is it a "couch" or a "sofa"? In the data set VQA ten people answered each question, and they differ. An answer is fully right if three others gave it. And since people would have to be measured likewise, each of the ten is left out in turn:
#
# $$ \text{accuracy}(a) = \frac1{N} \sum_{i=1}^{N} \min\Big( 1,\; \frac{\#\{ j \ne i : a_j = a \}}{3} \Big) $$
#
# - $a$: the answer to be scored, $a_1 \dots a_N$: those that $N$ people gave (ten, in the data set).
#
# Answers are numbers here: equal numbers are equal answers. (Before, spelling has to be made alike; `vqa.normalized` does that.)
#
# <details><summary>Hint</summary>
#
# `same = given == said[:, None]` says who gave this answer. Leaving out person $i$ takes `same[:, i]` off the sum of its row: `same.sum(dim=1, keepdim=True) - same` are all $N$ numbers at once, once `same` is float.
# </details>
#
# *Stuck? Set `vqa_accuracy = check.vqa_accuracy.reference` and go on. The same works for all exercises.*

# %% nbgrader={"grade": false, "grade_id": "vqa-accuracy", "locked": false, "schema_version": 3, "solution": true, "task": false}
def vqa_accuracy(said: Tensor, given: Tensor) -> Tensor:
    """The accuracy of each answer, (questions,) float32 in [0, 1].

    Args:
        said: answers to be scored, (questions,) int64.
        given: what people answered, (questions, people) int64.
    """
    ### BEGIN SOLUTION
    same = (given == said[:, None]).float()
    others = same.sum(dim=1, keepdim=True) - same
    return (others / 3).clamp(max=1).mean(dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "vqa-accuracy-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.vqa_accuracy(vqa_accuracy)
### BEGIN HIDDEN TESTS
check.vqa_accuracy(vqa_accuracy, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# What does it make of an answer that 0, 1, 2, ... of ten people gave? And how well do *people* do, if each of the ten is right with probability $p$ and else says one of 30 other things? That is the ceiling of such a data set:

# %%
# NBVAL_CHECK_OUTPUT
votes = torch.ones(11, 10, dtype=torch.int64)
for number in range(11):
    votes[number, :number] = 0
print("people who said the same:", *range(6))
print("accuracy:                ", *(f"{value:.1f}" for value in vqa_accuracy(torch.zeros(6, dtype=torch.int64), votes[:6]).tolist()))
draw = runtime.generator(0)
for p in (0.9, 0.6, 0.3):
    crowd = torch.where(draw_uniform((4000, 11), draw) < p, 0, 1 + draw_integers(0, 30, (4000, 11), draw))
    print(f"p = {p}: an eleventh person scores {vqa_accuracy(crowd[:, 0], crowd[:, 1:]).mean():.2f}, the right answer {vqa_accuracy(torch.zeros(4000, dtype=torch.int64), crowd[:, 1:]).mean():.2f}")
print(normalized("The two dogs."), "=", normalized("2 dogs"))

# %% [markdown]
# In our world all ten would agree, so an answer scores 0 or 1. But the function is yours, and everything below is measured with it.
#
# ## Exercise 2 · Without a look at the picture · *10 minutes, easy, core*
#
# "What sport is that?" "Tennis", and you are right about two times in five in the first VQA data set (Goyal et al. 2017), without having looked. Whoever publishes a figure for answers has to publish beside it what one gets blind. Write the strongest guesser that there is for questions that come again word for word: to each the answer it most often had in training; to a new one the answer most often given to all.
#
# <details><summary>Hint</summary>
#
# `torch.bincount(questions * num_answers + answers, minlength=num_questions * num_answers)` counts every pair; `.view(num_questions, num_answers)` makes a table of that. Then `argmax`.
# </details>

# %% nbgrader={"grade": false, "grade_id": "blind-answers", "locked": false, "schema_version": 3, "solution": true, "task": false}
def blind_answers(questions: Tensor, answers: Tensor, num_questions: int, num_answers: int) -> Tensor:
    """The answer given most often to each question, (num_questions,) int64; to one that was never asked the most frequent of all.

    Args:
        questions: numbers of the training questions, (n,) int64 from 0 to num_questions - 1; many come more than once.
        answers: their answers, (n,) int64 from 0 to num_answers - 1.
    """
    ### BEGIN SOLUTION
    counts = torch.bincount(questions * num_answers + answers, minlength=num_questions * num_answers).view(num_questions, num_answers)
    never = counts.sum(dim=1) == 0
    return torch.where(never, counts.sum(dim=0).argmax(), counts.argmax(dim=1))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "blind-answers-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.blind_answers(blind_answers)
### BEGIN HIDDEN TESTS
check.blind_answers(blind_answers, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# Guess blind, by the words of the question and by its kind alone, and compare with chance: one over the number of answers that a kind has.

# %%
train_questions, _ = vqa_recipes.flat(records("train", range(scale(smoke=300, cpu=4000, gpu=10_000))))
held_out = records("test", range(scale(smoke=8, cpu=150, gpu=1000)))
of, about = vqa_recipes.flat(held_out)
right = torch.tensor([ANSWERS.index(one.answer) for one in of])
given = right[:, None].expand(-1, 10)  # ten people who always agree
kinds = torch.tensor([QUESTION_KINDS.index(one.kind) for one in of])


def guessed(name: str) -> Tensor:
    """The answer to each held-out question by your table, in which a question goes by its "text" or by its "kind"."""
    rows = {getattr(one, name): None for one in [*train_questions, *of]}
    numbers = {value: number for number, value in enumerate(rows)}
    asked = torch.tensor([numbers[getattr(one, name)] for one in train_questions])
    answers = torch.tensor([ANSWERS.index(one.answer) for one in train_questions])
    table = blind_answers(asked, answers, len(numbers), len(ANSWERS))
    return table[torch.tensor([numbers[getattr(one, name)] for one in of])]


by_words, by_kind = guessed("text"), guessed("kind")


def by_kinds(answers: Tensor) -> dict[str, float]:
    """Your accuracy over all held-out questions and over those of each kind."""
    found = vqa_accuracy(answers, given)
    return {"all": found.mean().item()} | {kind: found[kinds == number].mean().item() for number, kind in enumerate(QUESTION_KINDS)}


plots.table(
    ({"kind": kind, "by the words": blind, "by the kind": majority} for (kind, blind), majority in zip(by_kinds(by_words).items(), by_kinds(by_kind).values(), strict=True)),
    caption=f"Right answers to {len(of):,} questions about {len(held_out)} held-out scenes, without a look",
)
if runtime.scale_name() != "smoke":
    assert by_kinds(by_words)["all"] < 0.5, "the words should tell next to nothing"

# %% [markdown]
# Half of yes and no, a third of "how many red ...", and so on: next to nothing is to be gained by the words. Whatever a model does better has to come from the picture.
#
# ## Asked without being taught
#
# A captioner has seen pictures, and no question. Two ways to get answers from it all the same. Begin a caption for it so that what comes next is the answer ("Where is the red star?" becomes "A red star is at the ...", and for the background "On a ..."): that is how GPT-like models are asked, with a *prompt*, and BLIP-2 was asked so on VQA before any tuning ("Question: ... Answer:").
# Or let it write, and let a language model read: `blip-scenes` writes a caption, `t5-scenes` answers from it. The *unused prompt* asks for the background, too, by "The background is ...", words with which no caption of its training begins.

# %%
rows = training.results(vqa_experiments.ZERO_SHOT)
plots.show(vqa_experiments.ZERO_SHOT.figure(rows), alt="Right answers by kind of question: of a captioner given the beginning of a caption, and of a language model that reads its caption; dotted lines for the most frequent answer.")
verdict = vqa_experiments.ZERO_SHOT.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# A prompt has to be found for each kind of question, in words that the captioner is used to, and for most kinds there is none: no caption goes on with the answer to "Is there ...?". The second way takes every question, but it sees the picture only through a caption that was written before anybody asked, and can be no better than the one who reads it. So let us teach it.
#
# ## Exercise 3 · Queries that read the question · *15 minutes, medium, core*
#
# In the Q-Former, queries and question stand in one row and look at one another in self-attention. (Then queries alone look at the picture.) Write that attention, for one head, as far as the queries need it:
#
# $$ Q' = \text{softmax}\Big( \frac{(Q\, W_q)\,(T\, W_k)^\top}{\sqrt d} + M \Big)\, T\, W_v, \qquad T = \begin{bmatrix} Q \\ E \end{bmatrix} $$
#
# - $Q$: the queries, (batch, m, d); $E$: the words of the questions, (batch, n, d); $T$: both, one behind the other,
# - $M$: 0, and $-\infty$ at padding words, which nobody may see. Questions have different lengths.
#
# <details><summary>Hint</summary>
#
# What looks are the queries alone, what is seen is `torch.cat([queries, question], dim=1)`. Which columns are seen: `F.pad(question_mask, (m, 0), value=True)`, for all rows alike: `[:, None]`.
# </details>

# %% nbgrader={"grade": false, "grade_id": "question-attention", "locked": false, "schema_version": 3, "solution": true, "task": false}
def question_attention(queries: Tensor, question: Tensor, question_mask: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor) -> Tensor:
    """What the queries take from one another and from the question, (batch, m, d).

    Args:
        queries: (batch, m, d).
        question: vectors of its words, (batch, n, d).
        question_mask: (batch, n) bool, True at words, False at padding.
        to_q, to_k, to_v: (d, d), applied as `tokens @ to_q`.
    """
    ### BEGIN SOLUTION
    tokens = torch.cat([queries, question], dim=1)
    seen = F.pad(question_mask, (queries.shape[1], 0), value=True)
    scores = (queries @ to_q) @ (tokens @ to_k).mT / queries.shape[2] ** 0.5
    return scores.masked_fill(~seen[:, None], -torch.inf).softmax(dim=-1) @ (tokens @ to_v)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "question-attention-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.question_attention(question_attention)
### BEGIN HIDDEN TESTS
check.question_attention(question_attention, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# ## Train
#
# A small Q-Former around your attention: in each of two layers the queries read the question, look at the picture, and think. Everything else is the course's: the image encoder of `clip-scenes`, tuned along, and the frozen T5.


# %%
class SmallQFormer(nn.Module):
    """Queries that see question and picture; what they fetched is a prefix for the language model."""

    def __init__(self, config: QFormerConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.queries = nn.Parameter(torch.randn(1, config.num_queries, width))
        self.words, self.places = nn.Embedding(config.vocab_size, width), nn.Embedding(config.max_positions, width)
        self.matrices = nn.Parameter(torch.randn(config.depth, 3, width, width) / width**0.5)
        self.looks = nn.ModuleList(nn.MultiheadAttention(width, config.num_heads, kdim=config.context_width, vdim=config.context_width, batch_first=True) for _ in range(config.depth))
        self.thinks = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.hidden), nn.GELU(), nn.Linear(config.hidden, width)) for _ in range(config.depth))
        self.projection = nn.Linear(width, config.output_width)

    def prefix(self, image_tokens: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, num_queries, output_width) of pictures' tokens and their questions."""
        question = self.words(input_ids) + self.places(torch.arange(input_ids.shape[1], device=input_ids.device))
        queries = self.queries.expand(len(question), -1, -1)
        for (to_q, to_k, to_v), look, think in zip(self.matrices, self.looks, self.thinks, strict=True):
            queries = queries + question_attention(F.layer_norm(queries, queries.shape[2:]), question, attention_mask, to_q, to_k, to_v)
            queries = queries + look(F.layer_norm(queries, queries.shape[2:]), image_tokens, image_tokens, need_weights=False)[0]
            queries = queries + think(queries)
        return self.projection(F.layer_norm(queries, queries.shape[2:]))


LEARNED = ("count", "color", "shape", "size", "place")  # kinds of questions that a few minutes are enough to begin with
MOST = 3  # objects; a scene of four will be a surprise
runtime.seed_everything(1)
scenes = records("train", range(scale(smoke=60, cpu=8000, gpu=50_000)))
data = vqa_recipes.AskedScenes(scenes[scenes.count <= MOST], lambda scenes: questions(scenes, kinds=LEARNED))
small = SmallQFormer(replace(vqa_recipes.ASKING, depth=2))
model = vqa_recipes.speaking(small, training.load(T5_SCENES_RECIPE))
history = training.cached(
    "04_vqa/small",
    lambda: training.fit(vqa_recipes.vqa_player(model, data.texts, ema_decay=0.99, at_once=4), loader(data, 32, seed=1), scale(smoke=3, cpu=400, gpu=6000)),
    model, uses=(question_attention, SmallQFormer),
)  # fmt: skip
plots.show(plots.curves({name: history[name] for name in ("spoken", "direct")}, smooth=15), alt="Two losses over the steps of the training: of what the language model says, and of the prefix alone.")

# %% [markdown]
# Two losses. *Spoken* is the one above: how surprised the frozen language model is by the answer, in nats a token (a word and the end). In trials that alone hardly moved: a Q-Former that knows nothing yet hands the language model nonsense, and what comes back through six frozen layers says little of how to do better. BLIP-2 has the same trouble, and its first stage against it (notebook 3).
# Ours is a second loss that does not go through the language model: the mean of the prefix should lie nearest to the answer's *own word* in the language model's table. It is the *direct* one. (The study *What is tuned* shows what happens without it.)
#
# ## Exercise 4 · Which of these? · *10 minutes, medium, core*
#
# A language model can say anything. If one of some candidates is wanted (an exam, a menu, a list of 3,000 frequent answers), BLIP's authors let the decoder *rank* them: it does not write, it says how likely it would have written each.
#
# $$ \log p(a) = \sum_{t=1}^{|a|} \log p(a_t \mid a_1 \dots a_{t-1}, \dots) $$
#
# - $a_t$: the tokens of a candidate, the last one the end of the text; shorter candidates are padded, and padding does not count.
#
# Return the *order*: of each question the numbers of the candidates, the likeliest first.
#
# <details><summary>Hint</summary>
#
# `logits.log_softmax(-1)`, then `gather(3, ...)` with the candidates' ids, expanded to `(batch, candidates, m, 1)`. Multiply with the mask, sum over the last axis, `argsort(dim=1, descending=True)`.
# </details>

# %% nbgrader={"grade": false, "grade_id": "rank-answers", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rank_answers(logits: Tensor, candidates: Tensor, mask: Tensor) -> Tensor:
    """The candidates' numbers in the order of their likelihood, best first: (batch, candidates) int64.

    Args:
        logits: (batch, candidates, m, vocabulary); those at t are of token t of that candidate, given the question and the tokens before.
        candidates: ids (candidates, m) int64, the same for all questions.
        mask: (candidates, m) bool, True at real tokens.
    """
    ### BEGIN SOLUTION
    ids = candidates.expand(len(logits), -1, -1)[..., None]  # (batch, candidates, m, 1)
    said = logits.log_softmax(dim=-1).gather(3, ids)[..., 0]
    return (said * mask).sum(dim=2).argsort(dim=1, descending=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "rank-answers-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
check.rank_answers(rank_answers)
### BEGIN HIDDEN TESTS
check.rank_answers(rank_answers, hidden=True)
### END HIDDEN TESTS

# %% [markdown]
# All answers that this world has, ranked by the reference with your function. The first should be right; what comes second?


# %%
@torch.inference_mode()
def ranked(model: BLIP2, image: Tensor, text: str) -> list[str]:
    """All ANSWERS to a question about a picture (3, 32, 32), the likeliest first."""
    ids, mask = (part.to(device) for part in vqa_recipes.asked([text], model.language_model))
    answers, real = (part.to(device) for part in vqa_recipes.answer_ids())
    every = len(answers)
    prefix = model.prefix(image[None].to(device), ids, mask).expand(every, -1, -1)
    logits = model.speak(prefix, ids.expand(every, -1), answers, mask.expand(every, -1), real)
    return [ANSWERS[number] for number in rank_answers(logits[None].float(), answers, real)[0].tolist()]


plots.table(
    ({"scene": number + 1, "question": one.text, "right": one.answer} | dict(zip(("first", "second", "third"), ranked(reference, pictures[number], one.text)[:3], strict=True)) for number, one in flat),
    caption="The likeliest three answers to the questions of the beginning",
)

# %% [markdown]
# The second and third are mostly answers to the *same kind* of question: another colour, another number. The model knows what is asked, also where it may not know the answer.
#
# ## Measure
#
# Your small model was taught five kinds of questions, so compare in those. Beside every figure stands what one gets blind.

# %%
taught = [number for number, one in enumerate(of) if one.kind in LEARNED]
images = render(held_out)


def in_numbers(answers: Sequence[str]) -> Tensor:
    """Answers as numbers; -1 for what is none of ANSWERS."""
    return torch.tensor([ANSWERS.index(answer) if answer in ANSWERS else -1 for answer in answers])


texts = [one.text for one in of]
answers = {
    "reference": in_numbers(vqa_recipes.answered(reference, images, texts, about)),
    "reference, another scene's picture": in_numbers(vqa_recipes.answered(reference, images.roll(1, 0), texts, about)),
    "blind, by the words": by_words,
    "blind, by the kind": by_kind,
}
yours = torch.full_like(right, -1)
yours[taught] = in_numbers(vqa_recipes.answered(model, images, [texts[number] for number in taught], about[taught]))
rows = [{"answers": "yours", "all": None} | {kind: by_kinds(yours)[kind] if kind in LEARNED else None for kind in QUESTION_KINDS}]
rows += [{"answers": name} | by_kinds(found) for name, found in answers.items()]
plots.table(({name: "" if value is None else value for name, value in row.items()} for row in rows), caption=f"Right answers to {len(of):,} questions about {len(held_out)} held-out scenes")
if runtime.scale_name() != "smoke":
    gained = vqa_accuracy(yours, given)[taught].mean() - vqa_accuracy(by_kind, given)[taught].mean()
    assert gained > 0.1, "yours should have looked at the pictures"

# %%
# NBVAL_CHECK_OUTPUT
card = training.read_card(vqa_recipes.BLIP2_VQA_SCENES)
print(f"The reference on all questions about {card['samples']:,} held-out scenes, as its card says")
for name in ("accuracy", *QUESTION_KINDS, "wrong_picture", "unseen_pairs"):
    print(name.ljust(14), f"{card['metrics'][name]:.3f}, most frequent answer {card['chance'][name]:.3f}")
print("blind, by the words", f"{card['metrics']['blind']:.3f}")

# %% [markdown]
# (`unseen_pairs` are questions about scenes with a pair of shape and colour that training never showed.) For comparison: on the real photographs of VQAv2 BLIP-2 reaches 82 % with OPT-6.7b (its table 4), where "fully right" means that others said the same, and a model without the picture 44 % (Goyal et al. 2017).
#
# ## Look: ask it something
#
# Choose a held-out scene and write a question, of the kinds above or another. You see the likeliest answers, and where the queries look, once they have read the question. (Without widgets: the figure below shows one.)


# %%
@torch.inference_mode()
def consulted(scene: int, question: str) -> Figure:
    """A held-out scene, the six likeliest answers to a question about it, and where the queries look."""
    image = render(records("test", [scene]))
    likely = vqa_recipes.chances(reference, image[0], question)
    best = dict(list(likely.items())[:6])
    ids, mask = vqa_recipes.asked([question], reference.language_model)
    looks = looked_at(reference.qformer, vqa_recipes.seen(reference, image), ids, mask)[0].mean(dim=0).view(4, 4)
    figure, axes = plots.figure(1, 3, width=8.4, height=2.7, width_ratios=(1, 1.2, 1))
    axes[0, 0].imshow(plots.to_display(image)[0])
    axes[0, 2].imshow(plots.to_display(image)[0], alpha=0.35)
    axes[0, 2].imshow(looks.cpu().numpy(), extent=(-0.5, 31.5, 31.5, -0.5), cmap="Greys", alpha=0.6)
    axes[0, 2].set_title("where the queries look (dark)", fontsize=8)
    for place in (0, 2):
        axes[0, place].set_axis_off()
    axis = axes[0, 1]
    axis.barh(range(len(best)), list(best.values()), color=plots.COLORS[0])
    axis.set_yticks(range(len(best)), list(best))
    axis.invert_yaxis()
    axis.set(xlim=(0, 1), xlabel="p(answer)")
    figure.suptitle(question, fontsize=9)
    return figure


widgets.explorer(
    consulted, alt="the scene, the likeliest answers to the question, and where the queries look",
    scene=(0, 60, 2), question="How many objects are there?",
)  # fmt: skip

# %%
plots.show(consulted(2, questions(records("test", [2]))[0][-3].text), alt="A held-out scene; bars of the likeliest answers to a question about it; the scene again, with the places that the queries look at darkened.")

# %% [markdown]
# From the command line: `course ask picture.png "How many objects are there?"` answers about a file, with alternatives, and says so plainly if the picture is none of this world.
#
# ## Must the Q-Former see the question?
#
# The claim of the lecture's slide: "in order to extract image features that are more relevant to the question, we additionally condition Q-Former on the question". Short trainings on scenes of three objects, equal but for that; the language model reads the question in both.

# %%
rows = training.results(vqa_experiments.CONDITIONED)
plots.show(vqa_experiments.CONDITIONED.figure(rows), alt="Right answers, over all and by kind of question: with a Q-Former that sees the question and with one that does not; dotted lines for the most frequent answer.")
verdict = vqa_experiments.CONDITIONED.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# ## What is tuned
#
# And the other choices: the image encoder tuned or frozen, the language model frozen or tuned, the direct loss or not; and BLIP's own way, in which an encoder reads the question while it looks at the picture, and a decoder, of which nothing was trained before, answers from that.

# %%
rows = training.results(vqa_experiments.PARTS)
plots.show(vqa_experiments.PARTS.figure(rows), alt="Right answers, over all and by kind of question, for five ways to train; dotted lines for the most frequent answer.")
verdict = vqa_experiments.PARTS.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")
plots.table([{"trained": vqa_experiments.WAYS[row["way"]], "numbers trained": f"{row['trained_parameters']:,.0f}", "right": row["accuracy"]} for row in rows], caption="One short training each")

# %% [markdown]
# ## Break it: what training never showed
#
# **Counting beyond.** Your small model saw scenes of up to three objects. Ask it about four:

# %%
counted = []
for number in (1, 2, 3, 4):
    crowd = records("validation", range(scale(smoke=4, cpu=60, gpu=400)), objects=number)
    found = vqa_recipes.answered(model, render(crowd), ["How many objects are there?"] * len(crowd))
    counted.append({"objects": number} | {word: fmean(answer == word for answer in found) for word in ("one", "two", "three", "four")})
plots.table(counted, caption="What your small model says, as shares; it has never seen four")
rows = training.results(vqa_experiments.COUNTING)
plots.show(vqa_experiments.COUNTING.figure(rows), alt="Two tables of answers against the number of objects, after trainings with up to three and with up to four objects.")
print(vqa_experiments.COUNTING.verdict(rows).why)

# %% [markdown]
# The language model knows the word "four", from captions and from questions about captions. It does not help: what the Q-Former hands over for four objects has never been tied to that word. "Counting" was learned as telling three kinds of pictures apart, and no number beyond follows from it.
#
# **A prior in the language.** Now the balance is removed: nearly all circles that are asked about are red, squares green, stars blue. As with bananas. Tested on scenes where every colour is equally frequent:

# %%
rows = training.results(vqa_experiments.PRIOR)
plots.show(vqa_experiments.PRIOR.figure(rows), alt="After a balanced training and after one in which most questions have the usual answer: right answers for shapes of the usual and of another colour, and how often the usual colour is said of another, and of a wrong picture.")
verdict = vqa_experiments.PRIOR.verdict(rows)
print(f"{verdict.verdict}: {verdict.why}")

# %% [markdown]
# On questions drawn as in its training such a model looks excellent. Only a test that is balanced otherwise tells. That is what happened to the field: models lost much of their accuracy when VQA got, for each question, a second picture with another answer (VQAv2, Goyal et al. 2017). Our pairs of questions are the same idea.
#
# ## The real thing
#
# InstructBLIP, the published BLIP-2 whose Q-Former reads the question, counted in our own modules without making the weights: its T5 of three billion numbers stays frozen.

# %%
# NBVAL_CHECK_OUTPUT
with torch.device("meta"):
    published = BLIP2(
        published_image_encoder({}, "the defaults"),
        QFormer(QFormerConfig(vocab_size=30523, dim=0, writes=False, output_width=2048)),
        T5(published_t5({"d_model": 2048, "num_layers": 24, "num_heads": 32, "d_ff": 5120, "feed_forward_proj": "gated-gelu"}, tied=False)),
    )
for part, (trained, frozen) in parameter_counts(published).items():
    print(f"{part:<15} {trained:>13,} trained {frozen:>15,} frozen")

# %% [markdown]
# `BLIP2.from_hub` loads it from a folder or from the hub; a test compares what it writes with the library transformers. At scale gpu (`COURSE_SCALE=gpu`) the next cell fetches some 16 GB:

# %%
if runtime.scale_name() == "gpu":
    try:
        from transformers import AutoTokenizer

        name = "Salesforce/instructblip-flan-t5-xl"
        large, reads, asks = BLIP2.from_hub(name).to(device), AutoTokenizer.from_pretrained(name), AutoTokenizer.from_pretrained(name, subfolder="qformer_tokenizer")
        prompt = reads(["How many objects are there?"] * 4, return_tensors="pt").to(device)
        question = asks(["How many objects are there?"] * 4, return_tensors="pt").to(device)
        big = F.interpolate(pictures, size=224, mode="bicubic").clamp(-1, 1).to(device)
        out = large.generate(big, 5, prompt_ids=prompt.input_ids, question_ids=question.input_ids, end_token_id=reads.eos_token_id)
        print(reads.batch_decode(out, skip_special_tokens=True))
    except (OfflineError, OSError, ImportError) as error:
        print(f"No published weights here: they need a network and the package transformers ({type(error).__name__}).")
else:
    print(f"Published weights are fetched at scale gpu; this is scale {runtime.scale_name()}.")

# %% [markdown]
# ## Questions
#
# Answer in two to four sentences each.

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-twice", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **1.** The question goes into the Q-Former and into the language model. What would be lost if it went into the Q-Former alone? And in which case would you rather have a Q-Former that does *not* see it, although its answers may be worse?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# Without the question the language model gets only a few vectors, which would then have to say what is asked as well as what is seen; it could not use what it knows of language, such as what kinds of answers a question has, or reason about it. If many questions are asked of the same picture (or the question comes later, or changes in a conversation), a Q-Former that does not see it has to run only once a picture,
# and its output can be stored.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-blind", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **2.** A model has 60 % on a data set of questions, another one 55 %; blind, with pictures exchanged, the first has 50 % and the second 20 %. Which sees better? Why is the table of exercise 2 not yet the best blind guesser, and what would be a better one?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# By these figures the second: of what it says much more hangs on the picture, the first would lose only ten points without one. (For a fair comparison both should be tested on balanced questions.) The table knows only questions that come again word for word, and to all new ones it gives one answer; a network trained on questions and answers alone would carry over what it learned to new words,
# and so is the stronger, and the fairer, baseline.
# <!-- END SOLUTION -->

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-rank", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# **3.** BLIP ranks 3,000 candidates by their likelihood, BLIP-2 lets its language model write. Name an advantage of each. Why does exercise 4 take the sum over the tokens and not their mean, and who would win more often with the mean?
#
# *Your answer:*
#
# <!-- BEGIN SOLUTION -->
# Ranking never gives an answer outside of the list, and makes probabilities comparable; writing needs no list, costs one pass a token however many answers there are, and can say what nobody foresaw. The sum is the log of the probability that the whole answer is written; the mean divides by the length, so long candidates win more often whose later tokens are sure once the first are there
# ("bottom left": after "bottom" there are only two).
# <!-- END SOLUTION -->

# %% [markdown]
# ## Further reading
#
# - Agrawal, Batra, Parikh and Kembhavi, *Don't just assume; look and answer*, CVPR 2018: what is left of models when the priors of training and test differ.
# - Johnson et al., *CLEVR*, CVPR 2017: rendered scenes with questions, balanced by construction, as ours.
# - Hudson and Manning, *GQA*, CVPR 2019: questions about real photographs, made from their scene graphs, balanced by kind.
# - Liu, Li, Wu and Lee, *Visual instruction tuning* (LLaVA), NeurIPS 2023: a linear layer instead of the Q-Former, and all patches as prefix.
