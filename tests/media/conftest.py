"""The tests of the database run on SQLite and PostgreSQL; those of the intake on a library in a folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.servers.databases import Database, database, database_url
from tests.servers.http import RawServer, raw_server

from mediary.media.catalog import Catalog
from mediary.media.directories import ensure_media_dir
from mediary.media.library import MediaLibrary
from mediary.net.client import HttpClient
from mediary.settings import NetSettings

__all__ = ["database", "database_url"]


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    """A client that may reach this machine."""
    client = HttpClient(NetSettings(allow=("127.0.0.0/8",)))
    yield client
    await client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return ensure_media_dir(tmp_path)


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    opened = await Database.open(tmp_path / "media.db")
    yield Catalog(opened)
    await opened.close()


@pytest.fixture
def library(folder: Path, http: HttpClient, catalog: Catalog) -> MediaLibrary:
    async def opened() -> Catalog:
        return catalog

    return MediaLibrary.local(folder, http, opened)


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with raw_server() as served:
        yield served
