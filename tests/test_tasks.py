"""Nothing runs on behind the back of who waited."""

import asyncio

import pytest

from mediary.errors import StoreError
from mediary.tasks import all_of


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
