"""What holds for the tests of training."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test can see a power cut, and forcing every file to a busy disk takes minutes. Programs of their own still do."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
