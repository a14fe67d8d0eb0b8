"""`course check`: which exercises of a student's notebook hold, and how far the whole course is."""

from pathlib import Path

from course_utils import runtime
from course_utils.cli import output
from course_utils.cli.names import Failure, nearest


def _notebooks(work: Path) -> dict[str, Path]:
    return {f"{path.parent.name}/{path.stem}": path for path in sorted(work.glob("[0-9][0-9]_*/*.ipynb"))}


def find(name: str, work: Path) -> Path:
    """The notebook file that `name` means: a file, `01_autoencoders/02_vae`, or `02_vae`.

    Raises:
        UsageError: if there is none, with the nearest match.
    """
    if Path(name).suffix == ".ipynb" and Path(name).is_file():
        return Path(name)
    there = _notebooks(work)
    wanted = "/".join(Path(name.removesuffix(".ipynb")).parts[-2:])
    short = {key.split("/")[1]: key for key in there}
    key = wanted if wanted in there else short.get(wanted)
    if key is None:
        near = nearest(wanted, there if "/" in wanted else short, "notebook in work/")
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
        results = run_notebook_checks(path)
        rows.append(
            {
                "notebook": key,
                "exercises": len(results),
                "hold": sum(bool(result.held) for result in results),
                "points": sum(result.points for result in results if result.held),
                "of": sum(result.points for result in results),
            }
        )
    output.show(rows, "Exercises", as_json)
    return 0
