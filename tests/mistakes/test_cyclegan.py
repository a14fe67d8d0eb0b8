"""The checks of notebook 03_translation/02_cyclegan, and their bank."""

from course_utils.checks.translation import cyclegan as checks

from . import cyclegan as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
