"""`POST /backend-api/v2/conversation`: a plain ASGI endpoint, for its stream must cost little."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mediary.conversations.attaching.held import Held
from mediary.conversations.attaching.holder import LIMIT, Holder
from mediary.conversations.request import ConversationRequest, decode_request
from mediary.conversations.turn import Conversations
from mediary.errors import FieldError, MethodNotAllowedError
from mediary.server.held_parts import decoded, hold_file, read_field
from mediary.server.labels import user_label
from mediary.server.limits import USUAL, Body, check_declared_length
from mediary.server.long_answers import LongWork, Running, until_gone
from mediary.server.own_urls import as_path, use_paths
from mediary.server.protocol import Receive, Scope, Send
from mediary.server.running_turns import RunningTurns

if TYPE_CHECKING:
    from mediary.server.multipart import Part

MAX_URL = 64 * 1024
"""Bytes of a URL in a field."""


@dataclass(slots=True, frozen=True)
class Question:
    """What a client sent: the request, and in a form its files and the URLs of further ones."""

    request: ConversationRequest
    files: tuple[Held, ...] = ()
    urls: tuple[str, ...] = ()


class ConversationEndpoint:
    """Takes the question, streams the answer.

    `max_bytes` is what the JSON of a question may have, `max_form_bytes` a form with its files.
    """

    def __init__(
        self, conversations: Conversations, runs: RunningTurns, max_bytes: int, max_form_bytes: int, running: Running
    ) -> None:
        self._conversations = conversations
        self._runs = runs
        self._max_bytes = max_bytes
        self._max_form_bytes = max_form_bytes
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "POST":
            raise MethodNotAllowedError(scope["method"], ("POST",))
        headers = dict(scope["headers"])
        user = user_label(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        async with self._conversations.holder() as holder:
            question = await self._read(scope, receive, headers.get(b"content-type", b""), holder)
            use_paths(question.request, host)
            urls = tuple(as_path(url, host) for url in question.urls)
            if question.request.detach:
                self._runs.check_detaching()
            gone = asyncio.create_task(until_gone(receive))
            try:
                preparing = self._conversations.prepare(question.request, holder, question.files, urls, user)
                detached = bool(question.request.detach)
                turn = await LongWork(preparing).done(None if detached else gone)
                if turn is None:
                    return
                self._running.check()
                answer = self._runs.detached if detached else self._runs.attached
                await answer(turn, self._conversations.events(turn), gone, send)
            finally:
                gone.cancel()

    async def _read(self, scope: Scope, receive: Receive, content_type: bytes, holder: Holder) -> Question:
        if not content_type.startswith(b"multipart/form-data"):
            check_declared_length(scope, self._max_bytes)
            return Question(await decoded(decode_request, await Body(receive, self._max_bytes).read()))
        # imported here: the first answer after a start should not wait for it
        from mediary.server.multipart import read_parts

        check_declared_length(scope, self._max_form_bytes, LIMIT)
        parts = read_parts(content_type, Body(receive, self._max_form_bytes, LIMIT))
        self._running.check()
        work = LongWork(self._read_form(parts, holder))
        with self._running.hold(work):
            question = await work.done()
        assert question is not None
        return question

    async def _read_form(self, parts: "AsyncGenerator[Part, None]", holder: Holder) -> Question:
        """The fields in any order; files go where they are held as they come."""
        request: ConversationRequest | None = None
        files: list[Held] = []
        urls: list[str] = []
        async with aclosing(parts):
            async for part in parts:
                match part.field:
                    case "json":
                        request = await decoded(decode_request, await read_field(part, self._max_bytes, USUAL))
                    case "media_url":
                        urls.append((await read_field(part, MAX_URL)).decode("utf-8", "replace"))
                    case "files" if part.filename is not None:
                        files += await hold_file(part, holder)
        if request is None:
            raise FieldError("json", "the form needs the request as JSON in this field")
        return Question(request, tuple(files), tuple(filter(None, urls)))
