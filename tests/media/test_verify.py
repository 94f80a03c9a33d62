"""Every byte is read: what is missing, altered or orphaned is told, on both kinds of store, and nothing is changed."""

import os
import time
from pathlib import Path

import pytest
from tests.media.libraries import Places, contents, digest, keep
from tests.servers.databases import Database

from mediary.errors import StoreError
from mediary.media.library import MediaLibrary
from mediary.media.verify import Report, verify
from mediary.net.client import HttpClient


@pytest.fixture
def places(tmp_path: Path, database: Database, http: HttpClient) -> Places:
    return Places(tmp_path, database, http)


@pytest.fixture(params=["local", "objects"])
def library(request: pytest.FixtureRequest, places: Places) -> MediaLibrary:
    made: MediaLibrary = getattr(places, request.param)()
    return made


def names(report: Report) -> dict[str, list[str]]:
    """What was found, by kind."""
    kinds = ("missing", "altered", "unreadable", "orphaned")
    return {kind: [found.name for found in getattr(report, kind)] for kind in kinds if getattr(report, kind)}


def bytes_of(places: Places, library: MediaLibrary, data: bytes) -> Path:
    """Where these bytes lie."""
    folder = places.media if library.store.__class__.__name__ == "LocalStore" else places.root / "objects"
    return next(path for path in folder.rglob("*") if path.is_file() and path.read_bytes() == data)


async def test_a_library_in_order(library: MediaLibrary):
    for number in range(20):
        await keep(library, f"{number}.png", b"%d" % number * 1000)
    await library.remove("7.png")
    told: list[tuple[int, int, int]] = []

    report = await verify(library, lambda *progress: told.append(progress))

    assert report.ok
    assert (report.checked, report.filled) == (20, 0)
    assert report.bytes == sum(len(b"%d" % number * 1000) for number in range(20))
    assert told == [(done, 20, told[done - 1][2]) for done in range(1, 21)]
    assert told[-1][2] == report.bytes


async def test_an_empty_library_is_in_order(library: MediaLibrary):
    report = await verify(library)
    assert report.ok
    assert report.checked == 0


async def test_missing_altered_and_cut_files_are_told_and_left_alone(places: Places, library: MediaLibrary):
    for name in ("altered", "cut", "gone", "well"):
        await keep(library, f"{name}.png", name.encode() * 100_000)
    bytes_of(places, library, b"gone" * 100_000).unlink()
    altered = bytes_of(places, library, b"altered" * 100_000)
    with altered.open("r+b") as file:
        file.seek(650_000)
        file.write(b"?")
    os.truncate(bytes_of(places, library, b"cut" * 100_000), 5)

    report = await verify(library)

    found = names(report)
    # An object that is shorter than it was cannot be read to its end; a file is simply another one.
    assert found.pop("unreadable", []) + found["altered"] in (["altered.png", "cut.png"], ["cut.png", "altered.png"])
    assert found["missing"] == ["gone.png"]
    assert not report.ok
    assert altered.exists()
    assert await places.catalog.count() == 4


async def test_a_digest_that_was_not_known_is_filled_in(places: Places, library: MediaLibrary):
    await keep(library, "new.png", b"new", known=False)
    report = await verify(library)
    assert report.ok
    assert report.filled == 1
    assert (await places.catalog.get("new.png")).sha256 == digest(b"new")
    assert (await verify(library)).filled == 0


async def test_a_file_that_no_row_knows_is_an_orphan_but_notes_are_nobodys_business(
    places: Places, library: MediaLibrary
):
    await keep(library, "known.png", b"known")
    (places.media / "stray.png").write_bytes(b"stray")
    (places.media / "notes.txt").write_bytes(b"notes")
    (places.media / "thumbnails" / "small.webp").write_bytes(b"small")
    assert names(await verify(library)) == {"orphaned": ["stray.png"]}


async def test_the_trash_is_read_too(places: Places, library: MediaLibrary):
    for name in ("altered", "gone", "well"):
        await keep(library, f"{name}.png", name.encode() * 10)
        await library.remove(f"{name}.png")
    bytes_of(places, library, b"altered" * 10).write_bytes(b"ALTERED" * 10)
    bytes_of(places, library, b"gone" * 10).unlink()
    (places.media / ".trash" / "17.png").write_bytes(b"stray")
    report = await verify(library)
    assert names(report) == {"altered": ["altered.png"], "missing": ["gone.png"], "orphaned": ["17.png"]}
    assert all("in the trash" in found.why for found in (*report.altered, *report.missing, *report.orphaned))


async def test_objects_without_a_name_are_orphans_once_they_are_old(places: Places):
    library = places.objects()
    await keep(library, "a.png", b"a")
    for name, age in (("old", 90_000), ("young", 60)):
        blob = places.root / "objects" / "blobs" / "ab" / name
        blob.parent.mkdir(exist_ok=True)
        blob.write_bytes(b"lost")
        os.utime(blob, (time.time() - age, time.time() - age))
    assert names(await verify(library)) == {"orphaned": ["blobs/ab/old"]}


async def test_a_file_that_cannot_be_read_does_not_end_it(places: Places):
    library = places.local()
    await keep(library, "a.png", b"a" * 1000)
    await keep(library, "b.png", b"b" * 1000)
    store = library.store

    class Failing:
        """The store, on a disk with a bad sector."""

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        async def read(self, name: str, start: int = 0, end: int | None = None):
            if name == "a.png":
                raise StoreError("The disk of the media store failed: input/output error")
            async for piece in store.read(name, start, end):
                yield piece

    library.store = Failing()  # type: ignore[assignment]
    report = await verify(library)
    assert names(report) == {"unreadable": ["a.png"]}
    assert report.checked == 2


async def test_a_store_that_is_not_there_ends_it(places: Places):
    library = places.local()
    await keep(library, "a.png", b"a")
    places.media.rename(places.root / "elsewhere")
    with pytest.raises(StoreError):
        await verify(library)


async def test_two_names_of_the_same_bytes_are_both_read(library: MediaLibrary):
    await keep(library, "a.png", b"same")
    await keep(library, "b.png", b"same")
    await library.remove("a.png")
    assert (await verify(library)).checked == 2
    assert await contents(library.store) == {"b.png": b"same"}
