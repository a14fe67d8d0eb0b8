"""Checks of chapter 04: `from course_utils.checks import diffusion as check`, then `check.add_noise(add_noise)`."""

from course_utils.checks.diffusion.ddpm import (
    add_noise,
    ancestral_step,
    cosine_schedule,
    loss_of_a_network,
    posterior_mean,
)
from course_utils.checks.diffusion.sampling import (
    classifier_guidance,
    ddim_step,
    from_velocity,
    guidance_of_a_network,
    keep_known,
    score_from_noise,
)

__all__ = [
    "add_noise",
    "ancestral_step",
    "classifier_guidance",
    "cosine_schedule",
    "ddim_step",
    "from_velocity",
    "guidance_of_a_network",
    "keep_known",
    "loss_of_a_network",
    "posterior_mean",
    "score_from_noise",
]
