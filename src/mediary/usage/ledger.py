"""What each turn used: a row is written however the turn ends."""

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, time
from itertools import islice
from json import JSONEncoder
from typing import Any, Literal

from sqlalchemy import CheckConstraint, Column, Double, Table, insert, select

from mediary.database.engine import Database
from mediary.database.metadata import MAX_COUNT, CleanJSON, CleanText, Count, Id, metadata
from mediary.tasks import uninterrupted

DAY = 86_400

MAX_USAGE = 16_384
"""Characters of JSON up to which a provider's usage is kept whole."""
MAX_DEPTH = 32
MAX_COUNTS = 100
"""Counts that are kept of a larger one."""
MAX_COUNT_NAME = 64

usage_records = Table(
    "usage_records",
    metadata,
    Column("id", Id, primary_key=True),
    Column("turn", CleanText, nullable=False),
    Column("created", Double, nullable=False, index=True),
    Column("provider", CleanText, nullable=False),
    Column("model", CleanText, nullable=False),
    Column("user_label", CleanText),
    Column("kind", CleanText, nullable=False),
    Column("outcome", CleanText, nullable=False),
    Column("error", CleanText),
    Column("prompt_tokens", Count),
    Column("completion_tokens", Count),
    Column("total_tokens", Count),
    Column("usage", CleanJSON, nullable=False),
    Column("characters", Count, nullable=False),
    Column("media", Count, nullable=False),
    Column("first_token_ms", Double),
    Column("duration_ms", Double),
    CheckConstraint("outcome IN ('finished', 'failed', 'cancelled')", name="outcome"),
)


@dataclass(slots=True, frozen=True, kw_only=True)
class UsageRecord:
    """What one turn used.

    `created` is in Unix seconds, `error` is the error's class, `usage` holds the provider's own counts,
    `characters` and `media` are what arrived, `user_label` is what the client called its user, and no identity.
    """

    turn: str
    created: float
    provider: str
    model: str
    outcome: Literal["finished", "failed", "cancelled"]
    kind: str = "chat"
    user_label: str | None = None
    error: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    characters: int = 0
    media: int = 0
    first_token_ms: float | None = None
    duration_ms: float | None = None


@dataclass(slots=True, frozen=True)
class UsagePage:
    """A page of a day; `next` is the cursor of the page after it, None on the last."""

    records: tuple[UsageRecord, ...]
    next: int | None


class Ledger:
    """The usage records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @uninterrupted
    async def record(self, *records: UsageRecord) -> None:
        """Write what turns used, all of them or none."""
        async with self._database.begin() as connection:
            await connection.execute(insert(usage_records), [_row(record) for record in records])

    async def list(self, day: date, after: int = 0, limit: int = 1000) -> UsagePage:
        """The records of a day of UTC in the order they were written, from a cursor on."""
        start = datetime.combine(day, time(), UTC).timestamp()
        created, id_ = usage_records.c.created, usage_records.c.id
        query = (
            select(usage_records)
            .where(created >= start, created < start + DAY, id_ > after)
            .order_by(id_)
            .limit(limit + 1)
        )
        async with self._database.connect() as connection:
            rows = [dict(row) for row in (await connection.execute(query)).mappings()]
        ids = [row.pop("id") for row in rows]
        records = tuple(UsageRecord(**row) for row in rows[:limit])
        return UsagePage(records, ids[limit - 1] if len(rows) > limit else None)


def _row(record: UsageRecord) -> dict[str, Any]:
    usage = record.usage if _fits(record.usage) and not _is_deep(record.usage) else _counts(record.usage)
    return asdict(replace(record, usage=usage))


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
