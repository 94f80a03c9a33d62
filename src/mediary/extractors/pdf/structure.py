"""What a tagged PDF says of its parts: headings, items, cells of tables; by the numbers that its text refers to."""

import ctypes
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

_MOST_ELEMENTS = 20_000
_DEEPEST = 64

_HEADINGS = {"H": 2, "Title": 1, **{f"H{level}": level for level in range(1, 7)}}
_TEXTS = {"P", "BlockQuote", "Caption", "Note", "FENote", "TOCI", "BibEntry", "Formula"}


@dataclass(slots=True, frozen=True)
class Tag:
    """The part of the document that words are in: `part` differs from part to part.

    `kind` is "text", "heading", "item" or "cell"; `level` is that of a heading (from 1) or an item (from 0). A cell has
    its `row` and `column` in the table `table`.
    """

    part: int
    kind: str
    level: int = 0
    label: bool = False
    table: int = 0
    row: int = 0
    column: int = 0


class Structure(NamedTuple):
    """The tags of a page by mark, and which place each mark has in the order of reading."""

    tags: dict[int, Tag]
    places: dict[int, int]


def structure(page: Any) -> Structure:
    """What a page says of its parts; empty for a page that is not tagged."""
    tree = pdfium.FPDF_StructTree_GetForPage(page.raw)
    if not tree:
        return Structure({}, {})
    try:
        walk = _Walk()
        for at in range(pdfium.FPDF_StructTree_CountChildren(tree)):
            if child := pdfium.FPDF_StructTree_GetChildAtIndex(tree, at):
                walk.element(child, None, 0, 0)
        return Structure(walk.found, walk.places)
    finally:
        pdfium.FPDF_StructTree_Close(tree)


class _Walk:
    def __init__(self) -> None:
        self.found: dict[int, Tag] = {}
        self.places: dict[int, int] = {}
        self._parts = 0
        self._row = 0
        self._column = 0
        self._buffer = ctypes.create_string_buffer(64)

    def element(self, element: Any, tag: Tag | None, lists: int, depth: int) -> None:
        """Note the marks of an element and of those within it."""
        self._parts += 1
        if self._parts > _MOST_ELEMENTS or depth > _DEEPEST:
            return
        kind = self._type(element)
        tag = self._tag(kind, tag, lists)
        lists += kind == "L"
        for at in range(pdfium.FPDF_StructElement_CountChildren(element)):
            mark = pdfium.FPDF_StructElement_GetChildMarkedContentID(element, at)
            if mark >= 0:
                self.places.setdefault(mark, len(self.places))
                if tag is not None:
                    self.found[mark] = tag
            elif child := pdfium.FPDF_StructElement_GetChildAtIndex(element, at):
                self.element(child, tag, lists, depth + 1)

    def _type(self, element: Any) -> str:
        size = pdfium.FPDF_StructElement_GetType(element, self._buffer, 64)
        return self._buffer.raw[: max(min(size, 64) - 2, 0)].decode("utf-16-le", "replace")

    def _tag(self, kind: str, within: Tag | None, lists: int) -> Tag | None:
        """The tag of what is in an element; words of a sentence keep that of the sentence."""
        cell = within if within and within.kind == "cell" else None
        if kind == "Table":
            self._row = -1
            return Tag(self._parts, "table", table=self._parts)
        if within and within.table:
            return cell or self._table_tag(kind, within)
        if kind in _HEADINGS:
            return Tag(self._parts, "heading", _HEADINGS[kind])
        if kind == "LI":
            return Tag(self._parts, "item", max(lists - 1, 0))
        if kind == "Lbl" and within and within.kind == "item":
            return replace(within, label=True)
        if kind in _TEXTS and not (within and within.kind in ("item", "heading")):
            return Tag(self._parts, "text")
        return within

    def _table_tag(self, kind: str, within: Tag) -> Tag:
        if kind == "TR":
            self._row += 1
            self._column = -1
        if kind in ("TD", "TH"):
            self._column += 1
            return Tag(self._parts, "cell", table=within.table, row=self._row, column=self._column)
        return within
