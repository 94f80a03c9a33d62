"""What stands on every page and is no part of the text: running heads, page numbers."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from mediary.extractors.pdf.rows import Row

_OUTERMOST = 2
"""So many rows at the top and at the bottom of a page may be furniture."""

_NUMBER_AT_EDGE = re.compile(r"\W{0,2}(\d{1,5})\b|\b(\d{1,5})\W{0,2}$")
_SHARE = 0.3

Mark = tuple[str, int]
"""A row's text without its numbers, and its height on the page."""


class Furniture:
    """What some pages of a document, by their numbers from 0, have in common at their edges."""

    def __init__(self, pages: Mapping[int, Sequence[Row]]) -> None:
        texts: Counter[Mark] = Counter()
        numbers: Counter[tuple[int, int]] = Counter()
        for number, rows in pages.items():
            edges = _edges(rows)
            texts.update({_mark(row) for row in edges})
            numbers.update({(round(row.y), found - number) for row in edges for found in _numbers(row)})
        often = max(2, _SHARE * sum(map(bool, pages.values())))
        self._texts = {mark for mark, times in texts.items() if times >= often}
        # Where the page's number stands, whatever stands beside it, and how far it is ahead of ours.
        self._numbers = {place for place, times in numbers.items() if times >= often}

    def removed(self, rows: list[Row], number: int) -> list[Row]:
        """The rows of page `number` without its furniture."""
        edges = [row for row in _edges(rows) if self._is_furniture(row, number) or _is_page_number(row, rows, number)]
        return [row for row in rows if not any(row is edge for edge in edges)] if edges else rows

    def _is_furniture(self, row: Row, number: int) -> bool:
        if _mark(row) in self._texts:
            return True
        return any((round(row.y), found - number) in self._numbers for found in _numbers(row))


def _edges(rows: Sequence[Row]) -> list[Row]:
    """The rows at the top and at the bottom."""
    heights = sorted({round(row.y) for row in rows})
    outer = {*heights[:_OUTERMOST], *heights[-_OUTERMOST:]}
    return [row for row in rows if round(row.y) in outer]


def _mark(row: Row) -> Mark:
    return re.sub(r"\d+", "#", row.text), round(row.y)


def _numbers(row: Row) -> set[int]:
    """The numbers that a row begins or ends with."""
    found = _NUMBER_AT_EDGE.match(row.text), _NUMBER_AT_EDGE.search(row.text[-8:])
    return {int(match[1] or match[2]) for match in found if match}


def _is_page_number(row: Row, rows: Sequence[Row], number: int) -> bool:
    """Whether a row at the very bottom, away from the text, is the number of its page."""
    if row.text.strip("- \u2013\u2014") != str(number + 1):
        return False
    above = [other.y for other in rows if other is not row]
    return bool(above) and row.y < min(above) - 1.5 * row.size
