"""Documents of all kinds but PDF: which module reads which."""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import BinaryIO

from msgspec.structs import replace

from mediary.errors import UnreadableError
from mediary.extractors import markdown
from mediary.extractors.base import Extract, Facts, Piece, Wanted

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_OPEN = "application/vnd.oasis.opendocument"
_XML = "application/vnd.openxmlformats-officedocument"

# Imported only where they are needed: most children read one kind of document.
_READERS = {
    f"{_XML}.wordprocessingml.document": "wordprocessing",
    f"{_XML}.presentationml.presentation": "presentation",
    f"{_XML}.spreadsheetml.sheet": "spreadsheet",
    "application/vnd.ms-excel.sheet.binary.macroEnabled.12": "spreadsheet",
    "application/vnd.ms-excel": "spreadsheet",
    f"{_OPEN}.spreadsheet": "spreadsheet",
    **{
        f"{_OPEN}.{kind}{form}": "opendocument"
        for kind in ("text", "presentation", "graphics")
        for form in ("", "-flat-xml")
    },
    "application/epub+zip": "epub",
    "text/html": "webpage",
    "application/rtf": "richtext",
    "message/rfc822": "mail",
    "application/vnd.ms-outlook": "outlook",
    "application/msword": "word_binary",
    "application/vnd.ms-powerpoint": "powerpoint_binary",
    "application/x-ipynb+json": "notebook",
    "application/x-dbf": "dbase",
    "application/x-fictionbook+xml": "structured",
    "application/docbook+xml": "structured",
    "application/x-jats+xml": "structured",
}


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text of a document, with its headings, lists, tables and links."""
    name = _READERS.get(wanted.media_type, "other")
    read: Extract = import_module(f"mediary.extractors.office.{name}").extract
    try:
        for piece in markdown.pieces(read(source, wanted)):
            yield _checked(piece) if isinstance(piece, Facts) else piece
    except RecursionError as error:
        raise UnreadableError("its parts are nested too deeply") from error


def _checked(facts: Facts) -> Facts:
    """Without a language that is none: programs write what their system is set to."""
    return facts if _LANGUAGE.fullmatch(facts.language or "en") else replace(facts, language=None)
