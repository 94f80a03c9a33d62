"""Books and articles in XML (FictionBook, DocBook, JATS) as Markdown, by the elements of HTML that theirs stand for."""

from collections.abc import Iterator
from typing import BinaryIO
from xml.etree.ElementTree import Element

from mediary.extractors.base import Facts, Piece, Wanted
from mediary.extractors.office.package import trees
from mediary.extractors.office.writer import Writer

_ROOTS = ("FictionBook", "article", "book", "chapter", "section", "part", "set")
_SECTIONS = frozenset(
    [
        "section",
        "sec",
        "sect1",
        "sect2",
        "sect3",
        "sect4",
        "sect5",
        "chapter",
        "part",
        "appendix",
        "preface",
        "abstract",
        "ack",
        "ref-list",
    ]
)
_SKIPPED = frozenset(
    ["binary", "description", "info", "articleinfo", "bookinfo", "journal-meta", "indexterm", "stylesheet", "label"]
)
_ABOUT = ("article-meta", "front", "front-stub")
_NOTES = ("footnote", "fn")
_PICTURES = ("image", "imagedata", "graphic", "inline-graphic")

_ELEMENTS = {
    **dict.fromkeys(
        ("p", "para", "simpara", "v", "text-author", "subtitle", "attrib", "attribution", "title", "term"), "p"
    ),
    **dict.fromkeys(("emphasis", "italic", "citetitle"), "i"),
    **dict.fromkeys(("strong", "bold"), "b"),
    **dict.fromkeys(("strikethrough", "strike"), "s"),
    **dict.fromkeys(("sub", "subscript"), "sub"),
    **dict.fromkeys(("sup", "superscript"), "sup"),
    **dict.fromkeys(("a", "link", "ulink", "ext-link"), "a"),
    **dict.fromkeys(("code", "literal", "monospace", "command", "filename"), "code"),
    **dict.fromkeys(("programlisting", "screen", "literallayout", "preformat"), "pre"),
    **dict.fromkeys(("cite", "blockquote", "epigraph", "disp-quote", "poem"), "blockquote"),
    **dict.fromkeys(("table", "informaltable"), "table"),
    **dict.fromkeys(("tr", "row"), "tr"),
    **dict.fromkeys(("td", "entry"), "td"),
    **dict.fromkeys(("listitem", "list-item"), "li"),
    "th": "th",
    "itemizedlist": "ul",
    "orderedlist": "ol",
}


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text of a book or an article."""
    for tree in trees(source, *_ROOTS):
        facts = _facts(tree)
        yield facts
        writer = Writer()
        text = _Text(writer, facts.title)
        for part in tree:
            text.element(part, 2)
            yield writer.take()
        yield writer.close()


def _facts(tree: Element) -> Facts:
    titles = (part for part in tree.iter() if part.tag in ("book-title", "article-title", "title"))
    authors = (part for part in tree.iter() if part.tag in ("author", "contrib"))
    languages = (_words(part) for part in tree.iter("lang"))
    title, author = next(titles, None), next(authors, None)
    return Facts(
        _words(title) or None if title is not None else None,
        _name(author) or None if author is not None else None,
        language=tree.get("lang") or next(languages, None) or None,
    )


def _name(author: Element) -> str:
    """First name first, however it is written down."""
    names = {part.tag: _words(part) for part in author.iter()}
    given = names.get("first-name") or names.get("firstname") or names.get("given-names")
    family = names.get("last-name") or names.get("surname")
    return f"{given} {family}" if given and family else _words(author)


def _words(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())[:1000]


class _Text:
    """Makes the elements of HTML."""

    def __init__(self, writer: Writer, title: str | None) -> None:
        self._writer = writer
        self._title = title
        self._notes = 0
        if title:
            self._heading(title, 1)

    def element(self, element: Element, level: int) -> None:
        """An element with all that is in it; `level` is that of the next heading."""
        tag = element.tag
        if tag in _SKIPPED:
            return
        if tag in _ABOUT:
            for part in element.iter("abstract"):
                self.element(part, level)
        elif tag in _SECTIONS or tag == "body":
            self._section(element, level)
        elif tag in _NOTES:
            self._note(element, level)
        elif tag in _PICTURES:
            source = element.get("href") or element.get("fileref") or ""
            self._writer.image(element.get("alt", ""), source.lstrip("#"))
        else:
            self._marked(element, level)

    def _section(self, element: Element, level: int) -> None:
        """A section under its title; the body of a book may repeat that of the book."""
        self._writer.start("section")
        for part in element:
            if part.tag != "title":
                self.element(part, level + (element.tag != "body"))
            elif _words(part) != self._title:
                self._heading(_words(part), level)
        self._writer.end("section")

    def _heading(self, text: str, level: int) -> None:
        tag = f"h{min(level, 6)}"
        self._writer.start(tag)
        self._writer.data(text)
        self._writer.end(tag)

    def _note(self, element: Element, level: int) -> None:
        self._notes += 1
        self._writer.note(str(self._notes))
        self._writer.start_aside()
        self._inner(element, level)
        self._writer.end_aside(str(self._notes))

    def _marked(self, element: Element, level: int) -> None:
        tag = _ELEMENTS.get(element.tag, "")
        if element.tag == "emphasis" and element.get("role") in ("strong", "bold"):
            tag = "b"
        elif element.tag == "list":
            tag = "ol" if element.get("list-type") in ("order", "alpha-lower", "roman-lower") else "ul"
        elif tag == "code" and "\n" in (element.text or ""):
            tag = "pre"
        columns = element.get("colspan", "")
        attributes = {
            "href": element.get("href") or element.get("url") or "",
            "class": f"language-{element.get('language')}" if element.get("language") else "",
            "colspan": columns,
        }
        if tag:
            self._writer.start(tag, attributes)
        self._inner(element, level)
        if tag:
            self._writer.end(tag)

    def _inner(self, element: Element, level: int) -> None:
        if element.text:
            self._writer.data(element.text)
        for part in element:
            self.element(part, level)
            if part.tail:
                self._writer.data(part.tail)
