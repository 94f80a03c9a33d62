"""An object store with a waiting room: what it cannot take now is kept in a folder, and carried over later."""

import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from typing import Protocol, TypeGuard

from mediary.errors import DatabaseError, NoSpaceError, NotFoundError, StoreError
from mediary.names import numbered
from mediary.storage.base import (
    HasPath,
    HoldsLeftovers,
    HoldsObjects,
    KnowsDigests,
    Page,
    SharesBytes,
    SignsLinks,
    Store,
    StoredFile,
    StoredObject,
    checked_name,
)
from mediary.storage.spool import Spool, StagedSpool

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 15.0


class Cloud(Store, KnowsDigests, HoldsObjects, Protocol):
    """The object store."""

    async def adopt(self, other: Store, name: str, new: str, taken: Callable[[str], bool]) -> StoredFile:
        """As in SharesBytes; `taken` says which names are in use elsewhere."""
        ...

    async def upload(self, spool: Spool, name: str, sha256: str | None, taken: Callable[[str], bool]) -> StoredFile:
        """Store what was spooled; if that fails the spool is whole."""
        ...


class SigningCloud(Cloud, SignsLinks, Protocol):
    """An object store that can sign links."""


class Folder(Store, SharesBytes, HasPath, HoldsLeftovers, Protocol):
    """The waiting room."""

    def stage(self) -> AbstractAsyncContextManager[StagedSpool]:
        """Begin a file that may go elsewhere in the end."""
        ...


class Overlay:
    """The files of an object store (`settled`), then those of a folder (`waiting`).

    What is stored goes to the object store, and into the folder under the same name if that fails; somebody else
    carries over what waits. A file that lies on both sides is that of the object store. After a failure nothing is sent
    for `pause` seconds: nobody shall wait for a store that was away a moment ago. A database that is away, and with it
    all names of the object store, is as bad, and treated the same.
    """

    def __init__(self, settled: Cloud, waiting: Folder, pause: float = PAUSE_SECONDS) -> None:
        self.settled = settled
        self.waiting = waiting
        self._pause = pause
        self._away_until = 0.0

    @asynccontextmanager
    async def stage(self) -> AsyncIterator["OverlayStaged"]:
        """Begin a file; leaving the block without `commit` leaves nothing behind."""
        async with self.waiting.stage() as spool:
            yield OverlayStaged(self, spool)

    async def get(self, name: str) -> StoredFile:
        """What is known of a file; NotFoundError if there is none."""
        for side in self._sides()[:-1]:
            with suppress(NotFoundError, DatabaseError):
                return await side.get(name)
        return await self.settled.get(name)

    async def digest(self, name: str) -> str | None:
        """The SHA-256 that a file's bytes had when they came in, None if it still waits."""
        with suppress(NotFoundError):
            return await self.settled.digest(name)
        await self.get(name)
        return None

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end` (exclusive), in pieces; NotFoundError if there is no such file."""
        *sides, last = self._sides()
        for side in sides:
            with suppress(NotFoundError, DatabaseError):
                async with aclosing(side.read(name, start, end)) as pieces:
                    async for piece in pieces:
                        start += len(piece)
                        yield piece
                return
        async with aclosing(last.read(name, start, end)) as pieces:
            async for piece in pieces:
                yield piece

    async def list(self, after: str | None = None, limit: int = 1000) -> Page:
        """Files in the order of their names, from a cursor on."""
        settled, waiting = await self.settled.list(after, limit), await self.waiting.list(after, limit)
        by_name = {file.name: file for file in (*waiting.files, *settled.files)}
        # A side that has more to come says nothing about what lies behind its page.
        ends = [page.next for page in (settled, waiting) if page.next is not None]
        names = sorted(name for name in by_name if not ends or name <= min(ends))
        page = tuple(by_name[name] for name in names[:limit])
        return Page(page, page[-1].name if len(names) > limit else min(ends, default=None))

    async def adopt(self, other: Store, name: str, new: str) -> StoredFile:
        """Give a file of another overlay of the same places one more name here; a taken one gets `-2`, `-3` …"""
        if not isinstance(other, Overlay):
            raise StoreError("A store with a waiting room takes over from its like alone")
        checked_name(new)
        with suppress(NotFoundError):
            return await self.settled.adopt(other.settled, name, new, self.waits)
        with suppress(NotFoundError):
            return await self.waiting.adopt(other.waiting, name, await self.free_name(new))
        return await self.settled.adopt(other.settled, name, new, self.waits)

    async def delete(self, name: str) -> None:
        """Remove a file; NotFoundError if there is none."""
        removed = 0
        for side in (self.waiting, self.settled):  # the way it is carried, so that it cannot slip by
            with suppress(NotFoundError):
                await side.delete(name)
                removed += 1
        if not removed:
            raise NotFoundError(f"There is no file {checked_name(name)!r}")

    async def recover(self) -> int:
        """Remove what a killed process left half-written; the number of such files."""
        return await self.waiting.recover()

    async def leftovers(self) -> tuple[StoredFile, ...]:
        """What `recover` would remove now."""
        return await self.waiting.leftovers()

    async def check(self) -> None:
        """Raise StoreError if the folder or the object store cannot be reached, read and written."""
        await self.waiting.check()
        await self.settled.check()

    def objects(self) -> AsyncGenerator[StoredObject, None]:
        """Everything that lies in the object store."""
        return self.settled.objects()

    async def remove_object(self, key: str) -> None:
        """Remove an object, unless a name leads to it; gone already is as good."""
        await self.settled.remove_object(key)

    async def settle(self, spool: Spool, name: str, sha256: str | None) -> StoredFile | None:
        """Send what was spooled to the object store; None if that is away, or the database of its names."""
        if time.monotonic() < self._away_until:
            return None
        try:
            return await self.settled.upload(spool, name, sha256, self.waits)
        except (StoreError, NoSpaceError, DatabaseError) as error:
            spool.require_unfinished()  # or it was the spool's disk
            self._away_until = time.monotonic() + self._pause
            logger.warning("%s: what comes in waits in the media folder", error)
            return None

    def waits(self, name: str) -> bool:
        """Whether anything of that name lies in the folder."""
        return os.path.lexists(self.waiting.path(name))

    async def free_name(self, name: str) -> str:
        """The name, or the first numbered one that is free on both sides."""
        candidate, number = name, 1
        while self.waits(candidate) or await self._is_settled(candidate):
            number += 1
            candidate = numbered(name, number)
        return candidate

    async def _is_settled(self, name: str) -> bool:
        with suppress(NotFoundError, DatabaseError):  # who carries it over finds out, then
            await self.settled.get(name)
            return True
        return False

    def _sides(self) -> tuple[Store, Store, Store]:
        """Where a file may lie; the first comes last, too, since a file may be carried over meanwhile."""
        return self.settled, self.waiting, self.settled


class SigningOverlay(Overlay):
    """The same where the object store can sign links."""

    def __init__(self, settled: SigningCloud, waiting: Folder, pause: float = PAUSE_SECONDS) -> None:
        super().__init__(settled, waiting, pause)
        self._signing = settled

    async def sign(self, name: str, seconds: int) -> str:
        """A link to a file, good for that many seconds; NotFoundError for what still waits, too."""
        return await self._signing.sign(name, seconds)


def lay_over(settled: Cloud, waiting: Folder, pause: float = PAUSE_SECONDS) -> Overlay:
    """An object store over its waiting room; it signs links if the object store does."""
    if _signs(settled):
        return SigningOverlay(settled, waiting, pause)
    return Overlay(settled, waiting, pause)


def _signs(settled: Cloud) -> TypeGuard[SigningCloud]:
    return isinstance(settled, SignsLinks)


class OverlayStaged:
    """Bytes on their way into an object store, or into the folder if that fails."""

    def __init__(self, overlay: Overlay, spool: StagedSpool) -> None:
        self._overlay = overlay
        self.spool = spool

    async def write(self, data: bytes) -> None:
        """Append bytes; NoSpaceError when the disk or the quota is full."""
        await self.spool.write(data)

    async def commit(self, name: str, sha256: str | None = None) -> StoredFile:
        """Make the bytes durable and give them a name; one that is taken on either side gets `-2`, `-3` …"""
        self.spool.require_unfinished()
        settled = await self._overlay.settle(self.spool, checked_name(name), sha256)
        if settled is None:
            return await self.spool.commit(await self._overlay.free_name(name), sha256)
        await self.spool.close()
        return settled
