"""`course check` and `course reset`: which exercises of a student's notebooks hold, and a fresh copy of one of them."""

import os
import shutil
from pathlib import Path

from course_utils import runtime
from course_utils.cli import output
from course_utils.cli.names import Failure, nearest

KEPT = ".old-"  # 02_vae.old-1.ipynb is what `course reset` kept of 02_vae.ipynb


def _notebooks(folder: Path) -> dict[str, Path]:
    paths = sorted([*folder.glob("[0-9][0-9]_*.ipynb"), *folder.glob("[0-9][0-9]_*/*.ipynb")])
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths if KEPT not in path.name}


def find(name: str, folder: Path) -> Path:
    """The notebook file that `name` means: a file, `01_autoencoders/02_vae`, or `02_vae`.

    Raises:
        UsageError: if `folder` (work/ or notebooks/) has none, with the nearest match.
    """
    if Path(name).suffix == ".ipynb" and Path(name).is_file():
        return Path(name)
    return _named(name, folder)


def _named(name: str, folder: Path) -> Path:
    there = _notebooks(folder)
    wanted = "/".join(Path(name.removesuffix(".ipynb")).parts[-2:])
    short = {key.split("/")[-1]: key for key in there}
    key = wanted if wanted in there else short.get(wanted)
    if key is None:
        near = nearest(wanted, there if "/" in wanted else short, f"notebook in {folder.name}/")
        key = short.get(near, near)
    return there[key]


def check(name: str | None, as_json: bool, work: Path | None = None) -> int:
    """The sub-command. Exit code 1 where a named notebook has an exercise that does not hold.

    Raises:
        Failure: if there is no work/ folder yet.
        UsageError: for an unknown notebook.
    """
    work = work or runtime.repository() / "work"
    if not _notebooks(work) and not (name and Path(name).is_file()):
        raise Failure(f"there is no notebook in {work} yet: `make lab` copies them there")
    from course_utils.checks import run_notebook_checks

    if name is not None:
        path = find(name, work)
        results = run_notebook_checks(path)
        rows = [
            {"exercise": result.exercise, "points": result.points, "holds": result.held, "message": result.message}
            for result in results
        ]
        output.show(rows, f"{path.parent.name}/{path.stem}", as_json, empty="no exercises")
        return 0 if all(result.held for result in results) else 1
    rows = []
    for key, path in _notebooks(work).items():
        if "/" not in key:  # a page before the chapters: there is nothing to write in it
            continue
        try:
            results, problem = run_notebook_checks(path), {}
        except ValueError as error:  # one file that is no notebook does not hide the others
            results, problem = [], {"problem": str(error)}
        rows.append(
            {
                "notebook": key,
                "exercises": len(results),
                "hold": [result.exercise for result in results if result.held],
                "open": [result.exercise for result in results if not result.held],
                "points": sum(result.points for result in results if result.held),
                "of": sum(result.points for result in results),
                **problem,
            }
        )
    output.show(rows, "Exercises", as_json)
    if not as_json:
        points, of = (output.number(sum(row[column] for row in rows)) for column in ("points", "of"))
        print(f"{points} of {of} points so far; `course check NOTEBOOK` says what is wrong with an exercise")
    return 0


def reset(name: str, root: Path | None = None) -> int:
    """The sub-command: put the released notebook into work/ again; what was there is renamed, and never lost.

    Raises:
        UsageError: for an unknown notebook.
    """
    root = root or runtime.repository()
    released = _named(name, root / "notebooks")
    copy = root / "work" / released.relative_to(root / "notebooks")
    copy.parent.mkdir(parents=True, exist_ok=True)
    if copy.exists() and copy.read_bytes() == released.read_bytes():
        print(f"{copy} is as it was handed out: nothing to reset")
        return 0
    fresh = copy.with_name(f".{copy.name}.part")
    shutil.copyfile(released, fresh)
    if copy.exists():
        number = 1
        while (kept := copy.with_name(f"{copy.stem}{KEPT}{number}.ipynb")).exists():
            number += 1
        os.rename(copy, kept)
        print(f"yours is kept as {kept}")
    os.replace(fresh, copy)
    print(f"{copy} is a fresh copy; if it is open in JupyterLab, close it and open it again")
    return 0
