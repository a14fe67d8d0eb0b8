"""Studies of chapter 04: claims C21 to C23 on the process itself, its answers and its schedules; C24 and C25 on sampling; C26 on latents."""

from course_utils.diffusion import ddpm_experiments, latent_experiments, sampling_experiments
from course_utils.diffusion.ddpm_experiments import FORWARD, PARAMETERISATIONS, SCHEDULES
from course_utils.diffusion.latent_experiments import CONDITIONING, COST
from course_utils.diffusion.sampling_experiments import GUIDANCE, INPAINTING, MODELS_COMPARED, STEPS
from course_utils.training import Experiment

__all__ = [
    "CONDITIONING",
    "COST",
    "EXPERIMENTS",
    "FORWARD",
    "GUIDANCE",
    "INPAINTING",
    "MODELS_COMPARED",
    "PARAMETERISATIONS",
    "SCHEDULES",
    "STEPS",
]

EXPERIMENTS: tuple[Experiment, ...] = (
    *ddpm_experiments.EXPERIMENTS,
    *sampling_experiments.EXPERIMENTS,
    *latent_experiments.EXPERIMENTS,
)
"""`course experiment ddpm-forward`, and so on."""
