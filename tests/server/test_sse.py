"""An event stream to a client that is slow, silent or stuck: by the loop's clock put forward, not by waiting."""

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

import pytest
from tests.clock import Jump

from mediary.events import Content, Event
from mediary.server.sse import PING_SECONDS, SLACK_SECONDS, STALL_SECONDS, TURN, EventStream


class Client:
    """Takes what is sent, for as long as it likes."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.came = asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()
        self.gone = asyncio.create_task(asyncio.Event().wait())

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if body := message.get("body"):
            self.taken.append(body)
            self.came.set()
            await self.takes.wait()

    async def next(self) -> bytes:
        await self.came.wait()
        self.came.clear()
        return self.taken[-1]


@pytest.fixture
async def client():
    client = Client()
    yield client
    client.gone.cancel()


async def words(*texts: str, then_wait: bool = True) -> AsyncGenerator[Event, None]:
    for text in texts:
        yield Content(content=text)
    if then_wait:
        await asyncio.Event().wait()


def sending(stream: EventStream[Event], client: Client) -> asyncio.Task[None]:
    return asyncio.create_task(stream.send(client.gone, client))  # type: ignore[arg-type]


async def test_a_silence_is_filled(client: Client, jump: Jump) -> None:
    answer = sending(EventStream(words("Once"), TURN, timeout=3600), client)
    assert b"Once" in await client.next()

    jump(PING_SECONDS)

    assert await client.next() == b": ping\n\n"
    answer.cancel()


async def test_a_client_that_takes_nothing_is_given_up(client: Client, jump: Jump) -> None:
    client.takes.clear()
    answer = sending(EventStream(words("Once"), TURN, timeout=3600), client)
    await client.next()

    jump(STALL_SECONDS)

    with pytest.raises(asyncio.CancelledError):
        await answer


async def test_a_turn_ends_when_its_time_is_over(client: Client, jump: Jump) -> None:
    answer = sending(EventStream(words("Once"), TURN, timeout=100), client)
    await client.next()

    jump(100 + SLACK_SECONDS)

    await answer
    assert b"the turn took longer than 100 seconds" in client.taken[-1]


async def test_what_is_ready_goes_out_together(client: Client) -> None:
    await sending(EventStream(words(*"abc", then_wait=False), TURN, timeout=100), client)

    assert [piece.count(b"event: content") for piece in client.taken] == [3]


async def test_a_turn_waits_for_a_slow_client(client: Client) -> None:
    made = 0

    async def flood() -> AsyncGenerator[Event, None]:
        nonlocal made
        while True:
            made += 1
            yield Content(content="x" * 100_000)

    client.takes.clear()
    answer = sending(EventStream(flood(), TURN, timeout=100), client)
    await client.next()
    for _ in range(100):
        await asyncio.sleep(0)

    assert made < 30
    answer.cancel()
