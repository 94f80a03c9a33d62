"""What clients say of their use, and of what happened to them: kept beside what was measured, and never summed up."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from typing import Any, Literal

from sqlalchemy import delete, func, insert, select

from mediary.database.engine import Database
from mediary.tasks import uninterrupted
from mediary.usage.days import short
from mediary.usage.tables import client_reports

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


class Reports:
    """The reports of clients, kept for `keep_days`; with 0 none is kept."""

    def __init__(self, database: Database, keep_days: float) -> None:
        self._database = database
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

    async def list(self, kind: ReportKind, day: date, after: int = 0, limit: int = 1000) -> ReportPage:
        """The reports of a day of UTC in the order they came, from a cursor on."""
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
        reports = tuple(Report(row.created, row.user_label, row.report) for row in rows[:limit])
        return ReportPage(reports, rows[limit - 1].id if len(rows) > limit else None)

    @uninterrupted
    async def sweep(self) -> int:
        """Remove some of those that are too old, or too many; how many were removed."""
        newest = select(func.max(_columns.id)).scalar_subquery()
        unwanted = (_columns.created < time.time() - self._keep_seconds) | (_columns.id <= newest - MOST)
        old = select(_columns.id).where(unwanted).limit(DELETED_AT_ONCE)
        async with self._database.begin() as connection:
            removed: int = (await connection.execute(delete(client_reports).where(_columns.id.in_(old)))).rowcount
        return removed
