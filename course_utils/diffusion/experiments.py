"""Studies of chapter 04 whose rows are measured: claims C21 to C23 on the process itself, its answers and its schedules."""

from course_utils.diffusion import ddpm_experiments
from course_utils.training import Experiment

__all__ = ["EXPERIMENTS"]

EXPERIMENTS: tuple[Experiment, ...] = ddpm_experiments.EXPERIMENTS
"""`course experiment ddpm-forward`, and so on."""
