"""The catalog: what is known of a media item, by its name, through the trash and back."""

import asyncio
import subprocess
import sys
from dataclasses import replace

import pytest

from mediary.database.engine import Database
from mediary.errors import NotFoundError
from mediary.media.catalog import CHUNK, Catalog
from mediary.media.item import HEADERS, NAMED, WHOLE, MediaItem, SearchQuery, item_id

ITEM = MediaItem(
    name="1704123456_flux+猫_a1b2c3d4e5f67890.png",
    sha256="ab" * 32,
    size=5 * 2**32,
    media_type="image/png",
    kind="image",
    prompt="a cat's “portrait”\n%_'",
    negative_prompt="dogs",
    alt="cat",
    tags=("flux", "猫"),
    provider="OpenAI",
    model="flux",
    seed="18446744073709551615",
    steps=30,
    source_url="https://example.com/a.png?b=c",
    owner="anna",
    parent="1704123000_cat_a1b2c3d4e5f67890.png",
    bucket="holidays",
    created=1704123456.25,
    modified=1704123456.2500002,
    width=640,
    height=480,
    duration=0.1,
    thumbhash="3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
    colour="#00ff7f",
    phash=-(2**63),
    c2pa=True,
    generator="ComfyUI",
    problem="it ends early",
    read=WHOLE,
)


def named(name: str, created: float = 1_700_000_000, **about: object) -> MediaItem:
    """An item of which little is known."""
    about = {"size": 1, "media_type": "image/png", "kind": "image", **about}
    return MediaItem(name=name, created=created, **about)  # type: ignore[arg-type]


@pytest.fixture
def catalog(database: Database) -> Catalog:
    return Catalog(database)


async def found(catalog: Catalog, *tokens: str) -> list[str]:
    items = (await catalog.search(SearchQuery(tokens=tokens, limit=500))).items
    return [item.name for item in items]


def test_of_the_two_dialects_a_program_loads_its_own_alone():
    code = "import sys, mediary.media.catalog; print([name for name in sys.modules if '.dialects.postgresql' in name])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


class TestOneItem:
    async def test_it_is_read_as_it_was_written(self, catalog: Catalog):
        await catalog.add(ITEM)
        assert await catalog.find(ITEM.name) == ITEM
        assert (await catalog.get(ITEM.name)).id == item_id(ITEM.created, ITEM.name)

    async def test_what_is_not_known_stays_unknown(self, catalog: Catalog):
        item = MediaItem(name="a.mp3", size=1, media_type="audio/mpeg", kind="audio")
        await catalog.add(item)
        assert await catalog.get("a.mp3") == item

    async def test_a_name_that_is_used_again_is_the_new_file_alone(self, catalog: Catalog):
        await catalog.add(ITEM)
        again = replace(ITEM, sha256="cd" * 32, prompt="a dog", tags=(), width=None, created=1704123457.0)
        await catalog.add(again)
        assert await catalog.get(ITEM.name) == again
        assert await catalog.count() == 1
        assert await found(catalog, "portrait") == []
        assert await found(catalog, "a dog") == [ITEM.name]

    async def test_it_is_forgotten(self, catalog: Catalog):
        await catalog.add(ITEM)
        await catalog.remove(ITEM.name)
        assert await catalog.find(ITEM.name) is None
        assert await found(catalog, "cat") == []

    async def test_what_is_absent(self, catalog: Catalog):
        assert await catalog.find("missing.png") is None
        assert await catalog.find_trashed("missing.png") is None
        assert await catalog.twin("ab" * 32) is None
        for ask in (catalog.get, catalog.remove, catalog.trash, catalog.similar):
            with pytest.raises(NotFoundError, match=r"missing\.png"):
                await ask("missing.png")
        with pytest.raises(NotFoundError, match=r"missing\.png"):
            await catalog.update("missing.png", {"tags": ()})

    async def test_a_prompt_may_hold_anything(self, catalog: Catalog):
        await catalog.add(replace(ITEM, prompt="a\0b\ud83d", tags=("x\0",), alt="\0", seed="\0"))
        item = await catalog.get(ITEM.name)
        assert (item.prompt, item.tags, item.alt, item.seed) == ("ab?", ("x",), "", "")

    async def test_a_prompt_may_be_long(self, catalog: Catalog):
        await catalog.add(replace(ITEM, prompt="word " * 200_000))
        assert len((await catalog.get(ITEM.name)).prompt) == 1_000_000
        assert await found(catalog, "word word") == [ITEM.name]


class TestChanges:
    async def test_fields_are_changed_and_found(self, catalog: Catalog):
        await catalog.add(ITEM)
        changed = await catalog.update(ITEM.name, {"tags": ("Zürich",), "prompt": "a lake"})
        assert changed == await catalog.get(ITEM.name) == replace(ITEM, tags=("Zürich",), prompt="a lake")
        assert await found(catalog, "zürich", "lake") == [ITEM.name]
        assert await found(catalog, "portrait") == []

    async def test_many_at_once(self, catalog: Catalog):
        await catalog.add_many(named(f"{number}.png") for number in range(5))
        changes = {f"{number}.png": {"prompt": f"lake {number}", "read": HEADERS} for number in range(3)}
        await catalog.update_many({**changes, "gone.png": {"prompt": "lake"}})
        assert sorted(await found(catalog, "lake")) == ["0.png", "1.png", "2.png"]
        assert await catalog.count() == 5

    async def test_two_at_the_same_time_lose_nothing(self, catalog: Catalog):
        await catalog.add(ITEM)
        await asyncio.gather(*(catalog.update(ITEM.name, {field: 7}) for field in ("steps", "width", "height")))
        item = await catalog.get(ITEM.name)
        assert (item.steps, item.width, item.height) == (7, 7, 7)


class TestManyItems:
    async def test_more_than_one_transaction_takes(self, catalog: Catalog):
        items = [named(f"{number:05}.png") for number in range(CHUNK + 10)]
        await catalog.add_many(items)
        assert await catalog.count() == CHUNK + 10
        await catalog.remove_many(item.name for item in items[5:])
        assert await catalog.names() == [f"{number:05}.png" for number in range(5)]

    async def test_others_write_and_read_in_between(self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("mediary.media.catalog.CHUNK", 10)
        adding = asyncio.ensure_future(catalog.add_many(named(f"{number:05}.png") for number in range(1000)))
        await asyncio.sleep(0)
        await catalog.add(ITEM)
        assert not adding.done()
        assert await found(catalog, "portrait") == [ITEM.name]
        await adding
        assert await catalog.count() == 1001

    async def test_the_last_of_a_name_counts(self, catalog: Catalog):
        await catalog.add_many([named("a.png", size=1), named("b.png"), named("a.png", size=2)])
        assert (await catalog.get("a.png")).size == 2
        assert await catalog.count() == 2

    async def test_numbers_that_meet_are_moved_up(self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("mediary.media.catalog.item_id", lambda created, _name: int(created))
        await catalog.add_many([named("a.png", 7), named("b.png", 7), named("c.png", 8)])
        await catalog.add_many([named("d.png", 7), named("e.png", 9)])
        await catalog.trash("a.png")
        await catalog.add(named("a.png", 7))
        numbers = [(await catalog.get(f"{letter}.png")).id for letter in "abcde"]
        assert numbers == [12, 8, 9, 10, 11]

    async def test_nodes_that_write_at_once(self, database: Database, catalog: Catalog):
        other = Catalog(database)
        items = [named(f"{number}.png") for number in range(200)]
        await asyncio.gather(*(part.add_many(items) for part in (catalog, other) for _ in range(3)))
        assert await catalog.count() == 200

    async def test_names_are_in_the_order_of_their_bytes(self, catalog: Catalog):
        names = ["a.png", "B.png", "_.png", "ä.png", "猫.png", "a-2.png", "😀.png", "ﬀ.png", "a.pnga"]
        await catalog.add_many(map(named, names))
        assert await catalog.names() == sorted(names, key=str.encode)
        assert await catalog.names("a.png", limit=3) == sorted(names, key=str.encode)[4:7]

    async def test_none_at_all(self, catalog: Catalog):
        await catalog.add_many([])
        await catalog.update_many({})
        await catalog.remove_many([])
        assert await catalog.names() == []


class TestBytes:
    async def test_the_newest_twin(self, catalog: Catalog):
        await catalog.add_many(named(f"{day}.png", day * 86_400, sha256="ab" * 32) for day in (1, 3, 2))
        twin = await catalog.twin("ab" * 32)
        assert twin and twin.name == "3.png"
        await catalog.trash("3.png")
        assert (await catalog.twin("ab" * 32)) == await catalog.get("2.png")
        assert await catalog.has("ab" * 32) and not await catalog.has("cd" * 32)

    async def test_what_is_yet_to_be_read(self, catalog: Catalog):
        await catalog.add_many(
            [
                named("old.png", 1, read=NAMED),
                named("new.png", 2, read=NAMED),
                named("headers.png", 1, read=HEADERS),
                named("whole.png", 3, read=WHOLE),
                named("broken.png", 4, read=NAMED, problem="it ends early"),
                named("gone.png", 5, read=NAMED),
            ]
        )
        await catalog.trash("gone.png")
        assert [item.name for item in await catalog.unread(HEADERS)] == ["new.png", "old.png"]
        assert [item.name for item in await catalog.unread(WHOLE)] == ["headers.png", "new.png", "old.png"]
        assert [item.name for item in await catalog.unread(WHOLE, limit=1)] == ["headers.png"]


class TestTrash:
    async def test_there_and_back(self, catalog: Catalog):
        await catalog.add(ITEM)
        trashed = await catalog.trash(ITEM.name)
        assert trashed.trashed and replace(trashed, trashed=None) == ITEM
        assert await catalog.find(ITEM.name) is None and await catalog.count() == 0
        assert await found(catalog, "cat") == [] and await catalog.names() == []
        assert await catalog.find_trashed(ITEM.name) == trashed
        assert await catalog.restore(trashed, ITEM.name) == ITEM == await catalog.get(ITEM.name)
        assert await found(catalog, "cat") == [ITEM.name]
        assert await catalog.find_trashed(ITEM.name) is None

    async def test_back_under_another_name_and_in_the_place_of_a_row(self, catalog: Catalog):
        await catalog.add(ITEM)
        trashed = await catalog.trash(ITEM.name)
        await catalog.add(named("a-2.png"))
        assert await catalog.restore(trashed, "a-2.png") == replace(ITEM, name="a-2.png")
        assert await catalog.names() == ["a-2.png"]
        assert await found(catalog, "cat") == await found(catalog, "a-2") == ["a-2.png"]

    async def test_one_name_several_times(self, catalog: Catalog):
        for size in (1, 2, 3):
            await catalog.add(replace(ITEM, size=size))
            await catalog.trash(ITEM.name)
        last = await catalog.find_trashed(ITEM.name)
        assert last and last.size == 3
        await catalog.forget(last)
        assert len(await catalog.expired(before=2**40)) == 2

    async def test_what_has_been_there_too_long(self, catalog: Catalog):
        await catalog.add_many([named("a.png"), named("b.png")])
        trashed = await catalog.trash("a.png")
        assert trashed.trashed
        assert await catalog.expired(before=trashed.trashed) == []
        assert await catalog.expired(before=trashed.trashed + 1) == [trashed]
        await catalog.forget(trashed)
        assert await catalog.expired(before=trashed.trashed + 1) == []

    async def test_only_what_is_in_it_is_forgotten_or_restored(self, catalog: Catalog):
        await catalog.add(ITEM)
        item = await catalog.get(ITEM.name)
        await catalog.forget(item)
        assert await catalog.get(ITEM.name) == ITEM
        with pytest.raises(NotFoundError):
            await catalog.restore(item, ITEM.name)

    async def test_a_file_that_appears_again_is_another_row(self, catalog: Catalog):
        await catalog.add(ITEM)
        trashed = await catalog.trash(ITEM.name)
        await catalog.add(ITEM)
        again = await catalog.get(ITEM.name)
        assert again == ITEM and again.id != trashed.id
        await catalog.forget(trashed)
        assert await found(catalog, "cat") == [ITEM.name]
