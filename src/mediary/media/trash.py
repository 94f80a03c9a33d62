"""The trash: what was deleted lies in a sibling store for some days, and comes back whole or goes for good.

Each step leaves a state from which the next look goes on. First the row says that the item is in the trash, so nobody
finds it any more; then the file gets its name there; then it loses its name in the library. Whoever is killed in
between leaves a file in the library whose row is in the trash: `reclaim` takes that row out again.
"""

import logging
import time
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mediary.errors import NoSpaceError, NotFoundError, StoreError
from mediary.media.dedupe import unchanged
from mediary.media.item import ItemFilter, MediaItem
from mediary.storage.base import HasWaitingRoom, SharesBytes, Store

if TYPE_CHECKING:
    from mediary.media.catalog import Catalog

logger = logging.getLogger(__name__)

TRASH = ".trash"
"""The folder of the trash, in the folder of the media."""
DELETING_SECONDS = 60.0
"""How long a deletion may be under way; before that nobody else judges the state it left."""
BATCH = 500


def trash_name(item: MediaItem) -> str:
    """The name of an item's file in the trash: no two items share one, even if they had the same name."""
    return f"{item.id}{PurePosixPath(item.name).suffix}"


async def throw_away(store: Store, trash: Store | None, catalog: "Catalog", name: str) -> None:
    """Delete an item, into the trash if there is one; NotFoundError if there is no such item, or somebody else did."""
    item = await catalog.trash(name)
    try:
        if trash is not None:
            await _move_in(store, trash, item)
        await store.delete(name)
    except NotFoundError:  # the file was gone already
        if trash is not None:
            with suppress(NotFoundError):
                await trash.get(trash_name(item))
                return
        if not isinstance(store, HasWaitingRoom):  # or it waits on another node, and what is known of it comes back
            await catalog.forget(item)
    except (StoreError, NoSpaceError):
        await catalog.restore(item, name)
        raise
    else:
        if trash is None:
            await catalog.forget(item)


async def _move_in(store: Store, trash: Store, item: MediaItem) -> None:
    if not isinstance(trash, SharesBytes):
        raise StoreError("this store cannot keep a trash")
    with suppress(NotFoundError):  # left by somebody who was killed while he restored this very item
        await trash.delete(trash_name(item))
    await trash.adopt(store, item.name, trash_name(item))


async def restore(store: Store, trash: Store, catalog: "Catalog", name: str) -> MediaItem:
    """Bring back the item that was deleted last under this name; NotFoundError if there is none in the trash."""
    item = await catalog.find_trashed(name)
    if item is None or not isinstance(store, SharesBytes):
        raise NotFoundError(f"there is no media item {name!r} in the trash")
    stored = await store.adopt(trash, trash_name(item), item.name)
    try:
        restored = await catalog.restore(item, stored.name)
    except NotFoundError:  # somebody else was first: a person, or the look at the folder
        if (found := await catalog.find(stored.name)) is None:
            await store.delete(stored.name)
            raise
        restored = found
    with suppress(NotFoundError):
        await trash.delete(trash_name(item))
    if not unchanged(restored, stored):
        restored = await catalog.update(restored.name, {"size": stored.size, "modified": stored.modified})
    return restored


async def purge(trash: Store, catalog: "Catalog", name: str) -> None:
    """Let go of what was deleted last under this name; NotFoundError if the trash does not have it."""
    item = await catalog.find_trashed(name)
    if item is None:
        raise NotFoundError(f"there is no media item {name!r} in the trash")
    await let_go(trash, catalog, item)


async def empty(trash: Store, catalog: "Catalog", before: float) -> int:
    """Let go of what was deleted before that time (Unix seconds); the number of items."""
    emptied = 0
    while items := await catalog.expired(before):
        for item in items:
            await let_go(trash, catalog, item)
        emptied += len(items)
    return emptied


async def let_go(trash: Store, catalog: "Catalog", item: MediaItem) -> None:
    """Remove an item of the trash for good, whether its file is there or not."""
    with suppress(NotFoundError):
        await trash.delete(trash_name(item))
    await catalog.forget(item)


async def reclaim(store: Store, catalog: "Catalog") -> int:
    """Take rows out of the trash whose files never left the library; the number of them."""
    reclaimed, cursor = 0, None
    while True:
        page = await catalog.list(ItemFilter(trashed=True), cursor=cursor, limit=BATCH)
        for item in page.items:
            if is_being_deleted(item):
                continue
            with suppress(NotFoundError):
                if unchanged(item, await store.get(item.name)):
                    await catalog.restore(item, item.name)
                    reclaimed += 1
        if (cursor := page.next) is None:
            return reclaimed


def is_being_deleted(item: MediaItem) -> bool:
    """Whether the deletion of this item began so lately that it may still be under way."""
    return item.trashed is not None and time.time() - item.trashed < DELETING_SECONDS
