"""Chapter 04: diffusion models."""

from course_utils.diffusion.dit import DiT, DiTConfig
from course_utils.diffusion.latent_diffusion import AutoencoderKL, AutoencoderKLConfig, LatentDiffusion
from course_utils.diffusion.unet import UNet, UNetConfig

__all__ = ["AutoencoderKL", "AutoencoderKLConfig", "DiT", "DiTConfig", "LatentDiffusion", "UNet", "UNetConfig"]
