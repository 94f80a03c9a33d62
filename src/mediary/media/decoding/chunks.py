"""Walks through the parts of a picture's file, and picks out what they say besides the pixels. For child processes."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from mediary.formats import GIF, JPEG, MP4, PNG, WAV, WEBP, Format
from mediary.media.decoding.probe import JPEG_FRAMES
from mediary.media.decoding.untrusted import Bytes, decode_text

MAX_TEXT = 4 * 1024**2
"""Bytes of one text, unpacked, that are read; a longer one is left out."""
MAX_TEXTS = 2 * MAX_TEXT
"""Bytes of all texts of a file."""
MAX_PARTS = 20_000
"""Parts of a file that are looked at."""

XMP_KEYWORD = b"XML:com.adobe.xmp"
XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_STANDALONE = {0x01, *range(0xD0, 0xD8)}
"""JPEG markers without a length."""


@dataclass(slots=True)
class Said:
    """What a file says of itself: texts by their keywords, Exif and XMP as they are, whether it has C2PA."""

    texts: dict[str, str] = field(default_factory=dict)
    exif: bytes = b""
    xmp: bytes = b""
    c2pa: bool = False
    length: int = 0

    def add(self, keyword: str, text: bytes) -> None:
        """Keep a text, the first of its keyword."""
        if keyword in self.texts or self.length + len(text) > MAX_TEXTS:
            return
        self.length += len(text)
        self.texts[keyword] = decode_text(text)


def read_chunks(file: Bytes, found: Format) -> Said:
    """What a file of that format says besides its pixels and samples; never an error, whatever the bytes are."""
    said = Said()
    if walk := _WALKS.get(found.extension):
        walk(file, said)
    return said


def _png(file: Bytes, said: Said) -> None:
    position = 8
    for _ in range(MAX_PARTS):
        header = file.at(position, 8)
        if len(header) < 8:
            return
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        if kind == b"IEND":
            return
        if kind in _PNG_CHUNKS and length <= MAX_TEXT:
            _png_chunk(kind, file.at(position + 8, length), said)
        position += 12 + length


_PNG_CHUNKS = {b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"caBX"}


def _png_chunk(kind: bytes, data: bytes, said: Said) -> None:
    keyword, _, rest = data.partition(b"\0")
    match kind:
        case b"tEXt":  # Latin-1 by the book; many a tool writes UTF-8
            said.add(keyword.decode("latin-1"), rest)
        case b"zTXt":
            said.add(keyword.decode("latin-1"), unpack(rest[1:]))
        case b"iTXt":
            text = itxt_text(rest)
            if keyword == XMP_KEYWORD:
                said.xmp = said.xmp or text
            else:
                said.add(keyword.decode("latin-1"), text)
        case b"eXIf":
            said.exif = said.exif or data
        case b"caBX":
            said.c2pa = True


def itxt_text(rest: bytes) -> bytes:
    """The text of an iTXt chunk, by what stands behind its keyword; empty if it is packed and cannot be unpacked."""
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return unpack(text) if rest[:1] == b"\1" else text


def unpack(data: bytes) -> bytes:
    """The text that was packed by zlib; empty if it is broken, or longer than a text may be."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, MAX_TEXT)
    except zlib.error:
        return b""
    return b"" if unpacker.unconsumed_tail else text


def _jpeg(file: Bytes, said: Said) -> None:
    for marker, start, length in _jpeg_segments(file):
        match marker:
            case 0xE1:
                data = file.at(start, length)
                if data.startswith(b"Exif\0\0"):
                    said.exif = said.exif or data[6:]
                elif data.startswith(XMP_SEGMENT):
                    said.xmp = said.xmp or data[len(XMP_SEGMENT) :]
            case 0xEB if not said.c2pa:
                data = file.at(start, min(length, 64))
                said.c2pa = data.startswith(b"JP") and b"c2pa" in data
            case 0xFE:
                said.add("comment", file.at(start, length))


def _jpeg_segments(file: Bytes) -> Iterator[tuple[int, int, int]]:
    """The segments in front of the pixels: marker, where the content begins, and how long it is."""
    position = 2
    for _ in range(MAX_PARTS):
        header = file.at(position, 4)
        if len(header) < 4 or header[0] != 0xFF or header[1] in (0xD9, 0xDA):
            return
        if header[1] == 0xFF or header[1] in _STANDALONE:
            position += 1 if header[1] == 0xFF else 2
            continue
        length = int.from_bytes(header[2:], "big")
        if length < 2:
            return
        yield header[1], position + 4, length - 2
        position += 2 + length


def jpeg_frame_header(file: Bytes) -> bytes:
    """The segment that tells a JPEG's size, however far behind its metadata it lies; empty if there is none."""
    for marker, start, _ in _jpeg_segments(file):
        if marker in JPEG_FRAMES:
            return file.at(start - 4, 16)
    return b""


def _riff(file: Bytes, said: Said) -> None:
    """WebP and WAV."""
    position = 12
    for _ in range(MAX_PARTS):
        header = file.at(position, 8)
        if len(header) < 8:
            return
        length = int.from_bytes(header[4:], "little")
        match header[:4]:
            case b"EXIF" if length <= MAX_TEXT:
                said.exif = said.exif or file.at(position + 8, length).removeprefix(b"Exif\0\0")
            case b"XMP " if length <= MAX_TEXT:
                said.xmp = said.xmp or file.at(position + 8, length)
            case b"C2PA":
                said.c2pa = True
        position += 8 + length + length % 2


def _gif(file: Bytes, said: Said) -> None:
    """The comments in front of the first frame, as far as they are within the first bytes."""
    head = file.head
    if len(head) < 13:
        return
    position = 13 + (3 << (head[10] & 7) + 1 if head[10] & 0x80 else 0)
    while head[position : position + 1] == b"!":
        label = head[position + 1 : position + 2]
        position += 2
        pieces = []
        while (length := int.from_bytes(head[position : position + 1], "big")) > 0:
            pieces.append(head[position + 1 : position + 1 + length])
            position += 1 + length
        position += 1
        if label == b"\xfe":
            said.add("comment", b"".join(pieces))


def _mp4(file: Bytes, said: Said) -> None:
    """The boxes of the top floor; the others are FFmpeg's."""
    position = 0
    for _ in range(MAX_PARTS):
        header = file.at(position, 24)
        length = int.from_bytes(header[:4], "big")
        said.c2pa |= header[4:8] == b"uuid" and header[8:24] == _C2PA_BOX
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8 or len(header) < 8:
            return
        position += length
        if position >= file.size:
            return


_WALKS = {
    PNG.extension: _png,
    JPEG.extension: _jpeg,
    WEBP.extension: _riff,
    WAV.extension: _riff,
    GIF.extension: _gif,
    MP4.extension: _mp4,
}
