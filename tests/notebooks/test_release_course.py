"""The student version: no answer, no hidden test, no output; the same bytes each time; all or nothing is written."""

import json
import sys
from pathlib import Path

import nbformat
import pytest

from course_utils.cli import notebooks, release
from course_utils.cli.names import Failure

pytest.importorskip("nbgrader", reason="the extra `grade` is not installed")


@pytest.fixture
def course(tiny: Path) -> Path:
    """A folder with the tiny `solutions`, text and notebook in agreement, one cell with an output."""
    (pair,) = notebooks.pairs(tiny)
    notebooks.make(pair, run=False)
    notebook = nbformat.read(pair.notebook, as_version=4)
    notebook.cells[3].outputs = [nbformat.v4.new_output("stream", text="holds\n")]
    notebook.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    nbformat.write(notebook, pair.notebook)
    return tiny.parent


def released(course: Path) -> nbformat.NotebookNode:
    return nbformat.read(course / "notebooks" / "01_tiny" / "01_first.ipynb", as_version=4)


def test_student_version_holds_stubs_and_checks_but_no_answer(course: Path) -> None:
    release.release(course / "solutions", course / "notebooks")
    notebook = released(course)
    nbformat.validate(notebook)
    text = json.dumps(notebook)
    for word in (
        "SOLUTION",
        "HIDDEN",
        "doubled_number",
        "double(-7)",
        "sum with itself",
        "NBVAL",
        'holds\\n"',
        "widget-state",
        "source_hash",
    ):
        assert word not in text, word
    stub = next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "double")
    assert "raise NotImplementedError" in stub.source
    assert "Twice the number" in stub.source
    check = next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "double-check")
    assert check.source == 'assert double(2) == 4\nprint("holds")'
    assert check.metadata.nbgrader.points == 2
    assert check.metadata.editable is False
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}


def test_nothing_but_notebooks_and_pictures_gets_out(course: Path) -> None:
    chapter = course / "solutions" / "01_tiny"
    (chapter / "answers.txt").write_text("42")
    (chapter / "images").mkdir()
    (chapter / "images" / "plan.png").write_bytes(b"png")
    release.release(course / "solutions", course / "notebooks")
    files = sorted(
        path.relative_to(course / "notebooks").as_posix()
        for path in (course / "notebooks").rglob("*")
        if path.is_file()
    )
    assert files == ["01_tiny/01_first.ipynb", "01_tiny/images/plan.png"]
    assert not list(course.rglob("gradebook.db"))


def test_a_page_before_the_chapters_is_released_beside_them(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "address", lambda: "https://github.com/ada/engine")
    solutions = course / "solutions"
    (solutions / "00_front.py").write_text("# %% [markdown]\n# # Front\n\n# %%\nprint('hello, reader')\n", "utf-8")
    (solutions / "plan.png").write_bytes(b"png")
    (solutions / "01_tiny" / "own.png").write_bytes(b"png")
    front, tiny = notebooks.pairs(solutions)
    assert [(pair.name, pair.chapter) for pair in (front, tiny)] == [("00_front", ""), ("01_tiny/01_first", "01_tiny")]
    assert notebooks.choose(("solutions/00_front.py",), [front, tiny]) == [front]
    notebooks.make(front, run=False)
    solved = nbformat.read(front.notebook, as_version=4)
    solved.cells[1].outputs = [nbformat.v4.new_output("stream", text="hello, reader\n")]
    nbformat.write(solved, front.notebook)
    made = release.generate([front, tiny])
    assert sorted(made) == ["00_front.ipynb", "01_tiny/01_first.ipynb", "01_tiny/own.png", "plan.png"]
    assert sorted(release.generate([front])) == ["00_front.ipynb", "plan.png"], "a chapter's pictures stay with it"
    page = nbformat.reads(made["00_front.ipynb"].decode(), as_version=4)
    assert "/engine/blob/main/notebooks/00_front.ipynb)" in page.cells[0].source
    assert page.cells[2].source == "print('hello, reader')" and page.cells[2].outputs == []


def test_second_release_changes_no_byte_and_removes_what_has_no_solution(
    course: Path, capsys: pytest.CaptureFixture
) -> None:
    release.release(course / "solutions", course / "notebooks")
    path = course / "notebooks" / "01_tiny" / "01_first.ipynb"
    before, changed = path.read_bytes(), path.stat().st_mtime_ns
    (path.parent / "02_old.ipynb").write_text("{}")
    capsys.readouterr()
    release.release(course / "solutions", course / "notebooks")
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == changed
    assert not (path.parent / "02_old.ipynb").exists()
    assert "02_old.ipynb has no solution" in capsys.readouterr().out


def change_cell(course: Path, old: str, new: str) -> None:
    (pair,) = notebooks.pairs(course / "solutions")
    text = pair.text.read_text(encoding="utf-8")
    assert old in text
    pair.text.write_text(text.replace(old, new), encoding="utf-8")
    notebooks.make(pair, run=False)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    ### BEGIN SOLUTION\n", "", "'double' needs BEGIN SOLUTION and END SOLUTION"),
        ("    ### END SOLUTION\n", "", "'double' needs BEGIN SOLUTION and END SOLUTION"),
        ("### END HIDDEN TESTS\n", "", "nbgrader could not make"),
        ('"solution": true, "task": false}\ndef', '"solution": false, "task": false}\ndef', "no grading metadata"),
        ("    ### BEGIN SOLUTION\n    doubled_number = 2 * number\n    return doubled_number\n    ### END SOLUTION\n",
         "    return 2 * number\n", "'double' needs BEGIN SOLUTION"),
        ("### BEGIN HIDDEN TESTS\nassert double(-7) == -14\n### END HIDDEN TESTS\n",
         "import functools as check\ncheck.partial(double, hidden=True)\n", "hidden=True"),
        ('"grade_id": "double-check"', '"grade_id": "double"', "nbgrader could not make"),
    ],
)  # fmt: skip
def test_answers_that_would_get_out_stop_the_release(course: Path, old: str, new: str, said: str) -> None:
    release.release(course / "solutions", course / "notebooks")
    before = (course / "notebooks" / "01_tiny" / "01_first.ipynb").read_bytes()
    change_cell(course, old, new)
    with pytest.raises(Failure, match=said):
        release.release(course / "solutions", course / "notebooks")
    assert (course / "notebooks" / "01_tiny" / "01_first.ipynb").read_bytes() == before


def test_an_answer_line_that_reappears_in_the_student_version_is_found(course: Path) -> None:
    (pair,) = notebooks.pairs(course / "solutions")
    solution = notebooks.read_notebook(pair.notebook)
    made = release.generate([pair])["01_tiny/01_first.ipynb"].decode()
    assert release.leaks(solution, made) == []
    assert release.secrets(solution) == [
        "Because twice a number is its sum with itself.",
        "assert double(-7) == -14",
        "doubled_number = 2 * number",
        "return doubled_number",
    ]
    leaky = made.replace("# YOUR CODE HERE", "    return doubled_number")
    assert release.leaks(solution, leaky) == ["the answer line 'return doubled_number'"]


def test_text_that_differs_from_its_notebook_is_not_released(course: Path) -> None:
    (pair,) = notebooks.pairs(course / "solutions")
    pair.text.write_text(pair.text.read_text(encoding="utf-8").replace("Tiny", "Small"), encoding="utf-8")
    with pytest.raises(Failure, match="01_tiny/01_first: text and notebook differ; run `course notebooks --stale`"):
        release.release(course / "solutions", course / "notebooks")


def test_without_nbgrader_one_line_says_what_to_do(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = release.require.__globals__["importlib"].util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == "nbgrader" else find(name, *rest)
    )
    with pytest.raises(Failure, match=r"package nbgrader.*pip install -e '\.\[grade\]'"):
        release.release(course / "solutions", course / "notebooks")


def test_links_to_colab_and_codespaces_come_from_one_setting(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "address", lambda: "https://github.com/ada/engine")
    solved = (course / "solutions" / "01_tiny" / "01_first.ipynb").read_bytes()
    release.release(course / "solutions", course / "notebooks")
    title, colab = released(course).cells[:2]
    assert title.source == (
        "# Tiny\n\n[Open in Colab](https://colab.research.google.com/github/ada/engine/blob/main/notebooks/01_tiny/01_first.ipynb)"
        " · [Open in Codespaces](https://codespaces.new/ada/engine)"
    )
    assert "git clone --quiet --depth 1 https://github.com/ada/engine /content/course" in colab.source
    assert (course / "solutions" / "01_tiny" / "01_first.ipynb").read_bytes() == solved


def test_the_courses_own_address_is_said_in_pyproject_and_nowhere_else() -> None:
    root = notebooks.runtime.repository()
    assert release.address().startswith("https://github.com/") and release.address().count("/") == 4
    for path in (*(root / "course_utils").rglob("*.py"), root / "README.md", root / "setup_environment.py"):
        assert release.address() not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("on_colab", [False, True])
def test_the_first_cell_fetches_the_course_on_colab_and_does_nothing_elsewhere(
    on_colab: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    if on_colab:
        monkeypatch.setitem(sys.modules, "google.colab", object())
    monkeypatch.setattr(sys, "path", before := list(sys.path))
    shell = InteractiveShell()
    commands: list[str] = []
    monkeypatch.setattr(shell, "system", lambda command: commands.append(shell.var_expand(command)))
    path = notebooks.runtime.repository() / "notebooks" / "01_autoencoders" / "02_vae.ipynb"
    cell = nbformat.read(path, as_version=4).cells[1]
    assert cell.id == "colab"
    shell.run_cell(cell.source).raise_error()
    if on_colab:
        clone, install = commands
        assert clone.endswith(f"{release.address()} /content/course")
        assert install == f"{sys.executable} /content/course/setup_environment.py colab"
        assert sys.path[0] == "/content/course"
    else:
        assert commands == [] and sys.path == before
