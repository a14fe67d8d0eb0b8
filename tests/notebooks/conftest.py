"""A course of one tiny notebook, so that the pipeline can be tested in seconds."""

from pathlib import Path

import pytest

from course_utils.cli import notebooks

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

SOLUTION = '"locked": false, "schema_version": 3, "solution": true, "task": false'
CHECK = '"locked": true, "schema_version": 3, "solution": false, "task": false'
TINY = f'''# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Tiny

# %%
import os

import ipywidgets
from IPython.display import display

print("at", os.getcwd(), "scale", os.environ["COURSE_SCALE"])
pixel = {{"image/png": "{PIXEL}", "text/plain": "one pixel"}}
display(pixel, raw=True, metadata={{"image/png": {{"alt": "one pixel"}}}})
ipywidgets.IntSlider(description="n")


# %% nbgrader={{"grade": false, "grade_id": "double", {SOLUTION}}}
def double(number):
    """Twice the number."""
    ### BEGIN SOLUTION
    doubled_number = 2 * number
    return doubled_number
    ### END SOLUTION


# %% nbgrader={{"grade": true, "grade_id": "double-check", "points": 2, {CHECK}}}
# NBVAL_CHECK_OUTPUT
assert double(2) == 4
print("holds")
### BEGIN HIDDEN TESTS
assert double(-7) == -14
### END HIDDEN TESTS

# %% [markdown] nbgrader={{"grade": true, "grade_id": "why", "points": 1, {SOLUTION}}}
# **1.** Why?
#
# <!-- BEGIN SOLUTION -->
# Because twice a number is its sum with itself.
# <!-- END SOLUTION -->
'''


def write(solutions: Path) -> Path:
    """Write the text of the tiny course's one notebook, and return the folder `solutions`."""
    chapter = solutions / "01_tiny"
    chapter.mkdir(parents=True)
    (chapter / "01_first.py").write_text(TINY, encoding="utf-8")
    return solutions


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder `solutions` with one chapter that holds the text of one notebook, not yet executed."""
    return write(tmp_path / "solutions")


@pytest.fixture(scope="session")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, executed; for tests to copy."""
    solutions = write(tmp_path_factory.mktemp("executed") / "solutions")
    notebooks.make(notebooks.pairs(solutions)[0])
    return solutions
