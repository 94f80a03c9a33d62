"""HTML as Markdown: web pages, chapters of books, the bodies of mails. Nothing that a page refers to is fetched."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

from lxml import etree

from mediary.extractors import charset
from mediary.extractors.base import Facts, Piece, Wanted
from mediary.extractors.office.writer import Writer

# What is no text of the page.
_SKIPPED = frozenset(
    [
        "applet",
        "area",
        "audio",
        "base",
        "button",
        "canvas",
        "datalist",
        "embed",
        "frame",
        "frameset",
        "iframe",
        "link",
        "map",
        "math",
        "meter",
        "nav",
        "noframes",
        "noscript",
        "object",
        "param",
        "progress",
        "script",
        "select",
        "source",
        "style",
        "svg",
        "template",
        "textarea",
        "track",
        "video",
    ]
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all", re.IGNORECASE)
_DOT = ("0", "1", "2")
# In XHTML any element may be empty; to a reader of HTML it has then only begun.
_EMPTY = re.compile(r"<(a|b|div|em|i|p|script|span|style|td|th|title|iframe|textarea)(\s[^<>]*)?/>", re.IGNORECASE)


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text of an HTML file."""
    start = source.read(charset.SAMPLE)
    encoding = encoding_of(start)
    source.seek(0)
    page = Page()
    yield from page.convert(charset.text_of(source, encoding), strict=start.lstrip().startswith(b"<?xml"))
    yield page.facts()


def encoding_of(start: bytes) -> str:
    """What a page says it is in; its bytes know better where they are UTF-8 or have a mark."""
    detected = charset.detect(start)
    said = charset.stated(start)
    return detected if said is None or said.startswith("utf") or detected.startswith("utf") else said


class Page:
    """Converts a page that comes in pieces, and keeps what its head says."""

    def __init__(self, writer: Writer | None = None) -> None:
        self._writer = writer or Writer()
        self._target = _Target(self._writer)

    def convert(self, texts: Iterable[str], *, strict: bool = False) -> Iterator[str]:
        """Its Markdown; `strict` for XHTML."""
        parser = etree.HTMLParser(target=self._target, encoding="utf-8", huge_tree=True, no_network=True)
        fed = False
        for text in texts:
            if text:
                fed = True
                parser.feed((_EMPTY.sub(r"<\1\2></\1>", text) if strict else text).encode("utf-8", "replace"))
                yield self._writer.take()
        if fed:
            parser.close()
        yield self._writer.close()

    def facts(self) -> Facts:
        """What the head says."""
        meta = self._target.meta
        title = " ".join("".join(self._target.title).split())
        return Facts(title or None, meta.get("author") or None, language=meta.get("lang") or None)


def markdown_of(html: str) -> str:
    """A short page as Markdown."""
    return "".join(Page().convert([html])).strip()


class _Target:
    """Hands on what the parser finds, but not what is no text."""

    def __init__(self, writer: Writer) -> None:
        self.title: list[str] = []
        self.meta: dict[str, str] = {}
        self._writer = writer
        self._skipping = 0
        self._in_title = self._in_head = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._skipping:
            self._skipping += 1
        elif tag in _SKIPPED or _is_unseen(attributes):
            self._skipping = 1
        elif tag == "head" or tag == "title":
            self._in_head, self._in_title = True, tag == "title"
        elif tag == "meta":
            self._note(attributes.get("name", "").lower(), attributes.get("content", ""))
        else:
            if tag == "html":
                self._note("lang", attributes.get("lang") or attributes.get("xml:lang", ""))
            self._in_head = False
            self._writer.start(tag, attributes)

    def end(self, tag: str) -> None:
        if self._skipping:
            self._skipping -= 1
        elif tag == "title":
            self._in_title = False
        elif tag == "head":
            self._in_head = False
        elif tag != "meta":
            self._writer.end(tag)

    def data(self, text: str) -> None:
        if self._in_title:
            self.title.append(text)
        elif not self._skipping and not self._in_head:
            self._writer.data(text)

    def comment(self, text: str) -> None:
        """No text."""

    def close(self) -> None:
        """All is handed on already."""

    def _note(self, name: str, content: str) -> None:
        if name in ("author", "lang") and content:
            self.meta.setdefault(name, content[:1000])


def _is_unseen(attributes: Mapping[str, str]) -> bool:
    """Whether an element is not shown, or is a dot that reports who reads a mail."""
    if not attributes:
        return False
    dot = attributes.get("width") in _DOT and attributes.get("height") in _DOT
    return dot or "hidden" in attributes or bool(_HIDDEN.search(attributes.get("style", "")))
