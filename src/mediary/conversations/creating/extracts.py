"""What a client wants out of an answer in Markdown: its code, or the JSON that it holds. Large answers take a while."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_JSON = "json"
_DEEPEST = 100
"""Levels of quotes and lists within each other that are looked into."""
_BEGINS = re.compile(r"""\{\s*["}]|\[(?!\d+\])\s*(?:["{\[\]\d-]|true|false|null)""")


@dataclass(slots=True, frozen=True)
class CodeBlock:
    """A fenced block: the language it claims, in lower case and empty if it claims none; its lines as they are."""

    language: str
    code: str


def code_blocks(text: str) -> list[CodeBlock]:
    """The fenced blocks of a text as CommonMark has them, also those in lists and quotes; the last may lack its end."""
    tokens = _parser().parse(text)
    return [CodeBlock(_language(token.info), token.content) for token in tokens if token.type == "fence"]


def find_code(text: str, language: str = "") -> str | None:
    """The first fenced block, or the first in a language; for want of that one, the first that claims no language."""
    blocks = code_blocks(text)
    wanted = language.casefold()
    if not wanted:
        return blocks[0].code if blocks else None
    return next((block.code for name in (wanted, "") for block in blocks if block.language == name), None)


def find_json(text: str) -> str | None:
    """The first JSON value, as it is written: the whole text, else out of a fenced block, else an object or array.

    A block that says it is JSON goes first, and a number in brackets is the number of a source. Of a value that is
    broken or cut off nothing is taken.
    """
    whole = text.strip()
    if _is_json(whole):
        return whole
    blocks = code_blocks(text)
    labelled = [block.code for block in blocks if block.language == _JSON]
    others = [block.code for block in blocks if block.language != _JSON]
    if (found := _first_json(labelled)) or labelled:
        return found
    return _first_json(others) or _bare_json(text)


def _first_json(codes: Iterable[str]) -> str | None:
    return next((code for code in map(str.strip, codes) if _is_json(code)), None)


def _is_json(text: str) -> bool:
    return bool(text) and _end_of_json(text, 0) == len(text)


def _bare_json(text: str) -> str | None:
    """The first object or array that stands in the text.

    What begins like one and is none ends the search: what is found within it would be a piece of something.
    """
    begin = _BEGINS.search(text)
    end = _end_of_json(text, begin.start()) if begin else None
    return text[begin.start() : end] if begin and end else None


def _end_of_json(text: str, start: int) -> int | None:
    """Where the value ends that begins here; None if there is none."""
    refused: list[str] = []
    decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=refused.append)
    try:
        _, end = decoder.raw_decode(text, start)
    except (json.JSONDecodeError, RecursionError):
        return None
    return None if refused else end


def _language(info: str) -> str:
    """The language of ```` ```python title="x" ````, of `{.python}` and of `{python}`."""
    return info.strip().split(maxsplit=1)[0].strip("{}.").casefold() if info.strip() else ""


@cache
def _parser() -> "MarkdownIt":
    # imported here: the server starts without it
    from markdown_it import MarkdownIt

    options: dict[str, Any] = {"maxNesting": _DEEPEST}
    # What stands within lines is of no interest.
    return MarkdownIt("commonmark", options).disable(["inline", "reference"])
