"""Makes the elements of HTML of RTF's paragraphs, which say what they are only when they end."""

import re
from dataclasses import dataclass, field, replace

from mediary.extractors.office.lists import Lists
from mediary.extractors.office.richtext_tables import Style, Tables
from mediary.extractors.office.writer import Writer

# Lists as text: a sign and a tab.
_TYPED = re.compile(r"^\s*(?:([\u2022\u00b7\u25aa\u25e6\u2013\u2014\uf0b7-])|(\d{1,4}|[a-z])[.)])\s*\t\s*")
_INDENT = 360  # twentieths of a point


@dataclass(slots=True)
class Run:
    """Text that looks the same throughout."""

    text: str
    marks: frozenset[str] = frozenset()
    target: str = ""


@dataclass(slots=True)
class Note:
    """A footnote."""

    paragraphs: list["Paragraph"] = field(default_factory=list)


@dataclass(slots=True)
class Paragraph:
    """A paragraph and its properties, which the next one has as well unless it says otherwise."""

    runs: list[Run | Note] = field(default_factory=list)
    style: int = 0
    outline: int | None = None
    list_name: int | None = None
    level: int = 0
    old_list: str = ""
    indent: int = 0
    in_table: bool = False

    def next(self) -> "Paragraph":
        """The paragraph after this, still empty."""
        return replace(self, runs=[])

    def set(self, word: bytes, number: int | None) -> None:
        """A property."""
        match word:
            case b"pard":
                self.style = self.level = self.indent = 0
                self.outline = self.list_name = None
                self.old_list, self.in_table = "", False
            case b"s":
                self.style = number or 0
            case b"outlinelevel":
                self.outline = number
            case b"ls":
                self.list_name = number
            case b"ilvl":
                self.level = min(max(number or 0, 0), 8)
            case b"li":
                self.indent = number or 0
            case b"pnlvlblt":
                self.old_list = "ul"
            case b"pnlvlbody":
                self.old_list = "ol"
            case b"intbl":
                self.in_table = True

    def text(self) -> str:
        """Its words alone."""
        return "".join(run.text for run in self.runs if isinstance(run, Run))


class Pages:
    """Writes paragraphs, lists, tables and code as they come."""

    def __init__(self, writer: Writer, tables: Tables) -> None:
        self._writer = writer
        self._tables = tables
        self._lists = Lists(writer)
        self._row: list[list[Paragraph]] = []
        self._cell: list[Paragraph] = []
        self._in_table = self._in_code = False
        self._collecting: list[list[Paragraph]] = []
        self._notes = 0

    def begin_collecting(self) -> None:
        """The next paragraphs belong to a footnote."""
        self._collecting.append([])

    def collect(self, paragraph: Paragraph) -> None:
        """One of them."""
        if self._collecting and paragraph.text().strip():
            self._collecting[-1].append(paragraph)

    def collected(self) -> list[Paragraph]:
        """All of them."""
        return self._collecting.pop() if self._collecting else []

    def paragraph(self, paragraph: Paragraph) -> None:
        """A paragraph has ended."""
        if paragraph.in_table:
            self._cell.append(paragraph)
            return
        if not paragraph.runs:
            return
        self._end_table()
        self._write(paragraph)

    def cell(self, paragraph: Paragraph) -> None:
        """A cell has ended with this paragraph."""
        self._row.append([*self._cell, paragraph])
        self._cell = []

    def row(self) -> None:
        """A row has ended."""
        if not self._in_table:
            self._end_block()
            self._writer.start("table")
            self._in_table = True
        self._writer.start("tr")
        for cell in self._row:
            self._writer.start("td")
            for paragraph in cell:
                self._write(replace(paragraph, outline=None, style=-1))
            self._end_block()
            self._writer.end("td")
        self._writer.end("tr")
        self._row = []

    def end(self) -> None:
        """The text has ended."""
        if self._row or self._cell:
            self.row()
        self._end_table()
        self._end_block()

    def _end_table(self) -> None:
        if self._in_table:
            self._writer.end("table")
            self._in_table = False

    def _end_block(self) -> None:
        self._lists.end()
        if self._in_code:
            self._writer.end("pre")
            self._in_code = False

    def _write(self, paragraph: Paragraph) -> None:
        style = self._tables.styles.get(paragraph.style, Style())
        if style.code:
            self._code(paragraph)
            return
        if self._in_code:
            self._end_block()
        level = style.heading if paragraph.outline is None else paragraph.outline + 1
        if level is not None and level < 10:
            self._element(f"h{min(level, 6)}", paragraph)
        elif self._item(paragraph):
            self._runs(paragraph)
        else:
            self._element("blockquote" if style.quote else "p", paragraph)

    def _code(self, paragraph: Paragraph) -> None:
        if not self._in_code:
            self._end_block()
            self._writer.start("pre")
            self._in_code = True
        self._runs(paragraph)
        self._writer.data("\n")

    def _element(self, tag: str, paragraph: Paragraph) -> None:
        self._lists.end()
        self._writer.start(tag)
        self._runs(paragraph)
        self._writer.end(tag)

    def _item(self, paragraph: Paragraph) -> bool:
        """Begin an item, if the paragraph is one."""
        if paragraph.list_name and (found := self._tables.level(paragraph.list_name, paragraph.level)):
            numbered, start = found
            self._lists.item(str(paragraph.list_name), paragraph.level, numbered=numbered, start=start)
            return True
        if paragraph.old_list:
            self._lists.item("old", 0, numbered=paragraph.old_list == "ol")
            return True
        if match := _TYPED.match(paragraph.text()):
            level = max(paragraph.indent // _INDENT - 1, 0)
            number = int(match[2]) if match[2] and match[2].isdigit() else 1
            self._lists.item(f"typed {bool(match[2])}", level, numbered=bool(match[2]), start=number)
            paragraph.runs = _without(paragraph.runs, match.end())
            return True
        return False

    def _runs(self, paragraph: Paragraph) -> None:
        for run in paragraph.runs:
            if isinstance(run, Note):
                self._note(run)
                continue
            marks = [("a", {"href": run.target})] if run.target else []
            marks += [(mark, {}) for mark in sorted(run.marks)]
            for mark, attributes in marks:
                self._writer.start(mark, attributes)
            for number, line in enumerate(run.text.split("\n")):
                if number:
                    self._writer.start("br")
                self._writer.data(line)
            for mark, _ in reversed(marks):
                self._writer.end(mark)

    def _note(self, note: Note) -> None:
        self._notes += 1
        label = str(self._notes)
        self._writer.note(label)
        self._writer.start_aside()
        for paragraph in note.paragraphs:
            self._writer.start("p")
            self._runs(paragraph)
            self._writer.end("p")
        self._writer.end_aside(label)


def _without(runs: list[Run | Note], count: int) -> list[Run | Note]:
    """The runs after so many characters."""
    kept: list[Run | Note] = []
    for run in runs:
        if isinstance(run, Note) or count <= 0:
            kept.append(run)
            continue
        kept.append(replace(run, text=run.text[count:]))
        count -= len(run.text)
    return kept
