"""The runs of late in the database: of all processes and nodes that share it."""

import asyncio
import secrets
import time
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, delete, insert, or_, select, update

from mediary.database.clock import now
from mediary.database.engine import Database
from mediary.database.processes import is_gone, this_process
from mediary.errors import BadRequestError, NotFoundError
from mediary.runs.run import Frames, RunInfo, State
from mediary.runs.tables import run_events, runs
from mediary.tasks import uninterrupted

LEASE_SECONDS = 30.0
"""How long after its last word a process is taken for dead."""
DELETED_AT_ONCE = 200

PREVIEW = b"event: preview\n"
NO_PREVIEW = PREVIEW + b'data: {"type":"preview","preview":""}\n\n'
LARGE_PREVIEW = 16 * 1024
"""Bytes of a preview from which it is not kept."""

_SEPARATOR = b"\n\n"
_columns = runs.c
_MOVE = update(runs).where(_columns.id == bindparam("run"))


@dataclass(slots=True, frozen=True)
class Change:
    """What is new of a run: how it stands, and its next events."""

    info: RunInfo
    new: Frames
    begins: bool


@dataclass(slots=True, frozen=True)
class RunPage:
    """A page of runs, newest first; `next` is the cursor of the page after it, None on the last."""

    runs: tuple[RunInfo, ...]
    next: str | None


class RunStore:
    """Runs and their events. Other processes' runs are found here, too."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._owner = f"{secrets.token_hex(8)} {this_process()}"
        self._begin = (
            database.insert(runs)
            .values(seen=now)
            .on_conflict_do_nothing(index_elements=[_columns.id])
            .returning(_columns.id)
        )
        chunk = database.insert(run_events)
        self._add = chunk.on_conflict_do_update(
            index_elements=[run_events.c.run, run_events.c.first],
            set_={"last": chunk.excluded.last, "data": chunk.excluded.data},
        )

    @uninterrupted
    async def write(self, changes: Sequence[Change]) -> None:
        """Write what is new, all of it or nothing; but nothing of runs that others took for lost.

        What is written already, by a call whose answer was lost, is written over.
        """
        chunks = await asyncio.to_thread(_chunks, changes)
        begun = [self._row(change.info) for change in changes if change.begins]
        going_on = select(_columns.id).where(_columns.owner == self._owner, _columns.state == "running")
        async with self._database.begin() as connection:
            ours = set((await connection.execute(self._begin, begun)).scalars()) if begun else set()
            if others := {change.info.id: change.info for change in changes if change.info.id not in ours}:
                found = others.keys() & (await connection.execute(going_on.with_for_update())).scalars()
                if standing := [{"run": run} | _standing(others[run]) for run in found]:
                    await connection.execute(_MOVE, standing)
                ours |= found
            if chunks := [chunk for chunk in chunks if chunk["run"] in ours]:
                await connection.execute(self._add, chunks)

    @uninterrupted
    async def beat(self) -> list[str]:
        """Say that this process lives; which of its runs others want ended."""
        ours = (_columns.owner == self._owner, _columns.state == "running")
        async with self._database.begin() as connection:
            await connection.execute(update(runs).where(*ours).values(seen=now))
            unwanted = await connection.execute(select(_columns.id).where(*ours, _columns.unwanted))
            return list(unwanted.scalars())

    async def get(self, run: str) -> RunInfo:
        """What is known of a run; NotFoundError if nothing is."""
        async with self._database.connect() as connection:
            row = (await connection.execute(select(runs).where(_columns.id == run))).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no run {run!r}; its events may be too old to be kept")
        return _info(row)

    async def read(self, run: str, after: int) -> AsyncIterator[Frames]:
        """What is stored of a run behind an event, a chunk at a time."""
        place = run_events.c
        while True:
            query = select(run_events).where(place.run == run, place.last > after).order_by(place.first).limit(1)
            async with self._database.connect() as connection:
                row = (await connection.execute(query)).one_or_none()
            if row is None:
                return
            frames = await asyncio.to_thread(_unpacked, row.data)
            skipped = max(0, after + 1 - row.first)
            yield Frames(row.first + skipped, frames[skipped:])
            after = row.last

    @uninterrupted
    async def want_end(self, run: str) -> None:
        """Have the process whose run it is end it."""
        async with self._database.begin() as connection:
            await connection.execute(update(runs).where(_columns.id == run).values(unwanted=True))

    async def lost(self, *, silent: bool) -> list[RunInfo]:
        """Runs whose process is gone, or also those whose process has been `silent` for long."""
        query = select(runs, now.label("now")).where(_columns.state == "running", _columns.owner != self._owner)
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [_info(row) for row in rows if _is_gone(row) or (silent and _is_silent(row))]

    @uninterrupted
    async def interrupt(self, run: RunInfo, last_word: bytes) -> bool:
        """Mark a lost run as interrupted, with a last event that says so; False if it has changed meanwhile."""
        change = Change(replace(run, events=run.events + 1), Frames(run.events + 1, [last_word]), begins=False)
        chunks = await asyncio.to_thread(_chunks, [change])
        ended: dict[str, Any] = {"state": "interrupted", "ended": time.time(), "events": change.info.events}
        same = (_columns.id == run.id, _columns.state == "running", _columns.events == run.events)
        statement = update(runs).where(*same).values(**ended)
        async with self._database.begin() as connection:
            ours: bool = (await connection.execute(statement)).rowcount == 1
            if ours:
                await connection.execute(insert(run_events), chunks)
        return ours

    @uninterrupted
    async def sweep(self, before: float) -> int:
        """Remove some of the runs that ended before a time, in Unix seconds; how many were removed."""
        old = select(_columns.id).where(_columns.created < before, _columns.state != "running").limit(DELETED_AT_ONCE)
        async with self._database.begin() as connection:
            removed: int = (await connection.execute(delete(runs).where(_columns.id.in_(old)))).rowcount
        return removed

    async def list(self, state: str | None = None, cursor: str | None = None, limit: int = 50) -> RunPage:
        """The runs, newest first, of a state or of all."""
        query = select(runs).order_by(_columns.created.desc(), _columns.id.desc()).limit(limit + 1)
        if state:
            query = query.where(_columns.state == state)
        if cursor:
            query = query.where(_before(cursor))
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        found = tuple(map(_info, rows[:limit]))
        return RunPage(found, f"{found[-1].created!r}-{found[-1].id}" if len(rows) > limit else None)

    def _row(self, info: RunInfo) -> dict[str, Any]:
        row = {"id": info.id, "created": info.created, "user_label": info.user}
        return row | _standing(info) | {"owner": self._owner, "unwanted": False}


def _standing(info: RunInfo) -> dict[str, Any]:
    """What changes while a run goes on."""
    return {
        "state": info.state,
        "provider": info.provider,
        "model": info.model,
        "ended": info.ended,
        "events": info.events,
    }


def _chunks(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """The rows of new events: compressed, for nearly all of an event is the same in each."""
    return [
        {
            "run": change.info.id,
            "first": change.new.first,
            "last": change.new.last,
            "data": zlib.compress(b"".join(map(_lasting, change.new.frames)), 1),
        }
        for change in changes
        if change.new.frames
    ]


def _lasting(frame: bytes) -> bytes:
    """What is kept of an event: a picture that was not final yet is of use to nobody later."""
    return NO_PREVIEW if len(frame) > LARGE_PREVIEW and frame.startswith(PREVIEW) else frame


def _unpacked(data: bytes) -> list[bytes]:
    """The events of a chunk. No line of one is empty: the JSON of its data has no line ends."""
    return [frame + _SEPARATOR for frame in zlib.decompress(data).split(_SEPARATOR)[:-1]]


def _info(row: Row[Any]) -> RunInfo:
    state: State = row.state
    return RunInfo(row.id, state, row.provider, row.model, row.user_label, row.created, row.ended, row.events)


def _is_gone(row: Row[Any]) -> bool:
    return is_gone(row.owner.partition(" ")[2])


def _is_silent(row: Row[Any]) -> bool:
    silence: float = row.now - row.seen
    return silence > LEASE_SECONDS


def _before(cursor: str) -> ColumnElement[bool]:
    """Behind the last of a page; BadRequestError for a cursor that no page gave."""
    time_of_last, _, run = cursor.partition("-")
    try:
        created = float(time_of_last)
    except ValueError:
        raise BadRequestError("cursor is what `next` of the page before held") from None
    return or_(_columns.created < created, and_(_columns.created == created, _columns.id < run))
