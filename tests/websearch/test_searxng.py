"""SearXNG, as it answers programs."""

from collections.abc import AsyncIterator

import pytest
from tests.servers.http import raw_server, response
from tests.servers.searxng import SearXNGService, searxng
from tests.websearch.rooms import engine_of, hanging_service, settings

from mediary.errors import MissingAuthError, ProviderError, SettingsError
from mediary.testing.websearch import SECONDS, EngineContract
from mediary.websearch.base import Engine, Result


@pytest.fixture
async def service() -> AsyncIterator[SearXNGService]:
    async with searxng() as service:
        yield service


@pytest.fixture
async def engine(service: SearXNGService) -> AsyncIterator[Engine]:
    async with engine_of(settings("searxng", url=service.url)) as engine:
        yield engine


class TestSearXNG(EngineContract):
    @pytest.fixture
    def engine(self, engine: Engine, service: SearXNGService) -> Engine:
        for number in range(30):
            service.found(f"https://example.com/{number}", f"Page {number}")
        return engine

    @pytest.fixture
    def without_results(self, engine: Engine, service: SearXNGService) -> Engine:
        service.results.clear()
        return engine

    @pytest.fixture
    def failing(self, engine: Engine, service: SearXNGService) -> Engine:
        service.formats = {"html"}
        return engine

    @pytest.fixture
    async def hanging(self) -> AsyncIterator[Engine]:
        async with hanging_service() as url, engine_of(settings("searxng", url=url)) as engine:
            yield engine


async def search(engine: Engine) -> list[Result]:
    return await engine.search("a question", results=5, seconds=SECONDS)


async def test_what_it_is_asked(service: SearXNGService):
    async with engine_of(settings("searxng", url=f"{service.url}/search", language="de-AT")) as engine:
        await search(engine)

    assert service.asked == [{"q": "a question", "format": "json", "language": "de-AT"}]


async def test_an_instance_that_does_not_answer_programs_says_which_setting_opens_it(engine, service: SearXNGService):
    service.formats = {"html"}

    with pytest.raises(
        MissingAuthError, match=r"403 Forbidden.*`formats` under `search` in its settings.yml .* `json`"
    ):
        await search(engine)


async def test_engines_of_its_own_that_failed_are_named(engine, service: SearXNGService):
    service.unresponsive = [["google", "CAPTCHA"], ["brave", "too many requests"]]

    with pytest.raises(ProviderError, match=r"google \(CAPTCHA\), brave \(too many requests\)"):
        await search(engine)

    service.found("https://example.com/")
    assert len(await search(engine)) == 1, "one that answered is enough"


@pytest.mark.parametrize(
    "found",
    [
        {"url": None},
        {"url": 5, "title": {}},
        {"title": "no URL"},
        {"url": "https://example.com/", "title": None, "content": ["x"]},
    ],
)
async def test_an_odd_result_costs_no_other(engine, service: SearXNGService, found):
    service.results = [found, {"url": "https://example.org/", "title": "Good", "content": "Words."}]

    assert (await search(engine))[-1] == Result("https://example.org/", "Good", "Words.")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'"x"', b"null", b'{"results": 5}', b"{", b"\xff", b"[" * 100_000, b'{"results": [5]}'],
)
async def test_what_is_no_answer_is_a_failure(engine, service: SearXNGService, body: bytes):
    service.body = body

    with pytest.raises(ProviderError, match=r"^SearXNG: what it answers cannot be read$"):
        await search(engine)


async def test_an_answer_without_end_is_not_read_to_its_end(engine, service: SearXNGService):
    service.body = b'{"results": [' + b" " * (5 * 1024**2)

    with pytest.raises(ProviderError, match="larger than"):
        await search(engine)


async def test_a_redirect_is_not_followed():
    async with raw_server() as server:
        server.answers["/search"] = response(b"", "Location: http://10.0.0.1/", status=301)
        async with engine_of(settings("searxng", url=server.url)) as engine:
            with pytest.raises(ProviderError, match="301"):
                await search(engine)


async def test_nobody_there():
    async with raw_server() as server:
        url = server.url
    async with engine_of(settings("searxng", url=url)) as engine:
        with pytest.raises(ProviderError, match="cannot be reached"):
            await search(engine)


async def test_without_a_url_there_is_nobody_to_ask():
    with pytest.raises(SettingsError, match=r"websearch\.url"):
        async with engine_of(settings("searxng")):
            pass
