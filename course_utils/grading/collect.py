"""Sort a folder of downloads from a learning platform into `STUDENT/CHAPTER/NOTEBOOK.ipynb`.

Who handed a file in is read from its place: a folder for each student (Moodle's `Name_123_assignsubmission_file`, or just a
name), or names of files that begin with the student's (Canvas' `lovelaceada_4711_815_02_vae-2.ipynb`). Archives are opened. What chapter it
belongs to is read from the notebook itself.
"""

import io
import os
import re
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils.grading.extract import FILE_LIMIT, Refused, likeness, read_file, read_notebook
from course_utils.grading.official import Chapter
from course_utils.training.checkpoints import write_atomically

MOODLE = re.compile(r"(?P<student>.+?)_\d+_(assignsubmission_\w+?_?|onlinetext_?)")
CANVAS = re.compile(r"(?P<student>[^_]+)(_LATE|_late)?_\d+_\d+_(?P<file>.+)")
AGAIN = re.compile(r"(?P<stem>.+?)[ _-]*(\((?P<a>\d+)\)|-(?P<b>\d+))")
FILES = 1_000  # in one archive


@dataclass
class Report:
    """What was sorted where, and what was not, and why."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Piece:
    """A notebook that was handed in: by whom, under which name, when."""

    student: str
    name: str
    content: bytes
    when: float


def collect(downloads: Path, target: Path, chapters: dict[str, Chapter], force: bool = False) -> Report:
    """Copy the notebooks below `downloads` into `target`. Of two attempts the later one counts.

    Args:
        force: replace what a student handed in before.
    """
    report = Report()
    chosen: dict[tuple[str, str, str], _Piece] = {}
    for piece in _pieces(downloads, report.notes):
        place = _place(piece, chapters)
        if place is None:
            report.notes.append(f"{piece.student}: {piece.name} belongs to no chapter, or is no notebook: left out")
            continue
        key = (piece.student, *place)
        other = chosen.get(key)
        if other is not None:
            report.notes.append(f"{piece.student} handed in {place[1]} more than once: the latest counts")
        if other is None or (piece.when, piece.name) >= (other.when, other.name):
            chosen[key] = piece
    folders: dict[tuple[str, str], dict[str, _Piece]] = {}
    for (student, chapter, name), piece in chosen.items():
        folders.setdefault((student, chapter), {})[name] = piece
    for (student, chapter), pieces in sorted(folders.items()):
        _store(target / student / chapter, student, chapter, pieces, force, report)
    return report


def _store(folder: Path, student: str, chapter: str, pieces: dict[str, _Piece], force: bool, report: Report) -> None:
    different = [
        name
        for name, piece in pieces.items()
        if (path := folder / f"{name}.ipynb").exists() and path.read_bytes() != piece.content
    ]
    if different and not force:
        report.notes.append(
            f"{student}/{chapter} is there already and differs ({', '.join(different)}): --force replaces it"
        )
        return
    for name, piece in pieces.items():
        write_atomically(folder / f"{name}.ipynb", piece.content)
    when = max(piece.when for piece in pieces.values())
    stamp = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(when))
    (folder / "timestamp.txt").write_text(stamp, encoding="utf-8")
    report.rows.append({"student": student, "chapter": chapter, "notebooks": len(pieces), "handed in": stamp})


def _place(piece: _Piece, chapters: dict[str, Chapter]) -> tuple[str, str] | None:
    """Chapter and notebook that a file belongs to."""
    try:
        cells = read_notebook(piece.content)
    except Refused:
        cells = []  # what cannot be read is named where it is graded; only its name tells what it is
    scores = {
        (chapter.name, book.name): likeness(book, piece.name, cells)
        for chapter in chapters.values()
        for book in chapter.notebooks
    }
    best = max(scores, key=lambda place: scores[place])
    return best if scores[best] else None


def _pieces(downloads: Path, notes: list[str]) -> Iterator[_Piece]:
    for place, folders, names in os.walk(downloads, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            relative = path.relative_to(downloads)
            if path.suffix.lower() not in (".ipynb", ".zip") or name.startswith("."):
                continue
            try:
                content = read_file(path)
                when = path.stat().st_mtime
                found = [(relative, content, when)] if path.suffix.lower() == ".ipynb" else _opened(relative, content)
                for inner, text, time_of in found:
                    student, shown = _who(inner)
                    if student:
                        yield _Piece(student, shown, text, time_of)
                    else:
                        notes.append(f"{inner}: nothing says whose it is: put it into a folder with the student's name")
            except (Refused, OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError) as error:
                notes.append(f"{relative}: {error}")


def _opened(relative: Path, content: bytes) -> list[tuple[Path, bytes, float]]:
    """The notebooks in an archive. Nothing is unpacked to disk, so no name in it can lead anywhere."""
    found = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if len(entries) > FILES:
            raise Refused(f"an archive of {len(entries)} files: more than {FILES}")
        for entry in entries:
            inner = Path(*[part for part in Path(entry.filename).parts if part not in ("..", "/")])
            if inner.suffix.lower() != ".ipynb" or inner.name.startswith(".") or "__MACOSX" in inner.parts:
                continue
            with archive.open(entry) as file:
                text = file.read(FILE_LIMIT + 1)
            if len(text) > FILE_LIMIT or sum(len(t) for _, t, _ in found) > 4 * FILE_LIMIT:
                raise Refused("an archive with too large notebooks")
            when = time.mktime((*entry.date_time, 0, 0, -1))
            # an archive of one student, or of the whole class
            root = relative.parent / relative.stem if len(relative.parts) == 1 else relative.parent
            found.append((inner if len(inner.parts) > 1 and len(relative.parts) == 1 else root / inner, text, when))
    return found


def _who(path: Path) -> tuple[str, str]:
    """The student and the name of the notebook, from the place of a file."""
    stem = _without_attempt(path.stem)
    if match := CANVAS.fullmatch(stem):
        return _clean(match["student"]), f"{match['file']}.ipynb"
    if len(path.parts) > 1:
        first = path.parts[0]
        match = MOODLE.fullmatch(first)
        return _clean(match["student"] if match else first), f"{stem}.ipynb"
    return "", f"{stem}.ipynb"


def _without_attempt(stem: str) -> str:
    match = AGAIN.fullmatch(stem)
    return match["stem"] if match else stem


def _clean(name: str) -> str:
    """A name that may stand for a folder."""
    return re.sub(r"[^\w.@+-]+", "-", name).strip("-.")[:80]
