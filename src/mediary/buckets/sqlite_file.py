"""SQLite files of what can be made again: opening and removing them, what of their errors is damage, errors by name."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from mediary.buckets.naming import WHAT
from mediary.errors import NoSpaceError, StoreError

_BUSY_SECONDS = 30.0
"""How long somebody else may be writing."""

_DAMAGES = {
    sqlite3.SQLITE_ERROR,  # a table is missing
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
}


def connect(path: Path, *, create: bool = True) -> sqlite3.Connection:
    """A connection for one thread at a time, whichever; whoever has it begins and ends transactions."""
    url = f"file:{quote(str(path.absolute()))}?mode={'rwc' if create else 'rw'}"
    return sqlite3.connect(url, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, with no other writer meanwhile."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def remove(path: Path) -> None:
    """Take the file away, so that a new one can be made."""
    # The journal first: a new file must not find it.
    path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is at fault: no database, a broken one, or one that lacks a table."""
    # What has no code, Python itself has found wrong, such as a text that is none.
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF in _DAMAGES or code == sqlite3.SQLITE_IOERR_SHORT_READ


def is_missing(error: sqlite3.Error) -> bool:
    """Whether there was no file to open."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CANTOPEN


@contextmanager
def named_errors(failed: str) -> Iterator[None]:
    """Errors of SQLite as NoSpaceError and StoreError; `failed` says what cannot be done, for the message."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise NoSpaceError(f"The disk of {WHAT} is full") from error
        raise StoreError(f"{failed}: {error}") from error
