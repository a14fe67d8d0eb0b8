"""What `course grade`, `course collect` and `course release --to` say of what cannot be: what is wrong, what was expected, what to do."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from course_utils import runtime
from course_utils.cli import notebooks
from course_utils.cli.main import main
from course_utils.grading import sandbox, term

LAYOUT = "STUDENT/CHAPTER/*.ipynb, as `course collect` makes it"


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """Runs a command in an empty folder; what it says on stderr. The code must be the expected one, and nothing be written."""
    monkeypatch.chdir(tmp_path)

    def run(code: int, *arguments: str) -> str:
        before = contents(tmp_path)
        assert main(arguments) == code
        assert contents(tmp_path) == before, "something was written all the same"
        told = capsys.readouterr()
        assert told.err.startswith("course: ") and "Traceback" not in told.err
        return told.err

    return run


def contents(folder: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else None, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
        if not path.is_dir()
    } | {str(path.relative_to(folder)): "folder" for path in folder.rglob("*") if path.is_dir()}


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were a sandbox, so that these tests need none."""
    monkeypatch.setattr(sandbox, "why_not", lambda: "")


# --- course grade


def test_grade_without_a_folder(said: Callable[..., str], tmp_path: Path) -> None:
    assert said(2, "grade", "nowhere") == f"course: nowhere is not there; give a folder that holds {LAYOUT}\n"
    (tmp_path / "file").write_text("x")
    assert said(2, "grade", "file") == f"course: file is a file; give a folder that holds {LAYOUT}\n"


@pytest.mark.usefixtures("allowed")
def test_grade_without_submissions_says_why_each_was_left_out(said: Callable[..., str], tmp_path: Path) -> None:
    pytest.importorskip("nbgrader")
    folder = tmp_path / "submitted"
    folder.mkdir()
    assert said(1, "grade", "submitted") == f"course: no submission in submitted: it should hold {LAYOUT}\n"
    for path in (
        "ada/01_gan.ipynb",
        "ben/02_gann/01_gan.ipynb",
        "cy#/02_gans/01_gan.ipynb",
        "dan/01_autoencoders/x.ipynb",
    ):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text("{}")
    (folder / "eve").symlink_to("ada")
    (folder / "flo").mkdir()
    (folder / "gus").write_text("a file")
    (folder / "hal").mkdir()
    (folder / "hal" / "02_gans").write_text("a file")
    text = said(1, "grade", "submitted", "--chapter", "02_gans")
    assert text.startswith("course: no submission to 02_gans in submitted: it should hold STUDENT/CHAPTER")
    for words in (
        "ada/01_gan.ipynb is a file, where the folder of a chapter is expected: `course collect` sorts such files",
        "ben/02_gann: no chapter has this name: rename the folder",
        "cy#: a student's name has letters, digits, spaces",
        "eve is a link: it was not followed",
        "flo is empty",
        "gus is a file, where a student's folder is expected",
        "hal/02_gans is a file, where the folder of a chapter is expected",
    ):
        assert words in text
    assert "dan" not in text, "a folder for another chapter is passed over"


@pytest.mark.usefixtures("allowed")
def test_grade_with_what_cannot_be(said: Callable[..., str], tmp_path: Path) -> None:
    pytest.importorskip("nbgrader")
    for name in ("answers", "submitted"):
        (tmp_path / name / "ada" / "02_gans").mkdir(parents=True)
        (tmp_path / name / "ada" / "02_gans" / "01_gan.ipynb").write_text("{}")
    (tmp_path / "file").write_text("x")
    assert "no chapter is called '02_gan'; did you mean '02_gans'?" in said(
        2, "grade", "submitted", "--chapter", "02_gan"
    )
    assert "at least one process has to grade" in said(2, "grade", "submitted", "-j", "0")
    text = said(2, "grade", "answers")
    assert "the submissions would be lost: rename that folder" in text and "--to" in text
    assert "where the submissions are: choose another folder" in said(2, "grade", "submitted", "--to", "submitted/ada")
    assert "file is a file, and results go into a folder" in said(2, "grade", "submitted", "--to", "file")


def test_grade_without_bubblewrap(said: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nbgrader")
    (tmp_path / "submitted" / "ada" / "02_gans").mkdir(parents=True)
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    monkeypatch.setattr(sandbox, "why_not", sandbox.why_not.__wrapped__)
    text = said(1, "grade", "submitted")
    assert text.startswith("course: nothing was graded: bubblewrap is not here")
    assert "sudo apt install bubblewrap" in text and "--unsafe" in text


def test_unreadable_students_are_named_and_stop_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ada", "ben"):
        (tmp_path / name / "02_gans").mkdir(parents=True)
    whole = Path.iterdir

    def refuses(path: Path) -> Any:  # root may read everything: it is refused here
        if path.name == "ada":
            raise PermissionError(13, "Permission denied")
        return whole(path)

    monkeypatch.setattr(Path, "iterdir", refuses)
    found, left_out = term.find_submissions(tmp_path, ["02_gans"])
    assert [one.student for one in found] == ["ben"] and left_out == ["ada cannot be read: Permission denied"]


# --- course collect


def test_collect_with_what_cannot_be(said: Callable[..., str], tmp_path: Path) -> None:
    text = said(2, "collect", "nowhere")
    assert text == "course: nowhere is not there; give the folder with all that you downloaded from your platform\n"
    (tmp_path / "class.zip").write_bytes(b"PK")
    assert "class.zip is a file: put it into a folder of its own" in said(2, "collect", "class.zip")
    (tmp_path / "downloads").mkdir()
    text = said(1, "collect", "downloads")
    assert "nothing was collected from downloads: it should hold a folder for each student" in text
    (tmp_path / "downloads" / "class.zip").write_bytes(b"PK nothing")
    (tmp_path / "downloads" / "lone.ipynb").write_text("{}")
    text = said(1, "collect", "downloads")
    assert "class.zip: " in text and "lone.ipynb: nothing says whose it is: put it into a folder" in text
    assert "would be collected itself next time" in said(2, "collect", "downloads", "--to", "downloads/term")
    assert "--to names the folder of the term" in said(2, "collect", "downloads", "--to", "class.zip")
    (tmp_path / "downloads" / os.fsdecode(b"odd\xff\nname")).mkdir()
    (tmp_path / "downloads" / os.fsdecode(b"odd\xff\nname") / os.fsdecode(b"\xfe.ipynb")).write_text("{}")
    assert "odd-name: ?.ipynb belongs to no chapter" in said(1, "collect", "downloads")


# --- course release --to


def test_release_to_what_cannot_be(said: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letters.txt").write_text("private")
    (tmp_path / "file").write_text("x")
    assert "home is not empty: choose another folder, or --force" in said(1, "release", "--to", "home")
    text = said(1, "release", "--to", "home", "--force")
    assert "holds no packed course that --force could replace" in text
    assert "file is a file; --to names the folder" in said(2, "release", "--to", "file")
    assert "no chapter is called '02_gan'; did you mean" in said(2, "release", "--to", "new", "--chapter", "02_gan")
    assert "--chapter and --force belong to --to FOLDER" in said(2, "release", "--force")
    root = runtime.repository()
    assert "holds the course itself" in said(1, "release", "--to", str(root), "--force")
    assert "lies in the course's own folder data" in said(2, "release", "--to", str(root / "data" / "edition"))


def test_release_where_the_disk_is_full_leaves_nothing(
    said: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from course_utils.cli import pack

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pack.release, "generate", lambda _: {"02_gans/01_gan.ipynb": b"{}"})
    monkeypatch.setattr(pack.shutil, "copytree", full)
    assert "edition could not be written (No space left on device): free some space" in said(
        1, "release", "--to", "edition"
    )


def test_a_packed_edition_is_replaced_and_what_else_is_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from course_utils.cli import pack

    root, to = tmp_path / "course", tmp_path / "edition"
    (root / "course_utils").mkdir(parents=True)
    (root / "course_utils" / "a.py").write_text("1")
    for name in ("docs/teaching.md", "docs/claims.md", "data/cache/x", "solutions/hidden_seeds.json", "tests/t.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    (root / "README.md").write_text("# Course\n")
    monkeypatch.setattr(pack, "pairs", lambda _: [])
    monkeypatch.setattr(pack.release, "generate", lambda _: {"02_gans/01_gan.ipynb": json.dumps({}).encode()})
    assert pack.pack(to, (), False, root) == 0
    (to / ".git").mkdir()
    (to / "course_utils" / "old.py").write_text("old")
    (root / "course_utils" / "a.py").write_text("2")
    assert pack.pack(to, (), True, root) == 0
    assert (to / ".git").is_dir() and not (to / "course_utils" / "old.py").exists()
    assert (to / "course_utils" / "a.py").read_text() == "2"
    assert {path.name for path in tmp_path.iterdir()} == {"course", "edition"}
    packed = {path.relative_to(to).as_posix() for path in to.rglob("*") if path.is_file()}
    assert packed == {"README.md", "course_utils/a.py", "docs/claims.md", "notebooks/02_gans/01_gan.ipynb"}


def test_an_edition_of_some_chapters_leads_to_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from course_utils.cli import pack

    names = ("00_front", "01_a/01_x", "02_b/01_y")
    known = [notebooks.Pair(name, Path(f"{name}.py"), Path(f"{name}.ipynb")) for name in names]
    rows = "".join(
        f"| [{name}](notebooks/{name}.ipynb) ([solved](solutions/{name}.ipynb)) | 1 / 2 |\n" for name in names
    )
    page = json.dumps({"source": "To [x](01_a/01_x.ipynb), [y](02_b/01_y.ipynb) and [out](https://example.org/a)."})
    asked: list[str] = []

    def generate(pairs: list[notebooks.Pair]) -> dict[str, bytes]:
        asked.extend(pair.name for pair in pairs)
        return {"00_front.ipynb": page.encode(), "02_b/01_y.ipynb": b"{}"}

    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "README.md").write_text(rows)
    monkeypatch.setattr(pack, "pairs", lambda _: known)
    monkeypatch.setattr(pack.release, "generate", generate)
    assert pack.pack(tmp_path / "edition", ("02_b",), False, tmp_path / "course") == 0
    assert asked == ["00_front", "02_b/01_y"]
    text = json.loads((tmp_path / "edition" / "notebooks" / "00_front.ipynb").read_text())["source"]
    assert text == "To x, [y](02_b/01_y.ipynb) and [out](https://example.org/a)."
    readme = (tmp_path / "edition" / "README.md").read_text()
    assert "notebooks/00_front.ipynb" in readme and "notebooks/02_b" in readme and "01_a" not in readme


def test_without_bubblewrap_the_tests_that_need_it_are_left_out_and_named_in_a_line(tmp_path: Path) -> None:
    tests = Path(__file__).with_name("test_hostile.py")
    (tmp_path / "bin").mkdir()
    environment = os.environ | {"PATH": str(tmp_path / "bin"), "PYTHONPATH": str(runtime.repository())}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "broken_JSON or honest",
        str(tests),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=runtime.repository(), env=environment)
    assert done.returncode == 0 and " skipped" in done.stdout, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("left out: ")]
    assert "which need bubblewrap: `sudo apt install bubblewrap`" in line


def test_progress_is_shown_and_every_outcome_handed_on(capsys: pytest.CaptureFixture) -> None:
    from course_utils.cli import grading

    assert list(grading._bar(iter("ab"), 2)) == ["a", "b"]
