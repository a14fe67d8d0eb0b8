"""Recipes: every trained thing of the course by name, with its data, its targets, and a card of what it reached.

`train` makes the checkpoint folder `data/checkpoints/NAME/`: `model.safetensors` in half precision (a byte a weight where
that would be large), `config.json`, `card.json` for programs and `README.md` for readers. The metrics on the card are measured after the weights were
reloaded from that file, so they are those of what is shipped.
"""

import dataclasses
import importlib.metadata
import json
import platform
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from course_utils import runtime
from course_utils.hub import WeightsError, fill, read_weights, save_half, store_in_bytes
from course_utils.training.checkpoints import (
    CheckpointError,
    cannot_write,
    recover_folder,
    replace_folder,
    write_atomically,
)
from course_utils.training.engine import Player, fit, interrupts_end_everything
from course_utils.training.schedules import Schedule

Measured = dict[str, float]
LARGE = 1_000_000  # bytes of a checkpoint in half precision above which it gets a byte a weight


@dataclass(frozen=True)
class Target:
    """What a metric must reach: `Target(at_least=0.99)`, `Target(at_most=12.0)`, or both."""

    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self):
        if self.at_least is None and self.at_most is None:
            raise ValueError("a target needs at_least or at_most")

    def met(self, value: float | None) -> bool:
        """Whether `value` reaches it; what is missing or not a number never does."""
        if value is None:
            return False
        low = self.at_least is None or value >= self.at_least
        return low and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        bounds = [f"at least {self.at_least:g}"] if self.at_least is not None else []
        return " and ".join(bounds + ([f"at most {self.at_most:g}"] if self.at_most is not None else []))


@dataclass(frozen=True)
class Recipe:
    """A trained thing: how it is made, and how good it must be. Its functions do no work until they are called.

    Attributes:
        name: of the checkpoint, as in `course train NAME`.
        chapter, notebook, system, paper, data: for tables and cards.
        model: makes the untrained model.
        players: the model -> what `fit` trains.
        loader: makes the training batches.
        steps: optimizer steps for each scale.
        metrics: (model in evaluation mode, number of held-out samples) -> numbers by name.
        targets: for some of the metrics.
        samples: held-out samples for the card's metrics.
        quick_samples: held-out samples for the small part that `make test` measures again.
        chance: number of samples -> what guessing reaches, for some of the metrics, measured.
        ceiling: number of samples -> what real data reach, measured.
        sample: (model, n, generator) -> (n, channels, height, width) in [-1, 1].
        schedule, clip, accumulate, seed: as in `fit`; the seed also draws the initial weights.
        minutes: about how long `train` takes at scale cpu, for tables before there is a card.
        frozen: parts of the model that are not trained here, by the prefix of their weights' names: the recipe they
            come from. They are not saved again; `model` loads them.
        about: one or two sentences for the card.
    """

    name: str
    chapter: str
    notebook: str
    system: str
    paper: str
    data: str
    model: Callable[[], nn.Module]
    players: Callable[[nn.Module], Player | Sequence[Player]]
    loader: Callable[[], Iterable[dict]]
    steps: Mapping[str, int]
    metrics: Callable[[nn.Module, int], Measured]
    targets: Mapping[str, Target] = field(default_factory=dict)
    samples: int = 2000
    quick_samples: int = 256
    chance: Callable[[int], Measured] | None = None
    ceiling: Callable[[int], Measured] | None = None
    sample: Callable[[nn.Module, int, torch.Generator], Tensor] | None = None
    schedule: str | Schedule = "one_cycle"
    clip: float | None = 1.0
    accumulate: int = 1
    seed: int = 0
    minutes: float | None = None
    frozen: Mapping[str, str] = field(default_factory=dict)
    about: str = ""


def checkpoint_folder(recipe: Recipe, scale: str | None = None) -> Path:
    """Where `train` puts the checkpoint: the shipped folder at scale cpu, the cache at the others."""
    scale = scale or runtime.scale_name()
    if scale == "cpu":
        return runtime.data_folder("checkpoints", recipe.name)
    return runtime.cache_folder("checkpoints", scale, recipe.name)


def load(recipe: Recipe, folder: Path | str | None = None) -> nn.Module:
    """The trained model in evaluation mode on the best device.

    Args:
        recipe: of the model.
        folder: of the checkpoint; by default the shipped one, or at scale gpu the user's own if there is one.

    Raises:
        CheckpointError: if it is missing, damaged, or of a model with another config.
    """
    folder = _folder_to_read(recipe, folder)
    again = f"Make it with: course train {recipe.name}"
    recover_folder(folder)
    if not (folder / "model.safetensors").is_file():
        raise CheckpointError(f"there is no checkpoint of {recipe.name} in {folder}. {again}")
    try:
        weights = read_weights(folder / "model.safetensors")
    except WeightsError as error:
        raise CheckpointError(f"the checkpoint of {recipe.name} in {folder} is damaged ({error}). {again}") from error
    model = recipe.model()
    _compare_configs(recipe, model, folder, again)
    try:
        lacking, unexpected = fill(model, weights)
    except RuntimeError as error:
        details = " ".join(str(error).split()).rstrip(".")
        message = f"the checkpoint in {folder} is of another model than {recipe.name}: {details}. {again}"
        raise CheckpointError(message) from error
    missing = [name for name in lacking if not _is_frozen(recipe, name)]
    if missing or unexpected:
        raise CheckpointError(
            f"the checkpoint in {folder} is of another model than {recipe.name}: it lacks {missing or 'nothing'}, "
            f"and has {unexpected or 'nothing'} too much. {again}"
        )
    return model.to(runtime.device()).eval().requires_grad_(False)


def read_card(recipe: Recipe, folder: Path | str | None = None) -> dict[str, Any]:
    """The card of the checkpoint: command, seed, steps, seconds, versions, metrics, targets, chance, ceiling, meets.

    Raises:
        CheckpointError: if there is none.
    """
    folder = _folder_to_read(recipe, folder)
    recover_folder(folder)
    try:
        return json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"there is no checkpoint of {recipe.name} in {folder}. Make it with: course train {recipe.name}"
        raise CheckpointError(message) from error
    except ValueError as error:
        message = f"{folder / 'card.json'} is damaged ({error}). Make it anew with: course train {recipe.name}"
        raise CheckpointError(message) from error


def evaluate(recipe: Recipe, quick: bool = False, folder: Path | str | None = None) -> Measured:
    """Measure the checkpoint again on held-out data: numbers by name. Chance and ceiling are on the card.

    Args:
        recipe: of the model.
        quick: on `recipe.quick_samples` instead of `recipe.samples`.
        folder: of the checkpoint, as in `load`.

    Raises:
        CheckpointError: as in `load`.
    """
    return _measure(recipe, load(recipe, folder), recipe.quick_samples if quick else recipe.samples)


def train(
    recipe: Recipe,
    *,
    folder: Path | str | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    restart: bool = False,
    progress: bool = True,
) -> Path | None:
    """Train by the recipe at the chosen scale, and write the checkpoint folder.

    The state of the training lies in `data/cache/training/`: after an interrupt, a crash or a spent time budget the
    same call goes on where it was. The former checkpoint stays until the new one is complete.

    Args:
        recipe: what to train.
        folder: for the checkpoint; by default `checkpoint_folder(recipe)`, never the shipped one at scale smoke.
        minutes: stop in good order after this time.
        seed: instead of the recipe's.
        restart: begin anew even if a training was begun.
        progress: show a bar.

    Returns:
        the checkpoint folder, or None if the training was stopped before its end (and in all processes but the first).

    Raises:
        CheckpointError: if something cannot be written, or a begun training has other settings.
        TrainingDiverged: as in `fit`.
    """
    scale = runtime.scale_name()
    if scale not in recipe.steps:
        raise ValueError(f"recipe {recipe.name} has steps for {', '.join(recipe.steps)}, none for scale {scale}")
    command = f"course train {recipe.name}" if scale == "cpu" else f"COURSE_SCALE={scale} course train {recipe.name}"
    if seed is not None and seed != recipe.seed:
        recipe = dataclasses.replace(recipe, seed=seed)
        command += f" --seed {seed}"
    target = Path(folder) if folder else checkpoint_folder(recipe)
    begun = runtime.cache_folder("training", recipe.name, f"{scale}.pt")
    if restart:
        begun.unlink(missing_ok=True)
    runtime.seed_everything(recipe.seed)
    model = recipe.model()
    try:
        history = fit(
            recipe.players(model),
            recipe.loader(),
            recipe.steps[scale],
            schedule=recipe.schedule,
            clip=recipe.clip,
            accumulate=recipe.accumulate,
            seed=recipe.seed,
            checkpoint=begun,
            minutes=minutes,
            progress=progress,
        )
    except CheckpointError as error:
        raise CheckpointError(f"recipe {recipe.name}: {error}") from error
    if not _is_main_process():
        return None
    if not history.finished:
        print(f"{recipe.name}: {history.steps} of {recipe.steps[scale]} steps. Go on with: course train {recipe.name}")
        return None
    print(f"{recipe.name}: trained in {history.seconds / 60:.1f} min; measuring on held-out data.")
    made = {"command": command, "steps": history.steps, "scale": scale, "seconds": round(history.seconds, 1)}
    _write_checkpoint(recipe, model, target, made)
    begun.unlink(missing_ok=True)
    return target


def card_text(card: Mapping[str, Any]) -> str:
    """The card for readers, in Markdown, from `card.json`."""
    names = list(card["metrics"])
    what = f"{card['system']} ({card['paper']}) on {card['data']}. {card['about']}"
    lines = [f"# {card['name']}", "", what.strip(), ""]
    lines += [f"On {card['samples']:,} held-out samples, with the weights of this folder:", ""]
    lines += ["| metric | measured | target | chance | ceiling |", "| --- | --- | --- | --- | --- |"]
    for name in names:
        target = Target(**card["targets"][name]) if name in card["targets"] else "–"
        others = [_number(card[kind].get(name)) for kind in ("chance", "ceiling")]
        lines.append(f"| {name} | {_number(card['metrics'][name])} | {target} | {' | '.join(others)} |")
    verdict = "All targets are met." if card["meets"] else "**Not all targets are met.**"
    lines += ["", verdict if card["targets"] else "It has no targets.", ""]
    lines += [f"Made with `{card['command']}` (seed {card['seed']}, {card['steps']:,} steps, "
              f"{card['seconds'] / 60:.1f} minutes on {card['device']}) and nothing else; "
              f"{card['parameters']:,} parameters, {card['size_mb']:.2f} MB, {card.get('precision', 'half precision')}.", ""]  # fmt: skip
    lines += [f"Frozen part `{part}`: the checkpoint `{name}`." for part, name in card["frozen"].items()]
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    lines += [f"Versions: {versions}. Notebook: `solutions/{card['notebook']}.ipynb`."]
    return "\n".join(lines) + "\n"


def versions() -> dict[str, str]:
    """Versions of what results depend on."""
    packages = ("torch", "numpy", "accelerate", "course-utils")
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _write_checkpoint(recipe: Recipe, model: nn.Module, target: Path, made: dict[str, Any]) -> None:
    """Fill a neighbouring folder, measure what is in it, then let it take the target's place."""
    new = target.with_name(f".{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir(parents=True)
        save_half(model.cpu(), new)
        _leave_out_frozen(recipe, new)
        if (new / "model.safetensors").stat().st_size > LARGE:
            store_in_bytes(new / "model.safetensors")
            made = made | {"precision": "a byte a weight"}
        card = _card(recipe, new, made)
        write_atomically(new / "card.json", json.dumps(card, indent=2) + "\n")
        write_atomically(new / "README.md", card_text(card))
        replace_folder(new, target)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(cannot_write(target, error)) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _card(recipe: Recipe, folder: Path, made: dict[str, Any]) -> dict[str, Any]:
    """Everything the card says, measured on the model in `folder`."""
    model = load(recipe, folder)
    samples = recipe.quick_samples if made["scale"] == "smoke" else recipe.samples
    metrics = _measure(recipe, model, samples)
    trained = [value.numel() for name, value in model.named_parameters() if not _is_frozen(recipe, name)]
    return {
        "name": recipe.name,
        "chapter": recipe.chapter,
        "notebook": recipe.notebook,
        "system": recipe.system,
        "paper": recipe.paper,
        "data": recipe.data,
        "about": recipe.about,
        **made,
        "seed": recipe.seed,
        "device": _device_name(),
        "versions": versions(),
        "parameters": sum(trained),
        "size_mb": round((folder / "model.safetensors").stat().st_size / 1e6, 3),
        "frozen": dict(recipe.frozen),
        "samples": samples,
        "metrics": metrics,
        "quick_samples": recipe.quick_samples,
        "quick_metrics": _measure(recipe, model, recipe.quick_samples),
        "chance": _floats(recipe.chance(samples)) if recipe.chance else {},
        "ceiling": _floats(recipe.ceiling(samples)) if recipe.ceiling else {},
        "targets": {name: _bounds(target) for name, target in recipe.targets.items()},
        "meets": _meets(recipe, metrics),
    }


def _measure(recipe: Recipe, model: nn.Module, samples: int) -> Measured:
    runtime.seed_everything(recipe.seed)
    with torch.no_grad(), interrupts_end_everything():
        metrics = _floats(recipe.metrics(model, samples))
    unknown = sorted(set(recipe.targets) - set(metrics))
    if unknown:
        raise ValueError(f"recipe {recipe.name} has targets for {unknown}, but measures only {sorted(metrics)}")
    return metrics


def _meets(recipe: Recipe, metrics: Measured) -> bool:
    return all(target.met(metrics[name]) for name, target in recipe.targets.items())


def _floats(values: Mapping[str, Any]) -> Measured:
    return {name: float(value) for name, value in values.items()}


def _bounds(target: Target) -> dict[str, float]:
    return {name: value for name, value in asdict(target).items() if value is not None}


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _is_frozen(recipe: Recipe, name: str) -> bool:
    return any(name.startswith(f"{part}.") for part in recipe.frozen)


def _leave_out_frozen(recipe: Recipe, folder: Path) -> None:
    if recipe.frozen:
        weights = safetensors.torch.load_file(folder / "model.safetensors")
        kept = {name: value for name, value in weights.items() if not _is_frozen(recipe, name)}
        safetensors.torch.save_file(kept, folder / "model.safetensors")


def _compare_configs(recipe: Recipe, model: nn.Module, folder: Path, again: str) -> None:
    """Refuse a checkpoint whose config is not the recipe's: the same weights in another model can be silently wrong."""
    path, config = folder / "config.json", getattr(model, "config", None)
    if not path.is_file() or not is_dataclass(config):
        return
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored = stored.get("config", stored)
    wanted = json.loads(json.dumps(asdict(config)))
    changed = [
        f"{name} is {stored[name]} there, {value} in the recipe"
        for name, value in wanted.items()
        if name in stored and stored[name] != value
    ]
    if changed:
        difference = "; ".join(changed)
        raise CheckpointError(f"the checkpoint of {recipe.name} in {folder} has another config: {difference}. {again}")


def _folder_to_read(recipe: Recipe, folder: Path | str | None) -> Path:
    if folder:
        return Path(folder)
    own = checkpoint_folder(recipe, "gpu")
    if runtime.scale_name() == "gpu" and (own / "card.json").is_file():
        return own
    return checkpoint_folder(recipe, "cpu")


def _device_name() -> str:
    if runtime.device().type == "cuda":
        return torch.cuda.get_device_name()
    return f"{runtime.device().type} with {torch.get_num_threads()} threads"


def _is_main_process() -> bool:
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0
