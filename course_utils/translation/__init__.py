"""Chapter 03: translation of pictures, with pairs and without."""

from course_utils.translation.cyclegan import CycleGAN, CycleGANConfig
from course_utils.translation.pix2pix import Pix2Pix, Pix2PixConfig

__all__ = ["CycleGAN", "CycleGANConfig", "Pix2Pix", "Pix2PixConfig"]
