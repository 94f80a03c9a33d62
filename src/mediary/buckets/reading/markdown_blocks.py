"""Markdown taken apart into its blocks, as far as choosing among them needs."""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Kind = Literal["heading", "paragraph", "item", "table", "code"]

_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})(.*)")
_HEADING = re.compile(r"#{1,6}[ \t]+\S")
_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t]+")
_UNDERLINE = re.compile(r"[ \t]*(?:=+|-+)[ \t]*")
_COLUMNS = re.compile(r"[ \t]*\|?[ \t:|-]*-[ \t:|-]*\|[ \t:|-]*|[ \t]*\|[ \t]*:?-+:?[ \t]*\|?[ \t]*")


class Block(NamedTuple):
    """A block. `lead` stands before whatever is kept of it: an item's mark, the head of a table.

    `level` is that of a heading, from 1.
    """

    kind: Kind
    text: str
    lead: str = ""
    level: int = 0


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a text in order, without the empty lines between them."""
    gathered: list[str] = []
    fence = ""
    for line in text.splitlines():
        found = _FENCE.fullmatch(line)
        if fence:
            gathered.append(line)
            if found and found[1].startswith(fence) and not found[2].strip():
                yield Block("code", "\n".join(gathered))
                gathered, fence = [], ""
        elif found and not (found[1][0] == "`" and "`" in found[2]):
            yield from _block(gathered)
            gathered, fence = [line], found[1]
        elif not line.strip():
            yield from _block(gathered)
            gathered = []
        elif _HEADING.match(line):
            yield from _block(gathered)
            yield Block("heading", line, level=line.index(line.lstrip("#")))
            gathered = []
        elif _ITEM.match(line) or (gathered and _is_row(line) != _is_row(gathered[-1])):
            yield from _block(gathered)
            gathered = [line]
        else:
            gathered.append(line)
    yield from [Block("code", "\n".join(gathered))] if fence else _block(gathered)


def _is_row(line: str) -> bool:
    return line.lstrip().startswith("|")


def _block(lines: list[str]) -> Iterator[Block]:
    """What lines without an empty one between them are."""
    if not lines:
        return
    if _is_row(lines[0]):
        yield _table(lines)
    elif found := _ITEM.match(lines[0]):
        yield Block("item", "\n".join([lines[0][found.end() :], *lines[1:]]), found[0])
    elif len(lines) == 2 and _UNDERLINE.fullmatch(lines[1]):
        yield Block("heading", "\n".join(lines), level=1 if "=" in lines[1] else 2)
    else:
        yield Block("paragraph", "\n".join(lines))


def _table(lines: list[str]) -> Block:
    """Its first row and the line below belong to every row."""
    if len(lines) > 2 and _COLUMNS.fullmatch(lines[1]):
        return Block("table", "\n".join(lines[2:]), "\n".join(lines[:2]) + "\n")
    return Block("table", "\n".join(lines))
