"""How a file comes into a child that can open none: the parent opens it and hands over the descriptor."""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, recv_fds, send_fds, socket, socketpair
from typing import BinaryIO

from mediary.errors import NotFoundError, StoreError

_BUFFER = 64 * 1024
# Nothing, a link, a socket.
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.ENODEV}


def pair() -> tuple[socket, socket]:
    """The parent's and the child's end of what files go over."""
    ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
    ours.setblocking(False)
    return ours, theirs


def open_source(path: Path) -> int:
    """A descriptor for reading alone; NotFoundError if it is no plain file: a link, a folder, a FIFO, a device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise NotFoundError("there is no such file") from error
        raise StoreError(f"the file cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotFoundError("there is no such file")
    return descriptor


def send(ours: socket, descriptor: int) -> None:
    """Hand a descriptor over. The socket is empty, so that this does not wait."""
    send_fds(ours, [b"\0"], [descriptor])


def receive(number: int) -> BinaryIO:
    """The child's side: the file that was handed over, on the socket of that number."""
    theirs = socket(AF_UNIX, SOCK_STREAM, fileno=number)
    try:
        _, (descriptor,), _, _ = recv_fds(theirs, 1, 1)
    finally:
        theirs.detach()
    return os.fdopen(descriptor, "rb", buffering=_BUFFER)


def identity(descriptor: int) -> tuple[int, int]:
    """What tells a file from all others of this machine."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def is_open(file: tuple[int, int], descriptors: Iterable[int]) -> bool:
    """Whether one of these descriptors is of that file."""
    return any(_identity(descriptor) == file for descriptor in descriptors)


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        return identity(descriptor)
    except OSError:  # it is not open
        return None
