"""Chapter 05, second part: pictures and texts in one space."""

from course_utils.clip.clip import CLIP, CLIPConfig
from course_utils.clip.losses import info_nce, siglip_loss
from course_utils.clip.tokenizer import CLIPTokenizer

__all__ = ["CLIP", "CLIPConfig", "CLIPTokenizer", "info_nce", "siglip_loss"]
