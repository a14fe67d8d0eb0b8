"""Checks of chapter 02: `from course_utils.checks import gans as check`, then `check.discriminator_loss(discriminator_loss)`."""

from course_utils.checks.gans.dcgan import *  # noqa: F403
from course_utils.checks.gans.gan import *  # noqa: F403
