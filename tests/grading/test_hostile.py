"""The bank of hostile submissions: each gets the score that its honest part deserves, in bounded time, and touches no other."""

import copy
import time
from dataclasses import replace
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from course_utils.grading import files
from course_utils.grading.grader import Result, grade
from course_utils.grading.official import Chapter
from course_utils.grading.sandbox import Sandbox

_spec = util.spec_from_file_location("hostile_bank", Path(__file__).with_name("hostile_bank.py"))
hostile_bank = util.module_from_spec(_spec)
_spec.loader.exec_module(hostile_bank)
pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(1200)]
BANK = hostile_bank.BANK
SECONDS = 300  # for one submission, with the start of a sandbox, on a machine that is busy with something else


def graded(one: Any, released: dict, chapter: Chapter, sandbox: Sandbox, folder: Path) -> Result:
    notebook = copy.deepcopy(released)
    for name, source in (one.answers or {}).items():
        hostile_bank.cell_of(notebook, name)["source"] = source
    if one.change is not None:
        one.change(notebook)
    (one.write or hostile_bank.named(hostile_bank.NAME))(notebook, folder)
    notebooks, beside, notes = files.read_files(folder)
    book = chapter.notebooks[0]
    asked = book.questions if one.game else book.questions[:2]
    book = replace(book, questions=tuple(replace(question, seconds=one.seconds) for question in asked))
    return grade("student", replace(chapter, notebooks=(book,)), notebooks, notes, sandbox, beside)


@pytest.mark.parametrize("one", BANK, ids=[one.name for one in BANK])
def test_each_gets_what_its_honest_part_deserves(
    one: Any, released: dict, chapter: Chapter, sandbox: Sandbox, tmp_path: Path
) -> None:
    started = time.monotonic()
    result = graded(one, released, chapter, sandbox, tmp_path)
    assert time.monotonic() - started < SECONDS
    (book,) = result.books
    told = [mark.reason for mark in book.marks] + book.notes + result.notes
    assert result.score == one.score, told
    assert one.said in "\n".join(told), told


def test_the_honest_one_after_them_is_graded_as_before(
    released: dict, chapter: Chapter, sandbox: Sandbox, tmp_path: Path
) -> None:
    result = graded(BANK[0], released, chapter, sandbox, tmp_path)
    assert [mark.score for mark in result.books[0].marks] == [2, 1, 4]
    assert not result.notes and not result.books[0].notes


def test_the_bank_is_large_enough() -> None:
    assert len({one.name for one in BANK}) == len(BANK) >= 30
