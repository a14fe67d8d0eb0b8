"""Chapter 05, second part: pictures and texts in one space."""

from course_utils.clip.losses import info_nce, siglip_loss

__all__ = ["info_nce", "siglip_loss"]
