"""What parent and child say to each other: msgpack behind its length, in one order of frames.

The parent sends `Limits` and gets an `Answer` once the child is confined; then a `Job` at a time, each with its answer.
The file that a job is about comes first, over a socket of its own. A streaming job has one answer for each value, the
next one when the parent says `GoOn`, and a last one without `more`.
"""

from struct import Struct as Layout
from typing import Any

from msgspec import Struct, msgpack

LENGTH = Layout(">I")
"""What stands before each frame."""

SOURCES = 3
"""The child's descriptor of the socket over which files come."""


class Limits(Struct, frozen=True, array_like=True):
    """What a child may use: bytes of memory and of an answer, and the folders whose files it may read (None: any)."""

    memory_bytes: int
    output_bytes: int
    nice: int
    readable: tuple[str, ...] | None


class Job(Struct, frozen=True, array_like=True):
    """A function as `module:name`, its arguments, and the seconds of processor time that it may take.

    With `source` it gets an open file before its arguments; with `streaming` it is a generator function.
    """

    function: str
    arguments: tuple[Any, ...]
    seconds: float
    source: bool = False
    streaming: bool = False


class GoOn(Struct, frozen=True, array_like=True):
    """The next value of a streaming job is wanted."""


class Answer(Struct, array_like=True):
    """The result, or an error: its code, a sentence for people, and the traceback of what nobody foresaw.

    `more` says that the job goes on, `last` that the process does not.
    """

    result: Any = None
    error: str = ""
    message: str = ""
    traceback: str = ""
    more: bool = False
    last: bool = False


def pack(frame: Struct) -> bytes:
    """A frame as it goes over the pipe; ValueError for one of 4 GiB, TypeError for what msgpack has no word for."""
    body = msgpack.encode(frame)
    if len(body) >= 2**32:
        raise ValueError("the frame is too long")
    return LENGTH.pack(len(body)) + body
