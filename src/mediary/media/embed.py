"""Writes words into a picture's file without a touch to its pixels: what is inserted, and which bytes stay."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mediary.errors import UnreadableError, UnsupportedTypeError
from mediary.media.decoding.chunks import XMP_KEYWORD, XMP_SEGMENT, itxt_text
from mediary.media.decoding.probe import PROBE_BYTES, dimensions
from mediary.media.decoding.xmp import MAX_PACKET
from mediary.media.item import MediaItem
from mediary.media.metadata import parameters, xmp_packet

Piece = bytes | range
"""Bytes that are new, or a range of those that the file has."""

MAX_SEGMENT = 0xFFFF - 2

_PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_JPEG_APP0, _JPEG_APP1, _JPEG_APP11, _JPEG_SOS = 0xE0, 0xE1, 0xEB, 0xDA
_WEBP_XMP_FLAG, _WEBP_ALPHA_FLAG = 0x04, 0x10


@dataclass(slots=True, frozen=True)
class _Chunk:
    """A part of a file: its kind, where it begins and ends with all that belongs to it, where its content begins."""

    kind: bytes
    start: int
    end: int
    content: int


def embedded(file: BinaryIO, size: int, item: MediaItem) -> list[Piece]:
    """The file with the prompt, the parameters and the tags of an item in it, as pieces in order.

    What the file says itself stays: `parameters` that it brings, and the XMP of others. UnsupportedTypeError for a file
    that takes no words, UnreadableError for one that is not built as its format says.
    """
    head = _at(file, 0, 16)
    if head.startswith(_PNG):
        pieces = _png(file, size, item)
    elif head.startswith(b"\xff\xd8\xff"):
        pieces = _jpeg(file, size, item)
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        pieces = _webp(file, size, item)
    else:
        raise UnsupportedTypeError("only PNG, JPEG and WebP files take words")
    return [piece for piece in pieces if len(piece)]


def _png(file: BinaryIO, size: int, item: MediaItem) -> list[Piece]:
    """Text chunks go right behind the header."""
    kept: list[Piece] = []
    existing, has_parameters = b"", False
    for chunk in _png_chunks(file, size):
        keyword = _at(file, chunk.content, 80).partition(b"\0")[0] if chunk.kind in _TEXTS else b""
        _refuse_credentials(chunk.kind == b"caBX")
        has_parameters |= keyword == b"parameters"
        if keyword == XMP_KEYWORD:
            content = _at(file, chunk.content, min(chunk.end - 4 - chunk.content, MAX_PACKET))
            existing = itxt_text(content.partition(b"\0")[2])
        else:
            kept.append(range(chunk.start, chunk.end))
    words = b"" if has_parameters else _png_parameters(parameters(item))
    xmp = _png_chunk(b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + xmp_packet(item, existing))
    return [_PNG, kept[0], words, xmp, *_joined(kept[1:])]


def _png_chunks(file: BinaryIO, size: int) -> Iterator[_Chunk]:
    """The chunks of a PNG up to its end, and what lies behind it as one that has no kind."""
    position, kind = len(_PNG), b""
    while kind != b"IEND":
        header = _at(file, position, 8)
        end = position + 12 + int.from_bytes(header[:4], "big")
        if len(header) < 8 or end > size or (header[4:] != b"IHDR" and not kind):
            raise UnreadableError("this PNG file is cut short, or broken")
        kind = header[4:]
        yield _Chunk(kind, position, end, position + 8)
        position = end
    if position < size:
        yield _Chunk(b"", position, size, position)


def _png_parameters(text: str) -> bytes:
    """A1111's chunk: Latin-1 where that will do, else UTF-8."""
    text = text.replace("\0", "")
    if not text:
        return b""
    try:
        return _png_chunk(b"tEXt", b"parameters\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        return _png_chunk(b"iTXt", b"parameters\0\0\0\0\0" + text.encode("utf-8", "replace"))


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return len(content).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def _jpeg(file: BinaryIO, size: int, item: MediaItem) -> list[Piece]:
    """The XMP segment goes behind those of JFIF and Exif, which want to be first."""
    before: list[Piece] = []
    after: list[Piece] = []
    existing = b""
    position = 2
    for chunk in _jpeg_segments(file, size):
        head = _at(file, chunk.content, 64)
        _refuse_credentials(chunk.kind[0] == _JPEG_APP11 and b"jumb" in head)
        if chunk.kind[0] == _JPEG_APP1 and head.startswith(XMP_SEGMENT):
            start = chunk.content + len(XMP_SEGMENT)
            existing = _at(file, start, chunk.end - start)
        else:
            first = not after and (chunk.kind[0] == _JPEG_APP0 or head.startswith(b"Exif\0"))
            (before if first else after).append(range(chunk.start, chunk.end))
        position = chunk.end
    segment = XMP_SEGMENT + xmp_packet(item, existing)
    if len(segment) > MAX_SEGMENT:
        raise UnsupportedTypeError("the words are too long for a JPEG file")
    xmp = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    return [range(2), *_joined(before), xmp, *_joined([*after, range(position, size)])]


def _jpeg_segments(file: BinaryIO, size: int) -> Iterator[_Chunk]:
    """The segments of a JPEG in front of its pixels."""
    position = 2
    while True:
        header = _at(file, position, 4)
        if len(header) < 4 or header[0] != 0xFF:
            raise UnreadableError("this JPEG file is cut short, or broken")
        if header[1] == 0xFF:  # a fill byte
            yield _Chunk(b"\xff", position, position + 1, position + 1)
            position += 1
            continue
        if header[1] == _JPEG_SOS:
            return
        end = position + 2 + int.from_bytes(header[2:], "big")
        if end > size or end < position + 4:
            raise UnreadableError("this JPEG file is cut short, or broken")
        yield _Chunk(header[1:2], position, end, position + 4)
        position = end


def _webp(file: BinaryIO, size: int, item: MediaItem) -> list[Piece]:
    """The XMP chunk is the last; a file of the simple form becomes one of the extended form."""
    chunks = list(_webp_chunks(file, size))
    existing = b""
    kept: list[Piece] = []
    for chunk in chunks:
        _refuse_credentials(chunk.kind == b"C2PA")
        if chunk.kind == b"XMP ":
            existing = _at(file, chunk.content, min(chunk.end - chunk.content, MAX_PACKET))
        elif chunk.kind != b"VP8X":
            kept.append(range(chunk.start, chunk.end))
    xmp = _webp_chunk(b"XMP ", xmp_packet(item, existing))
    body = [_webp_header(file, chunks[0]), *_joined(kept), xmp]
    length = 4 + sum(len(piece) for piece in body)
    return [b"RIFF" + length.to_bytes(4, "little") + b"WEBP", *body, range(chunks[-1].end, size)]


def _webp_chunks(file: BinaryIO, size: int) -> Iterator[_Chunk]:
    """The chunks of a WebP, each with its byte of padding."""
    position, end = 12, 8 + int.from_bytes(_at(file, 4, 4), "little")
    if end > size or end < 20:
        raise UnreadableError("this WebP file is cut short, or broken")
    while position + 8 <= end:
        header = _at(file, position, 8)
        length = int.from_bytes(header[4:], "little")
        behind = position + 8 + length + length % 2
        if behind > end:
            raise UnreadableError("this WebP file is cut short, or broken")
        yield _Chunk(header[:4], position, behind, position + 8)
        position = behind


def _webp_header(file: BinaryIO, first: _Chunk) -> bytes:
    """The chunk that says what the file has, with the mark of XMP in it."""
    if first.kind == b"VP8X":
        content = bytearray(_at(file, first.content, 10))
        content[0] |= _WEBP_XMP_FLAG
        return _webp_chunk(b"VP8X", bytes(content))
    head = _at(file, 0, PROBE_BYTES)
    size = dimensions(head)
    if size is None:
        raise UnreadableError("this WebP file is cut short, or broken")
    has_alpha = first.kind == b"VP8L" and head[24] & 0x10
    flags = _WEBP_XMP_FLAG | (_WEBP_ALPHA_FLAG if has_alpha else 0)
    return _webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + b"".join((side - 1).to_bytes(3, "little") for side in size))


def _webp_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def _refuse_credentials(found: bool) -> None:
    if found:
        raise UnsupportedTypeError("it carries content credentials (C2PA), which any change would break")


def _joined(pieces: list[Piece]) -> list[Piece]:
    """The same pieces, those ranges in one that follow each other: a PNG may have thousands of chunks."""
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else b""
        if isinstance(piece, range) and isinstance(last, range) and last.stop == piece.start:
            joined[-1] = range(last.start, piece.stop)
        else:
            joined.append(piece)
    return joined


def _at(file: BinaryIO, position: int, length: int) -> bytes:
    file.seek(position)
    return file.read(length)
