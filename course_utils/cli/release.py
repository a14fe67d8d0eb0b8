"""The student version of every notebook: `notebooks/`, made from `solutions/` by nbgrader.

nbgrader copies whatever lies beside a notebook, the paired text with its answers too. So it works here in a temporary
course folder that holds the notebooks and their pictures only, and nothing reaches `notebooks/` before it was searched
for answers.
"""

import os
import re
import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils import runtime
from course_utils.cli.names import Failure, require
from course_utils.cli.notebooks import MEND, Pair, pairs, read_notebook, read_text, text_hash, write

if TYPE_CHECKING:
    from nbformat import NotebookNode

PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".svg"}
FORBIDDEN = ("BEGIN SOLUTION", "END SOLUTION", "HIDDEN TESTS", "MARK SCHEME", "hidden=True")
COLAB = """\
# On Colab this fetches the course and installs what is missing there; Colab's torch stays. Elsewhere it does nothing.
import sys

if "google.colab" in sys.modules:
    !test -d /content/course || git clone --quiet --depth 1 {address} /content/course
    !{{sys.executable}} /content/course/setup_environment.py colab
    sys.path.insert(0, "/content/course")"""
REGION = re.compile(r"BEGIN (SOLUTION|HIDDEN TESTS|MARK SCHEME).*?\n(.*?)[^\n]*END \1", re.DOTALL)


def secrets(solution: "NotebookNode") -> list[str]:
    """Lines of answers and hidden tests that stand nowhere else in the notebook: none of them may reach a student.

    Lines of fewer than twelve characters, such as `return x`, say nothing and are left out.
    """
    hidden, visible = [], set()
    for cell in solution.cells:
        for match in REGION.finditer(cell.source):
            hidden.extend(line.strip() for line in match.group(2).splitlines())
        visible.update(line.strip() for line in REGION.sub("", cell.source).splitlines())
    return sorted({line for line in hidden if len(line) >= 12 and line not in visible})


def leaks(solution: "NotebookNode", released: str) -> list[str]:
    """What of `solution` stands in the text of a released notebook but must not: markers, answers, outputs, metadata.

    Args:
        released: the released file as text (JSON).
    """
    import nbformat

    notebook = nbformat.reads(released, as_version=4)
    everything = "\n".join(cell.source for cell in notebook.cells)
    found = [f"the marker {word!r}" for word in FORBIDDEN if word in released]
    lines = {line.strip() for line in everything.splitlines()}
    found += [f"the answer line {line!r}" for line in secrets(solution) if line in lines]
    found += [f"outputs of cell {i}" for i, cell in enumerate(notebook.cells, 1) if cell.get("outputs")]
    found += [f"metadata {key!r}" for key in notebook.metadata if key not in ("kernelspec", "language_info")]
    return found


def malformed(solution: "NotebookNode") -> list[str]:
    """Regions that are not opened and closed in pairs: nbgrader would replace the whole cell, docstring and all."""
    found = []
    for cell in solution.cells:
        grading = cell.metadata.get("nbgrader", {})
        begun, ended = cell.source.count("BEGIN SOLUTION"), cell.source.count("END SOLUTION")
        if grading.get("solution") and (begun != ended or not begun):
            found.append(f"{grading['grade_id']!r} needs BEGIN SOLUTION and END SOLUTION around its answer, in pairs")
        if begun and not grading.get("solution"):
            found.append(f"the cell {cell.id!r} holds an answer but has no grading metadata that say so")
    return found


def _generate(chapter: str, course: Path) -> None:
    """Run nbgrader's `generate_assignment` for one chapter of the temporary course folder, without a gradebook."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.preprocessors import InstantiateTests, SaveCells
    from traitlets.config import Config

    from course_utils.grading.quiet import quietly

    config = Config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.source_directory = "solutions"
    config.CourseDirectory.release_directory = "notebooks"
    config.CourseDirectory.assignment_id = chapter
    config.CourseDirectory.ignore = ["*.py", "*.pyc", ".ipynb_checkpoints", "__pycache__"]
    config.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"
    config.GenerateAssignment.no_database = True
    config.IncludeHeaderFooter.enabled = False

    with quietly(Failure, f"nbgrader could not make the student version of chapter {chapter}") as options:
        converter = GenerateAssignment(config=config, **options(config))
        left_out = (SaveCells, InstantiateTests)
        converter.preprocessors = [step for step in converter.preprocessors if step not in left_out]
        converter.start()


def generate(known: list[Pair]) -> dict[str, bytes]:
    """The student version of every notebook: content by path below `notebooks/`, in the order of the chapters.

    Raises:
        Failure: if nbgrader is missing or refuses a notebook, if text and notebook differ, if an answer would get out.
    """
    require("nbgrader", "grade")
    for pair in known:
        if not pair.notebook.exists() or text_hash(read_notebook(pair.notebook)) != text_hash(read_text(pair.text)):
            raise Failure(f"{pair.name}: text and notebook differ; run `{MEND}` first")
    problems = [f"{pair.name}: {problem}" for pair in known for problem in malformed(read_notebook(pair.notebook))]
    if problems:
        raise Failure("nothing was released:\n" + "\n".join(problems))
    made: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="course-release-") as temporary:
        course = Path(temporary).resolve()
        for chapter in dict.fromkeys(pair.chapter for pair in known):
            own = [pair for pair in known if pair.chapter == chapter]
            assignment = chapter or "before"  # nbgrader knows none without a name
            source = course / "solutions" / assignment
            source.mkdir(parents=True)
            for pair in own:
                write(_without_test_marks(read_notebook(pair.notebook)), source / pair.notebook.name)
            for picture in pictures(own[0]):
                target = source / picture.relative_to(own[0].text.parent)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(picture, target)
            _generate(assignment, course)
            released = course / "notebooks" / assignment
            for pair in own:
                _finish(released / pair.notebook.name, pair.name)
                content = (released / pair.notebook.name).read_text(encoding="utf-8")
                problems += [
                    f"{pair.name} would give away {leak}" for leak in leaks(read_notebook(pair.notebook), content)
                ]
            for path in sorted(path for path in released.rglob("*") if path.is_file()):
                made[Path(chapter, path.relative_to(released)).as_posix()] = path.read_bytes()
    if problems:
        raise Failure("nothing was released:\n" + "\n".join(problems))
    return made


def pictures(pair: Pair) -> list[Path]:
    """The pictures that lie beside a notebook: those of its chapter, in whatever folder there."""
    pattern = "**/*" if pair.chapter else "*"  # beside a page before the chapters lie the chapters
    return sorted(path for path in pair.text.parent.glob(pattern) if path.suffix.lower() in PICTURES)


def _without_test_marks(notebook: "NotebookNode") -> "NotebookNode":
    """The notebook without the comments that tell the course's own tests what to compare."""
    for cell in notebook.cells:
        cell.source = "\n".join(line for line in cell.source.split("\n") if line.strip() != "# NBVAL_CHECK_OUTPUT")
    return notebook


def address() -> str:
    """Where the course lies, such as https://github.com/OWNER/NAME: said once, in pyproject.toml."""
    project = tomllib.loads((runtime.repository() / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["Repository"].removesuffix("/").removesuffix(".git")


def _open_elsewhere(notebook: "NotebookNode", name: str) -> None:
    """Links to Colab and Codespaces under the title, and after it the cell that sets Colab up.

    Only the student version has them: the solved one, with its stored outputs, stays as it is.
    """
    from nbformat.v4 import new_code_cell

    where = address()
    colab = f"{where.replace('https://github.com', 'https://colab.research.google.com/github')}/blob/main/notebooks/{name}.ipynb"
    codespace = where.replace("https://github.com", "https://codespaces.new")
    title, newline, rest = notebook.cells[0].source.partition("\n")
    # text, and no pictures of badges: these would be fetched, and be missing without a network
    links = f"[Open in Colab]({colab}) · [Open in Codespaces]({codespace})"
    notebook.cells[0].source = f"{title}\n\n{links}{newline}{rest}"
    notebook.cells.insert(1, new_code_cell(COLAB.format(address=where), id="colab"))


def _finish(path: Path, name: str) -> None:
    """Take the metadata that belong to the solution out of a released notebook, and write it in one fixed form."""
    notebook = read_notebook(path)
    _open_elsewhere(notebook, name)
    for key in [key for key in notebook.metadata if key not in ("kernelspec", "language_info")]:
        del notebook.metadata[key]
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    write(notebook, path)


def differences(made: dict[str, bytes], folder: Path) -> list[str]:
    """The files of `folder` (`notebooks/`) that are not what `made` says: missing, changed, or too many."""
    there = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".ipynb_checkpoints" not in path.parts
    }
    changed = [name for name, content in made.items() if name in there and (folder / name).read_bytes() != content]
    return (
        [f"{name} is missing" for name in made if name not in there]
        + [f"{name} is out of date" for name in changed]
        + [f"{name} has no solution" for name in sorted(there - set(made))]
    )


def release(solutions: Path | None = None, folder: Path | None = None) -> int:
    """The sub-command: make all student versions, search them for answers, then put them into `notebooks/`.

    Raises:
        Failure: if anything is wrong; `notebooks/` stays as it was.
    """
    folder = folder or runtime.repository() / "notebooks"
    known = pairs(solutions)
    if not known:
        raise Failure("there is no notebook in solutions/")
    made = generate(known)
    changes = differences(made, folder)
    for name, content in made.items():
        target = folder / name
        if target.exists() and target.read_bytes() == content:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        temporary.write_bytes(content)
        os.replace(temporary, target)
    for change in changes:
        print(change)
        if change.endswith(" has no solution"):
            (folder / change.removesuffix(" has no solution")).unlink()
    print(f"{len(known)} notebooks in {folder}, {len(changes)} files changed")
    return 0
