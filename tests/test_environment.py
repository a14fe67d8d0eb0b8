"""pyproject.toml, environment.yml and requirements.lock say the same, and what is installed is what they say."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
import rattler
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from course_utils import runtime

ROOT = runtime.repository()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
ALL = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
FROM_CONDA = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
# Of the third a copy of 2021 is there; the second drives the browser that the system has.
NOT_ON_CONDA = {"denoising-diffusion-pytorch", "playwright", "vector-quantize-pytorch", "sphinx-mathjax-offline"}
PLATFORMS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "macos": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}


def clauses(version: str) -> frozenset[str]:
    """The parts of a range, in any order: `{">=8.1", "<9"}`."""
    return frozenset(version.replace(" ", "").split(",")) - {"", "*"}


def wanted_by_pip(lines: Iterable[str]) -> dict[str, frozenset[str]]:
    requirements = map(Requirement, lines)
    return {canonicalize_name(found.name): clauses(str(found.specifier)) for found in requirements}


def wanted_by_conda(lines: Iterable[str]) -> dict[str, frozenset[str]]:
    wanted = {}
    for line in lines:
        match = rattler.MatchSpec(line)
        name = match.name.normalized if hasattr(match.name, "normalized") else str(match.name)
        wanted[canonicalize_name(FROM_CONDA.get(name, name))] = clauses(str(match.version or ""))
    return wanted


def conda_lines() -> tuple[list[str], list[str]]:
    """The lines of environment.yml that conda reads, and those that it hands to pip."""
    entries = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    lines = [entry for entry in entries if isinstance(entry, str)]
    handed_on = [line for entry in entries if isinstance(entry, dict) for line in entry["pip"]]
    return lines, handed_on


def lock_lines() -> list[Requirement]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def locked(platform: dict[str, str]) -> dict[str, Version]:
    return {
        canonicalize_name(line.name): Version(str(line.specifier).removeprefix("=="))
        for line in lock_lines()
        if line.marker is None or line.marker.evaluate(platform)
    }


def test_conda_and_pip_ask_for_the_same():
    lines, handed_on = conda_lines()
    conda = wanted_by_conda(lines)
    assert conda.pop("python") == clauses(PROJECT["requires-python"])
    assert conda.pop("pip") == frozenset()
    course, *others = handed_on
    assert course == "-e ."
    assert set(wanted_by_pip(others)) == NOT_ON_CONDA, "pip is to install the course, and what conda-forge lacks"
    assert conda | wanted_by_pip(others) == wanted_by_pip(ALL)


@pytest.mark.parametrize("line", ["pytorch>=2.7,<3", "pytorch>=2.8", "torch>=2.8,<3.1", "pytorch"])
def test_another_range_is_noticed(line):
    assert wanted_by_conda([line]) != wanted_by_pip(["torch>=2.8,<3"])
    assert wanted_by_conda(["pytorch <3,>=2.8"]) == wanted_by_pip(["torch>=2.8,<3"])


@pytest.mark.parametrize("line", ["pytorch>>2", "pytorch>=2.8,<", "numpy>=2,,<3"])
def test_a_line_that_conda_cannot_read_is_an_error(line):
    with pytest.raises(Exception, match=r"(?i)invalid|pars|unable|unexpected|version"):
        wanted_by_conda([line])


def test_the_lock_is_one_exact_version_for_each_package():
    lines = lock_lines()
    names = [canonicalize_name(line.name) for line in lines]
    assert len(names) == len(set(names)) > 100
    for line in lines:
        assert re.fullmatch(r"==[\w.]+", str(line.specifier)), (
            f"{line}: want name==version, with no build of one machine"
        )
        assert line.url is None and not line.extras


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_the_lock_fits_the_ranges(platform):
    pins = locked(platform)
    for requirement in map(Requirement, ALL):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), str(requirement)


def needed(platform: dict[str, str]) -> set[str]:
    """Every package that the course needs on a platform, with what those need, as far as they are installed here."""
    todo = [(requirement, "") for requirement in map(Requirement, ALL)]
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({**platform, "extra": extra}):
            continue
        for wanted in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), wanted)
            if key in seen:
                continue
            seen.add(key)
            try:
                own = importlib.metadata.requires(requirement.name) or []
            except importlib.metadata.PackageNotFoundError:
                continue
            todo.extend((Requirement(line), wanted) for line in own)
    return {name for name, _ in seen}


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_the_lock_holds_all_that_is_needed(platform):
    wanted = needed(platform)
    assert {"torch", "pyzmq", "sqlalchemy"} <= wanted
    assert ("colorama" in wanted) == (platform["sys_platform"] == "win32")
    missing = wanted - locked(platform).keys() - {"pip"}
    own_torch = SpecifierSet(f"=={locked(platform)['torch']}").contains(importlib.metadata.version("torch"))
    if not own_torch:  # another torch was kept, and brings its own
        missing = {name for name in missing if not re.match(r"nvidia-|cuda-|triton", name)}
    assert not missing, f"run `python setup_environment.py lock`: no version of {sorted(missing)}"


@pytest.mark.skipif(not Path(sys.prefix, "course-setup.json").exists(), reason="not made by setup_environment.py")
def test_what_is_installed_is_what_the_lock_holds():
    pins = locked({})
    kept = importlib.metadata.version("torch").split("+")[0] != str(pins["torch"])
    differ = {}
    for name, version in pins.items():
        if kept and re.match(r"torch|nvidia-|cuda-|triton", name):
            continue
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if Version(installed.split("+")[0]) != version:
            differ[name] = f"{installed}, locked {version}"
    assert not differ, f"run `make install`, or `python setup_environment.py lock` where these are meant: {differ}"


def imports(source: str) -> set[str]:
    """The top-level names that a module imports, at its head or anywhere inside."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_imports_of_the_package_are_asked_for():
    """Nothing is used that only happens to be there: each third-party import of course_utils is a dependency."""
    used = {name for path in (ROOT / "course_utils").rglob("*.py") for name in imports(path.read_text("utf-8"))}
    distributions = importlib.metadata.packages_distributions()
    third_party = {name for name in used if name in distributions} - sys.stdlib_module_names - {"course_utils"}
    asked = wanted_by_pip(ALL).keys() - wanted_by_pip(EXTRAS["test"]).keys() - wanted_by_pip(EXTRAS["peers"]).keys()
    missing = {name for name in third_party if not {canonicalize_name(d) for d in distributions[name]} & asked}
    assert {"torch", "numpy", "tyro"} <= third_party
    assert not missing, f"add the packages of these to pyproject.toml and environment.yml: {sorted(missing)}"
