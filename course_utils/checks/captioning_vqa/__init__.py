"""Checks of chapter 07: `from course_utils.checks import captioning_vqa as check`, then `check.three_masks(three_masks)`."""

from course_utils.checks.captioning_vqa.blip import bootstrapped, hard_negatives, soft_contrast, three_masks

__all__ = [
    "bootstrapped",
    "hard_negatives",
    "soft_contrast",
    "three_masks",
]
