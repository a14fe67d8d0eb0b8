"""`course check`: run the visible checks of a student's notebook, with its code in a child process."""

import ast
import contextlib
import importlib
import io
import re
import symtable
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils import runtime
from course_utils.checks.engine import Check, CheckFailed
from course_utils.checks.subjects import Child, Failure, InChild, SubjectLost


@dataclass(frozen=True)
class Result:
    """How one exercise stands.

    Args:
        exercise: its name in the notebook, such as "kl-divergence".
        points: that it is worth.
        held: whether its check holds; None where the notebook has no check that could be run.
        message: the line of success, or what is wrong.
    """

    exercise: str
    points: float
    held: bool | None
    message: str


def run_notebook_checks(notebook_path: Path | str, seconds: float = 30.0) -> list[Result]:
    """Run the visible checks of a student's notebook, one `Result` for each of its exercises, in their order.

    Of the student's cells, those with solutions run, and of the others what these need (imports, definitions, values); training and
    figures do not. A cell that fails is named, and does not stop the others. Which exercises there are, and their points, is read from
    the release in `notebooks/` where that has a notebook of this name, so that a deleted or edited check cell costs nothing.

    Args:
        seconds: time limit of each cell and each answer.

    Raises:
        ValueError: if the file is no notebook.
        FileNotFoundError: if there is none.
    """
    path = Path(notebook_path)
    own = _cells(path)
    official = runtime.repository() / "notebooks" / path.resolve().parent.name / path.name
    calls, exercises = _checks_of(_cells(official) if official.is_file() else own)
    pieces = pieces_of(own, {name for _, _, _, name in calls})
    results = []
    with Child(seconds, path.resolve().parent) as child:
        pieces, failed = _load(child, pieces)
        for exercise, points in exercises:
            own_calls = [(module, check, name) for of, module, check, name in calls if of == exercise]
            results.append(_result(exercise, points, own_calls, pieces, failed, child))
    return results


def _load(child: Child, pieces: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Load `pieces`, leaving out those that end the process or do not end: the rest, and what failed, in a line each."""
    lost: dict[str, str] = {}
    while True:
        try:
            failures = child.load(pieces)
        except SubjectLost as error:
            if error.piece is None:
                raise
            lost[error.piece] = str(error)
            pieces = [piece for piece in pieces if piece[0] != error.piece]
        else:
            return pieces, lost | {name: failure_line(failure) for name, failure in failures.items()}


def failure_line(failure: Failure) -> str:
    place = f" (line {failure.line_number}: {failure.line})" if failure.line else ""
    return f"{failure.type_name}: {failure.message}{place}"


def _result(
    exercise: str,
    points: float,
    calls: Sequence[tuple[str, str, str]],
    pieces: Any,
    failed: dict[str, str],
    child: Child,
) -> Result:
    if not calls:
        return Result(exercise, points, None, "the notebook has no check that can be run here")
    printed = io.StringIO()
    try:
        for module, check, name in calls:
            found = getattr(importlib.import_module(module), check, None)
            if not isinstance(found, Check):
                return Result(exercise, points, None, f"there is no check called {check!r} in {module}")
            with contextlib.redirect_stdout(printed):
                found(InChild(pieces, name, child))
    except CheckFailed as error:
        also = [f"  Also      the cell {name} fails: {line}" for name, line in failed.items() if line not in str(error)]
        own = failed.get(exercise)
        also = [f"  Cell      {own}"] if own and own not in str(error) else also
        return Result(exercise, points, False, "\n".join([str(error), *also]))
    return Result(exercise, points, True, printed.getvalue().strip())


@dataclass(frozen=True)
class Cell:
    """A code cell: its name for messages, its source, its nbgrader metadata."""

    name: str
    source: str
    grading: dict[str, Any]

    @property
    def is_solution(self) -> bool:
        return bool(self.grading.get("solution"))

    @property
    def is_check(self) -> bool:
        return bool(self.grading.get("grade")) and not self.is_solution


def _cells(path: Path) -> list[Cell]:
    """The code cells of a notebook file."""
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
        found = [(number, cell) for number, cell in enumerate(notebook.cells, 1) if cell.cell_type == "code"]
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is not a Jupyter notebook ({type(error).__name__}: {str(error)[:100]})") from None
    cells = []
    for number, cell in found:
        grading = dict(cell.metadata.get("nbgrader", {}))
        cells.append(Cell(str(grading.get("grade_id") or f"number {number}"), plain_source(cell.source), grading))
    return cells


def plain_source(source: str) -> str:
    """The source of a cell as plain Python: lines that are magics, shell commands or help become `pass`."""
    if source.lstrip().startswith("%%"):
        source = re.sub(r"^\s*%%.*$", "pass", source, count=1, flags=re.MULTILINE)
    if parsed(source) is None:
        source = re.sub(r"^(\s*)([%!].*|\S+\?{1,2}\s*)$", r"\1pass", source, flags=re.MULTILINE)
    return source


def parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def imported_checks(tree: ast.AST) -> dict[str, str]:
    """The modules of checks that a source imports: name there -> full name."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "course_utils.checks":
            found |= {alias.asname or alias.name: f"course_utils.checks.{alias.name}" for alias in node.names}
    return found


def _checks_of(cells: Iterable[Cell]) -> tuple[list[tuple[str, str, str, str]], list[tuple[str, float]]]:
    """The calls of checks, (exercise, module, check, name of the answer), and the exercises with their points."""
    modules: dict[str, str] = {}
    calls, exercises = [], []
    for cell in cells:
        tree = parsed(cell.source) or ast.Module([], [])
        modules |= imported_checks(tree)
        if not cell.is_check:
            continue
        exercise = cell.name.removesuffix("-check")
        exercises.append((exercise, float(cell.grading.get("points") or 0)))
        for node in ast.walk(tree):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id=module), attr=check), args=[ast.Name(id=name)], keywords=[]
                ):
                    if module in modules:
                        calls.append((exercise, modules[module], check, name))
    return calls, exercises


def pieces_of(cells: Sequence[Cell], wanted: set[str]) -> list[tuple[str, str]]:
    """What to run of a notebook, (name of the cell, source) each: solution cells whole, of the others what is needed.

    A statement of another cell is needed if it binds a name of `wanted`, or one that a needed statement or a solution uses.
    """
    needed = set(wanted)
    for cell in cells:
        if cell.is_solution:
            needed |= _used(cell.source) - _brought_along(cell.source)
    others = [
        (cell, statement)
        for cell in cells
        if not (cell.is_solution or cell.is_check)
        for statement in _statements(cell)
    ]
    chosen: set[int] = set()
    grew = True
    while grew:
        grew = False
        for number, (_, (_, _, binds, uses)) in enumerate(others):
            if number not in chosen and (binds & needed or "*" in binds):
                chosen.add(number)
                needed |= uses
                grew = True
    pieces = []
    for cell in cells:
        if cell.is_solution:
            pieces.append((cell.name, cell.source))
            continue
        spans = [others[number][1][:2] for number in sorted(chosen) if others[number][0] is cell]
        if spans:
            lines = cell.source.splitlines()
            kept = [line if any(a <= n <= b for a, b in spans) else "" for n, line in enumerate(lines, 1)]
            pieces.append((cell.name, "\n".join(kept) + "\n"))  # blank lines keep the numbers of the others
    return pieces


def _brought_along(source: str) -> set[str]:
    """The names that a cell imports or defines itself: another cell that binds one of them, a training loop say, is not needed for it."""
    found: set[str] = set()
    for node in (parsed(source) or ast.Module([], [])).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
    return found


def _statements(cell: Cell) -> Iterable[tuple[int, int, set[str], set[str]]]:
    """The statements of a cell: first and last line, names that they bind, names that they use."""
    for node in (parsed(cell.source) or ast.Module([], [])).body:
        start = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
        end = node.end_lineno or start
        binds: set[str] = set()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            binds = {node.name}
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            binds = {alias.asname or alias.name.split(".")[0] for alias in node.names}
        else:
            binds = {
                part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
            }
        yield start, end, binds, _used("\n".join(cell.source.splitlines()[start - 1 : end]))


def _used(source: str) -> set[str]:
    """The global names that a piece of source uses."""
    try:
        tables = [symtable.symtable(source, "cell", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set(re.findall(r"[A-Za-z_]\w*", source))
    used = set()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        at_top = table.get_type() == "module"
        used |= {
            name.get_name() for name in table.get_symbols() if name.is_referenced() and (at_top or name.is_global())
        }
    return used
