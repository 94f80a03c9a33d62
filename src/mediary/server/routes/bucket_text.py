"""`GET /backend-api/v2/files/<bucket>`, and `…/stream`: a bucket's text as it becomes ready, or what happens."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from mediary.buckets.room import BucketRoom
from mediary.errors import BadRequestError, MediaryError
from mediary.server import sse
from mediary.server.long_answers import LongWork, Running, until_gone
from mediary.server.protocol import Receive, Scope, Send
from mediary.server.query import Query
from mediary.server.sse import STALL_SECONDS, EventStream, Form

HEADERS = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"vary", b"accept"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


def frame(event: dict[str, Any]) -> bytes:
    """An event as it stands in the stream; these have no `event:` line."""
    return b"data: %b\n\n" % msgspec.json.encode(event)


def frame_error(error: MediaryError) -> bytes:
    """An error as the last event."""
    return frame({"error": {"message": error.message}})


PROGRESS = Form(frame, frame_error)


class BucketText:
    """Reads buckets out, until their end or until the client leaves."""

    def __init__(self, room: BucketRoom, running: Running) -> None:
        self._room = room
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send, bucket_id: str, *, as_events: bool) -> None:
        """Answer GET and HEAD."""
        query = Query(scope["query_string"])
        wanted = {
            "delete_files": query.boolean("delete_files", default=True),
            "refine": query.boolean("refine_chunks_with_spacy"),
        }
        bucket = await self._room.buckets.get(bucket_id)
        if scope["method"] == "HEAD":
            await _send_head(send, sse.HEADERS if as_events else HEADERS)
            return
        self._running.check()
        gone = asyncio.create_task(until_gone(receive))
        try:
            if as_events:
                stream = EventStream(self._room.reading.events(bucket, **wanted), PROGRESS)
                with self._running.hold(stream):
                    await stream.send(gone, send)
            else:
                work = LongWork(_send_text(self._room.reading.text(bucket, **wanted), send))
                with self._running.hold(work):
                    await work.done(gone)
        finally:
            gone.cancel()


def wants_events(scope: Scope) -> bool:
    """Whether the client asks for events rather than for the text."""
    return any(name == b"accept" and b"text/event-stream" in value.lower() for name, value in scope["headers"])


async def _send_head(send: Send, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _send_text(pieces: AsyncGenerator[bytes, None], send: Send) -> None:
    """Send a text in the pieces that it comes in; what fails before the first can still become an error's answer."""
    async with aclosing(pieces):
        piece: bytes | None = await anext(pieces, b"")
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        while piece is not None:
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except TimeoutError:
                raise BadRequestError(f"the client took nothing for {STALL_SECONDS:g} seconds") from None
            # What is sent to nobody returns at once: let others have a turn, and who notices that the client left.
            await asyncio.sleep(0)
            piece = await anext(pieces, None)
        await send({"type": "http.response.body", "body": b""})
