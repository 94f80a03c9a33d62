"""Files that anybody may have put there: opened only if they are files, read as far as asked. For child processes."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from mediary.errors import UnreadableError

HEAD_BYTES = 64 * 1024
"""First bytes of a file that are read at once: they hold all that most headers tell."""

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_REASONS = {
    errno.ELOOP: "it is a link, not a file",
    errno.EACCES: "this program may not read it",
    errno.EPERM: "this program may not read it",
    errno.ENXIO: "it is no file",
}


class Bytes:
    """The bytes of an open file: its `size`, its `head`, and any range of it."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.size = size
        self.head = os.pread(descriptor, HEAD_BYTES, 0)
        self._descriptor = descriptor

    def at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start` on; fewer where the file ends before."""
        if start + length <= len(self.head):
            return self.head[start : start + length]
        return os.pread(self._descriptor, length, start)


@contextmanager
def open_bytes(path: str) -> Iterator[Bytes]:
    """Open a file without following a link or waiting for a pipe; UnreadableError for what is none."""
    with open_file(path) as descriptor:
        yield Bytes(descriptor, os.fstat(descriptor).st_size)


@contextmanager
def open_file(path: str) -> Iterator[int]:
    """The descriptor of a regular file; FileNotFoundError if nothing is there, UnreadableError for anything else."""
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableError(_reason(error)) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnreadableError("it is no file")
        yield descriptor
    except (IsADirectoryError, PermissionError, BlockingIOError) as error:
        raise UnreadableError(_reason(error)) from error
    finally:
        os.close(descriptor)


def decode_text(text: bytes) -> str:
    """A text in UTF-8, or in Latin-1 where it is none."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _reason(error: OSError) -> str:
    return _REASONS.get(error.errno or 0, f"it cannot be read: {os.strerror(error.errno or errno.EIO).lower()}")
