"""Errors as answers: the right status, and JSON that says what to do."""

from typing import Any

import msgspec

from mediary.errors import (
    MediaryError,
    MethodNotAllowedError,
    RangeNotSatisfiableError,
    RateLimitError,
    UnauthorizedError,
)
from mediary.server.protocol import Send

LONGEST = 2000
"""Characters of a message: some hold what a client sent, which may be a megabyte."""
DEFECT = "the server failed; its log says more under this request's id"


def error_body(error: MediaryError) -> bytes:
    """`{"error": {"code", "message"}}`."""
    message = error.message if len(error.message) <= LONGEST else f"{error.message[: LONGEST - 1]}…"
    return msgspec.json.encode({"error": {"code": error.code, "message": message}})


def error_headers(error: MediaryError) -> dict[str, str]:
    """What the status asks for besides the body. What is missing or broken now may be there in a moment."""
    headers = {"cache-control": "no-store"}
    if isinstance(error, RateLimitError) and error.retry_after is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    if isinstance(error, UnauthorizedError):
        headers["www-authenticate"] = 'Basic realm="Mediary", charset="UTF-8"'
    if isinstance(error, MethodNotAllowedError) and error.allowed:
        headers["allow"] = ", ".join(error.allowed)
    if isinstance(error, RangeNotSatisfiableError):
        headers["content-range"] = f"bytes */{error.size}"
    return headers


async def send_error(send: Send, error: MediaryError, request_id: str, method: str = "GET") -> None:
    """Answer with an error; the body has not begun."""
    body = error_body(error)
    extra = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-request-id": request_id,
        **error_headers(error),
    }
    headers: Any = [(name.encode(), value.encode()) for name, value in extra.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
