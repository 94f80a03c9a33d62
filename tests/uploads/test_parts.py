"""Parts side by side: how many at a time, what is told of them, and what becomes of them when one fails."""

import asyncio

import pytest
from tests.uploads.contents import Bytes

from mediary.errors import ProviderError
from mediary.uploads.senders.parts import AT_ONCE, Tally, side_by_side
from mediary.uploads.transport import Slice


async def test_all_parts_are_sent_some_at_a_time():
    sent: list[int] = []
    running = most = 0

    async def send(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(number % 3):
            await asyncio.sleep(0)
        running -= 1
        sent.append(number)

    await side_by_side(send, range(20))
    assert sorted(sent) == list(range(20))
    assert most == AT_ONCE


@pytest.mark.parametrize("numbers", [[], [7]])
async def test_few_parts(numbers: list[int]):
    sent: list[int] = []

    async def send(number: int) -> None:
        sent.append(number)

    await side_by_side(send, numbers)
    assert sent == numbers


async def test_the_first_that_fails_ends_the_others():
    begun: list[int] = []
    ended: list[int] = []

    async def send(number: int) -> None:
        begun.append(number)
        if number == 2:
            raise ProviderError("no")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    with pytest.raises(ProviderError, match="no"):
        await side_by_side(send, range(20))
    assert sorted(begun) == [0, 1, 2, 3]
    assert sorted(ended) == [0, 1, 3]


async def test_progress_is_the_sum_over_all_parts():
    told: list[int] = []
    tally = Tally(told.append, done=50)
    first, second = tally.part(50), tally.part(100)
    first(70)
    second(110)
    first(100)
    second(130)
    assert told == [70, 80, 110, 130]
    second(110)  # again from its beginning
    second(130)
    assert told[4:] == [110, 130]


async def test_a_slice_tells_the_tally():
    told: list[int] = []
    tally = Tally(told.append, done=10)
    for start, end in ((20, 30), (10, 20)):
        async for _ in Slice(Bytes(bytes(30), piece=5), start, end, tally.part(start)).pieces():
            pass
    assert told == [15, 20, 25, 30]
