"""What is read, found and compared before and after grading: files, cells, downloads, likeness, tables."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from course_utils.grading import collect, extract, files, similarity
from course_utils.grading.gradebook import table
from course_utils.grading.grader import harmless, pieces_to_load
from course_utils.grading.official import Chapter
from course_utils.grading.term import find_submissions


def content(notebook: dict[str, Any]) -> bytes:
    return json.dumps(notebook).encode()


def test_official_cells_stand_in_for_names_that_are_gone(chapter: Chapter, notebook: dict[str, Any]) -> None:
    book = chapter.notebooks[0]
    notebook["cells"] = [c for c in notebook["cells"] if "import torch.nn.functional" not in "".join(c["source"])]
    found = extract.extract(book, extract.read_notebook(content(notebook)))
    sources = [source for _, source in pieces_to_load(book, found)]
    assert any("import torch.nn.functional as F" in source for source in sources)
    assert not any("for step in" in source or "plots.show" in source for source in sources), (
        "nothing is trained or drawn"
    )


def test_a_cell_that_imports_a_name_does_not_bring_in_the_training_that_binds_it(
    chapter: Chapter, notebook: dict[str, Any], answered: Callable[..., dict[str, Any]]
) -> None:
    source = "from helper import loss, game\ndef discriminator_loss(a, b):\n    return loss(a, b)\n"
    found = extract.extract(
        chapter.notebooks[0], extract.read_notebook(content(answered(notebook, {"discriminator-loss": source})))
    )
    sources = [source for _, source in pieces_to_load(chapter.notebooks[0], found)]
    assert source in sources and not any("for step in" in source for source in sources)


def test_what_lies_beside_a_notebook_is_taken_along_within_bounds(tmp_path: Path) -> None:
    (tmp_path / "sub" / "__pycache__").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    for name in (
        "a.ipynb",
        "helper.py",
        "sub/points.csv",
        "sub/__pycache__/x.pyc",
        ".git/config",
        "timestamp.txt",
        ".hidden",
    ):
        (tmp_path / name).write_text(name)
    (tmp_path / "secret.py").symlink_to("/etc/passwd")
    (tmp_path / "sub" / "up").symlink_to("/")
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "large.bin", "wb") as file:
        file.truncate(files.BESIDE_LIMIT + 1)
    (tmp_path / os.fsdecode(b"odd\xff.py")).write_text("x")
    (tmp_path / "new\nline.py").write_text("x")
    found = files.read_files(tmp_path)
    assert found.beside == {"helper.py": b"helper.py", "sub/points.csv": b"sub/points.csv"}
    said = "\n".join(found.notes)
    for words in (
        "secret.py: it is a link",
        "up is a link to a folder",
        "pipe: it is no file",
        "large.bin: it has 8 MB",
    ):
        assert words in said
    assert "odd?.py: left out, for the sake of its name" in said and "new?line.py: left out" in said


def test_too_many_or_too_large_files_beside_a_notebook_are_left_out_and_named(tmp_path: Path) -> None:
    for number in range(files.BESIDE_COUNT + 10):
        (tmp_path / f"f{number:03}").write_bytes(b"x" * (files.BESIDE_LIMIT // 3 - 100 if number < 4 else 1))
    found = files.read_files(tmp_path)
    assert len(found.beside) == files.BESIDE_COUNT and sum(map(len, found.beside.values())) <= files.BESIDE_LIMIT
    assert [note.split(":")[0] for note in found.notes] == ["f003", "f065 and what follows"]


def test_files_beside_notebooks_are_collected_with_them(
    chapter: Chapter, notebook: dict[str, Any], tmp_path: Path
) -> None:
    downloads, target = tmp_path / "downloads", tmp_path / "submitted"
    ada = downloads / "Ada_17_assignsubmission_file_"
    (ada / "work" / "data").mkdir(parents=True)
    (ada / "work" / "01_gan.ipynb").write_bytes(content(notebook))
    (ada / "work" / "helper.py").write_text("x = 1")
    (ada / "work" / "data" / "points.csv").write_text("1")
    (ada / "essay.txt").write_text("above the notebook")
    (downloads / "benb_4_7_01_gan.ipynb").write_bytes(content(notebook))
    (downloads / "benb_4_8_helper-1.py").write_text("x = 2")
    own = io.BytesIO()
    with zipfile.ZipFile(own, "w") as file:
        file.writestr("01_gan.ipynb", content(notebook))
        file.writestr("helper.py", "x = 3")
        file.writestr("../../../up.py", "x = 4")
        file.writestr("timestamp.txt", "1999-01-01 00:00:00 UTC")
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as file:
        file.writestr("Cy Twin_30_assignsubmission_file_/work.zip", own.getvalue())
        file.writestr("Cy Twin_31_assignsubmission_file_/01_gan.ipynb", content(notebook))
    (downloads / "class.zip").write_bytes(whole.getvalue())
    report = collect.collect(downloads, target, {chapter.name: chapter})
    there = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert {path for path in there if "timestamp" not in path} == {
        "Ada/02_gans/01_gan.ipynb", "Ada/02_gans/helper.py", "Ada/02_gans/data/points.csv",
        "benb/02_gans/01_gan.ipynb", "benb/02_gans/helper.py",
        "Cy-Twin-30/02_gans/01_gan.ipynb", "Cy-Twin-30/02_gans/helper.py", "Cy-Twin-30/02_gans/up.py",
        "Cy-Twin-31/02_gans/01_gan.ipynb",
    }  # fmt: skip
    assert (target / "Cy-Twin-30" / "02_gans" / "helper.py").read_text() == "x = 3"
    assert "1999" not in (target / "Cy-Twin-30" / "02_gans" / "timestamp.txt").read_text()
    said = "\n".join(report.notes)
    assert "essay.txt lies beside no notebook" in said and "several of the name Cy-Twin" in said
    assert {path.name for path in tmp_path.iterdir()} == {"downloads", "submitted"}


def test_links_pipes_and_large_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{}")
    (tmp_path / "b.ipynb").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "c.ipynb")
    (tmp_path / "d").symlink_to("/etc")
    with open(tmp_path / "e.ipynb", "wb") as file:
        file.truncate(files.FILE_LIMIT + 1)
    found, _, notes = files.read_files(tmp_path)
    assert list(found) == ["a.ipynb"]
    assert sorted(note.split(":")[0].split(" is")[0] for note in notes) == ["b.ipynb", "c.ipynb", "d", "e.ipynb"]


@pytest.mark.parametrize("cells", ["5", "[5]", '[{"source": [1]}]', "null", '[{"source": "x"}]'])
def test_broken_cells_are_refused(cells: str) -> None:
    with pytest.raises(files.Refused):
        extract.read_notebook(f'{{"nbformat": 4, "cells": {cells}}}'.encode())


def test_downloads_of_several_platforms(chapter: Chapter, notebook: dict[str, Any], tmp_path: Path) -> None:
    downloads, target = tmp_path / "downloads", tmp_path / "submitted"
    (downloads / "Grace Hopper_99_assignsubmission_file_").mkdir(parents=True)
    (downloads / "Grace Hopper_99_assignsubmission_file_" / "anything.ipynb").write_bytes(content(notebook))
    (downloads / "eve").symlink_to("/")
    (downloads / "nobody.ipynb").write_bytes(content(notebook))
    early, late = downloads / "kayalan_1_2_01_gan.ipynb", downloads / "kayalan_1_9_01_gan-2.ipynb"
    late.write_bytes(content(notebook))
    notebook["cells"] = notebook["cells"][:-1]
    early.write_bytes(content(notebook))
    os.utime(early, (1_000, 1_000))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../../lee/01_gan.ipynb", content(notebook))
        file.writestr("lee/essay.ipynb", '{"nbformat": 4, "cells": []}')
    (downloads / "all.zip").write_bytes(archive.getvalue())
    (downloads / "broken.zip").write_bytes(b"PK nothing")
    report = collect.collect(downloads, target, {chapter.name: chapter})
    assert {(row["student"], row["notebooks"]) for row in report.rows} == {
        ("Grace-Hopper", 1),
        ("kayalan", 1),
        ("lee", 1),
    }
    assert (target / "kayalan" / "02_gans" / "01_gan.ipynb").read_bytes() == late.read_bytes()
    said = "\n".join(report.notes)
    for words in (
        "nobody.ipynb: nothing says whose it is",
        "essay.ipynb belongs to no chapter",
        "broken.zip",
        "more than once",
    ):
        assert words in said
    assert {path.name for path in tmp_path.iterdir()} == {"downloads", "submitted"}
    late.write_bytes(early.read_bytes())
    report = collect.collect(downloads, target, {chapter.name: chapter})
    assert any("--force replaces it" in note for note in report.notes)
    found, _ = find_submissions(target, ["02_gans"])
    assert [one.student for one in found] == ["Grace-Hopper", "kayalan", "lee"]


def test_renamed_copies_are_alike_and_honest_answers_are_not() -> None:
    one = "def f(mean, scale):\n    total = 0\n    for x in mean:\n        total = total + x * scale\n    return total / len(mean)\n"
    copied = 'def f(m, s):\n    """Mine."""\n    t = 0  # begin\n    for value in m:\n        t = (t + value * s)\n    return t / len(m)\n'
    own = "def f(mean, scale):\n    return (mean * scale).mean() + 0 * scale.sum() + 0 * mean.sum()\n"
    prints = {name: similarity.normal(source) for name, source in {"a": one, "b": copied, "c": own}.items()}
    assert prints["a"] == prints["b"] != prints["c"]
    assert similarity.normal("def f(:") is None
    everybody = {name: {"nb/f": (str(text), text.count("("))} for name, text in prints.items()}
    (row,) = similarity.pairs(everybody)
    assert (row["first"], row["second"], row["equal"], row["of"]) == ("a", "b", 1, 1)


def test_what_many_share_tells_little() -> None:
    everybody = {f"s{i}": {"nb/f": ("same", 30), "nb/g": ("ab" if i < 2 else str(i), 30)} for i in range(10)}
    rows = similarity.pairs(everybody)
    assert (rows[0]["first"], rows[0]["second"]) == ("s0", "s1") and rows[0]["weight"] > 5 * rows[1]["weight"]


def test_tables_hold_no_formula_and_answers_no_html() -> None:
    assert table([{"student": "=HYPERLINK(1)", "score": -1.0}]) == "student,score\n'=HYPERLINK(1),-1.0\n"
    assert "<" not in harmless("<script>alert(1)</script> <img src=x onerror=y> <!-- a -->")
    assert harmless("a < b and 1 <2") == "a < b and 1 <2"
