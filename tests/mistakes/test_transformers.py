"""The checks of notebook 05_clip/01_transformers, and their bank."""

from course_utils.checks.clip import transformers as checks

from . import transformers as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
