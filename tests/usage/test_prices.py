"""Prices: what a turn cost by the table, and that nothing is guessed."""

import time
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.docs import pages

from mediary.errors import SettingsError
from mediary.usage.prices import Prices, read_table
from mediary.usage.record import NANO, Cost, UsageRecord

OPENAI = "https://api.openai.com/v1"
ANTHROPIC = "https://api.anthropic.com/v1"
TABLE = """
[[prices]]
host = "api.example.com"
models = ["big-*"]
date = 2026-01-31
source = "https://example.com/pricing"
input = 2
cached_input = 0.5
output = 8
long_prompt = { above = 1000, input = 4, output = 16 }
"""


def turn(model: str = "big-1", prompt: int | None = 100, completion: int | None = 10, **more: Any) -> UsageRecord:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion} | more.pop("usage", {})
    known = {"turn": "t", "created": time.time(), "provider": "Example", "outcome": "finished"}
    return UsageRecord(model=model, usage=usage, **known | more)


@pytest.fixture
def prices(tmp_path: Path) -> Prices:
    (tmp_path / "prices.toml").write_text(TABLE)
    return Prices(tmp_path / "prices.toml", free=["Local"])


def cost(prices: Prices, record: UsageRecord, url: str | None = "https://api.example.com/v1") -> Decimal | None:
    found = prices.cost(record, url)
    return None if found is None else Decimal(found.nanos) / NANO


def test_tokens_cost_what_the_table_says_by_its_date(prices: Prices):
    assert prices.cost(turn(), "https://api.example.com/v1") == Cost(280_000, date(2026, 1, 31))


def test_cached_tokens_cost_less(prices: Prices):
    cached = turn(usage={"prompt_tokens_details": {"cached_tokens": 50}})
    assert cost(prices, cached) == Decimal("0.000205")


def test_tools_that_were_not_used_cost_nothing(prices: Prices):
    unused = {"image_gen": {"input_tokens": 0, "input_tokens_details": {"text_tokens": 0}}, "web_search": {"n": 0}}
    assert cost(prices, turn(usage={"tool_usage": unused, "server_tool_use": {"web_fetch_requests": 0}})) is not None


def test_cached_sound_is_neither_charged_twice_nor_guessed():
    gemini = "https://generativelanguage.googleapis.com/v1beta"
    heard, cached = {"audio_tokens": 100}, {"cached_tokens": 100}
    for told, dollars in ((heard, "0.000125"), (cached, "0.000028"), (heard | cached, None)):
        record = turn("gemini-2.5-flash", 100, 10, usage={"prompt_tokens_details": told})
        assert cost(Prices(), record, gemini) == (Decimal(dollars) if dollars else None)


def test_a_text_that_was_not_spoken_is_not_charged():
    for outcome, known in (("finished", True), ("cancelled", True), ("failed", False)):
        record = turn("tts-1", None, None, outcome=outcome)
        assert (Prices().cost(record, OPENAI, asked=1000) is not None) == known


def test_a_long_prompt_costs_more_from_the_first_token_on(prices: Prices):
    assert cost(prices, turn(prompt=1000, completion=0)) == Decimal("0.002")
    assert cost(prices, turn(prompt=1001, completion=0)) == Decimal("0.004004")


@pytest.mark.parametrize(
    "record",
    [
        turn("small"),
        turn(prompt=None),
        turn(completion=None),
        turn(usage={"prompt_tokens_details": {"audio_tokens": 5}}),
        turn(usage={"completion_tokens_details": {"audio_tokens": 5}}),
        turn(usage={"cache_creation_input_tokens": 5}),
        turn(usage={"prompt_tokens_details": {"cached_tokens": 500}}),
        turn(usage={"tool_usage": {"web_search": {"num_requests": 1}}}),
        turn(usage={"server_tool_use": {"web_search_requests": 2}}),
        turn(prompt=10**30),
    ],
)
def test_what_is_not_known_is_not_guessed(prices: Prices, record: UsageRecord):
    assert prices.cost(record, "https://api.example.com/v1") is None


@pytest.mark.parametrize("url", [None, "https://proxy.example.com/v1", "https://api.example.com:8443/v1", ""])
def test_another_service_with_a_model_of_that_name_is_another_service(prices: Prices, url: str | None):
    assert prices.cost(turn(), url) is None


def test_what_is_done_here_is_free(prices: Prices):
    assert cost(prices, turn("anything", provider="Local"), None) == 0
    assert prices.cost(turn("llama", provider="Ollama"), "http://127.0.0.1:11434") is None


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_cost_is_exact_to_a_billionth_of_a_dollar(prompt: int, completion: int, cached: int):
    table = Prices()
    cached = min(cached, prompt)
    details = {"prompt_tokens_details": {"cached_tokens": cached}}
    found = table.cost(turn("gpt-5", prompt, completion, usage=details), OPENAI)
    assert found is not None
    assert found.nanos == (prompt - cached) * 1250 + cached * 125 + completion * 10_000


def test_the_shipped_table_names_its_dates_and_sources():
    shipped = Prices()._table.prices
    assert all(price.source and price.dated <= datetime.now(UTC).date() for price in shipped)
    named = [(price.host, model, price.since, price.until) for price in shipped for model in price.models]
    assert len(named) == len(set(named))


def test_services_in_the_shipped_table():
    shipped = Prices()
    cached = {"cache_read_input_tokens": 400, "cache_creation_input_tokens": 100}
    assert cost(shipped, turn("claude-haiku-4-5", 1000, 10, usage=cached), ANTHROPIC) == Decimal("0.000715")
    long = cached | {"cache_creation": {"ephemeral_1h_input_tokens": 100}}
    assert cost(shipped, turn("claude-haiku-4-5", 1000, 10, usage=long), ANTHROPIC) is None
    assert shipped.cost(turn("tts-1", None, None), OPENAI, asked=1000) == Cost(15_000_000, date(2025, 7, 4))
    assert cost(shipped, turn("sora-2", None, None, media_seconds=8.0), OPENAI) == Decimal("0.8")
    assert cost(shipped, turn("sora-2", None, None), OPENAI) is None
    told = turn("any/model", usage={"cost": 0.00123})
    assert cost(shipped, told, "https://openrouter.ai/api/v1") == Decimal("0.00123")


@pytest.mark.parametrize("said", [None, True, "NaN", -1, float("inf"), 10**40, [1], "much"])
def test_a_cost_that_a_service_tells_and_that_is_none_is_unknown(said: object):
    assert Prices().cost(turn("any/model", usage={"cost": said}), "https://openrouter.ai/api/v1") is None


def test_a_price_may_begin_and_end(tmp_path: Path):
    entry = TABLE.partition("long_prompt")[0]
    (tmp_path / "p.toml").write_text(entry + "until = 2026-06-30\n" + entry.replace("input = 2\n", "input = 3\n"))
    table = Prices(tmp_path / "p.toml")
    for day, dollars in ((30, "0.00028"), (31, "0.00038")):
        created = datetime(2026, 6, 30, 12, tzinfo=UTC).timestamp() + 86_400 * (day - 30)
        assert cost(table, turn(created=created)) == Decimal(dollars)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[prices]\n", "not TOML.*line 1"),
        (TABLE.replace("input = 2\n", "inputs = 2\n"), r"prices\[1\].inputs: Extra inputs"),
        (TABLE + TABLE.replace("output = 8", 'output = "much"'), r"prices\[2\].output"),
        (TABLE.replace("input = 2\n", "input = -2\n"), r"prices\[1\].input"),
        (TABLE.replace("date = 2026-01-31", "date = 'soon'"), r"prices\[1\].date"),
        ("[[prices]]\nhost = 'a'\nmodels = ['b']\ndate = 2026-01-31\nsource = 'c'\n", "says no price"),
        ("x = 1", "prices: Field required"),
    ],
)
def test_a_table_that_is_wrong_is_refused_by_the_place(text: str, words: str):
    with pytest.raises(SettingsError, match=words):
        read_table(text, "prices.toml")


def test_the_table_on_the_page_can_be_used():
    page = next(page for page in pages.PAGES if page.name == "usage.md")
    [shown] = (block.code for block in pages.blocks(page) if block.language == "text")
    [price] = read_table(shown, "usage.md").prices
    assert price.holds("api.openai.com", "gpt-5-2025-08-07", date(2026, 11, 20))


def test_a_table_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"usage.prices: .*none.toml cannot be read: FileNotFoundError"):
        Prices(tmp_path / "none.toml")
