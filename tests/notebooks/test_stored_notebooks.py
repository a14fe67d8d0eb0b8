"""The notebooks of the course as they lie in `solutions/` and `notebooks/`: up to date, clean, well built."""

import re
from functools import cache
from pathlib import Path

import pytest
from nbformat import NotebookNode

from course_utils import runtime
from course_utils.cli import notebooks, readme, release

PAIRS = notebooks.pairs()
SECTIONS = ("Train", "Measure", "Break it", "The real thing", "Questions", "Further reading")

each_notebook = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
each_of_a_chapter = pytest.mark.parametrize(
    "pair", [pair for pair in PAIRS if pair.chapter], ids=lambda pair: pair.name
)
each_before_the_chapters = pytest.mark.parametrize(
    "pair", [pair for pair in PAIRS if not pair.chapter], ids=lambda pair: pair.name
)


@cache
def stored(pair: notebooks.Pair) -> NotebookNode:
    assert pair.notebook.exists(), f"{pair.name} was never executed: run `{notebooks.MEND}`"
    return notebooks.read_notebook(pair.notebook)


def grading(cell: NotebookNode) -> dict:
    return cell.metadata.get("nbgrader", {})


def test_there_are_notebooks_and_no_notebook_without_text() -> None:
    assert len(PAIRS) >= 2
    texts = {pair.notebook for pair in PAIRS}
    lone = [str(path) for path in (runtime.repository() / "solutions").rglob("*.ipynb")
            if path not in texts and ".ipynb_checkpoints" not in path.parts]  # fmt: skip
    assert lone == [], "notebooks without the text that they are made from"


@each_notebook
def test_outputs_and_text_are_up_to_date(pair: notebooks.Pair) -> None:
    reasons = notebooks.staleness(pair)
    assert not reasons, f"{pair.name} is stale: {'; '.join(reasons)}. To mend it: {notebooks.MEND}"


def test_student_versions_are_up_to_date() -> None:
    pytest.importorskip("nbgrader", reason="the extra `grade` is not installed")
    stale = release.differences(release.generate(PAIRS), runtime.repository() / "notebooks")
    assert not stale, f"in notebooks/: {'; '.join(stale)}. To mend it: course release"


@each_notebook
def test_stored_outputs_hold_nothing_that_they_must_not(pair: notebooks.Pair) -> None:
    assert notebooks.faults(stored(pair)) == []


@each_notebook
def test_every_code_cell_was_executed_in_order(pair: notebooks.Pair) -> None:
    counts = [cell.execution_count for cell in stored(pair).cells if cell.cell_type == "code" and cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_students_get_no_answer(pair: notebooks.Pair) -> None:
    path = runtime.repository() / "notebooks" / f"{pair.name}.ipynb"
    assert path.exists(), f"{pair.name} was never released: run `course release`"
    if pair.chapter:
        assert len(release.secrets(stored(pair))) >= 5, "no answer found in the solution to look for"
    assert release.leaks(stored(pair), path.read_text(encoding="utf-8")) == []


def test_no_file_of_notebooks_holds_an_answer_or_a_marker() -> None:
    for path in sorted((runtime.repository() / "notebooks").rglob("*")):
        if path.is_dir() or ".ipynb_checkpoints" in path.parts:
            continue
        assert path.suffix == ".ipynb" or path.suffix in release.PICTURES, f"{path} does not belong there"
        content = path.read_bytes().decode("utf-8", errors="replace")
        found = [word for word in (*release.FORBIDDEN, "source_hash", "jupytext") if word in content]
        assert not found, f"{path} holds {found}"


@each_of_a_chapter
def test_exercises_are_followed_by_their_check(pair: notebooks.Pair) -> None:
    cells = stored(pair).cells
    ids = [grading(cell)["grade_id"] for cell in cells if grading(cell)]
    assert len(ids) == len(set(ids)), "two cells share a grade_id"
    exercises = [i for i, cell in enumerate(cells) if grading(cell).get("solution") and cell.cell_type == "code"]
    assert len(exercises) >= 3
    for i in exercises:
        name, check, statement = grading(cells[i])["grade_id"], cells[i + 1], cells[i - 1].source
        assert grading(check).get("grade_id") == f"{name}-check", f"no check right after {name}"
        assert grading(check)["points"] > 0, name
        assert grading(check)["locked"], name
        assert '"""' in cells[i].source, f"the stub of {name} has no docstring"
        visible, hidden = check.source.split("### BEGIN HIDDEN TESTS")
        assert re.search(r"^check\.\w+\(.+\)$", visible, re.MULTILINE), f"{name} has no visible check"
        assert "hidden" not in visible, name
        assert re.search(r"^check\.\w+\(.+hidden=True\)$", hidden, re.MULTILINE), f"{name} has no hidden test"
        assert re.search(r"## Exercise \d+ ·.*\*\d+ minutes, (easy|medium|hard), (core|optional)\*", statement), (
            f"{name}: the cell before must say minutes, difficulty, and core or optional"
        )
    checks = [cell for cell in cells if grading(cell).get("grade") and not grading(cell).get("solution")]
    assert len(checks) == len(exercises)


@each_of_a_chapter
def test_notebook_has_the_parts_of_a_notebook(pair: notebooks.Pair) -> None:
    cells = stored(pair).cells
    title = cells[0].source
    assert title.startswith("# ")
    for row in ("Time", "You need", "Builds on", "Code", "Papers"):
        assert f"| **{row}** |" in title, f"the title cell lacks {row}"
    assert "minutes" in title
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    missing = [section for section in SECTIONS if not re.search(rf"^## {section}", prose, re.MULTILINE)]
    assert not missing, f"no section {missing}"
    questions = [cell for cell in cells if cell.cell_type == "markdown" and grading(cell).get("solution")]
    assert 2 <= len(questions) <= 3
    tags = {tag for cell in cells for tag in cell.metadata.get("tags", [])}
    assert "raises-exception" not in tags, "nbval lets such a cell pass even where nothing is raised"


@each_of_a_chapter
def test_one_explorer_and_a_picture_before_the_first_exercise(pair: notebooks.Pair) -> None:
    cells = stored(pair).cells
    first = next(i for i, cell in enumerate(cells) if grading(cell).get("solution"))
    kinds = [set(output.get("data", {})) for cell in cells[:first] for output in cell.get("outputs", [])]
    assert any("image/png" in kind or "text/html" in kind for kind in kinds), "no picture before the first exercise"
    assert sum("widgets.explorer(" in cell.source for cell in cells) == 1


@each_before_the_chapters
def test_a_page_before_the_chapters_has_nothing_to_write_in_and_says_how_long_it_takes(pair: notebooks.Pair) -> None:
    cells = stored(pair).cells
    title = cells[0].source
    assert title.startswith("# ")
    for row in ("Time", "You need", "Builds on"):
        assert f"| **{row}** |" in title, f"the title cell lacks {row}"
    assert "| **Code** |" not in title, "it builds no system: docs/papers.md would name it as one that does"
    assert readme.title_and_minutes(pair)[2] <= 2, "its code runs in two minutes"
    graded = [cell.id for cell in cells if grading(cell)]
    assert not graded, f"nobody would grade {graded}: exercises belong into a chapter"
    tags = {tag for cell in cells for tag in cell.metadata.get("tags", [])}
    assert "raises-exception" not in tags, "nbval lets such a cell pass even where nothing is raised"


@each_notebook
def test_links_and_pictures_of_the_text_lead_somewhere(pair: notebooks.Pair) -> None:
    for folder in (pair.text.parent, runtime.repository() / "notebooks" / pair.chapter):
        for cell in stored(pair).cells:
            if cell.cell_type != "markdown":
                continue
            targets = re.findall(r"\]\(([^)\s]+)[^)]*\)", cell.source) + re.findall(
                r"""(?:src|href)=["']([^"']+)""", cell.source
            )
            for target in targets:
                if re.match(r"(https?|mailto|attachment|data):|#", target):
                    continue
                assert (folder / target.split("#")[0]).exists(), f"{folder}: {target} does not exist"


@each_notebook
def test_paired_text_names_no_place_of_one_machine(pair: notebooks.Pair) -> None:
    text = pair.text.read_text(encoding="utf-8")
    assert str(runtime.repository()) not in text
    assert str(Path.home()) + "/" not in text
