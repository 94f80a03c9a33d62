"""The runs of a process: when they are stored, and which of others' runs are taken for lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from math import inf

import pytest

from mediary.database.engine import Database
from mediary.errors import DatabaseError, NotFoundError
from mediary.runs import room
from mediary.runs.room import Runs
from mediary.runs.run import Frames, RunInfo
from mediary.runs.store import Change, RunStore

FINISH = b'event: finish\ndata: {"type":"finish"}\n\n'
LAST_WORD = b"event: error\ndata: {}\n\n"
AWAY = DatabaseError("it is away")


async def nobody(run: RunInfo, found: AsyncIterator[Frames]) -> None:
    """Nothing is recorded."""


def runs_in(store: RunStore, now: Callable[[], float] | None = None) -> Runs:
    async def get() -> RunStore:
        return store

    return Runs(get, 24, LAST_WORD, nobody, **({"now": now} if now else {}))


class Failing(RunStore):
    """Fails to write as often as it is told, and is `away` at some looks; notes what it is asked."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.failures = 0.0
        self.failed = asyncio.Condition()
        self.away: set[int] = set()
        self.number = 0
        self.writes = 0
        self.looks: asyncio.Queue[bool] = asyncio.Queue()

    async def write(self, changes: Sequence[Change]) -> None:
        if self.failures:
            self.failures -= 1
            async with self.failed:
                self.failed.notify_all()
            raise AWAY
        await super().write(changes)
        self.writes += 1

    async def lost(self, *, silent: bool) -> list[RunInfo]:
        self.looks.put_nowait(silent)
        self.number += 1
        if self.number in self.away:
            raise AWAY
        return await super().lost(silent=silent)


async def stored(store: RunStore, run: str) -> RunInfo:
    async with asyncio.timeout(30):
        while True:
            try:
                return await store.get(run)
            except NotFoundError:
                await asyncio.sleep(0)


async def test_a_beginning_waits_for_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAUSE_SECONDS", 3600)
    store = Failing(database)
    runs = runs_in(store)
    first = runs.begin("a", "OpenAI", "gpt", None)
    assert (await stored(store, "a")).state == "running"
    first.append(LAST_WORD)
    await asyncio.sleep(0)  # now the writer waits for more of the same
    runs.begin("b", "OpenAI", "gpt", None)
    assert (await stored(store, "b")).state == "running"
    for number in range(100):
        runs.begin(str(number), "OpenAI", "gpt", None)
    await stored(store, "99")
    assert store.writes < 10, "those of a moment go together"
    await runs.close()


async def test_when_the_database_comes_back_all_is_stored(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BEAT_SECONDS", 0.01)
    store = Failing(database)
    store.failures = 3
    runs = runs_in(store)
    run = runs.begin("a", "OpenAI", "gpt", None)
    run.append(FINISH)
    run.end()

    assert (await stored(store, "a")).state == "finished"
    await runs.close()


async def test_a_database_that_fails_is_not_pressed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(room, "BEAT_SECONDS", 3600)
    store = Failing(database)
    store.failures = 100
    runs = runs_in(store)
    runs.begin("a", "OpenAI", "gpt", None)
    async with store.failed:
        await store.failed.wait_for(lambda: store.failures == 99)
    for number in range(100):
        runs.begin(str(number), "OpenAI", "gpt", None)
        await asyncio.sleep(0)
    await runs.close()

    assert store.failures == 98, "tried once more, at the end"


async def test_what_waits_for_the_database_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(room, "MAX_HELD", 1000)
    store = Failing(database)
    store.failures = inf
    runs = runs_in(store)
    many = [runs.begin(str(number), "OpenAI", "gpt", None) for number in range(10)]
    for run in many:
        run.append(b"x" * 150)
        run.append(b"x" * 150)
    async with asyncio.timeout(30), store.failed:
        await store.failed.wait_for(lambda: sum(run.kept for run in many) == 3)
    await runs.close()


async def test_nobody_is_lost_who_could_not_speak(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LOST_SECONDS", 0)
    clock = iter(range(100, 1000, 15))
    store = Failing(database)
    store.away = {4, 5}
    keeping = asyncio.create_task(runs_in(store, lambda: next(clock)).keep())
    async with asyncio.timeout(30):
        looks = [await store.looks.get() for _ in range(7)]
    keeping.cancel()
    await asyncio.wait([keeping])

    assert looks == [False, True, True, True, False, False, True]
