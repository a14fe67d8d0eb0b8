"""Checks of chapter 07: `from course_utils.checks import captioning_vqa as check`."""

from course_utils.checks.captioning_vqa.blip2 import prefix_and_labels, query_contrast, who_sees_whom
from course_utils.checks.captioning_vqa.clipcap import beam_step, caption_loss, mapped_prefix, prefixed

__all__ = [
    "beam_step",
    "caption_loss",
    "mapped_prefix",
    "prefix_and_labels",
    "prefixed",
    "query_contrast",
    "who_sees_whom",
]
