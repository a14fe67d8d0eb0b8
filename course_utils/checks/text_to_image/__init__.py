"""Checks of chapter 06: `from course_utils.checks import text_to_image as check`."""
