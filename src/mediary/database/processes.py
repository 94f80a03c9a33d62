"""Which process this is, in words by which another one on the same machine can tell that it is gone."""

import os
from pathlib import Path

_PROC = Path("/proc")
_DEAD = {"Z", "X"}


def this_process() -> str:
    """`<boot> <namespace> <pid> <start>` of this process; empty where the system does not tell, as macOS."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = (_PROC / "self/ns/pid").readlink()
        return f"{boot} {namespace} {os.getpid()} {_state(os.getpid())[1]}"
    except (OSError, IndexError):
        return ""


def is_gone(process: str) -> bool:
    """Whether a process is surely gone; False for one of another machine or container, of which nobody here knows."""
    if not process or process.split()[:2] != this_process().split()[:2]:
        return False
    pid, start = process.split()[2:]
    try:
        os.kill(int(pid), 0)
        state, began = _state(int(pid))
    except ProcessLookupError:
        return True
    except (OSError, IndexError):  # it is there, and somebody else's
        return False
    return state in _DEAD or began != start


def _state(pid: int) -> tuple[str, str]:
    """The state of a process, and when it began, in ticks since the machine did."""
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return fields[0], fields[19]
