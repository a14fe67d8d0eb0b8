"""The checks of chapter 01, and their bank."""

from course_utils.checks import autoencoders as checks

from . import autoencoders as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
