"""The names of the files in an object store: `stored_files`, behind `storage.base.Names`."""

import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, replace

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Double,
    Index,
    Row,
    Table,
    Text,
    delete,
    exists,
    func,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from mediary.database.engine import Database
from mediary.database.metadata import metadata
from mediary.errors import NotFoundError, StoreError
from mediary.names import numbered
from mediary.tasks import uninterrupted

# In byte order on both databases, so that the primary key serves the listing.
_Name = Text().with_variant(Text(collation="C"), "postgresql")

stored_files = Table(
    "stored_files",
    metadata,
    Column("space", Text, primary_key=True),
    Column("name", _Name, primary_key=True),
    Column("key", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("stored", Double, nullable=False),
    Index("ix_stored_files_key", "key"),
    Index("ix_stored_files_sha256", "sha256"),
)
_columns = stored_files.c
_MOST_PARAMETERS = 500
_FIRST_NUMBERS = 16


@dataclass(slots=True, frozen=True)
class StoredName:
    """A name: `key` is where its bytes lie, `size` in bytes, `stored` in Unix seconds."""

    name: str
    key: str
    sha256: str
    size: int
    stored: float


class StoredNames:
    """The names of one space of an object store, `media` or `trash`; `store` is the store's URL.

    All that changes which names a key bears happens in turn for the same bytes: on SQLite there is one writer anyway,
    on PostgreSQL an advisory lock on the digest sees to it.
    """

    def __init__(self, database: Database, store: str, space: str) -> None:
        self._database = database
        self.store = store.rstrip("/")
        self.space = f"{self.store}#{space}"

    async def find(self, name: str) -> StoredName | None:
        """A name, if there is such."""
        async with self._database.connect() as connection:
            return await _find(connection, self.space, name)

    @uninterrupted
    async def claim(
        self, name: str, key: str, sha256: str, size: int, taken: Callable[[str], bool] = lambda _: False
    ) -> StoredName:
        """Give a name to the object, or to the one that has these bytes already; a taken name gets a number."""
        async with self._database.begin() as connection:
            await self._lock(connection, sha256)
            known = select(_columns.key).where(_columns.sha256 == sha256, self._in_store()).limit(1)
            key = await connection.scalar(known) or key
            return await self._insert(connection, StoredName(name, key, sha256, size, time.time()), taken)

    @uninterrupted
    async def adopt(
        self, other: object, name: str, new: str, taken: Callable[[str], bool] = lambda _: False
    ) -> StoredName:
        """Give the object of a name in `other`, a space of the same store, one more name here."""
        if not isinstance(other, StoredNames) or other.store != self.store:
            raise StoreError("Files are taken over from the same store alone")
        async with self._database.begin() as connection:
            entry = await self._locked(connection, other.space, name)
            return await self._insert(connection, replace(entry, name=new), taken)

    @uninterrupted
    async def release(self, name: str) -> str | None:
        """Remove a name; the key if that was the last name it bore. NotFoundError if there is no such name."""
        async with self._database.begin() as connection:
            entry = await self._locked(connection, self.space, name)
            await connection.execute(delete(stored_files).where(*_is(self.space, name)))
            others = select(exists().where(_columns.key == entry.key, self._in_store()))
            return None if await connection.scalar(others) else entry.key

    async def list(self, after: str, limit: int) -> Sequence[StoredName]:
        """The names after that one, in byte order."""
        page = (
            select(*_columns[1:])
            .where(_columns.space == self.space, _columns.name > after)
            .order_by(_columns.name)
            .limit(limit)
        )
        async with self._database.connect() as connection:
            return [_stored_name(row) for row in await connection.execute(page)]

    async def keys(self, keys: Sequence[str]) -> AbstractSet[str]:
        """Which of these keys bear a name, in any space of the store."""
        found: set[str] = set()
        async with self._database.connect() as connection:
            for start in range(0, len(keys), _MOST_PARAMETERS):
                some = _columns.key.in_(keys[start : start + _MOST_PARAMETERS])
                found.update(await connection.scalars(select(_columns.key).where(some, self._in_store())))
        return found

    def _in_store(self) -> ColumnElement[bool]:
        return _columns.space.startswith(f"{self.store}#", autoescape=True)

    async def _locked(self, connection: AsyncConnection, space: str, name: str) -> StoredName:
        """A name, while nobody else changes what names its bytes bear."""
        entry = await _find(connection, space, name)
        if entry is not None:
            await self._lock(connection, entry.sha256)
            entry = await _find(connection, space, name)
        if entry is None:
            raise NotFoundError(f"There is no file {name!r}")
        return entry

    async def _lock(self, connection: AsyncConnection, sha256: str) -> None:
        if self._database.dialect == "postgresql":
            number = int.from_bytes(bytes.fromhex(sha256)[:8], signed=True)
            await connection.execute(select(func.pg_advisory_xact_lock(number)))

    async def _insert(
        self, connection: AsyncConnection, wanted: StoredName, taken: Callable[[str], bool]
    ) -> StoredName:
        """Insert the name, or the first numbered one that is free."""
        entry = wanted
        while taken(entry.name) or not await self._inserted(connection, entry):
            entry = replace(wanted, name=await self._free_name(connection, wanted.name, taken))
        return entry

    async def _inserted(self, connection: AsyncConnection, entry: StoredName) -> bool:
        """Whether the name was free; on PostgreSQL this waits for whoever is inserting the same one."""
        statement = (
            self._database.insert(stored_files).values(space=self.space, **asdict(entry)).on_conflict_do_nothing()
        )
        return (await connection.execute(statement)).rowcount == 1

    async def _free_name(self, connection: AsyncConnection, name: str, taken: Callable[[str], bool]) -> str:
        first, count = 2, _FIRST_NUMBERS
        while True:
            candidates = [numbered(name, number) for number in range(first, first + count)]
            those = select(_columns.name).where(_columns.space == self.space, _columns.name.in_(candidates))
            used = set(await connection.scalars(those))
            for candidate in candidates:
                if candidate not in used and not taken(candidate):
                    return candidate
            first, count = first + count, min(2 * count, _MOST_PARAMETERS)


def _is(space: str, name: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _columns.space == space, _columns.name == name


async def _find(connection: AsyncConnection, space: str, name: str) -> StoredName | None:
    row = (await connection.execute(select(*_columns[1:]).where(*_is(space, name)))).one_or_none()
    return None if row is None else _stored_name(row)


def _stored_name(row: Row[tuple[str, str, str, int, float]]) -> StoredName:
    return StoredName(row.name, row.key, row.sha256, row.size, row.stored)
