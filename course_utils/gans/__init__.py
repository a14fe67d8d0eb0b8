"""Chapter 02: generative adversarial networks."""

from course_utils.gans.dcgan import DCGAN, DCGANConfig
from course_utils.gans.gan import GAN, GANConfig

__all__ = ["DCGAN", "GAN", "DCGANConfig", "GANConfig"]
