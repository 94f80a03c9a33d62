"""Uploads that were interrupted: the next one goes on, in another process too, if there is something to go on from."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update
from tests.uploads.contents import file_of
from tests.uploads.databases import both
from tests.uploads.flows import KEY, Plain, Service, Simple, serving, table

from mediary.database.engine import Database
from mediary.errors import ConflictError, NotFoundError, UploadRefusedError
from mediary.net.client import HttpClient
from mediary.sealing import Sealer
from mediary.uploads.base import Flow
from mediary.uploads.delivery.uploader import Uploader
from mediary.uploads.records.cache import UploadCache
from mediary.uploads.records.claims import LEASE_SECONDS, TICKET_SECONDS, Claims
from mediary.uploads.records.entry import Sending
from mediary.uploads.records.tables import upload_claims

DATA = b"0123456789abcdefgh"
FILE = file_of(DATA, "a.txt", "text/plain")
PARTS = 5
SECRET = b"k" * 32

Make = Callable[..., Uploader]

# Another process: it says "sending" when the storage holds it, and is killed there.
PROGRAM = """
import asyncio, sys
from mediary.database.engine import Database
from mediary.net.client import HttpClient
from mediary.sealing import Sealer
from mediary.settings import NetSettings
from mediary.uploads.delivery import holding
from mediary.uploads.records.cache import UploadCache
from mediary.uploads.delivery.uploader import Uploader
from tests.uploads.contents import file_of
from tests.uploads.databases import both
from tests.uploads.flows import Plain, table

holding.WRITING_SECONDS = 0.02

async def main(url, where, resumable):
    http = HttpClient(NetSettings(allow=["127.0.0.0/8"]))
    database = await Database.open(where)
    cache = UploadCache(database)

    async def get_cache():
        return cache

    async def get_sealer():
        return Sealer(b"k" * 32)

    flow = Plain("Plain", table(url), http)
    uploader = Uploader({"Plain": flow}, get_cache, sealer=get_sealer)
    file = file_of(b"0123456789abcdefgh", "a.txt", "text/plain")
    upload = await uploader.upload(flow, file, resumable=resumable == "resumable")
    print(upload.file.id, upload.cached)
    await http.close()
    await database.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def get_sealer() -> Sealer:
    return Sealer(SECRET)


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, *arguments, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving() as service:
        yield service


@pytest.fixture
def flow(service: Service, http: HttpClient) -> Plain:
    return Plain("Plain", table(service.url), http)


@pytest.fixture
async def make(database: Database, flow: Plain) -> AsyncIterator[Make]:
    """Makes uploaders as other processes would have them: they share the database alone."""
    async with AsyncExitStack() as stack:

        def make(*flows: Flow[Any], lease: float = LEASE_SECONDS, sealer: Any = get_sealer) -> Uploader:
            cache = UploadCache(database, lease)

            async def get() -> UploadCache:
                return cache

            uploader = Uploader({each.name: each for each in flows or (flow,)}, get, sealer=sealer)
            stack.push_async_callback(uploader.close)
            return uploader

        yield make


async def claims(database: Database) -> list[Any]:
    async with database.connect() as connection:
        return list((await connection.execute(select(upload_claims))).all())


async def until_written(database: Database, parts: int) -> None:
    """Wait until a ticket is written down with so many parts."""
    async with asyncio.timeout(20):
        while True:
            for row in await claims(database):
                ticket = (
                    msgspec.json.decode(Sealer(SECRET).open(row.ticket, f"upload {row.key}")) if row.ticket else None
                )
                if ticket and len(ticket["sender"]["done"]) == parts:
                    return
            await asyncio.sleep(0.02)


async def interrupt(uploader: Uploader, flow: Flow[Any], service: Service, after: int = 2) -> None:
    """Begin, and be cancelled when some parts have arrived."""
    service.stop_after = after
    task = asyncio.create_task(uploader.upload(flow, FILE, resumable=True))
    await service.arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    service.stop_after = None
    service.arrived.clear()
    service.gate.set()


@both
async def test_the_next_one_sends_what_is_missing(make: Make, flow: Plain, service: Service, database: Database):
    await interrupt(make(), flow, service)
    (row,) = await claims(database)
    assert (service.aborted, service.abandoned) == ([], [])
    # What is written down can be read by nobody else.
    assert row.ticket and service.url.encode() not in row.ticket and KEY.encode() not in row.ticket
    upload = await make().upload(flow, FILE, resumable=True)
    assert (upload.file.id, upload.cached) == ("file-1", False)
    assert service.files == {"file-1": DATA}
    assert service.parts == [f"file-1/{number}" for number in range(PARTS)]
    assert await claims(database) == []


async def test_so_does_one_that_is_not_to_be_resumable_itself(make: Make, flow: Plain, service: Service):
    await interrupt(make(), flow, service)
    assert (await make().upload(flow, FILE)).file.id == "file-1"
    assert len(service.parts) == PARTS


@pytest.mark.usefixtures("no_delays")
async def test_a_storage_that_is_away_ends_it_and_it_can_be_gone_on_with(make: Make, flow: Plain, service: Service):
    service.stop_after = 3
    task = asyncio.create_task(make().upload(flow, FILE, resumable=True))
    await service.arrived.wait()
    for _ in range(3):
        service.answer("part", 503)
    service.stop_after = None
    service.gate.set()
    with pytest.raises(UploadRefusedError, match="503"):
        await task
    assert service.aborted == []
    assert (await make().upload(flow, FILE, resumable=True)).file.id == "file-1"
    assert len(service.parts) == PARTS + 3


async def test_nothing_is_kept_of_what_is_refused(make: Make, flow: Plain, service: Service, database: Database):
    service.stop_after = 2
    task = asyncio.create_task(make().upload(flow, FILE, resumable=True))
    await service.arrived.wait()
    service.answer("part", 400)
    service.gate.set()
    service.stop_after = None
    with pytest.raises(UploadRefusedError):
        await task
    assert (service.aborted, await claims(database)) == (["file-1"], [])


async def test_nothing_is_kept_where_nothing_has_arrived(make: Make, flow: Plain, service: Service, database: Database):
    await interrupt(make(), flow, service, after=0)
    assert (service.aborted, await claims(database)) == (["file-1"], [])


async def test_nothing_is_kept_of_what_nobody_goes_on_with(
    make: Make, service: Service, http: HttpClient, database: Database
):
    flow = Simple("Simple", table(service.url), http)
    await interrupt(make(flow), flow, service, after=0)
    assert await claims(database) == []


async def test_nothing_is_written_down_without_a_sealer(make: Make, flow: Plain, service: Service, database: Database):
    await interrupt(make(sealer=None), flow, service)
    assert (service.aborted, await claims(database)) == (["file-1"], [])


async def test_what_the_storage_has_dropped_is_sent_anew(make: Make, flow: Plain, service: Service, database: Database):
    await interrupt(make(), flow, service)
    service.begun.clear()
    upload = await make().upload(flow, FILE, resumable=True)
    assert service.files == {upload.file.id: DATA} == {"file-2": DATA}
    assert service.abandoned == ["file-1"]
    assert await claims(database) == []


async def test_what_is_too_old_is_cleared_away_and_sent_anew(
    make: Make, flow: Plain, service: Service, database: Database
):
    await interrupt(make(), flow, service)
    async with database.begin() as connection:
        await connection.execute(update(upload_claims).values(begun=time.time() - TICKET_SECONDS - 1))
    upload = await make().upload(flow, FILE, resumable=True)
    assert service.files == {upload.file.id: DATA} == {"file-2": DATA}
    assert (service.aborted, service.abandoned) == (["file-1"], ["file-1"])


async def test_what_cannot_be_read_is_sent_anew(make: Make, flow: Plain, service: Service):
    await interrupt(make(), flow, service)

    async def another() -> Sealer:
        return Sealer(b"x" * 32)

    assert (await make(sealer=another).upload(flow, FILE, resumable=True)).file.id == "file-2"


@both
async def test_it_is_listed_and_can_be_dropped(make: Make, flow: Plain, service: Service, database: Database):
    uploader = make()
    await interrupt(uploader, flow, service)
    (left,) = await uploader.unfinished("Plain")
    assert (left.sending.name, left.sending.size, left.running) == ("a.txt", len(DATA), False)
    assert await uploader.unfinished("Another") == []
    forgotten = await uploader.forget(left.id)
    assert (forgotten.removed, service.aborted, await claims(database)) == (True, ["file-1"], [])
    with pytest.raises(NotFoundError):
        await uploader.forget(left.id)


async def test_what_is_on_its_way_cannot_be_dropped(make: Make, flow: Plain, service: Service):
    service.stop_after = 1
    task = asyncio.create_task(make().upload(flow, FILE, resumable=True))
    await service.arrived.wait()
    (running,) = await make().unfinished()
    assert running.running
    with pytest.raises(ConflictError, match=r"a\.txt"):
        await make().forget(running.id)
    service.gate.set()
    service.stop_after = None
    await task


@both
async def test_two_processes_at_once_are_one_upload(
    make: Make, flow: Plain, service: Service, database: Database, database_url: str
):
    service.gate.clear()
    async with process(service.url, database_url, "") as other:
        await service.arrived.wait()
        ours = asyncio.create_task(make().upload(flow, FILE))
        assert not (await asyncio.wait([ours], timeout=0.4))[0]
        service.gate.set()
        said, _ = await other.communicate()
    assert said.decode().split() == ["file-1", "False"]
    assert ((await ours).file.id, (await ours).cached, service.tickets) == ("file-1", True, 1)


@both
@pytest.mark.parametrize("resumable", ["resumable", ""])
async def test_a_process_that_was_killed_is_taken_over(
    make: Make, flow: Plain, service: Service, database: Database, database_url: str, resumable: str
):
    service.stop_after = 3
    async with process(service.url, database_url, resumable) as other:
        await service.arrived.wait()
        if resumable:
            await until_written(database, parts=3)
        os.kill(other.pid, signal.SIGKILL)
        await other.wait()
    service.gate.set()
    service.stop_after = None
    upload = await make().upload(flow, FILE, resumable=True)
    assert upload.file.id == ("file-1" if resumable else "file-2")
    assert service.files[upload.file.id] == DATA
    # What had arrived was not sent again; the part that the other was about to send may have arrived twice.
    again = 1 if resumable else 4
    assert PARTS <= len(service.parts) <= PARTS + again
    assert await claims(database) == []


@both
async def test_a_node_that_is_silent_is_taken_over_when_its_lease_ends(
    make: Make, flow: Plain, service: Service, database: Database
):
    await interrupt(make(), flow, service)
    (row,) = await claims(database)
    other = Claims(database, seconds=3600)
    claim = other.claim(row.key, Sending("Plain", "plain", "", "a.txt", 18))
    claim.owner = "a node that nobody here can see"
    assert await other.take(claim)
    task = asyncio.create_task(make().upload(flow, FILE, resumable=True))
    assert not (await asyncio.wait([task], timeout=0.4))[0]
    other.seconds = -1.0
    await other.renew(claim)
    assert (await task).file.id == "file-1"
