"""The small parts of Markdown: text that stays text, links, code, tables; the pieces that a text is handed on in."""

import re
from collections.abc import Iterable, Iterator, Sequence

from mediary.extractors.base import Facts, Piece

PIECE = 256 * 1024
"""Characters of a piece: at four bytes each they are a mebibyte."""

# Characters that would be markup in the middle of a line; an underscore within a word is none.
_INLINE = re.compile(r"[\\`*]|(?<!\w)_|_(?!\w)|<(?=[A-Za-z/!?])|\](?=\()")
_LINE_START = re.compile(r"^( *)(#{1,6}(?=\s|$)|>|[-+=](?=\s|$)|[-=]{3,}$|~{3,}|\d{1,9}(?=[.)](?:\s|$)))", re.MULTILINE)
_WIDE = 64
_FENCES = re.compile(r"^ {0,3}(`{3,})", re.MULTILINE)
_TICKS = re.compile(r"`+")
_URL_HOLES = re.compile(r"[\s<>()\\]")


def escape(text: str) -> str:
    """Text in which nothing is taken for markup within a line."""
    return _INLINE.sub(r"\\\g<0>", text)


def escape_start(text: str) -> str:
    """Lines of which none is taken for a heading, a quotation, a list or a rule."""
    return _LINE_START.sub(_escape_marker, text)


def _escape_marker(match: re.Match[str]) -> str:
    indent, marker = match.groups()
    return f"{indent}{marker}\\" if marker.isdigit() else f"{indent}\\{marker}"


def link(text: str, target: str) -> str:
    """A link; what leads nowhere outside the document is its text alone."""
    target = target.strip()
    if target.startswith("#") and text.isdigit():
        return f"[{text}]"  # of a footnote
    if not target or target.startswith("#") or target.lower().startswith(("javascript:", "data:")):
        return text
    return f"[{text}]({url(target)})"


def image(text: str, source: str) -> str:
    """A picture, as a note: one that lies elsewhere is a link to it, which nobody follows by only reading."""
    source = source.strip()
    if source.startswith("data:"):
        return f"![{text}]({source.partition(';')[0].partition(',')[0]})"
    if ":" in source or source.startswith("//"):
        return link(text or "picture", source)
    return f"![{text}]({url(source)})"


def url(target: str) -> str:
    """An address in which nothing ends the parentheses around it."""
    return _URL_HOLES.sub(lambda match: f"%{ord(match[0]):02X}", target)


def code(text: str) -> str:
    """Code within a line, between more backticks than it has itself."""
    text = text.replace("\n", " ")
    ticks = "`" * (1 + max((len(run) for run in _TICKS.findall(text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def fenced(text: str, language: str = "") -> str:
    """A code block, its fence longer than any fence within."""
    mark = fence(longest_fence(text))
    return f"{mark}{language}\n{text.rstrip()}\n{mark}"


def fence(longest: int) -> str:
    """The fence around code whose longest run of backticks at the start of a line has so many."""
    return "`" * max(3, longest + 1)


def longest_fence(text: str) -> int:
    """How long the longest run of three backticks or more is that starts a line."""
    return max((len(run) for run in _FENCES.findall(text)), default=0)


def cell(text: str) -> str:
    """What stands in a cell of a table: one line, no bar."""
    text = text.strip().replace("|", "\\|")
    lines = text.splitlines()
    return "<br>".join(filter(None, map(str.strip, lines))) if len(lines) > 1 else text


def row(cells: Iterable[str]) -> str:
    """A line of a table; the cells are as `cell` makes them."""
    return f"| {' | '.join(cells)} |"


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head; short rows are filled up, unless the table is so wide that nobody looks."""
    width = max(map(len, rows))
    full = width if width <= _WIDE else 0
    lines = [row((*map(cell, cells), *[""] * (full - len(cells)))) for cells in rows]
    lines[0] += " |" * (width - max(full, len(rows[0])))
    lines.insert(1, row(["---"] * width))
    return "\n".join(lines)


def pieces(parts: Iterable[str | Facts]) -> Iterator[Piece]:
    """The same text in pieces that are worth their way, none over a mebibyte; the first part goes at once."""
    waiting: list[str] = []
    size = 0
    first = True
    for part in parts:
        if isinstance(part, Facts):
            yield part
            continue
        waiting.append(part)
        size += len(part)
        if first or size >= PIECE // 4:
            yield from _split("".join(waiting))
            waiting.clear()
            size, first = 0, False
    yield from _split("".join(waiting))


def _split(text: str) -> Iterator[str]:
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE]
