"""The checks of notebook 04_diffusion/01_ddpm, and their bank."""

from course_utils.checks.diffusion import ddpm as checks

from . import ddpm as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
