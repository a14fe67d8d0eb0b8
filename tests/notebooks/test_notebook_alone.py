"""A student notebook needs nothing but `course_utils`: no file of the repository beside it, no earlier notebook."""

from pathlib import Path

import nbformat

from course_utils import runtime
from course_utils.cli import notebooks


def test_released_notebook_runs_in_an_empty_folder_once_its_answers_are_filled_in(tmp_path: Path) -> None:
    pair = next(pair for pair in notebooks.pairs() if pair.chapter)  # the welcome page has nothing to fill in
    released = runtime.repository() / "notebooks" / f"{pair.name}.ipynb"
    assert released.exists(), "run `course release`"
    answers = {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in notebooks.read_notebook(pair.notebook).cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    student = notebooks.read_notebook(released)
    filled = 0
    for cell in student.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id in answers:
            cell.source = answers[grade_id]
            filled += 1
    assert filled == len(answers) > 0
    folder = tmp_path / "somewhere else"
    folder.mkdir()
    notebooks.execute(student, folder, "smoke", pair.name, cell_timeout=120)
    assert [path.name for path in folder.iterdir()] == [], "the notebook left files behind"
    assert not any(output.output_type == "error" for cell in student.cells for output in cell.get("outputs", []))
    nbformat.validate(student)
