"""What a notebook holds, read without trust: its cells, and which cell answers which question."""

import functools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils.checks.notebook import Cell, plain_source
from course_utils.grading.files import Refused
from course_utils.grading.official import Chapter, Official, Slot, assigned, source_of

TEXT_LIMIT = 2**20  # characters of all its cells
CELL_LIMIT = 100_000  # characters of one cell
CELLS = 600


@dataclass(frozen=True)
class Found:
    """One cell of a submission."""

    kind: str
    source: str
    name: str = ""  # its grade_id
    is_solution: bool = False


@dataclass
class Extract:
    """The part of one notebook that counts.

    Args:
        sources: what stands in each official slot, by name; a slot whose cell was not found is missing.
        cells: the student's code cells as the checks take them, the solutions among them marked.
        rest: cells that belong to no slot, for the person who reads the submission.
        notes: whatever was moved, retyped, duplicated or missing, in a sentence each.
    """

    sources: dict[str, str] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    rest: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_notebook(content: bytes) -> list[Found]:
    """The cells of a notebook.

    Raises:
        Refused: if it is no notebook, or too much of one.
    """
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
        if notebook.get("nbformat") != 4:
            raise Refused("it is no notebook of format 4: open it in JupyterLab, save it, and hand it in again")
        cells = [_found(cell) for cell in notebook["cells"]]
    except Refused:
        raise
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, MemoryError) as error:
        raise Refused(f"it is no readable notebook ({type(error).__name__}: {str(error)[:80]})") from None
    if len(cells) > CELLS or sum(len(cell.source) for cell in cells) > TEXT_LIMIT:
        raise Refused(f"it has more than {CELLS} cells, or cells of more than {TEXT_LIMIT:,} characters together")
    return cells


def _found(cell: dict[str, Any]) -> Found:
    source = source_of(cell)
    if len(source) > CELL_LIMIT:
        raise Refused(f"a cell has more than {CELL_LIMIT:,} characters")
    source = source.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    metadata = cell.get("metadata", {})
    grading = metadata.get("nbgrader", {}) if isinstance(metadata, dict) else {}
    grading = grading if isinstance(grading, dict) else {}
    name = grading.get("grade_id", "")
    return Found(str(cell["cell_type"]), source, name if isinstance(name, str) else "", bool(grading.get("solution")))


def match_files(chapter: Chapter, files: dict[str, bytes]) -> tuple[dict[str, tuple[str, list[Found]]], list[str]]:
    """Which file is which official notebook: by its name, else by what it holds.

    Returns:
        name of the official notebook -> (file, its cells); and notes.
    """
    notes, read = [], {}
    for name, content in files.items():
        try:
            read[name] = read_notebook(content)
        except Refused as error:
            notes.append(f"{name}: {error}")
    matched: dict[str, tuple[str, list[Found]]] = {}
    scores = sorted(
        ((likeness(book, name, cells), book.name, name) for book in chapter.notebooks for name, cells in read.items()),
        key=lambda entry: (-entry[0], entry[1], entry[2]),
    )
    taken: set[str] = set()
    for alike, book, name in scores:
        if alike and book not in matched and name not in taken:
            matched[book] = (name, read[name])
            taken.add(name)
            if Path(name).stem != book:
                notes.append(f"{name} was taken for {book}.ipynb, whose cells it holds")
    notes += [f"{name} was not used: another file is nearer to its notebook" for name in read if name not in taken]
    return matched, notes


def likeness(book: Official, name: str, cells: Sequence[Found]) -> int:
    """How much of an official notebook a file holds; 0 if it is another notebook."""
    ids = {slot.name for slot in book.slots} | {question.name for question in book.questions}
    here = {cell.name for cell in cells} - {""}
    # a single name may belong to two notebooks; a file that begins with nothing of this one does not either
    same = len(ids & here) + sum(
        f"def {name}" in cell.source or f"class {name}" in cell.source for name in book.names for cell in cells
    )
    if Path(name).stem == book.name:
        return same + (1_000 if "/" not in name else 500)
    return same if same >= min(3, len(ids)) else 0


def extract(book: Official, cells: Sequence[Found]) -> Extract:
    """Find each official slot among `cells`, by its grade_id, else by the name that its stub defines."""
    found = Extract()
    used: set[int] = set()
    solutions: set[int] = set()
    names = functools.cache(lambda index: set(assigned(plain_source(cells[index].source))))
    for slot in book.slots:
        index = _find(slot, cells, used, found.notes, names)
        if index is None:
            found.notes.append(f"the cell {slot.name} is missing: nothing defines {' or '.join(slot.defines)}"
                               if slot.is_code else f"the cell {slot.name} is missing")  # fmt: skip
            continue
        used.add(index)
        found.sources[slot.name] = cells[index].source
        if slot.is_code:
            solutions.add(index)
    _order(book, cells, found)
    tests = {question.name for question in book.questions}
    copies = {slot.name for slot in book.slots if slot.is_code}
    for number, cell in enumerate(cells):
        if number in solutions:
            found.cells.append(Cell(cell.name or f"number {number + 1}", plain_source(cell.source), {"solution": True}))
        elif cell.kind == "code" and cell.name not in tests | copies:
            found.cells.append(Cell(f"number {number + 1}", plain_source(cell.source), {}))
        if number not in used and cell.name not in tests:
            found.rest.append(cell)
    found.notes += _test_notes(book, cells)
    return found


def _find(
    slot: Slot, cells: Sequence[Found], used: set[int], notes: list[str], names: Callable[[int], set[str]]
) -> int | None:
    """Where the answer to a slot stands; `names` gives what a cell defines, by its place."""
    named = [i for i, cell in enumerate(cells) if cell.name == slot.name and i not in used]
    if not slot.is_code:
        if len(named) > 1:
            notes.append(
                f"the cell {slot.name} is there {len(named)} times: the last that differs from the question counts"
            )
            named = [i for i in named if cells[i].source.strip() != slot.stub.strip()] or named
        return named[-1] if named else None
    # prose may quote code
    code = [i for i, cell in enumerate(cells) if i not in used and (cell.kind != "markdown" or cell.name == slot.name)]
    defining = [i for i in code if slot.defines and names(i).issuperset(slot.defines)]
    written = [i for i in defining if not unwritten(slot, cells[i].source)]
    own = [i for i in written if i in named]
    if len(named) > 1:
        notes.append(f"the cell {slot.name} is there {len(named)} times: the last that is written counts")
    index = next((candidates[-1] for candidates in (own, written, defining, named) if candidates), None)
    if index is not None and cells[index].kind != "code":
        notes.append(f"the cell {slot.name} is of type {cells[index].kind[:20]} now: it was read as code")
    if index is not None and index not in named:
        notes.append(f"{' and '.join(slot.defines)} was found in another cell than {slot.name}")
    return index


def unwritten(slot: Slot, source: str) -> bool:
    """Whether the source of a slot's cell is still the question."""
    stub = slot.is_code and "YOUR CODE HERE" in source and "raise NotImplementedError" in source
    return stub or re.sub(r"\s", "", source) == re.sub(r"\s", "", slot.stub)


def _order(book: Official, cells: Sequence[Found], found: Extract) -> None:
    order = [cell.name for cell in cells]
    places = [order.index(slot.name) for slot in book.slots if slot.name in order]
    if places != sorted(places):
        found.notes.append("the cells stand in another order than in the notebook: it makes no difference")


def _test_notes(book: Official, cells: Sequence[Found]) -> list[str]:
    notes = []
    for question in book.questions:
        copies = [cell for cell in cells if cell.name == question.name]
        said = f"the test cell {question.name} "
        if not copies:
            notes.append(f"{said}was deleted: the official one was used")
        elif len(copies) > 1:
            notes.append(f"{said}is there {len(copies)} times: the official one was used")
        elif copies[0].kind != "code" or copies[0].is_solution:
            notes.append(f"{said}was turned into something else: the official one was used")
        elif re.sub(r"\s", "", copies[0].source) != re.sub(r"\s", "", question.visible):
            notes.append(f"{said}was edited: the official one was used")
    return notes
