"""Politeness: who may ask a host next, and when."""

import asyncio
from collections import defaultdict


class Turns:
    """Lets requests to one host follow each other at a distance; hosts do not wait for one another."""

    def __init__(self) -> None:
        self._free: dict[str, float] = defaultdict(float)  # on the event loop's clock

    def due(self, host: str) -> float:
        """Seconds until a host may be asked."""
        return max(0.0, self._free[host] - asyncio.get_running_loop().time())

    async def take(self, host: str, delay: float) -> None:
        """Wait for a turn; the one after it is `delay` seconds later."""
        wait = self.due(host)
        # Booked before the wait: who asks meanwhile comes behind.
        self.hold(host, wait + delay)
        if wait > 0:
            await asyncio.sleep(wait)

    def hold(self, host: str, seconds: float) -> None:
        """Have nobody ask a host for that long."""
        self._free[host] = max(self._free[host], asyncio.get_running_loop().time() + seconds)
