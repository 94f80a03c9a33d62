"""What clients say of their use, and of what happened to them: kept beside what was measured, and never summed up."""

import time
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from typing import Any, Literal, NamedTuple

from sqlalchemy import Row, delete, func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from mediary.database.engine import Database
from mediary.database.metadata import MAX_COUNT
from mediary.tasks import uninterrupted
from mediary.usage.days import short
from mediary.usage.tables import client_reports, usage_records

DAY = 86_400
DELETED_AT_ONCE = 1000
MOST = 100_000
"""Reports that are kept; more push out the oldest."""

ReportKind = Literal["usage", "log"]

_columns = client_reports.c


@dataclass(slots=True, frozen=True)
class Report:
    """What a client said; `created` is in Unix seconds."""

    created: float
    user_label: str | None
    report: dict[str, Any]


@dataclass(slots=True, frozen=True)
class ReportPage:
    """A page of a day; `next` is the cursor of the page after it, None on the last."""

    reports: tuple[Report, ...]
    next: int | None


class _Turn(NamedTuple):
    """What tells a turn from others, as far as clients know it."""

    provider: str
    model: str
    total_tokens: int


class Reports:
    """The reports of clients, at most so many, kept for `keep_days`; with 0 none is kept."""

    def __init__(self, database: Database, keep_days: float, most: int = MOST) -> None:
        self._database = database
        self._most = most
        self._keep_seconds = keep_days * DAY

    @uninterrupted
    async def add(self, kind: ReportKind, report: Mapping[str, Any], user: str | None) -> None:
        """Keep what a client said."""
        if not self._keep_seconds:
            return
        label = None if user is None else short(user)
        row = {"kind": kind, "created": time.time(), "user_label": label, "report": dict(report)}
        async with self._database.begin() as connection:
            await connection.execute(insert(client_reports), row)

    async def list(
        self, kind: ReportKind, day: date, after: int = 0, limit: int = 1000, *, news: bool = False
    ) -> ReportPage:
        """The reports of a day of UTC in the order they came, from a cursor on.

        As `news` without those that tell of a turn which was measured on that day: with its provider, its model and its
        tokens. A page of these may have fewer.
        """
        start = datetime.combine(day, time_of_day(), UTC).timestamp()
        query = (
            select(client_reports)
            .where(_columns.kind == kind, _columns.created >= start, _columns.created < start + DAY)
            .where(_columns.id > after)
            .order_by(_columns.id)
            .limit(limit + 1)
        )
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
            known = await _measured(connection, start, map(_turn, rows)) if news else set()
        reports = tuple(
            Report(row.created, row.user_label, row.report) for row in rows[:limit] if _turn(row) not in known
        )
        return ReportPage(reports, rows[limit - 1].id if len(rows) > limit else None)

    @uninterrupted
    async def sweep(self) -> int:
        """Remove some of those that are too old, or too many; how many were removed."""
        newest = select(func.max(_columns.id)).scalar_subquery()
        unwanted = (_columns.created < time.time() - self._keep_seconds) | (_columns.id <= newest - self._most)
        old = select(_columns.id).where(unwanted).limit(DELETED_AT_ONCE)
        async with self._database.begin() as connection:
            removed: int = (await connection.execute(delete(client_reports).where(_columns.id.in_(old)))).rowcount
        return removed


def _turn(row: Row[Any]) -> _Turn | None:
    """The turn that a report tells of, if it says who answered and how many tokens that took."""
    match row.report:
        case {"provider": str() as provider, "model": str() as model, "total_tokens": int() as tokens}:
            return _Turn(short(provider), short(model), int(tokens)) if 0 < tokens <= MAX_COUNT else None
    return None


async def _measured(connection: AsyncConnection, start: float, told: Iterable[_Turn | None]) -> Set[_Turn | None]:
    """Those of the turns that were measured on the day that starts then."""
    wanted = {turn for turn in told if turn}
    if not wanted:
        return wanted
    columns = [usage_records.c[name] for name in _Turn._fields]
    query = select(*columns).distinct().where(tuple_(*columns).in_(wanted))
    query = query.where(usage_records.c.created >= start, usage_records.c.created < start + DAY)
    return {_Turn(*row) for row in await connection.execute(query)}
