"""The folder is the truth, the catalog its index: this brings the second in line with the first."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mediary.errors import NotFoundError
from mediary.formats import is_allowed_extension
from mediary.media.dedupe import unchanged
from mediary.media.folder import WINDOW, find_files, list_names, list_stored
from mediary.media.item import NAMED, Changes, MediaItem
from mediary.media.trash import is_being_deleted
from mediary.names import created_at, words_in
from mediary.storage.base import HasPath, HasWaitingRoom, Store, StoredFile

if TYPE_CHECKING:
    from mediary.media.catalog import Catalog

BATCH = 500
"""Files that are looked at, and rows that are written, in one go."""
MOST_RENAMED = 100_000
"""Names of which a look at the whole folder remembers that they came, or went."""
FOLDER, MOVING_TO = "folder", "moving_to"
"""Keys of the catalog's state: the fingerprint of the folder when all of it was in the catalog; where a move leads."""


@dataclass(slots=True, frozen=True)
class SyncResult:
    """How many rows came, and how many went."""

    appeared: int = 0
    vanished: int = 0

    def __add__(self, other: "SyncResult") -> "SyncResult":
        return SyncResult(self.appeared + other.appeared, self.vanished + other.vanished)


async def sync(
    store: Store, catalog: "Catalog", folder: Path | None, progress: Callable[[SyncResult], object] = lambda _: None
) -> SyncResult:
    """Compare the names in the store with those in the catalog: new files get a row, a row without a file goes.

    `folder` is where a local store lies; it is listed by a child process. Without one the store lists itself. What was
    found so far is searchable already, and told to `progress`. StoreError if the names cannot be listed.
    """
    result = SyncResult()
    new: list[str] = []
    missing: list[str] = []
    present = list_names(folder) if folder else list_stored(store)
    async with aclosing(present), aclosing(_list_catalog(catalog)) as known:
        async for appeared, vanished in compare(present, known):
            result += await _take_in_all(store, catalog, appeared)
            progress(result)
            # Rows go last: a file that has another name now may be listed under it only later.
            new += appeared[: MOST_RENAMED - len(new)]
            missing += vanished
            if len(missing) > MOST_RENAMED:
                result += await _let_go(store, catalog, missing, new)
                missing.clear()
    result += await _let_go(store, catalog, missing, new)
    progress(result)
    return result


async def _take_in_all(store: Store, catalog: "Catalog", appeared: Sequence[str]) -> SyncResult:
    came = 0
    for at in range(0, len(appeared), BATCH):
        came += await take_in(catalog, await find_files(store, appeared[at : at + BATCH]))
    return SyncResult(came)


async def _let_go(store: Store, catalog: "Catalog", vanished: Sequence[str], appeared: Sequence[str]) -> SyncResult:
    """Remove the rows of files that are gone, but for those that came back under another name."""
    # A file that was saved since its name was passed in the listing is no file that vanished.
    there = {file.name for file in await find_files(store, vanished)}
    gone = [name for name in vanished if name not in there]
    if not gone or not await is_lost(store, catalog):
        return SyncResult()
    renamed = await _find_renamed(catalog, gone, appeared)
    if renamed:
        await catalog.rename_many(renamed)
    await catalog.remove_many([name for name in gone if name not in renamed])
    return SyncResult(vanished=len(gone))


async def _find_renamed(catalog: "Catalog", gone: Sequence[str], appeared: Sequence[str]) -> dict[str, str]:
    """The new names of files that were only renamed: size and time of one that went are those of one that came."""
    went, came = await _by_stamp(catalog, gone), await _by_stamp(catalog, appeared)
    pairs = ((names, came.get(stamp, [])) for stamp, names in went.items())
    return {old[0]: new[0] for old, new in pairs if len(old) == len(new) == 1}


async def _by_stamp(catalog: "Catalog", names: Sequence[str]) -> dict[tuple[int, float], list[str]]:
    found: dict[tuple[int, float], list[str]] = {}
    for at in range(0, len(names), BATCH):
        for name, stamp in (await catalog.stamps(names[at : at + BATCH])).items():
            found.setdefault(stamp, []).append(name)
    return found


async def is_lost(store: Store, catalog: "Catalog") -> bool:
    """Whether a file that is not in the store is nowhere else: in the folder of another node, or moved on."""
    return not isinstance(store, HasWaitingRoom) and not await catalog.state(MOVING_TO)


async def sync_names(store: Store, catalog: "Catalog", names: Sequence[str]) -> SyncResult:
    """The same for a few names, which may also have been replaced: then their bytes are read anew."""
    files = {file.name: file for file in await find_files(store, names)}
    rows = await catalog.stamps(names)
    await _note_replaced(catalog, files, rows)
    appeared = [name for name in files if name not in rows]
    came = await _take_in_all(store, catalog, appeared)
    return came + await _let_go(store, catalog, [name for name in rows if name not in files], appeared)


async def sync_replaced(store: Store, catalog: "Catalog", pause: float = 0.0) -> int:
    """See to it that the bytes of all files that were replaced under their names are read anew; how many these are.

    A listing of names does not show them. Between two batches it rests for `pause` seconds.
    """
    replaced, after = 0, ""
    while names := await catalog.names(after, BATCH):
        files = {file.name: file for file in await find_files(store, names)}
        replaced += await _note_replaced(catalog, files, await catalog.stamps(names))
        after = names[-1]
        await asyncio.sleep(pause)
    return replaced


async def _note_replaced(
    catalog: "Catalog", files: Mapping[str, StoredFile], rows: Mapping[str, tuple[int, float]]
) -> int:
    replaced = {
        name: replaced_by(file)
        for name, file in files.items()
        if name in rows and rows[name] != (file.size, file.modified)
    }
    if replaced:
        await catalog.update_many(replaced)
    return len(replaced)


def replaced_by(file: StoredFile) -> Changes:
    """What changes in a row when its file has other bytes: they are to be read."""
    return {"size": file.size, "modified": file.modified, "sha256": None, "problem": None, "read": NAMED}


async def take_in_one(store: Store, catalog: "Catalog", name: str) -> bool:
    """The row of a file that has none, if there is such a file: that of its old name, if it was only renamed."""
    files = await find_files(store, [name])
    if files and isinstance(store, HasPath) and item_of(files[0]):
        same = await catalog.stamped(files[0].size, files[0].modified)
        gone = {*same} - {file.name for file in await find_files(store, same)}
        if len(gone) == 1 and await is_lost(store, catalog):
            await catalog.rename_many({gone.pop(): name})
            return True
    return bool(await take_in(catalog, files))


async def take_in(catalog: "Catalog", files: Sequence[StoredFile]) -> int:
    """Rows for media files that have none; the number of them.

    A file that is in the trash by its row alone is taken out of it: whoever deleted or restored it was killed.
    """
    items = [(item, file) for file in files if (item := item_of(file))]
    trashed = {item.name: item for item in reversed(await catalog.trashed([item.name for item, _ in items]))}
    new, came = [], 0
    for item, file in items:
        old = trashed.get(item.name)
        if old is None or not unchanged(old, file):
            new.append(item)
        elif not is_being_deleted(old):
            with suppress(NotFoundError):  # somebody else was first
                await catalog.restore(old, old.name)
                came += 1
    if new:
        await catalog.add_missing(new)
    return came + len(new)


def item_of(file: StoredFile) -> MediaItem | None:
    """What a file's name alone tells; None for what is no media file."""
    found = is_allowed_extension(file.name)
    if found is None:
        return None
    return MediaItem(
        name=file.name,
        size=file.size,
        media_type=found.media_type,
        kind=found.kind,
        created=created_at(file.name, file.modified),
        modified=file.modified,
        alt=words_in(file.name),
    )


async def compare(
    present: AsyncIterator[list[str]], known: AsyncIterator[list[str]]
) -> AsyncGenerator[tuple[list[str], list[str]], None]:
    """Two sorted listings side by side: in steps, the names that only the first has, and those only the second has."""
    here: list[str] = []
    there: list[str] = []
    while True:
        here = here or await anext(present, [])
        there = there or await anext(known, [])
        if not here and not there:
            return
        edge = min(window[-1] for window in (here, there) if window)
        ours, here = _cut(here, edge)
        theirs, there = _cut(there, edge)
        if ours != theirs:
            either = set(theirs), set(ours)
            yield [name for name in ours if name not in either[0]], [name for name in theirs if name not in either[1]]


def _cut(names: list[str], edge: str) -> tuple[list[str], list[str]]:
    at = bisect_right(names, edge)
    return names[:at], names[at:]


async def _list_catalog(catalog: "Catalog") -> AsyncGenerator[list[str], None]:
    """The names of all items."""
    after = ""
    while names := await catalog.names(after, WINDOW):
        yield names
        after = names[-1]
