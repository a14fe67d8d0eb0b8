"""Chapter 07: pictures described, and questions about them answered."""

from course_utils.captioning_vqa.blip import BLIP, BLIPAnswerer, BLIPConfig, BLIPLosses, rerank
from course_utils.captioning_vqa.losses import Keys

__all__ = ["BLIP", "BLIPAnswerer", "BLIPConfig", "BLIPLosses", "Keys", "rerank"]
