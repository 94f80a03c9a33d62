"""Which encoding a text is in, and the text."""

import re
from codecs import (
    BOM_UTF8,
    BOM_UTF16_BE,
    BOM_UTF16_LE,
    BOM_UTF32_BE,
    BOM_UTF32_LE,
    IncrementalDecoder,
    getincrementaldecoder,
    lookup,
)
from collections.abc import Iterator
from io import IncrementalNewlineDecoder
from typing import BinaryIO

SAMPLE = 128 * 1024
"""Bytes by which an encoding is told."""

_CHUNK = 256 * 1024

# UTF-32 before UTF-16: its mark begins like the other's.
MARKS = {
    BOM_UTF8: "utf-8",
    BOM_UTF32_LE: "utf-32-le",
    BOM_UTF32_BE: "utf-32-be",
    BOM_UTF16_LE: "utf-16-le",
    BOM_UTF16_BE: "utf-16-be",
}

CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b\b"))
"""What text hardly holds."""

# Names under which browsers read the larger set that is meant.
_LARGER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}

_STATED = re.compile(
    rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w.:-]{2,40})|<\?xml[^>]{0,100}encoding\s*=\s*["']([\w.:-]{2,40})""",
    re.IGNORECASE,
)
_STATED_WITHIN = 4096

# What few letters are taken for that tell too little; other guesses are left alone.
_LATIN = ("cp1250", "cp1252", "cp1254", "cp1257", *(f"iso8859-{number}" for number in (2, 3, 4, 9, 10, 13, 14, 15, 16)))

_LETTERS = "ÄÖÜßäöüÀÂÇÈÉÊËÎÏÔÛàâçèéêëîïôûœÑÁÍÓÚñáíóúÃÕãõÅÆåæ"
_UNLIKELY = re.compile(
    rf"[^\t-\r -~{_LETTERS}\xa0€‚„…‘’“”–—§°²³«»·£©®½]"  # noqa: RUF001
    rf"|[{_LETTERS}]{{3}}"
    rf"|(?<![A-Za-z{_LETTERS}])[{_LETTERS.replace('à', '').replace('À', '')}](?![A-Za-z{_LETTERS}])"
    rf"|(?<=[A-Za-z])[^\x00-\x7f{_LETTERS}’](?=[A-Za-z])"  # noqa: RUF001
)
"""What a text of the west of Europe hardly has, if its bytes are read as cp1252."""

_NO_CHARSETS = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}


def detect(sample: bytes) -> str:
    """The encoding of the text that begins like this: by its mark, by being UTF-8, else by its letters."""
    for mark, encoding in MARKS.items():
        if sample.startswith(mark):
            return encoding
    if not _is_wide(sample) and b"\x1b$" not in sample and decodes(sample, "utf-8"):
        return "utf-8"
    # A twentieth of a second to import, and hardly ever needed.
    from chardet import detect as by_letters

    found = named(by_letters(sample)["encoding"]) or "cp1252"
    return found if found in _LATIN or not _is_western(sample) else "cp1252"


def named(name: str | None) -> str | None:
    """The encoding that a document or a mail names, as browsers understand the name; None for none that is known."""
    try:
        found = lookup((name or "").strip()).name
        b"a".decode(found, "ignore")  # some codecs have nothing to do with text
    except (LookupError, ValueError):
        return None
    return None if found in _NO_CHARSETS else _LARGER.get(found, found)


def stated(markup: bytes) -> str | None:
    """The encoding that HTML or XML says in its head that it is in; None for none that is known."""
    found = _STATED.search(markup[:_STATED_WITHIN])
    return named((found[1] or found[2]).decode("ascii")) if found else None


def text_of(source: BinaryIO, encoding: str | None = None) -> Iterator[str]:
    """A file's text in pieces, its lines ended by a line feed; what is wrong in its encoding becomes U+FFFD."""
    chunk = source.read(SAMPLE)
    encoding = encoding or detect(chunk)
    decoder = _decoder(encoding, "strict" if encoding == "utf-8" else "replace")
    chunk = chunk[len(_mark(chunk, encoding)) :]
    plain = True  # nothing but ASCII so far
    while chunk:
        begun = decoder.getstate()[0]
        try:
            text = decoder.decode(chunk)
        except UnicodeDecodeError:
            # The sample was ASCII alone and told nothing, or a few bytes are wrong.
            decoder = _decoder(detect(chunk) if plain and not begun else "utf-8", "replace")
            text = decoder.decode(begun + chunk)
        plain = plain and text.isascii()
        yield text.replace("\0", "\ufffd") if "\0" in text else text
        chunk = source.read(_CHUNK)
    if decoder.getstate()[0]:
        yield "\ufffd"


def decoded(content: bytes, encoding: str | None = None) -> str:
    """Bytes as text; in the encoding that is said, if it is one and fits."""
    said = named(encoding)
    if said is None or not decodes(content, said):
        said = detect(content[:SAMPLE])
    return content[len(_mark(content, said)) :].decode(said, "replace").replace("\0", "\ufffd")


def _is_western(sample: bytes) -> bool:
    """Whether all that is not ASCII are letters within words and marks between them, as in few other encodings."""
    return decodes(sample, "cp1252") and not _UNLIKELY.search(sample.decode("cp1252"))


def _is_wide(sample: bytes) -> bool:
    """Whether these may be UTF-16 or UTF-32: many zeros, or some beside other controls, which are halves of letters."""
    zeros = sample.count(0)
    return zeros > len(sample) // 4 or (zeros > 0 and zeros < len(sample) - len(sample.translate(None, CONTROLS)))


def _decoder(encoding: str, errors: str) -> IncrementalNewlineDecoder:
    decoder: IncrementalDecoder = getincrementaldecoder(encoding)(errors)
    return IncrementalNewlineDecoder(decoder, translate=True)


def decodes(sample: bytes, encoding: str) -> bool:
    """Whether the bytes are text in this encoding; the last character may be cut."""
    try:
        getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _mark(start: bytes, encoding: str) -> bytes:
    return next((mark for mark, of in MARKS.items() if of == encoding and start.startswith(mark)), b"")
