"""The tests here run on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest
from tests.servers.databases import database, database_url
from tests.servers.embeddings import KEY, EmbeddingService, embedding_service

from mediary.database.engine import Database
from mediary.memory.room import Memory
from mediary.memory.vectors import Placer
from mediary.net.client import HttpClient
from mediary.plugins import load
from mediary.settings import MemorySettings, NetSettings, ProviderSettings

__all__ = ["database", "database_url"]


@pytest.fixture
async def memory(database: Database) -> Memory:
    return Memory(database, MemorySettings())


@pytest.fixture
async def service() -> AsyncIterator[EmbeddingService]:
    async with embedding_service() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient(NetSettings())
    yield client
    await client.close()


@pytest.fixture
async def placers(service: EmbeddingService, http: HttpClient) -> dict[str, Placer]:
    """The models of the service, by name."""
    table = ProviderSettings(wire="openai", base_url=service.base_url, api_key=KEY)
    provider = load("providers", "openai")("Places", table, http)
    return {model: Placer(f"Places/{model}", provider, model) for model in ("small", "large")}
