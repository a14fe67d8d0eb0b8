"""Grade the submissions of a term: what there is, what is done already, what came of it. Resumes, and overwrites nothing unasked."""

import itertools
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils.grading import files, pool, similarity
from course_utils.grading.feedback import Feedback
from course_utils.grading.gradebook import Gradebook, GradebookFailed, table
from course_utils.grading.official import Chapter
from course_utils.training.checkpoints import write_atomically
from course_utils.training.sources import digest

STUDENT = re.compile(r"[\w.@+-]([\w.@+ -]{0,98}[\w.@+-])?")
SORTS = "`course collect` sorts such files"
RENEWED = "being written"  # in place of the marks in a record: a page that differs from it was not edited by hand
OWN = ("answers", "autograded", "feedback", "records", "release", "source")  # folders that grading writes to


@dataclass
class Submission:
    """A student's folder for one chapter."""

    student: str
    chapter: str
    folder: Path


@dataclass
class Report:
    """What became of a run."""

    graded: list[dict[str, Any]] = field(default_factory=list)
    before: int = 0
    renewed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)


def find_submissions(
    folder: Path, chapters: Sequence[str], known: Sequence[str] = ()
) -> tuple[list[Submission], list[str]]:
    """The submissions below `folder` to `chapters`, as `STUDENT/CHAPTER/`, and what was left out and why.

    Args:
        known: further chapters of the course: a folder for one of these is passed over without a word.
    """
    found, left_out = [], []
    for student in sorted(folder.iterdir()):
        name = files.printable(student.name)[:60]
        if student.name.startswith("."):
            continue
        if student.is_symlink():
            left_out.append(f"{name} is a link: it was not followed")
        elif not student.is_dir():
            left_out.append(f"{name} is a file, where a student's folder is expected: {SORTS}")
        elif not STUDENT.fullmatch(student.name):
            left_out.append(
                f"{name}: a student's name has letters, digits, spaces and _.@+- only, 100 at most: rename the folder"
            )
        else:
            _look_into(student, chapters, known, found, left_out)
    return found, left_out


def _look_into(
    student: Path, chapters: Sequence[str], known: Sequence[str], found: list[Submission], left_out: list[str]
) -> None:
    """Find the submissions of one student."""
    try:
        inside = sorted(path for path in student.iterdir() if not path.name.startswith("."))
    except OSError as error:
        left_out.append(f"{student.name} cannot be read: {error.strerror}")
        return
    for chapter in inside:
        name = f"{student.name}/{files.printable(chapter.name)[:60]}"
        if chapter.is_symlink():
            left_out.append(f"{name} is a link: it was not followed")
        elif not chapter.is_dir():
            left_out.append(f"{name} is a file, where the folder of a chapter is expected: {SORTS}")
        elif chapter.name in chapters:
            found.append(Submission(student.name, chapter.name, chapter))
        elif chapter.name not in known:
            left_out.append(f"{name}: no chapter has this name: rename the folder")
    if not inside:
        left_out.append(f"{student.name} is empty")


def why_not_there(submissions: Path, results: Path) -> str:
    """Why the results may not go into `results`; empty if they may."""
    submissions, results = submissions.resolve(), results.resolve()
    there = next(path for path in (results, *results.parents) if path.exists())
    if not there.is_dir():
        return f"{there} is a file, and results go into a folder: choose another with --to"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} cannot be written: choose another folder for the results with --to"
    if results.is_relative_to(submissions):
        return f"{results} lies in {submissions}, where the submissions are: choose another folder with --to"
    for name in OWN:
        if submissions.is_relative_to(results / name):
            return (
                f"grading writes its own files to {results / name}, and the submissions would be lost: "
                f"rename that folder (`course collect` calls it submitted), or choose another with --to"
            )
    return ""


def grade_term(
    submissions: Path,
    results: Path,
    chapters: dict[str, Chapter],
    *,
    workers: int = 1,
    known: Sequence[str] = (),
    force: bool = False,
    unsafe: bool = False,
    dask: str = "",
    progress: Callable[[Iterator[Any], int], Iterable[Any]] = lambda items, total: items,
) -> Report:
    """Grade what is not graded yet, and write grades, feedback and tables into `results`.

    Args:
        known: the names of all chapters; folders for others than `chapters` are passed over.
        force: grade again, and overwrite.
        progress: wraps the outcomes, of which there will be `total`.

    Raises:
        GradebookFailed: if a chapter cannot be entered at all.
    """
    found, left_out = find_submissions(submissions, list(chapters), known)
    report = Report(left_out=left_out)
    gradebook = Gradebook(results)
    before: list[Submission] = []
    todo = [one for one in found if _is_due(one, chapters[one.chapter], results, force, report, before)]
    renewed = list(_with_new_marks(gradebook, before, report))
    used = {name: chapters[name] for name in dict.fromkeys(one.chapter for one in todo + renewed)}
    for chapter in dict.fromkeys(one.chapter for one in todo):
        gradebook.assign(chapters[chapter])
    setup = pool.Setup(used, unsafe)

    def run(jobs: Iterator[pool.Task | None]) -> Iterator[tuple[pool.Task, pool.Outcome]]:
        return pool.run_on_dask(setup, jobs, dask) if dask else pool.run_here(setup, jobs, workers)

    done = _carry_out(gradebook, chapters, todo, renewed, run)
    for name, outcome in progress(done, len(todo + renewed)) if todo or renewed else ():
        if isinstance(outcome, BaseException):
            report.failed.append(f"{name}: {str(outcome) or type(outcome).__name__}")
        elif outcome is None:
            report.renewed.append(name)
        else:
            report.graded.append(outcome)
    write_tables(gradebook, chapters, force, report)
    return report


def _carry_out(
    gradebook: Gradebook,
    chapters: Mapping[str, Chapter],
    todo: Sequence[Submission],
    renewed: Sequence[Submission],
    run: Callable[[Iterator[pool.Task | None]], Iterator[tuple[pool.Task, pool.Outcome]]],
) -> Iterator[tuple[str, dict[str, Any] | BaseException | None]]:
    """Grade `todo` and render the pages of both: each submission's name as it is done with, and its row, its failure, or None if `renewed`.

    Only the gradebook and the files are written in this process; what a graded submission's pages show is known once it is in there.
    """
    folders = {(one.student, one.chapter): one.folder for one in todo}
    first = itertools.chain((gradebook.feedback(one.student, one.chapter) for one in renewed), map(_job, todo))
    pages: deque[Feedback] = deque()
    entered: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {}

    def jobs() -> Iterator[pool.Task | None]:
        while True:
            yield pages.popleft() if pages else next(first, None)

    for job, outcome in run(jobs()):
        key, name = (job.student, job.chapter), f"{job.student}/{job.chapter}"
        if isinstance(outcome, BaseException):
            entered.pop(key, None)
            yield name, outcome
            continue
        try:
            if isinstance(job, pool.Job):
                entered[key] = _enter(gradebook, chapters[job.chapter], outcome, job, folders[key])
                pages.append(gradebook.feedback(*key))
                continue
            told, row = entered.pop(key, (None, None))
            _hand_back(gradebook.root, job, outcome, told)
            yield name, row
        except Exception as error:  # whatever it is, it stops no other
            entered.pop(key, None)
            yield name, error


def _job(submission: Submission) -> pool.Job:
    notebooks, beside, notes = files.read_files(submission.folder)
    return pool.Job(submission.student, submission.chapter, notebooks, tuple(notes), beside)


def _record(results: Path, student: str, chapter: str) -> Path:
    return results / "records" / student / f"{chapter}.json"


def _digest(notebooks: Mapping[str, bytes], beside: Mapping[str, bytes]) -> str:
    both = [*sorted(notebooks.items()), *sorted(beside.items())]
    return digest(*(part for pair in both for part in pair))


def _is_due(
    submission: Submission, chapter: Chapter, results: Path, force: bool, report: Report, before: list[Submission]
) -> bool:
    """Whether to grade a submission; to `before` goes one that is graded and has not changed since."""
    if force:
        return True
    name = f"{submission.student}/{submission.chapter}"
    record = _record(results, submission.student, submission.chapter)
    if not record.exists():
        folders = [results / step / submission.student / submission.chapter for step in ("autograded", "feedback")]
        if any(folder.exists() for folder in folders):
            report.foreign.append(name)
            return False
        return True
    told = _read_record(record)
    if told["state"] == "begun":  # interrupted while it was being written
        return True
    report.before += 1
    handed = files.read_files(submission.folder)
    if told["digest"] != _digest(handed.notebooks, handed.beside) or told["version"] != chapter.version:
        report.changed.append(name)
    else:
        before.append(submission)
    return False


def _with_new_marks(gradebook: Gradebook, graded: Sequence[Submission], report: Report) -> Iterator[Submission]:
    """Those of the graded submissions whose points or comments a person has changed since their pages were written.

    Pages that were edited stay as they are.
    """
    found = gradebook.marks([(one.student, one.chapter) for one in graded])
    for one, marks in zip(graded, found, strict=True):
        told = _read_record(_record(gradebook.root, one.student, one.chapter))
        if marks is None or told.get("marks") in (None, Feedback(one.student, one.chapter, {}, marks).digest):
            continue  # the same, gone from the gradebook, or of an earlier version of the course
        pages = _pages(gradebook.root, one.student, one.chapter)
        edited = [path for path in pages if digest(path.read_bytes()) != told["pages"].get(path.stem)]
        if edited and told["marks"] != RENEWED:
            report.kept += [path.relative_to(gradebook.root).as_posix() for path in edited]
            continue
        try:
            gradebook.renew_penalty(one.student, one.chapter)
        except GradebookFailed as error:
            report.failed.append(f"{one.student}/{one.chapter}: {error}")
        else:
            yield one


def _enter(
    gradebook: Gradebook, chapter: Chapter, result: Any, job: pool.Job, folder: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write one result into the gradebook: what its record will hold, and its row in the report."""
    record = _record(gradebook.root, job.student, job.chapter)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"state": "begun"}), encoding="utf-8")
    timestamp = _handed_in(folder, result.notes)
    gradebook.record(job.student, job.chapter, {book.name: book.graded for book in result.books}, timestamp)
    for path in _pages(gradebook.root, job.student, job.chapter):
        path.unlink()  # they show what is no more
    told = json.loads(result.to_json()) | {"digest": _digest(job.files, job.beside), "version": chapter.version}
    notes = len(result.notes) + sum(len(book.notes) for book in result.books)
    row = {"student": job.student, "chapter": job.chapter, "by tests": result.score}
    return told, row | {"seconds": round(result.seconds, 1), "notes": notes}


def _hand_back(results: Path, shown: Feedback, pages: Mapping[str, str], told: dict[str, Any] | None) -> None:
    """Write a submission's pages; its record at the end (`told`, or else the one that is there) says that it is whole."""
    record = _record(results, shown.student, shown.chapter)
    if told is None:
        told = _read_record(record)
        write_atomically(record, json.dumps(told | {"marks": RENEWED}, indent=1))
    for name, page in pages.items():
        write_atomically(results / "feedback" / shown.student / shown.chapter / f"{name}.html", page)
    written = {"marks": shown.digest, "pages": {name: digest(page) for name, page in pages.items()}}
    write_atomically(record, json.dumps(told | {"state": "whole"} | written, indent=1))


def _pages(results: Path, student: str, chapter: str) -> list[Path]:
    return sorted((results / "feedback" / student / chapter).glob("*.html"))


def _handed_in(folder: Path, notes: list[str]) -> str:
    """When a submission was handed in, as timestamp.txt says it; empty if that is not known."""
    from nbgrader.utils import parse_utc

    path = folder / files.STAMP
    if not path.exists() and not path.is_symlink():
        return ""
    try:
        text = files.read_file(path, 1_000).decode("utf-8", "replace").strip()
        if parse_utc(text) is not None:
            return text
    except (files.Refused, ValueError, OverflowError):
        pass
    notes.append(f"{files.STAMP} holds no time such as 2027-01-15 21:30:00 UTC: whether it was late is not known")
    return ""


def _read_record(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # a crash in the moment of writing
        return {"state": "begun"}


def records(results: Path) -> list[dict[str, Any]]:
    """All whole records."""
    found = [_read_record(path) for path in sorted((results / "records").glob("*/*.json"))]
    return [record for record in found if record["state"] == "whole"]


def _span(seconds: int) -> str:
    """ "2 h 05 min" of a number of seconds."""
    days, minutes = seconds // 86_400, seconds // 60 % 1_440
    hours = f"{minutes // 60} h {minutes % 60:02} min"
    return f"{days} d {hours}" if days else hours


def write_tables(gradebook: Gradebook, chapters: dict[str, Chapter], force: bool, report: Report) -> None:
    """Write `grades.csv`, `questions.csv` and `similarity.csv`, each only where nobody has edited it."""
    if not (gradebook.root / "gradebook.db").exists():
        return
    questions, prints = [], {}
    for record in records(gradebook.root):
        prints.setdefault(record["chapter"], {})[record["student"]] = {k: tuple(v) for k, v in record["prints"].items()}
        for book in record["books"]:
            for mark in book["marks"]:
                row = {"student": record["student"], "chapter": record["chapter"], "notebook": book["name"]}
                questions.append(row | {"question": mark["name"], "score": mark["score"], "of": mark["points"],
                                        "seconds": round(mark["seconds"], 2), "reason": mark["reason"],
                                        "notes": "; ".join(book["notes"] + record["notes"])})  # fmt: skip
    pairs = []
    for name, everybody in prints.items():
        if name in chapters:
            everybody[similarity.OURS] = similarity.solution_prints(chapters[name])
        pairs += [{"chapter": name, **row} for row in similarity.pairs(everybody)]
    rows = gradebook.rows()
    for row in [row for row in rows if row["late_seconds"] > 0]:
        report.late.append(f"{row['student']}/{row['chapter']} ({_span(row['late_seconds'])})")
    tables = {"grades.csv": rows, "questions.csv": questions, "similarity.csv": pairs}
    told = gradebook.root / "records" / "tables.json"
    written = json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}
    for name, rows in tables.items():
        path, content = gradebook.root / name, table(rows)
        before = path.read_text(encoding="utf-8") if path.exists() else None
        if before is not None and before != content and digest(before) != written.get(name) and not force:
            report.kept.append(name)
            continue
        path.write_text(content, encoding="utf-8")
        written[name] = digest(content)
    told.parent.mkdir(parents=True, exist_ok=True)
    told.write_text(json.dumps(written), encoding="utf-8")
