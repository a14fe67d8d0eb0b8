"""`course list`, `train`, `sample`, `evaluate`: the trained things of the course."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import runtime
from course_utils.cli import names, output

if TYPE_CHECKING:
    from course_utils.training import Recipe

SHOWN_METRICS = 3  # of each recipe, in the table of `course list`


def card(recipe: "Recipe") -> dict[str, Any]:
    """What the checkpoint of a recipe says about itself; empty where there is none yet.

    Raises:
        training.CheckpointError: if the card is damaged.
    """
    from course_utils import training

    if not runtime.data_folder("checkpoints", recipe.name, "card.json").exists():
        return {}
    return training.read_card(recipe)


def targets(recipe: "Recipe") -> dict[str, float]:
    """The targets of a recipe as numbers by name."""
    return {
        name: target.at_least if target.at_least is not None else target.at_most
        for name, target in recipe.targets.items()
    }


def rows() -> list[dict[str, Any]]:
    """One row for each recipe of the course, from its card."""
    made = []
    for recipe in names.recipes().values():
        own = card(recipe)
        folder = runtime.data_folder("checkpoints", recipe.name)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if own else None
        metrics = own.get("metrics", {})
        made.append(
            {
                "name": recipe.name,
                "chapter": recipe.chapter,
                "system": recipe.system,
                "data": recipe.data,
                "minutes": round(own["seconds"] / 60, 1) if "seconds" in own else None,
                "size_mb": round(size / 1e6, 2) if size is not None else None,
                "metrics": metrics,
                "targets": targets(recipe),
                "chance": own.get("chance", {}),
                "ceiling": own.get("ceiling", {}),
                "meets": all(target.met(metrics.get(name)) for name, target in recipe.targets.items()) if own else None,
            }
        )
    return made


def list_all(as_json: bool) -> int:
    """The sub-command `list`: everything as JSON; in the table, of each recipe the first metrics that have a target."""
    if as_json:
        output.show(rows(), "", as_json=True)
        return 0
    known = names.recipes()
    table = []
    for row in rows():
        recipe, measured = known[row["name"]], row["metrics"]
        shown = [name for name in measured if name in recipe.targets] or list(recipe.targets) or list(measured)
        more, shown = len(shown) - SHOWN_METRICS, shown[:SHOWN_METRICS]

        def column(values: Mapping[str, Any], shown: Sequence[str] = shown) -> str:
            return "\n".join(output.text(values.get(name)) for name in shown)

        table.append(
            {
                "name": row["name"],
                "system": row["system"],
                "data": row["data"],
                "minutes": row["minutes"],
                "size_mb": row["size_mb"],
                "metric": "\n".join([*shown, *([f"and {more} more"] if more > 0 else [])]),
                "measured": column(measured),
                "target": column({name: str(target) for name, target in recipe.targets.items()}),
                "chance": column(row["chance"]),
                "ceiling": column(row["ceiling"]),
                "meets all": row["meets"] if row["meets"] is not None else "not trained",
            }
        )
    output.show(table, "Trained models of the course (`course evaluate NAME` shows all metrics)")
    return 0


def train(name: str, minutes: float | None, seed: int | None) -> int:
    """The sub-command `train`. A training that ran out of `minutes` has done what was asked: exit code 0.

    Raises:
        UsageError: if `minutes` is not positive.
    """
    if minutes is not None and minutes <= 0:
        raise names.UsageError(f"--minutes is {minutes:g}, but must be more than 0")
    recipe = names.recipe(name)
    from course_utils import training

    folder = training.train(recipe, minutes=minutes, seed=seed)
    if folder is None:
        return 0
    own = training.read_card(recipe, folder)
    _show(recipe, own["metrics"], own, f"{name}, on {own['samples']} held-out samples", as_json=False)
    print(f"{own['seconds'] / 60:.1f} minutes of training at scale {own['scale']}; kept in {folder}")
    return 0


def sample(name: str, num: int, seed: int, file: Path | None, prompt: str | None = None, negative: str = "") -> int:
    """The sub-command `sample`.

    Raises:
        UsageError: if fewer than one picture is wanted, or a negative prompt comes alone.
        Failure: if the model draws no pictures, or none to a text.
    """
    if num < 1:
        raise names.UsageError(f"--num is {num}, but must be at least 1")
    if negative and prompt is None:
        raise names.UsageError("--negative says what a prompt shall not bring: give --prompt too")
    recipe = names.recipe(name)
    from course_utils import plots, training

    if recipe.sample is None:
        raise names.Failure(f"{name} draws no pictures: it is no generator. `course evaluate {name}` measures it")
    if prompt is None:
        images = recipe.sample(training.load(recipe), num, runtime.generator(seed))
    else:
        from course_utils.text_to_image.recipes import PROMPTABLE

        if name not in PROMPTABLE:
            raise names.Failure(f"{name} reads no prompt; these do: {', '.join(PROMPTABLE)}")
        images = PROMPTABLE[name](training.load(recipe), [prompt] * num, runtime.generator(seed), negative)
    file = file or Path(f"{name}.png")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(plots.png(plots.sheet(images), zoom=3))
    print(f"{num} pictures of {name} (seed {seed}) in {file.resolve()}")
    return 0


def evaluate(name: str, quick: bool, as_json: bool) -> int:
    """The sub-command `evaluate`: exit code 1 where a target is missed."""
    recipe = names.recipe(name)
    from course_utils import training

    measured = training.evaluate(recipe, quick=quick)
    samples = recipe.quick_samples if quick else recipe.samples
    return _show(recipe, measured, card(recipe), f"{name}, on {samples} held-out samples", as_json, quick)


def _show(
    recipe: "Recipe",
    measured: Mapping[str, float],
    own: Mapping[str, Any],
    title: str,
    as_json: bool,
    quick: bool = False,
) -> int:
    """Print the metrics of a model beside its card; 1 where a target is missed."""
    wanted = targets(recipe)
    table = [
        {
            "metric": metric,
            "measured": value,
            "card": own.get("quick_metrics" if quick else "metrics", {}).get(metric),
            "target": wanted.get(metric),
            "chance": own.get("chance", {}).get(metric),
            "ceiling": own.get("ceiling", {}).get(metric),
            "meets": recipe.targets[metric].met(value) if metric in wanted else None,
        }
        for metric, value in measured.items()
    ]
    output.show(table, title, as_json)
    return 0 if all(target.met(measured.get(metric)) for metric, target in recipe.targets.items()) else 1
