"""The contract of providers, held by Ollama's own wire: against aimock, a small Ollama, and a plain server."""

from collections.abc import Awaitable, Callable

import pytest
from tests.providers.turns import ask
from tests.servers.aimock import KEY, Aimock
from tests.servers.ollama import OllamaPeer
from tests.servers.scripted import Asked, Hanging, Line, Scripted, said

from mediary.providers.base import TurnRequest
from mediary.providers.ollama.provider import Ollama
from mediary.testing.providers import UNKNOWN_MODEL, ProviderContract

MakeOllama = Callable[..., Ollama]


class TestAgainstAimock(ProviderContract):
    @pytest.fixture
    def provider(self, make_ollama: MakeOllama, aimock: Aimock) -> Ollama:
        return make_ollama(aimock.url, api_key=KEY, models=("gpt-4o",))

    @pytest.fixture
    def chat_request(self) -> TurnRequest:
        return ask("Tell me of the sea")

    @pytest.fixture
    def unknown_request(self) -> TurnRequest:
        return ask("no fixture has this", model=UNKNOWN_MODEL)

    @pytest.fixture
    def secret(self) -> str:
        return KEY


class TestAgainstASmallOllama(ProviderContract):
    @pytest.fixture
    def provider(self, make_ollama: MakeOllama, ollama: OllamaPeer) -> Ollama:
        return make_ollama(ollama.url, default_model="llama3.2")

    @pytest.fixture
    def media_request(self) -> TurnRequest:
        return ask("A boat", model="x/z-image-turbo")


class TestAgainstAPlainServer(ProviderContract):
    """Whole answers, and a stream that gets stuck."""

    @pytest.fixture
    def provider(self, make_ollama: MakeOllama, service: Scripted) -> Ollama:
        async def play(asked: Asked, line: Line) -> None:
            if asked.path == "/api/tags":
                await said({"models": [{"name": "m:latest"}]})(asked, line)
            elif asked.path == "/api/chat" and asked.json["model"] in ("m", "m:latest"):
                message = {"role": "assistant", "content": f"You said: {asked.json['messages'][0]['content']}"}
                await said({"message": message, "done": True, "prompt_eval_count": 2})(asked, line)
            else:
                await said({"error": "model 'x' not found"}, 404)(asked, line)

        service.play(play)
        return make_ollama(service.origin)

    @pytest.fixture
    def long_request(self, service: Scripted) -> TurnRequest:
        service.plays.insert(0, Hanging(b'{"message":{"role":"assistant","content":"Well"},"done":false}\n'))
        return ask("Hello", model="m")

    @pytest.fixture
    def connections(self, service: Scripted) -> Callable[[int], Awaitable[None]]:
        return service.until_open
