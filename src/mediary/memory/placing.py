"""Makes vectors behind the answers: of what was stored, of what failed before, of all when the model changed."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from mediary.errors import DatabaseError, MediaryError
from mediary.memory.by_meaning import Unplaced, VectorStore
from mediary.memory.vectors import Placer, Vector

BATCH = 64
"""Texts that are placed with one request."""
logger = logging.getLogger(__name__)


@dataclass(slots=True, frozen=True)
class Patience:
    """How long, in seconds, a search waits for its vector before it goes on by words alone (`query`), and searches ask
    no more after that failed (`rest`); and until what failed is tried again, at first and at most.
    """

    query: float = 2.0
    rest: float = 10.0
    first_wait: float = 5.0
    longest_wait: float = 600.0


class Placing:
    """Keeps the vectors of all items made; one task at a time, which ends when nothing is left to do."""

    def __init__(self, placer: Placer, vectors: VectorStore, patience: Patience) -> None:
        self.vectors = vectors
        self._patience = patience
        self._length: int | None = None
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
            async with asyncio.timeout(self._patience.query):
                [vector] = await self._placer.place([text])
        except (MediaryError, TimeoutError) as error:
            self._rests_until = time.monotonic() + self._patience.rest
            cause = str(error) or f"no answer within {self._patience.query:g} seconds"
            logger.warning("memory is searched by words alone", extra={"model": self._placer.name, "cause": cause})
            return None
        await self._look_at(vector)
        return vector

    async def _run(self) -> None:
        wait = self._patience.first_wait
        while self._more.is_set():
            self._more.clear()
            try:
                while items := await self.vectors.list_unplaced(BATCH):
                    await self._place(items)
                    wait = self._patience.first_wait
            except MediaryError as error:
                extra = {"model": self._placer.name, "cause": error.message, "again_in": wait}
                logger.warning("memory items have no vectors yet", extra=extra)
                await asyncio.sleep(wait)
                wait = min(2 * wait, self._patience.longest_wait)
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
        await self._look_at(next(filter(None, vectors), None))
        await self.vectors.keep(zip(items, vectors, strict=True))

    async def _look_at(self, vector: Vector | None) -> None:
        """Where another model goes by the same name now, what the old one made cannot be compared: it is made anew."""
        if vector is None or len(vector.numbers) == self._length:
            return
        if forgotten := await self.vectors.forget_others(vector):
            extra = {"model": self._placer.name, "items": forgotten}
            logger.warning("vectors have another length now; all are made anew", extra=extra)
            self.wake()
        self._length = len(vector.numbers)


_REFUSED = 502
"""The status of a plain ProviderError: the provider answered, and does not take this."""
