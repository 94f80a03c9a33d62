"""Runs in the database, of both kinds."""

import time
from dataclasses import replace

import pytest
from sqlalchemy import update

from mediary.database.engine import Database
from mediary.errors import NotFoundError
from mediary.events import Preview, frame
from mediary.runs.run import Frames, RunInfo
from mediary.runs.store import LEASE_SECONDS, Change, RunStore
from mediary.runs.tables import runs

LAST_WORD = b"event: error\ndata: {}\n\n"


def info(run: str, **more: object) -> RunInfo:
    begun = RunInfo(run, "running", "OpenAI", "gpt", None, time.time(), None, 0)
    return replace(begun, **more)  # type: ignore[arg-type]


def frames(first: int, last: int) -> Frames:
    return Frames(first, [b'event: content\ndata: {"content":"%d"}\n\n' % each for each in range(first, last + 1)])


async def read(store: RunStore, run: str, after: int = 0) -> list[bytes]:
    return [frame async for found in store.read(run, after) for frame in found.frames]


async def test_events_come_back_as_they_were(database: Database) -> None:
    store = RunStore(database)
    await store.write([Change(info("a", events=3), frames(1, 3), begins=True)])
    await store.write([Change(info("a", state="finished", events=7, ended=5.0), frames(4, 7), begins=False)])

    for after in range(8):
        assert await read(store, "a", after) == frames(after + 1, 7).frames
    found = await store.get("a")
    assert (found.state, found.ended, found.events) == ("finished", 5.0, 7)


async def test_pictures_that_were_not_final_are_not_kept(database: Database) -> None:
    store = RunStore(database)
    small = frame(Preview(preview="nearly there"))
    large = frame(Preview(preview="", urls=["data:image/png;base64," + "A" * 100_000]))
    await store.write([Change(info("a", events=2), Frames(1, [small, large]), begins=True)])

    assert await read(store, "a") == [small, frame(Preview(preview=""))]


async def test_runs_of_one_moment_are_written_together(database: Database) -> None:
    store = RunStore(database)
    await store.write([Change(info(str(number), events=2), frames(1, 2), begins=True) for number in range(50)])

    page = await store.list(limit=30)
    rest = await store.list(cursor=page.next, limit=30)
    assert len({run.id for run in page.runs + rest.runs}) == 50
    assert rest.next is None


async def test_a_run_of_a_silent_process_is_interrupted_once(database: Database) -> None:
    gone, here, other = RunStore(database), RunStore(database), RunStore(database)
    gone._owner = "of another machine"
    await gone.write([Change(info("a", events=2), frames(1, 2), begins=True)])
    assert await here.lost(silent=True) == []
    async with database.begin() as connection:
        await connection.execute(update(runs).values(seen=runs.c.seen - LEASE_SECONDS - 1))

    assert await here.lost(silent=False) == [], "its process may be there"
    [lost] = await here.lost(silent=True)
    await gone.write([Change(info("a", events=3), frames(3, 3), begins=False)])
    assert not await here.interrupt(lost, LAST_WORD), "it has moved meanwhile"
    [lost] = await here.lost(silent=True)
    assert await here.interrupt(lost, LAST_WORD)
    assert not await other.interrupt(lost, LAST_WORD)
    assert await read(here, "a") == [*frames(1, 3).frames, LAST_WORD]
    assert (await here.get("a")).state == "interrupted"
    # should it live after all, its word comes too late
    await gone.beat()
    await gone.write([Change(info("a", events=4), frames(4, 4), begins=False)])
    assert (await here.get("a")).state == "interrupted"


async def test_what_was_written_although_the_database_did_not_say_so_is_written_again(database: Database) -> None:
    store, other = RunStore(database), RunStore(database)
    await store.write([Change(info("a", events=2), frames(1, 2), begins=True)])
    # the answer to the first was lost on its way
    await store.write([Change(info("a", events=3), frames(1, 3), begins=True), Change(info("b"), frames(1, 0), True)])
    await store.write([Change(info("a", events=4), frames(4, 4), begins=False)])
    await store.write([Change(info("a", events=5), frames(4, 5), begins=False)])

    assert await read(store, "a") == frames(1, 5).frames
    assert (await store.get("a")).events == 5
    assert (await store.get("b")).state == "running"
    # nor does anybody write into another's run
    await other.write([Change(info("a", state="failed"), frames(1, 1), begins=True)])
    assert (await store.get("a")).state == "running"
    assert await read(store, "a") == frames(1, 5).frames


async def test_a_beat_tells_what_others_want_ended(database: Database) -> None:
    mine, other = RunStore(database), RunStore(database)
    await mine.write([Change(info(run), frames(1, 0), begins=True) for run in "ab"])
    assert await mine.beat() == []

    await other.want_end("b")

    assert await mine.beat() == ["b"]
    assert await other.beat() == []


async def test_old_runs_go_with_their_events(database: Database) -> None:
    store = RunStore(database)
    old = [info(str(number), state="finished", created=5.0, events=1) for number in range(450)]
    await store.write([Change(run, frames(1, 1), begins=True) for run in [*old, info("new", events=1)]])

    assert [await store.sweep(10.0) for _ in range(4)] == [200, 200, 50, 0]
    assert await read(store, "0") == []
    assert len(await read(store, "new")) == 1
    with pytest.raises(NotFoundError):
        await store.get("0")
