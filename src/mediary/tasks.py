"""Ways to wait for tasks, after which nothing runs on behind anybody's back; and parts that are made when asked for."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def all_of(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do them side by side; the results in order. When one fails, the others are ended before that is raised.

    So are all of them when the caller is cancelled: `asyncio.gather` would leave at the first that ended.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def to_the_end(future: "asyncio.Future[T]", give_up: Callable[[], object] = lambda: None) -> T:
    """Wait for the end of what has begun also when cancelled; `give_up` is then called, to hasten it."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
            give_up()
    if cancelled is not None:
        if not future.cancelled():
            future.exception()  # looked at, so that the loop does not complain of it
        raise cancelled
    return future.result()


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Do it to its end also when cancelled; only then that is raised."""
    return await to_the_end(asyncio.ensure_future(work))


def uninterrupted(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """A function that does its work to the end also when its caller is cancelled; only then that is raised.

    For what writes to the database: a transaction that is cancelled within a statement can leave SQLite locked.
    """

    @wraps(work)
    async def whole(*args: P.args, **kwargs: P.kwargs) -> T:
        return await unbroken(work(*args, **kwargs))

    return whole


async def in_batches(items: AsyncGenerator[T, None], most: int = 1000) -> AsyncGenerator[list[T], None]:
    """Items as they come; those that come while the last ones are dealt with, `most` of them, go together.

    They are made by a task of its own, which ends with this; its failure is raised behind what came before it.
    """
    waiting: list[T] = []
    ready, taken = asyncio.Event(), asyncio.Event()

    async def take() -> None:
        async with aclosing(items):
            async for item in items:
                waiting.append(item)
                ready.set()
                if len(waiting) >= most:
                    taken.clear()
                    await taken.wait()

    task = asyncio.create_task(take())
    task.add_done_callback(lambda _: ready.set())
    try:
        while waiting or not task.done():
            await ready.wait()
            ready.clear()
            batch, waiting[:] = waiting[:], []
            taken.set()
            if batch:
                yield batch
        task.result()
    finally:
        task.cancel()
        await unbroken(asyncio.wait([task]))
        if not task.cancelled():
            task.exception()  # looked at, so that the loop does not complain of it


class Late(Generic[T]):
    """A part that takes long to make: made once, by whoever asks first; all others wait for that.

    What could not be made is tried again by who asks next: the reason, such as a full disk, may have passed.
    """

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._task: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Wait until it is made, and hand it out."""
        if self._task is None or (self._task.done() and (self._task.cancelled() or self._task.exception())):
            self._task = asyncio.ensure_future(self._make())
        return await asyncio.shield(self._task)

    @property
    def made(self) -> bool:
        """Whether anybody asked yet."""
        return self._task is not None
