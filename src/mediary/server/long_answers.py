"""Answers that take long: given up when their client leaves, ended before the server goes."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from mediary.errors import ShutdownError
from mediary.server.protocol import Receive

T = TypeVar("T")

STOPPING = "the server is stopping; ask again in a moment"
LAST_WORD_SECONDS = 2.0
"""How long clients may take for the last event when the server stops."""


class LongAnswer(Protocol):
    """An answer on its way to one client."""

    def stop(self) -> None:
        """End it, and say why where the answer has a way to say it."""
        ...

    def abandon(self) -> None:
        """Let go of a client that does not even take the last word."""
        ...


class LongWork(Generic[T]):
    """Work for one client, as a task of its own, so that it can be given up from outside."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._task = asyncio.create_task(work)
        self._stopped = False

    async def done(self, gone: "asyncio.Task[None] | None" = None) -> T | None:
        """Its result, or None if the client is `gone` before; ShutdownError if it was stopped.

        When this returns, however it does, the work has ended.
        """
        try:
            await asyncio.wait([self._task, gone] if gone else [self._task], return_when=asyncio.FIRST_COMPLETED)
            if self._stopped and self._task.cancelled():
                raise ShutdownError(STOPPING)
            return self._task.result() if self._task.done() else None
        finally:
            if not self._task.done():
                self._task.cancel()
                await asyncio.wait([self._task])

    def stop(self) -> None:
        """End it; whoever waits for it says why."""
        self._stopped = True
        self._task.cancel()

    def abandon(self) -> None:
        """End it."""
        self.stop()


class Running:
    """The long answers that run."""

    def __init__(self) -> None:
        self._answers: set[LongAnswer] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False

    @contextmanager
    def hold(self, answer: LongAnswer) -> Iterator[None]:
        """Know of an answer while it runs."""
        self._answers.add(answer)
        self._idle.clear()
        try:
            yield
        finally:
            self._answers.discard(answer)
            if not self._answers:
                self._idle.set()

    def check(self) -> None:
        """ShutdownError when no more answers may begin."""
        if self._stopping:
            raise ShutdownError(STOPPING)

    async def drain(self, seconds: float) -> None:
        """Let running answers end by themselves for a while, then end them; new ones are refused."""
        self._stopping = True
        if await self._ended(seconds):
            return
        for answer in tuple(self._answers):
            answer.stop()
        if await self._ended(LAST_WORD_SECONDS):
            return
        for answer in tuple(self._answers):
            answer.abandon()
        await self._ended(LAST_WORD_SECONDS)

    async def _ended(self, seconds: float) -> bool:
        """Wait that long for the answers; whether all have ended."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True


async def until_gone(receive: Receive) -> None:
    """Return when the client has left; the request's body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass
