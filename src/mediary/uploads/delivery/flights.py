"""What several want at once is done once, and no longer than anybody wants it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from mediary.errors import ShutdownError, UnreadableError
from mediary.tasks import unbroken
from mediary.uploads.base import Content, File, Progress

T = TypeVar("T")

Begin = Callable[[File, Progress], Coroutine[Any, Any, T]]


@dataclass(slots=True, frozen=True)
class _Seat:
    """Somebody who waits, and the bytes as they have them: who leaves may take theirs along."""

    content: Content
    progress: Progress


class _Flight(Generic[T]):
    """One piece of work, and who waits for it."""

    def __init__(self) -> None:
        self.task: asyncio.Task[T]
        self._sent = 0
        self.waiting: dict[int, _Seat] = {}
        self._boarded = 0

    def board(self, file: File, progress: Progress) -> int:
        """Wait too; the answer is for `waiting`."""
        self._boarded += 1
        self.waiting[self._boarded] = _Seat(file.content, progress)
        if self._sent:
            progress(self._sent)
        return self._boarded

    def tell(self, sent: int) -> None:
        """Pass the progress on to all."""
        self._sent = sent
        for seat in tuple(self.waiting.values()):
            seat.progress(sent)


@dataclass(slots=True, frozen=True)
class _Carried:
    """The bytes that all on a flight have, read from one who still waits."""

    flight: _Flight[Any]
    size: int

    async def read(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end` (exclusive), as that content gives them."""
        seat = next(iter(self.flight.waiting.values()), None)
        if seat is None:
            raise UnreadableError("nobody has the file any more")
        async with aclosing(seat.content.read(start, end)) as pieces:
            async for piece in pieces:
                yield piece


class Flights(Generic[T]):
    """Work by key."""

    def __init__(self) -> None:
        self._flying: dict[str, _Flight[T]] = {}
        self._tasks: set[asyncio.Task[T]] = set()

    async def join(self, key: str, file: File, begin: Begin[T], progress: Progress) -> T:
        """The result of the work that goes on for that key, begun if there is none; the key tells the bytes of `file`.

        When the last who waits is cancelled, the work is too, and its end is waited for.
        """
        flight = self._flying.get(key) or self._begin(key, file, begin)
        seat = flight.board(file, progress)
        try:
            await asyncio.wait([flight.task])
        finally:
            del flight.waiting[seat]
            if not flight.waiting and not flight.task.done():
                self._leave(key, flight)
                await _ended(flight.task)
        if flight.task.cancelled():
            raise ShutdownError("the server is stopping")
        return flight.task.result()

    async def close(self) -> None:
        """End all work."""
        await asyncio.gather(*map(_ended, tuple(self._tasks)))

    def _begin(self, key: str, file: File, begin: Begin[T]) -> _Flight[T]:
        flight = self._flying[key] = _Flight[T]()
        carried = replace(file, content=_Carried(flight, file.size))
        flight.task = asyncio.create_task(begin(carried, flight.tell), name="upload")
        self._tasks.add(flight.task)
        flight.task.add_done_callback(lambda task: self._land(key, flight, task))
        return flight

    def _land(self, key: str, flight: _Flight[T], task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        self._leave(key, flight)
        if not task.cancelled():
            task.exception()  # looked at: nobody may be left to whom it could be told

    def _leave(self, key: str, flight: _Flight[T]) -> None:
        """Nobody boards any more: who comes now begins anew."""
        if self._flying.get(key) is flight:
            del self._flying[key]


async def _ended(task: asyncio.Task[T]) -> None:
    task.cancel()
    await unbroken(asyncio.wait([task]))
