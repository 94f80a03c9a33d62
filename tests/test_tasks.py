"""Nothing runs on behind the back of who waited."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from mediary.errors import StoreError
from mediary.tasks import all_of, in_batches


async def test_results_come_in_order():
    second_is_done = asyncio.Event()

    async def first() -> str:
        await second_is_done.wait()
        return "first"

    async def second() -> str:
        second_is_done.set()
        return "second"

    assert await all_of([first(), second()]) == ["first", "second"]
    assert await all_of([]) == []


async def test_one_that_fails_ends_the_others():
    ended = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("endless")

    async def failing() -> None:
        raise StoreError("away")

    with pytest.raises(StoreError, match="away"):
        await all_of([endless(), failing(), endless()])
    assert ended == ["endless", "endless"]


async def test_who_is_cancelled_waits_for_all_to_end():
    ended = []

    async def endless(turns: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(turns):
                await asyncio.sleep(0)
            ended.append(turns)

    waiting = asyncio.create_task(all_of(map(endless, (0, 9))))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended == [0, 9]


async def test_what_comes_meanwhile_goes_together():
    async def count() -> AsyncGenerator[int, None]:
        for number in range(10):
            yield number
            if number in (0, 6):
                await asyncio.sleep(0)

    batches = []
    async for batch in in_batches(count(), most=4):
        batches.append(batch)
        for _ in range(3):
            await asyncio.sleep(0)
    assert [number for batch in batches for number in batch] == list(range(10))
    assert 2 < len(batches) < 10
    assert max(map(len, batches)) == 4


async def test_a_failure_comes_behind_what_came_before_it():
    async def fail() -> AsyncGenerator[int, None]:
        yield 1
        raise OSError("broken")

    async with aclosing(in_batches(fail())) as batches:
        assert await anext(batches) == [1]
        with pytest.raises(OSError, match="broken"):
            await anext(batches)


async def test_who_stops_reading_ends_the_making():
    ended = asyncio.Event()

    async def endless() -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 1
                await asyncio.sleep(0)
        finally:
            ended.set()

    async with aclosing(in_batches(endless(), most=3)) as batches:
        assert await anext(batches) == [1]
    assert ended.is_set()
