"""Learning-rate schedules as pure functions of the step, so that a resumed training needs no scheduler's state."""

import math
from collections.abc import Callable

Schedule = Callable[[int, int], float]


def constant(step: int, steps: int) -> float:
    """1 at every step."""
    return 1.0


def one_cycle(step: int, steps: int, warmup: float = 0.3, start: float = 1 / 25, end: float = 1 / 25e4) -> float:
    """Cosine up from `start` to 1 over the share `warmup` of the steps, then cosine down to `end`.

    Smith & Topin, "Super-Convergence", 2018, in the two-phase form of `torch.optim.lr_scheduler.OneCycleLR`.
    """
    peak = warmup * steps - 1
    if step <= peak and peak > 0:
        return _cosine(start, 1.0, step / peak)
    return _cosine(1.0, end, min(1.0, (step - peak) / max(1.0, steps - 1 - peak)))


def cosine(step: int, steps: int, warmup: float = 0.05) -> float:
    """Straight up over the share `warmup` of the steps, then cosine down to 0 (Loshchilov & Hutter, ICLR 2017)."""
    rising = warmup * steps
    if step < rising:
        return (step + 1) / (math.floor(rising) + 1)
    return _cosine(1.0, 0.0, (step - rising) / max(1.0, steps - rising))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


SCHEDULES: dict[str, Schedule] = {"constant": constant, "one_cycle": one_cycle, "cosine": cosine}


def find_schedule(schedule: str | Schedule) -> Schedule:
    """The schedule of that name, or the function itself: `(step, steps) -> factor of the learning rate`.

    Raises:
        ValueError: if there is no schedule of that name.
    """
    if callable(schedule):
        return schedule
    if schedule not in SCHEDULES:
        raise ValueError(f"there is no schedule {schedule!r}: choose one of {', '.join(SCHEDULES)}, or pass a function")
    return SCHEDULES[schedule]
