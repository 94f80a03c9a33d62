"""The garbage goes, with a reason for each piece; a dry run changes nothing; what an item names stays."""

import os
import time
from pathlib import Path

import pytest
from tests.media.libraries import Places, contents, keep
from tests.servers.databases import Database

from mediary.errors import StoreError
from mediary.media.collect import Doomed, collect
from mediary.media.library import MediaLibrary
from mediary.media.thumbnails import thumbnail_name
from mediary.net.client import HttpClient


@pytest.fixture
def places(tmp_path: Path, database: Database, http: HttpClient) -> Places:
    return Places(tmp_path, database, http)


@pytest.fixture(params=["local", "objects"])
def library(request: pytest.FixtureRequest, places: Places) -> MediaLibrary:
    made: MediaLibrary = getattr(places, request.param)()
    return made


def tree(places: Places) -> dict[str, bytes]:
    """Every file that is no part of a database."""
    files = (path for path in places.root.rglob("*") if path.is_file() and ".db" not in path.name)
    return {str(path.relative_to(places.root)): path.read_bytes() for path in files}


async def tried_dry(places: Places, library: MediaLibrary, days: float = 30) -> list[Doomed]:
    """Collect, after a dry run that told the same and changed nothing."""
    before, rows = tree(places), (await places.catalog.count(), len(await places.catalog.expired(time.time() + 1)))
    told = await collect(library, trash_days=days, dry_run=True)
    assert tree(places) == before
    assert (await places.catalog.count(), len(await places.catalog.expired(time.time() + 1))) == rows
    assert await collect(library, trash_days=days) == told
    assert await collect(library, trash_days=days) == []
    return told


async def thumbnail(library: MediaLibrary, etag: str, width: int | None = 160) -> str:
    """A thumbnail of a source."""
    async with library.thumbnails.stage() as staged:
        await staged.write(b"small")
        return (await staged.commit(thumbnail_name(etag, width, webp=True))).name


async def test_there_is_nothing_to_collect_in_a_library_in_order(places: Places, library: MediaLibrary):
    for name in ("a", "b"):
        await keep(library, f"{name}.png", b"same")
        await thumbnail(library, (await library.store.get(f"{name}.png")).etag, 160 if name == "a" else None)
    await keep(library, "c.png", b"other")
    await library.remove("c.png")
    assert await tried_dry(places, library) == []
    assert await contents(library.store) == {"a.png": b"same", "b.png": b"same"}


async def test_old_trash_goes(places: Places, library: MediaLibrary):
    await keep(library, "a.png", b"a" * 100)
    await keep(library, "b.png", b"a" * 100)
    await library.remove("a.png")
    [gone] = await tried_dry(places, library, days=0)
    assert (gone.what, gone.name, gone.size) == ("trash", "a.png", 100)
    assert "deleted" in gone.why
    assert await contents(library.store) == {"b.png": b"a" * 100}


async def test_the_thumbnails_of_what_is_gone_go_and_somebodys_own_stay(places: Places, library: MediaLibrary):
    await keep(library, "a.png", b"a")
    kept = await thumbnail(library, (await library.store.get("a.png")).etag)
    gone = [await thumbnail(library, "gone", width) for width in (160, None)]
    (places.media / "thumbnails" / "1700000000_own_0123456789abcdef.png").write_bytes(b"own")
    found = await tried_dry(places, library)
    assert [(doomed.what, doomed.name, doomed.size) for doomed in found] == [
        ("thumbnail", name, 5) for name in sorted(gone)
    ]
    assert await contents(library.thumbnails) == {kept: b"small", "1700000000_own_0123456789abcdef.png": b"own"}


async def test_a_row_without_a_file_goes(places: Places):
    library = places.local()
    await keep(library, "a.png", b"a")
    await keep(library, "b.png", b"b")
    (places.media / "a.png").unlink()
    assert await tried_dry(places, library) == [Doomed("row", "a.png", "its file is gone", 0)]
    assert await places.catalog.count() == 1


async def test_the_rows_stay_when_the_folder_is_gone_or_empty(places: Places):
    library = places.local()
    await keep(library, "a.png", b"a")
    (places.media / "a.png").unlink()
    assert await collect(library, trash_days=30) == []
    places.media.rename(places.root / "elsewhere")
    with pytest.raises(StoreError):
        await collect(library, trash_days=30)
    assert await places.catalog.count() == 1


async def test_a_row_whose_file_may_wait_at_another_node_stays(places: Places):
    library = places.objects()
    await keep(library, "a.png", b"a")
    await keep(library, "b.png", b"b")
    await library.store.delete("a.png")
    assert await collect(library, trash_days=30) == []
    assert await places.catalog.find("a.png")


async def test_objects_without_a_name_go_once_they_are_old(places: Places):
    library = places.objects()
    await keep(library, "a.png", b"a")
    await keep(library, "b.png", b"b")
    await library.remove("b.png")
    for blob in places.blobs():
        os.utime(blob, (1e9, 1e9))
    for name, age in (("old", 90_000), ("young", 60)):
        blob = places.root / "objects" / "blobs" / "ab" / name
        blob.parent.mkdir(exist_ok=True)
        blob.write_bytes(b"lost")
        os.utime(blob, (time.time() - age, time.time() - age))
    assert await tried_dry(places, library) == [Doomed("object", "blobs/ab/old", "no name leads to it", 4)]
    assert len(places.blobs()) == 3
    assert await contents(library.store) == {"a.png": b"a"}
    assert (await library.restore("b.png")).name == "b.png"


async def test_what_a_killed_writer_left_goes_and_what_is_being_written_stays(places: Places, library: MediaLibrary):
    for folder in (".incoming", "thumbnails/.incoming"):
        (places.media / folder).mkdir(exist_ok=True)
        (places.media / folder / "left").write_bytes(b"half")
    async with library.store.stage() as staged:
        await staged.write(b"x" * 600_000)
        found = await tried_dry(places, library)
        stored = await staged.commit("a.png")
    assert [(doomed.what, doomed.name, doomed.size) for doomed in found] == [("leftover", "left", 4)] * 2
    assert stored.size == 600_000


async def test_files_in_the_trash_that_no_row_knows_go_when_they_are_old(places: Places):
    library = places.local()
    for name, age in (("1.png", 40), ("2.png", 10)):
        path = places.media / ".trash" / name
        path.write_bytes(b"lost")
        os.utime(path, (time.time() - age * 86_400,) * 2)
    assert [doomed.name for doomed in await tried_dry(places, library)] == ["1.png"]
