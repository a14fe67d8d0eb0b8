"""Many submissions: one that kills its grader stops no other; workers of dask give the same; a stopped run goes on; workers render the pages."""

import copy
import csv
import importlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from course_utils.grading import feedback, pool, term
from course_utils.grading.feedback import Feedback
from course_utils.grading.gradebook import Gradebook, GradebookFailed
from course_utils.grading.official import Chapter
from course_utils.grading.pool import Job, Setup

WRONG = "def discriminator_loss(real_logits, fake_logits):\n    return real_logits.mean()\n"


@pytest.fixture
def short(chapter: Chapter) -> Chapter:
    """The chapter with its two quick questions: 2 points and 1."""
    (book,) = chapter.notebooks
    return replace(chapter, notebooks=(replace(book, questions=book.questions[:2]),))


def jobs(notebook: dict[str, Any], count: int) -> Iterator[Job]:
    for number in range(count):
        one = copy.deepcopy(notebook)
        if number % 2:
            cell = next(
                c for c in one["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == "discriminator-loss"
            )
            cell["source"] = WRONG
        yield Job(f"student {number}", "02_gans", {"01_gan.ipynb": json.dumps(one).encode()}, ())


def pages_of(student: str) -> Feedback:
    """What the pages of a notebook with one test cell show."""
    test = "check(f)\n### BEGIN HIDDEN TESTS\ncheck(f, seed=4711)\n### END HIDDEN TESTS\nchecked = True"
    grading = {"grade": True, "solution": False, "grade_id": "discriminator-loss-check"}
    told = {"output_type": "error", "ename": "AssertionError", "evalue": "", "traceback": ["<script>alert(1)</script>"]}
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "Words"},
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {"nbgrader": grading},
            "source": test,
            "outputs": [told],
            "execution_count": 1,
        },
    ]
    notebook = json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})
    marks = {"score": 0.5, "max_score": 2.0, "late_penalty": 1.0}
    marks["cells"] = {"discriminator-loss-check": {"score": 1.5, "points": 2.0}}
    return Feedback(student, "02_gans", {"01_gan": notebook}, {"01_gan": marks})


def hand_in(folder: Path, some: Iterable[Job]) -> None:
    for job in some:
        place = folder / job.student / job.chapter
        place.mkdir(parents=True)
        (place / "01_gan.ipynb").write_bytes(job.files["01_gan.ipynb"])


DEADLY = """
import os, signal
def run_job(setup, job):
    if job.student == "student 1":
        os.kill(os.getpid(), signal.SIGKILL)
    if job.student == "student 2":
        raise ValueError("this one only")
    return job.student
"""


def test_a_submission_that_kills_its_grader_stops_no_other(
    notebook: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deadly_grader.py").write_text(DEADLY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(pool, "run_job", importlib.import_module("deadly_grader").run_job)
    outcomes = {job.student: outcome for job, outcome in pool.run_here(Setup({}), jobs(notebook, 5), 2)}
    assert {name for name, outcome in outcomes.items() if outcome == name} == {"student 0", "student 3", "student 4"}
    assert "died over it" in str(outcomes["student 1"]) and str(outcomes["student 2"]) == "this one only"


@pytest.mark.sandbox
def test_workers_of_dask_give_what_one_process_gives(short: Chapter, notebook: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    common = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    where = ["--scheduler-file", "scheduler.json"]
    programs = [["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]]
    programs += [["worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]] * 2
    started = [
        subprocess.Popen([sys.executable, "-m", f"distributed.cli.dask_{name}", *more, *where], **common)
        for name, *more in programs
    ]
    try:
        from distributed import Client

        with Client(scheduler_file=str(tmp_path / "scheduler.json"), timeout=120) as client:
            client.wait_for_workers(2, timeout=120)
            address = client.scheduler.address
        setup = Setup({short.name: short})
        tasks = [*jobs(notebook, 4), pages_of("student 4")]
        outcomes = {job.student: outcome for job, outcome in pool.run_on_dask(setup, tasks, address)}
    finally:
        for program in started:
            program.kill()
            program.wait()
    assert "Score: 1.5 / 2.0" in outcomes.pop("student 4")["01_gan"]
    assert {name: outcome.score for name, outcome in outcomes.items()} == {
        "student 0": 3, "student 1": 1, "student 2": 3, "student 3": 1
    }  # fmt: skip


@pytest.mark.sandbox
def test_a_run_that_was_stopped_goes_on(
    short: Chapter, notebook: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nbgrader", reason="the extra `grade` is not installed")
    submitted = tmp_path / "submitted"
    hand_in(submitted, jobs(notebook, 3))

    def stops(outcomes: Iterator[Any], total: int) -> Iterator[Any]:
        yield next(outcomes)
        raise KeyboardInterrupt

    def all_of(tasks: Iterator[Any]) -> Iterator[Any]:
        return itertools.takewhile(lambda task: task is not None, tasks)

    # in this process, so that the runs share a sandbox
    monkeypatch.setattr(
        term.pool, "run_here", lambda setup, tasks, _: ((one, pool.run_job(setup, one)) for one in all_of(tasks))
    )
    chapters = {short.name: short}
    with pytest.raises(KeyboardInterrupt):
        term.grade_term(submitted, tmp_path, chapters, progress=stops)
    assert len(term.records(tmp_path)) == 1
    (tmp_path / "autograded" / "student 2" / short.name).mkdir(parents=True)
    report = term.grade_term(submitted, tmp_path, chapters)
    assert (len(report.graded), report.before, report.foreign) == (1, 1, ["student 2/02_gans"])
    assert not report.late, "where there is no deadline, nobody is late"

    # a deadline, and nbgrader's penalty for who misses it; times that are none; a submission that cannot be read any more
    from nbgrader.api import Gradebook as Database

    with Database(f"sqlite:///{tmp_path / 'gradebook.db'}") as gradebook:
        gradebook.update_or_create_assignment(short.name, duedate="2027-01-15 23:59:00 UTC")
    config = tmp_path / "nbgrader_config.py"
    assert "answers" in config.read_text("utf-8"), "for nbgrader's own commands"
    config.write_text('c = get_config()\nc.LateSubmissionPlugin.penalty_method = "zero"\n', "utf-8")
    for student, stamp in (("0", "2027-01-17 01:04:00 UTC"), ("1", "2027-01-15 23:00:00 UTC")):
        (submitted / f"student {student}" / short.name / "timestamp.txt").write_text(stamp)
    (submitted / "student 2" / short.name / "timestamp.txt").symlink_to("/etc/passwd")
    report = term.grade_term(submitted, tmp_path, chapters, force=True)
    assert [row["by tests"] for row in report.graded] == [3, 1, 3] and not report.failed
    assert report.late == ["student 0/02_gans (1 d 1 h 05 min)"]
    rows = {row["student"]: row for row in Gradebook(tmp_path).rows()}
    first, second, third = (rows[f"student {number}"] for number in range(3))
    assert first["score"] == 0 and first["late_penalty"] >= 3 and first["late_seconds"] == 90_300
    assert all(row["score"] > 0 and row["late_penalty"] == 0 == row["late_seconds"] for row in (second, third))
    assert config.read_text("utf-8").endswith('"zero"\n'), "what the instructor wrote stays"
    assert json.loads((tmp_path / "nbgrader_config.json").read_text())["CourseDirectory"] == {
        "submitted_directory": "answers"
    }
    noted = {record["student"]: record["notes"] for record in term.records(tmp_path)}
    assert "timestamp.txt holds no time such as" in noted["student 2"][0] and not noted["student 0"]
    (tmp_path / "records" / "student 1" / f"{short.name}.json").write_text('{"state": "wh')
    monkeypatch.setattr(
        term.pool, "run_here", lambda setup, tasks, _: [(one, ValueError("odd")) for one in all_of(tasks)]
    )
    report = term.grade_term(submitted, tmp_path, chapters)
    assert report.failed == ["student 1/02_gans: odd"], "half a record counts as none"
    config.write_text("c = get_config(\n")
    with pytest.raises(GradebookFailed, match="nbgrader_config.py cannot be read .SyntaxError"):
        term.grade_term(submitted, tmp_path, chapters, force=True)
    pool._forget()


def test_a_page_shows_points_and_comments_and_hidden_tests_by_what_they_test(short: Chapter) -> None:
    pytest.importorskip("nbgrader", reason="the extra `grade` is not installed")
    page = feedback.render(short, pages_of("student 0"))["01_gan"]
    assert "01_gan (Score: 0.5 / 2.0)" in page and "Score: 1.5 / 2.0" in page
    assert "Late submission penalty (Score: -1.0)" in page
    (hidden,) = [
        question.hidden for question in short.notebooks[0].questions if question.name == "discriminator-loss-check"
    ]
    assert hidden and all(f"#   - {words}" in page for words in hidden) and "checked" in page
    assert "4711" not in page and "HIDDEN TESTS" not in page
    assert "&lt;script&gt;alert" in page and "<script>alert" not in page


ENDLESS = """
import re
from course_utils.grading import feedback, pool
described = feedback._described
def run_job(setup, job):
    endless = job.student == "student 1"
    feedback.SECONDS = 0.5 if endless else 600
    feedback._described = (lambda *_: re.fullmatch("(a+)+b", 64 * "a")) if endless else described
    return pool.run_job(setup, job)
"""


def test_a_page_that_takes_forever_stops_no_other(
    short: Chapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nbgrader", reason="the extra `grade` is not installed")
    (tmp_path / "endless_pages.py").write_text(ENDLESS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(pool, "run_job", importlib.import_module("endless_pages").run_job)
    tasks = [pages_of(f"student {number}") for number in range(3)]
    outcomes = {one.student: outcome for one, outcome in pool.run_here(Setup({short.name: short}), tasks, 1)}
    assert "the pages took more than 60 seconds of CPU" in str(outcomes.pop("student 1"))
    assert [list(pages) for pages in outcomes.values()] == [["01_gan"], ["01_gan"]]


@pytest.mark.sandbox
def test_workers_render_the_pages_and_anew_where_points_have_changed(
    short: Chapter, notebook: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nbgrader", reason="the extra `grade` is not installed")
    from nbconvert.exporters import TemplateExporter
    from nbgrader.api import Gradebook as Database

    here = []  # a worker is a fresh process, and knows nothing of this
    monkeypatch.setattr(TemplateExporter, "from_notebook_node", lambda *_, **__: here.append(os.getpid()))
    submitted, chapters = tmp_path / "submitted", {short.name: short}
    hand_in(submitted, jobs(notebook, 2))
    for number, stamp in enumerate(("2027-01-17 01:04:00 UTC", "2027-01-15 23:00:00 UTC")):
        (submitted / f"student {number}" / short.name / "timestamp.txt").write_text(stamp)
    (tmp_path / "nbgrader_config.py").write_text('c = get_config()\nc.LateSubmissionPlugin.penalty_method = "zero"\n')
    Gradebook(tmp_path).assign(short)
    with Database(f"sqlite:///{tmp_path / 'gradebook.db'}") as gradebook:
        gradebook.update_or_create_assignment(short.name, duedate="2027-01-15 23:59:00 UTC")
    report = term.grade_term(submitted, tmp_path, chapters, workers=2)
    pages = {number: tmp_path / "feedback" / f"student {number}" / short.name / "01_gan.html" for number in range(2)}
    assert sorted(row["by tests"] for row in report.graded) == [1, 3] and not report.failed

    def shown(number: int) -> tuple[float, float]:
        """The points on a page and the penalty, which must be those of grades.csv."""
        with open(tmp_path / "grades.csv", encoding="utf-8") as file:
            (row,) = [row for row in csv.DictReader(file) if row["student"] == f"student {number}"]
        score, penalty, page = float(row["score"]), float(row["late_penalty"]), pages[number].read_text("utf-8")
        assert f"01_gan (Score: {score:.1f} / " in page
        assert ("Late submission penalty" in page) == (penalty > 0)
        assert not penalty or f"Late submission penalty (Score: -{penalty:.1f})" in page
        return score, penalty

    (_, late), (score, _) = shown(0), shown(1)
    assert shown(0) == (0, late) and late >= 3 and shown(1) == (score, 0)

    def mark(student: str, points: float) -> None:
        """Points by hand and a comment, as from nbgrader's Formgrader."""
        with Database(f"sqlite:///{tmp_path / 'gradebook.db'}") as gradebook:
            names = ("01_gan", short.name, student)
            gradebook.find_grade("discriminator-loss-check", *names).manual_score = points
            gradebook.find_comment("discriminator-loss", *names).manual_comment = f"{points} for the idea."
            gradebook.db.commit()

    def again() -> tuple[list[str], list[str]]:
        report = term.grade_term(submitted, tmp_path, chapters)
        assert not report.graded and not report.failed and report.before == 2
        return report.renewed, report.kept

    written = [page.stat().st_mtime_ns for page in pages.values()]
    assert again() == ([], []) and written == [page.stat().st_mtime_ns for page in pages.values()]
    mark("student 0", 5.0)
    mark("student 1", 1.5)
    assert again() == (["student 0/02_gans", "student 1/02_gans"], [])
    assert shown(0) == (0, late + 3), "who was late has lost the new points, too"
    assert shown(1) == (score + 1.5, 0) and "1.5 for the idea." in pages[1].read_text("utf-8")
    assert again() == ([], [])

    pages[1].write_text("edited by hand", encoding="utf-8")
    mark("student 1", 2.0)
    assert again() == ([], ["feedback/student 1/02_gans/01_gan.html"])
    assert pages[1].read_text("utf-8") == "edited by hand"
    record = tmp_path / "records" / "student 1" / f"{short.name}.json"
    told = json.loads(record.read_text("utf-8")) | {
        "marks": term.RENEWED
    }  # as if stopped while the page was being written
    record.write_text(json.dumps(told), "utf-8")
    assert again() == (["student 1/02_gans"], []) and "2.0 for the idea." in pages[1].read_text("utf-8")
    assert not here, "a page was rendered in the process that collects the results"
