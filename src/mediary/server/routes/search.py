"""`/search/<a+b>`: leads to the item that matches, or tells of those that do; a bare ASGI endpoint, to be fast."""

import secrets
from collections.abc import Iterable
from urllib.parse import unquote

import msgspec

from mediary.errors import BadRequestError, MethodNotAllowedError, NotFoundError
from mediary.media.item import Found, SearchQuery
from mediary.media.library import MediaLibrary, media_url
from mediary.media.search_text import MAX_TOKENS, parse_search
from mediary.server.items import describe_item
from mediary.server.protocol import Receive, Scope, Send
from mediary.server.query import Query

LIMIT, MOST = 50, 500
"""How many items a JSON answer holds: usually, and at most."""
MOST_SKIPPED = 10**9

_METHODS = ("GET", "HEAD")
# What is found changes with every file that comes or goes, and depends on what the client wants to read.
_FRESH = [(b"cache-control", b"no-store"), (b"vary", b"accept")]


class Search:
    """Searches a library; waits for its database where that is not open yet."""

    def __init__(self, library: MediaLibrary) -> None:
        self._library = library

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD: 302 to the item's file, or JSON for who accepts it."""
        method: str = scope["method"]
        if method not in _METHODS:
            raise MethodNotAllowedError(method, _METHODS)
        as_json = wants_json(scope["headers"])
        asked = read_search(scope["raw_path"], Query(scope["query_string"]), listed=as_json)
        found = await self._library.search(asked, count=as_json)
        if as_json:
            await _send_json(send, found, head=method == "HEAD")
        elif found.items:
            await _send_there(send, found.items[0].name)
        else:
            raise NotFoundError("no media item matches")


def read_search(path: bytes, query: Query, *, listed: bool = False) -> SearchQuery:
    """The question in a path and its query; BadRequestError for one that makes no sense."""
    limit = query.whole("limit", LIMIT, 1, MOST)
    return SearchQuery(
        tokens=read_tokens(path),
        least=query.whole("min", None, 1, MAX_TOKENS),
        skip=query.whole("skip", 0, 0, MOST_SKIPPED),
        limit=limit if listed else 1,
        seed=_seed(query),
    )


def read_tokens(path: bytes) -> tuple[str, ...]:
    """The tokens in a path as it was sent: a `+` divides them, `%2B` and `%20` are parts of them."""
    joined = path.split(b"/", 2)[-1].decode("utf-8", "replace")
    return tuple(map(unquote, parse_search(joined)))


def _seed(query: Query) -> str | None:
    """What picks one by chance: nothing, a new seed for `true`, or the seed that was given."""
    try:
        return secrets.token_hex(8) if query.boolean("random") else None
    except BadRequestError:
        return query.text("random")


def wants_json(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether `Accept` names JSON; `*/*`, which every client sends for a picture, does not."""
    accepted = (kind for name, value in headers if name == b"accept" for kind in value.lower().split(b","))
    return any(_is_json(kind) for kind in accepted)


def _is_json(accepted: bytes) -> bool:
    media_type, *parameters = (part.strip() for part in accepted.split(b";"))
    return media_type == b"application/json" and all(part.strip(b"q=0.") for part in parameters)


async def _send_json(send: Send, found: Found, *, head: bool) -> None:
    items = [describe_item(item) for item in found.items]
    body = msgspec.json.encode({"items": items, "total": found.total})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *_FRESH]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def _send_there(send: Send, name: str) -> None:
    headers = [(b"location", media_url(name).encode("ascii")), (b"content-length", b"0"), *_FRESH]
    await send({"type": "http.response.start", "status": 302, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
