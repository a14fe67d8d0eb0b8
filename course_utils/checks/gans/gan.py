"""Checks of notebook gans/gan."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks.engine import Case, Check, Draw, Mistake
from course_utils.checks.perform import Build
from course_utils.gans import gan as reference
from course_utils.gans import losses

__all__ = [
    "discriminator_loss",
    "game",
    "mode_coverage",
    "non_saturating_generator_loss",
    "optimal_discriminator",
    "saturating_generator_loss",
]


def _real_loss(logits: Tensor) -> Tensor:
    return -F.logsigmoid(logits).mean()


def _fake_loss(logits: Tensor) -> Tensor:
    return -F.logsigmoid(-logits).mean()


# --- exercise 1 ---------------------------------------------------------------------------------------------------------------


def _logits(draw: Draw, *shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
    return tuple(2 * draw.normal(*shape) + 0.7 * sign for shape, sign in zip(shapes, (1, -1), strict=False))


def _sure(draw: Draw, *signs: int) -> tuple[Tensor, ...]:
    """Logits of a discriminator that is sure, and wrong, of some samples."""
    sizes = torch.tensor([150.0, 1000.0, 40.0])  # at 40 1 - sigmoid is 0, but exp does not overflow yet
    return tuple(sign * sizes + draw.normal(3) for sign in signs)


_ROUNDED = (
    "Your result is right but where the discriminator is sure. There a sigmoid rounds to 0 or 1 and exp overflows, so the logarithm is infinite; or a clamp, "
    "an epsilon or nan_to_num cuts it off, and the gradient with it. F.logsigmoid works from the logit, at any size."
)
_FIRST_AXIS = (
    "You average over the first axis only (mean(0), or a sum divided by len). A discriminator may give many logits for each sample, (batch, 1, height, width): "
    "the mean is over all of them, .mean() without an axis."
)
_OVERFLOWS = (
    "Right on paper, but infinite where the discriminator is sure: exp of a logit above 88 overflows in float32. F.softplus(a) is log(1 + exp(a)) at any size, "
    "and F.logsigmoid(a) is -softplus(-a)."
)
_ONE_MINUS_LOGIT = "You took 1 minus the *logit*: it is the probability D that is taken from 1. For the logit that means a turned sign, 1 - s(a) = s(-a)."
_MEAN_OF_LOGITS = "The mean comes before the logarithm: you average the logits and then take one logarithm. Take the logarithm of each sample, then the mean."
_SMOOTHED = (
    "You smooth the labels (0.9 in place of 1, say). That came later, as a remedy; the game's own target for real is 1."
)
_ALL_AXES = (
    "Your result is wrong only for a discriminator that gives many logits for each sample, (batch, 1, height, width): the mean is over *all* of them. "
    ".mean() without an axis does that; .mean(0), or .sum() / len(...), looks at the first axis only."
)

discriminator_loss = Check(
    name="discriminator_loss",
    signature=("real_logits", "fake_logits"),
    reference=losses.minimax_discriminator_loss,
    holds="both terms, as means, with gradient, also where the discriminator is sure",
    look='01_gan, exercise 1 "What the discriminator wants"',
    hint="log D(x) is F.logsigmoid(logit), log(1 - D(x)) is F.logsigmoid(-logit). The two means, added, with a minus before both.",
    cases=(
        Case("5 real and 5 generated samples", lambda draw: _logits(draw, (5,), (5,))),
        Case("3 real and 7 generated samples", lambda draw: _logits(draw, (3,), (7,))),
        Case(
            "patches of 2 real and 3 generated pictures",
            lambda draw: _logits(draw, (2, 1, 3, 3), (3, 1, 3, 3)),
            alone=_ALL_AXES,
        ),
        Case("a discriminator that is sure and wrong", lambda draw: _sure(draw, -1, 1), alone=_ROUNDED),
    ),
    hidden_cases=(Case("a discriminator that is sure and right", lambda draw: _sure(draw, 1, -1)),),
    gradients="required",
    differentiable=("real_logits", "fake_logits"),
    not_a_number="Your loss is infinite or NaN where the discriminator is sure: a logarithm meets a 0, or exp overflows. Take F.logsigmoid of the logit "
    "(log(1 - s(a)) is logsigmoid(-a)).",
    mistakes=(
        Mistake(
            lambda r, f: _real_loss(f) + _fake_loss(r),
            "Real and generated are swapped: D is to be near 1 on real samples and near 0 on generated ones. This one learns the opposite.",
        ),
        Mistake(
            lambda r, f: -losses.minimax_discriminator_loss(r, f),
            "This is V itself. D is to make V *large*, and an optimizer makes losses small: the loss is -V.",
        ),
        Mistake(
            lambda r, f: losses.minimax_discriminator_loss(r, f) / 2,
            "There is a factor 1/2 too many: the two expectations are added, not averaged.",
        ),
        Mistake(
            lambda r, f: -torch.cat([F.logsigmoid(r).flatten(), F.logsigmoid(-f).flatten()]).mean(),
            "You averaged over real and generated samples together: that halves the loss, and weighs the two by how many there are. Take two means, and add them.",
        ),
        Mistake(
            lambda r, f: -F.logsigmoid(r).sum() - F.logsigmoid(-f).sum(),
            "You summed over the batch: an expectation is a mean, or the loss would grow with the batch size.",
        ),
        Mistake(
            lambda r, f: -F.logsigmoid(r) - F.logsigmoid(-f),
            "You return one loss for each pair of samples: the means are still missing. (Where the two batches differ in size there are no pairs at all.)",
        ),
        Mistake(
            lambda r, f: _real_loss(torch.sigmoid(r)) + _fake_loss(torch.sigmoid(f)),
            "The sigmoid is taken twice: logsigmoid and binary_cross_entropy_with_logits want the logit itself. Twice, D(x) never leaves [0.5, 0.73].",
        ),
        Mistake(
            lambda r, f: F.binary_cross_entropy(r, torch.ones_like(r)) + F.binary_cross_entropy(f, torch.zeros_like(f)),
            "The sigmoid is missing: these are logits, any real numbers. Use logsigmoid, or binary_cross_entropy_with_logits.",
        ),
        Mistake(
            lambda r, f: _real_loss(r),
            "The term of the generated samples is missing: D would call everything real.",
        ),
        Mistake(
            lambda r, f: _fake_loss(f),
            "The term of the real samples is missing: D would call everything generated.",
        ),
        Mistake(
            lambda r, f: _real_loss(r) + _real_loss(f),
            "You want D near 1 on generated samples too: for these the term is log(1 - D), which is logsigmoid(-logit).",
        ),
        Mistake(
            lambda r, f: _real_loss(r) - (1 - F.logsigmoid(f)).mean(),
            "The 1 has slipped out of the logarithm: log(1 - D) is not 1 - log D. From the logit it is logsigmoid(-logit).",
        ),
        Mistake(
            lambda r, f: _real_loss(r) - _fake_loss(f),
            "The signs of the two terms differ: D wants *both* log D(x) and log(1 - D(G(z))) large, so both get a minus.",
        ),
        Mistake(
            lambda r, f: -torch.log(torch.sigmoid(r)).mean() - torch.log(1 - torch.sigmoid(f)).mean(),
            "Right on paper, but infinite where the discriminator is sure: sigmoid rounds to 0 or 1 there, and log(0) follows. F.logsigmoid(a) is log s(a), "
            "and F.logsigmoid(-a) is log(1 - s(a)), from the logit and without rounding.",
        ),
        Mistake(
            lambda r, f: losses.minimax_discriminator_loss(r, f.detach()),
            "You detach the *logits* of the generated samples: then D can learn nothing from them. What has to be detached is the sample, before D sees it (exercise 5).",
        ),
        Mistake(
            lambda r, f: losses.minimax_discriminator_loss(r.detach(), f),
            "You detach the logits of the *real* samples: then D can learn nothing from them, and comes to call everything generated.",
        ),
        Mistake(
            lambda r, f: losses.minimax_discriminator_loss(r, f).item(),
            "You return a Python number: a loss has to stay a tensor until backward() has been called.",
        ),
        Mistake(
            lambda r, f: (_real_loss(r), _fake_loss(f)),
            "You return the two terms one by one: add them.",
        ),
        Mistake(
            losses.hinge_discriminator_loss,
            "This is the hinge loss, which came later: here log D(x) and log(1 - D(G(z))) are asked for.",
        ),
        Mistake(
            lambda r, f: (torch.sigmoid(r) - 1).square().mean() + torch.sigmoid(f).square().mean(),
            "You took squared errors of the probabilities: the paper's game has logarithms.",
        ),
        Mistake(
            lambda r, f: (1 - torch.sigmoid(r)).mean() + torch.sigmoid(f).mean(),
            "The logarithms are missing: these are plain probabilities.",
        ),
        Mistake(
            lambda r, f: _real_loss(r) + F.logsigmoid(f).mean(),
            "In the second term you turned the sign *outside* the logarithm: log(1 - D) is logsigmoid(-logit), the sign inside, and the whole term gets a minus like the first.",
        ),
        Mistake(lambda r, f: _real_loss(r) - F.logsigmoid(1 - f).mean(), _ONE_MINUS_LOGIT),
        Mistake(
            lambda r, f: _real_loss(torch.sigmoid(r)) - F.logsigmoid(1 - torch.sigmoid(f)).mean(),
            "The sigmoid is taken twice: logsigmoid wants the logit itself, and log(1 - D) is logsigmoid(-logit).",
        ),
        Mistake(
            lambda r, f: -torch.log(torch.sigmoid(r).mean()) - torch.log(1 - torch.sigmoid(f).mean()),
            "The mean comes before the logarithm: take the logarithm of each sample's D and 1 - D, then the means.",
        ),
        Mistake(
            lambda r, f: -torch.log(torch.sigmoid(r).mean()) - torch.log(torch.sigmoid(-f).mean()),
            "The mean comes before the logarithm: take the logarithm of each sample's D and 1 - D, then the means.",
        ),
        Mistake(lambda r, f: -F.logsigmoid(r.mean()) - F.logsigmoid(-f.mean()), _MEAN_OF_LOGITS),
        Mistake(
            lambda r, f: -torch.sigmoid(r).mean() - torch.sigmoid(-f).mean(),
            "The logarithms are missing: you took -D and -(1 - D), where -log D and -log(1 - D) are asked for.",
        ),
        Mistake(
            losses.wasserstein_critic_loss,
            "This is the Wasserstein loss, a difference of bare logits, which came later: here log D(x) and log(1 - D(G(z))) are asked for.",
        ),
        Mistake(
            losses.least_squares_discriminator_loss,
            "This is the least-squares loss, which came later: here log D(x) and log(1 - D(G(z))) are asked for.",
        ),
        Mistake(lambda r, f: losses.minimax_discriminator_loss(r, f, 0.9), _SMOOTHED),
        Mistake(
            lambda r, f: -F.logsigmoid(r).sum() / f.numel() - F.logsigmoid(-f).sum() / r.numel(),
            "Each sum is divided by the *other* batch's count: the mean of the real samples is divided by their own number, that of the generated ones by theirs.",
        ),
        Mistake(
            lambda r, f: -(F.logsigmoid(r).sum() + F.logsigmoid(-f).sum()) / r.numel(),
            "Both sums are divided by the number of *real* samples: each mean by its own count, for the two batches may differ in size.",
        ),
        Mistake(
            lambda r, f: -(F.logsigmoid(r).sum() + F.logsigmoid(-f).sum()) / f.numel(),
            "Both sums are divided by the number of *generated* samples: each mean by its own count, for the two batches may differ in size.",
        ),
        Mistake(
            lambda r, f: -F.logsigmoid(r).sum() - F.logsigmoid(-f).mean(),
            "The first term is a sum and the second a mean: both are means, or the real samples would weigh more the larger their batch is.",
        ),
        Mistake(
            lambda r, f: -F.logsigmoid(r).mean() - F.logsigmoid(-f).sum(),
            "The second term is a sum and the first a mean: both are means, or the generated samples would weigh more the larger their batch is.",
        ),
        Mistake(
            lambda r, f: -(F.logsigmoid(r) + F.logsigmoid(-f)).mean(),
            "You add real and generated samples pair by pair, before the mean: the two batches may differ in size, and then there are no pairs. Two means, then the sum.",
        ),
        Mistake(lambda r, f: -F.logsigmoid(r).mean(0) - F.logsigmoid(-f).mean(0), _FIRST_AXIS),
        Mistake(lambda r, f: -F.logsigmoid(r).sum() / len(r) - F.logsigmoid(-f).sum() / len(f), _FIRST_AXIS),
        Mistake(lambda r, f: torch.log(1 + torch.exp(-r)).mean() + torch.log(1 + torch.exp(f)).mean(), _OVERFLOWS),
    ),
)

# --- exercises 2 and 3 --------------------------------------------------------------------------------------------------------

_FAKE_CASES = (
    Case("6 samples", lambda draw: _logits(draw, (6,))),
    Case("3 samples", lambda draw: _logits(draw, (3,))),
    Case("patches of 2 pictures", lambda draw: _logits(draw, (2, 1, 3, 3)), alone=_ALL_AXES),
)
_PER_SAMPLE = "You return one loss for each sample: the mean is still missing."
_ONE_NUMBER = "You return a Python number: a loss has to stay a tensor until backward() has been called."
_CUT_OFF = "The value is right, but it is cut off from the graph (detach, .data or no_grad): the generator learns only through these logits."
_SUMMED = "You summed over the batch: an expectation is a mean, or the loss would grow with the batch size."
_TWICE = "The sigmoid is taken twice: logsigmoid wants the logit itself."

saturating_generator_loss = Check(
    name="saturating_generator_loss",
    signature=("fake_logits",),
    reference=losses.minimax_generator_loss,
    holds="the mean of log(1 - D), with gradient, also where the discriminator is sure",
    look='01_gan, exercise 2 "What the generator wants, by the game"',
    hint="log(1 - s(a)) is F.logsigmoid(-a). Its mean, with no minus before it: G makes V small.",
    cases=(
        *_FAKE_CASES,
        Case("a discriminator that is surely fooled", lambda draw: _sure(draw, 1), alone=_ROUNDED),
    ),
    hidden_cases=(Case("a discriminator that is surely right", lambda draw: _sure(draw, -1)),),
    gradients="required",
    differentiable=("fake_logits",),
    not_a_number="Your loss is infinite or NaN where the discriminator is sure: a logarithm meets a 0, or exp overflows. F.logsigmoid(-a) is log(1 - s(a)), from the logit.",
    mistakes=(
        Mistake(
            lambda f: -losses.minimax_generator_loss(f),
            "The sign is turned: G is to make log(1 - D(G(z))) *small*, so this is its loss as it stands. With the minus G would help D.",
        ),
        Mistake(
            losses.non_saturating_generator_loss,
            "This is the non-saturating loss, of the next exercise: here the game's own term is asked for, log(1 - D(G(z))).",
        ),
        Mistake(
            lambda f: -losses.non_saturating_generator_loss(f),
            "You took log D(G(z)): the game's term is log(1 - D(G(z))), and small log D would mean that G is found out.",
        ),
        Mistake(
            lambda f: (1 - F.logsigmoid(f)).mean(),
            "The 1 has slipped out of the logarithm: log(1 - D) is not 1 - log D. From the logit it is logsigmoid(-logit).",
        ),
        Mistake(
            lambda f: torch.log(1 - f).mean(),
            "The sigmoid is missing: `fake_logits` are any real numbers, D is their sigmoid.",
        ),
        Mistake(
            lambda f: torch.log(1 - torch.sigmoid(f)).mean(),
            "Right on paper, but infinite where the discriminator is surely fooled: 1 - sigmoid rounds to 0. F.logsigmoid(-a) is the same from the logit.",
        ),
        Mistake(lambda f: F.logsigmoid(-torch.sigmoid(f)).mean(), _TWICE),
        Mistake(lambda f: F.logsigmoid(-f).sum(), _SUMMED),
        Mistake(lambda f: F.logsigmoid(-f), _PER_SAMPLE),
        Mistake(lambda f: torch.log1p(-torch.sigmoid(f).mean()), "The mean comes before the logarithm: take the logarithm of each sample's 1 - D, then the mean."),
        Mistake(lambda f: (1 - torch.sigmoid(f)).mean(), "The logarithm is missing: this is the mean of 1 - D."),
        Mistake(lambda f: losses.minimax_generator_loss(f).detach(), _CUT_OFF),
        Mistake(lambda f: losses.minimax_generator_loss(f).item(), _ONE_NUMBER),
        Mistake(lambda f: F.logsigmoid(1 - f).mean(), _ONE_MINUS_LOGIT),
        Mistake(lambda f: F.logsigmoid(1 - torch.sigmoid(f)).mean(), _TWICE),
        Mistake(lambda f: F.logsigmoid(-f.mean()), _MEAN_OF_LOGITS),
        Mistake(lambda f: -torch.sigmoid(f).mean(), "The logarithm is missing: this is the mean of -D, where that of log(1 - D) is asked for."),
        Mistake(losses.wasserstein_generator_loss, "You took the mean of the bare logits, the Wasserstein generator's loss: here log(1 - D) is asked for, D the sigmoid of the logit."),
        Mistake(losses.least_squares_generator_loss, "This is the least-squares loss, which came later: here log(1 - D(G(z))) is asked for."),
        Mistake(lambda f: F.logsigmoid(-f).mean(0), _FIRST_AXIS),
        Mistake(lambda f: F.logsigmoid(-f).sum() / len(f), _FIRST_AXIS),
        Mistake(lambda f: -torch.log(1 + torch.exp(f)).mean(), _OVERFLOWS),
        Mistake(lambda f: F.logsigmoid(-f).mean() / 2, "There is a factor 1/2 too many: the loss is the mean itself."),
    ),
)  # fmt: skip

non_saturating_generator_loss = Check(
    name="non_saturating_generator_loss",
    signature=("fake_logits",),
    reference=losses.non_saturating_generator_loss,
    holds="the mean of -log D, with gradient, also where the discriminator is sure",
    look='01_gan, exercise 3 "What the generator wants, in practice"',
    hint="log s(a) is F.logsigmoid(a). Minus its mean: G makes log D(G(z)) large.",
    cases=(
        *_FAKE_CASES,
        Case("a discriminator that is surely right", lambda draw: _sure(draw, -1), alone=_ROUNDED),
    ),
    hidden_cases=(Case("a discriminator that is surely fooled", lambda draw: _sure(draw, 1)),),
    gradients="required",
    differentiable=("fake_logits",),
    not_a_number="Your loss is infinite or NaN where the discriminator is sure: a logarithm meets a 0, or exp overflows. F.logsigmoid(a) is log s(a), from the logit.",
    mistakes=(
        Mistake(
            losses.minimax_generator_loss,
            "This is the loss of exercise 2, log(1 - D), whose gradient vanishes where D is sure: now -log D is asked for.",
        ),
        Mistake(
            lambda f: -losses.minimax_generator_loss(f),
            "You took -log(1 - D): it is small where D(G(z)) is 0, so G would learn to be found out. Asked for is -log D.",
        ),
        Mistake(
            lambda f: -losses.non_saturating_generator_loss(f),
            "The sign is turned: G is to make log D(G(z)) large, and an optimizer makes losses small. So minus the mean.",
        ),
        Mistake(
            losses.hinge_generator_loss,
            "You took the mean of the bare logits: that is the Wasserstein and hinge generator's loss. Here log D is asked for, D the sigmoid of the logit.",
        ),
        Mistake(
            lambda f: -torch.sigmoid(f).mean(),
            "The logarithm is missing: the gradient of D itself vanishes where D is near 0, which is just what this loss is to mend.",
        ),
        Mistake(
            lambda f: -torch.log(torch.sigmoid(f)).mean(),
            "Right on paper, but infinite where the discriminator is sure: sigmoid rounds to 0 and log(0) follows, or, written as log(1 + exp(-a)), exp of a number above 88 overflows. "
            "F.logsigmoid(a) is the same from the logit, at any size.",
        ),
        Mistake(
            lambda f: -torch.log(f).mean(),
            "The sigmoid is missing: `fake_logits` are any real numbers, D is their sigmoid.",
        ),
        Mistake(lambda f: -F.logsigmoid(torch.sigmoid(f)).mean(), _TWICE),
        Mistake(lambda f: -F.logsigmoid(f).sum(), _SUMMED),
        Mistake(lambda f: -F.logsigmoid(f), _PER_SAMPLE),
        Mistake(lambda f: -torch.log(torch.sigmoid(f).mean()), "The mean comes before the logarithm: take the logarithm of each sample's D, then the mean."),
        Mistake(
            lambda f: (torch.sigmoid(f) - 1).square().mean(),
            "You took a squared error: here -log D is asked for.",
        ),
        Mistake(lambda f: losses.non_saturating_generator_loss(f).detach(), _CUT_OFF),
        Mistake(lambda f: losses.non_saturating_generator_loss(f).item(), _ONE_NUMBER),
        Mistake(lambda f: -F.logsigmoid(1 - f).mean(), _ONE_MINUS_LOGIT),
        Mistake(lambda f: -F.logsigmoid(f.mean()), _MEAN_OF_LOGITS),
        Mistake(lambda f: (1 - torch.sigmoid(f)).mean(), "The logarithm is missing: this is the mean of 1 - D, where that of -log D is asked for."),
        Mistake(lambda f: (1 - F.logsigmoid(f)).mean(), "There is a 1 too many: asked for is -log D, without a constant."),
        Mistake(losses.least_squares_generator_loss, "This is the least-squares loss, which came later: here -log D(G(z)) is asked for."),
        Mistake(lambda f: -(0.9 * F.logsigmoid(f) + 0.1 * F.logsigmoid(-f)).mean(), _SMOOTHED),
        Mistake(lambda f: -F.logsigmoid(f).mean(0), _FIRST_AXIS),
        Mistake(lambda f: -F.logsigmoid(f).sum() / len(f), _FIRST_AXIS),
        Mistake(lambda f: -F.logsigmoid(f).mean() / 2, "There is a factor 1/2 too many: the loss is minus the mean itself."),
    ),
)  # fmt: skip

# --- exercise 4 ---------------------------------------------------------------------------------------------------------------


def _far(draw: Draw) -> tuple[Tensor, Tensor]:
    """Log densities far from all modes, where both densities are rounded to zero."""
    return -200 + 2 * draw.normal(5), -200 + 2 * draw.normal(5)


def _near_and_far(draw: Draw) -> tuple[Tensor, Tensor]:
    """Points at, far from and very far from the modes in one call: no shift by one number fits them all."""
    depth = torch.tensor([0.0, -500.0, -1000.0])
    return depth + draw.normal(3), depth + draw.normal(3)


def _double(draw: Draw) -> tuple[Tensor, Tensor]:
    return draw.normal(5, dtype=torch.float64) - 2, draw.normal(5, dtype=torch.float64) - 2


def _one_sided(draw: Draw) -> tuple[Tensor, Tensor]:
    """Points where one density is far above the other: best logits near -40, -20 and 100."""
    return torch.tensor([-41.0, -21.0, 0.0]) + draw.normal(3), torch.tensor([-1.0, -1.0, -100.0]) + draw.normal(3)


_UNWRITABLE = (
    "Your result is right only where densities are numbers of a handy size. Far from the data both round to 0, at sharp modes they overflow, and their ratio is "
    "lost: stay with the logarithms, whose difference is harmless, and do not exponentiate a density by itself."
)


def _share(p: Tensor, q: Tensor) -> Tensor:
    return p / (p + q)


def _roughly(value: Any, wrong: Any) -> Any:
    """The wrong answer if `value` is it but for rounding, which log p - log(p + q) has more of than logsigmoid."""
    return wrong if torch.allclose(value.data.double(), wrong.data.double(), 1e-2, 1e-3) else value


def _shifted(p: Tensor, q: Tensor) -> Tensor:
    """p / (p + q) after all log densities were lowered by their largest."""
    top = torch.maximum(p.max(), q.max())
    return _share((p - top).exp(), (q - top).exp())


_OVER_POINTS = "You normalise over the *points* (softmax along their axis): each point has its own two numbers, p and q, and D is the share of p in their sum. The points do not compete."
_TINY = (
    "Right on paper, but a tiny D is rounded to 0: next to 1 float32 has steps of 6e-8, and 1 - s(b), or 1/2 + tanh/2, is made next to 1. "
    "log D, which the value of the game needs, would be minus infinity. torch.sigmoid(log p - log q) keeps it."
)
_PRODUCT = "exp(log p + log q) is the *product* p q: adding logarithms multiplies the densities. The sum below the line is exp(log p) + exp(log q), or its logarithm torch.logaddexp."


optimal_discriminator = Check(
    name="optimal_discriminator",
    signature=("log_p", "log_q"),
    reference=reference.optimal_discriminator,
    holds="p / (p + q), also where both densities are too small to write down, or D itself is tiny",
    look='01_gan, exercise 4 "The best discriminator"',
    hint="Divide numerator and denominator by p: 1 / (1 + exp(-(log p - log q))). That is a function that torch has.",
    cases=(
        Case("6 points", lambda draw: (draw.normal(6) - 2, draw.normal(6) - 2)),
        Case("a lattice of 3 x 4 points", lambda draw: (2 * draw.normal(3, 4) - 1, 2 * draw.normal(3, 4) - 3)),
        Case(
            "5 points far from all modes",
            _far,
            alone=_UNWRITABLE,
        ),
        Case("3 points, near, far and very far from the modes", _near_and_far, alone=_UNWRITABLE),
        Case(
            "3 points where one density is far above the other",
            _one_sided,
            alone="Your result is wrong only where one density is far above the other: a tiny D is rounded to 0, cut off by a clamp, or exp overflows. D should be right *relative* to "
            "its size, for its logarithm is what counts.",
        ),
        Case(
            "5 points in float64",
            _double,
            alone="Your result is wrong only for float64 arguments: keep their dtype.",
        ),
    ),
    relative=3e-4,
    absolute=1e-30,
    hidden_cases=(
        Case("one density vanishes", lambda draw: (torch.tensor([-900.0, 0.0, -1.0]), torch.tensor([0.0, -900.0, -1.0]))),
        Case("sharp modes", lambda draw: (100 + draw.normal(4), 100 + draw.normal(4)), alone=_UNWRITABLE),
    ),
    not_a_number="Your result is NaN or infinite: where both densities round to 0, 0 / 0 follows, and where one is far above the other their ratio overflows. Only log p - log q is needed.",
    mistakes=(
        Mistake(
            lambda p, q: torch.sigmoid(q - p),
            "p and q are swapped: D is the probability of being *real*, so the data's density p stands above the line. (With a softmax over both: the data's column.)",
        ),
        Mistake(
            lambda p, q: _share(p.exp(), q.exp()),
            "Right near the data, but NaN far from it, where both densities round to 0 and you divide 0 by 0. Only log p - log q is needed.",
        ),
        Mistake(
            lambda p, q: p - q,
            "This is the best *logit*, log p - log q: D itself is its sigmoid.",
        ),
        Mistake(
            lambda p, q: F.logsigmoid(p - q),
            "This is log D: the probability D itself is asked for.",
            align=_roughly,
        ),
        Mistake(
            _share,
            "You put the logarithms into p / (p + q) as if they were the densities.",
        ),
        Mistake(
            lambda p, q: torch.sigmoid(p + q),
            "You added the logarithms: it is the ratio p / q that counts, the *difference* of the logarithms.",
        ),
        Mistake(
            lambda p, q: torch.sigmoid(p),
            "q does not enter: a point is likely real only if the generator makes it less often than the data.",
        ),
        Mistake(
            lambda p, q: torch.exp(p - q),
            "This is the ratio p / q, which may be above 1: the probability is p / (p + q).",
        ),
        Mistake(
            lambda p, q: (p > q).to(p.dtype),
            "You made a hard decision: the best D is a probability, for where both densities live nobody can be sure.",
        ),
        Mistake(
            lambda p, q: torch.sigmoid((p - q) / 2),
            "You halved the logit. Perhaps you thought of the average of p and q, p / ((p + q) / 2) = 2 D?",
        ),
        Mistake(
            lambda p, q: 2 * torch.sigmoid(p - q),
            "You divided by the average of p and q: the sum belongs there, or D could be 2.",
        ),
        Mistake(
            lambda p, q: torch.softmax(torch.stack([p, q], dim=-1), dim=-1),
            "You return two probabilities for each point, real and generated: only the first is asked for.",
        ),
        Mistake(
            lambda p, q: torch.sigmoid(p.exp() - q.exp()),
            "You took the sigmoid of p - q: the logit is the difference of the *logarithms*.",
        ),
        Mistake(
            _shifted,
            "You subtract one largest value for *all* points: where both densities are far below it they still round to 0, and 0 / 0 follows. Each point has its own scale, "
            "the larger of its two numbers; in log p - log q it drops out.",
        ),
        Mistake(
            lambda p, q: _share(p.double().exp(), q.double().exp()).to(p.dtype),
            "float64 only moves the limit: exp(-1000) is 0 there as well, and 0 / 0 follows. Only log p - log q is needed, in any dtype.",
        ),
        Mistake(
            lambda p, q: torch.sigmoid(p.float() - q.float()),
            "Your result is float32 whatever comes in: keep the dtype of the arguments. The notebook's next cell adds up in float64.",
        ),
        Mistake(lambda p, q: 1 - torch.sigmoid(q - p), _TINY),
        Mistake(
            lambda p, q: (p > q).float(),
            "You made a hard decision: the best D is a probability, for where both densities live nobody can be sure.",
        ),
        Mistake(
            lambda p, q: _share(p.double().exp(), q.double().exp()).float(),
            "float64 only moves the limit: exp(-1000) is 0 there as well, and 0 / 0 follows. Only log p - log q is needed, in the dtype that the arguments have.",
        ),
        Mistake(lambda p, q: torch.softmax(p - q, dim=0), _OVER_POINTS),
        Mistake(lambda p, q: torch.softmax(p - q, dim=-1), _OVER_POINTS),
        Mistake(lambda p, q: torch.softmax(p, dim=-1), _OVER_POINTS),
        Mistake(lambda p, q: torch.softmax(torch.cat([p, q], dim=-1), dim=-1)[..., : p.shape[-1]], _OVER_POINTS),
        Mistake(
            lambda p, q: p / q,
            "You divided the logarithms: log p / log q is not log(p / q), which is the difference log p - log q. And D is its sigmoid.",
        ),
        Mistake(
            lambda p, q: torch.sigmoid(p / q),
            "You divided the logarithms: log p / log q is not log(p / q), which is the difference log p - log q.",
        ),
        Mistake(lambda p, q: p.exp() / (p + q).exp(), _PRODUCT),
        Mistake(lambda p, q: torch.exp(p - (p + q)), _PRODUCT),
        Mistake(
            lambda p, q: torch.exp(p - torch.log(p.exp() + q.exp())),
            "The logarithm of p + q is right, but you go through p and q themselves: where both round to 0 it is minus infinity. torch.logaddexp(log_p, log_q) gives it from the logarithms.",
        ),
        Mistake(
            lambda p, q: (p - q).exp() / (1 + (p - q).exp()),
            "Right on paper, but the ratio p / q overflows where p is far above q: infinity / infinity is NaN. Divide above and below by it, 1 / (1 + exp(log q - log p)): the sigmoid.",
        ),
        Mistake(
            lambda p, q: p / torch.logaddexp(p, q),
            "You divided log p by log(p + q): dividing the densities means subtracting their logarithms, and then exp.",
        ),
    ),
)  # fmt: skip

# --- exercise 5 ---------------------------------------------------------------------------------------------------------------


class _Game(nn.Module):
    """The class of the exercise, with its answer."""

    def __init__(self, latent_dim: int, features: int, hidden: int = 128, learning_rate: float = 1e-3):
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(latent_dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, features)
        )
        self.discriminator = nn.Sequential(
            nn.Linear(features, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1), nn.Flatten(0),
        )  # fmt: skip
        settings = {"lr": learning_rate, "betas": (0.5, 0.999)}
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), **settings)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), **settings)

    def play(self, batches: Any) -> Tensor:
        return torch.tensor([self.step(batch) for batch in batches])

    def generate(self, latents: Tensor) -> Tensor:
        return self.generator(latents)

    def judge(self, samples: Tensor) -> Tensor:
        return self.discriminator(samples)

    def step(self, batch: Any) -> tuple[float, float]:
        real, latents = batch
        fake = self.generator(latents)
        loss_d = losses.minimax_discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
        self.discriminator_optimizer.zero_grad()
        loss_d.backward()
        self.discriminator_optimizer.step()
        loss_g = losses.non_saturating_generator_loss(self.discriminator(fake))
        self.generator_optimizer.zero_grad()
        loss_g.backward()
        self.generator_optimizer.step()
        return loss_d.item(), loss_g.item()


def _playing(count: int, dim: int, hidden: int, skilled: bool = False) -> Callable[[Draw], Build]:
    """Four steps on batches of `count` samples of `dim` numbers from noise of `dim` numbers, then a look at both networks.

    A `skilled` discriminator tells real samples from generated ones already: its weights are positive, real samples lie above zero, generated ones below.
    """

    def make(draw: Draw) -> Build:
        sizes = [(hidden, dim), (hidden, hidden), (dim, hidden)], [(hidden, dim), (hidden, hidden), (1, hidden)]
        parameters = {}
        for network, layers in zip(("generator", "discriminator"), sizes, strict=True):
            for place, (rows, columns) in zip((0, 2, 4), layers, strict=True):
                parameters[f"{network}.{place}.weight"] = 1.5 * columns**-0.5 * draw.normal(rows, columns)
                parameters[f"{network}.{place}.bias"] = 0.3 * draw.normal(rows)
        if skilled:
            parameters |= {
                name: value.abs()
                for name, value in parameters.items()
                if name.startswith("discriminator") and name.endswith("weight")
            }
            parameters["generator.4.bias"] = parameters["generator.4.bias"] - 4
            parameters["discriminator.4.bias"] = torch.zeros(1)
        batches = torch.stack([draw.normal(4, count, dim) + 1 + skilled, draw.normal(4, count, dim)], dim=1)
        calls = {
            "play": batches[:3],
            "step": batches[3],  # what `step` itself returns: `play` would make tensors of the losses
            "generate": draw.normal(4, dim),
            "judge": draw.normal(4, dim),
        }
        return Build((dim, dim, hidden, 0.01 if skilled else 0.05), parameters, calls)

    return make


def _steps(
    *order: str,
    d_loss: Callable[[Any, Tensor, Tensor], Tensor] = lambda game, real, fake: losses.minimax_discriminator_loss(
        game.discriminator(real), game.discriminator(fake.detach())
    ),
    g_loss: Callable[[Any, Tensor, Tensor], Tensor] = lambda game, real, fake: losses.non_saturating_generator_loss(
        game.discriminator(fake)
    ),
    returned: Callable[[Any, Any], Any] = lambda d, g: (d.item(), g.item()),
    fused: bool = False,
    swapped: bool = False,
) -> type[nn.Module]:
    """A game whose step does what `order` says: "d loss", "d zero", "d back", "d step", "g ...", and "fake" for new samples.

    Also "d ask", a loss that is only returned, and "d freeze". With `fused`, Adam hides from autograd that it has changed the weights.
    With `swapped` the noise is taken for the data.
    """

    def step(self: Any, batch: Any) -> Any:
        real, latents = batch
        if swapped:
            real, latents = latents, real
        fake = self.generator(latents)
        found: dict[str, Tensor] = {}
        asked: dict[str, Tensor] = {}
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            optimizer.param_groups[0]["fused"] = fused
        optimizers = {"d": self.discriminator_optimizer, "g": self.generator_optimizer}
        for what in order:
            who, _, verb = what.partition(" ")
            if who == "fake":
                fake = self.generator(latents)
            elif verb == "loss":
                found[who] = {"d": d_loss, "g": g_loss}[who](self, real, fake)
            elif verb == "ask":
                asked[who] = {"d": d_loss, "g": g_loss}[who](self, real, fake).detach()
            elif verb == "freeze":
                self.discriminator.requires_grad_(False)
            elif verb == "zero":
                optimizers[who].zero_grad()
            elif verb == "back":
                found[who].backward()
            elif verb == "step":
                optimizers[who].step()
        return returned(*(asked.get(who, found[who]) for who in "dg"))

    return type("Game", (_Game,), {"step": step})


_D, _G = (tuple(f"{who} {verb}" for verb in ("loss", "zero", "back", "step")) for who in "dg")


def _detached(game: Any, real: Tensor, fake: Tensor) -> Tensor:
    return losses.minimax_discriminator_loss(game.discriminator(real), game.discriminator(fake.detach()))


def _attached(game: Any, real: Tensor, fake: Tensor) -> Tensor:
    return losses.minimax_discriminator_loss(game.discriminator(real), game.discriminator(fake))


game = Check(
    name="Game",
    signature=("latent_dim", "features", "hidden", "learning_rate"),
    reference=_Game,
    holds="the losses of four steps as plain numbers, and both networks after them",
    look='01_gan, exercise 5 "One step of each"',
    hint="Discriminator: its loss on real and on fake.detach(), zero_grad, backward, step. Then, with the discriminator as it is now, the generator: its loss "
    "on the same samples without detach, zero_grad, backward, step. (It uses your losses of exercises 1 and 3: are their checks green?)",
    cases=(
        Case("4 steps on 5 points of the plane", _playing(5, 2, 6)),
        Case("4 steps on 4 samples of 3 numbers", _playing(4, 3, 5)),
        Case(
            "4 steps with a discriminator that is good already",
            _playing(6, 2, 5, skilled=True),
            alone="Your step is right but where the discriminator is good already: does it skip its turn there? The exercise has one step of each, whatever the losses say.",
        ),
    ),
    hidden_cases=(Case("4 steps on 8 samples of 4 numbers", _playing(8, 4, 7)),),
    relative=1e-3,
    absolute=1e-4,
    mistakes=(
        Mistake(
            _steps("d zero", "g zero", "d loss", "d back", "d step", "fake", "g loss", "g back", "g step", d_loss=_attached),
            "The generated samples are not detached in the discriminator's loss: its backward() leaves a gradient in the *generator* as well, which then moves "
            "by the sum of both losses, half of the way to please D. Give D `fake.detach()`.",
        ),
        Mistake(
            _steps(*_D, *_G, d_loss=_attached),
            "The discriminator's backward() has run through the generator and freed its graph, so the generator's own backward() finds none. Detach the samples "
            "in the *discriminator's* loss, `self.discriminator(fake.detach())`: it is also half the work. (retain_graph=True would only hide it.)",
        ),
        Mistake(
            _steps(*_D, "g loss", "g zero", "g back"),
            "The generator never moves: its optimizer makes no step after backward(), or zero_grad() between the two wipes the gradient out, or none reaches it because its "
            "samples are cut off in its own loss (detach, no_grad). Detach for the discriminator's loss only.",
        ),
        Mistake(
            _steps("d loss", "d zero", "d back", *_G),
            "The discriminator never moves: its optimizer's step() is missing, or stands before backward(), or zero_grad() between the two wipes out what backward() has found.",
        ),
        Mistake(
            _steps(*_D, *_G, d_loss=lambda game, real, fake: losses.minimax_discriminator_loss(game.discriminator(real), game.discriminator(fake).detach())),
            "You detach the discriminator's *logits* of the generated samples (or compute them under no_grad): then it learns from real samples only, and calls "
            "everything real. Detach its input, `self.discriminator(fake.detach())`.",
        ),
        Mistake(
            _steps(*_D, *_G, d_loss=lambda game, real, fake: losses.minimax_discriminator_loss(game.discriminator(real).detach(), game.discriminator(fake.detach()))),
            "You detach the discriminator's *logits* of the real samples (or compute them under no_grad): then it learns from generated samples only, and calls "
            "everything generated. What is to be detached are the generated samples, before it sees them.",
        ),
        Mistake(
            _steps("d loss", "d back", "d step", *_G),
            "The discriminator's gradients are not zeroed: they add up over the steps, and the generator's backward() puts its own on top. zero_grad() before each backward().",
        ),
        Mistake(
            _steps(*_D, "g loss", "g back", "g step"),
            "The generator's gradients are not zeroed: they add up over the steps. zero_grad() before each backward().",
        ),
        Mistake(
            _steps("d loss", "d back", "d step", "g loss", "g back", "g step"),
            "No gradients are zeroed: they add up over all steps, and the generator's backward() puts its own into the discriminator. zero_grad() before each backward().",
        ),
        Mistake(
            _steps(*_G, "fake", *_D),
            "The generator moves first, and the discriminator then sees new samples: the exercise has the discriminator first, so that the generator hears the opinion "
            "of one that has just learned.",
        ),
        Mistake(
            _steps(*_G, *_D),
            "The discriminator has not moved yet when the generator asks for its opinion (both losses are computed before anybody moves, or the generator goes first): the players "
            "take turns, the discriminator first.",
        ),
        Mistake(
            _steps("d zero", "g zero", "d loss", "g loss", "d back", "g back", "d step", "g step"),
            "Both backward() passes come before the discriminator's step (or you add the two losses): so the generator's loss leaves its gradient in the *discriminator* too, which "
            "then tries to be fooled. First finish D's turn: zero_grad, backward, step.",
        ),
        Mistake(
            _steps("d zero", "g zero", "d loss", "g loss", "d back", "d step", "g back", "g step"),
            "A network has moved between a loss and its backward(), which needs the old weights. Either the generator's loss was computed before the discriminator moved: ask it again "
            "after its step. Or the optimizers are swapped: after each backward() the optimizer of that player steps.",
        ),
        Mistake(
            _steps(*_D, *_G, d_loss=lambda game, real, fake: losses.minimax_discriminator_loss(game.discriminator(fake.detach()), game.discriminator(real))),
            "Real and generated samples are swapped in the discriminator's loss: it learns to call the generator's samples real.",
        ),
        Mistake(
            _steps(*_D, *_G, g_loss=lambda game, real, fake: losses.minimax_generator_loss(game.discriminator(fake))),
            "Your generator has the saturating loss of exercise 2: here the non-saturating one of exercise 3 is asked for, which also learns while D is sure.",
        ),
        Mistake(
            _steps(*_D, *_G, g_loss=lambda game, real, fake: -losses.non_saturating_generator_loss(game.discriminator(fake))),
            "The generator's loss has its sign turned: it learns to be found out.",
        ),
        Mistake(
            _steps(*_D, *_G, g_loss=lambda game, real, fake: -_attached(game, real, fake)),
            "Your generator's loss is minus that of the discriminator. In the game that is right, but its gradient is the saturating one: use the loss of exercise 3.",
        ),
        Mistake(
            _steps(*_D, *_G, g_loss=_attached),
            "Your generator minimises the *discriminator's* loss: so the two work together, and nobody forges. Use the loss of exercise 3.",
        ),
        Mistake(
            _steps(*_D, *_D, *_G),
            "The discriminator makes two steps: one of each is asked for.",
        ),
        Mistake(
            _steps(*_D, *_G, returned=lambda d, g: (g.item(), d.item())),
            "The two results are swapped: first the discriminator's loss, then the generator's.",
        ),
        Mistake(
            _steps(*_D, *_G, returned=lambda d, g: None),
            "`step` returns nothing (None): the two losses are asked for, `return loss_d.item(), loss_g.item()`.",
        ),
        Mistake(
            _steps(*_D, *_G, returned=lambda d, g: (d + g).item()),
            "`step` returns the sum of the losses: both are asked for, one by one, since neither says much about the other.",
        ),
        Mistake(
            _steps("d loss", "g loss", "d zero", "d back", "d step", "g zero", "g back", "g step", fused=True),
            "Both losses are computed before anybody moves, and then the generator goes backward through a discriminator whose weights have changed since: a gradient of neither. "
            "Finish the discriminator's turn first, then ask the new one for the generator's loss.",
        ),
        Mistake(
            _steps("d loss", "d zero", "d back", "g step", "g loss", "g zero", "g back", "d step", fused=True),
            "The optimizers' steps are swapped: after the discriminator's backward() the discriminator's optimizer steps, after the generator's the generator's.",
        ),
        Mistake(
            _steps("d loss", "d back", "d step", "d zero", *_G),
            "The discriminator's gradients are zeroed after its step and not before its backward() (or the two zero_grad() are swapped): in between comes the generator's turn, "
            "whose backward() leaves its own gradient in the discriminator. Zero them just before the discriminator's backward().",
        ),
        Mistake(
            _steps("d loss", "g loss"),
            "Neither network moves: a step() of each optimizer after its backward() is missing, or zero_grad() between the two wipes the gradient out.",
        ),
        Mistake(
            _steps(*_D, *_G, "fake", *_G),
            "The generator makes two steps: one of each is asked for.",
        ),
        Mistake(
            _steps(*_D, *_G, "d step"),
            "The discriminator makes a second step after the generator's turn, along the gradient of the *generator's* loss: so it tries to be fooled.",
        ),
        Mistake(
            _steps(*_D, *_G, d_loss=lambda game, real, fake: _detached(game, real, fake) / 2),
            "The discriminator's loss is halved: it is the sum of the two means, discriminator_loss of exercise 1. (Adam does not care about the factor, who reads the loss does.)",
        ),
        Mistake(
            _steps("g ask", *_D, *_G),
            "The steps are right, but the generator's loss that you return is stale, from before the discriminator moved: return the one that you went backward from.",
        ),
        Mistake(
            _steps(*_D, "d ask", *_G),
            "The steps are right, but the discriminator's loss that you return was computed again after its step: return the one that you went backward from.",
        ),
        Mistake(
            _steps(*_D, *_G, "fake", "d ask", "g ask"),
            "The steps are right, but the losses that you return were computed again after both had moved: return those that you went backward from.",
        ),
        Mistake(
            _steps(*_D, "d freeze", *_G),
            "backward() finds nothing to learn. Either the discriminator was frozen in the generator's turn (requires_grad False) and never woken: from the second step on it cannot "
            "learn. Or the logits of a loss were computed under no_grad or detached, so that no graph leads back.",
        ),
        Mistake(
            _steps(*_D, *_G, returned=lambda d, g: (d.detach(), g.detach())),
            "You return tensors: plain numbers are asked for, `return loss_d.item(), loss_g.item()`. A loss that stays a tensor keeps its whole graph in memory as long as it is kept.",
        ),
        Mistake(
            _steps(
                *_D, *_G,
                d_loss=lambda game, real, fake: losses.minimax_discriminator_loss(game.discriminator(real).sigmoid(), game.discriminator(fake.detach()).sigmoid()),
                g_loss=lambda game, real, fake: losses.non_saturating_generator_loss(game.discriminator(fake).sigmoid()),
            ),
            "You take a sigmoid before the losses, which take one themselves: `self.discriminator` gives logits, and the losses of exercises 1 and 3 want logits.",
        ),
        Mistake(
            _steps(*_D, *_G, swapped=True),
            "Real samples and noise are swapped: the batch is (real, latents), in this order. Your generator makes samples from data, and the discriminator takes noise for real.",
        ),
        Mistake(
            _steps(*_D, *_G, g_loss=lambda game, real, fake: losses.non_saturating_generator_loss(game.discriminator(real))),
            "The generator's loss asks the discriminator about *real* samples: the generator has no part in them, so it never moves. Ask about its own, `fake`.",
        ),
    ),
)  # fmt: skip

# --- exercise 6 ---------------------------------------------------------------------------------------------------------------


def _coverage(points: Tensor, means: Tensor, std: float) -> tuple[int, float]:
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return len(nearest[good].unique()), good.float().mean().item()


def _measured(
    distances: Callable[[Tensor, Tensor], Tensor] = torch.cdist, reach: Callable[[float], float] = lambda std: 3 * std
) -> Callable[[Tensor, Tensor, float], tuple[int, float]]:
    """The right count with another distance, (points, modes), or another reach."""

    def coverage(points: Tensor, means: Tensor, std: float) -> tuple[int, float]:
        found, nearest = distances(points, means).min(dim=1)
        good = found <= reach(std)
        return len(nearest[good].unique()), good.float().mean().item()

    return coverage


def _counted(
    covered: Callable[[Tensor, Tensor, Tensor], Any] = lambda nearest, good, means: len(nearest[good].unique()),
    share: Callable[[Tensor, Tensor, Tensor], Any] = lambda nearest, good, means: good.float().mean().item(),
) -> Callable[[Tensor, Tensor, float], Any]:
    """The right distances, but something else counted: from nearest (points,), good (points,), and the means."""

    def coverage(points: Tensor, means: Tensor, std: float) -> tuple[Any, Any]:
        distances, nearest = torch.cdist(points, means).min(dim=1)
        good = distances <= 3 * std
        return covered(nearest, good, means), share(nearest, good, means)

    return coverage


def _nearest(points: Tensor, means: Tensor) -> Tensor:
    return means[torch.cdist(points, means).argmin(dim=1)]  # (points, 2)


def _nearby(points: Tensor, means: Tensor, good: Tensor) -> tuple[int, float]:
    """The right count, with another idea of which points are good."""
    return len(torch.cdist(points, means).argmin(dim=1)[good].unique()), good.float().mean().item()


def _wrong_axis(distances: Tensor, std: float) -> tuple[int, float]:
    found, nearest = distances.min(dim=0)
    good = found <= 3 * std
    return len(nearest[good].unique()), good.float().mean().item()


def _reached(points: Tensor, means: Tensor, std: float) -> Tensor:
    return torch.cdist(points, means) <= 3 * std  # (points, modes)


def _mixture(
    count: int, modes: int, std: float, empty: tuple[int, ...], apart: float = 2.0, stray: float = 4.0
) -> Callable[[Draw], tuple[Tensor, Tensor, float]]:
    """Points on all modes but those in `empty`, a third of them `stray` times as far, so that distances of all sizes occur."""

    def make(draw: Draw) -> tuple[Tensor, Tensor, float]:
        angles = torch.arange(modes) * (2 * math.pi / modes)
        means = apart * torch.stack([angles.cos(), angles.sin()], dim=1)
        made = torch.tensor([mode for mode in range(modes) if mode not in empty])
        chosen = means[made[draw.integers(len(made), count)]]
        strayed = torch.where(torch.arange(count) % 3 == 0, stray, 0.7)[:, None]
        return chosen + std * strayed * draw.normal(count, 2), means, std

    return make


def _all_far(draw: Draw) -> tuple[Tensor, Tensor, float]:
    return 50 + draw.normal(6, 2), draw.normal(4, 2), 0.1


mode_coverage = Check(
    name="mode_coverage",
    signature=("points", "means", "std"),
    reference=_coverage,
    holds="modes covered and share of good points, also where modes lie close together and where no point is good",
    look='01_gan, exercise 6 "Which modes are made?"',
    hint="torch.cdist(points, means) is (points, modes). min(dim=1) gives each point's distance to its nearest mode, and which it is. Then count.",
    cases=(
        Case("60 points, 6 modes", _mixture(60, 6, 0.05, (2,))),
        Case("30 points, 4 modes", _mixture(30, 4, 0.3, (0,))),
        Case(
            "120 points, 12 modes",
            _mixture(120, 12, 0.05, (0, 6)),
            alone="Your result is wrong only where there are more than eight modes: their number is len(means), and none of your own.",
        ),
        Case("9 points that are all good, 5 modes", _mixture(9, 5, 0.05, (3,), stray=0.5)),
        Case(
            "modes that overlap",
            _mixture(12, 8, 0.4, (7,), apart=0.8),
            alone="Your result is wrong only where modes lie close together: a point counts for its *nearest* mode, and for no other, even if others are within reach.",
        ),
        Case(
            "no good point at all",
            _all_far,
            alone="Your result is wrong only where no point is good: then no mode is covered, and the share is 0.",
        ),
    ),
    hidden_cases=(Case("200 points, 9 modes", _mixture(200, 9, 0.1, (4,))), Case("1 point, 3 modes", _mixture(1, 3, 0.1, (1,)))),
    mistakes=(
        Mistake(_measured(reach=lambda std: std), "You count points within *one* standard deviation: within three is asked for."),
        Mistake(_measured(reach=lambda std: 2 * std), "You count points within *two* standard deviations: within three is asked for."),
        Mistake(
            _measured(reach=lambda std: 3 * std**2),
            "You compare the distance with three *variances*: `std` is the standard deviation already.",
        ),
        Mistake(
            _measured(reach=lambda std: 3 * std**0.5),
            "You took the root of `std`: it is the standard deviation already, not the variance.",
        ),
        Mistake(
            _measured(distances=lambda points, means: torch.cdist(points, means).square()),
            "You compare the *squared* distance with 3 std: take the root, or compare with (3 std)^2.",
        ),
        Mistake(
            _measured(distances=lambda points, means: torch.cdist(points, means).square(), reach=lambda std: 3 * std**2),
            "You compare the squared distance with 3 std^2: the 3 has to be squared as well, (3 std)^2.",
        ),
        Mistake(
            _measured(distances=lambda points, means: torch.cdist(points, means, p=1)),
            "You added up the differences in x and y: the distance is the root of the sum of their squares.",
        ),
        Mistake(
            _measured(distances=lambda points, means: torch.cdist(points, means, p=math.inf)),
            "You look at x and y one by one, within three deviations each: that is a square around the mode, where a disc is asked for.",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: len(nearest.unique())),
            "You count every mode that is the nearest of *any* point: only good points count. A point half-way between two modes covers neither.",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: len(torch.where(good, nearest, -1).unique())),
            "You count one mode too many where some points are not good: the mark of these points counts as a mode of its own. Choose the good ones first, nearest[good].",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: len(nearest[good].unique()) / len(means)),
            "You return the *share* of covered modes: their number is asked for.",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: int(good.sum())),
            "You count the good *points*: asked for is how many different modes they cover.",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: len(means) - len(nearest[good].unique())),
            "You count the modes that are *missed*.",
        ),
        Mistake(
            lambda points, means, std: (int(_reached(points, means, std).any(dim=0).sum()), _coverage(points, means, std)[1]),
            "Where modes lie close together you let one point cover several: it counts for its *nearest* mode only.",
        ),
        Mistake(
            lambda points, means, std: (_coverage(points, means, std)[0], _reached(points, means, std).float().mean().item()),
            "You average over all pairs of a point and a mode: a point is good if it is near one mode, whatever its distance to the others.",
        ),
        Mistake(
            lambda points, means, std: (
                int((torch.cdist(points, means).min(dim=0).values <= 3 * std).sum()),
                (torch.cdist(points, means).min(dim=0).values <= 3 * std).float().mean().item(),
            ),
            "You went the wrong way: for each mode you took the nearest point. Take for each *point* its nearest mode: min(dim=1) of (points, modes).",
        ),
        Mistake(
            _counted(share=lambda nearest, good, means: 1 - good.float().mean().item()),
            "You return the share of *bad* points.",
        ),
        Mistake(
            _counted(share=lambda nearest, good, means: float(good.sum())),
            "You return the *number* of good points: divide by how many there are.",
        ),
        Mistake(
            _counted(share=lambda nearest, good, means: 100 * good.float().mean().item()),
            "You return per cent: a share lies between 0 and 1.",
        ),
        Mistake(
            _counted(share=lambda nearest, good, means: good.float().mean()),
            "The share is still a tensor: .item() makes it a plain number.",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: torch.tensor(len(nearest[good].unique()))),
            "The number of modes is still a tensor: .item() or len(...) gives a plain number.",
        ),
        Mistake(
            lambda points, means, std: _coverage(points, means, std)[::-1],
            "The two results are swapped: first the number of modes, then the share.",
        ),
        Mistake(
            lambda points, means, std: _coverage(points, means, std)[0],
            "You return the number of modes only: the share of good points belongs to the answer, or a generator of noise would cover everything.",
        ),
        Mistake(
            lambda points, means, std: _nearby(points, means, ((points - _nearest(points, means)).abs() <= 3 * std).any(dim=1)),
            "You call a point good if x *or* y is within three deviations: that is a cross around the mode. The distance counts, the root of both squares' sum.",
        ),
        Mistake(_measured(reach=lambda std: 3), "You compare the distance with 3: within three *standard deviations* is asked for, 3 * std."),
        Mistake(
            lambda points, means, std: _wrong_axis(torch.cdist(points, means), std),
            "You went the wrong way: min(dim=0) of (points, modes) gives for each *mode* the nearest point. Take for each *point* its nearest mode, min(dim=1).",
        ),
        Mistake(
            lambda points, means, std: (_wrong_axis(torch.cdist(points, means), std)[0], _coverage(points, means, std)[1]),
            "For the covered modes you went the wrong way: min(dim=0) of (points, modes) gives for each *mode* the nearest point. Count the different nearest modes of good points.",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: len(torch.bincount(nearest[good]))),
            "The length of bincount is the highest number of a covered mode, plus 1: modes that are left out below it count as well. Count its entries above zero.",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: sum(int((nearest[good] == mode).any()) for mode in range(8))),
            "You look at the first eight modes only: how many there are is len(means), and the notebook's grid has 25.",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: sum(bool(good[nearest == mode].float().mean() > 0.5) for mode in range(len(means)))),
            "You want most of a mode's samples to be good: one good sample covers it.",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: sum(bool(good[nearest == mode].all()) for mode in range(len(means)) if (nearest == mode).any())),
            "You want *all* of a mode's samples to be good: one good sample covers it.",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: sum(bool(good[nearest == mode].all()) for mode in range(len(means)))),
            "You want *all* of a mode's samples to be good, which also holds where it has none: a mode is covered if it has at least one good sample, any().",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: int((torch.bincount(nearest[good], minlength=len(means)) > 1).sum())),
            "You want more than one good sample for a covered mode: one is enough.",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: len(torch.where(good, nearest, -1).unique()) - 1),
            "You take off 1 for the mark of points that are not good, but there may be none. Choose the good ones first, nearest[good].",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: len((nearest * good).unique())),
            "Points that are not good are counted for mode 0 (nearest * good). Choose the good ones first, nearest[good].",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: len(nearest[good].unique_consecutive())),
            "unique_consecutive only drops repetitions that follow each other, and the points come in any order: unique().",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: float(len(nearest[good].unique()))),
            "The number of modes is a float: a count is an int.",
        ),
        Mistake(
            _counted(covered=lambda nearest, good, means: nearest[good].unique().tolist()),
            "You return *which* modes are covered: how many is asked for.",
        ),
        Mistake(
            _counted(
                covered=lambda nearest, good, means: torch.tensor(len(nearest[good].unique())),
                share=lambda nearest, good, means: good.float().mean(),
            ),
            "Both results are still tensors: plain numbers are asked for, len(...) and .item().",
        ),
        Mistake(
            _counted(share=lambda nearest, good, means: len(nearest[good].unique()) / len(means)),
            "The second result is the share of covered *modes*: the share of good *points* is asked for.",
        ),
        Mistake(
            _counted(share=lambda nearest, good, means: good.sum().item() / len(means)),
            "You divide the number of good points by the number of *modes*: it is a share of the points.",
        ),
        Mistake(
            _counted(share=lambda nearest, good, means: len(nearest[good].unique()) / len(nearest)),
            "You divide the number of covered modes by the number of points: the share counts good *points*.",
        ),
        Mistake(
            _counted(share=lambda nearest, good, means: int(good.sum())),
            "You return the *number* of good points: divide by how many there are.",
        ),
    ),
)  # fmt: skip
