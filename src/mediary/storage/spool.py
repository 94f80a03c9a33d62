"""Bytes on their way in: gathered in memory, then in a temporary file of a folder, locked while its writer lives."""

import fcntl
import hashlib
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from mediary.errors import NotFoundError, StoreError
from mediary.storage.base import StoredFile
from mediary.storage.files import SAFELY, in_thread, opened, stored_file, translated, write_all

_T = TypeVar("_T")
_S = TypeVar("_S", bound="Spool")

# The subfolder of files that are being written: on the same file system, so that they can be linked.
INCOMING = ".incoming"
PIECE = 256 * 1024
"""Bytes that are read, or gathered before they are written, in one go."""

_translated = partial(translated, "the media store")


class Spool:
    """Bytes on their way into a folder, or through it to somewhere else.

    The first bytes are gathered in memory, so that a small file costs one trip to a thread. The temporary file is
    locked from its creation to its end: `recover`, in whatever process, leaves it alone while its writer lives.
    """

    def __init__(self, folder: Path) -> None:
        self.size = 0
        self._folder = folder
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._temporary: Path | None = None
        self._descriptor = -1
        self._finished = False

    async def write(self, *pieces: bytes) -> None:
        """Append bytes; NoSpaceError when the disk or the quota is full."""
        self.require_unfinished()
        size = sum(map(len, pieces))
        self._gathered += pieces
        self._gathered_bytes += size
        self.size += size
        if self._gathered_bytes >= PIECE:
            await self._step(self._write_gathered)

    async def read(self, start: int, end: int) -> bytes:
        """Some of the bytes that were written; a reader that is cancelled does no harm."""
        if self._temporary is None:
            return b"".join(self._gathered)[start:end]
        if self._gathered:
            await self._step(self._write_gathered)
        self.require_unfinished()
        return await in_thread(partial(self._read, start, end))

    async def sha256(self) -> str:
        """The digest of the bytes, in hex."""
        if self._gathered and self._temporary is not None:
            await self._step(self._write_gathered)
        return await in_thread(self._sha256)

    async def path(self) -> Path:
        """Where the bytes lie, all that were written, until it is closed."""
        if self._gathered or self._temporary is None:
            await self._step(self._write_gathered)
        self.require_unfinished()
        assert self._temporary is not None
        return self._temporary

    async def close(self) -> None:
        """Remove what was written; after this there is no more."""
        self._finished = True
        self._gathered.clear()
        if self._has_remains():
            await in_thread(self._discard)

    def require_unfinished(self) -> None:
        """StoreError if there is no more to be done with it."""
        if self._finished:
            raise StoreError("This file is committed, failed or given up already")

    async def _step(self, work: Callable[[], _T]) -> _T:
        """Do a step; one that fails or is cancelled was the last."""
        self.require_unfinished()
        self._finished = True
        result = await in_thread(work)
        self._finished = False
        return result

    def _write_gathered(self) -> None:
        with _translated():
            if self._temporary is None:
                self._temporary, self._descriptor = _create_locked(self._folder)
            pieces, self._gathered = self._gathered, []
            self._gathered_bytes = 0
            write_all(self._descriptor, *pieces)

    def _read(self, start: int, end: int) -> bytes:
        with _translated():
            return os.pread(self._descriptor, end - start, start)

    def _sha256(self) -> str:
        if self._temporary is None:
            return hashlib.sha256(b"".join(self._gathered)).hexdigest()
        digest, done = hashlib.sha256(), 0
        while piece := self._read(done, done + PIECE):
            digest.update(piece)
            done += len(piece)
        return digest.hexdigest()

    def _has_remains(self) -> bool:
        return self._descriptor >= 0

    def _discard(self) -> None:
        if self._temporary is not None:
            with suppress(OSError):  # `recover` will remove it; after a rename it is gone
                self._temporary.unlink()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class StagedSpool(Spool, ABC):
    """Bytes on their way in that can be read again, so that they can go elsewhere in the end."""

    @abstractmethod
    async def commit(self, name: str, sha256: str | None = None) -> StoredFile:
        """Make the bytes durable and give them a name, as `base.Staged` says."""


@asynccontextmanager
async def closing(spool: _S) -> AsyncIterator[_S]:
    """A spool that leaves nothing behind."""
    try:
        yield spool
    finally:
        await spool.close()


def recover(folder: Path) -> int:
    """Remove the temporary files whose writers are dead; how many there were."""
    return sum(_with_abandoned(path, path.unlink) for path in _incoming(folder))


def leftovers(folder: Path) -> tuple[StoredFile, ...]:
    """The temporary files that `recover` would remove."""
    found: list[StoredFile] = []
    for path in _incoming(folder):
        with suppress(NotFoundError), _translated(path.name):
            file = stored_file(path.name, path.lstat())
            _with_abandoned(path, partial(found.append, file))
    return tuple(found)


def _incoming(folder: Path) -> list[Path]:
    with _translated(), suppress(FileNotFoundError), os.scandir(folder / INCOMING) as entries:
        return [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]
    return []


def _create_locked(folder: Path) -> tuple[Path, int]:
    """A new temporary file, locked for as long as it is open."""
    incoming = folder / INCOMING
    incoming.mkdir(mode=0o700, exist_ok=True)
    while True:
        path = incoming / secrets.token_hex(16)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFELY, 0o666)
        try:
            if _lock(descriptor) and os.fstat(descriptor).st_nlink:
                return path, descriptor
        except OSError:
            path.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        os.close(descriptor)  # `recover` of another process came between creation and lock, and removes it


def _lock(descriptor: int) -> bool:
    """Take the lock of a file, which ends when the file is closed or its process dies; False if somebody has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _with_abandoned(path: Path, work: Callable[[], object]) -> bool:
    """Do something with a temporary file, unless a living process writes it or has just finished with it."""
    with _translated(), suppress(FileNotFoundError), opened(path, os.O_RDWR) as descriptor:
        if _lock(descriptor):
            work()
            return True
    return False
