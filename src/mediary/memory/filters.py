"""Conditions on items, as each database says them: equal is what has the same type and the same value."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, cast, exists, false, func, literal, or_, select
from sqlalchemy.types import UserDefinedType

from mediary.database.engine import Dialect
from mediary.database.metadata import clean_text
from mediary.memory.item import Condition, Scalar
from mediary.memory.tables import memory_items

_OWN = ("role", "conversation_id")


class _Jsonb(UserDefinedType[Any]):
    """PostgreSQL's JSON that can be compared."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSONB"


def fulfilling(wanted: Iterable[Condition], dialect: Dialect) -> list[ColumnElement[bool]]:
    """What the row of an item must fulfil."""
    has = _has_in_sqlite if dialect == "sqlite" else _has_in_postgresql
    return [_own(each) if each.name in _OWN else has(clean_text(each.name), _clean(each.value)) for each in wanted]


def _own(condition: Condition) -> ColumnElement[bool]:
    column = memory_items.c[condition.name]
    match condition.value:
        case None:
            return column.is_(None)
        case str() as text:
            return column == text
        case _:
            return false()


def _has_in_sqlite(name: str, value: Scalar) -> ColumnElement[bool]:
    field = func.json_each(memory_items.c.metadata).table_valued("key", "value", "type", name="field")
    match value:
        case None | bool():
            same = [field.c.type == json.dumps(value)]
        case str():
            same = [field.c.type == "text", field.c.value == value]
        case _:
            same = [or_(field.c.type == "integer", field.c.type == "real"), field.c.value == value]
    return exists(select(literal(1)).select_from(field).where(field.c.key == name, *same))


def _has_in_postgresql(name: str, value: Scalar) -> ColumnElement[bool]:
    field = cast(memory_items.c.metadata, _Jsonb).bool_op("->")(literal(name))
    return field.bool_op("=")(cast(literal(json.dumps(value)), _Jsonb))


def _clean(value: Scalar) -> Scalar:
    return clean_text(value) if isinstance(value, str) else value
