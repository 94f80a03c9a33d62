"""What a file is: by its first bytes, and by its name where these leave the choice."""

import re
from codecs import BOM_UTF8

from mediary import formats
from mediary.errors import UnreadableError, UnsupportedTypeError
from mediary.extractors.base import Recognised
from mediary.extractors.charset import CONTROLS, MARKS, decodes
from mediary.extractors.recognition.by_name import (
    MARKDOWN,
    PLAIN_TEXT,
    XML,
    by_name,
    extension_of,
    extractor_of,
    stated_type,
)

HEAD_BYTES = 65536

TAKEN = (
    "taken are pictures, sounds, videos, PDF, Word, Excel, PowerPoint, OpenDocument, EPUB, HTML, RTF, mail, "
    "all kinds of text, and archives of these (zip, tar, gz, bz2, xz)"
)


def recognise(head: bytes, name: str) -> Recognised | None:
    """What a file is by its first `HEAD_BYTES` bytes; None where only a look into the container tells (ZIP, OLE).

    UnsupportedTypeError says what else it is if nobody reads it, UnreadableError that it is empty.
    """
    if not head:
        raise UnreadableError("it is empty")
    if media := formats.detect(head[: formats.SNIFF_BYTES]):
        return Recognised("media", media.media_type, format=media)
    if found := _by_signature(head, name):
        return found
    if head.startswith(_CONTAINERS):
        return _open_document(head)
    if is_text(head):
        return _text(head, name)
    raise UnsupportedTypeError(_what(head))


def document(media_type: str, extractor: str | None = None) -> Recognised:
    """A document of a media type, with its extractor."""
    return Recognised("document", media_type, extractor=extractor or extractor_of(media_type))


_CONTAINERS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")

_ARCHIVES = {
    b"\x1f\x8b\x08": "application/gzip",
    b"\xfd7zXZ\0": "application/x-xz",
}

_PICTURES = {
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
    b"II+\0\x08\0": "image/tiff",
    b"MM\0+\0\x08": "image/tiff",
    b"\0\0\0\x0cjP  \r\n\x87\n": "image/jp2",
    b"\xff\x4f\xff\x51": "image/jp2",
}

_DOCUMENTS = {
    b"{\\rtf": "application/rtf",
    b"HWP Document File": "application/x-hwp",
}

_SIGNATURES = {
    **{start: Recognised("archive", media_type) for start, media_type in _ARCHIVES.items()},
    **{start: document(media_type, "scan") for start, media_type in _PICTURES.items()},
    **{start: document(media_type) for start, media_type in _DOCUMENTS.items()},
}


def _by_signature(head: bytes, name: str) -> Recognised | None:
    for start, found in _SIGNATURES.items():
        if head.startswith(start):
            return found
    if _is_pdf(head, name):
        return document("application/pdf")
    if head[:3] == b"BZh" and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return Recognised("archive", "application/x-bzip2")
    if _is_tar(head[:512]):
        return Recognised("archive", "application/x-tar")
    if head[:2] == b"BM" and head[6:10] == bytes(4) and head[14:18] in _BITMAP_HEADERS:
        return document("image/bmp", "scan")
    if _PORTABLE_ANYMAP.match(head):
        return document("image/x-portable-anymap", "scan")
    if head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS:
        return document(_STILL_BRANDS[head[8:12]], "scan")
    if extension_of(name) == "dbf" and head[0] in _DBASE and len(head) > 32 and not is_text(head[:32]):
        return document("application/x-dbf")
    return None


_BITMAP_HEADERS = {size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124)}
_PORTABLE_ANYMAP = re.compile(rb"P[1-6]\s(?:\s|#[^\n]*\n)*\d+\s+(?:#[^\n]*\n)*\d+\s")
_STILL_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"mif1"), "image/heic"),
    b"jp2 ": "image/jp2",
}
_DBASE = {0x03, 0x30, 0x31, 0x83, 0x8B, 0xF5}


def _is_pdf(head: bytes, name: str) -> bool:
    """Readers take PDF with up to a kilobyte of something before it; a text may speak of `%PDF-`."""
    at = head.find(b"%PDF-", 0, 1024)
    if at <= 0:
        return at == 0
    return not head[:at].strip(b"\xef\xbb\xbf \t\r\n\f\0") or extension_of(name) == "pdf" or not is_text(head)


def _is_tar(block: bytes) -> bool:
    """Whether the checksum of a tar header is right; the signature was not always there."""
    stated = block[148:156].strip(b" \0")
    if len(block) < 512 or not stated or stated.strip(b"01234567"):
        return False
    return int(stated, 8) == sum(block) - sum(block[148:156]) + 8 * ord(" ")


def _open_document(head: bytes) -> Recognised | None:
    """OpenDocument and EPUB say at the very beginning what they are; the rest only inside."""
    if head[26:28] == b"\x08\0" and head[30:38] == b"mimetype" and head[8:10] == b"\0\0":
        size = int.from_bytes(head[18:22], "little")
        media_type = stated_type(head[38 : 38 + size]) if size <= 128 else ""
        return document(media_type) if extractor_of(media_type) else None
    return None


def is_text(head: bytes) -> bool:
    """Whether bytes are text: in UTF-8, UTF-16, UTF-32, or in an encoding of a byte per character, without controls."""
    if wide := _wide_encoding(head):
        return _is_wide(head, wide)
    if b"\0" in head:
        return False
    controls = len(head) - len(head.translate(None, CONTROLS))
    if is_utf8(head):
        return controls <= len(head) // 100
    # Compressed or encrypted data have all bytes alike; text in old encodings hardly has controls.
    return not controls and head.count(b"\x7f") <= len(head) // 1000


def is_utf8(head: bytes) -> bool:
    """Whether bytes are UTF-8; the last character may be cut."""
    return decodes(head, "utf-8")


def _is_wide(head: bytes, encoding: str) -> bool:
    """Whether bytes are text in the encoding that their mark or their zeros speak for."""
    if not decodes(head, encoding):
        return False
    text = head.decode(encoding, "ignore")
    return encoding == "utf-8" or not any(ord(letter) < 9 or letter == "\ufffe" for letter in text)


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32 by the mark at the beginning, or by every second byte of the Western text being zero."""
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    sample = head[: min(len(head), 1024) & ~1]
    zeros = sample[0::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if half >= 2 and min(zeros) == 0 and max(zeros) > half * 0.7:
        return "utf-16-be" if zeros[0] else "utf-16-le"
    return None


def _text(head: bytes, name: str) -> Recognised:
    """Text is what its name says; what has no telling name may begin like HTML, XML or a mail."""
    media_type = by_name(name)
    if media_type in (PLAIN_TEXT, XML):
        media_type = _by_beginning(head, extension_of(name), media_type)
    if media_type in (PLAIN_TEXT, MARKDOWN):
        kept = is_utf8(head) and not head.startswith(BOM_UTF8) and b"\0" not in head
        return Recognised("text", media_type) if kept else document(media_type, "plain")
    return document(media_type)


_HTML = re.compile(rb"(?:<!--.*?-->\s*|<\?xml[^>]*>\s*)*<(?:!doctype\s+html|html[\s>])", re.IGNORECASE | re.DOTALL)
_MAIL = re.compile(rb"(?:[A-Za-z][A-Za-z-]*: [^\n]*\n(?:[ \t][^\n]*\n)*)+\r?\n")
_MAIL_FIELDS = re.compile(
    rb"^(from|to|subject|date|message-id|mime-version|received|return-path): ", re.IGNORECASE | re.MULTILINE
)


_XML_ROOTS = {b"<svg": "image/svg+xml", b"<rss": "application/rss+xml", b"<feed": "application/atom+xml"}


def _by_beginning(head: bytes, extension: str, named: str) -> str:
    start = head[:4096].removeprefix(BOM_UTF8).lstrip()
    if named == XML or start.startswith(b"<?xml"):
        if named != XML and _HTML.match(start):
            return "text/html"
        return next((media_type for root, media_type in _XML_ROOTS.items() if root in start), XML)
    if _HTML.match(start):
        return "text/html"
    return "message/rfc822" if extension not in ("txt", "text", "log") and _is_mail(head) else PLAIN_TEXT


def _is_mail(head: bytes) -> bool:
    fields = _MAIL.match(head)
    return fields is not None and len({field.lower() for field in _MAIL_FIELDS.findall(fields[0])}) >= 3


_KNOWN = {
    b"MZ": "it is a program",
    b"\x7fELF": "it is a program",
    b"\xcf\xfa\xed\xfe": "it is a program",
    b"\xca\xfe\xba\xbe": "it is a program",
    b"\0asm": "it is a program",
    b"SQLite format 3\0": "it is a database",
    b"7z\xbc\xaf\x27\x1c": "it is a 7z archive",
    b"Rar!\x1a\x07": "it is a RAR archive",
    b"\x28\xb5\x2f\xfd": "it is compressed with Zstandard",
    b"\x04\x22\x4d\x18": "it is compressed with LZ4",
    b"wOFF": "it is a font",
    b"wOF2": "it is a font",
    b"OTTO": "it is a font",
    b"\0\x01\0\0\0": "it is a font",
    b"8BPS": "it is a Photoshop picture",
    b"\xff\x0a": "it is a JPEG XL picture",
    b"\0\0\0\x0cJXL ": "it is a JPEG XL picture",
    b"\0\0\x01\0": "it is an icon",
    b"AT&TFORM": "it is a DjVu document",
    b"!BDN": "it is an Outlook folder",
    b"FLV\x01": "it is a Flash video",
    b"RIFF": "it is a RIFF file of a kind that is not known here",
    b"OggS": "it is an Ogg file without sound",
    b"-----BEGIN PGP MESSAGE": "it is encrypted",
}


def _what(head: bytes) -> str:
    for start, words in _KNOWN.items():
        if head.startswith(start):
            return words
    return (
        "it is a video of a format that is not known here"
        if head[4:8] == b"ftyp"
        else "it is no document that is known"
    )
