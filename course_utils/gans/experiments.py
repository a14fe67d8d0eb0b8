"""Studies of chapter 02: claims C05 to C07 on the plane, C02 and C08 to C11 on faces and digits."""

from course_utils.gans import face_experiments, plane_experiments
from course_utils.gans.face_experiments import AGAINST_VAE, ARITHMETIC, INTERPOLATION, LABEL, RULES
from course_utils.gans.plane_experiments import LOSSES_AND_QUALITY, MODE_COLLAPSE, SENSITIVITY
from course_utils.training import Experiment

__all__ = [
    "AGAINST_VAE",
    "ARITHMETIC",
    "EXPERIMENTS",
    "INTERPOLATION",
    "LABEL",
    "LOSSES_AND_QUALITY",
    "MODE_COLLAPSE",
    "RULES",
    "SENSITIVITY",
]

EXPERIMENTS: tuple[Experiment, ...] = (*plane_experiments.EXPERIMENTS, *face_experiments.EXPERIMENTS)
"""`course experiment gan-mode-collapse`, and so on."""
