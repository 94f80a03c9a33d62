"""`POST /backend-api/v2/conversation`: a plain ASGI endpoint, for its stream must cost little."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from mediary.conversations.attachments import Attachment
from mediary.conversations.request import ConversationRequest, decode_request
from mediary.conversations.turn import Conversations
from mediary.errors import FieldError, MethodNotAllowedError, ShutdownError
from mediary.server.limits import Body, check_declared_length
from mediary.server.protocol import Receive, Scope, Send
from mediary.server.sse import EventStream, until_gone

T = TypeVar("T")

IN_PASSING = 1024 * 1024
"""Bytes of JSON that are decoded on the event loop."""
LAST_WORD_SECONDS = 2.0
"""How long clients may take for the last event when the server stops."""


@dataclass(slots=True, frozen=True)
class Question:
    """What a client sent: the request, and in a form its files and the URLs of further ones."""

    request: ConversationRequest
    files: tuple[Attachment, ...] = ()
    urls: tuple[str, ...] = ()


class ConversationEndpoint:
    """Takes the question, streams the answer; knows the streams that run, to end them before the server goes."""

    def __init__(self, conversations: Conversations, max_bytes: int) -> None:
        self._conversations = conversations
        self._max_bytes = max_bytes
        self._running: set[EventStream] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "POST":
            raise MethodNotAllowedError(scope["method"], ("POST",))
        headers = dict(scope["headers"])
        user = (headers.get(b"x-user") or headers.get(b"x_user") or b"").decode("latin-1") or None
        question = await self._read(scope, receive, headers.get(b"content-type", b""))
        gone = asyncio.create_task(until_gone(receive))
        try:
            turn = await _unless(
                gone, self._conversations.prepare(question.request, question.files, question.urls, user)
            )
            if turn is None:
                return
            if self._stopping:
                raise ShutdownError("the server is stopping; ask again in a moment")
            stream = EventStream(self._conversations.events(turn), turn.request.timeout)
            await self._run(stream, gone, send)
        finally:
            gone.cancel()

    async def _run(self, stream: EventStream, gone: asyncio.Task[None], send: Send) -> None:
        self._running.add(stream)
        self._idle.clear()
        try:
            await stream.send(gone, send)
        finally:
            self._running.discard(stream)
            if not self._running:
                self._idle.set()

    async def drain(self, seconds: float) -> None:
        """Let running streams end by themselves for a while, then end them with an event; new ones are refused."""
        self._stopping = True
        if await self._ended(seconds):
            return
        for stream in tuple(self._running):
            stream.stop()
        if await self._ended(LAST_WORD_SECONDS):
            return
        for stream in tuple(self._running):
            stream.abandon()
        await self._ended(LAST_WORD_SECONDS)

    async def _ended(self, seconds: float) -> bool:
        """Wait that long for the streams; whether all have ended."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _read(self, scope: Scope, receive: Receive, content_type: bytes) -> Question:
        check_declared_length(scope, self._max_bytes)
        body = Body(receive, self._max_bytes)
        if content_type.startswith(b"multipart/form-data"):
            return await self._read_form(scope, body)
        return Question(await _decode(await body.read()))

    async def _read_form(self, scope: Scope, body: Body) -> Question:
        # imported here: the first answer after a start should not wait for it
        from mediary.server.forms import read_form

        async with read_form(scope, body, self._max_bytes) as form:
            question = form.get("json")
            if not isinstance(question, str):
                raise FieldError("json", "the form needs the request as JSON in this field")
            files = [
                Attachment(item.filename or "file", await item.read())
                for item in form.getlist("files")
                if not isinstance(item, str)
            ]
            urls = tuple(item for item in form.getlist("media_url") if isinstance(item, str) and item)
            return Question(await _decode(question.encode()), tuple(files), urls)


async def _decode(body: bytes) -> ConversationRequest:
    if len(body) > IN_PASSING:
        return await asyncio.to_thread(decode_request, body)
    return decode_request(body)


async def _unless(gone: asyncio.Task[None], work: Coroutine[Any, Any, T]) -> T | None:
    """Do the work, or None if the client is gone before it is done."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
