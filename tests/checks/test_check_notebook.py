"""`run_notebook_checks`: a student's notebook with right, wrong, unwritten, broken, moved and endless cells."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from course_utils.checks import run_notebook_checks

RIGHT = {
    "reparameterize": "def reparameterize(mean, log_variance, noise):\n    return mean + torch.exp(0.5 * log_variance) * noise",
    "kl-divergence": "def kl_divergence(mean, log_variance):\n    return half(mean**2 + log_variance.exp() - log_variance - 1).sum(1)",
    "append-label": "def append_label(features, labels, num_classes):\n    return torch.cat([features, F.one_hot(labels, num_classes)], 1)",
}


def notebook(folder: Path, answers: dict[str, str], extra: str = "") -> Path:
    def graded(source: str, name: str, **more: Any) -> Any:
        return new_code_cell(
            source, metadata={"nbgrader": {"grade_id": name, "schema_version": 3, "task": False, **more}}
        )

    cells = [
        new_code_cell(
            "import torch\nimport torch.nn.functional as F\nfrom course_utils.checks import autoencoders as check\n"
        ),
        new_code_cell(
            "%matplotlib inline\nfactor = 0.5\nraise_if_run = 1 / 0\ndef half(x):\n    return factor * x\n" + extra
        ),
    ]
    for name, source in answers.items():
        function = name.replace("-", "_")
        cells.append(graded(source, name, grade=False, solution=True, locked=False))
        cells.append(
            graded(f"check.{function}({function})", f"{name}-check", grade=True, solution=False, locked=True, points=2)
        )
    cells.append(new_code_cell("for step in range(10**9):\n    kl_divergence(torch.ones(1), torch.ones(1))"))
    path = folder / "some_notebook.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_right_answers_hold_and_training_does_not_run(tmp_path: Path) -> None:
    results = run_notebook_checks(notebook(tmp_path, RIGHT))
    assert [(result.exercise, result.points, result.held) for result in results] == [
        (name, 2.0, True) for name in RIGHT
    ]
    assert "kl_divergence holds" in results[1].message


def test_each_exercise_is_judged_on_its_own(tmp_path: Path) -> None:
    answers = {
        "reparameterize": "def reparameterize(mean, log_variance, noise):\n    return mean + log_variance.exp() * noise",
        "kl-divergence": "def kl_divergence(mean, log_variance):\n    # YOUR CODE HERE\n    raise NotImplementedError()",
        "elbo": "def elbo(logits, images mean):\n    return 0",
        "sample": "while True:\n    pass\ndef sample(decode_logits, noise):\n    return noise",
        "append-label": RIGHT["append-label"],
    }
    results = {result.exercise: result for result in run_notebook_checks(notebook(tmp_path, answers), seconds=5)}
    assert {name: result.held for name, result in results.items()} == {
        **dict.fromkeys(answers, False),
        "append-label": True,
    }
    assert "*variance*" in results["reparameterize"].message
    assert "not written yet" in results["kl-divergence"].message
    assert "SyntaxError" in results["elbo"].message and "the cell elbo fails" in results["elbo"].message
    assert "more than 5 seconds" in results["sample"].message


def test_an_answer_in_another_cell_is_found(tmp_path: Path) -> None:
    answers = {"kl-divergence": "# moved up\n"}
    path = notebook(tmp_path, answers, extra=RIGHT["kl-divergence"])
    assert run_notebook_checks(path)[0].held is True


def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ipynb"
    broken.write_text("{ not json")
    with pytest.raises(ValueError, match="is not a Jupyter notebook"):
        run_notebook_checks(broken)
