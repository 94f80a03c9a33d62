"""The upkeep: what happens beside the server is noticed, what is new is read, and nothing that fails ends it."""

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.media.embedding import png_chunk
from tests.media.samples import picture, sound

from mediary.errors import DatabaseError
from mediary.media import indexer as indexer_module
from mediary.media import trash as trash_module
from mediary.media import upkeep as upkeep_module
from mediary.media.catalog import Catalog
from mediary.media.indexer import Indexer, Progress
from mediary.media.intake import save_response_media
from mediary.media.item import HEADERS, WHOLE
from mediary.media.library import MediaLibrary
from mediary.media.reader import Reader
from mediary.media.sync import FOLDER, sync
from mediary.media.upkeep import Upkeep
from mediary.media.watch import Watch
from mediary.sandbox.pool import Sandbox

PATIENCE = 30


async def until(state: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what another process or the system brings about."""
    async with asyncio.timeout(PATIENCE):
        while not await state():  # noqa: ASYNC110 - it is not in this process
            await asyncio.sleep(0.02)


@pytest.fixture
async def indexer(library: MediaLibrary, folder: Path) -> AsyncIterator[Indexer]:
    sandbox = Sandbox(1, readable=[folder])
    yield Indexer(library.store, Reader(sandbox, 10**8), folder)
    await sandbox.close()


@asynccontextmanager
async def kept(library: MediaLibrary, indexer: Indexer, folder: Path, *, watch: bool = True) -> AsyncIterator[None]:
    upkeep = Upkeep(library, indexer, folder, setting="local", trash_days=30, watch=watch)
    task = asyncio.create_task(upkeep.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def has(catalog: Catalog, name: str, level: int = 0) -> Callable[[], Awaitable[bool]]:
    async def known() -> bool:
        item = await catalog.find(name)
        return item is not None and item.read >= level

    return known


def lacks(catalog: Catalog, name: str) -> Callable[[], Awaitable[bool]]:
    async def unknown() -> bool:
        return await catalog.find(name) is None

    return unknown


@pytest.mark.parametrize("watch", [True, False])
async def test_what_lies_there_is_found_and_read(
    library: MediaLibrary, indexer: Indexer, folder: Path, catalog: Catalog, watch: bool
):
    (folder / "a.png").write_bytes(picture())
    os.utime(folder / "a.png", (1000, 1000))
    async with kept(library, indexer, folder, watch=watch):
        await until(has(catalog, "a.png", WHOLE))
    item = await catalog.get("a.png")
    assert (item.width, item.height, item.problem) == (64, 48, None)
    assert item.sha256
    assert item.thumbhash


async def test_what_comes_and_goes_beside_is_noticed(
    library: MediaLibrary, indexer: Indexer, folder: Path, catalog: Catalog, tmp_path: Path
):
    async with kept(library, indexer, folder):
        (folder / "copied.png").write_bytes(picture())
        await until(has(catalog, "copied.png"))
        (tmp_path / "moved.png").write_bytes(picture())
        (tmp_path / "moved.png").rename(folder / "moved.png")
        await until(has(catalog, "moved.png"))
        (folder / "moved.png").rename(folder / "renamed.png")
        await until(has(catalog, "renamed.png"))
        await until(lacks(catalog, "moved.png"))
        (folder / "copied.png").unlink()
        await until(lacks(catalog, "copied.png"))


async def test_a_replaced_file_tells_of_itself(
    library: MediaLibrary, indexer: Indexer, folder: Path, catalog: Catalog, tmp_path: Path
):
    def put(data: bytes) -> None:
        (tmp_path / "new.png").write_bytes(data)
        os.utime(tmp_path / "new.png", (1000, len(data)))
        (tmp_path / "new.png").rename(folder / "a.png")

    def is_read(data: bytes) -> Callable[[], Awaitable[bool]]:
        async def known() -> bool:
            return (await catalog.get("a.png")).sha256 == hashlib.sha256(data).hexdigest()

        return known

    def picture_of(words: bytes) -> bytes:
        return picture()[:33] + png_chunk(b"tEXt", b"parameters\0" + words) + picture()[33:]

    told = picture_of(b"a cat\nNegative prompt: rain\nSteps: 20, Sampler: Euler, Seed: 1, Model: sdxl")
    other = picture_of(b"a dog\nSteps: 30, Sampler: Euler, Seed: 2")
    plain = sound("wav", "pcm_s16le")
    put(told)
    async with kept(library, indexer, folder):
        await until(has(catalog, "a.png", WHOLE))
        await catalog.update("a.png", {"tags": ("mine",)})
        put(other)
        await until(is_read(other))
        item = await catalog.get("a.png")
        assert (item.prompt, item.negative_prompt, item.model, item.steps) == ("a dog", "", None, 30)
        assert item.tags == ("mine",)
    put(plain)
    async with kept(library, indexer, folder):
        await until(is_read(plain))
    item = await catalog.get("a.png")
    assert (item.prompt, item.kind, item.width, item.thumbhash, item.colour) == ("a dog", "audio", None, None, None)
    assert item.duration


async def test_a_file_that_grows_is_taken_when_it_is_complete(folder: Path):
    async with Watch(folder) as watch:
        with (folder / "a.png").open("wb", buffering=0) as file:
            settled = asyncio.create_task(watch.settled(PATIENCE))
            for _ in range(8):
                file.write(b"x")
                done, _ = await asyncio.wait([settled], timeout=0.2)
                assert not done
        assert await settled == {"a.png"}
        assert (folder / "a.png").stat().st_size == 8


async def test_what_is_no_media_file_is_not_named(folder: Path):
    async with Watch(folder) as watch:
        for name in (".hidden.png", "a.txt", ".incoming"):
            (folder / name).touch()
        (folder / "thumbnails").mkdir()
        (folder / "thumbnails" / "a.png").touch()
        (folder / "a.png").touch()
        assert await watch.settled(PATIENCE) == {"a.png"}


async def test_very_many_are_not_named(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mediary.media.watch.MANY", 10)
    async with Watch(folder) as watch:
        for number in range(50):
            (folder / f"{number}.png").touch()
        assert await watch.settled(PATIENCE) is None


async def test_nothing_happens(folder: Path):
    async with Watch(folder) as watch:
        assert await watch.settled(0.01) == set()


async def test_a_folder_that_cannot_be_watched(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, "mediary"):
        async with Watch(tmp_path / "nothing") as watch:
            await watch.settled(0.01)
            assert not watch.works
    assert "cannot be watched" in caplog.text


async def test_a_burst_is_found(
    library: MediaLibrary, indexer: Indexer, folder: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mediary.media.watch.MANY", 20)

    async def all_known() -> bool:
        return await catalog.count() == 100

    os.utime(folder, (1000, 1000))
    async with kept(library, indexer, folder):
        await until(lambda: _noted(catalog))
        for number in range(100):
            (folder / f"{number}.png").write_bytes(picture())
        await until(all_known)


async def _noted(catalog: Catalog) -> bool:
    return await catalog.state(FOLDER) is not None


async def test_an_unchanged_folder_is_not_compared_again(
    library: MediaLibrary, indexer: Indexer, folder: Path, catalog: Catalog
):
    async def start() -> None:
        await Upkeep(library, indexer, folder, setting="local", trash_days=30, watch=False)._follow()

    (folder / "a.png").write_bytes(picture())
    os.utime(folder, (1000, 1000))
    await start()
    await catalog.remove("a.png")  # what only a comparison would find
    await start()
    assert await catalog.find("a.png") is None
    os.utime(folder, (2000, 2000))
    await start()
    assert await catalog.find("a.png")


async def test_an_empty_folder_in_the_place_of_another_costs_no_row(
    library: MediaLibrary, indexer: Indexer, folder: Path, catalog: Catalog, caplog: pytest.LogCaptureFixture
):
    """The disk is not mounted."""
    (folder / "a.png").write_bytes(picture())
    os.utime(folder, (1000, 1000))
    async with kept(library, indexer, folder):
        await until(lambda: _noted(catalog))
    folder.rename(folder.with_name("elsewhere"))
    folder.mkdir()

    async def told() -> bool:
        return "is its disk mounted" in caplog.text

    with caplog.at_level(logging.WARNING, "mediary"):
        async with kept(library, indexer, folder):
            await until(told)
    assert (await catalog.get("a.png")).size == len(picture())
    folder.rmdir()
    folder.with_name("elsewhere").rename(folder)
    (folder / "a.png").unlink()  # now it was deleted
    async with kept(library, indexer, folder):
        await until(lacks(catalog, "a.png"))


async def test_what_was_said_is_not_overwritten(
    library: MediaLibrary, indexer: Indexer, folder: Path, catalog: Catalog
):
    [response] = [one async for one in save_response_media(picture(), "a cat", library=library, model="flux")]
    name = response.urls[0].removeprefix("/media/")
    while (await indexer.step(catalog)).done:
        pass
    item = await catalog.get(name)
    assert (item.prompt, item.model, item.read, item.width) == ("a cat", "flux", WHOLE, 64)


async def test_what_cannot_be_read_is_tried_once(
    indexer: Indexer, folder: Path, catalog: Catalog, library: MediaLibrary
):
    for name in ("broken.png", "empty.mp4"):
        (folder / name).write_bytes(picture()[:40] if name == "broken.png" else b"")
        os.utime(folder / name, (1000, 1000))
        await library.get(name)
    while (await indexer.step(catalog)).done:
        pass
    for name in ("broken.png", "empty.mp4"):
        assert (await catalog.get(name)).problem
    assert (await indexer.step(catalog)).postponed == 0


async def test_a_young_file_is_left_for_later(indexer: Indexer, folder: Path, catalog: Catalog, library: MediaLibrary):
    (folder / "a.png").write_bytes(picture())
    await library.get("a.png")
    progress = await indexer.step(catalog)
    assert (progress.done, progress.postponed) == (0, 1)
    os.utime(folder / "a.png", (1000, 1000))
    assert (await indexer.step(catalog)).done == 1
    item = await catalog.get("a.png")
    assert (item.read, item.modified) == (HEADERS, 1000)


async def test_a_file_that_is_gone_may_have_another_name(
    indexer: Indexer, folder: Path, catalog: Catalog, library: MediaLibrary
):
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(picture())
        os.utime(folder / name, (1000, 1000 + ord(name[0])))
    await sync(library.store, catalog, folder)
    await catalog.update("a.png", {"tags": ("mine",)})
    (folder / "a.png").rename(folder / "c.png")
    assert await indexer.step(catalog) == Progress(1, 1)
    await sync(library.store, catalog, folder)
    assert (await catalog.get("c.png")).tags == ("mine",)


async def test_a_file_that_is_gone_loses_its_row(
    indexer: Indexer, folder: Path, catalog: Catalog, library: MediaLibrary, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(indexer_module, "MISSED_SECONDS", 0)
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(picture())
        os.utime(folder / name, (1000, 1000))
        await library.get(name)
    (folder / "a.png").unlink()
    assert (await indexer.step(catalog)).done == 2
    assert await catalog.names() == ["b.png"]
    (folder / "b.png").unlink()  # all are gone: the disk may not be mounted
    assert (await indexer.step(catalog)).done == 0
    assert await catalog.names() == ["b.png"]


async def test_a_database_that_fails_delays_it(
    library: MediaLibrary, indexer: Indexer, folder: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):  # fmt: skip
    monkeypatch.setattr(upkeep_module, "RETRY_SECONDS", 0.02)
    (folder / "a.png").write_bytes(picture())
    failures = iter(range(9))

    async def flaky() -> Catalog:
        if next(failures, None) is not None:
            raise DatabaseError("the database is gone")
        return catalog

    library = MediaLibrary(library.store, flaky, library.http)
    with caplog.at_level(logging.WARNING, "mediary"):
        async with kept(library, indexer, folder):
            await until(has(catalog, "a.png"))
    assert caplog.text.count("the database is gone") == 1


async def test_the_trash_is_emptied(
    library: MediaLibrary, indexer: Indexer, folder: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    (folder / "a.png").write_bytes(picture())
    await library.remove("a.png")
    now = time.time
    monkeypatch.setattr(trash_module.time, "time", lambda: now() + 31 * 86_400)

    async def emptied() -> bool:
        return await catalog.find_trashed("a.png") is None

    async with kept(library, indexer, folder):
        await until(emptied)
    assert not list((folder / ".trash").iterdir())


async def test_stopped_at_once(library: MediaLibrary, indexer: Indexer, folder: Path, catalog: Catalog):
    for number in range(300):
        (folder / f"{number}.png").write_bytes(picture())
        os.utime(folder / f"{number}.png", (1000, 1000))
    async with kept(library, indexer, folder):
        await until(has(catalog, "1.png"))
    tasks = {task.get_name() for task in asyncio.all_tasks()}
    assert not {name for name in tasks if "media" in name}
    async with kept(library, indexer, folder):  # and it goes on where it was
        await until(has(catalog, "299.png", HEADERS))
