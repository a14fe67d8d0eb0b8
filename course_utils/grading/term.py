"""Grade the submissions of a term: what there is, what is done already, what came of it. Resumes, and overwrites nothing unasked."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils.grading import extract, pool, similarity
from course_utils.grading.gradebook import Gradebook, GradebookFailed, table
from course_utils.grading.official import Chapter
from course_utils.training.checkpoints import CheckpointError, write_atomically
from course_utils.training.sources import digest

STUDENT = re.compile(r"[\w.@+-][\w.@+ -]{0,99}")


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
    changed: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    kept_tables: list[str] = field(default_factory=list)


def find_submissions(folder: Path, chapters: Sequence[str]) -> tuple[list[Submission], list[str]]:
    """The submissions below `folder`, as `STUDENT/CHAPTER/`, and what was left out and why."""
    found, left_out = [], []
    for student in sorted(folder.iterdir()):
        if student.name.startswith(".") or not (student.is_symlink() or student.is_dir()):
            continue
        if student.is_symlink() or not STUDENT.fullmatch(student.name):
            left_out.append(f"{student.name[:60]}: a link, or a name that no student has")
            continue
        for chapter in sorted(student.iterdir()):
            name = f"{student.name}/{chapter.name}"
            if chapter.is_symlink():
                left_out.append(f"{name} is a link: it was not followed")
            elif chapter.is_dir() and chapter.name in chapters:
                found.append(Submission(student.name, chapter.name, chapter))
            elif chapter.suffix == ".ipynb":
                left_out.append(f"{name} stands outside the folder of a chapter: `course collect` sorts such files")
    return found, left_out


def grade_term(
    submissions: Path,
    results: Path,
    chapters: dict[str, Chapter],
    *,
    workers: int = 1,
    force: bool = False,
    unsafe: bool = False,
    dask: str = "",
    progress: Callable[[Iterator[Any], int], Iterable[Any]] = lambda items, total: items,
) -> Report:
    """Grade what is not graded yet, and write grades, feedback and tables into `results`.

    Args:
        force: grade again, and overwrite.
        progress: wraps the outcomes, of which there will be `total`.

    Raises:
        GradebookFailed: if a chapter cannot be entered at all.
    """
    found, left_out = find_submissions(submissions, list(chapters))
    report = Report(left_out=left_out)
    gradebook = Gradebook(results)
    todo = [one for one in found if _is_due(one, chapters[one.chapter], results, force, report)]
    used = {name: chapters[name] for name in dict.fromkeys(one.chapter for one in todo)}
    for chapter in used.values():
        gradebook.assign(chapter)
    setup = pool.Setup(used, unsafe)
    jobs = map(_job, todo)
    outcomes = pool.run_on_dask(setup, jobs, dask) if dask else pool.run_here(setup, jobs, workers)
    folders = {(one.student, one.chapter): one.folder for one in todo}
    for job, outcome in progress(outcomes, len(todo)) if todo else ():
        name = f"{job.student}/{job.chapter}"
        if isinstance(outcome, BaseException):
            report.failed.append(f"{name}: {str(outcome) or type(outcome).__name__}")
            continue
        try:
            _keep(gradebook, chapters[job.chapter], outcome, job, folders[job.student, job.chapter])
        except (GradebookFailed, CheckpointError, OSError) as error:
            report.failed.append(f"{name}: {error}")
            continue
        notes = len(outcome.notes) + sum(len(book.notes) for book in outcome.books)
        row = {"student": job.student, "chapter": job.chapter, "by tests": outcome.score}
        report.graded.append(row | {"seconds": round(outcome.seconds, 1), "notes": notes})
    write_tables(gradebook, chapters, force, report)
    return report


def _job(submission: Submission) -> pool.Job:
    files, notes = extract.read_files(submission.folder)
    return pool.Job(submission.student, submission.chapter, files, tuple(notes))


def _record(results: Path, student: str, chapter: str) -> Path:
    return results / "records" / student / f"{chapter}.json"


def _digest(files: dict[str, bytes]) -> str:
    return digest(*(part for name in sorted(files) for part in (name, files[name])))


def _is_due(submission: Submission, chapter: Chapter, results: Path, force: bool, report: Report) -> bool:
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
    told = json.loads(record.read_text(encoding="utf-8"))
    if told["state"] == "begun":  # interrupted while it was being written
        return True
    report.before += 1
    files, _ = extract.read_files(submission.folder)
    if told["digest"] != _digest(files) or told["version"] != chapter.version:
        report.changed.append(name)
    return False


def _keep(gradebook: Gradebook, chapter: Chapter, result: Any, job: pool.Job, folder: Path) -> None:
    """Write all that belongs to one result; the record at the end says that it is whole."""
    record = _record(gradebook.root, job.student, job.chapter)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"state": "begun"}), encoding="utf-8")
    timestamp = ""
    if (folder / "timestamp.txt").is_file():
        timestamp = extract.read_file(folder / "timestamp.txt")[:100].decode("utf-8", "replace")
    gradebook.record(job.student, job.chapter, {book.name: book.graded for book in result.books}, timestamp)
    gradebook.write_feedback(job.student, chapter)
    told = json.loads(result.to_json()) | {
        "state": "whole",
        "digest": _digest(dict(job.files)),
        "version": chapter.version,
    }
    write_atomically(record, json.dumps(told, indent=1))


def records(results: Path) -> list[dict[str, Any]]:
    """All whole records."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((results / "records").glob("*/*.json"))]
    return [record for record in found if record["state"] == "whole"]


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
    tables = {"grades.csv": gradebook.rows(), "questions.csv": questions, "similarity.csv": pairs}
    told = gradebook.root / "records" / "tables.json"
    written = json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}
    for name, rows in tables.items():
        path, content = gradebook.root / name, table(rows)
        before = path.read_text(encoding="utf-8") if path.exists() else None
        if before is not None and before != content and digest(before) != written.get(name) and not force:
            report.kept_tables.append(name)
            continue
        path.write_text(content, encoding="utf-8")
        written[name] = digest(content)
    told.parent.mkdir(parents=True, exist_ok=True)
    told.write_text(json.dumps(written), encoding="utf-8")
