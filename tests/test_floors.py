"""Imports in course_utils go down only: the contracts of pyproject.toml hold, and they notice what breaks them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import runtime

ROOT = runtime.repository()
FLOORS = (
    "cli",
    "grading",
    "checks",
    "widgets",
    "captioning_vqa",
    "text_to_image",
    "clip",
    "language",
    "diffusion",
    "translation",
    "gans",
    "autoencoders",
    "metrics",
    "training",
    "data",
    "plots",
    "layers",
    "runtime",
    "hub",
)


def lint_imports(folder: Path) -> tuple[int, str]:
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", program, "--no-cache"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_floors_hold():
    code, text = lint_imports(ROOT)
    assert code == 0, text


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A package of the same floors with nothing in it, and the real contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in FLOORS:
        (tmp_path / "course_utils" / name).mkdir(parents=True)
        (tmp_path / "course_utils" / name / "__init__.py").touch()
    (tmp_path / "course_utils" / "__init__.py").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("cli", "checks", True),
        ("cli", "grading", True),
        ("checks", "grading", False),
        ("autoencoders", "metrics", True),
        ("layers", "runtime", True),
        ("metrics", "autoencoders", False),
        ("training", "metrics", False),
        ("data", "plots", False),
        ("widgets", "checks", False),
        ("autoencoders", "gans", False),
        ("gans", "autoencoders", True),
        ("translation", "gans", True),
        ("gans", "translation", False),
        ("diffusion", "translation", True),
        ("autoencoders", "diffusion", False),
        ("language", "diffusion", True),
        ("diffusion", "language", False),
        ("clip", "language", True),
        ("language", "clip", False),
        ("runtime", "data", False),
        ("cli", "helpers", False),
    ],
)
def test_an_import_that_goes_up_is_noticed(house, importer, imported, allowed):
    for name in (importer, imported):
        (house / "course_utils" / name).mkdir(exist_ok=True)
        (house / "course_utils" / name / "__init__.py").touch()
    (house / "course_utils" / importer / "__init__.py").write_text(f"import course_utils.{imported}\n")
    code, text = lint_imports(house)
    assert (code == 0) is allowed, text
    assert allowed or imported in text
