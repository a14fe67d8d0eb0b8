"""A small chapter to grade: three questions of one notebook of chapter 02, with the course's own checks."""

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from course_utils import runtime
from course_utils.cli import notebooks
from course_utils.grading import official
from course_utils.grading.official import Chapter
from course_utils.grading.sandbox import Limits, Sandbox, why_not
from course_utils.grading.traps import make_library

QUESTIONS = ("discriminator-loss", "saturating-generator-loss", "game")  # 2, 1 and 4 points
RIGHT = {
    "discriminator-loss": "def discriminator_loss(real_logits, fake_logits):\n    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()\n",
    "saturating-generator-loss": "def saturating_generator_loss(fake_logits):\n    return -F.softplus(fake_logits).mean()\n",
}
KEPT = {
    "01_autoencoders/02_vae": ("reparameterize", "kl-divergence", "question-blur"),
    "02_gans/01_gan": ("discriminator-loss", "optimal-discriminator", "question-coin"),
}
LOSSES = """def _of_d(real_logits, fake_logits):
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
def _of_g(fake_logits):
    return F.softplus(-fake_logits).mean()
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("sandbox") and why_not():
            item.add_marker(pytest.mark.skip(reason=f"needs a sandbox: {why_not()}"))


@pytest.fixture(scope="session")
def whole() -> Chapter:
    return official.read_chapter("02_gans")


@pytest.fixture(scope="session")
def chapter(whole: Chapter) -> Chapter:
    book = whole.notebooks[0]
    questions = tuple(q for q in book.questions if q.name.removesuffix("-check") in QUESTIONS)
    slots = tuple(slot for slot in book.slots if slot.name in QUESTIONS)
    return replace(whole, notebooks=(replace(book, questions=questions, slots=slots),))


@pytest.fixture(scope="session")
def released(whole: Chapter) -> dict[str, Any]:
    """The student's notebook with right answers to the three questions."""
    notebook = json.loads((runtime.repository() / "notebooks" / "02_gans" / "01_gan.ipynb").read_text("utf-8"))
    solutions = {slot.name: slot.solution for slot in whole.notebooks[0].slots}
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
        if name == "game":
            cell["source"] = LOSSES + solutions[name].replace("discriminator_loss(", "_of_d(").replace(
                "non_saturating_generator_loss(", "_of_g("
            )
        elif name in RIGHT:
            cell["source"] = RIGHT[name]
    return notebook


@pytest.fixture
def notebook(released: dict[str, Any]) -> dict[str, Any]:
    """A copy of it, to be changed."""
    return copy.deepcopy(released)


@pytest.fixture(scope="session")
def sandbox(chapter: Chapter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("library")
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    traps = [trap for book in chapter.notebooks for question in book.questions for trap in question.traps]
    child = Sandbox(make_library(folder, traps), Limits(), official.imported([chapter]))
    yield child
    child.close()


@pytest.fixture
def answered() -> Callable[..., dict[str, Any]]:
    """Puts another source into cells of a notebook."""

    def put(notebook: dict[str, Any], sources: dict[str, str]) -> dict[str, Any]:
        for cell in notebook["cells"]:
            name = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
            if name in sources:
                cell["source"] = sources[name]
        return notebook

    return put


@pytest.fixture(scope="session")
def make_readable() -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.chmod(0o755)

    return make


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of two chapters with a notebook each, cut down to two questions and one in words."""
    import jupytext

    root = tmp_path / "course"
    for name, kept in KEPT.items():
        wanted = {*kept, *(f"{cell}-check" for cell in kept)}
        notebook = jupytext.read(runtime.repository() / "solutions" / f"{name}.py", fmt=notebooks.FORMAT)
        cells = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") in wanted]
        notebook.cells = [*[c for c in notebook.cells if "import torch" in c.source][:1], *cells]
        text = root / "solutions" / f"{name}.py"
        text.parent.mkdir(parents=True)
        jupytext.write(notebook, text, fmt=notebooks.FORMAT)
    (root / "solutions" / "hidden_seeds.json").write_text("[5, 6]")
    (root / "README.md").write_text(
        "# Course\n\n[a](notebooks/x) ([solved](solutions/x))\n\n## How to teach with it\n\nSecret.\n"
    )
    (root / "course_utils").mkdir()
    shutil.copy(runtime.repository() / "pyproject.toml", root)  # says where the course lies
    for pair in notebooks.pairs(root / "solutions"):
        notebooks.make(pair, run=False)
    monkeypatch.setattr(runtime, "repository", lambda: root)
    return root


@pytest.fixture
def solved(course: Path) -> Callable[..., bytes]:
    """What a student makes of a notebook that was handed out in the folder `edition`."""

    def solve(edition: Path, name: str, answers: dict[str, str] | None = None, words: str = "") -> bytes:
        chapter, book = name.split("/")
        (own,) = [b for b in official.read_chapter(chapter, course / "solutions").notebooks if b.name == book]
        sources = {slot.name: slot.solution for slot in own.slots if slot.is_code} | (answers or {})
        notebook = json.loads((edition / "notebooks" / f"{name}.ipynb").read_text("utf-8"))
        for cell in notebook["cells"]:
            grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
            if grade_id in sources:
                cell["source"] = sources[grade_id]
            elif grade_id.startswith("question") and words:
                cell["source"] = words
        return json.dumps(notebook).encode()

    return solve
