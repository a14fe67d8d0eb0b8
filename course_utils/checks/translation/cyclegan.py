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


def _sums(per_value: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Sum over a picture's values, mean over the batch."""
    return lambda got, wanted: per_value(got, wanted).flatten(1).sum(1).mean()


# --- exercise 1 -------------------------------------------------------------------------------------------------------------


def _cycle(
    distance: Callable[[Tensor, Tensor], Tensor] = F.l1_loss,
    forward: float = 1.0,
    backward: float = 1.0,
    there: Callable[[Tensor], Tensor] = lambda translated: translated,
) -> Callable[..., Tensor]:
    """The cycle loss with one of its parts replaced."""

    def cycle_loss(x: Tensor, y: Tensor, x_to_y: Translation, y_to_x: Translation, weight: float = 10.0) -> Tensor:
        forward_loss, backward_loss = distance(y_to_x(there(x_to_y(x))), x), distance(x_to_y(there(y_to_x(y))), y)
        return weight * (forward * forward_loss + backward * backward_loss)

    return cycle_loss


_cycle_loss = _cycle()


def _detached_first(
    x: Tensor, y: Tensor, x_to_y: Translation, y_to_x: Translation, weight: float = 10.0
) -> tuple[Tensor, Tensor]:
    return weight * F.l1_loss(y_to_x(x_to_y(x)), x), weight * F.l1_loss(x_to_y(y_to_x(y)), y)


cycle_loss = Check(
    name="cycle_loss",
    signature=("x", "y", "x_to_y", "y_to_x", "weight"),
    reference=_cycle_loss,
    holds="the mean absolute error of both ways there and back, weighted, with gradient through both translations",
    look='02_cyclegan, exercise 1 "There and back"',
    hint="F.l1_loss(y_to_x(x_to_y(x)), x) is the way there and back of x; y goes the other way round. Add both, multiply by `weight`.",
    cases=(
        Case("2 pictures x and 2 y, 3 channels, 4x4, weight left out", lambda draw: _collections(draw, 2, 2, 3, 4, 4)),
        Case("4 x and 4 y, 1 channel, 4x6, weight 3", lambda draw: (*_collections(draw, 4, 4, 1, 4, 6), 3.0)),
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
    differentiable=("x", "y"),
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
            lambda x, y, g, f, weight=10.0: weight * torch.cat([f(g(x)) - x, g(f(y)) - y]).square().mean().sqrt(),
            "You took the root of the mean squared error: L1 is the mean of the absolute values.",
        ),
        Mistake(
            _cycle(lambda got, wanted: (got - wanted).abs().flatten(1).mean(1)),
            "You return an error for each picture: the mean over the batch is still missing.",
        ),
        Mistake(
            _detached_first,
            "You return the two errors apart: add them to one loss.",
        ),
        Mistake(
            _cycle(there=Tensor.detach),
            "You cut the graph between the two translations: only the second one would learn, and G would never be told that it threw something away.",
        ),
        Mistake(
            torch.no_grad()(_cycle_loss),
            "The value is right, but it is cut off from the graph (no_grad, detach or .data): neither translation can learn from it.",
        ),
        Mistake(
            _cycle(lambda got, wanted: F.l1_loss(got, wanted.detach())),
            "You detach the picture that set out. In training this changes nothing, since x and y are data; leave them as they are, for this check "
            "follows the gradient through them.",
        ),
        Mistake(
            lambda *arguments: _cycle_loss(*arguments).item(),
            "You return a Python number: a loss has to stay a tensor until backward() has been called.",
        ),
        Mistake(
            lambda x, y, g, f, weight=10.0: _cycle_loss(x, y, g, f, 1.0) / weight,
            "You divide by `weight`: it multiplies the errors.",
        ),
    ),
)


# --- exercise 2 -------------------------------------------------------------------------------------------------------------


def _identity(
    distance: Callable[[Tensor, Tensor], Tensor] = F.l1_loss, of_y: float = 1.0, of_x: float = 1.0
) -> Callable[..., Tensor]:
    """The identity loss with one of its parts replaced."""

    def identity_loss(x: Tensor, y: Tensor, x_to_y: Translation, y_to_x: Translation) -> Tensor:
        return of_y * distance(x_to_y(y), y) + of_x * distance(y_to_x(x), x)

    return identity_loss


_identity_loss = _identity()

identity_loss = Check(
    name="identity_loss",
    signature=("x", "y", "x_to_y", "y_to_x"),
    reference=_identity_loss,
    holds="the mean absolute change of pictures that are in the right domain already, with gradient",
    look='02_cyclegan, exercise 2 "Leave alone what is right"',
    hint="`x_to_y` makes pictures of the domain of y, so give it a y, and compare with that y. The same for `y_to_x` and x.",
    cases=(
        Case("2 pictures x and 2 y, 3 channels, 4x4", lambda draw: _collections(draw, 2, 2, 3, 4, 4)),
        Case("4 x and 4 y, 1 channel, 4x6", lambda draw: _collections(draw, 4, 4, 1, 4, 6)),
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
    differentiable=("x", "y"),
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
            _identity(lambda got, wanted: F.l1_loss(got, wanted.detach())),
            "You detach the picture that went in. In training this changes nothing, since x and y are data; leave them as they are, for this check "
            "follows the gradient through them.",
        ),
        Mistake(
            lambda *arguments: _identity_loss(*arguments).item(),
            "You return a Python number: a loss has to stay a tensor until backward() has been called.",
        ),
    ),
)


# --- exercise 3 -------------------------------------------------------------------------------------------------------------


def _history(
    draw: Draw, remembered: int, capacity: int, batch: int, swap: list[bool] | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    """A history, a batch of new pictures, which of them are to be swapped, with which places, and how many the history may hold."""
    shape = (2, 3, 3)
    history, images = draw.uniform(remembered, *shape, low=-1), draw.uniform(batch, *shape, low=-1)
    chosen = draw.uniform(batch) < 0.5 if swap is None else torch.tensor(swap)
    return history, images, chosen, draw.uniform(capacity).argsort()[:batch], capacity


def _query(
    history: Tensor, images: Tensor, swap: Tensor, places: Tensor, capacity: int, attached: bool = False
) -> tuple[Tensor, Tensor]:
    """The answer that exercise 3 asks for; `attached` leaves the graph of the new pictures in it."""
    if not attached:
        images = images.detach()
    fresh = min(capacity - len(history), len(images))
    history = torch.cat([history, images[:fresh]])
    swap = swap & (torch.arange(len(images), device=swap.device) >= fresh)
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
        Case("an empty history of 6, 4 new pictures", lambda draw: _history(draw, 0, 6, 4, [True, False, True, True])),
        Case("a full history of 5, 4 new pictures", lambda draw: _history(draw, 5, 5, 4, [True, False, True, False])),
        Case(
            "a history with 2 of 5 places empty, 5 new pictures",
            lambda draw: _history(draw, 3, 5, 5, [True, False, False, True, True]),
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
            "The discriminator is always shown the new pictures: where `swap` is True it has to see the *old* one of that place. Read the history before you write "
            "into it.",
        ),
        Mistake(
            _shown_not_kept,
            "Old pictures are shown, but the new ones do not take their places: the history would stay what it was when it was filled.",
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
            "A picture that still finds an empty place goes there *and* is shown itself, whatever `swap` says: swapping begins with the first that finds none.",
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
            "You drop the oldest pictures, as a queue does: here a new picture takes the *place* that it was swapped with, so that some old ones stay for long.",
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
            "The *first* pictures of the batch go into the empty places, not the last.",
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
    ),
)


# --- exercises 4 and 5 ------------------------------------------------------------------------------------------------------


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
) -> Callable[..., Tensor]:
    """The full objective of the generators with one of its parts replaced."""

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
        in_y = adversarial(discriminate_y(judged(x_to_y(x))))
        in_x = adversarial(discriminate_x(judged(y_to_x(y))))
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


def _real_judged(
    x: Tensor, y: Tensor, g: Translation, f: Translation, d_x: Translation, d_y: Translation, *weights: float
) -> Tensor:
    rest = _generator(x_share=0.0, y_share=0.0)(x, y, g, f, d_x, d_y, *weights)
    return rest + _toward_one(d_y(y)) + _toward_one(d_x(x))


def _returned_judged(
    x: Tensor, y: Tensor, g: Translation, f: Translation, d_x: Translation, d_y: Translation, *weights: float
) -> Tensor:
    """The discriminators look at what came back, not at the translations."""
    rest = _generator(x_share=0.0, y_share=0.0)(x, y, g, f, d_x, d_y, *weights)
    return rest + _toward_one(d_x(f(g(x)))) + _toward_one(d_y(g(f(y))))


def _both_sides(
    x: Tensor, y: Tensor, g: Translation, f: Translation, d_x: Translation, d_y: Translation, *weights: float
) -> Tensor:
    """The discriminators' terms for real pictures are added."""
    return _full_objective(x, y, g, f, d_x, d_y, *weights) + _toward_one(d_y(y)) + _toward_one(d_x(x))


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
        Case("2 pictures x and 2 y, 3 channels, 4x4, weights left out", lambda draw: _players(draw, 2, 2, 3, 4, 4)),
        Case("4 x and 4 y, 1 channel, 4x6, weights 3 and 0.5", lambda draw: (*_players(draw, 4, 4, 1, 4, 6), 3.0, 0.5)),
        Case("2 x and 2 y, both weights 0", lambda draw: (*_players(draw, 2, 2, 3, 4, 4), 0.0, 0.0)),
    ),
    hidden_cases=(
        Case("1 x and 3 y, 2 channels, 4x4", lambda draw: _players(draw, 1, 3, 2, 4, 4)),
        Case("3 x and 1 y, weights 0 and 2", lambda draw: (*_players(draw, 3, 1, 3, 4, 4), 0.0, 2.0)),
    ),
    gradients="required",
    differentiable=("x", "y"),
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
            _real_judged,
            "The discriminators look at real pictures: no generator has made them, so nothing could be learned from that. Give them x_to_y(x) and y_to_x(y).",
        ),
        Mistake(
            _both_sides,
            "The terms for real pictures are the discriminators' own: the generators only answer for their translations.",
        ),
        Mistake(
            _returned_judged,
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
        Case("2 real and 2 translated, 1 channel, 4x6", lambda draw: _judge(draw, 2, 2, 1, 4, 6)),
    ),
    hidden_cases=(Case("1 real and 4 translated, 2 channels, 4x4", lambda draw: _judge(draw, 1, 4, 2, 4, 4)),),
    gradients="required",
    differentiable=("real", "fake"),
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
            lambda d, real, fake: _discriminator()(d, real.detach(), fake),
            "You detach `real` too. That harms nothing, since real pictures are data; leave it as it is, for this check follows the gradient through it.",
        ),
        Mistake(
            torch.no_grad()(_discriminator()),
            "The value is right, but it is cut off from the graph (no_grad or detach on the result): the discriminator cannot learn from it.",
        ),
        Mistake(
            lambda *arguments: _discriminator()(*arguments).item(),
            "You return a Python number: a loss has to stay a tensor until backward() has been called.",
        ),
    ),
)
