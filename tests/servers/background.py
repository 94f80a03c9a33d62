"""Peers in an event loop of their own: a test that waits for Mediary does not keep them from answering."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def in_background(peer: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """A peer while the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def done(step: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(step, loop).result(30)

    async def enter() -> T:
        return await peer.__aenter__()

    async def leave() -> None:
        await peer.__aexit__(None, None, None)

    try:
        yield done(enter())
        done(leave())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
