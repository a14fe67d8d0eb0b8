"""`make lab` and what stands behind it: what can be wrong with a machine is one clear line, and nothing of a student's is lost."""

import ast
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections import namedtuple
from pathlib import Path
from types import ModuleType, SimpleNamespace

import psutil
import pytest

from course_utils import runtime

ROOT = runtime.repository()
SCRIPT = ROOT / "setup_environment.py"
Disk = namedtuple("Disk", "total used free")


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup_environment", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The set-up, working on a small course of its own, with a pip that only writes down what it is asked for."""
    root = tmp_path / "course"
    chapter = root / "notebooks" / "01_tiny"
    (chapter / "images").mkdir(parents=True)
    for name in ("01_first.ipynb", "02_second.ipynb", "images/a.png", ".hidden.ipynb"):
        (chapter / name).write_text(f"as released: {name}", encoding="utf-8")
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, root)
    module = load()
    environment = root / ".venv"
    for name, value in {
        "ROOT": root,
        "ENVIRONMENT": environment,
        "PYTHON": environment / "python",
        "STAMP": environment / "course-setup.json",
        "LOCK": root / "requirements.lock",
        "PYPROJECT": root / "pyproject.toml",
    }.items():
        monkeypatch.setattr(module, name, value)
    module.asked = []
    module.torch_found = None

    def make_environment() -> None:
        environment.mkdir()
        module.PYTHON.touch()

    def pip(*arguments: str) -> bool:
        module.asked.append(arguments)
        if arguments[0].startswith("torch=="):
            module.torch_found = arguments[0].removeprefix("torch==")
        return True

    monkeypatch.setattr(module, "make_environment", make_environment)
    monkeypatch.setattr(module, "pip", pip)
    monkeypatch.setattr(module, "runs", lambda python: python.exists())
    monkeypatch.setattr(module, "reachable", lambda address: False)
    monkeypatch.setattr(module, "torch_in_environment", lambda: module.torch_found)
    monkeypatch.setattr(module, "imports_torchvision", lambda: True)
    return module


def one_line(capsys: pytest.CaptureFixture) -> str:
    """What was said on stderr, which has to be a single line."""
    text = capsys.readouterr().err
    assert text.startswith("error: ") and text.count("\n") == 1 and text.endswith("\n"), text
    return text


# --- what can be wrong ------------------------------------------------------------------------------------------------


def test_an_old_python_is_told_so_in_one_line():
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 7))
    program = "import runpy, sys; sys.version_info = (3, 8, 10); sys.argv = ['x', 'lab']; runpy.run_path({!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program.format(str(SCRIPT))], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: Python 3.8 is too old") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("missing", ["venv", "ensurepip"])
def test_a_python_without_venv_is_told_so_in_one_line(monkeypatch, capsys, tmp_path, missing):
    module = load()
    monkeypatch.setattr(module, "ENVIRONMENT", tmp_path / ".venv")
    monkeypatch.setattr(module, "PYTHON", tmp_path / ".venv" / "python")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "stamp")
    monkeypatch.setattr(module.util, "find_spec", lambda name: None if name == missing else object())
    assert module.main(["install"]) == 1
    assert "no venv module" in one_line(capsys)
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(("free", "enough_for_cpu_build"), [(0.5, False), (3.9, False), (5, True)])
def test_a_full_disk_is_told_so_in_one_line(course, monkeypatch, capsys, free, enough_for_cpu_build):
    monkeypatch.setattr(course.shutil, "disk_usage", lambda path: Disk(10**12, 0, free * 10**9))
    monkeypatch.setattr(course, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(course, "reachable", lambda address: True)
    monkeypatch.setattr(course.sys, "platform", "linux")
    assert course.main(["install"]) == (0 if enough_for_cpu_build else 1)
    if not enough_for_cpu_build:
        assert f"{free:.1f} GB are free" in one_line(capsys)
        assert not course.asked and not course.STAMP.exists()


def test_a_taken_port_is_told_so_in_one_line_before_anything_is_done(course, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert course.main(["lab", "--port", str(port)]) == 1
        assert f"PORT={port + 1}" in one_line(capsys)
    assert not course.asked and not (course.ROOT / "work").exists()
    course.check_port(port)


@pytest.mark.parametrize("stops_at", ["torch==", "-c"])
def test_a_pip_that_fails_is_told_so_and_tried_again_the_next_time(course, monkeypatch, capsys, stops_at):
    works = course.pip
    monkeypatch.setattr(course, "pip", lambda *words: not words[0].startswith(stops_at) and works(*words))
    assert course.main(["install"]) == 1
    assert "reason stands above" in one_line(capsys)
    assert not course.STAMP.exists()
    monkeypatch.setattr(course, "pip", works)
    assert course.main(["install"]) == 0
    assert course.STAMP.exists()


def test_a_course_that_was_moved_is_installed_anew(course, monkeypatch, tmp_path):
    assert course.main(["install"]) == 0
    assert course.installed_extras() == set()
    monkeypatch.setattr(course, "ROOT", tmp_path / "moved")
    assert course.installed_extras() is None


def test_an_environment_half_changed_does_not_count_as_ready(course, monkeypatch):
    assert course.main(["install"]) == 0
    monkeypatch.setattr(course, "pip", lambda *words: False)
    assert course.main(["install", "test"]) == 1
    assert course.installed_extras() is None


# --- what is installed ------------------------------------------------------------------------------------------------


def test_torch_is_asked_for_first_and_alone_then_the_rest_at_the_locks_versions(course):
    assert course.main(["install"]) == 0
    first, second = course.asked
    assert first[:2] == (f"torch=={course.locked('torch')}", f"torchvision=={course.locked('torchvision')}")
    assert second[-2:] == ("-e", ".")
    constraints = Path(second[second.index("-c") + 1]).read_text(encoding="utf-8")
    assert constraints == course.LOCK.read_text(encoding="utf-8")


def test_a_second_time_nothing_is_done_until_something_changed(course):
    course.main(["install"])
    del course.asked[:]
    course.main(["install"])
    assert course.asked == []
    course.main(["install", "test"])
    course.main(["install", "peers"])
    assert [words[-1] for words in course.asked] == [".[test]", ".[peers,test]"]
    del course.asked[0]
    course.main(["install", "peers"])
    course.main(["install"])
    assert len(course.asked) == 1
    course.LOCK.write_text(course.LOCK.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    course.main(["install", "grade"])
    assert len(course.asked) == 2 and "test" not in course.asked[1][-1] and "grade" in course.asked[1][-1]
    course.PYTHON.unlink()
    course.ENVIRONMENT.rename(course.ROOT / "moved")
    course.main(["install"])
    assert len(course.asked) == 3


@pytest.mark.parametrize(
    ("version", "fits"),
    [("2.14.1", True), ("2.8.0+cpu", True), ("2.10.0.dev20260101+cu130", True), ("2.7.1", False), ("3.0.0", False)],
)
def test_a_torch_that_is_there_and_fits_is_kept(course, version, fits):
    assert course.torch_fits(version) is fits
    course.torch_found = version
    assert course.main(["install"]) == 0
    assert len(course.asked) == (1 if fits else 2)
    constraints = (course.ENVIRONMENT / "course-constraints.txt").read_text(encoding="utf-8").splitlines()
    held = [line for line in constraints if course.TORCH_FAMILY.match(line)]
    if fits and version != course.locked("torch"):
        assert held == [f"torch=={version}"], "the lock's CUDA libraries and torchvision belong to the lock's torch"
    assert "numpy" in "".join(constraints)


def test_the_torch_of_the_running_python_is_found_and_seen_in_the_environment(course, monkeypatch, tmp_path):
    elsewhere = tmp_path / "elsewhere"

    def put(version: str) -> None:
        shutil.rmtree(elsewhere, ignore_errors=True)
        information = elsewhere / f"torch-{version}.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")

    monkeypatch.syspath_prepend(str(elsewhere))
    put("2.1.0")
    assert course.torch_of_this_python() is None
    put("2.13.0+cpu")
    assert course.torch_of_this_python() == ("2.13.0+cpu", elsewhere.resolve())
    monkeypatch.setattr(course, "ENVIRONMENT", tmp_path)
    assert course.torch_of_this_python() is None

    module = load()
    monkeypatch.setattr(module, "ENVIRONMENT", tmp_path / "made")
    python = tmp_path / "made" / module.PYTHON.relative_to(module.ROOT / ".venv")
    monkeypatch.setattr(module, "PYTHON", python)
    monkeypatch.setattr(module, "torch_of_this_python", lambda: ("2.13.0+cpu", elsewhere))
    module.make_environment()
    assert module.torch_in_environment() == "2.13.0+cpu"


def test_a_torchvision_that_does_not_go_with_the_kept_torch_is_taken_out(course, monkeypatch, capsys):
    course.torch_found = "2.13.0+cpu"
    commands = []
    monkeypatch.setattr(course, "imports_torchvision", lambda: False)
    monkeypatch.setattr(course.subprocess, "run", lambda command, **options: commands.append(command))
    assert course.main(["install"]) == 0
    assert [command[3:] for command in commands] == [["uninstall", "--quiet", "--yes", "torchvision"]]
    assert "No torchvision for torch 2.13.0+cpu" in capsys.readouterr().out


# --- Colab and Codespaces ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("torch", ["2.9.0+cu126", "2.1.0"])
def test_colab_keeps_its_torch_and_what_makes_its_notebooks(course, monkeypatch, capsys, torch):
    there = {
        "torch": torch,
        "torchvision": "0.24.0+cu126",
        "numpy": "2.0.2",
        "IPython": "7.34.0",
        "ipykernel": "6.17.1",
        "tqdm": "4.67",
    }
    distributions = [SimpleNamespace(name=name, version=version) for name, version in there.items()]
    monkeypatch.setattr("importlib.metadata.distributions", lambda: distributions)
    asked = []

    def run(command: list[str]) -> SimpleNamespace:
        kept = Path(command[command.index("-c") + 1]).read_text(encoding="utf-8").split()
        asked.append((command, kept))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(course.subprocess, "run", run)
    if torch == "2.1.0":
        assert course.main(["colab"]) == 1 and not asked
        assert "torch 2.1.0" in one_line(capsys)
        return
    assert course.main(["colab"]) == 0
    ((command, kept),) = asked
    assert command[0] == sys.executable and "--upgrade" not in command
    assert kept == [
        "ipykernel==6.17.1",
        "ipython==7.34.0",
        "numpy==2.0.2",
        f"torch=={torch}",
        "torchvision==0.24.0+cu126",
    ]
    lacking = " ".join(command[command.index("-c") + 2 :])
    assert "faiss-cpu>=" in lacking and "datasets>=" in lacking and "tqdm>=" in lacking
    assert not re.search(r"\b(torch|torchvision|numpy|jupyterlab|ipython|ipykernel)>", lacking)


def test_a_codespace_makes_environment_and_work(course):
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    python, script, *words = container["postCreateCommand"].split()
    assert (python, script) == ("python3", "setup_environment.py")
    assert course.main(words) == 0
    assert course.asked and (course.ROOT / "work" / "01_tiny" / "01_first.ipynb").exists()


# --- the student's copies ---------------------------------------------------------------------------------------------


def test_notebooks_are_copied_once_and_never_touched_again(course):
    source, work = course.ROOT / "notebooks", course.ROOT / "work"
    assert course.copy_notebooks(source, work) == (2, 0)
    assert sorted(str(path.relative_to(work)) for path in work.rglob("*") if path.is_file()) == [
        str(Path("01_tiny", name)) for name in ("01_first.ipynb", "02_second.ipynb", "images/a.png")
    ]
    mine = work / "01_tiny" / "01_first.ipynb"
    mine.write_text("my answer", encoding="utf-8")
    (source / "01_tiny" / "01_first.ipynb").write_text("a newer release", encoding="utf-8")
    (source / "01_tiny" / "03_third.ipynb").write_text("new", encoding="utf-8")
    (work / "01_tiny" / "notes.txt").write_text("mine too", encoding="utf-8")
    assert course.copy_notebooks(source, work) == (1, 2)
    assert mine.read_text(encoding="utf-8") == "my answer"
    assert (work / "01_tiny" / "notes.txt").exists() and (work / "01_tiny" / "03_third.ipynb").exists()


def test_a_copy_that_was_interrupted_is_made_again(course, monkeypatch):
    source, work = course.ROOT / "notebooks", course.ROOT / "work"

    def breaks(original: Path, copy: Path) -> None:
        Path(copy).write_text("half", encoding="utf-8")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(course.shutil, "copyfile", breaks)
        with pytest.raises(OSError, match="No space"):
            course.copy_notebooks(source, work)
    assert course.copy_notebooks(source, work) == (2, 0)
    assert (work / "01_tiny" / "01_first.ipynb").read_text(encoding="utf-8") == "as released: 01_first.ipynb"


# --- JupyterLab itself ------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.skipif(os.name == "nt", reason="JupyterLab is started another way there")
def test_jupyterlab_opens_in_work_and_its_kernel_is_this_environments(course, monkeypatch, tmp_path):
    """The command that `make lab` ends in is run, in a home that has a foreign kernel of the same name."""
    home = tmp_path / "home"
    foreign = home / "jupyter" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    kernel = {"argv": ["/nowhere/python", "-f", "{connection_file}"], "display_name": "foreign", "language": "python"}
    (foreign / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    for name, folder in {
        "HOME": "",
        "JUPYTER_DATA_DIR": "jupyter",
        "JUPYTER_CONFIG_DIR": "c",
        "JUPYTER_RUNTIME_DIR": "r",
    }.items():
        monkeypatch.setenv(name, str(home / folder))
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    monkeypatch.setenv("JUPYTER_TOKEN", "secret")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(course, "install", lambda extras: None)
    monkeypatch.setattr(course, "PYTHON", Path(sys.executable))
    commands = []
    monkeypatch.setattr(course.os, "execv", lambda program, command: commands.append(command))
    port = free_port()
    course.lab(port, browser=False)
    assert Path.cwd() == course.ROOT / "work" and "--no-browser" in commands[0]

    def ask(path: str, data: bytes | None = None) -> dict:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Authorization": "token secret"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(commands[0], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert server.poll() is None, (tmp_path / "log").read_text()
            try:
                ask("/api")
                break
            except OSError:
                time.sleep(0.1)
        assert [entry["name"] for entry in ask("/api/contents")["content"]] == ["01_tiny"]
        assert ask("/api/kernelspecs")["kernelspecs"]["python3"]["spec"]["display_name"] != "foreign"
        assert ask("/api/kernels", json.dumps({"name": "python3"}).encode())["name"] == "python3"
        started = [process.cmdline()[:3] for process in psutil.Process(server.pid).children(recursive=True)]
        assert [sys.executable, "-m", "ipykernel_launcher"] in started
    finally:
        server.terminate()
        server.wait(30)


def test_the_welcome_page_opens_the_first_time_and_not_again(course, monkeypatch, tmp_path):
    monkeypatch.setattr(course, "install", lambda extras: None)
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    monkeypatch.chdir(tmp_path)
    commands = []
    monkeypatch.setattr(course.os, "execv", lambda program, command: commands.append(command))
    opens = "--LabApp.default_url=/lab/tree/00_welcome.ipynb"
    course.lab(free_port(), browser=True)
    assert opens not in commands[0], "it was not handed out"
    (course.ROOT / "notebooks" / "00_welcome.ipynb").write_text("{}")
    course.lab(free_port(), browser=True)
    course.lab(free_port(), browser=True)
    assert opens in commands[1] and opens not in commands[2]
    assert (runtime.repository() / "notebooks" / course.WELCOME).is_file()


# --- Makefile and CI --------------------------------------------------------------------------------------------------


def make(*arguments: str) -> str:
    done = subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
def test_the_targets_do_what_they_say():
    assert "setup_environment.py lab --browser no --port 8890" in make("lab", "BROWSER=no", "PORT=8890")
    assert "setup_environment.py lab --browser yes --port 8888" in make("lab")
    assert "COURSE_SCALE=smoke" in make("test") and "tests solutions" in make("test")
    assert "COURSE_SCALE=cpu" in make("test-full")
    assert "course train vae-glyphs" in make("train", "NAME=vae-glyphs")
    listed = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("lab", "test", "test-full", "notebooks", "release", "site", "train", "bench", "lint"):
        make(target)
        assert f"\n{target} " in f"\n{listed}"


def test_ci_runs_what_the_readme_promises():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text(encoding="utf-8")
    assert re.search(r"chromium.*make test", script.read_text(encoding="utf-8"), re.DOTALL), "the browser comes first"
    assert shutil.which("bash") is None or subprocess.run(["bash", "-n", script]).returncode == 0
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make lab" in readme and "make test" in readme


def test_the_license_is_the_one_that_the_project_names():
    assert (
        (ROOT / "LICENSE")
        .read_text(encoding="utf-8")
        .startswith("MIT License\n\nCopyright (c) 2026 the course authors")
    )
