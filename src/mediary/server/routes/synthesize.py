"""`GET /backend-api/v2/synthesize/<provider>`, and `…/voices`: text as speech, streamed from the first bytes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from mediary.conversations.choice.directory import ProviderDirectory
from mediary.conversations.speaking import speaking_provider
from mediary.errors import BadRequestError, MethodNotAllowedError, NotFoundError
from mediary.server.file_answer import Headers, conditions, send_file
from mediary.server.local_files import LocalFiles
from mediary.server.long_answers import LongWork, Running, until_gone
from mediary.server.protocol import Receive, Scope, Send
from mediary.server.query import Query
from mediary.server.sse import STALL_SECONDS

if TYPE_CHECKING:
    from mediary.speech.room import SpeechRoom
    from mediary.speech.wanted import Wanted

SYNTHESIZE = "/backend-api/v2/synthesize/"
VOICES = "/voices"
METHODS = ("GET", "HEAD")
USUAL = "mp3"
TYPES = {
    "mp3": b"audio/mpeg",
    "opus": b"audio/ogg",
    "wav": b"audio/wav",
    "flac": b"audio/flac",
    "aac": b"audio/aac",
}
"""What a client calls each format; `Accept` is read by these."""
_OTHER_TYPES = {
    b"audio/mp3": "mp3",
    b"audio/opus": "opus",
    b"application/ogg": "opus",
    b"audio/x-wav": "wav",
    b"audio/wave": "wav",
    b"audio/vnd.wave": "wav",
    b"audio/x-flac": "flac",
    b"audio/x-aac": "aac",
    b"audio/aacp": "aac",
}
_BY_TYPE = {media_type: kind for kind, media_type in TYPES.items()} | _OTHER_TYPES
_WHATEVER = (b"audio/*", b"*/*")


class SynthesizeEndpoint:
    """Reads text out, until the end or until the client leaves; what was said before is a file with ranges."""

    def __init__(self, room: "SpeechRoom", providers: ProviderDirectory, running: Running) -> None:
        self._room = room
        self._providers = providers
        self._running = running

    @cached_property
    def _files(self) -> LocalFiles:
        return LocalFiles(self._room.cache.store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD."""
        method: str = scope["method"]
        if method not in METHODS:
            raise MethodNotAllowedError(method, METHODS)
        name = scope["path"].removeprefix(SYNTHESIZE)
        if name.endswith(VOICES):
            await self._list_voices(name.removesuffix(VOICES), send, head=method == "HEAD")
            return
        self._running.check()
        gone = asyncio.create_task(until_gone(receive))
        work = LongWork(self._answer(name, scope, receive, send))
        try:
            with self._running.hold(work):
                await work.done(gone)
        finally:
            gone.cancel()

    async def _list_voices(self, name: str, send: Send, *, head: bool) -> None:
        _, provider = await speaking_provider(self._providers, name, None)
        body = msgspec.json.encode(list(await provider.voices()))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else body})

    async def _answer(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = await self._wanted(name, Query(scope["query_string"]), scope["headers"])
        head = scope["method"] == "HEAD"
        headers = _headers(wanted.kind)
        if await self._send_kept(wanted, scope["headers"], send, head=head):
            return
        if head:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            await _send_sound(self._room.sound(wanted), headers, send)

    async def _wanted(self, name: str, query: Query, headers: Headers) -> "Wanted":
        who, provider = await speaking_provider(self._providers, name, query.text("model") or None)
        return await self._room.want(
            who,
            provider,
            query.text("text"),
            kind=query.text("format") or accepted_format(headers),
            voice=query.text("voice").strip() or None,
            model=query.text("model").strip() or None,
            speed=_speed(query.text("speed")),
            manner=query.text("instructions").strip() or None,
        )

    async def _send_kept(self, wanted: "Wanted", asked: Headers, send: Send, *, head: bool) -> bool:
        """Answer with the file that is there; False if there is none."""
        try:
            file = await self._files.open(wanted.name)
        except NotFoundError:
            return False
        try:
            await self._room.cache.touch(wanted.name)
            own = _headers(wanted.kind)
            named = {name for name, _ in own} | {b"content-disposition", b"content-security-policy"}
            kept = [header for header in file.facts.headers if header[0] not in named]
            file.facts = replace(file.facts, headers=[*own, *kept], media_type=TYPES[wanted.kind])
            # Who leaves is noticed outside: nobody may wait for the same message twice.
            await send_file(file, conditions(asked), _never, send, head=head)
        finally:
            file.close()
        return True


def accepted_format(headers: Headers) -> str:
    """The format that a client likes best, by `Accept`; MP3 where it says nothing, or nothing that there is."""
    accept = b",".join([value for name, value in headers if name == b"accept"])
    liked: list[tuple[float, bool, str]] = []
    refused: set[str] = set()
    for field in accept.split(b","):
        media_type, *parameters = (part.strip().lower() for part in field.split(b";"))
        weight = _weight(parameters)
        kind = _BY_TYPE.get(media_type)
        if kind and not weight:
            refused.add(kind)
        elif kind or (media_type in _WHATEVER and weight):
            liked.append((weight, kind is not None, kind or USUAL))
    # A type that is named outweighs one that is meant by a star.
    best = sorted((entry for entry in liked if entry[2] not in refused), key=lambda entry: entry[:2], reverse=True)
    return best[0][2] if best else USUAL


def _weight(parameters: list[bytes]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0


def _speed(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        raise BadRequestError("speed is a number, such as 1.25") from None


def _headers(kind: str) -> Headers:
    return [
        (b"content-type", TYPES[kind]),
        (b"cache-control", b"max-age=604800"),
        (b"vary", b"accept"),
        (b"x-content-type-options", b"nosniff"),
    ]


async def _send_sound(pieces: AsyncGenerator[bytes, None], headers: Headers, send: Send) -> None:
    """Send speech as it is made; what fails before the first bytes can still become an error's answer.

    What fails later breaks the answer off: half a file is never taken for a whole one.
    """
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


async def _never() -> dict[str, str]:
    """A client of whose leaving somebody else knows."""
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}
