"""Search by words: SQLite looks them up in FTS5, PostgreSQL in a GIN index; both weigh them alike.

A user's words are words of their own in the index, so that nobody's search reads what others have. How many items have
a word is known beforehand: the rarest words find, the commonest only weigh what these found. Two of SQLite's or
PostgreSQL's own rankings would differ, and read every place of every word.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Double, Select, column, func, literal, literal_column, select, table, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from mediary.database.engine import Database
from mediary.memory.filters import fulfilling
from mediary.memory.item import Condition
from mediary.memory.ranking import MOST_POSTINGS, Asked, Plan, by_length, make_plan
from mediary.memory.store import EVERY_ITEM, token
from mediary.memory.tables import memory_items, memory_words
from mediary.memory.terms import longest_form, stem

MOST_FOUND = 500
"""Items that a search ranks."""
MOST_FORMS = 8
"""Other forms of a word that are looked up."""
MOST_WITH_FORMS = 24
"""Words of a search whose other forms are looked up; a longer one says enough by itself."""
MOST_ASKED = 32
"""Words and forms that one statement looks up, the rarest first."""

_items = memory_items.c
_words = memory_words.c
_index = table("memory_search", column("rowid"))


async def find_by_words(database: Database, owner: int, asked: Sequence[str], wanted: Sequence[Condition]) -> list[int]:
    """The numbers of the user's items that have any of these words, the best first."""
    async with database.connect() as connection:
        plan = await _plan(connection, owner, asked)
        if not plan.rare:
            return []
        rows = await connection.execute(_ranked(database, owner, plan, wanted))
        weighed = [(by_length(row.weight, row.length), row.id) for row in rows]
    return [number for _, number in sorted(weighed, reverse=True)]


async def _plan(connection: AsyncConnection, owner: int, asked: Sequence[str]) -> Plan:
    """What to look up, of the words and of their forms."""
    counted = select(_words.word, _words["items"].label("number"))
    of_owner = _words.user_id == owner
    found = await connection.execute(counted.where(of_owner, _words.word.in_([EVERY_ITEM, *asked])))
    known = {row.word: row.number for row in found}
    every = known.pop(EVERY_ITEM, 0)
    plan = make_plan(known, await _forms(connection, owner, asked), every)
    return Plan(plan.rare[:MOST_ASKED], plan.common[: MOST_ASKED - len(plan.rare[:MOST_ASKED])])


async def _forms(connection: AsyncConnection, owner: int, asked: Sequence[str]) -> Mapping[str, int]:
    """Words of the user's items that are probably forms of those asked for, and how many items have each."""
    parts = [
        select(
            select(_words.word, _words["items"].label("number"))
            .where(
                _words.user_id == owner,
                _words.word >= begin,
                _words.word < begin + "\U0010ffff",
                func.length(_words.word) <= longest_form(word),
            )
            .order_by(func.length(_words.word))
            .limit(MOST_FORMS)
            .subquery()
        )
        for word in asked[:MOST_WITH_FORMS]
        if (begin := stem(word))
    ]
    if not parts:
        return {}
    return {row.word: row.number for row in await connection.execute(union_all(*parts))}


def _ranked(database: Database, owner: int, plan: Plan, wanted: Sequence[Condition]) -> Select[tuple[int, float, int]]:
    """Number, weight and length of the items that weigh most."""
    rare = [token(owner, each.word) for each in plan.rare]
    parts = [_weighing(each, _having(database, [word])) for each, word in zip(plan.rare, rare, strict=True)]
    parts += [_weighing(each, _having(database, rare, token(owner, each.word))) for each in plan.common]
    found = union_all(*parts).subquery()
    weight = func.sum(found.c.weight).label("weight")
    best = select(found.c.id, weight).group_by(found.c.id).order_by(weight.desc(), found.c.id.desc()).limit(MOST_FOUND)
    if wanted:
        fulfilled = _items.user_id == owner, *fulfilling(wanted, database.dialect)
        best = best.join(memory_items, _items.id == found.c.id).where(*fulfilled)
    ranked = best.subquery()
    rows = select(ranked.c.id, ranked.c.weight, _items.length)
    return rows.join_from(ranked, memory_items, _items.id == ranked.c.id).where(_items.user_id == owner)


def _weighing(asked: Asked, found: Select[tuple[int]]) -> Select[tuple[int, float]]:
    """The items that were found, each with the weight of a word."""
    these = found.subquery()
    return select(these.c.id, literal(asked.weight, Double).label("weight"))


def _having(database: Database, any_of: Sequence[str], also: str | None = None) -> Select[tuple[int]]:
    """The numbers of the newest items that have any of some words, and also that one."""
    if database.dialect == "sqlite":
        question = " OR ".join(f'"{word}"' for word in any_of)
        question = question if also is None else f'({question}) AND "{also}"'
        found = select(_index.c.rowid.label("id")).where(literal_column("memory_search").bool_op("MATCH")(question))
    else:
        words = func.string_to_array(_items.words, literal_column("' '"))
        holding = select(_items.id).where(words.bool_op("&&")(func.string_to_array(" ".join(any_of), " ")))
        if also is not None:
            holding = holding.where(words.bool_op("@>")(func.string_to_array(also, " ")))
        # By itself PostgreSQL would now and then go through all items, newest first, and hope to have enough soon.
        found = select(holding.cte().prefix_with("MATERIALIZED").c.id)
    return found.order_by(literal_column("id").desc()).limit(MOST_POSTINGS)
