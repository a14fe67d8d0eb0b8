"""Experiments: rows that are stored one by one and run again only when they must; the page of claims made from them."""

import errno
import json
import os
import signal
import types
from pathlib import Path

import matplotlib.pyplot
import pytest
import torch

from course_utils import training
from course_utils.cli import names
from course_utils.training import CheckpointError, Experiment, Verdict
from course_utils.training.claims import CLAIMS, claims_text, write_claims
from course_utils.training.experiment import stored_rows, summary

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setenv("COURSE_SCALE", "cpu")


calls: list[tuple] = []


def measure(beta: float, seed: int) -> dict:
    calls.append((beta, seed))
    return {"nats": torch.tensor(beta * 10 + seed), "drawn": torch.rand(()), "curve": [1, 2.5], "units": 3}


def study(run=measure, **changes) -> Experiment:
    calls.clear()
    settings = {
        "name": "sweep",
        "question": "What does beta change?",
        "grid": training.grid(beta=(0.1, 2.0), seed=range(3)),
        "run": run,
        "verdict": lambda rows: Verdict("in part", f"{len(rows)} runs say so."),
        "claim": "C01",
        "notebook": "01_autoencoders/02_vae",
    }
    return Experiment(**{**settings, **changes})


def redefined(body: str) -> types.FunctionType:
    """The function `measure` as a reader would write it anew."""
    path = Path(os.environ["COURSE_DATA"]) / f"code{len(os.listdir(os.environ['COURSE_DATA']))}.py"
    path.write_text(f"def measure(beta: float, seed: int):\n{body}\n")
    module = types.ModuleType("somewhere")
    exec(compile(path.read_text(), str(path), "exec"), vars(module))
    return module.measure


def test_a_grid_is_all_combinations() -> None:
    assert training.grid(a=(1, 2), b="xy") == (
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    )


def test_each_run_gives_one_row_with_its_origin(tmp_path: Path) -> None:
    experiment = study()
    rows = training.run_experiment(experiment, show=lambda line: None)
    assert [(row["beta"], row["seed"]) for row in rows] == [(0.1, 0), (0.1, 1), (0.1, 2), (2.0, 0), (2.0, 1), (2.0, 2)]
    assert rows == training.results(experiment)
    assert set(rows[0]) == {"beta", "seed", "nats", "drawn", "curve", "units"}
    assert rows[4]["nats"] == 21.0
    assert rows[0]["curve"] == [1, 2.5]
    assert rows[0]["drawn"] == rows[3]["drawn"] != rows[1]["drawn"], "everything random is seeded by the cell"
    stored = json.loads((tmp_path / "experiments" / "sweep.json").read_text())
    assert stored == stored_rows(experiment)
    assert stored[1]["command"] == "course experiment sweep"
    assert (stored[1]["seed"], stored[1]["scale"]) == (1, "cpu")
    assert stored[1]["seconds"] >= 0
    assert "torch" in stored[1]["versions"]


def test_finished_cells_are_not_run_again(capsys: pytest.CaptureFixture) -> None:
    experiment = study()
    rows = training.run_experiment(experiment, only={"beta": 0.1, "seed": 1})
    assert calls == [(0.1, 1)]
    assert [row["seed"] for row in rows] == [1]
    assert len(training.stale(experiment)) == 5
    training.run_experiment(experiment)
    assert calls == [(0.1, 1), (0.1, 0), (0.1, 2), (2.0, 0), (2.0, 1), (2.0, 2)]
    assert capsys.readouterr().out.splitlines()[1:3] == ["sweep 1/6: beta=0.1, seed=0", "sweep 3/6: beta=0.1, seed=2"]
    assert training.stale(experiment) == []
    training.run_experiment(experiment)
    assert len(calls) == 6
    training.run_experiment(experiment, only={"seed": 2}, force=True)
    assert calls[6:] == [(0.1, 2), (2.0, 2)]


def test_a_run_that_breaks_off_keeps_the_rows_before_it() -> None:
    def stumble(beta: float, seed: int) -> dict:
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measure(beta, seed)

    with pytest.raises(KeyboardInterrupt):
        training.run_experiment(study(stumble), show=lambda line: None)
    assert [row["seed"] for row in training.results(study())] == [0, 1]


def test_an_interrupted_training_gives_no_row() -> None:
    def interrupted(beta: float, seed: int) -> dict:
        module = torch.nn.Linear(1, 1)

        def objective(batch: dict) -> tuple[torch.Tensor, dict]:
            os.kill(os.getpid(), signal.SIGINT)
            return module.weight.sum(), {}

        training.fit(training.Player("line", module, objective), [{}], 5, progress=False)
        return {"nats": 0.0}

    with pytest.raises(KeyboardInterrupt):
        training.run_experiment(study(interrupted), show=lambda line: None)
    assert stored_rows(study()) == []


def test_changed_code_makes_rows_stale_and_comments_do_not(capsys: pytest.CaptureFixture) -> None:
    first = redefined("    return {'nats': beta + seed}")
    training.run_experiment(study(first), show=lambda line: None)
    commented = redefined("    '''Now with words.'''\n    # and a comment\n    return {'nats':   beta + seed}")
    assert training.stale(study(commented)) == []
    changed = redefined("    return {'nats': beta - seed}")
    assert len(training.stale(study(changed))) == 6
    rows = training.run_experiment(study(changed))
    assert "sweep 1/6 again (its code has changed): beta=0.1, seed=0" in capsys.readouterr().out
    assert [row["nats"] for row in rows][:3] == pytest.approx([0.1, -0.9, -1.9])


def test_one_cell_can_be_run_live_and_is_not_stored() -> None:
    row = training.run_cell(study(), 4)
    assert (row["beta"], row["seed"], row["nats"]) == (2.0, 1, 21.0)
    with pytest.raises(CheckpointError, match="no results of experiment sweep.*course experiment sweep"):
        training.results(study())


def test_other_scales_leave_the_stored_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = study()
    training.run_experiment(experiment, show=lambda line: None)
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    other = study(lambda beta, seed: {"nats": -1.0})
    assert [row["nats"] for row in training.run_experiment(other, show=lambda line: None)] == [-1.0] * 6
    assert training.results(experiment)[0]["nats"] == 0.0 + 0.1 * 10


def test_rows_of_cells_that_left_the_grid_are_left_out() -> None:
    training.run_experiment(study(), show=lambda line: None)
    smaller = study(grid=training.grid(beta=(2.0,), seed=(2, 0)))
    assert [row["seed"] for row in training.results(smaller)] == [2, 0]


@pytest.mark.parametrize(
    ("result", "said"), [({"nats": "low"}, "'nats' is a str"), ({"beta": 1.0}, "which its cell has too")]
)
def test_results_that_are_no_numbers_are_refused(result: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        training.run_experiment(study(lambda beta, seed: result), show=lambda line: None)


def test_numbers_that_are_not_finite_become_gaps() -> None:
    rows = training.run_experiment(study(lambda beta, seed: {"nats": float("nan")}), show=lambda line: None)
    assert rows[0]["nats"] is None
    assert summary(study())[0]["metrics"] == {}


def test_wrong_experiments_are_refused() -> None:
    with pytest.raises(ValueError, match="no cell of experiment 'sweep' has {'beta': 7}"):
        training.run_experiment(study(), only={"beta": 7})
    with pytest.raises(ValueError, match="none twice"):
        study(grid=({"beta": 1}, {"beta": 1}))
    with pytest.raises(ValueError, match="a verdict is one of"):
        Verdict("perhaps", "who knows")
    assert str(Verdict("holds here", "so it is")) == "holds here: so it is"


def test_a_damaged_file_is_named_and_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "experiments" / "sweep.json"
    training.run_experiment(study(), only={"seed": 0}, show=lambda line: None)
    before = path.read_text()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match="No space left"):
            training.run_experiment(study(), show=lambda line: None)
    assert path.read_text() == before
    for content in (before[:-20], "{}", '[{"cell": 1}]'):
        path.write_text(content)
        with pytest.raises(CheckpointError, match="sweep.json is damaged"):
            training.results(study())


def test_the_summary_is_mean_and_deviation_over_seeds() -> None:
    training.run_experiment(study(), show=lambda line: None)
    low, high = summary(study())
    assert low["setting"] == {"beta": 0.1}
    assert low["seeds"] == 3
    assert low["metrics"]["nats"] == pytest.approx((2.0, 1.0))
    assert high["metrics"]["nats"] == pytest.approx((21.0, 1.0))
    assert "curve" not in low["metrics"]


@pytest.mark.parametrize(
    ("more", "less", "margin", "clear"),
    [
        ([3.0, 4.0, 5.0], [0.9, 1.0, 1.1], 0.0, True),  # three apart, and one the wider spread
        ([3.0, 4.0, 5.0], [2.4, 2.5, 2.6], 0.0, False),  # one and a half apart
        ([2.4, 2.5, 2.6], [-1.0, 0.0, 1.0], 0.0, True),  # the wider spread may be the lesser's
        ([1.4, 1.5, 1.6], [-1.0, 0.0, 1.0], 0.0, False),
        ([3.0, 4.0, 5.0], [0.9, 1.0, 1.1], 2.9, True),
        ([3.0, 4.0, 5.0], [0.9, 1.0, 1.1], 3.1, False),
        ([0.9, 1.0, 1.1], [3.0, 4.0, 5.0], 0.0, False),  # less is not more
        ([1.0], [0.9], 0.0, True),  # single seeds have no spread
        ([1.0], [1.0], 0.0, False),
    ],
)
def test_clearly_more_is_beyond_the_margin_and_twice_either_spread(more, less, margin, clear) -> None:
    assert training.clearly_more(more, less, margin) is clear


def test_every_claim_has_a_number_a_chapter_and_our_words() -> None:
    assert [claim.id for claim in CLAIMS] == [f"C{number:02}" for number in range(1, 45)]
    later = [claim.id for claim in CLAIMS if claim.later]
    assert later == [f"C{n:02}" for n in (12, 13, 14, 15, 20, 34, 35, 36, 41, 42, 43, 44)]
    assert {claim.id: claim.chapters for claim in CLAIMS}["C11"] == ("01", "02")
    assert len({claim.says for claim in CLAIMS}) == 44


def test_the_page_of_claims_shows_numbers_spread_and_verdict(tmp_path: Path) -> None:
    experiment = study(figure=lambda rows: matplotlib.pyplot.figure(figsize=(1, 1)))
    text = claims_text([experiment, study(claim=None, name="own")])
    assert text.count("| not yet |") == 44 - 12
    assert text.count("| not yet (a later round) |") == 12
    assert "Not yet: run `course experiment sweep`" in text
    assert "figures/" not in text
    training.run_experiment(experiment, only={"seed": 0}, show=lambda line: None)
    text = claims_text([experiment])
    assert "**No verdict**: 4 of 6 runs are missing or out of date" in text
    training.run_experiment(experiment, show=lambda line: None)
    text = claims_text([experiment])
    assert "| 0.1 | 2 ± 1 |" in text
    assert "**Verdict: in part.** 6 runs say so." in text
    assert "| C01 | With a VAE one can find the code of a given picture" in text
    assert "| 01_autoencoders | in part |" in text
    assert "[01_autoencoders/02_vae](../solutions/01_autoencoders/02_vae.ipynb)" in text
    path = write_claims([experiment])
    assert path == tmp_path / "docs" / "claims.md", "where the data have moved, the page of the course stays as it is"
    assert path.read_text() == text
    assert (path.parent / "figures" / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert "(figures/sweep.png)" in text
    matplotlib.pyplot.close("all")
    with pytest.raises(ValueError, match="'C99', but claims are C01 to C44"):
        claims_text([study(claim="C99")])


def test_the_page_in_docs_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSE_DATA")
    page = (REPOSITORY / "docs" / "claims.md").read_text(encoding="utf-8")
    assert page == claims_text(names.experiments().values()), "make it with: course experiment --all"
