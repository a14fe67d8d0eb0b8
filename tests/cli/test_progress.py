"""`course check`: with checks that cost nothing."""

import json
import shutil
import subprocess
import sys
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
        {"notebook": "01_autoencoders/01_autoencoder", "exercises": 1, "hold": ["a"], "open": [], "points": 1, "of": 1},
        {"notebook": "01_autoencoders/02_vae", "exercises": 2, "hold": ["a"], "open": ["b"], "points": 1, "of": 3},
    ]
    assert main.main(["check"]) == 0
    assert "2 of 4 points so far" in capsys.readouterr().out


def test_a_page_before_the_chapters_counts_for_nothing_and_can_be_reset(
    work: Path, released: Path, capsys: pytest.CaptureFixture
) -> None:
    page = work / "00_welcome.ipynb"
    (released.parent / page.name).write_text('{"fresh": 1}')
    page.write_text("played with")
    assert main.main(["check", "--json"]) == 0
    rows = [json.loads(line)["notebook"] for line in capsys.readouterr().out.splitlines()]
    assert rows == ["01_autoencoders/01_autoencoder", "01_autoencoders/02_vae"]
    assert main.main(["reset", "00_welcome"]) == 0
    assert page.read_text() == '{"fresh": 1}' and (work / "00_welcome.old-1.ipynb").read_text() == "played with"


def test_a_file_that_is_no_notebook_does_not_hide_the_others(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    works = course_utils.checks.run_notebook_checks

    def breaks(path: Path) -> list[SimpleNamespace]:
        if path.stem == "01_autoencoder":
            raise ValueError(f"{path} is not a Jupyter notebook")
        return works(path)

    monkeypatch.setattr(course_utils.checks, "run_notebook_checks", breaks)
    assert main.main(["check", "--json"]) == 0
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "is not a Jupyter notebook" in first["problem"] and second["points"] == 1


def test_notebooks_are_found_by_name_or_file(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # whatever stands in a work/ of the folder that the tests run in
    path = work / "01_autoencoders" / "02_vae.ipynb"
    for name in ("02_vae", "02_vae.ipynb", "01_autoencoders/02_vae", "work/01_autoencoders/02_vae.ipynb", str(path)):
        assert progress.find(name, work).resolve() == path.resolve()
    with pytest.raises(UsageError, match="did you mean '02_vae'"):
        progress.find("02_vea", work)
    with pytest.raises(Failure, match="make lab"):
        progress.check(None, False, tmp_path / "empty")


@pytest.fixture
def released(work: Path) -> Path:
    """What was handed out: the second notebook in work/ differs from it."""
    chapter = work.parent / "notebooks" / "01_autoencoders"
    chapter.mkdir(parents=True)
    (chapter / "01_autoencoder.ipynb").write_text("{}")
    (chapter / "02_vae.ipynb").write_text('{"fresh": 1}')
    return chapter


def test_reset_gives_a_fresh_copy_and_keeps_every_old_one(
    work: Path, released: Path, capsys: pytest.CaptureFixture
) -> None:
    copy = work / "01_autoencoders" / "02_vae.ipynb"
    for number in (1, 2):
        copy.write_text(f"my work {number}")
        assert main.main(["reset", "02_vae"]) == 0
        assert copy.read_text() == '{"fresh": 1}'
    kept = [copy.with_name(f"02_vae.old-{number}.ipynb").read_text() for number in (1, 2)]
    assert kept == ["my work 1", "my work 2"]
    assert "02_vae.old-2.ipynb" in capsys.readouterr().out
    main.main(["check", "--json"])
    counted = [json.loads(line)["notebook"] for line in capsys.readouterr().out.splitlines()]
    assert counted == ["01_autoencoders/01_autoencoder", "01_autoencoders/02_vae"]


def test_reset_leaves_what_is_fresh_brings_back_what_is_gone_and_names_what_is_not_there(
    work: Path, released: Path, capsys: pytest.CaptureFixture
) -> None:
    copy = work / "01_autoencoders" / "01_autoencoder.ipynb"
    assert main.main(["reset", "01_autoencoder"]) == 0
    assert "nothing to reset" in capsys.readouterr().out
    copy.unlink()
    assert main.main(["reset", "01_autoencoders/01_autoencoder.ipynb"]) == 0
    assert copy.read_text() == "{}" and len(list(copy.parent.iterdir())) == 2
    assert main.main(["reset", "02_vea"]) == 2
    assert "did you mean '02_vae'" in capsys.readouterr().err


def test_a_reset_that_fails_loses_nothing(work: Path, released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = work / "01_autoencoders" / "02_vae.ipynb"
    copy.write_text("my work")

    def full(original: Path, to: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(progress.shutil, "copyfile", full)
    assert main.main(["reset", "02_vae"]) == 1
    assert copy.read_text() == "my work"


@pytest.mark.skipif(shutil.which("git") is None, reason="no git on this machine")
def test_an_update_of_the_course_never_touches_what_a_student_wrote(tmp_path: Path) -> None:
    """A clone with edits in work/ takes an update of the same notebook, and a new one, by `git pull`."""

    def git(folder: Path, *words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    course, clone = tmp_path / "course", tmp_path / "clone"
    notebook = course / "notebooks" / "01_tiny" / "01_first.ipynb"
    notebook.parent.mkdir(parents=True)
    notebook.write_text("released")
    for name in (".gitignore", "setup_environment.py"):
        shutil.copy(Path(progress.__file__).parents[2] / name, course)
    git(course, "init", "--quiet")
    git(course, "add", ".")
    git(course, "commit", "--quiet", "-m", "first")
    git(tmp_path, "clone", "--quiet", str(course), str(clone))
    copying = "import setup_environment as s; s.copy_notebooks(s.ROOT / 'notebooks', s.ROOT / 'work')"
    subprocess.run([sys.executable, "-c", copying], cwd=clone, check=True)
    mine = clone / "work" / "01_tiny" / "01_first.ipynb"
    mine.write_text("my answer")
    assert git(clone, "status", "--short") == ""
    notebook.write_text("a newer release")
    notebook.with_name("02_second.ipynb").write_text("new")
    git(course, "add", ".")
    git(course, "commit", "--quiet", "-m", "second")
    git(clone, "pull", "--quiet")
    subprocess.run([sys.executable, "-c", copying], cwd=clone, check=True)
    assert mine.read_text() == "my answer" and mine.with_name("02_second.ipynb").read_text() == "new"
