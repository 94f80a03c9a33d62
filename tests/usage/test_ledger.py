"""The ledger: what a turn used, by the day."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from mediary.database.engine import Database
from mediary.usage.days import MAX_OF_A_TURN, OTHERS, DaySums
from mediary.usage.ledger import Ledger, UsageRecord
from mediary.usage.tables import usage_days

DAY = date(2026, 3, 29)  # clocks change on this day in many places
NOON = datetime(2026, 3, 29, 12, tzinfo=UTC).timestamp()

RECORD = UsageRecord(
    turn="t1",
    created=NOON,
    provider="OpenAI",
    model="gpt",
    outcome="finished",
    user_label="ann",
    prompt_tokens=3,
    completion_tokens=4,
    total_tokens=7,
    usage={"prompt_tokens": 3, "completion_tokens": 4, "cost": 0.25, "details": {"cached": None}},
    characters=12,
    media=1,
    pictures=1,
    saved_tokens=2,
    reasoning_tokens=1,
    media_seconds=1.5,
    media_bytes=2**30,
    cost=123_456_789,
    priced=date(2026, 1, 31),
    first_token_ms=12.5,
    duration_ms=99.0,
)


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


async def test_a_record_is_read_as_it_was_written(ledger: Ledger):
    await ledger.record(RECORD)
    assert (await ledger.list(DAY)).records == (RECORD,)


async def test_what_is_not_known_stays_unknown(ledger: Ledger):
    record = UsageRecord(turn="t", created=NOON, provider="p", model="m", outcome="failed", error="RateLimitError")
    await ledger.record(record)
    assert (await ledger.list(DAY)).records == (record,)


async def test_a_day_is_one_of_utc_and_holds_its_first_second_and_not_the_next_day(ledger: Ledger):
    start = datetime(2026, 3, 29, tzinfo=UTC).timestamp()
    for turn, created in {
        "before": start - 0.001,
        "first": start,
        "last": start + 86_399.999,
        "after": start + 86_400,
    }.items():
        await ledger.record(replace(RECORD, turn=turn, created=created))
    assert [record.turn for record in (await ledger.list(DAY)).records] == ["first", "last"]


async def test_pages_hold_each_record_once(ledger: Ledger):
    for number in range(5):
        await ledger.record(replace(RECORD, turn=str(number)))
    turns, after = [], 0
    while after is not None:
        page = await ledger.list(DAY, after=after, limit=2)
        turns.append([record.turn for record in page.records])
        after = page.next
    assert turns == [["0", "1"], ["2", "3"], ["4"]]


async def test_a_last_page_that_is_full_has_none_behind_it(ledger: Ledger):
    await ledger.record(RECORD)
    assert (await ledger.list(DAY, limit=1)).next is None


async def test_whatever_a_service_answers_can_be_written(ledger: Ledger):
    odd = {"nan": float("nan"), "nul\0": "a\0b", "lone": "\ud800", "huge": 10**30, "list": [float("inf"), {"\0": 1}]}
    await ledger.record(
        replace(RECORD, model="m\0\ud800", prompt_tokens=10**30, completion_tokens=-5, total_tokens=None, usage=odd)
    )
    [record] = (await ledger.list(DAY)).records
    assert (record.model, record.prompt_tokens, record.completion_tokens) == ("m?", 2**63 - 1, 0)
    assert record.total_tokens is None
    assert record.usage == {"nan": None, "nul": "ab", "lone": "?", "huge": 10**30, "list": [None, {"": 1}]}


@pytest.mark.parametrize(
    "more", [{"echo": "x" * 5_000_000}, {"list": [1] * 20_000}, {"deep": {"a": {"b": "é" * 9000}}}]
)
async def test_of_a_usage_that_is_huge_the_counts_are_kept(ledger: Ledger, more: dict[str, object]):
    counts = {"prompt_tokens": 3, "completion_tokens": 4, "cost": 0.25}
    await ledger.record(replace(RECORD, usage={**more, **counts, "cached": True}))
    assert (await ledger.list(DAY)).records[0].usage == counts


async def test_of_a_usage_that_is_huge_by_its_numbers_the_first_are_kept(ledger: Ledger):
    await ledger.record(replace(RECORD, usage={f"count {number}": number for number in range(100_000)}))
    usage = (await ledger.list(DAY)).records[0].usage
    assert usage["count 0"] == 0
    assert 1 < len(json.dumps(usage)) <= 16_384


async def test_of_a_usage_that_is_deep_the_counts_are_kept(ledger: Ledger):
    """Providers' JSON is read to a depth of nearly a thousand; it must not cost the records of others."""
    deep: dict[str, object] = {}
    for _ in range(900):
        deep = {"a": deep}
    await ledger.record(RECORD, replace(RECORD, turn="t2", usage={"deep": deep, "prompt_tokens": 3}))
    assert [record.usage for record in (await ledger.list(DAY)).records] == [RECORD.usage, {"prompt_tokens": 3}]


async def test_a_usage_of_16_kb_is_kept_whole(ledger: Ledger):
    usage = {"details": "x" * 16_000}
    await ledger.record(replace(RECORD, usage=usage))
    assert (await ledger.list(DAY)).records[0].usage == usage


async def test_an_outcome_that_is_none_is_refused(ledger: Ledger):
    with pytest.raises(IntegrityError):
        await ledger.record(replace(RECORD, outcome="perhaps"))
    assert (await ledger.list(DAY)).records == ()


async def sums(database: Database) -> list[dict[str, object]]:
    """The rows of the days, in order, without what is nought."""
    async with database.connect() as connection:
        rows = (
            (await connection.execute(select(usage_days).order_by("day", "provider", "model", "user_label")))
            .mappings()
            .all()
        )
    return [{name: value for name, value in row.items() if value not in (0, "")} for row in rows]


async def test_a_day_is_summed_up_by_provider_model_and_user(ledger: Ledger, database: Database):
    failed = replace(RECORD, turn="t3", outcome="failed", cost=None, priced=None, first_token_ms=None)
    await ledger.record(RECORD, replace(RECORD, turn="t2", user_label=None), failed)
    await ledger.record(replace(RECORD, turn="t4", created=NOON + 86_400))
    days = await sums(database)
    key = {"provider": "OpenAI", "model": "gpt"}
    one = {
        "requests": 1,
        "finished": 1,
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "saved_tokens": 2,
        "reasoning_tokens": 1,
        "characters": 12,
        "media": 1,
        "pictures": 1,
        "media_bytes": 2**30,
        "cost": 123_456_789,
        "priced": 1,
        "answered": 1,
        "media_seconds": 1.5,
        "first_token_ms": 12.5,
        "duration_ms": 99.0,
    }
    twice = {name: 2 * value for name, value in one.items()} | {"finished": 1, "failed": 1}
    assert days == [
        {"day": DAY, **key, **one},
        {"day": DAY, **key, "user_label": "ann"}
        | twice
        | {name: one[name] for name in ("cost", "priced", "answered", "first_token_ms")}
        | {"requests": 2},
        {"day": DAY + timedelta(1), **key, "user_label": "ann", **one},
    ]


async def test_a_turn_that_is_recorded_twice_counts_once(ledger: Ledger, database: Database):
    assert await ledger.record(RECORD) == [RECORD]
    again = replace(RECORD, outcome="interrupted", characters=99)
    assert await ledger.record(again, replace(RECORD, turn="t2")) == [replace(RECORD, turn="t2")]
    assert await ledger.record(again, again) == []
    assert [record.outcome for record in (await ledger.list(DAY)).records] == ["finished", "finished"]
    [day] = await sums(database)
    assert (day["requests"], day["characters"], "interrupted" in day) == (2, 24, False)


async def test_turns_that_are_recorded_at_once_in_any_order_all_count(database: Database):
    """Of several processes: none waits for another that waits for it."""
    ledgers = [Ledger(database) for _ in range(4)]
    models = [f"m{number}" for number in range(20)]

    async def write(number: int, ledger: Ledger) -> None:
        for batch in range(5):
            order = models if number % 2 else models[::-1]
            turns = [replace(RECORD, turn=f"{number} {batch} {model}", model=model) for model in order]
            await ledger.record(*turns)

    await asyncio.gather(*(write(number, ledger) for number, ledger in enumerate(ledgers)))
    assert [(day["model"], day["requests"]) for day in await sums(database)] == [
        (model, 20) for model in sorted(models)
    ]


async def test_a_day_with_thousands_of_labels_and_models_stays_bounded(database: Database):
    ledger = Ledger(database)
    ledger._days = DaySums(database, rows=20)
    for number in range(60):
        await ledger.record(
            replace(RECORD, turn=f"user {number}", user_label=f"user {number}"),
            replace(RECORD, turn=f"model {number}", model=f"model {number}", user_label="bob"),
        )
    await ledger.record(replace(RECORD, turn="last", user_label="user 0"))
    days = await sums(database)
    assert len(days) <= 31
    by_key = {(day["model"], day.get("user_label")): day["requests"] for day in days}
    assert by_key[("gpt", "user 0")] == 2
    assert by_key[("gpt", OTHERS)] > 20
    assert by_key[(OTHERS, OTHERS)] > 20
    assert sum(by_key.values()) == 121


async def test_names_of_any_length_can_be_summed_up(ledger: Ledger, database: Database):
    long = "m" * 1_000_000 + "\0\ud800"
    await ledger.record(
        replace(RECORD, model=long, user_label=long), replace(RECORD, turn="t2", model="\0", total_tokens=10**30)
    )
    (record, other), (empty, day) = (await ledger.list(DAY)).records, await sums(database)
    assert record.model == record.user_label == day["model"] == day["user_label"] == "m" * 200
    assert (other.total_tokens, empty["total_tokens"]) == (2**63 - 1, MAX_OF_A_TURN)


async def test_old_records_go_and_their_sums_stay(database: Database):
    now = time.time()
    turns = [replace(RECORD, turn=str(age), created=now - age * 86_400) for age in (0, 9, 11, 400)]
    ledger = Ledger(database, keep_days=10)
    await ledger.record(*turns)
    assert await ledger.sweep() == 2
    assert await ledger.sweep() == 0
    assert sum(day["requests"] for day in await sums(database)) == 4
    old = datetime.fromtimestamp(now - 9 * 86_400, UTC).date()
    assert [record.turn for record in (await ledger.list(old)).records] == ["9"]


async def test_without_records_sums_are_kept_all_the_same_and_no_turn_counts_twice(database: Database):
    ledger = Ledger(database, keep_days=0)
    record = replace(RECORD, created=time.time() - 60)
    for _ in range(2):
        await ledger.record(record)
        assert await ledger.sweep() == 0
    day = datetime.fromtimestamp(record.created, UTC).date()
    assert (await ledger.list(day)).records == ()
    assert [day["requests"] for day in await sums(database)] == [1]
    await ledger.record(replace(RECORD, turn="old", created=time.time() - 4000))
    assert await ledger.sweep() == 1
