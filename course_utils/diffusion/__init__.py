"""Chapter 04: diffusion models."""

from course_utils.diffusion.ddpm import DiffusionConfig, GaussianDiffusion
from course_utils.diffusion.dit import DiT, DiTConfig
from course_utils.diffusion.latent_diffusion import AutoencoderKL, AutoencoderKLConfig, LatentDiffusion
from course_utils.diffusion.points import PointDenoiser, PointDenoiserConfig
from course_utils.diffusion.samplers import DDIM, Ancestral, DPMSolver, Euler, Heun, sample, trajectory
from course_utils.diffusion.schedules import inference_timesteps
from course_utils.diffusion.score import RectifiedFlow
from course_utils.diffusion.unet import UNet, UNetConfig

__all__ = [
    "Ancestral",
    "AutoencoderKL",
    "AutoencoderKLConfig",
    "DDIM",
    "DPMSolver",
    "DiT",
    "DiTConfig",
    "DiffusionConfig",
    "Euler",
    "GaussianDiffusion",
    "Heun",
    "LatentDiffusion",
    "PointDenoiser",
    "PointDenoiserConfig",
    "RectifiedFlow",
    "UNet",
    "UNetConfig",
    "inference_timesteps",
    "sample",
    "trajectory",
]
