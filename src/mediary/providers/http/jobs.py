"""Work that a service does behind the request: it is asked how far it is until it is over, and told if nobody waits."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from mediary.errors import (
    MediaryError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    StreamInterruptedError,
)
from mediary.events import Reasoning
from mediary.providers.http.refusals import retry_after

FIRST_WAIT = 1.0
"""Seconds until a service that does not say when to come back is asked for the first time; then it is longer."""
LONGEST_WAIT = 10.0
LONGEST_SAID = 60.0
"""Seconds that a service may put off who asks."""
SHORTEST_SAID = 0.1
PATIENCE = 5
"""How often in a row it may fail to answer: what it works on takes minutes, and is paid for."""
ASK_SECONDS = 30.0
"""Seconds for one such answer."""
CLOSING_SECONDS = 5.0

_GROWTH = 1.5
_PASSING = (ProviderUnavailableError, ProviderTimeoutError, StreamInterruptedError, RateLimitError)


class Job(Protocol):
    """How far the work was when the service was asked: `state` is for people to read."""

    @property
    def is_over(self) -> bool: ...  # noqa: D102 - said above

    @property
    def state(self) -> str: ...  # noqa: D102 - said above


J = TypeVar("J", bound=Job)
Look = Callable[[float], Awaitable[tuple[J, Mapping[str, str]]]]
"""Asks for the job, in so many seconds at most; gives it and the headers of the answer. Raises if the work failed."""


class Following(Generic[J]):
    """Asks for a job until it is over, politely; `job` is the last that was told, `deadline` in the loop's time.

    `headers` are those of the answer in which it was told first.
    """

    def __init__(self, name: str, job: J, headers: Mapping[str, str], look: Look[J], deadline: float) -> None:
        self.job = job
        self._name = name
        self._said = _said(headers)
        self._look = look
        self._deadline = deadline

    async def events(self, label: str) -> AsyncGenerator[Reasoning, None]:
        """Say how far it is each time that changes, to the end. ProviderTimeoutError at the deadline."""
        wait, told, failures = FIRST_WAIT, "", 0
        while True:
            if self.job.state != told:
                told = self.job.state
                yield Reasoning(label=label, status=told)
            if self.job.is_over:
                return
            # Not the same for all who wait.
            pause = wait * random.uniform(0.9, 1.1) if self._said is None else self._said  # noqa: S311 - no secret
            await asyncio.sleep(max(0.0, min(pause, self._left)))
            try:
                await self._ask()
                failures = 0
            except ProviderError as error:
                failures += 1
                if failures > PATIENCE or not _may_pass(error) or self._left <= 0:
                    raise
                after = error.retry_after if isinstance(error, RateLimitError) else None
                self._said = None if after is None else _bounded(after)
            wait = min(wait * _GROWTH, LONGEST_WAIT)

    @property
    def _left(self) -> float:
        return self._deadline - asyncio.get_running_loop().time()

    async def _ask(self) -> None:
        if (left := self._left) <= 0:
            raise ProviderTimeoutError(f"{self._name}: it was not ready in time ({self.job.state})")
        self.job, headers = await self._look(min(left, ASK_SECONDS))
        self._said = _said(headers)


def _said(headers: Mapping[str, str]) -> float | None:
    """When a service wants to be asked again: `openai-poll-after-ms`, as official clients read it, or `Retry-After`."""
    milliseconds = headers.get("openai-poll-after-ms", "")
    seconds = int(milliseconds[:9]) / 1000 if milliseconds.isdecimal() else retry_after(headers)
    return None if seconds is None else _bounded(seconds)


def _bounded(seconds: float) -> float:
    return min(max(seconds, SHORTEST_SAID), LONGEST_SAID)


def _may_pass(error: ProviderError) -> bool:
    """Whether to ask once more. Some services do not know their own job for the first second."""
    return isinstance(error, _PASSING) or error.answered == 404


class Errands:
    """What is still to be told to services after their turns have ended. A failure is of no interest to anybody."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Have it done in the background."""

        async def done() -> None:
            with suppress(MediaryError):
                await work

        task = asyncio.create_task(done())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait a little for what is under way."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSING_SECONDS)
            for task in late:
                task.cancel()
