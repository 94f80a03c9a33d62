"""PowerPoint presentations (PPTX) as Markdown: each slide under its title, with its notes."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO
from xml.etree.ElementTree import Element

from mediary.errors import UnreadableError
from mediary.extractors.base import Piece, Wanted
from mediary.extractors.office.lists import Lists
from mediary.extractors.office.package import Package, Relation, child, children
from mediary.extractors.office.writer import Writer

_TITLES = ("title", "ctrTitle")
_FURNITURE = ("dt", "ftr", "sldNum", "hdr", "sldImg")
_SHAPES = ("p:sp", "p:grpSp", "p:graphicFrame", "p:pic")
_OFF = ("", "0", "false", "none", "noStrike")


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text of a presentation, in the order of its slides."""
    with Package(source) as package:
        slides = list(_slides(package))
        yield package.facts(pages=len(slides))
        writer = Writer()
        for number, part in enumerate(slides, 1):
            _Slide(package, part, writer).write(number)
            yield writer.take()
        yield writer.close()


def _slides(package: Package) -> Iterator[str]:
    """The parts of the slides as they are shown; the presentation lists them."""
    main = next((found.target for found in package.relations("").values() if found.kind == "officeDocument"), "")
    if main not in package.names:
        raise UnreadableError("it is damaged: its list of slides is missing")
    relations = package.relations(main)
    for slides in package.trees(main, "p:sldIdLst"):
        for slide in slides:
            # Its own number and that of its part are both called `id`, in different namespaces.
            found = relations.get(slide.get("r:id", ""))
            if found and found.target in package.names:
                yield found.target


class _Slide:
    """Makes the elements of HTML of the shapes of a slide."""

    def __init__(self, package: Package, part: str, writer: Writer) -> None:
        self._package = package
        self._part = part
        self._relations: dict[str, Relation] = package.relations(part)
        self._writer = writer
        self._lists = Lists(writer)

    def write(self, number: int) -> None:
        """The slide: its title first, wherever it lies, then its shapes, then what the speaker has noted."""
        shapes = [shape for tree in self._package.trees(self._part, "p:spTree") for shape in tree]
        titles = [shape for shape in shapes if _placeholder(shape) in _TITLES and _words(shape)]
        self._heading("h2", " ".join(map(_words, titles)) or f"Slide {number}")
        for shape in shapes:
            if shape not in titles:
                self._shape(shape)
        for relation in self._relations.values():
            if relation.kind == "notesSlide" and not relation.external:
                self._notes(relation.target)

    def _heading(self, tag: str, text: str) -> None:
        self._writer.start(tag)
        self._writer.data(text)
        self._writer.end(tag)

    def _notes(self, part: str) -> None:
        shapes = [shape for tree in self._package.trees(part, "p:spTree") for shape in tree]
        bodies = [shape for shape in shapes if _placeholder(shape) == "body" and _words(shape)]
        if bodies:
            self._heading("h3", "Notes")
        for body in bodies:
            self._paragraphs(body, bulleted=False)

    def _shape(self, shape: Element) -> None:
        match shape.tag:
            case "p:sp" if (kind := _placeholder(shape)) not in _FURNITURE:
                self._paragraphs(shape, bulleted=kind in ("body", "obj"))
            case "p:grpSp":
                for part in shape:
                    self._shape(part)
            case "p:pic":
                self._picture(shape)
            case "p:graphicFrame":
                self._graphic(shape)
            case "mc:AlternateContent":
                for part in next((part for part in shape if part.tag == "mc:Choice"), ()):
                    self._shape(part)

    def _picture(self, shape: Element) -> None:
        properties = child(shape, "p:nvPicPr", "p:cNvPr")
        words = properties.get("descr", "") if properties is not None else ""
        for part in shape.iter("a:blip"):
            found = self._relations.get(part.get("embed", ""))
            self._writer.start("p")
            self._writer.image(words, found.target.rpartition("/")[2] if found and not found.external else "")
            self._writer.end("p")

    def _graphic(self, shape: Element) -> None:
        """A table, or a diagram, whose words lie in a part of their own."""
        for table in shape.iter("a:tbl"):
            self._writer.start("table")
            for row in children(table, "a:tr"):
                self._row(row)
            self._writer.end("table")
        for diagram in shape.iter("dgm:relIds"):
            found = self._relations.get(diagram.get("dm", ""))
            for text in self._package.trees(found.target, "dgm:t") if found and not found.external else ():
                self._paragraphs([text], bulleted=True)
            self._lists.end()

    def _row(self, row: Element) -> None:
        self._writer.start("tr")
        for cell in children(row, "a:tc"):
            self._writer.start("td")
            self._paragraphs(cell, bulleted=False)
            self._writer.end("td")
        self._writer.end("tr")

    def _paragraphs(self, shape: Iterable[Element], *, bulleted: bool) -> None:
        """The paragraphs of a shape; those of a slide's body are items unless they say otherwise."""
        for part in shape:
            if part.tag in ("p:txBody", "a:txBody", "dgm:t"):
                for paragraph in children(part, "a:p"):
                    self._paragraph(paragraph, bulleted=bulleted)
        self._lists.end()

    def _paragraph(self, paragraph: Element, *, bulleted: bool) -> None:
        if not any(part.tag in ("a:r", "a:fld") for part in paragraph):
            return
        properties = child(paragraph, "a:pPr")
        numbers = child(properties, "a:buAutoNum")
        bullet = child(properties, "a:buChar") is not None or child(properties, "a:buBlip") is not None
        level = properties.get("lvl", "0") if properties is not None else "0"
        if numbers is not None or bullet or (bulleted and child(properties, "a:buNone") is None):
            start = numbers.get("startAt", "1") if numbers is not None else "1"
            self._lists.item(
                "numbers" if numbers is not None else "bullets",
                int(level) if level.isdigit() else 0,
                numbered=numbers is not None,
                start=int(start) if start.isdigit() else 1,
            )
            self._runs(paragraph)
            return
        self._lists.end()
        self._writer.start("p")
        self._runs(paragraph)
        self._writer.end("p")

    def _runs(self, paragraph: Element) -> None:
        for part in paragraph:
            if part.tag in ("a:r", "a:fld"):
                self._run(part)
            elif part.tag == "a:br":
                self._writer.start("br")
            elif part.tag not in ("a:pPr", "a:endParaRPr"):
                for text in part.iter("m:t"):
                    self._writer.data(text.text or "")

    def _run(self, run: Element) -> None:
        properties = child(run, "a:rPr")
        marks: list[tuple[str, dict[str, str]]] = []
        if properties is not None:
            link = child(properties, "a:hlinkClick")
            found = self._relations.get(link.get("r:id", "")) if link is not None else None
            if found and found.external:
                marks.append(("a", {"href": found.target}))
            names = {"b": "b", "i": "i", "strike": "s"}
            marks += [(tag, {}) for name, tag in names.items() if properties.get(name, "") not in _OFF]
            raised = properties.get("baseline", "0")
            marks += [("sub" if raised.startswith("-") else "sup", {})] if raised.strip("-0%") else []
        for tag, attributes in marks:
            self._writer.start(tag, attributes)
        for part in children(run, "a:t"):
            self._writer.data(part.text or "")
        for tag, _ in reversed(marks):
            self._writer.end(tag)


def _placeholder(shape: Element) -> str | None:
    """What a shape is for, by the slide's layout; None if it stands for itself."""
    found = child(shape, "p:nvSpPr", "p:nvPr", "p:ph")
    return found.get("type", "obj") if found is not None else None


def _words(shape: Element) -> str:
    return " ".join(" ".join(text.text or "" for text in shape.iter("a:t")).split())
