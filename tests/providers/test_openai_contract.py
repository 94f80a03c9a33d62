"""The contract of providers, held by the OpenAI wire: against aimock, and a small server."""

from collections.abc import Awaitable, Callable

import pytest
from tests.providers.conftest import Make
from tests.providers.turns import ask
from tests.servers.aimock import KEY, Aimock
from tests.servers.scripted import Asked, Hanging, Line, Scripted, delta, events, said, whole

from mediary.providers.base import TurnRequest
from mediary.providers.openai.provider import OpenAI
from mediary.testing.providers import UNKNOWN_MODEL, ProviderContract


class TestAgainstAimock(ProviderContract):
    @pytest.fixture
    def provider(self, make: Make, aimock: Aimock) -> OpenAI:
        return make(aimock.base_url, api_key=KEY, default_model="gpt-4o")

    @pytest.fixture
    def chat_request(self) -> TurnRequest:
        return ask("Tell me of the sea")

    @pytest.fixture
    def media_request(self) -> TurnRequest:
        return ask("a picture of the sea", model="gpt-image-1")

    @pytest.fixture
    def unknown_request(self) -> TurnRequest:
        return ask("no fixture has this", model=UNKNOWN_MODEL)

    @pytest.fixture
    def secret(self) -> str:
        return KEY


class TestAgainstASmallServer(ProviderContract):
    """Ollama's manners: no key, whole answers for one model, a stream that gets stuck for another."""

    @pytest.fixture
    def provider(self, make: Make, service: Scripted) -> OpenAI:
        unknown = said({"error": {"message": 'model "x" not found'}}, 404)
        models = said({"object": "list", "data": [{"id": "m", "object": "model"}, {"id": "m-tts", "object": "model"}]})
        spoken = whole(bytes(1024 * 1024), content_type="audio/mpeg")

        async def play(asked: Asked, line: Line) -> None:
            if not asked.body:
                await models(asked, line)
            elif asked.json["model"] == "m":
                content = asked.json["messages"][0]["content"]
                choice = {"message": {"content": f"You said: {content}"}, "finish_reason": "stop"}
                await said({"choices": [choice], "usage": {"total_tokens": 3}})(asked, line)
            elif asked.json["model"] == "m-tts":
                await spoken(asked, line)
            else:
                await unknown(asked, line)

        service.play(play)
        return make(service.base_url)

    @pytest.fixture
    def long_request(self, service: Scripted) -> TurnRequest:
        service.plays.insert(0, Hanging(events(delta(content="Well"), done=False)))
        return ask("Hello", model="m")

    @pytest.fixture
    def media_request(self) -> TurnRequest:
        return ask("Hello", model="m-tts")

    @pytest.fixture
    def connections(self, service: Scripted) -> Callable[[int], Awaitable[None]]:
        return service.until_open
