"""What a message brings along: each picture, sound and text is fetched, checked and made a typed part."""

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from mediary.conversations.bucket_parts import BucketParts, Place, Wanted, read_media
from mediary.conversations.request import IncomingMessage
from mediary.data_uris import decode_base64, is_data_uri, parse_data_uri
from mediary.errors import FieldError, NotFoundError, TooLargeError, UnsupportedTypeError
from mediary.formats import SNIFF_BYTES, detect
from mediary.net.client import HttpClient
from mediary.net.download import open_download
from mediary.providers.base import Audio, Image, Message, Part, Text
from mediary.storage.base import Store
from mediary.tasks import all_of

T = TypeVar("T")

LIBRARY_PATHS = ("/media/", "/images/")
PASSED_ON = ("name", "tool_calls", "tool_call_id")
"""What goes to the provider as it came."""
AT_ONCE = 8
"""Parts of one message that are fetched at the same time."""
IN_PASSING = 256 * 1024
"""Characters of base64 that are decoded on the event loop."""


@dataclass(slots=True, frozen=True)
class Attachment:
    """A file that came with the request: its name and its bytes."""

    name: str
    data: bytes = field(repr=False)


@dataclass(slots=True, frozen=True)
class Resolved:
    """Messages for a provider, which of their pictures and sounds are not kept yet, and the question's picture.

    That is the first one in the last message of the user, unless it is a bucket's. `places` are where texts of buckets
    belong, and `left` is how many bytes they may have.
    """

    messages: tuple[Message, ...]
    brought: tuple[Image | Audio, ...]
    picture: Image | None = None
    places: tuple[Place, ...] = ()
    left: int = 0


class Attachments:
    """Turns the messages of a request into messages for a provider; their parts have `max_bytes` together."""

    def __init__(self, store: Store, http: HttpClient, max_bytes: int, *, buckets: BucketParts | None = None) -> None:
        self._store = store
        self._http = http
        self._max_bytes = max_bytes
        self._buckets = buckets

    async def resolve(
        self,
        messages: Iterable[IncomingMessage],
        files: Iterable[Attachment] = (),
        urls: Iterable[str] = (),
    ) -> Resolved:
        """The messages with all their parts; `files` and `urls` go with the last message of the user."""
        allowance = _Allowance(self._max_bytes)
        fetch = _Fetch(self._store, self._http, allowance, self._buckets)
        resolved = [await fetch.message(number, message) for number, message in enumerate(messages)]
        parts = [fetch.file(file) for file in files]
        parts += await all_of(fetch.media("media_url", url) for url in urls)
        if parts:
            resolved = _with_last_of_user(resolved, parts)
        media = [part for message in resolved for part in message.parts if isinstance(part, Image | Audio)]
        brought = tuple(part for part in media if not part.kept)
        picture = _picture(resolved)
        if any(picture is part for part in fetch.of_buckets):
            picture = None
        return Resolved(tuple(resolved), brought, picture, tuple(fetch.places), allowance.left)


class _Allowance:
    """The bytes that the parts of one request may have together."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.left = max_bytes

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            limit = f"{self._max_bytes} bytes together (conversation.max_attachment_bytes)"
            raise TooLargeError(f"the attachments of a request may have {limit}")


class _Fetch:
    """Fetches the parts of one request."""

    def __init__(self, store: Store, http: HttpClient, allowance: _Allowance, buckets: BucketParts | None) -> None:
        self._store = store
        self._http = http
        self._allowance = allowance
        self._buckets = buckets
        self.places: list[Place] = []
        self.of_buckets: list[Part] = []
        self._free = asyncio.Semaphore(AT_ONCE)

    async def message(self, number: int, message: IncomingMessage) -> Message:
        """A message with its parts; `number` says which it is."""
        content = [{"text": message.content}] if isinstance(message.content, str) else message.content or []
        parts: list[Part | Wanted | None] = [_text_part(part) for part in content]
        missing = [at for at, part in enumerate(parts) if part is None]
        if missing:
            fetched = await all_of(self._content_part(content[at]) for at in missing)
            for at, found in zip(missing, fetched, strict=True):
                parts[at] = found
        extra = {name: value for name in PASSED_ON if (value := getattr(message, name)) is not None}
        known: list[Part] = []
        for part in parts:
            if isinstance(part, Wanted):
                self.places.append(Place(number, len(known), part))
            elif part is not None:
                known.append(part)
        return Message(role=message.role or "user", parts=tuple(known), extra=extra)

    async def media(self, name: str, url: str) -> Part:
        """The media item behind a data URI, an http(s) URL or the path of a kept file; `name` is the field's."""
        async with self._free:
            if is_data_uri(url):
                _, content = await self._decode(parse_data_uri, url, name)
                return _part(content, name)
            path = url.partition("?")[0]
            file_name = unquote(path.rpartition("/")[2]) or name
            if url[:8].casefold().startswith(("http://", "https://")):
                async with open_download(self._http, url, max_bytes=self._allowance.left) as download:
                    return _part(await self._collect(download.chunks), file_name)
            if path.startswith(LIBRARY_PATHS):
                async with aclosing(self._store.read(unquote(path.split("/", 2)[2]))) as chunks:
                    return _part(await self._collect(chunks), file_name, kept=True)
        match path.split("/"):
            case ["", "files", bucket_id, "media", file]:
                buckets = self._in_buckets(unquote(bucket_id))
                return await self._of_bucket(await buckets.media(unquote(bucket_id), unquote(file)))
        kept = "the path of a kept file: /media/… or /files/<bucket>/media/…"
        raise FieldError(name, f"must be an http(s) URL, a data URI or {kept}")

    def file(self, file: Attachment) -> Part:
        """A file that came in the form."""
        self._allowance.take(len(file.data))
        return _part(file.data, file.name)

    async def _content_part(self, part: dict[str, Any]) -> Part | Wanted:
        """A part that is no text yet, in any of the forms that clients send."""
        match part:
            case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
                return await self.media("image_url", url)
            case {"type": "input_audio", "input_audio": {"data": str(data)}}:
                return _part(await self._decode(decode_base64, data, "input_audio"), "input_audio")
            case {"bucket_id": str(bucket_id), "name": str(name)}:
                stored = await self._in_buckets(bucket_id).stored(bucket_id, name)
                return stored if isinstance(stored, Wanted) else await self._of_bucket(stored)
            case {"bucket_id": str(bucket_id)} if part.get("name") is None:
                return await self._in_buckets(bucket_id).text(bucket_id)
            case {"bucket_id": _}:
                raise FieldError("messages", "`bucket_id` and `name` of a content part are texts")
            case {"type": kind}:
                raise FieldError("messages", f"a content part of type {kind!r} is not understood, or lacks its value")
        raise FieldError("messages", "a content part needs a type: text, image_url or input_audio")

    def _in_buckets(self, bucket_id: str) -> BucketParts:
        if self._buckets is None:
            raise NotFoundError(f"there is no bucket {bucket_id!r}")
        return self._buckets

    async def _of_bucket(self, path: Path) -> Part:
        """A stored picture or sound; it stays where it is, and is not put into the library too."""
        async with self._free:
            data = await read_media(path, self._allowance.left)
            self._allowance.take(len(data))
        part = _part(data, path.name, kept=True)
        self.of_buckets.append(part)
        return part

    async def _collect(self, chunks: AsyncIterable[bytes]) -> bytes:
        content = bytearray()
        async for chunk in chunks:
            self._allowance.take(len(chunk))
            content += chunk
        return bytes(content)

    async def _decode(self, decode: Callable[[str, str], T], data: str, name: str) -> T:
        """Base64, off the event loop where it takes more than a moment."""
        self._allowance.take(len(data) * 3 // 4)
        return await asyncio.to_thread(decode, data, name) if len(data) > IN_PASSING else decode(data, name)


def _text_part(part: dict[str, Any]) -> Part | None:
    """A part that is text; None for all that has to be fetched or decoded."""
    match part:
        case {"bucket_id": _}:
            return None
        case {"text": str(text)}:
            return Text(text)
    return None


def _with_last_of_user(messages: list[Message], parts: list[Part]) -> list[Message]:
    """The messages with further parts in the last one of the user, or in a new one."""
    for at in reversed(range(len(messages))):
        if messages[at].role == "user":
            extended = replace(messages[at], parts=(*messages[at].parts, *parts))
            return [*messages[:at], extended, *messages[at + 1 :]]
    return [*messages, Message(role="user", parts=tuple(parts))]


def _picture(messages: list[Message]) -> Image | None:
    """The first picture of the last message of the user."""
    question = next((message for message in reversed(messages) if message.role == "user"), None)
    return next((part for part in question.parts if isinstance(part, Image)), None) if question else None


def _part(data: bytes, name: str, *, kept: bool = False) -> Part:
    """Bytes as what they are, whatever their name says."""
    found = detect(data[:SNIFF_BYTES])
    if found and found.kind == "image":
        return Image(media_type=found.media_type, data=data, name=name, kept=kept)
    if found and found.kind == "audio":
        return Audio(media_type=found.media_type, data=data, name=name, kept=kept)
    if found is None and data and b"\0" not in data:
        try:
            return Text(data.decode("utf-8-sig"), source=name)
        except UnicodeDecodeError:
            pass
    kind = found.media_type if found else "neither a picture, a sound nor plain text"
    raise UnsupportedTypeError(f"{name} cannot go into a message: it is {kind}")
