"""What the tests of providers share: one HTTP client, a real aimock, a service that says what a test writes out."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr
from tests.clock import jump
from tests.servers.aimock import Aimock, running_aimock
from tests.servers.anthropic import KEY as ANTHROPIC_KEY
from tests.servers.anthropic import Small, small_anthropic
from tests.servers.ollama import OllamaPeer, small_ollama
from tests.servers.scripted import Scripted, scripted

from mediary.net.client import HttpClient
from mediary.providers.anthropic.provider import Anthropic
from mediary.providers.gemini.provider import Gemini
from mediary.providers.ollama.provider import Ollama
from mediary.providers.openai.provider import OpenAI
from mediary.providers.openai_responses.provider import OpenAIResponses
from mediary.settings import NetSettings, ProviderSettings

__all__ = ["jump"]  # a fixture, used by name

Make = Callable[..., OpenAI]


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient(NetSettings())
    yield client
    await client.close()


@pytest.fixture(scope="session")
def aimock() -> Iterator[Aimock]:
    with running_aimock() as server:
        yield server


@pytest.fixture
async def service() -> AsyncIterator[Scripted]:
    async with scripted() as server:
        yield server


@pytest.fixture(scope="session")
def make(http: HttpClient) -> Make:
    """Makes a provider: `make(base_url, api_key=…, headers={…}, …)`."""
    return partial(_made, http, OpenAI, "openai")


@pytest.fixture(scope="session")
def make_anthropic(http: HttpClient) -> Callable[..., Anthropic]:
    """The same for the Messages wire."""
    return partial(_made, http, Anthropic, "anthropic")


@pytest.fixture(scope="session")
def make_gemini(http: HttpClient) -> Callable[..., Gemini]:
    """The same for the generateContent wire."""
    return partial(_made, http, Gemini, "gemini")


@pytest.fixture(scope="session")
def make_ollama(http: HttpClient) -> Callable[..., Ollama]:
    """The same for Ollama's own API."""
    return partial(_made, http, Ollama, "ollama")


@pytest.fixture(scope="session")
def make_responses(http: HttpClient) -> Callable[..., OpenAIResponses]:
    """The same for the Responses wire."""
    return partial(_made, http, OpenAIResponses, "openai_responses")


@pytest.fixture
async def small() -> AsyncIterator[Small]:
    async with small_anthropic() as anthropic:
        yield anthropic


@pytest.fixture
def claude(make_anthropic: Callable[..., Anthropic], small: Small) -> Anthropic:
    """A provider at the small Anthropic."""
    return make_anthropic(small.base_url, api_key=ANTHROPIC_KEY)


@pytest.fixture
async def ollama() -> AsyncIterator[OllamaPeer]:
    async with small_ollama() as peer:
        yield peer


def _made(
    http: HttpClient,
    kind: Callable[[str, ProviderSettings, HttpClient], Any],
    wire: str,
    base_url: str | None,
    *,
    name: str = "Test",
    api_key: str | None = None,
    **fields: Any,
) -> Any:
    headers = {header: SecretStr(value) for header, value in fields.pop("headers", {}).items()}
    key = SecretStr(api_key) if api_key else None
    settings = ProviderSettings(wire=wire, base_url=base_url, api_key=key, headers=headers, **fields)
    return kind(name, settings, http)
