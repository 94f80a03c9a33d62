"""Puts into pictures what tools that make pictures put into them, byte for byte as those do it."""

import struct
import zlib

from tests.media.samples import picture

XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" {attributes}>{properties}</rdf:Description>
</rdf:RDF></x:xmpmeta>"""


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(*chunks: bytes, **size: int) -> bytes:
    """A PNG with chunks behind its header."""
    plain = picture(".png", keep="none", **size)
    return plain[:33] + b"".join(chunks) + plain[33:]


def png_text(keyword: str, text: str) -> bytes:
    """A text as Pillow writes it: tEXt if Latin-1 will do, else iTXt."""
    try:
        return png_chunk(b"tEXt", keyword.encode() + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        return png_chunk(b"iTXt", keyword.encode() + b"\0\0\0\0\0" + text.encode())


def png_texts(**texts: str) -> bytes:
    return png_with(*(png_text(keyword.replace("__", "-"), text) for keyword, text in texts.items()))


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg_with(*segments: bytes) -> bytes:
    plain = picture(".jpg", keep="none")
    return plain[:2] + b"".join(segments) + plain[2:]


def webp_with(*chunks: tuple[bytes, bytes]) -> bytes:
    """An extended WebP with chunks behind its pixels."""
    pixels = picture(".webp", keep="none")[12:]
    header = b"VP8X" + struct.pack("<I", 10) + bytes([0x0C, 0, 0, 0, 63, 0, 0, 47, 0, 0])
    body = header + pixels
    for kind, data in chunks:
        body += kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def exif(tags: dict[int, bytes | int], inner: dict[int, bytes] | None = None, order: str = ">") -> bytes:
    """A TIFF with texts (bytes) and shorts in its first folder, and undefined bytes in its Exif folder."""
    entries = [(tag, 3 if isinstance(value, int) else 2, value) for tag, value in tags.items()]
    if inner:
        entries.append((0x8769, 4, b""))
    inner_at = 8 + 2 + 12 * len(entries) + 4
    data_at = inner_at + (2 + 12 * len(inner) + 4 if inner else 0)
    data = b""

    def folder(rows: list[tuple[int, int, bytes | int]]) -> bytes:
        nonlocal data
        packed = struct.pack(order + "H", len(rows))
        for tag, kind, value in rows:
            if kind == 3:
                packed += struct.pack(order + "HHIHH", tag, kind, 1, value, 0)
            elif kind == 4:
                packed += struct.pack(order + "HHII", tag, kind, 1, inner_at)
            elif len(value) <= 4:
                packed += struct.pack(order + "HHI4s", tag, kind, len(value), value)
            else:
                packed += struct.pack(order + "HHII", tag, kind, len(value), data_at + len(data))
                data += value
        return packed + bytes(4)

    first = folder(sorted(entries))
    second = folder([(tag, 7, value) for tag, value in sorted(inner.items())]) if inner else b""
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "I", 8)
    return head + first + second + data


def user_comment(text: str) -> bytes:
    """As piexif writes it for A1111."""
    return exif({}, {0x9286: b"UNICODE\0" + text.encode("utf-16-be")})


def xmp(properties: str = "", attributes: str = "") -> bytes:
    return _XMP.format(properties=properties, attributes=attributes).encode()
