"""Reading a bucket: its text as it becomes ready, or the events on the way."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from mediary.buckets.bucket import Bucket
from mediary.buckets.document import Document
from mediary.buckets.naming import DOWNLOADS, WHAT
from mediary.buckets.reading.ahead import in_order
from mediary.buckets.reading.caches import END, PLAIN, Made, build, find_caches, head, stamp
from mediary.buckets.reading.pieces import pieces
from mediary.buckets.reading.refine import Refinements
from mediary.buckets.reading.sources import delete_sources
from mediary.buckets.reading.text import Texts, is_settled
from mediary.errors import MediaryError, NoSpaceError, StoreError
from mediary.sandbox.pool import Sandbox
from mediary.storage.files import in_thread, translated

logger = logging.getLogger(__name__)

_TELL_BYTES = 1024 * 1024
_TELL_SECONDS = 0.1

Event = dict[str, Any]


class Fetched(Protocol):
    """A step of a crawl: `count` pages and files were fetched so far."""

    @property
    def count(self) -> int:
        """How many."""
        ...


class Crawls(Protocol):
    """What fetches the downloads of a bucket, or joins in where that is going on (`crawl.crawler.Crawler`)."""

    def run(self, bucket: Bucket) -> AsyncGenerator[Fetched, None]:
        """Fetch them, step by step."""
        ...


class Reading:
    """Reads buckets out.

    A document's text is given out when it is whole, so that all who read at once get the same bytes, and those that the
    caches will have: had it failed half-way, one would have a part of it, and the next none. What the events tell
    grows while it is made.
    """

    def __init__(self, texts: Texts, crawler: Crawls | None, sandbox: Sandbox) -> None:
        self._texts = texts
        self._crawler = crawler
        self._refinements = Refinements(sandbox, texts.ahead)

    def text(self, bucket: Bucket, *, delete_files: bool = True, refine: bool = False) -> AsyncGenerator[bytes, None]:
        """The text of all documents that can be read, in the order of the manifest; `refine` leaves what carries it.

        With `delete_files`, sources are removed when their texts are safe. MissingExtraError at once if it cannot be
        refined. Leaving it stops what nobody else waits for.
        """
        if refine:
            self._refinements.check()
        return self._text(bucket, delete_files=delete_files, refine=refine)

    def events(self, bucket: Bucket, *, delete_files: bool = True, refine: bool = False) -> AsyncGenerator[Event, None]:
        """What happens while a bucket is read, as CONTRACT.md has it, and a document's failure; the last is `done`.

        An error is the last event instead, but for MissingExtraError, which is raised at once.
        """
        if refine:
            self._refinements.check()
        return self._events(bucket, delete_files=delete_files, refine=refine)

    async def close(self) -> None:
        """End all work; whoever waits for it gets ShutdownError."""
        await self._refinements.close()

    async def _text(self, bucket: Bucket, *, delete_files: bool, refine: bool) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._crawl(bucket)) as crawl:
            async for _ in crawl:
                pass
        documents = await bucket.index.documents()
        if refine:
            documents = await self._all(bucket, documents)
            text = self._refinements.text(bucket, _ready(documents))
        elif (late := await _late(bucket, documents)) or not (file := await _open_cache(bucket, _ready(documents))):
            text = self._joined(bucket, documents, late)
        else:
            text = _whole(file)
        async with aclosing(text):
            async for piece in text:
                yield piece
        if delete_files:
            await _delete(bucket)

    async def _events(self, bucket: Bucket, *, delete_files: bool, refine: bool) -> AsyncGenerator[Event, None]:
        try:
            async with aclosing(self._happenings(bucket, delete_files=delete_files, refine=refine)) as happenings:
                async for event in happenings:
                    yield event
        except MediaryError as error:
            yield {"error": {"message": error.message}}

    async def _happenings(self, bucket: Bucket, *, delete_files: bool, refine: bool) -> AsyncGenerator[Event, None]:
        async with aclosing(self._crawl(bucket)) as crawl:
            async for count in crawl:
                yield {"action": "download", "count": count}
        documents, size = await bucket.index.documents(), 0
        async with aclosing(self._load(bucket, documents)) as sizes:
            async for size in sizes:
                yield {"action": "load", "size": size}
        documents = await bucket.index.documents()
        if refine:
            async with aclosing(self._refinements.sizes(bucket, _ready(documents))) as sizes:
                async for size in sizes:
                    yield {"action": "refine", "size": size}
        for name in await in_thread(partial(_media, bucket.media_dir)):
            yield {"action": "media", "filename": name}
        for document in documents:
            if document.state == "failed":
                yield {"action": "failed", "filename": document.name, "message": document.error}
        if delete_files and await _delete(bucket):
            yield {"action": "delete_files"}
        yield {"action": "done", "size": size}

    async def _crawl(self, bucket: Bucket) -> AsyncGenerator[int, None]:
        """How much was fetched, each time that it is more."""
        if self._crawler is None or not (bucket.folder / DOWNLOADS).exists():
            return
        last = -1
        async with aclosing(self._crawler.run(bucket)) as steps:
            async for step in steps:
                if step.count != last:
                    last = step.count
                    yield last

    async def _load(self, bucket: Bucket, documents: Sequence[Document]) -> AsyncGenerator[int, None]:
        """Have all texts made; the size of what there is, as it grows, but not with every byte."""
        late = await _late(bucket, documents)
        made = None if late else await find_caches(bucket, _ready(documents))
        told, size, moment = 0, made.size if made else 0, time.monotonic()
        if made is None:
            async with aclosing(self._sizes(bucket, documents, late)) as sizes:
                async for size in sizes:
                    if size - told >= _TELL_BYTES or time.monotonic() - moment >= _TELL_SECONDS:
                        told, moment = size, time.monotonic()
                        yield told
        if size > told:
            yield size

    async def _sizes(
        self, bucket: Bucket, documents: Sequence[Document], late: Collection[str]
    ) -> AsyncGenerator[int, None]:
        """The size of the text up to the documents that are there, and of the one that comes."""
        size, settled = 0, list[Document]()
        async with aclosing(self._steps(bucket, documents, late)) as steps:
            async for step in steps:
                if isinstance(step, int):
                    yield size + step
                    continue
                settled.append(step)
                if step.state == "ready":
                    size += len(head(step.name)) + (step.text_size or 0) + len(END)
                    yield size
        await _build(bucket, settled)

    async def _joined(
        self, bucket: Bucket, documents: Sequence[Document], late: Collection[str]
    ) -> AsyncGenerator[bytes, None]:
        """The text out of the documents, each when it is settled; afterwards the caches have it, too."""
        settled = []
        async with aclosing(self._steps(bucket, documents, late)) as steps:
            async for step in steps:
                if not isinstance(step, int):
                    settled.append(step)
                    if step.state == "ready":
                        async for piece in _part(bucket, step):
                            yield piece
        await _build(bucket, settled)

    async def _all(self, bucket: Bucket, documents: Sequence[Document]) -> list[Document]:
        async with aclosing(self._steps(bucket, documents, await _late(bucket, documents))) as steps:
            return [step async for step in steps if not isinstance(step, int)]

    async def _steps(
        self, bucket: Bucket, documents: Sequence[Document], late: Collection[str]
    ) -> AsyncGenerator[Document | int, None]:
        """The documents in order, each when it is settled; before, the size of its text as that grows.

        The next few are read ahead meanwhile.
        """
        works = (partial(self._texts.ensure, bucket, each) for each in documents if each.name in late)
        async with aclosing(in_order(works, self._texts.ahead)) as making:
            for document in documents:
                if document.name not in late:
                    yield document
                    continue
                result = asyncio.create_task(_next(making))
                try:
                    async with aclosing(self._texts.sizes(bucket, document)) as sizes:
                        async for size in sizes:
                            yield size
                    yield await result
                finally:
                    result.cancel()
                    await asyncio.wait([result])


def _ready(documents: Sequence[Document]) -> list[Document]:
    return [document for document in documents if document.state == "ready"]


async def _next(making: AsyncGenerator[Document, None]) -> Document:
    return await anext(making)


async def _late(bucket: Bucket, documents: Sequence[Document]) -> frozenset[str]:
    """The names of those that something is to be done about."""

    def look() -> frozenset[str]:
        return frozenset(each.name for each in documents if not is_settled(bucket, each))

    return await in_thread(look)


async def _open_cache(bucket: Bucket, documents: Sequence[Document]) -> int | None:
    """The descriptor of `plain.cache`, if it has the text of these documents."""
    made = await find_caches(bucket, documents)
    if made is None:
        return None
    with suppress(FileNotFoundError):
        file = os.open(bucket.folder / PLAIN, os.O_RDONLY | os.O_CLOEXEC)
        if stamp(file) == made.files[PLAIN]:
            return file
        os.close(file)
    return None


async def _whole(file: int) -> AsyncGenerator[bytes, None]:
    """What a file holds; it is closed at the end."""
    try:
        async for piece in pieces(file, 0, os.fstat(file).st_size):
            yield piece
    finally:
        os.close(file)


async def _part(bucket: Bucket, document: Document) -> AsyncGenerator[bytes, None]:
    """A document as it stands in the text: one piece if it is short, for there may be very many."""
    with translated(WHAT, document.name):
        file = os.open(bucket.text_path(document), os.O_RDONLY | os.O_CLOEXEC)
    before, left = head(document.name), os.fstat(file).st_size
    async with aclosing(_whole(file)) as text:
        async for piece in text:
            left -= len(piece)
            yield before + piece if left else before + piece + END
            before = b""
    if before:
        yield before + END


async def _build(bucket: Bucket, documents: Sequence[Document]) -> Made | None:
    """Make the caches; whoever reads has the text, and shall have its end, also where there is no room for them."""
    try:
        return await build(bucket, _ready(documents))
    except (StoreError, NoSpaceError) as error:
        logger.warning("the caches of bucket %s cannot be made: %s", bucket.id, error)
        return None


async def _delete(bucket: Bucket) -> bool:
    """Remove sources; False where the disk does not make their texts safe."""
    try:
        await delete_sources(bucket, await bucket.index.documents())
    except (StoreError, NoSpaceError) as error:
        logger.warning("the sources in bucket %s stay: %s", bucket.id, error)
        return False
    return True


def _media(folder: Path) -> list[str]:
    """The media files in the order of their names."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        return sorted(each.name for each in entries if each.name[0] != "." and each.is_file(follow_symlinks=False))
    return []
