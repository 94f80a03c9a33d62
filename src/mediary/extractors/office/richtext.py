"""RTF as Markdown."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from mediary.errors import UnreadableError
from mediary.extractors.base import Facts, Piece, Wanted
from mediary.extractors.office.richtext_pages import Note, Pages, Paragraph, Run
from mediary.extractors.office.richtext_tables import Tables
from mediary.extractors.office.whole import whole
from mediary.extractors.office.writer import Writer

_MOST_BYTES = 512 * 1024**2
_DEPTH = 2000

# A control word, a character by its code, a control sign, a brace, text. Line ends mean nothing.
_TOKENS = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z'])|([{}])|[\r\n]+|([^\\{}\r\n]+)",
    re.DOTALL,
)

# Groups that hold no text of the page; an unknown one says so itself, by `\*`.
_SKIPPED = frozenset(
    b"colortbl rsidtbl generator pict object header headerl headerr headerf footer footerl footerr footerf xmlnstbl "
    b"themedata colorschememapping datastore latentstyles filetbl revtbl listtext pntext pntxta pntxtb bkmkstart "
    b"bkmkend xe tc shpinst nonshppict annotation atnid atnauthor ftnsep ftnsepc aftnsep aftnsepc fldtype".split()
)
_TABLES = frozenset(b"fonttbl stylesheet listtable listoverridetable".split())
_INFO = frozenset(b"title author".split())
_KEPT = frozenset(b"fldinst footnote shptxt listtable listoverridetable shppict cs".split())  # though they have a `\*`
_SIGNS = {
    b"tab": "\t",
    b"line": "\n",
    b"emspace": " ",
    b"enspace": " ",
    b"bullet": "\u2022",
    b"emdash": "\u2014",
    b"endash": "\u2013",
    b"lquote": "\u2018",
    b"rquote": "\u2019",
    b"ldblquote": "\u201c",
    b"rdblquote": "\u201d",
}
_MARKS = {b"b": "b", b"i": "i", b"strike": "s", b"striked": "s", b"super": "sup", b"sub": "sub"}
_LINK = re.compile(r"""HYPERLINK\s+(?:\\[a-z]\s+)*"?([^"\s]+)""")


@dataclass(slots=True)
class _Field:
    instruction: str = ""

    def target(self) -> str:
        found = _LINK.search(self.instruction)
        return found[1] if found else ""


@dataclass(slots=True)
class _State:
    """What holds within a group; `into` says what its text is for."""

    into: str = "text"
    marks: frozenset[str] = frozenset()
    hidden: bool = False
    skipped_after: int = 1  # characters after each by its number, for readers that know none of those
    encoding: str = "cp1252"
    field: _Field | None = None
    note: bool = False


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text of an RTF file; footnotes come at its end."""
    content = whole(source, _MOST_BYTES)
    writer = Writer()
    reader = _Reader(writer)
    for _ in reader.read(content):
        yield writer.take()
    yield Facts(reader.info["title"].strip() or None, reader.info["author"].strip() or None)
    yield writer.close()


@dataclass
class _Reader:
    """Goes through the tokens, and hands paragraphs on."""

    writer: Writer
    info: dict[str, str] = field(default_factory=lambda: {"title": "", "author": ""})

    def __post_init__(self) -> None:
        self._tables = Tables()
        self._pages = Pages(self.writer, self._tables)
        self._state = _State()
        self._stack: list[_State] = []
        self._paragraph = Paragraph()
        self._outer: list[tuple[Paragraph, Note]] = []
        self._bytes = bytearray()
        self._ignorable = False
        self._skip = 0  # characters that stand for one that came by its number

    def read(self, content: bytes) -> Iterator[None]:
        """The tokens, some hundred at a time."""
        at = count = 0
        while match := _TOKENS.match(content, at):
            at = match.end()
            if match[1] == b"bin" and match[2]:
                at += max(int(match[2]), 0)
            else:
                self._token(match)
            count += 1
            if count % 500 == 0:
                yield
        self._end_bytes()
        self._pages.paragraph(self._paragraph)
        self._pages.end()

    def _token(self, match: re.Match[bytes]) -> None:
        word, number, code, sign, brace, text = match.groups()
        if code:
            if self._skip:
                self._skip -= 1
            else:
                self._bytes.append(int(code, 16))
            return
        if text and self._skip:
            text = text[self._skip :]
            self._skip = 0
        if text:
            self._bytes += text
            return
        self._end_bytes()
        if brace == b"{":
            self._begin()
        elif brace:
            self._end()
        elif word:
            self._word(word, int(number) if number else None)
        elif sign:
            self._sign(sign)

    def _begin(self) -> None:
        if len(self._stack) > _DEPTH:
            raise UnreadableError("its parts are nested too deeply")
        self._stack.append(self._state)
        self._state = replace(self._state, note=False)
        self._ignorable = False
        self._skip = 0
        if self._state.into == "table":
            self._tables.begin()

    def _end(self) -> None:
        if self._state.note:
            self._pages.collect(self._paragraph)
            self._paragraph, note = self._outer.pop()
            note.paragraphs = self._pages.collected()
        if self._state.into == "table":
            self._tables.end()
        if self._stack:
            self._state = self._stack.pop()
        self._skip = 0

    def _sign(self, sign: bytes) -> None:
        match sign:
            case b"*":
                self._ignorable = True
            case b"~":
                self._text("\u00a0")
            case b"_":
                self._text("\u2011")
            case b"\\" | b"{" | b"}":
                self._text(sign.decode())
            case b"\n" | b"\r":
                self._word(b"par", None)

    def _word(self, word: bytes, number: int | None) -> None:
        ignorable, self._ignorable = self._ignorable, False
        state = self._state
        if word in _SKIPPED or (ignorable and word not in _KEPT):
            state.into = "nothing"
        elif word in _TABLES:
            state.into = "table"
            self._tables.start(word)
        elif state.into == "table":
            self._tables.word(word, number)
        elif word == b"info":
            state.into = "info"
        elif state.into == "info" and word in _INFO:
            state.into = "nothing" if self.info[word.decode()] else word.decode()
        elif word == b"u" and number is not None:
            self._text(chr(number % 65536))
            self._skip = state.skipped_after
        elif word in _SIGNS:
            self._text(_SIGNS[word])
        elif word in _MARKS:
            mark = {_MARKS[word]}
            state.marks = state.marks - mark if number == 0 else state.marks | mark
        elif state.into not in ("nothing", "info"):
            self._layout(word, number)

    def _layout(self, word: bytes, number: int | None) -> None:
        state = self._state
        match word:
            case b"plain":
                state.marks, state.hidden = frozenset(), False
            case b"nosupersub":
                state.marks -= {"sup", "sub"}
            case b"v" | b"deleted":
                state.hidden = number != 0
            case b"uc":
                state.skipped_after = min(max(number or 0, 0), 16)
            case b"ansicpg":
                self._tables.set_encoding(number or 1252)
                state.encoding = self._tables.encoding
            case b"f":
                state.encoding = self._tables.fonts.get(number or 0, self._tables.encoding)
            case b"field":
                state.field = _Field()
            case b"fldinst":
                state.into = "field"
            case b"footnote":
                self._begin_note()
            case _:
                self._shape(word, number)

    def _shape(self, word: bytes, number: int | None) -> None:
        """What ends a paragraph, or says what it is."""
        match word:
            case b"par" | b"sect" | b"page":
                self._end_paragraph()
            case b"cell" | b"nestcell":
                self._pages.cell(self._paragraph)
                self._paragraph = self._paragraph.next()
            case b"row":
                self._pages.row()
            case _:
                self._paragraph.set(word, number)

    def _begin_note(self) -> None:
        note = Note()
        self._paragraph.runs.append(note)
        self._outer.append((self._paragraph, note))
        self._paragraph = Paragraph()
        self._pages.begin_collecting()
        self._state.note, self._state.into, self._state.marks = True, "text", frozenset()

    def _end_paragraph(self) -> None:
        if self._outer:
            self._pages.collect(self._paragraph)
        else:
            self._pages.paragraph(self._paragraph)
        self._paragraph = self._paragraph.next()

    def _end_bytes(self) -> None:
        if self._bytes:
            text = self._bytes.decode(self._state.encoding, "replace")
            self._bytes.clear()
            self._text(text)

    def _text(self, text: str) -> None:
        state = self._state
        match state.into:
            case "text" if not state.hidden:
                target = state.field.target() if state.field else ""
                self._paragraph.runs.append(Run(text, state.marks, target))
            case "field" if state.field:
                state.field.instruction = (state.field.instruction + text)[:4096]
            case "title" | "author":
                self.info[state.into] = (self.info[state.into] + text)[:1000]
            case "table":
                self._tables.text(text)
