"""Deleted, restored, emptied; and killed at every step in between."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.media.samples import picture

from mediary.errors import NoSpaceError, NotFoundError, StoreError
from mediary.media.catalog import Catalog
from mediary.media.intake import save_response_media
from mediary.media.item import ItemFilter, MediaItem
from mediary.media.library import MediaLibrary
from mediary.media.sync import sync
from mediary.media.trash import empty, reclaim, trash_name
from mediary.storage.base import Store, StoredFile
from mediary.storage.local import LocalStore


@pytest.fixture
async def name(library: MediaLibrary) -> str:
    """An item with a prompt."""
    [response] = [one async for one in save_response_media(picture(), "a cat", library=library)]
    return response.urls[0].removeprefix("/media/")


@pytest.fixture
def trash(folder: Path) -> Path:
    return folder / ".trash"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch):
    """Two minutes later: no deletion is under way any more."""
    now = time.time
    return lambda: monkeypatch.setattr(time, "time", lambda: now() + 120)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


async def test_deleted_and_restored(library: MediaLibrary, folder: Path, trash: Path, name: str):
    item = await library.get(name)
    await library.remove(name)
    assert (files(folder), len(files(trash))) == ([], 1)
    with pytest.raises(NotFoundError):
        await library.get(name)
    restored = await library.restore(name)
    assert restored == item
    assert await library.get(name) == item
    assert (files(folder), files(trash)) == ([name], [])
    assert (folder / name).read_bytes() == picture()


async def test_who_deletes_and_who_restores_take_turns(library: MediaLibrary, folder: Path, trash: Path, name: str):
    for _ in range(5):
        moves = [move(name) for _ in range(5) for move in (library.remove, library.restore)]
        outcomes = await asyncio.gather(*moves, return_exceptions=True)
        assert all(outcome is None or isinstance(outcome, MediaItem | NotFoundError) for outcome in outcomes)
        with suppress(NotFoundError):
            await library.restore(name)
        assert (files(folder), files(trash)) == ([name], [])
        assert (await library.list()).items == (await library.get(name),)


async def test_what_is_not_there(library: MediaLibrary, name: str):
    for method in (library.remove, library.restore):
        with pytest.raises(NotFoundError):
            await method("nothing.png")
    with pytest.raises(NotFoundError):
        await library.restore(name)
    await library.remove(name)
    with pytest.raises(NotFoundError):
        await library.remove(name)


async def test_a_name_that_was_given_away(library: MediaLibrary, folder: Path, name: str):
    await library.remove(name)
    (folder / name).write_bytes(picture(width=65))
    assert (await library.get(name)).prompt == ""
    restored = await library.restore(name)
    assert restored.name != name
    assert restored.prompt == "a cat"
    assert (folder / restored.name).read_bytes() == picture()
    assert (folder / name).read_bytes() == picture(width=65)


async def test_the_same_name_deleted_again_and_again(library: MediaLibrary, folder: Path, trash: Path):
    for number in range(3):
        (folder / "1704123456_a_0123456789abcdef.png").write_bytes(picture(width=60 + number))
        await library.remove("1704123456_a_0123456789abcdef.png")
    assert len(files(trash)) == 3
    for number in (2, 1, 0):
        restored = await library.restore("1704123456_a_0123456789abcdef.png")
        assert (folder / restored.name).read_bytes() == picture(width=60 + number)
        await library.tag(restored.name, [f"number {number}"])
    assert files(trash) == []


async def test_two_delete_at_once(library: MediaLibrary, folder: Path, trash: Path, name: str):
    results = await asyncio.gather(library.remove(name), library.remove(name), return_exceptions=True)
    assert sorted(type(result) for result in results if result)[-1:] in ([], [NotFoundError])
    assert None in results
    assert (files(folder), len(files(trash))) == ([], 1)
    assert (await library.restore(name)).prompt == "a cat"


async def test_two_restore_at_once(library: MediaLibrary, folder: Path, trash: Path, name: str):
    await library.remove(name)
    await asyncio.gather(library.restore(name), library.restore(name), return_exceptions=True)
    assert (files(folder), files(trash)) == ([name], [])
    assert (await library.get(name)).prompt == "a cat"


async def test_deleted_while_somebody_reads_it(library: MediaLibrary, name: str):
    reading = library.read(name)
    first = await anext(reading)
    await library.remove(name)
    assert first + b"".join([piece async for piece in reading]) == picture()


async def test_emptied_after_some_time(library: MediaLibrary, catalog: Catalog, trash: Path, name: str):
    await library.remove(name)
    assert await empty(LocalStore(trash), catalog, time.time() - 3600) == 0
    assert await empty(LocalStore(trash), catalog, time.time() + 1) == 1
    assert files(trash) == []
    with pytest.raises(NotFoundError):
        await library.restore(name)


async def test_a_library_that_keeps_no_trash(
    library: MediaLibrary, catalog: Catalog, folder: Path, trash: Path, name: str
):
    library.keep_trash = False
    await library.remove(name)
    assert (files(folder), files(trash)) == ([], [])
    assert await catalog.find_trashed(name) is None


async def test_a_row_without_a_file(library: MediaLibrary, folder: Path, catalog: Catalog, name: str):
    (folder / name).unlink()
    await library.remove(name)
    assert await catalog.find(name) is None
    assert await catalog.find_trashed(name) is None


class DiesError(Exception):
    """The process is killed."""


class Mortal:
    """A store whose process is killed before or after one of its steps."""

    def __init__(self, store: LocalStore, step: str, after: bool) -> None:
        self._store = store
        self._step = step
        self._after = after

    def path(self, name: str) -> Path:
        return self._store.path(name)

    async def get(self, name: str) -> StoredFile:
        return await self._store.get(name)

    def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        return self._store.read(name, start, end)

    async def adopt(self, other: Store, name: str, new: str) -> StoredFile:
        return await self._at("adopt", other, name, new)

    async def delete(self, name: str) -> None:
        await self._at("delete", name)

    async def _at(self, step: str, *arguments: object) -> object:
        if step == self._step and not self._after:
            raise DiesError
        result = await getattr(self._store, step)(*arguments)
        if step == self._step:
            raise DiesError
        return result


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("where", "step"), [("trash", "adopt"), ("store", "delete")])
async def test_killed_while_deleting(
    library: MediaLibrary, catalog: Catalog, folder: Path, trash: Path, name: str, later, where: str, step: str,
    after: bool,
):  # fmt: skip
    mortal = Mortal(LocalStore(folder if where == "store" else trash), step, after)
    parts = {"store": LocalStore(folder), "trash": LocalStore(trash)} | {where: mortal}
    killed = MediaLibrary(parts["store"], library.catalog, library.http, trash=parts["trash"])
    with pytest.raises(DiesError):
        await killed.remove(name)
    await sync(library.store, catalog, folder)  # a server that starts at once leaves the state to whoever is at it
    assert await catalog.find(name) is None
    later()
    await reclaim(library.store, catalog)
    await sync(library.store, catalog, folder)
    if step == "delete" and after:  # it was done
        assert (files(folder), len(files(trash))) == ([], 1)
        assert (await library.restore(name)).prompt == "a cat"
    assert (await library.get(name)).prompt == "a cat"
    assert (folder / name).read_bytes() == picture()
    await library.remove(name)
    assert (files(folder), len(files(trash))) == ([], 1)
    assert (await library.restore(name)).prompt == "a cat"
    assert (files(folder), files(trash)) == ([name], [])


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("where", "step"), [("store", "adopt"), ("trash", "delete")])
async def test_killed_while_restoring(
    library: MediaLibrary, catalog: Catalog, folder: Path, trash: Path, name: str, later, where: str, step: str,
    after: bool,
):  # fmt: skip
    await library.remove(name)
    later()
    mortal = Mortal(LocalStore(folder if where == "store" else trash), step, after)
    parts = {"store": LocalStore(folder), "trash": LocalStore(trash)} | {where: mortal}
    killed = MediaLibrary(parts["store"], library.catalog, library.http, trash=parts["trash"])
    with pytest.raises(DiesError):
        await killed.restore(name)
    await sync(library.store, catalog, folder)
    if await catalog.find(name) is None:
        await library.restore(name)
    assert (await library.get(name)).prompt == "a cat"
    assert files(folder) == [name]
    await library.remove(name)
    assert (files(folder), len(files(trash))) == ([], 1)


async def test_settled_by_itself(library: MediaLibrary, catalog: Catalog, folder: Path, name: str, later):
    """Where the comparison of all names is spared, since the folder is as it was."""
    await catalog.trash(name)
    assert await reclaim(library.store, catalog) == 0
    later()
    assert await reclaim(library.store, catalog) == 1
    assert (await library.get(name)).prompt == "a cat"


async def test_another_file_of_the_name_is_not_what_was_deleted(
    library: MediaLibrary, catalog: Catalog, folder: Path, name: str, later
):
    await library.remove(name)
    (folder / name).write_bytes(picture(width=65))
    later()
    assert await reclaim(library.store, catalog) == 0
    await sync(library.store, catalog, folder)
    assert (await catalog.get(name)).prompt == ""
    assert len((await catalog.list(ItemFilter(trashed=True))).items) == 1


@pytest.mark.parametrize("error", [StoreError("the disk failed"), NoSpaceError("the disk is full")])
async def test_a_trash_that_fails_changes_nothing(
    library: MediaLibrary, folder: Path, trash: Path, name: str, error: Exception
):
    class Failing(LocalStore):
        async def adopt(self, other: Store, name: str, new: str) -> StoredFile:
            raise error

    failing = MediaLibrary(library.store, library.catalog, library.http, trash=Failing(trash))
    with pytest.raises(type(error)):
        await failing.remove(name)
    assert (await library.get(name)).prompt == "a cat"
    assert files(folder) == [name]


def test_no_two_items_share_a_name_in_the_trash():
    def item(number: int, name: str) -> MediaItem:
        return MediaItem(name=name, size=1, media_type="image/png", kind="image", id=number)

    assert trash_name(item(5, "a.b.png")) == "5.png"
    assert trash_name(item(6, "a.b.png")) == "6.png"
    assert trash_name(item(7, "a")) == "7"


async def test_a_trash_that_lost_the_file(library: MediaLibrary, trash: Path, name: str):
    await library.remove(name)
    [lost] = trash.iterdir()
    lost.unlink()
    with pytest.raises(NotFoundError):
        await library.restore(name)
    with suppress(NotFoundError):
        await library.remove(name)
