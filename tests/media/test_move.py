"""A library moves to another store and back: same names, same bytes, one blob for the same bytes, and no doubles."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.media.libraries import Places, contents, digest, keep
from tests.servers.databases import Database

from mediary.errors import StoreError
from mediary.media.carry import carry
from mediary.media.indexer import Indexer
from mediary.media.item import NAMED
from mediary.media.library import MediaLibrary
from mediary.media.move import Moved, abandon, arrived, move
from mediary.media.reader import Reader
from mediary.media.sync import sync
from mediary.media.verify import verify
from mediary.media.walk import Finding
from mediary.net.client import HttpClient
from mediary.sandbox.pool import Sandbox
from mediary.storage.base import Store


@pytest.fixture
async def places(tmp_path: Path, http: HttpClient) -> AsyncIterator[Places]:
    database = await Database.open(tmp_path / "media.db")
    yield Places(tmp_path, database, http)
    await database.close()


@pytest.fixture
def either(tmp_path: Path, database: Database, http: HttpClient) -> Places:
    """The same with a database of either kind."""
    return Places(tmp_path, database, http)


async def moved(source: MediaLibrary, target: MediaLibrary, to: str = "there", **options: bool) -> Moved:
    """Move a library into the stores of another."""
    assert target.trash
    return await move(source, target.store, target.trash, to=to, **options)


def folder(places: Places) -> list[str]:
    """The names in the media folder and its trash, half-written ones too."""
    files = [*places.media.iterdir(), *(places.media / ".trash").rglob("*"), *places.media.glob(".incoming/*")]
    return sorted(str(path.relative_to(places.media)) for path in files if path.is_file())


class Interrupting:
    """A store in front of another, in which something happens when a file is read."""

    def __init__(self, store: Store, happen: object) -> None:
        self._store = store
        self._happen = happen

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def read(self, name: str, start: int = 0, end: int | None = None):
        await self._happen(name)  # type: ignore[operator]
        async for piece in self._store.read(name, start, end):
            yield piece


async def test_to_an_object_store_and_back(either: Places):
    local, objects = either.local(), either.objects()
    files = {f"{number}.png": bytes([number]) * (1000 * number) for number in range(40)}
    for name, data in files.items():
        await keep(local, name, data, known=name != "5.png")
    await local.remove("3.png")
    del files["3.png"]

    there = await moved(local, objects)

    assert there.ok
    assert (there.copied, there.skipped, there.removed) == (40, 0, 0)
    assert there.bytes == sum(map(len, files.values())) + 3000
    assert await contents(objects.store.settled) == files  # type: ignore[attr-defined]
    assert len(folder(either)) == 40
    assert (await either.catalog.get("5.png")).sha256 == digest(files["5.png"])

    for name in folder(either):
        (either.media / name).unlink()
    back = await moved(objects, local, remove_source=True)

    assert back.ok
    assert (back.copied, back.removed) == (40, 40)
    assert await contents(local.store) == files
    assert (await local.restore("3.png")).name == "3.png"
    assert either.blobs() == []
    assert (await verify(local)).ok


async def test_a_second_move_copies_nothing(places: Places):
    local, objects = places.local(), places.objects()
    for name in ("a", "b"):
        await keep(local, f"{name}.png", name.encode())
    await moved(local, objects)
    before = places.blobs()
    again = await moved(local, objects)
    assert (again.copied, again.skipped) == (0, 2)
    assert places.blobs() == before
    back = await moved(objects, local)
    assert (back.copied, back.skipped) == (0, 2)
    assert folder(places) == ["a.png", "b.png"]


@pytest.mark.parametrize("known", [True, False])
async def test_two_names_of_the_same_bytes_stay_one_blob(places: Places, known: bool):
    local, objects = places.local(), places.objects()
    for number in range(12):
        await keep(local, f"{number}.png", b"same" * 100_000, known=known)
    await keep(local, "deleted.png", b"same" * 100_000)
    await local.remove("deleted.png")
    assert (await moved(local, objects)).copied == 13
    assert len(places.blobs()) == 1
    for name in folder(places):
        (places.media / name).unlink()
    assert (await moved(objects, local)).copied == 13
    assert len({path.stat().st_ino for path in places.media.glob("*.png")}) == 1
    assert len({path.stat().st_ino for path in places.media.rglob("*.png")}) == 1


async def test_the_time_of_a_file_comes_back(places: Places):
    local, objects = places.local(), places.objects()
    await keep(local, "a.png", b"a")
    os.utime(places.media / "a.png", ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
    modified = (await local.store.get("a.png")).modified
    await places.catalog.update("a.png", {"modified": modified})
    await moved(local, objects)
    (places.media / "a.png").unlink()
    await moved(objects, local)
    assert (await local.store.get("a.png")).modified == modified


async def test_other_bytes_under_a_name_in_the_target_are_a_conflict(places: Places):
    local, objects = places.local(), places.objects()
    for name in ("a", "b"):
        await keep(objects, f"{name}.png", name.encode())
    (places.media / "a.png").write_bytes(b"other")
    (places.media / "mine.png").write_bytes(b"mine")
    result = await moved(objects, local, remove_source=True)
    assert result.problems == (Finding("a.png", "the target has other bytes under this name"),)
    assert not result.ok
    assert await contents(local.store) == {"a.png": b"other", "b.png": b"b", "mine.png": b"mine"}
    assert list(await contents(objects.store.settled)) == ["a.png"]  # type: ignore[attr-defined]


async def test_bytes_that_the_catalog_does_not_know_stay_behind(places: Places):
    local, objects = places.local(), places.objects()
    await keep(local, "a.png", b"aaaa")
    await keep(local, "b.png", b"bbbb")
    (places.media / "a.png").write_bytes(b"AAAA")
    result = await moved(local, objects, remove_source=True)
    assert [problem.name for problem in result.problems] == ["a.png"]
    assert list(await contents(objects.store.settled)) == ["b.png"]  # type: ignore[attr-defined]
    assert folder(places) == ["a.png"]
    assert len(places.blobs()) == 1


async def test_a_server_that_looks_at_the_emptied_folder_forgets_nothing(places: Places):
    local, objects = places.local(), places.objects()
    await keep(local, "a.png", b"a")
    await moved(local, objects, to="objects", remove_source=True)
    assert folder(places) == []
    assert (await sync(local.store, places.catalog, places.media)).vanished == 0
    await arrived(places.catalog, "objects")
    assert (await sync(objects.store, places.catalog, None)).vanished == 0
    assert await places.catalog.find("a.png")
    assert (await sync(local.store, places.catalog, places.media)).vanished == 1


async def test_files_that_are_no_media_are_left_alone(places: Places):
    local, objects = places.local(), places.objects()
    await keep(local, "a.png", b"a")
    (places.media / "notes.txt").write_bytes(b"notes")
    (places.media / "dropped.png").write_bytes(b"dropped")
    assert (await moved(local, objects, remove_source=True)).removed == 2
    assert folder(places) == ["notes.txt"]


async def test_what_comes_and_goes_meanwhile(places: Places):
    local, objects = places.local(), places.objects()
    for name in "abcdef":
        await keep(local, f"{name}.png", name.encode() * 10)
    came = False

    async def happen(name: str) -> None:
        nonlocal came
        if not came:
            came = True
            await keep(library, "0.png", b"0")
            await keep(library, "z.png", b"z")
            await library.remove("b.png")
            await library.remove("f.png")

    library = places.local()
    local.store = Interrupting(local.store, happen)  # type: ignore[assignment]
    result = await moved(local, objects)
    assert result.ok
    assert sorted(await contents(objects.store.settled)) == ["0.png", "a.png", "c.png", "d.png", "e.png", "z.png"]  # type: ignore[attr-defined]
    assert len(await contents(objects.trash.settled)) == 2  # type: ignore[union-attr]


async def test_what_is_deleted_after_it_was_brought_does_not_come_back(places: Places):
    local, objects = places.local(), places.objects()
    for name in "ab":
        await keep(local, f"{name}.png", name.encode())
    await moved(local, objects)
    await local.remove("a.png")
    assert (await moved(local, objects)).ok
    assert list(await contents(objects.store.settled)) == ["b.png"]  # type: ignore[attr-defined]
    assert (await objects.restore("a.png")).name == "a.png"


async def test_a_file_that_changes_while_it_is_copied_stays_behind(places: Places):
    local, objects = places.local(), places.objects()
    await keep(local, "a.png", b"a" * 1000, known=False)
    reads = 0

    async def happen(name: str) -> None:
        nonlocal reads
        reads += 1
        if reads == 2:
            os.utime(places.media / name, (1, 1))

    local.store = Interrupting(local.store, happen)  # type: ignore[assignment]
    result = await moved(local, objects)
    assert result.problems == (Finding("a.png", "it was changed while it was copied"),)
    assert places.blobs() == []


async def test_a_target_that_spoils_bytes_is_found_out(places: Places):
    local, objects = places.local(), places.objects()
    await keep(local, "a.png", b"a" * 1000)

    async def happen(name: str) -> None:
        for blob in places.blobs():
            blob.write_bytes(b"b" * 1000)

    objects.store = Interrupting(objects.store.settled, happen)  # type: ignore[attr-defined, assignment]
    result = await moved(local, objects)
    assert [problem.why for problem in result.problems] == ["it came out of the target other than it went in"]
    assert await contents(places.objects().store) == {"a.png": b"a" * 1000}
    assert places.blobs() == []


async def test_an_item_without_bytes_is_a_problem(places: Places):
    local, objects = places.local(), places.objects()
    await keep(objects, "a.png", b"a")
    places.blobs()[0].unlink()
    result = await moved(objects, local, remove_source=True)
    assert result.problems == (Finding("a.png", "there are no bytes for this item"),)
    assert (await objects.store.get("a.png")).size == 1


async def test_two_moves_at_once_bring_each_file_once(places: Places):
    local, objects = places.local(), places.objects()
    files = {f"{number:02}.png": bytes([number]) * 50_000 for number in range(30)}
    for name, data in files.items():
        await keep(local, name, data)
    one, other = await asyncio.gather(moved(local, objects), moved(places.local(), places.objects()))
    assert one.ok
    assert other.ok
    assert await contents(objects.store.settled) == files  # type: ignore[attr-defined]
    assert len(places.blobs()) == 30


async def test_a_store_that_goes_down_ends_it_and_the_next_one_goes_on(places: Places):
    local, objects = places.local(), places.objects()
    for number in range(30):
        await keep(local, f"{number:02}.png", b"%d" % number)

    async def happen(name: str) -> None:
        if name == "15.png":
            places.media.rename(places.root / "away")

    local.store = Interrupting(local.store, happen)  # type: ignore[assignment]
    with pytest.raises(StoreError):
        await moved(local, objects)
    (places.root / "away").rename(places.media)
    result = await moved(places.local(), objects)
    assert result.ok
    assert 0 < result.copied < 30
    assert result.copied + result.skipped == 30
    assert len(places.blobs()) == 30


@pytest.mark.parametrize("back", [False, True])
async def test_cancelled_again_and_again_it_ends_whole(places: Places, back: bool):
    source, target = places.local(), places.objects()
    if back:
        source, target = target, source
    files = {f"{number:02}.png": bytes([number]) * 300_000 for number in range(60)}
    for name, data in files.items():
        await keep(source, name, data)
    done = 0
    for after in (1, 3, 5, 8, 13, 21):
        reached = asyncio.Event()

        def told(copied: int, total: int, size: int, after: int = after, reached: asyncio.Event = reached) -> None:
            if copied >= after:
                reached.set()

        assert target.trash
        work = asyncio.ensure_future(move(source, target.store, target.trash, to="there", progress=told))
        await reached.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        done = after
    assert (await moved(source, target)).ok
    assert done
    assert await contents(target.store) == files
    assert not [name for name in folder(places) if "-2" in name or name.startswith(".incoming")]
    assert len(places.blobs()) == 60
    assert (await verify(target)).ok


async def waiting(places: Places, name: str, data: bytes, age: float = 60, *, row: bool = True) -> None:
    """A file in the waiting room."""
    path = places.media / name
    path.write_bytes(data)
    os.utime(path, (time.time() - age,) * 2)
    if row:
        local = places.local()
        assert await local.find(name)


async def test_what_waits_is_carried_and_its_row_follows(either: Places):
    objects = either.objects()
    for name in "abc":
        await waiting(either, f"{name}.png", name.encode() * 1000)
    assert await carry(objects) == 3
    assert folder(either) == []
    assert await contents(objects.store) == {f"{name}.png": name.encode() * 1000 for name in "abc"}
    for name in "abc":
        item, stored = await either.catalog.get(f"{name}.png"), await objects.store.get(f"{name}.png")
        assert (item.size, item.modified, item.sha256) == (stored.size, stored.modified, digest(name.encode() * 1000))
    assert await carry(objects) == 0
    assert (await verify(objects)).ok


async def test_what_waits_on_another_node_loses_nothing_here(either: Places, tmp_path: Path, http: HttpClient):
    """Two nodes, one database and one object store; what waits in the folder of one the other cannot see."""
    other = Places(tmp_path, either.database, http, node="other")
    here, there = either.objects(), other.objects()
    await keep(here, "b.png", b"b")
    await waiting(either, "a.png", b"a")
    for name in ("a.png", "b.png"):
        await either.catalog.update(name, {"prompt": name, "read": NAMED})
    sandbox = Sandbox(1)
    await Indexer(there.store, Reader(sandbox, 10**8), other.media).step(either.catalog)
    await sandbox.close()
    assert (await either.catalog.get("a.png")).prompt == "a.png"

    await there.remove("a.png")
    assert await either.catalog.find("a.png") is None
    assert await carry(here) == 0  # it may be on its way into the trash
    async with either.database.begin() as connection:
        await connection.exec_driver_sql("UPDATE media_items SET trashed = trashed - 100 WHERE trashed IS NOT NULL")
    assert await carry(here) == 1
    assert (await there.get("a.png")).prompt == "a.png"


async def test_what_waits_in_the_trash_is_carried_too(either: Places):
    objects = either.objects()
    await waiting(either, "a.png", b"a")
    await objects.remove("a.png")
    assert len(folder(either)) == 1
    assert await carry(objects) == 1
    assert folder(either) == []
    assert (await objects.restore("a.png")).name == "a.png"
    assert await contents(objects.store) == {"a.png": b"a"}


async def test_a_local_library_carries_nothing(places: Places):
    await keep(places.local(), "a.png", b"a")
    assert await carry(places.local()) == 0


async def test_what_is_young_or_no_media_waits_on(places: Places):
    objects = places.objects()
    await waiting(places, "young.png", b"young", age=0)
    await waiting(places, "unknown.png", b"unknown", row=False)
    await waiting(places, "notes.txt", b"notes", row=False)
    await waiting(places, "future.png", b"future", age=-100_000)
    assert await carry(objects) == 2
    assert folder(places) == ["notes.txt", "young.png"]


async def test_nothing_is_carried_while_a_move_is_under_way(places: Places):
    objects, local = places.objects(), places.local()
    await keep(objects, "a.png", b"a")
    await moved(objects, local, to="local")
    os.utime(places.media / "a.png", (1e9, 1e9))
    assert await carry(objects) == 0
    await arrived(places.catalog, "s3://elsewhere")
    assert await carry(objects) == 0
    assert folder(places) == ["a.png"]
    await arrived(places.catalog, "local")
    assert await carry(objects) == 1
    assert folder(places) == []


async def test_an_abandoned_move_lets_the_carrying_go_on(either: Places):
    objects, local = either.objects(), either.local()
    await keep(objects, "a.png", b"a")
    await moved(objects, local, to="local")
    os.utime(either.media / "a.png", (1e9, 1e9))
    await abandon(objects)
    assert await carry(objects) == 1
    assert await contents(objects.store) == {"a.png": b"a"}


async def test_a_name_that_the_object_store_has_with_other_bytes_stays_in_the_folder(
    places: Places, caplog: pytest.LogCaptureFixture
):
    objects = places.objects()
    await keep(objects, "a.png", b"a")
    await waiting(places, "a.png", b"other", row=False)
    assert await carry(objects) == 0
    assert "a.png stays in the media folder" in caplog.text
    assert folder(places) == ["a.png"]
    assert await contents(objects.store) == {"a.png": b"a"}


async def test_what_was_carried_half_is_carried_on(places: Places):
    """Killed between the object store and the folder: the file lies on both sides."""
    objects = places.objects()
    await keep(objects, "a.png", b"a")
    await waiting(places, "a.png", b"a", row=False)
    assert await carry(objects) == 1
    assert folder(places) == []
    assert len(places.blobs()) == 1


async def test_what_is_deleted_while_it_is_carried_stays_deleted(places: Places):
    objects = places.objects()
    await waiting(places, "a.png", b"a")
    library = places.objects()
    overlay = objects.store

    async def happen(name: str) -> None:
        if await places.catalog.find(name):
            await library.remove(name)

    overlay.waiting = Interrupting(overlay.waiting, happen)  # type: ignore[attr-defined]
    assert await carry(objects) == 1  # the trash
    assert await contents(library.store) == {}
    assert folder(places) == []
    assert (await library.restore("a.png")).name == "a.png"
