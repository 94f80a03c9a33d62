"""Cuts a text into passages: at headings, paragraphs, rows, lines and sentences, with the headings they stand under."""
# ruff: noqa: RUF001 (other scripts have marks that look like Latin ones)

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

SHORTEST = 800
"""Characters that a passage has at least, where its text has as many."""
LONGEST = 1200
"""Characters that a passage has at most."""
MAX_HEADING = 160
"""Characters of a heading that are kept."""

_SHORT_SECTION = 240  # characters; what stands before a heading is a passage of its own from here on
_MARK = re.compile(
    r"^(?P<fence>```|~~~)"
    r"|^(?P<level>#{1,6})[ \t]+(?P<title>[^\n]+)$"
    r"|^(?P<head>\|[^\n]{1,600})\n\|[\s:|-]{1,600}$",
    re.MULTILINE,
)
_HEADING = re.compile(r"^#{1,6}[ \t]", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?…][\"'”’»)\]]*\s+|[。！？｡][」』”’）]*|[।॥؟۔።።]\s+")
_SPACE = re.compile(r"\s+")
_CUTS = ("\n\n", "\n")


@dataclass(slots=True, frozen=True)
class Cut:
    """A passage: `start` and `size` are in bytes of the text's file; `context` is what it stands under, by lines."""

    start: int
    size: int
    context: str
    text: str


@dataclass(slots=True)
class _Context:
    """Where in a document the cutting has come: its headings by level, the head of its table, within code or not."""

    headings: dict[int, str] = field(default_factory=dict)
    table: str = ""
    in_code: bool = False

    def at(self, text: str) -> str:
        """What a passage stands under that begins with this text."""
        if not text.startswith("|"):
            self.table = ""
        first = _MARK.match(text)
        if first and first["level"] and not self.in_code:
            above = [title for level, title in sorted(self.headings.items()) if level < len(first["level"])]
        else:
            above = [title for _, title in sorted(self.headings.items())]
        table = [] if first and first["head"] else [self.table]
        return "\n".join(filter(None, [" › ".join(above), *table]))

    def pass_by(self, text: str) -> None:
        """Note what a passage holds that later ones stand under."""
        if "#" not in text and "|" not in text and "```" not in text and "~~~" not in text:
            return
        for mark in _MARK.finditer(text):
            if mark["fence"]:
                self.in_code = not self.in_code
            elif mark["level"] and not self.in_code:
                self._enter(len(mark["level"]), " ".join(mark["title"].split())[:MAX_HEADING])
            elif mark["head"] and not self.in_code:
                self.table = mark["head"]

    def _enter(self, level: int, title: str) -> None:
        self.headings = {above: known for above, known in self.headings.items() if above < level} | {level: title}


def cut(blocks: Iterable[bytes]) -> Iterator[Cut]:
    """The passages of a text in UTF-8, which comes in blocks of any size; bytes that are none are replaced.

    Together they are the whole text, but for the white space between them.
    """
    context = _Context()
    start = 0
    for text in _pieces(blocks):
        size = len(text.encode("utf-8", "surrogateescape"))
        shown = text.strip()
        if shown:
            yield Cut(start, size, context.at(shown), _clean(shown))
            context.pass_by(shown)
        start += size


def _pieces(blocks: Iterable[bytes]) -> Iterator[str]:
    """The text in pieces of at most `LONGEST` characters, nothing left out."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    rest = ""
    for block in blocks:
        text = rest + decoder.decode(block)
        at = 0
        while len(text) - at > 2 * LONGEST:
            end = _end(text, at)
            yield text[at:end]
            at = end
        rest = text[at:]
    text, at = rest + decoder.decode(b"", final=True), 0
    while at < len(text):
        end = _end(text, at) if len(text) - at > LONGEST else _end_of_last(text, at)
        yield text[at:end]
        at = end


def _end_of_last(text: str, at: int) -> int:
    """Where a piece ends that begins within `LONGEST` characters of the end of the text."""
    heading = _HEADING.search(text, at + _SHORT_SECTION)
    return heading.start() if heading else len(text)


def _end(text: str, at: int) -> int:
    """Where a piece ends best that begins at `at`, of a text that goes on for more than `LONGEST` characters."""
    least, most = at + SHORTEST, at + LONGEST
    if heading := _HEADING.search(text, at + _SHORT_SECTION, most):
        return heading.start()
    for mark in _CUTS:
        if (found := text.rfind(mark, least, most)) >= 0:
            return found + len(mark)
    for pattern in (_SENTENCE_END, _SPACE):
        ends = [found.end() for found in pattern.finditer(text, least, most)]
        if ends:
            return ends[-1]
    return most


def _clean(text: str) -> str:
    """The text without what is no character: bytes that were no UTF-8, and NUL, at which SQLite may stop."""
    if text.isascii():
        return text.replace("\0", " ")
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\0", " ")
