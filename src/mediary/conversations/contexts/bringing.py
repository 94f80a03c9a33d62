"""Brings contexts into a question, side by side with its files, and once, however many providers are asked."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar

from mediary.conversations.attaching.places import Place
from mediary.conversations.contexts.context import Added, Context
from mediary.errors import MediaryError
from mediary.events import Log
from mediary.providers.base import Text, TurnRequest
from mediary.tasks import unbroken

T = TypeVar("T")

_FIRST = -1  # the rank of what stands before all that the question itself brings


class Contexts:
    """What contexts have to say to one question, each in a task of its own; to be used as a context manager.

    `tokens` tells how many each may have.
    """

    def __init__(self, contexts: Sequence[Context], request: TurnRequest, tokens: Callable[[], Awaitable[int]]) -> None:
        self._contexts = contexts
        self._request = request
        self._tokens = tokens
        self._added: list[Added | None] = [None] * len(contexts)
        self._told: asyncio.Queue[Log | None] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._bring(number)) for number in range(len(self._contexts))]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._told.put_nowait(None))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await unbroken(asyncio.wait(self._tasks))

    @property
    def parts(self) -> dict[Place, list[Text]]:
        """What was found, in its place: before the words of the user's last message."""
        texts = [part for added in self._added if added for part in added.parts]
        messages = self._request.messages
        asked = next((at for at in reversed(range(len(messages))) if messages[at].role == "user"), None)
        return {} if asked is None or not texts else {Place(asked, 0, _FIRST): texts}

    @property
    def closing(self) -> str:
        """What is to be said at the end of the answer."""
        return "".join(added.closing for added in self._added if added)

    async def logs(self) -> AsyncGenerator[Log, None]:
        """What they say on their way; it ends when all is there."""
        while not self._told.empty() or not all(task.done() for task in self._tasks):
            log = await self._told.get()
            if log is not None:
                yield log
        for task in self._tasks:
            task.result()

    async def _bring(self, number: int) -> None:
        """What fails costs a log line, not the answer."""
        try:
            async with aclosing(self._contexts[number].bring(self._request, await self._tokens())) as bringing:
                async for found in bringing:
                    if isinstance(found, Added):
                        self._added[number] = found
                    else:
                        self._told.put_nowait(found)
        except MediaryError as error:
            self._told.put_nowait(Log(log=error.message))


async def together(*works: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """What they yield, side by side and as it comes. When one fails, the others are ended."""
    queue: asyncio.Queue[T | None] = asyncio.Queue()

    async def take(work: AsyncGenerator[T, None]) -> None:
        async with aclosing(work) as going:
            async for item in going:
                queue.put_nowait(item)

    tasks = [asyncio.create_task(take(work)) for work in works]
    for task in tasks:
        task.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        left = len(tasks)
        while left:
            item = await queue.get()
            if item is not None:
                yield item
                continue
            left -= 1
            for task in tasks:
                if task.done():
                    task.result()
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await unbroken(asyncio.wait(tasks))
