"""The catalog brought in line with the files now, by whoever asks for it and waits."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mediary.media.folder import fingerprint, require_mounted
from mediary.media.indexer import REST_SECONDS, Indexer
from mediary.media.library import MediaLibrary
from mediary.media.sync import FOLDER, SyncResult, sync, sync_replaced
from mediary.storage.files import in_thread


async def is_current(library: MediaLibrary, folder: Path) -> bool:
    """Whether no file came into the folder or left it since all of its names were in the catalog.

    StoreError where an empty folder is in the place of one that was full.
    """
    catalog = await library.catalog()
    noted = await catalog.state(FOLDER)
    if noted is not None and noted == await in_thread(partial(fingerprint, folder)):
        return True
    await require_mounted(folder, catalog, noted)
    return False


async def reindex(
    library: MediaLibrary, folder: Path | None, progress: Callable[[SyncResult], object] = lambda _: None
) -> SyncResult:
    """Give each file a row, and take the row of each that is gone; `folder` is where a local store lies.

    Rows of files that have other bytes than they had are marked to be read anew.
    """
    catalog = await library.catalog()
    before = await in_thread(partial(fingerprint, folder)) if folder else None
    if folder:
        await sync_replaced(library.store, catalog)
    result = await sync(library.store, catalog, folder, progress)
    if before:
        await catalog.set_state(FOLDER, before)
    return result


async def read_all(library: MediaLibrary, indexer: Indexer, progress: Callable[[int], object]) -> int:
    """Read the headers and the pixels of all items that were not read yet; the number of them.

    `progress` is told how many reads are done: headers and pixels are two of them.
    """
    catalog = await library.catalog()
    read, waited = 0, False
    while True:
        step = await indexer.step(catalog)
        read += step.done
        progress(read)
        if not step.done and (waited or not step.postponed):
            return read
        if waited := not step.done:  # a file that came this very moment may still be growing
            await asyncio.sleep(REST_SECONDS)
