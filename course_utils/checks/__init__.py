"""Checks of the exercises: one module a chapter, used as `from course_utils.checks import autoencoders as check`."""

from course_utils.checks.notebook import Result, run_notebook_checks

__all__ = ["Result", "run_notebook_checks"]
