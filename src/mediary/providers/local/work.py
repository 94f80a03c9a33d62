"""Work in threads that ends with the turn it is for: in time, and soon after nobody waits for it any more."""

import asyncio
import math
import threading
from collections.abc import Awaitable
from typing import TypeVar

from mediary.errors import ProviderTimeoutError

T = TypeVar("T")


class WorkOverError(Exception):
    """Nobody waits for the work any more."""


class Work:
    """What is done for one turn: `seconds` is for all of it, from now on."""

    def __init__(self, name: str, seconds: float = math.inf) -> None:
        self._name = name
        self._seconds = seconds
        self._deadline = asyncio.get_running_loop().time() + seconds
        # Python waits for its threads at its exit: none may go on for long.
        self._over = threading.Event()

    def check(self) -> None:
        """WorkOverError once the work is over; for the threads."""
        if self._over.is_set():
            raise WorkOverError

    def end(self) -> None:
        """Have the threads end at their next check."""
        self._over.set()

    async def wait(self, result: Awaitable[T]) -> T:
        """Wait for a part of the work; ProviderTimeoutError when the time is over, and with it the work."""
        try:
            async with asyncio.timeout_at(self._deadline):
                return await result
        except TimeoutError:
            self.end()
            raise ProviderTimeoutError(f"{self._name} was not ready within the {self._seconds:g} s asked for") from None
