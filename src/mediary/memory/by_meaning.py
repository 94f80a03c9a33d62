"""Search by meaning: the bits of all of a user's vectors tell which are near, these vectors which are nearest."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import bindparam, delete, func, insert, select, update

from mediary.database.bits import BitCounter, Bits
from mediary.database.engine import Database
from mediary.memory.filters import fulfilling
from mediary.memory.item import Condition
from mediary.memory.store import NO_MODEL
from mediary.memory.tables import memory_items, memory_signs, memory_vectors
from mediary.memory.vectors import Vector
from mediary.tasks import uninterrupted

MOST_NEAR = 80
"""Items whose vectors are compared."""
MOST_FOUND = 50
"""Items that a search ranks: of those further down, few have to do with it."""

_Rows: TypeAlias = tuple[dict[str, Any], dict[str, Any]]

_items = memory_items.c
_signs = memory_signs.c


@dataclass(slots=True, frozen=True)
class Unplaced:
    """An item that lacks a vector."""

    id: int
    user_id: int
    text: str


class VectorStore:
    """The vectors of one model; `model` is its number."""

    def __init__(self, database: Database, model: int) -> None:
        self._database = database
        self._model = model
        self._counter = BitCounter(database)

    @uninterrupted
    async def begin(self) -> None:
        """Bring into the database what is needed."""
        async with self._database.begin() as connection:
            await self._counter.extend(connection)

    async def find_near(self, owner: int, vector: Vector, wanted: Sequence[Condition]) -> list[int]:
        """The numbers of the user's items that are nearest, the nearest first."""
        async with self._database.connect() as connection:
            await connection.execution_options(begin=None)  # a single look needs no transaction
            await self._counter.prepare(connection)
            near = select(_signs.item).where(_signs.user_id == owner, _signs.model == self._model)
            if wanted:
                near = near.join(memory_items, _items.id == _signs.item)
                near = near.where(*fulfilling(wanted, self._database.dialect))
            differing = self._counter.differing(_signs.signs, bindparam("signs", vector.signs, Bits))
            near = near.order_by(differing).limit(MOST_NEAR)
            query = select(memory_vectors.c.item, memory_vectors.c.vector)
            rows = await connection.execute(query.where(memory_vectors.c.item.in_(near)))
            found = [(number, data) for number, data in rows]
        return await asyncio.to_thread(_nearest, vector, found)

    async def list_unplaced(self, limit: int) -> list[Unplaced]:
        """Items that have no vector of this model, those without any first."""
        columns = (_items.id, _items.user_id, _items.text)
        found: list[Unplaced] = []
        async with self._database.connect() as connection:
            for lacking in (_items.model == NO_MODEL, _items.model > self._model, _items.model < self._model):
                query = select(*columns).where(lacking, _items.model != self._model)
                rows = await connection.execute(query.order_by(_items.id).limit(limit - len(found)))
                found += (Unplaced(row.id, row.user_id, row.text) for row in rows)
                if len(found) == limit:
                    break
        return found

    @uninterrupted
    async def forget_others(self, vector: Vector) -> int:
        """Remove the vectors of this model that are not as long as this one; how many items lack theirs then."""
        length = len(vector.signs) * (8 if self._database.dialect == "postgresql" else 1)
        others = _signs.model == self._model, func.length(_signs.signs) != length
        items = select(_signs.item).where(*others)
        async with self._database.begin() as connection:
            lacking = update(memory_items).where(_items.id.in_(items)).values(model=NO_MODEL)
            forgotten: int = (await connection.execute(lacking)).rowcount
            if forgotten:
                await connection.execute(delete(memory_vectors).where(memory_vectors.c.item.in_(items)))
                await connection.execute(delete(memory_signs).where(*others))
        return forgotten

    @uninterrupted
    async def keep(self, placed: Iterable[tuple[Unplaced, Vector | None]]) -> None:
        """Store vectors, each in the place of an older one; without one an item is not asked about again."""
        given = dict(await asyncio.to_thread(self._rows, placed))
        async with self._database.begin() as connection:
            there = select(_items.id).where(_items.id.in_(given))
            if self._database.dialect == "postgresql":
                there = there.with_for_update(key_share=True)
            numbers = list(await connection.scalars(there))
            await connection.execute(delete(memory_signs).where(_signs.item.in_(numbers)))
            await connection.execute(delete(memory_vectors).where(memory_vectors.c.item.in_(numbers)))
            found = [row for number in numbers if (row := given[number])]
            if found:
                await connection.execute(insert(memory_signs), [signs for signs, _ in found])
                await connection.execute(insert(memory_vectors), [vector for _, vector in found])
            await connection.execute(update(memory_items).where(_items.id.in_(numbers)).values(model=self._model))

    def _rows(self, placed: Iterable[tuple[Unplaced, Vector | None]]) -> list[tuple[int, _Rows | None]]:
        """By the numbers of items the rows of their signs and vectors; for many it takes its time."""
        return [
            (
                item.id,
                (
                    {"user_id": item.user_id, "model": self._model, "item": item.id, "signs": vector.signs},
                    {"item": item.id, "vector": vector.data},
                )
                if vector
                else None,
            )
            for item, vector in placed
        ]


def _nearest(vector: Vector, found: Iterable[tuple[int, bytes]]) -> list[int]:
    ranked = sorted(((vector.nearness(Vector.read(data)), number) for number, data in found), reverse=True)
    return [number for nearness, number in ranked[:MOST_FOUND] if nearness > 0]
