"""The checks of notebook 07_captioning_vqa/02_blip, and their bank."""

from course_utils.checks.captioning_vqa import blip as checks

from . import blip as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
