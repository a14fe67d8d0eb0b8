"""Training: the engine `fit`, recipes with their checkpoints, experiments with their claims, the notebook cache."""

from course_utils.training.by_hand import progress
from course_utils.training.cache import cached
from course_utils.training.checkpoints import CheckpointError
from course_utils.training.claims import claims_text, write_claims
from course_utils.training.engine import Player, fit
from course_utils.training.experiment import (
    Experiment,
    Verdict,
    clearly_more,
    grid,
    grouped,
    results,
    run_cell,
    run_experiment,
    said,
    spread,
    stale,
)
from course_utils.training.history import History, TrainingDiverged
from course_utils.training.recipe import Recipe, Target, card_text, checkpoint_folder, evaluate, load, read_card, train

__all__ = [
    "CheckpointError",
    "Experiment",
    "History",
    "Player",
    "Recipe",
    "Target",
    "TrainingDiverged",
    "Verdict",
    "cached",
    "card_text",
    "checkpoint_folder",
    "claims_text",
    "clearly_more",
    "evaluate",
    "fit",
    "grid",
    "grouped",
    "load",
    "progress",
    "read_card",
    "results",
    "run_cell",
    "run_experiment",
    "said",
    "spread",
    "stale",
    "train",
    "write_claims",
]
