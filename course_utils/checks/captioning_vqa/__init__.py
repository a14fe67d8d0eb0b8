"""Checks of chapter 07: `from course_utils.checks import captioning_vqa as check`, then `check.three_masks(three_masks)`."""

from course_utils.checks.captioning_vqa.blip import bootstrapped, hard_negatives, soft_contrast, three_masks
from course_utils.checks.captioning_vqa.blip2 import prefix_and_labels, query_contrast, who_sees_whom
from course_utils.checks.captioning_vqa.clipcap import beam_step, caption_loss, mapped_prefix, prefixed

__all__ = [
    "beam_step",
    "bootstrapped",
    "caption_loss",
    "hard_negatives",
    "mapped_prefix",
    "prefix_and_labels",
    "prefixed",
    "query_contrast",
    "soft_contrast",
    "three_masks",
    "who_sees_whom",
]
