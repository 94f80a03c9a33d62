"""Plain text in any encoding, tables of separated values, and what is read best as its source: code, JSON, XML."""

import csv
from collections.abc import Iterator
from io import StringIO
from typing import BinaryIO

from mediary.extractors import charset, markdown
from mediary.extractors.base import Piece, Wanted

# A larger table is read by nobody, and its bars cost more than its values.
_TABLE_ROWS = 2000
_TABLE_COLUMNS = 100
_TABLE_CHARACTERS = 2 * 1024**2

_PROSE = {"text/plain", "text/markdown"}
_TABLES = {"text/csv": ("csv", ",;\t|"), "text/tab-separated-values": ("tsv", "\t")}
_LANGUAGES = {
    "application/json": "json",
    "application/x-ndjson": "json",
    "application/x-yaml": "yaml",
    "application/toml": "toml",
    "application/xml": "xml",
    "application/rss+xml": "xml",
    "application/atom+xml": "xml",
    "application/xml+opml": "xml",
    "application/x-latex": "latex",
    "application/x-typst": "typst",
    "application/x-subrip": "srt",
    "image/svg+xml": "xml",
    "text/vtt": "vtt",
}


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """Prose as it is, a table as a table, all else as a code block with the name of its language."""
    if wanted.media_type in _PROSE:
        return markdown.pieces(charset.text_of(source))
    if wanted.media_type in _TABLES:
        return markdown.pieces(_table(source, *_TABLES[wanted.media_type]))
    language = _LANGUAGES.get(wanted.media_type) or wanted.media_type.rpartition("/")[2].removeprefix("x-")
    return markdown.pieces(_fenced(source, language))


def _fenced(source: BinaryIO, language: str) -> Iterator[str]:
    """The source in a fence that is longer than any in it: read twice, so that it need not be kept."""
    encoding = charset.detect(source.read(charset.SAMPLE))
    source.seek(0)
    fence = markdown.fence(max(_longest_fence(source, encoding), 2))
    source.seek(0)
    yield f"{fence}{language}\n"
    last = "\n"
    for text in charset.text_of(source, encoding):
        yield text
        last = text[-1:] or last
    yield fence + "\n" if last == "\n" else f"\n{fence}\n"


def _longest_fence(source: BinaryIO, encoding: str) -> int:
    longest, rest = 0, ""
    for text in charset.text_of(source, encoding):
        if "```" in text or "`" in text[:3] or rest:
            longest = max(longest, markdown.longest_fence(rest + text))
        # A fence may lie across two pieces.
        last = text.rfind("\n") + 1
        rest = text[last:] if "`" in text[last:] and len(text) - last < 1000 else ""
    return longest


def _table(source: BinaryIO, language: str, separators: str) -> Iterator[str]:
    """A table as Markdown; one that is large, or that only looks like one, as its source."""
    if rows := _rows(_short(charset.text_of(source)), separators):
        yield markdown.table(rows) + "\n"
        return
    source.seek(0)
    yield from _fenced(source, language)


def _short(texts: Iterator[str]) -> str:
    """The whole text if a table can be made of it, else nothing."""
    kept: list[str] = []
    for text in texts:
        kept.append(text)
        if sum(map(len, kept)) > _TABLE_CHARACTERS:
            return ""
    return "".join(kept)


def _rows(text: str, separators: str) -> list[list[str]]:
    """The values of a table; nothing if it is too large or its rows have nothing in common."""
    if not text or text.count("\n") > 2 * _TABLE_ROWS:
        return []
    try:
        rows = list(csv.reader(StringIO(text), delimiter=_separator(text[:4096], separators)))
    except csv.Error:
        return []
    rows = [row for row in rows if any(row)]
    width = max(map(len, rows), default=0)
    if not 1 < width <= _TABLE_COLUMNS or len(rows) > _TABLE_ROWS or sum(map(len, rows)) < len(rows) * width * 0.6:
        return []
    return [[markdown.escape(value) for value in row] for row in rows]


def _separator(start: str, separators: str) -> str:
    if len(separators) == 1:
        return separators
    try:
        return csv.Sniffer().sniff(start.rpartition("\n")[0] or start, separators).delimiter
    except csv.Error:
        return max(separators, key=start.count)
