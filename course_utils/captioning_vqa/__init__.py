"""Chapter 07: pictures described, and questions about them answered."""

from course_utils.captioning_vqa.blip import BLIP, BLIPAnswerer, BLIPConfig, BLIPLosses, rerank
from course_utils.captioning_vqa.blip2 import BLIP2, parameter_counts
from course_utils.captioning_vqa.clipcap import ClipCap, Mapper, MapperConfig
from course_utils.captioning_vqa.losses import Keys
from course_utils.captioning_vqa.qformer import QFormer, QFormerConfig

__all__ = [
    "BLIP",
    "BLIP2",
    "BLIPAnswerer",
    "BLIPConfig",
    "BLIPLosses",
    "ClipCap",
    "Keys",
    "Mapper",
    "MapperConfig",
    "QFormer",
    "QFormerConfig",
    "parameter_counts",
    "rerank",
]
