"""Moves a library from one store to another while it is served.

A move is written down in the catalog's state under `moving_to`, with the target as the setting `media.store` names it.
From then on nothing is carried out of the waiting room, which may be the very target of the move, until the server
starts with that store (`arrived`) or the move is given up (`abandon`).
"""

import math
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from mediary.errors import ConflictError, NotFoundError, StoreError
from mediary.formats import is_allowed_extension
from mediary.media.item import MediaItem
from mediary.media.library import MediaLibrary
from mediary.media.sync import MOVING_TO
from mediary.media.transfer import Transfer
from mediary.media.trash import trash_name
from mediary.media.walk import Finding, Progress, exists, files_of, for_each, side_by_side
from mediary.storage.base import HasPath, HasWaitingRoom, Store, StoredFile
from mediary.storage.files import in_thread

if TYPE_CHECKING:
    from mediary.media.catalog import Catalog

# Later passes bring what came during those before; a busy server must not keep a move from ending.
_PASSES = 10

Find = Callable[[str], Awaitable[MediaItem | None]]


@dataclass(slots=True, frozen=True, kw_only=True)
class Moved:
    """What a move did: files `copied` with `bytes` in all, `skipped` since they were there, `removed` from the source.

    `problems` are files that stayed behind, each with the reason.
    """

    copied: int
    skipped: int
    bytes: int
    removed: int
    problems: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is in the target."""
        return not self.problems


async def move(
    library: MediaLibrary,
    target: Store,
    trash: Store,
    *,
    to: str,
    remove_source: bool = False,
    progress: Progress | None = None,
) -> Moved:
    """Copy all files of the library to `target` and of its trash to `trash`, each under its name, each read back.

    `to` is the target as the setting names it. What is there already is skipped, so that a move which was cut off goes
    on where it was. The server may run: what comes meanwhile is brought by further passes. With `remove_source`, what
    is in the target leaves the source at the end. StoreError if one of the stores cannot be reached: move again later.
    """
    catalog = await library.catalog()
    target, trash = settled(target), settled(trash)
    shelves = [_Shelf(settled(library.store), target, catalog.find, is_media=True)]
    if library.trash is not None:
        trashed = {trash_name(item): item for item in await catalog.expired(math.inf)}
        shelves.append(_Shelf(settled(library.trash), trash, _finder(trashed), is_media=False))
    for shelf in shelves:
        await shelf.source.check()
        await shelf.target.check()
        await shelf.target.recover()
    await catalog.set_state(MOVING_TO, to)
    work = _Move(catalog, target, progress, await catalog.count(), thorough=remove_source)
    for shelf in shelves:
        await work.passes(shelf)
    if remove_source:
        for shelf in shelves:
            await work.remove(shelf)
    return work.moved()


async def abandon(library: MediaLibrary) -> None:
    """Forget a move that is not to be ended: the library stays where it is, what was copied stays there too."""
    await (await library.catalog()).set_state(MOVING_TO, None)


async def arrived(catalog: "Catalog", store: str) -> None:
    """The server runs with this store now: a move to it is over."""
    if await catalog.state(MOVING_TO) == store:
        await catalog.set_state(MOVING_TO, None)


def settled(store: Store) -> Store:
    """Where the files of a store are to stay: the object store behind a waiting room, else the store itself."""
    return store.settled if isinstance(store, HasWaitingRoom) else store


@dataclass(slots=True, frozen=True)
class _Shelf:
    """A store and where its files go; `find` tells what the catalog knows of a file of that name."""

    source: Store
    target: Store
    find: Find
    is_media: bool


@dataclass(slots=True)
class _Move:
    """A move under way."""

    catalog: "Catalog"
    shared: Store
    progress: Progress | None
    total: int
    thorough: bool
    copied: int = 0
    skipped: int = 0
    bytes: int = 0
    removed: int = 0
    problems: dict[str, str] = field(default_factory=dict)

    async def passes(self, shelf: _Shelf) -> None:
        """Bring everything, and then what came meanwhile, until a pass finds nothing."""
        transfer = Transfer(shelf.source, shelf.target, self.shared, self.catalog, thorough=self.thorough)
        for number in range(_PASSES):
            before = self.copied
            pairs = side_by_side(files_of(shelf.source), files_of(shelf.target))
            await for_each(pairs, partial(self._bring, shelf, transfer, number == 0))
            if self.copied == before:
                return

    async def remove(self, shelf: _Shelf) -> None:
        """Remove from the source what is in the target."""

        async def remove(pair: tuple[StoredFile | None, StoredFile | None]) -> None:
            here, there = pair
            if here and there and here.name not in self.problems:
                with suppress(NotFoundError):
                    await shelf.source.delete(here.name)
                    self.removed += 1

        await for_each(side_by_side(files_of(shelf.source), files_of(shelf.target)), remove)

    def moved(self) -> Moved:
        """What was done."""
        problems = tuple(Finding(name, why) for name, why in sorted(self.problems.items()))
        return Moved(
            copied=self.copied, skipped=self.skipped, bytes=self.bytes, removed=self.removed, problems=problems
        )

    async def _bring(
        self, shelf: _Shelf, transfer: Transfer, first: bool, pair: tuple[StoredFile | None, StoredFile | None]
    ) -> None:
        here, there = pair
        if here is None:
            if there is not None and shelf.is_media:
                await self._follow_deletion(shelf, there)
            return
        if here.name in self.problems or (there and not first and there.size == here.size):
            return  # known, or brought by an earlier pass
        item = await shelf.find(here.name)
        if item is None and not is_allowed_extension(here.name):
            return  # somebody's notes
        await self._try(shelf, transfer, here, item)

    async def _try(self, shelf: _Shelf, transfer: Transfer, file: StoredFile, item: MediaItem | None) -> None:
        try:
            sha256, is_new = await transfer.bring(file, item.sha256 if item else None)
        except NotFoundError:
            if await exists(shelf.source, file.name):  # or it was deleted meanwhile
                self.problems[file.name] = "there are no bytes for this item"
            return
        except ConflictError as error:
            self.problems[file.name] = error.message
            return
        except StoreError as error:
            await shelf.source.check()  # one of these raises if it is the store that fails, and not this one file
            await shelf.target.check()
            self.problems[file.name] = error.message
            return
        await _keep_time(shelf.target, file.name, item.modified if item else file.modified)
        if is_new:
            self.copied, self.bytes = self.copied + 1, self.bytes + file.size
        else:
            self.skipped += 1
        if item and item.sha256 is None and shelf.is_media:
            await self.catalog.update_many({file.name: {"sha256": sha256}})
        if self.progress:
            self.progress(self.copied + self.skipped, self.total, self.bytes)

    async def _follow_deletion(self, shelf: _Shelf, file: StoredFile) -> None:
        """Delete in the target what was brought there and then deleted by somebody, so that it does not come back."""
        deleted = await self.catalog.find_trashed(file.name)
        if deleted is None or deleted.size != file.size or await shelf.find(file.name):
            return
        if not await exists(shelf.source, file.name):
            with suppress(NotFoundError):
                await shelf.target.delete(file.name)


def _finder(items: Mapping[str, MediaItem]) -> Find:
    async def find(name: str) -> MediaItem | None:
        return items.get(name)

    return find


async def _keep_time(store: Store, name: str, modified: float) -> None:
    """Give a file in a folder the time that its row knows, so that it still is the file that was looked at."""
    if isinstance(store, HasPath):
        seconds = int(modified)
        nanoseconds = seconds * 10**9 + round((modified - seconds) * 1e9)  # one product would lose the last digits
        path = store.path(name)
        with suppress(FileNotFoundError):
            await in_thread(lambda: os.utime(path, ns=(nanoseconds, nanoseconds)))
