"""The notebook cache: the same training is made once, and a changed one again."""

import linecache
import types
from pathlib import Path

import pytest
import torch
from torch import nn

from course_utils import runtime
from course_utils.training import History, Player, cached, fit


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))


CELL = '''
def weigh(loss):
    """How much a loss counts."""
    return FACTOR * loss * len(SETTINGS)

def objective_of(model):
    def objective(batch):
        return weigh((model(batch["x"]) - batch["x"]).square().mean()), {}
    return objective

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.line = nn.Linear(1, 1)

    def forward(self, x):
        return self.line(x) + SHIFT

def run(seed=0, steps=4, uses=(), rate=0.1):
    torch.manual_seed(seed)
    model = Model()
    player = Player("model", model, objective_of(model), learning_rate=rate)
    history = cached("toy", lambda: counted(player, steps), model, uses=uses)
    return model, history
'''


class Notebook:
    """A kernel: runs a cell as IPython does, so that the sources of its functions can be found."""

    number = 0

    def __init__(self, change: tuple[str, str] | None = None, **values: object):
        cell = CELL.replace(*change) if change else CELL
        assert change is None or cell != CELL
        Notebook.number += 1
        name = f"<cell {Notebook.number}>"
        linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
        module = types.ModuleType("__main__")
        self.trainings: list[int] = []
        self.minutes: float | None = None
        module.__dict__.update(
            nn=nn,
            torch=torch,
            Player=Player,
            cached=cached,
            counted=self.train,
            FACTOR=1.0,
            SHIFT=0.0,
            SETTINGS={"bias": 1},
            **values,
        )
        exec(compile(cell, name, "exec"), module.__dict__)
        self.run = module.run
        self.uses = (module.weigh, module.objective_of)

    def train(self, player: Player, steps: int) -> History:
        self.trainings.append(1)
        batches = [{"x": torch.linspace(-1, 1, 8)[:, None]}]
        return fit(player, batches, steps, minutes=self.minutes, progress=False)


def test_a_restarted_kernel_does_not_train_again(capsys: pytest.CaptureFixture) -> None:
    first, second = Notebook(), Notebook()
    model, history = first.run(uses=first.uses)
    drawn = torch.rand(3)
    again, same = second.run(uses=second.uses)
    assert torch.equal(torch.rand(3), drawn), "what comes after draws the same numbers"
    assert len(first.trainings) == 1
    assert second.trainings == []
    assert torch.equal(again.line.weight, model.line.weight)
    assert dict(same) == dict(history)
    assert (same.steps, same.finished, same.seconds) == (4, True, history.seconds)
    assert not again.training
    assert "Trained before (4 steps in" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        ("FACTOR * loss", "FACTOR + loss"),
        ("self.line(x) + SHIFT", "self.line(x) - SHIFT"),
        ("- batch", "+ batch"),
        ('Player("model"', 'Player("other"'),
    ],
)
def test_changed_code_trains_again(change: tuple[str, str]) -> None:
    first, second = Notebook(), Notebook(change)
    first.run(uses=first.uses)
    second.run(uses=second.uses)
    assert second.trainings == [1]


@pytest.mark.parametrize("change", [{"FACTOR": 2.0}, {"SHIFT": 1.0}, {"SETTINGS": {"bias": 2, "more": [1, 2]}}])
def test_a_changed_value_of_the_notebook_trains_again(change: dict) -> None:
    first, second = Notebook(), Notebook()
    first.run(uses=first.uses)
    second.run.__globals__.update(change)
    second.run(uses=second.uses)
    assert second.trainings == [1]


@pytest.mark.parametrize("change", [{"seed": 1}, {"rate": 0.2}, {"steps": 5}])
def test_other_settings_train_again_and_stand_beside(change: dict) -> None:
    notebook = Notebook()
    notebook.run(uses=notebook.uses)
    notebook.run(uses=notebook.uses, **change)
    assert len(notebook.trainings) == 2
    notebook.run(uses=notebook.uses)
    assert len(notebook.trainings) == 2, "the first is still kept"


def test_another_scale_trains_again(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook()
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    notebook.run()
    monkeypatch.setenv("COURSE_SCALE", "cpu")
    notebook.run()
    assert len(notebook.trainings) == 2


@pytest.mark.parametrize(
    "change",
    [
        ("How much a loss counts.", "The weight of a loss."),
        ("    return FACTOR * loss *", "    # all of them alike\n\n    return  (FACTOR*loss) *"),
    ],
)
def test_words_and_spaces_do_not_count(change: tuple[str, str]) -> None:
    first, second = Notebook(), Notebook(change)
    first.run(uses=first.uses)
    second.run(uses=second.uses)
    assert second.trainings == []


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_said_in_one_line_and_trained_again(
    damage: bytes | None, capsys: pytest.CaptureFixture
) -> None:
    notebook = Notebook()
    notebook.run()
    (path,) = runtime.cache_folder("notebooks").iterdir()
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    capsys.readouterr()
    notebook.run()
    assert len(notebook.trainings) == 2
    out = capsys.readouterr().out
    assert "is damaged: training again" in out
    assert out.count("\n") == 1
    notebook.run()
    assert len(notebook.trainings) == 2


def test_a_stopped_training_is_not_kept() -> None:
    notebook = Notebook()
    notebook.minutes = 0.0
    assert not notebook.run()[1].finished
    notebook.minutes = None
    assert notebook.run()[1].finished
    assert len(notebook.trainings) == 2


def test_no_more_than_five_variants_are_kept() -> None:
    notebook = Notebook()
    for seed in range(7):
        notebook.run(seed=seed)
    assert len(list(runtime.cache_folder("notebooks").iterdir())) == 5


def test_a_disk_without_room_does_not_stop_the_notebook(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert Notebook().run()[1].finished
    assert "not kept for next time" in capsys.readouterr().out
