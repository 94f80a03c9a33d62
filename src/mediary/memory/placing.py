"""Makes vectors behind the answers: of what was stored, of what failed before, of all when the model changed."""

import asyncio
import logging
import time
from collections.abc import Sequence

from mediary.errors import DatabaseError, MediaryError
from mediary.memory.by_meaning import Unplaced, VectorStore
from mediary.memory.vectors import Placer, Vector

BATCH = 64
"""Texts that are placed with one request."""
QUERY_SECONDS = 2.0
"""How long a search waits for its vector, before it goes on by words alone."""
REST_SECONDS = 10.0
"""How long searches ask no more after that failed."""
FIRST_WAIT, LONGEST_WAIT = 5.0, 600.0
"""Seconds until what failed is tried again: at first, and at most."""

logger = logging.getLogger(__name__)


class Placing:
    """Keeps the vectors of all items made; one task at a time, which ends when nothing is left to do."""

    def __init__(self, placer: Placer, vectors: VectorStore) -> None:
        self.vectors = vectors
        self._placer = placer
        self._task: asyncio.Task[None] | None = None
        self._more = asyncio.Event()
        self._rests_until = 0.0

    def wake(self) -> None:
        """See to it that what lacks a vector gets one."""
        self._more.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="memory vectors")

    async def idle(self) -> None:
        """Wait until all vectors are made that can be."""
        if self._task:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Stop; what is left is made after the next start."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def place_query(self, text: str) -> Vector | None:
        """The vector of a search; None where it cannot be had in time."""
        if time.monotonic() < self._rests_until:
            return None
        try:
            async with asyncio.timeout(QUERY_SECONDS):
                return (await self._placer.place([text]))[0]
        except (MediaryError, TimeoutError) as error:
            self._rests_until = time.monotonic() + REST_SECONDS
            cause = str(error) or f"no answer within {QUERY_SECONDS:g} seconds"
            logger.warning("memory is searched by words alone", extra={"model": self._placer.name, "cause": cause})
            return None

    async def _run(self) -> None:
        wait = FIRST_WAIT
        while self._more.is_set():
            self._more.clear()
            try:
                while items := await self.vectors.list_unplaced(BATCH):
                    await self._place(items)
                    wait = FIRST_WAIT
            except MediaryError as error:
                extra = {"model": self._placer.name, "cause": error.message, "again_in": wait}
                logger.warning("memory items have no vectors yet", extra=extra)
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
                self._more.set()

    async def _place(self, items: Sequence[Unplaced]) -> None:
        """Place a batch; of one that is refused each by itself, and what is refused even then never again."""
        try:
            vectors = await self._placer.place([item.text for item in items])
        except MediaryError as error:
            if error.retryable or isinstance(error, DatabaseError) or error.status != _REFUSED:
                raise
            if len(items) > 1:
                for item in items:
                    await self._place([item])
                return
            logger.warning("a memory item gets no vector", extra={"item": items[0].id, "cause": error.message})
            vectors = [None]
        await self.vectors.keep(zip(items, vectors, strict=True))


_REFUSED = 502
"""The status of a plain ProviderError: the provider answered, and does not take this."""
