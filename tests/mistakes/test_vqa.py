"""The checks of notebook 07_captioning_vqa/04_vqa, and their bank."""

from course_utils.checks.captioning_vqa import vqa as checks

from . import vqa as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
