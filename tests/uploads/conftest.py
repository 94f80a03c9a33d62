"""What the tests here share: a database where they need one, and a client that may reach this machine."""

from collections.abc import AsyncIterator
from ipaddress import IPv4Network

import pytest
from tests.servers.databases import database
from tests.uploads.databases import database_url

from mediary.net.client import HttpClient
from mediary.settings import NetSettings
from mediary.uploads import transport

__all__ = ["database", "database_url"]


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    """A client that reaches the loopback, as an operator may allow."""
    client = HttpClient(NetSettings(allow=(IPv4Network("127.0.0.0/8"),)))
    yield client
    await client.close()


@pytest.fixture
def no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once."""
    monkeypatch.setattr(transport, "_DELAYS", (0.0, 0.0))
