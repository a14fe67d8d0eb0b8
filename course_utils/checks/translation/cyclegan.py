"""Checks of notebook translation/cyclegan."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.engine import Case, Check, Draw, Mistake
from course_utils.checks.perform import Network
from course_utils.gans.losses import least_squares_discriminator_loss

__all__ = ["cycle_loss", "full_objective", "identity_loss", "least_squares_loss", "query"]

Translation = Callable[[Tensor], Tensor]


def _network(draw: Draw, inputs: int, hidden: int, *shape: int) -> Network:
    """A small function of pictures that is not linear: of a picture with `inputs` values to `shape`."""
    outputs = torch.Size(shape).numel()
    weights = (1.5 * inputs**-0.5 * draw.normal(hidden, inputs), 1.5 * hidden**-0.5 * draw.normal(outputs, hidden))
    return Network(weights, (0.3 * draw.normal(hidden), 0.3 * draw.normal(outputs)), shape)


def _factor(factor: float, *shape: int) -> Network:
    """The translation that multiplies every value."""
    size = torch.Size(shape).numel()
    return Network((factor * torch.eye(size),), (torch.zeros(size),), shape)


def _collections(draw: Draw, of_x: int, of_y: int, *shape: int) -> tuple[Tensor, Tensor, Network, Network]:
    """Pictures x and y, and translations from x to y and back."""
    size = torch.Size(shape).numel()
    x, y = (draw.uniform(number, *shape, low=-1) for number in (of_x, of_y))
    return x, y, _network(draw, size, 7, *shape), _network(draw, size, 6, *shape)


_TOGETHER = "You took one mean over both collections together: each has a mean of its own, and they may hold different numbers of pictures."
_ADDED_BEFORE = (
    "You add the two errors value by value before the mean: that works only while both collections hold equally many pictures. "
    "First a mean for each, then the sum."
)
_ONE_COUNT = "You divide both sums by the number of values of *one* collection: the two may hold different numbers of pictures, so each has a mean of its own."
_SHORTER = "You cut both collections to the length of the shorter one: each has a mean over all of its own pictures."
_FIRST_ONLY = "Only the first picture counts: the mean goes over the whole batch."
_NO_MEAN = "The mean is missing: a loss is one number. For each of the two errors take .mean(), then add."
_APART = "You return the two errors apart: add them to one loss."

Errors = Callable[[Tensor, Tensor, Translation, Translation], tuple[Tensor, Tensor]]


def _joined(errors: Errors, join: Callable[[Tensor, Tensor], Tensor], default: float) -> Callable[..., Tensor]:
    """The weighted loss that makes one number of the two errors in its own way."""
    return lambda x, y, g, f, weight=default: weight * join(*errors(x, y, g, f))


def _absolute_mistakes(errors: Errors, default: float) -> tuple[Mistake, ...]:
    """Mistakes of the sum of two mean absolute errors, as it is in exercises 1 and 2; `default` is the weight."""

    def joined(join: Callable[[Tensor, Tensor], Tensor], sentence: str) -> Mistake:
        return Mistake(_joined(errors, join, default), sentence)

    def each(loss: Callable[[Tensor], Tensor], sentence: str) -> Mistake:
        return joined(lambda a, b: loss(a) + loss(b), sentence)

    def cut(number: Callable[[Tensor, Tensor], int]) -> Errors:
        return lambda x, y, g, f: errors(x[: number(x, y)], y[: number(x, y)], g, f)

    def of(some: Errors) -> Callable[..., Tensor]:
        return _joined(some, lambda a, b: a.abs().mean() + b.abs().mean(), default)

    return (
        joined(lambda a, b: (a.abs() + b.abs()).mean(), _ADDED_BEFORE),
        joined(lambda a, b: 2 * torch.cat([a, b]).abs().mean(), _TOGETHER),
        joined(
            lambda a, b: torch.cat([a, b]).abs().mean(),
            f"{_TOGETHER} And the two means are added, so yours is about half as large.",
        ),
        joined(lambda a, b: (a.abs().sum() + b.abs().sum()) / a.numel(), _ONE_COUNT),
        joined(lambda a, b: (a.abs().sum() + b.abs().sum()) / b.numel(), _ONE_COUNT),
        Mistake(of(cut(lambda x, y: min(len(x), len(y)))), _SHORTER),
        Mistake(of(cut(lambda x, y: 1)), _FIRST_ONLY),
        each(
            lambda error: error.square().mean().sqrt(),
            "You took the root of the mean squared error: L1 is the mean of the absolute values.",
        ),
        each(
            lambda error: F.smooth_l1_loss(error, torch.zeros_like(error)),
            "smooth_l1_loss is a squared error near 0: take the plain absolute error, F.l1_loss.",
        ),
        each(
            lambda error: torch.linalg.matrix_norm(error, ord=1).mean(),
            "The matrix norm of order 1 is the largest sum of a column: take the mean of all absolute values.",
        ),
        each(
            lambda error: error.abs().sum(1).mean(),
            "You summed over the channels: here all is averaged, channels as well as pixels and pictures.",
        ),
        joined(lambda a, b: a.abs() + b.abs(), _NO_MEAN),
        joined(lambda a, b: torch.stack([a.abs().mean(), b.abs().mean()]), _APART),
    )


def _sums(per_value: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Sum over a picture's values, mean over the batch."""
    return lambda got, wanted: per_value(got, wanted).flatten(1).sum(1).mean()


# --- exercise 1 -------------------------------------------------------------------------------------------------------------


def _cycle(
    distance: Callable[[Tensor, Tensor], Tensor] = F.l1_loss,
    forward: float = 1.0,
    backward: float = 1.0,
    there: Callable[[Tensor], Tensor] | None = None,
    there_x: Callable[[Tensor], Tensor] = lambda translated: translated,
    there_y: Callable[[Tensor], Tensor] = lambda translated: translated,
    error_x: Callable[[Tensor], Tensor] = lambda error: error,
    error_y: Callable[[Tensor], Tensor] = lambda error: error,
) -> Callable[..., Tensor]:
    """The cycle loss with one of its parts replaced; `there` is done to translations, `there_x` to those of x only."""
    there_x, there_y = there or there_x, there or there_y

    def cycle_loss(x: Tensor, y: Tensor, x_to_y: Translation, y_to_x: Translation, weight: float = 10.0) -> Tensor:
        forward_loss = error_x(distance(y_to_x(there_x(x_to_y(x))), x))
        backward_loss = error_y(distance(x_to_y(there_y(y_to_x(y))), y))
        return weight * (forward * forward_loss + backward * backward_loss)

    return cycle_loss


_cycle_loss = _cycle()


_ONE_WAY_CUT = "One of the two ways is cut between its translations (detach or no_grad): there the first generator is never told that it threw something away."
_ONE_ERROR_CUT = "One of the two errors is cut off from the graph (detach, no_grad or item): neither generator learns anything from it."


def _two_cycle_losses(
    x: Tensor, y: Tensor, x_to_y: Translation, y_to_x: Translation, weight: float = 10.0
) -> tuple[Tensor, Tensor]:
    return weight * F.l1_loss(y_to_x(x_to_y(x)), x), weight * F.l1_loss(x_to_y(y_to_x(y)), y)


def _cycle_errors(x: Tensor, y: Tensor, x_to_y: Translation, y_to_x: Translation) -> tuple[Tensor, Tensor]:
    return y_to_x(x_to_y(x)) - x, x_to_y(y_to_x(y)) - y


def _clipped(pictures: Tensor) -> Tensor:
    return pictures.clamp(-1, 1)


cycle_loss = Check(
    name="cycle_loss",
    signature=("x", "y", "x_to_y", "y_to_x", "weight"),
    reference=_cycle_loss,
    holds="the mean absolute error of both ways there and back, weighted, with gradient through both translations",
    look='02_cyclegan, exercise 1 "There and back"',
    hint="F.l1_loss(y_to_x(x_to_y(x)), x) is the way there and back of x; y goes the other way round. Add both, multiply by `weight`.",
    cases=(
        Case("2 pictures x and 2 y, 3 channels, 4x4, weight left out", lambda draw: _collections(draw, 2, 2, 3, 4, 4)),
        Case("2 x and 3 y, 1 channel, 4x6, weight 3", lambda draw: (*_collections(draw, 2, 3, 1, 4, 6), 3.0)),
        Case(
            "translations that undo each other, so that the loss is 0",
            lambda draw: (*_collections(draw, 2, 2, 1, 4, 4)[:2], _factor(-2.0, 1, 4, 4), _factor(-0.5, 1, 4, 4)),
        ),
    ),
    hidden_cases=(
        Case("1 x and 3 y, 2 channels, 4x4", lambda draw: _collections(draw, 1, 3, 2, 4, 4)),
        Case("3 x and 1 y, weight 0.5", lambda draw: (*_collections(draw, 3, 1, 3, 4, 4), 0.5)),
    ),
    gradients="required",
    differentiable=("x_to_y", "y_to_x"),
    mistakes=(
        Mistake(
            _cycle(F.mse_loss),
            "You took the squared error: the cycle loss is the mean *absolute* error (L1), which blurs less. F.l1_loss gives it.",
        ),
        Mistake(
            _cycle(backward=0.0),
            "The way x -> y -> x is there, but y -> x -> y is missing: a collapsed F could send every y to one picture, and nothing would object.",
        ),
        Mistake(
            _cycle(forward=0.0),
            "The way y -> x -> y is there, but x -> y -> x is missing: a collapsed G could send every x to one picture, and nothing would object.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: _cycle_loss(x, y, g, f, 1.0),
            "`weight` (lambda) is missing: without it the adversarial losses outweigh the way back, and the content is lost.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: weight * F.l1_loss(f(g(x)), x) + F.l1_loss(g(f(y)), y),
            "`weight` multiplies only the first of the two errors: put both into brackets.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: F.l1_loss(f(g(x)), x) + weight * F.l1_loss(g(f(y)), y),
            "`weight` multiplies only the second of the two errors: put both into brackets.",
        ),
        Mistake(
            _cycle(forward=0.5, backward=0.5),
            "You averaged the two ways: they are added, so yours is half as large.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: weight * (F.l1_loss(g(f(x)), x) + F.l1_loss(f(g(y)), y)),
            "The translations are applied in the wrong order: x has to go through `x_to_y` first, and y through `y_to_x`. You gave each "
            "network pictures of the domain that it *makes*.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: weight * (F.l1_loss(g(x), x) + F.l1_loss(f(y), y)),
            "You compare a picture with its translation, without the way back: the smallest loss would be to change nothing. Translate back before you compare.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: weight * (F.l1_loss(g(g(x)), x) + F.l1_loss(f(f(y)), y)),
            "You went twice in the same direction: after x_to_y comes y_to_x, and after y_to_x comes x_to_y.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: weight * (F.l1_loss(f(g(x)), g(x)) + F.l1_loss(g(f(y)), f(y))),
            "You compare what came back with the translation that it was made from: compare it with the picture that set out, x or y.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: weight * (F.l1_loss(g(y), y) + F.l1_loss(f(x), x)),
            "This is the identity loss of exercise 2. Here x goes to y *and back*: y_to_x(x_to_y(x)) is compared with x.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: weight * ((f(g(x)) - x).mean() + (g(f(y)) - y).mean()),
            "The absolute value is missing: errors of opposite sign cancel, and the loss can fall below zero.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: weight * ((f(g(x)) - x).mean().abs() + (g(f(y)) - y).mean().abs()),
            "You averaged before taking the absolute value: errors of opposite sign have cancelled by then. First abs(), then mean().",
        ),
        Mistake(
            _cycle(lambda got, wanted: (got - wanted).abs().sum()),
            'You summed over everything: the loss is a mean, or lambda would mean something else for each picture size. reduction="mean" is the default.',
        ),
        Mistake(
            _cycle(_sums(lambda got, wanted: (got - wanted).abs())),
            "You summed over the values of a picture: here all is averaged, pixels as well as pictures, or lambda would mean something else for each picture size.",
        ),
        Mistake(
            _cycle(lambda got, wanted: (got - wanted).flatten(1).norm(dim=1).mean()),
            "You took the Euclidean norm of each picture's error: L1 is the mean of the absolute values.",
        ),
        Mistake(
            _cycle(lambda got, wanted: (got - wanted).abs().flatten(1).mean(1)),
            "You return an error for each picture: the mean over the batch is still missing.",
        ),
        Mistake(_two_cycle_losses, _APART),
        Mistake(
            _cycle(there=Tensor.detach),
            "You cut the graph between the two translations: only the second one would learn, and G would never be told that it threw something away.",
        ),
        Mistake(
            torch.no_grad()(_cycle_loss),
            "The value is right, but it is cut off from the graph (no_grad, detach or .data): neither translation can learn from it.",
        ),
        Mistake(_cycle(there_x=Tensor.detach), _ONE_WAY_CUT),
        Mistake(_cycle(there_y=Tensor.detach), _ONE_WAY_CUT),
        Mistake(_cycle(error_x=Tensor.detach), _ONE_ERROR_CUT),
        Mistake(_cycle(error_y=Tensor.detach), _ONE_ERROR_CUT),
        Mistake(
            lambda *arguments: _cycle_loss(*arguments).item(),
            "You return a Python number: a loss has to stay a tensor until backward() has been called.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: _cycle_loss(x, y, g, f, 1.0) / weight,
            "You divide by `weight`: it multiplies the errors.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: _cycle_loss(x, y, g, f, 10.0),
            "`weight` is ignored: you wrote 10, which is only its default.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: weight * (F.l1_loss(f(g(x)), x) + F.l1_loss(f(g(y)), y)),
            "x goes there and back, but y has to go the other way round: y_to_x first, then x_to_y.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: weight * (F.l1_loss(g(f(x)), x) + F.l1_loss(g(f(y)), y)),
            "y goes there and back, but x has to go the other way round: x_to_y first, then y_to_x.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: weight * (F.l1_loss(g(x), y) + F.l1_loss(f(y), x)),
            "You compare translations with the pictures of the other collection, as if they were pairs: there are none. Translate back, and compare with the "
            "picture that set out.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: weight * (F.l1_loss(f(g(x)), f(y)) + F.l1_loss(g(f(y)), g(x))),
            "You compare what came back with a translation of the other collection: compare it with the picture that set out, x or y.",
        ),
        Mistake(
            _cycle(lambda got, wanted: F.l1_loss(_clipped(got), wanted), there=_clipped),
            "You clip pictures to [-1, 1]: values that are clipped get no gradient. Leave what the generators give as it is.",
        ),
        Mistake(
            _cycle(there=_clipped),
            "You clip translations to [-1, 1]: values that are clipped get no gradient. Leave what the generators give as it is.",
        ),
        Mistake(
            _cycle(lambda got, wanted: F.l1_loss(_clipped(got), wanted)),
            "You clip what came back to [-1, 1]: values that are clipped get no gradient. Leave what the generators give as it is.",
        ),
        *_absolute_mistakes(_cycle_errors, 10.0),
    ),
)


# --- exercise 2 -------------------------------------------------------------------------------------------------------------


def _identity(
    distance: Callable[[Tensor, Tensor], Tensor] = F.l1_loss,
    of_y: float = 1.0,
    of_x: float = 1.0,
    made_y: Callable[[Tensor], Tensor] = lambda picture: picture,
    made_x: Callable[[Tensor], Tensor] = lambda picture: picture,
) -> Callable[..., Tensor]:
    """The identity loss with one of its parts replaced; `made_y` is done to what `x_to_y` made."""

    def identity_loss(x: Tensor, y: Tensor, x_to_y: Translation, y_to_x: Translation) -> Tensor:
        return of_y * distance(made_y(x_to_y(y)), y) + of_x * distance(made_x(y_to_x(x)), x)

    return identity_loss


_identity_loss = _identity()


def _identity_errors(x: Tensor, y: Tensor, x_to_y: Translation, y_to_x: Translation) -> tuple[Tensor, Tensor]:
    return x_to_y(y) - y, y_to_x(x) - x


identity_loss = Check(
    name="identity_loss",
    signature=("x", "y", "x_to_y", "y_to_x"),
    reference=_identity_loss,
    holds="the mean absolute change of pictures that are in the right domain already, with gradient",
    look='02_cyclegan, exercise 2 "Leave alone what is right"',
    hint="`x_to_y` makes pictures of the domain of y, so give it a y, and compare with that y. The same for `y_to_x` and x.",
    cases=(
        Case("2 pictures x and 2 y, 3 channels, 4x4", lambda draw: _collections(draw, 2, 2, 3, 4, 4)),
        Case("2 x and 3 y, 1 channel, 4x6", lambda draw: _collections(draw, 2, 3, 1, 4, 6)),
        Case(
            "translations that change nothing, so that the loss is 0",
            lambda draw: (*_collections(draw, 2, 2, 1, 4, 4)[:2], _factor(1.0, 1, 4, 4), _factor(1.0, 1, 4, 4)),
        ),
    ),
    hidden_cases=(
        Case("1 x and 3 y, 2 channels, 4x4", lambda draw: _collections(draw, 1, 3, 2, 4, 4)),
        Case("3 x and 1 y", lambda draw: _collections(draw, 3, 1, 3, 4, 4)),
    ),
    gradients="required",
    differentiable=("x_to_y", "y_to_x"),
    mistakes=(
        Mistake(
            lambda x, y, g, f: F.l1_loss(g(x), x) + F.l1_loss(f(y), y),
            "You forbid the translation itself: x_to_y(x) is to *differ* from x. What must stay is a picture that is in the target domain already: x_to_y(y).",
        ),
        Mistake(
            lambda x, y, g, f: F.l1_loss(f(g(x)), x) + F.l1_loss(g(f(y)), y),
            "This is the cycle loss of exercise 1. Here each network is used once, on a picture of the domain that it makes: x_to_y(y) against y.",
        ),
        Mistake(
            lambda x, y, g, f: F.l1_loss(g(x), y) + F.l1_loss(f(y), x),
            "You compare translations with the pictures of the other collection, as if they were pairs: there are none. x_to_y(y) is compared with the y that went in.",
        ),
        Mistake(
            lambda x, y, g, f: F.l1_loss(g(y), x) + F.l1_loss(f(x), y),
            "The right pictures go in, but are compared with the wrong ones: x_to_y(y) must stay y, and y_to_x(x) must stay x.",
        ),
        Mistake(
            _identity(F.mse_loss),
            "You took the squared error: the identity loss is the mean *absolute* error (L1), as the cycle loss is.",
        ),
        Mistake(_identity(of_x=0.0), "The half for `y_to_x` is missing: |y_to_x(x) - x| is to be added."),
        Mistake(_identity(of_y=0.0), "The half for `x_to_y` is missing: |x_to_y(y) - y| is to be added."),
        Mistake(
            _identity(of_x=0.5, of_y=0.5), "You averaged the two halves: they are added, so yours is half as large."
        ),
        Mistake(
            _identity(of_x=10.0, of_y=10.0),
            "You multiplied by lambda = 10: the weight of this term comes in the full objective, exercise 4.",
        ),
        Mistake(
            _identity(of_x=5.0, of_y=5.0),
            "You multiplied by the weight 5: it comes in the full objective, exercise 4.",
        ),
        Mistake(
            lambda x, y, g, f: (g(y) - y).mean() + (f(x) - x).mean(),
            "The absolute value is missing: changes of opposite sign cancel, and the loss can fall below zero.",
        ),
        Mistake(
            lambda x, y, g, f: (g(y) - y).mean().abs() + (f(x) - x).mean().abs(),
            "You averaged before taking the absolute value: changes of opposite sign have cancelled by then. First abs(), then mean().",
        ),
        Mistake(
            _identity(lambda got, wanted: (got - wanted).abs().sum()),
            'You summed over everything: the loss is a mean. reduction="mean" is the default of F.l1_loss.',
        ),
        Mistake(
            _identity(_sums(lambda got, wanted: (got - wanted).abs())),
            "You summed over the values of a picture: here all is averaged, pixels as well as pictures.",
        ),
        Mistake(
            _identity(lambda got, wanted: (got - wanted).flatten(1).norm(dim=1).mean()),
            "You took the Euclidean norm of each picture's change: L1 is the mean of the absolute values.",
        ),
        Mistake(
            _identity(lambda got, wanted: (got - wanted).abs().flatten(1).mean(1)),
            "You return a loss for each picture: the mean over the batch is still missing.",
        ),
        Mistake(
            lambda x, y, g, f: (F.l1_loss(g(y), y), F.l1_loss(f(x), x)),
            "You return the two halves apart: add them to one loss.",
        ),
        Mistake(
            torch.no_grad()(_identity_loss),
            "The value is right, but it is cut off from the graph (no_grad, detach or .data): neither translation can learn from it.",
        ),
        Mistake(
            _identity(made_y=Tensor.detach),
            "What `x_to_y` made is cut off from the graph (detach, no_grad or item): it learns nothing from its half of the loss.",
        ),
        Mistake(
            _identity(made_x=Tensor.detach),
            "What `y_to_x` made is cut off from the graph (detach, no_grad or item): it learns nothing from its half of the loss.",
        ),
        Mistake(
            lambda *arguments: _identity_loss(*arguments).item(),
            "You return a Python number: a loss has to stay a tensor until backward() has been called.",
        ),
        Mistake(
            lambda x, y, g, f: F.l1_loss(g(g(x)), g(x)) + F.l1_loss(f(f(y)), f(y)),
            "You feed the generators translations: give them real pictures of the collection that they make, x_to_y(y) and y_to_x(x).",
        ),
        *_absolute_mistakes(_identity_errors, 1.0),
    ),
)


# --- exercise 3 -------------------------------------------------------------------------------------------------------------


def _history(
    draw: Draw,
    remembered: int,
    capacity: int,
    batch: int,
    swap: list[bool] | None = None,
    places: list[int] | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    """A history, a batch of new pictures, which of them are to be swapped, with which places, and how many the history may hold."""
    shape = (2, 3, 3)
    history, images = draw.uniform(remembered, *shape, low=-1), draw.uniform(batch, *shape, low=-1)
    chosen = draw.uniform(batch) < 0.5 if swap is None else torch.tensor(swap)
    where = draw.uniform(capacity).argsort()[:batch] if places is None else torch.tensor(places)
    return history, images, chosen, where, capacity


def _query(
    history: Tensor,
    images: Tensor,
    swap: Tensor,
    places: Tensor,
    capacity: int,
    attached: bool = False,
    masked: bool = True,
) -> tuple[Tensor, Tensor]:
    """The answer that exercise 3 asks for; `attached` leaves the graph of the new pictures in it, and without `masked` those that fill may swap."""
    if not attached:
        images = images.detach()
    fresh = min(capacity - len(history), len(images))
    history = torch.cat([history, images[:fresh]])
    swap = swap & (torch.arange(len(images), device=swap.device) >= fresh) if masked else swap
    shown = images.clone()
    shown[swap] = history[places[swap]]
    history[places[swap]] = images[swap]
    return shown, history


def _never_full(history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """Everything is kept; swaps are with what was there before."""
    shown, full = images.detach().clone(), torch.cat([history, images.detach()])
    swap = swap & (places < len(history))
    shown[swap] = history[places[swap]]
    return shown, full


def _queue(history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """The oldest pictures leave."""
    shown, _ = _query(history, images, swap, places, capacity)
    return shown, torch.cat([history, images.detach()])[-capacity:]


def _swapped_while_filling(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    images = images.detach()
    history = torch.cat([history, images[: capacity - len(history)]])
    swap = swap & (places < len(history))
    shown = images.clone()
    shown[swap] = history[places[swap]]
    history[places[swap]] = images[swap]
    return shown, history


def _whole_batch_while_filling(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    """The batch with which the history becomes full is handed back unchanged as a whole."""
    if len(history) < capacity:
        return images.detach(), torch.cat([history, images.detach()])[:capacity]
    return _query(history, images, swap, places, capacity)


def _counted_from_the_first_old(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    """`swap` and `places` are read from their start, though the first pictures of the batch have gone into the history."""
    fresh = min(capacity - len(history), len(images))
    return _query(history, images, swap.roll(fresh), places.roll(fresh), capacity)


def _filled_from_the_end(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    """The last pictures of the batch go into the empty places, not the first."""
    shown, history = _query(history, images.flip(0), swap.flip(0), places.flip(0), capacity)
    return shown.flip(0), history


def _first_places(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    """The places are handed out in turn to those that swap: places[:swaps] in place of places[swap]."""
    fresh = min(capacity - len(history), len(images))
    swapped = (swap & (torch.arange(len(images)) >= fresh)).nonzero()[:, 0]
    others = places.clone()
    others[swapped] = places[: len(swapped)]
    return _query(history, images, swap, others, capacity)


def _whole_queue(history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """The oldest pictures leave, and swaps begin with the batch after the one that fills the history."""
    shown, _ = _whole_batch_while_filling(history, images, swap, places, capacity)
    return shown, torch.cat([history, images.detach()])[-capacity:]


def _old_places_only(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    """No swaps with pictures that this batch has added."""
    return _query(history, images, swap & (places < len(history)), places, capacity)


def _shown_of_before(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    """Shown is what was there before this batch, or the last of it for places that were empty."""
    shown, after = _query(history, images, swap, places, capacity)
    swap = swap & (torch.arange(len(images)) >= capacity - len(history))
    if len(history):
        shown[swap] = history[places[swap].clamp(max=len(history) - 1)]
    return shown, after


def _filled_beyond(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    """The batch that fills the history is added as a whole."""
    if len(history) < capacity:
        return images.detach(), torch.cat([history, images.detach()])
    return _query(history, images, swap, places, capacity)


def _one_place_less(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    fresh = max(0, min(capacity - 1 - len(history), len(images)))
    history = torch.cat([history, images.detach()[:fresh]])
    swap = swap & (torch.arange(len(images)) >= fresh) & (places < len(history))
    return _query(history, images, swap, places, len(history))


def _all_or_none(history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """Empty places stay empty where there are fewer than new pictures."""
    if len(history) + len(images) <= capacity:
        return images.detach(), torch.cat([history, images.detach()])
    return _query(history, images, swap & (places < len(history)), places, len(history))


def _last_fresh(history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """The last pictures of the batch go into the empty places, in their order."""
    images, fresh = images.detach(), min(capacity - len(history), len(images))
    history = torch.cat([history, images[len(images) - fresh :]])
    swap = swap & (torch.arange(len(images)) < len(images) - fresh)
    return _query(history, images, swap, places, len(history))


def _added_in_front(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    fresh = min(capacity - len(history), len(images))
    swap = swap & (torch.arange(len(images)) >= fresh)
    history = torch.cat([images.detach()[:fresh], history])
    return _query(history, images, swap, places, len(history))


def _unmasked_when_full(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    """In the batch that fills the history, those that filled it swap as well."""
    if len(history) + len(images) < capacity:
        return images.detach(), torch.cat([history, images.detach()])
    return _query(history, images, swap, places, capacity, masked=False)


def _old_shown_while_filling(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    """A picture that is added is not shown, where `swap` and the history, as far as it goes, offer an old one."""
    kept, shown = list(history), []
    for picture, exchange, place in zip(images.detach(), swap, places, strict=True):
        shown.append(kept[place] if exchange and place < len(kept) else picture)
        if len(kept) < capacity:
            kept.append(picture)
        elif exchange:
            kept[place] = picture
    return torch.stack(shown), torch.stack(kept)


def _kept_by_coin(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    """The coin decides also while there is room."""
    kept, shown = list(history), []
    for picture, exchange, place in zip(images.detach(), swap, places, strict=True):
        full = len(kept) == capacity
        shown.append(kept[place] if full and exchange else picture)
        if full and exchange:
            kept[place] = picture
        elif exchange:
            kept.append(picture)
    return torch.stack(shown), torch.stack(kept) if kept else history.clone()


def _taken_out(history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """Old pictures leave, and new ones are added at the end."""
    shown, after = _query(history, images, swap, places, capacity)
    swap = swap & (torch.arange(len(images)) >= capacity - len(history))
    stay = torch.ones(len(after), dtype=torch.bool)
    stay[places[swap]] = False
    return shown, torch.cat([after[stay], images.detach()[swap]])


def _own_number_shown(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    """Shown is history[i], but the new picture goes to places[i]."""
    shown, _ = _query(history, images, swap, torch.arange(len(images)), capacity)
    return shown, _query(history, images, swap, places, capacity)[1]


def _old_ones_last(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    shown, after = _query(history, images, swap, places, capacity)
    swap = swap & (torch.arange(len(images)) >= capacity - len(history))
    return torch.cat([shown[~swap], shown[swap]]), after


def _forgotten_while_filling(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    if len(history) < capacity:
        return images.detach(), images.detach()[:capacity]
    return _query(history, images, swap, places, capacity)


def _new_ones_attached(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    """The new pictures that are shown keep their graphs, the old ones have none."""
    shown, after = _query(history, images, swap, places, capacity)
    swap = swap & (torch.arange(len(images)) >= capacity - len(history))
    return torch.where(swap[:, None, None, None], shown, images), after


def _views_with_graphs(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    """A loop that shows views of the history, which change with it, and detaches nothing."""
    history, shown = history.clone(), []
    for picture, exchange, place in zip(images, swap, places, strict=True):
        if len(history) < capacity:
            history = torch.cat([history, picture[None]])
        elif exchange:
            history[place] = picture
        shown.append(picture)
    return torch.stack(shown), history


def _padded(history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    shown, after = _query(history, images, swap, places, capacity)
    return shown, torch.cat([after, after.new_zeros(capacity - len(after), *after.shape[1:])])


_OWN_PLACE = "i is the number of the picture, and places[i] its place in the history: you took i itself as a place."
_OWN_COIN = (
    "You let one coin decide for the whole batch: swap[i] belongs to images[i], so some are swapped and others are not."
)
_FILLING = "A picture that still finds an empty place goes there *and* is shown itself, whatever `swap` says: swapping begins with the first that finds none."
_NOT_LAST = "The *first* pictures of the batch go into the empty places, not the last."
_QUEUE = "You drop the oldest pictures, as a queue does: here a new picture takes the *place* that it was swapped with, so that some old ones stay for long."
_TWO_THINGS = "Two things. The pictures still carry their graphs: detach() the new ones first. And the discriminator is always shown the new pictures: "
_SHOWN_ATTACHED = "The history is as it should be, but the pictures shown still carry their graphs: detach() the new pictures before anything else."
_NOT_SHOWN = (
    "where `swap` is True it has to see the *old* one of that place. Read the history before you write into it; and what you read there, history[places[i]], is a "
    "*view*, which changes when you write: keep a clone() of it."
)


def _kept_not_shown(history: Tensor, images: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return images.detach(), _query(history, images, *rest)[1]


def _shown_not_kept(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    shown, _ = _query(history, images, swap, places, capacity)
    return shown, torch.cat([history, images.detach()])[:capacity]


def _all_kept(history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """Every new picture takes its place in the history, also where the old one is not shown."""
    shown, _ = _query(history, images, swap, places, capacity)
    return shown, _query(history, images, torch.ones_like(swap), places, capacity)[1]


query = Check(
    name="query",
    signature=("history", "images", "swap", "places", "capacity"),
    reference=_query,
    holds="fills first, then swaps; old and new pictures are both kept; no gradient",
    look='02_cyclegan, exercise 3 "A memory for the discriminators"',
    hint="First `torch.cat` to the history what still finds an empty place. Of the rest, those with `swap` exchange with history[places]: read the old pictures "
    "before you write the new ones.",
    cases=(
        Case(
            "an empty history of 6, 4 new pictures",
            lambda draw: _history(draw, 0, 6, 4, [True, False, True, True], [4, 0, 1, 5]),
        ),
        Case("a full history of 5, 4 new pictures", lambda draw: _history(draw, 5, 5, 4, [False, True, True, False])),
        Case(
            "a history with 2 of 5 places empty, 5 new pictures",
            lambda draw: _history(draw, 3, 5, 5, [True, False, False, True, True], [2, 0, 4, 1, 3]),
        ),
        Case("a full history of 6, nothing to swap", lambda draw: _history(draw, 6, 6, 3, [False] * 3)),
    ),
    hidden_cases=(
        Case("a full history of 9, 7 new pictures", lambda draw: _history(draw, 9, 9, 7)),
        Case("an empty history of 3, 3 new pictures", lambda draw: _history(draw, 0, 3, 3)),
        Case("a history with 1 of 8 places empty, 6 new pictures", lambda draw: _history(draw, 7, 8, 6)),
    ),
    gradients="forbidden",
    differentiable=("images",),
    mistakes=(
        Mistake(
            lambda history, images, swap, places, capacity: (images.detach(), history.clone()),
            "Neither is a new picture remembered, nor an old one shown: there is no memory yet.",
        ),
        Mistake(
            _kept_not_shown,
            f"The discriminator is always shown the new pictures: {_NOT_SHOWN}",
        ),
        Mistake(
            _shown_not_kept,
            "Old pictures are shown, but the new ones do not take their places: the history stays as it was. If you do write them there: images[i] may have been "
            "overwritten by then, so keep a clone(); and history[places][swap] = ... writes into a copy, so index once, history[places[swap]].",
        ),
        Mistake(
            lambda history, images, swap, places, capacity: _query(history, images, ~swap, places, capacity),
            "`swap` is turned round: True means that the new picture goes into the history and the old one is shown.",
        ),
        Mistake(
            lambda history, images, swap, places, capacity: _query(
                history, images, torch.ones_like(swap), places, capacity
            ),
            "You swap every picture once the history is full: `swap` says which. Otherwise the discriminator would never see the newest translations.",
        ),
        Mistake(
            lambda history, images, swap, places, capacity: _query(
                history, images, torch.zeros_like(swap), places, capacity
            ),
            "Nothing is swapped once the history is full: where `swap` is True, the old picture of that place is shown and the new one takes the place.",
        ),
        Mistake(
            _swapped_while_filling,
            _FILLING,
        ),
        Mistake(
            _whole_batch_while_filling,
            "The batch in which the history becomes full is shown unchanged as a whole: only those that found an empty place are; the others may be swapped already.",
        ),
        Mistake(
            _never_full,
            "The history grows beyond `capacity`: once it is full, a new picture comes in only where an old one leaves.",
        ),
        Mistake(
            _queue,
            _QUEUE,
        ),
        Mistake(
            lambda history, images, swap, places, capacity: (
                images.detach(),
                torch.cat([history, images.detach()])[-capacity:],
            ),
            "You keep the newest pictures and show only new ones: where `swap` is True the discriminator sees the old picture of that place, and the new one "
            "takes the place.",
        ),
        Mistake(
            _all_kept,
            "Every new picture is written into the history: one that is not swapped is shown, and then forgotten.",
        ),
        Mistake(
            _counted_from_the_first_old,
            "swap[i] and places[i] belong to images[i]: where the first pictures of the batch have filled the history, do not count from the first of the rest.",
        ),
        Mistake(
            _filled_from_the_end,
            _NOT_LAST,
        ),
        Mistake(
            _first_places,
            "The places are handed out to the wrong pictures: picture i swaps with places[i]. For those of a mask that is places[swap], not the first few places.",
        ),
        Mistake(
            lambda *arguments: _query(*arguments)[::-1],
            "The two results are in the wrong order: first what the discriminator sees, then the history.",
        ),
        Mistake(
            lambda *arguments: _query(*arguments)[0],
            "You return only what the discriminator sees: the new history has to come back too, or it is lost.",
        ),
        Mistake(
            lambda *arguments: _query(*arguments, attached=True),
            "The pictures still carry their graphs: a history would keep fifty of them in memory, and the discriminator's loss would reach back to a generator that "
            "has long changed. detach() the new pictures first.",
        ),
        Mistake(
            lambda history, images, swap, places, capacity: (
                _query(history, images, swap, places, capacity)[1][places],
                _query(history, images, swap, places, capacity)[1],
            ),
            "You show history[places] after the new pictures were written there: where `swap` is False show the new picture, where it is True the old one.",
        ),
        Mistake(_whole_queue, _QUEUE),
        Mistake(_last_fresh, _NOT_LAST),
        Mistake(_unmasked_when_full, _FILLING),
        Mistake(
            lambda *arguments: _query(*arguments, masked=False),
            "You look up a place that the history does not have yet: pictures that have just found an empty place must not swap. Set `swap` to False for them, in a copy.",
        ),
        Mistake(
            _old_places_only,
            "A swap may meet a picture that this very batch has added: places[i] counts in the history *after* it was filled.",
        ),
        Mistake(
            _shown_of_before,
            "You show what the history held before this batch: a place may have been filled by this very batch, so read after torch.cat.",
        ),
        Mistake(
            _filled_beyond,
            "The batch that fills the history is added as a whole, beyond `capacity`: only as many as there are empty places, min(capacity - len(history), len(images)).",
        ),
        Mistake(
            lambda history, images, swap, places, capacity: _query(history, images, swap, places, 50),
            "The history grows beyond `capacity`. If you wrote 50: that is only the paper's number, use `capacity`.",
        ),
        Mistake(
            lambda history, images, swap, places, capacity: _query(history, images, swap, places, capacity + 1),
            "The history holds one picture more than `capacity`: it is full when len(history) == capacity, so add while it is <, not <=.",
        ),
        Mistake(
            _one_place_less,
            "The history holds one picture fewer than `capacity`: it is full when len(history) == capacity.",
        ),
        Mistake(
            _all_or_none,
            "Empty places stay empty: fill them first, even where not all of the new pictures find one.",
        ),
        Mistake(
            _added_in_front,
            "New pictures are added in front: add them at the end, for places[i] counts from the oldest.",
        ),
        Mistake(
            _old_shown_while_filling,
            "An old picture is shown while there is still room: until the history is full nothing is swapped, and each new picture is shown itself.",
        ),
        Mistake(
            _kept_by_coin,
            "While there is room every new picture is kept, whatever its coin: `swap` counts only once the history is full.",
        ),
        Mistake(
            _taken_out,
            "The right pictures are kept, in the wrong places: a new one takes the place of the one that it was swapped with, history[places[i]].",
        ),
        Mistake(
            lambda history, images, swap, places, capacity: _query(
                history, images, swap, torch.arange(len(images)), capacity
            ),
            _OWN_PLACE,
        ),
        Mistake(_own_number_shown, _OWN_PLACE),
        Mistake(
            lambda history, images, swap, places, capacity: _query(
                history, images, swap[:1].expand(len(swap)), places, capacity
            ),
            _OWN_COIN,
        ),
        Mistake(
            lambda history, images, swap, places, capacity: _query(
                history, images, swap.any().expand(len(swap)), places, capacity
            ),
            _OWN_COIN,
        ),
        Mistake(
            _old_ones_last,
            "The pictures that are shown have lost their order: an old one stands where the new one stood that it was swapped with, shown[swap] = ...",
        ),
        Mistake(
            _forgotten_while_filling,
            "What was remembered before is lost: while there is room, new pictures are added to `history`, with torch.cat.",
        ),
        Mistake(
            _padded,
            "The history has no empty pictures: it grows from remembered to `capacity` pictures, so nothing has to be padded.",
        ),
        Mistake(
            lambda history, images, *rest: (
                torch.cat([images.detach(), _query(history, images, *rest)[0]]),
                _query(history, images, *rest)[1],
            ),
            "You show old pictures beside all of the new ones: an old one is shown *in place of* a new one, so that as many are shown as have come in.",
        ),
        Mistake(
            lambda *arguments: (_query(*arguments, attached=True)[0], _query(*arguments)[1]),
            _SHOWN_ATTACHED,
        ),
        Mistake(_new_ones_attached, _SHOWN_ATTACHED),
        Mistake(
            lambda *arguments: (_query(*arguments)[0], _query(*arguments, attached=True)[1]),
            "The pictures shown are as they should be, but those in the history still carry their graphs: detach() the new pictures before anything else.",
        ),
        Mistake(
            lambda history, images, *rest: (images.clone(), _query(history, images, *rest, attached=True)[1]),
            f"{_TWO_THINGS}{_NOT_SHOWN}",
        ),
        Mistake(_views_with_graphs, f"{_TWO_THINGS}{_NOT_SHOWN}"),
        Mistake(
            lambda *arguments: (list(_query(*arguments)[0]), _query(*arguments)[1]),
            "The pictures shown are a list: torch.stack makes one tensor of it.",
        ),
        Mistake(
            lambda *arguments: tuple(list(pictures) for pictures in _query(*arguments)),
            "The pictures shown and the history are lists: torch.stack makes one tensor of each.",
        ),
    ),
)


# --- exercises 4 and 5 ------------------------------------------------------------------------------------------------------


_PATCHES_FIRST = "You averaged each picture's patches before you squared: each patch is judged on its own, so first the square, then the mean."
_PATCHES_SUMMED = "You summed over the patches of a picture: the mean goes over patches as well as pictures."
_ONE_PATCH = "Only one patch of each picture counts: the mean goes over all patches."
_SQUARED_FIRST = "D^2 - 1 is not (D - 1)^2: take 1 off before you square."
_HINGE = "You took the hinge loss, relu(1 - D): CycleGAN uses least squares, (D - 1)^2."
_ROOT = "You took the root of the mean square: leave it squared."


def _toward_one(logits: Tensor) -> Tensor:
    return (logits - 1).square().mean()


def _generator(
    adversarial: Callable[[Tensor], Tensor] = _toward_one,
    cycles: Callable[..., Tensor] = _cycle_loss,
    identity: Callable[..., Tensor] = _identity_loss,
    judged: Callable[[Tensor], Tensor] = lambda translated: translated,
    y_share: float = 1.0,
    x_share: float = 1.0,
    weights: Callable[[float, float], tuple[float, float]] = lambda cycle, identity: (cycle, identity),
    judged_x: Callable[[Tensor], Tensor] | None = None,
    judged_y: Callable[[Tensor], Tensor] | None = None,
) -> Callable[..., Tensor]:
    """The full objective of the generators with one of its parts replaced; `judged` is done to translations before they are judged."""
    before_y, before_x = judged_y or judged, judged_x or judged

    def full_objective(
        x: Tensor,
        y: Tensor,
        x_to_y: Translation,
        y_to_x: Translation,
        discriminate_x: Translation,
        discriminate_y: Translation,
        cycle_weight: float = 10.0,
        identity_weight: float = 5.0,
    ) -> Tensor:
        cycle_weight, identity_weight = weights(cycle_weight, identity_weight)
        in_y = adversarial(discriminate_y(before_y(x_to_y(x))))
        in_x = adversarial(discriminate_x(before_x(y_to_x(y))))
        loss = y_share * in_y + x_share * in_x + cycles(x, y, x_to_y, y_to_x, cycle_weight)
        return loss + identity_weight * identity(x, y, x_to_y, y_to_x)

    return full_objective


_full_objective = _generator()


def _nothing(x: Tensor, y: Tensor, *_: Any) -> Tensor:
    return x.new_zeros(())


def _players(draw: Draw, of_x: int, of_y: int, *shape: int) -> tuple[Tensor | Network, ...]:
    """Pictures, both translations and both discriminators, which give patches of 2 x 2."""
    size = torch.Size(shape).numel()
    judges = (_network(draw, size, 5, 1, 2, 2) for _ in range(2))
    return (*_collections(draw, of_x, of_y, *shape), *judges)


def _judges_swapped(
    x: Tensor, y: Tensor, g: Translation, f: Translation, d_x: Translation, d_y: Translation, *weights: float
) -> Tensor:
    return _full_objective(x, y, g, f, d_y, d_x, *weights)


def _adversarial(
    terms: Callable[[Tensor, Tensor, Translation, Translation, Translation, Translation], Tensor],
) -> Callable[..., Tensor]:
    """The full objective with other adversarial terms, given (x, y, g, f, d_x, d_y)."""

    def full_objective(*arguments: Any) -> Tensor:
        return _generator(x_share=0.0, y_share=0.0)(*arguments) + terms(*arguments[:6])

    return full_objective


def _joined_answers(join: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The full objective that makes one number of D_Y(G(x)) - 1 and D_X(F(y)) - 1, squared, in its own way."""
    return _adversarial(lambda x, y, g, f, d_x, d_y: join((d_y(g(x)) - 1).square(), (d_x(f(y)) - 1).square()))


def _shorter(x: Tensor, y: Tensor, *rest: Any) -> Tensor:
    number = min(len(x), len(y))
    return _full_objective(x[:number], y[:number], *rest)


_PARTS = (
    "Where both weights are 0 your loss is right, so the adversarial terms are: it is the cycle or the identity part that is not. Do your two functions hold by "
    "themselves (exercises 1 and 2)? Are they called with x, y, x_to_y, y_to_x in this order, and with the right weight?"
)
_JUDGES_GIVEN_IDENTITY = "A discriminator is shown what a generator made of a picture of its *own* collection: D_Y judges G(x), and D_X judges F(y)."
_JUDGES_OWN_TERMS = "The terms for real pictures are the discriminators' own (exercise 5): the generators only answer for their translations."
_IDENTITY_PART = "The adversarial and the cycle part are right, but the identity part "
_CYCLE_PART = "The adversarial and the identity part are right, but the cycle part "
_CYCLE_CUT = "The values are right, but in the cycle part the translations are detached: the way back does not tell the generator that made them what it threw away."


full_objective = Check(
    name="full_objective",
    signature=(
        "x",
        "y",
        "x_to_y",
        "y_to_x",
        "discriminate_x",
        "discriminate_y",
        "cycle_weight",
        "identity_weight",
    ),
    reference=_full_objective,
    holds="both adversarial terms, both cycles and the identity loss, with gradient through discriminators and translations",
    look='02_cyclegan, exercise 4 "The full objective"',
    hint="Translations of x are judged by `discriminate_y`, those of y by `discriminate_x`; each logit should be 1. Then add your cycle_loss with `cycle_weight` "
    "and `identity_weight` times your identity_loss.",
    cases=(
        Case(
            "3 pictures x and 3 y, 3 channels, 4x4, weights left out",
            lambda draw: _players(draw, 3, 3, 3, 4, 4),
            alone=_PARTS,
        ),
        Case(
            "2 x and 3 y, 1 channel, 4x6, weights 3 and 0.5",
            lambda draw: (*_players(draw, 2, 3, 1, 4, 6), 3.0, 0.5),
            alone=_PARTS,
        ),
        Case("3 x and 2 y, both weights 0", lambda draw: (*_players(draw, 3, 2, 3, 4, 4), 0.0, 0.0)),
    ),
    hidden_cases=(
        Case("1 x and 3 y, 2 channels, 4x4", lambda draw: _players(draw, 1, 3, 2, 4, 4), alone=_PARTS),
        Case(
            "3 x and 1 y, weights 0 and 2",
            lambda draw: (*_players(draw, 3, 1, 3, 4, 4), 0.0, 2.0),
            alone=_PARTS,
        ),
    ),
    gradients="required",
    differentiable=("x_to_y", "y_to_x"),
    mistakes=(
        Mistake(
            _generator(lambda logits: logits.square().mean()),
            "You draw the discriminators' answers for translations to 0: that is what the *discriminators* want. The generators want 1, the answer for real pictures.",
        ),
        Mistake(
            _generator(lambda logits: F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))),
            "You took the cross-entropy: CycleGAN uses least squares, (D - 1)^2 without a sigmoid, which trains more steadily.",
        ),
        Mistake(
            _generator(lambda logits: (torch.sigmoid(logits) - 1).square().mean()),
            "You put a sigmoid on the discriminators' answers: with least squares the raw number itself is compared with 1.",
        ),
        Mistake(
            _generator(lambda logits: (logits - 1).abs().mean()),
            "You took the absolute distance to 1: the adversarial terms are squared, (D - 1)^2.",
        ),
        Mistake(
            _generator(lambda logits: -logits.mean()),
            "You took minus the mean of the discriminators' answers, as Wasserstein GANs do: here each answer is drawn to 1, (D - 1)^2.",
        ),
        Mistake(
            _generator(lambda logits: (logits.mean() - 1).square()),
            "You averaged the patches' answers before you squared: each patch is judged on its own, so first (D - 1)^2, then the mean.",
        ),
        Mistake(
            _generator(lambda logits: (logits - 1).square().sum()),
            "You summed the adversarial terms over patches and pictures: they are means, as all other terms.",
        ),
        Mistake(
            _generator(x_share=0.5, y_share=0.5),
            "There is a factor 1/2 at the adversarial terms: it belongs to the discriminators' loss only, which slows them down.",
        ),
        Mistake(
            _judges_swapped,
            "The discriminators are swapped: a translation of x should look like a *y*, so `discriminate_y` judges it.",
        ),
        Mistake(
            _adversarial(lambda x, y, g, f, d_x, d_y: _toward_one(d_y(y)) + _toward_one(d_x(x))),
            "The discriminators look at real pictures: no generator has made them, so nothing could be learned from that. Give them x_to_y(x) and y_to_x(y).",
        ),
        Mistake(
            lambda x, y, g, f, d_x, d_y, *weights: (
                _full_objective(x, y, g, f, d_x, d_y, *weights) + _toward_one(d_y(y)) + _toward_one(d_x(x))
            ),
            _JUDGES_OWN_TERMS,
        ),
        Mistake(
            lambda x, y, g, f, d_x, d_y, *weights: (
                _full_objective(x, y, g, f, d_x, d_y, *weights) + d_y(y).square().mean() + d_x(x).square().mean()
            ),
            _JUDGES_OWN_TERMS,
        ),
        Mistake(
            _adversarial(lambda x, y, g, f, d_x, d_y: _toward_one(d_x(f(g(x)))) + _toward_one(d_y(g(f(y))))),
            "The discriminators look at what came back, y_to_x(x_to_y(x)): then nothing asks a translation to look like the other domain. Show them x_to_y(x) and "
            "y_to_x(y).",
        ),
        Mistake(
            _generator(x_share=0.0),
            "The adversarial term of `y_to_x` is missing: its translations are to please `discriminate_x`.",
        ),
        Mistake(
            _generator(y_share=0.0),
            "The adversarial term of `x_to_y` is missing: its translations are to please `discriminate_y`.",
        ),
        Mistake(
            _generator(cycles=_nothing),
            "The cycle loss is missing: then a generator may turn every x into the same beautiful y.",
        ),
        Mistake(
            _generator(identity=_nothing),
            "The identity loss is missing: `identity_weight` times your identity_loss is to be added.",
        ),
        Mistake(
            _generator(weights=lambda cycle, identity: (1.0, identity)),
            "`cycle_weight` is not used: your cycle_loss takes it as its last argument.",
        ),
        Mistake(
            _generator(weights=lambda cycle, identity: (10.0, identity)),
            "Your cycle_loss is called with its own weight of 10: hand `cycle_weight` on to it.",
        ),
        Mistake(
            _generator(weights=lambda cycle, identity: (cycle * cycle, identity)),
            "`cycle_weight` is multiplied twice: your cycle_loss does it already.",
        ),
        Mistake(
            _generator(weights=lambda cycle, identity: (10.0 * cycle, identity)),
            "The cycle loss is weighted twice: it is called without `cycle_weight`, takes its own 10, and is then multiplied again. Hand the weight on as its last argument.",
        ),
        Mistake(
            _generator(weights=lambda cycle, identity: (cycle, 1.0)),
            "`identity_weight` is not used: multiply your identity_loss by it.",
        ),
        Mistake(
            _generator(weights=lambda cycle, identity: (cycle, cycle * identity)),
            "`identity_weight` is multiplied by `cycle_weight`: here the two weights stand side by side (the paper's 0.5 lambda is the 5 of the default).",
        ),
        Mistake(
            _generator(weights=lambda cycle, identity: (identity, cycle)),
            "The two weights are swapped: `cycle_weight` belongs to the cycle loss, `identity_weight` to the identity loss.",
        ),
        Mistake(
            _generator(judged=Tensor.detach),
            "You cut the judgement off from the translations (detach or no_grad): that is right in the discriminators' step, but here the generators have to learn from it.",
        ),
        Mistake(
            torch.no_grad()(_full_objective),
            "The value is right, but it is cut off from the graph (no_grad, detach or .data): nothing can be learned from it.",
        ),
        Mistake(
            lambda *arguments: _full_objective(*arguments).item(),
            "You return a Python number: a loss has to stay a tensor until backward() has been called.",
        ),
        Mistake(_generator(lambda logits: (logits.flatten(1).mean(1) - 1).square().mean()), _PATCHES_FIRST),
        Mistake(_generator(lambda logits: (logits - 1).square().flatten(1).sum(1).mean()), _PATCHES_SUMMED),
        Mistake(_generator(lambda logits: _toward_one(logits[..., 0, 0])), _ONE_PATCH),
        Mistake(_generator(lambda logits: (logits.square() - 1).mean()), _SQUARED_FIRST),
        Mistake(_generator(lambda logits: F.relu(1 - logits).mean()), _HINGE),
        Mistake(_generator(lambda logits: _toward_one(logits).sqrt()), _ROOT),
        Mistake(
            _generator(lambda logits: (logits - 1).mean()),
            "The square is missing: D - 1 has no smallest value, (D - 1)^2 has it at D = 1.",
        ),
        Mistake(
            _generator(lambda logits: (logits + 1).square().mean()),
            "You draw the discriminators' answers to -1: real is 1, so it is (D - 1)^2.",
        ),
        Mistake(
            _generator(lambda logits: -logits.square().mean()),
            "You took minus the discriminators' term for translations, -D^2: that has no smallest value. Here the generators have a goal of their own, (D - 1)^2.",
        ),
        Mistake(_joined_answers(lambda a, b: (a + b).mean()), _ADDED_BEFORE),
        Mistake(_joined_answers(lambda a, b: 2 * torch.cat([a, b]).mean()), _TOGETHER),
        Mistake(
            _joined_answers(lambda a, b: torch.cat([a, b]).mean()),
            f"{_TOGETHER} And the two means are added, so yours is about half as large.",
        ),
        Mistake(_joined_answers(lambda a, b: (a.sum() + b.sum()) / a.numel()), _ONE_COUNT),
        Mistake(
            _joined_answers(lambda a, b: a + b),
            "The mean over patches and pictures is missing: a loss is one number.",
        ),
        Mistake(_shorter, _SHORTER),
        Mistake(
            _adversarial(lambda x, y, g, f, d_x, d_y: _toward_one(d_y(g(y))) + _toward_one(d_x(f(x)))),
            _JUDGES_GIVEN_IDENTITY,
        ),
        Mistake(
            _adversarial(lambda x, y, g, f, d_x, d_y: _toward_one(d_y(g(y))) + _toward_one(d_x(f(y)))),
            _JUDGES_GIVEN_IDENTITY,
        ),
        Mistake(
            _adversarial(lambda x, y, g, f, d_x, d_y: _toward_one(d_y(g(x))) + _toward_one(d_x(f(x)))),
            _JUDGES_GIVEN_IDENTITY,
        ),
        Mistake(
            _adversarial(
                lambda x, y, g, f, d_x, d_y: (d_y(g(x)) - d_y(y)).square().mean() + (d_x(f(y)) - d_x(x)).square().mean()
            ),
            "You compare the answers for translations with those for real pictures: compare them with the number 1.",
        ),
        Mistake(
            _generator(x_share=0.0, y_share=0.0),
            "Both adversarial terms are missing: the smallest loss would be to change nothing.",
        ),
        Mistake(
            lambda x, y, g, f, d_x, d_y, cycle=10.0, identity=5.0: _generator(x_share=cycle, y_share=cycle)(
                x, y, g, f, d_x, d_y, cycle, identity
            ),
            "`cycle_weight` multiplies the adversarial terms too: it belongs to the cycle loss only.",
        ),
        Mistake(
            _generator(weights=lambda cycle, identity: (cycle, 5.0)),
            "`identity_weight` is ignored: you wrote 5, which is only its default.",
        ),
        Mistake(
            _generator(weights=lambda cycle, identity: (10.0, 5.0)),
            "Both weights are ignored: 10 and 5 are only their defaults. Hand `cycle_weight` on to your cycle_loss, and multiply your identity_loss by `identity_weight`.",
        ),
        Mistake(
            _generator(weights=lambda cycle, identity: (cycle, 0.5 * cycle)),
            "You give the identity loss half of lambda, as the paper does: here it has a weight of its own, `identity_weight`.",
        ),
        Mistake(
            lambda x, y, g, f, d_x, d_y, cycle=10.0, identity=20.0: _full_objective(
                x, y, g, f, d_x, d_y, cycle, identity
            ),
            "You changed the default of `identity_weight`: leave it at 5. The training below hands its 20 over.",
        ),
        Mistake(_generator(cycles=_cycle(backward=0.0)), f"{_CYCLE_PART}lacks the way y -> x -> y."),
        Mistake(_generator(cycles=_cycle(forward=0.0)), f"{_CYCLE_PART}lacks the way x -> y -> x."),
        Mistake(
            _generator(cycles=_cycle(F.mse_loss)),
            f"{_CYCLE_PART}is squared: it is a mean *absolute* error (exercise 1).",
        ),
        Mistake(
            _generator(cycles=lambda x, y, g, f, weight: _cycle_loss(x, y, f, g, weight)),
            f"{_CYCLE_PART}takes x through y_to_x first: hand x, y, x_to_y, y_to_x on in this order.",
        ),
        Mistake(
            _generator(identity=_identity(F.mse_loss)),
            f"{_IDENTITY_PART}is squared: it is a mean *absolute* error (exercise 2).",
        ),
        Mistake(
            _generator(identity=lambda x, y, g, f: _identity_loss(x, y, f, g)),
            f"{_IDENTITY_PART}compares x_to_y(x) with x: it should be x_to_y(y) with y (exercise 2). Hand x, y, x_to_y, y_to_x on in this order.",
        ),
        Mistake(
            _generator(judged_y=Tensor.detach),
            "The judgement of x_to_y(x) is cut off (detach or no_grad): `x_to_y` learns nothing from `discriminate_y`.",
        ),
        Mistake(
            _generator(judged_x=Tensor.detach),
            "The judgement of y_to_x(y) is cut off (detach or no_grad): `y_to_x` learns nothing from `discriminate_x`.",
        ),
        Mistake(_generator(cycles=_cycle(there=Tensor.detach)), _CYCLE_CUT),
        Mistake(_generator(cycles=_cycle(there_x=Tensor.detach)), _CYCLE_CUT),
        Mistake(_generator(cycles=_cycle(there_y=Tensor.detach)), _CYCLE_CUT),
        Mistake(
            _generator(cycles=torch.no_grad()(_cycle_loss)),
            "The cycle part is cut off from the graph (detach, no_grad or item): its value is right, but nothing is learned from it.",
        ),
        Mistake(
            _generator(identity=torch.no_grad()(_identity_loss)),
            "The identity part is cut off from the graph (detach, no_grad or item): its value is right, but nothing is learned from it.",
        ),
        Mistake(
            lambda *arguments: (
                _generator(cycles=_nothing, identity=_nothing)(*arguments),
                _generator(x_share=0.0, y_share=0.0, identity=_nothing)(*arguments),
                _generator(x_share=0.0, y_share=0.0, cycles=_nothing)(*arguments),
            ),
            "You return the parts apart: add them to one loss.",
        ),
    ),
)


def _judge(draw: Draw, of_real: int, of_fake: int, *shape: int) -> tuple[Network, Tensor, Tensor]:
    """A discriminator that gives patches of half the picture's side, real pictures and translated ones."""
    network = _network(draw, torch.Size(shape).numel(), 6, 1, shape[1] // 2, shape[2] // 2)
    return network, draw.uniform(of_real, *shape, low=-1), draw.uniform(of_fake, *shape, low=-1)


def _discriminator(
    of_real: Callable[[Tensor], Tensor] = _toward_one,
    of_fake: Callable[[Tensor], Tensor] = lambda logits: logits.square().mean(),
    factors: tuple[float, float] = (0.5, 0.5),
) -> Callable[..., Tensor]:
    """The loss of one discriminator with one of its parts replaced."""

    def least_squares_loss(discriminate: Translation, real: Tensor, fake: Tensor) -> Tensor:
        first, second = factors
        return first * of_real(discriminate(real)) + second * of_fake(discriminate(fake.detach()))

    return least_squares_loss


def _attached(discriminate: Translation, real: Tensor, fake: Tensor) -> Tensor:
    return least_squares_discriminator_loss(discriminate(real), discriminate(fake))


def _both_answers(join: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The loss that makes one number of the answers for real and for translated pictures in its own way."""
    return lambda discriminate, real, fake: join(discriminate(real), discriminate(fake.detach()))


def _errors_together(factor: float) -> Callable[..., Tensor]:
    """One mean over the squares of both."""
    return _both_answers(lambda real, fake: factor * torch.cat([(real - 1).square(), fake.square()]).mean())


def _halved_in_the_middle(discriminate: Translation, real: Tensor, fake: Tensor) -> Tensor:
    """Judged together, then split in two halves as though there were as many of both."""
    of_real, of_fake = discriminate(torch.cat([real, fake.detach()])).chunk(2)
    return 0.5 * _toward_one(of_real) + 0.5 * of_fake.square().mean()


def _cut(number: Callable[[Tensor, Tensor], int]) -> Callable[..., Tensor]:
    """Only so many pictures of each count."""
    return lambda discriminate, real, fake: _discriminator()(
        discriminate, real[: number(real, fake)], fake[: number(real, fake)]
    )


def _coin(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


least_squares_loss = Check(
    name="least_squares_loss",
    signature=("discriminate", "real", "fake"),
    reference=_discriminator(),
    holds="real patches to 1, translated ones to 0, half of each, and no gradient to the generator",
    look='02_cyclegan, exercise 5 "The discriminator"',
    hint="Half of the mean of (D(real) - 1)^2, and half of the mean of D(fake)^2. detach() the fake pictures before they go in.",
    cases=(
        Case("3 real and 3 translated pictures, 3 channels, 4x4", lambda draw: _judge(draw, 3, 3, 3, 4, 4)),
        Case("2 real and 3 translated, 1 channel, 4x6", lambda draw: _judge(draw, 2, 3, 1, 4, 6)),
    ),
    hidden_cases=(Case("1 real and 4 translated, 2 channels, 4x4", lambda draw: _judge(draw, 1, 4, 2, 4, 4)),),
    gradients="required",
    differentiable=("fake", "discriminate"),
    mistakes=(
        Mistake(
            _attached,
            "The gradient reaches the generator: detach() `fake` before it is judged, or this step would teach the generator to be found out.",
        ),
        Mistake(
            _discriminator(factors=(1.0, 1.0)),
            "The factor 1/2 is missing: with it the discriminators learn more slowly than the generators, as section 4 of the paper wants.",
        ),
        Mistake(
            _discriminator(factors=(0.5, 1.0)),
            "The factor 1/2 stands at the real pictures only: it belongs to both terms.",
        ),
        Mistake(
            _discriminator(factors=(1.0, 0.5)),
            "The factor 1/2 stands at the translations only: it belongs to both terms.",
        ),
        Mistake(
            _discriminator(of_real=lambda logits: logits.square().mean(), of_fake=_toward_one),
            "The targets are swapped: a real picture should get 1, a translated one 0.",
        ),
        Mistake(
            _discriminator(of_fake=_toward_one),
            "Both terms draw to 1: the discriminator would find everything real. The target of translations is 0.",
        ),
        Mistake(
            _discriminator(of_fake=lambda logits: (logits + 1).square().mean()),
            "The target of translations is 0, not -1: D(fake)^2.",
        ),
        Mistake(
            _discriminator(factors=(0.5, 0.0)),
            "The term for translations is missing: the discriminator would learn to find everything real.",
        ),
        Mistake(
            _discriminator(factors=(0.0, 0.5)),
            "The term for real pictures is missing: the discriminator would learn to find everything fake.",
        ),
        Mistake(
            _discriminator(factors=(0.5, -0.5)),
            "The term for translations is subtracted: it has to be made small too, so add it.",
        ),
        Mistake(
            _discriminator(_coin(1.0), _coin(0.0)),
            "You took the cross-entropy: CycleGAN uses least squares, the squared distance of the raw answer from 1 or 0.",
        ),
        Mistake(
            _discriminator(
                lambda logits: _toward_one(torch.sigmoid(logits)), lambda logits: torch.sigmoid(logits).square().mean()
            ),
            "You put a sigmoid on the discriminator's answers: with least squares the raw number itself is compared with 1 or 0.",
        ),
        Mistake(
            _discriminator(lambda logits: (logits - 1).abs().mean(), lambda logits: logits.abs().mean()),
            "You took absolute distances: the terms are squared.",
        ),
        Mistake(
            _discriminator(lambda logits: (logits.mean() - 1).square(), lambda logits: logits.mean().square()),
            "You averaged the patches' answers before you squared: each patch is judged on its own, so first the square, then the mean.",
        ),
        Mistake(
            _discriminator(lambda logits: (logits - 1).square().sum(), lambda logits: logits.square().sum()),
            "You summed over patches and pictures: both terms are means.",
        ),
        Mistake(
            _discriminator(of_fake=lambda logits: logits.detach().square().mean()),
            "You detach what the discriminator *says* of the translations (or compute it under no_grad): then it learns nothing from them, and comes to find everything "
            "real. Detach what goes *in*, fake.detach().",
        ),
        Mistake(
            _discriminator(of_real=lambda logits: _toward_one(logits.detach())),
            "You detach what the discriminator *says* of the real pictures (or compute it under no_grad): then it learns nothing from them, and comes to find everything "
            "fake. Only `fake` is cut off, before it goes in.",
        ),
        Mistake(
            torch.no_grad()(_discriminator()),
            "The value is right, but it is cut off from the graph (no_grad or detach on the result): the discriminator cannot learn from it.",
        ),
        Mistake(
            lambda *arguments: _discriminator()(*arguments).item(),
            "You return a Python number: a loss has to stay a tensor until backward() has been called.",
        ),
        Mistake(
            _discriminator(
                lambda logits: (logits.flatten(1).mean(1) - 1).square().mean(),
                lambda logits: logits.flatten(1).mean(1).square().mean(),
            ),
            _PATCHES_FIRST,
        ),
        Mistake(
            _discriminator(
                lambda logits: (logits - 1).square().flatten(1).sum(1).mean(),
                lambda logits: logits.square().flatten(1).sum(1).mean(),
            ),
            _PATCHES_SUMMED,
        ),
        Mistake(
            _discriminator(
                lambda logits: _toward_one(logits[..., 0, 0]), lambda logits: logits[..., 0, 0].square().mean()
            ),
            _ONE_PATCH,
        ),
        Mistake(_discriminator(lambda logits: (logits.square() - 1).mean()), _SQUARED_FIRST),
        Mistake(
            _discriminator(lambda logits: F.relu(1 - logits).mean(), lambda logits: F.relu(1 + logits).mean()),
            "You took the hinge loss: CycleGAN uses least squares, (D(real) - 1)^2 and D(fake)^2.",
        ),
        Mistake(
            _discriminator(lambda logits: _toward_one(logits).sqrt(), lambda logits: logits.square().mean().sqrt()),
            _ROOT,
        ),
        Mistake(
            _discriminator(lambda logits: (logits - 0.9).square().mean()),
            "Your target for real pictures is 0.9 (label smoothing): here it is 1.",
        ),
        Mistake(
            _discriminator(
                lambda logits: _toward_one(logits.clamp(0, 1)), lambda logits: logits.clamp(0, 1).square().mean()
            ),
            "You clip the discriminator's answers to [0, 1]: then answers beyond get no gradient. The raw number itself is compared with 1 or 0.",
        ),
        Mistake(
            _discriminator(factors=(0.25, 0.25)),
            "The factor 1/2 is there twice, or stands inside of the square, where it counts as 1/4: it is 1/2 of each mean square, once.",
        ),
        Mistake(
            _errors_together(1.0),
            "You took one mean over real and translated pictures together: that is right only for equally many of both. Each has a mean of its own, and half of it counts.",
        ),
        Mistake(
            _errors_together(0.5),
            "You took one mean over real and translated pictures together, and half of that: the one mean halves already, and is right only for equally many of both. Each "
            "has a mean of its own, and half of it counts.",
        ),
        Mistake(_both_answers(lambda real, fake: 0.5 * ((real - 1).square() + fake.square()).mean()), _ADDED_BEFORE),
        Mistake(
            _both_answers(lambda real, fake: 0.5 * ((real - 1).square().sum() + fake.square().sum()) / real.numel()),
            _ONE_COUNT,
        ),
        Mistake(_cut(lambda real, fake: min(len(real), len(fake))), _SHORTER),
        Mistake(_cut(lambda real, fake: 1), _FIRST_ONLY),
        Mistake(
            _halved_in_the_middle,
            "You judge real and translated pictures together and split the answers in the middle: there may be more of one. .split([len(real), len(fake)]) cuts in the right place.",
        ),
        Mistake(
            _both_answers(lambda real, fake: 0.5 * (real - fake - 1).square().mean()),
            "You compare real pictures with translations one by one, as if they were pairs: D(real) is compared with 1, and D(fake) with 0, each by itself.",
        ),
        Mistake(
            _both_answers(
                lambda real, fake: (
                    0.5 * _toward_one(real - fake.mean()) + 0.5 * (fake - real.mean() + 1).square().mean()
                )
            ),
            "You compare each answer with the mean of the other kind, as relativistic GANs do: here D(real) is compared with 1 and D(fake) with 0.",
        ),
        Mistake(
            _both_answers(lambda real, fake: 0.5 * ((real - 1).mean() + fake.mean()).square()),
            "You squared the sum of both means: errors of opposite sign cancel there. Square each patch's error, take the means, then add.",
        ),
        Mistake(_both_answers(lambda real, fake: 0.5 * (real - 1).square() + 0.5 * fake.square()), _NO_MEAN),
        Mistake(_both_answers(lambda real, fake: (0.5 * _toward_one(real), 0.5 * fake.square().mean())), _APART),
    ),
)
