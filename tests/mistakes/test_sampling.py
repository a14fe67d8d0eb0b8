"""The checks of notebook 04_diffusion/02_sampling_and_guidance, and their bank."""

from course_utils.checks.diffusion import sampling as checks

from . import sampling as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
