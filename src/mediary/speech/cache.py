"""Sounds as files of one folder: whole or not there, and those not asked for longest go first."""

import os
import time
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from mediary.storage.base import Staged, StoredFile
from mediary.storage.files import in_thread, translated

_translated = partial(translated, "the speech cache")

_TOUCHED = 60.0
"""Seconds for which a use counts for those that follow."""


class Spooled(Staged, Protocol):
    """A file on its way in, which can be read already."""

    async def path(self) -> Path:
        """Where its bytes lie, all that were written."""
        ...


class SoundStore(Protocol):
    """A folder as a store."""

    folder: Path

    def path(self, name: str) -> Path:
        """Where a file of that name lies, or would."""
        ...

    def stage_replacement(self) -> AbstractAsyncContextManager[Spooled]:
        """Begin a file that takes the place of the one of its name."""
        ...

    async def recover(self) -> int:
        """Remove what a killed process left half-written."""
        ...


class SoundCache:
    """The sounds that are kept, `limit` bytes of them at most; with 0 none is."""

    def __init__(self, store: SoundStore, limit: int) -> None:
        self.store = store
        self._folder = store.folder
        self._limit = limit

    def stage(self) -> AbstractAsyncContextManager[Spooled]:
        """Begin a file; leaving the block without `keep` leaves nothing behind."""
        return self.store.stage_replacement()

    async def prepare(self) -> None:
        """Have the folder there."""
        with _translated():
            await in_thread(partial(self._folder.mkdir, parents=True, exist_ok=True))

    async def keep(self, staged: Spooled, name: str, size: int, beginning: bytes) -> StoredFile | None:
        """Give a whole file its name, its first bytes mended; None where it is too large to be kept."""
        if size > self._limit:
            return None
        if beginning:
            stored = await self._keep_mended(await staged.path(), name, beginning)
        else:
            stored = await staged.commit(name)
        await in_thread(self._shrink)
        return stored

    async def _keep_mended(self, source: Path, name: str, beginning: bytes) -> StoredFile:
        async with self.stage() as mended:
            await mended.write(beginning)
            with source.open("rb") as file:
                file.seek(len(beginning))
                while piece := await in_thread(partial(file.read, 256 * 1024)):
                    await mended.write(piece)
            return await mended.commit(name)

    async def touch(self, name: str) -> None:
        """Note that a file is in use: it goes later than others."""
        await in_thread(partial(_touch, self.store.path(name)))

    def _shrink(self) -> None:
        """Remove files until the rest fits."""
        with _translated(), os.scandir(self._folder) as entries:
            files = [(entry, entry.stat()) for entry in entries if entry.is_file(follow_symlinks=False)]
        total = sum(status.st_size for _, status in files)
        for entry, status in sorted(files, key=lambda file: file[1].st_atime):
            if total <= self._limit:
                return
            with _translated(), suppress(FileNotFoundError):  # another process was faster
                os.unlink(entry.path)  # noqa: PTH108 - the entry has a plain path
            total -= status.st_size


def _touch(path: Path) -> None:
    """Set the time of the last use by hand: many file systems do not. That of the last change is in the ETag."""
    with suppress(OSError):  # gone meanwhile, or in a folder that is not to be written
        status = path.stat()
        if time.time() - status.st_atime > _TOUCHED:
            os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
