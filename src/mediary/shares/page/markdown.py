"""Markdown to HTML that can do no harm: no HTML of the text's own, and of media only ours."""

import re
from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from mediary.shares.page.urls import is_link, is_picture, own_path

LONGEST = 200_000
"""Characters of a text that are read as Markdown; longer ones are shown as they are."""

Environment = MutableMapping[str, Any]

_PLAYER = re.compile(r"<(audio|video)\b([^<>]*)>(?:\s*</\1\s*>)?", re.IGNORECASE)
_SOURCE = re.compile(r"""\bsrc\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_LINK = 'rel="nofollow noopener noreferrer ugc"'


def to_html(text: str, host: str) -> str:
    """A text in Markdown as HTML; `host` is the name of this server, in whose URLs media are ours."""
    if len(text) > LONGEST:
        return f'<pre class="plain">{escape(text)}</pre>'
    rendered: str = _parser().render(text, {"host": host, "links": 0})
    return rendered


def picture(url: str, alt: str, host: str, *, linked: bool = False) -> str:
    """A picture; one that is not here is named, with a link to it unless it is within one already."""
    source = own_path(url, host) or (url if is_picture(url) else None)
    if source is not None:
        return f'<img src="{escape(source)}" alt="{escape(alt)}" loading="lazy" decoding="async">'
    words = escape(alt or "Picture")
    if linked or not is_link(url):
        return f'<span class="elsewhere">{words}</span>'
    return f'<a class="elsewhere" href="{escape(url)}" {_LINK}>{words} <small>{escape(_host(url))}</small></a>'


def player(kind: str, path: str) -> str:
    """A sound or a film of ours."""
    extra = " playsinline" if kind == "video" else ""
    return f'<{kind} controls preload="metadata"{extra} src="{escape(path)}"></{kind}>'


def link(url: str, words: str, host: str) -> str:
    """A link, or where it leads nowhere good, the words alone."""
    target = own_path(url, host) or (url if is_link(url) else None)
    return f'<a href="{escape(target)}" {_LINK}>{escape(words)}</a>' if target else escape(words)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


class _Parser(MarkdownIt):
    """A parser that lets through what a page may have."""

    def validateLink(self, url: str) -> bool:  # noqa: N802 - its parent's name
        """Whether a link or a picture may lead there."""
        return is_link(url) or is_picture(url)


@lru_cache(1)
def _parser() -> MarkdownIt:
    parser = _Parser("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    parser.inline.ruler.before("autolink", "player", _read_player)
    for name, rule in {
        "player": _render_player,
        "image": _render_image,
        "link_open": _open_link,
        "link_close": _close_link,
        "heading_open": _render_heading,
        "heading_close": _render_heading,
        "table_open": _open_table,
        "table_close": _close_table,
        "th_open": _open_cell,
        "td_open": _open_cell,
    }.items():
        parser.add_render_rule(name, rule)
    return parser


def _read_player(state: StateInline, silent: bool) -> bool:
    """An `<audio>` or `<video>` as the events of a conversation have it; any other stays the text that it is."""
    found = _PLAYER.match(state.src, state.pos) if state.src[state.pos] == "<" else None
    source = _SOURCE.search(found[2]) if found else None
    path = own_path(source[1] or source[2] or "", state.env["host"]) if source else None
    if found is None or path is None:
        return False
    if not silent:
        token = state.push("player", found[1].lower(), 0)
        token.attrs = {"src": path}
    state.pos = found.end()
    return True


def _render_player(
    renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Environment
) -> str:
    return player(tokens[at].tag, str(tokens[at].attrs["src"]))


def _render_image(
    renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Environment
) -> str:
    token = tokens[at]
    alt = renderer.renderInlineAsText(token.children or [], options, env)
    return picture(str(token.attrs["src"]), alt, env["host"], linked=env["links"] > 0)


def _open_link(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Environment) -> str:
    env["links"] += 1
    url = str(tokens[at].attrs["href"])
    target = own_path(url, env["host"]) or ("" if is_picture(url) else url)
    title = tokens[at].attrs.get("title")
    words = f' title="{escape(str(title))}"' if title else ""
    return f'<a href="{escape(target)}"{words} {_LINK}>' if target else "<a>"


def _close_link(
    renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Environment
) -> str:
    env["links"] -= 1
    return "</a>"


def _render_heading(
    renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Environment
) -> str:
    """A heading below those of the page: its title, and who says it."""
    token = tokens[at]
    level = min(int(token.tag[1]) + 2, 6)
    return f"<h{level}>" if token.nesting == 1 else f"</h{level}>\n"


def _open_table(
    renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Environment
) -> str:
    """A wide table is moved sideways, and not the page."""
    return '<div class="wide"><table>\n'


def _close_table(
    renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Environment
) -> str:
    return "</table></div>\n"


def _open_cell(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Environment) -> str:
    """A cell, with a class for where its text stands: the page's policy lets no style of its own through."""
    token = tokens[at]
    side = str(token.attrs.get("style", "")).removeprefix("text-align:")
    return f'<{token.tag} class="{escape(side)}">' if side else f"<{token.tag}>"
