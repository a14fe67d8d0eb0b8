"""Checks of the exercises: one module a chapter, used as `from course_utils.checks import autoencoders as check`."""
