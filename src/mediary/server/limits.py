"""How much a request may bring, and how long it may take over it."""

import asyncio

from mediary.errors import BadRequestError, TooLargeError
from mediary.server.protocol import Message, Receive, Scope

USUAL = "server.max_request_bytes"

PIECE_SECONDS = 60.0
"""How long the next piece of a body may be in coming."""


def check_declared_length(scope: Scope, limit: int, setting: str = USUAL) -> None:
    """TooLargeError for a body that says it is larger, before a byte of it is read."""
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit, setting)


class Body:
    """A request's body as it comes; BadRequestError if it breaks off or stalls, TooLargeError over the limit.

    `setting` is the name of the limit, for who wants to change it; empty if it is fixed.
    """

    def __init__(self, receive: Receive, limit: int, setting: str = USUAL) -> None:
        self._receive = receive
        self._limit = limit
        self._setting = setting
        self._taken = 0

    async def receive(self) -> Message:
        """The next piece, as ASGI hands it out."""
        try:
            async with asyncio.timeout(PIECE_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise BadRequestError(f"the body stopped coming: nothing for {PIECE_SECONDS:g} seconds") from None
        if message["type"] == "http.disconnect":
            raise BadRequestError("the body broke off before its end")
        self._taken += len(message.get("body", b""))
        if self._taken > self._limit:
            raise _too_large(self._limit, self._setting)
        return message

    async def read(self) -> bytes:
        """All of it."""
        message = await self.receive()
        pieces = [message.get("body", b"")]
        while message.get("more_body"):
            message = await self.receive()
            pieces.append(message.get("body", b""))
        return b"".join(pieces)


def _too_large(limit: int, setting: str) -> TooLargeError:
    return TooLargeError(f"the body may have {limit} bytes at most" + (f" ({setting})" if setting else ""))
