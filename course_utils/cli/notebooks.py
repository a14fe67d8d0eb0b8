"""Notebooks of `solutions/`: paired text to notebook, execution, stored outputs, and the tests for staleness.

Each notebook is two files. The text `02_vae.py` (jupytext, percent format) is written by hand; the notebook
`02_vae.ipynb` holds the same cells with their outputs. Its metadata say what the outputs belong to:

    metadata.course = {"source_hash": ..., "text_hash": ..., "scale": "cpu", "versions": {...}}

`source_hash` is over the code cells that were executed, `text_hash` over all cells at the last time when both files
agreed: so an edit of the text, of the notebook, and of both can be told apart, and none is lost.
"""

import asyncio
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils import runtime
from course_utils.cli.names import Failure, UsageError, nearest

if TYPE_CHECKING:
    from nbformat import NotebookNode

FORMAT = "py:percent"
CELL_TIMEOUT = 1_800  # seconds
MEND = "course notebooks --stale"
TEXT_DIFFERS = "text and notebook differ"
VERSIONS = ("torch", "numpy", "matplotlib", "ipywidgets")


@dataclass(frozen=True)
class Pair:
    """The two files of one notebook, and its name as in `01_autoencoders/02_vae`, or `00_welcome` before the chapters."""

    name: str
    text: Path
    notebook: Path

    @property
    def chapter(self) -> str:
        """The chapter that it belongs to; empty for a page before the chapters, in which there is nothing to write."""
        return self.name.rpartition("/")[0]


def pairs(solutions: Path | None = None) -> list[Pair]:
    """Every notebook below `solutions` (the course's own, unless given), in the order of the chapters."""
    solutions = solutions or runtime.repository() / "solutions"
    texts = sorted([*solutions.glob("[0-9][0-9]_*.py"), *solutions.glob("[0-9][0-9]_*/*.py")])
    return [
        Pair(text.relative_to(solutions).with_suffix("").as_posix(), text, text.with_suffix(".ipynb")) for text in texts
    ]


def choose(names: tuple[str, ...], known: list[Pair]) -> list[Pair]:
    """The notebooks that `names` mean: whole names, files, names without their chapter,
    a chapter, or a part of a name; all, if there are none.

    Raises:
        UsageError: for a name that means no notebook, with the nearest match.
    """
    chosen = []
    for name in names:
        stem = name.removesuffix("/").removesuffix(".py").removesuffix(".ipynb").replace(os.sep, "/")
        wanted = "/".join(stem.split("/")[-2:])
        found = [pair for pair in known if wanted in (pair.name, *pair.name.split("/"))]
        found = found or [pair for pair in known if stem.split("/")[-1] in pair.name.split("/")]
        found = found or [pair for pair in known if wanted in pair.name]
        if not found:
            nearest(wanted, [pair.name if "/" in wanted else pair.text.stem for pair in known], "notebook")
        chosen.extend(pair for pair in found if pair not in chosen)
    return chosen if names else known


def read_text(path: Path) -> "NotebookNode":
    """The paired text as a notebook without outputs.

    Raises:
        Failure: if it is no percent-format text.
    """
    import jupytext

    notebook = jupytext.read(path, fmt=FORMAT)
    if not any(cell.cell_type == "code" for cell in notebook.cells):
        raise Failure(f"{path} holds no code cell: is it a percent-format text, with `# %%` before each cell?")
    for cell in notebook.cells:
        cell.metadata.pop("lines_to_next_cell", None)
        cell.metadata.pop("lines_to_end_of_cell_marker", None)
    return notebook


def read_notebook(path: Path) -> "NotebookNode":
    """A notebook file.

    Raises:
        Failure: if it cannot be read as one.
    """
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:  # whatever a broken file raises: JSON, validation, encoding
        raise Failure(f"{path} is no readable notebook ({error}): delete it and run `{MEND}`") from error


def _hash(parts: list) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def source_hash(notebook: "NotebookNode") -> str:
    """A hash of the code cells, in order: what the outputs depend on."""
    return _hash([cell.source for cell in notebook.cells if cell.cell_type == "code"])


def text_hash(notebook: "NotebookNode") -> str:
    """A hash of all that both files hold: type, source, grading metadata and tags of each cell, in order."""
    return _hash(
        [
            [cell.cell_type, cell.source, dict(cell.metadata.get("nbgrader", {})), list(cell.metadata.get("tags", []))]
            for cell in notebook.cells
        ]
    )


def staleness(pair: Pair) -> list[str]:
    """Why the stored outputs or the paired text of a notebook are out of date; empty if they are not."""
    if not pair.notebook.exists():
        return ["there is no executed notebook beside the text"]
    notebook, text = read_notebook(pair.notebook), read_text(pair.text)
    course = notebook.metadata.get("course", {})
    reasons = []
    if text_hash(notebook) != text_hash(text):
        reasons.append(TEXT_DIFFERS)
    if "source_hash" not in course:
        reasons.append("it was never executed by the course")
    elif {source_hash(notebook), source_hash(text)} != {course["source_hash"]}:
        reasons.append("its outputs belong to other code")
    if course.get("scale", "cpu") != "cpu":
        reasons.append(f"its outputs come from scale {course['scale']}, not from scale cpu")
    return reasons


def sync(pair: Pair) -> "NotebookNode":
    """The notebook of a pair with the newest cells, the outputs, cell ids and metadata that it had.

    Where only the notebook was edited since both agreed, the text is rewritten from it.

    Raises:
        Failure: if both were edited, each in its own way.
    """
    text = read_text(pair.text)
    if not pair.notebook.exists():
        return _with_stable_ids(text, kept=set())
    from jupytext import write
    from jupytext.combine import combine_inputs_with_outputs

    notebook = read_notebook(pair.notebook)
    agreed = notebook.metadata.get("course", {}).get("text_hash")
    in_text, in_notebook = text_hash(text), text_hash(notebook)
    if in_text == in_notebook:
        return notebook
    if agreed == in_text:
        write(notebook, pair.text, fmt=FORMAT)
        return notebook
    if agreed is not None and agreed != in_notebook:
        raise Failure(
            f"{pair.name}: both {pair.text.name} and {pair.notebook.name} were edited, each in its own way. "
            f"Carry the edits into one of them, then delete {pair.notebook.name} to keep the text, or run "
            f"`jupytext --to {FORMAT} {pair.notebook.name}` to keep the notebook."
        )
    kept = {cell.id for cell in notebook.cells if "id" in cell}
    return _with_stable_ids(combine_inputs_with_outputs(text, notebook, FORMAT), kept)


def _with_stable_ids(notebook: "NotebookNode", kept: set[str]) -> "NotebookNode":
    """Give each cell whose id is not in `kept` one that follows from its content, so that no run makes another."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    taken = set(kept)
    for cell in notebook.cells:
        if cell.get("id") in kept:
            continue
        base = cell.metadata.get("nbgrader", {}).get("grade_id") or _hash([cell.cell_type, cell.source])[:8]
        base = re.sub(r"[^a-zA-Z0-9_-]", "-", base)[:56]
        number, name = 1, base
        while name in taken:
            number += 1
            name = f"{base}-{number}"
        cell.id = name
        taken.add(name)
    return notebook


def execute(notebook: "NotebookNode", folder: Path, scale: str, name: str, cell_timeout: int = CELL_TIMEOUT) -> None:
    """Run all cells in a fresh kernel and store their outputs and widget state in `notebook`, in place.

    Args:
        folder: the working directory of the kernel.
        scale: COURSE_SCALE in the kernel.
        name: of the notebook, for messages.
        cell_timeout: seconds that one cell may take.

    Raises:
        Failure: if a cell fails, takes too long or kills its kernel: names the notebook, the cell and the error.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    started = time.perf_counter()
    current, interrupted = [0], []

    def interrupt(task: asyncio.Task) -> None:
        interrupted.append(True)
        task.cancel()

    def remember(cell: "NotebookNode", cell_index: int) -> None:
        current[0] = cell_index
        if not interrupted and sys.platform != "win32" and threading.current_thread() is threading.main_thread():
            # nbclient would end the kernel at these, and then stumble over its absence
            for ending in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(ending, interrupt, asyncio.current_task())

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata.pop("widgets", None)
    client = NotebookClient(
        notebook,
        timeout=cell_timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,
        on_cell_start=remember,
        extra_arguments=["--log-level=CRITICAL"],
    )
    environment = os.environ | {"COURSE_SCALE": scale, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    try:
        client.execute(env=environment)
    except (CellExecutionError, CellTimeoutError, DeadKernelError, asyncio.CancelledError) as error:
        if interrupted:
            raise KeyboardInterrupt from None
        index = current[0]
        first_line = next((line for line in notebook.cells[index].source.splitlines() if line.strip()), "")
        if isinstance(error, CellTimeoutError):
            what = f"it took longer than {cell_timeout} seconds"
        elif isinstance(error, CellExecutionError):
            what = _without_colors(f"{error.ename}: {error.evalue}\n{error.traceback}")
        else:
            what = "its kernel died (out of memory?)"
        raise Failure(
            f"{name}: cell {index + 1} of {len(notebook.cells)}, which begins with `{first_line}`, failed "
            f"at scale {scale} after {time.perf_counter() - started:.0f} s: {what}"
        ) from error


def _without_colors(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def clean(notebook: "NotebookNode", root: Path | None = None) -> "NotebookNode":
    """Take out what differs from run to run and from machine to machine: times, absolute paths, random widget ids."""
    import nbformat

    root = root or runtime.repository()
    notebook.metadata.get("language_info", {}).pop("version", None)
    notebook.metadata.kernelspec = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("metadata", {}).pop("execution", None)
    whole = json.dumps(notebook, ensure_ascii=False)
    for folder, shown in ((str(root), "."), (str(Path.home()), "~"), (tempfile.gettempdir(), "/tmp")):
        escaped = json.dumps(folder, ensure_ascii=False)[1:-1]
        if len(folder) > 1:
            whole = re.sub(
                rf"(?<![\w./~-]){re.escape(escaped)}(?=[/\\\"':\s])", lambda _match, shown=shown: shown, whole
            )
    for number, model in enumerate(_widget_models(notebook)):
        whole = whole.replace(model, f"{number:032x}")
    return nbformat.from_dict(json.loads(whole))


def _widget_models(notebook: "NotebookNode") -> list[str]:
    states = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    return [model for model in states.get("state", {}) if len(model) == 32]


def _joined(text: "str | list[str]") -> str:
    return text if isinstance(text, str) else "".join(text)


def faults(notebook: "NotebookNode") -> list[str]:
    """What must not stand in stored outputs: errors, warnings, pictures without a text, paths of one machine."""
    found = []
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("its kernel is not python3")
    paths = re.compile(r"(?<![\w.])(/home/|/root/|/Users/|[A-Z]:\\\\Users)[\w.-]+")
    for index, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            where = f"cell {index} (`{cell.source.strip().splitlines()[0][:60]}`)"
            if output.output_type == "error":
                found.append(f"{where} stopped with {output.ename}: {output.evalue}")
            if output.output_type == "stream" and output.name == "stderr":
                found.append(f"{where} wrote to stderr: {output.text.strip()[:200]}")
            pictures = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
            for kind in pictures:
                if not str(output.metadata.get(kind, {}).get("alt", "")).strip():
                    found.append(f"{where} shows a picture without a text: use `plots.show(figure, alt=...)`")
            for image in re.findall(r"<img\b[^>]*>", _joined(output.get("data", {}).get("text/html", ""))):
                if not re.search(r"""\balt=(["'])\s*[^\s"']""", image):
                    found.append(f"{where} shows an HTML picture without a text: give its <img> an alt")
            texts = {kind: text for kind, text in output.get("data", {}).items() if kind.startswith("text/")}
            if match := paths.search(json.dumps([output.get("text", ""), texts])):
                found.append(f"{where} shows a path of this machine: {match.group()}")
    return found


def versions() -> dict[str, str]:
    """The versions that stored outputs depend on."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in VERSIONS}


def write(notebook: "NotebookNode", path: Path) -> None:
    """Write a notebook whole or not at all."""
    import nbformat

    nbformat.validate(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(nbformat.writes(notebook) + "\n")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def make(pair: Pair, scale: str = "cpu", run: bool = True, cell_timeout: int = CELL_TIMEOUT) -> Path:
    """Bring the notebook of a pair up to date with its text, execute it and store it.

    At scale cpu it becomes the notebook beside the text. At another scale, which is for trying, that one keeps its
    outputs, and the executed copy goes to `build/notebooks/`.

    Returns the path of what was written.

    Raises:
        Failure: if a cell fails. What was stored before stays as it was.
    """
    notebook = sync(pair)
    notebook.metadata.setdefault("jupytext", {})["formats"] = f"ipynb,{FORMAT}"
    notebook.metadata.jupytext.pop("text_representation", None)
    course = notebook.metadata.setdefault("course", {})
    target = pair.notebook
    if run:
        if scale != "cpu":
            target = runtime.repository() / "build" / "notebooks" / scale / f"{pair.name}.ipynb"
        executed_hash = source_hash(notebook)
        execute(notebook, pair.text.parent, scale, pair.name, cell_timeout)
        course.update(source_hash=executed_hash, scale=scale, versions=versions())
    course["text_hash"] = text_hash(notebook)
    notebook = clean(notebook)
    write(notebook, target)
    return target


def notebooks(
    names: tuple[str, ...], scale: str, stale: bool, run: bool = True, cell_timeout: int = CELL_TIMEOUT
) -> int:
    """The sub-command: bring notebooks up to date one after the other, and report.

    Raises:
        UsageError: for an unknown name or scale.
        Failure: at the end, if a notebook failed or its outputs hold what they must not.
    """
    if scale not in runtime.SCALES:
        raise UsageError(f"scale is {scale!r}, but must be one of {', '.join(runtime.SCALES)}")
    chosen = choose(names, pairs())
    reasons: dict[Pair, list[str]] = {}
    if stale:
        reasons = {pair: staleness(pair) for pair in chosen}
        chosen = [pair for pair in chosen if reasons[pair]]
        for pair in chosen:
            print(f"{pair.name}: {'; '.join(reasons[pair])}")
        if not chosen:
            print("all notebooks are up to date")
    problems = []
    for pair in chosen:
        started = time.perf_counter()
        rerun = run and reasons.get(pair) != [TEXT_DIFFERS]  # where only prose changed, the outputs still hold
        try:
            path = make(pair, scale, rerun, cell_timeout)
        except Failure as failure:
            problems.append(str(failure))
            print(f"{pair.name}: failed, nothing written", flush=True)
            continue
        notebook = read_notebook(path)
        done = f"executed at scale {scale}" if rerun else "text and notebook agree"
        print(
            f"{pair.name}: {done}, {len(notebook.cells)} cells, "
            f"{time.perf_counter() - started:.0f} s, {path.stat().st_size / 1e6:.1f} MB in {path}",
            flush=True,
        )
        problems.extend(f"{pair.name}: {fault}" for fault in faults(notebook))
    if problems:
        raise Failure("\n".join(problems))
    return 0
