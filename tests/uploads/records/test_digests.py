"""What is known of files: found again over restarts, while they are what they were."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from tests.uploads.contents import Bytes, Pattern
from tests.uploads.databases import both

from mediary.database.engine import Database
from mediary.uploads.contents import Known, hash_content
from mediary.uploads.records import digests
from mediary.uploads.records.digests import KEPT_SECONDS, Digests
from mediary.uploads.records.tables import file_digests

KNOWN = Known("5d" * 16, "2c" * 32, "image/png", 640, 480)


@both
async def test_what_is_noted_is_found_also_by_others(database: Database):
    first = Digests(database)
    await first.note("path /a/ü.png", "1-2-3", KNOWN)
    for each in (first, Digests(database)):
        assert await each.find("path /a/ü.png", "1-2-3") == KNOWN
        assert await each.find("path /a/ü.png", "1-2-4") is None
        assert await each.find("path /a/b.png", "1-2-3") is None


@both
async def test_a_file_that_changed_takes_the_place_of_what_it_was(database: Database):
    first = Digests(database)
    await first.note("a", "1", KNOWN)
    changed = Known("00" * 16, "11" * 32)
    await first.note("a", "2", changed)
    other = Digests(database)
    assert await other.find("a", "1") is None
    assert await other.find("a", "2") == changed


async def test_a_process_remembers_some_without_asking(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(digests, "IN_MEMORY", 3)
    known = Digests(database)
    for number in range(5):
        await known.note(f"{number}", "", KNOWN)
    async with database.begin() as connection:
        await connection.execute(file_digests.delete())
    assert [bool(await known.find(f"{number}", "")) for number in range(5)] == [False, False, True, True, True]


async def test_what_was_noted_long_ago_goes(database: Database):
    known = Digests(database)
    await known.note("a", "", KNOWN)
    async with database.begin() as connection:
        await connection.execute(update(file_digests).values(noted=file_digests.c.noted - KEPT_SECONDS))
    await known.note("b", "", KNOWN)
    async with database.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(file_digests)) == 1


@given(st.binary(max_size=300), st.integers(1, 100))
async def test_both_digests_are_those_of_the_bytes(data: bytes, piece: int):
    found = await hash_content(Bytes(data, piece=piece))
    assert (found.md5, found.sha256) == (hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest())


async def test_a_large_file_is_read_once_and_in_pieces():
    content = Pattern(64 * 1024 * 1024 + 5)
    found = await hash_content(content)
    assert (found.md5, found.sha256) == (content.digest(), content.digest(hashlib.sha256))
    small = Bytes(b"abc" * 1000, piece=7)
    await hash_content(small)
    assert small.reads == [(0, 3000)]
