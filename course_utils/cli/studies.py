"""`course experiment`: the studies of the course, their stored rows, and the claims that they test."""

from typing import TYPE_CHECKING

from course_utils import runtime
from course_utils.cli import names, output

if TYPE_CHECKING:
    from course_utils.training import Experiment


def _results(study: "Experiment") -> str:
    from course_utils import training

    try:
        training.results(study)
    except training.CheckpointError:
        return "missing"
    return "stale" if training.stale(study) else "stored"


def experiment(name: str | None, run_all: bool, only: int | None, as_json: bool) -> int:
    """The sub-command `experiment`; without a name, the list of experiments.

    Raises:
        UsageError: for an unknown name or cell, or a name together with --all.
    """
    if name is not None and run_all:
        raise names.UsageError(f"give either the name {name!r} or --all, not both")
    if only is not None and name is None:
        raise names.UsageError("--only needs the name of one experiment")
    known = names.experiments()
    from course_utils import training

    if name is None and not run_all:
        rows = [
            {
                "name": study.name,
                "claim": study.claim,
                "question": study.question,
                "cells": len(study.grid),
                "results": _results(study),
                "notebook": study.notebook,
            }
            for study in known.values()
        ]
        output.show(rows, "Experiments of the course", as_json)
        return 0
    if only is not None:
        study = names.experiment(name)
        if not 0 <= only < len(study.grid):
            raise names.UsageError(f"experiment {name} has the cells 0 to {len(study.grid) - 1}, not {only}")
        output.show([training.run_cell(study, only)], f"{name}, cell {only}, run now and not stored", as_json)
        return 0
    for study in known.values() if run_all else [names.experiment(name)]:
        rows = training.run_experiment(study, show=(lambda line: None) if as_json else print)
        output.show(rows, study.name, as_json)
        if study.verdict and not as_json:
            print(study.verdict(rows))
    if runtime.scale_name() == "cpu":
        training.write_claims(known.values())
    return 0
