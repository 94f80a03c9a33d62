"""What is remembered of uploads: whose it is, how much of it, and for how long."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.uploads.contents import file_of
from tests.uploads.databases import both
from tests.uploads.flows import Plain, table

from mediary.database.engine import Database
from mediary.errors import BadRequestError, NotFoundError
from mediary.net.client import HttpClient
from mediary.uploads.base import CachePolicy, Credentials, UploadedFile
from mediary.uploads.delivery.uploader import Uploader
from mediary.uploads.records.cache import UploadCache
from mediary.uploads.records.claims import TICKET_SECONDS, Claim
from mediary.uploads.records.entry import Entry, Sending, Upload
from mediary.uploads.records.tables import upload_claims, uploads

ALL = CachePolicy()
FIFO = CachePolicy(entries=1000, keep=900)


@pytest.fixture
def cache(database: Database) -> UploadCache:
    return UploadCache(database)


def entry(key: str, provider: str = "Yupp", **more: Any) -> Entry:
    file = UploadedFile(id=f"id of {key}", name="ü\n.png", media_type="image/png", size=3, **more)
    return Entry(Upload("", provider, "yupp", file, cached=False, created=time.time()), key, "ann")


async def keys(cache: UploadCache, wanted: range, policy: CachePolicy = ALL) -> list[int]:
    """Which of these keys are found."""
    return [number for number in wanted if await cache.find(f"{number}", policy)]


async def count(database: Database, provider: str) -> int | None:
    async with database.connect() as connection:
        return await connection.scalar(select(func.count()).where(uploads.c.provider == provider))


@both
async def test_what_is_put_in_comes_out(cache: UploadCache):
    made = entry(
        "a",
        entry={"data": {"nested": [1, 2.5, None, "日本\0"]}},
        url="https://storage.example/a?Expires=9999999999",
        width=4,
        height=3,
        expires_at=time.time() + 3600.5,
    )
    put = await cache.add(made, ALL)
    found = await cache.find("a", ALL)
    assert found is not None
    assert (found.id, found.file, found.cached, found.created) == (put.id, made.upload.file, True, made.upload.created)
    assert await cache.get(put.id) == Entry(found, "a", "ann")
    assert await cache.find("b", ALL) is None
    assert "storage.example" not in repr(found)


@both
async def test_the_oldest_go_first(cache: UploadCache, database: Database):
    """The spec's Yupp: before an insertion past 1000 entries the oldest are dropped until 900 are left."""
    for number in range(1000):
        await cache.add(entry(f"{number}"), FIFO)
    await cache.add(entry("other", "Qwen"), FIFO)
    assert await count(database, "Yupp") == 1000
    await cache.add(entry("1000"), FIFO)
    assert await count(database, "Yupp") == 901
    assert await keys(cache, range(95, 105), FIFO) == [100, 101, 102, 103, 104]
    assert await cache.find("1000", FIFO)
    assert await cache.find("other", FIFO)


async def test_none_need_be_kept(cache: UploadCache, database: Database):
    for number in range(5):
        await cache.add(entry(f"{number}"), CachePolicy(entries=2, keep=0))
    assert await keys(cache, range(5)) == [4]


async def test_without_a_limit_all_stay(cache: UploadCache):
    for number in range(30):
        await cache.add(entry(f"{number}"), ALL)
    assert await keys(cache, range(30)) == list(range(30))


async def test_the_newest_of_a_key_counts_and_those_before_it_are_used_no_more(cache: UploadCache):
    first = await cache.add(entry("a"), ALL)
    second = await cache.add(entry("a"), ALL)
    found = await cache.find("a", ALL)
    assert found and found.id == second.id
    await cache.remove(second.id)
    assert await cache.find("a", ALL) is None
    assert [upload.id for upload in (await cache.list()).uploads] == [first.id]


async def test_what_has_come_to_its_end_goes_at_the_next_insertion(cache: UploadCache, database: Database):
    put = await cache.add(entry("a", expires_at=time.time() - 1), ALL)
    assert (await cache.list()).uploads == ()
    assert (await cache.get(put.id)).key == "a"
    await cache.add(entry("b"), ALL)
    assert await count(database, "Yupp") == 1


@both
async def test_what_dead_processes_left_goes_too(cache: UploadCache, database: Database):
    begun = {"none": None, "new": time.time(), "old": time.time() - TICKET_SECONDS - 1}
    for name, moment in begun.items():
        claim = cache.claims.claim(name, Sending("Yupp", "yupp", "ann", "a.png", 3))
        assert await cache.claims.take(claim)
        claim.ticket, claim.begun = (b"sealed" if moment else None), moment
        await cache.claims.leave(claim)
    held = cache.claims.claim("held", Sending("Yupp", "yupp", "ann", "a.png", 3))
    assert await cache.claims.take(held)
    await cache.add(entry("a"), ALL)
    async with database.connect() as connection:
        assert sorted(await connection.scalars(select(upload_claims.c.key))) == ["held", "new"]


@both
async def test_a_list_comes_in_pages_newest_first(cache: UploadCache):
    put = [await cache.add(entry(f"{number}", "Yupp" if number % 3 else "Qwen"), ALL) for number in range(25)]
    newest = [upload.id for upload in reversed(put)]
    found: list[str] = []
    cursor = None
    while True:
        page = await cache.list(cursor=cursor, limit=7)
        found += [upload.id for upload in page.uploads]
        # What comes in meanwhile is on no later page.
        await cache.add(entry(f"more {len(found)}"), ALL)
        cursor = page.next
        if cursor is None:
            break
    assert found == newest
    qwens = await cache.list("Qwen")
    assert [upload.id for upload in qwens.uploads] == [upload.id for upload in reversed(put[::3])]
    assert qwens.next is None


@pytest.mark.parametrize("cursor", ["", "x", "'; DROP TABLE uploads", "0" * 23, "\u0660" * 24])
async def test_a_cursor_of_somebody_elses_making(cache: UploadCache, cursor: str):
    with pytest.raises(BadRequestError):
        await cache.list(cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 501])
async def test_a_page_of_no_size(cache: UploadCache, limit: int):
    with pytest.raises(BadRequestError):
        await cache.list(limit=limit)


async def test_an_id_that_there_is_not(cache: UploadCache):
    await cache.remove("x")
    with pytest.raises(NotFoundError):
        await cache.get("x")


@both
async def test_of_many_that_claim_at_once_one_has_it(cache: UploadCache):
    claims = [cache.claims.claim("a", Sending("Yupp", "yupp", "ann", "a.png", 3)) for _ in range(20)]
    taken = await asyncio.gather(*(cache.claims.take(claim) for claim in claims))
    assert sum(taken) == 1
    # Only who has it can let go of it.
    for claim, ours in zip(claims, taken, strict=True):
        if not ours:
            await cache.claims.release(claim)
    assert not await cache.claims.take(claims[taken.index(False)])
    await cache.claims.release(claims[taken.index(True)])
    assert await cache.claims.take(claims[taken.index(False)])


@both
@pytest.mark.parametrize("minutes", [5, -5])
async def test_nodes_whose_clocks_differ(cache: UploadCache, monkeypatch: pytest.MonkeyPatch, minutes: int):
    def claim() -> Claim:
        return cache.claims.claim("a", Sending("Yupp", "yupp", "ann", "a.png", 3))

    right, held = time.time, claim()
    assert await cache.claims.take(held)
    held.ticket, held.begun = b"sealed", right()
    await cache.claims.write(held)
    monkeypatch.setattr(time, "time", lambda: right() + minutes * 60)
    await cache.add(entry("another"), ALL)
    await cache.claims.forget("a")
    assert not await cache.claims.take(claim())
    assert [left.running for left in await cache.claims.list()] == [True]
    # Nor does anybody have to wait longer for one whose end has come.
    monkeypatch.setattr(cache.claims, "seconds", 0.0)
    await cache.claims.renew(held)
    assert await cache.claims.take(claim())


@pytest.fixture
async def offline(cache: UploadCache) -> AsyncIterator[Uploader]:
    """An uploader that can look up, and send nothing."""

    async def get() -> UploadCache:
        return cache

    uploader = Uploader({}, get)
    yield uploader
    await uploader.close()


async def test_a_thousand_entries_of_a_hundred_accounts_never_mix(
    cache: UploadCache, offline: Uploader, http: HttpClient, monkeypatch: pytest.MonkeyPatch
):
    """Ten files of each of a hundred people, who all have the same ten files."""
    flow = Plain("Plain", table("http://127.0.0.1:1"), http)
    files = [file_of(f"file {number}".encode(), f"{number}.txt", "text/plain") for number in range(10)]
    accounts = [flow.account(Credentials(api_key=f"key of {number}")) for number in range(100)]
    added: list[str] = []
    find = cache.find

    async def remember(key: str, policy: CachePolicy) -> Upload | None:
        added.append(key)
        return await find(key, policy)

    monkeypatch.setattr(cache, "find", remember)
    for owner, account in enumerate(accounts):
        for number, file in enumerate(files):
            assert await offline.find(flow, file, account) is None
            await cache.add(entry(added[-1], entry={"owner": owner, "number": number}), ALL)
    assert len(set(added)) == 1000
    for owner, account in enumerate(accounts):
        for number, file in enumerate(files):
            found = await offline.find(flow, file, account)
            assert found is not None
            assert found.file.entry == {"owner": owner, "number": number}
