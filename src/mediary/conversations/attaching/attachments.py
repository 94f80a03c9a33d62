"""What a message brings along: its files are fetched and held, texts of buckets found; each has its place."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from mediary.conversations.attaching.bucket_parts import BucketParts, Wanted
from mediary.conversations.attaching.held import Held
from mediary.conversations.attaching.holder import Holder
from mediary.conversations.attaching.places import Place
from mediary.conversations.request import IncomingMessage
from mediary.data_uris import is_data_uri, open_base64, open_data_uri
from mediary.errors import FieldError, NotFoundError
from mediary.net.client import HttpClient
from mediary.net.download import open_download
from mediary.providers.base import Message, Part, Text
from mediary.storage.base import Store
from mediary.tasks import all_of

if TYPE_CHECKING:
    from mediary.uploads.files import Files

LIBRARY_PATHS = ("/media/", "/images/")
PASSED_ON = ("name", "tool_calls", "tool_call_id")
"""What goes to the provider as it came."""
AT_ONCE = 8
"""Parts of one message that are fetched at the same time."""
IN_PASSING = 256 * 1024
"""Characters of base64 that are decoded on the event loop."""


@dataclass(slots=True)
class Resolved:
    """Messages for a provider; texts of buckets and files have their places in them, and come later.

    `picture` is the question's: the first one in the last message of the user, unless it is a bucket's.
    """

    messages: list[Message] = field(default_factory=list)
    texts: dict[Place, Wanted] = field(default_factory=dict)
    files: dict[Place, Held] = field(default_factory=dict)

    @property
    def brought(self) -> tuple[Held, ...]:
        """The files that are nowhere kept yet."""
        return tuple(file for file in self.files.values() if not file.kept)

    @property
    def picture(self) -> Held | None:
        """The picture of the question."""
        question = self._question()
        files = (self.files[place] for place in sorted(self.files) if place.message == question)
        first = next((file for file in files if file.media_type.startswith("image/")), None)
        return None if first is None or (first.kept and first.item is None) else first

    def add(self, role: str, parts: Iterable[Part | Wanted | Held], extra: dict[str, Any] | None = None) -> None:
        """One more message."""
        known = self._placed(len(self.messages), [], parts)
        self.messages.append(Message(role, tuple(known), extra or {}))

    def extend_question(self, parts: Iterable[Held]) -> None:
        """Further parts for the last message of the user, or for a new one."""
        at = self._question()
        if at is None:
            self.add("user", parts)
        else:
            known = self._placed(at, list(self.messages[at].parts), parts)
            self.messages[at] = replace(self.messages[at], parts=tuple(known))

    def _question(self) -> int | None:
        """The number of the last message of the user."""
        return next((at for at in reversed(range(len(self.messages))) if self.messages[at].role == "user"), None)

    def _placed(self, number: int, known: list[Part], parts: Iterable[Part | Wanted | Held]) -> list[Part]:
        """The known parts of a message with those that are known now; the others get their places."""
        for part in parts:
            if isinstance(part, Wanted | Held):
                place = Place(number, len(known), len(self.texts) + len(self.files))
                if isinstance(part, Wanted):
                    self.texts[place] = part
                else:
                    self.files[place] = part
            else:
                known.append(part)
        return known


class Attachments:
    """Takes in what the messages of requests bring along: it is held, and `max_bytes` is what it may have together.

    Temporary files are made in a `folder` where somebody removes what a killed process leaves: that of a local store.
    `files` tells of them what uploads want to know.
    """

    def __init__(
        self,
        store: Store,
        http: HttpClient,
        folder: Path,
        max_bytes: int,
        *,
        files: "Files",
        buckets: BucketParts | None = None,
    ) -> None:
        self._folder = folder
        self._store = store
        self._http = http
        self._max_bytes = max_bytes
        self._files = files
        self._buckets = buckets

    def holder(self) -> Holder:
        """What holds the files of one question."""
        return Holder(self._folder, self._max_bytes, self._files)

    async def hold(self, references: Iterable[str | Mapping[str, str]], holder: Holder) -> list[Held]:
        """Files by where they lie: a URL as in a message, or of a bucket `{"bucket_id", "name"}` as it was brought."""
        fetch = _Fetch(self._store, self._http, self._buckets, holder)
        return await all_of(map(fetch.named, references))

    async def resolve(
        self, messages: Iterable[IncomingMessage], files: Iterable[Held], urls: Iterable[str], holder: Holder
    ) -> Resolved:
        """The messages with all that they bring; `files` and `urls` go with the last message of the user."""
        fetch = _Fetch(self._store, self._http, self._buckets, holder)
        resolved = Resolved()
        for message in messages:
            extra = {name: value for name in PASSED_ON if (value := getattr(message, name)) is not None}
            resolved.add(message.role or "user", await fetch.parts(message), extra)
        fetched = [*files, *await all_of(fetch.media("media_url", url) for url in urls)]
        if fetched:
            resolved.extend_question(fetched)
        return resolved


class _Fetch:
    """Fetches the parts of one request."""

    def __init__(self, store: Store, http: HttpClient, buckets: BucketParts | None, holder: Holder) -> None:
        self._store = store
        self._http = http
        self._buckets = buckets
        self._holder = holder
        self._free = asyncio.Semaphore(AT_ONCE)

    async def parts(self, message: IncomingMessage) -> list[Part | Wanted | Held]:
        """The parts of a message."""
        content = [{"text": message.content}] if isinstance(message.content, str) else message.content or []
        parts: list[Part | Wanted | Held | None] = [_text_part(part) for part in content]
        missing = [at for at, part in enumerate(parts) if part is None]
        if missing:
            fetched = await all_of(self._content_part(content[at]) for at in missing)
            for at, found in zip(missing, fetched, strict=True):
                parts[at] = found
        return [part for part in parts if part is not None]

    async def media(self, name: str, url: str) -> Held:
        """The file behind a data URI, an http(s) URL or the path of a kept file; `name` is the field's."""
        async with self._free:
            if is_data_uri(url):
                return await self._decoded(open_data_uri(url, name)[1], name, len(url))
            path = url.partition("?")[0]
            file_name = unquote(path.rpartition("/")[2]) or name
            if url[:8].casefold().startswith(("http://", "https://")):
                most = min(self._holder.left, self._http.net.max_bytes)
                async with open_download(self._http, url, max_bytes=most) as download:
                    return await self._holder.take(file_name, download.chunks)
            if path.startswith(LIBRARY_PATHS):
                return await self._holder.of_store(self._store, unquote(path.split("/", 2)[2]))
        match path.split("/"):
            case ["", "files", bucket_id, "media", file]:
                buckets = self._in_buckets(unquote(bucket_id))
                return await self._of_bucket(await buckets.media(unquote(bucket_id), unquote(file)))
        kept = "the path of a kept file: /media/… or /files/<bucket>/media/…"
        raise FieldError(name, f"must be an http(s) URL, a data URI or {kept}")

    async def named(self, reference: str | Mapping[str, str]) -> Held:
        """A file of a list of some."""
        match reference:
            case str(url):
                return await self.media("files", url)
            case {"bucket_id": bucket_id, "name": name}:
                return await self._original(bucket_id, name)
        raise FieldError("files", "a stored file is named by its `bucket_id` and `name`")

    async def _content_part(self, part: dict[str, Any]) -> Held | Wanted:
        """A part that is no text yet, in any of the forms that clients send."""
        match part:
            case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
                return await self.media("image_url", url)
            case {"type": "input_audio", "input_audio": {"data": str(data)}}:
                return await self._decoded(open_base64(data, "input_audio"), "input_audio", len(data))
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

    async def _original(self, bucket_id: str, name: str) -> Held:
        """A stored file as it was brought."""
        async with self._free:
            path, original = await self._in_buckets(bucket_id).file(bucket_id, name)
            return await self._holder.of_path(path, original, kept=True)

    def _in_buckets(self, bucket_id: str) -> BucketParts:
        if self._buckets is None:
            raise NotFoundError(f"there is no bucket {bucket_id!r}")
        return self._buckets

    async def _of_bucket(self, path: Path) -> Held:
        """A stored file; it stays where it is, and is not put into the library too."""
        async with self._free:
            return await self._holder.of_path(path, kept=True)

    async def _decoded(self, pieces: Iterator[bytes], name: str, length: int) -> Held:
        """Base64, off the event loop where it takes more than a moment."""
        return await self._holder.take(name, _in_turn(pieces, in_thread=length > IN_PASSING))


async def _in_turn(pieces: Iterator[bytes], *, in_thread: bool) -> AsyncGenerator[bytes, None]:
    """Pieces that take their time to be made, so that others can do something meanwhile."""
    while (piece := await asyncio.to_thread(next, pieces, None) if in_thread else next(pieces, None)) is not None:
        yield piece


def _text_part(part: dict[str, Any]) -> Part | None:
    """A part that is text; None for all that has to be fetched or decoded."""
    match part:
        case {"bucket_id": _}:
            return None
        case {"text": str(text)}:
            return Text(text)
    return None
