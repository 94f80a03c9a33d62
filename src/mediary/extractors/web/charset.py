"""The characters of a page: which encoding its bytes are in, whatever its server says."""

from mediary.extractors.charset import decoded, named, stated

_UNSEEN = ("utf-16", "utf-32", "iso2022", "hz")
"""Encodings whose bytes may all look like ASCII or UTF-8."""


def decode(data: bytes, declared: str | None) -> str:
    """The text of a page: by its byte order mark, as UTF-8 if it is valid, as its server or the page says, as it looks.

    A server's `declared` charset is often a default that nobody chose; valid UTF-8 is hardly ever anything else.
    """
    said = [encoding for encoding in (named(_bare(declared)), stated(data)) if encoding]
    for encoding in (*(encoding for encoding in said if encoding.startswith(_UNSEEN)), "utf-8", *said):
        try:
            return data.decode(encoding).removeprefix("\ufeff")
        except UnicodeError:
            continue
    return decoded(data)


def _bare(declared: str | None) -> str | None:
    return declared.strip().strip("\"'") if declared else None
