"""Hints at answers that were copied: equal once names, comments and formatting are taken away."""

import ast
import collections
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from course_utils.checks.notebook import plain_source
from course_utils.grading.official import Chapter, Official
from course_utils.training.sources import digest

OURS = "(the course's own solution)"
SMALLEST = 12  # nodes of a syntax tree: what is smaller is the same with everybody


def prints(book: Official, sources: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """A fingerprint of each written answer and its size, by notebook and cell."""
    found = {}
    for slot in book.slots:
        source = sources.get(slot.name)
        if slot.is_code and source is not None:
            own, stub = normal(source), normal(slot.stub)
            if own is not None and own != stub:
                found[f"{book.name}/{slot.name}"] = (digest(own), own.count("("))
    return found


def prints_of_files(files: Mapping[str, bytes]) -> dict[str, tuple[str, int]]:
    """The same of a student's own modules, by their names."""
    found = {}
    for name, content in files.items():
        own = normal(content.decode("utf-8", "replace")) if name.endswith(".py") else None
        if own is not None:
            found[name] = (digest(own), own.count("("))
    return found


def solution_prints(chapter: Chapter) -> dict[str, tuple[str, int]]:
    """The fingerprints of the course's own answers."""
    found = {}
    for book in chapter.notebooks:
        found |= prints(book, {slot.name: slot.solution for slot in book.slots})
    return found


def normal(source: str) -> str | None:
    """A source with names in order of their first use, without docstrings, annotations, comments and layout; None if it is no Python."""
    try:
        tree = ast.parse(plain_source(source))
        return ast.dump(_Renamed().visit(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class _Renamed(ast.NodeTransformer):
    """Renames variables and arguments; what belongs to torch or to an object keeps its name."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def _name(self, name: str) -> str:
        return self.names.setdefault(name, f"n{len(self.names)}")

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._name(node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(self._name(node.arg))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        return self.visit(ast.Assign([node.target], node.value)) if node.value else None

    def _definition(self, node: Any) -> Any:
        node.name = self._name(node.name)
        node.returns = None
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _definition


def pairs(everybody: Mapping[str, Mapping[str, tuple[str, int]]]) -> list[dict[str, Any]]:
    """Pairs with equal answers, the most telling first.

    An answer tells the more the larger it is and the fewer have it: its size is divided by the number of others who share it.

    Args:
        everybody: fingerprints by student.
    """
    groups: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    sizes = {}
    for student, own in everybody.items():
        for cell, (print_of, size) in own.items():
            if size >= SMALLEST:
                groups[cell, print_of].append(student)
                sizes[cell, print_of] = size
    shared: dict[tuple[str, str], list[tuple[str, float]]] = collections.defaultdict(list)
    for (cell, print_of), students in groups.items():
        weight = sizes[cell, print_of] / max(1, len(students) - 1)
        for pair in itertools.combinations(sorted(students), 2):
            shared[pair].append((cell, weight))
    rows = [_row(pair, cells, everybody) for pair, cells in shared.items()]
    return sorted(rows, key=lambda row: -row["weight"])


def _row(pair: tuple[str, str], cells: Iterable[tuple[str, float]], everybody: Mapping[str, Mapping]) -> dict[str, Any]:
    cells = list(cells)
    both = everybody[pair[0]].keys() & everybody[pair[1]].keys()
    return {
        "first": pair[0],
        "second": pair[1],
        "equal": len(cells),
        "of": len(both),
        "weight": round(sum(weight for _, weight in cells), 1),
        "answers": ", ".join(sorted(cell for cell, _ in cells)),
    }
