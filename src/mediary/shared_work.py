"""Work that several wait for, which is done once, and ends when the last of them leaves."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from mediary.errors import MediaryError, ShutdownError

K = TypeVar("K")
T = TypeVar("T")


class Work(Generic[T]):
    """A task that tells how far it has come: `size` is in bytes. `do` is given this, to say so."""

    def __init__(self, do: "Callable[[Work[T]], Coroutine[Any, Any, T]]", name: str) -> None:
        self.size = 0
        self.waiters = 0
        self._grown = asyncio.Event()
        self._reason: MediaryError = ShutdownError("the server is stopping")
        self.task = asyncio.create_task(do(self), name=name)
        self.task.add_done_callback(self._is_done)

    async def result(self) -> T:
        """What it came to; whatever it failed at is raised."""
        await asyncio.wait([self.task])
        if self.task.cancelled():
            raise self._reason
        return self.task.result()

    async def sizes(self) -> AsyncGenerator[int, None]:
        """How much there is, each time that it has grown, until the work is done."""
        seen = 0
        while not self.task.done():
            grown = self._grown
            if self.size > seen:
                seen = self.size
                yield seen
            else:
                await grown.wait()

    def grow(self, count: int) -> None:
        """There are so many bytes more."""
        self.size += count
        self._tell()

    async def end(self, reason: MediaryError | None = None) -> None:
        """Stop it; whoever still waits gets the reason."""
        self._reason = reason or self._reason
        self.task.cancel()
        await asyncio.wait([self.task])

    def _tell(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    def _is_done(self, task: "asyncio.Task[T]") -> None:
        self._tell()
        if not task.cancelled():
            task.exception()  # looked at, even if all who waited have left


class Shared(Generic[K, T]):
    """The works that are being done, by key. One whose last waiter left goes on if `is_kept` says so."""

    def __init__(self, is_kept: Callable[[K], bool] = lambda _: False) -> None:
        self._works: dict[K, Work[T]] = {}
        self._is_kept = is_kept
        self._closed = False

    @asynccontextmanager
    async def joined(self, key: K, begin: Callable[[], Work[T]]) -> AsyncGenerator[Work[T], None]:
        """Wait for a work along with all others who do; the first one begins it. ShutdownError when all is closed."""
        work = self._works.get(key)
        if work is None:
            if self._closed:
                raise ShutdownError("the server is stopping")
            work = self._works[key] = begin()
            work.task.add_done_callback(lambda _, work=work: self._forget(key, work))  # type: ignore[misc]
        work.waiters += 1
        try:
            yield work
        finally:
            work.waiters -= 1
            if not work.waiters and not self._is_kept(key):
                # Whoever comes now begins anew.
                self._forget(key, work)
                await work.end()

    def let_go(self, which: Callable[[K], bool]) -> None:
        """Stop what goes on with nobody waiting."""
        for key, work in self._works.items():
            if which(key) and not work.waiters:
                work.task.cancel()

    async def end(self, which: Callable[[K], bool], reason: MediaryError) -> None:
        """Stop works; whoever waits for them gets the reason."""
        await asyncio.gather(*(work.end(reason) for key, work in self._works.items() if which(key)))

    async def close(self) -> None:
        """Stop all of them, and begin no more."""
        self._closed = True
        await self.end(lambda _: True, ShutdownError("the server is stopping"))

    def _forget(self, key: K, work: Work[T]) -> None:
        if self._works.get(key) is work:
            del self._works[key]
