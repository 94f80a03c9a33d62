"""The buckets of a data folder, for programs: open, add, read, ask, list, remove."""

import codecs
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mediary.buckets.naming import DOWNLOADS
from mediary.errors import MediaryError, NotFoundError
from mediary.storage.files import in_thread

if TYPE_CHECKING:
    from mediary.buckets.bucket import Bucket
    from mediary.buckets.crawl.base import Progress
    from mediary.buckets.document import Document
    from mediary.buckets.intake.taken import Taken
    from mediary.buckets.intake.upload import Upload
    from mediary.buckets.passages.ask import Readiness
    from mediary.buckets.room import BucketRoom
    from mediary.buckets.summary import BucketPage
    from mediary.passages.passage import Passage

ASK_SECONDS = 600.0
MAX_CHARS = 4000
NAMELESS = "file"
_PIECE = 1024 * 1024


class BucketLibrary:
    """Buckets by their ids; NotFoundError where there is none, BadRequestError where it cannot be an id."""

    def __init__(self, room: "BucketRoom") -> None:
        self._room = room

    async def add(
        self,
        bucket: str,
        source: str | Path | AsyncIterable[bytes],
        *,
        name: str | None = None,
        language: str | None = None,
    ) -> "Taken":
        """Take a file, or a stream of bytes under a `name`, into a bucket, which is made if it is not there.

        What is said of it in the answer: documents, media, and what was rejected, with the reason. `language` (BCP 47)
        is what text in pictures and speech are in.
        """
        if isinstance(source, str | Path):
            path = Path(source)
            async with content_of(path) as chunks:
                return await self._take(bucket, name or path.name, chunks, language)
        return await self._take(bucket, name or NAMELESS, source, language)

    async def _take(self, bucket: str, name: str, chunks: AsyncIterable[bytes], language: str | None) -> "Taken":
        opened = await self._room.buckets.open(bucket)
        return await self._room.intake.take(opened, name, chunks, language=language)

    @asynccontextmanager
    async def upload(self, bucket: str, *, language: str | None = None) -> "AsyncIterator[Upload]":
        """Take several files into a bucket, which is made if it is not there: what is alike in them is done once.

        What was taken stays, however the block ends.
        """
        opened = await self._room.buckets.open(bucket)
        async with self._room.intake.upload(opened, language=language) as upload:
            yield upload

    async def crawl(self, bucket: str, *, refresh: bool = True) -> "AsyncGenerator[Progress, None]":
        """Fetch what the bucket's list of URLs names; the steps as they are done. One that was stopped goes on.

        NotFoundError if there is no list. If all was fetched, `refresh` asks whether it has changed.
        """
        found = await self.get(bucket)
        if not (found.folder / DOWNLOADS).is_file():
            raise NotFoundError(f"the bucket {found.id} has no list of URLs: name some")
        async with aclosing(self._room.crawler.run(found, refresh=refresh)) as steps:
            async for step in steps:
                yield step

    async def readiness(self, bucket: str) -> "Readiness":
        """Which documents can be asked already, which are late, and which failed."""
        return await self._room.passages.look(await self.get(bucket))

    async def read(self, bucket: str, *, refine: bool = False, delete_files: bool = False) -> AsyncGenerator[str, None]:
        """The text of a bucket as it becomes ready, document by document; `refine` leaves the sentences that carry it.

        `delete_files` removes the files that texts were made from, when their texts are safe.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        found = await self._room.buckets.get(bucket)
        async with aclosing(self._room.reading.text(found, refine=refine, delete_files=delete_files)) as pieces:
            async for piece in pieces:
                yield decoder.decode(piece)

    async def ask(
        self, bucket: str, question: str, *, max_chars: int = MAX_CHARS, seconds: float = ASK_SECONDS
    ) -> "tuple[Passage, ...]":
        """The passages that bear on a question, best first; late texts are waited for, `seconds` at most."""
        found = await self._room.buckets.get(bucket)
        await self._room.passages.prepare(found, seconds)
        return tuple(await self._room.passages.find(found, question, max_chars))

    async def list(self, cursor: str | None = None, limit: int = 100) -> "BucketPage":
        """The buckets in the order of their ids, a page of them."""
        return await self._room.buckets.list(cursor, limit)

    async def documents(self, bucket: str) -> "tuple[Document, ...]":
        """The documents of a bucket in the order of its manifest."""
        return tuple(await (await self.get(bucket)).index.documents())

    async def get(self, bucket: str) -> "Bucket":
        """A bucket itself."""
        return await self._room.buckets.get(bucket)

    async def remove(self, bucket: str) -> None:
        """Delete a bucket with all that is in it."""
        await self._room.delete(bucket)


@asynccontextmanager
async def content_of(path: Path) -> AsyncIterator[AsyncIterator[bytes]]:
    """The bytes of a file of this machine; MediaryError says why they cannot be read."""
    with await in_thread(partial(_open, path)) as file:
        async with aclosing(_pieces(file)) as pieces:
            yield pieces


def _open(path: Path) -> BinaryIO:
    try:
        if not path.is_file():
            raise MediaryError("there is no such file" if not path.exists() else "it is no file")
        return path.open("rb", buffering=0)
    except OSError as error:
        raise MediaryError(f"it cannot be read: {error.strerror}") from error


async def _pieces(file: BinaryIO) -> AsyncGenerator[bytes, None]:
    while piece := await in_thread(partial(file.read, _PIECE)):
        yield piece
