"""What every web search engine must do: subclass `EngineContract`, give it its fixtures (pytest, pytest-asyncio)."""

import asyncio

import pytest

from mediary.errors import ProviderError
from mediary.websearch.base import MOST_RESULTS, Engine, Result

SECONDS = 10.0


@pytest.mark.asyncio
class EngineContract:
    """The promises of `websearch.base.Engine`, each a test.

    `engine` finds at least two pages for any query; `without_results` is one whose service finds nothing, `failing` one
    whose service refuses, and `hanging` one whose service does not answer. `secret` is the key in their settings.
    """

    secret: str | None = None

    @pytest.fixture
    def engine(self) -> Engine:
        """The engine under test."""
        pytest.fail("the contract of an engine needs an `engine` fixture", pytrace=False)

    @pytest.fixture
    def without_results(self) -> Engine:
        """An engine whose service finds nothing."""
        pytest.fail("the contract of an engine needs a `without_results` fixture", pytrace=False)

    @pytest.fixture
    def failing(self) -> Engine:
        """An engine whose service refuses, with words of its own."""
        pytest.fail("the contract of an engine needs a `failing` fixture", pytrace=False)

    @pytest.fixture
    def hanging(self) -> Engine:
        """An engine whose service takes the question and does not answer."""
        pytest.fail("the contract of an engine needs a `hanging` fixture", pytrace=False)

    async def test_it_has_a_name_for_people(self, engine: Engine) -> None:
        assert engine.label.strip()

    async def test_results_are_pages(self, engine: Engine) -> None:
        found = await engine.search("a question", results=5, seconds=SECONDS)

        assert len(found) >= 2
        assert all(isinstance(result, Result) and result.url.startswith(("http://", "https://")) for result in found)
        assert all(result.title for result in found)

    @pytest.mark.parametrize("results", [1, 2, MOST_RESULTS])
    async def test_there_are_no_more_than_were_asked_for(self, engine: Engine, results: int) -> None:
        assert 1 <= len(await engine.search("a question", results=results, seconds=SECONDS)) <= results

    @pytest.mark.parametrize("query", ["où est la mer ?", "港の図書館 & 橋=1", "a+b #c %41 \"d e\" 'f'", "x" * 300])
    async def test_any_words_can_be_asked_for(self, engine: Engine, query: str) -> None:
        assert await engine.search(query, results=2, seconds=SECONDS)

    async def test_many_may_ask_at_once(self, engine: Engine) -> None:
        asked = [engine.search(f"question {number}", results=2, seconds=SECONDS) for number in range(8)]

        assert all(len(found) == 2 for found in await asyncio.gather(*asked))

    async def test_nothing_found_is_no_failure(self, without_results: Engine) -> None:
        assert await without_results.search("a question", results=5, seconds=SECONDS) == []

    async def test_a_refusal_is_told_without_the_key(self, failing: Engine) -> None:
        with pytest.raises(ProviderError) as refused:
            await failing.search("a question", results=5, seconds=SECONDS)

        assert refused.value.message.startswith(failing.label)
        assert self.secret is None or self.secret not in refused.value.message + repr(failing) + repr(vars(failing))

    async def test_a_service_that_hangs_costs_no_more_than_was_given(self, hanging: Engine) -> None:
        async with asyncio.timeout(SECONDS):
            with pytest.raises(ProviderError):
                await hanging.search("a question", results=5, seconds=0.3)

    async def test_a_search_can_be_left(self, hanging: Engine) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await hanging.search("a question", results=5, seconds=60)
