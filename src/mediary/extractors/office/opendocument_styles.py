"""What the styles of an OpenDocument file mean for its text."""

from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element

from mediary.extractors.office.package import child

STYLES = ("style:style", "text:list-style")

_CODE = frozenset(
    {"Preformatted_20_Text", "Source_20_Text", "Source_20_Code", "Source_Text", "Source_Code", "Teletype"}
)
_QUOTES = frozenset({"Quotations", "Quote", "Block_20_Text"})
_DEPTH = 10


class Styles:
    """The styles by their names; those of the text come after those that they are made from."""

    def __init__(self) -> None:
        self._styles: dict[str, Element] = {}
        self._levels: dict[tuple[str, int], Element] = {}

    def add(self, elements: Iterable[Element]) -> None:
        """More styles."""
        for element in elements:
            name = element.get("name", "")
            if element.tag == "style:style":
                self._styles[name] = element
                continue
            for level in element:
                number = level.get("level", "")
                if number.isdigit():
                    self._levels[name, int(number) - 1] = level

    def heading(self, name: str) -> int | None:
        """The level of a heading, from 1; 0 is the title; None for other text."""
        if any(found == "Title" for found in self._names(name)):
            return 0
        return None

    def is_code(self, name: str) -> bool:
        """Whether paragraphs in a style are lines of program code."""
        return any(found in _CODE for found in self._names(name))

    def is_quote(self, name: str) -> bool:
        """Whether they are a quotation."""
        return any(found in _QUOTES for found in self._names(name))

    def marks(self, name: str) -> tuple[str, ...]:
        """The elements of HTML for a style of words."""
        if self.is_code(name):
            return ("code",)
        marks = {"font-weight": "", "font-style": "", "text-line-through-style": "", "text-position": ""}
        for found in reversed(list(self._names(name))):
            properties = child(self._styles.get(found), "style:text-properties")
            if properties is not None:
                marks.update({key: properties.get(key, before) for key, before in marks.items()})
        position = marks["text-position"]
        return (
            *(["b"] if marks["font-weight"] in ("bold", "600", "700", "800", "900") else []),
            *(["i"] if marks["font-style"] in ("italic", "oblique") else []),
            *(["s"] if marks["text-line-through-style"] not in ("", "none") else []),
            *(["sup"] if position.startswith("super") else ["sub"] if position.startswith("sub") else []),
        )

    def is_numbered(self, name: str, level: int) -> bool:
        """Whether a level, from 0, of a list has numbers."""
        found = self._levels.get((name, level))
        return found is not None and found.tag == "text:list-level-style-number" and found.get("num-format", "1") != ""

    def start(self, name: str, level: int) -> str:
        """Its first number."""
        found = self._levels.get((name, level))
        return found.get("start-value", "1") if found is not None else "1"

    def _names(self, name: str) -> Iterator[str]:
        """A style and those that it is made from."""
        for _ in range(_DEPTH):
            yield name
            if (found := self._styles.get(name)) is None:
                return
            name = found.get("parent-style-name", "")
