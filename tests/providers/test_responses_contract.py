"""The contract of providers, held by the Responses wire: against aimock, a small OpenAI, and a plain server."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.providers.turns import ask
from tests.servers.aimock import KEY, Aimock
from tests.servers.openai_files import KEY as SMALL_KEY
from tests.servers.openai_responses import PAINTER, PLAIN, small_openai
from tests.servers.scripted import Asked, Hanging, Line, Scripted, events, said

from mediary.providers.base import TurnRequest
from mediary.providers.openai_responses.provider import OpenAIResponses
from mediary.testing.providers import UNKNOWN_MODEL, ProviderContract

Make = Callable[..., OpenAIResponses]


class TestAgainstAimock(ProviderContract):
    @pytest.fixture
    def provider(self, make_responses: Make, aimock: Aimock) -> OpenAIResponses:
        return make_responses(aimock.base_url, api_key=KEY, models=("gpt-4o",))

    @pytest.fixture
    def chat_request(self) -> TurnRequest:
        return ask("Tell me of the sea")

    @pytest.fixture
    def unknown_request(self) -> TurnRequest:
        return ask("no fixture has this", model=UNKNOWN_MODEL)

    @pytest.fixture
    def secret(self) -> str:
        return KEY


class TestAgainstASmallOpenAI(ProviderContract):
    @pytest.fixture
    async def provider(self, make_responses: Make) -> AsyncIterator[OpenAIResponses]:
        async with small_openai() as service:
            yield make_responses(service.base_url, api_key=SMALL_KEY, default_model=PLAIN)

    @pytest.fixture
    def media_request(self) -> TurnRequest:
        return ask("a boat", model=PAINTER)

    @pytest.fixture
    def secret(self) -> str:
        return SMALL_KEY


class TestAgainstAPlainServer(ProviderContract):
    """No key, whole answers, and a stream that gets stuck."""

    @pytest.fixture
    def provider(self, make_responses: Make, service: Scripted) -> OpenAIResponses:
        unknown = said({"error": {"message": "The requested model does not exist.", "code": "model_not_found"}}, 400)

        async def play(asked: Asked, line: Line) -> None:
            if not asked.body:
                await said({"data": [{"id": "m"}]})(asked, line)
            elif asked.json["model"] == "m":
                content = [{"type": "output_text", "text": f"You said: {asked.json['input'][0]['content']}"}]
                message = {"type": "message", "content": content}
                await said({"object": "response", "status": "completed", "output": [message]})(asked, line)
            else:
                await unknown(asked, line)

        service.play(play)
        return make_responses(service.base_url)

    @pytest.fixture
    def long_request(self, service: Scripted) -> TurnRequest:
        began = {"type": "response.output_text.delta", "output_index": 0, "delta": "Well"}
        service.plays.insert(0, Hanging(events(began, done=False)))
        return ask("Hello", model="m")

    @pytest.fixture
    def connections(self, service: Scripted) -> Callable[[int], Awaitable[None]]:
        return service.until_open
