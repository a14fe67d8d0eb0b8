"""`course release --to DIR`: the student edition of the course, to be handed out as it is.

It holds the student notebooks, the code, the data and what makes the environment; no solved notebook, no test of the
course, no hidden seed. (The code holds the reference answers and the known mistakes of the checks: docs/teaching.md.)
"""

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from course_utils import runtime
from course_utils.cli import release
from course_utils.cli.names import Failure, UsageError, nearest
from course_utils.cli.notebooks import pairs

FILES = ("LICENSE", "Makefile", "environment.yml", "pyproject.toml", "requirements.lock", "setup_environment.py")
FOLDERS = (".devcontainer", "course_utils", "data", "docs")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "cache", ".*", "teaching.md", "hidden_seeds.json")
FOR_INSTRUCTORS = ("How to teach with it", "How to add a chapter")
LINK = re.compile(r"\[([^\[\]]+)\]\((\d\d_\w+)/[^)\s]+\)")
SOLVED = re.compile(r"The solved notebooks are in `solutions/`, the code behind\s+them in")


def pack(to: Path, chapters: tuple[str, ...], force: bool, root: Path | None = None) -> int:
    """The sub-command: write the student edition into the folder `to`.

    Args:
        chapters: those that are handed out; all unless given.

    Raises:
        Failure: if the folder holds something already (and `force` is not given, or it is no packed course), if it cannot be
            written, or if an answer would get out.
        UsageError: for an unknown chapter, or a folder within the course's own.
    """
    root = root or runtime.repository()
    known = pairs(root / "solutions")
    names = list(dict.fromkeys(pair.chapter for pair in known if pair.chapter))
    wanted = [nearest(name, names, "chapter") for name in chapters] or names
    _look_at(to, force, root)
    made = release.generate([pair for pair in known if pair.chapter in ("", *wanted)])
    for name in [name for name in made if "/" not in name and name.endswith(".ipynb")]:
        made[name] = without_dead_links(made[name].decode(), wanted).encode()
    try:
        _write(to, made, wanted, root)
    except OSError as error:
        raise Failure(
            f"{to} could not be written ({error.strerror or error}): free some space, or choose another folder"
        ) from error
    print(f"{sum(name.endswith('.ipynb') for name in made)} notebooks of {', '.join(wanted)}, packed into {to}")
    return 0


def _look_at(to: Path, force: bool, root: Path) -> None:
    """Make sure that nothing is lost where the edition goes."""
    if to.exists() and not to.is_dir():
        raise UsageError(f"{to} is a file; --to names the folder for the student edition")
    if root.resolve().is_relative_to(to.resolve()):
        raise Failure(f"{to} holds the course itself: choose another folder")
    for name in (*FOLDERS, "notebooks", "solutions", "tests"):
        if to.resolve().is_relative_to((root / name).resolve()):
            raise UsageError(f"{to} lies in the course's own folder {name}: choose another")
    if not to.exists() or not any(to.iterdir()):
        return
    if not force:
        raise Failure(f"{to} is not empty: choose another folder, or --force to replace the edition in it")
    if not all((to / name).is_dir() for name in ("notebooks", "course_utils")):
        raise Failure(
            f"{to} is not empty, and holds no packed course that --force could replace: choose another folder"
        )


def _write(to: Path, made: dict[str, bytes], wanted: Sequence[str], root: Path) -> None:
    """Put the edition together beside its place, then move it there; what else lies there, such as a .git, stays."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".course-pack-", dir=to.resolve().parent) as temporary:
        edition = Path(temporary, "edition")
        edition.mkdir()
        for name, content in made.items():
            target = edition / "notebooks" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        for name in FOLDERS:
            if (root / name).is_dir():
                shutil.copytree(root / name, edition / name, ignore=LEFT_OUT)
        for name in FILES:
            if (root / name).is_file():
                shutil.copy(root / name, edition / name)
        if (root / "README.md").is_file():
            text = (root / "README.md").read_text(encoding="utf-8")
            (edition / "README.md").write_text(for_students(text, wanted), encoding="utf-8")
        to.mkdir(exist_ok=True)
        before = Path(temporary, "before")
        before.mkdir()
        for name in (*FOLDERS, *FILES, "notebooks", "README.md"):
            if (to / name).exists():
                os.rename(to / name, before / name)
        for name in os.listdir(edition):
            os.rename(edition / name, to / name)


def without_dead_links(page: str, chapters: Sequence[str]) -> str:
    """A page before the chapters whose links lead to those that are handed out only; of another link its words stay."""
    return LINK.sub(lambda link: link[0] if link[2] in chapters else link[1], page)


def for_students(readme: str, chapters: Sequence[str]) -> str:
    """README.md without solved notebooks, without chapters that are not handed out, and without what only instructors do."""
    readme = re.sub(r" ?\(\[solved\]\([^)]*\)\)", "", readme)
    readme = SOLVED.sub("The code behind the notebooks is in", readme)
    for title in FOR_INSTRUCTORS:
        readme = re.sub(
            rf"^## {re.escape(title)}\n.*?(?=^## |^MIT licence|\Z)", "", readme, flags=re.DOTALL | re.MULTILINE
        )
    lines = readme.splitlines(keepends=True)
    links = [re.search(r"\]\(notebooks/([^/)]+)/", line) if line.startswith("|") else None for line in lines]
    return "".join(line for line, link in zip(lines, links, strict=True) if link is None or link[1] in chapters)
