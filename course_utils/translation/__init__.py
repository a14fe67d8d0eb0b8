"""Chapter 03: translation of pictures, with pairs and without."""

from course_utils.translation.pix2pix import Pix2Pix, Pix2PixConfig

__all__ = ["Pix2Pix", "Pix2PixConfig"]
