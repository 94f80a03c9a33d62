"""The contract of providers, held by the Gemini wire: against aimock, and a small server."""

from collections.abc import Awaitable, Callable

import pytest
from tests.providers.turns import ask
from tests.servers.aimock import KEY, Aimock
from tests.servers.scripted import Asked, Hanging, Line, Scripted, events, said

from mediary.providers.base import TurnRequest
from mediary.providers.gemini.provider import Gemini
from mediary.testing.providers import UNKNOWN_MODEL, ProviderContract

MODEL = "gemini-2.5-flash"


class TestAgainstAimock(ProviderContract):
    @pytest.fixture
    def provider(self, make_gemini: Callable[..., Gemini], aimock: Aimock) -> Gemini:
        speech = ("gemini-2.5-flash-tts",)
        return make_gemini(f"{aimock.url}/v1beta", api_key=KEY, models=(MODEL,), speech_models=speech)

    @pytest.fixture
    def chat_request(self) -> TurnRequest:
        return ask("Tell me of the lake", model=MODEL)

    @pytest.fixture
    def media_request(self) -> TurnRequest:
        return ask("Read out the lake", model="gemini-2.5-flash-tts")

    @pytest.fixture
    def unknown_request(self) -> TurnRequest:
        return ask("no fixture has this", model=UNKNOWN_MODEL)

    @pytest.fixture
    def secret(self) -> str:
        return KEY


class TestAgainstASmallServer(ProviderContract):
    """A whole answer as a list, and a stream that gets stuck."""

    @pytest.fixture
    def provider(self, make_gemini: Callable[..., Gemini], service: Scripted) -> Gemini:
        unknown = {"code": 404, "message": "models/x is not found for API version v1beta", "status": "NOT_FOUND"}
        models = [{"name": "models/m", "supportedGenerationMethods": ["generateContent"]}, {"name": "models/imagen-4"}]

        async def play(asked: Asked, line: Line) -> None:
            if asked.path.startswith("/v1/models?"):
                await said({"models": models})(asked, line)
            elif asked.path.startswith("/v1/models/m:"):
                text = asked.json["contents"][0]["parts"][0]["text"]
                answer = {"content": {"role": "model", "parts": [{"text": f"You said: {text}"}]}}
                counts = {"promptTokenCount": 2, "totalTokenCount": 3}
                await said([{"candidates": [answer | {"finishReason": "STOP"}], "usageMetadata": counts}])(asked, line)
            else:
                await said({"error": unknown}, 404)(asked, line)

        service.play(play)
        return make_gemini(service.base_url)

    @pytest.fixture
    def long_request(self, service: Scripted) -> TurnRequest:
        begin = {"candidates": [{"content": {"parts": [{"text": "Well"}]}}]}
        service.plays.insert(0, Hanging(events(begin, done=False)))
        return ask("Hello", model="m")

    @pytest.fixture
    def connections(self, service: Scripted) -> Callable[[int], Awaitable[None]]:
        return service.until_open
