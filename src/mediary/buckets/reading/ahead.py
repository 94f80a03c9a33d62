"""Doing the next few things already, while somebody looks at the first of them."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def in_order(works: Iterable[Callable[[], Coroutine[Any, Any, T]]], ahead: int) -> AsyncGenerator[T, None]:
    """The results in the order of the works, of which `ahead` are being done at any time.

    When one fails, or whoever reads leaves, those that run are ended.
    """
    left, running = iter(works), deque[asyncio.Task[T]]()
    try:
        while True:
            while len(running) < ahead and (work := next(left, None)):
                running.append(asyncio.create_task(work()))
            if not running:
                return
            yield await running[0]
            running.popleft()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
