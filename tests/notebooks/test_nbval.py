"""nbval, which runs the solved notebooks in `make test`, fails where a cell does not run or prints something else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

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


@pytest.fixture
def copy(executed: Path, tmp_path: Path) -> Path:
    """The tiny course, executed, to be changed at will."""
    return shutil.copytree(executed, tmp_path / "solutions")


def change(folder: Path, old: str, new: str) -> None:
    (pair,) = notebooks.pairs(folder)
    content = pair.notebook.read_text(encoding="utf-8")
    assert content.count(old) == 1
    pair.notebook.write_text(content.replace(old, new), encoding="utf-8")


def test_a_marked_cell_must_print_what_is_stored(copy: Path) -> None:
    change(copy, '"holds\\n"', '"held\\n"')
    returned, text = run_nbval(copy)
    assert returned == 1
    assert "1 failed, 2 passed" in text, text


def test_cells_after_a_dead_kernel_are_failures(copy: Path) -> None:
    change(copy, '"import ipywidgets\\n"', '"os._exit(1)\\n"')
    returned, text = run_nbval(copy)
    assert returned == 1
    assert "3 failed" in text, text
