"""What is known of the documents of a bucket, in an SQLite file that follows the manifest; all of it in threads.

It can be lost: rows are made again of the manifest and the folder. It has a rollback journal and not a WAL, for that
would need memory which hosts that share a folder do not share; nothing waits for the disk, for what a power cut damages
is found when the file is opened, and made anew.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import Final, TypeVar

from mediary.buckets.document import Document, State
from mediary.buckets.lookup import look
from mediary.buckets.manifest import Manifest, Signature
from mediary.buckets.naming import WHAT
from mediary.buckets.sqlite_file import connect, is_damage, named_errors, remove, transaction
from mediary.errors import NotFoundError, StoreError
from mediary.storage.files import translated

T = TypeVar("T")

_COLUMNS: Final = tuple(field.name for field in fields(Document))
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM documents"  # noqa: S608 - our own names, as below
_INSERT: Final = f"REPLACE INTO documents ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
_SCHEMA_VERSION = 1
_SCHEMA: Final = f"""
DROP TABLE IF EXISTS documents;
DROP TABLE IF EXISTS followed;
CREATE TABLE documents (position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    {", ".join(column for column in _COLUMNS if column not in ("position", "name"))});
CREATE INDEX by_size ON documents (size, sha256);
CREATE TABLE followed (number INTEGER, size INTEGER, changed INTEGER);
PRAGMA user_version = {_SCHEMA_VERSION};
"""
_ATTEMPTS = 5
_FAILED = "The index of a bucket cannot be read or written"


class Rows:
    """The rows of a bucket's documents. Several processes may have the file open; it may be taken away at any time."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self._path = path
        self._folder = manifest.path.parent
        self._manifest = manifest
        self._turn = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None

    def follow(self) -> None:
        """Come in line with the manifest; for who holds its lock."""
        self._attempt(lambda _: None, self._caught_up)

    def select(self, condition: str, values: Sequence[object] = (), *, held: bool = False) -> list[Document]:
        """The documents that an SQL condition chooses; whoever holds the manifest's lock, and follows it, says so."""
        return self._do(lambda connection: _documents(connection, condition, values), held=held)

    def placed(self, documents: Sequence[Document]) -> list[Document]:
        """The documents with the positions that they get when they are added now; for who holds the manifest's lock."""
        last_of = "SELECT coalesce(max(position), 0) FROM documents"
        (last,) = self._do(lambda connection: connection.execute(last_of).fetchone(), held=True)
        return [replace(document, position=position) for position, document in enumerate(documents, last + 1)]

    def insert(self, documents: Sequence[Document]) -> None:
        """Add rows of documents that the manifest just got; for who holds its lock."""

        def add(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                _insert(connection, documents)
                self._remember(connection)

        self._do(add, held=True)

    def change(self, name: str, changes: Mapping[str, object], *, held: bool = False) -> Document:
        """Change fields of a document; NotFoundError if there is none of that name. `held` as for `select`."""
        settings = ", ".join(f"{column} = ?" for column in changes if column in _COLUMNS)

        def update(connection: sqlite3.Connection) -> list[Document]:
            with transaction(connection):
                connection.execute(f"UPDATE documents SET {settings} WHERE name = ?", (*changes.values(), name))  # noqa: S608
            return _documents(connection, "WHERE name = ?", (name,))

        if found := self._do(update, held=held):
            return found[0]
        raise NotFoundError(f"There is no document {name!r}")

    def counts(self) -> dict[State, int]:
        """How many documents are in each state."""
        return self._do(lambda found: dict(found.execute("SELECT state, count(*) FROM documents GROUP BY state")))

    def close(self) -> None:
        """Close the file; it is opened again by whoever needs it."""
        with self._turn:
            self._close()

    def _do(self, work: Callable[[sqlite3.Connection], T], *, held: bool = False) -> T:
        if held:
            return self._attempt(work, self._held)
        try:
            return self._attempt(work, self._following)
        except _NeverFollowedError:
            # Whoever waits for the manifest must hold nothing that its holder might want.
            with self._manifest.lock():
                return self._attempt(work, self._caught_up)

    def _attempt(self, work: Callable[[sqlite3.Connection], T], opened: Callable[[], sqlite3.Connection]) -> T:
        """Do something with rows that follow the manifest; if their file is damaged or lost, with new ones."""
        with self._turn, self._translated():
            for _ in range(_ATTEMPTS - 1):
                try:
                    return work(opened())
                except sqlite3.DatabaseError as error:
                    if not is_damage(error) and not self._is_lost():
                        raise
                    self._discard()
            return work(opened())

    def _following(self) -> sqlite3.Connection:
        """For who does not hold the manifest's lock: rows that follow it, but for what is being added right now."""
        connection = self._connected()
        followed = _followed(connection)
        if followed != (self._manifest.signature() or (0, 0, 0)):
            with self._manifest.try_lock() as is_ours:
                if is_ours:
                    self._catch_up(connection)
                elif followed is None:
                    raise _NeverFollowedError
        return connection

    def _caught_up(self) -> sqlite3.Connection:
        """For who holds the manifest's lock: rows that follow it."""
        connection = self._connected()
        if _followed(connection) != (self._manifest.signature() or (0, 0, 0)):
            self._catch_up(connection)
        return connection

    def _held(self) -> sqlite3.Connection:
        """For who has held the lock since they did: only a file that took the place of a lost one does not."""
        connection = self._connected()
        if _followed(connection) is None:
            self._catch_up(connection)
        return connection

    def _catch_up(self, connection: sqlite3.Connection) -> None:
        """Make rows of the names that have none; if the manifest is another than before, put all rows in its order."""
        signature = self._manifest.signature()
        names = self._manifest.read()
        known = [name for (name,) in connection.execute("SELECT name FROM documents ORDER BY position")]
        kept = len(known) if names[: len(known)] == known else 0
        old = {} if kept else {document.name: document for document in _documents(connection, "")}
        taken = set(names)
        with transaction(connection):
            if not kept:
                connection.execute("DELETE FROM documents")
            _insert(
                connection,
                [
                    replace(old[name], position=position) if name in old else look(self._folder, name, position, taken)
                    for position, name in enumerate(names[kept:], kept + 1)
                ],
            )
            self._remember(connection, signature)

    def _remember(self, connection: sqlite3.Connection, signature: Signature | None = None) -> None:
        """Write down which manifest the rows follow."""
        connection.execute("DELETE FROM followed")
        values = signature or self._manifest.signature() or (0, 0, 0)
        connection.execute("INSERT INTO followed VALUES (?, ?, ?)", values)

    def _connected(self) -> sqlite3.Connection:
        """The file, opened anew if there is another in its place, or none."""
        if self._connection is not None and self._opened is not None and not self._is_lost():
            return self._connection
        self._close()
        return self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(exist_ok=True)
        except (FileNotFoundError, FileExistsError):  # it can go between two looks
            raise NotFoundError("There is no such bucket") from None
        connection = self._connection = connect(self._path)
        connection.execute("PRAGMA journal_mode = PERSIST")
        connection.execute("PRAGMA synchronous = OFF")
        with transaction(connection):
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != _SCHEMA_VERSION:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    connection.execute(statement)
        (problem,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        try:
            self._opened = self._path.lstat()
        except FileNotFoundError:  # so soon
            raise sqlite3.OperationalError("the file is gone") from None
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = self._opened = None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors by name; whatever fails because the bucket is not there any more is that."""
        try:
            with translated(WHAT), named_errors(_FAILED):
                yield
        except StoreError as error:
            if not self._folder.is_dir():
                raise NotFoundError("There is no such bucket") from error
            raise

    def _is_lost(self) -> bool:
        """Whether the file that was opened, or was to be, is not under its name."""
        try:
            status = self._path.lstat()
        except FileNotFoundError:
            return True
        return self._opened is not None and not os.path.samestat(status, self._opened)

    def _discard(self) -> None:
        """Remove a damaged file, unless somebody has put a new one in its place."""
        opened = self._opened
        self._close()
        with suppress(FileNotFoundError):
            if opened is None or os.path.samestat(self._path.lstat(), opened):
                remove(self._path)


class _NeverFollowedError(Exception):
    """The rows are new, and the manifest is in somebody's hands."""


def _followed(connection: sqlite3.Connection) -> Signature | None:
    """Which manifest the rows follow; None if they are new."""
    followed: Signature | None = connection.execute("SELECT number, size, changed FROM followed").fetchone()
    return followed


def _documents(connection: sqlite3.Connection, condition: str, values: Sequence[object] = ()) -> list[Document]:
    rows = connection.execute(f"{_SELECT} {condition}", values)
    return [Document(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]


def _insert(connection: sqlite3.Connection, documents: Sequence[Document]) -> None:
    connection.executemany(_INSERT, map(astuple, documents))
