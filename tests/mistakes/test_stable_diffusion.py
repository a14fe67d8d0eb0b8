"""The checks of notebook 06_text_to_image/02_stable_diffusion, and their bank."""

from course_utils.checks.text_to_image import stable_diffusion as checks

from . import stable_diffusion as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
