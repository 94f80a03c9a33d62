"""Rows of a page, made of words in the order in which they are drawn, and their text."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

from mediary.extractors.pdf.structure import Tag
from mediary.extractors.pdf.words import HYPHEN, Word

# Parts of a font's size: what is on one line, where a word ends, where a cell of a table may end.
_SAME_LINE = 0.35
_SUPERSCRIPT = 0.65
_GLUED = 0.14
_CELL_GAP = 0.85

BULLETS = frozenset("•◦▪▫‣⁃●○■□◆◇►▶➢➤✓✔∙·–—-*")  # noqa: RUF001 - what stands before items is what it is
NUMBER = re.compile(r"\(?(\d{1,3}|[a-zA-Z]|[ivxIVX]{1,4})[.)]")

_NUMBERED = re.compile(r"(\d{1,2}[.)])([^\W\d].*)")

_RAISED = str.maketrans("0123456789+-=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ")
_CJK = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_MOST_LINES = 6
_LAST_WORD = re.compile(r"[^\W\d_]*$")
_FIRST_WORD = re.compile(r"[^\W\d_]*")
_LONGEST_WORD = 64
_SOFT = ("\u2010", "\xad")


@dataclass
class Row:
    """Words on one line, next to each other in the order of reading."""

    words: list[Word] = field(default_factory=list)

    @property
    def tag(self) -> Tag | None:
        """The part of a tagged document that it is in."""
        return self.words[0].tag

    @cached_property
    def size(self) -> float:
        """The size of most of its letters."""
        sizes: dict[float, int] = {}
        for word in self.words:
            sizes[word.style.size] = sizes.get(word.style.size, 0) + len(word.text)
        return max(sizes, key=sizes.__getitem__)

    @cached_property
    def left(self) -> float:
        """Where it begins."""
        return min(word.left for word in self.words)

    @cached_property
    def right(self) -> float:
        """Where it ends."""
        return max(word.right for word in self.words)

    @cached_property
    def y(self) -> float:
        """Its base line: that of its largest word."""
        return max(self.words, key=lambda word: word.style.size).y

    @cached_property
    def bold(self) -> bool:
        """Whether all of it is bold."""
        return all(word.style.bold for word in self.words)

    @cached_property
    def mono(self) -> bool:
        """Whether all of it has letters of one width."""
        return all(word.style.mono for word in self.words)

    @cached_property
    def text(self) -> str:
        """The row as it reads."""
        return text_of(self.words)

    @cached_property
    def cells(self) -> list[list[Word]]:
        """The words between wide gaps."""
        found = [[self.words[0]]]
        for before, word in pairwise(self.words):
            if word.left - before.right > _CELL_GAP * self.size or before.left - word.right > _CELL_GAP * self.size:
                found.append([])
            found[-1].append(word)
        return found


def marker(row: Row) -> str:
    """What makes a row an item of a list: `-` for a bullet, or its number; empty if it is none."""
    if len(row.words) < 2:
        return ""
    first, second = row.words[:2]
    gap = second.left - first.right
    if (first.text in BULLETS and gap > 0.1 * row.size) or (first.text == "o" and gap > 0.6 * row.size):
        return "-"
    return first.text if NUMBER.fullmatch(first.text) else ""


def rows_of(words: Iterable[Word]) -> list[Row]:
    """The rows of a page."""
    rows: list[Row] = []
    for word in words:
        if rows and _goes_on(rows[-1].words, word):
            rows[-1].words.append(word)
        else:
            rows.append(Row(_numbered(word)))
    return rows


def _numbered(word: Word) -> list[Word]:
    """A number with a dot and the word behind it are two at the beginning of a row, however narrow the space."""
    if not (found := _NUMBERED.fullmatch(word.text)):
        return [word]
    middle = word.left + (word.right - word.left) * len(found[1]) / len(word.text)
    number = replace(word, text=found[1], right=middle)
    return [number, replace(word, text=found[2], left=middle, spaced=True)]


def _goes_on(row: list[Word], word: Word) -> bool:
    """Whether a word stands on the line of the row that was drawn before it, and beside it."""
    last = row[-1]
    if last.tag != word.tag and (not last.tag or not word.tag or last.tag.part != word.tag.part):
        return False
    size = max(last.style.size, word.style.size)
    drop = abs(last.y - word.y)
    if drop > _SAME_LINE * size:
        raised = abs(last.style.size - word.style.size) > 0.15 * size and drop < _SUPERSCRIPT * size
        if not raised and abs(row[0].y - word.y) > _SAME_LINE * size:
            return False
    return word.left > last.right - 0.6 * size or (word.right < last.left + 0.3 * size and _from_right(word.text))


def _from_right(text: str) -> bool:
    return any("\u0590" <= letter <= "\u08ff" or letter.isdigit() for letter in text)


def text_of(words: Sequence[Word]) -> str:
    """Words as they read, links as Markdown."""
    parts: list[str] = []
    last: Word | None = None
    for word in words:
        if last is not None and last.link and last.link != word.link:
            parts.append(f"]({last.link})")
        if last is not None and _apart(last, word):
            parts.append(" ")
        if word.link and (last is None or last.link != word.link):
            parts.append("[")
        parts.append(_raised(word, last))
        last = word
    if last is not None and last.link:
        parts.append(f"]({last.link})")
    return "".join(parts)


def _apart(last: Word, word: Word) -> bool:
    if word.spaced:
        return True
    gap = word.left - last.right if word.left >= last.left else last.left - word.right
    return gap > _GLUED * max(last.style.size, word.style.size)


def _raised(word: Word, last: Word | None) -> str:
    """A small raised number must not become the end of the number or word before it."""
    if last is None or word.style.size > 0.85 * last.style.size or word.y < last.y + 0.15 * last.style.size:
        return word.text
    return word.text.translate(_RAISED) if word.text.isdigit() else word.text


def join(before: str, after: str, whole: frozenset[str] | set[str] = frozenset()) -> str:
    """Two rows of a paragraph as one text; `whole` are the words with hyphens that the document has elsewhere."""
    if not before or not after:
        return before or after
    if before.endswith((HYPHEN, "-", *_SOFT)) and len(before) > 1 and before[-2].isalnum():
        return _without_hyphen(before, after, whole)
    if _CJK.match(before[-1]) and _CJK.match(after):
        return before + after
    return f"{before} {after}"


def _without_hyphen(before: str, after: str, whole: frozenset[str] | set[str]) -> str:
    """A hyphen that only the end of the line asked for goes; one between numbers, names and known words stays."""
    head, soft = before[:-1], before.endswith(_SOFT)
    if not after[0].isalnum():
        return f"{head}- {after}"
    start, end = _LAST_WORD.search(head[-_LONGEST_WORD:]), _FIRST_WORD.match(after)
    known = start is not None and end is not None and f"{start[0]}-{end[0]}".lower() in whole
    if not soft and (known or not head[-1].islower() or not after[0].islower()):
        return f"{head}-{after}"
    return head + after


def paragraph(rows: Sequence[Row], whole: set[str], limit: float = 0.0) -> str:
    """Rows as one text; a row that ends although the next word had room keeps its end.

    `limit` is how far the text of the page goes to the right: a few rows of which none uses that are lines by intent.
    """
    text = ""
    lines = len(rows) <= _MOST_LINES and _are_lines(rows, limit)
    for column in _columns(rows):
        right = max(row.right for row in column)
        for last, row in zip([None, *column], column, strict=False):
            if last is not None and (lines or has_leader(last) or _ends_early(last, row, right)):
                text += "\n" + row.text
            else:
                text = join(text, row.text, whole)
    return _SAME_LINK.sub(r"\2", text) if "](" in text else text


def _are_lines(rows: Sequence[Row], limit: float) -> bool:
    """Whether all rows end early, and not at one place, as they do in a narrow column."""
    rights = [row.right for row in rows[:-1]]
    if not rights or (len(rights) > 1 and max(rights) - min(rights) < 0.5 * rows[0].size):
        return False
    marks = [{word.style.mark for word in row.words} for row in rows]
    if -1 not in marks[0] and all(before.isdisjoint(after) for before, after in pairwise(marks)):
        return True  # in a tagged document, text that only the margin parts is one piece
    return all(_ends_early(last, row, limit) for last, row in pairwise(rows))


def _columns(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that follow each other downwards."""
    found: list[list[Row]] = []
    for row in rows:
        if not found or row.y > found[-1][-1].y:
            found.append([])
        found[-1].append(row)
    return found


_SAME_LINK = re.compile(r"\]\(([^)\s]+)\)(\s?)\[(?=[^\]]*\]\(\1\))")


def _ends_early(last: Row, row: Row, right: float) -> bool:
    first = row.words[0]
    return last.right + 0.6 * row.size + (first.right - first.left) < right - 0.5 * row.size


def has_leader(row: Row) -> bool:
    """Whether dots lead to a number at its end: a line of a table of contents."""
    return _LEADER.search(row.text) is not None


_LEADER = re.compile(r"(?:\s?[.\u00b7\u2026]){4,}\s*(?=\S{1,8}$)", re.MULTILINE)


def finish(text: str) -> str:
    """A text without the marks that only `join` needs, and with short leaders."""
    return _LEADER.sub(" … ", text.replace(HYPHEN, "-"))
