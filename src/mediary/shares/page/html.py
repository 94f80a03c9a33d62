"""The page as a whole: a shared chat, or why there is none to see."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from pathlib import Path
from urllib.parse import quote

from mediary.shares.page.reading import Entry, Piece, read

_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


@lru_cache(1)
def style() -> str:
    """The style of the page."""
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


@lru_cache(1)
def policy() -> str:
    """The Content-Security-Policy: our own media and this one style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def render(body: bytes, share_id: str, host: str) -> str:
    """The page of a chat, as JSON; called in a child process. `host` is the server's name in the request."""
    try:
        # Whole numbers as floats: of one with a million digits, Python would refuse to make an integer.
        chat = read(json.loads(body, parse_int=float))
    except RecursionError:
        return notice("This chat cannot be shown", "It is nested too deeply.", share_id)
    entries = "\n".join(_message(number, entry, host) for number, entry in enumerate(chat.entries, 1))
    return _framed(
        chat.title,
        f'<header><h1 dir="auto">{escape(chat.title)}</h1>\n<p>{_about(chat.updated, len(chat.entries))}</p></header>\n'
        f"<main>\n{entries or '<p>There are no messages in this chat.</p>'}\n</main>\n{_footer(share_id)}",
    )


def notice(title: str, words: str, share_id: str | None = None) -> str:
    """A page that says something; with the id of a share, with a link to its JSON."""
    footer = _footer(share_id) if share_id is not None else "<footer><p>Mediary</p></footer>"
    return _framed(title, f"<header><h1>{escape(title)}</h1></header>\n<main><p>{escape(words)}</p></main>\n{footer}")


def _framed(title: str, body: str) -> str:
    return _FRAME.format(title=escape(title), style=style(), body=body)


def _footer(share_id: str) -> str:
    path = f"/backend-api/v2/chat/{quote(share_id, safe='')}"
    return f'<footer><p>Shared with Mediary · <a href="{escape(path)}">as JSON</a></p></footer>'


def _about(updated: float | None, count: int) -> str:
    """When the chat changed last, and how many messages it has."""
    messages = "1 message" if count == 1 else f"{count:,} messages"
    try:
        moment = datetime.fromtimestamp(updated, UTC) if updated else None
    except (OverflowError, ValueError, OSError):  # a time that no calendar has
        moment = None
    if moment is None:
        return messages
    return f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{moment.day} {moment:%B %Y}</time> · {messages}'


def _message(number: int, entry: Entry, host: str) -> str:
    # imported here: the server itself makes no Markdown, its child processes do
    from mediary.shares.page.markdown import to_html

    by = f' <span class="by">{escape(entry.by)}</span>' if entry.by else ""
    thought = (
        f"<details><summary>Reasoning</summary>\n{to_html(entry.thought, host)}</details>\n" if entry.thought else ""
    )
    pieces = "\n".join(_piece(piece, host) for piece in entry.pieces)
    side = "asks" if entry.role == "User" else "answers"
    return (
        f'<article id="m{number}" class="{side}">\n<h2>{escape(entry.role)}{by}</h2>\n'
        f'<div class="text" dir="auto">\n{thought}{pieces}</div>\n</article>'
    )


def _piece(piece: Piece, host: str) -> str:
    from mediary.shares.page.markdown import link, picture, player, to_html
    from mediary.shares.page.urls import own_path

    if piece.kind == "text":
        return to_html(piece.text, host)
    path = own_path(piece.url, host)
    if piece.kind == "image":
        shown = picture(piece.url, piece.text, host)
    elif piece.kind in ("audio", "video") and path:
        shown = player(piece.kind, path)
    else:
        shown = link(piece.url, piece.text, host)
    return f"<p>{shown}</p>"
