"""Text to notebook, execution, staleness: on a tiny course of one notebook."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jupytext
import nbformat
import pytest

from course_utils.cli import notebooks
from course_utils.cli.names import Failure, UsageError


@pytest.fixture
def made(executed: Path, tmp_path: Path) -> notebooks.Pair:
    """The tiny notebook, executed, to be changed at will."""
    shutil.copytree(executed, tmp_path / "solutions")
    return notebooks.pairs(tmp_path / "solutions")[0]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def edit_cell(path: Path, old: str, new: str) -> None:
    """Edit the notebook alone, as Jupyter does where jupytext is not at work."""
    notebook = nbformat.read(path, as_version=4)
    (cell,) = [cell for cell in notebook.cells if old in cell.source]
    cell.source = cell.source.replace(old, new)
    nbformat.write(notebook, path)


def test_executed_notebook_holds_outputs_widgets_and_where_they_come_from(made: notebooks.Pair) -> None:
    notebook = nbformat.read(made.notebook, as_version=4)
    nbformat.validate(notebook)
    assert notebooks.staleness(made) == []
    assert notebooks.faults(notebook) == []
    assert notebook.metadata.course.scale == "cpu"
    assert notebook.metadata.course.source_hash == notebooks.source_hash(notebook)
    assert set(notebook.metadata.course.versions) >= {"python", "torch", "numpy"}
    kinds = [kind for output in notebook.cells[1].outputs for kind in output.get("data", {"text": 0})]
    assert "image/png" in kinds
    assert "application/vnd.jupyter.widget-view+json" in kinds
    states = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"].state
    (view,) = [
        o.data[k].model_id
        for o in notebook.cells[1].outputs
        for k in o.get("data", {})
        if k.endswith("widget-view+json")
    ]
    assert states[view].model_name == "IntSliderModel"
    assert "execution" not in json.dumps([cell.metadata for cell in notebook.cells])


def test_executing_twice_gives_the_same_bytes_and_a_fresh_clone_the_same_cell_ids(made: notebooks.Pair) -> None:
    notebooks.make(made)
    before = made.notebook.read_bytes()
    notebooks.make(made)
    assert made.notebook.read_bytes() == before
    ids = [cell.id for cell in nbformat.read(made.notebook, as_version=4).cells]
    made.notebook.unlink()
    notebooks.make(made, run=False)
    assert [cell.id for cell in nbformat.read(made.notebook, as_version=4).cells] == ids


def test_edited_prose_is_stale_and_keeps_ids_and_outputs(made: notebooks.Pair) -> None:
    before = nbformat.read(made.notebook, as_version=4)
    edit(made.text, "# # Tiny", "# # Tiny and new")
    assert notebooks.staleness(made) == [notebooks.TEXT_DIFFERS]
    notebooks.make(made, run=False)
    after = nbformat.read(made.notebook, as_version=4)
    assert notebooks.staleness(made) == []
    assert after.cells[0].source == "# Tiny and new"
    assert [cell.id for cell in after.cells] == [cell.id for cell in before.cells]
    assert [cell.metadata for cell in after.cells] == [cell.metadata for cell in before.cells]
    assert after.cells[1].outputs == before.cells[1].outputs


def test_edited_code_makes_outputs_stale_even_after_the_text_is_carried_over(made: notebooks.Pair) -> None:
    edit(made.text, 'print("holds")', 'print("really holds")')
    assert any("other code" in reason for reason in notebooks.staleness(made))
    notebooks.make(made, run=False)
    assert notebooks.staleness(made) == ["its outputs belong to other code"]
    notebooks.make(made)
    assert notebooks.staleness(made) == []
    assert "really holds" in made.notebook.read_text(encoding="utf-8")


def test_edit_of_the_notebook_alone_reaches_the_text(made: notebooks.Pair) -> None:
    edit_cell(made.notebook, "# Tiny", "# Tiny, by Jupyter")
    assert notebooks.staleness(made) == [notebooks.TEXT_DIFFERS]
    notebooks.make(made, run=False)
    assert notebooks.staleness(made) == []
    text = made.text.read_text(encoding="utf-8")
    assert "# # Tiny, by Jupyter" in text
    assert "source_hash" not in text
    assert "widget" not in text.split("# %%")[0]
    assert '"grade_id": "double-check"' in text
    assert "### BEGIN SOLUTION" in text


def test_edits_of_both_files_are_refused_and_neither_is_lost(made: notebooks.Pair) -> None:
    edit(made.text, "# # Tiny", "# # Tiny in the text")
    edit_cell(made.notebook, "# Tiny", "# Tiny in the notebook")
    with pytest.raises(Failure, match="both 01_first.py and 01_first.ipynb were edited"):
        notebooks.make(made, run=False)
    assert "Tiny in the text" in made.text.read_text(encoding="utf-8")
    assert "Tiny in the notebook" in made.notebook.read_text(encoding="utf-8")


def test_a_failing_cell_is_named_and_the_stored_notebook_stays(made: notebooks.Pair) -> None:
    before = made.notebook.read_bytes()
    edit(made.text, "doubled_number = 2 * number", "doubled_number = 3 * number")
    with pytest.raises(Failure, match=r"01_tiny/01_first: cell 4 of 5(?s:.)*at scale cpu(?s:.)*AssertionError"):
        notebooks.make(made)
    assert made.notebook.read_bytes() == before
    assert [path.name for path in made.text.parent.iterdir() if path.name.startswith(".")] == []


def test_a_cell_that_hangs_or_kills_its_kernel_is_named(tiny: Path) -> None:
    (pair,) = notebooks.pairs(tiny)
    edit(pair.text, "assert double(2) == 4", "import time\ntime.sleep(60)")
    with pytest.raises(Failure, match=r"cell 4 of 5.*longer than 1 seconds"):
        notebooks.make(pair, cell_timeout=1)
    edit(pair.text, "import time\ntime.sleep(60)", "os._exit(1)")
    with pytest.raises(Failure, match=r"cell 4 of 5.*kernel died"):
        notebooks.make(pair)
    assert not pair.notebook.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals to send")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "kill"])
def test_an_interrupted_run_ends_with_130_and_writes_nothing(tiny: Path, ending: signal.Signals) -> None:
    (pair,) = notebooks.pairs(tiny)
    edit(
        pair.text, "# # Tiny", "# # Tiny\n\n# %%\nimport pathlib, time\npathlib.Path('started').touch()\ntime.sleep(60)"
    )
    script = (
        "import pathlib, sys\nfrom course_utils.cli import main, notebooks\n"
        f"notebooks.pairs.__defaults__ = (pathlib.Path({str(tiny)!r}),)\nsys.exit(main.main(['notebooks']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (pair.text.parent / "started").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the notebook did not start"
        time.sleep(0.1)
    process.send_signal(ending)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err == "course: interrupted\n"
    assert not pair.notebook.exists()


def test_outputs_of_another_scale_go_elsewhere(made: notebooks.Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    before = made.notebook.read_bytes()
    monkeypatch.setattr(notebooks.runtime, "repository", lambda: made.text.parent.parent.parent)
    path = notebooks.make(made, scale="smoke")
    assert made.notebook.read_bytes() == before
    assert path == made.text.parent.parent.parent / "build" / "notebooks" / "smoke" / "01_tiny" / "01_first.ipynb"
    assert "scale smoke" in path.read_text(encoding="utf-8")


def test_paths_of_this_machine_are_taken_out(tiny: Path) -> None:
    (pair,) = notebooks.pairs(tiny)
    notebook = notebooks.read_text(pair.text)
    notebook.cells[1].outputs = [
        nbformat.v4.new_output("stream", text=f"at {tiny}/01_tiny, home {Path.home()}/models\nhttps://x.org{tiny}/no")
    ]
    text = notebooks.clean(notebook, root=tiny).cells[1].outputs[0].text
    assert text == f"at ./01_tiny, home ~/models\nhttps://x.org{tiny}/no"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (nbformat.v4.new_output("error", ename="ValueError", evalue="bad"), "stopped with ValueError: bad"),
        (nbformat.v4.new_output("stream", name="stderr", text="a warning"), "wrote to stderr: a warning"),
        (nbformat.v4.new_output("display_data", data={"image/png": "x"}), "a picture without a text"),
        (
            nbformat.v4.new_output("display_data", data={"image/png": "x"}, metadata={"image/png": {"alt": " "}}),
            "a picture without a text",
        ),
        (
            nbformat.v4.new_output("display_data", data={"text/html": "<img src='x' alt=''>"}),
            "an HTML picture without a text",
        ),
        (nbformat.v4.new_output("stream", text="in /home/somebody/x"), "a path of this machine: /home/somebody"),
    ],
)
def test_faults_in_stored_outputs_are_found(output: nbformat.NotebookNode, said: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("run()", outputs=[output])])
    notebook.metadata.kernelspec = {"name": "python3"}
    (fault,) = notebooks.faults(notebook)
    assert fault.startswith("cell 1 (`run()`)")
    assert said in fault


def test_pictures_with_a_text_are_no_fault() -> None:
    data = {"text/html": '<p><img src="x" alt="a dot"></p>'}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("run()", outputs=[nbformat.v4.new_output("display_data", data=data)])]
    )
    notebook.metadata.kernelspec = {"name": "python3"}
    assert notebooks.faults(notebook) == []


def test_notebooks_are_chosen_by_name_file_or_chapter(tiny: Path) -> None:
    known = notebooks.pairs(tiny)
    for name in ("01_first", "01_tiny/01_first", "01_tiny", "solutions/01_tiny/01_first.py", str(known[0].notebook)):
        assert notebooks.choose((name,), known) == known
    assert notebooks.choose((), known) == known
    with pytest.raises(UsageError, match="did you mean '01_first'"):
        notebooks.choose(("01_frist",), known)


def test_text_survives_the_way_there_and_back(made: notebooks.Pair) -> None:
    again = jupytext.reads(jupytext.writes(notebooks.read_notebook(made.notebook), fmt="py:percent"), fmt="py:percent")
    assert notebooks.text_hash(again) == notebooks.text_hash(notebooks.read_text(made.text))


def test_alternative_text_reaches_the_html_page(made: notebooks.Pair) -> None:
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter(template_name="classic").from_filename(str(made.notebook))
    assert 'alt="one pixel"' in page
