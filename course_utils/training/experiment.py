"""Experiments: a study as a grid of runs, one stored row each, so that no table is typed in.

`run_experiment` fills `data/experiments/NAME.json` and nothing else does. Each finished run is written at once; a run
that was broken off is repeated, a finished one is not.
"""

import itertools
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from course_utils import runtime
from course_utils.training.checkpoints import CheckpointError, write_atomically
from course_utils.training.engine import interrupts_end_everything
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

    def __str__(self) -> str:
        return f"{self.verdict}: {self.why}"


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
    experiment: Experiment,
    only: Mapping[str, Any] | None = None,
    force: bool = False,
    show: Callable[[str], Any] = print,
) -> list[Row]:
    """Run the cells that have no valid row yet; each row is stored as soon as it is there.

    At scale cpu the rows go to `data/experiments/`; at the other scales to the cache, where `results` does not look.

    Args:
        experiment: whose grid to run.
        only: run only cells with these values, as in `only={"beta": 1.0}`.
        force: run them even if they have a row.
        show: gets one line of text before each run.

    Returns:
        all rows of this scale, flat as those of `results`. A row whose code has changed since is stale, and run again.

    Raises:
        ValueError: if `only` fits no cell, or a run returns something else than numbers.
        CheckpointError: if the rows cannot be read or written.
    """
    only = dict(only or {})
    chosen = [dict(cell) for cell in experiment.grid if {key: cell.get(key) for key in only} == only]
    if not chosen:
        raise ValueError(f"no cell of experiment {experiment.name!r} has {only}; its grid: {list(experiment.grid)}")
    source = source_of(experiment.run)
    path = _path(experiment, runtime.scale_name())
    stored = _read(experiment, path)
    for number, cell in enumerate(chosen, 1):
        row = next((row for row in stored if row["cell"] == _plain(cell)), None)
        if row is not None and row["source"] == source and not force:
            continue
        reason = "" if row is None else " again" if force else " again (its code has changed)"
        show(f"{experiment.name} {number}/{len(chosen)}{reason}: {_title(cell)}")
        start = time.monotonic()
        metrics = _measure(experiment, cell)
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
        _write(experiment, stored, path)
    return _flat(experiment, stored)


def run_cell(experiment: Experiment, index: int) -> Row:
    """Run cell number `index` of the grid now, and store nothing; the flat row, as `results` gives it."""
    cell = dict(experiment.grid[index])
    return {**_plain(cell), **_measure(experiment, cell)}


def results(experiment: Experiment) -> list[Row]:
    """The stored rows in the order of the grid, flat: the cell's values and what was measured, by name.

    Rows of cells that the grid no longer has are left out. At every scale these are the rows made at scale cpu.

    Raises:
        CheckpointError: if there is no row yet, or the file is damaged.
    """
    flat = _flat(experiment, stored_rows(experiment))
    if not flat:
        raise CheckpointError(
            f"there are no results of experiment {experiment.name}. Make them with: course experiment {experiment.name}"
        )
    return flat


def stored_rows(experiment: Experiment) -> list[Row]:
    """The rows as they are in the file, with seed, command, versions and source."""
    return _read(experiment, _path(experiment, "cpu"))


def stale(experiment: Experiment) -> list[dict[str, Any]]:
    """Cells of the grid without a row, or with one of code that has changed since: `run_experiment` runs these."""
    source = source_of(experiment.run)
    fresh = [row["cell"] for row in stored_rows(experiment) if row["source"] == source]
    return [dict(cell) for cell in experiment.grid if _plain(dict(cell)) not in fresh]


def summary(experiment: Experiment) -> list[Row]:
    """One row a setting (a cell without its seed): the mean of each number, its standard deviation over seeds, `seeds`.

    Lists and numbers that are not there for every seed are left out; the deviation is None for a single seed.
    """
    rows = stored_rows(experiment)
    groups: dict[str, list[Row]] = {}
    for cell in map(_plain, map(dict, experiment.grid)):
        setting = json.dumps({key: value for key, value in cell.items() if key != "seed"})
        groups.setdefault(setting, []).extend(row["metrics"] for row in rows if row["cell"] == cell)
    lines = []
    for setting, several in groups.items():
        if several:
            names = [name for name in several[0] if all(isinstance(one.get(name), float | int) for one in several)]
            spread = {name: _mean_and_deviation([one[name] for one in several]) for name in names}
            lines.append({"setting": json.loads(setting), "seeds": len(several), "metrics": spread})
    return lines


def grouped(rows: list[Row], key: str, name: str) -> dict[Any, list]:
    """The values of `name` for each value of `key`, over seeds, in the order of the rows."""
    groups: dict[Any, list] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row[name])
    return groups


def spread(values: list[float]) -> float:
    """Standard deviation over seeds, 0 for a single one."""
    return _mean_and_deviation(values)[1] or 0.0


def said(values: list[float], digits: int = 2) -> str:
    """Mean and standard deviation over seeds, as text."""
    return f"{_mean_and_deviation(values)[0]:.{digits}f} ± {spread(values):.{digits}f}"


def clearly_more(more: list[float], less: list[float], margin: float = 0.0) -> bool:
    """Whether the mean of `more` exceeds that of `less` by `margin` and by twice the spread over seeds."""
    difference = _mean_and_deviation(more)[0] - _mean_and_deviation(less)[0]
    return difference > max(margin, 2 * spread(more), 2 * spread(less))


def _mean_and_deviation(values: list[float]) -> tuple[float, float | None]:
    mean = sum(values) / len(values)
    if len(values) == 1:
        return mean, None
    return mean, (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5


def grid(**choices: Iterable[Any]) -> tuple[dict[str, Any], ...]:
    """All combinations: `grid(beta=(0.1, 1.0), seed=range(3))` gives six cells."""
    return tuple(dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values()))


def _measure(experiment: Experiment, cell: dict[str, Any]) -> Row:
    runtime.seed_everything(int(cell.get("seed", 0)))
    with interrupts_end_everything():
        measured = experiment.run(**cell)
    metrics = {name: _result(name, value) for name, value in measured.items()}
    clash = sorted(set(metrics) & set(cell))
    if clash:
        raise ValueError(f"experiment {experiment.name!r} measures {clash}, which its cell has too: rename one")
    return metrics


def _path(experiment: Experiment, scale: str) -> Path:
    if scale == "cpu":
        return runtime.data_folder("experiments", f"{experiment.name}.json")
    return runtime.cache_folder("experiments", scale, f"{experiment.name}.json")


def _flat(experiment: Experiment, stored: list[Row]) -> list[Row]:
    cells = [_plain(dict(cell)) for cell in experiment.grid]
    return [{**row["cell"], **row["metrics"]} for cell in cells for row in stored if row["cell"] == cell]


def _read(experiment: Experiment, path: Path) -> list[Row]:
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        if not all({"cell", "metrics", "seconds", "source"} <= set(row) for row in rows) or not isinstance(rows, list):
            raise ValueError("it does not hold rows of runs")
        return rows
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"{path} is damaged ({error}). Bring it back with git, or delete it and run: "
            f"course experiment {experiment.name}"
        ) from error


def _write(experiment: Experiment, rows: list[Row], path: Path) -> None:
    order = [_plain(dict(cell)) for cell in experiment.grid]
    kept = sorted((row for row in rows if row["cell"] in order), key=lambda row: order.index(row["cell"]))
    write_atomically(path, json.dumps(kept, indent=1) + "\n")


def _plain(cell: dict[str, Any]) -> dict[str, Any]:
    """The cell as JSON gives it back."""
    return json.loads(json.dumps(cell))


def _result(name: str, value: Any) -> float | list | None:
    """A number as JSON can hold it, with seven digits; what is not finite becomes None."""
    if isinstance(value, Tensor) or hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_result(name, one) for one in value]
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    raise ValueError(f"a run must return numbers or lists of numbers, but {name!r} is a {type(value).__name__}")


def _title(cell: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in cell.items())
