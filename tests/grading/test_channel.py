"""The channel between the grading process and the sandbox."""

import queue
import socket
import threading

import pytest

from course_utils.checks import subjects
from course_utils.grading.sandbox import Limits, Sandbox
from course_utils.grading.traps import Library


def test_the_time_for_sending_does_not_end_the_wait_for_an_answer(tmp_path) -> None:
    """A thread waits for answers on the socket that orders go out on: it must wait on when sending took too long."""
    box = Sandbox(Library(tmp_path, {}, ()), Limits(seconds=0.5))
    mine, theirs = socket.socketpair()
    lines: queue.Queue[bytes] = queue.Queue()
    box._channel = mine
    late = threading.Timer(0.2, subjects.collect, args=(mine.makefile("rb"), lines))
    late.start()
    with pytest.raises(TimeoutError, match="does not read"):
        box._send(b"x" * 10_000_000)  # nobody reads it
    with pytest.raises(queue.Empty):
        lines.get(timeout=0.7)
    theirs.sendall(b"answer\n")
    assert lines.get(timeout=10) == b"answer\n"
    theirs.close()
    late.join(10)
    mine.close()
