"""What is in a container, ZIP or OLE: a document, or an archive; runs in a child process."""

import re
import zlib
from collections.abc import Iterator
from struct import error, unpack, unpack_from
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile

from mediary.errors import UnreadableError, UnsupportedTypeError
from mediary.extractors.recognition.by_name import (
    EXCEL,
    EXCEL_BINARY,
    POWERPOINT,
    WORD,
    extension_of,
    extractor_of,
    stated_type,
)

ZIP = "application/zip"

_MIB = 1024**2
_MOST_SECTORS = 10_000
_LAST_SECTOR = 0xFFFFFFFA

# What the list of content types of an Office document says of its main part.
_MAIN_PART = re.compile(rb"(wordprocessingml|ms-word|spreadsheetml|ms-excel|presentationml|ms-powerpoint)[^\"']*\.main")
_MAIN_PARTS = {
    b"wordprocessingml": WORD,
    b"ms-word": WORD,
    b"spreadsheetml": EXCEL,
    b"ms-excel": EXCEL,
    b"presentationml": POWERPOINT,
    b"ms-powerpoint": POWERPOINT,
}
_BINARY_SHEET = b"ms-excel.sheet.binary"
_PROGRAMS = {
    "AndroidManifest.xml": "it is an Android program",
    "META-INF/MANIFEST.MF": "it is a Java program",
}
_IWORK = {
    "pages": "application/x-iwork-pages-sffpages",
    "key": "application/x-iwork-keynote-sffkey",
    "numbers": "application/x-iwork-numbers-sffnumbers",
}

# A document of these has a stream of this name.
_STREAMS = {
    "WordDocument": "application/msword",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
    "__properties_version1.0": "application/vnd.ms-outlook",
    "FileHeader": "application/x-hwp",
}


def media_type(source: BinaryIO, name: str) -> str:
    """The media type of what is in a container; `application/zip` for an archive without a meaning of its own.

    UnsupportedTypeError for containers that hold no document, UnreadableError for damaged or locked ones.
    """
    start = source.read(4)
    source.seek(0)
    if start.startswith(b"PK"):
        return _of_zip(source, name)
    return _of_ole(source)


def _of_zip(source: BinaryIO, name: str) -> str:
    try:
        with ZipFile(source) as archive:
            parts = set(archive.NameToInfo)
            found = _of_office(archive, parts)
    except (BadZipFile, EOFError, OSError, ValueError, RuntimeError, zlib.error) as problem:
        raise UnreadableError("it is a damaged zip file") from problem
    if found:
        return found
    extension = extension_of(name)
    if extension in _IWORK and any(part.startswith("Index") for part in parts):
        return _IWORK[extension]
    for part, words in _PROGRAMS.items():
        if part in parts:
            raise UnsupportedTypeError(words)
    return ZIP


def _of_office(archive: ZipFile, parts: set[str]) -> str | None:
    """The type of an OpenDocument, EPUB, Word, Excel or PowerPoint file; None if it is none."""
    if "mimetype" in parts:
        with archive.open("mimetype") as part:
            stated = stated_type(part.read(128))
        if extractor_of(stated):
            return stated
    if "[Content_Types].xml" not in parts:
        return None
    with archive.open("[Content_Types].xml") as part:
        types = part.read(_MIB)
    main = _MAIN_PART.search(types)
    if main is None:
        return None
    return EXCEL_BINARY if _BINARY_SHEET in main[0] else _MAIN_PARTS[main[1]]


def _of_ole(source: BinaryIO) -> str:
    try:
        streams = set(_streams(source))
    except (error, ValueError) as problem:
        raise UnreadableError("it is a damaged Office document") from problem
    if "EncryptedPackage" in streams:
        raise UnreadableError("it is locked with a password")
    for stream, found in _STREAMS.items():
        if stream in streams:
            return found
    raise UnsupportedTypeError("it is an OLE file without a document that is known")


def _streams(source: BinaryIO) -> Iterator[str]:
    """The names of an OLE file's streams: its directory is a chain of sectors, each with entries of 128 bytes."""
    header = source.read(512)
    size = 1 << unpack_from("<H", header, 30)[0]
    if size not in (512, 4096):
        raise ValueError(size)
    (sector,) = unpack_from("<I", header, 48)
    for _ in range(_MOST_SECTORS):
        if sector > _LAST_SECTOR:
            return
        entries = _sector(source, sector, size)
        for at in range(0, size, 128):
            (length,) = unpack_from("<H", entries, at + 64)
            yield entries[at : at + max(min(length, 64) - 2, 0)].decode("utf-16-le", "replace")
        sector = _next_sector(source, header, sector, size)


def _next_sector(source: BinaryIO, header: bytes, sector: int, size: int) -> int:
    """What follows a sector in its chain, by the table that is spread over sectors which the header lists."""
    page, at = divmod(sector, size // 4)
    pages = unpack("<109I", header[76:512])
    further, tail = unpack_from("<I", header, 68)[0], size // 4 - 1
    page -= len(pages)
    while page >= tail:  # 109 sectors of table are in the header, more in a chain of lists
        further = unpack_from("<I", _sector(source, further, size), size - 4)[0]
        page -= tail
    # What is left is an index into the last list, or, below zero, into that of the header.
    where = pages[page] if page < 0 else unpack_from("<I", _sector(source, further, size), page * 4)[0]
    found: int = unpack_from("<I", _sector(source, where, size), at * 4)[0]
    return found


def _sector(source: BinaryIO, sector: int, size: int) -> bytes:
    source.seek((sector + 1) * size)
    return source.read(size)
