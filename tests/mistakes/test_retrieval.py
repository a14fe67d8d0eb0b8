"""The checks of notebook 05_clip/03_retrieval, and their bank."""

from course_utils.checks.clip import retrieval as checks

from . import retrieval as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
