"""Experiments: a study as a grid of runs, one stored row each, so that no table is typed in.

`run_experiment` fills `data/experiments/NAME.json` and nothing else does. Each finished run is written at once; a run that
was broken off is repeated, a finished one is not.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from course_utils import runtime
from course_utils.training.checkpoints import CheckpointError, write_atomically
from course_utils.training.recipe import versions
from course_utils.training.sources import source_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]
VERDICTS = ("holds here", "in part", "not at our scale", "does not hold here")


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: one of `VERDICTS`, and why in a sentence or two."""

    verdict: str
    why: str

    def __post_init__(self):
        if self.verdict not in VERDICTS:
            raise ValueError(f"a verdict is one of {', '.join(VERDICTS)}, not {self.verdict!r}")


@dataclass(frozen=True)
class Experiment:
    """A study: an ablation, a sweep, a comparison.

    Attributes:
        name: of the file in `data/experiments/`, as in `course experiment NAME`.
        question: that it answers, in one sentence.
        grid: the cells; each is the keyword arguments of one run, plain values. A key "seed" makes repetitions.
        run: (**cell) -> numbers by name, or lists of numbers; it trains what it needs at the chosen scale.
        verdict: (rows as `results` gives them, of the whole grid) -> Verdict.
        claim: the lecture's claim that it tests, as in "C01"; None for a study of our own.
        notebook: that shows it.
        figure: (rows) -> matplotlib figure.
    """

    name: str
    question: str
    grid: tuple[Mapping[str, Any], ...]
    run: Callable[..., Mapping[str, Any]]
    verdict: Callable[[list[Row]], Verdict] | None = None
    claim: str | None = None
    notebook: str | None = None
    figure: Callable[[list[Row]], "Figure"] | None = None

    def __post_init__(self):
        names = [json.dumps(dict(cell), sort_keys=True) for cell in self.grid]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"the grid of experiment {self.name!r} must hold at least one cell, and none twice")


def run_experiment(
    experiment: Experiment, only: Mapping[str, Any] | None = None, force: bool = False
) -> list[Row]:
    """Run the cells that have no valid row yet; each row is stored as soon as it is there.

    Args:
        experiment: whose grid to run.
        only: run only cells with these values, as in `only={"beta": 1.0}`.
        force: run them even if they have a row.

    Returns:
        all rows, as `results` gives them. A row whose code has changed since is stale, and run again.

    Raises:
        ValueError: if `only` fits no cell, or a run returns something else than numbers.
        CheckpointError: if the rows cannot be read or written.
    """
    chosen = [dict(cell) for cell in experiment.grid if all(cell.get(key) == value for key, value in (only or {}).items())]
    if not chosen:
        raise ValueError(f"no cell of experiment {experiment.name!r} has {dict(only or {})}; its grid: {list(experiment.grid)}")
    source = source_of(experiment.run)
    stored = _read(experiment, _path(experiment, writing=True))
    for number, cell in enumerate(chosen, 1):
        row = next((row for row in stored if row["cell"] == _plain(cell)), None)
        if row is not None and row["source"] == source and not force:
            continue
        reason = "" if row is None else " again" if force else " again (its code has changed)"
        print(f"{experiment.name} {number}/{len(chosen)}{reason}: {_title(cell)}", flush=True)
        runtime.seed_everything(int(cell.get("seed", 0)))
        start = time.monotonic()
        metrics = {name: _result(name, value) for name, value in experiment.run(**cell).items()}
        clash = sorted(set(metrics) & {*cell, "seconds"})
        if clash:
            raise ValueError(f"experiment {experiment.name!r} measures {clash}, which its cell has too: rename one")
        new = {
            "cell": _plain(cell),
            "metrics": metrics,
            "seed": int(cell.get("seed", 0)),
            "seconds": round(time.monotonic() - start, 1),
            "scale": runtime.scale_name(),
            "command": f"course experiment {experiment.name}",
            "versions": versions(),
            "source": source,
        }
        stored = [row for row in stored if row["cell"] != new["cell"]] + [new]
        _write(experiment, stored)
    return results(experiment)


def results(experiment: Experiment) -> list[Row]:
    """The stored rows in the order of the grid, flat: the cell's values, what was measured, and `seconds`.

    Empty if nothing was run. Rows of cells that the grid no longer has are left out. What `run_experiment` wrote at
    scale smoke or gpu is kept apart from the stored results, and read at that scale only.

    Raises:
        CheckpointError: if the file is damaged.
    """
    rows = {json.dumps(row["cell"], sort_keys=True): row for row in stored_rows(experiment)}
    found = [rows.get(json.dumps(_plain(dict(cell)), sort_keys=True)) for cell in experiment.grid]
    return [{**row["cell"], **row["metrics"], "seconds": row["seconds"]} for row in found if row is not None]


def stored_rows(experiment: Experiment) -> list[Row]:
    """The rows as they are in the file, with seed, command, versions and source."""
    return _read(experiment, _path(experiment, writing=False))


def stale_cells(experiment: Experiment) -> list[dict[str, Any]]:
    """Cells whose stored row was made by code that has changed since."""
    source = source_of(experiment.run)
    return [row["cell"] for row in stored_rows(experiment) if row["source"] != source]


def missing_cells(experiment: Experiment) -> list[dict[str, Any]]:
    """Cells of the grid that have no row yet."""
    done = [row["cell"] for row in stored_rows(experiment)]
    return [dict(cell) for cell in experiment.grid if _plain(dict(cell)) not in done]


def summary(experiment: Experiment) -> list[Row]:
    """One row a setting (a cell without its seed): the mean of each number, its standard deviation over seeds, `seeds`.

    Lists and numbers that are not there for every seed are left out; the deviation is None for a single seed.
    """
    groups: dict[str, list[Row]] = {}
    for row in stored_rows(experiment):
        setting = {key: value for key, value in row["cell"].items() if key != "seed"}
        groups.setdefault(json.dumps(setting), []).append(row["metrics"])
    order = list(dict.fromkeys(json.dumps({k: v for k, v in _plain(dict(cell)).items() if k != "seed"}) for cell in experiment.grid))
    lines = []
    for key in (key for key in order if key in groups):
        several = groups[key]
        names = [name for name in several[0] if all(isinstance(one.get(name), float | int) for one in several)]
        spread = {name: _mean_and_deviation([one[name] for one in several]) for name in names}
        lines.append({"setting": json.loads(key), "seeds": len(several), "metrics": spread})
    return lines


def _mean_and_deviation(values: list[float]) -> tuple[float, float | None]:
    mean = sum(values) / len(values)
    if len(values) == 1:
        return mean, None
    return mean, (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5


def grid(**choices: Iterable[Any]) -> tuple[dict[str, Any], ...]:
    """All combinations: `grid(beta=(0.1, 1.0), seed=range(3))` gives six cells."""
    return tuple(dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values()))


def _path(experiment: Experiment, writing: bool) -> Path:
    own = runtime.cache_folder("experiments", runtime.scale_name(), f"{experiment.name}.json")
    if runtime.scale_name() != "cpu" and (writing or own.exists()):
        return own
    return runtime.data_folder("experiments", f"{experiment.name}.json")


def _read(experiment: Experiment, path: Path) -> list[Row]:
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [row for row in rows if row["cell"] is not None and row["metrics"] is not None and row["source"]]
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"{path} is damaged ({error}). Bring it back with git, or delete it and run: course experiment {experiment.name}"
        ) from error


def _write(experiment: Experiment, rows: list[Row]) -> None:
    order = [_plain(dict(cell)) for cell in experiment.grid]
    kept = sorted((row for row in rows if row["cell"] in order), key=lambda row: order.index(row["cell"]))
    write_atomically(_path(experiment, writing=True), json.dumps(kept, indent=1) + "\n")


def _plain(cell: dict[str, Any]) -> dict[str, Any]:
    """The cell as JSON gives it back."""
    return json.loads(json.dumps(cell))


def _result(name: str, value: Any) -> float | list:
    if isinstance(value, Tensor) or hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_result(name, one) for one in value]
    if isinstance(value, bool | int | float):
        return value if isinstance(value, int) else float(f"{value:.7g}")
    raise ValueError(f"a run must return numbers or lists of numbers, but {name!r} is a {type(value).__name__}")


def _title(cell: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in cell.items())
