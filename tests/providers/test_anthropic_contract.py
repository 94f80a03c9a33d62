"""The contract of providers, held by the Messages wire: against aimock, a small Anthropic, and a plain server."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.providers.turns import ask
from tests.servers.aimock import KEY, Aimock
from tests.servers.anthropic import KEY as SMALL_KEY
from tests.servers.anthropic import small_anthropic
from tests.servers.scripted import Asked, Hanging, Line, Scripted, events, said

from mediary.providers.anthropic.provider import Anthropic
from mediary.providers.base import TurnRequest
from mediary.testing.providers import UNKNOWN_MODEL, ProviderContract

MakeAnthropic = Callable[..., Anthropic]


class TestAgainstAimock(ProviderContract):
    @pytest.fixture
    def provider(self, make_anthropic: MakeAnthropic, aimock: Aimock) -> Anthropic:
        return make_anthropic(aimock.base_url, api_key=KEY, default_model="gpt-4o")

    @pytest.fixture
    def chat_request(self) -> TurnRequest:
        return ask("Tell me of the sea")

    @pytest.fixture
    def unknown_request(self) -> TurnRequest:
        return ask("no fixture has this", model=UNKNOWN_MODEL)

    @pytest.fixture
    def secret(self) -> str:
        return KEY


class TestAgainstASmallAnthropic(ProviderContract):
    @pytest.fixture
    async def provider(self, make_anthropic: MakeAnthropic) -> AsyncIterator[Anthropic]:
        async with small_anthropic() as service:
            yield make_anthropic(service.base_url, api_key=SMALL_KEY)

    @pytest.fixture
    def secret(self) -> str:
        return SMALL_KEY


class TestAgainstAPlainServer(ProviderContract):
    """No key, whole answers, and a stream that gets stuck."""

    @pytest.fixture
    def provider(self, make_anthropic: MakeAnthropic, service: Scripted) -> Anthropic:
        unknown = said({"type": "error", "error": {"type": "not_found_error", "message": "model: x"}}, 404)

        async def play(asked: Asked, line: Line) -> None:
            if not asked.body:
                await said({"data": [{"id": "m"}]})(asked, line)
            elif asked.json["model"] == "m":
                content = [{"type": "text", "text": f"You said: {asked.json['messages'][0]['content'][0]['text']}"}]
                await said({"type": "message", "content": content, "stop_reason": "end_turn"})(asked, line)
            else:
                await unknown(asked, line)

        service.play(play)
        return make_anthropic(service.base_url)

    @pytest.fixture
    def long_request(self, service: Scripted) -> TurnRequest:
        began = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Well"}}
        service.plays.insert(0, Hanging(events(began, done=False)))
        return ask("Hello", model="m")

    @pytest.fixture
    def connections(self, service: Scripted) -> Callable[[int], Awaitable[None]]:
        return service.until_open
