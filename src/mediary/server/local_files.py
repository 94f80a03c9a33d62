"""Reads the files of a local store without ever making the event loop wait for a disk."""

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import FileIO
from typing import Any, ParamSpec, TypeVar

from mediary.errors import NotFoundError, StoreError
from mediary.formats import SNIFF_BYTES, detect
from mediary.server.file_answer import FileFacts, file_facts
from mediary.storage.base import HasPath
from mediary.storage.files import stored_file, translated

P = ParamSpec("P")
T = TypeVar("T")

PIECE = 256 * 1024
"""The bytes of one read, and the most that a file may have to be sent in one message."""

# A link is not followed and a pipe does not wait for its writer; what is no regular file is not found.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)  # Linux alone has it
_WHAT = "the media store"
_KNOWN_FILES = 8192
"""Files whose headers are remembered: some 10 MB when all are."""

# The bytes of small files are remembered too: asking the system whether a file is still the same takes a third of the
# time of opening, reading and closing it. That costs each process up to 16 MB of memory, which the page cache holds
# once more.
_KEPT_BYTES = 16 * 1024 * 1024
_KEPT_FILE_BYTES = 64 * 1024

_SETTLED_NS = 2_000_000_000
"""How old a file must be: two changes within one tick of a coarse clock bear the same time."""
_THREADS = 64
_THREADS_PER_FILE = 4


@dataclass(slots=True, frozen=True)
class _Known:
    """A file that was served: `waits` if its file system cannot read without waiting (NFS, FUSE)."""

    path: str
    identity: tuple[int, int, int, int]
    facts: FileFacts
    waits: bool


@dataclass(slots=True)
class _Lane:
    """The threads that one file may hold; `users` are those who hold one or wait for one."""

    free: asyncio.Semaphore
    users: int = 0


class _Threads:
    """Threads that wait for disks. One file may hold a few of them, so that a stalled one leaves the rest to others.

    A thread cannot be interrupted: whoever stops waiting for it leaves it to its disk, and it counts until it ends.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="disk")
        self._lanes: dict[str, _Lane] = {}

    async def run(self, name: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work`, which reads the file of that name, in a thread."""
        lane = self._lanes.setdefault(name, _Lane(asyncio.Semaphore(_THREADS_PER_FILE)))
        lane.users += 1
        try:
            await lane.free.acquire()
        except asyncio.CancelledError:
            self._leave(name, lane)
            raise
        working = self._pool.submit(work, *args, **kwargs)
        try:
            return await asyncio.wrap_future(working)
        finally:
            if working.done():
                self._give_back(name, lane)
            else:
                # Cancelled, but the thread is still stuck: as long as it is, its place is taken.
                working.add_done_callback(partial(self._give_back_later, asyncio.get_running_loop(), name, lane))

    def _give_back_later(self, loop: asyncio.AbstractEventLoop, name: str, lane: _Lane, _: Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop may be over
            loop.call_soon_threadsafe(self._give_back, name, lane)

    def _give_back(self, name: str, lane: _Lane) -> None:
        lane.free.release()
        self._leave(name, lane)

    def _leave(self, name: str, lane: _Lane) -> None:
        lane.users -= 1
        if not lane.users:
            del self._lanes[name]

    def start(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread that nobody waits for."""
        self._pool.submit(work)


class _Kept:
    """The bytes of small files that were sent lately, those of the last 16 MB."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, tuple[_Known, bytes]] = OrderedDict()
        self._bytes = 0

    def get(self, name: str, known: _Known) -> bytes | None:
        """The bytes of this very file."""
        kept = self._files.get(name)
        if kept is None or kept[0] is not known:
            return None
        self._files.move_to_end(name)
        return kept[1]

    def put(self, name: str, known: _Known, data: bytes) -> None:
        """Keep a small file, unless it is so new that a change that follows could leave its time as it is."""
        if len(data) > _KEPT_FILE_BYTES or time.time_ns() - known.identity[3] < _SETTLED_NS:
            return
        replaced = self._files.pop(name, None)
        self._bytes += len(data) - (len(replaced[1]) if replaced else 0)
        self._files[name] = known, data
        while self._bytes > _KEPT_BYTES:
            self._bytes -= len(self._files.popitem(last=False)[1][1])


class LocalFiles:
    """The files of a store whose files lie on this machine.

    A file that was served lately is opened and read at once: its folder entry is in memory, and `RWF_NOWAIT` gives
    its bytes only if they are there too. Everything else is done in a thread.
    """

    def __init__(self, store: HasPath) -> None:
        self._store = store
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._kept = _Kept()
        self._threads = _Threads()
        self._scratch = memoryview(bytearray(PIECE))

    def whole(self, name: str) -> tuple[FileFacts, bytes] | None:
        """A small file, if it takes no waiting; None says nothing about whether it exists."""
        known = self._known.get(name)
        if known is None or known.waits or known.facts.size > PIECE:
            return None
        data = self._kept.get(name, known)
        try:
            if data is None:
                data = self._read_whole(known)
                if data is None:
                    return None
                self._kept.put(name, known, data)
            elif _identity(os.lstat(known.path)) != known.identity:
                return None
        except OSError:
            return None
        self._known.move_to_end(name)
        return known.facts, data

    def _read_whole(self, known: _Known) -> bytes | None:
        file = os.open(known.path, _FLAGS)
        try:
            if _identity(os.fstat(file)) != known.identity:
                return None
            data = self.take(file, 0, known.facts.size)
        finally:
            os.close(file)
        return data if data is not None and len(data) == known.facts.size else None

    def take(self, file: int, start: int, count: int) -> bytes | None:
        """At most `count` bytes that are in memory; None if that takes waiting, or fails."""
        try:
            got = os.preadv(file, [self._scratch[:count]], start, _NOWAIT or 0)
        except OSError:
            return None
        return bytes(self._scratch[:got])

    async def open(self, name: str) -> "LocalFile":
        """Open a file; NotFoundError if there is none, or it is no regular file."""
        known = self._known.get(name)
        opened = _reopen(known) if known and not known.waits else None
        if opened is None:
            opened = await self._threads.run(name, self._look, name, known)
            self._remember(name, opened[1])
        return LocalFile(self, self._threads, *opened)

    def _look(self, name: str, known: _Known | None) -> tuple[FileIO, _Known]:
        place = self._store.path(name)
        path = os.fspath(place)
        with translated(_WHAT, place.name):
            file = FileIO(path, opener=_open)
            try:
                return file, _describe(place.name, path, file.fileno(), known)
            except (OSError, NotFoundError):
                file.close()
                raise

    def _remember(self, name: str, known: _Known) -> None:
        self._known[name] = known
        self._known.move_to_end(name)
        if len(self._known) > _KNOWN_FILES:
            self._known.popitem(last=False)


class LocalFile:
    """An open file of this machine, which an answer is read from; `close` it when the answer is sent."""

    __slots__ = ("_disk", "_file", "_threads", "_waits", "facts")

    def __init__(self, disk: LocalFiles, threads: _Threads, file: FileIO, known: _Known) -> None:
        self.facts = known.facts
        self._disk = disk
        self._threads = threads
        self._file = file
        self._waits = known.waits

    async def read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end` (exclusive), in pieces."""
        file = self._file.fileno()
        while start < end:
            count = min(end - start, PIECE)
            piece = None if self._waits else self._disk.take(file, start, count)
            if not piece:
                piece = await self._threads.run(self.facts.name, self._read, start, count)
            yield piece
            start += len(piece)

    def _read(self, start: int, count: int) -> bytes:
        with translated(_WHAT):
            piece = os.pread(self._file.fileno(), count, start)
        if not piece:
            raise StoreError(f"The file {self.facts.name!r} became shorter while it was read")
        return piece

    def close(self) -> None:
        """Close the file: in a thread where reading waits for a disk, for closing may wait there too."""
        if self._waits:
            self._threads.start(self._file.close)
        else:
            self._file.close()


def _open(path: str, _: int) -> int:
    return os.open(path, _FLAGS)


def _reopen(known: _Known) -> tuple[FileIO, _Known] | None:
    """Open a known file; None if it is gone or another one, which `_look` then finds out."""
    try:
        file = FileIO(known.path, opener=_open)
    except OSError:
        return None
    if _identity(os.fstat(file.fileno())) == known.identity:
        return file, known
    file.close()
    return None


def _describe(name: str, path: str, file: int, known: _Known | None) -> _Known:
    status = os.fstat(file)
    stored = stored_file(name, status)
    identity = _identity(status)
    if known is not None and known.identity == identity:
        return known
    detected = detect(os.pread(file, SNIFF_BYTES, 0))
    facts = file_facts(name, stored.size, stored.modified, stored.etag, detected)
    return _Known(path, identity, facts, _waits(file))


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    """What differs between two files of one name, one after the other, even where inode, size and time are the same."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _waits(file: int) -> bool:
    """Whether the file system refuses to read what is in memory without waiting for what is not."""
    if _NOWAIT is None:
        return True
    try:
        os.preadv(file, [bytearray(1)], 0, _NOWAIT)
    except BlockingIOError:
        return False
    except OSError:  # EOPNOTSUPP
        return True
    return False
