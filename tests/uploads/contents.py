"""Files to upload: of bytes, and large ones that are nowhere."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from mediary.uploads.base import Content, File

PIECE = 1024 * 1024


@dataclass
class Bytes:
    """Bytes as content; `reads` are the ranges that were asked for."""

    data: bytes
    piece: int = PIECE
    reads: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.data)

    async def read(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        stop = len(self.data) if end is None else end
        self.reads.append((start, stop))
        for at in range(start, stop, self.piece):
            await asyncio.sleep(0)
            yield self.data[at : min(at + self.piece, stop)]


@dataclass
class Pattern:
    """So many bytes without the memory for them: every mebibyte begins with its number."""

    size: int

    def piece(self, number: int) -> bytes:
        return (number.to_bytes(8, "big") + bytes(PIECE - 8))[: self.size - number * PIECE]

    async def read(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        stop = self.size if end is None else end
        for number in range(start // PIECE, -(-stop // PIECE)):
            await asyncio.sleep(0)
            begin = number * PIECE
            yield self.piece(number)[max(start - begin, 0) : stop - begin]

    def digest(self, kind: Callable[[], "hashlib._Hash"] = hashlib.md5) -> str:
        found = kind()
        for number in range(-(-self.size // PIECE)):
            found.update(self.piece(number))
        return found.hexdigest()


def file_of(content: bytes | Content, name: str = "a.png", media_type: str = "image/png", **more: object) -> File:
    """A file with its digests."""
    if isinstance(content, Pattern):
        md5, sha256 = content.digest(), content.digest(hashlib.sha256)
    else:
        data = content if isinstance(content, bytes) else content.data  # type: ignore[attr-defined]
        md5, sha256 = hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest()
    return File(
        name=name,
        media_type=media_type,
        content=Bytes(content) if isinstance(content, bytes) else content,
        md5=md5,
        sha256=sha256,
        **more,  # type: ignore[arg-type]
    )


def nothing(_: int) -> None:
    """A progress that nobody looks at."""
