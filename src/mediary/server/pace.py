"""How often something may be asked for: bursts pass, and a steady stream is slowed down."""

import time

from mediary.errors import RateLimitError


class Pace:
    """`rate` a second in the long run, `burst` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._seen = time.monotonic()

    def check(self, what: str) -> None:
        """Take one; RateLimitError when there is none, with the seconds until there is."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._seen) * self._rate)
        self._seen = now
        if self._left < 1:
            raise RateLimitError(f"{what} come too fast: {self._rate:g} a second", (1 - self._left) / self._rate)
        self._left -= 1
