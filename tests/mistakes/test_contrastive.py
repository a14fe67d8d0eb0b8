"""The checks of notebook 05_clip/02_clip, and their bank."""

from course_utils.checks.clip import contrastive as checks

from . import contrastive as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
