"""Files that are whole or not there: atomic writing, the state of a training, the state of all random generators.

A crash, a full disk or `kill -9` at any moment leaves either the old file or the new one, never half of one: the bytes
go to a hidden neighbour, are forced to the disk, and then take the old file's name in one step.
"""

import io
import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy
import torch


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged, of another training, or could not be written. Says what to do."""


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` to `path` so that the file is complete or untouched, whatever happens meanwhile.

    Raises:
        CheckpointError: if the disk is full or the folder cannot be written; a former file stays as it was.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CheckpointError(cannot_write(path, error)) from error
    _sync_folder(path.parent)


def replace_folder(new: Path, target: Path) -> None:
    """Let the complete folder `new` take the place of `target`; `recover_folder` mends a break in the middle."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.rename(target, old)
    os.rename(new, target)
    _sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(target: Path) -> None:
    """Bring back the former folder if a crash hit the moment between the two renames of `replace_folder`."""
    old = target.with_name(f".{target.name}.old")
    if old.exists() and not target.exists():
        os.rename(old, target)


def random_state() -> dict[str, Any]:
    """The state of Python's, NumPy's and torch's global generators (CPU, CUDA, MPS), as plain data and tensors."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = numpy.random.get_state()
    return {
        "python": [version, list(words), gauss],
        "numpy": [name, keys.tolist(), int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put back what `random_state` took."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, *rest = state["numpy"]
    numpy.random.set_state((name, numpy.array(keys, dtype=numpy.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    if state["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors and plain values to `path`, atomically.

    Raises:
        CheckpointError: if it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def read_state(path: Path, configuration: dict[str, Any] | None = None) -> dict[str, Any]:
    """Read what `save_state` wrote; tensors come to the CPU. Nothing but tensors and plain values is ever unpickled.

    Args:
        path: the file.
        configuration: of the training that asks; compared with `state["configuration"]` unless None.

    Raises:
        CheckpointError: if the file is missing, damaged, something else, or belongs to another configuration.
    """
    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"there is no checkpoint {path}.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can fail in any way; all of them mean the same to the reader
        raise CheckpointError(
            f"{path} is damaged or no checkpoint of a training ({type(error).__name__}). Delete it to start anew."
        ) from error
    if not isinstance(state, dict) or "configuration" not in state:
        raise CheckpointError(f"{path} holds something else than the state of a training. Choose another path.")
    if configuration is not None and state["configuration"] != configuration:
        changes = "; ".join(_differences(state["configuration"], configuration))
        raise CheckpointError(
            f"{path} belongs to another training: {changes}. Delete the file to start anew, or choose another path."
        )
    return state


def _differences(stored: Any, asked: Any, name: str = "") -> list[str]:
    """Where two nested configurations differ, one short sentence each."""
    if isinstance(stored, dict) and isinstance(asked, dict):
        keys = list(dict.fromkeys([*stored, *asked]))
        return [line for key in keys for line in _differences(stored.get(key), asked.get(key), f"{name} {key}".strip())]
    return [] if stored == asked else [f"{name} is {json.dumps(stored)} in the file, {json.dumps(asked)} asked for"]


def cannot_write(path: Path, error: OSError) -> str:
    return (
        f"{path} could not be written: {error.strerror or error}. What was there before is untouched. "
        "Make room on the disk (data/cache may be deleted), or choose another place, and run the same again."
    )


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can do so (Windows cannot open folders)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
