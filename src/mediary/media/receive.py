"""Takes a stream of bytes into a file and its row: media formats alone, within the size limit, at constant memory."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from mediary.errors import BadRequestError, TooLargeError
from mediary.formats import SNIFF_BYTES, Format, by_media_type, require_format
from mediary.media.decoding.probe import PROBE_BYTES, dimensions
from mediary.media.digests import take_into
from mediary.media.incoming import SLICE, Source
from mediary.media.item import MediaItem
from mediary.names import created_at, get_filename
from mediary.storage.base import Staged, StoredFile

if TYPE_CHECKING:
    from mediary.media.library import MediaLibrary


@dataclass(slots=True, frozen=True, kw_only=True)
class About:
    """What is written down of a media item besides its bytes; `parent` is the name of the item it was made from."""

    prompt: str = ""
    negative_prompt: str = ""
    alt: str = ""
    tags: Sequence[str] = ()
    provider: str | None = None
    model: str | None = None
    seed: str | None = None
    steps: int | None = None
    source_url: str | None = None
    owner: str | None = None
    parent: str | None = None
    bucket: str | None = None


@dataclass(slots=True, frozen=True)
class Arrived:
    """Bytes that are all here, without a name yet: what they are, their digest, a picture's width and height."""

    format: Format
    sha256: str
    dimensions: tuple[int, int] | None


@dataclass(slots=True, frozen=True)
class Received(Arrived):
    """A media item that is kept, and its file."""

    file: StoredFile


Stage = Callable[[], AbstractAsyncContextManager[Staged]]
Commit = Callable[[Staged, Arrived], Awaitable[StoredFile]]


async def keep(
    source: Source, about: About, library: "MediaLibrary", name: Callable[[Format], str] | None = None
) -> Received:
    """Take media into the library, and describe them in its catalog; `name` makes another name than `file_name`."""
    name = name or partial(file_name, source, about)

    async def commit(staged: Staged, arrived: Arrived) -> StoredFile:
        make_item = partial(media_item, arrived, about)
        return await library.commit(staged, name(arrived.format), arrived.sha256, make_item)

    return await receive(source, library.store.stage, commit, library.max_bytes)


def file_name(source: Source, about: About, found: Format) -> str:
    """The name of a new file of the library."""
    return get_filename(about.tags, about.alt, found.extension, source.url or "", source.timestamp)


async def receive(source: Source, stage: Stage, commit: Commit, max_bytes: int | None = None) -> Received:
    """Store media; `commit` gives them their name when all of them are here.

    UnsupportedTypeError before anything is written, TooLargeError beyond `max_bytes`, BadRequestError for no bytes.
    The stream is closed at the end, whichever it is: nothing of it runs on when the task is cancelled.
    """
    async with source, aclosing(_blocks(source.chunks)) as blocks:
        head = await anext(blocks, b"")
        found = _format(head, source.content_type)
        digest, size = hashlib.sha256(), 0
        async with stage() as staged:
            block = head
            while block:
                size += len(block)
                if max_bytes is not None and size > max_bytes:
                    raise TooLargeError(f"a media item may have {max_bytes} bytes, this one has more")
                # The next block arrives while this one is hashed and written.
                taking = asyncio.gather(take_into(digest, block), staged.write(block))
                try:
                    block = await anext(blocks, b"")
                finally:
                    await taking
            arrived = Arrived(found, digest.hexdigest(), dimensions(head[:PROBE_BYTES]))
            file = await commit(staged, arrived)
    return Received(arrived.format, arrived.sha256, arrived.dimensions, file)


def _format(head: bytes, declared: str | None) -> Format:
    """What the bytes are. An MP4 that is said to be a sound is one: its first bytes do not always tell."""
    if not head:
        raise BadRequestError("the media are empty: not one byte arrived")
    found = require_format(head[:SNIFF_BYTES])
    claimed = by_media_type(declared) if declared else None
    return claimed if claimed and (found.extension, claimed.extension) == (".mp4", ".m4a") else found


async def _blocks(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """The same bytes in blocks that are worth a trip to a thread; no block is empty."""
    gathered: list[bytes] = []
    size = 0
    async for chunk in chunks:
        for at in range(0, len(chunk), SLICE):
            piece = chunk[at : at + SLICE]
            gathered.append(piece)
            size += len(piece)
            if size >= SLICE:
                yield b"".join(gathered)
                gathered.clear()
                size = 0
    if gathered:
        yield b"".join(gathered)


def media_item(arrived: Arrived, about: About, file: StoredFile) -> MediaItem:
    """The row of a media item."""
    width, height = arrived.dimensions or (None, None)
    return MediaItem(
        name=file.name,
        sha256=arrived.sha256,
        size=file.size,
        modified=file.modified,
        created=created_at(file.name, file.modified),
        media_type=arrived.format.media_type,
        kind=arrived.format.kind,
        width=width,
        height=height,
        **asdict(about) | {"tags": tuple(about.tags)},
    )
