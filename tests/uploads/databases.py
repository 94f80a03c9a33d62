"""Tests that need a database have SQLite's, and PostgreSQL's as well where they are marked with `both`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.servers.postgres import new_database

both = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of an empty database."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
    else:
        async with new_database() as url:
            yield url
