"""The official side of a chapter: its questions, their tests and points, read from `solutions/` and never from a submission."""

import ast
import importlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils import runtime
from course_utils.checks.engine import Check
from course_utils.checks.notebook import Cell, imported_checks, parsed, pieces_of
from course_utils.grading.traps import Trap, trap_of
from course_utils.training.sources import digest

SECONDS = 30.0  # for one question, unless its test cell has a tag such as seconds=60
HIDDEN = re.compile(r"^[ \t]*### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS[^\n]*\n?", re.DOTALL | re.MULTILINE)
ANSWER = re.compile(r"^([ \t]*)(?:### |<!-- )BEGIN SOLUTION.*?END SOLUTION[^\n]*", re.DOTALL | re.MULTILINE)
MARK = "NBVAL_CHECK_OUTPUT"


@dataclass(frozen=True)
class Question:
    """One test cell.

    Args:
        name: its grade_id, such as "kl-divergence-check".
        points: that it is worth.
        source: the test, its hidden part included.
        names: of the test that come from the student's notebook: each becomes a proxy.
        setup: official statements that the test needs.
        seconds: that the answer may take, in all.
        hidden: what the hidden part tests, in words.
        traps: the references that must not answer in the student's place.
    """

    name: str
    points: float
    source: str
    names: tuple[str, ...]
    setup: str
    seconds: float
    hidden: tuple[str, ...]
    traps: tuple[Trap, ...]

    @property
    def visible(self) -> str:
        """The test as the student sees it."""
        return HIDDEN.sub("", self.source)


@dataclass(frozen=True)
class Slot:
    """A cell that the student fills: code that defines `defines`, or a text that a person reads."""

    name: str
    is_code: bool
    stub: str
    defines: tuple[str, ...]
    points: float = 0.0
    solution: str = ""


@dataclass(frozen=True)
class Official:
    """One notebook of a chapter.

    Args:
        name: of the file, without its ending.
        content: the solved notebook as nbformat's JSON, without outputs.
        slots: the cells that a student fills, in order.
        questions: its test cells, in order.
        setup: the other code cells, for names that a submission lacks.
    """

    name: str
    content: str
    slots: tuple[Slot, ...]
    questions: tuple[Question, ...]
    setup: tuple[Cell, ...] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """All names that the official stubs define."""
        return tuple(name for slot in self.slots for name in slot.defines)


@dataclass(frozen=True)
class Chapter:
    """A chapter as the grader knows it; `version` changes with any of its tests."""

    name: str
    notebooks: tuple[Official, ...]
    version: str

    @property
    def points(self) -> float:
        """All points of the chapter, those that a person gives included."""
        each = [question.points for book in self.notebooks for question in book.questions]
        return sum(each) + sum(slot.points for book in self.notebooks for slot in book.slots)


def chapter_names(solutions: Path | None = None) -> list[str]:
    """The chapters in `solutions`, in order."""
    folder = solutions or runtime.repository() / "solutions"
    return sorted({path.parent.name for path in folder.glob("[0-9][0-9]_*/*.ipynb")})


def read_chapter(name: str, solutions: Path | None = None) -> Chapter:
    """The chapter `name` of `solutions` (the course's own, unless given).

    Raises:
        ValueError: if an official notebook could not be graded.
    """
    folder = (solutions or runtime.repository() / "solutions") / name
    books = tuple(_read(path) for path in sorted(folder.glob("[0-9]*.ipynb")))
    tests = [(book.content, [(q.setup, q.hidden) for q in book.questions]) for book in books]
    return Chapter(name, books, digest(json.dumps(tests)))


def imported(chapters: Iterable[Chapter]) -> tuple[str, ...]:
    """The modules that answers to the questions import: those of the official notebooks, as far as the solutions need them."""
    found: dict[str, None] = {}
    for book in [book for chapter in chapters for book in chapter.notebooks]:
        solutions = [Cell(slot.name, slot.solution, {"solution": True}) for slot in book.slots if slot.is_code]
        for _, source in pieces_of([*book.setup, *solutions], set(book.names)):
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Import):
                    found |= dict.fromkeys(alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found |= dict.fromkeys([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return tuple(found)


def stub_of(source: str, is_code: bool) -> str:
    """A solution cell as the student gets it from nbgrader."""
    if is_code:
        return ANSWER.sub(r"\1# YOUR CODE HERE\n\1raise NotImplementedError()", source)
    return ANSWER.sub("YOUR ANSWER HERE", source)


def source_of(cell: dict[str, Any]) -> str:
    """The source of a cell as it stands in the file: a text, or a list of lines."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _read(path: Path) -> Official:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    slots, tests, setup = [], [], []
    for number, cell in enumerate(notebook["cells"], 1):
        grading = cell["metadata"].get("nbgrader", {})
        source = "\n".join(line for line in source_of(cell).split("\n") if MARK not in line)
        cell["source"] = source
        is_code = cell["cell_type"] == "code"
        if is_code:
            cell["outputs"], cell["execution_count"] = [], None
        if grading.get("solution"):
            stub = stub_of(source, is_code)
            points = float(grading.get("points") or 0) if grading.get("grade") else 0.0
            defines = defined(stub) if is_code else ()
            slots.append(Slot(grading["grade_id"], is_code, stub, defines, points, source))
        elif grading.get("grade"):
            tests.append(cell)
        elif is_code:
            setup.append(Cell(f"official {number}", source, {}))
    notebook["metadata"].pop("widgets", None)
    try:
        questions = _questions(tests, slots, setup)
    except ValueError as error:
        raise ValueError(f"{path.parent.name}/{path.stem}: {error}") from error
    return Official(path.stem, json.dumps(notebook), tuple(slots), questions, tuple(setup))


def defined(source: str) -> tuple[str, ...]:
    """The functions and classes that a cell defines at its top level."""
    tree = parsed(source)
    if tree is None:
        return tuple(dict.fromkeys(re.findall(r"^(?:def|class)\s+(\w+)", source, re.MULTILINE)))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return tuple(node.name for node in tree.body if isinstance(node, kinds))


def assigned(source: str) -> tuple[str, ...]:
    """The names that a cell gives a value at its top level, functions and classes included."""
    found = list(defined(source))
    for node in (parsed(source) or ast.Module([], [])).body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [target.id for target in targets if isinstance(target, ast.Name)]
    return tuple(dict.fromkeys(found))


def _questions(tests: Sequence[dict[str, Any]], slots: Sequence[Slot], setup: Sequence[Cell]) -> tuple[Question, ...]:
    answers = {name: slot for slot in slots for name in slot.defines}
    # official functions that call a student's: they stay out here, and call its proxy
    helpers = {
        name: used
        for cell in setup
        for name in defined(cell.source)
        if (used := _used_by(cell.source, name) & answers.keys())
    }
    used = {test["metadata"]["nbgrader"]["grade_id"]: _loaded(ast.parse(test["source"])) for test in tests}
    lines = "\n".join(source for _, source in pieces_of(setup, set().union(*used.values()) - answers.keys()))
    questions = []
    for test in tests:
        grading = test["metadata"]["nbgrader"]
        names = used[grading["grade_id"]]
        names = (names & answers.keys()).union(*(helpers[name] for name in names & helpers.keys()))
        solution = "\n".join(dict.fromkeys(answers[name].solution for name in sorted(names)))
        checks = _checks(ast.parse(test["source"]), lines)
        questions.append(
            Question(
                name=grading["grade_id"],
                points=float(grading["points"]),
                source=test["source"],
                names=tuple(sorted(names)),
                setup=lines,
                seconds=_seconds(test["metadata"]),
                hidden=_hidden_words(test["source"], checks),
                traps=tuple(trap_of(module, name, check, names, solution) for module, name, check in checks),
            )
        )
    return tuple(questions)


def _seconds(metadata: dict[str, Any]) -> float:
    """The time limit that the tags of a test cell give.

    Raises:
        ValueError: for a tag that gives none.
    """
    for tag in metadata.get("tags", []):
        if tag.startswith("seconds="):
            try:
                seconds = float(tag.removeprefix("seconds="))
            except ValueError:
                seconds = 0.0
            if not 0 < seconds <= 86_400:
                name = metadata["nbgrader"]["grade_id"]
                raise ValueError(f"the tag {tag!r} of the cell {name} is no time limit, such as seconds=60")
            return seconds
    return SECONDS


def _loaded(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _used_by(source: str, name: str) -> set[str]:
    return set().union(*(_loaded(node) for node in ast.parse(source).body if getattr(node, "name", None) == name))


def _checks(test: ast.Module, setup: str) -> list[tuple[str, str, Check]]:
    """The checks that a test calls: module, name, and the check itself."""
    modules = imported_checks(ast.parse(setup))
    found = {}
    for node in ast.walk(test):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            module = modules[node.value.id]
            check = getattr(importlib.import_module(module), node.attr, None)
            if not isinstance(check, Check):
                raise ValueError(f"the official test calls {node.value.id}.{node.attr}, which is no check of {module}")
            found[module, node.attr] = check
    return [(module, name, check) for (module, name), check in found.items()]


def _hidden_words(source: str, checks: Sequence[tuple[str, str, Check]]) -> tuple[str, ...]:
    """What the hidden part of a test cell tests: the cases of its checks, the messages of its assertions."""
    words: list[str] = []
    for region in HIDDEN.findall(source):
        tree = ast.parse("\n".join(line.strip() for line in region.splitlines()) if parsed(region) is None else region)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                for _, name, check in checks:
                    if name == node.func.attr:
                        words += [case.name for case in check.cases + check.hidden_cases]
            elif isinstance(node, ast.Assert):
                said = node.msg.value if isinstance(node.msg, ast.Constant) else "a further case"
                words.append(str(said))
    return tuple(dict.fromkeys(words))
