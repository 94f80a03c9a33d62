"""Search: which items hold the tokens, newest first.

An item counts one for each token that is a substring of its `search_text`. SQLite finds them in an index of trigrams
that gives them newest first, one by one; PostgreSQL in its newest rows, then through pg_trgm where it has that.
"""

import re
import sys
from dataclasses import dataclass
from random import Random
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    bindparam,
    case,
    column,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from mediary.database.engine import Database, Dialect
from mediary.media.item import Found, MediaItem, SearchQuery
from mediary.media.search_text import hidden_type, read_tokens
from mediary.media.tables import COLUMNS, live, media_items, to_item

TRIGRAM = 3
LONGEST_PHRASE = 32
"""Characters of a token that are looked up in SQLite's index; the rest is compared with the rows that are found."""
MOST_TERMS = 64
"""Trigrams that a shorter token may begin: one that begins more is so common that reading rows finds it sooner."""
NEWEST = 2000
"""Rows that PostgreSQL reads before it asks its index."""

_SPECIAL, _ESCAPED = re.compile(r"[\\%_]"), r"\\\g<0>"

_columns = media_items.c
indexed = table("media_search", column("rowid"))
"""SQLite's index of all live rows by their trigrams; it gives ids in order without sorting them."""

# Jumps from each trigram that begins with a token to the next; reading on would mean every place of each.
_TERMS = text(
    """
    WITH RECURSIVE terms (term) AS (
        SELECT (SELECT term FROM media_vocabulary WHERE term >= :token AND term <= :end LIMIT 1)
        UNION ALL
        SELECT (SELECT term FROM media_vocabulary WHERE term >= terms.term || char(1) AND term <= :end LIMIT 1)
        FROM terms WHERE terms.term IS NOT NULL
    )
    SELECT term FROM terms WHERE term IS NOT NULL LIMIT :most
    """
)


@dataclass(slots=True, frozen=True)
class Match:
    """What a row must fulfil: `phrase` is a question to SQLite's index; of `tokens` it must hold at least `least`."""

    dialect: Dialect
    phrase: str | None
    tokens: tuple[str, ...] = ()
    least: int = 0


async def search(database: Database, query: SearchQuery, *, count: bool = False) -> Found:
    """The items that are asked for, and how many there are if that is to be counted or one is picked by chance."""
    tokens = read_tokens(query.tokens)
    least = len(tokens) if query.least is None else query.least
    skip, limit = query.skip, query.limit
    async with database.connect() as connection:
        counted = count or query.seed is not None
        if not counted:  # a single look needs no transaction: that saves two steps of the four
            await connection.execution_options(begin=None)
        match = await read_match(database, connection, tokens, least)
        total = None
        if counted:
            total = await connection.scalar(select(func.count()).select_from(matching(match).subquery())) or 0
        if query.seed is not None and total is not None:
            if total <= skip:
                return Found((), total)
            skip, limit = skip + Random(query.seed).randrange(total - skip), 1  # noqa: S311 - no secret
        newest = _newest_in_sqlite if database.dialect == "sqlite" else _newest_in_postgresql
        return Found(tuple(await newest(connection, match, skip, limit)), total)


async def read_match(database: Database, connection: AsyncConnection, tokens: tuple[str, ...], least: int) -> Match:
    """What the rows must fulfil that hold at least `least` of these tokens."""
    if database.dialect == "postgresql" or not 0 < least <= len(tokens):
        return Match(database.dialect, None, tokens, least)
    if least == len(tokens):
        found = {token: await _phrase(connection, token) for token in tokens}
        unsure = tuple(token for token, phrase in found.items() if phrase is None or len(token) > LONGEST_PHRASE)
        phrase = " AND ".join(filter(None, found.values())) or None
        return Match("sqlite", phrase, unsure, len(unsure))
    # Whoever holds `least` of the tokens holds one of any so many: the longest are the rarest.
    needed = sorted(tokens, key=len, reverse=True)[: len(tokens) - least + 1]
    phrases = [await _phrase(connection, token) for token in dict.fromkeys(needed)]
    if None in phrases:
        return Match(database.dialect, None, tokens, least)
    phrase = " OR ".join(filter(None, phrases))
    is_sure = least == 1 and all(len(token) <= LONGEST_PHRASE for token in needed)
    return Match("sqlite", phrase) if is_sure else Match("sqlite", phrase, tokens, least)


def matching(match: Match) -> Select[Any]:
    """The ids (`id`) of the live rows that fulfil it."""
    if match.phrase is None:
        return select(_columns.id).where(live, *holding(_columns, match))
    found = select(indexed.c.rowid.label("id")).where(asks(match.phrase))
    if match.tokens:
        found = found.join(media_items, _columns.id == indexed.c.rowid).where(*holding(_columns, match))
    return found


def asks(phrase: str | BindParameter[str]) -> ColumnElement[bool]:
    """The condition that a row of SQLite's index (`indexed`) fulfils a phrase."""
    return literal_column("media_search").bool_op("MATCH")(phrase)


def _newest(ids: Select[Any]) -> Select[Any]:
    """The rows of the newest ids; those that are skipped are not read."""
    number = ids.selected_columns[0]
    newest = ids.order_by(number.desc()).limit(bindparam("limit")).offset(bindparam("skip")).subquery()
    rows = select(*COLUMNS).join_from(newest, media_items, _columns.id == newest.c.id)
    return rows.order_by(newest.c.id.desc())


# Nearly every search is this one; to put it together takes longer than to answer it.
_NEWEST_BY_PHRASE = _newest(select(indexed.c.rowid.label("id")).where(asks(bindparam("phrase"))))


async def _newest_in_sqlite(connection: AsyncConnection, match: Match, skip: int, limit: int) -> list[MediaItem]:
    query = _newest(matching(match)) if match.tokens or match.phrase is None else _NEWEST_BY_PHRASE
    asked = {"skip": skip, "limit": limit} | ({"phrase": match.phrase} if query is _NEWEST_BY_PHRASE else {})
    return [to_item(row) for row in (await connection.execute(query, asked)).mappings()]


async def _newest_in_postgresql(connection: AsyncConnection, match: Match, skip: int, limit: int) -> list[MediaItem]:
    """What is common is found in the newest rows, what is rare through the index; no plan has to guess which it is."""
    newest = select(*COLUMNS, _columns.search_text).where(live).order_by(_columns.id.desc()).limit(NEWEST).subquery()
    rows = select(*(newest.c[column.name] for column in COLUMNS)).where(*holding(newest.c, match))
    page = await _page(connection, rows, newest.c.id, skip, limit)
    if len(page) == limit:
        return page
    ids = matching(match).cte("matching").prefix_with("MATERIALIZED")
    rows = select(*COLUMNS).join_from(ids, media_items, _columns.id == ids.c.id)
    return await _page(connection, rows, _columns.id, skip, limit)


async def _page(
    connection: AsyncConnection, rows: Select[Any], by: ColumnElement[int], skip: int, limit: int
) -> list[MediaItem]:
    found = await connection.execute(rows.order_by(by.desc()).limit(limit).offset(skip))
    return [to_item(row) for row in found.mappings()]


async def _phrase(connection: AsyncConnection, token: str) -> str | None:
    """What SQLite's index is asked for a token, None for one that is too common to ask."""
    if len(token) >= TRIGRAM:
        return _quoted(token[:LONGEST_PHRASE])
    bounds = {"token": token, "end": token + 2 * chr(sys.maxunicode), "most": MOST_TERMS + 1}
    terms = list(await connection.scalars(_TERMS, bounds))
    if len(terms) > MOST_TERMS:
        return None
    # A phrase that is too short for a trigram is found nowhere.
    return f"({' OR '.join(map(_quoted, terms))})" if terms else _quoted(token)


def _quoted(phrase: str) -> str:
    return '"' + phrase.replace('"', '""') + '"'


def holding(columns: Any, match: Match) -> list[ColumnElement[bool]]:
    """The conditions that `tokens` and `least` put on the columns of a row."""
    tokens, least = match.tokens, match.least
    if least <= 0:
        return []
    if least > len(tokens):
        return [false()]
    holds = {token: _holds(columns, token, match.dialect) for token in tokens}
    if least == len(tokens):
        return [*holds.values()]
    needed = sorted(tokens, key=len, reverse=True)[: len(tokens) - least + 1]
    one = or_(*(holds[token] for token in needed))
    counted: ColumnElement[int] = sum((case((holds[token], 1), else_=0) for token in tokens), start=literal(0))
    return [one] if least == 1 else [one, counted >= least]


def _holds(columns: Any, token: str, dialect: Dialect) -> ColumnElement[bool]:
    """Whether a row's text has a token in it, said so that PostgreSQL can use its indexes."""
    kind, media_type = hidden_type(token)
    if kind:
        return cast("ColumnElement[bool]", columns.kind == kind)
    if media_type:
        return cast("ColumnElement[bool]", columns.media_type == media_type)
    if dialect == "sqlite":
        return func.instr(columns.search_text, token) > 0
    return cast("ColumnElement[bool]", columns.search_text.like(f"%{_SPECIAL.sub(_ESCAPED, token)}%"))
