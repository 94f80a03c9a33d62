"""Collects the garbage of a library: what no item needs, each thing with the reason why it goes."""

import math
import re
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Literal

from mediary.errors import NotFoundError
from mediary.media.library import MediaLibrary
from mediary.media.thumbnails import source_key
from mediary.media.trash import let_go, trash_name
from mediary.media.walk import exists, files_of, names_of, side_by_side
from mediary.storage.base import HasWaitingRoom, HoldsLeftovers, HoldsObjects, Store, StoredFile

if TYPE_CHECKING:
    from mediary.media.catalog import Catalog

GRACE_SECONDS = 24 * 3600
"""An object without a name may be an upload on its way, for as long as this."""

_DAY = 24 * 3600

# What `thumbnails` made; other files in its folder are somebody's own.
_THUMBNAIL = re.compile(r"([0-9a-f]{16})-[0-9]+\.(?:webp|jpg)")

What = Literal["trash", "thumbnail", "row", "object", "leftover"]


@dataclass(slots=True, frozen=True)
class Doomed:
    """What goes, or would: its name, why, and its size in bytes, 0 for a mere row."""

    what: What
    name: str
    why: str
    size: int


Removal = Callable[[], Awaitable[object]]
Finds = AsyncGenerator[tuple[Doomed, Removal], None]


async def collect(library: MediaLibrary, *, trash_days: float, dry_run: bool = False) -> list[Doomed]:
    """Remove what no item needs, and tell what it was; with `dry_run`, only tell.

    `trash_days` is how long deleted items are kept. StoreError if the store cannot be reached.
    """
    catalog = await library.catalog()
    await library.store.check()
    gone = []
    for finds in (
        _old_trash(library.trash, catalog, time.time() - trash_days * _DAY),
        _thumbnails(library),
        _rows(library.store, catalog),
        _objects(library.store),
        _leftovers([library.store, library.thumbnails, *([library.trash] if library.trash else [])]),
    ):
        async with aclosing(finds):
            async for doomed, remove in finds:
                if not dry_run:
                    with suppress(NotFoundError):  # somebody was faster
                        await remove()
                gone.append(doomed)
    return gone


async def _old_trash(trash: Store | None, catalog: "Catalog", before: float) -> Finds:
    """Items that were deleted before that time, and files in the trash that are as old and that no row knows."""
    if trash is None:
        return
    known = {trash_name(item): item for item in await catalog.expired(math.inf)}
    for item in known.values():
        if (trashed := item.trashed or 0) < before:
            why = f"deleted on {datetime.fromtimestamp(trashed, UTC):%Y-%m-%d}"
            yield Doomed("trash", item.name, why, item.size), partial(let_go, trash, catalog, item)
    async for file in files_of(trash):
        if file.name not in known and file.modified < before:
            why = "deleted, and no row knows what it was"
            yield Doomed("trash", file.name, why, file.size), partial(trash.delete, file.name)


async def _thumbnails(library: MediaLibrary) -> Finds:
    """Thumbnails of files that are gone. They come first: one that is made meanwhile is not meant."""
    thumbnails: dict[str, list[StoredFile]] = defaultdict(list)
    async for file in files_of(library.thumbnails):
        if made := _THUMBNAIL.fullmatch(file.name):
            thumbnails[made[1]].append(file)
    if thumbnails:
        async for file in files_of(library.store):
            thumbnails.pop(source_key(file.etag), None)
    for file in chain.from_iterable(thumbnails.values()):
        yield (
            Doomed("thumbnail", file.name, "its picture is gone", file.size),
            partial(library.thumbnails.delete, file.name),
        )


async def _rows(store: Store, catalog: "Catalog") -> Finds:
    """Rows without a file. Where there is no file at all, a disk is not mounted rather than everything deleted."""
    if isinstance(store, HasWaitingRoom):  # the file may wait in the folder of another node
        return
    gone, any_file = [], False
    async with aclosing(side_by_side(names_of(catalog), files_of(store))) as pairs:
        async for name, file in pairs:
            any_file = any_file or file is not None
            if file is None and name is not None:
                gone.append(name)
    for name in gone if any_file else ():
        if not await exists(store, name):  # it may have come since
            yield Doomed("row", name, "its file is gone", 0), partial(catalog.remove, name)


async def _objects(store: Store) -> Finds:
    """Objects that no name leads to, but for those that may be on their way in."""
    if isinstance(store, HoldsObjects):
        before = time.time() - GRACE_SECONDS
        async for held in store.objects():
            if not held.named and held.modified < before:
                yield (
                    Doomed("object", held.key, "no name leads to it", held.size),
                    partial(store.remove_object, held.key),
                )


async def _leftovers(stores: Sequence[Store]) -> Finds:
    """What killed processes left half-written."""
    for store in stores:
        if isinstance(store, HoldsLeftovers):
            for file in await store.leftovers():
                yield Doomed("leftover", file.name, "its writer is gone", file.size), store.recover
