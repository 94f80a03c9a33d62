"""Statistics: what the sums of days come to."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from mediary.database.engine import Database
from mediary.usage.ledger import Ledger, UsageRecord

NOW = time.time()


def turns(count: int) -> list[UsageRecord]:
    chance = Random(7)
    return [
        UsageRecord(
            turn=str(number),
            created=NOW - chance.randrange(5) * 86_400,
            provider=chance.choice(["A", "B"]),
            model=chance.choice(["m", "n", "o"]),
            outcome=chance.choice(["finished", "failed", "cancelled", "interrupted"]),
            user_label=chance.choice([None, "ann", "Ünal"]),
            prompt_tokens=chance.choice([None, 3, 2**50]),
            total_tokens=chance.randrange(1000),
            cost=chance.choice([None, 7]),
            media_seconds=chance.choice([None, 0.5]),
            first_token_ms=chance.choice([None, 8.0]),
            duration_ms=16.0,
        )
        for number in range(count)
    ]


async def test_they_are_the_sums_of_the_turns(database: Database):
    ledger, records = Ledger(database), turns(300)
    await ledger.record(*records)
    for user in (None, "ann", "", "nobody"):
        found = await ledger.statistics(3, user)
        first = datetime.now(UTC).date() - timedelta(days=2)
        wanted = [
            record
            for record in records
            if datetime.fromtimestamp(record.created, UTC).date() >= first and user in (None, record.user_label or "")
        ]
        assert found.totals.sums["requests"] == len(wanted)
        assert found.totals.sums["total_tokens"] == sum(record.total_tokens or 0 for record in wanted)
        assert found.totals.sums["prompt_tokens"] == sum(min(record.prompt_tokens or 0, 10**12) for record in wanted)
        assert found.totals.sums["cost"] == sum(record.cost or 0 for record in wanted)
        assert found.totals.sums["media_seconds"] == sum(record.media_seconds or 0 for record in wanted)
        assert {group.name: group.sums["failed"] for group in found.models} == {
            model: sum(record.model == model and record.outcome == "failed" for record in wanted)
            for model in {record.model for record in wanted}
        }
        assert {group.name for group in found.providers} == {record.provider for record in wanted}
        assert {group.name for group in found.users} == {record.user_label or "" for record in wanted}
        assert [group.name for group in found.days] == [str(first + timedelta(days=number)) for number in range(3)]
        assert sum(group.sums["requests"] for group in found.days) == len(wanted)


async def test_those_with_the_most_turns_come_first(database: Database):
    ledger, [record] = Ledger(database), turns(1)
    await ledger.record(*(replace(record, turn=str(number), model="often") for number in range(3)))
    await ledger.record(replace(record, turn="x", model="b"), replace(record, turn="y", model="a"))
    found = await ledger.statistics(30)
    assert [group.name for group in found.models] == ["often", "a", "b"]


async def test_without_a_turn_there_are_empty_days(database: Database):
    found = await Ledger(database).statistics(2)
    assert [group.sums["requests"] for group in (*found.days, found.totals)] == [0, 0, 0]
    assert found.models == found.providers == found.users == ()
