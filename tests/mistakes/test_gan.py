"""The checks of notebook 02_gans/01_gan, and their bank."""

from course_utils.checks.gans import gan as checks

from . import gan as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
