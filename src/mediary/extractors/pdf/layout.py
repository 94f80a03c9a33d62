"""Rows of a page as Markdown: headings by their size, paragraphs, lists, code, tables."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from mediary.extractors import markdown
from mediary.extractors.pdf.rows import NUMBER, Row, finish, has_leader, marker, paragraph
from mediary.extractors.pdf.structure import Tag
from mediary.extractors.pdf.tables import tables, tagged_table
from mediary.extractors.pdf.words import HYPHEN

_COMPOUND = re.compile(r"[^\W\d_]+-[^\W\d_]+")
_SENTENCE_END = (".", "!", "?", ":", ";", "…", "。", "！", "？", "”", "»")  # noqa: RUF001 - Chinese ends so
_HEADING_LETTERS = 200
_CODE_GAP = 4.0


@dataclass(frozen=True)
class Looks:
    """How a document is set: the sizes of its text and, from the largest, of its headings; the pitch of its lines."""

    body: float = 10.0
    headings: tuple[float, ...] = ()
    pitch: float = 1.25

    def level(self, size: float) -> int:
        """The level of a heading of that size; 0 for a size that is no heading's."""
        if size < 1.08 * self.body + 0.3:
            return 0
        return min(1 + sum(known > 1.03 * size for known in self.headings), 6)


def looks(pages: Iterable[Sequence[Row]]) -> Looks:
    """The looks of a document by some of its pages."""
    letters: Counter[float] = Counter()
    pitches: Counter[float] = Counter()
    for rows in pages:
        for row in rows:
            letters[row.size] += len(row.text)
        for above, row in pairwise(rows):
            if above.size == row.size and 0 < above.y - row.y < 2.5 * row.size:
                pitches[round((above.y - row.y) / row.size, 1)] += 1
    if not letters:
        return Looks()
    body = max(letters, key=lambda size: letters[size])
    headings: list[float] = []
    for size in sorted((size for size in letters if size >= 1.08 * body + 0.3), reverse=True):
        if not headings or size < headings[-1] * 0.97:
            headings.append(size)
    often = max(pitches.values(), default=0) / 2
    pitch = min((pitch for pitch, count in pitches.items() if count >= often), default=1.25)
    return Looks(body, tuple(headings), min(max(pitch, 1.0), 2.0))


@dataclass
class Block:
    """Something with space around it: `kind` is "text", "heading", "item", "code" or "table"."""

    kind: str
    text: str = ""
    level: int = 0
    broken: bool = False
    """It ends in the middle of a sentence: the next page may go on with it."""

    def goes_on_with(self, block: "Block") -> bool:
        """Whether a block at the top of the next page is the rest of this one."""
        return self.broken and block.kind == "text" and block.text[:1].islower()

    def markdown(self) -> str:
        """The block without the space behind it."""
        text = self.text.replace(HYPHEN, "-") if self.kind == "code" else finish(self.text)
        match self.kind:
            case "heading":
                return f"{'#' * self.level} {text}"
            case "item":
                return "  " * self.level + text
            case "code":
                return markdown.fenced(text)
        return text


def blocks_of(rows: list[Row], page: Any, how: Looks, whole: set[str]) -> list[Block]:
    """The blocks of a page in the order of reading."""
    for row in rows:
        whole.update(_COMPOUND.findall(row.text.lower()))
    found: list[Block] = []
    for table, group in groupby(rows, key=lambda row: row.tag.table if row.tag else 0):
        if table:
            found += _tagged(list(group), how, whole)
        else:
            found += _untagged(list(group), page, how, whole)
    return found


def _tagged(rows: list[Row], how: Looks, whole: set[str]) -> list[Block]:
    """A table of a tagged document; one of a single row or column only puts things in their places."""
    table = tagged_table(rows)
    return [Block("table", table.markdown())] if table else _running(rows, how, whole)


def _untagged(rows: list[Row], page: Any, how: Looks, whole: set[str]) -> list[Block]:
    found: list[Block] = []
    at = 0
    for start, end, table in tables(rows, page):
        found += _running(rows[at:start], how, whole)
        found.append(Block("table", table.markdown()))
        at = end
    return found + _running(rows[at:], how, whole)


def _running(rows: list[Row], how: Looks, whole: set[str]) -> list[Block]:
    """Rows that are in no table."""
    found: list[Block] = []
    markers: list[float] = []
    group: list[Row] = []
    for row in [*rows, None]:
        if row is not None and group and not _is_new(group, row, how):
            group.append(row)
            continue
        if group:
            _add(found, _block(group, how, whole, markers, _limit(rows, group)))
            if found[-1].kind != "item":
                markers.clear()
        group = [row] if row else []
    return found


def _limit(rows: list[Row], group: list[Row]) -> float:
    """How far to the right text goes that begins where a group of rows does."""
    left, size = min(row.left for row in group), group[0].size
    return max((row.right for row in rows if abs(row.left - left) < size and row.size == size), default=0.0)


def _add(blocks: list[Block], block: Block) -> None:
    """Add a block, or make one item of it and a number that stands alone before it."""
    if blocks and block.kind == blocks[-1].kind == "text" and NUMBER.fullmatch(blocks[-1].text):
        blocks[-1] = Block("item", f"{blocks[-1].text} {block.text}", broken=block.broken)
    else:
        blocks.append(block)


def _is_new(group: list[Row], row: Row, how: Looks) -> bool:
    """Whether a row begins another block than that of the rows before it."""
    last = group[-1]
    if row.tag or last.tag:
        return row.tag is None or last.tag is None or row.tag.part != last.tag.part
    if _looks_other(group, row, how) or marker(row):
        return True
    pitch = last.y - row.y
    if pitch <= 0.3 * row.size:
        return not _goes_on(last, row)
    if row.mono and last.mono:
        return pitch > _CODE_GAP * row.size
    usual = group[-2].y - last.y if len(group) > 1 and group[-2].y > last.y else how.pitch * row.size
    if pitch > max(1.25 * usual, usual + 0.2 * row.size):
        return True
    indented = len(group) > 1 and row.left > last.left + 0.8 * row.size and not marker(group[0])
    return indented and abs(last.left - min(each.left for each in group)) < row.size


def _looks_other(group: list[Row], row: Row, how: Looks) -> bool:
    """Whether a row is set in another way; a single word of another face may stand on a row of its own by chance."""
    last = group[-1]
    if how.level(row.size) != how.level(last.size):
        return True
    if row.mono != last.mono:
        return len(row.words) > 1
    return row.bold != last.bold and len(group) == 1


def _goes_on(last: Row, row: Row) -> bool:
    """Whether the text of a row goes on at the top of the next column or page."""
    return not last.text.endswith(_SENTENCE_END) and row.text[:1].islower() and last.size == row.size


def _block(group: list[Row], how: Looks, whole: set[str], markers: list[float], limit: float) -> Block:
    first = group[0]
    if all(row.mono for row in group) and (len(group) > 1 or not marker(first)):
        return Block("code", _code(group))
    tagged = first.tag.kind if first.tag else ""
    level = (first.tag.level if tagged == "heading" else 0) if first.tag else how.level(first.size)
    text = paragraph(group, whole, limit)
    fits = len(text) <= _HEADING_LETTERS and not has_leader(first)
    if level and fits and (tagged or (len(group) <= 3 and marker(first) != "-")):
        return Block("heading", text.replace("\n", " "), level)
    if first.tag and tagged == "item":
        return _tagged_item(group, first.tag, whole)
    if not tagged and _is_bold_heading(group, text):
        return Block("heading", text, min(len(how.headings) + 1, 6))
    if mark := marker(first):
        return _item(group, mark, whole, markers)
    return Block("text", text, broken=not finish(text).endswith(_SENTENCE_END))


def _is_bold_heading(group: list[Row], text: str) -> bool:
    return len(group) == 1 and group[0].bold and 2 < len(text) <= 80 and text[-1].isalnum() and not text[0].islower()


def _item(group: list[Row], mark: str, whole: set[str], markers: list[float]) -> Block:
    first = group[0]
    while markers and markers[-1] > first.left + 0.5 * first.size:
        markers.pop()
    if not markers or markers[-1] < first.left - 0.5 * first.size:
        markers.append(first.left)
    text = paragraph([Row(first.words[1:]), *group[1:]], whole)
    return Block("item", f"{mark} {text}", len(markers) - 1)


def _tagged_item(group: list[Row], tag: Tag, whole: set[str]) -> Block:
    """An item of a tagged list; the structure says what its mark is, and a mark may be drawn without a letter."""
    label = "".join(word.text for word in group[0].words if word.tag and word.tag.label)
    rest = [word for word in group[0].words if not (word.tag and word.tag.label)]
    text = paragraph([Row(rest), *group[1:]] if rest else group[1:], whole) if rest or group[1:] else ""
    return Block("item", f"{label if NUMBER.fullmatch(label) else '-'} {text}", tag.level)


def _code(group: list[Row]) -> str:
    """Rows of letters of one width, with their indentation."""
    left = min(row.left for row in group)
    steps = [above.y - row.y for above, row in pairwise(group)]
    lines: list[str] = []
    for step, row in zip([0.0, *steps], group, strict=True):
        lines += [""] * min(round(step / min(steps)) - 1, 3) if step > 0 and min(steps) > 0 else []
        first = row.words[0]
        width = max((first.right - first.left) / len(first.text), 1.0)
        lines.append(" " * round((row.left - left) / width) + _spread(row, width))
    return "\n".join(lines)


def _spread(row: Row, width: float) -> str:
    text, end = "", row.words[0].left
    for word in row.words:
        text += " " * round((word.left - end) / width) + word.text
        end = word.right
    return text


def gap(before: Block, block: Block) -> str:
    """What parts two blocks: an empty line, but for items of a list."""
    return "\n" if before.kind == block.kind == "item" else "\n\n"
