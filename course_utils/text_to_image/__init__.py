"""Chapter 06: pictures drawn from a text, by a transformer over discrete tokens and by diffusion in latents."""

from course_utils.text_to_image.dalle import Dalle, DalleConfig
from course_utils.text_to_image.dvae import DiscreteVAE, DiscreteVAEConfig

__all__ = ["Dalle", "DalleConfig", "DiscreteVAE", "DiscreteVAEConfig"]
