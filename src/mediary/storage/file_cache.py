"""A folder of files that can be made again: whole or not there, and those not asked for longest go first."""

import math
import os
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from mediary.storage.base import Staged, StoredFile
from mediary.storage.files import in_thread, translated

_TOUCHED = 60.0
"""Seconds for which a use counts for those that follow."""


class Spooled(Staged, Protocol):
    """A file on its way in, which can be read already."""

    async def path(self) -> Path:
        """Where its bytes lie, all that were written."""
        ...


class FolderStore(Protocol):
    """A folder as a store."""

    folder: Path

    def path(self, name: str) -> Path:
        """Where a file of that name lies, or would."""
        ...

    def read(self, name: str) -> AsyncGenerator[bytes, None]:
        """The bytes of a file, in pieces; NotFoundError if there is none."""
        ...

    def stage_replacement(self) -> AbstractAsyncContextManager[Spooled]:
        """Begin a file that takes the place of the one of its name."""
        ...

    async def recover(self) -> int:
        """Remove what a killed process left half-written."""
        ...


class FileCache:
    """The files of a folder, `limit` bytes of them at most; with 0 none is kept. `what` they are, for messages.

    None stays longer than `seconds` after it was made, if that is said.
    """

    def __init__(self, store: FolderStore, limit: int, what: str, seconds: float = math.inf) -> None:
        self.store = store
        self._folder = store.folder
        self._limit = limit
        self._seconds = seconds
        self._translated = partial(translated, what)

    def stage(self) -> AbstractAsyncContextManager[Spooled]:
        """Begin a file; leaving the block without `keep` leaves nothing behind."""
        return self.store.stage_replacement()

    async def prepare(self) -> None:
        """Have the folder there."""
        with self._translated():
            await in_thread(partial(self._folder.mkdir, parents=True, exist_ok=True))

    def has_room(self, size: int) -> bool:
        """Whether a file of that size may be kept at all."""
        return size <= self._limit

    async def keep(self, staged: Staged, name: str) -> StoredFile:
        """Give a whole file its name, and let go of others until it fits."""
        stored = await staged.commit(name)
        await in_thread(self._shrink)
        return stored

    async def touch(self, name: str) -> None:
        """Note that a file is in use: it goes later than others."""
        await in_thread(partial(_touch, self.store.path(name)))

    def _shrink(self) -> None:
        """Remove what is too old, then files until the rest fits."""
        with self._translated(), os.scandir(self._folder) as entries:
            files = [found for entry in entries if (found := _kept(entry))]
        total = sum(status.st_size for _, status in files)
        oldest = time.time() - self._seconds
        for path, status in sorted(files, key=lambda file: (file[1].st_mtime > oldest, file[1].st_atime)):
            if total <= self._limit and status.st_mtime > oldest:
                return
            with self._translated(), suppress(FileNotFoundError):  # another process was faster
                os.unlink(path)  # noqa: PTH108 - a plain path
            total -= status.st_size


def _kept(entry: "os.DirEntry[str]") -> tuple[str, os.stat_result] | None:
    """The path of a file and what is known of it; None for a folder, and for what another process has just removed."""
    try:
        return (entry.path, entry.stat(follow_symlinks=False)) if entry.is_file(follow_symlinks=False) else None
    except FileNotFoundError:
        return None


def _touch(path: Path) -> None:
    """Set the time of the last use by hand: many file systems do not. That of the last change is in the ETag."""
    with suppress(OSError):  # gone meanwhile, or in a folder that is not to be written
        status = path.stat()
        if time.time() - status.st_atime > _TOUCHED:
            os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
