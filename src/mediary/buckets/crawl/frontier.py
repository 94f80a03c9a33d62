"""What a crawl knows, in `.mediary/crawl.db`: what is still to be fetched, and what came of the rest.

It can be lost: then all is fetched again. Everything here blocks and belongs into a thread; only who holds the lock of
the crawl changes anything.
"""

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from msgspec import json

from mediary.buckets.crawl.base import CrawlState, Failure, Kind
from mediary.buckets.naming import WHAT
from mediary.buckets.sqlite_file import connect, is_damage, named_errors, remove, transaction
from mediary.storage.files import translated

T = TypeVar("T")
Outcome = Kind | Literal["moved"]

_VERSION = 1
_TABLES = f"""
DROP TABLE IF EXISTS crawl; DROP TABLE IF EXISTS pages; DROP TABLE IF EXISTS visits;
CREATE TABLE crawl (list TEXT NOT NULL, turn INTEGER NOT NULL, finished INTEGER NOT NULL DEFAULT 0,
    ended_by TEXT, bytes INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0);
CREATE TABLE pages (url TEXT PRIMARY KEY, turn INTEGER NOT NULL, outcome TEXT NOT NULL, reason TEXT, name TEXT,
    digest TEXT, etag TEXT, modified TEXT, same_as TEXT, links TEXT NOT NULL);
CREATE INDEX by_digest ON pages (digest);
CREATE INDEX by_turn ON pages (turn, outcome);
CREATE TABLE visits (id INTEGER PRIMARY KEY, entry INTEGER NOT NULL, url TEXT NOT NULL, depth INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0, UNIQUE (entry, url));
CREATE INDEX waiting ON visits (done, entry, depth, id);
PRAGMA user_version = {_VERSION};
"""
_BROUGHT = (
    "SELECT count(*) FROM pages, crawl WHERE pages.turn = crawl.turn AND outcome IN ('page', 'file', 'unchanged')"
)
_TOTAL = "SELECT count(*) FROM visits"
_MOST_FAILURES = 1000


@dataclass(slots=True, frozen=True)
class Visit:
    """A URL that is to be fetched for an entry of the list."""

    id: int
    url: str
    depth: int


@dataclass(slots=True, frozen=True, kw_only=True)
class Row:
    """What came of a URL, and in which turn: `outcome` is a kind of progress, or "moved" (then see `same_as`).

    `name` is what it is called in the bucket, `digest` that of its text; `etag` and `modified` are for asking again.
    """

    url: str
    turn: int = 0
    outcome: Outcome
    reason: str | None = None
    name: str | None = None
    digest: str | None = None
    etag: str | None = None
    modified: str | None = None
    same_as: str | None = None
    links: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Standing:
    """Where a crawl stands: its turn, and what it has used of its limits so far."""

    turn: int
    finished: bool
    count: int
    total: int
    bytes: int
    seconds: float


class Frontier:
    """The file at `path`; made where there is none, and made anew if it is damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def begin(self, list_id: str, starts: Sequence[tuple[int, str]], again: Collection[int]) -> Standing:
        """Begin the crawl of a list, or go on with it; one that is finished goes on with the entries in `again`."""

        def work(base: sqlite3.Connection) -> Standing:
            row = base.execute("SELECT list, turn, finished FROM crawl").fetchone()
            known, turn, finished = row or ("", 0, 1)
            entries = {entry for entry, _ in starts} if known != list_id else set(again) if finished else set()
            if entries:
                base.execute("DELETE FROM crawl")
                base.execute("DELETE FROM visits")
                base.execute("INSERT INTO crawl (list, turn) VALUES (?, ?)", (list_id, turn + 1))
                _add(base, ((entry, url, 0) for entry, url in starts if entry in entries), len(starts))
            return _standing(base)

        return self._do(work)

    def standing(self, list_id: str) -> Standing | None:
        """Where the crawl of a list stands; None if it was never begun."""

        def work(base: sqlite3.Connection) -> Standing | None:
            row = base.execute("SELECT list FROM crawl").fetchone()
            return _standing(base) if row and row[0] == list_id else None

        return self._do(work)

    def waiting(self, entry: int, limit: int) -> list[Visit]:
        """The next visits of an entry, those of the least depth first."""
        statement = "SELECT id, url, depth FROM visits WHERE done = 0 AND entry = ? ORDER BY depth, id LIMIT ?"
        return self._do(lambda base: [Visit(*row) for row in base.execute(statement, (entry, limit))])

    def find(self, url: str) -> Row | None:
        """What came of a URL, in this turn or before."""
        return self._do(lambda base: next(_rows(base, "WHERE url = ?", (url,)), None))

    def find_text(self, digest: str, turn: int) -> Row | None:
        """The page of a turn that has this text."""
        condition = "WHERE digest = ? AND turn = ? AND name IS NOT NULL"
        return self._do(lambda base: next(_rows(base, condition, (digest, turn)), None))

    def record(
        self, entry: int, visit: Visit, rows: Iterable[Row], links: Iterable[str], used: tuple[int, float], most: int
    ) -> tuple[int, int]:
        """Write down what came of a visit, all or nothing; (count, total) after it.

        `links` are visited next, as long as the crawl has fewer than `most` URLs; `used` are the bytes and seconds of
        the crawl so far.
        """

        def work(base: sqlite3.Connection) -> tuple[int, int]:
            for row in rows:
                values = (*(getattr(row, column) for column in _COLUMNS[:-1]), json.encode(row.links).decode())
                base.execute(_REPLACE, values)
            base.execute("UPDATE visits SET done = 1 WHERE id = ?", (visit.id,))
            _add(base, ((entry, link, visit.depth + 1) for link in links), most)
            base.execute("UPDATE crawl SET bytes = ?, seconds = ?", used)
            return _one(base, _BROUGHT), _one(base, _TOTAL)

        return self._do(work)

    def finish(self, ended_by: str | None, used: tuple[int, float]) -> None:
        """The crawl is over; `ended_by` is the limit that ended it."""

        def work(base: sqlite3.Connection) -> None:
            base.execute("UPDATE crawl SET finished = 1, ended_by = ?, bytes = ?, seconds = ?", (ended_by, *used))

        self._do(work)

    def state(self, list_id: str) -> CrawlState:
        """How far the crawl of a list is."""

        def work(base: sqlite3.Connection) -> CrawlState:
            row = base.execute("SELECT list, turn, finished, ended_by FROM crawl").fetchone()
            if row is None or row[0] != list_id:
                return CrawlState(state="waiting")
            standing = _standing(base)
            failed = "WHERE turn = ? AND outcome = 'failed' ORDER BY rowid LIMIT ?"
            return CrawlState(
                state="finished" if standing.finished else "running",
                count=standing.count,
                total=standing.total,
                bytes=standing.bytes,
                limit=row[3],
                failures=tuple(
                    Failure(found.url, found.reason or "") for found in _rows(base, failed, (row[1], _MOST_FAILURES))
                ),
            )

        return self._do(work)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something in one transaction; if the file is damaged, with a new one."""
        with self._lock, named_errors("What a crawl knows cannot be kept"):
            try:
                return self._transact(work)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._close()
                with translated(WHAT):
                    remove(self._path)
                return self._transact(work)

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        base = self._opened()
        with transaction(base):
            if _one(base, "PRAGMA user_version") != _VERSION:
                for statement in _TABLES.split(";"):
                    base.execute(statement)
            return work(base)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            with translated(WHAT, self._path.name):
                self._path.parent.mkdir(exist_ok=True)
            self._connection = connect(self._path)
            # Nothing waits for the disk: what a power cut takes is fetched again.
            self._connection.execute("PRAGMA synchronous = OFF")
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_COLUMNS = Row.__slots__
_REPLACE = f"REPLACE INTO pages ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - our own names
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM pages"  # noqa: S608 - as above


def _rows(base: sqlite3.Connection, condition: str, values: Sequence[object]) -> Iterator[Row]:
    for *fields, links in base.execute(f"{_SELECT} {condition}", values):
        named = dict(zip(_COLUMNS, fields, strict=False))
        yield Row(**named, links=json.decode(links, type=tuple[str, ...]))


def _add(base: sqlite3.Connection, visits: Iterable[tuple[int, str, int]], most: int) -> None:
    """Add visits of URLs that an entry does not know yet, as long as there are fewer than `most`."""
    room = most - _one(base, _TOTAL)
    for visit in visits:
        if room <= 0:
            break
        room -= base.execute("INSERT OR IGNORE INTO visits (entry, url, depth) VALUES (?, ?, ?)", visit).rowcount


def _standing(base: sqlite3.Connection) -> Standing:
    turn, finished, received, seconds = base.execute("SELECT turn, finished, bytes, seconds FROM crawl").fetchone()
    return Standing(turn, bool(finished), _one(base, _BROUGHT), _one(base, _TOTAL), received, seconds)


def _one(base: sqlite3.Connection, statement: str) -> int:
    (found,) = base.execute(statement).fetchone()
    return int(found)
