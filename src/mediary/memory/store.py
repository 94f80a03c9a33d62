"""The rows of memory: items come in, are listed, and go, each with all that was made of it."""

import hashlib
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mediary.database.engine import Database
from mediary.database.metadata import clean_json, clean_text
from mediary.errors import NotFoundError
from mediary.memory.filters import fulfilling
from mediary.memory.item import Condition, MemoryItem, MemoryPage, NewItem
from mediary.memory.tables import memory_items, memory_users, memory_words
from mediary.memory.terms import terms
from mediary.tasks import uninterrupted

T = TypeVar("T")

PAGE = 250
"""Rows of one statement: to bind the values of more would hold the event loop."""
NO_MODEL = 0
"""In the place of a model's number: no vector was made yet."""
EVERY_ITEM = ""
"""The word that stands in every item."""

_items = memory_items.c
_words = memory_words.c
COLUMNS = [_items[name] for name in ("id", "role", "conversation_id", "text", "metadata", "seen", "created", "updated")]


@dataclass(slots=True)
class _Prepared:
    """An item, ready to be written: `digest` is that of its user and its text, whatever its case and its blanks."""

    digest: bytes
    text: str
    role: str
    metadata: dict[str, Any]
    words: list[str]
    seen: int = 1


class MemoryStore:
    """Items by user. Whoever changes those of a user does so alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @uninterrupted
    async def add(self, user: str, items: Sequence[_Prepared], conversation_id: str | None) -> None:
        """Store items, all or none; a text that is there is counted, and takes on what is said of it now."""
        now = time.time()
        async with self._database.begin() as connection:
            owner = await self._own(connection, user)
            new: list[_Prepared] = []
            for page in _pages(items, PAGE):
                new += await self._fold(connection, owner, page, conversation_id, now)
            about = {"user_id": owner, "conversation_id": conversation_id, "created": now, "updated": now}
            for page in _pages(new, PAGE):
                await connection.execute(
                    insert(memory_items).returning(_items.id), [about | _to_row(item, owner) for item in page]
                )
            await self._count(connection, owner, Counter(word for item in new for word in item.words), len(new))

    async def list(self, user: str, wanted: Sequence[Condition], offset: int, limit: int) -> MemoryPage:
        """A page of a user's items that fulfil all conditions, newest first."""
        async with self._database.connect() as connection:
            owner = await self.find_owner(connection, user)
            if owner is None:
                return MemoryPage((), 0)
            those = (_items.user_id == owner, *fulfilling(wanted, self._database.dialect))
            total = await connection.scalar(select(func.count()).select_from(memory_items).where(*those)) or 0
            page = select(*COLUMNS).where(*those).order_by(_items.id.desc()).limit(limit).offset(offset)
            rows = (await connection.execute(page)).mappings().all() if offset < total else []
        return MemoryPage(tuple(to_item(row, user) for row in rows), total)

    @uninterrupted
    async def delete(self, user: str, wanted: Sequence[Condition] | None = None, item_id: int | None = None) -> int:
        """Remove a user's items: one, those that fulfil all conditions, or all, with the user; how many there were."""
        async with self._database.begin() as connection:
            owner = await self.find_owner(connection, user, lock=True)
            if owner is None:
                return 0
            if not wanted and item_id is None:
                return await self._delete_all(connection, owner)
            those = [_items.user_id == owner, *fulfilling(wanted or (), self._database.dialect)]
            if item_id is not None:
                those.append(_items.id == item_id)
            gone = 0
            query = select(_items.id, _items.words).where(*those).limit(PAGE)
            while rows := (await connection.execute(query)).all():
                await connection.execute(delete(memory_items).where(_items.id.in_([row.id for row in rows])))
                counted = Counter(_word(token) for row in rows for token in row.words.split())
                await self._discount(connection, owner, counted, len(rows))
                gone += len(rows)
            return gone

    async def delete_item(self, user: str, item_id: str) -> None:
        """Remove one item; NotFoundError if this user has no such item."""
        number = int(item_id) if item_id.isascii() and item_id.isdigit() and len(item_id) < 19 else 0
        if not await self.delete(user, item_id=number):
            raise NotFoundError(f"there is no item {item_id[:40]!r} of this user")

    async def find_owner(self, connection: AsyncConnection, user: str, *, lock: bool = False) -> int | None:
        """The number of a user who has items."""
        query = select(memory_users.c.id).where(memory_users.c.name == user)
        if lock and self._database.dialect == "postgresql":
            query = query.with_for_update()
        found: int | None = await connection.scalar(query)
        return found

    async def _own(self, connection: AsyncConnection, user: str) -> int:
        """The number of a user, who has to wait until this transaction is over."""
        statement = self._database.insert(memory_users)
        known = statement.on_conflict_do_update(index_elements=["name"], set_={"name": statement.excluded.name})
        owner: int = (await connection.execute(known.returning(memory_users.c.id), {"name": user})).scalar_one()
        return owner

    async def _fold(
        self,
        connection: AsyncConnection,
        owner: int,
        page: Sequence[_Prepared],
        conversation_id: str | None,
        now: float,
    ) -> Sequence[_Prepared]:
        """Count the items that are there; those that are not."""
        digests = [item.digest for item in page]
        query = select(_items.digest, _items.id, _items.seen, _items.metadata, _items.conversation_id)
        rows = await connection.execute(query.where(_items.digest.in_(digests)))
        known = {row.digest: row for row in rows}
        for item in page:
            if row := known.get(item.digest):
                changed = {
                    "role": item.role,
                    "metadata": {**row.metadata, **item.metadata},
                    "conversation_id": conversation_id or row.conversation_id,
                    "seen": row.seen + item.seen,
                    "updated": now,
                }
                await connection.execute(update(memory_items).where(_items.id == row.id).values(changed))
        return [item for item in page if item.digest not in known]

    async def _count(self, connection: AsyncConnection, owner: int, counted: Counter[str], items: int) -> None:
        if not items:
            return
        statement = self._database.insert(memory_words)
        more = {"items": _words["items"] + statement.excluded["items"]}
        known = statement.on_conflict_do_update(index_elements=["user_id", "word"], set_=more)
        counting = known.returning(_words.user_id)  # so that many rows go into a statement
        counted[EVERY_ITEM] = items
        for page in _pages(counted.items(), PAGE):
            await connection.execute(counting, [{"user_id": owner, "word": word, "items": n} for word, n in page])

    async def _discount(self, connection: AsyncConnection, owner: int, counted: Counter[str], items: int) -> None:
        counted[EVERY_ITEM] = items
        by_number: dict[int, list[str]] = {}
        for word, number in counted.items():
            by_number.setdefault(number, []).append(word)
        for number, named in by_number.items():
            for page in _pages(named, PAGE):
                these = (_words.user_id == owner, _words.word.in_(page))
                fewer = {"items": _words["items"] - number}
                await connection.execute(update(memory_words).where(*these).values(fewer))
        await connection.execute(delete(memory_words).where(_words.user_id == owner, _words["items"] <= 0))

    async def _delete_all(self, connection: AsyncConnection, owner: int) -> int:
        """Remove a user with everything, words and vectors included."""
        query = select(func.count()).select_from(memory_items).where(_items.user_id == owner)
        gone = await connection.scalar(query) or 0
        await connection.execute(delete(memory_users).where(memory_users.c.id == owner))
        return gone


def prepare(user: str, items: Iterable[NewItem]) -> list[_Prepared]:
    """Items as they are stored, of those with the same text one; it takes its time, and belongs in a thread."""
    found: dict[bytes, _Prepared] = {}
    for item in items:
        text, metadata = clean_text(item.text), clean_json(dict(item.metadata))
        digest = hashlib.sha256(f"{user}\0{_folded(text)}".encode()).digest()
        if before := found.get(digest):
            before.role, before.metadata = item.role, before.metadata | metadata
            before.seen += 1
        else:
            found[digest] = _Prepared(digest, text, item.role, metadata, terms(text))
    return list(found.values())


def token(owner: int, word: str) -> str:
    """A word as the index holds it: each user's words are words of their own."""
    return f"{owner:x}_{word}"


def to_item(row: RowMapping, user: str, score: float | None = None) -> MemoryItem:
    """The item of a row."""
    return MemoryItem(
        id=str(row["id"]),
        user=user,
        text=row["text"],
        role=row["role"],
        conversation_id=row["conversation_id"],
        metadata=row["metadata"],
        created=row["created"],
        updated=row["updated"],
        seen=row["seen"],
        score=score,
    )


def _to_row(item: _Prepared, owner: int) -> dict[str, Any]:
    return {
        "digest": item.digest,
        "role": item.role,
        "text": item.text,
        "metadata": item.metadata,
        "seen": item.seen,
        "length": len(item.words),
        "model": NO_MODEL,
        "words": " ".join(token(owner, word) for word in item.words),
    }


def _word(found: str) -> str:
    return found.partition("_")[2]


def _folded(text: str) -> str:
    """The text as it is compared with others: the same words with the same marks, whatever the case and the blanks."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _pages(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page
