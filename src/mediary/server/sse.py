"""Server-sent events over ASGI: what is ready goes out together, silence is filled, a client that left is noticed."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mediary.errors import MediaryError, ProviderTimeoutError, ShutdownError
from mediary.events import Failure, frame
from mediary.server.errors import DEFECT
from mediary.server.long_answers import STOPPING
from mediary.server.protocol import Send

PING_SECONDS = 15.0
PING = b": ping\n\n"
MAX_WAITING_BYTES = 1024 * 1024
STALL_SECONDS = 60.0
"""A client that takes nothing for so long is gone."""
SLACK_SECONDS = 1.0
"""What a turn may outlast its own limit, so that the provider can say first that it is late."""

HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]

Headers = Iterable[tuple[bytes, bytes]]
T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(slots=True, frozen=True)
class Form(Generic[T]):
    """How events, and the error that ends them, stand in a stream."""

    event: Callable[[T], bytes]
    error: Callable[[MediaryError], bytes]


def frame_error(error: MediaryError) -> bytes:
    """An error as the last event of a turn."""
    return frame(Failure(error=type(error).__name__, message=error.message))


TURN = Form(frame, frame_error)
"""The events of a conversation."""


class Making(Generic[T]):
    """Events that are being made: a task of its own takes them from where they are made, and puts their frames down.

    It ends when it has lasted `timeout` seconds, if it may not last for ever. Who awaits `room` before it goes on
    is behind with reading.
    """

    def __init__(
        self,
        events: AsyncGenerator[T, None],
        form: Form[T],
        put: Callable[[bytes], Awaitable[None] | None],
        timeout: float | None = None,
    ) -> None:
        self._events = events
        self._form = form
        self._put = put
        self._timeout = timeout
        self._why: MediaryError | None = None
        self.task = asyncio.create_task(self._take())

    def end(self, why: MediaryError | None = None) -> None:
        """End it, with a last event that says why if there is a reason."""
        if not self.task.done():
            self._why = why
            self.task.cancel()

    async def ended(self) -> None:
        """Wait for its end."""
        await asyncio.wait([self.task])

    async def _take(self) -> None:
        try:
            await self._take_all()
        except asyncio.CancelledError:
            if self._why is None:
                raise
            self._put(self._form.error(self._why))
        except MediaryError as error:
            self._put(self._form.error(error))
        except Exception:  # the edge: a defect ends one stream with an event, and is logged whole
            logger.exception("an event stream broke")
            self._put(self._form.error(MediaryError(DEFECT)))

    async def _take_all(self) -> None:
        encode, put = self._form.event, self._put
        try:
            async with asyncio.timeout(None if self._timeout is None else self._timeout + SLACK_SECONDS):
                async for event in self._events:
                    if waiting := put(encode(event)):
                        await waiting
        except TimeoutError:
            put(self._form.error(ProviderTimeoutError(f"the turn took longer than {self._timeout:g} seconds")))
        finally:
            await self._events.aclose()


class EventStream(Generic[T]):
    """One answer on its way to one client.

    Whatever has been made by the time the client can take more goes out in one piece. The making waits while the
    client is more than a megabyte behind, and ends when the client leaves.
    """

    def __init__(self, events: AsyncGenerator[T, None], form: Form[T], timeout: float | None = None) -> None:
        self._waiting: list[bytes] = []
        self._size = 0
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._blocked = False
        self._making = Making(events, form, self._put, timeout)
        self._making.task.add_done_callback(lambda _: self._ready.set())
        self._sending: asyncio.Task[None] | None = None

    async def send(self, gone: asyncio.Task[None], send: Send, headers: Headers = ()) -> None:
        """Answer the request; returns when there are no more events or the client is `gone`."""
        self._sending = asyncio.current_task()
        gone.add_done_callback(self._leave)
        self._watch()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, *headers]})
            while not self._making.task.done():
                await self._ready.wait()
                await self._pass_on(send, more=True)
            await self._pass_on(send, more=False)
        finally:
            self._timer.cancel()
            gone.remove_done_callback(self._leave)
            self._making.end()
            await self._making.ended()

    def end(self, why: MediaryError) -> None:
        """End the making, and the stream with an event that says why."""
        self._making.end(why)

    def stop(self) -> None:
        """The server is going down."""
        self.end(ShutdownError(STOPPING))

    def abandon(self) -> None:
        """Let go of a client that does not even take the last event."""
        if self._sending:
            self._sending.cancel()

    def _leave(self, gone: asyncio.Task[None]) -> None:
        self._making.end()

    async def _pass_on(self, send: Send, *, more: bool) -> None:
        body = self._collect()
        if body or not more:
            self._last, self._blocked = self._loop.time(), True
            await send({"type": "http.response.body", "body": body, "more_body": more})
            self._blocked = False

    def _watch(self) -> None:
        """Fill a long silence, give up on a client that takes nothing: by a timer, for a task a stream costs more."""
        still = self._loop.time() - self._last
        if self._blocked:
            if still >= STALL_SECONDS:
                self.abandon()
        elif still >= PING_SECONDS:
            self._put(PING)
        self._timer = self._loop.call_later(max(PING_SECONDS - still, 1.0), self._watch)

    def _put(self, data: bytes) -> Awaitable[None] | None:
        self._waiting.append(data)
        self._size += len(data)
        self._ready.set()
        return self._has_room() if self._size > MAX_WAITING_BYTES else None

    async def _has_room(self) -> None:
        self._room.clear()
        await self._room.wait()

    def _collect(self) -> bytes:
        body = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        self._ready.clear()
        self._room.set()
        return body
