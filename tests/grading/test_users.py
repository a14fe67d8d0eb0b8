"""Who grades, and how much is trusted: an ordinary user in place of root, and `--unsafe` in place of the sandbox."""

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from course_utils import runtime
from course_utils.cli.main import main
from course_utils.grading.official import Chapter

NOBODY = 65_534
HELPER = "import torch.nn.functional as F\ndef loss(real, fake):\n    return F.softplus(-real).mean() + F.softplus(fake).mean()\n"
IMPORTS = """import json
from helper import loss
assert json.load(open("data/numbers.json")) == [1, 2]
def discriminator_loss(real_logits, fake_logits):
    return loss(real_logits, fake_logits)
"""
ENDS = "import os\ndef discriminator_loss(real_logits, fake_logits):\n    os._exit(1)\n"
COMMAND = """
import sys
from pathlib import Path
from course_utils import runtime
from course_utils.cli.main import main
if __name__ == "__main__":
    runtime.repository = lambda: Path(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
"""


def small_course(root: Path, chapter: Chapter) -> None:
    """Official notebooks with the two quick questions of the chapter: 2 points and 1."""
    (book,) = chapter.notebooks
    kept = {"discriminator-loss", "saturating-generator-loss"}
    official = json.loads(book.content)
    wanted = kept | {f"{name}-check" for name in kept} | {""}
    official["cells"] = [
        cell
        for cell in official["cells"]
        if cell["cell_type"] == "code" and cell["metadata"].get("nbgrader", {}).get("grade_id", "") in wanted
    ]
    folder = root / "solutions" / "02_gans"
    folder.mkdir(parents=True)
    (folder / "01_gan.ipynb").write_text(json.dumps(official), encoding="utf-8")


def hand_in(folder: Path, notebook: dict[str, Any], source: str | None = None) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "helper.py").write_text(HELPER)
    (folder / "data" / "numbers.json").write_text("[1, 2]")
    if source is not None:
        for cell in notebook["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == "discriminator-loss":
                cell["source"] = source
    (folder / "01_gan.ipynb").write_text(json.dumps(notebook))


def scores(term: Path) -> dict[str, float]:
    with open(term / "grades.csv", encoding="utf-8") as file:
        return {row["student"]: float(row["score"]) for row in csv.DictReader(file)}


def test_without_a_sandbox_when_told_so(
    chapter: Chapter,
    released: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    pytest.importorskip("nbgrader", reason="the extra `grade` is not installed")
    small_course(tmp_path / "course", chapter)
    for name, source in (("ada", IMPORTS), ("ben", ENDS)):
        hand_in(tmp_path / "submitted" / name / "02_gans", json.loads(json.dumps(released)), source)
    monkeypatch.setattr(runtime, "repository", lambda: tmp_path / "course")
    monkeypatch.chdir(tmp_path)
    assert main(["grade", "submitted", "--unsafe"]) == 0
    assert scores(tmp_path) == {"ada": 3, "ben": 1}
    assert "students' code can read and change all that you can" in capsys.readouterr().err
    page = (tmp_path / "feedback" / "ben" / "02_gans" / "01_gan.html").read_text("utf-8")
    assert "the process of the answer ended by itself" in page
    with open(tmp_path / "questions.csv", encoding="utf-8") as file:
        notes = {row["student"]: row["notes"] for row in csv.DictReader(file)}
    assert "files beside the notebooks: data/numbers.json, helper.py" in notes["ada"]
    assert {path.name for path in tmp_path.iterdir()} - {"course", "submitted"} == {
        "answers", "autograded", "feedback", "gradebook.db", "grades.csv", "nbgrader_config.py", "questions.csv",
        "records", "release", "similarity.csv", "source"
    }  # fmt: skip


def as_nobody() -> list[str]:
    """A command line by which root starts a program as another user, to whom the way to Python is open."""
    command = ["bwrap", "--dev-bind", "/", "/"]
    base = Path(sys.base_prefix).resolve()
    shut = next((path for path in reversed(base.parents) if not path.stat().st_mode & 0o001), None)
    if shut is not None:  # such as /root: for that program, a folder that holds nothing but Python stands in its place
        command += ["--perms", "0755", "--tmpfs", str(shut)]
        for parent in reversed([path for path in base.parents if path != shut and path.is_relative_to(shut)]):
            command += ["--perms", "0755", "--dir", str(parent)]
        command += ["--ro-bind", str(base), str(base)]
    return [*command, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="course-nobody-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.sandbox
def test_an_ordinary_user_grades_as_root_does(chapter: Chapter, released: dict[str, Any], open_folder: Path) -> None:
    pytest.importorskip("nbgrader", reason="the extra `grade` is not installed")
    root, term = open_folder / "course", open_folder / "term"
    small_course(root, chapter)
    hand_in(term / "submitted" / "ada" / "02_gans", json.loads(json.dumps(released)), IMPORTS)
    (term / "submitted" / "cy").mkdir(mode=0o000)
    (open_folder / "command.py").write_text(COMMAND)
    command = [sys.executable, str(open_folder / "command.py"), str(root), "grade", str(term / "submitted")]
    if os.geteuid() == 0:
        for path in (term, term / "submitted"):
            os.chown(path, NOBODY, NOBODY)
        command = [*as_nobody(), *command]
    environment = os.environ | {"HOME": str(term), "PYTHONPATH": str(runtime.repository()), "TMPDIR": str(term)}
    done = subprocess.run(command, cwd=term, env=environment, capture_output=True, text=True)
    if "user namespaces may be switched off" in done.stderr:
        pytest.skip("only root may make a sandbox on this machine")
    assert done.returncode == 0, done.stderr
    assert scores(term) == {"ada": 3}
    assert "left out: cy cannot be read: Permission denied" in done.stdout
