"""Memory: what people asked to keep, each user's for themselves; stored, searched, listed and deleted."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import select

from mediary.database.engine import Database
from mediary.errors import DatabaseError
from mediary.memory.by_meaning import VectorStore
from mediary.memory.by_words import find_by_words
from mediary.memory.item import (
    Condition,
    MemoryItem,
    MemoryPage,
    NewItem,
    check_conversation,
    check_items,
    check_user,
    conditions,
)
from mediary.memory.placing import Patience, Placing
from mediary.memory.ranking import fuse
from mediary.memory.store import COLUMNS, MemoryStore, prepare, to_item
from mediary.memory.tables import memory_items
from mediary.memory.terms import telling
from mediary.memory.vectors import Placer
from mediary.settings import MemorySettings
from mediary.tasks import all_of

Numbers: TypeAlias = list[int]
# Within the class `list` is its own method.

LONGEST_SEARCH = 10_000
"""Characters of a search that count."""

logger = logging.getLogger(__name__)


class Memory:
    """Items by user, found by their words and, where there is a `placer`, by their meaning as well."""

    def __init__(
        self,
        database: Database,
        settings: MemorySettings,
        placer: Placer | None = None,
        patience: Patience = Patience(),
    ) -> None:
        self._database = database
        self._settings = settings
        self._store = MemoryStore(database)
        self._placing = Placing(placer, VectorStore(database, placer.number), patience) if placer else None

    async def begin(self) -> None:
        """Make the vectors that are missing, in the background."""
        if self._placing:
            await self._placing.vectors.begin()
            self._placing.wake()

    async def close(self) -> None:
        """Stop what goes on in the background; vectors that are missing are made after the next start."""
        if self._placing:
            await self._placing.close()

    async def idle(self) -> None:
        """Wait until all vectors are made that can be made now."""
        if self._placing:
            await self._placing.idle()

    async def add(self, user: str, items: Iterable[NewItem | str], *, conversation_id: str | None = None) -> int:
        """Keep items, all of them or, if anything fails, none; how many had any text.

        A text that the user has already, whatever its case and blanks, is counted and takes on role, conversation and
        metadata of now. FieldError or TooLargeError names an item that cannot be kept.
        """
        given = [NewItem(item) if isinstance(item, str) else item for item in items]
        user, conversation_id = check_user(user), check_conversation(conversation_id)
        checked = await asyncio.to_thread(check_items, given, self._settings.max_item_bytes)
        if checked:
            await self._store.add(user, await asyncio.to_thread(prepare, user, checked), conversation_id)
            if self._placing:
                self._placing.wake()
        return len(checked)

    async def list(
        self, user: str, *filters: Mapping[str, Any] | None, offset: int = 0, limit: int = 100
    ) -> MemoryPage:
        """A user's items that have all these fields with these values, newest first."""
        return await self._store.list(check_user(user), conditions(*filters), offset, limit)

    async def search(
        self, user: str, text: str, *filters: Mapping[str, Any] | None, offset: int = 0, limit: int = 100
    ) -> MemoryPage:
        """A user's items that bear on a text and have all these fields with these values, the best first.

        `total` is how many were ranked, some hundred at most.
        """
        wanted = conditions(*filters)
        text = text[:LONGEST_SEARCH]
        async with self._database.connect() as connection:
            await connection.execution_options(begin=None)  # a single look needs no transaction
            owner = await self._store.find_owner(connection, check_user(user))
        if owner is None or not text.strip():
            return MemoryPage((), 0)
        rankings = await self._rankings(owner, text, wanted)
        ranked = fuse(*rankings)
        return MemoryPage(await self._read(user, owner, ranked[offset : offset + limit]), len(ranked))

    async def delete(self, user: str, *filters: Mapping[str, Any] | None) -> int:
        """Delete a user's items that have all these fields with these values; without any, all. How many there were."""
        return await self._store.delete(check_user(user), conditions(*filters))

    async def delete_item(self, user: str, item_id: str) -> None:
        """Delete one item; NotFoundError if this user has no such item."""
        await self._store.delete_item(check_user(user), item_id)

    async def _rankings(self, owner: int, text: str, wanted: Sequence[Condition]) -> Sequence[Numbers]:
        """The numbers of items by words, and by meaning where that can be had."""
        if self._placing is None:
            return [await find_by_words(self._database, owner, telling(text), wanted)]
        found = await all_of(
            (
                find_by_words(self._database, owner, telling(text), wanted),
                self._by_meaning(self._placing, owner, text, wanted),
            )
        )
        return [ranking for ranking in found if ranking is not None]

    async def _by_meaning(self, placing: Placing, owner: int, text: str, wanted: Sequence[Condition]) -> Numbers | None:
        try:
            vector = await placing.place_query(text)
            return None if vector is None else await placing.vectors.find_near(owner, vector, wanted)
        except DatabaseError as error:  # of another length: another process asks another model by this name
            logger.warning("memory is searched by words alone", extra={"cause": error.message})
            return None

    async def _read(self, user: str, owner: int, ranked: Sequence[tuple[int, float]]) -> tuple[MemoryItem, ...]:
        """The items of these numbers, in their order."""
        scores = dict(ranked)
        of_user = memory_items.c.user_id == owner
        query = select(*COLUMNS).where(memory_items.c.id.in_(scores), of_user)
        async with self._database.connect() as connection:
            await connection.execution_options(begin=None)
            rows = {row["id"]: row for row in (await connection.execute(query)).mappings()}
        return tuple(to_item(rows[number], user, score) for number, score in ranked if number in rows)
