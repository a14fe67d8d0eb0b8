"""The checks of notebook 04_diffusion/03_latent_diffusion, and their bank."""

from course_utils.checks.diffusion import latent as checks

from . import latent as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
