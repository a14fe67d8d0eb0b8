"""The checks of notebook 07_captioning_vqa/03_blip2, and their bank."""

from course_utils.checks.captioning_vqa import blip2 as checks

from . import blip2 as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
