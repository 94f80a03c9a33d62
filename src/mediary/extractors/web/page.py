"""Reads a web page, in a child process: its main text as Markdown, and where its links lead.

What trafilatura knows of menus, banners and the like is taken out of the page, and kreuzberg writes the rest down: it
keeps what trafilatura's own Markdown loses, empty lines in code, quotations, captions and headings.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any
from urllib.parse import urldefrag, urljoin

from kreuzberg import ExtractionConfig, extract_bytes_sync
from lxml import etree, html
from trafilatura.htmlprocessing import prune_unwanted_nodes
from trafilatura.xpaths import OVERALL_DISCARD_XPATH

from mediary.extractors.web.base import MAX_LINK, Page
from mediary.extractors.web.charset import decode

MAX_LINKS = 1000

_MACHINERY = (
    *("script", "style", "noscript", "template", "iframe", "svg", "canvas", "object", "embed", "video", "audio"),
    *("button", "input", "select", "textarea", "nav"),
)
_WHOLE = {"enabled": False, "preset": "minimal", "remove_navigation": False, "remove_forms": False}
_MAIN = {"enabled": True, "preset": "aggressive", "remove_navigation": True, "remove_forms": True}
"""What kreuzberg itself takes out: nothing, or what is called navigation and the like."""
_HELPERS = ".//*[contains(concat(' ', @class, ' '), ' mw-editsection ') or contains(@class, 'headerlink')]"
_SIGNS = frozenset("¶#§🔗")
"""What links to a heading are written with."""
_ROWS = etree.XPath("./tr | ./thead/tr | ./tbody/tr | ./tfoot/tr")
_IS_LAYOUT = etree.XPath(
    "not(./caption | ./thead | ./tr/th | ./tbody/tr/th) and "
    "boolean((./tr/td | ./tbody/tr/td)[h1 or h2 or h3 or table or center or count(p) > 1])"
)
"""Whether a table only puts things side by side."""

_HEAD = b'<!DOCTYPE html><html><head><meta charset="utf-8"></head>'
_REFRESH = re.compile(r"\burl\s*=\s*['\"]?([^'\"]+)", re.IGNORECASE)


def read_page(data: bytes, url: str, charset: str | None) -> Page:
    """The page that `url` answered with; `charset` is what its server says."""
    tree = _parse(decode(data, charset))
    if tree is None:
        return Page()
    base = _base(tree, url)
    links = () if "nofollow" in _robots(tree) else tuple(_links(tree, base))
    title = _title(tree)
    return Page(
        text=_text(tree, base, title),
        title=title,
        author=_meta(tree, "author"),
        language=(tree.get("lang") or "").strip()[:35] or None,
        links=links,
    )


def _parse(text: str) -> html.HtmlElement | None:
    """The tree of a page; None of an empty one."""
    # As bytes: a text with an XML declaration is refused.
    data = text.replace("\0", "").encode("utf-8", errors="replace")
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=False)
    try:
        tree = html.document_fromstring(data, parser=parser)
    except etree.ParserError:
        return None
    _drop(tree.xpath(_HELPERS))
    return tree


def _drop(elements: Iterable[html.HtmlElement]) -> None:
    """Take elements out with all that is in them; the text behind them stays."""
    for element in list(elements):
        if element.getparent() is not None:
            element.drop_tree()


def _base(tree: html.HtmlElement, url: str) -> str:
    return next((_join(url, base) or url for base in tree.xpath("//head/base/@href")[:1]), url)


def _join(base: str, target: str) -> str | None:
    """A whole http(s) URL without its fragment; None for what leads nowhere."""
    with suppress(ValueError):  # such as http://[
        whole = urldefrag(urljoin(base, target.strip())).url
        if whole[:8].lower().startswith(("http://", "https://")) and len(whole) <= MAX_LINK:
            return whole
    return None


def _robots(tree: html.HtmlElement) -> set[str]:
    """What the page asks of robots, of all or of this one."""
    said = " ".join(filter(None, (_meta(tree, name) for name in ("robots", "mediary")))).lower()
    words = set(re.split(r"[\s,]+", said))
    return words | {"nofollow"} if "none" in words else words


def _meta(tree: html.HtmlElement, name: str) -> str | None:
    found = tree.xpath(
        "//meta[translate(@name, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz') = $name]/@content",
        name=name,
    )
    return _line(found[0]) if found else None


def _line(text: str) -> str | None:
    """A text on one line, None if it is empty."""
    return " ".join(text.split())[:500] or None


def _links(tree: html.HtmlElement, base: str) -> Iterator[str]:
    """Where links, frames and a refresh lead, each once, in the order of the page."""
    seen: set[str] = set()
    for target in _targets(tree):
        whole = _join(base, target)
        if whole and whole not in seen:
            seen.add(whole)
            yield whole
            if len(seen) == MAX_LINKS:
                return


def _targets(tree: html.HtmlElement) -> Iterator[str]:
    for element in tree.iter("a", "area", "frame", "meta"):
        if element.tag == "meta":
            if (element.get("http-equiv") or "").lower() == "refresh" and (
                to := _REFRESH.search(element.get("content") or "")
            ):
                yield to[1]
        elif "nofollow" not in (element.get("rel") or "").lower().split():
            yield element.get("src" if element.tag == "frame" else "href") or "#"


def _title(tree: html.HtmlElement) -> str | None:
    """The page's only heading of the first rank, else what it calls itself."""
    headings = [line for heading in tree.iter("h1") if (line := _line(heading.text_content()))]
    if len(headings) == 1:
        return headings[0]
    named = tree.xpath("//meta[@property='og:title']/@content") or [
        title.text_content() for title in tree.iter("title")
    ]
    return _line(named[0]) if named else None


def _text(tree: html.HtmlElement, base: str, title: str | None) -> str:
    """The main text, under a heading; empty if there is none."""
    body = tree.find("body")
    if body is None:
        return ""
    _clean(body, base)
    text = _main_text(body)
    if not text:
        return ""
    headed = any(heading.text_content().strip() for heading in body.iter("h1"))
    return text if headed or not title else f"# {title}\n\n{text}"


def _clean(body: html.HtmlElement, base: str) -> None:
    """Take out what is no text, and what Markdown would misunderstand."""
    _drop(body.iter(*_MACHINERY))
    for image in list(body.iter("img")):
        source = _join(base, image.get("src") or "")
        if source and (image.get("alt") or "").strip():
            image.set("src", source)
        else:
            image.drop_tree()
    for link in list(body.iter("a")):
        _clean_link(link, base)
    for table in list(body.iter("table")):
        if _IS_LAYOUT(table):
            _unfold(table)


def _clean_link(link: html.HtmlElement, base: str) -> None:
    href = (link.get("href") or "").strip()
    target = None if href.startswith("#") else _join(base, href)
    if target:
        fragment = urldefrag(href).fragment
        link.set("href", f"{target}#{fragment}" if fragment else target)
    elif set(link.text_content().strip()) <= _SIGNS and link.text_content().strip():
        link.drop_tree()
    else:
        link.drop_tag()


def _unfold(table: html.HtmlElement) -> None:
    """Have the cells of a table follow one another."""
    for row in _ROWS(table):
        for part in (row, *row):
            part.tag = "div"
    table.tag = "div"


def _main_text(body: html.HtmlElement) -> str:
    """The body without menus, banners and the like; all of it if most of its prose would go with them."""
    pruned = prune_unwanted_nodes(deepcopy(body), OVERALL_DISCARD_XPATH)
    text = _markdown(pruned, _MAIN)
    return text if len(text) * 3 >= _prose(body) else _markdown(body, _WHOLE)


def _prose(body: html.HtmlElement) -> int:
    """Characters of text outside of links."""
    return sum(map(len, body.xpath(".//text()[not(ancestor::a)]")))


def _markdown(body: html.HtmlElement, preprocessing: dict[str, object]) -> str:
    whole = _HEAD + html.tostring(body, encoding="utf-8") + b"</html>"
    options: Any = {"preprocessing": preprocessing}  # its type is not exported
    config = ExtractionConfig(output_format="markdown", use_cache=False, html_options=options)
    return extract_bytes_sync(whole, "text/html", config).content.strip()
