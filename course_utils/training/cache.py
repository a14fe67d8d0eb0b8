"""A finished training of a notebook is kept, so that a restarted kernel does not train again."""

import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

import course_utils
from course_utils import runtime
from course_utils.training.checkpoints import (
    CheckpointError,
    random_state,
    read_state,
    save_state,
    set_random_state,
)
from course_utils.training.history import History
from course_utils.training.sources import digest, source_of, source_of_files

KEPT = 5  # variants of one training that stay in the cache


def cached(
    name: str, train: Callable[[], History], modules: nn.Module | Iterable[nn.Module], uses: Iterable[Any] = ()
) -> History:
    """Run `train()`, or take its result from the cache if exactly this training was finished before.

    `history = cached("vae", lambda: fit(player, batches, steps), vae, uses=(kl_divergence, reparameterize))`

    It is the same training if name, scale and device are the same, the modules have the same classes, configs and
    initial weights, the course's code for them is unchanged, and so is the source (comments aside) of `train`, of the
    players that it names, and of the functions and classes in `uses`. Then the modules get the trained weights, the
    random generators the state after the training, and nothing is computed. A training that was stopped early is not
    kept.

    Args:
        name: of the training, for the file in `data/cache/notebooks/`.
        train: trains the modules in place and returns the history.
        modules: everything whose weights the training changes.
        uses: the reader's own functions and classes that the training goes through.

    Returns:
        the history of the training, made now or earlier.
    """
    modules = [modules] if isinstance(modules, nn.Module) else list(modules)
    where = f"{name} {runtime.scale_name()} {runtime.device()}"
    key = digest(where, _state_of(modules), _code_of(modules, [train, *uses]))
    folder = runtime.cache_folder("notebooks")
    path = folder / f"{name}-{key}.pt"
    if path.exists():
        try:
            state = read_state(path, {"key": key})
            for module, weights in zip(modules, state["weights"], strict=True):
                module.to(runtime.device()).eval().load_state_dict(weights)
            set_random_state(state["random"])
            history = History.restored(state["history"])
            print(f"Trained before ({history.steps} steps in {history.seconds:.0f} s): taken from {path}.")
            return history
        except (CheckpointError, KeyError, ValueError, RuntimeError):
            print(f"The kept training {path} is damaged: training again.")
    history = train()
    if history.finished:
        state = {
            "configuration": {"key": key},
            "weights": [module.state_dict() for module in modules],
            "history": history.plain(),
            "random": random_state(),
        }
        try:
            save_state(path, state)
        except CheckpointError as error:
            print(f"This training is not kept for next time: {error}")
        for old in sorted(folder.glob(f"{name}-{'[0-9a-f]' * 16}.pt"), key=lambda file: file.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
    return history


def _state_of(modules: list[nn.Module]) -> str:
    """Fingerprint of classes, configs and present weights."""
    parts: list[str | bytes] = []
    for module in modules:
        parts.append(f"{type(module).__qualname__} {getattr(module, 'config', '')!r} {module}")
        for name, value in module.state_dict().items():
            flat = value.detach().cpu().contiguous().flatten()
            parts += [f"{name} {tuple(value.shape)} {value.dtype}", flat.view(torch.uint8).numpy().tobytes()]
    return digest(*parts)


def _code_of(modules: list[nn.Module], functions: list[Any]) -> str:
    """Fingerprint of the code that the training goes through: the course's, and the reader's own."""
    root = Path(course_utils.__file__).parent
    files = {path for folder in ("training", "layers", "data") for path in (root / folder).rglob("*.py")}
    own: dict[str, Any] = {}
    for kind in {type(part) for module in modules for part in module.modules()}:
        if kind.__module__.startswith("course_utils."):
            files.add(Path(inspect.getsourcefile(sys.modules[kind.__module__])))
        elif not kind.__module__.startswith("torch."):
            own[kind.__qualname__] = kind
    used = [source_of(thing) for thing in [*functions, *(own[name] for name in sorted(own))]]
    return digest(source_of_files(files), *used)
