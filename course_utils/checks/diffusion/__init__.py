"""Checks of chapter 04: `from course_utils.checks import diffusion as check`, then `check.add_noise(add_noise)`."""

from course_utils.checks.diffusion.ddpm import *  # noqa: F403
