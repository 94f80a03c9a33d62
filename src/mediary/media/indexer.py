"""Reads what the bytes of the items tell, a batch at a time, and writes it into their rows."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mediary.errors import NotFoundError
from mediary.media.dedupe import TOLD_BY_BYTES, unchanged
from mediary.media.folder import find_files
from mediary.media.item import HEADERS, WHOLE, Changes, MediaItem
from mediary.media.reader import Reader, instead, unsaid
from mediary.media.sync import is_lost, replaced_by
from mediary.storage.base import HasPath, Store, StoredFile
from mediary.storage.fetch import at_path
from mediary.tasks import all_of

if TYPE_CHECKING:
    from mediary.media.catalog import Catalog

_Read = Callable[[Sequence[MediaItem]], Awaitable[list[Changes]]]

HEADERS_AT_ONCE = 256
PICTURES_AT_ONCE = 8
MISSED_SECONDS = 20.0
"""How long a file must be missed until its row goes."""
REST_SECONDS = 2.0
"""How long a file that somebody put there must have been left alone: he may still be writing it."""


@dataclass(slots=True, frozen=True)
class Progress:
    """What one batch came to: items that are done with, and those that are left for later."""

    done: int = 0
    postponed: int = 0


class Indexer:
    """Reads the items of a catalog whose files lie in `store`; what lies elsewhere is fetched into `folder` to be read.

    Of local files all headers are read before the first picture is decoded, for headers are what people search by.
    """

    def __init__(self, store: Store, reader: Reader, folder: Path) -> None:
        self._store = store
        self._reader = reader
        self._folder = folder
        self._missed: dict[str, float] = {}

    async def step(self, catalog: "Catalog") -> Progress:
        """Read one batch, the newest first. What cannot be read gets its `problem` written down, and is done."""
        if isinstance(self._store, HasPath) and (items := await catalog.unread(HEADERS, HEADERS_AT_ONCE)):
            return await self._read(catalog, items, self._read_headers)
        items = await catalog.unread(WHOLE, PICTURES_AT_ONCE)
        return await self._read(catalog, items, self._read_whole)

    async def read_now(self, catalog: "Catalog", item: MediaItem) -> None:
        """Read an item that just came; of a local file only what its headers tell."""
        await self._read(catalog, [item], self._read_headers if isinstance(self._store, HasPath) else self._read_whole)

    async def _read(self, catalog: "Catalog", items: Sequence[MediaItem], read: _Read) -> Progress:
        """Read those of the items that lie there and rest; those that do not lie anywhere any more lose their row.

        Where none of them is there, a disk may not be mounted: that is for the look at the folder to find out.
        """
        names = [item.name for item in items]
        files = {file.name: file for file in await find_files(self._store, names)}
        if not files:
            return Progress(postponed=len(items))
        gone = self._gone([name for name in names if name not in files])
        if gone and not await is_lost(self._store, catalog):
            gone = []
        await catalog.remove_many(gone)
        ready = [item for item in items if item.name in files and not _is_young(item, files[item.name])]
        changes = {
            item.name: _merged(item, files[item.name], told)
            for item, told in zip(ready, await read(ready), strict=True)
        }
        for file in await find_files(self._store, list(changes)):
            if file != files[file.name]:  # it was replaced under our hands
                del changes[file.name]
        await catalog.update_many(changes)
        return Progress(len(changes) + len(gone), len(items) - len(changes) - len(gone))

    def _gone(self, missed: Sequence[str]) -> list[str]:
        """Those of the missed that were missed for a while: the look at the folder may find them renamed."""
        if not isinstance(self._store, HasPath):
            return [*missed]
        now = time.monotonic()
        self._missed = {name: self._missed.get(name, now) for name in missed}
        return [name for name, since in self._missed.items() if now - since >= MISSED_SECONDS]

    async def _read_headers(self, items: Sequence[MediaItem]) -> list[Changes]:
        store = self._store
        assert isinstance(store, HasPath)
        return await self._reader.facts([store.path(item.name).absolute() for item in items])

    async def _read_whole(self, items: Sequence[MediaItem]) -> list[Changes]:
        return await all_of(map(self._read_one, items))

    async def _read_one(self, item: MediaItem) -> Changes:
        told: Changes = {}
        try:
            async with at_path(self._store, item.name, self._folder) as path:
                if item.read < HEADERS:
                    [told] = await self._reader.facts([path])
                if "problem" in told:
                    return told
                return {**told, **await self._reader.whole(path, item.size)}
        except NotFoundError as error:  # deleted meanwhile, or its object is lost
            return {"problem": error.message}


def _is_young(item: MediaItem, file: StoredFile) -> bool:
    """Whether a file that did not come through the library may still be growing."""
    return item.sha256 is None and 0 <= time.time() - file.modified < REST_SECONDS


def _merged(item: MediaItem, file: StoredFile, told: Changes) -> Changes:
    """What changes in a row by what its file's bytes tell."""
    is_other = not unchanged(item, file)
    if is_other and item.read >= HEADERS:  # what its headers told was told of other bytes
        return replaced_by(file)
    changes = instead(item, told) if _was_replaced(item) else unsaid(item, told)
    if is_other:
        return {"sha256": None, **changes, "size": file.size, "modified": file.modified}
    return changes


def _was_replaced(item: MediaItem) -> bool:
    """Whether a row that is to be read from the start still says what other bytes told."""
    return (
        item.read < HEADERS and item.sha256 is None and any(getattr(item, told) is not None for told in TOLD_BY_BYTES)
    )
