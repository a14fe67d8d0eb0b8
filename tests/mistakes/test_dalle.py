"""The checks of notebook 06_text_to_image/01_dalle, and their bank."""

from course_utils.checks.text_to_image import dalle as checks

from . import dalle as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
