"""Where an answer lives, and how a check reaches it: in the notebook, or in a child process. Nothing else is known to a check.

A subject has a `name` and two methods: `look()` gives a `Description` of what stands under the name, `answer(request)` carries out one
`Call`, `Build` or `Train` and gives an `Answer`.

The child is a plain process that trusts nobody but is not yet a prison: it keeps a crash, an endless loop or a patched
library away from the check, and lets only plain data through. It does not keep the student's code from the disk.
"""

import contextlib
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils import runtime
from course_utils.checks import perform, plain
from course_utils.checks.perform import Answer, Description, Failure, Request

START_SECONDS = 120.0  # for a process that imports torch, on a machine that is busy with something else
BUSY = "that is no fault of the answer; the machine is busy with something else, so try again when it has less to do"


class SubjectLost(Exception):
    """The answer's process gave no honest answer: it died, ran out of time, or sent what was not asked for.

    Attributes:
        piece: name of the piece of source that was being run, if it was not an answer.
    """

    piece: str | None = None


class Forged(SubjectLost):
    """Unasked, malformed or too much data came from the answer's process."""


class InNotebook:
    """An answer in this process: the reader's own function or class."""

    def __init__(self, target: Any, name: str | None = None):
        self.target = target
        self.name = name or getattr(target, "__name__", type(target).__name__)

    def look(self) -> Description:
        """What the answer is, without calling it."""
        return perform.look_at(self.target)

    def answer(self, request: Request) -> Answer:
        """What comes of `request`."""
        return perform.perform(self.target, request)


class Child:
    """A process that runs answers. It is started when first needed, and again after it was lost.

    Each `load` gets a fresh copy of a process in which torch is already imported (by `fork`; on Windows a new process).

    Args:
        seconds: time limit of one answer, where `allow` sets no other.
        folder: the working folder of the answers: they read files and import modules from there, as in a notebook.
        preload: names of modules to import once, where many answers use them.

    Attributes:
        failures: what failed of the pieces that were loaded last, by the name of the piece.
    """

    def __init__(self, seconds: float = 30.0, folder: Path | None = None, preload: Sequence[str] = ()):
        self.seconds = seconds
        self.folder = folder
        self.preload = preload
        self._placed: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._loaded: object = None
        self._until: tuple[float, float, str] | None = None
        self.failures: dict[str, Failure] = {}

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and all that it started."""
        self._loaded = None
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)  # its own session, so its process group bears its number
            else:
                process.kill()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        process.wait()

    def load(self, pieces: Sequence[tuple[str, str]]) -> dict[str, Failure]:
        """Forget what was loaded and run the source of `pieces`, (name, source) each, one after the other in one namespace.

        A piece that raises does not keep the next ones from running.

        Returns:
            what failed, by the name of its piece.

        Raises:
            SubjectLost: if the process died or took more than `seconds` for a piece.
        """
        self._renew()
        if self._until is not None:
            self.allow(*self._until[1:])  # the start of a process is not the answer's fault
        self._loaded = pieces
        self.failures = {}
        self._exchange({"do": "load", "folder": None if self.folder is None else str(self.folder)})
        for name, source in pieces:
            try:
                result = self._exchange({"do": "run", "name": name, "source": source})
            except SubjectLost as error:
                error.piece = name
                raise
            with self._distrust():
                failure = perform.failure_from_plain(result)
            if failure is not None:
                self.failures[name] = failure
        return self.failures

    def loaded(self, pieces: object) -> bool:
        """Whether `pieces`, the same object, are what the process holds."""
        return self._process is not None and self._loaded is pieces

    def look(self, name: str) -> Description:
        """What stands under `name`."""
        result = self._exchange({"do": "look", "name": name})
        with self._distrust():
            return perform.description_from_plain(result)

    def answer(self, name: str, request: Request) -> Answer:
        """What comes of `request` to what stands under `name`."""
        result = self._exchange({"do": "answer", "name": name, "request": perform.request_to_plain(request)})
        with self._distrust():
            return perform.answer_from_plain(result)

    def allow(self, seconds: float, what: str) -> None:
        """From now on, all exchanges together may take `seconds`, for `what`: "this question", say."""
        self._until = (time.monotonic() + seconds, seconds, what)

    def place(self, files: Mapping[str, bytes]) -> None:
        """Let what is loaded from now on find `files` (content by relative path) in a working folder of its own."""
        self._displace()
        self._placed = tempfile.TemporaryDirectory(prefix="course-answer-", ignore_cleanup_errors=True)
        self.folder = Path(self._placed.name)
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def _displace(self) -> None:
        placed, self._placed = self._placed, None
        if placed is not None:
            placed.cleanup()
            self.folder = None

    def end_answer(self) -> None:
        """Have done with the answer that is loaded: nothing of it goes on running."""
        self.close()
        self._displace()

    def _renew(self) -> None:
        """Have a process that has loaded nothing yet."""
        if self._process is not None and self._loaded is not None:
            try:
                unloaded = self._exchange({"do": "unload"})
            except SubjectLost:
                self.close()
            else:
                if unloaded != "ready":
                    self.close()
        if self._process is None:
            self._start()

    def _start(self) -> None:
        path = os.pathsep.join(filter(None, [str(runtime.repository()), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "course_utils.checks.worker", *self.preload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
            start_new_session=True,
        )
        self._lines = queue.Queue()
        threading.Thread(target=collect, args=(self._process.stdout, self._lines), daemon=True).start()
        until, self._until = self._until, None  # the import of torch takes no time of the answer's
        try:
            ready = self._receive(START_SECONDS, "the import of torch", BUSY)
        finally:
            self._until = until
        if ready != "ready":
            self._lose(SubjectLost("the process for the answer did not start"))

    def _exchange(self, message: dict[str, Any]) -> Any:
        if not self._open():
            raise SubjectLost("the process of the answer has ended")
        if not self._lines.empty() and self._lines.queue[0]:
            self._lose(Forged("the answer sent data that nobody had asked for"))
        token = secrets.token_hex(8)
        try:
            self._send(plain.encode({**message, "token": token}))
        except OSError:
            self._lose(SubjectLost("the process of the answer ended by itself (out of memory, or told to exit?)"))
        reply = self._receive(self.seconds, "this")
        if type(reply) is not dict or set(reply) != {"token", "result"} or reply["token"] != token:
            self._lose(Forged("the answer sent data that nobody had asked for"))
        return reply["result"]

    def _open(self) -> bool:
        return self._process is not None and self._process.stdin is not None

    def _send(self, line: bytes) -> None:
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def _receive(self, seconds: float, what: str, why: str = "is there a loop that never ends?") -> Any:
        left = seconds
        if self._until is not None:
            until, seconds, what = self._until
            left = until - time.monotonic()
        try:
            line = self._lines.get(timeout=max(0.0, left))
        except queue.Empty:
            self._lose(SubjectLost(f"it took more than {seconds:g} seconds for {what}: {why}"))
        if not line:
            self._lose(SubjectLost("the process of the answer ended by itself (out of memory, or told to exit?)"))
        with self._distrust():
            return plain.decode(line)

    @contextlib.contextmanager
    def _distrust(self) -> Iterator[None]:
        try:
            yield
        except plain.Malformed as error:
            self._lose(Forged(f"the answer sent {error}"))

    def _lose(self, error: SubjectLost) -> None:
        self.close()
        raise error


def collect(stream: Any, lines: "queue.Queue[bytes]") -> None:
    """Put the lines of `stream` into `lines`; an empty one at its end. A line is cut just above the limit."""
    with contextlib.suppress(OSError, ValueError):
        while line := stream.readline(plain.LIMIT + 1):
            lines.put(line)
            if len(line) > plain.LIMIT or lines.qsize() > 16:
                break
    lines.put(b"")


class InChild:
    """An answer in a child process.

    Args:
        source: the student's code: one text, or pieces (name, source) that run one after the other.
        name: of the function or class in it.
        child: the process to use, where several answers share one; otherwise one of its own, ended by `close`.
    """

    def __init__(self, source: str | Sequence[tuple[str, str]], name: str, child: Child | None = None):
        self.name = name
        self.child = child or Child()
        self._pieces = [("answer", source)] if isinstance(source, str) else source

    def close(self) -> None:
        """End the process."""
        self.child.close()

    def look(self) -> Description:
        """What the answer is. Runs the source first.

        Raises:
            SubjectLost: as `Child.load`.
        """
        self._ready()
        found = self.child.look(self.name)
        failures = self.child.failures
        if found.kind == "missing" and failures:
            own = (name for name, source in self._pieces if name in failures and self._named_in(source))
            cell = next(own, list(failures)[-1])
            return Description("missing", cell=cell, failure=failures[cell])
        return found

    def answer(self, request: Request) -> Answer:
        """What comes of `request`.

        Raises:
            SubjectLost: if the process died, ran out of time, or sent what was not asked for.
        """
        self._ready()
        return self.child.answer(self.name, request)

    def _named_in(self, source: str) -> bool:
        return re.search(rf"^(def|class) +{self.name}\b|^{self.name} *=", source, re.MULTILINE) is not None

    def _ready(self) -> None:
        if not self.child.loaded(self._pieces):
            self.child.load(self._pieces)


Subject = InNotebook | InChild
