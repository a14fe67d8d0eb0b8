"""`course check`: with checks that cost nothing."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import course_utils.checks
from course_utils.cli import main, progress
from course_utils.cli.names import Failure, UsageError


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course folder whose work/ holds two notebooks; one exercise of the second does not hold."""
    for name in ("01_autoencoder", "02_vae"):
        path = tmp_path / "work" / "01_autoencoders" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")

    def run_notebook_checks(path: Path) -> list[SimpleNamespace]:
        good = SimpleNamespace(exercise="a", points=1, held=True, message="holds")
        bad = SimpleNamespace(exercise="b", points=2, held=False, message="you averaged")
        return [good] if path.stem == "01_autoencoder" else [good, bad]

    monkeypatch.setattr(course_utils.checks, "run_notebook_checks", run_notebook_checks, raising=False)
    monkeypatch.setattr(progress.runtime, "repository", lambda: tmp_path)
    return tmp_path / "work"


def test_one_notebook_shows_each_exercise_and_ends_with_1_where_one_does_not_hold(
    work: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main.main(["check", "01_autoencoder", "--json"]) == 0
    assert main.main(["check", "01_autoencoders/02_vae", "--json"]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["holds"] for row in rows] == [True, True, False]
    assert rows[2] == {"exercise": "b", "points": 2, "holds": False, "message": "you averaged"}
    assert main.main(["check", "02_vae"]) == 1
    assert "you averaged" in capsys.readouterr().out


def test_without_a_name_every_notebook_is_counted(work: Path, capsys: pytest.CaptureFixture) -> None:
    assert main.main(["check", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        {"notebook": "01_autoencoders/01_autoencoder", "exercises": 1, "hold": 1, "points": 1, "of": 1},
        {"notebook": "01_autoencoders/02_vae", "exercises": 2, "hold": 1, "points": 1, "of": 3},
    ]


def test_notebooks_are_found_by_name_or_file(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # whatever stands in a work/ of the folder that the tests run in
    path = work / "01_autoencoders" / "02_vae.ipynb"
    for name in ("02_vae", "02_vae.ipynb", "01_autoencoders/02_vae", "work/01_autoencoders/02_vae.ipynb", str(path)):
        assert progress.find(name, work).resolve() == path.resolve()
    with pytest.raises(UsageError, match="did you mean '02_vae'"):
        progress.find("02_vea", work)
    with pytest.raises(Failure, match="make lab"):
        progress.check(None, False, tmp_path / "empty")
