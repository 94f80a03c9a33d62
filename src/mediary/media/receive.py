"""Takes a stream of bytes into a file and its row: media formats alone, within the size limit, at constant memory."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from mediary.errors import BadRequestError, TooLargeError
from mediary.formats import SNIFF_BYTES, Format, by_media_type, require_format
from mediary.media.incoming import SLICE, Source
from mediary.media.library import Library
from mediary.media.probe import PROBE_BYTES, dimensions
from mediary.names import get_filename
from mediary.storage.base import Staged, StoredFile

if TYPE_CHECKING:
    from mediary.media.catalog import MediaItem

HASHED_IN_PASSING = 64 * 1024
"""Bytes that are hashed on the event loop; more go to a thread."""

Stage = Callable[[], AbstractAsyncContextManager[Staged]]


@dataclass(slots=True, frozen=True, kw_only=True)
class About:
    """What is written down of a media item besides its bytes."""

    prompt: str = ""
    alt: str = ""
    tags: Sequence[str] = ()
    provider: str | None = None
    model: str | None = None
    source_url: str | None = None


@dataclass(slots=True, frozen=True)
class Received:
    """A media item that is kept: its file, what its bytes are, and a picture's width and height."""

    file: StoredFile
    format: Format
    sha256: str
    dimensions: tuple[int, int] | None


async def keep(source: Source, about: About, library: Library) -> Received:
    """Take media into the library, and describe them in its catalog."""
    name = partial(file_name, source, about)
    received = await receive(source, library.store.stage, name, library.max_bytes)
    await library.record(partial(media_item, received, about))
    return received


def file_name(source: Source, about: About, found: Format) -> str:
    """The name of a new file of the library."""
    return get_filename(about.tags, about.alt, found.extension, source.url or "", source.timestamp)


async def receive(
    source: Source, stage: Stage, name: Callable[[Format], str], max_bytes: int | None = None
) -> Received:
    """Store media under the name that is made for their format.

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
                if len(block) > HASHED_IN_PASSING:
                    await asyncio.to_thread(digest.update, block)
                else:
                    digest.update(block)
                await staged.write(block)
                block = await anext(blocks, b"")
            file = await staged.commit(name(found))
    return Received(file, found, digest.hexdigest(), dimensions(head[:PROBE_BYTES]))


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


def media_item(received: Received, about: About) -> "MediaItem":
    """The row of a media item."""
    # The catalog is there when a row is written, and with it SQLAlchemy; nothing else may import it.
    from mediary.media.catalog import MediaItem

    width, height = received.dimensions or (None, None)
    return MediaItem(
        name=received.file.name,
        sha256=received.sha256,
        size=received.file.size,
        media_type=received.format.media_type,
        kind=received.format.kind,
        width=width,
        height=height,
        **asdict(about) | {"tags": tuple(about.tags)},
    )
