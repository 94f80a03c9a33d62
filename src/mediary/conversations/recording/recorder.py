"""Writes what turns used to the ledger, behind the answers, and counts them for `/metrics`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mediary.conversations.keeping.made import Made
from mediary.conversations.recording.measure import Looks, Measure
from mediary.conversations.recording.spans import turn_span
from mediary.errors import MediaryError
from mediary.tracing import current_trace
from mediary.usage.counters import Counters
from mediary.usage.prices import Prices
from mediary.usage.record import NANO, UsageRecord

if TYPE_CHECKING:
    from mediary.usage.ledger import Ledger

AT_ONCE = 500
"""Turns that are written in one transaction, at most."""
MOST_WAITING = 10_000
"""Turns that wait for a database that does not answer; the oldest of more are lost."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds until a database that failed is tried again."""

logger = logging.getLogger(__name__)


@dataclass(slots=True, frozen=True)
class Measured:
    """A turn that is over: what it used, and for whom, as far as its client said."""

    turn: str
    user: str | None
    measure: Measure


class Recorder:
    """Records turns as they end: `prices` tells what they cost, `made` how large what they made is."""

    def __init__(
        self,
        ledger: "Callable[[], Awaitable[Ledger]]",
        *,
        prices: Prices | None = None,
        made: Made | None = None,
        counters: Counters | None = None,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self._ledger = ledger
        self._prices = prices or Prices()
        self._made = made
        self._counters = counters or Counters()
        self._first_wait = first_wait
        self._unwritten: list[Measured] = []
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def begin(self, provider: str, model: str, *, asked: int | None = None) -> Measure:
        """A turn begins, with a question of so many characters; `record` it at its end, whichever that is."""
        self._counters.add("now_running_turns")
        return Measure(provider, model, asked, running=True)

    def record(self, measured: Measured) -> None:
        """Have a turn written; it is in the log at once."""
        measure = measured.measure
        measure.end()
        if measure.running:
            measure.running = False
            self._counters.add("now_running_turns", amount=-1)
        if trace := current_trace():
            trace.add(turn_span(measured.turn, measure))
        logger.info("turn", extra={"turn": measured.turn, **measure.summary()})
        self._unwritten.append(measured)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="usage")

    async def write(self, *measured: Measured) -> None:
        """Write turns that are over, and return when that is done; one that is written already stays as it is."""
        records = [await self._complete(each) for each in measured]
        for record in await (await self._ledger()).record(*records):
            self._count(record)

    async def close(self) -> None:
        """Wait until all is written; what cannot be written now is lost."""
        self._closing.set()
        if self._writing:
            await asyncio.wait([self._writing])

    async def _write(self) -> None:
        """What ends meanwhile shares the next transaction, which costs as much as a turn."""
        wait, at_once = self._first_wait, AT_ONCE
        while self._unwritten:
            due, self._unwritten = self._unwritten[:at_once], self._unwritten[at_once:]
            try:
                await self.write(*due)
                wait, at_once = self._first_wait, AT_ONCE
            except MediaryError as error:
                # what failed goes to the end, and one at a time from there: it may be a single turn that is refused
                if not self._keep_waiting([*self._unwritten, *due], error):
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), wait)
                wait, at_once = min(2 * wait, LONGEST_WAIT), AT_ONCE if self._closing.is_set() else 1

    def _keep_waiting(self, unwritten: list[Measured], error: MediaryError) -> bool:
        """Keep what could not be written for the next time, of which there is none for a server that stops."""
        lost = len(unwritten) if self._closing.is_set() else max(0, len(unwritten) - MOST_WAITING)
        self._unwritten = unwritten[lost:]
        if lost:
            turns = [each.turn for each in unwritten[:lost]]
            logger.warning("the use of turns is not recorded", extra={"turns": turns, "cause": error.message})
        else:
            extra = {"turns": len(unwritten), "cause": error.message}
            logger.warning("the use of turns is not recorded yet", extra=extra)
        return bool(self._unwritten)

    async def _complete(self, measured: Measured) -> UsageRecord:
        """The record of a turn, with what takes time to find out."""
        measure = measured.measure
        looks = await self._made.look(measure.made) if self._made and measure.made else Looks()
        record = measure.record(measured.turn, measured.user, looks)
        cost = self._prices.cost(record, measure.url, measure.asked)
        return record if cost is None else replace(record, cost=cost.nanos, priced=cost.priced)

    def _count(self, record: UsageRecord) -> None:
        """Count a turn that was written."""
        who = self._counters.among(record.provider, record.model)
        count = self._counters.add
        count("turns", *who, record.outcome)
        tokens = {"prompt": record.prompt_tokens, "completion": record.completion_tokens, "saved": record.saved_tokens}
        for kind, amount in tokens.items():
            if amount:
                count("tokens", *who, kind, amount=amount)
        if record.cost is None:
            count("unpriced_turns", *who)
        else:
            count("cost", *who, amount=record.cost / NANO)
        if record.pictures:
            count("pictures", *who, amount=record.pictures)
        if record.media_seconds:
            count("media_seconds", *who, amount=record.media_seconds)
        if record.media_bytes:
            count("media_bytes", *who, amount=record.media_bytes)
        if record.first_token_ms is not None:
            self._counters.observe("first_token", *who, seconds=record.first_token_ms / 1000)
        if record.duration_ms is not None:
            self._counters.observe("turn_duration", *who, seconds=record.duration_ms / 1000)
