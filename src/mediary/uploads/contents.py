"""Where the bytes of an upload come from: files of this machine, stores, memory; and their digests."""

import hashlib
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from mediary.errors import NotFoundError, UnreadableError
from mediary.storage.base import Store, StoredFile
from mediary.storage.files import in_thread, stored_file
from mediary.tasks import all_of
from mediary.uploads.base import Content

PIECE = 1024 * 1024


@dataclass(slots=True, frozen=True)
class Known:
    """What is known of bytes: digests in hex; `media_type` is None if nobody has looked yet."""

    md5: str
    sha256: str
    media_type: str | None = None
    width: int | None = None
    height: int | None = None


@dataclass(slots=True, frozen=True)
class PathContent:
    """A file of this machine. `mark` is what it was when somebody looked: UnreadableError if it is another by now."""

    path: Path
    size: int
    mark: str

    async def read(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end` (exclusive), in pieces of a mebibyte."""
        end = self.size if end is None else min(end, self.size)
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise UnreadableError(f"The file {self.path.name!r} cannot be read: {error.strerror}") from None
        try:
            while start < end:
                piece = await in_thread(partial(self._piece, descriptor, start, min(PIECE, end - start)))
                start += len(piece)
                yield piece
        finally:
            os.close(descriptor)

    def _piece(self, descriptor: int, start: int, size: int) -> bytes:
        try:
            piece = os.pread(descriptor, size, start)
            mark = stored_file(self.path.name, os.fstat(descriptor)).etag
        except OSError as error:
            raise UnreadableError(f"The file {self.path.name!r} cannot be read: {error.strerror}") from None
        # Looked at behind the read, so that no byte of another file goes out.
        if not piece or mark != self.mark:
            raise UnreadableError(f"The file {self.path.name!r} was changed while it was sent")
        return piece


@dataclass(slots=True, frozen=True)
class StoreContent:
    """A file of a store that lies elsewhere."""

    store: Store
    name: str
    size: int

    async def read(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end` (exclusive), in pieces as the store gives them."""
        end = self.size if end is None else min(end, self.size)
        async with aclosing(self.store.read(self.name, start, end)) as pieces:
            async for piece in pieces:
                start += len(piece)
                yield piece
        if start < end:
            raise UnreadableError(f"The file {self.name!r} was changed while it was sent")


@dataclass(slots=True, frozen=True)
class BytesContent:
    """Bytes in memory."""

    data: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.data)

    async def read(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end` (exclusive), in pieces of a mebibyte."""
        end = self.size if end is None else min(end, self.size)
        for at in range(start, end, PIECE):
            yield self.data[at : min(at + PIECE, end)]


def file_at(path: Path) -> StoredFile:
    """What is known of a file of this machine; NotFoundError if there is none, or no file that can be read again."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        raise NotFoundError(f"There is no file {path.name!r}") from None
    if not S_ISREG(stat.st_mode):
        what = "is a folder: name the files in it" if S_ISDIR(stat.st_mode) else "is no file that can be read twice"
        raise NotFoundError(f"{path.name!r} {what}")
    return stored_file(path.name, stat)


async def hash_content(content: Content) -> Known:
    """The digests of bytes: both at once, while the next piece is read."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    async with aclosing(content.read()) as pieces:
        piece = await anext(pieces, b"")
        while piece:
            hashing = [in_thread(partial(digest.update, piece)) for digest in (md5, sha256)]
            following, *_ = await all_of([_next(pieces), *hashing])
            piece = following or b""
    return Known(md5.hexdigest(), sha256.hexdigest())


async def _next(pieces: AsyncGenerator[bytes, None]) -> bytes:
    return await anext(pieces, b"")
