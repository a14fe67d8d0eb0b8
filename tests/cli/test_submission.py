"""`course submit`: says what is missing, packs the rest, and `course collect` understands what it packed."""

import json
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from course_utils import runtime
from course_utils.cli import main, submission
from course_utils.grading import collect, official

RIGHT = """def discriminator_loss(real_logits, fake_logits):
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course whose chapters 01 and 02, and the page before them, are handed out, and lie untouched in work/."""
    for chapter in ("01_autoencoders", "02_gans"):
        for folder in ("notebooks", "work"):
            shutil.copytree(runtime.repository() / "notebooks" / chapter, tmp_path / folder / chapter)
    for folder in ("notebooks", "work"):
        shutil.copy(runtime.repository() / "notebooks" / "00_welcome.ipynb", tmp_path / folder)
    monkeypatch.setattr(submission.runtime, "repository", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(root: Path) -> Callable[[str, str], None]:
    """Writes an answer into the cell of that name of work/02_gans/01_gan.ipynb; without an answer it deletes the cell."""

    def put(name: str, answer: str) -> None:
        path = root / "work" / "02_gans" / "01_gan.ipynb"
        notebook = json.loads(path.read_text(encoding="utf-8"))
        (place,) = [
            i for i, c in enumerate(notebook["cells"]) if c["metadata"].get("nbgrader", {}).get("grade_id") == name
        ]
        if answer:
            notebook["cells"][place]["source"] = answer
        else:
            del notebook["cells"][place]
        path.write_text(json.dumps(notebook), encoding="utf-8")

    return put


def test_what_is_missing_is_said_and_the_rest_is_packed(
    root: Path, write: Callable[[str, str], None], capsys: pytest.CaptureFixture
) -> None:
    write("discriminator-loss", RIGHT)
    write("saturating-generator-loss", "def saturating_generator_loss(fake_logits):\n    return fake_logits.mean()\n")
    write("question-coin", "Because it can do no better than to guess.")
    write("optimal-discriminator", "")
    (root / "work" / "02_gans" / "02_dcgan.ipynb").unlink()
    (root / "work" / "02_gans" / "mine.py").write_text("a = 1\n")
    (root / "work" / "02_gans" / "01_gan.old-1.ipynb").write_text("kept by a reset")
    before = {path: path.read_bytes() for path in (root / "work").rglob("*") if path.is_file()}
    assert main.main(["submit"]) == 0
    assert {path: path.read_bytes() for path in (root / "work").rglob("*") if path.is_file()} == before
    said = {
        tuple(part.strip() for part in line.split("│")[1:4])
        for line in capsys.readouterr().out.splitlines()
        if "│" in line
    }
    missing = {cell: reason for _, cell, reason in said}
    assert "discriminator-loss" not in missing and "question-coin" not in missing
    assert missing["non-saturating-generator-loss"] == submission.UNWRITTEN
    assert missing["saturating-generator-loss"].startswith("its check does not hold: ")
    assert missing["optimal-discriminator"].startswith("its cell was deleted")
    assert ("02_gans/02_dcgan", "", "the notebook is not in work/") in said
    with zipfile.ZipFile("submission.zip") as archive:
        assert sorted(archive.namelist()) == ["02_gans/01_gan.ipynb", "02_gans/mine.py"]


def test_what_was_packed_is_collected(root: Path, write: Callable[[str, str], None]) -> None:
    write("discriminator-loss", RIGHT)
    (root / "work" / "02_gans" / "mine.py").write_text("a = 1\n")
    chapters = {
        name: official.read_chapter(name, Path(__file__).parents[2] / "solutions")
        for name in ("01_autoencoders", "02_gans")
    }
    assert main.main(["submit", "01_autoencoders", "02_gans", "--out", "all.zip"]) == 0
    places = ["Ada_17_assignsubmission_file/all.zip", "lovelaceada_4711_815_all.zip"]
    for number, place in enumerate(places):
        target = root / "downloads" / str(number) / place
        target.parent.mkdir(parents=True)
        shutil.copy("all.zip", target)
        report = collect.collect(root / "downloads" / str(number), root / f"term{number}", chapters)
        assert report.notes == []
        assert {(row["chapter"], row["notebooks"], row["other files"]) for row in report.rows} == {
            ("01_autoencoders", 3, 0),
            ("02_gans", 2, 1),
        }
        assert all(row["handed in"].startswith(time.strftime("%Y-", time.gmtime())) for row in report.rows)
    (stored,) = (root / "term0").rglob("01_gan.ipynb")
    assert stored.read_bytes() == (root / "work" / "02_gans" / "01_gan.ipynb").read_bytes()


@pytest.mark.parametrize(("content", "said"), [("no notebook", "no readable notebook"), ("x" * 21 * 2**20, "MB")])
def test_a_notebook_that_could_not_be_graded_is_named_and_nothing_is_packed(
    root: Path, capsys: pytest.CaptureFixture, content: str, said: str
) -> None:
    (root / "work" / "02_gans" / "01_gan.ipynb").write_text(content)
    assert main.main(["submit"]) == 1
    written = capsys.readouterr().err
    assert "nothing was packed" in written and "01_gan.ipynb" in written and said in written
    assert not Path("submission.zip").exists()


def test_where_there_is_nothing_to_hand_in_it_says_so(root: Path, capsys: pytest.CaptureFixture) -> None:
    assert main.main(["submit"]) == 1
    assert "no exercise in" in capsys.readouterr().err
    shutil.rmtree(root / "work" / "02_gans")
    assert main.main(["submit", "02_gans"]) == 1
    assert "`make lab` copies them there" in capsys.readouterr().err
    assert main.main(["submit", "02_gnas"]) == 2
    assert "did you mean '02_gans'" in capsys.readouterr().err
    assert main.main(["submit", "--out", str(root)]) == 2
    assert not Path("submission.zip").exists()
