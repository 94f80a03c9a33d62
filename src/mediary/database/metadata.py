"""What all tables share: the metadata they are declared on, and the column types."""

import math
from typing import Any

from sqlalchemy import JSON, BigInteger, Dialect, Integer, MetaData, Text
from sqlalchemy.types import TypeDecorator

HEAD = "0008"
"""The newest migration; a database at this revision is opened without Alembic."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = BigInteger().with_variant(Integer(), "sqlite")
"""A row's number. SQLite counts by itself only in a column that is called INTEGER."""

MAX_COUNT = 2**63 - 1


def clean_text(text: str) -> str:
    """The text without what a database refuses: NUL (PostgreSQL) and lone surrogates (both)."""
    if text.isprintable():  # as nearly all are
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def clean_json(value: Any) -> Any:
    """A JSON value with its texts cleaned, and None for numbers that JSON does not know."""
    match value:
        case str():
            return clean_text(value)
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {clean_text(str(name)): clean_json(item) for name, item in value.items()}
        case list() | tuple():
            return [clean_json(item) for item in value]
        case _:
            return value


class CleanText(TypeDecorator[str]):
    """Text from outside: a prompt, a model's name, a provider's words."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Clean the text on its way in."""
        return None if value is None else clean_text(value)


Name = CleanText().with_variant(CleanText(collation="C"), "postgresql")
"""A text that sorts by its bytes, in SQLite as in PostgreSQL."""


class CleanJSON(TypeDecorator[Any]):
    """JSON from outside, kept as the text it is."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Clean the value on its way in."""
        return clean_json(value)


class Count(TypeDecorator[int]):
    """A count from outside, held between 0 and the largest integer of 64 bits."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        """Bring the number within bounds."""
        return None if value is None else min(max(value, 0), MAX_COUNT)
