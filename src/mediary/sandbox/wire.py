"""What parent and child say to each other: msgpack behind its length, in one order of frames.

The parent sends `Limits` and gets an `Answer` once the child is confined; then a `Job` at a time, each with its answer.
"""

from struct import Struct as Layout
from typing import Any

from msgspec import Struct, msgpack

LENGTH = Layout(">I")
"""What stands before each frame."""


class Limits(Struct, frozen=True, array_like=True):
    """What a child may use: bytes of memory and of an answer, and the folders whose files it may read (None: any)."""

    memory_bytes: int
    output_bytes: int
    nice: int
    readable: tuple[str, ...] | None


class Job(Struct, frozen=True, array_like=True):
    """A function as `module:name`, its arguments, and the seconds of processor time that it may take."""

    function: str
    arguments: tuple[Any, ...]
    seconds: float


class Answer(Struct, frozen=True, array_like=True):
    """The result, or an error: its code, a sentence for people, and the traceback of what nobody foresaw."""

    result: Any = None
    error: str = ""
    message: str = ""
    traceback: str = ""


def pack(frame: Struct) -> bytes:
    """A frame as it goes over the pipe; ValueError for one of 4 GiB, TypeError for what msgpack has no word for."""
    body = msgpack.encode(frame)
    if len(body) >= 2**32:
        raise ValueError("the frame is too long")
    return LENGTH.pack(len(body)) + body
