"""The database's clock, which all nodes share; their own may differ by minutes."""

from typing import Any

from sqlalchemy import Double
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement


class _Now(FunctionElement[float]):
    """The time in Unix seconds."""

    type = Double()
    inherit_cache = True


@compiles(_Now)
def _now_in_sqlite(*_: Any, **__: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(_Now, "postgresql")
def _now_in_postgresql(*_: Any, **__: Any) -> str:
    return "cast(extract(epoch from clock_timestamp()) as double precision)"


now = _Now()
"""The time in Unix seconds, within a statement."""
