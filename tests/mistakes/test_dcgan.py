"""The checks of notebook 02_gans/02_dcgan, and their bank."""

from course_utils.checks.gans import dcgan as checks

from . import dcgan as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
