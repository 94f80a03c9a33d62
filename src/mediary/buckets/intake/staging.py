"""Files on their way into a bucket: written, hashed and looked at in one go, under a name that nobody sees."""

import asyncio
import codecs
import hashlib
import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from ctypes import CDLL, c_int64
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from mediary.buckets.index import digest_of
from mediary.buckets.manifest import DELETED
from mediary.buckets.naming import WHAT
from mediary.buckets.sweep import UNPACKED, sweep_incoming
from mediary.errors import ConflictError, NoSpaceError, NotFoundError, StoreError
from mediary.extractors.recognition.detect import HEAD_BYTES
from mediary.storage.files import in_thread, opened, translated
from mediary.storage.spool import Spool, closing

BLOCK = 1024**2
"""Bytes that are handled in one go."""

DIGESTED = 1024**2
"""Bytes up to which a file is hashed in passing."""

_DECODED = 64 * 1024
"""Bytes that are decoded in one go: what stays in the processor's cache takes a third of the time."""
_sync_file_range = getattr(CDLL(None), "sync_file_range", None)  # of Linux
_BEGIN = 2


@dataclass(frozen=True)
class Arrived:
    """A file that is all here: where it lies for now, its first bytes, how many it has, whether they are UTF-8.

    `digest` is None for a large one: few need it, and it takes as long as writing them.
    """

    path: Path
    head: bytes
    size: int
    is_utf8: bool
    digest: str | None

    @cached_property
    def sha256(self) -> str:
        """The digest, while the file lies there, in a thread."""
        return self.digest or digest_of(self.path)

    def sync(self) -> None:
        """Make the bytes durable, in a thread."""
        with translated(WHAT), opened(self.path, os.O_RDONLY) as descriptor:
            os.fsync(descriptor)


class Staging:
    """Where the files of a bucket lie until they have a name: in its hidden folder."""

    def __init__(self, hidden: Path) -> None:
        self._hidden = hidden
        self._unpacked = hidden / UNPACKED
        self._opened = -1

    async def prepare(self) -> None:
        """Make the place, and remove what killed processes left there; ConflictError if the bucket was deleted."""
        await in_thread(self._prepare)

    @asynccontextmanager
    async def receive(self, chunks: AsyncIterable[bytes], most: int) -> AsyncIterator[Arrived | None]:
        """A stream, read to its end; None if it has more than `most` bytes. It lies there until the block is left."""
        async with closing(_Incoming(self._hidden)) as incoming:
            with _told_as_ours():
                async with aclosing(_blocks(chunks)) as blocks:
                    is_whole = await _write(blocks, incoming, most)
                path = await incoming.path()
            yield incoming.look.arrived(path) if is_whole else None

    @asynccontextmanager
    async def folder(self, arrived: Arrived) -> AsyncIterator[Path]:
        """A folder for what is in a file that was received; it lies there until the block is left."""
        folder = self._unpacked / arrived.path.name
        try:
            yield await in_thread(partial(_made, folder))
        finally:
            await in_thread(partial(shutil.rmtree, folder, ignore_errors=True))

    @contextmanager
    def required(self) -> Iterator[None]:
        """ConflictError for what fails because the bucket was deleted since the place was made."""
        try:
            yield
        except (FileNotFoundError, NotFoundError, StoreError) as error:
            if self._is_there():
                raise
            raise ConflictError(DELETED) from error

    def close(self) -> None:
        """Whoever made the place needs it no more."""
        if self._opened >= 0:
            os.close(self._opened)
            self._opened = -1

    def _is_there(self) -> bool:
        """Whether the place is the one that was made; it is open, so that no new folder can bear its number."""
        with suppress(FileNotFoundError):
            return os.path.samestat(self._hidden.stat(), os.fstat(self._opened))
        return False

    def _prepare(self) -> None:
        try:
            self._hidden.mkdir(exist_ok=True)
            self._opened = os.open(self._hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, FileExistsError):  # it can go between two looks
            raise ConflictError(DELETED) from None
        with translated(WHAT):
            sweep_incoming(self._hidden)


def arrived_files(paths: Iterable[Path]) -> list[Arrived]:
    """Look at files that lie there already, in a thread."""
    return [_arrived_file(path) for path in paths]


def _arrived_file(path: Path) -> Arrived:
    look = _Look()
    with translated(WHAT), opened(path, os.O_RDONLY) as descriptor:
        while block := os.read(descriptor, BLOCK):
            look.update(block)
    return look.arrived(path)


async def once(data: bytes) -> AsyncGenerator[bytes, None]:
    """Bytes that are here already as a stream."""
    yield data


class _Look:
    """What is learned of bytes on their way past."""

    def __init__(self) -> None:
        self.size = 0
        self._head = b""
        self._digest: hashlib._Hash | None = hashlib.sha256()
        self._decoder: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()

    def update(self, block: bytes) -> None:
        """Learn from the block that comes next."""
        if len(self._head) < HEAD_BYTES:
            self._head += block[: HEAD_BYTES - len(self._head)]
        self.size += len(block)
        if self.size > DIGESTED:
            self._digest = None
        elif self._digest:
            self._digest.update(block)
        if self._decoder and not self._decodes(self._decoder, block):
            self._decoder = None

    def arrived(self, path: Path) -> Arrived:
        """What is known of all of it."""
        is_utf8 = self._decoder is not None and self._decodes(self._decoder, b"", final=True)
        return Arrived(path, self._head, self.size, is_utf8, self._digest.hexdigest() if self._digest else None)

    def _decodes(self, decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
        """Whether text goes on with these bytes."""
        if b"\0" in block:
            return False
        if block.isascii() and not final and not decoder.getstate()[0]:
            return True
        try:
            for at in range(0, len(block), _DECODED):
                decoder.decode(block[at : at + _DECODED])
            decoder.decode(b"", final)
        except UnicodeDecodeError:
            return False
        return True


class _Incoming(Spool):
    """A file that is looked at while it is written, in the same trips to a thread."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.look = _Look()

    def _write_gathered(self) -> None:
        gathered = tuple(self._gathered)
        super()._write_gathered()
        _begin_sync(self._descriptor, self.look.size, sum(map(len, gathered)))
        for piece in gathered:
            self.look.update(piece)


def _begin_sync(descriptor: int, start: int, size: int) -> None:
    """Have the system begin to bring bytes to the disk, where it can, so that less is left to do at the end."""
    if _sync_file_range is not None:
        _sync_file_range(descriptor, c_int64(start), c_int64(size), _BEGIN)


async def _write(blocks: AsyncGenerator[list[bytes], None], spool: Spool, most: int) -> bool:
    """Write what comes; False, with the rest read and thrown away, if it is more than `most` bytes."""
    block = await anext(blocks, None)
    while block:
        if spool.size + sum(map(len, block)) > most:
            async for _ in blocks:
                pass
            return False
        # The next block arrives while this one is written.
        writing = asyncio.ensure_future(spool.write(*block))
        try:
            block = await anext(blocks, None)
        finally:
            await writing
    return True


async def _blocks(chunks: AsyncIterable[bytes]) -> AsyncGenerator[list[bytes], None]:
    """The same bytes in blocks that are worth a trip to a thread, in the pieces that came; no block is empty."""
    gathered: list[bytes] = []
    size = 0
    async for chunk in chunks:
        if chunk:
            gathered.append(chunk)
            size += len(chunk)
        if size >= BLOCK:
            yield gathered
            gathered, size = [], 0
    if gathered:
        yield gathered


@contextmanager
def _told_as_ours() -> Iterator[None]:
    """What fails is the disk of the buckets, not that of the media store."""
    try:
        yield
    except (NoSpaceError, StoreError) as error:
        raise type(error)(error.message.replace("the media store", WHAT)) from error


def _made(folder: Path) -> Path:
    with translated(WHAT):
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir()
    return folder
