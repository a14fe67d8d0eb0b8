"""A whole term, acted out on two chapters: release, hand out, collect, grade, points by hand, a mended test, feedback, export."""

import csv
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from course_utils.cli import notebooks
from course_utils.cli.main import main

pytestmark = pytest.mark.sandbox
pytest.importorskip("nbgrader", reason="the extra `grade` is not installed")

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


@pytest.mark.timeout(1800)  # on a machine that is busy with something else
def test_a_term(course: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    vae, gan = KEPT
    check = "check.kl_divergence(kl_divergence)\n"
    change(course, check, BROKEN + check)

    # release: the edition for students
    edition, downloads, term = tmp_path / "edition", tmp_path / "downloads", tmp_path / "term"
    assert main(["release", "--to", str(edition)]) == 0
    packed = {path.relative_to(edition).as_posix() for path in edition.rglob("*") if path.is_file()}
    assert packed == {"README.md", "notebooks/01_autoencoders/02_vae.ipynb", "notebooks/02_gans/01_gan.ipynb"}
    assert "solved" not in (edition / "README.md").read_text() and "Secret" not in (edition / "README.md").read_text()
    assert main(["release", "--to", str(edition)]) == 1, "a folder that holds something is not overwritten"

    # handed out, solved, handed in by the ways of three platforms
    folder = downloads / "Ada Lovelace_17_assignsubmission_file_"
    folder.mkdir(parents=True)
    (folder / "02_vae.ipynb").write_bytes(solved(edition, vae, words="Because of the mean. <script>alert(1)</script>"))
    (folder / "mine.ipynb").write_bytes(solved(edition, gan))
    (downloads / "turingalan_44_901_01_gan-2.ipynb").write_bytes(
        solved(edition, gan, {"discriminator-loss": WRONG}, "No.")
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../hopper/02_vae.ipynb", solved(edition, vae))
    (downloads / "class.zip").write_bytes(archive.getvalue())

    assert main(["collect", str(downloads), "--to", str(term)]) == 0
    assert main(["collect", str(downloads), "--to", str(term)]) == 0, "what is there already may come again"
    submitted = term / "submitted"
    there = {path.relative_to(submitted).as_posix() for path in submitted.rglob("*.ipynb")}
    assert there == {"Ada-Lovelace/01_autoencoders/02_vae.ipynb", "Ada-Lovelace/02_gans/01_gan.ipynb",
                     "turingalan/02_gans/01_gan.ipynb", "hopper/01_autoencoders/02_vae.ipynb"}  # fmt: skip

    # graded, with a test that nobody can pass
    assert main(["grade", str(submitted)]) == 0
    expected = {("Ada-Lovelace", "01_autoencoders"): 1, ("hopper", "01_autoencoders"): 1,
                ("Ada-Lovelace", "02_gans"): 4, ("turingalan", "02_gans"): 2}  # fmt: skip
    assert scores(term) == expected

    # points by hand, as nbgrader's formgrader writes them
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{term / 'gradebook.db'}") as gradebook:
        grade = gradebook.find_grade("question-blur", "02_vae", "01_autoencoders", "Ada-Lovelace")
        assert grade.needs_manual_grade and grade.auto_score is None
        empty = gradebook.find_grade("question-blur", "02_vae", "01_autoencoders", "hopper")
        assert not empty.needs_manual_grade and empty.score == 0, "who wrote nothing waits for nobody"
        grade.manual_score, grade.needs_manual_grade = 1.5, False
        gradebook.db.commit()

    # again: all is done, nothing is graded or overwritten, and the table has the new points
    capsys.readouterr()
    feedback = term / "feedback" / "Ada-Lovelace" / "01_autoencoders" / "02_vae.html"
    before = feedback.stat().st_mtime_ns
    assert main(["grade", str(submitted)]) == 0
    assert "0 graded now, 4 were graded before" in capsys.readouterr().out
    assert feedback.stat().st_mtime_ns == before and scores(term)["Ada-Lovelace", "01_autoencoders"] == 2.5

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
    (term / "grades.csv").write_text("edited by hand")
    assert main(["grade", str(submitted)]) == 0
    assert (term / "grades.csv").read_text() == "edited by hand" and "edited by hand" in capsys.readouterr().out

    # what the student gets: hidden tests by what they test, and nothing that runs
    page = (term / "feedback" / "turingalan" / "02_gans" / "01_gan.html").read_text("utf-8")
    assert "This is V itself" in page and "a discriminator that is sure and right" in page
    assert "hidden=True" not in page and "BEGIN HIDDEN" not in page
    assert "<script>alert" not in feedback.read_text("utf-8")

    # who is alike, and nbgrader's own export from the same folder
    with open(term / "similarity.csv", encoding="utf-8") as file:
        assert any("course's own solution" in row["first"] + row["second"] for row in csv.DictReader(file))
    command = [sys.executable, "-m", "nbgrader", "export", "--to", "exported.csv"]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=term, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    with open(term / "exported.csv", encoding="utf-8") as file:
        exported = {(row["student_id"], row["assignment"]): float(row["score"]) for row in csv.DictReader(file)}
    assert exported["Ada-Lovelace", "01_autoencoders"] == 4.5
