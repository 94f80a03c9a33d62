"""`POST /backend-api/v2/conversation`: a plain ASGI endpoint, for its stream must cost little."""

import asyncio
from dataclasses import dataclass

from mediary.conversations.attachments import Attachment
from mediary.conversations.request import ConversationRequest, decode_request
from mediary.conversations.turn import Conversations
from mediary.errors import FieldError, MethodNotAllowedError
from mediary.server.limits import Body, check_declared_length
from mediary.server.long_answers import LongWork, Running, until_gone
from mediary.server.protocol import Receive, Scope, Send
from mediary.server.sse import TURN, EventStream

IN_PASSING = 1024 * 1024
"""Bytes of JSON that are decoded on the event loop."""


@dataclass(slots=True, frozen=True)
class Question:
    """What a client sent: the request, and in a form its files and the URLs of further ones."""

    request: ConversationRequest
    files: tuple[Attachment, ...] = ()
    urls: tuple[str, ...] = ()


class ConversationEndpoint:
    """Takes the question, streams the answer."""

    def __init__(self, conversations: Conversations, max_bytes: int, running: Running) -> None:
        self._conversations = conversations
        self._max_bytes = max_bytes
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "POST":
            raise MethodNotAllowedError(scope["method"], ("POST",))
        headers = dict(scope["headers"])
        user = (headers.get(b"x-user") or headers.get(b"x_user") or b"").decode("latin-1") or None
        question = await self._read(scope, receive, headers.get(b"content-type", b""))
        gone = asyncio.create_task(until_gone(receive))
        try:
            preparing = self._conversations.prepare(question.request, question.files, question.urls, user)
            turn = await LongWork(preparing).done(gone)
            if turn is None:
                return
            self._running.check()
            stream = EventStream(self._conversations.events(turn), TURN, turn.request.timeout)
            with self._running.hold(stream):
                await stream.send(gone, send)
        finally:
            gone.cancel()

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
