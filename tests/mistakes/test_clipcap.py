"""The checks of notebook 07_captioning_vqa/01_clipcap, and their bank."""

from course_utils.checks.captioning_vqa import clipcap as checks

from . import clipcap as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
