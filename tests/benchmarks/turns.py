"""What benchmarks of trainings share: two ways to train the same, timed in turns."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from course_utils import runtime


def compare(
    name: str, make: Callable[[], Any], ours: Callable[[Any], Any], peer: Callable[[Any], Any], steps: int, turns: int
) -> dict:
    """One row: the median milliseconds a step of both, over some turns after one that warms up.

    Args:
        name: of the row.
        make: what is trained; made anew for each of them in each turn, which does not count.
        ours, peer: train what was made for that many steps.
        steps, turns: how many.
    """
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    for turn in range(turns + 1):
        for who in ("ours", "peer") if turn % 2 else ("peer", "ours"):
            made = make()
            start = time.perf_counter()
            (ours if who == "ours" else peer)(made)
            if runtime.device().type == "cuda":
                torch.cuda.synchronize()
            if turn:  # the first turn warms up
                times[who].append(1000 * (time.perf_counter() - start) / steps)
    mine, theirs = (statistics.median(times[who]) for who in ("ours", "peer"))
    ratio = statistics.median(a / b for a, b in zip(times["ours"], times["peer"], strict=True))
    return {"name": name, "ours": round(mine, 3), "peer": round(theirs, 3), "ratio": round(ratio, 3)}
