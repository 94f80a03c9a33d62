"""Documents that are ZIP files with XML inside: Office, OpenDocument, EPUB. Nothing outside the file is ever opened."""

import zlib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from types import TracebackType
from typing import IO, BinaryIO, NamedTuple, Protocol, Self
from urllib.parse import unquote
from xml.etree.ElementTree import Element
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile

from mediary.errors import UnreadableError
from mediary.extractors.base import Facts

_MIB = 1024**2
_CHUNK = 65536

# What a part may have that is read as a whole, and how much more than its packed bytes one may have that is large.
_WHOLE_BYTES = 64 * _MIB
_BIG_BYTES = 64 * _MIB
_RATIO = 200

_DAMAGED = (BadZipFile, EOFError, OSError, ValueError, RuntimeError, zlib.error)
_PASSWORD = "it is protected by a password"  # noqa: S105

_OFFICE = "http://schemas.openxmlformats.org/"
_STRICT = "http://purl.oclc.org/ooxml/"
_OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
_PREFIXES = {
    **{
        f"{root}{kind}{year}": prefix
        for root, year in ((_OFFICE, "/2006/main"), (_STRICT, "/main"))
        for kind, prefix in (("wordprocessingml", "w"), ("presentationml", "p"), ("drawingml", "a"))
    },
    f"{_OFFICE}officeDocument/2006/relationships": "r",
    f"{_STRICT}officeDocument/relationships": "r",
    f"{_OFFICE}package/2006/relationships": "rel",
    f"{_OFFICE}officeDocument/2006/math": "m",
    f"{_STRICT}officeDocument/math": "m",
    f"{_OFFICE}drawingml/2006/wordprocessingDrawing": "wp",
    f"{_STRICT}drawingml/wordprocessingDrawing": "wp",
    f"{_OFFICE}drawingml/2006/diagram": "dgm",
    f"{_OFFICE}markup-compatibility/2006": "mc",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://www.w3.org/1999/xlink": "xlink",
    "http://www.w3.org/XML/1998/namespace": "xml",
    "http://www.idpf.org/2007/opf": "opf",
    "urn:oasis:names:tc:opendocument:xmlns:container": "ocf",
    **{
        f"{_OASIS}{name}:1.0": prefix
        for name, prefix in {
            **{name: name for name in ("office", "text", "table", "style", "meta", "presentation", "manifest")},
            "drawing": "draw",
            "svg-compatible": "svg",
            "xsl-fo-compatible": "fo",
        }.items()
    },
}


class Relation(NamedTuple):
    """Where a part refers to: another part, or, `external`, an address."""

    kind: str
    target: str
    external: bool


class Package:
    """The parts of a document. UnreadableError for what is damaged, locked, or packed tighter than documents are."""

    def __init__(self, source: BinaryIO) -> None:
        try:
            self._zip = ZipFile(source)
        except _DAMAGED as error:
            raise UnreadableError("it is damaged: its parts cannot be found") from error
        self.names = frozenset(self._zip.NameToInfo)
        for part in self._zip.infolist():
            if part.flag_bits & 1:
                raise UnreadableError(_PASSWORD)
            if part.file_size > _BIG_BYTES and part.file_size > _RATIO * part.compress_size:
                raise UnreadableError("it unpacks to far more than a document has")
        if "META-INF/manifest.xml" in self.names and b"encryption-data" in self.read("META-INF/manifest.xml"):
            raise UnreadableError(_PASSWORD)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    def open(self, name: str) -> "Part":
        """A part, to be read piece by piece."""
        if name not in self.names:
            raise UnreadableError(f"it is damaged: {name} is missing")
        try:
            return Part(self._zip.open(name))
        except _DAMAGED as error:
            raise UnreadableError(f"it is damaged: {name} cannot be read") from error

    def read(self, name: str) -> bytes:
        """A part as a whole."""
        with self.open(name) as part:
            content = part.read(_WHOLE_BYTES + 1)
        if len(content) > _WHOLE_BYTES:
            raise UnreadableError(f"{name} in it has more than {_WHOLE_BYTES // _MIB} MiB")
        return content

    def trees(self, name: str, *roots: str) -> Iterator[Element]:
        """The elements of these names in a part, each as a tree, as they come; none if there is no such part."""
        if name in self.names:
            with self.open(name) as part:
                yield from trees(part, *roots)

    def relations(self, name: str) -> dict[str, Relation]:
        """What a part of an Office document refers to, by the identifiers that it uses."""
        folder, _, file = name.rpartition("/")
        found = {}
        for element in self.trees(f"{folder}/_rels/{file}.rels".lstrip("/"), "rel:Relationship"):
            target, external = element.get("Target", ""), element.get("TargetMode") == "External"
            kind = element.get("Type", "").rpartition("/")[2]
            found[element.get("Id", "")] = Relation(kind, target if external else joined(folder, target), external)
        return found

    def facts(self, name: str = "docProps/core.xml", pages: int | None = None) -> Facts:
        """What a document says of itself, in the terms that Office, OpenDocument and EPUB share."""
        return facts(self.trees(name, *FACTS), pages)


class Part:
    """A part that is being read; damage is UnreadableError."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def read(self, size: int) -> bytes:
        """The next bytes."""
        try:
            return self._stream.read(size)
        except _DAMAGED as error:
            raise UnreadableError("it is damaged: a part of it cannot be unpacked") from error


FACTS = ("dc:title", "dc:creator", "dc:language", "meta:initial-creator")


def facts(elements: Iterable[Element], pages: int | None = None) -> Facts:
    """What the elements of these names say; of each the first counts."""
    words: dict[str, str] = {}
    for element in elements:
        words.setdefault(element.tag, " ".join("".join(element.itertext()).split())[:1000])
    author = words.get("meta:initial-creator") or words.get("dc:creator")
    return Facts(words.get("dc:title") or None, author or None, pages, words.get("dc:language") or None)


def joined(folder: str, target: str) -> str:
    """The name of the part that a reference from within a folder leads to."""
    path = target if target.startswith("/") else f"{folder}/{target}"
    parts: list[str] = []
    for part in PurePosixPath(unquote(path.partition("#")[0])).parts:
        if part == "..":
            del parts[-1:]
        elif part != "/":
            parts.append(part)
    return "/".join(parts)


def child(element: Element | None, *names: str) -> Element | None:
    """The first child of a name, its first child of the next name, and so on; None where there is none."""
    for name in names:
        element = next((part for part in element if part.tag == name), None) if element is not None else None
    return element


def children(element: Element, name: str) -> list[Element]:
    """The children of a name."""
    return [part for part in element if part.tag == name]


def value(element: Element | None, *names: str) -> str:
    """The value of a property of an Office document; nothing if it is not there."""
    found = child(element, *names)
    return found.get("val", "") if found is not None else ""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def trees(source: _Readable, *roots: str) -> Iterator[Element]:
    """The outermost elements of these names, each as a tree, as they come.

    Names have the usual prefix of their namespace (`w:p`), attributes have none but `r:id`. Entities are refused, so
    that there is nothing to expand or to open.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.EntityDeclHandler = _refuse
    grower = _Grower(frozenset(roots))
    parser.StartElementHandler = grower.start
    parser.EndElementHandler = grower.end
    parser.CharacterDataHandler = grower.data
    try:
        while chunk := source.read(_CHUNK):
            parser.Parse(chunk, False)
            yield from grower.take()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise UnreadableError(f"it is damaged: {expat.ErrorString(error.code)} in its XML") from error


def _attribute(name: str) -> str:
    """Without prefix, but `r:id`: some elements have an `id` of their own, too."""
    space, _, local = name.rpartition(" ")
    return "r:id" if local == "id" and _PREFIXES.get(space) == "r" else local


def _refuse(*declaration: object) -> None:
    raise UnreadableError("it declares entities of its own, which are not read")


class _Grower:
    """Grows a tree from each element of certain names."""

    def __init__(self, roots: frozenset[str]) -> None:
        self._roots = roots
        self._names: dict[str, str] = {}
        self._branch: list[Element] = []
        self._last: Element | None = None  # the element that ended last, which text may follow
        self._grown: list[Element] = []

    def take(self) -> list[Element]:
        """The trees that are whole."""
        grown, self._grown = self._grown, []
        return grown

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = self._names.get(name) or self._short(name)
        if not self._branch and name not in self._roots:
            return
        element = Element(name, {_attribute(key): value for key, value in attributes.items()})
        if self._branch:
            self._branch[-1].append(element)
        self._branch.append(element)
        self._last = None

    def end(self, name: str) -> None:
        if self._branch:
            self._last = self._branch.pop()
            if not self._branch:
                self._grown.append(self._last)

    def data(self, text: str) -> None:
        if self._last is not None:
            if self._branch:
                self._last.tail = (self._last.tail or "") + text
        elif self._branch:
            self._branch[-1].text = (self._branch[-1].text or "") + text

    def _short(self, name: str) -> str:
        space, _, local = name.rpartition(" ")
        found = self._names[name] = f"{_PREFIXES[space]}:{local}" if space in _PREFIXES else local
        return found
