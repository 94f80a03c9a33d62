"""A store in a folder of this machine: a file appears whole under its name, or not at all."""

import asyncio
import errno
import heapq
import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from mediary.errors import NotFoundError, StoreError
from mediary.names import numbered
from mediary.storage.base import HasPath, Page, Store, StoredFile, checked_name, is_name
from mediary.storage.files import in_thread, opened, stored_file, sync_folder, translated
from mediary.storage.spool import INCOMING, PIECE, StagedSpool, closing, leftovers, recover

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
"""What a file system says that has no hard links, or no more of them for this file."""

_translated = partial(translated, "the media store")


class LocalStore:
    """A store in a folder that exists; what lies in it already is served as it is.

    Several processes may share the folder. Subfolders, links, devices and hidden files in it are no files of the store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Where a file of that name lies, or would, without a look at the disk; NotFoundError for what is no name."""
        return self.folder / checked_name(name)

    def stage(self) -> AbstractAsyncContextManager["LocalStaged"]:
        """Begin a file; leaving the block without `commit` leaves nothing behind."""
        return closing(LocalStaged(self))

    def stage_replacement(self) -> AbstractAsyncContextManager["LocalStaged"]:
        """Begin a file that takes the place of the one of its name, if there is one, when it is committed."""
        return closing(LocalStaged(self, replaces=True))

    async def get(self, name: str) -> StoredFile:
        """What is known of a file; NotFoundError if there is none."""
        path = self.path(name)
        with _translated(name):
            return stored_file(name, path.lstat())

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end` (exclusive), in pieces; NotFoundError if there is no such file."""
        path = self.path(name)
        with _translated(name), opened(path, os.O_RDONLY) as descriptor:
            size = stored_file(name, os.fstat(descriptor)).size
            end = size if end is None else min(end, size)
            while start < end:
                piece = await in_thread(partial(os.pread, descriptor, min(PIECE, end - start), start))
                if not piece:
                    raise StoreError("A file of the media store was cut short while it was read")
                start += len(piece)
                yield piece

    async def list(self, after: str | None = None, limit: int = 1000) -> Page:
        """Files in the order of their names, from a cursor on.

        Each page looks through the whole folder once (100,000 names: about a tenth of a second, in a thread) and asks
        for the details of its own files only; to walk a huge folder, ask for large pages.
        """
        return await in_thread(partial(self._list, after or "", limit))

    async def delete(self, name: str) -> None:
        """Remove a file; NotFoundError if there is none."""
        await in_thread(partial(self._delete, self.path(name)))

    async def adopt(self, other: Store, name: str, new: str) -> StoredFile:
        """Give a file of `other`, a store in a folder, one more name here, `new`; a taken one gets `-2`, `-3` …

        It is a hard link, and a copy where the file system has none. NotFoundError if there is no such file.
        """
        if not isinstance(other, HasPath):
            raise StoreError("A folder takes over files from another folder alone")
        linked = await in_thread(partial(self._adopt, other.path(name), checked_name(new)))
        return linked or await self._copy(other, name, new)

    async def recover(self) -> int:
        """Remove what a killed process left half-written; the number of such files."""
        return await in_thread(partial(recover, self.folder))

    async def leftovers(self) -> tuple[StoredFile, ...]:
        """What `recover` would remove now."""
        return await in_thread(partial(leftovers, self.folder))

    async def check(self) -> None:
        """Raise StoreError if the folder is not there, or cannot be read and written."""
        await asyncio.to_thread(self._check)

    async def _copy(self, other: Store, name: str, new: str) -> StoredFile:
        async with self.stage() as staged:
            async for piece in other.read(name):
                await staged.write(piece)
            return await staged.commit(new)

    def _list(self, after: str, limit: int) -> Page:
        with _translated(), os.scandir(self.folder) as entries:
            names = (entry.name for entry in entries if entry.is_file(follow_symlinks=False))
            found = heapq.nsmallest(limit + 1, (name for name in names if name > after and is_name(name)))
        files = []
        for name in found[:limit]:
            with suppress(NotFoundError), _translated(name):  # deleted since
                files.append(stored_file(name, (self.folder / name).lstat()))
        return Page(tuple(files), found[limit - 1] if len(found) > limit else None)

    def _delete(self, path: Path) -> None:
        with _translated(path.name):
            stored_file(path.name, path.lstat())
            path.unlink()
            sync_folder(self.folder)

    def _adopt(self, source: Path, new: str) -> StoredFile | None:
        """Give the file one more name; None where that takes a copy."""
        with _translated(source.name):
            before = stored_file(source.name, source.lstat())
            try:
                path = _give_name(partial(os.link, source, follow_symlinks=False), self.folder, new)
            except OSError as error:
                if error.errno in {*_NO_LINKS, errno.EXDEV}:
                    return None
                raise
            sync_folder(self.folder)
            return replace(before, name=path.name)

    def _check(self) -> None:
        with _translated():
            if not self.folder.is_dir():
                raise StoreError("The folder of the media store is not there")
            folders = [folder for folder in (self.folder, self.folder / INCOMING) if folder.exists()]
            if not all(os.access(folder, os.R_OK | os.W_OK | os.X_OK) for folder in folders):
                raise StoreError("The folder of the media store cannot be written")


class LocalStaged(StagedSpool):
    """Bytes on their way into a folder."""

    def __init__(self, store: LocalStore, *, replaces: bool = False) -> None:
        super().__init__(store.folder)
        self._replaces = replaces
        self._linked: Path | None = None

    async def commit(self, name: str, sha256: str | None = None) -> StoredFile:
        """Make the bytes durable and give them a name, all at once; one that is taken gets `-2`, `-3` …

        A replacement takes the name itself. A folder has no use for the digest.
        """
        self.require_unfinished()
        stored = await self._step(partial(self._commit, checked_name(name)))
        self._finished, self._linked = True, None
        return stored

    def _commit(self, name: str) -> StoredFile:
        self._write_gathered()
        assert self._temporary is not None
        with _translated():
            # Linux before 6.13 counts in steps of 4 ms: a file right after a deleted one would get its ETag.
            os.utime(self._descriptor, ns=(now := time.time_ns(), now))
            os.fsync(self._descriptor)
            if self._replaces:
                path = self._temporary.replace(self._folder / name)
            else:
                self._linked = path = _give_name(partial(_link_or_rename, self._temporary), self._folder, name)
            sync_folder(self._folder)
            stored = stored_file(path.name, os.fstat(self._descriptor))
        super()._discard()
        return stored

    def _has_remains(self) -> bool:
        return super()._has_remains() or self._linked is not None

    def _discard(self) -> None:
        # Cancelled after the link, or the folder could not be synced: nobody was told of the name.
        if self._linked is not None:
            with suppress(OSError):
                self._linked.unlink()
        super()._discard()


def _give_name(link: Callable[[Path], object], folder: Path, name: str) -> Path:
    """Link a file to its final name, or to the first numbered one that is free."""
    number = 1
    while True:
        path = folder / (name if number == 1 else numbered(name, number))
        try:
            link(path)
            return path
        except FileExistsError:
            number = number + 1 if number > 1 else _free_number(folder, name)


def _link_or_rename(temporary: Path, path: Path) -> None:
    try:
        path.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _rename_exclusively(temporary, path)


def _rename_exclusively(temporary: Path, path: Path) -> None:
    """For file systems without hard links (FAT, some shares): a rename that replaces nothing, where Linux has it."""
    import ctypes  # rarely needed

    at_cwd, no_replace = -100, 1
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename and rename(at_cwd, os.fsencode(temporary), at_cwd, os.fsencode(path), no_replace) == 0:
        return
    code = ctypes.get_errno() if rename else errno.ENOSYS
    if code in {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}:
        raise StoreError("The file system of the media folder has neither hard links nor exclusive renames")
    raise OSError(code, os.strerror(code))


def _free_number(folder: Path, name: str) -> int:
    """A number whose name is free while the one before is taken, found in few steps however many there are."""

    def is_taken(number: int) -> bool:
        return os.path.lexists(folder / numbered(name, number))

    taken, free = 1, 2
    while is_taken(free):
        taken, free = free, free * 2
    while free - taken > 1:
        middle = (taken + free) // 2
        taken, free = (middle, free) if is_taken(middle) else (taken, middle)
    return free
