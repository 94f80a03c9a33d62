"""OpenDocument texts, presentations and drawings (ODT, ODP, ODG) as Markdown."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO
from xml.etree.ElementTree import Element

from mediary.extractors.base import Facts, Piece, Wanted
from mediary.extractors.office.lists import Lists
from mediary.extractors.office.opendocument_styles import STYLES, Styles
from mediary.extractors.office.package import FACTS, Package, child, children, facts, trees
from mediary.extractors.office.writer import Writer

# What stands beside the text: what was deleted, remarks, forms, the readings above a word.
_SKIPPED = frozenset(
    {
        "text:tracked-changes",
        "office:annotation",
        "office:forms",
        "office:master-styles",
        "text:ruby-text",
        "text:sequence-decls",
        "svg:desc",
        "svg:title",
    }
)
_BLOCKS = (
    "text:p",
    "text:h",
    "text:list",
    "table:table",
    "text:section",
    "text:table-of-content",
    "draw:page",
    "draw:frame",
)
_REPEATED = 100
_MOST_SPACES = 100


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text of an OpenDocument file, slide by slide if it has slides."""
    if wanted.media_type.endswith("-flat-xml"):
        yield facts(trees(source, *FACTS))
        source.seek(0)
        yield from _converted(trees(source, *STYLES, *_BLOCKS, "office:master-styles"), Styles())
        return
    with Package(source) as package:
        styles = Styles()
        styles.add(package.trees("styles.xml", *STYLES))
        statistic = next(iter(package.trees("meta.xml", "meta:document-statistic")), None)
        yield package.facts("meta.xml", _pages(statistic))
        yield from _converted(package.trees("content.xml", *STYLES, *_BLOCKS), styles)


def _converted(elements: Iterator[Element], styles: Styles) -> Iterator[Piece]:
    writer = Writer()
    text = _Text(writer, styles)
    for element in elements:
        if element.tag in STYLES:
            styles.add([element])
        else:
            text.block(element)
            yield writer.take()
    text.end()
    yield writer.close()
    if text.slides:
        yield Facts(pages=text.slides)


def _pages(statistic: Element | None) -> int | None:
    count = statistic.get("page-count", "") if statistic is not None else ""
    return int(count) if count.isdigit() else None


class _Text:
    """Makes the elements of HTML of those of OpenDocument."""

    def __init__(self, writer: Writer, styles: Styles) -> None:
        self.slides = 0
        self._writer = writer
        self._styles = styles
        self._code = False
        self._lists = Lists(writer)
        self._levels: list[str] = []  # the names of the lists around
        self._notes = 0

    def end(self) -> None:
        """No list and no code goes on."""
        self._lists.end()
        self._end_code()

    def _end_code(self) -> None:
        if self._code:
            self._writer.end("pre")
            self._code = False

    def block(self, element: Element) -> None:
        """A paragraph, a list, a table, a slide; of all else what is in it."""
        if element.tag == "text:p" and self._styles.is_code(element.get("style-name", "")):
            self._code_line(element)
            return
        self._end_code()
        if element.tag in _BLOCKS and element.tag != "text:list" and not self._levels:
            self._lists.end()
        match element.tag:
            case "text:p":
                self._paragraph(element, self._styles.heading(element.get("style-name", "")))
            case "text:h":
                level = element.get("outline-level", "1")
                self._paragraph(element, int(level) if level.isdigit() else 1)
            case "text:list":
                self._list(element)
            case "table:table":
                self._table(element)
            case "draw:page":
                self._slide(element)
            case "draw:frame":
                self._frame(element)
            case tag if tag not in _SKIPPED:
                self._blocks(element)

    def _blocks(self, element: Iterable[Element]) -> None:
        for part in element:
            self.block(part)

    def _apart(self, element: Iterable[Element]) -> None:
        """The blocks of a cell, a box or a note, whose lists are its own."""
        outer = self._lists, self._levels
        self._lists, self._levels = Lists(self._writer), []
        self._blocks(element)
        self.end()
        self._lists, self._levels = outer

    def _paragraph(self, element: Element, level: int | None) -> None:
        style = element.get("style-name", "")
        tag = (
            f"h{min(max(level, 1), 6)}" if level is not None else "blockquote" if self._styles.is_quote(style) else "p"
        )
        self._writer.start(tag)
        self._inline(element)
        self._writer.end(tag)

    def _code_line(self, element: Element) -> None:
        if not self._code:
            self._writer.start("pre")
            self._code = True
        self._inline(element)
        self._writer.data("\n")

    def _list(self, element: Element) -> None:
        """A list; one without a style has that of the list around it.

        Programs cut lists up, an inner one into a list of its own: what counts is at which level an item is.
        """
        name = element.get("style-name") or (self._levels[-1] if self._levels else "")
        level = len(self._levels)
        if level == 0 and element.get("continue-numbering") != "true" and not element.get("continue-list"):
            self._lists.restart(name)
        numbered = self._styles.is_numbered(name, level)
        self._levels.append(name)
        for item in element:
            parts = list(item)
            # A numbered heading is no item, and an item that only holds another list is not one of its own.
            if parts and parts[0].tag not in ("text:list", "text:h") and item.tag == "text:list-item":
                start = item.get("start-value") or self._styles.start(name, level)
                self._lists.item(name, level, numbered=numbered, start=int(start) if start.isdigit() else 1)
            elif parts and parts[0].tag == "text:h":
                self._lists.end()
            self._blocks(item)
        self._levels.pop()

    def _inline(self, element: Element) -> None:
        if element.text:
            self._writer.data(element.text)
        for part in element:
            self._piece(part)
            if part.tail:
                self._writer.data(part.tail)

    def _piece(self, element: Element) -> None:
        """What is within a paragraph."""
        match element.tag:
            case "text:span":
                self._marked(element, self._styles.marks(element.get("style-name", "")))
            case "text:a":
                self._writer.start("a", {"href": element.get("href", "")})
                self._inline(element)
                self._writer.end("a")
            case "text:s":
                count = element.get("c", "1")
                self._writer.data(" " * min(int(count) if count.isdigit() else 1, _MOST_SPACES))
            case "text:tab":
                self._writer.data("\t")
            case "text:line-break":
                self._writer.start("br")
            case "text:note":
                self._note(element)
            case "draw:frame":
                self._frame(element)
            case tag if tag.startswith(("draw:", "table:")):
                self._writer.start_aside()
                self._apart(element)
                self._writer.end_aside()
            case tag if tag not in _SKIPPED:
                self._inline(element)

    def _marked(self, element: Element, marks: tuple[str, ...]) -> None:
        for mark in marks:
            self._writer.start(mark)
        self._inline(element)
        for mark in reversed(marks):
            self._writer.end(mark)

    def _note(self, element: Element) -> None:
        self._notes += 1
        self._writer.note(str(self._notes))
        self._writer.start_aside()
        if (body := child(element, "text:note-body")) is not None:
            self._apart(body)
        self._writer.end_aside(str(self._notes))

    def _frame(self, element: Element) -> None:
        """A frame holds a picture, a table, a box of text, or an object with the picture of it."""
        words = [child(element, "svg:desc"), child(element, "svg:title")]
        described = next((word.text for word in words if word is not None and word.text), "")
        if (picture := child(element, "draw:image")) is not None and child(element, "table:table") is None:
            self._writer.image(described, picture.get("href", "").rpartition("/")[2])
        for part in element:
            if part.tag in ("draw:text-box", "table:table"):
                self._writer.start_aside()
                self._apart(part if part.tag == "draw:text-box" else [part])
                self._writer.end_aside()

    def _slide(self, page: Element) -> None:
        """A slide: its title first, then its boxes as they lie, then what the speaker has noted."""
        self.slides += 1
        titles = [part for part in page if part.get("class") == "title" and "".join(part.itertext()).strip()]
        title = " ".join(" ".join("".join(part.itertext()).split()) for part in titles)
        self._writer.start("h2")
        self._writer.data(title or f"Slide {self.slides}")
        self._writer.end("h2")
        for part in page:
            if part.tag != "presentation:notes" and part not in titles:
                self.block(part)
        for notes in children(page, "presentation:notes"):
            self._speaker(notes)

    def _speaker(self, notes: Element) -> None:
        boxes = [part for part in notes if part.get("class") == "notes" and "".join(part.itertext()).strip()]
        if boxes:
            self._writer.start("h3")
            self._writer.data("Notes")
            self._writer.end("h3")
        for box in boxes:
            self.block(box)

    def _table(self, element: Element) -> None:
        self._writer.start("table")
        for row in _rows(element):
            self._writer.start("tr")
            for cell in row:
                if cell.tag in ("table:table-cell", "table:covered-table-cell"):
                    self._cell(cell)
            self._writer.end("tr")
        self._writer.end("table")

    def _cell(self, cell: Element) -> None:
        repeated = cell.get("number-columns-repeated", "1")
        for _ in range(min(int(repeated) if repeated.isdigit() else 1, _REPEATED)):
            self._writer.start("td")
            if cell.tag == "table:table-cell":
                self._apart(cell)
            self._writer.end("td")


def _rows(element: Element) -> Iterator[Element]:
    """The rows of a table; those of its head are in an element of their own."""
    for part in element:
        if part.tag == "table:table-row":
            yield part
        elif part.tag.startswith("table:table-"):
            yield from _rows(part)
