"""The child process that runs a student's code: `python -m course_utils.checks.worker [MODULES]`.

It reads requests and writes answers, one line each. MODULES are imported once, before any code runs.

Its channel is moved off the standard descriptors before any student code runs, so that prints go nowhere. For each answer the process
forks: what the code breaks is gone with the fork.
"""

import builtins
import contextlib
import importlib
import linecache
import os
import sys
import types
from typing import Any, BinaryIO

import torch

from course_utils.checks import perform, plain

UNLOADED = 7  # exit status of a fork that was told to end


def main() -> None:
    """Serve until the other end of the channel closes."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    for module in sys.argv[1:]:
        with contextlib.suppress(Exception):  # it is missing for the answers, too
            importlib.import_module(module)
    warmed = torch.zeros(1, requires_grad=True)
    torch.optim.SGD([warmed]).step()  # imports, at the first step, what takes a second
    _write(replies, "ready")
    while line := requests.readline():
        message = plain.decode(line)
        if message["do"] != "load":
            _reply(replies, message, "ready")
        elif hasattr(os, "fork"):
            if process := os.fork():
                _, status = os.waitpid(process, 0)
                if os.waitstatus_to_exitcode(status) != UNLOADED:
                    return  # the answer ended its process: end this one too, so that the other side notices
            else:
                serve(requests, replies, message)
                os._exit(UNLOADED)
        else:
            serve(requests, replies, message)
            return


def serve(requests: BinaryIO, replies: BinaryIO, message: dict[str, Any]) -> None:
    """Run pieces of source in one namespace, and answer requests to what they define, until told to unload."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module  # where a notebook's names live: dataclasses and inspect look there
    module.__dict__["__builtins__"] = builtins
    if folder := message.get("folder"):
        os.chdir(folder)
        sys.path.insert(0, folder)  # a module beside the notebook can be imported, as in a kernel
    _reply(replies, message, None)
    while line := requests.readline():
        message = plain.decode(line)
        if message["do"] == "run":
            failure = _run(message["name"], message["source"], module.__dict__)
            _reply(replies, message, None if failure is None else perform.record_to_plain(failure))
        elif message["do"] == "look":
            _reply(replies, message, perform.record_to_plain(_look(module.__dict__, message["name"])))
        elif message["do"] == "answer":
            request = perform.request_from_plain(message["request"])
            answer = perform.perform(module.__dict__.get(message["name"]), request)
            _reply(replies, message, perform.record_to_plain(answer))
        elif message["do"] == "unload":
            _reply(replies, message, "ready")
            return


def _look(namespace: dict[str, Any], name: str) -> perform.Description:
    if name not in namespace:
        return perform.Description("missing")
    return perform.look_at(namespace[name])


def _run(name: str, source: str, namespace: dict[str, Any]) -> perform.Failure | None:
    filename = f"<{name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    try:
        exec(compile(source, filename, "exec"), namespace)
    except (Exception, SystemExit) as error:
        return perform.failure_of(error)
    return None


def _reply(replies: BinaryIO, message: dict[str, Any], result: Any) -> None:
    try:
        line = plain.encode({"token": message["token"], "result": result})
    except (TypeError, RecursionError) as error:
        line = plain.encode({"token": message["token"], "result": _failed("TypeError", str(error))})
    except plain.TooLarge:
        line = b""
    if not 0 < len(line) <= plain.LIMIT:
        text = f"what it returned takes more than {plain.LIMIT // 2**20} MiB"
        line = plain.encode({"token": message["token"], "result": _failed("OverflowError", text)})
    replies.write(line)
    replies.flush()


def _failed(type_name: str, text: str) -> dict[str, Any]:
    return perform.record_to_plain(perform.Answer(failure=perform.Failure(type_name, text)))


def _write(replies: BinaryIO, value: Any) -> None:
    replies.write(plain.encode(value))
    replies.flush()


if __name__ == "__main__":
    main()
