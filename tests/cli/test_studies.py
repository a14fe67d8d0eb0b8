"""`course experiment`: with a study that costs nothing."""

import json
from pathlib import Path

import pytest

from course_utils.cli import main, names
from course_utils.training import Experiment, Verdict


def double(number: int, seed: int) -> dict[str, float]:
    return {"twice": 2.0 * number}


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Experiment:
    """An experiment of two cells, in a data folder of its own."""
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setenv("COURSE_SCALE", "cpu")
    toy = Experiment(
        name="doubling",
        question="Is twice a number twice as much?",
        notebook="01_autoencoders/01_autoencoder",
        grid=({"number": 2, "seed": 0}, {"number": 5, "seed": 0}),
        run=double,
        verdict=lambda rows: Verdict("holds here", f"{len(rows)} of {len(rows)}"),
        figure=lambda rows: None,
    )
    monkeypatch.setattr(names, "experiments", lambda: {"doubling": toy})
    return toy


def lines(capsys: pytest.CaptureFixture) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_experiment_is_listed_run_and_listed_as_stored(
    study: Experiment, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main.main(["experiment", "--json"]) == 0
    (row,) = lines(capsys)
    assert row["name"] == "doubling"
    assert row["cells"] == 2
    assert row["results"] == "missing"
    assert main.main(["experiment", "doubling"]) == 0
    assert "holds here: 2 of 2" in capsys.readouterr().out
    assert (tmp_path / "experiments" / "doubling.json").exists()
    assert main.main(["experiment", "--all", "--json"]) == 0
    assert [row["twice"] for row in lines(capsys)] == [4.0, 10.0]
    assert main.main(["experiment", "--json"]) == 0
    assert lines(capsys)[0]["results"] == "stored"


def test_one_cell_is_run_and_not_stored(study: Experiment, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main.main(["experiment", "doubling", "--only", "1", "--json"]) == 0
    assert lines(capsys) == [{"number": 5, "seed": 0, "twice": 10.0}]
    assert not (tmp_path / "experiments").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("doublin",), "no experiment is called 'doublin'; did you mean 'doubling'?"),
        (("doubling", "--only", "2"), "has the cells 0 to 1, not 2"),
        (("doubling", "--all"), "not both"),
        (("--only", "0"), "--only needs the name"),
    ],
)
def test_a_wrong_command_line_ends_with_2(
    study: Experiment, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture
) -> None:
    assert main.main(["experiment", *arguments]) == 2
    assert said in capsys.readouterr().err
