"""The texts of documents: made on demand, once, by whoever first needs them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from mediary.buckets.bucket import Bucket
from mediary.buckets.document import Document
from mediary.buckets.reading.ahead import in_order
from mediary.buckets.reading.extraction import Extraction, is_lost
from mediary.errors import MediaryError, NotFoundError, ShutdownError
from mediary.extractors.base import Extracts
from mediary.settings import BucketSettings
from mediary.shared_work import Shared, Work

logger = logging.getLogger(__name__)

Key = tuple[str, str]
"""A bucket's id, and a document's name."""

_PAGE = 500


@dataclass(slots=True)
class _WarmUp:
    """The making of all texts of a bucket, with nobody waiting; `again` when more may have come since it looked."""

    task: "asyncio.Task[None]"
    again: bool = False


class Texts:
    """Makes the texts of documents and hands them out.

    However many ask, also in other processes, a text is made once; it is under its name when it is whole. Without a
    warm-up of the bucket, the work ends when the last one leaves who waited for it.
    """

    def __init__(self, extractors: Extracts, settings: BucketSettings) -> None:
        self.ahead = settings.processes
        self._extractors = extractors
        self._settings = settings
        self._extractions: Shared[Key, Document] = Shared(lambda key: key[0] in self._warm_ups)
        self._warm_ups: dict[str, _WarmUp] = {}
        self._closed = False

    async def ensure(self, bucket: Bucket, document: Document) -> Document:
        """Have the text made if need be; the document as it is then, ready or failed."""
        if is_there(bucket, document):
            return document
        async with self._joined(bucket, document.name) as extraction:
            return await extraction.result()

    async def sizes(self, bucket: Bucket, document: Document) -> AsyncGenerator[int, None]:
        """Have the text made if need be, and tell how many bytes of it there are as it grows."""
        if not is_there(bucket, document):
            async with self._joined(bucket, document.name) as extraction, aclosing(extraction.sizes()) as sizes:
                async for size in sizes:
                    yield size

    def begin(self, bucket: Bucket) -> None:
        """Make the texts of all documents that have none yet, in the background."""
        warm_up = self._warm_ups.get(bucket.id)
        if warm_up is not None:
            warm_up.again = True
        elif not self._closed:
            task = asyncio.create_task(self._warm_up(bucket), name=f"texts of {bucket.id}")
            self._warm_ups[bucket.id] = _WarmUp(task)

    async def stop(self, bucket_id: str) -> None:
        """End all work on a bucket: it is being deleted. Whoever waits for a text of it gets NotFoundError."""
        await self._cool_down([bucket_id])
        await self._extractions.end(lambda key: key[0] == bucket_id, NotFoundError("The bucket was deleted"))

    async def close(self) -> None:
        """End all work; what is not ready is queued again."""
        self._closed = True
        await self._cool_down(list(self._warm_ups))
        await self._extractions.close()

    async def _cool_down(self, bucket_ids: Iterable[str]) -> None:
        tasks = [self._warm_ups[id_].task for id_ in bucket_ids if id_ in self._warm_ups]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _joined(self, bucket: Bucket, name: str) -> AbstractAsyncContextManager[Work[Document]]:
        extraction = Extraction(bucket, name, self._extractors, self._settings)
        return self._extractions.joined((bucket.id, name), lambda: Work(extraction, f"text of {name}"))

    async def _warm_up(self, bucket: Bucket) -> None:
        try:
            again = True
            while again:
                self._warm_ups[bucket.id].again = False
                await self._make_all(bucket)
                again = self._warm_ups[bucket.id].again
        except (NotFoundError, ShutdownError) as error:
            logger.debug("the texts of bucket %s are left: %s", bucket.id, error)
        except MediaryError as error:  # this machine's fault: whoever looks next tries again
            logger.warning("the texts of bucket %s cannot be made now: %s", bucket.id, error)
        finally:
            del self._warm_ups[bucket.id]
            self._extractions.let_go(lambda key: key[0] == bucket.id)

    async def _make_all(self, bucket: Bucket) -> None:
        after = 0
        while page := await bucket.index.documents(after, _PAGE):
            after = page[-1].position
            async with aclosing(in_order(self.works(bucket, page), self.ahead)) as made:
                async for _ in made:
                    pass

    def works(
        self, bucket: Bucket, documents: Iterable[Document]
    ) -> Iterator[Callable[[], Coroutine[Any, Any, Document]]]:
        """To ensure each of these that is neither ready nor failed, one after the other."""
        return (partial(self.ensure, bucket, each) for each in documents if not is_settled(bucket, each))


def is_settled(bucket: Bucket, document: Document) -> bool:
    """Whether there is nothing to do about the document."""
    return document.state == "failed" or is_there(bucket, document)


def is_there(bucket: Bucket, document: Document) -> bool:
    """Whether the text is ready: one look at the disk, for somebody may have taken it away."""
    if document.state != "ready":
        return False
    try:
        return not is_lost(document, bucket.text_path(document).stat().st_size)
    except FileNotFoundError:
        return False
