"""Chapter 06: pictures drawn from a text, by a transformer over discrete tokens and by diffusion in latents."""

from course_utils.text_to_image.dalle import Dalle, DalleConfig
from course_utils.text_to_image.dvae import DiscreteVAE, DiscreteVAEConfig
from course_utils.text_to_image.stable_diffusion import CLIPPromptEncoder, StableDiffusion

__all__ = ["CLIPPromptEncoder", "Dalle", "DalleConfig", "DiscreteVAE", "DiscreteVAEConfig", "StableDiffusion"]
