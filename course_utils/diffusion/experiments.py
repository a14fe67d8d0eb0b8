"""Studies of chapter 04: claims C21 to C23 on the process itself, its answers and its schedules; C26 on latents, and their conditions."""

from course_utils.diffusion import ddpm_experiments, latent_experiments
from course_utils.diffusion.ddpm_experiments import FORWARD, PARAMETERISATIONS, SCHEDULES
from course_utils.diffusion.latent_experiments import CONDITIONING, COST
from course_utils.training import Experiment

__all__ = ["CONDITIONING", "COST", "EXPERIMENTS", "FORWARD", "PARAMETERISATIONS", "SCHEDULES"]

EXPERIMENTS: tuple[Experiment, ...] = (*ddpm_experiments.EXPERIMENTS, *latent_experiments.EXPERIMENTS)
"""`course experiment ddpm-forward`, and so on."""
