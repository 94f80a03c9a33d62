"""Cutting a long text into chunks at line ends, and outside code blocks where that can be."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CHUNK = 1024 * 1024

# A fence, or the end of a document among others: no code block goes on behind that.
_FENCE = re.compile(rb"^[ \t]*(`{3,}|~{3,})([^\n]*)\n?|^<-- End -->\n\n(?=<!-- File: )", re.MULTILINE)


class _Block(NamedTuple):
    """A code block: where its first line begins and its last one ends. It is still open if `fence` is not empty."""

    start: int
    end: int
    fence: bytes


def split_file_by_size_and_newline(source: Path, folder: Path, size: int = CHUNK) -> list[Path]:
    """Write a text into `plain_0001.cache`, `plain_0002.cache` … of that folder; together they are the text again.

    A chunk ends with the first line at or behind `size` bytes (4 at least) that ends outside a code block. None has
    more than twice the size: a code block or line that would not fit begins a chunk, and is cut if it is longer than
    that, a line between two characters. One chunk is in memory at a time. It blocks for as long as the disk does.
    """
    chunks: list[Path] = []
    with source.open("rb", buffering=0) as text:
        length = os.fstat(text.fileno()).st_size
        start, fence = 0, b""
        while start < length:
            window = os.pread(text.fileno(), 2 * size, start)
            end, fence = _cut(window, size, fence, is_last=start + len(window) >= length)
            chunks.append(folder / f"plain_{len(chunks) + 1:04}.cache")
            chunks[-1].write_bytes(memoryview(window)[:end])
            start += end
    return chunks


def is_complete(text: str) -> bool:
    """Whether every code block that begins in a text also ends in it."""
    lines = text.encode(errors="replace")
    return not any(block.fence for block in _blocks(lines, len(lines), b""))


def _cut(window: bytes, size: int, fence: bytes, *, is_last: bool) -> tuple[int, bytes]:
    """Where the chunk ends that begins this window, and the fence of the code block that goes on behind it."""
    if is_last and len(window) <= size:
        return len(window), b""
    last_line = window.rfind(b"\n") + 1
    blocks = list(_blocks(window, len(window) if is_last else last_line, fence))
    if end := window.find(b"\n", size - 1) + 1:
        block = _around(blocks, end)
        if block is None or not block.fence:
            return (block.end if block else end), b""
    if is_last:
        return len(window), b""
    block = _around(blocks, last_line)
    if block and block.start:
        return block.start, b""
    open_fence = blocks[-1].fence if blocks else b""
    return last_line or _character_end(window), open_fence


def _around(blocks: list[_Block], at: int) -> _Block | None:
    """The code block that a cut at this place would go through."""
    return next((block for block in blocks if block.start < at and (at < block.end or block.fence)), None)


def _blocks(window: bytes, end: int, fence: bytes) -> Iterator[_Block]:
    """The code blocks in a text up to `end`; `fence` is that of the block in which it begins."""
    start = 0
    if b"```" in window or b"~~~" in window or fence:
        for found in _FENCE.finditer(window, 0, end):
            mark, rest = found[1] or b"", (found[2] or b"").strip()
            if not fence:
                if mark[:1] == b"~" or (mark and b"`" not in rest):  # else it is code within a line
                    start, fence = found.start(), mark
            elif not mark or (mark[:1] == fence[:1] and len(mark) >= len(fence) and not rest):
                yield _Block(start, found.end() if mark else found.start(), b"")
                fence = b""
    if fence:
        yield _Block(start, len(window), fence)


def _character_end(window: bytes) -> int:
    """The end of the last whole character."""
    for back in range(1, min(4, len(window)) + 1):
        lead = window[-back]
        if lead & 0xC0 != 0x80:
            length = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return len(window) - back if length > back else len(window)
    return len(window)
