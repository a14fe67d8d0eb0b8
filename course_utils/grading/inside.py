"""The first process in the sandbox: `python -m course_utils.grading.inside DESCRIPTOR`. It imports the course once and forks for each question.

It runs before and beside the students' code, and distrusts it: it cannot be traced (not dumpable), takes its orders from a
socket that no fork inherits, and hands each fork a fresh channel of its own. Before each order it kills all other processes
of the sandbox at once. Where the system allows, a fork gets namespaces of its own, with fresh folders and only itself to see.
"""

import ast
import contextlib
import ctypes
import functools
import importlib
import importlib.abc
import importlib.util
import json
import os
import resource
import shutil
import signal
import socket
import sys
import types
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

from course_utils.grading import fence

NEW_MOUNTS, NEW_IPC, NEW_USER, NEW_PIDS = 0x00020000, 0x08000000, 0x10000000, 0x20000000
NOSUID_NODEV, PRIVATE, RECURSIVE = 0x6, 0x40000, 0x4000
SET_PDEATHSIG, SET_DUMPABLE, BOUNDING_SET_DROP, SET_NO_NEW_PRIVS = 1, 4, 24, 38
CAPABILITIES = 64


class ReferenceCalled(Exception):
    """An answer that called the course's own answer."""


def main() -> None:
    """Read what to import from standard input, then serve orders until the socket closes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(SET_DUMPABLE, 0, 0, 0, 0)
    told = json.loads(sys.stdin.buffer.read())
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    checks = _import_course(told["sources"], told["checks"], told["preload"])
    nested = _can_nest(libc, told["fresh"])
    control.sendall(json.dumps({"nested": nested}).encode() + b"\n")
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 2**16, 2)
        if not message:
            return
        _end_all_others()
        if descriptors:
            if os.fork() == 0:
                control.close()
                os.setsid()  # its process group is not this process's
                order = json.loads(message)
                if nested:
                    _enter(libc, told["fresh"])
                libc.prctl(SET_DUMPABLE, 1, 0, 0, 0)
                resource.setrlimit(resource.RLIMIT_CPU, (order["cpu"], order["cpu"]))
                _set_traps(checks, [(module, name, found) for module, name, found in order["traps"]])
                fence.put_up(libc)
                if len(descriptors) > 1:
                    _unpack(descriptors[1])
                _serve(descriptors[0])
                os._exit(0)
            for descriptor in descriptors:
                os.close(descriptor)
        control.sendall(b"done\n")


def _serve(descriptor: int) -> None:
    from course_utils.checks import plain, worker

    requests, replies = os.fdopen(descriptor, "rb"), os.fdopen(os.dup(descriptor), "wb")
    message = plain.decode(requests.readline())
    worker.serve(requests, replies, message)


def _unpack(descriptor: int) -> None:
    """Put the files beside the notebook into the working folder; what an earlier question left there goes."""
    folder = os.environ["HOME"]
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)
    with os.fdopen(descriptor, "rb") as file, zipfile.ZipFile(file) as archive:
        archive.extractall(folder)


def _end_all_others() -> None:
    """Kill every process of this pid namespace but its first and this one: the kernel does it in one sweep, so none slips away."""
    if os.getpid() > 16:
        raise SystemExit("not alone in a pid namespace")
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        return
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


class _Sources(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports modules from their source in memory."""

    def __init__(self, sources: dict[str, str]):
        self.sources = sources

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name in self.sources:
            return importlib.util.spec_from_loader(name, self)
        if f"{name}.__init__" in self.sources:
            return importlib.util.spec_from_loader(name, self, is_package=True)
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        name = module.__name__
        source = self.sources.get(name) or self.sources[f"{name}.__init__"]
        exec(compile(source, f"<{name}>", "exec"), module.__dict__)


def _import_course(sources: dict[str, str], checks: Sequence[str], preload: Sequence[str]) -> list[types.ModuleType]:
    """Import all that is needed, take the known mistakes off the checks, and forget the sources."""
    import torch

    from course_utils.checks.engine import Check

    finder = _Sources(sources)
    sys.meta_path.insert(0, finder)
    for module in ["course_utils.checks.worker", *checks, *(name.removesuffix(".__init__") for name in sources)]:
        importlib.import_module(module)
    for module in preload:
        with contextlib.suppress(Exception):  # what a notebook imports may be missing: then it is missing there, too
            importlib.import_module(module)
    sys.meta_path.remove(finder)
    sources.clear()
    modules = [sys.modules[name] for name in checks]
    for module in modules:
        for check in [value for value in vars(module).values() if isinstance(value, Check)]:
            for emptied in ("mistakes", "cases", "hidden_cases"):
                object.__setattr__(check, emptied, ())
    torch.set_num_threads(1)
    warmed = torch.zeros(1, requires_grad=True)
    torch.optim.SGD([warmed]).step()  # imports, at the first step, what takes a second
    return modules


def _set_traps(modules: Sequence[types.ModuleType], traps: Sequence[tuple[str, str, list[list[str]]]]) -> None:
    """Put a trap in place of each reference, and take away what only it and the known mistakes used."""
    from course_utils.checks.engine import Check

    for module, name, functions in traps:
        check = getattr(sys.modules[module], name)
        for place, qualified in functions:
            _set_trap(place, qualified)
        if not isinstance(check.reference, type):  # a class keeps its name, and its methods are traps
            object.__setattr__(check, "reference", _trap(f"check.{name}.reference"))
    kept = set()
    todo = [c.reference for module in modules for c in vars(module).values() if isinstance(c, Check)]
    while todo:
        function = todo.pop()
        if id(function) in kept or not getattr(function, "__module__", "").startswith("course_utils.checks."):
            continue
        kept.add(id(function))
        space = vars(sys.modules[function.__module__])
        todo += [space[name] for name in _names_in(function) if name in space]
        todo += [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    for module in modules:
        for name, value in list(vars(module).items()):
            own = getattr(value, "__module__", None) == module.__name__ and not isinstance(value, Check)
            if own and callable(value) and id(value) not in kept:
                delattr(module, name)


def _names_in(function: Any) -> set[str]:
    names: set[str] = set()
    todo: list[Any] = [function]
    while todo:
        part = todo.pop()
        if isinstance(part, type):
            todo += vars(part).values()
        elif isinstance(part, types.FunctionType):
            todo.append(part.__code__)
        elif isinstance(part, types.CodeType):
            names |= set(part.co_names)
            todo += part.co_consts
    return names


def _set_trap(place: str, qualified: str) -> None:
    found: Any = sys.modules.get(place)
    try:
        found = functools.reduce(getattr, qualified.split("."), found)
    except AttributeError:
        return
    trapped = _trap(f"{place}.{qualified}")
    if isinstance(found, type):
        for name in [name for name, value in vars(found).items() if isinstance(value, types.FunctionType)]:
            setattr(found, name, trapped)
    elif isinstance(found, types.FunctionType):
        # the function itself, wherever it was imported to
        free = len(found.__code__.co_freevars)
        found.__code__ = _TRAP_CODE if not free else _with_free_variables(free)
        found.__defaults__, found.__kwdefaults__ = None, {"_name": f"{place}.{qualified}"}


def _trap(name: str) -> Callable[..., Any]:
    def trapped(*_: Any, **__: Any) -> Any:
        raise ReferenceCalled(_message(name))

    return trapped


def _message(name: str) -> str:
    return f"the answer calls the course's own, {name}; in grading that one does not answer: write it yourself"


def _template(*_args: Any, _name: str = "", **_rest: Any) -> Any:
    from course_utils.grading.inside import ReferenceCalled, _message

    raise ReferenceCalled(_message(_name))


_TRAP_CODE = _template.__code__


def _with_free_variables(count: int) -> types.CodeType:
    """The trap's code for a function that captured `count` variables."""
    names = ", ".join(f"free_{number}" for number in range(count))
    used = "\n        ".join(f"free_{number}" for number in range(count))
    outer = (
        f"def outer({names}):\n    def trapped(*_args, _name='', **_rest):\n"
        "        from course_utils.grading.inside import ReferenceCalled, _message\n"
        f"        raise ReferenceCalled(_message(_name))\n        {used}\n    return trapped\n"
    )
    space: dict[str, Any] = {}
    exec(compile(ast.parse(outer), "<trap>", "exec"), space)
    return space["outer"](*range(count)).__code__


def _can_nest(libc: ctypes.CDLL, fresh: Sequence[str]) -> bool:
    """Whether a fork can have namespaces of its own here: tried once, in a fork."""
    process = os.fork()
    if process == 0:
        try:
            _enter(libc, fresh)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


def _enter(libc: ctypes.CDLL, fresh: Sequence[str]) -> None:
    """Go on in namespaces of one's own: first process of a new pid namespace, with the folders `fresh` empty, and no rights left.

    Raises:
        OSError: if the system does not allow it.
    """
    libc.prctl(SET_DUMPABLE, 1, 0, 0, 0)  # or this process could not write its own maps
    user, group = os.getuid(), os.getgid()
    _call(libc.unshare, NEW_USER | NEW_MOUNTS | NEW_IPC | NEW_PIDS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    process = os.fork()
    if process:
        _, status = os.waitpid(process, 0)
        os._exit(max(0, os.waitstatus_to_exitcode(status)))
    libc.prctl(SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _call(libc.mount, b"none", b"/", None, RECURSIVE | PRIVATE, None)
    for folder in fresh:
        _call(libc.mount, b"tmpfs", folder.encode(), b"tmpfs", NOSUID_NODEV, b"size=64m,mode=1777")
    libc.mount(b"proc", b"/proc", b"proc", NOSUID_NODEV, None)  # refused where the old one is partly covered: it stays
    for capability in range(CAPABILITIES):
        libc.prctl(BOUNDING_SET_DROP, capability, 0, 0, 0)
    _call(libc.prctl, SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _call(libc.capset, header, (ctypes.c_uint32 * 6)())


def _call(function: Any, *arguments: Any) -> None:
    if function(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


if __name__ == "__main__":
    from course_utils.grading.inside import main as run  # the module by its own name: the traps import it

    run()
