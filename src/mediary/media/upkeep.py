"""What a library needs done in the background, and nothing ever waits for: it may be stopped at any moment."""

import asyncio
import itertools
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mediary.errors import MediaryError, ShutdownError
from mediary.media.carry import carry
from mediary.media.folder import fingerprint, require_mounted
from mediary.media.indexer import REST_SECONDS, Indexer
from mediary.media.library import MediaLibrary
from mediary.media.move import arrived
from mediary.media.sync import FOLDER, SyncResult, sync, sync_names, sync_replaced
from mediary.media.trash import DELETING_SECONDS, empty, reclaim
from mediary.media.watch import Watch
from mediary.storage.base import HasPath
from mediary.storage.files import in_thread

if TYPE_CHECKING:
    from mediary.media.catalog import Catalog

logger = logging.getLogger(__name__)

MINUTE, HOUR = 60.0, 3600.0
QUIET_SECONDS = 5.0
"""How long nothing must happen in the folder for all that happened to be in the catalog."""
RETRY_SECONDS = 10.0
PAUSE_SECONDS = 0.05
DAY_SECONDS = 86_400.0


class Upkeep:
    """Keeps the catalog in line with the folder, reads the bytes of new items, empties the trash.

    `folder` is the media folder of this machine: the store itself, or the waiting room of an object store, from which
    things are carried on. `setting` is what the setting `media.store` says. Items stay `trash_days` in the trash.
    """

    def __init__(
        self,
        library: MediaLibrary,
        indexer: Indexer,
        folder: Path,
        *,
        setting: str,
        trash_days: float,
        watch: bool = True,
    ) -> None:
        self._library = library
        self._indexer = indexer
        self._folder = folder
        self._is_local = isinstance(library.store, HasPath)
        self._trash_days = trash_days
        self._watch = watch
        self._setting = setting
        self.begun = asyncio.Event()
        """The folder is watched, or cannot be for now."""
        self._looked = asyncio.Event()
        self._unread = asyncio.Event()
        self._told: dict[str, float] = {}
        self._noted: str | None = None

    def notify(self, _name: str) -> None:
        """An item came or changed: its bytes are read as soon as there is time."""
        self._unread.set()

    async def run(self) -> None:
        """Work until cancelled. A database or store that fails delays it; the log says so once an hour."""
        self._library.on_change = self.notify
        async with asyncio.TaskGroup() as group:
            for what, work in (
                ("the look at the media folder", self._follow),
                ("the look for replaced files", self._look_for_replaced),
                ("the reading of new media", self._read),
                ("the upkeep of the media library", self._tidy),
            ):
                group.create_task(self._endure(what, work), name=what)

    async def _endure(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work, again and again if it fails."""
        while True:
            try:
                await work()
                return
            except ShutdownError:
                return
            except MediaryError as error:
                now = time.monotonic()
                if now - self._told.get(error.message, -math.inf) > HOUR:
                    self._told[error.message] = now
                    logger.warning("%s is put off: %s", what, error.message)
                self.begun.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        """Compare the folder with the catalog, and then take in each change as it comes."""
        catalog = await self._library.catalog()
        self._noted = await catalog.state(FOLDER)
        if not self._watch:
            self.begun.set()
            await self._begin(catalog)
            return
        async with Watch(self._folder) as watch:  # before the comparison: what comes meanwhile is not missed
            self.begun.set()
            await self._begin(catalog)
            watch.seen = True
            while watch.works:
                await self._follow_one(watch, catalog)
        while True:
            await asyncio.sleep(MINUTE)
            await self._compare_if_changed(catalog)

    async def _begin(self, catalog: "Catalog") -> None:
        """Compare all names, but not in a folder that is as it was when that was done last."""
        if not self._is_local or not self._noted or self._noted != await in_thread(partial(fingerprint, self._folder)):
            await self._compare(catalog)
        self._looked.set()

    async def _follow_one(self, watch: Watch, catalog: "Catalog") -> None:
        names = await watch.settled(QUIET_SECONDS if watch.seen else MINUTE)
        if names is None:
            await self._compare(catalog)
        elif names:
            await sync_names(self._library.store, catalog, sorted(names))
            self._unread.set()  # something may have been replaced, or saved by another process
        elif watch.seen:  # whatever it was, it is in the catalog by now
            now = await in_thread(partial(fingerprint, self._folder))
            watch.seen = now is None
            await self._note(catalog, now)
        else:
            await self._compare_if_changed(catalog)

    async def _compare_if_changed(self, catalog: "Catalog") -> None:
        """Compare all names if the folder changed and nobody told: on a network share, the system knows half of it."""
        now = await in_thread(partial(fingerprint, self._folder))
        if self._is_local and now and now != self._noted:
            await self._compare(catalog)

    async def _compare(self, catalog: "Catalog") -> None:
        """Compare all names."""
        before = await in_thread(partial(fingerprint, self._folder))
        if self._is_local:
            await require_mounted(self._folder, catalog, self._noted)
        folder = self._folder if self._is_local else None
        result = await sync(self._library.store, catalog, folder, self._found)
        if result.appeared or result.vanished:
            logger.info("media files beside the catalog: %d came, %d went", result.appeared, result.vanished)
        await self._note(catalog, before)

    async def _note(self, catalog: "Catalog", seen: str | None) -> None:
        """Remember that all names of a folder that looked like this are in the catalog."""
        if seen and seen != self._noted:
            await catalog.set_state(FOLDER, seen)
            self._noted = seen

    def _found(self, result: SyncResult) -> None:
        if result.appeared:
            self._unread.set()

    async def _look_for_replaced(self) -> None:
        """Notice once, and without haste, what was replaced under its name while nothing ran."""
        await self._looked.wait()
        if self._is_local and await sync_replaced(self._library.store, await self._library.catalog(), PAUSE_SECONDS):
            self._unread.set()

    async def _read(self) -> None:
        """Read the bytes of items until there is nothing left, and again when something came."""
        await self._looked.wait()
        catalog = await self._library.catalog()
        while True:
            self._unread.clear()
            progress = await self._indexer.step(catalog)
            if not progress.done:
                # Other processes say nothing of what they took in.
                with suppress(TimeoutError):
                    async with asyncio.timeout(REST_SECONDS if progress.postponed else MINUTE):
                        await self._unread.wait()

    async def _tidy(self) -> None:
        """Every minute what waits is carried on; every hour the trash is emptied."""
        await self._looked.wait()
        catalog = await self._library.catalog()
        await arrived(catalog, self._setting)
        for minute in itertools.count():
            await carry(self._library)
            if minute == 1:  # by now no deletion is under way that began before the start
                await reclaim(self._library.store, catalog)
            if minute % 60 == 0 and self._library.trash is not None:
                kept = max(self._trash_days * DAY_SECONDS, DELETING_SECONDS)
                await empty(self._library.trash, catalog, time.time() - kept)
            await asyncio.sleep(MINUTE)
