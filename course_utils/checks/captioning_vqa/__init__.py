"""Checks of chapter 07: `from course_utils.checks import captioning_vqa as check`."""

from course_utils.checks.captioning_vqa.blip2 import prefixed, query_contrast, who_sees_whom

__all__ = ["prefixed", "query_contrast", "who_sees_whom"]
