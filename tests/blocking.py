"""Finds what holds the event loop of a test, without a clock on the wall: other programs on the machine do not count.

Two nets. Work: processor seconds of the loop's own thread within one step of the loop, but for those of the garbage
collector: among thousands of tests that takes long, and is none of Mediary's doing. Waiting: calls that put the thread
to sleep (`time.sleep`, `fsync`, name look-ups, child processes), when Mediary makes them on a loop's thread.
"""

import asyncio
import gc
import os
import socket
import subprocess
import sys
import time
from asyncio.events import Handle
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

LIMIT = 0.25
"""Processor seconds that one step of the loop may take."""

WAITS: tuple[tuple[Any, str], ...] = (
    (time, "sleep"),
    (os, "fsync"),
    (os, "fdatasync"),
    (os, "waitpid"),
    (socket, "getaddrinfo"),
    (socket, "gethostbyname"),
    (socket.socket, "connect"),
    (subprocess.Popen, "wait"),
    (subprocess.Popen, "communicate"),
)


@dataclass(frozen=True)
class Block:
    """One thing that held the loop."""

    what: str
    seconds: float

    def __str__(self) -> str:
        took = "" if self.seconds == float("inf") else f" ({self.seconds:.3f} s of processor time)"
        return self.what + took


found: list[Block] = []


class _Garbage:
    """Processor seconds that this thread has spent looking for garbage."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def __call__(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self.seconds += time.thread_time() - self._began


def watch() -> None:
    """Begin to watch every event loop of this process."""
    original = Handle._run
    garbage = _Garbage()
    gc.callbacks.append(garbage)

    def measured(self: Handle) -> None:
        owner = getattr(self._callback, "__self__", None)
        began = time.thread_time() - garbage.seconds
        original(self)
        took = time.thread_time() - garbage.seconds - began
        if took > LIMIT and not _is_of_a_peer(owner):
            found.append(Block(_step(owner) if isinstance(owner, asyncio.Task) else repr(self), took))

    Handle._run = measured  # type: ignore[method-assign]
    for owner, name in WAITS:
        setattr(owner, name, _reported(getattr(owner, name), name))


def _is_of_a_peer(owner: Any) -> bool:
    """Whether a step is that of a test's own HTTP server, which reads whole files: Mediary has no server in here."""
    return isinstance(owner, asyncio.Task) and getattr(owner.get_coro(), "__qualname__", "").startswith(
        "RequestHandler."
    )


def _step(task: asyncio.Task[Any]) -> str:
    """A task, and where it stands after the step that took so long."""
    stack = task.get_stack(limit=1)
    where = f" at {stack[0].f_code.co_filename}:{stack[0].f_lineno}" if stack else ""
    return f"{task.get_name()} in {task.get_coro()!r}{where}"


def _reported(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if asyncio._get_running_loop() is not None and not _returns_at_once(name, args) and (line := _mediary_line()):
            found.append(Block(f"{name}() called from {line}", float("inf")))
        return function(*args, **kwargs)

    return call


def _returns_at_once(name: str, args: tuple[Any, ...]) -> bool:
    """Whether a call never waits: an event loop connects its own, non-blocking sockets."""
    if name == "connect":
        return args[0].gettimeout() == 0.0
    return name == "waitpid" and len(args) > 1 and bool(args[1] & os.WNOHANG)


def _mediary_line() -> str | None:
    """The innermost line of Mediary on the stack."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("mediary."):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return None
