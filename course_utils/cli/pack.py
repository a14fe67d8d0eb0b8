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
from course_utils.cli.names import Failure, nearest
from course_utils.cli.notebooks import pairs

FILES = ("LICENSE", "Makefile", "environment.yml", "pyproject.toml", "requirements.lock", "setup_environment.py")
FOLDERS = ("course_utils", "data", "docs")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "cache", ".*", "teaching.md", "hidden_seeds.json")
FOR_INSTRUCTORS = ("How to teach with it", "How to add a chapter")
SOLVED = re.compile(r"The solved notebooks are in `solutions/`, the code behind\s+them in")


def pack(to: Path, chapters: tuple[str, ...], force: bool, root: Path | None = None) -> int:
    """The sub-command: write the student edition into the folder `to`.

    Args:
        chapters: those that are handed out; all unless given.

    Raises:
        Failure: if the folder holds something already (and `force` is not given), or an answer would get out.
        UsageError: for an unknown chapter.
    """
    root = root or runtime.repository()
    known = pairs(root / "solutions")
    names = list(dict.fromkeys(pair.text.parent.name for pair in known))
    wanted = [nearest(name, names, "chapter") for name in chapters] or names
    if to.exists() and any(to.iterdir()) and not force:
        raise Failure(f"{to} is not empty: choose another folder, or --force to replace what is in it")
    if root.resolve().is_relative_to(to.resolve()):
        raise Failure(f"{to} holds the course itself: choose another folder")
    made = release.generate([pair for pair in known if pair.text.parent.name in wanted])
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
        if to.exists():
            shutil.rmtree(to)
        os.replace(edition, to)
    print(f"{sum(name.endswith('.ipynb') for name in made)} notebooks of {', '.join(wanted)}, packed into {to}")
    return 0


def for_students(readme: str, chapters: Sequence[str]) -> str:
    """README.md without solved notebooks, without chapters that are not handed out, and without what only instructors do."""
    readme = re.sub(r" ?\(\[solved\]\([^)]*\)\)", "", readme)
    readme = SOLVED.sub("The code behind the notebooks is in", readme)
    for title in FOR_INSTRUCTORS:
        readme = re.sub(
            rf"^## {re.escape(title)}\n.*?(?=^## |^MIT licence|\Z)", "", readme, flags=re.DOTALL | re.MULTILINE
        )
    lines = readme.splitlines(keepends=True)
    links = [re.search(r"\]\(notebooks/([^/]+)/", line) if line.startswith("|") else None for line in lines]
    return "".join(line for line, link in zip(lines, links, strict=True) if link is None or link[1] in chapters)
