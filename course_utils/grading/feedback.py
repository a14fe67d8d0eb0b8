"""The pages that a student gets back: the graded notebooks with points and comments, and hidden tests by what they test, never their source."""

import functools
import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from course_utils.grading.official import HIDDEN, Chapter
from course_utils.training.sources import digest

SECONDS = 60.0  # of CPU, for the pages of one submission; a fraction of one is usual


@dataclass(frozen=True)
class Feedback:
    """What the pages of one submission show.

    Args:
        notebooks: the graded notebooks by name, as nbgrader recorded them.
        marks: points and comments by notebook, as the gradebook has them now.
    """

    student: str
    chapter: str
    notebooks: Mapping[str, str]
    marks: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Changes with the points and comments."""
        return digest(json.dumps(self.marks, sort_keys=True))


def render(chapter: Chapter, feedback: Feedback) -> dict[str, str]:
    """One HTML page a notebook, by name. What takes longer than `SECONDS` of CPU ends this process."""
    import nbformat

    exporter = _exporter()
    words = {question.name: question.hidden for book in chapter.notebooks for question in book.questions}
    pages = {}
    with _limited(SECONDS):
        for name, content in feedback.notebooks.items():
            notebook, marks = nbformat.reads(content, as_version=4), feedback.marks[name]
            for cell in notebook.cells:
                grading = cell.metadata.get("nbgrader", {})
                question = grading.get("grade_id", "")
                grading.update(marks["cells"].get(question, {}))
                cell.source = _described(cell.source, words.get(question, ()))
            pages[name], _ = exporter.from_notebook_node(notebook, {"nbgrader": {"notebook": name} | marks})
    return pages


def _described(source: str, words: tuple[str, ...]) -> str:
    lines = "".join(f"#   - {word}\n" for word in words)
    return HIDDEN.sub(lambda _: f"# Hidden tests, on other numbers:\n{lines}", source)


@functools.cache
def _exporter() -> Any:
    """nbgrader's own page, made once in a process: its templates take as long to compile as a page to fill."""
    from nbconvert.exporters import HTMLExporter
    from nbconvert.filters import Highlight2HTML
    from nbgrader.converters import GenerateFeedback
    from nbgrader.coursedir import CourseDirectory

    class Exporter(HTMLExporter):
        def from_notebook_node(self, nb: Any, resources: Any = None, **more: Any) -> tuple[str, Any]:
            # without the last pass of HTMLExporter, longer than all the rest: it looks for pictures and for cells of JupyterLab
            return super(HTMLExporter, self).from_notebook_node(nb, self._init_resources(resources), **more)

    exporter = Exporter(config=GenerateFeedback(coursedir=CourseDirectory()).config)
    exporter.register_filter("highlight_code", Highlight2HTML(parent=exporter))
    return exporter


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """End this process, whatever it is at, if it computes longer: nothing gentler ends one regular expression in any thread.

    Time that a busy machine gives to others does not count.
    """
    if not hasattr(signal, "setitimer"):  # Windows, where there is no sandbox either
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)  # its signal, with no handler, ends a process
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
