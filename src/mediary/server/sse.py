"""Server-sent events over ASGI: what is ready goes out together, silence is filled, a client that left is noticed."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from mediary.errors import MediaryError, ProviderTimeoutError, ShutdownError
from mediary.events import Event, Failure, encode_event
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

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(slots=True, frozen=True)
class Form(Generic[T]):
    """How events, and the error that ends them, stand in a stream."""

    event: Callable[[T], bytes]
    error: Callable[[MediaryError], bytes]


def frame(event: Event) -> bytes:
    """An event as it stands in the stream."""
    return b"event: %b\ndata: %b\n\n" % (_tag(type(event)), encode_event(event))


@cache
def _tag(kind: type[Event]) -> bytes:
    return str(kind.__struct_config__.tag).encode()


def frame_error(error: MediaryError) -> bytes:
    """An error as the last event of a turn."""
    return frame(Failure(error=type(error).__name__, message=error.message))


TURN = Form(frame, frame_error)
"""The events of a conversation."""


class EventStream(Generic[T]):
    """One answer on its way to one client.

    A task of its own takes the events from where they are made; whatever it has put down by the time the client can
    take more goes out in one piece. Their making waits while the client is more than a megabyte behind, and ends when
    it has lasted `timeout` seconds, if it may not last for ever.
    """

    def __init__(self, events: AsyncGenerator[T, None], form: Form[T], timeout: float | None = None) -> None:
        self._events = events
        self._form = form
        self._timeout = timeout
        self._waiting: list[bytes] = []
        self._size = 0
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._blocked = False
        self._making = asyncio.create_task(self._take())
        self._making.add_done_callback(lambda _: self._ready.set())
        self._sending: asyncio.Task[None] | None = None
        self._stopping = False

    async def send(self, gone: asyncio.Task[None], send: Send) -> None:
        """Answer the request; returns when there are no more events or the client is `gone`."""
        self._sending = asyncio.current_task()
        gone.add_done_callback(self._leave)
        self._watch()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            while not self._making.done():
                await self._ready.wait()
                await self._pass_on(send, more=True)
            if self._stopping:
                self._fail(ShutdownError(STOPPING))
            await self._pass_on(send, more=False)
        finally:
            self._timer.cancel()
            gone.remove_done_callback(self._leave)
            self._making.cancel()
            await asyncio.wait([self._making])

    def stop(self) -> None:
        """End the making, and the stream with an event that says why: the server is going down."""
        self._stopping = not self._making.done()
        self._making.cancel()

    def abandon(self) -> None:
        """Let go of a client that does not even take the last event."""
        if self._sending:
            self._sending.cancel()

    def _leave(self, gone: asyncio.Task[None]) -> None:
        self._making.cancel()

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

    async def _take(self) -> None:
        encode = self._form.event
        try:
            async with asyncio.timeout(None if self._timeout is None else self._timeout + SLACK_SECONDS):
                async for event in self._events:
                    self._put(encode(event))
                    if self._size > MAX_WAITING_BYTES:
                        self._room.clear()
                        await self._room.wait()
        except TimeoutError:
            self._fail(ProviderTimeoutError(f"the turn took longer than {self._timeout:g} seconds"))
        except MediaryError as error:
            self._fail(error)
        except Exception:  # the edge: a defect ends one stream with an event, and is logged whole
            logger.exception("an event stream broke")
            self._fail(MediaryError(DEFECT))
        finally:
            await self._events.aclose()

    def _fail(self, error: MediaryError) -> None:
        self._put(self._form.error(error))

    def _put(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)
        self._ready.set()

    def _collect(self) -> bytes:
        body = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        self._ready.clear()
        self._room.set()
        return body
