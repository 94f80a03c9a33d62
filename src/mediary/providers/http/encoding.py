"""Writes the JSON of requests, off the event loop where files make it large."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import msgspec

from mediary.errors import BadRequestError
from mediary.providers.base import Remote, Text, TurnRequest

P = ParamSpec("P")
T = TypeVar("T")

# Bytes of files from which encoding them is worth a thread.
_HEAVY = 256 * 1024

_encoder = msgspec.json.Encoder()


def encode(payload: Any) -> bytes:
    """Anything as JSON; BadRequestError where a text in it is none, since half a character stands in it."""
    try:
        return _encoder.encode(payload)
    except UnicodeEncodeError:
        raise BadRequestError("a text of the request holds half a character") from None


async def work_on(request: TurnRequest, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Do some work for a request; off the event loop where its files are large."""
    parts = (part for message in request.messages for part in message.parts)
    weight = sum(len(part.data) for part in parts if not isinstance(part, Text | Remote))
    return await asyncio.to_thread(work, *args, **named) if weight > _HEAVY else work(*args, **named)


def as_object(said: Any, name: str) -> dict[str, Any]:
    """JSON as the object that a wire wants; what is none, since it was cut off, becomes the value of `name`."""
    try:
        given = msgspec.json.decode(said or "{}") if isinstance(said, str | None) else said
    except (ValueError, RecursionError):
        given = said
    return given if isinstance(given, dict) else {name: given}


def data_uri(media_type: str, data: bytes) -> str:
    """Bytes as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
