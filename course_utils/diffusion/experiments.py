"""Studies of chapter 04: claims C21 to C23 on the process itself, its answers and its schedules; C24 and C25 on sampling."""

from course_utils.diffusion import ddpm_experiments, sampling_experiments
from course_utils.diffusion.ddpm_experiments import FORWARD, PARAMETERISATIONS, SCHEDULES
from course_utils.diffusion.sampling_experiments import GUIDANCE, INPAINTING, MODELS_COMPARED, STEPS
from course_utils.training import Experiment

__all__ = [
    "EXPERIMENTS",
    "FORWARD",
    "GUIDANCE",
    "INPAINTING",
    "MODELS_COMPARED",
    "PARAMETERISATIONS",
    "SCHEDULES",
    "STEPS",
]

EXPERIMENTS: tuple[Experiment, ...] = (*ddpm_experiments.EXPERIMENTS, *sampling_experiments.EXPERIMENTS)
"""`course experiment ddpm-forward`, and so on."""
