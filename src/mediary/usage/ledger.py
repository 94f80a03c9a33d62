"""What each turn used: a row is written however the turn ends, and the sums of its day grow with it."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from itertools import islice
from json import JSONEncoder
from typing import Any

from sqlalchemy import delete, func, select

from mediary.database.engine import Database
from mediary.database.metadata import MAX_COUNT
from mediary.tasks import uninterrupted
from mediary.usage.days import DaySums, short
from mediary.usage.record import UsageRecord
from mediary.usage.statistics import Statistics, read_statistics
from mediary.usage.tables import usage_days, usage_records

__all__ = ["Ledger", "UsagePage", "UsageRecord"]

DAY = 86_400
FOREVER = 36_500.0
DELETED_AT_ONCE = 1000
LEAST_SECONDS = 3600.0
"""How long a record stays at least: after a crash, a turn may be recorded once more, and must not count twice."""

MAX_USAGE = 16_384
"""Characters of JSON up to which a provider's usage is kept whole."""
MAX_DEPTH = 32
MAX_COUNTS = 100
"""Counts that are kept of a larger one."""
MAX_COUNT_NAME = 64


@dataclass(slots=True, frozen=True)
class UsagePage:
    """A page of a day; `next` is the cursor of the page after it, None on the last."""

    records: tuple[UsageRecord, ...]
    next: int | None


class Ledger:
    """The usage records, and the sums of each day. Single records are kept for `keep_days`."""

    def __init__(self, database: Database, keep_days: float = FOREVER) -> None:
        self._database = database
        self._keep_seconds = keep_days * DAY
        self._days = DaySums(database)
        self._insert = (
            database.insert(usage_records)
            .on_conflict_do_nothing(index_elements=["turn"])
            .returning(usage_records.c.turn)
        )

    @uninterrupted
    async def record(self, *records: UsageRecord) -> Sequence[UsageRecord]:
        """Write what turns used, all of them or none; those that are new. A turn that is written already stays so."""
        turns = {record.turn: record for record in reversed(records)}
        if not turns:
            return ()
        async with self._database.begin() as connection:
            rows = [_row(record) for record in reversed(turns.values())]
            new = set((await connection.execute(self._insert, rows)).scalars())
            fresh = [turns[row["turn"]] for row in rows if row["turn"] in new]
            await self._days.add(connection, fresh)
        return fresh

    async def list(self, day: date, after: int = 0, limit: int = 1000) -> UsagePage:
        """The records of a day of UTC in the order they were written, from a cursor on."""
        start = datetime.combine(day, time_of_day(), UTC).timestamp()
        created, id_ = usage_records.c.created, usage_records.c.id
        query = (
            select(usage_records)
            .where(created >= max(start, self._oldest), created < start + DAY, id_ > after)
            .order_by(id_)
            .limit(limit + 1)
        )
        async with self._database.connect() as connection:
            rows = [dict(row) for row in (await connection.execute(query)).mappings()]
        ids = [row.pop("id") for row in rows]
        records = tuple(UsageRecord(**row) for row in rows[:limit])
        return UsagePage(records, ids[limit - 1] if len(rows) > limit else None)

    async def statistics(self, days: int, user: str | None = None) -> Statistics:
        """What the last days, of UTC and with today, come to; of all, or of who has a label."""
        async with self._database.connect() as connection:
            return await read_statistics(connection, days, None if user is None else short(user))

    async def first_day(self) -> date | None:
        """The first day of which there are sums."""
        async with self._database.connect() as connection:
            found: date | None = await connection.scalar(select(func.min(usage_days.c.day)))
        return found

    @uninterrupted
    async def sweep(self) -> int:
        """Remove some of the records that are too old; how many were removed. The sums stay."""
        before = min(self._oldest, time.time() - LEAST_SECONDS)
        columns = usage_records.c
        old = select(columns.id).where(columns.created < before).limit(DELETED_AT_ONCE)
        async with self._database.begin() as connection:
            removed: int = (await connection.execute(delete(usage_records).where(columns.id.in_(old)))).rowcount
        return removed

    @property
    def _oldest(self) -> float:
        """The time from which on records are shown."""
        return time.time() - self._keep_seconds


def _row(record: UsageRecord) -> dict[str, Any]:
    usage = record.usage if _fits(record.usage) and not _is_deep(record.usage) else _counts(record.usage)
    label = None if record.user_label is None else short(record.user_label)
    return asdict(replace(record, usage=usage, model=short(record.model), user_label=label))


def _fits(usage: dict[str, Any]) -> bool:
    """Whether a usage is of a sound size; a large one is not written out to its end for that."""
    size = 0
    for piece in JSONEncoder().iterencode(usage):
        size += len(piece)
        if size > MAX_USAGE:
            return False
    return True


def _is_deep(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Whether lists and objects stand in each other so deep that writing them out could fail."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not depth or any(_is_deep(item, depth - 1) for item in inner)


def _counts(usage: dict[str, Any]) -> dict[str, int | float]:
    """The first numbers at the top of a usage."""
    numbers = (
        (name, count)
        for name, count in usage.items()
        if type(count) in (int, float) and len(name) <= MAX_COUNT_NAME and abs(count) <= MAX_COUNT
    )
    return dict(islice(numbers, MAX_COUNTS))
