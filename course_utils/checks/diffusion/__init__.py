"""Checks of chapter 04: `from course_utils.checks import diffusion as check`, then `check.add_noise(add_noise)`."""

from course_utils.checks.diffusion.ddpm import (
    add_noise,
    ancestral_step,
    cosine_schedule,
    loss_of_a_network,
    posterior_mean,
)
from course_utils.checks.diffusion.latent import cross_attention, join, latent_scale, loss_of_two_networks
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
    "cross_attention",
    "ddim_step",
    "from_velocity",
    "guidance_of_a_network",
    "join",
    "keep_known",
    "latent_scale",
    "loss_of_a_network",
    "loss_of_two_networks",
    "posterior_mean",
    "score_from_noise",
]
