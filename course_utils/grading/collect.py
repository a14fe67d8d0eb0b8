"""Sort a folder of downloads from a learning platform into `STUDENT/CHAPTER/NOTEBOOK.ipynb`.

Who handed a file in is read from its place: a folder for each student (Moodle's `Name_123_assignsubmission_file`, or just a
name), or names of files that begin with the student's (Canvas' `lovelaceada_4711_815_02_vae-2.ipynb`). Archives are opened, a
student's own within that of the class too. What chapter a notebook belongs to is read from the notebook itself; other files
go with the notebooks beside which, or above which in the tree, they lie.
"""

import io
import os
import re
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from course_utils.grading import files
from course_utils.grading.extract import likeness, read_notebook
from course_utils.grading.files import BESIDE_LIMIT, FILE_LIMIT, Refused, printable
from course_utils.grading.official import Chapter
from course_utils.training.checkpoints import CheckpointError, write_atomically

MOODLE = re.compile(r"(?P<student>.+?)_(?P<number>\d+)_(assignsubmission_\w+?_?|onlinetext_?)")
CANVAS = re.compile(r"(?P<student>[^_]+)(_LATE|_late)?_(?P<number>\d+)_\d+_(?P<file>.+)")
AGAIN = re.compile(r"(?P<stem>.+?)[ _-]*(\((?P<a>\d+)\)|-(?P<b>\d+))")
FILES = 1_000  # in the archive of one student
FILES_OF_ALL = 50_000  # in the archive of a class
BROKEN = (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError, EOFError)


@dataclass
class Report:
    """What was sorted where; `kept` counts what was there already and differs, `notes` say what was not sorted, and why."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kept: int = 0


@dataclass(frozen=True)
class _Piece:
    """A file that was handed in: by whom, in which folder of theirs, under which name, when.

    Args:
        number: of the student on the platform, where the place of the file tells it: two may bear one name.
    """

    student: str
    number: str
    folder: PurePosixPath
    name: str
    content: bytes
    when: float


Key = tuple[str, str, str]  # student, chapter, path in the chapter's folder


def collect(downloads: Path, target: Path, chapters: dict[str, Chapter], force: bool = False) -> Report:
    """Copy what was handed in below `downloads` into `target`. Of two attempts the later one counts.

    Args:
        force: replace what a student handed in before.
    """
    report = Report()
    notebooks, others = [], []
    for piece in _pieces(downloads, report.notes):
        if not piece.name.lower().endswith(".ipynb"):
            others.append(piece)
        elif (place := _place(piece, chapters)) is not None:
            notebooks.append((piece, place))
        else:
            report.notes.append(
                f"{piece.student}: {printable(piece.name)} belongs to no chapter, or is no notebook: left out"
            )
    names = _tell_apart(notebooks, report.notes)
    chosen: dict[Key, _Piece] = {}
    homes: dict[tuple[str, str], dict[PurePosixPath, set[str]]] = defaultdict(lambda: defaultdict(set))
    for piece, (chapter, book) in notebooks:
        student = names[piece.student, piece.number]
        homes[piece.student, piece.number][piece.folder].add(chapter)
        _choose(chosen, (student, chapter, f"{book}.ipynb"), piece, report.notes)
    baskets: dict[tuple[str, str], files.Beside] = {}
    for piece in sorted(others, key=lambda piece: (piece.when, piece.name)):
        own = homes.get((piece.student, piece.number), {})
        home = next((place for place in (piece.folder, *piece.folder.parents) if place in own), None)
        if home is None:
            report.notes.append(f"{piece.student}: {printable(piece.name)} lies beside no notebook: left out")
            continue
        name = (piece.folder / piece.name).relative_to(home).as_posix()
        student = names[piece.student, piece.number]
        for chapter in sorted(own[home]) if name != files.STAMP else ():
            basket = baskets.setdefault((student, chapter), files.Beside({}, report.notes, f"{student}/{chapter}: "))
            basket.add(name, piece.content)
            if basket.files.get(name) is piece.content:
                chosen[student, chapter, name] = piece
    folders: dict[tuple[str, str], dict[str, _Piece]] = defaultdict(dict)
    for (student, chapter, name), piece in chosen.items():
        folders[student, chapter][name] = piece
    for (student, chapter), pieces in sorted(folders.items()):
        try:
            _store(target / student / chapter, student, chapter, pieces, force, report)
        except (CheckpointError, OSError) as error:
            report.notes.append(f"{student}/{chapter} could not be written: {error}")
    return report


def _choose(chosen: dict[Key, _Piece], key: Key, piece: _Piece, notes: list[str]) -> None:
    other = chosen.get(key)
    if other is not None:
        notes.append(f"{key[0]} handed in {key[2].removesuffix('.ipynb')} more than once: the latest counts")
    if other is None or (piece.when, piece.name) >= (other.when, other.name):
        chosen[key] = piece


def _tell_apart(notebooks: list[tuple[_Piece, tuple[str, str]]], notes: list[str]) -> dict[tuple[str, str], str]:
    """A folder's name for each student: with the platform's number where two of one name handed in the same notebook."""
    numbers: dict[tuple[str, tuple[str, str]], set[str]] = defaultdict(set)
    for piece, place in notebooks:
        numbers[piece.student, place].add(piece.number)
    shared = {student for (student, _), found in numbers.items() if len(found) > 1}
    for student in sorted(shared):
        notes.append(f"there are several of the name {student}: they were told apart by the platform's numbers")
    return {
        (piece.student, piece.number): f"{piece.student}-{piece.number}"
        if piece.student in shared and piece.number
        else piece.student
        for piece, _ in notebooks
    }


def _store(folder: Path, student: str, chapter: str, pieces: dict[str, _Piece], force: bool, report: Report) -> None:
    different = [
        name
        for name, piece in pieces.items()
        if (path := folder / name).exists() and (not path.is_file() or path.read_bytes() != piece.content)
    ]
    if different and not force:
        report.kept += 1
        report.notes.append(
            f"{student}/{chapter} is there already and differs ({', '.join(different)}): --force replaces it"
        )
        return
    for name, piece in pieces.items():
        write_atomically(folder / name, piece.content)
    when = max(piece.when for piece in pieces.values())
    stamp = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(when))
    write_atomically(folder / files.STAMP, stamp)
    notebooks = sum(name.endswith(".ipynb") for name in pieces)
    row = {"student": student, "chapter": chapter, "notebooks": notebooks, "other files": len(pieces) - notebooks}
    report.rows.append(row | {"handed in": stamp})


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
    def unreadable(error: OSError) -> None:
        notes.append(f"{printable(str(error.filename))} cannot be read: {error.strerror}")

    for place, folders, names in os.walk(downloads, onerror=unreadable, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            path = Path(place, name)
            relative = PurePosixPath(path.relative_to(downloads).as_posix())
            try:
                yield from _files_of(path, relative, notes)
            except (Refused, *BROKEN) as error:
                notes.append(f"{printable(str(relative))}: {error}")


def _files_of(path: Path, relative: PurePosixPath, notes: list[str]) -> Iterator[_Piece]:
    """What one download holds: itself, or what is in it."""
    with files.open_file(path) as file:
        when = os.fstat(file.fileno()).st_mtime
    if path.suffix.lower() != ".zip":
        limit = FILE_LIMIT if path.suffix.lower() == ".ipynb" else BESIDE_LIMIT
        yield from _owned(relative, files.read_file(path, limit), when, notes)
        return
    of_class = len(relative.parts) == 1 and CANVAS.fullmatch(relative.stem) is None
    with files.open_file(path) as file, zipfile.ZipFile(file) as archive:
        for inner, content, time_of in _opened(archive, FILES_OF_ALL if of_class else FILES, notes):
            place = _place_in(relative, inner)
            if of_class and inner.suffix.lower() == ".zip":
                try:
                    yield from _nested(place, content, notes)
                except (Refused, *BROKEN) as error:
                    notes.append(f"{printable(str(place))}: {error}")
            elif inner.suffix.lower() != ".zip":
                yield from _owned(place, content, time_of, notes)


def _nested(place: PurePosixPath, content: bytes, notes: list[str]) -> Iterator[_Piece]:
    """The files in a student's own archive, which came in that of the class."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for inner, text, when in _opened(archive, FILES, notes):
            if inner.suffix.lower() != ".zip":
                yield from _owned(_place_in(place, inner), text, when, notes)


def _place_in(archive: PurePosixPath, inner: PurePosixPath) -> PurePosixPath:
    """Where a file of an archive would lie: in one folder with the archive, or, of a class, in the folder of a student."""
    if len(archive.parts) > 1:
        return archive.parent / inner
    if CANVAS.fullmatch(archive.stem):  # lovelaceada_4711_815_work.zip
        return PurePosixPath(f"{_without_attempt(archive.stem)}.zip") / inner
    if CANVAS.fullmatch(inner.stem) and len(inner.parts) == 1 or len(inner.parts) > 1:
        return inner
    return PurePosixPath(archive.stem) / inner  # one student's, named after them


def _opened(archive: zipfile.ZipFile, most: int, notes: list[str]) -> Iterator[tuple[PurePosixPath, bytes, float]]:
    """The files in an archive. Nothing is unpacked to disk, so no name in it can lead anywhere."""
    entries = archive.infolist()
    if len(entries) > most:
        raise Refused(f"an archive of {len(entries)} files: more than {most}")
    left = 4 * FILE_LIMIT if most == FILES else 500 * FILE_LIMIT
    for entry in entries:
        inner = PurePosixPath(*[part for part in PurePosixPath(entry.filename).parts if part not in ("..", "/")])
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in inner.parts)
        if entry.is_dir() or hidden or not inner.parts:
            continue
        limit = FILE_LIMIT if inner.suffix.lower() in (".ipynb", ".zip") else BESIDE_LIMIT
        with archive.open(entry) as file:
            text = file.read(limit + 1)
        left -= len(text)
        if left < 0:
            raise Refused("an archive whose files are too large together: the rest was not read")
        if len(text) > limit:
            notes.append(f"{printable(str(inner))}: left out, it has more than {limit // 2**20} MB")
            continue
        yield inner, text, time.mktime((*entry.date_time, 0, 0, -1))


def _owned(path: PurePosixPath, content: bytes, when: float, notes: list[str]) -> Iterator[_Piece]:
    """The file at a place among the downloads, if that tells whose it is."""
    student, number, folder, name = _who(path)
    if student:
        yield _Piece(student, number, folder, name, content, when)
    else:
        notes.append(f"{printable(str(path))}: nothing says whose it is: put it into a folder with the student's name")


def _who(path: PurePosixPath) -> tuple[str, str, PurePosixPath, str]:
    """The student, their number if there is one, the folder of the file among theirs, and its name."""
    is_notebook = path.suffix.lower() == ".ipynb"
    stem = _without_attempt(path.stem)
    name = f"{stem}.ipynb" if is_notebook else path.name
    first, rest = path.parts[0], PurePosixPath(*path.parts[1:-1])
    if len(path.parts) > 1 and (match := MOODLE.fullmatch(first) or CANVAS.fullmatch(first.removesuffix(".zip"))):
        return _clean(match["student"]), match["number"], rest, name
    if match := CANVAS.fullmatch(stem):
        return _clean(match["student"]), match["number"], PurePosixPath(), f"{match['file']}{path.suffix}"
    return ("", "", rest, name) if len(path.parts) == 1 else (_clean(first), "", rest, name)


def _without_attempt(stem: str) -> str:
    match = AGAIN.fullmatch(stem)
    return match["stem"] if match else stem


def _clean(name: str) -> str:
    """A name that may stand for a folder."""
    name = re.sub(r"[^\w.@+-]+", "-", printable(name))
    return name.strip("-.")[:80]
