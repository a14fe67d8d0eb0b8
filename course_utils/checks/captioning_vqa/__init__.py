"""Checks of chapter 07: `from course_utils.checks import captioning_vqa as check`."""
