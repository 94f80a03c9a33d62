"""Whether what a server answers is a web page."""

from collections.abc import Mapping

from mediary.net.urls import media_type

HEAD = 1024
"""Bytes at the beginning of a body by which that is told."""

_HTML = ("text/html", "application/xhtml+xml")
_UNTOLD = ("", "application/octet-stream", "application/xml", "text/plain", "text/xml")
"""What servers say that do not know their HTML."""
_SIGNS = (b"<!doctype html", b"<html")


def is_page(headers: Mapping[str, str], head: bytes) -> bool:
    """Whether an answer is HTML, which its bytes may deny, or say where its server does not."""
    kind = media_type(headers)
    begins = head[:HEAD].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if kind in _HTML:
        return not begins.startswith(b"%pdf-") and (
            b"\0" not in begins or begins.startswith((b"\xff\xfe", b"\xfe\xff"))
        )
    return kind in _UNTOLD and begins.startswith(_SIGNS)
