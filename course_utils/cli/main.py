"""The `course` command: its sub-commands, their arguments, exit codes.

0 all is well · 1 it could not be done, or does not hold · 2 the command line is wrong · 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from course_utils.cli.names import Failure, UsageError, nearest

Scale = Literal["smoke", "cpu", "gpu"]
Json = Annotated[bool, tyro.conf.arg(name="json", help="Print one JSON object a row.")]
Name = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
OptionalName = Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
Chapters = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")]
Folder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
Names = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[NAME ...]")]


def _choose_scale(scale: Scale | None) -> None:
    if scale is not None:
        os.environ["COURSE_SCALE"] = scale


def list_(as_json: Json = False) -> int:
    """Every trained thing of the course: its measured quality beside target, chance and ceiling."""
    from course_utils.cli import trained

    return trained.list_all(as_json)


def train(name: Name, scale: Scale | None = None, minutes: float | None = None, seed: int | None = None) -> int:
    """Train a recipe and keep its checkpoint in data/checkpoints; goes on where an interrupted training stopped.

    Args:
        name: of the recipe, as `course list` shows it.
        scale: smoke (seconds), cpu (minutes) or gpu (the paper's size); COURSE_SCALE, or cpu, unless given.
        minutes: stop after that many minutes; the same command goes on from there.
        seed: other than the recipe's own.
    """
    _choose_scale(scale)
    from course_utils.cli import trained

    return trained.train(name, minutes, seed)


def sample(
    name: Name,
    num: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 32,
    seed: int = 0,
    output: Annotated[Path | None, tyro.conf.arg(aliases=["--out"])] = None,
    prompt: str | None = None,
    negative: str = "",
) -> int:
    """Draw pictures from a trained model and write them as one PNG sheet.

    Args:
        name: of the recipe, as `course list` shows it.
        num: pictures to draw.
        seed: of the random draws: the same seed gives the same pictures.
        output: file to write; NAME.png in this folder unless given.
        prompt: what the pictures shall show, as in "a red circle at the top left"; for models that draw to a text.
        negative: what they shall not show.
    """
    from course_utils.cli import trained

    return trained.sample(name, num, seed, output, prompt, negative)


def evaluate(name: Name, quick: bool = False, as_json: Json = False) -> int:
    """Measure a trained model again, beside what its card says, target, chance and ceiling.

    Args:
        name: of the recipe, as `course list` shows it.
        quick: on the small fixed part of the held-out samples that `make test` uses.
    """
    from course_utils.cli import trained

    return trained.evaluate(name, quick, as_json)


def search(
    query: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")] = None,
    recipe: str = "clip-scenes",
    k: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 9,
    out: Path = Path("results.png"),
    folder: Path | None = None,
    dataset: str | None = None,
    image: Path | None = None,
    as_json: Json = False,
) -> int:
    """Find pictures by a text, or by another picture, and write them as one PNG sheet, the best first.

    Args:
        query: what the pictures shall show, as in "a red circle left of a star".
        recipe: of the CLIP that reads texts and pictures.
        k: how many pictures to find.
        out: file to write.
        folder: search the pictures in this folder; held-out ones of the recipe's own data unless given.
        dataset: search the first column of pictures of this data set of the Hugging Face hub, or of a folder in its layout.
        image: a picture to look for, in place of a text.
    """
    from course_utils.cli import searching

    return searching.search(query, recipe, k, out, folder, dataset, image, as_json)


def caption(
    images: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE ...")] = (),
    model: str = "blip-scenes",
    as_json: Json = False,
) -> int:
    """Say in words what is in pictures; a picture that is not of the course's world gets its caption with a warning.

    Args:
        images: files; of each the central square is looked at.
        model: recipe of the captioner: blip-scenes, blip2-scenes or clipcap-scenes.
    """
    from course_utils.cli import describing

    return describing.caption(images, model, as_json)


def ask(
    image: Annotated[Path | None, tyro.conf.Positional] = None,
    question: Annotated[str | None, tyro.conf.Positional] = None,
    as_json: Json = False,
) -> int:
    """Answer a question about a picture, with alternatives; a picture that is not of the course's world gets its answer with a warning.

    Args:
        image: file; its central square is looked at.
        question: such as "How many red objects are there?" or "Where is the blue star?".
    """
    from course_utils.cli import describing

    return describing.ask(image, question, as_json)


def experiment(
    name: OptionalName = None,
    all: bool = False,
    only: int | None = None,
    scale: Scale | None = None,
    as_json: Json = False,
) -> int:
    """Run a study of the course, keep its rows in data/experiments, and write docs/claims.md anew.

    Args:
        name: of the experiment. Without a name and without --all, the experiments are listed.
        all: run every experiment.
        only: run this cell of the grid only (the first is 0) and store nothing.
        scale: smoke, cpu or gpu; COURSE_SCALE, or cpu, unless given.
    """
    _choose_scale(scale)
    from course_utils.cli import studies

    return studies.experiment(name, all, only, as_json)


def check(notebook: OptionalName = None, as_json: Json = False) -> int:
    """Say which exercises of a notebook in work/ hold; without a name, how far you are in each, and your points so far.

    Args:
        notebook: name or file, as in 02_vae.
    """
    from course_utils.cli import progress

    return progress.check(notebook, as_json)


def reset(notebook: Name) -> int:
    """Put a fresh copy of a notebook into work/; the old one is kept beside it.

    Args:
        notebook: name or file, as in 02_vae.
    """
    from course_utils.cli import progress

    return progress.reset(notebook)


def submit(chapters: Names = (), out: Path = Path("submission.zip")) -> int:
    """Look through the notebooks in work/, say what is missing in them, and pack them into one file to hand in.

    Args:
        chapters: to hand in, as in 02_gans; those that you began unless given.
        out: file to write.
    """
    from course_utils.cli import submission

    return submission.submit(chapters, out)


def notebooks(
    names: Names = (),
    scale: Scale = "cpu",
    stale: bool = False,
    no_execute: bool = False,
    timeout: int = 1_800,
) -> int:
    """Bring the notebooks of solutions/ up to date with their paired text, execute them, store their outputs.

    Args:
        names: of notebooks or chapters; all unless given.
        scale: only cpu writes to solutions/; the others write to build/notebooks.
        stale: only those whose outputs or text are out of date.
        no_execute: bring text and notebook together, and keep the outputs that are there.
        timeout: seconds that one cell may take.
    """
    from course_utils.cli import notebooks as pipeline

    return pipeline.notebooks(names, scale, stale, run=not no_execute, cell_timeout=timeout)


def release(to: Path | None = None, chapter: Chapters = (), force: bool = False) -> int:
    """Write the student version of every notebook to notebooks/: no answer, no hidden test, no output.

    Args:
        to: pack the student edition of the whole course into this folder, in place of writing notebooks/.
        chapter: with --to: hand out these chapters only, such as 01_autoencoders 02_gans.
        force: with --to: replace the edition that the folder holds.
    """
    if to is None and (chapter or force):
        raise UsageError("--chapter and --force belong to --to FOLDER, which packs the student edition")
    if to is not None:
        from course_utils.cli import pack

        return pack.pack(to, chapter, force)
    from course_utils.cli import release as pipeline

    return pipeline.release()


def collect(downloads: Folder, to: Path = Path("grading"), force: bool = False) -> int:
    """Sort a folder of downloads from a learning platform into submitted/STUDENT/CHAPTER/, for `course grade`.

    Args:
        downloads: folder with a folder for each student, or archives, or files whose names begin with the student's.
        to: folder of the term; the submissions go into `submitted` in it.
        force: replace what a student handed in before.
    """
    from course_utils.cli import grading

    return grading.collect(downloads, to, force)


def grade(
    submissions: Folder,
    chapter: str | None = None,
    jobs: Annotated[int, tyro.conf.arg(aliases=["-j"])] = 1,
    force: bool = False,
    unsafe: bool = False,
    dask: str | None = None,
    to: Path | None = None,
) -> int:
    """Grade untrusted notebooks in a sandbox: points, feedback, grades.csv, nbgrader's gradebook. Goes on where it stopped.

    Args:
        submissions: folder that holds STUDENT/CHAPTER/*.ipynb.
        chapter: grade this one only, such as 02_gans.
        jobs: processes that grade at a time.
        force: grade again what is graded, and overwrite its results.
        unsafe: do without the sandbox; students' code can then do whatever you can.
        dask: address of a dask scheduler, to grade on its workers.
        to: folder for the results; that in which the submissions lie, unless given.
    """
    from course_utils.cli import grading

    return grading.grade(submissions, chapter, jobs, force, unsafe, dask, to)


def doctor(as_json: Json = False) -> int:
    """What works on this machine (Python, torch, device, disk, fonts, network), and what to do where it does not."""
    from course_utils.cli import doctor as examination

    return examination.doctor(as_json)


COMMANDS = {
    "list": list_,
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
    "search": search,
    "caption": caption,
    "ask": ask,
    "experiment": experiment,
    "check": check,
    "reset": reset,
    "submit": submit,
    "notebooks": notebooks,
    "release": release,
    "collect": collect,
    "grade": grade,
    "doctor": doctor,
}
DESCRIPTION = (
    "Generative models, vision and language: train, sample and measure the models of the course, check your exercises, "
    "make the notebooks. Add --debug, or set COURSE_DEBUG=1, to see where an error comes from."
)


def run(arguments: Sequence[str]) -> int:
    """Run one sub-command and return its exit code; errors are raised."""
    first = next((word for word in arguments if not word.startswith("-")), None)
    if first is not None and arguments[0] == first:
        nearest(first, COMMANDS, "sub-command")
    return tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        prog="course",
        description=DESCRIPTION,
        args=list(arguments),
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.HelptextFromCommentsOff),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line, and turn errors into one message on stderr and an exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments or os.environ.get("COURSE_DEBUG", "") not in ("", "0")
    arguments = [word for word in arguments if word != "--debug"]
    try:
        return run(arguments)
    except KeyboardInterrupt:
        print("course: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `course list | head`: whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # the one place where every error becomes a line for people
        if debug:
            raise
        message = str(error) or type(error).__name__
        named = isinstance(error, (Failure, UsageError, ValueError, OSError, RuntimeError))
        print(f"course: {message if named else f'{type(error).__name__}: {message}'}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
