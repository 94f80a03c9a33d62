"""Search by the library `ddgs`, which asks the page of DuckDuckGo through a proxy."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.servers.duckduckgo import HOST, DuckDuckGoPages, duckduckgo
from tests.websearch.rooms import engine_of, settings

from mediary.errors import SettingsError
from mediary.testing.websearch import SECONDS, EngineContract
from mediary.websearch.base import Engine, Result

pytest.importorskip("ddgs")


@pytest.fixture
async def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DuckDuckGoPages]:
    async with duckduckgo(tmp_path) as pages:
        monkeypatch.setenv("SSL_CERT_FILE", str(pages.certificate))
        for number in range(30):
            pages.results.append((f"https://example.com/{number}", f"A question, page {number}", "It says & so."))
        yield pages


@pytest.fixture
async def engine(pages: DuckDuckGoPages) -> AsyncIterator[Engine]:
    async with engine_of(settings("ddgs"), proxy=pages.proxy) as engine:
        yield engine


class TestDdgs(EngineContract):
    @pytest.fixture
    def engine(self, engine: Engine) -> Engine:
        return engine

    @pytest.fixture
    def without_results(self, engine: Engine, pages: DuckDuckGoPages) -> Engine:
        pages.results.clear()
        return engine

    @pytest.fixture
    async def failing(self, pages: DuckDuckGoPages, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
        monkeypatch.delenv("SSL_CERT_FILE")
        async with engine_of(settings("ddgs"), proxy=pages.proxy) as engine:
            yield engine

    @pytest.fixture
    def hanging(self, engine: Engine, pages: DuckDuckGoPages) -> Engine:
        pages.hangs = True
        return engine


@pytest.mark.parametrize(
    ("language", "region"), [(None, "us-en"), ("de", "de-de"), ("de-AT", "at-de"), ("ja", "jp-ja")]
)
async def test_what_the_page_is_asked(pages: DuckDuckGoPages, language: str | None, region: str):
    async with engine_of(settings("ddgs", language=language), proxy=pages.proxy) as engine:
        [found] = await engine.search("a question", results=1, seconds=SECONDS)

    assert isinstance(found, Result)
    assert found.snippet == "It says & so."
    assert pages.asked[0] == {"q": "a question", "b": "", "l": region}
    assert HOST in pages.hosts


@pytest.mark.parametrize("key", ["url", "api_key"])
async def test_what_it_does_not_have_is_refused(key: str):
    with pytest.raises(SettingsError, match=rf"websearch\.{key}"):
        async with engine_of(settings("ddgs", **{key: "http://127.0.0.1/"})):
            pass


async def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mediary.websearch.ddgs.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"pip install 'mediary\[ddgs\]'"):
        async with engine_of(settings("ddgs")):
            pass
