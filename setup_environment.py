"""Make the course's environment in `.venv`, and open JupyterLab in it. Needs nothing but Python 3.11 or newer.

    python setup_environment.py lab              what `make lab` does
    python setup_environment.py install test     the environment with an extra of pyproject.toml added
    python setup_environment.py work             the environment, and the notebooks in work/: for editors that open these
    python setup_environment.py colab            no environment: into the running Python what it lacks
    python setup_environment.py lock             write requirements.lock from what `.venv` holds

A torch that is already there and fits is kept: one in `.venv`, or one of the Python that runs this file (conda's,
Colab's, a CPU build). In the second case `.venv` sees that Python's packages and puts its own before them.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from importlib import util
from pathlib import Path

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = ENVIRONMENT / "course-setup.json"
LOCK = ROOT / "requirements.lock"
WELCOME = "00_welcome.ipynb"
PYPROJECT = ROOT / "pyproject.toml"
TORCH_BUILDS = "https://download.pytorch.org/whl"  # has a folder for each kind of build: cpu, cu130, ...
# What a torch brings along: not held to the lock where another torch than the lock's is kept.
TORCH_FAMILY = re.compile(r"(torch|torchvision|triton|nvidia-[\w-]+|cuda-[\w-]+)==")
KEPT_ON_COLAB = {
    *("torch", "torchvision", "numpy"),
    *("ipykernel", "ipython", "ipywidgets", "jupyter-client", "jupyterlab", "jupytext"),
    *("nbclient", "nbformat", "traitlets"),
}
GIGABYTE = 10**9


class Problem(Exception):
    """Something that the person at the keyboard has to put right; its message is the one line that they read."""


def say(line: str) -> None:
    print(line, flush=True)


# --- what can be wrong with the machine -------------------------------------------------------------------------------


def check_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        raise Problem(
            f"Python {sys.version_info[0]}.{sys.version_info[1]} is too old: the course needs "
            f"{OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer. Install one, then: make lab PYTHON=python3.12"
        )


def check_venv_module() -> None:
    if util.find_spec("venv") is None or util.find_spec("ensurepip") is None:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise Problem(
            f"This Python has no venv module. On Debian and Ubuntu: sudo apt install python{version}-venv. "
            "Elsewhere install Python from python.org, then run the same command again."
        )


def check_disk(gigabytes: float) -> None:
    free = shutil.disk_usage(ROOT).free / GIGABYTE
    if free < gigabytes:
        raise Problem(
            f"Too little disk space: {free:.1f} GB are free in {ROOT}, the environment needs {gigabytes:g} GB. "
            "Free some, or move the course to a larger disk, then run the same command again."
        )


def check_port(port: int) -> None:
    with socket.socket() as probe:
        if os.name != "nt":  # as Jupyter does, so that a port just given up counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            raise Problem(
                f"Port {port} is taken, perhaps by another JupyterLab. Choose another one: make lab PORT={port + 1}"
            ) from None


# --- torch ------------------------------------------------------------------------------------------------------------


def release(version: str) -> tuple:
    """The numbers of a version: `(2, 14, 1)` of "2.14.1+cpu"."""
    return tuple(int(number) for number in re.match(r"\d+(\.\d+)*", version).group().split("."))


def torch_fits(version: str) -> bool:
    """Whether pyproject.toml's range for torch holds this version."""
    lowest, too_high = re.search(r'"torch>=([\d.]+),<([\d.]+)"', PYPROJECT.read_text(encoding="utf-8")).groups()
    return release(lowest) <= release(version) < release(too_high)


def locked(package: str) -> str:
    """The version that requirements.lock holds."""
    return re.search(rf"^{package}==([^\s;]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE).group(1)


def torch_of_this_python() -> "tuple[str, Path] | None":
    """Version and folder of the torch that the Python running this file has, where it fits and is not `.venv`'s own."""
    from importlib import metadata  # only here: a Python too old to have it shall still get as far as being told so

    try:
        torch = metadata.distribution("torch")
    except metadata.PackageNotFoundError:
        return None
    folder = Path(torch.locate_file("")).resolve()
    if ENVIRONMENT in folder.parents or not torch_fits(torch.version):
        return None
    return torch.version, folder


def torch_in_environment() -> "str | None":
    """The version of the torch that `.venv` sees, where it has one."""
    code = "from importlib.metadata import version; print(version('torch'))"
    answer = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True)
    return answer.stdout.strip() if answer.returncode == 0 else None


def has_nvidia_gpu() -> bool:
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()


def reachable(address: str, seconds: float = 4) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=seconds):
            return True
    except (OSError, urllib.error.URLError):
        return False


# --- the environment --------------------------------------------------------------------------------------------------


def fingerprint() -> str:
    """Changes when the environment has to be looked at again: with the dependencies, the lock, the course's folder."""
    content = PYPROJECT.read_bytes() + LOCK.read_bytes() + str(ROOT).encode()
    return hashlib.sha256(content).hexdigest()


def installed_extras() -> "set[str] | None":
    """The extras that `.venv` holds, or None where it is missing, unfinished, broken or out of date."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return set(stamp["extras"]) if stamp["fingerprint"] == fingerprint() and runs(PYTHON) else None


def runs(python: Path) -> bool:
    try:
        return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0
    except OSError:
        return False


def pip(*arguments: str) -> bool:
    """Run pip in `.venv`; silent but for errors where nobody watches. Whether it succeeded."""
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    command = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", *quiet, *arguments]
    code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode
    if code < 0:
        say(f"pip was stopped from outside (signal {-code}): out of memory?")
    return code == 0


def make_environment() -> None:
    """Create `.venv`, or mend one whose Python is gone; it sees a torch that this Python already has."""
    check_venv_module()
    say(f"Making the environment in {ENVIRONMENT} (Python {'.'.join(map(str, sys.version_info[:3]))})")
    answer = subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], capture_output=True, text=True)
    if answer.returncode != 0:
        reason = (answer.stderr or answer.stdout).strip().splitlines() or ["no reason given"]
        raise Problem(f"{sys.executable} -m venv could not make {ENVIRONMENT}: {reason[-1]}")
    kept = torch_of_this_python()
    if kept:
        say(f"Keeping the torch {kept[0]} that is already in {kept[1]}")
        code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
        packages = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        Path(packages, "course-kept-torch.pth").write_text(f"{kept[1]}\n", encoding="utf-8")


def install_torch() -> None:
    """The lock's torch: without CUDA, ten times smaller, where such a build can be had and there is no NVIDIA GPU."""
    wanted = [f"torch=={locked('torch')}", f"torchvision=={locked('torchvision')}", "-c", str(LOCK)]
    small = sys.platform == "linux" and not has_nvidia_gpu() and reachable(f"{TORCH_BUILDS}/cpu/torch/")
    check_disk(4 if small or sys.platform != "linux" else 10)
    say(f"Installing torch {locked('torch')}{', CPU build' if small else ''}: the largest part")
    if not (small and pip(*wanted, "--extra-index-url", f"{TORCH_BUILDS}/cpu")) and not pip(*wanted):
        raise Problem(
            f"pip could not install torch {locked('torch')} for Python {sys.version_info[0]}.{sys.version_info[1]}: "
            "its reason stands above. Check the network and the disk; Python 3.11 to 3.13 are known to work."
        )


def imports_torchvision() -> bool:
    return subprocess.run([PYTHON, "-c", "import torchvision"], capture_output=True).returncode == 0


def install_packages(extras: "list[str]") -> None:
    """Everything else, at the lock's versions, and the course itself so that edits to it take effect at once."""
    torch = torch_in_environment()
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    if torch != locked("torch"):
        lines = [line for line in lines if not TORCH_FAMILY.match(line)] + [f"torch=={torch}"]
    constraints = ENVIRONMENT / "course-constraints.txt"
    constraints.write_text("\n".join(lines) + "\n", encoding="utf-8")
    say(f"Installing the other packages{': with ' + ', '.join(extras) if extras else ''}")
    kind = torch.partition("+")[2]  # "cpu" of 2.14.1+cpu: torchvision has to be of the same kind
    same_kind = f"{TORCH_BUILDS}/{kind}"
    more = ["--extra-index-url", same_kind] if kind and reachable(f"{same_kind}/torchvision/") else []
    if not pip("-c", str(constraints), *more, "-e", f".[{','.join(extras)}]" if extras else "."):
        raise Problem("pip could not install the course's packages: its reason stands above. Check network and disk.")
    if not imports_torchvision():
        # One that does not go with its torch breaks every library that looks for torchvision; none at all breaks nothing.
        subprocess.run([PYTHON, "-m", "pip", "uninstall", "--quiet", "--yes", "torchvision"], cwd=ROOT)
        say(f"No torchvision for torch {torch} can be had here: left out. Only a few real data sets need it.")


def quiet_jupyterlab() -> None:
    """No question about news and no look for updates when JupyterLab opens for the first time."""
    settings = ENVIRONMENT / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    choice = {"@jupyterlab/apputils-extension:notification": {"checkForUpdates": False, "fetchNews": "false"}}
    settings.write_text(json.dumps(choice), encoding="utf-8")


def install(extras: "list[str]") -> None:
    """Bring `.venv` up to date with pyproject.toml and requirements.lock, with these extras beside those it has."""
    there = installed_extras()
    if there is not None and there.issuperset(extras):
        return
    started = time.monotonic()
    check_disk(1)
    if not runs(PYTHON):
        make_environment()
    STAMP.unlink(missing_ok=True)
    torch = torch_in_environment()
    if torch is None or not torch_fits(torch):
        install_torch()
    extras = sorted((there or set()).union(extras))
    install_packages(extras)
    quiet_jupyterlab()
    STAMP.write_text(json.dumps({"extras": extras, "fingerprint": fingerprint()}), encoding="utf-8")
    say(f"The environment is ready ({time.monotonic() - started:.0f} s)")


# --- a Python that is there already: Colab's ---------------------------------------------------------------------------


def colab() -> None:
    """Install into the Python that runs this file what the course needs and it lacks.

    What a running notebook has loaded stays at its version: torch, which belongs to the machine's driver, NumPy, and
    all that makes notebooks, which belongs to Colab's pages.
    """
    import tomllib  # not in the Pythons that are told that they are too old
    from importlib import metadata

    installed = {re.sub(r"[-_.]+", "-", found.name).lower(): found.version for found in metadata.distributions()}
    if not torch_fits(installed.get("torch", "0")):
        raise Problem(
            f"The torch {installed.get('torch', '(none)')} of this Python does not fit the course: {PYPROJECT}"
        )
    wanted = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {line: re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", line).group()).lower() for line in wanted}
    lacking = [line for line, name in names.items() if name not in KEPT_ON_COLAB]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder, "kept.txt")
        kept = [f"{name}=={installed[name]}" for name in sorted(KEPT_ON_COLAB & set(installed))]
        constraints.write_text("\n".join(kept), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*command, "-c", str(constraints), *lacking]).returncode != 0:
            raise Problem("pip could not install what the course needs: its reason stands above.")
    say("The course is ready")


# --- what the Makefile calls ------------------------------------------------------------------------------------------


def copy_notebooks(source: Path, target: Path) -> "tuple[int, int]":
    """Copy what is not there yet; what is there is the student's and stays. How many were copied, how many stayed."""
    copied = stayed = 0
    for original in sorted(path for path in source.rglob("*") if path.is_file()):
        relative = original.relative_to(source)
        if any(part.startswith(".") for part in relative.parts):
            continue
        copy = target / relative
        if copy.exists():
            stayed += copy.suffix == ".ipynb"
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        unfinished = copy.with_name(f".{copy.name}.part")
        shutil.copyfile(original, unfinished)
        os.replace(unfinished, copy)
        copied += copy.suffix == ".ipynb"
    return copied, stayed


def prepare_work() -> Path:
    """The environment, and in `work/` a copy of every notebook that is not there yet."""
    install([])
    work = ROOT / "work"
    work.mkdir(exist_ok=True)
    copied, stayed = copy_notebooks(ROOT / "notebooks", work)
    say(f"{copied} new notebook{'' if copied == 1 else 's'} copied to {work}, {stayed} of yours left as they are")
    return work


def lab(port: int, browser: bool) -> None:
    """Environment, notebooks, JupyterLab in `work/`. Does not return: this process becomes JupyterLab."""
    check_port(port)
    been_here = (ROOT / "work" / WELCOME).exists()
    work = prepare_work()
    say("JupyterLab prints its address below; Ctrl-C here stops it")
    command = [str(PYTHON), "-m", "jupyterlab", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += [f"--ServerApp.root_dir={work}", "--log-level=WARN"]
    if not been_here and (work / WELCOME).exists():  # later JupyterLab opens what was open when it was left
        command += [f"--LabApp.default_url=/lab/tree/{WELCOME}"]
    command += [] if browser else ["--no-browser"]
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    os.chdir(work)
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # the kernel of this environment, whatever the user's home holds
    os.environ["PATH"] = f"{PYTHON.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    if os.name == "nt":
        sys.exit(subprocess.run(command).returncode)
    os.execv(command[0], command)


def lock() -> None:
    """Write requirements.lock from what `.venv` holds; what other systems need besides is carried over."""
    frozen = subprocess.run([PYTHON, "-m", "pip", "freeze", "--all"], capture_output=True, text=True, check=True).stdout
    pins = {}
    for line in LOCK.read_text(encoding="utf-8").splitlines() if LOCK.exists() else []:
        if "sys_platform ==" in line and "'linux'" not in line:
            pins[line.split("==")[0].lower()] = line
    for line in frozen.splitlines():
        name, _, version = line.partition("==")
        if not version or name.startswith(("#", "-e ")) or name in ("pip", "wheel"):
            continue
        version = version.split("+")[0] if name in ("torch", "torchvision") else version
        marker = ""
        if re.match(r"nvidia-|cuda-|triton$", name):
            marker = " ; sys_platform == 'linux'"
        elif name in ("pexpect", "ptyprocess"):
            marker = " ; sys_platform != 'win32'"
        pins[name.lower()] = f"{name}=={version}{marker}"
    head = (
        "# Written by: python setup_environment.py lock. Constraints: what a system does not need is not installed.\n"
    )
    LOCK.write_text(head + "".join(f"{pins[name]}\n" for name in sorted(pins)), encoding="utf-8")
    say(f"{LOCK.name}: {len(pins)} packages")


def main(arguments: "list[str] | None" = None) -> int:
    try:
        check_python()
        return carry_out(arguments)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130


def carry_out(arguments: "list[str] | None") -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    lab_parser = commands.add_parser("lab", help="environment, notebooks, JupyterLab")
    lab_parser.add_argument("--port", type=int, default=8888)
    lab_parser.add_argument("--browser", choices=("yes", "no"), default="yes")
    install_parser = commands.add_parser("install", help="the environment alone")
    install_parser.add_argument("extras", nargs="*", metavar="extra")
    commands.add_parser("work", help="environment and notebooks, for an editor that opens these")
    commands.add_parser("colab", help="into the running Python what it lacks")
    commands.add_parser("lock", help="write requirements.lock")
    chosen = parser.parse_args(arguments)
    if chosen.command == "lab":
        lab(chosen.port, chosen.browser == "yes")
    elif chosen.command == "install":
        install(chosen.extras)
    else:
        {"work": prepare_work, "colab": colab, "lock": lock}[chosen.command]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
