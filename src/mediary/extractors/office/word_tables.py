"""The tables of an old Word document, as MS-DOC has them: pieces of text, properties of paragraphs, styles, lists."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import unpack_from

from mediary.errors import UnreadableError

# Where the header says where what lies; each is an offset and a length.
_STYLES, _PARAGRAPHS, _PIECES, _LISTS, _OVERRIDES = 0x0A2, 0x102, 0x1A2, 0x2E2, 0x2EA
_PAGE = 512

# Properties of paragraphs that matter here.
_LEVEL, _LIST, _IN_TABLE, _ROW_END, _OUTLINE = 0x260A, 0x460B, 0x2416, 0x2417, 0x2640
_VARIABLE = (0xD606, 0xD608)
_OPERANDS = (1, 1, 2, 4, 2, 2, 0, 3)

_TITLE = 62
_CODE = frozenset({"preformatted text", "html preformatted", "source code", "plain text"})
_BULLETS = (23, 255)


@dataclass(slots=True)
class Paragraph:
    """A paragraph, and what it is."""

    text: str
    heading: int | None = None
    code: bool = False
    list_name: int = 0
    level: int = 0
    in_table: bool = False
    ends_row: bool = False


@dataclass(slots=True, frozen=True)
class _Piece:
    """Text from one character to another that lies together in the file, at a byte or two each."""

    first: int
    last: int
    offset: int
    width: int


@dataclass(slots=True, frozen=True)
class _Style:
    heading: int | None
    code: bool
    properties: dict[int, int]


class WordFile:
    """The text of a document and its properties."""

    def __init__(self, main: bytes, table: Callable[[int], bytes]) -> None:
        if unpack_from("<H", main)[0] != 0xA5EC or unpack_from("<H", main, 2)[0] < 101:
            raise UnreadableError("it is of a Word before 1997")
        flags = unpack_from("<H", main, 10)[0]
        if flags & 0x100:
            raise UnreadableError("it is protected by a password")
        self._main = main
        self._table = table(1 if flags & 0x200 else 0)
        length, notes = unpack_from("<II", main, 0x4C)
        self.text_range = range(length)
        self.note_range = range(length, length + notes)
        self._pieces = list(self._read_pieces())
        self._starts = [piece.first for piece in self._pieces]
        self._runs = sorted(self._read_paragraphs())
        self._run_starts = [start for start, _ in self._runs]
        self._styles = self._read_styles()
        overrides = self._part(_OVERRIDES)
        count = (len(overrides) - 4) // 16 if len(overrides) >= 4 else 0
        self._names = [unpack_from("<I", overrides, 4 + 16 * number)[0] for number in range(count)]
        self._lists = dict(self._read_lists())

    def paragraphs(self, characters: range) -> Iterator[Paragraph]:
        """The paragraphs of a part of the text."""
        rest = ""
        for piece in self._pieces:
            first, last = max(piece.first, characters.start), min(piece.last, characters.stop)
            if first >= last:
                continue
            text = self._text(piece, first, last)
            begin = 0
            for at, letter in enumerate(text):
                if letter in "\r\x07\x0c":
                    offset = piece.offset + (first - piece.first + at) * piece.width
                    yield self._paragraph(rest + text[begin : at + 1], offset)
                    rest, begin = "", at + 1
            rest += text[begin:]
        if rest:
            yield Paragraph(rest)

    def list_of(self, name: int) -> str:
        """The list that paragraphs with a name belong to; it may have several."""
        return str(self._names[name - 1]) if 0 < name <= len(self._names) else ""

    def level(self, name: int, level: int) -> tuple[bool, int]:
        """Whether a level of a list has numbers, and its first."""
        levels = self._lists.get(self.list_of(name), [])
        return levels[min(level, len(levels) - 1)] if levels else (False, 1)

    def _part(self, where: int) -> bytes:
        offset, length = unpack_from("<II", self._main, where)
        return self._table[offset : offset + length]

    def _text(self, piece: _Piece, first: int, last: int) -> str:
        start = piece.offset + (first - piece.first) * piece.width
        content = self._main[start : start + (last - first) * piece.width]
        return content.decode("utf-16-le" if piece.width == 2 else "cp1252", "replace")

    def _read_pieces(self) -> Iterator[_Piece]:
        content = self._part(_PIECES)
        at = 0
        while content[at] == 1:  # properties that pieces share
            at += 3 + unpack_from("<H", content, at + 1)[0]
        length = unpack_from("<I", content, at + 1)[0]
        at += 5
        count = (length - 4) // 12
        places = unpack_from(f"<{count + 1}I", content, at)
        for number in range(count):
            offset = unpack_from("<I", content, at + (count + 1) * 4 + number * 8 + 2)[0]
            narrow = offset & 0x40000000
            offset &= 0x3FFFFFFF
            yield _Piece(places[number], places[number + 1], offset // 2 if narrow else offset, 1 if narrow else 2)

    def _read_paragraphs(self) -> Iterator[tuple[int, bytes]]:
        """Where in the file the text of each paragraph starts, and its properties."""
        content = self._part(_PARAGRAPHS)
        count = (len(content) - 4) // 8
        for number in unpack_from(f"<{count}I", content, (count + 1) * 4):
            start = (number & 0x3FFFFF) * _PAGE
            page = self._main[start : start + _PAGE]
            if len(page) < _PAGE:
                continue
            runs = page[_PAGE - 1]
            for run in range(runs):
                at = page[(runs + 1) * 4 + run * 13] * 2
                size = page[at] * 2 - 1 if page[at] else page[at + 1] * 2
                begin = at + (1 if page[at] else 2)
                yield unpack_from("<I", page, run * 4)[0], page[begin : begin + size] if at else b""

    def _read_styles(self) -> list[_Style | None]:
        content = self._part(_STYLES)
        header = unpack_from("<H", content)[0]
        count, base = unpack_from("<HH", content, 2)
        at, styles = 2 + header, []
        for _ in range(count):
            if at + 2 > len(content):
                break
            size = unpack_from("<H", content, at)[0]
            styles.append(_style(content[at + 2 : at + 2 + size], base) if size else None)
            at += 2 + size + size % 2
        return styles

    def _read_lists(self) -> Iterator[tuple[str, list[tuple[bool, int]]]]:
        """The levels of each list: whether they have numbers, and their first."""
        table = self._table
        offset, length = unpack_from("<II", self._main, _LISTS)
        count = unpack_from("<H", table, offset)[0] if length else 0
        at = offset + 2 + count * 28
        for number in range(count):
            entry = offset + 2 + number * 28
            levels = []
            for _ in range(1 if table[entry + 26] & 1 else 9):
                start, form = unpack_from("<IB", table, at)
                at += 28 + table[at + 24] + table[at + 25]
                at += 2 + 2 * unpack_from("<H", table, at)[0]
                levels.append((form not in _BULLETS, start))
            yield str(unpack_from("<I", table, entry)[0]), levels

    def _paragraph(self, text: str, offset: int) -> Paragraph:
        """With the properties of its style, and its own over them."""
        run = self._runs[max(bisect_right(self._run_starts, offset) - 1, 0)][1] if self._runs else b""
        number = unpack_from("<H", run)[0] if len(run) >= 2 else 0
        style = self._styles[number] if number < len(self._styles) else None
        values = {**(style.properties if style else {}), **_properties(run[2:])}
        outline = values.get(_OUTLINE, 9)
        heading = style.heading if style and style.heading else outline + 1 if outline < 9 else None
        return Paragraph(
            text,
            heading,
            bool(style and style.code),
            values.get(_LIST, 0) if values.get(_LIST, 0) < 0xF800 else 0,
            min(values.get(_LEVEL, 0), 8),
            bool(values.get(_IN_TABLE)),
            bool(values.get(_ROW_END)),
        )


def _style(content: bytes, base: int) -> _Style:
    number = unpack_from("<H", content)[0] & 0xFFF
    length = unpack_from("<H", content, base)[0] if base + 2 <= len(content) else 0
    end = base + 2 + length * 2
    name = content[base + 2 : end].decode("utf-16-le", "replace").lower()
    heading = number if 1 <= number <= 9 else 1 if number == _TITLE else None
    at = end + 2
    properties: dict[int, int] = {}
    if content[2] & 15 == 1 and at + 2 <= len(content):  # of paragraphs
        size = unpack_from("<H", content, at)[0]
        properties = _properties(content[at + 4 : at + 2 + size])
    return _Style(heading, name in _CODE, properties)


def _properties(content: bytes) -> dict[int, int]:
    """The values of properties, by their numbers; of those that are longer than four bytes none."""
    values: dict[int, int] = {}
    at = 0
    while at + 2 < len(content):
        number = unpack_from("<H", content, at)[0]
        at += 2
        size = _OPERANDS[number >> 13]
        if number >> 13 == 6:
            size = 1 + (
                unpack_from("<H", content, at)[0] if number in _VARIABLE and at + 2 <= len(content) else content[at]
            )
        else:
            values[number] = int.from_bytes(content[at : at + size], "little")
        at += size
    return values
