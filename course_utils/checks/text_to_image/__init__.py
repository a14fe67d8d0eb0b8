"""Checks of chapter 06: `from course_utils.checks import text_to_image as check`, then `check.joint_sequence(joint_sequence)`."""

from course_utils.checks.text_to_image.dalle import joint_loss, joint_sequence, next_code, rerank

__all__ = ["joint_loss", "joint_sequence", "next_code", "rerank"]
