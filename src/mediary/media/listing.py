"""Pages of the library, in four orders and through filters, and the pictures that look alike."""

import base64
import binascii
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from sqlalchemy import ColumnElement, Integer, Select, cast, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from mediary.database.engine import Database
from mediary.database.metadata import MAX_COUNT
from mediary.errors import BadRequestError
from mediary.media.item import ItemFilter, ItemPage, MediaItem, Order, first_id
from mediary.media.search import Match, asks, holding, indexed, matching, read_match
from mediary.media.search_text import MAX_TOKENS, fold, kind_token, tag_token
from mediary.media.tables import COLUMNS, live, media_items, to_item

MOST = 500
"""Items of a page."""

_columns = media_items.c
_Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]

# What each order goes by, and whether it begins with the highest; each ends in what no two rows share.
_ORDERS: Mapping[Order, tuple[tuple[ColumnElement[Any], ...], bool]] = MappingProxyType(
    {
        "newest": ((_columns.id,), True),
        "oldest": ((_columns.id,), False),
        "name": ((_columns.name, _columns.id), False),
        "largest": ((_columns.size, _columns.id), True),
    }
)
_CURSORS: Mapping[Order, Any] = MappingProxyType(
    {
        "newest": tuple[str, _Number],
        "oldest": tuple[str, _Number],
        "name": tuple[str, str, _Number],
        "largest": tuple[str, _Number, _Number],
    }
)


async def list_items(
    database: Database, wanted: ItemFilter, order: Order, cursor: str | None = None, limit: int = 50
) -> ItemPage:
    """A page, with the cursor of the next one: it names the last item, so that rows may come and go meanwhile.

    BadRequestError for a cursor that was not handed out for this order, and for a limit that is not of 1 to 500.
    """
    if not 1 <= limit <= MOST:
        raise BadRequestError(f"a page has 1 to {MOST} items, not {limit}")
    by, falling = _ORDERS[order]
    async with database.connect() as connection:
        query, number = _source(await _match(database, connection, wanted), by_number=len(by) == 1)
        by = (*by[:-1], number)
        query = query.where(*_conditions(wanted, number))
        if cursor is not None:
            here, last = tuple_(*by), tuple_(*_read_cursor(cursor, order))
            query = query.where(here < last if falling else here > last)
        query = query.order_by(*(column.desc() if falling else column for column in by)).limit(limit + 1)
        items = [to_item(row) for row in (await connection.execute(query)).mappings()]
    more = len(items) > limit
    return ItemPage(tuple(items[:limit]), _write_cursor(items[limit - 1], order) if more else None)


async def similar(database: Database, item: MediaItem, limit: int) -> list[tuple[MediaItem, int]]:
    """The pictures whose hashes differ from an item's in the fewest of 64 bits, with the number of these bits."""
    distance = _distance(database, item.phash or 0).label("distance")
    nearest = (
        select(_columns.id, distance)
        .where(live, _columns.phash.is_not(None), _columns.id != item.id)
        .order_by(distance, _columns.id.desc())
        .limit(limit)
        .subquery()
    )
    query = select(*COLUMNS, nearest.c.distance).join_from(nearest, media_items, _columns.id == nearest.c.id)
    async with database.connect() as connection:
        await _teach(database, connection)
        rows = await connection.execute(query.order_by(nearest.c.distance, _columns.id.desc()))
        return [(to_item(row), row["distance"]) for row in rows.mappings()]


def _source(match: Match | None, *, by_number: bool) -> tuple[Select[Any], ColumnElement[int]]:
    """The rows that hold what is looked for, and the column that numbers them."""
    rows = select(*COLUMNS)
    if match is None:
        return rows, _columns.id
    if match.phrase is None:
        return rows.where(*holding(_columns, match)), _columns.id
    if not by_number:
        return rows.where(_columns.id.in_(matching(match))), _columns.id
    # SQLite's index has the numbers in order, and is read no further than the page goes.
    number = indexed.c.rowid
    rows = rows.join_from(indexed, media_items, _columns.id == number)
    return rows.where(asks(match.phrase), *holding(_columns, match)), number


def _conditions(wanted: ItemFilter, number: ColumnElement[int]) -> list[ColumnElement[bool]]:
    """What a filter asks of single columns."""
    conditions: list[ColumnElement[bool]] = [_columns.trashed.is_not(None) if wanted.trashed else live]
    conditions += [
        _columns[name] == value
        for name in ("model", "provider", "bucket")
        if (value := getattr(wanted, name)) is not None
    ]
    # The numbers of the rows go with the time, so that the index leads to the right place. One may be moved up a bit.
    if wanted.created_from is not None:
        conditions += [_columns.created >= wanted.created_from, number >= first_id(wanted.created_from)]
    if wanted.created_to is not None:
        conditions += [_columns.created <= wanted.created_to, number < first_id(wanted.created_to + 0.002)]
    return conditions


async def _match(database: Database, connection: AsyncConnection, wanted: ItemFilter) -> Match | None:
    """What a filter asks of the text that is searched, if anything."""
    words = dict.fromkeys(filter(None, map(fold, (wanted.text or "").split())))
    if len(words) > MAX_TOKENS:
        raise BadRequestError(f"a text to look for has {MAX_TOKENS} words at most, not {len(words)}")
    tokens = [*words] if wanted.tag is None else [tag_token(wanted.tag), *words]
    if wanted.kind:
        tokens.insert(0, kind_token(wanted.kind))
    if not tokens:
        return None
    if wanted.trashed:  # no index has them
        return Match(database.dialect, None, tuple(tokens), len(tokens))
    return await read_match(database, connection, tuple(tokens), len(tokens))


def _distance(database: Database, phash: int) -> ColumnElement[int]:
    """The number of bits in which the hash of a row differs."""
    if database.dialect == "sqlite":
        return func.differing_bits(_columns.phash, phash, type_=Integer)
    from sqlalchemy.dialects.postgresql import BIT  # of the two dialects a process loads one

    return func.bit_count(cast(_columns.phash.bitwise_xor(phash), BIT(64)), type_=Integer)


async def _teach(database: Database, connection: AsyncConnection) -> None:
    """Give SQLite the function that it lacks; it calls it in the connection's own thread."""
    if database.dialect == "sqlite":
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.create_function("differing_bits", 2, _differing_bits, deterministic=True)


def _differing_bits(one: int, other: int) -> int:
    return ((one ^ other) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()


def _write_cursor(last: MediaItem, order: Order) -> str:
    values = [getattr(last, column.name) for column in _ORDERS[order][0]]
    return base64.urlsafe_b64encode(msgspec.json.encode([order, *values])).rstrip(b"=").decode()


def _read_cursor(cursor: str, order: Order) -> tuple[Any, ...]:
    """What a cursor says of the last item; BadRequestError if it was not handed out for this order."""
    try:
        data = base64.urlsafe_b64decode(cursor.encode("ascii") + b"==")
        said, *values = msgspec.json.decode(data, type=_CURSORS[order])
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError) as error:
        raise BadRequestError("this cursor was not handed out here") from error
    if said != order:
        raise BadRequestError(f"this cursor belongs to another order: {said!r}")
    return tuple(values)
