"""Reads what a server answered, in a child process: a page, a PDF or a text."""

from io import BytesIO
from typing import Literal

from msgspec.structs import replace

from mediary.errors import UnreadableError
from mediary.extractors.base import Facts
from mediary.extractors.call import extract
from mediary.extractors.web.base import Page
from mediary.extractors.web.charset import decode

Kind = Literal["page", "pdf", "text"]

_PDF = "application/pdf"


def read(data: bytes, url: str, kind: Kind, charset: str | None, extractor: str, most: int) -> Page:
    """The text and title, without links; of the text at most so many characters.

    `charset` is what the server says, `extractor` the `module:function` that reads PDF.
    """
    if kind == "page":
        # A third of a second to import, which a text does not need.
        from mediary.extractors.web.page import read_page

        page = read_page(data, url, charset)
        return replace(page, text=page.text[:most], links=())
    if kind == "pdf":
        return _read_pdf(data, url, extractor, most)
    return Page(text=decode(data, charset).replace("\0", "")[:most])


def _read_pdf(data: bytes, url: str, extractor: str, most: int) -> Page:
    """What stands on the first pages, as it is written: nobody waits for a scan to be recognised."""
    text, title = "", None
    for piece in extract(BytesIO(data), extractor, {"name": url, "media_type": _PDF, "ocr": False}):
        if isinstance(piece, Facts):
            title = piece.title or title
        else:
            text += piece
        if len(text) >= most:
            break
    if not text.strip():
        raise UnreadableError("it holds no text")
    return Page(text=text[:most], title=title)
