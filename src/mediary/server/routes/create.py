"""`GET /backend-api/v2/create`: a question in a URL, its answer as words, media or speech."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from mediary.conversations.creating.create import Creating, Wish, Words
from mediary.conversations.creating.created import Created, item_name
from mediary.conversations.creating.read_out import ReadOut
from mediary.conversations.request import ConversationRequest, decode_request
from mediary.errors import BadRequestError, FieldError, MethodNotAllowedError
from mediary.server.file_answer import Headers
from mediary.server.labels import user_label
from mediary.server.long_answers import LongWork, Running, until_gone
from mediary.server.protocol import Receive, Scope, Send
from mediary.server.query import Query, read_boolean
from mediary.server.routes.media import Files, redirect
from mediary.server.sse import STALL_SECONDS
from mediary.tasks import in_batches

CREATE = "/backend-api/v2/create"
TEXTS = ("model", "provider", "negative_prompt", "reasoning_effort", "aspect_ratio", "size", "voice", "format")
WHOLE = ("max_tokens", "seed", "steps", "width", "height", "n")
NUMBERS = ("temperature", "top_p", "speed", "seconds", "timeout", "stream_timeout")
SWITCHES = ("web_search", "memory", "filter_markdown", "audio")
"""What is on, off, or on with a word: a query, somebody's name, a language, a voice."""
MOST = 10**15

Piece = Created | Words

_PLAIN = (b"content-type", b"text/plain; charset=utf-8")
_OURS = [(b"cache-control", b"no-cache"), (b"x-content-type-options", b"nosniff")]
_KINDS = (b"image/", b"audio/", b"video/")
_NOTHING = (b"", b"null", b"undefined")
_NOT_OF_FILE = {b"accept-ranges", b"cache-control", b"etag", b"last-modified", b"x-content-type-options"}


class CreateEndpoint:
    """Answers the question of a URL. A browser shows and plays what comes; `files` is where the media are read."""

    def __init__(self, creating: Creating, files: Files, running: Running) -> None:
        self._creating = creating
        self._files = files
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; HEAD would cost as much as GET, and is refused."""
        if scope["method"] != "GET":
            raise MethodNotAllowedError(scope["method"], ("GET",))
        self._running.check()
        headers = dict(scope["headers"])
        query = Query(scope["query_string"])
        wish = read_wish(query, headers)
        answer = self._stream if query.boolean("stream") else self._whole
        gone = asyncio.create_task(until_gone(receive))
        work = LongWork(answer(wish, headers, send))
        try:
            with self._running.hold(work):
                await work.done(gone)
        finally:
            gone.cancel()

    async def _whole(self, wish: Wish, headers: dict[bytes, bytes], send: Send) -> None:
        await self._send(await self._creating.create(wish), wish, headers, send)

    async def _stream(self, wish: Wish, headers: dict[bytes, bytes], send: Send) -> None:
        """Send words as they come. What fails behind the first of them breaks the answer off."""
        async with aclosing(in_batches(self._creating.stream(wish))) as batches:
            first = await anext(batches)
            if isinstance(first[0], Created):
                await self._send(first[0], wish, headers, send)
            else:
                told = [_PLAIN, *_OURS, (b"x-accel-buffering", b"no"), (b"x-run-id", first[0].run.encode())]
                await _send_pieces(_joined(first, batches), told, send)

    async def _send(self, created: Created, wish: Wish, headers: dict[bytes, bytes], send: Send) -> None:
        """Send the words; where there are none, or the client cannot show any, the media."""
        facts = _facts(created, wish)
        media = created.media
        wants_media = _wants_media(headers.get(b"accept", b""))
        if media and (wants_media or (len(media) == 1 and not created.text)):
            await self._send_item(media[0], facts, send)
            return
        body = (created.text or "".join(f"{url}\n" for url in media)).encode("utf-8", "replace")
        told = [_PLAIN, (b"content-length", b"%d" % len(body)), *facts]
        await send({"type": "http.response.start", "status": 200, "headers": told})
        await send({"type": "http.response.body", "body": body})

    async def _send_item(self, url: str, facts: Headers, send: Send) -> None:
        """Send the bytes of an item; what could not be kept is where the provider says."""
        name = item_name(url)
        if name is None:
            await redirect(send, url, facts)
            return
        file = await self._files.open(name)
        try:
            kept = [header for header in file.facts.headers if header[0] not in _NOT_OF_FILE]
            location = (b"content-location", url.partition("?")[0].encode())
            await _send_pieces(file.read(0, file.facts.size), [*kept, location, *facts], send)
        finally:
            file.close()


def read_wish(query: Query, headers: dict[bytes, bytes]) -> Wish:
    """What a query and its headers ask for; FieldError or BadRequestError names what is wrong."""
    prompt = query.text("prompt")
    if not prompt.strip():
        raise FieldError("prompt", "is needed: it is the question")
    switches = {name: _switch(query.text(name)) for name in SWITCHES}
    fields: dict[str, Any] = {
        "messages": [{"role": "user", "content": prompt}],
        "web_search": switches["web_search"],
        "memory": switches["memory"],
        "download_media": query.boolean("download_media", default=True),
        "stop": query.text("stop") or None,
        "api_key": _header(headers, "api-key"),
        "base_url": _header(headers, "api-base"),
        **{name: query.text(name).strip() or None for name in TEXTS},
        **{name: query.whole(name, None, -MOST, MOST) for name in WHOLE},
        **{name: query.number(name) for name in NUMBERS},
    }
    request = decode_request(msgspec.json.encode(fields))
    language = switches["filter_markdown"]
    return Wish(
        request,
        code=language.casefold() if isinstance(language, str) else ("" if language else None),
        json=query.boolean("json") or language == "json",
        read_out=_read_out(query, switches["audio"], request),
        cache=query.text("cache") if _switch(query.text("cache")) else None,
        user=user_label(headers.items()),
    )


def _read_out(query: Query, audio: bool | str | None, request: ConversationRequest) -> ReadOut | None:
    """How the answer is to be read out, if it is."""
    provider = query.text("audio_provider").strip() or None
    if not audio and (audio is False or provider is None):
        return None
    return ReadOut(
        provider,
        instead_of=request.provider,
        voice=audio if isinstance(audio, str) else request.voice,
        kind=request.format or "mp3",
        speed=1.0 if request.speed is None else request.speed,
    )


def _switch(text: str) -> bool | str | None:
    """On, off, or on with a word; None where nothing is said."""
    if not text.strip():
        return None
    try:
        return read_boolean("", text.strip())
    except BadRequestError:
        return text.strip()


def _header(headers: dict[bytes, bytes], name: str) -> str | None:
    """A header that begins with `x-`, or with `x_` as some clients write it; some send their word for nothing."""
    found = headers.get(f"x-{name}".encode()) or headers.get(f"x_{name.replace('-', '_')}".encode()) or b""
    return None if found in _NOTHING else found.decode("latin-1")


def _facts(created: Created, wish: Wish) -> Headers:
    """What the headers say of an answer: where its turn can be read again, and how old it is if it may be."""
    found = [*_OURS, (b"vary", b"accept")]
    if created.run:
        found.append((b"x-run-id", created.run.encode()))
    if wish.cache is not None:
        found.append((b"age", b"%d" % max(0, time.time() - created.made)))
    return found


def _wants_media(accept: bytes) -> bool:
    """Whether a client can show no words: an `<img>` says so, a page and `curl` do not."""
    accept = accept.lower()
    return b"text/" not in accept and accept.startswith(_KINDS)


async def _joined(first: list[Piece], others: AsyncGenerator[list[Piece], None]) -> AsyncGenerator[bytes, None]:
    """Words as bytes, those that are there at once in one piece."""
    yield _encoded(first)
    async for batch in others:
        yield _encoded(batch)


def _encoded(batch: list[Piece]) -> bytes:
    return "".join(piece.text for piece in batch).encode("utf-8", "replace")


async def _send_pieces(pieces: AsyncGenerator[bytes, None], headers: Headers, send: Send) -> None:
    """Send a body as it comes; what fails before its first piece can still become an error's answer."""
    async with aclosing(pieces):
        piece: bytes | None = await anext(pieces, b"")
        await send({"type": "http.response.start", "status": 200, "headers": headers})
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
