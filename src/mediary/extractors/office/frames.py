"""The elements that hold blocks of text, and the Markdown that each becomes when it ends."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mediary.extractors import markdown

_COLUMNS = 256
_BOLD = re.compile(r"\A\*\*([^*]+)\*\*\Z")
_LANGUAGE = re.compile(r"(?:lang(?:uage)?-|sourceCode |highlight-source-|brush: ?)([\w+#.-]+)")


@dataclass(slots=True)
class Block:
    """A finished block; `kind` is the element it was made of, `depth` in how many lists it lies that have no item."""

    text: str
    kind: str = "p"
    depth: int = 0


@dataclass(slots=True)
class Frame:
    """An element that holds blocks; `number` counts the items of a list, `rows` are those of a table."""

    tag: str
    blocks: list[Block] = field(default_factory=list)
    number: int = 0
    language: str = ""
    columns: int = 1
    lines: int = 1
    rows: list[list["Frame"]] = field(default_factory=list)
    held: dict[int, int] = field(default_factory=dict)


def close(frame: Frame, outer: Frame) -> None:
    """Hand a finished element on to the one around it."""
    match frame.tag:
        case "tr" if outer.tag == "table":
            outer.rows += frame.rows
        case "td" | "th" if outer.tag == "tr":
            outer.rows = outer.rows or [[]]
            outer.rows[0].append(frame)
        case "table":
            outer.blocks += _table(frame)
        case _ if not frame.blocks:
            pass
        case "li":
            _close_item(frame, outer)
        case "ul" | "ol":
            _close_list(frame, outer)
        case "pre" | "blockquote" | "dd":
            outer.blocks.append(_block(frame))
        case _:
            outer.blocks += frame.blocks


def _block(frame: Frame) -> Block:
    if frame.tag == "pre":
        text = "".join(block.text for block in frame.blocks).strip("\n")
        return Block(markdown.fenced(text, frame.language), "pre")
    text = "\n\n".join(block.text for block in frame.blocks)
    if frame.tag == "dd":
        return Block(f": {indented(text, 2)}")
    return Block("\n".join(f"> {line}".rstrip() for line in text.split("\n")))


def _close_item(item: Frame, outer: Frame) -> None:
    marker = "- "
    if outer.tag == "ol":
        outer.number = item.number or outer.number + 1
        marker = f"{outer.number}. "
    text = item.blocks[0].text
    for block in item.blocks[1:]:
        text += ("\n" if block.kind == "list" else "\n\n") + block.text
    outer.blocks.append(Block(marker + indented(text, len(marker)), "list" if outer.tag not in ("ul", "ol") else "li"))


def _close_list(frame: Frame, outer: Frame) -> None:
    """A list; one within a list, but in none of its items, belongs to the item before it."""
    text = "\n".join(block.text for block in frame.blocks)
    within = outer.tag in ("ul", "ol")
    depth = frame.blocks[0].depth + (1 if within else 0)
    before = outer.blocks[-1] if outer.blocks else None
    if depth and before and before.kind in ("list", "li"):
        indent = 2 * depth + (outer.tag == "ol")
        before.text += f"\n{' ' * indent}{indented(text, indent)}"
    else:
        outer.blocks.append(Block(text, "list", depth if within else 0))


def _table(frame: Frame) -> list[Block]:
    """A table of data; one that only lays out a page is its cells' blocks one after the other."""
    if not (rows := [row for row in frame.rows if row]):
        return frame.blocks
    cells = [cell for row in rows for cell in row]
    if max(map(len, rows)) == 1 or any(block.kind in ("table", "h") for cell in cells for block in cell.blocks):
        return [*frame.blocks, *(block for cell in cells for block in cell.blocks)]
    lines = [_filled(row, frame.held) for row in rows]
    lines = [line for line in lines if any(line)]
    if lines:
        lines[0] = [_BOLD.sub(r"\1", text) for text in lines[0]]  # a head is bold anyhow
    return [*frame.blocks, *([Block(markdown.table(lines), "table")] if lines else [])]


def _filled(row: list[Frame], held: dict[int, int]) -> list[str]:
    """The cells' text, with empty cells for what is spanned; `held` has for how many lines a column still is."""
    texts: list[str] = []
    for cell in row:
        while held.get(len(texts), 0) and len(texts) < _COLUMNS:
            held[len(texts)] -= 1
            texts.append("")
        for column in range(min(cell.columns, _COLUMNS)):
            held[len(texts)] = cell.lines - 1
            texts.append("\n".join(block.text for block in cell.blocks) if column == 0 else "")
    return texts


def language(attributes: Mapping[str, str]) -> str:
    """Of what is preformatted, by its class."""
    found = _LANGUAGE.search(attributes.get("class", ""))
    return found[1] if found else ""


def whole(text: str | None, otherwise: int) -> int:
    """A number that an attribute has."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else otherwise


def indented(text: str, by: int) -> str:
    """The lines after the first, moved in."""
    return text.replace("\n", "\n" + " " * by).replace("\n" + " " * by + "\n", "\n\n") if "\n" in text else text
