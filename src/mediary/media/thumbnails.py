"""Thumbnails: made when they are first asked for, by a child process, and kept in a folder of this machine.

A thumbnail bears the name of its source's bytes, not that of the source: nothing has to be thrown away when a name
comes to mean other bytes, and two names of the same bytes share one.
"""

import asyncio
import hashlib
import os
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from mediary.errors import BadRequestError, BusyError, NotFoundError, UnreadableError, UnsupportedTypeError
from mediary.formats import Kind, require_format
from mediary.media.decoding.probe import PROBE_BYTES, dimensions, require_pixels
from mediary.sandbox.pool import Sandbox
from mediary.storage.base import HasPath, Store, StoredFile
from mediary.storage.fetch import at_path, first_bytes
from mediary.storage.files import in_thread, opened, translated

LADDER = (160, 320, 640, 1280)
"""The widths that may be asked for."""
BOX = 400
"""The width and height that a thumbnail stays within when no width is asked for."""
SECONDS = 30.0
"""How long it may take to make one."""
MOST_WAITING = 256
"""Thumbnails that are being made or wait for their turn."""
MOST_FETCHED = 256 * 1024 * 1024
"""Bytes that are fetched of a source that is elsewhere: a whole picture, or the beginning of a sound or video."""

_FAILURES = 4096
_FAILED_FOR = 600.0
"""Seconds until a source that could not be read is tried again."""


class LocalFolder(Store, HasPath, Protocol):
    """A store in a folder of this machine."""

    @property
    def folder(self) -> Path:
        """That folder."""
        ...


@dataclass(slots=True, frozen=True)
class _Failure:
    """Why a source has no thumbnail, and until when that is believed."""

    error: type[UnsupportedTypeError]
    message: str
    until: float


class Thumbnails:
    """The thumbnails of the files in `store`, kept in `thumbnails`; of pictures with at most `max_pixels`."""

    def __init__(self, store: Store, thumbnails: LocalFolder, sandbox: Sandbox, max_pixels: int) -> None:
        self._store = store
        self._thumbnails = thumbnails
        self._sandbox = sandbox
        self._max_pixels = max_pixels
        self._making: dict[str, asyncio.Task[StoredFile]] = {}
        self._failures: OrderedDict[str, _Failure] = OrderedDict()

    async def get(self, name: str, width: int | None = None, *, webp: bool = True) -> StoredFile:
        """The thumbnail of a file, as a file of the store of the thumbnails; made now if there is none yet.

        At most `width` pixels wide, one of `LADDER`, and four times as high; within 400 by 400 without one. WebP or
        JPEG. Where there is no such file, a file of that name among the thumbnails will do. NotFoundError if there is
        neither; UnsupportedTypeError or UnreadableError if nothing can be seen of it; BusyError if too many wait.
        """
        try:
            source = await self._store.get(name)
        except NotFoundError:
            return await self._thumbnails.get(name)
        thumbnail = thumbnail_name(source.etag, width, webp=webp)
        try:
            return await self._thumbnails.get(thumbnail)
        except NotFoundError:
            return await self._made(source, thumbnail, width, webp)

    async def name_of(self, name: str, width: int | None = None, *, webp: bool = True) -> str:
        """The name of what `get` would give, whether it is made yet or not: for who wants to look for himself first."""
        try:
            source = await self._store.get(name)
        except NotFoundError:
            return (await self._thumbnails.get(name)).name
        return thumbnail_name(source.etag, width, webp=webp)

    async def close(self) -> None:
        """End what is being made."""
        making = tuple(self._making.values())
        for task in making:
            task.cancel()
        await asyncio.gather(*making, return_exceptions=True)

    async def _made(self, source: StoredFile, thumbnail: str, width: int | None, webp: bool) -> StoredFile:
        """Make it, once for all who ask meanwhile: who stops waiting does not stop the others."""
        task = self._making.get(thumbnail)
        if task is None:
            self._raise_failure(source)
            if len(self._making) >= MOST_WAITING:
                raise BusyError(f"{MOST_WAITING} thumbnails wait to be made; ask again in a moment")
            task = asyncio.create_task(self._make(source, thumbnail, width, webp))
            self._making[thumbnail] = task
            task.add_done_callback(partial(self._finished, thumbnail))
        return await asyncio.shield(task)

    def _finished(self, thumbnail: str, task: asyncio.Task[StoredFile]) -> None:
        del self._making[thumbnail]
        if not task.cancelled():
            task.exception()  # looked at: perhaps nobody waits any more

    async def _make(self, source: StoredFile, thumbnail: str, width: int | None, webp: bool) -> StoredFile:
        try:
            data = await self._render(source, width, webp)
        except UnsupportedTypeError as error:
            self._remember_failure(source, error)
            raise
        async with self._thumbnails.stage() as staged:
            await staged.write(data)
            stored = await staged.commit(thumbnail)
        if stored.name != thumbnail:  # another process was faster
            await self._thumbnails.delete(stored.name)
            stored = await self._thumbnails.get(thumbnail)
        return stored

    async def _render(self, source: StoredFile, width: int | None, webp: bool) -> bytes:
        kind = self._check(source, await self._head(source))
        async with at_path(self._store, source.name, self._thumbnails.folder, min(source.size, MOST_FETCHED)) as path:
            data: bytes = await self._sandbox.run(
                "mediary.media.decoding.render:thumbnail",
                str(path),
                kind,
                width,
                webp,
                self._max_pixels,
                seconds=SECONDS,
            )
        return data

    def _check(self, source: StoredFile, head: bytes) -> Kind:
        """The kind of a file by its first bytes; what claims too much is refused before any child is troubled."""
        kind = require_format(head).kind
        if size := dimensions(head):
            require_pixels(*size, self._max_pixels)
        if kind == "image" and source.size > MOST_FETCHED and not isinstance(self._store, HasPath):
            raise UnreadableError(
                f"this picture has {source.size:,} bytes; {MOST_FETCHED:,} are the most that are fetched"
            )
        return kind

    async def _head(self, source: StoredFile) -> bytes:
        if isinstance(self._store, HasPath):
            return await in_thread(partial(_read_head, self._store.path(source.name)))
        return await first_bytes(self._store, source.name, PROBE_BYTES)

    def _raise_failure(self, source: StoredFile) -> None:
        """Say again what was wrong with a source, if it was tried a short while ago."""
        failure = self._failures.get(source.etag)
        if failure and asyncio.get_running_loop().time() < failure.until:
            raise failure.error(failure.message)

    def _remember_failure(self, source: StoredFile, error: UnsupportedTypeError) -> None:
        now = asyncio.get_running_loop().time()
        self._failures[source.etag] = _Failure(type(error), error.message, now + _FAILED_FOR)
        self._failures.move_to_end(source.etag)
        if len(self._failures) > _FAILURES:
            self._failures.popitem(last=False)


def thumbnail_name(etag: str, width: int | None, *, webp: bool) -> str:
    """The name of a thumbnail, by the ETag of its source; BadRequestError for a width that is not of the ladder."""
    if width is not None and width not in LADDER:
        raise BadRequestError(f"w is one of {', '.join(map(str, LADDER))}")
    return f"{source_key(etag)}-{width or BOX}.{'webp' if webp else 'jpg'}"


def source_key(etag: str) -> str:
    """What the names of all thumbnails of one source begin with."""
    return hashlib.sha256(etag.encode()).hexdigest()[:16]


def _read_head(path: Path) -> bytes:
    with translated("the media store", path.name), opened(path, os.O_RDONLY) as descriptor:
        return os.pread(descriptor, PROBE_BYTES, 0)
