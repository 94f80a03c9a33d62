"""`POST /backend-api/v2/uploads`: files go from the request to a provider by its own protocol, once."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from mediary.conversations.attaching.attachments import Attachments
from mediary.conversations.attaching.held import Held
from mediary.conversations.attaching.holder import LIMIT, Holder
from mediary.conversations.request import decode_json
from mediary.errors import FieldError, MethodNotAllowedError
from mediary.server.held_parts import decoded, hold_file, read_field
from mediary.server.limits import Body, check_declared_length
from mediary.server.long_answers import LongWork, Running, until_gone
from mediary.server.protocol import Receive, Scope, Send
from mediary.tasks import all_of
from mediary.uploads.room import UploadRoom, describe_upload

if TYPE_CHECKING:
    from mediary.server.multipart import Part
    from mediary.uploads.records.entry import Upload

MOST_TEXT = 1024 * 1024
"""Bytes of a field of a form."""
MOST_FILES = 1000
AT_ONCE = 4
"""Files of one request that are on their way at the same time."""
TEXTS = ("provider", "model", "text", "api_key")


class UploadRequest(Struct, kw_only=True):
    """The JSON of a request, and the fields of a form.

    `files` name what lies here or elsewhere: `/media/…`, `/files/<bucket>/media/…`, `{"bucket_id", "name"}`, a data
    URI, an http(s) URL. `api_key` and `cookies` stand in for those of the settings.
    """

    provider: str | None = None
    model: str | None = None
    text: str | None = None
    api_key: str | None = None
    cookies: dict[str, str] | None = None
    files: list[str | dict[str, str]] | None = None

    def __repr__(self) -> str:
        return f"UploadRequest(provider={self.provider!r})"


_request = msgspec.json.Decoder(UploadRequest)
_cookies = msgspec.json.Decoder(dict[str, str])
_reference = msgspec.json.Decoder(dict[str, str])


@dataclass(slots=True)
class _Asked:
    """What was asked for; `held` are the files that came with it."""

    request: UploadRequest = field(default_factory=UploadRequest)
    held: list[Held] = field(default_factory=list)


class UploadEndpoint:
    """Takes files in and carries them on; when the client leaves, what is on its way is stopped.

    `max_bytes` is what JSON may have, `max_form_bytes` a form with its files.
    """

    def __init__(
        self, room: UploadRoom, attachments: Attachments, max_bytes: int, max_form_bytes: int, running: Running
    ) -> None:
        self._room = room
        self._attachments = attachments
        self._max_bytes = max_bytes
        self._max_form_bytes = max_form_bytes
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, when all of its files lie there."""
        if scope["method"] != "POST":
            raise MethodNotAllowedError(scope["method"], ("GET", "HEAD", "POST"))
        self._running.check()
        async with self._attachments.holder() as holder:
            reading = LongWork(self._read(scope, receive, holder))
            with self._running.hold(reading):
                asked = await reading.done()
            assert asked is not None
            gone = asyncio.create_task(until_gone(receive))
            try:
                work = LongWork(self._upload(asked, holder))
                with self._running.hold(work):
                    answer = await work.done(gone)
            finally:
                gone.cancel()
        if answer is None:  # nobody is there to read it
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _read(self, scope: Scope, receive: Receive, holder: Holder) -> _Asked:
        content_type = dict(scope["headers"]).get(b"content-type", b"")
        if not content_type.startswith(b"multipart/form-data"):
            check_declared_length(scope, self._max_bytes)
            body = await Body(receive, self._max_bytes).read()
            return _Asked(await decoded(partial(decode_json, _request), body))
        from mediary.server.multipart import read_parts  # imported here: an idle server does without

        check_declared_length(scope, self._max_form_bytes, LIMIT)
        asked = _Asked()
        async with aclosing(read_parts(content_type, Body(receive, self._max_form_bytes, LIMIT))) as parts:
            await _read_form(parts, asked, holder)
        return asked

    async def _upload(self, asked: _Asked, holder: Holder) -> bytes:
        request = asked.request
        if not request.provider:
            raise FieldError("provider", f"say where to; there are: {', '.join(self._room.names) or 'none'}")
        self._room.uploader.get(request.provider)
        references = request.files or []
        if len(references) + len(asked.held) > MOST_FILES:
            raise FieldError("files", f"{MOST_FILES} files at most")
        held = [*asked.held, *await self._attachments.hold(references, holder)]
        if not held:
            raise FieldError("files", "at least one file is needed in this field")
        for file in held:  # before any of them is sent
            self._room.check(request.provider, file.name, file.media_type, file.size, request.model)
        uploads = await self._send_all(held, request)
        message = self._room.message(uploads, request.text or "")
        return msgspec.json.encode({"uploads": list(map(describe_upload, uploads)), "message": message})

    async def _send_all(self, held: Sequence[Held], request: UploadRequest) -> "list[Upload]":
        free = asyncio.Semaphore(AT_ONCE)

        async def send(file: Held) -> "Upload":
            async with free:
                return await self._room.upload(
                    await file.digested(),
                    request.provider or "",
                    model=request.model,
                    api_key=request.api_key,
                    cookies=request.cookies,
                )

        return await all_of(map(send, held))


async def _read_form(parts: "AsyncGenerator[Part, None]", asked: _Asked, holder: Holder) -> None:
    """The fields and files in any order."""
    references: list[str | dict[str, str]] = []
    async for part in parts:
        if part.field == "files" and part.filename is not None:
            asked.held += await hold_file(part, holder)
        elif part.field == "files":
            if said := await _text(part):
                references.append(_decode(_reference, said, "files") if said.startswith("{") else said)
        elif part.field == "cookies":
            asked.request.cookies = _decode(_cookies, await _text(part) or "{}", "cookies")
        elif part.field in TEXTS:
            setattr(asked.request, part.field, await _text(part) or None)
    asked.request.files = references


async def _text(part: "Part") -> str:
    return (await read_field(part, MOST_TEXT)).decode("utf-8", "replace").strip()


def _decode(decoder: "msgspec.json.Decoder[Any]", said: str, name: str) -> Any:
    try:
        return decoder.decode(said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FieldError(name, "is no JSON object of texts") from None
