"""A child process in bubblewrap: no network, a read-only system, its own empty folders, and limits on all that it could use up."""

import contextlib
import functools
import itertools
import json
import math
import os
import queue
import select
import shutil
import signal
import site
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from course_utils import runtime
from course_utils.checks import subjects
from course_utils.checks.subjects import Child, SubjectLost
from course_utils.grading.files import packed
from course_utils.grading.traps import Library, Trap

HOME = "/home"  # the working folder of the student's code
FRESH = ("/tmp", HOME, "/dev/shm")  # what a student's code may write to, 64 MB each
MISSING = (
    "bubblewrap is not here, and without it students' code could read and change all that you can. Install it "
    "(Debian, Ubuntu: `sudo apt install bubblewrap`), or grade with --unsafe those whom you trust as yourself"
)


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Memory in bytes; `seconds` is for one exchange, `cpu` for one question."""

    seconds: float = 30.0
    cpu: int = 60
    address_space: int = 6 * 2**30
    memory: int = 3 * 2**30
    processes: int = 64
    files: int = 256
    file_size: int = 16 * 2**20


@functools.cache
def why_not() -> str:
    """Why there can be no sandbox on this machine; empty if there can."""
    if sys.platform != "linux" or shutil.which("bwrap") is None:
        return MISSING
    needed = ["prlimit", "setpriv"] if os.geteuid() == 0 else ["prlimit"]
    if absent := [name for name in needed if shutil.which(name) is None]:
        return f"the sandbox needs {' and '.join(absent)} (package util-linux)"
    command = [*_bubblewrap([]), *_limited(Limits()), "/usr/bin/true"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode == 0:
        return ""
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return f"bubblewrap does not run here ({last}); user namespaces may be switched off on this machine"


class Sandbox(Child):
    """A `Child` in bubblewrap.

    One process in there has imported the course; each `load` gets a fork of it with a channel of its own. Where such a
    fork has namespaces of its own (`shared` is true then), one sandbox may serve one submission after the other.

    Args:
        library: the course as the sandbox shall see it.

    Attributes:
        traps: for the question whose answer is loaded next.
        answer_seconds: that this answer may take; its limit on CPU time is never less.
    """

    def __init__(self, library: Library, limits: Limits = Limits(), preload: Sequence[str] = ()):
        super().__init__(limits.seconds, preload=preload)
        self.library, self.limits = library, limits
        self.traps: tuple[Trap, ...] = ()
        self.answer_seconds = limits.seconds
        self.shared = False
        self._control: socket.socket | None = None
        self._channel: socket.socket | None = None
        self._reason = ""
        self._group: Path | None = None
        self._files: Any = None
        self._over = threading.Event()

    def close(self) -> None:
        self._over.set()
        self._drop()
        if self._control is not None:
            self._control.close()
            self._control = None
        super().close()
        if self._group is not None:
            _remove_group(self._group)
            self._group = None

    def _drop(self) -> None:
        self._loaded = None
        channel, self._channel = self._channel, None
        if channel is not None:
            with contextlib.suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)
            channel.close()

    def place(self, files: Mapping[str, bytes]) -> None:
        """Let what is loaded from now on find `files` (content by relative path) in its working folder."""
        self._displace()
        self.folder = PurePosixPath(HOME)
        if files:
            self._files = tempfile.TemporaryFile()
            self._files.write(packed(files))
            self._files.flush()

    def _displace(self) -> None:
        archive, self._files = self._files, None
        if archive is not None:
            archive.close()

    def end_answer(self) -> None:
        """Kill what runs in the sandbox, and keep the sandbox where that may be."""
        self._displace()
        self._drop()
        if not self.shared or not self._order({}):
            self.close()

    def _renew(self) -> None:
        self._drop()
        for _ in range(2):
            if self._process is None:
                self._start()
            mine, theirs = socket.socketpair()
            traps = [(trap.module, trap.name, trap.functions) for trap in self.traps]
            done = self._order({"traps": traps, "cpu": self._cpu()}, theirs, self._files)
            theirs.close()
            if done:
                self._channel, self._lines = mine, queue.Queue()
                stream = mine.makefile("rb")
                threading.Thread(target=subjects.collect, args=(stream, self._lines), daemon=True).start()
                return
            mine.close()
            self.close()  # the last answer did it harm
        raise SubjectLost("the sandbox does not start")

    def _cpu(self) -> int:
        """Seconds of CPU for one question: more than its time limit."""
        return max(self.limits.cpu, 30 + math.ceil(self.answer_seconds))

    def _order(self, order: dict[str, Any], *ends: Any) -> bool:
        """Whether the first process of the sandbox has carried out an order."""
        if self._control is None:
            return False
        try:
            message = json.dumps(order).encode() + b"\n"
            socket.send_fds(self._control, [message], [end.fileno() for end in ends if end is not None])
            return self._control.recv(64) == b"done\n"
        except OSError:
            return False

    def _open(self) -> bool:
        return self._channel is not None

    def _send(self, line: bytes) -> None:
        # not by `settimeout`: it would hold for the thread that waits for answers on the same socket, too, and end it
        until, rest = time.monotonic() + self.seconds, memoryview(line)
        ready = select.poll()
        ready.register(self._channel, select.POLLOUT)
        while rest:
            if not ready.poll(max(0.0, 1000 * (until - time.monotonic()))):
                raise TimeoutError("the answer's process does not read what it is sent")
            with contextlib.suppress(BlockingIOError):
                rest = rest[self._channel.send(rest, socket.MSG_DONTWAIT) :]

    def _lose(self, error: SubjectLost) -> None:
        self._drop()
        if self._reason:
            error = SubjectLost(self._reason)
            self.close()
        raise error

    def _start(self) -> None:
        self._reason, self._over = "", threading.Event()
        mine, theirs = socket.socketpair()
        mine.settimeout(180.0)
        inner = [
            *_limited(self.limits),
            sys.executable,
            "-P",
            "-m",
            "course_utils.grading.inside",
            str(theirs.fileno()),
        ]
        command = [*_bubblewrap(_course(self.library)), *inner]
        self._group = _make_group(self.limits)
        if self._group is not None:
            joins = 'for group in "$1"/*/cgroup.procs "$1"/cgroup.procs; do [ -w "$group" ] && echo $$ > "$group"; done; shift; exec "$@"'
            command = ["/bin/sh", "-c", joins, "sh", str(self._group), *command]
        told = {
            "sources": self.library.sources,
            "checks": self.library.checks,
            "preload": list(self.preload),
            "fresh": FRESH,
        }
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        self._control = mine
        try:
            self._process.stdin.write(json.dumps(told).encode())
            self._process.stdin.close()
            ready = json.loads(mine.recv(4096))
        except (OSError, ValueError):
            self.close()
            raise SubjectLost("the sandbox did not start") from None
        self.shared = bool(ready["nested"])
        mine.settimeout(30.0)
        watch = (self._process, self.limits, self._over, self._stop)
        threading.Thread(target=_watch, args=watch, daemon=True).start()

    def _stop(self, reason: str) -> None:
        self._reason = reason
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _watch(process: subprocess.Popen, limits: Limits, over: threading.Event, stop: Any) -> None:
    """Stop a sandbox whose processes together use too much memory, or are too many."""
    while not over.wait(0.1) and process.poll() is None:
        members = list(_descendants(process.pid))
        held = _held(members)
        if len(members) > limits.processes // 2:
            stop(f"it started more than {limits.processes // 2} processes")
        elif (
            held + sum(map(_memory, members)) > limits.memory < held + sum(_memory(m, shared_out=True) for m in members)
        ):
            stop(f"it took more than {limits.memory / 2**30:g} GB of memory")


def _descendants(root: int) -> Iterator[int]:
    todo = [root]
    while todo:
        process = todo.pop()
        yield process
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{thread}/children", encoding="ascii") as file:
                    todo += map(int, file.read().split())


def _memory(process: int, shared_out: bool = False) -> int:
    """Bytes of a process that are no files of the system; of what it shares with others only its part, if `shared_out`."""
    file, names = "status", ("RssAnon:", "RssShmem:", "VmSwap:")
    if shared_out and os.access(f"/proc/{process}/smaps_rollup", os.R_OK):
        file, names = "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")
    try:
        lines = Path(f"/proc/{process}/{file}").read_text(encoding="ascii", errors="replace").splitlines()
        return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(names))
    except OSError:  # it has ended, or may not be looked at so closely
        return _memory(process) if shared_out else 0


def _held(processes: Sequence[int]) -> int:
    """Bytes of the files without a name that the processes hold open: files in memory that nobody need have mapped."""
    found: dict[tuple[int, int], int] = {}
    for process in processes:
        with contextlib.suppress(OSError):
            for entry in os.scandir(f"/proc/{process}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(entry.path).endswith(" (deleted)"):
                        seen = os.stat(entry.path)
                        found[seen.st_dev, seen.st_ino] = 512 * seen.st_blocks
    return sum(found.values())


def _limited(limits: Limits) -> list[str]:
    processes = limits.processes
    if os.geteuid() != 0:
        processes += _own_tasks()  # older kernels count all that the user runs
    prlimit = ["prlimit", f"--as={limits.address_space}", f"--nproc={processes}", f"--nofile={limits.files}"]
    return [*prlimit, f"--fsize={limits.file_size}", "--core=0", "--"]


def _own_tasks() -> int:
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                count += len(os.listdir(f"{entry.path}/task")) if entry.stat().st_uid == os.geteuid() else 0
    return count


def _bubblewrap(mounts: Sequence[str]) -> list[str]:
    """The command line up to the program: it ends as another, powerless user."""
    command = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--die-with-parent", "--new-session", "--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        place = Path("/", name)
        if place.is_symlink():
            command += ["--symlink", os.readlink(place), str(place)]
        elif place.is_dir():
            command += ["--ro-bind", str(place), str(place)]
    command += ["--proc", "/proc", "--dev", "/dev"]
    for path in ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime"):
        command += ["--ro-bind-try", path, path]
    for path in FRESH:
        command += ["--perms", "1777", "--size", str(64 * 2**20), "--tmpfs", path]
    command += [*mounts, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", HOME, "--clearenv"]
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": HOME,
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "PYTHONPATH": "/course",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_OFFLINE": "1",
        "COURSE_SCALE": "smoke",
    }
    for name, value in environment.items():
        command += ["--setenv", name, value]
    if os.geteuid() != 0:
        return [*command, "--unshare-user", "--uid", "1000", "--gid", "1000"]
    # a user id of its own for the sandbox of each grading process: the limit on processes counts by user
    user = str(60_000 + os.getpid() % 5_000)
    command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
    drop = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--bounding-set=-all", "--no-new-privs"]
    return [*command, *drop]


def _course(library: Library) -> list[str]:
    """Mounts: the interpreter with its packages, the course's copy, and its data."""
    prefixes = {Path(place).resolve() for place in (sys.prefix, sys.base_prefix)}
    prefixes |= {Path(os.path.realpath(sys.executable)).parent.parent}
    packages = Path(runtime.__file__).resolve().parent
    prefixes |= {Path(name) for name in sys.path if name.endswith(("site-packages", "dist-packages"))}
    prefixes |= {Path(line) for line in _linked_packages()}
    wanted = sorted(path for path in prefixes if path.is_dir() and not path.is_relative_to("/usr"))
    wanted = [path for path in wanted if not any(other != path and path.is_relative_to(other) for other in wanted)]
    mounts = []
    for path in wanted:
        mounts += [*_parents(path), "--ro-bind", str(path), str(path)]
        if packages.is_relative_to(path):  # an installed copy of the course has no gaps
            mounts += ["--tmpfs", str(packages)]
    data = runtime.repository() / "data"
    mounts += ["--perms", "0755", "--dir", "/course"]
    mounts += ["--ro-bind", str(library.folder / "course_utils"), "/course/course_utils"]
    if data.is_dir():
        mounts += ["--ro-bind", str(data), "/course/data"]
    return mounts


def _linked_packages() -> Iterator[str]:
    """Folders that .pth files of the environment add: a torch that was there before, say."""
    for folder in {*site.getsitepackages(), *(name for name in sys.path if name.endswith("-packages"))}:
        for file in Path(folder).glob("*.pth"):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            yield from (line for line in lines if line.endswith("-packages"))


def _parents(path: Path) -> Iterator[str]:
    for parent in reversed(path.parents):
        if parent != Path("/"):
            yield from ("--perms", "0755", "--dir", str(parent))


_numbers = itertools.count()


def _make_group(limits: Limits) -> Path | None:
    """A control group with a limit on memory, where this process may make one: a second fence beside the watchdog."""
    memory = limits.memory + 2**29
    name = f"course-grade-{os.getpid()}-{next(_numbers)}"
    for root, file in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        try:
            own = _own_group(root)
            (own / name).mkdir()
        except OSError:
            continue
        try:
            (own / name / file).write_text(str(memory), encoding="ascii")
        except OSError:
            _remove_group(own / name)
            continue
        return own / name
    return None


def _own_group(root: Path) -> Path:
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        number, kinds, place = line.split(":", 2)
        if kinds == root.name or (number == "0" and not kinds and (root / "cgroup.controllers").exists()):
            return root / place.lstrip("/")
    raise FileNotFoundError(root)


def _remove_group(group: Path) -> None:
    for _ in range(20):  # its last process may still be ending
        try:
            group.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
