"""Makes Markdown of a document's elements as they come, under the names that HTML has for them.

Only what is not finished is kept, so a long document takes no more memory than its longest list or table.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mediary.extractors import markdown
from mediary.extractors.office.frames import Block, Frame, close, indented, language, whole

# Deeper than anybody reads, what is within is text of the element around it.
_DEPTH = 32

_SPACE = re.compile(r"[ \t\n\r\f]+")
_BREAK = re.compile(r" *\n *")
_HEADING = re.compile(r"h[1-6]")

_MARKS = {
    "b": "**",
    "strong": "**",
    "i": "*",
    "em": "*",
    "cite": "*",
    "s": "~~",
    "del": "~~",
    "strike": "~~",
    "sub": "~",
    "sup": "^",
    "a": "a",
    "code": "`",
    "kbd": "`",
    "samp": "`",
    "tt": "`",
}
_FRAMES = frozenset({"ul", "ol", "li", "blockquote", "dd", "table", "tr", "td", "th", "pre"})
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "body",
        "caption",
        "center",
        "details",
        "dir",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "header",
        "hgroup",
        "html",
        "legend",
        "main",
        "menu",
        "option",
        "p",
        "section",
        "summary",
        "tbody",
        "tfoot",
        "thead",
        "title",
    ]
)
_NONE: Mapping[str, str] = {}


@dataclass(slots=True)
class _Span:
    """An element within a line: `mark` is what goes around its text, "a" for a link to `target`."""

    mark: str
    target: str = ""
    parts: list["str | _Span"] = field(default_factory=list)

    def written(self) -> str:
        """Its Markdown; the spaces at its ends stay outside."""
        text = "".join(part if isinstance(part, str) else part.written() for part in self.parts)
        core = text.strip()
        if not core or not self.mark:
            return text
        start = text.index(core)
        return f"{text[:start]}{self._wrapped(core)}{text[start + len(core) :]}"

    def _wrapped(self, core: str) -> str:
        match self.mark:
            case "a":
                return markdown.link(_BREAK.sub(" ", core), self.target)
            case "`":
                return markdown.code(core)
            case "~" | "^" if not core.isalnum():
                return core
        return f"{self.mark}{core}{self.mark}"


class Writer:
    """Takes the start, the text and the end of elements, each ended in its turn; `take` gives what is finished."""

    def __init__(self) -> None:
        self._frames = [Frame("root")]
        self._spans = [_Span("")]
        self._saved: list[tuple[list[_Span], int, bool]] = []
        self._pending: list[str] = []
        self._notes: list[tuple[int, str]] = []
        self._numbers: dict[str, int] = {}
        self._frames_beyond = self._spans_beyond = self._raw = 0
        self._heading = 0
        self._spaced = True  # the line ends in a space, or has not begun

    def start(self, tag: str, attributes: Mapping[str, str] = _NONE) -> None:
        """An element begins."""
        self._settle()
        if tag in _MARKS:
            self._start_span(_MARKS[tag], attributes.get("href", ""))
            if self._frames[-1].tag == "pre" and not self._frames[-1].language:
                self._frames[-1].language = language(attributes)
        elif tag in _FRAMES:
            self._start_frame(tag, attributes)
        elif tag in _BLOCKS:
            self._flush()
        elif tag == "br":
            self._add("\n")
        elif tag == "img":
            self.image(attributes.get("alt", ""), attributes.get("src", ""))
        elif tag == "hr":
            self._flush()
            self._frames[-1].blocks.append(Block("---"))
        elif _HEADING.fullmatch(tag):
            self._flush()
            self._heading = int(tag[1])

    def end(self, tag: str) -> None:
        """The element that was started last and has not ended ends."""
        self._settle()
        if tag in _MARKS:
            self._end_span()
        elif tag in _FRAMES:
            self._end_frame()
        elif tag in _BLOCKS or _HEADING.fullmatch(tag):
            self._flush()
            self._heading = 0

    def data(self, text: str) -> None:
        """Text, in as many pieces as it comes; white space is one space, unless the text is preformatted."""
        self._pending.append(text)

    def image(self, text: str, source: str) -> None:
        """A picture, with what stands for it in words."""
        self._settle()
        if text or (source and not source.startswith("data:")):
            self._add(markdown.image(markdown.escape(_SPACE.sub(" ", text)), source))

    def note(self, label: str) -> None:
        """The mark of a footnote; notes are numbered as they are first spoken of."""
        self._settle()
        self._add(f"[^{self._numbers.setdefault(label, len(self._numbers) + 1)}]")

    def start_aside(self) -> None:
        """What follows stands beside the paragraph that is being written, which goes on after `end_aside`."""
        self._settle()
        self._saved.append((self._spans, self._heading, self._spaced))
        self._spans, self._heading, self._spaced = [_Span("")], 0, True
        self._frames.append(Frame("aside"))

    def end_aside(self, label: str = "") -> None:
        """End what stands beside; with a label it is a footnote, to be written at the end if the text speaks of it."""
        self._settle()
        self._flush()
        blocks = self._frames.pop().blocks
        self._spans, self._heading, self._spaced = self._saved.pop()
        text = "\n\n".join(block.text for block in blocks)
        if label in self._numbers and text:
            number = self._numbers[label]
            self._notes.append((number, f"[^{number}]: {indented(text, 4)}"))
        elif text and not label:
            self._frames[-1].blocks.extend(blocks)

    def take(self) -> str:
        """What is finished since the last time."""
        blocks = self._frames[0].blocks
        if not blocks:
            return ""
        text = "\n\n".join(block.text for block in blocks)
        blocks.clear()
        return f"{text}\n\n"

    def close(self) -> str:
        """The rest, with the footnotes."""
        self._settle()
        while len(self._frames) > 1:
            self._end_frame()
        self._flush()
        notes, self._notes = sorted(self._notes), []
        self._frames[0].blocks.extend(Block(note) for _, note in notes)
        return self.take()

    def _settle(self) -> None:
        """Add the text that came: what is to be escaped shows in the whole of it."""
        if not self._pending:
            return
        text = "".join(self._pending)
        self._pending.clear()
        if self._frames[-1].tag == "pre":
            self._spans[-1].parts.append(text)
            return
        text = _SPACE.sub(" ", text)
        if self._spaced and text.startswith(" "):
            text = text[1:]
        if text:
            self._add(text if self._raw else markdown.escape(text))

    def _add(self, text: str) -> None:
        self._spans[-1].parts.append(text)
        self._spaced = text[-1] in " \n"

    def _start_span(self, mark: str, target: str) -> None:
        if len(self._spans) > _DEPTH:
            self._spans_beyond += 1
            return
        if (
            self._frames[-1].tag == "pre"
            or self._raw
            or (self._heading and mark in ("*", "**"))
            or (mark != "" and any(span.mark == mark for span in self._spans))
        ):
            mark = ""
        self._raw += mark == "`"
        last = self._spans[-1].parts[-1] if self._spans[-1].parts else ""
        if isinstance(last, _Span) and mark and (last.mark, last.target) == (mark, target):
            self._spans[-1].parts.pop()  # programs tear words to pieces that all look the same
            self._spans.append(last)
        else:
            self._spans.append(_Span(mark, target))

    def _end_span(self) -> None:
        if self._spans_beyond:
            self._spans_beyond -= 1
        elif len(self._spans) > 1:
            span = self._spans.pop()
            self._raw -= span.mark == "`"
            self._spans[-1].parts.append(span)

    def _flush(self) -> None:
        """End the paragraph; elements that are open within it go on in the next."""
        text = ""
        for span in reversed(self._spans):
            span.parts.append(text)
            text = span.written()
            span.parts.clear()
        self._spaced = True
        frame = self._frames[-1]
        if frame.tag == "pre":
            if text.strip():
                frame.blocks.append(Block(text, "pre"))
        elif text := text.strip():
            frame.blocks.append(self._paragraph(text))

    def _paragraph(self, text: str) -> Block:
        if self._heading:
            return Block(f"{'#' * self._heading} {_BREAK.sub(' ', text)}", "h")
        return Block(_BREAK.sub("  \n", markdown.escape_start(text)))

    def _start_frame(self, tag: str, attributes: Mapping[str, str]) -> None:
        if len(self._frames) > _DEPTH:
            self._flush()
            self._frames_beyond += 1
            return
        self._flush()
        frame = Frame(tag)
        match tag:
            case "ol":
                frame.number = whole(attributes.get("start"), 1) - 1
            case "li":
                frame.number = whole(attributes.get("value"), 0)
            case "td" | "th":
                frame.columns = whole(attributes.get("colspan"), 1)
                frame.lines = whole(attributes.get("rowspan"), 1)
            case "pre":
                frame.language = language(attributes)
        self._frames.append(frame)

    def _end_frame(self) -> None:
        self._flush()
        if self._frames_beyond:
            self._frames_beyond -= 1
            return
        if len(self._frames) == 1:
            return
        frame = self._frames.pop()
        close(frame, self._frames[-1])
