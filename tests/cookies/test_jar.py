"""The jar keeps cookies sealed, hands them to their own domain, and tells nobody else a value."""

import asyncio
import time

import pytest
from sqlalchemy import select

from mediary.cookies.cookie import Cookie
from mediary.cookies.jar import Jar, cookie_table
from mediary.cookies.reading import Found
from mediary.database.engine import Database
from mediary.errors import NotFoundError, SealError
from mediary.sealing import Sealer

SOON = time.time() + 1000


@pytest.fixture
def jar(database: Database) -> Jar:
    return Jar(database, Sealer(bytes(32)))


async def test_cookies_go_to_their_domain(jar: Jar):
    found = Found(
        [
            Cookie("wide", "w-1", "example.com", expires=SOON),
            Cookie("own", "o-1", "chat.example.com", host_only=True),
            Cookie("other", "x-1", "example.org"),
        ],
        {"chat.example.com": "Bearer k-1"},
    )
    assert await jar.keep(found) == ["chat.example.com", "example.com", "example.org"]
    chat = await jar.credentials("https://chat.example.com/backend")
    assert (chat.cookies, chat.api_key) == ({"wide": "w-1", "own": "o-1"}, "k-1")
    top = await jar.credentials("https://example.com")
    assert (top.cookies, top.api_key) == ({"wide": "w-1"}, None)
    nobody = await jar.credentials("https://evil.net/?example.com")
    assert (nobody.cookies, nobody.api_key) == ({}, None)
    assert [(each.domain, each.names, each.expires) for each in await jar.list()] == [
        ("chat.example.com", ("own", "Authorization"), None),
        ("example.com", ("wide",), pytest.approx(SOON)),
        ("example.org", ("other",), None),
    ]


async def test_nothing_in_the_database_shows_a_value(jar: Jar, database: Database):
    await jar.keep(Found([Cookie("session", "very-secret-value", "example.com")]))
    async with database.connect() as connection:
        [row] = (await connection.execute(select(cookie_table))).mappings()
    assert b"very-secret-value" not in b"".join(str(value).encode() for value in row.values())


async def test_a_newer_cookie_takes_the_place_of_the_older(jar: Jar):
    await jar.keep(Found([Cookie("a", "1", "example.com"), Cookie("b", "1", "example.com")]))
    await jar.keep(Found([Cookie("a", "2", "example.com")]))
    assert (await jar.credentials("https://example.com")).cookies == {"a": "2", "b": "1"}


async def test_twenty_files_at_once_all_stay(jar: Jar):
    await asyncio.gather(*(jar.keep(Found([Cookie(f"n{at}", "v", "example.com")])) for at in range(20)))
    assert len((await jar.credentials("https://example.com")).cookies) == 20


async def test_a_domain_can_be_forgotten(jar: Jar):
    await jar.keep(Found([Cookie("a", "1", "example.com")]))
    await jar.delete(".Example.com")
    assert await jar.list() == []
    with pytest.raises(NotFoundError):
        await jar.delete("example.com")


async def test_with_another_key_they_are_lost_and_can_be_handed_in_anew(jar: Jar, database: Database):
    await jar.keep(Found([Cookie("a", "1", "example.com")]))
    other = Jar(database, Sealer(bytes(range(32))))
    with pytest.raises(SealError):
        await other.credentials("https://example.com")
    await other.keep(Found([Cookie("b", "2", "example.com")]))
    assert (await other.credentials("https://example.com")).cookies == {"b": "2"}


async def test_a_write_that_is_cancelled_anywhere_leaves_the_database_free(jar: Jar):
    found = Found([Cookie("a", "1", "example.com")])
    for steps in range(60):
        keeping = asyncio.create_task(jar.keep(found))
        for _ in range(steps):
            await asyncio.sleep(0)
        keeping.cancel()
        await asyncio.wait([keeping])
        await jar.keep(found)
    assert (await jar.credentials("https://example.com")).cookies == {"a": "1"}
