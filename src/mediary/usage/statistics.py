"""What days come to, by day, model, provider and user: read from the sums of each day, not from the turns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mediary.usage.record import dollars
from mediary.usage.tables import COUNTS, SUMS, model_days, usage_days, user_days

Row = Mapping[str, Any]


@dataclass(slots=True)
class Group:
    """The sums of a day, a model, a provider or a user."""

    name: str
    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SUMS, 0))

    def take(self, row: Mapping[str, Any]) -> None:
        """Add the sums of a row."""
        for name in SUMS:
            self.sums[name] += row[name]

    def describe(self) -> dict[str, Any]:
        """The sums as people read them: `cost`, in dollars, is that of the `priced_requests`; times are means."""
        told: dict[str, Any] = dict(self.sums)
        requests, answered, priced = told["requests"], told.pop("answered"), told.pop("priced")
        first, duration = told.pop("first_token_ms"), told.pop("duration_ms")
        return {
            **told,
            "cost": dollars(told["cost"]) if priced or not requests else None,
            "priced_requests": priced,
            "first_token_ms": round(first / answered, 3) if answered else None,
            "duration_ms": round(duration / requests, 3) if requests else None,
        }


@dataclass(slots=True, frozen=True)
class Statistics:
    """What days come to; models, providers and users with the most turns come first."""

    days: tuple[Group, ...]
    models: tuple[Group, ...]
    providers: tuple[Group, ...]
    users: tuple[Group, ...]
    totals: Group


async def read_statistics(connection: AsyncConnection, days: int, user: str | None) -> Statistics:
    """Those of the last days, with today."""
    last = datetime.now(UTC).date()
    first = last - timedelta(days=days - 1)
    by_model, by_user = (model_days, user_days) if user is None else (usage_days, usage_days)

    async def read(table: Table, *names: str) -> list[Row]:
        columns = [table.c[name] for name in names]
        query = select(*columns, *(func.sum(table.c[name]).label(name) for name in SUMS)).group_by(*columns)
        query = query.where(table.c.day >= first, table.c.day <= last)
        if user is not None:
            query = query.where(table.c.user_label == user)
        return [_whole(row) for row in (await connection.execute(query)).mappings()]

    models = await read(by_model, "provider", "model")
    dates = [(first + timedelta(days=number)).isoformat() for number in range(days)]
    return Statistics(
        days=tuple(_grouped(await read(by_model, "day"), "day", dates).values()),
        models=_most_first(_grouped(models, "model")),
        providers=_most_first(_grouped(models, "provider")),
        users=_most_first(_grouped(await read(by_user, "user_label"), "user_label")),
        totals=_grouped([{**row, "all": ""} for row in models], "all", [""])[""],
    )


def _whole(row: RowMapping) -> Row:
    """A row with counts as whole numbers: PostgreSQL sums up to decimals."""
    return {**row, **{name: int(row[name]) for name in COUNTS}}


def _grouped(rows: Iterable[Row], column: str, names: Iterable[str] = ()) -> dict[str, Group]:
    """A group for each value of a column, and for the names though there is no row of them."""
    found = {name: Group(name) for name in names}
    for row in rows:
        name = str(row[column])
        found.setdefault(name, Group(name)).take(row)
    return found


def _most_first(groups: Mapping[str, Group]) -> tuple[Group, ...]:
    return tuple(sorted(groups.values(), key=lambda group: (-group.sums["requests"], group.name)))
