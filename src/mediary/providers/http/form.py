"""Multipart forms: small ones in one piece, and one whose file is read while it is sent."""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from mediary.errors import UnreadableError
from mediary.tasks import to_the_end

_PIECE = 256 * 1024

# As browsers write a name; readers differ in what a backslash does.
_ESCAPED = re.compile(r'["\x00-\x1f\x7f]')


class Body(Protocol):
    """Bytes that can be read from their beginning, again for each attempt; `size` is how many."""

    @property
    def size(self) -> int: ...  # noqa: D102 - said above

    def pieces(self) -> AsyncGenerator[bytes, None]: ...  # noqa: D102 - said above


class Form:
    """A form with some fields and then one file, at constant memory.

    `content` is what the field `name` holds, under the name `filename`. `size` is in bytes.
    """

    def __init__(
        self, fields: Iterable[tuple[str, str]], name: str, filename: str, media_type: str, content: Body
    ) -> None:
        boundary = _boundary()
        self.content_type = _content_type(boundary)
        self._begin = b"".join([*_fields(fields, boundary), _file_head(name, filename, media_type, boundary)])
        self._end = f"\r\n--{boundary}--\r\n".encode()
        self._content = content
        self.size = len(self._begin) + content.size + len(self._end)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The whole form."""
        yield self._begin
        async with aclosing(self._content.pieces()) as pieces:
            async for piece in pieces:
                yield piece
        yield self._end


@dataclass(slots=True, frozen=True)
class FileOnDisk:
    """The first `size` bytes of a file. UnreadableError if it becomes shorter."""

    path: Path
    size: int

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The bytes, in pieces."""
        left = self.size
        with self.path.open("rb", buffering=0) as file:
            while left:
                piece = await _in_thread(partial(file.read, min(_PIECE, left)))
                if not piece:
                    raise UnreadableError(f"{self.path.name} became shorter while it was sent")
                left -= len(piece)
                yield piece


def encode_form(fields: dict[str, str], files: list[tuple[str, str, str, bytes]]) -> tuple[bytes, str]:
    """A form and its content type; `files` are name, file name, media type and bytes."""
    boundary = _boundary()
    parts = _fields(fields.items(), boundary)
    for name, filename, media_type, data in files:
        parts += [_file_head(name, filename, media_type, boundary), data, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), _content_type(boundary)


async def _in_thread(read: Callable[[], bytes | None]) -> bytes:
    """Read, to the end also when cancelled: else the file would be closed under it."""
    return await to_the_end(asyncio.get_running_loop().run_in_executor(None, read)) or b""


def _boundary() -> str:
    return secrets.token_hex(16)


def _content_type(boundary: str) -> str:
    return f"multipart/form-data; boundary={boundary}"


def _fields(fields: Iterable[tuple[str, str]], boundary: str) -> list[bytes]:
    head = f"--{boundary}\r\nContent-Disposition: form-data; name="
    return [f'{head}"{quote(name)}"\r\n\r\n{value}\r\n'.encode(errors="replace") for name, value in fields]


def _file_head(name: str, filename: str, media_type: str, boundary: str) -> bytes:
    head = f'form-data; name="{quote(name)}"; filename="{quote(filename)}"\r\nContent-Type: {media_type}'
    return f"--{boundary}\r\nContent-Disposition: {head}\r\n\r\n".encode(errors="replace")


def quote(name: str) -> str:
    """A name as it stands between the quotes of a form: unicode as it is, quotes and control characters escaped."""
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", name.replace("\\", "_"))
