"""`course submit`: what is missing in a student's notebooks, and these packed as `course collect` takes them."""

import io
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course_utils import runtime
from course_utils.cli import output
from course_utils.cli.names import Failure, UsageError, nearest

UNWRITTEN = "not written yet"


def submit(chapters: tuple[str, ...], out: Path, root: Path | None = None) -> int:
    """The sub-command. What is missing is said, and does not keep the rest from being packed.

    Raises:
        UsageError: for an unknown chapter, or an `out` that is a folder.
        Failure: if there is nothing to hand in, or a notebook that could not be graded; nothing is packed then.
    """
    root = root or runtime.repository()
    if out.is_dir():
        raise UsageError(f"{out} is a folder; --out names the file to write, such as submission.zip")
    known = sorted({path.parent.name for path in (root / "notebooks").glob("[0-9][0-9]_*/*.ipynb")})
    wanted = [nearest(name, known, "chapter") for name in chapters] or known
    rows: list[dict[str, Any]] = []
    packed: dict[str, bytes] = {}
    refused: list[str] = []
    for chapter in wanted:
        content, found, problems = look_through(root / "work" / chapter, root / "notebooks" / chapter)
        begun = any(row["cell"] and row["missing"] != UNWRITTEN for row in found)
        if not (begun or problems or chapters):
            continue
        refused += problems
        rows += [row for row in found if row["missing"]]
        packed |= {f"{chapter}/{name}": file for name, file in content.items()}
    if refused:
        raise Failure("nothing was packed:\n  " + "\n  ".join(refused))
    if not packed:
        raise Failure(
            f"there is nothing to hand in: no exercise in {root / 'work'} is written yet"
            if not chapters
            else f"there is no notebook of {', '.join(wanted)} in {root / 'work'}: `make lab` copies them there"
        )
    _write(out, packed)
    output.show(rows, "Missing", empty="nothing; every exercise is written and its check holds")
    notebooks = sum(name.endswith(".ipynb") for name in packed)
    print(
        f"{notebooks} notebooks and {len(packed) - notebooks} other files of "
        f"{', '.join(dict.fromkeys(name.split('/')[0] for name in packed))}, packed into {out.resolve()}: hand in this file"
    )
    return 0


def look_through(own: Path, released: Path) -> tuple[dict[str, bytes], list[dict[str, Any]], list[str]]:
    """A chapter of a student's beside the chapter as it was handed out.

    Returns:
        the files to hand in, by name; a row for each exercise and question, `missing` empty where it is done; what could not be graded.
    """
    from course_utils.checks import run_notebook_checks
    from course_utils.grading import files
    from course_utils.grading.extract import extract, read_notebook, unwritten

    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    found = files.read_files(own) if own.is_dir() else files.Files({}, {}, [])
    handed_out = {path.relative_to(released).as_posix() for path in released.rglob("*") if path.is_file()}
    content = {name: file for name, file in found.beside.items() if name not in handed_out}
    for path in sorted(released.glob("*.ipynb")):
        notebook = f"{released.name}/{path.stem}"
        if path.name not in found.notebooks:
            reasons = [note for note in found.notes if note.startswith(f"{path.name}:")]
            problems += [f"{own / path.name}{reason.removeprefix(path.name)}" for reason in reasons]
            rows.append({"notebook": notebook, "cell": "", "missing": "the notebook is not in work/"})
            continue
        content[path.name] = found.notebooks[path.name]
        try:
            cells = read_notebook(content[path.name])
        except files.Refused as error:
            problems.append(f"{own / path.name}: {error}")
            continue
        book = as_handed_out(path)
        sources = extract(book, cells).sources
        written = {slot.name for slot in book.slots if not unwritten(slot, sources.get(slot.name, slot.stub))}
        held = {}
        if any(slot.is_code and slot.name in written for slot in book.slots):
            held = {result.exercise: result for result in run_notebook_checks(own / path.name)}
        for slot in book.slots:
            missing = ""
            if slot.name not in sources:
                missing = "its cell was deleted: `course reset` gives a fresh copy, and keeps yours"
            elif slot.name not in written:
                missing = UNWRITTEN
            elif slot.name in held and held[slot.name].held is False:
                missing = f"its check does not hold: {held[slot.name].message.splitlines()[0]}"
            rows.append({"notebook": notebook, "cell": slot.name, "missing": missing})
    rows += [{"notebook": own.name, "cell": "", "missing": note} for note in found.notes if ".ipynb" not in note]
    return content, rows, problems


def as_handed_out(path: Path) -> Any:
    """A released notebook as an `Official`: the cells that a student fills. Its tests need `solutions/`, which a student lacks."""
    import json

    from course_utils.grading.official import Official, Slot, defined, source_of

    slots = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        grading = cell["metadata"].get("nbgrader", {})
        if grading.get("solution"):
            source, is_code = source_of(cell), cell["cell_type"] == "code"
            slots.append(Slot(grading["grade_id"], is_code, source, defined(source) if is_code else ()))
    return Official(path.stem, "", tuple(slots), (), ())


def _write(out: Path, content: Mapping[str, bytes]) -> None:
    """The archive, whole or not at all. Its files bear the time of now: `course collect` reads from it when they were handed in."""
    from course_utils.training.checkpoints import write_atomically

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in content.items():
            file.writestr(zipfile.ZipInfo(name, time.localtime()[:6]), data, zipfile.ZIP_DEFLATED)
    write_atomically(out, archive.getvalue())
