"""The ledger: what a turn used, by the day."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from sqlalchemy.exc import IntegrityError

from mediary.database.engine import Database
from mediary.usage.ledger import Ledger, UsageRecord

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
    await ledger.record(RECORD, replace(RECORD, usage={"deep": deep, "prompt_tokens": 3}))
    assert [record.usage for record in (await ledger.list(DAY)).records] == [RECORD.usage, {"prompt_tokens": 3}]


async def test_a_usage_of_16_kb_is_kept_whole(ledger: Ledger):
    usage = {"details": "x" * 16_000}
    await ledger.record(replace(RECORD, usage=usage))
    assert (await ledger.list(DAY)).records[0].usage == usage


async def test_an_outcome_that_is_none_is_refused(ledger: Ledger):
    with pytest.raises(IntegrityError):
        await ledger.record(replace(RECORD, outcome="perhaps"))
    assert (await ledger.list(DAY)).records == ()
