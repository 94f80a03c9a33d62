"""What the tests of the stores share."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.servers import azurite, moto, swift
from tests.servers.buckets import Bucket
from tests.servers.databases import database, database_url
from tests.servers.postgres import new_database

from mediary import plugins
from mediary.database.engine import Database
from mediary.database.names import StoredNames
from mediary.storage.cloud import ObjectStore

__all__ = ["database", "database_url"]

OpenStore = Callable[..., ObjectStore]


@pytest.fixture(scope="session")
async def one_database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """An SQLite database for all tests: the names of each have the URL of its bucket before them."""
    opened = await Database.open(tmp_path_factory.mktemp("names") / "names.db")
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
async def one_postgresql() -> AsyncIterator[Database]:
    """The same in PostgreSQL."""
    async with new_database() as url:
        opened = await Database.open(url)
        yield opened
        await opened.close()


@pytest.fixture
def names_database(one_database: Database) -> Database:
    """Where the names of a test's stores are."""
    return one_database


BUCKETS: dict[str, Callable[[], Bucket]] = {
    "swift": lambda: swift.server().new_bucket(),
    "moto": moto.new_bucket,
    "azurite": azurite.new_bucket,
}


@pytest.fixture(params=BUCKETS)
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """An empty bucket, of each kind."""
    return BUCKETS[request.param]()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def open_store(names_database: Database, spool: Path) -> OpenStore:
    """Opens a bucket as the composition root does."""

    def opened(bucket: Bucket, space: str = "media", *, folder: Path = spool, **options: str) -> ObjectStore:
        url = bucket.url

        async def names() -> StoredNames:
            return StoredNames(names_database, url, space)

        make = plugins.load("storage", url.partition("://")[0])
        store: ObjectStore = make(url, names, folder, {**bucket.options, **options})
        return store

    return opened
