"""Answers that take long: their work ends with their client, and with the server."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from tests.clock import Jump

from mediary.errors import BadRequestError, ShutdownError
from mediary.server.long_answers import LongWork, Running
from mediary.server.protocol import Message
from mediary.server.routes.bucket_text import _send_text
from mediary.server.sse import STALL_SECONDS


class Source:
    """A text that never ends, and knows when it is closed."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.closed = False

    async def pieces(self, *first: bytes) -> AsyncGenerator[bytes, None]:
        try:
            for piece in first:
                yield piece
            self.asked.set()
            await asyncio.Event().wait()
        finally:
            self.closed = True


class Client:
    """Takes what is sent."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.sent.append(message)


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_client_that_leaves_closes_the_text_at_once() -> None:
    source, client = Source(), Client()
    gone = asyncio.create_task(forever())
    answering = asyncio.create_task(LongWork(_send_text(source.pieces(b"Once"), client)).done(gone))
    await source.asked.wait()

    gone.cancel()

    assert await answering is None
    assert source.closed
    assert [message.get("body") for message in client.sent] == [None, b"Once"]
    assert client.sent[-1]["more_body"] is True


async def test_a_stop_of_the_server_breaks_the_text_off() -> None:
    source, running = Source(), Running()
    work = LongWork(_send_text(source.pieces(b"Once"), Client()))

    async def answer() -> None:
        with running.hold(work):
            await work.done()

    answering = asyncio.create_task(answer())
    await source.asked.wait()
    await running.drain(0)

    with pytest.raises(ShutdownError):
        await answering
    assert source.closed
    with pytest.raises(ShutdownError):
        running.check()


async def test_a_text_that_ends_by_itself_is_waited_for() -> None:
    running, goes_on = Running(), asyncio.Event()
    work = LongWork(goes_on.wait())

    async def answer() -> bool | None:
        with running.hold(work):
            return await work.done()

    answering = asyncio.create_task(answer())
    await asyncio.sleep(0)
    draining = asyncio.create_task(running.drain(60))
    await asyncio.sleep(0)
    goes_on.set()

    await draining
    assert await answering is True


async def test_what_fails_before_the_first_piece_begins_no_answer() -> None:
    async def broken() -> AsyncGenerator[bytes, None]:
        raise BadRequestError("no")
        yield b""

    client = Client()
    with pytest.raises(BadRequestError):
        await LongWork(_send_text(broken(), client)).done()

    assert client.sent == []


async def test_what_fails_later_has_no_end() -> None:
    async def broken() -> AsyncGenerator[bytes, None]:
        yield b"Once"
        raise BadRequestError("no")

    client = Client()
    with pytest.raises(BadRequestError):
        await LongWork(_send_text(broken(), client)).done()

    assert client.sent[-1]["more_body"] is True


async def test_an_empty_text_is_an_empty_answer() -> None:
    async def nothing() -> AsyncGenerator[bytes, None]:
        return
        yield b""

    client = Client()
    await _send_text(nothing(), client)

    assert b"".join(message.get("body", b"") for message in client.sent) == b""
    assert not client.sent[-1].get("more_body")


async def test_a_client_that_takes_nothing_is_given_up(jump: Jump) -> None:
    source, stuck = Source(), asyncio.Event()

    async def send(message: Message) -> None:
        if message.get("body"):
            stuck.set()
            await forever()

    async with aclosing(source.pieces(b"Once")) as pieces:
        answering = asyncio.create_task(LongWork(_send_text(pieces, send)).done())
        await stuck.wait()
        jump(STALL_SECONDS)
        with pytest.raises(BadRequestError, match="took nothing"):
            await answering

    assert source.closed
