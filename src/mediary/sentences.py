"""Cuts text into sentences, in any script, without a model of any language."""
# ruff: noqa: RUF001, SIM905 (other scripts have letters that look like Latin ones; word lists read best as text)

import re
from collections.abc import Callable, Iterator

Check = Callable[[], None]
"""Called often by long work in a thread; raises where the work is over."""

LONGEST = 500  # characters; a "sentence" beyond that is a table, a log line or data, and is cut at a space

_WRAPPED = 60  # characters; a line this long that ends without a full stop most likely goes on in the next one
_STARTS_BLOCK = re.compile(r"\s*(?:[-*+•‣◦]\s|\d{1,3}[.)]\s|#{1,6}\s|>|\||```|~~~|<!--)")
_MARKS = re.compile(r"^(?:(?:[-*+•‣◦]|#{1,6})\s+|>\s*)+")
_RULE = re.compile(r"[\s\-=_*~`|:+.#]*")

_QUOTE = "[\"'”’»›)\\]」』】）〉》]"
_CLOSING = f"{_QUOTE}*+"
# A run of marks is looked at from its beginning only, and as a whole: else it costs the square of its length.
_END = re.compile(
    rf"[。！？｡]+(?!{_QUOTE})\s*"  # no space follows; a quotation that ends so is most often inside a sentence
    rf"|[。！？｡]+{_CLOSING}(?=\s|$)\s*"
    rf"|(?<![।॥؟۔።։])[।॥؟۔።։]++{_CLOSING}(?=\s|$)\s*"
    rf"|(?<![.!?…])(?P<latin>[.!?…]++){_CLOSING}(?=\s|$)\s*"
)
_ENDS_SENTENCE = re.compile(rf"[.!?…:;。！？｡।॥؟۔።։]{_CLOSING}$")
_LAST_WORD = re.compile(r"[^\s(\[\"“„'«]*$")
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st rev hon gen sen rep gov capt lt col sgt jr sr messrs mme mlle vs cf al approx est dept fig "
    "figs eq no nos vol pp ed eds ch sec inc ltd co corp jan feb mar apr jun jul aug sep sept oct nov dec e.g i.e a.m "
    "p.m u.s u.k nr abb bd bzw ca evtl ggf hrsg inkl max min mio mrd sog str tel usw vgl z.b d.h u.a o.ä s.o s.u art "
    "sr sra srta dra ud uds núm pág av avda ej г ул им стр рис см тыс млн млрд т.е т.д".split()
)


def never_over() -> None:
    """The check of work that always goes on to its end."""


def sentences(text: str, check: Check = never_over) -> Iterator[str]:
    """The sentences of a text in reading order, list marks and spare white space removed."""
    for block in _blocks(text, check):
        start = 0
        for end in _ends(block, check):
            yield from _cut(block[start:end])
            start = end
        yield from _cut(block[start:])


def _blocks(text: str, check: Check) -> Iterator[str]:
    """What belongs together: a paragraph with its wrapped lines joined, a list item, a heading, a table row."""
    lines: list[str] = []
    for line in text.splitlines():
        check()
        line = line.strip()
        if lines and not _goes_on(lines[-1], line):
            yield " ".join(lines)
            lines = []
        if _RULE.fullmatch(line) is None:
            lines.append(line if lines else _MARKS.sub("", line))
    if lines:
        yield " ".join(lines)


def _goes_on(line: str, following: str) -> bool:
    """Whether a line is wrapped: what follows belongs to the same sentence."""
    if not following or _STARTS_BLOCK.match(following) or line.startswith("|"):
        return False
    if following[0].islower():
        return not line.endswith((":", ";"))
    return len(line) >= _WRAPPED and _ENDS_SENTENCE.search(line[-20:]) is None


def _ends(block: str, check: Check) -> Iterator[int]:
    """Where sentences end in a block."""
    for match in _END.finditer(block):
        check()
        if match["latin"] is None or _is_end(block, match):
            yield match.end()


def _is_end(block: str, match: re.Match[str]) -> bool:
    """Whether a full stop ends a sentence, rather than an abbreviation, an initial or an ordinal number."""
    following = block[match.end() : match.end() + 1]
    if following.islower():
        return False
    if match["latin"] != ".":
        return True
    found = _LAST_WORD.search(block, max(0, match.start() - 20), match.start())
    word = found[0].casefold() if found else ""
    is_initial = len(word) == 1 and word.isalpha() and word != "i"
    is_ordinal = len(word) <= 2 and word.isdecimal() and following.isalpha()
    return not (is_initial or is_ordinal or word in _ABBREVIATIONS)


def _cut(sentence: str) -> Iterator[str]:
    """One sentence, tidy; in pieces if it is longer than anyone would read."""
    sentence = " ".join(sentence.split())
    start = 0
    while len(sentence) - start > LONGEST:
        end = sentence.rfind(" ", start + LONGEST // 2, start + LONGEST)
        end = end if end > 0 else start + LONGEST
        yield sentence[start:end]
        start = end + (sentence[end] == " ")
    if start < len(sentence):
        yield sentence[start:]
