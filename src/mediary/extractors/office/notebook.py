"""Jupyter notebooks as Markdown: text as it is, code in fences, then what it printed."""

import re
from collections.abc import Iterator
from json import JSONDecodeError, loads
from typing import Any, BinaryIO

from mediary.errors import UnreadableError
from mediary.extractors import charset, markdown
from mediary.extractors.base import Facts, Piece, Wanted
from mediary.extractors.office import webpage

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def extract(source: BinaryIO, wanted: Wanted) -> Iterator[Piece]:
    """The cells of a notebook."""
    try:
        book = loads("".join(charset.text_of(source)))
    except JSONDecodeError as error:
        raise UnreadableError("it is damaged: it is no JSON") from error
    meta = _dict(_dict(book).get("metadata"))
    authors = [name for author in _list(meta.get("authors")) if isinstance(name := _dict(author).get("name"), str)]
    title = meta.get("title")
    yield Facts(title if isinstance(title, str) else None, ", ".join(authors) or None)
    language = _dict(meta.get("language_info")).get("name") or _dict(meta.get("kernelspec")).get("language") or "python"
    sheets = _list(_dict(book).get("worksheets"))
    for cell in _list(_dict(book).get("cells") or (_dict(sheets[0]).get("cells") if sheets else None)):
        yield from _cell(_dict(cell), str(language))


def _cell(cell: dict[str, Any], language: str) -> Iterator[str]:
    text = _text(cell.get("source") or cell.get("input"))
    if not text.strip():
        return
    match cell.get("cell_type"):
        case "code":
            yield markdown.fenced(text, language) + "\n\n"
        case "raw":
            yield markdown.fenced(text) + "\n\n"
        case _:
            yield text.strip() + "\n\n"
    for output in _list(cell.get("outputs")):
        if shown := _output(_dict(output)):
            yield shown + "\n\n"


def _output(output: dict[str, Any]) -> str:
    """What a cell printed or drew: words rather than markup, a picture as a note."""
    data = _dict(output.get("data"))
    if written := _text(data.get("text/markdown")).strip():
        return written
    if "text/html" in data and "<table" in (page := _text(data["text/html"])):
        return webpage.markdown_of(page)
    printed = _text(output.get("text")) or _text(data.get("text/plain")) or _text(output.get("traceback"), "\n")
    return markdown.fenced(_COLOURS.sub("", printed)) if printed.strip() else ""


def _text(lines: Any, between: str = "") -> str:
    if isinstance(lines, list):
        return between.join(line for line in lines if isinstance(line, str))
    return lines if isinstance(lines, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
