"""What the styles and the numbering of a Word document mean for its text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from mediary.extractors.office.package import Package, children, value

_HEADING = re.compile(r"heading ?([1-9])$")
_CODE = frozenset(
    {
        "source code",
        "code",
        "html preformatted",
        "preformatted text",
        "verbatim",
        "verbatim char",
        "source text",
        "html code",
    }
)
_QUOTES = frozenset({"quote", "intense quote", "block text", "quotations", "block quote"})


@dataclass(slots=True)
class _Style:
    name: str
    base: str
    outline: str
    number: str
    depth: str


class Styles:
    """The styles; `default` is that of paragraphs which name none."""

    def __init__(self, package: Package, part: str) -> None:
        self.default = ""
        self._styles: dict[str, _Style] = {}
        for style in package.trees(part, "w:style"):
            name = style.get("styleId", "")
            self._styles[name] = _Style(
                value(style, "w:name").lower(),
                value(style, "w:basedOn"),
                value(style, "w:pPr", "w:outlineLvl"),
                value(style, "w:pPr", "w:numPr", "w:numId"),
                value(style, "w:pPr", "w:numPr", "w:ilvl"),
            )
            if style.get("type") == "paragraph" and style.get("default") in ("1", "true"):
                self.default = name

    def heading(self, style: str) -> int | None:
        """The level of a heading in a style, from 1; 0 is the title; None for other text."""
        for found in self._chain(style):
            if found.name == "title":
                return 0
            if match := _HEADING.match(found.name):
                return int(match[1])
            if found.outline.isdigit():
                return int(found.outline) + 1 if int(found.outline) < 9 else None
        return None

    def number(self, style: str) -> str:
        """The list that paragraphs in a style are items of."""
        return next((found.number for found in self._chain(style) if found.number), "")

    def depth(self, style: str) -> str:
        """At which of its levels."""
        return next((found.depth for found in self._chain(style) if found.depth), "")

    def is_code(self, style: str) -> bool:
        """Whether text in a style is program code."""
        return any(found.name in _CODE for found in self._chain(style))

    def is_quote(self, style: str) -> bool:
        """Whether it is a quotation."""
        return any(found.name in _QUOTES for found in self._chain(style))

    def _chain(self, style: str) -> Iterator[_Style]:
        """A style and those that it is based on."""
        for _ in range(10):
            if (found := self._styles.get(style)) is None:
                return
            yield found
            style = found.base


class Numbering:
    """The lists: which levels have numbers, and from where."""

    def __init__(self, package: Package, part: str) -> None:
        self._abstract: dict[str, dict[int, Element]] = {}
        self._levels: dict[str, dict[int, Element]] = {}
        self._lists: dict[str, str] = {}
        self._starts: dict[tuple[str, int], str] = {}
        for element in package.trees(part, "w:abstractNum", "w:num"):
            if element.tag == "w:abstractNum":
                self._abstract[element.get("abstractNumId", "")] = _levels(element)
                continue
            number = element.get("numId", "")
            self._lists[number] = value(element, "w:abstractNumId")
            self._levels[number] = dict(self._abstract.get(self._lists[number], {}))
            for change in children(element, "w:lvlOverride"):
                self._levels[number].update(_levels(change))
                if start := value(change, "w:startOverride"):
                    self._starts[number, _int(change.get("ilvl"))] = start

    def numbered(self, name: str, level: int) -> bool | None:
        """Whether a level of a list has numbers; None if there is no such list."""
        found = self._levels.get(name, {}).get(level)
        return None if found is None else value(found, "w:numFmt") not in ("bullet", "none", "")

    def counted_by(self, name: str) -> str:
        """What its numbers go on with: lists of one kind count together."""
        return self._lists.get(name, name)

    def restarts(self, name: str, level: int) -> bool:
        """Whether its first item at a level begins anew."""
        return (name, level) in self._starts

    def first(self, name: str, level: int) -> int:
        """Its first number."""
        found = self._levels.get(name, {}).get(level)
        return _int(self._starts.get((name, level)) or (value(found, "w:start") if found is not None else ""), 1)


def _levels(element: Element) -> dict[int, Element]:
    return {_int(level.get("ilvl")): level for level in children(element, "w:lvl")}


def _int(text: str | None, otherwise: int = 0) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else otherwise
