"""The same database tests on SQLite and on PostgreSQL: what the `conftest.py` of a room takes in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.servers.postgres import new_database

from mediary.database.engine import Database


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of an empty database, of either kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
    else:
        async with new_database() as url:
            yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database of either kind, ready for use."""
    opened = await Database.open(database_url)
    yield opened
    await opened.close()
