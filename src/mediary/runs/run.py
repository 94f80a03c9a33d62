"""A run: a turn that is happening, its events numbered from 1 as they come."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from mediary.errors import StoreError

State = Literal["running", "finished", "failed", "cancelled", "interrupted"]

HELD_BYTES = 4 * 1024**2
"""What stays in memory for a slow reader of what is stored already, or cannot be."""

_ENDS: dict[bytes, State] = {b"event: finish\n": "finished", b"event: error\n": "failed", b"event: auth\n": "failed"}


@dataclass(slots=True, frozen=True)
class Frames:
    """Events as they stand in a stream, one after the other; the first has the number `first`."""

    first: int
    frames: list[bytes]

    @property
    def last(self) -> int:
        """The number of the last."""
        return self.first + len(self.frames) - 1


Stored = Callable[[str, int], AsyncIterator[Frames]]
"""What is stored of a run behind an event of that number."""


@dataclass(slots=True, frozen=True)
class RunInfo:
    """What is known of a run; times are Unix seconds, `events` counts those that are stored."""

    id: str
    state: State
    provider: str
    model: str
    user: str | None
    created: float
    ended: float | None
    events: int


@dataclass(slots=True, eq=False)
class Run:
    """A run of this process. What it has is held until it is stored, and until its readers have it.

    `noticed` is called when there is something new to store, `cancel` ends it; without `kept` its last event alone is
    held.
    """

    id: str
    provider: str
    model: str
    user: str | None
    noticed: Callable[["Run"], None]
    kept: bool = True
    cancel: Callable[[], None] = lambda: None
    created: float = field(default_factory=time.time)
    ended: float | None = None
    state: State = "running"
    stored: int = 0
    first: int = 1
    frames: list[bytes] = field(default_factory=list)
    due: bool = False
    begun: bool = False
    cancelled: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _grew: asyncio.Event = field(default_factory=asyncio.Event)
    _readers: dict[int, int] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=count)

    def append(self, frame: bytes) -> None:
        """The next event."""
        self.frames.append(frame)
        if not self.due:
            self._tell()
        if self._readers:
            self._grew.set()

    def answered_by(self, provider: str, model: str) -> None:
        """Somebody else took over."""
        self.provider, self.model = provider, model

    def stop(self) -> None:
        """End it because somebody wants that."""
        self.cancelled = True
        self.cancel()

    def end(self) -> None:
        """There are no more events; the last one tells how it ended."""
        if self.ended is None:
            self.ended = time.time()
            outcome = self._outcome()
            self.state = "cancelled" if self.cancelled and outcome == "failed" else outcome
            self._tell()
            self._grew.set()
            self.over.set()

    @property
    def size(self) -> int:
        """The bytes that it holds."""
        return sum(map(len, self.frames))

    @property
    def total(self) -> int:
        """How many events there are."""
        return self.first + len(self.frames) - 1

    def unstored(self) -> Frames:
        """What is to be stored next."""
        return Frames(self.stored + 1, self.frames[self.stored + 1 - self.first :])

    def note_stored(self, number: int) -> None:
        """All up to this event is stored: let go of what nobody here reads any more."""
        self.stored = number
        self._let_go(number)

    def info(self) -> RunInfo:
        """What is known of it."""
        return RunInfo(self.id, self.state, self.provider, self.model, self.user, self.created, self.ended, self.total)

    async def follow(self, after: int, stored: Stored) -> AsyncGenerator[Frames, None]:
        """All events behind that number, and those to come, to the last; StoreError where some are lost."""
        with self._reading(after) as reader:
            while True:
                place = self._readers[reader]
                if place + 1 < self.first:
                    async for found in stored(self.id, place):
                        yield found
                        self._readers[reader] = found.last
                    if self._readers[reader] == place:
                        raise StoreError(f"event {place + 1} of the run and some after it could not be stored")
                elif new := self.frames[place + 1 - self.first :]:
                    self._readers[reader] = place + len(new)
                    yield Frames(place + 1, new)
                elif self.ended is not None:
                    return
                else:
                    self._grew.clear()
                    await self._grew.wait()

    @contextmanager
    def _reading(self, after: int) -> Iterator[int]:
        reader = next(self._numbers)
        self._readers[reader] = after
        try:
            yield reader
        finally:
            del self._readers[reader]

    def forget(self) -> None:
        """It cannot be stored: hold nothing of it from now on."""
        self.kept = self.due = False
        self._let_go(self.total - 1)

    def _tell(self) -> None:
        """Something is to be stored; where nothing is, there is nothing to hold either."""
        if self.kept:
            self.due = True
        else:
            self._let_go(self.total - 1)
        self.noticed(self)

    def _let_go(self, number: int) -> None:
        """Let go of all up to this event, but not yet of what somebody here reads, unless that is much."""
        if self._readers:
            self._drop(min(number, *self._readers.values()))
            if self.size <= HELD_BYTES:
                return
        self._drop(number)

    def _drop(self, number: int) -> None:
        gone = number + 1 - self.first
        if gone > 0:
            del self.frames[:gone]
            self.first += gone

    def _outcome(self) -> State:
        last = self.frames[-1] if self.frames else b""
        return _ENDS.get(last[: last.find(b"\n") + 1], "cancelled")
