"""Waits for answers that may be long in beginning, so that somebody can say so meanwhile."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Self

from mediary.providers.http.service import Answer


class Opening:
    """A request on its way; leaving the block ends it, and closes the answer if there is one.

    async with Opening(service.open(…)) as opening:
        if not await opening.within(2.0):
            …
        answer = await opening.answer()
    """

    def __init__(self, request: AbstractAsyncContextManager[Answer]) -> None:
        self._request = request
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._stack.enter_async_context(self._request))
        return self

    async def within(self, seconds: float) -> bool:
        """Wait a while; whether the answer has begun, or failed."""
        await asyncio.wait([self._task], timeout=seconds)
        return self._task.done()

    async def answer(self) -> Answer:
        """The answer; raises why there is none."""
        return await self._task

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._task.cancel()
        try:
            await asyncio.wait([self._task])
        finally:
            if self._task.done() and not self._task.cancelled():
                self._task.exception()  # looked at, so that the loop does not complain of it
            closed = await self._stack.__aexit__(kind, error, traceback)
        return closed
