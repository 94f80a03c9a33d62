"""Reads every byte of the library, and says what is missing, altered or orphaned; nothing is repaired."""

import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mediary.errors import NotFoundError, StoreError
from mediary.formats import is_allowed_extension
from mediary.media.collect import GRACE_SECONDS
from mediary.media.digests import Digest, digest_of, recorded_digest
from mediary.media.item import Changes, MediaItem
from mediary.media.library import MediaLibrary
from mediary.media.trash import trash_name
from mediary.media.walk import (
    Finding,
    Progress,
    exists,
    files_of,
    for_each,
    items_of,
    side_by_side,
)
from mediary.storage.base import HoldsObjects, Store, StoredFile

if TYPE_CHECKING:
    from mediary.media.catalog import Catalog

_FILLED_AT_ONCE = 200


@dataclass(slots=True, frozen=True, kw_only=True)
class Report:
    """What a look at every byte found: `checked` files with `bytes` in all.

    `missing`: an item without its bytes. `altered`: other bytes than came in. `unreadable`: the disk fails at them.
    `orphaned`: a media file or an object that no item knows. `filled` counts digests that were not known before.
    """

    checked: int
    bytes: int
    filled: int
    missing: tuple[Finding, ...]
    altered: tuple[Finding, ...]
    unreadable: tuple[Finding, ...]
    orphaned: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether every item has its bytes, and nothing lies there that is no item."""
        return not (self.missing or self.altered or self.unreadable or self.orphaned)


async def verify(library: MediaLibrary, progress: Progress | None = None) -> Report:
    """Read all files of the library and its trash, several at once, at constant memory.

    Nothing is changed, but that a digest which was not known yet is written into the catalog. StoreError if the store
    cannot be reached.
    """
    catalog = await library.catalog()
    trashed = {trash_name(item): item for item in await catalog.expired(math.inf)}
    check = _Check(catalog, progress, await catalog.count() + len(trashed))
    await check.shelf(_Shelf(library.store, _live(catalog), catalog.find))
    if library.trash is not None:

        async def find(name: str) -> MediaItem | None:
            item = trashed.get(name)
            return item and await catalog.find_trashed(item.name)

        await check.shelf(_Shelf(library.trash, _sorted(trashed), find, " (in the trash)"))
    await check.fill()
    if isinstance(library.store, HoldsObjects):
        await check.objects(library.store)
    return check.report()


@dataclass(slots=True, frozen=True)
class _Expected:
    """A file that should be there, and the row that says so."""

    name: str
    item: MediaItem


@dataclass(slots=True, frozen=True)
class _Shelf:
    """A store with the files that should be in it, in order, and what the catalog knows of one of them now."""

    store: Store
    expected: AsyncGenerator[_Expected, None]
    find: Callable[[str], Awaitable[MediaItem | None]]
    where: str = ""


@dataclass(slots=True)
class _Check:
    """A verification under way; the digests that are to be written down are gathered in `digests`."""

    catalog: "Catalog"
    progress: Progress | None
    total: int
    checked: int = 0
    bytes: int = 0
    filled: int = 0
    digests: dict[str, Changes] = field(default_factory=dict)
    missing: list[Finding] = field(default_factory=list)
    altered: list[Finding] = field(default_factory=list)
    unreadable: list[Finding] = field(default_factory=list)
    orphaned: list[Finding] = field(default_factory=list)

    async def shelf(self, shelf: _Shelf) -> None:
        """Read every file that should be there, and find those that should not."""
        unknown: list[str] = []

        async def look(pair: tuple[_Expected | None, StoredFile | None]) -> None:
            expected, file = pair
            if expected is not None:
                await self._file(shelf, expected)
            elif file is not None and is_allowed_extension(file.name):
                unknown.append(file.name)

        await for_each(side_by_side(shelf.expected, files_of(shelf.store)), look)
        for name in unknown:
            # It may have got its row since, or be gone: the server works on.
            if await shelf.find(name) is None and await exists(shelf.store, name):
                self.orphaned.append(Finding(name, f"the catalog knows no such file{shelf.where}"))

    async def objects(self, store: HoldsObjects) -> None:
        """Find the objects without a name, but for those that may be on their way in."""
        young = time.time() - GRACE_SECONDS
        async for held in store.objects():
            if not held.named and held.modified < young:
                self.orphaned.append(Finding(held.key, "no name leads to this object"))

    async def fill(self) -> None:
        """Write down the digests that were not known."""
        digests, self.digests = self.digests, {}
        await self.catalog.update_many(digests)
        self.filled += len(digests)

    async def _file(self, shelf: _Shelf, expected: _Expected) -> None:
        name, shown, found = expected.name, expected.item.name, None
        try:
            recorded = await recorded_digest(shelf.store, name)
            found = await digest_of(shelf.store, name)
        except StoreError as error:
            await shelf.store.check()  # raises if it is the store that fails, and not this one file
            self.unreadable.append(Finding(shown, f"{error.message}{shelf.where}"))
        except NotFoundError:
            if await shelf.find(name):  # or it was deleted meanwhile
                self.missing.append(Finding(shown, f"there are no bytes for this item{shelf.where}"))
        else:
            await self._compare(shelf, expected, found, recorded)
        self.checked += 1
        self.bytes += found.size if found else 0
        if self.progress:
            self.progress(self.checked, self.total, self.bytes)

    async def _compare(self, shelf: _Shelf, expected: _Expected, found: Digest, recorded: str | None) -> None:
        if _difference(expected.item, found, recorded):
            item = await shelf.find(expected.name)  # as it is now: the server works on
            if item and (why := _difference(item, found, recorded)):
                self.altered.append(Finding(item.name, f"{why}{shelf.where}"))
        elif expected.item.sha256 is None and expected.item.trashed is None:
            self.digests[expected.name] = {"sha256": found.sha256}
            if len(self.digests) == _FILLED_AT_ONCE:
                await self.fill()

    def report(self) -> Report:
        """What was found, by name."""
        return Report(
            checked=self.checked,
            bytes=self.bytes,
            filled=self.filled,
            missing=tuple(sorted(self.missing)),
            altered=tuple(sorted(self.altered)),
            unreadable=tuple(sorted(self.unreadable)),
            orphaned=tuple(sorted(self.orphaned)),
        )


def _difference(item: MediaItem, found: Digest, recorded: str | None) -> str | None:
    """How the bytes of a file differ from what is known of them."""
    if found.size != item.size:
        return f"it has {found.size} bytes, and should have {item.size}"
    if {item.sha256, recorded} - {None, found.sha256}:
        return "its bytes are not those that came in"
    return None


async def _live(catalog: "Catalog") -> AsyncGenerator[_Expected, None]:
    async for item in items_of(catalog):
        yield _Expected(item.name, item)


async def _sorted(items: Mapping[str, MediaItem]) -> AsyncGenerator[_Expected, None]:
    for name in sorted(items):
        yield _Expected(name, items[name])
