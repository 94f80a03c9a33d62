"""The streams of OLE files, which old Office documents are, and what these say of themselves."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from struct import unpack_from
from typing import BinaryIO

from olefile import OleFileIO
from olefile.olefile import OleFileError

from mediary.errors import UnreadableError
from mediary.extractors.base import Facts

_MOST_BYTES = 256 * 1024**2
_SUMMARY = "\x05SummaryInformation"
_CODEPAGE, _TITLE, _AUTHOR, _PAGES = 1, 2, 4, 14
_UTF_8 = 65001


@contextmanager
def opened(source: BinaryIO) -> Iterator[OleFileIO]:
    """The file; whatever is wrong in it or in how its streams are read is an UnreadableError."""
    try:
        with OleFileIO(source) as ole:
            yield ole
    except (OleFileError, OSError, struct.error, IndexError, ValueError) as error:
        raise UnreadableError("it is damaged") from error


def stream_of(ole: OleFileIO, name: str) -> bytes:
    """A stream as a whole."""
    if not ole.exists(name):
        raise UnreadableError(f"it is damaged: {name} is missing")
    if ole.get_size(name) > _MOST_BYTES:
        raise UnreadableError(f"it has more than {_MOST_BYTES // 1024**2} MiB")
    with ole.openstream(name) as stream:
        content: bytes = stream.read()
    return content


def summary(ole: OleFileIO) -> Facts:
    """What a document says of itself; nothing where that is damaged."""
    if not ole.exists(_SUMMARY):
        return Facts()
    try:
        return _facts(stream_of(ole, _SUMMARY))
    except (struct.error, ValueError, LookupError):
        return Facts()


def _facts(content: bytes) -> Facts:
    (start,) = unpack_from("<I", content, 44)
    (count,) = unpack_from("<I", content, start + 4)
    values: dict[int, bytes | str | int] = {}
    for number in range(min(count, 64)):
        name, at = unpack_from("<II", content, start + 8 + 8 * number)
        if name in (_CODEPAGE, _TITLE, _AUTHOR, _PAGES):
            values[name] = _value(content, start + at)
    codepage, pages = values.get(_CODEPAGE), values.get(_PAGES)
    encoding = "utf-8" if codepage == _UTF_8 else f"cp{codepage}" if isinstance(codepage, int) else "cp1252"
    return Facts(
        _words(values.get(_TITLE, ""), encoding),
        _words(values.get(_AUTHOR, ""), encoding),
        pages if isinstance(pages, int) and pages > 0 else None,
    )


def _value(content: bytes, at: int) -> bytes | str | int:
    kind, size = unpack_from("<II", content, at)
    match kind:
        case 2:
            return int(size & 0xFFFF)
        case 3:
            return int(size)
        case 30:
            return content[at + 8 : at + 8 + min(size, 4096)]
        case 31:
            return content[at + 8 : at + 8 + 2 * min(size, 4096)].decode("utf-16-le", "replace")
    return ""


def _words(value: bytes | str | int, encoding: str) -> str | None:
    text = value.decode(encoding, "replace") if isinstance(value, bytes) else str(value)
    return " ".join(text.partition("\0")[0].split()) or None
