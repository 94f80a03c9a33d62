"""Multipart forms: small ones in one piece, and one whose file is read from the disk while it is sent."""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Callable
from functools import partial
from pathlib import Path

from mediary.errors import UnreadableError
from mediary.tasks import to_the_end

_PIECE = 256 * 1024


def encode_form(fields: dict[str, str], files: list[tuple[str, str, str, bytes]]) -> tuple[bytes, str]:
    """A form and its content type; `files` are name, file name, media type and bytes."""
    boundary = _boundary()
    parts = _fields(fields, boundary)
    for name, filename, media_type, data in files:
        parts += [_file_head(name, filename, media_type, boundary), data, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), _content_type(boundary)


class FileForm:
    """A form with some fields and one file, at constant memory. UnreadableError if the file becomes shorter."""

    def __init__(self, fields: dict[str, str], name: str, file: Path, media_type: str, file_size: int) -> None:
        boundary = _boundary()
        self.content_type = _content_type(boundary)
        self._begin = b"".join([*_fields(fields, boundary), _file_head(name, file.name, media_type, boundary)])
        self._end = f"\r\n--{boundary}--\r\n".encode()
        self._file = file
        self._file_size = file_size
        self.size = len(self._begin) + file_size + len(self._end)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The whole form."""
        yield self._begin
        left = self._file_size
        with self._file.open("rb", buffering=0) as file:
            while left:
                piece = await _in_thread(partial(file.read, min(_PIECE, left)))
                if not piece:
                    raise UnreadableError(f"{self._file.name} became shorter while it was sent")
                left -= len(piece)
                yield piece
        yield self._end


async def _in_thread(read: Callable[[], bytes | None]) -> bytes:
    """Read, to the end also when cancelled: else the file would be closed under it."""
    return await to_the_end(asyncio.get_running_loop().run_in_executor(None, read)) or b""


def _boundary() -> str:
    return secrets.token_hex(16)


def _content_type(boundary: str) -> str:
    return f"multipart/form-data; boundary={boundary}"


def _fields(fields: dict[str, str], boundary: str) -> list[bytes]:
    head = f"--{boundary}\r\nContent-Disposition: form-data; name="
    return [f'{head}"{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]


def _file_head(name: str, filename: str, media_type: str, boundary: str) -> bytes:
    safe = re.sub(r'["\r\n\\]', "_", filename)
    head = f'Content-Disposition: form-data; name="{name}"; filename="{safe}"\r\nContent-Type: {media_type}'
    return f"--{boundary}\r\n{head}\r\n\r\n".encode()
