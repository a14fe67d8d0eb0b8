"""Checks of chapter 03: `from course_utils.checks import translation as check`, then `check.cycle_loss(cycle_loss)`."""

from course_utils.checks.translation.cyclegan import (
    cycle_loss,
    full_objective,
    identity_loss,
    least_squares_loss,
    query,
)
from course_utils.checks.translation.pix2pix import discriminator_loss, drop, generator_loss, receptive_field, unet

__all__ = [
    "cycle_loss",
    "discriminator_loss",
    "drop",
    "full_objective",
    "generator_loss",
    "identity_loss",
    "least_squares_loss",
    "query",
    "receptive_field",
    "unet",
]
