"""Chapter 06: pictures drawn from a text, by a transformer over discrete tokens and by diffusion in latents."""

from course_utils.text_to_image.stable_diffusion import CLIPPromptEncoder, StableDiffusion

__all__ = ["CLIPPromptEncoder", "StableDiffusion"]
