"""What a bucket has to say on a question: passages out of its full-text index, or its whole text."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mediary.buckets.bucket import Bucket
from mediary.buckets.document import Document
from mediary.buckets.locks import claimed
from mediary.buckets.naming import PASSAGES_LOCK
from mediary.buckets.passages.index import IndexDamagedError, PassageIndex
from mediary.buckets.reading.text import Texts, is_settled
from mediary.passages.passage import Passage
from mediary.storage.files import in_thread
from mediary.tasks import all_of, to_the_end

T = TypeVar("T")

logger = logging.getLogger(__name__)

INDEX = "passages.db"
AT_ONCE = 16
"""Documents that are waited for at the same time; how many are read at once is for others to say."""


@dataclass(slots=True, frozen=True)
class Readiness:
    """Which documents of a bucket can be asked: those whose text is there, those that are late, those that failed."""

    ready: tuple[Document, ...] = ()
    late: tuple[Document, ...] = ()
    failed: tuple[Document, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the texts that are there."""
        return sum(document.size if document.text_size is None else document.text_size for document in self.ready)


class Passages:
    """Asks buckets. Their indexes are brought up to date whenever they are asked."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    async def look(self, bucket: Bucket, document: str | None = None) -> Readiness:
        """How far the texts of the bucket are, or that of one `document`."""
        documents = await self._documents(bucket, document)

        def sort() -> Readiness:
            settled = {each.name for each in documents if is_settled(bucket, each)}
            return Readiness(
                ready=tuple(each for each in documents if each.state == "ready" and each.name in settled),
                late=tuple(each for each in documents if each.name not in settled),
                failed=tuple(each for each in documents if each.state == "failed"),
            )

        return await in_thread(sort)

    async def prepare(self, bucket: Bucket, seconds: float, document: str | None = None) -> Readiness:
        """Wait until every text of the bucket is there, or that of one `document`, so many seconds at most.

        What is late then goes on behind whoever asked.
        """
        free = asyncio.Semaphore(AT_ONCE)

        async def ready(late: Document) -> Document:
            async with free:
                return await self._texts.ensure(bucket, late)

        readiness = await self.look(bucket, document)
        if not readiness.late:
            return readiness
        self._texts.begin(bucket)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await all_of(ready(late) for late in readiness.late)
        return await self.look(bucket, document)

    async def _documents(self, bucket: Bucket, name: str | None) -> list[Document]:
        if name is None:
            return await bucket.index.documents()
        found = await bucket.index.find(name)
        return [found] if found else []

    async def find(self, bucket: Bucket, question: str, max_chars: int, document: str | None = None) -> list[Passage]:
        """The passages that bear on a question, best first, with at most `max_chars` characters together.

        Only what is ready is asked, or the one `document`. Near duplicates are left out, and no document has all the
        room if others bear on the question too.
        """
        return await self._asked(bucket, lambda index: index.find(question, max_chars, document))

    async def openings(self, bucket: Bucket, max_chars: int, document: str | None = None) -> list[Passage]:
        """How the documents begin, in the order of the manifest: for a question that no passage bears on."""
        return await self._asked(bucket, lambda index: index.openings(max_chars, document))

    async def whole(self, bucket: Bucket, readiness: Readiness) -> list[Passage]:
        """The whole texts, document by document; for those that are known to be short enough."""
        paths = [(document.name, bucket.text_path(document)) for document in readiness.ready]

        def read() -> list[Passage]:
            return [Passage(name, text) for name, path in paths if (text := _text(path))]

        return await asyncio.to_thread(read)

    async def _asked(self, bucket: Bucket, ask: Callable[[PassageIndex], T]) -> T:
        documents = await bucket.index.documents()
        texts = {document.name: bucket.text_path(document) for document in documents if document.state == "ready"}
        index = PassageIndex(bucket.hidden / INDEX, texts)
        try:
            await self._bring_up_to_date(bucket, index)
            return await asyncio.to_thread(ask, index)
        except IndexDamagedError as error:
            # A damage that shows itself only when a question is looked up.
            logger.warning("the index of a bucket is made anew", extra={"bucket": bucket.id, "cause": error.message})
            async with claimed(bucket.hidden / PASSAGES_LOCK):
                await in_thread(index.create)
            await self._bring_up_to_date(bucket, index)
            return await asyncio.to_thread(ask, index)

    async def _bring_up_to_date(self, bucket: Bucket, index: PassageIndex) -> None:
        """One process at a time: another that wants the same waits for it, and finds it done."""
        with suppress(IndexDamagedError):
            if await asyncio.to_thread(index.is_current):
                return
        async with claimed(bucket.hidden / PASSAGES_LOCK):
            try:
                await _in_thread(index.update)
            except IndexDamagedError:
                await in_thread(index.create)
                await _in_thread(index.update)


async def _in_thread(update: Callable[[Callable[[], bool]], None]) -> None:
    """Update in a thread, which is told to stop when nobody waits any more."""
    stop = threading.Event()
    await to_the_end(asyncio.get_running_loop().run_in_executor(None, update, stop.is_set), stop.set)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
