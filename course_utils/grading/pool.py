"""Grade many submissions and render their pages: over the cores of this machine, or over machines with dask. One that fails stops no other."""

import atexit
import contextlib
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from course_utils.grading.feedback import SECONDS, Feedback, render
from course_utils.grading.official import Chapter
from course_utils.grading.sandbox import Limits


@dataclass(frozen=True)
class Job:
    """One submission, read before: its notebooks by name, and the files beside them."""

    student: str
    chapter: str
    files: Mapping[str, bytes]
    notes: tuple[str, ...]
    beside: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """What every worker needs to know."""

    chapters: Mapping[str, Chapter]
    unsafe: bool = False
    limits: Limits = Limits()

    @property
    def key(self) -> tuple[Any, ...]:
        """Changes with anything that a worker would have to start anew for."""
        return (self.unsafe, self.limits, tuple((name, chapter.version) for name, chapter in self.chapters.items()))


Task = Job | Feedback
Outcome = Any  # a grader.Result of a job, pages by name of feedback, or the exception that kept them from being made

_lock = threading.Lock()  # a dask worker may have threads; what a test prints is caught for the whole process
_state: dict[str, Any] = {}


def run_job(setup: Setup, job: Task) -> Any:
    """Grade one submission in this process, in the sandbox that it keeps; or render its pages."""
    with _lock:
        if isinstance(job, Feedback):
            return render(setup.chapters[job.chapter], job)
        from course_utils.grading.grader import grade

        if _state.get("key") != setup.key:
            _forget()
            _state.update(key=setup.key, child=_child(setup))
        chapter = setup.chapters[job.chapter]
        return grade(job.student, chapter, dict(job.files), job.notes, _state["child"], job.beside)


def _child(setup: Setup) -> Any:
    import torch

    from course_utils.checks.subjects import Child
    from course_utils.grading.official import imported
    from course_utils.grading.sandbox import Sandbox
    from course_utils.grading.traps import make_library

    torch.set_num_threads(1)
    if setup.unsafe:
        return Child(setup.limits.seconds, preload=imported(setup.chapters.values()))
    folder = Path(tempfile.mkdtemp(prefix="course-sandbox-"))
    folder.chmod(0o755)
    _state["folder"] = folder
    books = [book for chapter in setup.chapters.values() for book in chapter.notebooks]
    library = make_library(folder, [trap for book in books for question in book.questions for trap in question.traps])
    return Sandbox(library, setup.limits, imported(setup.chapters.values()))


@atexit.register
def _forget() -> None:
    if "child" in _state:
        _state["child"].close()
    if "folder" in _state:
        shutil.rmtree(_state["folder"], ignore_errors=True)
    _state.clear()


def run_here(setup: Setup, jobs: Iterable[Task | None], workers: int) -> Iterator[tuple[Task, Outcome]]:
    """Carry out `jobs` in `workers` processes, in the order in which they get done. Few are held in memory at a time.

    Args:
        jobs: what to do; None says that there is nothing just now, and perhaps more after the next outcome.
    """
    jobs = iter(jobs)
    suspects: deque[Task] = deque()
    pool = _pool(workers)
    running: dict[Future, Task] = {}
    try:
        while True:
            while len(running) < workers + 1 and (job := next(jobs, None)) is not None:
                running[pool.submit(run_job, setup, job)] = job
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                job = running.pop(future)
                outcome = _outcome(future, job)
                if isinstance(outcome, BrokenProcessPool):
                    suspects.append(job)
                else:
                    yield job, outcome
            if suspects:  # a process died: all that were under way are tried again, each alone
                suspects += running.values()
                running.clear()
                pool.shutdown(wait=False, cancel_futures=True)
                while suspects:
                    pool = _pool(1)
                    job = suspects.popleft()
                    outcome = _outcome(pool.submit(run_job, setup, job), job)
                    pool.shutdown(wait=False, cancel_futures=True)
                    yield job, outcome
                pool = _pool(workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def _outcome(future: Future, job: Task) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        if isinstance(job, Feedback):
            return BrokenProcessPool(
                f"it has its points, but no feedback: the pages took more than {SECONDS:.0f} seconds of CPU, or too much memory"
            )
        return BrokenProcessPool("the grading process itself died over it: too much memory?")
    except Exception as error:
        return error


def run_on_dask(setup: Setup, jobs: Iterable[Task | None], address: str) -> Iterator[tuple[Task, Outcome]]:
    """The same on the workers of a dask scheduler, each of which needs this course and bubblewrap."""
    from distributed import Client, as_completed

    jobs = iter(jobs)
    with Client(address) as client:
        shared = client.scatter(setup, broadcast=True)
        running: dict[str, Task] = {}
        results = as_completed()

        def submit() -> None:
            job = next(jobs, None)
            if job is not None:
                future = client.submit(run_job, shared, job, pure=False, retries=1)
                running[future.key] = job
                results.add(future)

        for _ in range(2 * max(1, len(client.scheduler_info()["workers"]))):
            submit()
        for future in results:
            job = running.pop(future.key)
            outcome: Outcome = None
            with contextlib.suppress(Exception):
                outcome = future.exception()
            yield job, outcome if outcome is not None else future.result()
            future.release()
            submit()
