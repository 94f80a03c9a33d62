"""The runs: those of this process, and what is stored of all."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from contextvars import Context
from dataclasses import replace
from typing import TYPE_CHECKING

from mediary.errors import MediaryError, NotFoundError
from mediary.runs.run import Frames, Run, RunInfo

if TYPE_CHECKING:
    from mediary.runs.store import RunPage, RunStore

PAUSE_SECONDS = 0.25
"""Events that come within that time are stored together."""
BEGIN_SECONDS = 0.02
"""Runs that begin within that time are: after a crash, who asked should find the run."""
BEAT_SECONDS = 5.0
"""How often a process says that it lives, and hears which of its runs others want ended."""
LOST_SECONDS = 15.0
"""How often it looks for runs that others left behind."""
AWAKE_SECONDS = 2 * LOST_SECONDS
"""How long ago its last look is at most if it tells who is silent: a database that was away keeps everybody silent."""
SWEEP_SECONDS = 600.0
POLL_SECONDS = 0.3
"""How often a reader looks for new events of a run of another process."""
CANCEL_SECONDS = BEAT_SECONDS + 5.0
"""How long to wait for another process to end a run."""
MAX_HELD = 64 * 1024**2
"""Bytes of runs that wait while the database fails."""
MAX_WAITING = 1000
"""Runs that wait meanwhile."""
HOUR = 3600.0

Interrupted = Callable[[RunInfo, AsyncIterator[Frames]], Awaitable[None]]
"""Told of a run that was interrupted, with the events it had."""

logger = logging.getLogger(__name__)


class Runs:
    """Runs begin here, are stored while they go on, and are found again by their ids.

    `keep_hours` is how long their events stay; with 0 nothing is stored. `last_word` is the event that an interrupted
    run ends with.
    """

    def __init__(
        self,
        store: "Callable[[], Awaitable[RunStore]]",
        keep_hours: float,
        last_word: bytes,
        interrupted: Interrupted,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.keeps = keep_hours > 0
        self._store = store
        self._keep_seconds = keep_hours * HOUR
        self._last_word = last_word
        self._interrupted = interrupted
        self._now = now
        self._here: dict[str, Run] = {}
        self._due: dict[str, Run] = {}
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._closing = asyncio.Event()
        self._storing = asyncio.Lock()
        self._failing = False
        self._writing: asyncio.Task[None] | None = None

    def begin(self, run_id: str, provider: str, model: str, user: str | None) -> Run:
        """A run that begins; append its events, then end it."""
        run = self._here[run_id] = Run(run_id, provider, model, user, self._notice, kept=self.keeps)
        self._notice(run)
        self._hurry.set()
        return run

    @property
    def running(self) -> int:
        """How many go on in this process."""
        return sum(run.ended is None for run in self._here.values())

    async def get(self, run_id: str) -> RunInfo:
        """What is known of a run; NotFoundError if nothing is."""
        if run := self._here.get(run_id):
            return run.info()
        return await self._get_elsewhere(run_id)

    async def get_kept(self, run_id: str) -> RunInfo:
        """The same of a run whose events can be had; NotFoundError for others."""
        run = self._here.get(run_id)
        if run is None:
            return await self._get_elsewhere(run_id)
        if not run.kept:
            raise NotFoundError(f"the events of {run_id!r} are not kept here: see the setting runs.keep_hours")
        return run.info()

    async def events(self, run_id: str, after: int) -> AsyncGenerator[Frames, None]:
        """The events behind a number, and those to come, to the run's last."""
        run = self._here.get(run_id)
        following = run.follow(after, self._stored) if run else self._follow_elsewhere(run_id, after)
        async with aclosing(following) as found:
            async for frames in found:
                yield frames

    async def cancel(self, run_id: str) -> RunInfo:
        """End a run, whichever process it is in; how it stands then."""
        if run := self._here.get(run_id):
            run.stop()
            with suppress(TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    await run.over.wait()
            return run.info()
        info = await self._get_elsewhere(run_id)
        if info.state == "running":
            store = await self._store()
            await store.want_end(run_id)
            deadline = time.monotonic() + CANCEL_SECONDS
            while info.state == "running" and time.monotonic() < deadline:
                await asyncio.sleep(POLL_SECONDS)
                info = await store.get(run_id)
        return info

    async def keep(self) -> None:
        """Mark what dead processes left, and remove what is old, until cancelled."""
        looked = swept = 0.0
        while True:
            try:
                now = self._now()
                await self.mark_lost(silent=now - looked < AWAKE_SECONDS)
                looked = now
                if time.monotonic() - swept > SWEEP_SECONDS:
                    await self._sweep()
                    swept = time.monotonic()
            except MediaryError as error:
                logger.warning("old runs are not looked after", extra={"cause": error.message})
            await asyncio.sleep(LOST_SECONDS)

    async def mark_lost(self, *, silent: bool) -> None:
        """Mark the runs of processes that are gone as interrupted, or also of those that are `silent`."""
        store = await self._store()
        for run in await store.lost(silent=silent):
            if await store.interrupt(run, self._last_word):
                logger.warning("a turn was interrupted", extra={"turn": run.id, "provider": run.provider})
                await self._interrupted(run, store.read(run.id, 0))

    async def close(self) -> None:
        """Store what is left; the runs have ended."""
        self._closing.set()
        self._wake.set()
        self._hurry.set()
        if self._writing:
            await asyncio.wait([self._writing])

    async def list(self, state: str | None, cursor: str | None, limit: int) -> "RunPage":
        """The runs, newest first."""
        await self._store_due()
        page = await (await self._store()).list(state, cursor, limit)
        current = (here.info() if (here := self._here.get(info.id)) else info for info in page.runs)
        return replace(page, runs=tuple(current))

    async def _sweep(self) -> None:
        store = await self._store()
        while await store.sweep(time.time() - self._keep_seconds):
            pass

    def _notice(self, run: Run) -> None:
        """Something of a run is to be stored."""
        if not run.kept:
            if run.ended is not None:
                self._here.pop(run.id, None)
            return
        self._due[run.id] = run
        self._wake.set()
        if self._writing is None or self._writing.done():
            # a context of its own: it outlives the request that begins it, whose mark its log lines would bear
            self._writing = asyncio.create_task(self._write(), name="runs", context=Context())

    async def _write(self) -> None:
        """Store what there is, again and again while runs go on, so that the events of a moment go together."""
        beaten = time.monotonic()
        while not self._closing.is_set():
            await self._store_due()
            if time.monotonic() - beaten >= BEAT_SECONDS and self._here:
                await self._beat()
                beaten = time.monotonic()
            await self._rest()
        await self._store_due()

    async def _rest(self) -> None:
        """Wait for more, and then a moment, less where a run begins; long after a failure; not at the end."""
        if self._failing:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._closing.wait()
            return
        try:
            async with asyncio.timeout(BEAT_SECONDS if self._here else None):
                await self._wake.wait()
        except TimeoutError:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSE_SECONDS):
                await self._hurry.wait()
                self._hurry.clear()
                async with asyncio.timeout(BEGIN_SECONDS):
                    await self._closing.wait()
        self._wake.clear()

    async def _store_due(self) -> None:
        """Store what there is now; one after the other, for a run begins once."""
        async with self._storing:
            due, self._due = self._due, {}
            if due:
                await self._store_all(due)

    async def _store_all(self, due: dict[str, Run]) -> None:
        # imported here: it brings SQLAlchemy, for which no answer waits
        from mediary.runs.store import Change

        changes = []
        for run in due.values():
            run.due = False
            changes.append(Change(run.info(), run.unstored(), begins=not run.begun))
        try:
            await (await self._store()).write(changes)
        except MediaryError as error:
            logger.warning("runs are not stored", extra={"runs": len(due), "cause": error.message})
            self._put_off(due)
            self._failing = True
            return
        self._failing = False
        for change in changes:
            run = due[change.info.id]
            run.begun = True
            run.note_stored(change.new.last)
            if change.info.ended is not None:
                self._here.pop(run.id, None)

    def _put_off(self, due: dict[str, Run]) -> None:
        """Try again with what comes next; hold no more than there is room for, and nothing at the end."""
        held = 0
        for run in due.values():
            held += run.size
            if self._closing.is_set() or held > MAX_HELD or len(self._due) > MAX_WAITING:
                held -= run.size
                run.forget()
                self._here.pop(run.id, None)
                self._due.pop(run.id, None)
            elif not run.due:
                run.due = True
                self._due[run.id] = run

    async def _beat(self) -> None:
        try:
            for run_id in await (await self._store()).beat():
                if run := self._here.get(run_id):
                    run.stop()
        except MediaryError as error:
            logger.warning("runs cannot be held", extra={"cause": error.message})

    async def _stored(self, run_id: str, after: int) -> AsyncIterator[Frames]:
        store = await self._store()
        async for frames in store.read(run_id, after):
            yield frames

    async def _get_elsewhere(self, run_id: str) -> RunInfo:
        """A run of another process: one that has just begun may not be stored yet."""
        store = await self._store()
        try:
            return await store.get(run_id)
        except NotFoundError:
            await asyncio.sleep(2 * PAUSE_SECONDS)
            return await store.get(run_id)

    async def _follow_elsewhere(self, run_id: str, after: int) -> AsyncGenerator[Frames, None]:
        """A run of another process, or one that has ended."""
        store = await self._store()
        while True:
            info = await store.get(run_id)
            async for frames in store.read(run_id, after):
                yield frames
                after = frames.last
            if info.state != "running":
                return
            await asyncio.sleep(POLL_SECONDS)
