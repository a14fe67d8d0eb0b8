"""Checks of chapter 06: `from course_utils.checks import text_to_image as check`, then `check.caption_dropout(caption_dropout)`."""

from course_utils.checks.text_to_image.stable_diffusion import (
    caption_dropout,
    image_to_image_start,
    inpainting_step,
    prediction_of_a_network,
    with_negative,
)

__all__ = [
    "caption_dropout",
    "image_to_image_start",
    "inpainting_step",
    "prediction_of_a_network",
    "with_negative",
]
