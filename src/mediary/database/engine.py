"""One API over SQLite and PostgreSQL; a database is handed out with its migrations applied.

This module takes 0.3 s to import, most of it SQLAlchemy's: the server imports it after it has begun to answer.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from sqlalchemy import Connection, Table, event, func, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.dml import Insert

from mediary.database.metadata import HEAD
from mediary.database.problems import OpenedFile, explain, is_full, reason, sqlite_path
from mediary.errors import DatabaseError, DatabaseFullError, SettingsError

if TYPE_CHECKING:
    from sqlalchemy.dialects.sqlite import Insert as ConflictingInsert

Dialect = Literal["sqlite", "postgresql"]

_REVISION = text("SELECT version_num FROM alembic_version")
# It changes nothing, and fails where nothing may be written: SQLite turns even BEGIN IMMEDIATE into a reader there.
_REVISION_BY_WRITING = text("UPDATE alembic_version SET version_num = version_num RETURNING version_num")

BUSY_SECONDS = 30
"""How long a writer waits for the writer of another process."""
CONNECT_SECONDS = 10
MIGRATION_LOCK = 0x6D656469617279
"""The advisory lock under which nodes that start at once migrate one after the other."""


class Database:
    """Connections to the one database; writers take turns on SQLite, readers never wait for them."""

    def __init__(self, url: URL) -> None:
        self.dialect = cast("Dialect", url.get_backend_name())
        self._url = url
        self._engine = _sqlite(url) if self.dialect == "sqlite" else _postgresql(url)
        self._writes = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        self._file: OpenedFile | None = None
        self._turn: AbstractAsyncContextManager[None] = asyncio.Lock() if self.dialect == "sqlite" else nullcontext()

    @classmethod
    async def open(cls, where: str | Path) -> "Database":
        """The database of a `sqlite:///path` or `postgresql://…` URL, or of an SQLite file's path.

        SettingsError says why it cannot be used, and what to do.
        """
        database = cls(_file(where) if isinstance(where, Path) else _parse(where))
        try:
            await database._prepare()
        except (SQLAlchemyError, OSError) as error:
            await database.close()
            raise SettingsError(explain(database._url, error)) from error
        except (SettingsError, asyncio.CancelledError):
            await database.close()
            raise
        return database

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes; it is undone if the block raises."""
        with _translated():
            async with self._turn, self._writes.begin() as connection:
                yield connection

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A connection that reads; what it does is never committed."""
        with _translated():
            async with self._engine.connect() as connection:
                yield connection

    async def check(self) -> None:
        """Reach the database; DatabaseError if it does not answer, or what is written to it would be lost."""
        if self._file and (problem := self._file.problem()):
            raise DatabaseError(problem)
        async with self.connect() as connection:
            await connection.execute(_REVISION)

    def insert(self, table: Table) -> "ConflictingInsert":
        """An insert that can say what becomes of a row that is there already; both dialects spell it alike."""
        if self.dialect == "sqlite":
            from sqlalchemy.dialects.sqlite import insert
        else:
            # Only one of the two dialects is ever used in a process.
            from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
        return insert(table)

    def upsert(self, table: Table, key: str) -> Insert:
        """The statement that inserts whole rows, or puts each in the place of the one with the same key."""
        statement = self.insert(table)
        changes = {name: statement.excluded[name] for name in table.c.keys() if name != key}  # noqa: SIM118 - columns
        return statement.on_conflict_do_update(index_elements=[key], set_=changes)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._engine.dispose()

    async def _prepare(self) -> None:
        if self.dialect == "sqlite":
            await self._use_wal()
        if await self._revision() != HEAD:
            # Alembic is slow to import, and its work is blocking work: both happen in a thread with a loop of its own.
            await asyncio.to_thread(self._migrate, self._url)
        if self.dialect == "sqlite":
            self._file = OpenedFile(sqlite_path(self._url))

    @classmethod
    def _migrate(cls, url: URL) -> None:
        with _absent("pygments"):
            from mediary.database.migrations import upgrade

        database = cls(url)
        asyncio.run(database._upgrade(upgrade))

    async def _upgrade(self, upgrade: Callable[[Connection], None]) -> None:
        """Bring the schema to the newest revision; others who start now wait, and find it done."""
        try:
            async with self._writes.begin() as connection:
                if self.dialect == "postgresql":
                    await connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
                await connection.run_sync(upgrade)
        finally:
            await self.close()

    async def _use_wal(self) -> None:
        """Switch a new file to the write-ahead log; SQLite does not wait when another process is switching too."""
        deadline = asyncio.get_running_loop().time() + BUSY_SECONDS
        while True:
            try:
                async with self._engine.execution_options(begin=None).connect() as connection:
                    await connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                return
            except OperationalError as error:
                if "locked" not in str(error.orig) or asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.02)

    async def _revision(self) -> str | None:
        """The migration that the database is at. Asked by writing: a database that is read-only stops the start."""
        try:
            async with self._turn, self._writes.begin() as connection:
                return cast("str | None", await connection.scalar(_REVISION_BY_WRITING))
        except (OperationalError, ProgrammingError) as error:
            if "no such table" in str(error.orig) or getattr(error.orig, "sqlstate", None) == "42P01":
                return None
            raise


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's errors into ours; an IntegrityError is for the query's author and passes."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        failure = DatabaseFullError if is_full(error) else DatabaseError
        raise failure(f"the database failed: {reason(error)}") from error


def _file(path: Path) -> URL:
    return URL.create("sqlite+aiosqlite", database=str(path))


def _parse(url: str) -> URL:
    """The URL, checked."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Neither error nor URL is shown: what could not be parsed may hold the password anywhere.
        raise SettingsError(
            "the database URL cannot be read; write sqlite:///path/to/file.db or postgresql://user:password@host/name, "
            "with special characters in the password as %XX"
        ) from None
    backend = "postgresql" if parsed.drivername == "postgres" else parsed.get_backend_name()
    if backend == "sqlite":
        if parsed.database in (None, "", ":memory:") or parsed.query or parsed.host:
            raise SettingsError("the database URL must name a file and nothing else: sqlite:///path/to/file.db")
        return parsed.set(drivername="sqlite+aiosqlite")
    if backend == "postgresql":
        if "@" in f"{parsed.host}{parsed.database}":
            # All before the last @ was meant as the password, and would be shown as host and name.
            raise SettingsError("the database URL has more than one @: write an @ as %40, in the password or the name")
        return parsed.set(drivername="postgresql+asyncpg")
    raise SettingsError(f"no database of the kind {backend!r} can be used; write sqlite:///… or postgresql://…")


def _sqlite(url: URL) -> AsyncEngine:
    engine = create_async_engine(url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None})
    event.listen(engine.sync_engine, "connect", _on_sqlite_connect)
    event.listen(engine.sync_engine, "begin", _on_sqlite_begin)
    return engine


def _on_sqlite_connect(connection: Any, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    # NORMAL with WAL: a power cut may lose the last transactions, and never damages the file.
    for pragma in ("foreign_keys=ON", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_sqlite_begin(connection: Connection) -> None:
    # Python's own BEGIN is late and deferred: a writer would read first, and fail when it then cannot lock.
    if statement := connection.get_execution_options().get("begin", "BEGIN"):
        connection.exec_driver_sql(statement)


def _postgresql(url: URL) -> AsyncEngine:
    # asyncpg reads the URL itself, so that `sslmode`, `host=/socket` and the like mean what they mean to libpq.
    import asyncpg

    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    connect = partial(asyncpg.connect, dsn, timeout=CONNECT_SECONDS)
    # The ping spares the first requests after a restart of the server; it costs a round trip.
    return create_async_engine("postgresql+asyncpg://", async_creator=connect, pool_pre_ping=True)


@contextmanager
def _absent(package: str) -> Iterator[None]:
    """Have a package that can be done without pass for one that is not installed, unless it is in use already.

    Alembic brings in Mako, and that Pygments, to colour its errors: 5 MB that the server would keep.
    """
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment] # Python's word for it
    try:
        yield
    finally:
        del sys.modules[package]
