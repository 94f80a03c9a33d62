"""The links of a page to the rest of the world, given to the words that they lie on."""

import ctypes
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pypdfium2.raw as pdfium

from mediary.extractors import markdown
from mediary.extractors.pdf.words import Word

_SCHEMES = ("http://", "https://", "mailto:")
_LONGEST = 2048
_MOST = 2000

Link = tuple[float, float, float, float, str]
"""Left, bottom, right, top and where it leads."""


def links(document: Any, page: Any) -> list[Link]:
    """Where a page links to; nothing is followed."""
    return list(_links(document, page))


def _links(document: Any, page: Any) -> Iterator[Link]:
    position, link, box = ctypes.c_int(0), pdfium.FPDF_LINK(), pdfium.FS_RECTF()
    for _ in range(_MOST):
        if not pdfium.FPDFLink_Enumerate(page.raw, position, link):
            return
        action = pdfium.FPDFLink_GetAction(link)
        if action and pdfium.FPDFLink_GetAnnotRect(link, box) and (address := _address(document, action)):
            yield box.left, min(box.bottom, box.top), box.right, max(box.bottom, box.top), address


def _address(document: Any, action: Any) -> str | None:
    buffer = ctypes.create_string_buffer(_LONGEST)
    size = pdfium.FPDFAction_GetURIPath(document.raw, action, buffer, _LONGEST)
    if not 1 < size <= _LONGEST:
        return None
    address = markdown.url("".join(buffer.value.decode("utf-8", "replace").splitlines()))
    return address if address.lower().startswith(_SCHEMES) else None


def with_links(words: list[Word], found: list[Link]) -> list[Word]:
    """The words, those that a link lies on with its address; what stands behind the link is a word of its own."""
    if not found:
        return words
    linked: list[Word] = []
    for word in words:
        link = next((link for link in found if _lies_on(link, word)), None)
        if link is None:
            linked.append(word)
            continue
        linked += _with_link(word, link)
    return linked


def _with_link(word: Word, link: Link) -> list[Word]:
    """A linked word, and what stands before and behind it without being linked."""
    text = word.text
    start = len(text) - len(text.lstrip("([<\u201c")) if word.left < link[0] - 0.5 else 0
    end = len(text.rstrip(".,;:!?)]>\u201d")) if word.right > link[2] + 0.5 else len(text)
    if start >= end:
        return [word]
    head = [replace(word, text=text[:start], right=word.left)] if start else []
    tail = [replace(word, text=text[end:], left=word.right, spaced=False)] if end < len(text) else []
    middle = replace(word, text=text[start:end], spaced=word.spaced and not start, link=link[4])
    if start:
        middle.left = word.left
    return [*head, middle, *tail]


def _lies_on(link: Link, word: Word) -> bool:
    middle = (word.left + word.right) / 2
    return link[0] <= middle <= link[2] and link[1] <= word.y + 0.25 * word.style.size <= link[3]
