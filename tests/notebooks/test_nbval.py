"""nbval, which runs the solved notebooks in `make test`, fails where a cell does not run or prints something else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from course_utils import runtime
from course_utils.cli import notebooks

pytest.importorskip("nbval")


def run_nbval(folder: Path) -> tuple[int, str]:
    shutil.copy(runtime.repository() / "solutions" / "conftest.py", folder)
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", f"--rootdir={folder}"]
    options += ["--nbval-lax", "--nbval-cell-timeout=5", "--nbval-current-env", str(folder)]
    command = [sys.executable, "-m", "pytest", *options]
    environment = {name: value for name, value in os.environ.items() if name != "COURSE_SCALE"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("old", "new", "prints", "code", "said"),
    [
        ("", "", "holds\n", 0, "3 passed"),
        ("", "", "held\n", 1, "1 failed, 2 passed"),
        ("import ipywidgets\n", "import ipywidgets\nos._exit(1)\n", "holds\n", 1, "3 failed"),
    ],
    ids=["right", "other output", "dead kernel"],
)
def test_a_run_passes_only_if_every_cell_ran_and_held(
    tiny: Path, old: str, new: str, prints: str, code: int, said: str
) -> None:
    (pair,) = notebooks.pairs(tiny)
    pair.text.write_text(pair.text.read_text(encoding="utf-8").replace(old or "\0", new), encoding="utf-8")
    notebook = notebooks.sync(pair)
    notebook.cells[3].execution_count = 3  # nbval refuses outputs of a cell that was never run
    notebook.cells[3].outputs = [nbformat.v4.new_output("stream", text=prints)]
    notebooks.write(notebook, pair.notebook)
    returned, text = run_nbval(tiny)
    assert (returned, said in text) == (code, True), text
