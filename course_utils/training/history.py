"""What a training leaves to look at: its losses step by step, and a bar while it runs."""

import math
import sys
import time
from typing import Any

import torch
from tqdm import tqdm


class TrainingDiverged(RuntimeError):
    """A loss or a gradient is no longer a finite number. `step` counts from 0; `player` is the culprit's name."""

    def __init__(self, message: str, step: int, player: str):
        super().__init__(message)
        self.step = step
        self.player = player


class History(dict[str, list[float]]):
    """A list of numbers a quantity, one a step: `history["loss"]`; with several players `history["critic/loss"]`.

    Attributes:
        steps: optimizer steps done.
        seconds: that they took, over all pieces of a resumed training.
        finished: False if the training was stopped by its time budget or by the user.
        raw_weights: for each player with an average (EMA) the last weights themselves, by parameter name; the module
            holds the average.
    """

    def __init__(self, *arguments: Any, **keywords: Any):
        super().__init__(*arguments, **keywords)
        self.steps = 0
        self.seconds = 0.0
        self.finished = False
        self.raw_weights: dict[str, dict[str, torch.Tensor]] = {}

    def plain(self) -> dict[str, Any]:
        """As plain values, to be stored; `History.restored` reads them."""
        return {
            "values": {key: list(values) for key, values in self.items()},
            "steps": self.steps,
            "seconds": self.seconds,
            "finished": self.finished,
        }

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> "History":
        """The history that `plain` wrote."""
        history = cls(stored["values"])
        history.steps, history.seconds, history.finished = stored["steps"], stored["seconds"], stored["finished"]
        return history


class Ledger:
    """Collects losses on the device and brings them over in batches, since each single transfer stalls a GPU."""

    def __init__(self, history: History, accelerator: Any):
        self.history = history
        self.accelerator = accelerator
        self.pending: list[tuple[str, str, int, bool, torch.Tensor]] = []

    def note(self, player: str, step: int, key: str, value: torch.Tensor | float, must_be_finite: bool) -> None:
        """Remember one number of one step, without waiting for the device."""
        value = torch.as_tensor(value, dtype=torch.float32, device=self.accelerator.device).detach().reshape(())
        self.pending.append((key, player, step, must_be_finite, value))

    def flush(self) -> None:
        """Move everything remembered to the history, averaged over processes.

        Raises:
            TrainingDiverged: at the first loss or gradient that is not finite, naming its step and player.
        """
        if not self.pending:
            return
        stacked = torch.stack([value for *_, value in self.pending])
        values = self.accelerator.reduce(stacked, "mean").tolist()
        for (key, player, step, must_be_finite, _), value in zip(self.pending, values, strict=True):
            if must_be_finite and not math.isfinite(value):
                self.pending.clear()
                raise TrainingDiverged(
                    f"training diverged at step {step}: the {key.split('/')[-1].replace('_', ' ')} of player "
                    f"{player!r} is {value}. Try a smaller learning rate, clip=1.0, or look for a logarithm or a "
                    "division of zero in its objective.",
                    step,
                    player,
                )
            self.history.setdefault(key, []).append(value)
        self.pending.clear()


class Bar:
    """A progress bar on standard output (nbgrader counts any text on standard error against the student)."""

    def __init__(self, steps: int, done: int, shown: bool):
        live = "ipykernel" in sys.modules or sys.stdout.isatty()
        self.pause = 0.5 if live else 15.0  # a log file needs no second-by-second account
        self.last = time.monotonic() if not live else 0.0
        self.tqdm = tqdm(
            total=steps, initial=done, disable=not shown, file=sys.stdout, desc="training", unit="step",
            ascii=" =", miniters=1, dynamic_ncols=True,
        )  # fmt: skip

    def show(self, done: int, history: History, last: bool = False) -> None:
        """Draw the bar with the mean of each quantity over its last 20 steps, at most twice a second.

        The last state is only noted: `close` draws it.
        """
        now = time.monotonic()
        if self.tqdm.disable or (now - self.last < self.pause and not last):
            return
        self.last = now
        self.tqdm.n = done
        recent = {key: values[-20:] for key, values in history.items() if not key.endswith("gradient_norm")}
        text = "  ".join(f"{key} {sum(values) / len(values):.4g}" for key, values in recent.items())
        self.tqdm.set_postfix_str(text, refresh=not last)

    def close(self) -> None:
        """Leave the last state of the bar standing."""
        self.tqdm.close()
