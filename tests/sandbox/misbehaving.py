"""What a job may try in a child process; called by name."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct

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


def _socket(kind: str) -> None:
    socket.socket(getattr(socket, kind)).close()


def _receive(_: str) -> None:
    """Descriptors over a pair of its own."""
    ours, _theirs = socket.socketpair()
    socket.recv_fds(ours, 1, 1, socket.MSG_DONTWAIT)


def _change_mode(path: str) -> None:
    Path(path).chmod(0o600)


def _change_times(path: str) -> None:
    os.utime(path, (0, 0))


_ATTEMPTS = {
    "socket": _socket,
    "receive": _receive,
    "change mode": _change_mode,
    "change times": _change_times,
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


class Point(Struct, omit_defaults=True):
    x: int = 0
    y: int = 0


kept: list[Any] = []


def count(most: int) -> Iterator[int]:
    yield from range(most)


def forever() -> Iterator[bytes]:
    while True:
        yield bytes(100_000)


def points() -> Iterator[Any]:
    yield "text"
    yield Point(x=1)
    yield Point()
    yield b"bytes"


def pages(size: int, count: int) -> Iterator[bytes]:
    for number in range(count):
        yield bytes([number % 256]) * size


def begin_and(what: str, *arguments: Any) -> Iterator[Any]:
    """Yield once, then do something of the above."""
    yield "begun"
    yield globals()[what](*arguments)


def pid_and_wait(seconds: float) -> Iterator[Any]:
    yield os.getpid()
    time.sleep(seconds)
    yield "waited"


def hard_to_close() -> Iterator[bytes]:
    try:
        yield bytes(2 * 2**20)
    finally:
        raise KeyError("closing")


def compute_between(steps: int, seconds: float) -> Iterator[int]:
    """Values that each cost processor time."""
    for step in range(steps):
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
        yield step


def speak_out_of_turn() -> Iterator[int]:
    yield 1
    write_frames()
    yield 2


def read_source(source: BinaryIO, *arguments: Any) -> list[Any]:
    return [source.read(), *arguments]


def read_lines(source: BinaryIO) -> Iterator[bytes]:
    yield from source


def keep_source(source: BinaryIO) -> bytes:
    kept.append(source)
    return source.read(1)


def duplicate_source(source: BinaryIO) -> int:
    return os.dup(source.fileno())


def duplicate_and_fail(source: BinaryIO) -> int:
    raise UnreadableError(str(os.dup(source.fileno())))


def read_kept(source: BinaryIO) -> str:
    """What the last job left behind; then, the end of its own file."""
    try:
        kept.pop().seek(0)
    except ValueError as error:
        return f"{error} {source.seek(0, os.SEEK_END)}"
    return "there"


def abuse_source(source: BinaryIO, what: str) -> str:
    """Try more than reading; the name of the error, or `done`."""
    number = source.fileno()
    try:
        match what:
            case "write":
                os.write(number, b"x")
            case "truncate":
                os.ftruncate(number, 0)
            case "change mode":
                os.fchmod(number, 0o777)
            case "change owner":
                os.fchown(number, 0, 0)
            case "change times":
                os.utime(number, (0, 0))
            case "set attribute":
                os.setxattr(number, "user.x", b"x")
            case "open again":
                os.close(os.open(f"/proc/self/fd/{number}", os.O_RDWR))
            case "look beside":
                list(Path(f"/proc/self/fd/{number}").readlink().parent.iterdir())
    except OSError as error:
        return type(error).__name__
    return "done"
