"""Checks of chapter 04: `from course_utils.checks import diffusion as check`, then `check.add_noise(add_noise)`."""

from course_utils.checks.diffusion.ddpm import (
    add_noise,
    ancestral_step,
    cosine_schedule,
    loss_of_a_network,
    posterior_mean,
)

__all__ = [
    "add_noise",
    "ancestral_step",
    "cosine_schedule",
    "loss_of_a_network",
    "posterior_mean",
]
