"""Tables on a page: rows whose cells stand in line, one under the other."""

import ctypes
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pypdfium2.raw as pdfium

from mediary.extractors import markdown
from mediary.extractors.pdf.rows import Row, finish, join, marker, text_of
from mediary.extractors.pdf.words import Word

# In points, and in parts of the font's size.
_ALIGNED = 3.0
_ROW_GAP = 4.0
_SAME_LINE = 0.35
_PARTED = 0.4
_RULE_HEIGHT = 2.0
_RULE_WIDTH = 24.0
_MOST_OBJECTS = 20_000


@dataclass
class Table:
    """Texts by row and column."""

    cells: list[list[str]]

    def markdown(self) -> str:
        """The table; its first row is its head."""
        return markdown.table(self.cells)


def tables(rows: Sequence[Row], page: Any) -> Iterator[tuple[int, int, Table]]:
    """Where tables begin and end among rows, and the tables."""
    rules: list[float] | None = None
    start = 0
    while start < len(rows):
        end = _end_of_run(rows, start)
        if end - start >= 2:
            rules = rules_of(page) if rules is None else rules
            if table := _table(rows[start:end], rules):
                yield start, end, table
                start = end
                continue
        start += 1


def tagged_table(rows: Sequence[Row]) -> Table | None:
    """A table by the tags of its rows; None for one that has a single row or column."""
    cells: dict[tuple[int, int], list[Word]] = {}
    for row in rows:
        if row.tag and row.tag.kind == "cell":
            cells.setdefault((row.tag.row, row.tag.column), []).extend(row.words)
    numbers = sorted({row for row, _ in cells})
    count = max((column for _, column in cells), default=0) + 1
    if len(numbers) < 2 or count < 2:
        return None
    rows_of_cells = [[cells.get((row, column), []) for column in range(count)] for row in numbers]
    return Table([[_cell(words) for words in row] for row in _in_place(rows_of_cells)])


def _in_place(rows: list[list[list[Word]]]) -> list[list[list[Word]]]:
    """Cells under those of the full rows: what a program leaves empty it may leave out."""
    full = [row for row in rows if all(row)]
    columns = [_span([word for row in full for word in row[at]]) for at in range(len(rows[0]))] if full else []
    if any(before[1] > after[0] for before, after in pairwise(columns)) or not columns:
        return rows
    found = []
    for row in rows:
        placed: list[list[Word]] = [[] for _ in columns]
        for at, words in enumerate(row):
            column = _column(columns, *_span(words)) if words and not all(row) else at
            placed[column if column >= 0 else at] += words
        found.append(placed)
    return found


def _span(words: Sequence[Word]) -> tuple[float, float]:
    return min(word.left for word in words), max(word.right for word in words)


def _end_of_run(rows: Sequence[Row], start: int) -> int:
    """The end of the rows from `start` that may be one table; single cells count if a row of several is near."""
    if len(rows[start].cells) < 2 or rows[start].tag or _is_item(rows[start]):
        return start
    end, top, bottom = start + 1, rows[start].y + rows[start].size, rows[start].y
    for at in range(start + 1, len(rows)):
        row = rows[at]
        if not bottom - _ROW_GAP * row.size < row.y < top or at - end > 4 or row.mono or row.tag:
            break
        if len(row.cells) > 1 and not _is_item(row):
            end = at + 1
        bottom = min(bottom, row.y)
    while end < len(rows) and _goes_on(rows[end - 1], rows[end]):
        end += 1
    return end


def _goes_on(last: Row, row: Row) -> bool:
    """Whether a row of one cell is the second line of a cell of the last row, but not of its first."""
    near = 0 < last.y - row.y < 1.4 * row.size and len(row.cells) == 1 and not (row.tag or row.mono)
    return near and any(abs(_span(cell)[0] - row.left) <= _ALIGNED for cell in last.cells[1:])


def _is_item(row: Row) -> bool:
    """Whether a row is a mark and a text: an item of a list may stand before a table, and behind one."""
    return len(row.cells) == 2 and len(row.cells[0]) == 1 and marker(row) != ""


def _table(rows: Sequence[Row], rules: list[float]) -> Table | None:
    wide = [row for row in rows if len(row.cells) > 1]
    columns = _columns(wide)
    top, bottom = max(row.y for row in rows) + rows[0].size, min(row.y for row in rows) - rows[0].size
    inside = [rule for rule in rules if bottom < rule < top]
    items = all(marker(row) for row in wide)
    if items or len(columns) < 2 or len(wide) < (2 if inside else 3):
        return None
    lines = _lines(rows, columns)
    if lines is None:
        return None
    bands = _bands(lines, inside) if len(inside) >= 3 else _without_rules(lines)
    cells = [[_cell(words) for words in band] for band in bands]
    return Table(cells) if len(cells) > 1 else None


def _columns(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Left and right of the columns that most rows agree on; none if these do not stand in line."""
    count, _ = max(Counter(len(row.cells) for row in rows).items(), key=lambda item: (item[1], item[0]))
    like = [row for row in rows if len(row.cells) == count]
    if len(like) < 2:
        return []
    found = []
    for column in range(count):
        spans = [_span(row.cells[column]) for row in like]
        if not _in_line(spans):
            return []
        found.append((min(left for left, _ in spans), max(right for _, right in spans)))
    found.sort()
    apart = all(before[1] < after[0] for before, after in pairwise(found))
    return found if apart else []


def _in_line(spans: list[tuple[float, float]]) -> bool:
    """Whether texts are aligned to the left, to the right or in the middle; two may be off (a head, a sum)."""
    lefts, rights = ([span[side] for span in spans] for side in (0, 1))
    for places in (sorted(lefts), sorted(rights), sorted((left + right) / 2 for left, right in spans)):
        middle = places[len(places) // 2]
        near = sum(abs(place - middle) <= _ALIGNED for place in places)
        if near >= max(len(places) - 2, (len(places) + 1) // 2, 2):
            return True
    return False


Line = tuple[float, list[list[Word]]]


def _lines(rows: Sequence[Row], columns: list[tuple[float, float]]) -> list[Line] | None:
    """The words by base line and column, from the top; None if a text runs across the columns: that is no table."""
    found: list[Line] = []
    across = 0
    for row in sorted(rows, key=lambda row: -row.y):
        if not found or found[-1][0] - row.y > _SAME_LINE * row.size:
            found.append((row.y, [[] for _ in columns]))
        for cell in row.cells:
            pieces = [cell] if _column(columns, *_span(cell)) >= 0 else _parted(cell)
            for piece in pieces:
                place = _column(columns, *_span(piece))
                across += place < 0
                found[-1][1][_first_touched(columns, piece) if place < 0 else place] += piece
    return None if across > max(1, len(found) // 4) else found


def _column(columns: list[tuple[float, float]], left: float, right: float) -> int:
    """The column of a word; -1 if it touches several."""
    touched = [at for at, (start, end) in enumerate(columns) if min(right, end) - max(left, start) > 0]
    if len(touched) > 1:
        return -1
    return touched[0] if touched else min(range(len(columns)), key=lambda at: _distance(columns[at], left, right))


def _first_touched(columns: list[tuple[float, float]], words: Sequence[Word]) -> int:
    left, _ = _span(words)
    return next(at for at, (_, end) in enumerate(columns) if left < end)


def _parted(cell: Sequence[Word]) -> list[list[Word]]:
    """Words parted where the space between them is wider than usual."""
    found = [[cell[0]]]
    for before, word in pairwise(cell):
        if word.left - before.right > _PARTED * word.style.size:
            found.append([])
        found[-1].append(word)
    return found


def _distance(column: tuple[float, float], left: float, right: float) -> float:
    return max(column[0] - right, left - column[1])


def _bands(lines: list[Line], rules: list[float]) -> list[list[list[Word]]]:
    """Lines between two rules are one row."""
    found: list[list[list[Word]]] = []
    above = -1
    for y, line in lines:
        over = sum(rule > y for rule in rules)
        if over != above:
            found.append([[] for _ in line])
            above = over
        for into, words in zip(found[-1], line, strict=True):
            into += words
    return found


def _without_rules(lines: list[Line]) -> list[list[list[Word]]]:
    """A line without a first cell goes on with the row above it, if it is close."""
    found: list[list[list[Word]]] = []
    last = 0.0
    for y, line in lines:
        size = next(words[0].style.size for words in line if words)
        if found and not line[0] and last - y < 1.6 * size and sum(map(bool, line)) < sum(map(bool, found[-1])):
            for into, words in zip(found[-1], line, strict=True):
                into += words
        else:
            found.append(line)
        last = y
    return found


def _cell(words: list[Word]) -> str:
    """The text of a cell: its lines one after the other."""
    text = ""
    line: list[Word] = []
    for word in words:
        if line and abs(line[-1].y - word.y) > _SAME_LINE * word.style.size:
            text, line = join(text, text_of(line)), []
        line.append(word)
    return finish(join(text, text_of(line)))


def rules_of(page: Any) -> list[float]:
    """Where horizontal lines are drawn on a page."""
    found: set[float] = set()
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    for at in range(min(pdfium.FPDFPage_CountObjects(page.raw), _MOST_OBJECTS)):
        thing = pdfium.FPDFPage_GetObject(page.raw, at)
        if pdfium.FPDFPageObj_GetType(thing) != pdfium.FPDF_PAGEOBJ_PATH:
            continue
        pdfium.FPDFPageObj_GetBounds(thing, left, bottom, right, top)
        if right.value - left.value < _RULE_WIDTH:
            continue
        found.add(round(bottom.value))
        if top.value - bottom.value > _RULE_HEIGHT:
            found.add(round(top.value))
    return sorted(found)
