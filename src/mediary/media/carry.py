"""Carries what waits in the media folder to the object store that could not take it."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mediary.errors import ConflictError, NotFoundError, StoreError
from mediary.media.item import MediaItem
from mediary.media.library import MediaLibrary
from mediary.media.sync import MOVING_TO
from mediary.media.transfer import Transfer
from mediary.media.walk import files_of, for_each
from mediary.storage.base import HasWaitingRoom, Store, StoredFile

if TYPE_CHECKING:
    from mediary.media.catalog import Catalog

logger = logging.getLogger(__name__)

QUIET_SECONDS = 5.0
"""How long a file in the waiting room must have been left alone: somebody may still be copying it there."""

Find = Callable[[str], Awaitable[MediaItem | None]] | None


async def carry(library: MediaLibrary) -> int:
    """Carry what waits in the folder to the object store, and remove it there once it was read back; how many files.

    A file goes when it has a row, which it gets now if need be, and nobody touched it for some seconds. Nothing goes
    while a move is under way. It may be cancelled at any moment. StoreError if the object store cannot be reached.
    """
    store, trash = library.store, library.trash
    if not isinstance(store, HasWaitingRoom):
        return 0
    catalog = await library.catalog()
    carrying = _Carrying(catalog, store.settled)
    await carrying.shelf(store, library.find)  # which finds what another node deleted and could not take away, too
    if trash is not None and isinstance(trash, HasWaitingRoom):
        await carrying.shelf(trash, None)
    return carrying.carried


@dataclass(slots=True)
class _Carrying:
    """A round through the waiting room."""

    catalog: "Catalog"
    shared: Store
    carried: int = 0

    async def shelf(self, rooms: HasWaitingRoom, find: Find) -> None:
        """Carry what waits in one store; `find` says which files have a row, None that they need none."""
        if not (await rooms.waiting.list(limit=1)).files:
            return
        await rooms.settled.check()
        transfer = Transfer(rooms.waiting, rooms.settled, self.shared, self.catalog, thorough=True)
        await for_each(files_of(rooms.waiting), partial(self._carry, transfer, find))

    async def _carry(self, transfer: Transfer, find: Find, file: StoredFile) -> None:
        if 0 <= time.time() - file.modified < QUIET_SECONDS or await self._is_moving():
            return
        item = await find(file.name) if find else None
        if find and item is None:
            return
        try:
            sha256, _ = await transfer.bring(file, item.sha256 if item else None)
            if item:
                await self._follow(transfer.target, file.name, sha256)
            if await self._is_moving():  # it began meanwhile, and may lead here
                return
            await transfer.source.delete(file.name)
        except NotFoundError:
            return  # deleted meanwhile
        except (ConflictError, StoreError) as error:
            await transfer.target.check()  # raises if it is the store that fails, and not this one file
            logger.warning("%s stays in the media folder: %s", file.name, error.message)
            return
        self.carried += 1

    async def _is_moving(self) -> bool:
        return await self.catalog.state(MOVING_TO) is not None

    async def _follow(self, store: Store, name: str, sha256: str) -> None:
        """Bring the row in line with the object store before the file goes: who looks then finds nothing changed."""
        stored = await store.get(name)
        changes = {"sha256": sha256, "size": stored.size, "modified": stored.modified}
        await self.catalog.update_many({name: changes})
