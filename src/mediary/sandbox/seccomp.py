"""seccomp: the kernel refuses system calls that no decoder needs: sockets, processes, programs, changes to files."""

import ctypes
import errno
import os
from socket import AF_UNIX
from struct import pack

from mediary.sandbox.wire import SOURCES

# Landlock says nothing of a file's mode, owner, times and attributes.
# Number on x86_64 and on aarch64; None where the architecture has no such call.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "recvfrom": (45, 207),
    "recvmmsg": (299, 243),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "open_by_handle_at": (304, 265),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "init_module": (175, 105),
    "finit_module": (313, 273),
}
# Refused but with this first argument. A pair of sockets leads nowhere; tokio, and so kreuzberg, cannot be without one.
_REFUSED_BUT: dict[str, tuple[tuple[int, int], int]] = {
    "recvmsg": ((47, 212), SOURCES),
    "socketpair": ((53, 199), AF_UNIX),
}
_CLONE = (56, 220)
_CLONE3 = 435
_CLONE_THREAD = 0x10000

# `struct seccomp_data`: the call's number, the architecture, an address, six arguments of 8 bytes.
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32 = 0x40000000
"""From here on x86_64 has the same calls again, with short pointers."""

_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def restrict(libc: ctypes.CDLL) -> bool:
    """Have the calls refused from now on; False where the kernel or the processor is none that this knows."""
    machine = os.uname().machine
    if machine not in _ARCHITECTURES:
        return False
    instructions = _filter(*_ARCHITECTURES[machine])
    program = _Program(len(instructions) // 8, instructions)
    failed = libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0)
    return not failed


def _filter(column: int, architecture: int) -> bytes:
    """The program that the kernel runs for each call: jumps count the instructions that they skip, if so and if not."""
    refused = _RETURN, 0, 0, _REFUSE | errno.EPERM
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_IF_AT_LEAST, 0, 1, _X32),
        refused,
        (_IF_EQUAL, 0, 1, _CLONE3),  # its flags are out of a filter's sight; the C library falls back to clone
        (_RETURN, 0, 0, _REFUSE | errno.ENOSYS),
    ]
    for number in (numbers[column] for numbers in _REFUSED.values()):
        if number is not None:
            steps += [(_IF_EQUAL, 0, 1, number), refused]
    for numbers, argument in _REFUSED_BUT.values():
        steps += [
            (_IF_EQUAL, 0, 4, numbers[column]),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_IF_EQUAL, 0, 1, argument),
            (_RETURN, 0, 0, _ALLOW),
            refused,
        ]
    steps += [
        (_IF_EQUAL, 0, 3, _CLONE[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_BITS, 1, 0, _CLONE_THREAD),
        refused,
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(pack("=HBBI", *step) for step in steps)
