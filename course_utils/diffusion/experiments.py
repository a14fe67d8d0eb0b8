"""Studies of chapter 04: claims C21 to C23 on the process itself, its answers and its schedules."""

from course_utils.diffusion import ddpm_experiments
from course_utils.diffusion.ddpm_experiments import FORWARD, PARAMETERISATIONS, SCHEDULES
from course_utils.training import Experiment

__all__ = ["EXPERIMENTS", "FORWARD", "PARAMETERISATIONS", "SCHEDULES"]

EXPERIMENTS: tuple[Experiment, ...] = ddpm_experiments.EXPERIMENTS
"""`course experiment ddpm-forward`, and so on."""
