"""Same bytes, one copy: what arrives a second time becomes a second name of what is here."""

from contextlib import aclosing
from dataclasses import replace

from mediary.errors import DatabaseError, NoSpaceError, NotFoundError, StoreError
from mediary.media.item import NAMED, MediaItem
from mediary.storage.base import HasPath, SharesBytes, Store, StoredFile

TOLD_BY_BYTES = ("width", "height", "duration", "thumbhash", "colour", "phash", "c2pa", "generator", "problem")
"""What two items with the same bytes have in common besides size, digest and type."""


async def share(store: Store, twin: MediaItem, name: str) -> StoredFile | None:
    """Give the file of an item one more name; None if the file cannot have it, or is not what was hashed any more."""
    if not isinstance(store, SharesBytes):
        return None
    try:
        if not unchanged(twin, await store.get(twin.name)) or not await _has_bytes(store, twin):
            return None
        shared = await store.adopt(store, twin.name, name)
        same = shared.size == twin.size
        if not same:  # it was replaced between the two steps
            await store.delete(shared.name)
    except (NotFoundError, StoreError, NoSpaceError, DatabaseError):
        return None  # the caller has a copy of its own
    return shared if same else None


async def _has_bytes(store: Store, item: MediaItem) -> bool:
    """Whether a file that an object store has a name for is there, too: somebody may have taken the object away."""
    if not isinstance(store, HasPath) and item.size:
        async with aclosing(store.read(item.name, 0, 1)) as pieces:
            return await anext(pieces, b"") != b""
    return True


def unchanged(item: MediaItem, file: StoredFile) -> bool:
    """Whether a file is still the one that its row describes, as far as size and time tell."""
    return (item.size, item.modified) == (file.size, file.modified)


def with_facts_of(twin: MediaItem, item: MediaItem) -> MediaItem:
    """An item that knows what the bytes told of its twin; what was said of either stays its own.

    Without a prompt of its own its headers are read once more: they may hold one, and the twin's need not be that.
    """
    told = {field: getattr(twin, field) for field in TOLD_BY_BYTES}
    return replace(item, **told, read=twin.read if item.prompt else NAMED)
