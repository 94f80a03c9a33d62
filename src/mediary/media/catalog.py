"""The catalog: what the database knows of each media item."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Select, delete, func, insert, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mediary.database.engine import Database
from mediary.errors import NotFoundError
from mediary.media import listing, search
from mediary.media.item import Changes, Found, ItemFilter, ItemPage, MediaItem, Order, SearchQuery, item_id
from mediary.media.tables import COLUMNS, library_state, live, media_items, to_item, to_row
from mediary.names import words_in
from mediary.tasks import uninterrupted

T = TypeVar("T")
# Within the class `list` is its own method.
Items: TypeAlias = list[MediaItem]
Names: TypeAlias = list[str]
Ranked: TypeAlias = list[tuple[MediaItem, int]]

CHUNK = 2000
"""Rows of one transaction: no writer waits long for another."""
PAGE = 250
"""Rows of one statement: to bind the values of more would hold the event loop."""
WRITE_LOCK = 0x6974656D73
"""The advisory lock under which nodes write many rows, or number new ones, one after the other."""

_columns = media_items.c


class Catalog:
    """The rows of the media items. A name is that of one live item at most; those in the trash may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, item: MediaItem) -> None:
        """Write the row of a file; a row of the same name is of a file that is gone, and is replaced."""
        await self.add_many((item,))

    @uninterrupted
    async def add_many(self, items: Iterable[MediaItem]) -> None:
        """Write the rows of many files, as `add` does."""
        for chunk in _chunks(items, CHUNK):
            # Of two items of one name the last is meant.
            named = {item.name: item for item in chunk}
            async with self._database.begin() as connection:
                await self._lock(connection)
                await _delete_named(connection, named)
                await self._insert(connection, named.values())

    @uninterrupted
    async def add_missing(self, items: Iterable[MediaItem]) -> None:
        """Write the rows of files that have none: who wrote one that is there knew more than a look at the file."""
        for chunk in _chunks(items, CHUNK):
            named = {item.name: item for item in chunk}
            async with self._database.begin() as connection:
                await self._lock(connection)
                known = await connection.scalars(select(_columns.name).where(live, _columns.name.in_(named)))
                for name in known:
                    del named[name]
                await self._insert(connection, named.values())

    async def find(self, name: str) -> MediaItem | None:
        """What is known of the file of that name."""
        return await self._first(select(*COLUMNS).where(live, _columns.name == name))

    async def get(self, name: str) -> MediaItem:
        """What is known of the file of that name; NotFoundError if nothing is."""
        return _known(name, await self.find(name))

    async def twin(self, sha256: str) -> MediaItem | None:
        """The newest item with these bytes."""
        same = select(*COLUMNS).where(live, _columns.sha256 == sha256)
        return await self._first(same.order_by(_columns.id.desc()).limit(1))

    async def twins(self, sha256: str) -> Items:
        """All items with these bytes."""
        return await self._all(select(*COLUMNS).where(live, _columns.sha256 == sha256))

    async def has(self, sha256: str) -> bool:
        """Whether an item with these bytes is known."""
        return await self.twin(sha256) is not None

    @uninterrupted
    async def update(self, name: str, changes: Changes) -> MediaItem:
        """Change fields of an item; NotFoundError if there is none of that name."""
        async with self._database.begin() as connection:
            return _known(name, next(iter(await self._change(connection, {name: changes})), None))

    @uninterrupted
    async def update_many(self, changes: Mapping[str, Changes]) -> None:
        """Change fields of many items, by their names; a name that is gone is passed over."""
        for chunk in _chunks(changes.items(), CHUNK):
            async with self._database.begin() as connection:
                await self._lock(connection)
                await self._change(connection, dict(chunk))

    @uninterrupted
    async def rename_many(self, names: Mapping[str, str]) -> None:
        """Give items, by their names, other ones, and the words of these where theirs were the words of the old ones.

        Rows that have the new names give way; an old one that is gone is passed over.
        """
        for chunk in _chunks(names.items(), CHUNK):
            async with self._database.begin() as connection:
                await self._lock(connection)
                await _delete_named(connection, [new for _, new in chunk])
                query = select(_columns.name, _columns.alt).where(live, _columns.name.in_([old for old, _ in chunk]))
                alts = {row.name: row.alt for row in await connection.execute(query)}
                changes: dict[str, Changes] = {old: {"name": new} for old, new in chunk}
                for old, new in chunk:
                    if alts.get(old) == words_in(old):
                        changes[old] = {"name": new, "alt": words_in(new)}
                await self._change(connection, changes)

    @uninterrupted
    async def remove(self, name: str) -> None:
        """Forget the file of that name; NotFoundError if nothing is known of it."""
        async with self._database.begin() as connection:
            if not await _delete_named(connection, (name,)):
                _known(name, None)

    @uninterrupted
    async def remove_many(self, names: Iterable[str]) -> None:
        """Forget files by their names; one of which nothing is known is passed over."""
        for chunk in _chunks(names, CHUNK):
            async with self._database.begin() as connection:
                await self._lock(connection)
                await _delete_named(connection, chunk)

    @uninterrupted
    async def trash(self, name: str) -> MediaItem:
        """Put an item into the trash; NotFoundError if there is none of that name."""
        moved = update(media_items).where(live, _columns.name == name).values(trashed=time.time())
        async with self._database.begin() as connection:
            row = (await connection.execute(moved.returning(*COLUMNS))).mappings().first()
        return _known(name, to_item(row) if row else None)

    async def find_trashed(self, name: str) -> MediaItem | None:
        """The item of that name that came into the trash last."""
        trashed = _columns.trashed
        found = select(*COLUMNS).where(trashed.is_not(None), _columns.name == name)
        return await self._first(found.order_by(trashed.desc(), _columns.id.desc()).limit(1))

    @uninterrupted
    async def restore(self, item: MediaItem, name: str) -> MediaItem:
        """Take an item out of the trash under a name, whose row, if there is one, gives way; NotFoundError if gone."""
        async with self._database.begin() as connection:
            await self._lock(connection)
            query = select(*COLUMNS).where(_columns.id == item.id, _columns.trashed.is_not(None))
            row = (await connection.execute(query)).mappings().first()
            restored = replace(_known(item.name, to_item(row) if row else None), name=name, trashed=None)
            await _delete_named(connection, (name,))
            await self._write(connection, (to_row(restored, item.id),))
        return restored

    async def expired(self, before: float) -> Items:
        """What came into the trash before that time, in Unix seconds."""
        return await self._all(select(*COLUMNS).where(_columns.trashed < before).order_by(_columns.trashed))

    @uninterrupted
    async def forget(self, item: MediaItem) -> None:
        """Remove an item of the trash for good."""
        async with self._database.begin() as connection:
            gone = delete(media_items).where(_columns.id == item.id, _columns.trashed.is_not(None))
            await connection.execute(gone)

    async def names(self, after: str = "", limit: int = 10_000) -> Names:
        """Names behind `after`, in the order of their bytes."""
        query = select(_columns.name).where(live, _columns.name > after).order_by(_columns.name).limit(limit)
        async with self._database.connect() as connection:
            return list(await connection.scalars(query))

    async def stamps(self, names: Iterable[str]) -> dict[str, tuple[int, float]]:
        """Size and time of the files of these names, as they were when they were looked at."""
        query = select(_columns.name, _columns.size, _columns.modified).where(live, _columns.name.in_(names))
        async with self._database.connect() as connection:
            return {name: (size, modified) for name, size, modified in await connection.execute(query)}

    async def stamped(self, size: int, modified: float) -> Names:
        """The names of files of this size and time, a hundred at most."""
        same = select(_columns.name).where(live, _columns.size == size, _columns.modified == modified)
        async with self._database.connect() as connection:
            return list(await connection.scalars(same.limit(100)))

    async def trashed(self, names: Iterable[str]) -> Items:
        """Items of these names that are in the trash, the last deleted first."""
        query = select(*COLUMNS).where(_columns.trashed.is_not(None), _columns.name.in_(names))
        return await self._all(query.order_by(_columns.trashed.desc()))

    async def state(self, key: str) -> str | None:
        """What was noted of the library as a whole under a key."""
        async with self._database.connect() as connection:
            found: str | None = await connection.scalar(select(library_state.c.value).where(library_state.c.key == key))
        return found

    @uninterrupted
    async def set_state(self, key: str, value: str | None) -> None:
        """Note something of the library as a whole; None forgets it."""
        async with self._database.begin() as connection:
            if value is None:
                await connection.execute(delete(library_state).where(library_state.c.key == key))
            else:
                statement = self._database.upsert(library_state, key="key")
                await connection.execute(statement, [{"key": key, "value": value}])

    async def unread(self, level: int, limit: int = 1000) -> Items:
        """Items whose bytes were not read up to `level` and can be, those closest to it first, the newest of them."""
        # The condition of the index must stand there in so many words to be recognised.
        indexed = _columns.read < literal_column("2")
        query = select(*COLUMNS).where(live, _columns.problem.is_(None), indexed, _columns.read < level)
        return await self._all(query.order_by(_columns.read.desc(), _columns.id.desc()).limit(limit))

    async def count(self) -> int:
        """How many items there are."""
        async with self._database.connect() as connection:
            return await connection.scalar(select(func.count()).select_from(media_items).where(live)) or 0

    async def list(
        self, wanted: ItemFilter | None = None, order: Order = "newest", cursor: str | None = None, limit: int = 50
    ) -> ItemPage:
        """A page of the items that a filter means; BadRequestError for a cursor that was not handed out here."""
        return await listing.list_items(self._database, wanted or ItemFilter(), order, cursor, limit)

    async def search(self, query: SearchQuery, count: bool = False) -> Found:
        """The newest items that match; how many there are in all only if they are to be counted."""
        return await search.search(self._database, query, count=count)

    async def similar(self, name: str, limit: int = 20) -> Ranked:
        """The pictures most like one, nearest first, each with the number of bits (of 64) in which its hash differs.

        NotFoundError if there is no such item; nothing for one that has no hash (yet).
        """
        item = await self.get(name)
        return await listing.similar(self._database, item, limit) if item.phash is not None else []

    async def _lock(self, connection: AsyncConnection) -> None:
        """Let others who write many rows wait, and who number them; in SQLite every writer waits anyway."""
        if self._database.dialect == "postgresql":
            await connection.execute(select(func.pg_advisory_xact_lock(WRITE_LOCK)))

    async def _insert(self, connection: AsyncConnection, items: Collection[MediaItem]) -> None:
        """Write rows under new numbers, many to a statement, and no more columns than one of them fills."""
        numbers = await _free_numbers(connection, items)
        statement = insert(media_items).returning(_columns.id)
        for page in _chunks(map(to_row, items, numbers), PAGE):
            filled = [name for name in page[0] if any(row[name] is not None for row in page)]
            await connection.execute(statement, [{name: row[name] for name in filled} for row in page])

    async def _change(self, connection: AsyncConnection, changes: Mapping[str, Changes]) -> Items:
        """Change the items that are there, and give them."""
        query = select(*COLUMNS).where(live, _columns.name.in_(changes))
        if self._database.dialect == "postgresql":
            query = query.with_for_update()
        items = [to_item(row) for row in (await connection.execute(query)).mappings()]
        changed = [replace(item, **changes[item.name]) for item in items]
        await self._write(connection, (to_row(item, item.id) for item in changed))
        return changed

    async def _write(self, connection: AsyncConnection, rows: "Iterable[dict[str, Any]]") -> None:
        """Write whole rows in the place of those with their numbers.

        Many go into a statement: SQLite brings its search index up to date once in each.
        """
        statement = self._database.upsert(media_items, key="id").returning(_columns.id)
        for page in _chunks(rows, PAGE):
            await connection.execute(statement, page)

    async def _first(self, query: Select[Any]) -> MediaItem | None:
        async with self._database.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else to_item(row)

    async def _all(self, query: Select[Any]) -> Items:
        async with self._database.connect() as connection:
            return [to_item(row) for row in (await connection.execute(query)).mappings()]


async def _delete_named(connection: AsyncConnection, names: Iterable[str]) -> int:
    """Remove the rows of these names; how many there were."""
    gone = delete(media_items).where(live, _columns.name.in_(names))
    return (await connection.execute(gone)).rowcount


async def _free_numbers(connection: AsyncConnection, items: Iterable[MediaItem]) -> list[int]:
    """A number for each item that no row has: its own, or the next that is free."""
    wanted = [item_id(item.created, item.name) for item in items]
    taken: set[int] = set()
    while True:
        numbers = _spread(wanted, taken)
        query = select(_columns.id).where(_columns.id.in_(numbers))
        found = set(await connection.scalars(query))
        if not found:
            return numbers
        taken |= found


def _spread(wanted: Iterable[int], taken: AbstractSet[int]) -> list[int]:
    """The numbers, each moved up until it is that of nobody else."""
    given: dict[int, None] = {}
    for number in wanted:
        while number in given or number in taken:
            number += 1
        given[number] = None
    return [*given]


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of that size."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _known(name: str, item: MediaItem | None) -> MediaItem:
    if item is None:
        raise NotFoundError(f"nothing is known of {name!r}")
    return item
