"""Grading many submissions.

Submissions of a notebook of chapter 02 (two thirds right, one third with a mistake, every fiftieth hostile) graded with `course grade`
on two processes, and a quarter of them on one: sandbox, official tests, nbgrader's gradebook and feedback. Beside it plain
`nbgrader autograde` on a few of them, which runs the whole notebook in a kernel at scale smoke, without a sandbox; its time for all
is extrapolated. `peak_mb` is the largest memory of the process that collects the results, in the first half of the run and in all of it:
it should not grow.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from course_utils import runtime
from course_utils.grading import official, term
from course_utils.grading.gradebook import Gradebook
from course_utils.grading.sandbox import why_not

COUNT = int(os.environ.get("BENCH_SUBMISSIONS", "200"))
PLAIN = 2  # submissions for nbgrader
HOSTILE = "import os\ndef discriminator_loss(real_logits, fake_logits):\n    os._exit(0)\n"
WRONG = "def discriminator_loss(real_logits, fake_logits):\n    return F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean()\n"


def submissions(folder: Path, chapter: official.Chapter, count: int) -> None:
    book = chapter.notebooks[0]
    source = (runtime.repository() / "notebooks" / chapter.name / f"{book.name}.ipynb").read_text("utf-8")
    for number in range(count):
        answers = {slot.name: slot.solution for slot in book.slots if slot.is_code}
        if number % 3 == 0:
            answers["discriminator-loss"] = WRONG
        if number % 50 == 49:
            answers["discriminator-loss"] = HOSTILE
        notebook = json.loads(source)
        for cell in notebook["cells"]:
            name = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
            cell["source"] = answers.get(name, cell["source"])
        path = folder / f"student{number:03}" / chapter.name / f"{book.name}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(notebook), "utf-8")


def ours(chapter: official.Chapter, workers: int, count: int) -> dict[str, Any]:
    peaks = []

    def watched(outcomes: Iterator[Any], total: int) -> Iterable[Any]:
        for number, outcome in enumerate(outcomes, 1):
            yield outcome
            if number in (total // 2, total):
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        submissions(root / "submitted", chapter, count)
        started = time.perf_counter()
        report = term.grade_term(root / "submitted", root, {chapter.name: chapter}, workers=workers, progress=watched)
        seconds = time.perf_counter() - started
    if len(report.graded) != count or report.failed:
        raise RuntimeError(f"{len(report.graded)} graded, failed: {report.failed[:3]}")
    return {"what": f"course grade -j {workers}, {count} submissions", "seconds": seconds, "submissions_a_minute": 60 * count / seconds,
            "peak_mb": " / ".join(f"{peak:.0f}" for peak in peaks)}  # fmt: skip


def plain(chapter: official.Chapter) -> dict[str, Any]:
    environment = os.environ | {"COURSE_SCALE": "smoke", "PYTHONPATH": str(runtime.repository())}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    command = [sys.executable, "-m", "nbgrader", "autograde", chapter.name, "--ExecutePreprocessor.timeout=600"]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        Gradebook(root).assign(chapter)
        submissions(root / "answers", chapter, PLAIN)
        started = time.perf_counter()
        subprocess.run(command, cwd=root, env=environment, capture_output=True)
        seconds = (time.perf_counter() - started) / PLAIN
    return {"what": f"nbgrader autograde, {PLAIN} submissions, extrapolated", "seconds": seconds * COUNT,
            "submissions_a_minute": 60 / seconds, "peak_mb": ""}  # fmt: skip


def main() -> None:
    if reason := why_not():
        sys.exit(reason)
    whole = official.read_chapter("02_gans")
    chapter = official.Chapter(whole.name, whole.notebooks[:1], whole.version)
    rows = [ours(chapter, 2, COUNT), ours(chapter, 1, COUNT // 4), plain(chapter)]
    for row in rows:
        print(json.dumps(row | {"times_as_fast": row["submissions_a_minute"] / rows[-1]["submissions_a_minute"]}))


if __name__ == "__main__":
    main()
