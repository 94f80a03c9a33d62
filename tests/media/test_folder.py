"""The folder is the truth: what is in it is found, what is not in it any more is not."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.media.samples import picture

from mediary.errors import NotFoundError, StoreError
from mediary.media import folder_scan
from mediary.media.catalog import Catalog
from mediary.media.folder import fingerprint, list_names
from mediary.media.intake import save_response_media
from mediary.media.item import NAMED, WHOLE, ItemFilter, SearchQuery
from mediary.media.library import MediaLibrary
from mediary.media.sync import SyncResult, compare, item_of, sync, sync_names, sync_replaced
from mediary.storage.base import Page, StoredFile
from mediary.storage.local import LocalStore

NAME = "1704123456_flux+anime+character_a1b2c3d4e5f67890.jpg"


@pytest.fixture
def store(folder: Path) -> LocalStore:
    return LocalStore(folder)


async def names(catalog: Catalog) -> list[str]:
    return await catalog.names("", 10_000)


async def listed(folder: Path) -> list[str]:
    return [name for window in [window async for window in list_names(folder)] for name in window]


def fill(folder: Path, number: int) -> None:
    for name in map("{}.png".format, range(number)):
        (folder / name).touch()


async def test_a_name_of_the_older_system(store: LocalStore, catalog: Catalog, folder: Path):
    (folder / NAME).write_bytes(b"anything")
    assert await sync(store, catalog, folder) == SyncResult(1, 0)
    item = await catalog.get(NAME)
    assert (item.kind, item.media_type, item.size) == ("image", "image/jpeg", 8)
    assert (item.created, item.alt, item.prompt) == (1704123456, "flux anime character", "")
    assert (item.read, item.modified) == (NAMED, (folder / NAME).stat().st_mtime)
    found = await catalog.search(SearchQuery(tokens=("image", "ANIME", "flux")))
    assert [item.name for item in found.items] == [NAME]


async def test_only_media_files_count(store: LocalStore, catalog: Catalog, folder: Path):
    for name in ("a.png", "B.JPEG", "ć.mp4", "with space.webp", "100%_*.gif", "new\nline.png", "猫.ogg"):
        (folder / name).touch()
    for name in (".hidden.png", "a.txt", "png", "a.png.part", "back\\slash.png"):
        (folder / name).touch()
    (folder / "folder.png").mkdir()
    (folder / "link.png").symlink_to(folder / "a.png")
    os.mkfifo(folder / "pipe.png")
    (folder / "thumbnails").mkdir()
    (folder / "thumbnails" / "1_small.jpg").touch()
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.png")).touch()
    assert (await sync(store, catalog, folder)).appeared == 7
    expected = sorted(["a.png", "B.JPEG", "ć.mp4", "with space.webp", "100%_*.gif", "new\nline.png", "猫.ogg"])
    assert await names(catalog) == expected == await listed(folder)


async def test_what_vanished_is_forgotten(store: LocalStore, catalog: Catalog, folder: Path):
    for number in range(30):
        (folder / f"{number}.png").touch()
    await sync(store, catalog, folder)
    for number in range(0, 30, 3):
        (folder / f"{number}.png").unlink()
    (folder / "new.png").touch()
    assert await sync(store, catalog, folder) == SyncResult(1, 10)
    assert await names(catalog) == await listed(folder)
    assert await sync(store, catalog, folder) == SyncResult()


async def test_a_saved_file_keeps_its_row(library: MediaLibrary, catalog: Catalog, folder: Path):
    [response] = [one async for one in save_response_media(picture(), "a cat", library=library)]
    name = response.urls[0].removeprefix("/media/")
    assert (
        await sync(library.store, catalog, folder) == await sync_names(library.store, catalog, [name]) == SyncResult()
    )
    assert (await catalog.get(name)).prompt == "a cat"


async def test_saved_while_the_names_are_compared(library: MediaLibrary, catalog: Catalog, folder: Path):
    """None of them is lost, and no prompt."""

    async def save(number: int) -> None:
        async for _ in save_response_media(picture(width=8 + number), f"prompt {number}", library=library):
            pass

    async def compare_all() -> None:
        for _ in range(8):
            await sync(library.store, catalog, folder)

    await asyncio.gather(compare_all(), *map(save, range(40)))
    await compare_all()
    page = await catalog.list(ItemFilter(), limit=100)
    assert sorted(item.prompt for item in page.items) == sorted(f"prompt {number}" for number in range(40))
    assert await names(catalog) == await listed(folder)


async def test_a_folder_that_is_not_there(store: LocalStore, catalog: Catalog, folder: Path, tmp_path: Path):
    (folder / "a.png").touch()
    await sync(store, catalog, folder)
    with pytest.raises(StoreError, match="no such file"):
        await sync(store, catalog, tmp_path / "nothing")
    with pytest.raises(StoreError):
        fingerprint(tmp_path / "nothing")
    assert await names(catalog) == ["a.png"]


async def test_what_is_found_is_there_at_once(store: LocalStore, catalog: Catalog, folder: Path):
    await asyncio.to_thread(fill, folder, 2500)
    steps: list[SyncResult] = []
    await sync(store, catalog, folder, steps.append)
    assert len(steps) > 1
    assert steps[-1] == SyncResult(2500, 0)
    assert await catalog.count() == 2500


async def test_a_store_that_lists_itself(catalog: Catalog):
    """As an object store does."""

    class Listing:
        def __init__(self) -> None:
            names = map("{}.png".format, range(4321))
            self.files = {name: StoredFile(name, 5, 1.0, "e") for name in names}

        async def list(self, after: str | None = None, limit: int = 1000) -> Page:
            found = sorted(name for name in self.files if name > (after or ""))
            page = found[:limit]
            return Page(tuple(self.files[name] for name in page), page[-1] if len(found) > limit else None)

        async def get(self, name: str) -> StoredFile:
            await asyncio.sleep(0)  # as whatever asks a database
            if name not in self.files:
                raise NotFoundError(name)
            return self.files[name]

    store = Listing()
    assert await sync(store, catalog, None) == SyncResult(4321, 0)  # type: ignore[arg-type]
    del store.files["77.png"]
    assert await sync(store, catalog, None) == SyncResult(0, 1)  # type: ignore[arg-type]


async def test_a_replaced_file_is_read_anew(store: LocalStore, catalog: Catalog, folder: Path):
    (folder / "a.png").write_bytes(picture())
    await sync(store, catalog, folder)
    await catalog.update("a.png", {"sha256": "0" * 64, "read": WHOLE, "tags": ("mine",)})
    (folder / "a.png").write_bytes(picture(width=65))
    assert await sync_names(store, catalog, ["a.png", "b.png"]) == SyncResult()
    item = await catalog.get("a.png")
    assert (item.size, item.sha256, item.read, item.tags) == (len(picture(width=65)), None, NAMED, ("mine",))


async def test_what_was_replaced_while_nobody_looked(store: LocalStore, catalog: Catalog, folder: Path):
    for name in ("a.png", "b.png", "c.png"):
        (folder / name).write_bytes(picture())
    await sync(store, catalog, folder)
    await catalog.update_many({name: {"sha256": "0" * 64, "read": WHOLE} for name in ("a.png", "b.png")})
    (folder / "a.png").write_bytes(picture(width=65))
    (folder / "c.png").unlink()
    assert await sync_replaced(store, catalog) == 1
    assert [(await catalog.get(name)).read for name in ("a.png", "b.png", "c.png")] == [NAMED, WHOLE, NAMED]


@pytest.mark.parametrize("new", ["0.png", "z.png"])
@pytest.mark.parametrize("few", [True, False])
async def test_a_renamed_file_keeps_what_was_said_of_it(
    store: LocalStore, catalog: Catalog, folder: Path, new: str, few: bool
):
    for name in ("a.png", "b.png", "c.png"):
        (folder / name).write_bytes(picture())
    await sync(store, catalog, folder)
    said = {"prompt": "a whale", "tags": ("mine",), "sha256": "0" * 64, "read": WHOLE}
    await catalog.update_many(dict.fromkeys(("a.png", "b.png"), said))
    (folder / "a.png").rename(folder / new)
    (folder / "b.png").unlink()
    if few:
        assert await sync_names(store, catalog, ["a.png", "b.png", new]) == SyncResult(1, 2)
    else:
        assert await sync(store, catalog, folder) == SyncResult(1, 2)
    assert await names(catalog) == sorted([new, "c.png"])
    item = await catalog.get(new)
    assert (item.prompt, item.tags, item.read) == ("a whale", ("mine",), WHOLE)
    found = await catalog.search(SearchQuery(tokens=("whale", new)), count=True)
    assert (found.total, found.items) == (1, (item,))


async def test_a_renamed_file_is_known_before_anybody_looked(library: MediaLibrary, folder: Path, catalog: Catalog):
    (folder / "a_cat.png").write_bytes(picture())
    (folder / "b_cat.png").hardlink_to(folder / "a_cat.png")
    await library.tag("a_cat.png", ["mine"])
    await library.get("b_cat.png")
    (folder / "a_cat.png").rename(folder / "a_dog.png")
    item = await library.get("a_dog.png")
    assert (item.tags, item.alt) == (("mine",), "a dog")
    assert await names(catalog) == ["a_dog.png", "b_cat.png"]
    assert (await library.search("cat")).items == (await library.get("b_cat.png"),)


async def test_another_name_of_a_file_that_went_is_no_new_one(store: LocalStore, catalog: Catalog, folder: Path):
    (folder / "a.png").write_bytes(picture())
    (folder / "b.png").hardlink_to(folder / "a.png")
    await sync(store, catalog, folder)
    await catalog.update_many({"a.png": {"prompt": "a whale"}, "b.png": {"prompt": "a cat"}})
    (folder / "a.png").unlink()
    assert await sync(store, catalog, folder) == SyncResult(0, 1)
    assert (await catalog.get("b.png")).prompt == "a cat"


async def test_a_few_names(store: LocalStore, catalog: Catalog, folder: Path):
    (folder / "a.png").touch()
    (folder / "b.txt").touch()
    assert await sync_names(store, catalog, ["a.png", "b.txt", "c.png"]) == SyncResult(1, 0)
    (folder / "a.png").unlink()
    assert await sync_names(store, catalog, ["a.png"]) == SyncResult(0, 1)


async def test_cancelled_in_the_middle(store: LocalStore, catalog: Catalog, folder: Path):
    await asyncio.to_thread(fill, folder, 3000)
    begun = asyncio.Event()
    task = asyncio.create_task(sync(store, catalog, folder, lambda _: begun.set()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await sync(store, catalog, folder)
    assert await catalog.count() == 3000


def test_the_mark_changes_with_the_names(folder: Path):
    os.utime(folder, (100, 100))
    before = fingerprint(folder)
    assert before == fingerprint(folder) is not None
    (folder / "a.png").touch()
    assert fingerprint(folder) is None
    os.utime(folder, (200, 200))
    assert fingerprint(folder) not in (None, before)


def test_what_no_name_tells():
    assert item_of(StoredFile("a.txt", 1, 1.0, "e")) is None
    item = item_of(StoredFile("holiday_in_Rome.PNG", 1, 1.5, "e"))
    assert item is not None
    assert (item.alt, item.created, item.media_type) == ("holiday in Rome", 1.5, "image/png")


async def windows(names: list[str], size: int) -> AsyncIterator[list[str]]:
    for at in range(0, len(names), size):
        yield names[at : at + size]


some_names = st.sets(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1))


@given(some_names, some_names, st.integers(1, 4), st.integers(1, 4))
def test_two_listings_side_by_side(ours: set[str], theirs: set[str], here: int, there: int):
    async def differences() -> tuple[list[str], list[str]]:
        left, right = windows(sorted(ours), here), windows(sorted(theirs), there)
        steps = [step async for step in compare(left, right)]
        return [name for step in steps for name in step[0]], [name for step in steps for name in step[1]]

    assert asyncio.run(differences()) == (sorted(ours - theirs), sorted(theirs - ours))


@given(st.sets(st.binary(min_size=1).filter(lambda name: b"\0" not in name)), st.integers(1, 5))
def test_the_listing_sorts_in_runs(names: set[bytes], run: int):
    with ExitStack() as files, pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder_scan, "RUN", run)
        assert list(folder_scan.in_order(iter(names), files)) == sorted(names)
