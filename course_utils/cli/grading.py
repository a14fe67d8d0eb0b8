"""`course grade` and `course collect`: the commands of whoever grades."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from course_utils.cli import output
from course_utils.cli.names import Failure, UsageError, nearest, require

EXPECTED = (
    "a folder for each student, archives, or files whose names begin with the student's, with notebooks (.ipynb) in it"
)
LAYOUT = "STUDENT/CHAPTER/*.ipynb, as `course collect` makes it"


def grade(
    submissions: Path, chapter: str | None, jobs: int, force: bool, unsafe: bool, dask: str | None, to: Path | None
) -> int:
    """The sub-command. Exit code 1 where a submission could not be graded.

    Raises:
        UsageError: for a folder or chapter that is not there.
        Failure: where there is no sandbox, or no submission.
    """
    if not submissions.is_dir():
        what = "is a file" if submissions.exists() else "is not there"
        raise UsageError(f"{submissions} {what}; give a folder that holds {LAYOUT}")
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
    try:
        found, left_out = term.find_submissions(submissions, wanted, known)
    except OSError as error:
        raise Failure(f"{submissions} cannot be read: {error.strerror}") from None
    if not found:
        asked = f" to {wanted[0]}" if chapter else ""
        lines = [f"no submission{asked} in {submissions}: it should hold {LAYOUT}", *left_out[:20]]
        raise Failure("\n  ".join(lines))
    results = (to or submissions.resolve().parent).resolve()
    if reason := term.why_not_there(submissions, results):
        raise UsageError(f"nothing was graded: {reason}")
    chapters = {name: official.read_chapter(name) for name in dict.fromkeys(one.chapter for one in found)}
    report = term.grade_term(submissions, results, chapters, workers=jobs, known=known, force=force, unsafe=unsafe,
                             dask=dask or "", progress=_bar)  # fmt: skip
    output.show(report.graded, "Graded now")
    lines = [f"{len(report.graded)} graded now, {report.before} were graded before; results in {results}"]
    if report.changed:
        lines.append(f"changed since they were graded, or their tests: {_few(report.changed)}; --force grades again")
    if report.foreign:
        lines.append(f"results of another hand are there already: {_few(report.foreign)}; --force overwrites them")
    if report.renewed:
        lines.append(f"feedback written anew, for their points or comments have changed: {_few(report.renewed)}")
    if report.kept:
        lines.append(f"edited by hand, and so left as they are: {_few(report.kept)}; --force overwrites them")
    if report.late:
        lines.append(f"handed in after the deadline: {_few(report.late)}")
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
        UsageError: if there is no such folder, or what is collected would go into it.
        Failure: if it holds nothing that could be collected.
    """
    if not downloads.is_dir():
        what = "is a file: put it into a folder of its own" if downloads.exists() else "is not there"
        raise UsageError(f"{downloads} {what}; give the folder with all that you downloaded from your platform")
    target = to / "submitted"
    if target.resolve().is_relative_to(downloads.resolve()):
        raise UsageError(f"{target} lies in {downloads}, and would be collected itself next time: choose another --to")
    if to.exists() and not to.is_dir():
        raise UsageError(f"{to} is a file; --to names the folder of the term")
    from course_utils.grading import collect as sorting
    from course_utils.grading import official

    chapters = {name: official.read_chapter(name) for name in official.chapter_names()}
    report = sorting.collect(downloads, target, chapters, force)
    if not report.rows and not report.kept:
        lines = [f"nothing was collected from {downloads}: it should hold {EXPECTED}", *report.notes[:20]]
        raise Failure("\n  ".join(lines))
    output.show(report.rows, "Collected")
    for line in report.notes:
        print(line)
    print(f"{len(report.rows)} submissions collected into {target}; next: `course grade {target}`")
    return 0 if report.rows else 1
