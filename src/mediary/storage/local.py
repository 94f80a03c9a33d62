"""A store in a folder of this machine: a file appears whole under its name, or not at all."""

import asyncio
import errno
import fcntl
import heapq
import os
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from mediary.errors import NotFoundError, StoreError
from mediary.names import MAX_NAME_BYTES, numbered
from mediary.storage.base import Page, StoredFile
from mediary.storage.files import in_thread, stored_file, sync_folder, translated, write_all

_T = TypeVar("_T")

# The subfolder of files that are being written: on the same file system, so that they can be linked.
INCOMING = ".incoming"
_PIECE = 256 * 1024  # bytes that are read, or gathered before they are written, in one go
_SAFELY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # no link is followed, no FIFO waited for

_translated = partial(translated, "the media store")


class LocalStore:
    """A store in a folder that exists; what lies in it already is served as it is.

    Several processes may share the folder. Subfolders, links, devices and hidden files in it are no files of the store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Where a file of that name lies, or would, without a look at the disk; NotFoundError for what is no name."""
        if not _is_plain(name):
            raise NotFoundError("There is no file of that name")
        return self.folder / name

    def stage(self) -> AbstractAsyncContextManager["LocalStaged"]:
        """Begin a file; leaving the block without `commit` leaves nothing behind."""
        return _closing(LocalStaged(self))

    def stage_replacement(self) -> AbstractAsyncContextManager["LocalStaged"]:
        """Begin a file that takes the place of the one of its name, if there is one, when it is committed."""
        return _closing(LocalStaged(self, replaces=True))

    async def get(self, name: str) -> StoredFile:
        """What is known of a file; NotFoundError if there is none."""
        path = self.path(name)
        with _translated(name):
            return stored_file(name, path.lstat())

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end` (exclusive), in pieces; NotFoundError if there is no such file."""
        path = self.path(name)
        with _translated(name), _opened(path, os.O_RDONLY) as descriptor:
            size = stored_file(name, os.fstat(descriptor)).size
            end = size if end is None else min(end, size)
            while start < end:
                piece = await in_thread(partial(os.pread, descriptor, min(_PIECE, end - start), start))
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

    async def recover(self) -> int:
        """Remove what a killed process left half-written; the number of such files."""
        return await in_thread(self._recover)

    async def check(self) -> None:
        """Raise StoreError if the folder is not there, or cannot be read and written."""
        await asyncio.to_thread(self._check)

    def _list(self, after: str, limit: int) -> Page:
        with _translated(), os.scandir(self.folder) as entries:
            names = (entry.name for entry in entries if entry.is_file(follow_symlinks=False))
            found = heapq.nsmallest(limit + 1, (name for name in names if name > after and _is_plain(name)))
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

    def _recover(self) -> int:
        removed = 0
        with _translated(), suppress(FileNotFoundError), os.scandir(self.folder / INCOMING) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    removed += _remove_abandoned(Path(entry.path))
        return removed

    def _check(self) -> None:
        with _translated():
            if not self.folder.is_dir():
                raise StoreError("The folder of the media store is not there")
            folders = [folder for folder in (self.folder, self.folder / INCOMING) if folder.exists()]
            if not all(os.access(folder, os.R_OK | os.W_OK | os.X_OK) for folder in folders):
                raise StoreError("The folder of the media store cannot be written")


class LocalStaged:
    """Bytes on their way into a folder.

    The first bytes are gathered in memory, so that a small file costs one trip to a thread. The temporary file is
    locked from its creation to its end: `recover`, in whatever process, leaves it alone while its writer lives.
    """

    def __init__(self, store: LocalStore, *, replaces: bool = False) -> None:
        self._store = store
        self._replaces = replaces
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._temporary: Path | None = None
        self._descriptor = -1
        self._linked: Path | None = None
        self._finished = False

    async def write(self, data: bytes) -> None:
        """Append bytes; NoSpaceError when the disk or the quota is full."""
        self._require_unfinished()
        self._gathered.append(data)
        self._gathered_bytes += len(data)
        if self._gathered_bytes >= _PIECE:
            await self._finish_unless(self._write_gathered)

    async def commit(self, name: str) -> StoredFile:
        """Make the bytes durable and give them a name, all at once; one that is taken gets `-2`, `-3` …

        A replacement takes the name itself.
        """
        self._require_unfinished()
        self._store.path(name)
        stored = await self._finish_unless(partial(self._commit, name))
        self._finished, self._linked = True, None
        return stored

    async def close(self) -> None:
        """Remove what was not committed."""
        self._finished = True
        self._gathered.clear()
        if self._descriptor >= 0 or self._linked:
            await in_thread(self._discard)

    def _require_unfinished(self) -> None:
        if self._finished:
            raise StoreError("This file is committed, failed or given up already")

    async def _finish_unless(self, work: Callable[[], _T]) -> _T:
        """Do a step; after one that failed or was cancelled there is no other."""
        self._finished = True
        result = await in_thread(work)
        self._finished = False
        return result

    def _write_gathered(self) -> None:
        with _translated():
            if self._temporary is None:
                self._temporary, self._descriptor = _create_locked(self._store.folder)
            data = b"".join(self._gathered)
            self._gathered.clear()
            self._gathered_bytes = 0
            write_all(self._descriptor, data)

    def _commit(self, name: str) -> StoredFile:
        self._write_gathered()
        assert self._temporary is not None
        with _translated():
            # Linux before 6.13 counts in steps of 4 ms: a file right after a deleted one would get its ETag.
            os.utime(self._descriptor, ns=(now := time.time_ns(), now))
            os.fsync(self._descriptor)
            if self._replaces:
                path = self._temporary.replace(self._store.folder / name)
            else:
                self._linked = path = _link(self._temporary, self._store.folder, name)
            sync_folder(self._store.folder)
            stored = stored_file(path.name, os.fstat(self._descriptor))
        self._remove_temporary()
        return stored

    def _discard(self) -> None:
        # Cancelled after the link, or the folder could not be synced: nobody was told of the name.
        if self._linked is not None:
            with suppress(OSError):
                self._linked.unlink()
        self._remove_temporary()

    def _remove_temporary(self) -> None:
        if self._temporary is not None:
            with suppress(OSError):  # `recover` will remove it; after a rename it is gone
                self._temporary.unlink()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@asynccontextmanager
async def _closing(staged: LocalStaged) -> AsyncIterator[LocalStaged]:
    try:
        yield staged
    finally:
        await staged.close()


def _is_plain(name: str) -> bool:
    """Whether this names a file right in the folder, one that is not hidden."""
    if not name or name[0] == "." or "/" in name or "\\" in name or "\0" in name:
        return False
    try:
        return len(name if name.isascii() else name.encode()) <= MAX_NAME_BYTES
    except UnicodeEncodeError:  # lone surrogates
        return False


@contextmanager
def _opened(path: Path, mode: int) -> Iterator[int]:
    descriptor = os.open(path, mode | _SAFELY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _create_locked(folder: Path) -> tuple[Path, int]:
    """A new temporary file, locked for as long as it is open."""
    incoming = folder / INCOMING
    incoming.mkdir(mode=0o700, exist_ok=True)
    while True:
        path = incoming / secrets.token_hex(16)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFELY, 0o666)
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


def _remove_abandoned(path: Path) -> bool:
    """Remove a temporary file, unless a living process writes it or has just finished with it."""
    with suppress(FileNotFoundError), _opened(path, os.O_RDWR) as descriptor:
        if _lock(descriptor):
            path.unlink()
            return True
    return False


def _link(temporary: Path, folder: Path, name: str) -> Path:
    """Give a file its final name, or the first numbered one that is free."""
    number = 1
    while True:
        path = folder / (name if number == 1 else numbered(name, number))
        try:
            _link_exclusively(temporary, path)
            return path
        except FileExistsError:
            number = number + 1 if number > 1 else _free_number(folder, name)


def _link_exclusively(temporary: Path, path: Path) -> None:
    try:
        path.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}:
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
