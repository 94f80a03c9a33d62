"""Pages of other sites that may use this server: a browser asks it before it lets them, and reads the answer."""

from collections.abc import Awaitable, Iterable

from mediary.server.protocol import Message, Scope, Send

METHODS = b"GET, HEAD, POST, PATCH, DELETE"
SHOWN = b"content-disposition, etag, location, retry-after, x-request-id, x-revision, x-run-id"
"""Headers of answers that such a page may read."""
DAY = b"86400"


class Origins:
    """The origins that the operator allows; none, and browsers keep all other sites out."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(origin.encode() for origin in allowed)

    def __bool__(self) -> bool:
        return bool(self._allowed)

    def __contains__(self, origin: bytes) -> bool:
        return origin in self._allowed

    def find(self, scope: Scope) -> bytes | None:
        """The origin of a request, if it is allowed."""
        origin: bytes | None = next((value for name, value in scope["headers"] if name == b"origin"), None)
        return origin if origin in self._allowed else None

    def told(self, origin: bytes | None, send: Send) -> Send:
        """A way to answer that tells the browser which origin may read it."""

        def tell(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"vary", b"Origin")]
                if origin is not None:
                    message["headers"] += _granted(origin)
            return send(message)

        return tell


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks what a page of another site may do."""
    return scope["method"] == "OPTIONS" and any(
        name == b"access-control-request-method" for name, _ in scope["headers"]
    )


async def allow(scope: Scope, send: Send) -> None:
    """Answer a preflight: all that the API has. Any header may come, for keys and labels come in headers."""
    asked = dict(scope["headers"])
    headers = [
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", asked.get(b"access-control-request-headers", b"*")),
        (b"access-control-max-age", DAY),
    ]
    if asked.get(b"access-control-request-private-network") == b"true":
        headers.append((b"access-control-allow-private-network", b"true"))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _granted(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", SHOWN)]
