"""Strings of bits in the database, and in how many places two of them differ: what finds near vectors among many.

SQLite counts with sqlite-vec, and where Python's sqlite3 cannot load extensions with Python, four times as slowly.
PostgreSQL counts with pgvector, and where that may not be used by itself, half as slowly again.
"""

import logging
import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy import Dialect, LargeBinary, func, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import BindParameter, ColumnElement
from sqlalchemy.types import UserDefinedType

from mediary.database.engine import Database

MAPPED = 2**30
"""Bytes of SQLite's file that are read in place: a scan is a fifth faster."""

logger = logging.getLogger(__name__)

_HAS_PGVECTOR = text("SELECT count(*) FROM pg_proc WHERE proname = 'hamming_distance'")


class BitVarying(UserDefinedType[bytes]):
    """PostgreSQL's type of bits; in Python they are bytes, the first bit the highest."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name."""
        return "BIT VARYING"

    def bind_processor(self, dialect: Dialect) -> Callable[[bytes | None], Any]:
        """How bytes are handed to the driver."""
        from asyncpg import BitString

        return lambda value: None if value is None else BitString.frombytes(value)


Bits = LargeBinary().with_variant(BitVarying(), "postgresql")
"""A string of bits, a multiple of eight long."""


class BitCounter:
    """Counts the bits in which values differ, by the best means that a database has."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._has_extension: bool | None = None

    async def prepare(self, connection: AsyncConnection) -> None:
        """Make a connection count; to be called before `differing` is used on it."""
        if self._database.dialect == "sqlite":
            self._has_extension = await _load(connection)
        elif self._has_extension is None:
            self._has_extension = bool(await connection.scalar(_HAS_PGVECTOR))

    async def extend(self, connection: AsyncConnection) -> None:
        """Bring pgvector into the database, where it is installed and its user may; within a transaction."""
        if self._database.dialect == "postgresql":
            try:
                async with connection.begin_nested():
                    await connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
            except DBAPIError as error:
                logger.info(
                    "pgvector cannot be used; search by meaning goes on without", extra={"cause": str(error.orig)}
                )

    def differing(self, column: ColumnElement[Any], bits: BindParameter[Any]) -> ColumnElement[int]:
        """In how many bits a column differs from a value of the same length."""
        if self._database.dialect == "sqlite":
            if self._has_extension:
                return func.vec_distance_hamming(func.vec_bit(column), func.vec_bit(bits))
            return func.differing_bits(column, bits)
        if self._has_extension:
            return func.hamming_distance(column, bits)
        return func.bit_count(column.bool_op("#")(bits))


async def _load(connection: AsyncConnection) -> bool:
    """Give a connection of SQLite the functions of sqlite-vec, or one in Python; whether it has sqlite-vec."""
    raw = await connection.get_raw_connection()
    if "sqlite_vec" in raw.info:
        return bool(raw.info["sqlite_vec"])
    driver: Any = raw.driver_connection
    try:
        import sqlite_vec

        await driver.enable_load_extension(True)
        await driver.load_extension(sqlite_vec.loadable_path())
        await driver.enable_load_extension(False)
        raw.info["sqlite_vec"] = True
    except (AttributeError, ImportError, sqlite3.Error) as error:
        _tell(str(error))
        await driver.create_function("differing_bits", 2, _differing, deterministic=True)
        raw.info["sqlite_vec"] = False
    await driver.execute(f"PRAGMA mmap_size = {MAPPED}")
    return bool(raw.info["sqlite_vec"])


def _differing(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


_told: set[str] = set()


def _tell(cause: str) -> None:
    """Say once why sqlite-vec is not used."""
    if cause not in _told:
        _told.add(cause)
        logger.warning("sqlite-vec cannot be loaded; large memories are searched more slowly", extra={"cause": cause})
