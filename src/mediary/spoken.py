"""What of a text is said aloud: without the marks of Markdown and HTML, and in pieces of whole sentences."""

import re
from collections.abc import Iterable, Iterator
from unicodedata import category

from mediary.sentences import Check, never_over, sentences

REST = "\n\n"
"""What stands for a short rest."""

_STRETCH = 32 * 1024  # characters from which the marks are taken at once

_LINK = r"!?\[([^\[\]\n]{0,500})\]\([^()\n]{0,2000}\)"

# Each mark is taken away on its own, never searched for in pairs: text of any shape costs linear time.
_UNSPOKEN = tuple(
    (re.compile(pattern, re.MULTILINE), spoken)
    for pattern, spoken in (
        (r"[\x00-\x08\x0b-\x1f\x7f]", " "),
        (r"^[ \t]*(?:```|~~~).*$", ""),  # fences of code
        (_LINK, r"\1"),  # a link or picture is its text, and a picture may be in a link
        (_LINK, r"\1"),
        (r"</?[A-Za-z][^>\n]{0,200}>", ""),  # HTML tags
        (r"^[ \t]*\|?[ \t:|-]{3,}$", ""),  # rules, and the line under a table's head
        (r"^[ \t]*(?:#{1,6}|>|[-*+•])[ \t]+", ""),
        (r"^[ \t]*\|[ \t]*|[ \t]*\|[ \t]*$", ""),
        (r"[ \t]*\|[ \t]*", ", "),  # a table's cells
        (r"(?<!\w)(?:[*_]{1,3}|~~)(?=\S)|(?<=\S)(?:[*_]{1,3}|~~)(?!\w)", ""),
        (r"`+", ""),
    )
)


def speakable(text: str, check: Check = never_over) -> str:
    """A text without the marks of Markdown and HTML, which nobody says aloud; empty if no word or sign is left."""
    text = "".join(_without_marks(stretch, check) for stretch in _stretches(text))
    signs = (sign for sentence in sentences(text, check) for sign in sentence)
    return text.strip() if any(category(sign)[0] in "LNS" for sign in signs) else ""


def _stretches(text: str) -> Iterator[str]:
    """The text in stretches of whole lines, a line that is longer cut at a space."""
    start = 0
    while start < len(text):
        end = min(start + _STRETCH, len(text))
        if end < len(text):
            end = 1 + text.rfind("\n", start, end) or 1 + text.rfind(" ", start, end) or end
        yield text[start:end]
        start = end


def _without_marks(text: str, check: Check) -> str:
    for pattern, spoken in _UNSPOKEN:
        check()
        text = pattern.sub(spoken, text)
    return text


def pieces(text: str, sizes: Iterable[int], check: Check = never_over) -> Iterator[list[str]]:
    """The sentences of a text in groups, each with at most so many characters as the next of `sizes` says.

    A group has one sentence at least, and no sentence more than `sentences.LONGEST` characters.
    """
    room = iter(sizes)
    most, group, length = next(room), list[str](), 0
    for sentence in sentences(text, check):
        if group and length + len(sentence) > most:
            yield group
            most, group, length = next(room), [], 0
        group.append(sentence)
        length += len(sentence) + len(REST)
    if group:
        yield group


def joined(group: Iterable[str]) -> str:
    """Sentences as one text; an empty line keeps a heading, which has no full stop, apart from what follows."""
    text = ""
    for sentence in group:
        text += f"{REST if text[-1:].isalnum() else text and ' '}{sentence}"
    return text
