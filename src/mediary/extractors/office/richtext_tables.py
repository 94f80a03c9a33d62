"""What the tables at the head of an RTF file say: fonts and their encodings, styles, lists."""

import re
from dataclasses import dataclass, field

from mediary.extractors.charset import named

_CHARSETS = {
    77: "mac_roman",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gb18030",
    136: "cp950",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
    255: "cp437",
}
_BULLETS = (23, 255)
_HEADING = re.compile(r"heading ?([1-9])$")
_CODE = frozenset({"preformatted text", "html preformatted", "source code", "source_code", "plain text"})
_QUOTES = frozenset({"quote", "quotations", "block text", "intense quote"})


@dataclass(slots=True)
class Style:
    """What a style means."""

    heading: int | None = None
    code: bool = False
    quote: bool = False


@dataclass(slots=True)
class _Group:
    """A group of a table: its name, and the numbers that its words have."""

    name: str = ""
    numbers: dict[bytes, int] = field(default_factory=dict)
    text: str = ""


class Tables:
    """Takes the words of the tables, and knows what they said."""

    def __init__(self) -> None:
        self.encoding = "cp1252"
        self.fonts: dict[int, str] = {}
        self.styles: dict[int, Style] = {}
        self._lists: dict[int, list[tuple[bool, int]]] = {}
        self._overrides: dict[int, int] = {}
        self._levels: list[tuple[bool, int]] = []
        self._table = b""
        self._groups: list[_Group] = []

    def set_encoding(self, codepage: int) -> None:
        """The encoding of text whose font names none."""
        self.encoding = named(f"cp{codepage}") or ("utf-8" if codepage == 65001 else "cp1252")

    def start(self, table: bytes) -> None:
        """A table begins."""
        self._table = table
        self._groups = [_Group()]

    def begin(self) -> None:
        """A group in it begins."""
        self._groups.append(_Group())

    def word(self, word: bytes, number: int | None) -> None:
        """A control word in it."""
        group = self._groups[-1] if self._groups else _Group()
        group.numbers[word] = number if number is not None else 1
        if self._table == b"fonttbl" and word in (b"f", b"fcharset"):
            self._font(group.numbers)
        elif word == b"list":
            self._levels = []

    def text(self, text: str) -> None:
        """Text in it: a name."""
        if self._groups:
            self._groups[-1].text += text[:1000]

    def end(self) -> None:
        """A group in it ends, or the table itself."""
        if not self._groups:
            return
        group = self._groups.pop()
        numbers = group.numbers
        if self._table == b"stylesheet" and group.text:
            self._style(numbers, group.text.strip().rstrip(";").lower())
        elif b"listlevel" in numbers:
            self._levels.append((numbers.get(b"levelnfc", 23) not in _BULLETS, numbers.get(b"levelstartat", 1)))
        elif b"list" in numbers and b"listid" in numbers:
            self._lists[numbers[b"listid"]] = self._levels
        elif b"ls" in numbers and b"listid" in numbers:
            self._overrides[numbers[b"ls"]] = numbers[b"listid"]

    def level(self, name: int, level: int) -> tuple[bool, int] | None:
        """Whether a level of a list has numbers, and its first; None if there is no such list."""
        levels = self._lists.get(self._overrides.get(name, name))
        return levels[min(level, len(levels) - 1)] if levels else None

    def _font(self, numbers: dict[bytes, int]) -> None:
        self.fonts[numbers.get(b"f", 0)] = _CHARSETS.get(numbers.get(b"fcharset", 0), self.encoding)

    def _style(self, numbers: dict[bytes, int], name: str) -> None:
        if b"cs" in numbers or b"ds" in numbers:
            return
        outline = numbers.get(b"outlinelevel")
        match = _HEADING.match(name)
        heading = int(match[1]) if match else outline + 1 if outline is not None and outline < 9 else None
        self.styles[numbers.get(b"s", 0)] = Style(1 if name == "title" else heading, name in _CODE, name in _QUOTES)
