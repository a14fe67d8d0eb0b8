"""Checks of notebook text_to_image/stable_diffusion."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.diffusion.tables import draw_table
from course_utils.checks.engine import Case, Check, Draw, Mistake
from course_utils.text_to_image import stable_diffusion

__all__ = ["caption_dropout", "image_to_image_start", "inpainting_step", "prediction_of_a_network", "with_negative"]


# --- exercise 1: caption dropout --------------------------------------------------------------------------------------


def _replaced(
    chosen: Callable[[Tensor, float], Tensor] = lambda uniform, probability: uniform < probability,
    fill: Callable[[Tensor, Tensor], Tensor] = lambda ids, empty: empty.expand_as(ids),
) -> Callable[..., Tensor]:
    """Dropout with other captions chosen, (batch,) bool, or with other ids (batch, n) in their place."""

    def caption_dropout(ids: Tensor, empty: Tensor, uniform: Tensor, probability: float) -> Tensor:
        return torch.where(chosen(uniform, probability)[:, None], fill(ids, empty), ids)

    return caption_dropout


def _fixed_number(count: Callable[[float], int]) -> Callable[[Tensor, float], Tensor]:
    """So many captions chosen, those with the smallest numbers."""
    return lambda uniform, probability: uniform.argsort().argsort() < count(probability * len(uniform))


def _first_token(ids: Tensor, empty: Tensor) -> Tensor:
    return torch.cat([empty[:1].expand(len(ids), 1), ids[:, 1:]], dim=1)


def _but_the_first(ids: Tensor, empty: Tensor) -> Tensor:
    return torch.cat([ids[:, :1], empty[1:].expand(len(ids), -1)], dim=1)


def _captions(
    draw: Draw, length: int, batch: int, probability: float, dropped: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor, float]:
    """Captions of which the rows in `dropped` have numbers below the probability; the others' are spread above it, the first of them equal to it."""
    below = torch.zeros(batch, dtype=torch.bool)
    below[list(dropped)] = True
    spread = (torch.arange(batch - len(dropped)) + draw.uniform(1) * (torch.arange(batch - len(dropped)) > 0)) / max(
        1, batch - len(dropped)
    )
    uniform = torch.empty(batch)
    uniform[below] = probability * draw.uniform(len(dropped), high=0.99)
    uniform[~below] = probability + (1 - probability) * spread
    return 3 + draw.integers(50, batch, length), 100 + draw.uniform(length).argsort(), uniform, probability


_OTHERS = "You drop the others: a caption goes where its number is *below* the probability, so that small probabilities drop few."
_COUNTED = "You drop a fixed number of captions in each batch: each is dropped or not by its own number, uniform < probability, so in one batch more, in another fewer."
_SMALLER = "Your result is wrong only where a number *equals* the probability. `uniform` may be 0 but never 1, so with < probability 0 drops nothing, and probability 1 all."

caption_dropout = Check(
    name="caption_dropout",
    signature=("input_ids", "empty_ids", "uniform", "probability"),
    reference=stable_diffusion.caption_dropout,
    holds="whole captions replaced by the empty prompt, each by its own number",
    look='02_stable_diffusion, exercise 1 "Captions that are left out"',
    hint="(uniform < probability)[:, None] is (batch, 1), True where a caption goes; torch.where(that, empty_ids, input_ids) does the rest.",
    cases=(
        Case("6 captions of 5 tokens, probability 0.3", lambda draw: _captions(draw, 5, 6, 0.3, (0, 2, 3))),
        Case("4 captions of 4 tokens, probability 0.1", lambda draw: _captions(draw, 4, 4, 0.1, (1, 3))),
        Case("5 captions of 3 tokens, probability 0", lambda draw: _captions(draw, 3, 5, 0.0, ())),
    ),
    hidden_cases=(
        Case("7 captions of 2 tokens, probability 0.4", lambda draw: _captions(draw, 2, 7, 0.4, (1, 6))),
        Case("3 captions of 6 tokens, probability 1", lambda draw: _captions(draw, 6, 3, 1.0, (0, 1, 2))),
    ),
    mistakes=(
        Mistake(_replaced(lambda uniform, probability: uniform >= probability), _OTHERS),
        Mistake(_replaced(lambda uniform, probability: uniform > probability), _OTHERS),
        Mistake(_replaced(lambda uniform, probability: uniform <= probability), _SMALLER),
        Mistake(
            _replaced(lambda uniform, probability: uniform > 1 - probability),
            "You drop where the number is above 1 - probability. That is as often, but results are compared row by row: uniform < probability.",
        ),
        Mistake(
            lambda ids, empty, uniform, p: torch.where(uniform < p, empty, ids),
            "Your mask (batch,) lies along the *tokens*: where both sizes happen to agree it replaces columns, else it does not fit. A caption is a row: (uniform < probability)[:, None].",
        ),
        Mistake(
            _replaced(lambda uniform, probability: (uniform < probability).any().expand_as(uniform)),
            "Once one caption is dropped you drop all of them: each has its own number.",
        ),
        Mistake(
            _replaced(lambda uniform, probability: (uniform[0] < probability).expand_as(uniform)),
            "The first caption's number decides for all: each has its own.",
        ),
        Mistake(
            _replaced(lambda uniform, probability: uniform < 0.5),
            "The probability has no effect: you drop half of the captions.",
        ),
        Mistake(_replaced(_fixed_number(int)), _COUNTED),
        Mistake(_replaced(_fixed_number(math.ceil)), _COUNTED),
        Mistake(_replaced(_fixed_number(round)), _COUNTED),
        Mistake(
            _replaced(fill=lambda ids, empty: torch.zeros_like(ids)),
            "You put zeros in the place of the caption. 0 is a token like any other: what says nothing is the *empty prompt*, start, end and padding, empty_ids.",
        ),
        Mistake(
            _replaced(fill=lambda ids, empty: empty[:1].expand_as(ids)),
            "You fill the row with the first token of the empty prompt: all of it is needed, in its order.",
        ),
        Mistake(
            _replaced(fill=lambda ids, empty: empty[-1:].expand_as(ids)),
            "You fill the row with the last token of the empty prompt: all of it is needed, in its order.",
        ),
        Mistake(
            _replaced(fill=_first_token),
            "Only the first token is replaced, and the caption can still be read: the whole row is.",
        ),
        Mistake(
            _replaced(fill=_but_the_first),
            "The caption's first token stays: the whole row is replaced.",
        ),
        Mistake(
            _replaced(fill=lambda ids, empty: ids.roll(1, 0)),
            "You give the caption of another picture: that teaches something false. What says nothing is the empty prompt.",
        ),
        Mistake(
            _replaced(fill=lambda ids, empty: empty.flip(0).expand_as(ids)),
            "The empty prompt stands there backwards.",
        ),
        Mistake(
            _replaced(lambda uniform, probability: torch.ones_like(uniform, dtype=torch.bool)),
            "You drop every caption: only those whose number is below the probability.",
        ),
        Mistake(
            _replaced(lambda uniform, probability: torch.zeros_like(uniform, dtype=torch.bool)),
            "No caption is dropped: the network would never learn what pictures look like without one. (Did you change a copy and return the first?)",
        ),
        Mistake(
            lambda ids, empty, uniform, p: ids[uniform >= p],
            "You take the captions out of the batch, and with them their pictures would have to go: the rows stay, with other ids in them.",
        ),
        Mistake(
            lambda ids, empty, uniform, p: uniform < p,
            "This says which captions are dropped: return the ids, with the empty prompt in those rows.",
        ),
        Mistake(
            lambda ids, empty, uniform, p: (torch.where((uniform < p)[:, None], empty, ids), uniform < p),
            "You return the mask as well: only the ids are asked for.",
        ),
        Mistake(
            lambda ids, empty, uniform, p: torch.where((uniform < p)[:, None], empty, ids).float(),
            "Your ids are no whole numbers any more (did you multiply them by a mask of floats?): a table of embeddings takes int64.",
        ),
        Mistake(
            _replaced(lambda uniform, probability: uniform < 0.1),
            "The probability has no effect: you drop a tenth of the captions.",
        ),
        Mistake(
            lambda ids, empty, uniform, p: empty if uniform < p else ids,
            "`if` wants one yes or no, and uniform < probability says one for each caption: torch.where takes them all, or a loop one by one.",
        ),
        Mistake(
            lambda ids, empty, uniform, p: torch.where((uniform < p)[:, None], empty[:, None], ids),
            "empty_ids[:, None] stands upright: where it fits at all, each caption gets one token of it. It is a row already, and torch.where repeats it.",
        ),
        Mistake(
            lambda ids, empty, uniform, p: ids.masked_fill((uniform < p)[:, None], empty),
            "masked_fill puts one number everywhere, and a row of numbers is to be put: torch.where.",
        ),
        Mistake(
            _replaced(fill=lambda ids, empty: torch.cat([empty[:-1].expand(len(ids), -1), ids[:, -1:]], dim=1)),
            "The caption's last token stays: the whole row is replaced.",
        ),
        Mistake(
            _replaced(fill=lambda ids, empty: torch.cat([ids[:, :1], empty[1:-1].expand(len(ids), -1), ids[:, -1:]], dim=1)),
            "The caption's first and last token stay: the whole row is replaced.",
        ),
        Mistake(
            _replaced(fill=lambda ids, empty: ids + empty),
            "You add the empty prompt's ids to the caption's: they stand in its place.",
        ),
    ),
)  # fmt: skip


# --- exercise 2: the guided prediction --------------------------------------------------------------------------------


def _small_network(weight: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The network of the notebook's cell: one layer with the weights (values + 1 + n * width, values)."""

    def network(noisy: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        features = torch.cat([noisy.flatten(1), timesteps[:, None] / 10, context.flatten(1)], dim=1)
        return torch.tanh(features @ weight).view_as(noisy)

    return network


def _joined(join: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[..., Tensor]:
    """The guided answer as a function of that with the text, that without, and the scale."""

    def guidance(weight: Tensor, noisy: Tensor, times: Tensor, context: Tensor, empty: Tensor, scale: float) -> Tensor:
        network = _small_network(weight)
        return join(network(noisy, times, context), network(noisy, times, empty.expand_as(context)), scale)

    return guidance


def _guided(with_text: Tensor, without: Tensor, scale: float) -> Tensor:
    return without + scale * (with_text - without)


def _against(unconditional: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The right formula with another answer in place of that without the text: a function of network, x_t, times, context, empty context."""

    def guidance(weight: Tensor, noisy: Tensor, times: Tensor, context: Tensor, empty: Tensor, scale: float) -> Tensor:
        network = _small_network(weight)
        return _guided(
            network(noisy, times, context),
            unconditional(network, noisy, times, context, empty.expand_as(context)),
            scale,
        )

    return guidance


def _asked_once(
    ask: Callable[..., tuple[Tensor, Tensor, Tensor]],
    parts: Callable[[Tensor], tuple[Tensor, Tensor]] = lambda both: both.chunk(2),
) -> Callable[..., Tensor]:
    """Both questions as one, put otherwise (of x_t, times, context, empty context), or with other parts of the answer."""

    def guidance(weight: Tensor, noisy: Tensor, times: Tensor, context: Tensor, empty: Tensor, scale: float) -> Tensor:
        with_text, without = parts(_small_network(weight)(*ask(noisy, times, context, empty)))
        return _guided(with_text, without, scale)

    return guidance


def _doubled(noisy: Tensor, times: Tensor, context: Tensor, empty: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.cat([noisy, noisy]), torch.cat([times, times]), torch.cat([context, empty.expand_as(context)])


def _in_the_context(
    weight: Tensor, noisy: Tensor, times: Tensor, context: Tensor, empty: Tensor, scale: float
) -> Tensor:
    return _small_network(weight)(noisy, times, empty + scale * (context - empty))


def _context_for_times(
    weight: Tensor, noisy: Tensor, times: Tensor, context: Tensor, empty: Tensor, scale: float
) -> Tensor:
    network = _small_network(weight)
    return _guided(network(noisy, context, times), network(noisy, empty.expand_as(context), times), scale)


def _from_latents(weight: Tensor, noisy: Tensor, times: Tensor, context: Tensor, empty: Tensor, scale: float) -> Tensor:
    network = _small_network(weight)
    return noisy + scale * (network(noisy, times, context) - network(noisy, times, empty.expand_as(context)))


def _rescaled(with_text: Tensor, without: Tensor, scale: float) -> Tensor:
    answer, axes = _guided(with_text, without, scale), tuple(range(1, with_text.ndim))
    return answer * with_text.std(axes, keepdim=True) / answer.std(axes, keepdim=True)


def _question(draw: Draw, scale: float, length: int, width: int, *shape: int) -> tuple:
    """Latents of a shape (batch, ...), times, contexts (batch, length, width), that of the empty prompt, and a network that minds all of them."""
    values = math.prod(shape[1:])
    features = values + 1 + length * width
    weight = 1.5 * draw.normal(features, values) / features**0.5
    context, empty = draw.normal(shape[0], length, width), draw.normal(1, length, width)
    return weight, draw.normal(*shape), 1 + draw.integers(9, shape[0]), context, empty, scale


prediction_of_a_network = Check(
    name="prediction_of_a_network",
    signature=("weight", "noisy", "timesteps", "context", "empty_context", "guidance_scale"),
    reference=_joined(_guided),
    holds="from the answer without the text towards the one with it, and on beyond it, each picture with its own text",
    look='02_stable_diffusion, exercise 2 "The guided prediction": your guided_prediction, which prediction_of_a_network calls',
    hint="Double everything with torch.cat, the context as torch.cat([context, empty_context.expand_as(context)]); with_text, without = network(...).chunk(2); without + guidance_scale * (with_text - without).",
    cases=(
        Case("3 latents of 2x2x2, 3 tokens, scale 3", lambda draw: _question(draw, 3.0, 3, 4, 3, 2, 2, 2)),
        Case("2 latents of 3x2x3, 4 tokens, scale 7.5", lambda draw: _question(draw, 7.5, 4, 2, 2, 3, 2, 3)),
        Case("4 latents of 1x3x3, 2 tokens, scale 0", lambda draw: _question(draw, 0.0, 2, 3, 4, 1, 3, 3), alone="Your result is wrong only with guidance_scale 0: that is the answer *without* the text (1 is that with it)."),
    ),
    hidden_cases=(
        Case("5 latents of 2x1x3, 3 tokens, scale 1.5", lambda draw: _question(draw, 1.5, 3, 3, 5, 2, 1, 3)),
        Case("3 latents of 4x2x2, 5 tokens, scale 1", lambda draw: _question(draw, 1.0, 5, 2, 3, 4, 2, 2)),
    ),
    mistakes=(
        Mistake(
            _joined(lambda with_text, without, scale: with_text + scale * (without - with_text)),
            "The two answers are swapped: yours leads *away* from the text. Start at the answer without it, and go guidance_scale times the way to the answer with it. (Which half of the batch is which?)",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: with_text + scale * (with_text - without)),
            "You start at the answer *with* the text: then 0 is the network as it is. Here scale 1 must be that, and 0 must ignore the text: start at the answer without it.",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: without + (scale - 1) * (with_text - without)),
            "Your scale is 1 too small: from the answer without the text it is guidance_scale times the difference.",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: scale * (with_text - without)),
            "You return the difference alone: add it to the answer without the text.",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: without + scale * with_text),
            "You add the whole answer with the text. It is the *difference* of the two that is scaled: what both agree on must be there once.",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: scale * with_text),
            "You scale the answer with the text and never use the other, or it cancels: that asks for more of everything, not for more of the text.",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: with_text),
            "guidance_scale has no effect: this is the answer with the text, right for scale 1 only. (Or did both questions get the same context?)",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: without),
            "guidance_scale has no effect: this is the answer without the text, right for scale 0 only.",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: (with_text + scale * without) / (1 + scale)),
            "You take a weighted mean of the two. Guidance goes *beyond* the answer with the text: without + guidance_scale * (with_text - without).",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: (without + scale * with_text) / (1 + scale)),
            "You take a mean of the two, weighted by 1 and guidance_scale. Guidance goes *beyond* the answer with the text: without + guidance_scale * (with_text - without).",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: without - scale * (with_text - without)),
            "The sign is wrong: yours leads *away* from the text. The difference with_text - without is added.",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: without + min(scale, 1.0) * (with_text - without)),
            "You keep the scale below 1: then it is a mean of both answers. Guidance goes beyond the answer with the text.",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: (without + scale * (with_text - without)).clamp(-1, 1)),
            "You clamp the answer to [-1, 1]: it is no picture, and guidance leads beyond.",
        ),
        Mistake(
            _joined(_rescaled),
            "You bring the answer back to its old standard deviation. That is a remedy for glaring colours at large scales, but it is not asked for here.",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: (with_text, without)),
            "You return both answers: join them to one.",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: torch.cat([with_text, without])),
            "You return twice as many answers as there are latents: cut the doubled batch in two with chunk(2), and join both halves to one.",
        ),
        Mistake(
            _in_the_context,
            "You exaggerate the *context* and ask the network once. It has never seen such texts: exaggerate its answers, without + guidance_scale * (with_text - without).",
        ),
        Mistake(
            _against(lambda network, noisy, times, context, empty: network(noisy, times, torch.zeros_like(context))),
            "You take zeros for \"no text\". The network was trained with the context of the *empty prompt*, whose tokens have vectors like any other: empty_context.",
        ),
        Mistake(
            _against(lambda network, noisy, times, context, empty: network(noisy, times, context.mean(0, keepdim=True).expand_as(context))),
            "You take the mean of the contexts for \"no text\": that is some mixture of all texts. It is empty_context.",
        ),
        Mistake(
            _against(lambda network, noisy, times, context, empty: network(noisy, times, context.roll(1, 0))),
            "You compare with the answer for *another* picture's text: guidance goes away from the answer for the empty one.",
        ),
        Mistake(
            _against(lambda network, noisy, times, context, empty: network(noisy, torch.zeros_like(times), empty)),
            "Without the text you ask about another time: both questions are about the same latents at the same time, and differ in the context only.",
        ),
        Mistake(
            _against(lambda network, noisy, times, context, empty: network(torch.zeros_like(noisy), times, empty)),
            "Without the text you show the network no latents: both questions are about the same latents, and differ in the context only.",
        ),
        Mistake(
            _against(lambda network, noisy, times, context, empty: network(noisy, times, empty[:1])),
            "The network was asked with different numbers of latents, times and contexts. empty_context has one row, and each of the latents needs its own, empty_context.expand_as(context); and where you ask both questions at once, all three are doubled along dim 0. (The line below is the network's, where it shows.)",
        ),
        Mistake(
            _asked_once(lambda noisy, times, context, empty: (noisy, times, torch.cat([context, empty.expand_as(context)], 1))),
            "You joined the two contexts along the tokens: the network would look at both texts at once. They are two questions, two rows of the batch: dim=0.",
        ),
        Mistake(
            _asked_once(lambda noisy, times, context, empty: (noisy.repeat_interleave(2, 0), times.repeat_interleave(2), torch.cat([context, empty.expand_as(context)]))),
            "repeat_interleave(2) puts each of the latents beside its double, torch.cat all contexts before all empty ones: the questions are mixed up. Double all three with torch.cat.",
        ),
        Mistake(
            _asked_once(_doubled, lambda both: (both[::2], both[1::2])),
            "You take every other answer for that with the text. What torch.cat has put one after the other comes back so: the first half with texts, the second without. Use chunk(2).",
        ),
        Mistake(
            _context_for_times,
            "Times and context are swapped: it is network(noisy, timesteps, context).",
        ),
        Mistake(
            _asked_once(lambda noisy, times, context, empty: (torch.cat([noisy, noisy]), times.repeat_interleave(2), torch.cat([context, empty.expand_as(context)]))),
            "repeat_interleave(2) puts each of the times beside its double, and latents and contexts stand one after the other: the questions are mixed up. Double all three with torch.cat.",
        ),
        Mistake(
            _asked_once(lambda noisy, times, context, empty: (torch.cat([noisy, noisy]), times[:1].expand(2 * len(times)), torch.cat([context, empty.expand_as(context)]))),
            "You ask about the first picture's time for all: each has its own.",
        ),
        Mistake(
            _asked_once(_doubled, lambda both: (both[0], both[1])),
            "You take the first two answers of the doubled batch: [0] and [1] are two *pictures*. The halves are .chunk(2).",
        ),
        Mistake(
            _asked_once(_doubled, lambda both: both.chunk(2, 1)),
            "You cut along the channels: the two answers lie one after the other along the batch, dim 0.",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: without + 7.5 * (with_text - without)),
            "guidance_scale has no effect: you always take 7.5.",
        ),
        Mistake(
            _joined(lambda with_text, without, scale: scale * with_text + without - with_text),
            "You scale the answer with the text alone (are brackets missing?): it is the whole difference that is scaled, guidance_scale * (with_text - without).",
        ),
        Mistake(
            _from_latents,
            "You start at the latents: the difference is added to the answer without the text.",
        ),
    ),
)  # fmt: skip


# --- exercise 3: negative prompts -------------------------------------------------------------------------------------


def _with_negative(
    unconditional: Tensor, positive: Tensor, negative: Tensor, guidance_scale: float, negative_scale: float
) -> Tensor:
    towards = guidance_scale * (positive - unconditional)
    return unconditional + towards - negative_scale * (negative - unconditional)


def _answers(draw: Draw, scale: float, negative_scale: float, *shape: int) -> tuple:
    return draw.normal(*shape), draw.normal(*shape), draw.normal(*shape), scale, negative_scale


with_negative = Check(
    name="with_negative",
    signature=("unconditional", "positive", "negative", "guidance_scale", "negative_scale"),
    reference=_with_negative,
    holds="towards what the prompt adds, away from what the negative prompt adds, each by its own scale",
    look='02_stable_diffusion, exercise 3 "Negative prompts"',
    hint="What a prompt adds is its answer minus the unconditional one: unconditional + guidance_scale * (positive - unconditional) - negative_scale * (negative - unconditional).",
    cases=(
        Case("3 answers of 2x2x2, scales 4 and 1.5", lambda draw: _answers(draw, 4.0, 1.5, 3, 2, 2, 2)),
        Case("2 answers of 4x3x3, scales 7.5 and 6.5", lambda draw: _answers(draw, 7.5, 6.5, 2, 4, 3, 3)),
        Case("4 answers of 1x2x3, scales 2 and 0", lambda draw: _answers(draw, 2.0, 0.0, 4, 1, 2, 3)),
    ),
    hidden_cases=(
        Case("2 answers of 3x2x2, scales 0 and 2.5", lambda draw: _answers(draw, 0.0, 2.5, 2, 3, 2, 2)),
        Case("5 answers of 2x3x1, scales 3 and 0.5", lambda draw: _answers(draw, 3.0, 0.5, 5, 2, 3, 1)),
    ),
    mistakes=(
        Mistake(
            lambda u, p, n, s, m: u + s * (p - u) + m * (n - u),
            "The negative prompt is *added*: that draws both. Away from it means minus negative_scale times what it adds.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + s * (p - u) - m * n,
            "You subtract the whole answer for the negative prompt. What shall go is only what it *adds* to the unconditional one, negative - unconditional: what all three agree on must stay.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + s * p - m * n,
            "You scale whole answers. It is what a prompt *adds* that is scaled: positive - unconditional, and negative - unconditional.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + s * (p - n),
            "guidance_scale stands at both, so that yours goes from the negative prompt to the prompt. Each has its own scale: what the prompt adds times guidance_scale, minus what the negative one adds times negative_scale.",
        ),
        Mistake(
            lambda u, p, n, s, m: n + s * (p - n),
            "The negative prompt stands in the place of the empty one. That is right where negative_scale is guidance_scale - 1, as you will see after this exercise; here the scale is free.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + s * (p - u),
            "The negative prompt has no effect: subtract negative_scale times what it adds.",
        ),
        Mistake(
            lambda u, p, n, s, m: u - m * (n - u),
            "The prompt has no effect: add guidance_scale times what it adds.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + m * (p - u) - s * (n - u),
            "The two scales are swapped: guidance_scale belongs to the prompt, negative_scale to the negative one.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + s * (n - u) - m * (p - u),
            "The two prompts are swapped: yours draws what was not wanted.",
        ),
        Mistake(
            lambda u, p, n, s, m: s * (p - u) - m * (n - u),
            "You return the change alone: add it to the unconditional answer.",
        ),
        Mistake(
            lambda u, p, n, s, m: p + s * (p - u) - m * (n - u),
            "You start at the answer for the prompt: then guidance_scale 0 would not ignore it. Start at the unconditional one.",
        ),
        Mistake(
            lambda u, p, n, s, m: n + s * (p - u) - m * (n - u),
            "You start at the answer for the negative prompt: start at the unconditional one.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + (s - m) * (p - u),
            "You make the step towards the prompt shorter. The negative prompt has a direction of its own, negative - unconditional.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + s * (p - u) - m * (n - p),
            "What is subtracted is the negative prompt seen from the prompt: it is seen from the unconditional answer, negative - unconditional.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + s * (p - m * n - u),
            "negative_scale stands inside the brackets of the other: guidance_scale multiplies it too, and the unconditional answer is taken off once instead of twice.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + s * ((p - u) - m * (n - u)),
            "negative_scale stands inside the brackets of guidance_scale, so that both scales multiply the negative prompt: it has only its own.",
        ),
        Mistake(
            lambda u, p, n, s, m: (u + s * p - m * n) / (1 + s - m),
            "You take a weighted mean: guidance goes beyond, unconditional + guidance_scale * (positive - unconditional) - negative_scale * (negative - unconditional).",
        ),
        Mistake(
            lambda u, p, n, s, m: u + (s - 1) * (p - u) - m * (n - u),
            "guidance_scale is 1 too small: from the unconditional answer it is guidance_scale times what the prompt adds.",
        ),
        Mistake(
            lambda u, p, n, s, m: (u + s * (p - u) - m * (n - u)).clamp(-1, 1),
            "You clamp the answer to [-1, 1]: it is no picture, and guidance leads beyond.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + s * (p - u) - m * n - u,
            "Brackets are missing: negative_scale multiplies only the negative answer, and the unconditional one is taken off whole. It is negative_scale * (negative - unconditional).",
        ),
        Mistake(
            lambda u, p, n, s, m: u + s * p - m * (n - u),
            "You add the whole answer for the prompt: it is only what it *adds* that is scaled, positive - unconditional.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + s * (p - n) - m * (n - u),
            "What is added is the prompt seen from the negative one: it is seen from the unconditional answer, positive - unconditional.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + s * (u - p) - m * (u - n),
            "Both differences are turned: yours leads away from the prompt, and towards the negative one.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + s * (p - u) - (n - u),
            "negative_scale has no effect: it multiplies what the negative prompt adds.",
        ),
        Mistake(
            lambda u, p, n, s, m: u + (p - u) - m * (n - u),
            "guidance_scale has no effect: it multiplies what the prompt adds.",
        ),
        Mistake(
            lambda u, p, n, s, m: (1 - s - m) * u + s * p - m * n,
            "The unconditional answer's factor has a wrong sign: it stands there once, -s times, and +m times, together 1 - guidance_scale + negative_scale.",
        ),
        Mistake(
            lambda u, p, n, s, m: (1 + m) * (u + s * (p - u)) - m * n,
            "You go away from the negative prompt as seen from the answer that is guided already: both differences are seen from the unconditional one.",
        ),
    ),
)  # fmt: skip


# --- exercise 4: image to image ---------------------------------------------------------------------------------------


Rates = Callable[[Tensor], tuple[Tensor, Tensor]]


def _count(strength: float, steps: int) -> int:
    return int(strength * steps)


def _rates(rate: Tensor) -> tuple[Tensor, Tensor]:
    return rate.sqrt(), (1 - rate).sqrt()


def _from(
    count: Callable[[float, int], int] = _count,
    rates: Rates = _rates,
    noised_at: Callable[[Tensor, int], Tensor] = lambda timesteps, start: timesteps[start],
    left: Callable[[Tensor, int], Tensor] = lambda timesteps, start: timesteps[start:],
    give: Callable[[Tensor, Tensor], object] = lambda noisy, rest: (noisy, rest),
) -> Callable[..., object]:
    """A start in which a part is another one: how many steps are taken, the factors of latents and noise, the time at which they are mixed, the times
    that are left (both of all times and where the rest begins), or what is returned.
    """

    def image_to_image_start(
        latents: Tensor, noise: Tensor, timesteps: Tensor, table: Tensor, strength: float
    ) -> object:
        start = len(timesteps) - count(strength, len(timesteps))
        signal, rate = rates(table[noised_at(timesteps, start)])
        return give(signal * latents + rate * noise, left(timesteps, start))

    return image_to_image_start


def _mixed(join: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    """A start with another mixture, a function of latents, noise and strength."""

    def image_to_image_start(
        latents: Tensor, noise: Tensor, timesteps: Tensor, table: Tensor, strength: float
    ) -> tuple[Tensor, Tensor]:
        return join(latents, noise, strength), timesteps[len(timesteps) - _count(strength, len(timesteps)) :]

    return image_to_image_start


def _by_place(
    latents: Tensor, noise: Tensor, timesteps: Tensor, table: Tensor, strength: float
) -> tuple[Tensor, Tensor]:
    start = len(timesteps) - _count(strength, len(timesteps))
    signal, rate = _rates(table[start])
    return signal * latents + rate * noise, timesteps[start:]


def _by_table(
    latents: Tensor, noise: Tensor, timesteps: Tensor, table: Tensor, strength: float
) -> tuple[Tensor, Tensor]:
    signal, rate = _rates(table[int(strength * len(table)) - 1])
    return signal * latents + rate * noise, timesteps[len(timesteps) - _count(strength, len(timesteps)) :]


def _twice(latents: Tensor, noise: Tensor, timesteps: Tensor, table: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    return _from()(latents, noise, timesteps, table.cumprod(0), strength)


def _skipped(
    latents: Tensor, noise: Tensor, timesteps: Tensor, table: Tensor, strength: float
) -> tuple[Tensor, Tensor]:
    left = timesteps[_count(strength, len(timesteps)) :]
    signal, rate = _rates(table[left[0]])
    return signal * latents + rate * noise, left


def _below(latents: Tensor, noise: Tensor, timesteps: Tensor, table: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    left = timesteps[timesteps < strength * len(table)]
    signal, rate = _rates(table[left[0]])
    return signal * latents + rate * noise, left


def _uncut(latents: Tensor, noise: Tensor, timesteps: Tensor, table: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    left = timesteps[-strength * len(timesteps) :]  # a float, which slices nothing
    return latents, left


def _pure_at_one(
    latents: Tensor, noise: Tensor, timesteps: Tensor, table: Tensor, strength: float
) -> tuple[Tensor, Tensor]:
    return (noise, timesteps) if strength == 1 else _from()(latents, noise, timesteps, table, strength)


def _path(draw: Draw, steps: int, strength: float, *shape: int) -> tuple:
    """A picture's latents, and falling times (steps,) in the later three quarters of a table four times as long."""
    timesteps = steps + 3 * torch.arange(steps - 1, -1, -1) + 1 + draw.integers(2, steps)
    return draw.normal(*shape), draw.normal(*shape), timesteps, draw_table(draw, 4 * steps + 1), strength


_ROUNDED = "You take one step too many where strength * steps is no whole number: the number of steps *taken* is rounded down, int(strength * steps). (Whoever rounds down the number of steps *skipped* takes one more.)"

image_to_image_start = Check(
    name="image_to_image_start",
    signature=("latents", "noise", "timesteps", "alphas_cumprod", "strength"),
    reference=_from(),
    holds="the last int(strength * steps) of the times, and the latents as noisy as the first of these",
    look='02_stable_diffusion, exercise 4 "From a picture to a picture"',
    hint="left = timesteps[len(timesteps) - int(strength * len(timesteps)):]; a = alphas_cumprod[left[0]]; return a.sqrt() * latents + (1 - a).sqrt() * noise, left.",
    cases=(
        Case("2 latents, 10 steps, strength 0.75", lambda draw: _path(draw, 10, 0.75, 2, 4, 2, 2)),
        Case("3 latents, 7 steps, strength 0.35", lambda draw: _path(draw, 7, 0.35, 3, 2, 3, 2)),
        Case("2 latents, 8 steps, strength 0.5", lambda draw: _path(draw, 8, 0.5, 2, 1, 4, 2)),
        Case("1 picture's latents, 5 steps, strength 1", lambda draw: _path(draw, 5, 1.0, 1, 3, 2, 2), alone="Your result is wrong only with strength 1. All steps are taken then, and the latents are noised for the first of all, as with any strength."),
    ),
    hidden_cases=(
        Case("4 latents, 12 steps, strength 0.3", lambda draw: _path(draw, 12, 0.3, 4, 1, 3, 3)),
        Case("2 latents, 9 steps, strength 0.3", lambda draw: _path(draw, 9, 0.3, 2, 2, 2, 3)),
    ),
    mistakes=(
        Mistake(
            _from(count=lambda strength, steps: int((1 - strength) * steps) or 1),
            "Strength is turned: it is the share of the steps that is *taken*. 1 takes all of them, and hardly anything of the picture is left.",
        ),
        Mistake(_from(count=lambda strength, steps: math.ceil(strength * steps)), _ROUNDED),
        Mistake(
            _from(count=lambda strength, steps: round(strength * steps)),
            "You round strength * steps to the nearest whole number: it is rounded down, int(strength * steps).",
        ),
        Mistake(
            _from(count=lambda strength, steps: min(int(strength * steps) + 1, steps)),
            "You take one step too many: int(strength * steps) of them.",
        ),
        Mistake(
            _from(count=lambda strength, steps: max(int(strength * steps) - 1, 1)),
            "You take one step too few: int(strength * steps) of them.",
        ),
        Mistake(
            _from(noised_at=lambda timesteps, start: timesteps[0], left=lambda timesteps, start: timesteps[: len(timesteps) - start]),
            "You take the *first* steps, those with the most noise, and stop half way. It begins half way, with a picture that is noised only so far, and goes on to the end: the last steps.",
        ),
        Mistake(
            _from(noised_at=lambda timesteps, start: timesteps[0]),
            "The latents are noised for the first of *all* times: that hides nearly all of the picture, and the first step left expects less noise. It is the first of those that are left.",
        ),
        Mistake(
            _from(noised_at=lambda timesteps, start: timesteps[-1]),
            "The latents are noised for the last time, with hardly any noise: the first step left expects more. It is the first of those that are left.",
        ),
        Mistake(
            _from(noised_at=lambda timesteps, start: timesteps[max(start - 1, 0)]),
            "The latents are noised for the time *before* the first that is left (unless all are): they would be noisier than the network is told.",
        ),
        Mistake(
            _from(noised_at=lambda timesteps, start: timesteps[min(start + 1, len(timesteps) - 1)]),
            "The latents are noised for the time *after* the first that is left: they would be less noisy than the network is told.",
        ),
        Mistake(
            _from(left=lambda timesteps, start: timesteps[start + 1 :]),
            "The time for which you noised is not among those that are left: the first step begins there.",
        ),
        Mistake(
            _from(left=lambda timesteps, start: timesteps),
            "You return all times: the walk begins where the latents are, with the times that are left.",
        ),
        Mistake(
            _from(left=lambda timesteps, start: timesteps[start:].flip(0)),
            "The times rise: a sampler goes down, from much noise to little. Leave them in their order.",
        ),
        Mistake(
            _by_place,
            "You look in alphas_cumprod at the *place* of the step (the 3rd, the 4th) and not at its time: alphas_cumprod[timesteps[start]].",
        ),
        Mistake(
            _by_table,
            "You noise for time strength * T. The sampler visits only some of the T times: take the first of those that are left.",
        ),
        Mistake(
            _from(rates=lambda rate: ((1 - rate).sqrt(), rate.sqrt())),
            "The factors of latents and noise are swapped: sqrt(a) belongs to the latents.",
        ),
        Mistake(
            _from(rates=lambda rate: (rate, 1 - rate)),
            "The roots are missing: sqrt(a) * latents + sqrt(1 - a) * noise.",
        ),
        Mistake(
            _from(rates=lambda rate: (rate.sqrt(), 1 - rate)),
            "The noise lacks its root: its factor is sqrt(1 - a).",
        ),
        Mistake(
            _from(rates=lambda rate: (torch.ones_like(rate), (1 - rate).sqrt())),
            "The latents are not faded: their factor is sqrt(a), or latents and noise together are wider than the network has seen.",
        ),
        Mistake(
            _from(rates=lambda rate: (rate.sqrt(), torch.zeros_like(rate))),
            "The latents are faded but not noisy: sqrt(1 - a) * noise is missing.",
        ),
        Mistake(
            _from(rates=lambda rate: (rate.sqrt(), torch.ones_like(rate))),
            "The noise has its full size: its factor is sqrt(1 - a).",
        ),
        Mistake(
            _from(rates=lambda rate: (rate.sqrt(), -(1 - rate).sqrt())),
            "The noise is subtracted. As a distribution that is the same, but results are compared number by number: add it.",
        ),
        Mistake(
            _mixed(lambda latents, noise, strength: latents),
            "The latents come in clean, and the network is told that they are noisy: it takes much of the picture for noise. Noise them for the first time that is left.",
        ),
        Mistake(
            _mixed(lambda latents, noise, strength: noise),
            "You start from pure noise: nothing of the picture would be left.",
        ),
        Mistake(
            _mixed(lambda latents, noise, strength: (1 - strength) * latents + strength * noise),
            "You mix by the strength. How much noise belongs to a time is written in alphas_cumprod, at the first time that is left.",
        ),
        Mistake(
            _mixed(lambda latents, noise, strength: (1 - strength) ** 0.5 * latents + strength**0.5 * noise),
            "You mix by the roots of the strength. How much noise belongs to a time is written in alphas_cumprod, at the first time that is left.",
        ),
        Mistake(
            _from(give=lambda noisy, rest: (rest, noisy)),
            "The two are swapped: first the latents, then the times.",
        ),
        Mistake(
            _from(give=lambda noisy, rest: noisy),
            "You return the latents alone: the sampler also needs the times that are left.",
        ),
        Mistake(
            _from(give=lambda noisy, rest: rest),
            "You return the times alone: the latents come first.",
        ),
        Mistake(
            _from(give=lambda noisy, rest: (noisy, rest.tolist())),
            "The times are a list: leave them a tensor, a piece of `timesteps`.",
        ),
        Mistake(
            _from(give=lambda noisy, rest: (noisy, len(rest))),
            "You return how many steps are left: the sampler needs to know which.",
        ),
        Mistake(
            _twice,
            "You took the running product once more: alphas_cumprod is already the product of all alphas up to t.",
        ),
        Mistake(
            _from(noised_at=lambda timesteps, start: timesteps[len(timesteps) - start - 1], left=lambda timesteps, start: timesteps[: len(timesteps) - start]),
            "You take the *first* steps, and noise for the last of them. It begins half way and goes on to the end: the last steps, and the noise of the first of these.",
        ),
        Mistake(
            _skipped,
            "Your `left` skips int(strength * steps) times: it is how many are *taken*, the last ones. (With strength 1 none is left.)",
        ),
        Mistake(
            _below,
            "You keep the times below strength * T. The strength is a share of the *steps*: count them, int(strength * len(timesteps)).",
        ),
        Mistake(
            _from(count=lambda strength, steps: steps),
            "You take all steps, whatever the strength. (Did you multiply it by the length of alphas_cumprod? It is a share of the `timesteps`.)",
        ),
        Mistake(
            _uncut,
            "How many steps are taken must be a whole number: int(strength * len(timesteps)).",
        ),
        Mistake(
            _from(noised_at=lambda timesteps, start: timesteps[start] - 1),
            "You look one entry too early in alphas_cumprod: time t has its entry at t.",
        ),
        Mistake(
            _from(rates=lambda rate: (rate.sqrt(), 1 - rate.sqrt())),
            "The noise's factor is sqrt(1 - a), the root of the difference, not 1 - sqrt(a).",
        ),
        Mistake(
            _from(rates=lambda rate: (rate.sqrt(), (1 - rate.sqrt()).sqrt())),
            "One root too many: the noise's factor is sqrt(1 - a), not sqrt(1 - sqrt(a)).",
        ),
        Mistake(
            _mixed(lambda latents, noise, strength: latents + noise),
            "You add latents and noise as they are: their factors are sqrt(a) and sqrt(1 - a), from alphas_cumprod at the first time that is left.",
        ),
        Mistake(
            _mixed(lambda latents, noise, strength: latents + strength * noise),
            "You scale the noise by the strength. How much noise belongs to a time is written in alphas_cumprod, at the first time that is left.",
        ),
        Mistake(
            _pure_at_one,
            "With strength 1 you return pure noise. The first of all times is one like any other: a is small there, but not 0.",
        ),
        Mistake(
            _from(give=lambda noisy, rest: (noisy, rest[0])),
            "Of the times you return only the first: the sampler needs all that are left.",
        ),
        Mistake(
            _from(give=lambda noisy, rest: (noisy, rest.float())),
            "The times are no whole numbers any more: leave them a piece of `timesteps`.",
        ),
    ),
)  # fmt: skip


# --- exercise 5: inpainting -------------------------------------------------------------------------------------------


def _rate(table: Tensor, timestep: int) -> Tensor:
    """alphas_cumprod at a timestep; 1 at -1, the clean picture."""
    return table[timestep] if timestep >= 0 else torch.ones_like(table[0])


def _any(mask: Tensor, size: torch.Size) -> Tensor:
    return F.adaptive_max_pool2d(mask, size)


def _step(
    grid: Callable[[Tensor, torch.Size], Tensor] = _any,
    known_part: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda known, noise, rate: rate.sqrt() * known + (1 - rate).sqrt() * noise,
    join: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda mask, known, noisy: mask * noisy + (1 - mask) * known,
    level: Callable[[Tensor, int], Tensor] = _rate,
) -> Callable[..., Tensor]:  # fmt: skip
    """A step in which a part is another one: how the mask comes to the grid's size, the known part (of latents, noise, rate), the joint of both (of the
    grid's mask, the known part and `noisy`), or how alphas_cumprod is read.
    """

    def inpainting_step(
        noisy: Tensor, known: Tensor, mask: Tensor, noise: Tensor, timestep: int, table: Tensor
    ) -> Tensor:
        return join(grid(mask, noisy.shape[2:]), known_part(known, noise, level(table, timestep)), noisy)

    return inpainting_step


def _whole_noised(noisy: Tensor, known: Tensor, mask: Tensor, noise: Tensor, timestep: int, table: Tensor) -> Tensor:
    grid, rate = _any(mask, noisy.shape[2:]), _rate(table, timestep)
    return rate.sqrt() * (grid * noisy + (1 - grid) * known) + (1 - rate).sqrt() * noise


def _noise_of_x(noisy: Tensor, known: Tensor, mask: Tensor, noise: Tensor, timestep: int, table: Tensor) -> Tensor:
    return _step()(noisy, known, mask, noisy, timestep, table)


def _known_there(noisy: Tensor, known: Tensor, mask: Tensor, noise: Tensor, timestep: int, table: Tensor) -> Tensor:
    return _step()(known, known, mask, noise, timestep, table)


def _noise_everywhere(
    noisy: Tensor, known: Tensor, mask: Tensor, noise: Tensor, timestep: int, table: Tensor
) -> Tensor:
    grid, rate = _any(mask, noisy.shape[2:]), _rate(table, timestep)
    return grid * noisy + (1 - grid) * rate.sqrt() * known + (1 - rate).sqrt() * noise


def _indexed(noisy: Tensor, known: Tensor, mask: Tensor, noise: Tensor, timestep: int, table: Tensor) -> Tensor:
    grid, rate = _any(mask, noisy.shape[2:]), _rate(table, timestep)
    out = rate.sqrt() * known + (1 - rate).sqrt() * noise
    out[grid > 0] = noisy[grid > 0]
    return out


def _painted(draw: Draw, steps: int, timestep: int, factor: int, batch: int, channels: int, h: int, w: int) -> tuple:
    """Latents of h x w places and a mask of pixels, `factor` times as many a side. Of the places some are wholly to be painted, some not at all; in some
    all but one pixel is, in some only one, the first or the last. Of several pictures the last is wholly known.
    """
    kind = torch.stack([draw.uniform(h * w).argsort() % 5 for _ in range(batch)])  # (batch, h * w)
    kind[1:][-1:] = 4
    pixels = torch.zeros(5, factor, factor)
    pixels[0] = 1
    pixels[1] = 1
    pixels[1, 0, 0] = 0
    pixels[2, 0, 0] = 1
    pixels[3, -1, -1] = 1
    mask = pixels[kind].view(batch, 1, h, w, factor, factor)  # (batch, h * w, factor, factor) -> the grid's shape
    mask = mask.permute(0, 1, 2, 4, 3, 5).flatten(4, 5).flatten(2, 3)  # -> (batch, 1, h * factor, w * factor)
    shape = (batch, channels, h, w)
    return draw.normal(*shape), draw.normal(*shape), mask, draw.normal(*shape), timestep, draw_table(draw, steps)


_CLEAN = (
    "Your result is wrong only at the clean picture, timestep -1. There a is 1: the known part is the latents themselves, without noise, "
    "and the rest stays what the step has drawn, as at every level."
)
_LEAST = "Your result is wrong only at timestep 0. That is the least noisy level, with an entry of its own like any other; only -1 is the clean picture."
_PICKED = "You look at one pixel of each place of the grid: what else of the place is to be painted is overlooked. A place is painted if *any* of its pixels is, F.adaptive_max_pool2d(mask, size)."

_FACTOR = "The factor 4 is that of this course's autoencoder: the mask comes to the grid's size, whatever the factor, F.adaptive_max_pool2d(mask, noisy.shape[2:])."

inpainting_step = Check(
    name="inpainting_step",
    signature=("noisy", "known", "mask", "noise", "timestep", "alphas_cumprod"),
    reference=_step(),
    holds="every place with a pixel to paint as the step has drawn it, the others as noisy as the level, and known exactly at the end",
    look='02_stable_diffusion, exercise 5 "Inpainting"',
    hint="grid = F.adaptive_max_pool2d(mask, noisy.shape[2:]); put = sqrt(a) * known + sqrt(1 - a) * noise, with a = 1 at timestep -1; return grid * noisy + (1 - grid) * put.",
    cases=(
        Case("2 latents of 4x4, pixels 4 times as fine, step 3", lambda draw: _painted(draw, 7, 3, 4, 2, 3, 4, 4)),
        Case("3 latents of 3x4, pixels 2 times as fine, step 1", lambda draw: _painted(draw, 6, 1, 2, 3, 2, 3, 4)),
        Case("2 latents of 3x3, step 0", lambda draw: _painted(draw, 6, 0, 3, 2, 1, 3, 3), alone=_LEAST),
        Case("1 picture's latents of 4x3, the clean picture", lambda draw: _painted(draw, 5, -1, 2, 1, 4, 4, 3), alone=_CLEAN),
    ),
    hidden_cases=(
        Case("4 latents of 5x3, the noisiest step", lambda draw: _painted(draw, 8, 7, 4, 4, 1, 5, 3)),
        Case("3 latents of 4x3, step 0", lambda draw: _painted(draw, 7, 0, 2, 3, 2, 4, 3), alone=_LEAST),
        Case("2 latents of 3x5, the clean picture", lambda draw: _painted(draw, 6, -1, 3, 2, 2, 3, 5), alone=_CLEAN),
    ),
    mistakes=(
        Mistake(
            _step(join=lambda mask, known, noisy: (1 - mask) * noisy + mask * known),
            "The mask is turned: it is 1 where the picture is to be *made anew*. Yours keeps what was to go, and paints over what was to be kept.",
        ),
        Mistake(
            _step(grid=lambda mask, size: mask),
            "The mask has a number for each pixel, the latents one for each place of a coarser grid: bring it to the grid's size, noisy.shape[2:], first.",
        ),
        Mistake(_step(grid=lambda mask, size: F.interpolate(mask, size, mode="nearest")), _PICKED),
        Mistake(_step(grid=lambda mask, size: F.interpolate(mask, size, mode="nearest-exact")), _PICKED),
        Mistake(
            _step(grid=lambda mask, size: F.interpolate(mask, size, mode="bilinear")),
            "Bilinear interpolation looks at the four pixels around one point, and gives shares. A place is painted if *any* of its pixels is, F.adaptive_max_pool2d(mask, size).",
        ),
        Mistake(
            _step(grid=lambda mask, size: F.adaptive_avg_pool2d(mask, size)),
            "You take the mean of the mask over each place: a place with one pixel to paint would be a mixture, noisy in a way that belongs to no level. It is painted if *any* of its pixels is.",
        ),
        Mistake(
            _step(grid=lambda mask, size: (F.adaptive_avg_pool2d(mask, size) > 0.5).to(mask.dtype)),
            "You paint a place if most of its pixels are to be painted. One is enough: its latents hold what was to go.",
        ),
        Mistake(
            _step(grid=lambda mask, size: -F.adaptive_max_pool2d(-mask, size)),
            "You paint a place only if *all* of its pixels are to be painted. One is enough: its latents hold what was to go. (Is it 1 - mask whose largest value you took?)",
        ),
        Mistake(
            _step(grid=lambda mask, size: mask[..., : size[0], : size[1]]),
            "You cut out a corner of the mask: all of it is to be brought to the grid's size.",
        ),
        Mistake(
            _step(known_part=lambda known, noise, rate: known),
            "The known part comes in clean, beside a rest that is noisy: the network takes it for something faint. Noise it to the level first. (At timestep -1 that leaves it as it is.)",
        ),
        Mistake(
            _step(known_part=lambda known, noise, rate: rate * known + (1 - rate) * noise),
            "The roots are missing: sqrt(a) * known + sqrt(1 - a) * noise.",
        ),
        Mistake(
            _step(known_part=lambda known, noise, rate: rate.sqrt() * known + (1 - rate) * noise),
            "The noise lacks its root: its factor is sqrt(1 - a).",
        ),
        Mistake(
            _step(known_part=lambda known, noise, rate: rate.sqrt() * known),
            "The known part is faded but not noisy: sqrt(1 - a) * noise is missing.",
        ),
        Mistake(
            _step(known_part=lambda known, noise, rate: known + (1 - rate).sqrt() * noise),
            "The known part is not faded: its factor is sqrt(a).",
        ),
        Mistake(
            _step(known_part=lambda known, noise, rate: (1 - rate).sqrt() * known + rate.sqrt() * noise),
            "The factors of known part and noise are swapped: sqrt(a) belongs to the known part.",
        ),
        Mistake(
            _step(known_part=lambda known, noise, rate: rate.sqrt() * known - (1 - rate).sqrt() * noise),
            "The noise is subtracted. As a distribution that is the same, but results are compared number by number: add it.",
        ),
        Mistake(
            _step(level=lambda table, timestep: table[timestep]),
            "In a tensor the index -1 fetches the *last* entry, the noisiest level: for timestep -1 take a = 1, for a clean picture is all signal.",
        ),
        Mistake(
            _step(level=lambda table, timestep: table[timestep] if timestep else torch.ones_like(table[0])),
            "`if timestep` asks whether it is not 0, and that is true of -1 as well, whose index fetches the *last* entry, and 0 loses its own. Ask for >= 0.",
        ),
        Mistake(
            _step(level=lambda table, timestep: _rate(table, timestep - 1)),
            "You are one level too early (and at the clean picture right by luck): the step ended at `timestep`, whose entry is alphas_cumprod[timestep].",
        ),
        Mistake(
            _step(join=lambda mask, known, noisy: noisy + (1 - mask) * known),
            "What the step has drawn is not cut out: where the picture is known, both lie on top of each other.",
        ),
        Mistake(
            _step(join=lambda mask, known, noisy: mask * noisy + known),
            "The known part is not cut out: where it is to be painted, both lie on top of each other.",
        ),
        Mistake(
            _step(join=lambda mask, known, noisy: (1 - mask) * known),
            "What is to be painted is 0: there stays what the step has drawn.",
        ),
        Mistake(
            _step(join=lambda mask, known, noisy: known),
            "You return the whole picture, noised: nothing would be painted.",
        ),
        Mistake(
            _step(join=lambda mask, known, noisy: noisy),
            "You return what came in: nothing is put back.",
        ),
        Mistake(
            _step(join=lambda mask, known, noisy: mask[:1] * noisy + (1 - mask[:1]) * known),
            "You take the mask of the first picture for all: each has its own.",
        ),
        Mistake(
            _whole_noised,
            "You noise the drawn part as well: it is as noisy as the level already.",
        ),
        Mistake(
            _noise_of_x,
            "You noise the known part with `noisy`: the noise is an argument of its own.",
        ),
        Mistake(
            _known_there,
            "Where the picture is to be painted you put its old latents: what was to go is given away.",
        ),
        Mistake(_step(grid=lambda mask, size: F.max_pool2d(mask, 4)), _FACTOR),
        Mistake(_step(grid=lambda mask, size: mask[:, :, ::4, ::4]), _FACTOR),
        Mistake(
            _step(grid=lambda mask, size: F.adaptive_max_pool2d(mask, size[0])),
            "You bring the mask to a square: height and width may differ, noisy.shape[2:] names both.",
        ),
        Mistake(
            _step(grid=lambda mask, size: mask.amax((2, 3), keepdim=True)),
            "You paint places of which no pixel is to be painted, here all of each picture with a pixel to paint.",
        ),
        Mistake(
            _step(join=lambda mask, known, noisy: mask.amax(0, keepdim=True) * noisy + (1 - mask.amax(0, keepdim=True)) * known),
            "You paint what *any* picture's mask says: each has its own.",
        ),
        Mistake(
            _noise_everywhere,
            "The noise is added everywhere: brackets are missing. 1 - mask multiplies both, the known latents and their noise.",
        ),
        Mistake(
            _step(known_part=lambda known, noise, rate: rate.sqrt() * known + (1 - rate.sqrt()) * noise),
            "The noise's factor is sqrt(1 - a), the root of the difference, not 1 - sqrt(a).",
        ),
        Mistake(
            _step(level=lambda table, timestep: torch.cat([torch.ones_like(table[:1]), table])[timestep]),
            "With a 1 before it the table is shifted: time t stands at t + 1, and -1 at 0.",
        ),
        Mistake(
            _indexed,
            "A mask (batch, 1, h, w) does not index (batch, channels, h, w): multiply by it, or use torch.where, which repeat it along the channels.",
        ),
    ),
)  # fmt: skip
