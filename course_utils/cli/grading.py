"""`course grade` and `course collect`: the commands of whoever grades."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from course_utils.cli import output
from course_utils.cli.names import Failure, UsageError, nearest, require


def grade(
    submissions: Path, chapter: str | None, jobs: int, force: bool, unsafe: bool, dask: str | None, to: Path | None
) -> int:
    """The sub-command. Exit code 1 where a submission could not be graded.

    Raises:
        UsageError: for a folder or chapter that is not there.
        Failure: where there is no sandbox, or no submission.
    """
    if not submissions.is_dir():
        raise UsageError(
            f"{submissions} is no folder; it should hold STUDENT/CHAPTER/*.ipynb, as `course collect` makes it"
        )
    if jobs < 1:
        raise UsageError(f"-j is {jobs}, but at least one process has to grade")
    require("nbgrader", "grade")
    if dask:
        require("distributed", "dask")
    from course_utils.grading import official, sandbox, term

    if unsafe:
        print("course: --unsafe: students' code can read and change all that you can", file=sys.stderr)
    elif reason := sandbox.why_not():
        raise Failure(f"nothing was graded: {reason}")
    known = official.chapter_names()
    wanted = [nearest(chapter, known, "chapter")] if chapter else known
    found, _ = term.find_submissions(submissions, wanted)
    if not found:
        raise Failure(
            f"no submission in {submissions}: it should hold STUDENT/CHAPTER/*.ipynb, as `course collect` makes it"
        )
    chapters = {name: official.read_chapter(name) for name in dict.fromkeys(one.chapter for one in found)}
    results = (to or submissions.resolve().parent).resolve()
    report = term.grade_term(submissions, results, chapters, workers=jobs, force=force, unsafe=unsafe,
                             dask=dask or "", progress=_bar)  # fmt: skip
    output.show(report.graded, "Graded now")
    lines = [f"{len(report.graded)} graded now, {report.before} were graded before; results in {results}"]
    if report.changed:
        lines.append(f"changed since they were graded, or their tests: {_few(report.changed)}; --force grades again")
    if report.foreign:
        lines.append(f"results of another hand are there already: {_few(report.foreign)}; --force overwrites them")
    if report.kept_tables:
        lines.append(
            f"edited by hand, and so left as they are: {', '.join(report.kept_tables)}; --force overwrites them"
        )
    lines += [f"left out: {line}" for line in report.left_out]
    lines += [f"could not be graded: {line}" for line in report.failed]
    print("\n".join(lines))
    return 1 if report.failed else 0


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _bar(items: Iterator[Any], total: int) -> Iterable[Any]:
    from tqdm import tqdm

    return tqdm(items, total=total, unit="submission", disable=None)


def collect(downloads: Path, to: Path, force: bool) -> int:
    """The sub-command.

    Raises:
        UsageError: if there is no such folder.
    """
    if not downloads.is_dir():
        raise UsageError(f"{downloads} is no folder")
    from course_utils.grading import collect as sorting
    from course_utils.grading import official

    chapters = {name: official.read_chapter(name) for name in official.chapter_names()}
    report = sorting.collect(downloads, to / "submitted", chapters, force)
    output.show(report.rows, "Collected")
    for line in report.notes:
        print(line)
    print(f"{len(report.rows)} submissions in {to / 'submitted'}; next: `course grade {to / 'submitted'}`")
    return 0 if report.rows else 1
