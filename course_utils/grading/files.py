"""The files of a submission, read without trust: no link is followed, nothing is larger than what is bearable."""

import io
import os
import re
import stat
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

FILE_LIMIT = 20 * 2**20  # bytes of a notebook, pictures in its outputs included
BESIDE_LIMIT = 8 * 2**20  # bytes of all files beside the notebooks
BESIDE_COUNT = 64
LOOKED_AT = 2_000  # files of one submission
STAMP = "timestamp.txt"  # when it was handed in: written by `course collect`, no file of the student's
NAME = re.compile(r"[^\x00-\x1f\x7f/\\.][^\x00-\x1f\x7f/\\]{0,99}")


class Refused(ValueError):
    """A file that is not read; the message says why."""


class Files(NamedTuple):
    """What a submission holds, content by relative path; `notes` say what was left out and why."""

    notebooks: dict[str, bytes]
    beside: dict[str, bytes]
    notes: list[str]


def read_files(folder: Path) -> Files:
    """The notebooks below a folder, and what lies beside them: a student's own modules and data, as far as that is bearable."""
    found = Files({}, {}, [])
    left = FILE_LIMIT * 8
    rest: list[Path] = []
    for path in _walk(folder, found.notes):
        if path.suffix.lower() != ".ipynb":
            rest.append(path)
            continue
        shown = printable(path.relative_to(folder).as_posix())
        try:
            content = read_file(path)
        except (Refused, OSError) as error:
            found.notes.append(f"{shown}: {error}")
            continue
        left -= len(content)
        if left < 0:
            found.notes.append("the notebooks are too large together: the rest was not read")
            break
        found.notebooks[shown] = content
    basket = Beside(found.beside, found.notes)
    for path in rest:
        name = path.relative_to(folder).as_posix()
        if name != STAMP:
            basket.add(name, path)
    return found


class Beside:
    """Takes files until there are too many or they are too large together; what it leaves out it names in `notes`."""

    def __init__(self, files: dict[str, bytes], notes: list[str], of: str = ""):
        self.files, self.notes, self.of = files, notes, of
        self.full = False

    def add(self, name: str, content: Path | bytes) -> None:
        """Take the file `name`, a relative path; `content` may be where it lies."""
        if self.full or any(part in ("__pycache__", "__MACOSX") for part in name.split("/")):
            return
        shown = f"{self.of}{printable(name)}"
        if not plain_path(name):
            self.notes.append(f"{shown}: left out, for the sake of its name")
            return
        if len(self.files) >= BESIDE_COUNT:
            self.full = True
            self.notes.append(
                f"{shown} and what follows: left out; {BESIDE_COUNT} files beside the notebooks are taken"
            )
            return
        left = BESIDE_LIMIT - sum(len(other) for key, other in self.files.items() if key != name)
        try:
            content = content if isinstance(content, bytes) else read_file(content, BESIDE_LIMIT)
            if len(content) > left:
                raise Refused(too_large(len(content)))
        except (Refused, OSError) as error:
            self.notes.append(f"{shown}: {error}")
            return
        self.files[name] = content


def too_large(size: int) -> str:
    """What is said of a file that is too large to be taken along."""
    limit = BESIDE_LIMIT // 2**20
    return f"left out, for its {size / 2**20:.1f} MB: the files beside the notebooks may have {limit} MB together"


def _walk(folder: Path, notes: list[str]) -> Iterator[Path]:
    count = 0

    def unreadable(error: OSError) -> None:
        notes.append(f"{printable(Path(error.filename).name)} cannot be read: {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=False):
        for name in [name for name in folders if os.path.islink(os.path.join(place, name))]:
            notes.append(f"{printable(name)} is a link to a folder: it was not followed")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            count += 1
            if count > LOOKED_AT:
                notes.append(f"there are more than {LOOKED_AT:,} files: the rest was not looked at")
                return
            if not name.startswith("."):
                yield Path(place, name)


def read_file(path: Path, limit: int = FILE_LIMIT) -> bytes:
    """The content of a regular file of bearable size.

    Raises:
        Refused: if it is anything else.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            advice = "clear its outputs and hand it in again" if path.suffix.lower() == ".ipynb" else "left out"
            raise Refused(f"it has {size / 2**20:.0f} MB, and {limit // 2**20} are read: {advice}")
        return file.read(limit + 1)[:limit]


def open_file(path: Path) -> io.BufferedReader:
    """A regular file, open to be read: no link, no pipe.

    Raises:
        Refused: if it is anything else.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Refused("it is a link: it was not followed" if path.is_symlink() else str(error.strerror)) from None
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise Refused("it is no file")
    return file


def plain_path(name: str) -> bool:
    """Whether a relative path may be written to a folder: no step upwards, nothing hidden, no control characters."""
    parts = name.split("/")
    return 0 < len(parts) <= 8 and all(NAME.fullmatch(part) for part in parts) and printable(name) == name


def printable(text: str) -> str:
    """A name of a file as it can be printed: bytes that are no text, and control characters, become question marks."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def packed(files: Mapping[str, bytes]) -> bytes:
    """The files as an archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in files.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return archive.getvalue()
