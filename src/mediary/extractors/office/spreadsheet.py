"""Spreadsheets (XLSX, XLSB, XLS, ODS) as Markdown: each sheet a heading and a table."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, BinaryIO, cast
from zipfile import is_zipfile

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from mediary.errors import UnreadableError
from mediary.extractors import markdown
from mediary.extractors.base import Facts, Piece, Wanted
from mediary.extractors.office.package import Package

# Rows that are joined to one piece of text.
_ROWS = 500


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The sheets in their order, hidden ones too; of formulas the values."""
    facts = _facts(source)
    source.seek(0)
    try:
        book = CalamineWorkbook.from_filelike(source)
        sheets = [sheet for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        yield Facts(facts.title, facts.author, len(sheets), facts.language)
        for sheet in sheets:
            hidden = " (hidden)" if sheet.visible != SheetVisibleEnum.Visible else ""
            yield f"## {markdown.escape(' '.join(sheet.name.split()))}{hidden}\n\n"
            yield from _table(book.get_sheet_by_name(sheet.name))
    except PasswordError as error:
        raise UnreadableError("it is protected by a password") from error
    except (CalamineError, OSError) as error:
        raise UnreadableError(f"it is damaged: {error}") from error


def _facts(source: BinaryIO) -> Facts:
    if not is_zipfile(source):
        return Facts()
    with Package(source) as package:
        return package.facts("meta.xml" if "meta.xml" in package.names else "docProps/core.xml")


def _table(sheet: CalamineSheet) -> Iterator[str]:
    """Rows as they are read; empty ones are left out, and so are columns beyond the last that has anything."""
    if sheet.end is None or sheet.start is None:
        return
    width = sheet.end[1] - sheet.start[1] + 1
    lines: list[str] = []
    first = True
    for row in cast(Iterator[list[Any]], sheet.iter_rows()):
        cells = [_cell(value) for value in row[-width:]]
        if not any(cells):
            continue
        lines.append(markdown.row(cells))
        if first:
            lines.append(markdown.row(["---"] * len(cells)))
            first = False
        if len(lines) >= _ROWS:
            yield "\n".join(lines) + "\n"
            lines.clear()
    yield "\n".join(lines) + "\n\n" if lines else "\n"


def _cell(value: Any) -> str:
    """A value as people write it: no `.0` of a whole number, no midnight of a day."""
    if isinstance(value, str):
        return markdown.cell(markdown.escape(value)) if value else ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        # Fifteen digits are what programs show; the others are how a computer counts.
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    if isinstance(value, datetime):
        return value.isoformat(" ", "minutes" if not value.second else "seconds")
    if isinstance(value, date | timedelta):
        return str(value)
    if isinstance(value, time):
        return value.isoformat("minutes" if not value.second else "seconds")
    return str(value)
