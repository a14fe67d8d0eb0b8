"""`course doctor`: what works on this machine, and what to do where it does not.

OK works · MISSING is not there, and the course does without it · FAIL has to be put right.
"""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from course_utils import runtime
from course_utils.cli import output

OLDEST_PYTHON = (3, 11)
FREE_GIGABYTES = 2.0  # for data, checkpoints and the notebook cache
HUB = ("huggingface.co", 443)
REINSTALL = "run `make lab` again, or `pip install -e .` in the folder of the course"


@dataclass(frozen=True)
class Finding:
    """What one look at the machine found: `status` is OK, MISSING or FAIL; `advice` says what to do, or is empty."""

    what: str
    status: str
    found: str
    advice: str = ""


def python() -> Finding:
    """A Python that is new enough."""
    found = f"{platform.python_version()} in {sys.prefix}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding("Python", "FAIL", found, "install Python 3.11 or newer, then `make lab PYTHON=python3.12`")
    return Finding("Python", "OK", found)


def packages() -> Finding:
    """Every package that the course asks for, in its range of versions."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(line) for line in importlib.metadata.requires("course-utils") or []]
    except importlib.metadata.PackageNotFoundError:
        return Finding("packages", "FAIL", "course-utils is not installed", REINSTALL)
    wrong = []
    for requirement in wanted:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} is {version}, wanted {requirement.specifier}")
    if wrong == ["torchvision is missing"]:
        advice = "only a few real data sets need it; install the one that belongs to your torch"
        return Finding("packages", "MISSING", wrong[0], advice)
    if wrong:
        return Finding("packages", "FAIL", "; ".join(wrong), REINSTALL)
    return Finding("packages", "OK", "all that the course asks for")


def torch() -> Finding:
    """A torch that imports and computes."""
    import torch

    total = torch.ones(2, 2).matmul(torch.ones(2, 2)).sum().item()
    if total != 8:
        return Finding("torch", "FAIL", f"{torch.__version__} gives {total} for a sum that is 8", REINSTALL)
    return Finding("torch", "OK", f"{torch.__version__}, {torch.get_num_threads()} threads")


def device() -> Finding:
    """The device that the course computes on."""
    import torch

    chosen = runtime.device()
    scale = f"scale {runtime.scale_name()}"
    advice = "unset COURSE_DEVICE, or choose another" if os.environ.get("COURSE_DEVICE") else "look at the GPU's driver"
    try:
        torch.ones(2, device=chosen).sum().item()
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        return Finding("device", "FAIL", f"{chosen}: {str(error).splitlines()[0]}", advice)
    if chosen.type == "cuda":
        return Finding("device", "OK", f"{torch.cuda.get_device_name(chosen)}, {scale}")
    if chosen.type == "cpu":
        return Finding("device", "OK", f"cpu, {os.cpu_count()} cores, {scale}; the course is made for this")
    return Finding("device", "OK", f"{chosen}, {scale}")


def disk() -> Finding:
    """Room for data and checkpoints, in a folder that can be written."""
    folder = runtime.data_folder()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free / 1e9
    found = f"{free:.1f} GB free in {folder}"
    if not os.access(there, os.W_OK):
        return Finding("disk", "FAIL", f"{there} cannot be written", "set COURSE_DATA to a folder of yours")
    if free < FREE_GIGABYTES:
        advice = f"free some: the course wants {FREE_GIGABYTES:g} GB; {runtime.cache_folder()} may be deleted"
        return Finding("disk", "FAIL", found, advice)
    return Finding("disk", "OK", found)


def fonts() -> Finding:
    """The fonts that matplotlib brings along: the glyph data are made of them."""
    import matplotlib

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    missing = [
        name for name in ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmr10") if not (folder / f"{name}.ttf").exists()
    ]
    if missing:
        advice = "the glyphs need them: `pip install --force-reinstall matplotlib`"
        return Finding("fonts", "FAIL", f"not in {folder}: {', '.join(missing)}", advice)
    return Finding("fonts", "OK", f"{len(list(folder.glob('*.ttf')))} that matplotlib brings along")


def kernel() -> Finding:
    """The Jupyter kernel `python3`, which every notebook of the course names, and whose Python it starts."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return Finding("Jupyter kernel", "FAIL", "there is none called python3", REINSTALL)
    own = Path(program).name.startswith("python") and Path(program).parent == Path()
    if own or Path(program).absolute() == Path(sys.executable).absolute():
        return Finding("Jupyter kernel", "OK", f"python3 starts {sys.executable}")
    advice = "open the notebooks with `make lab`, or set JUPYTER_PREFER_ENV_PATH=1"
    return Finding("Jupyter kernel", "FAIL", f"python3 starts {program}, not {sys.executable}", advice)


def network() -> Finding:
    """Whether real data sets and published weights can be fetched."""
    without = "the course needs none: only real data sets and published weights are fetched"
    if os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "TRUE", "YES", "ON"):
        return Finding("network", "MISSING", "switched off by HF_HUB_OFFLINE", without)
    try:
        with socket.create_connection(HUB, timeout=3):
            return Finding("network", "OK", f"{HUB[0]} answers")
    except OSError as error:
        return Finding("network", "MISSING", f"{HUB[0]}: {error.strerror or error}", without)


def nbgrader() -> Finding:
    """What instructors need for releasing and grading."""
    if importlib.util.find_spec("nbgrader") is None:
        return Finding("nbgrader", "MISSING", "not installed", "instructors: `pip install -e '.[grade]'`")
    return Finding("nbgrader", "OK", importlib.metadata.version("nbgrader"))


def bubblewrap() -> Finding:
    """The sandbox in which submissions are graded."""
    path = shutil.which("bwrap")
    if path is None:
        advice = "instructors who grade: on Debian and Ubuntu `sudo apt install bubblewrap`; Linux only"
        return Finding("bubblewrap", "MISSING", "not installed", advice)
    return Finding("bubblewrap", "OK", path)


CHECKS = (python, packages, torch, device, disk, fonts, kernel, network, nbgrader, bubblewrap)


def examine(check: Callable[[], Finding]) -> Finding:
    """The finding of one check; one that breaks is a FAIL that says how."""
    try:
        return check()
    except Exception as error:  # whatever is broken here is what the doctor was called for
        return Finding(check.__name__, "FAIL", f"{type(error).__name__}: {error}".splitlines()[0], REINSTALL)


def doctor(json: bool = False) -> int:
    """The sub-command: print every finding.

    Args:
        json: print one JSON object a finding, with `what`, `status`, `found`, `advice`.

    Returns the exit code: 1 where something has to be put right, else 0.
    """
    findings = [examine(check) for check in CHECKS]
    if json:
        output.show([asdict(finding) for finding in findings], "doctor", as_json=True)
    else:
        for finding in findings:
            print(f"{finding.status:8}{finding.what:16}{finding.found}")
            if finding.advice:
                print(f"{'':24}{finding.advice}")
    return int(any(finding.status == "FAIL" for finding in findings))
