"""Checks of chapter 06: `from course_utils.checks import text_to_image as check`, then `check.joint_sequence(joint_sequence)`."""

from course_utils.checks.text_to_image.dalle import joint_loss, joint_sequence, next_code, rerank
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
    "joint_loss",
    "joint_sequence",
    "next_code",
    "prediction_of_a_network",
    "rerank",
    "with_negative",
]
