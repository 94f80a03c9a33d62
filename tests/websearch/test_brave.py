"""Brave Search, by its API."""

from collections.abc import AsyncIterator

import pytest
from tests.servers.brave import KEY, BraveService, brave
from tests.websearch.rooms import engine_of, hanging_service, settings

from mediary.errors import ProviderError, RateLimitError, SettingsError
from mediary.testing.websearch import SECONDS, EngineContract
from mediary.websearch.base import Engine, Result


@pytest.fixture
async def service() -> AsyncIterator[BraveService]:
    async with brave() as service:
        for number in range(30):
            found = {"type": "search_result", "url": f"https://example.com/{number}", "title": f"Page {number}"}
            service.results.append({**found, "description": "It&#x27;s a <strong>page</strong>.", "language": "en"})
        yield service


@pytest.fixture
async def engine(service: BraveService) -> AsyncIterator[Engine]:
    async with engine_of(settings("brave", url=service.url, api_key=KEY)) as engine:
        yield engine


class TestBrave(EngineContract):
    secret = "BSA-another-key-0123456789"

    @pytest.fixture
    def engine(self, engine: Engine) -> Engine:
        return engine

    @pytest.fixture
    def without_results(self, engine: Engine, service: BraveService) -> Engine:
        service.results.clear()
        return engine

    @pytest.fixture
    async def failing(self, service: BraveService) -> AsyncIterator[Engine]:
        async with engine_of(settings("brave", url=service.url, api_key=self.secret)) as engine:
            yield engine

    @pytest.fixture
    async def hanging(self) -> AsyncIterator[Engine]:
        async with hanging_service() as url, engine_of(settings("brave", url=url, api_key=KEY)) as engine:
            yield engine


async def search(engine: Engine) -> list[Result]:
    return await engine.search("a question", results=3, seconds=SECONDS)


@pytest.mark.parametrize(
    ("language", "sent"),
    [
        ("de", {"search_lang": "de"}),
        ("de-AT", {"search_lang": "de", "country": "AT"}),
        ("ja", {"search_lang": "jp"}),
        ("pt-BR", {"search_lang": "pt-br", "country": "BR"}),
        ("zh", {"search_lang": "zh-hans"}),
        ("no", {"search_lang": "nb"}),
    ],
)
async def test_languages_are_in_its_words(service: BraveService, language: str, sent: dict[str, str]):
    async with engine_of(settings("brave", url=service.url, api_key=KEY, language=language)) as engine:
        assert len(await search(engine)) == 3

    [asked] = service.asked
    assert sent.items() <= asked.items()


async def test_a_refusal_is_in_its_words(service: BraveService):
    async with engine_of(settings("brave", url=service.url, api_key="another")) as engine:
        with pytest.raises(ProviderError, match=r"^Brave Search: The provided subscription token is invalid\.$"):
            await search(engine)


async def test_who_asks_too_shortly_after_another_asks_again(engine, service: BraveService):
    service.limited = 1

    assert len(await search(engine)) == 3
    assert len(service.asked) == 2


async def test_who_asks_too_often_is_told(engine, service: BraveService):
    service.limited = 3

    with pytest.raises(RateLimitError, match="Request rate limit exceeded"):
        await search(engine)
    assert len(service.asked) == 2


@pytest.mark.parametrize("key", [None, "line\nend"])
async def test_a_key_is_needed_that_can_be_sent(key: str | None):
    with pytest.raises(SettingsError, match=r"websearch\.api_key"):
        async with engine_of(settings("brave", **({"api_key": key} if key else {}))):
            pass
