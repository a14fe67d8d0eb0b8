"""Many submissions: one that kills its grader stops no other; workers of dask give the same; a stopped run goes on."""

import copy
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from course_utils.grading import pool, term
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
        outcomes = {job.student: outcome for job, outcome in pool.run_on_dask(setup, jobs(notebook, 4), address)}
    finally:
        for program in started:
            program.kill()
            program.wait()
    assert {name: outcome.score for name, outcome in outcomes.items()} == {
        "student 0": 3, "student 1": 1, "student 2": 3, "student 3": 1
    }  # fmt: skip


@pytest.mark.sandbox
def test_a_run_that_was_stopped_goes_on(
    short: Chapter, notebook: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nbgrader", reason="the extra `grade` is not installed")
    submitted = tmp_path / "submitted"
    for job in jobs(notebook, 3):
        folder = submitted / job.student / job.chapter
        folder.mkdir(parents=True)
        (folder / "01_gan.ipynb").write_bytes(job.files["01_gan.ipynb"])

    def stops(outcomes: Iterator[Any], total: int) -> Iterator[Any]:
        yield next(outcomes)
        raise KeyboardInterrupt

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
    monkeypatch.setattr(term.pool, "run_here", lambda setup, jobs, workers: [(job, ValueError("odd")) for job in jobs])
    report = term.grade_term(submitted, tmp_path, chapters)
    assert report.failed == ["student 1/02_gans: odd"], "half a record counts as none"
    config.write_text("c = get_config(\n")
    with pytest.raises(GradebookFailed, match="nbgrader_config.py cannot be read .SyntaxError"):
        term.grade_term(submitted, tmp_path, chapters, force=True)
