"""Checks of notebook diffusion/sampling_and_guidance."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.diffusion.tables import draw_table
from course_utils.checks.engine import Case, Check, Draw, Mistake
from course_utils.checks.perform import Call
from course_utils.checks.perform import Network as SmallNetwork
from course_utils.diffusion.ddpm import Prediction, predict
from course_utils.diffusion.samplers import DDIM
from course_utils.diffusion.schedules import CLEAN, Level
from course_utils.diffusion.score import score

__all__ = [
    "classifier_guidance",
    "ddim_step",
    "from_velocity",
    "guidance_of_a_network",
    "keep_known",
    "score_from_noise",
]


def _rate(table: Tensor, timestep: int) -> Tensor:
    """alphas_cumprod at a timestep; 1 at -1, the clean picture."""
    return table[timestep] if timestep >= 0 else torch.ones_like(table[0])


def _level(table: Tensor, timestep: int) -> Level:
    if timestep < 0:
        return CLEAN
    rate = table[timestep].double()
    return Level(timestep, rate.sqrt().item(), (1 - rate).sqrt().item())


_TWICE = "You took the running product once more: alphas_cumprod is already the product of all alphas up to t."
_CLEAN_INDEX = "In a tensor the index -1 fetches the *last* entry, the noisiest level: for timestep -1 take a = 1, for a clean picture is all signal."
_LEAST = "Your result is wrong only at timestep 0. That is the least noisy level, with an entry of its own like any other; only -1 is the clean picture."
_TRUTH = "`if timestep` asks whether it is not 0, as does `if next_timestep`: that is true of -1 as well, whose index fetches the *last* entry, and 0 loses its own. Ask for >= 0."

# --- exercise 1: a step of DDIM ---------------------------------------------------------------------------------------


def _picture(predicted: Tensor, noisy: Tensor, now: Tensor) -> Tensor:
    """The picture that is left of x_t without the noise that the network sees in it."""
    return (noisy - (1 - now).sqrt() * predicted) / now.sqrt()


def _ddim_step(
    predicted_noise: Tensor,
    noisy: Tensor,
    fresh_noise: Tensor,
    timestep: int,
    next_timestep: int,
    alphas_cumprod: Tensor,
    eta: float = 0.0,
) -> Tensor:
    def denoise(noisy: Tensor, level: Level) -> Prediction:
        return predict(predicted_noise, noisy, level, "epsilon")

    now, after = _level(alphas_cumprod, timestep), _level(alphas_cumprod, next_timestep)
    return DDIM(eta).step(denoise, noisy, now, after, fresh_noise).noisy


def _levels(table: Tensor, timestep: int, target: int) -> tuple[Tensor, Tensor]:
    return table[timestep], _rate(table, target)


def _variance(now: Tensor, after: Tensor, eta: float) -> Tensor:
    return eta**2 * (1 - after) / (1 - now) * (1 - now / after)


def _parts(
    picture: Callable[..., Tensor] | None = None,
    signal: Callable[[Tensor, Tensor], Tensor] = lambda now, after: after.sqrt(),
    kept: Callable[[Tensor, Tensor, float], Tensor] | None = None,
    fresh: Callable[[Tensor, Tensor, float], Tensor] | None = None,
    levels: Callable[[Tensor, int, int], tuple[Tensor, Tensor]] = _levels,
) -> Callable[..., Tensor]:
    """A step in which a part is another one: the picture (of noise, x_t, now), or the factors of picture, predicted noise and fresh noise;
    or in which alphas_cumprod is read otherwise, now and after (of the table, timestep and next_timestep).
    """
    picture = picture or _picture
    kept = kept or (lambda now, after, eta: (1 - after - _variance(now, after, eta)).clamp(min=0).sqrt())
    fresh = fresh or (lambda now, after, eta: _variance(now, after, eta).sqrt())

    def ddim_step(
        predicted: Tensor, noisy: Tensor, new: Tensor, timestep: int, target: int, table: Tensor, eta: float = 0.0
    ) -> Tensor:
        now, after = levels(table, timestep, target)
        mixed = signal(now, after) * picture(predicted, noisy, now) + kept(now, after, eta) * predicted
        return mixed + fresh(now, after, eta) * new

    return ddim_step


def _always(eta: float) -> Callable[..., Tensor]:
    return lambda e, noisy, new, t, s, table, _=0.0: _ddim_step(e, noisy, new, t, s, table, eta)


def _of_variance(
    variance: Callable[[Tensor, Tensor, float], Tensor], lowest: float = -torch.inf
) -> Callable[..., Tensor]:
    """A step with another variance of the fresh noise, a function of now, after and eta; what is left for the predicted noise is at least `lowest`."""
    return _parts(
        kept=lambda now, after, eta: (1 - after - variance(now, after, eta)).clamp(min=lowest).sqrt(),
        fresh=lambda now, after, eta: variance(now, after, eta).sqrt(),
    )


def _too_large(variance: Callable[[Tensor, Tensor, float], Tensor], sentence: str) -> tuple[Mistake, Mistake]:
    """A variance beyond what level s has: with a negative number under the root, and with a clamp that hides it."""
    return Mistake(_of_variance(variance), sentence), Mistake(_of_variance(variance, lowest=0.0), sentence)


def _picture_at_the_end(
    predicted: Tensor, noisy: Tensor, new: Tensor, timestep: int, target: int, table: Tensor, eta: float = 0.0
) -> Tensor:
    step = _parts(picture=lambda e, x, now: _picture(e, x, _rate(table, target)))
    return step(predicted, noisy, new, timestep, target, table, eta)


def _walk(draw: Draw, steps: int, timestep: int, target: int, eta: float, *shape: int) -> tuple:
    return draw.normal(*shape), draw.normal(*shape), draw.normal(*shape), timestep, target, draw_table(draw, steps), eta


_LAST_STEP = (
    "Your result is wrong only where the step ends at the clean picture, timestep -1. There a_s is 1: all of the picture, and no noise of either kind. "
    "(The last step may begin at 0, which is the least noisy level, not the clean picture.)"
)

ddim_step = Check(
    name="ddim_step",
    signature=("predicted_noise", "noisy", "fresh_noise", "timestep", "next_timestep", "alphas_cumprod", "eta"),
    reference=_ddim_step,
    holds="picture and noise mixed anew for any later level, eta of the noise fresh, the clean picture at the end",
    look='02_sampling_and_guidance, exercise 1 "A step of any length"',
    absolute=1e-3,  # whoever keeps a root away from 0 leaves a little noise in the clean picture
    hint="images = (noisy - sqrt(1 - now) * e) / sqrt(now); then sqrt(after) * images + sqrt(1 - after - variance) * e + sqrt(variance) * fresh_noise; after is 1 for next_timestep -1.",
    cases=(
        Case("5 points, from step 6 to 3, eta 0", lambda draw: _walk(draw, 9, 6, 3, 0.0, 5, 2)),
        Case("2 pictures, from the noisiest step to step 2, eta 0.5", lambda draw: _walk(draw, 8, 7, 2, 0.5, 2, 3, 4, 4)),
        Case("4 points, from step 4 to 1, eta 1", lambda draw: _walk(draw, 7, 4, 1, 1.0, 4, 2)),
        Case("2 points, from step 5 to 0, eta 0.3", lambda draw: _walk(draw, 7, 5, 0, 0.3, 2, 2), alone=_LEAST),
        Case("3 points, from step 2 to the clean picture", lambda draw: _walk(draw, 7, 2, -1, 1.0, 3, 2), alone=_LAST_STEP),
        Case("2 pictures, from step 0 to the clean picture, eta 0", lambda draw: _walk(draw, 6, 0, -1, 0.0, 2, 1, 3, 3), alone=_LAST_STEP),
    ),
    hidden_cases=(
        Case("2 pictures of 1 channel, from step 8 to 0, eta 0.3", lambda draw: _walk(draw, 10, 8, 0, 0.3, 2, 1, 3, 3), alone=_LEAST),
        Case("6 points of 3 numbers, from step 1 to the clean picture", lambda draw: _walk(draw, 5, 1, -1, 0.0, 6, 3), alone=_LAST_STEP),
    ),
    mistakes=(
        Mistake(
            lambda e, noisy, new, t, s, table, eta=0.0: _ddim_step(e, noisy, new, t, t - 1, table, eta),
            "You always go to timestep - 1. This step may be of any length, that is its point: it ends at next_timestep.",
        ),
        Mistake(_parts(levels=lambda table, t, s: (table[t], table[s])), _CLEAN_INDEX),
        Mistake(
            _parts(
                levels=lambda table, t, s: (table[t], table[s]),
                kept=lambda now, after, eta: (1 - after - _variance(now, after, eta).clamp(min=0)).sqrt(),
                fresh=lambda now, after, eta: _variance(now, after, eta).clamp(min=0).sqrt(),
            ),
            _CLEAN_INDEX,
        ),
        Mistake(_parts(levels=lambda table, t, s: (table[t], table[s] if s else torch.ones_like(table[0]))), _TRUTH),
        Mistake(
            _parts(levels=lambda table, t, s: (table[max(t, 1)], _rate(table, s))),
            "Your result is wrong only where the step begins at timestep 0. That is the least noisy level, with an entry of its own; only -1 is the clean picture.",
        ),
        Mistake(
            _parts(levels=lambda table, t, s: (table[t - 1], _rate(table, s))),
            "Your x_t is taken for one of level timestep - 1: alphas_cumprod[timestep] is the entry of the level where the step begins.",
        ),
        Mistake(
            _parts(levels=lambda table, t, s: (table[t], table[s + 1] if s >= 0 else torch.ones_like(table[0]))),
            "You end one level too early, at next_timestep + 1: entry 0 of the table belongs to timestep 0.",
        ),
        Mistake(
            _parts(levels=lambda table, t, s: (table[t], table[t - 1] if s >= 0 else torch.ones_like(table[0]))),
            "You go to timestep - 1 wherever the step does not end at the clean picture. This step may be of any length, that is its point: it ends at next_timestep.",
        ),
        Mistake(
            lambda e, noisy, new, t, s, table, eta=0.0: _parts()(e, noisy, new, max(s, 0), t, table, eta),
            "You go the wrong way, from next_timestep to timestep: x is at `timestep`, so its entry takes the noise off, and that of next_timestep mixes anew.",
        ),
        Mistake(
            _always(0.0),
            "eta has no effect: it says how much of the noise is fresh. With variance v from the formula, sqrt(v) * fresh_noise is added and the predicted noise is reduced to sqrt(1 - a_s - v).",
        ),
        Mistake(
            _always(1.0),
            "eta has no effect: this is eta = 1, the ancestral step with the posterior's variance. Multiply the variance by eta^2; with eta = 0 no fresh noise is left.",
        ),
        Mistake(
            _of_variance(lambda now, after, eta: _variance(now, after, eta**0.5)),
            "eta scales the *standard deviation* of the fresh noise: in the variance it is squared.",
        ),
        Mistake(
            _parts(fresh=lambda now, after, eta: _variance(now, after, eta)),
            "You multiply the fresh noise by its *variance*: a normal number is multiplied by the standard deviation, the root.",
        ),
        Mistake(
            _of_variance(lambda now, after, eta: _variance(now, after, 1.0).square() * eta**2),
            "The roots of the formula are missing in what you take for the standard deviation: it is eta * sqrt((1 - a_s) / (1 - a_t)) * sqrt(1 - a_t / a_s).",
        ),
        Mistake(
            _parts(kept=lambda now, after, eta: (1 - after).sqrt()),
            "The fresh noise comes on top: the predicted noise keeps its full sqrt(1 - a_s), and together the two are more noise than level s has. Reduce it to sqrt(1 - a_s - variance).",
        ),
        Mistake(
            _parts(kept=lambda now, after, eta: (1 - after).sqrt() - _variance(now, after, eta).sqrt()),
            "You subtract the standard deviations. It is *variances* that add up: the predicted noise keeps sqrt(1 - a_s - variance).",
        ),
        Mistake(
            _parts(kept=lambda now, after, eta: 1 - after - _variance(now, after, eta)),
            "The predicted noise is multiplied by its variance: the root is missing, sqrt(1 - a_s - variance).",
        ),
        *_too_large(
            lambda now, after, eta: eta**2 * (1 - now / after),
            "In the variance the factor (1 - a_s) / (1 - a_t) is missing: yours is that of a step *forward* (the ancestral chain's larger variance), more than a step back to a little noise can take.",
        ),
        *_too_large(
            lambda now, after, eta: eta**2 * (1 - now) / (1 - after) * (1 - now / after),
            "In the variance (1 - a_s) / (1 - a_t) is upside down: it has to go to 0 with the noise of the level where the step *ends*.",
        ),
        *_too_large(
            lambda now, after, eta: eta**2 * (1 - after) / (1 - now),
            "In the variance the factor 1 - a_t / a_s is missing: without it a short step, which changes little, would make nearly all of its noise fresh.",
        ),
        Mistake(
            _of_variance(lambda now, after, eta: eta**2 * (1 - after) / (1 - now) * (1 - after / now)),
            "In the variance a_t / a_s is upside down: a_s is the larger one, so 1 - a_s / a_t is negative, and has no root.",
        ),
        Mistake(
            _of_variance(lambda now, after, eta: _variance(now, after, float(eta > 0))),
            "eta is no switch: between 0 and 1 it says *how much* of the noise is fresh, and scales its standard deviation.",
        ),
        Mistake(
            _parts(fresh=lambda now, after, eta: _variance(now, after, 1.0).sqrt()),
            "The fresh noise has its full size whatever eta is: its standard deviation is scaled by eta, so with eta = 0 there is none.",
        ),
        Mistake(
            _parts(fresh=lambda now, after, eta: torch.full_like(now, eta)),
            "You multiply the fresh noise by eta alone: its standard deviation is eta times sqrt((1 - a_s) / (1 - a_t)) * sqrt(1 - a_t / a_s).",
        ),
        Mistake(
            _parts(kept=lambda now, after, eta: (1 - after - _variance(now, after, 1.0)).clamp(min=0).sqrt()),
            "The predicted noise keeps what is left with eta = 1, as in the mean of the ancestral step: with less fresh noise more of it stays, sqrt(1 - a_s - variance).",
        ),
        Mistake(
            _parts(kept=lambda now, after, eta: (1 - eta) * (1 - after).sqrt()),
            "The predicted noise keeps a share 1 - eta. It is *variances* that add up: it keeps sqrt(1 - a_s - variance).",
        ),
        Mistake(
            _parts(
                kept=lambda now, after, eta: (1 - eta) * (1 - after).sqrt(),
                fresh=lambda now, after, eta: eta * (1 - after).sqrt(),
            ),
            "You blend predicted and fresh noise with 1 - eta and eta. It is *variances* that add up, and the fresh one has a formula: sqrt(1 - a_s - variance) and sqrt(variance).",
        ),
        Mistake(
            _parts(
                kept=lambda now, after, eta: torch.zeros_like(now),
                fresh=lambda now, after, eta: (1 - after - _variance(now, after, eta)).clamp(min=0).sqrt() + _variance(now, after, eta).sqrt(),
            ),
            "Fresh noise stands in both places: what is kept, sqrt(1 - a_s - variance), is kept of the *predicted* noise.",
        ),
        *(
            Mistake(
                _parts(kept=lambda now, after, eta, lowest=lowest: (1 - after - _variance(now, after, eta).sqrt()).clamp(min=lowest).sqrt()),
                "Under the root you subtract the standard deviation of the fresh noise: it is its *variance*, sigma squared, that is taken from 1 - a_s.",
            )
            for lowest in (-torch.inf, 0.0)
        ),
        Mistake(
            _parts(kept=lambda now, after, eta: (1 - now - _variance(now, after, eta)).sqrt()),
            "Under the root stands a_t, the level where the step *began*: the noise at its end is 1 - a_s, and the predicted noise keeps sqrt(1 - a_s - variance).",
        ),
        Mistake(
            _of_variance(lambda now, after, eta: eta**2 * (1 - after)),
            "You make a share eta^2 of all noise at s fresh. The formula's variance is smaller: it has the factor (1 - a_t / a_s) / (1 - a_t), so that a short step keeps most of its noise.",
        ),
        Mistake(
            _parts(
                kept=lambda now, after, eta: torch.zeros_like(now),
                fresh=lambda now, after, eta: (1 - after).sqrt(),
            ),
            "You noise the picture anew with fresh noise only, and forget the predicted noise: that starts from another noise at each step, even with eta = 0.",
        ),
        Mistake(
            _parts(
                kept=lambda now, after, eta: _variance(now, after, eta).sqrt(),
                fresh=lambda now, after, eta: (1 - after - _variance(now, after, eta)).clamp(min=0).sqrt(),
            ),
            "The factors of predicted and fresh noise are swapped: with eta = 0 all of the noise is the predicted one.",
        ),
        Mistake(
            _parts(fresh=lambda now, after, eta: -_variance(now, after, eta).sqrt()),
            "The fresh noise is subtracted. As a distribution that is the same, but results are compared number by number: add it.",
        ),
        Mistake(
            _parts(kept=lambda now, after, eta: (1 - now).sqrt()),
            "The predicted noise keeps the factor of the level where the step *began*: nothing is taken away. At s it is sqrt(1 - a_s - variance).",
        ),
        Mistake(
            _parts(kept=lambda now, after, eta: -(1 - after - _variance(now, after, eta)).clamp(min=0).sqrt()),
            "The predicted noise is subtracted a second time: it is taken off with its old factor to get the picture, and *added* again with its new one.",
        ),
        Mistake(
            _parts(signal=lambda now, after: torch.ones_like(now)),
            "The picture is not scaled: at level s its factor is sqrt(a_s).",
        ),
        Mistake(
            _parts(signal=lambda now, after: after),
            "The picture's factor lacks its root: at level s it is sqrt(a_s).",
        ),
        Mistake(
            _parts(signal=lambda now, after: now.sqrt()),
            "The picture gets the factor of the level where the step *began*: at level s it is sqrt(a_s).",
        ),
        Mistake(
            _parts(picture=lambda e, noisy, now: (noisy + (1 - now).sqrt() * e) / now.sqrt()),
            "In the picture the noise is added once more: solve x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise for x_0, and it is subtracted.",
        ),
        Mistake(
            _parts(picture=lambda e, noisy, now: noisy - (1 - now).sqrt() * e),
            "The picture is not divided by sqrt(a_t): what is left without the noise is sqrt(a_t) x_0, the *faded* picture.",
        ),
        Mistake(
            _parts(picture=lambda e, noisy, now: (noisy - (1 - now) * e) / now.sqrt()),
            "In the picture the noise lacks its root: x_t holds sqrt(1 - a_t) times the noise.",
        ),
        Mistake(
            _parts(picture=lambda e, noisy, now: (noisy - (1 - now).sqrt() * e) / now),
            "The picture is divided by a_t without its root: it is sqrt(a_t) x_0 that is left of x_t.",
        ),
        Mistake(
            _picture_at_the_end,
            "You compute the picture with a_s: x_t is at the level where the step *begins*, so it is solved for the picture with a_t.",
        ),
        Mistake(
            _parts(picture=lambda e, noisy, now: noisy - e),
            "You subtract the noise at full size: x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise has to be solved for x_0.",
        ),
        Mistake(
            _parts(picture=lambda e, noisy, now: _picture(e, noisy, now).clamp(-1, 1)),
            "You clamp the picture to [-1, 1]. Many samplers of pictures do, but it is not asked for here: points of the plane lie outside of it.",
        ),
        Mistake(
            lambda e, noisy, new, t, s, table, eta=0.0: _picture(e, noisy, table[t]),
            "You return the picture that the network sees: that is right only where the step ends at the clean picture. Otherwise mix it with noise for level s.",
        ),
        Mistake(
            lambda e, noisy, new, t, s, table, eta=0.0: _ddim_step(e, noisy, new, t, s, table.cumprod(0), eta),
            _TWICE,
        ),
    ),
)  # fmt: skip


# --- exercise 2: classifier-free guidance -----------------------------------------------------------------------------


def _small_network(weight: Tensor, null_label: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The network of the notebook's cell: one layer with the weights (values + 1 + labels, values)."""

    def network(noisy: Tensor, timesteps: Tensor, labels: Tensor) -> Tensor:
        known = F.one_hot(labels, null_label + 1)
        features = torch.cat([noisy.flatten(1), timesteps[:, None] / 10, known], dim=1)
        return torch.tanh(features @ weight).view_as(noisy)

    return network


Answers = Callable[[Tensor, Tensor, float], Tensor]


def _joined(join: Answers) -> Callable[..., Tensor]:
    """The guided answer as a function of the conditional one, the unconditional one and the scale."""

    def guidance(weight: Tensor, noisy: Tensor, times: Tensor, labels: Tensor, null: int, scale: float) -> Tensor:
        network = _small_network(weight, null)
        return join(network(noisy, times, labels), network(noisy, times, torch.full_like(labels, null)), scale)

    return guidance


def _against(unconditional: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The right formula with another answer in place of the unconditional one: a function of network, x_t, times, labels, null label."""

    def guidance(weight: Tensor, noisy: Tensor, times: Tensor, labels: Tensor, null: int, scale: float) -> Tensor:
        network = _small_network(weight, null)
        nothing = unconditional(network, noisy, times, labels, null)
        return nothing + scale * (network(noisy, times, labels) - nothing)

    return guidance


def _interleaved(weight: Tensor, noisy: Tensor, times: Tensor, labels: Tensor, null: int, scale: float) -> Tensor:
    network = _small_network(weight, null)
    conditions = torch.cat([labels, torch.full_like(labels, null)])
    both = network(torch.cat([noisy, noisy]), torch.cat([times, times]), conditions)
    return both[1::2] + scale * (both[::2] - both[1::2])


Question = Callable[[Callable[..., Tensor], Tensor, Tensor, Tensor, int], Tensor]


def _not_understood(*ask: Question) -> tuple[Mistake, ...]:
    """Questions without a label with which the network cannot do anything."""
    sentence = "The network was asked with a null label that is no label for each picture: like `labels`, it takes (batch,) int64. Give it torch.full_like(labels, null_label). (The line below is the network's, where it shows.)"
    return tuple(Mistake(_against(question), sentence) for question in ask)


def _labels_for_times(weight: Tensor, noisy: Tensor, times: Tensor, labels: Tensor, null: int, scale: float) -> Tensor:
    network = _small_network(weight, null)
    without = network(noisy, torch.full_like(labels, null), times)
    return without + scale * (network(noisy, labels, times) - without)


def _pairs_mixed(weight: Tensor, noisy: Tensor, times: Tensor, labels: Tensor, null: int, scale: float) -> Tensor:
    conditions = torch.cat([labels, torch.full_like(labels, null)])
    both = _small_network(weight, null)(noisy.repeat_interleave(2, 0), times.repeat_interleave(2), conditions)
    with_label, without = both.chunk(2)
    return without + scale * (with_label - without)


def _asked(draw: Draw, scale: float, classes: int, *shape: int) -> tuple:
    """Pictures or points of a shape (batch, ...) with times, labels that differ, and a network that minds all of them."""
    values = torch.Size(shape[1:]).numel()
    # label 0 is left for those who take it for "no label", the last two for those who take the largest of the batch plus 1
    labels = 1 + draw.uniform(classes - 3).argsort()[: shape[0]]
    weight = draw.normal(values + 2 + classes, values) / (values + 2) ** 0.5
    return weight, draw.normal(*shape), draw.integers(10, shape[0]), labels, classes, scale


guidance_of_a_network = Check(
    name="guidance_of_a_network",
    signature=("weight", "noisy", "timesteps", "labels", "null_label", "guidance_scale"),
    reference=_joined(lambda with_label, without, scale: without + scale * (with_label - without)),
    holds="from the answer without the label towards the one with it, and on beyond it",
    look='02_sampling_and_guidance, exercise 2 "Classifier-free guidance": your guided_answer, which guidance_of_a_network calls',
    hint="Ask the network with the labels and with torch.full_like(labels, null_label); return without + guidance_scale * (with_label - without).",
    cases=(
        Case("4 points, scale 3", lambda draw: _asked(draw, 3.0, 9, 4, 2)),
        Case("2 pictures of 2 channels, 3x3, scale 1.5", lambda draw: _asked(draw, 1.5, 7, 2, 2, 3, 3)),
        Case("3 points, 12 classes, scale 0", lambda draw: _asked(draw, 0.0, 12, 3, 2)),  # more classes than times
    ),
    hidden_cases=(
        Case("6 points of 3 numbers, scale 7", lambda draw: _asked(draw, 7.0, 11, 6, 3)),
        Case("3 pictures of 1 channel, 2x4, scale 1", lambda draw: _asked(draw, 1.0, 6, 3, 1, 2, 4)),
    ),
    mistakes=(
        Mistake(
            _joined(lambda with_label, without, scale: with_label + scale * (without - with_label)),
            "The two answers are swapped: yours leads *away* from the label. Start at the answer without it, and go guidance_scale times the way to the answer with it.",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: with_label + scale * (with_label - without)),
            "You start at the answer *with* the label: the paper writes it so, with a w that is 1 less. Here scale 1 must be the network as it is, and 0 must ignore the label: start at the answer without it.",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: without + (scale - 1) * (with_label - without)),
            "Your scale is 1 too small: from the answer without the label it is guidance_scale times the difference. (Minus 1 belongs to the paper's way, which starts at the answer with the label.)",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: scale * (with_label - without)),
            "You return the difference alone: add it to the answer without the label.",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: without + scale * with_label),
            "You add the whole answer with the label. It is the *difference* of the two that is scaled: what both agree on must be there once.",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: scale * with_label + without - with_label),
            "The answer without the label is not scaled: written out it is scale * with_label + (1 - scale) * without.",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: scale * with_label),
            "You scale the answer with the label and never use the other, or it cancels (brackets around the difference!): that would ask for more *noise*, not for more of the label.",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: with_label),
            "guidance_scale has no effect: this is the answer with the label, right for scale 1 only.",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: without),
            "guidance_scale has no effect: this is the answer without the label, right for scale 0 only.",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: (with_label + scale * without) / (1 + scale)),
            "You take a weighted mean of the two. Guidance goes *beyond* the answer with the label: without + scale * (with_label - without).",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: (without + scale * with_label) / (1 + scale)),
            "You take a mean of the two, weighted by 1 and guidance_scale. Guidance goes *beyond* the answer with the label: without + scale * (with_label - without).",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: without - scale * (with_label - without)),
            "The sign is wrong: yours leads *away* from the label. The difference with_label - without is added.",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: without + scale**2 * (with_label - without)),
            "The scale is squared: the difference is multiplied by guidance_scale once.",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: without + min(scale, 1.0) * (with_label - without)),
            "You keep the scale below 1: then it is a mean of both answers. Guidance goes beyond the answer with the label.",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: (with_label, without)),
            "You return both answers: join them to one.",
        ),
        Mistake(
            _against(lambda network, noisy, times, labels, null: network(noisy, times, torch.zeros_like(labels))),
            "You take label 0 for \"no label\", but it is a class like any other: the label that says nothing is null_label.",
        ),
        Mistake(
            _against(lambda network, noisy, times, labels, null: network(noisy, times, torch.full_like(labels, null - 1))),
            "You take the last class for \"no label\": the label that says nothing is null_label itself, one beyond the last class.",
        ),
        Mistake(
            _against(lambda network, noisy, times, labels, null: network(noisy, times, torch.full_like(labels, int(labels.max()) + 1))),
            "You take the largest label of the batch plus 1 for \"no label\": that is a class like any other, unless the batch happens to hold the last one. null_label comes in as an argument.",
        ),
        Mistake(
            _against(lambda network, noisy, times, labels, null: network(noisy, times, torch.full_like(labels, null + 1))),
            "You ask about a label that the network does not have: the one that says nothing is null_label itself, one beyond the last class, and the largest. (The line below is the network's, where it shows.)",
        ),
        *_not_understood(
            lambda network, noisy, times, labels, null: network(noisy, times, null),
            lambda network, noisy, times, labels, null: network(noisy, times, torch.tensor(null)),
            lambda network, noisy, times, labels, null: network(noisy, times, torch.full(labels.shape, float(null))),
        ),
        Mistake(
            _against(lambda network, noisy, times, labels, null: network(noisy, times, torch.tensor([null]))),
            "The network was asked with one label, or one time, for more than one picture: each picture takes its own, (batch,). Give it torch.full_like(labels, null_label), and double the times as well where you ask both questions at once. (The line below is the network's, where it shows.)",
        ),
        Mistake(
            _labels_for_times,
            "Times and labels are swapped: it is network(noisy, timesteps, labels).",
        ),
        Mistake(
            _pairs_mixed,
            "repeat_interleave(2) puts each picture beside its double, torch.cat all labels before all null labels: the questions are mixed up. Double all three with torch.cat.",
        ),
        Mistake(
            _against(lambda network, noisy, times, labels, null: network(noisy, torch.zeros_like(times), torch.full_like(labels, null))),
            "Without the label you ask about another time: both questions are about the same x_t at the same t, and differ in the label only.",
        ),
        Mistake(
            _against(lambda network, noisy, times, labels, null: network(torch.zeros_like(noisy), times, torch.full_like(labels, null))),
            "Without the label you show the network no picture: both questions are about the same x_t, and differ in the label only.",
        ),
        Mistake(
            _against(lambda network, noisy, times, labels, null: network(noisy, times, labels.roll(1))),
            "You compare with the answer for *another* class: guidance here goes away from the answer without any label, null_label.",
        ),
        Mistake(
            _interleaved,
            "You take every other answer for that with the label. What torch.cat has put one after the other comes back so: the first half with labels, the second without. Use chunk(2).",
        ),
        Mistake(
            _joined(lambda with_label, without, scale: (without + scale * (with_label - without)).clamp(-1, 1)),
            "You clamp the answer to [-1, 1]: it is noise, not a picture, and guidance leads beyond.",
        ),
    ),
)  # fmt: skip


# --- exercise 3: inpainting -------------------------------------------------------------------------------------------


def _keep_known(
    images: Tensor, mask: Tensor, noisy: Tensor, noise: Tensor, timestep: int, alphas_cumprod: Tensor
) -> Tensor:
    rate = _rate(alphas_cumprod, timestep)
    return mask * (rate.sqrt() * images + (1 - rate).sqrt() * noise) + (1 - mask) * noisy


def _with_known(known: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Inpainting with another known part, a function of pictures, noise and alphas_cumprod at the level."""

    def keep_known(images: Tensor, mask: Tensor, noisy: Tensor, noise: Tensor, timestep: int, table: Tensor) -> Tensor:
        return mask * known(images, noise, _rate(table, timestep)) + (1 - mask) * noisy

    return keep_known


def _put(join: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Inpainting with another joint of both parts, a function of the mask, the noised pictures and x_t."""

    def keep_known(images: Tensor, mask: Tensor, noisy: Tensor, noise: Tensor, timestep: int, table: Tensor) -> Tensor:
        rate = _rate(table, timestep)
        return join(mask, rate.sqrt() * images + (1 - rate).sqrt() * noise, noisy)

    return keep_known


def _hidden(draw: Draw, steps: int, timestep: int, mask: tuple[int, ...], *shape: int) -> tuple:
    """Pictures or points of a shape (batch, ...), of which about half is known: `mask` is the shape of the mask."""
    order = draw.uniform(torch.Size(mask).numel()).argsort()
    known = (order < (len(order) + 1) // 2).float().view(mask)  # (values,) -> the mask's shape
    return draw.normal(*shape), known, draw.normal(*shape), draw.normal(*shape), timestep, draw_table(draw, steps)


_CLEAN_KNOWN = (
    "Your result is wrong only at the clean picture, timestep -1. There a is 1: the known part is the picture itself, without noise, "
    "and the hidden part stays what the step has drawn, as at every level."
)

keep_known = Check(
    name="keep_known",
    signature=("images", "mask", "noisy", "noise", "timestep", "alphas_cumprod"),
    reference=_keep_known,
    holds="the known part as noisy as the level, the rest as it came, and the known part itself at the end",
    look='02_sampling_and_guidance, exercise 3 "Fill in what is hidden"',
    hint="known = sqrt(a) * images + sqrt(1 - a) * noise, with a = 1 at timestep -1; return mask * known + (1 - mask) * noisy.",
    cases=(
        Case("3 pictures, step 4 of 9", lambda draw: _hidden(draw, 9, 4, (1, 1, 4, 4), 3, 2, 4, 4)),
        Case("4 points of which one number is known, step 1", lambda draw: _hidden(draw, 6, 1, (1, 2), 4, 2)),
        Case("2 pictures, each with a mask of its own, step 3", lambda draw: _hidden(draw, 7, 3, (2, 1, 3, 4), 2, 3, 3, 4)),
        Case("3 points, step 0", lambda draw: _hidden(draw, 8, 0, (1, 2), 3, 2), alone=_LEAST),
        Case("2 pictures, the clean picture", lambda draw: _hidden(draw, 7, -1, (1, 1, 3, 4), 2, 3, 3, 4), alone=_CLEAN_KNOWN),
    ),
    hidden_cases=(
        Case("5 points of 3 numbers, the noisiest step", lambda draw: _hidden(draw, 8, 7, (5, 3), 5, 3)),
        Case("4 points of 3 numbers, step 0", lambda draw: _hidden(draw, 6, 0, (4, 3), 4, 3), alone=_LEAST),
        Case("2 pictures of 1 channel, the clean picture", lambda draw: _hidden(draw, 5, -1, (1, 1, 3, 3), 2, 1, 3, 3), alone=_CLEAN_KNOWN),
    ),
    mistakes=(
        Mistake(
            _put(lambda mask, known, noisy: (1 - mask) * known + mask * noisy),
            "The mask is turned: it is 1 where the picture is *known*. Yours keeps what was to be filled in, and paints over what was to be kept.",
        ),
        Mistake(
            _with_known(lambda images, noise, rate: images),
            "The known part comes in clean. x at this level is noisy everywhere, and a network that finds a clean half in it meets what it never met in training: noise that half to the level.",
        ),
        Mistake(
            _with_known(lambda images, noise, rate: images + noise),
            "Picture and noise come in at full size: at this level they are sqrt(a) * images + sqrt(1 - a) * noise.",
        ),
        Mistake(
            _with_known(lambda images, noise, rate: rate * images + (1 - rate) * noise),
            "The roots are missing: a picture at this level is sqrt(a) * images + sqrt(1 - a) * noise.",
        ),
        Mistake(
            _with_known(lambda images, noise, rate: rate.sqrt() * images + (1 - rate) * noise),
            "The noise lacks its root: 1 - a is its *variance*, and it is multiplied by the standard deviation.",
        ),
        Mistake(
            _with_known(lambda images, noise, rate: (1 - rate).sqrt() * images + rate.sqrt() * noise),
            "Signal and noise are swapped: the picture's factor is sqrt(a), which is 1 for the clean picture.",
        ),
        Mistake(
            _with_known(lambda images, noise, rate: rate.sqrt() * images),
            "The known part is faded but not noisy: the noise is missing, sqrt(1 - a) times `noise`.",
        ),
        Mistake(
            _with_known(lambda images, noise, rate: images + (1 - rate).sqrt() * noise),
            "The known part is not faded: at this level the picture's factor is sqrt(a).",
        ),
        Mistake(
            lambda x, mask, noisy, noise, t, table: _keep_known(x, mask, noisy, noise, t % len(table), table),
            _CLEAN_INDEX,
        ),
        Mistake(
            lambda x, mask, noisy, noise, t, table: _keep_known(x, mask, noisy, noise, t % len(table) if t else -1, table),
            _TRUTH,
        ),
        Mistake(
            lambda x, mask, noisy, noise, t, table: _keep_known(x, mask, noisy, noise, min(t + 1, len(table) - 1), table),
            "You are one level too noisy: `timestep` is where the step *ended*, and both parts have to be at that level.",
        ),
        Mistake(
            lambda x, mask, noisy, noise, t, table: _keep_known(x, mask, noisy, noise, min(t + 1, len(table) - 1) if t >= 0 else -1, table),
            "You are one level too noisy, but for the clean picture: `timestep` is where the step *ended*, and its entry is alphas_cumprod[timestep].",
        ),
        Mistake(
            _with_known(lambda images, noise, rate: rate * images + (1 - rate).sqrt() * noise),
            "The picture lacks its root: at this level its factor is sqrt(a).",
        ),
        Mistake(
            _with_known(lambda images, noise, rate: rate.sqrt() * images - (1 - rate).sqrt() * noise),
            "The noise is subtracted. As a distribution that is the same, but results are compared number by number: add it.",
        ),
        Mistake(
            _with_known(lambda images, noise, rate: (rate.sqrt() * images + (1 - rate).sqrt() * noise).clamp(-1, 1)),
            "You clamp the known part: x at this level is noisy, and reaches beyond [-1, 1].",
        ),
        Mistake(
            lambda x, mask, noisy, noise, t, table: _keep_known(x, mask, noisy, noisy, t, table),
            "You noise the known part with x_t: it is `noise` that is given for it, standard normal numbers.",
        ),
        Mistake(
            lambda x, mask, noisy, noise, t, table: _keep_known(x, mask, x, noise, t, table),
            "The hidden part comes from `images`, so what was to be filled in is given away: there `noisy`, the sampler's own x, stays.",
        ),
        Mistake(
            lambda x, mask, noisy, noise, t, table: _keep_known(x, mask, noise, noise, t, table),
            "The hidden part is noise: there `noisy`, what the step has drawn, must stay.",
        ),
        Mistake(
            lambda x, mask, noisy, noise, t, table: _keep_known(x, mask[0], noisy, noise, t, table),
            "You use the mask of the first picture for all: each picture may have its own. It broadcasts by itself, take no part of it.",
        ),
        Mistake(
            lambda x, mask, noisy, noise, t, table: _keep_known(x, mask[:, :1], noisy, noise, t, table),
            "You use the mask's first channel for all: each channel, or number, may have its own. It broadcasts by itself, take no part of it.",
        ),
        Mistake(
            lambda x, mask, noisy, noise, t, table: _keep_known(x, mask, noisy, noise, max(t - 1, -1), table),
            "You are one level too early: the known part must be as noisy as the rest, which is at `timestep`.",
        ),
        Mistake(
            _put(lambda mask, known, noisy: mask * known + noisy),
            "The rest is not cut out: known pixels are added to what the step has drawn there. Multiply `noisy` by 1 - mask.",
        ),
        Mistake(
            _put(lambda mask, known, noisy: known + (1 - mask) * noisy),
            "The known part is not cut out: multiply it by the mask, or the hidden pixels are given away (with noise, but given away).",
        ),
        Mistake(
            _put(lambda mask, known, noisy: mask * known),
            "The hidden part is 0: what the step has drawn there must stay, (1 - mask) * noisy.",
        ),
        Mistake(
            _put(lambda mask, known, noisy: known),
            "You return the whole picture, noised: where it is hidden the sampler's own x must stay.",
        ),
        Mistake(
            _put(lambda mask, known, noisy: noisy),
            "Nothing is put in: where mask is 1, x has to be replaced by the known picture, noised to this level.",
        ),
        Mistake(
            lambda x, mask, noisy, noise, t, table: (
                _rate(table, t).sqrt() * (mask * x + (1 - mask) * noisy) + (1 - _rate(table, t)).sqrt() * noise
            ),
            "You noise the drawn part as well, which is at this level already: only the known picture is clean and needs noise.",
        ),
        Mistake(
            lambda x, mask, noisy, noise, t, table: (
                mask * _rate(table, t).sqrt() * x + (1 - _rate(table, t)).sqrt() * noise + (1 - mask) * noisy
            ),
            "The noise gets out of the mask: only the picture is cut out, and the noise is added to the drawn part, too. Brackets: mask * (sqrt(a) * images + sqrt(1 - a) * noise).",
        ),
        Mistake(
            _put(lambda mask, known, noisy: 0.5 * mask * (known + noisy) + (1 - mask) * noisy),
            "You average the known part with what the step has drawn there: known is known, replace it.",
        ),
        Mistake(
            lambda x, mask, noisy, noise, t, table: _keep_known(x, mask, noisy, noise, t, table.cumprod(0)),
            _TWICE,
        ),
    ),
)  # fmt: skip


# --- exercise 4: what the velocity says -------------------------------------------------------------------------------


def _from_velocity(velocity: Tensor, noisy: Tensor, timestep: int, alphas_cumprod: Tensor) -> tuple[Tensor, Tensor]:
    predicted = predict(velocity, noisy, _level(alphas_cumprod, timestep), "v_prediction")
    return predicted.images, predicted.noise


def _solved(solve: Callable[[Tensor, Tensor, Tensor, Tensor], object]) -> Callable[..., object]:
    """Another solution: a function of velocity, x_t, and the factors of signal and noise."""

    def from_velocity(velocity: Tensor, noisy: Tensor, timestep: int, table: Tensor) -> object:
        return solve(velocity, noisy, table[timestep].sqrt(), (1 - table[timestep]).sqrt())

    return from_velocity


def _velocity(draw: Draw, steps: int, timestep: int, *shape: int) -> tuple:
    return draw.normal(*shape), draw.normal(*shape), timestep, draw_table(draw, steps)


from_velocity = Check(
    name="from_velocity",
    signature=("velocity", "noisy", "timestep", "alphas_cumprod"),
    reference=_from_velocity,
    holds="picture and noise, both from x_t and the velocity",
    look='02_sampling_and_guidance, exercise 4 "What the velocity says"',
    hint="With s = sqrt(a), n = sqrt(1 - a): images = s * noisy - n * velocity, noise = n * noisy + s * velocity.",
    cases=(
        Case("5 points, step 3 of 8", lambda draw: _velocity(draw, 8, 3, 5, 2)),
        Case("2 pictures, the noisiest step", lambda draw: _velocity(draw, 6, 5, 2, 3, 4, 4)),
        Case("3 points, step 0", lambda draw: _velocity(draw, 7, 0, 3, 2), alone=_LEAST),
    ),
    hidden_cases=(Case("4 pictures of 1 channel, step 2", lambda draw: _velocity(draw, 9, 2, 4, 1, 3, 3)),),
    mistakes=(
        Mistake(
            _solved(lambda v, x, s, n: (n * x + s * v, s * x - n * v)),
            "The two are swapped: first the picture, then the noise.",
        ),
        Mistake(
            _solved(lambda v, x, s, n: (s * x + n * v, n * x + s * v)),
            "In the picture the velocity has the wrong sign: insert x_t and v into s * x_t - n * v, and the noise cancels; with a plus it does not.",
        ),
        Mistake(
            _solved(lambda v, x, s, n: (s * x - n * v, n * x - s * v)),
            "In the noise the velocity has the wrong sign: insert x_t and v into n * x_t + s * v, and the picture cancels; with a minus it does not.",
        ),
        Mistake(
            _solved(lambda v, x, s, n: (s * x + n * v, n * x - s * v)),
            "Your velocity points the other way, from noise to picture: here it is sqrt(a) * noise - sqrt(1 - a) * images.",
        ),
        Mistake(
            _solved(lambda v, x, s, n: (s * s * x - n * n * v, n * n * x + s * s * v)),
            "The roots are missing: the factors of signal and noise are sqrt(a) and sqrt(1 - a).",
        ),
        Mistake(
            _solved(lambda v, x, s, n: (n * x - s * v, s * x + n * v)),
            "The factors of signal and noise are swapped: sqrt(a) belongs to the signal.",
        ),
        Mistake(
            _solved(lambda v, x, s, n: ((x - n * v) / s, v)),
            "You take the velocity for the noise: it is a mixture, sqrt(a) * noise - sqrt(1 - a) * images.",
        ),
        Mistake(
            _solved(lambda v, x, s, n: (v, (x - s * v) / n)),
            "You take the velocity for the picture: it is a mixture, sqrt(a) * noise - sqrt(1 - a) * images.",
        ),
        Mistake(
            _solved(lambda v, x, s, n: (s * x - n * v, v)),
            "The picture is right, but for the noise you return the velocity itself: it is sqrt(1 - a) * x_t + sqrt(a) * velocity.",
        ),
        Mistake(
            _solved(lambda v, x, s, n: (s * x - n * v, x - s * (s * x - n * v))),
            "The picture is right. What is left of x_t without it is sqrt(1 - a) times the noise: divide by that.",
        ),
        Mistake(
            _solved(lambda v, x, s, n: (x - v, x + v)),
            "That is for a rectified flow, where x = (1 - t) * images + t * noise, and not even there without its factors. Here use sqrt(a) and sqrt(1 - a).",
        ),
        Mistake(
            _solved(lambda v, x, s, n: (x - n * v, x + (1 - n) * v)),
            "This solves the rectified flow's equations, a straight line from picture to noise. Here signal and noise lie on a circle: s^2 + n^2 = 1.",
        ),
        Mistake(
            _solved(lambda v, x, s, n: ((s * x - n * v).clamp(-1, 1), n * x + s * v)),
            "You clamp the picture. Samplers may do so afterwards, but then the noise has to be computed anew; here it is not asked for.",
        ),
        Mistake(
            _solved(lambda v, x, s, n: ((s * x - n * v) / s, n * x + s * v)),
            "You divide the picture by sqrt(a) once more: s * x_t - n * v is the picture already, for s^2 + n^2 = 1.",
        ),
        Mistake(
            _solved(lambda v, x, s, n: (s * v - n * x, n * v + s * x)),
            "x_t and the velocity are swapped: the picture is s * x_t - n * v, the noise n * x_t + s * v.",
        ),
        Mistake(
            _solved(lambda v, x, s, n: (s * x - (1 - s) * v, (1 - s) * x + s * v)),
            "You took 1 - sqrt(a) for the noise's factor: it is sqrt(1 - a).",
        ),
        Mistake(
            lambda v, x, t, table: _from_velocity(v, x, (t - 1) % len(table), table),
            "You read the table at timestep - 1: x_t has the level of alphas_cumprod[timestep].",
        ),
        Mistake(
            _solved(lambda v, x, s, n: s * x - n * v),
            "You return the picture alone: picture and noise are asked for.",
        ),
        Mistake(
            lambda v, x, t, table: _from_velocity(v, x, t, table.cumprod(0)),
            _TWICE,
        ),
    ),
)


# --- exercise 5: the score --------------------------------------------------------------------------------------------


def _score_from_noise(predicted_noise: Tensor, timestep: int, alphas_cumprod: Tensor) -> Tensor:
    return score(Prediction(predicted_noise, predicted_noise), _level(alphas_cumprod, timestep))


def _scaled(factor: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """The noise with another factor, a function of alphas_cumprod."""
    return lambda e, t, table: factor(table[t]) * e


def _slope(draw: Draw, steps: int, timestep: int, *shape: int) -> tuple:
    return draw.normal(*shape), timestep, draw_table(draw, steps)


score_from_noise = Check(
    name="score_from_noise",
    signature=("predicted_noise", "timestep", "alphas_cumprod"),
    reference=_score_from_noise,
    holds="against the noise, and the steeper the less noise there is",
    look='02_sampling_and_guidance, exercise 5 "The score"',
    hint="-predicted_noise / sqrt(1 - a).",
    cases=(
        Case("5 points, step 3 of 8", lambda draw: _slope(draw, 8, 3, 5, 2)),
        Case("2 pictures, the noisiest step", lambda draw: _slope(draw, 6, 5, 2, 3, 4, 4)),
        Case("4 points, step 0", lambda draw: _slope(draw, 7, 0, 4, 2), alone=_LEAST),
    ),
    hidden_cases=(Case("3 points of 3 numbers, step 0", lambda draw: _slope(draw, 7, 0, 3, 3), alone=_LEAST),),
    mistakes=(
        Mistake(
            _scaled(lambda a: (1 - a).rsqrt()),
            "The sign is wrong: points are more likely where there is *less* noise, so the score points against the noise.",
        ),
        Mistake(
            _scaled(lambda a: -1 / (1 - a)),
            "You divide by the variance 1 - a: the noise has been scaled to width 1 already, so one root of it is left. Divide by sqrt(1 - a).",
        ),
        Mistake(
            _scaled(lambda a: 1 / (1 - a)),
            "The sign is wrong, and 1 - a lacks its root: the score is -noise / sqrt(1 - a).",
        ),
        Mistake(
            _scaled(lambda a: -(1 - a).sqrt()),
            "You multiply by sqrt(1 - a): with less noise the density is narrower and its log *steeper*, so divide.",
        ),
        Mistake(
            _scaled(lambda a: -a.rsqrt()),
            "You divide by sqrt(a), the factor of the picture: it is the noise's factor, sqrt(1 - a).",
        ),
        Mistake(
            _scaled(lambda a: -(a / (1 - a)).sqrt()),
            "You divide by sigma = sqrt((1 - a) / a). That is the score of x_t / sqrt(a), the picture plus noise; asked for is that of x_t: divide by sqrt(1 - a).",
        ),
        Mistake(
            _scaled(lambda a: -torch.ones_like(a)),
            "You return minus the noise: it has the score's direction, not its length. Divide by sqrt(1 - a).",
        ),
        Mistake(
            _scaled(lambda a: -1 / (1 - a.sqrt())),
            "You took 1 - sqrt(a): the noise's factor is sqrt(1 - a).",
        ),
        Mistake(
            _scaled(lambda a: -1 / (1 - a.square()).sqrt()),
            "You squared a once more: alphas_cumprod is the square of the picture's factor already, so the noise's is sqrt(1 - a).",
        ),
        Mistake(
            lambda e, t, table: -e / e.flatten(1).norm(dim=1).view(-1, *[1] * (e.ndim - 1)),
            "You bring the noise to length 1: the score's length says how steep the density is. Divide by sqrt(1 - a).",
        ),
        Mistake(
            lambda e, t, table: -e / e.norm(),
            "You bring all of the noise to length 1: the score's length says how steep the density is. Divide by sqrt(1 - a).",
        ),
        Mistake(
            _scaled(lambda a: -(1 - a)),
            "You multiply by 1 - a: with less noise the density is narrower and its log *steeper*, so divide, by the root.",
        ),
        Mistake(
            _scaled(lambda a: -1 / a),
            "You divide by a, which tells of the picture: it is the noise's factor, sqrt(1 - a).",
        ),
        Mistake(
            _scaled(lambda a: -1 / (1 - a).square()),
            "You divide by the variance squared: the noise has been scaled to width 1 already, so one root of 1 - a is left. Divide by sqrt(1 - a).",
        ),
        Mistake(
            lambda e, t, table: _score_from_noise(e, (t - 1) % len(table), table),
            "You read the table at timestep - 1: x_t has the level of alphas_cumprod[timestep].",
        ),
        Mistake(
            lambda e, t, table: _score_from_noise(e, t, table.cumprod(0)),
            _TWICE,
        ),
    ),
)


# --- exercise 6: classifier guidance ----------------------------------------------------------------------------------

Classifier = Callable[[Tensor], Tensor]


def _gradient(classifier: Classifier, noisy: Tensor, what: Callable[[Tensor], Tensor]) -> Tensor:
    """Gradient by x_t of `what`, a function of the classifier's logits (batch, classes)."""
    with torch.enable_grad():
        leaf = noisy.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(what(classifier(leaf)), leaf)
    return gradient


def _chosen(values: Tensor, labels: Tensor) -> Tensor:
    return values.gather(1, labels[:, None])[:, 0]


def _log_probability(logits: Tensor, labels: Tensor) -> Tensor:
    return _chosen(logits.log_softmax(1), labels).sum()


def _steered(
    what: Callable[[Tensor, Tensor], Tensor] = _log_probability,
    factor: Callable[[Tensor, float], Tensor] = lambda a, scale: -scale * (1 - a).sqrt(),
) -> Callable[..., Tensor]:
    """Guidance by the gradient of another thing, a function of logits and labels, or with another factor, a function of a and scale."""

    def guidance(
        predicted: Tensor,
        noisy: Tensor,
        labels: Tensor,
        classifier: Classifier,
        timestep: int,
        table: Tensor,
        scale: float,
    ) -> Tensor:
        gradient = _gradient(classifier, noisy, lambda logits: what(logits, labels))
        return predicted + factor(table[timestep], scale) * gradient

    return guidance


def _only_gradient(
    predicted: Tensor, noisy: Tensor, labels: Tensor, classifier: Classifier, timestep: int, table: Tensor, scale: float
) -> Tensor:
    return _steered()(torch.zeros_like(predicted), noisy, labels, classifier, timestep, table, scale)


def _moved_picture(
    predicted: Tensor, noisy: Tensor, labels: Tensor, classifier: Classifier, timestep: int, table: Tensor, scale: float
) -> Tensor:
    gradient = _gradient(classifier, noisy, lambda logits: _log_probability(logits, labels))
    return noisy + scale * gradient


def _at_the_noise(
    predicted: Tensor, noisy: Tensor, labels: Tensor, classifier: Classifier, timestep: int, table: Tensor, scale: float
) -> Tensor:
    gradient = _gradient(classifier, predicted, lambda logits: _log_probability(logits, labels))
    return predicted - scale * (1 - table[timestep]).sqrt() * gradient


def _at_the_picture(
    predicted: Tensor, noisy: Tensor, labels: Tensor, classifier: Classifier, timestep: int, table: Tensor, scale: float
) -> Tensor:
    images = _picture(predicted, noisy, table[timestep])
    gradient = _gradient(classifier, images, lambda logits: _log_probability(logits, labels))
    return predicted - scale * (1 - table[timestep]).sqrt() * gradient


def _if_recorded(
    predicted: Tensor, noisy: Tensor, labels: Tensor, classifier: Classifier, timestep: int, table: Tensor, scale: float
) -> Tensor:
    leaf = noisy.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(_log_probability(classifier(leaf), labels), leaf)
    return predicted - scale * (1 - table[timestep]).sqrt() * gradient


def _as_score(
    predicted: Tensor, noisy: Tensor, labels: Tensor, classifier: Classifier, timestep: int, table: Tensor, scale: float
) -> Tensor:
    gradient = _gradient(classifier, noisy, lambda logits: _log_probability(logits, labels))
    return -predicted / (1 - table[timestep]).sqrt() + scale * gradient


def _less_noise(
    predicted: Tensor, noisy: Tensor, labels: Tensor, classifier: Classifier, timestep: int, table: Tensor, scale: float
) -> Tensor:
    return _steered()((1 - scale) * predicted, noisy, labels, classifier, timestep, table, scale)


def _sharper(
    predicted: Tensor, noisy: Tensor, labels: Tensor, classifier: Classifier, timestep: int, table: Tensor, scale: float
) -> Tensor:
    gradient = _gradient(classifier, noisy, lambda logits: _log_probability(scale * logits, labels))
    return predicted - (1 - table[timestep]).sqrt() * gradient


def _classified(draw: Draw, steps: int, timestep: int, scale: float, classes: int, *shape: int) -> tuple:
    values = torch.Size(shape[1:]).numel()
    weights = (1.5 * values**-0.5 * draw.normal(6, values), 1.5 * 6**-0.5 * draw.normal(classes, 6))
    classifier = SmallNetwork(weights, (0.3 * draw.normal(6), 0.3 * draw.normal(classes)), (classes,))
    noisy = draw.normal(*shape)
    labels = draw.integers(classes, shape[0])
    return draw.normal(*shape), noisy, labels, classifier, timestep, draw_table(draw, steps), scale


_ARGUMENTS = ("predicted_noise", "noisy", "labels", "classifier", "timestep", "alphas_cumprod", "guidance_scale")


def _in_a_sampler(draw: Draw) -> Call:
    return Call(dict(zip(_ARGUMENTS, _classified(draw, 7, 2, 1.5, 3, 2, 2), strict=True)), recording=False)


classifier_guidance = Check(
    name="classifier_guidance",
    signature=_ARGUMENTS,
    reference=_steered(),
    holds="the gradient of the log probability of each label, turned into noise",
    look='02_sampling_and_guidance, exercise 6 "Classifier guidance"',
    hint="leaf = noisy.detach().requires_grad_(); the gradient of classifier(leaf).log_softmax(1) at the labels, summed; predicted_noise - guidance_scale * sqrt(1 - a) * gradient.",
    cases=(
        Case("5 points, 3 classes, scale 2", lambda draw: _classified(draw, 8, 3, 2.0, 3, 5, 2)),
        Case("3 pictures, 4 classes, scale 0.5, the noisiest step", lambda draw: _classified(draw, 6, 5, 0.5, 4, 3, 2, 3, 3)),
        Case("4 points, 3 classes, scale 3, step 0", lambda draw: _classified(draw, 8, 0, 3.0, 3, 4, 2), alone=_LEAST),
        Case("2 points, called under torch.no_grad(), as samplers do", _in_a_sampler),
    ),
    hidden_cases=(
        Case("4 points of 3 numbers, 5 classes, scale 3", lambda draw: _classified(draw, 9, 6, 3.0, 5, 4, 3)),
        Case("5 points, 4 classes, scale 2, step 0", lambda draw: _classified(draw, 6, 0, 2.0, 4, 5, 2), alone=_LEAST),
    ),
    mistakes=(
        Mistake(
            _if_recorded,
            "Under torch.no_grad(), where samplers live, nothing is recorded, and there is no gradient: put `with torch.enable_grad():` around the lines from the leaf to torch.autograd.grad.",
        ),
        Mistake(
            _steered(factor=lambda a, scale: scale * (1 - a).sqrt()),
            "The sign is wrong: the score is *minus* the noise by sqrt(1 - a), so what is added to the score is subtracted from the noise. Yours leads away from the label. (F.cross_entropy turns the sign as well: it is *minus* the log probability.)",
        ),
        Mistake(
            _steered(factor=lambda a, scale: -scale * torch.ones_like(a)),
            "The factor sqrt(1 - a) is missing: the gradient is a part of the score, and score and noise differ by it.",
        ),
        Mistake(
            _steered(factor=lambda a, scale: -scale * (1 - a)),
            "The factor of the gradient lacks its root: noise = -sqrt(1 - a) * score.",
        ),
        Mistake(
            _steered(factor=lambda a, scale: -scale * a.sqrt()),
            "You took sqrt(a), the factor of the picture: score and noise differ by that of the noise, sqrt(1 - a).",
        ),
        Mistake(
            _steered(factor=lambda a, scale: -scale / (1 - a).sqrt()),
            "You divide by sqrt(1 - a): that makes a score of noise. Here the gradient, a score, becomes noise: multiply.",
        ),
        Mistake(
            _steered(factor=lambda a, scale: -(1 - a).sqrt()),
            "guidance_scale has no effect: multiply the gradient by it.",
        ),
        Mistake(
            _steered(factor=lambda a, scale: (1 - scale) * (1 - a).sqrt()),
            "You count the scale as guidance without a classifier does in its paper: here it is guidance_scale times the gradient, and 0 is no guidance.",
        ),
        Mistake(
            _steered(factor=lambda a, scale: -(scale**2) * (1 - a).sqrt()),
            "The scale is squared: the gradient is multiplied by guidance_scale once.",
        ),
        Mistake(
            _steered(factor=lambda a, scale: -scale * ((1 - a) / a).sqrt()),
            "You took sigma = sqrt((1 - a) / a), which belongs to x_t / sqrt(a): for x_t itself score and noise differ by sqrt(1 - a).",
        ),
        Mistake(
            _as_score,
            "You return a score: turn it into noise once more, times -sqrt(1 - a).",
        ),
        Mistake(
            _less_noise,
            "You take guidance_scale times the noise away: the predicted noise stays whole, for both factors of Bayes' rule count.",
        ),
        Mistake(
            _sharper,
            "guidance_scale stands inside the softmax: that makes the classifier surer, and is not w times its log probability. Multiply the gradient by it.",
        ),
        Mistake(
            _steered(what=lambda logits, labels: logits.log_softmax(1)[:, labels[0]].sum()),
            "You take the first picture's label for all: each has its own, logits[torch.arange(len(labels)), labels].",
        ),
        Mistake(
            _steered(what=lambda logits, labels: logits.log_softmax(1)[labels].sum()),
            "logits[labels] takes *rows*, pictures of the batch: each picture's label is a column, logits[torch.arange(len(labels)), labels].",
        ),
        Mistake(
            _steered(what=lambda logits, labels: _chosen(logits, labels).sum()),
            "You differentiate the logits: they are log probabilities only up to a number that depends on x. Take log_softmax first.",
        ),
        Mistake(
            _steered(what=lambda logits, labels: _chosen(logits.softmax(1), labels).sum()),
            "You differentiate the probability: Bayes' rule adds the *logs*, so it is the gradient of log p, log_softmax.",
        ),
        Mistake(
            _steered(what=lambda logits, labels: _log_probability(logits, labels) / len(labels)),
            "You take a mean over the batch: each picture's gradient is divided by the size of the batch, so guidance is weaker in company. Use the sum.",
        ),
        Mistake(
            _steered(what=lambda logits, labels: F.cross_entropy(logits, labels)),
            "F.cross_entropy is *minus* the log probability, and a mean over the batch: take log_softmax at the labels, and the sum.",
        ),
        Mistake(
            _steered(what=lambda logits, labels: logits.log_softmax(1).sum()),
            "You sum the log probabilities of all classes: choose the one of each picture's label, with gather or an index.",
        ),
        Mistake(
            _steered(what=lambda logits, labels: logits.log_softmax(1)[:, labels].sum()),
            "logits[:, labels] takes the columns of *all* labels for every picture: each has its own, logits[torch.arange(len(labels)), labels].",
        ),
        Mistake(
            _steered(what=lambda logits, labels: logits.log_softmax(1).max(1).values.sum()),
            "You take the class that the classifier finds most probable, not the label that was asked for: that makes pictures only surer of what they are.",
        ),
        Mistake(
            _steered(what=lambda logits, labels: _chosen(logits.log_softmax(0), labels).sum()),
            "The softmax runs over the pictures of the batch: it belongs over the classes, dim=1.",
        ),
        Mistake(
            _only_gradient,
            "You return the change alone: add it to the predicted noise.",
        ),
        Mistake(
            _moved_picture,
            "You move x_t itself. Asked for is the *noise* that a sampler is given: predicted_noise - guidance_scale * sqrt(1 - a) * gradient.",
        ),
        Mistake(
            _at_the_noise,
            "You ask the classifier about the predicted noise: it judges x_t.",
        ),
        Mistake(
            _at_the_picture,
            "You ask the classifier about the picture that the network sees: this one was trained on noisy pictures, and judges x_t.",
        ),
    ),
)  # fmt: skip
