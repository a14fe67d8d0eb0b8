"""The checks of notebook 03_translation/01_pix2pix, and their bank."""

from course_utils.checks.translation import pix2pix as checks

from . import pix2pix as bank
from .every_bank import bank_tests

TestBank = bank_tests(checks, bank)
