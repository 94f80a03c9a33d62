"""The names of an object store, on both databases."""

import asyncio
import hashlib

import pytest

from mediary.database.engine import Database
from mediary.database.names import StoredNames
from mediary.errors import NotFoundError, StoreError

STORE = "s3://bucket/some_prefix"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def media(database: Database) -> StoredNames:
    return StoredNames(database, STORE, "media")


@pytest.fixture
def trash(database: Database) -> StoredNames:
    return StoredNames(database, STORE, "trash")


async def test_a_name_is_found_until_it_is_released(media: StoredNames) -> None:
    entry = await media.claim("日本語.png", "key", digest("a"), 5)
    assert (entry.name, entry.key, entry.sha256, entry.size) == ("日本語.png", "key", digest("a"), 5)
    assert await media.find("日本語.png") == entry
    assert await media.find("absent.png") is None
    assert await media.release("日本語.png") == "key"
    assert await media.find("日本語.png") is None
    with pytest.raises(NotFoundError):
        await media.release("日本語.png")


async def test_the_same_bytes_have_one_key(media: StoredNames, trash: StoredNames) -> None:
    entries = await asyncio.gather(*(media.claim(f"{n}.png", f"key {n}", digest("a"), 5) for n in range(12)))
    (key,) = {entry.key for entry in entries}
    assert (await media.claim("other.png", "another key", digest("b"), 5)).key == "another key"
    assert (await trash.adopt(media, "0.png", "7.png")).key == key
    released = await asyncio.gather(*(media.release(entry.name) for entry in entries))
    assert released == [None] * 12
    assert await trash.release("7.png") == key
    assert (await media.claim("new.png", "new key", digest("a"), 5)).key == "new key"


async def test_of_many_that_go_at_once_one_is_the_last(media: StoredNames) -> None:
    for number in range(12):
        await media.claim(f"{number}.png", "key", digest("a"), 5)
    released = await asyncio.gather(*(media.release(f"{number}.png") for number in range(12)))
    assert sorted(released, key=str) == [None] * 11 + ["key"]


async def test_many_at_once_may_want_one_name(media: StoredNames) -> None:
    entries = await asyncio.gather(*(media.claim("a.png", f"key {n}", digest(f"{n}"), 5) for n in range(30)))
    assert {entry.name for entry in entries} == {"a.png", *(f"a-{number}.png" for number in range(2, 31))}


async def test_what_is_taken_elsewhere_is_taken(media: StoredNames) -> None:
    taken = {"a.png", "a-2.png", "a-4.png"}
    found = [(await media.claim("a.png", f"{n}", digest(f"{n}"), 5, taken.__contains__)).name for n in range(3)]
    assert found == ["a-3.png", "a-5.png", "a-6.png"]
    assert (await media.adopt(media, "a-3.png", "a.png", taken.__contains__)).name == "a-7.png"


async def test_names_come_in_the_order_of_their_bytes(media: StoredNames, trash: StoredNames) -> None:
    names = sorted(["b", "a-2", "a", "B", "é", "日", "10", "9", "Z", "ä", "_"])
    for name in reversed(names):
        await media.claim(name, name, digest(name), 1)
        await trash.claim(f"x{name}", name, digest(name), 1)
    assert [entry.name for entry in await media.list("", 100)] == names
    assert [entry.name for entry in await media.list("a", 3)] == names[names.index("a") + 1 :][:3]
    assert list(await media.list("日", 3)) == []


async def test_keys_of_all_spaces_are_named(media: StoredNames, trash: StoredNames) -> None:
    await media.claim("a.png", "a", digest("a"), 1)
    await trash.claim("b.png", "b", digest("b"), 1)
    many = ["a", "b", *(f"none {number}" for number in range(1200))]
    assert await media.keys(many) == {"a", "b"}
    assert await media.keys([]) == set()


async def test_another_store_is_another_world(media: StoredNames, database: Database) -> None:
    await media.claim("a.png", "key", digest("a"), 1)
    for store in ("s3://bucket/some-prefix", "s3://bucket/some", "s3://bucket/%", "s3://bucket/some_prefix/below"):
        other = StoredNames(database, store, "media")
        assert await other.find("a.png") is None
        assert await other.keys(["key"]) == set()
        assert (await other.claim("b.png", f"{store} key", digest("a"), 1)).key == f"{store} key"
        assert await other.release("b.png") == f"{store} key"
        with pytest.raises(StoreError):
            await media.adopt(other, "a.png", "b.png")
    assert await media.release("a.png") == "key"
