"""What is read, found and compared before and after grading: files, cells, downloads, likeness, tables."""

import io
import json
import os
import zipfile
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
