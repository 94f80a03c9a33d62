"""An object store with a waiting room: the contract of all stores, and what happens while the object store is away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from tests.servers import azurite, moto, swift
from tests.servers.buckets import Bucket, Folder
from tests.servers.swift import Swift
from tests.storage.conftest import OpenStore

from mediary.errors import DatabaseError, NotFoundError, StoreError
from mediary.storage.base import HasPath, HasWaitingRoom, Names, ReplacesFiles, SharesBytes, SignsLinks, Store
from mediary.storage.local import LocalStore
from mediary.storage.overlay import Overlay, lay_over
from mediary.testing.stores import StoreContract, fetch, names, noise, put


@pytest.fixture
def bucket() -> Bucket:
    return moto.new_bucket()


@pytest.fixture
def overlay(bucket: Bucket, open_store: OpenStore, spool: Path) -> Overlay:
    return lay_over(open_store(bucket), LocalStore(spool), pause=0)


@pytest.fixture
def trash(bucket: Bucket, open_store: OpenStore, tmp_path: Path) -> Overlay:
    """What shares bytes with the overlay."""
    folder = tmp_path / "trash"
    folder.mkdir()
    return lay_over(open_store(bucket, "trash", folder=folder), LocalStore(folder), pause=0)


class OverlayContract(StoreContract):
    """The contract, with the object store at work."""

    @pytest.fixture
    async def store(self, bucket: Bucket, overlay: Overlay, spool: Path) -> AsyncIterator[Store]:
        yield overlay
        assert set(bucket.list_keys()) == {bucket.prefix + held.key async for held in overlay.objects() if held.named}
        assert bucket.unfinished() == []
        assert [path for path in spool.rglob("*") if path.is_file()] == []

    @pytest.fixture
    def sibling(self, trash: Overlay) -> Store:
        return trash


class TestOverSwift(OverlayContract):
    """Over an S3 server that checks signatures."""

    @pytest.fixture
    def bucket(self) -> Bucket:
        return swift.server().new_bucket()


class TestOverAzurite(OverlayContract):
    """Over Azure Blob Storage."""

    @pytest.fixture
    def bucket(self) -> Bucket:
        return azurite.new_bucket()


class TestOverFolder(OverlayContract):
    """Over a folder of objects."""

    @pytest.fixture
    def bucket(self, tmp_path: Path) -> Bucket:
        return Folder(tmp_path / "objects")


def test_it_can_what_its_object_store_can(overlay: Overlay, open_store: OpenStore, spool: Path, tmp_path: Path) -> None:
    unsigned = lay_over(open_store(Folder(tmp_path / "objects")), LocalStore(spool))
    for store in (overlay, unsigned):
        assert isinstance(store, SharesBytes)
        assert isinstance(store, HasWaitingRoom)
        assert not isinstance(store, HasPath | ReplacesFiles)
    assert (isinstance(overlay, SignsLinks), isinstance(unsigned, SignsLinks)) == (True, False)


# A store that goes down, and comes back


@pytest.fixture(scope="module")
def own_swift() -> Swift:
    """A Swift that may be stopped."""
    return Swift(Path(mkdtemp(prefix="mediary-swift-")))


@pytest.fixture
def leaving(own_swift: Swift, open_store: OpenStore, spool: Path) -> Overlay:
    """Over the Swift that may be stopped."""
    return lay_over(open_store(own_swift.new_bucket()), LocalStore(spool), pause=0)


def waiting(spool: Path) -> list[str]:
    return sorted(path.name for path in spool.iterdir() if path.is_file())


async def test_what_comes_in_meanwhile_waits_and_is_served(leaving: Overlay, own_swift: Swift, spool: Path) -> None:
    large = noise(9_000_000)
    await put(leaving, "before.png", b"before")
    own_swift.proxy.stop()
    assert (await put(leaving, "during.png", b"during")).name == "during.png"
    assert (await put(leaving, "large.bin", large)).size == len(large)
    assert waiting(spool) == ["during.png", "large.bin"]
    assert await fetch(leaving, "during.png") == b"during"
    assert await fetch(leaving, "large.bin", 8_000_000) == large[8_000_000:]
    assert await names(leaving) == ["before.png", "during.png", "large.bin"]
    assert (await leaving.get("before.png")).size == 6
    with pytest.raises(StoreError):
        await fetch(leaving, "before.png")
    with pytest.raises(StoreError):
        await leaving.check()
    own_swift.proxy.start()
    await leaving.check()
    assert await fetch(leaving, "before.png") == b"before"
    assert (await put(leaving, "after.png", b"after")).name == "after.png"
    assert waiting(spool) == ["during.png", "large.bin"]
    assert await names(leaving) == ["after.png", "before.png", "during.png", "large.bin"]


async def test_a_store_that_leaves_in_the_middle_of_an_upload_loses_nothing(
    leaving: Overlay, own_swift: Swift, spool: Path
) -> None:
    data = noise(30_000_000)
    async with leaving.stage() as staged:
        for start in range(0, len(data), 1_000_000):
            await staged.write(data[start : start + 1_000_000])
        read = staged.spool.read

        async def watched(start: int, end: int) -> bytes:
            if start > 20_000_000:
                await asyncio.to_thread(own_swift.proxy.stop)
            return await read(start, end)

        staged.spool.read = watched
        stored = await staged.commit("a.bin")
    own_swift.proxy.start()
    assert (stored.name, stored.size) == ("a.bin", len(data))
    assert (spool / "a.bin").read_bytes() == data
    assert await fetch(leaving, "a.bin", 29_000_000) == data[29_000_000:]


async def test_a_database_that_is_away_loses_nothing(
    overlay: Overlay, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(overlay, "before.png", b"before")
    with monkeypatch.context() as away:

        async def names() -> Names:
            raise DatabaseError("the database failed: no connection")

        away.setattr(overlay.settled, "names", names)
        assert (await put(overlay, "during.png", b"during")).name == "during.png"
        assert (await put(overlay, "during.png", b"again")).name == "during-2.png"
        assert (await overlay.get("during.png")).size == 6
        assert await fetch(overlay, "during.png", 1) == b"uring"
        for work in (overlay.get("before.png"), fetch(overlay, "before.png"), overlay.get("absent.png")):
            with pytest.raises(DatabaseError):
                await work
    assert waiting(spool) == ["during-2.png", "during.png"]
    assert await fetch(overlay, "before.png") == b"before"


async def test_names_are_one_space_on_both_sides(leaving: Overlay, own_swift: Swift) -> None:
    stored = [await put(leaving, "a.png", b"0"), await put(leaving, "a.png", b"1")]
    own_swift.proxy.stop()
    stored += [await put(leaving, name, data) for name, data in (("a.png", b"2"), ("a.png", b"3"), ("b.png", b"4"))]
    own_swift.proxy.start()
    stored += [await put(leaving, "a.png", b"5"), await put(leaving, "b.png", b"6")]
    stored += [await leaving.adopt(leaving, "b.png", "a.png"), await leaving.adopt(leaving, "a.png", "b.png")]
    found = [file.name for file in stored]
    assert found == ["a.png", "a-2.png", "a-3.png", "a-4.png", "b.png", "a-5.png", "b-2.png", "a-6.png", "b-3.png"]
    assert b"".join([await fetch(leaving, name) for name in found]) == b"012345640"


async def test_after_a_failure_nobody_waits_for_a_while(own_swift: Swift, open_store: OpenStore, spool: Path) -> None:
    settled = open_store(own_swift.new_bucket())
    pausing = lay_over(settled, LocalStore(spool), pause=3600)
    own_swift.proxy.stop()
    await put(pausing, "a.png", b"a")
    own_swift.proxy.start()
    await put(pausing, "b.png", b"b")
    assert waiting(spool) == ["a.png", "b.png"]
    await put(settled, "c.png", b"c")
    assert await names(pausing) == ["a.png", "b.png", "c.png"]


# A folder that has files


async def test_files_of_the_folder_are_files_of_the_store(overlay: Overlay, spool: Path) -> None:
    (spool / "1704123456_dropped in_a1b2.png").write_bytes(b"dropped in")
    (spool / "later.png").write_bytes(b"later")
    await put(overlay, "b.png", b"settled")
    assert await names(overlay) == ["1704123456_dropped in_a1b2.png", "b.png", "later.png"]
    assert await fetch(overlay, "later.png", 1, 3) == b"at"
    assert await overlay.digest("later.png") is None
    assert isinstance(overlay, SignsLinks)
    with pytest.raises(NotFoundError):
        await overlay.sign("later.png", 60)
    await overlay.delete("later.png")
    assert not (spool / "later.png").exists()


async def test_a_waiting_file_can_go_to_the_trash_and_back(overlay: Overlay, trash: Overlay, spool: Path) -> None:
    (spool / "a.png").write_bytes(b"waiting")
    await trash.adopt(overlay, "a.png", "7.png")
    await overlay.delete("a.png")
    assert await fetch(trash, "7.png") == b"waiting"
    await overlay.adopt(trash, "7.png", "a.png")
    await trash.delete("7.png")
    assert (await names(overlay), await names(trash)) == (["a.png"], [])
    assert waiting(spool) == ["a.png"]


async def test_a_file_that_lies_on_both_sides_is_one(overlay: Overlay, spool: Path) -> None:
    await put(overlay, "a.png", b"bytes")
    (spool / "a.png").write_bytes(b"bytes")  # as it is for a moment while it is carried over
    assert await names(overlay) == ["a.png"]
    await overlay.delete("a.png")
    assert await names(overlay) == []
    with pytest.raises(NotFoundError):
        await overlay.delete("a.png")


async def test_a_file_that_is_carried_over_is_there_at_every_moment(overlay: Overlay, spool: Path) -> None:
    for number in range(20):
        name = f"{number}.png"
        (spool / name).write_bytes(b"bytes")
        reading = [asyncio.create_task(fetch(overlay, name)) for _ in range(5)]
        await put(overlay.settled, name, b"bytes")
        await overlay.waiting.delete(name)
        assert await asyncio.gather(*reading) == [b"bytes"] * 5


@pytest.mark.parametrize("limit", [1, 2, 7, 40, 100])
async def test_pages_go_through_both_sides(limit: int, overlay: Overlay, spool: Path) -> None:
    expected = [f"{number:02}.png" for number in range(40)]
    for number, name in enumerate(expected):
        if number % 3:
            (spool / name).write_bytes(b"x")
        else:
            await put(overlay, name, b"x")
    found: list[str] = []
    page = await overlay.list(None, limit)
    while True:
        assert len(page.files) <= limit
        found += [file.name for file in page.files]
        if page.next is None:
            break
        page = await overlay.list(page.next, limit)
    assert found == expected
