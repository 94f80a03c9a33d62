"""Tavily, by its API."""

from collections.abc import AsyncIterator

import pytest
from tests.servers.tavily import KEY, TavilyService, tavily
from tests.websearch.rooms import engine_of, hanging_service, settings

from mediary.errors import ProviderError, SettingsError
from mediary.testing.websearch import SECONDS, EngineContract
from mediary.websearch.base import Engine, Result


@pytest.fixture
async def service() -> AsyncIterator[TavilyService]:
    async with tavily() as service:
        for number in range(30):
            found = {"url": f"https://example.com/{number}", "title": f"Page {number}", "content": f"Summary {number}"}
            service.results.append({**found, "score": 0.9, "raw_content": None, "favicon": None})
        yield service


@pytest.fixture
async def engine(service: TavilyService) -> AsyncIterator[Engine]:
    async with engine_of(settings("tavily", url=service.url, api_key=KEY)) as engine:
        yield engine


class TestTavily(EngineContract):
    secret = "tvly-another-key-0123456789"

    @pytest.fixture
    def engine(self, engine: Engine) -> Engine:
        return engine

    @pytest.fixture
    def without_results(self, engine: Engine, service: TavilyService) -> Engine:
        service.results.clear()
        return engine

    @pytest.fixture
    async def failing(self, service: TavilyService) -> AsyncIterator[Engine]:
        async with engine_of(settings("tavily", url=service.url, api_key=self.secret)) as engine:
            yield engine

    @pytest.fixture
    async def hanging(self) -> AsyncIterator[Engine]:
        async with hanging_service() as url, engine_of(settings("tavily", url=url, api_key=KEY)) as engine:
            yield engine


async def test_its_summaries_are_the_snippets(engine, service: TavilyService):
    found = await engine.search("a question", results=1, seconds=SECONDS)

    assert found == [Result("https://example.com/0", "Page 0", "Summary 0")]
    assert service.asked == [{"query": "a question", "max_results": 1, "search_depth": "basic"}]


async def test_a_plan_that_is_used_up_is_told_in_its_words(engine, service: TavilyService):
    service.spent = True

    with pytest.raises(ProviderError, match=r"^Tavily: This request exceeds your plan's set usage limit\.$"):
        await engine.search("a question", results=1, seconds=SECONDS)


@pytest.mark.parametrize(("keys", "name"), [({}, "api_key"), ({"api_key": KEY, "language": "de"}, "language")])
async def test_settings_that_it_cannot_work_with(keys: dict[str, str], name: str):
    with pytest.raises(SettingsError, match=rf"websearch\.{name}"):
        async with engine_of(settings("tavily", **keys)):
            pass
