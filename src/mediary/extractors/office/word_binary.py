"""Old Word documents (DOC, since Word 97) as Markdown."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from mediary.extractors.base import Piece, Wanted
from mediary.extractors.office.lists import Lists
from mediary.extractors.office.ole import opened, stream_of, summary
from mediary.extractors.office.word_tables import Paragraph, WordFile
from mediary.extractors.office.writer import Writer

# What ends a paragraph, a cell, a page; and the marks within: of a field, a note, a line's end, a hyphen.
_PARAGRAPH, _CELL, _PAGE = "\r", "\x07", "\x0c"
_MARKS = re.compile("([\x01-\x08\x0b\x0c\x0e\x13-\x15\x1e\x1f])")
_HYPERLINK = re.compile(r"""HYPERLINK\s+(?:\\[a-z]\s+)*"([^"]*)\"""")


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text of an old Word document; footnotes come at its end."""
    with opened(source) as ole:
        yield summary(ole)
        word = WordFile(stream_of(ole, "WordDocument"), lambda number: stream_of(ole, f"{number}Table"))
        writer = Writer()
        text = _Text(writer, word)
        for paragraph in word.paragraphs(word.text_range):
            text.paragraph(paragraph)
            yield writer.take()
        text.end()
        text.notes()
        yield writer.close()


class _Text:
    """Makes the elements of HTML of paragraphs."""

    def __init__(self, writer: Writer, word: WordFile) -> None:
        self._writer = writer
        self._word = word
        self._lists = Lists(writer)
        self._in_table = self._in_row = self._in_cell = self._in_code = False
        self._fields: list[str | None] = []  # of each that is open its instruction, None once its result is shown
        self._links: list[bool] = []
        self._notes = 0

    def paragraph(self, paragraph: Paragraph) -> None:
        """The next paragraph, or the last of a cell."""
        if not paragraph.in_table:
            self._end_table()
        elif paragraph.ends_row:
            self._writer.end("tr")
            self._in_cell = False
            self._in_row = False
            return
        else:
            self._begin_cell()
        self._content(paragraph)
        if paragraph.in_table and paragraph.text.endswith(_CELL):
            self._lists.end()
            self._writer.end("td")
            self._in_cell = False

    def end(self) -> None:
        """The text has ended."""
        self._end_table()
        self._end_code()
        self._lists.end()

    def notes(self) -> None:
        """The footnotes, in the order in which the text speaks of them."""
        text = "".join(paragraph.text for paragraph in self._word.paragraphs(self._word.note_range))
        for number, note in enumerate(text.split("\x02")[1:], 1):
            self._writer.start_aside()
            self._inline(note.replace(_PARAGRAPH, " "))
            self._writer.end_aside(str(number))

    def _begin_cell(self) -> None:
        if not self._in_table:
            self._end_code()
            self._lists.end()
            self._writer.start("table")
            self._in_table = True
        if not self._in_row:
            self._writer.start("tr")
            self._in_row = True
        if not self._in_cell:
            self._writer.start("td")
            self._in_cell = True

    def _end_table(self) -> None:
        if not self._in_table:
            return
        if self._in_cell:
            self._writer.end("td")
        if self._in_row:
            self._writer.end("tr")
        self._writer.end("table")
        self._in_table = self._in_cell = self._in_row = False

    def _end_code(self) -> None:
        if self._in_code:
            self._writer.end("pre")
            self._in_code = False

    def _content(self, paragraph: Paragraph) -> None:
        text = paragraph.text.rstrip(_PARAGRAPH + _CELL + _PAGE)
        if paragraph.code and not paragraph.in_table:
            if not self._in_code:
                self._lists.end()
                self._writer.start("pre")
                self._in_code = True
            self._inline(text)
            self._writer.data("\n")
            return
        self._end_code()
        if paragraph.list_name and text.strip() and paragraph.heading is None:
            numbered, start = self._word.level(paragraph.list_name, paragraph.level)
            self._lists.item(self._word.list_of(paragraph.list_name), paragraph.level, numbered=numbered, start=start)
            self._inline(text)
            return
        self._lists.end()
        tag = f"h{min(paragraph.heading, 6)}" if paragraph.heading else "p"
        self._writer.start(tag)
        self._inline(text)
        self._writer.end(tag)

    def _inline(self, text: str) -> None:
        for piece in _MARKS.split(text):
            if _MARKS.fullmatch(piece):
                self._mark(piece)
            elif self._fields and self._fields[-1] is not None:
                self._fields[-1] += piece
            else:
                self._writer.data(piece)

    def _mark(self, mark: str) -> None:
        match mark:
            case "\x13":
                self._fields.append("")
            case "\x14":
                self._show_field()
            case "\x15":
                self._end_field()
            case "\x0b":
                self._writer.start("br")
            case "\x1e":
                self._writer.data("\u2011")
            case "\x02":
                self._notes += 1
                self._writer.note(str(self._notes))

    def _show_field(self) -> None:
        if self._fields:
            found = _HYPERLINK.search(self._fields[-1] or "")
            self._fields[-1] = None
            self._links.append(found is not None)
            if found:
                self._writer.start("a", {"href": found[1]})

    def _end_field(self) -> None:
        if self._fields and self._fields.pop() is None and self._links and self._links.pop():
            self._writer.end("a")
