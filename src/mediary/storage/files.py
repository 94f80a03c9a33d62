"""What everybody needs who reads or writes files of this machine: threads, errors by name, durable names, ETags."""

import asyncio
import errno
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

from mediary.errors import NoSpaceError, NotFoundError, StoreError
from mediary.storage.base import StoredFile
from mediary.tasks import to_the_end

T = TypeVar("T")

SAFELY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""How a file is opened: no link is followed, no FIFO waited for."""

_MOST_PIECES = 1024  # what Linux and macOS take at once

_NO_FILE = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,  # a link
    errno.EMLINK,  # a link, on FreeBSD
    errno.ENXIO,  # a socket
    errno.ENODEV,
}
"""What the system says where there is no plain file of the name."""


async def in_thread(work: Callable[[], T]) -> T:
    """Do blocking work in a thread and see its end also when cancelled: then nothing runs on behind our back."""
    return await to_the_end(asyncio.get_running_loop().run_in_executor(None, work))


@contextmanager
def translated(what: str, name: str | None = None) -> Iterator[None]:
    """Errors of the system as errors of the store, without a path of this machine.

    `what` is what fails, for the message; `name` is the file that may be missing.
    """
    try:
        yield
    except OSError as error:
        if name is not None and error.errno in _NO_FILE:
            raise NotFoundError(f"There is no file {name!r}") from error
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoSpaceError(f"The disk of {what} is full") from error
        raise StoreError(f"The disk of {what} failed: {error.strerror or 'unknown reason'}") from error


def stored_file(name: str, status: os.stat_result) -> StoredFile:
    """What a status tells of a file; NotFoundError if it is a link, a folder, a FIFO or a device."""
    if not stat.S_ISREG(status.st_mode):
        raise NotFoundError(f"There is no file {name!r}")
    etag = f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"
    return StoredFile(name, status.st_size, status.st_mtime, etag)


@contextmanager
def opened(path: Path, mode: int) -> Iterator[int]:
    """The descriptor of a file that is no link."""
    descriptor = os.open(path, mode | SAFELY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def write_all(descriptor: int, *pieces: bytes) -> None:
    """Write all bytes, in however many steps the system takes them."""
    left = deque(memoryview(piece) for piece in pieces)
    while left:
        written = os.writev(descriptor, list(islice(left, _MOST_PIECES)))
        while left and written >= len(left[0]):
            written -= len(left.popleft())
        if written:
            left[0] = left[0][written:]


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where its file system can."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what shares without that ability say
            raise
    finally:
        os.close(descriptor)
