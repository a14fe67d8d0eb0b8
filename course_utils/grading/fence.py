"""System calls that an answer has no use for, and by which it could hold memory that no process is seen to use.

A file in memory (`memfd_create`), a segment of shared memory (`shmget`), a file system of one's own (`mount`, in a user
namespace of one's own) take memory that counts for no process, so neither a limit on address space nor a look at the
processes finds it. The kernel refuses these calls: a filter of a few instructions (seccomp, written down here by hand),
which every child inherits and nobody can take off.
"""

import ctypes
import errno
import platform
import struct

SET_NO_NEW_PRIVS, SET_SECCOMP, FILTER = 38, 22, 2
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # places in what the filter looks at
NAMESPACES = 0x7E020000  # flags of clone that make any kind of namespace
OTHER_ABI = 0x40000000  # x32 calls of x86-64 begin here

# name of the machine -> its number in the kernel's audit.h, clone, clone3, and the calls that are refused: mount, unshare,
# setns, shmget, msgget, mq_open, memfd_create, memfd_secret, userfaultfd, bpf, perf_event_open, add_key, request_key,
# keyctl, and (of one number everywhere) io_uring_setup, open_tree, move_mount, fsopen
EVERYWHERE = (425, 428, 429, 430, 447)
MACHINES = {
    "x86_64": (0xC000003E, 56, 435, (165, 272, 308, 29, 68, 240, 319, 323, 321, 298, 248, 249, 250, *EVERYWHERE)),
    "aarch64": (0xC00000B7, 220, 435, (40, 97, 268, 194, 186, 180, 279, 282, 280, 241, 217, 218, 219, *EVERYWHERE)),
}


def program(machine: str) -> bytes:
    """The filter for a kind of machine; empty for one whose numbers are not known here."""
    if machine not in MACHINES:
        return b""
    architecture, clone, clone3, refused = MACHINES[machine]
    # a rule is (condition, value, what to return); one that does not hold goes on to the next
    lines = [(LOAD, 0, 0, ARCHITECTURE), *_unless(architecture, errno.ENOSYS), (LOAD, 0, 0, NUMBER)]
    lines += _when(JUMP_AT_LEAST, OTHER_ABI, errno.ENOSYS)
    lines += _when(JUMP_EQUAL, clone3, errno.ENOSYS)  # then the C library takes clone, whose flags can be looked at
    for number in refused:
        lines += _when(JUMP_EQUAL, number, errno.EPERM)
    lines += [(JUMP_EQUAL, 1, 0, clone), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, FIRST_ARGUMENT)]
    lines += [*_when(JUMP_SET, NAMESPACES, errno.EPERM), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("HBBI", *line) for line in lines)


def _when(test: int, value: int, error: int) -> list[tuple[int, int, int, int]]:
    return [(test, 0, 1, value), (RETURN, 0, 0, REFUSE | error)]


def _unless(value: int, error: int) -> list[tuple[int, int, int, int]]:
    return [(JUMP_EQUAL, 1, 0, value), (RETURN, 0, 0, REFUSE | error)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("lines", ctypes.c_char_p)]


def put_up(libc: ctypes.CDLL) -> bool:
    """Have the kernel refuse those calls to this process and all that it starts. False where the kernel cannot."""
    lines = program(platform.machine())
    if not lines or libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    told = _Program(len(lines) // 8, lines)
    return libc.prctl(SET_SECCOMP, FILTER, ctypes.byref(told), 0, 0) == 0
