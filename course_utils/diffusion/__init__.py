"""Chapter 04: diffusion models."""

from course_utils.diffusion.ddpm import DiffusionConfig, GaussianDiffusion
from course_utils.diffusion.samplers import DDIM, Ancestral, DPMSolver, Euler, Heun, sample, trajectory
from course_utils.diffusion.schedules import inference_timesteps
from course_utils.diffusion.score import RectifiedFlow

__all__ = [
    "DDIM",
    "Ancestral",
    "DPMSolver",
    "DiffusionConfig",
    "Euler",
    "GaussianDiffusion",
    "Heun",
    "RectifiedFlow",
    "inference_timesteps",
    "sample",
    "trajectory",
]
