"""nbgrader's side: assignments and grades, from notebooks whose outputs the grader wrote. Nothing is run here."""

import contextlib
import csv
import functools
import io
import json
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.grading.feedback import Feedback
from course_utils.grading.official import Chapter, source_of
from course_utils.grading.quiet import quietly
from course_utils.training.checkpoints import write_atomically

CONFIG = """# For nbgrader's own commands in this folder, such as `nbgrader export`, and for its Formgrader.
import os

c = get_config()
c.CourseDirectory.root = os.path.dirname(os.path.abspath(__file__))
c.CourseDirectory.submitted_directory = "answers"
"""
TAKEN_OVER = (
    "AssignLatePenalties",
    "LateSubmissionPlugin",
)  # sections of nbgrader_config.py that hold for grading, too


class GradebookFailed(RuntimeError):
    """nbgrader refused something; the message holds its reason."""


class Gradebook:
    """The folder of a term: `source`, `answers`, `autograded`, `feedback` and `gradebook.db`, as nbgrader has them."""

    def __init__(self, root: Path):
        self.root = root.resolve()
        self.database = f"sqlite:///{self.root / 'gradebook.db'}"

    def assign(self, chapter: Chapter) -> None:
        """Enter a chapter with its questions and points, or bring its entry up to date.

        Raises:
            GradebookFailed: if nbgrader refuses.
        """
        from nbgrader.converters import GenerateAssignment
        from nbgrader.preprocessors import InstantiateTests

        self._configure()
        folder = self.root / "source" / chapter.name
        for book in chapter.notebooks:
            write_atomically(folder / f"{book.name}.ipynb", book.content)
        config = self._config(chapter.name)
        config.IncludeHeaderFooter.enabled = False
        config.GenerateAssignment.force = True
        with self._quiet(f"the questions of {chapter.name}") as options:
            converter = GenerateAssignment(config=config, **options(config))
            converter.preprocessors = [step for step in converter.preprocessors if step is not InstantiateTests]
            converter.start()

    def _configure(self) -> None:
        """See to it that nbgrader's own commands find their way in this folder; a configuration that is there stays as it is."""
        self.root.mkdir(parents=True, exist_ok=True)
        if not (self.root / "nbgrader_config.py").exists():
            (self.root / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
        elif self._own_config().CourseDirectory.get("submitted_directory") != "answers":
            beside = self.root / "nbgrader_config.json"  # nbgrader reads both
            if not beside.exists():
                beside.write_text('{"CourseDirectory": {"submitted_directory": "answers"}}\n', encoding="utf-8")

    def _own_config(self) -> Any:
        """What the instructor's nbgrader_config.py says.

        Raises:
            GradebookFailed: if it cannot be read.
        """
        from traitlets.config import Config, PyFileConfigLoader

        if not (self.root / "nbgrader_config.py").exists():
            return Config()
        try:
            return PyFileConfigLoader("nbgrader_config.py", path=str(self.root)).load_config()
        except Exception as error:
            raise GradebookFailed(
                f"{self.root / 'nbgrader_config.py'} cannot be read ({type(error).__name__}: {error}): mend it, or move it away"
            ) from None

    def record(self, student: str, chapter: str, notebooks: Mapping[str, str], timestamp: str = "") -> None:
        """Enter one student's graded notebooks: nbgrader reads the scores from their outputs.

        Points that a person gave stay; they count as given where the answer is still the same.

        Raises:
            GradebookFailed: if nbgrader refuses.
        """
        from nbgrader.converters import Autograde
        from nbgrader.preprocessors import CheckCellMetadata, ClearOutput, Execute, IgnorePattern

        before = self._answers_with_points(student, chapter)
        folder = self.root / "answers" / student / chapter
        for name, content in notebooks.items():
            write_atomically(folder / f"{name}.ipynb", content)
        if timestamp:
            (folder / "timestamp.txt").write_text(timestamp, encoding="utf-8")
        config = self._config(chapter, student)
        config.Autograde.force = True
        with self._quiet(f"the answers of {student} to {chapter}") as options, _importable(self.root):
            converter = Autograde(config=config, **options(config))
            # the outputs are the grader's, and the metadata the course's, which `assign` has checked
            own = (ClearOutput, Execute, IgnorePattern, CheckCellMetadata)
            converter.sanitize_preprocessors = [s for s in converter.sanitize_preprocessors if s not in own]
            converter.autograde_preprocessors = [s for s in converter.autograde_preprocessors if s not in own]
            converter.start()
        self._keep_points(student, chapter, before)

    def feedback(self, student: str, chapter: str) -> Feedback:
        """What one student's pages have to show."""
        folder = self.root / "autograded" / student / chapter
        notebooks = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.ipynb"))}
        (marks,) = self.marks([(student, chapter)])
        return Feedback(student, chapter, notebooks, marks)

    def marks(self, submissions: Sequence[tuple[str, str]]) -> list[dict[str, Any] | None]:
        """The points and comments of submissions (student and chapter each) by notebook, as they are now; None for one that is not there."""
        if not submissions or not (self.root / "gradebook.db").exists():
            return [None] * len(submissions)
        with self._open() as gradebook:
            return [_marks(gradebook, student, chapter) for student, chapter in submissions]

    def renew_penalty(self, student: str, chapter: str) -> None:
        """Let nbgrader set the penalty for a late submission again, for the points that it has now.

        Raises:
            GradebookFailed: if nbgrader refuses.
        """
        from nbformat.v4 import new_notebook
        from nbgrader.preprocessors import AssignLatePenalties

        with self._quiet(f"the penalty of {student} in {chapter}") as options, _importable(self.root):
            config = self._config(chapter, student)
            step = AssignLatePenalties(config=config, log=options(config)["log"])
            names = {"student": student, "assignment": chapter, "db_url": self.database}
            for path in (self.root / "autograded" / student / chapter).glob("*.ipynb"):
                step.preprocess(new_notebook(), {"nbgrader": names | {"notebook": path.stem}})

    def rows(self) -> list[dict[str, Any]]:
        """What every student has in every chapter, points that a person gave included."""
        found = []
        with self._open() as gradebook:
            for assignment in gradebook.assignments:
                for submission in gradebook.assignment_submissions(assignment.name):
                    penalty = sum(notebook.late_submission_penalty or 0 for notebook in submission.notebooks)
                    found.append(
                        {
                            "student": submission.student.id,
                            "chapter": assignment.name,
                            "score": max(0.0, submission.score - penalty),
                            "of": submission.max_score,
                            "by_tests": sum(g.auto_score or 0 for n in submission.notebooks for g in n.grades),
                            "by_hand": sum(g.manual_score or 0 for n in submission.notebooks for g in n.grades),
                            "waiting": sum(g.needs_manual_grade for n in submission.notebooks for g in n.grades),
                            "late_seconds": round(submission.total_seconds_late),
                            "late_penalty": penalty,
                        }
                    )
        return sorted(found, key=lambda row: (row["student"], row["chapter"]))

    def _answers_with_points(self, student: str, chapter: str) -> dict[tuple[str, str], str]:
        """The answers that a person has given points to: text by notebook and cell."""
        found = {}
        for path in (self.root / "autograded" / student / chapter).glob("*.ipynb"):
            texts = _texts(path.read_text(encoding="utf-8"))
            with self._open() as gradebook:
                for name, text in texts.items():
                    with contextlib.suppress(Exception):  # a cell that the gradebook does not know
                        grade = gradebook.find_grade(name, path.stem, chapter, student)
                        if grade.manual_score is not None and not grade.needs_manual_grade:
                            found[path.stem, name] = text
        return found

    def _keep_points(self, student: str, chapter: str, before: Mapping[tuple[str, str], str]) -> None:
        if not before:
            return
        folder = self.root / "autograded" / student / chapter
        texts = {path.stem: _texts(path.read_text(encoding="utf-8")) for path in folder.glob("*.ipynb")}
        with self._open() as gradebook:
            for (notebook, name), text in before.items():
                if texts.get(notebook, {}).get(name) == text:
                    gradebook.find_grade(name, notebook, chapter, student).needs_manual_grade = False
            gradebook.db.commit()

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        from nbgrader.api import Gradebook as Database

        _ask_alembic_once()
        with warnings.catch_warnings(), Database(self.database) as gradebook:
            warnings.simplefilter("ignore")
            yield gradebook

    def _config(self, chapter: str, student: str = "*") -> Any:
        from traitlets.config import Config

        config = Config()
        directory = config.CourseDirectory
        directory.root, directory.db_url = str(self.root), self.database
        directory.submitted_directory = "answers"
        directory.assignment_id, directory.student_id = chapter, student
        own = self._own_config()
        for section in TAKEN_OVER:
            config[section].merge(own[section])
        return config

    @contextlib.contextmanager
    def _quiet(self, what: str) -> Iterator[Any]:
        """Options for a converter that keeps its log to itself, and tells it where nbgrader fails."""
        _ask_alembic_once()
        with (
            quietly(GradebookFailed, f"nbgrader could not enter {what}") as options,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield options


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """A late penalty of one's own may stand in a module of the term's folder, as with nbgrader's own commands."""
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


@functools.cache
def _ask_alembic_once() -> None:
    """nbgrader starts the program alembic, a second each time, whenever it opens the gradebook; its answer never changes."""
    from nbgrader import api

    folders = os.environ.get("PATH", "")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{folders}"
    try:
        answer = api.get_alembic_version()
    finally:
        os.environ["PATH"] = folders
    api.get_alembic_version = lambda: answer


def _marks(gradebook: Any, student: str, chapter: str) -> dict[str, Any] | None:
    from nbgrader.api import MissingEntry

    try:
        submission = gradebook.find_submission(chapter, student)
    except MissingEntry:
        return None
    found = {}
    for book in submission.notebooks:
        cells: dict[str, dict[str, Any]] = {one.name: {"comment": one.comment} for one in book.comments}
        for grade in book.grades:
            cells.setdefault(grade.name, {}).update(score=grade.score, points=grade.max_score)
        penalty = book.late_submission_penalty or 0.0
        score = {"score": book.score - penalty, "max_score": book.max_score, "late_penalty": penalty}
        found[book.name] = score | {"cells": cells}
    return found


def _texts(content: str) -> dict[str, str]:
    """The cells that a person grades, by name."""
    cells = json.loads(content)["cells"]
    graded = [(cell, cell["metadata"].get("nbgrader", {})) for cell in cells]
    found = {}
    for cell, grading in graded:
        if grading.get("grade") and grading.get("solution"):
            found[grading["grade_id"]] = source_of(cell)
    return found


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV. What a spreadsheet would take for a formula is marked as text."""
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {k: f"'{v}" if isinstance(v, str) and re.match(r"[=+\-@\t\r]", v) else v for k, v in row.items()}
        )
    return text.getvalue()
