"""What the tests of providers share: one HTTP client, a real aimock, a service that says what a test writes out."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from tests.clock import jump
from tests.servers.aimock import Aimock, running_aimock
from tests.servers.scripted import Scripted, scripted

from mediary.net.client import HttpClient
from mediary.providers.openai.provider import OpenAI
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

    def provider(base_url: str | None, *, name: str = "Test", api_key: str | None = None, **fields: Any) -> OpenAI:
        headers = {header: SecretStr(value) for header, value in fields.pop("headers", {}).items()}
        key = SecretStr(api_key) if api_key else None
        settings = ProviderSettings(wire="openai", base_url=base_url, api_key=key, headers=headers, **fields)
        return OpenAI(name, settings, http)

    return provider
