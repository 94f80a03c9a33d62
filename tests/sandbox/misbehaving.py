"""What a job may try in a child process; called by name."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from mediary.errors import NotFoundError, TooLargeError, UnreadableError


def echo(value: Any) -> Any:
    return value


def process() -> int:
    return os.getpid()


def wait(seconds: float) -> None:
    time.sleep(seconds)


def compute() -> None:
    while True:
        pass


def allocate(count: int) -> int:
    return len(bytearray(count))


def recurse() -> None:
    recurse()


def many(count: int) -> bytes:
    return bytes(count)


def crash() -> None:
    ctypes.string_at(0)


def leave(code: int) -> None:
    os._exit(code)


def kill_itself() -> None:
    signal.raise_signal(signal.SIGKILL)


def unreadable() -> None:
    raise UnreadableError("these bytes mean nothing")


def missing() -> None:
    raise NotFoundError("it is gone")


def too_large() -> None:
    raise TooLargeError("it is huge")


def open_missing() -> None:
    Path("/nowhere").read_bytes()


def surprise() -> None:
    raise KeyError("secret")


def not_msgpack() -> object:
    return object()


def chatter() -> str:
    """Print where an answer would go."""
    print("noise")
    os.write(1, b"noise")
    os.write(2, b"noise")
    return "answer"


def write_frames() -> None:
    """Write an answer that nobody asked for on every descriptor there is."""
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, b"\0\0\0\1\xc0" * 2)
        except OSError:
            continue


def attempt(what: str, argument: str = "") -> str:
    """Try something forbidden; the name of the error, or `done`."""
    try:
        _ATTEMPTS[what](argument)
    except OSError as error:
        return type(error).__name__
    return "done"


def _connect(port: str) -> None:
    socket.create_connection(("127.0.0.1", int(port))).close()


def _read(path: str) -> None:
    Path(path).read_bytes()


def _write(path: str) -> None:
    Path(path).write_bytes(b"x")


def _remove(path: str) -> None:
    Path(path).unlink()


def _run(_: str) -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def _fork(_: str) -> None:
    if os.fork() == 0:
        os._exit(0)


def _kill(pid: str) -> None:
    os.kill(int(pid), 0)


_ATTEMPTS = {
    "connect": _connect,
    "read": _read,
    "write": _write,
    "remove": _remove,
    "run": _run,
    "fork": _fork,
    "kill": _kill,
}


def state() -> dict[str, Any]:
    """What the process has of its parent."""
    return {
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "descriptors": [number for number in range(256) if is_open(number)],
        "session": os.getsid(0) == os.getpid(),
        "nice": os.nice(0),
        "modules": sorted(sys.modules),
    }


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def start_thread() -> str:
    """A thread is no process."""
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append("done"))
    thread.start()
    thread.join()
    return said[0]
