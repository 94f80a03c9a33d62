"""Same bytes, one copy: a second name instead of a second file, and only where that is safe."""

import asyncio
import base64
import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.media.libraries import Places, contents
from tests.media.samples import picture
from tests.servers.databases import Database

from mediary.media.catalog import Catalog
from mediary.media.dedupe import share, with_facts_of
from mediary.media.intake import copy_media, save_response_media
from mediary.media.item import NAMED, WHOLE, MediaItem
from mediary.media.library import MediaLibrary
from mediary.net.client import HttpClient


async def save(library: MediaLibrary, data: bytes, prompt: str = "", **more: str) -> str:
    [response] = [response async for response in save_response_media(data, prompt, library=library, **more)]
    return response.urls[0].removeprefix("/media/")


def inodes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in folder.iterdir() if path.is_file()}


async def test_the_same_bytes_are_a_second_name(library: MediaLibrary, folder: Path, catalog: Catalog):
    first = await save(library, picture(), "a cat")
    second = await save(library, picture(), "a dog", model="flux")
    assert first != second
    assert len(set(inodes(folder).values())) == 1
    assert not list((folder / ".incoming").iterdir())
    row = await catalog.get(second)
    assert (row.prompt, row.model, row.size) == ("a dog", "flux", len(picture()))
    assert row.sha256 == (await catalog.get(first)).sha256


async def test_other_bytes_are_another_file(library: MediaLibrary, folder: Path):
    await save(library, picture())
    await save(library, picture(width=65))
    assert len(set(inodes(folder).values())) == 2


async def test_one_name_goes_and_the_other_stays(library: MediaLibrary, folder: Path):
    first, second = await save(library, picture()), await save(library, picture())
    await library.remove(first)
    assert (folder / second).read_bytes() == picture()


async def test_many_at_once_are_one_file(library: MediaLibrary, folder: Path):
    names = await asyncio.gather(*(save(library, picture(), f"picture {number}") for number in range(12)))
    assert len(set(names)) == 12
    assert len(set(inodes(folder).values())) == 1


async def test_in_another_process_too(library: MediaLibrary, folder: Path, catalog: Catalog):
    """What another worker wrote is known by the catalog alone."""
    await save(library, picture())
    other = MediaLibrary(library.store, library.catalog, library.http)
    await save(other, picture())
    assert len(set(inodes(folder).values())) == 1


@pytest.mark.parametrize("change", ["rewritten", "touched", "gone", "a link"])
async def test_a_twin_that_is_not_what_was_hashed_is_left_alone(
    library: MediaLibrary, folder: Path, tmp_path: Path, change: str
):
    path = folder / await save(library, picture())
    if change == "rewritten":
        path.write_bytes(b"\0" * len(picture()))
    elif change == "touched":
        os.utime(path, (1, 1))
    else:
        path.unlink()
    if change == "a link":
        elsewhere = tmp_path / "elsewhere.png"
        elsewhere.write_bytes(picture(width=65))
        path.symlink_to(elsewhere)
    second = folder / await save(library, picture())
    assert second.read_bytes() == picture()
    assert second.stat().st_nlink == 1


async def test_the_row_takes_over_what_the_bytes_told(library: MediaLibrary, catalog: Catalog):
    first = await save(library, picture(), "a cat")
    told = {"thumbhash": "YTkGJwaRhWUIt4lbgnhZl3ath2BUBGYA", "colour": "#102030", "phash": -5, "read": WHOLE}
    await catalog.update(first, told | {"tags": ("mine",), "seed": "7"})
    row = await catalog.get(await save(library, picture(), "a dog"))
    assert {field: getattr(row, field) for field in told} == told
    assert (row.prompt, row.tags, row.seed) == ("a dog", (), None)


def test_without_a_prompt_of_its_own_the_headers_are_read():
    item = MediaItem(name="b.png", size=1, media_type="image/png", kind="image")
    twin = replace(item, name="a.png", prompt="secret", read=WHOLE, width=3)
    assert with_facts_of(twin, item) == replace(item, width=3, read=NAMED)
    assert with_facts_of(twin, replace(item, prompt="mine")).read == WHOLE


async def test_data_uris_and_downloads_are_shared_alike(library: MediaLibrary, folder: Path):
    await save(library, picture())
    uri = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"
    await copy_media([uri, uri], library=library)
    assert len(inodes(folder)) == 3
    assert len(set(inodes(folder).values())) == 1


async def test_a_target_takes_a_place_and_leaves_the_twins_alone(library: MediaLibrary, folder: Path):
    first, second = await save(library, picture()), await save(library, picture())
    uri = f"data:image/png;base64,{base64.b64encode(picture(width=65)).decode()}"
    await copy_media([uri], target=folder / first, library=library)
    assert (folder / first).read_bytes() == picture(width=65)
    assert (folder / second).read_bytes() == picture()


async def test_a_store_that_shares_nothing(library: MediaLibrary):
    class Plain:
        """A store without that ability."""

    item = MediaItem(name="a.png", size=1, media_type="image/png", kind="image")
    assert await share(Plain(), item, "b.png") is None  # type: ignore[arg-type]


async def test_an_object_that_somebody_took_away_comes_back(tmp_path: Path, database: Database, http: HttpClient):
    places = Places(tmp_path, database, http)
    library = places.objects()
    first = await save(library, picture())
    for path in places.blobs():
        path.unlink()
    second = await save(library, picture())
    assert await contents(library.store) == {first: picture(), second: picture()}
    assert len(places.blobs()) == 1
