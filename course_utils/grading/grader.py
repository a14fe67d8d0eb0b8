"""Grade one submission: the student's code in the sandbox, the official tests here."""

import ast
import contextlib
import io
import json
import re
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from course_utils.checks.engine import CheckFailed
from course_utils.checks.notebook import Cell, failure_line, pieces_of
from course_utils.checks.subjects import Child, SubjectLost
from course_utils.grading import extract, similarity
from course_utils.grading.official import HIDDEN, Chapter, Official, Question, Slot, assigned
from course_utils.grading.proxy import AnswerFailed, Proxy

LOAD_SECONDS = 20.0  # for the cells that a question needs, all together
LOST_SECONDS = 60.0  # after which the cells of a notebook are given up
OUTPUT_LIMIT = 20_000  # characters of a test's output that are kept
NOTE_LIMIT = 40


@dataclass
class Mark:
    """What a question earned and why."""

    name: str
    points: float
    score: float
    reason: str
    seconds: float


@dataclass
class BookResult:
    """One graded notebook; `graded` is the official notebook with the student's answers and the outputs of the tests."""

    name: str
    file: str
    marks: list[Mark]
    notes: list[str]
    graded: str


@dataclass
class Result:
    """One graded submission; `prints` are the answers in a form that two students' can be compared in."""

    student: str
    chapter: str
    books: list[BookResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    prints: dict[str, tuple[str, int]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def score(self) -> float:
        """The points that the tests gave."""
        return sum(mark.score for book in self.books for mark in book.marks)

    def to_json(self) -> str:
        """The result without its notebooks, as JSON."""
        plain = asdict(self)
        for book in plain["books"]:
            del book["graded"]
        return json.dumps(plain, indent=1)


def grade(
    student: str,
    chapter: Chapter,
    files: dict[str, bytes],
    notes: Sequence[str],
    child: Child,
    beside: Mapping[str, bytes] = MappingProxyType({}),
) -> Result:
    """Grade the notebooks `files` (content by name) of one student.

    Args:
        notes: what was noticed before, when the files were read.
        child: where the student's code runs.
        beside: the student's other files, which that code may read and import.
    """
    started = time.perf_counter()
    matched, more = extract.match_files(chapter, files)
    result = Result(student, chapter.name, notes=[*notes, *more])
    if beside:
        result.notes.append(f"files beside the notebooks: {', '.join(sorted(beside))}"[:300])
    child.place(beside)
    for book in chapter.notebooks:
        file, cells = matched.get(book.name, ("", []))
        if file:
            found = extract.extract(book, cells)
            marks, outputs = _grade_book(book, found, child)
        else:
            why = "there is no notebook for it"
            found = extract.Extract(notes=[f"{book.name}.ipynb: {why}"])
            marks = [Mark(question.name, question.points, 0.0, why, 0.0) for question in book.questions]
            outputs = {question.name: [_error("NoNotebook", f"No answer: {why}.")] for question in book.questions}
        found.notes = found.notes[:NOTE_LIMIT]
        result.books.append(BookResult(book.name, file, marks, found.notes, _rebuilt(book, found, outputs, beside)))
        result.prints |= similarity.prints(book, found.sources)
    result.prints |= similarity.prints_of_files(beside)
    result.seconds = time.perf_counter() - started
    return result


def _grade_book(book: Official, found: extract.Extract, child: Child) -> tuple[list[Mark], dict[str, list[dict]]]:
    pieces = pieces_to_load(book, found)
    lost: dict[str, str] = {}
    spent = 0.0
    marks, outputs = [], {}
    for question in book.questions:
        started = time.perf_counter()
        child.traps, child.answer_seconds = question.traps, question.seconds
        failures: dict[str, str] = {}
        while pieces and spent < LOST_SECONDS:
            child.allow(LOAD_SECONDS, "the cells that the question needs")
            before = time.perf_counter()
            try:
                failures = {name: failure_line(failure) for name, failure in child.load(pieces).items()}
                break
            except SubjectLost as error:
                if error.piece is None:
                    raise
                lost[error.piece] = str(error)
                pieces = [piece for piece in pieces if piece[0] != error.piece]
                spent += time.perf_counter() - before
        if spent >= LOST_SECONDS:
            pieces = []
        child.allow(question.seconds, f"question {question.name}")
        subjects = {name: Proxy(pieces, name, child) for name in question.names}
        outputs[question.name], score, reason = run_test(question, subjects, lost | failures, _slots(book, question))
        marks.append(Mark(question.name, question.points, score, reason, time.perf_counter() - started))
    child.end_answer()
    return marks, outputs


def pieces_to_load(book: Official, found: extract.Extract) -> list[tuple[str, str]]:
    """The source to run: the student's solutions, what these need of the other cells, and official cells for names that are gone."""
    if len(found.cells) == 0:
        return []
    own = [cell for cell in found.cells if cell.is_solution] + [cell for cell in found.cells if not cell.is_solution]
    bound = {name for cell in own for name in assigned(cell.source)}
    official = [Cell(cell.name, cell.source, {}) for cell in book.setup]
    helpers = {name for question in book.questions for name in question.names} | set(book.names)
    pieces = pieces_of([*official, *found.cells], helpers)
    names = {cell.name for cell in official}
    return [(name, source) for name, source in pieces if name not in names or not _all_bound(source, bound)]


def _all_bound(source: str, bound: set[str]) -> bool:
    """Whether an official piece only defines what the student's own cells define too."""
    names = assigned(source)
    return bool(names) and set(names) <= bound and "import" not in source


def _slots(book: Official, question: Question) -> list[Slot]:
    return [slot for slot in book.slots if set(slot.defines) & set(question.names)]


def run_test(
    question: Question, subjects: dict[str, Proxy], failures: dict[str, str], slots: Sequence[Slot]
) -> tuple[list[dict[str, Any]], float, str]:
    """Run an official test cell on proxies, as a kernel would: its outputs, the points, and the reason in a line."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed, outputs = io.StringIO(), []
    score, reason = question.points, "all tests hold"
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(question.setup, "<official>", "exec"), namespace)
            namespace |= subjects
            value = _execute(question.source, question.name, namespace)
        if value is not None:
            outputs.append(_shown(value))
            if type(value) in (int, float):
                score = min(max(float(value), 0.0), question.points)
                reason = f"{score:g} of {question.points:g} points"
    except Exception as error:
        score = 0.0
        text = _told(error, question)
        reason = text.split("\n")[0]
        for name in [slot.name for slot in slots if slot.name in failures and failures[slot.name] not in text]:
            text += f"\n  Cell      {name}: {failures[name]}"
            reason += f" (the cell {name}: {failures[name]})"
        outputs.append(_error(type(error).__name__, text))
    if text := printed.getvalue()[:OUTPUT_LIMIT]:
        outputs.insert(0, {"output_type": "stream", "name": "stdout", "text": text})
    return outputs, score, reason


def _execute(source: str, name: str, namespace: dict[str, Any]) -> Any:
    """Run a cell; the value of its last expression, as a kernel would show it."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, f"<{name}>", "exec"), namespace)
    if last is None or source.rstrip().endswith(";"):
        return None
    return eval(compile(ast.Expression(last.value), f"<{name}>", "eval"), namespace)


def _told(error: Exception, question: Question) -> str:
    """What an error in a test cell says to the student: never a line of the test itself."""
    hidden = " (a hidden test)" if _is_hidden(error, question) else ""
    if isinstance(error, CheckFailed):
        first, _, rest = str(error).partition("\n")
        return f"{first}{hidden}" + (f"\n{rest}" if rest else "")
    if isinstance(error, SubjectLost):
        return f"No answer{hidden}: {error}."
    if isinstance(error, (AssertionError, AnswerFailed)):
        return f"The test does not hold{hidden}: {str(error)[:300] or 'its assertion is false'}."
    return f"The test could not be carried out{hidden}: {type(error).__name__}: {str(error)[:300]}"


def _is_hidden(error: Exception, question: Question) -> bool:
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == f"<{question.name}>"
    ]
    if not lines or lines[-1] is None:
        return False
    spans = [match.span() for match in HIDDEN.finditer(question.source)]
    numbers = [(question.source.count("\n", 0, a) + 1, question.source.count("\n", 0, b) + 1) for a, b in spans]
    return any(first <= lines[-1] <= last for first, last in numbers)


def _error(name: str, text: str) -> dict[str, Any]:
    return {
        "output_type": "error",
        "ename": name,
        "evalue": text.split("\n")[0][:500],
        "traceback": [text[:OUTPUT_LIMIT]],
    }


def _shown(value: Any) -> dict[str, Any]:
    text = repr(value)[:OUTPUT_LIMIT]
    return {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": {"text/plain": text}}


def _rebuilt(
    book: Official, found: extract.Extract, outputs: dict[str, list[dict]], beside: Mapping[str, bytes]
) -> str:
    """The official notebook with the student's answers in it: what nbgrader and the person who grades get to see."""
    notebook = json.loads(book.content)
    slots = {slot.name: slot for slot in book.slots}
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
        if name in slots:
            source = found.sources.get(name, slots[name].stub)
            cell["source"] = source if slots[name].is_code or source == slots[name].stub else harmless(source)
        elif name in outputs:
            cell["outputs"], cell["execution_count"] = outputs[name], 1
    if found.notes:
        lines = "\n".join(f"- {note}" for note in found.notes)
        notebook["cells"].insert(0, _markdown("grader-notes", f"**What the grader noticed**\n\n{lines}"))
    own = {cell["source"].strip() for cell in notebook["cells"]} | {slot.stub.strip() for slot in book.slots}
    rest = [cell for cell in found.rest if cell.source.strip() and cell.source.strip() not in own]
    if rest:
        notebook["cells"].append(_markdown("grader-rest", "**Further cells of the submission** (not run)"))
    for number, cell in enumerate(rest):
        language = "python" if cell.kind == "code" else ""
        shown = harmless(cell.source if cell.kind == "markdown" else f"~~~{language}\n{cell.source}\n~~~")
        notebook["cells"].append(_markdown(f"grader-rest-{number}", shown))
    modules = [name for name in sorted(beside) if name.endswith(".py")]
    if modules:
        notebook["cells"].append(
            _markdown("grader-beside", "**Modules beside the notebook** (its cells may import them)")
        )
    for number, name in enumerate(modules):
        text = beside[name][: extract.CELL_LIMIT].decode("utf-8", "replace").replace("\0", "")
        notebook["cells"].append(_markdown(f"grader-beside-{number}", harmless(f"{name}\n~~~python\n{text}\n~~~")))
    return json.dumps(notebook)


def harmless(text: str) -> str:
    """Markdown in which no HTML is left: it will be opened in the browser of whoever grades."""
    return re.sub(r"<(?=[a-zA-Z/!?])", "&lt;", text)


def _markdown(name: str, source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}
