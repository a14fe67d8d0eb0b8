"""The banks of wrong and right answers, `NAME.py`, each joined to its checks by a short `test_NAME.py` (copy `test_gan.py`).

A package, so that these can import the tests that all banks share.
"""

import pytest

pytest.register_assert_rewrite(f"{__name__}.every_bank")
