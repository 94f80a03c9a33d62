"""The sums of each day: counted up in the transaction that writes the records, so that both always agree."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Executable, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from mediary.database.engine import Database
from mediary.database.metadata import clean_text
from mediary.usage.record import UsageRecord
from mediary.usage.tables import SUMS, model_days, usage_days, user_days

OTHERS = "(others)"
"""Who and what comes when a day has so many labels and models already that nobody reads on."""
MAX_ROWS = 4000
"""Rows that a day may have before new users come under one label, and a half more before new models do."""
MAX_NAME = 200
"""Characters of a label or a model."""
KEYS_AT_ONCE = 500
MAX_OF_A_TURN = 10**12
"""What a turn may add to a sum: some services tell nonsense, and a sum must fit into 64 bits."""


class Key(NamedTuple):
    """Which row of a day."""

    day: date
    provider: str
    model: str
    user_label: str


@dataclass(slots=True)
class Sums:
    """What the turns of a row come to."""

    counts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SUMS, 0))

    def add(self, record: UsageRecord) -> None:
        """One more turn."""
        counts = self.counts
        counts["requests"] += 1
        counts[record.outcome] += 1
        counts["priced"] += record.cost is not None
        counts["answered"] += record.first_token_ms is not None
        for name in _SUMMED:
            value = getattr(record, name)
            if value is not None:
                counts[name] += min(max(value, 0), MAX_OF_A_TURN)

    def take(self, other: "Sums") -> None:
        """All of another row."""
        for name, value in other.counts.items():
            self.counts[name] += value


_SUMMED = tuple(name for name in SUMS if name in UsageRecord.__dataclass_fields__ and name != "priced")

_at = usage_days.c


class DaySums:
    """Adds turns to the sums of their days. `rows` is how many a day may have."""

    def __init__(self, database: Database, rows: int = MAX_ROWS) -> None:
        self._rows = rows
        self._known: set[Key] = set()
        self._grow: list[tuple[tuple[str, ...], Executable]] = []
        for table in (usage_days, model_days, user_days):
            statement, keys = database.insert(table), tuple(table.primary_key.columns.keys())
            grown = {name: table.c[name] + statement.excluded[name] for name in SUMS}
            self._grow.append((keys, statement.on_conflict_do_update(index_elements=keys, set_=grown)))

    async def add(self, connection: AsyncConnection, records: Iterable[UsageRecord]) -> None:
        """Add turns, within a transaction; all who do lock the rows in one order, so that nobody waits in a ring."""
        sums: dict[Key, Sums] = {}
        for record in records:
            sums.setdefault(_key(record), Sums()).add(record)
        if not sums:
            return
        fitting = await self._fit(connection, sums)
        for keys, grow in self._grow:
            rows = _summed_by(keys, fitting)
            await connection.execute(grow, [rows[values] for values in sorted(rows)])
        self._remember(fitting)

    async def _fit(self, connection: AsyncConnection, sums: dict[Key, Sums]) -> dict[Key, Sums]:
        """The sums by the rows that they go to, so that no day grows without end."""
        fitting: dict[Key, Sums] = {}
        for day in {key.day for key in sums}:
            places = await self._places(connection, day, [key for key in sums if key.day == day])
            for key, place in places.items():
                fitting.setdefault(place, Sums()).take(sums[key])
        return fitting

    async def _places(self, connection: AsyncConnection, day: date, keys: Collection[Key]) -> dict[Key, Key]:
        """The row for each: its own, or that of the others."""
        places = {key: key for key in keys}
        new = [key for key in keys if key not in self._known]
        if not new:
            return places
        rows = await connection.scalar(select(func.count()).where(_at.day == day)) or 0
        if rows + len(new) <= self._rows:
            return places
        there = await self._there(connection, [*new, *map(_of_others, new)])
        for key in new:
            if key not in there:
                places[key] = self._place(key, rows, there)
                rows += places[key] not in there
                there.add(places[key])
        return places

    async def _there(self, connection: AsyncConnection, keys: Sequence[Key]) -> set[Key]:
        """Those of the keys that have a row."""
        columns = [_at[name] for name in Key._fields]
        found: set[Key] = set()
        for start in range(0, len(keys), KEYS_AT_ONCE):
            asked = select(*columns).where(tuple_(*columns).in_(keys[start : start + KEYS_AT_ONCE]))
            found.update(Key(*row) for row in await connection.execute(asked))
        return found

    def _place(self, key: Key, rows: int, there: set[Key]) -> Key:
        if rows < self._rows:
            return key
        others = _of_others(key)
        if others in there or rows < self._rows * 3 // 2:
            return others
        return others._replace(model=OTHERS)

    def _remember(self, keys: Iterable[Key]) -> None:
        """Those of the newest two days need not be looked for again."""
        self._known.update(keys)
        if len(self._known) > 4 * self._rows:
            self._known.clear()


def _summed_by(keys: tuple[str, ...], sums: Mapping[Key, Sums]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows of sums by some of their keys."""
    found: dict[tuple[Any, ...], Sums] = {}
    for key, added in sums.items():
        found.setdefault(tuple(getattr(key, name) for name in keys), Sums()).take(added)
    return {values: dict(zip(keys, values, strict=True)) | summed.counts for values, summed in found.items()}


def _key(record: UsageRecord) -> Key:
    day = datetime.fromtimestamp(record.created, UTC).date()
    return Key(day, short(record.provider), short(record.model), short(record.user_label or ""))


def _of_others(key: Key) -> Key:
    return key._replace(user_label=OTHERS)


def short(name: str) -> str:
    """A label or a model's name as it stands in the database."""
    return clean_text(name[:MAX_NAME])
