"""The full-text index of a bucket: `.mediary/passages.db`, made of its texts and made again when it is lost.

It holds where each passage lies in its document's text and which words it has, not the text itself. All of this blocks:
it is done in threads.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

from mediary.buckets.naming import WHAT
from mediary.buckets.sqlite_file import connect, is_damage, is_missing, named_errors, remove
from mediary.errors import StoreError
from mediary.passages.cut import Cut, cut
from mediary.passages.passage import Passage
from mediary.passages.rank import Scorer, Term, choose, spaced, spread, terms_of, worth_asking
from mediary.storage.files import opened, translated

T = TypeVar("T")

VERSION = 1
"""Of the tables and of how texts are cut; an index of another version is made anew."""
CANDIDATES = 200
"""Passages whose text is looked at for one question."""

_BLOCK = 256 * 1024
_BATCH = 4096  # passages of one transaction: about 4 MB of text
_SPARE = 1000  # passages of texts that are gone, which may lie in the index beside those that are there
_FAILED = "The index of a bucket cannot be used"

# Words of a contentless table cannot be taken out: their passages are, and numbers are never used again.
_TABLES = f"""
CREATE TABLE documents (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, mark TEXT);
CREATE TABLE passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL,
    start INTEGER NOT NULL, size INTEGER NOT NULL, context TEXT NOT NULL
);
CREATE INDEX passages_of_document ON passages (document);
CREATE VIRTUAL TABLE words USING fts5(
    context, body, content='', tokenize="unicode61 remove_diacritics 0 categories 'L* N* Co Mn Mc'"
);
PRAGMA user_version = {VERSION};
"""
_FIND = """
SELECT documents.name, passages.start, passages.size, passages.context
FROM words JOIN passages ON passages.id = words.rowid JOIN documents ON documents.id = passages.document
WHERE words MATCH :expression AND documents.mark IS NOT NULL AND documents.name = coalesce(:document, documents.name)
ORDER BY bm25(words, 0.5, 1.0) LIMIT :most
"""
_OPENINGS = """
SELECT documents.name, passages.start, passages.size, passages.context
FROM documents JOIN passages ON passages.id = (SELECT min(id) FROM passages WHERE document = documents.id)
WHERE documents.mark IS NOT NULL AND documents.name = coalesce(:document, documents.name)
"""

Found = tuple[str, int, int, str]


class IndexDamagedError(StoreError):
    """The index is lost, damaged or of another version; it has to be made anew."""


class PassageIndex:
    """The index at `path` over `texts`, the files of a bucket's texts by the names of their documents."""

    def __init__(self, path: Path, texts: Mapping[str, Path]) -> None:
        self._path = path
        self._texts = texts

    def is_current(self) -> bool:
        """Whether it holds the texts as they are now; IndexDamagedError if it cannot be told."""
        return self._on_index(_known) == self._marks()

    def update(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Take in what is new, leave out what is gone; it returns early once `stopped` says so.

        For one at a time, who has the claim of the index.
        """
        marks = self._marks()
        self._on_index(lambda index: self._take_in(index, marks, stopped))

    def create(self) -> None:
        """An empty index in the place of whatever is there; for who has the claim of it."""
        with translated(WHAT):
            remove(self._path)
            with named_errors(_FAILED), closing(connect(self._path)) as index:
                index.executescript(f"BEGIN; {_TABLES} COMMIT;")

    def find(self, question: str, max_chars: int, document: str | None = None) -> list[Passage]:
        """The passages that bear on a question, best first, with at most `max_chars` characters together."""
        return self._on_index(lambda index: self._find(index, question, max_chars, document))

    def openings(self, max_chars: int, document: str | None = None) -> list[Passage]:
        """How the documents begin, in their order."""

        def read(index: sqlite3.Connection) -> list[Passage]:
            found = {row[0]: row for row in index.execute(_OPENINGS, {"document": document})}
            in_order = (found[name] for name in self._texts if name in found)
            return list(spread((Passage(name, body) for name, _, body in self._read(in_order)), max_chars))

        return self._on_index(read)

    def _marks(self) -> dict[str, str]:
        return {name: mark for name, path in self._texts.items() if (mark := _mark(path))}

    def _find(self, index: sqlite3.Connection, question: str, max_chars: int, document: str | None) -> list[Passage]:
        [number] = index.execute("SELECT count(*) FROM passages").fetchone()
        held = {term: _held(index, term, number) for term in terms_of(question)}
        terms = worth_asking(list(held), held, number)
        if not terms:
            return []
        expression = " OR ".join(term.expression for term in terms)
        wanted = {"expression": expression, "document": document, "most": CANDIDATES}
        found = index.execute(_FIND, wanted).fetchall()
        scorer = Scorer(terms, held, number)
        scored = (
            Passage(name, _under(context, body), scorer.score(body, f"{name}\n{context}"))
            for name, context, body in self._read(found)
        )
        return choose(scored, max_chars)

    def _read(self, found: Iterable[Found]) -> Iterator[tuple[str, str, str]]:
        """The document, the context and the text of what was found; a document whose file is gone has none."""
        for name, start, size, context in found:
            if name not in self._texts:
                continue
            with suppress(OSError), opened(self._texts[name], os.O_RDONLY) as descriptor:
                text = os.pread(descriptor, size, start).decode("utf-8", "replace").strip()
                if text:
                    yield name, context, text

    def _take_in(self, index: sqlite3.Connection, marks: Mapping[str, str], stopped: Callable[[], bool]) -> None:
        known = _known(index)
        with _Batches(index) as batches:
            for name in known:
                if known[name] is None or known[name] != marks.get(name):
                    _forget(index, name)
            for name, mark in marks.items():
                if known.get(name) != mark and not stopped():
                    self._add(index, batches, name, mark, stopped)

    def _add(
        self, index: sqlite3.Connection, batches: "_Batches", name: str, mark: str, stopped: Callable[[], bool]
    ) -> None:
        """Index a text, in batches; its mark is written with the last of them, so that a half is known for one."""
        try:
            with opened(self._texts[name], os.O_RDONLY) as descriptor:
                cuts = cut(iter(lambda: os.read(descriptor, _BLOCK), b""))
                document = index.execute("INSERT INTO documents (name) VALUES (?)", (name,)).lastrowid
                assert document is not None
                while batch := list(islice(cuts, _BATCH)):
                    if stopped():
                        return
                    _insert(index, document, name, batch)
                    batches.count(len(batch))
        except FileNotFoundError:
            return  # it went meanwhile
        index.execute("UPDATE documents SET mark = ? WHERE id = ?", (mark, document))

    def _on_index(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do it on the index as it is."""
        with named_errors(_FAILED):
            try:
                with closing(connect(self._path, create=False)) as index:
                    index.execute("PRAGMA synchronous = NORMAL")
                    if index.execute("PRAGMA user_version").fetchone() != (VERSION,):
                        raise IndexDamagedError("it is of another version")
                    return work(index)
            except sqlite3.DatabaseError as error:
                if is_damage(error) or is_missing(error):
                    raise IndexDamagedError(str(error)) from error
                raise


def _under(context: str, text: str) -> str:
    return f"{context}\n\n{text}" if context else text


def _mark(path: Path) -> str | None:
    """What changes with a text; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return f"{status.st_size:x}-{status.st_mtime_ns:x}"


def _known(index: sqlite3.Connection) -> dict[str, str | None]:
    """The documents in the index, with their marks; None where only a part of one is in it."""
    [left] = index.execute("SELECT count(*) FROM passages").fetchone()
    ever = _last(index)
    if ever - left > left + _SPARE:
        raise IndexDamagedError("most of it is of texts that are gone")
    return dict(index.execute("SELECT name, mark FROM documents").fetchall())


def _last(index: sqlite3.Connection) -> int:
    """The highest number that a passage ever had."""
    found = index.execute("SELECT seq FROM sqlite_sequence WHERE name = 'passages'").fetchone()
    return int(found[0]) if found else 0


def _forget(index: sqlite3.Connection, name: str) -> None:
    index.execute("DELETE FROM passages WHERE document = (SELECT id FROM documents WHERE name = ?)", (name,))
    index.execute("DELETE FROM documents WHERE name = ?", (name,))


def _insert(index: sqlite3.Connection, document: int, name: str, batch: list[Cut]) -> None:
    """Passages with their words; the name of a document is among those of each."""
    last = _last(index)
    index.executemany(
        "INSERT INTO passages (id, document, start, size, context) VALUES (?, ?, ?, ?, ?)",
        ((number, document, made.start, made.size, made.context) for number, made in enumerate(batch, last + 1)),
    )
    index.executemany(
        "INSERT INTO words (rowid, context, body) VALUES (?, ?, ?)",
        ((number, spaced(f"{name}\n{made.context}"), spaced(made.text)) for number, made in enumerate(batch, last + 1)),
    )


class _Batches:
    """Transactions of many small changes: each waits for the disk, so that one for each document would take seconds."""

    def __init__(self, index: sqlite3.Connection) -> None:
        self._index = index
        self._passages = 0

    def count(self, passages: int) -> None:
        """Have written what is enough for one transaction."""
        self._passages += passages
        if self._passages >= _BATCH:
            self._index.execute("COMMIT")
            self._index.execute("BEGIN IMMEDIATE")
            self._passages = 0

    def __enter__(self) -> Self:
        self._index.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self._index.in_transaction:  # the system ends one itself when the disk is full
            self._index.execute("ROLLBACK" if error else "COMMIT")


def _held(index: sqlite3.Connection, term: Term, number: int) -> int:
    """In how many passages a term is, as far as it matters."""
    counted = "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)"
    [held] = index.execute(counted, (term.expression, number + 1)).fetchone()
    return int(held)
