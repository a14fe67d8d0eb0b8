"""Limits: the time of each question, and memory that belongs to no process."""

import json
import os
import platform
import queue
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from course_utils.checks.subjects import collect
from course_utils.grading import fence, official
from course_utils.grading.grader import grade
from course_utils.grading.official import Chapter
from course_utils.grading.sandbox import Limits, Sandbox, _held, _watch

SLEEPS = """import time
def {name}({arguments}):
    time.sleep({seconds})
    return {value}
"""
MEMFD = """
import os, sys, time
held = os.memfd_create("held")
os.ftruncate(held, 64 * 2**20)
for _ in range(64):
    os.write(held, b"x" * 2**20)
print("ready", flush=True)
time.sleep(120)
"""


def write_official(folder: Path, tags: dict[str, list[str]]) -> None:
    """The solved notebook of chapter 02 with other tags on its test cells."""
    notebook = json.loads(
        (Path(official.__file__).resolve().parents[2] / "solutions" / "02_gans" / "01_gan.ipynb").read_text("utf-8")
    )
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
        if name in tags:
            cell["metadata"]["tags"] = tags[name]
    (folder / "02_gans").mkdir(parents=True)
    (folder / "02_gans" / "01_gan.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


def test_a_tag_gives_a_question_another_limit(tmp_path: Path) -> None:
    tags = {"discriminator-loss-check": ["seconds=2.5"], "game-check": ["other", "seconds=90"]}
    write_official(tmp_path, tags)
    (book,) = official.read_chapter("02_gans", tmp_path).notebooks
    seconds = {question.name: question.seconds for question in book.questions}
    assert seconds.pop("discriminator-loss-check") == 2.5 and seconds.pop("game-check") == 90
    assert set(seconds.values()) == {official.SECONDS}


@pytest.mark.parametrize("tag", ["seconds=soon", "seconds=0", "seconds=-3", "seconds=nan", "seconds="])
def test_a_tag_that_is_no_limit_is_named(tag: str, tmp_path: Path) -> None:
    write_official(tmp_path, {"game-check": [tag]})
    with pytest.raises(ValueError, match=f"01_gan: the tag {tag!r} of the cell game-check is no time limit, such as"):
        official.read_chapter("02_gans", tmp_path)


@pytest.mark.sandbox
def test_a_changed_limit_is_honoured_and_the_question_named(
    chapter: Chapter, notebook: dict[str, Any], answered: Any, sandbox: Sandbox
) -> None:
    (book,) = chapter.notebooks
    first, second = (replace(q, seconds=s) for q, s in zip(book.questions[:2], (3.0, 45.0), strict=True))
    real, fake = "real_logits", "fake_logits"
    slow = {
        first.name.removesuffix("-check"): SLEEPS.format(
            name="discriminator_loss", arguments=f"{real}, {fake}", seconds=6, value=f"{real}.mean()"
        ),
        second.name.removesuffix("-check"): SLEEPS.format(
            name="saturating_generator_loss",
            arguments=fake,
            seconds="4 if first.pop() else 0",
            value=f"-F.softplus({fake}).mean()",
        ).replace("import time\n", "import time\nfirst = [False] * 10_000 + [True]\n"),
    }
    asked = replace(chapter, notebooks=(replace(book, questions=(first, second)),))
    limits, sandbox.seconds = sandbox.seconds, 2.0  # of one exchange, were there no limit of the question
    try:
        result = grade("student", asked, {"01_gan.ipynb": json.dumps(answered(notebook, slow)).encode()}, (), sandbox)
    finally:
        sandbox.seconds = limits
    marks = {mark.name: mark for mark in result.books[0].marks}
    assert marks[first.name].score == 0
    assert "more than 3 seconds for question discriminator-loss-check" in marks[first.name].reason
    assert marks[second.name].score == 1, "a longer limit holds for one long answer, too"


def test_sending_ends_in_time_and_leaves_the_descriptor_blocking_for_who_waits_at_it() -> None:
    child = Sandbox.__new__(Sandbox)
    child.seconds = 0.5
    mine, theirs = socket.socketpair()
    child._channel = mine
    with mine, theirs:
        assert mine.gettimeout() is None and os.get_blocking(mine.fileno())
        lines: queue.Queue[bytes] = queue.Queue()
        late = threading.Timer(0.2, collect, args=(mine.makefile("rb"), lines))  # begins to wait while the other sends
        late.daemon = True
        late.start()
        started = time.monotonic()
        with pytest.raises(TimeoutError, match="does not read"):
            child._send(bytes(2**26))  # nobody reads it
        assert 0.4 < time.monotonic() - started < 60 and os.get_blocking(mine.fileno())
        with pytest.raises(queue.Empty):
            lines.get(timeout=0.7)  # the time for sending does not end the wait for an answer
        theirs.sendall(b"an answer\n")
        assert lines.get(timeout=60) == b"an answer\n"


def test_no_limit_on_cpu_time_is_below_that_of_the_question() -> None:
    child = Sandbox.__new__(Sandbox)
    child.limits, child.answer_seconds = Limits(), 300.0
    assert child._cpu() > 300
    child.answer_seconds = 1.0
    assert child._cpu() == Limits().cpu


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no files in memory on this system")
def test_files_in_memory_count_where_the_kernel_does_not_refuse_them() -> None:
    process = subprocess.Popen([sys.executable, "-c", MEMFD], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout.readline() == b"ready\n"
        assert 64 * 2**20 <= _held([process.pid]) < 80 * 2**20
        assert _held([process.pid, process.pid]) == _held([process.pid]), "what two hold is there once"
        reasons: list[str] = []
        over = threading.Event()

        def stop(reason: str) -> None:
            reasons.append(reason)
            over.set()

        watching = threading.Thread(target=_watch, args=(process, Limits(memory=48 * 2**20), over, stop))
        watching.start()
        watching.join(30)
        over.set()
        assert reasons and "of memory" in reasons[0]
    finally:
        process.kill()
        process.wait()


def test_the_filter_is_right_for_each_machine() -> None:
    """Interprets the filter: it refuses what it should, for calls of every kind."""

    def verdict(machine: str, number: int, argument: int = 0, architecture: int | None = None) -> int:
        lines = list(struct.iter_unpack("HBBI", fence.program(machine)))
        seen = {
            fence.NUMBER: number,
            fence.ARCHITECTURE: fence.MACHINES[machine][0] if architecture is None else architecture,
            fence.FIRST_ARGUMENT: argument,
        }
        at, held = 0, 0
        while True:
            code, yes, no, value = lines[at]
            if code == fence.RETURN:
                return value
            if code == fence.LOAD:
                held, step = seen[value], 0
            else:
                holds = {
                    fence.JUMP_EQUAL: held == value,
                    fence.JUMP_AT_LEAST: held >= value,
                    fence.JUMP_SET: bool(held & value),
                }[code]
                step = yes if holds else no
            at += 1 + step

    for machine, (_, clone, clone3, refused) in fence.MACHINES.items():
        assert all(verdict(machine, number) & ~0xFFFF == fence.REFUSE for number in (*refused, clone3))
        assert verdict(machine, clone, 17) == fence.ALLOW != verdict(machine, clone, 0x10000000 | 17)
        assert verdict(machine, clone, 0x3D0F00) == fence.ALLOW, "a thread"
        assert verdict(machine, 0) == verdict(machine, 1) == fence.ALLOW
        assert verdict(machine, 0, architecture=0x40000003) & ~0xFFFF == fence.REFUSE, (
            "calls of another kind of machine"
        )
        assert verdict(machine, fence.OTHER_ABI + 1) & ~0xFFFF == fence.REFUSE
    assert fence.program("another") == b""


@pytest.mark.skipif(
    platform.machine() not in fence.MACHINES or sys.platform != "linux", reason="no filter for this machine"
)
def test_the_kernel_refuses() -> None:
    code = (
        "import ctypes, os\nfrom course_utils.grading import fence\n"
        "assert fence.put_up(ctypes.CDLL(None, use_errno=True))\n"
        "for call in (lambda: os.memfd_create('x'), lambda: os.unshare(0x10000000) if hasattr(os, 'unshare') else 1 / 0):\n"
        "    try: call()\n"
        "    except (PermissionError, ZeroDivisionError): print('refused')\n"
        "import threading, subprocess\nt = threading.Thread(target=print, args=('thread',)); t.start(); t.join()\n"
        "print(subprocess.run(['/bin/echo', 'child'], capture_output=True, text=True).stdout.strip())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["refused", "refused", "thread", "child"], done.stderr
