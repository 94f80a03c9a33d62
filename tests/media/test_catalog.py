"""The catalog: what is known of a media item, by its name."""

from dataclasses import replace

import pytest

from mediary.database.engine import Database
from mediary.errors import NotFoundError
from mediary.media.catalog import Catalog, MediaItem

ITEM = MediaItem(
    name="1704123456_flux+猫_a1b2c3d4e5f67890.png",
    sha256="ab" * 32,
    size=5 * 2**32,
    media_type="image/png",
    kind="image",
    prompt="a cat's “portrait”\n%_'",
    alt="cat",
    tags=("flux", "猫"),
    provider="OpenAI",
    model="flux",
    source_url="https://example.com/a.png?b=c",
    created=1704123456.25,
    width=640,
    height=480,
)


@pytest.fixture
def catalog(database: Database) -> Catalog:
    return Catalog(database)


async def test_an_item_is_read_as_it_was_written(catalog: Catalog):
    await catalog.add(ITEM)
    assert await catalog.find(ITEM.name) == ITEM
    assert await catalog.get(ITEM.name) == ITEM


async def test_what_is_not_known_stays_unknown(catalog: Catalog):
    item = MediaItem(name="a.mp3", sha256="", size=1, media_type="audio/mpeg", kind="audio")
    await catalog.add(item)
    assert await catalog.get("a.mp3") == item


async def test_a_name_that_is_used_again_is_the_new_file_alone(catalog: Catalog):
    await catalog.add(ITEM)
    again = replace(ITEM, sha256="cd" * 32, prompt="a dog", tags=(), width=None)
    await catalog.add(again)
    assert await catalog.get(ITEM.name) == again


async def test_an_item_is_forgotten(catalog: Catalog):
    await catalog.add(ITEM)
    await catalog.remove(ITEM.name)
    assert await catalog.find(ITEM.name) is None


async def test_what_is_absent(catalog: Catalog):
    assert await catalog.find("missing.png") is None
    with pytest.raises(NotFoundError, match=r"missing\.png"):
        await catalog.get("missing.png")
    with pytest.raises(NotFoundError, match=r"missing\.png"):
        await catalog.remove("missing.png")


async def test_a_prompt_may_hold_anything(catalog: Catalog):
    await catalog.add(replace(ITEM, prompt="a\0b\ud83d", tags=("x\0",), alt="\0"))
    item = await catalog.get(ITEM.name)
    assert (item.prompt, item.tags, item.alt) == ("ab?", ("x",), "")
