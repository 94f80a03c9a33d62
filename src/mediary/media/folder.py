"""What lies in the media folder, or in another store: its names in order, and whether that has changed."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mediary.errors import NotFoundError, StoreError
from mediary.formats import FORMATS, is_allowed_extension
from mediary.media import folder_scan
from mediary.storage.base import HasPath, Store, StoredFile
from mediary.storage.files import in_thread, stored_file, translated

if TYPE_CHECKING:
    from mediary.media.catalog import Catalog

WINDOW = 2_000
"""Names that are listed in one go: more would hold the event loop for too long."""
BLOCK = 256 * 1024
SETTLED_NS = 2_000_000_000
"""Two changes within one tick of a coarse clock bear the same time; after this long there is no doubt."""

_translated = partial(translated, "the media folder")


async def find_files(store: Store, names: Sequence[str]) -> list[StoredFile]:
    """What is known of those of the files that are there."""
    if not names:
        return []
    if isinstance(store, HasPath):
        return await in_thread(partial(_find_files, store, names))
    files = []
    for name in names:
        with suppress(NotFoundError):
            files.append(await store.get(name))
    return files


def _find_files(store: HasPath, names: Sequence[str]) -> list[StoredFile]:
    files = []
    for name in names:
        with suppress(NotFoundError), _translated(name):
            files.append(stored_file(name, store.path(name).lstat()))
    return files


async def list_names(folder: Path) -> AsyncGenerator[list[str], None]:
    """The names of the media files in a folder in the order of their bytes, a window at a time."""
    extensions = [known.extension for known in FORMATS]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", folder_scan.__file__, folder, *extensions,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    assert process.stderr
    try:
        names: list[str] = []
        rest = b""
        while block := await process.stdout.read(BLOCK):
            head, _, rest = (rest + block).rpartition(b"\0")
            names += head.decode().split("\0") if head else ()
            while len(names) > WINDOW:
                yield names[:WINDOW]
                names = names[WINDOW:]
        if names:
            yield names
        if await process.wait():
            reason = (await process.stderr.read(1000)).decode(errors="replace").strip()
            raise StoreError(f"the media folder cannot be listed: {reason.lower() or 'its listing was cut short'}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def list_stored(store: Store) -> AsyncGenerator[list[str], None]:
    """The names that a store lists itself."""
    cursor: str | None = None
    while True:
        page = await store.list(cursor, WINDOW)
        if page.files:
            yield [file.name for file in page.files]
        if (cursor := page.next) is None:
            return


def fingerprint(folder: Path) -> str | None:
    """What changes whenever a name comes or goes in the folder; None if that happened so lately that it may not.

    StoreError if there is no such folder.
    """
    with _translated():
        status = folder.stat()
    if time.time_ns() - status.st_mtime_ns < SETTLED_NS:
        return None
    return f"{status.st_ino}:{status.st_mtime_ns}"


async def require_mounted(folder: Path, catalog: "Catalog", noted: str | None) -> None:
    """StoreError where an empty folder is in the place of the one that was noted: its disk may not be mounted."""
    if await in_thread(partial(_is_another_and_empty, folder, noted)) and await catalog.names("", 1):
        raise StoreError(
            "the media folder is empty, and not the one that was there before: is its disk mounted? All that is "
            "known of its files is kept; if they were deleted on purpose, run `mediary media reindex`"
        )


def _is_another_and_empty(folder: Path, noted: str | None) -> bool:
    """Whether there is no media file in a folder, and its fingerprint is that of another one."""
    with _translated():
        if noted and noted.partition(":")[0] == str(folder.stat().st_ino):
            return False
        with os.scandir(folder) as entries:
            return not any(is_allowed_extension(entry.name) for entry in entries)
