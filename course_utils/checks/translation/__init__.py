"""Checks of chapter 03: `from course_utils.checks import translation as check`, then `check.cycle_loss(cycle_loss)`."""

from course_utils.checks.translation.cyclegan import *  # noqa: F403
from course_utils.checks.translation.pix2pix import *  # noqa: F403
