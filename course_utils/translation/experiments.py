"""Studies of chapter 03: claims C16 and C17 on pix2pix, C18 and C19 on CycleGAN."""

from course_utils.training import Experiment
from course_utils.translation import cyclegan_experiments, pix2pix_experiments
from course_utils.translation.cyclegan_experiments import (
    ABLATION,
    DIRECTIONS,
    HIDDEN_MESSAGE,
    OUTSIDE,
    PAIRS,
    SHAPE,
)
from course_utils.translation.pix2pix_experiments import LOSSES, ONE_MODE, PATCHES, SKIPS, TASKS

__all__ = [
    "ABLATION",
    "DIRECTIONS",
    "EXPERIMENTS",
    "HIDDEN_MESSAGE",
    "LOSSES",
    "ONE_MODE",
    "OUTSIDE",
    "PAIRS",
    "PATCHES",
    "SHAPE",
    "SKIPS",
    "TASKS",
]

EXPERIMENTS: tuple[Experiment, ...] = (*pix2pix_experiments.EXPERIMENTS, *cyclegan_experiments.EXPERIMENTS)
"""`course experiment pix2pix-losses`, and so on."""
