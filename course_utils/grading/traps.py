"""Where the course holds the answer to an exercise, and how it is kept from answering in a student's place.

The student's code may import the whole course, so the sandbox gets a copy of `course_utils` in which the modules that
hold references are missing. Their source comes to the sandbox's process through a pipe, is run there before any student
code, and is forgotten. For each question the references of its check become traps, while those of other exercises
stay: "Stuck? Take the reference and go on" holds in grading too.
"""

import ast
import importlib
import inspect
import shutil
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import course_utils
from course_utils.checks.engine import Check

CHECKS = "course_utils.checks."
LEFT_OUT = ("cli", "grading", "__pycache__")


@dataclass(frozen=True)
class Trap:
    """The check of a question, and the functions and classes of the course that answer it.

    Args:
        module, name: of the check.
        functions: (module, qualified name) each.
    """

    module: str
    name: str
    functions: tuple[tuple[str, str], ...]


def trap_of(module: str, name: str, check: Check, answers: Iterable[str], solution: str) -> Trap:
    """The trap for the check `name` of `module`.

    The reference may stand in the module of the check and hand on to others. Those count as the answer too, but for what the
    official `solution` itself calls, and for the answers to other exercises. So do functions of the chapter's package that bear the
    name of the answer.

    Args:
        answers: names of the functions and classes that the exercise asks for.
        solution: source of the official answer.
    """
    called = _called(solution)
    others = {id(c.reference) for c in vars(importlib.import_module(module)).values() if isinstance(c, Check)}
    found = {}
    todo: list[Any] = [check.reference]
    while todo:
        function = todo.pop()
        where = getattr(function, "__module__", "") or ""
        key = (where, getattr(function, "__qualname__", ""))
        if key in found or not where.startswith("course_utils.") or where.startswith("course_utils.layers"):
            continue
        found[key] = function
        if where.startswith(CHECKS):
            todo += [used for used in _uses(function) if used.__name__ not in called and id(used) not in others]
    package = f"course_utils.{module.removeprefix(CHECKS).split('.')[0]}."
    for space in [vars(m) for key, m in list(sys.modules.items()) if key.startswith(package)]:
        for function in (space[answer] for answer in answers if answer in space):
            if getattr(function, "__module__", "").startswith(package) and id(function) not in others:
                found[function.__module__, function.__qualname__] = function
    own = [key for key in found if "<" not in key[1]]  # a function made by a function is reached through the check
    return Trap(module, name, tuple(sorted(own)))


def _called(source: str) -> set[str]:
    """The last names of what a source calls: "mean" of `torch.mean(x)`."""
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {getattr(call, "attr", getattr(call, "id", "")) for call in calls}


def _uses(function: Any) -> Iterator[Callable[..., Any]]:
    """The functions and classes that the code of `function` names."""
    for code in code_of(function):
        names = {name for part in parts(code) for name in part.co_names}
        scope = _globals(function)
        spaces = [scope, *(vars(scope[name]) for name in names if isinstance(scope.get(name), types.ModuleType))]
        spaces.append(dict(_captured(function)))
        for space in spaces:
            for name in names | set(spaces[-1]):
                if isinstance(space.get(name), (types.FunctionType, type)):
                    yield space[name]


def code_of(function: Any) -> list[types.CodeType]:
    """The code objects of a function, or of a class's methods."""
    if isinstance(function, type):
        return [member.__code__ for member in vars(function).values() if isinstance(member, types.FunctionType)]
    return [function.__code__] if isinstance(function, types.FunctionType) else []


def parts(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code object and those within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from parts(constant)


def _globals(function: Any) -> dict[str, Any]:
    if isinstance(function, type):
        return vars(inspect.getmodule(function))
    return getattr(function, "__globals__", {})


def _captured(function: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(function, types.FunctionType) and function.__closure__:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
            yield name, cell.cell_contents


@dataclass(frozen=True)
class Library:
    """The course as the sandbox sees it.

    Args:
        folder: holds the copy of `course_utils` with its gaps.
        sources: what fills the gaps: source by the name of the module; a package where the name ends in ".__init__".
        checks: modules of checks, whose known mistakes are taken away.
    """

    folder: Path
    sources: dict[str, str]
    checks: tuple[str, ...]


def make_library(folder: Path, traps: Sequence[Trap]) -> Library:
    """Write the sandbox's copy of the course into `folder`, with gaps for `traps`."""
    package = Path(course_utils.__file__).resolve().parent
    copy = folder / "course_utils"
    if not copy.exists():
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
        (copy / "grading").mkdir()
        for name in ("__init__.py", "inside.py", "fence.py"):
            shutil.copy(package / "grading" / name, copy / "grading")
    hidden = {module for trap in traps for module, _ in trap.functions}
    checks = {trap.module for trap in traps}
    for path in (package / "checks").rglob("*.py"):
        name = ".".join(("course_utils", *path.relative_to(package).with_suffix("").parts))
        if any(name == module or name.startswith(f"{module}.") for module in checks):
            hidden.add(name.removesuffix(".__init__"))
    sources = {}
    for module in sorted(hidden):
        path = package.joinpath(*module.split(".")[1:])
        file, key = (path / "__init__.py", f"{module}.__init__") if path.is_dir() else (path.with_suffix(".py"), module)
        sources[key] = file.read_text(encoding="utf-8")
        copy.joinpath(file.relative_to(package)).unlink(missing_ok=True)
    return Library(folder, sources, tuple(sorted(m for m in hidden if m.startswith(CHECKS))))
