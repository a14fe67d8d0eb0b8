"""`fit`: one short training engine for all systems, on Hugging Face Accelerate.

A training is a list of *players*, each with a module and an objective: one for a VAE, two for a GAN. In each step
every player in turn computes its objective on the batch and moves its own parameters; the others' stand still. The
engine owns what a notebook should not repeat: device and precision, clipping, averaging, accumulation, the bar, the
history, exact checkpoints, a clear stop when numbers explode. Under `torchrun` or `accelerate launch` every process
works on its share of each batch, so that two processes do what one would do.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import gather_object
from torch import Tensor, nn

from course_utils.runtime import device as best_device
from course_utils.runtime import seed_everything
from course_utils.training.checkpoints import random_state, read_state, save_state, set_random_state
from course_utils.training.history import Bar, History, Ledger
from course_utils.training.schedules import Schedule, find_schedule
from course_utils.training.stream import BatchStream

_passes_interrupts_on = ContextVar("passes_interrupts_on", default=False)
Objective = Callable[[dict], tuple[Tensor, dict[str, Tensor | float]]]


@dataclass(frozen=True)
class Player:
    """One module with what it wants.

    Attributes:
        name: for the history, the bar and messages.
        module: whose parameters are trained (those that require a gradient when `fit` begins).
        objective: batch -> (scalar loss, further numbers for the history). Called with the module in training mode; it
            draws its noise itself, from the global generator. It may call other players' modules.
        learning_rate: at the schedule's peak, for AdamW.
        betas: of AdamW.
        weight_decay: of AdamW, on matrices and kernels only (not on biases, norms and other vectors).
        ema_decay: keep a running average of the parameters with this decay d (at step t: min(d, (1 + t) / (10 + t)));
            when `fit` returns the module holds the average. None: no average.
        every: moves only in every so-manieth step (a generator behind five steps of its critic: 5).
        after_step: called as `after_step(batch)` after each own step, without gradients: for running state that is not
            trained by gradients, as a codebook of averages. It must reduce over processes itself.
    """

    name: str
    module: nn.Module
    objective: Objective
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    ema_decay: float | None = None
    every: int = 1
    after_step: Callable[[dict], None] | None = None


def fit(
    players: Player | Sequence[Player],
    loader: Iterable[dict],
    steps: int,
    *,
    schedule: str | Schedule = "one_cycle",
    clip: float | None = 1.0,
    accumulate: int = 1,
    seed: int = 0,
    precision: str | None = None,
    checkpoint: Path | str | None = None,
    checkpoint_every: int | None = None,
    minutes: float | None = None,
    progress: bool = True,
) -> History:
    """Train the players on the batches of `loader` for `steps` optimizer steps; modules are changed in place.

    Modules end on the training device, in evaluation mode, with averaged weights where a player asks for an average.
    An interrupt (the stop button, Ctrl-C) ends the training after the step in hand, in the same orderly way: `fit` says
    how far it got and returns, so that a notebook can go on with what is there.

    Args:
        players: one or several; all play in each step, in this order.
        loader: batches `{"image": (batch, channels, height, width) in [-1, 1], ...}`; gone through again and again.
        steps: optimizer steps of each player that moves in every step.
        schedule: "one_cycle", "cosine", "constant", or a function (step, steps) -> factor of the learning rate.
        clip: largest norm of a player's gradient; None leaves gradients alone.
        accumulate: batches that make up one optimizer step.
        seed: of everything random in the training (not of the initial weights, which are there before).
        precision: "float32" or "bfloat16" (autocast); by default bfloat16 on CUDA and float32 elsewhere.
        checkpoint: file for the exact state of the training. If it is there, the training goes on from it.
        checkpoint_every: steps between two writings of it; by default a twentieth of all.
        minutes: stop in good order after this time; with `checkpoint` the same call goes on later.
        progress: show a bar.

    Raises:
        TrainingDiverged: a loss or gradient is not finite. On a CPU the weights are those before the bad step.
        CheckpointError: the checkpoint belongs to another training, is damaged, or cannot be written.
        ValueError: no steps, no players, nothing to train, an unknown schedule or precision.
    """
    players = [players] if isinstance(players, Player) else list(players)
    _validate(players, steps, accumulate, precision)
    factor = find_schedule(schedule)
    device = best_device()
    accelerator = Accelerator(
        mixed_precision="no", cpu=device.type == "cpu", dataloader_config=DataLoaderConfiguration(split_batches=True)
    )
    device = accelerator.device
    precision = precision or ("bfloat16" if device.type == "cuda" else "float32")
    seed_everything(seed + 1_000_003 * accelerator.process_index)
    seats = [_Seat(player, accelerator, precision) for player in players]
    stream = BatchStream(loader, accelerator, any(seat.convolutional for seat in seats))
    history = History()
    done = 0

    configuration = {
        "players": {seat.player.name: seat.configuration() for seat in seats},
        "steps": steps,
        "schedule": schedule if isinstance(schedule, str) else schedule.__qualname__,
        "clip": clip,
        "accumulate": accumulate,
        "batch size": getattr(loader, "batch_size", None),
        "seed": seed,
        "precision": precision,
        "processes": accelerator.num_processes,
    }
    checkpoint = Path(checkpoint) if checkpoint else None
    checkpoint_every = checkpoint_every or max(1, steps // 20)
    if checkpoint and checkpoint.exists():
        state = read_state(checkpoint, configuration)
        for seat in seats:
            seat.restore(state["seats"][seat.player.name])
        history = History.restored(state["history"])
        done = history.steps
        if done < steps:
            stream.restore(state["data"])
        set_random_state(state["random"][accelerator.process_index])

    def save() -> None:
        randomness = gather_object([random_state()])
        if accelerator.is_main_process:
            everything = {seat.player.name: seat.state() for seat in seats}
            state = {"configuration": configuration, "seats": everything, "history": history.plain()}
            save_state(checkpoint, {**state, "data": stream.state(), "random": randomness})
        accelerator.wait_for_everyone()

    ledger = Ledger(history, accelerator)
    bar = Bar(steps, done, progress and accelerator.is_local_main_process)
    every = 1 if device.type == "cpu" else 25  # steps between two looks at the numbers, which stall an accelerator
    resumed, before, start = done, history.seconds, time.monotonic()
    try:
        with _interrupts() as interrupted:
            while done < steps:
                batches = [next(stream) for _ in range(accumulate)]
                for seat in seats:
                    if done % seat.player.every == 0:
                        _freeze_all_but(seat, seats)
                        loss, norm, logs = seat.gradients(batches, clip)
                        prefix = f"{seat.player.name}/" if len(seats) > 1 else ""
                        numbers = {"loss": loss, **logs, "gradient_norm": norm}
                        for key, value in numbers.items():
                            ledger.note(seat.player.name, done, prefix + key, value, key in ("loss", "gradient_norm"))
                        if every == 1:
                            ledger.flush()
                        seat.step(factor(done, steps), done, batches[-1])
                done += 1
                history.steps, history.seconds = done, before + time.monotonic() - start
                saving = checkpoint is not None and done % checkpoint_every == 0
                if done % every == 0 or done == steps or saving:
                    ledger.flush()
                    bar.show(done, history)
                    late = minutes is not None and time.monotonic() - start > 60 * minutes
                    if _any_process(late or bool(interrupted), accelerator):
                        break
                if saving and done < steps:
                    save()
            ledger.flush()
            history.finished = done == steps
            bar.show(done, history, last=True)
            if checkpoint and done > resumed:
                save()
    finally:
        bar.close()
        for seat in seats:
            seat.leave()
    for seat in seats:
        seat.take_average(history)
    if not history.finished and progress and accelerator.is_local_main_process:
        go_on = f"run the same again to go on from {checkpoint}" if checkpoint else "the weights are those of that step"
        print(f"Stopped after {done} of {steps} steps; {go_on}.")
    if interrupted and _passes_interrupts_on.get():
        raise KeyboardInterrupt
    return history


@contextlib.contextmanager
def interrupts_end_everything() -> Iterator[None]:
    """Within it an interrupted `fit` raises KeyboardInterrupt in the end: a half-trained model must not be measured."""
    token = _passes_interrupts_on.set(True)
    try:
        yield
    finally:
        _passes_interrupts_on.reset(token)


class _Objective(nn.Module):
    """A player's objective as a module, so that distributed training sees the forward pass and averages gradients."""

    def __init__(self, player: Player, device_type: str, precision: str):
        super().__init__()
        self.module = player.module
        self.objective = player.objective
        self.device_type = device_type
        self.half = precision == "bfloat16"

    def forward(self, batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        with torch.autocast(self.device_type, torch.bfloat16, enabled=self.half):
            return self.objective(batch)


class _Seat:
    """A player at work: its optimizer, its average, its place in the checkpoint."""

    def __init__(self, player: Player, accelerator: Accelerator, precision: str):
        self.player = player
        self.accelerator = accelerator
        self.convolutional = any(isinstance(part, nn.Conv2d | nn.ConvTranspose2d) for part in player.module.modules())
        layout = torch.channels_last if self.convolutional else torch.preserve_format
        player.module.to(accelerator.device, memory_format=layout).train()
        self.parameters = [parameter for parameter in player.module.parameters() if parameter.requires_grad]
        if not self.parameters:
            raise ValueError(f"player {player.name!r} has nothing to train: no parameter requires a gradient")
        decaying = [parameter for parameter in self.parameters if parameter.ndim >= 2 or not player.weight_decay]
        resting = [parameter for parameter in self.parameters if parameter.ndim < 2 and player.weight_decay]
        self.optimizer = torch.optim.AdamW(
            [{"params": decaying}, *([{"params": resting, "weight_decay": 0.0}] if resting else [])],
            lr=player.learning_rate,
            betas=player.betas,
            weight_decay=player.weight_decay,
            fused=accelerator.device.type in ("cpu", "cuda", "mps"),
        )
        self.average = [p.detach().clone() for p in self.parameters] if player.ema_decay is not None else None
        self.objective = accelerator.prepare_model(_Objective(player, accelerator.device.type, precision))

    def gradients(self, batches: list[dict], clip: float | None) -> tuple[Tensor, Tensor, dict[str, Tensor | float]]:
        """Fill the gradients with the mean over `batches`, clipped; returns loss, norm before clipping, and logs."""
        total, sums = 0.0, {}
        for index, batch in enumerate(batches):
            last = index == len(batches) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.objective):
                loss, logs = self.objective(batch)
                loss = loss / len(batches)
                loss.backward()
            total = total + loss.detach()
            for key, value in logs.items():
                value = value.detach() if isinstance(value, Tensor) else value
                sums[key] = sums.get(key, 0.0) + value / len(batches)
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if clip is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, clip, norm)
        return total, norm, sums

    def step(self, factor: float, step: int, batch: dict) -> None:
        """Move the parameters by their gradients, and the average after them."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.player.learning_rate * factor
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            if self.average is not None:
                decay = min(self.player.ema_decay, (1 + step) / (10 + step))
                torch._foreach_lerp_(self.average, self.parameters, 1 - decay)
            if self.player.after_step is not None:
                self.player.after_step(batch)

    def leave(self) -> None:
        """Give the module back as a user expects it: trainable as before, no gradients, in evaluation mode."""
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        self.optimizer.zero_grad(set_to_none=True)
        self.player.module.eval()

    def take_average(self, history: History) -> None:
        """Put the average into the module, and the last weights into the history."""
        if self.average is not None:
            named = [(name, p) for name, p in self.player.module.named_parameters() if p.requires_grad]
            history.raw_weights[self.player.name] = {name: p.detach().clone() for name, p in named}
            with torch.no_grad():
                torch._foreach_copy_(self.parameters, self.average)

    def configuration(self) -> dict[str, Any]:
        """What a checkpoint must agree with, as plain values."""
        names = ("learning_rate", "weight_decay", "ema_decay", "every")
        shapes = {name: list(value.shape) for name, value in self.player.module.state_dict().items()}
        chosen = {name: getattr(self.player, name) for name in names}
        return {**chosen, "betas": list(self.player.betas), "weights": shapes}

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        weights = self.player.module.state_dict()
        return {"weights": weights, "optimizer": self.optimizer.state_dict(), "average": self.average}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what `state` took."""
        self.player.module.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            with torch.no_grad():
                for mine, stored in zip(self.average, state["average"], strict=True):
                    mine.copy_(stored)


def _freeze_all_but(seat: _Seat, seats: list[_Seat]) -> None:
    """Only the player whose turn it is gets gradients; the others' modules let them through."""
    if len(seats) > 1:
        for other in seats:
            for parameter in other.parameters:
                parameter.requires_grad_(False)
        for parameter in seat.parameters:
            parameter.requires_grad_(True)


def _any_process(flag: bool, accelerator: Accelerator) -> bool:
    """Whether `flag` holds in any process, so that all stop at the same step."""
    if accelerator.num_processes == 1:
        return flag
    return bool(accelerator.reduce(torch.tensor(float(flag), device=accelerator.device), "sum").item() > 0)


@contextlib.contextmanager
def _interrupts() -> Iterator[list[bool]]:
    """Collect the first Ctrl-C instead of breaking off in the middle of a step; the second breaks off at once."""
    pressed: list[bool] = []

    def press(*_: Any) -> None:
        signal.signal(signal.SIGINT, before)
        pressed.append(True)

    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _validate(players: list[Player], steps: int, accumulate: int, precision: str | None) -> None:
    if not players:
        raise ValueError("there is no player: pass Player(name, module, objective)")
    names = [player.name for player in players]
    if len(set(names)) < len(names):
        raise ValueError(f"each player needs a name of its own, not {names}")
    if steps < 1 or accumulate < 1:
        raise ValueError(f"steps and accumulate must be at least 1, not {steps} and {accumulate}")
    if precision not in (None, "float32", "bfloat16"):
        raise ValueError(f"precision is {precision!r}, but must be 'float32' or 'bfloat16'")
