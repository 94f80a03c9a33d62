"""Word documents (DOCX) as Markdown, as they read with all changes accepted."""

import re
from collections.abc import Iterator
from typing import BinaryIO
from xml.etree.ElementTree import Element

from mediary.errors import UnreadableError
from mediary.extractors.base import Piece, Wanted
from mediary.extractors.office.lists import Lists
from mediary.extractors.office.package import Package, Relation, child, value
from mediary.extractors.office.styles import Numbering, Styles
from mediary.extractors.office.writer import Writer

# What stands beside the text: deleted text, the old half of a change, what is there for old programs.
_SKIPPED = frozenset({"w:del", "w:moveFrom", "mc:Fallback", "w:pPr", "w:rPr", "w:sdtPr", "w:tblPr", "w:trPr", "w:tcPr"})
_MARKS = {"w:b": "b", "w:i": "i", "w:strike": "s", "w:dstrike": "s"}
_RAISED = {"subscript": "sub", "superscript": "sup"}
_SIGNS = {"w:tab": "\t", "w:noBreakHyphen": "\u2011", "w:ptab": "\t"}
_OFF = ("0", "false", "none", "off")
_HYPERLINK = re.compile(r"""HYPERLINK\s+(?:\\[a-z]\s+)*"([^"]*)\"""")


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The text of a Word document; footnotes come at its end."""
    with Package(source) as package:
        main = _main_part(package)
        relations = package.relations(main)
        parts = {relation.kind: relation.target for relation in relations.values() if not relation.external}
        styles, numbering = Styles(package, parts.get("styles", "")), Numbering(package, parts.get("numbering", ""))
        pages = next((element.text or "" for element in package.trees("docProps/app.xml", "Pages")), "")
        yield package.facts(pages=int(pages) if pages.isdigit() else None)
        writer = Writer()
        text = _Text(writer, relations, styles, numbering)
        for block in package.trees(main, "w:p", "w:tbl"):
            text.block(block)
            yield writer.take()
        text.end()
        for kind in ("footnote", "endnote"):
            if part := parts.get(f"{kind}s"):
                notes = _Text(writer, package.relations(part), styles, numbering)
                for note in package.trees(part, f"w:{kind}"):
                    notes.note(note)
        yield writer.close()


def _main_part(package: Package) -> str:
    for relation in package.relations("").values():
        if relation.kind == "officeDocument" and relation.target in package.names:
            return relation.target
    if "word/document.xml" in package.names:
        return "word/document.xml"
    raise UnreadableError("it is damaged: its text is missing")


class _Text:
    """Makes the elements of HTML of paragraphs, runs and tables."""

    def __init__(self, writer: Writer, relations: dict[str, Relation], styles: Styles, numbering: Numbering) -> None:
        self._writer = writer
        self._lists = Lists(writer)
        self._relations = relations
        self._styles = styles
        self._numbering = numbering
        self._begun: set[tuple[str, int]] = set()
        self._code = False
        self._described = ""
        # Of each field that is open: its instruction, and once its result is shown, whether that is a link.
        self._fields: list[tuple[str, bool | None]] = []

    def end(self) -> None:
        """No list and no code goes on."""
        self._lists.end()
        self._end_code()

    def block(self, element: Element) -> None:
        """A paragraph or a table, or what holds such."""
        match element.tag:
            case "w:p":
                self._paragraph(element)
            case "w:tbl":
                self.end()
                self._table(element)
            case tag if tag not in _SKIPPED:
                for part in element:
                    self.block(part)

    def note(self, element: Element) -> None:
        """A footnote; those with a type are the lines above them."""
        if element.get("type") in (None, "normal"):
            self._writer.start_aside()
            self.block_list(element)
            self._writer.end_aside(_label(element))

    def block_list(self, element: Element) -> None:
        """The blocks of a cell, a box or a note, whose lists are its own."""
        outer, self._lists = self._lists, Lists(self._writer)
        for part in element:
            self.block(part)
        self.end()
        self._lists = outer

    def _paragraph(self, element: Element) -> None:
        properties = child(element, "w:pPr")
        style = value(properties, "w:pStyle") or self._styles.default
        if self._styles.is_code(style):
            self._code_line(element)
            return
        self._end_code()
        tag = self._tag(properties, style)
        if tag != "li":
            self._writer.start(tag)
        self._inline(element)
        if tag != "li":
            self._writer.end(tag)

    def _tag(self, properties: Element | None, style: str) -> str:
        """The element for a paragraph; an item of a list is begun already."""
        outline = value(properties, "w:outlineLvl")
        level = int(outline) + 1 if outline.isdigit() and int(outline) < 9 else self._styles.heading(style)
        if level is not None:
            self._lists.end()
            return f"h{min(max(level, 1), 6)}"
        numbers = child(properties, "w:numPr")
        name = value(numbers, "w:numId") or self._styles.number(style)
        depth = value(numbers, "w:ilvl") or self._styles.depth(style)
        at = int(depth) if depth.isdigit() else 0
        numbered = self._numbering.numbered(name, at) if name not in ("", "0") else None
        if numbered is not None:
            self._item(name, at, numbered=numbered)
            return "li"
        self._lists.end()
        return "blockquote" if self._styles.is_quote(style) else "p"

    def _item(self, name: str, level: int, *, numbered: bool) -> None:
        restart = self._numbering.restarts(name, level) and (name, level) not in self._begun
        self._begun.add((name, level))
        start = self._numbering.first(name, level)
        self._lists.item(self._numbering.counted_by(name), level, numbered=numbered, start=start, restart=restart)

    def _code_line(self, element: Element) -> None:
        """Lines of code are a paragraph each, or one with breaks."""
        if not self._code:
            self._lists.end()
            self._writer.start("pre")
            self._code = True
        self._inline(element)
        self._writer.data("\n")

    def _end_code(self) -> None:
        if self._code:
            self._writer.end("pre")
            self._code = False

    def _inline(self, element: Element) -> None:
        for part in element:
            match part.tag:
                case "w:r":
                    self._run(part)
                case "w:hyperlink":
                    relation = self._relations.get(part.get("r:id", ""))
                    self._link(part, relation.target if relation and relation.external else "")
                case "w:fldSimple":
                    found = _HYPERLINK.search(part.get("instr", ""))
                    self._link(part, found[1] if found else "")
                case "m:t":
                    self._writer.data(part.text or "")
                case "w:p" | "w:tbl":
                    self.block(part)
                case tag if tag not in _SKIPPED:
                    self._inline(part)

    def _link(self, element: Element, target: str) -> None:
        self._writer.start("a", {"href": target})
        self._inline(element)
        self._writer.end("a")

    def _run(self, element: Element) -> None:
        properties = child(element, "w:rPr")
        if properties is None or child(element, "w:fldChar") is not None:
            self._run_content(element)
            return
        if _is_on(child(properties, "w:vanish")):
            return
        marks = [_MARKS[part.tag] for part in properties if part.tag in _MARKS and _is_on(part)]
        if raised := _RAISED.get(value(properties, "w:vertAlign")):
            marks.append(raised)
        if self._styles.is_code(value(properties, "w:rStyle")):
            marks = ["code"]
        for mark in marks:
            self._writer.start(mark)
        self._run_content(element)
        for mark in reversed(marks):
            self._writer.end(mark)

    def _run_content(self, element: Element) -> None:
        for part in element:
            match part.tag:
                case "w:t":
                    self._writer.data(part.text or "")
                case "w:br" | "w:cr":
                    self._writer.start("br")
                case "w:tab" | "w:noBreakHyphen" | "w:ptab" | "w:sym":
                    self._writer.data(_SIGNS.get(part.tag) or _symbol(part))
                case "w:fldChar" | "w:instrText":
                    self._field(part.get("fldCharType", ""), part.text or "")
                case "w:footnoteReference" | "w:endnoteReference":
                    self._writer.note(_label(part))
                case "w:drawing" | "w:pict" | "w:object" | "mc:AlternateContent":
                    self._drawing(part)

    def _field(self, step: str, instruction: str) -> None:
        """The instruction of a field is before its `separate`, the text of its link between that and its `end`."""
        if step == "begin":
            self._fields.append(("", None))
            return
        if not self._fields:
            return
        before, is_link = self._fields[-1]
        if step == "separate":
            found = _HYPERLINK.search(before)
            if found:
                self._writer.start("a", {"href": found[1]})
            self._fields[-1] = (before, found is not None)
        elif step == "end":
            self._fields.pop()
            if is_link:
                self._writer.end("a")
        elif is_link is None:
            self._fields[-1] = (before + instruction, None)

    def _drawing(self, element: Element) -> None:
        """A picture is noted; the text of a box comes after the paragraph that it stands at."""
        for part in element:
            if part.tag == "wp:docPr":
                self._described = part.get("descr") or part.get("title") or ""
            elif part.tag in ("a:blip", "imagedata"):
                relation = self._relations.get(part.get("embed") or part.get("r:id") or "")
                self._writer.image(self._described, relation.target.rpartition("/")[2] if relation else "")
            elif part.tag == "w:txbxContent":
                self._writer.start_aside()
                self.block_list(part)
                self._writer.end_aside()
            elif part.tag != "mc:Fallback":
                self._drawing(part)

    def _table(self, element: Element) -> None:
        self._writer.start("table")
        for row in _within(element, "w:tr"):
            if child(row, "w:trPr", "w:del") is None:
                self._writer.start("tr")
                for cell in _within(row, "w:tc"):
                    self._cell(cell)
                self._writer.end("tr")
        self._writer.end("table")

    def _cell(self, element: Element) -> None:
        properties = child(element, "w:tcPr")
        self._writer.start("td", {"colspan": value(properties, "w:gridSpan")})
        merged = child(properties, "w:vMerge")
        if merged is None or merged.get("val") == "restart":
            self.block_list(element)
        self._writer.end("td")


def _within(element: Element, name: str) -> Iterator[Element]:
    """The rows of a table, or the cells of a row, but not those of a table within."""
    for part in element:
        if part.tag == name:
            yield part
        elif part.tag not in _SKIPPED:
            yield from _within(part, name)


def _is_on(element: Element | None) -> bool:
    return element is not None and element.get("val", "true") not in _OFF


def _label(note: Element) -> str:
    kind = "e" if note.tag.startswith("w:endnote") else ""
    return f"{kind}{note.get('id', '')}"


def _symbol(element: Element) -> str:
    """A character of a font of symbols; only where it is no private one it means something."""
    code = element.get("char", "")
    number = int(code, 16) if re.fullmatch(r"[0-9A-Fa-f]{1,6}", code) else 0
    return chr(number) if 0x20 <= number < 0xD800 else "•" if 0xF000 <= number < 0xF100 else ""
