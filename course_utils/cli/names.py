"""What the course has, by name: the recipes and experiments of every chapter, and the nearest match of a wrong name."""

import difflib
import importlib
import importlib.util
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course_utils.training import Experiment, Recipe

# The packages that train something. A new chapter joins by its name; its own stand in `recipes.py`, `experiments.py`
PACKAGES = (
    "metrics", "autoencoders", "gans", "translation", "diffusion", "language", "clip", "text_to_image", "captioning_vqa",
)  # fmt: skip


class UsageError(ValueError):
    """Something on the command line that cannot be: the command ends with exit code 2."""


class Failure(RuntimeError):
    """A command that was understood but could not be done: it ends with exit code 1 and this message."""


def nearest(name: str, known: Iterable[str], kind: str) -> str:
    """`name`, if it is one of `known`.

    Raises:
        UsageError: if it is not; the message gives the nearest match, or all names where none is near.
    """
    known = list(known)
    if name in known:
        return name
    by_lower = {candidate.lower(): candidate for candidate in reversed(known)}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    within = [candidate for candidate in known if name.lower() in candidate.lower()]
    if close or within:
        hint = f"did you mean {(within if len(within) == 1 or not close else [by_lower[close[0]]])[0]!r}?"
    else:
        hint = f"known: {', '.join(known) if known else 'none yet'}"
    raise UsageError(f"no {kind} is called {name!r}; {hint}")


def _listed(module: str, attribute: str) -> list:
    found = []
    for package in PACKAGES:
        name = f"course_utils.{package}.{module}"
        if importlib.util.find_spec(name) is not None:
            found.extend(getattr(importlib.import_module(name), attribute))
    return found


def recipes() -> "dict[str, Recipe]":
    """Every recipe of the course by name, in the order of the chapters."""
    return {recipe.name: recipe for recipe in _listed("recipes", "RECIPES")}


def experiments() -> "dict[str, Experiment]":
    """Every experiment of the course by name, in the order of the chapters."""
    return {experiment.name: experiment for experiment in _listed("experiments", "EXPERIMENTS")}


def recipe(name: str) -> "Recipe":
    """The recipe called `name`.

    Raises:
        UsageError: if there is none, with the nearest match.
    """
    known = recipes()
    return known[nearest(name, known, "recipe")]


def experiment(name: str) -> "Experiment":
    """The experiment called `name`.

    Raises:
        UsageError: if there is none, with the nearest match.
    """
    known = experiments()
    return known[nearest(name, known, "experiment")]


def require(module: str, extra: str) -> None:
    """Make sure that an optional package is there.

    Raises:
        Failure: if it is not, with the command that installs it.
    """
    if importlib.util.find_spec(module) is None:
        raise Failure(
            f"this needs the package {module}, which is not installed here: "
            f"run `pip install -e '.[{extra}]'` in the folder of the course"
        )
