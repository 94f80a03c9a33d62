"""What a child gives up before its first job; Linux has all of it, other systems what they can."""

import ctypes
import os
import resource
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL

from mediary.sandbox import landlock, seccomp
from mediary.sandbox.wire import Limits

OPEN_FILES = 64

# The last three: how many threads are worth while, which instructions there are, chance.
_LIBRARIES = (
    *("/usr", "/lib", "/lib64", "/nix/store", "/etc/ld.so.cache"),
    *("/sys/devices/system/cpu", "/proc/cpuinfo", "/dev/urandom"),
)
_PYTHON = (*_LIBRARIES, sys.base_prefix, sys.prefix)

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def confine(limits: Limits) -> list[str]:
    """Take all abilities from this process that reading a file does not need; the names of those that it took.

    For good: neither this process nor any code that it comes to run gets them back.
    """
    _die_with_parent()
    _stand_back(limits.nice)
    taken = [name for name, most in _resources(limits) if _limit(name, most)]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        taken += [f"landlock {version}"] if (version := landlock.restrict(libc, _readable(limits))) else []
        taken += ["seccomp"] if seccomp.restrict(libc) else []
    return taken


def _readable(limits: Limits) -> list[Path]:
    """The folders whose files may be read. What other processes keep, /proc and /dev show: that is never among them."""
    named = _top_folders() if limits.readable is None else limits.readable
    return [Path(folder) for folder in (*_PYTHON, *named)]


def _top_folders() -> list[str]:
    top = [entry.path for entry in os.scandir("/") if entry.name not in ("proc", "dev")]
    return [*top, "/dev/shm"]  # noqa: S108 - a library may lie in memory


def _die_with_parent() -> None:
    """Have the kernel end this process with its parent. The pipe's end does, too, but not in the middle of a job."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)


def _stand_back(nice: int) -> None:
    """Let others go first. A session of its own is a group of its own to Linux, which shares out time among groups."""
    os.nice(nice)
    with suppress(OSError):  # a kernel without such groups
        Path("/proc/self/autogroup").write_text(str(nice), encoding="ascii")


def _resources(limits: Limits) -> Iterable[tuple[str, int]]:
    # DATA, not AS: what is only mapped, libraries and the file itself, costs nobody anything.
    yield "RLIMIT_DATA", limits.memory_bytes
    yield "RLIMIT_FSIZE", 0
    yield "RLIMIT_CORE", 0
    yield "RLIMIT_NOFILE", OPEN_FILES


def _limit(name: str, most: int) -> bool:
    """Set a resource limit; False where the system has none of that kind, or a lower one."""
    with suppress(AttributeError, ValueError, OSError):
        resource.setrlimit(getattr(resource, name), (most, most))
        return True
    return False
