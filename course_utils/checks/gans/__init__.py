"""Checks of chapter 02: `from course_utils.checks import gans as check`, then `check.discriminator_loss(discriminator_loss)`."""

from course_utils.checks.gans.dcgan import (
    discriminator_block,
    generator_block,
    initialized,
    latent_arithmetic,
    spherical_interpolation,
    with_label_maps,
)
from course_utils.checks.gans.gan import (
    discriminator_loss,
    game,
    mode_coverage,
    non_saturating_generator_loss,
    optimal_discriminator,
    saturating_generator_loss,
)

__all__ = [
    "discriminator_block",
    "discriminator_loss",
    "game",
    "generator_block",
    "initialized",
    "latent_arithmetic",
    "mode_coverage",
    "non_saturating_generator_loss",
    "optimal_discriminator",
    "saturating_generator_loss",
    "spherical_interpolation",
    "with_label_maps",
]
