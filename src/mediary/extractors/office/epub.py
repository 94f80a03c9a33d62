"""Books (EPUB) as Markdown, chapter by chapter in reading order."""

from collections.abc import Iterator
from typing import BinaryIO

from mediary.errors import UnreadableError
from mediary.extractors import charset
from mediary.extractors.base import Piece, Wanted
from mediary.extractors.office import webpage
from mediary.extractors.office.package import Package, joined

_PAGES = ("application/xhtml+xml", "text/html", "text/x-oeb1-document")


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text of a book; pages that only list its chapters are left out."""
    with Package(source) as package:
        main = _main_part(package)
        yield package.facts(main)
        for chapter in _chapters(package, main):
            content = package.read(chapter)
            text = charset.decoded(content, webpage.encoding_of(content[: charset.SAMPLE]))
            yield from webpage.Page().convert([text], strict=True)


def _main_part(package: Package) -> str:
    for element in package.trees("META-INF/container.xml", "ocf:rootfile"):
        if (path := element.get("full-path", "")) in package.names:
            return path
    raise UnreadableError("it is damaged: its list of chapters is missing")


def _chapters(package: Package, main: str) -> Iterator[str]:
    folder = main.rpartition("/")[0]
    parts = {}
    for element in package.trees(main, "opf:item", "opf:itemref"):
        if element.tag == "opf:item":
            listing = "nav" in element.get("properties", "").split()
            if element.get("media-type") in _PAGES and not listing:
                parts[element.get("id")] = joined(folder, element.get("href", ""))
        elif (part := parts.get(element.get("idref"))) in package.names:
            yield part
