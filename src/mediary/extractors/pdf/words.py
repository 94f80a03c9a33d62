"""The words of a page, each with its place and style, as PDFium finds them."""

import ctypes
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as pdfium

from mediary.extractors.pdf.structure import Tag, structure

_BOLD = re.compile(rb"bold|black|heavy|demi|[-,]bd", re.IGNORECASE)
_MONO = re.compile(rb"mono|courier|consol|typewriter|menlo|cmtt", re.IGNORECASE)
_GLANCES = 32
_WORD = re.compile(r"[^\s\0\x02]+\x02?|\x02")
_NOTE = re.compile(r"(?<=\D)\d{1,3}$")
HYPHEN = "\x02"
"""A hyphen at the end of a line, as PDFium marks it."""

_LIGATURES = str.maketrans({0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st"})
_ODD = re.compile("[\x00-\x08\x0e-\x1f\ufb00-\ufb06\ufeff\ufffe\uffff\xad\ue000-\uf8ff\ud800-\udfff]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_UNKNOWN = "\ufffd"


@dataclass(slots=True, frozen=True)
class Style:
    """What a text object's words have in common; `quarter` is how often it is turned by 90 degrees to the left."""

    size: float
    bold: bool
    mono: bool
    quarter: int
    mark: int
    """The number by which a tagged PDF's structure refers to it; -1 if there is none."""


@dataclass(slots=True)
class Word:
    """A word between `left` and `right` on the base line `y`, in points; y grows upwards.

    `spaced`: a space stands before it; otherwise only its place tells.
    """

    text: str
    left: float
    right: float
    y: float
    style: Style
    spaced: bool
    tag: Tag | None = None
    link: str | None = None


class Page:
    """The text of a page, in the order that a tagged document gives, else in that in which the page is drawn."""

    def __init__(self, page: Any) -> None:
        self._tags, self._places = structure(page)
        self._styles: dict[int, Style] = {}
        self._box = pdfium.FS_RECTF()
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._open(page)
        if (turned := self._turned()) != page.get_rotation():
            # PDFium puts words in the order in which they are seen, whichever way the page lies.
            self._text.close()
            page.set_rotation(turned)
            self._open(page)
        self.unknown = 0
        """How many characters have no meaning: their font does not say what they are."""

    def _open(self, page: Any) -> None:
        self._text = page.get_textpage()
        self._handle = self._text.raw
        self._styles.clear()
        self.characters: int = self._text.count_chars()

    def _turned(self) -> int:
        """By how many degrees the page must be turned for most of its text to be upright."""
        places = range(0, self.characters, max(self.characters // _GLANCES, 1))
        quarters = Counter(style.quarter for at in places if (style := self._style(at)))
        return 90 * max(quarters, key=lambda quarter: quarters[quarter]) if quarters else 0

    def close(self) -> None:
        """Free the page's text."""
        self._text.close()

    def words(self) -> list[Word]:
        """All words, turned so that most of them run from left to right."""
        text = self._string()
        found, end = [], 0
        for match in _WORD.finditer(text):
            between = text[end : match.start()]
            end = match.end()
            spaced = " " in between or "\t" in between
            for text, start in self._without_note(match[0], match.start()):
                if word := self._word(text, start, spaced and start == match.start()):
                    found.append(word)
        return self._in_place(found)

    def _in_place(self, words: list[Word]) -> list[Word]:
        """Words as the document has them: what floats is drawn before the text that it stands beside."""
        place = -1
        keys = [place := self._places.get(word.style.mark, place) for word in words]
        return [words[at] for at in sorted(range(len(words)), key=keys.__getitem__)] if self._places else words

    def _without_note(self, text: str, start: int) -> list[tuple[str, int]]:
        """A word and the small number of a footnote behind it are two."""
        if not (note := _NOTE.search(text)):
            return [(text, start)]
        style, small = self._style(start), self._style(start + note.start())
        if style is None or small is None or small.size > 0.85 * style.size:
            return [(text, start)]
        return [(text[: note.start()], start), (note[0], start + note.start())]

    def _string(self) -> str:
        """One character for each of PDFium's, so that an index is good for both."""
        count = self.characters
        buffer = ctypes.create_string_buffer(4 * count + 2)
        units = pdfium.FPDFText_GetText(self._handle, 0, count, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)))
        text = buffer.raw[: 2 * max(units - 1, 0)].decode("utf-16-le", "replace").replace("\ufffe", HYPHEN)
        if len(text) == count:
            return text
        get = pdfium.FPDFText_GetUnicode
        return "".join(
            [chr(code) if 0 < (code := get(self._handle, at)) < 0x110000 else _UNKNOWN for at in range(count)]
        )

    def _word(self, text: str, start: int, spaced: bool) -> Word | None:
        style = self._style(start)
        if style is None:
            return None
        last = start + len(text) - 1
        if _RIGHT_TO_LEFT.search(text):
            text = self._from_right(text, start)
        left, right, y = self._place(start, last, style.quarter)
        if _ODD.search(text):
            text = _clean(text)
        self.unknown += text.count(_UNKNOWN)
        return Word(text, left, right, y, style, spaced, self._tags.get(style.mark)) if text else None

    def _place(self, first: int, last: int, quarter: int) -> tuple[float, float, float]:
        """Left, right and base line of a word, as if it were not turned."""
        box, handle = self._box, self._handle
        pdfium.FPDFText_GetCharOrigin(handle, first, self._x, self._y)
        x, y = self._x.value, self._y.value
        pdfium.FPDFText_GetLooseCharBox(handle, first, box)
        sides = [box.left, box.right, box.bottom, box.top]
        pdfium.FPDFText_GetLooseCharBox(handle, last, box)
        left, right = min(sides[0], box.left), max(sides[1], box.right)
        if quarter == 0:
            return left, right, y
        bottom, top = min(sides[2], box.bottom), max(sides[3], box.top)
        return ((bottom, top, -x), (-right, -left, -y), (-top, -bottom, x))[quarter - 1]

    def _style(self, at: int) -> Style | None:
        """The style of a character; None for one that PDFium made up."""
        thing = pdfium.FPDFText_GetTextObject(self._handle, at)
        if not thing:
            return None
        address = ctypes.addressof(thing.contents)
        if address not in self._styles:
            self._styles[address] = self._new_style(at, thing)
        return self._styles[address]

    def _new_style(self, at: int, thing: Any) -> Style:
        matrix = pdfium.FS_MATRIX()
        pdfium.FPDFText_GetMatrix(self._handle, at, matrix)
        size = pdfium.FPDFText_GetFontSize(self._handle, at) * math.hypot(matrix.c, matrix.d)
        name = ctypes.create_string_buffer(128)
        pdfium.FPDFText_GetFontInfo(self._handle, at, name, 128, None)
        quarter = round(math.atan2(matrix.b, matrix.a) / (math.pi / 2)) % 4
        mark = pdfium.FPDFPageObj_GetMarkedContentID(thing)
        return Style(round(size, 1), bool(_BOLD.search(name.value)), bool(_MONO.search(name.value)), quarter, mark)

    def _from_right(self, text: str, start: int) -> str:
        """A word of Arabic or Hebrew in the order in which it is read: PDFium gives some as they stand on the page."""
        places = []
        for at in range(start, start + len(text)):
            pdfium.FPDFText_GetCharOrigin(self._handle, at, self._x, self._y)
            places.append(-self._x.value)
        order = sorted(range(len(text)), key=places.__getitem__)
        letters = "".join(text[at] for at in order)
        # Numbers and Latin letters within run from left to right.
        return re.sub("[0-9A-Za-z][0-9A-Za-z.,:/-]*[0-9A-Za-z]", lambda run: run[0][::-1], letters)


def _clean(text: str) -> str:
    """Ligatures as letters, soft hyphens and controls away; private characters say nothing to anybody else."""
    hyphen = text.endswith((HYPHEN, "\xad"))
    text = _ODD.sub(lambda odd: _replacement(odd[0]), text)
    return text + HYPHEN if hyphen else text


def _replacement(letter: str) -> str:
    if "\ufb00" <= letter <= "\ufb06":
        return letter.translate(_LIGATURES)
    if letter in "\uf0b7\uf0a7\uf076\uf0d8\uf0fc\uf0a8\uf06c\uf06e":  # what Word and its kin use for bullets
        return "•"
    return _UNKNOWN if "\ue000" <= letter <= "\uf8ff" or "\ud800" <= letter <= "\udfff" else ""
