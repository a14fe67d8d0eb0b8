"""A whole term, acted out on two chapters: release, hand out, collect, grade, points by hand, a mended test, feedback, export."""

import contextlib
import csv
import datetime
import io
import json
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from course_utils.cli import notebooks
from course_utils.cli.main import main

pytestmark = pytest.mark.sandbox
pytest.importorskip("nbgrader", reason="the extra `grade` is not installed")

TWO_POINTS = '"grade_id": "discriminator-loss-check", "locked": true, "points": 2'
IMPORTS = "from helper import loss\ndef discriminator_loss(real_logits, fake_logits):\n    return loss(real_logits, fake_logits)\n"
HELPER = "import torch.nn.functional as F\ndef loss(real, fake):\n    return F.softplus(-real).mean() + F.softplus(fake).mean()\n"
BROKEN = "assert kl_divergence is None, 'a test that nobody can pass'\n"
WRONG = "def discriminator_loss(real_logits, fake_logits):\n    return F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean()\n"


def change(course: Path, old: str, new: str) -> None:
    """Edit the official notebooks."""
    for pair in notebooks.pairs(course / "solutions"):
        text = pair.text.read_text("utf-8")
        pair.text.write_text(text.replace(old, new), "utf-8")
        notebooks.make(pair, run=False)


def scores(term: Path) -> dict[tuple[str, str], float]:
    with open(term / "grades.csv", encoding="utf-8") as file:
        return {(row["student"], row["chapter"]): float(row["score"]) for row in csv.DictReader(file)}


class Page:
    """Acts on docs/teaching.md: runs commands that stand on it, as they stand there."""

    def __init__(self) -> None:
        self.text = (Path(__file__).resolve().parents[2] / "docs" / "teaching.md").read_text("utf-8")
        lines = [line for line in self.text.splitlines() if line.startswith("    ")]
        self.lines = [
            line.split("#")[0].strip() for line in lines if not line.startswith(("    #", "    c" + " ", "    c."))
        ]
        self.done: set[str] = set()

    def run(self, command: str, code: int = 0) -> None:
        """Run a command of the page in this folder; those of the course in this process."""
        assert command in self.lines or f"`{command}`" in self.text, f"the page does not show: {command}"
        self.done.add(command)
        words = command.removeprefix("(").removesuffix(")")
        folder = "."
        if words.startswith("cd "):
            folder, words = words.removeprefix("cd ").split(" && ", 1)
        program, *arguments = shlex.split(words)
        if program == "course":
            assert main(arguments) == code, command
            return
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, env=environment)
        assert done.returncode == code, done.stderr


@contextlib.contextmanager
def formgrader(term: Path, environment: dict[str, str]) -> Iterator[Callable[..., Any]]:
    """JupyterLab in the folder of the term: a function that asks its Formgrader."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        "--IdentityProvider.token=word",
        "--ServerApp.port_retries=0",
    ]
    lab = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], cwd=term, env=environment,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip

    def ask(path: str, put: dict[str, Any] | None = None) -> Any:
        data = None if put is None else json.dumps(put).encode()
        headers = {"Authorization": "token word", "Content-Type": "application/json"}
        address = f"http://127.0.0.1:{port}/formgrader/{path}"
        request = urllib.request.Request(address, data, headers, method="GET" if put is None else "PUT")
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read().decode()
        return json.loads(text) if path.startswith("api/") else text

    try:
        for _ in range(600):
            assert lab.poll() is None, "JupyterLab ended"
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                ask("api/status")
                break
            time.sleep(0.5)
        yield ask
    finally:
        lab.terminate()
        lab.wait()


@pytest.mark.timeout(1800)  # on a machine that is busy with something else
def test_a_term(
    course: Path,
    solved: Callable[..., bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    page = Page()
    monkeypatch.chdir(tmp_path)
    vae, gan = "01_autoencoders/02_vae", "02_gans/01_gan"
    check = "check.kl_divergence(kl_divergence)\n"
    change(course, check, BROKEN + check)

    # before the term: other points; a deadline
    edition, downloads, term = tmp_path / "edition", tmp_path / "downloads", tmp_path / "term"
    text = course / "solutions" / "02_gans" / "01_gan.py"
    text.write_text(text.read_text("utf-8").replace(TWO_POINTS, TWO_POINTS.replace("2", "5")), "utf-8")
    page.run("course notebooks 02_gans/01_gan")
    page.run("course release")
    assert '"points": 5' in (course / "notebooks" / "02_gans" / "01_gan.ipynb").read_text("utf-8")
    page.run("mkdir term")
    page.run('(cd term && nbgrader db assignment add 02_gans --duedate="2027-01-15 23:59:00 UTC")')

    # release: the edition for students
    page.run("course release --to edition --chapter 01_autoencoders 02_gans")
    packed = {path.relative_to(edition).as_posix() for path in edition.rglob("*") if path.is_file()}
    assert packed == {
        "README.md",
        "pyproject.toml",
        "notebooks/01_autoencoders/02_vae.ipynb",
        "notebooks/02_gans/01_gan.ipynb",
    }
    assert "solved" not in (edition / "README.md").read_text() and "Secret" not in (edition / "README.md").read_text()
    assert main(["release", "--to", str(edition)]) == 1, "a folder that holds something is not overwritten"

    # handed out, solved, handed in by the ways of three platforms
    folder = downloads / "Ada Lovelace_17_assignsubmission_file_"
    folder.mkdir(parents=True)
    (folder / "02_vae.ipynb").write_bytes(solved(edition, vae, words="Because of the mean. <script>alert(1)</script>"))
    (folder / "mine.ipynb").write_bytes(solved(edition, gan, {"discriminator-loss": IMPORTS}))
    (folder / "helper.py").write_text(HELPER)
    (downloads / "turingalan_44_901_01_gan-2.ipynb").write_bytes(
        solved(edition, gan, {"discriminator-loss": WRONG}, "No.")
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../hopper/02_vae.ipynb", solved(edition, vae))
    (downloads / "class.zip").write_bytes(archive.getvalue())
    for path in (*folder.iterdir(), downloads / "turingalan_44_901_01_gan-2.ipynb"):
        when = "2027-01-15 23:58" if path.parent == folder else "2027-01-16 02:04"
        os.utime(path, (datetime.datetime.fromisoformat(f"{when}+00:00").timestamp(),) * 2)

    page.run("course collect downloads --to term")
    page.run("course collect downloads --to term")  # what is there already may come again
    submitted = term / "submitted"
    there = {path.relative_to(submitted).as_posix() for path in submitted.rglob("*.ipynb")}
    assert there == {"Ada-Lovelace/01_autoencoders/02_vae.ipynb", "Ada-Lovelace/02_gans/01_gan.ipynb",
                     "turingalan/02_gans/01_gan.ipynb", "hopper/01_autoencoders/02_vae.ipynb"}  # fmt: skip

    # graded, with a test that nobody can pass
    capsys.readouterr()
    page.run("course grade term/submitted -j 2")
    assert "handed in after the deadline: turingalan/02_gans (2 h 05 min)" in capsys.readouterr().out
    with open(term / "grades.csv", encoding="utf-8") as file:
        late = {(row["student"], row["chapter"]): int(row["late_seconds"]) for row in csv.DictReader(file)}
    assert {key for key, seconds in late.items() if seconds} == {("turingalan", "02_gans")}
    expected = {("Ada-Lovelace", "01_autoencoders"): 1, ("hopper", "01_autoencoders"): 1,
                ("Ada-Lovelace", "02_gans"): 7, ("turingalan", "02_gans"): 2}  # fmt: skip
    assert scores(term) == expected

    # points by hand and a comment, in the Formgrader
    from nbgrader.api import Gradebook

    assert "(cd term && jupyter lab)" in page.lines
    page.done.add("(cd term && jupyter lab)")
    with Gradebook(f"sqlite:///{term / 'gradebook.db'}") as gradebook:
        grade = gradebook.find_grade("question-blur", "02_vae", "01_autoencoders", "Ada-Lovelace")
        assert grade.needs_manual_grade and grade.auto_score is None
        empty = gradebook.find_grade("question-blur", "02_vae", "01_autoencoders", "hopper")
        assert not empty.needs_manual_grade and empty.score == 0, "who wrote nothing waits for nobody"
        comment = gradebook.find_comment("question-blur", "02_vae", "01_autoencoders", "Ada-Lovelace")
        grade_id, comment_id, book_id = grade.id, comment.id, grade.notebook.id
    with formgrader(term, os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}) as ask:
        found = {row["name"]: row for row in ask("api/assignments")}
        assert set(found) == {"01_autoencoders", "02_gans"} and found["02_gans"]["duedate"].startswith("2027-01-15")
        assert found["01_autoencoders"]["num_submissions"] == 2
        assert "Because of the mean." in ask(f"submissions/{book_id}")
        ask(f"api/grade/{grade_id}", {"manual_score": 1.5, "extra_credit": None})
        ask(f"api/comment/{comment_id}", {"manual_comment": "Well said."})

    # again: nothing is graded, and the table and the page have the new points
    capsys.readouterr()
    feedback = term / "feedback" / "Ada-Lovelace" / "01_autoencoders" / "02_vae.html"
    assert "Well said." not in feedback.read_text("utf-8")
    page.run("course grade term/submitted")
    told = capsys.readouterr().out
    assert "0 graded now, 4 were graded before" in told
    assert "written anew, for their points or comments have changed: Ada-Lovelace/01_autoencoders\n" in told
    assert scores(term)["Ada-Lovelace", "01_autoencoders"] == 2.5 and "Well said." in feedback.read_text("utf-8")

    # the test is mended: said, and graded again when told to; points by hand stay
    change(course, BROKEN, "")
    assert main(["grade", str(submitted), "--chapter", "01_autoencoders"]) == 0
    assert "--force grades again" in capsys.readouterr().out
    assert scores(term)["hopper", "01_autoencoders"] == 1
    (term / "grades.csv").write_text("edited by hand")
    assert main(["grade", str(submitted), "--chapter", "01_autoencoders", "--force"]) == 0
    assert scores(term) == expected | {("Ada-Lovelace", "01_autoencoders"): 4.5, ("hopper", "01_autoencoders"): 3}
    with Gradebook(f"sqlite:///{term / 'gradebook.db'}") as gradebook:
        grade = gradebook.find_grade("question-blur", "02_vae", "01_autoencoders", "Ada-Lovelace")
        assert grade.manual_score == 1.5 and not grade.needs_manual_grade
    assert "Well said." in feedback.read_text("utf-8")
    (term / "grades.csv").write_text("edited by hand")
    assert main(["grade", str(submitted)]) == 0
    assert (term / "grades.csv").read_text() == "edited by hand" and "edited by hand" in capsys.readouterr().out

    # what the student gets: hidden tests by what they test, and nothing that runs
    handed_back = (term / "feedback" / "turingalan" / "02_gans" / "01_gan.html").read_text("utf-8")
    assert "This is V itself" in handed_back and "a discriminator that is sure and right" in handed_back
    assert "hidden=True" not in handed_back and "BEGIN HIDDEN" not in handed_back
    assert "<script>alert" not in feedback.read_text("utf-8")

    # who is alike, and nbgrader's own export from the same folder
    with open(term / "similarity.csv", encoding="utf-8") as file:
        assert any("course's own solution" in row["first"] + row["second"] for row in csv.DictReader(file))
    page.run("(cd term && nbgrader export --to exported.csv)")
    with open(term / "exported.csv", encoding="utf-8") as file:
        exported = {(row["student_id"], row["assignment"]): float(row["score"]) for row in csv.DictReader(file)}
    assert exported["Ada-Lovelace", "01_autoencoders"] == 4.5
    assert set(page.lines) <= page.done, "a command of the page that this test does not run"
