"""Trainings that are killed, cut short on disk, or shared out end as undisturbed ones do."""

import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch

from course_utils.training import CheckpointError
from course_utils.training.checkpoints import (
    random_state,
    read_state,
    save_state,
    set_random_state,
    write_atomically,
)

HERE = Path(__file__).parent
CRASHES = {"step": ("step", 14), "first-write": ("write", 1), "third-write": ("write", 5)}  # two fsyncs a write


def run(cases: dict[Path, tuple[str, int]]) -> list[int]:
    """The exit status of each run."""
    for folder in cases:
        folder.mkdir(exist_ok=True)
    arguments = [f"{folder}:{how}:{at}" for folder, (how, at) in cases.items()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COURSE_DEVICE": "cpu"}
    command = [sys.executable, HERE / "crashing_run.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


def same(first: object, second: object) -> bool:
    """Equal to the last bit, for nested tensors and plain values."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    return first == second


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system knows neither fork nor kill -9")
def test_kill_9_and_resume_gives_bit_identical_weights(tmp_path: Path) -> None:
    undisturbed = tmp_path / "never"
    folders = [tmp_path / name for name in CRASHES]
    killed = [-signal.SIGKILL] * len(CRASHES)
    assert run({undisturbed: ("never", 0), **dict(zip(folders, CRASHES.values(), strict=True))}) == [0, *killed]
    whole = torch.load(undisturbed / "result.pt")
    assert len(whole["values"]["model/loss"]) == 20
    step, first, third = folders
    assert not any((folder / "result.pt").exists() for folder in folders)
    for folder in (step, third):
        assert read_state(folder / "training.pt")["history"]["steps"] in (8, 12), "there must be something to resume"
    for folder in (first, third):
        assert (folder / ".training.pt.part").exists(), "the kill must have come in the middle of the write"
    assert not (first / "training.pt").exists()
    assert run(dict.fromkeys(folders, ("never", 0))) == [0, 0, 0]
    for folder in folders:
        assert same(torch.load(folder / "result.pt"), whole), folder.name


def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    program = str(HERE / "two_processes.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COURSE_DEVICE": "cpu"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    commands = [[sys.executable, program, tmp_path / "one"], [*torchrun, program, tmp_path / "two"]]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    running = [subprocess.Popen(command, **pipes) for command in commands]
    for process in running:
        out, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
        assert out.count("12/12") == 1, "only the first process shows a bar"
    one, first, second = (torch.load(tmp_path / name) for name in ("one.0", "two.0", "two.1"))
    assert set(one["sizes"]) == {8}
    assert set(first["sizes"]) == set(second["sizes"]) == {4}
    shares = zip(first["seen"], second["seen"], strict=True)
    assert sorted(index for pair in shares for index in pair) == sorted(one["seen"])
    assert len(one["seen"]) == 12 * 2 * 8
    for name, value in one["weights"].items():
        assert torch.allclose(first["weights"][name], value, atol=1e-5, rtol=0), name
        assert torch.equal(first["weights"][name], second["weights"][name]), name
    for name, values in one["history"].items():
        assert first["history"][name] == pytest.approx(values, abs=1e-5), name
    begun = read_state(tmp_path / "two.training")
    assert begun["configuration"]["processes"] == 2
    assert len(begun["random"]) == 2


def test_the_random_state_comes_back() -> None:
    state = random_state()
    drawn = [random.random(), numpy.random.normal(), torch.rand(2).tolist()]
    set_random_state(state)
    assert [random.random(), numpy.random.normal(), torch.rand(2).tolist()] == drawn
    set_random_state(state)
    random.gauss(0, 1)  # leaves a second draw waiting
    numpy.random.normal()
    middle = random_state()
    drawn = [random.gauss(0, 1), numpy.random.normal()]
    set_random_state(middle)
    assert [random.gauss(0, 1), numpy.random.normal()] == drawn


def test_a_state_comes_back_and_a_foreign_or_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.pt"
    save_state(path, {"configuration": {"steps": 3, "players": {"a": {"lr": 0.1}}}, "weights": torch.arange(3)})
    assert read_state(path)["weights"].tolist() == [0, 1, 2]
    with pytest.raises(
        CheckpointError, match=r"another training: steps is 3 in the file, 4 asked for; players a lr is"
    ):
        read_state(path, {"steps": 4, "players": {"a": {"lr": 0.2}}})
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"something else"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="damaged or no checkpoint of a training.*Delete it to start anew"):
            read_state(path)
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="holds something else"):
        read_state(path)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        read_state(tmp_path / "missing.pt")


def test_a_state_file_cannot_run_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"configuration": {}, "weights": Trap()}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="damaged"):
        read_state(tmp_path / "state.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_former_file_and_nothing_else(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "file"
    write_atomically(path, "before")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(CheckpointError, match="could not be written: No space left on device.*untouched"):
            write_atomically(path, "after")
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]
    write_atomically(path, b"after")
    assert path.read_text() == "after"
